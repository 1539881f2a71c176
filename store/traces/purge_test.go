package traces_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/traces"
)

// hold returns the files in the folder that hold one of the texts, as they stand.
func (e *env) hold(texts ...[]byte) []string {
	e.Helper()
	var out []string
	for _, f := range e.files("*") {
		b, err := os.ReadFile(f)
		if err != nil {
			e.Fatal(err)
		}
		for _, text := range texts {
			if bytes.Contains(b, text) {
				out = append(out, fmt.Sprintf("%s holds %q", filepath.Base(f), text[:min(len(text), 40)]))
			}
		}
	}
	return out
}

// chunksOf returns what is stored of a request's spans, byte for byte.
func (e *env) chunksOf(request string) [][]byte {
	e.Helper()
	var out [][]byte
	for _, f := range e.files("*.db") {
		db, err := sql.Open("sqlite3", "file:"+f+"?mode=ro")
		if err != nil {
			e.Fatal(err)
		}
		rows, err := db.Query("SELECT data FROM chunks,requests WHERE request_id=? AND id>=key<<20 AND id<(key+1)<<20", request)
		if err != nil {
			e.Fatal(err)
		}
		for rows.Next() {
			var b []byte
			if err := rows.Scan(&b); err != nil {
				e.Fatal(err)
			}
			out = append(out, b[max(0, len(b)-48):])
		}
		if err := rows.Err(); err != nil {
			e.Fatal(err)
		}
		_ = rows.Close() //nolint:sqlclosecheck // one file after another
		_ = db.Close()
	}
	if len(out) == 0 {
		e.Fatalf("%s has no chunks", request)
	}
	return out
}

// words are random, so that no compression hides them and nothing else looks like them.
func words(rnd *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "%016x ", rnd.Uint64())
	}
	return b.String()
}

func TestAfterAPurgeNoByteOfItIsLeftInTheFolder(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			e := in(t, traces.Limits{PartTraces: 60})
			rnd := rand.New(rand.NewPCG(seed, 1))
			texts := map[string][][]byte{} // by user
			const users = 4
			for i := range 160 {
				user, text := fmt.Sprintf("user:%016d", rnd.IntN(users)), words(rnd, 1+rnd.IntN(400))
				tool := spanOf(i, 3, 2, "gen_ai.operation.name", "execute_tool", "gen_ai.tool.name", "lookup", "gen_ai.tool.call.arguments", text)
				e.put(batch(rootOf(i, "user.id", user, "llmops.retrieval.query", text), chatOf(i, 2, fmt.Sprint("resp-", i)), tool))
				texts[user] = append(texts[user], []byte(text[:17]), []byte(text[len(text)-17:]))
				if rnd.IntN(3) == 0 { // a late span replaces the row
					e.put(batch(spanOf(i, 4, 1, "gen_ai.input.messages", words(rnd, 200))))
				}
				texts[user] = append(texts[user], e.chunksOf(fmt.Sprintf("req-%d", i))...)
			}
			for n := range users - 1 {
				user := fmt.Sprintf("user:%016d", n)
				d, err := e.store.Purge(t.Context(), traces.Erase{User: user})
				if err != nil || d.Requests == 0 || d.Spans < int64(3*d.Requests) || len(d.IDs) != 3*d.Requests {
					t.Fatalf("%+v, %v", d, err)
				}
				if left := e.hold(texts[user]...); len(left) > 0 { // the store is open: its logs count
					t.Errorf("after the purge of %s:\n%s", user, strings.Join(left, "\n"))
				}
			}
			last := fmt.Sprintf("user:%016d", users-1)
			kept := e.rows(sources.RequestFilter{User: last, Limit: 1000})
			for _, r := range kept {
				if v := e.trace(r.ID); v == nil || len(v.Spans) < 3 {
					t.Errorf("%s was damaged: %+v", r.ID, v)
				}
			}
			if all := e.rows(sources.RequestFilter{Limit: 1000}); len(kept) == 0 || len(all) != len(kept) {
				t.Errorf("%d rows are left, %d of the user who was not purged", len(all), len(kept))
			}
			e.put(batch(rootOf(1000, "user.id", last)))
			if e.trace("req-1000") == nil {
				t.Error("what came after the purge is not found")
			}
		})
	}
}

