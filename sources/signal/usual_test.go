package signal

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/sources"
)

// shelf keeps baselines in memory, as a file does between two runs.
type shelf struct {
	mu   sync.Mutex
	list map[string][]sources.Baseline
}

func (s *shelf) Load(service string) []sources.Baseline {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list[service])
}

func (s *shelf) Save(service string, list []sources.Baseline) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		s.list = map[string][]sources.Baseline{}
	}
	s.list[service] = append(s.list[service], list...)
}

// readsOfAShare are the queries over the last days that one share needs: of its bad
// events and of all, a quarter of an hour apart within the hour.
const readsOfAShare = 2 * 4

// baselineReads counts the queries over the last days.
type baselineReads struct {
	*metricsFake
	mu       sync.Mutex
	n        int
	warnings []string
}

func (b *baselineReads) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	s, f, err := b.metricsFake.Range(ctx, expr, start, end, step)
	if step == 24*time.Hour {
		b.mu.Lock()
		b.n++
		b.mu.Unlock()
		f.Warnings = b.warnings
	}
	return s, f, err
}

// runOnce lets one run of the program look, and returns what it knows at its first look
// and how many queries over the last days it asked.
func runOnce(t *testing.T, kept Baselines, p *baselineReads, cfg Service, deps Deps) (first sources.Reading, reads int) {
	t.Helper()
	p.n = 0
	deps.Prom, deps.Usual = p, kept
	e := evaluator(t, deps, cfg)
	first = reading(t, snapshot(t, e), "schema_fail")
	if err := e.Warm(t.Context(), "s", view); err != nil {
		t.Fatal(err)
	}
	e.Close()
	return first, p.n
}

func TestTheNextRunKnowsWhatIsUsualWithoutAsking(t *testing.T) {
	kept, p := &shelf{}, &baselineReads{metricsFake: validation(flat(0.04))}
	first, reads := runOnce(t, kept, p, Service{}, Deps{})
	if first.Usual != nil || reads != readsOfAShare {
		t.Fatalf("the first run knows %+v and asked %d times", first.Usual, reads)
	}
	first, reads = runOnce(t, kept, p, Service{}, Deps{})
	if first.Usual == nil || math.Abs(first.Usual.Value-0.04) > 0.001 || first.Usual.Days != 10 || reads != 0 {
		t.Errorf("the next run knows %+v at once and asked %d times", first.Usual, reads)
	}
	// An hour later the kept one stands in until the new one is there.
	first, reads = runOnce(t, kept, p, Service{}, Deps{Clock: &clock{now: t0.Add(time.Hour)}})
	if first.Usual == nil || reads != readsOfAShare {
		t.Errorf("an hour later: %+v, asked %d times", first.Usual, reads)
	}
	first, reads = runOnce(t, &shelf{list: map[string][]sources.Baseline{"s": kept.list["s"][:1]}}, p, Service{}, Deps{Clock: &clock{now: t0.Add(5 * time.Hour)}})
	if first.Usual != nil || reads != readsOfAShare {
		t.Errorf("five hours later another hour's values pass for usual: %+v, asked %d times", first.Usual, reads)
	}
}

func TestWhatIsKeptAnswersOnlyTheSameQuestion(t *testing.T) {
	kept, p := &shelf{}, &baselineReads{metricsFake: validation(flat(0.04))}
	runOnce(t, kept, p, Service{}, Deps{})
	if first, reads := runOnce(t, kept, p, Service{Scope: `job="b"`}, Deps{}); first.Usual != nil || reads != readsOfAShare {
		t.Errorf("another scope was answered from what was kept: %+v, asked %d times", first.Usual, reads)
	}
	// Shares are counted over a quarter of an hour, whatever the window of the value.
	ten := Service{Window: sources.Duration(10 * time.Minute)}
	if first, reads := runOnce(t, kept, p, ten, Deps{}); first.Usual == nil || reads != 0 {
		t.Errorf("the shares of a quarter of an hour were asked for %d times again, usual %+v", reads, first.Usual)
	}

	tokens := &baselineReads{metricsFake: exposing("llmops_tokens_total", "llmops_requests_total").
		on(`.`, fakeSeries{map[string]string{"model": "m", "kind": "input"}, flat(100)})}
	kept = &shelf{}
	prices := func(usd float64) Deps { return Deps{Prices: map[string]Price{"m": {Input: usd}}} }
	_, before := runOnce(t, kept, tokens, Service{}, prices(1))
	if _, same := runOnce(t, kept, tokens, Service{}, prices(1)); same != 0 || before == 0 {
		t.Fatalf("the same prices: asked %d times, then %d times", before, same)
	}
	if _, reads := runOnce(t, kept, tokens, Service{}, prices(2)); reads == 0 {
		t.Error("money of old prices passes for usual")
	}
	if _, reads := runOnce(t, kept, tokens, ten, prices(1)); reads == 0 {
		t.Error("values over another window pass for usual")
	}
}

