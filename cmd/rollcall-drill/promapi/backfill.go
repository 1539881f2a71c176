package promapi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Backfill writes history: it calls fill for start, start+step, … up to but not
// including end, and stores what fill adds for each of those times. Live
// samples may follow from end on. It comes once, before the first batch, and
// while it runs the server is not ready; queries see nothing of it before it is
// complete.
//
// progress (may be nil) is told the share that is done, from 0 to 1, about a
// hundred times. When Backfill fails or ctx ends nothing of it remains.
func (db *DB) Backfill(
	ctx context.Context, start, end time.Time, step time.Duration,
	fill func(t time.Time, add func(s *Series, v float64)), progress func(done float64),
) (err error) {
	if step < time.Millisecond || !start.Before(end) {
		return fmt.Errorf("backfill from %s to %s every %s: the end must be after the start and the step at least 1 ms",
			start.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339), step)
	}
	if err := db.beginBackfill(); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(db.buildDir()))
		if err != nil {
			err = fmt.Errorf("backfill: %w", err)
		}
		db.mu.Lock()
		db.ready = db.tsdb != nil
		db.mu.Unlock()
	}()
	if err := os.MkdirAll(db.buildDir(), 0o700); err != nil {
		return err
	}
	if err := db.writeBlocks(ctx, start, end, step, fill, progress); err != nil {
		return err
	}
	if err := db.adoptBlocks(); err != nil {
		return err
	}
	if progress != nil {
		progress(1)
	}
	return nil
}

// beginBackfill takes the server out of service, if history can still be written.
func (db *DB) beginBackfill() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	switch {
	case db.tsdb == nil:
		return errNotOpen
	case db.wrote:
		return errors.New("backfill: live samples were written already; history comes first")
	case len(db.tsdb.Blocks()) > 0:
		return fmt.Errorf("backfill: %s already holds metrics; use an empty folder", db.dir)
	case !db.ready:
		return errors.New("backfill: another backfill is running")
	}
	db.ready = false
	return nil
}

// writeBlocks fills one block while the one before is written to disk.
func (db *DB) writeBlocks(
	ctx context.Context, start, end time.Time, step time.Duration,
	fill func(t time.Time, add func(s *Series, v float64)), progress func(done float64),
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	full := make(chan *blockBuilder)
	written := make(chan error, 1)
	go func() {
		var err error
		for b := range full {
			if err != nil {
				continue // keep taking, so that the sender is never stuck
			}
			if err = b.write(ctx, db.buildDir(), db.log); err != nil {
				cancel()
			}
		}
		written <- err
	}()

	var (
		block   *blockBuilder
		now     int64
		addErr  error
		endMs   = end.UnixMilli()
		rangeMs = blockRange.Milliseconds()
		total   = end.Sub(start)
		told    = -1
	)
	add := func(s *Series, v float64) {
		if addErr != nil {
			return
		}
		if s.db != db {
			addErr = fmt.Errorf("series %s belongs to another database", s)
			return
		}
		addErr = block.add(s, now, v)
	}
	for t := start; t.Before(end) && addErr == nil && ctx.Err() == nil; t = t.Add(step) {
		now = t.UnixMilli()
		if block == nil || now >= block.maxt {
			if block != nil {
				full <- block
			}
			// Blocks are aligned, as the storage engine aligns its own.
			aligned := now - now%rangeMs
			block = newBlockBuilder(now, min(aligned+rangeMs, endMs))
		}
		fill(t, add)
		if pct := int(100 * t.Sub(start) / total); progress != nil && pct != told {
			told = pct
			progress(float64(pct) / 100)
		}
	}
	if addErr != nil {
		cancel()
	} else if block != nil && ctx.Err() == nil {
		full <- block
	}
	close(full)
	err := <-written
	switch {
	case addErr != nil:
		return addErr
	case err != nil:
		return err
	default:
		return ctx.Err()
	}
}

// adoptBlocks moves the finished blocks into the database and opens it again,
// which is how the storage engine takes notice of them and of where live
// samples may begin.
func (db *DB) adoptBlocks() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.tsdb == nil {
		return errNotOpen
	}
	blocks, err := os.ReadDir(db.buildDir())
	if err != nil {
		return err
	}
	st := db.tsdb
	db.tsdb = nil
	if err := st.Close(); err != nil {
		return err
	}
	for i, b := range blocks {
		if err := os.Rename(filepath.Join(db.buildDir(), b.Name()), filepath.Join(db.dir, b.Name())); err != nil {
			for _, moved := range blocks[:i] {
				err = errors.Join(err, os.RemoveAll(filepath.Join(db.dir, moved.Name())))
			}
			return errors.Join(err, db.openStorage())
		}
	}
	return db.openStorage()
}
