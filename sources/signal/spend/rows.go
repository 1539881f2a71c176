package spend

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
)

// Part is how long the rows of one part of a window are: a window is read part by
// part, and a part that is over is read no more.
const Part = 5 * time.Minute

const (
	mostValues = 300 // values of one attribute that a part keeps, by what they cost
	oddKept    = 12  // requests of a route, by each count, whose ID a part keeps
	dearKept   = 8
	mostRoutes = 64 // the rows of further ones count as one route
)

// Attributes are what spend is told by, in the order in which it is shown.
var Attributes = [...]string{"tenant", "user", "route", "model_served", "prompt", "model", "tools", "index", "policy"}

// counts are what a loop shows in.
const (
	bySpans = iota
	byTokens
	byTools
	countKinds
)

var countNames = [countKinds]string{"spans", "tokens", "tool calls"}

// Query asks for the rows of a part.
func Query(service string, since, until time.Time, limit int) sources.TableQuery {
	return sources.TableQuery{
		Service: service, Since: since, Until: until, Limit: limit,
		Text:    append([]string{"request_id", "cache"}, Attributes[:]...),
		Numbers: []string{"cost", "tokens_in", "tokens_out", "tokens_cached", "spans", "llm_calls"},
		Lists:   []string{"tool"},
	}
}

// sum is what requests cost.
type sum struct {
	n    float64 // requests, those that others stand for included
	paid float64 // of which the cost is known
	usd  float64
	owed float64 // requests that used tokens and tell no cost
}

func (s *sum) add(o sum) {
	s.n, s.paid, s.usd, s.owed = s.n+o.n, s.paid+o.paid, s.usd+o.usd, s.owed+o.owed
}

func (s sum) mean() (float64, bool) { return s.usd / s.paid, s.paid > 0 }

// row is what of a request is kept for finding loops.
type row struct {
	route, tenant uint16 // in Rows
	count         [countKinds]float32
	usd           float32 // NaN: not known
}

// odd is a request that may turn out to be a loop, or over its budget.
type odd struct {
	row      row
	id       string
	at       time.Time
	user     string
	tool     string // the one called most often
	times    int
	llmCalls float64
}

// model is what is known of the tokens of one model.
type model struct {
	cached  float64 // tokens read from the provider's cache
	known   float64 // requests that tell how many
	unpaid  float64 // requests with tokens and no cost
	unpaidT float64 // their tokens
}

// Rows are the request rows of one part, folded.
type Rows struct {
	From, Until time.Time
	all         sum
	every       int
	sampled     bool
	partial     string
	by          [len(Attributes)]map[string]sum
	cut         [len(Attributes)]bool // the cheapest values are not in it
	cache       map[[2]string]sum     // by route and kind of cache
	models      map[string]*model
	names       []string // of routes and tenants
	rows        []row
	pairs       map[[2]uint16]int // requests by route and tenant
	sample      []int             // rows that stand for what is usual
	odd         []odd
	dear        []odd // by cost
	lists       bool  // tool calls were readable
}

// believed is how much a single request may cost, in USD or tokens: more is not known.
const believed = 1e12

// Fold sums a table up. Costs and counts that are negative, no number, or beyond all belief are not known.
func Fold(t *sources.RequestTable, from, until time.Time) *Rows {
	r := &Rows{From: from, Until: until, every: max(1, t.Every), sampled: t.Facts.Sampled && t.Every <= 1, partial: t.Facts.Partial, cache: map[[2]string]sum{}, models: map[string]*model{}, pairs: map[[2]uint16]int{}}
	weight := float64(r.every)
	numbers := func(name string) func(int) float64 {
		v := t.Number(name)
		return func(i int) float64 {
			if i >= len(v) || !(v[i] >= 0) || v[i] > believed {
				return math.NaN()
			}
			return v[i]
		}
	}
	cost, in, out, cached := numbers("cost"), numbers("tokens_in"), numbers("tokens_out"), numbers("tokens_cached")
	spans, llm := numbers("spans"), numbers("llm_calls")
	text := func(name string) func(int) string {
		c := t.Column(name)
		return func(i int) string {
			if c == nil || i >= len(c.Codes) {
				return ""
			}
			return c.Values[c.Codes[i]]
		}
	}
	route, tenant, kind, served, pinned := text("route"), text("tenant"), text("cache"), text("model_served"), text("model")
	tokens := func(i int) float64 {
		a, b := in(i), out(i)
		switch {
		case math.IsNaN(a):
			return b
		case math.IsNaN(b):
			return a
		}
		return a + b
	}
	each := make([]sum, t.N)
	for i := range each {
		s := sum{n: weight}
		if usd := cost(i); !math.IsNaN(usd) {
			s.paid, s.usd = weight, usd*weight
		} else if tokens(i) > 0 {
			s.owed = weight
		}
		each[i] = s
		r.all.add(s)
	}
	for a, name := range Attributes {
		r.by[a] = sumsBy(t.Column(name), each)
		r.cut[a] = len(r.by[a]) > mostValues
		keepDearest(r.by[a])
	}
	tools := make([]float32, t.N)
	for i := range t.Lists {
		if l := &t.Lists[i]; l.Name == "tool" {
			r.lists = true
			for _, n := range l.Rows {
				if int(n) < t.N {
					tools[n]++
				}
			}
		}
	}
	codes := map[string]uint16{}
	code := func(s string) uint16 {
		c, ok := codes[s]
		if !ok {
			if len(r.names) >= math.MaxUint16 {
				return 0
			}
			c = uint16(len(r.names)) //nolint:gosec // bounded above
			codes[s] = c
			r.names = append(r.names, s)
		}
		return c
	}
	code("")
	routes := map[string]bool{}
	r.rows = make([]row, 0, t.N)
	for i := range t.N {
		usd := cost(i)
		rt := route(i)
		if !routes[rt] {
			if len(routes) >= mostRoutes {
				rt = "other"
			}
			routes[rt] = true
		}
		ck := [2]string{rt, kind(i)}
		of := r.cache[ck]
		of.add(each[i])
		r.cache[ck] = of
		r.model(cmp.Or(served(i), pinned(i)), cached(i), usd, tokens(i), weight)
		x := row{
			route: code(rt), tenant: code(tenant(i)), usd: float32(usd),
			count: [countKinds]float32{float32(spans(i)), float32(tokens(i)), tools[i]},
		}
		r.pairs[[2]uint16{x.route, x.tenant}]++
		r.rows = append(r.rows, x)
	}
	r.pickSample()
	r.keepOdd(t, text("request_id"), text("user"), llm)
	return r
}

