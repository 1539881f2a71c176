package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rollcall/runbooks"
	"rollcall/runbooks/run/recorder"
	"rollcall/sources"
	"rollcall/store/journal"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == recorder.Argument {
		os.Exit(recorder.Main(os.Args[2]))
	}
	if os.Getenv(crashChild) != "" {
		os.Exit(crashingConsole())
	}
	os.Exit(m.Run())
}

// memory is a journal without a disk.
type memory struct {
	mu      sync.Mutex
	clock   sources.Clock
	actor   string
	entries *[]journal.Entry
	runs    *int
	broken  error // Append fails with it
}

func newMemory(clock sources.Clock) *memory {
	return &memory{clock: clock, actor: "ana", entries: &[]journal.Entry{}, runs: new(int)}
}

func (m *memory) Append(_ context.Context, drafts ...journal.Draft) ([]journal.Entry, error) {
	return m.append(m.actor, drafts...)
}

func (m *memory) append(actor string, drafts ...journal.Draft) ([]journal.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return nil, m.broken
	}
	var out []journal.Entry
	for _, d := range drafts {
		data, err := json.Marshal(d.Data)
		if err != nil {
			return nil, err
		}
		e := journal.Entry{
			Seq: int64(len(*m.entries) + 1), Kind: d.Kind, Wall: m.clock.Wall(), At: d.At, Actor: actor, Service: d.Service,
			Environment: d.Environment, Incident: d.Incident, Run: d.Run, Data: data, Text: d.Text,
		}
		for _, a := range d.Artifacts {
			e.Artifacts = append(e.Artifacts, journal.ArtifactRef{Name: a.Name, Type: a.Type, Bytes: len(a.Body)})
		}
		*m.entries = append(*m.entries, e)
		out = append(out, e)
	}
	return out, nil
}

func (m *memory) Entries(ctx context.Context, f journal.Filter) ([]journal.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []journal.Entry
	for _, e := range *m.entries {
		if e.Seq > f.After && (f.Run == "" || e.Run == f.Run) && (f.Service == "" || e.Service == f.Service) &&
			(len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind)) {
			out = append(out, e)
		}
	}
	if f.Limit > 0 && len(out) > f.Limit {
		if f.Newest {
			out = out[len(out)-f.Limit:]
		} else {
			out = out[:f.Limit]
		}
	}
	return out, nil
}

func (m *memory) NextRun(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*m.runs++
	return fmt.Sprintf("RUN-%d", *m.runs), nil
}

func (m *memory) kinds() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, e := range *m.entries {
		var d struct{ Step string }
		_ = json.Unmarshal(e.Data, &d)
		out = append(out, strings.TrimSuffix(string(e.Kind)+" "+d.Step, " "))
	}
	return strings.Join(out, "\n")
}

// another is the same journal in somebody else's hand.
type another struct {
	*memory
	who string
}

func (a another) Append(_ context.Context, drafts ...journal.Draft) ([]journal.Entry, error) {
	return a.append(a.who, drafts...)
}

// gauges is a source whose values a test sets.
type gauges struct {
	mu    sync.Mutex
	value map[string]float64
	usual float64
	n     float64
	err   error
	asked int
}

func (g *gauges) Measure(_ context.Context, _, signal string) (sources.Reading, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	if g.err != nil {
		return sources.Reading{}, g.err
	}
	r := sources.Reading{Signal: signal, Unit: sources.Ratio, Verdict: sources.NoTraffic, Why: "nothing happened", N: g.n}
	r.Provenance = sources.Provenance{Provider: "prometheus", Profile: "llmops", Query: "sum(" + signal + ")"}
	if v, ok := g.value[signal]; ok {
		r.Known, r.Value, r.Verdict = true, v, sources.OK
	}
	if g.usual > 0 {
		r.Usual = &sources.Usual{Value: g.usual, Days: 14}
	}
	return r, nil
}

func (g *gauges) PromQL(_ context.Context, _, query string) (Measured, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Measured{Value: sources.N(g.value[query]), Query: query, From: "prometheus"}, g.err
}

func (g *gauges) LogQL(ctx context.Context, service, query string) (Measured, error) {
	return g.PromQL(ctx, service, query)
}

func (g *gauges) set(signal string, v float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.value[signal] = v
}

