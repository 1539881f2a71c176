// Package manifest says which components are live and when they changed, from
// what the service exposes as metrics and from what its requests ran.
package manifest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
	"rollcall/sources/prom/stitch"
)

// Prom evaluates PromQL.
type Prom interface {
	Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error)
}

// RowVersions counts the versions that requests ran, per span of time, oldest first.
type RowVersions interface {
	Versions(ctx context.Context, service string, since, until time.Time, step time.Duration) ([]sources.VersionCount, error)
}

// Timeline is what is known about the components of a service over a range.
type Timeline struct {
	Changes []sources.Change // oldest first
	Live    sources.Manifest // at the end of the range; zero when nobody says
	Stages  []Stage          // that run at the end of the range as far as metrics say, what is live first
	// Beside are the components of which requests ran two versions in the same minutes, lately.
	Beside []sources.Component
	// Doubts say where sources contradict each other or themselves, a sentence each.
	Doubts  []string
	Aliases []Alias
	Facts   sources.Facts
}

// Stage is what runs in one rollout stage.
type Stage struct {
	sources.Manifest
	Since  time.Time // zero when it was there before the range
	Claims int       // manifests that are there in this stage; more than one is a deployment, or a contradiction
}

// Alias is a model that is live under a name which names no snapshot, so that what
// answers can move without anybody's doing.
type Alias struct {
	Model string `json:"model"`
	// Requests of the range that it served, of Of; both zero when only metrics tell of it.
	Requests int    `json:"requests"`
	Of       int    `json:"of"`
	Source   string `json:"source"`
}

// Reader reads timelines. It is safe for concurrent use.
type Reader struct {
	prom   Prom
	rows   RowVersions
	scopes map[string]string
	fine   Prom // not stitched: for single looks at a short range

	folders map[string]*folder // by service

	mu      sync.Mutex
	starts  map[startKey]time.Time
	counted map[countKey]counts
}

type startKey struct {
	service, expr, series string
	grid                  time.Time
}

type countKey struct {
	service string
	step    time.Duration
}

// counts are what is known of the rows from since up to until.
type counts struct {
	since, until time.Time
	rows         []sources.VersionCount
}

const (
	// Changes of the same kind from two sources closer than this are one change.
	sameChange = 5 * time.Minute
	// What a folder says is deployed some time after it was written there.
	deploying = 30 * time.Minute
	// Request rows are counted no finer than this: a version that is dominant for less is noise.
	rowStep = time.Minute
	// Rows that arrive later than this after their time are counted only by those who look for the first time.
	lateRows    = 5 * time.Minute
	maxRefined  = 20  // looks at a finer range per timeline
	maxStarts   = 512 // remembered looks
	maxStitched = 64
)

// WithFolder also reads a service's manifests from a folder; clean makes outside text safe.
// It is called before the reader is used.
func (r *Reader) WithFolder(service, dir string, clock sources.Clock, clean func(string) string) *Reader {
	r.folders[service] = newFolder(dir, clock, clean)
	return r
}

// WithClock lets the reader ask again about times that had not come when it asked first.
// It is called before the reader is used.
func (r *Reader) WithClock(clock sources.Clock) *Reader {
	if r.fine != nil {
		r.prom = stitch.New(r.fine, maxStitched, clock.Now)
	}
	return r
}

// New returns a reader. Either source may be nil; scopes hold the PromQL matchers of each service.
func New(prom Prom, rows RowVersions, scopes map[string]string) *Reader {
	r := &Reader{rows: rows, scopes: scopes, fine: prom, folders: map[string]*folder{}, starts: map[startKey]time.Time{}, counted: map[countKey]counts{}}
	if prom != nil {
		r.prom = stitch.New(prom, maxStitched, nil)
	}
	return r
}

// Read returns the timeline from since to until. Times of changes are exact to
// about one scrape interval. It fails only when no source answered.
func (r *Reader) Read(ctx context.Context, service string, since, until time.Time, step time.Duration) (Timeline, error) {
	var (
		out  Timeline
		errs []error
		seen int
	)
	out.Facts.Source = "prometheus"
	if r.prom == nil {
		out.Facts.Source = "requests"
	}
	var fromProm, fromRows, fromFolder []sources.Change
	var told, seenLive sources.Manifest // by metrics; by rows
	if r.prom != nil {
		m, err := r.metrics(ctx, service, since, until, step)
		out.Facts = m.facts
		if err != nil {
			errs = append(errs, err)
		} else {
			seen++
			fromProm, out.Live, out.Stages, out.Doubts = m.changes, m.live, m.stages, m.doubts
			told = m.live
			told.Versions = maps.Clone(m.live.Versions)
		}
	}
	if r.rows != nil {
		rows, err := r.versions(ctx, service, since, until, max(step, rowStep))
		if err != nil {
			errs = append(errs, fmt.Errorf("request rows: %w", err))
		} else {
			seen++
			fromRows, seenLive = rowChanges(rows, max(step, rowStep))
			out.Live = complete(out.Live, seenLive)
			out.Aliases = aliases(rows)
		}
		lately, err := r.versions(ctx, service, until.Add(-besideSpan), until, rowStep)
		if err == nil {
			out.Beside = beside(lately, until)
		}
	}
	if folder := r.folders[service]; folder != nil {
		f := folder.read(ctx, service, since, until)
		seen++
		fromFolder = f.changes
		out.Doubts = append(out.Doubts, f.doubts...)
		out.Doubts = append(out.Doubts, disagree(f.live, out.Live, out.Facts.Source)...)
		out.Live = complete(out.Live, f.live)
	}
	if err := ctx.Err(); err != nil {
		return Timeline{}, err
	}
	if seen == 0 && len(errs) > 0 {
		return out, errors.Join(errs...)
	}
	for _, err := range errs {
		out.Facts.Partial = "changes may be missing: " + err.Error()
	}
	out.Changes = merge(fromProm, fromRows, max(sameChange, 2*step))
	out.Changes = merge(out.Changes, fromFolder, max(deploying, 2*step))
	out.Doubts = append(out.Doubts, unlike(told, seenLive, out.Changes, until, max(sameChange, 2*step))...)
	out.Changes = slices.DeleteFunc(out.Changes, func(c sources.Change) bool { return c.At.Before(since) || c.At.After(until) })
	out.Aliases = withLive(out.Aliases, &out.Live)
	return out, nil
}

