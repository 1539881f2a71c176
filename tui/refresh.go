package tui

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/sources/signal"
)

type tickMsg struct{}

type snapshotMsg struct {
	gen  int
	view sources.View
	snap *signal.Snapshot
	err  error
	now  time.Time
	took time.Duration
}

// tick asks for the next refresh. It is the only clock of the console: between
// two ticks nothing on the screen changes by itself.
func (m *Model) tick() tea.Cmd {
	return m.after(m.opts.Refresh, tickMsg{})
}

func (m *Model) onTick() tea.Cmd {
	m.read.checked = m.lastMsg
	cmds := []tea.Cmd{m.tick(), m.readDuty()}
	switch {
	case !m.view.Live() && (m.frozen || !m.read.retry):
	case m.read.flying:
		// The signals are late; what the pane reads by itself need not be.
		if m.view.Live() {
			m.read.now = m.opts.Backend.Clock().Now()
			cmds = append(cmds, m.refreshPane())
		}
	default:
		cmds = append(cmds, m.startRead())
	}
	return tea.Batch(cmds...)
}

// startRead reads a snapshot, unless one is being read: then that one is ended,
// and the next begins when it has reported.
func (m *Model) startRead() tea.Cmd {
	r := &m.read
	r.gen++
	if r.flying {
		r.again = true
		r.cancel()
		return nil
	}
	r.flying, r.since, r.again = true, m.lastMsg, false
	// Sources have limits of their own; this one is for a backend that forgot.
	ctx, cancel := context.WithTimeout(m.ctx, max(time.Minute, 4*m.opts.Refresh))
	r.cancel = cancel
	gen, service, view, first := r.gen, m.service, m.view, m.firstPane()
	backend, wall := m.opts.Backend, m.wall
	log := m.log
	return func() (msg tea.Msg) {
		defer cancel()
		var now time.Time
		defer func() {
			if r := recover(); r != nil {
				log.Error("reading the signals failed", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
				msg = snapshotMsg{gen: gen, view: view, err: fmt.Errorf("reading the signals failed: %v; the log has the details", r), now: now}
			}
		}()
		began := wall()
		now = backend.Clock().Now()
		snap, err := backend.Snapshot(ctx, service, view, first)
		return snapshotMsg{gen: gen, view: view, snap: snap, err: err, now: now, took: wall().Sub(began)}
	}
}

// dropRead ends the read that is under way; its result will not be shown.
func (m *Model) dropRead() {
	m.read.gen++
	m.read.again = false
	if m.read.flying {
		m.read.cancel()
	}
}

func (m *Model) onSnapshot(msg snapshotMsg) tea.Cmd {
	r := &m.read
	r.flying = false
	if msg.gen != r.gen {
		if r.again {
			return m.startRead()
		}
		return nil
	}
	r.checked, r.took = m.lastMsg, msg.took
	if msg.err == nil && msg.snap == nil {
		msg.err = errors.New("the sources gave nothing")
	}
	if msg.err != nil {
		r.err, r.retry = msg.err, true
		m.log.Warn("refresh failed", "service", m.service, "error", msg.err)
		r.now = msg.now
		return m.refreshPane()
	}
	if msg.snap.View.Range <= 0 {
		whole := *msg.snap
		whole.View = msg.view
		msg.snap = &whole
	}
	var books tea.Cmd
	if r.snap == nil {
		books = m.readDuty()
	}
	r.snap, r.err, r.now, r.lastGood = msg.snap, nil, msg.now, m.lastMsg
	r.retry = false
	for i := range msg.snap.Health {
		r.retry = r.retry || msg.snap.Health[i].State == sources.SourceDown
	}
	return tea.Batch(m.refreshPane(), books)
}