func (g *gauges) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

// marks remembers what became of incidents.
type marks struct {
	mu   sync.Mutex
	said []string
}

func (m *marks) Mark(_ context.Context, incident, as string, _ time.Time, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, incident+" "+as)
	return nil
}

func (m *marks) Reopen(_ context.Context, incident, why string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, incident+" reopened: "+why)
	return nil
}

// desk is an engine with everything around it that a test touches.
type desk struct {
	*Engine
	t       *testing.T
	journal *memory
	gauges  *gauges
	marks   *marks
	dir     string
	// patience is how long a state is waited for.
	patience time.Duration
}

func newDesk(t *testing.T, change ...func(*Deps)) *desk {
	t.Helper()
	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, journal: newMemory(clock), gauges: &gauges{value: map[string]float64{}, usual: 0.01, n: 1000}, marks: &marks{}, dir: t.TempDir(), patience: 2 * time.Minute}
	deps := Deps{
		Journal: d.journal, Signals: d.gauges, Marker: d.marks, Clock: clock, Dir: filepath.Join(d.dir, "runs"), Self: []string{exe, recorder.Argument},
		WorkDir: d.dir, Environ: []string{"PATH=" + os.Getenv("PATH")}, Redact: func(s string) string { return s }, Actor: "ana",
		Grace: 300 * time.Millisecond,
	}
	for _, c := range change {
		c(&deps)
	}
	if d.Engine, err = New(deps); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

var target = Target{Service: "assistant", Environment: "prod", Incident: "INC-1"}

// book makes a runbook of steps.
func book(steps ...runbooks.Step) *runbooks.Runbook {
	for i := range steps {
		if steps[i].Phase == "" {
			steps[i].Phase = runbooks.Steps
		}
		if steps[i].Sentence == "" {
			steps[i].Sentence = "Do " + steps[i].Name
		}
		if steps[i].Kind == runbooks.Command && steps[i].Timeout == 0 {
			steps[i].Timeout = time.Minute
		}
		if steps[i].OnFail == "" {
			steps[i].OnFail = runbooks.AbortRun
		}
	}
	return &runbooks.Runbook{ID: "rollback-prompt", Title: "Roll back the prompt", Component: sources.Prompt, Steps: steps, File: "test.md", Hash: "h1", Source: []byte("# test")}
}

func (d *desk) plan(rb *runbooks.Runbook, vars ...string) *Plan {
	d.t.Helper()
	p := &Plan{Runbook: rb, Target: target}
	for i := 0; i+1 < len(vars); i += 2 {
		p.Vars = append(p.Vars, Value{Name: vars[i], Value: vars[i+1], From: "you"})
	}
	return p
}

func (d *desk) start(p *Plan, o Options) string {
	d.t.Helper()
	st, err := d.Start(d.t.Context(), p, o)
	if err != nil {
		d.t.Fatal(err)
	}
	return st.ID
}

// until waits for a state of a run.
func (d *desk) until(id, what string, ok func(*State) bool) State {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d.patience)
	defer cancel()
	states, err := d.Watch(ctx, id)
	if err != nil {
		d.t.Fatal(err)
	}
	var last State
	for st := range states {
		last = st
		if ok(&st) {
			return st
		}
	}
	d.t.Fatalf("never %s; last %s ask %q why %q\n%s", what, last.Outcome, last.Question, last.Why, d.journal.kinds())
	return last
}

func (d *desk) asks(id string, ask Ask) State {
	d.t.Helper()
	return d.until(id, "asks "+string(ask), func(s *State) bool { return s.Ask == ask })
}

func (d *desk) ends(id string) State {
	d.t.Helper()
	return d.until(id, "ended", func(s *State) bool { return s.Outcome != "" })
}

func (d *desk) say(id, step string, v Verb, text string) {
	d.t.Helper()
	if err := d.Answer(d.t.Context(), id, Answer{Step: step, Verb: v, Text: text}); err != nil {
		d.t.Fatal(err)
	}
}

func step(st State, name string) Step {
	for _, s := range st.Steps {
		if s.Name == name {
			return s
		}
	}
	return Step{}
}

