package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/runbooks/pin"
	"rollcall/runbooks/readiness"
	"rollcall/runbooks/run"
	"rollcall/sources"
	"rollcall/sources/loki"
	"rollcall/sources/request"
	"rollcall/store/fatigue"
	"rollcall/store/journal"
	"rollcall/store/scorecard"
)

const (
	// gatherTime bounds the look at one source, in wall time.
	gatherTime = 8 * time.Second
	// recordsOver is how far back request records are looked for.
	recordsOver = 24 * time.Hour
	recordsMost = 500
	recordsOpen = 3 // opened in full
)

// logSample is where lines are looked at: some of now, and some of earlier in
// the day, since what a service writes differs.
var logSample = []struct{ ago, width time.Duration }{{0, 15 * time.Minute}, {time.Hour, 10 * time.Minute}, {6 * time.Hour, 10 * time.Minute}}

const logSampleLines = 200 // of each

// Readiness answers the checklist from evidence. A source that is down, slow or
// not configured leaves its part of the evidence unknown, with the reason; the
// only error is a service that is not configured.
func (a *App) Readiness(ctx context.Context, service string) (readiness.Report, error) {
	s, err := a.service(service)
	if err != nil {
		return readiness.Report{}, err
	}
	e := &readiness.Evidence{Service: service, Now: a.clock.Now(), Evals: s.Evals != nil}
	for _, k := range journal.Severities() {
		m := readiness.Meaning{Word: string(k), Means: a.cfg.Incidents.SeverityMeans()[k], Own: strings.TrimSpace(a.cfg.Incidents.Severities[string(k)]) != ""}
		e.Meanings.Severities = append(e.Meanings.Severities, m)
	}
	e.Runbooks.Target, e.Budgets.Features = s.Rehearsal != nil, s.Features != nil
	for _, b := range []struct {
		scope string
		usd   float64
	}{{"day", s.Budget.Day}, {"period", s.Budget.Period}, {"hour", s.Budget.Hour}, {"user_hour", s.Budget.UserHour}, {"request", s.Budget.Request}} {
		if b.usd > 0 {
			e.Budgets.Scopes = append(e.Budgets.Scopes, b.scope)
		}
	}
	// Each looks at one source and writes the part of the evidence that is its own.
	var wg sync.WaitGroup
	for _, part := range []struct {
		look    func(ctx context.Context, service string, e *readiness.Evidence) error
		unknown []*string
	}{
		{a.lookAtRequests, []*string{&e.Requests.Unknown}},
		{a.lookAtPins, []*string{&e.Pins.Unknown}},
		{a.lookAtRunbooks, []*string{&e.Runbooks.Unknown}},
		{a.lookAtSignals, []*string{&e.Signals.Unknown, &e.Budgets.Unknown}},
		{a.lookAtAlerts, []*string{&e.Fatigue.Unknown}},
		{a.lookAtLogs, []*string{&e.Logs.Unknown}},
		{a.lookAtIncidents, []*string{&e.Incidents.Unknown}},
		{a.lookAtDrills, []*string{&e.Practice.Unknown}},
	} {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, gatherTime)
			defer cancel()
			if err := part.look(ctx, service, e); err != nil {
				why := line(err.Error())
				if errors.Is(ctx.Err(), context.DeadlineExceeded) {
					why = "no answer within " + gatherTime.String()
				}
				for _, u := range part.unknown {
					*u = why
				}
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return readiness.Report{}, err
	}
	e.Requests.Traffic = slices.ContainsFunc(e.Signals.Signals, func(s readiness.Signal) bool {
		return s.ID == "req_rate" && (s.Verdict == sources.OK || s.Verdict == sources.Watch || s.Verdict == sources.Bad || s.Verdict == sources.Learning)
	})
	practised(e)
	return readiness.Judge(e), nil
}

