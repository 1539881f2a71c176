package sim

import (
	"math"
	"slices"
	"strconv"
)

// Metric is one series that the service exposes. The pointer stays the same as
// long as the series lives, so that a writer can keep its own handle per metric.
type Metric struct {
	Name   string
	Labels []string // names and values in pairs
	Gauge  bool     // otherwise it counts from zero
}

// Description is what the service says about a metric name in its exposition.
type Description struct{ Name, Kind, Help, Unit string }

// layout lays the counters and histograms of one family out in a flat array of
// cells. A histogram takes one cell per bucket, not cumulative, and as many for
// the sums of what fell into them.
type layout struct {
	blocks []block
	cells  int
}

type block struct {
	name   string
	labels []string
	first  int
	bounds []float64 // of a histogram; nil for a counter
	wobble wobble    // how its rate moves in history
	timed  bool      // its distribution moves with latency
	money  bool      // a sum of amounts, not a count
}

func (l *layout) counter(w wobble, name string, labels ...string) int {
	return l.add(block{name: name, labels: labels, wobble: w}, 1)
}

// amount is a counter of something that comes in large or broken amounts.
func (l *layout) amount(w wobble, name string, labels ...string) int {
	return l.add(block{name: name, labels: labels, wobble: w, money: true}, 1)
}

func (l *layout) histogram(w wobble, timed bool, bounds []float64, name string, labels ...string) int {
	return l.add(block{name: name, labels: labels, wobble: w, bounds: bounds, timed: timed}, 2*(len(bounds)+1))
}

func (l *layout) add(b block, cells int) int {
	b.first = l.cells
	l.blocks = append(l.blocks, b)
	l.cells += cells
	return b.first
}

// tally holds the cells of one family under one set of shared labels.
type tally struct {
	layout  *layout
	cells   []float64
	metrics []*Metric
	values  []string // of the shared labels
}

func newTally(l *layout, shared ...string) *tally {
	t := &tally{layout: l, cells: make([]float64, l.cells)}
	for i := range l.blocks {
		b := &l.blocks[i]
		labels := append(append([]string{}, shared...), b.labels...)
		if b.bounds == nil {
			t.metrics = append(t.metrics, &Metric{Name: b.name, Labels: labels})
			continue
		}
		for _, le := range b.bounds {
			t.metrics = append(t.metrics, &Metric{Name: b.name + "_bucket", Labels: with(labels, "le", strconv.FormatFloat(le, 'g', -1, 64))})
		}
		t.metrics = append(t.metrics,
			&Metric{Name: b.name + "_bucket", Labels: with(labels, "le", "+Inf")},
			&Metric{Name: b.name + "_sum", Labels: labels},
			&Metric{Name: b.name + "_count", Labels: labels})
	}
	return t
}

func with(labels []string, more ...string) []string {
	return append(append(make([]string, 0, len(labels)+len(more)), labels...), more...)
}

func (t *tally) inc(cell int) { t.cells[cell]++ }

// observe counts v in the histogram that begins at cell.
func (t *tally) observe(cell int, bounds []float64, v float64) {
	i := 0
	for i < len(bounds) && v > bounds[i] {
		i++
	}
	t.cells[cell+i]++
	t.cells[cell+len(bounds)+1+i] += v
}

// visit walks the exposition: cumulative buckets, sum and count.
func (t *tally) visit(see func(m *Metric, v float64)) {
	k := 0
	for i := range t.layout.blocks {
		b := &t.layout.blocks[i]
		if b.bounds == nil {
			see(t.metrics[k], t.cells[b.first])
			k++
			continue
		}
		n := len(b.bounds) + 1
		var count, sum float64
		for j := range n {
			count += t.cells[b.first+j]
			sum += t.cells[b.first+n+j]
			see(t.metrics[k], count)
			k++
		}
		see(t.metrics[k], sum)
		see(t.metrics[k+1], count)
		k += 2
	}
}

// grow moves the tally by what n requests move it on average, drawn at random.
// ref are references at falling or rising latency, taken over requests
// requests each; mixed says how much of each one counts.
func (t *tally) grow(d dice, n float64, w *wobbles, ref [][]float64, requests float64, mixed []float64) {
	pooled := func(cell int) (sum float64) {
		for _, r := range ref {
			sum += r[cell]
		}
		return sum / (requests * float64(len(ref)))
	}
	blended := func(cell int) (sum float64) {
		for i, r := range ref {
			if mixed[i] != 0 {
				sum += r[cell] * mixed[i]
			}
		}
		return sum / requests
	}
	for i := range t.layout.blocks {
		b := &t.layout.blocks[i]
		f := n * w[b.wobble]
		switch {
		case b.money:
			if mean := pooled(b.first) * f; mean > 0 {
				t.cells[b.first] += math.Max(0, mean*(1+1.1/math.Sqrt(max(n, 1))*d.NormFloat64()))
			}
		case b.bounds == nil:
			t.cells[b.first] += d.poisson(pooled(b.first) * f)
		default:
			per := pooled
			if b.timed {
				per = blended
			}
			m := len(b.bounds) + 1
			for j := b.first; j < b.first+m; j++ {
				mean := per(j)
				if mean == 0 {
					continue
				}
				count := d.poisson(mean * f)
				t.cells[j] += count
				t.cells[j+m] += count * per(j+m) / mean
			}
		}
	}
}

// book keeps the tallies of one family, one per set of versions.
type book struct {
	layout  *layout
	label   []string // names of the shared labels
	tallies []*tally // in the order in which they came to live
	byKey   map[[3]string]*tally
}

func newBook(l *layout, label ...string) *book {
	return &book{layout: l, label: label, byKey: map[[3]string]*tally{}}
}

// at returns the tally under those values, which come to life with zeros: a
// service initialises its label sets when it loads a configuration.
func (b *book) at(values ...string) *tally {
	var key [3]string
	copy(key[:], values)
	if t := b.byKey[key]; t != nil {
		return t
	}
	shared := []string{"namespace", Namespace, "job", Job}
	for i, name := range b.label {
		shared = append(shared, name, values[i])
	}
	t := newTally(b.layout, shared...)
	t.values = slices.Clone(values)
	b.byKey[key] = t
	b.tallies = append(b.tallies, t)
	return t
}

func (b *book) visit(see func(m *Metric, v float64)) {
	for _, t := range b.tallies {
		t.visit(see)
	}
}
