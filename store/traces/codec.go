package traces

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/klauspost/compress/zstd"

	"rollcall/sources"
)

// A chunk is what one export call brought of one trace: spans and events in a
// compact binary form, compressed. A trace is the sequence of its chunks.
//
//	version(1) traceID(16) resources spans events
//
// Counts, lengths and indexes are unsigned varints; times are signed varints
// relative to the first span's start.
const chunkVersion = 1

var errChunk = errors.New("a stored chunk of spans is damaged")

// kinds are the span kinds by their stored number.
var kinds = [...]string{"", "server", "client", "internal", "producer", "consumer"}

// codec compresses and decompresses chunks. It is safe for concurrent use.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// maxChunk bounds what one stored chunk may expand to; OTLP bodies are bounded far below.
const maxChunk = 256 << 20

func newCodec() (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2),
		zstd.WithWindowSize(128<<10), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxChunk))
	if err != nil {
		return nil, err
	}
	return &codec{enc: enc, dec: dec}, nil
}

// encode writes the spans and events of one trace. Scratch is reused and returned.
func (c *codec) encode(scratch []byte, id sources.TraceID, spans []sources.Span, events []sources.TraceEvent) (chunk, buf []byte) {
	var res []*sources.Resource
	var numbers map[*sources.Resource]uint64 // once there are many
	index := func(r *sources.Resource) uint64 {
		switch {
		case r == nil:
			return 0
		case numbers != nil:
			if n, ok := numbers[r]; ok {
				return n
			}
		default:
			for i, o := range res {
				if o == r {
					return uint64(i + 1)
				}
			}
			if len(res) == 8 {
				numbers = map[*sources.Resource]uint64{}
				for i, o := range res {
					numbers[o] = uint64(i + 1)
				}
			}
		}
		res = append(res, r)
		if numbers != nil {
			numbers[r] = uint64(len(res))
		}
		return uint64(len(res))
	}
	for i := range spans {
		index(spans[i].Resource)
	}
	for i := range events {
		index(events[i].Resource)
	}
	b := scratch[:0]
	b = append(b, chunkVersion)
	b = append(b, id[:]...)
	b = binary.AppendUvarint(b, uint64(len(res)))
	for _, r := range res {
		b = appendText(b, r.Service)
		b = appendAttrs(b, r.Attrs)
	}
	var base int64
	if len(spans) > 0 {
		base = spans[0].Start
	} else if len(events) > 0 {
		base = events[0].Time
	}
	b = binary.AppendVarint(b, base)
	b = binary.AppendUvarint(b, uint64(len(spans)))
	for i := range spans {
		s := &spans[i]
		b = append(b, s.SpanID[:]...)
		b = append(b, s.Parent[:]...)
		flags := byte(0)
		for k, name := range kinds {
			if name == s.Kind {
				flags = byte(k)
			}
		}
		if s.Error {
			flags |= 0x80
		}
		b = append(b, flags)
		b = binary.AppendUvarint(b, index(s.Resource))
		b = binary.AppendVarint(b, s.Start-base)
		b = binary.AppendVarint(b, s.End-s.Start)
		b = appendText(b, s.Name)
		b = appendText(b, s.Message)
		b = appendAttrs(b, s.Attrs)
		b = binary.AppendUvarint(b, uint64(len(s.Events)))
		for j := range s.Events {
			b = binary.AppendVarint(b, s.Events[j].Time-base)
			b = appendText(b, s.Events[j].Name)
			b = appendAttrs(b, s.Events[j].Attrs)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(events)))
	for i := range events {
		e := &events[i]
		b = append(b, e.SpanID[:]...)
		b = binary.AppendUvarint(b, index(e.Resource))
		b = binary.AppendVarint(b, e.Time-base)
		b = appendText(b, e.Name)
		b = appendText(b, e.ResponseID)
		b = appendAttrs(b, e.Attrs)
	}
	return c.enc.EncodeAll(b, make([]byte, 0, len(b)/2+64)), b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendAttrs(b []byte, attrs sources.Attrs) []byte {
	b = binary.AppendUvarint(b, uint64(len(attrs)))
	for i := range attrs {
		b = appendText(b, attrs[i].Key)
		b = appendText(b, attrs[i].Value)
	}
	return b
}

// decode reads a chunk back. Damage is an error, never a panic.
func (c *codec) decode(chunk []byte) (id sources.TraceID, spans []sources.Span, events []sources.TraceEvent, err error) {
	raw, err := c.dec.DecodeAll(chunk, nil)
	if err != nil {
		return id, nil, nil, fmt.Errorf("%w: %w", errChunk, err)
	}
	if len(raw) < 17 || raw[0] != chunkVersion {
		return id, nil, nil, errChunk
	}
	r := reader{b: unsafe.String(unsafe.SliceData(raw), len(raw))} // raw is never written again; texts share it
	r.at = 1
	copy(id[:], r.bytes(16))
	res := make([]*sources.Resource, r.count(2))
	for i := range res {
		res[i] = &sources.Resource{Service: r.text(), Attrs: r.attrs()}
	}
	resource := func() *sources.Resource {
		n := r.uvarint()
		if n == 0 || n > uint64(len(res)) {
			return nil
		}
		return res[n-1]
	}
	base := r.varint()
	spans = make([]sources.Span, r.count(20))
	for i := range spans {
		s := &spans[i]
		s.TraceID = id
		copy(s.SpanID[:], r.bytes(8))
		copy(s.Parent[:], r.bytes(8))
		flags := r.byte()
		s.Error = flags&0x80 != 0
		if k := int(flags & 0x7f); k < len(kinds) {
			s.Kind = kinds[k]
		}
		s.Resource = resource()
		s.Start = base + r.varint()
		s.End = s.Start + r.varint()
		s.Name = r.text()
		s.Message = r.text()
		s.Attrs = r.attrs()
		if n := r.count(3); n > 0 {
			s.Events = make([]sources.SpanEvent, n)
			for j := range s.Events {
				s.Events[j] = sources.SpanEvent{Time: base + r.varint(), Name: r.text(), Attrs: r.attrs()}
			}
		}
	}
	events = make([]sources.TraceEvent, r.count(12))
	for i := range events {
		e := &events[i]
		e.TraceID = id
		copy(e.SpanID[:], r.bytes(8))
		e.Resource = resource()
		e.Time = base + r.varint()
		e.Name = r.text()
		e.ResponseID = r.text()
		e.Attrs = r.attrs()
	}
	if r.bad {
		return id, nil, nil, errChunk
	}
	return id, spans, events, nil
}

// reader walks a chunk; after the first damage it returns zeroes.
type reader struct {
	b   string
	at  int
	bad bool
}

func (r *reader) bytes(n int) string {
	if r.bad || n > len(r.b)-r.at {
		r.bad = true
		return ""
	}
	s := r.b[r.at : r.at+n]
	r.at += n
	return s
}

func (r *reader) byte() byte {
	if s := r.bytes(1); s != "" {
		return s[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	r.bad = true
	return 0
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// count reads the length of a list whose elements take at least size bytes each,
// so that damage cannot ask for more memory than the chunk has bytes.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if r.bad || n > uint64((len(r.b)-r.at)/size) {
		r.bad = r.bad || n != 0
		return 0
	}
	return int(n)
}

func (r *reader) text() string { return r.bytes(r.count(1)) }

func (r *reader) attrs() sources.Attrs {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	a := make(sources.Attrs, n)
	for i := range a {
		a[i] = sources.Attr{Key: r.text(), Value: r.text()}
	}
	return a
}
