package kit

import (
	"bytes"
	"encoding/json"
	"strings"

	"charm.land/lipgloss/v2"

	"rollcall/sources"
	"rollcall/tui/theme"
)

// Field is one key of a structured log line, its value as text.
type Field struct {
	Key, Value string
}

// LogSummary is a log line for people: its message first, then what else it
// says, in the order in which it was written.
type LogSummary struct {
	Message string
	Fields  []Field
}

// maxSummary is how long a line may be to be taken apart for its summary; a
// longer one is shown as it is, cut.
const maxSummary = 64 << 10

// Summarize takes a JSON log line apart; any other line is its own message.
func Summarize(l *sources.LogLine) LogSummary {
	line := strings.TrimSpace(l.Line)
	if len(line) > maxSummary || !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}") {
		return LogSummary{Message: l.Line}
	}
	fields, ok := objectFields(line)
	if !ok {
		return LogSummary{Message: l.Line}
	}
	var s LogSummary
	for _, f := range fields {
		if s.Message == "" && isMessage(f.Key) {
			s.Message = f.Value
			continue
		}
		s.Fields = append(s.Fields, f)
	}
	return s
}

func isMessage(key string) bool {
	switch key {
	case "msg", "message", "event", "body":
		return true
	}
	return false
}

// Repeated tells fields that a list of lines shows in columns of their own or
// that only repeat what the screen already says.
func Repeated(key string) bool {
	switch key {
	case "ts", "time", "timestamp", "@timestamp", "level", "severity", "lvl", "trace_id", "span_id", "traceID":
		return true
	}
	return false
}

// objectFields reads the top level of a JSON object in its written order;
// nested values stay JSON.
func objectFields(s string) ([]Field, bool) {
	dec := json.NewDecoder(strings.NewReader(s))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, false
	}
	var out []Field
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, false
		}
		name, ok := tok.(string)
		if !ok {
			return nil, false
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, false
		}
		out = append(out, Field{Key: name, Value: jsonText(raw)})
	}
	if _, err := dec.Token(); err != nil || int(dec.InputOffset()) != len(s) {
		return nil, false
	}
	return out, true
}

func jsonText(raw json.RawMessage) string {
	var s string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) == nil {
		return b.String()
	}
	return string(raw)
}

// LevelVerdict is the verdict that a log level amounts to.
func LevelVerdict(level string) sources.Verdict {
	switch strings.ToLower(level) {
	case "error", "err", "fatal", "critical", "crit", "panic", "alert", "emerg":
		return sources.Bad
	case "warn", "warning":
		return sources.Watch
	}
	return sources.OK
}

// Level returns the shape of a log level, its word in five columns, and its style.
func Level(t *theme.Theme, level string) (shape, word string, style lipgloss.Style) {
	switch LevelVerdict(level) {
	case sources.Bad:
		return t.Glyphs.Bad, "error", t.Bad
	case sources.Watch:
		return t.Glyphs.Watch, "warn ", t.Watch
	}
	switch strings.ToLower(level) {
	case "info", "information", "notice":
		return " ", "info ", t.Dim
	case "debug", "trace":
		return " ", "debug", t.Dim
	}
	return " ", "     ", t.Dim
}
