// Package incident is the pane of one incident: the form that opens it, and then
// its state, its times, what belongs to it, and its timeline.
package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/store/journal"
	"rollcall/store/review"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// timeline is how many entries are read.
const timeline = 1000

// Pane shows the form or an incident.
type Pane struct {
	service string
	form    *form

	id       string
	inc      *journal.Incident
	entries  []journal.Entry
	says     *review.Sentences
	list     kit.List
	follow   bool
	err      error
	answered bool

	input    kit.Input
	typing   typing
	sure     kit.Sure
	choosing bool   // a severity
	review   string // where the review was written
	cases    string // where the cases were written
	acting   bool

	gen     int
	loading bool
	cancel  context.CancelFunc
}

// typing is what the line that is typed is for.
type typing struct {
	prompt string
	needs  string // what an empty line is answered with; empty: it is allowed
	do     func(words string) tea.Cmd
}

// New returns an empty pane.
func New() pane.Pane { return &Pane{follow: true} }

// ID returns pane.Incident.
func (p *Pane) ID() pane.ID { return pane.Incident }

// Title names the incident, or the form.
func (p *Pane) Title(pane.Context) string {
	switch {
	case p.form != nil:
		return "Open an incident"
	case p.inc != nil:
		return p.inc.ID + "  " + p.inc.Title
	case p.id == "":
		return "Incident"
	}
	return p.id
}

// Capturing is true while something is typed or chosen.
func (p *Pane) Capturing() bool {
	return p.form != nil || p.input.Active() || p.sure.Active() || p.choosing
}

// Left stops what is being read; what is typed stays in the form.
func (p *Pane) Left() {
	p.stop()
	p.sure.Close()
	p.choosing = false
}

func (p *Pane) stop() {
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
	p.loading = false
	p.gen++
}

// Keep returns what is looked at.
func (p *Pane) Keep() any {
	kept := *p
	kept.cancel, kept.loading, kept.acting = nil, false, false
	return kept
}

// Restore brings it back and reads it again.
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

// Open shows an incident by its ID, or the form (pane.Declare); without an
// argument the open incident, or the form when there is none.
func (p *Pane) Open(c pane.Context, arg any) tea.Cmd {
	p.input.Close()
	id, _ := arg.(string)
	if id == "" {
		id = c.IncidentID()
	}
	if _, declare := arg.(pane.Declare); declare || id == "" {
		if p.form == nil || p.service != c.Service {
			p.reset(c, "")
			p.form = newForm(c)
		}
		// Somebody else may have opened one a moment ago.
		return p.read(c)
	}
	if id != p.id || p.service != c.Service {
		p.reset(c, id)
	}
	p.form = nil
	return p.read(c)
}

func (p *Pane) reset(c pane.Context, id string) {
	p.stop()
	*p = Pane{gen: p.gen, id: id, service: c.Service, follow: true}
}

// Refresh reads it again. Another service has other incidents: then its open one is shown.
func (p *Pane) Refresh(c pane.Context) tea.Cmd {
	switch {
	case p.service != c.Service:
		p.reset(c, c.IncidentID())
	case p.loading || c.Frozen && p.answered:
		return nil
	}
	return p.read(c)
}

type answer struct {
	gen     int
	inc     *journal.Incident
	entries []journal.Entry
	err     error
}

func (p *Pane) read(c pane.Context) tea.Cmd {
	p.stop()
	if c.Desk == nil {
		return nil
	}
	parent := c.Ctx
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithCancel(parent)
	p.cancel, p.loading, p.service = cancel, true, c.Service
	gen, desk, service, id := p.gen, c.Desk, c.Service, p.id
	f := journal.Filter{Service: service, Incident: id, Newest: true, Limit: timeline}
	if !c.View.Live() {
		f.Until = c.View.At
	}
	return func() tea.Msg {
		a := answer{gen: gen}
		all, err := desk.Incidents(ctx, service)
		if err != nil {
			a.err = err
			return a
		}
		for i := range all {
			if all[i].ID == id || id == "" && all[i].Open() {
				a.inc = &all[i]
				break
			}
		}
		switch {
		case a.inc == nil && id == "":
		case a.inc == nil:
			a.err = fmt.Errorf("no incident of %s is called %s; rollcall incident list names them", service, id)
		default:
			f.Incident = a.inc.ID
			a.entries, a.err = desk.Entries(ctx, f)
		}
		return a
	}
}

