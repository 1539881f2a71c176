package spend

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

// A request is far outside usual by its spans, tokens or tool calls x when
// z = (ln(1+x) − median) / max(1.4826·MAD, leastSD) over requests of the same route is at
// least farZ, and x is at least leastFold times the median and not under its floor.
// Requests from nearZ on count as well when one tenant has many of them: when so many
// would come by chance with less than chance even if its share of them were unlike times
// that of the others. About as many requests of each tenant stand for usual, so that one that loops all the time does not make loops usual.
const (
	farZ       = 6.0
	nearZ      = 3.0
	leastSD    = 0.12 // about an eighth more or less: a route that never moves may move that much
	leastFold  = 2.0
	perTenant  = 8
	perRoute   = 128    // and part, where it has few tenants
	leastRows  = 40     // of a route, to know what is usual
	mostSample = 12_000 // requests of all routes that stand for usual
	unlike     = 5
	chance     = 1e-6
	fewOthers  = 100
)

// floors are counts that are no loop however unusual.
var floors = [countKinds]float64{24, 8000, 8}

// LoopRule says how loops are found.
var LoopRule = fmt.Sprintf("spans, tokens or tool calls x of a request with (ln(1+x) - median) / (1.4826 MAD) over its route at least %g, "+
	"or at least %g where one tenant has many of them (p < %g); x at least %g times the median and at least %g, %g and %g",
	farZ, nearZ, chance, leastFold, floors[bySpans], floors[byTokens], floors[byTools])

// Loop is a request that is far outside what is usual on its route.
type Loop struct {
	RequestID string      `json:"request_id"`
	Time      time.Time   `json:"time"`
	Route     string      `json:"route"`
	Tenant    string      `json:"tenant"`
	User      string      `json:"user"`
	Count     string      `json:"count"` // which count is farthest out: spans, tokens or tool calls
	Value     float64     `json:"value"`
	Usual     float64     `json:"usual"` // the median of its route
	Z         float64     `json:"z"`
	Spans     sources.Num `json:"span_count"`
	Tokens    sources.Num `json:"tokens"`
	ToolCalls int         `json:"tool_calls"`
	LLMCalls  sources.Num `json:"llm_calls"`
	Tool      string      `json:"tool,omitempty"` // the one it called most often
	Times     int         `json:"times,omitempty"`
	CostUSD   sources.Num `json:"cost_usd"`
}

// Loops are all requests of a window that are far outside usual.
type Loops struct {
	N       int         `json:"n"`
	CostUSD sources.Num `json:"cost_usd"` // of those whose cost is known; null when of none
	Unpaid  int         `json:"without_cost,omitempty"`
	Named   []Loop      `json:"named"`            // the farthest out
	Unknown []string    `json:"unknown_routes"`   // too few requests to know what is usual
	Missed  bool        `json:"missed,omitempty"` // only some of the requests were looked at
}

type routeKey struct{ route, tenant string }

// usualCounts is what is usual of each count on a route.
type usualCounts [countKinds]stat.Robust

func logOf(x float32) float64 { return math.Log1p(float64(x)) }

func (u *usualCounts) z(k int, x float32) float64 {
	if u == nil {
		return 0
	}
	r := u[k]
	v := float64(x)
	if r.N < leastRows || !(v >= floors[k]) || v < leastFold*math.Expm1(r.Median) {
		return 0
	}
	return r.Z(logOf(x), 0, leastSD)
}

// worst is the count that is farthest out.
func (u *usualCounts) worst(x *row) (kind int, z float64) {
	for k := range countKinds {
		if v := u.z(k, x.count[k]); v > z {
			kind, z = k, v
		}
	}
	return kind, z
}