func aCheck(name string, change ...func(*runbooks.Check)) runbooks.Step {
	c := &runbooks.Check{
		Signal: "schema_fail", Pass: "value <= usual * 1.3", Fail: "value > usual * 2", InitialDelay: 5 * time.Minute, Interval: time.Minute,
		Count: 10, ConsecutivePass: 3, FailureLimit: 3, MinSamples: 200, OnFail: runbooks.AbortRun, OnInconclusive: runbooks.Escalate,
	}
	for _, f := range change {
		f(c)
	}
	return runbooks.Step{Name: name, Kind: runbooks.CheckOf, Check: c, OnFail: c.OnFail, Phase: runbooks.Verify}
}

// bubble runs a test in which hours pass at once.
func bubble(t *testing.T, f func(t *testing.T, d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.patience = 12 * time.Hour // of the bubble
		defer d.Close()
		f(t, d)
	})
}

func TestACheckPassesAfterEnoughSamplesInARow(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		d.gauges.set("schema_fail", 0.009)
		id := d.start(d.plan(book(aCheck("quality"))), Options{})
		st := d.ends(id)
		s := step(st, "quality")
		if st.Outcome != Succeeded || s.Status != Passed || len(s.Samples) != 3 {
			t.Fatalf("%s, %s with %d samples: %s", st.Outcome, s.Status, len(s.Samples), s.Why)
		}
		if first := s.Samples[0].At.Sub(s.Began); first < 5*time.Minute || first > 6*time.Minute {
			t.Errorf("the first sample came after %s", first)
		}
		if gap := s.Samples[1].At.Sub(s.Samples[0].At); gap < time.Minute || gap > 2*time.Minute {
			t.Errorf("the second sample came %s later", gap)
		}
		if x := s.Samples[0]; x.Query != "sum(schema_fail)" || x.N.V != 1000 || x.Usual.V != 0.01 || x.Why == "" || x.From != "prometheus llmops" {
			t.Errorf("the sample does not say where it is from: %+v", x)
		}
	})
}

func TestACheckThatFailsAbortsAndUndoes(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		d.gauges.set("schema_fail", 0.09)
		rb := book(aCheck("quality"), runbooks.Step{Name: "told", Kind: runbooks.Confirm, Phase: runbooks.Abort})
		id := d.start(d.plan(rb), Options{})
		st := d.asks(id, AskConfirm)
		if s := step(st, "quality"); s.Status != Failed || len(s.Samples) != 3 || !st.Aborting || st.Phase != runbooks.Abort {
			t.Fatalf("%s after %d samples, aborting %v", s.Status, len(s.Samples), st.Aborting)
		}
		d.say(id, "told", Go, "")
		if st := d.ends(id); st.Outcome != Aborted || !strings.Contains(st.Why, "quality") {
			t.Errorf("%s, %q", st.Outcome, st.Why)
		}
	})
}

func TestWhatIsNotKnownNeverPasses(t *testing.T) {
	for name, set := range map[string]func(*gauges){
		"a dead source":             func(g *gauges) { g.err = errors.New("prometheus does not answer; check prometheus.url") },
		"no traffic":                func(g *gauges) { delete(g.value, "schema_fail") },
		"too few requests":          func(g *gauges) { g.n = 3 },
		"an unknown number of them": func(g *gauges) { g.n = 0 },
		"no usual value yet":        func(g *gauges) { g.usual = 0 },
		"between pass and fail":     func(g *gauges) { g.value["schema_fail"] = 0.015 },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, d *desk) {
				d.gauges.set("schema_fail", 0.001)
				set(d.gauges)
				id := d.start(d.plan(book(aCheck("quality"))), Options{Yes: true})
				st := d.asks(id, AskDecide)
				s := step(st, "quality")
				if len(s.Samples) != 10 {
					t.Errorf("%d samples", len(s.Samples))
				}
				for _, x := range s.Samples {
					if x.Verdict != Inconclusive || x.Why == "" {
						t.Errorf("a sample says %s because %q", x.Verdict, x.Why)
					}
				}
				if name == "a dead source" && !strings.Contains(st.Question, "nothing could be measured: prometheus does not answer") {
					t.Errorf("the question is %q", st.Question)
				}
				d.say(id, "quality", Stop, "")
				if st := d.ends(id); st.Outcome != Escalated {
					t.Errorf("it ended %s", st.Outcome)
				}
			})
		})
	}
}

