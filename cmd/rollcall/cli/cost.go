package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/sources/signal/spend"
	"rollcall/tui/widget"
)

func (p *Program) costCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cost",
		Short: "Budgets and when they run out, who spends most, loops, what caches save",
		Long: "Where money goes: every budget with what was spent of it and when it runs out, as a range; which tenants,\n" +
			"users, routes, models and versions spend most; requests that loop, by their IDs; what each cache saves an hour.\n\n" +
			"Exit code: 0 fine, 1 a budget is bad, 3 no budget is known to be bad but a source could not be reached.",
		Example: "  rollcall cost\n  rollcall cost --range 6h -o json",
		Args:    cobra.NoArgs,
	}
	cmd.AddCommand(p.costWho(o))
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		snap, cfg, err := p.spending(cmd.Context(), o)
		if err != nil {
			return err
		}
		if asJSON {
			err = writeJSON(p.Out, costsOf(snap))
		} else {
			t := p.printer(o, cfg.UI)
			t.cost(snap)
			err = t.err
		}
		p.facts(snap.Spend.Facts, "requests")
		if err != nil {
			return err
		}
		return costExit(snap)
	}
	cmd.AddCommand(p.costOf(o, "tightest", "The budget of which the largest share is spent: hour, day or period, on one line", cobra.NoArgs, tightest),
		p.costOf(o, "spent SCOPE", "What was spent of a budget so far, in whole USD rounded up, on one line", cobra.ExactArgs(1), spentOf))
	return cmd
}

// spending reads where money goes, once.
func (p *Program) spending(ctx context.Context, o *options) (*signal.Snapshot, *config.File, error) {
	s, cfg, service, err := p.session(ctx, o, ReadOnly)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = s.Close() }()
	v, err := o.view(s.Clock().Now())
	if err != nil {
		return nil, nil, err
	}
	snap, err := s.Snapshot(ctx, service, v, sources.CostPane)
	if err != nil {
		return nil, nil, &exit{ExitUnreachable, err}
	}
	if snap.Spend == nil {
		return nil, nil, &exit{ExitUnreachable, errors.New("where money goes was not read; run it again")}
	}
	return snap, cfg, nil
}

// budgetJSON is what one budget's one-line answers tell.
type budgetJSON struct {
	Scope string      `json:"scope"`
	USD   float64     `json:"usd"`
	Spent sources.Num `json:"spent_usd"`
}

// costOf is a subcommand that answers on one line, for runbooks.
func (p *Program) costOf(o *options, use, short string, args cobra.PositionalArgs, pick func(list []spend.Budget, args []string) (*spend.Budget, string, error)) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: args, ValidArgs: adding}
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		snap, _, err := p.spending(cmd.Context(), o)
		if err != nil {
			return err
		}
		b, said, err := pick(snap.Spend.Budgets, args)
		if err != nil {
			return err
		}
		return p.oneLine(said, asJSON, budgetJSON{b.Scope, b.USD, b.Spent})
	}
	return cmd
}

// adding are the budgets that add up over their time.
var adding = []string{"hour", "day", "period"}

func tightest(list []spend.Budget, _ []string) (*spend.Budget, string, error) {
	var best *spend.Budget
	for i := range list {
		b := &list[i]
		if slices.Contains(adding, b.Scope) && b.Used.OK && (best == nil || b.Used.V > best.Used.V) {
			best = b
		}
	}
	if best == nil {
		return nil, "", &exit{ExitBad, fmt.Errorf("of no budget of an hour, a day or a period it is known what was spent; see rollcall cost")}
	}
	return best, best.Scope, nil
}

func spentOf(list []spend.Budget, args []string) (*spend.Budget, string, error) {
	if !slices.Contains(adding, args[0]) {
		return nil, "", usage("%q is no budget that adds up; there are %s", clean(args[0]), strings.Join(adding, ", "))
	}
	i := slices.IndexFunc(list, func(b spend.Budget) bool { return b.Scope == args[0] })
	if i < 0 || !list[i].Spent.OK {
		return nil, "", &exit{ExitBad, fmt.Errorf("what was spent of the %s's budget is not known; see rollcall cost", args[0])}
	}
	return &list[i], strconv.FormatFloat(math.Ceil(list[i].Spent.V), 'f', 0, 64), nil
}

