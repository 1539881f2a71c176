package fatigue

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

var now = time.Date(2026, 3, 30, 6, 0, 0, 0, time.UTC)

func days(d float64) time.Time { return now.Add(-time.Duration(d * 24 * float64(time.Hour))) }

// book writes entries in the order of their time.
type book struct{ list []journal.Entry }

func (b *book) add(at time.Time, k journal.Kind, incident string, data any) {
	raw, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	b.list = append(b.list, journal.Entry{Seq: int64(len(b.list) + 1), At: at, Kind: k, Service: "assistant", Incident: incident, Actor: "ana", Data: raw})
}

type numbers struct{ value, ratio, p float64 }

// fires writes an alert that lasts so long; zero goes on.
func (b *book) fires(at time.Time, signal string, n numbers, lasts time.Duration) {
	d := journal.AlertData{Signal: signal, Label: strings.ReplaceAll(signal, "_", " "), Unit: sources.Ratio, Direction: sources.HigherWorse, Value: sources.N(n.value)}
	if n.ratio != 0 {
		d.Ratio, d.P = sources.N(n.ratio), sources.N(n.p)
	}
	b.add(at, journal.AlertFiring, "", d)
	if lasts > 0 {
		d.Until = at.Add(lasts)
		b.add(at.Add(lasts+5*time.Minute), journal.AlertResolved, "", d)
	}
}

func (b *book) fold() *Report { return Fold("assistant", b.list, days(40), now) }

func only(t *testing.T, r *Report) Rule {
	t.Helper()
	if len(r.Rules) != 1 {
		t.Fatalf("%d rules", len(r.Rules))
	}
	return r.Rules[0]
}

func TestFiguresOfARule(t *testing.T) {
	b := &book{}
	b.fires(days(30), "schema_fail", numbers{value: .2}, time.Hour) // before the four weeks
	b.fires(days(20), "schema_fail", numbers{value: .08}, 10*time.Minute)
	b.add(days(20).Add(2*time.Minute), journal.AlertAcknowledged, "", journal.AcknowledgedData{Alert: "schema_fail", Signal: "schema_fail"})
	b.fires(days(10), "schema_fail", numbers{value: .1}, 3*time.Minute) // a flap
	b.fires(days(2), "schema_fail", numbers{value: .1}, 50*time.Minute)
	b.add(days(2).Add(6*time.Minute), journal.RunStarted, "", map[string]any{"runbook": "x", "target": map[string]any{"service": "assistant"}})
	b.fires(days(1), "schema_fail", numbers{value: .1}, 0)
	r := only(t, b.fold())
	if r.Firings != 4 || r.Actioned != 1 || r.Share != sources.N(.25) || r.PerWeek != sources.N(1) || !r.Fires || r.Flaps != 1 {
		t.Errorf("%+v", r)
	}
	if want := (10+3+50)*60 + 24*3600.; r.FiringS != want {
		t.Errorf("it fired for %g s, not %g", r.FiringS, want)
	}
	if r.Acked != 2 || r.AckS != sources.N((2+6)*60/2) {
		t.Errorf("taken up %d times, after %v s", r.Acked, r.AckS)
	}
	if r.Advice != Keep {
		t.Errorf("something came of it, yet: %s", r.Why)
	}
}

