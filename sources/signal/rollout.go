package signal

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
	"rollcall/sources/manifest"
	"rollcall/sources/signal/rollout"
	"rollcall/sources/signal/stat"
)

const (
	rolloutSpan     = 6 * time.Hour // compared at most
	rolloutRows     = 60_000        // with every minute
	rolloutPatience = 2 * time.Second
	mostRollouts    = 4
)

// rolledOut are the outcomes of a rollout that metrics count by version: those of a
// signal that is a proportion, the bad ones being its K, or what is left of N where less is worse.
var rolledOut = []struct {
	signal, id, name string
	core             bool
}{
	{"error_ratio", "errors", "errors", true},
	{"schema_fail", "schema_failures", "schema failures", true},
	{"refusal", "refusals", "refusals", true},
	{"filter_trigger", "filter_triggers", "content filter triggers", true},
	{"retrieval_hit", "retrieval_misses", "retrievals without a hit", false},
	{"feedback", "feedback", "thumbs down", false},
}

// rollouts keeps what was found of a minute: nothing new is known before the next.
type rollouts struct {
	mu sync.Mutex
	m  map[rolloutKey]*rollout.Report
}

type rolloutKey struct {
	service string
	at      time.Time
}

// Rollout compares the versions of a service that run at the same time; nil when only one does.
func (e *Evaluator) Rollout(ctx context.Context, service string, view sources.View) (*rollout.Report, error) {
	r, err := e.begin(ctx, service, view)
	if err != nil {
		return nil, err
	}
	if e.deps.Changes == nil {
		return nil, nil //nolint:nilnil // nobody says that more than one version runs
	}
	t, err := e.deps.Changes.Read(ctx, service, r.start.Add(-beforeRange), r.now, r.step)
	if err != nil {
		return nil, err
	}
	return r.rollout(ctx, &t), nil
}

// rollout compares what the timeline says to run at the same time, from metrics where a
// label tells the versions apart, else from request rows.
func (r *run) rollout(ctx context.Context, t *manifest.Timeline) *rollout.Report {
	if len(t.Stages) < 2 && len(t.Beside) == 0 {
		return nil
	}
	key := rolloutKey{r.svc.name, r.now.Truncate(time.Minute)}
	e := r.e
	e.rollouts.mu.Lock()
	known, ok := e.rollouts.m[key]
	e.rollouts.mu.Unlock()
	if ok {
		return known
	}
	ctx, cancel := context.WithTimeout(ctx, rolloutPatience)
	defer cancel()
	out := r.compareStages(ctx, t)
	if ctx.Err() != nil {
		return out
	}
	e.rollouts.mu.Lock()
	defer e.rollouts.mu.Unlock()
	if e.rollouts.m == nil || len(e.rollouts.m) > 32 {
		e.rollouts.m = map[rolloutKey]*rollout.Report{}
	}
	e.rollouts.m[key] = out
	return out
}

func (r *run) compareStages(ctx context.Context, t *manifest.Timeline) *rollout.Report {
	var list, open []rollout.Comparison
	var doubts []string
	facts := sources.Facts{Source: "prometheus", At: r.now}
	unsplit := len(t.Stages) < 2
	left := 0
	for i := 1; i < len(t.Stages); i++ {
		candidate, control := &t.Stages[i], &t.Stages[0]
		if rollout.Differs(side(candidate), side(control)) == "" {
			// Another stage of the very same versions, unless it is of others as well.
			unsplit = unsplit || candidate.Claims > 1
			continue
		}
		if len(list) == mostRollouts {
			left++
			continue
		}
		in, ok := r.stageInput(ctx, t, candidate, control)
		if !ok {
			unsplit = true
			continue
		}
		if in.Open && r.e.deps.Tables != nil {
			// Request rows know which manifest each request ran.
			open, unsplit = append(open, rollout.Decide(in)), true
			continue
		}
		list = append(list, rollout.Decide(in))
	}
	if left > 0 {
		doubts = append(doubts, fmt.Sprintf("%d more rollout stages not compared", left))
	}
	if unsplit && r.e.deps.Tables != nil {
		fromRows, said, f := r.rowRollouts(ctx)
		doubts = append(doubts, said...)
		for i := range fromRows {
			if !slices.ContainsFunc(list, func(c rollout.Comparison) bool { return c.Title() == fromRows[i].Title() }) {
				list = append(list, fromRows[i])
			}
		}
		if len(fromRows) > 0 {
			facts, open = f, nil
		}
		unsplit = len(fromRows) == 0
	}
	list = append(list, open...)
	if unsplit && len(list) == 0 {
		// Two run, and nothing counts them apart: that is worth saying.
		for i := 1; i < len(t.Stages); i++ {
			in := r.input(t, &t.Stages[i], &t.Stages[0])
			if rollout.Differs(&in.Candidate, &in.Control) == "" {
				continue
			}
			in.Doubts = append(in.Doubts, "neither metrics nor request rows count its requests apart from those of "+in.Control.Name)
			list = append(list, rollout.Decide(in))
			break
		}
	}
	if len(list) == 0 && len(doubts) == 0 {
		return nil
	}
	return rollout.New(r.now, list, doubts, facts)
}

