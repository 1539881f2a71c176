package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/sources/signal/suspect"
)

func (p *Program) suspectsCommand(o *options) *cobra.Command {
	anyway := false
	cmd := &cobra.Command{
		Use:   "suspects [SIGNAL]",
		Short: "What the bad requests have in common",
		Long: "What the bad requests of a signal have in common that the good ones have not: versions, tenant, route,\n" +
			"document, tool and every other attribute, alone and in pairs, tested against chance. Without a signal,\n" +
			"that of the verdict line. For signals about time also how long each stage takes, and whether in two humps.",
		Example: "  rollcall suspects\n  rollcall suspects schema_fail -o json\n  rollcall suspects latency_p95 --anyway --range 2h",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&anyway, "anyway", false, "look even when nothing is worse than usual")
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
		defer func() { _ = s.Close() }()
		now := s.Clock().Now()
		v, err := o.view(now)
		if err != nil {
			return err
		}
		var id string
		if len(args) > 0 {
			if id, err = signalNamed(args[0]); err != nil {
				return err
			}
		} else {
			snap, err := s.Snapshot(ctx, service, v, "")
			if err != nil {
				return &exit{ExitUnreachable, err}
			}
			if len(snap.Line.Signals) == 0 {
				if !asJSON {
					t := p.printer(o, cfg.UI)
					t.line("%s Name a signal to look anyway: rollcall suspects SIGNAL --anyway.", t.words(clean(snap.Line.Text(wholeLine))))
					return t.err
				}
				return writeJSON(p.Out, suspectsOf(&signal.Explanation{From: v.End(now).Add(-v.Range), To: v.End(now), Verdict: verdictOf(snap), Why: snap.Line.Text(wholeLine)}))
			}
			id = snap.Line.Signals[0]
		}
		x, err := s.Suspects(ctx, service, id, v, anyway)
		if err != nil {
			return &exit{ExitUnreachable, err}
		}
		if asJSON {
			err = writeJSON(p.Out, suspectsOf(x))
		} else {
			t := p.printer(o, cfg.UI)
			t.suspects(x, now)
			err = t.err
		}
		p.facts(x.Facts, "suspects")
		if err == nil && x.Verdict == sources.Unreachable {
			return &exit{code: ExitUnreachable}
		}
		return err
	}
	return cmd
}

// signalNamed checks the name of a signal before anything is opened for it.
func signalNamed(id string) (string, error) {
	var ids []string
	for _, s := range signal.Catalogue() {
		if s.ID == id {
			return id, nil
		}
		ids = append(ids, s.ID)
	}
	if near := config.Nearest(id, ids); near != "" {
		return "", usage("no signal %q; did you mean %s?", id, near)
	}
	return "", usage("no signal %q; rollcall status -o json names them", id)
}

type suspectsJSON struct {
	Signal   string            `json:"signal"`
	Verdict  sources.Verdict   `json:"verdict"`
	Why      string            `json:"why"`
	From     time.Time         `json:"from"`
	To       time.Time         `json:"to"`
	Since    *time.Time        `json:"since,omitempty"`
	Words    []string          `json:"words"`
	Above    sources.Num       `json:"above"`
	Below    sources.Num       `json:"below"`
	Bad      int               `json:"bad"`
	Good     int               `json:"good"`
	Tested   int               `json:"tested"`
	Provider string            `json:"provider"`
	Suspects []suspect.Suspect `json:"suspects"`
	Usual    []suspect.Suspect `json:"usual,omitempty"`
	Shapes   []suspect.Shape   `json:"shapes,omitempty"`
	Partial  string            `json:"partial,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
}

func suspectsOf(x *signal.Explanation) suspectsJSON {
	out := suspectsJSON{
		Signal: x.Signal, Verdict: x.Verdict, Why: x.Why, From: x.From.UTC(), To: x.To.UTC(), Since: moment(x.Since),
		Words: []string{}, Above: x.Above, Below: x.Below, Bad: x.Bad, Good: x.Good, Tested: x.Tested, Provider: x.Provider,
		Suspects: x.Suspects, Usual: x.Usual, Shapes: x.Shapes, Partial: x.Facts.Partial, Warnings: x.Facts.Warnings,
	}
	if out.Suspects == nil {
		out.Suspects = []suspect.Suspect{}
	}
	if x.Words[0] != "" {
		out.Words = x.Words[:]
	}
	return out
}

func (t *printer) suspects(x *signal.Explanation, now time.Time) {
	t.line("%s %s", t.verdict(x.Verdict), t.style(t.theme.Bright, t.words(clean(x.Why))))
	if x.Bad+x.Good > 0 {
		cut := x.Cut()
		if cut != "" {
			cut = "; " + cut
		}
		t.line("%s", t.style(t.theme.Dim, t.words(fmt.Sprintf("%s to %s: %d %s, %d %s requests, %d comparisons%s",
			stamp(x.From, now), stamp(x.To, now), x.Bad, x.Words[0], x.Good, x.Words[1], x.Tested, cut))))
	}
	t.suspectTable(x.Suspects, x.Words)
	if len(x.Usual) > 0 {
		t.line("")
		t.line("%s", t.style(t.theme.Dim, "As before it began, and so no news:"))
		t.suspectTable(x.Usual, x.Words)
	}
	t.shapes(x.Shapes)
}

func (t *printer) suspectTable(list []suspect.Suspect, words [2]string) {
	if len(list) == 0 {
		return
	}
	tb := table{indent: "  ", head: []string{"suspect", "of " + words[0], "of " + words[1], "odds", "explains", "p", ""}, right: []bool{1: true, 2: true, 3: true, 4: true, 5: true}}
	for i := range list {
		s := &list[i]
		same := ""
		if len(s.Same) > 0 {
			names := make([]string, len(s.Same))
			for k, a := range s.Same {
				names[k] = a.String()
			}
			same = "the same requests: " + strings.Join(names, ", ")
		}
		tb.add(cell{s.Name(), &t.theme.Bright}, plainCell(share(s.Coverage)), plainCell(share(s.Share)), plainCell(number(s.Odds)),
			plainCell(share(s.Explained)), plainCell(fmt.Sprintf("%.0e", s.P)), cell{same, &t.theme.Dim})
	}
	tb.print(t)
}

// shapes prints where the time goes, one stage a line, and which have two humps.
func (t *printer) shapes(list []suspect.Shape) {
	if len(list) == 0 {
		return
	}
	t.line("")
	tb := table{indent: "  ", head: []string{"duration", "median", "slow hump", "median", "what tells them apart"}, right: []bool{1: true, 2: true, 3: true}}
	for i := range list {
		s := &list[i]
		if len(s.Humps) == 0 {
			tb.add(plainCell(s.Stage), cell{"too few", &t.theme.Dim})
			continue
		}
		row := []cell{plainCell(s.Stage), plainCell(t.seconds(sources.N(s.Humps[0].Median)))}
		if s.Two() {
			why := "not explained by anything recorded"
			if s.Slow != nil && len(s.Slow.Suspects) > 0 {
				top := &s.Slow.Suspects[0]
				why = fmt.Sprintf("%s in %s of the slow, %s of the fast", top.Name(), share(top.Coverage), share(top.Share))
			}
			row = append(row, cell{share(s.Humps[1].Share), &t.theme.Watch}, plainCell(t.seconds(sources.N(s.Humps[1].Median))), plainCell(why))
		}
		tb.add(row...)
	}
	tb.print(t)
}

func share(v float64) string { return strconv.FormatFloat(100*v, 'f', 0, 64) + "%" }

func number(v float64) string {
	if math.Abs(v) >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
