package signal

import (
	"errors"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/manifest"
	"rollcall/sources/signal/rollout"
	"rollcall/sources/signal/spend"
	"rollcall/sources/signal/suspect"
)

func lineFor(t *testing.T, readings []sources.Reading, changes []sources.Change, health []sources.Health, changesKnown bool) Line {
	t.Helper()
	svc, err := newService("s", Service{})
	if err != nil {
		t.Fatal(err)
	}
	return lineOf(&Snapshot{At: t0, Window: defaultWindow, Readings: readings, Changes: changes, Health: health}, svc, changesKnown)
}

func bad(id string, pane sources.Pane, value, usual float64, since time.Time) sources.Reading {
	return sources.Reading{
		Signal: id, Pane: pane, Unit: sources.Ratio, Known: true, Value: value, Verdict: sources.Bad, Since: since,
		Usual:   &sources.Usual{Value: usual, Days: 14},
		History: []sources.Point{{T: minutes(-60), V: usual}, {T: t0, V: value}},
	}
}

func fine(id string, v sources.Verdict) sources.Reading {
	return sources.Reading{Signal: id, Verdict: v}
}

func usual(id string) sources.Reading {
	r := fine(id, sources.OK)
	r.Usual = &sources.Usual{Value: 0.01, Days: 14}
	return r
}

func TestTheLineNamesTheSignalTheTimeAndTheChange(t *testing.T) {
	l := lineFor(t, []sources.Reading{bad("schema_fail", sources.QualityPane, 0.091, 0.012, minutes(-10))},
		[]sources.Change{promptChange(minutes(-12))}, nil, true)
	if got, want := l.Text(200), "Schema failures 9.1% since 14:20 (usual 1.2%). Change: prompt v13→v14 at 14:18."; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if l.Verdict != sources.Bad || l.Runbook != "rollback-prompt" || l.Change == nil || len(l.Signals) != 1 {
		t.Errorf("line %+v", l)
	}
}

func TestTheLineSaysWhoseRequestsTheSuspectedVersionHits(t *testing.T) {
	svc, err := newService("s", Service{})
	if err != nil {
		t.Fatal(err)
	}
	hit := suspect.Suspect{Attributes: []sources.Attribute{{Name: "prompt", Value: "v14"}, {Name: "tenant", Value: "initech"}, {Name: "route", Value: "agent"}}, Coverage: 0.47, Share: 0.02}
	snap := &Snapshot{
		At: t0, Window: defaultWindow, Readings: []sources.Reading{bad("schema_fail", sources.QualityPane, 0.091, 0.012, minutes(-10))},
		Changes: []sources.Change{promptChange(minutes(-12))}, Suspects: &Explanation{Signal: "schema_fail", Found: suspect.Found{Suspects: []suspect.Suspect{hit}}},
	}
	const head = "Schema failures 9.1% since 14:20 (usual 1.2%). Suspect: prompt v13→v14 at 14:18."
	l := lineOf(snap, svc, true)
	if got, want := l.Text(200), head+" Most of all with tenant=initech and route=agent (47% vs 2%)."; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if l.Text(80) != head || l.Runbook != "rollback-prompt" {
		t.Errorf("%q, runbook %q", l.Text(80), l.Runbook)
	}
}

func TestWhatExplainsTheSecondIsSaidBesideIt(t *testing.T) {
	svc, err := newService("s", Service{})
	if err != nil {
		t.Fatal(err)
	}
	globex := suspect.Suspect{Attributes: []sources.Attribute{{Name: "tenant", Value: "globex"}}, Coverage: 0.19, Share: 0.02}
	second := bad("ratelimit_headroom", sources.CostPane, 0.01, 0.6, minutes(-8))
	second.Verdict = sources.Watch
	snap := &Snapshot{
		At: t0, Window: defaultWindow, Readings: []sources.Reading{bad("error_ratio", sources.HealthPane, 0.05, 0.006, minutes(-10)), second},
		Suspects: &Explanation{Signal: "ratelimit_headroom", Found: suspect.Found{Suspects: []suspect.Suspect{globex}}},
	}
	l := lineOf(snap, svc, true)
	if want := "No change seen in the 30 minutes before. Also rate-limit headroom 1% (usual 60%). Its suspect: tenant=globex (19% vs 2%)."; !strings.HasSuffix(l.Text(300), want) {
		t.Errorf("%s", l.Text(300))
	}
	if l.Suspect != nil || l.Runbook == "shutdown-for-safety" {
		t.Errorf("it is taken for the cause of what is worst: %+v, %s", l.Suspect, l.Runbook)
	}
}

