package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/cases"
	"rollcall/store/journal"
	"rollcall/store/review"
	"rollcall/tui/pane"
)

// Casebook is the part of a session that keeps incidents.
type Casebook interface {
	Incidents(ctx context.Context, service string) ([]journal.Incident, error)
	Incident(ctx context.Context, id string) (journal.Incident, error)
	Prefill(service string, snap *signal.Snapshot) journal.IncidentDraft
	OpenIncident(ctx context.Context, d journal.IncidentDraft) (journal.Incident, error)
	UpdateIncident(ctx context.Context, id string, p journal.IncidentPatch) (journal.Incident, error)
	CloseIncident(ctx context.Context, id, reason string) (journal.Incident, error)
	AddNote(ctx context.Context, service, incident, text string) (journal.Entry, error)
	CaptureRequest(ctx context.Context, service, incident, request string) (journal.Entry, error)
	Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error)
	Severities() []pane.Definition
	Categories() []pane.Definition
	Review(ctx context.Context, incident string) (*review.Review, error)
	// RecordExport records that a review left the journal.
	RecordExport(ctx context.Context, r *review.Review, format string) (journal.Entry, error)
	// WriteCases makes regression cases, writes them into a folder and records that.
	WriteCases(ctx context.Context, incident, dir string, o cases.Options, force bool) (cases.Done, error)
}

// maxNote is how much of standard input a note takes.
const maxNote = 256 << 10

func (p *Program) incidentCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "incident",
		Short: "Open, follow and close incidents",
		Long: "Incidents are kept in the journal. Where an incident may be named (INC-7) and is not, the open one of\n" +
			"the service is meant.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		p.incidentOpen(o), p.incidentList(o), p.incidentShow(o), p.incidentNote(o), p.incidentSet(o), p.incidentCapture(o), p.incidentClose(o),
	)
	return cmd
}

// desk is an open session with its journal, for one command.
type desk struct {
	Session
	book    Casebook
	service string
	json    bool
	out     *printer
	now     time.Time
}

// withDesk makes a command run on a session that keeps incidents, and gives its
// errors their exit codes.
func (p *Program) withDesk(cmd *cobra.Command, o *options, do func(ctx context.Context, d *desk, args []string) error) *cobra.Command {
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		d, cfg, err := p.desk(ctx, o)
		if err != nil {
			return err
		}
		d.json, d.out = asJSON, p.printer(o, cfg.UI)
		return recorded(errors.Join(do(ctx, d, args), closing(d.Session)))
	}
	return cmd
}

func (p *Program) desk(ctx context.Context, o *options) (*desk, *config.File, error) {
	s, cfg, service, err := p.session(ctx, o, ReadOnly)
	if err != nil {
		return nil, nil, err
	}
	book, ok := s.(Casebook)
	if !ok {
		return nil, nil, errors.Join(errors.New("this session keeps no journal"), s.Close())
	}
	return &desk{Session: s, book: book, service: service, now: s.Clock().Now()}, cfg, nil
}

// closing tells what could not be written at the end.
func closing(s Session) error {
	if err := s.Close(); err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	return nil
}

// recorded gives an error of the journal its exit code: what it refuses is the
// caller's to put right, what it does not have was not found.
func recorded(err error) error {
	var e *exit
	if err == nil || errors.As(err, &e) {
		return err
	}
	if errors.Is(err, journal.ErrRefused) {
		return &exit{ExitUsage, err}
	}
	return &exit{ExitBad, err}
}

var incidentID = regexp.MustCompile(`(?i)^inc-[0-9]{1,9}$`)

// named takes an incident's ID off the arguments, when they begin with one.
func named(args []string) (id string, rest []string) {
	if len(args) > 0 && incidentID.MatchString(args[0]) {
		return strings.ToUpper(args[0]), args[1:]
	}
	return "", args
}

// incident returns the one that is named, or the open one.
func (d *desk) incident(ctx context.Context, id string) (journal.Incident, error) {
	if id != "" {
		return d.book.Incident(ctx, id)
	}
	list, err := d.book.Incidents(ctx, d.service)
	if err != nil {
		return journal.Incident{}, err
	}
	var open []journal.Incident
	var names []string
	for _, i := range list {
		if i.Open() {
			open, names = append(open, i), append(names, i.ID)
		}
	}
	switch len(open) {
	case 1:
		return open[0], nil
	case 0:
		return journal.Incident{}, fmt.Errorf("no incident of %s is open; open one with rollcall incident open, or name one", d.service)
	}
	return journal.Incident{}, usage("%s are open; name one of them", strings.Join(names, " and "))
}

// latest returns the one that is named, or the open one, or else the newest:
// what is read about is often over already.
func (d *desk) latest(ctx context.Context, id string) (journal.Incident, error) {
	if id == "" {
		list, err := d.book.Incidents(ctx, d.service)
		if err != nil {
			return journal.Incident{}, err
		}
		if len(list) > 0 && !slices.ContainsFunc(list, func(i journal.Incident) bool { return i.Open() }) {
			return list[0], nil
		}
	}
	return d.incident(ctx, id)
}

