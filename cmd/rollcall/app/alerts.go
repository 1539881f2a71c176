package app

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/runbooks"
	"rollcall/sources"
	"rollcall/sources/prom"
	"rollcall/sources/signal"
	"rollcall/store/alerts"
	"rollcall/store/journal"
)

const (
	// alertTime is how long a list of alerts waits for a source, in wall time;
	// what comes later counts for the next list.
	alertTime = 4 * time.Second
	// alertEntries bounds what of the journal a list is made of, the newest.
	alertEntries = 5000
	// bookAge is how long it is remembered which runbook is for which signal, in wall time.
	bookAge = time.Minute
)

// told keeps the last answers of the sources of alerts.
type told struct {
	mu       sync.Mutex
	prom, am answered

	books   map[string]*suggestions // by service
	checked map[string]time.Time
}

type answered struct {
	alerts   []sources.Alert
	rules    []sources.Rule
	silences []sources.Silence
	facts    sources.Facts
	at       time.Time // wall time; zero before the first
}

// as is the last answer as a list takes it, when the present one failed with err.
func (w *answered) as(err error, wall time.Time) *alerts.Told {
	t := &alerts.Told{Alerts: w.alerts, Facts: w.facts, Never: w.at.IsZero()}
	if err != nil {
		t.Err = line(err.Error())
		if !t.Never {
			t.Age = wall.Sub(w.at)
		}
	}
	return t
}

// Alerts lists what fires, lately fired, and is about to fire for a service at
// the view's time: rollcall's own verdicts and what Prometheus and Alertmanager
// tell. snap is what is on the screen; nil reads it. A source that does not answer
// is a matter of the list, which then has its last answer, and its age.
func (a *App) Alerts(ctx context.Context, service string, v sources.View, snap *signal.Snapshot) (*alerts.List, error) {
	s, err := a.service(service)
	if err != nil {
		return nil, err
	}
	if snap == nil || snap.Service != service {
		if snap, err = a.Snapshot(ctx, service, v, ""); err != nil {
			return nil, err
		}
	}
	now := v.End(a.clock.Now())
	in := alerts.Input{
		Service: service, Now: now, Readings: snap.Verdicts(), Keep: max(v.Range, time.Hour), Scope: matchersIn(s.Scope),
		Notes: map[string]string{},
	}
	var wg sync.WaitGroup
	wg.Go(func() { in.Prometheus, in.Rules = a.promAlerts(ctx, v, in.Notes) })
	var notes map[string]string // not shared with the other
	wg.Go(func() {
		notes = map[string]string{}
		in.Alertmanager, in.Silences = a.managedAlerts(ctx, v, notes)
	})
	wg.Wait()
	for k, n := range notes {
		in.Notes[k] = n
	}
	f := journal.Filter{Service: service, Kinds: alerts.Kinds(), Limit: alertEntries, Newest: true}
	if !v.Live() {
		f.Until = now
	}
	switch in.Entries, err = a.Entries(ctx, f); {
	case err != nil:
		in.Notes[alerts.Rollcall] = "the journal cannot be read, so what fired before is not known: " + line(err.Error())
	}
	books := a.suggestions(ctx, service)
	in.Runbook = func(x *alerts.Alert) string { return books.of(x, snap) }
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return alerts.Merge(in), nil
}

// promAlerts asks Prometheus what fires and by which rules; of the past, its
// series of alerts.
func (a *App) promAlerts(ctx context.Context, v sources.View, notes map[string]string) (*alerts.Told, []sources.Rule) {
	if a.prom == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, alertTime)
	defer cancel()
	if !v.Live() {
		return a.pastAlerts(ctx, v.At), nil
	}
	var now answered
	var err, rulesErr error
	var wg sync.WaitGroup
	wg.Go(func() { now.alerts, now.facts, err = a.prom.Alerts(ctx) })
	wg.Go(func() { now.rules, _, rulesErr = a.prom.Rules(ctx) })
	wg.Wait()
	var e *prom.Error
	if errors.As(err, &e) && !e.Unreachable() {
		notes[alerts.Prometheus] = line(e.Text)
		return &alerts.Told{}, nil
	}
	a.told.mu.Lock()
	defer a.told.mu.Unlock()
	was := &a.told.prom
	switch {
	case err != nil:
		return was.as(tooLate(ctx, err), a.clock.Wall()), was.rules
	case rulesErr != nil:
		now.rules = was.rules
		notes[alerts.Prometheus] = "its rules could not be read: " + line(tooLate(ctx, rulesErr).Error())
	default:
		notes[alerts.Prometheus] = failing(now.rules)
	}
	now.at = a.clock.Wall()
	*was = now
	return was.as(nil, now.at), now.rules
}

// failing names rules that fail: what hangs on them never fires.
func failing(rules []sources.Rule) string {
	var names []string
	for i := range rules {
		if !rules[i].Healthy {
			names = append(names, rules[i].Name)
		}
	}
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return "its rule " + names[0] + " fails, so what hangs on it never fires"
	default:
		return fmt.Sprintf("%d of its rules fail, such as %s: what hangs on them never fires", n, names[0])
	}
}

