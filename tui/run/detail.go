package run

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"rollcall/runbooks"
	"rollcall/runbooks/run"
	"rollcall/sources"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// detail is what the step that is looked at does and shows, in w×h.
func (p *Pane) detail(c pane.Context, w, h int) []string {
	st := p.shown()
	if st == nil || h <= 0 || w < 10 {
		return blank(nil, h)
	}
	head := p.detailHead(c, st, w, h)
	room := max(0, h-len(head))
	var body []string
	switch {
	case st.Kind == runbooks.CheckOf:
		body = p.checkBody(c, st, w, room)
	case len(st.Output) > 0 || st.Omitted > 0:
		body = p.outputBody(c, st, w, room)
	case len(st.Snapped) > 0:
		body = snappedBody(c, st)
	case st.Kind == runbooks.Criteria:
		body = p.criteriaBody(c, st)
	case st.Note != "":
		for _, l := range kit.Wrap(st.Note, w-1) {
			body = append(body, " "+l)
		}
	}
	lines := blank(append(head, body...), h)
	for i := range lines {
		lines[i] = widget.Fit(lines[i], w, c.Theme.Glyphs.Ellipsis)
	}
	return lines
}

func blank(lines []string, h int) []string {
	for len(lines) < h {
		lines = append(lines, "")
	}
	return lines[:max(0, h)]
}

// detailHead names the step and says how it stands and what it runs.
func (p *Pane) detailHead(c pane.Context, st *run.Step, w, h int) []string {
	t := c.Theme
	_, word, style := kit.StepLook(t, st.Status)
	pieces := []kit.Piece{{Text: st.Name, Style: t.Title}, {Text: word, Style: style}}
	if st.Exit != nil && st.Status != run.Running {
		pieces = append(pieces, kit.Piece{Text: fmt.Sprintf("exit %d", *st.Exit), Style: t.Dim})
	}
	if st.Took > 0 {
		pieces = append(pieces, kit.Piece{Text: "took " + kit.Duration(time.Duration(st.Took*float64(time.Second)), t.Options.ASCII), Style: t.Dim})
	}
	if st.By != "" {
		pieces = append(pieces, kit.Piece{Text: "by " + st.By, Style: t.Dim})
	}
	if !st.Began.IsZero() {
		pieces = append(pieces, kit.Piece{Text: "began " + kit.Clock(c, st.Began), Style: t.Dim})
	}
	out := []string{kit.Pieces(t, w, pieces...)}
	if asked := p.state.Question != "" && p.current() == st; st.Why != "" && (!asked || h >= 10) { // the question says it too
		out = append(out, style.Render(ansi.Truncate(kit.Line(widget.Words(st.Why, t.Options.ASCII), w), w, t.Glyphs.Ellipsis)))
	}
	if h < 6 {
		return out
	}
	if h >= 14 {
		for _, l := range kit.Wrap(st.Sentence, w) {
			out = append(out, t.Plain.Render(l))
		}
	}
	n := 1
	if h >= 14 {
		n = 6
	}
	for _, l := range scriptLines(st.Script, n) {
		out = append(out, t.Dim.Render(ansi.Truncate(kit.Line("$ "+l, w), w, t.Glyphs.Ellipsis)))
	}
	if rc := st.Reconcile; rc != nil && h >= 14 && (st.Status == run.Waiting || st.Status == run.Running) {
		words := "If it is cut off, " + strings.Join(rc.Run, " ") + " decides: done when " + rc.Done + ", not done when " + rc.NotDone + ", else a person looks."
		for _, l := range kit.Wrap(words, w) {
			out = append(out, t.Dim.Render(l))
		}
	}
	if st.Check != nil && h >= 10 {
		for _, l := range kit.Wrap(sentenceOf(st.Check), w) {
			out = append(out, t.Dim.Render(l))
		}
	}
	if h >= 14 {
		out = append(out, "")
	}
	return out
}

// outputBody is the end of what the command printed; scrolling goes back from there.
func (p *Pane) outputBody(c pane.Context, st *run.Step, w, h int) []string {
	t := c.Theme
	if h <= 0 {
		return nil
	}
	p.scroll = max(0, min(p.scroll, len(st.Output)-h))
	end := len(st.Output) - p.scroll
	first := max(0, end-h)
	var out []string
	for i := first; i < end; i++ {
		l := &st.Output[i]
		mark, style := "  ", t.Plain
		if l.Stream == "err" {
			mark, style = "! ", t.Watch
		}
		out = append(out, style.Render(ansi.Truncate(mark+kit.Line(l.Text, w), w, t.Glyphs.Ellipsis)))
	}
	before := int64(first) + st.Omitted
	if before > 0 && len(out) > 1 {
		words := fmt.Sprintf("%s earlier lines; pgup scrolls", sources.Thousands(int(before)))
		if st.Omitted > 0 {
			words = fmt.Sprintf("%s earlier lines, of which %s were not kept", sources.Thousands(int(before)), sources.Thousands(int(st.Omitted)))
		}
		out[0] = t.Dim.Render("  " + words)
	}
	if p.scroll > 0 && len(out) > 1 {
		out[len(out)-1] = t.Dim.Render("  " + sources.Thousands(p.scroll+1) + " later lines; pgdn")
	}
	return out
}

func snappedBody(c pane.Context, st *run.Step) []string {
	t := c.Theme
	var out []string
	for i := range st.Snapped {
		r := &st.Snapped[i]
		glyph, style := t.Verdict(r.Verdict)
		value := kit.Unknown(t.Options.ASCII)
		if r.Known {
			value = widget.Amount(r.Value, r.Unit, t.Options.ASCII)
		}
		out = append(out, "  "+t.Plain.Render(widget.Fit(kit.Line(r.Label, 18), 18, t.Glyphs.Ellipsis))+widget.FitLeft(value, 10, "")+"  "+style.Render(glyph+" "+string(r.Verdict)))
	}
	return out
}

// criteriaBody says of each criterion how it stands, and what is watched afterwards.
func (p *Pane) criteriaBody(c pane.Context, st *run.Step) []string {
	t := c.Theme
	var out []string
	for _, name := range st.Criteria {
		for i := range p.state.Steps {
			if s := &p.state.Steps[i]; s.Name == name {
				glyph, word, style := kit.StepLook(t, s.Status)
				out = append(out, "  "+style.Render(glyph)+" "+widget.Fit(kit.Line(name, 18), 18, t.Glyphs.Ellipsis)+"  "+style.Render(word))
			}
		}
	}
	if st.Mark != "" {
		out = append(out, "", "  "+t.Dim.Render("When all hold, the incident is marked "+st.Mark+"."))
	}
	if h := st.Hold; h != nil {
		out = append(out, "  "+t.Dim.Render("Afterwards "+kit.Line(h.Step, 30)+" is watched for "+widget.Span(h.For)+"; if it fails: "+string(h.OnFail)+"."))
	}
	return out
}