// pickSample picks about as many rows of each tenant of a route.
func (r *Rows) pickSample() {
	tenants := map[uint16]int{}
	for pair := range r.pairs {
		tenants[pair[0]]++
	}
	taken := map[[2]uint16]int{}
	for i := range r.rows {
		x := &r.rows[i]
		pair := [2]uint16{x.route, x.tenant}
		if taken[pair]++; taken[pair] <= max(perTenant, perRoute/tenants[x.route]) {
			r.sample = append(r.sample, i)
		}
	}
}

func (r *Rows) model(name string, cached, usd, tokens, weight float64) {
	m := r.models[name]
	if m == nil {
		if len(r.models) >= mostValues {
			name = "other"
			m = r.models[name]
		}
		if m == nil {
			m = &model{}
			r.models[name] = m
		}
	}
	if !math.IsNaN(cached) {
		m.cached += cached * weight
		m.known += weight
	}
	if math.IsNaN(usd) && tokens > 0 {
		m.unpaid += weight
		m.unpaidT += tokens * weight
	}
}

func sumsBy(c *sources.TextColumn, each []sum) map[string]sum {
	if c == nil {
		return nil
	}
	sums := make([]sum, len(c.Values))
	for i := range min(len(each), len(c.Codes)) {
		sums[c.Codes[i]].add(each[i])
	}
	out := map[string]sum{}
	for i, s := range sums {
		if s.n > 0 {
			out[strings.Clone(c.Values[i])] = s
		}
	}
	return out
}

// keepDearest leaves the values that cost most.
func keepDearest(m map[string]sum) {
	if len(m) <= mostValues {
		return
	}
	costs := make([]float64, 0, len(m))
	for _, s := range m {
		costs = append(costs, s.usd)
	}
	slices.Sort(costs)
	least := costs[len(costs)-mostValues]
	for v, s := range m {
		if s.usd < least || len(m) > mostValues && s.usd == least {
			delete(m, v)
		}
	}
}

// keepOdd keeps the ID of what stands out in its route by any count, and of what cost most.
func (r *Rows) keepOdd(t *sources.RequestTable, id, user func(int) string, llm func(int) float64) {
	top := map[uint16]*[countKinds][]int{}
	insert := func(list []int, i, most int, of func(int) float32) []int {
		v := of(i)
		if !(v > 0) || len(list) == most && v <= of(list[most-1]) {
			return list
		}
		at, _ := slices.BinarySearchFunc(list, v, func(j int, v float32) int { return cmp.Compare(v, of(j)) })
		list = slices.Insert(list, at, i)
		return list[:min(len(list), most)]
	}
	var dear []int
	for i := range r.rows {
		x := &r.rows[i]
		lists := top[x.route]
		if lists == nil {
			lists = &[countKinds][]int{}
			top[x.route] = lists
		}
		for k := range countKinds {
			lists[k] = insert(lists[k], i, oddKept, func(j int) float32 { return r.rows[j].count[k] })
		}
		dear = insert(dear, i, dearKept, func(j int) float32 { return r.rows[j].usd })
	}
	called := map[int]map[string]int{}
	kept := map[int]bool{}
	for _, lists := range top {
		for _, l := range lists {
			for _, i := range l {
				kept[i] = true
			}
		}
	}
	for i := range t.Lists {
		l := &t.Lists[i]
		if l.Name != "tool" {
			continue
		}
		for k, n := range l.Rows {
			if kept[int(n)] {
				if called[int(n)] == nil {
					called[int(n)] = map[string]int{}
				}
				called[int(n)][l.Values[l.Codes[k]]]++
			}
		}
	}
	make := func(i int) odd {
		o := odd{row: r.rows[i], id: strings.Clone(id(i)), at: t.Start.Add(t.Time[i]), user: strings.Clone(user(i)), llmCalls: llm(i)}
		for tool, n := range called[i] {
			if n > o.times || n == o.times && tool < o.tool {
				o.tool, o.times = strings.Clone(tool), n
			}
		}
		return o
	}
	for i := range r.rows {
		if kept[i] {
			r.odd = append(r.odd, make(i))
		}
	}
	for _, i := range dear {
		r.dear = append(r.dear, make(i))
	}
}
