package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/sources"
)

func (p *Program) logsCommand(o *options) *cobra.Command {
	var q sources.LogQuery
	var until string
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [LOGQL]",
		Short: "Query log lines, or follow them",
		Long: "Log lines of the service, oldest first; with -f as they come. Without LogQL the service's own\n" +
			"selector is used. Every line is redacted.",
		Example: "  rollcall logs --since 10m --contains timeout\n  rollcall logs -f '{job=\"assistant\"} | json | level=\"error\"'",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "follow the log until interrupted")
	cmd.Flags().StringVar(&q.Contains, "contains", "", "only lines that hold this `text`")
	cmd.Flags().IntVar(&q.Limit, "limit", 500, "at most this `number` of lines, the newest")
	cmd.Flags().StringVar(&until, "until", "", "end of the range: a `time`, or this long ago")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		if q.Limit < 1 || q.Limit > 100_000 {
			return usage("--limit %d is out of range; give 1 to 100000", q.Limit)
		}
		if follow && (until != "" || o.at != "") {
			return usage("-f follows what comes; it cannot end in the past")
		}
		if len(args) > 0 {
			q.Query = args[0]
		}
		ctx := cmd.Context()
		s, cfg, service, err := p.session(ctx, o, ReadOnly)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		now := s.Clock().Now()
		v, err := o.until(until, now)
		if err != nil {
			return err
		}
		q.Since, q.Until = v.End(now).Add(-v.Range), v.End(now)
		t := p.printer(o, cfg.UI)
		if follow {
			if o.since == "" && o.rng == "" {
				q.Since = now
			}
			q.Until = time.Time{}
			return p.follow(ctx, s, service, q, t, asJSON)
		}
		list, err := s.Logs(ctx, service, q)
		if err != nil {
			return unanswered(err)
		}
		if asJSON {
			lines := list.Lines
			if lines == nil {
				lines = []sources.LogLine{}
			}
			err = writeJSON(p.Out, lines)
		} else {
			for i := range list.Lines {
				t.logLine(&list.Lines[i], now)
			}
			err = t.err
		}
		if len(list.Lines) == 0 {
			p.note("rollcall: no line matches %s between %s and %s", list.Query, stamp(q.Since, now), stamp(q.Until, now))
		}
		p.facts(list.Facts, "lines")
		return err
	}
	return cmd
}

func (p *Program) follow(ctx context.Context, s Session, service string, q sources.LogQuery, t *printer, asJSON bool) error {
	batches, err := s.Tail(ctx, service, q)
	if err != nil {
		return unanswered(err)
	}
	state := "live"
	for b := range batches {
		if b.State != "" && b.State != state {
			p.note("rollcall: %s", b.State)
			state = b.State
		}
		if b.Dropped > 0 {
			p.note("rollcall: %d lines were dropped; narrow the query to see every line", b.Dropped)
		}
		for i := range b.Lines {
			if asJSON {
				if err := writeLine(p.Out, b.Lines[i]); err != nil {
					return err
				}
				continue
			}
			if t.logLine(&b.Lines[i], s.Clock().Now()); t.err != nil {
				return t.err
			}
		}
	}
	return nil
}

// logLine prints one line with its time and level; the text itself as it is.
func (t *printer) logLine(l *sources.LogLine, _ time.Time) {
	level, style := strings.ToLower(l.Level), t.theme.Dim
	switch level {
	case "error", "fatal", "critical":
		style = t.theme.Bad
	case "warn", "warning":
		level, style = "warn", t.theme.Watch
	}
	t.line("%s %s %s", t.style(t.theme.Dim, l.Time.UTC().Format("2006-01-02T15:04:05.000Z")),
		t.style(style, fmt.Sprintf("%-5s", clean(level))), clean(l.Line))
}
