package cli

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/sources"
	"rollcall/tui/widget"
)

func (p *Program) requestCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "request ID",
		Short: "One request, everything",
		Long: "Everything known about one request: its row, the stages of its trace, its log lines, versions with\n" +
			"the difference to the last good manifest, its content (redacted), and requests that failed the same\n" +
			"way. The ID is the request's, the trace's or the provider's response ID.\n\n" +
			"Exit code: 0 found, 1 no source has it, 3 a source that may have it could not be reached.",
		Args: cobra.ExactArgs(1),
	}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		id := strings.TrimSpace(args[0])
		if id == "" || len(id) > 512 {
			return usage("%q is not an ID", clean(id[:min(len(id), 80)]))
		}
		ctx := cmd.Context()
		s, cfg, service, err := p.session(ctx, o, ReadOnly)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		v, err := s.Request(ctx, service, id)
		if err != nil {
			if unreachable(s.Health()) {
				return &exit{ExitUnreachable, err}
			}
			return &exit{ExitBad, err}
		}
		if asJSON {
			err = writeJSON(p.Out, requestOf(v))
		} else {
			t := p.printer(o, cfg.UI)
			t.request(v, s.Clock().Now())
			err = t.err
		}
		if err == nil && unreachable(s.Health()) {
			return &exit{code: ExitUnreachable}
		}
		return err
	}
	return cmd
}

func (t *printer) request(v *sources.RequestView, now time.Time) {
	r := &v.Request
	id := r.ID
	if id == "" {
		id = r.TraceID
	}
	verdict, words := sources.OK, "ok"
	if why := r.Why(); len(why) > 0 {
		verdict, words = sources.Bad, strings.Join(why, ", ")
	}
	_, style := t.theme.Verdict(verdict)
	t.line("%s  %s %s", t.style(t.theme.Title, clean(id)), t.verdict(verdict), t.style(style, clean(words)))
	t.pairs([][2]string{
		{"time", r.Time.UTC().Format("2006-01-02 15:04:05.000Z")},
		{"trace", r.TraceID},
		{"response", r.ResponseID},
		{"conversation", r.ConversationID},
		{"service", joinNonEmpty(t.dot(), r.Service, r.Environment, r.Region)},
		{"route", joinNonEmpty(t.dot(), r.Route, prefix("tenant ", r.Tenant), r.User)},
		{"outcome", joinNonEmpty(t.dot(), r.Outcome, r.ErrorType, prefix("finish ", r.FinishReason), prefix("schema ", joinNonEmpty(": ", r.Schema, r.SchemaError)),
			prefix("filter ", r.Filter), prefix("denied ", r.Denied), prefix("feedback ", r.Feedback), prefix("fallback ", r.Fallback))},
		{"model", joinNonEmpty(t.dot(), prefix("asked ", r.ModelRequested), prefix("served ", r.ModelServed), r.Provider)},
		{"latency", joinNonEmpty(t.dot(), t.seconds(r.Latency), "first token "+t.seconds(r.TTFT))},
		{"tokens", fmt.Sprintf("%s in (%s cached), %s out", t.whole(r.TokensIn), t.whole(r.TokensCached), t.whole(r.TokensOut))},
		{"cost", t.usd(r.CostUSD)},
		{"cache", r.Cache},
	})
	t.versions(v)
	t.waterfall(v)
	if len(r.Scores)+len(r.Documents)+len(r.ToolCalls) > 0 {
		t.section("Evidence")
		tb := table{indent: "  "}
		for _, s := range r.Scores {
			tb.add(plainCell("score"), plainCell(s.Evaluator), plainCell(num2(s.Value)), plainCell(joinNonEmpty(t.dot(), s.Label, s.Explanation)))
		}
		for _, d := range r.Documents {
			tb.add(plainCell("document"), plainCell(d.ID), plainCell(num2(d.Score)))
		}
		for _, c := range r.ToolCalls {
			tb.add(plainCell("tool"), plainCell(c.Name), plainCell(t.or(c.Error)), plainCell(c.Result))
		}
		tb.print(t)
	}
	t.section("Logs")
	for i := range v.Logs.Lines {
		t.logLine(&v.Logs.Lines[i], now)
	}
	if len(v.Logs.Lines) == 0 {
		t.line("  none")
	}
	for _, c := range v.Content {
		t.section(strings.TrimSpace(c.Kind + " " + c.Role))
		for l := range strings.Lines(cleanText(c.Text)) {
			t.line("  %s", strings.TrimRight(l, "\n"))
		}
	}
	if len(v.Alike) > 0 {
		t.section("Failed the same way")
		t.requests(v.Alike, now)
	}
	t.section("Who answered")
	tb := table{indent: "  "}
	for _, a := range v.Answers {
		what, st := "nothing", &t.theme.Dim
		if a.Found {
			what, st = "found", &t.theme.Bright
		}
		tb.add(plainCell(a.Source), cell{what, st}, plainCell(t.words(a.Note)))
	}
	tb.print(t)
}

