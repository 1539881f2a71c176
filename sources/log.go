package sources

import "time"

// LogLine is one redacted, sanitised log line.
type LogLine struct {
	Time      time.Time         `json:"time"`
	Labels    map[string]string `json:"labels"`         // stream labels
	Meta      map[string]string `json:"meta,omitempty"` // structured metadata
	Line      string            `json:"line"`
	Level     string            `json:"level,omitempty"` // error, warn, info, debug or empty
	RequestID string            `json:"request_id,omitempty"`
	TraceID   string            `json:"trace_id,omitempty"`
	// Says is what an access log of a gateway tells about its request, by column of
	// the request row: "model_requested", "model_served", "provider", "tokens_in",
	// "tokens_out", and "status" (the HTTP code). Nil for most lines.
	Says map[string]LogField `json:"says,omitempty"`
}

// LogField is a value that stands in a line, and the name under which it stands there.
type LogField struct {
	Value string `json:"value"`
	Field string `json:"field"`
}

// LogQuery asks for log lines.
type LogQuery struct {
	Query    string // LogQL; empty means the service's own selector
	Contains string // a further line filter, literal text
	Errors   bool   // only lines that seem to say that they are errors; a tail gives all lines
	Since    time.Time
	Until    time.Time
	Limit    int // lines; the newest win unless Forward
	Forward  bool
}

// LogList is an answer to LogQuery, oldest line first.
type LogList struct {
	Lines []LogLine `json:"lines"`
	Query string    `json:"query"` // as sent
	Facts Facts     `json:"facts"`
	// Redacted counts what was found in these lines and hidden before they left the
	// source, by kind ("email", "api-key", ...; "person" for people that became
	// tokens). It holds no secret. Nil when nothing was.
	Redacted map[string]int `json:"-"`
}

// LogBatch is one delivery of a live tail. A batch without lines reports a change of state.
type LogBatch struct {
	Lines   []LogLine
	Dropped int    // lines that the source or the console had to drop since the last batch
	State   string // "live" or "reconnecting: <reason>"
}
