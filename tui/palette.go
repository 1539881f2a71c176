package tui

import (
	"sort"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"rollcall/store/journal"
	"rollcall/tui/widget"
)

// paletteRows is how many matches are shown.
const paletteRows = 9

// palette is the line in which commands are typed, with what matches above it.
type palette struct {
	input textinput.Model
	found []choice
	pick  int
	err   string
}

// choice is one thing that enter can do.
type choice struct {
	text string // what tab completes to
	arg  string // what may follow, for the eye
	help string
	// run does it with the argument typed; an error is shown and the palette stays.
	run func(arg string) (tea.Cmd, error)
	// needs tells that running without an argument makes no sense: enter completes instead.
	needs bool
	// unrecorded: what is typed is no query, or what it does is recorded by itself.
	unrecorded bool
	// args suggests arguments.
	args func() []string
}

func (m *Model) openPalette(text string) tea.Cmd {
	in := textinput.New()
	in.Prompt = ":"
	in.CharLimit = 2000
	st := in.Styles()
	st.Cursor.Blink = false
	st.Focused.Prompt, st.Focused.Text = m.theme.Key, m.theme.Plain
	in.SetStyles(st)
	in.SetWidth(max(10, m.width-4))
	in.SetValue(text)
	in.CursorEnd()
	p := &palette{input: in}
	m.palette = p
	cmd := p.input.Focus()
	p.match(m)
	return cmd
}

func (p *palette) edit(msg tea.Msg) tea.Cmd {
	var cmd tea.Cmd
	p.input, cmd = p.input.Update(msg)
	return cmd
}

func (m *Model) paletteKey(k tea.KeyPressMsg) tea.Cmd {
	p := m.palette
	switch k.String() {
	case "esc":
		m.palette = nil
		return nil
	case "enter":
		return m.runPalette()
	case "tab":
		p.complete()
	case "up", "ctrl+p":
		p.pick = max(0, p.pick-1)
		return nil
	case "down", "ctrl+n":
		p.pick = min(len(p.found)-1, p.pick+1)
		return nil
	case "backspace":
		if p.input.Value() == "" {
			m.palette = nil
			return nil
		}
		p.edit(k)
	default:
		cmd := p.edit(k)
		p.match(m)
		return cmd
	}
	p.match(m)
	return nil
}

// complete takes over the picked choice without running it.
func (p *palette) complete() {
	if p.pick >= len(p.found) {
		return
	}
	c := p.found[p.pick]
	text := c.text
	if c.needs || c.arg != "" {
		text += " "
	}
	if _, rest := split(p.input.Value()); strings.HasPrefix(p.input.Value(), c.text+" ") && rest != "" {
		return
	}
	p.input.SetValue(text)
	p.input.CursorEnd()
}

func (m *Model) runPalette() tea.Cmd {
	p := m.palette
	if p.pick < 0 || p.pick >= len(p.found) {
		p.err = "No such command; backspace to change it, esc to close."
		return nil
	}
	c := p.found[p.pick]
	value := strings.TrimSpace(p.input.Value())
	arg := ""
	if rest, ok := strings.CutPrefix(value, c.text+" "); ok {
		arg = strings.TrimSpace(rest)
	} else if word, rest := split(value); rest != "" && fuzzy(word, c.text) > 0 {
		arg = rest
	}
	if c.needs && arg == "" {
		p.complete()
		p.match(m)
		p.err = "It takes " + c.arg + "."
		return nil
	}
	m.palette = nil
	c0 := m.context()
	cmd, err := c.run(arg)
	if err != nil {
		p.err = oneLine(err.Error())
		m.palette = p
		return nil
	}
	if !c.unrecorded {
		c0.Record(journal.QueryTyped, map[string]string{"where": "palette", "pane": string(m.top().id)}, ":"+strings.TrimSpace(c.text+" "+arg))
	}
	return cmd
}

// split cuts the first word off.
func split(s string) (word, rest string) {
	word, rest, _ = strings.Cut(strings.TrimLeft(s, " "), " ")
	return word, strings.TrimSpace(rest)
}

