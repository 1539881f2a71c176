package signal

import (
	"strings"
	"testing"

	"rollcall/sources"
)

const (
	underscoredCount = `rate\(gen_ai_client_operation_duration_seconds_count`
	nativeCount      = `histogram_count\(rate\(gen_ai_client_operation_duration_seconds\{`
	dottedCount      = `rate\(\{"gen_ai\.client\.operation\.duration_seconds_count"`
)

// inForms exposes the calls of a service in several forms, each with its own rate.
func inForms(t *testing.T, forms map[string]curve) *metricsFake {
	t.Helper()
	names := exposition(t, "otel-genai")
	p := exposing()
	for pattern, c := range forms {
		p.value(pattern, c)
		switch pattern {
		case underscoredCount:
			p.names = append(p.names, names...)
		case nativeCount:
			p.names = append(p.names, kept(t, names, "native")...)
		case dottedCount:
			p.names = append(p.names, kept(t, names, "dots")...)
		}
	}
	return p
}

func TestOfSeveralFormsOfAMetricTheOneThatCarriesMoreIsReadAlone(t *testing.T) {
	for _, tc := range []struct {
		name   string
		forms  map[string]curve
		value  float64
		query  string // a piece of the query that is read
		spoken string // a piece of the warning; empty when none
	}{
		{"classic alone", map[string]curve{underscoredCount: flat(4)}, 4, "seconds_count{", ""},
		{"an exporter that writes both forms of a histogram", map[string]curve{underscoredCount: flat(4), nativeCount: flat(4)}, 4, "seconds_count{", "left out gen_ai_client_operation_duration_seconds (native histogram) (4/s)"},
		{"half of the instances native, a few more than half", map[string]curve{underscoredCount: flat(4), nativeCount: flat(4.2)}, 4, "seconds_count{", "never added"},
		{"most of the instances native", map[string]curve{underscoredCount: flat(1), nativeCount: flat(3)}, 3, "histogram_count(", "left out gen_ai_client_operation_duration_seconds (1/s)"},
		{"classic until this morning", map[string]curve{underscoredCount: flat(absent), nativeCount: flat(4)}, 4, "histogram_count(", ""},
		{"underscores until this morning", map[string]curve{underscoredCount: flat(absent), dottedCount: flat(5)}, 5, `{"gen_ai.client.operation.duration_seconds_count","gen_ai.operation.name"=~`, ""},
		{"two collectors that spell differently", map[string]curve{underscoredCount: flat(5), dottedCount: flat(5)}, 5, "seconds_count{gen_ai_operation_name", "left out gen_ai.client.operation.duration_seconds (5/s)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := reading(t, snapshot(t, evaluator(t, Deps{Prom: inForms(t, tc.forms)}, Service{})), "req_rate")
			if r.Value != tc.value || r.Provenance.Profile != OTelGenAI || !strings.Contains(r.Provenance.Query, tc.query) {
				t.Errorf("%g by %s: %s", r.Value, r.Provenance.Profile, r.Provenance.Query)
			}
			said := strings.Join(r.Facts.Warnings, "\n")
			if tc.spoken == "" && said != "" || !strings.Contains(said, tc.spoken) {
				t.Errorf("says %q, want %q in it", said, tc.spoken)
			}
		})
	}
}

// Two forms that carry about the same do not take turns from one minute to the next.
func TestAChosenFormIsKeptWhileItCarriesAsMuch(t *testing.T) {
	c := &clock{now: t0}
	p := inForms(t, map[string]curve{
		underscoredCount: step(minutes(2), 1, 4),
		nativeCount:      flat(3.8),
	})
	e := evaluator(t, Deps{Prom: p, Clock: c}, Service{})
	for range 3 {
		if r := reading(t, snapshot(t, e), "req_rate"); r.Value != 3.8 {
			t.Errorf("at %s: %g", c.Now(), r.Value)
		}
		c.add(2 * lookEvery)
	}
}

// A service and its gateway write the same token histogram. They may spell it differently.
func TestAGatewayThatSpellsDifferentlyIsNotTakenForTheService(t *testing.T) {
	names := append(kept(t, exposition(t, "otel-genai"), "dots"), exposition(t, "envoy-ai-gateway")...)
	p := exposing(names...).
		value(`gen_ai_original_model!=""`, flat(900)). // the gateway's
		value(`"gen_ai.original.model"=""`, flat(400)).
		value(`.`, flat(1))
	s := snapshot(t, evaluator(t, Deps{Prom: p}, Service{}))
	r := reading(t, s, "tokens_per_req")
	if r.Provenance.Profile != OTelGenAI || r.Value != 400 || !strings.Contains(r.Provenance.Query, `{"gen_ai.client.token.usage_sum","gen_ai.operation.name"`) {
		t.Errorf("%g by %s: %s", r.Value, r.Provenance.Profile, r.Provenance.Query)
	}
}

