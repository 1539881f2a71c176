package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"rollcall/runbooks"
	"rollcall/runbooks/run/recorder"
	"rollcall/sources/redact"
	"rollcall/store/journal"
)

const (
	textLines   = 200 // newest lines of output in an outcome's text; the artifact has all
	mostRepeats = 3   // attempts of a step that were interrupted, before a person is asked
)

// evalsScript is what an evals step runs: the suite of the configuration.
const evalsScript = "rollcall evals run"

func script(s *runbooks.Step) string {
	if s.Kind == runbooks.Evals {
		return evalsScript
	}
	return s.Script
}

// command runs a step's command under a recorder, or comes back to one that runs.
func (d *driver) command(i int, s *runbooks.Step, cleared bool) error {
	var open bool
	var f0 State
	var process *recorder.Identity
	d.look(func(f *fold) {
		open, process = f.open, f.process
		f0 = State{Target: f.st.Target, Component: f.st.Component, Settings: f.st.Settings}
	})
	shown := oneLine(Resolve(script(s), d.exact.Vars))
	if open {
		return d.comeBack(i, s, process)
	}
	if s.Effect == runbooks.Write {
		var does string
		d.look(func(f *fold) { does = f.does(&Step{Step: *s}) })
		switch {
		case f0.Target.ReadOnly:
			return d.ask(i, AskDecide, fmt.Sprintf("%s is to change something and this run may only read. Not done: %s.", s.Name, trimStop(does)))
		case !cleared:
			return d.ask(i, AskGo, does)
		}
	}
	attempt, _, err := d.begin(i, shown)
	if err != nil {
		return err
	}
	env := d.e.environ(d.id, moving{f0.Component, f0.Settings}, f0.Target, d.exact.Vars, s.Name, s.Effect)
	spec := recorder.Spec{
		Argv: []string{"/bin/sh", "-eu", "-c", script(s), s.Name}, Dir: d.exact.WorkDir, Timeout: s.Timeout, Grace: d.e.Grace,
		Redact: d.e.Redaction, KeyFile: d.e.KeyFile,
	}
	a, err := recorder.Start(d.e.attempt(d.id, i, attempt), spec, d.e.Self, env)
	if err != nil {
		return d.finish(StepEnded{
			Step: s.Name, Attempt: attempt, Status: Failed, Then: ThenAsk,
			Why: redact.SanitizeLine(fmt.Sprintf("the command was not run: %s; make room in the state folder", err), 300),
		})
	}
	d.e.Boundary("spawned:" + s.Name)
	return d.attendCommand(i, s, attempt, a, process != nil)
}

// comeBack takes up an attempt that somebody else began.
func (d *driver) comeBack(i int, s *runbooks.Step, process *recorder.Identity) error {
	var attempt int
	d.look(func(f *fold) { attempt = f.st.Steps[i].Attempt })
	if a, started := recorder.Open(d.e.attempt(d.id, i, attempt)); started {
		return d.attendCommand(i, s, attempt, a, process != nil)
	}
	e := &ended{i: i, s: s, attempt: attempt}
	if process != nil {
		if _, err := recorder.Clear(d.ctx, *process, d.e.Grace); err != nil {
			return d.cannotClear(e, err)
		}
		e.unknown = "what its recorder wrote is gone"
		return d.settle(e)
	}
	if _, err := os.Stat(d.e.folder(d.id)); err != nil {
		e.unknown = "the folder of the run is gone"
		return d.settle(e)
	}
	e.never = true
	return d.settle(e)
}

// ended is what is known about an attempt of a command that is over.
type ended struct {
	i       int
	s       *runbooks.Step
	attempt int
	res     recorder.Result
	known   bool   // res says how it ended
	never   bool   // it certainly did not begin
	unknown string // why it is not known how it ended
	lines   []recorder.Line
	broken  bool // a person broke in
}

func (d *driver) attendCommand(i int, s *runbooks.Step, attempt int, a *recorder.Attempt, recorded bool) error {
	e := &ended{i: i, s: s, attempt: attempt}
	began := func(id recorder.Identity) {
		if recorded {
			return
		}
		recorded = true
		// The folder says the same: a journal in trouble is no reason to let the command go unwatched.
		if err := d.append(d.draft(journal.RunProcess, Process{Step: s.Name, Attempt: attempt, Identity: id})); err != nil {
			d.e.Log.Error("a process was not recorded", "run", d.id, "err", err)
		}
		d.e.Boundary("process:" + s.Name)
	}
	show := func(got []recorder.Line) {
		lines := make([]Line, len(got))
		for n := range got {
			lines[n] = Line(got[n])
		}
		d.show(lines)
		d.e.Boundary("line:" + s.Name)
	}
	err := d.attend(false, func(ctx context.Context) (err error) {
		e.res, err = a.Follow(ctx, began, show)
		return err
	})
	if errors.Is(err, errCut) {
		e.broken = true
		a.Cancel()
		grace := d.e.Grace
		if grace <= 0 {
			grace = recorder.DefaultGrace
		}
		ctx, cancel := context.WithTimeout(d.ctx, 3*grace+5*time.Second)
		e.res, err = a.Follow(ctx, began, show)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			err = recorder.ErrGone // it does not listen: it is ended like one that is gone
		}
	}
	switch {
	case err == nil:
		e.known = true
	case d.ctx.Err() != nil:
		return d.ctx.Err() // the command goes on
	case errors.Is(err, recorder.ErrGone):
		if _, ran := a.Identity(); !ran {
			e.never = true
			break
		}
		if _, err := a.Clear(d.ctx, d.e.Grace); err != nil {
			return d.cannotClear(e, err)
		}
		if e.res, e.known = a.Result(); !e.known {
			e.unknown = "its recorder died"
		}
	default:
		return err
	}
	if e.lines, err = a.All(); err != nil {
		return err
	}
	d.e.Boundary("over:" + s.Name)
	return d.settle(e)
}

