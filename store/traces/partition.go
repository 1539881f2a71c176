package traces

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// A partition is one SQLite file that holds what arrived in one period of wall
// time. The newest is hot: it has no index besides the order of its keys, and
// the identifiers of its traces are looked up in memory. When its period is
// over it is sealed: the index of identifiers is built once.
//
//	requests      one wide row per trace, by key
//	chunks        spans and events: key<<20 | sequence → one compressed chunk
//	ids           hash of a trace, request or response ID → key; append-only
//	scores, documents, tool_calls   key<<10 | position → the row's lists
//	origins       sets of (column=field) pairs; a row names one
//	pending       events whose response is not known yet
//	stale         keys whose row is older than their chunks
//	blocks        key>>12 → the rows of those keys by column
//	filter        of a sealed one: which identifiers it surely does not have
type partition struct {
	name    string // file name; names sort by time
	path    string
	started time.Time // wall time

	index  idIndex
	sealed atomic.Bool

	retired bool        // takes no new traces; only the writer looks at it
	blocks  blocksState // likewise
	closed  bool        // sealed, with a filter; likewise

	filtering struct {
		sync.Mutex
		filtering
	}
	filterSize atomic.Int64 // bytes of the filter in memory

	mu      sync.Mutex
	readers *sql.DB
	lookUp  *sql.Stmt // of the readers, once sealed
	reason  string    // why it cannot be read; set once it has been given up
	span    timeSpan
}

// timeSpan is what is known of the start times of a partition's requests.
type timeSpan struct {
	stamp    stamp // file state for which it holds
	min, max int64
}

const (
	schemaVersion = 2
	schemaBefore  = 1 // without blocks; read as it is, and brought up to date when it is written to
	seqBits       = 20
	listBits      = 10
	suffix        = ".db"
)

var partitionName = regexp.MustCompile(`^p-(\d{8}T\d{6}Z)-\d{4}\.db$`)

const nameTime = "20060102T150405Z"

var schema = []string{
	requestDDL,
	"CREATE INDEX requests_by_time ON requests(time)",
	// The few rows that are looked for most, with what else they are mostly looked for by,
	// so that they are counted without being read.
	"CREATE INDEX requests_bad ON requests(time,service,prompt,model) WHERE bad=1",
	"CREATE INDEX requests_failed ON requests(error_type,time,service,prompt,model) WHERE error_type<>''",
	"CREATE TABLE chunks(id INTEGER PRIMARY KEY,data BLOB NOT NULL)",
	"CREATE TABLE ids(n INTEGER PRIMARY KEY,hash INTEGER NOT NULL,key INTEGER NOT NULL)",
	"CREATE TABLE scores(id INTEGER PRIMARY KEY,evaluator TEXT NOT NULL,value REAL,label TEXT NOT NULL,explanation TEXT NOT NULL)",
	"CREATE TABLE documents(id INTEGER PRIMARY KEY,document TEXT NOT NULL,score REAL)",
	"CREATE TABLE tool_calls(id INTEGER PRIMARY KEY,name TEXT NOT NULL,call_id TEXT NOT NULL,error TEXT NOT NULL,arguments TEXT NOT NULL,result TEXT NOT NULL)",
	"CREATE TABLE origins(id INTEGER PRIMARY KEY,fields TEXT NOT NULL)",
	"CREATE TABLE pending(id INTEGER PRIMARY KEY,hash INTEGER NOT NULL,data BLOB NOT NULL)",
	"CREATE TABLE stale(key INTEGER PRIMARY KEY)",
	"CREATE TABLE opened(service_ns INTEGER NOT NULL)", // service time at which the partition began
	blocksDDL,
}

// blocksDDL: lo and hi are the earliest and the latest request start of a block.
const blocksDDL = "CREATE TABLE blocks(n INTEGER PRIMARY KEY,lo INTEGER NOT NULL,hi INTEGER NOT NULL,data BLOB NOT NULL)"

const sealIndex = "CREATE INDEX IF NOT EXISTS ids_by_hash ON ids(hash)"

