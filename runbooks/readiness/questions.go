package readiness

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
)

const (
	// most is the share of records from which on something is said to be there: a
	// request that was cut off by a restart should not turn a yes into a partly.
	most = 0.95
	// some is the share below which it is said not to be there.
	some = 0.05
	// fewest is how many requests or lines must be seen before a share says anything.
	fewest = 20
)

// needed are the components of the question; others count where they have a pin.
var needed = []sources.Component{sources.Prompt, sources.Model, sources.Index}

func unknown(what, why string) []Fact {
	why, next, _ := strings.Cut(why, "; ")
	return []Fact{{What: what, Says: CannotTell, Detail: why, Next: next}}
}

// part judges a share of records.
func part(what string, n, of int, noun, next string) Fact {
	f := Fact{What: what, Detail: fmt.Sprintf("in %d of %s", n, sources.Counted(of, noun)), Next: next}
	switch p := float64(n) / float64(max(1, of)); {
	case of < fewest:
		f.Says, f.Detail = CannotTell, f.Detail+", too few to judge by"
	case p >= most:
		f.Says, f.Next = Yes, ""
	case p <= some:
		f.Says = No
	default:
		f.Says = Partly
	}
	return f
}

func reproduce(e *Evidence) []Fact {
	r := &e.Requests
	const send = "export traces over OTLP to rollcall collect, or to a Tempo or Jaeger that the configuration names"
	switch {
	case r.Unknown != "":
		return unknown("request records", r.Unknown)
	case r.N == 0 && r.Traffic:
		return []Fact{{What: "request records", Says: No, Detail: "requests are served, and none of the last " + span(r.Over) + " left a record", Next: send}}
	case r.N == 0:
		return []Fact{{What: "request records", Says: CannotTell, Detail: "no request of the last " + span(r.Over) + " is known", Next: send}}
	}
	out := []Fact{{What: "request records", Detail: fmt.Sprintf("the newest %s of the last %s", sources.Counted(r.N, "request"), span(r.Over))}}
	for _, s := range r.Parts {
		if s.Of == 0 {
			out = append(out, Fact{What: s.What, Detail: "nothing in the sample should have one"})
			continue
		}
		out = append(out, part(s.What, s.N, s.Of, "request", s.Next))
	}
	if r.Opened > 0 {
		f := Fact{What: "question and answer in full", Says: Yes, Detail: fmt.Sprintf("in %d of %s that were opened", r.Texts, sources.Counted(r.Opened, "request"))}
		if r.Texts < r.Opened {
			f.Says, f.Next = Partly, "record gen_ai.input.messages and gen_ai.output.messages; rollcall keeps them only redacted"
			if r.Texts == 0 {
				f.Says = No
			}
		}
		out = append(out, f)
	}
	return out
}

// wanted are the components that are asked about: the needed ones, and all that have a pin.
func wanted(p *Pins) []sources.Component {
	out := slices.Clone(needed)
	for i := range p.Pins {
		if !slices.Contains(out, p.Pins[i].Component) {
			out = append(out, p.Pins[i].Component)
		}
	}
	return out
}

// rollbackOf is the runbook that is for going back and for nothing else, among those
// that move a component.
func rollbackOf(c sources.Component) string { return "rollback-" + string(c) }

