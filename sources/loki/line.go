package loki

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/redact"
)

// entry is one log line as it came: nothing of it may leave before finish.
type entry struct {
	stream *stream
	ns     int64
	line   string
	cut    int // bytes of the line that were dropped while reading
	meta   map[string]string
	parsed map[string]string // labels that the query's parsers found
}

// stream is the label set that lines share.
type stream struct {
	labels map[string]string
	clean  map[string]string // redacted; shared by all lines of the stream
	hash   uint64
}

// overhead is what an entry costs besides its text, for counting what is kept.
const overhead = 128

func (e *entry) size() int64 {
	n := int64(len(e.line)) + overhead
	for k, v := range e.meta {
		n += int64(len(k) + len(v) + 32)
	}
	for k, v := range e.parsed {
		n += int64(len(k) + len(v) + 32)
	}
	return n
}

var seed = maphash.MakeSeed()

// key identifies an entry: the same line of the same stream at the same time is the same entry.
func (e *entry) key() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	var b [16]byte
	for i := range 8 {
		b[i] = byte(e.ns >> (8 * i))
		b[8+i] = byte(e.stream.hash >> (8 * i))
	}
	_, _ = h.Write(b[:])
	_, _ = h.WriteString(e.line)
	return h.Sum64() + uint64(e.cut)
}

func newStream(labels map[string]string) *stream {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		_, _ = h.WriteString(k)
		_ = h.WriteByte(0)
		_, _ = h.WriteString(labels[k])
		_ = h.WriteByte(0)
	}
	return &stream{labels: labels, hash: h.Sum64()}
}

// entries reads one element of "result" or of a tail's "streams", and gives what
// it holds to add. It stops early when add says so.
func (r *reader) entries(max int, add func(*entry) error) error {
	var st *stream
	return r.object(func(key string) error {
		switch key {
		case "stream":
			labels, err := r.strings()
			if err != nil {
				return err
			}
			st = newStream(labels)
			return nil
		case "values":
			if st == nil {
				st = newStream(nil)
			}
			return r.array(func() error {
				e, err := r.entry(st, max)
				if err != nil {
					return err
				}
				return add(e)
			})
		}
		return r.skip()
	})
}

// entry reads ["<nanoseconds>", "<line>", {"structuredMetadata": …, "parsed": …}].
func (r *reader) entry(st *stream, max int) (*entry, error) {
	e := &entry{stream: st}
	i := 0
	err := r.array(func() error {
		defer func() { i++ }()
		switch i {
		case 0:
			v, _, err := r.scalar()
			if err != nil {
				return err
			}
			for _, c := range []byte(v) {
				if c < '0' || c > '9' || e.ns > (1<<63-10)/10 {
					return fmt.Errorf("%w: %q is no time in nanoseconds", errNotJSON, v)
				}
				e.ns = e.ns*10 + int64(c-'0')
			}
			return nil
		case 1:
			keep := r.max
			r.max = max
			line, err := r.text()
			r.max = keep
			e.line, e.cut = line, r.cut
			return err
		case 2:
			return r.object(func(key string) error {
				m, err := r.strings()
				switch key {
				case "structuredMetadata":
					e.meta = m
				case "parsed":
					e.parsed = m
				}
				return err
			})
		}
		return r.skip()
	})
	return e, err
}

// batchBytes is about how much text is redacted in one call.
const batchBytes = 1 << 20

// finish makes lines of entries: IDs and level are taken first, people become
// the tokens that request rows know them by, then everything is redacted.
func (c *Client) finish(entries []*entry) []sources.LogLine {
	return c.finishAnd(entries, nil)
}

