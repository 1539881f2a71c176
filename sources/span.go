package sources

import (
	"encoding/hex"
	"strings"
	"time"
)

// TraceID and SpanID are as in OpenTelemetry; zero means absent.
type (
	TraceID [16]byte
	SpanID  [8]byte
)

func (id TraceID) String() string { return hex.EncodeToString(id[:]) }
func (id SpanID) String() string  { return hex.EncodeToString(id[:]) }

// IsZero tells whether the ID is absent.
func (id TraceID) IsZero() bool { return id == TraceID{} }

// IsZero tells whether the ID is absent.
func (id SpanID) IsZero() bool { return id == SpanID{} }

// Attr is one attribute. The value is text: numbers and booleans in their
// shortest form, arrays and maps as JSON. It is redacted and sanitised.
type Attr struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Attrs is a short list, looked up by walking it.
type Attrs []Attr

// Get returns the value under key.
func (a Attrs) Get(key string) (string, bool) {
	for i := range a {
		if a[i].Key == key {
			return a[i].Value, true
		}
	}
	return "", false
}

// Resource is what emitted a span; spans of one batch share it.
type Resource struct {
	Service string `json:"service"`
	Attrs   Attrs  `json:"attrs,omitempty"`
}

// Span is one redacted span.
type Span struct {
	TraceID  TraceID     `json:"-"`
	SpanID   SpanID      `json:"-"`
	Parent   SpanID      `json:"-"`
	Name     string      `json:"name"`
	Kind     string      `json:"kind,omitempty"` // server, client, internal, producer, consumer
	Start    int64       `json:"start_ns"`       // Unix nanoseconds
	End      int64       `json:"end_ns"`
	Error    bool        `json:"error,omitempty"`
	Message  string      `json:"message,omitempty"` // status message
	Attrs    Attrs       `json:"attrs,omitempty"`
	Events   []SpanEvent `json:"events,omitempty"`
	Resource *Resource   `json:"resource,omitempty"`
}

// Duration is never negative, whatever the sender's clock did.
func (s *Span) Duration() time.Duration { return time.Duration(max(0, s.End-s.Start)) }

// SpanEvent is an event recorded inside a span.
type SpanEvent struct {
	Time  int64  `json:"time_ns"`
	Name  string `json:"name"`
	Attrs Attrs  `json:"attrs,omitempty"`
}

// TraceEvent is a log record that belongs to a request: an evaluation result or
// message content, joined by trace ID or, when that is zero, by the provider's response ID.
type TraceEvent struct {
	TraceID    TraceID   `json:"-"`
	SpanID     SpanID    `json:"-"`
	ResponseID string    `json:"response_id,omitempty"`
	Name       string    `json:"name"` // "gen_ai.evaluation.result", ...
	Time       int64     `json:"time_ns"`
	Attrs      Attrs     `json:"attrs,omitempty"`
	Resource   *Resource `json:"resource,omitempty"`
}

// TraceBatch is what the OTLP endpoint hands on: spans and events of one export call.
type TraceBatch struct {
	Spans  []Span
	Events []TraceEvent
}

// TraceQuery asks a trace backend for whole traces.
type TraceQuery struct {
	Service string   // service.name; empty for all
	Fields  []string // attributes of spans of which one must equal Value; none: any trace
	Value   string
	Failed  bool // only traces with a failed span
	Since   time.Time
	Until   time.Time
	Limit   int // traces; the backend decides which, mostly the newest
}

// TraceList is an answer to TraceQuery, newest trace first.
type TraceList struct {
	Traces [][]Span
	Facts  Facts
}

// ParseTraceID reads a trace ID in hex; leading zeros may be missing, as some
// backends leave them out.
func ParseTraceID(s string) (TraceID, bool) {
	var id TraceID
	if s == "" || len(s) > 32 {
		return id, false
	}
	raw, err := hex.DecodeString(strings.Repeat("0", 32-len(s)) + s)
	if err != nil {
		return id, false
	}
	copy(id[:], raw)
	return id, !id.IsZero()
}
