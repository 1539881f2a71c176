package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/widget"
)

func (p *Program) statusCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "All signals once",
		Long: "All signals of a service once, with the verdict line.\n\n" +
			"Exit code: 0 fine, 1 something is bad, 3 nothing is known to be bad but a source could not be reached.",
		Args: cobra.NoArgs,
	}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		s, cfg, service, err := p.session(ctx, o, ReadOnly)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		v, err := o.view(s.Clock().Now())
		if err != nil {
			return err
		}
		snap, err := s.Snapshot(ctx, service, v, sources.HealthPane)
		if err != nil {
			return &exit{ExitUnreachable, err}
		}
		if len(snap.Health) == 0 {
			snap.Health = s.Health()
		}
		if asJSON {
			err = writeJSON(p.Out, statusOf(snap, s.Clock().Wall()))
		} else {
			err = p.statusText(p.printer(o, cfg.UI), snap)
		}
		if err != nil {
			return err
		}
		return statusExit(snap)
	}
	return cmd
}

// statusExit turns a snapshot into the exit code.
func statusExit(s *signal.Snapshot) error {
	if verdictOf(s) == sources.Bad || s.Worst("") == sources.Bad {
		return &exit{code: ExitBad}
	}
	if unreachable(s.Health) {
		return &exit{code: ExitUnreachable}
	}
	for i := range s.Readings {
		if s.Readings[i].Verdict == sources.Unreachable {
			return &exit{code: ExitUnreachable}
		}
	}
	return nil
}

func (p *Program) statusText(t *printer, s *signal.Snapshot) error {
	v := verdictOf(s)
	when := "at " + s.At.UTC().Format("2006-01-02 15:04:05Z")
	t.line("%s  %s", t.style(t.theme.Title, clean(s.Service)), t.style(t.theme.Dim, when+t.dot()+"last "+widget.Span(s.View.Range)))
	_, style := t.theme.Verdict(v)
	width := wholeLine
	if t.width > 4 {
		width = t.width - 2
	}
	t.line("%s %s", t.verdict(v), t.style(style, t.words(clean(s.Line.Text(width)))))
	for _, pane := range []sources.Pane{sources.HealthPane, sources.QualityPane, sources.CostPane, sources.SafetyPane} {
		t.line("")
		t.line("%s", t.style(t.theme.Title, strings.ToUpper(string(pane[0]))+string(pane[1:])))
		tb := table{indent: "  ", right: []bool{false, false, true}}
		for i := range s.Readings {
			r := &s.Readings[i]
			if r.Pane == pane {
				tb.add(t.readingCells(r, s.At)...)
			}
		}
		tb.print(t)
	}
	if len(s.Changes) > 0 {
		t.line("")
		t.line("%s", t.style(t.theme.Title, "Changes"))
		t.changes(s.Changes, s.At)
	}
	t.line("")
	t.line("%s", t.style(t.theme.Dim, t.words("live     "+manifestWords(&s.Live, t.dash()))))
	t.health(s.Health)
	return t.err
}

func (t *printer) readingCells(r *sources.Reading, at time.Time) []cell {
	glyph, style := t.theme.Verdict(r.Verdict)
	value := widget.Text(r, t.ascii())
	why := r.Why
	if why == "" {
		why = string(r.Verdict)
	}
	if r.Detail != "" {
		why += " (" + r.Detail + ")"
	}
	if !r.Since.IsZero() {
		why += t.dot() + "since " + stamp(r.Since, at)
	}
	for _, s := range []string{r.Facts.Stale, r.Facts.Partial} {
		if s != "" {
			why += t.dot() + s
		}
	}
	from := r.Provenance.Profile
	if from == "" {
		from = r.Provenance.Provider
	}
	dim := &t.theme.Dim
	valueStyle := &t.theme.Bright
	if !r.Known {
		valueStyle = dim
	}
	return []cell{{glyph, &style}, plainCell(r.Label), {value, valueStyle}, plainCell(t.words(why)), {from, dim}}
}

// words replaces what an ASCII terminal cannot show.
func (t *printer) words(s string) string {
	if !t.ascii() {
		return s
	}
	return asciiWords.Replace(s)
}

var asciiWords = strings.NewReplacer("→", "->", "≥", ">=", "≤", "<=", "≈", "~", "×", "x", "·", "|", "–", "-", "…", "...", "‰", "/1k", "µ", "u",
	"≠", "!=", "“", `"`, "”", `"`, "’", "'", "—", "-")

func manifestWords(m *sources.Manifest, none string) string {
	var parts []string
	for _, c := range sources.Components {
		if v := m.Versions[c]; v != "" {
			parts = append(parts, fmt.Sprintf("%s %s", c, v))
		}
	}
	if len(parts) == 0 {
		return none
	}
	s := strings.Join(parts, ", ")
	if m.ID != "" {
		s += " (manifest " + m.ID + ")"
	}
	return clean(s)
}

func (t *printer) health(list []sources.Health) {
	for _, h := range list {
		words := []string{string(h.State)}
		glyph, style := t.theme.Verdict(healthVerdict(h.State))
		if h.Latency > 0 {
			words = append(words, widget.Latency(h.Latency))
		}
		if h.Skew.Abs() > sources.MaxSkew {
			words = append(words, "its clock is off by "+h.Skew.Round(time.Second).String())
		}
		for _, s := range []string{h.Note, h.Reason} {
			if s != "" {
				words = append(words, s)
			}
		}
		if h.State == sources.SourceDown && !h.LastGood.IsZero() {
			words = append(words, "last good "+h.LastGood.UTC().Format("15:04:05Z"))
		}
		t.line("%s", t.style(t.theme.Dim, widget.Fit(clean(h.Source), 9, ""))+t.style(style, glyph)+" "+t.words(clean(strings.Join(words, t.dot()))))
	}
}

func healthVerdict(s sources.HealthState) sources.Verdict {
	switch s {
	case sources.SourceUp:
		return sources.OK
	case sources.SourceDown:
		return sources.Unreachable
	default:
		return sources.NotExposed
	}
}