// finishAnd is finish that also counts into hits, where it is not nil, what was hidden.
func (c *Client) finishAnd(entries []*entry, hits *hidden) []sources.LogLine {
	out := make([]sources.LogLine, len(entries))
	var names []string
	var values []*string
	var docs []int
	var after []func()
	streams := map[uint64][]timed{}
	size := 0
	flush := func() {
		hits.before(values)
		for _, lines := range streams {
			c.redact.Stream(inOrder(lines))
		}
		clear(streams)
		c.redact.Fields(names, values, docs)
		hits.after(names, values)
		for _, f := range after {
			f()
		}
		names, values, docs, after, size = names[:0], values[:0], docs[:0], after[:0], 0
	}
	add := func(doc int, name string, v string) *string {
		p := &v
		names, values, docs = append(names, name), append(values, p), append(docs, doc)
		size += len(v)
		return p
	}
	clean := func(doc int, m map[string]string, done func(map[string]string)) {
		if len(m) == 0 {
			return
		}
		pairs := make(map[string]*string, len(m))
		for k, v := range m {
			pairs[redact.SanitizeLine(c.name(k), maxLabel)] = add(doc, k, v)
		}
		after = append(after, func() {
			res := make(map[string]string, len(pairs))
			for k, v := range pairs {
				res[k] = redact.SanitizeLine(*v, maxLabel)
			}
			done(res)
		})
	}
	parser := newJSONText()
	for i, e := range entries {
		l := &out[i]
		l.Time = time.Unix(0, e.ns).UTC()
		found := identity{json: parser}
		found.fields(e.meta)
		found.fields(e.parsed)
		found.fields(e.stream.labels)
		found.line(e.line)
		whole := strings.TrimRight(e.line, "\r\n")
		text, less := c.redact.People(whole, e.cut > 0)
		hits.people(whole, text)
		line := add(i, "", text)
		streams[e.stream.hash] = append(streams[e.stream.hash], timed{e.ns, line})
		l.Level = found.level()
		l.RequestID, l.TraceID = found.requestID, found.traceID
		for _, id := range []*string{&l.RequestID, &l.TraceID} {
			if *id != "" {
				v := add(i, redact.Identity, *id)
				after = append(after, func() { *id = redact.SanitizeLine(*v, maxID) })
			}
		}
		for column, f := range found.says {
			v := add(i, column, f.Value)
			after = append(after, func() {
				if l.Says == nil {
					l.Says = make(map[string]sources.LogField, len(found.says))
				}
				l.Says[column] = sources.LogField{Value: redact.SanitizeLine(*v, maxID), Field: f.Field}
			})
		}
		after = append(after, func() {
			l.Line = redact.SanitizeLine(*line, 0)
			if e.cut > 0 {
				l.Line += fmt.Sprintf("… (+%d bytes)", e.cut+less)
			}
			l.Labels = e.stream.clean
		})
		if e.stream.clean == nil {
			e.stream.clean = map[string]string{} // once for all lines of the stream
			clean(-1-i, e.stream.labels, func(m map[string]string) { maps.Copy(e.stream.clean, m) })
		}
		clean(i, e.meta, func(m map[string]string) { l.Meta = m })
		if size >= batchBytes {
			flush()
		}
	}
	flush()
	return out
}

// timed is the text of a line on its way through redaction.
type timed struct {
	ns   int64
	text *string
}

// inOrder sorts the lines of a stream by time; those of the same time stay as Loki
// gave them, which may be backward.
func inOrder(lines []timed) []*string {
	if len(lines) > 1 && lines[0].ns > lines[len(lines)-1].ns {
		slices.Reverse(lines)
	}
	slices.SortStableFunc(lines, func(a, b timed) int { return cmp.Compare(a.ns, b.ns) })
	texts := make([]*string, len(lines))
	for i := range lines {
		texts[i] = lines[i].text
	}
	return texts
}

// name redacts the name of a label, which is almost never needed.
func (c *Client) name(k string) string {
	for i := range len(k) {
		if b := k[i]; b|0x20-'a' > 25 && b-'0' > 9 && b != '_' && b != '.' {
			return c.redact.Text(k)
		}
	}
	return k
}

// maxLabel is as much as is shown of one label's value.
const maxLabel = 4 << 10
