package signal

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/manifest"
)

// tablesFake holds rows of which the new prompt fails often.
type tablesFake struct {
	asked []sources.TableQuery
	fail  error
	at    time.Time     // when it began
	moved time.Time     // when the prompt changed; zero for then
	pace  time.Duration // of requests; zero for a second
	odd   string        // tenant that fails instead of the prompt
}

func (f *tablesFake) Table(_ context.Context, q sources.TableQuery) (*sources.RequestTable, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	if slices.Contains(q.Text, "request_id") { // for the report on spending
		return &sources.RequestTable{Start: q.Since, Every: 1}, nil
	}
	f.asked = append(f.asked, q)
	t := &sources.RequestTable{
		Start: q.Since, Every: 1,
		Text: []sources.TextColumn{
			{Name: "prompt", Values: []string{"", "v13", "v14"}}, {Name: "tenant", Values: []string{"", "acme", "hooli"}}, {Name: "schema", Values: []string{"", "pass", "fail"}},
		},
	}
	i := 0
	for at := q.Since; at.Before(q.Until); at = at.Add(cmp.Or(f.pace, time.Second)) {
		i++
		prompt, tenant, schema := uint32(1), uint32(1+i%5/4), uint32(1)
		moved := f.moved
		if moved.IsZero() {
			moved = f.at
		}
		if !at.Before(moved) {
			prompt = 2
		}
		bad := i%100 == 0
		switch {
		case f.odd != "":
			bad = bad || tenant == 2 && !at.Before(f.at) && i%2 == 0
		case prompt == 2:
			bad = bad || i%11 == 0
		}
		if bad {
			schema = 2
		}
		t.Time = append(t.Time, at.Sub(q.Since))
		for k, code := range []uint32{prompt, tenant, schema} {
			t.Text[k].Codes = append(t.Text[k].Codes, code)
		}
		t.N++
	}
	t.Facts = sources.Facts{Source: "requests", At: q.Until, Shown: t.N, Total: t.N}
	return t, nil
}

func went(at time.Time) changesFake {
	return changesFake{timeline: manifest.Timeline{Changes: []sources.Change{{At: at, Component: sources.Prompt, From: "v13", To: "v14"}}}}
}

func TestTheVerdictLineSaysWhatTheBadRequestsHaveInCommon(t *testing.T) {
	began := minutes(-12)
	p := validation(step(began.Add(time.Minute), 0.012, 0.2))
	rows := &tablesFake{at: began}
	s := snapshot(t, evaluator(t, Deps{Prom: p, Tables: rows, Changes: went(began)}, Service{}))
	line := s.Line.Text(400)
	if !strings.Contains(line, "Suspect: prompt v13→v14 at 14:18 (") || !strings.Contains(line, "% vs ") || s.Line.Runbook != "rollback-prompt" || s.Line.Suspect == nil {
		t.Errorf("the line is %q, runbook %q, suspect %+v", line, s.Line.Runbook, s.Line.Suspect)
	}
	if len(rows.asked) != 1 || !rows.asked[0].Since.Before(began) || !rows.asked[0].Until.Equal(s.At) {
		t.Errorf("asked %+v", rows.asked)
	}
}

// A change nearby is no culprit when the bad requests are all of one tenant.
func TestAChangeThatExplainsNothingSuggestsNoRunbook(t *testing.T) {
	began := minutes(-12)
	p := validation(step(began.Add(time.Minute), 0.012, 0.2))
	s := snapshot(t, evaluator(t, Deps{Prom: p, Tables: &tablesFake{at: began, moved: began.Add(-20 * time.Minute), odd: "hooli"}, Changes: went(began.Add(-20 * time.Minute))}, Service{}))
	line := s.Line.Text(400)
	if !strings.Contains(line, "Suspect: tenant=hooli (") || !strings.Contains(line, "Change: prompt v13→v14") || s.Line.Runbook != "" {
		t.Errorf("the line is %q, runbook %q", line, s.Line.Runbook)
	}
}

func TestWithoutRowsTheLineSaysWhatItSaidBefore(t *testing.T) {
	began := minutes(-12)
	p := validation(step(began.Add(time.Minute), 0.012, 0.2))
	for _, rows := range []*tablesFake{{fail: errors.New("disk gone")}, {at: began}} {
		deps := Deps{Prom: p, Tables: rows, Changes: went(began)}
		if rows.fail == nil {
			deps.Tables = nil
		}
		s := snapshot(t, evaluator(t, deps, Service{}))
		if line := s.Line.Text(400); !strings.Contains(line, "Change: prompt v13→v14 at 14:18.") || s.Line.Runbook != "rollback-prompt" {
			t.Errorf("the line is %q, runbook %q", line, s.Line.Runbook)
		}
	}
}

func TestExplainSaysWhenThereIsNothingToExplain(t *testing.T) {
	rows := &tablesFake{at: minutes(-600)}
	e := evaluator(t, Deps{Prom: validation(flat(0.012)), Tables: rows}, Service{})
	x, err := e.Explain(t.Context(), "s", "schema_fail", sources.View{Range: time.Hour}, false)
	if err != nil || len(x.Suspects) != 0 || !strings.Contains(x.Why, "There is nothing to explain") || len(rows.asked) != 0 {
		t.Errorf("%+v %v", x, err)
	}
	if x, err = e.Explain(t.Context(), "s", "schema_fail", sources.View{Range: time.Hour}, true); err != nil || x.Why != "Not explained by anything recorded." {
		t.Errorf("%+v %v", x, err)
	}
	if _, err := e.Explain(t.Context(), "s", "nonsense", sources.View{}, true); err == nil || !strings.Contains(err.Error(), "schema_fail") {
		t.Errorf("an unknown signal: %v", err)
	}
}

func TestEverySignalOfTheCatalogueSaysWhichRequestsAreBad(t *testing.T) {
	for _, s := range Catalogue() {
		if !s.Outcome.Given() || s.Outcome.Words[0] == "" || s.Outcome.Words[1] == "" {
			t.Errorf("%s has the outcome %+v", s.ID, s.Outcome)
		}
	}
	for id := range outcomes {
		if s := (&service{signals: Catalogue()}).signal(id); s == nil {
			t.Errorf("an outcome belongs to no signal: %s", id)
		}
	}
}

// What distinguished the bad ones before as well is no news, and still what they have in common.
func TestWhatWasSoBeforeIsNotCalledUnexplained(t *testing.T) {
	rows := &tablesFake{at: minutes(-600), odd: "hooli"}
	e := evaluator(t, Deps{Prom: validation(flat(0.012)), Tables: rows}, Service{})
	x, err := e.Explain(t.Context(), "s", "schema_fail", sources.View{Range: time.Hour}, true)
	if err != nil || len(x.Suspects) != 0 || !strings.HasPrefix(x.Why, "Nothing new explains it. As before: tenant=hooli in ") {
		t.Errorf("%+v, %v", x, err)
	}
}
