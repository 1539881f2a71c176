package run

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"rollcall/runbooks"
	"rollcall/sources"
	"rollcall/sources/redact"
)

const measureTimeout = 30 * time.Second // wall

// measure takes one sample of a check and judges it. What is not known never
// passes and never fails.
func (e *Engine) measure(ctx context.Context, t Target, c *runbooks.Check, vars []Value, taken snapshots) Sample {
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	s := Sample{At: e.Clock.Now(), Verdict: Inconclusive}
	unit := sources.Unit("")
	var err error
	if c.Signal != "" {
		var r sources.Reading
		r, err = e.Signals.Measure(ctx, t.Service, c.Signal)
		unit = r.Unit
		s.Query, s.From = r.Provenance.Query, from(r.Provenance)
		if r.Known && r.Verdict != sources.Unreachable && r.Facts.Stale == "" {
			s.Value = sources.N(r.Value)
		}
		if r.Usual != nil {
			s.Usual = sources.N(r.Usual.Value)
		}
		if r.N > 0 {
			s.N = sources.N(r.N)
		}
		if err == nil && !s.Value.OK {
			s.Why = string(r.Verdict)
			if r.Why != "" {
				s.Why += ": " + r.Why
			}
			if r.Verdict == sources.Unreachable {
				s.Error = redact.SanitizeLine(r.Facts.Partial+r.Facts.Stale, 300)
			}
		}
	} else {
		var m Measured
		ask, query := e.Signals.PromQL, c.PromQL
		if c.LogQL != "" {
			ask, query = e.Signals.LogQL, c.LogQL
		}
		m, err = ask(ctx, t.Service, Resolve(query, vars))
		s.Value, s.Query, s.From = m.Value, m.Query, m.From
	}
	switch {
	case err != nil:
		s.Error = redact.SanitizeLine(err.Error(), 300)
		s.Why = "not measured"
	case !s.Value.OK:
		if s.Why == "" {
			s.Why = "no value"
		}
	case c.MinSamples > 0 && !s.N.OK:
		s.Why = fmt.Sprintf("how many requests stand behind %s is not known", write(s.Value, unit))
	case c.MinSamples > 0 && s.N.V < c.MinSamples:
		s.Why = fmt.Sprintf("%s of %g requests", whole(s.N.V), c.MinSamples)
	default:
		e.judge(ctx, t, c, vars, taken, unit, &s)
	}
	return s
}

func from(p sources.Provenance) string {
	if p.Profile != "" {
		return p.Provider + " " + p.Profile
	}
	return p.Provider
}

func (e *Engine) judge(ctx context.Context, t Target, c *runbooks.Check, vars []Value, taken snapshots, unit sources.Unit, s *Sample) {
	env := e.env(ctx, t, vars, taken)
	env.Value, env.Usual = s.Value, s.Usual
	pass, err := runbooks.Eval(c.Pass, env)
	failed := c.Fail == "" && !pass
	if err == nil && !pass && c.Fail != "" {
		failed, err = runbooks.Eval(c.Fail, env)
	}
	value := write(s.Value, unit)
	beside := ""
	if s.Usual.OK && strings.Contains(c.Pass+c.Fail, "usual") {
		beside = fmt.Sprintf(", usual %s", write(s.Usual, unit))
	}
	switch {
	case errors.Is(err, runbooks.ErrUnknownValue):
		s.Why = fmt.Sprintf("%s, but %s", value, err)
	case err != nil:
		s.Why = redact.SanitizeLine(err.Error(), 300)
	case pass:
		s.Verdict, s.Why = Passed, fmt.Sprintf("%s holds %s%s", value, c.Pass, beside)
	case failed:
		cond := "does not hold " + c.Pass
		if c.Fail != "" {
			cond = "is " + strings.TrimPrefix(c.Fail, "value ")
		}
		s.Verdict, s.Why = Failed, fmt.Sprintf("%s %s%s", value, cond, beside)
	default:
		s.Why = fmt.Sprintf("%s is between pass and fail%s", value, beside)
	}
}

// write writes a number for a sentence.
func write(n sources.Num, unit sources.Unit) string {
	if !n.OK {
		return "unknown"
	}
	switch unit {
	case sources.Ratio:
		return fmt.Sprintf("%.3g%%", n.V*100)
	case sources.Seconds:
		return fmt.Sprintf("%.3g s", n.V)
	case sources.USD:
		return fmt.Sprintf("$%.4g", n.V)
	case sources.USDPerSec:
		return fmt.Sprintf("$%.4g/h", n.V*3600)
	case sources.PerSecond:
		return fmt.Sprintf("%.3g/s", n.V)
	case sources.PerMille:
		return fmt.Sprintf("%.3g‰", n.V)
	}
	return fmt.Sprintf("%.4g", n.V)
}

func whole(v float64) string { return fmt.Sprintf("%.0f", math.Floor(v)) }
