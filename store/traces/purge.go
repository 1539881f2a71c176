package traces

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rollcall/sources"
)

// Erase says whose requests Purge erases; exactly one field is set.
type Erase struct {
	ID     string `json:"id,omitempty"`   // request, trace or response ID
	User   string `json:"user,omitempty"` // a keyed token
	Tenant string `json:"tenant,omitempty"`
}

func (e Erase) check() error {
	set := 0
	for _, v := range []string{e.ID, e.User, e.Tenant} {
		if v != "" {
			set++
		}
	}
	if set != 1 {
		return errors.New("traces: purge takes one of a request, a user or a tenant")
	}
	return nil
}

// Purged is what Purge erased, or Purgeable found.
type Purged struct {
	Requests   int      `json:"requests"`
	Spans      int64    `json:"spans"`
	Events     int      `json:"events"`     // that waited for their request
	Partitions int      `json:"partitions"` // files that held any of it
	IDs        []string `json:"ids"`        // request, trace and response IDs, of at most maxPurgedIDs requests
	// Unsearched are files that nobody can look into: damaged ones, which were set aside.
	Unsearched []string `json:"unsearched,omitempty"`
}

// maxPurgedIDs bounds how many requests are named.
const maxPurgedIDs = 100_000

func (p *Purged) add(o *Purged) {
	p.Requests += o.Requests
	p.Spans += o.Spans
	p.Events += o.Events
	if o.Requests > 0 || o.Events > 0 {
		p.Partitions++
	}
	p.IDs = append(p.IDs, o.IDs[:min(len(o.IDs), max(0, 3*maxPurgedIDs-len(p.IDs)))]...)
}

// Purgeable tells what Purge would erase.
func (s *Store) Purgeable(ctx context.Context, e Erase) (Purged, error) {
	var out Purged
	if err := e.check(); err != nil {
		return out, err
	}
	var failed error
	for _, p := range s.newestFirst() {
		db, err := p.read(ctx)
		if err == nil {
			var d doomed
			if d, err = s.doomed(ctx, p, db, e); err == nil {
				out.add(&d.Purged)
			}
		}
		if err != nil && !p.unusable() {
			failed = errors.Join(failed, inPart(p, err))
		}
	}
	out.Unsearched = s.unsearched()
	if failed != nil {
		return out, fmt.Errorf("traces: not every partition could be searched: %w", failed)
	}
	return out, nil
}

// unsearched names the damaged files that were set aside.
func (s *Store) unsearched() []string {
	found, _ := filepath.Glob(filepath.Join(s.dir, "*.damaged")) // the pattern is sound
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	return found
}

// Purge erases requests with all their spans and events: what was stored is
// overwritten, and the files that held it are written anew. Where another
// process receives, that process is asked to do it; one that does not answer
// until ctx ends does it later. What was erased before an error is in the answer.
func (s *Store) Purge(ctx context.Context, e Erase) (Purged, error) {
	if err := e.check(); err != nil {
		return Purged{}, err
	}
	own, pid := s.Receiving()
	switch {
	case own:
		return s.purge(ctx, e)
	case pid > 0:
		return s.askToPurge(ctx, e, pid)
	}
	return Purged{}, fmt.Errorf("traces: cannot purge: %w", errReadOnly)
}

// purge erases in every partition, in turns with what is received meanwhile. It
// goes on after a partition that fails, so that as much as possible is gone, and
// then says which did.
func (s *Store) purge(ctx context.Context, e Erase) (Purged, error) {
	var out Purged
	var failed error
	for _, p := range s.newestFirst() {
		d, err := s.purgeOne(ctx, p, e)
		out.add(&d)
		switch {
		case ctx.Err() != nil, errors.Is(err, errClosed):
			return out, fmt.Errorf("traces: purge is not complete: %w", err)
		case err != nil:
			failed = errors.Join(failed, inPart(p, err))
		}
	}
	out.Unsearched = s.unsearched()
	if failed != nil {
		return out, fmt.Errorf("traces: purge is not complete: %w", failed)
	}
	return out, nil
}

