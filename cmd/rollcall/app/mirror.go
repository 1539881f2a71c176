package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/loki"
	"rollcall/sources/redact"
	"rollcall/store/journal"
)

const (
	mirrorJob = "rollcall-journal"
	// mirrorPage is how many entries are read and pushed at once.
	mirrorPage = 500
	// mirrorBack is how far back Loki is asked for what it has: as far as it lets
	// one query look by default. Older entries are not mirrored any more.
	mirrorBack = 30 * 24 * time.Hour
	// mirrorSlack is how far ahead of ours Loki's clock may be.
	mirrorSlack = 10 * time.Minute
	// A line stays below the 256 KiB that a Loki takes.
	mirrorText = 64 << 10
	mirrorLine = 200 << 10

	mirrorPause    = 5 * time.Second
	mirrorMaxPause = 5 * time.Minute
)

// mirror copies the journal into Loki. Loki itself remembers how far it got:
// the mirror asks for the highest sequence number there and pushes the rest,
// so that it catches up after either side was away, and pushing something
// twice, with the same time and text, changes nothing.
type mirror struct {
	journal func() (*journal.Journal, error) // for reading
	asks    interface {
		QueryRange(ctx context.Context, q sources.LogQuery) (sources.LogList, error)
	}
	push interface {
		Push(ctx context.Context, lines []loki.PushLine) error
	}
	// stamp is the time of an entry in Loki: its wall time, and in a drill what
	// the drill's clock showed then.
	stamp func(wall time.Time) time.Time
	clock sources.Clock
	log   *slog.Logger
	lock  string // path of the lock: one process of a state folder mirrors
	pause time.Duration

	done   int64  // all up to here are in Loki, or never will be
	asked  bool   // done is known
	ofID   string // the journal that done is of
	spoken string // the last trouble that was logged
}

// newMirror returns nil where the configuration names no Loki or wants no mirror.
func newMirror(cfg *config.File, clock sources.Clock, log *slog.Logger, client *loki.Client, open func() (*journal.Journal, error)) (*mirror, error) {
	if cfg.Loki == nil || client == nil || !cfg.Journal.Mirrored() {
		return nil, nil //nolint:nilnil // no mirror is no mistake
	}
	push, err := loki.NewPusher(*cfg.Loki)
	if err != nil {
		return nil, err
	}
	return &mirror{
		journal: open, asks: client, push: push, clock: clock, log: log, lock: filepath.Join(cfg.State, "mirror.lock"), pause: mirrorPause,
		stamp: func(wall time.Time) time.Time {
			then, err := cfg.Clock.Clock(func() time.Time { return wall })
			if err != nil {
				return wall
			}
			return then.Now()
		},
	}, nil
}

// mirrorAlone mirrors the journal while no console does, until ctx ends; stop
// waits for it.
func mirrorAlone(ctx context.Context, cfg *config.File, clock sources.Clock, log *slog.Logger, redactor *redact.Redactor) (stop func() error, err error) {
	if cfg.Loki == nil {
		return func() error { return nil }, nil
	}
	client, err := loki.New(*cfg.Loki, loki.Options{Clock: clock, Redactor: redactor, Log: log})
	if err != nil {
		return nil, err
	}
	d := openDiary(cfg, clock, log, redactor, "collect") //nolint:contextcheck // what is begun in the journal is finished
	m, err := newMirror(cfg, clock, log, client, d.read)
	if err != nil {
		client.Close()
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if m != nil {
			m.run(ctx)
		}
	}()
	return func() error {
		<-ended
		client.Close()
		return d.close()
	}, nil
}

