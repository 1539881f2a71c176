package cli

import (
	"encoding/json"
	"io"
	"math"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/sources/signal/suspect"
)

// The types here are what -o json writes. Their names are documented in
// docs/json.md and do not change: fields are only added.

type statusJSON struct {
	Verdict  sources.Verdict  `json:"verdict"`
	Line     string           `json:"line"`
	At       time.Time        `json:"at"`
	Service  string           `json:"service"`
	WindowS  float64          `json:"window_s"`
	RangeS   float64          `json:"range_s"`
	Since    *time.Time       `json:"since,omitempty"`
	Change   *sources.Change  `json:"change,omitempty"`
	Suspect  *suspect.Suspect `json:"suspect,omitempty"`
	Runbook  string           `json:"runbook,omitempty"`
	Blind    []string         `json:"blind,omitempty"`
	Signals  []signalJSON     `json:"signals"`
	Changes  []sources.Change `json:"changes"`
	Manifest sources.Manifest `json:"manifest"`
	Sources  []healthJSON     `json:"sources"`
}

type signalJSON struct {
	Signal     string             `json:"signal"`
	Label      string             `json:"label"`
	Pane       sources.Pane       `json:"pane"`
	Value      sources.Num        `json:"value"`
	Unit       sources.Unit       `json:"unit"`
	Verdict    sources.Verdict    `json:"verdict"`
	Why        string             `json:"why"`
	Provenance sources.Provenance `json:"provenance"`
	AgeS       sources.Num        `json:"age_s"`
	Direction  sources.Direction  `json:"direction"`
	AtLeast    bool               `json:"at_least,omitempty"`
	Detail     string             `json:"detail,omitempty"`
	N          sources.Num        `json:"n"`
	Since      *time.Time         `json:"since,omitempty"`
	Threshold  *thresholdJSON     `json:"threshold,omitempty"`
	Usual      *usualJSON         `json:"usual,omitempty"`
	Judgement  *sources.Judgement `json:"judgement,omitempty"`
	Parts      []partJSON         `json:"parts,omitempty"`
	Partial    string             `json:"partial,omitempty"`
	Stale      string             `json:"stale,omitempty"`
	Warnings   []string           `json:"warnings,omitempty"`
}

type thresholdJSON struct {
	Watch sources.Num `json:"watch"`
	Bad   sources.Num `json:"bad"`
}

type usualJSON struct {
	Value sources.Num `json:"value"`
	Low   sources.Num `json:"low"`
	High  sources.Num `json:"high"`
	Days  int         `json:"days"`
}

type partJSON struct {
	Name    string          `json:"name"`
	Value   sources.Num     `json:"value"`
	Verdict sources.Verdict `json:"verdict,omitempty"`
	N       sources.Num     `json:"n"`
}

type healthJSON struct {
	Source   string              `json:"source"`
	State    sources.HealthState `json:"state"`
	Reason   string              `json:"reason,omitempty"`
	LastGood *time.Time          `json:"last_good,omitempty"`
	LatencyS float64             `json:"latency_s,omitempty"`
	SkewS    float64             `json:"skew_s,omitempty"`
	Note     string              `json:"note,omitempty"`
}

type requestJSON struct {
	*sources.RequestView
	Spans  []spanJSON  `json:"spans"`
	Events []eventJSON `json:"events,omitempty"`
}

type spanJSON struct {
	TraceID   string  `json:"trace_id"`
	SpanID    string  `json:"span_id"`
	ParentID  string  `json:"parent_span_id,omitempty"`
	DurationS float64 `json:"duration_s"`
	sources.Span
}

type eventJSON struct {
	SpanID string `json:"span_id,omitempty"`
	sources.TraceEvent
}

// wholeLine is a width that no verdict line reaches.
const wholeLine = 1 << 16

