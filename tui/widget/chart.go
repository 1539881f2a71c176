package widget

import (
	"math"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/theme"
)

// Line is one course in a chart.
type Line struct {
	Name   string // written at its end when there are several
	Points []sources.Point
	Style  lipgloss.Style
}

// Level is a horizontal line in a chart: a threshold.
type Level struct {
	Name  string
	Value float64
	Style lipgloss.Style
}

// Chart is what a chart shows. Times outside Start..End are left out.
type Chart struct {
	Unit       sources.Unit
	Scale      Scale
	Start, End time.Time
	Lines      []Line
	Levels     []Level
	// Band is where the value usually is; nil when not known.
	Band    *Scale
	Changes []sources.Change
	Local   bool
	// Gutter is the least width of the vertical axis' labels, so that charts
	// below one another share their time axis. LabelWidth tells what one needs.
	Gutter int
}

// rows is how many rows of h are left for the drawing itself.
func (ch *Chart) rows(h int) int {
	if len(ch.Changes) == 0 || h < 7 {
		return h - 2
	}
	return h - 3
}

func (ch *Chart) ticks(h int, ascii bool) (Scale, []yTick) {
	return yTicks(ch.Scale, ch.Unit, max(1, min(6, (ch.rows(h)-1)/2)), ascii)
}

// LabelWidth is how wide the labels of the vertical axis are at a height of h rows.
func (ch *Chart) LabelWidth(h int, ascii bool) int {
	_, ticks := ch.ticks(h, ascii)
	return labelWidth(ticks)
}

func labelWidth(ticks []yTick) int {
	w := 0
	for _, k := range ticks {
		w = max(w, ansi.StringWidth(k.label))
	}
	return w
}

// cell of the drawing area. Dots are braille bits, or a plain rune in ASCII.
type cell struct {
	dots  rune
	text  rune
	style lipgloss.Style
	set   bool
}

// Draw draws the chart in w×h columns and rows: the changes' names on the first
// row, the axes at the left and on the last two rows.
func (ch *Chart) Draw(t *theme.Theme, w, h int) []string {
	ascii := t.Options.ASCII
	plotH := ch.rows(h)
	if plotH < 2 || w < 20 {
		return strings.Split(Block("", w, h, ""), "\n")
	}
	scale, ticks := ch.ticks(h, ascii)
	left := min(max(labelWidth(ticks), ch.Gutter), w/3)
	right := ch.endNames()
	plotW := w - left - 2 - right
	if plotW < 10 {
		right, plotW = 0, w-left-2
	}
	ch.Start, ch.End = Align(ch.Start, ch.End, plotW)
	grid := make([][]cell, plotH)
	for i := range grid {
		grid[i] = make([]cell, plotW)
	}
	row := func(v float64) (int, bool) {
		f := (scale.Hi - v) / (scale.Hi - scale.Lo)
		if math.IsNaN(f) || f < -1e-9 || f > 1+1e-9 {
			return 0, false
		}
		return max(0, min(plotH-1, int(math.Round(f*float64(plotH-1))))), true
	}
	ch.drawBand(t, grid, scale)
	ch.drawChanges(t, grid, plotW)
	ch.drawLevels(t, grid, row)
	for i := range ch.Lines {
		ch.drawLine(&ch.Lines[i], grid, scale, i, ascii)
	}
	ch.nameLevels(grid, row)

	var out []string
	if plotH == h-3 {
		out = append(out, strings.Repeat(" ", left+2)+Marks(t, ch.marks(t, plotW), plotW, " ", t.Dim)+strings.Repeat(" ", right))
	}
	labels := make([]string, plotH)
	for _, k := range ticks {
		if r, ok := row(k.v); ok {
			labels[r] = k.label
		}
	}
	axis, tick := "│", "┤"
	if ascii {
		axis, tick = "|", "+"
	}
	names := ch.nameRows(row, plotH)
	for r := range grid {
		mark := axis
		if labels[r] != "" {
			mark = tick
		}
		line := t.Dim.Render(FitLeft(labels[r], left, t.Glyphs.Ellipsis)+" "+mark) + render(grid[r], ascii)
		if right > 0 {
			if i := names[r]; i >= 0 {
				line += ch.Lines[i].Style.Render(Fit(" "+ch.Lines[i].Name, right, t.Glyphs.Ellipsis))
			} else {
				line += strings.Repeat(" ", right)
			}
		}
		out = append(out, line)
	}
	return append(out, ch.timeAxis(t, left, plotW, right)...)
}

