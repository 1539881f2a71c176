// Package request folds the spans of one trace into the wide request row, and
// picks out what the model saw and said. Which field feeds which column is
// configuration, because every instrumentation names things differently.
package request

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Mapping lists, per column of the request row, the fields that may carry it.
// The first field of the list that anything in the trace carries wins; one
// field is looked for in span attributes, then span events, then resource
// attributes, then log events. A field may also name a value inside an attribute
// that holds JSON: "cost_details.total" is "total" of the attribute "cost_details",
// of a list the first. Columns that are not named keep their defaults.
type Mapping map[string][]string

// column is one thing that a field can feed.
type column int

const (
	colRequestID column = iota
	colResponseID
	colConversation
	colRoute
	colTenant
	colRegion
	colUser
	colPromptName
	colPrompt
	colModel
	colTools
	colIndex
	colPolicy
	colManifest
	colRollout
	colEnvironment
	colRequested
	colServed
	colFingerprint
	colProvider
	colOutcome
	colErrorType
	colStatus
	colLevel
	colFinish
	colTTFT
	colTokensIn
	colTokensOut
	colTokensCached
	colCost
	colCache
	colSchema
	colFilter
	colGuardrail
	colRefusal
	colDenied
	colFeedback
	colFallbackFrom
	colFallbackTo
	colQuery
	colDocuments
	colHit
	colSampled
	colToolName
	colToolCall
	colToolArgs
	colToolResult
	columnCount
)

// scope says which spans of a trace may feed a column.
type scope uint8

const (
	anySpan  scope = iota // the root first, then the others as they started
	llmSpan               // calls of the model, the last first; then the root
	errSpan               // the root, then failed spans
	sumSpan               // added up over the calls of the model
	toolSpan              // read per tool span
)

