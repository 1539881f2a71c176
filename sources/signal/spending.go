package signal

import (
	"context"
	"slices"
	"sync"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/spend"
)

const (
	spendMost  = 6 * time.Hour // of request rows; more would be slow to read and long to keep
	spendLeast = time.Hour     // budgets of users are for an hour
	spendRows  = 20_000        // of a part; of more, every so-manieth is read
	spendUsual = 7             // earlier days that are looked at for what is usual
	usualRows  = 20_000        // of each of them
	spendHeld  = 256           // parts in hand: the live window and a past one

	// A request may last long, and its row comes when it is over: a part is read
	// again once it is over, and for the last time this long after.
	spendSettles = 10 * time.Minute
	spendAgain   = 20 * time.Second // service time, before the newest part is read again
	spendRest    = time.Second      // and wall time, however fast service time goes
)

// spender reads request rows for the report on spending, in the background and
// part by part, so that a refresh reads none.
type spender struct {
	ctx context.Context
	wg  *sync.WaitGroup
	e   *Evaluator

	mu sync.Mutex
	m  map[string]*spent
}

// spent is what was read of one service.
type spent struct {
	parts   map[int64]*spend.Rows // by start, Unix seconds
	final   map[int64]bool        // not read again
	loading chan struct{}         // closed when the loading ends
	since   time.Time             // what the newest loading read
	until   time.Time
	wall    time.Time     // when it ended
	err     error         // what stopped it
	course  bool          // the last weeks were looked at
	report  *spend.Report // the last one made of the rows, and of what
	madeOf  madeOf
	usual   []spend.Usual
	usualOf time.Time // the hour that usual is of
}

// madeOf is what a report on rows depends on.
type madeOf struct {
	first, last *spend.Rows
	n           int
	usual       time.Time
	metrics     time.Time // up to when they are known
}

func newSpender(ctx context.Context, wg *sync.WaitGroup, e *Evaluator) *spender {
	return &spender{ctx: ctx, wg: wg, e: e, m: map[string]*spent{}}
}

// spendSpan is the time that is read for a view.
func spendSpan(view sources.View, now time.Time) (since, until time.Time) {
	if view.Range <= 0 {
		view.Range = defaultRange
	}
	return now.Add(-min(spendMost, max(spendLeast, view.Range))), now
}

func (s *spender) of(service string) *spent {
	x := s.m[service]
	if x == nil {
		x = &spent{parts: map[int64]*spend.Rows{}, final: map[int64]bool{}}
		s.m[service] = x
	}
	return x
}

// knows tells whether the last weeks were looked at.
func (s *spender) knows(service string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of(service).course
}

// parts returns what was read of a span of time, oldest first.
func (s *spender) parts(service string, since, until time.Time) []*spend.Rows {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of(service)
	var out []*spend.Rows
	for t := since.Truncate(spend.Part); t.Before(until); t = t.Add(spend.Part) {
		if p := x.parts[t.Unix()]; p != nil && !p.Until.After(until.Add(spend.Part)) {
			out = append(out, p)
		}
	}
	return out
}

// load reads what is missing of a span, unless that is going on or was just done.
func (s *spender) load(service string, since, until time.Time) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of(service)
	if x.loading != nil || s.ctx.Err() != nil {
		return x.loading
	}
	x.forget(s.e.deps.Clock.Now())
	if moved := until.Sub(x.until); !x.wall.IsZero() && x.err == nil && moved >= 0 && !since.Before(x.since.Add(-spend.Part)) &&
		(moved < spendAgain || moved < spend.Part && s.e.deps.Clock.Wall().Sub(x.wall).Abs() < spendRest) {
		return nil
	}
	if x.err != nil && s.e.deps.Clock.Wall().Sub(x.wall).Abs() < spendRest {
		return nil
	}
	done := make(chan struct{})
	x.loading = done
	s.wg.Go(func() {
		defer close(done)
		err := s.read(service, since, until)
		if err == nil {
			err = s.readUsual(service, since, until)
		}
		if err != nil && s.ctx.Err() == nil {
			s.e.deps.Log.Info("spending could not be read from request rows", "service", service, "error", err)
		}
		course := s.readCourse(service)
		s.mu.Lock()
		defer s.mu.Unlock()
		x.loading, x.since, x.until, x.wall, x.err = nil, since, until, s.e.deps.Clock.Wall(), err
		x.course = x.course || course
	})
	return done
}

