package signal

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

// shares exposes schema failures by their share and by the events per second behind them.
func shares(k, n curve) *metricsFake {
	return exposing("llmops_validation_total").
		value(`or 0 \* .*llmops_validation_total`, func(t time.Time) float64 { return k(t) / n(t) }).
		value(`^sum .*result="fail"`, k).
		value(`llmops_validation_total`, n)
}

// A series that is broken in some way is never judged bad against history: what is
// known about it cannot carry that.
func TestBrokenSeriesAreNeverJudgedWithConfidence(t *testing.T) {
	nan := math.NaN()
	ago := func(d time.Duration, before, after float64) curve { return step(t0.Add(-d), before, after) }
	holes := func(v float64) curve {
		return func(t time.Time) float64 {
			if t.Minute()%7 < 3 {
				return absent
			}
			return v
		}
	}
	for _, tc := range []struct {
		name string
		k, n curve
	}{
		{"gaps everywhere", holes(0.02), holes(2)},
		{"constant zero", flat(0), flat(2)},
		{"no events at all", flat(0), flat(0)},
		{"one sample", step(t0, absent, 0.04), step(t0, absent, 2)},
		{"not a number", flat(nan), flat(nan)},
		{"not a number now", step(minutes(-10), 0.02, nan), flat(2)},
		{"counts not a number", flat(0.02), step(minutes(-10), 2, nan)},
		{"negative counters", flat(-0.5), flat(2)},
		{"negative events", flat(0.02), flat(-2)},
		{"infinite", flat(math.Inf(1)), flat(2)},
		{"more failures than events", flat(3), flat(2)},
		{"a week old and twice as bad", ago(oneWeek, absent, 0.04), ago(oneWeek, absent, 2)},
		{"a history of nothing but holes", step(minutes(-30), nan, 0.055), step(minutes(-30), absent, 2)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := Service{Thresholds: map[string]Limits{"schema_fail": {Watch: off(), Bad: off()}}}
			r := reading(t, warm(t, evaluator(t, Deps{Prom: shares(tc.k, tc.n)}, cfg)), "schema_fail")
			if worse(r.Verdict, sources.OK) {
				t.Errorf("%s: %s", r.Verdict, r.Why)
			}
		})
	}
}

func off() *float64 { v := math.NaN(); return &v }

func TestAClockThatJumpedJudgesNothingWithConfidence(t *testing.T) {
	p := shares(step(t0.Add(time.Minute), 0.02, absent), step(t0.Add(time.Minute), 2, absent)) // no data from the future
	c := &clock{now: t0}
	e := evaluator(t, Deps{Prom: p, Clock: c}, Service{})
	if r := reading(t, warm(t, e), "schema_fail"); r.Verdict != sources.OK {
		t.Fatalf("before the jump %s: %s", r.Verdict, r.Why)
	}
	for _, d := range []time.Duration{3 * time.Hour, 9 * oneDay, -16 * oneDay} {
		c.add(d)
		if r := reading(t, warm(t, e), "schema_fail"); worse(r.Verdict, sources.OK) {
			t.Errorf("%s later %s: %s", d, r.Verdict, r.Why)
		}
	}
}

// What was bad for days must be as bad on the last of them as on the first.
func TestALongIncidentDoesNotBecomeUsual(t *testing.T) {
	began := t0
	p := shares(func(at time.Time) float64 {
		if at.Before(began) {
			return 0.02
		}
		return 0.2
	}, flat(2))
	c := &clock{now: t0.Add(30 * time.Minute)}
	e := evaluator(t, Deps{Prom: p, Clock: c}, Service{})
	for hour := range 9 * 24 {
		r := reading(t, warm(t, e), "schema_fail")
		if r.Verdict != sources.Bad || r.Usual == nil || math.Abs(r.Usual.Value-0.01) > 0.002 {
			t.Fatalf("after %d hours %s: %s, usual %+v", hour, r.Verdict, r.Why, r.Usual)
		}
		c.add(time.Hour)
	}
}

type incidents []sources.Stretch

func (i incidents) Stretches(context.Context, string, time.Time) ([]sources.Stretch, error) {
	return i, nil
}

