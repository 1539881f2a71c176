package request

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"rollcall/sources"
)

// Flags of a request row.
const (
	FlagUnpinned   = sources.FlagUnpinned
	FlagNoManifest = sources.FlagNoManifest
	FlagNoRoot     = sources.FlagNoRoot
)

// Bounds of what one row carries beside the stored spans.
const (
	maxDocuments = 64
	maxToolCalls = 64
	maxScores    = 64
	maxResources = 64   // emitters whose attributes are looked at
	maxRowText   = 1024 // bytes of a query, an argument or a result kept in the row
)

// Folder folds traces into request rows. It is safe for concurrent use.
type Folder struct{ fields *fields }

// NewFolder returns a folder for the mapping; columns that the mapping does not
// name keep their defaults. An unknown column is an error.
func NewFolder(m Mapping) (*Folder, error) {
	f, err := newFields(m)
	if err != nil {
		return nil, err
	}
	return &Folder{fields: f}, nil
}

// IDFields lists the attributes under which a request may be looked up: those of
// its own ID, then those of the provider's response.
func (f *Folder) IDFields() []string { return slices.Clone(f.fields.ids) }

// value is the best candidate for a column so far; lower ranks are better.
type value struct {
	text, field string
	rank        uint64
}

// Where a field was found, in the order in which they are asked.
const (
	inSpan uint64 = iota
	inSpanEvent
	inResource
	inEvent
)

// fold is the work on one trace.
type work struct {
	fields *fields
	spans  []*sources.Span
	attrs  []sources.Attrs // of each span, with what is inside those that hold JSON
	roles  []role
	outer  []bool // a call of the model that contains another: not counted
	root   int
	best   [columnCount]value
}

// Fold makes the request row of one trace out of its spans, in any order and
// with repeats, and the log events that belong to it. It keeps no reference to
// the slices. Without spans it returns an empty row.
func (f *Folder) Fold(spans []sources.Span, events []sources.TraceEvent) sources.Request {
	w := work{fields: f.fields, spans: unique(spans), root: -1}
	var r sources.Request
	if len(w.spans) == 0 {
		return r
	}
	w.prepare()
	root := w.spans[w.root]
	r.TraceID = root.TraceID.String()
	r.Time = unixTime(root.Start)
	r.Latency = sources.N(root.Duration().Seconds())
	r.SpanCount = len(w.spans)
	if root.Resource != nil {
		r.Service = root.Resource.Service
	}
	w.collect(events)
	r.From = make(map[string]string, 36)
	w.identity(&r)
	w.models(&r)
	w.stages(&r)
	w.outcome(&r)
	w.quality(&r)
	w.retrieval(&r)
	w.tools(&r)
	w.scores(&r, events)
	w.flags(&r)
	return r
}

// ResponseIDs returns every provider response ID in the spans, for look-ups and
// for joining evaluations that name only the response.
func (f *Folder) ResponseIDs(spans []sources.Span) []string {
	var ids []string
	seen := map[string]struct{}{} // a trace may have as many as spans
	for i := range spans {
		for _, a := range spans[i].Attrs {
			for _, t := range f.fields.targets(a.Key) {
				if t.col != colResponseID || unset(a.Value) {
					continue
				}
				if _, dup := seen[a.Value]; !dup {
					seen[a.Value] = struct{}{}
					ids = append(ids, a.Value)
				}
			}
		}
	}
	return ids
}

// unique drops repeated spans: the first of a span ID stands. The order is by start.
func unique(spans []sources.Span) []*sources.Span {
	out := make([]*sources.Span, 0, len(spans))
	if len(spans) <= 32 {
	next:
		for i := range spans {
			if !spans[i].SpanID.IsZero() {
				for _, o := range out {
					if o.SpanID == spans[i].SpanID {
						continue next
					}
				}
			}
			out = append(out, &spans[i])
		}
	} else {
		seen := make(map[sources.SpanID]struct{}, len(spans))
		for i := range spans {
			if id := spans[i].SpanID; !id.IsZero() {
				if _, dup := seen[id]; dup {
					continue
				}
				seen[id] = struct{}{}
			}
			out = append(out, &spans[i])
		}
	}
	slices.SortStableFunc(out, func(a, b *sources.Span) int { return cmp.Compare(a.Start, b.Start) })
	return out
}