// endNames is the width of the column with the names of the lines.
func (ch *Chart) endNames() int {
	if len(ch.Lines) < 2 {
		return 0
	}
	n := 0
	for i := range ch.Lines {
		n = max(n, ansi.StringWidth(ch.Lines[i].Name))
	}
	return min(n, 20) + 1
}

// nameRows puts each line's name at the height of its last value, moved where two meet.
func (ch *Chart) nameRows(row func(float64) (int, bool), h int) []int {
	names := make([]int, h)
	for i := range names {
		names[i] = -1
	}
	for i := range ch.Lines {
		p := ch.Lines[i].Points
		at := 0
		for k := len(p) - 1; k >= 0; k-- {
			if r, ok := row(p[k].V); ok && !p[k].T.After(ch.End) {
				at = r
				break
			}
		}
		for d := 0; d < h; d++ {
			if r := at + d; r < h && names[r] < 0 {
				names[r] = i
				break
			}
			if r := at - d; r >= 0 && names[r] < 0 {
				names[r] = i
				break
			}
		}
	}
	return names
}

func (ch *Chart) marks(t *theme.Theme, w int) []Mark {
	var out []Mark
	for i := range ch.Changes {
		c := &ch.Changes[i]
		if col, ok := Column(c.At, ch.Start, ch.End, w); ok {
			out = append(out, Mark{col, t.Glyphs.Mark, ChangeWord(c), t.Accent})
		}
	}
	return out
}

func (ch *Chart) drawBand(t *theme.Theme, grid [][]cell, s Scale) {
	if ch.Band == nil || s.Hi <= s.Lo {
		return
	}
	dot := '·'
	if t.Options.ASCII {
		dot = '.'
	}
	h := len(grid)
	at := func(v float64) int { return int(math.Round((s.Hi - v) / (s.Hi - s.Lo) * float64(h-1))) }
	for r := max(0, at(ch.Band.Hi)); r <= min(h-1, at(ch.Band.Lo)); r++ {
		for c := range grid[r] {
			if (c+r)%2 == 0 {
				grid[r][c] = cell{text: dot, style: t.Dim, set: true}
			}
		}
	}
}

func (ch *Chart) drawChanges(t *theme.Theme, grid [][]cell, w int) {
	bar := '┊'
	if t.Options.ASCII {
		bar = ':'
	}
	for i := range ch.Changes {
		if col, ok := Column(ch.Changes[i].At, ch.Start, ch.End, w); ok {
			for r := range grid {
				grid[r][col] = cell{text: bar, style: t.Accent, set: true}
			}
		}
	}
}

func (ch *Chart) drawLevels(t *theme.Theme, grid [][]cell, row func(float64) (int, bool)) {
	dash := '╌'
	if t.Options.ASCII {
		dash = '-'
	}
	for _, l := range ch.Levels {
		r, ok := row(l.Value)
		if !ok {
			continue
		}
		for c := range grid[r] {
			grid[r][c] = cell{text: dash, style: l.Style, set: true}
		}
	}
}

// nameLevels writes the levels' names where no line runs: at the left, the right, or between.
func (ch *Chart) nameLevels(grid [][]cell, row func(float64) (int, bool)) {
	for _, l := range ch.Levels {
		r, ok := row(l.Value)
		if !ok {
			continue
		}
		name := []rune(" " + l.Name + " ")
		w := len(grid[r])
		for _, at := range []int{1, w - len(name) - 1, w / 4, w / 2, w * 2 / 3} {
			if at >= 1 && at+len(name) < w && free(grid[r][at:at+len(name)], l.Style) {
				for i, x := range name {
					grid[r][at+i] = cell{text: x, style: l.Style, set: true}
				}
				break
			}
		}
	}
}

// free tells whether cells hold nothing but their level's own dashes.
func free(cells []cell, level lipgloss.Style) bool {
	for i := range cells {
		if !cells[i].set || cells[i].dots != 0 || !strings.ContainsRune("╌-", cells[i].text) || cells[i].style.GetForeground() != level.GetForeground() {
			return false
		}
	}
	return true
}

