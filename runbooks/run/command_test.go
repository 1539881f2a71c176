package run

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"rollcall/runbooks"
	"rollcall/runbooks/run/recorder"
)

func aRead(name, script string) runbooks.Step {
	return runbooks.Step{Name: name, Kind: runbooks.Command, Effect: runbooks.Read, Script: script}
}

// aPin is a file that holds a version, with the commands that a pin has.
type aPin struct{ path string }

func newPin(t *testing.T, version string) aPin {
	t.Helper()
	p := aPin{filepath.Join(t.TempDir(), "pin")}
	p.set(t, version)
	return p
}

func (p aPin) set(t *testing.T, version string) {
	t.Helper()
	if err := os.WriteFile(p.path, []byte(version+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p aPin) get(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(p.path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// write moves the pin from $BAD to $GOOD; more comes after the move.
func (p aPin) write(name, more string) runbooks.Step {
	return runbooks.Step{
		Name: name, Kind: runbooks.Command, Effect: runbooks.Write, OnFail: runbooks.AbortRun,
		Script:    `test "$(cat '` + p.path + `')" = "$BAD" || { echo somebody moved it >&2; exit 1; }` + "\necho \"$GOOD\" > '" + p.path + "'\n" + more,
		Reconcile: &runbooks.Reconcile{Run: []string{"cat", p.path}, Done: "value == GOOD", NotDone: "value == BAD"},
	}
}

var vars = []string{"GOOD", "v13", "BAD", "v14"}

func TestAWriteAsksFirstAndSaysInFullWhatItDoes(t *testing.T) {
	d := newDesk(t)
	pin := newPin(t, "v14")
	id := d.start(d.plan(book(aRead("look", "echo it is $BAD"), pin.write("apply", "echo moved")), vars...), Options{})
	st := d.asks(id, AskGo)
	if pin.get(t) != "v14" {
		t.Fatal("it wrote before it was told to")
	}
	if does := st.Choices[0].Does; !strings.Contains(does, `"v13"`) || !strings.HasPrefix(does, "Do apply: ") || strings.Contains(does, "$GOOD") {
		t.Errorf("it says %q", does)
	}
	if s := step(st, "look"); s.Status != Passed || len(s.Output) != 1 || s.Output[0].Text != "it is v14" || *s.Exit != 0 {
		t.Errorf("look: %+v", s)
	}
	d.say(id, "apply", Go, "")
	st = d.ends(id)
	if st.Outcome != Succeeded || pin.get(t) != "v13" || step(st, "apply").By != "ana" {
		t.Errorf("%s, pin %s, by %q", st.Outcome, pin.get(t), step(st, "apply").By)
	}
	for _, e := range *d.journal.entries {
		if e.Kind == "run.outcome" && strings.Contains(string(e.Data), `"apply"`) {
			if e.Text != "moved" || len(e.Artifacts) != 1 || e.Artifacts[0].Name != "apply.jsonl" {
				t.Errorf("the outcome keeps %q and %+v", e.Text, e.Artifacts)
			}
		}
	}
	kinds := d.journal.kinds()
	if i, p, o := strings.Index(kinds, "run.intent apply"), strings.Index(kinds, "run.process apply"), strings.Index(kinds, "run.outcome apply"); i < 0 || p < i || o < p {
		t.Errorf("the record is in another order:\n%s", kinds)
	}
}

func TestThePinCommandIsSaidAsAMove(t *testing.T) {
	f := &fold{st: State{Vars: []Value{{Name: "GOOD", Value: "v13"}, {Name: "BAD", Value: "v14"}}}}
	s := &Step{}
	s.Script, s.Sentence = `rollcall pin set prompt "$GOOD" --if-current "$BAD"`+"\n", "Move the pin"
	if got, want := f.does(s), `Move prompt from v14 to v13: rollcall pin set prompt "v13" --if-current "v14"`; got != want {
		t.Errorf("it says %q", got)
	}
}

func TestTheRecordSpeaksWhenAPinWasMovedInBetween(t *testing.T) {
	for name, c := range map[string]struct {
		moved  string
		status Status
		want   string
	}{
		"to what was wanted":    {"v13", Passed, "yet it happened: cat"},
		"to something else":     {"v15", Waiting, "somebody else moved it"},
		"and back and it fails": {"v14", Failed, "it did not happen"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			pin := newPin(t, "v14")
			s := pin.write("apply", "")
			s.Script = "echo v99 > /dev/null; exit 1" // refuses whatever the pin says
			id := d.start(d.plan(book(s), vars...), Options{})
			d.asks(id, AskGo)
			pin.set(t, c.moved)
			d.say(id, "apply", Go, "")
			st := d.until(id, "settled", func(s *State) bool { return s.Outcome != "" || s.Ask == AskDecide })
			got := step(st, "apply")
			if got.Status != c.status || !strings.Contains(got.Why+st.Question, c.want) {
				t.Errorf("it is %s: %s %s", got.Status, got.Why, st.Question)
			}
		})
	}
}

func TestATimedOutWriteIsNotRepeatedBlindly(t *testing.T) {
	for name, c := range map[string]struct {
		script    string
		reconcile bool
		outcome   Outcome
		ask       Ask
		want      string
	}{
		"it had happened": {"", true, Succeeded, "", "took longer than 1s and was ended: moved; yet it happened"},
		"nobody can tell": {"", false, "", AskDecide, "whether it happened is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			pin := newPin(t, "v14")
			s := pin.write("apply", "echo moved; sleep 600")
			s.Timeout = time.Second
			if !c.reconcile {
				s.Reconcile = nil
			}
			id := d.start(d.plan(book(s), vars...), Options{Yes: true})
			st := d.until(id, "settled", func(s *State) bool { return s.Outcome != "" || s.Ask == AskDecide })
			if st.Outcome != c.outcome || st.Ask != c.ask || !strings.Contains(step(st, "apply").Why+st.Question, c.want) {
				t.Errorf("%s, asks %s: %s %s", st.Outcome, st.Ask, step(st, "apply").Why, st.Question)
			}
		})
	}
}

func TestAFailedWriteAbortsAndTheUndoAsksToo(t *testing.T) {
	d := newDesk(t)
	pin := newPin(t, "v14")
	undo := runbooks.Step{
		Name: "undo", Kind: runbooks.Command, Effect: runbooks.Write, Phase: runbooks.Abort, OnFail: runbooks.Escalate,
		Script: "echo \"$BAD\" > '" + pin.path + "'",
	}
	id := d.start(d.plan(book(pin.write("apply", ""), aRead("proof", "echo not so >&2; exit 4"), undo), vars...), Options{})
	d.asks(id, AskGo)
	d.say(id, "apply", Go, "")
	st := d.until(id, "asks about the undo", func(s *State) bool { return s.Ask == AskGo && s.Aborting })
	if p := step(st, "proof"); p.Status != Failed || !strings.Contains(p.Why, "exit 4: not so") || pin.get(t) != "v13" {
		t.Errorf("proof %s: %s", p.Status, p.Why)
	}
	d.say(id, "undo", Go, "")
	if st := d.ends(id); st.Outcome != Aborted || pin.get(t) != "v14" || !strings.Contains(st.Why, "proof") {
		t.Errorf("%s, pin %s: %s", st.Outcome, pin.get(t), st.Why)
	}
}

func TestAnAbortKillsTheRunningCommandAndAllOfIt(t *testing.T) {
	d := newDesk(t)
	id := d.start(d.plan(book(aRead("hang", `trap "" TERM; echo begun; setsid sleep 600 & sleep 600; sleep 600`))), Options{})
	st := d.until(id, "has output", func(s *State) bool { return len(s.Steps[0].Output) > 0 })
	if st.Steps[0].Output[0].Text != "begun" || !strings.HasPrefix(st.Choices[0].Does, "Kill the command and abort.") {
		t.Errorf("output %+v, choices %+v", st.Steps[0].Output, st.Choices)
	}
	ident, ok := mustOpen(d.attempt(id, 0, 1))
	if !ok {
		t.Fatal("no identity")
	}
	d.say(id, "hang", Undo, "wrong service")
	st = d.ends(id)
	if st.Outcome != Aborted || !strings.Contains(step(st, "hang").Why, "broken off by ana: wrong service") || len(step(st, "hang").Output) != 1 {
		t.Errorf("%s: %+v", st.Outcome, step(st, "hang"))
	}
	if n, err := recorder.Clear(t.Context(), ident, time.Second); err != nil || n > 1 { // the recorder may be just leaving
		t.Errorf("%d processes lived on, %v", n, err)
	}
}

func TestAReadOnlyRunRefusesWritesAndSaysWhatWasNotDone(t *testing.T) {
	d := newDesk(t)
	pin := newPin(t, "v14")
	p := d.plan(book(aRead("look", `echo "$ROLLCALL_READ_ONLY $ROLLCALL_EFFECT $ROLLCALL_SERVICE $ROLLCALL_COMPONENT $ROLLCALL_INCIDENT"`), pin.write("apply", "")), vars...)
	p.Target.ReadOnly = true
	id := d.start(p, Options{Yes: true})
	st := d.asks(id, AskDecide)
	if !strings.Contains(st.Question, "may only read. Not done: Do apply") || st.Choices[0].Answer.Verb != Skip {
		t.Errorf("it asks %q with %+v", st.Question, st.Choices)
	}
	if out := step(st, "look").Output; len(out) != 1 || out[0].Text != "1 read assistant prompt INC-1" {
		t.Errorf("the command saw %+v", out)
	}
	if err := d.Answer(t.Context(), id, Answer{Step: "apply", Verb: Again}); err == nil {
		t.Error("it may be done all the same")
	}
	d.say(id, "apply", Skip, "only looking")
	if st := d.ends(id); pin.get(t) != "v14" || st.Outcome != Succeeded {
		t.Errorf("%s, pin %s", st.Outcome, pin.get(t))
	}
}

func TestHostileCommandsLeaveALineThatSaysWhatHappened(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		status Status
		want   string
	}{
		"a hang":            {"sleep 600", Failed, "took longer than 2s"},
		"deaf":              {"trap '' TERM INT HUP; while :; do sleep 5; done", Failed, "took longer than 2s"},
		"a signal":          {"kill -KILL $$", Failed, "ended by a signal: killed"},
		"a daemon":          {"setsid sleep 600 & echo started", Passed, "process"},
		"a flood":           {"yes flood | head -n 300000", Passed, ""},
		"controls":          {`printf '\033[31mred\033]0;title\007\n\233\377\n'`, Passed, ""},
		"a line for ever":   {"head -c 3000000 /dev/zero | tr '\\0' y", Passed, ""},
		"a question":        {"read x; echo never", Failed, "exit 1"},
		"no such command":   {"no-such-command-here", Failed, "exit 127"},
		"a closed output":   {"exec >&- 2>&-; sleep 0.2", Passed, ""},
		"an unset variable": {`echo "$NOT_SET_ANYWHERE"`, Failed, "NOT_SET_ANYWHERE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			s := aRead("it", c.script)
			s.Timeout = 2 * time.Second
			if c.status == Passed {
				s.Timeout = time.Minute
			}
			s.OnFail = runbooks.Continue
			st := d.ends(d.start(d.plan(book(s)), Options{}))
			got := step(st, "it")
			if got.Status != c.status || !strings.Contains(got.Why, c.want) || strings.ContainsFunc(got.Why, unicode.IsControl) {
				t.Errorf("it is %s: %q", got.Status, got.Why)
			}
			for _, l := range got.Output {
				if strings.ContainsFunc(l.Text, unicode.IsControl) {
					t.Errorf("line %d carries a control byte: %q", l.N, l.Text)
				}
			}
			if name == "a flood" && (got.Omitted == 0 || len(got.Output) > textLines) {
				t.Errorf("%d lines in hand, %d left out", len(got.Output), got.Omitted)
			}
		})
	}
}

