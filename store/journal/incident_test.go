package journal

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

func incident() IncidentDraft {
	return IncidentDraft{
		Service: "assistant", Environment: "prod", Title: "Schema failures\nafter prompt v14", Category: Correctness, Severity: SEV2, Tags: []string{"schema"},
		Lead: "ana", Signals: []string{"schema_fail"}, Began: noon.Add(-10 * time.Minute), Detected: noon.Add(-8 * time.Minute),
		Change:   &sources.Change{At: noon.Add(-11 * time.Minute), Component: sources.Prompt, From: "v13", To: "v14", Source: "prometheus"},
		Evidence: "Schema failures 9.1% since 02:33, told to ana@example.org",
	}
}

func TestAnIncidentIsTheSumOfItsEntries(t *testing.T) {
	clock := newClock()
	j, err := Open(t.Context(), temp(t), options(clock))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	ctx := t.Context()
	i := must[Incident](t)(j.OpenIncident(ctx, incident()))
	if i.ID != "INC-1" || i.Title != "Schema failures after prompt v14" || i.State() != "open" || !i.Open() || i.OpenedBy != "ana" || !i.Opened.Equal(noon) || i.FirstSeq != 1 {
		t.Errorf("opened: %+v", i)
	}
	opened := must[Entry](t)(j.Entry(ctx, 1))
	ev := must[Artifact](t)(j.Artifact(ctx, opened.Artifacts[0].ID))
	if ev.Name != Evidence || !strings.HasPrefix(string(ev.Body), "Schema failures 9.1%") || strings.Contains(string(ev.Body), "example.org") {
		t.Errorf("the evidence is %+v", ev)
	}
	clock.add(time.Minute)
	sev, title, mit := SEV1, "It is worse", clock.Now()
	got := must[Incident](t)(j.As("ben", "console").UpdateIncident(ctx, i.ID, IncidentPatch{
		Severity: &sev, Title: &title, Mitigated: &mit, AddRequests: []string{"req-1", "req-1"}, AddCases: 2, Why: "it reached the paying tenants",
	}))
	if got.Severity != SEV1 || got.Title != title || got.State() != "mitigated" || !reflect.DeepEqual(got.Requests, []string{"req-1"}) || got.Cases != 2 || got.OpenedBy != "ana" {
		t.Errorf("updated: %+v", got)
	}
	must[[]Entry](t)(j.Append(
		ctx,
		Draft{Kind: RunStarted, Incident: i.ID, Run: "RUN-3"},
		Draft{Kind: Captured, Incident: i.ID, Data: CapturedData{Request: "req-2"}},
		Draft{Kind: Noted, Incident: i.ID, Text: "hm"},
	))
	reopened := time.Time{}
	must[Incident](t)(j.UpdateIncident(ctx, i.ID, IncidentPatch{Mitigated: &reopened}))
	read := must[Incident](t)(j.Incident(ctx, i.ID))
	if read.State() != "open" || !reflect.DeepEqual(read.Requests, []string{"req-1", "req-2"}) || !reflect.DeepEqual(read.Runs, []string{"RUN-3"}) || read.LastSeq != 7 {
		t.Errorf("read: %+v", read)
	}
	closed := must[Incident](t)(j.CloseIncident(ctx, i.ID, ""))
	if closed.Open() || closed.State() != "closed" || !closed.Closed.Equal(clock.Now()) {
		t.Errorf("closed: %+v", closed)
	}
	if all := must[[]Incident](t)(j.Incidents(ctx, "assistant", false)); len(all) != 1 || !reflect.DeepEqual(all[0], must[Incident](t)(j.Incident(ctx, i.ID))) {
		t.Errorf("the list and the one differ: %+v", all)
	}
	must[Entry](t)(j.Erase(ctx, []int64{1, 2}, "names in it"))
	if again := must[Incident](t)(j.Incident(ctx, i.ID)); again.Title != erasedText {
		t.Errorf("an erased title: %q", again.Title)
	}
	if r := must[Report](t)(j.Verify(ctx, nil, nil)); !r.OK {
		t.Errorf("%+v", r)
	}
}

func TestAnIncidentIsNotClosedWithoutACaseOrAReason(t *testing.T) {
	j := openAt(t, temp(t))
	ctx := t.Context()
	i := must[Incident](t)(j.OpenIncident(ctx, incident()))
	if _, err := j.CloseIncident(ctx, i.ID, " "); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "regression case") {
		t.Errorf("without either: %v", err)
	}
	c := must[Incident](t)(j.CloseIncident(ctx, i.ID, "third party; nothing to test"))
	if c.CloseReason != "third party; nothing to test" {
		t.Errorf("%+v", c)
	}
	if _, err := j.CloseIncident(ctx, i.ID, "again"); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "already") {
		t.Errorf("twice: %v", err)
	}
}

