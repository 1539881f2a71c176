package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollcall/cmd/rollcall/app"
	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/tuitest"
)

// real is a session whose journal is a real one.
type real struct {
	*app.App
	snap *signal.Snapshot // instead of what its sources say
}

func (real) Doctor(context.Context, string) []Finding { return nil }

func (r real) Snapshot(ctx context.Context, service string, v sources.View, first sources.Pane) (*signal.Snapshot, error) {
	if r.snap != nil {
		return r.snap, nil
	}
	return r.App.Snapshot(ctx, service, v, first)
}

// casebench is a program on a service without any traffic, whose journal is real.
func casebench(t *testing.T) *bench {
	t.Helper()
	prom := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data := `{"resultType":"vector","result":[]}`
		switch {
		case strings.HasSuffix(r.URL.Path, "query_range"):
			data = `{"resultType":"matrix","result":[]}`
		case !strings.Contains(r.URL.Path, "/query"):
			data = `[]`
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"status":"success","data":%s}`, data)
	}))
	t.Cleanup(prom.Close)
	b := newBench(t, fmt.Sprintf("prometheus: {url: %q}\nservices: {support-assistant: {scope: 'job=\"assistant\"', environment: prod}}\n", prom.URL))
	b.Open = func(ctx context.Context, cfg *config.File, _ Mode) (Session, error) {
		a, err := app.Open(ctx, cfg, app.Options{Once: true})
		if err != nil {
			return nil, err
		}
		r := real{App: a}
		if b.session.OnSnapshot != nil {
			r.snap, _ = b.session.OnSnapshot(ctx, "", sources.View{}, "")
		}
		return r, nil
	}
	return b
}

// does runs one command line and returns what it said.
func (b *bench) does(t *testing.T, want int, args ...string) string {
	t.Helper()
	b.out.Reset()
	b.err.Reset()
	if code := b.run(args...); code != want {
		t.Fatalf("%v: exit code %d, want %d: %s%s", args, code, want, b.err.String(), b.out.String())
	}
	return b.out.String() + b.err.String()
}

// has looks for words whatever the space between them.
func has(t *testing.T, text string, wants ...string) {
	t.Helper()
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	for _, w := range wants {
		if !strings.Contains(words(text), words(w)) {
			t.Errorf("the text lacks %q:\n%s", w, text)
		}
	}
}

func TestAnIncidentIsKeptOnTheCommandLine(t *testing.T) {
	b := casebench(t)
	has(t, b.does(t, ExitOK, "incident", "list"), "No incidents.")
	has(t, b.does(t, ExitBad, "incident", "show"), "no incident of support-assistant is open; open one with rollcall incident open")
	has(
		t, b.does(t, ExitOK, "incident", "open", "--category", "Privacy", "--severity", "sev2", "--title", "answers quote other tenants", "--began", "10m", "--tag", "leak"),
		"INC-1  answers quote other tenants", "severity  SEV2: High", "privacy: Personal or confidential", "began", "leak",
	)
	has(t, b.does(t, ExitOK, "incident", "note", "support", "was", "told"), "noted in INC-1")
	b.In = strings.NewReader("from a pipe\nmail a.person@example.org\n")
	has(t, b.does(t, ExitOK, "incident", "note", "inc-1"), "noted in INC-1")
	has(t, b.does(t, ExitOK, "incident", "set", "severity", "SEV1", "--why", "two more tenants"), "SEV1: Highest")
	has(t, b.does(t, ExitOK, "incident", "set", "INC-1", "mitigated"), "mitigated", "state     mitigated")
	has(t, b.does(t, ExitOK, "incident", "set", "mitigated", "no"), "state     open")
	has(t, b.does(t, ExitOK, "incident", "set", "lead", "bea"), "lead      bea")
	text := b.does(t, ExitOK, "incident", "show")
	has(t, text, "Timeline", "#1", "opened INC-1 (SEV2 privacy)", "noted: support was told", "mail <email:1>", "severity is now SEV1: two more tenants", "not mitigated after all")
	if strings.Contains(text, "example.org") {
		t.Error("an address is in the timeline")
	}
	has(t, b.does(t, ExitBad, "incident", "capture", "no-such-request"), "no-such-request")
	has(t, b.does(t, ExitUsage, "incident", "close"), "--reason")
	has(t, b.does(t, ExitOK, "incident", "close", "--reason", "no suite yet"), "state     closed", "no suite yet")
	has(t, b.does(t, ExitUsage, "incident", "close", "INC-1", "--reason", "x"), "closed already")
	has(t, b.does(t, ExitOK, "incident", "list"), "INC-1", "closed", "SEV1")
	has(t, b.does(t, ExitOK, "incident", "show"), "INC-1", "closed")
	has(t, b.does(t, ExitOK, "review"), "# INC-1", "no regression case: no suite yet")
	has(t, b.does(t, ExitBad, "incident", "show", "INC-9"), "INC-9")
}

func TestIncidentsAndReviewsAreJSONForPrograms(t *testing.T) {
	b := casebench(t)
	keys := func(text string, want ...string) map[string]any {
		t.Helper()
		obj := firstObject(t, []byte(text))
		for _, k := range want {
			if _, ok := obj[k]; !ok {
				t.Errorf("the JSON lacks %q: %s", k, text)
			}
		}
		return obj
	}
	incident := []string{"id", "service", "environment", "title", "category", "severity", "lead", "detected", "opened", "opened_by", "cases", "first_seq", "last_seq", "state"}
	keys(b.does(t, ExitOK, "incident", "open", "--category", "cost", "--severity", "SEV3", "--title", "spend", "-o", "json"), incident...)
	keys(b.does(t, ExitOK, "incident", "list", "--open", "-o", "json"), incident...)
	keys(b.does(t, ExitOK, "incident", "note", "x", "-o", "json"), "seq", "kind", "wall", "at", "actor", "origin", "incident", "text", "hash")
	keys(b.does(t, ExitOK, "incident", "set", "severity", "SEV4", "-o", "json"), incident...)
	show := keys(b.does(t, ExitOK, "incident", "show", "-o", "json"), "incident", "timeline")
	if rows, _ := show["timeline"].([]any); len(rows) < 3 {
		t.Errorf("the timeline is %v", rows)
	}
	b.does(t, ExitOK, "review", "-f", "json")
	r := keys(b.out.String(), "schema", "generated", "incident", "summary", "times", "durations", "severities", "signals", "suspects", "changes",
		"affected", "requests", "runs", "timeline", "blanks", "gaps", "head")
	if r["schema"] != "rollcall/review/v1" {
		t.Errorf("schema %v", r["schema"])
	}
	keys(b.does(t, ExitOK, "incident", "close", "--reason", "a test", "-o", "json"), append(incident, "closed", "close_reason")...)
}

func TestAnIncidentOpensFromTheVerdictLine(t *testing.T) {
	b := casebench(t)
	snap := tuitest.Snapshot(tuitest.Failing, sources.View{}, tuitest.Start)
	b.session.OnSnapshot = func(context.Context, string, sources.View, sources.Pane) (*signal.Snapshot, error) { return snap, nil }
	has(
		t, b.does(t, ExitOK, "incident", "open", "--from-verdict", "--severity", "SEV1"),
		"INC-1  Schema failures 9.1% since 02:33", "SEV1", "correctness", "schema_fail", "02:31",
	)
	has(t, b.does(t, ExitOK, "review"), "When it was opened the console said: Schema failures 9.1%", "Suspected at the time: prompt v13→v14")
	snap = tuitest.Snapshot(tuitest.Quiet, sources.View{}, tuitest.Start)
	has(t, b.does(t, ExitBad, "incident", "open", "--from-verdict"), "the verdict line says nothing bad", "--title")
	has(t, b.does(t, ExitOK, "incident", "open", "--from-verdict", "--title", "a hunch"), "INC-2  a hunch")
	has(t, b.does(t, ExitUsage, "incident", "note", "which one"), "INC-2 and INC-1 are open; name one of them")
}

func TestAReviewIsWrittenWholeAndItsExportIsRecorded(t *testing.T) {
	b := casebench(t)
	b.does(t, ExitOK, "incident", "open", "--category", "quality", "--severity", "SEV3", "--title", "tone")
	dir := t.TempDir()
	for _, format := range []string{"md", "json", "html"} {
		path := filepath.Join(dir, "review."+format)
		has(t, b.does(t, ExitOK, "review", "INC-1", "-f", format, "--public", "--out", path), "wrote "+path+"; recorded as #")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		has(t, string(text), "INC-1", "tone", "responder 1")
		if strings.Contains(string(text), `"`+app.Actor()+`"`) {
			t.Errorf("%s names the person", path)
		}
	}
	has(t, b.does(t, ExitBad, "review", "--out", filepath.Join(dir, "none", "x.md")), "cannot be written: no such file or directory; name a folder you own")
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	b.does(t, ExitOK, "incident", "show", "-o", "json")
	var show struct {
		Timeline []struct{ Kind, What string }
	}
	if err := json.Unmarshal(b.out.Bytes(), &show); err != nil {
		t.Fatal(err)
	}
	exports := 0
	for _, r := range show.Timeline {
		if r.Kind == "exported" {
			exports++
		}
	}
	if exports != 3 {
		t.Errorf("%d exports are recorded: %+v", exports, show.Timeline)
	}
}

func TestMistakesWithIncidentsAreOneLineWithARemedy(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"incident", "open"}, "needs --title, --category (safety, correctness"},
		{[]string{"incident", "open", "--title", "x", "--category", "bad", "--severity", "SEV2"}, `"bad" is no category; it can be safety`},
		{[]string{"incident", "open", "--title", "x", "--category", "cost", "--severity", "SEV9"}, `"SEV9" is no severity; it can be SEV1`},
		{[]string{"incident", "open", "--title", "x", "--category", "cost", "--severity", "SEV2", "--began", "soon"}, "write it like 02:31"},
		{[]string{"incident", "show", "7"}, `"7" is no incident; write it like INC-7`},
		{[]string{"incident", "set", "colour", "red"}, `an incident has no "colour" to set; it has severity`},
		{[]string{"incident", "set", "severity"}, "severity needs a value: SEV1, SEV2"},
		{[]string{"incident", "set", "INC-1"}, "say what to set"},
		{[]string{"incident", "set", "began", "soon"}, "write it like 02:31"},
		{[]string{"incident", "capture", "INC-1"}, "name one request"},
		{[]string{"incident", "opne"}, "unknown command"},
		{[]string{"review", "-f", "pdf"}, "-f pdf is not known; it can be md, json or html"},
		{[]string{"review", "x"}, `"x" is no incident`},
	} {
		b := casebench(t)
		if code := b.run(tc.args...); code != ExitUsage || !strings.Contains(b.err.String(), tc.want) || strings.Count(b.err.String(), "\n") != 1 || b.out.Len() > 0 {
			t.Errorf("%v: exit code %d, stderr %q, stdout %q; want %q", tc.args, code, b.err.String(), b.out.String(), tc.want)
		}
	}
}