// match finds what the typed text may mean, best first.
func (p *palette) match(m *Model) {
	p.err, p.pick, p.found = "", 0, nil
	value := strings.TrimLeft(p.input.Value(), " ")
	word, rest := split(value)
	all := m.choices()
	for _, c := range all {
		if word == c.text && (rest != "" || strings.HasSuffix(value, " ")) {
			p.found = append([]choice{c}, arguments(c, rest)...)
			return
		}
	}
	type scored struct {
		choice
		score int
	}
	var found []scored
	for _, c := range all {
		s := 1
		if strings.TrimSpace(value) != "" {
			s = max(fuzzy(word, c.text)/2, fuzzy(value, c.text), fuzzy(value, c.help)/4)
			if rest == "" {
				s = max(fuzzy(word, c.text), fuzzy(word, c.help)/4)
			}
		}
		if s > 0 {
			found = append(found, scored{c, s})
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].score > found[j].score })
	if id := strings.TrimSpace(value); looksLikeID(id) && (len(found) == 0 || found[0].score < 100) {
		p.found = append(p.found, choice{
			text: id, help: "open the request with this ID",
			run: func(string) (tea.Cmd, error) { return m.openRequest(id), nil },
		})
	}
	for _, f := range found {
		p.found = append(p.found, f.choice)
	}
}

// arguments are the choices that complete a command whose argument has begun.
func arguments(c choice, typed string) []choice {
	if c.args == nil {
		return nil
	}
	var out []choice
	for _, a := range c.args() {
		if typed != a && (typed == "" || fuzzy(typed, a) > 0) {
			run := c.run
			out = append(out, choice{text: c.text + " " + a, run: func(string) (tea.Cmd, error) { return run(a) }})
		}
	}
	return out
}

// looksLikeID tells text that is more likely an ID than a word.
func looksLikeID(s string) bool {
	return len(s) >= 8 && !strings.Contains(s, " ") && strings.ContainsAny(s, "0123456789")
}

// fuzzy scores how well the typed letters match a text: 0 not at all; more for
// letters in a row, at the beginning, and at the beginnings of words.
func fuzzy(typed, text string) int {
	typed, text = strings.ToLower(typed), strings.ToLower(text)
	if typed == "" || text == "" {
		return 0
	}
	if text == typed {
		return 300
	}
	if strings.HasPrefix(text, typed) {
		return 200
	}
	if i := strings.Index(text, typed); i >= 0 {
		if strings.ContainsRune(" _/-", rune(text[i-1])) {
			return 150
		}
		return 100
	}
	score, at := 0, 0
	for i := 0; i < len(typed); i++ {
		k := strings.IndexByte(text[at:], typed[i])
		if k < 0 {
			return 0
		}
		switch {
		case at+k == 0 || strings.ContainsRune(" _/-", rune(text[at+k-1])):
			score += 12
		case k == 0:
			score += 8
		default:
			score++
		}
		at += k + 1
	}
	if score < 6*len(typed) {
		return 0 // letters scattered over a text are no match
	}
	return min(90, score)
}

// paletteBox draws the matches.
func (m *Model) paletteBox() []string {
	p, t := m.palette, m.theme
	w := min(m.width, 84)
	n := min(len(p.found), paletteRows, max(1, m.height-6))
	first := max(0, min(p.pick-n+1, len(p.found)-n))
	if p.pick < n {
		first = 0
	}
	var lines []string
	for i := first; i < first+n; i++ {
		c := p.found[i]
		name := c.text
		if c.arg != "" {
			name += " " + c.arg
		}
		name = widget.Fit(" "+oneLine(name), 38, t.Glyphs.Ellipsis)
		help := widget.Fit(oneLine(c.help), w-2-38, t.Glyphs.Ellipsis)
		if i == p.pick {
			lines = append(lines, t.Selected.Render(name+help))
		} else {
			lines = append(lines, t.Plain.Render(name)+t.Dim.Render(help))
		}
	}
	if p.err != "" {
		lines = append(lines, " "+t.Watch.Render(ansi.Truncate(p.err, w-4, t.Glyphs.Ellipsis)))
	}
	if len(lines) == 0 {
		lines = append(lines, t.Dim.Render(" No command matches."))
	}
	return widget.Box(t, t.Title.Render("Commands"), lines, w, len(lines)+2, t.Dim, nil)
}

func (p *palette) line(m *Model) string {
	left := " " + p.input.View()
	right := m.theme.Dim.Render("enter do it  tab complete  esc close ")
	gap := m.width - ansi.StringWidth(left) - ansi.StringWidth(right)
	if gap < 2 {
		return left
	}
	return left + strings.Repeat(" ", gap) + right
}
