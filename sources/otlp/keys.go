package otlp

import (
	"strings"

	"rollcall/sources/redact"
)

// class says how the value of an attribute is treated.
type class uint8

const (
	content  class = iota // redacted and sanitised
	identity              // IDs, versions, names of models and the like: must survive, only sanitised
	person                // becomes a keyed token
	vector                // an embedding: its numbers are of no use to anyone here
	secret                // named like a password: the value goes, whatever it looks like
	idList                // JSON list of {"id","score"}: identity as long as it holds nothing else
)

// identities are keys whose values must survive and that no rule below covers.
var identities = map[string]bool{
	"llmops.route": true, "llmops.tenant": true, "llmops.region": true, "llmops.outcome": true, "llmops.stage": true,
	"llmops.rollout.stage": true, "llmops.cache.kind": true, "llmops.schema.result": true, "llmops.filter.action": true,
	"llmops.access.denied": true, "llmops.feedback": true, "llmops.fallback.from": true, "llmops.fallback.to": true,
	"http.route": true, "http.request.method": true, "http.method": true, "http.response.status_code": true,
	"error.type": true, "exception.type": true, "tenant": true, "event.name": true,
	"gen_ai.operation.name": true, "gen_ai.provider.name": true, "gen_ai.system": true, "gen_ai.request.model": true,
	"gen_ai.response.model": true, "gen_ai.original.model": true, "gen_ai.response.finish_reasons": true,
	"gen_ai.output.type": true, "gen_ai.token.type": true, "gen_ai.prompt.name": true, "gen_ai.agent.name": true,
	"gen_ai.tool.name": true, "gen_ai.tool.type": true, "gen_ai.evaluation.name": true, "gen_ai.evaluation.score.label": true,
	"gen_ai.guardrail.status": true, "gen_ai.guardrail.name": true, "gen_ai.workflow.name": true,
	"openai.response.system_fingerprint": true, "gen_ai.openai.system_fingerprint": true, "llm.openai.system_fingerprint": true,
	"openai.response.service_tier": true, "openinference.span.kind": true, "traceloop.span.kind": true,
	"llm.provider": true, "llm.system": true, "llm.model_name": true, "llm.request.model_name": true, "llm.response.model_name": true,
	"embedding.model_name": true, "reranker.model_name": true, "tool.name": true, "mcp.tool.name": true, "mcp.method.name": true,
	"langfuse.observation.model.name": true, "langfuse.observation.prompt.name": true, "langfuse.environment": true, "langfuse.release": true,
	"traceloop.prompt.key": true, "traceloop.entity.name": true, "traceloop.workflow.name": true,
	"traceloop.prompt.version_name": true, "langfuse.observation.type": true, "langfuse.observation.level": true, "langfuse.trace.name": true,
	"error_information.error_class": true, "exception_class": true, "guardrail_name": true, "api_provider": true, "route_name": true,
	"evaluation.name": true, "evaluation.label": true, "annotation.name": true, "annotation.label": true, "mcp_tool_call_metadata.name": true,
	"requested_model": true, "model_group": true, "model": true, "litellm_model_name": true, "label": true,
	"x-request-id": true, "http.request.header.x-request-id": true, "db.system": true, "db.system.name": true,
	"code.function": true, "code.namespace": true, "code.function.name": true, "rpc.system": true, "rpc.method": true, "rpc.service": true,
	"network.protocol.name": true, "thread.name": true,
}

// classify decides by key alone.
func classify(key string) class {
	switch {
	case redact.NamesPerson(key):
		return person
	case identities[key]:
		return identity
	case secretName(key):
		return secret
	case key == "gen_ai.retrieval.documents":
		return idList
	case strings.HasSuffix(key, ".embedding.vector"):
		return vector
	case strings.HasSuffix(key, ".id") || strings.HasSuffix(key, "_id") || key == "id" ||
		strings.HasSuffix(key, ".version") || strings.HasSuffix(key, "_version") || strings.HasSuffix(key, ".version_hash"):
		return identity
	case strings.HasPrefix(key, "service.") || strings.HasPrefix(key, "deployment.") || strings.HasPrefix(key, "telemetry.") ||
		strings.HasPrefix(key, "cloud.") || strings.HasPrefix(key, "k8s.") || strings.HasPrefix(key, "container.") ||
		strings.HasPrefix(key, "feature_flag.") || strings.HasPrefix(key, "os.") || strings.HasPrefix(key, "process.runtime."):
		return identity
	}
	return content
}

// looksPlain tells whether a value can be what an identity key promises: one short
// word and no URL. Then only what has the shape of a secret or of an e-mail address
// goes; anything else under such a key is redacted like content.
func looksPlain(v string) bool {
	if len(v) > maxIdentity {
		return false
	}
	for i := range len(v) {
		if c := v[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return !strings.Contains(v, "://")
}

// secretName tells whether a key is named like something that must not be kept.
// Counts of tokens are numbers and never come here as text.
func secretName(key string) bool {
	k := strings.ToLower(key)
	for _, word := range [...]string{"password", "passwd", "secret", "authorization", "api_key", "apikey", "api-key", "cookie", "credential", "private_key", "access_token", "refresh_token", "auth_token", "bearer"} {
		if strings.Contains(k, word) {
			return true
		}
	}
	return false
}
