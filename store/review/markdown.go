package review

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"rollcall/sources"
)

// blank is what a person replaces.
const blank = "______"

// Markdown writes the review for people to finish. The same review gives the same bytes.
func (r *Review) Markdown(w io.Writer) error {
	m := &markdown{bufio.NewWriter(w)}
	m.head(r)
	m.times(r)
	m.signals(r)
	m.changes(r)
	m.affected(r)
	m.requests(r)
	m.runs(r)
	m.timeline(r)
	m.blanks(r)
	m.end(r)
	return m.Flush()
}

type markdown struct{ *bufio.Writer }

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(m, format+"\n", args...) }

func (m *markdown) section(title string) { m.line("\n## %s\n", title) }

// table writes rows of cells that are already escaped.
func (m *markdown) table(head []string, rows [][]string) {
	m.line("| %s |", strings.Join(head, " | "))
	m.line("|%s", strings.Repeat("---|", len(head)))
	for _, r := range rows {
		m.line("| %s |", strings.Join(r, " | "))
	}
}

func (m *markdown) head(r *Review) {
	inc := &r.Incident
	m.line("# %s: %s", md(inc.ID), md(or(inc.Title, "without a title")))
	if r.Public {
		m.line("\nPublic version: people, users, tenants, hosts, notes and outputs are left out.")
	}
	m.line("")
	rows := [][]string{
		{"Service", md(join(inc.Service, brackets(inc.Environment)))},
		{"Category", md(string(inc.Category) + prefixed(": ", inc.CategoryMeans))},
		{"Severity", md(string(inc.Severity) + prefixed(": ", inc.SeverityMeans))},
		{"State", md(inc.State)},
		{"Lead", md(or(inc.Lead, "nobody named"))},
	}
	people := make([]string, 0, len(inc.People))
	for _, p := range inc.People {
		people = append(people, fmt.Sprintf("%s (%s)", p.Name, entries(p.Entries)))
	}
	rows = append(rows, []string{"People", md(or(strings.Join(people, ", "), "nobody"))})
	if len(inc.Tags) > 0 {
		rows = append(rows, []string{"Tags", md(strings.Join(inc.Tags, ", "))})
	}
	cases := sources.Counted(inc.Cases, "regression case")
	if inc.Cases == 0 && inc.CloseReason != "" {
		cases = "no regression case: " + inc.CloseReason
	}
	m.table([]string{"", ""}, append(rows, []string{"Cases", md(cases)}))
	m.section("Summary")
	m.line("%s", md(r.Summary))
	if r.Evidence != "" {
		m.line("\nWhen it was opened the console said: %s", md(r.Evidence))
	}
	for _, s := range r.Suspects {
		m.line("\nSuspected at the time: %s (#%d)", md(s.Text), s.Seq)
	}
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

func (m *markdown) times(r *Review) {
	m.section("Times")
	rows := make([][]string, 0, len(r.Times))
	for _, t := range r.Times {
		at := "not known"
		if !t.At.IsZero() {
			at = stamp(t.At)
		}
		rows = append(rows, []string{md(t.Name), md(at), md(t.Why)})
	}
	m.table([]string{"What", "When (UTC)", ""}, rows)
	m.line("")
	rows = nil
	for _, d := range r.Durations {
		took := "–"
		if d.Seconds.OK {
			took = seconds(d.Seconds.V)
		}
		rows = append(rows, []string{md(d.Name), md(took), md(d.Formula)})
	}
	m.table([]string{"Measure", "Took", "How it was computed"}, rows)
	m.line("")
	rows = nil
	for _, s := range r.Severities {
		formula := fmt.Sprintf("%s − %s", clock(s.To, s.From), clock(s.From, s.To))
		if s.Open {
			formula = fmt.Sprintf("now %s − %s", clock(s.To, s.From), clock(s.From, s.To))
		}
		rows = append(rows, []string{md(string(s.Severity)), md(seconds(s.Seconds)), md(formula), cite(s.Seq, 0)})
	}
	m.table([]string{"Severity", "For", "How it was computed", "Journal"}, rows)
}

func cite(seq, last int64) string {
	switch {
	case seq == 0:
		return ""
	case last > seq:
		return fmt.Sprintf("#%d–#%d", seq, last)
	}
	return fmt.Sprintf("#%d", seq)
}

func (m *markdown) signals(r *Review) {
	m.section("Signals before and after")
	if len(r.Signals) == 0 {
		m.line("None were recorded.")
		return
	}
	shown, others := r.Notable()
	rows := make([][]string, 0, len(shown))
	for i := range shown {
		s := &shown[i]
		rows = append(rows, []string{md(s.Label), number(s.Before, s.Unit), number(s.During, s.Unit), number(s.After, s.Unit), number(s.Usual, s.Unit), md(citePoints(s.Points))})
	}
	if len(rows) > 0 {
		m.table([]string{"Signal", "Before", "Worst during", "After", "Usual", "Journal"}, rows)
	}
	if len(others) > 0 {
		m.line("\nRecorded and never worse than their thresholds: %s.", md(strings.Join(others, ", ")))
	}
}

// citePoints cites the first and the last entry behind a signal.
func citePoints(points []SignalPoint) string {
	var first, last int64
	for _, p := range points {
		if p.Seq > 0 {
			if first == 0 || p.Seq < first {
				first = p.Seq
			}
			last = max(last, p.Seq)
		}
	}
	return cite(first, last)
}

func number(n sources.Num, u sources.Unit) string {
	if !n.OK {
		return "–"
	}
	return md(u.Format(n.V))
}

func (m *markdown) changes(r *Review) {
	m.section("Changes")
	if len(r.Changes) == 0 {
		m.line("None were seen in the hour before it began, nor until its end.")
		return
	}
	rows := make([][]string, 0, len(r.Changes))
	for i := range r.Changes {
		c := &r.Changes[i]
		from := c.Source
		if c.Seq > 0 {
			from = join(from, cite(c.Seq, 0))
		}
		rows = append(rows, []string{md(stamp(c.At)), md(changeWords(c.Change)), md(relative(c.BeforeS)), md(from)})
	}
	m.table([]string{"When (UTC)", "What", "Against the start", "Seen by"}, rows)
}

func relative(n sources.Num) string {
	switch {
	case !n.OK:
		return "the start is not known"
	case n.V >= 0:
		return seconds(n.V) + " before"
	}
	return seconds(-n.V) + " after"
}

func (m *markdown) affected(r *Review) {
	m.section("Affected requests and money")
	a := &r.Affected
	if !a.Known {
		m.line("Not known.")
		for _, n := range a.Notes {
			m.line("- It says: %s", md(n))
		}
		return
	}
	rows := [][]string{{"Requests", md(fmt.Sprint(a.Requests))}, {"Bad requests", md(whole(a.Bad))}}
	for _, x := range a.Reasons {
		rows = append(rows, []string{"… " + md(x.Name), md(fmt.Sprint(x.N))})
	}
	rows = append(rows, []string{"Users with a bad request", md(whole(a.Users))}, []string{"Tenants with a bad request", md(whole(a.Tenants))})
	for _, x := range a.ByTenant {
		rows = append(rows, []string{"… " + md(x.Name), md(sources.Counted(x.N, "bad request"))})
	}
	cost, usual := "not known", "not known"
	if a.CostUSD.OK {
		cost = sources.USD.Format(a.CostUSD.V)
	}
	if a.UsualUSD.OK {
		usual = sources.USD.Format(a.UsualUSD.V)
	}
	rows = append(rows, []string{"Cost", md(cost)}, []string{"Usual cost", md(join(usual, brackets(a.UsualHow)))})
	if a.CostUSD.OK && a.UsualUSD.OK {
		rows = append(rows, []string{"More than usual", md(fmt.Sprintf("%s − %s = %s", cost, usual, sources.USD.Format(cents(a.CostUSD.V)-cents(a.UsualUSD.V))))})
	}
	m.table([]string{"", ""}, rows)
	m.line("\nThe request rows cover %s to %s.", md(stamp(a.Since)), md(stamp(a.Until)))
	for _, n := range a.Notes {
		m.line("- Note: %s", md(n))
	}
}

// cents rounds as large sums are written, so that the printed difference adds up.
func cents(v float64) float64 {
	if abs(v) < 1 {
		return v
	}
	return math.Round(v*100) / 100
}

func whole(n sources.Num) string {
	if !n.OK {
		return "not known"
	}
	return fmt.Sprintf("%.0f", n.V)
}

func (m *markdown) requests(r *Review) {
	m.section("Requests captured as evidence")
	if len(r.Requests) == 0 {
		m.line("None.")
		return
	}
	for _, l := range r.Requests {
		var names []string
		for _, a := range l.Artifacts {
			n := fmt.Sprintf("%s (%d bytes)", a.Name, a.Bytes)
			if a.Erased {
				n = a.Name + " (erased)"
			}
			names = append(names, n)
		}
		m.line("- Request %s%s%s", md(or(l.Request, "without an ID")), md(prefixed(", ", cite(l.Seq, 0))), md(prefixed(": ", strings.Join(names, ", "))))
	}
}

func (m *markdown) runs(r *Review) {
	m.section("Runbooks")
	if len(r.Runs) == 0 {
		m.line("None was run.")
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		kind := "Run"
		if run.Rehearsal {
			kind = "Rehearsal"
		}
		if i > 0 {
			m.line("")
		}
		m.line("### %s %s: %s, %s\n", kind, md(run.ID), md(or(run.Title, run.Runbook)), md(or(run.Outcome, "still going on")))
		m.line("From %s to %s%s.%s", md(stamp(run.Began)), md(or(stampOf(run.Ended), "now")), md(prefixed(", by ", run.Actor)), md(prefixed(" ", run.Why)))
		for _, v := range run.Vars {
			m.line("- Variable %s = %s%s", md(v.Name), md(v.Value), md(prefixed(", from ", v.From)))
		}
		phase := ""
		for j := range run.Steps {
			s := &run.Steps[j]
			if s.Phase != phase {
				phase = s.Phase
				m.line("\n**%s**\n", md(strings.ToUpper(phase[:min(1, len(phase))])+phase[min(1, len(phase)):]))
			}
			m.step(s)
		}
	}
}

func (m *markdown) step(s *Step) {
	box := " "
	if s.Status == "passed" {
		box = "x"
	}
	words := s.stepWords()
	m.line("- [%s] **%s** %s — %s", box, md(s.Name), md(s.Sentence), md(words))
	if s.Note != "" {
		m.line("  - Note: %s", md(s.Note))
	}
	if len(s.Output) > 0 {
		m.line("")
		_, _ = m.WriteString(fence("  ", s.Output))
		if s.Omitted > 0 {
			m.line("\n  (%d earlier lines are left out)", s.Omitted)
		}
		m.line("")
	}
}

// stepWords says how a step ended, with what was measured:
// "3 samples passed: 1.3%, 1.2%, 1.1% (usual 1.2%)".
func (s *Step) stepWords() string {
	var parts []string
	if len(s.Samples) > 0 {
		count := map[string]int{}
		var order, values []string
		usual := sources.Num{}
		for _, x := range s.Samples {
			if count[x.Verdict]++; count[x.Verdict] == 1 {
				order = append(order, x.Verdict)
			}
			v := "no value"
			if x.Value.OK {
				v = s.Unit.Format(x.Value.V)
			}
			values = append(values, v)
			if x.Usual.OK {
				usual = x.Usual
			}
		}
		var said []string
		for _, v := range order {
			said = append(said, sources.Counted(count[v], "sample")+" "+v)
		}
		text := strings.Join(said, ", ") + ": " + strings.Join(values, ", ")
		if usual.OK {
			text += " (usual " + s.Unit.Format(usual.V) + ")"
		}
		parts = append(parts, text)
	}
	if s.Status != "passed" || len(parts) == 0 {
		parts = append([]string{or(s.Status, "pending")}, parts...)
	}
	if s.Exit != nil && *s.Exit != 0 {
		parts = append(parts, fmt.Sprintf("exit code %d", *s.Exit))
	}
	if s.TookS > 0 {
		parts = append(parts, "took "+shortSeconds(s.TookS))
	}
	if s.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", s.Attempt))
	}
	if s.By != "" {
		parts = append(parts, "confirmed by "+s.By)
	}
	if s.Why != "" && s.Status != "passed" {
		parts = append(parts, s.Why)
	}
	return strings.Join(parts, "; ")
}