func rollBack(e *Evidence) []Fact {
	if e.Pins.Unknown != "" {
		return unknown("pins", e.Pins.Unknown)
	}
	var out []Fact
	for _, c := range wanted(&e.Pins) {
		f := Fact{What: string(c)}
		i := slices.IndexFunc(e.Pins.Pins, func(p Pin) bool { return p.Component == c })
		book := ""
		for k := range e.Runbooks.Books {
			b := &e.Runbooks.Books[k]
			if b.Component == c && b.Problem == "" && (book == "" || b.ID == rollbackOf(c)) {
				book = b.ID
			}
		}
		switch {
		case i < 0:
			f.Says, f.Detail = No, "it has no pin, so nothing here can move it"
			f.Next = fmt.Sprintf("set services.%s.components.%s; docs/pins.md has an example of each driver", e.Service, c)
		case e.Pins.Pins[i].Problem != "":
			f.Says, f.Detail, f.Next = No, "its pin cannot be read: "+e.Pins.Pins[i].Problem, "rollcall doctor says what is wrong with it"
			if e.Pins.Pins[i].Away {
				f.Says = CannotTell
			}
		case e.Runbooks.Unknown != "":
			f.Says, f.Detail = CannotTell, "its pin is "+e.Pins.Pins[i].Version+"; the runbooks could not be read: "+e.Runbooks.Unknown
		case book == "":
			f.Says, f.Detail = Partly, "its pin is "+e.Pins.Pins[i].Version+", but no runbook that can be run moves it"
			f.Next = "rollcall runbook lint says what is wrong with those there are; docs/runbooks.md how to write one"
		default:
			f.Says, f.Detail = Yes, "its pin is "+e.Pins.Pins[i].Version+"; "+book+" moves it and nothing else"
		}
		out = append(out, f)
	}
	return out
}

// areas are what the question names, each with the signals that show it. Not
// every product can have all of them: half are enough.
var areas = []struct {
	name string
	ids  []string
}{
	{"latency", []string{"latency_p50", "latency_p95", "latency_p99", "ttft_p95"}},
	{"cost", []string{"cost_per_req", "spend_rate", "spend_today"}},
	{"errors", []string{"error_ratio", "error_by_type"}},
	{"quality", []string{"schema_fail", "feedback", "complaints", "eval_score", "retrieval_hit"}},
}

func dashboards(e *Evidence) []Fact {
	if e.Signals.Unknown != "" {
		return unknown("signals", e.Signals.Unknown)
	}
	by := map[string]sources.Verdict{}
	n := map[sources.Verdict]int{}
	for _, s := range e.Signals.Signals {
		by[s.ID] = s.Verdict
		n[s.Verdict]++
	}
	var out []Fact
	for _, a := range areas {
		var there, missing, dark []string
		for _, id := range a.ids {
			switch v, known := by[id]; {
			case !known || v == sources.NotExposed:
				missing = append(missing, id)
			case v == sources.Unreachable:
				dark = append(dark, id)
			default:
				there = append(there, id)
			}
		}
		f := Fact{What: a.name, Says: Partly, Detail: fmt.Sprintf("%d of %d signals answer", len(there), len(a.ids))}
		switch half := (len(a.ids) + 1) / 2; {
		case len(there) >= half:
			f.Says = Yes
		case len(dark) > 0:
			f.Says = CannotTell
		case len(there) == 0:
			f.Says = No
		}
		if len(dark) > 0 {
			f.Detail += "; out of reach: " + strings.Join(dark, ", ")
			f.Next = "rollcall doctor says which source does not answer"
		}
		if len(missing) > 0 {
			f.Detail += "; not exposed: " + strings.Join(missing, ", ")
			if f.Next == "" && f.Says != Yes {
				f.Next = fmt.Sprintf("docs/llmops-contract.md says which metric each needs; services.%s.queries can name your own", e.Service)
			}
		}
		out = append(out, f)
	}
	all := len(e.Signals.Signals)
	return append(out, Fact{What: "all signals", Detail: fmt.Sprintf(
		"%d of %d answer; %d not exposed, %d out of reach, %d still learn what is usual",
		all-n[sources.NotExposed]-n[sources.Unreachable], all, n[sources.NotExposed], n[sources.Unreachable], n[sources.Learning])})
}

const (
	// enough is how much time figures about weekly alerts must cover.
	enough = 7 * 24 * time.Hour
	// bearable is how many pages of a shift people can follow up: two incidents in
	// twelve hours (B. Beyer et al., Site Reliability Engineering, chapter 11).
	bearable = 2.0
)

