package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/manifest"
	"rollcall/sources/signal"
	"rollcall/sources/signal/rollout"
	"rollcall/tui/tuitest"
)

// fake is a session on the built-in service of tuitest.
type fake struct {
	*tuitest.Backend
	health   []sources.Health
	findings []Finding
	doubts   []string
	aliases  []manifest.Alias
	rollout  *rollout.Report
	closed   bool
}

func (f *fake) Health() []sources.Health                 { return f.health }
func (f *fake) Doctor(context.Context, string) []Finding { return f.findings }
func (f *fake) Close() error                             { f.closed = true; return nil }

func (f *fake) Moves(ctx context.Context, service string, v sources.View) (manifest.Timeline, error) {
	list, facts, err := f.Changes(ctx, service, v)
	return manifest.Timeline{Changes: list, Facts: facts, Doubts: f.doubts, Aliases: f.aliases}, err
}

func (f *fake) Rollout(context.Context, string, sources.View) (*rollout.Report, error) {
	return f.rollout, nil
}

// bench is a program with everything around it replaced.
type bench struct {
	Program
	out, err bytes.Buffer
	session  *fake
	mode     Mode
	console  *ConsoleStart
}

const twoServices = `
prometheus: {url: http://127.0.0.1:9090}
services:
  support-assistant: {scope: 'job="assistant"'}
  billing-assistant: {scope: 'job="billing"'}
`

const oneService = `
prometheus: {url: http://127.0.0.1:9090}
services: {support-assistant: {scope: 'job="assistant"'}}
`

func newBench(t *testing.T, cfg string, env ...string) *bench {
	t.Helper()
	dir := t.TempDir()
	vars := map[string]string{"HOME": dir, "LANG": "C.UTF-8"}
	for i := 0; i < len(env); i += 2 {
		vars[env[i]] = env[i+1]
	}
	if cfg != "" {
		path := filepath.Join(dir, "rollcall.yaml")
		if err := os.WriteFile(path, []byte(cfg), 0o600); err != nil {
			t.Fatal(err)
		}
		vars["ROLLCALL_CONFIG"] = path
	}
	b := &bench{session: &fake{Backend: tuitest.New(), health: []sources.Health{{Source: "prom", State: sources.SourceUp}}}}
	b.IO = IO{In: strings.NewReader(""), Out: &b.out, Err: &b.err, Env: func(k string) (string, bool) { v, ok := vars[k]; return v, ok }}
	b.Open = func(_ context.Context, _ *config.File, mode Mode) (Session, error) {
		b.mode = mode
		return b.session, nil
	}
	b.Console = func(_ context.Context, c ConsoleStart) error { b.console = &c; return nil }
	b.Version = Version{Version: "1.2.3", Go: "go1.26", OS: "linux", Arch: "amd64"}
	return b
}

func (b *bench) run(args ...string) int { return b.Run(context.Background(), args) }

func TestEveryCommandAnswersInTextAndInJSON(t *testing.T) {
	for _, tc := range []struct {
		args []string
		code int
		text []string
		keys []string // of the object, or of the first element of the list
	}{
		{
			[]string{"status"},
			ExitBad,
			[]string{"support-assistant  at 2026-03-10 02:47:00Z", "▲ Schema failures 9.1% since 02:33", "Quality", "v13 → v14"},
			[]string{"verdict", "line", "at", "service", "signals", "changes", "manifest", "sources"},
		},
		{[]string{"changes"}, ExitOK, []string{"prompt", "v13 → v14", "manifest m-0143"}, []string{"at", "component", "from", "to", "source"}},
		{
			[]string{"suspects"},
			ExitOK,
			[]string{"prompt=v14 in 97% of failing, 31% of passing.", "the same requests: manifest=m-0143", "comparisons"},
			[]string{"signal", "verdict", "why", "from", "to", "bad", "good", "tested", "provider", "suspects"},
		},
		{[]string{"suspects", "latency_p95"}, ExitOK, []string{"slow hump", "cache=none in 98% of the slow"}, []string{"shapes"}},
		{[]string{"requests", "--bad"}, ExitOK, []string{"request", "latency", "schema", "v14"}, []string{"request_id", "trace_id", "time", "prompt", "latency_s", "bad"}},
		{[]string{"logs", "--limit", "5"}, ExitOK, []string{"2026-03-10T02:4", "info"}, []string{"time", "labels", "line"}},
		{[]string{"version"}, ExitOK, []string{"rollcall 1.2.3 go1.26 linux/amd64"}, []string{"version", "go", "os", "arch"}},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			b := newBench(t, oneService)
			if code := b.run(tc.args...); code != tc.code {
				t.Errorf("exit code %d, want %d: %s", code, tc.code, b.err.String())
			}
			for _, want := range tc.text {
				if !strings.Contains(b.out.String(), want) {
					t.Errorf("the text lacks %q:\n%s", want, b.out.String())
				}
			}
			if strings.Contains(b.out.String(), "\x1b") {
				t.Error("there are control bytes in text that goes to no terminal")
			}
			b = newBench(t, oneService)
			if code := b.run(append(tc.args, "-o", "json")...); code != tc.code {
				t.Errorf("JSON: exit code %d, want %d: %s", code, tc.code, b.err.String())
			}
			obj := firstObject(t, b.out.Bytes())
			for _, k := range tc.keys {
				if _, ok := obj[k]; !ok {
					t.Errorf("the JSON lacks %q: %s", k, b.out.String()[:min(400, b.out.Len())])
				}
			}
			if b.mode != ReadOnly {
				t.Error("a command that only reads must not receive traces")
			}
		})
	}
}

