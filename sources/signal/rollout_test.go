package signal

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/manifest"
	"rollcall/sources/signal/rollout"
)

func stage(name, prompt string, since time.Time) manifest.Stage {
	return manifest.Stage{Manifest: sources.Manifest{ID: "m-" + prompt, Stage: name, Versions: map[sources.Component]string{sources.Prompt: prompt, sources.Model: "m1", sources.Tools: "t1"}}, Since: since, Claims: 1}
}

// split exposes requests and validations of two prompts: ten a second of v13, one of v14, whose
// validations fail in the share given.
func split(failing float64) *metricsFake {
	by := func(v13, v14 float64) []fakeSeries {
		return []fakeSeries{{map[string]string{"prompt": "v13"}, flat(v13)}, {map[string]string{"prompt": "v14"}, step(minutes(-40), absent, v14)}}
	}
	le := func(v13, v14 [3]float64) []fakeSeries {
		var out []fakeSeries
		for i, bound := range []string{"1", "2", "+Inf"} {
			out = append(out, fakeSeries{map[string]string{"prompt": "v13", "le": bound}, flat(v13[i])}, fakeSeries{map[string]string{"prompt": "v14", "le": bound}, step(minutes(-40), absent, v14[i])})
		}
		return out
	}
	return exposing("llmops_requests_total", "llmops_validation_total", "llmops_request_seconds_bucket").
		on(`sum by \(le, prompt\).*llmops_request_seconds_bucket`, le([3]float64{7, 9, 10}, [3]float64{0.7, 0.9, 1})...).
		on(`^sum by \(prompt\).*llmops_requests_total\{outcome="error"`, by(0.04, 0.004)...).
		on(`^sum by \(prompt\).*llmops_requests_total`, by(10, 1)...).
		on(`^sum by \(prompt\).*result="fail"`, by(0.12, failing)...).
		on(`^sum by \(prompt\).*llmops_validation_total`, by(10, 1)...).
		value(`llmops_requests_total`, flat(11)).
		value(`llmops_validation_total`, flat(11))
}

func rolling(stages ...manifest.Stage) changesFake {
	return changesFake{timeline: manifest.Timeline{Stages: stages}}
}

func TestARolloutIsComparedByTheLabelsOfMetrics(t *testing.T) {
	for _, tc := range []struct {
		failing float64
		want    rollout.Verdict
		says    string
	}{
		{0.09, rollout.RollBack, "Canary prompt v14: roll back, schema failures 9.0% ("},
		{0.012, rollout.Promote, "Canary prompt v14: promote, errors, schema failures and slow answers no worse than live in 3"},
	} {
		e := evaluator(t, Deps{Prom: split(tc.failing), Changes: rolling(stage("live", "v13", time.Time{}), stage("canary", "v14", minutes(-40)))}, Service{})
		snap := snapshot(t, e)
		if snap.Rollout == nil || len(snap.Rollout.Comparisons) != 1 {
			t.Fatalf("rollout %+v", snap.Rollout)
		}
		c := snap.Rollout.Comparisons[0]
		if s := snap.Rollout.Sentence(); c.Verdict != tc.want || !strings.HasPrefix(s, tc.says) {
			t.Errorf("%s, want %s", s, tc.says)
		}
		if c.Provider != "prometheus" || math.Abs(c.Candidate.Share.V-1.0/11) > 0.001 || c.From.Before(minutes(-40)) {
			t.Errorf("comparison %+v", c)
		}
		if !contains(c.NotSeen, "refusals") {
			t.Errorf("what is not counted is not said: %q", c.NotSeen)
		}
	}
}

func TestOneStageIsNoRollout(t *testing.T) {
	same := stage("canary", "v13", minutes(-40))
	for _, c := range []changesFake{rolling(), rolling(stage("live", "v13", time.Time{})), rolling(stage("live", "v13", time.Time{}), same), {fail: errors.New("down")}} {
		e := evaluator(t, Deps{Prom: split(0.09), Changes: c}, Service{})
		if snap := snapshot(t, e); snap.Rollout != nil || snap.Rollout.Sentence() != "" {
			t.Errorf("rollout %+v of %+v", snap.Rollout, c.timeline.Stages)
		}
	}
}

