package journal

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"
)

// tamper edits the file as somebody with any database browser can.
func tamper(t *testing.T, path string, statements ...string) {
	t.Helper()
	db := must[*sql.DB](t)(sql.Open("sqlite3", path+"?_foreign_keys=off"))
	defer db.Close()
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func TestVerifyTellsWhatWasDoneToAJournal(t *testing.T) {
	for name, tc := range map[string]struct {
		do     []string
		kinds  []FaultKind
		says   string
		noHead bool
	}{
		"nothing": {},
		"an entry changed": {
			do: []string{`UPDATE entries SET bytes=replace(bytes,'v14','v99') WHERE seq=3`}, kinds: []FaultKind{Mismatch}, says: "entry 3 was changed",
		},
		"an entry changed and its hash with it": {
			do: []string{`UPDATE entries SET hash=zeroblob(32) WHERE seq=3`}, kinds: []FaultKind{Mismatch, Mismatch}, says: "entry 4 does not continue entry 3",
		},
		"an entry taken out": {do: []string{`DELETE FROM bodies WHERE id/4096=3`, `DELETE FROM entries WHERE seq=3`}, kinds: []FaultKind{Missing}, says: "entry 3 is missing"},
		"entries taken out":  {do: []string{`DELETE FROM bodies WHERE id/4096 IN (2,3)`, `DELETE FROM entries WHERE seq IN (2,3)`}, kinds: []FaultKind{Missing}, says: "entries 2 to 3 are missing"},
		"the first taken out": {
			do: []string{`DELETE FROM bodies WHERE id/4096=1`, `DELETE FROM entries WHERE seq=1`}, kinds: []FaultKind{Missing}, says: "entry 1 is missing",
		},
		"the end cut off": {
			do: []string{`DELETE FROM bodies WHERE id/4096>4`, `DELETE FROM entries WHERE seq>4`}, kinds: []FaultKind{Truncated}, says: "ends at entry 4; the head you gave is entry 6",
		},
		"the end cut off, unseen without a head": {do: []string{`DELETE FROM bodies WHERE id/4096>4`, `DELETE FROM entries WHERE seq>4`}, noHead: true},
		"the end cut off, its texts left": {
			do: []string{`DELETE FROM entries WHERE seq>4`}, kinds: []FaultKind{Truncated}, says: "a text of entry 5 is still there", noHead: true,
		},
		"everything cut off": {do: []string{`DELETE FROM bodies`, `DELETE FROM entries`}, kinds: []FaultKind{Truncated}, says: "ends at entry 0"},
		"a text changed":     {do: []string{`UPDATE bodies SET body=CAST('calm' AS BLOB) WHERE id=2*4096`}, kinds: []FaultKind{Altered}, says: "the text of entry 2 was changed"},
		"an artifact changed": {
			do: []string{`UPDATE bodies SET body=CAST('calm' AS BLOB) WHERE id=5*4096+1`}, kinds: []FaultKind{Altered}, says: "artifact 1 of entry 5 was changed",
		},
		"a text erased by hand": {
			do: []string{`UPDATE bodies SET body=NULL, salt=NULL WHERE id=2*4096`}, kinds: []FaultKind{Altered}, says: "no entry says so",
		},
		"a text taken out": {do: []string{`DELETE FROM bodies WHERE id/4096=2`}, kinds: []FaultKind{Altered}, says: "the text of entry 2 is gone"},
		"a text put in":    {do: []string{`INSERT INTO bodies(id,salt,body) VALUES(3*4096+7,x'00',x'00')`}, kinds: []FaultKind{Altered}, says: "the entry names none"},
		"bytes of another shape": {
			do: []string{`UPDATE entries SET bytes='{"kind":"note","text":{"hash":5}}' WHERE seq=2`}, kinds: []FaultKind{Mismatch}, says: "entry 2 was changed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := temp(t)
			j := openAt(t, path)
			for i := range 6 {
				d := Draft{Kind: Noted, Data: map[string]string{"version": "v14"}, Text: fmt.Sprint("panic ", i)}
				if i == 4 {
					d.Artifacts = []Artifact{{Name: "a", Body: []byte("panic")}}
				}
				must[[]Entry](t)(j.Append(t.Context(), d))
			}
			head := must[Head](t)(j.Head(t.Context()))
			_ = j.Close()
			tamper(t, path, tc.do...)
			against := &head
			if tc.noHead {
				against = nil
			}
			j, err := Open(t.Context(), path, Options{Clock: newClock(), ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			r := must[Report](t)(j.Verify(t.Context(), against, nil))
			if r.OK != (len(tc.kinds) == 0) || int(r.Found) != len(tc.kinds) {
				t.Fatalf("%+v", r)
			}
			text := ""
			for i, f := range r.Faults {
				if f.Kind != tc.kinds[i] {
					t.Errorf("fault %d is %s, want %s", i, f.Kind, tc.kinds[i])
				}
				text += f.Detail + "\n"
			}
			if !strings.Contains(text, tc.says) {
				t.Errorf("it says %q", text)
			}
		})
	}
}

func TestAHeadOfAnotherJournalIsNoticed(t *testing.T) {
	j := openAt(t, temp(t))
	must[[]Entry](t)(j.Append(t.Context(), note("a"), note("b")))
	r := must[Report](t)(j.Verify(t.Context(), &Head{Seq: 2, Hash: strings.Repeat("0", 64)}, nil))
	if r.OK || r.Faults[0].Kind != Mismatch || !strings.Contains(r.Faults[0].Detail, "another journal") {
		t.Errorf("%+v", r)
	}
}

func TestAClockThatJumpsBackIsNotedAndNoFault(t *testing.T) {
	clock := newClock()
	j, err := Open(t.Context(), temp(t), options(clock))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for _, d := range []time.Duration{0, -time.Hour, 2 * time.Hour} {
		clock.add(d)
		must[[]Entry](t)(j.Append(t.Context(), note("x")))
	}
	es := must[[]Entry](t)(j.Entries(t.Context(), Filter{}))
	if len(es) != 3 || es[1].Seq != 2 || !es[1].Wall.Before(es[0].Wall) {
		t.Errorf("they keep the order in which they were written: %+v", es)
	}
	r := must[Report](t)(j.Verify(t.Context(), nil, nil))
	if !r.OK || len(r.Notes) != 1 || r.Notes[0] != "the wall clock went back by 1h0m0s before entry 2" {
		t.Errorf("%+v", r)
	}
}

func TestAnEmptyJournalVerifies(t *testing.T) {
	j := openAt(t, temp(t))
	var last int64 = -1
	r := must[Report](t)(j.Verify(t.Context(), nil, func(done, _ int64) { last = done }))
	if !r.OK || r.Entries != 0 || r.Head != (Head{}) || last != 0 {
		t.Errorf("%+v, progress %d", r, last)
	}
}
