package request

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rollcall/sources"
	"rollcall/sources/redact"
)

// outcome tells whether the request failed, and how.
func (w *work) outcome(r *sources.Request) {
	root := w.spans[w.root]
	switch o := strings.ToLower(w.text(r, colOutcome)); {
	case o == "ok" || o == "error":
		r.Outcome = o
	case o == "success":
		r.Outcome = "ok"
	case o != "":
		r.Outcome = "error"
	}
	if r.Outcome == "" {
		r.Outcome = "ok"
		status := w.best[colStatus]
		_, typed := root.Attrs.Get("error.type")
		code, err := strconv.Atoi(status.text)
		level := w.best[colLevel]
		switch {
		case root.Error || typed:
			r.Outcome = "error"
		case err == nil && code >= 500:
			r.Outcome, r.From["outcome"] = "error", status.field
		case strings.EqualFold(level.text, "error"):
			r.Outcome, r.From["outcome"] = "error", level.field
		}
	}
	if r.Outcome != "error" {
		delete(r.From, "error_type") // a retry that failed inside an answered request is not its error
		return
	}
	if t := w.text(r, colErrorType); !strings.HasPrefix(t, "2") || len(t) != 3 {
		r.ErrorType = t
	} else {
		delete(r.From, "error_type")
	}
}

// quality fills the verdicts on the answer.
func (w *work) quality(r *sources.Request) {
	r.Schema = passFail(w.text(r, colSchema))
	r.Filter = strings.ToLower(w.text(r, colFilter))
	if r.Filter == "" {
		r.Filter = guardrail(w.text(r, colGuardrail))
	}
	if r.Filter == "" && r.FinishReason == "content_filter" {
		r.Filter, r.From["filter"] = "block", r.From["finish_reason"]
	}
	r.Refusal = boolean(w.text(r, colRefusal))
	if r.Refusal == "" && r.FinishReason == "refusal" {
		r.Refusal, r.From["refusal"] = "true", r.From["finish_reason"]
	}
	r.Denied = w.text(r, colDenied)
	r.Feedback = thumbs(w.text(r, colFeedback))
	if from, to := w.text(r, colFallbackFrom), w.text(r, colFallbackTo); from != "" || to != "" {
		r.Fallback = from + "→" + to
	}
	switch c := strings.ToLower(w.text(r, colCache)); c {
	case "true":
		r.Cache = "exact"
	case "false":
		r.Cache = "none"
	default:
		r.Cache = c
	}
	if r.Cache == "" && r.TokensCached.OK && r.TokensCached.V > 0 {
		r.Cache, r.From["cache"] = "provider", r.From["tokens_cached"]
	}
	r.Sampled = boolean(w.text(r, colSampled)) == "true"
}

// retrieval fills the query, the documents and whether they were any use.
func (w *work) retrieval(r *sources.Request) {
	r.RetrievalQuery = clipTo(w.text(r, colQuery), maxRowText)
	seen := false
	for i, s := range w.spans {
		if len(r.Documents) >= maxDocuments {
			break
		}
		for j := range s.Attrs {
			a := &s.Attrs[j]
			if n, part, ok := numbered(a.Key, "retrieval.documents."); ok && w.roles[i].stage != sources.Rerank {
				seen = true
				addNumbered(r, s.Attrs, n, part)
				continue
			}
			for _, t := range w.fields.targets(a.Key) {
				if t.col != colDocuments {
					continue
				}
				var docs []struct {
					ID    json.RawMessage `json:"id"`
					Score *float64        `json:"score"`
				}
				if json.Unmarshal([]byte(a.Value), &docs) != nil {
					continue
				}
				seen = true
				r.From["documents"] = a.Key
				for _, d := range docs {
					doc := sources.Document{ID: clip(strings.Trim(string(d.ID), `"`))}
					if d.Score != nil {
						doc.Score = sources.N(*d.Score)
					}
					addDocument(r, doc)
				}
			}
		}
	}
	if w.answers(r) {
		seen = true
	}
	if r.RetrievalQuery == "" {
		w.searched(r)
	}
	r.RetrievalHit = boolean(w.text(r, colHit))
	if r.RetrievalHit == "" && seen {
		r.RetrievalHit = strconv.FormatBool(len(r.Documents) > 0)
		r.From["retrieval_hit"] = r.From["documents"]
	}
}

