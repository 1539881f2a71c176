package signal

import (
	"regexp"
	"slices"
	"strings"
)

// The profiles. The two dialects of otel-genai are never added together.
const (
	LLMOps     = "llmops"
	OTelGenAI  = "otel-genai"      // semantic conventions up to 1.41
	OTelGenAI0 = "otel-genai-v0.1" // the conventions since they have a repository of their own
	LiteLLM    = "litellm"
	EnvoyAI    = "envoy-ai-gateway"
	VLLM       = "vllm"
	Qdrant     = "qdrant"
	Weaviate   = "weaviate"
	Milvus     = "milvus"
	Override   = "override" // a query from the configuration
)

// Profile is a set of metric names that belong together.
type Profile struct {
	Name  string
	About string // whose metrics they are
	// Mark matches whole metric names; one is enough to recognise the profile. Its points
	// stand for dots as well as for the underscores that most servers make of them.
	Mark string
	// Also matches the names that its queries select besides. They recognise
	// nothing, because other systems have them too.
	Also string
	// Own are the matchers of its series of a metric that another profile writes too.
	Own string
	// Model is the label that tells models apart; empty where no label does.
	Model string
	// Pulse has a sample with every scrape while the system runs; empty where
	// nothing depends on how often it is scraped.
	Pulse string
}

// Profiles returns every profile, from what stands closest to the user to what
// stands furthest away. Where several expose a signal, the first is read alone:
// they measure the same requests at different places, so that their sum would
// count each request once per place.
func Profiles() []Profile {
	return []Profile{
		{
			Name: LLMOps, About: "the service itself, under the llmops contract",
			Mark: "llmops_.+", Pulse: "llmops_requests_total",
		},
		{
			Name: OTelGenAI, About: "OpenTelemetry GenAI conventions 1.28 to 1.41, in the service",
			Mark: "gen_ai.client.operation.duration(_seconds)?(_count)?", Also: "gen_ai.(client|usage|server.time)[._].+",
			Own: notRouted, Model: "gen_ai_response_model", Pulse: otelCount,
		},
		{
			Name: OTelGenAI0, About: "OpenTelemetry GenAI conventions in their own repository, from v0.1.0",
			Mark: "gen_ai.client.inference.duration(_seconds)?(_count)?", Also: "gen_ai.client.+",
			Model: "gen_ai_response_model", Pulse: otel0Count,
		},
		{
			Name: LiteLLM, About: "LiteLLM proxy",
			Mark: "litellm_.+", Model: "requested_model", Pulse: litellmRequests,
		},
		{
			Name: EnvoyAI, About: "Envoy AI Gateway",
			Mark: "gen_ai.server.request.duration(_seconds)?(_count)?", Also: "gen_ai.(server|client.token).+",
			Own: byGateway, Model: "gen_ai_response_model", Pulse: envoyCount,
		},
		{
			Name: VLLM, About: "vLLM, also under Ray",
			Mark: "(ray_)?vllm[:_].+", Also: "http_requests_total", Model: "model_name", Pulse: vllmRequests,
		},
		{Name: Qdrant, About: "Qdrant", Mark: "collections_vector_total", Also: "rest_responses_duration_seconds(_.+)?"},
		{Name: Weaviate, About: "Weaviate", Mark: "vector_index_size|queries_durations_ms(_count)?", Also: "object_count|queries_.+"},
		{Name: Milvus, About: "Milvus", Mark: "milvus_(querynode_entity_num|proxy_sq_latency(_.+)?)"},
	}
}

// Recognise returns the profiles that metric names show, in the order of Profiles.
func Recognise(names []string) []string {
	var out []string
	for _, p := range Profiles() {
		mark := regexp.MustCompile("^(" + p.Mark + ")$")
		if slices.ContainsFunc(names, mark.MatchString) {
			out = append(out, p.Name)
		}
	}
	return out
}

// NamesMatch is the selector of all metrics that any profile knows, under a scope.
func NamesMatch(scope string) string {
	var all []string
	for _, p := range Profiles() {
		for _, re := range []string{p.Mark, p.Also} {
			if re != "" && !slices.Contains(all, re) {
				all = append(all, re)
			}
		}
	}
	if scope != "" {
		scope = "," + scope
	}
	return `{__name__=~"` + strings.Join(all, "|") + `"` + scope + `}`
}

