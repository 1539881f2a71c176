package loki

import (
	"bufio"
	"strings"

	"rollcall/sources"
)

// maxID is the length of the longest ID that is taken for one.
const maxID = 128

// maxParsed is how much of a line is searched for IDs and level.
const maxParsed = 64 << 10

// identity is what a line says about itself, read before redaction so that no
// ID is lost to a pattern that it happens to look like.
type identity struct {
	json               *jsonText
	requestID, traceID string
	requestRank        int
	said, guessed      string // level said by the sender, and guessed by Loki
	word               string // level that stands in the text
	says               map[string]sources.LogField
}

// Names of fields, after lower-casing and replacing - . / by _. For request IDs
// the earlier wins.
var requestNames = []string{
	"llmops_request_id", "request_id", "requestid", "req_id", "reqid", "x_request_id",
	"http_request_header_x_request_id", "litellm_call_id", "x_litellm_call_id",
}

func (id *identity) fields(m map[string]string) {
	for k, v := range m {
		id.field(k, v)
	}
}

func (id *identity) field(name, v string) {
	if v == "" || v == "null" || len(name) > 64 {
		return
	}
	original := name
	name = normal(name)
	switch name {
	case "trace_id", "traceid", "oteltraceid", "otel_trace_id", "dd_trace_id", "x_b3_traceid", "trace", "logging_googleapis_com_trace":
		if id.traceID == "" {
			v = v[strings.LastIndexByte(v, '/')+1:]
			if isID(v) && (name != "trace" || len(v) >= 16) {
				id.traceID = v
			}
		}
		return
	case "traceparent":
		if parts := strings.Split(v, "-"); id.traceID == "" && len(parts) == 4 && len(parts[1]) == 32 && isID(parts[1]) {
			id.traceID = parts[1]
		}
		return
	case "level", "severity", "lvl", "loglevel", "log_level", "severity_text", "severitytext", "levelname":
		if id.said == "" {
			id.said = level(v)
		}
		return
	case "detected_level":
		id.guessed = level(v)
		return
	case "gen_ai_request_model", "gen_ai_original_model", "requested_model", "llm_request_model_name":
		id.say("model_requested", original, v, isID)
		return
	case "gen_ai_response_model", "llm_response_model_name", "litellm_model_name":
		id.say("model_served", original, v, isID)
		return
	case "gen_ai_provider_name", "gen_ai_system":
		id.say("provider", original, v, isID)
		return
	case "gen_ai_usage_input_tokens", "gen_ai_usage_prompt_tokens", "llm_input_token", "prompt_tokens":
		id.say("tokens_in", original, v, isCount)
		return
	case "gen_ai_usage_output_tokens", "gen_ai_usage_completion_tokens", "llm_output_token", "completion_tokens":
		id.say("tokens_out", original, v, isCount)
		return
	case "response_code", "http_response_status_code", "http_status_code", "status_code":
		if len(v) == 3 {
			id.say("status", original, v, isCount)
		}
		return
	}
	for rank, want := range requestNames {
		if name == want {
			if (id.requestID == "" || rank < id.requestRank) && isID(v) {
				id.requestID, id.requestRank = v, rank
			}
			return
		}
	}
}

// say keeps the first good value of a column.
func (id *identity) say(column, field, v string, good func(string) bool) {
	if _, said := id.says[column]; said || !good(v) || v == "None" {
		return
	}
	if id.says == nil {
		id.says = map[string]sources.LogField{}
	}
	id.says[column] = sources.LogField{Value: v, Field: field}
}

// isCount tells whether a value is a plain number of reasonable size.
func isCount(v string) bool {
	for i := range len(v) {
		if v[i]-'0' > 9 {
			return false
		}
	}
	return v != "" && len(v) <= 12
}

// line looks into JSON, also nested, and logfmt.
func (id *identity) line(s string) {
	s = s[:min(len(s), maxParsed)]
	text := strings.TrimLeft(s, " \t")
	if strings.HasPrefix(text, "{") {
		if id.json == nil {
			id.json = newJSONText()
		}
		_ = id.object(id.json.of(text), 0) // a line that is no JSON, or a part of some, says what it said so far
		return
	}
	id.logfmt(text)
	if id.said == "" && id.guessed == "" {
		id.word = levelWord(text)
	}
}

// jsonText is a reader of texts, one after the other.
type jsonText struct {
	text strings.Reader
	r    *reader
}

func newJSONText() *jsonText {
	return &jsonText{r: &reader{r: bufio.NewReaderSize(nil, 4<<10), max: 4 * maxID}}
}

func (j *jsonText) of(s string) *reader {
	j.text.Reset(s)
	j.r.reset(&j.text)
	return j.r
}

func (id *identity) object(r *reader, depth int) error {
	return r.object(func(key string) error {
		c, err := r.next()
		if err != nil {
			return err
		}
		if c == '{' && depth < 3 {
			return id.object(r, depth+1)
		}
		v, ok, err := r.scalar()
		if err == nil && ok && r.cut == 0 {
			id.field(key, v)
		}
		return err
	})
}

// logfmt reads key=value and key="value" wherever they stand.
func (id *identity) logfmt(s string) {
	for {
		eq := strings.IndexByte(s, '=')
		if eq < 0 {
			return
		}
		key := s[strings.LastIndexAny(s[:eq], " \t,[({|;")+1 : eq]
		s = s[eq+1:]
		var v string
		if strings.HasPrefix(s, `"`) {
			end := strings.IndexByte(s[1:], '"')
			if end < 0 {
				return
			}
			v, s = s[1:1+end], s[2+end:]
		} else {
			end := strings.IndexAny(s, " \t,])}|;\n")
			if end < 0 {
				end = len(s)
			}
			v, s = s[:end], s[end:]
		}
		id.field(key, v)
	}
}

func (id *identity) level() string {
	if code := id.says["status"].Value; id.said == "" && len(code) == 3 && code[0] == '5' {
		return "error" // an access log has no levels, and a guess at one knows less
	}
	return orElse(id.said, orElse(id.guessed, id.word))
}

// normal makes names of the same field equal.
func normal(name string) string {
	var b [64]byte
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '-' || c == '.' || c == '/':
			c = '_'
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		}
		b[i] = c
	}
	return string(b[:len(name)])
}

// isID tells whether a value has the shape of an ID: one short word without anything that could be read as text.
func isID(v string) bool {
	if len(v) < 2 || len(v) > maxID {
		return false
	}
	for i := range len(v) {
		c := v[i]
		if c|0x20-'a' > 25 && c-'0' > 9 && strings.IndexByte("-_.:/+=#", c) < 0 {
			return false
		}
	}
	return true
}

// level reduces the names that loggers give their levels to four.
func level(v string) string {
	switch strings.ToLower(strings.TrimSpace(v)) {
	case "error", "err", "fatal", "critical", "crit", "panic", "alert", "emerg", "emergency", "severe", "e", "f", "50", "60":
		return "error"
	case "warn", "warning", "w", "40":
		return "warn"
	case "info", "information", "informational", "notice", "i", "30":
		return "info"
	case "debug", "trace", "verbose", "fine", "d", "t", "10", "20":
		return "debug"
	}
	return ""
}

// levelWord finds a level in capitals near the beginning of a line without fields.
func levelWord(s string) string {
	s = s[:min(len(s), 80)]
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return r < 'A' || r > 'Z' && r < 'a' || r > 'z' }) {
		if len(w) >= 4 && w == strings.ToUpper(w) {
			if l := level(w); l != "" {
				return l
			}
		}
	}
	return ""
}