func TestAPersonDecidesAboutAnEscalatedCheck(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		d.gauges.fail(errors.New("down"))
		id := d.start(d.plan(book(aCheck("quality"))), Options{})
		d.asks(id, AskDecide)
		if err := d.Answer(t.Context(), id, Answer{Step: "quality", Verb: Accept}); err == nil || !strings.Contains(err.Error(), "why") {
			t.Errorf("taken as done without a reason: %v", err)
		}
		d.gauges.fail(nil)
		d.gauges.set("schema_fail", 0.001)
		d.say(id, "quality", Again, "")
		st := d.ends(id)
		if s := step(st, "quality"); st.Outcome != Succeeded || s.Attempt != 2 || len(s.Samples) != 3 {
			t.Errorf("%s, attempt %d with %d samples", st.Outcome, s.Attempt, len(s.Samples))
		}
	})
}

func TestQueriesOfACheckAreMeasuredToo(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		d.gauges.set(`sum(x{version="v13"})`, 4)
		prom := aCheck("prom", func(c *runbooks.Check) {
			c.Signal, c.PromQL, c.Pass, c.Fail, c.MinSamples = "", `sum(x{version="$GOOD"})`, "value > 3", "", 0
		})
		logs := aCheck("logs", func(c *runbooks.Check) {
			c.Signal, c.LogQL, c.Pass, c.Fail, c.MinSamples = "", `sum(x{version="$GOOD"})`, "value > 5", "", 0
		})
		id := d.start(d.plan(book(prom, logs), "GOOD", "v13"), Options{})
		st := d.ends(id)
		if a, b := step(st, "prom"), step(st, "logs"); a.Status != Passed || b.Status != Failed || a.Samples[0].Query != `sum(x{version="v13"})` {
			t.Errorf("%s and %s, %+v", a.Status, b.Status, a.Samples)
		}
	})
}

func TestAnAbortDuringACheckIsTakenAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		id := d.start(d.plan(book(aCheck("quality"))), Options{})
		st := d.until(id, "running", func(s *State) bool { return s.Current == 0 && s.Steps[0].Status == Running })
		if len(st.Choices) != 2 || st.Choices[0].Answer.Verb != Undo || st.Choices[1].Answer.Verb != Stop || st.Driver != "you" {
			t.Fatalf("choices %+v, driver %q", st.Choices, st.Driver)
		}
		before := time.Now()
		d.say(id, "quality", Undo, "enough")
		st = d.ends(id)
		if st.Outcome != Aborted || time.Since(before) > time.Minute || !strings.Contains(step(st, "quality").Why, "ana: enough") {
			t.Errorf("%s after %s: %s", st.Outcome, time.Since(before), step(st, "quality").Why)
		}
	})
}

func TestConfirmNoteAndWaitStepsDoWhatTheySay(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		rb := book(
			runbooks.Step{Name: "page", Kind: runbooks.Confirm, Sentence: "The owner of $GOOD knows"},
			runbooks.Step{Name: "pause", Kind: runbooks.Wait, Wait: 10 * time.Minute},
			runbooks.Step{Name: "why", Kind: runbooks.Note, Ask: "What did you see?"},
			runbooks.Step{Name: "sure", Kind: runbooks.Confirm},
		)
		id := d.start(d.plan(rb, "GOOD", "v13"), Options{Yes: true})
		if st := d.asks(id, AskConfirm); st.Question != "The owner of v13 knows?" || st.Steps[0].Status != Waiting {
			t.Errorf("it asks %q", st.Question)
		}
		if err := d.Answer(t.Context(), id, Answer{Step: "pause", Verb: Go}); err == nil {
			t.Error("an answer to another step was taken")
		}
		if err := d.Answer(t.Context(), id, Answer{Step: "page", Verb: Again}); err == nil {
			t.Error("an answer that was not offered was taken")
		}
		before := time.Now()
		d.say(id, "page", Go, "")
		st := d.asks(id, AskNote)
		if took := time.Since(before); took < 10*time.Minute || took > 11*time.Minute {
			t.Errorf("it waited %s", took)
		}
		if st.Question != "What did you see?" || step(st, "page").By != "ana" {
			t.Errorf("it asks %q; confirmed by %q", st.Question, step(st, "page").By)
		}
		if err := d.Answer(t.Context(), id, Answer{Step: "why", Verb: Go, Text: " "}); err == nil {
			t.Error("an empty note was taken")
		}
		d.say(id, "why", Go, "answers in French")
		d.asks(id, AskConfirm)
		d.say(id, "sure", Skip, "no need")
		st = d.ends(id)
		if st.Outcome != Succeeded || step(st, "why").Note != "answers in French" || step(st, "sure").Status != Skipped {
			t.Errorf("%s, note %q, sure %s", st.Outcome, step(st, "why").Note, step(st, "sure").Status)
		}
	})
}

