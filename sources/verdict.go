package sources

// Verdict is the judgement of one reading. There are three ways of not knowing,
// and one of not knowing yet.
type Verdict string

// The verdicts.
const (
	OK          Verdict = "ok"
	Watch       Verdict = "watch"
	Bad         Verdict = "bad"
	NoTraffic   Verdict = "no traffic"
	NotExposed  Verdict = "not exposed"
	Unreachable Verdict = "unreachable"
	Learning    Verdict = "learning"
)

// Worse orders verdicts for summaries: bad, watch, unreachable, then everything else.
func (v Verdict) Worse(than Verdict) bool { return v.rank() > than.rank() }

func (v Verdict) rank() int {
	switch v {
	case Bad:
		return 6
	case Watch:
		return 5
	case Unreachable:
		return 4
	case OK:
		return 3
	case Learning:
		return 2
	case NoTraffic:
		return 1
	default:
		return 0
	}
}