func TestAnAnswerThatMayBePartOfOneIsNotKept(t *testing.T) {
	for warning, keeps := range map[string]bool{
		"": true, `PromQL info: metric might not be a counter, name does not end in _total`: true, "store gateway 3 did not answer": false,
	} {
		kept, p := &shelf{}, &baselineReads{metricsFake: validation(flat(0.04))}
		if warning != "" {
			p.warnings = []string{warning}
		}
		runOnce(t, kept, p, Service{}, Deps{})
		if got := len(kept.list["s"]) > 0; got != keeps {
			t.Errorf("with the warning %q it is kept: %v", warning, got)
		}
	}
}

func TestWhatIsKeptJudgesLikeWhatWasAsked(t *testing.T) {
	kept, p := &shelf{}, &baselineReads{metricsFake: validation(step(minutes(-20), 0.01, 0.09))}
	deps := Deps{Prom: p, Usual: kept}
	asked := reading(t, warm(t, evaluator(t, deps, Service{})), "schema_fail")
	p.n = 0
	again := reading(t, snapshot(t, evaluator(t, deps, Service{})), "schema_fail")
	if p.n != 0 || asked.Verdict != sources.Bad || asked.Judgement == nil || again.Judgement == nil {
		t.Fatalf("asked %d times; %s: %s, then %s: %s", p.n, asked.Verdict, asked.Why, again.Verdict, again.Why)
	}
	if again.Verdict != asked.Verdict || again.Why != asked.Why || *again.Usual != *asked.Usual {
		t.Errorf("%s: %s, usual %+v; from what was kept %s: %s, usual %+v", asked.Verdict, asked.Why, asked.Usual, again.Verdict, again.Why, again.Usual)
	}
}

type incidentsFake struct{ fail error }

func (f incidentsFake) Stretches(context.Context, string, time.Time) ([]sources.Stretch, error) {
	return nil, f.fail
}

func TestABaselineThatMayHoldAnIncidentIsNotKept(t *testing.T) {
	for _, fail := range []error{nil, errors.New("the journal is busy")} {
		kept, p := &shelf{}, &baselineReads{metricsFake: validation(flat(0.04))}
		runOnce(t, kept, p, Service{}, Deps{Incidents: incidentsFake{fail}})
		if got := len(kept.list["s"]) > 0; got != (fail == nil) {
			t.Errorf("when incidents answer %v it is kept: %v", fail, got)
		}
	}
}

func TestPartsNamedByALabelOfTheUsersChoiceAreNotKept(t *testing.T) {
	p := &baselineReads{metricsFake: exposing().on(`mine`, fakeSeries{map[string]string{"user": "anna"}, flat(0.1)})}
	kept := &shelf{}
	runOnce(t, kept, p, Service{Queries: map[string]Overrule{"schema_fail": {PromQL: `sum by (user) (mine{$scope})`, Part: "user"}}}, Deps{})
	if p.n == 0 || len(kept.list["s"]) > 0 {
		t.Errorf("asked %d times, kept %+v", p.n, kept.list)
	}
}

