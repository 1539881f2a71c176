package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/runbooks"
	"rollcall/runbooks/run"
	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/journal"
)

func lineSnap(verdict sources.Verdict, signals ...string) *signal.Snapshot {
	s := &signal.Snapshot{Service: "assistant", At: night(2, 47)}
	for _, sig := range signal.Catalogue() {
		r := sources.Reading{Signal: sig.ID, Pane: sig.Pane, Verdict: sources.OK}
		for _, id := range signals {
			if id == sig.ID {
				r.Verdict = verdict
			}
		}
		s.Readings = append(s.Readings, r)
	}
	s.Line = signal.Line{Verdict: verdict, Signals: signals, Since: night(2, 33), Parts: []string{"Schema failures 9.1% since 02:33 (usual 1.2%).", "Change: prompt v13→v14 at 02:31."}}
	return s
}

func TestTheVerdictLineFillsInAnIncident(t *testing.T) {
	a := open(t, servers(t, emptyProm, lokiLines()), Options{})
	for _, tc := range []struct {
		verdict  sources.Verdict
		signals  []string
		category journal.Category
		severity journal.Severity
	}{
		{sources.Bad, []string{"schema_fail"}, journal.Correctness, journal.SEV2},
		{sources.Watch, []string{"schema_fail"}, journal.Correctness, journal.SEV3},
		{sources.Bad, []string{"filter_trigger"}, journal.Safety, journal.SEV1},
		{sources.Bad, []string{"refusal"}, journal.Safety, journal.SEV2},
		{sources.Bad, []string{"redactions"}, journal.Privacy, journal.SEV1},
		{sources.Bad, []string{"access_control"}, journal.Privacy, journal.SEV2},
		{sources.Bad, []string{"feedback"}, journal.Quality, journal.SEV3},
		{sources.Bad, []string{"feedback", "schema_fail"}, journal.Quality, journal.SEV2}, // the worse severity of the two
		{sources.Bad, []string{"error_ratio"}, journal.Availability, journal.SEV2},
		{sources.Bad, []string{"latency_p99"}, journal.Availability, journal.SEV3},
		{sources.Bad, []string{"spend_rate"}, journal.Cost, journal.SEV3},
		{sources.Watch, []string{"spend_rate"}, journal.Cost, journal.SEV4},
	} {
		d := a.Prefill("assistant", lineSnap(tc.verdict, tc.signals...))
		if d.Category != tc.category || d.Severity != tc.severity || d.Title != "Schema failures 9.1% since 02:33" || !d.Began.Equal(night(2, 33)) {
			t.Errorf("%s %v: %+v", tc.verdict, tc.signals, d)
		}
	}
	snap := lineSnap(sources.Bad, "schema_fail")
	snap.Line.Change = &sources.Change{At: night(2, 31), Component: sources.Prompt, From: "v13", To: "v14"}
	d := a.Prefill("assistant", snap)
	if !d.Began.Equal(night(2, 31)) || d.Change == nil || !strings.Contains(d.Evidence, "(usual 1.2%). Change: prompt v13→v14") || d.Lead != Actor() {
		t.Errorf("the trouble began with the change before it: %+v", d)
	}
	for _, quiet := range []*signal.Snapshot{nil, {}, lineSnap(sources.OK)} {
		if d := a.Prefill("assistant", quiet); d.Title != "" || len(d.Signals) > 0 || !d.Began.IsZero() {
			t.Errorf("nothing is bad, and yet: %+v", d)
		}
	}
	for _, sig := range signal.Catalogue() {
		r := sources.Reading{Signal: sig.ID, Pane: sig.Pane}
		if m := meaningOf(&r); m.category == "" || m.severity == "" {
			t.Errorf("%s means nothing", sig.ID)
		}
	}
	for id := range meanings {
		if _, ok := snap.Reading(id); !ok {
			t.Errorf("there is no signal %s", id)
		}
	}
}

func draft() journal.IncidentDraft {
	return journal.IncidentDraft{Service: "assistant", Title: "schema failures", Category: journal.Correctness, Severity: journal.SEV2, Signals: []string{"schema_fail"}}
}

