// Package changes is the pane that lists what moved, newest first: versions that
// were deployed, and served models that moved without a deployment.
package changes

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// Pane lists changes.
type Pane struct {
	rows     []sources.Change // newest first
	facts    sources.Facts
	err      error
	answered bool
	list     kit.List

	comparing bool // versions that run at the same time, in full
	top       int  // first line of that on the screen

	service string
	view    sources.View
	gen     int
	loading bool
	cancel  context.CancelFunc
}

// New returns an empty pane.
func New() pane.Pane { return &Pane{} }

// ID returns pane.Changes.
func (p *Pane) ID() pane.ID { return pane.Changes }

// Title names the pane.
func (p *Pane) Title(pane.Context) string {
	if p.comparing {
		return "Changes: versions that run at the same time"
	}
	return "Changes"
}

// Capturing is always false: nothing is typed here.
func (p *Pane) Capturing() bool { return false }

// Back closes the comparison.
func (p *Pane) Back(pane.Context) bool {
	was := p.comparing
	p.comparing, p.top = false, 0
	return was
}

// Left stops what is being read.
func (p *Pane) Left() { p.stop() }

func (p *Pane) stop() {
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
	p.loading = false
	p.gen++
}

// Keep returns the changes and the selection.
func (p *Pane) Keep() any {
	kept := *p
	kept.cancel, kept.loading = nil, false
	return kept
}

// Restore brings them back and reads them again.
func (p *Pane) Restore(c pane.Context, kept any) tea.Cmd {
	was, ok := kept.(Pane)
	if !ok {
		return p.Open(c, nil)
	}
	p.stop()
	was.gen = p.gen
	*p = was
	return p.Refresh(c)
}

// Open reads the changes. A sources.Change as argument selects it.
func (p *Pane) Open(c pane.Context, arg any) tea.Cmd {
	if ch, ok := arg.(sources.Change); ok {
		p.list.Cursor = max(0, slices.IndexFunc(p.rows, func(r sources.Change) bool { return same(&r, &ch) }))
	}
	return p.read(c)
}

// Refresh reads the changes again, unless they are still being read for the same view.
func (p *Pane) Refresh(c pane.Context) tea.Cmd {
	if c.Frozen && p.answered && p.service == c.Service && p.view.Range == c.View.Range {
		p.stop() // what is on the screen stays on it
		p.view = c.View
		return nil
	}
	moved := p.service != c.Service || !p.view.At.Equal(c.View.At) || p.view.Range != c.View.Range
	if p.loading && !moved {
		return nil
	}
	if p.service != c.Service {
		p.rows, p.answered, p.list = nil, false, kit.List{}
	}
	return p.read(c)
}

type answer struct {
	gen   int
	rows  []sources.Change
	facts sources.Facts
	err   error
}

func (p *Pane) read(c pane.Context) tea.Cmd {
	p.stop()
	p.service, p.view = c.Service, c.View
	parent := c.Ctx
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithCancel(parent)
	p.cancel, p.loading = cancel, true
	gen, backend, service, view := p.gen, c.Backend, c.Service, c.View
	return func() tea.Msg {
		a := answer{gen: gen}
		a.rows, a.facts, a.err = backend.Changes(ctx, service, view)
		a.rows = slices.Clone(a.rows)
		slices.SortStableFunc(a.rows, func(x, y sources.Change) int { return y.At.Compare(x.At) })
		return a
	}
}

func same(a, b *sources.Change) bool {
	return a.At.Equal(b.At) && a.Component == b.Component && a.To == b.To && a.Silent == b.Silent
}

func (p *Pane) take(c pane.Context, a answer) {
	if a.gen != p.gen {
		return
	}
	p.loading = false
	p.cancel()
	p.cancel = nil
	if a.err != nil {
		if !errors.Is(a.err, context.Canceled) {
			p.err = a.err
		}
		return
	}
	at := 0
	if old := p.current(); old != nil {
		at = max(0, slices.IndexFunc(a.rows, func(r sources.Change) bool { return same(&r, old) }))
	}
	offset := p.list.Cursor - p.list.Top
	p.rows, p.facts, p.err, p.answered = a.rows, a.facts, nil, true
	p.list.Cursor, p.list.Top = at, at-offset
	p.list.Clamp(len(p.rows), tableHeight(c))
}

