package sim

// What the service counts. Names and labels are those of docs/llmops-contract.md;
// the gen_ai_* ones are the client metrics of the OpenTelemetry GenAI conventions
// up to 1.41, as a Prometheus exporter spells them.

var (
	requestBounds = []float64{0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 9, 14, 20, 40}
	ttftBounds    = []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10}
	scoreBounds   = []float64{0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1}
	promptBounds  = []float64{256, 512, 1024, 2048, 3072, 4096, 8192, 16384, 32768}
	searchBounds  = []float64{0.01, 0.02, 0.03, 0.05, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5}
	waitBounds    = []float64{0.01, 0.05, 0.2, 0.5, 1, 2, 5, 10, 20}
	callBounds    = []float64{0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96}
	chunkBounds   = []float64{0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24}
	tokenBounds   = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536}
)

// errorType is why a request failed; zero is no error.
type errorType int

const (
	noError errorType = iota
	errTimeout
	errProvider
	errRateLimited
	errTool
	errDenied
	errOverloaded
	errBudget
	errorCount
)

var errorNames = [errorCount]string{
	"", "timeout", "provider_error", "rate_limited", "tool_error", "access_denied", "overloaded", "budget_exceeded",
}

func (e errorType) String() string { return errorNames[e] }

type finish int

const (
	finishStop finish = iota
	finishLength
	finishTools
	finishFilter
	finishRefusal
	finishCount
)

var finishNames = [finishCount]string{"stop", "length", "tool_calls", "content_filter", "refusal"}

func (f finish) String() string { return finishNames[f] }

type filterAction int

const (
	filterNotRun filterAction = iota
	filterNone
	filterMask
	filterBlock
	filterCount
)

var filterNames = [filterCount]string{"", "none", "mask", "block"}

func (f filterAction) String() string { return filterNames[f] }

// Cache says which cache answered.
type Cache int

// The caches; a provider's cache serves a prefix of the prompt, not the answer.
const (
	CacheNone Cache = iota
	ExactHit
	SemanticHit
	ProviderHit
	cacheCount
)

var cacheNames = [cacheCount]string{"none", "exact", "semantic", "provider"}

func (c Cache) String() string { return cacheNames[c] }

var (
	deniedReasons  = [...]string{"tenant_mismatch", "document_acl", "expired_token", "suspended"}
	evaluators     = [...]string{"groundedness", "helpfulness", "harmlessness"}
	redactionKinds = [...]string{"email", "phone", "card", "secret"}
)

// versioned is the family of metrics that carry prompt, model and index.
var versioned = func() (v struct {
	layout
	requests     [routeCount][errorCount]int
	seconds      [routeCount]int
	ttft         int
	tokens       [3]int // input, output, cached
	finish       [finishCount]int
	pass, fail   int
	up, down     int
	complaints   int
	score        [len(evaluators)]int
	hit, miss    int
	refusals     int
	filter       [filterCount]int
	cost         int
	promptTokens int
},
) {
	l := &v.layout
	for r := range routeCount {
		v.requests[r][noError] = l.counter(steady, "llmops_requests_total",
			"route", r.String(), "outcome", "ok", "error_type", "")
		for e := noError + 1; e < errorCount; e++ {
			v.requests[r][e] = -1
			switch {
			case e == errTool && r != Agent: // only agents call tools
				continue
			case e == errOverloaded, e == errBudget: // in the family of the rare ones
				continue
			}
			w := failures
			if e == errDenied {
				w = safety
			}
			v.requests[r][e] = l.counter(w, "llmops_requests_total",
				"route", r.String(), "outcome", "error", "error_type", e.String())
		}
		v.seconds[r] = l.histogram(steady, true, requestBounds, "llmops_request_seconds", "route", r.String())
	}
	v.ttft = l.histogram(steady, true, ttftBounds, "llmops_ttft_seconds")
	for i, kind := range []string{"input", "output", "cached"} {
		v.tokens[i] = l.amount(size, "llmops_tokens_total", "kind", kind)
	}
	for f := range finishCount {
		w := steady
		switch f {
		case finishLength:
			w = format
		case finishFilter, finishRefusal:
			w = safety
		}
		v.finish[f] = l.counter(w, "llmops_finish_total", "reason", f.String())
	}
	v.pass = l.counter(steady, "llmops_validation_total", "result", "pass")
	v.fail = l.counter(format, "llmops_validation_total", "result", "fail")
	v.up = l.counter(steady, "llmops_feedback_total", "verdict", "up")
	v.down = l.counter(opinion, "llmops_feedback_total", "verdict", "down")
	v.complaints = l.counter(opinion, "llmops_complaints_total")
	for i, name := range evaluators {
		v.score[i] = l.histogram(steady, false, scoreBounds, "llmops_eval_score", "evaluator", name)
	}
	v.hit = l.counter(steady, "llmops_retrieval_total", "hit", "true")
	v.miss = l.counter(relevance, "llmops_retrieval_total", "hit", "false")
	v.refusals = l.counter(safety, "llmops_refusals_total")
	v.filter[filterNone] = l.counter(steady, "llmops_filter_total", "action", "none")
	v.filter[filterMask] = l.counter(safety, "llmops_filter_total", "action", "mask")
	v.filter[filterBlock] = l.counter(safety, "llmops_filter_total", "action", "block")
	v.cost = l.amount(size, "llmops_cost_usd_total")
	v.promptTokens = l.histogram(size, false, promptBounds, "llmops_prompt_tokens")
	return v
}()

