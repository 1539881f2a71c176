// Package journal is the pane of the timeline: what people and the program did
// and saw change, the newest at the bottom, followed while nobody reads.
package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/store/journal"
	"rollcall/store/review"
	"rollcall/tui/kit"
	"rollcall/tui/pane"
)

// How many entries are read: more where words are looked for, which the journal
// itself does not do.
const (
	recent   = 1000
	searched = 5000
)

// Pane shows entries.
type Pane struct {
	service string
	text    string // the filter as typed
	filter  filter

	all      []journal.Entry // as read, oldest first
	rows     []journal.Entry // those that the filter keeps
	says     *review.Sentences
	cut      bool // there are older ones that were not read
	list     kit.List
	follow   bool
	seq      int64 // an entry to show when it has been read
	detail   *journal.Entry
	bodies   map[int64]string
	scroll   kit.Scroll
	input    kit.Input
	noting   bool // the input is a note, not the filter
	trouble  string
	err      error
	answered bool

	gen     int
	loading bool
	cancel  context.CancelFunc
}

// New returns an empty pane.
func New() pane.Pane { return &Pane{follow: true, bodies: map[int64]string{}} }

// ID returns pane.Journal.
func (p *Pane) ID() pane.ID { return pane.Journal }

// Title names the pane.
func (p *Pane) Title(pane.Context) string { return "Journal" }

// Capturing is true while a filter or a note is typed.
func (p *Pane) Capturing() bool { return p.input.Active() }

// Left stops what is being read.
func (p *Pane) Left() { p.stop() }

func (p *Pane) stop() {
	if p.cancel != nil {
		p.cancel()
		p.cancel = nil
	}
	p.loading = false
	p.gen++
}

// Keep returns the filter, the entries and what was looked at.
func (p *Pane) Keep() any {
	kept := *p
	kept.cancel, kept.loading = nil, false
	return kept
}

// Restore brings them back and reads what is new.
func (p *Pane) Restore(c pane.Context, kept any) tea.Cmd {
	was, ok := kept.(Pane)
	if !ok {
		return p.Open(c, nil)
	}
	p.stop()
	was.gen = p.gen
	*p = was
	return p.Refresh(c)
}

// Open reads the newest entries. Words as argument become the filter, a number
// (int64) is the entry to show in full.
func (p *Pane) Open(c pane.Context, arg any) tea.Cmd {
	if !p.noting {
		p.input.Close() // a note that has been begun is not thrown away
	}
	p.detail = nil
	if p.service != c.Service {
		p.forget()
	}
	switch arg := arg.(type) {
	case string:
		p.setFilter(arg)
		if strings.TrimSpace(arg) != "" {
			c.Record(journal.QueryTyped, map[string]string{"where": "journal"}, arg)
		}
	case int64:
		p.setFilter("")
		p.seq = arg
	}
	return p.read(c)
}

func (p *Pane) forget() {
	p.all, p.rows, p.answered, p.err, p.list, p.follow, p.detail = nil, nil, false, nil, kit.List{}, true, nil
}

func (p *Pane) setFilter(text string) {
	p.text = strings.TrimSpace(text)
	p.filter = parse(p.text)
	p.follow = true
}

// Refresh reads what is new, unless the screen is frozen.
func (p *Pane) Refresh(c pane.Context) tea.Cmd {
	switch {
	case p.service != c.Service:
		p.forget()
	case p.loading || c.Frozen && p.answered:
		return nil
	}
	return p.read(c)
}

type answer struct {
	gen     int
	entries []journal.Entry
	cut     bool
	trouble string
	err     error
}

func (p *Pane) read(c pane.Context) tea.Cmd {
	p.stop()
	if c.Desk == nil {
		return nil
	}
	parent := c.Ctx
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithCancel(parent)
	p.cancel, p.loading, p.service = cancel, true, c.Service
	f := p.filter.ask
	f.Service, f.Newest, f.Limit = c.Service, true, recent
	if len(p.filter.words) > 0 {
		f.Limit = searched
	}
	if !c.View.Live() {
		f.Until = c.View.At
	}
	gen, desk := p.gen, c.Desk
	return func() tea.Msg {
		a := answer{gen: gen, trouble: desk.JournalTrouble()}
		a.entries, a.err = desk.Entries(ctx, f)
		a.cut = len(a.entries) >= f.Limit
		return a
	}
}