func TestEverySignalResolvesWhereNamesKeepTheirDots(t *testing.T) {
	for _, form := range []string{"", "dots", "bare-dots", "native", "bare-dots-native"} {
		p := exposing(kept(t, exposition(t, "otel-genai"), form)...).value(`.`, flat(2))
		s := snapshot(t, evaluator(t, Deps{Prom: p, Prices: map[string]Price{"gpt-4.1": {Input: 1, Output: 1}}}, Service{}))
		for _, id := range []string{"req_rate", "error_ratio", "latency_p50", "latency_p95", "latency_p99", "ttft_p95", "tokens_per_req", "prompt_length_p99", "access_control"} {
			r := reading(t, s, id)
			if !r.Known || r.Provenance.Profile != OTelGenAI || r.Provenance.Query == "" {
				t.Errorf("kept as %q, %s is %s (%s) by %q", form, id, r.Verdict, r.Why, r.Provenance.Profile)
			}
			if strings.Contains(form, "dots") != strings.Contains(r.Provenance.Query, `{"gen_ai.client.`) {
				t.Errorf("kept as %q, %s asks %s", form, id, r.Provenance.Query)
			}
		}
	}
}

func TestLabelsWithDotsNamePartsAndPrices(t *testing.T) {
	p := exposing(kept(t, exposition(t, "otel-genai"), "bare-dots-native")...).
		on(`sum by \("error\.type"\)`, fakeSeries{map[string]string{"error.type": "RateLimitError"}, flat(0.25)}).
		on(`"gen_ai\.response\.model", "gen_ai\.token\.type"`,
			fakeSeries{map[string]string{"gen_ai.response.model": "gpt-4.1-2025-04-14", "gen_ai.token.type": "input"}, flat(1000)},
			fakeSeries{map[string]string{"gen_ai.response.model": "gpt-4.1-2025-04-14", "gen_ai.token.type": "output"}, flat(200)}).
		on(`by \("gen_ai\.response\.model"\)`, fakeSeries{map[string]string{"gen_ai.response.model": "gpt-4.1-2025-04-14"}, flat(7)}).
		value(`.`, flat(2))
	e := evaluator(t, Deps{Prom: p, Prices: map[string]Price{"gpt-4.1": {Input: 2e-6, Output: 8e-6}}}, Service{})
	s := snapshot(t, e)
	near(t, "spend", reading(t, s, "spend_rate").Value, 0.0036)
	r := reading(t, s, "error_by_type")
	if len(r.Parts) != 1 || r.Parts[0].Name != "RateLimitError" {
		t.Errorf("parts %+v", r.Parts)
	}
	parts, _, err := e.Split(t.Context(), "s", "req_rate", "model", view)
	if err != nil || len(parts) != 1 || parts[0].Name != "gpt-4.1-2025-04-14" || parts[0].Value != 7 {
		t.Errorf("by model %+v, %v", parts, err)
	}
}

// Only a native histogram with bounds of its own making has events above all of them.
func TestAQuantileOfANativeHistogramIsAtLeastItsValueWhenMoreLiesAbove(t *testing.T) {
	for above, want := range map[float64]bool{0.01: false, 0.0100001: false, 0.03: true, absent: false} {
		p := exposing(kept(t, exposition(t, "otel-genai"), "native")...).
			value(`^histogram_fraction\(10, \+Inf, sum\(rate\(gen_ai_client_operation_duration_seconds\{`, flat(above)).
			value(`^histogram_quantile`, flat(10)).value(`.`, flat(2))
		if r := reading(t, snapshot(t, evaluator(t, Deps{Prom: p}, Service{})), "latency_p99"); r.AtLeast != want || r.Value != 10 {
			t.Errorf("%g above it: at least is %v", above, r.AtLeast)
		}
	}
}

func TestASummaryIsNoNativeHistogram(t *testing.T) {
	p := exposing("gen_ai_client_operation_duration_seconds", "gen_ai_client_operation_duration_seconds_sum", "gen_ai_client_operation_duration_seconds_count").value(`.`, flat(2))
	s := snapshot(t, evaluator(t, Deps{Prom: p}, Service{}))
	if r := reading(t, s, "req_rate"); r.Value != 2 || strings.Contains(r.Provenance.Query, "histogram_count") {
		t.Errorf("%+v", r)
	}
	if r := reading(t, s, "latency_p99"); r.Verdict != sources.NotExposed || r.Why != "no gen_ai_client_operation_duration_seconds_bucket" {
		t.Errorf("%s %s", r.Verdict, r.Why)
	}
}
