package signal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rollcall/sources"
)

// They lie in the module that runs them: a cached test result there knows no file outside.
const expositions = "../../cmd/rollcall-drill/promapi/testdata/profiles"

// exposition reads which metrics a recorded exposition holds.
func exposition(t testing.TB, file string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(expositions, file+".prom"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		name := regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*`).FindString(line)
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// forms are other ways in which a server may keep what an exposition holds, by what is
// added to its name: dots as the conventions write them, with or without the suffixes
// that tell unit and type, and histograms as one native series each.
var otherForms = map[string][]string{
	"otel-genai":             {"dots", "bare-dots", "native", "dots-native", "bare-dots-native"},
	"otel-genai-v0.1":        {"dots", "bare-dots", "native", "dots-native", "bare-dots-native"},
	"otel-genai-litellm":     {"dots-native"},
	"envoy-ai-gateway":       {"dots", "native"},
	"service-behind-gateway": {"dots", "native", "bare-dots-native"},
	"vllm":                   {"native"},
	"litellm":                {"native"},
	"qdrant":                 {"native"},
	"weaviate":               {"native"},
	"milvus":                 {"native"},
}

// kept are the names under which a server keeps metrics in one of the forms.
func kept(t testing.TB, names []string, as string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(expositions, "attributes.json"))
	if err != nil {
		t.Fatal(err)
	}
	var attrs map[string]string
	if err := json.Unmarshal(text, &attrs); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, n := range names {
		if base, part := parted(n); strings.Contains(as, "native") && part != "" && slices.Contains(names, base+"_bucket") {
			n = base
		}
		if strings.Contains(as, "dots") {
			n = dotted(n, attrs, strings.Contains(as, "bare"))
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// dotted writes a name as the conventions do, with the suffixes of unit and type or without.
func dotted(name string, attrs map[string]string, bare bool) string {
	stem := ""
	for s := range attrs {
		if strings.HasPrefix(name, s) && len(s) > len(stem) {
			stem = s
		}
	}
	if stem == "" {
		return name
	}
	rest := strings.TrimPrefix(name, stem)
	if bare {
		for _, suffix := range []string{"_seconds", "_total", "_USD", "_token"} {
			rest = strings.TrimPrefix(rest, suffix)
		}
	}
	return attrs[stem] + rest
}

// askedQuery is one query that the catalogue sends to a system that exposes these metrics.
type askedQuery struct {
	Profile string `json:"profile"`
	Signal  string `json:"signal"`         // "/2" is the second source of the profile for it
	Kind    string `json:"kind"`           // value, n, bounds, above (of $value), by model, ledger
	Part    string `json:"part,omitempty"` // the label that names the parts
	Shy     bool   `json:"shy,omitempty"`  // no series at all is an answer too
	Query   string `json:"query"`
}

// asked are the queries for every profile that metric names show, and which sources they come from.
func asked(names []string) ([]askedQuery, map[string]bool) {
	const scope = `namespace="prod"`
	var out []askedQuery
	from := map[string]bool{}
	for _, profile := range Recognise(names) {
		p, _ := profileNamed(profile)
		spoken := speaks(names, p)
		for _, sig := range Catalogue() {
			nth := 0
			for i := range sig.From {
				src := &sig.From[i]
				if src.Profile != profile {
					continue
				}
				nth++
				id := sig.ID
				if nth > 1 {
					id = fmt.Sprintf("%s/%d", id, nth)
				}
				add := func(kind, expr, by string) {
					expr, missing := spoken.resolve(expr, src.Sparse...)
					if missing == "" && expr != "" {
						out = append(out, askedQuery{profile, id, kind, src.Part, src.Shy != "", expand(expr, scope, max(defaultWindow, sig.Window), by)})
					}
				}
				if _, missing := spoken.resolve(src.Query, src.Sparse...); missing != "" {
					continue
				}
				from[profile+" "+id] = true
				add("value", src.Query, "")
				add("n", src.N, "")
				if src.Bucket != "" {
					if f, _ := spoken.read(metrics(src.Bucket)[0]); f.native {
						add("above", shareAbove("$value", src.Bucket), "")
					} else {
						add("bounds", bounds(src.Bucket), "")
					}
				}
				if label := splitLabel(profile, "model"); label != "" && strings.Contains(src.Query, "$by") {
					add("by model", src.Query, label)
				}
				if sig.ID == "spend_rate" {
					add("ledger", ledgerQuery(*src, ledgerStep), "")
				}
			}
		}
	}
	return out, from
}

// The drill's module runs these queries on Prometheus' own engine over the
// expositions that they were made for. It cannot import the catalogue, so it
// reads what this test holds to be true.
func TestTheQueriesForEveryExpositionAreWrittenDown(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(expositions, "*.prom"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d expositions, %v", len(files), err)
	}
	shown := map[string]bool{}
	type recorded struct{ name, as string }
	var all []recorded
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".prom")
		all = append(all, recorded{name, ""})
		for _, as := range otherForms[name] {
			all = append(all, recorded{name, as})
		}
	}
	for _, r := range all {
		names := exposition(t, r.name)
		f := filepath.Join(expositions, r.name+".queries.json")
		queries, from := asked(names)
		if r.as != "" {
			var other map[string]bool
			queries, other = asked(kept(t, names, r.as))
			if !maps.Equal(other, from) {
				t.Errorf("%s kept as %s resolves %v, else %v", r.name, r.as, slices.Sorted(maps.Keys(other)), slices.Sorted(maps.Keys(from)))
			}
			f = filepath.Join(expositions, r.name+"+"+r.as+".queries.json")
		}
		for _, q := range queries {
			if strings.Contains(r.as, "dots") && strings.HasPrefix(q.Profile, OTelGenAI) && regexp.MustCompile(`gen_ai_|error_type`).MatchString(q.Query) {
				t.Errorf("%s kept as %s: a label or name without its dots in %s", r.name, r.as, q.Query)
			}
		}
		for k := range from {
			shown[k] = true
		}
		var got bytes.Buffer
		enc := json.NewEncoder(&got)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		if err := enc.Encode(queries); err != nil {
			t.Fatal(err)
		}
		golden := f
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, got.Bytes()) {
			t.Errorf("%s is not what the catalogue asks now; UPDATE_GOLDEN=1 writes it anew, then correct the wanted values in %s and run the tests of cmd/rollcall-drill/promapi", golden, f)
		}
	}
	for _, sig := range Catalogue() {
		nth := map[string]int{}
		for _, src := range sig.From {
			nth[src.Profile]++
			id := sig.ID
			if n := nth[src.Profile]; n > 1 {
				id = fmt.Sprintf("%s/%d", id, n)
			}
			// The drill exposes the whole llmops contract; its queries run there.
			if src.Profile != LLMOps && !shown[src.Profile+" "+id] {
				t.Errorf("no exposition in %s exercises %s of %s", expositions, id, src.Profile)
			}
		}
	}
}

func TestProfilesAreRecognisedFromWhatSystemsExpose(t *testing.T) {
	for file, want := range map[string]string{
		"otel-genai": OTelGenAI, "otel-genai-no-suffixes": OTelGenAI, "otel-genai-litellm": OTelGenAI, "otel-genai-v0.1": OTelGenAI0,
		"litellm": LiteLLM, "litellm-fresh": LiteLLM, "envoy-ai-gateway": EnvoyAI, "envoy-ai-gateway-v0.4": EnvoyAI,
		"vllm": VLLM, "vllm-ray": VLLM, "qdrant": Qdrant, "weaviate": Weaviate, "milvus": Milvus,
		"service-behind-gateway": OTelGenAI + " " + EnvoyAI,
	} {
		names := exposition(t, file)
		for _, as := range append([]string{""}, otherForms[file]...) {
			if got := strings.Join(Recognise(kept(t, names, as)), " "); got != want {
				t.Errorf("%s kept as %q shows %q, want %q", file, as, got, want)
			}
		}
	}
}

func TestCommonNamesRecogniseNothing(t *testing.T) {
	common := []string{"http_requests_total", "object_count", "collections_total", "rest_responses_duration_seconds_bucket", "gen_ai_client_token_usage_sum", "up", "queries_total"}
	if got := Recognise(common); len(got) != 0 {
		t.Errorf("recognised %v", got)
	}
	p := exposing("http_requests_total").value("http_requests_total", flat(1))
	if r := reading(t, snapshot(t, evaluator(t, Deps{Prom: p}, Service{})), "error_ratio"); r.Verdict != sources.NotExposed {
		t.Errorf("an ordinary web server is read as vLLM: %+v", r)
	}
}

func TestTheSelectorOfDiscoveryFindsEveryMetricOfTheCatalogue(t *testing.T) {
	m := regexp.MustCompile(`^\{__name__=~"(.*)",job="a"\}$`).FindStringSubmatch(NamesMatch(`job="a"`))
	if m == nil {
		t.Fatalf("selector %s", NamesMatch(`job="a"`))
	}
	if NamesMatch("") != `{__name__=~"`+m[1]+`"}` {
		t.Errorf("without a scope %s", NamesMatch(""))
	}
	match := regexp.MustCompile("^(" + m[1] + ")$")
	for _, sig := range Catalogue() {
		for _, src := range sig.From {
			for _, n := range metrics(src.Query + " " + src.N + " " + src.Bucket) {
				if !match.MatchString(n) {
					t.Errorf("%s of %s is not looked for", n, src.Profile)
				}
			}
		}
	}
}

// The order of the sources of a signal is the rule that the documentation gives:
// what counts money before what computes it, then what stands nearer to the user.
func TestEverySignalAsksItsProfilesInTheOrderOfTheProfiles(t *testing.T) {
	rank := map[string]int{}
	for i, p := range Profiles() {
		rank[p.Name] = i
	}
	for _, sig := range Catalogue() {
		last := -1
		for _, src := range sig.From {
			n, ok := rank[src.Profile]
			if !ok {
				t.Fatalf("%s: profile %s is not listed", sig.ID, src.Profile)
			}
			if src.Priced {
				n += len(rank)
			}
			if n < last {
				t.Errorf("%s asks %s too late", sig.ID, src.Profile)
			}
			last = n
		}
	}
}

// answering exposes metrics, and answers every query with the value of the profile whose metrics it selects.
func answering(values map[string]float64, names ...[]string) *metricsFake {
	p := exposing(slices.Concat(names...)...)
	for pattern, v := range values {
		p.value(pattern, flat(v))
	}
	return p
}

func TestOfSeveralProfilesTheNearestToTheUserIsReadAlone(t *testing.T) {
	service, gateway, engine, index := exposition(t, "otel-genai"), exposition(t, "litellm"), exposition(t, "vllm"), exposition(t, "qdrant")
	values := map[string]float64{`^[^v]*gen_ai_`: 1, `litellm_`: 2, `vllm:|http_requests`: 3, `collections_|rest_responses`: 4}
	for _, tc := range []struct {
		name  string
		has   [][]string
		all   string
		read  map[string]string // by signal
		value float64           // of the request rate
	}{
		{"service, gateway, engine and index", [][]string{service, gateway, engine, index}, "otel-genai litellm vllm qdrant", map[string]string{
			"req_rate": OTelGenAI, "latency_p99": OTelGenAI, "ttft_p95": OTelGenAI, "spend_rate": LiteLLM, "filter_trigger": LiteLLM,
			"length_cutoff": VLLM, "queue_depth": LiteLLM, "index_size": Qdrant, "index_query_p95": Qdrant,
		}, 1},
		{"gateway and engine", [][]string{engine, gateway}, "litellm vllm", map[string]string{
			"req_rate": LiteLLM, "error_ratio": LiteLLM, "cache_provider": LiteLLM, "length_cutoff": VLLM, "prompt_length_p99": VLLM,
		}, 2},
		{"engine alone", [][]string{engine}, "vllm", map[string]string{
			"req_rate": VLLM, "error_ratio": VLLM, "cache_provider": VLLM, "queue_wait_p95": VLLM, "access_control": "", "refusal": "", "budget_used": "",
		}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := snapshot(t, evaluator(t, Deps{Prom: answering(values, tc.has...)}, Service{}))
			if got := strings.Join(s.Profiles, " "); got != tc.all {
				t.Errorf("recognised %q, want %q", got, tc.all)
			}
			for id, want := range tc.read {
				r := reading(t, s, id)
				if r.Provenance.Profile != want || want == "" != (r.Verdict == sources.NotExposed) {
					t.Errorf("%s is read from %q, want %q (%s %s)", id, r.Provenance.Profile, want, r.Verdict, r.Why)
				}
				if want != "" && r.Provenance.Query == "" {
					t.Errorf("%s does not say its query", id)
				}
			}
			if r := reading(t, s, "req_rate"); r.Value != tc.value {
				t.Errorf("request rate %g, want %g: profiles are never added", r.Value, tc.value)
			}
		})
	}
}

func TestAProfileMayLiveUnderAScopeOfItsOwn(t *testing.T) {
	p := &scopedFake{metricsFake: answering(map[string]float64{`.`: 1}), names: map[string][]string{
		`job="a"`: exposition(t, "otel-genai"), `job="qdrant"`: exposition(t, "qdrant"), `job="proxy",team="t-7"`: exposition(t, "litellm"),
	}}
	s := snapshot(t, evaluator(t, Deps{Prom: p}, Service{Scopes: map[string]string{Qdrant: `job="qdrant"`, LiteLLM: `job="proxy",team="t-7"`}}))
	for id, want := range map[string]string{
		"req_rate": `job="a"`, "index_size": `{job="qdrant"}`, "filter_trigger": `job="proxy",team="t-7"}`, "spend_today": `job="proxy",team="t-7"}`,
	} {
		if q := reading(t, s, id).Provenance.Query; !strings.Contains(q, want) || id != "req_rate" && strings.Contains(q, `job="a"`) {
			t.Errorf("%s asks %s, want %s in it", id, q, want)
		}
	}
	_, err := newService("s", Service{Scopes: map[string]string{"litelm": `job="x"`}})
	if err == nil || !strings.Contains(err.Error(), "services.s.scopes.litelm: no such profile; the profiles are llmops") {
		t.Errorf("error %v", err)
	}
}

// scopedFake has other metrics under each scope.
type scopedFake struct {
	*metricsFake
	names map[string][]string
}

func (f *scopedFake) MetricNames(_ context.Context, match string) ([]string, error) {
	for scope, names := range f.names {
		if strings.HasSuffix(match, ","+scope+"}") {
			return names, nil
		}
	}
	return nil, nil
}

func TestBeforeTheFirstErrorThereAreNoErrors(t *testing.T) {
	p := answering(map[string]float64{`litellm_`: 0}, exposition(t, "litellm-fresh"))
	s := snapshot(t, evaluator(t, Deps{Prom: p}, Service{}))
	for _, id := range []string{"error_ratio", "error_by_type", "access_control", "fallback_rate", "cache_exact_semantic"} {
		if r := reading(t, s, id); !r.Known || r.Value != 0 || r.Provenance.Profile != LiteLLM {
			t.Errorf("%s: %+v", id, r)
		}
	}
	for id, why := range map[string]string{"cache_provider": "no litellm_input_cached_tokens_metric_total", "filter_trigger": "no litellm_guardrail_requests_total"} {
		if r := reading(t, s, id); r.Verdict != sources.NotExposed || r.Why != why {
			t.Errorf("%s: %s %q, want %q", id, r.Verdict, r.Why, why)
		}
	}
}

// A gateway that validates nothing and one whose answers all pass look the same:
// neither is a failure rate of zero.
func TestWhatMayNotBeMeasuredAtAllIsNotZero(t *testing.T) {
	names := exposition(t, "litellm")
	quiet := exposing(names...)
	rows := everyBucket(sources.RequestBucket{N: 100, Schema: [2]int{98, 2}})
	if r := reading(t, snapshot(t, evaluator(t, Deps{Prom: quiet}, Service{})), "schema_fail"); r.Verdict != sources.NotExposed || !strings.Contains(r.Why, "no schema validation failure seen") {
		t.Errorf("%s %s", r.Verdict, r.Why)
	}
	if r := reading(t, snapshot(t, evaluator(t, Deps{Prom: quiet, Rows: rows}, Service{})), "schema_fail"); r.Value != 0.02 || r.Provenance.Provider != "requests" {
		t.Errorf("%+v", r)
	}
	seen := exposing(names...).value(`JSONSchemaValidationError`, flat(0.04)).value(`.`, flat(10))
	if r := reading(t, snapshot(t, evaluator(t, Deps{Prom: seen, Rows: rows}, Service{})), "schema_fail"); r.Value != 0.04 || r.Provenance.Profile != LiteLLM {
		t.Errorf("%+v", r)
	}
}

func TestGatewayBudgetsStandInWhereNoneIsConfigured(t *testing.T) {
	p := exposing(exposition(t, "litellm")...).
		on(`_budget_metric`, fakeSeries{map[string]string{"budget": "team support"}, flat(0.75)}, fakeSeries{map[string]string{"budget": "key assistant"}, flat(1.05)}).
		value(`litellm_spend`, flat(1))
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: p}, Service{})), "budget_used")
	if r.Value != 1.05 || r.Detail != "key assistant" || r.Verdict != sources.Bad || len(r.Parts) != 2 {
		t.Errorf("%+v", r)
	}
	r = reading(t, snapshot(t, evaluator(t, Deps{Prom: p}, Service{Budget: Budget{Day: 1000}})), "budget_used")
	if r.Detail != "day" || r.Provenance.Profile != LiteLLM || !strings.Contains(r.Provenance.Query, "litellm_spend_metric_total") {
		t.Errorf("with a budget of the configuration: %+v", r)
	}
}

func TestAQuantileInMillisecondsIsAtLeastItsTopBound(t *testing.T) {
	top := fakeSeries{map[string]string{"le": "5000"}, flat(1)}
	for v, want := range map[float64]bool{5: true, 4.9: false} {
		p := exposing(exposition(t, "weaviate")...).on(`count by \(le\)`, top).value(`histogram_quantile`, flat(v)).value(`.`, flat(10))
		if r := reading(t, snapshot(t, evaluator(t, Deps{Prom: p}, Service{})), "index_query_p95"); r.AtLeast != want || r.Value != v {
			t.Errorf("%g s of at most 5000 ms: at least is %v", r.Value, r.AtLeast)
		}
	}
}

func TestOwnModelsHaveAPriceToo(t *testing.T) {
	p := exposing(exposition(t, "vllm")...).on(`prompt_tokens_total`,
		fakeSeries{map[string]string{"model_name": "llama", "kind": "input"}, flat(1000)},
		fakeSeries{map[string]string{"model_name": "llama", "kind": "output"}, flat(100)})
	r := reading(t, snapshot(t, evaluator(t, Deps{Prom: p, Prices: map[string]Price{"llama": {Input: 1e-6, Output: 4e-6}}}, Service{})), "spend_rate")
	near(t, "spend", r.Value, 0.0014)
	r = reading(t, snapshot(t, evaluator(t, Deps{Prom: p}, Service{})), "spend_rate")
	if r.Verdict != sources.NotExposed || r.Why != "no cost metric and no prices in the configuration" {
		t.Errorf("without prices: %s %s", r.Verdict, r.Why)
	}
}

func TestRayNamesAreNotPrefixedTwice(t *testing.T) {
	names := exposition(t, "vllm-ray")
	got, missing := newVocabulary(names).resolve(`a(vllm:prefix_cache_hits_total{}) / a(vllm:prefix_cache_hits_total{})`)
	if want := `a(ray_vllm_gpu_prefix_cache_hits_total{}) / a(ray_vllm_gpu_prefix_cache_hits_total{})`; got != want || missing != "" {
		t.Errorf("got %s, missing %q", got, missing)
	}
}
