package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollcall/sources"
	"rollcall/store/review"
)

const (
	// badRead is how many bad requests are looked at for users and tenants.
	badRead = 10_000
	// usualFor is how long before the trouble money is measured for comparison.
	usualFor    = time.Hour
	tenantsKept = 10
)

// affected sums the request rows of an incident: how many were bad and why, whom
// they were for, and what the time cost against the hour before.
func (a *App) affected(ctx context.Context, service string, since, until time.Time) (review.Affected, error) {
	out := review.Affected{Since: since.UTC(), Until: until.UTC()}
	note := func(format string, args ...any) { out.Notes = append(out.Notes, fmt.Sprintf(format, args...)) }
	if !until.After(since) {
		note("the incident has no length yet")
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*settleTime)
	defer cancel()
	step := max(time.Minute, (until.Sub(since) / 500).Round(time.Second))
	buckets, facts, err := a.rows.Buckets(ctx, service, since, until, step, "")
	if err != nil {
		return out, err
	}
	if facts.Partial != "" {
		note("not the whole: %s", facts.Partial)
	}
	if len(buckets) == 0 {
		note("not known: there are no request rows of this time; send traces to rollcall collect, and mind traces.retention")
		return out, nil
	}
	out.Known = true
	reasons := map[string]int{}
	var withCost int
	var cost float64
	for i := range buckets {
		b := &buckets[i]
		out.Requests += b.N
		reasons["error"] += b.Errors
		reasons["schema failure"] += b.Schema[1]
		reasons["thumbs down"] += b.Feedback[1]
		reasons["refusal"] += b.Refusals[1]
		reasons["filter"] += b.Filters[1]
		reasons["access denied"] += b.Denied
		reasons["cut off"] += b.CutOff
		withCost += b.WithCost
		cost += b.CostUSD
	}
	for _, name := range slices.Sorted(maps.Keys(reasons)) {
		if n := reasons[name]; n > 0 {
			out.Reasons = append(out.Reasons, review.Reason{Name: name, N: n})
		}
	}
	slices.SortStableFunc(out.Reasons, func(x, y review.Reason) int { return y.N - x.N })
	// The rows may begin later than the trouble, or end before it did.
	if first := buckets[0].Start; first.Sub(since) > step {
		out.Since = first.UTC()
		note("there are no rows before %s: nothing was received, or nobody asked", utcWords(first))
	}
	if last := buckets[len(buckets)-1].Start.Add(step); until.Sub(last) > step {
		out.Until = last.UTC()
		note("there are no rows after %s", utcWords(last))
	}
	a.money(ctx, service, since, &out, cost, withCost, note)
	a.people(ctx, service, since, until, &out, note)
	return out, nil
}

func (a *App) money(ctx context.Context, service string, since time.Time, out *review.Affected, cost float64, withCost int, note func(string, ...any)) {
	if withCost == 0 {
		note("the cost is not known: no row tells it; add prices to the configuration")
		return
	}
	out.CostUSD = sources.N(cost)
	if withCost < out.Requests {
		note("%d of %d requests tell their cost; the others are not in the sum", withCost, out.Requests)
	}
	// The minutes right before may belong to the trouble already.
	end := since.Add(-time.Minute)
	buckets, _, err := a.rows.Buckets(ctx, service, end.Add(-usualFor), end, time.Minute, "")
	if err != nil || len(buckets) == 0 {
		note("the usual cost is not known: there are no request rows of the hour before")
		return
	}
	covered := end.Sub(buckets[0].Start)
	var before float64
	for i := range buckets {
		before += buckets[i].CostUSD
	}
	if covered < 10*time.Minute {
		note("the usual cost is not known: only %s of rows before it", sources.ShortDuration(covered))
		return
	}
	out.UsualUSD = sources.N(before * float64(out.Until.Sub(out.Since)) / float64(covered))
	out.UsualHow = fmt.Sprintf("$%.2f in the %s before, scaled to the same length", before, sources.ShortDuration(covered))
}

// people counts users and tenants among the bad requests.
func (a *App) people(ctx context.Context, service string, since, until time.Time, out *review.Affected, note func(string, ...any)) {
	list, err := a.rows.Requests(ctx, sources.RequestFilter{Service: service, Since: since, Until: until, Bad: true, Limit: badRead})
	if err != nil {
		note("users and tenants are not known: %s", line(err.Error()))
		return
	}
	f := list.Facts
	switch {
	case f.Total < 0:
		note("more bad requests than could be counted; at least %d", len(list.Rows))
		out.Bad = sources.N(float64(len(list.Rows)))
	default:
		out.Bad = sources.N(float64(max(f.Total, len(list.Rows))))
	}
	users, tenants := map[string]int{}, map[string]int{}
	noUser, noTenant, sampled := 0, 0, 0
	for i := range list.Rows {
		r := &list.Rows[i]
		if r.Sampled {
			sampled++
		}
		if r.User == "" {
			noUser++
		} else {
			users[r.User]++
		}
		if r.Tenant == "" {
			noTenant++
		} else {
			tenants[r.Tenant]++
		}
	}
	if len(list.Rows) == 0 || noUser < len(list.Rows) {
		out.Users = sources.N(float64(len(users)))
	}
	if len(list.Rows) == 0 || noTenant < len(list.Rows) {
		out.Tenants = sources.N(float64(len(tenants)))
	}
	if noUser > 0 {
		note("%d of %d bad requests name no user", noUser, len(list.Rows))
	}
	if sampled > 0 {
		note("the traces are sampled: there were more requests than these")
	}
	if f.Truncated() {
		note("users and tenants are counted over the newest %d bad requests", len(list.Rows))
	}
	for _, name := range slices.Sorted(maps.Keys(tenants)) {
		out.ByTenant = append(out.ByTenant, review.Reason{Name: name, N: tenants[name]})
	}
	slices.SortStableFunc(out.ByTenant, func(x, y review.Reason) int { return y.N - x.N })
	if len(out.ByTenant) > tenantsKept {
		out.ByTenant = out.ByTenant[:tenantsKept]
	}
}
