package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/signal/spend"
)

func (p *Program) costWho(o *options) *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:   "who ATTRIBUTE",
		Short: "Who runs away with the money, on one line: a tenant, user, route or version",
		Long: "Prints the value of the attribute that loops or spends far more than usual, for scripts and runbooks. With\n" +
			"--all every value, who spends most first, with its share and how many times its usual spend that is.\n\n" +
			"The attributes: " + strings.Join(spend.Attributes[:], ", ") + ".\n\n" +
			"Exit code: 0 somebody does, 1 nobody stands out, 3 it cannot be told.",
		Example: "  rollcall cost who tenant\n  rollcall cost who user --all --range 6h",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&all, "all", false, "list every value, not only who stands out")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		of := args[0]
		if !slices.Contains(spend.Attributes[:], of) {
			if near := config.Nearest(of, spend.Attributes[:]); near != "" {
				return usage("nobody can tell spending by %q; did you mean %s?", of, near)
			}
			return usage("nobody can tell spending by %q; it can be %s", of, strings.Join(spend.Attributes[:], ", "))
		}
		snap, _, err := p.spending(cmd.Context(), o)
		if err != nil {
			return err
		}
		r := snap.Spend
		if all {
			return p.everySpender(r, of, asJSON)
		}
		p.facts(r.Facts, "requests")
		x, why := r.Runaway(of)
		switch {
		case x == nil && r.Requests == 0:
			return &exit{ExitUnreachable, errors.New("no request tells who spends; see rollcall doctor")}
		case x == nil:
			return &exit{ExitBad, fmt.Errorf("no %s stands out by what it spends; rollcall cost who %s --all lists them", of, of)}
		}
		p.note("rollcall: %s", clean(why))
		return p.oneLine(clean(x.Value), asJSON, x)
	}
	return cmd
}

// everySpender lists them, one a line, the value first.
func (p *Program) everySpender(r *spend.Report, of string, asJSON bool) error {
	list := r.Spenders(of)
	p.facts(r.Facts, "requests")
	if asJSON {
		return writeJSON(p.Out, list)
	}
	for i := range list {
		x := &list[i]
		words := []string{sources.USD.Format(x.USD)}
		if x.Share.OK {
			words = append(words, sources.Ratio.Format(x.Share.V)+" of all")
		}
		if x.Ratio.OK {
			words = append(words, strconv.FormatFloat(x.Ratio.V, 'f', 1, 64)+" times its usual")
		}
		if _, err := fmt.Fprintf(p.Out, "%s %s\n", clean(x.Value), strings.Join(words, ", ")); err != nil {
			return err
		}
	}
	return nil
}
