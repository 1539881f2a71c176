// Package alerts is the pane of what fires: rollcall's own verdicts and the
// alerts of Prometheus and Alertmanager in one list, with acknowledgement and
// silence; and beside it what alerts ask of people, by rule.
package alerts

import (
	"context"
	"errors"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/alerts"
	"rollcall/store/fatigue"
	"rollcall/store/journal"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// Source is where alerts come from and where they are acted on. Every call is
// bounded and ends when its context does; a source that is down is a matter of the list.
type Source interface {
	Alerts(ctx context.Context, service string, v sources.View, snap *signal.Snapshot) (*alerts.List, error)
	AckAlert(ctx context.Context, service, name, note string, acted bool) ([]journal.Entry, error)
	// PlanSilence says what a silence would do; only Silence does it, and returns its ID.
	PlanSilence(ctx context.Context, service, name string, length time.Duration, comment string) (alerts.Plan, error)
	Silence(ctx context.Context, p alerts.Plan) (string, error)
	// Fatigue looks at the four weeks before a time; zero is now.
	Fatigue(ctx context.Context, service string, at time.Time) (*fatigue.Report, error)
}

// Pane lists alerts, or the rules by what they ask of people.
type Pane struct {
	source Source

	list     *alerts.List
	rows     []*alerts.Alert // those that the filter keeps
	at       kit.List
	filter   string
	err      error
	answered bool

	tired   bool // the second view
	report  *fatigue.Report
	ruleAt  kit.List
	tiredBy error

	detail *alerts.Alert // in full
	scroll kit.Scroll

	input kit.Input
	doing doing
	acted bool // the acknowledgement says that something was done
	on    string
	sure  kit.Sure
	asked time.Time // wall time since when the question stands
	busy  bool      // an action is under way

	service string
	view    sources.View
	gen     int
	loading bool
	cancel  context.CancelFunc
}

// doing is what is being typed.
type doing int

const (
	nothing doing = iota
	filtering
	acking
	silencing
)

// New returns an empty pane.
func New(s Source) pane.Pane { return &Pane{source: s} }

// ID returns pane.Alerts.
func (p *Pane) ID() pane.ID { return pane.Alerts }

// Title names the view.
func (p *Pane) Title(pane.Context) string {
	switch {
	case p.detail != nil:
		return "Alert " + p.detail.ID
	case p.tired:
		return "Alerts: what they ask of people"
	}
	return "Alerts"
}

// Capturing is true while something is typed or a question wants its key.
func (p *Pane) Capturing() bool { return p.input.Active() || p.sure.Active() }

// Back closes what is typed, then a question, then the alert in full, then the filter and the second view.
func (p *Pane) Back(c pane.Context) bool {
	switch {
	case p.input.Active():
		p.input.Close()
		p.doing = nothing
	case p.sure.Active():
		p.sure.Close()
	case p.detail != nil:
		p.detail = nil
	case p.tired:
		p.tired = false
	case p.filter != "":
		p.setFilter(c, "")
	default:
		return false
	}
	return true
}

// Left stops what is being read and takes a question back.
func (p *Pane) Left() {
	p.stop()
	p.sure.Close()
}

func (p *Pane) stop() {
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
	p.loading = false
	p.gen++
}

// Keep returns the lists and what was looked at.
func (p *Pane) Keep() any {
	kept := *p
	kept.cancel, kept.loading, kept.busy = nil, false, false
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

// Open reads the alerts. "fatigue" as argument shows what they ask of people,
// other words filter the list.
func (p *Pane) Open(c pane.Context, arg any) tea.Cmd {
	p.forget(c)
	if words, ok := arg.(string); ok {
		p.detail = nil
		if p.tired = strings.EqualFold(strings.TrimSpace(words), "fatigue"); !p.tired {
			p.setFilter(c, words)
		}
	}
	return p.read(c)
}

// forget drops what is of another service.
func (p *Pane) forget(c pane.Context) {
	if p.service == c.Service {
		return
	}
	p.stop()
	p.input.Close()
	p.sure.Close()
	*p = Pane{source: p.source, gen: p.gen, service: c.Service, tired: p.tired}
}

// Refresh reads again, unless it is being read for the same view.
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
	p.forget(c)
	return p.read(c)
}

type answer struct {
	gen     int
	list    *alerts.List
	err     error
	report  *fatigue.Report
	tiredBy error
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
	gen, source, service, view, snap, tired := p.gen, p.source, c.Service, c.View, c.Snapshot, p.tired
	return func() tea.Msg {
		a := answer{gen: gen}
		if tired {
			a.report, a.tiredBy = source.Fatigue(ctx, service, view.At)
		} else {
			a.list, a.err = source.Alerts(ctx, service, view, snap)
		}
		return a
	}
}

func (p *Pane) take(c pane.Context, a answer) {
	if a.gen != p.gen {
		return
	}
	p.loading = false
	p.cancel()
	p.cancel = nil
	switch {
	case errors.Is(a.err, context.Canceled) || errors.Is(a.tiredBy, context.Canceled):
	case a.err != nil:
		p.err = a.err
	case a.tiredBy != nil:
		p.tiredBy = a.tiredBy
	case a.report != nil:
		p.report, p.tiredBy = a.report, nil
		p.ruleAt.Clamp(len(p.report.Rules), tableHeight(c))
	case a.list != nil:
		was := p.current()
		p.list, p.err, p.answered = a.list, nil, true
		p.follow(a.list)
		p.keep(c, was)
	}
}

// follow keeps the alert in full up to date; one that nobody tells of any more says so.
func (p *Pane) follow(l *alerts.List) {
	if p.detail == nil {
		return
	}
	for i := range l.Alerts {
		if l.Alerts[i].ID == p.detail.ID {
			p.detail = &l.Alerts[i]
			return
		}
	}
	gone := *p.detail
	gone.Old, gone.AgeS = "no source tells of it any more", sources.Num{}
	p.detail = &gone
}

// keep applies the filter, and leaves the cursor on its alert.
func (p *Pane) keep(c pane.Context, was *alerts.Alert) {
	p.rows = p.rows[:0:0]
	if p.list == nil {
		return
	}
	words := strings.Fields(strings.ToLower(p.filter))
	offset := p.at.Cursor - p.at.Top
	at := 0
	for i := range p.list.Alerts {
		a := &p.list.Alerts[i]
		if !matches(a, words) {
			continue
		}
		if was != nil && a.ID == was.ID {
			at = len(p.rows)
		}
		p.rows = append(p.rows, a)
	}
	p.at.Cursor, p.at.Top = at, at-offset
	p.at.Clamp(len(p.rows), tableHeight(c))
}

// matches tells whether every word is in what the alert says.
func matches(a *alerts.Alert, words []string) bool {
	if len(words) == 0 {
		return true
	}
	var b strings.Builder
	for _, s := range []string{a.ID, string(a.State), a.Label, a.Evidence, a.Severity, strings.Join(a.Sources, " ")} {
		b.WriteString(strings.ToLower(s))
		b.WriteByte('\n')
	}
	for k, v := range a.Labels {
		b.WriteString(strings.ToLower(k + "=" + v + "\n"))
	}
	for _, w := range words {
		if !strings.Contains(b.String(), w) {
			return false
		}
	}
	return true
}

func (p *Pane) setFilter(c pane.Context, text string) {
	was := p.current()
	p.filter = strings.TrimSpace(text)
	p.keep(c, was)
}

// current is the alert that is selected; nil when there is none.
func (p *Pane) current() *alerts.Alert {
	if p.detail != nil {
		return p.detail
	}
	if !p.tired && p.at.Cursor < len(p.rows) {
		return p.rows[p.at.Cursor]
	}
	return nil
}

func (p *Pane) rule() *fatigue.Rule {
	if p.tired && p.report != nil && p.ruleAt.Cursor < len(p.report.Rules) {
		return &p.report.Rules[p.ruleAt.Cursor]
	}
	return nil
}

// CopyText returns the ID of the selected alert, or the selected rule.
func (p *Pane) CopyText(pane.Context) (string, string) {
	if a := p.current(); a != nil {
		return a.ID, "alert ID"
	}
	if r := p.rule(); r != nil {
		return r.Name(), "rule"
	}
	return "", ""
}

var keys = struct{ open, ack, silence, runbook, fatigue, list, filter, clear, move, acted key.Binding }{
	open:    key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "its evidence")),
	ack:     key.NewBinding(key.WithKeys("a"), key.WithHelp("a", "acknowledge, with a note")),
	silence: key.NewBinding(key.WithKeys("s"), key.WithHelp("s", "silence")),
	runbook: key.NewBinding(key.WithKeys("r"), key.WithHelp("r", "its runbook")),
	fatigue: key.NewBinding(key.WithKeys("f"), key.WithHelp("f", "what alerts ask of people")),
	list:    key.NewBinding(key.WithKeys("f"), key.WithHelp("f", "back to what fires")),
	filter:  key.NewBinding(key.WithKeys("/"), key.WithHelp("/", "filter")),
	clear:   key.NewBinding(key.WithKeys("x"), key.WithHelp("x", "clear the filter")),
	move:    key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "move")),
	acted:   key.NewBinding(key.WithKeys("tab"), key.WithHelp("tab", "something was done elsewhere, or not")),
}

// Keys lists what the keys do now.
func (p *Pane) Keys() []key.Binding {
	switch {
	case p.sure.Active():
		return kit.SureKeys()
	case p.input.Active():
		out := []key.Binding{key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "send it")), key.NewBinding(key.WithKeys("esc"), key.WithHelp("esc", "leave it"))}
		if p.doing == acking {
			out = append(out, keys.acted)
		}
		return out
	case p.tired:
		return []key.Binding{keys.open, keys.list, keys.move}
	}
	out := []key.Binding{keys.open, keys.ack, keys.silence, keys.runbook, keys.fatigue, keys.filter}
	if p.filter != "" {
		out = append(out, keys.clear)
	}
	return append(out, keys.move)
}