// forget lets go of what was read if some of it is of a time that has not come yet: a
// clock that went ahead and back found that time empty.
func (x *spent) forget(now time.Time) {
	ahead := x.until.After(now)
	for _, p := range x.parts {
		ahead = ahead || p.Until.After(now)
	}
	if ahead {
		clear(x.parts)
		clear(x.final)
		x.until, x.wall = time.Time{}, time.Time{}
	}
}

// wait loads a span and returns when that was done.
func (s *spender) wait(ctx context.Context, service string, since, until time.Time) error {
	for range 2 { // one that is under way may be for another span
		done := s.load(service, since, until)
		if done == nil {
			return nil
		}
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// readCourse looks at the last weeks of the metrics, so that refreshes add to it hour by hour.
func (s *spender) readCourse(service string) bool {
	s.mu.Lock()
	known := s.of(service).course
	s.mu.Unlock()
	if known {
		return true
	}
	r, err := s.e.begin(s.ctx, service, sources.View{})
	if err != nil {
		return false
	}
	_, err = r.weeks(s.ctx)
	return err == nil || !unreachable(err)
}

// read reads the parts of a span that are missing or not final, the newest first.
func (s *spender) read(service string, since, until time.Time) error {
	if s.e.deps.Tables == nil {
		return nil
	}
	first := since.Truncate(spend.Part)
	for t := until.Truncate(spend.Part); !t.Before(first); t = t.Add(-spend.Part) {
		end := t.Add(spend.Part)
		over := !end.After(until)
		if !over {
			end = until
		}
		if !t.Before(end) {
			continue
		}
		last := over && !until.Before(end.Add(spendSettles))
		s.mu.Lock()
		x := s.of(service)
		old, final := x.parts[t.Unix()], x.final[t.Unix()]
		s.mu.Unlock()
		if final || old != nil && over && !last && old.Until.Equal(end) {
			continue
		}
		table, err := s.e.deps.Tables.Table(s.ctx, spend.Query(service, t, end, spendRows))
		if err != nil {
			return err
		}
		rows := spend.Fold(table, t, end)
		s.mu.Lock()
		x.parts[t.Unix()], x.final[t.Unix()] = rows, last
		s.drop(x, until)
		s.mu.Unlock()
	}
	return nil
}

// drop lets go of the parts farthest from a time.
func (s *spender) drop(x *spent, near time.Time) {
	for len(x.parts) > spendHeld {
		far, dist := int64(0), int64(-1)
		for t := range x.parts {
			d := near.Unix() - t
			if d < 0 {
				d = -d
			}
			if d > dist {
				far, dist = t, d
			}
		}
		delete(x.parts, far)
		delete(x.final, far)
	}
}

// readUsual sums the same hours of earlier days, once an hour.
func (s *spender) readUsual(service string, since, until time.Time) error {
	if s.e.deps.Tables == nil {
		return nil
	}
	hour := until.Truncate(time.Hour)
	s.mu.Lock()
	known := s.of(service).usualOf
	s.mu.Unlock()
	if known.Equal(hour) {
		return nil
	}
	var usual []spend.Usual
	for d := 1; d <= spendUsual; d++ {
		off := time.Duration(d) * oneDay
		table, err := s.e.deps.Tables.Table(s.ctx, spend.Query(service, since.Add(-off), until.Add(-off), usualRows))
		if err != nil {
			return err
		}
		u, ok := spend.UsualOf(table)
		if !ok {
			continue
		}
		usual = append(usual, u)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.of(service)
	x.usual, x.usualOf = usual, hour
	return nil
}

// readSpend sees to it that rows are read. A past moment stands still: it waits for them.
func (r *run) readSpend(ctx context.Context) {
	since, until := spendSpan(r.view, r.now)
	if r.view.Live() {
		r.e.spending.load(r.svc.name, since, until)
		return
	}
	bounded, cancel := context.WithTimeout(ctx, pastPatience)
	defer cancel()
	_ = r.e.spending.wait(bounded, r.svc.name, since, until) // what is there by then is shown
}

const (
	spendShown   = 10 // spenders of an attribute, and loops
	budgetScopes = "request user_hour hour day period"
)

// look is what request rows tell since a time.
func (r *run) look(ctx context.Context, since time.Time) *spend.Look {
	look := &spend.Look{
		From: since, To: r.now, Parts: r.e.spending.parts(r.svc.name, since, r.now), Reference: r.e.spending.parts(r.svc.name, r.now.Add(-spendMost), r.now), Most: spendShown,
		Price: func(model string) (float64, float64, bool) {
			p, ok := priceOf(r.e.deps.Prices, model)
			return p.Input, p.Cached, ok && p.Cached > 0
		},
	}
	if l, err := r.today(ctx); err == nil && l.prov.Provider != "requests" {
		c := r.course(ctx, l)
		look.Spent = func(since, until time.Time) (float64, bool) {
			usd, known := c.Between(since, until)
			return usd, known > 0.99
		}
	}
	return look
}

// spendReport says where money goes.
func (r *run) spendReport(ctx context.Context, snap *Snapshot) *spend.Report {
	from := r.now.Add(-min(spendMost, r.view.Range)).Truncate(spend.Part)
	look := r.look(ctx, from)
	s := r.e.spending
	s.mu.Lock()
	x := s.of(r.svc.name)
	failure, read := x.err, !x.wall.IsZero()
	of := madeOf{n: len(look.Parts), usual: x.usualOf}
	if of.n > 0 {
		of.first, of.last = look.Parts[0], look.Parts[of.n-1]
		if r.view.Range >= spendLeast && !of.first.From.After(from) {
			look.Usual = x.usual // it is of the same length
		}
	}
	s.mu.Unlock()
	if l, err := r.today(ctx); err == nil {
		of.metrics = l.end
	}
	s.mu.Lock()
	rep, same := x.report, x.madeOf == of
	s.mu.Unlock()
	if rep == nil || !same {
		rep = spend.Of(look)
		s.mu.Lock()
		x.report, x.madeOf = rep, of
		s.mu.Unlock()
	}
	own := *rep
	rep = &own
	rep.Notes, rep.Caches = slices.Clone(rep.Notes), slices.Clone(rep.Caches)
	note := func(s string) { rep.Notes = append(rep.Notes, s) }
	switch {
	case r.e.deps.Tables == nil:
		note("no request rows are kept here")
	case failure != nil:
		note("request rows could not be read: " + failure.Error())
	case !read:
		note("request rows are being read")
	}
	if r.view.Range > spendMost {
		note("of the last " + short(spendMost) + " only")
	}
	r.reportBudgets(ctx, snap, rep)
	ownSavings(snap, rep)
	rep.Line = rep.Sentence()
	return rep
}

// ownSavings takes the service's own figure where rows do not tell what a cache saves.
func ownSavings(snap *Snapshot, rep *spend.Report) {
	if len(rep.Caches) == 0 {
		for _, kind := range spend.Kinds {
			rep.Caches = append(rep.Caches, spend.Saving{Kind: kind, Why: "cannot tell: no request rows", Provider: "requests"})
		}
	}
	own, _ := snap.Reading("cache_saved")
	if !own.Known {
		return
	}
	for i := range rep.Caches {
		c := &rep.Caches[i]
		for _, p := range own.Parts {
			if p.Name == c.Kind && !c.PerHour.OK && p.Verdict != sources.NoTraffic {
				c.PerHour, c.Provider = sources.N(p.Value*3600), own.Provenance.Provider
				c.Why = "the service's own figure; requests cannot tell"
			}
		}
	}
}
