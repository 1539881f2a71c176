package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"rollcall/sources"
	"rollcall/sources/loki"
	"rollcall/sources/prom"
	"rollcall/sources/signal"
)

// Finding is one answer of the doctor.
type Finding struct {
	Area    string          // "config", "state", "journal", "prometheus", "loki", "otlp", "traces", "signals", "runbooks", "pins", "login"
	Check   string          // what was looked at
	Verdict sources.Verdict // ok, watch, bad, unreachable or not exposed
	Detail  string
	Remedy  string
}

// checkTime is how long the doctor waits for one answer.
const checkTime = 10 * time.Second

// Doctor checks everything that a service needs, every source at the same time.
func (a *App) Doctor(ctx context.Context, service string) []Finding {
	checks := []func(context.Context, string) []Finding{
		a.checkConfig, a.checkState, a.checkJournal, a.checkProm, a.checkRules, a.checkAlertmanager, a.checkAlerts, a.checkLoki, a.checkBackends, a.checkOTLP, a.checkTraces, a.checkQueries, a.checkSignals, a.checkManifests,
		a.checkRunbooks, a.checkPins, a.checkLogin,
	}
	found := make([][]Finding, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkTime)
			defer cancel()
			found[i] = check(ctx, service)
		})
	}
	wg.Wait()
	var out []Finding
	for _, f := range found {
		out = append(out, f...)
	}
	return out
}

func ok(area, check, detail string) Finding {
	return Finding{Area: area, Check: check, Verdict: sources.OK, Detail: detail}
}

