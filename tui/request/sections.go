package request

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/requests"
	"rollcall/tui/theme"
	"rollcall/tui/widget"
)

// text returns the lines of a section that is text, wrapped to w columns.
func (p *Pane) text(c pane.Context, s section, w int) []string {
	k := textKey{sec: s, width: w, piece: p.piece, local: c.LocalTime, theme: c.Theme}
	if lines, ok := p.texts[k]; ok {
		return lines
	}
	var lines []string
	switch s {
	case secVerdicts:
		lines = verdictLines(c, &p.view.Request, w)
	case secVersions:
		lines = versionLines(c, p.view, w)
	case secContent:
		lines = p.contentLines(c, w)
	case secSources:
		lines = sourceLines(c, p.view, w)
	}
	if p.texts == nil || len(p.texts) > 32 {
		p.texts = map[textKey][]string{}
	}
	p.texts[k] = lines
	return lines
}

// judged is a value with its verdict; the shape stands before the label.
func judged(c pane.Context, v sources.Verdict, label, value string, w int) []string {
	shape, st := " ", c.Theme.Plain
	if v != "" {
		shape, st = c.Theme.Verdict(v)
	}
	const wide = 12
	room := max(8, w-wide-6)
	var out []string
	for i, line := range kit.Wrap(value, room) {
		if i == 0 {
			head := " " + st.Render(shape) + " " + c.Theme.Dim.Render(widget.Fit(kit.Line(label, wide), wide, c.Theme.Glyphs.Ellipsis))
			if v == sources.Bad || v == sources.Watch {
				line = st.Render(line)
			}
			out = append(out, head+"  "+line)
			continue
		}
		out = append(out, strings.Repeat(" ", wide+5)+line)
	}
	return out
}

func when(cond bool, v sources.Verdict) sources.Verdict {
	if cond {
		return v
	}
	return sources.OK
}

// verdictLines say how the request was judged by whoever judged it, worst first is
// not the order: the same line stands in the same place for every request.
func verdictLines(c pane.Context, r *sources.Request, w int) []string {
	ascii := c.Theme.Options.ASCII
	var out []string
	add := func(v sources.Verdict, label, value string) {
		if value != "" {
			out = append(out, judged(c, v, label, value, w)...)
		}
	}
	outcome := r.Outcome
	if r.ErrorType != "" {
		outcome = strings.TrimSpace(outcome + " " + r.ErrorType)
	}
	schema := r.Schema
	if r.SchemaError != "" {
		schema += ": " + r.SchemaError
	}
	add(when(r.Outcome == "error", sources.Bad), "outcome", outcome)
	add(when(r.Schema == "fail", sources.Bad), "schema", schema)
	add(when(r.Filter != "none", sources.Bad), "filter", r.Filter)
	switch r.Refusal {
	case "true":
		add(sources.Bad, "refusal", "refused")
	case "false":
		add(sources.OK, "refusal", "none")
	}
	add(sources.Bad, "access", r.Denied)
	add(when(r.FinishReason == "length", sources.Bad), "finish", r.FinishReason)
	add(when(r.Feedback == "down", sources.Bad), "feedback", r.Feedback)
	switch r.RetrievalHit {
	case "true":
		add(sources.OK, "retrieval", "hit")
	case "false":
		add(sources.Watch, "retrieval", "nothing relevant found")
	}
	for i := range r.Scores {
		s := &r.Scores[i]
		value := "not a number"
		if s.Value.OK {
			value = kit.Score(s.Value.V)
		}
		add(scoreVerdict(s.Label), s.Evaluator, joinWords(value, s.Label, s.Explanation))
	}
	add(sources.Watch, "fallback", arrow(c, r.Fallback))
	add("", "cache", r.Cache)
	add("", "latency", timing(r, ascii))
	add("", "tokens", tokens(r, ascii))
	if r.CostUSD.OK {
		add("", "cost", kit.USD(r.CostUSD, ascii))
	}
	if r.LLMCalls > 0 {
		add("", "LLM calls", strconv.Itoa(r.LLMCalls))
	}
	add("", "query", r.RetrievalQuery)
	var docs []string
	for _, d := range r.Documents {
		s := d.ID
		if d.Score.OK {
			s += " " + strconv.FormatFloat(d.Score.V, 'f', 2, 64)
		}
		docs = append(docs, s)
	}
	add("", "documents", strings.Join(docs, ", "))
	for i := range r.ToolCalls {
		t := &r.ToolCalls[i]
		add(when(t.Error != "", sources.Watch), "tool", joinWords(t.Name, t.Error))
	}
	if len(r.Flags) > 0 {
		add(sources.Watch, "note", strings.Join(r.Flags, ", "))
	}
	if len(out) == 0 {
		out = append(out, " "+c.Theme.Dim.Render("No span carried an outcome, a verdict or an amount."))
	}
	return out
}

