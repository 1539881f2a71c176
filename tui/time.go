package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// ranges are the steps of + and -.
var ranges = []time.Duration{
	5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour,
	12 * time.Hour, 24 * time.Hour, 3 * 24 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour,
}

const (
	minRange = time.Minute
	maxRange = 30 * 24 * time.Hour
)

// shownEnd is the end of what the screen shows.
func (m *Model) shownEnd() time.Time {
	if !m.view.Live() {
		return m.view.At
	}
	if m.read.snap != nil {
		return m.read.snap.At
	}
	return m.opts.Backend.Clock().Now()
}

// setView changes the one time of everything.
func (m *Model) setView(at time.Time, rng time.Duration, frozen bool) tea.Cmd {
	m.view.At, m.view.Range, m.frozen = at, rng, frozen
	m.renewPaneCtx()
	m.layout()
	return tea.Batch(m.startRead(), m.refreshPane())
}

func (m *Model) setTime(t pane.TimeMsg) tea.Cmd {
	rng := m.view.Range
	if t.Range > 0 {
		rng = max(minRange, min(maxRange, t.Range))
	}
	if now := m.opts.Backend.Clock().Now(); t.At.After(now) {
		m.notice = pane.NoticeMsg{Text: widget.Day(t.At, now, m.local) + " has not happened yet; showing now."}
		t.At = time.Time{}
	}
	return m.setView(t.At, rng, false)
}

// zoom makes the range longer or shorter by one step; its end stays.
func (m *Model) zoom(dir int) tea.Cmd {
	next := m.view.Range
	if dir > 0 {
		for i := len(ranges) - 1; i >= 0 && ranges[i] > m.view.Range; i-- {
			next = ranges[i]
		}
	} else {
		for i := 0; i < len(ranges) && ranges[i] < m.view.Range; i++ {
			next = ranges[i]
		}
	}
	if next == m.view.Range {
		m.notice = pane.NoticeMsg{Text: "That is as far as it goes; :range takes any other length."}
		return nil
	}
	return m.setView(m.view.At, next, m.frozen)
}

// pan moves by half a range; panning into the present is live again.
func (m *Model) pan(dir int) tea.Cmd {
	if dir > 0 && m.view.Live() {
		m.notice = pane.NoticeMsg{Text: "This is now; [ goes back in time."}
		return nil
	}
	at := m.shownEnd().Add(time.Duration(dir) * m.view.Range / 2)
	if !at.Before(m.opts.Backend.Clock().Now()) {
		return m.goLive()
	}
	return m.setView(at, m.view.Range, false)
}

func (m *Model) goLive() tea.Cmd {
	if m.view.Live() {
		m.notice = pane.NoticeMsg{Text: "Already live."}
		return nil
	}
	return m.setView(time.Time{}, m.view.Range, false)
}

// freeze holds the screen at what it shows; what is on it stays on it, and nothing is read.
func (m *Model) freeze() tea.Cmd {
	switch {
	case m.frozen:
		return m.goLive()
	case !m.view.Live():
		m.notice = pane.NoticeMsg{Text: "The past stands still already; 0 goes to now."}
		return nil
	}
	m.view.At, m.frozen = m.shownEnd(), true
	m.dropRead()
	m.renewPaneCtx()
	m.layout()
	return m.refreshPane()
}

// setService shows another service; not one figure of the old one stays.
func (m *Model) setService(name string) tea.Cmd {
	if name == m.service {
		return nil
	}
	m.service = name
	m.read.snap, m.read.err, m.read.now, m.read.lastGood = nil, nil, time.Time{}, time.Time{}
	m.forgetDuty()
	m.renewPaneCtx()
	m.layout()
	return tea.Batch(m.startRead(), m.readDuty(), m.refreshPane())
}

// parseAt reads a moment as people write it: "02:31", "02:31:05", "2026-03-10 02:31", RFC 3339 or "-10m".
func parseAt(s string, now time.Time, local bool) (time.Time, error) {
	s = strings.TrimSpace(s)
	zone := time.UTC
	if local {
		zone = time.Local
	}
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		var d sources.Duration
		if err := d.UnmarshalText([]byte(rest)); err == nil && rest != "" {
			return now.Add(-time.Duration(d)), nil
		}
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	plain := strings.TrimSuffix(s, "Z")
	if plain != s {
		zone = time.UTC
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, plain, zone); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		t, err := time.ParseInLocation(layout, plain, zone)
		if err != nil {
			continue
		}
		d := now.In(zone)
		t = time.Date(d.Year(), d.Month(), d.Day(), t.Hour(), t.Minute(), t.Second(), 0, zone)
		if t.After(now) {
			t = t.AddDate(0, 0, -1) // the last time it was that late
		}
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is no time; write it like 02:31, 2026-03-10 02:31 or -10m", s)
}