func (p *Pane) current() *sources.Change {
	if p.list.Cursor < len(p.rows) {
		return &p.rows[p.list.Cursor]
	}
	return nil
}

// CopyText returns the selected change in words.
func (p *Pane) CopyText(c pane.Context) (string, string) {
	ch := p.current()
	if ch == nil {
		return "", ""
	}
	return string(ch.Component) + " " + ch.From + " to " + ch.To + " at " + ch.At.UTC().Format(time.RFC3339), "change"
}

var keys = struct{ open, around, compare, home, move key.Binding }{
	open:    key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "requests of this version")),
	around:  key.NewBinding(key.WithKeys("a"), key.WithHelp("a", "set the time around it")),
	compare: key.NewBinding(key.WithKeys("v"), key.WithHelp("v", "compare what runs side by side")),
	home:    key.NewBinding(key.WithKeys("home"), key.WithHelp("home", "newest")),
	move:    key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "move")),
}

// Keys lists the keys.
func (p *Pane) Keys() []key.Binding {
	if p.comparing {
		return []key.Binding{keys.compare, keys.move}
	}
	return []key.Binding{keys.open, keys.around, keys.compare, keys.home, keys.move}
}

// Update takes keys, the mouse and answers.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case answer:
		p.take(c, msg)
	case tea.KeyPressMsg:
		if key.Matches(msg, keys.compare) {
			p.comparing, p.top = !p.comparing, 0
			return nil
		}
		if p.comparing {
			p.scroll(msg, c.Height)
			return nil
		}
		switch {
		case key.Matches(msg, keys.open):
			return p.requests(c)
		case key.Matches(msg, keys.around):
			return p.around(c)
		}
		p.list.Key(msg, len(p.rows), tableHeight(c))
	case tea.MouseWheelMsg:
		if p.comparing {
			p.top += kit.Wheel(msg)
			return nil
		}
		p.list.Move(kit.Wheel(msg), len(p.rows), tableHeight(c))
	case tea.MouseClickMsg:
		head := headLines(c)
		i := p.list.Top + msg.Y - head
		if p.comparing || msg.Button != tea.MouseLeft || msg.Y < head || msg.Y >= head+tableHeight(c) || i >= len(p.rows) {
			return nil
		}
		if i == p.list.Cursor {
			return p.requests(c)
		}
		p.list.Cursor = i
	}
	return nil
}

// scroll moves the comparison; View keeps it within its lines.
func (p *Pane) scroll(msg tea.KeyPressMsg, page int) {
	switch msg.String() {
	case "down", "j":
		p.top++
	case "up", "k":
		p.top--
	case "pgdown":
		p.top += page
	case "pgup":
		p.top -= page
	case "home":
		p.top = 0
	case "end":
		p.top = 1 << 20
	}
	p.top = max(0, p.top)
}

// requests opens the requests that ran what the change brought.
func (p *Pane) requests(pane.Context) tea.Cmd {
	ch := p.current()
	if ch == nil {
		return nil
	}
	f := sources.RequestFilter{}
	switch {
	case ch.Component == sources.Fallback:
		f.Where = []sources.Attribute{{Name: "fallback", Value: ch.From + "→" + ch.To}}
	case !ch.OfVersion():
		// No row says which features were on: those from then on.
		f.Since = ch.At
	case ch.Silent && strings.Contains(ch.Evidence, "system fingerprint moved"):
		f.Where = []sources.Attribute{{Name: "model_fingerprint", Value: ch.To}}
	case ch.Silent:
		// The version did not move: only what the provider served tells the requests apart.
		f.Served = ch.To
	default:
		f.Versions = map[sources.Component]string{ch.Component: ch.To}
	}
	return func() tea.Msg { return pane.OpenMsg{ID: pane.Requests, Arg: f} }
}

// around sets the time so that the change stands in the middle of the range, or
// as far in the past as now allows.
func (p *Pane) around(c pane.Context) tea.Cmd {
	ch := p.current()
	if ch == nil {
		return nil
	}
	end := ch.At.Add(c.View.Range / 2)
	if end.After(c.Now) {
		end = c.Now
	}
	msg := pane.TimeMsg{At: end, Range: c.View.Range}
	return func() tea.Msg { return msg }
}