func TestWhatCountsAsAnAction(t *testing.T) {
	run := func(rehearsal bool) any { return map[string]any{"target": map[string]any{"rehearsal": rehearsal}} }
	at := days(2)
	resolved := at.Add(-time.Hour)
	for _, tc := range []struct {
		name string
		do   func(b *book)
		want int
	}{
		{"nothing", func(*book) {}, 0},
		{"a run", func(b *book) { b.add(at.Add(time.Minute), journal.RunStarted, "", run(false)) }, 1},
		{"a rehearsal", func(b *book) { b.add(at.Add(time.Minute), journal.RunStarted, "", run(true)) }, 0},
		{"a run soon after it was over", func(b *book) { b.add(at.Add(29*time.Minute), journal.RunStarted, "", run(false)) }, 1},
		{"a run long after it was over", func(b *book) { b.add(at.Add(31*time.Minute), journal.RunStarted, "", run(false)) }, 0},
		{"a run before it", func(b *book) { b.add(at.Add(-time.Minute), journal.RunStarted, "", run(false)) }, 0},
		{"a pin that was moved", func(b *book) { b.add(at.Add(time.Minute), journal.PinSet, "", map[string]any{"result": "done"}) }, 1},
		{"a pin that somebody else had moved", func(b *book) { b.add(at.Add(time.Minute), journal.PinSet, "", map[string]any{"result": "moved"}) }, 0},
		{"a feature that was switched", func(b *book) { b.add(at.Add(time.Minute), journal.FeatureSet, "", map[string]any{"result": "done"}) }, 1},
		{"an incident that was opened", func(b *book) { b.add(at.Add(time.Minute), journal.IncidentOpened, "INC-1", journal.OpenedData{}) }, 1},
		{"an incident that was open", func(b *book) { b.add(at.Add(-time.Hour), journal.IncidentOpened, "INC-1", journal.OpenedData{}) }, 1},
		{"an incident that was resolved before", func(b *book) {
			b.add(at.Add(-2*time.Hour), journal.IncidentOpened, "INC-1", journal.OpenedData{})
			b.add(resolved, journal.IncidentUpdated, "INC-1", journal.UpdatedData{Resolved: &resolved})
		}, 0},
		{"an acknowledgement alone", func(b *book) {
			b.add(at.Add(time.Minute), journal.AlertAcknowledged, "", journal.AcknowledgedData{Alert: "x", Signal: "x"})
		}, 0},
		{"an acknowledgement that says that something was done", func(b *book) {
			b.add(at.Add(time.Minute), journal.AlertAcknowledged, "", journal.AcknowledgedData{Alert: "x", Signal: "x", Acted: true})
		}, 1},
		{"an acknowledgement of something else", func(b *book) {
			b.add(at.Add(time.Minute), journal.AlertAcknowledged, "", journal.AcknowledgedData{Alert: "y", Signal: "y", Acted: true})
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before, after := &book{}, &book{}
			tc.do(after)
			for _, e := range after.list {
				if e.At.Before(at) {
					before.list = append(before.list, e)
				}
			}
			b := &book{list: before.list}
			b.add(at, journal.AlertFiring, "", journal.AlertData{Signal: "x", Value: sources.N(1)})
			for _, e := range after.list {
				if !e.At.Before(at) && e.At.Before(at.Add(15*time.Minute)) {
					b.list = append(b.list, e)
				}
			}
			b.add(at.Add(15*time.Minute), journal.AlertResolved, "", journal.AlertData{Signal: "x", Until: at.Add(10 * time.Minute)})
			for _, e := range after.list {
				if !e.At.Before(at.Add(15 * time.Minute)) {
					b.list = append(b.list, e)
				}
			}
			if r := only(t, b.fold()); r.Actioned != tc.want {
				t.Errorf("%d actions, not %d", r.Actioned, tc.want)
			}
			for i := range b.list {
				b.list[i] = Slim(&b.list[i])
			}
			if r := only(t, b.fold()); r.Actioned != tc.want {
				t.Errorf("%d actions of slim entries, not %d", r.Actioned, tc.want)
			}
		})
	}
}

// action makes the firing at that time one that led to an action.
func (b *book) action(at time.Time) {
	b.add(at.Add(time.Minute), journal.PinSet, "", map[string]any{"result": "done"})
}

func TestWhatFiresWeeklyForNothingIsToBeRetired(t *testing.T) {
	b := &book{}
	for i := range 4 {
		b.fires(days(27-7*float64(i)), "refusal", numbers{value: .05}, time.Hour)
	}
	r := only(t, b.fold())
	if r.Advice != Retire || r.Threshold != nil || r.Why != "it fired 4 times in four weeks and nothing came of it; nor did it before" {
		t.Errorf("%s: %s, %+v", r.Advice, r.Why, r.Threshold)
	}
	if r := only(t, (&book{list: b.list[2:]}).fold()); r.Advice != Keep {
		t.Errorf("three times in four weeks: %s", r.Advice)
	}
	if r := only(t, Fold("assistant", b.list, time.Time{}, now)); r.Advice != Keep || !strings.Contains(r.Why, "there are 27 days") {
		t.Errorf("a journal of less than four weeks: %s, %s", r.Advice, r.Why)
	}
}

