package signal

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// The tables of docs/profiles.md are made from the catalogue.
func TestTheDocumentedProfilesAreThoseOfTheCatalogue(t *testing.T) {
	const path = "../../docs/profiles.md"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, table := range map[string]string{"profiles": profileTable(), "signals": signalTable()} {
		begin := "<!-- generated: " + name + " -->\n"
		_, rest, ok := strings.Cut(text, begin)
		old, _, ok2 := strings.Cut(rest, "<!-- end -->")
		if !ok || !ok2 {
			t.Fatalf("%s has no place for the table of %s", path, name)
		}
		if old != table && os.Getenv("UPDATE_GOLDEN") == "" {
			t.Errorf("%s: the table of %s is out of date; UPDATE_GOLDEN=1 writes it anew", path, name)
		}
		text = strings.Replace(text, begin+old, begin+table, 1)
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// cell keeps a regular expression from ending its table cell.
func cell(re string) string {
	if re == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(re, "|", `\|`) + "`"
}

func profileTable() string {
	var b strings.Builder
	b.WriteString("| profile | whose metrics | recognised by | also read | models by |\n|---|---|---|---|---|\n")
	for _, p := range Profiles() {
		model := p.Model
		if p.Name == LLMOps {
			model = "model"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", p.Name, p.About, cell(p.Mark), cell(p.Also), cell(model))
	}
	return b.String()
}

func signalTable() string {
	var b strings.Builder
	b.WriteString("| signal |")
	for _, p := range Profiles() {
		fmt.Fprintf(&b, " %s |", p.Name)
	}
	b.WriteString(" logs | rows |\n|---|" + strings.Repeat(":-:|", len(Profiles())+2) + "\n")
	mark := func(yes bool, m string) string {
		if yes {
			return " " + m + " |"
		}
		return "  |"
	}
	spend := map[string]bool{"spend_today": true, "budget_daily": true, "budget_used": true, "budget_forecast": true, "budget_hour": true}
	derived := map[string]string{"budget_user_hour": "unusual_query", "budget_request": "cost_per_req"}
	for _, sig := range Catalogue() {
		fmt.Fprintf(&b, "| %s (`%s`) |", sig.Label, sig.ID)
		from := sig.From
		rows := sig.Rows != nil
		if spend[sig.ID] {
			from, rows = append(from, spendSources()...), true
		}
		if of := derived[sig.ID]; of != "" {
			i := slices.IndexFunc(Catalogue(), func(s Signal) bool { return s.ID == of })
			from, rows = Catalogue()[i].From, Catalogue()[i].Rows != nil
		}
		for _, p := range Profiles() {
			m := ""
			for _, src := range from {
				if src.Profile == p.Name && m != "●" {
					m = "●"
					if src.Priced {
						m = "$"
					}
				}
			}
			b.WriteString(mark(m != "", m))
		}
		b.WriteString(mark(sig.LogQL != "", "●") + mark(rows, "●") + "\n")
	}
	return b.String()
}