func TestOnlyASecondPersonApproves(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		id := d.start(d.plan(book(runbooks.Step{Name: "four-eyes", Kind: runbooks.Approve})), Options{Yes: true})
		d.asks(id, AskApprove)
		if err := d.Answer(t.Context(), id, Answer{Step: "four-eyes", Verb: Go}); err == nil || !strings.Contains(err.Error(), "somebody else must approve") {
			t.Errorf("the starter approved: %v", err)
		}
		bob := another{d.journal, "bob"}
		// From a process of his own: nobody pokes the driver.
		other, err := New(Deps{Journal: bob, Signals: d.gauges, Clock: d.Clock, Dir: d.Dir, Self: d.Self, Redact: d.Redact, Actor: "bob"})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if st, err := other.State(t.Context(), id); err != nil || !strings.Contains(st.Driver, "pid") || st.Ask != AskApprove {
			t.Errorf("bob sees %+v, %v", st, err)
		}
		if err := other.Answer(t.Context(), id, Answer{Step: "four-eyes", Verb: Go}); err != nil {
			t.Fatal(err)
		}
		if st := d.ends(id); step(st, "four-eyes").By != "bob" {
			t.Errorf("approved by %q", step(st, "four-eyes").By)
		}
	})
}

func TestASnapshotKeepsNumbersAndConditionsUseThem(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		d.gauges.set("schema_fail", 0.09)
		rb := book(
			runbooks.Step{Name: "before", Kind: runbooks.Snapshot, Signals: []string{"schema_fail", "complaints"}},
			runbooks.Step{Name: "worse", Kind: runbooks.Confirm, When: "now.schema_fail > snapshot.before.schema_fail"},
			runbooks.Step{Name: "same", Kind: runbooks.Confirm, When: "now.schema_fail >= snapshot.before.schema_fail && GOOD == 'v13'"},
			runbooks.Step{Name: "blind", Kind: runbooks.Confirm, When: "now.complaints > 3"},
		)
		id := d.start(d.plan(rb, "GOOD", "v13"), Options{})
		st := d.asks(id, AskConfirm)
		if w := step(st, "worse"); w.Status != Skipped || !strings.Contains(w.Why, "does not hold") {
			t.Errorf("worse is %s: %s", w.Status, w.Why)
		}
		if b := step(st, "before"); b.Status != Passed || len(b.Snapped) != 2 || b.Snapped[0].Value != 0.09 || b.Snapped[1].Known {
			t.Errorf("before is %s: %+v", b.Status, b.Snapped)
		}
		d.say(id, "same", Go, "")
		// What cannot be told is neither done nor left out without a word.
		st = d.asks(id, AskDecide)
		if !strings.Contains(st.Question, "now.complaints is not known") {
			t.Errorf("it asks %q", st.Question)
		}
		d.gauges.set("complaints", 1)
		d.say(id, "blind", Again, "")
		if st = d.ends(id); step(st, "blind").Status != Skipped {
			t.Errorf("blind is %s", step(st, "blind").Status)
		}
	})
}

func TestASnapshotOfADeadSourceAsksAPerson(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		d.gauges.fail(errors.New("no route to host"))
		id := d.start(d.plan(book(runbooks.Step{Name: "before", Kind: runbooks.Snapshot, Signals: []string{"schema_fail"}, OnFail: runbooks.Escalate})), Options{})
		if st := d.asks(id, AskDecide); !strings.Contains(st.Question, "no route to host") {
			t.Errorf("it asks %q", st.Question)
		}
	})
}

