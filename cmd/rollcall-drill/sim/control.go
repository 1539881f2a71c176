package sim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Stages of a rollout.
const (
	StageLive   = "live"
	StageCanary = "canary"
)

// Errors of the control plane.
var (
	ErrUnknown  = errors.New("unknown")  // no such component, feature or budget
	ErrVersion  = errors.New("version")  // the component has no such version
	ErrMoved    = errors.New("moved")    // somebody else changed it since
	ErrRejected = errors.New("rejected") // a value out of range
)

var budgetScopes = [...]string{"day", "period", "hour", "user_hour", "request"}

// spentScopes are the budgets that add up and so can be used up, as spend keeps them.
var spentScopes = [...]string{"day", "period", "hour"}

func budgetIndex(scope string) int { return slices.Index(budgetScopes[:], scope) }

// usualBudgets are in US dollars, with head-room over what the service usually spends.
var usualBudgets = [len(budgetScopes)]float64{9800, 240000, 720, 25, 0.4}

// features that can be switched off, in the order shown. Tenants can be switched
// off too, as tenant.NAME.
var features = [...]string{"exact_cache", "semantic_cache", "rerank", "agent_tools", "model_fallback"}

const tenantFeature = "tenant."

func knownFeature(name string) bool {
	if t, ok := strings.CutPrefix(name, tenantFeature); ok {
		return slices.Contains(tenantNames(), t)
	}
	return slices.Contains(features[:], name)
}

// Queueing is how requests wait when the service is saturated.
type Queueing struct {
	Enabled  bool `json:"enabled"`
	MaxDepth int  `json:"max_depth"`
}

func (q Queueing) String() string {
	if !q.Enabled {
		return "off"
	}
	return fmt.Sprintf("on, at most %d waiting", q.MaxDepth)
}

func budgetWords(usd float64, enforced bool) string {
	if enforced {
		return fmt.Sprintf("%g USD, enforced", usd)
	}
	return fmt.Sprintf("%g USD", usd)
}

// Pin is the live version of one component. Revision counts its changes, so that
// a version that went and came back is told from one that never moved.
type Pin struct {
	Component string
	Version   string
	Revision  int
	Since     time.Time
	Last      string // the version before, if any
}

// VersionState is a version as the admin API lists it.
type VersionState struct {
	Version  string    `json:"version"`
	Note     string    `json:"note,omitempty"`
	Live     bool      `json:"live"`
	Good     bool      `json:"good"` // lived long enough to be trusted
	LastGood bool      `json:"last_good"`
	Since    time.Time `json:"since,omitzero"` // when it last went live; zero: never
}

// Change is something that the control plane changed, for the service's log.
type Change struct {
	At    time.Time
	What  string // "prompt", "feature rerank", "queueing", "budget day", "canary"
	From  string
	To    string
	Actor string // "deploy" for the scenario, "admin" for the API
}

// settings is what requests depend on besides the scenario.
type settings struct {
	live     Versions
	canary   Versions
	share    float64 // of traffic that gets the canary
	disabled map[string]bool
	colour   string   // that has the traffic
	idle     Versions // what the other colour runs
	queueing Queueing
	budgets  [len(budgetScopes)]float64
	enforce  map[string]bool
}

// Control is the control plane of the service: what the admin API and the
// scenario change, and what the engine reads. It is safe for concurrent use.
type Control struct {
	mu       sync.Mutex
	scenario *Scenario
	now      func() time.Time
	pins     [ComponentCount]Pin
	since    [ComponentCount]map[string]time.Time
	proven   [ComponentCount]map[string]bool // lived long enough to be trusted
	set      settings
	revision int            // of set
	moved    map[string]int // how often each setting moved, by name
	before   Versions       // what was live before a canary got everything
	changes  []Change
	ledger   ledger
}

// Who changes things.
const (
	actorDeploy = "deploy"
	actorAdmin  = "admin"
)