// purgeOne has the writer erase in one partition.
func (s *Store) purgeOne(ctx context.Context, p *partition, e Erase) (Purged, error) {
	type result struct {
		purged Purged
		err    error
	}
	done := make(chan result, 1)
	task := func(w *writer) { //nolint:contextcheck // the writer finishes a transaction that it began
		if p.unusable() {
			done <- result{}
			return
		}
		d, err := w.purgeIn(p, e)
		done <- result{d, err}
	}
	select {
	case s.tasks <- task:
	case <-s.stop:
		return Purged{}, errClosed
	case <-ctx.Done():
		return Purged{}, ctx.Err()
	}
	select {
	case r := <-done:
		return r.purged, r.err
	case <-ctx.Done():
		return Purged{}, ctx.Err()
	}
}

// doomed is what a purge erases in one partition.
type doomed struct {
	Purged
	keys    []int64
	pending []int64 // of the events that wait
}

// doomed finds what is to be erased. It only reads.
func (s *Store) doomed(ctx context.Context, p *partition, db *sql.DB, e Erase) (doomed, error) {
	var d doomed
	name := func(r *sources.Request) {
		d.Requests++
		d.Spans += int64(r.SpanCount)
		for _, id := range []string{r.ID, r.TraceID, r.ResponseID} {
			if id != "" && len(d.IDs) < 3*maxPurgedIDs {
				d.IDs = append(d.IDs, id)
			}
		}
	}
	if e.ID != "" {
		candidates, err := p.candidates(ctx, db, e.ID)
		if err != nil {
			return d, err
		}
		slices.Sort(candidates)
		for _, k := range slices.Compact(candidates) {
			f, ok, err := s.readPiece(ctx, db, k)
			if err != nil {
				return d, err
			}
			if ok && s.carries(&f, e.ID) {
				d.keys = append(d.keys, k)
				name(&f.row)
				d.IDs = append(d.IDs, s.opts.Folder.ResponseIDs(f.spans)...)
			}
		}
	} else {
		cond := &where{}
		cond.is("user", e.User)
		cond.is("tenant", e.Tenant)
		rows, err := db.QueryContext(ctx, "SELECT key,request_id,trace,response_id,spans FROM requests"+cond.String(), cond.args...) //nolint:sqlclosecheck // walk closes them
		if err != nil {
			return d, err
		}
		err = walk(rows, func() error {
			var k int64
			var trace []byte
			var r sources.Request
			if err := rows.Scan(&k, &r.ID, &trace, &r.ResponseID, &r.SpanCount); err != nil {
				return err
			}
			if len(trace) == len(sources.TraceID{}) {
				r.TraceID = sources.TraceID(trace).String()
			}
			d.keys = append(d.keys, k)
			name(&r)
			return nil
		})
		if err != nil {
			return d, err
		}
	}
	return d, s.doomedEvents(ctx, db, e, &d)
}

// doomedEvents finds the events that wait for a request which is, or would be, erased.
func (s *Store) doomedEvents(ctx context.Context, db *sql.DB, e Erase, d *doomed) error {
	ids := map[string]bool{e.ID: e.ID != ""}
	for _, id := range d.IDs {
		ids[id] = true
	}
	rows, err := db.QueryContext(ctx, "SELECT id,data FROM pending")
	if err != nil {
		return err
	}
	return walk(rows, func() error {
		var id int64
		var data sql.RawBytes
		if err := rows.Scan(&id, &data); err != nil {
			return err
		}
		_, _, events, err := s.codec.decode(data)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(events, func(ev sources.TraceEvent) bool { return ids[ev.ResponseID] || e.in(&ev) }) {
			d.pending = append(d.pending, id)
			d.Events += len(events)
		}
		return nil
	})
}

// in tells whether an event names the user or the tenant itself.
func (e Erase) in(ev *sources.TraceEvent) bool {
	attrs := ev.Attrs
	if ev.Resource != nil {
		attrs = append(attrs[:len(attrs):len(attrs)], ev.Resource.Attrs...)
	}
	return slices.ContainsFunc(attrs, func(a sources.Attr) bool {
		return e.User != "" && a.Value == e.User || e.Tenant != "" && a.Value == e.Tenant && strings.HasSuffix(a.Key, "tenant")
	})
}

