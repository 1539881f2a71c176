package logapi

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/golang/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// push receives lines as JSON, plain or gzip, or as protobuf compressed with snappy.
func (s *Server) push(r *http.Request) (*response, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, badRequest("Content-Type %q: %v", shorten(r.Header.Get("Content-Type")), err)
	}
	var batch []pushed
	switch kind {
	case "application/json":
		batch, err = s.readJSON(r)
	case "application/x-protobuf":
		batch, err = s.readProto(r)
	default:
		return nil, badRequest("Content-Type %q is not supported; use application/json or application/x-protobuf", shorten(kind))
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &httpError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit)}
	}
	if err != nil {
		return nil, err
	}
	accepted, invalid := s.accept(batch)
	return nil, errors.Join(invalid, s.store.push(accepted))
}

// accept checks lines and adds the labels that Loki adds. What it refuses is
// named in the error.
func (s *Server) accept(batch []pushed) ([]pushed, error) {
	latest := s.now().Add(s.opts.Future)
	var out []pushed
	var invalid []error
	for _, p := range batch {
		if len(p.labels) == 0 {
			invalid = append(invalid, badRequest("error at least one label pair is required per stream"))
			continue
		}
		key := p.labels.String()
		kept := pushed{labels: withService(p.labels)}
		for _, e := range p.entries {
			switch {
			case len(e.line) > s.opts.MaxLine:
				invalid = append(invalid, badRequest("max entry size '%d' bytes exceeded for stream '%s' while adding an entry with length '%d' bytes",
					s.opts.MaxLine, key, len(e.line)))
			case e.ts > latest.UnixNano():
				invalid = append(invalid, badRequest("entry for stream '%s' has timestamp too new: %s", key, formatTime(e.ts)))
			default:
				e.meta = withLevel(p.labels, e)
				kept.entries = append(kept.entries, e)
			}
		}
		if len(kept.entries) > 0 {
			out = append(out, kept)
		}
	}
	if len(invalid) > 10 {
		invalid = append(invalid[:10], badRequest("and %d more", len(invalid)-10))
	}
	return out, errors.Join(invalid...)
}

// readJSON reads {"streams":[{"stream":{…},"values":[["ns","line",{…}]]}]}.
func (s *Server) readJSON(r *http.Request) ([]pushed, error) {
	var body io.Reader = r.Body
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, badRequest("the body is not gzip: %v", err)
		}
		body = io.LimitReader(z, int64(s.opts.MaxBody)+1)
	default:
		return nil, badRequest("Content-Encoding %q is not supported", shorten(enc))
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if len(b) > s.opts.MaxBody {
		return nil, &http.MaxBytesError{Limit: int64(s.opts.MaxBody)}
	}
	var req struct {
		Streams []struct {
			Stream map[string]string   `json:"stream"`
			Values [][]json.RawMessage `json:"values"`
		} `json:"streams"`
	}
	if err := json.Unmarshal(b, &req); err != nil {
		return nil, badRequest("the body is not a push request: %v", err)
	}
	out := make([]pushed, 0, len(req.Streams))
	for i, st := range req.Streams {
		p := pushed{}
		for name, v := range st.Stream {
			if !validLabelName(name) {
				return nil, badRequest("streams[%d]: %q is not a label name", i, shorten(name))
			}
			p.labels = append(p.labels, label{name, v})
		}
		p.labels = newLabelSet(p.labels)
		for j, v := range st.Values {
			e, err := jsonEntry(v)
			if err != nil {
				return nil, badRequest("streams[%d].values[%d]: %v", i, j, err)
			}
			p.entries = append(p.entries, e)
		}
		out = append(out, p)
	}
	return out, nil
}

func jsonEntry(v []json.RawMessage) (e entry, err error) {
	if len(v) != 2 && len(v) != 3 {
		return e, fmt.Errorf("a value has a time, a line and perhaps metadata, this one has %d parts", len(v))
	}
	var ts string
	if err := json.Unmarshal(v[0], &ts); err != nil {
		return e, errors.New("the time must be a string of nanoseconds")
	}
	if e.ts, err = timestamp(ts); err != nil {
		return e, err
	}
	if err := json.Unmarshal(v[1], &e.line); err != nil {
		return e, errors.New("the line must be a string")
	}
	if len(v) == 3 {
		var meta map[string]string
		if err := json.Unmarshal(v[2], &meta); err != nil {
			return e, errors.New("metadata must be an object of strings")
		}
		var ls []label
		for name, v := range meta {
			ls = append(ls, label{labelNameFor(name), v})
		}
		e.meta = newLabelSet(ls)
	}
	return e, nil
}

