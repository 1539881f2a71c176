package logapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// store keeps all streams in memory.
type store struct {
	opts Options

	mu      sync.RWMutex
	streams map[string]*stream
	tails   map[*tailBuffer]struct{}
	dropped uint64 // lines that had to make room
}

func newStore(opts Options) *store {
	return &store{opts: opts, streams: map[string]*stream{}, tails: map[*tailBuffer]struct{}{}}
}

// pushed is what a push brings for one stream.
type pushed struct {
	labels  labelSet
	entries []entry
}

// push stores lines and hands them to those who follow. Lines that cannot be
// taken are left out and named in the error; the rest is stored all the same.
func (st *store) push(batch []pushed) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	var rejected []error
	for _, p := range batch {
		key := p.labels.String()
		s := st.streams[key]
		if s == nil {
			if len(st.streams) >= st.opts.MaxStreams {
				return fmt.Errorf("%w: at most %d streams are kept, and %s would be one more", errTooMany, st.opts.MaxStreams, key)
			}
			s = &stream{labels: p.labels, key: key}
			st.streams[key] = s
		}
		for _, e := range p.entries {
			err := s.insert(e, st.opts.Disorder.Nanoseconds())
			switch {
			case errors.Is(err, errRepeated):
			case err != nil:
				rejected = append(rejected, fmt.Errorf("%w for stream %s, entry timestamp is: %s, oldest acceptable timestamp is: %s",
					err, key, formatTime(e.ts), formatTime(s.newest-st.opts.Disorder.Nanoseconds())))
			default:
				for t := range st.tails {
					t.offer(s, e)
				}
			}
		}
		st.dropped += uint64(s.trim(st.opts.MaxLines, st.opts.MaxBytes))
	}
	if len(rejected) > 10 {
		rejected = append(rejected[:10], fmt.Errorf("and %d more", len(rejected)-10))
	}
	return errors.Join(rejected...)
}

// streamView is what a query sees of a stream: fixed while it runs.
type streamView struct {
	labels  labelSet
	key     string
	entries [][]entry
}

// view returns the lines from start up to but not including end of the streams
// that match, sorted by labels.
func (st *store) view(sel selector, start, end int64) []streamView {
	st.mu.RLock()
	defer st.mu.RUnlock()
	return st.viewLocked(sel, start, end)
}

func (st *store) viewLocked(sel selector, start, end int64) []streamView {
	var out []streamView
	for _, s := range st.matching([]selector{sel}, start, end) {
		if es := s.view(start, end); len(es) > 0 {
			out = append(out, streamView{s.labels, s.key, es})
		}
	}
	return out
}

// matching returns the streams that match one of the selectors, or all streams
// when there are none, and have lines between start and end.
func (st *store) matching(sels []selector, start, end int64) []*stream {
	var out []*stream
	for _, s := range st.streams {
		if !s.spans(start, end) {
			continue
		}
		if len(sels) == 0 || slices.ContainsFunc(sels, func(sel selector) bool { return sel.matches(s.labels) }) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *stream) int { return strings.Compare(a.key, b.key) })
	return out
}

// labelSets returns the labels of the matching streams.
func (st *store) labelSets(sels []selector, start, end int64) []labelSet {
	st.mu.RLock()
	defer st.mu.RUnlock()
	var out []labelSet
	for _, s := range st.matching(sels, start, end) {
		out = append(out, s.labels)
	}
	return out
}

// follow registers a tail and returns the lines since start: what comes later
// reaches the tail, so nothing is missed and nothing comes twice.
func (st *store) follow(t *tailBuffer, start int64) ([]streamView, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if n := len(st.tails); n >= st.opts.MaxTails {
		return nil, fmt.Errorf("max concurrent tail requests limit exceeded, count > limit (%d > %d)", n+1, st.opts.MaxTails)
	}
	st.tails[t] = struct{}{}
	return st.viewLocked(t.sel, start, maxTime), nil
}

func (st *store) unfollow(t *tailBuffer) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.tails, t)
}

func (st *store) stats() Stats {
	st.mu.RLock()
	defer st.mu.RUnlock()
	out := Stats{Streams: len(st.streams), Tails: len(st.tails), Dropped: st.dropped}
	for _, s := range st.streams {
		out.Lines += s.lines
		out.Bytes += int64(s.bytes)
	}
	return out
}