func (p *Pane) take(c pane.Context, a answer) tea.Cmd {
	if a.gen != p.gen {
		return nil
	}
	p.loading = false
	p.cancel()
	p.cancel = nil
	if a.err != nil {
		if !errors.Is(a.err, context.Canceled) {
			p.err = a.err
		}
		return nil
	}
	p.err = nil
	if a.inc == nil {
		p.answered = true
		return nil // none is open: the form stays
	}
	var cmd tea.Cmd
	if p.form != nil {
		if p.acting {
			return nil
		}
		p.form = nil
		cmd = tea.Batch(kit.Notice(a.inc.ID+" is open already; this is it.", false), kit.Acted)
	}
	at, offset := int64(0), p.list.Cursor-p.list.Top
	if e := p.current(); e != nil {
		at = e.Seq
	}
	p.id, p.inc, p.entries, p.says, p.answered = a.inc.ID, a.inc, a.entries, review.SentencesOf(a.entries), true
	if p.follow {
		p.list.Cursor = len(p.entries) - 1
	} else {
		p.list.Cursor = max(0, slices.IndexFunc(p.entries, func(e journal.Entry) bool { return e.Seq >= at }))
		p.list.Top = p.list.Cursor - offset
	}
	p.list.Clamp(len(p.entries), p.listHeight(c))
	return cmd
}

func (p *Pane) current() *journal.Entry {
	if i := p.list.Cursor; i >= 0 && i < len(p.entries) {
		return &p.entries[i]
	}
	return nil
}

// CopyText returns the incident's ID, or where its review is, or else its cases.
func (p *Pane) CopyText(pane.Context) (string, string) {
	switch {
	case p.review != "":
		return p.review, "the review's path"
	case p.cases != "":
		return p.cases, "the cases' path"
	}
	return p.id, "incident ID"
}

var keys = struct{ note, severity, lead, capture, ack, mitigated, resolved, shut, review, cases, full, move key.Binding }{
	note:      key.NewBinding(key.WithKeys("n"), key.WithHelp("n", "note")),
	severity:  key.NewBinding(key.WithKeys("v"), key.WithHelp("v", "severity")),
	lead:      key.NewBinding(key.WithKeys("l"), key.WithHelp("l", "lead")),
	capture:   key.NewBinding(key.WithKeys("c"), key.WithHelp("c", "capture a request")),
	ack:       key.NewBinding(key.WithKeys("a"), key.WithHelp("a", "acknowledge")),
	mitigated: key.NewBinding(key.WithKeys("M"), key.WithHelp("M", "mitigated")),
	resolved:  key.NewBinding(key.WithKeys("S"), key.WithHelp("S", "resolved")),
	shut:      key.NewBinding(key.WithKeys("X"), key.WithHelp("X", "close")),
	review:    key.NewBinding(key.WithKeys("w"), key.WithHelp("w", "write the review")),
	cases:     key.NewBinding(key.WithKeys("x"), key.WithHelp("x", "export cases")),
	full:      key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "entry in full")),
	move:      key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "move")),
}

// Keys lists what the keys do now.
func (p *Pane) Keys() []key.Binding {
	sent := []key.Binding{key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "done")), key.NewBinding(key.WithKeys("esc"), key.WithHelp("esc", "leave it"))}
	switch {
	case p.form != nil:
		return []key.Binding{
			key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "open it")), key.NewBinding(key.WithKeys("tab"), key.WithHelp("tab", "next field")),
			key.NewBinding(key.WithKeys("left"), key.WithHelp("left/right", "choose")), key.NewBinding(key.WithKeys("esc"), key.WithHelp("esc", "do not")),
		}
	case p.sure.Active():
		return kit.SureKeys()
	case p.input.Active() || p.choosing:
		return sent
	case p.inc == nil:
		return nil
	case !p.inc.Open():
		return []key.Binding{keys.review, keys.cases, keys.note, keys.full, keys.move}
	}
	out := []key.Binding{keys.note}
	if p.inc.Acknowledged.IsZero() {
		out = append(out, keys.ack)
	}
	if p.inc.Mitigated.IsZero() {
		out = append(out, keys.mitigated)
	}
	if p.inc.Resolved.IsZero() {
		out = append(out, keys.resolved)
	}
	return append(out, keys.shut, keys.review, keys.cases, keys.severity, keys.lead, keys.capture, keys.full, keys.move)
}

// Back closes what is typed or asked.
func (p *Pane) Back(pane.Context) bool {
	switch {
	case p.input.Active():
		p.input.Close()
	case p.sure.Active():
		p.sure.Close()
	case p.choosing:
		p.choosing = false
	default:
		p.form = nil
		return false
	}
	return true
}

// doneMsg is how an action ended.
type doneMsg struct {
	inc    *journal.Incident
	opened bool
	review string
	cases  string
	text   string
	err    error
}

