package spending

import (
	"reflect"
	"strings"
	"testing"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/sources/signal/spend"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
)

func opened(t *testing.T, w, h int) (*panetest.Driver, *Pane) {
	t.Helper()
	p := New().(*Pane)
	d := panetest.New(t, p, w, h)
	d.Do(p.Open(d.C, nil))
	return d, p
}

func TestScreens(t *testing.T) {
	for _, s := range panetest.Sizes {
		t.Run(s.Name, func(t *testing.T) {
			d, _ := opened(t, s.W, s.H)
			d.Shows("req_7f3a90c1")
			d.Golden("spending-" + s.Name)
			d.Press("end")
			d.Shows("mixtral")
			d.Golden("spending-end-" + s.Name)
		})
	}
}

// Every row leads on to what it is about.
func TestEnterOpensTheRequestOrItsRequests(t *testing.T) {
	d, p := opened(t, 120, 36)
	r := d.C.Snapshot.Spend
	want := func(f sources.RequestFilter) pane.OpenMsg {
		f.Service, f.Since, f.Until = d.C.Service, r.From, r.To
		return pane.OpenMsg{ID: pane.Requests, Arg: f}
	}
	for key, msg := range map[string]pane.OpenMsg{
		"budget request":         {ID: pane.Request, Arg: "req_7f3a90c1"},
		"budget user_hour":       want(sources.RequestFilter{User: "user:dbf1cb507afd727f"}),
		"budget hour":            {ID: pane.Signal, Arg: "budget_hour"},
		"budget period":          {ID: pane.Signal, Arg: "budget_used"},
		"loop req_b21c55ee":      {ID: pane.Request, Arg: "req_b21c55ee"},
		"spender tenant=initech": want(sources.RequestFilter{Tenant: "initech"}),
		"cache exact":            want(sources.RequestFilter{Where: []sources.Attribute{{Name: "cache", Value: "exact"}}}),
		"unpriced mixtral":       want(sources.RequestFilter{Served: "mixtral"}),
	} {
		d.Sent = nil
		p.selected = key
		d.Press("enter")
		if got := d.Asked(); !reflect.DeepEqual(got, msg) {
			t.Errorf("%s opens %+v, want %+v", key, got, msg)
		}
	}
	p.selected = "spender tenant="
	if open(p.items(d.C), p.at(p.items(d.C))) != nil {
		t.Error("requests that tell no tenant cannot be filtered by it")
	}
}

func TestLeftAndRightShowWhoElseSpends(t *testing.T) {
	d, p := opened(t, 120, 36)
	d.Press("right")
	d.Shows("user:56e19001f8de2620")
	if text, what := p.CopyText(d.C); text != "user:dbf1cb507afd727f" || what != "user" {
		t.Errorf("y copies %q, %q", text, what)
	}
	d.Press("left", "left")
	d.Shows("gpt-4.1-mini")
	kept := p.Keep()
	p.Open(d.C, "tenant")
	p.Restore(d.C, kept)
	if p.by != "model_served" {
		t.Errorf("the way back shows %q", p.by)
	}
}

func TestTheCursorIsAlwaysOnTheScreen(t *testing.T) {
	for _, s := range panetest.Sizes {
		d, p := opened(t, s.W, 12)
		for range 30 {
			d.Press("down")
			items := p.items(d.C)
			if !strings.Contains(d.Screen(), d.C.Theme.Glyphs.Cursor+" ") {
				t.Fatalf("%s: %s is not on the screen\n%s", s.Name, items[p.at(items)].key, d.Screen())
			}
		}
	}
}

// Values come from outside: they must never steer the terminal or break the frame.
func TestHostileValuesStayText(t *testing.T) {
	d, _ := opened(t, 80, 24)
	r := d.C.Snapshot.Spend
	evil := "\x1b[2J\x1b]0;owned\a\n" + strings.Repeat("w", 500)
	r.Line = "$1" + evil
	r.Notes = append(r.Notes, evil)
	for i := range r.Loops.Named {
		r.Loops.Named[i].Tenant, r.Loops.Named[i].Tool, r.Loops.Named[i].RequestID = evil, evil, evil
	}
	r.Budgets[0].Why, r.Budgets[0].Who = evil, evil
	r.Top[0].Spenders[0].Value, r.Unpriced[0].Model, r.Caches[0].Why = evil, evil, evil
	for range 20 {
		raw := d.Raw()
		if strings.Contains(raw, "\x1b[2J") || strings.Contains(raw, "\x1b]0;") || strings.Contains(raw, "\a") {
			t.Fatalf("a control sequence gets through: %q", raw)
		}
		if n := len(strings.Split(raw, "\n")); n != 24 {
			t.Fatalf("%d lines", n)
		}
		d.Press("down")
	}
}

func TestWithoutAReportAndWithAnEmptyOneItSaysSo(t *testing.T) {
	d, _ := opened(t, 80, 24)
	d.C.Snapshot = &signal.Snapshot{}
	d.Shows("Nothing has been read yet")
	d.C.Snapshot.Spend = spend.Of(&spend.Look{})
	d.Shows("no request rows in this time")
	d.Shows("none; set them under budget")
	d.Press("enter", "right", "down", "y")
	d.C.Theme = theme.New(theme.Options{ASCII: true, NoColor: true})
	d.C.Snapshot = nil
	d.Shows("Nothing has been read yet")
}

func TestTheSentenceIsSaidInFullWhereThereIsRoom(t *testing.T) {
	for _, size := range [][2]int{{200, 55}, {120, 31}, {80, 19}} {
		d, _ := opened(t, size[0], size[1])
		var words []string
		for _, l := range strings.Split(d.Screen(), "\n") {
			if l = strings.TrimSpace(l); l == "" {
				break
			}
			words = append(words, l)
		}
		if got := strings.Join(words, " "); got != d.C.Snapshot.Spend.Line {
			t.Errorf("%d columns: %q, want %q", size[0], got, d.C.Snapshot.Spend.Line)
		}
	}
}
