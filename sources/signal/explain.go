package signal

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/suspect"
)

const (
	explainRows = 200_000
	heatColumns = 60 // of time, in a heat map

	leastWindow = 10 * time.Minute // compared on either side of the beginning
	mostWindow  = 6 * time.Hour
	before      = 3 // windows before the beginning that labels are read at: one that is still well
)

// Explanation is what the bad requests of one signal have in common.
type Explanation struct {
	Signal string    `json:"signal"`
	Name   string    `json:"-"` // as a sentence says it
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	// Since is when the trouble began; zero when nothing is wrong, or when it began before the range.
	Since time.Time `json:"since,omitzero"`
	// Verdict is that of the signal at To.
	Verdict sources.Verdict `json:"verdict"`
	Words   [2]string       `json:"words"` // what bad and good requests are called
	// Above or Below is the number from which on a request was bad, where a number decides.
	Above sources.Num  `json:"above"`
	Below sources.Num  `json:"below"`
	Unit  sources.Unit `json:"-"` // of Above and Below
	suspect.Found
	// Shapes are how the duration, and each stage of it, is distributed; of signals about time only.
	Shapes   []suspect.Shape `json:"shapes,omitempty"`
	Provider string          `json:"provider"` // "requests", or "prometheus" when only labels of metrics could be compared
	Why      string          `json:"why"`      // one sentence: what was found, or why nothing
	Facts    sources.Facts   `json:"-"`
}

// Wrong tells whether there is something to explain.
func (x *Explanation) Wrong() bool { return worse(x.Verdict, sources.OK) }

// Phrase is a suspect in words: "prompt=v14 in 97% of failing, 31% of passing".
func (x *Explanation) Phrase(s *suspect.Suspect) string {
	return fmt.Sprintf("%s in %s of %s, %s of %s", s.Name(), percent(s.Coverage), x.Words[0], percent(s.Share), x.Words[1])
}

// Requests is the filter for the bad requests that carry a suspect. What a filter
// cannot say of it (a range of latencies, that a request was slow) is left out.
func (x *Explanation) Requests(service string, s *suspect.Suspect) sources.RequestFilter {
	f := sources.RequestFilter{Service: service, Since: x.From, Until: x.To}
	switch o := outcomes[x.Signal]; {
	case o.Column != "" && len(o.Bad) == 1:
		f, _ = f.With(sources.Attribute{Name: o.Column, Value: o.Bad[0]})
	case o.Column == "filter" || o.Column == "access_denied":
		f.Bad = true // one of several values: all of them make a request bad
	}
	for _, a := range s.Attributes {
		f, _ = f.With(a)
	}
	return f
}

func percent(v float64) string {
	switch {
	case v > 0 && v < 0.005:
		return "under 1%"
	case v < 1 && v >= 0.995:
		return "over 99%"
	}
	return fmt.Sprintf("%.0f%%", 100*v)
}