// Update takes keys, the mouse and answers.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case answer:
		return p.take(c, msg)
	case doneMsg:
		return p.done(c, msg)
	case tea.PasteMsg:
		if p.form != nil {
			p.form.paste(msg)
		}
		p.input.Update(msg)
	case tea.KeyPressMsg:
		return p.key(c, msg)
	case tea.MouseWheelMsg:
		if p.form == nil {
			p.moveBy(c, kit.Wheel(msg))
		}
	}
	return nil
}

func (p *Pane) done(c pane.Context, m doneMsg) tea.Cmd {
	p.acting = false
	if m.err != nil {
		if p.form != nil {
			p.form.err = m.err.Error()
		}
		return kit.Notice(m.err.Error(), true)
	}
	if m.review != "" {
		p.review = m.review
	}
	if m.cases != "" {
		p.cases = m.cases
	}
	if m.opened {
		p.form, p.id = nil, m.inc.ID
	}
	if m.inc != nil && m.inc.ID == p.id {
		p.inc = m.inc
	}
	p.follow = true
	return tea.Batch(kit.Notice(m.text, false), kit.Acted, p.read(c))
}

func (p *Pane) moveBy(c pane.Context, by int) {
	p.list.Move(by, len(p.entries), p.listHeight(c))
	p.follow = p.list.Cursor >= len(p.entries)-1
}

func (p *Pane) key(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	switch {
	case p.form != nil:
		return p.formKey(c, k)
	case p.sure.Active():
		return p.sure.Key(k)
	case p.choosing:
		return p.choose(c, k)
	case p.input.Active():
		if k.String() == "enter" {
			return p.submit()
		}
		p.input.Update(k)
		return nil
	case p.inc == nil:
		return nil
	case key.Matches(k, keys.full):
		if e := p.current(); e != nil {
			seq := e.Seq
			return func() tea.Msg { return pane.OpenMsg{ID: pane.Journal, Arg: seq} }
		}
		return nil
	case key.Matches(k, keys.review):
		return p.write(c)
	case key.Matches(k, keys.cases):
		if len(p.inc.Requests) == 0 {
			return kit.Notice("No request was captured yet; c captures one by its ID, or c on its screen.", false)
		}
		p.askCases(c)
		return nil
	case key.Matches(k, keys.note):
		p.ask("Note for "+p.id, "", "", func(words string) tea.Cmd { return p.note(c, words) })
		return nil
	}
	if by, ok := kit.Step(k, len(p.entries), p.listHeight(c)); ok {
		p.moveBy(c, by)
		return nil
	}
	if !p.inc.Open() {
		if key.Matches(k, keys.severity, keys.lead, keys.capture, keys.ack, keys.mitigated, keys.resolved, keys.shut) {
			return kit.Notice(p.id+" is closed; notes, cases and the review are what is left.", false)
		}
		return nil
	}
	return p.change(c, k)
}

// change is a key that changes an open incident.
func (p *Pane) change(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	switch {
	case key.Matches(k, keys.severity):
		p.choosing = true
	case key.Matches(k, keys.lead):
		p.ask("Who leads "+p.id+"?", p.inc.Lead, "A name is needed; esc leaves it.", func(words string) tea.Cmd {
			return p.update(c, journal.IncidentPatch{Lead: &words}, words+" leads "+p.id+".")
		})
	case key.Matches(k, keys.capture):
		p.ask("ID of the request to capture, redacted", "", "An ID is needed; esc leaves it.", func(words string) tea.Cmd {
			return p.capture(c, words)
		})
	case key.Matches(k, keys.ack) && p.inc.Acknowledged.IsZero():
		now := c.Backend.Clock().Now()
		return p.update(c, journal.IncidentPatch{Acknowledged: &now}, p.id+" is acknowledged.")
	case key.Matches(k, keys.mitigated) && p.inc.Mitigated.IsZero():
		p.sure.Ask("Is "+p.id+" mitigated: do people no longer suffer from it?", func() tea.Cmd {
			now := c.Backend.Clock().Now()
			return p.update(c, journal.IncidentPatch{Mitigated: &now}, p.id+" is mitigated.")
		})
	case key.Matches(k, keys.resolved) && p.inc.Resolved.IsZero():
		p.sure.Ask("Is "+p.id+" resolved: is its cause gone and will it not come back by itself?", func() tea.Cmd {
			now := c.Backend.Clock().Now()
			patch := journal.IncidentPatch{Resolved: &now}
			if p.inc.Mitigated.IsZero() {
				patch.Mitigated = &now
			}
			return p.update(c, patch, p.id+" is resolved.")
		})
	case key.Matches(k, keys.shut):
		p.askClose(c)
	}
	return nil
}

func (p *Pane) ask(prompt, value, needs string, do func(string) tea.Cmd) {
	p.typing = typing{prompt, needs, do}
	p.input.Open(value)
}

