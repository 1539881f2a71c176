package scorecard_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/store/journal"
	"rollcall/store/scorecard"
)

var began = time.Date(2026, 3, 4, 2, 1, 30, 0, time.UTC)

func after(d time.Duration) time.Time { return began.Add(d) }

func outcome() scorecard.Outcome {
	return scorecard.Outcome{
		Scenario: "index-drift", Seed: 7, Start: began.Add(-90 * time.Second), Until: after(30 * time.Minute),
		Cause: "Index kb-43 finds less.", Cure: "Put index kb-42 back.", Categories: []string{"correctness", "quality"},
		Began: began, Mitigated: after(9 * time.Minute),
		Actions: []scorecard.Action{
			{At: after(6 * time.Minute), What: "feature rerank", From: "on", To: "off", Judgement: "wrong"},
			{At: after(9 * time.Minute), What: "index", From: "kb-43", To: "kb-42", Judgement: "right"},
		},
		Before: scorecard.Toll{Seconds: 600, Requests: 10000, Bad: 500, Users: 300, USD: 60},
		During: scorecard.Toll{Seconds: 540, Requests: 9000, Bad: 2700, Users: 640, USD: 57.5},
	}
}

// entry is one line of the drill's journal.
func entry(seq int64, at time.Duration, actor string, kind journal.Kind, data string) journal.Entry {
	return journal.Entry{
		Seq: seq, Kind: kind, At: after(at), Actor: actor, Incident: "INC-1", Run: "RUN-1", Data: json.RawMessage(data),
	}
}

func handled() []journal.Entry {
	return []journal.Entry{
		entry(1, -time.Minute, "ana", journal.RequestViewed, `{}`),
		entry(2, 2*time.Minute, "ana", journal.RequestViewed, `{}`),
		entry(3, 3*time.Minute, "rollcall", journal.AlertFiring, `{"signal":"retrieval_hit","label":"retrieval hit"}`),
		entry(4, 4*time.Minute, "ana", journal.RequestViewed, `{}`),
		entry(5, 5*time.Minute, "ana", journal.IncidentOpened, `{"category":"correctness","severity":"SEV2"}`),
		entry(6, 8*time.Minute, "ana", journal.RunStarted, `{"runbook":"rollback-index","target":{"service":"a"}}`),
		entry(7, 14*time.Minute, "ana", journal.RunSample, `{"step":"hits","sample":{"verdict":"passed"}}`),
		entry(8, 15*time.Minute, "ana", journal.RunEnded, `{"outcome":"succeeded"}`),
	}
}

func incident(opened time.Duration, category journal.Category) []journal.Incident {
	return []journal.Incident{{ID: "INC-1", Severity: journal.SEV2, Category: category, Opened: after(opened), FirstSeq: 5}}
}

func TestTheCardSaysWhenWhatHappened(t *testing.T) {
	c := scorecard.Make(outcome(), handled(), incident(5*time.Minute, journal.Correctness))
	for _, x := range []struct {
		what string
		is   scorecard.Moment
		want time.Duration
		seq  int64
	}{
		{"shown", c.Shown, 3 * time.Minute, 3},
		{"noticed: a look at a request counts once something was shown to be bad", c.Noticed, 4 * time.Minute, 4},
		{"declared", c.Declared, 5 * time.Minute, 5},
		{"mitigated", c.Mitigated, 9 * time.Minute, 0},
		{"verified", c.Verified, 15 * time.Minute, 8},
	} {
		if !x.is.At.Equal(after(x.want)) || x.is.Seconds.V != x.want.Seconds() || x.is.Seq != x.seq {
			t.Errorf("%s: %+v, want after %s by #%d", x.what, x.is, x.want, x.seq)
		}
	}
	if !c.Category.Right || len(c.Wrong) != 1 || c.Wrong[0].What != "feature rerank" {
		t.Errorf("category %+v, wrong actions %+v", c.Category, c.Wrong)
	}
	if c.Users != 640 || c.Bad != 2700 || c.UsualBad != 450 || c.CostUSD != 57.5 || c.UsualUSD.V != 54 {
		t.Errorf("%d users, %d bad (usually %d), $%g (usually %v)", c.Users, c.Bad, c.UsualBad, c.CostUSD, c.UsualUSD)
	}
	var text strings.Builder
	if err := c.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Scorecard of index-drift, seed 7", "Index kb-43 finds less.", "Right: Put index kb-42 back.",
		"noticed             after 4m00s     ana looked at a request", "declared            after 5m00s     INC-1, SEV2, correctness",
		"mitigated           after 9m00s     index kb-43 → kb-42", "recovery verified   after 15m00s    RUN-1 ended well",
		"wrong actions       1               feature rerank on → off", "users affected      640", "cost meanwhile      $57.50          usually $54.00",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, text.String())
		}
	}
}

