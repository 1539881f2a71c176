package sources

import "time"

// Baseline is what a query of a service gave at one hour of earlier days and weeks.
// It is kept between runs, so that a start does not ask for four weeks of everything again.
type Baseline struct {
	Key   string          // a digest of the query and of what else the numbers depend on
	At    time.Time       // the hour, of the service's time
	Whole Past            // of the sum of all parts
	Parts map[string]Past // by name
}

// Past is what one value was at an hour: what is shown of it, and what it is judged by.
// Values or Shares are zero when it is not judged by them.
type Past struct {
	Usual
	Learned bool   // there is history enough to judge by it
	Values  Spread // of the value itself
	Shares  Share  // of the events behind it
}

// Spread is where values lay, in the value's unit.
type Spread struct {
	Median, MAD float64 // MAD is the median distance from the median
	Low, High   float64
	N           int // values behind it
}

// Share is what a proportion was, from one window of time to the next.
type Share struct {
	Mu      float64 // mean share, 0 to 1
	Rho     float64 // how much it wavered by itself, 0 to 1 (overdispersion)
	K, N    float64 // events behind it: K of N
	Windows int     // windows behind it
}