func (a *App) checkState(context.Context, string) []Finding {
	dir := a.cfg.State
	st, err := os.Stat(dir)
	if err != nil {
		return []Finding{{"state", "folder", sources.Bad, err.Error(), "set state: or XDG_STATE_HOME to a folder you own"}}
	}
	if st.Mode().Perm()&0o007 != 0 {
		return []Finding{{"state", "folder", sources.Watch, fmt.Sprintf("%s is open to everybody (%04o)", dir, st.Mode().Perm()), "chmod 700 " + dir}}
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return []Finding{{"state", "folder", sources.Bad, fmt.Sprintf("%s cannot be written to: %v", dir, cause(err)), "free some space, or set state: to a folder you own"}}
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	who := "by its owner only"
	if st.Mode().Perm()&0o020 != 0 {
		who = "by its owner and a group"
	}
	out := []Finding{ok("state", "folder", dir+" can be written to, "+who)}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err == nil {
		out = append(out, room(dir, int64(disk.Bavail)*int64(disk.Bsize))) //nolint:unconvert // its type differs between systems
	}
	return out
}

// tight is the room on a disk below which the oldest traces are shed to leave some to others.
const tight = 256 << 20

func room(dir string, free int64) Finding {
	detail := fmt.Sprintf("%d MiB free", free>>20)
	if free >= tight {
		return ok("state", "disk", detail)
	}
	return Finding{"state", "disk", sources.Watch, detail + "; the oldest traces are shed, and new ones are refused once nothing is left", "free space under " + dir}
}

func (a *App) checkProm(ctx context.Context, _ string) []Finding {
	if a.prom == nil {
		return []Finding{{"prometheus", "configured", sources.NotExposed, "no prometheus: in " + a.cfg.Label(), "add prometheus: {url: http://HOST:9090}, or set PROMETHEUS_URL"}}
	}
	err := a.prom.Check(ctx)
	h := a.ofDrill(a.prom.Health())
	return a.reached("prometheus", a.cfg.Prometheus.URL, h, err)
}

func (a *App) reached(area, url string, h sources.Health, err error) []Finding {
	out := []Finding{ok(area, "reachable", url+" answers in "+took(h.Latency))}
	if err != nil && h.State != sources.SourceUp {
		what, remedy, _ := strings.Cut(line(err.Error()), "; ")
		if remedy == "" {
			remedy = "check " + area + ".url and the network between here and there"
		}
		return []Finding{{area, "reachable", sources.Unreachable, what, remedy}}
	}
	if h.Note != "" {
		out[0].Detail += ", " + h.Note
	}
	if h.Skew.Abs() > sources.MaxSkew {
		return append(out, Finding{area, "clock", sources.Watch, "its clock differs from this machine's by " + h.Skew.Round(time.Second).String(), "check NTP on both machines"})
	}
	return append(out, ok(area, "clock", "agrees with this machine's"))
}

func (a *App) checkLoki(ctx context.Context, service string) []Finding {
	if a.loki == nil {
		return []Finding{{"loki", "configured", sources.NotExposed, "no loki: in " + a.cfg.Label(), "add loki: {url: http://HOST:3100}, or set LOKI_ADDR"}}
	}
	err := a.loki.Check(ctx)
	h := a.ofDrill(a.loki.Health())
	out := a.reached("loki", a.cfg.Loki.URL, h, err)
	if out[0].Verdict == sources.Unreachable {
		return out
	}
	s := a.cfg.Services[service]
	now := a.clock.Now()
	list, err := a.loki.QueryRange(ctx, sources.LogQuery{Query: s.Logs, Since: now.Add(-time.Hour), Until: now, Limit: 200})
	switch {
	case err != nil:
		return append(out, Finding{"loki", "selector", sources.Bad, line(err.Error()), "correct services." + service + ".logs"})
	case len(list.Lines) == 0:
		return append(out, Finding{"loki", "selector", sources.Watch, s.Logs + " matches no line of the last hour", "correct services." + service + ".logs; rollcall logs '{job=~\".+\"}' shows what is there"})
	}
	out = append(out, ok("loki", "selector", s.Logs+" matches "+a.logRate(ctx, s.Logs, now, len(list.Lines))))
	with, field := loki.Identified(list.Lines)
	switch total := len(list.Lines); {
	case with == 0:
		return append(out, Finding{"loki", "request ID", sources.Watch, fmt.Sprintf("none of the newest %s carries request_id or trace_id", sources.Counted(total, "line")), "write them into every line as JSON fields, so that a request finds its lines"})
	case 2*with < total:
		return append(out, Finding{"loki", "request ID", sources.Watch, fmt.Sprintf("only %d of the newest %s carry one, in %s", with, sources.Counted(total, "line"), field), "write it into every line, or narrow services." + service + ".logs to those that have it"})
	default:
		return append(out, ok("loki", "request ID", fmt.Sprintf("in %d of the newest %s, as %s", with, sources.Counted(total, "line"), field)))
	}
}

// logRate says how many lines a selector brings, from a metric query where the source can count.
func (a *App) logRate(ctx context.Context, selector string, now time.Time, seen int) string {
	series, _, err := a.loki.Instant(ctx, "sum(count_over_time("+selector+" [5m]))", now)
	switch {
	case err != nil || len(series) == 0 && !strings.HasPrefix(strings.TrimSpace(selector), "{"):
		return fmt.Sprintf("at least %s of the last hour", sources.Counted(seen, "line"))
	case len(series) == 0 || len(series[0].Points) == 0:
		return fmt.Sprintf("%s of the last hour, none of the last 5 minutes", sources.Counted(seen, "line"))
	}
	return fmt.Sprintf("%.3g lines a minute", series[0].Points[0].V/5)
}

func (a *App) checkOTLP(ctx context.Context, _ string) []Finding {
	store, err := a.intake.wait(ctx)
	if err == nil {
		if own, pid := store.Receiving(); pid > 0 {
			who := fmt.Sprintf("received by process %d", pid)
			if own {
				who = "received by this process"
			}
			return []Finding{ok("otlp", "receiver", who)}
		}
	}
	var out []Finding
	for _, e := range []struct{ name, addr, def string }{
		{"grpc", a.cfg.OTLP.GRPC, "127.0.0.1:4317"}, {"http", a.cfg.OTLP.HTTP, "127.0.0.1:4318"},
	} {
		addr := e.addr
		if addr == "" {
			addr = e.def
		}
		if addr == "off" {
			out = append(out, Finding{"otlp", e.name, sources.NotExposed, "switched off", ""})
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			out = append(out, Finding{"otlp", e.name, sources.Bad, fmt.Sprintf("%s is not free (%v): another program receives there, no rollcall of this state folder", addr, listenCause(err)), "set otlp." + e.name + " to another address and let the collector that listens there send a copy to it, or stop it"})
			continue
		}
		_ = l.Close()
		out = append(out, ok("otlp", e.name, addr+" is free"))
	}
	return append(out, Finding{"otlp", "receiver", sources.Watch, "nobody receives traces now", "open the console, or run rollcall collect, and point the exporter of the service there"})
}

func listenCause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		var sys *os.SyscallError
		if errors.As(op.Err, &sys) {
			return sys.Err
		}
		return op.Err
	}
	return err
}

