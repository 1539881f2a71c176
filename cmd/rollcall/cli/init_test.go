package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/cmd/rollcall/setup"
)

// prometheus speaks llmops under the given jobs.
func prometheus(t *testing.T, jobs ...string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		var data any = map[string]any{"resultType": "vector", "result": []any{}}
		switch {
		case strings.HasSuffix(r.URL.Path, "/values"):
			data = []string{"llmops_requests_total"}
		case strings.HasPrefix(r.Form.Get("query"), "topk"):
			result := []any{}
			for i, j := range jobs {
				result = append(result, map[string]any{"metric": map[string]string{"job": j}, "value": []any{float64(time.Now().Unix()), fmt.Sprint(9 - i)}})
			}
			data = map[string]any{"resultType": "vector", "result": result}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func initBench(t *testing.T, usual map[setup.Kind]string, env ...string) (*bench, string) {
	t.Helper()
	b := newBench(t, "", env...)
	b.Usual = usual
	home, _ := b.Env("HOME")
	return b, filepath.Join(home, ".config", "rollcall", "rollcall.yaml")
}

func TestInitWritesAConfigurationThatLoads(t *testing.T) {
	b, path := initBench(t, map[setup.Kind]string{setup.Prometheus: prometheus(t, "assistant")})
	if code := b.run("init"); code != ExitOK {
		t.Fatalf("exit code %d: %s%s", code, b.err.String(), b.out.String())
	}
	for _, want := range []string{"llmops", `the scope of assistant is {job="assistant"}`, "no loki", "Wrote " + path, "Next: rollcall doctor\n"} {
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, b.out.String())
		}
	}
	cfg, err := config.Load("", b.Env)
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Services["assistant"].Scope; got != `job="assistant"` || cfg.Loki != nil {
		t.Errorf("the scope is %s, loki %v", got, cfg.Loki)
	}
}

func TestInitLeavesAFileAsItIsUnlessForced(t *testing.T) {
	b, path := initBench(t, map[setup.Kind]string{setup.Prometheus: prometheus(t, "assistant")})
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("refresh: 5s # mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := b.run("init"); code != ExitUsage || !strings.Contains(b.err.String(), "--force") {
		t.Errorf("exit code %d: %s", code, b.err.String())
	}
	for _, want := range []string{"- refresh: 5s", "+ refresh: 15s", "+   assistant:"} {
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("the difference lacks %q:\n%s", want, b.out.String())
		}
	}
	if text, _ := os.ReadFile(path); string(text) != "refresh: 5s # mine\n" {
		t.Errorf("the file is now %s", text)
	}
	if code := b.run("init", "--force"); code != ExitOK || !strings.Contains(b.out.String(), path+".old") {
		t.Errorf("forced: exit code %d: %s%s", code, b.err.String(), b.out.String())
	}
	if text, _ := os.ReadFile(path + ".old"); string(text) != "refresh: 5s # mine\n" {
		t.Errorf("the old one is %s", text)
	}
}

func TestInitThatFindsNothingSaysWhatWasTriedAndWhatToGive(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	b, path := initBench(t, map[setup.Kind]string{setup.Prometheus: s.URL, setup.Loki: s.URL})
	if code := b.run("init"); code != ExitUnreachable {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(b.out.String(), s.URL+" (usual port): nothing listens there") || !strings.Contains(b.err.String(), "rollcall init --prometheus http://HOST:9090") {
		t.Errorf("it says %s%s", b.out.String(), b.err.String())
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("something was written")
	}
}

func TestInitSaysByItsExitCodeThatCredentialsAreMissing(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(s.Close)
	b, path := initBench(t, map[setup.Kind]string{})
	if code := b.run("init", "--prometheus", s.URL, "--service", "assistant", "--scope", `{job="assistant"}`); code != ExitUnreachable {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(b.out.String(), "wants credentials (401)") || !strings.Contains(b.out.String(), "prometheus.token") {
		t.Errorf("it says %s", b.out.String())
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "credentials_file: prometheus.token") || !strings.Contains(string(text), `scope: 'job="assistant"'`) {
		t.Errorf("the file is %s (%v)", text, err)
	}
}

func TestInitAsksAPersonWhereThereIsOne(t *testing.T) {
	b, path := initBench(t, map[setup.Kind]string{})
	b.InTTY, b.OutTTY = true, true
	b.In = strings.NewReader(prometheus(t, "assistant", "billing") + "\n\n7\n2\ny\n")
	if code := b.run("init", "--no-color"); code != ExitOK {
		t.Fatalf("exit code %d: %s%s", code, b.err.String(), b.out.String())
	}
	for _, want := range []string{"Where is prometheus?", "Where is loki?", "Which services?", "write numbers from 1 to 2", "Write " + path} {
		if !strings.Contains(b.err.String(), want) {
			t.Errorf("it does not ask %q: %s", want, b.err.String())
		}
	}
	cfg, err := config.Load("", b.Env)
	if err != nil {
		t.Fatal(err)
	}
	if names := cfg.Names(); len(names) != 1 || names[0] != "billing" {
		t.Errorf("services are %v", names)
	}

	b, path = initBench(t, map[setup.Kind]string{setup.Prometheus: prometheus(t, "assistant")})
	b.InTTY, b.OutTTY = true, true
	b.In = strings.NewReader("\nn\n")
	if code := b.run("init", "--no-color"); code != ExitBad {
		t.Errorf("a no: exit code %d", code)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("it was written although the answer was no")
	}
}

func TestInitSpeaksJSON(t *testing.T) {
	b, path := initBench(t, map[setup.Kind]string{setup.Prometheus: prometheus(t, "assistant")})
	if code := b.run("init", "-o", "json"); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, b.err.String())
	}
	var out initJSON
	if err := json.Unmarshal(b.out.Bytes(), &out); err != nil {
		t.Fatalf("%v: %s", err, b.out.String())
	}
	if !out.Written || out.Path != path || len(out.Sources) != 5 || out.Services[0].Service != "assistant" {
		t.Errorf("it says %+v", out)
	}
}

func TestInitToStandardOutputWritesNoFile(t *testing.T) {
	b, path := initBench(t, map[setup.Kind]string{setup.Prometheus: prometheus(t, "assistant")})
	if code := b.run("init", "--out", "-"); code != ExitOK || !strings.HasPrefix(b.out.String(), "# The configuration of rollcall") {
		t.Errorf("exit code %d: %s", code, b.out.String())
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file was written")
	}
}