// Changes returns the changes from since to until, oldest first.
func (r *Reader) Changes(ctx context.Context, service string, since, until time.Time, step time.Duration) ([]sources.Change, sources.Facts, error) {
	t, err := r.Read(ctx, service, since, until, step)
	t.Facts.Shown, t.Facts.Total = len(t.Changes), len(t.Changes)
	t.Facts.Warnings = append(slices.Clip(t.Facts.Warnings), t.Doubts...)
	return t.Changes, t.Facts, err
}

// Live returns the manifest live at a time.
func (r *Reader) Live(ctx context.Context, service string, at time.Time) (sources.Manifest, error) {
	t, err := r.Read(ctx, service, at.Add(-10*time.Minute), at, 30*time.Second)
	return t.Live, err
}

// versions asks the rows once per step of time, not once per refresh, and only
// for those steps that may have changed since: an hour of a busy service is a
// hundred thousand rows.
func (r *Reader) versions(ctx context.Context, service string, since, until time.Time, step time.Duration) ([]sources.VersionCount, error) {
	since, until = since.Truncate(step), until.Truncate(step).Add(step)
	k := countKey{service, step}
	r.mu.Lock()
	c := r.counted[k]
	r.mu.Unlock()
	known := !c.until.IsZero() && !since.Before(c.since) && !since.After(c.until)
	if known && !until.After(c.until) {
		return counted(c.rows, since, until), nil
	}
	from := since
	if known {
		from = latest(c.since, c.until.Add(-max(step, lateRows.Truncate(step))))
	}
	fresh, err := r.rows.Versions(ctx, service, from, until, step)
	if err != nil {
		return nil, err
	}
	next := counts{since: since, until: until, rows: fresh}
	if known {
		// A short look at the end must not cost the long one its beginning.
		next.since = until.Add(-max(until.Sub(since), c.until.Sub(c.since)))
		next.since = latest(next.since, c.since)
		next.rows = append(counted(c.rows, next.since, from), fresh...)
	}
	r.mu.Lock()
	r.counted[k] = next
	r.mu.Unlock()
	return counted(next.rows, since, until), nil
}

// counted returns the counts from since up to until.
func counted(rows []sources.VersionCount, since, until time.Time) []sources.VersionCount {
	out := make([]sources.VersionCount, 0, len(rows))
	for _, c := range rows {
		if !c.Start.Before(since) && c.Start.Before(until) {
			out = append(out, c)
		}
	}
	return out
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// complete fills what the first manifest does not know from the second.
func complete(a, b sources.Manifest) sources.Manifest {
	if a.Versions == nil {
		return b
	}
	for c, v := range b.Versions {
		if a.Versions[c] == "" {
			a.Versions[c] = v
		}
	}
	return a
}

// merge joins the changes that several sources saw. The first source wins for
// the time, which it knows better; evidence is kept from both.
func merge(first, second []sources.Change, within time.Duration) []sources.Change {
	out := slices.Clone(first)
	joined := map[int]bool{}
	for _, b := range second {
		i := -1
		for j := range first { // the nearest of those that it may be
			a := &first[j]
			if joined[j] || a.Component != b.Component || a.From != b.From || a.To != b.To || a.Silent != b.Silent || !sameStage(a.Stage, b.Stage) {
				continue
			}
			if d := a.At.Sub(b.At).Abs(); d <= within && (i < 0 || d < first[i].At.Sub(b.At).Abs()) {
				i = j
			}
		}
		if i < 0 {
			out = append(out, b)
			continue
		}
		joined[i] = true
		if b.Doubt != "" && out[i].Doubt == "" && b.Source != folderSource {
			out[i].Doubt = b.Doubt
		}
		if b.Evidence != "" && !strings.Contains(out[i].Evidence, b.Evidence) {
			out[i].Evidence = strings.TrimPrefix(out[i].Evidence+"; "+b.Evidence, "; ")
		}
	}
	slices.SortStableFunc(out, func(a, b sources.Change) int { return a.At.Compare(b.At) })
	return out
}

// sameStage tells whether two sources can mean the same rollout stage: not all of them name it.
func sameStage(a, b string) bool {
	return a == b || a == "" || b == "" || rank(a) < 100 && rank(b) < 100
}