// NewControl returns the control plane as it stands when the drill starts.
func NewControl(s *Scenario, start time.Time, now func() time.Time) *Control {
	c := &Control{scenario: s, now: now, moved: map[string]int{}, set: settings{
		live: s.Live, idle: s.Live, colour: colours[0], disabled: map[string]bool{}, enforce: map[string]bool{},
		queueing: Queueing{Enabled: s.Queueing != No, MaxDepth: 400}, budgets: usualBudgets,
	}}
	if off, ok := s.starts(); ok {
		c.ledger.began = start.Add(off)
	}
	for i, name := range Components {
		c.since[i], c.proven[i] = map[string]time.Time{}, map[string]bool{}
		var last string
		var lastSince time.Duration
		for _, v := range s.Versions[i] {
			if v.Since == 0 {
				continue
			}
			c.since[i][v.Name] = start.Add(-v.Since)
			c.proven[i][v.Name] = true
			if v.Name != s.Live[i] && (last == "" || v.Since < lastSince) {
				last, lastSince = v.Name, v.Since
			}
		}
		c.pins[i] = Pin{Component: name, Version: s.Live[i], Revision: 1, Since: c.since[i][s.Live[i]], Last: last}
	}
	for name, on := range s.Features {
		c.set.disabled[name] = !on
	}
	for name, usd := range s.Budgets {
		c.set.budgets[budgetIndex(name)] = usd
	}
	for _, name := range s.Enforce {
		c.set.enforce[name] = true
	}
	c.ledger.budgets = c.set.budgets
	c.ledger.met, _ = s.Solution.met(&c.set, c.ledger.budgets)
	return c
}

// NewRehearsal returns a control plane on which to rehearse: a copy that no
// traffic depends on, with everything rolled out that the scenario is going to, and
// something there to stop, to switch on and to switch back in every scenario.
func NewRehearsal(s *Scenario, start time.Time, now func() time.Time) *Control {
	c := NewControl(s, start, now)
	for _, r := range s.Rollouts {
		c.apply(r, start)
	}
	if c.set.share == 0 {
		c.set.canary[Prompt], c.set.share = rehearsedCanary, rehearsedShare
	}
	c.set.queueing.Enabled = false
	if c.set.colour == colours[0] {
		c.set.colour = colours[1]
	}
	return c
}

// Restart puts a control plane on which to rehearse back to where it began. The
// revisions go on: who looked before must look again before moving a pin.
func (c *Control) Restart(start time.Time) {
	fresh := NewRehearsal(c.scenario, start, c.now)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range fresh.pins {
		fresh.pins[i].Revision = c.pins[i].Revision + 1
	}
	c.pins, c.since, c.proven, c.set, c.ledger = fresh.pins, fresh.since, fresh.proven, fresh.set, fresh.ledger
	for _, name := range settingNames() {
		c.moved[name]++
	}
	c.changes = nil
	c.revision++
}

func component(name string) (int, error) {
	if i := slices.Index(Components[:], name); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("%w component %q; there are %s", ErrUnknown, name, strings.Join(Components[:], ", "))
}