func firstObject(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var obj map[string]any
	if json.Unmarshal(text, &obj) == nil {
		return obj
	}
	var list []map[string]any
	if err := json.Unmarshal(text, &list); err != nil || len(list) == 0 {
		t.Fatalf("neither an object nor a list of them: %v\n%s", err, text)
	}
	return list[0]
}

func TestARequestIsShownWholeByAnyOfItsIDs(t *testing.T) {
	rows := tuitest.Requests(sources.RequestFilter{Service: tuitest.Failing, Bad: true, Schema: "fail", Limit: 1}, tuitest.Start)
	r := rows.Rows[0]
	for _, id := range []string{r.ID, r.TraceID, r.ResponseID} {
		b := newBench(t, oneService)
		if code := b.run("request", id); code != ExitOK {
			t.Fatalf("exit code %d for %s: %s", code, id, b.err.String())
		}
		for _, want := range []string{r.ID, "schema", "was v13", "chat gpt-4.1", "Who answered", "Failed the same way", "<email:1>"} {
			if !strings.Contains(b.out.String(), want) {
				t.Errorf("the text lacks %q:\n%s", want, b.out.String())
			}
		}
	}
	b := newBench(t, oneService)
	b.run("request", r.ID, "-o", "json")
	obj := firstObject(t, b.out.Bytes())
	for _, k := range []string{"request", "spans", "logs", "content", "diff", "last_good", "alike", "answers"} {
		if _, ok := obj[k]; !ok {
			t.Errorf("the JSON lacks %q", k)
		}
	}
	b = newBench(t, oneService)
	if code := b.run("request", "nothing"); code != ExitBad || !strings.Contains(b.err.String(), "no request has the ID") {
		t.Errorf("an unknown ID: exit code %d, %s", code, b.err.String())
	}
	b.session.health[0].State = sources.SourceDown
	if code := b.run("request", "nothing"); code != ExitUnreachable {
		t.Errorf("an unknown ID while a source is down: exit code %d", code)
	}
}

func TestTheExitCodeOfStatusSaysHowItIs(t *testing.T) {
	quiet := tuitest.Snapshot(tuitest.Quiet, sources.View{Range: time.Hour}, tuitest.Start)
	for _, tc := range []struct {
		name string
		edit func(*signal.Snapshot)
		err  error
		want int
	}{
		{"all is usual", func(*signal.Snapshot) {}, nil, ExitOK},
		{"a signal is watched", func(s *signal.Snapshot) { s.Readings[0].Verdict = sources.Watch }, nil, ExitOK},
		{"a signal is bad", func(s *signal.Snapshot) { s.Readings[0].Verdict = sources.Bad }, nil, ExitBad},
		{"a source is down", func(s *signal.Snapshot) { s.Health[0].State = sources.SourceDown }, nil, ExitUnreachable},
		{"a signal is unreachable", func(s *signal.Snapshot) { s.Readings[0].Verdict = sources.Unreachable }, nil, ExitUnreachable},
		{"a signal is bad and a source is down", func(s *signal.Snapshot) {
			s.Readings[0].Verdict = sources.Bad
			s.Health[0].State = sources.SourceDown
		}, nil, ExitBad},
		{"nothing answers", nil, errors.New("prometheus: connection refused"), ExitUnreachable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, oneService)
			b.session.OnSnapshot = func(context.Context, string, sources.View, sources.Pane) (*signal.Snapshot, error) {
				if tc.err != nil {
					return nil, tc.err
				}
				s := *quiet
				s.Readings = append([]sources.Reading(nil), quiet.Readings...)
				s.Health = append([]sources.Health(nil), quiet.Health...)
				tc.edit(&s)
				return &s, nil
			}
			for _, o := range []string{"text", "json"} {
				if code := b.run("status", "-o", o); code != tc.want {
					t.Errorf("-o %s: exit code %d, want %d", o, code, tc.want)
				}
			}
			if !b.session.closed {
				t.Error("the session was not closed")
			}
		})
	}
}