// print writes an incident as text or JSON.
func (d *desk) print(p *Program, inc *journal.Incident) error {
	if d.json {
		return writeJSON(p.Out, incidentOf(inc))
	}
	d.out.incident(inc, d.book, d.now)
	return d.out.err
}

// incidentJSON adds what follows from the times.
type incidentJSON struct {
	*journal.Incident
	State string `json:"state"`
}

func incidentOf(i *journal.Incident) incidentJSON { return incidentJSON{i, i.State()} }

func (p *Program) incidentOpen(o *options) *cobra.Command {
	var category, severity, title, began, lead string
	var tags []string
	var fromVerdict bool
	cmd := &cobra.Command{
		Use:   "open",
		Short: "Open an incident",
		Long: "Opens an incident of the service. --from-verdict fills in category, severity, title, start and evidence\n" +
			"from the verdict line as it is now; what is given besides wins.",
		Example: "  rollcall incident open --from-verdict\n" +
			"  rollcall incident open --category privacy --severity SEV2 --title \"Answers quote other tenants\" --began 02:31",
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&category, "category", "", "`category`: "+words(journal.Categories()))
	f.StringVar(&severity, "severity", "", "`severity`: "+words(journal.Severities()))
	f.StringVar(&title, "title", "", "one line that says what is wrong")
	f.StringVar(&began, "began", "", "`time` at which the trouble began, as far as known: 02:31, or 15m for a quarter of an hour ago")
	f.StringVar(&lead, "lead", "", "`name` of who leads (you)")
	f.StringSliceVar(&tags, "tag", nil, "a `tag` such as bias; may be given several times")
	f.BoolVar(&fromVerdict, "from-verdict", false, "fill in what the verdict line says")
	return p.withDesk(cmd, o, func(ctx context.Context, d *desk, _ []string) error {
		draft := journal.IncidentDraft{Service: d.service}
		if fromVerdict {
			snap, err := d.Snapshot(ctx, d.service, sources.View{Range: defaultRange, Columns: 60}, "")
			if err != nil {
				return &exit{ExitUnreachable, err}
			}
			draft = d.book.Prefill(d.service, snap)
			if draft.Title == "" && title == "" {
				return &exit{ExitBad, fmt.Errorf("the verdict line says nothing bad (%s); give --title, --category and --severity", snap.Line.Text(wholeLine))}
			}
		}
		if category != "" {
			draft.Category = journal.Category(strings.ToLower(category))
		}
		if severity != "" {
			draft.Severity = journal.Severity(strings.ToUpper(severity))
		}
		if title != "" {
			draft.Title = title
		}
		if lead != "" {
			draft.Lead = lead
		}
		draft.Tags = append(draft.Tags, tags...)
		if began != "" {
			at, err := parseTime(began, d.now)
			if err != nil {
				return usage("--began %w", err)
			}
			draft.Began = at
		}
		if draft.Title == "" || draft.Category == "" || draft.Severity == "" {
			return usage("an incident needs --title, --category (%s) and --severity (%s), or --from-verdict", words(journal.Categories()), words(journal.Severities()))
		}
		inc, err := d.book.OpenIncident(ctx, draft)
		if err != nil {
			return err
		}
		return d.print(p, &inc)
	})
}

func words[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

func (p *Program) incidentList(o *options) *cobra.Command {
	var all, open bool
	cmd := &cobra.Command{Use: "list", Short: "List incidents, newest first", Args: cobra.NoArgs}
	cmd.Flags().BoolVar(&all, "all-services", false, "of all services")
	cmd.Flags().BoolVar(&open, "open", false, "only those still open")
	return p.withDesk(cmd, o, func(ctx context.Context, d *desk, _ []string) error {
		service := d.service
		if all {
			service = ""
		}
		list, err := d.book.Incidents(ctx, service)
		if err != nil {
			return err
		}
		shown := make([]incidentJSON, 0, len(list))
		for i := range list {
			if !open || list[i].Open() {
				shown = append(shown, incidentOf(&list[i]))
			}
		}
		if d.json {
			return writeJSON(p.Out, shown)
		}
		if len(shown) == 0 {
			d.out.line("No incidents.")
		}
		tb := table{indent: "  "}
		for _, i := range shown {
			style := &d.out.theme.Dim
			if i.Open() {
				style = &d.out.theme.Bright
			}
			tb.add(cell{i.ID, style}, plainCell(string(i.Severity)), plainCell(string(i.Category)), cell{i.State, style}, plainCell(stamp(i.Opened, d.now)),
				plainCell(i.Service), plainCell(i.Title))
		}
		tb.print(d.out)
		return d.out.err
	})
}

func (p *Program) incidentShow(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show [INC]", Short: "Show an incident and its timeline",
		Long: "Without INC the open incident of the service is shown, or else its newest.",
		Args: cobra.MaximumNArgs(1),
	}
	return p.withDesk(cmd, o, func(ctx context.Context, d *desk, args []string) error {
		id, rest := named(args)
		if len(rest) > 0 {
			return usage("%q is no incident; write it like INC-7", clean(rest[0]))
		}
		inc, err := d.latest(ctx, id)
		if err != nil {
			return err
		}
		var entries []journal.Entry
		f := journal.Filter{Incident: inc.ID, Limit: 1000}
		for {
			page, err := d.book.Entries(ctx, f)
			if err != nil {
				return err
			}
			entries = append(entries, page...)
			if len(page) < f.Limit {
				break
			}
			f.After = page[len(page)-1].Seq
		}
		rows := review.Timeline(entries, inc.ID)
		if d.json {
			return writeJSON(p.Out, struct {
				Incident incidentJSON `json:"incident"`
				Timeline []review.Row `json:"timeline"`
			}{incidentOf(&inc), rows})
		}
		d.out.incident(&inc, d.book, d.now)
		d.out.section("Timeline")
		d.out.timeline(rows, d.now)
		return d.out.err
	})
}

