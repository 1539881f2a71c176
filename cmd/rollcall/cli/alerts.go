package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/alerts"
	"rollcall/store/fatigue"
	"rollcall/store/journal"
	"rollcall/tui/widget"
)

// Alerting is the part of a session that knows what fires.
type Alerting interface {
	Alerts(ctx context.Context, service string, v sources.View, snap *signal.Snapshot) (*alerts.List, error)
	AckAlert(ctx context.Context, service, name, note string, acted bool) ([]journal.Entry, error)
	PlanSilence(ctx context.Context, service, name string, length time.Duration, comment string) (alerts.Plan, error)
	Silence(ctx context.Context, p alerts.Plan) (string, error)
	Fatigue(ctx context.Context, service string, at time.Time) (*fatigue.Report, error)
}

// silencedJSON is what `alerts silence` writes.
type silencedJSON struct {
	Alert   string    `json:"alert"`
	Silence string    `json:"silence"`
	Ends    time.Time `json:"ends"`
	Comment string    `json:"comment"`
}

// watching is an open session that knows what fires, for one command.
type watching struct {
	Alerting
	service string
	now     time.Time
	view    sources.View
	json    bool
	out     *printer
}

func (p *Program) alertsCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "What fires, who has taken it up, and what alerts ask of people",
		Long: "The verdicts of rollcall and the alerts of Prometheus and Alertmanager in one list, what wants a person\n" +
			"first; what both know appears once. What was resolved within the range is listed too.\n\n" +
			"Exit code: 0 nothing fires, 1 something does, 3 nothing is known to fire but a source could not be reached.",
		Example: "  rollcall alerts\n  rollcall alerts ack schema_fail --note \"rolling the prompt back\"\n" +
			"  rollcall alerts silence HighErrorRate-1a2b3c4d --for 2h --comment \"provider works on it\"\n  rollcall alerts fatigue",
		Args: cobra.NoArgs,
	}
	p.withAlerts(cmd, o, func(ctx context.Context, w *watching, _ []string) error {
		l, err := w.Alerts(ctx, w.service, w.view, nil)
		if err != nil {
			return &exit{ExitUnreachable, err}
		}
		if w.json {
			err = writeJSON(p.Out, l)
		} else {
			w.out.alerts(l)
			err = w.out.err
		}
		if err != nil {
			return err
		}
		return alertsExit(l)
	})
	cmd.AddCommand(p.alertsAck(o), p.alertsSilence(o), p.alertsFatigue(o))
	return cmd
}

func alertsExit(l *alerts.List) error {
	if l.Count(alerts.Firing)+l.Count(alerts.Acknowledged) > 0 {
		return &exit{code: ExitBad}
	}
	for _, s := range l.Sources {
		if s.Failed {
			return &exit{code: ExitUnreachable}
		}
	}
	return nil
}

func (p *Program) withAlerts(cmd *cobra.Command, o *options, do func(ctx context.Context, w *watching, args []string) error) {
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		s, cfg, service, err := p.session(ctx, o, ReadOnly)
		if err != nil {
			return err
		}
		w, err := p.watching(o, s, cfg, service, asJSON)
		if err != nil {
			return errors.Join(err, s.Close())
		}
		return recorded(errors.Join(do(ctx, w, args), closing(s)))
	}
}

func (p *Program) watching(o *options, s Session, cfg *config.File, service string, asJSON bool) (*watching, error) {
	a, ok := s.(Alerting)
	if !ok {
		return nil, errors.New("this session knows no alerts")
	}
	w := &watching{Alerting: a, service: service, now: s.Clock().Now(), json: asJSON, out: p.printer(o, cfg.UI)}
	var err error
	w.view, err = o.view(w.now)
	return w, err
}

func (p *Program) alertsAck(o *options) *cobra.Command {
	var note string
	var acted bool
	cmd := &cobra.Command{
		Use:   "ack NAME",
		Short: "Take an alert up, with a note",
		Long: "Records in the journal that you have taken up an alert, or all alerts of that name. It stays acknowledged\n" +
			"until it fires anew. Nobody else is told: silence keeps an Alertmanager quiet.",
		Example: "  rollcall alerts ack schema_fail --note \"prompt v14, rolling back\"\n  rollcall alerts ack DiskFull --note \"cleaned up by hand\" --acted",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&note, "note", "", "what you do about it, `words`")
	cmd.Flags().BoolVar(&acted, "acted", false, "it led to something that rollcall does not see; counts in fatigue")
	p.withAlerts(cmd, o, func(ctx context.Context, w *watching, args []string) error {
		list, err := w.AckAlert(ctx, w.service, args[0], note, acted)
		if err != nil {
			return err
		}
		if w.json {
			return writeJSON(p.Out, list)
		}
		for i := range list {
			w.out.line("acknowledged %s as entry %d", clean(args[0]), list[i].Seq)
		}
		return w.out.err
	})
	return cmd
}

