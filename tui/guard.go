package tui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	uv "github.com/charmbracelet/ultraviolet"
)

// replyGuard keeps late answers of the terminal from being taken for typing. On
// a slow line an answer can be cut in the middle; its first half arrives as
// something unknown, its second half looks like keys.
type replyGuard struct {
	awaiting bool // an answer to a question of ours is still due
	form     byte // 's' inside a string (OSC, DCS, ...), 'c' inside a control sequence, 0 outside
	until    time.Time
	esc      time.Time // when a lone escape came while an answer was due
}

// patience is how long the rest of a cut answer may take.
const patience = time.Second

// unknown looks at a message that no one knows; true means that it is half an answer.
func (g *replyGuard) unknown(msg tea.Msg, now time.Time) bool {
	raw, ok := msg.(uv.UnknownEvent)
	if !ok {
		return false
	}
	if len(raw) < 2 || raw[0] != 0x1b {
		return true
	}
	switch raw[1] {
	case ']', 'P', '_', '^', 'X':
		if !strings.HasSuffix(string(raw), "\a") && !strings.HasSuffix(string(raw), "\x1b\\") {
			g.form, g.until = 's', now.Add(patience)
		}
	case '[':
		if last := raw[len(raw)-1]; len(raw) == 2 || last < 0x40 || last > 0x7e {
			g.form, g.until = 'c', now.Add(patience)
		}
	}
	return true
}

// swallow tells whether a key is part of an answer.
func (g *replyGuard) swallow(k tea.KeyPressMsg, now time.Time) bool {
	word := k.String()
	if g.form == 0 || now.After(g.until) {
		g.form = 0
		if !g.awaiting {
			return false
		}
		switch {
		case word == "esc":
			g.esc = now
		case word == "alt+]" || word == "]" && now.Sub(g.esc) < patience/4:
			g.form, g.until = 's', now.Add(patience)
			return true
		}
		return false
	}
	g.until = now.Add(patience)
	switch {
	case word == "ctrl+c":
		g.form = 0
		return false
	case g.form == 's' && (word == "ctrl+g" || word == `alt+\` || word == `\`):
		g.form = 0
	case g.form == 'c' && len(k.Text) == 1 && k.Text[0] >= 0x40:
		g.form = 0
	}
	return true
}
