package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/sources/signal/rollout"
	"rollcall/store/journal"
)

// spike is a snapshot in which one signal is bad, or well, with nothing known of its past.
func spike(at time.Time, isBad bool, value float64) *signal.Snapshot {
	r := sources.Reading{Signal: "schema_fail", Label: "schema fail", Unit: sources.Ratio, Direction: sources.HigherWorse, Known: true, Value: value, Verdict: sources.OK}
	if isBad {
		r.Verdict = sources.Bad
	}
	return &signal.Snapshot{Service: "assistant", At: at, View: sources.View{Range: time.Hour}, Readings: []sources.Reading{r}}
}

func TestAMomentOfBadnessDoesNotFire(t *testing.T) {
	w, j := newWatcher(t, filepath.Join(t.TempDir(), "journal.db"), &hand{t: night(2, 40)})
	at := night(2, 40)
	watches(t, w, spike(at, true, .1), spike(at.Add(15*time.Second), true, .1), spike(at.Add(30*time.Second), false, .01), spike(at.Add(45*time.Second), true, .1), spike(at.Add(90*time.Second), true, .1))
	same(t, kindsOf(t, j))
	watches(t, w, spike(at.Add(105*time.Second), true, .1))
	same(t, kindsOf(t, j), "alert.firing schema_fail")
}

func TestAFlappingSignalIsOneAlertAndItsFlapsAreCounted(t *testing.T) {
	w, j := newWatcher(t, filepath.Join(t.TempDir(), "journal.db"), &hand{t: night(2, 40)})
	at := night(2, 40)
	for i := range 60 { // an hour: two minutes bad, two minutes well
		isBad := i/2%2 == 0
		value := .1
		if i == 20 {
			value = .4
		}
		watches(t, w, spike(at.Add(time.Duration(i)*time.Minute), isBad, value))
	}
	same(t, kindsOf(t, j), "alert.firing schema_fail")
	for i := 60; i < 70; i++ {
		watches(t, w, spike(at.Add(time.Duration(i)*time.Minute), false, .01))
	}
	same(t, kindsOf(t, j), "alert.firing schema_fail", "alert.resolved schema_fail")
	list, err := j.Entries(t.Context(), journal.Filter{Kinds: []journal.Kind{journal.AlertResolved}})
	if err != nil {
		t.Fatal(err)
	}
	var d journal.AlertData
	if err := json.Unmarshal(list[0].Data, &d); err != nil {
		t.Fatal(err)
	}
	// It fired at 2:41; the last bad look was at 3:37, the first well one after it at 3:38.
	if d.Flaps != 14 || d.Worst != sources.N(.4) || !d.Until.Equal(night(3, 38)) || d.FiredS != sources.N(57*60) {
		t.Errorf("%+v", d)
	}
}

func TestWhatIsNotLookedAtForLongIsNotTakenForOneStretch(t *testing.T) {
	w, j := newWatcher(t, filepath.Join(t.TempDir(), "journal.db"), &hand{t: night(2, 40)})
	watches(t, w, spike(night(2, 0), true, .1), spike(night(3, 0), true, .1))
	same(t, kindsOf(t, j))
	w.step = 20 * time.Minute // a fast drill looks seldom
	watches(t, w, spike(night(4, 0), true, .1))
	same(t, kindsOf(t, j), "alert.firing schema_fail")
	watches(t, w, spike(night(4, 20), false, .01), spike(night(3, 50), false, .01)) // the clock went back
	same(t, kindsOf(t, j), "alert.firing schema_fail")
}

func TestTheWorstValueIsTheOneOnTheBadSide(t *testing.T) {
	for _, tc := range []struct {
		dir          sources.Direction
		value, than  float64
		farther      bool
		usuallyThree bool
	}{
		{sources.HigherWorse, 2, 1, true, false},
		{sources.LowerWorse, 2, 1, false, false},
		{sources.LowerWorse, .5, 1, true, false},
		{sources.BothWorse, 1, 4, true, true},
		{sources.BothWorse, 3.5, 4, false, true},
	} {
		r := &sources.Reading{Direction: tc.dir, Value: tc.value}
		if tc.usuallyThree {
			r.Usual = &sources.Usual{Value: 3}
		}
		if got := farther(r, sources.N(tc.than)); got != tc.farther {
			t.Errorf("%s: %g farther than %g: %v", tc.dir, tc.value, tc.than, got)
		}
	}
}