func costExit(s *signal.Snapshot) error {
	for i := range s.Spend.Budgets {
		if s.Spend.Budgets[i].Verdict == sources.Bad {
			return &exit{code: ExitBad}
		}
	}
	for i := range s.Readings {
		if r := &s.Readings[i]; r.Pane == sources.CostPane && r.Verdict == sources.Unreachable {
			return &exit{code: ExitUnreachable}
		}
	}
	return nil
}

type costJSON struct {
	Service string      `json:"service"`
	At      time.Time   `json:"at"`
	PerHour sources.Num `json:"spend_usd_per_hour"`
	Today   sources.Num `json:"spend_today_usd"`
	*spend.Report
}

func costsOf(s *signal.Snapshot) costJSON {
	figure := func(id string, times float64) sources.Num {
		r, _ := s.Reading(id)
		if !r.Known {
			return sources.Num{}
		}
		return sources.N(r.Value * times)
	}
	return costJSON{Service: s.Service, At: s.At.UTC(), PerHour: figure("spend_rate", 3600), Today: figure("spend_today", 1), Report: s.Spend}
}

func (t *printer) cost(s *signal.Snapshot) {
	c, r := costsOf(s), s.Spend
	head := []string{"at " + s.At.UTC().Format("2006-01-02 15:04:05Z")}
	if c.PerHour.OK {
		head = append(head, sources.USD.Format(c.PerHour.V)+"/h")
	}
	if c.Today.OK {
		head = append(head, sources.USD.Format(c.Today.V)+" today")
	}
	t.line("%s  %s", t.style(t.theme.Title, clean(s.Service)), t.style(t.theme.Dim, strings.Join(head, t.dot())))
	if r.Line != "" {
		t.line("%s", t.style(t.theme.Bright, t.words(clean(r.Line))))
	}
	t.budgets(r)
	t.spenders(r)
	t.loops(r, s.At)
	t.savings(r)
	if len(r.Unpriced) > 0 {
		t.title("Not in these sums: requests that tell no cost")
		tb := table{indent: "  ", right: []bool{1: true, 2: true}}
		for _, u := range r.Unpriced {
			tb.add(plainCell(orUnknown(u.Model, "no model told")), plainCell(strconv.Itoa(u.Requests)+" requests"), plainCell(sources.Tokens.Format(u.Tokens)))
		}
		tb.print(t)
		t.line("  %s", t.style(t.theme.Dim, "Add these models under prices in the configuration."))
	}
	if len(r.Notes) > 0 {
		t.line("")
	}
	for _, n := range r.Notes {
		t.line("%s", t.style(t.theme.Dim, t.words(clean(n))))
	}
}

func (t *printer) title(s string) {
	t.line("")
	t.line("%s", t.style(t.theme.Title, s))
}

func (t *printer) budgets(r *spend.Report) {
	t.title("Budgets")
	if len(r.Budgets) == 0 {
		t.line("  %s", t.style(t.theme.Dim, "none; set them under budget of the service"))
		return
	}
	tb := table{indent: "  ", right: []bool{2: true, 3: true, 4: true}}
	for i := range r.Budgets {
		b := &r.Budgets[i]
		glyph, style := t.theme.Verdict(b.Verdict)
		why := b.Why
		if b.Who != "" {
			why += " (" + b.Who + ")"
		}
		used := ""
		if b.Used.OK {
			used = sources.Ratio.Format(b.Used.V)
		}
		tb.add(cell{glyph, &style}, plainCell(spend.ScopeWords(b.Scope)), plainCell(t.money(b.Spent)), cell{"of " + sources.USD.Format(b.USD), &t.theme.Dim},
			cell{used, &t.theme.Bright}, plainCell(t.words(why)))
	}
	tb.print(t)
}

func (t *printer) money(n sources.Num) string {
	if !n.OK {
		return t.dash()
	}
	return sources.USD.Format(n.V)
}

