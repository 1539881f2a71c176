package admin

import (
	"fmt"
	"net/http"

	"rollcall/cmd/rollcall-drill/sim"
)

func (a *api) queueing(w http.ResponseWriter, _ *http.Request) { answer(w, a.control.State().Queueing) }

func (a *api) setQueueing(w http.ResponseWriter, r *http.Request) {
	q := a.control.State().Queueing
	if !read(w, r, &q) {
		return
	}
	if err := a.control.SetQueueing(q); err != nil {
		refuse(w, err)
		return
	}
	answer(w, q)
}

func (a *api) budgets(w http.ResponseWriter, _ *http.Request) {
	s := a.control.State()
	answer(w, map[string]any{"usd": s.Budgets, "enforced": s.Enforced})
}

func (a *api) budget(w http.ResponseWriter, r *http.Request) {
	s, scope := a.control.State(), r.PathValue("scope")
	usd, ok := s.Budgets[scope]
	if !ok {
		refuse(w, fmt.Errorf("%w budget %q", sim.ErrUnknown, scope))
		return
	}
	enforced := false
	for _, e := range s.Enforced {
		enforced = enforced || e == scope
	}
	answer(w, map[string]any{"scope": scope, "usd": usd, "enforce": enforced})
}

func (a *api) setBudget(w http.ResponseWriter, r *http.Request) {
	var in struct {
		USD     *float64 `json:"usd"`
		Enforce bool     `json:"enforce"`
	}
	if !read(w, r, &in) {
		return
	}
	if in.USD == nil {
		fail(w, http.StatusUnprocessableEntity, `"usd" is missing; it is the budget in US dollars`)
		return
	}
	scope := r.PathValue("scope")
	if err := a.control.SetBudget(scope, *in.USD, in.Enforce); err != nil {
		refuse(w, err)
		return
	}
	answer(w, map[string]any{"scope": scope, "usd": *in.USD, "enforce": in.Enforce})
}

func (a *api) canary(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{"canary": a.control.State().Canary})
}

func (a *api) setCanary(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Share *float64          `json:"share"`
		Set   map[string]string `json:"set"`
	}
	if !read(w, r, &in) {
		return
	}
	if in.Share == nil {
		fail(w, http.StatusUnprocessableEntity, `"share" is missing; it is the canary's share of traffic, 0 to end it`)
		return
	}
	var err error
	if len(in.Set) > 0 {
		err = a.control.StartCanary(in.Set, *in.Share)
	} else {
		err = a.control.SetCanary(*in.Share)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	a.canary(w, r)
}