// purgeIn erases in one partition.
func (w *writer) purgeIn(p *partition, e Erase) (Purged, error) {
	ctx := context.Background()
	db, err := p.read(ctx)
	if err != nil {
		return Purged{}, err
	}
	d, err := w.s.doomed(ctx, p, db, e)
	if err != nil {
		return Purged{}, err
	}
	if len(d.keys) == 0 && len(d.pending) == 0 {
		return Purged{}, w.emptyLog(p, false) // an earlier purge may have had to leave it
	}
	defer w.forget() // what is in memory may still hold what was erased
	c, err := w.connect(p)
	if err != nil {
		return Purged{}, err
	}
	if err := c.exec("PRAGMA secure_delete=ON"); err != nil {
		return Purged{}, err
	}
	if err := c.begin(); err != nil {
		return Purged{}, err
	}
	for keys := d.keys; len(keys) > 0; keys = keys[min(len(keys), 500):] {
		if err := c.erase(keys[:min(len(keys), 500)]); err != nil {
			return Purged{}, err
		}
	}
	for _, id := range d.pending {
		if err := c.run("DELETE FROM pending WHERE id=?", id); err != nil {
			return Purged{}, err
		}
	}
	if err := c.commit(); err != nil {
		return Purged{}, err
	}
	if err := c.exec("DROP TABLE IF EXISTS temp.erased"); err != nil {
		return d.Purged, err
	}
	return d.Purged, w.emptyLog(p, true)
}

// emptyLog writes the partition anew, when asked to, and folds its log into it.
// Rows that moved before they were erased can have left copies of themselves in the
// gaps between others, and the log holds the pages as they were.
func (w *writer) emptyLog(p *partition, anew bool) error {
	if fi, err := os.Stat(p.path + "-wal"); !anew && (err != nil || fi.Size() == 0) {
		return nil //nolint:nilerr // without a log there is nothing to fold
	}
	c, err := w.connect(p)
	if err != nil {
		return err
	}
	if anew {
		if err := c.exec("VACUUM"); err != nil {
			return fmt.Errorf("what was erased is overwritten, but copies can be left in gaps of the file (%w); free some space and purge again", err)
		}
	}
	var busy driver.Value
	err = c.query("PRAGMA wal_checkpoint(TRUNCATE)", nil, func(v []driver.Value) error {
		busy = v[0]
		return nil
	})
	if err == nil && integer(busy) != 0 {
		err = fmt.Errorf("what was erased stays in %s-wal while others read it; end them and purge again", p.name)
	}
	return err
}

// erase deletes everything under the keys, and the blocks and the filter that tell of it.
func (c *conn) erase(keys []int64) error {
	if err := c.exec("CREATE TEMP TABLE IF NOT EXISTS erased(key INTEGER PRIMARY KEY)"); err != nil {
		return err
	}
	marks := strings.Repeat(",(?)", len(keys))[1:]
	args := make([]driver.Value, len(keys))
	for i, k := range keys {
		args[i] = k
	}
	if _, err := c.db.Exec("INSERT OR IGNORE INTO temp.erased(key) VALUES"+marks, args); err != nil {
		return err
	}
	for _, k := range keys {
		if err := c.rowChanges(k); err != nil {
			return err
		}
		for table, bits := range map[string]uint{"chunks": seqBits, "scores": listBits, "documents": listBits, "tool_calls": listBits} {
			if err := c.run("DELETE FROM "+table+" WHERE id>=? AND id<?", k<<bits, (k+1)<<bits); err != nil {
				return err
			}
		}
		for _, table := range []string{"requests", "stale"} {
			if err := c.run("DELETE FROM "+table+" WHERE key=?", k); err != nil {
				return err
			}
		}
	}
	c.p.closed = false
	if there, err := c.one("SELECT 1 FROM sqlite_schema WHERE name='filter'"); err != nil {
		return err
	} else if there != nil {
		if err := c.exec("DELETE FROM filter"); err != nil {
			return err
		}
	}
	// Whoever reads follows ids by its numbers: the highest one must not come again.
	if err := c.exec("UPDATE ids SET hash=0,key=0 WHERE n=(SELECT max(n) FROM ids) AND key IN (SELECT key FROM temp.erased)"); err != nil {
		return err
	}
	return c.exec("DELETE FROM ids WHERE key IN (SELECT key FROM temp.erased)")
}
