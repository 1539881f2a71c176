package manifest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
)

// The value of these expressions is the time of the newest sample: a series that
// ended keeps answering for five minutes, but its sample time stands still.
const (
	deployed = `max by (prompt, model, tools, index, policy, manifest, stage, environment) (timestamp(llmops_deployment_info{$scope}))`
	served   = `max by (model, served, fingerprint) (timestamp(llmops_served_model_info{$scope}))`
)

// Queries returns the PromQL that a timeline needs.
func Queries(scope string) []string {
	return []string{scoped(deployed, scope), scoped(served, scope), scoped(disabled, scope), scoped(fallen, scope)}
}

func scoped(expr, scope string) string { return strings.ReplaceAll(expr, "$scope", scope) }

// maxLabelSets is far above any history of deployments in one range.
const maxLabelSets = 2000

func exploded(metric string, n int) string {
	return fmt.Sprintf("%s has %d label sets: one of its labels holds something else than versions; what it says is left out", metric, n)
}

// apart is how much older a series' newest sample may be than the newest of all
// before the series counts as ended: one slow scrape, and a bit.
const apart = 70 * time.Second

// tailStep is the coarsest step that still shows what happens now.
const tailStep = 30 * time.Second

type metricTimeline struct {
	changes []sources.Change
	live    sources.Manifest
	stages  []Stage
	doubts  []string
	facts   sources.Facts
}

func (r *Reader) metrics(ctx context.Context, service string, since, until time.Time, step time.Duration) (metricTimeline, error) {
	var out metricTimeline
	budget := maxRefined
	expr := scoped(deployed, r.scopes[service])
	series, facts, err := r.series(ctx, expr, since, until, step)
	out.facts = facts
	if err != nil {
		return out, err
	}
	look := func(expr string) refine {
		return func(s sources.Series, before, after time.Time) time.Time {
			return r.start(ctx, service, expr, s, before, after, &budget)
		}
	}
	if len(series) > maxLabelSets {
		out.doubts = append(out.doubts, exploded("llmops_deployment_info", len(series)))
		series = nil
	}
	stages := tracks(series, "stage", look(expr))
	out.changes = deploymentChanges(stages)
	out.live = liveManifest(stages)
	out.stages = stagesOf(stages)
	out.doubts = append(out.doubts, contradictions(stages, until, &out.live)...)

	expr = scoped(served, r.scopes[service])
	series, facts, err = r.series(ctx, expr, since, until, step)
	if err != nil {
		return out, err
	}
	out.facts.Warnings = append(slices.Clip(out.facts.Warnings), facts.Warnings...)
	if len(series) > maxLabelSets {
		out.doubts = append(out.doubts, exploded("llmops_served_model_info", len(series)))
		series = nil
	}
	out.changes = append(out.changes, silentChanges(tracks(series, "model", look(expr)), out.changes)...)
	for _, read := range []func() ([]sources.Change, string, error){
		func() ([]sources.Change, string, error) { return r.features(ctx, service, since, until, step) },
		func() ([]sources.Change, string, error) { return r.fallbacks(ctx, service, since, until, step) },
	} {
		found, doubt, err := read()
		switch {
		case err != nil && ctx.Err() != nil:
			return out, ctx.Err()
		case err != nil:
			out.facts.Partial = "features and fallbacks may be missing: " + err.Error()
		case doubt != "":
			out.doubts = append(out.doubts, doubt)
		}
		out.changes = append(out.changes, found...)
	}
	slices.SortStableFunc(out.changes, func(a, b sources.Change) int { return a.At.Compare(b.At) })
	return out, nil
}