func TestCriteriaMarkTheIncidentAndLeaveAWatch(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		d.gauges.set("schema_fail", 0.001)
		rb := book(aCheck("quality"), runbooks.Step{
			Name: "success", Kind: runbooks.Criteria, Criteria: []string{"quality"}, Mark: "mitigated", Phase: runbooks.Verify,
			Hold: &runbooks.Hold{Step: "quality", For: 30 * time.Minute, OnFail: runbooks.ReopenInc},
		})
		id := d.start(d.plan(rb), Options{})
		if st := d.ends(id); st.Outcome != Succeeded || !slices.Equal(d.marks.said, []string{"INC-1 mitigated"}) {
			t.Fatalf("%s, %v", st.Outcome, d.marks.said)
		}
		holds, err := d.Holds(t.Context())
		if err != nil || len(holds) != 1 || holds[0].Run != id || holds[0].Runbook != "rollback-prompt" || holds[0].Step != "quality" {
			t.Fatalf("holds %+v, %v", holds, err)
		}
		// A daemon that is stopped leaves the watch to the next.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if _, err := d.WatchHold(ctx, holds[0]); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the first watch ended with %v", err)
		}
		d.gauges.set("schema_fail", 0.2)
		end, err := d.WatchHold(t.Context(), holds[0])
		if err != nil || end.Status != Failed || !end.Reopen || !strings.Contains(d.marks.said[1], "INC-1 reopened: quality did not hold") {
			t.Fatalf("the watch ended %+v, %v; %v", end, err, d.marks.said)
		}
		if holds, err := d.Holds(t.Context()); err != nil || len(holds) != 0 {
			t.Errorf("still held: %+v, %v", holds, err)
		}
	})
}

func TestAWatchThatHoldsReopensNothing(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		d.gauges.set("schema_fail", 0.001)
		rb := book(aCheck("quality"), runbooks.Step{
			Name: "success", Kind: runbooks.Criteria, Criteria: []string{"quality"}, Phase: runbooks.Verify,
			Hold: &runbooks.Hold{Step: "quality", For: 30 * time.Minute, OnFail: runbooks.ReopenInc},
		})
		d.ends(d.start(d.plan(rb), Options{}))
		holds, err := d.Holds(t.Context())
		if err != nil || len(holds) != 1 {
			t.Fatal(holds, err)
		}
		before := time.Now()
		end, err := d.WatchHold(t.Context(), holds[0])
		if err != nil || end.Status != Passed || len(d.marks.said) != 0 || time.Since(before) > 31*time.Minute {
			t.Errorf("%+v, %v, %v after %s", end, err, d.marks.said, time.Since(before))
		}
	})
}

func TestCriteriaThatDoNotHoldAskAPerson(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		rb := book(
			runbooks.Step{Name: "told", Kind: runbooks.Confirm},
			runbooks.Step{Name: "success", Kind: runbooks.Criteria, Criteria: []string{"told"}, Mark: "mitigated", OnFail: runbooks.Escalate},
		)
		id := d.start(d.plan(rb), Options{})
		d.asks(id, AskConfirm)
		d.say(id, "told", Skip, "nobody answers the phone")
		st := d.asks(id, AskDecide)
		if !strings.Contains(st.Question, "told skipped") || len(d.marks.said) != 0 {
			t.Errorf("it asks %q, marked %v", st.Question, d.marks.said)
		}
	})
}

func TestARunThatTakesTooLongAsksAPerson(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		rb := book(runbooks.Step{Name: "pause", Kind: runbooks.Wait, Wait: 85 * time.Minute})
		rb.MaxDuration = 30 * time.Minute
		began := time.Now()
		id := d.start(d.plan(rb), Options{Yes: true})
		st := d.asks(id, AskDecide)
		if since := time.Since(began); since < 30*time.Minute || since > 32*time.Minute || !strings.Contains(st.Question, "takes longer than the 30m0s") {
			t.Fatalf("after %s it asks %q", since, st.Question)
		}
		d.say(id, "pause", Go, "")
		d.until(id, "asks again", func(s *State) bool { return s.Ask == AskDecide && s.Steps[0].By == "ana" })
		if since := time.Since(began); since > 63*time.Minute {
			t.Errorf("the second question came after %s", since)
		}
		d.say(id, "pause", Go, "")
		if st := d.ends(id); st.Outcome != Succeeded || st.Ended.Sub(began) > 87*time.Minute {
			t.Errorf("%s after %s", st.Outcome, st.Ended.Sub(began))
		}
	})
}