// prepare reads roles, finds the root, and marks calls of the model that only wrap other calls.
func (w *work) prepare() {
	w.roles = make([]role, len(w.spans))
	w.attrs = make([]sources.Attrs, len(w.spans))
	w.outer = make([]bool, len(w.spans))
	byID := make(map[sources.SpanID]int, len(w.spans))
	for i, s := range w.spans {
		w.roles[i] = roleOf(s)
		w.attrs[i] = w.fields.nested(s.Attrs)
		byID[s.SpanID] = i
	}
	orphan := -1
	for i, s := range w.spans {
		if s.Parent.IsZero() {
			w.root = i
			break
		}
		if _, ok := byID[s.Parent]; !ok && orphan < 0 {
			orphan = i
		}
	}
	if w.root < 0 {
		// Parents that form a circle leave neither; then the earliest span stands in.
		w.root = max(orphan, 0)
	}
	for i := range w.spans {
		if !w.roles[i].llm {
			continue
		}
		// Depth is bounded so that a circle of parents ends.
		for at, depth := i, 0; depth < 64; depth++ {
			parent, ok := byID[w.spans[at].Parent]
			if !ok || parent == at {
				break
			}
			if w.roles[parent].llm {
				w.outer[parent] = true
			}
			at = parent
		}
	}
}

// counts tells whether span i is a call of the model that is counted.
func (w *work) counts(i int) bool { return w.roles[i].llm && !w.outer[i] }

// collect finds the best candidate of every column.
func (w *work) collect(events []sources.TraceEvent) {
	var resources []*sources.Resource
	n := len(w.spans)
	for k := -1; k < n; k++ {
		i := k
		if k < 0 {
			i = w.root
		} else if i == w.root {
			continue
		}
		s := w.spans[i]
		for j := range w.attrs[i] {
			w.offer(&w.attrs[i][j], inSpan, i)
		}
		for e := range s.Events {
			for j := range s.Events[e].Attrs {
				w.offer(&s.Events[e].Attrs[j], inSpanEvent, i)
			}
		}
		if s.Resource != nil && len(resources) < maxResources && !slices.Contains(resources, s.Resource) {
			resources = append(resources, s.Resource)
			for j := range s.Resource.Attrs {
				w.offer(&s.Resource.Attrs[j], inResource, i)
			}
		}
	}
	for e := range events {
		details := events[e].Name == "gen_ai.client.inference.operation.details"
		attrs := w.fields.nested(events[e].Attrs)
		for j := range attrs {
			a := &attrs[j]
			for _, t := range w.fields.targets(a.Key) {
				if details || t.col == colResponseID {
					w.take(t, a, inEvent, uint64(n+1))
				}
			}
		}
	}
}

// offer hands an attribute of span i to the columns that it feeds.
func (w *work) offer(a *sources.Attr, where uint64, i int) {
	for _, t := range w.fields.targets(a.Key) {
		place := uint64(i + 1)
		if i == w.root {
			place = 0
		}
		switch columns[t.col].scope {
		case toolSpan, sumSpan:
			continue
		case llmSpan:
			switch {
			case w.counts(i):
				place = uint64(len(w.spans) - 1 - i) // the last call gave the answer
			case i == w.root:
				place = uint64(len(w.spans))
			case w.roles[i].llm:
				place = uint64(len(w.spans) + 1 + i)
			case where != inResource:
				continue
			}
		case errSpan:
			if i != w.root && !w.spans[i].Error {
				continue
			}
		case anySpan:
			if t.col == colRequestID && a.Key == "id" && i != w.root {
				continue // too common a name to be believed elsewhere
			}
			if (t.col == colStatus || t.col == colLevel) && i != w.root {
				continue
			}
		}
		w.take(t, a, where, place)
	}
}

