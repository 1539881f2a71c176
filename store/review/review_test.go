package review

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

var update = flag.Bool("update", os.Getenv("UPDATE_GOLDEN") != "", "write the golden files anew")

// book is a journal in memory.
type book struct {
	inc     journal.Incident
	entries []journal.Entry
}

func (b *book) Incident(_ context.Context, id string) (journal.Incident, error) {
	if id != b.inc.ID {
		return journal.Incident{}, fmt.Errorf("no incident %s; rollcall incident list shows them", id)
	}
	return b.inc, nil
}

func (b *book) Head(context.Context) (journal.Head, error) {
	return journal.Head{Seq: int64(len(b.entries)), Hash: "ab12"}, nil
}

func (b *book) Entries(_ context.Context, f journal.Filter) ([]journal.Entry, error) {
	var out []journal.Entry
	for _, e := range b.entries {
		switch {
		case e.Seq <= f.After, f.Before > 0 && e.Seq >= f.Before,
			f.Incident != "" && e.Incident != f.Incident, f.Service != "" && e.Service != f.Service,
			!f.Since.IsZero() && e.At.Before(f.Since), !f.Until.IsZero() && e.At.After(f.Until):
			continue
		}
		if out = append(out, e); len(out) == f.Limit {
			break
		}
	}
	return out, nil
}

func (b *book) Artifact(_ context.Context, id int64) (journal.Artifact, error) {
	if id != 9 {
		return journal.Artifact{}, errors.New("no such artifact")
	}
	return journal.Artifact{Name: journal.Evidence, Type: "text/plain", Body: []byte("Schema failures 9.1% since 02:31 (usual 1.2%).")}, nil
}

// add appends an entry made by ana in the console.
func (b *book) add(at time.Time, kind journal.Kind, incident string, data any, text string) *journal.Entry {
	raw, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	if data == nil {
		raw = nil
	}
	b.entries = append(b.entries, journal.Entry{
		Seq: int64(len(b.entries) + 1), Kind: kind, At: at, Wall: at, Actor: "ana", Origin: "console",
		Service: "assistant", Environment: "prod", Incident: incident, Data: raw, Text: text,
	})
	return &b.entries[len(b.entries)-1]
}

