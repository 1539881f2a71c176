package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/runbooks/run"
	"rollcall/store/journal"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// dutyLimit bounds the reading of the desk, in wall time.
const dutyLimit = 30 * time.Second

// duty is what goes on at the desk. It is read with every refresh and after
// every action, so that nothing of it moves in between.
type duty struct {
	known     bool // an answer has arrived for the service
	incidents []journal.Incident
	open      *journal.Incident
	runs      []run.State // that have not ended, newest first
	ended     []string    // IDs of the others, newest first
	books     []string    // IDs of the runbooks, for the palette
	trouble   string      // why nothing can be recorded or read back
	flying    bool
	again     bool
}

type dutyMsg struct {
	service   string
	incidents []journal.Incident
	runs      []run.State
	books     []string
	trouble   string
	err       error
}

// acting are the panes that need a desk.
func acting(id pane.ID) bool {
	return id == pane.Runbooks || id == pane.Run || id == pane.Incident || id == pane.Journal || id == pane.Readiness
}

// readDuty asks the desk what goes on, unless it is being asked: then once more afterwards.
func (m *Model) readDuty() tea.Cmd {
	desk := m.opts.Desk
	if desk == nil {
		return nil
	}
	if m.duty.flying {
		m.duty.again = true
		return nil
	}
	m.duty.flying, m.duty.again = true, false
	service, parent, snap := m.service, m.ctx, m.read.snap
	wantBooks := m.duty.books == nil && m.read.snap != nil // checking them all takes longer than the first screen may
	return func() (msg tea.Msg) {
		ctx, cancel := context.WithTimeout(parent, dutyLimit)
		defer cancel()
		d := dutyMsg{service: service}
		defer func() {
			if r := recover(); r != nil {
				d.err = fmt.Errorf("reading incidents and runs failed: %v", r)
				msg = d
			}
		}()
		d.trouble = desk.JournalTrouble()
		var err error
		d.incidents, err = desk.Incidents(ctx, service)
		d.err = err
		d.runs, err = desk.Runs(ctx, service)
		d.err = errors.Join(d.err, err)
		if wantBooks {
			// Only the palette's suggestions need them: their pane says what is wrong with them.
			if list, err := desk.Runbooks(ctx, service, snap); err == nil {
				for i := range list {
					if list[i].Runbook != nil {
						d.books = append(d.books, list[i].Runbook.ID)
					}
				}
			}
		}
		return d
	}
}

func (m *Model) onDuty(d dutyMsg) tea.Cmd {
	m.duty.flying = false
	if d.service != m.service || m.duty.again {
		return m.readDuty()
	}
	m.duty.trouble = d.trouble
	if d.books != nil {
		m.duty.books = d.books
	}
	if d.err != nil {
		m.log.Warn("reading the desk failed", "service", d.service, "error", d.err)
		if d.trouble == "" {
			m.duty.trouble = d.err.Error()
		}
		return nil
	}
	m.duty.known, m.duty.incidents, m.duty.open = true, d.incidents, nil
	for i := range d.incidents {
		if d.incidents[i].Open() {
			m.duty.open = &d.incidents[i]
			break
		}
	}
	m.duty.runs, m.duty.ended = nil, nil
	for i := range d.runs {
		if d.runs[i].Outcome == "" {
			m.duty.runs = append(m.duty.runs, d.runs[i])
		} else {
			m.duty.ended = append(m.duty.ended, d.runs[i].ID)
		}
	}
	return nil
}

// forgetDuty drops what belongs to another service.
func (m *Model) forgetDuty() {
	m.duty = duty{flying: m.duty.flying, trouble: m.duty.trouble}
}

// offer is the runbook that the verdict line suggests, and the run of it that goes on already.
func (m *Model) offer() (runbook, going string) {
	if m.opts.Desk == nil || m.read.snap == nil || m.read.snap.Line.Runbook == "" || m.panes[pane.Run] == nil {
		return "", ""
	}
	runbook = m.read.snap.Line.Runbook
	for i := range m.duty.runs {
		if m.duty.runs[i].Runbook == runbook {
			return runbook, m.duty.runs[i].ID
		}
	}
	return runbook, ""
}

// offerWords is the end of the verdict line: "R roll back prompt".
func (m *Model) offerWords() string {
	runbook, going := m.offer()
	switch {
	case going != "":
		return going
	case runbook == "":
		return ""
	}
	words := runbook
	if rest, ok := strings.CutPrefix(words, "rollback-"); ok {
		words = "roll back " + rest
	}
	return strings.ReplaceAll(oneLine(words), "-", " ")
}

// openRunbook is R: the plan of what the verdict line suggests, or the run of it that goes on.
func (m *Model) openRunbook() tea.Cmd {
	runbook, going := m.offer()
	switch {
	case m.opts.Desk == nil:
		m.notice = pane.NoticeMsg{Text: "This console only reads: it has no journal to act with."}
		return nil
	case going != "":
		return m.open(pane.Run, going)
	case runbook == "":
		cmd := m.open(pane.Runbooks, nil)
		m.notice = pane.NoticeMsg{Text: "The verdict line suggests no runbook; these are all there are."}
		return cmd
	}
	return m.open(pane.Run, pane.PlanOf(runbook))
}

