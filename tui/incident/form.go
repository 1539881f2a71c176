package incident

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/store/journal"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// The fields of the form, in their order.
const (
	fTitle = iota
	fCategory
	fSeverity
	fBegan
	fLead
	fEvidence
	fCount
)

var fieldNames = [fCount]string{"title", "category", "severity", "began", "lead", "evidence"}

// form is a draft of an incident as a person edits it.
type form struct {
	draft      journal.IncidentDraft
	at         int // the field that has the keys
	input      kit.Input
	text       [fCount]string
	categories []pane.Definition
	severities []pane.Definition
	began      string // as prefilled
	err        string
}

func newForm(c pane.Context) *form {
	f := &form{categories: c.Desk.Categories(), severities: c.Desk.Severities()}
	f.draft = c.Desk.Prefill(c.Service, c.Snapshot)
	f.text[fTitle], f.text[fLead], f.text[fEvidence] = f.draft.Title, f.draft.Lead, f.draft.Evidence
	if !f.draft.Began.IsZero() {
		f.text[fBegan] = stamp(c, f.draft.Began)
	}
	f.began = f.text[fBegan]
	f.focus(fTitle)
	return f
}

const layout = "2006-01-02 15:04"

// stamp writes a time as the form takes it back.
func stamp(c pane.Context, t time.Time) string { return kit.Local(c, t).Format(layout) }

func choice(field int) bool { return field == fCategory || field == fSeverity }

// focus gives a field the keys.
func (f *form) focus(field int) {
	f.take()
	f.at = (field + fCount) % fCount
	f.input.Close()
	if !choice(f.at) {
		f.input.Open(f.text[f.at])
	}
}

// take keeps what was typed.
func (f *form) take() {
	if f.input.Active() {
		f.text[f.at] = f.input.Value()
	}
}

func (f *form) paste(m tea.PasteMsg) { f.input.Update(m) }

// turn chooses the next or previous word of a choice.
func (f *form) turn(by int) {
	pick := func(all []pane.Definition, word string) string {
		for i := range all {
			if all[i].Word == word {
				return all[max(0, min(len(all)-1, i+by))].Word
			}
		}
		if len(all) > 0 {
			return all[0].Word
		}
		return word
	}
	switch f.at {
	case fCategory:
		f.draft.Category = journal.Category(pick(f.categories, string(f.draft.Category)))
	case fSeverity:
		f.draft.Severity = journal.Severity(pick(f.severities, string(f.draft.Severity)))
	}
}

func (p *Pane) formKey(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	f := p.form
	f.err = ""
	switch s := k.String(); {
	case s == "enter":
		return p.openIt(c)
	case s == "tab" || s == "down":
		f.focus(f.at + 1)
	case s == "shift+tab" || s == "up":
		f.focus(f.at - 1)
	case choice(f.at) && (s == "right" || s == "space"):
		f.turn(1)
	case choice(f.at) && s == "left":
		f.turn(-1)
	default:
		f.input.Update(k)
	}
	return nil
}

// openIt opens the incident as the form describes it.
func (p *Pane) openIt(c pane.Context) tea.Cmd {
	f := p.form
	f.take()
	d := f.draft
	d.Title, d.Lead, d.Evidence = strings.TrimSpace(f.text[fTitle]), strings.TrimSpace(f.text[fLead]), strings.TrimSpace(f.text[fEvidence])
	if d.Title == "" {
		f.err = "A title is needed: a few words on what people see."
		f.focus(fTitle)
		return nil
	}
	if typed := strings.TrimSpace(f.text[fBegan]); typed != f.began {
		at, err := began(c, typed)
		if err != nil {
			f.err = err.Error()
			f.focus(fBegan)
			return nil
		}
		d.Began = at
	}
	desk := c.Desk
	return p.act(c, func(ctx context.Context) doneMsg {
		inc, err := desk.OpenIncident(ctx, d)
		return doneMsg{inc: &inc, opened: err == nil, text: inc.ID + " is open, " + string(inc.Severity) + ". Its clock runs.", err: err}
	})
}

