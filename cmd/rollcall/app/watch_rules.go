package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/prom"
	"rollcall/store/alerts"
	"rollcall/store/journal"
)

// What fires elsewhere is journalled by rule, not by alert: people are told of the rule, and a
// flood of its alerts is one entry. Rules with names that change are bounded as well.
const (
	rulesOpen  = 100 // that fire at once, by the journal
	rulesDaily = 300 // that begin to fire within a day of service time
	labelsText = 500 // bytes of the labels that an entry has
)

// outside is what the sources of alerts tell of a service's rules now.
type outside struct {
	raised []alerts.Raised
	sure   map[string]bool // sources whose answer is new and whole: what is not in it does not fire
}

// outside asks Prometheus and Alertmanager; nil where neither is configured.
func (a *App) outside(ctx context.Context, service string) *outside {
	if a.prom == nil && a.alerts == nil {
		return nil
	}
	in := alerts.Input{Service: service, Now: a.clock.Now(), Scope: matchersIn(a.cfg.Services[service].Scope), Notes: map[string]string{}}
	now := sources.View{Range: time.Hour}
	in.Prometheus, in.Rules = a.promAlerts(ctx, now, in.Notes)
	in.Alertmanager, in.Silences = a.managedAlerts(ctx, now, map[string]string{})
	l := alerts.Merge(in)
	whole := func(t *alerts.Told) bool {
		return t != nil && t.Err == "" && !t.Facts.At.IsZero() && !t.Facts.Truncated()
	}
	out := &outside{raised: l.Raised(), sure: map[string]bool{
		alerts.Prometheus: whole(in.Prometheus), alerts.Alertmanager: whole(in.Alertmanager),
	}}
	if l.Total > len(l.Alerts) {
		out.sure = nil
	}
	for i := range out.raised {
		out.raised[i].Name = line(a.intake.redactor.Text(out.raised[i].Name))
		out.raised[i].Severity = line(a.intake.redactor.Text(out.raised[i].Severity))
	}
	return out
}

// ruled is how one rule of others has been over the last looks.
type ruled struct {
	at    time.Time // the last look
	gone  time.Time // since when none of its alerts fires; zero while one does
	flaps int
	worst sources.Num
	most  int // of its alerts that fired at once
}

// observeRules writes down which rules of others began to fire, and which are over.
func (w *watcher) observeRules(ctx context.Context, at time.Time) error {
	if w.outside == nil {
		return nil
	}
	out := w.outside(ctx)
	if out == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	j, err := w.journal()
	if err != nil {
		return err
	}
	j = j.As(watcherName, "collect")
	if err := w.catchUp(ctx, j); err != nil {
		return err
	}
	w.lookAtRules(out, at)
	if len(w.rules(out, at)) == 0 {
		return nil
	}
	wrote, err := j.AppendIf(ctx, func(v *journal.View) ([]journal.Draft, error) {
		if err := w.catchUp(ctx, v); err != nil {
			return nil, err
		}
		return w.rules(out, at), nil
	})
	w.seen.take(wrote)
	return err
}

// lookAtRules takes one answer in.
func (w *watcher) lookAtRules(out *outside, at time.Time) {
	if w.ruled == nil {
		w.ruled = map[string]*ruled{}
	}
	for name := range w.ruled {
		if _, ok := w.seen.rules[name]; !ok {
			delete(w.ruled, name)
		}
	}
	now := map[string]*alerts.Raised{}
	for i := range out.raised {
		now[out.raised[i].Name] = &out.raised[i]
	}
	for name, rule := range w.seen.rules {
		h := w.ruled[name]
		if h == nil {
			h = &ruled{at: at}
			w.ruled[name] = h
		}
		if gap := at.Sub(h.at); gap < 0 || gap > max(holdGap, holdSteps*w.step) {
			h.gone = time.Time{} // for how long it was over is not known
		}
		h.at = at
		r := now[name]
		if r == nil {
			if h.gone.IsZero() && out.sure[rule.source] {
				h.gone = at
			}
			continue
		}
		if !h.gone.IsZero() {
			h.gone = time.Time{}
			h.flaps++
		}
		h.most = max(h.most, r.Alerts)
		if v := extreme(r); v.OK && (!h.worst.OK || below(r) && v.V < h.worst.V || !below(r) && v.V > h.worst.V) {
			h.worst = v
		}
	}
}