func TestMistakesOfTheCallerAreOneLineWithARemedy(t *testing.T) {
	for _, tc := range []struct {
		cfg  string
		args []string
		want string
	}{
		{oneService, []string{"statsu"}, "unknown command"},
		{oneService, []string{"status", "--rage", "1h"}, "unknown flag: --rage"},
		{oneService, []string{"status", "-o", "xml"}, "-o xml is not known; it can be text or json"},
		{oneService, []string{"status", "--service", "support-asistant"}, "did you mean --service support-assistant?"},
		{oneService, []string{"status", "--at", "later"}, "write it like 02:31"},
		{oneService, []string{"status", "--at", "2030-01-01"}, "is in the future"},
		{oneService, []string{"status", "--range", "1y"}, "write it like 15s, 10m, 6h or 7d"},
		{oneService, []string{"status", "--range", "1h", "--since", "1h"}, "give one"},
		{oneService, []string{"status", "--range", "3000d"}, "too long"},
		{oneService, []string{"requests", "--limit", "0"}, "--limit 0 is out of range"},
		{oneService, []string{"requests", "--outcome", "fine"}, "it can be ok or error"},
		{oneService, []string{"requests", "--since", "10m", "--until", "20m"}, "must be earlier"},
		{oneService, []string{"logs", "-f", "--until", "10m"}, "cannot end in the past"},
		{oneService, []string{"request"}, "accepts 1 arg(s)"},
		{twoServices, []string{"status"}, "choose with --service billing-assistant or --service support-assistant"},
		{"services: {a: {}}\nprometheus: {url: x}\n", []string{"status"}, "rollcall.yaml:2:19: prometheus.url"},
		{oneService, []string{"status", "--config", "/none.yaml"}, "/none.yaml: cannot be read"},
		{oneService, nil, "the console needs a terminal"},
		{oneService, []string{"drill"}, "rollcall drill --headless"},
		{oneService, []string{"drill", "--headless", "--speed", "0"}, "--speed 0 is out of range"},
		{oneService, []string{"drill", "--headless", "--config", "x"}, "writes its own configuration"},
	} {
		b := newBench(t, tc.cfg)
		code := b.run(tc.args...)
		got := b.err.String()
		if code != ExitUsage || !strings.Contains(got, tc.want) || strings.Count(got, "\n") != 1 || b.out.Len() > 0 {
			t.Errorf("%v: exit code %d, stderr %q, stdout %q; want %q", tc.args, code, got, b.out.String(), tc.want)
		}
	}
}

// rejected is the error of a source that works and was asked something wrong.
type rejected struct{ error }

func (rejected) Unreachable() bool { return false }

func TestAQueryThatTheSourceRefusesIsTheCallersMistake(t *testing.T) {
	for code, err := range map[int]error{
		ExitUsage:       fmt.Errorf("logs: %w", rejected{errors.New("parse error; check the query")}),
		ExitUnreachable: errors.New("connection refused"),
	} {
		b := newBench(t, oneService)
		b.session.OnLogs = func(context.Context, string, sources.LogQuery) (sources.LogList, error) {
			return sources.LogList{}, err
		}
		if got := b.run("logs", "{"); got != code || strings.Count(b.err.String(), "\n") != 1 {
			t.Errorf("%v: exit code %d, want %d; stderr %q", err, got, code, b.err.String())
		}
	}
}

func TestATerminalWithoutAScreenIsNotDrawnOn(t *testing.T) {
	for _, args := range [][]string{nil, {"drill"}} {
		b := newBench(t, oneService, "TERM", "dumb")
		b.InTTY, b.OutTTY = true, true
		if code := b.run(args...); code != ExitUsage || !strings.Contains(b.err.String(), "TERM=dumb") || b.console != nil {
			t.Errorf("%v: exit code %d, stderr %q", args, code, b.err.String())
		}
	}
}