func (p *Pane) submit() tea.Cmd {
	words := strings.TrimSpace(p.input.Value())
	if words == "" && p.typing.needs != "" {
		return kit.Notice(p.typing.needs, false)
	}
	p.input.Close()
	return p.typing.do(words)
}

// askClose asks for the reason that stands in for a regression case, or once more when there is a case.
func (p *Pane) askClose(c pane.Context) {
	shut := func(reason string) tea.Cmd {
		return p.act(c, func(ctx context.Context) doneMsg {
			inc, err := c.Desk.CloseIncident(ctx, p.id, reason)
			return doneMsg{inc: &inc, text: p.id + " is closed; w writes its review.", err: err}
		})
	}
	if p.inc.Cases > 0 {
		p.sure.Ask(fmt.Sprintf("Close %s? It has %s.", p.id, sources.Counted(p.inc.Cases, "regression case")), func() tea.Cmd { return shut("") })
		return
	}
	p.ask("Close "+p.id+": why is there no regression case?", "", "A reason is needed, or a case: esc, then x exports what was captured.", shut)
}

// choose takes the digit of a severity.
func (p *Pane) choose(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	p.choosing = false
	all := c.Desk.Severities()
	n, err := strconv.Atoi(k.String())
	if err != nil || n < 1 || n > len(all) {
		return kit.Notice("The severity stays "+string(p.inc.Severity)+".", false)
	}
	sev := journal.Severity(all[n-1].Word)
	if sev == p.inc.Severity {
		return nil
	}
	return p.update(c, journal.IncidentPatch{Severity: &sev}, p.id+" is "+string(sev)+" now.")
}

// act does something at the desk, one thing at a time.
func (p *Pane) act(c pane.Context, do func(ctx context.Context) doneMsg) tea.Cmd {
	if p.acting {
		return kit.Notice("The last change is still being written.", false)
	}
	p.acting = true
	return kit.Act(c, func(ctx context.Context) tea.Msg { return do(ctx) })
}

func (p *Pane) update(c pane.Context, patch journal.IncidentPatch, text string) tea.Cmd {
	desk, id := c.Desk, p.id
	return p.act(c, func(ctx context.Context) doneMsg {
		inc, err := desk.UpdateIncident(ctx, id, patch)
		return doneMsg{inc: &inc, text: text, err: err}
	})
}

func (p *Pane) note(c pane.Context, words string) tea.Cmd {
	if words == "" {
		return nil
	}
	desk, id, service := c.Desk, p.id, p.service
	return p.act(c, func(ctx context.Context) doneMsg {
		e, err := desk.AddNote(ctx, service, id, words)
		return doneMsg{text: fmt.Sprintf("Noted as entry %d.", e.Seq), err: err}
	})
}

func (p *Pane) capture(c pane.Context, request string) tea.Cmd {
	desk, id, service := c.Desk, p.id, p.service
	return p.act(c, func(ctx context.Context) doneMsg {
		e, err := desk.CaptureRequest(ctx, service, id, request)
		return doneMsg{text: fmt.Sprintf("Captured as entry %d, redacted.", e.Seq), err: err}
	})
}

func (p *Pane) write(c pane.Context) tea.Cmd {
	desk, id := c.Desk, p.id
	return p.act(c, func(ctx context.Context) doneMsg {
		path, err := desk.ExportReview(ctx, id)
		return doneMsg{review: path, text: "The review is in " + path + "; y copies the path.", err: err}
	})
}

// askCases asks for the folder into which the captured requests are written as tests.
func (p *Pane) askCases(c pane.Context) {
	desk, id := c.Desk, p.id
	p.ask(fmt.Sprintf("Write %s of %s as regression cases (promptfoo) into which folder?", sources.Counted(len(p.inc.Requests), "captured request"), id),
		desk.CasesFolder(id), "A folder is needed; esc leaves it.", func(dir string) tea.Cmd {
			return p.act(c, func(ctx context.Context) doneMsg {
				done, err := desk.ExportCases(ctx, id, dir)
				if err != nil {
					return doneMsg{err: err}
				}
				text := fmt.Sprintf("%s in %s, red on the bad answer", sources.Counted(len(done.Cases), "regression case"), done.Dir)
				if n := len(done.LeftOut); n > 0 {
					text += fmt.Sprintf("; %s left out, its README says why", sources.Counted(n, "request"))
				}
				if done.Unrecorded != "" {
					text += "; not recorded: " + done.Unrecorded
				}
				return doneMsg{cases: done.Dir, text: text + "."}
			})
		})
}

// age is how long it has gone on, or went on.
func (p *Pane) age(c pane.Context) time.Duration {
	end := c.Now
	if !p.inc.Closed.IsZero() {
		end = p.inc.Closed
	}
	return end.Sub(p.inc.Opened)
}
