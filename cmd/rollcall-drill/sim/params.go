package sim

// Param is one number of the model that a version's traits and a scenario's
// effects can move.
type Param int

// The parameters. Probabilities are per request unless said otherwise, times
// are medians in seconds.
const (
	Traffic       Param = iota // weight of arrivals
	TopCaller                  // probability that the busiest user of the tenant asks
	Denied                     // access denied
	Timeout                    // the provider does not answer in time
	ProviderErr                // the provider answers 5xx
	RateLimited                // the provider answers 429
	ToolErr                    // a tool call fails
	SchemaFail                 // of validated answers
	CutOff                     // of answers: stopped by the token limit
	Refusal                    // of answers
	FilterMask                 // of answers: the filter masks a part
	FilterBlock                // of answers: the filter blocks it
	Jailbreak                  // the user tries to break the rules
	Leak                       // of answers: someone else's personal data gets in
	RetrievalMiss              // of retrievals: nothing relevant
	Feedback                   // of answers: the user says up or down
	FeedbackDown               // of feedback: down
	Complaint                  // of answers
	EvalRate                   // of answers: evaluated online
	Groundedness               // mean score
	Helpfulness                // mean score
	Harmlessness               // mean score
	CacheExact                 // hit rate of look-ups
	CacheSemantic              // hit rate of look-ups
	CacheProvider              // hit rate per LLM call
	Fallback                   // of failed LLM calls: the fallback model answers
	Preprocess
	Embed
	VectorSearch
	SearchSlow // of retrievals: twenty times slower than the median
	Rerank
	PromptAssembly
	TTFT       // time to first token
	PerToken   // per output token after the first
	SlowTail   // of LLM calls: five times slower
	ColdSearch // multiplier of vector search when no cache knows the prompt
	ColdTTFT   // multiplier of time to first token when the provider has no prefix cached
	Validation
	Delivery
	TokensIn  // median of the first LLM call
	TokensOut // median of the last LLM call
	Calls     // mean number of LLM calls on the agent route
	Documents // size of the index
	Price     // multiplier of token prices
	Quota     // multiplier of the provider's limits
	Capacity  // multiplier of how much can be worked on at once
	paramCount
)

type paramInfo struct {
	name        string
	wobble      wobble
	probability bool
	base        float64
}

var paramTable = [paramCount]paramInfo{
	Traffic:        {"traffic", steady, false, 1},
	TopCaller:      {"top_caller", steady, true, 0.02},
	Denied:         {"denied", safety, true, 0.003},
	Timeout:        {"timeout", failures, true, 0.0022},
	ProviderErr:    {"provider_error", failures, true, 0.0018},
	RateLimited:    {"rate_limited", failures, true, 0.0006},
	ToolErr:        {"tool_error", failures, true, 0.012},
	SchemaFail:     {"schema_fail", format, true, 0.0085},
	CutOff:         {"cut_off", format, true, 0.006},
	Refusal:        {"refusal", safety, true, 0.011},
	FilterMask:     {"filter_mask", safety, true, 0.010},
	FilterBlock:    {"filter_block", safety, true, 0.004},
	Jailbreak:      {"jailbreak", safety, true, 0.002},
	Leak:           {"leak", steady, true, 0},
	RetrievalMiss:  {"retrieval_miss", relevance, true, 0.055},
	Feedback:       {"feedback", steady, true, 0.09},
	FeedbackDown:   {"feedback_down", opinion, true, 0.125},
	Complaint:      {"complaint", opinion, true, 0.0015},
	EvalRate:       {"eval_rate", steady, true, 0.12},
	Groundedness:   {"groundedness", steady, true, 0.88},
	Helpfulness:    {"helpfulness", steady, true, 0.83},
	Harmlessness:   {"harmlessness", steady, true, 0.97},
	CacheExact:     {"cache_exact", caching, true, 0.08},
	CacheSemantic:  {"cache_semantic", caching, true, 0.11},
	CacheProvider:  {"cache_provider", caching, true, 0.72},
	Fallback:       {"fallback", steady, true, 0.45},
	Preprocess:     {"preprocess", latency, false, 0.012},
	Embed:          {"embed", latency, false, 0.038},
	VectorSearch:   {"vector_search", latency, false, 0.027},
	SearchSlow:     {"search_slow", steady, true, 0.003},
	Rerank:         {"rerank", latency, false, 0.075},
	PromptAssembly: {"prompt_assembly", latency, false, 0.006},
	TTFT:           {"ttft", latency, false, 0.42},
	PerToken:       {"per_token", latency, false, 0.0085},
	SlowTail:       {"slow_tail", steady, true, 0.006},
	ColdSearch:     {"cold_search", steady, false, 1},
	ColdTTFT:       {"cold_ttft", steady, false, 1},
	Validation:     {"validation", latency, false, 0.009},
	Delivery:       {"delivery", latency, false, 0.022},
	TokensIn:       {"tokens_in", size, false, 1750},
	TokensOut:      {"tokens_out", size, false, 150},
	Calls:          {"calls", size, false, 1},
	Documents:      {"documents", steady, false, 48200},
	Price:          {"price", steady, false, 1},
	Quota:          {"quota", steady, false, 1},
	Capacity:       {"capacity", steady, false, 1},
}

