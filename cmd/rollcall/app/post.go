package app

import (
	"context"
	"maps"
	"sync"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/alerts"
)

const (
	// postEvery is how often an alert that goes on is told again, and postFor how long
	// it holds without that, in wall time: with whoever tells it gone, it ends by itself.
	postEvery = time.Minute
	postFor   = 4 * time.Minute
	postTime  = 5 * time.Second
)

// poster tells an Alertmanager of the verdicts that fire. Only who watches a
// service does.
type poster struct {
	to interface {
		Post(ctx context.Context, list []sources.Alert) error
	}
	labels map[string]string // on each of them
	clock  sources.Clock
	// runbook suggests one; nil for none.
	runbook func(ctx context.Context, snap *signal.Snapshot, id string) string

	mu   sync.Mutex
	sent map[string]map[string]posted // by service and signal
}

type posted struct {
	alert sources.Alert
	at    time.Time // wall time
}

// tell posts what fires, when it is new or was told long enough ago, and the end of
// what fires no more. What could not be told is told with the next look.
func (p *poster) tell(ctx context.Context, snap *signal.Snapshot, firing map[string]time.Time, environment string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	wall := p.clock.Wall()
	sent := p.sent[snap.Service]
	var list []sources.Alert
	var done []string
	for id, since := range firing {
		if was, ok := sent[id]; ok && wall.Sub(was.at) < postEvery && wall.After(was.at) {
			continue
		}
		a := p.alert(ctx, snap, id, environment)
		// Its age is that of service time; in a drill that passes faster.
		a.Since, a.Ends = wall.Add(-max(0, snap.At.Sub(since))), wall.Add(postFor)
		if was, ok := sent[id]; ok {
			a.Since = was.alert.Since
		}
		list = append(list, a)
	}
	for id, was := range sent {
		if _, ok := firing[id]; !ok {
			a := was.alert
			a.Ends = wall
			list, done = append(list, a), append(done, id)
		}
	}
	if len(list) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	if err := p.to.Post(ctx, list); err != nil {
		return err
	}
	if sent == nil {
		sent = map[string]posted{}
		if p.sent == nil {
			p.sent = map[string]map[string]posted{}
		}
		p.sent[snap.Service] = sent
	}
	for i := range list {
		sent[list[i].Labels[alerts.LabelSignal]] = posted{list[i], wall}
	}
	for _, id := range done {
		delete(sent, id)
	}
	return nil
}

// alert is a verdict as an Alertmanager takes it. Its labels stay the same as
// long as it fires; what moves stands in the annotations.
func (p *poster) alert(ctx context.Context, snap *signal.Snapshot, id, environment string) sources.Alert {
	a := sources.Alert{Name: "rollcall_" + id, Labels: maps.Clone(p.labels), Annotations: map[string]string{}}
	if a.Labels == nil {
		a.Labels = map[string]string{}
	}
	a.Labels[alerts.LabelService], a.Labels[alerts.LabelSignal] = snap.Service, id
	if environment != "" {
		a.Labels["rollcall_environment"] = environment
	}
	if r, ok := snap.Reading(id); ok {
		a.Labels["rollcall_pane"] = string(r.Pane)
		a.Annotations["summary"] = snap.Service + ": " + r.Label + " " + r.Why
		if r.Verdict != sources.Bad && r.Verdict != sources.OK && r.Verdict != sources.Watch {
			a.Annotations["summary"] = snap.Service + ": " + r.Label + " was bad when it was last seen (" + string(r.Verdict) + ")"
		}
	} else {
		a.Annotations["summary"] = snap.Service + ": " + id
	}
	if p.runbook != nil {
		if rb := p.runbook(ctx, snap, id); rb != "" {
			a.Annotations["runbook"] = rb
		}
	}
	return a
}

func (a *App) newPoster() *poster {
	if a.alerts == nil || !a.cfg.Alertmanager.Post || a.once {
		return nil
	}
	return &poster{
		to: a.alerts, labels: a.cfg.Alertmanager.PostLabels, clock: a.clock,
		runbook: func(ctx context.Context, snap *signal.Snapshot, id string) string {
			return a.suggestions(ctx, snap.Service).of(&alerts.Alert{Signal: id}, snap)
		},
	}
}

// firing is what the journal says fires, as of the last look.
func (w *watcher) firing() map[string]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		return nil
	}
	return maps.Clone(w.seen.firing)
}
