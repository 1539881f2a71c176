package app

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"rollcall/sources"
)

const (
	// changesBefore is how far back from a request the last good manifest is sought.
	changesBefore = 24 * time.Hour
	// judgedBefore is how long before its end a manifest is judged: its last
	// readings look back over a window of its own.
	judgedBefore = time.Minute
	candidates   = 3
)

// lastGood remembers how manifests of the past were judged: that does not change.
type lastGood struct {
	mu    sync.Mutex
	known map[string]bool // service and end of the manifest → it was good
}

// compared returns the newest manifest before the request that lived without a
// bad verdict, and how the request differs from it.
func (a *App) compared(ctx context.Context, service string, r *sources.Request) (*sources.Manifest, []sources.Change, sources.Answer) {
	answer := sources.Answer{Source: "manifest"}
	since := r.Time.Add(-changesBefore)
	t, err := a.moves.Read(ctx, service, since, r.Time.Add(time.Minute), changeStep(changesBefore))
	if err != nil {
		answer.Note = line(err.Error())
		return nil, nil, answer
	}
	own := map[sources.Component]string{}
	for _, c := range sources.Components {
		if v := r.Version(c); v != "" {
			own[c] = v
		} else if v := t.Live.Versions[c]; v != "" {
			own[c] = v
		}
	}
	if len(t.Changes) == 0 {
		answer.Note = "no change in the day before the request"
		return nil, nil, answer
	}
	// Walk back: before the newest change the manifest had that change's other side.
	past := maps.Clone(own)
	tried := 0
	for i := len(t.Changes) - 1; i >= 0 && tried < candidates; i-- {
		c := t.Changes[i]
		if c.Silent {
			continue
		}
		past[c.Component] = c.From
		if i > 0 && c.At.Sub(t.Changes[i-1].At) < 2*judgedBefore {
			continue // one deployment moved several components
		}
		tried++
		good, err := a.wasGood(ctx, service, c.At.Add(-judgedBefore))
		if err != nil {
			answer.Note = line(err.Error())
			return nil, nil, answer
		}
		if !good {
			continue
		}
		m := &sources.Manifest{Environment: r.Environment, Versions: past}
		if i > 0 {
			m.ID = t.Changes[i-1].Manifest
		}
		answer.Found = true
		answer.Note = fmt.Sprintf("good until %s", c.At.UTC().Format("15:04:05Z"))
		return m, diff(m.Versions, own, t.Changes), answer
	}
	answer.Note = "no earlier manifest of that day was good"
	return nil, nil, answer
}

// diff lists the components in which the request differs, with the change that did it.
func diff(good, own map[sources.Component]string, changes []sources.Change) []sources.Change {
	var out []sources.Change
	for _, c := range sources.Components {
		if own[c] == good[c] || own[c] == "" {
			continue
		}
		d := sources.Change{Component: c, From: good[c], To: own[c], Source: "requests"}
		for _, ch := range changes {
			if ch.Component == c && ch.To == own[c] && !ch.Silent {
				d.At, d.Manifest, d.Stage, d.Source, d.Evidence = ch.At, ch.Manifest, ch.Stage, ch.Source, ch.Evidence
			}
		}
		out = append(out, d)
	}
	return out
}

// wasGood tells whether nothing was bad at a time of the past.
func (a *App) wasGood(ctx context.Context, service string, at time.Time) (bool, error) {
	key := service + "@" + at.Truncate(time.Second).Format(time.RFC3339)
	a.good.mu.Lock()
	good, known := a.good.known[key]
	a.good.mu.Unlock()
	if known {
		return good, nil
	}
	s, err := a.eval.Snapshot(ctx, service, sources.View{At: at, Range: 15 * time.Minute, Columns: 15}, sources.QualityPane)
	if err != nil {
		return false, err
	}
	// Money spent does not speak against a manifest: a budget runs out under any.
	unseen := false
	good = true
	for _, p := range []sources.Pane{sources.HealthPane, sources.QualityPane, sources.SafetyPane} {
		worst := s.Worst(p)
		good = good && worst != sources.Bad
		unseen = unseen || worst == sources.Unreachable
	}
	if !unseen {
		a.good.mu.Lock()
		if len(a.good.known) > 512 {
			clear(a.good.known)
		}
		a.good.known[key] = good
		a.good.mu.Unlock()
	}
	return good, nil
}