func newPartition(dir, name string) (*partition, error) {
	m := partitionName.FindStringSubmatch(name)
	if m == nil {
		return nil, fmt.Errorf("%s is not the name of a partition", name)
	}
	at, err := time.Parse(nameTime, m[1])
	if err != nil {
		return nil, err
	}
	return &partition{name: name, path: filepath.Join(dir, name), started: at}, nil
}

// nextName returns a name later than every name in use.
func nextName(dir string, wall time.Time) (string, error) {
	stamp := wall.UTC().Format(nameTime)
	for n := range 10000 {
		name := fmt.Sprintf("p-%s-%04d%s", stamp, n, suffix)
		taken, err := filepath.Glob(filepath.Join(dir, name) + "*")
		if err != nil {
			return "", err
		}
		if len(taken) == 0 {
			return name, nil
		}
	}
	return "", fmt.Errorf("no free partition name for %s", stamp)
}

// names returns the names of the partitions in the folder, oldest first.
func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	var out []string
	for _, e := range entries { // sorted by name
		if partitionName.MatchString(e.Name()) && !e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

func dsn(path string, params ...string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	return u.String() + "?" + strings.Join(params, "&")
}

// read returns the pool of read-only connections. They see every committed
// write of the live writer and never block it.
func (p *partition) read(ctx context.Context) (*sql.DB, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reason != "" {
		return nil, errors.New(p.reason)
	}
	if p.readers != nil {
		return p.readers, nil
	}
	var last error
	// A folder that cannot be written to holds no live writer's shared memory;
	// then the file itself is read as it stands.
	for _, mode := range []string{"mode=ro", "mode=ro&immutable=1"} {
		db, err := sql.Open("sqlite3", dsn(p.path, mode, "_query_only=1", "_busy_timeout=2000", "_cache_size=-4000", "_stmt_cache_size=24"))
		if err != nil {
			return nil, err
		}
		var version int
		if last = db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); last == nil {
			last = db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(new(int))
		}
		if last == nil && version != schemaVersion && version != schemaBefore {
			last = fmt.Errorf("it has schema %d and this version reads %d", version, schemaVersion)
		}
		if last == nil {
			db.SetMaxOpenConns(4)
			db.SetMaxIdleConns(2)
			db.SetConnMaxIdleTime(30 * time.Second)
			p.readers = db
			return db, nil
		}
		_ = db.Close()
		if !isCode(last, sqlite3.ErrCantOpen) && !isCode(last, sqlite3.ErrReadonly) {
			break
		}
	}
	return nil, last
}

// isSealed tells whether the index of identifiers exists.
func (p *partition) isSealed(ctx context.Context, db *sql.DB) bool {
	if p.sealed.Load() {
		return true
	}
	var one int
	if db.QueryRowContext(ctx, "SELECT 1 FROM sqlite_schema WHERE name='ids_by_hash'").Scan(&one) == nil {
		p.sealed.Store(true)
		p.index.drop()
		return true
	}
	return false
}

// maxLookUp is how many hashes one look-up asks for: one for each kind of identifier.
const maxLookUp = 3

// keys returns the keys that may carry one of up to maxLookUp identifiers,
// newest first for each; the caller verifies.
func (p *partition) keys(ctx context.Context, db *sql.DB, hashes ...int64) ([]int64, error) {
	var keys []int64
	if !p.isSealed(ctx, db) {
		if err := p.index.sync(ctx, db); err != nil {
			return nil, err
		}
		for _, h := range hashes {
			keys = append(keys, p.index.keys(h)...)
		}
		return keys, nil
	}
	// A look-up visits every partition, so each visit is made cheap: prepared
	// once, all hashes at once (repeated where there are fewer), and without
	// the goroutine that watches for a cancellation, which would come too late.
	stmt, err := p.prepared(ctx, db) //nolint:sqlclosecheck // closed with the readers
	if err != nil {
		return nil, err
	}
	args := [maxLookUp]any{}
	for i := range args {
		args[i] = hashes[min(i, len(hashes)-1)]
	}
	rows, err := stmt.QueryContext(context.WithoutCancel(ctx), args[:]...) //nolint:sqlclosecheck // walk closes them
	if err != nil {
		return nil, err
	}
	err = walk(rows, func() error {
		var k int64
		err := rows.Scan(&k)
		keys = append(keys, k)
		return err
	})
	return keys, err
}

