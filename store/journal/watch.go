package journal

import (
	"context"
	"database/sql"
	"sync"
	"time"
)

// pollEvery is how often other processes' appends are looked for, in wall
// time. One look reads a number in shared memory.
const pollEvery = 400 * time.Millisecond

// watchers wakes whoever wants to know that something was appended.
type watchers struct {
	file *file

	mu    sync.Mutex
	last  int64 // sequence number that all have been told of
	chans map[chan struct{}]bool
	stop  context.CancelFunc // ends the poller; nil when there is none
	done  chan struct{}
	ended bool
}

// Changed returns a channel that gets a value after this or any other process
// has appended. Several appends may be one value. It is closed when ctx ends
// or the journal is closed.
func (j *Journal) Changed(ctx context.Context) <-chan struct{} {
	w := &j.watch
	ch := make(chan struct{}, 1)
	head, _ := j.reader().readHead(ctx) // an unreadable one is as good as none: the first look tells
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		close(ch)
		return ch
	}
	if w.chans == nil {
		w.chans = map[chan struct{}]bool{}
	}
	if len(w.chans) == 0 {
		w.last = max(w.last, head.Seq)
	}
	w.chans[ch] = true
	if w.stop == nil {
		poll, cancel := context.WithCancel(context.WithoutCancel(ctx))
		w.stop, w.done = cancel, make(chan struct{})
		go w.poll(poll, w.done)
	}
	context.AfterFunc(ctx, func() { w.leave(ch) })
	return ch
}

func (w *watchers) leave(ch chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.chans[ch] {
		return
	}
	delete(w.chans, ch)
	close(ch)
	if len(w.chans) == 0 && w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// notify tells all that the chain has reached seq.
func (w *watchers) notify(seq int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if seq <= w.last {
		return
	}
	w.last = seq
	for ch := range w.chans {
		select {
		case ch <- struct{}{}:
		default: // told already, and has not looked yet
		}
	}
}

func (w *watchers) close() {
	w.mu.Lock()
	w.ended = true
	for ch := range w.chans {
		delete(w.chans, ch)
		close(ch)
	}
	done := w.done
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
	w.mu.Unlock()
	if done != nil {
		<-done
	}
}

// poll looks whether another connection has written, and only then where the
// chain ends. The number is that of one connection, so it keeps one.
func (w *watchers) poll(ctx context.Context, done chan struct{}) {
	defer close(done)
	var conn *sql.Conn
	var asked *sql.Stmt
	drop := func() {
		if asked != nil {
			_ = asked.Close()
		}
		if conn != nil {
			_ = conn.Close()
		}
		asked, conn = nil, nil
	}
	defer drop()
	// All day this is most of what an idle program does: the question is prepared once, and
	// as it waits for nothing, nobody stands by to cancel it.
	unwatched := context.WithoutCancel(ctx)
	var seen int64
	look := func() error {
		var err error
		if conn == nil {
			if conn, err = w.file.r.Conn(ctx); err != nil {
				return err
			}
			if asked, err = conn.PrepareContext(ctx, "PRAGMA data_version"); err != nil { //nolint:sqlclosecheck // drop closes it
				return err
			}
			seen = -1
		}
		var version int64
		if err := asked.QueryRowContext(unwatched).Scan(&version); err != nil || version == seen {
			return err
		}
		head, err := reader{conn, w.file.path}.readHead(ctx)
		if err == nil {
			seen = version
			w.notify(head.Seq)
		}
		return err
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if err := look(); err != nil {
			drop()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