// failingProm is a Prometheus on which one signal has been bad for an hour.
func failingProm(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	w.Header().Set("Content-Type", "application/json")
	if !strings.Contains(r.Form.Get("query"), "my_failures") {
		emptyProm(w, r)
		return
	}
	if !strings.HasSuffix(r.URL.Path, "query_range") {
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%d,"0.5"]}]}}`, time.Now().Unix())
		return
	}
	start, _ := strconv.ParseFloat(r.Form.Get("start"), 64)
	end, _ := strconv.ParseFloat(r.Form.Get("end"), 64)
	step, _ := strconv.ParseFloat(r.Form.Get("step"), 64)
	var points []string
	for at := start; at <= end && step > 0; at += step {
		points = append(points, fmt.Sprintf(`[%f,"0.5"]`, at))
	}
	_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[%s]}]}}`, strings.Join(points, ","))
}

func TestDaemonsWriteDownWhatFiresOnceWhileNoConsoleIsOpen(t *testing.T) {
	cfg := servers(t, failingProm, lokiLines())
	cfg.Refresh = sources.Duration(20 * time.Millisecond)
	s := cfg.Services["assistant"]
	level := .1
	s.Queries = map[string]signal.Overrule{"schema_fail": {PromQL: "my_failures"}}
	s.Thresholds = map[string]signal.Limits{"schema_fail": {Bad: &level}}
	cfg.Services["assistant"] = s
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer func() { cancel(); running.Wait() }()
	var looked [2]atomic.Int64
	for i := range 2 {
		a := open(t, cfg, Options{Origin: "collect"})
		build := a.watch.make
		a.watch.make = func(service string) *watcher {
			w := build(service)
			j := w.journal
			w.journal = func() (*journal.Journal, error) { looked[i].Add(1); return j() }
			return w
		}
		running.Go(func() { a.Watch(ctx) })
		if i == 1 {
			continue
		}
		j, err := a.Journal()
		if err != nil {
			t.Fatal(err)
		}
		wait, stop := context.WithTimeout(ctx, time.Minute)
		defer stop()
		changed := j.Changed(wait)
		for {
			if list, err := j.Entries(wait, journal.Filter{Kinds: []journal.Kind{journal.AlertFiring}}); err != nil {
				t.Fatal(err)
			} else if len(list) > 0 {
				if list[0].Actor != watcherName || list[0].Origin != "collect" {
					t.Errorf("%+v", list[0])
				}
				break
			}
			select {
			case <-changed:
			case <-wait.Done():
				t.Fatal("nobody wrote it down")
			}
		}
	}
	// Both go on looking, in turns.
	deadline, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for looked[0].Load()+looked[1].Load() < 20 {
		select {
		case <-tick.C:
		case <-deadline.Done():
			t.Fatal("they stopped looking")
		}
	}
	cancel()
	running.Wait()
	j := openJournal(t, filepath.Join(cfg.State, journalFile), &hand{t: time.Now()})
	list, err := j.Entries(t.Context(), journal.Filter{Kinds: []journal.Kind{journal.AlertFiring, journal.AlertResolved}})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	var d journal.AlertData
	if err := json.Unmarshal(list[0].Data, &d); err != nil || d.Signal != "schema_fail" || d.Value != sources.N(.5) || d.Level != sources.N(.1) || d.Rule != "fixed" {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestACanaryThatDoesWorseFiresThoughNoSignalDoes(t *testing.T) {
	w, j := newWatcher(t, filepath.Join(t.TempDir(), "journal.db"), &hand{t: night(2, 40)})
	at := night(2, 40)
	canary := func(after time.Duration, v rollout.Verdict) *signal.Snapshot {
		return &signal.Snapshot{Service: "assistant", At: at.Add(after), Rollout: &rollout.Report{Comparisons: []rollout.Comparison{{
			Kind: rollout.Canary, Verdict: v, Why: "schema failures 9.1% (37/406) vs 1.2% (44/3,660), p=3e-14",
			Candidate: rollout.Side{Name: "canary", Since: at},
			Outcomes:  []rollout.Outcome{{ID: "schema_failures", Name: "schema failures", State: rollout.Worse, K: 37, N: 406, P: sources.N(3e-14)}},
		}}}}
	}
	watches(t, w, canary(0, rollout.Hold))
	same(t, kindsOf(t, j))
	watches(t, w, canary(2*time.Minute, rollout.RollBack), canary(4*time.Minute, rollout.RollBack))
	same(t, kindsOf(t, j), "alert.firing rollout")
	blind := &signal.Snapshot{Service: "assistant", At: at.Add(5 * time.Minute), Line: signal.Line{Blind: []string{"prom unreachable"}}}
	later := &signal.Snapshot{Service: "assistant", At: at.Add(15 * time.Minute), Line: signal.Line{Blind: []string{"prom unreachable"}}}
	watches(t, w, blind, later)
	same(t, kindsOf(t, j), "alert.firing rollout")
	for m := 16; m < 24; m++ {
		watches(t, w, &signal.Snapshot{Service: "assistant", At: at.Add(time.Duration(m) * time.Minute)})
	}
	same(t, kindsOf(t, j), "alert.firing rollout", "alert.resolved rollout")
}
