package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func env(kv ...string) Env {
	m := map[string]string{"HOME": "/home/oncall"}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func TestMistakesCarryTheirPlaceAndARemedy(t *testing.T) {
	const prom = "prometheus: {url: http://h:9090}\n"
	const ok = "prometheus: {url: http://127.0.0.1:9090}\nservices: {a: {scope: 'job=\"a\"'}}\n"
	for _, tc := range []struct{ name, text, want string }{
		{"an unknown key at the top", "promethus: {url: x}\n" + ok, `rollcall.yaml:1:1: unknown key "promethus" at the top level; did you mean "prometheus"?`},
		{"an unknown nested key", "prometheus:\n  url: http://h:9090\n  timeuot: 3s\nservices: {a: {}}\n", `rollcall.yaml:3:3: unknown key "timeuot" under "prometheus"; did you mean "timeout"?`},
		{"an unknown key in the HTTP section", "prometheus:\n  url: http://h:9090\n  http:\n    tls_config:\n      ca_fil: x\nservices: {a: {}}\n", `rollcall.yaml:5:7: unknown key "ca_fil" under "prometheus.http.tls_config"; did you mean "ca_file"?`},
		{"an unknown key of a service", "services:\n  a:\n    scoped: x\n" + "prometheus: {url: http://h:9090}\n", `rollcall.yaml:3:5: unknown key "scoped" under "services.a"; did you mean "scope"?`},
		{"an unknown key that resembles nothing", "xyzzy: 1\n" + ok, `unknown key "xyzzy" at the top level; known here: alertmanager, clock, incidents`},
		{"a bad duration", "refresh: soon\n" + ok, `rollcall.yaml:1:10: refresh: "soon" is not a duration; write it like 15s`},
		{"a negative duration", "refresh: -3s\n" + ok, `rollcall.yaml:1:10: refresh: "-3s" is negative`},
		{"a bad size", "traces:\n  max_bytes: lots\n" + ok, `rollcall.yaml:2:14: traces.max_bytes: "lots" is not a size`},
		{"text where a number belongs", "prices: {m: {input: cheap}}\n" + ok, `rollcall.yaml:1:21: prices.m.input: "cheap" is not a number`},
		{"text where a mapping belongs", "prometheus: http://h:9090\nservices: {a: {}}\n", `rollcall.yaml:1:13: prometheus must be a mapping with keys such as`},
		{"a mapping where a list belongs", "redact: {patterns: {name: x}}\n" + ok, `redact.patterns must be a list`},
		{"tabs", "prometheus:\n\turl: x\n", `rollcall.yaml:2:`},
		{"an unclosed bracket", "services: {a: {\n", `not valid YAML`},
		{"a key twice", "refresh: 1s\nrefresh: 2s\n" + ok, `rollcall.yaml:2:1: not valid YAML`},
		{"two documents", ok + "---\n" + ok, `several YAML documents`},
		{"nothing", "# only a comment\n", `is empty`},
		{"no service", "prometheus: {url: http://h:9090}\n", `no service is configured`},
		{"no source", "services: {a: {}}\n", `neither prometheus nor loki is configured`},
		{"no URL", "prometheus: {timeout: 3s}\nservices: {a: {}}\n", `rollcall.yaml:1:1: prometheus.url is missing`},
		{"a URL that is none", "prometheus: {url: 'localhost:9090'}\nservices: {a: {}}\n", `rollcall.yaml:1:19: prometheus.url "localhost:9090" is not a URL`},
		{"a password in a URL", "prometheus: {url: 'http://u:p@h:9090'}\nservices: {a: {}}\n", `password_file`},
		{"a password in clear text", "prometheus:\n  url: http://h:9090\n  http: {basic_auth: {username: u, password: hunter2}}\nservices: {a: {}}\n", `rollcall.yaml:3:46: prometheus.http.basic_auth.password holds a secret in clear text; use password_file`},
		{"a secret header", "prometheus:\n  url: http://h:9090\n  headers: {authorization: Bearer x}\nservices: {a: {}}\n", `authorization is a secret; use http.authorization with credentials_file`},
		{"a variable that is not set", "prometheus: {url: 'http://${NOWHERE}:9090'}\nservices: {a: {}}\n", `the environment variable NOWHERE is not set`},
		{"a CA file that is missing", "prometheus:\n  url: https://h:9090\n  http: {tls_config: {ca_file: none.pem}}\nservices: {a: {}}\n", `rollcall.yaml:3:32: ca_file `},
		{"two ways of authorization", "prometheus:\n  url: https://h:9090\n  http:\n    basic_auth: {username: u}\n    authorization: {credentials_file: x}\nservices: {a: {}}\n", `rollcall.yaml:4:5: prometheus.http: at most one of`},
		{"no URL of a trace backend", "tempo: {timeout: 3s}\n" + ok, `rollcall.yaml:1:1: tempo.url is missing`},
		{"a label that rollcall sets", "alertmanager: {url: 'http://127.0.0.1:9093', post: true, post_labels: {alertname: x}}\n" + ok, "post_labels.alertname is set by rollcall itself"},
		{"labels of what is not posted", "alertmanager: {url: 'http://127.0.0.1:9093', post_labels: {severity: page}}\n" + ok, "does nothing without post: true"},
		{"an Alertmanager without a URL", "alertmanager: {timeout: 2s}\n" + ok, "alertmanager.url is missing"},
		{"an unknown key of a trace backend", "jaeger: {url: 'http://h', tenant: x}\n" + ok, `rollcall.yaml:1:27: unknown key "tenant" under "jaeger"`},
		{"an address without a port", "otlp: {grpc: localhost}\n" + ok, `rollcall.yaml:1:14: otlp.grpc "localhost" is not an address`},
		{"a port that is none", "otlp: {grpc: 'localhost:99999'}\n" + ok, `is not a port`},
		{"a wrong choice", "ui: {color: blue}\n" + ok, `rollcall.yaml:1:13: ui.color is "blue"; it can be auto, always, never`},
		{"a slow clock", "clock: {speed: 0.5, start: 2026-01-01T00:00:00Z, wall_start: 2026-01-01T06:00:00Z}\n" + ok, `rollcall.yaml:1:1: clock.speed is 0.5`},
		{"a schema of tomorrow", "schema: rollcall/v9\n" + ok, `rollcall.yaml:1:9: schema "rollcall/v9" is not known`},
		{"a pattern that is none", "redact: {patterns: [{name: x, regexp: '['}]}\n" + ok, `rollcall.yaml:1:39: redact.patterns[0].regexp: missing closing ]`},
		{"a column that is none", "mapping: {requestid: [a]}\n" + ok, `rollcall.yaml:1:`},
		{"a threshold of no signal", "prometheus: {url: http://h:9090}\nservices:\n  a:\n    thresholds:\n      schema_fial: {bad: 1}\n", `rollcall.yaml:5:7: unknown signal "schema_fial" under "services.a.thresholds"; did you mean "schema_fail"?`},
		{"thresholds the wrong way round", "prometheus: {url: http://h:9090}\nservices:\n  a:\n    thresholds:\n      schema_fail: {watch: 0.5, bad: 0.1}\n", `rollcall.yaml:5:7: services.a.thresholds.schema_fail: watch`},
		{"a threshold that is no number", "prometheus: {url: http://h:9090}\nservices: {a: {thresholds: {schema_fail: {bad: much}}}}\n", `rollcall.yaml:2:48: services.a.thresholds.schema_fail.bad: "much" is not a number`},
		{"a query of no signal", "prometheus: {url: http://h:9090}\nservices: {a: {queries: {x: {promql: up}}}}\n", `rollcall.yaml:2:26: unknown signal "x" under "services.a.queries"; known here: access_control`},
		{"a negative budget", "prometheus: {url: http://h:9090}\nservices: {a: {budget: {day: -1}}}\n", `rollcall.yaml:2:30: services.a.budget.day`},
		{"a scope that is none", "prometheus: {url: http://h:9090}\nservices: {a: {scope: 'job=assistant'}}\n", `rollcall.yaml:2:23: services.a.scope is no list of matchers`},
		{"a selector that is none", "prometheus: {url: http://h:9090}\nservices: {a: {logs: 'job=\"a\"'}}\n", `rollcall.yaml:2:22: services.a.logs is no LogQL selector`},
		{"a negative price", "prices: {m: {input: -1}}\n" + ok, `rollcall.yaml:1:10: prices.m is negative`},
		{"control bytes in a key", "\"a\\e[31m\": 1\n" + ok, `unknown key "a\x1b[31m"`},
		{"several mistakes", "a1: 1\nb2: 2\n" + ok, `(and 1 more)`},
		{"an unknown component", "services:\n  a:\n    components:\n      promt: {driver: exec}\n" + prom, `rollcall.yaml:4:7: "promt" is no component; there are prompt, model, tools, index, policy`},
		{"an unknown key of a pin", "services:\n  a:\n    components: {prompt: {drvier: http}}\n" + prom, `rollcall.yaml:3:27: unknown key "drvier" under "services.a.components.prompt"; did you mean "driver"?`},
		{"an unknown driver", "services:\n  a:\n    components: {prompt: {driver: ftp}}\n" + prom, `services.a.components.prompt.driver "ftp" is not known; it can be exec, http or file`},
		{"a pin without its address", "services:\n  a:\n    components:\n      prompt: {driver: http}\n" + prom, `rollcall.yaml:4:7: services.a.components.prompt.url is missing`},
		{"a key of another driver", "services:\n  a:\n    components: {prompt: {driver: http, url: 'http://h', get: [x]}}\n" + prom, `services.a.components.prompt.get belongs to driver exec; this one is http`},
		{"a set that does not compare", "services:\n  a:\n    components: {model: {driver: exec, get: [x], set: [x, $VERSION]}}\n" + prom, `services.a.components.model.set has no $CURRENT; the command must move it only while it is $CURRENT`},
		{"a variable that nobody fills", "services:\n  a:\n    components: {model: {driver: exec, get: [x, $NAME], set: [x, $VERSION, $CURRENT]}}\n" + prom, `services.a.components.model.get: $NAME is not replaced here; this command gets no variables`},
		{"a file without a key", "services:\n  a:\n    components: {index: {driver: file, path: x.yaml}}\n" + prom, `services.a.components.index.key is missing; say where the version stands`},
		{"evals that write no result", "services:\n  a:\n    evals: {run: [x], format: promptfoo}\n" + prom, `services.a.evals.run has no $RESULT`},
		{"a share over one", "services:\n  a:\n    evals: {run: [x], pass_rate: 95}\n" + prom, `services.a.evals.pass_rate 95 is no share; write 0.95`},
		{"a secret in a header of a pin", "services:\n  a:\n    components: {prompt: {driver: http, url: 'http://h', headers: {Authorization: x}}}\n" + prom, `services.a.components.prompt.headers: Authorization is a secret`},
		{"a mistake in the rehearsal", "services:\n  a:\n    rehearsal:\n      features: {driver: file}\n" + prom, `services.a.rehearsal.features.driver "file" is not known; it can be exec or http`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse("rollcall.yaml", []byte(tc.text), env())
			if err == nil {
				t.Fatalf("accepted; want an error with %q", tc.want)
			}
			if got := err.Error(); !strings.Contains(got, tc.want) || strings.ContainsAny(got, "\n\x1b") {
				t.Errorf("error is\n  %q\nwant\n  %q", got, tc.want)
			}
		})
	}
}

func TestBadTLSFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	junk := write("junk.pem", "not a certificate")
	for _, tc := range []struct{ name, tls, want string }{
		{"no certificate in the CA file", "{ca_file: junk.pem}", junk + " holds no certificate"},
		{"a folder", "{ca_file: .}", "is a folder"},
		{"a certificate without a key", "{cert_file: junk.pem}", "exactly one of key or key_file must be configured"},
		{"a pair that is none", "{cert_file: junk.pem, key_file: junk.pem}", "are not a certificate and its key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := "prometheus:\n  url: https://h:9090\n  http:\n    tls_config: " + tc.tls + "\nservices: {a: {}}\n"
			_, err := Parse(filepath.Join(dir, "rollcall.yaml"), []byte(text), env())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q", err, tc.want)
			}
		})
	}
}

func TestAFullConfigurationIsRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("t0ken"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := `
schema: rollcall/v1
clock: {wall_start: 2026-01-01T06:00:00Z, start: 2026-01-01T00:00:00Z, speed: 10}
refresh: 2s
state: mine
prometheus:
  url: ${PROM}/prom
  http:
    authorization: {credentials_file: token}
    http_headers: {X-A: {values: [b]}}
  headers: {X-Scope-OrgID: team-a}
  timeout: 3s
loki:
  url: http://127.0.0.1:3100
  http:
    basic_auth: {username: u, password: "${LOKI_PW}"}
tempo: {url: "http://127.0.0.1:3200", headers: {X-Scope-OrgID: team-a}, timeout: 2s, http: {basic_auth: {username: u, password_file: token}}}
jaeger: {url: "http://127.0.0.1:16686/jaeger", max_body: 8MiB}
alertmanager: {url: "http://127.0.0.1:9093", http: {authorization: {credentials_file: token}}}
otlp: {grpc: 127.0.0.1:0, http: "off", max_body: 8MiB}
traces: {retention: 3d, max_bytes: 1GiB}
redact: {keep_ip: true, patterns: [{name: ticket, regexp: 'TCK-[0-9]+'}]}
prices: {gpt-4.1: {input: 2e-6, output: 8e-6, cached: 5e-7}}
ui: {color: never, slow_link: true}
services:
  b: {scope: 'job="b"', thresholds: {latency_p99: {watch: 6, bad: 10}}}
  a:
    scope: 'namespace="prod", job="a"'
    logs: '{job="a"}'
    trace_service: assistant
    components: {prompt: {driver: http, url: http://x}, index: {driver: file, path: pins.yaml, key: v}}
    evals: {run: [make, evals]}
    rehearsal: {components: {prompt: {driver: file, path: VERSION}}}
`
	f, err := Parse(filepath.Join(dir, "rollcall.yaml"), []byte(text), env("PROM", "http://h:9090", "LOKI_PW", "pw"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(ok bool, what string) {
		t.Helper()
		if !ok {
			t.Error(what)
		}
	}
	check(f.Prometheus.URL == "http://h:9090/prom", "the variable in the URL is filled in")
	check(f.Prometheus.HTTP.Authorization.CredentialsFile == filepath.Join(dir, "token"), "files are relative to the configuration")
	check(f.Prometheus.HTTP.FollowRedirects && f.Loki.HTTP.FollowRedirects, "HTTP defaults hold")
	check(f.Prometheus.HTTP.HTTPHeaders.Headers["X-A"].Values[0] == "b", "headers are read")
	check(string(f.Loki.HTTP.BasicAuth.Password) == "pw", "a password may come from the environment")
	check(f.Tempo.Headers["X-Scope-OrgID"] == "team-a" && f.Tempo.HTTP.BasicAuth.PasswordFile == filepath.Join(dir, "token"), "Tempo is read")
	check(f.Jaeger.MaxBody == 8<<20 && f.Jaeger.HTTP.FollowRedirects, "Jaeger is read, with the HTTP defaults")
	check(f.Alertmanager.HTTP.Authorization.CredentialsFile == filepath.Join(dir, "token") && f.Alertmanager.HTTP.FollowRedirects, "Alertmanager is read, with the HTTP defaults")
	check(f.State == filepath.Join(dir, "mine"), "state is relative to the configuration")
	check(f.Traces.Retention.Or(0) == 72*time.Hour, "days are durations")
	check(f.Clock.Speed == 10, "the clock is read")
	check(strings.Join(f.Names(), " ") == "a b", "services are sorted")
	a := f.Services["a"]
	check(a.Components["index"].Path == filepath.Join(dir, "pins.yaml"), "files of pins are relative to the configuration")
	check(a.Rehearsal.Components["prompt"].Path == filepath.Join(dir, "VERSION"), "those of rehearsals too")
	check(a.Components["prompt"].HTTP.FollowRedirects, "HTTP defaults hold for pins")
	check(f.UI.SlowLink && f.UI.Color == "never" && f.UI.ASCII == "auto", "the look is read")
}

func TestTheConfigurationIsFoundWhereTheUserSays(t *testing.T) {
	for _, tc := range []struct {
		name, flag string
		env        Env
		want       string
		named      bool
	}{
		{"the flag wins", "/x.yaml", env("ROLLCALL_CONFIG", "/y.yaml"), "/x.yaml", true},
		{"then the variable", "", env("ROLLCALL_CONFIG", "/y.yaml", "XDG_CONFIG_HOME", "/c"), "/y.yaml", true},
		{"then the configuration folder", "", env("XDG_CONFIG_HOME", "/c"), "/c/rollcall/rollcall.yaml", false},
		{"then the home", "", env(), "/home/oncall/.config/rollcall/rollcall.yaml", false},
	} {
		if path, named := Find(tc.flag, tc.env); path != tc.want || named != tc.named {
			t.Errorf("%s: got %s, %v; want %s, %v", tc.name, path, named, tc.want, tc.named)
		}
	}
}

func TestWithoutAFileTheVariablesAreEnough(t *testing.T) {
	if _, err := Load("", env("HOME", t.TempDir())); !errors.Is(err, ErrNone) {
		t.Errorf("without anything: %v, want ErrNone", err)
	}
	f, err := Load("", env("HOME", t.TempDir(), "PROMETHEUS_URL", "http://me:pw@h:9090", "LOKI_ADDR", "http://l:3100",
		"LOKI_ORG_ID", "team-a", "ROLLCALL_SCOPE", `job="a"`))
	if err != nil {
		t.Fatal(err)
	}
	if f.Prometheus.URL != "http://h:9090" || f.Prometheus.HTTP.BasicAuth.Username != "me" {
		t.Errorf("the user was not moved out of the URL: %q", f.Prometheus.URL)
	}
	if f.Loki.Headers["X-Scope-OrgID"] != "team-a" {
		t.Error("LOKI_ORG_ID is not honoured")
	}
	if s := f.Services["service"]; s.Scope != `job="a"` || s.Logs != `{job="a"}` {
		t.Errorf("ROLLCALL_SCOPE did not reach the service: %+v", s)
	}
	_, err = Load("", env("HOME", t.TempDir(), "PROMETHEUS_URL", "h:9090"))
	if err == nil || !strings.HasPrefix(err.Error(), "$PROMETHEUS_URL: ") {
		t.Errorf("a bad variable is not named: %v", err)
	}
	_, err = Load("/does/not/exist.yaml", env())
	if err == nil || !strings.Contains(err.Error(), "/does/not/exist.yaml: cannot be read (no such file or directory)") {
		t.Errorf("a missing named file: %v", err)
	}
	_, err = Load(t.TempDir(), env())
	if err == nil || !strings.Contains(err.Error(), "cannot be read (is a directory); name a file") {
		t.Errorf("a folder in place of a file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("services: {a: {scope: x}}\nprometheus: {url: http://h}\n")
	f.Add("a: &x {b: 1}\nc: *x\n<<: *x\n")
	f.Add("- 1\n- [")
	f.Add("services:\n  ? {a: b}\n  : 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Parse("rollcall.yaml", []byte(text), env()); err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("the error is not one clean line: %q", err)
		}
	})
}

func TestFoldersOfRunbooksCountFromTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	beside := filepath.Join(dir, "runbooks")
	text := []byte("runbooks: {dirs: [ours, /srv/runbooks]}\nprometheus: {url: http://127.0.0.1:9090}\nservices: {a: {}}\n")
	parse := func() []string {
		t.Helper()
		cfg, err := Parse(filepath.Join(dir, "rollcall.yaml"), text, env("HOME", dir))
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Runbooks.Dirs
	}
	want := []string{filepath.Join(dir, "ours"), "/srv/runbooks"}
	if got := parse(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if err := os.Mkdir(beside, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := parse(); !slices.Equal(got, append(want, beside)) {
		t.Errorf("%v does not end with the folder beside the file", got)
	}
	_, err := Parse("rollcall.yaml", []byte("runbooks: {dirs: ['']}\n"+string(text[len("runbooks: {dirs: [ours, /srv/runbooks]}\n"):])), env("HOME", dir))
	if err == nil || !strings.Contains(err.Error(), "rollcall.yaml:1:19: runbooks.dirs[0] is empty; name a folder or remove it") {
		t.Errorf("%v", err)
	}
}