func TestARetunedThresholdKeepsEveryFiringThatLedToAnAction(t *testing.T) {
	b := &book{}
	b.fires(days(38), "schema_fail", numbers{.09, 7.5, 1e-12}, time.Hour)
	b.action(days(38))
	b.fires(days(35), "schema_fail", numbers{.12, 6, 1e-9}, time.Hour)
	b.action(days(35))
	// The values of these lie among those, the factors do not, and one p does not.
	for i, n := range []numbers{{.1, 3, 1e-7}, {.1, 4, 1e-8}, {.2, 5, 1e-7}, {.1, 2, 1e-10}} {
		b.fires(days(20-4*float64(i)), "schema_fail", n, time.Hour)
	}
	r := only(t, b.fold())
	want := &Threshold{On: "ratio", At: 6, Keeps: 2, Drops: 4, Of: 4}
	if r.Advice != Retune || !reflect.DeepEqual(r.Threshold, want) {
		t.Fatalf("%s: %s, %+v", r.Advice, r.Why, r.Threshold)
	}
	if !strings.Contains(r.Why, "at or over 6 times usual would have kept all 2 firings that led to an action, and spared 4 of 4") {
		t.Error(r.Why)
	}
}

func TestTheThresholdIsOnTheWorstValueAndOnTheBadSide(t *testing.T) {
	list := []*firing{
		{data: journal.AlertData{Direction: sources.LowerWorse, Value: sources.N(.8)}, worst: sources.N(.5), actioned: true},
		{data: journal.AlertData{Direction: sources.LowerWorse, Value: sources.N(.7)}, worst: sources.N(.65)},
		{data: journal.AlertData{Direction: sources.LowerWorse, Value: sources.N(.4)}},
	}
	if got := separate(list); !reflect.DeepEqual(got, &Threshold{On: "value", Below: true, At: .5, Keeps: 1, Drops: 1, Of: 2}) {
		t.Errorf("%+v", got)
	}
	if text := separate(list).Text(sources.Ratio); text != "at or under 50%" {
		t.Error(text)
	}
	list[0].data.Value, list[0].worst = sources.Num{}, sources.Num{}
	if got := separate(list); got != nil {
		t.Errorf("a number that is not known of all: %+v", got)
	}
}

func TestWhereNoNumberSeparatesItIsSaid(t *testing.T) {
	b := &book{}
	b.fires(days(38), "schema_fail", numbers{value: .09}, time.Hour)
	b.action(days(38))
	for i := range 4 {
		b.fires(days(20-4*float64(i)), "schema_fail", numbers{value: .1}, time.Hour)
	}
	if r := only(t, b.fold()); r.Advice != Rethink || !strings.Contains(r.Why, "no threshold helps") {
		t.Errorf("%s: %s", r.Advice, r.Why)
	}
}

func TestPagesAreCountedByShift(t *testing.T) {
	b := &book{}
	night := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
	for i, signal := range []string{"a", "b", "c", "d"} {
		b.fires(night.Add(time.Duration(i)*4*time.Hour), signal, numbers{value: 1}, time.Hour)
	}
	r := b.fold()
	if want := []ShiftLoad{{night, 3}, {night.Add(Shift), 1}}; !reflect.DeepEqual(r.Shifts, want) || r.Worst != 3 || r.Over != 1 || r.PerShift != sources.N(4/56.) {
		t.Errorf("%+v worst %d over %d mean %v", r.Shifts, r.Worst, r.Over, r.PerShift)
	}
}

func TestWhatCannotBeReadIsPassedOver(t *testing.T) {
	b := &book{}
	b.fires(days(3), "a", numbers{value: 1}, time.Hour)
	for _, k := range Kinds() {
		b.list = append(b.list, journal.Entry{At: days(2), Kind: k, Data: []byte(`{"signal":7,"target":[],"result":{}}`)}, journal.Entry{At: days(2), Kind: k})
	}
	b.list = append(b.list, journal.Entry{At: days(1), Kind: journal.AlertFiring, Service: "billing", Data: []byte(`{"signal":"x"}`)}, journal.Entry{At: now.Add(time.Hour), Kind: journal.AlertFiring, Data: []byte(`{"signal":"y"}`)})
	only(t, b.fold())
	if r := Fold("assistant", nil, time.Time{}, now); len(r.Rules) != 0 || r.Days != 0 || r.PerShift.OK || r.Rules == nil {
		t.Errorf("%+v", r)
	}
}

