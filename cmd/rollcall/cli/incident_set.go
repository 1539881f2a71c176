package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/store/journal"
	"rollcall/store/review"
	"rollcall/tui/pane"
)

// setters are the fields of an incident that a person sets, with what they take.
var setters = []struct{ field, takes string }{
	{"severity", "SEV1, SEV2, SEV3 or SEV4"},
	{"category", "safety, correctness, privacy, quality, availability or cost"},
	{"lead", "a name"},
	{"title", "one line"},
	{"tags", "words such as bias; none takes them all off"},
	{"began", "a time"},
	{"acknowledged", "a time, or nothing for now"},
	{"mitigated", "a time, or nothing for now; no takes it back"},
	{"resolved", "a time, or nothing for now; no takes it back"},
}

func (p *Program) incidentSet(o *options) *cobra.Command {
	var why string
	var help strings.Builder
	for _, s := range setters {
		fmt.Fprintf(&help, "  %-13s %s\n", s.field, s.takes)
	}
	cmd := &cobra.Command{
		Use: "set [INC] FIELD [VALUE...]", Short: "Change an incident",
		Long:    "Changes one field of an incident:\n\n" + help.String(),
		Example: "  rollcall incident set severity SEV1 --why \"two more tenants\"\n  rollcall incident set INC-7 mitigated 02:52",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVar(&why, "why", "", "a `reason` for the timeline")
	return p.withDesk(cmd, o, func(ctx context.Context, d *desk, args []string) error {
		id, rest := named(args)
		if len(rest) == 0 {
			return usage("say what to set: %s", fields())
		}
		patch, err := patchOf(strings.ToLower(rest[0]), strings.TrimSpace(strings.Join(rest[1:], " ")), d.now)
		if err != nil {
			return err
		}
		patch.Why = why
		inc, err := d.incident(ctx, id)
		if err != nil {
			return err
		}
		if inc, err = d.book.UpdateIncident(ctx, inc.ID, patch); err != nil {
			return err
		}
		return d.print(p, &inc)
	})
}

func fields() string {
	names := make([]string, len(setters))
	for i, s := range setters {
		names[i] = s.field
	}
	return strings.Join(names, ", ")
}

func patchOf(field, value string, now time.Time) (journal.IncidentPatch, error) {
	var p journal.IncidentPatch
	needs := func() error {
		for _, s := range setters {
			if s.field == field && value == "" {
				return usage("%s needs a value: %s", field, s.takes)
			}
		}
		return nil
	}
	when := func() (*time.Time, error) {
		switch value {
		case "":
			return &now, nil
		case "no", "none", "never":
			return &time.Time{}, nil
		}
		t, err := parseTime(value, now)
		if err != nil {
			return nil, usage("%s: %w", field, err)
		}
		return &t, nil
	}
	var err error
	switch field {
	case "severity":
		v := journal.Severity(strings.ToUpper(value))
		p.Severity, err = &v, needs()
	case "category":
		v := journal.Category(strings.ToLower(value))
		p.Category, err = &v, needs()
	case "lead":
		p.Lead, err = &value, needs()
	case "title":
		p.Title, err = &value, needs()
	case "tags":
		tags := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		if value == "none" {
			tags = []string{}
		}
		p.Tags, err = &tags, needs()
	case "began":
		if err = needs(); err == nil {
			p.Began, err = when()
		}
	case "acknowledged":
		p.Acknowledged, err = when()
	case "mitigated":
		p.Mitigated, err = when()
	case "resolved":
		p.Resolved, err = when()
	default:
		return p, usage("an incident has no %q to set; it has %s", clean(field), fields())
	}
	return p, err
}

// incident prints one incident with what its words mean.
func (t *printer) incident(i *journal.Incident, book Casebook, now time.Time) {
	t.line("%s  %s", t.style(t.theme.Title, clean(i.ID)), t.style(t.theme.Bright, t.words(clean(i.Title))))
	means := func(word string, list []pane.Definition) string {
		for _, d := range list {
			if d.Word == word {
				return word + ": " + d.Means
			}
		}
		return word
	}
	when := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return stamp(at, now)
	}
	closed := when(i.Closed)
	if i.CloseReason != "" {
		closed += t.dot() + i.CloseReason
	}
	t.pairs([][2]string{
		{"state", i.State()},
		{"service", joinNonEmpty(t.dot(), i.Service, i.Environment)},
		{"severity", means(string(i.Severity), book.Severities())},
		{"category", means(string(i.Category), book.Categories())},
		{"tags", strings.Join(i.Tags, ", ")},
		{"lead", i.Lead},
		{"signals", strings.Join(i.Signals, ", ")},
		{"began", when(i.Began)},
		{"detected", when(i.Detected)},
		{"opened", joinNonEmpty(" by ", when(i.Opened), i.OpenedBy)},
		{"acknowledged", when(i.Acknowledged)},
		{"mitigated", when(i.Mitigated)},
		{"resolved", when(i.Resolved)},
		{"closed", closed},
		{"requests", strings.Join(i.Requests, ", ")},
		{"runs", strings.Join(i.Runs, ", ")},
		{"cases", counted(i.Cases)},
	})
}

// counted is a number worth a line.
func counted(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func (t *printer) timeline(rows []review.Row, now time.Time) {
	tb := table{indent: "  ", right: []bool{true}}
	for _, r := range rows {
		seq := fmt.Sprintf("#%d", r.Seq)
		if r.SeqLast > r.Seq {
			seq += fmt.Sprintf("-%d", r.SeqLast)
		}
		what := r.What
		if r.Text != "" {
			what += ": " + r.Text
		}
		tb.add(cell{seq, &t.theme.Dim}, plainCell(stamp(r.At, now)), cell{r.Actor, &t.theme.Dim}, plainCell(t.words(what)))
	}
	tb.print(t)
}
