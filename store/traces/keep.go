package traces

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"rollcall/sources"
)

// over tells whether a partition has had its time or its fill. traces is how many it holds.
func (w *writer) over(p *partition, traces int64) bool {
	l := &w.s.limits
	return w.aged(p) || traces >= l.partTraces || p.size() >= l.partBytes
}

func (w *writer) aged(p *partition) bool {
	return w.s.opts.Clock.Wall().Sub(p.started) >= w.s.limits.period
}

// rotate ends the hot partition when it is over, and keeps the folder within its
// bounds. Sizes are looked at once in a while, not for every transaction.
func (w *writer) rotate() {
	wall := w.s.opts.Clock.Wall()
	if w.hot != nil && w.hot.next > w.s.limits.partTraces {
		w.retire()
	}
	if wall.Sub(w.checked) < w.s.limits.rest && wall.After(w.checked) {
		return
	}
	w.checked = wall
	if w.hot != nil && w.over(w.hot.p, w.hot.next) {
		w.retire()
	}
	w.bound(wall)
	w.sealOlder()
}

// retire makes the hot partition an ordinary one; the next call begins another.
func (w *writer) retire() {
	w.hot.p.retired = true
	w.hot = nil
}

// sealOlder builds the index and the filter of every partition but the hot one that has none, one at a time.
func (w *writer) sealOlder() {
	if w.sealBusy.Load() {
		return
	}
	parts := w.s.newestFirst()
	for i, p := range parts {
		isHot := w.hot != nil && p == w.hot.p || w.hot == nil && i == 0 && !p.retired && !w.over(p, 0)
		if isHot || p.closed || p.unusable() {
			continue
		}
		db, err := p.read(context.Background())
		if err != nil {
			continue
		}
		if p.isSealed(context.Background(), db) && hasFilter(context.Background(), db) {
			p.closed = true
			continue
		}
		w.sealBusy.Store(true)
		w.sealing.Go(func() {
			defer w.sealBusy.Store(false)
			if err := seal(p); err != nil {
				w.s.opts.Log.Warn("seal partition", "partition", p.name, "error", err)
			}
		})
		return
	}
}

// seal builds the index of identifiers, after which look-ups need no memory, and the
// filter, after which most need no query either.
func seal(p *partition) error {
	ctx := context.Background()
	db, err := sql.Open("sqlite3", dsn(p.path, "mode=rw", "_busy_timeout=5000", "_synchronous=NORMAL"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, sealIndex); err != nil {
		return fmt.Errorf("index of identifiers: %w", err)
	}
	p.sealed.Store(true)
	p.index.drop()
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	err = errors.Join(storeFilter(ctx, c), c.Close())
	if err != nil {
		return fmt.Errorf("filter of identifiers: %w", err)
	}
	for _, q := range []string{"PRAGMA optimize", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

// bound removes partitions that are too old, then the oldest while the folder is
// too large or the disk too full. The hot partition stays.
func (w *writer) bound(wall time.Time) {
	s := w.s
	parts := s.newestFirst()
	var total int64
	for _, p := range parts {
		total += p.size()
	}
	for i := len(parts) - 1; i > 0; i-- {
		p := parts[i]
		// A partition ends when the next begins.
		tooOld := wall.Sub(parts[i-1].started) > s.opts.Retention
		tooMuch := total > s.opts.MaxBytes
		free, err := s.limits.free(s.dir)
		tight := err == nil && free < s.limits.minFree
		if !tooOld && !tooMuch && !tight {
			return
		}
		total -= p.size()
		w.letGo(p)
		if !tooOld && !tooMuch {
			s.noteShed(fmt.Sprintf("the disk has only %s left", bytesText(free)))
		} else {
			s.opts.Log.Info("partition removed", "partition", p.name, "too_old", tooOld, "too_much", tooMuch)
		}
	}
}

// letGo closes and removes a partition, and everything in memory that points into it.
func (w *writer) letGo(p *partition) {
	if c := w.conns[p]; c != nil {
		c.close()
		delete(w.conns, p)
	}
	for _, t := range w.cache.byID {
		if t.part == p {
			delete(w.stale, t.id)
			w.cache.drop(t)
		}
	}
	w.s.dropPart(p)
	if err := p.remove(); err != nil {
		w.s.opts.Log.Warn("partition not removed", "partition", p.name, "error", err)
	}
}

// shedOldest removes the oldest partition, when there is one besides the hot
// one, and tells whether it did. It runs after a failed transaction, when the
// writer holds nothing.
func (w *writer) shedOldest(why string) bool {
	parts := w.s.newestFirst()
	if len(parts) < 2 {
		return false
	}
	w.letGo(parts[len(parts)-1])
	w.s.noteShed(why)
	return true
}

func (s *Store) noteShed(why string) {
	s.state.Lock()
	defer s.state.Unlock()
	s.health.shed++
	s.health.shedWhy = why
	s.opts.Log.Warn("oldest partition removed to make room", "reason", why)
}

func (s *Store) lose(n int64) {
	s.state.Lock()
	defer s.state.Unlock()
	s.health.lost += n
}

func (s *Store) good(spans int) {
	s.state.Lock()
	defer s.state.Unlock()
	s.health.reason = ""
	s.health.lastGood = s.opts.Clock.Wall()
	s.health.stored += int64(spans)
}

func (s *Store) bad(err error) {
	s.state.Lock()
	defer s.state.Unlock()
	why := err.Error()
	if isFull(err) {
		why = "the disk is full and nothing is left to shed; free space under " + s.dir
	}
	if s.health.reason != why {
		s.opts.Log.Error("spans not stored", "error", err)
	}
	s.health.reason = why
}

// isFull tells whether the error says that there is no room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || isCode(err, sqlite3.ErrFull)
}

// Health tells who receives, where, how much room there is, and what went wrong.
func (s *Store) Health() sources.Health {
	receiving, pid := s.Receiving()
	s.state.Lock()
	h := s.health
	aside := append([]string(nil), s.health.aside...)
	s.state.Unlock()
	out := sources.Health{Source: "traces", State: sources.SourceUp, LastGood: h.lastGood, Reason: h.reason}
	if h.reason != "" && receiving {
		out.State = sources.SourceDown
	}
	var notes []string
	switch {
	case receiving:
		notes = append(notes, "receiving into "+s.dir)
	case pid > 0:
		notes = append(notes, fmt.Sprintf("received by pid %d", pid))
	case h.readonly:
		notes = append(notes, "reading only from "+s.dir)
	default:
		notes = append(notes, "nobody receives")
	}
	var total int64
	s.mu.RLock()
	n := len(s.parts)
	for _, p := range s.parts {
		total += p.size()
	}
	s.mu.RUnlock()
	notes = append(notes, fmt.Sprintf("%s, %s", sources.Counted(n, "partition"), bytesText(total)))
	if free, err := s.limits.free(s.dir); err == nil {
		notes = append(notes, bytesText(free)+" free")
	} else if !errors.Is(err, os.ErrNotExist) {
		notes = append(notes, "free space unknown")
	}
	if h.shed > 0 {
		notes = append(notes, fmt.Sprintf("shed the %d oldest: %s", h.shed, h.shedWhy))
	}
	if waiting := s.pending.Load(); waiting > 0 {
		notes = append(notes, fmt.Sprintf("%d events wait for their trace", waiting))
	}
	if h.lost > 0 {
		notes = append(notes, fmt.Sprintf("%d events never found theirs", h.lost))
	}
	notes = append(notes, aside...)
	out.Note = strings.Join(notes, "; ")
	return out
}

func bytesText(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
