package traces

import (
	"context"
	"database/sql"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"rollcall/sources"
)

const maxBuckets = 5000

// Buckets sums the request rows of a service ("" for all) by time, in steps
// from since up to until, and by the version of a component when by is not
// empty. Buckets without rows are left out. They come ordered by start and group.
func (s *Store) Buckets(ctx context.Context, service string, since, until time.Time, step time.Duration, by sources.Component) ([]sources.RequestBucket, sources.Facts, error) {
	began := s.opts.Clock.Wall()
	facts := sources.Facts{Source: "requests"}
	group := "''"
	if by != "" {
		col, ok := componentColumn(by)
		if !ok {
			return nil, facts, fmt.Errorf("traces: %q is not a component", by)
		}
		group = col
	}
	if err := checkSteps(since, until, step); err != nil {
		return nil, facts, err
	}
	sum := rollup{since: since, step: step, cells: map[cell]*sources.RequestBucket{}, values: map[cell]*[2][]float64{}}
	err := s.each(ctx, &facts, func(p *partition, db *sql.DB) error {
		lo, hi, ok, err := p.times(ctx, db)
		if err != nil || !ok || !(span{since: since.UnixNano(), until: until.UnixNano()}).overlaps(lo, hi) {
			return err
		}
		// A partition is taken in whole or, when reading it fails, not at all.
		part := rollup{since: since, step: step, cells: map[cell]*sources.RequestBucket{}, values: map[cell]*[2][]float64{}}
		first := max(0, (lo-since.UnixNano())/int64(step))
		last := (min(hi, until.UnixNano()-1) - since.UnixNano()) / int64(step)
		if err := part.read(ctx, db, service, until, first, last, group); err != nil {
			return err
		}
		sum.merge(&part)
		return nil
	})
	if err != nil {
		return nil, facts, fmt.Errorf("traces: sum requests: %w", err)
	}
	out := sum.finish()
	for i := range out {
		facts.Shown += out[i].N
		facts.At = out[i].Start
		facts.Sampled = facts.Sampled || out[i].Sampled > 0
	}
	facts.Total = facts.Shown
	facts.Fetched = s.opts.Clock.Wall()
	facts.Took = facts.Fetched.Sub(began)
	return out, facts, nil
}

func checkSteps(since, until time.Time, step time.Duration) error {
	switch {
	case step <= 0:
		return fmt.Errorf("traces: a step of %s does not divide anything", step)
	case until.Before(since):
		return fmt.Errorf("traces: until %s is before since %s", until.Format(time.RFC3339), since.Format(time.RFC3339))
	case until.Sub(since)/step >= maxBuckets:
		return fmt.Errorf("traces: %s in steps of %s is more than %d buckets; ask for longer steps", until.Sub(since), step, maxBuckets)
	}
	return nil
}

// cell names one bucket.
type cell struct {
	n     int64
	group string
}

// rollup is a sum in the making. values keeps latencies and times to first
// token in microseconds, because percentiles of parts cannot be added.
type rollup struct {
	since  time.Time
	step   time.Duration
	cells  map[cell]*sources.RequestBucket
	values map[cell]*[2][]float64
}

func (r *rollup) at(n int64, group string) *sources.RequestBucket {
	c := cell{n, group}
	b := r.cells[c]
	if b == nil {
		b = &sources.RequestBucket{
			Start: r.since.Add(time.Duration(n) * r.step), Group: group,
			CacheHits: map[string]int{}, ByError: map[string]int{}, Scores: map[string]sources.MeanN{},
		}
		r.cells[c] = b
		r.values[c] = &[2][]float64{}
	}
	return b
}

// counts are the sums that one pass over the rows makes; group_concat carries
// all latencies of a bucket over in one value instead of one row each.
const counts = `count(*),
	coalesce(sum(outcome='error'),0),
	coalesce(sum(schema_result='pass'),0),coalesce(sum(schema_result='fail'),0),
	coalesce(sum(feedback='up'),0),coalesce(sum(feedback='down'),0),
	coalesce(sum(refusal='false'),0),coalesce(sum(refusal='true'),0),
	coalesce(sum(filter='none'),0),coalesce(sum(filter<>'' AND filter<>'none'),0),
	coalesce(sum(retrieval_hit='true'),0),coalesce(sum(retrieval_hit='false'),0),
	coalesce(sum(denied<>''),0),coalesce(sum(finish='length'),0),coalesce(sum(fallback<>''),0),
	coalesce(sum(tokens_in),0.0),coalesce(sum(tokens_out),0.0),coalesce(sum(tokens_cached),0.0),coalesce(sum(tokens_in IS NOT NULL OR tokens_out IS NOT NULL),0),
	coalesce(sum(cost),0.0),coalesce(sum(cost IS NOT NULL),0),coalesce(sum(sampled),0),
	coalesce(sum(model_served<>''),0),coalesce(sum(instr(flags,'` + sources.FlagUnpinned + `')>0),0),coalesce(sum(instr(flags,'` + sources.FlagNoManifest + `')>0),0),
	group_concat(CAST(latency*1e6 AS INTEGER)),group_concat(CAST(ttft*1e6 AS INTEGER))`

