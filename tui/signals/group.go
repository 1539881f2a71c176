// Package signals holds the full-screen panes of the signals: a group of them
// (Health, Quality, Cost, Safety), each with a chart, and one alone with
// everything that is known about it.
package signals

import (
	"strconv"
	"strings"

	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/widget"
)

// Group shows all signals of one pane as a grid of charts.
type Group struct {
	id    pane.ID
	group sources.Pane

	selected string
	top      int // first row of the grid on the screen
	filter   textinput.Model
	typing   bool

	charts map[string][]string // drawn charts by signal
	drawn  drawnFor
	gutter int // width of the charts' labels
	cache  string
	cached viewKey
}

// drawnFor is what the drawn charts depend on.
type drawnFor struct {
	snap  *signal.Snapshot
	theme *theme.Theme
	w, h  int
	local bool
}

type viewKey struct {
	drawnFor
	bodyW, bodyH int
	selected     string
	filter       string
	top          int
}

// NewGroup returns the pane of a group of signals.
func NewGroup(id pane.ID, group sources.Pane) *Group {
	in := textinput.New()
	in.Prompt = "/"
	in.CharLimit = 60
	st := in.Styles()
	st.Cursor.Blink = false
	in.SetStyles(st)
	return &Group{id: id, group: group, filter: in, charts: map[string][]string{}}
}

// ID is the pane's word.
func (g *Group) ID() pane.ID { return g.id }

// Title names the group and says how much of it is shown.
func (g *Group) Title(c pane.Context) string {
	name := strings.ToUpper(string(g.id[:1])) + string(g.id[1:])
	if c.Snapshot == nil {
		return name
	}
	shown, missing := g.list(c)
	s := name + " " + c.Theme.Glyphs.Dot + " last " + widget.Span(c.Snapshot.View.Range) + " " + c.Theme.Glyphs.Dot + " " + strconv.Itoa(len(shown)) + " signals"
	if f := g.filter.Value(); f != "" {
		s += " matching " + strconv.Quote(f)
	} else if len(missing) > 0 {
		s += ", " + strconv.Itoa(len(missing)) + " not exposed"
	}
	return s
}

// list splits the group's signals into those with a chart and those that this system does not have.
func (g *Group) list(c pane.Context) (shown, missing []*sources.Reading) {
	f := strings.ToLower(g.filter.Value())
	for i := range c.Snapshot.Readings {
		r := &c.Snapshot.Readings[i]
		if r.Pane != g.group || f != "" && !strings.Contains(strings.ToLower(r.Label+" "+r.Signal), f) {
			continue
		}
		if r.Verdict == sources.NotExposed {
			missing = append(missing, r)
		} else {
			shown = append(shown, r)
		}
	}
	return shown, missing
}

// Open shows the group; a signal's name as argument selects it.
func (g *Group) Open(c pane.Context, arg any) tea.Cmd {
	if id, ok := arg.(string); ok && id != "" {
		g.selected = id
	}
	return g.Refresh(c)
}

// Refresh keeps the cursor on a signal that exists: the worst one at first.
func (g *Group) Refresh(c pane.Context) tea.Cmd {
	if c.Snapshot == nil {
		return nil
	}
	shown, _ := g.list(c)
	worst := sources.NotExposed
	pick := ""
	for _, r := range shown {
		if r.Signal == g.selected {
			return nil
		}
		if pick == "" || r.Verdict.Worse(worst) {
			worst, pick = r.Verdict, r.Signal
		}
	}
	g.selected = pick
	return nil
}

// grid is the shape of the charts on the screen.
type grid struct {
	cols, rows int // rows in all
	w, h       int // of one chart with its heading
	seen       int // rows on the screen
}

// Heights of a chart with its heading and the row below it: what is enough to
// read levels off it, and what is the most.
const (
	goodChart = 14
	maxChart  = 20
)

func shape(width, height, n int) grid {
	gr := grid{cols: 1}
	switch {
	case width >= 180:
		gr.cols = 3
	case width >= 110:
		gr.cols = 2
	}
	gr.cols = max(1, min(gr.cols, n))
	rows := func(cols int) int { return (n + cols - 1) / cols }
	// Few signals on a large screen: wider charts in more rows leave less of it empty.
	for gr.cols > 2 && rows(gr.cols)*maxChart < height && height/rows(gr.cols-1) >= goodChart {
		gr.cols--
	}
	gr.rows = rows(gr.cols)
	gr.w = width / gr.cols
	// Charts share the height, up to where more of it shows nothing more.
	gr.h = min(max(8, height/max(1, gr.rows)), maxChart, max(5, height))
	gr.seen = max(1, height/gr.h)
	return gr
}

