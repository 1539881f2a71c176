package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/cases"
	"rollcall/store/journal"
)

// asked stores one trace whose answer is no JSON and has a secret in it.
func asked(t *testing.T, a *App, id, answer string) {
	t.Helper()
	store, err := a.intake.wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := a.clock.Now().Add(-time.Minute)
	err = store.Consume(t.Context(), &sources.TraceBatch{Spans: []sources.Span{{
		TraceID: sources.TraceID{1, 2, 3, byte(len(id))}, SpanID: sources.SpanID{1}, Name: "chat m1", Kind: "client", Start: at.UnixNano(), End: at.Add(time.Second).UnixNano(),
		Resource: &sources.Resource{Service: "assistant", Attrs: sources.Attrs{{Key: "service.name", Value: "assistant"}}},
		Attrs: sources.Attrs{
			{Key: "llmops.request.id", Value: id},
			{Key: "llmops.schema.result", Value: "fail"},
			{Key: "gen_ai.operation.name", Value: "chat"},
			{Key: "gen_ai.input.messages", Value: `[{"role":"user","parts":[{"type":"text","content":"Where is it?"}]}]`},
			{Key: "gen_ai.output.messages", Value: `[{"role":"assistant","parts":[{"type":"text","content":"` + answer + `"}]}]`},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCasesAreWrittenRedactedRecordedAndPurgedWithTheirRequest(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines())
	a := open(t, cfg, Options{Receive: true, Once: true})
	asked(t, a, "req-1", "Hello {{ 7*7 }}, write to a.person@example.org")
	inc, err := a.OpenIncident(t.Context(), draft())
	if err != nil {
		t.Fatal(err)
	}
	dir := a.CasesFolder(inc.ID)
	if done, err := a.ExportCases(t.Context(), inc.ID, dir); !errors.Is(err, cases.ErrNone) || done.Seq != 0 {
		t.Fatalf("nothing was captured: %+v, %v", done, err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("a folder was made for nothing")
	}
	if _, err := a.CaptureRequest(t.Context(), "assistant", inc.ID, "req-1"); err != nil {
		t.Fatal(err)
	}
	done, err := a.ExportCases(t.Context(), inc.ID, dir)
	if err != nil || done.Seq == 0 || len(done.Cases) != 1 || done.Unrecorded != "" {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := done.Cases[0].Answer; got != "Hello {{ 7*7 }}, write to <email:1>" {
		t.Errorf("the bad answer is %q", got)
	}
	for _, f := range done.Files {
		text, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil || strings.Contains(string(text), "example.org") {
			t.Errorf("%s: %v, %s", f, err, text)
		}
	}
	if now, err := a.CloseIncident(t.Context(), inc.ID, ""); err != nil || now.Cases != 1 {
		t.Errorf("closed as %+v, %v", now, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	p, err := OpenPurge(t.Context(), cfg, PurgeOf{Request: "req-1"}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got, err := p.Run(t.Context()); err != nil || len(got.Files) != len(done.Files) {
		t.Errorf("purged %+v, %v", got, err)
	}
	for _, f := range done.Files {
		if _, err := os.Stat(filepath.Join(dir, f)); err == nil {
			t.Errorf("%s is still there", f)
		}
	}
}

func TestWhatCouldNotBeWrittenIsNotRecordedAsExported(t *testing.T) {
	a := open(t, servers(t, emptyProm, lokiLines()), Options{Receive: true, Once: true})
	asked(t, a, "req-1", "Hello")
	inc, err := a.OpenIncident(t.Context(), draft())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.CaptureRequest(t.Context(), "assistant", inc.ID, "req-1"); err != nil {
		t.Fatal(err)
	}
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	before, err := j.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "cases")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.WriteCases(t.Context(), inc.ID, dir, cases.Options{}, true); err == nil {
		t.Error("a file was taken for a folder")
	}
	if after, err := j.Head(t.Context()); err != nil || after != before {
		t.Errorf("what was not written is recorded: %+v, %v", after, err)
	}
	if now, _ := a.Incident(t.Context(), inc.ID); now.Cases != 0 {
		t.Errorf("it has %d cases", now.Cases)
	}
	if e, err := j.Entries(t.Context(), journal.Filter{Kinds: []journal.Kind{journal.Exported}}); err != nil || len(e) != 0 {
		t.Errorf("%+v, %v", e, err)
	}
}
