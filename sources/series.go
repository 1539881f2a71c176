package sources

import "time"

// Point is one value at one time. NaN means that the source answered "not a number".
type Point struct {
	T time.Time `json:"t"`
	V float64   `json:"v"`
}

// Series is an ordered list of points under one label set. A gap is the absence
// of points, never a zero.
type Series struct {
	Labels map[string]string `json:"labels,omitempty"`
	Points []Point           `json:"points"`
}

// View is the one time that everything on the screen shows.
type View struct {
	// At is the end of the range. Zero is live: the clock's now.
	At    time.Time
	Range time.Duration
	// Columns is how many points a chart can show; sources return at most two per column.
	Columns int
}

// Live tells whether the view follows the clock.
func (v View) Live() bool { return v.At.IsZero() }

// End returns the end of the range, given the clock's now.
func (v View) End(now time.Time) time.Time {
	if v.Live() {
		return now
	}
	return v.At
}