func (d *driver) cannotClear(e *ended, err error) error {
	if d.ctx.Err() != nil {
		return d.ctx.Err()
	}
	return d.finish(StepEnded{Step: e.s.Name, Attempt: e.attempt, Status: Inconclusive, Then: ThenAsk, Why: err.Error()})
}

// settle decides what the end of a command means, asking a write's reconcile
// where the command's own word is not enough.
func (d *driver) settle(e *ended) error {
	o := StepEnded{
		Step: e.s.Name, Attempt: e.attempt, Exit: e.res.Exit, Signal: e.res.Signal, TimedOut: e.res.TimedOut, Cancelled: e.res.Cancelled,
		Took: e.res.Took, Lines: e.res.Lines, Omitted: e.res.Omitted, Left: e.res.Left,
	}
	write := e.s.Effect == runbooks.Write
	ownWord := e.known && e.res.Exit != nil && !e.res.TimedOut && !e.res.Cancelled
	o.Why = d.how(e)
	switch {
	case e.never || e.known && e.res.Exit == nil && e.res.Signal == "" && e.res.Error != "":
		o.Status, o.Then = Inconclusive, ThenAgain
		if e.res.Error != "" || e.attempt >= mostRepeats {
			o.Then = ThenAsk
		}
	case ownWord && *e.res.Exit == 0:
		o.Status, o.Then = Passed, ThenNext
	case write:
		if err := d.reconcile(e, &o, ownWord); err != nil {
			return err
		}
	case e.known:
		o.Status, o.Then = Failed, d.after(e.s.OnFail)
	default:
		// Reading again does no harm.
		o.Status, o.Then = Inconclusive, ThenAgain
		if e.attempt >= mostRepeats {
			o.Then = ThenAsk
		}
	}
	if e.broken {
		c := d.cutBy()
		o.Why = strings.TrimSuffix("broken off by "+c.by+because(c.why)+"; "+o.Why, "; ")
		o.Then = c.then()
		if o.Status == "" {
			o.Status = Inconclusive
		}
	}
	return d.finishWith(d.withOutput(&o, e.lines), o)
}

// how says how a command ended, in words.
func (d *driver) how(e *ended) string {
	var words string
	switch {
	case e.never:
		return "it had not begun when its recorder died"
	case e.unknown != "":
		return "interrupted: " + e.unknown
	case e.res.TimedOut:
		words = fmt.Sprintf("took longer than %s and was ended", e.s.Timeout)
	case e.res.Cancelled:
		words = "was ended from outside"
	case e.res.Signal != "":
		words = "ended by a signal: " + e.res.Signal
	case e.res.Exit != nil && *e.res.Exit != 0:
		words = fmt.Sprintf("exit %d", *e.res.Exit)
	}
	if words != "" {
		for n := len(e.lines) - 1; n >= 0; n-- {
			if text := strings.TrimSpace(e.lines[n].Text); text != "" {
				words += ": " + redact.SanitizeLine(text, 200)
				break
			}
		}
	}
	for _, more := range []string{e.res.Error, left(e.res.Left)} {
		if more != "" {
			words += "; " + more
		}
	}
	return strings.TrimPrefix(words, "; ")
}

func left(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "a process that it left behind was ended"
	}
	return fmt.Sprintf("%d processes that it left behind were ended", n)
}

// withOutput makes the entry of an outcome, with what the command wrote.
func (d *driver) withOutput(o *StepEnded, out []recorder.Line) journal.Draft {
	if len(out) == 0 {
		return d.draft(journal.RunOutcome, *o)
	}
	var spool, text strings.Builder
	for n := range out {
		b, err := json.Marshal(out[n])
		if err != nil {
			continue
		}
		spool.Write(b)
		spool.WriteByte('\n')
	}
	if o.Lines == 0 {
		o.Lines = out[len(out)-1].N
		o.Omitted = o.Lines - int64(len(out))
	}
	sum := sha256.Sum256([]byte(spool.String()))
	o.SHA256 = hex.EncodeToString(sum[:])
	for _, l := range out[max(0, len(out)-textLines):] {
		if text.Len() > 0 || len(o.Shown) > 0 {
			text.WriteByte('\n')
		}
		text.WriteString(l.Text)
		o.Shown = append(o.Shown, Shown{N: l.N, Wall: l.Wall, Err: l.Stream == "err"})
	}
	draft := d.draft(journal.RunOutcome, *o)
	draft.Text = text.String()
	draft.Artifacts = []journal.Artifact{{Name: o.Step + ".jsonl", Type: "application/jsonl", Body: []byte(spool.String())}}
	return draft
}