func (p Param) String() string { return paramTable[p].name }

// ParamNamed finds a parameter by its name in scenario files.
func ParamNamed(name string) (Param, bool) {
	for i := range paramTable {
		if paramTable[i].name == name {
			return Param(i), true
		}
	}
	return 0, false
}

// ParamNames lists the names in order, for messages and the documentation.
func ParamNames() []string {
	out := make([]string, paramCount)
	for i := range paramTable {
		out[i] = paramTable[i].name
	}
	return out
}

// params holds a value for every parameter.
type params [paramCount]float64

func (p *params) clamp() {
	for i := range p {
		p[i] = max(p[i], 0)
		if paramTable[i].probability {
			p[i] = min(p[i], 1)
		}
	}
}

// The dimensions of a request besides its versions.
type tenant struct {
	name   string
	weight float64
	users  int
	domain string
}

// Tenants in falling order of traffic.
var tenants = [...]tenant{
	{"acme", 24, 260, "acme.example"},
	{"northwind", 18, 210, "northwind.example"},
	{"initech", 14, 150, "initech.example"},
	{"globex", 11, 130, "globex.example"},
	{"contoso", 9, 110, "contoso.example"},
	{"umbrella", 8, 90, "umbrella.example"},
	{"hooli", 6, 70, "hooli.example"},
	{"wayne", 5, 60, "wayne.example"},
	{"tyrell", 3, 40, "tyrell.example"},
	{"fabrikam", 2, 30, "fabrikam.example"},
}

// Route is what a request asks for.
type Route int

// The routes.
const (
	Answer Route = iota
	Summarise
	Classify
	Agent
	routeCount
)

var routes = [routeCount]struct {
	name   string
	prompt string // gen_ai.prompt.name
	weight float64
	base   map[Param]float64
}{
	Answer: {"answer", "support-answer", 57, nil},
	Summarise: {"summarise", "ticket-summary", 17, map[Param]float64{
		TokensIn: 2600, TokensOut: 190, CacheSemantic: 0.03, RetrievalMiss: 0.04, Feedback: 0.04, Helpfulness: 0.85,
	}},
	Classify: {"classify", "intent-classify", 16, map[Param]float64{
		TokensIn: 620, TokensOut: 14, CacheExact: 0.34, CacheSemantic: 0, Feedback: 0.004, TTFT: 0.30,
		Refusal: 0.002, Groundedness: 0.91, Helpfulness: 0.9, SchemaFail: 0.005,
	}},
	Agent: {"agent", "support-agent", 10, map[Param]float64{
		TokensIn: 2100, TokensOut: 170, Calls: 2.9, CacheExact: 0.01, CacheSemantic: 0.01, Feedback: 0.12,
		Helpfulness: 0.80, SchemaFail: 0.013,
	}},
}

func (r Route) String() string { return routes[r].name }

var regions = [...]struct {
	name   string
	weight float64
}{{"eu-west-1", 45}, {"us-east-1", 40}, {"ap-southeast-2", 15}}

// baseParams are the parameters of a route before any trait or effect.
func baseParams(r Route) (p params) {
	for i := range p {
		p[i] = paramTable[i].base
	}
	for k, v := range routes[r].base {
		p[k] = v
	}
	return p
}

// Service names what the assistant is called everywhere.
const (
	Service     = "support-assistant"
	Namespace   = "prod"
	Job         = "assistant"
	Environment = "prod"
	Provider    = "openai"
)

// Regions names where the service runs.
func Regions() []string { return regionNames() }