func TestAnInterruptedCheckGoesOnWithItsSamples(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		d.gauges.set("schema_fail", 0.001)
		id := d.start(d.plan(book(aCheck("quality"))), Options{})
		d.until(id, "has two samples", func(s *State) bool { return len(s.Steps[0].Samples) == 2 })
		d.Detach(id)
		st, err := d.State(t.Context(), id)
		if err != nil || !st.Interrupted() {
			t.Fatalf("driver %q, outcome %q, %v", st.Driver, st.Outcome, err)
		}
		if _, err := d.Start(t.Context(), d.plan(book(aCheck("quality"))), Options{}); err == nil || !strings.Contains(err.Error(), "resume it with rollcall runbook resume RUN-1") {
			t.Errorf("a second run beside an interrupted one: %v", err)
		}
		if _, err := d.Resume(t.Context(), id, Options{}); err != nil {
			t.Fatal(err)
		}
		st = d.ends(id)
		if s := step(st, "quality"); s.Attempt != 1 || len(s.Samples) != 3 {
			t.Errorf("attempt %d with %d samples", s.Attempt, len(s.Samples))
		}
		if _, err := d.Resume(t.Context(), id, Options{}); err == nil || !strings.Contains(err.Error(), "ended at") {
			t.Errorf("an ended run was resumed: %v", err)
		}
	})
}

func TestTheSecondStarterIsToldWhoIsAtIt(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		id := d.start(d.plan(book(aCheck("quality"))), Options{})
		other, err := New(Deps{Journal: d.journal, Signals: d.gauges, Clock: d.Clock, Dir: d.Dir, Self: d.Self, Redact: d.Redact, Actor: "bob"})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		_, err = other.Start(t.Context(), d.plan(book(aCheck("quality"))), Options{})
		want := fmt.Sprintf("ana (pid %d) is running RUN-1 rollback-prompt on it since %s; open it with :run RUN-1", os.Getpid(), time.Now().UTC().Format("15:04"))
		if err == nil || err.Error() != want {
			t.Errorf("bob is told %q", err)
		}
		if _, err := other.Resume(t.Context(), id, Options{}); err == nil || !strings.Contains(err.Error(), "is driving RUN-1") {
			t.Errorf("bob may take it over: %v", err)
		}
		elsewhere := d.plan(book(aCheck("quality")))
		elsewhere.Target.Environment = "staging"
		if _, err := other.Start(t.Context(), elsewhere, Options{}); err != nil {
			t.Errorf("another environment is not free: %v", err)
		}
	})
}

func TestRunsThatSetTheSameThingExcludeEachOther(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		moving := func(id string, component sources.Component, settings ...string) *Plan {
			p := d.plan(book(aCheck("quality")))
			rb := *p.Runbook
			rb.ID, rb.Component, rb.Settings = id, component, settings
			p.Runbook = &rb
			return p
		}
		d.start(moving("outage", sources.Model, "queueing", "budget_day"), Options{})
		other, err := New(Deps{Journal: d.journal, Signals: d.gauges, Clock: d.Clock, Dir: d.Dir, Self: d.Self, Redact: d.Redact, Actor: "bob"})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		for _, p := range []*Plan{moving("backpressure", "", "canary", "queueing"), moving("rollback-model", sources.Model), moving("raise", "", "budget_day")} {
			if _, err := other.Start(t.Context(), p, Options{}); err == nil || !strings.Contains(err.Error(), "is running RUN-1 outage on it") {
				t.Errorf("%s started: %v", p.Runbook.ID, err)
			}
		}
		// What a refused start took, it has let go of.
		if _, err := other.Start(t.Context(), moving("stop-canary", "", "canary"), Options{}); err != nil {
			t.Errorf("another setting is not free: %v", err)
		}
	})
}

func TestARunThatCannotBeRecordedDoesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		d.gauges.set("schema_fail", 0.001)
		d.journal.broken = errors.New("journal.db is full; make room")
		if _, err := d.Start(t.Context(), d.plan(book(aCheck("quality"))), Options{}); err == nil || !strings.Contains(err.Error(), "make room") {
			t.Fatalf("it started: %v", err)
		}
		d.journal.broken = nil
		id := d.start(d.plan(book(aCheck("quality"))), Options{})
		d.until(id, "running", func(s *State) bool { return s.Current == 0 && s.Steps[0].Status == Running })
		d.journal.mu.Lock()
		d.journal.broken = errors.New("journal.db is full; make room")
		d.journal.mu.Unlock()
		states, err := d.Watch(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var last State
		for last = range states {
		}
		if last.Driver != "" || !strings.Contains(last.Why, "make room; then resume it with rollcall runbook resume "+id) {
			t.Errorf("driver %q, why %q", last.Driver, last.Why)
		}
	})
}

