// Package run is the pane of one run of a runbook: first its plan, resolved and
// with everything that enter will do written out; then the checklist beside
// what the steps measure and print, and the question that the run waits with.
package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/runbooks"
	"rollcall/runbooks/run"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// coalesce is how long states of a run are gathered before the screen shows the
// newest: a command may print thousands of lines a second.
const coalesce = 80 * time.Millisecond

// Pane shows a plan or a run.
type Pane struct {
	service string

	runbook  string // of the plan
	practice bool   // the plan is of a rehearsal
	plan     *run.Plan
	made     time.Time         // wall time when the plan was resolved
	given    map[string]string // a person's values of variables
	pickVar  int
	planTop  kit.Scroll

	id       string // of the run; empty while there is only a plan
	state    *run.State
	watching bool
	question question
	picked   string // the step that is looked at; empty follows the current one
	scroll   int    // lines up from the end of what the step shows

	input   kit.Input
	typing  typing
	sure    kit.Sure
	sending bool // an answer, a start or a resumption is under way
	err     error
	loading bool
	gen     int
	cancel  context.CancelFunc
}

// New returns an empty pane.
func New() pane.Pane { return &Pane{} }

// ID returns pane.Run.
func (p *Pane) ID() pane.ID { return pane.Run }

// Title names the run or the plan.
func (p *Pane) Title(pane.Context) string {
	switch {
	case p.state != nil:
		title := p.state.ID + "  " + p.state.Title
		if p.state.Target.Rehearsal {
			title = "REHEARSAL  " + title
		}
		return title
	case p.id != "":
		return p.id
	}
	what := "Plan: "
	if p.practice {
		what = "REHEARSAL, plan: "
	}
	if p.plan != nil {
		return what + p.plan.Runbook.Title
	}
	return what + p.runbook
}

// Capturing is true while something is typed or a question wants its key.
func (p *Pane) Capturing() bool { return p.input.Active() || p.sure.Active() }

// Back closes what is typed, then a question, then goes back to the current step.
func (p *Pane) Back(pane.Context) bool {
	switch {
	case p.input.Active():
		p.input.Close()
	case p.sure.Active():
		p.sure.Close()
	case p.picked != "":
		p.picked, p.scroll = "", 0
	default:
		return false
	}
	return true
}

// Left stops watching; the run goes on.
func (p *Pane) Left() {
	p.stop()
	p.sure.Close()
}

func (p *Pane) stop() {
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
	p.loading, p.watching = false, false
	p.gen++
}

// Keep returns what is looked at.
func (p *Pane) Keep() any {
	kept := *p
	kept.cancel, kept.loading, kept.watching, kept.sending = nil, false, false, false
	return kept
}

// Restore brings it back and looks how the run stands.
func (p *Pane) Restore(c pane.Context, kept any) tea.Cmd {
	was, ok := kept.(Pane)
	if !ok {
		return p.Open(c, nil)
	}
	p.stop()
	was.gen = p.gen
	*p = was
	p.question.since = c.Wall
	return p.Refresh(c)
}

// Open plans a runbook (pane.PlanOf) or shows a run (its ID).
func (p *Pane) Open(c pane.Context, arg any) tea.Cmd {
	switch arg := arg.(type) {
	case pane.PlanOf:
		return p.planOf(c, string(arg), false)
	case pane.RehearsalOf:
		return p.planOf(c, string(arg), true)
	case string:
		if arg != p.id || p.service != c.Service {
			p.reset(c)
			p.id = arg
		}
		return p.watch(c)
	}
	return p.Refresh(c)
}

func (p *Pane) planOf(c pane.Context, runbook string, practice bool) tea.Cmd {
	if runbook != p.runbook || practice != p.practice || p.id != "" || p.service != c.Service {
		p.reset(c)
		p.runbook, p.practice, p.given = runbook, practice, map[string]string{}
	}
	return p.resolve(c)
}

func (p *Pane) reset(c pane.Context) {
	p.stop()
	*p = Pane{gen: p.gen, service: c.Service}
}

// Refresh takes up the watch where it ended; a plan is resolved anew only when asked.
func (p *Pane) Refresh(c pane.Context) tea.Cmd {
	if p.service != c.Service && p.id == "" && p.runbook != "" {
		// What was resolved for one service must not be started while another is on the screen.
		runbook, practice := p.runbook, p.practice
		p.reset(c)
		p.runbook, p.practice, p.given = runbook, practice, map[string]string{}
	}
	p.service = c.Service
	switch {
	case p.id != "":
		if p.watching || p.loading || p.state != nil && p.state.Outcome != "" {
			return nil
		}
		return p.watch(c)
	case p.plan == nil && p.runbook != "" && !p.loading:
		return p.resolve(c)
	}
	return nil
}

// begin starts reading something new.
func (p *Pane) begin(c pane.Context) (context.Context, int) {
	p.stop()
	parent := c.Ctx
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithCancel(parent)
	p.cancel, p.loading = cancel, true
	return ctx, p.gen
}

