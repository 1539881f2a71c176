// Package admin is the HTTP API through which people and runbooks steer the
// simulated service: the pins of its five components (compare-and-set),
// features, queueing, budgets, the canary, and the eval suite.
//
//	GET  /v1/pins                        all pins
//	GET  /v1/pins/{component}            one pin; the ETag names its revision
//	PUT  /v1/pins/{component}            {"version": "v13"}; needs If-Match
//	GET  /v1/pins/{component}/versions   what it can be set to, and which was last good
//	GET  /v1/features                    what is on
//	PUT  /v1/features/{name}             {"enabled": false}
//	GET  /v1/settings                    what is set, by name
//	GET  /v1/settings/{name}             {"value": 0.1}; the ETag names its revision
//	PUT  /v1/settings/{name}             {"value": 0}; needs If-Match
//	GET  /v1/queueing, PUT               {"enabled": true, "max_depth": 400}
//	GET  /v1/budgets                     US dollars by scope
//	PUT  /v1/budgets/{scope}             {"usd": 9000, "enforce": true}
//	GET  /v1/canary, PUT                 {"share": 0.1}; 0 ends it; with "set": {"prompt": "v12"} it begins one
//	POST /v1/evals                       runs the eval suite against what is live
//	POST /v1/evals/candidate             the same against the canary
//	GET  /v1/state                       everything, with scenario and service time
//
// Everything of pins, settings, features and evals is there once more under /v1/rehearsal,
// on versions that no traffic depends on, and besides
//
//	POST /v1/rehearsal/reset             back to where rehearsals begin
//
// Errors are {"error": "..."} with a status that says whose fault it was.
package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rollcall/cmd/rollcall-drill/sim"
)

// maxBody is far more than any body that the API takes.
const maxBody = 16 << 10

// Info is what the drill says about itself in /v1/state.
type Info struct {
	Service  string    `json:"service"`
	Scenario string    `json:"scenario"`
	Seed     int64     `json:"seed"`
	Speed    float64   `json:"speed"`
	Start    time.Time `json:"start"`
}

// Evaluator runs the eval suite against what is live, or pinned elsewhere.
type Evaluator interface {
	Evaluate() sim.EvalRun
	EvaluateAs(c *sim.Control) sim.EvalRun
	EvaluateCandidate(c *sim.Control) (sim.EvalRun, error)
}

// Controls are the two control planes: the live one, and the one to rehearse on.
type Controls struct{ Live, Rehearsal *sim.Control }

type api struct {
	control *sim.Control
	evals   func() sim.EvalRun
	trial   func() (sim.EvalRun, error)
	info    Info
	now     func() time.Time
	log     *slog.Logger
}