func (w *work) take(t target, a *sources.Attr, where, place uint64) {
	if unset(a.Value) {
		return
	}
	rank := (uint64(t.rank)<<40 | where<<36 | min(place, 1<<36-1)) + 1 // 0 is "none yet"
	if b := &w.best[t.col]; b.rank == 0 || rank < b.rank {
		*b = value{text: a.Value, field: a.Key, rank: rank}
	}
}

// unset tells whether a value says that there is none: Python senders write
// "None", Envoy writes "-".
func unset(v string) bool { return v == "" || v == "None" || v == "-" }

// text returns the column's value and records where it came from.
func (w *work) text(r *sources.Request, c column) string {
	b := &w.best[c]
	if b.rank == 0 {
		return ""
	}
	r.From[columns[c].json] = b.field
	return clip(only(b.text))
}

func (w *work) identity(r *sources.Request) {
	r.ID = w.text(r, colRequestID)
	if r.ID == "" {
		r.ID = r.TraceID
		r.From["request_id"] = "trace_id"
	}
	r.ResponseID = w.text(r, colResponseID)
	r.ConversationID = w.text(r, colConversation)
	r.Route = w.text(r, colRoute)
	r.Tenant = w.text(r, colTenant)
	r.Region = w.text(r, colRegion)
	r.User = w.text(r, colUser)
	r.Environment = w.text(r, colEnvironment)
	r.PromptName = w.text(r, colPromptName)
	r.Prompt = w.text(r, colPrompt)
	r.Model = w.text(r, colModel)
	r.Tools = w.text(r, colTools)
	r.Index = w.text(r, colIndex)
	r.Policy = w.text(r, colPolicy)
	r.Manifest = w.text(r, colManifest)
	r.Stage = w.text(r, colRollout)
}

// models fills what is known about the calls of the model: names, tokens, cost.
func (w *work) models(r *sources.Request) {
	r.ModelRequested = w.text(r, colRequested)
	r.ModelServed = w.text(r, colServed)
	r.ModelFingerprint = w.text(r, colFingerprint)
	r.Provider = w.text(r, colProvider)
	w.asked(r)
	if r.Model == "" && r.ModelRequested != "" {
		r.Model = r.ModelRequested
		r.From["model"] = r.From["model_requested"]
	}
	for i := range w.spans {
		if w.counts(i) {
			r.LLMCalls++
		}
	}
	sums := []struct {
		col column
		to  *sources.Num
	}{
		{colTokensIn, &r.TokensIn}, {colTokensOut, &r.TokensOut}, {colTokensCached, &r.TokensCached}, {colCost, &r.CostUSD},
	}
	for _, s := range sums {
		w.sum(r, s.col, s.to)
	}
	if b := &w.best[colTTFT]; b.rank != 0 {
		r.TTFT = seconds(b.text)
		w.text(r, colTTFT)
	}
	if !r.TTFT.OK {
		w.firstToken(r)
	}
	r.FinishReason = reason(w.text(r, colFinish))
	if r.FinishReason == "" || r.ResponseID == "" {
		w.fromOutput(r)
	}
}

// asked tells which model was asked for where one field speaks of both, or the
// call failed before any did: what OpenInference keeps of its parameters names the alias.
func (w *work) asked(r *sources.Request) {
	if r.From["model_requested"] != r.From["model_served"] {
		return
	}
	for i := len(w.spans) - 1; i >= 0; i-- {
		if !w.counts(i) {
			continue
		}
		for _, key := range [...]string{"llm.invocation_parameters", "langfuse.observation.model.parameters", "input.value"} {
			text, ok := w.spans[i].Attrs.Get(key)
			if !ok || len(text) < 2 || text[0] != '{' {
				continue
			}
			var call struct {
				Model string `json:"model"`
			}
			if json.Unmarshal([]byte(text), &call) == nil && call.Model != "" {
				r.ModelRequested, r.From["model_requested"] = clip(call.Model), key
				return
			}
		}
		return
	}
}

