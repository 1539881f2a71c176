package traces_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/store/traces"
)

func TestAFilterMissesNothingAndIsSeldomWrong(t *testing.T) {
	const n = 20_000
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("req-%08d", i)
	}
	data := traces.FilterOf(ids...)
	wrong := 0
	for i := range 2 * n {
		has, err := traces.FilterHas(data, fmt.Sprintf("req-%08d", i))
		switch {
		case err != nil || i < n && !has:
			t.Fatalf("%d is missing: %v", i, err)
		case i >= n && has:
			wrong++
		}
	}
	if wrong > n/33 {
		t.Errorf("it is wrong about %d of %d", wrong, n)
	}
	for _, damage := range [][]byte{nil, data[:len(data)-1], data[:65]} {
		if _, err := traces.FilterHas(damage, "x"); err == nil {
			t.Errorf("%d bytes pass for a filter", len(damage))
		}
	}
}

// stored reads the filter that a partition holds; nil when it holds none.
func stored(t *testing.T, file string) (data []byte) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+file+"?mode=ro&_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRow("SELECT data FROM filter").Scan(&data); err != nil && !strings.Contains(err.Error(), "no such table") && err != sql.ErrNoRows {
		t.Fatal(err)
	}
	return data
}

// inPartitions stores n requests in partitions of ten, and waits until all but the newest have a filter.
func inPartitions(t *testing.T, n int, attrs ...string) *env {
	t.Helper()
	e := in(t, traces.Limits{PartTraces: 10, Rest: time.Millisecond})
	for i := range n {
		e.put(batch(rootOf(i, attrs...), chatOf(i, 2, fmt.Sprintf("resp-%d", i))))
	}
	e.filtered()
	return e
}

func (e *env) filtered() {
	e.Helper()
	files := e.files("p-*.db")
	slices.Sort(files)
	eventually(e.T, "every partition but the newest has a filter", func() bool {
		e.clock.add(time.Second)
		return !slices.ContainsFunc(files[:len(files)-1], func(f string) bool { return stored(e.T, f) == nil })
	})
}

// reader opens the folder as another process would.
func (e *env) reader() *env {
	e.Helper()
	s, err := traces.Open(e.dir, traces.Options{Folder: folder(e), Clock: e.clock, ReadOnly: true})
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { _ = s.Close() })
	return &env{T: e.T, dir: e.dir, clock: e.clock, store: s}
}

func TestEveryRequestIsFoundThroughTheFilters(t *testing.T) {
	const n = 65
	e := inPartitions(t, n)
	for _, who := range []*env{e, e.reader()} {
		for range 3 { // before the filters are read, while, and after
			for i := range n {
				for _, id := range []string{fmt.Sprintf("req-%d", i), fmt.Sprintf("resp-%d", i), traceID(i).String()} {
					if v := who.trace(id); v == nil || len(v.Spans) != 2 || v.Request.TraceID != traceID(i).String() {
						t.Fatalf("%s: %+v", id, v)
					}
				}
			}
			if v := who.trace("req-none"); v != nil {
				t.Fatalf("found %+v", v)
			}
		}
	}
}

func TestALateResponseIsFoundByAReaderThatHadReadTheFilter(t *testing.T) {
	e := inPartitions(t, 35)
	r := e.reader()
	for range 3 {
		if r.trace("req-22") == nil || r.trace("resp-late") != nil {
			t.Fatal("the reader is not where it should be")
		}
	}
	e.put(batch(chatOf(22, 3, "resp-late"))) // into the partition that req-22 is in, which is sealed
	for range 2 {
		if v := r.trace("resp-late"); v == nil || v.Request.ID != "req-22" || len(v.Spans) != 3 {
			t.Fatalf("the late response finds %+v", v)
		}
	}
}

func TestAPartitionThatIsDroppedTakesItsFilterWithIt(t *testing.T) {
	e := inPartitions(t, 35)
	r := e.reader()
	for range 3 {
		if r.trace("req-1") == nil {
			t.Fatal("not there")
		}
	}
	before := len(e.files("p-*.db"))
	e.clock.add(8 * 24 * time.Hour)
	e.put(batch(rootOf(100)))
	eventually(t, "old partitions go", func() bool {
		e.clock.add(time.Second)
		return len(e.files("p-*.db")) < before-1
	})
	if v := r.trace("req-1"); v != nil {
		t.Errorf("it is gone and %+v is found", v)
	}
	if v := r.trace("req-100"); v == nil {
		t.Error("the new one is not found")
	}
}

func TestAfterAPurgeTheFilterKnowsNothingOfWhatWasErased(t *testing.T) {
	e := inPartitions(t, 35, "llmops.tenant", "acme")
	files := e.files("p-*.db")
	slices.Sort(files)
	was := stored(t, files[0])
	r := e.reader()
	for range 3 {
		if r.trace("req-3") == nil {
			t.Fatal("not there")
		}
	}
	if p, err := e.store.Purge(t.Context(), traces.Erase{ID: "req-3"}); err != nil || p.Requests != 1 {
		t.Fatal(p, err)
	}
	if v := r.trace("req-3"); v != nil {
		t.Errorf("found %+v", v)
	}
	e.filtered()
	is := stored(t, files[0])
	had, _ := traces.FilterHas(was, "req-3")
	has, err := traces.FilterHas(is, "req-3")
	if !had || has || err != nil {
		t.Errorf("before it is in the filter: %v, after: %v, %v", had, has, err)
	}
	for i := range 10 {
		id := fmt.Sprintf("req-%d", i)
		before, _ := traces.FilterHas(was, id)
		after, _ := traces.FilterHas(is, id)
		if i != 3 && (before != after || r.trace(id) == nil) {
			t.Errorf("%s was lost", id)
		}
	}
}