// run mirrors until ctx ends. What is not mirrored by then is by the next run.
func (m *mirror) run(ctx context.Context) {
	pause := m.pause
	for ctx.Err() == nil {
		err := m.turn(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			pause = m.pause // nobody to mirror for, yet
		default:
			m.say(err)
			pause = min(2*pause, mirrorMaxPause)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

// turn is one hold of the lock: it mirrors until ctx ends or something fails.
// Without a journal, or while another process mirrors, it ends without an error.
func (m *mirror) turn(ctx context.Context) error {
	j, err := m.journal()
	switch {
	case errors.Is(err, journal.ErrUnknown), errors.Is(err, journal.ErrClosed):
		return nil
	case err != nil:
		return err
	}
	free, mine, err := tryLock(m.lock)
	if err != nil || !mine {
		return err
	}
	defer free()
	turn, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := j.Changed(turn)
	m.asked = false // another process may have mirrored in the meantime
	for {
		if err := m.catchUp(ctx, j); err != nil {
			m.asked = false
			return err
		}
		m.spoken = ""
		if _, open := <-changed; !open {
			return nil
		}
	}
}

// catchUp pushes what Loki does not have.
func (m *mirror) catchUp(ctx context.Context, j *journal.Journal) error {
	if !m.asked || m.ofID != j.ID() {
		done, err := m.last(ctx, j)
		if err != nil {
			return err
		}
		m.done, m.ofID, m.asked = max(done, m.skipped(j)), j.ID(), true
	}
	for {
		page, err := j.Entries(ctx, journal.Filter{After: m.done, Limit: mirrorPage})
		if err != nil || len(page) == 0 {
			return err
		}
		oldest := m.clock.Wall().Add(-mirrorBack)
		lines := make([]loki.PushLine, 0, len(page))
		for i := range page {
			if page[i].Wall.After(oldest) {
				lines = append(lines, m.line(j.ID(), &page[i]))
			}
		}
		err = m.push.Push(ctx, lines)
		if errors.Is(err, loki.ErrRefused) {
			if err = m.oneByOne(ctx, lines, err); err == nil {
				m.log.Warn("some entries are not mirrored: Loki refuses them", "from", page[0].Seq, "to", page[len(page)-1].Seq)
			}
		}
		if err != nil {
			return err
		}
		m.done = page[len(page)-1].Seq
		if len(page) < mirrorPage {
			return nil
		}
	}
}

// skipped is what this process knows to be useless to push again.
func (m *mirror) skipped(j *journal.Journal) int64 {
	if m.ofID == j.ID() {
		return m.done
	}
	return 0
}

// oneByOne pushes the lines of a batch that was refused as a whole: an entry
// that is too old must not keep the ones after it out.
func (m *mirror) oneByOne(ctx context.Context, lines []loki.PushLine, why error) error {
	m.say(why)
	for i := range lines {
		if err := m.push.Push(ctx, lines[i:i+1]); err != nil && !errors.Is(err, loki.ErrRefused) {
			return err
		}
	}
	return nil
}

var mirroredSeq = regexp.MustCompile(`^\{"seq":([0-9]{1,18}),`)

// last asks Loki for the highest sequence number that it has. The newest lines
// by time need not be the highest, when the wall clock once went back: so
// several are looked at. Lines that this misses are pushed again, which is harmless.
func (m *mirror) last(ctx context.Context, j *journal.Journal) (int64, error) {
	until := m.stamp(m.clock.Wall())
	for _, back := range []time.Duration{24 * time.Hour, mirrorBack - time.Hour} {
		list, err := m.asks.QueryRange(ctx, sources.LogQuery{
			Query: fmt.Sprintf("{job=%q, journal=%q}", mirrorJob, j.ID()), Since: until.Add(-back), Until: until.Add(mirrorSlack), Limit: mirrorPage,
		})
		if err == nil && list.Facts.Partial != "" {
			err = errors.New(list.Facts.Partial)
		}
		if err != nil {
			return 0, err
		}
		var last int64
		for i := range list.Lines {
			if found := mirroredSeq.FindStringSubmatch(list.Lines[i].Line); found != nil {
				n, _ := strconv.ParseInt(found[1], 10, 64) // as many digits as fit
				last = max(last, n)
			}
		}
		if last > 0 {
			return last, nil
		}
	}
	return 0, nil
}

// mirrored is an entry as a line: all of it but the bodies of artifacts.
type mirrored struct {
	Seq int64 `json:"seq"` // first, so that a line that was cut still has it
	*journal.Entry
	Cut bool `json:"cut,omitempty"` // text or data is longer in the journal
}

func (m *mirror) line(id string, e *journal.Entry) loki.PushLine {
	class, _, _ := strings.Cut(string(e.Kind), ".")
	labels := map[string]string{"job": mirrorJob, "journal": id, "kind": class}
	if e.Service != "" {
		labels["service"] = e.Service
	}
	out := mirrored{Seq: e.Seq, Entry: e}
	if len(e.Text) > mirrorText {
		short := *e
		short.Text = strings.ToValidUTF8(e.Text[:mirrorText], "")
		out.Entry, out.Cut = &short, true
	}
	text, err := json.Marshal(out)
	if len(text) > mirrorLine || err != nil {
		short := *out.Entry
		short.Data, short.Artifacts = nil, nil
		out.Entry, out.Cut = &short, true
		text, _ = json.Marshal(out) // plain strings and numbers
	}
	return loki.PushLine{Labels: labels, Time: m.stamp(e.Wall), Line: string(text)}
}

// say logs a trouble once, not at every attempt.
func (m *mirror) say(err error) {
	if s := err.Error(); s != m.spoken {
		m.spoken = s
		m.log.Warn("the journal is not mirrored for now", "err", line(s))
	}
}
