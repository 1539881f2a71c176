package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

type explained struct {
	Verdict  string `json:"verdict"`
	Why      string `json:"why"`
	Provider string `json:"provider"`
	Suspects []struct {
		Attributes []attribute `json:"attributes"`
		Same       []attribute `json:"same"`
	} `json:"suspects"`
}

type attribute struct{ Attribute, Value string }

// planted is what each scenario does wrong, the signal that shows it first, and
// the attribute that must stand first among its suspects.
var planted = []struct {
	scenario, signal string
	want             attribute
	line             string // pattern of the verdict line
}{
	{"prompt-regression", "schema_fail", attribute{"prompt", "v14"}, `^Schema failures .*Suspect: prompt v13→v14 at`},
	{"blue-green", "schema_fail", attribute{"prompt", "v14"}, `^Schema failures .*Suspect: prompt v13→v14 at`},
	{"canary-regression", "schema_fail", attribute{"prompt", "v14"}, `^Canary prompt v14: roll back, .* It runs since \d\d:\d\d\.`},
	{"index-drift", "retrieval_hit", attribute{"index", "kb-43"}, `^Retrieval hit rate .*Suspect: index kb-42→kb-43 at`},
	{"silent-model-change", "latency_p95", attribute{"model_served", "gpt-4.1-2025-08-07"}, `ilent change: served model gpt-4.1-2025-04-14→gpt-4.1-2025-08-07 at`},
	{"cache-collapse", "cache_exact", attribute{"prompt", "v15"}, `Suspect: prompt v13→v15 at`},
	{"safety-spike", "refusal", attribute{"tenant", "hooli"}, `^(Refusals|Content filter triggers) .*Suspect: tenant=hooli`},
	{"privacy-leak", "redactions", attribute{"index", "kb-44"}, `^Redactions \(email\) .*Suspect: index kb-42→kb-44 at`},
	{"cost-runaway", "cost_per_req", attribute{"tools", "t6"}, `Suspect: tools t5→t6 at`},
	{"rate-limiting", "ratelimit_headroom", attribute{"tenant", "globex"}, `^(Errors .*mostly rate_limited|(Token|Rate)-limit headroom)`},
	{"budget-exhaustion", "error_ratio", attribute{"prompt", "v15"}, `^(Forecast of the day's budget|Errors .*mostly budget_exceeded)`},
}

// Many seeds are tried on rows drawn by the tests of sources/signal/suspect; here
// the whole way is gone once per scenario, from spans to the answer, or as many
// times as ROLLCALL_SEEDS says.
func TestThePlantedCauseOfEveryScenarioIsTheFirstSuspect(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("plays eleven scenarios")
	}
	dir := binaries(t)
	seeds := 1
	if n, err := strconv.Atoi(os.Getenv("ROLLCALL_SEEDS")); err == nil && n > 0 {
		seeds = n
	}
	for seed := range seeds {
		for _, p := range planted {
			t.Run(fmt.Sprintf("%s %d", p.scenario, seed+1), func(t *testing.T) {
				t.Parallel()
				d := startHeadless(t, dir, p.scenario, "--seed", strconv.Itoa(seed+1))
				var x explained
				poll(t, 240*time.Second, p.want.Attribute+"="+p.want.Value+" as the first suspect of "+p.signal, func() bool {
					out, _ := d.run(t, "suspects", p.signal, "--anyway", "-o", "json")
					if err := json.Unmarshal([]byte(out), &x); err != nil || len(x.Suspects) == 0 {
						return false
					}
					first := x.Suspects[0]
					for _, a := range append(first.Attributes, first.Same...) {
						if a == p.want {
							return x.Provider == "requests"
						}
					}
					return false
				})
				t.Log(x.Why)
				d.says(t, p.line)
			})
		}
	}
}

// A provider that fails fails everybody: nothing of a request tells the unlucky apart, and that is said.
func TestAnOutageThatHitsEverybodyHasNoSuspect(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("plays a scenario")
	}
	d := startHeadless(t, binaries(t), "provider-outage")
	var x explained
	poll(t, 150*time.Second, "an answer about errors that began", func() bool {
		out, _ := d.run(t, "suspects", "error_ratio", "-o", "json")
		return json.Unmarshal([]byte(out), &x) == nil && x.Verdict == "bad" && !strings.HasPrefix(x.Why, "Too few")
	})
	if len(x.Suspects) > 0 || x.Why != "Not explained by anything recorded." {
		t.Errorf("%s %+v", x.Why, x.Suspects)
	}
	d.says(t, `No change seen in the 30 minutes before\.`)
}

func TestQuietHasNoSuspects(t *testing.T) {
	t.Parallel()
	d := startHeadless(t, binaries(t), "quiet")
	for range 3 {
		out, code := d.run(t, "suspects", "-o", "json")
		var x explained
		mustJSON(t, out, &x)
		if code != 0 || len(x.Suspects) != 0 || x.Why == "" {
			t.Errorf("in quiet, %q is said (exit %d): %+v", x.Why, code, x.Suspects)
		}
	}
	for _, id := range []string{"schema_fail", "error_ratio", "latency_p95"} {
		out, _ := d.run(t, "suspects", id)
		if !strings.Contains(out, "nothing to explain") {
			t.Errorf("%s: %s", id, out)
		}
	}
}