// prepared returns the statement that looks up identifiers.
func (p *partition) prepared(ctx context.Context, db *sql.DB) (*sql.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lookUp != nil {
		return p.lookUp, nil
	}
	stmt, err := db.PrepareContext(ctx, "SELECT key FROM ids WHERE hash IN (?,?,?) ORDER BY n DESC LIMIT 192")
	if err == nil && p.readers == db {
		p.lookUp = stmt
	}
	return stmt, err
}

// times returns the earliest and latest request start; ok is false for an empty
// partition. The answer is kept until the file changes.
func (p *partition) times(ctx context.Context, db *sql.DB) (lo, hi int64, ok bool, err error) {
	now := p.stamp()
	p.mu.Lock()
	known := p.span
	p.mu.Unlock()
	if now == (stamp{}) || known.stamp != now {
		var a, b sql.NullInt64
		if err := db.QueryRowContext(ctx, "SELECT (SELECT min(time) FROM requests),(SELECT max(time) FROM requests)").Scan(&a, &b); err != nil {
			return 0, 0, false, err
		}
		known = timeSpan{stamp: now, min: a.Int64, max: b.Int64}
		if !a.Valid {
			known.min, known.max = 1, 0
		}
		p.mu.Lock()
		p.span = known
		p.mu.Unlock()
	}
	return known.min, known.max, known.min <= known.max, nil
}

// stamp identifies the state of a partition's files; zero when they are gone.
type stamp struct{ size, modified, logSize, logModified int64 }

func (p *partition) stamp() (s stamp) {
	if fi, err := os.Stat(p.path); err == nil {
		s.size, s.modified = fi.Size(), fi.ModTime().UnixNano()
	}
	if fi, err := os.Stat(p.path + "-wal"); err == nil {
		s.logSize, s.logModified = fi.Size(), fi.ModTime().UnixNano()
	}
	return s
}

// size returns the bytes that the partition takes on disk.
func (p *partition) size() int64 {
	var n int64
	for _, ext := range []string{"", "-wal"} {
		if fi, err := os.Stat(p.path + ext); err == nil {
			n += fi.Size()
		}
	}
	return n
}

func (p *partition) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lookUp != nil {
		_ = p.lookUp.Close()
		p.lookUp = nil
	}
	if p.readers != nil {
		_ = p.readers.Close()
		p.readers = nil
	}
}

// giveUp marks the partition as unreadable.
func (p *partition) giveUp(reason string) {
	p.close()
	p.mu.Lock()
	p.reason = reason
	p.mu.Unlock()
}

// remove deletes the partition's files. Readers that have it open finish undisturbed.
func (p *partition) remove() error {
	p.giveUp("partition " + p.name + " was removed")
	err := os.Remove(p.path)
	for _, ext := range []string{"-wal", "-shm"} {
		if e := os.Remove(p.path + ext); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// setAside renames a damaged partition so that it is kept but no longer used.
func (p *partition) setAside() error {
	p.giveUp("partition " + p.name + " is damaged and was set aside as " + p.name + ".damaged")
	err := os.Rename(p.path, p.path+".damaged")
	for _, ext := range []string{"-wal", "-shm"} {
		if e := os.Rename(p.path+ext, p.path+".damaged"+ext); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func (p *partition) unusable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason != ""
}

func isCode(err error, codes ...sqlite3.ErrNo) bool {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e.Code == c {
			return true
		}
	}
	return false
}

// isDamage tells whether the error says that the file is not a sound database.
func isDamage(err error) bool {
	return isCode(err, sqlite3.ErrCorrupt, sqlite3.ErrNotADB) || errors.Is(err, errChunk)
}
