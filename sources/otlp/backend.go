package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"rollcall/sources"
)

// Spans converts spans that were read from a trace backend: bounded, sanitised
// and redacted as those that the endpoint receives. It returns at most limit
// spans, and how many there were.
func Spans(td ptrace.Traces, red Redactor, limit int) (spans []sources.Span, total int) {
	total = td.SpanCount()
	if total > limit {
		left := limit
		td.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
			rs.ScopeSpans().RemoveIf(func(ss ptrace.ScopeSpans) bool {
				ss.Spans().RemoveIf(func(ptrace.Span) bool {
					left--
					return left < 0
				})
				return ss.Spans().Len() == 0
			})
			return rs.ScopeSpans().Len() == 0
		})
	}
	out, _ := traces(td, red)
	return out.Spans, total
}

// UnmarshalProto reads the protobuf message in which field 1 repeats
// ResourceSpans, as OTLP and Tempo write it. Input of any kind ends in an error at worst.
func UnmarshalProto(body []byte) (td ptrace.Traces, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("protobuf that cannot be read: %v", p)
		}
	}()
	return (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(body)
}

// UnmarshalJSON reads {"resourceSpans": […]}. OTLP writes IDs in hex; older
// servers, which use protobuf's own JSON, in base64: both are read.
func UnmarshalJSON(body []byte) (td ptrace.Traces, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("JSON that cannot be read: %v", p)
		}
	}()
	if td, err = (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(body); err == nil {
		return td, nil
	}
	inHex, changed := hexIDs(body)
	if !changed {
		return td, err
	}
	return (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(inHex)
}

// hexIDs rewrites the base64 IDs of spans. A quote inside a JSON text is always
// escaped, so that the names of the keys are found nowhere else.
func hexIDs(body []byte) (out []byte, changed bool) {
	for {
		i := bytes.Index(body, []byte(`Id"`))
		if i < 0 {
			return append(out, body...), changed
		}
		key := body[:i+3]
		out, body = append(out, key...), body[i+3:]
		if !bytes.HasSuffix(key, []byte(`"traceId"`)) && !bytes.HasSuffix(key, []byte(`"spanId"`)) && !bytes.HasSuffix(key, []byte(`"parentSpanId"`)) {
			continue
		}
		id, before, after, err := text(body)
		if err != nil {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(string(id))
		if err != nil || len(raw) != 16 && len(raw) != 8 || len(id)%4 != 0 || len(id) == 32 || len(id) == 16 {
			continue
		}
		out = append(append(out, before...), hex.EncodeToString(raw)...)
		body, changed = after, true
	}
}

var errNoText = errors.New("no text follows")

// text takes : "value" off the beginning; before ends with the opening quote, after begins with the closing one.
func text(b []byte) (value, before, after []byte, err error) {
	open := bytes.IndexByte(b, '"')
	if open < 0 || len(bytes.Trim(b[:open], " \t\r\n:")) > 0 {
		return nil, nil, nil, errNoText
	}
	end := bytes.IndexByte(b[open+1:], '"')
	if end < 0 {
		return nil, nil, nil, errNoText
	}
	return b[open+1 : open+1+end], b[:open+1], b[open+1+end:], nil
}
