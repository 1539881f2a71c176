package signal

import (
	"slices"
	"strings"

	"rollcall/sources"
	"rollcall/sources/signal/rollout"
)

// Rollout is the name under which a rollout's verdict stands among those of the
// signals. It is no signal of the catalogue.
const Rollout = "rollout"

// Verdicts are all that can fire: the readings, and what was decided about the
// versions that run side by side. A rollout without a verdict is well; so that one
// that was rolled back is over, it is there also when nothing runs side by side.
func (s *Snapshot) Verdicts() []sources.Reading {
	return append(slices.Clone(s.Readings), s.rolloutReading())
}

func (s *Snapshot) rolloutReading() sources.Reading {
	r := sources.Reading{
		Signal: Rollout, Label: "rollout", Pane: sources.QualityPane, Unit: sources.Ratio, Direction: sources.HigherWorse, Verdict: sources.OK,
	}
	if s.Rollout == nil && len(s.Line.Blind) > 0 {
		r.Verdict = sources.Unreachable // that nothing was found may be because nothing could be read
	}
	if c := undone(s.Rollout); c != nil {
		r.Verdict, r.Since, r.Detail = sources.Bad, c.Candidate.Since, c.Title()
		r.Why = strings.TrimSuffix(s.Rollout.Sentence(), ".")
		if worse := c.Worst(); worse != nil {
			r.Known, r.Value, r.N = true, worse.Share(), worse.N
			r.Judgement = &sources.Judgement{Rule: ruleShare + "concurrent", K: number(worse.K), N: number(worse.N), Usual: number(worse.ControlShare())}
			if worse.Ratio.OK {
				r.Judgement.Ratio = number(worse.Ratio.V)
			}
			if worse.P.OK {
				r.Judgement.P = number(worse.P.V)
			}
		}
	}
	return r
}

// rolledSignal is the signal that an outcome of a rollout belongs to; empty when there is none.
func rolledSignal(o *rollout.Outcome) string {
	if o == nil {
		return ""
	}
	for _, x := range rolledOut {
		if x.id == o.ID {
			return x.signal
		}
	}
	return map[string]string{"latency": "latency_p95", "eval_scores": "eval_score"}[o.ID]
}