func TestACaptureStepKeepsWhatItFinds(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		var asked Capturing
		d.Capturer = capturer(func(c Capturing) ([]journal.Draft, sources.Facts, error) {
			asked = c
			kept := journal.Draft{Kind: journal.Captured, Data: map[string]string{"request": "r1"}, Artifacts: []journal.Artifact{{Name: "request.json", Body: []byte("{}")}}}
			return []journal.Draft{kept}, sources.Facts{Shown: 1, Total: 812, Partial: "one partition is damaged"}, nil
		})
		rb := book(runbooks.Step{Name: "evidence", Kind: runbooks.Capture, Capture: &runbooks.CaptureOf{
			Bad: true, Limit: 5, Version: map[sources.Component]string{sources.Prompt: "$BAD"}, Where: map[string]string{"tenant": "$BAD", "route": "chat"},
		}})
		st := d.ends(d.start(d.plan(rb, "BAD", "v14"), Options{}))
		if step(st, "evidence").Status != Passed || asked.Version[sources.Prompt] != "v14" || asked.Limit != 5 || !asked.Bad {
			t.Errorf("%+v asked for %+v", step(st, "evidence"), asked)
		}
		if why := step(st, "evidence").Why; why != "1 captured, the newest of 812; not all were looked at: one partition is damaged" {
			t.Errorf("it says %q", why)
		}
		if got := fmt.Sprint(asked.Where); got != "[route=chat tenant=v14]" {
			t.Errorf("asked for requests of %s", got)
		}
		if !strings.Contains(d.journal.kinds(), string(journal.Captured)) {
			t.Error("nothing was kept")
		}
		for _, e := range *d.journal.entries {
			if e.Kind == journal.Captured && (e.Incident != "INC-1" || e.Run == "") {
				t.Errorf("the artifact belongs to %q and %q", e.Incident, e.Run)
			}
		}
	})
}

type capturer func(Capturing) ([]journal.Draft, sources.Facts, error)

func (c capturer) Capture(_ context.Context, w Capturing) ([]journal.Draft, sources.Facts, error) {
	return c(w)
}

func TestRehearsalsAreRememberedByTheTextThatWasRehearsed(t *testing.T) {
	bubble(t, func(t *testing.T, d *desk) {
		d.gauges.set("schema_fail", 0.001)
		rb := book(aCheck("quality"))
		plan := func(hash string) *Plan {
			again := *rb
			again.Hash = hash
			p, err := d.Plan(t.Context(), &again, target, nil)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		if p := plan("h1"); len(p.Doubts) != 1 || !strings.Contains(p.Doubts[0], "never rehearsed") {
			t.Errorf("doubts %q", p.Doubts)
		}
		p := d.plan(rb)
		p.Target.Rehearsal = true
		id := d.start(p, Options{})
		// The live component is free beside a rehearsal.
		live := d.start(d.plan(rb), Options{})
		d.ends(id)
		d.ends(live)
		if p := plan("h1"); len(p.Doubts) != 0 {
			t.Errorf("doubts %q", p.Doubts)
		}
		if p := plan("h2"); len(p.Doubts) != 1 || !strings.Contains(p.Doubts[0], "changed since its rehearsal") {
			t.Errorf("doubts %q", p.Doubts)
		}
		rb.RehearseEvery = 24 * time.Hour
		time.Sleep(25 * time.Hour) // of the bubble
		if p := plan("h1"); len(p.Doubts) != 1 || !strings.Contains(p.Doubts[0], "overdue") {
			t.Errorf("doubts %q", p.Doubts)
		}
		all, err := d.Runs(t.Context(), "assistant")
		if err != nil || len(all) != 2 || all[0].ID != "RUN-2" || all[1].ID != "RUN-1" {
			t.Errorf("runs %+v, %v", all, err)
		}
	})
}
