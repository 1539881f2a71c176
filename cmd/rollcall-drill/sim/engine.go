package sim

import (
	"sync"
	"time"
)

// Config says which run of which scenario is simulated.
type Config struct {
	Seed     uint64
	Scenario *Scenario
	Start    time.Time // of service time; whole seconds
	Control  *Control
	Share    float64 // of requests that are handed to the sink from the start on
	Warm     float64 // the same before the start
}

// Evaluation is one evaluation of a request's answer.
type Evaluation struct {
	At        time.Time
	Evaluator string
	Score     float64
}

// Sink takes what happens to the requests that are sampled. All calls come from
// Step, in the order of service time. Only Started may see a request whose End
// is later than now.
type Sink interface {
	Started(q *Request)
	Finished(q *Request)
	Evaluated(q *Request, e Evaluation)
	Rated(q *Request, at time.Time) // feedback that came after the answer
	Complained(q *Request, at time.Time)
	Changed(c Change)
	// Second says that service time reached t: nothing earlier will be told.
	Second(t time.Time)
}

// Engine is the running service. Step and Gather are for one goroutine at a
// time; Evaluate may be called from any.
type Engine struct {
	mu      sync.Mutex
	cfg     Config
	second  int64 // the next one to step, from the start
	counts  *counts
	gauges  *gauges
	resolve *resolver
	deploys []*Deployment // the live one first
	set     settings
	setRev  int
	rollout int // scenario changes done

	dice    dice
	agenda  agenda
	arrival arrivals
	load    load
	callers callers
	spend   spend
	tolls   tolls
	env     environment
}

// NewEngine returns a service whose next second is `before` the start.
func NewEngine(cfg Config, before time.Duration) *Engine {
	e := &Engine{
		cfg: cfg, second: -int64(before / time.Second), counts: newCounts(), gauges: newGauges(),
		resolve: newResolver(cfg.Scenario), dice: newDice(), setRev: -1,
	}
	e.settle()
	return e
}

func (e *Engine) offset() time.Duration { return time.Duration(e.second) * time.Second }

// Now is how far service time has been stepped.
func (e *Engine) Now() time.Time { return e.cfg.Start.Add(e.offset()) }

// settle brings manifest, effects and parameters up to the present second.
func (e *Engine) settle() []Change {
	off := e.offset()
	s := e.cfg.Scenario
	for e.rollout < len(s.Rollouts) && s.Rollouts[e.rollout].At <= off {
		r := s.Rollouts[e.rollout]
		e.cfg.Control.apply(r, e.cfg.Start.Add(r.At))
		e.rollout++
	}
	set, rev, changes := e.cfg.Control.read()
	moved := e.resolve.advance(off)
	if rev != e.setRev {
		e.set, e.setRev, moved = set, rev, true
		e.env.off = featuresOff(set.disabled)
		e.deploys = e.deployments(set)
	}
	for _, d := range e.deploys {
		d.Served, d.Fingerprint = s.served(d.Versions[Model], off)
		if moved {
			e.resolve.resolve(d)
		}
	}
	if moved {
		e.arrival.weigh(e.deploys[0], &e.env.off)
	}
	return changes
}

func featuresOff(disabled map[string]bool) (f featureSet) {
	f = featureSet{
		exact: disabled["exact_cache"], semantic: disabled["semantic_cache"], rerank: disabled["rerank"],
		agent: disabled["agent_tools"], fallback: disabled["model_fallback"],
	}
	for i := range tenants {
		f.tenants[i] = disabled[tenantFeature+tenants[i].name]
	}
	return f
}

// deployments are the manifests that take traffic under those settings.
// Requests in flight keep the one they began with.
func (e *Engine) deployments(set settings) []*Deployment {
	list := []*Deployment{e.deploy(set.live, StageLive, 1)}
	if set.share > 0 && set.share < 1 { // with everything its versions are the live ones
		list[0].Share = 1 - set.share
		list = append(list, e.deploy(set.live.over(set.canary), StageCanary, set.share))
	}
	return list
}

func (e *Engine) deploy(v Versions, stage string, share float64) *Deployment {
	d := e.manifest(v, stage, share)
	d.counts = e.counts.versioned.at(v[Prompt], v[Model], v[Index])
	d.search = e.counts.search.at(v[Index])
	return d
}

// manifest is a deployment that counts in no metric.
func (e *Engine) manifest(v Versions, stage string, share float64) *Deployment {
	d := &Deployment{Versions: v, ID: v.Manifest(), Stage: stage, Share: share}
	d.Served, d.Fingerprint = e.cfg.Scenario.served(v[Model], e.offset())
	if p := e.cfg.Scenario.version(Prompt, v[Prompt]); p != nil {
		d.schemaErr = p.Error
	}
	return d
}