// answers takes the documents that OpenLLMetry records as one event per result.
func (w *work) answers(r *sources.Request) (seen bool) {
	const id, score = "db.query.result.id", "db.query.result.score"
	for _, s := range w.spans {
		for i := range s.Events {
			doc, ok := s.Events[i].Attrs.Get(id)
			if !ok || s.Events[i].Name != "db.query.result" {
				continue
			}
			d := sources.Document{ID: clip(doc)}
			if v, ok := s.Events[i].Attrs.Get(score); ok {
				if n, err := strconv.ParseFloat(v, 64); err == nil {
					d.Score = sources.N(n)
				}
			}
			seen, r.From["documents"] = true, id
			addDocument(r, d)
		}
	}
	return seen
}

// searched takes the query from the input of the span that searched.
func (w *work) searched(r *sources.Request) {
	for i, s := range w.spans {
		if w.roles[i].stage != sources.VectorSearch {
			continue
		}
		for _, key := range [...]string{"input.value", "traceloop.entity.input", "langfuse.observation.input"} {
			if v, ok := s.Attrs.Get(key); ok && !unset(v) {
				r.RetrievalQuery, r.From["retrieval_query"] = clipTo(v, maxRowText), key
				return
			}
		}
	}
}

// addNumbered adds document n of an OpenInference list when it meets the list's first key of that document.
func addNumbered(r *sources.Request, attrs sources.Attrs, n int, part string) {
	prefix := "retrieval.documents." + strconv.Itoa(n) + ".document."
	id, hasID := attrs.Get(prefix + "id")
	if hasID && part != "document.id" {
		return // one entry per document, at its ID
	}
	if !hasID {
		return
	}
	doc := sources.Document{ID: clip(id)}
	if s, ok := attrs.Get(prefix + "score"); ok {
		if v, err := strconv.ParseFloat(s, 64); err == nil {
			doc.Score = sources.N(v)
		}
	}
	r.From["documents"] = "retrieval.documents"
	addDocument(r, doc)
}

func addDocument(r *sources.Request, d sources.Document) {
	if len(r.Documents) >= maxDocuments || d.ID == "" ||
		slices.ContainsFunc(r.Documents, func(o sources.Document) bool { return o.ID == d.ID }) {
		return
	}
	r.Documents = append(r.Documents, d)
}

// tools lists the calls of tools.
func (w *work) tools(r *sources.Request) {
	for i, s := range w.spans {
		if !w.roles[i].tool || len(r.ToolCalls) >= maxToolCalls {
			continue
		}
		get := func(c column) string {
			best, rank := "", uint32(1<<31)
			for j := range w.attrs[i] {
				a := &w.attrs[i][j]
				for _, t := range w.fields.targets(a.Key) {
					if t.col == c && t.rank < rank && !unset(a.Value) {
						best, rank = a.Value, t.rank
					}
				}
			}
			return best
		}
		call := sources.ToolCall{
			Name: clip(get(colToolName)), CallID: clip(get(colToolCall)),
			Arguments: clipTo(get(colToolArgs), maxRowText), Result: clipTo(get(colToolResult), maxRowText),
		}
		if call.Name == "" {
			call.Name = clip(strings.TrimPrefix(s.Name, "execute_tool "))
		}
		if e, ok := s.Attrs.Get("error.type"); ok {
			call.Error = clip(e)
		} else if s.Error {
			call.Error = "error"
			if s.Message != "" {
				call.Error = clip(s.Message)
			}
		}
		r.ToolCalls = append(r.ToolCalls, call)
	}
}

func (w *work) flags(r *sources.Request) {
	if r.ModelServed != "" && r.ModelServed == r.ModelRequested &&
		r.From["model_served"] != r.From["model_requested"] && !Pinned(r.ModelServed) {
		r.Flags = append(r.Flags, FlagUnpinned)
	}
	if r.Manifest == "" {
		r.Flags = append(r.Flags, FlagNoManifest)
	}
	if !w.spans[w.root].Parent.IsZero() {
		r.Flags = append(r.Flags, FlagNoRoot)
	}
}