// began reads a start time; empty is not known.
func began(c pane.Context, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	zone := time.UTC
	if c.LocalTime {
		zone = time.Local
	}
	at, err := time.ParseInLocation(layout, s, zone)
	if err != nil {
		if at, err = time.ParseInLocation("15:04", s, zone); err != nil {
			return time.Time{}, fmt.Errorf("%q is no time; write it like 02:31 or 2026-03-10 02:31, or leave it empty", s)
		}
		d := c.Now.In(zone)
		at = time.Date(d.Year(), d.Month(), d.Day(), at.Hour(), at.Minute(), 0, 0, zone)
		if at.After(c.Now) {
			at = at.AddDate(0, 0, -1)
		}
	}
	if at.After(c.Now) {
		return time.Time{}, fmt.Errorf("%s has not happened yet; when did it begin?", s)
	}
	return at, nil
}

// view draws the form.
func (f *form) view(c pane.Context, busy bool) []string {
	t := c.Theme
	const nameW = 10
	room := max(10, c.Width-nameW-6)
	var out []string
	row := func(field int, text string, st lipgloss.Style) {
		mark, name := "   ", t.Dim
		if field == f.at {
			mark, name = " "+t.Accent.Render(t.Glyphs.Here)+" ", t.Bright
		}
		gap := "  "
		if choice(field) {
			gap = " " // the words have room for a bracket on each side
		}
		out = append(out, mark+name.Render(widget.Fit(fieldNames[field], nameW, ""))+gap+st.Render(text))
	}
	under := func(st lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, room) {
			out = append(out, strings.Repeat(" ", nameW+5)+st.Render(l))
		}
	}
	out = append(out, "")
	for field := range fCount {
		switch {
		case choice(field):
			all, word := f.categories, string(f.draft.Category)
			if field == fSeverity {
				all, word = f.severities, string(f.draft.Severity)
			}
			var words []string
			means := ""
			for _, d := range all {
				w := " " + kit.Line(d.Word, 20) + " "
				if d.Word == word {
					w, means = t.Selected.Render("["+kit.Line(d.Word, 20)+"]"), d.Means
				} else {
					w = t.Dim.Render(w)
				}
				words = append(words, w)
			}
			row(field, strings.Join(words, " "), lipgloss.NewStyle())
			under(t.Plain, means)
			if c.Height >= 24 && field == f.at {
				for _, d := range all {
					if d.Word != word {
						out = append(out, strings.Repeat(" ", nameW+5)+t.Dim.Render(widget.Fit(kit.Line(d.Word, 14), 14, t.Glyphs.Ellipsis)+kit.Line(d.Means, room)))
					}
				}
			}
		case field == f.at:
			row(field, ansi.TruncateLeft(f.input.View(c, "", room), 1, ""), lipgloss.NewStyle())
		case field == fEvidence:
			lines := kit.Wrap(f.text[field], room)
			row(field, lines[0], t.Plain)
			for _, l := range lines[1:min(len(lines), 4)] {
				out = append(out, strings.Repeat(" ", nameW+5)+t.Plain.Render(l))
			}
		default:
			text, st := kit.Line(f.text[field], room), t.Plain
			if text == "" {
				text, st = "not known", t.Dim
			} else if field == fBegan {
				text += " " + kit.Zone(c)
			}
			row(field, text, st)
		}
		if c.Height >= 24 {
			out = append(out, "")
		}
	}
	if c.Height < 24 {
		out = append(out, "")
	}
	if ch := f.draft.Change; ch != nil {
		out = append(out, "   "+t.Dim.Render("The likeliest cause goes in as evidence: "+widget.ChangeWord(ch)+" at "+kit.Minute(c, ch.At)+"."), "")
	}
	switch {
	case f.err != "":
		for _, l := range kit.Wrap(f.err, max(10, c.Width-6)) {
			out = append(out, "   "+t.Watch.Render(l))
		}
	case busy:
		out = append(out, "   "+t.Dim.Render("Opening"+t.Glyphs.Ellipsis))
	default:
		out = append(out, "   "+t.Key.Render("enter")+t.Bright.Render("  open it")+t.Dim.Render("    ")+t.Key.Render("tab")+t.Plain.Render("  next field")+
			t.Dim.Render("    ")+t.Key.Render("left/right")+t.Plain.Render("  choose")+t.Dim.Render("    ")+t.Key.Render("esc")+t.Plain.Render("  leave"))
	}
	return out
}
