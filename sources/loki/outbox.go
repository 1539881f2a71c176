package loki

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"rollcall/sources"
)

const (
	batchEvery = 100 * time.Millisecond
	batchLines = 500
	maxWaiting = 10_000   // lines
	maxHeld    = 32 << 20 // bytes of lines
)

// outbox holds what a tail read until the consumer takes it. Adding never
// blocks: when too much waits, the oldest lines go and are counted.
type outbox struct {
	mu      sync.Mutex
	queue   []sources.LogBatch
	now     string // state of the newest batch
	waiting int    // lines in the queue
	held    int    // bytes of them
	wake    chan struct{}
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// tip returns the batch that takes what comes next.
func (o *outbox) tip() *sources.LogBatch {
	if n := len(o.queue); n > 0 && o.queue[n-1].State == o.now && len(o.queue[n-1].Lines) < batchLines {
		return &o.queue[n-1]
	}
	o.queue = append(o.queue, sources.LogBatch{State: o.now})
	return &o.queue[len(o.queue)-1]
}

func (o *outbox) state(s string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s == o.now {
		return
	}
	o.now = s
	// While nobody takes anything, changes of state that nobody saw are not worth keeping.
	if n := len(o.queue); n > 0 && len(o.queue[n-1].Lines) == 0 && o.queue[n-1].Dropped == 0 {
		o.queue[n-1].State = s
	} else {
		o.queue = append(o.queue, sources.LogBatch{State: s})
	}
	o.signal()
}

func (o *outbox) drop(n int) {
	if n == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tip().Dropped += n
	o.signal()
}

func (o *outbox) lines(lines []sources.LogLine) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range lines {
		b := o.tip()
		b.Lines = append(b.Lines, l)
		o.waiting++
		o.held += len(l.Line)
	}
	for i := range o.queue {
		b := &o.queue[i]
		for len(b.Lines) > 0 && (o.waiting > maxWaiting || o.held > maxHeld) {
			o.held -= len(b.Lines[0].Line)
			o.waiting--
			b.Lines = b.Lines[1:]
			b.Dropped++
		}
	}
	o.shrink()
	o.signal()
}

// shrink joins batches that are empty but for their count into the next one.
func (o *outbox) shrink() {
	for len(o.queue) > 1 && len(o.queue[0].Lines) == 0 && o.queue[0].State == o.queue[1].State {
		o.queue[1].Dropped += o.queue[0].Dropped
		o.queue = o.queue[1:]
	}
}

// take returns the oldest batch, when there is one.
func (o *outbox) take() (b sources.LogBatch, ok, full bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		return b, false, false
	}
	b = o.queue[0]
	o.queue = o.queue[1:]
	o.waiting -= len(b.Lines)
	for i := range b.Lines {
		o.held -= len(b.Lines[i].Line)
	}
	slices.SortStableFunc(b.Lines, func(a, b sources.LogLine) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	return b, true, len(o.queue) > 0
}

// deliver hands batches over until ctx ends: at once after a quiet time, then at most every batchEvery unless much waits.
func (o *outbox) deliver(ctx context.Context, ch chan<- sources.LogBatch) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		}
		for {
			b, ok, more := o.take()
			if !ok {
				break
			}
			select {
			case <-ctx.Done():
				return
			case ch <- b:
			}
			if !more && wait(ctx, batchEvery) != nil {
				return
			}
		}
	}
}
