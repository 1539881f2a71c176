package promapi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/storage"
)

// Batch collects live samples, usually those of one scrape, to be written
// together. One goroutine uses it; it may be used again after Commit.
type Batch struct {
	db      *DB
	samples []sample
}

type sample struct {
	series *Series
	t      int64
	v      float64
}

// Batch returns an empty batch.
func (db *DB) Batch() *Batch { return &Batch{db: db} }

// Add notes a sample. Within a series time must grow from batch to batch.
func (b *Batch) Add(s *Series, t time.Time, v float64) {
	b.samples = append(b.samples, sample{s, t.UnixMilli(), v})
}

// Stale notes that the series ends at t. A later sample takes it up again.
func (b *Batch) Stale(s *Series, t time.Time) { b.Add(s, t, StaleMarker()) }

// Commit writes the batch and empties it. Samples that the database cannot
// take, because they are older than what it holds of the series or say another
// value for the same time, are left out and named in the error; the rest is
// stored all the same.
func (b *Batch) Commit() error {
	samples := b.samples
	b.samples = b.samples[:0]
	if len(samples) == 0 {
		return nil
	}
	app, err := b.db.appender()
	if err != nil {
		return err
	}
	var refused int
	var first error
	for _, s := range samples {
		if s.series.db != b.db {
			return errors.Join(fmt.Errorf("series %s belongs to another database", s.series), app.Rollback())
		}
		ref, err := app.Append(storage.SeriesRef(s.series.ref.Load()), s.series.labels, s.t, s.v)
		switch {
		case err == nil:
			s.series.ref.Store(uint64(ref))
		case refusal(err):
			if refused++; first == nil {
				first = fmt.Errorf("%s at %s: %w", s.series, time.UnixMilli(s.t).UTC().Format(time.RFC3339Nano), err)
			}
		default:
			return errors.Join(fmt.Errorf("write metrics: %s: %w", s.series, err), app.Rollback())
		}
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	if first != nil {
		return fmt.Errorf("%d of %d samples refused, first %w", refused, len(samples), first)
	}
	return nil
}

// refusal reports whether err concerns one sample only.
func refusal(err error) bool {
	for _, target := range []error{
		storage.ErrOutOfOrderSample, storage.ErrOutOfBounds, storage.ErrTooOldSample, storage.ErrDuplicateSampleForTimestamp,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// appender starts a write into the live storage and rules out a later backfill.
func (db *DB) appender() (storage.Appender, error) {
	db.mu.RLock()
	st, wrote := db.tsdb, db.wrote
	db.mu.RUnlock()
	if !wrote {
		db.mu.Lock()
		db.wrote, st = true, db.tsdb
		db.mu.Unlock()
	}
	if st == nil {
		return nil, errNotOpen
	}
	return st.Appender(context.Background()), nil
}
