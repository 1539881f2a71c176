package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/runbooks/readiness"
	"rollcall/runbooks/run"
	"rollcall/sources"
	"rollcall/store/journal"
	"rollcall/store/scorecard"
)

// noProm is a metric source that is not there: a configuration must name one.
const noProm = "prometheus: {url: \"http://127.0.0.1:1\", timeout: 2s}\n"

func openOnce(t *testing.T, yaml string) *App {
	t.Helper()
	path := t.TempDir() + "/rollcall.yaml"
	if err := os.WriteFile(path, []byte("schema: rollcall/v1\nstate: state\notlp: {grpc: \"off\", http: \"off\"}\n"+yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), cfg, Options{Once: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func answersOf(t *testing.T, a *App) map[string]readiness.Answer {
	t.Helper()
	r, err := a.Readiness(t.Context(), "assistant")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Answers) != 9 {
		t.Fatalf("%d answers", len(r.Answers))
	}
	out := map[string]readiness.Answer{}
	for _, x := range r.Answers {
		out[x.ID] = x
		if strings.ContainsAny(x.Why+x.Next, "\n\x1b") {
			t.Errorf("%s is not one harmless line: %q %q", x.ID, x.Why, x.Next)
		}
	}
	return out
}

func TestReadinessWithNothingConfiguredAndAnEmptyJournal(t *testing.T) {
	got := answersOf(t, openOnce(t, noProm+"services: {assistant: {}}\n"))
	for id, want := range map[string]readiness.Word{
		readiness.Reproduce: readiness.CannotTell, readiness.RollBack: readiness.No, readiness.Logs: readiness.CannotTell,
		readiness.Alerts: readiness.CannotTell, readiness.Rehearsed: readiness.No,
	} {
		if got[id].Answer != want {
			t.Errorf("%s: %q (%s), want %q", id, got[id].Answer, got[id].Why, want)
		}
	}
	if f := got[readiness.Cost]; f.Answer != readiness.CannotTell || !strings.Contains(f.Why, "budgets: ") {
		t.Errorf("cost: %s", f.Why)
	}
	if !strings.Contains(got[readiness.Logs].Why, "names no log source") || !strings.Contains(got[readiness.Logs].Next, "add loki:") {
		t.Errorf("logs: %q, next %q", got[readiness.Logs].Why, got[readiness.Logs].Next)
	}
}

func TestReadinessWithEverySourceDownSaysSoAndNeverNo(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	got := answersOf(t, openOnce(t, `
prometheus: {url: "`+gone.URL+`", timeout: 2s}
loki: {url: "`+gone.URL+`", timeout: 2s}
services:
  assistant:
    budget: {day: 100, period: 1000, request: 1, user_hour: 2}
    components:
      prompt: {driver: http, url: "`+gone.URL+`/prompt", timeout: 2s}
      model: {driver: http, url: "`+gone.URL+`/model", timeout: 2s}
      index: {driver: http, url: "`+gone.URL+`/index", timeout: 2s}
`))
	for _, id := range []string{readiness.Reproduce, readiness.RollBack, readiness.Dashboards, readiness.Alerts, readiness.Cost, readiness.Logs} {
		if a := got[id]; a.Answer != readiness.CannotTell {
			t.Errorf("%s: %q (%s)", id, a.Answer, a.Why)
		}
	}
	if a := got[readiness.RollBack]; !strings.Contains(a.Why, "cannot be read") {
		t.Errorf("rolling back: %s", a.Why)
	}
}

func TestReadinessEndsWithItsCallerWhateverHangs(t *testing.T) {
	hang := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(hang)
	a := openOnce(t, "loki: {url: \""+srv.URL+"\", timeout: 60s}\nservices: {assistant: {}}\n")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := a.Readiness(ctx, "assistant")
		done <- err
	}()
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Fatal("it answered a caller who had left")
		}
	case <-time.After(time.Minute):
		t.Fatal("it goes on for nobody")
	}
}