// Pin returns the pin of a component.
func (c *Control) Pin(name string) (Pin, error) {
	i, err := component(name)
	if err != nil {
		return Pin{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pins[i], nil
}

// SetPin moves the pin of a component to a known version if its revision is
// still the one given; otherwise it returns the pin as it is and ErrMoved.
func (c *Control) SetPin(name, version string, revision int) (Pin, error) {
	i, err := component(name)
	if err != nil {
		return Pin{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.scenario.version(i, version) == nil {
		return c.pins[i], fmt.Errorf("%w: %s has no version %q; known are %s",
			ErrVersion, name, version, strings.Join(c.scenario.names(i), ", "))
	}
	if revision != c.pins[i].Revision {
		return c.pins[i], fmt.Errorf("%w: %s is %s now, revision %d", ErrMoved, name, c.pins[i].Version, c.pins[i].Revision)
	}
	c.move(i, version, c.now(), actorAdmin)
	return c.pins[i], nil
}

// move sets a pin; the caller holds the lock.
func (c *Control) move(i int, version string, at time.Time, actor string) {
	p := &c.pins[i]
	if p.Version == version {
		return
	}
	was := p.Version
	*p = Pin{Component: p.Component, Version: version, Revision: p.Revision + 1, Since: at, Last: was}
	c.since[i][version] = at
	c.set.live[i] = version
	c.note(Change{at, p.Component, was, version, actor})
}

// note records a change that was just made; the caller holds the lock.
func (c *Control) note(ch Change) {
	c.revision++
	c.moved[settingOf(ch.What)]++
	c.changes = append(c.changes, ch)
	c.judge(ch)
}

// apply makes a change of the scenario.
func (c *Control) apply(r Rollout, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Canary > 0 {
		c.set.canary, c.set.share = r.Set, r.Canary
		c.note(Change{at, StageCanary, "", fmt.Sprintf("%s at %g%%", r.Set.describe(), 100*r.Canary), actorDeploy})
		return
	}
	if r.Colour != "" {
		c.switchTo(r.Colour, c.set.live.over(r.Set), at, actorDeploy)
		return
	}
	c.moveAll(r.Set, at, actorDeploy)
}

func (c *Control) moveAll(to Versions, at time.Time, actor string) {
	for i, v := range to {
		if v != "" {
			c.move(i, v, at, actor)
		}
	}
}

func (v Versions) describe() string {
	var out []string
	for i, name := range v {
		if name != "" {
			out = append(out, Components[i]+" "+name)
		}
	}
	return strings.Join(out, ", ")
}

// Versions lists the versions of a component, in the catalogue's order.
func (c *Control) Versions(name string) ([]VersionState, error) {
	i, err := component(name)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	good := c.lastGood(i)
	var out []VersionState
	for _, v := range c.scenario.Versions[i] {
		out = append(out, VersionState{
			Version: v.Name, Note: v.Note, Since: c.since[i][v.Name],
			Live: v.Name == c.pins[i].Version, Good: c.proven[i][v.Name], LastGood: v.Name == good,
		})
	}
	return out, nil
}

// lastGood is the version that last lived for days: the live one, unless it is
// new, else the one before it. What was deployed a minute ago is not known to be good.
func (c *Control) lastGood(i int) string {
	best := ""
	for name := range c.proven[i] {
		switch {
		case name == c.pins[i].Version:
			return name
		case best == "", c.since[i][name].After(c.since[i][best]):
			best = name
		}
	}
	return best
}

// State is everything that is set, for the admin API.
type State struct {
	Live     map[string]string  `json:"versions"`
	Manifest string             `json:"manifest"`
	Canary   *CanaryState       `json:"canary"`
	Features map[string]bool    `json:"features"`
	Queueing Queueing           `json:"queueing"`
	Budgets  map[string]float64 `json:"budgets_usd"`
	Enforced []string           `json:"budgets_enforced"`
}

// CanaryState is the canary that is live beside.
type CanaryState struct {
	Versions map[string]string `json:"versions"`
	Manifest string            `json:"manifest"`
	Share    float64           `json:"share"`
}

// State returns what is set now.
func (c *Control) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := State{
		Live: c.set.live.byName(), Manifest: c.set.live.Manifest(), Features: map[string]bool{},
		Queueing: c.set.queueing, Budgets: map[string]float64{}, Enforced: []string{},
	}
	if c.set.share > 0 {
		v := c.set.live.over(c.set.canary)
		s.Canary = &CanaryState{v.byName(), v.Manifest(), c.set.share}
	}
	for _, f := range features {
		s.Features[f] = !c.set.disabled[f]
	}
	for _, name := range tenantNames() {
		s.Features[tenantFeature+name] = true
	}
	for f, off := range c.set.disabled {
		if off {
			s.Features[f] = false
		}
	}
	for i, scope := range budgetScopes {
		s.Budgets[scope] = c.set.budgets[i]
		if c.set.enforce[scope] {
			s.Enforced = append(s.Enforced, scope)
		}
	}
	return s
}

// SetFeature switches a feature on or off.
func (c *Control) SetFeature(name string, on bool) error {
	if !knownFeature(name) {
		return fmt.Errorf("%w feature %q; there are %s and %sNAME", ErrUnknown, name, strings.Join(features[:], ", "), tenantFeature)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if was := !c.set.disabled[name]; was != on {
		c.set.disabled = maps.Clone(c.set.disabled) // the engine may be reading the old one
		c.set.disabled[name] = !on
		c.note(Change{c.now(), "feature " + name, onOff(was), onOff(on), actorAdmin})
	}
	return nil
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// standing returns when the trouble begins and since when it is mitigated.
func (c *Control) standing() (began, mitigated time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ledger.began, c.ledger.mitigated
}

// acted returns what people changed, and when the trouble began and was mitigated.
func (c *Control) acted() (actions []Action, began, mitigated time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Action{}, c.ledger.actions...), c.ledger.began.UTC(), c.ledger.mitigated
}

// pinned returns the live versions, those of the canary, and the features that are off.
func (c *Control) pinned() (live, canary Versions, disabled map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.set.live, c.set.canary, c.set.disabled
}

// read returns the settings, their revision, and the changes since the last call.
func (c *Control) read() (settings, int, []Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changes := c.changes
	c.changes = nil
	return c.set, c.revision, changes
}
