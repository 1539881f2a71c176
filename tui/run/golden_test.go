package run

import (
	"testing"

	"rollcall/runbooks/run"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/pane"
	"rollcall/tui/tuitest"
)

// scenes are the screens that golden files are taken of.
var scenes = []struct {
	name string
	do   func(d *panetest.Driver)
}{
	{"plan", func(d *panetest.Driver) { plan(d) }},
	{"choose", func(d *panetest.Driver) {
		plan(d)
		offer(d)
		d.Press("enter", "down", "down", "down")
	}},
	{"ask", func(d *panetest.Driver) { started(d) }},
	{"command", func(d *panetest.Driver) {
		started(d)
		d.Desk.Set("RUN-3", func(s *run.State) {
			st := &s.Steps[2]
			st.Status, st.Attempt, st.Why, st.Output, st.Omitted = run.Running, 1, "", tuitest.Output(tuitest.Start, 60), 1200
			st.Output[58].Stream, st.Output[58].Text = "err", "curl: (28) timed out, trying again"
			s.Ask, s.Question = run.AskNothing, ""
			s.Choices = []run.Choice{{Answer: run.Answer{Step: "apply", Verb: run.Undo}, Does: "abort: end the command and put the old version back"}}
		})
		d.Shows("trying again")
	}},
	{"check", func(d *panetest.Driver) {
		started(d)
		d.Desk.Measure("RUN-3", 5)
		d.Shows("2/3")
	}},
	{"decide", func(d *panetest.Driver) {
		started(d)
		d.Desk.Measure("RUN-3", 3)
		d.Desk.Set("RUN-3", escalated)
		d.Shows("neither passed nor failed")
	}},
	{"interrupted", func(d *panetest.Driver) {
		started(d)
		d.Desk.Set("RUN-3", func(s *run.State) { s.Driver = "" })
		d.Shows("interrupted")
	}},
	{"succeeded", func(d *panetest.Driver) {
		started(d)
		d.Desk.Measure("RUN-3", 6)
		d.Desk.End("RUN-3", run.Succeeded, "quality held and nothing else moved.")
		d.Shows("succeeded")
	}},
}

// escalated makes a run ask what to do about a check that could not decide.
func escalated(s *run.State) {
	s.Steps[4].Status, s.Steps[4].Why = run.Inconclusive, "neither passed nor failed in 10 samples"
	s.Ask, s.Question = run.AskDecide, "quality neither passed nor failed: what now?"
	s.Choices = []run.Choice{
		{Answer: run.Answer{Step: "quality", Verb: run.Again}, Does: "measure again: up to 10 samples, one a minute"},
		{Answer: run.Answer{Step: "quality", Verb: run.Accept}, Does: "take quality as done, with a reason"},
		{Answer: run.Answer{Step: "quality", Verb: run.Undo}, Does: "put the old version back: rollcall pin set prompt v14 --if-current v13"},
		{Answer: run.Answer{Step: "quality", Verb: run.Stop}, Does: "stop here; prompt stays at v13"},
	}
}

func plan(d *panetest.Driver) {
	d.Do(d.Pane.Open(d.C, pane.PlanOf("rollback-prompt")))
	d.Shows("frozen")
}

// offer lists what there is to choose from for the missing variable.
func offer(d *panetest.Driver) {
	offers := []run.Offer{{Value: "agent_tools", Note: "on"}, {Value: "exact_cache", Note: "on"}, {Value: "rerank", Note: "off"}}
	for _, name := range []string{"acme", "contoso", "globex", "hooli", "initech", "umbrella", "wayne"} {
		offers = append(offers, run.Offer{Value: "tenant." + name, Note: "on"})
	}
	d.Pane.(*Pane).plan.Vars[2].Offers = offers
}

// started gives the missing variable and starts the run; its first question is on the screen and has settled.
func started(d *panetest.Driver) {
	plan(d)
	d.Press("enter")
	d.Type("OPS-1")
	d.Press("enter")
	d.Until("the variable is taken", func() bool { p := d.Pane.(*Pane); return p.plan != nil && len(p.plan.Missing()) == 0 && !p.loading })
	d.Press("enter")
	d.Shows("apply moves prompt")
	d.C.Wall = d.C.Wall.Add(2 * settle)
}

func TestScreens(t *testing.T) {
	for _, s := range panetest.Sizes {
		for _, sc := range scenes {
			t.Run(sc.name+"-"+s.Name, func(t *testing.T) {
				d := panetest.New(t, New(), s.W, s.H)
				sc.do(d)
				d.Golden("run-" + sc.name + "-" + s.Name)
				d.ASCII()
				d.Golden("run-" + sc.name + "-ascii-" + s.Name)
			})
		}
	}
}