func TestReadinessReadsRehearsalsIncidentsAndDrillsFromTheJournal(t *testing.T) {
	a := openOnce(t, noProm+"incidents: {severities: {SEV1: a, SEV2: b, SEV3: c, SEV4: d}}\nservices: {assistant: {}, other: {}}\n")
	rb, err := a.Runbook(t.Context(), "assistant", "rollback-prompt")
	if err != nil {
		t.Fatal(err)
	}
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	add := func(ds ...journal.Draft) {
		t.Helper()
		if _, err := j.Append(t.Context(), ds...); err != nil {
			t.Fatal(err)
		}
	}
	began := func(id, service, book, hash string, practice bool) {
		add(journal.Draft{Kind: journal.RunStarted, Run: id, Service: service, Data: run.Started{Runbook: book, Hash: hash, Target: run.Target{Service: service, Rehearsal: practice}}})
		add(journal.Draft{Kind: journal.RunEnded, Run: id, Service: service, Data: run.Ended{Outcome: run.Succeeded}})
	}
	began("RUN-1", "assistant", "rollback-prompt", rb.Hash, true)
	began("RUN-2", "assistant", "rollback-model", "an older one", true)
	began("RUN-3", "other", "rollback-index", "x", true) // of another service
	add(journal.Draft{Kind: journal.DrillEnded, Data: scorecard.Summary{
		Drill: "d", Scenario: "index-drift", Ended: time.Now(), Verified: sources.N(60),
		Runs: []scorecard.Practised{{Run: "RUN-1", Runbook: "rollback-index", Hash: "x", Outcome: "succeeded"}},
	}})
	inc, err := j.OpenIncident(t.Context(), journal.IncidentDraft{Service: "assistant", Title: "x", Category: journal.Quality, Severity: journal.SEV3})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.CloseIncident(t.Context(), inc.ID, "it was the provider"); err != nil {
		t.Fatal(err)
	}
	got := answersOf(t, a)
	says := map[string]readiness.Fact{}
	for _, f := range got[readiness.Rehearsed].Evidence {
		says[f.What] = f
	}
	for what, want := range map[string]struct {
		says readiness.Word
		part string
	}{
		"prompt":     {readiness.Yes, "(RUN-1)"},
		"model":      {readiness.Partly, "has changed since"},
		"index":      {readiness.Partly, "practised in a drill"},
		"last drill": {readiness.Yes, "index-drift; recovery was verified"},
	} {
		if f := says[what]; f.Says != want.says || !strings.Contains(f.Detail, want.part) {
			t.Errorf("%s: %q, %q", what, f.Says, f.Detail)
		}
	}
	if a := got[readiness.Cases]; a.Answer != readiness.No || !strings.Contains(a.Why, "a written reason why not (INC-1)") && !strings.Contains(a.Why, "eval suite") {
		t.Errorf("cases: %q, %s", a.Answer, a.Why)
	}
	if a := got[readiness.Response]; a.Answer != readiness.Yes {
		t.Errorf("response: %q, %s", a.Answer, a.Why)
	}
}

func TestReadinessKnowsWhatAlertsAskForNothing(t *testing.T) {
	a := openOnce(t, noProm+"services: {assistant: {}}\n")
	weeklyForNothing(t, a)
	if got := answersOf(t, a)[readiness.Alerts]; got.Answer != readiness.Partly || !strings.Contains(got.Why, "refusal") {
		t.Errorf("%q, %s", got.Answer, got.Why)
	}
}

func TestLogsAreSampledAndWhatIsHiddenIsCountedAndNeverShown(t *testing.T) {
	const secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		type m = map[string]any
		var values [][]string
		for i := range 30 {
			values = append(values, []string{fmt.Sprint(1700000000000000000 + i), `{"level":"info","request_id":"req-12","msg":"used ` + secret + `"}`})
		}
		values = append(values, []string{"1700000000000000090", "plain words"})
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(m{"status": "success", "data": m{"resultType": "streams", "result": []m{{"stream": m{"job": "a"}, "values": values}}}})
	}))
	defer srv.Close()
	a := openOnce(t, "loki: {url: \""+srv.URL+"\"}\nservices: {assistant: {}}\n")
	got := answersOf(t, a)[readiness.Logs]
	all, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(all), secret) || !strings.Contains(string(all), "api-key") || got.Answer != readiness.Partly {
		t.Errorf("%s", all)
	}
}

func TestWhatIsStructured(t *testing.T) {
	for s, want := range map[string]bool{
		`{"a":1}`: true, `{"a":`: false, `{"a":"x… (+40 bytes)`: true, `level=info msg="it is fine" n=3`: true, `set x=1 and then y=2 as the sentence goes on`: false,
		`2026-11-23 ERROR broke`: false, ``: false, `a=1`: false, `<email:1>`: false, `ts=1 user=<email:1>`: true,
	} {
		if structured(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}