func TestNothingIsCreditedThatDidNotHappen(t *testing.T) {
	t.Run("nobody did anything", func(t *testing.T) {
		o := outcome()
		o.Mitigated, o.Actions = time.Time{}, nil
		c := scorecard.Make(o, nil, nil)
		for what, m := range map[string]scorecard.Moment{
			"shown": c.Shown, "noticed": c.Noticed, "declared": c.Declared, "mitigated": c.Mitigated, "verified": c.Verified,
		} {
			if m.Happened() || m.Seconds.OK || m.How == "" {
				t.Errorf("%s: %+v", what, m)
			}
		}
	})
	t.Run("somebody watched, and nothing was called bad", func(t *testing.T) {
		c := scorecard.Make(outcome(), []journal.Entry{entry(1, time.Minute, "rollcall", journal.ChangeSeen, `{}`)}, nil)
		if c.Shown.Happened() || !strings.Contains(c.Shown.How, "nothing was called bad") {
			t.Errorf("shown: %+v", c.Shown)
		}
	})
	t.Run("it ended by itself", func(t *testing.T) {
		o := outcome()
		o.Mitigated, o.Ended = time.Time{}, after(20*time.Minute)
		if c := scorecard.Make(o, nil, nil); c.Mitigated.Happened() || !c.EndedItself || !strings.Contains(c.Mitigated.How, "by itself") {
			t.Errorf("mitigated: %+v", c.Mitigated)
		}
	})
	t.Run("the incident is of another kind, and was opened too early to count", func(t *testing.T) {
		if c := scorecard.Make(outcome(), nil, incident(5*time.Minute, journal.Cost)); c.Category.Right || c.Category.Want != "correctness or quality" {
			t.Errorf("category: %+v", c.Category)
		}
		if c := scorecard.Make(outcome(), nil, incident(-time.Second, journal.Quality)); c.Declared.Happened() {
			t.Errorf("declared: %+v", c.Declared)
		}
	})
	for name, e := range map[string]journal.Entry{
		"evals before the mitigation verify nothing":  entry(9, 8*time.Minute, "ana", journal.EvalsRun, `{"pass":true}`),
		"evals that fail verify nothing":              entry(9, 12*time.Minute, "ana", journal.EvalsRun, `{"pass":false}`),
		"evals of a rehearsal verify nothing":         entry(9, 12*time.Minute, "ana", journal.EvalsRun, `{"pass":true,"rehearsal":true}`),
		"a run without a passing check verifies none": entry(9, 12*time.Minute, "ana", journal.RunEnded, `{"outcome":"succeeded"}`),
		"an incident taken back is not mitigated":     entry(9, 12*time.Minute, "ana", journal.IncidentUpdated, `{"mitigated":"0001-01-01T00:00:00Z"}`),
		"data that is not understood is passed over":  entry(9, 12*time.Minute, "ana", journal.RunEnded, `[1]`),
	} {
		t.Run(name, func(t *testing.T) {
			if c := scorecard.Make(outcome(), []journal.Entry{e}, nil); c.Verified.Happened() {
				t.Errorf("verified: %+v", c.Verified)
			}
		})
	}
	t.Run("marked while something is bad", func(t *testing.T) {
		entries := append(handled()[:5], entry(9, 12*time.Minute, "ana", journal.IncidentUpdated, `{"mitigated":"2026-03-04T02:13:30Z"}`))
		inc := incident(5*time.Minute, journal.Quality)
		inc[0].Mitigated = after(12 * time.Minute)
		if c := scorecard.Make(outcome(), entries, inc); c.Verified.Happened() || !strings.Contains(c.Verified.How, "still bad") {
			t.Errorf("verified: %+v", c.Verified)
		}
	})
	t.Run("a change by hand counts as noticing", func(t *testing.T) {
		if c := scorecard.Make(outcome(), nil, nil); !c.Noticed.At.Equal(after(6*time.Minute)) || c.Noticed.Seq != 0 {
			t.Errorf("noticed: %+v", c.Noticed)
		}
	})
}

func TestInQuietTheRightThingIsToDoNothing(t *testing.T) {
	o := scorecard.Outcome{Scenario: "quiet", Before: scorecard.Toll{Seconds: 600, Requests: 100}}
	var text strings.Builder
	c := scorecard.Make(o, nil, nil)
	if err := c.Text(&text); err != nil || !strings.Contains(text.String(), "Nothing was wrong") || !strings.Contains(text.String(), "wrong actions       none") {
		t.Errorf("%v\n%s", err, text.String())
	}
	o.Actions = []scorecard.Action{{At: began, What: "prompt", From: "v13", To: "v12", Judgement: "wrong"}}
	c = scorecard.Make(o, nil, incident(0, journal.Quality))
	text.Reset()
	if err := c.Text(&text); err != nil || !strings.Contains(text.String(), "INC-1 was opened, and nothing was wrong") || !strings.Contains(text.String(), "prompt v13 → v12") {
		t.Errorf("%v\n%s", err, text.String())
	}
}

func TestTheAccountOfADrillIsReadOrSaysWhyNot(t *testing.T) {
	dir := t.TempDir()
	if _, err := scorecard.ReadOutcome(dir); err == nil || !strings.Contains(err.Error(), "no folder of a drill") {
		t.Errorf("a folder without one: %v", err)
	}
	for what, body := range map[string]string{"half a file": `{"scenario": "qu`, "something else": `[]`, "too much": strings.Repeat(" ", 5<<20) + "{}"} {
		if err := os.WriteFile(filepath.Join(dir, scorecard.OutcomeFile), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := scorecard.ReadOutcome(dir); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "run the drill again") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, scorecard.OutcomeFile), []byte(`{"scenario":"quiet\u001b[2J","seed":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := scorecard.ReadOutcome(dir)
	if err != nil || o.Seed != 3 {
		t.Fatalf("%+v, %v", o, err)
	}
	var text strings.Builder
	c := scorecard.Make(o, nil, nil)
	if err := c.Text(&text); err != nil || strings.Contains(text.String(), "\x1b") {
		t.Errorf("control bytes of the file reach the terminal: %q", text.String())
	}
}