// pastAlerts reads the series that Prometheus keeps of its own alerts.
func (a *App) pastAlerts(ctx context.Context, at time.Time) *alerts.Told {
	list, facts, err := a.prom.Query(ctx, "ALERTS", at)
	if err != nil {
		return &alerts.Told{Err: line(tooLate(ctx, err).Error()), Never: true, Facts: facts}
	}
	since, _, err := a.prom.Query(ctx, "ALERTS_FOR_STATE", at)
	if err != nil {
		since = nil // only since when is not known
	}
	began := map[string]time.Time{}
	for i := range since {
		if p := since[i].Points; len(p) > 0 && p[len(p)-1].V > 0 && p[len(p)-1].V < 1e11 {
			began[labelWords(since[i].Labels)] = time.Unix(int64(p[len(p)-1].V), 0).UTC()
		}
	}
	t := &alerts.Told{Facts: facts}
	for i := range list {
		labels := list[i].Labels
		state := sources.AlertState(labels["alertstate"])
		if state != sources.AlertFiring && state != sources.AlertPending {
			continue
		}
		delete(labels, "alertstate")
		delete(labels, "__name__")
		t.Alerts = append(t.Alerts, sources.Alert{Name: labels["alertname"], State: state, Labels: labels, Since: began[labelWords(labels)], Source: alerts.Prometheus})
	}
	return t
}

func labelWords(labels map[string]string) string {
	names := make([]string, 0, len(labels))
	for k := range labels {
		if k != "__name__" && k != "alertstate" {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	for _, k := range names {
		fmt.Fprintf(&b, "%q=%q,", k, labels[k])
	}
	return b.String()
}

// managedAlerts asks the Alertmanager what it was told, and what it keeps silent.
func (a *App) managedAlerts(ctx context.Context, v sources.View, notes map[string]string) (*alerts.Told, []sources.Silence) {
	switch {
	case a.alerts == nil:
		return nil, nil
	case !v.Live():
		notes[alerts.Alertmanager] = "it tells only of now, not of the past"
		return &alerts.Told{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, alertTime)
	defer cancel()
	var now answered
	var err, silencesErr error
	var wg sync.WaitGroup
	wg.Go(func() { now.alerts, now.facts, err = a.alerts.Alerts(ctx) })
	wg.Go(func() { now.silences, _, silencesErr = a.alerts.Silences(ctx) })
	wg.Wait()
	a.told.mu.Lock()
	defer a.told.mu.Unlock()
	was := &a.told.am
	if err != nil {
		return was.as(tooLate(ctx, err), a.clock.Wall()), was.silences
	}
	if silencesErr != nil {
		now.silences = was.silences
		notes[alerts.Alertmanager] = "its silences could not be read: " + line(tooLate(ctx, silencesErr).Error())
	}
	now.at = a.clock.Wall()
	*was = now
	return was.as(nil, now.at), now.silences
}

// tooLate says that a source took too long rather than how its read ended.
func tooLate(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", alertTime)
	}
	return err
}

// oneMatcher is one of a list of matchers as PromQL writes them.
var oneMatcher = regexp.MustCompile("([a-zA-Z_][a-zA-Z0-9_]*)\\s*(=~|!~|!=|=)\\s*(\"(?:\\\\.|[^\"\\\\])*\"|`[^`]*`)")

// matchersIn reads a service's scope, which the configuration has checked.
func matchersIn(scope string) []sources.Matcher {
	var out []sources.Matcher
	for _, m := range oneMatcher.FindAllStringSubmatch(scope, -1) {
		v, err := strconv.Unquote(m[3])
		if err != nil {
			continue
		}
		out = append(out, sources.Matcher{Name: m[1], Value: v, Regex: strings.HasSuffix(m[2], "~"), Not: m[2][0] == '!'})
	}
	return out
}

// suggestions are the runbooks that may be run, and those for each signal.
type suggestions struct {
	ids    map[string]bool
	signal map[string][]*runbooks.Runbook
}

// suggestions reads which runbook is for which signal, now and then.
func (a *App) suggestions(ctx context.Context, service string) *suggestions {
	a.told.mu.Lock()
	s, at := a.told.books[service], a.told.checked[service]
	a.told.mu.Unlock()
	if s != nil && a.clock.Wall().Sub(at) < bookAge {
		return s
	}
	fresh := &suggestions{ids: map[string]bool{}, signal: map[string][]*runbooks.Runbook{}}
	list, err := a.runbookList(ctx, service)
	if err != nil {
		a.log.Warn("which runbooks there are is not known", "err", err)
		return fresh
	}
	for i := range list {
		if rb := list[i].Runbook; rb != nil && len(mistakes(list[i].Problems)) == 0 {
			fresh.ids[rb.ID] = true
			for _, id := range rb.Suggest {
				fresh.signal[id] = append(fresh.signal[id], rb)
			}
		}
	}
	for id, books := range fresh.signal { // whom it is most typical of comes first
		slices.SortStableFunc(books, func(a, b *runbooks.Runbook) int {
			return slices.Index(a.Suggest, id) - slices.Index(b.Suggest, id)
		})
	}
	a.told.mu.Lock()
	defer a.told.mu.Unlock()
	if a.told.books == nil {
		a.told.books, a.told.checked = map[string]*suggestions{}, map[string]time.Time{}
	}
	a.told.books[service], a.told.checked[service] = fresh, a.clock.Wall()
	return fresh
}

// of suggests a runbook for an alert: what it names itself, in a label or an
// annotation; for a signal what the verdict line says, or else one that offers
// itself for it, of the component that changed before the others.
func (s *suggestions) of(a *alerts.Alert, snap *signal.Snapshot) string {
	for _, set := range []map[string]string{a.Annotations, a.Labels} {
		for _, k := range []string{"rollcall_runbook", "runbook"} {
			if s.ids[set[k]] {
				return set[k]
			}
		}
	}
	sig := a.Signal
	if sig == "" {
		sig = a.Labels["signal"]
	}
	if sig == "" || snap == nil {
		return ""
	}
	l := &snap.Line
	if slices.Contains(l.Signals, sig) && s.ids[l.Runbook] {
		return l.Runbook
	}
	list := s.signal[sig]
	for _, rb := range list {
		if l.Change != nil && rb.Component == l.Change.Component {
			return rb.ID
		}
	}
	if len(list) > 0 {
		return list[0].ID
	}
	return ""
}
