package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/runbooks"
	"rollcall/sources"
	"rollcall/sources/signal"
)

func (p *Program) runbookCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runbook",
		Short: "Checklists that verify themselves",
		Long: "Runbooks are Markdown checklists that a person can follow by hand and that rollcall executes. Some are\n" +
			"shipped; add your own in a folder runbooks beside the configuration, or in those of runbooks: {dirs: [...]}.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.runbookListCommand(o), p.runbookShowCommand(o), p.runbookLintCommand(o))
	for _, c := range p.runCommands(o) {
		cmd.AddCommand(c)
	}
	return cmd
}

// known is what runbooks are compared with: the signals of the service, or of any
// service when none is configured or chosen, and the rehearsals, where there is a journal.
func (p *Program) known(ctx context.Context, cfg *config.File, o *options) (runbooks.Known, error) {
	var svc signal.Service
	if names := cfg.Names(); o.service != "" || len(names) == 1 {
		name, err := pick(cfg, o.service, false)
		if err != nil {
			return runbooks.Known{}, err
		}
		svc = cfg.Services[name].Service
	}
	k, err := runbooks.KnownSignals(svc)
	if err != nil {
		return k, err
	}
	k.Now = time.Now()
	if clock, err := cfg.Clock.Clock(nil); err == nil {
		k.Now = clock.Now()
	}
	if p.Rehearsals == nil {
		return k, nil
	}
	done, err := p.Rehearsals(ctx, cfg)
	if err != nil {
		p.note("rollcall: rehearsals are not known: %s", err)
		return k, nil
	}
	k.Rehearsed = func(id string) (runbooks.Rehearsal, bool) { r, ok := done[id]; return r, ok }
	return k, nil
}

// runbookJSON is one line of `runbook list -o json`.
type runbookJSON struct {
	ID        string             `json:"id,omitempty"` // empty when the file cannot be parsed
	Title     string             `json:"title,omitempty"`
	Component sources.Component  `json:"component,omitempty"`
	Settings  []string           `json:"settings,omitempty"`
	Suggest   []string           `json:"suggest,omitempty"`
	Steps     int                `json:"steps"`
	File      string             `json:"file"`
	Hash      string             `json:"hash,omitempty"`
	Rehearsed *time.Time         `json:"rehearsed,omitempty"`
	Problems  []runbooks.Problem `json:"problems,omitempty"`
}

func (p *Program) runbookListCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "All runbooks, shipped and your own", Args: cobra.NoArgs}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		cfg, list, err := p.runbookList(cmd.Context(), o)
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]runbookJSON, 0, len(list))
			for i := range list {
				out = append(out, runbookLine(&list[i]))
			}
			return writeJSON(p.Out, out)
		}
		t := p.printer(o, cfg.UI)
		tb := table{head: []string{"runbook", "moves", "title", "rehearsed", "from"}}
		for i := range list {
			l := runbookLine(&list[i])
			rehearsed := t.dash()
			if l.Rehearsed != nil {
				rehearsed = l.Rehearsed.UTC().Format("2006-01-02")
			}
			title := l.Title
			if runbooks.HasErrors(l.Problems) {
				title = strings.TrimSpace(title + " (does not lint: rollcall runbook lint)")
			}
			moves := ""
			if rb := list[i].Runbook; rb != nil {
				moves = strings.Join(rb.Moves(), ", ")
			}
			tb.add(plainCell(or(l.ID, t.dash())), plainCell(or(moves, t.dash())), plainCell(t.words(title)), plainCell(rehearsed), cell{l.File, &t.theme.Dim})
		}
		tb.print(t)
		return t.err
	}
	return cmd
}

func or(s, none string) string {
	if s == "" {
		return none
	}
	return s
}

func runbookLine(l *runbooks.Listing) runbookJSON {
	out := runbookJSON{File: l.File, Problems: l.Problems}
	if rb := l.Runbook; rb != nil {
		out.ID, out.Title, out.Component, out.Settings, out.Suggest, out.Steps, out.Hash = rb.ID, rb.Title, rb.Component, rb.Settings, rb.Suggest, len(rb.Steps), rb.Hash
	}
	if !l.Rehearsed.IsZero() {
		out.Rehearsed = &l.Rehearsed
	}
	return out
}