// Update moves the cursor, types the filter, opens a signal.
func (g *Group) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	if g.typing {
		return g.typeFilter(c, msg)
	}
	if c.Snapshot == nil {
		return nil
	}
	shown, _ := g.list(c)
	gr := shape(c.Width, g.chartRows(c), len(shown))
	at := index(shown, g.selected)
	switch msg := msg.(type) {
	case tea.KeyPressMsg:
		switch msg.String() {
		case "down", "j":
			at += gr.cols
			if at >= len(shown) && (at/gr.cols) < gr.rows {
				at = len(shown) - 1
			}
		case "up", "k":
			at -= gr.cols
		case "right", "l", "tab":
			at++
		case "left", "h", "shift+tab":
			at--
		case "pgdown":
			at += gr.cols * gr.seen
			at = min(at, len(shown)-1)
		case "pgup":
			at = max(0, at-gr.cols*gr.seen)
		case "home":
			at = 0
		case "end":
			at = len(shown) - 1
		case "w":
			if id := g.selected; id != "" {
				return func() tea.Msg { return pane.OpenMsg{ID: pane.Suspects, Arg: id} }
			}
		case "b":
			if g.group == sources.CostPane {
				return func() tea.Msg { return pane.OpenMsg{ID: pane.Spending} }
			}
			return nil
		case "/":
			g.typing = true
			return g.filter.Focus()
		case "enter":
			return g.enter()
		default:
			return nil
		}
		if at >= 0 && at < len(shown) {
			g.selected = shown[at].Signal
		}
	case tea.MouseWheelMsg:
		if msg.Button == tea.MouseWheelDown && at+gr.cols < len(shown) {
			g.selected = shown[at+gr.cols].Signal
		} else if msg.Button == tea.MouseWheelUp && at-gr.cols >= 0 {
			g.selected = shown[at-gr.cols].Signal
		}
	case tea.MouseClickMsg:
		k := (g.top+msg.Y/gr.h)*gr.cols + min(gr.cols-1, msg.X/max(1, gr.w))
		if msg.Button == tea.MouseLeft && k < len(shown) && msg.Y < gr.seen*gr.h {
			if g.selected == shown[k].Signal {
				return g.enter()
			}
			g.selected = shown[k].Signal
		}
	}
	return nil
}

func (g *Group) enter() tea.Cmd {
	id := g.selected
	if id == "" {
		return nil
	}
	return func() tea.Msg { return pane.OpenMsg{ID: pane.Signal, Arg: id} }
}

func (g *Group) typeFilter(c pane.Context, msg tea.Msg) tea.Cmd {
	if k, ok := msg.(tea.KeyPressMsg); ok && k.String() == "enter" {
		g.typing = false
		g.filter.Blur()
		return nil
	}
	var cmd tea.Cmd
	g.filter, cmd = g.filter.Update(msg)
	if c.Snapshot != nil {
		g.Refresh(c)
	}
	return cmd
}

// Back closes the filter before the pane.
func (g *Group) Back(c pane.Context) bool {
	if !g.typing && g.filter.Value() == "" {
		return false
	}
	g.typing = false
	g.filter.Blur()
	g.filter.SetValue("")
	if c.Snapshot != nil {
		g.Refresh(c)
	}
	return true
}

// Capturing is true while the filter is typed.
func (g *Group) Capturing() bool { return g.typing }

// Left does nothing.
func (g *Group) Left() {}

// Keys are shown by ? and in the footer.
func (g *Group) Keys() []key.Binding {
	b := func(help, word string, keys ...string) key.Binding {
		return key.NewBinding(key.WithKeys(keys...), key.WithHelp(help, word))
	}
	if g.typing {
		return []key.Binding{b("enter", "keep the filter", "enter"), b("esc", "clear it", "esc")}
	}
	out := []key.Binding{b("enter", "open the signal", "enter")}
	if g.group == sources.CostPane {
		out = append(out, b("b", "where money goes: budgets, loops, who spends", "b"))
	}
	return append(
		out,
		b("arrows", "select", "up", "down", "left", "right", "h", "j", "k", "l", "tab"),
		b("/", "filter by name", "/"),
		b("w", "why: suspects of the selected signal", "w"),
	)
}

// CopyText is the query behind the selected signal.
func (g *Group) CopyText(c pane.Context) (text, what string) {
	if c.Snapshot == nil {
		return "", ""
	}
	r, _ := c.Snapshot.Reading(g.selected)
	return r.Provenance.Query, "the query of " + r.Label
}

func index(shown []*sources.Reading, id string) int {
	for i, r := range shown {
		if r.Signal == id {
			return i
		}
	}
	return 0
}

// chartRows is the height that the charts have: the last row is the filter's or names what is not exposed.
func (g *Group) chartRows(c pane.Context) int { return max(1, c.Height-1) }
