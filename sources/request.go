package sources

import (
	"encoding/json"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"
)

// Stage is one of the eight steps of a request.
type Stage int

// The stages in their order.
const (
	Preprocess Stage = iota
	Embed
	VectorSearch
	Rerank
	PromptAssembly
	Inference
	Validation
	Delivery
	StageCount
	NoStage Stage = -1
)

var stageNames = [StageCount]string{
	"preprocess", "embed", "vector_search", "rerank", "prompt_assembly", "inference", "validation", "delivery",
}

func (s Stage) String() string {
	if s < 0 || s >= StageCount {
		return ""
	}
	return stageNames[s]
}

// StageOf returns the stage with that name, or NoStage.
func StageOf(name string) Stage {
	for i, n := range stageNames {
		if n == name {
			return Stage(i)
		}
	}
	return NoStage
}

// Num is a number that may be unknown; unknown is null in JSON and never zero.
type Num struct {
	V  float64
	OK bool
}

// N returns a known number; NaN and infinities are unknown.
func N(v float64) Num { return Num{V: v, OK: !math.IsNaN(v) && !math.IsInf(v, 0)} }

// MarshalJSON writes the number, or null.
func (n Num) MarshalJSON() ([]byte, error) {
	if !n.OK {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, n.V, 'g', -1, 64), nil
}

// UnmarshalJSON reads a number or null.
func (n *Num) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*n = Num{}
		return nil
	}
	if err := json.Unmarshal(b, &n.V); err != nil {
		return err
	}
	n.OK = true
	return nil
}

// Request is the wide row that one trace folds into. Empty text and unknown
// numbers mean that no span carried them; From says which field a column came from.
type Request struct {
	ID             string    `json:"request_id"`
	TraceID        string    `json:"trace_id"`
	ResponseID     string    `json:"response_id"`
	ConversationID string    `json:"conversation_id,omitempty"`
	Time           time.Time `json:"time"`
	Service        string    `json:"service"`
	Environment    string    `json:"environment"`
	Region         string    `json:"region"`
	Route          string    `json:"route"`
	Tenant         string    `json:"tenant"`
	User           string    `json:"user"` // a keyed token, never the person

	Prompt   string `json:"prompt"` // component versions
	Model    string `json:"model"`
	Tools    string `json:"tools"`
	Index    string `json:"index"`
	Policy   string `json:"policy"`
	Manifest string `json:"manifest"`
	Stage    string `json:"stage,omitempty"` // rollout stage: "live", "canary", "shadow", ...

	PromptName       string `json:"prompt_name,omitempty"`
	ModelRequested   string `json:"model_requested"`
	ModelServed      string `json:"model_served"`
	ModelFingerprint string `json:"model_fingerprint,omitempty"`
	Provider         string `json:"provider,omitempty"`

	Outcome      string `json:"outcome"` // "ok" or "error"
	FinishReason string `json:"finish_reason"`
	ErrorType    string `json:"error_type"`

	Latency      Num             `json:"latency_s"`
	StageSeconds [StageCount]Num `json:"-"` // written as "stages": {"embed": 0.01, ...}
	TTFT         Num             `json:"ttft_s"`
	TokensIn     Num             `json:"tokens_in"`
	TokensOut    Num             `json:"tokens_out"`
	TokensCached Num             `json:"tokens_cached"`
	CostUSD      Num             `json:"cost_usd"`

	Cache    string `json:"cache"`              // "exact", "semantic", "provider", "none" or unknown
	Schema   string `json:"schema"`             // "pass", "fail" or unknown
	Filter   string `json:"filter"`             // action of a triggered filter: "block", "mask", ... ; "none"; unknown
	Refusal  string `json:"refusal"`            // "true", "false" or unknown
	Denied   string `json:"access_denied"`      // reason of a denial
	Feedback string `json:"feedback"`           // "up", "down" or none
	Fallback string `json:"fallback,omitempty"` // "from→to" when a fallback answered

	// SchemaError is what the validator said; it is known where the spans are, so of one request, not in lists.
	SchemaError string `json:"schema_error,omitempty"`

	RetrievalQuery string `json:"retrieval_query,omitempty"`
	RetrievalHit   string `json:"retrieval_hit"` // "true", "false" or unknown

	Scores    []EvalScore `json:"scores,omitempty"`
	Documents []Document  `json:"documents,omitempty"`
	ToolCalls []ToolCall  `json:"tool_calls,omitempty"`

	LLMCalls  int               `json:"llm_calls"`
	SpanCount int               `json:"span_count"`
	Sampled   bool              `json:"sampled,omitempty"`
	Flags     []string          `json:"flags,omitempty"` // the Flag constants
	From      map[string]string `json:"from,omitempty"`  // column → field
}