// rule writes a firing of a rule of a Prometheus.
func (b *book) rule(at time.Time, d journal.AlertData) {
	if d.Source == "" {
		d.Source = "prometheus"
	}
	d.Label = d.Alert
	b.add(at, journal.AlertFiring, "", d)
	d.Until = at.Add(time.Hour)
	b.add(at.Add(time.Hour+5*time.Minute), journal.AlertResolved, "", d)
}

func TestRulesOfOthersHaveFiguresAndAThresholdWhereOneCanBeSet(t *testing.T) {
	compared := func(v float64) journal.AlertData {
		return journal.AlertData{Alert: "Leak", Severity: "page", Level: sources.N(.05), Value: sources.N(v), Direction: sources.HigherWorse}
	}
	odd := func(v float64) journal.AlertData { d := compared(v); d.Level = sources.Num{}; return d }
	mute := func(float64) journal.AlertData { d := compared(0); d.Value = sources.Num{}; return d }
	elsewhere := func(float64) journal.AlertData {
		return journal.AlertData{Alert: "Leak", Source: "alertmanager"}
	}
	info := func(v float64) journal.AlertData { d := compared(v); d.Severity = "info"; return d }
	low := func(v float64) journal.AlertData { d := compared(1 - v); d.Direction = sources.LowerWorse; return d }
	for _, tc := range []struct {
		name   string
		of     func(float64) journal.AlertData
		acts   bool // on the first, long ago
		advice Advice
		says   string
	}{
		{"nothing ever came of it", compared, false, Retire, "it fired 5 times in four weeks and nothing came of it; nor did it before"},
		{"a threshold tells them apart", compared, true, Retune, "at or over 0.3 would have kept all 1 firing that led to an action, and spared 5 of 5"},
		{"and one that is undercut", low, true, Retune, "at or under 0.7 would have kept all 1 firing"},
		{"compared with no number", odd, true, Rethink, "no threshold can be proposed: its expression is not a comparison with a plain number"},
		{"without values", mute, true, Rethink, "no threshold can be proposed: its value is not known of all of them"},
		{"told by an Alertmanager alone", elsewhere, true, Rethink, "an Alertmanager tells neither the value nor the expression"},
		{"that pages nobody", info, false, Keep, "its severity (info) pages nobody"},
	} {
		b := &book{}
		b.rule(days(38), tc.of(.3))
		if tc.acts {
			b.action(days(38))
		}
		for i := range 5 {
			b.rule(days(26-5*float64(i)), tc.of(.1))
		}
		r := b.fold()
		got := only(t, r)
		if got.Advice != tc.advice || !strings.Contains(got.Why, tc.says) || got.Name() != "Leak" || got.Signal != "" || got.Firings != 5 {
			t.Errorf("%s: %s, %s, %+v", tc.name, got.Advice, got.Why, got)
		}
		if pages := r.PerShift.V > 0; pages != (tc.advice != Keep) {
			t.Errorf("%s: %v pages a shift", tc.name, r.PerShift)
		}
	}
}

func TestASignalAndARuleOfTheSameNameAreTwo(t *testing.T) {
	b := &book{}
	b.fires(days(3), "refusal", numbers{value: 1}, 0)
	b.add(days(3), journal.AlertFiring, "", journal.AlertData{Alert: "refusal", Source: "prometheus"})
	b.add(days(2), journal.AlertAcknowledged, "", journal.AcknowledgedData{Alert: "refusal-1a2b", Name: "refusal", Source: "prometheus"})
	r := b.fold()
	if len(r.Rules) != 2 || r.Rules[0].Acked+r.Rules[1].Acked != 1 {
		t.Fatalf("%+v", r.Rules)
	}
	for _, x := range r.Rules {
		if x.Acked != 0 && x.Alert == "" {
			t.Errorf("%+v", x)
		}
	}
}
