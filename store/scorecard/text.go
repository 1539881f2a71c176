package scorecard

import (
	"fmt"
	"io"
	"strings"
	"time"

	"rollcall/sources"
)

// line is one row of a card as it is read.
type line struct{ label, value, detail string }

// Text writes the card for people.
func (c *Card) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Scorecard of %s, seed %d\n", clean(c.Scenario), c.Seed)
	if c.Began.IsZero() {
		c.quiet(&b)
	} else {
		c.trouble(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *Card) quiet(b *strings.Builder) {
	if c.Cause != "" {
		b.WriteString("  The drill was over before anything went wrong.\n")
	} else {
		b.WriteString("  Nothing was wrong; the right thing was to look, and to leave it alone.\n")
	}
	rows := []line{{"incidents", "none opened", ""}}
	if c.Declared.Happened() {
		rows[0].value = c.Declared.How
	}
	write(b, append(rows, c.wrong()...))
}

func (c *Card) trouble(b *strings.Builder) {
	fmt.Fprintf(b, "  %s\n", clean(c.Cause))
	fmt.Fprintf(b, "  Right: %s\n", clean(c.Cure))
	rows := []line{
		{"began", c.Began.UTC().Format(time.TimeOnly) + "Z", ""},
		row("console said so", &c.Shown),
		row("noticed", &c.Noticed),
		row("declared", &c.Declared),
		row("mitigated", &c.Mitigated),
		row("recovery verified", &c.Verified),
	}
	if c.Category.Chose != "" && !c.Category.Right {
		rows = append(rows, line{"category", clean(c.Category.Chose), "better: " + clean(c.Category.Want)})
	}
	rows = append(rows, c.wrong()...)
	rows = append(rows,
		line{"users affected", fmt.Sprint(c.Users), fmt.Sprintf("%d bad requests of %d; usually %d", c.Bad, c.Requests, c.UsualBad)},
		line{"cost meanwhile", fmt.Sprintf("$%.2f", c.CostUSD), usually(c.UsualUSD)},
	)
	write(b, rows)
}

func usually(n sources.Num) string {
	if !n.OK {
		return ""
	}
	return fmt.Sprintf("usually $%.2f", n.V)
}

func (c *Card) wrong() []line {
	if len(c.Wrong) == 0 {
		return []line{{"wrong actions", "none", ""}}
	}
	rows := []line{{"wrong actions", fmt.Sprint(len(c.Wrong)), ""}}
	for i, a := range c.Wrong {
		what := words(a)
		if a.Judgement == "early" {
			what += ", before anything was wrong"
		}
		if i == 0 {
			rows[0].detail = what
		} else {
			rows = append(rows, line{"", "", what})
		}
	}
	return rows
}

func row(label string, m *Moment) line {
	if !m.Happened() {
		return line{label, "no", m.How}
	}
	return line{label, "after " + length(m.Seconds.V), m.How}
}

func write(b *strings.Builder, rows []line) {
	for _, r := range rows {
		s := fmt.Sprintf("  %-18s  %-14s  %s", r.label, r.value, r.detail)
		b.WriteString(strings.TrimRight(s, " ") + "\n")
	}
}

// length writes seconds of service time: "45s", "5m10s", "1h02m".
func length(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
