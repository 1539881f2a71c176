package promapi

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// The times that stand for "no bound" in Prometheus' clients.
var (
	minTime = time.Unix(math.MinInt64/1000+62135596801, 0).UTC()
	maxTime = time.Unix(math.MaxInt64/1000-62135596801, 999999999).UTC()
)

func invalid(param string, err error) error {
	return badData(fmt.Errorf("invalid parameter %q: %w", param, err))
}

// timeParam reads a time, or gives absent when the request has none.
func timeParam(r *http.Request, name string, absent time.Time) (time.Time, error) {
	s := r.FormValue(name)
	if s == "" {
		return absent, nil
	}
	t, err := parseTime(s)
	if err != nil {
		return time.Time{}, invalid(name, fmt.Errorf("invalid time value for '%s': %w", name, err))
	}
	return t, nil
}

// parseTime reads seconds since 1970, with a fraction, or RFC 3339.
func parseTime(s string) (time.Time, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(f) && math.Abs(f) < math.MaxInt64/1000 {
		sec, frac := math.Modf(f)
		frac = math.Round(frac*1000) / 1000
		return time.Unix(int64(sec), int64(frac*float64(time.Second))).UTC(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	// Their years have too many digits for the time package.
	switch s {
	case minTime.Format(time.RFC3339Nano):
		return minTime, nil
	case maxTime.Format(time.RFC3339Nano):
		return maxTime, nil
	}
	return time.Time{}, fmt.Errorf("cannot parse %q to a valid timestamp", s)
}

// parseDuration reads seconds or a Prometheus duration such as 1h30m.
func parseDuration(s string) (time.Duration, error) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		ns := f * float64(time.Second)
		if math.IsNaN(ns) || math.Abs(ns) >= math.MaxInt64 {
			return 0, fmt.Errorf("cannot parse %q to a valid duration. It overflows int64", s)
		}
		return time.Duration(ns), nil
	}
	if d, err := model.ParseDuration(s); err == nil {
		return time.Duration(d), nil
	}
	return 0, fmt.Errorf("cannot parse %q to a valid duration", s)
}

// durationParam reads a duration that may be absent (zero).
func durationParam(r *http.Request, name string) (time.Duration, error) {
	s := r.FormValue(name)
	if s == "" {
		return 0, nil
	}
	d, err := parseDuration(s)
	if err != nil {
		return 0, invalid(name, err)
	}
	return d, nil
}

// limitParam reads the largest number of results; zero means all.
func limitParam(r *http.Request) (int, error) {
	s := r.FormValue("limit")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err == nil && n < 0 {
		err = errors.New("limit must be non-negative")
	}
	if err != nil {
		return 0, invalid("limit", err)
	}
	return n, nil
}

// selection is what the metadata endpoints have in common.
type selection struct {
	start, end time.Time
	limit      int
	matchers   [][]*labels.Matcher
}

func (db *DB) selection(r *http.Request) (s selection, err error) {
	if s.limit, err = limitParam(r); err != nil {
		return s, err
	}
	if s.start, err = timeParam(r, "start", minTime); err != nil {
		return s, err
	}
	if s.end, err = timeParam(r, "end", maxTime); err != nil {
		return s, err
	}
	if s.matchers, err = db.parser.ParseMetricSelectors(r.Form["match[]"]); err != nil {
		return s, invalid("match[]", err)
	}
	for _, set := range s.matchers {
		selective := false
		for _, m := range set {
			selective = selective || !m.Matches("")
		}
		if !selective {
			return s, invalid("match[]", errors.New("match[] must contain at least one non-empty matcher"))
		}
	}
	return s, nil
}