func TestWhatIsLoadedIsKeptAtOnceUnderAKeyThatTellsNothing(t *testing.T) {
	p := &baselineReads{metricsFake: validation(flat(0.04))}
	kept := &shelf{}
	e := evaluator(t, Deps{Prom: p, Usual: kept}, Service{})
	snapshot(t, e)
	if err := e.usual.wait(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	if len(kept.list["s"]) != 1 || strings.Contains(kept.list["s"][0].Key, "llmops") {
		t.Errorf("kept %+v", kept.list)
	}
}

// troubled fails every query over the last days but those of some expressions.
type troubled struct {
	*baselineReads
	well func(expr string) bool
	all  bool
	got  []string
}

func (p *troubled) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	if step == 24*time.Hour {
		p.mu.Lock()
		p.got = append(p.got, expr)
		p.mu.Unlock()
		if p.all || !p.well(expr) {
			return nil, sources.Facts{}, errDown
		}
	}
	return p.baselineReads.Range(ctx, expr, start, end, step)
}

func TestASourceInTroubleIsNotAskedForEveryBaseline(t *testing.T) {
	var names []string
	for _, s := range Catalogue() {
		for _, src := range s.From {
			if src.Profile == LLMOps {
				names = append(names, metrics(src.Query+" "+src.N)...)
			}
		}
	}
	c := &clock{now: t0}
	p := &troubled{all: true, baselineReads: &baselineReads{metricsFake: exposing(names...).value(`.`, flat(0.01))}}
	e := evaluator(t, Deps{Prom: p, Clock: c}, Service{})
	load := func() []string {
		t.Helper()
		p.got = nil
		if err := e.Warm(t.Context(), "s", view); err != nil {
			t.Fatal(err)
		}
		return slices.Clone(p.got)
	}
	if got := load(); len(got) < breakAfter || len(got) > breakAfter+usualLoaders {
		t.Errorf("a source that fails was asked %d times", len(got))
	}
	if got := load(); len(got) != 0 {
		t.Errorf("it was asked %d times more within the minute", len(got))
	}
	// What fails for ever keeps the others waiting for a while, not for ever.
	p.all = false
	p.well = func(expr string) bool { return strings.Contains(expr, "llmops_validation_total") }
	for range 20 {
		c.add(usualRetry)
		load()
	}
	r := reading(t, snapshot(t, e), "schema_fail")
	if r.Usual == nil {
		t.Errorf("behind queries that fail, %s never learns what is usual", r.Signal)
	}
}

func TestABaselineUnderWayIsNotAskedForAgain(t *testing.T) {
	p := &baselineReads{metricsFake: validation(flat(0.04))}
	p.hang = make(chan struct{})
	e := evaluator(t, Deps{Prom: p}, Service{})
	for range 5 { // refreshes while the first question has no answer yet
		snapshot(t, e)
	}
	close(p.hang)
	if err := e.usual.wait(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	if p.n != readsOfAShare {
		t.Errorf("asked %d times", p.n)
	}
}

// minuteReads counts the queries for counts of the last hour, minute by minute.
type minuteReads struct {
	*metricsFake
	mu sync.Mutex
	n  int
}

func (m *minuteReads) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	if step == latelyStep && end.Sub(start) == 3*quarter {
		m.mu.Lock()
		m.n++
		m.mu.Unlock()
	}
	return m.metricsFake.Range(ctx, expr, start, end, step)
}

func TestCountsAreReadOnceThereIsSomethingToHoldThemAgainst(t *testing.T) {
	p := &minuteReads{metricsFake: validation(step(minutes(-60), 0.01, 0.09))}
	e := evaluator(t, Deps{Prom: p}, Service{})
	if r := reading(t, snapshot(t, e), "schema_fail"); r.Usual != nil || p.n != 0 {
		t.Errorf("the first look knows %+v as usual and asked %d times for counts", r.Usual, p.n)
	}
	if err := e.Warm(t.Context(), "s", view); err != nil {
		t.Fatal(err)
	}
	r := reading(t, snapshot(t, e), "schema_fail")
	if r.Verdict != sources.Bad || r.Judgement == nil || !strings.HasPrefix(r.Judgement.Rule, ruleShare) {
		t.Errorf("%s: %s, by %+v", r.Verdict, r.Why, r.Judgement)
	}
	if p.n != 2 {
		t.Errorf("asked %d times for the bad and for all", p.n)
	}
}
