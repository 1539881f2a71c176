package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"rollcall/store/journal"
	"rollcall/tui/pane"
)

// deskChoices are the commands that act or look at what was recorded.
func (m *Model) deskChoices() []choice {
	desk := m.opts.Desk
	if desk == nil {
		return nil
	}
	var out []choice
	add := func(need pane.ID, c choice) {
		if m.panes[need] != nil {
			out = append(out, c)
		}
	}
	add(pane.Run, choice{
		text: "runbook", arg: "rollback-prompt", needs: true, help: "the plan of a runbook, nothing is run yet",
		run:  func(arg string) (tea.Cmd, error) { return m.open(pane.Run, pane.PlanOf(arg)), nil },
		args: func() []string { return m.duty.books },
	})
	add(pane.Run, choice{
		text: "run", arg: "RUN-3", needs: true, help: "a run: what it did, what it waits for",
		run:  func(arg string) (tea.Cmd, error) { return m.open(pane.Run, strings.ToUpper(arg)), nil },
		args: m.runNames,
	})
	add(pane.Run, choice{
		text: "rehearse", arg: "rollback-prompt", needs: true, help: "the plan of a rehearsal, nothing is run yet",
		run:  func(arg string) (tea.Cmd, error) { return m.open(pane.Run, pane.RehearsalOf(arg)), nil },
		args: func() []string { return m.duty.books },
	})
	add(pane.Readiness, choice{text: "readiness", help: "the checklist, answered from evidence", run: plainly(func() tea.Cmd { return m.open(pane.Readiness, nil) })})
	add(pane.Incident, choice{text: "incident", arg: "[INC-7]", help: "the open incident, or open one", run: m.runIncident, args: m.incidentNames})
	add(pane.Journal, choice{
		text: "journal", arg: "[words, kind, INC-7]", help: "pane 9, filtered", unrecorded: true,
		run: func(arg string) (tea.Cmd, error) {
			if arg == "" {
				return m.open(pane.Journal, nil), nil
			}
			return m.open(pane.Journal, arg), nil
		},
	})
	out = append(
		out,
		choice{text: "note", arg: "TEXT", needs: true, unrecorded: true, help: "write a note into the journal", run: m.runNote},
		choice{text: "severity", arg: "SEV1", needs: true, unrecorded: true, help: "how bad the open incident is", run: m.runSeverity, args: m.severityWords},
		choice{text: "close", arg: "REASON", needs: true, unrecorded: true, help: "close the open incident, saying why there is no regression case", run: m.runClose},
		choice{text: "review", arg: "[INC-7]", unrecorded: true, help: "write the review of the open incident", run: m.runReview, args: m.incidentNames},
	)
	return out
}

func (m *Model) runNames() []string {
	var out []string
	for i := range m.duty.runs {
		out = append(out, m.duty.runs[i].ID)
	}
	return append(out, m.duty.ended...)
}

func (m *Model) incidentNames() []string {
	out := make([]string, len(m.duty.incidents))
	for i := range out {
		out[i] = m.duty.incidents[i].ID
	}
	return out
}

func (m *Model) severityWords() []string {
	var out []string
	for _, d := range m.opts.Desk.Severities() {
		out = append(out, d.Word)
	}
	return out
}

func (m *Model) runIncident(arg string) (tea.Cmd, error) {
	if arg == "" {
		return m.openIncident(), nil
	}
	return m.open(pane.Incident, strings.ToUpper(arg)), nil
}

var errNoIncident = errors.New("no incident is open; I opens one")

func (m *Model) runNote(text string) (tea.Cmd, error) {
	desk, service, incident := m.opts.Desk, m.service, m.context().IncidentID()
	return m.act(func(ctx context.Context) (string, error) {
		e, err := desk.AddNote(ctx, service, incident, text)
		if err != nil {
			return "", err
		}
		where := ""
		if incident != "" {
			where = " of " + incident
		}
		return fmt.Sprintf("Noted as entry %d%s.", e.Seq, where), nil
	}), nil
}

func (m *Model) runSeverity(word string) (tea.Cmd, error) {
	desk, id := m.opts.Desk, m.context().IncidentID()
	if id == "" {
		return nil, errNoIncident
	}
	for _, d := range desk.Severities() {
		if !strings.EqualFold(d.Word, word) {
			continue
		}
		sev := journal.Severity(d.Word)
		return m.act(func(ctx context.Context) (string, error) {
			_, err := desk.UpdateIncident(ctx, id, journal.IncidentPatch{Severity: &sev})
			return fmt.Sprintf("%s is %s: %s", id, d.Word, d.Means), err
		}), nil
	}
	return nil, fmt.Errorf("%q is no severity; there are %s", word, strings.Join(m.severityWords(), ", "))
}

func (m *Model) runClose(reason string) (tea.Cmd, error) {
	desk, id := m.opts.Desk, m.context().IncidentID()
	if id == "" {
		return nil, errNoIncident
	}
	return m.act(func(ctx context.Context) (string, error) {
		_, err := desk.CloseIncident(ctx, id, reason)
		return id + " is closed.", err
	}), nil
}

func (m *Model) runReview(arg string) (tea.Cmd, error) {
	desk, id := m.opts.Desk, m.context().IncidentID()
	if arg != "" {
		id = strings.ToUpper(arg)
	}
	if id == "" {
		return nil, errors.New("no incident is open; name one: review INC-7")
	}
	return m.act(func(ctx context.Context) (string, error) {
		path, err := desk.ExportReview(ctx, id)
		return "The review of " + id + " is in " + path, err
	}), nil
}
