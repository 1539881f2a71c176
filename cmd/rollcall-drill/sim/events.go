package sim

import "time"

// What happens to a request after it was drawn, in the order of service time.
type eventKind int

const (
	finished eventKind = iota
	evaluated
	rated
	complained
)

type event struct {
	at        time.Duration
	seq       uint64 // breaks ties, so that a run is the same every time
	kind      eventKind
	request   *Request
	evaluator int
	score     float64
}

// agenda is a heap of events, the earliest first.
type agenda struct {
	events []event
	seq    uint64
}

func (a *agenda) less(i, j int) bool {
	x, y := &a.events[i], &a.events[j]
	if x.at != y.at {
		return x.at < y.at
	}
	return x.seq < y.seq
}

func (a *agenda) push(e event) {
	a.seq++
	e.seq = a.seq
	a.events = append(a.events, e)
	for i := len(a.events) - 1; i > 0; {
		up := (i - 1) / 2
		if !a.less(i, up) {
			return
		}
		a.events[i], a.events[up] = a.events[up], a.events[i]
		i = up
	}
}

// pop takes the earliest event if it lies before end.
func (a *agenda) pop(end time.Duration) (event, bool) {
	if len(a.events) == 0 || a.events[0].at >= end {
		return event{}, false
	}
	first, n := a.events[0], len(a.events)-1
	a.events[0] = a.events[n]
	a.events[n] = event{} // let go of the request
	a.events = a.events[:n]
	for i := 0; ; {
		small, left, right := i, 2*i+1, 2*i+2
		if left < n && a.less(left, small) {
			small = left
		}
		if right < n && a.less(right, small) {
			small = right
		}
		if small == i {
			return first, true
		}
		a.events[i], a.events[small] = a.events[small], a.events[i]
		i = small
	}
}