// read sums one partition. It asks bucket by bucket: the index on time then
// leads straight to the rows, and nothing has to be sorted by time again.
func (r *rollup) read(ctx context.Context, db *sql.DB, service string, until time.Time, first, last int64, group string) error {
	w := &where{}
	w.add("time>=? AND time<?", nil, nil)
	w.is("service", service)
	ask := func(what, and string, scan func(n int64, rows *sql.Rows) error) error {
		stmt, err := db.PrepareContext(ctx, "SELECT "+what+" FROM requests"+and)
		if err != nil {
			return err
		}
		defer func() { _ = stmt.Close() }()
		for n := first; n <= last; n++ {
			w.args[0] = r.since.Add(time.Duration(n) * r.step).UnixNano()
			w.args[1] = min(until.UnixNano(), r.since.Add(time.Duration(n+1)*r.step).UnixNano())
			rows, err := stmt.QueryContext(ctx, w.args...)
			if err != nil {
				return err
			}
			if err := walk(rows, func() error { return scan(n, rows) }); err != nil {
				return err
			}
		}
		return nil
	}
	err := ask(group+" AS g,"+counts, w.String()+" GROUP BY g", func(n int64, rows *sql.Rows) error {
		var g string
		var b sources.RequestBucket
		var latency, ttft sql.NullString
		err := rows.Scan(&g, &b.N, &b.Errors, &b.Schema[0], &b.Schema[1], &b.Feedback[0], &b.Feedback[1],
			&b.Refusals[0], &b.Refusals[1], &b.Filters[0], &b.Filters[1], &b.Retrieval[0], &b.Retrieval[1],
			&b.Denied, &b.CutOff, &b.Fallbacks, &b.TokensIn, &b.TokensOut, &b.TokensCached, &b.WithTokens,
			&b.CostUSD, &b.WithCost, &b.Sampled, &b.WithModel, &b.Unpinned, &b.NoManifest, &latency, &ttft)
		if err != nil {
			return err
		}
		add(r.at(n, g), &b)
		v := r.values[cell{n, g}]
		v[0], v[1] = parseList(latency.String), parseList(ttft.String)
		return nil
	})
	if err != nil {
		return err
	}
	for _, column := range []string{"error_type", "cache"} {
		err := ask(group+" AS g,"+column+",count(*)", w.String()+" AND "+column+"<>'' GROUP BY g,"+column, func(n int64, rows *sql.Rows) error {
			var g, value string
			var count int
			if err := rows.Scan(&g, &value, &count); err != nil {
				return err
			}
			if column == "cache" {
				r.at(n, g).CacheHits[value] += count
			} else {
				r.at(n, g).ByError[value] += count
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	const lists = " CROSS JOIN scores ON scores.id>=(requests.key<<10) AND scores.id<((requests.key+1)<<10)"
	return ask(group+" AS g,evaluator,avg(value),count(value)", lists+w.String()+" AND value IS NOT NULL GROUP BY g,evaluator", func(n int64, rows *sql.Rows) error {
		var g, evaluator string
		var m sources.MeanN
		if err := rows.Scan(&g, &evaluator, &m.Mean, &m.N); err != nil {
			return err
		}
		b := r.at(n, g)
		b.Scores[evaluator] = meanOf(b.Scores[evaluator], m)
		return nil
	})
}

func meanOf(a, b sources.MeanN) sources.MeanN {
	n := a.N + b.N
	if n == 0 {
		return sources.MeanN{}
	}
	return sources.MeanN{Mean: (a.Mean*float64(a.N) + b.Mean*float64(b.N)) / float64(n), N: n}
}

// add adds the plain sums of b to a.
func add(a, b *sources.RequestBucket) {
	a.N += b.N
	a.Errors += b.Errors
	for i := range 2 {
		a.Schema[i] += b.Schema[i]
		a.Feedback[i] += b.Feedback[i]
		a.Refusals[i] += b.Refusals[i]
		a.Filters[i] += b.Filters[i]
		a.Retrieval[i] += b.Retrieval[i]
	}
	a.Denied += b.Denied
	a.CutOff += b.CutOff
	a.Fallbacks += b.Fallbacks
	a.TokensIn += b.TokensIn
	a.TokensOut += b.TokensOut
	a.TokensCached += b.TokensCached
	a.WithTokens += b.WithTokens
	a.CostUSD += b.CostUSD
	a.WithCost += b.WithCost
	a.Sampled += b.Sampled
	a.WithModel += b.WithModel
	a.Unpinned += b.Unpinned
	a.NoManifest += b.NoManifest
}

func (r *rollup) merge(o *rollup) {
	for c, b := range o.cells {
		to := r.at(c.n, c.group)
		add(to, b)
		for k, n := range b.CacheHits {
			to.CacheHits[k] += n
		}
		for k, n := range b.ByError {
			to.ByError[k] += n
		}
		for k, m := range b.Scores {
			to.Scores[k] = meanOf(to.Scores[k], m)
		}
		v, more := r.values[c], o.values[c]
		for i := range v {
			v[i] = append(v[i], more[i]...)
		}
	}
}

func (r *rollup) finish() []sources.RequestBucket {
	out := make([]sources.RequestBucket, 0, len(r.cells))
	for c, b := range r.cells {
		v := r.values[c]
		b.Latency, b.TTFT = percentiles(v[0]), percentiles(v[1])
		out = append(out, *b)
	}
	sort.Slice(out, func(i, j int) bool {
		if !out[i].Start.Equal(out[j].Start) {
			return out[i].Start.Before(out[j].Start)
		}
		return out[i].Group < out[j].Group
	})
	return out
}

func parseList(s string) []float64 {
	if s == "" {
		return nil
	}
	out := make([]float64, 0, strings.Count(s, ",")+1)
	for len(s) > 0 {
		var f string
		f, s, _ = strings.Cut(s, ",")
		if v, err := strconv.ParseInt(f, 10, 64); err == nil {
			out = append(out, float64(v)/1e6)
		}
	}
	return out
}

// percentiles returns P50, P95 and P99 by the nearest rank; unknown without values.
func percentiles(v []float64) [3]sources.Num {
	var out [3]sources.Num
	if len(v) == 0 {
		return out
	}
	sort.Float64s(v)
	for i, pct := range [...]int{50, 95, 99} {
		rank := (len(v)*pct + 99) / 100
		out[i] = sources.N(v[max(0, rank-1)])
	}
	return out
}

// Versions counts, per step and component, how many requests of a service ("" for
// all) ran each version. For the model each pair of version and served model
// counts on its own. Requests that carry no version of a component are left out.
func (s *Store) Versions(ctx context.Context, service string, since, until time.Time, step time.Duration) ([]sources.VersionCount, error) {
	if err := checkSteps(since, until, step); err != nil {
		return nil, err
	}
	type key struct {
		n               int64
		c               sources.Component
		version, served string
		print           string
	}
	sums := map[key]int{}
	var facts sources.Facts
	err := s.each(ctx, &facts, func(p *partition, db *sql.DB) error {
		lo, hi, ok, err := p.times(ctx, db)
		if err != nil || !ok || !(span{since: since.UnixNano(), until: until.UnixNano()}).overlaps(lo, hi) {
			return err
		}
		part := map[key]int{}
		w := &where{}
		w.add("time>=? AND time<?", since.UnixNano(), until.UnixNano())
		w.is("service", service)
		// One pass over the rows; there are few combinations of versions at a time.
		q := fmt.Sprintf("SELECT (time-%d)/%d AS n,prompt,model,tools,idx,policy,model_served,fingerprint,count(*) FROM requests%s GROUP BY n,prompt,model,tools,idx,policy,model_served,fingerprint",
			since.UnixNano(), int64(step), w)
		rows, err := db.QueryContext(ctx, q, w.args...)
		if err != nil {
			return err
		}
		err = walk(rows, func() error {
			var n int64
			var v [len(sources.Components)]string
			var served, print string
			var count int
			if err := rows.Scan(&n, &v[0], &v[1], &v[2], &v[3], &v[4], &served, &print, &count); err != nil {
				return err
			}
			for i, c := range sources.Components {
				k := key{n: n, c: c, version: v[i]}
				if c == sources.Model {
					k.served, k.print = served, print
				}
				if k.version != "" || k.served != "" {
					part[k] += count
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for k, n := range part {
			sums[k] += n
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("traces: count versions: %w", err)
	}
	out := make([]sources.VersionCount, 0, len(sums))
	for k, n := range sums {
		out = append(out, sources.VersionCount{
			Start: since.Add(time.Duration(k.n) * step), Component: k.c, Version: k.version, Served: k.served, Fingerprint: k.print, N: n,
		})
	}
	rank := map[sources.Component]int{}
	for i, c := range sources.Components {
		rank[c] = i
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		switch {
		case !a.Start.Equal(b.Start):
			return a.Start.Before(b.Start)
		case a.Component != b.Component:
			return rank[a.Component] < rank[b.Component]
		case a.Version != b.Version:
			return a.Version < b.Version
		case a.Served != b.Served:
			return a.Served < b.Served
		}
		return a.Fingerprint < b.Fingerprint
	})
	return out, nil
}
