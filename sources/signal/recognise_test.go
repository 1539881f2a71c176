package signal

import (
	"slices"
	"strings"
	"testing"
)

func TestProfilesAreRecognisedByTheMetricsThatExist(t *testing.T) {
	found := Recognise([]string{"llmops_requests_total", "llmops_validation_total", "gen_ai_client_operation_duration_seconds_count", "up"})
	if len(found) < 2 || found[0].Profile != LLMOps {
		t.Fatalf("recognised %+v", found)
	}
	if !slices.Contains(found[0].Signals, "schema_fail") || !slices.Contains(found[0].Metrics, "llmops_validation_total") {
		t.Errorf("llmops is recognised as %+v", found[0])
	}
	if !slices.ContainsFunc(found, func(r Recognised) bool { return r.Profile == OTelGenAI }) {
		t.Errorf("otel-genai is not recognised: %+v", found)
	}
	if slices.Contains(found[0].Signals, "refusal") {
		t.Error("a signal without its metric is said to be answered")
	}
	if other := Recognise([]string{"up", "node_cpu_seconds_total"}); len(other) != 0 {
		t.Errorf("metrics of other systems are taken for %+v", other)
	}
}

func TestTheSelectorsOfAllMetricsStayShort(t *testing.T) {
	all := MetricSelectors(`job="a"`)
	joined := strings.Join(all, "")
	for _, want := range []string{"llmops_requests_total", "gen_ai_client_operation_duration_seconds_count", "gen_ai_client_operation_duration_count"} {
		if !strings.Contains(joined, want) {
			t.Errorf("%s is never asked for", want)
		}
	}
	for _, s := range all {
		if len(s) > 2000 || !strings.HasSuffix(s, `,job="a"}`) {
			t.Errorf("selector of %d bytes: %s", len(s), s)
		}
	}
}