func (a *App) checkTraces(ctx context.Context, service string) []Finding {
	store, err := a.intake.wait(ctx)
	if err != nil {
		return []Finding{{"traces", "store", sources.Bad, line(err.Error()), "see " + filepath.Join(a.cfg.State, "rollcall.log")}}
	}
	h := store.Health()
	if h.State == sources.SourceDown {
		return []Finding{{"traces", "store", sources.Bad, h.Reason, h.Note}}
	}
	now := a.clock.Now()
	list, err := a.rows.Requests(ctx, sources.RequestFilter{Service: service, Since: now.Add(-time.Hour), Until: now.Add(time.Minute), Limit: 100})
	switch {
	case err != nil:
		return []Finding{{"traces", "requests", sources.Bad, line(err.Error()), "see " + filepath.Join(a.cfg.State, "rollcall.log")}}
	case len(list.Rows) == 0:
		return []Finding{{"traces", "requests", sources.Watch, "no request of the last hour; " + h.Note, "export traces over OTLP to this machine, and set services." + service + ".trace_service to their service.name"}}
	}
	without := 0
	for i := range list.Rows {
		if list.Rows[i].ID == "" {
			without++
		}
	}
	seen := max(list.Facts.Total, len(list.Rows))
	out := []Finding{ok("traces", "requests", fmt.Sprintf("%d seen of the last hour; %s", seen, h.Note))}
	out = append(out, a.checkCoverage(ctx, service)...)
	if without > 0 {
		return append(out, Finding{"traces", "request ID", sources.Watch, fmt.Sprintf("%d of %d rows have none", without, len(list.Rows)), "set llmops.request.id on the root span, or name the attribute in mapping.request_id"})
	}
	return append(out, ok("traces", "request ID", "in every row"))
}

// checkManifests says where what is live is contradicted, by a folder of manifests or otherwise.
func (a *App) checkManifests(ctx context.Context, service string) []Finding {
	t, err := a.Moves(ctx, service, sources.View{Range: time.Hour})
	if err != nil {
		return nil // that a source is down is said by its own check
	}
	var out []Finding
	for _, d := range t.Doubts {
		out = append(out, Finding{"signals", "manifests", sources.Watch, line(d), "correct what is wrong there; until then nothing is concluded from it"})
	}
	if s := a.cfg.Services[service]; s.Manifests != nil && len(out) == 0 {
		out = append(out, ok("signals", "manifests", s.Manifests.Dir+" agrees with what runs"))
	}
	return out
}

