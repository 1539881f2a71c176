package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/runbooks/pin"
	"rollcall/sources"
	"rollcall/sources/signal/rollout"
	"rollcall/store/journal"
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

// compared returns the last good manifest before the request, and how the request
// differs from it. That is the newest one of the day before which was live, in the
// request's own rollout stage, without a bad verdict in health, quality or safety. Where a
// person has marked a version good, that version stands in it, whatever was measured.
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
	marks := a.marks(ctx, service)
	if len(t.Changes) == 0 {
		if len(marks) > 0 {
			return a.marked(r, marks, maps.Clone(own), own, t.Changes, answer)
		}
		answer.Note = "no change in the day before the request"
		return nil, nil, answer
	}
	// Walk back: before the newest change the manifest had that change's other side.
	past := maps.Clone(own)
	tried := 0
	for i := len(t.Changes) - 1; i >= 0 && tried < candidates; i-- {
		c := t.Changes[i]
		if c.Silent || !c.OfVersion() || !rollout.IsLive(c.Stage) && c.Stage != r.Stage {
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
		answer.Note = fmt.Sprintf("good until %s", c.At.UTC().Format("15:04:05Z"))
		if len(marks) > 0 {
			return a.marked(r, marks, past, own, t.Changes, answer)
		}
		m := &sources.Manifest{Environment: r.Environment, Versions: past}
		if i > 0 {
			m.ID = t.Changes[i-1].Manifest
		}
		answer.Found = true
		return m, diff(m.Versions, own, t.Changes), answer
	}
	if len(marks) > 0 {
		return a.marked(r, marks, maps.Clone(own), own, t.Changes, answer)
	}
	answer.Note = "no earlier manifest of that day was good"
	return nil, nil, answer
}

// marked puts the versions that people marked good into a manifest.
func (a *App) marked(r *sources.Request, marks map[sources.Component]string, past, own map[sources.Component]string, changes []sources.Change, answer sources.Answer) (*sources.Manifest, []sources.Change, sources.Answer) {
	var said []string
	for _, c := range sources.Components {
		if v := marks[c]; v != "" {
			past[c] = v
			said = append(said, string(c)+" "+v)
		}
	}
	answer.Found = true
	answer.Note = line(strings.TrimPrefix(answer.Note+"; "+strings.Join(said, ", ")+" marked good", "; "))
	return &sources.Manifest{Environment: r.Environment, Versions: past}, diff(past, own, changes), answer
}

// marks are the versions that people marked good, the newest mark of each component,
// whenever it was made. Without a journal there are none.
func (a *App) marks(ctx context.Context, service string) map[sources.Component]string {
	j, err := a.ReadJournal()
	if err != nil {
		return nil
	}
	entries, err := j.Entries(ctx, journal.Filter{Kinds: []journal.Kind{journal.GoodMarked}, Service: service, Newest: true})
	if err != nil {
		a.log.Warn("marks of good versions could not be read", "err", err)
		return nil
	}
	out := map[sources.Component]string{}
	for _, e := range slices.Backward(entries) { // oldest first
		var d pin.GoodMarked
		if e.Environment != a.cfg.Services[service].Environment || json.Unmarshal(e.Data, &d) != nil || d.Rehearsal || out[d.Component] != "" {
			continue
		}
		out[d.Component] = d.Version
	}
	return out
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
