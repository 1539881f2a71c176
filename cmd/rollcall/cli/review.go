package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"rollcall/store/review"
)

func (p *Program) reviewCommand(o *options) *cobra.Command {
	var format, file string
	var public bool
	cmd := &cobra.Command{
		Use:   "review [INC]",
		Short: "The post-incident review, for people to finish",
		Long: "Makes the review of an incident from the journal: timeline with the entries it cites, times with their\n" +
			"formulas, signals before and after, changes, affected requests and money, runbooks as ticked boxes. What\n" +
			"only people know is left blank. --public leaves out people, users, tenants, hosts, notes and outputs; read\n" +
			"it through before it leaves the house all the same. That it was exported is recorded.\n\n" +
			"Without INC the open incident of the service is meant, or else its newest.",
		Example: "  rollcall review INC-7 > INC-7.md\n  rollcall review INC-7 -f html --public --out INC-7.html",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVarP(&format, "format", "f", "md", "`format`: md, json or html")
	cmd.Flags().StringVar(&file, "out", "", "write to this `file` instead of standard output")
	cmd.Flags().BoolVar(&public, "public", false, "leave out what is not for outside")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if format != "md" && format != "json" && format != "html" {
			return usage("-f %s is not known; it can be md, json or html", clean(format))
		}
		id, rest := named(args)
		if len(rest) > 0 {
			return usage("%q is no incident; write it like INC-7", clean(rest[0]))
		}
		ctx := cmd.Context()
		d, _, err := p.desk(ctx, o)
		if err != nil {
			return err
		}
		return recorded(errors.Join(p.review(ctx, d, id, format, file, public), closing(d.Session)))
	}
	return cmd
}

func (p *Program) review(ctx context.Context, d *desk, id, format, file string, public bool) error {
	inc, err := d.latest(ctx, id)
	if err != nil {
		return err
	}
	r, err := d.book.Review(ctx, inc.ID)
	if err != nil {
		return err
	}
	if public {
		r = r.MakePublic()
	}
	write := func(w io.Writer) error { return render(r, format, w) }
	if file == "" {
		err = write(p.Out)
	} else {
		err = writeFile(file, write)
	}
	if err != nil {
		return err
	}
	for _, g := range r.Gaps {
		p.note("rollcall: missing from the review: %s", g)
	}
	e, err := d.book.RecordExport(ctx, r, format)
	if err != nil {
		p.note("rollcall: the review is complete, but that it was exported is not recorded: %s", strings.TrimSpace(err.Error()))
		return nil
	}
	if file != "" {
		p.note("rollcall: wrote %s; recorded as #%d", file, e.Seq)
	}
	return nil
}

func render(r *review.Review, format string, w io.Writer) error {
	switch format {
	case "json":
		return r.JSON(w)
	case "html":
		return r.HTML(w)
	}
	return r.Markdown(w)
}

// writeFile writes a file for its owner so that it is there as a whole or as it was.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w; name a folder you own", path, plainCause(err))
	}
	err = errors.Join(write(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("%s cannot be written: %w; free some space, or leave out --out", path, plainCause(err))
	}
	return nil
}

// plainCause is the innermost reason of an operating system error.
func plainCause(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
