package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
)

const (
	// Rows out of a backend are folded of whole traces, so that few are read.
	backendRows    = 20
	maxBackendRows = 50
)

// Requests searches the request rows; a user in the filter may be the real one.
// Where traces/ knows nothing of the service in that time, the backends are asked.
func (a *App) Requests(ctx context.Context, f sources.RequestFilter) (sources.RequestList, error) {
	list, err := a.rows.Requests(ctx, f)
	if len(a.traces) == 0 || ctx.Err() != nil || err == nil && len(list.Rows) > 0 {
		return list, err
	}
	if err == nil {
		known, err := a.rows.Requests(ctx, sources.RequestFilter{Service: f.Service, Since: f.Since, Until: f.Until, Limit: 1})
		if err == nil && len(known.Rows) > 0 {
			return list, nil // it knows the requests of that time, and none is like this
		}
	}
	far, farErr := a.fromBackends(ctx, f)
	if farErr != nil {
		list.Facts.Warnings = append(list.Facts.Warnings, line(farErr.Error()))
		return list, err
	}
	if len(far.Rows) == 0 {
		far.Facts.Partial = joined(list.Facts.Partial, far.Facts.Partial)
	}
	return far, nil
}

// fromBackends folds the traces that the first backend with any gives.
func (a *App) fromBackends(ctx context.Context, f sources.RequestFilter) (sources.RequestList, error) {
	ctx, cancel := context.WithTimeout(ctx, partTime)
	defer cancel()
	limit := backendRows
	if f.Limit > 0 {
		limit = min(f.Limit, maxBackendRows)
	}
	now := a.clock.Now()
	q := sources.TraceQuery{Service: a.rows.name(f.Service), Since: f.Since, Until: f.Until, Failed: f.Bad || f.Outcome == "error", Limit: limit}
	if q.Until.IsZero() {
		q.Until = now
	}
	if q.Since.IsZero() {
		q.Since = q.Until.Add(-time.Hour)
	}
	if f.ID != "" {
		q.Fields, q.Value = a.intake.folder.IDFields(), f.ID
	}
	lists := make([]sources.TraceList, len(a.traces))
	errs := make([]error, len(a.traces))
	var wg sync.WaitGroup
	for i, b := range a.traces {
		wg.Go(func() { lists[i], errs[i] = b.Find(ctx, q) })
	}
	wg.Wait()
	best := -1
	var said []string
	for i := range a.traces {
		if errs[i] != nil {
			said = append(said, late(ctx, errs[i]))
		} else if best < 0 || len(lists[best].Traces) == 0 && len(lists[i].Traces) > 0 {
			best = i
		}
	}
	if best < 0 {
		return sources.RequestList{}, fmt.Errorf("%s", strings.Join(said, "; "))
	}
	f.Service, f.User, f.Tenant = q.Service, a.intake.redactor.Person(f.User), a.intake.redactor.Identity(f.Tenant)
	out := sources.RequestList{Rows: []sources.Request{}, Facts: lists[best].Facts}
	for _, t := range lists[best].Traces {
		if r := a.intake.folder.Fold(t, nil); matches(&f, &r) {
			out.Rows = append(out.Rows, r)
		}
	}
	slices.SortStableFunc(out.Rows, func(x, y sources.Request) int { return y.Time.Compare(x.Time) })
	what := fmt.Sprintf("from %s, which was asked for %d traces at most", a.traces[best].name, limit)
	if q.Failed {
		what += "; of bad requests it knows only those with a failed span"
	}
	out.Facts.Partial = joined(what, out.Facts.Partial)
	out.Facts.Warnings = append(out.Facts.Warnings, said...)
	out.Facts.Shown = len(out.Rows)
	if out.Facts.Total >= 0 {
		out.Facts.Total = len(out.Rows)
	}
	return out, nil
}

func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// matches tells whether a row that no index picked is what the filter asks for.
func matches(f *sources.RequestFilter, r *sources.Request) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	for c, v := range f.Versions {
		if !is(v, r.Version(c)) {
			return false
		}
	}
	for _, a := range f.Where {
		if !slices.Contains(r.Attribute(a.Name), a.Value) {
			return false
		}
	}
	return (f.Since.IsZero() || !r.Time.Before(f.Since)) && (f.Until.IsZero() || r.Time.Before(f.Until)) &&
		is(f.Service, r.Service) && (!f.Bad || len(r.Bad()) > 0) && is(f.Outcome, r.Outcome) && is(f.ErrorType, r.ErrorType) && is(f.Schema, r.Schema) &&
		is(f.Route, r.Route) && is(f.Tenant, r.Tenant) && is(f.Region, r.Region) && is(f.User, r.User) && is(f.Served, r.ModelServed)
}