// shortSeconds keeps the fraction of a short time.
func shortSeconds(s float64) string {
	if s < 60 {
		return fmt.Sprintf("%.1f s", s)
	}
	return seconds(s)
}

func (m *markdown) timeline(r *Review) {
	m.section("Timeline")
	m.line("Each line cites its entry in the journal.\n")
	rows := make([][]string, 0, len(r.Timeline))
	day := ""
	for i := range r.Timeline {
		t := &r.Timeline[i]
		at := t.At.UTC().Format(time.TimeOnly)
		if d := t.At.UTC().Format(time.DateOnly); d != day {
			day = d
			at = d + " " + at
		}
		what := md(t.What)
		if t.Text != "" {
			what += ": " + md(t.Text)
		}
		var names []string
		for _, a := range t.Artifacts {
			names = append(names, a.Name)
		}
		if len(names) > 0 {
			what += " " + md("["+strings.Join(names, ", ")+"]")
		}
		rows = append(rows, []string{cite(t.Seq, t.SeqLast), md(at), md(t.Actor), what})
	}
	m.table([]string{"Journal", "When (UTC)", "Who", "What"}, rows)
}

func (m *markdown) blanks(r *Review) {
	for _, b := range r.Blanks {
		m.section(b.Title)
		if b.Hint != "" {
			m.line("*To be written. %s*\n", md(b.Hint))
		} else {
			m.line("*To be written.*\n")
		}
		m.line("%s", strings.ReplaceAll(blank, "_", `\_`))
	}
	m.section("Action items")
	m.line("*To be written.*\n")
	e := strings.ReplaceAll(blank, "_", `\_`)
	m.table([]string{"Action", "Owner", "Due"}, [][]string{{e, e, e}, {e, e, e}, {e, e, e}})
}

func (m *markdown) end(r *Review) {
	m.section("Where this comes from")
	m.line("Made at %s from the journal up to entry #%d.\n", md(stamp(r.Generated)), r.Head.Seq)
	m.line("- Head of the journal: `%d:%s`", r.Head.Seq, harmlessCode(r.Head.Hash))
	m.line("- To check that nothing was changed or removed since: `%s`", harmlessCode(r.Head.Verify))
	for _, g := range r.Gaps {
		m.line("- Missing: %s", md(g))
	}
}

// harmlessCode keeps text inside a code span.
func harmlessCode(s string) string { return strings.ReplaceAll(flat(s), "`", "'") }