func scoreVerdict(label string) sources.Verdict {
	if len(label) > 16 {
		return ""
	}
	switch strings.ToLower(label) {
	case "fail", "failed", "bad", "incorrect", "unsafe":
		return sources.Bad
	case "pass", "passed", "good", "correct", "safe":
		return sources.OK
	}
	return ""
}

func joinWords(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), "  ")
}

func arrow(c pane.Context, s string) string {
	return strings.ReplaceAll(s, "→", c.Theme.Glyphs.Arrow)
}

func timing(r *sources.Request, ascii bool) string {
	var out []string
	if r.Latency.OK {
		out = append(out, kit.Seconds(r.Latency, ascii))
	}
	if r.TTFT.OK {
		out = append(out, "ttft "+kit.Seconds(r.TTFT, ascii))
	}
	return strings.Join(out, ", ")
}

func tokens(r *sources.Request, ascii bool) string {
	var out []string
	add := func(n sources.Num, what string) {
		if n.OK {
			out = append(out, kit.Whole(n, ascii)+" "+what)
		}
	}
	add(r.TokensIn, "in")
	add(r.TokensOut, "out")
	add(r.TokensCached, "cached")
	return strings.Join(out, ", ")
}

// versionLines set the versions of the request beside the last good ones, say what
// moved when, and list every column of the row with the field it came from.
func versionLines(c pane.Context, v *sources.RequestView, w int) []string {
	t := c.Theme
	r := &v.Request
	differs := map[sources.Component]*sources.Change{}
	for i := range v.Diff {
		differs[v.Diff[i].Component] = &v.Diff[i]
	}
	const label = 9
	good := "last good"
	if v.LastGood == nil {
		good = "last good not known"
	} else if v.LastGood.ID != "" {
		good += " " + v.LastGood.ID
	}
	type line struct{ mark, name, here, there, from string }
	var rows []line
	here, there := width("this request"), width(good)
	for _, k := range sources.Components {
		l := line{name: string(k), here: r.Version(k), from: r.From[string(k)]}
		if l.here == "" {
			l.here = kit.Unknown(t.Options.ASCII)
		}
		if v.LastGood != nil {
			l.there = v.LastGood.Versions[k]
			switch d := differs[k]; {
			case d != nil:
				l.mark, l.there = t.Glyphs.Mark, d.From
			case l.there == r.Version(k) && l.there != "":
				l.there = "same"
			}
		}
		here, there = max(here, width(kit.Line(l.here, 40))), max(there, width(kit.Line(l.there, 40)))
		rows = append(rows, l)
	}
	add := func(name, value, good string) {
		if value != "" {
			rows = append(rows, line{name: name, here: value, there: good, from: r.From[name]})
			here = max(here, width(kit.Line(value, 40)))
		}
	}
	if r.ModelServed != r.Model {
		add("served", r.ModelServed, "")
	}
	goodID := ""
	if v.LastGood != nil && v.LastGood.ID != r.Manifest {
		goodID = v.LastGood.ID
	}
	add("manifest", r.Manifest, goodID)
	add("stage", r.Stage, "")
	here, there = min(here, 40), min(there, 40)
	if over := 3 + label + 2 + here + 2 + there + 1 - w; over > 0 {
		cut := min(over, max(0, here-12))
		here -= cut
		there = max(8, there-(over-cut))
	}
	from := w - (3 + label + 2 + here + 2 + there + 2)
	if from < 12 {
		from = 0
	}
	draw := func(l line, st lipgloss.Style) string {
		e := t.Glyphs.Ellipsis
		mark := " "
		if l.mark != "" {
			mark = t.Accent.Render(l.mark)
		}
		s := " " + mark + " " + t.Dim.Render(widget.Fit(l.name, label, e)) + "  " +
			st.Render(widget.Fit(kit.Line(l.here, here), here, e)) + "  " + t.Dim.Render(widget.Fit(kit.Line(l.there, there), there, e))
		if from > 0 {
			s += "  " + t.Dim.Render(widget.Fit(kit.Line(l.from, from), from, e))
		}
		return s
	}
	out := []string{draw(line{here: "this request", there: good, from: "from"}, t.Dim)}
	for _, l := range rows {
		st := t.Plain
		if l.mark != "" {
			st = t.Accent
		}
		out = append(out, draw(l, st))
	}
	for i := range v.Diff {
		d := &v.Diff[i]
		words := string(d.Component) + " " + d.From + " " + t.Glyphs.Arrow + " " + d.To
		if d.Silent {
			words += ", silent"
		}
		if !d.At.IsZero() {
			words += ", " + kit.Clock(c, d.At)
			if ago := r.Time.Sub(d.At); ago > 0 {
				words += ", " + widget.Span(ago) + " before this request"
			}
		}
		for _, l := range kit.Wrap(joinWords(words, d.Evidence), max(8, w-4)) {
			out = append(out, "   "+t.Accent.Render(l))
		}
	}
	out = append(out, "", " "+t.Title.Render("Every column"))
	all := columns(r, t.Options.ASCII)
	keyW := 0
	for _, f := range all {
		keyW = max(keyW, len(f.Key))
	}
	for _, f := range all {
		value := f.Value
		if at := r.From[f.Key]; at != "" {
			value += "  (from " + at + ")"
		}
		out = append(out, kit.Fields(c, []kit.Field{{Key: widget.Fit(f.Key, keyW, ""), Value: value}}, w)...)
	}
	return out
}