func (p *Program) alertsSilence(o *options) *cobra.Command {
	var length, comment string
	var yes, readOnly bool
	cmd := &cobra.Command{
		Use:   "silence NAME",
		Short: "Keep an Alertmanager from telling anybody of one alert",
		Long: "Makes a silence in the configured Alertmanager that matches exactly one alert, by all of its labels. It\n" +
			"says in full what it would do and asks first. The journal has it before and after.",
		Example: "  rollcall alerts silence HighErrorRate-1a2b3c4d --for 2h --comment \"provider works on it\"",
		Args:    cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&length, "for", "", "how long: `duration` such as 30m, 2h or 1d")
	f.StringVar(&comment, "comment", "", "why, `words`; everybody who looks at the Alertmanager reads it")
	f.BoolVar(&yes, "yes", false, "do not ask")
	f.BoolVar(&readOnly, "read-only", false, "only say what it would do")
	p.withAlerts(cmd, o, func(ctx context.Context, w *watching, args []string) error {
		if length == "" {
			return usage("say how long: --for 2h")
		}
		d, err := parseDuration(length)
		if err != nil {
			return usage("--for: %w", err)
		}
		plan, err := w.PlanSilence(ctx, w.service, args[0], d, comment)
		if err != nil {
			return err
		}
		switch {
		case readOnly:
			p.note("%s", plan.Text())
			return &exit{ExitBad, errors.New("nothing is silenced in read-only mode; run it without --read-only")}
		case !yes && !p.InTTY:
			p.note("%s", plan.Text())
			return usage("it is not silenced unasked; say --yes where nobody can be asked")
		case !yes && !p.confirm(plan.Text()):
			p.note("rollcall: nothing was silenced")
			return &exit{ExitBad, nil}
		}
		id, err := w.Silence(ctx, plan)
		if err != nil {
			return pinExit(err)
		}
		if w.json {
			return writeJSON(p.Out, silencedJSON{plan.Alert.ID, id, plan.Ends, plan.Comment})
		}
		w.out.line("silenced until %s (silence %s); the Alertmanager's own page, or amtool silence expire, ends it sooner", plan.Ends.Format("2006-01-02 15:04Z"), clean(id))
		return w.out.err
	})
	return cmd
}

func (p *Program) alertsFatigue(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fatigue",
		Short: "What alerts asked of people in four weeks, and which to retire or retune",
		Long: "For each rule, from the journal alone: how often it fired in four weeks, for how long, how often something\n" +
			"came of it, how often it was over at once, how long it took until somebody took it up. A rule that fires\n" +
			"weekly and led to nothing is to be retired, or retuned where a threshold would have kept every firing that\n" +
			"led to an action. --at looks at the four weeks before another time.",
		Args: cobra.NoArgs,
	}
	p.withAlerts(cmd, o, func(ctx context.Context, w *watching, _ []string) error {
		r, err := w.Fatigue(ctx, w.service, w.view.At)
		if err != nil {
			return err
		}
		if w.json {
			return writeJSON(p.Out, r)
		}
		w.out.fatigue(r)
		return w.out.err
	})
	return cmd
}

// alertLook is the verdict whose shape an alert has.
func alertLook(s alerts.State) sources.Verdict {
	switch s {
	case alerts.Firing:
		return sources.Bad
	case alerts.Pending, alerts.Acknowledged:
		return sources.Watch
	case alerts.Silenced:
		return sources.NotExposed
	case alerts.Resolved:
		return sources.OK
	}
	return sources.Learning
}