// series reads a range, and where its steps are coarse the time since the last
// whole step with finer ones: a change of this minute shows in the view of a week.
func (r *Reader) series(ctx context.Context, expr string, since, until time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	series, facts, err := r.prom.Range(ctx, expr, since, until, step)
	fine := max(tailStep, step/60).Truncate(time.Second)
	if err != nil || step <= tailStep || until.Sub(until.Truncate(step)) < fine {
		return series, facts, err
	}
	whole := until.Truncate(step)
	tail, facts, err := r.prom.Range(ctx, expr, whole.Add(fine), until, fine)
	if err != nil {
		return nil, facts, err
	}
	out := slices.Clone(series)
	for _, s := range tail {
		from, _ := slices.BinarySearchFunc(s.Points, whole, func(p sources.Point, t time.Time) int {
			if p.T.After(t) {
				return 1
			}
			return -1
		})
		if from == len(s.Points) {
			continue
		}
		i := slices.IndexFunc(out, func(o sources.Series) bool { return maps.Equal(o.Labels, s.Labels) })
		if i < 0 {
			out = append(out, sources.Series{Labels: s.Labels, Points: s.Points[from:]})
			continue
		}
		out[i].Points = append(slices.Clip(out[i].Points), s.Points[from:]...)
	}
	return out, facts, nil
}

// refine finds the first sample of a series between two grid times.
type refine func(s sources.Series, before, after time.Time) time.Time

// phase is a span of time during which one label set was current in its track.
type phase struct {
	at     time.Time // when it became current
	known  bool      // whether that was seen, rather than the range beginning with it
	labels map[string]string
}

// track is the history of one group of series: a rollout stage, or a pinned model.
type track struct {
	name   string
	phases []phase
	ended  time.Time // last sample, when nothing of the track is there at the end
	claims []claim   // all that are there at the end, newest first
}

// claim is one label set that is there at the end.
type claim struct {
	labels map[string]string
	since  time.Time
	known  bool // since was seen, rather than the range beginning with it
}

// tracks groups the series by a label and says which one was current when: of
// those present, the one that started last.
func tracks(series []sources.Series, by string, look refine) []track {
	type state struct {
		sources.Series
		next    int       // first point not yet walked
		start   time.Time // first sample of the present stretch
		sample  time.Time // newest sample
		present bool
		known   bool // start was seen
	}
	groups := map[string][]*state{}
	var all []*state
	grid := map[int64]bool{}
	interval := time.Duration(math.MaxInt64)
	for _, s := range series {
		st := &state{Series: s}
		all = append(all, st)
		groups[s.Labels[by]] = append(groups[s.Labels[by]], st)
		for i, p := range s.Points {
			grid[p.T.UnixMilli()] = true
			if i > 0 {
				if d := at(p).Sub(at(s.Points[i-1])); d > 0 && d < interval {
					interval = d
				}
			}
		}
	}
	gone := apart
	if interval < 10*time.Minute {
		gone = max(gone, interval+interval/5)
	}
	names := slices.Sorted(maps.Keys(groups))
	out := make([]track, len(names))
	current := make([]*state, len(names))
	for i, n := range names {
		out[i].name = n
	}
	times := slices.Sorted(maps.Keys(grid))
	for i, ms := range times {
		t := time.UnixMilli(ms).UTC()
		before := t
		if i > 0 {
			before = time.UnixMilli(times[i-1]).UTC()
		}
		var newest time.Time
		answered := map[*state]bool{}
		for _, s := range all {
			if s.next < len(s.Points) && s.Points[s.next].T.UnixMilli() == ms {
				v := at(s.Points[s.next])
				s.next++
				answered[s] = true
				if v.After(newest) {
					newest = v
				}
				if !s.present {
					// Not "present" until its sample time moves past the one it ended with.
					if !v.After(s.sample) {
						answered[s] = false
						continue
					}
					s.start = v
				}
				s.sample = v
			}
		}
		for _, s := range all {
			was := s.present
			s.present = answered[s] && newest.Sub(s.sample) < gone
			if s.present && !was && i > 0 {
				s.start, s.known = look(s.Series, before, s.sample), true
			}
		}
		for g, n := range names {
			var best *state
			for _, s := range groups[n] {
				if s.present && (best == nil || later(s.start, best.start, s.sample, best.sample)) {
					best = s
				}
			}
			was := current[g]
			switch {
			case best == was || best == nil && was == nil:
				continue
			case best == nil:
				out[g].ended = was.sample
				current[g] = nil
				continue
			}
			when := best.start
			if was != nil && !best.start.After(was.start) {
				when = was.sample // the newer one ended, the older one stayed
			}
			out[g].ended = time.Time{}
			current[g] = best
			if last := len(out[g].phases) - 1; last >= 0 && sameLabels(out[g].phases[last].labels, best.Labels) {
				continue // back after a gap
			}
			out[g].phases = append(out[g].phases, phase{at: when, known: i > 0, labels: best.Labels})
		}
	}
	for g, n := range names {
		for _, s := range groups[n] {
			if s.present {
				out[g].claims = append(out[g].claims, claim{s.Labels, s.start, s.known})
			}
		}
		slices.SortStableFunc(out[g].claims, func(a, b claim) int { return b.since.Compare(a.since) })
	}
	return out
}