// Two manifests in one stage are a doubt: nothing is promoted. What is plainly worse is
// rolled back where that is so whichever of them is meant.
func TestTwoManifestsInOneStagePromoteNothingAndStillRollBackWhatIsPlainlyWorse(t *testing.T) {
	twice := func(name, prompt string, since time.Time) manifest.Stage {
		s := stage(name, prompt, since)
		s.Claims = 2
		return s
	}
	for _, tc := range []struct {
		name         string
		failing      float64
		live, canary manifest.Stage
		want         rollout.Verdict
		says         string
	}{
		{"two in the canary, and worse", 0.09, stage("live", "v13", time.Time{}), twice("canary", "v14", minutes(-40)), rollout.RollBack, "that holds although 2 manifests at one time in stage canary"},
		{"two in the canary, and as good", 0.012, stage("live", "v13", time.Time{}), twice("canary", "v14", minutes(-40)), rollout.Hold, "2 manifests at one time in stage canary"},
		{"two live ones, one of which may be as bad", 0.09, twice("live", "v13", time.Time{}), stage("canary", "v14", minutes(-40)), rollout.Hold, "canary does worse, but 2 manifests at one time in stage live"},
	} {
		e := evaluator(t, Deps{Prom: split(tc.failing), Changes: rolling(tc.live, tc.canary)}, Service{})
		if c := snapshot(t, e).Rollout.Comparisons[0]; c.Verdict != tc.want || !strings.Contains(c.Why, tc.says) {
			t.Errorf("%s: %s: %s", tc.name, c.Verdict, c.Why)
		}
	}
}

func TestBlueAndGreenAreHeldAgainstTheOlderOne(t *testing.T) {
	e := evaluator(t, Deps{Prom: split(0.09), Changes: rolling(stage("blue", "v13", minutes(-100)), stage("green", "v14", minutes(-40)))}, Service{})
	c := snapshot(t, e).Rollout.Comparisons[0]
	if c.Kind != rollout.BlueGreen || c.Candidate.Name != "green" || c.Live != "blue" || c.Verdict != rollout.RollBack {
		t.Errorf("%s %s, %s live: %s", c.Kind, c.Candidate.Name, c.Live, c.Why)
	}
}

// stagedRows answers with rows of two stages that differ in what no metric is labelled with.
type stagedRows struct {
	fail  error
	asked int
}

func (f *stagedRows) Table(_ context.Context, q sources.TableQuery) (*sources.RequestTable, error) {
	if !slices.Equal(q.Text, rollout.Text) {
		return nil, errors.New("asked by somebody else")
	}
	f.asked++
	if f.fail != nil {
		return nil, f.fail
	}
	t := &sources.RequestTable{Start: q.Since, Every: 1, Facts: sources.Facts{Source: "traces"}}
	columns := map[string]*sources.TextColumn{}
	for _, name := range q.Text {
		columns[name] = &sources.TextColumn{Name: name, Values: []string{""}}
	}
	add := func(at time.Duration, text map[string]string) {
		t.N++
		t.Time = append(t.Time, at)
		for name, c := range columns {
			code := uint32(0)
			for i, v := range c.Values {
				if v == text[name] {
					code = uint32(i)
				}
			}
			if v := text[name]; v != "" && code == 0 {
				code = uint32(len(c.Values))
				c.Values = append(c.Values, v)
			}
			c.Codes = append(c.Codes, code)
		}
	}
	for at := q.Until.Sub(q.Since) - 40*time.Minute; at < q.Until.Sub(q.Since); at += time.Second {
		ok := map[string]string{"stage": "live", "tools": "t1", "outcome": "ok"}
		if t.N%10 == 0 {
			ok = map[string]string{"stage": "canary", "tools": "t2", "outcome": "ok"}
			if t.N%40 == 0 {
				ok["outcome"] = "error"
			}
		}
		add(at, ok)
	}
	for _, c := range columns {
		t.Text = append(t.Text, *c)
	}
	return t, nil
}

