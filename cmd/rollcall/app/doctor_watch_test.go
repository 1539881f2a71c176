package app

import (
	"os"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/store/journal"
)

func TestTheDoctorSaysWhetherWhatFiresIsWrittenDownAndTold(t *testing.T) {
	for _, post := range []bool{false, true} {
		a, _ := alerting(t, func(c *config.File) { c.Alertmanager.Post = post })
		find := func(check string) Finding {
			t.Helper()
			for _, f := range a.checkAlerts(t.Context(), "assistant") {
				if f.Check == check {
					return f
				}
			}
			t.Fatalf("nothing is said of %s", check)
			return Finding{}
		}
		if f := find("watched"); f.Verdict != sources.Watch || !strings.Contains(f.Remedy, "rollcall collect") {
			t.Errorf("%+v", f)
		}
		l := newLease(a.cfg.State, "assistant", time.Minute, true)
		if _, err := l.take(a.clock.Wall()); err != nil {
			t.Fatal(err)
		}
		if f := find("watched"); f.Verdict != sources.OK || !strings.Contains(f.Detail, "rollcall collect (pid ") {
			t.Errorf("%+v", f)
		}
		if err := os.WriteFile(l.path, []byte(`{"holder":"x`), 0o600); err != nil {
			t.Fatal(err)
		}
		if f := find("watched"); f.Verdict != sources.Watch {
			t.Errorf("%+v", f)
		}
		if f := find("post"); (f.Verdict == sources.OK) != post {
			t.Errorf("post %v: %+v", post, f)
		}
	}
}

// weeklyForNothing writes down six weeks in which one rule fired every five days and nobody did anything about it.
func weeklyForNothing(t *testing.T, a *App) {
	t.Helper()
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	now := a.clock.Now()
	drafts := []journal.Draft{{Kind: journal.Noted, At: now.Add(-40 * 24 * time.Hour), Service: "assistant", Text: "the journal begins"}}
	for i := range 5 {
		at := now.Add(-time.Duration(1+5*i) * 24 * time.Hour)
		drafts = append(drafts,
			journal.Draft{Kind: journal.AlertFiring, At: at, Service: "assistant", Data: AlertData{Signal: "refusal"}},
			journal.Draft{Kind: journal.AlertResolved, At: at.Add(time.Hour), Service: "assistant", Data: AlertData{Signal: "refusal"}})
	}
	if _, err := j.Append(t.Context(), drafts...); err != nil {
		t.Fatal(err)
	}
}

func TestTheDoctorNamesRulesThatAskForNothing(t *testing.T) {
	a, _ := alerting(t, nil)
	weeklyForNothing(t, a)
	found := a.checkAlerts(t.Context(), "assistant")
	f := found[len(found)-1]
	if f.Check != "fatigue" || f.Verdict != sources.Watch || !strings.Contains(f.Detail, "retire refusal") || !strings.Contains(f.Remedy, "alerts fatigue") {
		t.Errorf("%+v", f)
	}
}