func (p *Program) runbookList(ctx context.Context, o *options) (*config.File, []runbooks.Listing, error) {
	cfg, err := config.LoadOrDefault(o.config, p.Env)
	if err != nil {
		return nil, nil, err
	}
	k, err := p.known(ctx, cfg, o)
	if err != nil {
		return nil, nil, err
	}
	return cfg, runbooks.Load(cfg.Runbooks.Dirs, k), nil
}

func (p *Program) runbookShowCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "One runbook: its Markdown, or as JSON what rollcall understands of it",
		Args:  cobra.ExactArgs(1),
	}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		_, list, err := p.runbookList(cmd.Context(), o)
		if err != nil {
			return err
		}
		var ids []string
		for _, l := range list {
			if l.Runbook == nil {
				continue
			}
			if l.Runbook.ID != args[0] {
				ids = append(ids, l.Runbook.ID)
				continue
			}
			if asJSON {
				return writeJSON(p.Out, l)
			}
			if _, err := fmt.Fprint(p.Out, cleanText(strings.ReplaceAll(string(l.Runbook.Source), "\r\n", "\n"))); err != nil {
				return err
			}
			for _, problem := range l.Problems {
				p.note("%s", problem)
			}
			return nil
		}
		if near := config.Nearest(args[0], ids); near != "" {
			return usage("no runbook %q; did you mean %s?", args[0], near)
		}
		return usage("no runbook %q; rollcall runbook list shows them", args[0])
	}
	return cmd
}

func (p *Program) runbookLintCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint [FILE|DIR ...]",
		Short: "Say what is wrong with runbooks, each with its place",
		Long: "Checks the given files and folders, or every runbook that rollcall finds. Ends with 1 when something is\n" +
			"wrong; notices about rehearsals are never wrong.",
		Example: "  rollcall runbook lint runbooks/*.md",
	}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		cfg, err := config.LoadOrDefault(o.config, p.Env)
		if err != nil {
			return err
		}
		k, err := p.known(cmd.Context(), cfg, o)
		if err != nil {
			return err
		}
		list, err := lintTargets(args, cfg, k)
		if err != nil {
			return err
		}
		problems := []runbooks.Problem{}
		for _, l := range list {
			problems = append(problems, l.Problems...)
		}
		if asJSON {
			err = writeJSON(p.Out, lintJSON{Checked: len(list), Problems: problems})
		} else {
			err = p.lintText(o, cfg, problems, len(list))
		}
		if err == nil && runbooks.HasErrors(problems) {
			return &exit{code: ExitBad}
		}
		return err
	}
	return cmd
}

// lintJSON is what `runbook lint -o json` writes.
type lintJSON struct {
	Checked  int                `json:"checked"` // files
	Problems []runbooks.Problem `json:"problems"`
}

func (p *Program) lintText(o *options, cfg *config.File, problems []runbooks.Problem, files int) error {
	t := p.printer(o, cfg.UI)
	wrong := 0
	for _, problem := range problems {
		if !problem.Notice {
			wrong++
		}
		t.line("%s", t.words(clean(problem.String())))
	}
	t.line("%s checked: %s, %s", sources.Counted(files, "runbook"), sources.Counted(wrong, "error"), sources.Counted(len(problems)-wrong, "notice"))
	return t.err
}

func lintTargets(args []string, cfg *config.File, k runbooks.Known) ([]runbooks.Listing, error) {
	if len(args) == 0 {
		return runbooks.Load(cfg.Runbooks.Dirs, k), nil
	}
	var list []runbooks.Listing
	for _, name := range args {
		st, err := os.Stat(name)
		if err != nil {
			var pe *os.PathError
			if errors.As(err, &pe) {
				err = pe.Err
			}
			return nil, usage("%s: %w; name a runbook or a folder of runbooks", name, err)
		}
		if !st.IsDir() {
			list = append(list, runbooks.LoadFile(name, k))
			continue
		}
		files, err := runbooks.Files(name)
		if err != nil {
			return nil, usage("%s: %w", name, err)
		}
		if len(files) == 0 {
			return nil, usage("%s holds no Markdown files; runbooks end in .md", filepath.Clean(name))
		}
		for _, f := range files {
			list = append(list, runbooks.LoadFile(f, k))
		}
	}
	return list, nil
}
