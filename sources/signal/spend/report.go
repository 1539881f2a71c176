package spend

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
)

// Budget is one budget and what was spent of it.
type Budget struct {
	Scope   string          `json:"scope"` // request, user_hour, hour, day, period
	USD     float64         `json:"usd"`
	Spent   sources.Num     `json:"spent_usd"` // in the scope's time up to now; of user_hour by the dearest user, of request on average
	Used    sources.Num     `json:"used"`      // Spent of USD, 0..1 and above
	Verdict sources.Verdict `json:"verdict"`
	Why     string          `json:"why"`
	Outlook *Outlook        `json:"outlook,omitempty"` // of those that add up: day and period
	Who     string          `json:"who,omitempty"`     // the user or the request that spent most
	Over    int             `json:"over,omitempty"`    // users or requests over it in the window
	From    string          `json:"from"`              // "config", or "service": llmops_budget_usd
}

// Unpriced is a model whose requests tell no cost.
type Unpriced struct {
	Model    string  `json:"model"`
	Requests int     `json:"requests"`
	Tokens   float64 `json:"tokens"`
}

// Report is where money goes.
type Report struct {
	From     time.Time   `json:"from"` // what spenders, loops and savings are told over
	To       time.Time   `json:"to"`
	Requests int         `json:"requests"`
	SpentUSD sources.Num `json:"spent_usd"` // what they cost, as far as they tell; null when none does
	Coverage sources.Num `json:"coverage"`  // share of the spend that metrics count which these requests account for; null when that is not known
	Budgets  []Budget    `json:"budgets"`
	Top      []Top       `json:"top"`
	Loops    Loops       `json:"loops"`
	LoopRule string      `json:"loop_rule"`
	Caches   []Saving    `json:"caches"`
	Unpriced []Unpriced  `json:"unpriced"` // never counted as free
	Notes    []string    `json:"notes"`    // what cannot be told, and why
	// Line is one sentence about what is worth knowing; empty when nothing is.
	Line  string        `json:"line"`
	Facts sources.Facts `json:"-"`
}

// Look is what a report is made of.
type Look struct {
	From, To  time.Time
	Parts     []*Rows // of the window
	Reference []*Rows // what is usual on a route; reaches at least as far back as the window
	Usual     []Usual // the same hours of earlier days
	Price     PriceOf
	Spent     func(since, until time.Time) (usd float64, known bool) // as metrics count it; may be nil
	Most      int                                                    // spenders of an attribute, and loops, at most
}

// Of makes the part of a report that request rows tell.
func Of(l *Look) *Report {
	l.trim()
	r := &Report{
		From: l.From.UTC(), To: l.To.UTC(), Budgets: []Budget{}, Top: []Top{}, Loops: Loops{Named: []Loop{}, Unknown: []string{}}, LoopRule: LoopRule,
		Caches: []Saving{}, Unpriced: []Unpriced{}, Notes: []string{},
	}
	r.Facts.Source = "requests"
	var all sum
	unpriced := map[string]*Unpriced{}
	for _, p := range l.Parts {
		all.add(p.all)
		r.Facts.Sampled = r.Facts.Sampled || p.sampled
		if p.partial != "" && r.Facts.Partial == "" {
			r.Facts.Partial = p.partial
		}
		if p.Until.After(r.Facts.At) {
			r.Facts.At = p.Until
		}
		for name, m := range p.models {
			if m.unpaid == 0 {
				continue
			}
			u := unpriced[name]
			if u == nil {
				u = &Unpriced{Model: name}
				unpriced[name] = u
			}
			u.Requests += int(m.unpaid)
			u.Tokens += m.unpaidT
		}
	}
	for _, u := range unpriced {
		r.Unpriced = append(r.Unpriced, *u)
	}
	slices.SortFunc(r.Unpriced, func(a, b Unpriced) int {
		return cmp.Or(cmp.Compare(b.Tokens, a.Tokens), strings.Compare(a.Model, b.Model))
	})
	r.Requests = int(all.n)
	if all.paid > 0 {
		r.SpentUSD = sources.N(all.usd)
	}
	if all.n == 0 {
		r.Notes = append(r.Notes, "no request rows in this time: who spends, loops and what caches save cannot be told from them")
		return r
	}
	r.Top = top(l.Parts, l.Usual, l.Most)
	r.Loops = loops(l.Parts, l.Reference, l.Most)
	r.Caches = savings(l.Parts, covered(l.Parts), l.Price)
	r.Coverage = l.coverage()
	r.scale()
	return r
}

// trim leaves out the time before there were rows.
func (l *Look) trim() {
	for len(l.Parts) > 1 && l.Parts[0].all.n == 0 {
		l.Parts = l.Parts[1:]
	}
	if n := len(l.Parts); n > 0 {
		l.From, l.To = l.Parts[0].From, l.Parts[n-1].Until
	}
}

// Factor is how much more was spent than rows tell; 1 when they tell about all, or when that is not known.
func (l *Look) Factor() float64 {
	l.trim()
	return factor(l.coverage())
}

func factor(coverage sources.Num) float64 {
	if !coverage.OK || coverage.V >= some {
		return 1
	}
	return 1 / coverage.V
}