func TestTheLikeliestChange(t *testing.T) {
	change := func(m float64, c sources.Component) sources.Change {
		return sources.Change{At: minutes(m), Component: c, From: "a", To: "b"}
	}
	for _, tc := range []struct {
		name    string
		changes []sources.Change
		want    string // component and minute
	}{
		{"the closest before", []sources.Change{change(-25, sources.Model), change(-12, sources.Prompt)}, "prompt"},
		{"before rather than after", []sources.Change{change(-20, sources.Tools), change(-9, sources.Prompt)}, "tools"},
		{"after, when nothing was before", []sources.Change{change(-8, sources.Index)}, "index"},
		{"too long before", []sources.Change{change(-50, sources.Prompt)}, ""},
		{"too long after", []sources.Change{change(-2, sources.Prompt)}, ""},
		{"made together: what more often causes this", []sources.Change{change(-11.5, sources.Index), change(-12, sources.Policy), change(-12.5, sources.Prompt)}, "prompt"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := lineFor(t, []sources.Reading{bad("schema_fail", sources.QualityPane, 0.09, 0.01, minutes(-10))}, tc.changes, nil, true)
			got := ""
			if l.Change != nil {
				got = string(l.Change.Component)
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if tc.want == "" && (l.Runbook != "" || !strings.Contains(l.Text(200), "No change seen")) {
				t.Errorf("line %q", l.Text(200))
			}
		})
	}
}

func TestWhatBeganBeforeTheRangeIsNotSaidToHaveNoCause(t *testing.T) {
	began := bad("schema_fail", sources.QualityPane, 0.09, 0.012, minutes(-60))
	l := lineFor(t, []sources.Reading{began}, []sources.Change{promptChange(minutes(-100))}, nil, true)
	if got, want := l.Text(300), "Schema failures 9% since before 13:30 (usual 1.2%). Last change before that: prompt v13→v14 at 12:50; a longer range shows when it began."; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if l.Change != nil || l.Runbook != "" {
		t.Errorf("a change that may have nothing to do with it is called its cause: %+v", l)
	}
	l = lineFor(t, []sources.Reading{began}, nil, nil, true)
	if got := l.Text(300); strings.Contains(got, "No change") || !strings.Contains(got, "A longer range shows when it began") {
		t.Errorf("got %s", got)
	}
}

func TestASilentChangeIsCalledSilent(t *testing.T) {
	l := lineFor(t, []sources.Reading{bad("eval_score", sources.QualityPane, 0.6, 0.8, minutes(-10))},
		[]sources.Change{{At: minutes(-14), Component: sources.Model, From: "m-0414", To: "m-0807", Silent: true}}, nil, true)
	if !strings.Contains(l.Text(200), "Silent change: served model m-0414→m-0807 at 14:16.") || l.Runbook != "eval-drift" {
		t.Errorf("line %q, runbook %q", l.Text(200), l.Runbook)
	}
}

func TestAChangeThatWasUndoneNeedsNoRunbook(t *testing.T) {
	back := promptChange(minutes(-3))
	back.From, back.To = "v14", "v13"
	l := lineFor(t, []sources.Reading{bad("schema_fail", sources.QualityPane, 0.06, 0.012, minutes(-10))},
		[]sources.Change{promptChange(minutes(-12)), back}, nil, true)
	if !strings.Contains(l.Text(200), "prompt v13→v14 at 14:18, undone at 14:27.") || l.Runbook != "" {
		t.Errorf("line %q, runbook %q", l.Text(200), l.Runbook)
	}
}

