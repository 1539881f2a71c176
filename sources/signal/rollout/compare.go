package rollout

import (
	"math"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/stat"
)

// State is what is known of one outcome.
type State string

// The states. Only Worse and NoWorse are findings.
const (
	Worse     State = "worse"         // improbable if it did as the control, and large enough to matter
	Suspected State = "perhaps worse" // higher than chance explains well, and not yet beyond doubt
	NoWorse   State = "no worse"      // a deterioration that matters would have been seen
	TooLittle State = "too little"    // neither can be told
)

// Counted is one outcome as both sides counted it: entry i of both is the same span
// of time. K are the bad ones.
type Counted struct {
	ID     string // "errors"
	Name   string // as a sentence says it: "errors", "slow answers (over 2.1 s)"
	Core   bool   // nothing is promoted before this is settled
	Tried  []stat.Count
	Beside []stat.Count
}

// Outcome is how a candidate does in one respect beside its control.
type Outcome struct {
	ID    string `json:"outcome"`
	Name  string `json:"words"`
	Core  bool   `json:"decides"`
	State State  `json:"state"`
	// K of N events of the candidate were bad, ControlK of ControlN of the control, in the same minutes.
	K        float64     `json:"k"`
	N        float64     `json:"n"`
	ControlK float64     `json:"control_k"`
	ControlN float64     `json:"control_n"`
	Ratio    sources.Num `json:"ratio"` // of the shares; unknown where the control had none
	P        sources.Num `json:"p"`     // of so many bad ones or more, if it did as the control
	Rho      sources.Num `json:"rho"`   // how much the control wavers from minute to minute
	// Minutes is set where only the newest minutes were found to be worse.
	Minutes int `json:"minutes,omitempty"`
	// Needs is about how many more requests of the candidate tell whether it is worse; 0 when
	// that is known, -1 when no number of them will, because the difference is too small or the control wavers too much.
	Needs int `json:"needs"`
}

// Share of the candidate's events that were bad; NaN without any.
func (o *Outcome) Share() float64 { return o.K / o.N }

// ControlShare is that of the control.
func (o *Outcome) ControlShare() float64 { return o.ControlK / o.ControlN }

const (
	leastK       = 5
	leastN       = 50    // events, on either side
	leastRatio   = 1.5   // of the shares
	leastDiff    = 0.005 // of the shares
	leastWindows = 3     // of concurrent traffic before anything is called worse

	suspected = 0.01 // p below which a candidate is looked at again before it gets more traffic
	missed    = 0.05 // probability of overlooking a deterioration that matters, when promoted

	mostNeeded = 5_000_000
)

// compare tests one outcome: whether the candidate is worse over all the minutes that both
// sides ran, or over the newest quarter of an hour or hour; and if not, whether enough was
// seen to say so. perEvent is how many requests stand behind one event.
//
// The test is the Beta-Binomial predictive tail of telemetry's alerting method with the
// concurrent control as its baseline: mean and overdispersion are those of the control's
// windows, the latter with the uncertainty of the mean added, for a control can be small.
func compare(c *Counted, step time.Duration, perEvent float64) Outcome {
	tried, beside := concurrent(c.Tried, c.Beside)
	out := Outcome{ID: c.ID, Name: c.Name, Core: c.Core, State: TooLittle}
	out.fill(tried, beside)
	if len(tried) == 0 {
		out.Needs = more(0, 0, 0, fitted{mu: 0.01, rho: minRho}, 1, perEvent)
		return out
	}
	var found *Outcome
	for _, last := range []int{len(tried), int(time.Hour / step), int(15 * time.Minute / step)} {
		if last > len(tried) || last < 1 {
			continue
		}
		try := Outcome{ID: c.ID, Name: c.Name, Core: c.Core, State: TooLittle}
		f := try.fill(tried[len(tried)-last:], beside[len(beside)-last:])
		if !f.ok || last < leastWindows || !try.large(f) || !try.P.OK {
			continue
		}
		// Of several spans that all show it, the plainest.
		if try.P.V < stat.AlphaSeries && (found == nil || try.P.V < found.P.V) {
			try.State, try.Needs = Worse, 0
			if last < len(tried) {
				try.Minutes = int(time.Duration(last) * step / time.Minute)
			}
			found = &try
		}
	}
	if found != nil {
		return *found
	}
	f := fitOf(beside)
	if !f.ok {
		out.Needs = more(0, out.N, 0, fitted{mu: 0.01, rho: minRho}, 1, perEvent)
		return out
	}
	windows := float64(len(tried))
	switch {
	case out.P.OK && out.P.V < suspected && out.K >= leastK && out.Share() > out.ControlShare():
		out.State = Suspected
	case out.N >= leastN && out.ControlN >= leastN && len(tried) >= leastWindows && f.overlooked(out.K, out.N, windows) < missed:
		out.State = NoWorse
		return out
	}
	out.Needs = more(out.K, out.N, out.ControlN, f, windows, perEvent)
	return out
}

// fill sums the windows and computes what can be.
func (o *Outcome) fill(tried, beside []stat.Count) fitted {
	var a, b stat.Count
	for i := range tried {
		a, b = a.Add(tried[i]), b.Add(beside[i])
	}
	o.K, o.N, o.ControlK, o.ControlN = a.K, a.N, b.K, b.N
	f := fitOf(beside)
	if !f.ok || a.N < 1 {
		return f
	}
	o.Rho = sources.N(f.rho)
	if b.K > 0 && b.N > 0 {
		o.Ratio = sources.N(a.Ratio() / b.Ratio())
	}
	alpha, beta := f.beta(f.rho + f.mean(f.n, 1))
	o.P = sources.N(stat.Tail(math.Round(a.K), math.Round(a.N), alpha, beta))
	return f
}

