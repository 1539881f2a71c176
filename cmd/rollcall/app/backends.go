package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/jaeger"
	"rollcall/sources/tempo"
)

const (
	// localFirst is how long the answer of a backend waits for that of traces/, which
	// alone has evaluations and feedback.
	localFirst = 250 * time.Millisecond
	// tracesBlind is how far back a backend is searched for an ID that is no trace ID.
	tracesBlind = 24 * time.Hour
	sameID      = 3 // traces that are read when several carry one ID
)

// backend is a server that keeps traces.
type backend struct {
	name, url string
	// perService: it finds nothing without the name of a service.
	perService bool
	traceServer
}

type traceServer interface {
	Trace(ctx context.Context, id sources.TraceID) ([]sources.Span, sources.Facts, error)
	Find(ctx context.Context, q sources.TraceQuery) (sources.TraceList, error)
	Check(ctx context.Context) error
	Health() sources.Health
	Close()
}

func (a *App) openBackends() error {
	if cfg := a.cfg.Tempo; cfg != nil {
		c, err := tempo.New(*cfg, tempo.Options{Clock: a.clock, Redactor: a.intake.redactor, Log: a.log})
		if err != nil {
			return err
		}
		a.traces = append(a.traces, backend{name: "tempo", url: cfg.URL, traceServer: c})
	}
	if cfg := a.cfg.Jaeger; cfg != nil {
		c, err := jaeger.New(*cfg, jaeger.Options{Clock: a.clock, Redactor: a.intake.redactor, Log: a.log})
		if err != nil {
			return err
		}
		a.traces = append(a.traces, backend{name: "jaeger", url: cfg.URL, perService: true, traceServer: c})
	}
	return nil
}

// found is what one source had of a trace.
type found struct {
	n      int // place among the answers
	answer sources.Answer
	spans  []sources.Span
	view   *sources.RequestView // of traces/, which keeps the row
	whole  bool
}

// lookUp asks traces/ and every backend at the same time.
type lookUp struct {
	app    *App
	cancel context.CancelFunc
	got    chan found
	list   []sources.Answer
	left   int
}

func (a *App) lookUp(ctx context.Context, s config.Service, id string) *lookUp {
	l := &lookUp{app: a, got: make(chan found, 1+len(a.traces)), left: 1 + len(a.traces)}
	ctx, l.cancel = context.WithTimeout(ctx, partTime)
	l.list = append(l.list, sources.Answer{Source: "traces"})
	go func() { l.got <- a.fromStore(ctx, id) }()
	for i, b := range a.traces {
		l.list = append(l.list, sources.Answer{Source: b.name})
		go func() {
			f := a.fromBackend(ctx, b, s, id)
			f.n = i + 1
			l.got <- f
		}()
	}
	return l
}

// end gives up what is still under way.
func (l *lookUp) end() { l.cancel() }

// take keeps one answer.
func (l *lookUp) take(f found) {
	l.list[f.n] = f.answer
	l.left--
}

// answers names every source with what it had; one that is still at it does not hold up the rest.
func (l *lookUp) answers() []sources.Answer {
	for l.left > 0 {
		select {
		case f := <-l.got:
			l.take(f)
			continue
		default:
		}
		break
	}
	out := slices.Clone(l.list)
	for i := range out {
		if out[i].Note == "" {
			out[i].Note = "not waited for; another source had the whole trace"
		}
	}
	return out
}

// wait returns the first whole answer, with traces/ before the others; when none
// is whole, what all together have; nil when nobody has anything.
func (l *lookUp) wait(ctx context.Context) *sources.RequestView {
	var parts []found
	local := false // traces/ has answered
	patience := make(<-chan time.Time)
	for l.left > 0 {
		select {
		case f := <-l.got:
			l.take(f)
			local = local || f.n == 0
			if f.answer.Found {
				parts = append(parts, f)
			}
		case <-patience:
			local = true
		case <-ctx.Done():
			return nil
		}
		slices.SortFunc(parts, func(a, b found) int { return a.n - b.n })
		for _, f := range parts {
			if !f.whole {
				continue
			}
			if local || l.left == 0 {
				return l.app.view([]found{f})
			}
			t := time.NewTimer(localFirst)
			defer t.Stop()
			patience = t.C
			break
		}
	}
	return l.app.view(parts)
}

