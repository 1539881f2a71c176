package setup

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

func env(pairs ...string) config.Env {
	vars := map[string]string{"HOME": "/nonexistent"}
	for i := 0; i < len(pairs); i += 2 {
		vars[pairs[i]] = pairs[i+1]
	}
	return func(k string) (string, bool) { v, ok := vars[k]; return v, ok }
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// closed is an address at which nothing listens any more.
func closed(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	return s.URL
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

type labels = map[string]string

// metrics is a Prometheus with some names and the label sets that they have; a
// set that names a metric is only of that one.
func metrics(names []string, sets ...labels) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		switch {
		case strings.HasSuffix(r.URL.Path, "/values"):
			answer(w, map[string]any{"status": "success", "data": names})
		case strings.HasSuffix(r.URL.Path, "/buildinfo"):
			answer(w, map[string]any{"status": "success", "data": labels{"version": "3.5.0"}})
		case strings.HasPrefix(r.Form.Get("query"), "topk"):
			result := []any{}
			for i, s := range sets {
				if only := s["only"]; only != "" && !strings.Contains(r.Form.Get("query"), only) {
					continue
				}
				result = append(result, map[string]any{"metric": s, "value": []any{float64(time.Now().Unix()), fmt.Sprint(100 - i)}})
			}
			answer(w, map[string]any{"status": "success", "data": map[string]any{"resultType": "vector", "result": result}})
		default:
			answer(w, map[string]any{"status": "success", "data": map[string]any{"resultType": "vector", "result": []any{}}})
		}
	}
}

// lines is a Loki with one stream that answers to one selector.
func lines(selector string, stream labels, text ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/labels"):
			names := []string{}
			for k := range stream {
				names = append(names, k)
			}
			answer(w, map[string]any{"status": "success", "data": names})
		case strings.HasSuffix(r.URL.Path, "/values"):
			parts := strings.Split(r.URL.Path, "/")
			answer(w, map[string]any{"status": "success", "data": []string{stream[parts[len(parts)-2]]}})
		default:
			result := []any{}
			if r.URL.Query().Get("query") == selector {
				values := [][]string{}
				for i, l := range text {
					values = append(values, []string{fmt.Sprint(time.Now().Add(-time.Minute).UnixNano() + int64(i)), l})
				}
				result = append(result, map[string]any{"stream": stream, "values": values})
			}
			answer(w, map[string]any{"status": "success", "data": map[string]any{"resultType": "streams", "result": result}})
		}
	}
}

func html(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Sign in</title>")
	}
}

func find(t *testing.T, o Options) *Found {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "rollcall.yaml")
	}
	if o.Usual == nil {
		o.Usual = map[Kind]string{}
	}
	f, err := Find(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func text(t *testing.T, f *Found, e config.Env) string {
	t.Helper()
	s, err := f.Text(e, time.Date(2026, 3, 10, 2, 47, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mentions(t *testing.T, what, s string, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(s, w) {
			t.Errorf("%s does not say %q:\n%s", what, w, s)
		}
	}
}

var llmops = []string{"llmops_requests_total", "llmops_validation_total", "llmops_cost_usd_total", "up"}

func TestWhatIsFoundBecomesAConfigurationWithRemarks(t *testing.T) {
	usual := map[Kind]string{
		Prometheus: serve(t, metrics(llmops, labels{"namespace": "prod", "job": "assistant"}, labels{"namespace": "prod", "job": "team/billing"})),
		Loki:       serve(t, lines(`{namespace="prod", job="assistant"}`, labels{"namespace": "prod", "job": "assistant"}, `{"request_id":"req_1","level":"info"}`, `{"request_id":"req_2","level":"info"}`)),
		Tempo: serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/echo" {
				_, _ = io.WriteString(w, "echo")
				return
			}
			answer(w, map[string]any{"tagValues": []string{"assistant", "billing"}})
		}),
		Jaeger:       closed(t),
		Alertmanager: serve(t, html(http.StatusOK)),
	}
	e := env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")
	f := find(t, Options{Usual: usual, Env: e, Receiving: func(string) int { return 42 }})
	got := text(t, f, e)
	for k, u := range usual {
		got = strings.ReplaceAll(got, u, "http://"+string(k))
	}
	golden := filepath.Join("testdata", "found.yaml")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the configuration differs from %s (-update writes it anew):\n%s", golden, got)
	}
	mentions(t, "what was concluded", strings.Join(f.Guesses, "\n"), `the scope of assistant is {namespace="prod", job="assistant"}`, "collector")
	mentions(t, "what is left to do", strings.Join(f.Warnings, "\n"), "no line of billing")
}

