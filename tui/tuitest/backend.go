// Package tuitest is a backend without sources, for tests of the console: one
// service whose prompt regressed sixteen minutes ago, a second one that is well,
// and switches that make any read hang, fail or say something hostile.
// Everything in it follows from its clock, so that screens can be compared.
package tuitest

import (
	"context"
	"sync"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal"
)

// Start is the service time at which a new Backend's clock stands.
var Start = time.Date(2026, 3, 10, 2, 47, 0, 0, time.UTC)

// The services of the backend.
const (
	Failing = "support-assistant"
	Quiet   = "billing-assistant"
)

// Clock is a clock that only moves when told to; service and wall time are the same.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// Now returns the time.
func (c *Clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

// Wall returns the time.
func (c *Clock) Wall() time.Time { return c.Now() }

// ToWall returns d.
func (c *Clock) ToWall(d time.Duration) time.Duration { return d }

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

// Backend implements pane.Backend. The On functions, when set, answer instead
// of the built-in data; set them before the backend is used.
type Backend struct {
	Time *Clock

	OnSnapshot func(ctx context.Context, service string, v sources.View, first sources.Pane) (*signal.Snapshot, error)
	OnSplit    func(ctx context.Context, service, id, by string, v sources.View) ([]sources.Part, sources.Facts, error)
	OnSuspects func(ctx context.Context, service, id string, v sources.View, anyway bool) (*signal.Explanation, error)
	OnRequests func(ctx context.Context, f sources.RequestFilter) (sources.RequestList, error)
	OnRequest  func(ctx context.Context, service, id string) (*sources.RequestView, error)
	OnLogs     func(ctx context.Context, service string, q sources.LogQuery) (sources.LogList, error)
	OnTail     func(ctx context.Context, service string, q sources.LogQuery) (<-chan sources.LogBatch, error)
	OnChanges  func(ctx context.Context, service string, v sources.View) ([]sources.Change, sources.Facts, error)

	mu    sync.Mutex
	calls map[string]int
}

// New returns a backend whose clock stands at Start.
func New() *Backend { return &Backend{Time: &Clock{t: Start}, calls: map[string]int{}} }

func (b *Backend) called(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls[name]++
}

// Calls tells how often a method ("Snapshot", "Logs", ...) was called.
func (b *Backend) Calls(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[name]
}

// Clock returns the clock that only Advance moves.
func (b *Backend) Clock() sources.Clock { return b.Time }

// Services returns the two services.
func (b *Backend) Services() []string { return []string{Failing, Quiet} }

// Snapshot returns the built-in readings of the service at the view's time.
func (b *Backend) Snapshot(ctx context.Context, service string, v sources.View, first sources.Pane) (*signal.Snapshot, error) {
	b.called("Snapshot")
	if b.OnSnapshot != nil {
		return b.OnSnapshot(ctx, service, v, first)
	}
	return Snapshot(service, v, b.Time.Now()), nil
}

// Split returns two parts, the version after the change being the bad one.
func (b *Backend) Split(ctx context.Context, service, id, by string, v sources.View) ([]sources.Part, sources.Facts, error) {
	b.called("Split")
	if b.OnSplit != nil {
		return b.OnSplit(ctx, service, id, by, v)
	}
	parts, facts := split(service, id, by, v, b.Time.Now())
	return parts, facts, nil
}

// Suspects finds the new prompt behind what is bad, and two humps in what is about time.
func (b *Backend) Suspects(ctx context.Context, service, id string, v sources.View, anyway bool) (*signal.Explanation, error) {
	b.called("Suspects")
	if b.OnSuspects != nil {
		return b.OnSuspects(ctx, service, id, v, anyway)
	}
	return Suspects(service, id, v, b.Time.Now(), anyway), nil
}

// Requests returns the built-in rows that the filter keeps.
func (b *Backend) Requests(ctx context.Context, f sources.RequestFilter) (sources.RequestList, error) {
	b.called("Requests")
	if b.OnRequests != nil {
		return b.OnRequests(ctx, f)
	}
	return Requests(f, b.Time.Now()), nil
}

// Request returns everything about one of the built-in rows.
func (b *Backend) Request(ctx context.Context, service, id string) (*sources.RequestView, error) {
	b.called("Request")
	if b.OnRequest != nil {
		return b.OnRequest(ctx, service, id)
	}
	return Request(service, id, b.Time.Now())
}

// Logs returns the built-in lines that the query keeps.
func (b *Backend) Logs(ctx context.Context, service string, q sources.LogQuery) (sources.LogList, error) {
	b.called("Logs")
	if b.OnLogs != nil {
		return b.OnLogs(ctx, service, q)
	}
	return Logs(service, q, b.Time.Now()), nil
}

// Tail says that it is live and then nothing until ctx ends.
func (b *Backend) Tail(ctx context.Context, service string, q sources.LogQuery) (<-chan sources.LogBatch, error) {
	b.called("Tail")
	if b.OnTail != nil {
		return b.OnTail(ctx, service, q)
	}
	ch := make(chan sources.LogBatch, 1)
	ch <- sources.LogBatch{State: "live"}
	go func() {
		<-ctx.Done()
		close(ch)
	}()
	return ch, nil
}

// Changes returns the changes of the built-in snapshot.
func (b *Backend) Changes(ctx context.Context, service string, v sources.View) ([]sources.Change, sources.Facts, error) {
	b.called("Changes")
	if b.OnChanges != nil {
		return b.OnChanges(ctx, service, v)
	}
	s := Snapshot(service, v, b.Time.Now())
	return s.Changes, sources.Facts{
		Source: "prometheus", At: s.At, Fetched: b.Time.Now(),
		Took: 4 * time.Millisecond, Shown: len(s.Changes), Total: len(s.Changes),
	}, nil
}

// Debug returns three counters.
func (b *Backend) Debug() [][2]string {
	return [][2]string{{"prom queries", "1284"}, {"prom in flight", "0"}, {"spans stored", "48210"}}
}
