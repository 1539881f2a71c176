package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/store/journal"
)

// PurgeOf says what is purged; exactly one field is set.
type PurgeOf struct {
	Request string // request, trace or response ID
	User    string // as the service knows them, or the token of them
	Tenant  string
}

// Purge erases what it found when it was opened.
type Purge interface {
	Found() journal.PurgedData
	// Run erases, and records that it began and how it ended.
	Run(ctx context.Context) (journal.PurgedData, error)
	Close() error
}

// answerTime is how long a purge waits for the process that receives. It erases
// in turns with what it receives, and writes whole files anew.
const answerTime = 10 * time.Minute

func (p *Program) purgeCommand(o *options) *cobra.Command {
	var of PurgeOf
	var yes bool
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Erase a request, a user or a tenant everywhere",
		Long: "Erases the traces and request rows of a request, a user or a tenant, the text and artifacts of the\n" +
			"journal's entries that name one of them, and exported reviews and cases that repeat it. What was stored is\n" +
			"overwritten. The journal keeps its entries, hashes and identifiers, and records the purge. A user is\n" +
			"given as the service knows them, or as the token that rollcall shows.",
		Example: "  rollcall purge --user alice@example.com\n  rollcall purge --request req-8f2c --yes\n  rollcall purge --tenant acme",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&of.Request, "request", "", "request, trace or response `ID`")
	f.StringVar(&of.User, "user", "", "`user`, as the service knows them or as rollcall's token")
	f.StringVar(&of.Tenant, "tenant", "", "`tenant`")
	f.BoolVar(&yes, "yes", false, "do not ask")
	cmd.MarkFlagsMutuallyExclusive("request", "user", "tenant")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		if strings.TrimSpace(of.Request+of.User+of.Tenant) == "" {
			return usage("say what to erase: --request, --user or --tenant")
		}
		if !yes && !p.InTTY {
			return usage("erasing cannot be undone; say --yes where nobody can be asked")
		}
		if err := p.mayErase(); err != nil {
			return err
		}
		cfg, err := config.LoadOrDefault(o.config, p.Env)
		if err != nil {
			return err
		}
		return p.erase(cmd.Context(), o, cfg, of, yes, asJSON)
	}
	return cmd
}

func (p *Program) erase(ctx context.Context, o *options, cfg *config.File, of PurgeOf, yes, asJSON bool) (err error) {
	if p.Purge == nil {
		return errors.New("this build stores nothing")
	}
	job, err := p.Purge(ctx, cfg, of)
	if err != nil {
		return ofJournal(err)
	}
	defer func() { err = errors.Join(err, job.Close()) }()
	found := job.Found()
	if !found.Nothing() && !yes {
		_, _ = fmt.Fprintf(p.Err, "erase for good: %s? [y/N] ", clean(purgeText(&found)))
		answer, _ := bufio.NewReader(p.In).ReadString('\n')
		if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
			p.note("rollcall: nothing was erased")
			return &exit{ExitBad, nil}
		}
	}
	wait, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	done, failed := job.Run(wait)
	if failed != nil {
		failed = &exit{ExitBad, failed}
	}
	if asJSON {
		return errors.Join(failed, writeJSON(p.Out, done))
	}
	t := p.printer(o, cfg.UI)
	switch {
	case done.Nothing() && failed == nil:
		t.line("Nothing of this %s is stored.", done.By)
	default:
		t.line("erased: %s", purgeText(&done))
		if len(done.Entries) > 0 {
			t.line("journal entries %s keep their place in the chain, without text and artifacts", seqText(done.Entries))
		}
		for _, f := range done.Files {
			anew := "review"
			if strings.HasPrefix(f, "cases/") {
				anew = "cases"
			}
			t.line("removed %s; make it anew with rollcall %s", clean(f), anew)
		}
	}
	for _, r := range done.Remains {
		t.line("not reached: %s", clean(r))
	}
	return errors.Join(failed, t.err)
}

// purgeText says how much it is.
func purgeText(d *journal.PurgedData) string {
	var parts []string
	add := func(n int64, one, many string) {
		switch {
		case n == 1:
			parts = append(parts, "1 "+one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, many))
		}
	}
	add(int64(d.Requests), "request", "requests")
	add(d.Spans, "span", "spans")
	add(int64(d.Events), "event that waits for its request", "events that wait for their requests")
	add(int64(len(d.Entries)), "journal entry's text and artifacts", "journal entries' text and artifacts")
	ofCases := int64(0)
	for _, f := range d.Files {
		if strings.HasPrefix(f, "cases/") {
			ofCases++
		}
	}
	add(int64(len(d.Files))-ofCases, "exported review", "exported reviews")
	add(ofCases, "file of exported cases", "files of exported cases")
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ") + " of " + d.By + " " + d.Of
}

// seqText lists entry numbers, of many the first.
func seqText(seqs []int64) string {
	const most = 20
	var b strings.Builder
	for i, s := range seqs[:min(len(seqs), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "#%d", s)
	}
	if len(seqs) > most {
		fmt.Fprintf(&b, " and %d more", len(seqs)-most)
	}
	return b.String()
}