func orUnknown(s, word string) string {
	if s == "" {
		return word
	}
	return s
}

// spenders prints the first few of each attribute that has more than one value.
func (t *printer) spenders(r *spend.Report) {
	tb := table{indent: "  ", head: []string{"", "", "spent", "share", "requests", "usual", ""}, right: []bool{2: true, 3: true, 4: true, 5: true, 6: true}}
	for i := range r.Top {
		top := &r.Top[i]
		if top.Values < 2 {
			continue
		}
		for k, x := range top.Spenders[:min(len(top.Spenders), 5)] {
			name := top.Attribute
			if k > 0 {
				name = ""
			}
			least, ratio := "", ""
			if x.AtLeast {
				least = t.words("≥ ")
			}
			if x.Ratio.OK {
				ratio = t.words(strconv.FormatFloat(x.Ratio.V, 'f', 1, 64) + "×")
			}
			share := t.dash()
			if x.Share.OK {
				share = sources.Ratio.Format(x.Share.V)
			}
			usd, usual := least+sources.USD.Format(x.USD), x.Usual
			if x.Estimate.OK {
				usual.V *= x.Estimate.V / x.USD // compared like with like
				usd = t.words("≈ ") + sources.USD.Format(x.Estimate.V)
			}
			tb.add(cell{name, &t.theme.Dim}, plainCell(orUnknown(x.Value, "(not told)")), cell{usd, &t.theme.Bright},
				plainCell(share), plainCell(strconv.Itoa(x.Requests)), plainCell(t.money(usual)), plainCell(ratio))
		}
	}
	t.title("Who spends, last " + widget.Span(r.To.Sub(r.From)) + ", " + t.money(r.SpentUSD) + " by " + strconv.Itoa(r.Requests) + " requests")
	if len(tb.rows) == 0 {
		t.line("  %s", t.style(t.theme.Dim, "requests do not tell"))
		return
	}
	tb.print(t)
}

func (t *printer) loops(r *spend.Report, at time.Time) {
	l := &r.Loops
	if l.N == 0 {
		t.title("Loops: none")
	} else {
		t.title(fmt.Sprintf("Loops: %d, %s", l.N, t.money(l.CostUSD)))
		tb := table{indent: "  ", head: []string{"request", "at", "tenant", "route", "count", "", "usual", "cost", "tool"}, right: []bool{5: true, 6: true, 7: true, 8: false}}
		for i := range l.Named {
			x := &l.Named[i]
			tool := ""
			if x.Tool != "" {
				tool = t.words(fmt.Sprintf("%s %d×", x.Tool, x.Times))
			}
			tb.add(cell{x.RequestID, &t.theme.Bright}, plainCell(stamp(x.Time, at)), plainCell(x.Tenant), plainCell(x.Route), plainCell(x.Count),
				plainCell(sources.Short(x.Value)), plainCell(sources.Short(math.Round(x.Usual))), plainCell(t.money(x.CostUSD)), plainCell(tool))
		}
		tb.print(t)
	}
	if len(l.Unknown) > 0 {
		names := make([]string, len(l.Unknown))
		for i, name := range l.Unknown {
			names[i] = orUnknown(name, "requests without a route")
		}
		t.line("  %s", t.style(t.theme.Dim, t.words(clean("too few requests to know what is usual on "+strings.Join(names, ", ")))))
	}
}

func (t *printer) savings(r *spend.Report) {
	t.title("What caches save")
	tb := table{indent: "  ", right: []bool{1: true, 2: true}}
	for i := range r.Caches {
		c := &r.Caches[i]
		saved, hits := t.dash(), ""
		if c.PerHour.OK {
			saved = sources.USD.Format(c.PerHour.V) + "/h"
		}
		if c.HitRatio.OK {
			hits = sources.Ratio.Format(c.HitRatio.V) + " hits"
		}
		tb.add(plainCell(c.Kind), cell{saved, &t.theme.Bright}, plainCell(hits), cell{t.words(c.Why), &t.theme.Dim})
	}
	tb.print(t)
}