// Explain compares the bad requests of a signal with the good ones: from as long
// before the trouble began as it has lasted, or over the view's range when nothing
// is wrong. Anyway also looks for what distinguishes bad requests when there are
// no more of them than usual.
func (e *Evaluator) Explain(ctx context.Context, service, id string, view sources.View, anyway bool) (*Explanation, error) {
	r, err := e.begin(ctx, service, view)
	if err != nil {
		return nil, err
	}
	sig := r.svc.signal(id)
	if sig == nil {
		ids := make([]string, len(r.svc.signals))
		for i := range ids {
			ids[i] = r.svc.signals[i].ID
		}
		return nil, fmt.Errorf("no signal %q; there is %s", id, strings.Join(ids, ", "))
	}
	reading := r.reading(ctx, sig)
	if reading.Usual == nil && e.usual.missing(service) {
		bounded, cancel := context.WithTimeout(ctx, onePatience)
		if e.usual.wait(bounded, service) == nil {
			reading = r.reading(ctx, sig)
		}
		cancel()
	}
	if !anyway && !worse(reading.Verdict, sources.OK) {
		// A canary may be wrong in what no signal shows over all traffic.
		rep, _ := e.Rollout(ctx, service, view)
		if c := undone(rep); c != nil && rolledSignal(c.Worst()) == id {
			anyway = true
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return r.explain(ctx, sig, &reading, explainRows, anyway)
}

// explain compares for one reading.
func (r *run) explain(ctx context.Context, sig *Signal, reading *sources.Reading, limit int, anyway bool) (*Explanation, error) {
	x := &Explanation{
		Signal: sig.ID, Name: sig.Name, To: r.now, From: r.now.Add(-r.view.Range), Verdict: reading.Verdict, Words: sig.Outcome.Words,
		Found: suspect.Found{Suspects: []suspect.Suspect{}}, Provider: "requests",
	}
	wrong := x.Wrong()
	if wrong && !reading.Since.IsZero() {
		x.Since = reading.Since
		lasted := min(mostWindow, max(leastWindow, r.now.Sub(x.Since)))
		x.From = x.Since.Add(-lasted - r.lag(sig))
	}
	switch {
	case !wrong && !anyway:
		x.Why = fmt.Sprintf("%s: %s. There is nothing to explain.", upper(sig.Name), asItIs(reading))
		if len(sig.stages()) == 0 {
			return x, nil
		}
		// The shape is looked at whatever the verdict: an average hides two humps well.
		why := x.Why
		if _, err := r.explainRows(ctx, sig, reading, x, r.now.Add(-r.view.Range/2), limit); err != nil {
			return nil, err
		}
		x.Found, x.Above, x.Why = suspect.Found{Suspects: []suspect.Suspect{}}, sources.Num{}, why
		return x, nil
	case !sig.Outcome.Given():
		x.Why = "Requests do not tell which of them this signal is about."
		return x, nil
	}
	split := x.Since.Add(-r.lag(sig))
	if x.Since.IsZero() {
		// What distinguished the bad ones all along is no news.
		split = r.now.Add(-r.view.Range / 2)
	}
	from := x.From
	found, err := r.explainRows(ctx, sig, reading, x, split, limit)
	if err != nil {
		return nil, err
	}
	if !found {
		x.From = from
		r.explainLabels(ctx, sig, x)
	}
	x.Why = x.why()
	return x, nil
}

// lag is how long before it was seen something may have begun: a value looks back
// over a window, and must first cross a level. Requests of that time belong to
// neither side: taken for "before", they would clear the culprit.
func (r *run) lag(sig *Signal) time.Duration { return max(r.window, sig.Window) + 2*time.Minute }

// asItIs says why nothing needs to be explained.
func asItIs(r *sources.Reading) string {
	switch r.Verdict {
	case sources.OK:
		return "as usual"
	case sources.Learning:
		return "too little history to say whether this is unusual"
	}
	return string(r.Verdict)
}

// stages are the durations whose shapes belong to a signal about time: the one
// it is about, and where that goes.
func (sig *Signal) stages() []string {
	switch sig.Outcome.Number {
	case "latency", "ttft":
		out := []string{sig.Outcome.Number}
		for s := range sources.StageCount {
			out = append(out, s.String())
		}
		return out
	case sources.VectorSearch.String():
		return []string{sig.Outcome.Number}
	}
	return nil
}

// why is the finding in one sentence.
func (x *Explanation) why() string {
	switch {
	case len(x.Suspects) > 0:
		return x.Phrase(&x.Suspects[0]) + "."
	case x.Bad == 0 && x.Good == 0:
		return "No request of that time tells whether it is one of them."
	case !x.Enough():
		return fmt.Sprintf("Too few to compare: %s and %s.", sources.Counted(x.Bad, x.Words[0]+" request"), sources.Counted(x.Good, x.Words[1]+" request"))
	}
	return "Not explained by anything recorded."
}

// explainRows compares request rows; false when they do not say.
func (r *run) explainRows(ctx context.Context, sig *Signal, reading *sources.Reading, x *Explanation, split time.Time, limit int) (bool, error) {
	if r.e.deps.Tables == nil {
		return false, nil
	}
	numbers := slices.Clone(suspect.Numbers)
	for _, n := range sig.Outcome.Numbers() {
		if !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	q := sources.TableQuery{
		Service: r.svc.name, Since: x.From, Until: x.To, Text: suspect.Text, Lists: suspect.Lists, Numbers: numbers, Limit: limit,
	}
	stages := sig.stages()
	q.Numbers = append(q.Numbers, stages...)
	q.Numbers = slices.Compact(slices.Sorted(slices.Values(q.Numbers)))
	if sig.ID == "eval_score" {
		q.Evaluator = reading.Detail
	}
	t, err := r.e.deps.Tables.Table(ctx, q)
	if err != nil {
		if cancelled := ctx.Err(); cancelled != nil {
			return false, cancelled
		}
		x.Facts.Warnings = append(x.Facts.Warnings, "request rows: "+err.Error())
		return false, nil
	}
	state, cut := sig.Outcome.States(t, split)
	found := suspect.Find(t, state, sig.Outcome.Level)
	x.Facts = t.Facts
	for _, stage := range stages {
		if s := suspect.ShapeOf(t, stage, x.To.Sub(x.From), heatColumns); s != nil && s.N > 0 {
			s.Explain(t)
			x.Shapes = append(x.Shapes, *s)
		}
	}
	if !found.Enough() {
		x.Found = found
		return false, nil
	}
	x.Found = found
	if !math.IsNaN(cut) {
		x.Unit = unitOf(sig.Outcome.Number)
		if sig.Outcome.Low {
			x.Below = sources.N(cut)
		} else {
			x.Above = sources.N(cut)
		}
	}
	return true, nil
}

// unitOf is the unit of a number column of request rows.
func unitOf(column string) sources.Unit {
	switch column {
	case "cost":
		return sources.USD
	case "score":
		return sources.Score
	case "tokens", "tokens_in", "tokens_out", "tokens_cached":
		return sources.Tokens
	}
	return sources.Seconds
}

// Cut says from which number on a request was bad: "expensive: above $0.011"; empty where no number decides.
func (x *Explanation) Cut() string {
	switch {
	case x.Above.OK:
		return x.Words[0] + ": above " + format(x.Above.V, x.Unit)
	case x.Below.OK:
		return x.Words[0] + ": below " + format(x.Below.V, x.Unit)
	}
	return ""
}

// explainLabels compares what the labels of a proportion's metric tell: versions
// as they are now, and as they were before it began.
func (r *run) explainLabels(ctx context.Context, sig *Signal, x *Explanation) {
	if sig.Unit != sources.Ratio || sig.Compute != nil || r.e.deps.Prom == nil {
		return
	}
	window := max(r.window, sig.Window)
	ends := []time.Time{r.now}
	if !x.Since.IsZero() {
		ends = append(ends, x.Since.Add(-before*window))
	}
	var all []suspect.Found
	for _, by := range splits {
		counts := map[string][2]float64{}
		for _, end := range ends {
			view := r.view
			view.At = end
			at, err := r.e.begin(ctx, r.svc.name, view)
			if err != nil {
				return
			}
			for i := range sig.From {
				m, err := at.metric(ctx, sig, &sig.From[i], by)
				if err != nil || len(m.parts) == 1 && m.parts[0].name == "" {
					continue
				}
				for _, p := range m.parts {
					if !p.known || math.IsNaN(p.n) || p.name == "" {
						continue
					}
					bad := p.value * p.n
					if sig.Direction == sources.LowerWorse {
						bad = p.n - bad
					}
					c := counts[p.name]
					counts[p.name] = [2]float64{c[0] + bad, c[1] + p.n - bad}
				}
				break
			}
		}
		all = append(all, suspect.FromCounts(by, counts))
	}
	if found := suspect.Merge(all...); found.Enough() {
		x.Found, x.Provider = found, "prometheus"
		x.Facts.Partial = "from metric labels: prompt, model and index only"
	}
}
