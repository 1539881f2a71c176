package e2e

import (
	"math"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/manifest"
	"rollcall/sources/prom"
	"rollcall/sources/prom/promtest"
	"rollcall/sources/signal"
)

const drillScope = `namespace="prod", job="assistant"`

// Every query that the console can send must be one that a real PromQL engine takes.
func TestEveryQueryOfTheCatalogueRunsOnPrometheusEngine(t *testing.T) {
	d := startHeadless(t, binaries(t), "quiet")
	c, now := promClient(t, d)
	queries, err := signal.Queries(signal.Service{Scope: drillScope})
	if err != nil {
		t.Fatal(err)
	}
	type named struct{ what, query string }
	var all []named
	for _, q := range queries {
		all = append(all, named{q.Signal + " of " + q.Profile, q.Query})
	}
	for _, q := range manifest.Queries(drillScope) {
		all = append(all, named{"manifest", q})
	}
	if len(all) < 60 {
		t.Fatalf("the catalogue has only %d queries", len(all))
	}
	answered := 0
	for _, q := range all {
		series, _, err := c.Query(t.Context(), q.query, now)
		if err != nil {
			t.Errorf("%s: %v\n%s", q.what, err, q.query)
		}
		if len(series) > 0 {
			answered++
		}
	}
	if answered < 40 {
		t.Errorf("only %d of %d queries found something in the drill", answered, len(all))
	}
}

// What the console needs of a Prometheus, asked through its own client.
func TestPrometheusContractOfTheDrill(t *testing.T) {
	d := startHeadless(t, binaries(t), "prompt-regression")
	c, now := promClient(t, d)
	ctx := t.Context()

	promtest.Run(t, promtest.Server{Config: prom.Config{URL: d.Prometheus}, Clock: d.clock(t), Begin: now})
	t.Run("a range has one point per step and no more", func(t *testing.T) {
		series, facts, err := c.Range(ctx, `sum(rate(llmops_requests_total{`+drillScope+`}[5m]))`, now.Add(-time.Hour), now, time.Minute)
		if err != nil || len(series) != 1 || len(series[0].Points) != 61 {
			t.Fatalf("%d series, %v", len(series), err)
		}
		if facts.Source != "prometheus" || facts.Took <= 0 || facts.Fetched.IsZero() {
			t.Errorf("facts are %+v", facts)
		}
	})
	t.Run("sixteen days of history are there, and nothing before", func(t *testing.T) {
		series, _, err := c.Range(ctx, `sum(rate(llmops_requests_total{`+drillScope+`}[5m]))`, now.Add(-20*24*time.Hour), now, 6*time.Hour)
		if err != nil || len(series) != 1 {
			t.Fatal(err)
		}
		if days := now.Sub(series[0].Points[0].T).Hours() / 24; days < 15.5 || days > 16.5 {
			t.Errorf("history begins %.1f days ago", days)
		}
	})
	t.Run("the series of an old manifest ends when the manifest does", func(t *testing.T) {
		poll(t, 60*time.Second, "the new manifest", func() bool {
			_, now = promClient(t, d)
			series, _, err := c.Query(ctx, `llmops_deployment_info{`+drillScope+`}`, now)
			return err == nil && len(series) == 1 && series[0].Labels["prompt"] == "v14"
		})
		series, _, err := c.Range(ctx, `llmops_deployment_info{`+drillScope+`}`, now.Add(-10*time.Minute), now, 15*time.Second)
		if err != nil || len(series) != 2 {
			t.Fatalf("%d manifests in the last ten minutes, %v", len(series), err)
		}
	})
	t.Run("no traffic is an absent series, not a zero", func(t *testing.T) {
		series, _, err := c.Query(ctx, `rate(llmops_requests_total{job="nobody"}[5m])`, now)
		if err != nil || len(series) != 0 {
			t.Errorf("%v, %v", series, err)
		}
	})
	t.Run("not a number stays so", func(t *testing.T) {
		series, _, err := c.Query(ctx, `vector(0) / vector(0)`, now)
		if err != nil || len(series) != 1 || !math.IsNaN(series[0].Points[0].V) {
			t.Errorf("%v, %v", series, err)
		}
	})
	t.Run("a wrong query is refused in one line that is not taken for a dead source", func(t *testing.T) {
		_, _, err := c.Query(ctx, `sum(rate(`, now)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Fatalf("error is %v", err)
		}
		if h := c.Health(); h.State != sources.SourceUp {
			t.Errorf("health after a wrong query: %+v", h)
		}
	})
	t.Run("metric names are found by scope", func(t *testing.T) {
		names, err := c.MetricNames(ctx, `{`+drillScope+`}`)
		if err != nil || len(names) < 30 {
			t.Errorf("%d names, %v", len(names), err)
		}
	})
}

// The contract tests of sources/loki, which run against a fake there, against the
// drill's own log server. ROLLCALL_LOKI_URL points them at any other one.
func TestLokiContractOfTheDrill(t *testing.T) {
	d := startHeadless(t, binaries(t), "quiet", "--speed", "1")
	cmd := exec.Command("go", "test", "-count=1", "-run", "Contract", "rollcall/sources/loki")
	cmd.Env = append(os.Environ(), "ROLLCALL_LOKI_URL="+d.Loki)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Putting the old prompt back, through the drill's own API, makes the metrics recover.
func TestPuttingTheOldPromptBackRecovers(t *testing.T) {
	d := startHeadless(t, binaries(t), "prompt-regression", "--speed", "40")
	c, _ := promClient(t, d)
	rate := func() float64 {
		_, now := promClient(t, d)
		series, _, err := c.Query(t.Context(), `sum(rate(llmops_validation_total{`+drillScope+`,result="fail"}[2m])) / sum(rate(llmops_validation_total{`+drillScope+`}[2m]))`, now)
		if err != nil || len(series) != 1 {
			return math.NaN()
		}
		return series[0].Points[0].V
	}
	poll(t, 60*time.Second, "a regression", func() bool { return rate() > 0.06 })
	pin := d.Admin + "/v1/pins/prompt"
	resp, err := http.Get(pin)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, pin, strings.NewReader(`{"version":"v13"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("If-Match", resp.Header.Get("ETag"))
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("the pin did not move: %s", resp.Status)
	}
	poll(t, 90*time.Second, "a recovery", func() bool { return rate() < 0.025 })
}

// promClient returns a client of the drill's Prometheus and its service time.
func promClient(t testing.TB, d *drill) (*prom.Client, time.Time) {
	t.Helper()
	clock := d.clock(t)
	c, err := prom.New(prom.Config{URL: d.Prometheus}, prom.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, clock.Now()
}

// clock reads the drill's clock from the configuration that it wrote.
func (d *drill) clock(t testing.TB) sources.Clock {
	t.Helper()
	cfg, err := config.Load(d.Config, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	clock, err := cfg.Clock.Clock(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return clock
}