func TestWithoutConfigurationItSaysWhatToDoNext(t *testing.T) {
	for _, args := range [][]string{nil, {"status"}} {
		b := newBench(t, "")
		if code := b.run(args...); code != ExitUsage {
			t.Errorf("exit code %d", code)
		}
		for _, want := range []string{"rollcall drill", "PROMETHEUS_URL", "LOKI_ADDR", "ROLLCALL_SCOPE", "rollcall.yaml"} {
			if !strings.Contains(b.err.String(), want) {
				t.Errorf("%v: the text lacks %q:\n%s", args, want, b.err.String())
			}
		}
	}
}

func TestTheConsoleOpensOnATerminal(t *testing.T) {
	b := newBench(t, twoServices, "NO_COLOR", "1", "LANG", "C")
	b.InTTY, b.OutTTY = true, true
	if code := b.run("--service", "support-assistant", "--range", "6h", "--slow-link"); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, b.err.String())
	}
	c := b.console
	if c == nil || c.Service != "support-assistant" || c.View.Range != 6*time.Hour || !c.Look.NoColor || !c.Look.ASCII || !c.Look.SlowLink {
		t.Errorf("the console was opened with %+v", c)
	}
	if b.mode != Receiving || !b.session.closed {
		t.Error("a console receives traces and closes what it opened")
	}
}

func TestTheConsoleOpensOnAPastMoment(t *testing.T) {
	b := newBench(t, oneService)
	b.InTTY, b.OutTTY = true, true
	at := b.session.Clock().Now().Add(-3 * time.Hour).UTC().Truncate(time.Second)
	if code := b.run("--at", at.Format(time.RFC3339), "--range", "6h"); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, b.err.String())
	}
	if v := b.console.View; !v.At.Equal(at) || v.Range != 6*time.Hour {
		t.Errorf("the console was opened on %+v, want %s", v, at)
	}
	b.console = nil
	if code := b.run("--at", "2100-01-01"); code != ExitUsage || b.console != nil {
		t.Errorf("exit code %d, console %v; want a usage error for a time to come", code, b.console)
	}
}

func TestTheLocaleDecidesAboutASCII(t *testing.T) {
	for _, tc := range []struct {
		env  []string
		want bool
	}{
		{[]string{"LANG", "de_DE.UTF-8"}, false},
		{[]string{"LANG", "en_US.utf8"}, false},
		{[]string{"LANG", "C"}, true},
		{[]string{"LANG", ""}, true},
		{[]string{"LANG", "de_DE.UTF-8", "LC_ALL", "C"}, true},
		{[]string{"LANG", "C", "LC_CTYPE", "C.UTF-8"}, false},
	} {
		b := newBench(t, oneService, tc.env...)
		if got := b.look(&options{}, config.UI{ASCII: "auto"}).ASCII; got != tc.want {
			t.Errorf("%v: ASCII is %v", tc.env, got)
		}
	}
}

func TestASCIITextHoldsOnlyASCII(t *testing.T) {
	b := newBench(t, oneService)
	b.run("status", "--ascii")
	for _, r := range b.out.String() {
		if r > 126 {
			t.Fatalf("%q is not ASCII in:\n%s", r, b.out.String())
		}
	}
}

func TestTimesAreRead(t *testing.T) {
	now := time.Date(2026, 3, 10, 2, 47, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"02:31": "2026-03-10T02:31:00Z", "23:10": "2026-03-09T23:10:00Z", "02:31:07Z": "2026-03-10T02:31:07Z",
		"15m": "2026-03-10T02:32:00Z", "-15m": "2026-03-10T02:32:00Z", "2h ago": "2026-03-10T00:47:00Z", "now": "2026-03-10T02:47:00Z",
		"2026-03-09": "2026-03-09T00:00:00Z", "2026-03-10T03:31+02:00": "2026-03-10T01:31:00Z", "2026-03-10 02:31": "2026-03-10T02:31:00Z",
	} {
		got, err := parseTime(in, now)
		if err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s is %v, %v; want %s", in, got, err, want)
		}
	}
}

