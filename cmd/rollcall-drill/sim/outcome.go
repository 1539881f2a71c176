package sim

import "time"

// Toll is what a stretch of time brought: requests, those of them that went
// wrong for the user, how many users met one, and money.
type Toll struct {
	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests"`
	Bad      int     `json:"bad"`
	Users    int     `json:"users"`
	USD      float64 `json:"usd"`

	hurt map[uint32]struct{}
}

func (t *Toll) saw(q *Request) {
	t.Requests++
	t.USD += q.CostUSD
	if !q.wentWrong() {
		return
	}
	t.Bad++
	if t.hurt == nil {
		t.hurt = map[uint32]struct{}{}
	}
	t.hurt[uint32(q.tenant)<<16|uint32(q.user)] = struct{}{}
	t.Users = len(t.hurt)
}

// wentWrong tells whether the user got an error, an answer that the service's
// own validator rejects or that no source supports, or someone else's data.
// Who tries to break the rules and is refused got what is right.
func (q *Request) wentWrong() bool {
	if q.Jailbreak {
		return false
	}
	return q.Failed() || q.Schema == No || q.Leak || q.Hit == No || q.Refused
}

// Outcome is how the drill went, as the simulated service knows it. It holds
// the answer: it is for when the drill is over.
type Outcome struct {
	Scenario   string    `json:"scenario"`
	Seed       uint64    `json:"seed"`
	Start      time.Time `json:"start"`
	Until      time.Time `json:"until"` // service time reached
	Cause      string    `json:"cause,omitempty"`
	Cure       string    `json:"cure,omitempty"`
	Categories []string  `json:"categories,omitempty"`
	Began      time.Time `json:"began,omitzero"`     // zero: nothing was wrong
	Ended      time.Time `json:"ended,omitzero"`     // when it ended by itself
	Mitigated  time.Time `json:"mitigated,omitzero"` // since when what is set is right
	Actions    []Action  `json:"actions"`
	Before     Toll      `json:"before"` // from before the start until it began
	During     Toll      `json:"during"` // from when it began until it was mitigated or over
}

// tolls count what happens before and during the trouble.
type tolls struct{ before, during Toll }

func (t *tolls) saw(q *Request, phase phase) {
	switch phase {
	case calm:
		t.before.saw(q)
	case trouble:
		t.during.saw(q)
	}
}

// phase is where in the drill a second lies.
type phase int

const (
	calm phase = iota
	trouble
	over
)

func (e *Engine) phase() phase {
	now := e.Now()
	began, mitigated := e.cfg.Control.standing()
	switch {
	case began.IsZero() || now.Before(began):
		return calm
	case !mitigated.IsZero() && !now.Before(mitigated), e.ended(now):
		return over
	}
	return trouble
}

func (e *Engine) ended(now time.Time) bool {
	end, ends := e.cfg.Scenario.ends()
	return ends && !now.Before(e.cfg.Start.Add(end))
}

// Outcome tells how it went so far.
func (e *Engine) Outcome() Outcome {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.cfg.Scenario
	o := Outcome{
		Scenario: s.Name, Seed: e.cfg.Seed, Start: e.cfg.Start.UTC(), Until: e.Now().UTC(),
		Cause: s.Solution.Cause, Cure: s.Solution.Cure, Categories: s.Solution.Categories,
		Before: e.tolls.before, During: e.tolls.during,
	}
	o.Actions, o.Began, o.Mitigated = e.cfg.Control.acted()
	if e.Now().Before(o.Began) {
		o.Began = time.Time{}
	}
	if end, ends := s.ends(); ends && e.ended(e.Now()) {
		o.Ended = e.cfg.Start.Add(end).UTC()
	}
	return o
}