// Flags of a request row: what speaks against believing, or reproducing, it.
const (
	FlagUnpinned   = "unpinned"    // served under an alias that names no snapshot
	FlagNoManifest = "no manifest" // what was live cannot be told
	FlagNoRoot     = "no root"     // the span that began the request is missing, so far
	FlagLarge      = "large trace" // so many spans that stage times are those of the first
)

// EvalScore is one evaluation of a request.
type EvalScore struct {
	Evaluator   string `json:"evaluator"`
	Value       Num    `json:"value"`
	Label       string `json:"label,omitempty"`
	Explanation string `json:"explanation,omitempty"`
}

// Document is one retrieved document.
type Document struct {
	ID    string `json:"id"`
	Score Num    `json:"score"`
}

// ToolCall is one call of a tool.
type ToolCall struct {
	Name      string `json:"name"`
	CallID    string `json:"call_id,omitempty"`
	Error     string `json:"error,omitempty"`
	Arguments string `json:"arguments,omitempty"`
	Result    string `json:"result,omitempty"`
}

// Version returns the row's version of a component.
func (r *Request) Version(c Component) string {
	switch c {
	case Prompt:
		return r.Prompt
	case Model:
		return r.Model
	case Tools:
		return r.Tools
	case Index:
		return r.Index
	case Policy:
		return r.Policy
	}
	return ""
}

// Bad lists why a request counts as bad, worst first; empty means it does not.
func (r *Request) Bad() []string {
	var why []string
	add := func(cond bool, s string) {
		if cond {
			why = append(why, s)
		}
	}
	add(r.Outcome == "error", "error")
	add(r.Denied != "", "denied")
	add(r.Filter != "" && r.Filter != "none", "filter")
	add(r.Schema == "fail", "schema")
	add(r.Refusal == "true", "refusal")
	add(r.FinishReason == "length", "cut off")
	add(r.Feedback == "down", "thumbs down")
	return why
}

// Why is Bad in words for people: the type of the error and the reason of a
// denial instead of that there were some, and nothing said twice.
func (r *Request) Why() []string {
	kind := strings.ToLower(r.ErrorType)
	var out []string
	for _, why := range r.Bad() {
		switch {
		case why == "error" && r.Denied != "" && (strings.Contains(kind, "denied") || strings.Contains(kind, "forbidden")):
			continue
		case why == "error" && kind != "":
			why = r.ErrorType
		case why == "denied":
			why = "access denied"
			if r.Denied != "true" {
				why += ": " + r.Denied
			}
		case r.Outcome == "error" && (why == "schema" || why == "filter" || why == "refusal") && strings.Contains(kind, why):
			continue
		}
		out = append(out, why)
	}
	return out
}

// MarshalJSON adds the per-stage seconds by name and the derived "bad" list.
func (r Request) MarshalJSON() ([]byte, error) {
	type plain Request
	stages := map[string]float64{}
	for i, n := range r.StageSeconds {
		if n.OK {
			stages[stageNames[i]] = n.V
		}
	}
	return json.Marshal(struct {
		plain
		Bad    []string           `json:"bad,omitempty"`
		Stages map[string]float64 `json:"stages,omitempty"`
	}{plain(r), r.Bad(), stages})
}

// RequestFilter selects request rows; empty fields do not filter.
type RequestFilter struct {
	Service   string
	Since     time.Time
	Until     time.Time
	ID        string // request, trace or response ID, exact
	Bad       bool
	Outcome   string
	ErrorType string
	Schema    string
	Route     string
	Tenant    string
	Region    string
	User      string // a keyed token; the backend makes one of any other value
	Versions  map[Component]string
	Served    string
	Where     []Attribute // columns without a field here, and "document", "tool", "tool_error"
	Limit     int         // rows, newest first
}

// With returns the filter with an attribute added, in the field that is for it;
// false for what is no column but made of one, as a range of latencies.
func (f RequestFilter) With(a Attribute) (RequestFilter, bool) {
	switch a.Name {
	case "prompt", "model", "tools", "index", "policy":
		f.Versions = maps.Clone(f.Versions)
		if f.Versions == nil {
			f.Versions = map[Component]string{}
		}
		f.Versions[Component(a.Name)] = a.Value
	case "outcome":
		f.Outcome = a.Value
	case "error_type":
		f.ErrorType = a.Value
	case "schema":
		f.Schema = a.Value
	case "route":
		f.Route = a.Value
	case "tenant":
		f.Tenant = a.Value
	case "region":
		f.Region = a.Value
	case "user":
		f.User = a.Value
	case "model_served":
		f.Served = a.Value
	case "latency", "tokens_in", "tokens_out", "llm_calls", "user_group":
		return f, false
	default:
		f.Where = append(f.Where[:len(f.Where):len(f.Where)], a)
	}
	return f, true
}

