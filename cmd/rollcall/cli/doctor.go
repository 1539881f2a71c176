package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
)

func (p *Program) doctorCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything, and say what to do",
		Long: "Checks the configuration, every source (reachable, allowed in, clocks), the query of every signal,\n" +
			"the log selector and the request ID in its lines, the OTLP ports and the state folder.\n\n" +
			"Exit code: 0 fine, 1 something is wrong, 2 the configuration is wrong, 3 a source cannot be reached.",
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
		var wrong *config.Error
		if errors.As(err, &wrong) && asJSON {
			if werr := writeJSON(p.Out, []Finding{{Area: "config", Check: "file", Verdict: string(sources.Bad), Detail: wrong.Error()}}); werr != nil {
				return werr
			}
			return err
		}
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		findings := append([]Finding{{
			Area: "config", Check: "file", Verdict: string(sources.OK), Detail: cfg.Label() + ", service " + service,
		}}, s.Doctor(ctx, service)...)
		if asJSON {
			err = writeJSON(p.Out, findings)
		} else {
			t := p.printer(o, cfg.UI)
			t.findings(findings)
			err = t.err
		}
		if err != nil {
			return err
		}
		return doctorExit(findings)
	}
	return cmd
}

func doctorExit(list []Finding) error {
	code := ExitOK
	for _, f := range list {
		switch sources.Verdict(f.Verdict) {
		case sources.Bad:
			return &exit{code: ExitBad}
		case sources.Unreachable:
			code = ExitUnreachable
		}
	}
	if code == ExitOK {
		return nil
	}
	return &exit{code: code}
}

func (t *printer) findings(list []Finding) {
	area := ""
	for _, f := range list {
		if f.Area != area {
			if area != "" {
				t.line("")
			}
			area = f.Area
			t.line("%s", t.style(t.theme.Title, clean(area)))
		}
		v := sources.Verdict(f.Verdict)
		t.line("  %s %s: %s", t.verdict(v), clean(f.Check), t.words(clean(f.Detail)))
		if f.Remedy != "" {
			t.line("    %s", t.style(t.theme.Dim, t.words(clean(f.Remedy))))
		}
	}
	bad, watch, blind := 0, 0, 0
	for _, f := range list {
		switch sources.Verdict(f.Verdict) {
		case sources.Bad:
			bad++
		case sources.Watch:
			watch++
		case sources.Unreachable:
			blind++
		}
	}
	t.line("")
	if bad+watch+blind == 0 {
		t.line("Everything is fine.")
		return
	}
	t.line("%d wrong, %d worth a look, %d out of reach.", bad, watch, blind)
}
