package sim

import (
	"math"
	"time"
)

// Reference levels of latency between which history moves.
var slowness = [...]float64{0.9, 1.02, 1.16, 1.34}

const referenceRequests = 26000 // per level

// History is the service before the drill: the engine's counters, grown step by
// step by what the same model moves them by.
type History struct {
	e          *Engine
	step       time.Duration
	refs       map[*tally][][]float64
	calls      float64 // LLM calls per request
	tokens     float64 // tokens per request
	top        float64 // share of the busiest caller
	costBefore float64
	dice       dice
}

// NewHistory prepares the history of an engine that has not stepped yet.
func NewHistory(e *Engine, step time.Duration) *History {
	h := &History{e: e, step: step, refs: map[*tally][][]float64{}, dice: newDice()}
	var levels []*Engine
	for i, slow := range slowness {
		levels = append(levels, h.reference(uint64(i), slow))
	}
	for b, book := range e.counts.books() {
		for _, ref := range levels {
			for _, t := range ref.counts.books()[b].tallies {
				book.at(t.values...) // whatever a reference met exists from the beginning
			}
		}
		for _, mine := range book.tallies {
			for _, ref := range levels {
				h.refs[mine] = append(h.refs[mine], ref.counts.books()[b].at(mine.values...).cells)
			}
		}
	}
	return h
}

// reference counts many requests under one latency, in the usual state of affairs.
func (h *History) reference(level uint64, slow float64) *Engine {
	s := *h.e.cfg.Scenario
	s.Rollouts, s.Effects, s.Served, s.Features, s.Enforce = nil, nil, nil, nil, nil
	cfg := h.e.cfg
	cfg.Scenario, cfg.Share, cfg.Warm = &s, 0, 0
	cfg.Control = NewControl(&s, cfg.Start, func() time.Time { return cfg.Start })
	ref := NewEngine(cfg, 0)
	for i := range ref.env.wobble {
		ref.env.wobble[i] = 1
	}
	ref.env.slow, ref.env.queue = slow, queueOverhead/8
	d := newDice(cfg.Seed, streamReference, level)
	for i := range referenceRequests {
		q := ref.arrive(d, 0, i, referenceRequests)
		ref.agenda.push(event{at: 0, kind: finished, request: q})
		for {
			ev, ok := ref.agenda.pop(math.MaxInt64)
			if !ok {
				break
			}
			ref.happen(d, ev, nowhere{})
		}
	}
	h.calls += ref.load.newCalls / (referenceRequests * float64(len(slowness)))
	h.tokens += ref.load.newToks / (referenceRequests * float64(len(slowness)))
	h.top = max(h.top, ref.callers.top())
	return ref
}

// Fill moves all series to t and walks them. Calls come in the order of time,
// one step apart.
func (h *History) Fill(t time.Time, see func(m *Metric, v float64)) {
	e, off := h.e, t.Sub(h.e.cfg.Start)
	h.dice.seed(e.cfg.Seed, streamHistory, uint64(off/h.step))
	w := wobblesAt(e.cfg.Seed, off)
	rate := demand(off) * w[traffic]
	n := h.dice.poisson(rate * h.step.Seconds())

	use := min(rate*usualSeconds/workers, 1)
	mixed := blend((1 + contention*use*use) * w[latency])
	for _, b := range e.counts.books() {
		for _, tl := range b.tallies {
			tl.grow(h.dice, n, &w, h.refs[tl], referenceRequests, mixed)
		}
	}
	h.spend(t)
	e.counts.visit(see)
	h.gauges(t, off, rate, use, see)
}

// blend says how much each level of the reference counts for a latency.
func blend(slow float64) []float64 {
	mixed := make([]float64, len(slowness))
	last := len(slowness) - 1
	switch {
	case slow <= slowness[0]:
		mixed[0] = 1
	case slow >= slowness[last]:
		mixed[last] = 1
	default:
		for i := range last {
			if a, b := slowness[i], slowness[i+1]; slow < b {
				mixed[i], mixed[i+1] = (b-slow)/(b-a), (slow-a)/(b-a)
				break
			}
		}
	}
	return mixed
}

func (h *History) spend(t time.Time) {
	var cost float64
	for _, tl := range h.e.counts.versioned.tallies {
		cost += tl.cells[versioned.cost]
	}
	h.e.spend.add(t, cost-h.costBefore)
	h.costBefore = cost
}

func (h *History) gauges(t time.Time, off time.Duration, rate, use float64, see func(m *Metric, v float64)) {
	e, g := h.e, h.e.gauges
	d := e.deploys[0]
	g.standing(e, see)
	see(g.metric("llmops_queue_depth"), h.dice.poisson(1.2*use))
	jitter := 1 + 0.03*h.dice.NormFloat64()
	g.quota(60*rate*h.calls*jitter, 60*rate*h.tokens*jitter, [2]float64{callsPerMin, tokensPerMin}, see)
	see(g.metric("llmops_top_caller_ratio"), h.top*(1+0.07*math.Abs(h.dice.NormFloat64())))
	g.info(e.cfg.Control.liveAt(t), StageLive, see)
	see(g.metric("llmops_served_model_info", "model", d.Versions[Model], "served", d.Served), 1)
	see(g.metric("llmops_index_documents", "index", d.Versions[Index]), g.documents(d, off.Hours()))
}

// liveAt is what was live at a time before the drill. Only components that the
// counters do not carry as labels are looked up: the rest of history ran on what
// is live at the start.
func (c *Control) liveAt(t time.Time) Versions {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.scenario.Live
	for _, i := range []int{Tools, Policy} {
		best := ""
		for name, since := range c.since[i] {
			if !since.After(t) && (best == "" || since.After(c.since[i][best])) {
				best = name
			}
		}
		if best != "" {
			v[i] = best
		}
	}
	return v
}

type nowhere struct{}

func (nowhere) Started(*Request)               {}
func (nowhere) Finished(*Request)              {}
func (nowhere) Evaluated(*Request, Evaluation) {}
func (nowhere) Rated(*Request, time.Time)      {}
func (nowhere) Complained(*Request, time.Time) {}
func (nowhere) Changed(Change)                 {}
func (nowhere) Second(time.Time)               {}