func alerts(e *Evidence) []Fact {
	f := &e.Fatigue
	switch {
	case f.Unknown != "":
		return unknown("alerts", f.Unknown)
	case f.Over < enough:
		return []Fact{{
			What: "alerts", Says: CannotTell, Detail: fmt.Sprintf("the journal covers %s, and a week is the least that says something", span(f.Over)),
			Next: "leave rollcall collect running: it records alerts while no console is open",
		}}
	}
	out := []Fact{{What: "alerts", Detail: fmt.Sprintf("%s of %s in %s", sources.Counted(f.Firings, "firing"), sources.Counted(f.Rules, "rule"), span(f.Over))}}
	useless := Fact{What: "alerts that nobody acts on", Says: Yes, Detail: "none fires weekly without an action"}
	if n := len(f.Useless); n > 0 {
		useless.Says = Partly
		if n == f.Rules {
			useless.Says = No
		}
		useless.Detail = fmt.Sprintf("%d of %s fire weekly, and nobody ever did anything about it: %s", n, sources.Counted(f.Rules, "rule"), few(f.Useless, 4))
		useless.Next = "retire or retune " + f.Useless[0] + "; rollcall alerts fatigue says with which threshold"
	}
	out = append(out, useless)
	if f.Acted.OK && f.Firings > 0 {
		out = append(out, Fact{What: "firings with an action", Detail: fmt.Sprintf("%.0f%%", 100*f.Acted.V)})
	}
	if f.PerShift.OK {
		p := Fact{What: "pages in a shift of 12 h", Says: Yes, Detail: fmt.Sprintf("%.1f on average; two can be followed up", f.PerShift.V)}
		if f.PerShift.V > bearable {
			p.Says, p.Next = Partly, "raise what pages to what a person must decide at night"
		}
		out = append(out, p)
	}
	return out
}

// stale is the age from which an open incident says that nobody closes them.
const stale = 7 * 24 * time.Hour

func response(e *Evidence) []Fact {
	own, all := 0, len(e.Meanings.Severities)
	var others []string
	for _, m := range e.Meanings.Severities {
		if m.Own {
			own++
		} else {
			others = append(others, m.Word)
		}
	}
	sev := Fact{What: "severities", Says: Yes, Detail: fmt.Sprintf("all %d are defined in the team's own words", all)}
	if own < all {
		sev.Says, sev.Detail = Partly, strings.Join(others, ", ")+" mean what rollcall says by default; nobody here has agreed on it"
		sev.Next = "read them in the form for an incident (I), and put them into incidents.severities in your own words"
	}
	out := []Fact{sev}
	books := Fact{What: "runbooks"}
	if e.Runbooks.Unknown != "" {
		books = unknown("runbooks", e.Runbooks.Unknown)[0]
	} else {
		good, broken := 0, []string{}
		for i := range e.Runbooks.Books {
			if e.Runbooks.Books[i].Problem == "" {
				good++
			} else {
				broken = append(broken, e.Runbooks.Books[i].ID)
			}
		}
		books.Says, books.Detail = Yes, sources.Counted(good, "runbook")+" can be run"
		switch {
		case good == 0:
			books.Says, books.Next = No, "docs/runbooks.md says how to write one"
		case len(broken) > 0:
			books.Says, books.Detail = Partly, fmt.Sprintf("%s can be run, and these cannot: %s", sources.Counted(good, "runbook"), few(broken, 4))
			books.Next = "rollcall runbook lint says what is wrong with them"
		}
	}
	out = append(out, books)
	if e.Incidents.Unknown != "" {
		return append(out, unknown("open incidents", e.Incidents.Unknown)...)
	}
	open := Fact{What: "open incidents", Detail: "none"}
	var words, old []string
	for _, i := range e.Incidents.Open {
		age := e.Now.Sub(i.Since)
		words = append(words, fmt.Sprintf("%s, %s for %s", i.ID, i.State, span(age)))
		if age > stale {
			old = append(old, i.ID)
		}
	}
	if len(words) > 0 {
		open.Detail = few(words, 6)
	}
	if len(old) > 0 {
		open.Says, open.Next = Partly, "resolve and close "+old[0]+", or say in it what it waits for"
	}
	return append(out, open)
}

