package request

import (
	"time"

	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// spanDetail is everything about one span.
func spanDetail(s *sources.Span, tr *trace) *detail {
	start := tr.start
	return &detail{
		title:  "span ID",
		name:   "Span " + s.Name,
		copied: s.SpanID.String(),
		lines: func(c pane.Context, w int) []string {
			t := c.Theme
			ascii := t.Options.ASCII
			fields := []kit.Field{
				{Key: "started", Value: kit.Moment(c, time.Unix(0, s.Start)) + "  " + kit.Offset(time.Duration(s.Start-start))},
				{Key: "took", Value: kit.Duration(s.Duration(), ascii)},
			}
			if s.End < s.Start {
				fields[1].Value = "ended before it started: the sender's clock moved"
			}
			add := func(k, v string) {
				if v != "" {
					fields = append(fields, kit.Field{Key: k, Value: v})
				}
			}
			add("kind", s.Kind)
			if s.Error {
				status := "error"
				if s.Message != "" {
					status += ": " + s.Message
				}
				add("status", t.Glyphs.Bad+" "+status)
			} else {
				add("status", s.Message)
			}
			add("span", s.SpanID.String())
			if !s.Parent.IsZero() {
				add("parent", s.Parent.String())
			}
			if !s.TraceID.IsZero() {
				add("trace", s.TraceID.String())
			}
			out := kit.Fields(c, fields, w)
			section := func(title string, attrs sources.Attrs) {
				if len(attrs) == 0 {
					return
				}
				out = append(out, "", " "+t.Title.Render(title))
				fields := make([]kit.Field, len(attrs))
				for i, a := range attrs {
					fields[i] = kit.Field{Key: a.Key, Value: a.Value}
				}
				out = append(out, kit.Fields(c, fields, w)...)
			}
			section("Attributes", s.Attrs)
			for i := range s.Events {
				e := &s.Events[i]
				out = append(out, "", " "+t.Title.Render("Event ")+kit.Line(e.Name, w)+t.Dim.Render("  "+kit.Offset(time.Duration(e.Time-start))))
				fields := make([]kit.Field, len(e.Attrs))
				for k, a := range e.Attrs {
					fields[k] = kit.Field{Key: a.Key, Value: a.Value}
				}
				out = append(out, kit.Fields(c, fields, w)...)
			}
			if s.Resource != nil {
				section("Resource "+kit.Line(s.Resource.Service, w), s.Resource.Attrs)
			}
			return out
		},
	}
}

// lineDetail is everything about one log line.
func lineDetail(l *sources.LogLine) *detail {
	return &detail{
		title: "log line", name: "Log line", copied: l.Line,
		lines: func(c pane.Context, w int) []string { return kit.LogDetail(c, l, w) },
	}
}
