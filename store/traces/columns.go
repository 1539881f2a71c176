package traces

import (
	"database/sql/driver"
	"encoding/hex"
	"strings"
	"time"

	"rollcall/sources"
)

// textColumns are the columns of the request row that hold text.
var textColumns = [...]struct {
	name string
	at   func(*sources.Request) *string
}{
	{"request_id", func(r *sources.Request) *string { return &r.ID }},
	{"response_id", func(r *sources.Request) *string { return &r.ResponseID }},
	{"conversation_id", func(r *sources.Request) *string { return &r.ConversationID }},
	{"service", func(r *sources.Request) *string { return &r.Service }},
	{"environment", func(r *sources.Request) *string { return &r.Environment }},
	{"region", func(r *sources.Request) *string { return &r.Region }},
	{"route", func(r *sources.Request) *string { return &r.Route }},
	{"tenant", func(r *sources.Request) *string { return &r.Tenant }},
	{"user", func(r *sources.Request) *string { return &r.User }},
	{"prompt", func(r *sources.Request) *string { return &r.Prompt }},
	{"model", func(r *sources.Request) *string { return &r.Model }},
	{"tools", func(r *sources.Request) *string { return &r.Tools }},
	{"idx", func(r *sources.Request) *string { return &r.Index }},
	{"policy", func(r *sources.Request) *string { return &r.Policy }},
	{"manifest", func(r *sources.Request) *string { return &r.Manifest }},
	{"rollout", func(r *sources.Request) *string { return &r.Stage }},
	{"prompt_name", func(r *sources.Request) *string { return &r.PromptName }},
	{"model_requested", func(r *sources.Request) *string { return &r.ModelRequested }},
	{"model_served", func(r *sources.Request) *string { return &r.ModelServed }},
	{"fingerprint", func(r *sources.Request) *string { return &r.ModelFingerprint }},
	{"provider", func(r *sources.Request) *string { return &r.Provider }},
	{"outcome", func(r *sources.Request) *string { return &r.Outcome }},
	{"finish", func(r *sources.Request) *string { return &r.FinishReason }},
	{"error_type", func(r *sources.Request) *string { return &r.ErrorType }},
	{"cache", func(r *sources.Request) *string { return &r.Cache }},
	{"schema_result", func(r *sources.Request) *string { return &r.Schema }},
	{"filter", func(r *sources.Request) *string { return &r.Filter }},
	{"refusal", func(r *sources.Request) *string { return &r.Refusal }},
	{"denied", func(r *sources.Request) *string { return &r.Denied }},
	{"feedback", func(r *sources.Request) *string { return &r.Feedback }},
	{"fallback", func(r *sources.Request) *string { return &r.Fallback }},
	{"retrieval_query", func(r *sources.Request) *string { return &r.RetrievalQuery }},
	{"retrieval_hit", func(r *sources.Request) *string { return &r.RetrievalHit }},
}

// numberColumns are the columns of the request row that hold a number or nothing.
var numberColumns = [...]struct {
	name string
	at   func(*sources.Request) *sources.Num
}{
	{"latency", func(r *sources.Request) *sources.Num { return &r.Latency }},
	{"ttft", func(r *sources.Request) *sources.Num { return &r.TTFT }},
	{"tokens_in", func(r *sources.Request) *sources.Num { return &r.TokensIn }},
	{"tokens_out", func(r *sources.Request) *sources.Num { return &r.TokensOut }},
	{"tokens_cached", func(r *sources.Request) *sources.Num { return &r.TokensCached }},
	{"cost", func(r *sources.Request) *sources.Num { return &r.CostUSD }},
	{"s_preprocess", stageAt(sources.Preprocess)},
	{"s_embed", stageAt(sources.Embed)},
	{"s_vector_search", stageAt(sources.VectorSearch)},
	{"s_rerank", stageAt(sources.Rerank)},
	{"s_prompt_assembly", stageAt(sources.PromptAssembly)},
	{"s_inference", stageAt(sources.Inference)},
	{"s_validation", stageAt(sources.Validation)},
	{"s_delivery", stageAt(sources.Delivery)},
}

