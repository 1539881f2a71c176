package tempo

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/protobuf/encoding/protowire"

	"rollcall/sources/otlp"
	"rollcall/sources/rest"
)

// trace is one answer, taken out of its wrapping.
type trace struct {
	spans   ptrace.Traces
	partial bool
	message string
}

// decode reads an answer of either version of the API by what it says it is;
// where it does not say, JSON begins with a brace.
func decode(a rest.Answer, second bool) (trace, error) {
	if len(a.Body) == 0 {
		return trace{spans: ptrace.NewTraces()}, nil
	}
	if a.Type == jsonType || a.Type != protobuf && a.Body[0] == '{' {
		return fromJSON(a.Body)
	}
	if !second {
		td, err := otlp.UnmarshalProto(a.Body)
		return trace{spans: td}, err
	}
	t, err := wrapped(a.Body)
	if err != nil || t.spans.SpanCount() == 0 {
		// Some that speak Tempo's API leave the wrapping out.
		if td, bare := otlp.UnmarshalProto(a.Body); bare == nil && td.SpanCount() > 0 {
			return trace{spans: td}, nil
		}
	}
	return t, err
}

// wrapped reads TraceByIDResponse: the trace in field 1, whether it is a part in
// field 3, and why in field 4.
func wrapped(b []byte) (trace, error) {
	var t trace
	var body []byte
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return t, fmt.Errorf("not a trace in protobuf: %w", protowire.ParseError(n))
		}
		b = b[n:]
		switch {
		case (num == 1 || num == 4) && typ == protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return t, fmt.Errorf("not a trace in protobuf: %w", protowire.ParseError(n))
			}
			if b = b[n:]; num == 1 {
				body = append(body, v...)
			} else {
				t.message = string(v)
			}
		case num == 3 && typ == protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return t, fmt.Errorf("not a trace in protobuf: %w", protowire.ParseError(n))
			}
			b, t.partial = b[n:], v == 1
		default:
			n := protowire.ConsumeFieldValue(num, typ, b)
			if n < 0 {
				return t, fmt.Errorf("not a trace in protobuf: %w", protowire.ParseError(n))
			}
			b = b[n:]
		}
	}
	var err error
	t.spans, err = otlp.UnmarshalProto(body)
	return t, err
}

// fromJSON reads {"batches": …} of the first version, {"trace": {"resourceSpans": …}}
// of the second, and plain OTLP.
func fromJSON(b []byte) (trace, error) {
	type lists struct {
		Batches       json.RawMessage `json:"batches"`
		ResourceSpans json.RawMessage `json:"resourceSpans"`
	}
	var a struct {
		lists
		Trace   *lists          `json:"trace"`
		Status  json.RawMessage `json:"status"`
		Message string          `json:"message"`
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return trace{}, fmt.Errorf("not a trace in JSON: %w", err)
	}
	status := strings.Trim(string(a.Status), `"`)
	t := trace{spans: ptrace.NewTraces(), partial: status == "PARTIAL" || status == "1", message: a.Message}
	if a.Trace != nil {
		a.lists = *a.Trace
	}
	list := a.ResourceSpans
	if len(list) == 0 {
		list = a.Batches
	}
	if len(list) == 0 || string(list) == "null" {
		return t, nil
	}
	if list[0] != '[' {
		return t, errors.New("not a trace in JSON: no list of spans")
	}
	body := make([]byte, 0, len(list)+20)
	body = append(append(append(body, `{"resourceSpans":`...), list...), '}')
	var err error
	t.spans, err = otlp.UnmarshalJSON(body)
	return t, err
}
