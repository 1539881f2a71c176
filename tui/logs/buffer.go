package logs

import (
	"slices"
	"time"

	"rollcall/sources"
	"rollcall/tui/kit"
)

// What the pane keeps at most: whichever is reached first.
const (
	maxLines = 10000
	maxBytes = 32 << 20
)

// entry is a line with what has been worked out about it.
type entry struct {
	line    sources.LogLine
	summary *kit.LogSummary // nil until it is drawn
	size    int
}

func newEntry(l sources.LogLine) entry {
	size := len(l.Line) + 160
	for k, v := range l.Meta {
		size += len(k) + len(v) + 32
	}
	// Stream labels are shared between lines by whoever read them; they are not counted.
	return entry{line: l, size: size}
}

// buffer holds the newest lines, oldest first, within its bounds. When only
// errors are shown it also knows which lines these are.
type buffer struct {
	lines  []entry
	bytes  int
	first  int // number of lines[0] since the buffer began
	errors []int
	only   bool // rows are the errors
}

func (b *buffer) reset() { *b = buffer{only: b.only} }

// full tells whether one more line of that size would push an old one out.
func (b *buffer) full(size int) bool {
	return len(b.lines) >= maxLines || b.bytes+size > maxBytes && len(b.lines) > 0
}

// push adds a newer line; old ones make room.
func (b *buffer) push(e entry) {
	b.lines = append(b.lines, e)
	b.bytes += e.size
	if isError(&e.line) {
		b.errors = append(b.errors, b.first+len(b.lines)-1)
	}
	drop := 0
	for len(b.lines)-drop > maxLines || b.bytes > maxBytes && len(b.lines)-drop > 1 {
		b.bytes -= b.lines[drop].size
		drop++
	}
	b.drop(drop)
}

func (b *buffer) drop(n int) {
	if n == 0 {
		return
	}
	clear(b.lines[:n]) // the array behind the slice must not keep old text alive
	b.lines = b.lines[n:]
	b.first += n
	gone := 0
	for gone < len(b.errors) && b.errors[gone] < b.first {
		gone++
	}
	b.errors = b.errors[gone:]
}

// prepend adds older lines, as many as there is room for, and returns by how many rows the others moved.
func (b *buffer) prepend(older []entry) int {
	from := len(older)
	for from > 0 && len(b.lines)+len(older)-from < maxLines && b.bytes+older[from-1].size <= maxBytes {
		from--
		b.bytes += older[from].size
	}
	older = older[from:]
	before := b.rows()
	b.lines = slices.Concat(older, b.lines)
	b.first -= len(older)
	var errs []int
	for i := range older {
		if isError(&older[i].line) {
			errs = append(errs, b.first+i)
		}
	}
	b.errors = append(errs, b.errors...)
	return b.rows() - before
}

// rows is how many lines are shown.
func (b *buffer) rows() int {
	if b.only {
		return len(b.errors)
	}
	return len(b.lines)
}

// row returns the i-th line that is shown.
func (b *buffer) row(i int) *entry {
	if b.only {
		i = b.errors[i] - b.first
	}
	return &b.lines[i]
}

// around returns a copy of the lines near the cursor, at most n to either side, with the list that shows the same of them.
func (b *buffer) around(l kit.List, n int) (buffer, kit.List) {
	out := buffer{only: b.only}
	if l.Cursor < 0 || l.Cursor >= b.rows() {
		return out, kit.List{}
	}
	at := l.Cursor
	if b.only {
		at = b.errors[at] - b.first
	}
	from, to := max(0, at-n), min(len(b.lines), at+n+1)
	cut := 0 // rows that are left out before
	for i := range from {
		if !b.only || isError(&b.lines[i].line) {
			cut++
		}
	}
	for _, e := range b.lines[from:to] {
		out.push(e)
	}
	return out, kit.List{Cursor: l.Cursor - cut, Top: max(0, l.Top-cut)}
}

// rowAt returns the shown row that is the same line as the given one, or the one nearest before it.
func (b *buffer) rowAt(t time.Time, line string) int {
	n := b.rows()
	for i := n - 1; i >= 0; i-- {
		l := &b.row(i).line
		if l.Time.Equal(t) && l.Line == line {
			return i
		}
		if l.Time.Before(t) {
			return i
		}
	}
	return 0
}

// has tells whether the buffer ends in, or near its end holds, the same line.
func (b *buffer) has(l *sources.LogLine) bool {
	for i := len(b.lines) - 1; i >= 0; i-- {
		o := &b.lines[i].line
		if o.Time.Before(l.Time) {
			return false
		}
		if o.Time.Equal(l.Time) && o.Line == l.Line {
			return true
		}
	}
	return false
}

// begins tells whether the oldest lines hold the same line.
func (b *buffer) begins(l *sources.LogLine) bool {
	for i := range b.lines {
		o := &b.lines[i].line
		if o.Time.After(l.Time) {
			return false
		}
		if o.Time.Equal(l.Time) && o.Line == l.Line {
			return true
		}
	}
	return false
}

func isError(l *sources.LogLine) bool { return kit.LevelVerdict(l.Level) == sources.Bad }
