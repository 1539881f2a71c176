package overview

import (
	"sort"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/pane"
)

// sideBySide is the width from which two panes stand beside each other.
const sideBySide = 100

// plan says what is drawn where.
type plan struct {
	boxes  []box
	framed bool // boxes with four sides; otherwise a rule over each
	chartH int  // height of the selected signal's chart below the boxes; 0 without
}

// box is one pane with the rows that fit.
type box struct {
	group      sources.Pane
	name       string
	x, y, w, h int
	rows       []*sources.Reading
	hidden     int
	unexposed  int // of the hidden: signals that this system does not have
}

type spot struct {
	group  sources.Pane
	signal string
}

// spots are the places of the cursor, in reading order: each title, then its rows.
func (p *plan) spots() []spot {
	var out []spot
	for i := range p.boxes {
		b := &p.boxes[i]
		out = append(out, spot{b.group, ""})
		for _, r := range b.rows {
			out = append(out, spot{b.group, r.Signal})
		}
	}
	return out
}

func (p *Pane) lay(c pane.Context) {
	if c.Snapshot == nil {
		p.plan = plan{}
		return
	}
	byGroup := make([][]*sources.Reading, len(groups))
	for i := range c.Snapshot.Readings {
		r := &c.Snapshot.Readings[i]
		g := groupIndex(r.Pane)
		byGroup[g] = append(byGroup[g], r)
	}
	if c.Width >= sideBySide {
		p.plan = wide(byGroup, c.Width, c.Height)
	} else {
		p.plan = stacked(byGroup, c.Snapshot, c.Width, c.Height)
	}
}

// wide puts the panes two by two. What height is left goes to a chart of the
// selected signal.
func wide(byGroup [][]*sources.Reading, w, h int) plan {
	pl := plan{framed: true}
	top := max(len(byGroup[0]), len(byGroup[1])) + 2
	bottom := max(len(byGroup[2]), len(byGroup[3])) + 2
	if spare := h - top - bottom; spare >= 10 {
		pl.chartH = spare
	} else if spare > 0 {
		bottom += spare
	} else if top+bottom > h {
		// Each side gives up rows in proportion, but never all of them.
		want := top + bottom
		top = max(4, min(h-4, top*h/want))
		bottom = h - top
	}
	left := w / 2
	for i := range groups {
		b := box{group: groups[i].group, name: groups[i].name, w: left, h: top}
		if i%2 == 1 {
			b.x, b.w = left, w-left
		}
		if i >= 2 {
			b.y, b.h = top, bottom
		}
		b.fill(byGroup[i], b.h-2)
		pl.boxes = append(pl.boxes, b)
	}
	return pl
}

// stacked puts the panes under each other, the worst first, and deals the rows
// out so that every pane shows something and what is wrong shows everywhere.
func stacked(byGroup [][]*sources.Reading, snap *signal.Snapshot, w, h int) plan {
	order := []int{0, 1, 2, 3}
	severity := func(i int) int {
		switch snap.Worst(groups[i].group) {
		case sources.Bad:
			return 2
		case sources.Watch:
			return 1
		}
		return 0
	}
	sort.SliceStable(order, func(a, b int) bool { return severity(order[a]) > severity(order[b]) })
	rows := [4]int{}
	left := h - len(groups) - 1
	deal := func(i, upTo int) {
		n := max(0, min(left, min(upTo, len(byGroup[i]))-rows[i]))
		rows[i] += n
		left -= n
	}
	for _, i := range order {
		deal(i, 1)
	}
	for _, i := range order {
		deal(i, troubled(byGroup[i]))
	}
	for more := true; more && left > 0; {
		before := left
		for _, i := range order {
			deal(i, rows[i]+1)
		}
		more = left < before
	}
	pl := plan{}
	y := 0
	for _, i := range order {
		b := box{group: groups[i].group, name: groups[i].name, y: y, w: w, h: rows[i] + 1}
		b.fill(byGroup[i], rows[i])
		y += b.h
		pl.boxes = append(pl.boxes, b)
	}
	return pl
}

func troubled(rs []*sources.Reading) int {
	n := 0
	for _, r := range rs {
		if wrong(r.Verdict) {
			n++
		}
	}
	return n
}

func wrong(v sources.Verdict) bool {
	return v == sources.Bad || v == sources.Watch || v == sources.Unreachable
}

// fill takes the n rows most worth seeing, in catalogue order: what is wrong
// first, what this system does not have last.
func (b *box) fill(rs []*sources.Reading, n int) {
	rank := func(r *sources.Reading) int {
		switch {
		case r.Verdict == sources.Bad:
			return 0
		case wrong(r.Verdict):
			return 1
		case r.Verdict == sources.NotExposed:
			return 4
		case r.Verdict == sources.NoTraffic:
			return 3
		}
		return 2
	}
	idx := make([]int, len(rs))
	for i := range idx {
		idx[i] = i
	}
	sort.SliceStable(idx, func(i, k int) bool { return rank(rs[idx[i]]) < rank(rs[idx[k]]) })
	n = max(0, min(n, len(rs)))
	keep := append([]int(nil), idx[:n]...)
	sort.Ints(keep)
	for _, i := range keep {
		b.rows = append(b.rows, rs[i])
	}
	b.hidden = len(rs) - n
	for _, i := range idx[n:] {
		if rs[i].Verdict == sources.NotExposed {
			b.unexposed++
		}
	}
}