// columns lists the columns of the row that are filled, under the names that JSON has for them.
func columns(r *sources.Request, ascii bool) []kit.Field {
	var out []kit.Field
	add := func(key, value string) {
		if value != "" {
			out = append(out, kit.Field{Key: key, Value: value})
		}
	}
	num := func(key string, n sources.Num, write func(sources.Num, bool) string) {
		if n.OK {
			add(key, write(n, ascii))
		}
	}
	add("request_id", r.ID)
	add("trace_id", r.TraceID)
	add("response_id", r.ResponseID)
	add("conversation_id", r.ConversationID)
	if !r.Time.IsZero() {
		add("time", r.Time.UTC().Format(time.RFC3339Nano))
	}
	add("service", r.Service)
	add("environment", r.Environment)
	add("region", r.Region)
	add("route", r.Route)
	add("tenant", r.Tenant)
	add("user", r.User)
	for _, k := range sources.Components {
		add(string(k), r.Version(k))
	}
	add("manifest", r.Manifest)
	add("stage", r.Stage)
	add("prompt_name", r.PromptName)
	add("model_requested", r.ModelRequested)
	add("model_served", r.ModelServed)
	add("model_fingerprint", r.ModelFingerprint)
	add("provider", r.Provider)
	add("outcome", r.Outcome)
	add("finish_reason", r.FinishReason)
	add("error_type", r.ErrorType)
	num("latency_s", r.Latency, kit.Seconds)
	num("ttft_s", r.TTFT, kit.Seconds)
	for i, n := range r.StageSeconds {
		num(sources.Stage(i).String(), n, kit.Seconds)
	}
	num("tokens_in", r.TokensIn, kit.Whole)
	num("tokens_out", r.TokensOut, kit.Whole)
	num("tokens_cached", r.TokensCached, kit.Whole)
	num("cost_usd", r.CostUSD, kit.USD)
	add("cache", r.Cache)
	add("schema", r.Schema)
	add("schema_error", r.SchemaError)
	add("filter", r.Filter)
	add("refusal", r.Refusal)
	add("access_denied", r.Denied)
	add("feedback", r.Feedback)
	add("fallback", r.Fallback)
	add("retrieval_query", r.RetrievalQuery)
	add("retrieval_hit", r.RetrievalHit)
	return out
}