// openIncident is I: the open incident, or the form for a new one.
func (m *Model) openIncident() tea.Cmd {
	switch {
	case m.opts.Desk == nil || m.panes[pane.Incident] == nil:
		m.notice = pane.NoticeMsg{Text: "This console only reads: it has no journal to open an incident in."}
		return nil
	case m.duty.open != nil:
		return m.open(pane.Incident, m.duty.open.ID)
	}
	return m.open(pane.Incident, pane.Declare{})
}

// doneMsg is how an action of the palette ended.
type doneMsg struct {
	text string
	err  error
}

// act runs an action of the palette; it ends even when the console is on its way to another pane.
func (m *Model) act(do func(ctx context.Context) (string, error)) tea.Cmd {
	parent := m.ctx
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(parent, time.Minute)
		defer cancel()
		text, err := do(ctx)
		return doneMsg{text, err}
	}
}

func (m *Model) onDone(d doneMsg) tea.Cmd {
	if d.err != nil {
		m.notice = pane.NoticeMsg{Text: d.err.Error(), Bad: true}
		return m.readDuty()
	}
	m.notice = pane.NoticeMsg{Text: d.text}
	return tea.Batch(m.readDuty(), m.refreshPane())
}

// dutyText is what goes on, for the right of the tab line: "RUN-3 quality 2/3 · INC-7 SEV2 00:12:31".
func (m *Model) dutyText() string {
	t := m.theme
	var parts []string
	if len(m.duty.runs) > 0 {
		r := &m.duty.runs[0]
		for i := range m.duty.runs {
			// Of several, the one that needs somebody.
			if m.duty.runs[i].Interrupted() || m.duty.runs[i].Ask != run.AskNothing {
				r = &m.duty.runs[i]
				break
			}
		}
		glyph, word, style := kit.RunWord(t, r)
		s := t.Plain.Render(oneLine(r.ID+" "+kit.RunPlace(r))) + " " + style.Render(glyph)
		if r.Interrupted() || r.Ask != run.AskNothing {
			s += style.Render(" " + word)
		}
		if n := len(m.duty.runs) - 1; n > 0 {
			s += t.Dim.Render(fmt.Sprintf(" +%d", n))
		}
		parts = append(parts, s)
	}
	if inc := m.duty.open; inc != nil {
		style := t.Watch
		if inc.State() == "open" {
			style = t.Bad
		}
		s := style.Render(oneLine(inc.ID + " " + string(inc.Severity)))
		if state := inc.State(); state != "open" {
			s += " " + t.Dim.Render(state)
		}
		parts = append(parts, s+" "+t.Bright.Render(kit.Elapsed(m.incidentAge(inc))))
	}
	return strings.Join(parts, t.Dim.Render(" "+t.Glyphs.Dot+" "))
}

// incidentAge is how long an incident has been open in service time, as of the last refresh.
func (m *Model) incidentAge(inc *journal.Incident) time.Duration {
	now := m.read.now
	if now.IsZero() {
		now = m.opts.Backend.Clock().Now()
	}
	return now.Sub(inc.Opened)
}

// deskHits are the pieces of the frame that the mouse can press to act: the
// suggestion at the end of the verdict row, and what goes on at the end of the duty row.
func (m *Model) deskHits(verdictY, dutyY int) []hit {
	var out []hit
	if words := m.offerWords(); words != "" {
		w := ansi.StringWidth(words) + 2
		out = append(out, hit{m.width - 1 - w, verdictY, w, m.openRunbook})
	}
	if duty := m.dutyText(); duty != "" {
		w := ansi.StringWidth(duty)
		out = append(out, hit{m.width - 1 - w, dutyY, w, func() tea.Cmd {
			if m.duty.open == nil && len(m.duty.runs) > 0 {
				return m.open(pane.Run, m.duty.runs[0].ID)
			}
			return m.openIncident()
		}})
	}
	return out
}

// dutyRow is the row of its own where the tab line has no room for what goes on.
func (m *Model) dutyRow(text string) string {
	return strings.Repeat(" ", max(0, m.width-ansi.StringWidth(text)-1)) + text + " "
}

// drives is a run that only this console drives, nil when there is none.
func (m *Model) drives() *run.State {
	for i := range m.duty.runs {
		if m.duty.runs[i].Driver == "you" {
			return &m.duty.runs[i]
		}
	}
	return nil
}

// holdBack asks once more before a console leaves that drives a run.
func (m *Model) holdBack() bool {
	r := m.drives()
	if r == nil || m.leaveAsked {
		return false
	}
	m.leaveAsked = true
	text := r.ID + " waits where it is until someone resumes it. q again leaves."
	if r.Current >= 0 && r.Current < len(r.Steps) && r.Steps[r.Current].Status == run.Running {
		text = r.ID + " goes on under its recorder; checks pause until someone resumes it. q again leaves."
	}
	m.notice = pane.NoticeMsg{Text: text, Bad: true}
	return true
}