func usualByRoute(parts []*Rows) (map[string]*usualCounts, []string) {
	values := map[string]*[countKinds][]float64{}
	n := 0
	for _, p := range parts {
		n += len(p.sample)
	}
	every := max(1, n/mostSample)
	for _, p := range parts {
		for j := 0; j < len(p.sample); j += every {
			x := &p.rows[p.sample[j]]
			name := p.names[x.route]
			v := values[name]
			if v == nil {
				v = &[countKinds][]float64{}
				values[name] = v
			}
			for k := range countKinds {
				if c := x.count[k]; c >= 0 && (k != byTools || p.lists) {
					v[k] = append(v[k], logOf(c))
				}
			}
		}
	}
	out := map[string]*usualCounts{}
	unknown := []string{}
	for name, v := range values {
		u := &usualCounts{}
		enough := false
		for k := range countKinds {
			u[k] = stat.RobustOf(v[k])
			enough = enough || u[k].N >= leastRows
		}
		out[name] = u
		if !enough && name != "" {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return out, unknown
}

// from are the counts from which on z reaches a level; most rows are told by them alone.
func (u *usualCounts) from(z float64) (out [countKinds]float32) {
	for k := range countKinds {
		out[k] = float32(math.Inf(1))
		if u == nil {
			continue
		}
		if r := u[k]; r.N >= leastRows {
			at := math.Expm1(r.Median + z*max(1.4826*r.MAD, leastSD))
			out[k] = float32(max(floors[k], leastFold*math.Expm1(r.Median), at) * 0.999)
		}
	}
	return out
}

// each calls a function with the rows of a part that are near or beyond.
func (r *Rows) each(usual map[string]*usualCounts, do func(k routeKey, x *row, z float64)) {
	limits := make([]*[countKinds]float32, len(r.names))
	for i := range r.rows {
		x := &r.rows[i]
		l := limits[x.route]
		if l == nil {
			from := usual[r.names[x.route]].from(nearZ)
			l = &from
			limits[x.route] = l
		}
		if !(x.count[0] >= l[0] || x.count[1] >= l[1] || x.count[2] >= l[2]) {
			continue
		}
		k := routeKey{r.names[x.route], r.names[x.tenant]}
		if _, z := usual[k.route].worst(x); z >= nearZ {
			do(k, x, z)
		}
	}
}

// loops finds the requests of the window that are far outside usual; reference may reach back farther.
func loops(parts, reference []*Rows, most int) Loops {
	usual, unknown := usualByRoute(reference)
	out := Loops{Named: []Loop{}, Unknown: unknown}
	near, all, nearOf, allOf := map[routeKey]int{}, map[routeKey]int{}, map[string]int{}, map[string]int{}
	for _, p := range parts {
		out.Missed = out.Missed || p.every > 1
		for pair, n := range p.pairs {
			k := routeKey{p.names[pair[0]], p.names[pair[1]]}
			all[k] += n
			allOf[k.route] += n
		}
		p.each(usual, func(k routeKey, _ *row, _ float64) {
			near[k]++
			nearOf[k.route]++
		})
	}
	least := map[routeKey]float64{}
	for k, n := range near {
		others := allOf[k.route] - all[k]
		least[k] = farZ
		if others < fewOthers {
			continue
		}
		share := unlike * (float64(nearOf[k.route]-n) + 0.5) / float64(others+1)
		if share < 0.5 && stat.Tail(float64(n), float64(all[k]), share*precise, (1-share)*precise) < chance {
			least[k] = nearZ
		}
	}
	paid, usd := 0, 0.0
	for _, p := range parts {
		p.each(usual, func(k routeKey, x *row, z float64) {
			if z < least[k] {
				return
			}
			out.N++
			if v := float64(x.usd); !math.IsNaN(v) {
				paid++
				usd += v
			}
		})
		for i := range p.odd {
			x := &p.odd[i]
			k := routeKey{p.names[x.row.route], p.names[x.row.tenant]}
			kind, z := usual[k.route].worst(&x.row)
			if z >= nearZ && z >= least[k] {
				out.Named = append(out.Named, x.loop(k, kind, z, math.Expm1(usual[k.route][kind].Median)))
			}
		}
	}
	if paid > 0 {
		out.CostUSD = sources.N(usd)
	}
	out.Unpaid = out.N - paid
	slices.SortFunc(out.Named, func(a, b Loop) int {
		return cmp.Or(cmp.Compare(b.Z, a.Z), cmp.Compare(b.CostUSD.V, a.CostUSD.V), a.Time.Compare(b.Time), cmp.Compare(a.RequestID, b.RequestID))
	})
	out.Named = out.Named[:min(len(out.Named), most)]
	return out
}

// precise makes the Beta-Binomial tail a Binomial one.
const precise = 1e7

func (x *odd) loop(k routeKey, kind int, z, usual float64) Loop {
	return Loop{
		RequestID: x.id, Time: x.at.UTC(), Route: k.route, Tenant: k.tenant, User: x.user, Count: countNames[kind],
		Value: float64(x.row.count[kind]), Usual: usual, Z: z,
		Spans: sources.N(float64(x.row.count[bySpans])), Tokens: sources.N(float64(x.row.count[byTokens])), ToolCalls: int(x.row.count[byTools]),
		LLMCalls: sources.N(x.llmCalls), Tool: x.tool, Times: x.times, CostUSD: sources.N(float64(x.row.usd)),
	}
}