// answerPiece is the piece of content to show first: what the model said.
func answerPiece(content []sources.Content) int {
	at := 0
	for i := range content {
		if content[i].Kind == "response" {
			at = i
		}
	}
	return at
}

func (p *Pane) contentLines(c pane.Context, w int) []string {
	t := c.Theme
	if len(p.view.Content) == 0 {
		var out []string
		for _, l := range kit.Wrap("No content was captured. It comes from gen_ai.input.messages, gen_ai.output.messages and "+
			"gen_ai.system_instructions; many SDKs send them only when told to capture message content.", max(8, w-2)) {
			out = append(out, " "+t.Dim.Render(l))
		}
		return out
	}
	k := &p.view.Content[min(p.piece, len(p.view.Content)-1)]
	var out []string
	for _, l := range kit.Wrap(k.Text, max(8, w-2)) {
		out = append(out, " "+l)
	}
	if k.From != "" {
		out = append(out, " "+t.Dim.Render("from "+kit.Line(k.From, w)))
	}
	return out
}

// pieceTabs names the pieces of content, the shown one standing out.
func (p *Pane) pieceTabs(t *theme.Theme) string {
	var b strings.Builder
	for i := range p.view.Content {
		k := &p.view.Content[i]
		name := k.Kind
		if name == "" {
			name = k.Role
		}
		if i > 0 {
			b.WriteString(" ")
		}
		name = kit.Line(name, 16)
		if i == p.piece {
			b.WriteString(t.Accent.Render("[" + name + "]"))
			continue
		}
		b.WriteString(t.Dim.Render(name))
	}
	return b.String()
}

// sourceLines say which source answered, and which has nothing.
func sourceLines(c pane.Context, v *sources.RequestView, w int) []string {
	var out []string
	for i := range v.Answers {
		a := &v.Answers[i]
		verdict := sources.NoTraffic
		if a.Found {
			verdict = sources.OK
		}
		out = append(out, judged(c, verdict, a.Source, a.Note, w)...)
	}
	if len(out) == 0 {
		out = append(out, " "+c.Theme.Dim.Render("No source was asked."))
	}
	return out
}

// alikeLine draws one request that failed the same way.
func alikeLine(c pane.Context, r *sources.Request, selected bool, w int) string {
	t := c.Theme
	shape, st, words := requests.Outcome(t, r)
	words = kit.Line(words, w)
	cursor := "  "
	if selected {
		cursor = widget.Fit(t.Glyphs.Cursor, 2, "")
	}
	id := kit.Middle(bestID(r), max(8, min(28, w/3)), t.Glyphs.Ellipsis)
	head := kit.Clock(c, r.Time) + "  " + widget.Fit(id, max(8, min(28, w/3)), "") + "  "
	rest := joinWords(r.Route, r.Tenant, r.Prompt, kit.Seconds(r.Latency, t.Options.ASCII))
	if selected {
		return t.Selected.Render(widget.Fit(cursor+head+shape+" "+words+"  "+kit.Line(rest, w), w, t.Glyphs.Ellipsis))
	}
	return widget.Fit(cursor+t.Dim.Render(head)+st.Render(shape+" "+words)+"  "+kit.Line(rest, w), w, t.Glyphs.Ellipsis)
}
