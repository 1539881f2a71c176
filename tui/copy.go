package tui

import (
	"encoding/base64"
	"strings"

	tea "charm.land/bubbletea/v2"

	"rollcall/tui/pane"
)

// copyLimit is what terminals take through OSC52 without complaint.
const copyLimit = 74_000

// copy hands what is selected to the clipboard of the terminal.
func (m *Model) copy() tea.Cmd {
	c, ok := m.pane().(pane.Copier)
	if !ok {
		m.notice = pane.NoticeMsg{Text: "Nothing to copy here; m turns the mouse off so that text can be selected."}
		return nil
	}
	text, what := c.CopyText(m.context())
	switch {
	case text == "":
		m.notice = pane.NoticeMsg{Text: "Nothing is selected to copy."}
		return nil
	case len(text) > copyLimit:
		m.notice = pane.NoticeMsg{Text: "Too long for the terminal's clipboard; select it with the mouse (m).", Bad: true}
		return nil
	}
	m.notice = pane.NoticeMsg{Text: "Copied " + oneLine(what) + " through the terminal (OSC 52)."}
	return tea.Raw(osc52(text, m.opts.Environ))
}

// osc52 is the sequence that sets the clipboard, wrapped so that tmux or screen
// hands it on to the terminal outside.
func osc52(text string, environ []string) string {
	seq := "\x1b]52;c;" + base64.StdEncoding.EncodeToString([]byte(text)) + "\a"
	var inTmux, inScreen bool
	for _, e := range environ {
		k, v, _ := strings.Cut(e, "=")
		switch k {
		case "TMUX":
			inTmux = inTmux || v != ""
		case "STY":
			inScreen = inScreen || v != ""
		case "TERM":
			// Over SSH only TERM comes along.
			inTmux = inTmux || strings.HasPrefix(v, "tmux")
			inScreen = inScreen || strings.HasPrefix(v, "screen")
		}
	}
	switch {
	case inTmux:
		return "\x1bPtmux;" + strings.ReplaceAll(seq, "\x1b", "\x1b\x1b") + "\x1b\\"
	case inScreen:
		// screen takes at most 768 bytes in one string.
		var b strings.Builder
		for len(seq) > 0 {
			n := min(len(seq), 700)
			b.WriteString("\x1bP" + seq[:n] + "\x1b\\")
			seq = seq[n:]
		}
		return b.String()
	}
	return seq
}