// coverage is the share of the spend that rows account for, over the parts that are
// over; the first may have begun without them.
func (l *Look) coverage() sources.Num {
	if l.Spent == nil || len(l.Parts) < 2 {
		return sources.Num{}
	}
	parts := l.Parts[:len(l.Parts)-1]
	if len(parts) > 2 {
		parts = parts[1:]
	}
	rows, all := 0.0, 0.0
	for _, p := range parts {
		usd, known := l.Spent(p.From, p.Until)
		if !known {
			continue
		}
		rows += p.all.usd
		all += usd
	}
	if all <= 0 || rows <= 0 {
		return sources.Num{}
	}
	return sources.N(rows / all)
}

// some is the share below which rows are taken as a sample.
const some = 0.85

// scale takes rows of some requests as a fair sample of all.
func (r *Report) scale() {
	f := factor(r.Coverage)
	if f == 1 {
		return
	}
	r.Notes = append(r.Notes, fmt.Sprintf("request rows account for %s of the spend: what is marked ≈ takes them as a fair sample of it", sources.Ratio.Format(r.Coverage.V)))
	for i := range r.Top {
		for k := range r.Top[i].Spenders {
			x := &r.Top[i].Spenders[k]
			x.Estimate = sources.N(x.USD * f)
		}
	}
	for i := range r.Caches {
		if c := &r.Caches[i]; c.PerHour.OK && c.PerHour.V > 0 {
			c.PerHour.V *= f
			c.Why += ", ≈ for all requests"
		}
	}
}

// covered is how long the parts are.
func covered(parts []*Rows) time.Duration {
	var d time.Duration
	for _, p := range parts {
		d += p.Until.Sub(p.From)
	}
	return max(d, time.Second)
}

// Users sums what each user cost in some parts, the dearest first, and how many cost more than a budget.
func Users(parts []*Rows, budget float64) (user string, usd float64, over int, known bool) {
	a := slices.Index(Attributes[:], "user")
	sums := map[string]float64{}
	for _, p := range parts {
		for v, s := range p.by[a] {
			if v != "" && s.paid > 0 {
				sums[v] += s.usd
			}
		}
	}
	for v, s := range sums {
		if s > usd || s == usd && (user == "" || v < user) {
			user, usd = v, s
		}
		if s > budget {
			over++
		}
	}
	return user, usd, over, len(sums) > 0
}

// Dearest is the request that cost most, and how many cost more than a budget.
func Dearest(parts []*Rows, budget float64) (id string, usd float64, over int, known bool) {
	for _, p := range parts {
		for i := range p.rows {
			if float64(p.rows[i].usd) > budget {
				over += p.every
			}
		}
		for i := range p.dear {
			if v := float64(p.dear[i].row.usd); !math.IsNaN(v) && (!known || v > usd) {
				id, usd, known = p.dear[i].id, v, true
			}
		}
	}
	return id, usd, over, known
}

// Biggest returns the value of an attribute that cost most; nil when there is none.
func (r *Report) Biggest(attribute string) *Spender {
	for i := range r.Top {
		if t := &r.Top[i]; t.Attribute == attribute && len(t.Spenders) > 0 {
			return &t.Spenders[0]
		}
	}
	return nil
}

// Sentence says what of a report is worth a person's attention, loops before
// budgets before who spends; empty when nothing is.
func (r *Report) Sentence() string {
	var out []string
	if l := r.Loops; l.N > 0 && len(l.Named) > 0 {
		x := &l.Named[0]
		s := "Request " + x.RequestID
		if x.Tenant != "" {
			s += " of " + x.Tenant
		}
		verb := " loops:"
		if x.Count == "tokens" && x.Times <= 1 {
			verb = " takes" // it is only long
		}
		s += fmt.Sprintf("%s %s %s, usually %s", verb, sources.Short(x.Value), x.Count, sources.Short(math.Round(x.Usual)))
		if x.Tool != "" && x.Times > 1 {
			s += fmt.Sprintf(", %s called %d times", x.Tool, x.Times)
		}
		if x.CostUSD.OK {
			s += ", " + sources.USD.Format(x.CostUSD.V)
		}
		if l.N > 1 {
			s += fmt.Sprintf("; %d such requests", l.N)
			if l.CostUSD.OK {
				s += " cost " + sources.USD.Format(l.CostUSD.V)
			}
			s += " in " + sources.ShortDuration(r.To.Sub(r.From))
		}
		out = append(out, s+".")
	}
	for i := range r.Budgets {
		b := &r.Budgets[i]
		if b.Verdict == sources.Bad || b.Verdict == sources.Watch {
			out = append(out, "Budget of the "+ScopeWords(b.Scope)+": "+b.Why+".")
			break
		}
	}
	if x := r.Biggest("tenant"); x != nil && x.Value != "" && (len(out) > 0 && x.Share.V >= 0.4 || x.Ratio.V >= 3 && x.Share.V >= 0.2) {
		s := fmt.Sprintf("Tenant %s spends %s of it", x.Value, sources.Ratio.Format(x.Share.V))
		if x.Ratio.OK {
			s += fmt.Sprintf(", %.1f× what is usual of it", x.Ratio.V)
		}
		out = append(out, s+".")
	}
	return strings.Join(out, " ")
}

// ScopeWords says the scope of a budget for a sentence.
func ScopeWords(scope string) string {
	switch scope {
	case "user_hour":
		return "user and hour"
	case "period":
		return "month"
	}
	return scope
}