// Handler serves the admin API.
func Handler(c Controls, e Evaluator, info Info, now func() time.Time, log *slog.Logger) http.Handler {
	trial := func(c *sim.Control) func() (sim.EvalRun, error) {
		return func() (sim.EvalRun, error) { return e.EvaluateCandidate(c) }
	}
	a := &api{control: c.Live, evals: e.Evaluate, trial: trial(c.Live), info: info, now: now, log: log}
	mux := http.NewServeMux()
	routes := map[string]map[string]http.HandlerFunc{
		"/v1/pins":                      {"GET": a.pins},
		"/v1/pins/{component}":          {"GET": a.pin, "PUT": a.setPin},
		"/v1/pins/{component}/versions": {"GET": a.versions},
		"/v1/features":                  {"GET": a.features},
		"/v1/features/{name}":           {"GET": a.feature, "PUT": a.setFeature},
		"/v1/settings":                  {"GET": a.settings},
		"/v1/settings/{name}":           {"GET": a.setting, "PUT": a.setSetting},
		"/v1/queueing":                  {"GET": a.queueing, "PUT": a.setQueueing},
		"/v1/budgets":                   {"GET": a.budgets},
		"/v1/budgets/{scope}":           {"GET": a.budget, "PUT": a.setBudget},
		"/v1/canary":                    {"GET": a.canary, "PUT": a.setCanary},
		"/v1/evals":                     {"POST": a.runEvals},
		"/v1/evals/candidate":           {"POST": a.runTrial},
		"/v1/state":                     {"GET": a.state},
	}
	practice := &api{
		control: c.Rehearsal, evals: func() sim.EvalRun { return e.EvaluateAs(c.Rehearsal) }, trial: trial(c.Rehearsal), info: info, now: now, log: log.With("rehearsal", true),
	}
	for path, methods := range map[string]map[string]http.HandlerFunc{
		"/v1/pins":                      {"GET": practice.pins},
		"/v1/pins/{component}":          {"GET": practice.pin, "PUT": practice.setPin},
		"/v1/pins/{component}/versions": {"GET": practice.versions},
		"/v1/features":                  {"GET": practice.features},
		"/v1/features/{name}":           {"GET": practice.feature, "PUT": practice.setFeature},
		"/v1/settings":                  {"GET": practice.settings},
		"/v1/settings/{name}":           {"GET": practice.setting, "PUT": practice.setSetting},
		"/v1/evals":                     {"POST": practice.runEvals},
		"/v1/evals/candidate":           {"POST": practice.runTrial},
	} {
		routes[strings.Replace(path, "/v1/", "/v1/rehearsal/", 1)] = methods
	}
	routes["/v1/rehearsal/reset"] = map[string]http.HandlerFunc{"POST": practice.reset}
	for path, methods := range routes {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			h := methods[r.Method]
			if h == nil && r.Method == http.MethodHead {
				h = methods[http.MethodGet]
			}
			if h == nil {
				allowed := make([]string, 0, len(methods))
				for m := range methods {
					allowed = append(allowed, m)
				}
				w.Header().Set("Allow", strings.Join(allowed, ", "))
				fail(w, http.StatusMethodNotAllowed, "%s does not take %s", path, r.Method)
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			h(w, r)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "there is no %s; GET /v1/state shows what there is", r.URL.Path)
	})
	return mux
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone when this fails
}

func fail(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": fmt.Sprintf(format, args...)}) // the client is gone when this fails
}

// refuse turns an error of the control plane into a status.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, sim.ErrUnknown):
		status = http.StatusNotFound
	case errors.Is(err, sim.ErrVersion), errors.Is(err, sim.ErrRejected):
		status = http.StatusUnprocessableEntity
	case errors.Is(err, sim.ErrMoved):
		status = http.StatusPreconditionFailed
	}
	fail(w, status, "%s", err)
}

// read takes the JSON body; false means that the client was told what is wrong with it.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the JSON object")
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &tooLarge):
		fail(w, http.StatusRequestEntityTooLarge, "body is over %d bytes", maxBody)
	case errors.Is(err, io.EOF):
		fail(w, http.StatusBadRequest, "body is empty; it must be a JSON object")
	default:
		fail(w, http.StatusBadRequest, "body: %s", err)
	}
	return false
}

type pinBody struct {
	Component string    `json:"component"`
	Version   string    `json:"version"`
	Revision  int       `json:"revision"`
	Since     time.Time `json:"since"`
	Previous  string    `json:"previous,omitempty"`
}

func body(p sim.Pin) pinBody {
	return pinBody{p.Component, p.Version, p.Revision, p.Since.UTC(), p.Last}
}

func etag(p sim.Pin) string { return fmt.Sprintf("%q", p.Component+"-"+strconv.Itoa(p.Revision)) }

func (a *api) pins(w http.ResponseWriter, _ *http.Request) {
	out := map[string]pinBody{}
	for _, name := range sim.Components {
		p, err := a.control.Pin(name)
		if err != nil {
			refuse(w, err)
			return
		}
		out[name] = body(p)
	}
	answer(w, out)
}

func (a *api) pin(w http.ResponseWriter, r *http.Request) {
	p, err := a.control.Pin(r.PathValue("component"))
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("ETag", etag(p))
	answer(w, body(p))
}