// alerts prints the list.
func (t *printer) alerts(l *alerts.List) {
	tb := table{}
	for i := range l.Alerts {
		a := &l.Alerts[i]
		glyph, style := t.theme.Verdict(alertLook(a.State))
		when := "since " + stamp(a.Since, l.At)
		if a.State == alerts.Resolved {
			when = stamp(a.Since, l.At) + " to " + stamp(a.Until, l.At)
		}
		words := []string{a.Evidence}
		add := func(s string) { words = append(words, s) }
		if a.Ack != nil {
			add(fmt.Sprintf("%s: %s", a.Ack.By, a.Ack.Note))
		}
		for _, s := range a.Silences {
			add(fmt.Sprintf("silenced by %s until %s: %s", t.or(s.By), stamp(s.Ends, l.At), s.Comment))
		}
		if a.Inhibited {
			add("inhibited by another alert")
		}
		if a.Flaps > 0 {
			add(fmt.Sprintf("%d flaps", a.Flaps))
		}
		switch {
		case a.Runbook != "":
			add("runbook " + a.Runbook)
		case a.RunbookURL != "":
			add(a.RunbookURL)
		}
		if a.Old != "" {
			old := "old: " + a.Old
			if a.AgeS.OK {
				old = fmt.Sprintf("%s old: %s", widget.Span(time.Duration(a.AgeS.V)*time.Second), a.Old)
			}
			add(old)
		}
		tb.add(cell{glyph, &style}, cell{string(a.State), &style}, cell{a.ID, &t.theme.Bright}, plainCell(when), cell{strings.Join(a.Sources, "+"), &t.theme.Dim}, plainCell(t.words(joined(words, t.dot()))))
	}
	if len(l.Alerts) == 0 {
		t.line("Nothing fires for %s.", clean(l.Service))
	}
	tb.print(t)
	if l.Total > len(l.Alerts) {
		t.line("%s", t.style(t.theme.Watch, fmt.Sprintf("%d of %d alerts", len(l.Alerts), l.Total)))
	}
	for _, s := range l.Sources {
		t.line("%s", t.style(t.theme.Dim, t.words(clean(answerWords(&s, t.dot())))))
	}
	if l.Others > 0 {
		t.line("%s", t.style(t.theme.Dim, fmt.Sprintf("%d more name another service in their labels", l.Others)))
	}
}

func joined(words []string, sep string) string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, sep)
}

// answerWords says how one source answered.
func answerWords(s *alerts.Answer, dot string) string {
	out := s.Source + ": " + sources.Counted(s.Alerts, "alert")
	switch {
	case s.Failed && s.AgeS.OK:
		out = fmt.Sprintf("%s: no answer now, %s of %s ago", s.Source, sources.Counted(s.Alerts, "alert"), widget.Span(time.Duration(s.AgeS.V)*time.Second))
	case s.Failed:
		out = s.Source + ": no answer"
	}
	if s.Note != "" {
		out += dot + s.Note
	}
	return out
}

// fatigue prints the figures.
func (t *printer) fatigue(r *fatigue.Report) {
	t.line("%s to %s%s%.1f of 28 days are in the journal", r.Since.Format("2006-01-02 15:04Z"), r.Until.Format("2006-01-02 15:04Z"), t.dot(), r.Days)
	if len(r.Rules) == 0 {
		t.line("No alert of %s fired.", clean(r.Service))
		return
	}
	t.line("%s, %d led to an action; %s pages in a shift of 12 hours, %d in the worst; %s over %d", sources.Counted(r.Firings, "firing"), r.Actioned, t.number(r.PerShift, "%.2f"), r.Worst, sources.Counted(r.Over, "shift"), fatigue.ShiftLimit)
	tb := table{head: []string{"rule", "firings", "a week", "fired", "led to action", "flaps", "wavers", "taken up", "advice"}, right: []bool{false, true, true, true, true, true, true, true, false}}
	for i := range r.Rules {
		x := &r.Rules[i]
		advice, style := string(x.Advice), &t.theme.Watch
		if x.Advice == fatigue.Keep {
			advice, style = t.dash(), &t.theme.Dim
		}
		taken := t.dash()
		if x.AckS.OK {
			taken = widget.Span(time.Duration(x.AckS.V * float64(time.Second)))
		}
		share := t.dash()
		if x.Share.OK {
			share = fmt.Sprintf("%.0f%%", x.Share.V*100)
		}
		tb.add(cell{clean(x.Name()), &t.theme.Bright}, plainCell(fmt.Sprint(x.Firings)), plainCell(t.number(x.PerWeek, "%.1f")), plainCell(widget.Span(time.Duration(x.FiringS)*time.Second)),
			plainCell(share), plainCell(fmt.Sprint(x.Flaps)), plainCell(fmt.Sprint(x.Wavers)), plainCell(taken), cell{advice, style})
	}
	tb.print(t)
	for i := range r.Rules {
		if x := &r.Rules[i]; x.Why != "" {
			t.line("%s: %s", clean(x.Name()), t.words(clean(x.Why)))
		}
	}
	t.line("")
	for _, s := range r.How {
		t.line("%s", t.style(t.theme.Dim, t.words(s)))
	}
}

func (t *printer) number(n sources.Num, format string) string {
	if !n.OK {
		return t.dash()
	}
	return fmt.Sprintf(format, n.V)
}
