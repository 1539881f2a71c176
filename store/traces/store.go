// Package traces keeps spans and request rows in a folder of SQLite files, one
// per period in which they arrived. It is disposable: the oldest files go when
// they are too old, too many, or when the disk runs full.
//
// One process at a time receives; an flock in the folder says which. Every
// other process reads, the newest file included, and neither side waits for
// the other. A Consume that has returned without error survives the end of the
// process, however it comes.
package traces

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rollcall/sources"
)

// Folder makes request rows out of spans.
type Folder interface {
	Fold(spans []sources.Span, events []sources.TraceEvent) sources.Request
	ResponseIDs(spans []sources.Span) []string
}

// Config is the `traces:` section of the configuration.
type Config struct {
	Retention sources.Duration `yaml:"retention,omitempty"` // default 7d
	MaxBytes  sources.ByteSize `yaml:"max_bytes,omitempty"` // default 10GiB
}

// Options are what a store is opened with.
type Options struct {
	Folder    Folder
	Clock     sources.Clock
	Log       *slog.Logger
	Retention time.Duration // age in wall time after which a partition goes; default 7 days
	MaxBytes  int64         // of the whole folder; default 10 GiB
	ReadOnly  bool          // never try to receive
}

// Store is open until Close. Its methods may be called from any goroutine.
type Store struct {
	dir    string
	opts   Options
	limits limits
	codec  *codec

	mu     sync.RWMutex
	parts  []*partition // oldest first
	listed time.Time    // when the folder was last modified before it was listed; zero to list it anew

	state  sync.Mutex // guards what Health tells
	health health

	calls   chan *call
	tasks   chan func(*writer)
	stop    chan struct{}
	ended   chan struct{} // closed when the writer has finished what it had accepted
	closed  atomic.Bool
	running sync.WaitGroup
	lock    *os.File // nil when another process receives

	pending atomic.Int64 // events that wait for their response
}

// health is what the store has to say about itself.
type health struct {
	reason   string // why it does not receive, or cannot write
	readonly bool
	lastGood time.Time
	shed     int // partitions dropped because space ran out
	shedWhy  string
	aside    []string // partitions that cannot be read, with the reason
	lost     int64    // events whose response never came
	stored   int64
}

// limits are the bounds that tests make small.
type limits struct {
	period     time.Duration // of one partition
	partBytes  int64
	partTraces int64
	cacheSpans int
	groupSpans int           // spans per transaction
	rest       time.Duration // wall time after which a large trace is folded anew
	minFree    int64         // bytes of disk that are left to others
	maxPages   int           // of one partition, 0 is SQLite's own
	pendingMax int
	free       func(dir string) (int64, error)
	lock       func(path string) (*os.File, error)
}

func defaultLimits() limits {
	return limits{
		period: time.Hour, partBytes: 512 << 20, partTraces: 250_000, cacheSpans: 30_000, groupSpans: 8192,
		rest: time.Second, minFree: 256 << 20, pendingMax: 20_000, free: freeBytes, lock: lock,
	}
}

func freeBytes(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// Open opens the folder, creating it if need be, and receives when nobody else
// does. A folder that cannot be written to is opened for reading; Health says why.
func Open(dir string, opts Options) (*Store, error) { return open(dir, opts, defaultLimits()) }

func open(dir string, opts Options, lim limits) (*Store, error) {
	switch {
	case opts.Folder == nil:
		return nil, errors.New("traces: a folder for request rows is needed")
	case opts.Clock == nil:
		return nil, errors.New("traces: a clock is needed")
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Retention <= 0 {
		opts.Retention = 7 * 24 * time.Hour
	}
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = 10 << 30
	}
	lim.partBytes = min(lim.partBytes, max(opts.MaxBytes/4, 1<<20))
	cdc, err := newCodec()
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	s := &Store{dir: dir, opts: opts, limits: lim, codec: cdc, calls: make(chan *call, 64), tasks: make(chan func(*writer)), stop: make(chan struct{}), ended: make(chan struct{})}
	if !opts.ReadOnly {
		if err := os.MkdirAll(dir, 0o700); err != nil && !readOnly(err) {
			return nil, fmt.Errorf("traces: cannot create %s: %w; set `state:` to a folder that can be written to", dir, err)
		}
	}
	if err := s.refresh(); err != nil {
		return nil, fmt.Errorf("traces: cannot read %s: %w", dir, err)
	}
	if opts.ReadOnly {
		s.health.readonly = true
		return s, nil
	}
	if _, err := s.Receive(); err != nil {
		return nil, err
	}
	return s, nil
}

// Receive makes this process the receiver if nobody is, and tells whether it is
// now. Call it again later to take over from a receiver that has ended.
func (s *Store) Receive() (bool, error) {
	s.state.Lock()
	defer s.state.Unlock()
	if s.closed.Load() || s.opts.ReadOnly {
		return false, nil
	}
	if s.lock != nil {
		return true, nil
	}
	f, err := s.limits.lock(filepath.Join(s.dir, lockFile))
	switch {
	case errors.Is(err, errTaken):
		return false, nil
	case err != nil && readOnly(err):
		s.health.readonly = true
		s.health.reason = fmt.Sprintf("%s cannot be written to (%s); reading only", s.dir, short(err))
		return false, nil
	case err != nil:
		return false, fmt.Errorf("traces: %w", err)
	}
	s.lock = f
	s.health.readonly, s.health.reason = false, ""
	w := newWriter(s)
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		defer close(s.ended)
		w.loop()
	}()
	return true, nil
}