func TestAPurgeTakesTheEventsThatWaitForTheirRequest(t *testing.T) {
	e := in(t, traces.Limits{})
	waiting := func(response, user, tenant string) {
		b := evaluation(sources.TraceID{}, response, "0.5")
		b.Events[0].Attrs = append(b.Events[0].Attrs, sources.Attr{Key: "user.id", Value: user}, sources.Attr{Key: "llmops.tenant", Value: tenant})
		e.put(b)
	}
	waiting("resp-1", "user:a", "acme")
	waiting("resp-2", "user:b", "acme")
	waiting("resp-3", "user:b", "other")
	waiting("resp-4", "user:c", "third")
	for _, tt := range []struct {
		erase  traces.Erase
		events int
	}{{traces.Erase{ID: "resp-1"}, 1}, {traces.Erase{User: "user:b"}, 2}, {traces.Erase{Tenant: "third"}, 1}, {traces.Erase{Tenant: "acme"}, 0}} {
		found, err := e.store.Purgeable(t.Context(), tt.erase)
		if err != nil || found.Events != tt.events {
			t.Errorf("%+v: %+v would go, %v", tt.erase, found, err)
		}
		if d, err := e.store.Purge(t.Context(), tt.erase); err != nil || d.Events != tt.events {
			t.Errorf("%+v erased %+v, %v", tt.erase, d, err)
		}
	}
	for i := range 4 {
		e.put(batch(rootOf(i+1), chatOf(i+1, 2, fmt.Sprint("resp-", i+1))))
		if r := e.trace(fmt.Sprintf("req-%d", i+1)).Request; len(r.Scores) != 0 {
			t.Errorf("%s still got the event: %+v", r.ID, r.Scores)
		}
	}
}

func TestTheReceiverErasesWhatAnotherProcessAsksFor(t *testing.T) {
	e := in(t, traces.Limits{Rest: time.Millisecond})
	for i := range 6 {
		e.put(batch(rootOf(i, "user.id", fmt.Sprint("user:", i%2))))
	}
	other, err := traces.OpenWith(e.dir, traces.Options{Folder: folder(t), Clock: e.clock}, traces.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	if own, pid := other.Receiving(); own || pid != os.Getpid() {
		t.Fatalf("%v, %d: the other store must not receive", own, pid)
	}
	d, err := other.Purge(t.Context(), traces.Erase{User: "user:1"})
	if err != nil || d.Requests != 3 || len(d.IDs) != 6 {
		t.Errorf("%+v, %v", d, err)
	}
	if rows := e.rows(sources.RequestFilter{}); len(rows) != 3 {
		t.Errorf("%d rows are left", len(rows))
	}
	if left := e.files("ask-*"); len(left) > 0 {
		t.Errorf("%q stay in the folder", left)
	}
}

func TestWhatWasAskedForIsErasedByTheNextReceiver(t *testing.T) {
	e := in(t, traces.Limits{Rest: time.Hour}) // it never comes to answering
	for i := range 4 {
		e.put(batch(rootOf(i, "user.id", fmt.Sprint("user:", i%2))))
	}
	other, err := traces.OpenWith(e.dir, traces.Options{Folder: folder(t), Clock: e.clock}, traces.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		_, err := other.Purge(ctx, traces.Erase{User: "user:1"})
		asked <- err
	}()
	eventually(t, "it was asked", func() bool { return len(e.files("ask-*.purge")) == 1 })
	cancel()
	if err := <-asked; err == nil || !strings.Contains(err.Error(), "has not answered") || !strings.Contains(err.Error(), "next process") {
		t.Errorf("the asker was told %v", err)
	}
	_ = other.Close()
	e.close()
	e.open(traces.Limits{Rest: time.Millisecond})
	eventually(t, "the next receiver erases", func() bool { return len(e.rows(sources.RequestFilter{})) == 2 })
	eventually(t, "the question goes", func() bool { return len(e.files("ask-*.purge")) == 0 })
	e.clock.add(time.Since(e.clock.Now()) + time.Hour) // answers bear the time of the disk
	eventually(t, "the answer that nobody came for goes", func() bool { return len(e.files("ask-*")) == 0 })
}

func TestAReaderInTheMiddleOfReadingIsNamedAsWhatKeepsTheOldPages(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the reader")
	}
	e := in(t, traces.Limits{})
	secret := strings.TrimSpace(words(rand.New(rand.NewPCG(9, 9)), 3))
	e.put(batch(rootOf(1, "llmops.route", secret)))
	db, err := sql.Open("sqlite3", "file:"+e.files("*.db")[0]+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.QueryRow("SELECT count(*) FROM requests").Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	d, err := e.store.Purge(t.Context(), traces.Erase{ID: "req-1"})
	if err == nil || !strings.Contains(err.Error(), "-wal while others read it; end them and purge again") || d.Requests != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	_ = tx.Rollback()
	if _, err := e.store.Purge(t.Context(), traces.Erase{ID: "req-1"}); err != nil {
		t.Error(err)
	}
	if left := e.hold([]byte(secret)); len(left) > 0 {
		t.Errorf("after the second purge: %q", left)
	}
}
