package fatigue

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

func TestAClockThatWentBackWhileAnAlertFiredMakesNoFlap(t *testing.T) {
	b := &book{}
	d := journal.AlertData{Signal: "x", Label: "x", Value: sources.N(1)}
	b.add(days(2), journal.AlertFiring, "", d)
	d.Until = days(2.2)
	b.add(days(2.1), journal.AlertResolved, "", d)
	r := only(t, b.fold())
	if r.Flaps != 0 || r.FiringS < 0 || r.Firings != 1 || r.Fires {
		t.Errorf("%+v", r)
	}
	if r.AckS.OK && r.AckS.V < 0 {
		t.Errorf("taken up before it fired: %v", r.AckS)
	}
}

func TestAClockThatWentAheadGivesNoAdvice(t *testing.T) {
	b := &book{}
	for i := range 8 {
		b.fires(days(4-0.1*float64(i)), "x", numbers{value: 1}, time.Hour)
	}
	// The journal's first entry is of a time that never was.
	r := Fold("assistant", b.list, time.Time{}, now)
	if r.Rules[0].Advice != Keep {
		t.Errorf("%s: %s", r.Rules[0].Advice, r.Rules[0].Why)
	}
	future := Fold("assistant", b.list, days(-3), now)
	if future.Rules[0].Advice != Keep || future.Days < 0 || future.PerShift.OK && future.PerShift.V < 0 {
		t.Errorf("%+v", future)
	}
}

func TestAlertsWithoutKnownNumbersHaveNoThreshold(t *testing.T) {
	b := &book{}
	for i := range 6 {
		at := days(27 - 4*float64(i))
		b.add(at, journal.AlertFiring, "", journal.AlertData{Signal: "x", Label: "x"})
		if i < 2 {
			b.action(at)
		}
		b.add(at.Add(time.Hour), journal.AlertResolved, "", journal.AlertData{Signal: "x", Until: at.Add(time.Hour)})
	}
	if r := only(t, b.fold()); r.Threshold != nil || r.Advice != Keep {
		t.Errorf("%+v", r)
	}
}

func TestFiguresOfManyRulesAreWritable(t *testing.T) {
	b := &book{}
	for i := range 5000 {
		b.fires(days(20), "rule-"+strings.Repeat("x", i%40)+string(rune('a'+i%26)), numbers{value: 1}, time.Minute)
	}
	if _, err := json.Marshal(b.fold()); err != nil {
		t.Error(err)
	}
}