func cost(e *Evidence) []Fact {
	b := &e.Budgets
	budget := Fact{What: "budgets", Says: Yes}
	has := func(scope string) bool { return slices.Contains(b.Scopes, scope) }
	switch {
	case has("day") || has("period") || b.Metric:
		var from []string
		if len(b.Scopes) > 0 {
			from = append(from, strings.ReplaceAll(strings.Join(b.Scopes, ", "), "_", " ")+" in the configuration")
		}
		if b.Metric {
			from = append(from, "told by the service itself")
		}
		budget.Detail = strings.Join(from, "; ")
		if !b.Metric && (!has("request") || !has("user_hour") && !has("hour")) {
			budget.Says, budget.Detail = Partly, budget.Detail+"; none holds a single request and a single user"
			budget.Next = fmt.Sprintf("set request, user_hour and hour under services.%s.budget", e.Service)
		}
	case len(b.Scopes) > 0:
		budget.Says, budget.Detail = Partly, strings.Join(b.Scopes, ", ")+" only; none holds the day or the period"
		budget.Next = fmt.Sprintf("set day and period under services.%s.budget", e.Service)
	case b.Unknown != "":
		budget = unknown("budgets", b.Unknown)[0]
	default:
		budget.Says, budget.Detail = No, "none is set"
		budget.Next = fmt.Sprintf("set day, period, request and user_hour under services.%s.budget", e.Service)
	}
	out := []Fact{
		budget,
		control("caches", b.Unknown, b.Caches, "no hit rate of any cache is exposed", "expose llmops_cache_total{kind,result}; caching saves most of what can be saved"),
		control("fallback models", b.Unknown, b.Fallback, "no fallback is exposed", "expose llmops_fallback_total{from,to}, and fall back to a smaller model when the first is away or slow"),
	}
	feature := Fact{What: "expensive features", Detail: "can be switched off from here"}
	if !b.Features {
		feature.Detail, feature.Next = "cannot be switched off from here", fmt.Sprintf("set services.%s.features", e.Service)
	}
	return append(out, feature)
}

// control is something that the service has when a signal about it answers.
func control(what, why string, list []Signal, none, next string) Fact {
	var there []string
	dark := false
	for _, s := range list {
		switch s.Verdict {
		case sources.NotExposed, "":
		case sources.Unreachable:
			dark = true
		default:
			there = append(there, s.ID)
		}
	}
	switch {
	case len(there) > 0:
		return Fact{What: what, Says: Yes, Detail: strings.Join(there, ", ") + " answer"}
	case why != "":
		return unknown(what, why)[0]
	case dark:
		return Fact{What: what, Says: CannotTell, Detail: "their signals are out of reach", Next: "rollcall doctor says which source does not answer"}
	}
	return Fact{What: what, Says: No, Detail: none, Next: next}
}