type planMsg struct {
	gen  int
	plan *run.Plan
	err  error
}

func (p *Pane) resolve(c pane.Context) tea.Cmd {
	if c.Desk == nil {
		return nil
	}
	ctx, gen := p.begin(c)
	desk, service, runbook := c.Desk, c.Service, p.runbook
	given := make(map[string]string, len(p.given))
	for k, v := range p.given {
		given[k] = v
	}
	resolve := desk.Plan
	if p.practice {
		resolve = desk.Rehearse
	}
	return func() tea.Msg {
		plan, err := resolve(ctx, service, runbook, given)
		return planMsg{gen, plan, err}
	}
}

type watchMsg struct {
	gen int
	ch  <-chan run.State
	err error
}

type stateMsg struct {
	gen   int
	ch    <-chan run.State
	state *run.State // nil when the watch ended without another one
	open  bool
}

func (p *Pane) watch(c pane.Context) tea.Cmd {
	if c.Desk == nil {
		return nil
	}
	ctx, gen := p.begin(c)
	desk, id := c.Desk, p.id
	return func() tea.Msg {
		ch, err := desk.WatchRun(ctx, id)
		return watchMsg{gen, ch, err}
	}
}

// next waits for the next state, and a moment longer for newer ones.
func next(gen int, ch <-chan run.State) tea.Cmd {
	return func() tea.Msg {
		s, open := <-ch
		if !open {
			return stateMsg{gen: gen, ch: ch}
		}
		moment := time.NewTimer(coalesce)
		defer moment.Stop()
		for open {
			select {
			case newer, more := <-ch:
				if open = more; more {
					s = newer
				}
			case <-moment.C:
				return stateMsg{gen: gen, ch: ch, state: &s, open: true}
			}
		}
		return stateMsg{gen: gen, ch: ch, state: &s}
	}
}

// Update takes keys, the mouse and answers.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case planMsg:
		p.takePlan(c, msg)
	case watchMsg:
		return p.takeWatch(msg)
	case stateMsg:
		return p.takeState(c, msg)
	case startedMsg:
		return p.takeStarted(c, msg)
	case answeredMsg:
		return p.takeAnswered(msg)
	case resetMsg:
		return p.takeReset(c, msg)
	case tea.PasteMsg:
		p.input.Update(msg)
	case tea.KeyPressMsg:
		return p.key(c, msg)
	case tea.MouseWheelMsg:
		p.wheel(kit.Wheel(msg))
	case tea.MouseClickMsg:
		p.click(c, msg)
	}
	return nil
}

func (p *Pane) takePlan(c pane.Context, m planMsg) {
	if m.gen != p.gen {
		return
	}
	p.loading = false
	if m.err != nil {
		if !errors.Is(m.err, context.Canceled) {
			p.err = m.err
		}
		return
	}
	p.plan, p.made, p.err = m.plan, c.Wall, nil
	p.pickVar = max(0, min(p.pickVar, len(m.plan.Vars)-1))
}

func (p *Pane) takeWatch(m watchMsg) tea.Cmd {
	if m.gen != p.gen {
		return nil
	}
	p.loading = false
	if m.err != nil {
		if !errors.Is(m.err, context.Canceled) {
			p.err = m.err
		}
		return nil
	}
	p.watching, p.err = true, nil
	return next(m.gen, m.ch)
}

func (p *Pane) takeState(c pane.Context, m stateMsg) tea.Cmd {
	if m.gen != p.gen {
		return nil
	}
	p.watching = m.open
	if m.state == nil {
		return nil
	}
	cmd := p.show(c, m.state)
	if m.open {
		return tea.Batch(cmd, next(m.gen, m.ch))
	}
	return cmd
}

// show puts a state on the screen. What was typed or asked for a step that the
// run has left is taken back.
func (p *Pane) show(c pane.Context, s *run.State) tea.Cmd {
	old := p.state
	p.state = s
	if q := questionOf(s); q != p.question.of {
		p.question = question{of: q, since: c.Wall}
		if p.typing.verb != "" && p.input.Active() {
			p.input.Close()
		}
		p.sure.Close()
		if q != "" {
			p.picked, p.scroll = "", 0 // what is asked must be on the screen
		}
	}
	if old == nil || old.Outcome != s.Outcome || old.Current != s.Current || old.Ask != s.Ask || old.Driver != s.Driver {
		return kit.Acted
	}
	return nil
}

// current is the step that the run is at; nil when there is none.
func (p *Pane) current() *run.Step {
	if s := p.state; s != nil && s.Current >= 0 && s.Current < len(s.Steps) {
		return &s.Steps[s.Current]
	}
	return nil
}