// checkQueries asks the sources about the queries that the configuration brings:
// a wrong one would otherwise hide behind the catalogue's own.
func (a *App) checkQueries(ctx context.Context, service string) []Finding {
	s := a.cfg.Services[service]
	queries, err := signal.Queries(s.Service)
	if err != nil {
		return []Finding{{"signals", "configuration", sources.Bad, line(err.Error()), "correct services." + service}}
	}
	var out []Finding
	now := a.clock.Now()
	for _, q := range queries {
		if q.Profile != signal.Override || a.prom == nil {
			continue
		}
		series, _, err := a.prom.Query(ctx, q.Query, now)
		var rejected *prom.Error
		switch {
		case errors.As(err, &rejected) && rejected.Rejected:
			out = append(out, Finding{"signals", q.Signal, sources.Bad, line(err.Error()), "correct services." + service + ".queries." + q.Signal})
		case err == nil && len(series) == 0:
			out = append(out, Finding{"signals", q.Signal, sources.Watch, "the configured query has no data", "check services." + service + ".queries." + q.Signal})
		case err == nil:
			out = append(out, ok("signals", q.Signal, "the configured query answers"))
		}
	}
	return out
}

func (a *App) checkSignals(ctx context.Context, service string) []Finding {
	snap, err := a.eval.Snapshot(ctx, service, sources.View{Range: time.Hour, Columns: 30}, sources.HealthPane)
	if err != nil {
		return []Finding{{"signals", "all", sources.Unreachable, line(err.Error()), ""}}
	}
	known, judged := 0, 0
	from := map[string]int{} // profile or provider → signals
	var out []Finding
	missing, dark := map[string][]string{}, map[string][]string{} // why → signals
	for i := range snap.Readings {
		r := &snap.Readings[i]
		switch r.Verdict {
		case sources.NotExposed:
			missing[r.Why] = append(missing[r.Why], r.Signal)
		case sources.Unreachable:
			why := cmp.Or(r.Facts.Stale, r.Facts.Partial, r.Why)
			dark[why] = append(dark[why], r.Signal)
		default:
			known++
			from[cmp.Or(r.Provenance.Profile, r.Provenance.Provider, "computed")]++
			if r.Verdict != sources.Learning && r.Verdict != sources.NoTraffic {
				judged++
			}
		}
	}
	if known > 0 {
		out = append(out, ok("signals", "answered", fmt.Sprintf("%d of %d, %d of them judged now; from %s", known, len(snap.Readings), judged, tally(from))))
	}
	for _, why := range slices.Sorted(maps.Keys(dark)) {
		what, remedy := remedied(errors.New(why), "see the sources above; services."+service+".queries can replace a query")
		out = append(out, Finding{"signals", few(dark[why]), sources.Unreachable, what, remedy})
	}
	if len(missing) > 0 {
		n := 0
		var parts []string
		for _, why := range slices.SortedFunc(maps.Keys(missing), func(x, y string) int {
			return cmp.Or(len(missing[y])-len(missing[x]), strings.Compare(x, y))
		}) {
			n += len(missing[why])
			parts = append(parts, strings.Join(missing[why], ", ")+" ("+why+")")
		}
		out = append(out, Finding{"signals", "not exposed", sources.NotExposed, fmt.Sprintf("%d of %d: %s", n, len(snap.Readings), strings.Join(parts, "; ")), "docs/llmops-contract.md says which metric each needs; services." + service + ".queries can name your own"})
	}
	if known == 0 && len(dark) == 0 {
		s := a.cfg.Services[service]
		out = append(out, Finding{"signals", "scope", sources.Bad, "no signal has data under {" + s.Scope + "}", "correct services." + service + ".scope"})
	}
	return out
}

// tally lists names with how often, the most frequent first: "llmops 36, requests 3".
func tally(n map[string]int) string {
	names := slices.SortedFunc(maps.Keys(n), func(x, y string) int { return cmp.Or(n[y]-n[x], strings.Compare(x, y)) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, n[name])
	}
	return strings.Join(names, ", ")
}

// few names signals that fail for one reason: each of them, or how many when a whole source is gone.
func few(list []string) string {
	if len(list) <= 4 {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:3], ", "), len(list)-3)
}