// columns holds, in the order of the constants: the name in configuration, the
// column in the JSON of the request row, who may feed it, and the default fields.
var columns = [columnCount]struct {
	name, json string
	scope      scope
	fields     []string
}{
	{"request_id", "request_id", anySpan, []string{"llmops.request.id", "litellm.call_id", "litellm_call_id", "x-litellm-call-id", "x-request-id", "http.request.header.x-request-id", "traceloop.association.properties.request_id", "request_id", "request.id", "id"}},
	{"response_id", "response_id", llmSpan, []string{"gen_ai.response.id", "llm.response.id", "gen_ai.completion.0.id"}},
	{"conversation_id", "conversation_id", anySpan, []string{"gen_ai.conversation.id", "session.id", "langfuse.session.id", "traceloop.association.properties.session_id", "traceloop.association.properties.conversation_id", "litellm_session_id", "metadata.session_id"}},
	{"route", "route", anySpan, []string{"llmops.route", "http.route", "route_name", "gen_ai.agent.name", "traceloop.workflow.name", "langfuse.trace.name"}},
	{"tenant", "tenant", anySpan, []string{"llmops.tenant", "tenant.id", "tenant", "traceloop.association.properties.tenant", "traceloop.association.properties.tenant_id", "organization.id", "metadata.user_api_key_team_id"}},
	{"region", "region", anySpan, []string{"llmops.region", "cloud.region"}},
	{"user", "user", anySpan, []string{"user.id", "enduser.id", "enduser.pseudo.id", "langfuse.user.id", "traceloop.association.properties.user_id", "user_id", "user.email", "user.name"}},
	{"prompt_name", "prompt_name", anySpan, []string{"gen_ai.prompt.name", "langfuse.observation.prompt.name", "traceloop.prompt.key", "prompt.id", "metadata.prompt_management_metadata.prompt_id", "prompt_management_metadata.prompt_id", "prompt_id"}},
	{"prompt_version", "prompt", anySpan, []string{"gen_ai.prompt.version", "langfuse.observation.prompt.version", "llm.prompt_template.version", "traceloop.prompt.version", "traceloop.prompt.version_name", "traceloop.prompt.version_hash", "prompt_version"}},
	{"model_version", "model", anySpan, []string{"llmops.model.version"}},
	{"tool_version", "tools", anySpan, []string{"llmops.tool.version", "traceloop.entity.version", "gen_ai.agent.version"}},
	{"index_version", "index", anySpan, []string{"llmops.index.version", "retrieval.index.version", "gen_ai.data_source.id", "vector_store_id", "vector_store_request_metadata.vector_store_id", "metadata.vector_store_request_metadata.vector_store_id"}},
	{"policy_version", "policy", anySpan, []string{"llmops.policy.version", "feature_flag.version", "feature_flag.set.id", "langfuse.version"}},
	{"manifest_id", "manifest", anySpan, []string{"llmops.manifest.id", "deployment.id", "deployment.name", "langfuse.release", "service.version"}},
	{"rollout_stage", "stage", anySpan, []string{"llmops.rollout.stage", "deployment.status"}},
	{"environment", "environment", anySpan, []string{"deployment.environment.name", "deployment.environment", "langfuse.environment"}},
	{"model_requested", "model_requested", llmSpan, []string{"gen_ai.request.model", "gen_ai.original.model", "llm.request.model_name", "requested_model", "model_group", "llm.model_name", "langfuse.observation.model.name", "model"}},
	{"model_served", "model_served", llmSpan, []string{"gen_ai.response.model", "llm.response.model_name", "langfuse.observation.model.name", "litellm_model_name", "llm.model_name"}},
	{"model_fingerprint", "model_fingerprint", llmSpan, []string{"openai.response.system_fingerprint", "gen_ai.openai.system_fingerprint", "llm.openai.system_fingerprint"}},
	{"provider", "provider", llmSpan, []string{"gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "api_provider"}},
	{"outcome", "outcome", anySpan, []string{"llmops.outcome"}},
	{"error_type", "error_type", errSpan, []string{"error.type", "error_information.error_class", "metadata.error_information.error_class", "exception_class", "exception.type", "error_information.error_code", "response_code", "http.response.status_code", "http.status_code"}},
	{"status_code", "outcome", anySpan, []string{"http.response.status_code", "http.status_code", "response_code", "error_information.error_code"}},
	{"error_level", "outcome", anySpan, []string{"langfuse.observation.level"}},
	{"finish_reason", "finish_reason", llmSpan, []string{"gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "llm.finish_reason", "gen_ai.completion.0.finish_reason", "llm.response.finish_reason", "llm.response.stop_reason"}},
	{"ttft", "ttft_s", llmSpan, []string{"gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token", "gen_ai.latency.time_to_first_token"}},
	{"tokens_in", "tokens_in", sumSpan, []string{"gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens", "langfuse.observation.usage_details.input", "langfuse.observation.usage_details.prompt_tokens", "prompt_tokens"}},
	{"tokens_out", "tokens_out", sumSpan, []string{"gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion", "llm.usage.completion_tokens", "langfuse.observation.usage_details.output", "langfuse.observation.usage_details.completion_tokens", "completion_tokens"}},
	{"tokens_cached", "tokens_cached", sumSpan, []string{"gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens", "llm.token_count.prompt_details.cache_read", "langfuse.observation.usage_details.cache_read_input_tokens", "langfuse.observation.usage_details.input_cached_tokens", "langfuse.observation.usage_details.input_cache_read"}},
	{"cost_usd", "cost_usd", sumSpan, []string{"llmops.cost.usd", "gen_ai.cost.total_cost", "gen_ai.usage.cost", "llm.cost.total", "response_cost", "langfuse.observation.cost_details.total"}},
	{"cache", "cache", anySpan, []string{"llmops.cache.kind", "cache_hit"}},
	{"schema", "schema", anySpan, []string{"llmops.schema.result"}},
	{"filter", "filter", anySpan, []string{"llmops.filter.action"}},
	{"guardrail", "filter", anySpan, []string{"gen_ai.guardrail.status", "status_fields.guardrail_status", "guardrail_information.guardrail_status", "metadata.guardrail_information.guardrail_status", "guardrail_name"}},
	{"refusal", "refusal", anySpan, []string{"llmops.refusal"}},
	{"access_denied", "access_denied", anySpan, []string{"llmops.access.denied"}},
	{"feedback", "feedback", anySpan, []string{"llmops.feedback"}},
	{"fallback_from", "fallback", anySpan, []string{"llmops.fallback.from"}},
	{"fallback_to", "fallback", anySpan, []string{"llmops.fallback.to"}},
	{"retrieval_query", "retrieval_query", anySpan, []string{"gen_ai.retrieval.query.text", "reranker.query", "vector_store_request_metadata.query"}},
	{"retrieval_documents", "documents", anySpan, []string{"gen_ai.retrieval.documents"}},
	{"retrieval_hit", "retrieval_hit", anySpan, []string{"llmops.retrieval.hit"}},
	{"sampled", "sampled", anySpan, []string{"llmops.sampled"}},
	{"tool_name", "tool_calls", toolSpan, []string{"gen_ai.tool.name", "tool.name", "mcp.tool.name", "tool_call.function.name", "mcp_tool_call_metadata.name", "traceloop.entity.name"}},
	{"tool_call_id", "tool_calls", toolSpan, []string{"gen_ai.tool.call.id", "tool_call.id", "tool.id"}},
	{"tool_arguments", "tool_calls", toolSpan, []string{"gen_ai.tool.call.arguments", "tool_call.function.arguments", "tool.parameters", "traceloop.entity.input", "input.value"}},
	{"tool_result", "tool_calls", toolSpan, []string{"gen_ai.tool.call.result", "traceloop.entity.output", "output.value"}},
}

// DefaultMapping returns the mapping that is used where configuration says nothing.
func DefaultMapping() Mapping {
	m := make(Mapping, columnCount)
	for _, c := range columns {
		m[c.name] = slices.Clone(c.fields)
	}
	return m
}

// target is a column that a field feeds, and how early in its list the field stands.
type target struct {
	col  column
	rank uint32
}

// fields answers which columns a key feeds. Keys are compared exactly first and
// then without case and with [.-/] as _, as Prometheus and Loki would spell them.
type fields struct {
	exact map[string][]target // keys as configured
	loose map[string][]target // keys folded
	outer map[string]bool     // folded keys that may hold JSON with a configured field in it
	ids   []string            // fields of request and response IDs

	mu   sync.RWMutex
	memo map[string][]target // keys as seen; bounded, because senders choose them
}

const memoSize = 4096

func newFields(m Mapping) (*fields, error) {
	known := map[string]column{}
	for c := range columnCount {
		known[columns[c].name] = c
	}
	lists := [columnCount][]string{}
	for c := range columnCount {
		lists[c] = columns[c].fields
	}
	for name, list := range m {
		c, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("mapping.%s is not a column of the request row; the columns are %s", name, strings.Join(names(known), ", "))
		}
		if len(list) > 0 {
			lists[c] = list
		}
	}
	f := &fields{exact: map[string][]target{}, loose: map[string][]target{}, outer: map[string]bool{}, memo: map[string][]target{}}
	for _, field := range append(slices.Clone(lists[colRequestID]), lists[colResponseID]...) {
		if field != "id" && !slices.Contains(f.ids, field) { // too common a name to search for
			f.ids = append(f.ids, field)
		}
	}
	for c, list := range lists {
		for i, field := range list {
			if strings.TrimSpace(field) == "" {
				return nil, fmt.Errorf("mapping.%s has an empty field; remove it", columns[c].name)
			}
			t := target{column(c), uint32(i)}
			f.exact[field] = append(f.exact[field], t)
			f.loose[fold(field)] = append(f.loose[fold(field)], t)
			for i, r := range field {
				if r == '.' {
					f.outer[fold(field[:i])] = true
				}
			}
		}
	}
	return f, nil
}

func names(known map[string]column) []string {
	out := make([]string, 0, len(known))
	for n := range known {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// targets returns the columns that the key feeds, nil for most keys.
func (f *fields) targets(key string) []target {
	if t, ok := f.exact[key]; ok {
		return t
	}
	f.mu.RLock()
	t, ok := f.memo[key]
	f.mu.RUnlock()
	if ok {
		return t
	}
	t = f.loose[fold(key)]
	f.mu.Lock()
	if len(f.memo) < memoSize {
		f.memo[strings.Clone(key)] = t
	}
	f.mu.Unlock()
	return t
}

func fold(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '.' || r == '-' || r == '/':
			return '_'
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, key)
}