func TestAnIncidentGoesFromOpenToItsReview(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines(`{"msg":"validation failed","request_id":"req-1","email":"a.person@example.org"}`))
	a := open(t, cfg, Options{Receive: true, Once: true})
	began := a.clock.Now().Add(-10 * time.Minute)
	consume(t, a.intake, "req-1", began.Add(time.Minute))
	ctx := t.Context()
	d := draft()
	d.Began, d.Evidence = began, "Schema failures 9.1%."
	inc, err := a.OpenIncident(ctx, d)
	if err != nil || inc.ID != "INC-1" || inc.Lead != Actor() || inc.Detected.IsZero() {
		t.Fatalf("%+v, %v", inc, err)
	}
	if _, err := a.AddNote(ctx, "assistant", inc.ID, "call a.person@example.org\x1b[2J"); err != nil {
		t.Fatal(err)
	}
	e, err := a.CaptureRequest(ctx, "assistant", "", "req-1")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, ref := range e.Artifacts {
		names = append(names, ref.Name)
		art, err := a.Artifact(ctx, ref.ID)
		if err != nil || len(art.Body) == 0 || strings.Contains(string(art.Body), "example.org") {
			t.Errorf("%s: %s, %v", ref.Name, art.Body, err)
		}
	}
	if got := strings.Join(names, " "); got != "request.json trace.json logs.jsonl" {
		t.Errorf("the artifacts are %s", got)
	}
	now := a.clock.Now()
	if _, err := a.UpdateIncident(ctx, inc.ID, journal.IncidentPatch{Mitigated: &now}); err != nil {
		t.Fatal(err)
	}
	path, err := a.ExportReview(ctx, inc.ID)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# INC-1: schema failures", "When it was opened the console said: Schema failures 9.1%.", "Request req-1", "time to mitigate | 10m",
		"| Requests | 1 |", "| … schema failure | 1 |", "call &lt;email:1&gt;", "rollcall journal verify --head",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the review lacks %q:\n%s", want, text)
		}
	}
	if strings.ContainsRune(string(text), 0x1b) || strings.Contains(string(text), "example.org") {
		t.Error("what is hostile or personal is in the review")
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if _, err := a.CloseIncident(ctx, inc.ID, ""); !errors.Is(err, journal.ErrRefused) {
		t.Errorf("closed without case and reason: %v", err)
	}
	if inc, err = a.CloseIncident(ctx, inc.ID, "covered"); err != nil || inc.Open() {
		t.Errorf("%+v, %v", inc, err)
	}
	list, err := a.Entries(ctx, journal.Filter{Kinds: []journal.Kind{journal.Exported}})
	if err != nil || len(list) != 1 || list[0].Incident != inc.ID || !strings.Contains(string(list[0].Data), `"head"`) {
		t.Errorf("the export is recorded as %+v, %v", list, err)
	}
	if _, err := a.CaptureRequest(ctx, "assistant", "", "req-1"); err == nil || !strings.Contains(err.Error(), "open one with rollcall incident open") {
		t.Errorf("nothing is open: %v", err)
	}
}

func TestDetectionIsTheFirstAlertThatStillFires(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines())
	a := open(t, cfg, Options{})
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	at := a.clock.Now().Add(-30 * time.Minute).UTC().Truncate(time.Second)
	fire := func(kind journal.Kind, signal string, at time.Time) journal.Draft {
		return journal.Draft{Kind: kind, At: at, Service: "assistant", Data: AlertData{Signal: signal}}
	}
	if _, err := j.Append(
		t.Context(), fire(journal.AlertFiring, "schema_fail", at.Add(-time.Hour)), fire(journal.AlertResolved, "schema_fail", at.Add(-time.Minute)),
		fire(journal.AlertFiring, "schema_fail", at), fire(journal.AlertFiring, "error_ratio", at.Add(-time.Minute)),
	); err != nil {
		t.Fatal(err)
	}
	inc, err := a.OpenIncident(t.Context(), draft())
	if err != nil || !inc.Detected.Equal(at) {
		t.Errorf("detected at %s, want %s, %v", inc.Detected, at, err)
	}
	// What has fired for long is not how this one was detected.
	other := draft()
	other.Began = at.Add(15 * time.Minute)
	if inc, err = a.OpenIncident(t.Context(), other); err != nil || inc.Detected.Before(other.Began) {
		t.Errorf("detected at %s, before it began at %s, %v", inc.Detected, other.Began, err)
	}
	other.Began = at.Add(time.Minute) // as far as is known
	if inc, err = a.OpenIncident(t.Context(), other); err != nil || !inc.Detected.Equal(other.Began) {
		t.Errorf("detected at %s, want %s, %v", inc.Detected, other.Began, err)
	}
	future := draft()
	future.Began = a.clock.Now().Add(time.Hour)
	if _, err := a.OpenIncident(t.Context(), future); err == nil || !strings.Contains(err.Error(), "is in the future") {
		t.Errorf("an incident of tomorrow: %v", err)
	}
}

