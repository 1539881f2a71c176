package kit

import (
	tea "charm.land/bubbletea/v2"
)

// WheelLines is how many rows one notch of the mouse wheel moves.
const WheelLines = 3

// List is the cursor and the window of a list: the row that is selected and the
// first row that is drawn. The rows themselves belong to the pane.
type List struct {
	Cursor, Top int
}

// Clamp keeps the cursor inside n rows and inside the window of h rows.
func (l *List) Clamp(n, h int) {
	h = max(1, h)
	l.Cursor = max(0, min(l.Cursor, n-1))
	if l.Cursor < l.Top {
		l.Top = l.Cursor
	}
	if l.Cursor >= l.Top+h {
		l.Top = l.Cursor - h + 1
	}
	l.Top = max(0, min(l.Top, n-h))
}

// Move puts the cursor by rows further, within n rows and a window of h.
func (l *List) Move(by, n, h int) {
	l.Cursor += by
	l.Clamp(n, h)
}

// Key moves the cursor for the usual keys and tells whether it knew the key.
func (l *List) Key(k tea.KeyPressMsg, n, h int) bool {
	by, ok := Step(k, n, h)
	if ok {
		l.Move(by, n, h)
	}
	return ok
}

// Step tells by how many rows a key moves in a list of n rows and a window of h.
func Step(k tea.KeyPressMsg, n, h int) (by int, ok bool) {
	page := max(1, h-1)
	switch k.String() {
	case "up", "k":
		return -1, true
	case "down", "j":
		return 1, true
	case "pgup", "ctrl+b":
		return -page, true
	case "pgdown", "ctrl+f":
		return page, true
	case "ctrl+u":
		return -max(1, page/2), true
	case "ctrl+d":
		return max(1, page/2), true
	case "home":
		return -n, true
	case "end", "G":
		return n, true
	}
	return 0, false
}

// Wheel tells by how many rows a mouse wheel event moves.
func Wheel(m tea.MouseWheelMsg) int {
	switch m.Button {
	case tea.MouseWheelUp:
		return -WheelLines
	case tea.MouseWheelDown:
		return WheelLines
	}
	return 0
}

// Scroll is a window on lines without a cursor.
type Scroll struct {
	Top int
}

// Clamp keeps the window of h lines inside n lines.
func (s *Scroll) Clamp(n, h int) { s.Top = max(0, min(s.Top, n-max(1, h))) }

// Key moves the window for the usual keys and tells whether it knew the key.
func (s *Scroll) Key(k tea.KeyPressMsg, n, h int) bool {
	by, ok := Step(k, n, h)
	if ok {
		s.Top += by
		s.Clamp(n, h)
	}
	return ok
}

// Window returns the h lines that are visible, fewer at the end.
func Window[T any](rows []T, top, h int) []T {
	top = max(0, min(top, len(rows)))
	return rows[top:min(len(rows), top+max(0, h))]
}