func TestAKnownIncidentIsNotPartOfUsual(t *testing.T) {
	lastWeek := t0.Add(-oneWeek)
	p := shares(func(at time.Time) float64 {
		if d := at.Sub(lastWeek); d > -2*time.Hour && d < 2*time.Hour {
			return 0.6
		}
		return 0.02
	}, flat(2))
	with := evaluator(t, Deps{Prom: p, Incidents: incidents{{Since: lastWeek.Add(-2 * time.Hour), Until: lastWeek.Add(2 * time.Hour)}}}, Service{})
	if u := reading(t, warm(t, with), "schema_fail").Usual; u == nil || math.Abs(u.Value-0.01) > 0.001 {
		t.Errorf("with the incident known, usual is %+v", u)
	}
	without := evaluator(t, Deps{Prom: p}, Service{})
	if u := reading(t, warm(t, without), "schema_fail").Usual; u == nil || u.Value < 0.05 {
		t.Errorf("without, usual is %+v", u)
	}
}

func TestSinceIsTheChangePointWithItsBounds(t *testing.T) {
	p := shares(step(minutes(-40), 0.02, 0.2), flat(2))
	r := reading(t, warm(t, evaluator(t, Deps{Prom: p}, Service{})), "schema_fail")
	j := r.Judgement
	if j == nil || r.Since.Sub(minutes(-40)).Abs() > time.Minute || !j.Since.Equal(r.Since) || j.SinceLow.After(minutes(-40)) || j.SinceHigh.Before(minutes(-40)) ||
		j.SinceHigh.Sub(j.SinceLow) > 10*time.Minute {
		t.Errorf("since %s, judgement %+v", r.Since, j)
	}
	old := shares(step(minutes(-600), 0.02, 0.2), flat(2))
	r = reading(t, warm(t, evaluator(t, Deps{Prom: old}, Service{})), "schema_fail")
	if r.Judgement == nil || r.Since.Sub(minutes(-600)).Abs() > coarseStep {
		t.Errorf("what began before the last two hours began at %s, judgement %+v", r.Since, r.Judgement)
	}
}

func TestALabelOfManyValuesIsReadInTime(t *testing.T) {
	var types []fakeSeries
	for i := range 50_000 {
		types = append(types, fakeSeries{map[string]string{"error_type": fmt.Sprintf("e%05d", i)}, flat(0.001)})
	}
	p := exposing("llmops_requests_total").on(`sum by \(error_type\)`, types...)
	e := evaluator(t, Deps{Prom: p}, Service{})
	s, err := e.Snapshot(t.Context(), "s", sources.View{Range: 10 * time.Minute, Columns: 5}, "")
	if err != nil {
		t.Fatal(err)
	}
	if r := reading(t, s, "error_by_type"); len(r.Parts) != maxParts+1 || worse(r.Verdict, sources.OK) {
		t.Errorf("%d parts, %s: %s", len(r.Parts), r.Verdict, r.Why)
	}
}

// What was bad at the beginning of all that is visible does not begin anew with every look.
func TestWhatBeganOutOfSightKeepsItsBeginning(t *testing.T) {
	level := 0.05
	c := &clock{now: t0}
	well := minutes(200)
	p := validation(func(at time.Time) float64 {
		if !at.Before(well) && at.Before(well.Add(10*time.Minute)) {
			return 0.01
		}
		return 0.2
	})
	e := evaluator(t, Deps{Prom: p, Clock: c}, Service{Thresholds: map[string]Limits{"schema_fail": {Watch: &level, Bad: &level}}})
	begins := func() time.Time { return reading(t, snapshot(t, e), "schema_fail").Since }
	first := begins()
	for range 10 {
		c.add(20 * time.Minute)
		if c.now.Before(well) && !begins().Equal(first) {
			t.Fatalf("at %s it began at %s, not at %s", c.now, begins(), first)
		}
	}
	if text := snapshot(t, e).Line.Text(300); strings.Contains(text, "since before 14") {
		t.Errorf("%q", text)
	}
	begins()
	c.add(20 * time.Minute)
	if at := begins(); at.Before(well) {
		t.Errorf("after it was well it began at %s", at)
	}
}
