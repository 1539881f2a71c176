package kit

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// LogDetail is everything about one log line, wrapped to w columns: its fields one
// below the other, its labels, and the line as it was received.
func LogDetail(c pane.Context, l *sources.LogLine, w int) []string {
	t := c.Theme
	s := Summarize(l)
	shape, word, st := Level(t, l.Level)
	out := []string{" " + t.Bright.Render(Moment(c, l.Time)) + "  " + st.Render(strings.TrimSpace(shape+" "+word)), ""}
	for _, line := range Wrap(s.Message, max(1, w-2)) {
		out = append(out, " "+t.Bright.Render(line))
	}
	section := func(title string, fields []Field) {
		if len(fields) == 0 {
			return
		}
		out = append(out, "", " "+t.Title.Render(title))
		out = append(out, Fields(c, fields, w)...)
	}
	section("Fields", s.Fields)
	section("Labels", sorted(l.Labels))
	section("Metadata", sorted(l.Meta))
	if len(s.Fields) > 0 {
		out = append(out, "", " "+t.Title.Render("As received"))
		for _, line := range Wrap(l.Line, max(1, w-2)) {
			out = append(out, " "+t.Dim.Render(line))
		}
	}
	return out
}

func sorted(m map[string]string) []Field {
	out := make([]Field, 0, len(m))
	for k, v := range m {
		out = append(out, Field{k, v})
	}
	slices.SortFunc(out, func(a, b Field) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// Fields draws keys and values one below the other, values wrapped beside their keys.
func Fields(c pane.Context, fields []Field, w int) []string {
	t := c.Theme
	wide := 0
	for _, f := range fields {
		wide = max(wide, ansi.StringWidth(Line(f.Key, w)))
	}
	wide = min(wide, max(8, w/3))
	room := max(8, w-wide-4)
	var out []string
	for _, f := range fields {
		key := t.Dim.Render(widget.Fit(Line(f.Key, wide), wide, t.Glyphs.Ellipsis))
		for i, line := range Wrap(f.Value, room) {
			if i > 0 {
				key = strings.Repeat(" ", wide)
			}
			out = append(out, " "+key+"  "+line)
		}
	}
	return out
}