// sum adds a column up: what the root says about the whole request, else the
// calls of the model, else calls of an embedding model.
func (w *work) sum(r *sources.Request, c column, to *sources.Num) {
	add := func(use func(i int) bool) bool {
		for i := range w.spans {
			if !use(i) {
				continue
			}
			if v, field, ok := w.number(w.attrs[i], c); ok {
				*to = sources.N(to.V + v)
				r.From[columns[c].json] = field
			}
		}
		return to.OK
	}
	steps := []func(i int) bool{
		w.counts,
		func(i int) bool { return i == w.root && !w.roles[i].embed },
		func(i int) bool { return w.roles[i].embed && r.LLMCalls == 0 },
	}
	// The root knows the whole bill, embeddings and tools included; but a gateway that
	// puts the call of the model on it overwrites it with every further call.
	if c == colCost && !w.roles[w.root].llm {
		steps[0], steps[1] = steps[1], steps[0]
	}
	for _, use := range steps {
		if add(use) {
			return
		}
	}
}

// number reads a numeric column from one list of attributes.
func (w *work) number(attrs sources.Attrs, c column) (v float64, field string, ok bool) {
	rank := uint32(math.MaxUint32)
	for i := range attrs {
		for _, t := range w.fields.targets(attrs[i].Key) {
			if t.col != c || t.rank >= rank {
				continue
			}
			n, err := strconv.ParseFloat(attrs[i].Value, 64)
			if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || n < 0 {
				continue
			}
			v, field, ok, rank = n, attrs[i].Key, true, t.rank
		}
	}
	return v, field, ok
}

// firstToken takes the time to first token from the event that OpenInference
// and others record inside the model call.
func (w *work) firstToken(r *sources.Request) {
	for i := len(w.spans) - 1; i >= 0; i-- {
		if !w.counts(i) {
			continue
		}
		for _, e := range w.spans[i].Events {
			if strings.Contains(strings.ToLower(e.Name), "first token") && e.Time >= w.spans[i].Start {
				r.TTFT = sources.N(float64(e.Time-w.spans[i].Start) / 1e9)
				r.From["ttft_s"] = e.Name
				return
			}
		}
	}
}

// fromOutput reads finish reason and response ID out of the provider's own
// answer, which OpenInference keeps whole and does not take apart.
func (w *work) fromOutput(r *sources.Request) {
	for i := len(w.spans) - 1; i >= 0; i-- {
		if !w.counts(i) {
			continue
		}
		out, ok := w.spans[i].Attrs.Get("output.value")
		if !ok || len(out) < 2 || out[0] != '{' {
			continue
		}
		var answer struct {
			ID      string `json:"id"`
			Choices []struct {
				FinishReason string `json:"finish_reason"`
			} `json:"choices"`
		}
		if json.Unmarshal([]byte(out), &answer) != nil {
			continue
		}
		if r.FinishReason == "" && len(answer.Choices) > 0 && answer.Choices[0].FinishReason != "" {
			r.FinishReason = reason(clip(answer.Choices[0].FinishReason))
			r.From["finish_reason"] = "output.value"
		}
		if r.ResponseID == "" && answer.ID != "" {
			r.ResponseID = clip(answer.ID)
			r.From["response_id"] = "output.value"
		}
		return
	}
}

// stages sums the time in each stage; spans of one stage that overlap count once.
func (w *work) stages(r *sources.Request) {
	var until [sources.StageCount]int64
	var total [sources.StageCount]int64
	for i, s := range w.spans { // by start
		st := w.roles[i].stage
		if st == sources.NoStage {
			continue
		}
		start, end := s.Start, max(s.Start, s.End)
		if r.StageSeconds[st].OK {
			start = max(start, until[st])
		}
		total[st] += max(0, end-start)
		until[st] = max(until[st], end)
		r.StageSeconds[st] = sources.N(float64(total[st]) / 1e9)
	}
}