// Pinned tells whether a model's name names one snapshot: a date
// ("gpt-4.1-2026-10-02", "claude-sonnet-4-20250514", "gpt-4-0613"), a numbered
// release ("gemini-1.5-pro-002") or a digest ("llama3@sha256:...").
func Pinned(model string) bool {
	if i := strings.LastIndexAny(model, "@:"); i >= 0 && i+1 < len(model) && model[i+1:] != "latest" {
		return true
	}
	digits, end := 0, len(model)
	for end > 0 && (isDigit(model[end-1]) || model[end-1] == '-' && digits > 0) {
		end--
		if isDigit(model[end]) {
			digits++
		}
	}
	tail := strings.TrimLeft(model[end:], "-")
	parts := strings.Split(tail, "-")
	last := parts[len(parts)-1]
	switch {
	case len(parts) >= 3 && len(parts[len(parts)-3]) == 4 && len(last) == 2:
		return true // 2026-10-02
	case len(last) == 8 || len(last) == 6 || len(last) == 4 || len(last) == 3:
		return end > 0 && model[end] == '-' || len(parts) > 1
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func passFail(s string) string {
	switch strings.ToLower(s) {
	case "pass", "passed", "ok", "valid", "true":
		return "pass"
	case "fail", "failed", "error", "invalid", "false":
		return "fail"
	}
	return ""
}

func boolean(s string) string {
	switch strings.ToLower(s) {
	case "true", "1", "yes":
		return "true"
	case "false", "0", "no":
		return "false"
	}
	return ""
}

func thumbs(s string) string {
	switch strings.ToLower(s) {
	case "up", "positive", "thumbs_up", "good", "1":
		return "up"
	case "down", "negative", "thumbs_down", "bad", "-1", "0":
		return "down"
	}
	return ""
}

// guardrail reads the states that gateways report as the action of a filter.
func guardrail(s string) string {
	switch strings.ToLower(s) {
	case "":
		return ""
	case "success", "passed", "pass", "not_run", "none", "allow", "allowed":
		return "none"
	case "guardrail_intervened", "intervened", "blocked", "block", "denied":
		return "block"
	case "masked", "mask", "redacted":
		return "mask"
	}
	return clip(s)
}

// reason takes the finish reason out of the list that the conventions prescribe.
func reason(s string) string {
	var list []string
	if strings.HasPrefix(s, "[") && json.Unmarshal([]byte(s), &list) == nil {
		s = ""
		if len(list) > 0 {
			s = list[0]
		}
	}
	switch l := strings.ToLower(s); l {
	case "max_tokens", "max_output_tokens":
		return "length"
	case "end_turn", "stop_sequence", "eos", "complete":
		return "stop"
	case "tool_use", "tool_call", "function_call":
		return "tool_calls"
	case "safety":
		return "content_filter"
	default:
		return l
	}
}

// only unwraps a list of one text, which is how header attributes arrive.
func only(s string) string {
	if !strings.HasPrefix(s, `["`) {
		return s
	}
	var list []string
	if json.Unmarshal([]byte(s), &list) == nil && len(list) == 1 {
		return list[0]
	}
	return s
}

// seconds reads a duration in seconds; negative ones come from skewed clocks and are unknown.
func seconds(s string) sources.Num {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v < 0 {
		return sources.Num{}
	}
	return sources.N(v)
}

// clip bounds a name, a version or an ID.
func clip(s string) string { return clipTo(redact.SanitizeLine(s, 0), 256) }

// clipTo bounds a text. What JSON escaped becomes a control character when it is
// read, so that it is sanitised again.
func clipTo(s string, n int) string {
	s = redact.Sanitize(s)
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

func unixTime(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// numbered takes "PREFIX7.document.id" apart into 7 and "document.id".
func numbered(key, prefix string) (n int, part string, ok bool) {
	rest, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return 0, "", false
	}
	digits, part, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(digits)
	return n, part, err == nil && n >= 0
}
