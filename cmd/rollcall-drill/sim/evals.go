package sim

import "fmt"

// The eval suite: fixed questions, answered by what is live now, judged as the
// online evaluators judge. It costs no traffic and counts in no metric.
const (
	evalCases     = 400
	evalPassScore = 0.55 // of each evaluator, besides the schema

	// EvalPassShare is the share of the cases that must pass: good versions pass 90 to 95
	// of a hundred, bad ones under 80, and with so many cases either is more than three
	// standard deviations away.
	EvalPassShare = 0.86
)

// EvalCase is one case of a run of the suite.
type EvalCase struct {
	ID        string             `json:"id"`
	Route     string             `json:"route"`
	Pass      bool               `json:"pass"`
	Reason    string             `json:"reason,omitempty"`
	Scores    map[string]float64 `json:"scores,omitempty"`
	SchemaErr string             `json:"schema_error,omitempty"`
}

// EvalRun is the result of the suite.
type EvalRun struct {
	Suite     string             `json:"suite"`
	Manifest  string             `json:"manifest"`
	Versions  map[string]string  `json:"versions"`
	Cases     int                `json:"cases"`
	Passed    int                `json:"passed"`
	Failed    int                `json:"failed"`
	PassRate  float64            `json:"pass_rate"`
	Threshold float64            `json:"threshold"`
	Pass      bool               `json:"pass"`
	Scores    map[string]float64 `json:"scores"` // means by evaluator, and "schema": share that is valid
	Results   []EvalCase         `json:"results"`
}

// Evaluate runs the suite against the live manifest.
func (e *Engine) Evaluate() EvalRun {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.evaluate(e.deploys[0], e.env.off)
}

// EvaluateAs runs the suite against what another control plane pins, as if it were live.
func (e *Engine) EvaluateAs(c *Control) EvalRun {
	live, _, disabled := c.pinned()
	return e.as(live, disabled)
}

// EvaluateCandidate runs the suite against the canary of a control plane, as if it were live.
func (e *Engine) EvaluateCandidate(c *Control) (EvalRun, error) {
	live, canary, disabled := c.pinned()
	if canary == (Versions{}) {
		return EvalRun{}, fmt.Errorf("%w: there is no canary to evaluate", ErrRejected)
	}
	return e.as(live.over(canary), disabled), nil
}

func (e *Engine) as(live Versions, disabled map[string]bool) EvalRun {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.manifest(live, StageLive, 1)
	e.resolve.resolve(d)
	return e.evaluate(d, featuresOff(disabled))
}

func (e *Engine) evaluate(dep *Deployment, off featureSet) EvalRun {
	run := EvalRun{
		Suite: "assistant", Manifest: dep.ID, Versions: dep.byName(),
		Threshold: EvalPassShare, Scores: map[string]float64{},
	}
	d := newDice(e.cfg.Seed, streamEvals, uint64(e.second))
	env := environment{slow: 1, off: off}
	env.off.exact, env.off.semantic = true, true // the suite asks the model, not the caches
	env.off.tenants = [len(tenants)]bool{}
	for i := range env.wobble {
		env.wobble[i] = 1
	}
	counted := map[string]int{}
	for i := range evalCases {
		q := &Request{key: hash(e.cfg.Seed, streamEvals, uint64(i)), Deployment: dep, Route: Route(i % int(routeCount))}
		p := *dep.cell(q.Route, 0, 0)
		p[Denied], p[Jailbreak] = 0, 0
		draw(d, &env, &p, q)
		c := EvalCase{ID: fmt.Sprintf("%s-%03d", q.Route, i/int(routeCount)+1), Route: q.Route.String(), Scores: map[string]float64{}}
		switch {
		case q.Failed():
			c.Reason = "error: " + q.ErrorType()
		case q.Schema == No:
			c.Reason, c.SchemaErr = "schema", q.SchemaErr
		default:
			c.Pass = true
		}
		if q.Answered {
			counted["schema"]++
			run.Scores["schema"] += oneIf(q.Schema == Yes)
			for k, name := range evaluators {
				if k == 0 && q.Hit == Unknown {
					continue
				}
				s := score(d, q, k, func(x Param) float64 { return p[x] })
				c.Scores[name] = s
				run.Scores[name] += s
				counted[name]++
				if s < evalPassScore && c.Pass {
					c.Pass, c.Reason = false, name
				}
			}
		}
		if c.Pass {
			run.Passed++
		}
		run.Results = append(run.Results, c)
	}
	for name, n := range counted {
		run.Scores[name] /= float64(n)
	}
	run.Cases, run.Failed = evalCases, evalCases-run.Passed
	run.PassRate = float64(run.Passed) / evalCases
	run.Pass = run.PassRate >= EvalPassShare
	return run
}
