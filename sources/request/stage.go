package request

import (
	"strings"

	"rollcall/sources"
)

// role is what a span does in a request.
type role struct {
	stage sources.Stage
	llm   bool // a call of a generating model
	tool  bool // a call of a tool
	embed bool // a call of an embedding model
}

// roleOf reads a span's role: the project's own attribute first, then the GenAI
// conventions, then OpenInference and OpenLLMetry kinds, then the span's name.
func roleOf(s *sources.Span) role {
	var stage, op, kind, db string
	var modelish bool
	for i := range s.Attrs {
		a := &s.Attrs[i]
		switch a.Key {
		case "llmops.stage":
			stage = a.Value
		case "gen_ai.operation.name":
			op = a.Value
		case "openinference.span.kind", "traceloop.span.kind", "llm.request.type", "langfuse.observation.type":
			if kind == "" {
				kind = a.Value
			}
		case "mcp.method.name":
			if a.Value == "tools/call" && op == "" {
				op = "execute_tool"
			}
		case "db.system", "db.system.name":
			db = a.Value
		case "gen_ai.request.model", "gen_ai.response.model", "llm.model_name",
			"gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion", "langfuse.observation.model.name":
			modelish = true
		}
	}
	r := role{stage: sources.StageOf(stage)}
	known := byOperation(&r, op) || byKind(&r, kind)
	if r.stage != sources.NoStage {
		if r.stage == sources.Inference && !known {
			r.llm = true
		}
		return r
	}
	if known {
		return r
	}
	if modelish {
		r.llm, r.stage = true, sources.Inference
		return r
	}
	if vectorStores[db] {
		r.stage = sources.VectorSearch
		return r
	}
	r.stage = byName(s.Name)
	return r
}

// set gives the role a stage unless something more specific has.
func (r *role) set(s sources.Stage) {
	if r.stage == sources.NoStage {
		r.stage = s
	}
}

func byOperation(r *role, op string) bool {
	switch op {
	case "chat", "generate_content", "text_completion",
		"completion", "messages", "responses", "image_generation": // as Envoy AI Gateway and LiteLLM write it
		r.llm = true
		r.set(sources.Inference)
	case "embeddings", "embedding":
		r.embed = true
		r.set(sources.Embed)
	case "retrieval", "search_memory":
		r.set(sources.VectorSearch)
	case "rerank":
		r.set(sources.Rerank)
	case "execute_tool":
		r.tool = true
	case "":
		return false
	}
	return true
}

func byKind(r *role, kind string) bool {
	switch strings.ToLower(kind) {
	case "llm", "chat", "completion", "generation":
		r.llm = true
		r.set(sources.Inference)
	case "embedding":
		r.embed = true
		r.set(sources.Embed)
	case "retriever":
		r.set(sources.VectorSearch)
	case "reranker", "rerank":
		r.set(sources.Rerank)
	case "guardrail", "evaluator":
		r.set(sources.Validation)
	case "prompt":
		r.set(sources.PromptAssembly)
	case "tool":
		r.tool = true
	case "chain", "agent", "workflow", "task":
	default:
		return false
	}
	return true
}

var vectorStores = map[string]bool{
	"pinecone": true, "qdrant": true, "weaviate": true, "milvus": true, "chroma": true, "chromadb": true,
	"lancedb": true, "marqo": true, "vespa": true, "vald": true,
}

// byName recognises the plain names that applications give to stages for which
// there is no convention. It matches whole words, not parts of them.
func byName(name string) sources.Stage {
	if len(name) > 64 {
		return sources.NoStage
	}
	n := strings.Map(func(r rune) rune {
		if r == ' ' || r == '.' || r == '-' || r == '/' {
			return '_'
		}
		return r
	}, strings.ToLower(name))
	if s := sources.StageOf(n); s != sources.NoStage {
		return s
	}
	switch n {
	case "pre_process", "preprocessing", "input_preprocessing", "normalize_input", "normalise_input":
		return sources.Preprocess
	case "embedding", "embeddings", "embed_query", "query_embedding":
		return sources.Embed
	case "vectorsearch", "retrieve", "retrieval", "similarity_search", "search_index":
		return sources.VectorSearch
	case "reranking", "re_rank", "rerank_documents":
		return sources.Rerank
	case "build_prompt", "assemble_prompt", "render_prompt", "prompt_template", "format_prompt":
		return sources.PromptAssembly
	case "validate", "output_validation", "validate_output", "validate_schema", "schema_validation":
		return sources.Validation
	case "deliver", "response_delivery", "send_response", "stream_response":
		return sources.Delivery
	}
	return sources.NoStage
}
