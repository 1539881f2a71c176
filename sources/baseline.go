package sources

import "time"

// Baseline is what a query of a service gave at one hour of earlier days. It is
// kept between runs, so that a start does not ask for two weeks of everything again.
type Baseline struct {
	Key   string           // a digest of the query and of what else the numbers depend on
	At    time.Time        // the hour, of the service's time
	Whole Usual            // of the sum of all parts
	Parts map[string]Usual // by name
}
