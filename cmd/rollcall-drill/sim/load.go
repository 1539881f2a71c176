package sim

import (
	"math"
	"time"
)

// arrivals says how traffic spreads over tenants, routes and regions.
type arrivals struct {
	cumulative []float64
	factor     float64 // of all traffic, compared with no effect
}

// weigh takes the weights of traffic from the live deployment's parameters.
func (a *arrivals) weigh(d *Deployment, off *featureSet) {
	var weights []float64
	var sum, usual float64
	for t := range tenants {
		for r := range routeCount {
			for g := range regions {
				w := tenants[t].weight * routes[r].weight * regions[g].weight
				usual += w
				w *= d.cell(r, t, g)[Traffic]
				if off.tenants[t] {
					w *= insistence
				}
				sum += w
				weights = append(weights, w)
			}
		}
	}
	a.cumulative, a.factor = cumulate(weights), sum/usual
}

func (a *arrivals) draw(d dice) (tenant int, route Route, region int) {
	i := d.pick(a.cumulative)
	return i / (int(routeCount) * len(regions)), Route(i / len(regions) % int(routeCount)), i % len(regions)
}

// load is how busy the service and its provider are. Averages run over some ten
// seconds of service time.
type load struct {
	seconds  float64 // mean seconds that a request keeps a worker
	calls    float64 // LLM calls per second, of the pinned model
	worked   float64 // requests per second that were worked on
	tokens   float64 // tokens per second
	newCalls float64 // of this second
	newToks  float64
	newWork  float64
	backlog  float64 // requests waiting
	drop     float64 // probability that a request finds the queue full
	wait     float64
	squeeze  float64
	use      float64
	limits   [2]float64 // of the provider: calls and tokens per minute
}

const (
	workers       = 140.0
	callsPerMin   = 5200.0
	tokensPerMin  = 14e6
	memory        = 1.0 / 10 // of a second: the provider meters bursts, too
	usualSeconds  = 1.9
	maxSqueeze    = 0.85
	contention    = 0.18 // how much a fully used service slows down
	queueOverhead = 0.003
	insistence    = 0.02 // of the traffic of a tenant that is switched off: most clients give up
	restraint     = 0.96 // how close to the provider's limits a queue goes
)

func (l *load) advance(arriving float64, q Queueing, p *params) {
	if l.seconds == 0 {
		l.seconds = usualSeconds
	}
	l.calls += (l.newCalls - l.calls) * memory
	l.tokens += (l.newToks - l.tokens) * memory
	l.worked += (l.newWork - l.worked) * memory
	l.newCalls, l.newToks, l.newWork = 0, 0, 0
	l.limits = [2]float64{callsPerMin * p[Quota], tokensPerMin * p[Quota]}

	able := max(workers*p[Capacity]/l.seconds, 0.1)
	l.use = min(arriving/able, 1)
	l.squeeze, l.drop = 0, 0
	if !q.Enabled {
		l.backlog, l.wait = 0, 0
		l.squeeze = min(max(1-able/arriving, 0), maxSqueeze)
		return
	}
	able = min(able, l.pace())
	l.backlog = max(l.backlog+arriving-able, 0)
	if limit := float64(q.MaxDepth); l.backlog > limit {
		l.drop = min((l.backlog-limit)/arriving, 1)
		l.backlog = limit
	}
	l.wait = l.backlog/able + queueOverhead*l.use*l.use
}

// pace is how many requests a second the provider's limits allow: a queue holds
// the others back before the provider rejects their calls.
func (l *load) pace() float64 {
	most := math.Inf(1)
	for i, used := range [2]float64{l.calls, l.tokens} {
		if used > 0 && l.worked > 0 {
			most = min(most, restraint*l.limits[i]/60/(used/l.worked))
		}
	}
	return max(most, 0.1)
}

func (l *load) apply(env *environment) {
	env.queue, env.squeeze = l.wait, l.squeeze
	env.slow = 1 + contention*l.use*l.use
	env.pressure = 0
	for i, used := range [2]float64{60 * l.calls, 60 * l.tokens} {
		if limit := l.limits[i]; used > limit {
			env.pressure = max(env.pressure, 1-limit/used)
		}
	}
}

// saw takes note of a request that finished.
func (l *load) saw(q *Request) {
	l.seconds += (q.Latency - q.Queued - l.seconds) / 900
	if q.err != errOverloaded {
		l.newWork++
	}
	for i := range q.Calls {
		if q.Calls[i].Model != q.Deployment.Versions[Model] {
			continue // a fallback model has limits of its own
		}
		l.newCalls++
		l.newToks += float64(q.Calls[i].In + q.Calls[i].Out)
	}
}

// callers finds the caller with the largest share of five minutes of requests.
type callers struct {
	buckets [20]map[int]int // of 15 seconds each
	current int64
}

func (c *callers) saw(second int64, q *Request) {
	slot := second / 15
	i := int(((slot % 20) + 20) % 20)
	if c.current != slot || c.buckets[i] == nil {
		c.current, c.buckets[i] = slot, map[int]int{}
	}
	c.buckets[i][q.tenant<<16|q.user]++
}

func (c *callers) top() float64 {
	sums, total, most := map[int]int{}, 0, 0
	for _, b := range c.buckets {
		for who, n := range b {
			sums[who] += n
			total += n
			most = max(most, sums[who])
		}
	}
	if total == 0 {
		return 0
	}
	return float64(most) / float64(total)
}

// spend is what was spent in the running day, hour and month, UTC.
type spend struct {
	day, hour, period       float64
	dayOf, hourOf, periodOf time.Time
}

func (s *spend) add(at time.Time, usd float64) {
	at = at.UTC()
	roll := func(sum *float64, of *time.Time, now time.Time) {
		if !of.Equal(now) {
			*sum, *of = 0, now
		}
		*sum += usd
	}
	y, m, d := at.Date()
	roll(&s.day, &s.dayOf, time.Date(y, m, d, 0, 0, 0, 0, time.UTC))
	roll(&s.period, &s.periodOf, time.Date(y, m, 1, 0, 0, 0, 0, time.UTC))
	roll(&s.hour, &s.hourOf, at.Truncate(time.Hour))
}

func (s *spend) byScope() map[string]float64 {
	return map[string]float64{"day": s.day, "period": s.period, "hour": s.hour}
}

// over tells whether a budget that is enforced is used up.
func (s *spend) over(set settings) bool {
	spent := s.byScope()
	for _, scope := range spentScopes {
		if set.enforce[scope] && spent[scope] >= set.budgets[budgetIndex(scope)] {
			return true
		}
	}
	return false
}

func round(v, to float64) float64 { return math.Round(v/to) * to }
