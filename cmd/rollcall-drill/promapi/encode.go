package promapi

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// jsonWriter appends a JSON value. Answers hold up to hundreds of thousands of
// points, so they are appended and not reflected upon.
type jsonWriter func(buf []byte) []byte

// verbatim writes JSON that exists already.
func verbatim(b []byte) jsonWriter {
	return func(buf []byte) []byte { return append(buf, b...) }
}

// plain writes any small value of ours; it cannot fail for those.
func plain(v any) jsonWriter {
	return func(buf []byte) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			return append(buf, "null"...)
		}
		return append(buf, b...)
	}
}

func appendString(buf []byte, s string) []byte { return plain(s)(buf) }

func appendStrings(buf []byte, list []string) []byte {
	buf = append(buf, '[')
	for i, s := range list {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = appendString(buf, s)
	}
	return append(buf, ']')
}

func appendLabels(buf []byte, ls labels.Labels) []byte {
	buf = append(buf, '{')
	first := true
	ls.Range(func(l labels.Label) {
		if !first {
			buf = append(buf, ',')
		}
		first = false
		buf = appendString(buf, l.Name)
		buf = append(buf, ':')
		buf = appendString(buf, l.Value)
	})
	return append(buf, '}')
}

// appendTime writes milliseconds as seconds with up to three decimals.
func appendTime(buf []byte, ms int64) []byte {
	if ms < 0 {
		buf = append(buf, '-')
		ms = -ms
	}
	buf = strconv.AppendInt(buf, ms/1000, 10)
	if frac := ms % 1000; frac != 0 {
		buf = append(buf, '.', byte('0'+frac/100), byte('0'+frac/10%10), byte('0'+frac%10))
	}
	return buf
}

// appendFloat writes a sample value: a string, since JSON knows no NaN.
func appendFloat(buf []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	buf = append(buf, '"')
	buf = strconv.AppendFloat(buf, f, format, -1, 64)
	return append(buf, '"')
}

func appendPoint(buf []byte, t int64, f float64) []byte {
	buf = append(buf, '[')
	buf = appendTime(buf, t)
	buf = append(buf, ',')
	buf = appendFloat(buf, f)
	return append(buf, ']')
}

func appendValue(buf []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case promql.Matrix:
		buf = append(buf, '[')
		for i, s := range v {
			if i > 0 {
				buf = append(buf, ',')
			}
			var err error
			if buf, err = appendSeries(buf, s); err != nil {
				return nil, err
			}
		}
		return append(buf, ']'), nil
	case promql.Vector:
		buf = append(buf, '[')
		for i, s := range v {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = append(buf, `{"metric":`...)
			buf = appendLabels(buf, s.Metric)
			if s.H != nil {
				b, err := promql.HPoint{T: s.T, H: s.H}.MarshalJSON()
				if err != nil {
					return nil, err
				}
				buf = append(append(append(buf, `,"histogram":`...), b...), '}')
				continue
			}
			buf = append(buf, `,"value":`...)
			buf = append(appendPoint(buf, s.T, s.F), '}')
		}
		return append(buf, ']'), nil
	case promql.Scalar:
		return appendPoint(buf, v.T, v.V), nil
	case promql.String:
		buf = appendTime(append(buf, '['), v.T)
		return append(appendString(append(buf, ','), v.V), ']'), nil
	default:
		return nil, fmt.Errorf("a result of type %T cannot be written", v)
	}
}

func appendSeries(buf []byte, s promql.Series) ([]byte, error) {
	buf = append(buf, `{"metric":`...)
	buf = appendLabels(buf, s.Metric)
	if len(s.Floats) > 0 {
		buf = append(buf, `,"values":[`...)
		for i, p := range s.Floats {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = appendPoint(buf, p.T, p.F)
		}
		buf = append(buf, ']')
	}
	if len(s.Histograms) > 0 {
		b, err := json.Marshal(s.Histograms)
		if err != nil {
			return nil, err
		}
		buf = append(append(buf, `,"histograms":`...), b...)
	}
	return append(buf, '}'), nil
}