// large tells whether a difference matters and rests on more than a handful of events.
func (o *Outcome) large(f fitted) bool {
	share := o.Share()
	return o.K >= leastK && o.N >= leastN && o.ControlN >= leastN && share >= leastRatio*f.mu && share-f.mu >= leastDiff
}

// concurrent keeps the windows in which both sides have events that can be.
func concurrent(a, b []stat.Count) (tried, beside []stat.Count) {
	for i := range min(len(a), len(b)) {
		if a[i].Valid() && b[i].Valid() && a[i].N > 0 && b[i].N > 0 {
			tried, beside = append(tried, capped(a[i])), append(beside, capped(b[i]))
		}
	}
	return tried, beside
}

func capped(c stat.Count) stat.Count { return stat.Count{K: min(c.K, c.N), N: c.N} }

// fitted is what a control does.
type fitted struct {
	mu, rho float64 // mean share; overdispersion from window to window
	n, each float64 // events; of one window
	ok      bool
}

const (
	minRho = 0.0005
	maxRho = 0.5
)

func fitOf(windows []stat.Count) fitted {
	f := stat.FitCounts(windows, nil)
	if f.Windows == 0 || f.Mu <= 0 || f.Mu >= 1 {
		return fitted{}
	}
	return fitted{mu: f.Mu, rho: f.Rho, n: f.N, each: f.N / float64(f.Windows), ok: true}
}

// mean is the variance of the mean share that n events of the control leave, as a share
// of mu*(1-mu): what must be added to the overdispersion, and is not the candidate's.
func (f fitted) mean(n, scale float64) float64 {
	return (1 + math.Max(0, f.each*scale-1)*f.rho) / (n + 2)
}

func (f fitted) beta(rho float64) (a, b float64) {
	rho = math.Min(math.Max(rho, 1e-9), maxRho)
	s := 1/rho - 1
	return f.mu * s, (1 - f.mu) * s
}

// overlooked is the probability of k or fewer bad ones of n, if the candidate were so much
// worse that it matters. Over several windows the wavering averages out.
func (f fitted) overlooked(k, n, windows float64) float64 {
	worse := f
	worse.mu = math.Max(leastRatio*f.mu, f.mu+leastDiff)
	if worse.mu >= 1 {
		return 1
	}
	rho := f.rho/math.Max(1, windows) + f.mean(f.n, 1)
	if n > exactly {
		return normal((k + 0.5 - n*worse.mu) / worse.deviation(n, rho))
	}
	a, b := worse.beta(rho)
	return 1 - stat.Tail(math.Floor(k)+1, math.Round(n), a, b)
}

// exactly is how many events a lower tail is summed for. Beyond that the normal distribution
// errs on the safe side: the other tail is the longer one.
const exactly = 20_000

// upper is about the probability of k or more bad ones of n, if the candidate does as the
// control: good enough to say how many more are needed.
func (f fitted) upper(k, n, rho float64) float64 {
	if n > exactly {
		const longer = 30 // the tail, so far out, than that of the normal distribution
		return longer * normal(-(k-0.5-n*f.mu)/f.deviation(n, rho))
	}
	a, b := f.beta(rho)
	return stat.Tail(math.Round(k), math.Round(n), a, b)
}

// deviation is the standard deviation of a Beta-Binomial count.
func (f fitted) deviation(n, rho float64) float64 {
	return math.Sqrt(n * f.mu * (1 - f.mu) * (1 + (n-1)*math.Min(rho, maxRho)))
}

func normal(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// more is about how many more requests settle an outcome one way or the other, if both
// sides go on as they do; a candidate of which little is known is taken to do as the control.
func more(k, n, controlN float64, f fitted, windows, perEvent float64) int {
	perEvent = math.Max(1, perEvent)
	share := f.mu
	if k >= leastK && n >= leastN {
		share = k / n
	}
	settled := func(total float64) bool {
		g := f
		times := 1.0
		if n > 0 {
			times = total / n
		}
		// Nothing known of the control yet: as if it came along ten times as fast.
		g.n = 10 * total
		if n > 0 && controlN > 0 {
			g.n = controlN * times
		}
		if total < leastN {
			return false
		}
		bad := math.Ceil(share * total)
		if g.overlooked(bad, total, windows*times) < missed {
			return true
		}
		return bad >= leastK && share >= leastRatio*g.mu && share-g.mu >= leastDiff && g.upper(bad, total, g.rho+g.mean(g.n, 1)) < stat.AlphaSeries
	}
	low, high := math.Max(n, 1), math.Max(2*n, leastN)
	for !settled(high) {
		low, high = high, 2*high
		if high > mostNeeded {
			return -1
		}
	}
	for high-low > math.Max(1, high/50) {
		if mid := math.Floor((low + high) / 2); settled(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return round(math.Max(1, high-n) * perEvent)
}

// round keeps two digits: what is needed is no exact number.
func round(v float64) int {
	if v < 10 {
		return int(math.Ceil(v))
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return int(math.Ceil(v/unit) * unit)
}
