package signals

import (
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
)

// splits are what a signal can be split by, in the order of the key.
var splits = [...]string{"", "prompt", "model", "index"}

// One shows a single signal with everything that is known about it.
type One struct {
	id string
	by string // split; empty for none

	parts   []sources.Part
	facts   sources.Facts
	err     string
	reading bool
	asked   int // number of the newest split request; answers to older ones are dropped

	top    int // first line of the details on the screen
	max    int
	cache  string
	cached oneKey
}

type oneKey struct {
	snap     *signal.Snapshot
	theme    *theme.Theme
	w, h     int
	id, by   string
	asked    int
	reading  bool
	top      int
	local    bool
	answered int
}

// kept is what makes the screen what it is.
type kept struct {
	id, by string
	top    int
}

type splitMsg struct {
	asked int
	parts []sources.Part
	facts sources.Facts
	err   error
}

// NewOne returns the pane.
func NewOne() *One { return &One{} }

// ID is signal.
func (o *One) ID() pane.ID { return pane.Signal }

// Title is the way to the signal: its pane and its name.
func (o *One) Title(c pane.Context) string {
	r, ok := o.get(c)
	if !ok {
		return "Signal " + o.id
	}
	s := strings.ToUpper(string(r.Pane[:min(1, len(r.Pane))])) + string(r.Pane[min(1, len(r.Pane)):]) + " " + c.Theme.Glyphs.Cursor + " " + r.Label
	if o.by != "" {
		s += " by " + o.by
	}
	return s
}

func (o *One) get(c pane.Context) (sources.Reading, bool) {
	if c.Snapshot == nil {
		return sources.Reading{}, false
	}
	return c.Snapshot.Reading(o.id)
}

// Open shows the signal whose name is the argument.
func (o *One) Open(c pane.Context, arg any) tea.Cmd {
	if id, ok := arg.(string); ok && id != o.id {
		o.id, o.by, o.parts, o.err, o.top = id, "", nil, "", 0
	}
	return o.Refresh(c)
}

// Refresh reads the split again.
func (o *One) Refresh(c pane.Context) tea.Cmd {
	o.asked++
	if o.by == "" {
		o.reading = false
		return nil
	}
	o.reading = true
	asked, ctx, backend, service, id, by, view := o.asked, c.Ctx, c.Backend, c.Service, o.id, o.by, c.View
	return func() tea.Msg {
		parts, facts, err := backend.Split(ctx, service, id, by, view)
		return splitMsg{asked, parts, facts, err}
	}
}

// Update changes the split or the signal, scrolls, and goes on to the requests.
func (o *One) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case splitMsg:
		if msg.asked != o.asked {
			return nil
		}
		o.reading = false
		o.cached = oneKey{}
		if msg.err != nil {
			o.err = msg.err.Error()
			return nil
		}
		o.parts, o.facts, o.err = msg.parts, msg.facts, ""
	case tea.KeyPressMsg:
		switch msg.String() {
		case "s":
			return o.split(c, 1)
		case "S":
			return o.split(c, len(splits)-1)
		case "right", "l", "n":
			return o.step(c, 1)
		case "left", "h", "p":
			return o.step(c, -1)
		case "down", "j":
			o.top = min(o.max, o.top+1)
		case "up", "k":
			o.top = max(0, o.top-1)
		case "pgdown":
			o.top = min(o.max, o.top+8)
		case "pgup":
			o.top = max(0, o.top-8)
		case "enter":
			return o.requests(c)
		case "w":
			id := o.id
			return func() tea.Msg { return pane.OpenMsg{ID: pane.Suspects, Arg: id} }
		}
	case tea.MouseWheelMsg:
		switch msg.Button {
		case tea.MouseWheelDown:
			o.top = min(o.max, o.top+1)
		case tea.MouseWheelUp:
			o.top = max(0, o.top-1)
		}
	}
	return nil
}

func (o *One) split(c pane.Context, by int) tea.Cmd {
	for i, s := range splits {
		if s == o.by {
			o.by = splits[(i+by)%len(splits)]
			break
		}
	}
	o.parts, o.err = nil, ""
	return o.Refresh(c)
}

// step goes to the next signal of the same pane.
func (o *One) step(c pane.Context, by int) tea.Cmd {
	r, ok := o.get(c)
	if !ok {
		return nil
	}
	var ids []string
	at := 0
	for i := range c.Snapshot.Readings {
		if x := &c.Snapshot.Readings[i]; x.Pane == r.Pane {
			if x.Signal == o.id {
				at = len(ids)
			}
			ids = append(ids, x.Signal)
		}
	}
	o.id, o.parts, o.err, o.top = ids[(at+by+len(ids))%len(ids)], nil, "", 0
	return o.Refresh(c)
}

// requests goes on to the bad requests of the time that is shown.
func (o *One) requests(c pane.Context) tea.Cmd {
	f := sources.RequestFilter{Service: c.Service, Bad: true}
	if o.id == "schema_fail" {
		f.Schema = "fail"
	}
	return func() tea.Msg { return pane.OpenMsg{ID: pane.Requests, Arg: f} }
}

// Keep remembers the signal, its split and what is scrolled to.
func (o *One) Keep() any { return kept{o.id, o.by, o.top} }

// Restore brings back what Keep remembered.
func (o *One) Restore(c pane.Context, k any) tea.Cmd {
	if k, ok := k.(kept); ok {
		o.id, o.by, o.top, o.parts, o.err = k.id, k.by, k.top, nil, ""
	}
	return o.Refresh(c)
}

// Keys are shown by ? and in the footer.
func (o *One) Keys() []key.Binding {
	b := func(help, word string, keys ...string) key.Binding {
		return key.NewBinding(key.WithKeys(keys...), key.WithHelp(help, word))
	}
	return []key.Binding{
		b("s", "split by prompt, model, index", "s", "S"),
		b("enter", "bad requests of this time", "enter"),
		b("left/right", "other signal", "left", "right", "h", "l", "n", "p"),
		b("up/down", "scroll", "up", "down", "j", "k"),
		b("y", "copy the query", "y"),
		b("w", "why: suspects, and the shape of what is about time", "w"),
	}
}

// CopyText is the query.
func (o *One) CopyText(c pane.Context) (text, what string) {
	r, _ := o.get(c)
	return r.Provenance.Query, "the query"
}

// Back leaves the way back to the shell.
func (o *One) Back(pane.Context) bool { return false }

// Capturing is false: nothing is typed here.
func (o *One) Capturing() bool { return false }

// Left forgets the answers that are still due.
func (o *One) Left() { o.asked++ }
