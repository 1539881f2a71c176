// Package theme holds the look: colours, glyphs and the styles made of them.
//
// Colour only helps; shape and words carry meaning. Borders and units are dim,
// values bright, one accent for what is selected, red and amber for verdicts.
package theme

import (
	"image/color"

	"charm.land/lipgloss/v2"

	"rollcall/sources"
)

// Options choose a theme.
type Options struct {
	Dark    bool // terminal background
	NoColor bool
	ASCII   bool
}

// Theme is immutable after New.
type Theme struct {
	Options Options
	Glyphs  Glyphs

	Plain, Dim, Bright, Title, Accent, Selected, Key lipgloss.Style
	// Faint is for what only fills: the course of a quiet signal.
	Faint                  lipgloss.Style
	Bad, Watch, OK, Banner lipgloss.Style

	// Series tell the lines of one chart apart without the colours of verdicts;
	// their names at the lines' ends do so without any colour.
	Series [4]lipgloss.Style
}

// Glyphs are the characters that differ between UTF-8 and ASCII.
type Glyphs struct {
	OK, Watch, Bad, NoTraffic, NotExposed, Unreachable, Learning string
	Ellipsis, Times, Arrow, Mark, Cursor, Dot                    string
	// How a step of a run stands, and which one is the current one.
	Passed, Failed, Doing, Todo, Unsure, Skipped, Here string
	Spark                                              []rune // lowest to highest
	Border                                             lipgloss.Border
}

// New builds a theme. The palette keeps apart for the common kinds of colour blindness.
func New(o Options) *Theme {
	t := &Theme{Options: o, Glyphs: unicodeGlyphs}
	if o.ASCII {
		t.Glyphs = asciiGlyphs
	}
	s := lipgloss.NewStyle()
	t.Plain, t.Bright, t.Title = s, s.Bold(true), s.Bold(true)
	t.Selected, t.Key, t.Banner = s.Reverse(true), s.Bold(true), s.Reverse(true)
	t.Faint, t.Series = s, [4]lipgloss.Style{s.Bold(true), s, s, s}
	t.Dim, t.Accent, t.Bad, t.Watch, t.OK = s, s.Bold(true), s.Bold(true), s.Bold(true), s
	if o.NoColor {
		return t
	}
	pick := func(dark, light string) color.Color {
		if o.Dark {
			return lipgloss.Color(dark)
		}
		return lipgloss.Color(light)
	}
	t.Dim = s.Foreground(pick("#8a8f98", "#6a6f78"))
	t.Series = [4]lipgloss.Style{
		s.Foreground(pick("#56b4e9", "#0060a0")), s.Foreground(pick("#e0e4ea", "#101216")),
		s.Foreground(pick("#cc79a7", "#8f3f6e")), s.Foreground(pick("#7f8794", "#6a6f78")),
	}
	t.Faint = s.Foreground(pick("#59616d", "#a3aab4"))
	t.Bright = s.Foreground(pick("#f2f4f8", "#101216"))
	t.Title = s.Foreground(pick("#c9d1d9", "#24292f")).Bold(true)
	t.Accent = s.Foreground(pick("#56b4e9", "#0060a0")).Bold(true)
	t.Key = t.Accent
	t.Bad = s.Foreground(pick("#ff6b57", "#b3261e")).Bold(true)
	t.Watch = s.Foreground(pick("#e6a700", "#8a5a00"))
	t.OK = s.Foreground(pick("#6aa889", "#2f6f4f"))
	t.Selected = s.Background(pick("#2e3a4a", "#cfe4f7")).Foreground(pick("#ffffff", "#101216"))
	t.Banner = s.Background(pick("#3a3000", "#ffe9a8")).Foreground(pick("#ffdd66", "#5a4300"))
	return t
}

// Verdict returns the glyph and the style of a verdict.
func (t *Theme) Verdict(v sources.Verdict) (string, lipgloss.Style) {
	g := &t.Glyphs
	switch v {
	case sources.OK:
		return g.OK, t.OK
	case sources.Watch:
		return g.Watch, t.Watch
	case sources.Bad:
		return g.Bad, t.Bad
	case sources.NoTraffic:
		return g.NoTraffic, t.Dim
	case sources.NotExposed:
		return g.NotExposed, t.Dim
	case sources.Unreachable:
		return g.Unreachable, t.Watch
	default:
		return g.Learning, t.Dim
	}
}

var unicodeGlyphs = Glyphs{
	OK: "●", Watch: "◐", Bad: "▲", NoTraffic: "○", NotExposed: "–", Unreachable: "?", Learning: "…",
	Ellipsis: "…", Times: "×", Arrow: "→", Mark: "◆", Cursor: "›", Dot: "·",
	Passed: "✓", Failed: "✗", Doing: "◐", Todo: "·", Unsure: "?", Skipped: "–", Here: "►",
	Spark:  []rune("▁▂▃▄▅▆▇█"),
	Border: lipgloss.RoundedBorder(),
}

var asciiGlyphs = Glyphs{
	OK: "*", Watch: "~", Bad: "!", NoTraffic: "o", NotExposed: "-", Unreachable: "?", Learning: ".",
	Ellipsis: "..", Times: "x", Arrow: "->", Mark: "^", Cursor: ">", Dot: "|",
	Passed: "+", Failed: "x", Doing: "~", Todo: ".", Unsure: "?", Skipped: "-", Here: ">",
	Spark:  []rune("_.-=*#"),
	Border: lipgloss.ASCIIBorder(),
}

// On returns the style as it looks on the selected row.
func (t *Theme) On(s lipgloss.Style) lipgloss.Style {
	if t.Options.NoColor {
		return s.Reverse(true)
	}
	return s.Background(t.Selected.GetBackground())
}
