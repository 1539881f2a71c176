package journal

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"

	"rollcall/sources"
	"rollcall/store/journal"
	"rollcall/store/review"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// headLines are the lines over the rows: the filter or the facts, and the titles.
const headLines = 2

// filter is what a person typed: what the journal can be asked for, and words.
type filter struct {
	ask   journal.Filter
	words []string // lower case
}

var (
	incidentID = regexp.MustCompile(`^(?i)INC-\d+$`)
	runID      = regexp.MustCompile(`^(?i)RUN-\d+$`)
)

// kinds are all kinds of entries, for the filter.
var kinds = []journal.Kind{
	journal.IncidentOpened, journal.IncidentUpdated, journal.IncidentClosed, journal.Noted, journal.RunStarted, journal.RunIntent,
	journal.RunProcess, journal.RunSample, journal.RunAnswer, journal.RunOutcome, journal.RunEnded, journal.AlertFiring,
	journal.AlertResolved, journal.AlertAcknowledged, journal.AlertSilenced, journal.ChangeSeen, journal.RequestViewed, journal.QueryTyped, journal.Captured,
	journal.PinSet, journal.GoodMarked, journal.FeatureSet, journal.SettingSet, journal.EvalsRun, journal.SignalsSnapped, journal.Exported, journal.Erased,
	journal.Purged,
}

// parse reads a filter: INC-7 and RUN-3 are what they look like, a word that is
// a kind or the group of one ("run", "alert") selects kinds, all else is looked for.
func parse(text string) filter {
	var f filter
	for _, w := range strings.Fields(text) {
		switch {
		case incidentID.MatchString(w):
			f.ask.Incident = strings.ToUpper(w)
			continue
		case runID.MatchString(w):
			f.ask.Run = strings.ToUpper(w)
			continue
		}
		word := strings.TrimPrefix(strings.ToLower(w), "kind=")
		var found []journal.Kind
		for _, k := range kinds {
			if string(k) == word || strings.HasPrefix(string(k), word+".") {
				found = append(found, k)
			}
		}
		if len(found) == 0 {
			f.words = append(f.words, strings.ToLower(w))
			continue
		}
		f.ask.Kinds = append(f.ask.Kinds, found...)
	}
	return f
}

// keeps tells whether an entry holds all words. Filters that were typed here hold
// them all by themselves: they are found by their kind only.
func (f *filter) keeps(e *journal.Entry, says *review.Sentences) bool {
	if e.Kind == journal.QueryTyped && len(f.ask.Kinds) == 0 && strings.Contains(string(e.Data), `"where":"journal"`) {
		return false
	}
	hay := strings.ToLower(strings.Join([]string{string(e.Kind), e.Actor, e.Incident, e.Run, says.Summary(e), e.Text, string(e.Data)}, " "))
	return !slices.ContainsFunc(f.words, func(w string) bool { return !strings.Contains(hay, w) })
}

// requestOf is the request that an entry is about.
func requestOf(e *journal.Entry) string {
	if e.Kind != journal.RequestViewed && e.Kind != journal.Captured {
		return ""
	}
	var d struct {
		RequestID string `json:"request_id"`
		Request   string `json:"request"`
		ID        string `json:"id"`
	}
	if json.Unmarshal(e.Data, &d) != nil {
		return ""
	}
	for _, id := range []string{d.RequestID, d.Request, d.ID} {
		if id != "" {
			return id
		}
	}
	return ""
}

// listHeight is what is left between the head and the last line, which says what is wrong where something is.
func (p *Pane) listHeight(c pane.Context) int {
	h := c.Height - headLines
	if p.trouble != "" {
		h--
	}
	return max(1, h)
}

func (p *Pane) detailLines(c pane.Context) []string {
	return kit.EntryDetail(c, p.detail, c.Width, func(id int64) string { return p.bodies[id] })
}