func side(s *manifest.Stage) *rollout.Side {
	name := s.Stage
	if name == "" {
		name = s.Environment
	}
	if name == "" {
		name = "live"
	}
	return &rollout.Side{Name: name, Manifest: s.ID, Environment: s.Environment, Versions: s.Versions, Since: s.Since}
}

func (r *run) input(t *manifest.Timeline, candidate, control *manifest.Stage) *rollout.Input {
	in := &rollout.Input{
		Candidate: *side(candidate), Control: *side(control), Provider: "prometheus",
		From: r.now.Add(-rolloutSpan), To: r.now, Newer: true,
	}
	in.Kind = rollout.KindOf(in.Candidate.Name, in.Control.Name)
	if in.Kind == rollout.BlueGreen || !rollout.IsLive(in.Control.Name) {
		// Neither is called live: the one that came later is on trial.
		switch {
		case candidate.Since.IsZero() && control.Since.IsZero():
			in.Newer = false
		case control.Since.After(candidate.Since):
			in.Candidate, in.Control = in.Control, in.Candidate
		}
	}
	if since := in.Candidate.Since; since.After(in.From) {
		in.From = since
	}
	for _, s := range []*manifest.Stage{candidate, control} {
		if s.Claims > 1 {
			in.Doubts = append(in.Doubts, fmt.Sprintf("%d manifests at one time in stage %s", s.Claims, side(s).Name))
			// What the candidate's version does is bad whatever else runs beside it; what it is held
			// against may be the very thing that is as bad.
			in.Open = in.Open || side(s).Name == in.Control.Name
		}
	}
	return in
}

// stageInput counts two stages by a label of metrics that tells them apart; false when none does.
func (r *run) stageInput(ctx context.Context, t *manifest.Timeline, candidate, control *manifest.Stage) (*rollout.Input, bool) {
	if r.e.deps.Prom == nil || r.failed != nil {
		return nil, false
	}
	in := r.input(t, candidate, control)
	// What runs in a third stage too cannot be told from it by its version.
	for _, c := range []sources.Component{sources.Prompt, sources.Model, sources.Index} {
		a, b := in.Candidate.Versions[c], in.Control.Versions[c]
		alone := true
		for i := range t.Stages {
			s := &t.Stages[i]
			if v := s.Versions[c]; s != candidate && s != control && (v == a || v == b) {
				alone = false
			}
		}
		if a == "" || b == "" || a == b || !alone {
			continue
		}
		if r.countBy(ctx, in, string(c), a, b) {
			return in, true
		}
	}
	return nil, false
}

// countBy counts every outcome split by one component; false when nothing carries the label.
func (r *run) countBy(ctx context.Context, in *rollout.Input, by, candidate, control string) bool {
	step := max(latelyStep, r.seen.window().Round(latelyStep))
	// A window that began before the candidate did would count what ran until then.
	end := r.now.Truncate(step)
	start := in.From.Add(step).Truncate(step).Add(step)
	if start.After(end) {
		start = end
	}
	in.Step = step
	length := int(end.Sub(start)/step) + 1
	read := func(expr string) (map[string][]float64, error) {
		if expr == "" {
			return nil, nil
		}
		series, _, err := r.e.metrics.Range(ctx, expr, start, end, step)
		if err != nil {
			return nil, err
		}
		return gridOf(series, start, step, length), nil
	}
	found := false
	for _, o := range rolledOut {
		sig := r.svc.signal(o.signal)
		if sig == nil {
			continue
		}
		counted := false
		for i := range sig.From {
			all, bad, ok := r.eventsBy(&sig.From[i], by, step)
			if !ok {
				continue
			}
			n, err := read(all)
			if err == nil && n[candidate+"\x00"] == nil && n[control+"\x00"] == nil {
				continue // the metric has no such label
			}
			var k map[string][]float64
			if err == nil {
				k, err = read(bad)
			}
			if err != nil {
				// Not to know the bad ones is not to know that there were none.
				if o.core {
					in.Doubts = append(in.Doubts, o.name+" could not be read: "+err.Error())
				}
				break
			}
			c := rollout.Counted{ID: o.id, Name: o.name, Core: o.core}
			var brokenTried, brokenBeside bool
			c.Tried, brokenTried = pairUp(k[candidate+"\x00"], n[candidate+"\x00"], length, step, sig.Direction == sources.LowerWorse)
			c.Beside, brokenBeside = pairUp(k[control+"\x00"], n[control+"\x00"], length, step, sig.Direction == sources.LowerWorse)
			if o.core && (brokenTried || brokenBeside) {
				in.Doubts = append(in.Doubts, o.name+" are counted in numbers that cannot be")
			}
			in.Counted = append(in.Counted, c)
			counted, found = true, true
			break
		}
		if !counted {
			if o.signal == "error_ratio" {
				return false // nothing says how many requests each has
			}
			in.NotSeen = append(in.NotSeen, o.name)
		}
	}
	r.histogramsBy(in, by, candidate, control, length, step, read)
	trafficShares(in)
	return found
}