// Step lives through the next second of service time.
func (e *Engine) Step(sink Sink) {
	e.mu.Lock()
	defer e.mu.Unlock()
	off := e.offset()
	if off == 0 { // budgets of which a certain amount is left are measured by what was spent until now
		e.cfg.Control.leave(e.cfg.Scenario.Left, e.spend.byScope())
	}
	for _, c := range e.settle() {
		sink.Changed(c)
	}
	d := e.dice
	d.seed(e.cfg.Seed, streamSecond, uint64(e.second))
	e.env.wobble = wobblesAt(e.cfg.Seed, off)
	expected := demand(off) * e.env.wobble[traffic] * e.arrival.factor
	e.load.advance(expected, e.set.queueing, e.deploys[0].cell(Answer, 0, 0))
	e.load.apply(&e.env)
	e.env.broke = e.spend.over(e.set)

	stage := e.phase()
	switch stage {
	case calm:
		e.tolls.before.Seconds++
	case trouble:
		e.tolls.during.Seconds++
	}
	n := int(d.poisson(expected))
	for i := range n {
		q := e.arrive(d, off, i, n)
		e.tolls.saw(q, stage)
		e.agenda.push(event{at: q.offset + seconds(q.Latency), kind: finished, request: q})
		if q.Sampled {
			sink.Started(q)
		}
	}
	e.second++
	for {
		ev, ok := e.agenda.pop(e.offset())
		if !ok {
			break
		}
		e.happen(d, ev, sink)
	}
	sink.Second(e.Now())
}

// arrive draws the i-th of n requests of a second.
func (e *Engine) arrive(d dice, off time.Duration, i, n int) *Request {
	q := &Request{key: hash(e.cfg.Seed, streamRequest, uint64(e.second), uint64(i))}
	q.offset = off + time.Duration((float64(i)+d.Float64())/float64(n)*float64(time.Second))
	q.Start = e.cfg.Start.Add(q.offset)
	share := e.cfg.Share
	if off < 0 {
		share = e.cfg.Warm
	}
	q.Sampled = float64(mix(q.key+2)>>11)/(1<<53) < share
	q.tenant, q.Route, q.region = e.arrival.draw(d)
	q.Deployment = e.deploys[0]
	if len(e.deploys) > 1 && d.chance(e.deploys[1].Share) {
		q.Deployment = e.deploys[1]
	}
	cell := q.Deployment.cell(q.Route, q.tenant, q.region)
	if d.chance(e.load.drop) {
		drawUser(d, &e.env, cell, q)
		q.err, q.Latency = errOverloaded, d.around(0.004, 0.3)
		q.Stages[StagePreprocess] = q.Latency
	} else {
		draw(d, &e.env, cell, q)
	}
	e.callers.saw(e.second, q)
	return q
}

// happen counts an event, tells the sink, and schedules what follows from it.
func (e *Engine) happen(d dice, ev event, sink Sink) {
	q, at := ev.request, e.cfg.Start.Add(ev.at)
	switch ev.kind {
	case finished:
		e.counts.finished(q)
		e.load.saw(q)
		e.spend.add(at, q.CostUSD)
		if q.Sampled {
			sink.Finished(q)
		}
		e.follow(d, q, ev.at)
	case rated:
		e.counts.rated(q)
		if q.Sampled && q.late {
			sink.Rated(q, at)
		}
	case complained:
		e.counts.complained(q)
		if q.Sampled {
			sink.Complained(q, at)
		}
	case evaluated:
		e.counts.evaluated(q, ev.evaluator, ev.score)
		if q.Sampled {
			sink.Evaluated(q, Evaluation{at, evaluators[ev.evaluator], ev.score})
		}
	}
}

// follow schedules what happens after the user has the answer.
func (e *Engine) follow(d dice, q *Request, at time.Duration) {
	delay := func(least, mean, most float64) time.Duration {
		return seconds(min(least+mean*d.ExpFloat64(), most))
	}
	if q.Feedback != Unknown {
		when := at
		if q.late {
			when += delay(4, 70, 900)
		}
		e.agenda.push(event{at: when, kind: rated, request: q})
	}
	if q.Complaint {
		e.agenda.push(event{at: at + delay(20, 90, 900), kind: complained, request: q})
	}
	p := q.Deployment.cell(q.Route, q.tenant, q.region)
	get := func(x Param) float64 { return p[x] * e.env.wobble[paramTable[x].wobble] }
	if q.Answered && d.chance(get(EvalRate)) {
		base := delay(3, 9, 90)
		for i := range evaluators {
			if q.Hit == Unknown && i == 0 {
				continue // nothing was retrieved that the answer could be grounded in
			}
			e.agenda.push(event{at: at + base + seconds(float64(i)), kind: evaluated, request: q, evaluator: i, score: score(d, q, i, get)})
		}
	}
}

// Gather walks what the service exposes now. What is not seen any more has ended.
func (e *Engine) Gather(see func(m *Metric, v float64)) (changes []Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	changes = e.settle()
	e.counts.visit(see)
	e.gauges.visit(e, see)
	return changes
}