func stageAt(s sources.Stage) func(*sources.Request) *sources.Num {
	return func(r *sources.Request) *sources.Num { return &r.StageSeconds[s] }
}

// Besides: key (the trace's number in its partition), trace (16 bytes), time
// (Unix nanoseconds of the start), bad (0 or 1, as Request.Bad says), llm_calls,
// spans, sampled, flags (joined by newlines), origin (which set of fields the columns came from).
const fixedColumns = 9

var (
	requestColumns = func() string {
		names := []string{"key", "trace", "time", "bad", "llm_calls", "spans", "sampled", "flags", "origin"}
		for _, c := range textColumns {
			names = append(names, c.name)
		}
		for _, c := range numberColumns {
			names = append(names, c.name)
		}
		return strings.Join(names, ",")
	}()
	requestDDL = func() string {
		var b strings.Builder
		b.WriteString("CREATE TABLE requests(key INTEGER PRIMARY KEY,trace BLOB NOT NULL,time INTEGER NOT NULL,bad INTEGER NOT NULL," +
			"llm_calls INTEGER NOT NULL,spans INTEGER NOT NULL,sampled INTEGER NOT NULL,flags TEXT NOT NULL,origin INTEGER NOT NULL")
		for _, c := range textColumns {
			b.WriteString("," + c.name + " TEXT NOT NULL")
		}
		for _, c := range numberColumns {
			b.WriteString("," + c.name + " REAL")
		}
		b.WriteString(")")
		return b.String()
	}()
	insertRequest = "INSERT OR REPLACE INTO requests(" + requestColumns + ") VALUES(?" +
		strings.Repeat(",?", fixedColumns+len(textColumns)+len(numberColumns)-1) + ")"
)

// bindRequest fills args for insertRequest.
func bindRequest(args []driver.Value, key int64, trace sources.TraceID, origin int64, r *sources.Request) []driver.Value {
	flag := func(b bool) int64 {
		if b {
			return 1
		}
		return 0
	}
	args = append(args[:0], key, trace[:], r.Time.UnixNano(), flag(len(r.Bad()) > 0),
		int64(r.LLMCalls), int64(r.SpanCount), flag(r.Sampled), strings.Join(r.Flags, "\n"), origin)
	for i := range textColumns {
		args = append(args, *textColumns[i].at(r))
	}
	for i := range numberColumns {
		if n := numberColumns[i].at(r); n.OK {
			args = append(args, n.V)
		} else {
			args = append(args, nil)
		}
	}
	return args
}

// scanned is one row on its way out of the database.
type scanned struct {
	key, origin int64
	row         sources.Request
}

// scanRequest reads a row selected with requestColumns.
func scanRequest(v []any) scanned {
	var s scanned
	r := &s.row
	s.key = integer(v[0])
	if b, ok := v[1].([]byte); ok {
		r.TraceID = hex.EncodeToString(b)
	}
	r.Time = time.Unix(0, integer(v[2])).UTC()
	r.LLMCalls, r.SpanCount, r.Sampled = int(integer(v[4])), int(integer(v[5])), integer(v[6]) != 0
	if f := text(v[7]); f != "" {
		r.Flags = strings.Split(f, "\n")
	}
	s.origin = integer(v[8])
	v = v[fixedColumns:]
	for i := range textColumns {
		*textColumns[i].at(r) = text(v[i])
	}
	v = v[len(textColumns):]
	for i := range numberColumns {
		*numberColumns[i].at(r) = number(v[i])
	}
	return s
}

func integer(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	case bool:
		if n {
			return 1
		}
	}
	return 0
}

func number(v any) sources.Num {
	switch n := v.(type) {
	case float64:
		return sources.N(n)
	case int64:
		return sources.N(float64(n))
	}
	return sources.Num{}
}

func text(v any) string {
	switch s := v.(type) {
	case string:
		return s
	case []byte:
		return string(s)
	}
	return ""
}

// componentColumn is the column that holds a component's version.
func componentColumn(c sources.Component) (string, bool) {
	switch c {
	case sources.Prompt, sources.Model, sources.Tools, sources.Policy:
		return string(c), true
	case sources.Index:
		return "idx", true
	}
	return "", false
}
