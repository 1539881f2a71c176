package signal

import (
	"slices"
	"testing"
)

func TestWhatAProfileExposesIsToldByTheMetricsThatExist(t *testing.T) {
	found := Exposes([]string{"llmops_requests_total", "llmops_validation_total", "gen_ai_client_operation_duration_seconds_count", "up"})
	if len(found) != 2 || found[0].Profile != LLMOps || found[1].Profile != OTelGenAI {
		t.Fatalf("exposed are %+v", found)
	}
	if !slices.Contains(found[0].Signals, "schema_fail") || !slices.Equal(found[0].Metrics, []string{"llmops_requests_total", "llmops_validation_total"}) {
		t.Errorf("llmops exposes %+v", found[0])
	}
	if slices.Contains(found[0].Signals, "refusal") {
		t.Error("a signal without its metric is said to be answered")
	}
	if other := Exposes([]string{"up", "node_cpu_seconds_total", "http_requests_total"}); len(other) != 0 {
		t.Errorf("metrics of other systems are taken for %+v", other)
	}
}

func TestWhatAProfileExposesIsToldByNamesThatKeepTheirDotsToo(t *testing.T) {
	names := exposition(t, "otel-genai")
	plain := Exposes(names)
	for _, form := range otherForms["otel-genai"] {
		found := Exposes(kept(t, names, form))
		if len(found) != 1 || found[0].Profile != OTelGenAI || !slices.Equal(found[0].Signals, plain[0].Signals) || len(found[0].Metrics) == 0 {
			t.Errorf("kept as %q exposed are %+v, want %+v", form, found, plain)
		}
	}
}

func TestNamesAreMatchedLiterally(t *testing.T) {
	if got, want := NameSelector([]string{"vllm:a", "b.c"}, `job="x"`), `{__name__=~"vllm:a|b\\.c",job="x"}`; got != want {
		t.Errorf("the selector is %s, want %s", got, want)
	}
}
