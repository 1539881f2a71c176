package traces

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
)

// Erase says whose requests Purge erases; exactly one field is set.
type Erase struct {
	ID     string // request, trace or response ID
	User   string // a keyed token
	Tenant string
}

// Purge erases requests with all their spans and events, overwriting what was
// stored, and returns how many there were. Only the receiving process can.
func (s *Store) Purge(ctx context.Context, e Erase) (int, error) {
	set := 0
	for _, v := range []string{e.ID, e.User, e.Tenant} {
		if v != "" {
			set++
		}
	}
	if set != 1 {
		return 0, errors.New("traces: purge takes one of a request, a user or a tenant")
	}
	if ok, pid := s.Receiving(); !ok {
		if pid > 0 {
			return 0, fmt.Errorf("traces: pid %d receives and holds the folder; purge there or end it first", pid)
		}
		return 0, fmt.Errorf("traces: cannot purge: %w", errReadOnly)
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	task := func(w *writer) { //nolint:contextcheck // the writer finishes a transaction that it began
		n, err := w.purge(e)
		done <- result{n, err}
	}
	select {
	case s.tasks <- task:
	case <-s.stop:
		return 0, errClosed
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	select {
	case r := <-done:
		return r.n, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// purge erases in every partition. It goes on after a partition that fails, so
// that as much as possible is gone, and then says which did.
func (w *writer) purge(e Erase) (int, error) {
	total := 0
	var failed error
	w.s.mu.RLock()
	parts := append([]*partition(nil), w.s.parts...)
	w.s.mu.RUnlock()
	for _, p := range parts {
		n, err := w.purgeIn(p, e)
		total += n
		if err != nil {
			failed = errors.Join(failed, inPart(p, err))
		}
	}
	w.forget() // what is in memory may still hold what was erased
	if failed != nil {
		return total, fmt.Errorf("traces: purge is not complete: %w", failed)
	}
	return total, nil
}

func (w *writer) purgeIn(p *partition, e Erase) (int, error) {
	ctx := context.Background()
	db, err := p.read(ctx)
	if err != nil {
		return 0, err
	}
	var keys []int64
	if e.ID != "" {
		candidates, err := p.candidates(ctx, db, e.ID)
		if err != nil {
			return 0, err
		}
		for _, k := range candidates {
			f, ok, err := w.s.readPiece(ctx, db, k)
			if err != nil {
				return 0, err
			}
			if ok && w.s.carries(&f, e.ID) {
				keys = append(keys, k)
			}
		}
	} else {
		cond := &where{}
		cond.is("user", e.User)
		cond.is("tenant", e.Tenant)
		rows, err := db.QueryContext(ctx, "SELECT key FROM requests"+cond.String(), cond.args...)
		if err != nil {
			return 0, err
		}
		defer func() { _ = rows.Close() }()
		err = walk(rows, func() error {
			var k int64
			err := rows.Scan(&k)
			keys = append(keys, k)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	if len(keys) == 0 {
		return 0, nil
	}
	c, err := w.connect(p)
	if err != nil {
		return 0, err
	}
	if err := c.exec("PRAGMA secure_delete=ON"); err != nil {
		return 0, err
	}
	if err := c.begin(); err != nil {
		return 0, err
	}
	for len(keys) > 0 {
		if err := c.erase(keys[:min(len(keys), 500)]); err != nil {
			return 0, err
		}
		keys = keys[min(len(keys), 500):]
	}
	n, err := c.one("SELECT count(*) FROM temp.erased")
	if err != nil {
		return 0, err
	}
	if err := c.commit(); err != nil {
		return 0, err
	}
	// The log still holds the old pages until it is folded into the file.
	if err := c.exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return int(integer(n)), err
	}
	return int(integer(n)), nil
}

// erase deletes everything under the keys.
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
	return c.exec("DELETE FROM ids WHERE key IN (SELECT key FROM temp.erased)")
}
