package journal

import (
	"strings"
	"testing"
)

// older fills a journal as the first version of its tables had it.
func older(t *testing.T, path string) []Entry {
	t.Helper()
	all := migrations
	migrations = all[:1]
	defer func() { migrations = all }()
	j := openAt(t, path)
	if _, err := j.OpenIncident(t.Context(), IncidentDraft{Service: "s", Title: "it is slow", Severity: "SEV2", Category: "quality"}); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if _, err := j.Append(t.Context(), sample(i)); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := j.Entries(t.Context(), Filter{})
	if err != nil || len(entries) != 31 {
		t.Fatal(len(entries), err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestAJournalOfTheFirstVersionIsReadAsItIs(t *testing.T) {
	path := temp(t)
	want := older(t, path)
	o := options(newClock())
	o.ReadOnly = true
	j, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	got, err := j.Entries(t.Context(), Filter{Kinds: []Kind{IncidentOpened}})
	if err != nil || len(got) != 1 || got[0].Hash != want[0].Hash {
		t.Errorf("%+v %v", got, err)
	}
}

func TestAMigratedJournalKeepsItsChainAndGoesOn(t *testing.T) {
	path := temp(t)
	want := older(t, path)
	j := openAt(t, path)
	got := must[[]Entry](t)(j.Entries(t.Context(), Filter{}))
	for i := range want {
		if got[i].Hash != want[i].Hash || got[i].Text != want[i].Text || got[i].Seq != want[i].Seq {
			t.Fatalf("entry %d was %+v and is %+v", i, want[i], got[i])
		}
	}
	must[[]Entry](t)(j.Append(t.Context(), sample(31)))
	if inc, err := j.OpenIncident(t.Context(), IncidentDraft{Service: "s", Title: "again", Severity: "SEV3", Category: "cost"}); err != nil || inc.ID != "INC-2" {
		t.Errorf("%+v %v", inc, err)
	}
	report, err := j.Verify(t.Context(), nil, nil)
	if err != nil || !report.OK || report.Entries != 33 {
		t.Errorf("%+v %v", report, err)
	}
	// Nobody pays for an index that guards nothing, and the one on kind is used.
	var n int
	if err := j.r.QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sqlite_autoindex_entries%'").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d indexes on prev, %v", n, err)
	}
	for query, index := range map[string]string{
		"SELECT seq FROM entries WHERE kind IN ('a','b') AND " + noSample + " ORDER BY seq DESC LIMIT 5": "entries_kind",
		"SELECT seq FROM entries WHERE run = 'RUN-3' AND kind IN ('run.sample') ORDER BY seq":            "entries_run",
	} {
		plan := planOf(t, j, query)
		if !strings.Contains(plan, index) {
			t.Errorf("%s is answered by\n%s", query, plan)
		}
	}
}

func planOf(t *testing.T, j *Journal, query string) string {
	t.Helper()
	rows, err := j.r.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	plan := ""
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan += detail + "\n"
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan
}