func TestOnlyWhatWasSaidOrIsUsualIsAsked(t *testing.T) {
	prom := serve(t, metrics(llmops, labels{"job": "a"}))
	never := serve(t, func(http.ResponseWriter, *http.Request) {
		t.Error("the usual port was asked although an address was given")
	})
	f := find(t, Options{Usual: map[Kind]string{Prometheus: never}, Env: env("PROMETHEUS_URL", prom)})
	if s := f.source(Prometheus); s.State != Up || s.From != "$PROMETHEUS_URL" {
		t.Errorf("the environment is not believed: %+v", s)
	}
	other := serve(t, metrics(llmops, labels{"job": "b"}))
	f = find(t, Options{URLs: map[Kind]string{Prometheus: other}, Env: env("PROMETHEUS_URL", never)})
	if s := f.source(Prometheus); s.URL != other || s.From != "--prometheus" {
		t.Errorf("a flag does not win over the environment: %+v", s)
	}
	for k, u := range Usual() {
		if !strings.HasPrefix(u, "http://127.0.0.1:") {
			t.Errorf("%s is looked for at %s, which is not this machine", k, u)
		}
	}
}

func TestAUsualPortLeadsToNoOtherHost(t *testing.T) {
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	f := find(t, Options{Usual: map[Kind]string{Prometheus: serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusFound)
	})}})
	if s := f.source(Prometheus); s.State != Other || !strings.Contains(s.Detail, "leads elsewhere") {
		t.Errorf("a redirect is %+v", s)
	}
}

func TestWrongThingsOnThePortsAreTold(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		state   State
		says    string
	}{
		"a page":              {html(http.StatusOK), Other, "something else answers"},
		"not found":           {html(http.StatusNotFound), Other, "something else answers there (404)"},
		"JSON of another API": {func(w http.ResponseWriter, _ *http.Request) { answer(w, labels{"status": "success"}) }, Other, "something else answers"},
		"trouble":             {html(http.StatusBadGateway), Down, "is in trouble (502)"},
		"nothing to read":     {func(http.ResponseWriter, *http.Request) {}, Other, "something else answers"},
		"an endless answer": {func(w http.ResponseWriter, _ *http.Request) {
			for range 64 {
				_, _ = w.Write(make([]byte, 64<<10))
			}
		}, Other, "something else answers"},
		"credentials": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, Locked, "wants credentials (401)"},
	} {
		t.Run(name, func(t *testing.T) {
			f := find(t, Options{URLs: map[Kind]string{Prometheus: serve(t, tc.handler)}})
			if s := f.source(Prometheus); s.State != tc.state || !strings.Contains(s.Detail, tc.says) || s.Remedy == "" {
				t.Errorf("it is %+v", s)
			}
			if f.Configurable() != (tc.state == Down || tc.state == Locked) {
				t.Error("what is no Prometheus is written down as one, or one that is away is not")
			}
		})
	}
}

func TestNothingThereIsSaidAndNothingIsWritten(t *testing.T) {
	f := find(t, Options{Usual: map[Kind]string{Prometheus: closed(t), Loki: closed(t)}})
	if f.Configurable() || f.source(Prometheus).State != Absent || f.source(Loki).State != Absent {
		t.Errorf("nothing is taken for %+v", f.Sources)
	}
}

