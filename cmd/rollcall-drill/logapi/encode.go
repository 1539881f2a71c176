package logapi

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// summary is the part of Loki's query statistics that is known here.
type summary struct {
	bytesPerSecond, linesPerSecond int64
	bytes, lines                   int64
	seconds                        float64
	entries                        int
}

// result sums up the work of a query that began at a wall time and found n results.
func (w *work) result(began time.Time, n int) summary {
	sec := time.Since(began).Seconds()
	s := summary{bytes: w.bytes, lines: w.lines, seconds: sec, entries: n}
	if sec > 0 {
		s.bytesPerSecond, s.linesPerSecond = int64(float64(w.bytes)/sec), int64(float64(w.lines)/sec)
	}
	return s
}

func (s summary) append(buf []byte) []byte {
	buf = append(buf, `,"stats":{"summary":{"bytesProcessedPerSecond":`...)
	buf = strconv.AppendInt(buf, s.bytesPerSecond, 10)
	buf = append(buf, `,"linesProcessedPerSecond":`...)
	buf = strconv.AppendInt(buf, s.linesPerSecond, 10)
	buf = append(buf, `,"totalBytesProcessed":`...)
	buf = strconv.AppendInt(buf, s.bytes, 10)
	buf = append(buf, `,"totalLinesProcessed":`...)
	buf = strconv.AppendInt(buf, s.lines, 10)
	buf = append(buf, `,"execTime":`...)
	buf = strconv.AppendFloat(buf, s.seconds, 'f', 6, 64)
	buf = append(buf, `,"totalEntriesReturned":`...)
	buf = strconv.AppendInt(buf, int64(s.entries), 10)
	return append(buf, "}}"...)
}

// begin starts an answer up to its result.
func begin(resultType string, apart bool) []byte {
	buf := append([]byte(nil), `{"status":"success","data":{"resultType":"`...)
	buf = append(buf, resultType...)
	buf = append(buf, '"')
	if apart {
		buf = append(buf, `,"encodingFlags":["`+categorizeLabels+`"]`...)
	}
	return append(buf, `,"result":`...)
}

func end(buf []byte, s summary) []byte { return append(s.append(buf), "}}"...) }

func encodeLogs(streams []*logStream, apart bool, s summary) []byte {
	return end(appendStreams(begin("streams", apart), streams, apart), s)
}

func appendStreams(buf []byte, streams []*logStream, apart bool) []byte {
	buf = append(buf, '[')
	for i, st := range streams {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(buf, `{"stream":`...)
		buf = appendLabels(buf, st.labels)
		buf = append(buf, `,"values":[`...)
		for j, e := range st.entries {
			if j > 0 {
				buf = append(buf, ',')
			}
			buf = appendEntry(buf, e, apart)
		}
		buf = append(buf, "]}"...)
	}
	return append(buf, ']')
}

func appendEntry(buf []byte, e logEntry, apart bool) []byte {
	buf = append(buf, `["`...)
	buf = strconv.AppendInt(buf, e.ts, 10)
	buf = append(buf, `",`...)
	buf = appendString(buf, e.line)
	if apart {
		buf = append(buf, `,{`...)
		if len(e.meta) > 0 {
			buf = append(buf, `"structuredMetadata":`...)
			buf = appendLabels(buf, e.meta)
		}
		if len(e.parsed) > 0 {
			if len(e.meta) > 0 {
				buf = append(buf, ',')
			}
			buf = append(buf, `"parsed":`...)
			buf = appendLabels(buf, e.parsed)
		}
		buf = append(buf, '}')
	}
	return append(buf, ']')
}

// appendString writes a JSON string; bytes that are no UTF-8 become U+FFFD.
func appendString(buf []byte, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil { // strings can always be marshalled
		return append(buf, `""`...)
	}
	return append(buf, b...)
}

func appendLabels(buf []byte, ls labelSet) []byte {
	buf = append(buf, '{')
	for i, l := range ls {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = appendString(buf, l.name)
		buf = append(buf, ':')
		buf = appendString(buf, l.value)
	}
	return append(buf, '}')
}

func appendPoint(buf []byte, ns int64, v float64) []byte {
	buf = append(buf, '[')
	// Whole milliseconds, as Prometheus' times are.
	buf = strconv.AppendFloat(buf, float64(ns/int64(time.Millisecond))/1000, 'f', -1, 64)
	buf = append(buf, `,"`...)
	buf = strconv.AppendFloat(buf, v, 'f', -1, 64)
	return append(buf, `"]`...)
}

func encodeMatrix(v value, g grid, s summary) []byte {
	if v.isNumber {
		r := row{points: make([]point, g.n)}
		for i := range r.points {
			r.points[i] = point{i, v.num}
		}
		v.rows = []row{r}
	}
	buf := append(begin("matrix", false), '[')
	for i, r := range v.rows {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(buf, `{"metric":`...)
		buf = appendLabels(buf, r.labels)
		buf = append(buf, `,"values":[`...)
		for j, p := range r.points {
			if j > 0 {
				buf = append(buf, ',')
			}
			buf = appendPoint(buf, g.at(p.i), p.v)
		}
		buf = append(buf, "]}"...)
	}
	return end(append(buf, ']'), s)
}

func encodeInstant(v value, ns int64, s summary) []byte {
	if v.isNumber {
		return end(appendPoint(begin("scalar", false), ns, v.num), s)
	}
	buf := append(begin("vector", false), '[')
	for i, r := range v.rows {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(buf, `{"metric":`...)
		buf = appendLabels(buf, r.labels)
		buf = append(buf, `,"value":`...)
		buf = appendPoint(buf, ns, r.points[0].v)
		buf = append(buf, '}')
	}
	return end(append(buf, ']'), s)
}

func encodeNames(set map[string]bool) []byte {
	names := make([]string, 0, len(set))
	for n := range set {
		names = append(names, n)
	}
	slices.Sort(names)
	buf := append([]byte(nil), `{"status":"success","data":[`...)
	for i, n := range names {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = appendString(buf, n)
	}
	return append(buf, "]}"...)
}

func encodeSeries(sets []labelSet) []byte {
	buf := append([]byte(nil), `{"status":"success","data":[`...)
	for i, ls := range sets {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = appendLabels(buf, ls)
	}
	return append(buf, "]}"...)
}

func encodeBuildInfo(info map[string]string) []byte {
	b, err := json.Marshal(info)
	if err != nil { // strings can always be marshalled
		return []byte("{}")
	}
	return b
}