func TestAJournalThatCannotBeWrittenRefusesWhatActs(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines())
	a := open(t, cfg, Options{})
	if err := os.WriteFile(cfg.State+"/journal.db", []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := a.OpenIncident(t.Context(), draft())
	if err == nil || strings.Contains(err.Error(), "\n") || a.JournalTrouble() == "" {
		t.Errorf("error %v, trouble %q", err, a.JournalTrouble())
	}
	if _, err := a.Snapshot(t.Context(), "assistant", sources.View{Range: time.Hour, Columns: 60}, ""); err != nil {
		t.Errorf("reading goes on: %v", err)
	}
}

func TestATraceOfThousandsOfSpansIsCapturedWithinBounds(t *testing.T) {
	v := &sources.RequestView{Request: sources.Request{ID: "req-1"}, Content: []sources.Content{
		{Kind: "system", Text: "be kind", From: "a"}, {Kind: "prompt", Role: "user", Text: "hello", From: "b"}, {Kind: "response", Text: "{", From: "c"},
	}}
	for i := range spansKept + 10 {
		v.Spans = append(v.Spans, sources.Span{Name: fmt.Sprint(i), SpanID: sources.SpanID{1}, Parent: sources.SpanID{2}})
	}
	list, err := artifactsOf(v)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, a := range list {
		got[a.Name] = string(a.Body)
	}
	if !strings.Contains(got["trace.json"], `"left_out": 10`) || !strings.Contains(got["trace.json"], `"parent_span_id": "02`) {
		t.Errorf("the trace is %.300s", got["trace.json"])
	}
	if got["prompt.txt"] != "# system (a)\nbe kind\n\n# prompt user (b)\nhello\n\n" || got["response.txt"] != "# response (c)\n{\n\n" {
		t.Errorf("what was said is %q", got)
	}
}

func TestARunBecomesTickedBoxesWithItsSamples(t *testing.T) {
	s := &run.State{ID: "RUN-3", Runbook: "rollback-prompt", Outcome: run.Succeeded, Actor: "ana", Target: run.Target{Rehearsal: true}, Vars: []run.Value{{Name: "BAD", Value: "v14", From: "suspect prompt"}}}
	check := run.Step{Status: run.Passed, Samples: []run.Sample{{Value: sources.N(.013), Usual: sources.N(.012), Verdict: run.Passed}}}
	check.Name, check.Phase, check.Check = "quality", runbooks.Verify, &runbooks.Check{Signal: "schema_fail"}
	loud := run.Step{Status: run.Failed, Omitted: 5}
	loud.Name = "apply"
	for i := range outputKept + 3 {
		loud.Output = append(loud.Output, run.Line{Text: fmt.Sprint("line ", i)})
	}
	s.Steps = []run.Step{loud, check}
	r := reviewRun(s)
	if r.ID != "RUN-3" || !r.Rehearsal || r.Outcome != "succeeded" || r.Vars[0].Value != "v14" || len(r.Steps) != 2 {
		t.Errorf("the run is %+v", r)
	}
	if st := r.Steps[0]; len(st.Output) != outputKept || st.Output[outputKept-1] != "line 22" || st.Omitted != 8 {
		t.Errorf("the newest lines are kept, the others counted: %+v", st)
	}
	if st := r.Steps[1]; st.Unit != sources.Ratio || len(st.Samples) != 1 || st.Samples[0].Verdict != "passed" || st.Status != "passed" {
		t.Errorf("the check is %+v", st)
	}
}

func TestTheCollectorWatchesWhileNoConsoleDoes(t *testing.T) {
	asked := make(chan struct{})
	var once sync.Once
	cfg := servers(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/query") {
			once.Do(func() { close(asked) })
		}
		emptyProm(w, r)
	}, lokiLines())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- Collect(ctx, cfg, func(string, string, string) {}) }()
	select {
	case <-asked:
	case err := <-done:
		t.Fatalf("the collector ended: %v", err)
	case <-ctx.Done():
		t.Fatal("the collector looks at no signal")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if ok, err := newLease(cfg.State, "assistant", time.Minute, true).take(time.Now()); !ok || err != nil {
		t.Errorf("a collector that ended still watches: %v, %v", ok, err)
	}
}
