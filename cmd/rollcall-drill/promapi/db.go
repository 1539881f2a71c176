package promapi

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

const (
	// One block holds a day: history of two weeks is then a dozen files, and an
	// expression over one hour of a past day opens one of them.
	blockRange = 24 * time.Hour

	lookbackDelta = 5 * time.Minute
	queryTimeout  = 2 * time.Minute
	maxSamples    = 50_000_000
)

// DB is a metric database in one folder. All its methods may be called at the
// same time from several goroutines, except that Backfill comes first.
type DB struct {
	dir    string
	now    func() time.Time
	log    *slog.Logger
	engine *promql.Engine
	parser parser.Parser
	opened time.Time // service time

	mu    sync.RWMutex // guards which storage is open
	tsdb  *tsdb.DB     // nil while Backfill swaps it, and after Close
	ready bool
	wrote bool // a batch was committed: too late for a backfill

	catalogue catalogue
}

// Open opens or creates the database in dir. now is service time: the time of
// queries that name none, and of what the API says about the server itself.
func Open(dir string, now func() time.Time, log *slog.Logger) (*DB, error) {
	// Functions that Prometheus itself hides behind a flag stay hidden, so that
	// an expression that works on the drill works on a real server.
	promqlParser := parser.NewParser(parser.Options{})
	db := &DB{
		dir:    dir,
		now:    now,
		log:    log,
		parser: promqlParser,
		opened: now(),
		engine: promql.NewEngine(promql.EngineOpts{
			Logger:                   log,
			MaxSamples:               maxSamples,
			Timeout:                  queryTimeout,
			LookbackDelta:            lookbackDelta,
			NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
			EnableAtModifier:         true,
			EnableNegativeOffset:     true,
			Parser:                   promqlParser,
		}),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("metric database: %w", err)
	}
	if err := os.RemoveAll(db.buildDir()); err != nil {
		return nil, fmt.Errorf("metric database: clear an unfinished backfill: %w", err)
	}
	if err := db.openStorage(); err != nil {
		return nil, err
	}
	db.ready = true
	return db, nil
}

// buildDir is where blocks are written before they take effect.
func (db *DB) buildDir() string { return filepath.Join(db.dir, "backfill.tmp") }

// openStorage opens the storage engine. The caller holds mu or is alone.
func (db *DB) openStorage() error {
	opts := tsdb.DefaultOptions()
	opts.MinBlockDuration = blockRange.Milliseconds()
	opts.MaxBlockDuration = blockRange.Milliseconds()
	opts.RetentionDuration = 0 // the drill ends before anything grows old
	opts.OutOfOrderTimeWindow = 0
	// A drill that died is started anew with its own history, so replaying live
	// samples is worth less than the writes it would cost on every batch.
	opts.WALSegmentSize = -1
	st, err := tsdb.Open(db.dir, db.log, nil, opts, nil)
	if err != nil {
		return fmt.Errorf("open the metric database in %s: %w", db.dir, err)
	}
	db.tsdb = st
	return nil
}

// Close stops the database. Samples since the backfill are lost with it.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.ready = false
	if db.tsdb == nil {
		return nil
	}
	st := db.tsdb
	db.tsdb = nil
	if err := errors.Join(db.engine.Close(), st.Close()); err != nil {
		return fmt.Errorf("close the metric database: %w", err)
	}
	return nil
}

// isReady reports whether queries see everything that was written.
func (db *DB) isReady() bool {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.ready
}

var errNotOpen = errors.New("the metric database is not open")

// Querier implements the storage interface of the query engine, in
// milliseconds of service time.
func (db *DB) Querier(mint, maxt int64) (storage.Querier, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.tsdb == nil {
		return nil, errNotOpen
	}
	return db.tsdb.Querier(mint, maxt)
}