func TestIncidentsAreNumberedAndListedNewestFirst(t *testing.T) {
	path := temp(t)
	a, b := openAt(t, path), openAt(t, path)
	ctx := t.Context()
	for n := range 3 {
		d := incident()
		if n == 1 {
			d.Service = "billing"
		}
		i := must[Incident](t)([]*Journal{a, b, a}[n].OpenIncident(ctx, d))
		if want := []string{"INC-1", "INC-2", "INC-3"}[n]; i.ID != want {
			t.Errorf("%s, want %s", i.ID, want)
		}
	}
	must[Incident](t)(b.CloseIncident(ctx, "INC-3", "a test"))
	ids := func(service string, open bool) (out string) {
		for _, i := range must[[]Incident](t)(a.Incidents(ctx, service, open)) {
			out += i.ID + " "
		}
		return out
	}
	if got := ids("assistant", false); got != "INC-3 INC-1 " {
		t.Error(got)
	}
	if got := ids("assistant", true); got != "INC-1 " {
		t.Error(got)
	}
	if got := ids("", false); got != "INC-3 INC-2 INC-1 " {
		t.Error(got)
	}
}

func TestWhatIsWrongAboutAnIncidentIsRefusedInOneLine(t *testing.T) {
	j := openAt(t, temp(t))
	ctx := t.Context()
	i := must[Incident](t)(j.OpenIncident(ctx, incident()))
	edit := func(f func(*IncidentDraft)) error {
		d := incident()
		f(&d)
		_, err := j.OpenIncident(ctx, d)
		return err
	}
	patch := func(id string, p IncidentPatch) error { _, err := j.UpdateIncident(ctx, id, p); return err }
	sev, empty := Severity("SEV9"), " "
	for name, tc := range map[string]struct {
		err  error
		says string
	}{
		"category":     {edit(func(d *IncidentDraft) { d.Category = "bias" }), "it can be safety, correctness"},
		"severity":     {edit(func(d *IncidentDraft) { d.Severity = "" }), "it can be SEV1"},
		"tag":          {edit(func(d *IncidentDraft) { d.Tags = []string{"a b"} }), "small letters"},
		"title":        {edit(func(d *IncidentDraft) { d.Title = "\n" }), "title"},
		"no incident":  {patch("INC-9", IncidentPatch{Severity: nil, AddCases: 1}), "rollcall incident list"},
		"odd incident": {patch("", IncidentPatch{AddCases: 1}), "rollcall incident list"},
		"nothing":      {patch(i.ID, IncidentPatch{}), "nothing"},
		"bad severity": {patch(i.ID, IncidentPatch{Severity: &sev}), "SEV9"},
		"no title":     {patch(i.ID, IncidentPatch{Title: &empty}), "title"},
		"cases":        {patch(i.ID, IncidentPatch{AddCases: -1}), "below zero"},
	} {
		if !errors.Is(tc.err, ErrRefused) && !errors.Is(tc.err, ErrUnknown) || !strings.Contains(tc.err.Error(), tc.says) {
			t.Errorf("%s: %v", name, tc.err)
		}
	}
	if h := must[Head](t)(j.Head(ctx)); h.Seq != 1 {
		t.Errorf("something was recorded: %+v", h)
	}
}

func TestExportedCasesCountOnceForEachRequestAndLetAnIncidentCloseWithoutAReason(t *testing.T) {
	j := openAt(t, temp(t))
	inc := must[Incident](t)(j.OpenIncident(t.Context(), incident()))
	export := func(what string, requests ...string) int {
		t.Helper()
		if _, err := j.Append(t.Context(), Draft{
			Kind: Exported, Service: inc.Service, Incident: inc.ID, Data: CasesExported{What: what, Format: "promptfoo", Requests: requests},
		}); err != nil {
			t.Fatal(err)
		}
		now, err := j.Incident(t.Context(), inc.ID)
		if err != nil {
			t.Fatal(err)
		}
		return now.Cases
	}
	if n := export("review", "req-1"); n != 0 {
		t.Fatalf("a review counts as %d cases", n)
	}
	if _, err := j.CloseIncident(t.Context(), inc.ID, ""); !errors.Is(err, ErrRefused) {
		t.Fatalf("it closes without a case: %v", err)
	}
	if n := export(WhatCases, "req-1", "req-2"); n != 2 {
		t.Fatalf("two requests are %d cases", n)
	}
	if n := export(WhatCases, "req-2", "req-3", "req-3", ""); n != 3 {
		t.Fatalf("the same and another are %d cases, want 3", n)
	}
	list, err := j.Incidents(t.Context(), "", false)
	if err != nil || list[0].Cases != 3 {
		t.Fatalf("the list says %+v, %v", list, err)
	}
	closed, err := j.CloseIncident(t.Context(), inc.ID, "")
	if err != nil || closed.Cases != 3 || closed.Open() {
		t.Fatalf("closed as %+v, %v", closed, err)
	}
}