func TestHostileTextReachesNoTerminal(t *testing.T) {
	b := newBench(t, oneService)
	b.OutTTY, b.Width = true, 100
	evil := "a\x1b[2Jb\u202ec\r\nd\u009b31m"
	b.session.OnLogs = func(context.Context, string, sources.LogQuery) (sources.LogList, error) {
		return sources.LogList{Lines: []sources.LogLine{{Line: evil, Level: evil}}}, nil
	}
	b.session.OnRequests = func(context.Context, sources.RequestFilter) (sources.RequestList, error) {
		return sources.RequestList{Rows: []sources.Request{{ID: evil, Route: evil, Tenant: evil, Outcome: "error", ErrorType: evil}}}, nil
	}
	b.session.OnChanges = func(context.Context, string, sources.View) ([]sources.Change, sources.Facts, error) {
		return []sources.Change{{From: evil, To: evil, Stage: evil}}, sources.Facts{Partial: evil}, nil
	}
	b.session.OnRequest = func(context.Context, string, string) (*sources.RequestView, error) {
		return &sources.RequestView{
			Request: sources.Request{ID: evil, Route: evil}, Spans: []sources.Span{{Name: evil, Message: evil, Error: true}},
			Content: []sources.Content{{Kind: "prompt", Text: evil}}, Answers: []sources.Answer{{Source: evil, Note: evil}},
		}, errors.Join()
	}
	for _, args := range [][]string{{"logs"}, {"requests"}, {"changes"}, {"request", "x"}} {
		b.out.Reset()
		b.err.Reset()
		b.run(args...)
		for _, bad := range []string{"\x1b[2J", "\u202e", "\r", "\u009b"} {
			if strings.Contains(b.out.String()+b.err.String(), bad) {
				t.Errorf("%v let %q through:\n%q", args, bad, b.out.String())
			}
		}
	}
}

func TestSpansWithoutAParentOrInACircleAreAllShown(t *testing.T) {
	id := func(n byte) sources.SpanID { return sources.SpanID{n} }
	spans := []sources.Span{
		{SpanID: id(2), Parent: id(1), Start: 5},
		{SpanID: id(1), Start: 1},
		{SpanID: id(3), Parent: id(9), Start: 2},
		{SpanID: id(4), Parent: id(5)},
		{SpanID: id(5), Parent: id(4)},
		{SpanID: id(6), Parent: id(6)},
		{},
	}
	nodes := tree(spans)
	if len(nodes) != len(spans) {
		t.Fatalf("%d of %d spans", len(nodes), len(spans))
	}
	for _, n := range nodes {
		if n.span.SpanID == id(2) && n.depth != 1 {
			t.Errorf("the child has depth %d", n.depth)
		}
	}
}

func TestAWrongClockDoesNotSqueezeTheSpansThatArePrinted(t *testing.T) {
	b := newBench(t, oneService)
	b.session.OnRequest = func(context.Context, string, string) (*sources.RequestView, error) {
		at := tuitest.Start.UnixNano()
		ms := int64(time.Millisecond)
		return &sources.RequestView{Request: sources.Request{ID: "r1"}, Spans: []sources.Span{
			{SpanID: sources.SpanID{1}, Name: "root", Start: at, End: at + 100*ms},
			{SpanID: sources.SpanID{2}, Parent: sources.SpanID{1}, Name: "second half", Start: at + 50*ms, End: at + 100*ms},
			{SpanID: sources.SpanID{3}, Parent: sources.SpanID{1}, Name: "skewed", Start: at - 600_000*ms, End: at - 599_990*ms},
			{SpanID: sources.SpanID{4}, Parent: sources.SpanID{1}, Name: "absurd", Start: math.MinInt64, End: math.MaxInt64},
		}}, nil
	}
	if code := b.run("request", "r1"); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, b.err.String())
	}
	out := b.out.String()
	for _, want := range []string{"████████████████████████", "············████████████", "skewed       ························", "2 off this axis (a clock is wrong)"} {
		if !strings.Contains(out, want) {
			t.Errorf("the spans lack %q:\n%s", want, out)
		}
	}
}