func (p *Pane) take(c pane.Context, a answer) tea.Cmd {
	if a.gen != p.gen {
		return nil
	}
	p.loading = false
	p.cancel()
	p.cancel = nil
	p.trouble = a.trouble
	if a.err != nil {
		if !errors.Is(a.err, context.Canceled) {
			p.err = a.err
		}
		return nil
	}
	at, offset := int64(-1), p.list.Cursor-p.list.Top
	if e := p.current(); e != nil {
		at = e.Seq
	}
	p.all, p.cut, p.err, p.answered = a.entries, a.cut, nil, true
	p.sift(c)
	if !p.follow {
		p.list.Cursor = max(0, slices.IndexFunc(p.rows, func(e journal.Entry) bool { return e.Seq >= at }))
		p.list.Top = p.list.Cursor - offset
		p.list.Clamp(len(p.rows), p.listHeight(c))
	}
	if p.seq == 0 {
		return nil
	}
	seq := p.seq
	p.seq = 0
	for i := range p.rows {
		if p.rows[i].Seq == seq {
			p.follow = false
			p.list.Cursor = i
			p.list.Clamp(len(p.rows), p.listHeight(c))
			return p.open(c)
		}
	}
	return kit.Notice(fmt.Sprintf("Entry %d is not among the newest that were read; rollcall journal tail shows it.", seq), true)
}

// sift keeps what the words of the filter keep.
func (p *Pane) sift(c pane.Context) {
	p.rows, p.says = p.all, review.SentencesOf(p.all)
	if len(p.filter.words) > 0 {
		p.rows = nil
		for i := range p.all {
			if p.filter.keeps(&p.all[i], p.says) {
				p.rows = append(p.rows, p.all[i])
			}
		}
	}
	if p.follow {
		p.list.Cursor = len(p.rows) - 1
	}
	p.list.Clamp(len(p.rows), p.listHeight(c))
}

func (p *Pane) current() *journal.Entry {
	if i := p.list.Cursor; i >= 0 && i < len(p.rows) {
		return &p.rows[i]
	}
	return nil
}

// CopyText returns the entry in words.
func (p *Pane) CopyText(c pane.Context) (string, string) {
	e := p.detail
	if e == nil {
		e = p.current()
	}
	if e == nil {
		return "", ""
	}
	return fmt.Sprintf("#%d %s %s %s", e.Seq, e.At.UTC().Format("2006-01-02T15:04:05Z"), e.Kind, p.says.Summary(e)), "entry"
}

var keys = struct{ full, note, filter, clear, follow, about, move, apply, discard key.Binding }{
	full:    key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "entry in full")),
	note:    key.NewBinding(key.WithKeys("n"), key.WithHelp("n", "write a note")),
	filter:  key.NewBinding(key.WithKeys("/"), key.WithHelp("/", "filter: words, a kind, INC-7, RUN-3")),
	clear:   key.NewBinding(key.WithKeys("x"), key.WithHelp("x", "clear filter")),
	follow:  key.NewBinding(key.WithKeys("f"), key.WithHelp("f", "follow the newest")),
	about:   key.NewBinding(key.WithKeys("o"), key.WithHelp("o", "open what it is about")),
	move:    key.NewBinding(key.WithKeys("up", "down"), key.WithHelp("up/down", "move")),
	apply:   key.NewBinding(key.WithKeys("enter"), key.WithHelp("enter", "done")),
	discard: key.NewBinding(key.WithKeys("esc"), key.WithHelp("esc", "leave it")),
}

// Keys lists what the keys do now.
func (p *Pane) Keys() []key.Binding {
	switch {
	case p.input.Active():
		return []key.Binding{keys.apply, keys.discard}
	case p.detail != nil:
		return []key.Binding{keys.about, keys.move}
	}
	out := []key.Binding{keys.full, keys.note, keys.filter, keys.about}
	if p.text != "" {
		out = append(out, keys.clear)
	}
	if !p.follow {
		out = append(out, keys.follow)
	}
	return append(out, keys.move)
}

// Back closes what is typed, then the entry.
func (p *Pane) Back(pane.Context) bool {
	switch {
	case p.input.Active():
		p.input.Close()
	case p.detail != nil:
		p.detail = nil
	default:
		return false
	}
	return true
}

type bodyMsg struct {
	id   int64
	text string
}

type notedMsg struct {
	entry journal.Entry
	text  string
	err   error
}

// Update takes keys, the mouse and answers.
func (p *Pane) Update(c pane.Context, msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case answer:
		return p.take(c, msg)
	case bodyMsg:
		p.bodies[msg.id] = msg.text
	case notedMsg:
		return p.noted(c, msg)
	case tea.PasteMsg:
		p.input.Update(msg)
	case tea.KeyPressMsg:
		return p.key(c, msg)
	case tea.MouseWheelMsg:
		if p.detail != nil {
			p.scroll.Top = max(0, p.scroll.Top+kit.Wheel(msg))
			return nil
		}
		p.moveBy(c, kit.Wheel(msg))
	case tea.MouseClickMsg:
		i := p.list.Top + msg.Y - headLines
		if msg.Button != tea.MouseLeft || p.detail != nil || msg.Y < headLines || msg.Y >= headLines+p.listHeight(c) || i >= len(p.rows) {
			return nil
		}
		if i == p.list.Cursor {
			return p.open(c)
		}
		p.list.Cursor, p.follow = i, false
	}
	return nil
}