func statusOf(s *signal.Snapshot, wall time.Time) statusJSON {
	out := statusJSON{
		Verdict: verdictOf(s), Line: s.Line.Text(wholeLine), At: s.At.UTC(), Service: s.Service,
		WindowS: s.Window.Seconds(), RangeS: s.View.Range.Seconds(), Since: moment(s.Line.Since), Change: s.Line.Change,
		Suspect: s.Line.Suspect, Runbook: s.Line.Runbook, Blind: s.Line.Blind, Signals: make([]signalJSON, 0, len(s.Readings)),
		Changes: s.Changes, Manifest: s.Live, Sources: healthOf(s.Health),
	}
	if out.Changes == nil {
		out.Changes = []sources.Change{}
	}
	for i := range s.Readings {
		out.Signals = append(out.Signals, signalOf(&s.Readings[i], s.At, wall))
	}
	return out
}

// verdictOf is the worst of the service.
func verdictOf(s *signal.Snapshot) sources.Verdict {
	if s.Line.Verdict != "" {
		return s.Line.Verdict
	}
	return s.Worst("")
}

func signalOf(r *sources.Reading, at, wall time.Time) signalJSON {
	out := signalJSON{
		Signal: r.Signal, Label: r.Label, Pane: r.Pane, Unit: r.Unit, Verdict: r.Verdict, Why: r.Why,
		Provenance: r.Provenance, Direction: r.Direction, AtLeast: r.AtLeast, Detail: r.Detail, Since: moment(r.Since),
		Partial: r.Facts.Partial, Stale: r.Facts.Stale, Warnings: r.Facts.Warnings,
	}
	if r.Known {
		out.Value = sources.N(r.Value)
	}
	if r.N > 0 {
		out.N = sources.N(r.N)
	}
	if age, ok := ageOf(r.Facts, at, wall); ok {
		out.AgeS = sources.N(math.Round(age.Seconds()*10) / 10)
	}
	if t := r.Threshold; t != nil {
		out.Threshold = &thresholdJSON{sources.N(t.Watch), sources.N(t.Bad)}
	}
	if u := r.Usual; u != nil {
		out.Usual = &usualJSON{sources.N(u.Value), sources.N(u.Low), sources.N(u.High), u.Days}
	}
	out.Judgement = r.Judgement
	for _, p := range r.Parts {
		part := partJSON{Name: p.Name, Verdict: p.Verdict}
		if p.Verdict != sources.NoTraffic {
			part.Value = sources.N(p.Value)
		}
		if p.N > 0 {
			part.N = sources.N(p.N)
		}
		out.Parts = append(out.Parts, part)
	}
	return out
}

// ageOf is how old the newest datum behind an answer is: in service time where
// the source said when it was measured, else since the answer came.
func ageOf(f sources.Facts, at, wall time.Time) (time.Duration, bool) {
	switch {
	case !f.At.IsZero():
		return max(0, at.Sub(f.At)), true
	case !f.Fetched.IsZero():
		return max(0, wall.Sub(f.Fetched)), true
	}
	return 0, false
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func healthOf(list []sources.Health) []healthJSON {
	out := make([]healthJSON, 0, len(list))
	for _, h := range list {
		out = append(out, healthJSON{
			Source: h.Source, State: h.State, Reason: h.Reason, LastGood: moment(h.LastGood),
			LatencyS: h.Latency.Seconds(), SkewS: h.Skew.Seconds(), Note: h.Note,
		})
	}
	return out
}

func requestOf(v *sources.RequestView) requestJSON {
	out := requestJSON{RequestView: v, Spans: make([]spanJSON, 0, len(v.Spans))}
	for i := range v.Spans {
		s := &v.Spans[i]
		j := spanJSON{TraceID: s.TraceID.String(), SpanID: s.SpanID.String(), DurationS: s.Duration().Seconds(), Span: *s}
		if !s.Parent.IsZero() {
			j.ParentID = s.Parent.String()
		}
		out.Spans = append(out.Spans, j)
	}
	for i := range v.Events {
		j := eventJSON{TraceEvent: v.Events[i]}
		if id := v.Events[i].SpanID; !id.IsZero() {
			j.SpanID = id.String()
		}
		out.Events = append(out.Events, j)
	}
	return out
}

// writeJSON writes one value, indented, without turning < and > into escapes.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// writeLine writes one value on one line.
func writeLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