// view makes one request of what sources had of it.
func (a *App) view(parts []found) *sources.RequestView {
	switch {
	case len(parts) == 0:
		return nil
	case len(parts) == 1 && parts[0].view != nil:
		return parts[0].view
	}
	v := &sources.RequestView{}
	seen := map[sources.SpanID]bool{}
	for _, p := range parts {
		if p.view != nil {
			v.Events = p.view.Events
		}
		for i := range p.spans {
			if id := p.spans[i].SpanID; id.IsZero() || !seen[id] {
				seen[id] = true
				v.Spans = append(v.Spans, p.spans[i])
			}
		}
	}
	slices.SortStableFunc(v.Spans, func(x, y sources.Span) int { return int(min(1, max(-1, x.Start-y.Start))) })
	v.Request = a.intake.folder.Fold(v.Spans, v.Events)
	return v
}

func (a *App) fromStore(ctx context.Context, id string) found {
	began := a.clock.Wall()
	f := found{answer: sources.Answer{Source: "traces"}}
	v, facts, err := a.rows.Trace(ctx, id)
	switch {
	case err != nil:
		f.answer.Note = late(ctx, err)
	case v == nil:
		f.answer.Note = "no trace carries this ID"
	default:
		f.view, f.spans = v, v.Spans
		f.answer.Found = true
		f.answer.Note = joinFacts(fmt.Sprintf("%s in %s", sources.Counted(len(v.Spans), "span"), took(a.clock.Wall().Sub(began))), facts)
		f.whole = facts.Partial == "" && !slices.Contains(v.Request.Flags, sources.FlagNoRoot)
	}
	return f
}

// fromBackend reads a trace by its ID, or finds it by one that a span carries.
func (a *App) fromBackend(ctx context.Context, b backend, s config.Service, id string) found {
	began := a.clock.Wall()
	f := found{answer: sources.Answer{Source: b.name}}
	var facts sources.Facts
	var err error
	if trace, ok := sources.ParseTraceID(id); ok && (len(id) == 32 || len(id) == 16) {
		f.spans, facts, err = b.Trace(ctx, trace)
	}
	none := "no trace carries this ID"
	if err == nil && len(f.spans) == 0 {
		now := a.clock.Now()
		q := sources.TraceQuery{Fields: a.intake.folder.IDFields(), Value: id, Since: now.Add(-tracesBlind), Until: now.Add(time.Minute), Limit: sameID}
		if b.perService {
			q.Service = s.TraceService
		}
		var list sources.TraceList
		list, err = b.Find(ctx, q)
		facts = list.Facts
		none = "no trace of the last 24 h carries this ID"
		if len(list.Traces) > 0 {
			f.spans = list.Traces[0]
		}
		if n := len(list.Traces) - 1; n > 0 {
			facts.Warnings = append(facts.Warnings, fmt.Sprintf("%d more traces carry this ID; the newest is shown", n))
		}
	}
	switch {
	case err != nil:
		f.answer.Note = late(ctx, err)
	case len(f.spans) == 0:
		f.answer.Note = none
	default:
		f.answer.Found = true
		f.answer.Note = joinFacts(fmt.Sprintf("%s in %s", sources.Counted(len(f.spans), "span"), took(a.clock.Wall().Sub(began))), facts)
		f.whole = facts.Partial == "" && slices.ContainsFunc(f.spans, func(s sources.Span) bool { return s.Parent.IsZero() })
	}
	return f
}

// late says that a source took too long rather than how its read ended.
func late(ctx context.Context, err error) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "no answer within " + partTime.String()
	}
	return line(err.Error())
}
