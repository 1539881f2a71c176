// Package signal measures and judges: the catalogue of signals, the profiles
// that say where each is found, what is usual, the verdicts, and the one
// sentence at the top of the console.
//
// To add a signal, add one Signal to the table of its pane (health.go,
// quality.go, cost.go, safety.go): where its number comes from in each profile,
// and what is too much of it.
package signal

import (
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/suspect"
)

// Signal is one named measured quantity.
type Signal struct {
	ID        string // stable; as in configuration and JSON
	Label     string // at most 16 columns
	Name      string // as the verdict line says it: "schema failures"
	Family    string // signals that move together; the verdict line names one of them
	Pane      sources.Pane
	Unit      sources.Unit
	Direction sources.Direction
	Harm      Harm // whom it harms; zero: as its pane says

	// Window is the least that one value looks back over; zero means the service's window.
	Window time.Duration
	// From are the PromQL sources by profile, best first.
	From []Source
	// LogQL is asked when no profile exposes the signal; placeholders $logs and $window.
	LogQL string
	// Rows computes the signal from the request rows of one window; nil when they cannot say.
	Rows rowFunc
	// RowsLack says in words what the rows of a window leave out; nil or "" when it is nothing.
	RowsLack func(window []sources.RequestBucket) string
	// Compute derives the signal from others (spend and budgets) instead of asking for it.
	Compute computeFunc

	// Combine says how the parts of a vector make one value.
	Combine Combine

	// Limits are fixed levels; a zero level is off. Both can be set in the configuration.
	Limits sources.Threshold
	// Rise and Fall compare with what is usual; a zero factor is off.
	Rise, Fall Relative
	// Least is what must stand behind a value before it is judged.
	Least Least

	// Hold is how long a fixed level must have been crossed before it counts.
	Hold time.Duration
	// Forecast looks whether the value, as it moves, will soon be used up.
	Forecast bool

	// Causes are the components whose change most often explains this signal, likeliest first.
	Causes []sources.Component

	// Outcome says which requests are bad in the sense of this signal: what suspects are held against.
	Outcome suspect.Outcome
}

// Source is where one profile keeps a signal.
type Source struct {
	Profile string
	Query   string // placeholders $scope, $window, $by
	N       string // events per second behind the value; empty when nothing countable is
	K       string // of a proportion: those of the N per second that its value is the share of
	Part    string // label that names the parts of a vector; empty for one value
	Bucket  string // histogram whose top bucket bounds the quantile
	Priced  bool   // series are tokens per model and kind, to be multiplied by the price table
	// Sparse are metrics of the query that exist only after the first event of
	// their kind; while others of the query exist, a missing one of these is zero.
	Sparse []string
	// Shy says what was not seen when the query finds no series at all, where that
	// is no evidence that the profile measures this: the metric is there only
	// after the first event, or is somebody else's. The next provider is asked
	// then. Empty: no series is no traffic.
	Shy string
	// Per is how many of the histogram's units make one of the signal's; zero is one.
	Per float64
	// Note is what to know about every value from here.
	Note string
}

// Relative compares with the usual value: at Watch × usual it is watch, at Bad ×
// usual bad, in both cases only when at least By away from it.
type Relative struct{ Watch, Bad, By float64 }

// Least is what must stand behind a value: N events in the window before a
// proportion is judged at all, K bad ones before it can be bad.
type Least struct{ N, K float64 }

// Harm is what a signal that is bad does to people. At equal evidence the verdict
// line names the greatest harm first.
type Harm int

// The harms, the greatest first. Zero is that of the signal's pane.
const (
	Unsafe Harm = iota + 1 // somebody may be hurt, or reads what is not theirs
	Wrong                  // answers are wrong, useless or missing
	Late                   // answers come late, or by a lesser way
	Costly                 // answers are fine and cost too much
)

// harm is that of the signal, or of its pane.
func (sig *Signal) harm() Harm {
	if sig.Harm != 0 {
		return sig.Harm
	}
	switch sig.Pane {
	case sources.SafetyPane:
		return Unsafe
	case sources.QualityPane:
		return Wrong
	case sources.CostPane:
		return Costly
	}
	return Late
}

// Combine says how the parts of a vector make one value.
type Combine int

// The ways to combine parts.
const (
	Sum   Combine = iota // parts add up; the sum is judged
	Worst                // each part is judged; the value is the worst part's
)

// Catalogue returns every signal, in the order in which they are always shown.
func Catalogue() []Signal {
	var all []Signal
	for _, pane := range [][]Signal{health(), quality(), cost(), safety()} {
		all = append(all, pane...)
	}
	for i := range all {
		all[i].Outcome = outcomes[all[i].ID]
	}
	return all
}

// rate is the sum of a counter's rates.
func rate(metric, matchers string) string {
	return `sum by ($by) (rate(` + selector(metric, matchers) + `[$window]))`
}

// rateAll is rate for a metric without a label that a version could be told by.
func rateAll(metric, matchers string) string {
	return `sum(rate(` + selector(metric, matchers) + `[$window]))`
}

// rateBy keeps one label apart.
func rateBy(label, metric, matchers string) string {
	return `sum by (` + label + `, $by) (rate(` + selector(metric, matchers) + `[$window]))`
}

func selector(metric, matchers string) string {
	if matchers != "" {
		matchers += ","
	}
	return metric + `{` + matchers + `$scope}`
}

// share is a proportion: part of whole, with the whole as the events behind it.
// A part that never happened is zero; a whole that never happened is no traffic.
func share(profile, part, whole string) Source {
	return Source{Profile: profile, Query: fraction(part, whole), N: whole, K: part}
}

func fraction(part, whole string) string {
	return `(` + part + ` or 0 * ` + whole + `) / ` + whole
}

// quantile is a quantile of a classic histogram.
func quantile(profile, q, metric, matchers string) Source {
	return Source{
		Profile: profile,
		Query:   `histogram_quantile(` + q + `, sum by (le, $by) (rate(` + selector(metric+"_bucket", matchers) + `[$window])))`,
		N:       rate(metric+"_count", matchers),
		Bucket:  selector(metric+"_bucket", matchers),
	}
}

// plain is a query without a count behind it.
func plain(profile, query string) Source { return Source{Profile: profile, Query: query} }

// vector is a query with one series per value of a label.
func vector(profile, label, query string) Source {
	return Source{Profile: profile, Query: query, Part: label}
}