func at(clock string) time.Time {
	t, err := time.Parse(time.DateTime, "2026-03-10 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

type m map[string]any

func snap(when, clock string, fail, score float64) Snap {
	return SnapOf(when, at(clock), []sources.Reading{
		{Signal: "eval_score", Label: "eval score", Unit: sources.Score, Direction: sources.LowerWorse, Known: true, Value: score, Verdict: sources.OK, Usual: &sources.Usual{Value: .88, Days: 14}},
		{Signal: "schema_fail", Label: "schema fail", Unit: sources.Ratio, Direction: sources.HigherWorse, Known: true, Value: fail, N: 2000, Verdict: sources.Bad, Usual: &sources.Usual{Value: .012, Days: 14}},
		{Signal: "queue_drops", Verdict: sources.NotExposed},
	})
}

// night is an incident from first alert to close.
func night() (*book, Deps) {
	b := &book{inc: journal.Incident{
		ID: "INC-7", Service: "assistant", Environment: "prod", Title: "Schema failures after prompt v14", Category: journal.Correctness,
		Severity: journal.SEV2, Lead: "ana", Signals: []string{"schema_fail"}, Began: at("02:31:00"), Opened: at("02:36:10"),
		Mitigated: at("02:52:00"), Resolved: at("03:10:00"), Closed: at("03:30:00"), CloseReason: "covered by an older case",
		Requests: []string{"req-1"}, Runs: []string{"RUN-3"}, OpenedBy: "ana", FirstSeq: 3, LastSeq: 16,
	}}
	change := m{"at": at("02:28:00"), "component": "prompt", "from": "v13", "to": "v14", "source": "prometheus"}
	b.add(at("02:33:10"), journal.AlertFiring, "", m{"signal": "schema_fail", "label": "schema fail", "unit": "ratio", "value": .091, "usual": .012}, "").Origin = "collect"
	b.add(at("02:33:10"), journal.ChangeSeen, "", change, "").Origin = "collect"
	b.add(at("02:36:10"), journal.IncidentOpened, "INC-7", m{"severity": "SEV3", "category": "correctness", "change": change}, "Schema failures after prompt v14").Artifacts = []journal.ArtifactRef{{ID: 9, Name: journal.Evidence, Type: "text/plain", Bytes: 46}}
	b.add(at("02:36:12"), journal.SignalsSnapped, "INC-7", snap(SnapBefore, "02:26:00", .011, .88), "")
	b.add(at("02:36:12"), journal.SignalsSnapped, "INC-7", snap(SnapOpened, "02:36:12", .091, .70), "")
	b.add(at("02:38:00"), journal.IncidentUpdated, "INC-7", m{"severity": "SEV2"}, "")
	b.add(at("02:39:00"), journal.Noted, "INC-7", nil, "customers see raw JSON\nsupport was told")
	e := b.add(at("02:40:00"), journal.Captured, "INC-7", m{"request": "req-1"}, "")
	e.Artifacts = []journal.ArtifactRef{{ID: 1, Name: "request.json", Type: "application/json", Bytes: 512}}
	b.add(at("02:41:00"), journal.RunStarted, "INC-7", m{"runbook": "rollback-prompt", "steps": []m{{"name": "quality", "check": m{"signal": "schema_fail"}}}}, "v13 is the version before").Run = "RUN-3"
	b.add(at("02:42:00"), journal.RunOutcome, "INC-7", m{"step": "apply", "status": "passed"}, "prompt v14 → v13").Run = "RUN-3"
	for i, v := range []float64{.013, .012, .011} {
		b.add(at("02:49:00").Add(time.Duration(i)*time.Minute), journal.RunSample, "INC-7", m{"step": "quality", "sample": m{"value": v, "verdict": "passed"}}, "").Run = "RUN-3"
	}
	b.add(at("02:52:00"), journal.IncidentUpdated, "INC-7", m{"mitigated": at("02:52:00")}, "")
	b.add(at("02:52:05"), journal.SignalsSnapped, "INC-7", snap(SnapMitigated, "02:52:05", .012, .87), "")
	b.add(at("03:30:00"), journal.IncidentClosed, "INC-7", nil, "covered by an older case")
	exit := 0
	return b, Deps{
		Journal: b, Now: at("09:00:00"),
		Severities: map[journal.Severity]string{journal.SEV2: "High"},
		Categories: map[journal.Category]string{journal.Correctness: "Consistently wrong answers for a category of queries"},
		Runs: func(context.Context, string) (Run, error) {
			return Run{
				ID: "RUN-3", Runbook: "rollback-prompt", Title: "Roll back the prompt", Component: "prompt", Actor: "ana",
				Began: at("02:41:00"), Ended: at("02:52:00"), Outcome: "succeeded", Vars: []Var{{"BAD", "v14", "suspect prompt"}},
				Steps: []Step{
					{Name: "apply", Phase: "steps", Sentence: "Move the pin", Status: "passed", Exit: &exit, TookS: .4, By: "ana", Output: []string{"prompt v14 → v13"}},
					{Name: "quality", Phase: "verify", Sentence: "Schema failures are back to usual", Status: "passed", Unit: sources.Ratio, Samples: []Sample{
						{Value: sources.N(.013), Usual: sources.N(.012), Verdict: "passed"},
						{Value: sources.N(.012), Usual: sources.N(.012), Verdict: "passed"},
						{Value: sources.N(.011), Usual: sources.N(.012), Verdict: "passed"},
					}},
					{Name: "evals", Phase: "verify", Sentence: "The eval suite passes", Status: "skipped", Why: "no suite is configured"},
					{Name: "undo", Phase: "abort", Sentence: "Put the old version back", Status: "pending"},
				},
			}, nil
		},
		Affected: func(_ context.Context, _ string, since, until time.Time) (Affected, error) {
			return Affected{
				Known: true, Since: since.Add(time.Minute), Until: until, Requests: 9000, Bad: sources.N(780),
				Reasons: []Reason{{"schema", 700}, {"error", 90}}, Users: sources.N(310), Tenants: sources.N(4),
				ByTenant: []Reason{{"acme", 500}}, CostUSD: sources.N(31.5), UsualUSD: sources.N(20.25), UsualHow: "the hour before, scaled",
				Notes: []string{"1 request in 10 was sampled"},
			}, nil
		},
		Changes: func(context.Context, string, time.Time, time.Time) ([]sources.Change, error) {
			return []sources.Change{
				{At: at("02:28:15"), Component: "prompt", From: "v13", To: "v14", Source: "prometheus"},
				{At: at("02:42:00"), Component: "prompt", From: "v14", To: "v13", Source: "prometheus"},
			}, nil
		},
	}
}

func build(t *testing.T, d Deps) *Review {
	t.Helper()
	r, err := Build(t.Context(), "INC-7", d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func markdownOf(t *testing.T, r *Review) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheReviewOfANightIsTheSameEveryTime(t *testing.T) {
	_, d := night()
	for name, r := range map[string]*Review{"internal": build(t, d), "public": build(t, d).MakePublic()} {
		var js, html bytes.Buffer
		if err := errors.Join(r.JSON(&js), r.HTML(&html)); err != nil {
			t.Fatal(err)
		}
		for ext, got := range map[string]string{".md": markdownOf(t, r), ".json": js.String(), ".html": html.String()} {
			path := filepath.Join("testdata", name+ext)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(want) != got {
				t.Errorf("%s differs; look at it and run UPDATE_GOLDEN=1 go test ./store/review\n%s", path, got)
			}
		}
	}
}

func TestEveryFigureSaysHowItWasComputed(t *testing.T) {
	_, d := night()
	r := build(t, d)
	want := map[string]string{
		"time to detect":      "detected 02:33:10 − began 02:31:00 = 2m10s",
		"time to acknowledge": "acknowledged 02:36:10 − detected 02:33:10 = 3m00s",
		"time to mitigate":    "mitigated 02:52:00 − began 02:31:00 = 21m00s",
		"time to resolve":     "resolved 03:10:00 − began 02:31:00 = 39m00s",
	}
	for _, x := range r.Durations {
		if w := want[x.Name]; w != "" && x.Formula != w {
			t.Errorf("%s: %q, want %q", x.Name, x.Formula, w)
		}
	}
	if len(r.Severities) != 2 || r.Severities[0].Severity != "SEV3" || r.Severities[0].Seconds != 110 ||
		r.Severities[1].Severity != "SEV2" || r.Severities[1].Seconds != 1920 {
		t.Errorf("severities are %+v", r.Severities)
	}
	if len(r.Changes) != 2 || r.Changes[0].Seq != 2 || r.Changes[0].BeforeS != sources.N(180) {
		t.Errorf("one change seen twice is one change, citing the journal: %+v", r.Changes)
	}
	s := r.Signals[0]
	if s.Signal != "schema_fail" || s.Before != sources.N(.011) || s.During != sources.N(.091) || s.After != sources.N(.012) || s.Usual != sources.N(.012) {
		t.Errorf("the signal that opened it comes first, with before, worst and after: %+v", s)
	}
	if e := r.Signals[1]; e.During != sources.N(.70) {
		t.Errorf("the worst of a score is its lowest: %+v", e)
	}
	for _, row := range r.Timeline {
		if row.Kind == journal.RunSample && (row.Seq != 11 || row.SeqLast != 13 || row.What != "RUN-3 measured quality: 1.3% passed, 1.2% passed, 1.1% passed") {
			t.Errorf("samples in a row are one line: %+v", row)
		}
	}
}

func TestWhatIsNotKnownSaysWhy(t *testing.T) {
	b, d := night()
	b.inc.Began, b.inc.Mitigated, b.inc.Resolved, b.inc.Closed = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	b.entries = b.entries[2:4]
	b.entries[1].Kind = journal.Noted
	d.Runs = func(context.Context, string) (Run, error) { return Run{}, errors.New("its file is gone") }
	d.Affected = func(context.Context, string, time.Time, time.Time) (Affected, error) {
		return Affected{}, errors.New("traces are locked")
	}
	d.Changes = nil
	text := markdownOf(t, build(t, d))
	for _, want := range []string{
		"not known: mitigated is not known (not marked; set it with rollcall incident set INC-7 mitigated)",
		"nobody said when the trouble began", "no signal was seen turning bad", "traces are locked", "its file is gone", "no signals were recorded",
		"None were recorded.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the review lacks %q:\n%s", want, text)
		}
	}
	if _, err := Build(t.Context(), "INC-8", d); err == nil || !strings.Contains(err.Error(), "no incident INC-8") {
		t.Errorf("an unknown incident: %v", err)
	}
}

func TestEntriesOfOtherIncidentsStayOut(t *testing.T) {
	b, d := night()
	b.add(at("02:45:00"), journal.Noted, "INC-8", nil, "another matter")
	b.add(at("02:46:00"), journal.Noted, "", nil, "a note without an incident").Environment = "staging"
	if text := markdownOf(t, build(t, d)); strings.Contains(text, "another matter") || strings.Contains(text, "without an incident") {
		t.Error("the timeline holds what belongs elsewhere")
	}
}

func TestALongIncidentIsReadWhole(t *testing.T) {
	b, d := night()
	for i := range 2500 {
		b.add(at("02:50:00").Add(time.Duration(i)*time.Second), journal.Noted, "INC-7", nil, fmt.Sprintf("note %d", i))
	}
	r := build(t, d)
	if n := len(r.Timeline); r.Timeline[n-1].Text != "note 2499" {
		t.Errorf("%d rows, the last is %+v", n, r.Timeline[n-1])
	}
}

func TestThePublicVersionNamesNobody(t *testing.T) {
	b, d := night()
	b.inc.Title = "ana saw db-1.prod.internal and https://wiki.example.org/x fail for acme; analysis follows"
	b.add(at("02:45:00"), journal.QueryTyped, "INC-7", nil, "user=bob")
	p := build(t, d).MakePublic()
	var js, html bytes.Buffer
	if err := errors.Join(p.JSON(&js), p.HTML(&html)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"md": markdownOf(t, p), "json": js.String(), "html": html.String()} {
		for _, secret := range []string{"ana ", `"ana"`, "acme", "example.org", "prod.internal", "req-1", "bob", "raw JSON", "support was told", "v14 → v13"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %q", name, secret)
			}
		}
		if !strings.Contains(text, "responder 1") || !strings.Contains(text, "analysis follows") {
			t.Errorf("%s lacks roles, or cuts words:\n%s", name, text)
		}
	}
}