func (p *Pane) key(c pane.Context, k tea.KeyPressMsg) tea.Cmd {
	switch {
	case p.input.Active():
		if k.String() == "enter" {
			return p.submit(c)
		}
		p.input.Update(k)
		return nil
	case key.Matches(k, keys.about):
		return p.about()
	case p.detail != nil:
		p.scroll.Key(k, len(p.detailLines(c)), max(1, c.Height-1))
		return nil
	case key.Matches(k, keys.full):
		return p.open(c)
	case key.Matches(k, keys.note):
		p.noting = true
		p.input.Open("")
	case key.Matches(k, keys.filter):
		p.noting = false
		p.input.Open(p.text)
	case key.Matches(k, keys.clear) && p.text != "":
		p.setFilter("")
		return p.read(c)
	case key.Matches(k, keys.follow):
		p.follow = true
		p.sift(c)
	default:
		if by, ok := kit.Step(k, len(p.rows), p.listHeight(c)); ok {
			p.moveBy(c, by)
		}
	}
	return nil
}

// moveBy moves the cursor; on the newest entry the screen follows again.
func (p *Pane) moveBy(c pane.Context, by int) {
	p.list.Move(by, len(p.rows), p.listHeight(c))
	p.follow = p.list.Cursor >= len(p.rows)-1
}

func (p *Pane) submit(c pane.Context) tea.Cmd {
	words := strings.TrimSpace(p.input.Value())
	p.input.Close()
	if !p.noting {
		p.setFilter(words)
		if words != "" {
			c.Record(journal.QueryTyped, map[string]string{"where": "journal"}, words)
		}
		return p.read(c)
	}
	if words == "" {
		return nil
	}
	desk, service, incident := c.Desk, c.Service, c.IncidentID()
	return kit.Act(c, func(ctx context.Context) tea.Msg {
		e, err := desk.AddNote(ctx, service, incident, words)
		return notedMsg{e, words, err}
	})
}

// noted reads the note back, or gives its words back to be tried again.
func (p *Pane) noted(c pane.Context, m notedMsg) tea.Cmd {
	if m.err != nil {
		p.noting = true
		p.input.Open(m.text)
		return kit.Notice("The note was not taken: "+m.err.Error(), true)
	}
	text := fmt.Sprintf("Noted as entry %d.", m.entry.Seq)
	if m.entry.Incident != "" {
		text = fmt.Sprintf("Noted as entry %d of %s.", m.entry.Seq, m.entry.Incident)
	}
	p.follow = true
	return tea.Batch(kit.Notice(text, false), p.Refresh(c))
}

// open shows an entry in full and reads its artifacts.
func (p *Pane) open(c pane.Context) tea.Cmd {
	e := p.current()
	if e == nil {
		return nil
	}
	entry := *e
	p.detail, p.scroll = &entry, kit.Scroll{}
	var cmds []tea.Cmd
	for i := range entry.Artifacts {
		a := entry.Artifacts[i]
		if a.Erased || p.bodies[a.ID] != "" {
			continue
		}
		desk, ctx := c.Desk, c.Ctx
		if ctx == nil {
			ctx = context.Background()
		}
		cmds = append(cmds, func() tea.Msg {
			got, err := desk.Artifact(ctx, a.ID)
			if err != nil {
				return bodyMsg{a.ID, "It cannot be shown: " + err.Error()}
			}
			text := string(got.Body)
			if strings.TrimSpace(text) == "" {
				text = "(empty)"
			}
			return bodyMsg{a.ID, text}
		})
	}
	if len(p.bodies) > 64 {
		p.bodies = map[int64]string{} // read again when they are looked at again
	}
	return tea.Batch(cmds...)
}

// about opens the run, the request or the incident of an entry.
func (p *Pane) about() tea.Cmd {
	e := p.detail
	if e == nil {
		e = p.current()
	}
	if e == nil {
		return nil
	}
	var msg pane.OpenMsg
	switch id := requestOf(e); {
	case e.Run != "":
		msg = pane.OpenMsg{ID: pane.Run, Arg: e.Run}
	case id != "":
		msg = pane.OpenMsg{ID: pane.Request, Arg: id}
	case e.Incident != "":
		msg = pane.OpenMsg{ID: pane.Incident, Arg: e.Incident}
	case e.Kind == journal.ChangeSeen || e.Kind == journal.PinSet:
		msg = pane.OpenMsg{ID: pane.Changes}
	default:
		return kit.Notice("This entry is about nothing that has a screen of its own.", false)
	}
	return func() tea.Msg { return msg }
}