// eventsBy are the queries for the events of a proportion and the bad ones among them, split.
func (r *run) eventsBy(src *Source, by string, step time.Duration) (all, bad string, ok bool) {
	if src.K == "" || src.N == "" || src.Profile == Override || !r.seen.holds(src.Profile) {
		return "", "", false
	}
	label := splitLabel(src.Profile, by)
	n, missing := r.seen.of(src.Profile).resolve(src.N, src.Sparse...)
	k, lacks := r.seen.of(src.Profile).resolve(src.K, src.Sparse...)
	if lacks != "" && !slices.Contains(src.Sparse, lacks) {
		return "", "", false
	}
	if label == "" || missing != "" || n == "" || !strings.Contains(n, "$by") {
		return "", "", false
	}
	if lacks != "" {
		k = ""
	}
	scope := r.svc.scope(src.Profile)
	return expand(n, scope, step, label), expand(k, scope, step, label), true
}

// histogramsBy counts slow answers and low scores: beyond the bucket bound that nine of ten
// of the control's values keep.
func (r *run) histogramsBy(in *rollout.Input, by, candidate, control string, length int, step time.Duration, read func(string) (map[string][]float64, error)) {
	for _, h := range []struct {
		id, name, bucket string
		low              bool
		say              func(float64) string
	}{
		{"latency", "slow answers (over %s)", r.bucketOf("latency_p95"), false, rollout.Seconds},
		{"eval_scores", "low evaluation scores (up to %s)", r.named(LLMOps, "llmops_eval_score_bucket"), true, func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }},
	} {
		label := splitLabel(LLMOps, by)
		plain, _, _ := strings.Cut(h.name, " (")
		if h.bucket == "" {
			in.NotSeen = append(in.NotSeen, plain)
			continue
		}
		grid, err := read(fmt.Sprintf("sum by (le, %s) (rate(%s[%s]))", label, expand(h.bucket, r.svc.scope(LLMOps), step, ""), promDuration(step)))
		if err != nil {
			in.NotSeen = append(in.NotSeen, plain)
			continue
		}
		bound, edge, ok := boundOf(grid, control, h.low)
		if !ok || grid[candidate+"\x00"+bound] == nil {
			continue // too few, or the two do not share their buckets
		}
		count := func(version string) []stat.Count {
			all, below := grid[version+"\x00+Inf"], grid[version+"\x00"+bound]
			out, _ := pairUp(below, all, length, step, !h.low)
			return out
		}
		in.Counted = append(in.Counted, rollout.Counted{ID: h.id, Name: fmt.Sprintf(h.name, h.say(edge)), Tried: count(candidate), Beside: count(control)})
	}
}

// bucketOf is the histogram of a quantile in the service's own profile.
func (r *run) bucketOf(signal string) string {
	sig := r.svc.signal(signal)
	if sig == nil {
		return ""
	}
	for i := range sig.From {
		if src := &sig.From[i]; src.Profile == LLMOps && src.Bucket != "" && r.seen.holds(LLMOps) {
			if q, missing := r.seen.of(LLMOps).resolve(src.Bucket); missing == "" {
				return q
			}
		}
	}
	return ""
}

func (r *run) named(profile, metric string) string {
	q := metric + "{$scope}"
	if !r.seen.holds(profile) {
		return ""
	}
	if _, missing := r.seen.of(profile).resolve(q); missing != "" {
		return ""
	}
	return q
}