func later(a, b, sampleA, sampleB time.Time) bool {
	if c := a.Compare(b); c != 0 {
		return c > 0
	}
	return sampleA.After(sampleB)
}

// at is the time of the sample behind a point. A sample of the future is one of a clock that is off.
func at(p sources.Point) time.Time {
	if math.IsNaN(p.V) || p.V < 0 || p.V*1000 > float64(p.T.UnixMilli()) {
		return p.T
	}
	return time.UnixMilli(int64(p.V * 1000)).UTC()
}

// start looks for the first sample of a series between two grid times and remembers it.
func (r *Reader) start(ctx context.Context, service, expr string, s sources.Series, before, sample time.Time, budget *int) time.Time {
	if sample.Sub(before) <= 20*time.Second {
		return sample
	}
	id := identity(s.Labels)
	k := startKey{service, expr, id, before}
	r.mu.Lock()
	known, ok := r.starts[k]
	r.mu.Unlock()
	if ok {
		return known
	}
	if *budget <= 0 {
		return sample
	}
	*budget--
	step := max(sample.Sub(before)/30, 5*time.Second).Truncate(time.Second)
	fine, _, err := r.fine.Range(ctx, expr, before.Add(step), sample, step)
	if err != nil {
		return sample // coarser, still true; the next refresh asks again
	}
	found := sample
	for _, f := range fine {
		if identity(f.Labels) != id {
			continue
		}
		for _, p := range f.Points {
			if v := at(p); v.After(before) {
				if v.Before(found) {
					found = v
				}
				break
			}
		}
	}
	r.mu.Lock()
	if len(r.starts) >= maxStarts {
		clear(r.starts)
	}
	r.starts[k] = found
	r.mu.Unlock()
	return found
}

func identity(labels map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(k + "\x00" + labels[k] + "\x00")
	}
	return b.String()
}

func sameLabels(a, b map[string]string) bool { return maps.Equal(a, b) }

// rank orders rollout stages: which of them is what most users get.
func rank(stage string) int {
	i := slices.Index([]string{"live", "stable", "production", "prod", ""}, stage)
	if i < 0 {
		return 100
	}
	return i
}

// deploymentChanges compares each phase with the one before it in its stage, and
// the first phase of a further stage (a canary) with what was live then.
func deploymentChanges(stages []track) []sources.Change {
	slices.SortStableFunc(stages, func(a, b track) int { return cmp.Compare(rank(a.name), rank(b.name)) })
	var out []sources.Change
	for i, st := range stages {
		for j, p := range st.phases {
			if !p.known {
				continue
			}
			var from map[string]string
			switch {
			case j > 0:
				from = st.phases[j-1].labels
			case i > 0:
				from = phaseAt(stages[0], p.at)
			}
			if from == nil {
				continue
			}
			out = append(out, diff(p.at, from, p.labels)...)
		}
		if i > 0 && !st.ended.IsZero() && len(st.phases) > 0 {
			// A canary that went away without being promoted went back to what is live.
			live, last := phaseAt(stages[0], st.ended.Add(apart)), st.phases[len(st.phases)-1].labels
			if live != nil {
				for _, c := range diff(st.ended, last, live) {
					c.Stage = st.name
					out = append(out, c)
				}
			}
		}
	}
	return out
}

func phaseAt(t track, when time.Time) map[string]string {
	var labels map[string]string
	for _, p := range t.phases {
		if !p.at.After(when) || !p.known {
			labels = p.labels
		}
	}
	return labels
}

