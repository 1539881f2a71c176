package app

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/alerts"
	"rollcall/store/journal"
)

// teller is a Prometheus whose rules fire as a test says.
type teller struct {
	raised []alerts.Raised
	deaf   bool // it does not answer
}

func (s *teller) outside(context.Context) *outside {
	if s.deaf {
		return &outside{}
	}
	return &outside{raised: s.raised, sure: map[string]bool{alerts.Prometheus: true}}
}

func (s *teller) fires(name, query string, values ...float64) {
	s.raised = append(s.raised, alerts.Raised{Name: name, Source: alerts.Prometheus, Severity: "page", Query: query, Alerts: max(1, len(values)), Values: values, Labels: map[string]string{"pod": "a"}})
}

func ruling(t *testing.T, path string, s *teller) (*watcher, *journal.Journal) {
	w, j := newWatcher(t, path, &hand{t: night(2, 40)})
	w.outside, w.warn = s.outside, func(string, ...any) {}
	return w, j
}

func looksAt(t *testing.T, w *watcher, minutes ...int) {
	t.Helper()
	for _, m := range minutes {
		if err := w.observeRules(t.Context(), night(2, 0).Add(time.Duration(m)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
}

// rulesIn says what the journal has of rules: "firing Leak", "resolved Leak".
func rulesIn(t *testing.T, j *journal.Journal) (said []string, data []journal.AlertData, text []string) {
	t.Helper()
	list, err := j.Entries(t.Context(), journal.Filter{Kinds: []journal.Kind{journal.AlertFiring, journal.AlertResolved}, Limit: 5000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		var d journal.AlertData
		if err := json.Unmarshal(e.Data, &d); err != nil {
			t.Fatal(err)
		}
		said = append(said, strings.TrimPrefix(string(e.Kind), "alert.")+" "+d.Alert)
		data, text = append(data, d), append(text, e.Text)
	}
	return said, data, text
}

func TestARuleOfOthersIsJournalledOnceWhenItFiresAndWhenItIsOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	s := &teller{}
	w, j := ruling(t, path, s)
	s.fires("Leak", "leaks / requests > 0.05", .06, .09)
	looksAt(t, w, 0, 1)
	other, _ := ruling(t, path, s) // another process, or this one after a restart
	looksAt(t, other, 2)
	s.raised[0].Values = []float64{.3}
	looksAt(t, other, 3)
	said, data, text := rulesIn(t, j)
	if fmt.Sprint(said) != "[firing Leak]" || data[0].Value != sources.N(.09) || data[0].Level != sources.N(.05) || data[0].Alerts != 2 || data[0].Signal != "" || text[0] != `"pod"="a"` {
		t.Fatalf("%q %+v %q", said, data, text)
	}
	s.raised = nil
	looksAt(t, other, 10, 12)
	s.fires("Leak", "leaks / requests > 0.05", .1) // it wavers
	looksAt(t, other, 14)
	s.raised, s.deaf = nil, true
	looksAt(t, other, 20, 26) // who does not answer says nothing is over
	s.deaf = false
	looksAt(t, other, 30, 34)
	if said, _, _ := rulesIn(t, j); fmt.Sprint(said) != "[firing Leak]" {
		t.Errorf("%q", said)
	}
	looksAt(t, other, 35, 36)
	said, data, _ = rulesIn(t, j)
	if fmt.Sprint(said) != "[firing Leak resolved Leak]" || data[1].Flaps != 1 || data[1].Worst != sources.N(.3) || !data[1].Until.Equal(night(2, 30)) || data[1].FiredS != sources.N(30*60) {
		t.Errorf("%q %+v", said, data)
	}
	s.fires("Leak", "leaks / requests > 0.05", .1)
	looksAt(t, w, 60) // who looked away in between takes it from the journal
	if said, _, _ := rulesIn(t, j); fmt.Sprint(said) != "[firing Leak resolved Leak firing Leak]" {
		t.Errorf("%q", said)
	}
}

func TestARuleOfWhichNobodyIsToldDoesNotFire(t *testing.T) {
	s := &teller{}
	w, j := ruling(t, filepath.Join(t.TempDir(), "journal.db"), s)
	s.fires("Leak", "leak", 1)
	s.raised[0].Silenced = true
	looksAt(t, w, 0, 5)
	if said, _, _ := rulesIn(t, j); len(said) != 0 {
		t.Errorf("%q", said)
	}
	s.raised[0].Silenced = false
	looksAt(t, w, 6)
	s.raised[0].Silenced = true // it fires still
	looksAt(t, w, 7, 20)
	if said, _, _ := rulesIn(t, j); fmt.Sprint(said) != "[firing Leak]" {
		t.Errorf("%q", said)
	}
}

func TestALowValueIsTheWorstOfARuleThatFiresBelow(t *testing.T) {
	s := &teller{}
	w, j := ruling(t, filepath.Join(t.TempDir(), "journal.db"), s)
	s.fires("Low", "up < 1", .8, .2, .5)
	looksAt(t, w, 0)
	_, data, _ := rulesIn(t, j)
	if data[0].Direction != sources.LowerWorse || data[0].Value != sources.N(.2) {
		t.Errorf("%+v", data[0])
	}
}

func TestRulesWhoseNamesChangeDoNotFillTheJournal(t *testing.T) {
	s := &teller{}
	w, j := ruling(t, filepath.Join(t.TempDir(), "journal.db"), s)
	warned := 0
	w.warn = func(string, ...any) { warned++ }
	for m := 0; m < 120; m += 3 {
		s.raised = nil
		for i := range 500 {
			s.fires(fmt.Sprintf("r%d-%d", m, i), "x > 1", 2)
		}
		looksAt(t, w, m)
	}
	said, _, _ := rulesIn(t, j)
	fired := 0
	for _, x := range said {
		if strings.HasPrefix(x, "firing") {
			fired++
		}
	}
	if fired != rulesDaily || len(said) > 2*rulesDaily || warned == 0 || warned > 10 {
		t.Errorf("%d fired of %d entries, %d warnings", fired, len(said), warned)
	}
}

// Through the real clients: what two servers tell of one rule is one firing, labels are
// redacted, and a flood of 5,000 alerts is no flood of entries.
func TestWhatPrometheusAndAlertmanagerFireIsJournalledByTheWatcher(t *testing.T) {
	a, s := alerting(t, nil)
	look := func() { a.watch.observe(t.Context(), &signal.Snapshot{Service: "assistant", At: a.clock.Now()}) }
	look()
	look()
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	said, data, text := rulesIn(t, j)
	if fmt.Sprint(said) != "[firing Leak]" || data[0].Source != "prometheus" || data[0].Value != sources.N(.09) || data[0].Level != sources.N(1) || data[0].Severity != "page" || !strings.Contains(text[0], `"pod"="a"`) {
		t.Fatalf("%q %+v %q", said, data, text)
	}
	// An acknowledgement of one of its alerts takes up the rule.
	if _, err := a.AckAlert(t.Context(), "assistant", "Leak", "cleaned up by hand", true); err != nil {
		t.Fatal(err)
	}
	r, err := a.Fatigue(t.Context(), "assistant", time.Time{})
	if err != nil || len(r.Rules) != 1 || r.Rules[0].Name() != "Leak" || r.Rules[0].Actioned != 1 || r.Rules[0].Acked != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	s.down.Store(true)
	look()
	s.down.Store(false)
	s.flood.Store(5000)
	look()
	said, _, _ = rulesIn(t, j)
	if len(said) != rulesOpen {
		t.Errorf("%d entries of a flood", len(said))
	}
}

func TestPersonsInTheLabelsOfARuleAreRedacted(t *testing.T) {
	a, _ := alerting(t, nil)
	text := labelText(&alerts.Raised{Labels: map[string]string{"mail": "ana@example.com"}, Evidence: "mail of bo@example.com is stuck"})
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	wrote, err := j.Append(t.Context(), journal.Draft{Kind: journal.AlertFiring, Service: "assistant", Data: journal.AlertData{Alert: "x"}, Text: text})
	if err != nil || strings.Contains(wrote[0].Text, "example.com") || !strings.Contains(wrote[0].Text, "mail") {
		t.Errorf("%+v, %v", wrote, err)
	}
}