// boundOf finds the bucket bound nearest to which one in ten of the control's values lies
// beyond; at least one in fifty and at most one in three must.
func boundOf(grid map[string][]float64, control string, low bool) (label string, edge float64, ok bool) {
	total := sum(grid[control+"\x00+Inf"])
	if total <= 0 {
		return "", 0, false
	}
	best := math.Inf(1)
	for key, values := range grid {
		version, le, _ := strings.Cut(key, "\x00")
		v, err := strconv.ParseFloat(le, 64)
		if version != control || err != nil || math.IsInf(v, 0) {
			continue
		}
		beyond := 1 - sum(values)/total
		if low {
			beyond = 1 - beyond
		}
		if off := math.Abs(beyond - 0.1); beyond >= 0.02 && beyond <= 0.34 && (off < best || off == best && v < edge) {
			best, label, edge, ok = off, le, v, true
		}
	}
	return label, edge, ok
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		if v >= 0 {
			total += v
		}
	}
	return total
}

// nonsense is a point that is there and cannot be: it is no zero.
const nonsense = -1

// gridOf places series on the grid by version and bucket bound: the value of the first label that
// is not "le", a zero byte, and "le". Absent points are NaN, those that cannot be negative.
func gridOf(series []sources.Series, start time.Time, step time.Duration, length int) map[string][]float64 {
	out := map[string][]float64{}
	for _, s := range series {
		version := ""
		for name, v := range s.Labels {
			if name != "le" && name != "__name__" {
				version = v
			}
		}
		key := version + "\x00" + s.Labels["le"]
		grid := out[key]
		if grid == nil {
			grid = make([]float64, length)
			for i := range grid {
				grid[i] = math.NaN()
			}
			out[key] = grid
		}
		for _, p := range s.Points {
			i := int(p.T.Sub(start) / step)
			switch {
			case i < 0 || i >= length || grid[i] == nonsense:
			case !(p.V >= 0) || math.IsInf(p.V, 0):
				grid[i] = nonsense
			case math.IsNaN(grid[i]):
				grid[i] = p.V
			default:
				grid[i] += p.V
			}
		}
	}
	return out
}

// pairUp makes counts of rates. A bad one that was never seen is none; events that were never seen
// are no window, and neither are numbers that cannot be; broken tells that most are such. With others,
// k counts the good ones.
func pairUp(k, n []float64, length int, step time.Duration, others bool) (out []stat.Count, broken bool) {
	out = make([]stat.Count, length)
	odd, all := 0, 0
	for i := range n {
		if math.IsNaN(n[i]) {
			continue
		}
		all++
		if n[i] < 0 || i < len(k) && k[i] < 0 {
			odd++
			continue
		}
		c := stat.Count{N: n[i] * step.Seconds()}
		if i < len(k) && !math.IsNaN(k[i]) {
			c.K = min(k[i]*step.Seconds(), c.N)
		}
		if others {
			c.K = c.N - c.K
		}
		out[i] = c
	}
	return out, 2*odd > all
}

// trafficShares says how much of the traffic each side has had lately.
func trafficShares(in *rollout.Input) {
	if len(in.Counted) == 0 {
		return
	}
	c := &in.Counted[0]
	last := max(1, int(quarter/in.Step))
	of := func(list []stat.Count) (n float64) {
		for _, x := range list[max(0, len(list)-last):] {
			n += x.N
		}
		return n
	}
	a, b := of(c.Tried), of(c.Beside)
	if a+b > 0 {
		in.Candidate.Share, in.Control.Share = sources.N(a/(a+b)), sources.N(b/(a+b))
	}
}

// rowRollouts compares what request rows ran at the same time.
func (r *run) rowRollouts(ctx context.Context) ([]rollout.Comparison, []string, sources.Facts) {
	from := r.now.Add(-rolloutSpan)
	table, err := r.e.deps.Tables.Table(ctx, sources.TableQuery{
		Service: r.svc.name, Since: from, Until: r.now, Text: rollout.Text, Numbers: rollout.Numbers, Limit: rolloutRows,
	})
	if err != nil {
		return nil, []string{"request rows could not be read: " + err.Error()}, sources.Facts{}
	}
	pairs, doubts := rollout.FromTable(table, from, r.now)
	out := make([]rollout.Comparison, 0, len(pairs))
	for i := range pairs {
		out = append(out, rollout.Decide(&pairs[i]))
	}
	return out, doubts, table.Facts
}

// causes are the changes that can be why something is worse: no model answers for another
// unless that is in trouble, and what is switched off after the trouble began is an answer to it.
func causes(changes []sources.Change, readings []sources.Reading) []sources.Change {
	var began time.Time
	for i := range readings {
		if s := readings[i].Since; worse(readings[i].Verdict, sources.OK) && !s.IsZero() && (began.IsZero() || s.Before(began)) {
			began = s
		}
	}
	return slices.DeleteFunc(slices.Clone(changes), func(c sources.Change) bool {
		return c.Component == sources.Fallback || c.Component == sources.Feature && (began.IsZero() || c.At.After(began))
	})
}