func timestamp(s string) (int64, error) {
	ns, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ns < 0 || ns > maxTime {
		return 0, fmt.Errorf("%q is not a time in nanoseconds", shorten(s))
	}
	return ns, nil
}

// readProto reads logproto.PushRequest.
func (s *Server) readProto(r *http.Request) ([]pushed, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	// The length stands at the start: a small body may claim gigabytes.
	n, err := snappy.DecodedLen(b)
	if err != nil {
		return nil, badRequest("the body is not snappy: %v", err)
	}
	if n > s.opts.MaxBody {
		return nil, &http.MaxBytesError{Limit: int64(s.opts.MaxBody)}
	}
	if b, err = snappy.Decode(nil, b); err != nil {
		return nil, badRequest("the body is not snappy: %v", err)
	}
	var out []pushed
	err = message(b, func(field protowire.Number, v []byte, _ uint64) error {
		if field != 1 {
			return nil
		}
		p, err := protoStream(v)
		out = append(out, p)
		return err
	})
	if err != nil {
		return nil, badRequest("the body is not a push request: %v", err)
	}
	return out, nil
}

// protoStream reads {1: labels as a selector, 2: entries}.
func protoStream(b []byte) (p pushed, err error) {
	err = message(b, func(field protowire.Number, v []byte, _ uint64) error {
		switch field {
		case 1:
			if p.labels, err = parseLabels(string(v)); err != nil {
				return fmt.Errorf("labels %q: %w", shorten(string(v)), err)
			}
		case 2:
			e, err := protoEntry(v)
			if err != nil {
				return err
			}
			p.entries = append(p.entries, e)
		}
		return nil
	})
	return p, err
}

// protoEntry reads {1: time {1: seconds, 2: nanoseconds}, 2: line, 3: metadata {1: name, 2: value}}.
func protoEntry(b []byte) (e entry, err error) {
	var meta []label
	err = message(b, func(field protowire.Number, v []byte, _ uint64) error {
		switch field {
		case 1:
			var sec, nsec uint64
			if err := message(v, func(f protowire.Number, _ []byte, n uint64) error {
				switch f {
				case 1:
					sec = n
				case 2:
					nsec = n
				}
				return nil
			}); err != nil {
				return err
			}
			if sec > uint64(maxTime)/1e9 || nsec >= 1e9 {
				return fmt.Errorf("time of %d s and %d ns is out of range", int64(sec), int64(nsec))
			}
			e.ts = int64(sec)*1e9 + int64(nsec)
		case 2:
			e.line = strings.ToValidUTF8(string(v), "\uFFFD")
		case 3:
			var l label
			if err := message(v, func(f protowire.Number, v []byte, _ uint64) error {
				switch f {
				case 1:
					l.name = labelNameFor(string(v))
				case 2:
					l.value = strings.ToValidUTF8(string(v), "\uFFFD")
				}
				return nil
			}); err != nil {
				return err
			}
			meta = append(meta, l)
		}
		return nil
	})
	e.meta = newLabelSet(meta)
	return e, err
}

// message calls each for every field of a protobuf message: with its bytes, or
// with its number.
func message(b []byte, each func(field protowire.Number, v []byte, n uint64) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var v []byte
		var num uint64
		switch kind {
		case protowire.BytesType:
			v, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			num, n = protowire.ConsumeVarint(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := each(field, v, num); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// parseLabels reads labels written as a selector of equalities.
func parseLabels(s string) (labelSet, error) {
	sel, err := parseSelector(s)
	if err != nil {
		return nil, err
	}
	ls := make([]label, 0, len(sel))
	for _, m := range sel {
		if m.op != "=" {
			return nil, fmt.Errorf("label %s must have a value (=)", m.name)
		}
		ls = append(ls, label{m.name, strings.ToValidUTF8(m.value, "\uFFFD")})
	}
	return newLabelSet(ls), nil
}
