package kit

import (
	"charm.land/bubbles/v2/key"
	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/widget"
)

// Input is one line of typed text, such as a filter. It does not blink: nothing
// on the screen moves by itself.
type Input struct {
	model textinput.Model
	open  bool
}

// maxInput is how many characters an input takes; longer pastes are cut.
const maxInput = 4096

// Open shows the input with a value and the cursor behind it.
func (in *Input) Open(value string) {
	in.model = textinput.New()
	in.model.Prompt = ""
	in.model.CharLimit = maxInput
	// The clipboard of this machine is not that of the person at the other end
	// of the SSH connection; the terminal's own paste arrives as a message.
	in.model.KeyMap.Paste = key.NewBinding(key.WithDisabled())
	st := in.model.Styles()
	st.Cursor.Blink = false
	in.model.SetStyles(st)
	in.model.SetValue(value)
	in.model.CursorEnd()
	in.model.Focus()
	in.open = true
}

// Close hides the input.
func (in *Input) Close() { in.open = false }

// Active tells whether the input is shown and takes the keys.
func (in *Input) Active() bool { return in.open }

// Value is what has been typed.
func (in *Input) Value() string {
	if !in.open {
		return ""
	}
	return in.model.Value()
}

// SetValue replaces what has been typed and puts the cursor behind it.
func (in *Input) SetValue(s string) {
	in.model.SetValue(s)
	in.model.CursorEnd()
}

// Update takes a key press or a paste.
func (in *Input) Update(msg tea.Msg) {
	switch msg.(type) {
	case tea.KeyPressMsg, tea.PasteMsg:
		in.model, _ = in.model.Update(msg)
	}
}

// View draws the input in w columns behind a prompt.
func (in *Input) View(c pane.Context, prompt string, w int) string {
	t := c.Theme
	p := t.Key.Render(prompt) + " "
	room := max(1, w-ansi.StringWidth(prompt)-2)
	in.style(t)
	in.model.SetWidth(room)
	return widget.Fit(p+in.model.View(), w, "")
}

func (in *Input) style(t *theme.Theme) {
	st := in.model.Styles()
	st.Focused.Text, st.Focused.Prompt = t.Bright, t.Key
	st.Cursor.Blink = false
	in.model.SetStyles(st)
}