func profileNamed(name string) (Profile, bool) {
	all := Profiles()
	i := slices.IndexFunc(all, func(p Profile) bool { return p.Name == name })
	if i < 0 {
		return Profile{}, false
	}
	return all[i], true
}

// splitLabel is the label under which a profile keeps a version; empty when it has none.
func splitLabel(profile, by string) string {
	if by == "" || profile == LLMOps || profile == Override {
		return by
	}
	if p, ok := profileNamed(profile); ok && by == "model" {
		return p.Model
	}
	return ""
}

// Metrics on which more than one signal stands.
const (
	otelCount       = "gen_ai_client_operation_duration_seconds_count"
	otel0Count      = "gen_ai_client_inference_duration_seconds_count"
	litellmRequests = "litellm_proxy_total_requests_metric_total"
	litellmFailed   = "litellm_proxy_failed_requests_metric_total"
	envoyCount      = "gen_ai_server_request_duration_seconds_count"
	vllmRequests    = "vllm:request_success_total"
)

// Matchers that several signals share.
const (
	inference = `gen_ai_operation_name=~"chat|generate_content|text_completion"`
	// A gateway and a service write the same token histogram; only the gateway's
	// series carry the model before it was overridden.
	notRouted = `gen_ai_original_model=""`
	byService = inference + `,` + notRouted
	byGateway = `gen_ai_original_model!=""`
	// What a retrieval pipeline asks besides the answer is no request of a user.
	answers = `gen_ai_operation_name!~"embeddings|rerank"`
	vllmAPI = `handler=~"/v1/(chat/completions|completions|responses|messages|embeddings)"`
)

// ofService marks a source on a metric that a gateway may write in the service's place.
func ofService(s Source) Source {
	s.Shy = strings.Join(metrics(s.Query), ", ") + " written by the service"
	return s
}

// sparse marks metrics that exist only after the first event of their kind.
func sparse(s Source, names ...string) Source {
	s.Sparse = names
	return s
}

// milliseconds is a quantile in seconds of a classic histogram in milliseconds.
func milliseconds(profile, q, metric, matchers string) Source {
	s := quantile(profile, q, metric, matchers)
	s.Query, s.Per = s.Query+" / 1000", 1000
	return s
}

// tokensByModel are tokens per second by model and kind, ready for the price table.
func tokensByModel(profile string) string {
	kind := func(label, model, kind, metric string) string {
		return `label_replace(sum by (` + model + `, $by) (rate(` + selector(metric, "") + `[$window])), "` + label + `", "` + kind + `", "", "")`
	}
	tokens := func(matchers string) string {
		return `sum by (gen_ai_response_model, gen_ai_token_type, $by) (rate(` +
			selector("gen_ai_client_token_usage_sum", matchers+`,gen_ai_token_type=~"input|output"`) + `[$window]))`
	}
	switch profile {
	case LLMOps:
		return `sum by (model, kind, $by) (rate(` + selector("llmops_tokens_total", "") + `[$window]))`
	case OTelGenAI:
		return tokens(byService)
	case EnvoyAI:
		return tokens(byGateway)
	case VLLM:
		return kind("kind", "model_name", "input", "vllm:prompt_tokens_total") + ` or ` +
			kind("kind", "model_name", "output", "vllm:generation_tokens_total")
	default:
		return kind("gen_ai_token_type", "gen_ai_response_model", "input", "gen_ai_client_inference_usage_input_tokens_total") + ` or ` +
			kind("gen_ai_token_type", "gen_ai_response_model", "output", "gen_ai_client_inference_usage_output_tokens_total")
	}
}

// withTraffic empties a gauge that keeps its last value while nobody asks: the
// number of an hour ago must not read as the number of now.
func withTraffic(gauge string) string {
	return `(` + gauge + `) and on () (sum(rate(` + selector(litellmRequests, "") + `[$window])) > 0)`
}

// budgetShare is the used part of one kind of LiteLLM budget, by the name of whose it is.
func budgetShare(kind, who, labels, name string) string {
	least := func(metric string) string { return `min by (` + labels + `) (` + metric + `{$scope})` }
	return `label_replace(max by (` + name + `) (1 - ` + least("litellm_remaining_"+kind+"_budget_metric") + ` / on (` + labels + `) (` +
		least("litellm_"+kind+"_max_budget_metric") + ` < +Inf)), "budget", "` + who + ` $1", "` + name + `", "(.*)")`
}