// shown is the step that is looked at: the picked one, else the current one, else the last that did something.
func (p *Pane) shown() *run.Step {
	if p.state == nil {
		return nil
	}
	for i := range p.state.Steps {
		if p.picked != "" && p.state.Steps[i].Name == p.picked {
			return &p.state.Steps[i]
		}
	}
	if st := p.current(); st != nil {
		return st
	}
	var last *run.Step
	for i := range p.state.Steps {
		if s := &p.state.Steps[i]; s.Status != run.Pending && s.Status != run.Skipped && s.Kind != runbooks.Criteria {
			last = s
		}
	}
	return last
}

// CopyText returns what the step printed, or the run's ID.
func (p *Pane) CopyText(pane.Context) (string, string) {
	if p.state == nil {
		return p.runbook, "runbook ID"
	}
	if st := p.shown(); st != nil && len(st.Output) > 0 {
		text := ""
		for i := range st.Output {
			text += st.Output[i].Text + "\n"
		}
		return text, "output of " + st.Name
	}
	return p.state.ID, "run ID"
}

func (p *Pane) wheel(by int) {
	switch {
	case p.state != nil:
		p.scroll = max(0, p.scroll-by)
	case p.plan != nil:
		p.planTop.Top = max(0, p.planTop.Top+by)
	}
}

var keys = struct{ enter, move, page, follow, edit, reset, again, resume, skip, accept, abort, stop key.Binding }{
	reset:  key.NewBinding(key.WithKeys("z"), key.WithHelp("z", "put the rehearsal target back first")),
	enter:  key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "go")),
	move:   key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "look at a step")),
	page:   key.NewBinding(key.WithKeys("pgup", "pgdown"), key.WithHelp("pgup/pgdn", "scroll its output")),
	follow: key.NewBinding(key.WithKeys("f"), key.WithHelp("f", "follow the current step")),
	edit:   key.NewBinding(key.WithKeys("e"), key.WithHelp("e", "change a variable")),
	again:  key.NewBinding(key.WithKeys("r"), key.WithHelp("r", "repeat the step")),
	resume: key.NewBinding(key.WithKeys("r"), key.WithHelp("r", "resume")),
	skip:   key.NewBinding(key.WithKeys("s"), key.WithHelp("s", "skip, with a reason")),
	accept: key.NewBinding(key.WithKeys("a"), key.WithHelp("a", "accept as done, with a reason")),
	abort:  key.NewBinding(key.WithKeys("x"), key.WithHelp("x", "abort")),
	stop:   key.NewBinding(key.WithKeys("S"), key.WithHelp("S", "stop here, undo nothing")),
}

// verbKeys are the keys of the answers, in the order in which they are shown.
var verbKeys = []struct {
	verb run.Verb
	key  *key.Binding
}{
	{run.Go, &keys.enter},
	{run.Again, &keys.again},
	{run.Accept, &keys.accept},
	{run.Skip, &keys.skip},
	{run.Undo, &keys.abort},
	{run.Stop, &keys.stop},
}

// Keys lists what the keys do now.
func (p *Pane) Keys() []key.Binding {
	typed := []key.Binding{
		key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "send it")),
		key.NewBinding(key.WithKeys("esc"), key.WithHelp("esc", "do not")),
	}
	switch {
	case p.sure.Active():
		return kit.SureKeys()
	case p.input.Active():
		return typed
	case p.state == nil:
		enter := keys.enter
		enter.SetHelp("enter", "start")
		if p.plan != nil && len(p.plan.Missing()) > 0 {
			word := "type "
			if len(p.plan.Missing()[0].Offers) > 0 {
				word = "choose "
			}
			enter.SetHelp("enter", word+p.plan.Missing()[0].Name)
		}
		move := keys.move
		move.SetHelp("up/down", "choose a variable")
		if p.practice {
			return []key.Binding{enter, keys.edit, keys.reset, move}
		}
		return []key.Binding{enter, keys.edit, move}
	}
	var out []key.Binding
	if p.state.Interrupted() {
		out = append(out, keys.resume)
	} else {
		for _, v := range verbKeys {
			if p.choice(v.verb) != nil {
				out = append(out, *v.key)
			}
		}
	}
	out = append(out, keys.move, keys.page)
	if p.picked != "" {
		out = append(out, keys.follow)
	}
	return out
}

// place says where the run stands, for the head: "waits for you  apply 3/7".
func (p *Pane) place() string {
	s := p.state
	if s.Outcome != "" {
		return ""
	}
	return kit.RunPlace(s)
}

// sentenceOf says what a condition of a check is, in its own words.
func sentenceOf(ch *runbooks.Check) string {
	what := ch.Signal
	if what == "" {
		what = "the query"
	}
	s := fmt.Sprintf("%s passes when %s", what, ch.Pass)
	if ch.Fail != "" {
		s += ", fails when " + ch.Fail
	}
	return fmt.Sprintf("%s; %d passes in a row of at most %d samples", s, max(1, ch.ConsecutivePass), ch.Count)
}