func (p *Program) incidentNote(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "note [INC] [TEXT...]", Short: "Write a note into an incident's timeline",
		Long:    "Writes a note. Without TEXT it is read from standard input.",
		Example: "  rollcall incident note support was told\n  kubectl describe pod assistant-0 | rollcall incident note INC-7",
	}
	return p.withDesk(cmd, o, func(ctx context.Context, d *desk, args []string) error {
		id, rest := named(args)
		text := strings.TrimSpace(strings.Join(rest, " "))
		if text == "" || text == "-" {
			if p.InTTY {
				return usage("say the note: rollcall incident note TEXT, or give it on standard input")
			}
			read, err := io.ReadAll(io.LimitReader(p.In, maxNote+1))
			if err != nil {
				return fmt.Errorf("standard input: %w", err)
			}
			if len(read) > maxNote {
				return usage("a note of more than %d KiB is too long; keep the part that matters", maxNote>>10)
			}
			text = string(read)
		}
		inc, err := d.incident(ctx, id)
		if err != nil {
			return err
		}
		e, err := d.book.AddNote(ctx, inc.Service, inc.ID, text)
		if err != nil {
			return err
		}
		return d.wrote(p, &e, "noted in "+inc.ID)
	})
}

// wrote says which entry was written.
func (d *desk) wrote(p *Program, e *journal.Entry, what string) error {
	if d.json {
		return writeJSON(p.Out, e)
	}
	d.out.line("#%d %s", e.Seq, clean(what))
	return d.out.err
}

func (p *Program) incidentCapture(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "capture [INC] REQUEST", Short: "Keep a request as evidence",
		Long: "Stores the request with its content, trace and log lines, redacted, as artifacts of the incident. The ID\n" +
			"is the request's, the trace's or the provider's response ID.",
		Args: cobra.RangeArgs(1, 2),
	}
	return p.withDesk(cmd, o, func(ctx context.Context, d *desk, args []string) error {
		id, rest := named(args)
		if len(rest) != 1 || strings.TrimSpace(rest[0]) == "" || len(rest[0]) > 512 {
			return usage("name one request: rollcall incident capture REQUEST")
		}
		inc, err := d.incident(ctx, id)
		if err != nil {
			return err
		}
		e, err := d.book.CaptureRequest(ctx, inc.Service, inc.ID, strings.TrimSpace(rest[0]))
		if err != nil {
			if !errors.Is(err, journal.ErrRefused) && unreachable(d.Health()) {
				return &exit{ExitUnreachable, err}
			}
			return err
		}
		names := make([]string, len(e.Artifacts))
		for i, a := range e.Artifacts {
			names[i] = a.Name
		}
		return d.wrote(p, &e, "captured into "+inc.ID+": "+strings.Join(names, ", "))
	})
}

func (p *Program) incidentClose(o *options) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "close [INC]", Short: "Close an incident",
		Long: "Closes an incident. One without a regression case needs a reason: every incident should leave a test\n" +
			"behind, so that the same failure does not come back unseen.",
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why there is no regression case")
	return p.withDesk(cmd, o, func(ctx context.Context, d *desk, args []string) error {
		id, rest := named(args)
		if len(rest) > 0 {
			return usage("%q is no incident; write it like INC-7", clean(rest[0]))
		}
		inc, err := d.incident(ctx, id)
		if err != nil {
			return err
		}
		closed, err := d.book.CloseIncident(ctx, inc.ID, reason)
		if err != nil {
			if errors.Is(err, journal.ErrRefused) && strings.TrimSpace(reason) == "" {
				err = fmt.Errorf("%w: --reason TEXT, or rollcall cases %s", err, inc.ID)
			}
			return err
		}
		return d.print(p, &closed)
	})
}
