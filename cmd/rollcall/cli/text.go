package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/tui/theme"
	"rollcall/tui/widget"
)

// printer writes text for people: styled on a terminal, plain elsewhere.
type printer struct {
	w      io.Writer
	theme  *theme.Theme
	styled bool
	width  int
	err    error
}

func (p *Program) printer(o *options, ui config.UI) *printer {
	l := p.look(o, ui)
	t := theme.New(theme.Options{Dark: l.Theme != "light", NoColor: l.NoColor, ASCII: l.ASCII})
	return &printer{w: p.Out, theme: t, styled: p.OutTTY && !l.NoColor, width: p.Width}
}

func (t *printer) style(s lipgloss.Style, text string) string {
	if !t.styled || text == "" {
		return text
	}
	return s.Render(text)
}

func (t *printer) line(format string, args ...any) {
	if t.err != nil {
		return
	}
	s := fmt.Sprintf(format, args...)
	if t.styled {
		_, t.err = lipgloss.Fprintln(t.w, s) // fewer colours where the terminal knows fewer
		return
	}
	_, t.err = fmt.Fprintln(t.w, s)
}

func (t *printer) ascii() bool { return t.theme.Options.ASCII }

// dot separates words on one line.
func (t *printer) dot() string {
	if t.ascii() {
		return " | "
	}
	return " · "
}

func (t *printer) dash() string {
	if t.ascii() {
		return "-"
	}
	return "–"
}

// verdict returns the shape of a verdict.
func (t *printer) verdict(v sources.Verdict) string {
	glyph, st := t.theme.Verdict(v)
	return t.style(st, glyph)
}

// cell is one field of a table.
type cell struct {
	text  string
	style *lipgloss.Style
}

func plainCell(s string) cell { return cell{text: s} }

// table aligns its columns; the columns in right are aligned on the right.
type table struct {
	indent string
	head   []string
	right  []bool
	rows   [][]cell
}

func (tb *table) add(cells ...cell) { tb.rows = append(tb.rows, cells) }

func (tb *table) print(t *printer) {
	n := len(tb.head)
	for _, r := range tb.rows {
		n = max(n, len(r))
	}
	widths := make([]int, n)
	for i, h := range tb.head {
		widths[i] = ansi.StringWidth(h)
	}
	for _, r := range tb.rows {
		for i := range r {
			r[i].text = clean(r[i].text)
			widths[i] = max(widths[i], ansi.StringWidth(r[i].text))
		}
	}
	if tb.head != nil {
		head := make([]cell, len(tb.head))
		for i, h := range tb.head {
			head[i] = cell{h, &t.theme.Dim}
		}
		tb.row(t, head, widths)
	}
	for _, r := range tb.rows {
		tb.row(t, r, widths)
	}
}

func (tb *table) row(t *printer, cells []cell, widths []int) {
	var b strings.Builder
	b.WriteString(tb.indent)
	used := ansi.StringWidth(tb.indent)
	for i, c := range cells {
		last := i == len(cells)-1
		text, w := c.text, widths[i]
		if t.width > 0 && used+w > t.width {
			w = max(0, t.width-used)
			text = ansi.Truncate(text, w, t.theme.Glyphs.Ellipsis)
		}
		switch {
		case i < len(tb.right) && tb.right[i]:
			text = widget.FitLeft(text, w, t.theme.Glyphs.Ellipsis)
		case !last:
			text = widget.Fit(text, w, t.theme.Glyphs.Ellipsis)
		}
		if c.style != nil {
			text = t.style(*c.style, text)
		}
		b.WriteString(text)
		if used += w; !last {
			b.WriteString("  ")
			used += 2
		}
	}
	t.line("%s", strings.TrimRight(b.String(), " "))
}

// clean keeps text on its line and harmless. Sources have cleaned theirs
// already; this is the last door.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case r < ' ', r >= 0x7f && r < 0xa0, r == '\u2028', r == '\u2029', r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// cleanText is clean for text of several lines.
func cleanText(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// stamp writes a time in UTC; the day is left out when it is that of now.
func stamp(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	t = t.UTC()
	if y, m, d := now.UTC().Date(); !t.Before(time.Date(y, m, d, 0, 0, 0, 0, time.UTC)) && t.Before(time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)) {
		return t.Format("15:04:05Z")
	}
	return t.Format("2006-01-02 15:04:05Z")
}

// seconds writes a duration of a request.
func (t *printer) seconds(n sources.Num) string {
	if !n.OK {
		return t.dash()
	}
	return widget.Amount(n.V, sources.Seconds, t.ascii())
}

func (t *printer) usd(n sources.Num) string {
	if !n.OK {
		return t.dash()
	}
	return fmt.Sprintf("$%.4f", n.V)
}

func (t *printer) whole(n sources.Num) string {
	if !n.OK {
		return t.dash()
	}
	return fmt.Sprintf("%.0f", n.V)
}

// or writes a dash for what is not known.
func (t *printer) or(s string) string {
	if s == "" {
		return t.dash()
	}
	return s
}

// facts says under a list what keeps it from being the whole truth.
func (p *Program) facts(f sources.Facts, noun string) {
	switch {
	case f.Total < 0:
		p.note("rollcall: the newest %d %s; there are more, --limit shows them", f.Shown, noun)
	case f.Total > f.Shown:
		p.note("rollcall: %d of %d %s; --limit shows more", f.Shown, f.Total, noun)
	}
	if f.Sampled {
		p.note("rollcall: these %s are a sample; the others were not kept", noun)
	}
	if f.Partial != "" {
		p.note("rollcall: not the whole answer: %s", f.Partial)
	}
	if f.Stale != "" {
		p.note("rollcall: an older answer than asked for: %s", f.Stale)
	}
	for _, w := range f.Warnings {
		p.note("rollcall: %s says: %s", f.Source, w)
	}
}

// confirm puts a question to the person at the terminal; anything but yes is no.
func (p *Program) confirm(question string) bool {
	_, _ = fmt.Fprintf(p.Err, "%s [y/N] ", clean(question))
	answer, _ := bufio.NewReader(p.In).ReadString('\n')
	a := strings.ToLower(strings.TrimSpace(answer))
	return a == "y" || a == "yes"
}