func (a *api) setPin(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("component")
	p, err := a.control.Pin(name)
	if err != nil {
		refuse(w, err)
		return
	}
	match := r.Header.Values("If-Match")
	if len(match) == 0 {
		fail(w, http.StatusPreconditionRequired,
			"a pin moves only from a known state; send the ETag of GET %s as If-Match", r.URL.Path)
		return
	}
	var in struct {
		Version string `json:"version"`
	}
	if !read(w, r, &in) {
		return
	}
	if !matches(match, etag(p)) {
		w.Header().Set("ETag", etag(p))
		fail(w, http.StatusPreconditionFailed, "%s is %s now (%s); it moved since you looked", name, p.Version, etag(p))
		return
	}
	// The revision is compared again under the lock: nobody can come in between.
	moved, err := a.control.SetPin(name, in.Version, p.Revision)
	if err != nil {
		if errors.Is(err, sim.ErrMoved) {
			w.Header().Set("ETag", etag(moved))
		}
		refuse(w, err)
		return
	}
	a.log.Info("pin moved", "component", name, "from", p.Version, "to", moved.Version)
	w.Header().Set("ETag", etag(moved))
	answer(w, body(moved))
}

// matches compares If-Match as RFC 9110 says: any of a list, strongly, or * for whatever is there.
func matches(fields []string, tag string) bool {
	for _, f := range fields {
		for one := range strings.SplitSeq(f, ",") {
			if one = strings.TrimSpace(one); one == tag || one == "*" {
				return true
			}
		}
	}
	return false
}

func (a *api) versions(w http.ResponseWriter, r *http.Request) {
	list, err := a.control.Versions(r.PathValue("component"))
	if err != nil {
		refuse(w, err)
		return
	}
	out := struct {
		Component string             `json:"component"`
		LastGood  string             `json:"last_good"`
		Versions  []sim.VersionState `json:"versions"`
	}{Component: r.PathValue("component"), Versions: list}
	for _, v := range list {
		if v.LastGood {
			out.LastGood = v.Version
		}
	}
	answer(w, out)
}

func (a *api) features(w http.ResponseWriter, _ *http.Request) { answer(w, a.control.State().Features) }

func (a *api) feature(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	on, ok := a.control.State().Features[name]
	if !ok {
		refuse(w, fmt.Errorf("%w feature %q", sim.ErrUnknown, name))
		return
	}
	answer(w, map[string]any{"feature": name, "enabled": on})
}

func (a *api) setFeature(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Enabled *bool `json:"enabled"`
	}
	if !read(w, r, &in) {
		return
	}
	if in.Enabled == nil {
		fail(w, http.StatusUnprocessableEntity, `"enabled" is missing; it is true or false`)
		return
	}
	name := r.PathValue("name")
	if err := a.control.SetFeature(name, *in.Enabled); err != nil {
		refuse(w, err)
		return
	}
	a.log.Info("feature switched", "feature", name, "enabled", *in.Enabled)
	answer(w, map[string]any{"feature": name, "enabled": *in.Enabled})
}

func (a *api) runEvals(w http.ResponseWriter, _ *http.Request) {
	run := a.evals()
	a.log.Info("eval suite ran", "manifest", run.Manifest, "pass_rate", run.PassRate)
	answer(w, run)
}

func (a *api) runTrial(w http.ResponseWriter, _ *http.Request) {
	run, err := a.trial()
	if err != nil {
		refuse(w, err)
		return
	}
	a.log.Info("eval suite ran against the canary", "manifest", run.Manifest, "pass_rate", run.PassRate)
	answer(w, run)
}

func (a *api) reset(w http.ResponseWriter, r *http.Request) {
	a.control.Restart(a.info.Start)
	a.log.Info("back to the beginning")
	a.pins(w, r)
}

func (a *api) state(w http.ResponseWriter, _ *http.Request) {
	answer(w, struct {
		Info
		Now time.Time `json:"now"`
		sim.State
	}{a.info, a.now().UTC(), a.control.State()})
}