// rules are those that began to fire, and those that are over. One whose source does not
// answer goes on.
func (w *watcher) rules(out *outside, at time.Time) []journal.Draft {
	var drafts []journal.Draft
	draft := func(kind journal.Kind, d *journal.AlertData, text string) {
		drafts = append(drafts, journal.Draft{Kind: kind, At: at, Service: w.service, Environment: w.environment, Data: d, Text: text})
	}
	now := map[string]bool{}
	open, today := len(w.seen.rules), w.seen.began(at.Add(-24*time.Hour))
	for i := range out.raised {
		r := &out.raised[i]
		now[r.Name] = true
		if _, ok := w.seen.rules[r.Name]; ok || r.Silenced {
			continue
		}
		if open >= rulesOpen || today >= rulesDaily {
			if !w.flooded {
				w.flooded = true
				w.warn("rules of others fire that the journal does not take up: there are too many", "service", w.service, "open", open, "today", today)
			}
			continue
		}
		open, today = open+1, today+1
		draft(journal.AlertFiring, ruleData(r), labelText(r))
	}
	if open < rulesOpen && today < rulesDaily {
		w.flooded = false
	}
	names := make([]string, 0, len(w.seen.rules))
	for name := range w.seen.rules {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		h := w.ruled[name]
		if now[name] || h == nil || h.gone.IsZero() || at.Sub(h.gone) < holdWell {
			continue
		}
		rule := w.seen.rules[name]
		draft(journal.AlertResolved, &journal.AlertData{
			Alert: name, Label: name, Source: rule.source, Alerts: h.most, Verdict: sources.OK,
			Until: h.gone.UTC(), FiredS: sources.N(max(0, h.gone.Sub(rule.since).Seconds())), Flaps: h.flaps, Worst: h.worst,
		}, "")
	}
	return drafts
}

// ruleData are the numbers of a rule: what its expression is compared with, and the value that
// is farthest on the bad side.
func ruleData(r *alerts.Raised) *journal.AlertData {
	d := &journal.AlertData{
		Alert: r.Name, Label: r.Name, Source: r.Source, Severity: r.Severity, Alerts: r.Alerts, Verdict: sources.Bad, Value: extreme(r), Direction: sources.HigherWorse,
	}
	if !r.Since.IsZero() {
		d.Since = r.Since.UTC()
	}
	if level, low, ok := prom.Threshold(r.Query); ok {
		d.Level = sources.N(level)
		if low {
			d.Direction = sources.LowerWorse
		}
	}
	return d
}

func below(r *alerts.Raised) bool {
	_, low, ok := prom.Threshold(r.Query)
	return ok && low
}

// extreme is the value of the worst of a rule's alerts.
func extreme(r *alerts.Raised) sources.Num {
	switch {
	case len(r.Values) == 0:
		return sources.Num{}
	case below(r):
		return sources.N(slices.Min(r.Values))
	}
	return sources.N(slices.Max(r.Values))
}

// labelText writes the labels of a rule's oldest alert, which are text: they come from outside
// and may have to be erased.
func labelText(r *alerts.Raised) string {
	labels := strings.TrimSuffix(labelWords(r.Labels), ",")
	text := strings.TrimPrefix(labels+"; "+r.Evidence, "; ")
	text = strings.TrimSuffix(text, "; ")
	if len(text) > labelsText {
		text = strings.ToValidUTF8(text[:labelsText], "") + "..."
	}
	return text
}