func TestHarmComesBeforeAnnoyanceComesBeforeMoney(t *testing.T) {
	l := lineFor(t, []sources.Reading{
		bad("cost_per_req", sources.CostPane, 0.9, 0.01, minutes(-10)),
		bad("schema_fail", sources.QualityPane, 0.09, 0.01, minutes(-10)),
		bad("refusal", sources.SafetyPane, 0.3, 0.1, minutes(-10)),
	}, nil, nil, true)
	if strings.Join(l.Signals, " ") != "refusal schema_fail" {
		t.Errorf("signals %v", l.Signals)
	}
	watch := bad("filter_trigger", sources.SafetyPane, 0.9, 0.01, minutes(-10))
	watch.Verdict = sources.Watch
	l = lineFor(t, []sources.Reading{watch, bad("cost_per_req", sources.CostPane, 0.9, 0.01, minutes(-10))}, nil, nil, true)
	if l.Signals[0] != "cost_per_req" {
		t.Errorf("what is only to watch came before what is bad: %v", l.Signals)
	}
}

func TestNoAnswerLeadsBeforeALateOneHoweverLate(t *testing.T) {
	late := bad("queue_wait_p95", sources.HealthPane, 20, 0.01, minutes(-10))
	late.Unit = sources.Seconds
	kinds := bad("error_by_type", sources.HealthPane, 9, 0.1, minutes(-10))
	kinds.Unit, kinds.Parts = sources.PerSecond, []sources.Part{{Name: "timeout", Value: 8}, {Name: "rate_limit", Value: 1}}
	l := lineFor(t, []sources.Reading{late, bad("error_ratio", sources.HealthPane, 0.3, 0.005, minutes(-10)), kinds}, nil, nil, true)
	if strings.Join(l.Signals, " ") != "error_ratio queue_wait_p95" {
		t.Errorf("signals %v", l.Signals)
	}
	if want := "Errors 30%, mostly timeout, since 14:20 (usual 0.5%)."; l.Parts[0] != want {
		t.Errorf("got  %s\nwant %s", l.Parts[0], want)
	}
}

func TestAShareThatShouldBeHighCountsByWhatIsMissing(t *testing.T) {
	miss := bad("retrieval_hit", sources.QualityPane, 0.76, 0.95, minutes(-10))
	miss.Direction = sources.LowerWorse
	feedback := bad("feedback", sources.QualityPane, 0.70, 0.82, minutes(-12))
	feedback.Direction = sources.LowerWorse
	l := lineFor(t, []sources.Reading{feedback, miss}, nil, nil, true)
	if strings.Join(l.Signals, " ") != "retrieval_hit feedback" {
		t.Errorf("signals %v", l.Signals)
	}
}

func TestTheLineSaysHowImprobableItIs(t *testing.T) {
	r := bad("schema_fail", sources.QualityPane, 0.091, 0.012, minutes(-10))
	p, likely := 4e-12, 0.2
	r.Judgement = &sources.Judgement{Rule: "beta-binomial 15m twice", P: &p}
	if got, want := lineFor(t, []sources.Reading{r}, nil, nil, true).Parts[0], "Schema failures 9.1% since 14:20 (usual 1.2%, p=4e-12)."; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := lineFor(t, []sources.Reading{r}, nil, nil, true).Text(50), "Schema failures 9.1% since 14:20 (usual 1.2%)."; got != want {
		t.Errorf("where it does not fit: %s", got)
	}
	r.Judgement = &sources.Judgement{Rule: "fixed", P: &likely}
	if got := lineFor(t, []sources.Reading{r}, nil, nil, true).Parts[0]; strings.Contains(got, "p=") {
		t.Errorf("a test that did not decide is cited: %s", got)
	}
}

func TestWhatExplainsItGoesBeforeHowImprobableItIs(t *testing.T) {
	l := Line{
		Parts:  []string{"Schema failures 8.5% since 12:05 (usual 1.3%, p=6e-12).", "Suspect: prompt v13→v14 at 12:05 (97% vs 31%)."},
		Asides: []string{", p=6e-12", " (usual 1.3%)"},
	}
	for _, tc := range []struct {
		width int
		want  string
	}{
		{103, "Schema failures 8.5% since 12:05 (usual 1.3%, p=6e-12). Suspect: prompt v13→v14 at 12:05 (97% vs 31%)."},
		{98, "Schema failures 8.5% since 12:05 (usual 1.3%). Suspect: prompt v13→v14 at 12:05 (97% vs 31%)."},
		{86, "Schema failures 8.5% since 12:05. Suspect: prompt v13→v14 at 12:05 (97% vs 31%)."},
		{76, "Schema failures 8.5% since 12:05 (usual 1.3%, p=6e-12)."},
		{50, "Schema failures 8.5% since 12:05 (usual 1.3%)."},
		{40, "Schema failures 8.5% since 12:05."},
		{30, "Schema failures 8.5% since…"},
	} {
		if got := l.Text(tc.width); got != tc.want {
			t.Errorf("%d columns: %s", tc.width, got)
		}
	}
	canary := Line{Parts: []string{"Canary prompt v14: roll back, schema failures 9.1% vs 1.2%, p=3e-14."}}
	if got := canary.Text(60); got != "Canary prompt v14: roll back, schema failures 9.1% vs 1.2%…" {
		t.Errorf("got %s", got)
	}
}