func TestWhatNoLabelTellsApartIsComparedByRequestRows(t *testing.T) {
	live, canary := stage("live", "v13", time.Time{}), stage("canary", "v13", minutes(-40))
	canary.Versions[sources.Tools] = "t2"
	tables := &stagedRows{}
	e := evaluator(t, Deps{Prom: split(0.09), Tables: tables, Changes: rolling(live, canary)}, Service{})
	c := snapshot(t, e).Rollout.Comparisons[0]
	if c.Provider != "requests" || c.Verdict != rollout.RollBack || !strings.HasPrefix(c.Why, "errors 25%") {
		t.Errorf("%s from %s: %s", c.Verdict, c.Provider, c.Why)
	}
	asked := tables.asked
	snapshot(t, e)
	if tables.asked != asked {
		t.Error("the rows are read again within the same minute")
	}
	// Rows alone say it too, when nobody exposes what is deployed.
	e = evaluator(t, Deps{Tables: tables, Changes: changesFake{timeline: manifest.Timeline{Beside: []sources.Component{sources.Tools}}}}, Service{})
	if r := snapshot(t, e).Rollout; r == nil || r.Comparisons[0].Verdict != rollout.RollBack {
		t.Errorf("rollout %+v", r)
	}
}

func TestARolloutThatNobodyCountsIsHeldAndSaid(t *testing.T) {
	live, canary := stage("live", "v13", time.Time{}), stage("canary", "v13", minutes(-40))
	canary.Versions[sources.Tools] = "t2"
	for _, tables := range []sources.Tables{nil, &stagedRows{fail: errors.New("partition locked")}} {
		deps := Deps{Prom: split(0.09), Changes: rolling(live, canary)}
		if tables != nil {
			deps.Tables = tables
		}
		c := snapshot(t, evaluator(t, deps, Service{})).Rollout.Comparisons[0]
		if c.Verdict != rollout.Hold || !strings.Contains(c.Why, "neither metrics nor request rows") {
			t.Errorf("%s: %s, doubts %q", c.Verdict, c.Why, c.Doubts)
		}
	}
}

func TestAFallbackIsNoCauseAndASwitchAfterwardsNeither(t *testing.T) {
	began := minutes(-10)
	changes := []sources.Change{
		{At: minutes(-12), Component: sources.Feature, From: "rerank on", To: "rerank off"},
		{At: minutes(-11), Component: sources.Fallback, From: "a", To: "b"},
		{At: minutes(-9), Component: sources.Feature, From: "agents on", To: "agents off"},
		promptChange(minutes(-8)),
	}
	var left []string
	for _, c := range causes(changes, []sources.Reading{{Verdict: sources.Bad, Since: began}, {Verdict: sources.OK, Since: minutes(-60)}}) {
		left = append(left, c.To)
	}
	if got := strings.Join(left, " "); got != "rerank off v14" {
		t.Errorf("causes %q", got)
	}
}

func TestWhatABadCanarysRequestsShareIsLookedForThoughTheSignalIsWell(t *testing.T) {
	p := split(0.09)
	overAll := exposing().value(`^\(sum \(rate\(llmops_validation_total`, flat(0.02)).value(`^\(sum \(rate\(llmops_requests_total`, flat(0.004))
	p.rules = append(overAll.rules, p.rules...)
	e := evaluator(t, Deps{Prom: p, Changes: rolling(stage("live", "v13", time.Time{}), stage("canary", "v14", minutes(-40)))}, Service{})
	for id, explained := range map[string]bool{"schema_fail": true, "error_ratio": false} {
		x, err := e.Explain(t.Context(), "s", id, view, false)
		if err != nil {
			t.Fatal(err)
		}
		if x.Wrong() {
			t.Fatalf("%s is %s by itself: the test proves nothing", id, x.Verdict)
		}
		if looked := !strings.Contains(x.Why, "nothing to explain"); looked != explained {
			t.Errorf("%s: %s", id, x.Why)
		}
	}
}