func TestNoSecretIsEverWritten(t *testing.T) {
	const secret = "tok-5ecret"
	locked := func(h http.HandlerFunc, ok func(*http.Request) bool) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			if !ok(r) {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			h(w, r)
		})
	}
	basic := func(r *http.Request) bool { u, p, _ := r.BasicAuth(); return u == "ana" && p == secret }
	bearer := func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer "+secret }
	prom := strings.Replace(locked(metrics(llmops, labels{"job": "assistant"}), basic), "http://", "http://ana:"+secret+"@", 1)
	loki := locked(lines(`{job="assistant"}`, labels{"job": "assistant"}, `request_id=req_1 done`), bearer)
	e := env("PROMETHEUS_URL", prom, "LOKI_ADDR", loki, "LOKI_BEARER_TOKEN", secret)
	f := find(t, Options{Env: e})
	if !f.Reached(Prometheus) || !f.Reached(Loki) {
		t.Fatalf("credentials of the environment are not used: %+v", f.Sources)
	}
	got := text(t, f, e)
	said := fmt.Sprintf("%s %+v %v %v", got, f.Services, f.Guesses, f.Warnings)
	for _, s := range f.Sources {
		said += s.URL + s.Detail + s.Remedy
	}
	if strings.Contains(said, secret) {
		t.Errorf("the secret is told:\n%s", said)
	}
	mentions(t, "the configuration", got, `credentials: "${LOKI_BEARER_TOKEN}"`, `# http: {basic_auth: {username: "ana", password_file: prometheus.password}}`)
}