// The plan of a run and what is copied had two full stops after each part.
func TestTheWholeLineHasOneFullStopBetweenItsParts(t *testing.T) {
	for want, parts := range map[string][]string{
		"Errors 5%. It runs since 14:18.": {"Errors 5%.", "It runs since 14:18."},
		"Errors 5%. No change seen":       {"Errors 5%", "No change seen"},
		"":                                nil,
	} {
		if got := (Line{Parts: parts}).Whole(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTheLineSaysWhatItCannotReadWhileSomethingIsBad(t *testing.T) {
	l := lineFor(t, []sources.Reading{bad("schema_fail", sources.QualityPane, 0.091, 0.012, minutes(-10)), fine("feedback", sources.Unreachable)},
		nil, []sources.Health{{Source: "prom", State: sources.SourceUp}}, true)
	if !strings.HasSuffix(l.Text(300), "1 signal cannot be read.") {
		t.Errorf("line %q", l.Text(300))
	}
}

func TestWhatHasBeenSoForWeeksIsNoNews(t *testing.T) {
	off := bad("disabled_features", sources.HealthPane, 1, 1, minutes(-60))
	off.Unit, off.Verdict, off.Detail = sources.Count, sources.Watch, "model_fallback"
	off.Judgement, off.Parts = &sources.Judgement{Rule: "fixed"}, []sources.Part{{Name: "model_fallback", Value: 1}}
	l := lineFor(t, []sources.Reading{off, usual("refusal")}, nil, nil, true)
	if got, want := l.Text(200), "Nothing is significantly worse than usual. To watch, as always: features switched off (model_fallback)."; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	l = lineFor(t, []sources.Reading{off, bad("error_ratio", sources.HealthPane, 0.05, 0.006, minutes(-10))}, nil, nil, true)
	if strings.Join(l.Signals, " ") != "error_ratio" {
		t.Errorf("signals %v", l.Signals)
	}
	off.Usual.Value = 0
	l = lineFor(t, []sources.Reading{off, usual("refusal")}, nil, nil, true)
	if l.Verdict != sources.Watch || strings.Join(l.Signals, " ") != "disabled_features" {
		t.Errorf("a feature that was just switched off: %s %v", l.Verdict, l.Signals)
	}
}

func TestACanaryThatDoesWorseIsSaidThoughNothingElseShows(t *testing.T) {
	svc, err := newService("s", Service{})
	if err != nil {
		t.Fatal(err)
	}
	prompt := func(v string) map[sources.Component]string {
		return map[sources.Component]string{sources.Prompt: v}
	}
	report := &rollout.Report{Comparisons: []rollout.Comparison{{
		Kind: rollout.Canary, Verdict: rollout.RollBack, Why: "schema failures 9.1% (37/406) vs 1.2% (44/3,660), p=3e-14; also errors",
		Candidate: rollout.Side{Name: "canary", Versions: prompt("v14"), Since: minutes(-12)}, Control: rollout.Side{Name: "live", Versions: prompt("v13")},
		Outcomes: []rollout.Outcome{
			{ID: "schema_failures", Name: "schema failures", State: rollout.Worse, K: 37, N: 406, ControlK: 44, ControlN: 3660, P: sources.N(3e-14)},
			{Name: "errors", State: rollout.Worse, K: 20, N: 406, ControlK: 20, ControlN: 3660, P: sources.N(1e-7)},
		},
	}}}
	change := promptChange(minutes(-12))
	change.Stage = "canary"
	snap := &Snapshot{At: t0, Window: defaultWindow, Readings: []sources.Reading{usual("refusal")}, Changes: []sources.Change{change}, Rollout: report}
	const brief = "Canary prompt v14: roll back, schema failures 9.1% vs 1.2%, p=3e-14."
	l := lineOf(snap, svc, true)
	if l.Verdict != sources.Bad || l.Text(200) != brief+" It runs since 14:18. Also errors." || l.Text(78) != brief || l.Change == nil || !l.Since.Equal(minutes(-12)) {
		t.Errorf("%s: %s, change %v since %s", l.Verdict, l.Text(200), l.Change, l.Since)
	}
	snap.Readings = append(snap.Readings, bad("error_ratio", sources.HealthPane, 0.05, 0.006, minutes(-10)))
	if l = lineOf(snap, svc, true); !strings.HasPrefix(l.Text(400), "Errors 5%") || !strings.Contains(l.Text(400), brief+" Also errors.") {
		t.Errorf("beside something bad: %s", l.Text(400))
	}
	if strings.Join(lineOf(&Snapshot{At: t0, Window: defaultWindow, Rollout: report}, svc, true).Signals, " ") != "schema_fail" {
		t.Error("an incident could not say what it is about")
	}
	if all := snap.Verdicts(); len(all) != len(snap.Readings)+1 || all[len(all)-1].Verdict != sources.Bad || all[len(all)-1].Value != 37./406 {
		t.Errorf("what can fire: %+v", all)
	}
	if all := (&Snapshot{Line: Line{Blind: []string{"prom unreachable"}}}).Verdicts(); all[0].Verdict != sources.Unreachable {
		t.Errorf("a rollout that cannot be seen is %s", all[0].Verdict)
	}
	if all := (&Snapshot{}).Verdicts(); all[0].Verdict != sources.OK {
		t.Errorf("no rollout is %s", all[0].Verdict)
	}
	report.Comparisons[0].Verdict, report.Comparisons[0].Why = rollout.Hold, "too little to tell about schema failures; about 300 more requests"
	snap.Readings = snap.Readings[:1]
	if l = lineOf(snap, svc, true); l.Verdict != sources.OK || !strings.HasPrefix(l.Text(300), "Nothing is significantly worse than usual. Canary prompt v14: hold,") {
		t.Errorf("while it is too early: %s: %s", l.Verdict, l.Text(300))
	}
}

func TestTheLineEndsWithMoneyAndDoubts(t *testing.T) {
	svc, err := newService("s", Service{})
	if err != nil {
		t.Fatal(err)
	}
	snap := &Snapshot{
		At: t0, Window: defaultWindow, Readings: []sources.Reading{bad("spend_rate", sources.CostPane, 0.9, 0.1, minutes(-10))},
		Spend: &spend.Report{Line: "Loop: request r1."}, Doubts: []string{"the folder says prompt v13, metrics say v14"},
	}
	if got, want := lineOf(snap, svc, true).Text(400), "Loop: request r1. The folder says prompt v13, metrics say v14."; !strings.HasSuffix(got, want) {
		t.Errorf("got  %s\nwant … %s", got, want)
	}
}

func TestTheLineNamesOneOfAFamilyAndKeepsItsSubject(t *testing.T) {
	for _, jitter := range []float64{-0.2, 0, 0.2} {
		l := lineFor(t, []sources.Reading{
			bad("latency_p95", sources.HealthPane, 14+jitter, 5.3, minutes(-8)),
			bad("latency_p99", sources.HealthPane, 25-jitter, 9.1, minutes(-9)),
			bad("spend_rate", sources.CostPane, 0.24, 0.112, minutes(-7)),
		}, nil, nil, true)
		if strings.Join(l.Signals, " ") != "latency_p99 spend_rate" {
			t.Errorf("signals %v", l.Signals)
		}
	}
}

func TestTheQuietLineSaysWhatItCannotSee(t *testing.T) {
	down := []sources.Health{{Source: "prom", State: sources.SourceUp}, {Source: "loki", State: sources.SourceDown}}
	for _, tc := range []struct {
		name     string
		readings []sources.Reading
		health   []sources.Health
		known    bool
		verdict  sources.Verdict
		want     string
	}{
		{"all fine", []sources.Reading{usual("refusal")}, nil, true, sources.OK, "Nothing is significantly worse than usual."},
		{
			"no history yet",
			[]sources.Reading{fine("refusal", sources.OK)},
			nil, true, sources.OK,
			"Nothing is over its limits. What is usual is not known yet.",
		},
		{
			"some learning",
			[]sources.Reading{usual("refusal"), fine("feedback", sources.Learning)},
			nil, true, sources.OK,
			"Nothing is significantly worse than usual. 1 signal learning.",
		},
		{
			"a source down",
			[]sources.Reading{usual("refusal")},
			down, true, sources.OK,
			"Nothing is significantly worse than usual. Loki unreachable.",
		},
		{
			"changes not known",
			[]sources.Reading{usual("refusal")},
			nil, false, sources.OK,
			"Nothing is significantly worse than usual. Changes unknown.",
		},
		{
			"some unreadable",
			[]sources.Reading{usual("refusal"), fine("feedback", sources.Unreachable)},
			nil, true, sources.Unreachable,
			"Nothing is significantly worse than usual. But 1 of 2 signals cannot be read. Metrics unreachable.",
		},
		{
			"nothing readable",
			[]sources.Reading{fine("refusal", sources.Unreachable)},
			nil, true, sources.Unreachable,
			"Nothing can be judged: the signals cannot be read. Metrics unreachable.",
		},
		{
			"nothing but learning",
			[]sources.Reading{fine("refusal", sources.Learning)},
			nil, true, sources.Learning,
			"Nothing can be judged yet: too little history.",
		},
		{"no traffic", []sources.Reading{fine("refusal", sources.NoTraffic)}, nil, true, sources.NoTraffic, "No traffic in 5m."},
		{
			"nothing exposed",
			[]sources.Reading{fine("refusal", sources.NotExposed)},
			nil, true, sources.NotExposed,
			"Nothing to judge: this service exposes none of the signals. Check its scope.",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := lineFor(t, tc.readings, nil, tc.health, tc.known)
			if l.Text(300) != tc.want || l.Verdict != tc.verdict {
				t.Errorf("%s: %s", l.Verdict, l.Text(300))
			}
		})
	}
}

func TestTextKeepsWholeParts(t *testing.T) {
	l := Line{Parts: []string{"Schema failures 9.1%.", "Change: prompt v13→v14.", "Loki unreachable."}}
	for _, tc := range []struct {
		width int
		want  string
	}{
		{200, "Schema failures 9.1%. Change: prompt v13→v14. Loki unreachable."},
		{50, "Schema failures 9.1%. Change: prompt v13→v14."},
		{44, "Schema failures 9.1%. Loki unreachable."},
		{30, "Schema failures 9.1%."},
		{18, "Schema failures…"},
		{8, "Schema…"},
		{4, "Sch…"},
		{1, "…"},
		{0, ""},
	} {
		got := l.Text(tc.width)
		if got != tc.want || columns(got) > tc.width {
			t.Errorf("%d columns: %q, want %q", tc.width, got, tc.want)
		}
	}
	wide := Line{Parts: []string{"プロンプト v14 changed."}}
	for w := range 30 {
		if n := columns(wide.Text(w)); n > w {
			t.Errorf("%d columns for %d", n, w)
		}
	}
}

func TestTheSnapshotTellsTheWholeStory(t *testing.T) {
	p := validation(step(minutes(-10), 0.012, 0.091))
	changes := changesFake{timeline: manifest.Timeline{
		Changes: []sources.Change{promptChange(minutes(-12))},
		Live:    sources.Manifest{ID: "m2", Versions: map[sources.Component]string{sources.Prompt: "v14"}},
	}}
	health := func() []sources.Health { return []sources.Health{{Source: "prom", State: sources.SourceUp}} }
	s := warm(t, evaluator(t, Deps{Prom: p, Changes: changes, Health: health}, Service{}))
	if got, want := s.Line.Text(200), "Schema failures 9.1% since 14:19 (usual 1.2%, p=5e-38). Change: prompt v13→v14 at 14:18."; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s.Live.ID != "m2" || len(s.Changes) != 1 || len(s.Health) != 1 || s.Worst("") != sources.Bad || s.Worst(sources.QualityPane) != sources.Bad {
		t.Errorf("snapshot %+v", s)
	}
	s = snapshot(t, evaluator(t, Deps{Prom: p, Changes: changesFake{fail: errors.New("down")}}, Service{}))
	if !contains(s.Line.Blind, "changes unknown") || strings.Contains(s.Line.Text(300), "No change seen") {
		t.Errorf("line %q", s.Line.Text(300))
	}
}
