package suspects

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/pane"
)

func opened(t *testing.T, id string, w, h int) (*panetest.Driver, *Pane) {
	t.Helper()
	p := New().(*Pane)
	d := panetest.New(t, p, w, h)
	d.Do(p.Open(d.C, id))
	d.Until("the answer is there", func() bool { return p.x != nil || p.err != nil })
	return d, p
}

func TestScreens(t *testing.T) {
	for _, s := range panetest.Sizes {
		t.Run(s.Name, func(t *testing.T) {
			d, _ := opened(t, "schema_fail", s.W, s.H)
			d.Shows("prompt=v14")
			d.Golden("suspects-" + s.Name)
			d, p := opened(t, "latency_p95", s.W, s.H)
			d.Press("h", "right", "right")
			if !p.shape {
				t.Fatal("h shows no shape")
			}
			d.Shows("Two humps")
			d.Golden("shape-" + s.Name)
		})
	}
}

func TestEnterOpensTheBadRequestsOfTheSuspect(t *testing.T) {
	d, p := opened(t, "schema_fail", 120, 30)
	d.Press("enter")
	want := pane.OpenMsg{ID: pane.Requests, Arg: sources.RequestFilter{
		Service: d.C.Service, Since: p.x.From, Until: p.x.To, Schema: "fail", Versions: map[sources.Component]string{sources.Prompt: "v14"},
	}}
	if got := d.Asked(); !reflect.DeepEqual(got, want) {
		t.Errorf("it opens %+v", got)
	}
	d.Press("down", "down", "enter")
	got, _ := d.Asked().(pane.OpenMsg)
	if f, _ := got.Arg.(sources.RequestFilter); len(f.Where) != 1 || f.Where[0] != (sources.Attribute{Name: "document", Value: "kb-42/doc-7"}) {
		t.Errorf("a document opens %+v", got)
	}
	if text, what := p.CopyText(d.C); !strings.HasPrefix(text, "document=kb-42/doc-7 in 17% of failing") || what != "suspect" {
		t.Errorf("y copies %q", text)
	}
}

func TestWithoutASignalTheWorstIsExplained(t *testing.T) {
	d, p := opened(t, "", 100, 24)
	if want := d.C.Snapshot.Line.Signals[0]; p.x.Signal != want {
		t.Errorf("%s is explained, not %s", p.x.Signal, want)
	}
}

func TestNothingWrongIsSaidAndCanBeLookedIntoAnyway(t *testing.T) {
	d, p := opened(t, "cache_exact", 100, 24)
	d.Shows("There is nothing to explain")
	d.Press("a")
	d.Until("it looked anyway", func() bool { return len(p.rows()) > 0 })
	d.Shows("prompt=v14")
}

func TestTroubleIsSaidAndTheOldAnswerStays(t *testing.T) {
	d, p := opened(t, "schema_fail", 120, 30)
	d.Back.OnSuspects = func(context.Context, string, string, sources.View, bool) (*signal.Explanation, error) {
		return nil, errors.New("the disk is gone; mount it")
	}
	d.Do(p.Refresh(d.C))
	d.Until("the trouble is known", func() bool { return p.err != nil })
	d.Shows("older answer: the disk is gone")
	d.Shows("prompt=v14")
	_, q := opened(t, "schema_fail", 120, 30)
	q.x, q.err = nil, errors.New("the disk is gone; mount it")
	if !strings.Contains(q.View(d.C), "could not be compared") {
		t.Error("without any answer the trouble is not said")
	}
}

// Values come from outside: they must never steer the terminal or break the frame.
func TestHostileValuesStayText(t *testing.T) {
	d, p := opened(t, "schema_fail", 80, 20)
	p.x.Suspects[0].Attributes[0].Value = "v14\x1b[2J\n" + strings.Repeat("w", 500)
	p.x.Why = "x\x1b]0;owned\a"
	for _, l := range strings.Split(d.Raw(), "\n") {
		if strings.Contains(l, "\x1b[2J") || strings.Contains(l, "\x1b]0;") {
			t.Errorf("a control sequence gets through: %q", l)
		}
	}
	if _, ok := any(p).(pane.Keeper); !ok {
		t.Error("the way back loses the selection")
	}
	kept := p.Keep()
	p.Open(d.C, "feedback")
	p.Restore(d.C, kept)
	if p.id != "schema_fail" || p.x == nil {
		t.Errorf("the way back shows %q", p.id)
	}
}

func TestALongFindingIsSaidInFullWhereThereIsRoom(t *testing.T) {
	for _, size := range [][2]int{{200, 55}, {120, 31}, {80, 19}} {
		d, p := opened(t, "schema_fail", size[0], size[1])
		p.x.Suspects[0].Attributes = append(p.x.Suspects[0].Attributes, sources.Attribute{Name: "tenant", Value: strings.Repeat("northwind-", 9) + "end"})
		p.x.Why = p.x.Phrase(&p.x.Suspects[0]) + "."
		screen := strings.Join(strings.Fields(d.Screen()), "")
		if want := strings.Join(strings.Fields(p.x.Why), ""); strings.Count(screen, want) == 0 || strings.Count(screen, strings.TrimSuffix(want, ".")) != 2 {
			t.Errorf("%d columns:\n%s", size[0], d.Screen())
		}
	}
}