func TestSecretsOfACommandNeverReachTheJournalOrTheFolder(t *testing.T) {
	const secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
	d := newDesk(t)
	id := d.start(d.plan(book(aRead("leak", "echo token is "+secret[:20]+"''"+secret[20:]+"; sleep 600"))), Options{})
	st := d.until(id, "has output", func(s *State) bool { return len(s.Steps[0].Output) > 0 })
	if text := st.Steps[0].Output[0].Text; strings.Contains(text, secret) || !strings.HasPrefix(text, "token is ") {
		t.Errorf("it shows %q", text)
	}
	err := filepath.Walk(d.Dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), secret) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	d.say(id, "leak", Stop, "")
	d.ends(id)
	for _, e := range *d.journal.entries {
		if strings.Contains(string(e.Data)+e.Text, secret) {
			t.Errorf("entry %d holds the secret", e.Seq)
		}
	}
}

func TestALostRecorderIsNoticedAndTheWriteIsSettled(t *testing.T) {
	d := newDesk(t)
	pin := newPin(t, "v14")
	gate := filepath.Join(d.dir, "gate")
	id := d.start(d.plan(book(pin.write("apply", "echo moved; while [ ! -e "+gate+" ]; do sleep 0.05; done")), vars...), Options{Yes: true})
	d.until(id, "has output", func(s *State) bool { return len(s.Steps[0].Output) > 0 })
	ident, _ := mustOpen(d.attempt(id, 0, 1))
	if err := syscall.Kill(ident.Recorder, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	st := d.ends(id)
	s := step(st, "apply")
	if st.Outcome != Succeeded || !strings.Contains(s.Why, "interrupted: its recorder died; yet it happened") || len(s.Output) != 1 {
		t.Errorf("%s: %+v", st.Outcome, s)
	}
}

func TestAnAlteredTextIsNotExecuted(t *testing.T) {
	d := newDesk(t)
	mark := filepath.Join(d.dir, "altered")
	id := d.start(d.plan(book(runbooks.Step{Name: "sure", Kind: runbooks.Confirm}, aRead("look", "echo fine")), vars...), Options{})
	d.asks(id, AskConfirm)
	d.Detach(id)
	path := filepath.Join(d.folder(id), pinnedFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), "echo fine", "touch "+mark, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Resume(t.Context(), id, Options{}); err == nil {
		d.asks(id, AskConfirm)
		d.say(id, "sure", Go, "")
		d.ends(id)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("what somebody wrote into the folder was executed")
	}
}

func TestAQuestionOffersWhatItsCommandLists(t *testing.T) {
	d := newDesk(t)
	d.Suspect = func(_ context.Context, _, of string) (string, string, bool) { return "acme", "", of == "tenant" }
	rb := book(aRead("look", `echo "$SWITCH"`))
	list := func(printed string) []string { return []string{"printf", printed} }
	rb.Vars = []runbooks.Var{
		{Name: "TENANT", Sources: []runbooks.VarSource{{Suspect: "tenant"}}},
		{Name: "SWITCH", Sources: []runbooks.VarSource{{Run: []string{"sh", "-c", "exit 1"}}, {Ask: "Which switch?", Choose: list("rerank  on\\n\\nagents off, since Monday\\nrerank on\\n\\033[2J bad\\nlast")}}},
		{Name: "OF", Sources: []runbooks.VarSource{{Ask: "Which of them?", Choose: []string{"echo", "$TENANT"}}}},
		{Name: "DEAF", Sources: []runbooks.VarSource{{Ask: "And?", Choose: []string{"sh", "-c", "echo it hangs up >&2; exit 3"}}}},
		{Name: "KNOWN", Sources: []runbooks.VarSource{{Value: "x"}, {Ask: "?", Choose: list("never asked")}}},
	}
	p, err := d.Plan(t.Context(), rb, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(p.Vars[1].Offers, p.Vars[2].Offers, p.Vars[3].Offers, p.Vars[4].Offers)
	if want := "[{rerank on} {agents off, since Monday} {last }] [{acme }] [] []"; got != want {
		t.Errorf("offered %s", got)
	}
	if !strings.Contains(p.Vars[3].Ask, "And? (sh -c") || !strings.Contains(p.Vars[3].Ask, "it hangs up") {
		t.Errorf("asked %q", p.Vars[3].Ask)
	}
	p, err = d.Plan(t.Context(), rb, target, map[string]string{"SWITCH": "not.in.the.list", "OF": "a", "DEAF": "b"})
	if err != nil || len(p.Missing()) != 0 || p.Vars[1].Value != "not.in.the.list" || p.Vars[1].Offers != nil {
		t.Fatalf("%v, %+v", err, p)
	}
}

func TestVariablesAreResolvedInOrderAndNoShellSeesThem(t *testing.T) {
	d := newDesk(t)
	d.Suspect = func(_ context.Context, _, of string) (string, string, bool) {
		return "v14; rm -rf /", "Schema failures 9.1%", of == "prompt"
	}
	rb := book(aRead("look", `echo "$BAD"`))
	rb.Vars = []runbooks.Var{
		{Name: "BAD", Sources: []runbooks.VarSource{{Suspect: "prompt"}}},
		{Name: "SAME", Sources: []runbooks.VarSource{{Run: []string{"printf", "%s\\nsecond line\\n", "$BAD"}}}},
		{Name: "NONE", Sources: []runbooks.VarSource{{Run: []string{"sh", "-c", "echo no version is known to be good >&2; exit 3"}}, {Ask: "Which version was good?"}}},
		{Name: "AFTER", Sources: []runbooks.VarSource{{Run: []string{"echo", "$NONE"}}}},
		{Name: "FIXED", Sources: []runbooks.VarSource{{Value: "eu"}}},
		{Name: "RUDE", Sources: []runbooks.VarSource{{Run: []string{"printf", "\\033[2Jv1\\n"}}}},
	}
	p, err := d.Plan(t.Context(), rb, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range p.Vars {
		got = append(got, fmt.Sprintf("%s=%s|%s|%s", v.Name, v.Value, v.From, v.Ask))
	}
	want := []string{
		"BAD=v14; rm -rf /|suspect prompt|",
		`SAME=v14; rm -rf /|printf %s\nsecond line\n $BAD|`,
		`NONE=||Which version was good? (sh -c echo no version is known to be good >&2; exit 3: exit status 3: no version is known to be good)`,
		"AFTER=||Which value has AFTER? (echo $NONE needs NONE)",
		"FIXED=eu|the runbook|",
		`RUDE=||Which value has RUDE? (printf \033[2Jv1\n: the value "␛[2Jv1" holds line breaks or control characters; give a plain one)`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("variables:\n%s", strings.Join(got, "\n"))
	}
	if p.Why != "Schema failures 9.1%" || len(p.Missing()) != 3 {
		t.Errorf("why %q, missing %+v", p.Why, p.Missing())
	}
	if _, err := d.Start(t.Context(), p, Options{}); err == nil || !strings.Contains(err.Error(), "NONE needs a value") {
		t.Errorf("it started: %v", err)
	}
	p, err = d.Plan(t.Context(), rb, target, map[string]string{"NONE": "v13", "RUDE": "x", "BAD": "$(touch x)"})
	if err != nil || len(p.Missing()) != 0 || p.Vars[3].Value != "v13" || p.Vars[0].From != "you" {
		t.Fatalf("%v, %+v", err, p)
	}
	st := d.ends(d.start(p, Options{}))
	if out := step(st, "look").Output; len(out) != 1 || out[0].Text != "$(touch x)" {
		t.Errorf("the command saw %+v", out)
	}
	for name, bad := range map[string]map[string]string{"an unknown name": {"GOOOD": "v1"}, "a line break": {"NONE": "v1\nv2"}} {
		if _, err := d.Plan(t.Context(), rb, target, bad); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	rb.Vars = append(rb.Vars, runbooks.Var{Name: "LD_PRELOAD", Line: 9, Sources: []runbooks.VarSource{{Value: "x"}}})
	if _, err := d.Plan(t.Context(), rb, target, nil); err == nil || !strings.Contains(err.Error(), "test.md:9: the variable LD_PRELOAD") {
		t.Errorf("LD_PRELOAD was taken: %v", err)
	}
}