// View draws the timeline or one entry.
func (p *Pane) View(c pane.Context) string {
	if c.Width <= 0 || c.Height <= 0 {
		return ""
	}
	if p.detail != nil {
		lines := p.detailLines(c)
		p.scroll.Clamp(len(lines), c.Height)
		return kit.Screen(c, kit.Window(lines, p.scroll.Top, c.Height))
	}
	h := p.listHeight(c)
	p.list.Clamp(len(p.rows), h)
	lines := []string{p.top(c), kit.EntryHead(c, c.Width)}
	if len(p.rows) == 0 {
		lines = append(lines, p.words(c)...)
	}
	// The newest stands at the bottom, also when there are few.
	if gap := h - len(p.rows); gap > 0 && len(p.rows) > 0 {
		lines = append(lines, make([]string, gap)...)
	}
	for i, e := range kit.Window(p.rows, p.list.Top, h) {
		lines = append(lines, kit.EntryLine(c, p.says, &e, c.Width, p.list.Top+i == p.list.Cursor))
	}
	for len(lines) < headLines+h {
		lines = append(lines, "")
	}
	if p.trouble != "" {
		t := c.Theme
		lines = append(lines, " "+t.Watch.Render(widget.Fit(t.Glyphs.Unreachable+" Nothing is recorded now: "+kit.Line(p.trouble, c.Width), c.Width-2, t.Glyphs.Ellipsis)))
	}
	return kit.Screen(c, lines)
}

// top is the filter that is typed, or what is on the screen.
func (p *Pane) top(c pane.Context) string {
	t := c.Theme
	if p.input.Active() {
		prompt := "/"
		if p.noting {
			prompt = "note>"
			if id := c.IncidentID(); id != "" {
				prompt = "note for " + id + ">"
			}
		}
		return " " + p.input.View(c, prompt, c.Width-2)
	}
	var out []kit.Piece
	add := func(s string, st lipgloss.Style) { out = append(out, kit.Piece{Text: s, Style: st}) }
	if p.err != nil && len(p.rows) > 0 {
		add("older answer: "+p.err.Error(), t.Watch)
	}
	if p.answered {
		n := sources.Thousands(len(p.rows)) + " entries"
		if len(p.rows) == 1 {
			n = "1 entry"
		}
		switch {
		case len(p.filter.words) > 0 && p.cut:
			n += " among the newest " + sources.Thousands(searched) + "; older ones were not searched"
		case p.cut:
			n = "the newest " + sources.Thousands(len(p.rows)) + " entries, there are older ones"
		}
		add(n, t.Dim)
	} else if p.loading {
		add("reading", t.Dim)
	}
	if p.text != "" {
		add("filter: "+p.text, t.Accent)
	}
	switch {
	case !c.View.Live():
		add("until "+kit.Minute(c, c.View.At), t.Watch)
	case p.follow:
		add("follows the newest", t.Dim)
	default:
		add("held; f follows the newest", t.Watch)
	}
	return " " + kit.Pieces(t, c.Width-1, out...)
}

// words stand where there are no entries.
func (p *Pane) words(c pane.Context) []string {
	t := c.Theme
	out := []string{""}
	say := func(st lipgloss.Style, text string) {
		for _, l := range kit.Wrap(text, max(10, c.Width-6)) {
			out = append(out, "   "+st.Render(l))
		}
	}
	switch {
	case p.err != nil:
		say(t.Watch, t.Glyphs.Unreachable+" The journal could not be read: "+p.err.Error())
		say(t.Dim, "Asked again with the next refresh.")
	case !p.answered:
		say(t.Dim, "Reading the journal"+t.Glyphs.Ellipsis)
	case p.text != "":
		say(t.Plain, "No entry matches "+p.text+".")
		say(t.Dim, "x clears the filter. It takes words, a kind (note, run, alert.firing), INC-7 and RUN-3.")
	case !c.View.Live():
		say(t.Plain, "Nothing had been recorded until then.")
	default:
		say(t.Plain, "Nothing has been recorded yet.")
		say(t.Dim, "n writes the first note. What you look at, type and run is recorded by itself.")
	}
	return out
}
