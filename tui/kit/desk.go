package kit

import (
	"context"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/tui/pane"
)

// actLimit bounds an action at the desk, in wall time.
const actLimit = time.Minute

// Act runs an action to its end even when the pane is left meanwhile: what was
// decided must not be undone by looking elsewhere.
func Act(c pane.Context, do func(ctx context.Context) tea.Msg) tea.Cmd {
	parent := c.Ctx
	if parent == nil {
		parent = context.Background()
	}
	parent = context.WithoutCancel(parent)
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(parent, actLimit)
		defer cancel()
		return do(ctx)
	}
}

// Acted tells the shell that the desk has news.
func Acted() tea.Msg { return pane.ActedMsg{} }

// Notice is a command that shows one line until the next key.
func Notice(text string, bad bool) tea.Cmd {
	return func() tea.Msg { return pane.NoticeMsg{Text: text, Bad: bad} }
}

// Sure is a question that one more key must answer before something happens. y
// does it; any other key does not.
type Sure struct {
	question string
	yes      func() tea.Cmd
}

// Ask puts the question.
func (s *Sure) Ask(question string, yes func() tea.Cmd) { s.question, s.yes = question, yes }

// Active tells whether a question waits for its key.
func (s *Sure) Active() bool { return s.yes != nil }

// Close takes the question back.
func (s *Sure) Close() { s.question, s.yes = "", nil }

// Key answers the question.
func (s *Sure) Key(k tea.KeyPressMsg) tea.Cmd {
	yes := s.yes
	s.Close()
	if yes != nil && k.String() == "y" {
		return yes()
	}
	return Notice("Nothing was done.", false)
}

// SureKeys are the keys of a question.
func SureKeys() []key.Binding {
	return []key.Binding{
		key.NewBinding(key.WithKeys("y"), key.WithHelp("y", "yes, do it")),
		key.NewBinding(key.WithKeys("esc"), key.WithHelp("any other key", "no")),
	}
}

// Lines is the question in as many lines as it needs.
func (s *Sure) Lines(c pane.Context, w int) []string {
	t := c.Theme
	var out []string
	for _, l := range Wrap(s.question, max(10, w-2)) {
		out = append(out, " "+t.Watch.Render(l))
	}
	return append(out, " "+t.Key.Render("y")+t.Plain.Render("  yes, do it")+t.Dim.Render("   any other key: no, nothing happens"))
}
