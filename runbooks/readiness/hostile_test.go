package readiness

import (
	"math"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

// What is dated after now was not done by then, whatever the clock says: a
// clock that went back makes nobody practised.
func TestWhatIsDatedAfterNowIsNoPractice(t *testing.T) {
	e := ready()
	for i := range e.Runbooks.Books {
		e.Runbooks.Books[i].Rehearsed.At = now.Add(30 * day)
	}
	e.Practice.Drill.At = now.Add(30 * day)
	a := of(t, e, Rehearsed)
	if a.Answer == Yes || a.Answer == No {
		t.Errorf("%s: %s", a.Answer, a.Why)
	}
	for _, f := range a.Evidence {
		if strings.Contains(f.Detail, "-") && strings.Contains(f.Detail, " ago") {
			t.Errorf("%q", f.Detail)
		}
	}
	// Two clocks that differ by a moment are one.
	e.Practice.Drill.At = now.Add(time.Minute)
	for i := range e.Runbooks.Books {
		e.Runbooks.Books[i].Rehearsed.At = now.Add(time.Minute)
	}
	if a := of(t, e, Rehearsed); a.Answer != Yes {
		t.Errorf("%s: %s", a.Answer, a.Why)
	}
}

func TestEvidenceThatCannotBeMakesNoYes(t *testing.T) {
	e := ready()
	for i := range e.Requests.Parts {
		e.Requests.Parts[i].N, e.Requests.Parts[i].Of = -3, 500
	}
	e.Requests.Texts, e.Requests.Opened = 0, 3
	if a := of(t, e, Reproduce); a.Answer == Yes {
		t.Errorf("%s", a.Why)
	}
	e = ready()
	e.Fatigue.Over = -time.Hour
	if a := of(t, e, Alerts); a.Answer != CannotTell {
		t.Errorf("%s: %s", a.Answer, a.Why)
	}
	e = ready()
	e.Fatigue.Acted, e.Fatigue.PerShift = sources.N(math.NaN()), sources.N(math.Inf(1))
	if a := of(t, e, Alerts); strings.Contains(a.Why, "NaN") || strings.Contains(a.Why, "Inf") {
		t.Errorf("%s: %s", a.Answer, a.Why)
	}
	for _, v := range []sources.Verdict{sources.NoTraffic, sources.Learning, sources.Unreachable} {
		e = ready()
		for i := range e.Signals.Signals {
			e.Signals.Signals[i].Verdict = v
		}
		if a := of(t, e, Dashboards); a.Answer == No || v == sources.Unreachable && a.Answer != CannotTell {
			t.Errorf("all signals %s: %s: %s", v, a.Answer, a.Why)
		}
	}
}
