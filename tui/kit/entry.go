package kit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"rollcall/sources"
	"rollcall/store/journal"
	"rollcall/store/review"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// EntryVerdict is how much an entry deserves a look.
func EntryVerdict(e *journal.Entry) sources.Verdict {
	switch e.Kind {
	case journal.AlertFiring, journal.IncidentOpened:
		return sources.Bad
	case journal.ChangeSeen, journal.PinSet, journal.FeatureSet, journal.SettingSet, journal.RunIntent, journal.Erased, journal.Purged:
		return sources.Watch
	}
	return sources.OK
}

// EntryLine is one row of a timeline in w columns: when, which entry, what kind,
// what it says in these sentences; where there is room also who and within what.
func EntryLine(c pane.Context, says *review.Sentences, e *journal.Entry, w int, selected bool) string {
	t := c.Theme
	at := Local(c, e.At).Format("15:04:05")
	if !sameDay(c, e.At, c.Now) {
		at = Local(c, e.At).Format("Jan _2 15:04")
	}
	glyph, style := t.Verdict(EntryVerdict(e))
	if EntryVerdict(e) == sources.OK {
		glyph, style = " ", t.Dim
	}
	mark := "  "
	if selected {
		mark = t.Glyphs.Cursor + " "
	}
	var b strings.Builder
	b.WriteString(mark)
	b.WriteString(t.Dim.Render(widget.Fit(at, 12, "")) + " " + t.Dim.Render(widget.FitLeft(strconv.FormatInt(e.Seq, 10), 6, "")) + "  ")
	b.WriteString(style.Render(glyph) + " " + style.Render(widget.Fit(string(e.Kind), 18, t.Glyphs.Ellipsis)) + "  ")
	if w >= 110 {
		b.WriteString(t.Dim.Render(widget.Fit(Line(e.Actor, 10), 10, t.Glyphs.Ellipsis)) + "  ")
		b.WriteString(t.Dim.Render(widget.Fit(Line(strings.TrimSpace(e.Incident+" "+e.Run), 14), 14, t.Glyphs.Ellipsis)) + "  ")
	}
	b.WriteString(t.Plain.Render(Line(widget.Words(says.Summary(e), t.Options.ASCII), w)))
	s := widget.Fit(b.String(), w, t.Glyphs.Ellipsis)
	if selected {
		return t.Selected.Render(ansi.Strip(s))
	}
	return s
}

// EntryHead is the line of titles over EntryLine.
func EntryHead(c pane.Context, w int) string {
	s := "  " + widget.Fit("time "+Zone(c), 12, "") + " " + widget.FitLeft("entry", 6, "") + "    " + widget.Fit("kind", 18, "") + "  "
	if w >= 110 {
		s += widget.Fit("who", 10, "") + "  " + widget.Fit("within", 14, "") + "  "
	}
	return c.Theme.Dim.Render(widget.Fit(s+"what", w, ""))
}

// EntryDetail is everything about one entry, wrapped to w columns; body gives the
// text of an artifact by its ID, as far as it has been read.
func EntryDetail(c pane.Context, e *journal.Entry, w int, body func(id int64) string) []string {
	t := c.Theme
	out := []string{" " + t.Bright.Render(fmt.Sprintf("Entry %d", e.Seq)) + "  " + t.Title.Render(string(e.Kind)) + "  " + t.Dim.Render(Moment(c, e.At)), ""}
	facts := []Field{{"by", e.Actor + " through " + e.Origin}}
	add := func(k, v string) {
		if v != "" {
			facts = append(facts, Field{k, v})
		}
	}
	add("incident", e.Incident)
	add("run", e.Run)
	add("service", strings.TrimSpace(e.Service+" "+e.Environment))
	if d := e.Wall.Sub(e.At); d > time.Minute || d < -time.Minute {
		add("wall time", Local(c, e.Wall).Format("2006-01-02 15:04:05")+zone(c))
	}
	add("hash", e.Hash)
	out = append(out, Fields(c, facts, w)...)
	section := func(title, text string) {
		out = append(out, "", " "+t.Title.Render(title))
		for _, l := range Wrap(text, max(1, w-2)) {
			out = append(out, " "+t.Plain.Render(l))
		}
	}
	switch {
	case e.TextErased:
		section("Text", "It was erased; the entry keeps its hash, so the chain still holds.")
	case e.Text != "":
		section("Text", e.Text)
	}
	if len(e.Data) > 0 && string(e.Data) != "null" {
		var b bytes.Buffer
		if json.Indent(&b, e.Data, "", "  ") != nil {
			b.Reset()
			b.Write(e.Data)
		}
		section("Facts", b.String())
	}
	for i := range e.Artifacts {
		a := &e.Artifacts[i]
		text := "Reading" + t.Glyphs.Ellipsis
		if a.Erased {
			text = "It was erased; the entry keeps its hash, so the chain still holds."
		} else if s := body(a.ID); s != "" {
			text = s
		}
		section(fmt.Sprintf("%s (%s, %s)", a.Name, a.Type, Bytes(a.Bytes)), text)
	}
	return out
}