func (a *App) lookAtRequests(ctx context.Context, service string, e *readiness.Evidence) error {
	out := &e.Requests
	out.Over = recordsOver
	list, err := a.Requests(ctx, sources.RequestFilter{Service: service, Since: e.Now.Add(-recordsOver), Until: e.Now.Add(time.Minute), Limit: recordsMost})
	switch {
	case err != nil:
		return err
	case len(list.Rows) == 0 && list.Facts.Partial != "":
		return errors.New(line(list.Facts.Partial))
	case len(list.Rows) == 0 && len(list.Facts.Warnings) > 0:
		return errors.New(line(list.Facts.Warnings[0]))
	}
	out.N = len(list.Rows)
	id := readiness.Share{What: "request ID", Next: "set llmops.request.id on the root span, or name the attribute in mapping.request_id"}
	prompt := readiness.Share{What: "prompt version", Next: "set llmops.prompt.version on the spans, or name the attribute in mapping.prompt"}
	model := readiness.Share{What: "model pinned to a snapshot", Next: "set gen_ai.response.model, and ask the provider for a dated snapshot instead of an alias"}
	index := readiness.Share{What: "index version", Next: "set llmops.index.version on the retrieval span, or name the attribute in mapping.index"}
	manifest := readiness.Share{What: "manifest", Next: "set llmops.manifest.id, deployment.id or service.version on the spans or their resource"}
	tell := func(s *readiness.Share, has bool) {
		s.Of++
		if has {
			s.N++
		}
	}
	var whole []string
	for i := range list.Rows {
		r := &list.Rows[i]
		tell(&id, r.ID != "")
		tell(&manifest, !slices.Contains(r.Flags, sources.FlagNoManifest))
		if r.LLMCalls > 0 || r.ModelServed != "" { // an answer from a cache has no model
			tell(&prompt, r.Prompt != "")
			tell(&model, r.ModelServed != "" && !slices.Contains(r.Flags, sources.FlagUnpinned))
			if r.Outcome != "error" && len(whole) < recordsOpen {
				whole = append(whole, r.TraceID)
			}
		}
		if r.RetrievalQuery != "" || r.RetrievalHit != "" {
			tell(&index, r.Index != "")
		}
	}
	out.Parts = []readiness.Share{id, prompt, model, index, manifest}
	for _, trace := range whole {
		v, _, err := a.rows.Trace(ctx, trace)
		if err != nil || v == nil {
			continue // its spans are somewhere else, or gone meanwhile
		}
		out.Opened++
		content := request.ContentOf(v.Spans, v.Events)
		has := func(kinds ...string) bool {
			return slices.ContainsFunc(content, func(c sources.Content) bool { return slices.Contains(kinds, c.Kind) && c.Text != "" })
		}
		if has("prompt", "system") && has("response") {
			out.Texts++
		}
	}
	return nil
}

func (a *App) lookAtPins(ctx context.Context, service string, e *readiness.Evidence) error {
	if len(a.cfg.Services[service].Components) == 0 {
		return nil // that there are none is known
	}
	pins, err := OpenPins(a.cfg, service, func(string) (string, bool) { return "", false }, nil)
	if err != nil {
		return err
	}
	defer func() { _ = pins.Close() }()
	for _, l := range pins.All(ctx) {
		p := readiness.Pin{Component: l.Component, Version: line(l.Version)}
		if l.Err != nil {
			p.Problem, _, _ = strings.Cut(line(l.Err.Error()), "; ")
			p.Away = errors.Is(l.Err, pin.ErrUnreachable) || errors.Is(l.Err, pin.ErrUncertain) || ctx.Err() != nil
		}
		e.Pins.Pins = append(e.Pins.Pins, p)
	}
	return nil
}

func (a *App) lookAtRunbooks(ctx context.Context, service string, e *readiness.Evidence) error {
	list, err := a.runbookList(ctx, service)
	if err != nil {
		return err
	}
	done, err := run.LastSuccesses(ctx, runJournal{a}, service)
	if err != nil {
		e.Runbooks.History = line(err.Error())
	}
	for i := range list {
		l := &list[i]
		b := readiness.Book{ID: line(l.File)}
		if errs := mistakes(l.Problems); len(errs) > 0 {
			b.Problem = line(errs[0].String())
		} else if l.Runbook == nil {
			b.Problem = "it cannot be read"
		}
		if rb := l.Runbook; rb != nil {
			b.ID, b.Title, b.Component, b.Every, b.Hash = rb.ID, line(rb.Title), rb.RollsBack(), rb.RehearseEvery, rb.Hash
			last := done[rb.ID]
			b.Rehearsed = readiness.Done{At: last.Rehearsal.At, What: last.Rehearsal.Run, Same: last.Rehearsal.Hash == rb.Hash}
			b.Run = readiness.Done{At: last.Live.At, What: last.Live.Run, Same: last.Live.Hash == rb.Hash}
		}
		e.Runbooks.Books = append(e.Runbooks.Books, b)
	}
	return nil
}

func (a *App) lookAtSignals(ctx context.Context, service string, e *readiness.Evidence) error {
	snap, err := a.eval.Snapshot(ctx, service, sources.View{Range: time.Hour, Columns: 30}, "")
	if err != nil {
		return err
	}
	dark := ""
	for i := range snap.Readings {
		r := &snap.Readings[i]
		s := readiness.Signal{ID: r.Signal, Pane: r.Pane, Verdict: r.Verdict}
		e.Signals.Signals = append(e.Signals.Signals, s)
		switch {
		case strings.HasPrefix(r.Signal, "cache_") && r.Unit == sources.Ratio:
			e.Budgets.Caches = append(e.Budgets.Caches, s)
		case r.Signal == "fallback_rate":
			e.Budgets.Fallback = append(e.Budgets.Fallback, s)
		case r.Signal == "budget_used" || r.Signal == "budget_daily":
			if r.Verdict == sources.Unreachable {
				dark = line(cmp.Or(r.Facts.Stale, r.Facts.Partial, r.Why))
			} else if r.Verdict != sources.NotExposed && len(e.Budgets.Scopes) == 0 {
				e.Budgets.Metric = true
			}
		}
	}
	if dark != "" && !e.Budgets.Metric {
		e.Budgets.Unknown = "whether the service tells any is out of reach: " + dark
	}
	return nil
}