func logs(e *Evidence) []Fact {
	l := &e.Logs
	switch {
	case l.Unknown != "":
		return unknown("log lines", l.Unknown)
	case l.N == 0:
		return []Fact{{
			What: "log lines", Says: CannotTell, Detail: "no line of the last " + span(l.Over) + " was found",
			Next: fmt.Sprintf("check services.%s.logs; rollcall doctor says what matches", e.Service),
		}}
	}
	field := "a request or trace ID"
	if l.Field != "" {
		field += ", most as " + l.Field
	}
	id := part("found by request", l.Identified, l.N, "line", "write request_id into every line that belongs to a request, as a field of its own")
	id.Detail = field + " " + id.Detail
	if id.Says == Partly && float64(l.Identified) >= float64(l.N)/2 {
		id.Says, id.Next = Yes, "" // what a service says of itself belongs to no request
	}
	out := []Fact{
		{What: "log lines", Detail: fmt.Sprintf("%s sampled from the last %s", sources.Counted(l.N, "line"), span(l.Over))},
		part("structured", l.Structured, l.N, "line", "write JSON or logfmt, one object a line"),
		id,
	}
	red := Fact{What: "redaction", Says: Yes, Detail: fmt.Sprintf("nothing that must not be there in %s", sources.Counted(l.N, "line"))}
	total := 0
	var kinds []string
	for _, k := range slices.SortedFunc(maps.Keys(l.Hits), func(a, b string) int {
		if d := l.Hits[b] - l.Hits[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	}) {
		if n := l.Hits[k]; n > 0 {
			total += n
			kinds = append(kinds, fmt.Sprintf("%s %d", k, n))
		}
	}
	switch {
	case total > 0:
		red.Says = No
		red.Detail = fmt.Sprintf("%d in %s that rollcall had to hide: %s; where the logs are kept they stand in the clear", total, sources.Counted(l.N, "line"), strings.Join(kinds, ", "))
		red.Next = "redact in the service, before lines leave it; rollcall redact filters a stream, and rollcall logs shows where they are"
	case l.N < fewest:
		red.Says, red.Detail = CannotTell, red.Detail+", too few to judge by"
	}
	return append(out, red)
}

func cases(e *Evidence) []Fact {
	suite := Fact{What: "eval suite", Says: Yes, Detail: "configured; rollcall evals run runs it"}
	if !e.Evals {
		suite.Says, suite.Detail = No, "none is configured, so no case can be run from here"
		suite.Next = fmt.Sprintf("set services.%s.evals", e.Service)
	}
	if e.Incidents.Unknown != "" {
		return append(unknown("closed incidents", e.Incidents.Unknown), suite)
	}
	with, reasons := 0, 0
	var without []string
	for _, c := range e.Incidents.Closed {
		switch {
		case c.Cases > 0:
			with++
		default:
			without = append(without, c.ID)
			if c.Reason != "" {
				reasons++
			}
		}
	}
	n := len(e.Incidents.Closed)
	f := Fact{What: "closed incidents", Detail: fmt.Sprintf("%d of %d left a test case", with, n)}
	if reasons > 0 {
		f.Detail += fmt.Sprintf(", %d a written reason why not (%s)", reasons, few(without, 4))
	}
	switch {
	case n == 0:
		f.Says, f.Detail, f.Next = CannotTell, "no incident was closed yet", "practise one: rollcall drill"
	case with == n:
		f.Says = Yes
	case with == 0:
		f.Says, f.Next = No, "make a test case of a request captured in "+without[len(without)-1]+", and add it to the eval suite"
	default:
		f.Says, f.Next = Partly, "make a test case of a request captured in "+without[len(without)-1]+", and add it to the eval suite"
	}
	return []Fact{f, suite}
}

// skew is how far two clocks may differ without anybody's noticing.
const skew = 5 * time.Minute

const setClock = "set the clock of this machine; what was done is told from its time"

// ahead tells whether something is dated after now: the clock went back, and how old it is cannot be told.
func (e *Evidence) ahead(at time.Time) bool { return at.Sub(e.Now) > skew }

func datedAfterNow(at time.Time) string {
	return "dated " + at.UTC().Format("2006-01-02 15:04Z") + ", after now: how old that is cannot be told"
}

// practised is how old the last drill may be.
const practised = 90 * 24 * time.Hour

func rehearsed(e *Evidence) []Fact {
	var out []Fact
	switch {
	case e.Runbooks.Unknown != "":
		out = unknown("runbooks", e.Runbooks.Unknown)
	case e.Runbooks.History != "":
		out = unknown("rehearsals", e.Runbooks.History)
	default:
		for _, c := range wanted(&e.Pins) {
			out = append(out, ofComponent(e, c))
		}
		var last Done
		for i := range e.Runbooks.Books {
			if d := e.Runbooks.Books[i].Rehearsed; d.At.After(last.At) {
				last = d
			}
		}
		ahead := e.ahead(last.At)
		f := Fact{What: "last rehearsal", Detail: "never"}
		switch {
		case ahead:
			f.Detail = datedAfterNow(last.At)
		case !last.At.IsZero():
			f.Detail = fmt.Sprintf("%s ago, %s", span(e.Now.Sub(last.At)), last.What)
		}
		if !e.Runbooks.Target {
			f.Detail += "; there is no target to rehearse on"
			f.Next = fmt.Sprintf("set services.%s.rehearsal, so that runbooks can be practised without touching what is live", e.Service)
		}
		out = append(out, f)
	}
	drill := Fact{What: "last drill"}
	switch d := e.Practice.Drill; {
	case e.Practice.Unknown != "":
		drill = unknown("last drill", e.Practice.Unknown)[0]
	case d.At.IsZero():
		drill.Says, drill.Detail, drill.Next = No, "never", "rollcall drill: it needs nothing and touches nothing"
	case e.ahead(d.At):
		drill.Says, drill.Detail, drill.Next = CannotTell, datedAfterNow(d.At), setClock
	default:
		drill.Says, drill.Detail = Yes, fmt.Sprintf("%s ago, %s", span(e.Now.Sub(d.At)), d.Scenario)
		if d.Verified {
			drill.Detail += "; recovery was verified"
		}
		if e.Now.Sub(d.At) > practised {
			drill.Says, drill.Next = Partly, "rollcall drill; every quarter is not too often"
		}
	}
	return append(out, drill)
}

// ofComponent judges the best practised of the runbooks that move a component.
func ofComponent(e *Evidence, c sources.Component) Fact {
	best := Fact{What: string(c), Says: No, Detail: "no runbook that can be run moves it", Next: "docs/runbooks.md says how to write one"}
	rank := func(w Word) int { return slices.Index([]Word{No, CannotTell, Partly, Yes}, w) }
	first := true
	for i := range e.Runbooks.Books {
		b := &e.Runbooks.Books[i]
		if b.Component != c || b.Problem != "" {
			continue
		}
		f := ofBook(e, b)
		if first || rank(f.Says) > rank(best.Says) || f.Says == best.Says && b.ID == rollbackOf(c) {
			best, first = f, false
		}
	}
	return best
}

func ofBook(e *Evidence, b *Book) Fact {
	f := Fact{What: string(b.Component), Says: Yes}
	again := "rollcall runbook rehearse " + b.ID
	old := func(d Done) bool { return b.Every > 0 && e.Now.Sub(d.At) > b.Every }
	ago := func(d Done) string { return span(e.Now.Sub(d.At)) + " ago" }
	done, how := b.Rehearsed, "rehearsed"
	if fresh := !b.Run.At.IsZero() && b.Run.Same; fresh && (done.At.IsZero() || !done.Same || b.Run.At.After(done.At)) {
		done, how = b.Run, "run for real"
	}
	switch {
	case done.At.IsZero() && !b.Practised.At.IsZero():
		f.Says, f.Next = Partly, again
		f.Detail = fmt.Sprintf("%s was practised in a drill %s, never on your own rehearsal target", b.ID, ago(b.Practised))
	case done.At.IsZero():
		f.Says, f.Detail, f.Next = No, b.ID+" was never rehearsed", again
	case e.ahead(done.At):
		f.Says, f.Next = CannotTell, setClock
		f.Detail = fmt.Sprintf("%s was %s (%s), %s", b.ID, how, done.What, datedAfterNow(done.At))
	case !done.Same:
		f.Says, f.Next = Partly, again
		f.Detail = fmt.Sprintf("%s has changed since it was %s %s (%s)", b.ID, how, ago(done), done.What)
	case old(done):
		f.Says, f.Next = Partly, again
		f.Detail = fmt.Sprintf("%s was %s %s (%s), and every %s is wanted", b.ID, how, ago(done), done.What, span(b.Every))
	default:
		f.Detail = fmt.Sprintf("%s was %s %s (%s)", b.ID, how, ago(done), done.What)
	}
	return f
}
