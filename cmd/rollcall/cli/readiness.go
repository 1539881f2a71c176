package cli

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/runbooks/readiness"
	"rollcall/sources"
)

// Answerer is the part of a session that answers the checklist.
type Answerer interface {
	Readiness(ctx context.Context, service string) (readiness.Report, error)
}

func (p *Program) readinessCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "readiness",
		Short: "How ready you are for an incident, from evidence",
		Long: "Answers the nine questions of the checklist for running LLM systems: yes, partly, no or cannot tell, each with\n" +
			"the evidence behind it and what to do next. A source that is down makes an answer \"cannot tell\", never a no.\n\n" +
			"Exit code: 0 nothing is answered with no, 1 something is, 3 nothing is but a source could not be reached.",
		Example: "  rollcall readiness\n  rollcall readiness -o json",
		Args:    cobra.NoArgs,
	}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		if o.at != "" {
			return usage("readiness is about now; --at does not go with it")
		}
		ctx := cmd.Context()
		s, cfg, service, err := p.session(ctx, o, ReadOnly)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		a, ok := s.(Answerer)
		if !ok {
			return errors.New("this session answers no checklist")
		}
		p.recordDrills(ctx, cfg, "")
		r, err := a.Readiness(ctx, service)
		if err != nil {
			return err
		}
		if asJSON {
			err = writeJSON(p.Out, readinessOf(&r))
		} else {
			t := p.printer(o, cfg.UI)
			t.readiness(&r)
			err = t.err
		}
		if err != nil {
			return err
		}
		switch {
		case r.Count(readiness.No) > 0:
			return &exit{code: ExitBad}
		case unreachable(s.Health()):
			return &exit{code: ExitUnreachable}
		}
		return nil
	}
	return cmd
}

// recordDrills writes down the drills that are over, in the journal of those who
// practised. What cannot be written now is tried again by the next start.
func (p *Program) recordDrills(ctx context.Context, cfg *config.File, ended string) {
	state := config.StateDir(p.Env)
	if p.Drills == nil || state == "" || cfg.Clock != (sources.ClockConfig{}) {
		return // a drill's own journal knows of no other drill
	}
	if err := p.Drills(ctx, cfg, filepath.Join(state, "drills"), ended); err != nil {
		p.note("rollcall: drills that are over are not in the journal yet: %s; the next start tries again", clean(err.Error()))
	}
}

type readinessJSON struct {
	readiness.Report
	Yes        int `json:"yes"`
	Partly     int `json:"partly"`
	No         int `json:"no"`
	CannotTell int `json:"cannot_tell"`
}

func readinessOf(r *readiness.Report) readinessJSON {
	return readinessJSON{*r, r.Count(readiness.Yes), r.Count(readiness.Partly), r.Count(readiness.No), r.Count(readiness.CannotTell)}
}

// answerVerdict is the verdict whose shape and colour an answer has.
func answerVerdict(w readiness.Word) sources.Verdict {
	switch w {
	case readiness.Yes:
		return sources.OK
	case readiness.Partly:
		return sources.Watch
	case readiness.No:
		return sources.Bad
	case readiness.CannotTell:
		return sources.Unreachable
	}
	return sources.NotExposed
}

func (t *printer) readiness(r *readiness.Report) {
	t.line("%s  %s", t.style(t.theme.Title, clean(r.Service)), t.style(t.theme.Dim, r.At.UTC().Format("2006-01-02 15:04:05Z")))
	for i := range r.Answers {
		a := &r.Answers[i]
		t.line("")
		_, style := t.theme.Verdict(answerVerdict(a.Answer))
		t.line("%d %s %s  %s", i+1, t.verdict(answerVerdict(a.Answer)), t.style(style, string(a.Answer)), t.style(t.theme.Bright, a.Question))
		for k := range a.Evidence {
			f := &a.Evidence[k]
			glyph := " "
			if f.Says != "" {
				glyph = t.verdict(answerVerdict(f.Says))
			}
			t.line("    %s %s: %s", glyph, t.words(clean(f.What)), t.words(clean(f.Detail)))
		}
		if a.Next != "" {
			t.line("    %s", t.style(t.theme.Dim, "next: "+t.words(clean(a.Next))))
		}
	}
	t.line("")
	t.line("%d yes, %d partly, %d no, %d cannot be told.", r.Count(readiness.Yes), r.Count(readiness.Partly), r.Count(readiness.No), r.Count(readiness.CannotTell))
}
