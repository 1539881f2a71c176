package logapi

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// bounds are the times of a request, in nanoseconds.
type bounds struct{ start, end time.Time }

// bounds reads start, end and since. Without them the last span before now is meant.
func (s *Server) bounds(r *http.Request, span time.Duration) (b bounds, err error) {
	if b.end, err = parseTime(r.Form.Get("end"), s.now()); err != nil {
		return b, badRequest("could not parse 'end' parameter: %v", err)
	}
	if since := r.Form.Get("since"); since != "" {
		d, err := model.ParseDuration(since)
		if err != nil {
			return b, badRequest("could not parse 'since' parameter: %v", err)
		}
		span = time.Duration(d)
	}
	if b.start, err = parseTime(r.Form.Get("start"), b.end.Add(-span)); err != nil {
		return b, badRequest("could not parse 'start' parameter: %v", err)
	}
	if b.end.Before(b.start) {
		return b, badRequest("end timestamp must not be before or equal to start time")
	}
	return b, nil
}

// The times that can be told in nanoseconds.
var (
	earliest = time.Unix(0, math.MinInt64/2)
	latest   = time.Unix(0, maxTime)
)

const maxTime = math.MaxInt64 / 2

// parseTime reads nanoseconds since 1970, seconds with a point or of up to ten
// digits, or RFC 3339.
func parseTime(s string, absent time.Time) (time.Time, error) {
	t := absent
	if s != "" {
		f, ferr := strconv.ParseFloat(s, 64)
		n, nerr := strconv.ParseInt(s, 10, 64)
		switch {
		case strings.Contains(s, ".") && ferr == nil && math.Abs(f) < maxTime/1e9:
			sec, frac := math.Modf(f)
			t = time.Unix(int64(sec), int64(math.Round(frac*1000)/1000*float64(time.Second)))
		case nerr == nil && len(s) <= 10:
			t = time.Unix(n, 0)
		case nerr == nil:
			t = time.Unix(0, n)
		default:
			var err error
			if t, err = time.Parse(time.RFC3339Nano, s); err != nil {
				return t, fmt.Errorf("%q is neither nanoseconds, nor seconds, nor RFC 3339", shorten(s))
			}
		}
	}
	if t.Before(earliest) {
		return earliest, nil
	}
	if t.After(latest) {
		return latest, nil
	}
	return t, nil
}

func formatTime(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

// limit reads the number of lines that are wanted, of which there may be most.
func limit(r *http.Request, most int) (int, error) {
	text := r.Form.Get("limit")
	if text == "" {
		return min(100, most), nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, badRequest("could not parse 'limit' parameter: %q is not a number", shorten(text))
	case n <= 0:
		return 0, badRequest("limit must be a positive value")
	case n > most:
		return 0, badRequest("max entries limit per query exceeded, limit > max_entries_limit (%d > %d)", n, most)
	}
	return n, nil
}

// seconds reads a duration as seconds or as a Prometheus duration.
func seconds(name, text string) (time.Duration, error) {
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(f) || math.Abs(f) >= maxTime/1e9 {
			return 0, badRequest("cannot parse %q to a valid duration. It overflows int64", shorten(text))
		}
		return time.Duration(f * float64(time.Second)), nil
	}
	d, err := model.ParseDuration(text)
	if err != nil {
		return 0, badRequest("could not parse '%s' parameter: cannot parse %q to a valid duration", name, shorten(text))
	}
	return time.Duration(d), nil
}

// step reads the distance of points, by default a 250th of the span.
func step(r *http.Request, b bounds) (time.Duration, error) {
	d := time.Duration(max(1, int64(b.end.Sub(b.start).Seconds()/250))) * time.Second
	if text := r.Form.Get("step"); text != "" {
		var err error
		if d, err = seconds("step", text); err != nil {
			return 0, err
		}
	}
	if d <= 0 {
		return 0, badRequest("zero or negative query resolution step widths are not accepted. Try a positive integer")
	}
	if b.end.Sub(b.start)/d > 11000 {
		return 0, badRequest("exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter")
	}
	return d, nil
}

// categorized reports whether the client wants labels of lines kept apart.
func categorized(r *http.Request) bool {
	for _, flag := range strings.Split(r.Header.Get("X-Loki-Response-Encoding-Flags"), ",") {
		if strings.TrimSpace(flag) == categorizeLabels {
			return true
		}
	}
	return false
}

const categorizeLabels = "categorize-labels"