// readOnly tells whether the error says that nothing can be written there.
func readOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// short is the innermost reason of an error about a path that is named anyway.
func short(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// Receiving tells whether this process receives, and otherwise which does (0: nobody, or unknown).
func (s *Store) Receiving() (bool, int) {
	s.state.Lock()
	own := s.lock != nil
	s.state.Unlock()
	if own {
		return true, os.Getpid()
	}
	return false, Receiver(s.dir)
}

// Receiver returns the process that receives into a folder of traces; 0 for none or unknown.
func Receiver(dir string) int {
	path := filepath.Join(dir, lockFile)
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	// A shared lock is only to be had when nobody holds the exclusive one.
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return 0
	}
	return holder(path)
}

// Close lets the calls in hand finish, and gives the folder back.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	close(s.stop)
	s.running.Wait()
	s.mu.Lock()
	for _, p := range s.parts {
		p.close()
	}
	s.mu.Unlock()
	s.state.Lock()
	defer s.state.Unlock()
	if s.lock != nil {
		err := s.lock.Close()
		s.lock = nil
		return err
	}
	return nil
}

// settles is how much older than its listing a folder's last change must be for the
// listing to be trusted: a change right after it can carry the same time, on some file
// systems for a second.
const settles = 2 * time.Second

// refresh takes notice of partitions that came or went.
func (s *Store) refresh() error {
	var modified time.Time
	if fi, err := os.Stat(s.dir); err == nil {
		modified = fi.ModTime()
	}
	s.mu.RLock()
	same := !s.listed.IsZero() && s.listed.Equal(modified)
	s.mu.RUnlock()
	if same {
		return nil
	}
	if time.Since(modified) < settles { // the kernel's time, which no clock of ours replaces
		modified = time.Time{}
	}
	found, err := names(s.dir)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed = modified
	known := make(map[string]*partition, len(s.parts))
	for _, p := range s.parts {
		known[p.name] = p
	}
	parts := make([]*partition, 0, len(found))
	for _, n := range found {
		p := known[n]
		if p == nil {
			if p, err = newPartition(s.dir, n); err != nil {
				continue
			}
		}
		delete(known, n)
		parts = append(parts, p)
	}
	for _, gone := range known {
		gone.close()
	}
	s.parts = parts
	return nil
}

// newestFirst returns the partitions, newest first, as they are now.
func (s *Store) newestFirst() []*partition {
	_ = s.refresh() // a folder that cannot be listed now is served from what is known
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]*partition, len(s.parts))
	for i, p := range s.parts {
		out[len(out)-1-i] = p
	}
	return out
}

// dropPart forgets a partition whose file is gone.
func (s *Store) dropPart(p *partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range s.parts {
		if o == p {
			s.parts = append(s.parts[:i:i], s.parts[i+1:]...)
			return
		}
	}
}

// addPart takes a partition in, as the newest. A reader may have come upon its
// file first; the writer's own view of it stands.
func (s *Store) addPart(p *partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range s.parts {
		if o.name == p.name {
			if o != p {
				o.close()
				s.parts[i] = p
			}
			return
		}
	}
	s.parts = append(s.parts, p)
}

// unreadable records that a partition is left out, once.
func (s *Store) unreadable(p *partition, why string) {
	line := p.name + ": " + why
	s.state.Lock()
	defer s.state.Unlock()
	for _, l := range s.health.aside {
		if l == line {
			return
		}
	}
	if len(s.health.aside) < 16 {
		s.health.aside = append(s.health.aside, line)
	}
	s.opts.Log.Warn("partition left out", "partition", p.name, "reason", why)
}

var (
	errReadOnly = errors.New("the trace store is open for reading only")
	errClosed   = errors.New("the trace store is closed")
)

// Consume stores a batch and returns when it is safe. An error means that the
// sender should send it again later; what was stored of it twice counts once.
func (s *Store) Consume(ctx context.Context, b *sources.TraceBatch) error {
	s.state.Lock()
	receiving, reason := s.lock != nil, s.health.reason
	s.state.Unlock()
	if s.closed.Load() {
		return errClosed
	}
	if !receiving {
		if reason != "" {
			return fmt.Errorf("%w: %s", errReadOnly, reason)
		}
		return errReadOnly
	}
	c := &call{groups: s.group(b), done: make(chan error, 1)}
	if len(c.groups) == 0 {
		return nil
	}
	for i := range c.groups {
		c.spans += len(c.groups[i].spans)
	}
	select {
	case s.calls <- c:
	case <-s.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-c.done:
		return err
	case <-s.ended: // accepted too late, or answered at the last moment
		select {
		case err := <-c.done:
			return err
		default:
			return errClosed
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}
