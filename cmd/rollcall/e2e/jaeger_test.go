package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources/jaeger"
	"rollcall/sources/otlp/tracetest"
)

// The suite that the fakes of sources/jaeger and sources/tempo pass, against the real
// server, which is fed as any collector feeds it.
func TestJaegerContractOfARealServer(t *testing.T) {
	bin, dir := stack(t), t.TempDir()
	query, intake := freeAddr(t), freeAddr(t)
	startServer(t, filepath.Join(bin, "jaeger"), "--config", writeFile(t, dir, "jaeger.yaml", fmt.Sprintf(`
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines: {traces: {receivers: [otlp], processors: [batch], exporters: [jaeger_storage_exporter]}}
  telemetry: {metrics: {level: none}, logs: {level: warn}}
extensions:
  jaeger_query: {storage: {traces: memory}, http: {endpoint: '%s'}, grpc: {endpoint: '%s'}}
  jaeger_storage: {backends: {memory: {memory: {max_traces: 10000}}}}
receivers: {otlp: {protocols: {http: {endpoint: '%s'}}}}
processors: {batch: {timeout: 100ms}}
exporters: {jaeger_storage_exporter: {trace_storage: memory}}
`, query, freeAddr(t), intake)))

	path := writeFile(t, dir, "rollcall.yaml", fmt.Sprintf("schema: rollcall/v1\nstate: %s\nloki: {url: http://127.0.0.1:1}\njaeger: {url: 'http://%s'}\nservices: {assistant: {}}\n", filepath.Join(dir, "state"), query))
	cfg, err := config.Load(path, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	c, err := jaeger.New(*cfg.Jaeger, jaeger.Options{Clock: wallClock(t), Redactor: tracetest.Redactor(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	tracetest.Until(t, "Jaeger to answer", func() bool { return c.Check(t.Context()) == nil && answers("http://"+intake) })

	tracetest.Run(t, tracetest.Server{Backend: c, Name: "jaeger", OTLP: "http://" + intake})

	// Why the client asks another API for attributes. When this fails, version 3 has learned to.
	t.Run("version 3 of the API gives any trace when asked for one with an attribute", func(t *testing.T) {
		params := url.Values{
			"query.attributes":     {`{"llmops.request.id":"nobody has this"}`},
			"query.start_time_min": {time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano)},
			"query.start_time_max": {time.Now().UTC().Format(time.RFC3339Nano)},
			"query.num_traces":     {"5"},
		}
		resp, err := http.Get("http://" + query + "/api/v3/traces?" + params.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		var answer struct {
			Result struct{ ResourceSpans []json.RawMessage }
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Result.ResourceSpans) == 0 {
			t.Errorf("%s, %d spans, %v", resp.Status, len(answer.Result.ResourceSpans), err)
		}
	})
}

// answers tells whether somebody speaks HTTP there.
func answers(at string) bool {
	resp, err := http.Get(at)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return true
}