func (t *printer) section(title string) {
	t.line("")
	t.line("%s", t.style(t.theme.Title, clean(strings.ToUpper(title[:1])+title[1:])))
}

func (t *printer) pairs(list [][2]string) {
	tb := table{indent: "  "}
	for _, kv := range list {
		if kv[1] != "" {
			tb.add(cell{kv[0], &t.theme.Dim}, plainCell(t.words(kv[1])))
		}
	}
	tb.print(t)
}

func (t *printer) versions(v *sources.RequestView) {
	t.section("Versions")
	good := map[sources.Component]string{}
	for _, d := range v.Diff {
		good[d.Component] = d.From
	}
	tb := table{indent: "  "}
	for _, c := range sources.Components {
		version := v.Request.Version(c)
		if from, moved := good[c]; moved {
			tb.add(plainCell(string(c)), cell{t.or(version), &t.theme.Bright}, cell{"was " + t.or(from), &t.theme.Watch})
			continue
		}
		tb.add(plainCell(string(c)), plainCell(t.or(version)))
	}
	tb.print(t)
	switch {
	case v.LastGood == nil:
		t.line("  %s", t.style(t.theme.Dim, "no last good manifest is known"))
	case v.LastGood.ID != "":
		t.line("  %s", t.style(t.theme.Dim, "compared with the last good manifest "+clean(v.LastGood.ID)))
	}
}

// waterfall draws the spans on the request's time, in the order of the tree.
func (t *printer) waterfall(v *sources.RequestView) {
	if len(v.Spans) == 0 {
		return
	}
	t.section("Spans")
	nodes := tree(v.Spans)
	var roots, all []*sources.Span
	for _, n := range nodes {
		all = append(all, n.span)
		if n.depth == 0 {
			roots = append(roots, n.span)
		}
	}
	start, end, outside := sources.SpanAxis(roots, all)
	const width = 24
	full, empty := "█", "·"
	if t.ascii() {
		full, empty = "#", "."
	}
	tb := table{indent: "  ", right: []bool{2: true, 3: true}}
	for _, n := range nodes {
		s := n.span
		at := func(x int64) float64 { return float64(max(start, min(x, end))-start) / float64(end-start) * width }
		from := min(int(at(s.Start)), width-1)
		to := min(max(from+1, int(at(s.End)+0.999)), width)
		bar := strings.Repeat(empty, from) + strings.Repeat(full, to-from) + strings.Repeat(empty, width-to)
		if s.Start > end || max(s.Start, s.End) < start {
			bar = strings.Repeat(empty, width)
		}
		name := strings.Repeat("  ", min(n.depth, 8)) + s.Name
		note := cell{s.Kind, &t.theme.Dim}
		if s.Error {
			note = cell{joinNonEmpty(t.dot(), "error", s.Message), &t.theme.Bad}
		}
		tb.add(plainCell(name), cell{bar, &t.theme.Accent}, plainCell(widget.Amount(float64(sources.SaneTime(s.Start)-start)/1e9, sources.Seconds, t.ascii())),
			plainCell(widget.Amount(s.Duration().Seconds(), sources.Seconds, t.ascii())), note)
	}
	tb.print(t)
	if outside > 0 {
		t.line("  %s", t.style(t.theme.Dim, fmt.Sprintf("%d off this axis (a clock is wrong)", outside)))
	}
}

type node struct {
	span  *sources.Span
	depth int
}

// tree orders spans parents first, siblings by start. A span whose parent is
// missing, or in a circle, stands at the top.
func tree(spans []sources.Span) []node {
	known := make(map[sources.SpanID]bool, len(spans))
	children := make(map[sources.SpanID][]*sources.Span, len(spans))
	for i := range spans {
		known[spans[i].SpanID] = true
	}
	for i := range spans {
		parent := spans[i].Parent
		if !known[parent] || parent == spans[i].SpanID {
			parent = sources.SpanID{}
		}
		children[parent] = append(children[parent], &spans[i])
	}
	for _, list := range children {
		sort.SliceStable(list, func(i, j int) bool { return list[i].Start < list[j].Start })
	}
	out := make([]node, 0, len(spans))
	seen := make(map[*sources.Span]bool, len(spans))
	var walk func(id sources.SpanID, depth int)
	walk = func(id sources.SpanID, depth int) {
		for _, s := range children[id] {
			if !seen[s] {
				seen[s] = true
				out = append(out, node{s, depth})
				if !s.SpanID.IsZero() {
					walk(s.SpanID, depth+1)
				}
			}
		}
	}
	walk(sources.SpanID{}, 0)
	for i := range spans {
		if s := &spans[i]; !seen[s] {
			seen[s] = true
			out = append(out, node{s, 0})
			walk(s.SpanID, 1)
		}
	}
	return out
}

func num2(n sources.Num) string {
	if !n.OK {
		return "-"
	}
	return fmt.Sprintf("%.2f", n.V)
}

func prefix(p, s string) string {
	if s == "" {
		return ""
	}
	return p + s
}

func joinNonEmpty(sep string, parts ...string) string {
	var out []string
	for _, s := range parts {
		if s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, sep)
}