func diff(when time.Time, from, to map[string]string) []sources.Change {
	var out []sources.Change
	for _, c := range sources.Components {
		a, b := from[string(c)], to[string(c)]
		if a == b || b == "" {
			continue
		}
		out = append(out, sources.Change{
			At: when, Component: c, From: a, To: b, Stage: to["stage"], Manifest: to["manifest"], Source: "prometheus",
		})
	}
	return out
}

// silentChanges are those where what is served moved while the pinned model did not.
func silentChanges(models []track, deployed []sources.Change) []sources.Change {
	var out []sources.Change
	for _, m := range models {
		for j, p := range m.phases {
			if j == 0 || !p.known {
				continue
			}
			pinMoved := slices.ContainsFunc(deployed, func(c sources.Change) bool {
				return c.Component == sources.Model && c.To == m.name && c.At.Sub(p.at).Abs() < 2*apart
			})
			if pinMoved {
				continue
			}
			c := sources.Change{
				At: p.at, Component: sources.Model, From: m.phases[j-1].labels["served"], To: p.labels["served"],
				Silent: true, Source: "prometheus", Evidence: "pin still " + m.name,
			}
			if c.From == c.To {
				if len(m.claims) > 1 {
					continue // a provider that answers from several systems at once
				}
				c.From, c.To = m.phases[j-1].labels["fingerprint"], p.labels["fingerprint"]
				c.Evidence += ", served name still " + p.labels["served"] + "; the system fingerprint moved"
			}
			out = append(out, c)
		}
	}
	return out
}

func liveManifest(stages []track) sources.Manifest {
	for _, st := range stages {
		if len(st.phases) == 0 || !st.ended.IsZero() {
			continue
		}
		return manifestOf(st.phases[len(st.phases)-1].labels)
	}
	return sources.Manifest{}
}

func manifestOf(l map[string]string) sources.Manifest {
	m := sources.Manifest{ID: l["manifest"], Environment: l["environment"], Stage: l["stage"], Versions: map[sources.Component]string{}}
	for _, c := range sources.Components {
		if v := l[string(c)]; v != "" {
			m.Versions[c] = v
		}
	}
	return m
}

// stagesOf are the manifests that run at the end, what is live first.
func stagesOf(stages []track) []Stage {
	var out []Stage
	for _, st := range stages {
		if len(st.claims) == 0 || len(st.phases) == 0 {
			continue
		}
		p := st.phases[len(st.phases)-1]
		s := Stage{Manifest: manifestOf(p.labels), Claims: len(st.claims)}
		if p.known {
			s.Since = p.at
		}
		out = append(out, s)
	}
	return out
}

// rolling is how long two manifests may be there in one stage: while one takes the other's place.
const rolling = 5 * time.Minute

// contradictions names the stages that two manifests have claimed for longer than a
// deployment takes. What they do not agree on is not known to be live.
func contradictions(stages []track, until time.Time, live *sources.Manifest) []string {
	var out []string
	for i, st := range stages {
		if len(st.claims) < 2 || until.Sub(st.claims[0].since) < rolling {
			continue
		}
		a, b := manifestOf(st.claims[0].labels), manifestOf(st.claims[1].labels)
		var differ []string
		for _, c := range sources.Components {
			if a.Versions[c] == b.Versions[c] {
				continue
			}
			differ = append(differ, fmt.Sprintf("%s %s and %s", c, or(a.Versions[c]), or(b.Versions[c])))
			if i == 0 {
				delete(live.Versions, c)
			}
		}
		if i == 0 {
			live.ID = ""
		}
		if len(differ) == 0 {
			differ = append(differ, fmt.Sprintf("%s and %s", or(a.ID), or(b.ID)))
		}
		stage := ""
		if st.name != "" {
			stage = " in stage " + st.name
		}
		out = append(out, fmt.Sprintf("%d manifests at one time%s: %s", len(st.claims), stage, strings.Join(differ, ", ")))
	}
	return out
}

func or(s string) string { return cmp.Or(s, "(none)") }
