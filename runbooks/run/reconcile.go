package run

import (
	"fmt"
	"strings"
	"time"

	"rollcall/runbooks"
	"rollcall/sources/redact"
)

const (
	reconcileTimeout = 30 * time.Second
	reconcileTries   = 3
)

// reconcile finds out whether a write happened whose own word is missing or not
// enough. ownWord says that the command itself ended and reported a failure.
func (d *driver) reconcile(e *ended, o *StepEnded, ownWord bool) error {
	if e.s.Reconcile == nil {
		o.Status, o.Then = Failed, d.after(e.s.OnFail)
		if !ownWord {
			// Nobody but a person can tell whether it happened.
			o.Status, o.Then = Inconclusive, ThenAsk
			o.Why += "; whether it happened is not known, look before you decide"
		}
		return nil
	}
	r := d.askWhether(e.s.Reconcile)
	if d.ctx.Err() != nil {
		return d.ctx.Err()
	}
	o.Reconcile = &r
	d.e.Boundary("reconciled:" + e.s.Name)
	found := fmt.Sprintf("%s says %s", r.Command, r.Value)
	switch r.Verdict {
	case "done":
		o.Status, o.Then = Passed, ThenNext
		o.Why += "; yet it happened: " + found
	case "not done":
		o.Status, o.Then = Failed, d.after(e.s.OnFail)
		o.Why += "; it did not happen: " + found
		if e.unknown != "" {
			o.Status, o.Then = Inconclusive, ThenAgain
			if e.attempt >= mostRepeats {
				o.Then = ThenAsk
			}
		}
	default:
		o.Status, o.Then = Inconclusive, ThenAsk
		if r.Error != "" {
			o.Why += "; whether it happened cannot be told: " + r.Error
		} else {
			o.Why += fmt.Sprintf("; %s, which is neither done nor undone: somebody else moved it", found)
		}
	}
	o.Why = strings.TrimPrefix(o.Why, "; ")
	return nil
}

// askWhether asks the reconcile command and judges its answer.
func (d *driver) askWhether(r *runbooks.Reconcile) (out Reconciled) {
	out = Reconciled{Command: strings.Join(r.Run, " "), Verdict: "neither"}
	argv, missing := substitute(r.Run, d.exact.Vars)
	if missing != "" {
		out.Error = "it needs " + missing
		return out
	}
	var t Target
	var m moving
	d.look(func(f *fold) { t, m = f.st.Target, moving{f.st.Component, f.st.Settings} })
	env := d.e.environ(d.id, m, t, d.exact.Vars, "", runbooks.Read)
	var value string
	var err error
	for try := range reconcileTries {
		if value, err = d.e.quick(d.ctx, argv, env, reconcileTimeout); err == nil || d.ctx.Err() != nil {
			break
		}
		if d.pause(d.ctx, d.e.Clock.Now().Add(time.Duration(try+1)*time.Second), time.Minute) != nil {
			break
		}
	}
	if err != nil {
		out.Error = redact.SanitizeLine(err.Error(), 300)
		return out
	}
	value = firstLine(value)
	out.Value = redact.SanitizeLine(d.e.Redact(value), 200)
	vars := map[string]string{}
	for _, v := range d.exact.Vars {
		vars[v.Name] = v.Value
	}
	judge := func(cond string) bool {
		if cond == "" {
			return false
		}
		yes, bad := runbooks.Eval(cond, runbooks.Env{Text: value, IsText: true, Vars: vars})
		if bad != nil {
			out.Error = redact.SanitizeLine(bad.Error(), 300)
		}
		return yes && bad == nil
	}
	done, not := judge(r.Done), judge(r.NotDone)
	switch {
	case done && not:
		out.Error = "its conditions say both done and not done; correct the runbook"
	case done:
		out.Verdict = "done"
	case not:
		out.Verdict = "not done"
	}
	return out
}