// rare is the family of failed requests that a healthy service never shows.
var rare = func() (v struct {
	layout
	requests [routeCount][errorCount]int
},
) {
	for r := range routeCount {
		for _, e := range []errorType{errOverloaded, errBudget} {
			v.requests[r][e] = v.counter(steady, "llmops_requests_total",
				"route", r.String(), "outcome", "error", "error_type", e.String())
		}
	}
	return v
}()

// plain is the family of metrics without versions.
var plain = func() (v struct {
	layout
	denied     [len(deniedReasons)]int
	cache      [cacheCount][2]int // hit, miss
	saved      [cacheCount]int
	wait       int
	dropped    int
	redactions [len(redactionKinds)]int
},
) {
	l := &v.layout
	for i, reason := range deniedReasons {
		v.denied[i] = l.counter(safety, "llmops_access_denied_total", "reason", reason)
	}
	for c := ExactHit; c < cacheCount; c++ {
		v.cache[c][0] = l.counter(caching, "llmops_cache_total", "kind", c.String(), "result", "hit")
		v.cache[c][1] = l.counter(steady, "llmops_cache_total", "kind", c.String(), "result", "miss")
		v.saved[c] = l.amount(caching, "llmops_cache_saved_usd_total", "kind", c.String())
	}
	v.wait = l.histogram(steady, false, waitBounds, "llmops_queue_wait_seconds")
	v.dropped = l.counter(steady, "llmops_queue_dropped_total")
	for i, kind := range redactionKinds {
		v.redactions[i] = l.counter(steady, "llmops_redactions_total", "kind", kind)
	}
	return v
}()

// search is the family of metrics that carry the index alone.
var search = func() (v struct {
	layout
	seconds int
},
) {
	v.seconds = v.histogram(steady, true, searchBounds, "llmops_index_query_seconds")
	return v
}()

// fallbacks is the family of answers by a fallback model.
var fallbacks = func() (v struct {
	layout
	total int
},
) {
	v.total = v.counter(failures, "llmops_fallback_total")
	return v
}()

const operationSeconds = "gen_ai_client_operation_duration_seconds"

// client is what the GenAI instrumentation of the LLM client counts of calls
// that were answered, per requested and served model.
var client = func() (v struct {
	layout
	seconds int
	input   int
	output  int
	chunk   int
},
) {
	l, op := &v.layout, []string{"gen_ai_operation_name", "chat", "gen_ai_provider_name", Provider}
	v.seconds = l.histogram(steady, true, callBounds, operationSeconds, op...)
	v.input = l.histogram(size, false, tokenBounds, "gen_ai_client_token_usage", with(op, "gen_ai_token_type", "input")...)
	v.output = l.histogram(size, false, tokenBounds, "gen_ai_client_token_usage", with(op, "gen_ai_token_type", "output")...)
	v.chunk = l.histogram(steady, true, chunkBounds, "gen_ai_client_operation_time_to_first_chunk_seconds", op...)
	return v
}()

// clientErrors is what it counts of calls that failed, per requested model and error type.
var clientErrors = func() (v struct {
	layout
	seconds int
},
) {
	v.seconds = v.histogram(failures, false, callBounds, operationSeconds,
		"gen_ai_operation_name", "chat", "gen_ai_provider_name", Provider)
	return v
}()

// embedding is what it counts of embeddings.
var embedding = func() (v struct {
	layout
	seconds int
},
) {
	v.seconds = v.histogram(steady, true, callBounds, operationSeconds,
		"gen_ai_operation_name", "embeddings", "gen_ai_provider_name", Provider, "gen_ai_request_model", embedModel)
	return v
}()