// RequestAttributes are the names, besides the components, by which RequestFilter.With can
// pick requests.
var RequestAttributes = []string{
	"route", "tenant", "user", "region", "outcome", "error_type", "schema", "model_served", "document", "tool", "tool_error", "manifest", "stage",
	"environment", "prompt_name", "model_requested", "model_fingerprint", "provider", "cache", "finish_reason", "filter", "refusal", "access_denied",
	"feedback", "fallback", "retrieval_hit",
}

// Attribute returns what a row has under a name of RequestFilter.Where; of lists, all values.
func (r *Request) Attribute(name string) []string {
	one := func(s string) []string { return []string{s} }
	var out []string
	switch name {
	case "document":
		for i := range r.Documents {
			out = append(out, r.Documents[i].ID)
		}
	case "tool", "tool_error":
		for i := range r.ToolCalls {
			if name == "tool" || r.ToolCalls[i].Error != "" {
				out = append(out, r.ToolCalls[i].Name)
			}
		}
	case "manifest":
		return one(r.Manifest)
	case "stage":
		return one(r.Stage)
	case "environment":
		return one(r.Environment)
	case "prompt_name":
		return one(r.PromptName)
	case "model_requested":
		return one(r.ModelRequested)
	case "model_fingerprint":
		return one(r.ModelFingerprint)
	case "provider":
		return one(r.Provider)
	case "cache":
		return one(r.Cache)
	case "finish_reason":
		return one(r.FinishReason)
	case "filter":
		return one(r.Filter)
	case "refusal":
		return one(r.Refusal)
	case "access_denied":
		return one(r.Denied)
	case "feedback":
		return one(r.Feedback)
	case "fallback":
		return one(r.Fallback)
	case "retrieval_hit":
		return one(r.RetrievalHit)
	}
	return out
}

// RequestList is an answer to RequestFilter, newest first.
type RequestList struct {
	Rows  []Request `json:"rows"`
	Facts Facts     `json:"facts"`
}

// RequestBucket sums the request rows of one span of time: what request-row
// providers of signals are computed from.
type RequestBucket struct {
	Start        time.Time
	Group        string // value of the column asked for; "" without a split
	N            int
	Errors       int
	Schema       [2]int // pass, fail
	Feedback     [2]int // up, down
	Refusals     [2]int // of known: not refused, refused
	Filters      [2]int // of known: none, triggered
	Retrieval    [2]int // hit, miss
	Denied       int
	CutOff       int
	Fallbacks    int
	CacheHits    map[string]int // by kind, "none" included
	TokensIn     float64
	TokensOut    float64
	TokensCached float64
	WithTokens   int
	CostUSD      float64
	WithCost     int
	Sampled      int // of N: that stand for others, which were not kept
	WithModel    int // of which the served model is known
	Unpinned     int // served under an alias that names no snapshot
	NoManifest   int // what was live cannot be told: not reproducible
	// Latency and TTFT hold P50, P95, P99 in seconds; unknown without rows.
	Latency [3]Num
	TTFT    [3]Num
	ByError map[string]int   // by error type
	Scores  map[string]MeanN // by evaluator
}

// MeanN is a mean with the number of values behind it.
type MeanN struct {
	Mean float64
	N    int
}

// RequestView is everything known about one request.
type RequestView struct {
	Request Request      `json:"request"`
	Spans   []Span       `json:"-"`
	Events  []TraceEvent `json:"-"`
	Content []Content    `json:"content,omitempty"`
	Logs    LogList      `json:"logs"`
	// LastGood is the newest manifest before the request that lived without a bad verdict, when known.
	LastGood *Manifest `json:"last_good,omitempty"`
	Diff     []Change  `json:"diff,omitempty"`  // components in which the request differs from LastGood
	Alike    []Request `json:"alike,omitempty"` // requests that failed the same way
	Answers  []Answer  `json:"answers"`
}

// Content is a redacted piece of what the model saw or said.
type Content struct {
	Kind string `json:"kind"` // "system", "prompt", "context", "response", "tool"
	Role string `json:"role,omitempty"`
	Text string `json:"text"`
	From string `json:"from"` // the field it came from
}

// Answer says what one source had about a request.
type Answer struct {
	Source string `json:"source"`
	Found  bool   `json:"found"`
	Note   string `json:"note"` // "12 spans in 0.4 ms", "no lines carry this ID", "connection refused"
}