// brailleBit is the dot of a cell at column 0..1 and row 0..3.
var brailleBit = [2][4]rune{{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}

// plainMarks tell lines apart where there is no braille.
var plainMarks = []rune("*+ox#")

func (ch *Chart) drawLine(l *Line, grid [][]cell, s Scale, n int, ascii bool) {
	h, w := len(grid), len(grid[0])
	dx, dy := 2, 4
	if ascii {
		dx, dy = 1, 1
	}
	set := func(x, y int) {
		if x < 0 || y < 0 || x >= w*dx || y >= h*dy {
			return
		}
		c := &grid[y/dy][x/dx]
		if ascii {
			*c = cell{text: plainMarks[n%len(plainMarks)], style: l.Style, set: true}
			return
		}
		if c.dots == 0 {
			*c = cell{style: l.Style, set: true}
		}
		c.dots |= brailleBit[x%2][y%4]
		c.style = l.Style
	}
	prev := -1
	for x, v := range Bucket(l.Points, ch.Start, ch.End, w*dx) {
		if math.IsNaN(v) || s.Hi <= s.Lo {
			prev = -1
			continue
		}
		// Rows of cells are centred on their value, as labels and levels are.
		f := (s.Hi - v) / (s.Hi - s.Lo)
		y := int(math.Round(f*float64((h-1)*dy) + float64(dy-1)/2))
		y = max(-1, min(h*dy, y))
		set(x, max(0, min(h*dy-1, y)))
		if prev >= 0 {
			// Join steep steps so that a line stays a line.
			for k := min(prev, y) + 1; k < max(prev, y); k++ {
				set(x, k)
			}
		}
		prev = max(0, y)
	}
}

// render writes one row of cells, as few colour changes as possible.
func render(cells []cell, ascii bool) string {
	var b strings.Builder
	for i := 0; i < len(cells); {
		j := i
		var run strings.Builder
		for j < len(cells) && cells[j].set == cells[i].set && sameStyle(&cells[j], &cells[i]) {
			switch c := &cells[j]; {
			case !c.set:
				run.WriteByte(' ')
			case c.dots != 0 && !ascii:
				run.WriteRune(0x2800 + c.dots)
			default:
				run.WriteRune(c.text)
			}
			j++
		}
		if cells[i].set {
			b.WriteString(cells[i].style.Render(run.String()))
		} else {
			b.WriteString(run.String())
		}
		i = j
	}
	return b.String()
}

func sameStyle(a, b *cell) bool {
	return a.style.GetForeground() == b.style.GetForeground() && a.style.GetBold() == b.style.GetBold()
}

// timeAxis is the line under the drawing and the times under it.
func (ch *Chart) timeAxis(t *theme.Theme, left, w, right int) []string {
	line, tick, corner := '─', '┬', "└"
	if t.Options.ASCII {
		line, tick, corner = '-', '+', "+"
	}
	axis := []rune(strings.Repeat(string(line), w))
	words := []rune(strings.Repeat(" ", left+2+w+right))
	zone := "UTC"
	if ch.Local {
		zone = "local"
	}
	free := 0
	if left+1 >= len(zone) {
		free = left + 2 // the zone stands before the first label
	}
	for _, k := range xTicks(ch.Start, ch.End, max(2, w/12), ch.Local) {
		col, ok := Column(k.t, ch.Start, ch.End, w)
		if !ok {
			continue
		}
		label := []rune(k.label)
		at := min(left+2+col-len(label)/2, left+2+w+right-len(label))
		if at < free || at+len(label) > len(words) {
			continue
		}
		axis[col] = tick
		copy(words[at:], label)
		free = at + len(label) + 1
	}
	if zw := len(zone); left+1 >= zw {
		copy(words, []rune(strings.Repeat(" ", left-zw+1)+zone))
	} else if free+zw < len(words) {
		copy(words[len(words)-zw:], []rune(zone))
	}
	return []string{
		strings.Repeat(" ", left+1) + t.Dim.Render(corner+string(axis)) + strings.Repeat(" ", right),
		t.Dim.Render(string(words)),
	}
}