func TestFollowingPrintsLinesAndSaysWhatWasLost(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		b := newBench(t, oneService)
		b.session.OnTail = func(_ context.Context, _ string, q sources.LogQuery) (<-chan sources.LogBatch, error) {
			ch := make(chan sources.LogBatch, 3)
			ch <- sources.LogBatch{State: "live", Lines: []sources.LogLine{{Line: "one " + q.Contains}}}
			ch <- sources.LogBatch{State: "reconnecting: connection reset", Dropped: 7}
			ch <- sources.LogBatch{State: "live", Lines: []sources.LogLine{{Line: "two"}}}
			close(ch)
			return ch, nil
		}
		if code := b.run("logs", "-f", "--contains", "x", "-o", format); code != ExitOK {
			t.Errorf("exit code %d", code)
		}
		if out := b.out.String(); !strings.Contains(out, "one x") || !strings.Contains(out, "two") || strings.Count(out, "\n") != 2 {
			t.Errorf("stdout is %q", out)
		}
		if !strings.Contains(b.err.String(), "connection reset") || !strings.Contains(b.err.String(), "7 lines were dropped") {
			t.Errorf("stderr is %q", b.err.String())
		}
	}
}

func TestTheDoctorsVerdictIsTheExitCode(t *testing.T) {
	for _, tc := range []struct {
		verdicts []string
		want     int
	}{
		{[]string{"ok", "not exposed", "watch"}, ExitOK},
		{[]string{"ok", "unreachable"}, ExitUnreachable},
		{[]string{"unreachable", "bad"}, ExitBad},
	} {
		b := newBench(t, oneService)
		for _, v := range tc.verdicts {
			b.session.findings = append(b.session.findings, Finding{Area: "prometheus", Check: "reach", Verdict: v, Detail: "d", Remedy: "do this"})
		}
		if code := b.run("doctor"); code != tc.want {
			t.Errorf("%v: exit code %d, want %d", tc.verdicts, code, tc.want)
		}
		if !strings.Contains(b.out.String(), "do this") {
			t.Error("the remedy is not shown")
		}
	}
	b := newBench(t, "promethus: 1\n")
	if code := b.run("doctor", "-o", "json"); code != ExitUsage || !strings.Contains(b.out.String(), `did you mean \"prometheus\"`) {
		t.Errorf("a wrong configuration: exit code %d, %s", code, b.out.String())
	}
}

func TestCollectPrintsItsAddressesAndEndsCleanly(t *testing.T) {
	b := newBench(t, "")
	b.Collect = func(ctx context.Context, _ *config.File, up func(Endpoints)) error {
		up(Endpoints{GRPC: "127.0.0.1:4317", HTTP: "127.0.0.1:4318", State: "/s"})
		<-ctx.Done()
		return ctx.Err()
	}
	if code := b.run("collect", "--for", "10ms", "-o", "json"); code != ExitOK {
		t.Errorf("exit code %d: %s", code, b.err.String())
	}
	if obj := firstObject(t, b.out.Bytes()); obj["otlp_grpc"] != "127.0.0.1:4317" || obj["otlp_http"] != "127.0.0.1:4318" {
		t.Errorf("stdout is %s", b.out.String())
	}
	b.Collect = func(context.Context, *config.File, func(Endpoints)) error {
		return errors.New("port 4317 is taken; set otlp.grpc")
	}
	if code := b.run("collect"); code != ExitBad || !strings.Contains(b.err.String(), "port 4317 is taken") {
		t.Errorf("exit code %d: %s", code, b.err.String())
	}
}

type upper struct{ failures []string }

func (upper) Stream(out io.Writer, in io.Reader) error {
	b, err := io.ReadAll(in)
	_, _ = out.Write(bytes.ToUpper(b))
	return err
}
func (u upper) SelfTest() (int, []string) { return 3, u.failures }

func TestRedactFiltersStandardInput(t *testing.T) {
	b := newBench(t, "")
	b.In = strings.NewReader("secret")
	b.Redactor = func(*config.File) (Redactor, error) { return upper{}, nil }
	if code := b.run("redact"); code != ExitOK || b.out.String() != "SECRET" {
		t.Errorf("exit code %d, %q", code, b.out.String())
	}
	b.out.Reset()
	if code := b.run("redact", "--selftest"); code != ExitOK || b.out.String() != "3 checks, all fine\n" {
		t.Errorf("exit code %d, %q", code, b.out.String())
	}
	b.Redactor = func(*config.File) (Redactor, error) { return upper{[]string{"email: kept"}}, nil }
	if code := b.run("redact", "--selftest"); code != ExitBad {
		t.Errorf("a failing self test: exit code %d", code)
	}
}

func TestCompletionIsWritten(t *testing.T) {
	b := newBench(t, "")
	if code := b.run("completion", "bash"); code != ExitOK || !strings.Contains(b.out.String(), "rollcall") {
		t.Errorf("exit code %d", code)
	}
}
