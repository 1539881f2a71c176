package kit

import (
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
)

// Piece is some words with their style.
type Piece struct {
	Text  string
	Style lipgloss.Style
}

// Pieces joins as many pieces as fit into w columns, most important first, and
// pads to w. The first is cut when even it does not fit.
func Pieces(t *theme.Theme, w int, pieces ...Piece) string {
	sep := " " + t.Glyphs.Dot + " "
	if t.Options.ASCII {
		sep = " | "
	}
	var b strings.Builder
	used := 0
	for _, p := range pieces {
		text := Line(p.Text, w)
		if text == "" {
			continue
		}
		n := ansi.StringWidth(text)
		gap := 0
		if used > 0 {
			gap = ansi.StringWidth(sep)
		}
		if room := w - used - gap; n > room {
			// Better the beginning of a sentence than nothing, but not a stump of it.
			if room < 16 && used > 0 {
				break
			}
			text = ansi.Truncate(text, max(0, room), t.Glyphs.Ellipsis)
			n = ansi.StringWidth(text)
		}
		if gap > 0 {
			b.WriteString(t.Dim.Render(sep))
		}
		b.WriteString(p.Style.Render(text))
		used += gap + n
	}
	return b.String() + strings.Repeat(" ", max(0, w-used))
}

// FactPieces says how far an answer can be trusted: how many of how many, from
// where, as of when, and what is wrong with it.
func FactPieces(c pane.Context, f sources.Facts, noun string) []Piece {
	t := c.Theme
	var out []Piece
	add := func(s string, st lipgloss.Style) {
		if s != "" {
			out = append(out, Piece{Text: s, Style: st})
		}
	}
	// What is wrong comes before what is merely known: it must not fall off a narrow screen.
	count := sources.Counted(f.Shown, noun)
	switch {
	case f.Total < 0:
		count = "newest " + sources.Counted(f.Shown, noun) + ", there are more"
	case f.Total > f.Shown:
		count = sources.Thousands(f.Shown) + " of " + sources.Counted(f.Total, noun)
	}
	add(count, t.Dim)
	if f.Stale != "" {
		add("stale: "+f.Stale, t.Watch)
	}
	if f.Partial != "" {
		add("partial: "+f.Partial, t.Watch)
	}
	add(f.Source, t.Dim)
	if !f.At.IsZero() {
		add(Minute(c, f.At), t.Dim)
	}
	if f.Sampled {
		add("sampled", t.Watch)
	}
	if f.Skew > sources.MaxSkew || f.Skew < -sources.MaxSkew {
		add("its clock is off by "+Offset(f.Skew), t.Watch)
	}
	for _, w := range f.Warnings {
		add(w, t.Watch)
	}
	return out
}