func (a *App) lookAtAlerts(ctx context.Context, service string, e *readiness.Evidence) error {
	r, err := a.Fatigue(ctx, service, e.Now)
	if err != nil {
		return err
	}
	out := readiness.Fatigue{
		Over: min(fatigue.Span, time.Duration(r.Days*float64(24*time.Hour))), Firings: r.Firings, Rules: len(r.Rules), PerShift: r.PerShift,
	}
	if r.Firings > 0 {
		out.Acted = sources.N(float64(r.Actioned) / float64(r.Firings))
	}
	for i := range r.Rules {
		if x := &r.Rules[i]; x.Advice == fatigue.Retire {
			out.Useless = append(out.Useless, cmp.Or(x.Label, x.Name()))
		}
	}
	e.Fatigue = out
	return nil
}

func (a *App) lookAtLogs(ctx context.Context, service string, e *readiness.Evidence) error {
	out := &e.Logs
	out.Over = logSample[len(logSample)-1].ago + logSample[len(logSample)-1].width
	out.Hits = map[string]int{}
	var all []sources.LogLine
	var trouble error
	for _, w := range logSample {
		until := e.Now.Add(-w.ago)
		list, err := a.Logs(ctx, service, sources.LogQuery{Since: until.Add(-w.width), Until: until, Limit: logSampleLines})
		if err != nil {
			trouble = err
			break
		}
		all = append(all, list.Lines...)
		for k, n := range list.Redacted {
			out.Hits[k] += n
		}
	}
	if trouble != nil && len(all) == 0 {
		return trouble
	}
	out.N = len(all)
	for i := range all {
		if structured(all[i].Line) {
			out.Structured++
		}
	}
	out.Identified, out.Field = loki.Identified(all)
	out.Field = line(out.Field)
	return nil
}

// logfmtPair is key=value as logfmt writes it.
var logfmtPair = regexp.MustCompile(`(?:^|[ \t])[A-Za-z_@][A-Za-z0-9_.\-/@]*=(?:"(?:[^"\\]|\\.)*"|[^ \t"]*)`)

// structured tells whether a line, as it is shown, is JSON or logfmt. One that was
// cut because of its length is judged by its beginning.
func structured(s string) bool {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "{") {
		return json.Valid([]byte(s)) || strings.HasPrefix(s, `{"`) && strings.HasSuffix(s, " bytes)")
	}
	covered := 0
	pairs := logfmtPair.FindAllStringIndex(s, -1)
	for _, p := range pairs {
		covered += p[1] - p[0]
	}
	// A sentence that mentions x=1 is none.
	return len(pairs) >= 2 && 10*covered >= 9*len(s)
}

func (a *App) lookAtIncidents(ctx context.Context, service string, e *readiness.Evidence) error {
	j, err := a.ReadJournal()
	if errors.Is(err, journal.ErrUnknown) {
		return nil // nothing was recorded yet
	}
	if err != nil {
		return err
	}
	list, err := j.Incidents(ctx, service, false)
	if err != nil {
		return err
	}
	for i := range list {
		if inc := &list[i]; inc.Open() {
			e.Incidents.Open = append(e.Incidents.Open, readiness.Open{ID: inc.ID, State: inc.State(), Since: inc.Opened})
		} else {
			e.Incidents.Closed = append(e.Incidents.Closed, readiness.Closed{ID: inc.ID, At: inc.Closed, Cases: inc.Cases, Reason: line(inc.CloseReason)})
		}
	}
	slices.SortFunc(e.Incidents.Closed, func(x, y readiness.Closed) int { return x.At.Compare(y.At) })
	return nil
}

func (a *App) lookAtDrills(ctx context.Context, _ string, e *readiness.Evidence) error {
	return eachEntry(ctx, runJournal{a}, journal.Filter{Kinds: []journal.Kind{journal.DrillEnded}}, func(en *journal.Entry) {
		var s scorecard.Summary
		if json.Unmarshal(en.Data, &s) != nil {
			return
		}
		if s.Ended.After(e.Practice.Drill.At) {
			e.Practice.Drill = readiness.Drill{At: s.Ended, Scenario: line(s.Scenario), Verified: s.Verified.OK}
		}
		for _, r := range s.Runs {
			if r.Outcome == string(run.Succeeded) {
				e.Practice.Runs = append(e.Practice.Runs, readiness.DrillRun{Runbook: r.Runbook, Hash: r.Hash, Done: readiness.Done{At: s.Ended, What: line(s.Drill)}})
			}
		}
	})
}

// practised tells the runbooks in which drills they succeeded.
func practised(e *readiness.Evidence) {
	for i := range e.Runbooks.Books {
		b := &e.Runbooks.Books[i]
		for _, r := range e.Practice.Runs {
			if r.Runbook == b.ID && r.Done.At.After(b.Practised.At) {
				b.Practised = r.Done
				b.Practised.Same = r.Hash == b.Hash
			}
		}
	}
}