func TestCredentialsInAFileBesideTheConfigurationAreUsed(t *testing.T) {
	dir := t.TempDir()
	prom := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		metrics(llmops, labels{"job": "assistant"})(w, r)
	})
	o := Options{URLs: map[Kind]string{Prometheus: prom}, Path: filepath.Join(dir, "rollcall.yaml")}
	f := find(t, o)
	mentions(t, "the configuration of a locked source", text(t, f, env()), "wants credentials (401)", "# http: {authorization: {credentials_file: prometheus.token}}")
	if err := os.WriteFile(filepath.Join(dir, "prometheus.token"), []byte("s3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f = find(t, o)
	if !f.Reached(Prometheus) {
		t.Fatalf("the token is not used: %+v", f.source(Prometheus))
	}
	mentions(t, "the configuration", text(t, f, env()), "\n  http: {authorization: {credentials_file: prometheus.token}}", `scope: 'job="assistant"'`)
}

func TestHostileLabelValuesReachNeitherTheFileNorTheScreen(t *testing.T) {
	hostile := []string{"${AWS_SECRET_ACCESS_KEY}", "a\x1b]0;owned\x07", "x\nservices: {evil: {}}", "\u202egnp.exe", strings.Repeat("long", 200), "<email:1>", "a\u2028b"}
	sets := []labels{{"job": "assistant"}}
	for _, h := range hostile {
		sets = append(sets, labels{"job": h, "namespace": "prod"}, labels{"job": "j", "namespace": h})
	}
	sets = append(sets, labels{"job": `quo"te'd\ {}#: &*!`})
	e := env("AWS_SECRET_ACCESS_KEY", "wJalr")
	f := find(t, Options{Env: e, URLs: map[Kind]string{Prometheus: serve(t, metrics(llmops, sets...)), Loki: serve(t, lines("", labels{"job": hostile[0], "app": hostile[1]}))}})
	got := text(t, f, e)
	said := got + strings.Join(f.Guesses, "\n") + strings.Join(f.Warnings, "\n")
	for _, bad := range []string{"${", "\x1b", "\x07", "evil", "\u202e", "wJalr", "longlong", "<email"} {
		if strings.Contains(said, bad) {
			t.Errorf("%q got through:\n%s", bad, said)
		}
	}
	if len(f.Services) != 2 {
		t.Fatalf("services are %+v", f.Services)
	}
	if want := `job="quo\"te'd\\ {}#: &*!"`; f.Services[1].Scope != want {
		t.Errorf("an odd but printable job is %s, want %s", f.Services[1].Scope, want)
	}
	mentions(t, "what is left to do", strings.Join(f.Warnings, "\n"), "places with known metrics left out")
}

func TestServicesAreTheApplicationsAndNotWhatTheyCall(t *testing.T) {
	for name, tc := range map[string]struct {
		o        Options
		sets     []labels
		services []string
		says     string
	}{
		"two of one name":           {Options{}, []labels{{"namespace": "a", "job": "bot"}, {"namespace": "b", "job": "bot"}}, []string{"bot", "b-bot"}, ""},
		"pushed over OTLP":          {Options{}, []labels{{"job": "shop/assistant"}}, []string{"assistant"}, ""},
		"without a job":             {Options{}, []labels{{"service_name": "assistant"}}, []string{"assistant"}, ""},
		"without any label":         {Options{}, []labels{{}}, []string{"service"}, "has no scope"},
		"the only one gets a name":  {Options{Service: "support"}, []labels{{"job": "assistant"}}, []string{"support"}, ""},
		"one of several":            {Options{Service: "bot"}, []labels{{"job": "assistant"}, {"job": "bot"}}, []string{"bot"}, ""},
		"none of several":           {Options{Service: "shop"}, []labels{{"job": "assistant"}, {"job": "bot"}}, []string{"shop"}, "these are there: assistant, bot"},
		"a scope is taken as it is": {Options{Scope: `cluster="x"`, Service: "shop"}, []labels{{"job": "assistant"}}, []string{"shop"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tc.o.URLs = map[Kind]string{Prometheus: serve(t, metrics(llmops, tc.sets...))}
			f := find(t, tc.o)
			var names []string
			for _, s := range f.Services {
				names = append(names, s.Name)
			}
			if strings.Join(names, " ") != strings.Join(tc.services, " ") {
				t.Errorf("services are %v, want %v", names, tc.services)
			}
			mentions(t, "what is left to do", strings.Join(f.Warnings, "\n"), tc.says)
			text(t, f, env())
		})
	}
}

func TestGatewaysAndDatabasesAreServicesOnlyWhereNothingElseIs(t *testing.T) {
	gateway, db := labels{"job": "litellm", "only": "litellm_"}, labels{"job": "qdrant", "only": "collections_"}
	names := []string{"litellm_proxy_total_requests_metric_total", "collections_vector_total"}
	f := find(t, Options{URLs: map[Kind]string{Prometheus: serve(t, metrics(names, gateway, db))}})
	if len(f.Services) != 1 || f.Services[0].Name != "litellm" || len(f.Also) != 1 || f.Also[0].Name != "qdrant" {
		t.Errorf("services are %+v, and also %+v", f.Services, f.Also)
	}
	f = find(t, Options{URLs: map[Kind]string{Prometheus: serve(t, metrics(append(names, llmops...), gateway, db, labels{"job": "assistant", "only": "llmops_"}))}})
	if len(f.Services) != 1 || f.Services[0].Name != "assistant" || len(f.Also) != 2 {
		t.Errorf("services are %+v, and also %+v", f.Services, f.Also)
	}
	mentions(t, "the configuration", text(t, f, env()), `#   litellm: {scope: 'job="litellm"'}  # speaks litellm`, `#   qdrant:`)
	f = find(t, Options{URLs: map[Kind]string{Prometheus: serve(t, metrics(names[1:], db))}})
	if len(f.Services) != 1 || f.Services[0].Scope != "" || len(f.Also) != 1 {
		t.Errorf("a database alone makes %+v, and also %+v", f.Services, f.Also)
	}
}

func TestMetricsOfNobodyAreSaidToBeUnknown(t *testing.T) {
	f := find(t, Options{URLs: map[Kind]string{Prometheus: serve(t, metrics([]string{"up", "node_load1"}))}})
	mentions(t, "what is left to do", strings.Join(f.Warnings, "\n"), "no metric of a profile that rollcall knows", "docs/profiles.md")
	mentions(t, "the configuration", text(t, f, env()), "no profile was recognised", "# scope:")
}

func TestLinesThatAreNotCalledLikeTheServiceAreFoundByTheirIDs(t *testing.T) {
	f := find(t, Options{URLs: map[Kind]string{
		Prometheus: serve(t, metrics(llmops, labels{"job": "assistant"})),
		Loki:       serve(t, lines(`{container="web-1"}`, labels{"container": "web-1"}, `level=info x-request-id=req_9 msg=done`)),
	}})
	if s := f.Services[0]; s.Logs != `{container="web-1"}` || s.Lines != "x-request-id in 1 of the newest 1 line" {
		t.Errorf("the lines are %+v", s)
	}
}

func TestAnAddressThatIsNoneIsRefused(t *testing.T) {
	for _, u := range []string{"prometheus:9090", "ftp://h", "http://", "http://h?x=1", "http://h/${HOME}"} {
		if _, err := Find(t.Context(), Options{URLs: map[Kind]string{Prometheus: u}, Path: "f.yaml"}); err == nil || !strings.Contains(err.Error(), "--prometheus") {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestALookThatIsCalledOffEnds(t *testing.T) {
	asked := make(chan struct{}, 1)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := Find(ctx, Options{URLs: map[Kind]string{Prometheus: url}, Usual: map[Kind]string{}, Path: "f.yaml"}); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
