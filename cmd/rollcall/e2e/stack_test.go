package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/crypto/bcrypt"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/alertmanager"
	"rollcall/sources/prom"
	"rollcall/sources/prom/promtest"
	"rollcall/sources/redact"
	"rollcall/store/alerts"
	"rollcall/store/journal"
)

// stack returns the folder of the real servers that `make integration` builds.
func stack(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ROLLCALL_STACK")
	if dir == "" {
		t.Skip("ROLLCALL_STACK is not set; make integration tests real servers")
	}
	return dir
}

// The suite that the drill passes, against the real server: over TLS and with a
// password from a file, scraping a real exporter, telling a real Alertmanager.
func TestPrometheusContractOfARealServer(t *testing.T) {
	s := startStack(t)
	now := time.Now()
	promtest.Run(t, promtest.Server{
		Config: *s.cfg.Prometheus, Clock: wallClock(t), Begin: now.Add(-8 * time.Minute),
		Ruled: true, Scraped: `exporter_seconds{job="exporter"}`, Partial: `sum(contract_elsewhere{store="remote"})`,
	})

	c, err := prom.New(*s.cfg.Prometheus, prom.Options{Clock: wallClock(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	t.Run("a target that goes away ends its series at once", func(t *testing.T) {
		seen := func() int {
			found, _, err := c.Query(t.Context(), `exporter_temperature`, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return len(found)
		}
		promtest.Until(t, "both targets to be scraped", func() bool { return seen() == 2 })
		s.exporterGone.Store(true)
		promtest.Until(t, "no series of a target that is gone", func() bool { return seen() == 0 })
		s.exporterGone.Store(false)
		promtest.Until(t, "the series to go on with the target", func() bool { return seen() == 2 })
	})
	t.Run("a wrong password is named and not shown", func(t *testing.T) {
		wrong := *s.cfg.Prometheus
		user := *wrong.HTTP.BasicAuth
		user.PasswordFile = writeFile(t, t.TempDir(), "wrong", "opensesame")
		wrong.HTTP.BasicAuth = &user
		c, err := prom.New(wrong, prom.Options{Clock: wallClock(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "check the credentials") || strings.Contains(err.Error(), "opensesame") {
			t.Errorf("error %v", err)
		}
	})
}

// What the console needs of an Alertmanager, which hears of its alerts from the
// real Prometheus.
func TestAlertmanagerContractOfARealServer(t *testing.T) {
	s := startStack(t)
	red, err := redact.New(redact.Config{}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	c, err := alertmanager.New(*s.cfg.Alertmanager, alertmanager.Options{Clock: wallClock(t), Redactor: red})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	ctx := t.Context()
	if err := c.Check(ctx); err != nil || c.Health().State != sources.SourceUp {
		t.Fatalf("%v, %+v", err, c.Health())
	}
	fires := sources.Matcher{Name: "alertname", Value: "ContractFires"}
	one := func() (a sources.Alert, found bool) {
		alerts, facts, err := c.Alerts(ctx, fires)
		if err != nil || facts.Source != "alertmanager" {
			t.Fatalf("%+v, %v", facts, err)
		}
		if len(alerts) == 0 {
			return a, false
		}
		return alerts[0], len(alerts) == 1
	}
	var alert sources.Alert
	promtest.Until(t, "the alert of Prometheus", func() (found bool) {
		alert, found = one()
		return found
	})
	if alert.State != sources.AlertFiring || alert.Labels["severity"] != "page" || alert.Annotations["summary"] != "seven is 7" || alert.Since.IsZero() || !alert.Ends.After(alert.Since) {
		t.Errorf("alert %+v", alert)
	}
	if len(alert.Receivers) != 1 || alert.Receivers[0] != "oncall" {
		t.Errorf("told to %q", alert.Receivers)
	}
	if strings.Contains(alert.Labels["team"], "\x1b") || strings.Contains(alert.Annotations["contact"], "jane.doe") {
		t.Errorf("not made harmless: %+v", alert)
	}
	if alerts, _, err := c.Alerts(ctx, sources.Matcher{Name: "alertname", Value: "Contract(Waits|Never)", Regex: true}); err != nil || len(alerts) != 0 {
		t.Errorf("an alert that only waits was sent: %+v, %v", alerts, err)
	}

	want := sources.Silence{
		Match: []sources.Matcher{fires, {Name: "region", Value: "eu|us", Regex: true, Not: true}},
		Ends:  time.Now().Add(time.Hour), By: "ana", Comment: "INC-7: rolled back \"v14\" \\ waiting",
	}
	id, err := c.Silence(ctx, want)
	if err != nil {
		t.Fatal(err)
	}
	promtest.Until(t, "the alert to be silenced", func() bool {
		a, ok := one()
		return ok && a.State == sources.AlertSuppressed && len(a.SilencedBy) == 1 && a.SilencedBy[0] == id
	})
	read := func() sources.Silence {
		list, _, err := c.Silences(ctx, fires)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.ID == id {
				return s
			}
		}
		t.Fatalf("no silence %s in %+v", id, list)
		return sources.Silence{}
	}
	if s := read(); s.State != sources.SilenceActive || s.By != want.By || s.Comment != want.Comment || len(s.Match) != 2 || s.Match[0] != want.Match[0] || s.Match[1] != want.Match[1] || s.Ends.Sub(want.Ends).Abs() > time.Second {
		t.Errorf("read back as %+v, want %+v", s, want)
	}
	longer := read()
	longer.Ends = longer.Ends.Add(time.Hour)
	if id, err = c.Silence(ctx, longer); err != nil {
		t.Fatal(err)
	}
	if s := read(); s.Ends.Sub(want.Ends) < 59*time.Minute {
		t.Errorf("not prolonged: %+v", s)
	}
	if err := c.Expire(ctx, id); err != nil {
		t.Fatal(err)
	}
	promtest.Until(t, "the alert to be told again", func() bool {
		a, ok := one()
		return ok && a.State == sources.AlertFiring && len(a.SilencedBy) == 0
	})
	if s := read(); s.State != sources.SilenceExpired {
		t.Errorf("after its end the silence is %+v", s)
	}
	if err := c.Expire(ctx, "00000000-0000-0000-0000-000000000000"); err == nil {
		t.Error("a silence that does not exist was ended")
	}
	if h := c.Health(); h.State != sources.SourceUp {
		t.Errorf("wrong questions make it %+v", h)
	}
	t.Run("a verdict is told, merged into the list, silenced, and over", func(t *testing.T) { verdictContract(t, c) })
}

// verdictContract tells the Alertmanager of a verdict of rollcall's own.
func verdictContract(t *testing.T, c *alertmanager.Client) {
	ctx := t.Context()
	mine := []sources.Matcher{{Name: alerts.LabelService, Value: "assistant"}, {Name: alerts.LabelSignal, Value: "schema_fail"}}
	a := sources.Alert{
		Name: "rollcall_schema_fail", Since: time.Now().Add(-10 * time.Minute), Ends: time.Now().Add(time.Minute),
		Labels:      map[string]string{alerts.LabelService: "assistant", alerts.LabelSignal: "schema_fail", "severity": "page"},
		Annotations: map[string]string{"summary": "schema fail 9.1% of jane.doe@example.com"},
	}
	list := func() *alerts.List {
		t.Helper()
		told, facts, err := c.Alerts(ctx)
		if err != nil {
			t.Fatal(err)
		}
		silences, _, err := c.Silences(ctx)
		if err != nil {
			t.Fatal(err)
		}
		fired, _ := json.Marshal(journal.AlertData{Signal: "schema_fail"})
		return alerts.Merge(alerts.Input{
			Service: "assistant", Now: time.Now(), Entries: []journal.Entry{{Seq: 1, Kind: journal.AlertFiring, At: a.Since, Data: fired}},
			Alertmanager: &alerts.Told{Alerts: told, Facts: facts}, Silences: silences,
		})
	}
	one := func() alerts.Alert {
		t.Helper()
		found := list().Find("schema_fail")
		if len(found) != 1 {
			t.Fatalf("%d alerts of one verdict: %+v", len(found), found)
		}
		return found[0]
	}
	if err := c.Post(ctx, []sources.Alert{a}); err != nil {
		t.Fatal(err)
	}
	promtest.Until(t, "the verdict in the Alertmanager", func() bool { x := one(); return x.Of(alerts.Alertmanager) })
	if x := one(); x.State != alerts.Firing || strings.Contains(x.Annotations["summary"], "jane.doe") {
		t.Errorf("%+v", x)
	}
	id, err := c.Silence(ctx, sources.Silence{Match: mine, Ends: time.Now().Add(time.Hour), By: "ana", Comment: "rolling back"})
	if err != nil {
		t.Fatal(err)
	}
	promtest.Until(t, "the verdict to be silenced", func() bool {
		x := one()
		return x.State == alerts.Silenced && len(x.Silences) == 1 && x.Silences[0].ID == id && x.Silences[0].Comment == "rolling back"
	})
	a.Ends = time.Now()
	if err := c.Post(ctx, []sources.Alert{a}); err != nil {
		t.Fatal(err)
	}
	promtest.Until(t, "its end", func() bool { x := one(); return !x.Of(alerts.Alertmanager) })
}

// realStack is a Prometheus and an Alertmanager that run on free loopback ports
// with data of their own, and end with the test.
type realStack struct {
	cfg          *config.File
	exporterGone atomic.Bool
}

func startStack(t *testing.T) *realStack {
	t.Helper()
	bin, dir := stack(t), t.TempDir()
	s := &realStack{}
	ca := newAuthority(t, dir)
	cert, key := ca.issue(t, dir, "server")
	hash, err := bcrypt.GenerateFromPassword([]byte("correct horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	password := writeFile(t, dir, "password", "correct horse\n")
	web := writeFile(t, dir, "web.yml", fmt.Sprintf("tls_server_config: {cert_file: %s, key_file: %s}\nbasic_auth_users: {console: '%s'}\n", cert, key, hash))

	amAddr := freeAddr(t)
	startServer(t, filepath.Join(bin, "alertmanager"),
		"--config.file", writeFile(t, dir, "alertmanager.yml", "route: {receiver: oncall, group_wait: 1s}\nreceivers: [{name: oncall}]\n"),
		"--storage.path", filepath.Join(dir, "alertmanager"), "--web.listen-address", amAddr, "--cluster.listen-address", "", "--log.level", "warn")

	exporter := s.exporter(t)
	promAddr := freeAddr(t)
	startServer(t, filepath.Join(bin, "prometheus"),
		"--config.file", writeFile(t, dir, "prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%s]
alerting: {alertmanagers: [{static_configs: [{targets: ['%s']}]}]}
remote_read: [{url: 'http://127.0.0.1:1/', required_matchers: {store: remote}, read_recent: true, remote_timeout: 2s}]
scrape_configs:
- job_name: exporter
  scrape_native_histograms: true
  static_configs: [{targets: ['%s'], labels: {part: a}}, {targets: ['%s'], labels: {part: b}}]
`, writeFile(t, dir, "rules.yml", promtest.Rules), amAddr, exporter, exporter)),
		"--storage.tsdb.path", filepath.Join(dir, "prometheus"), "--web.listen-address", promAddr, "--web.config.file", web,
		"--web.enable-remote-write-receiver", "--rules.alert.resend-delay", "1s", "--log.level", "warn")

	path := writeFile(t, dir, "rollcall.yaml", fmt.Sprintf(`
schema: rollcall/v1
state: %s
prometheus:
  url: https://%s
  http:
    tls_config: {ca_file: %s}
    basic_auth: {username: console, password_file: %s}
alertmanager: {url: 'http://%s'}
services: {assistant: {scope: 'job="exporter"'}}
`, filepath.Join(dir, "state"), promAddr, ca.file, password, amAddr))
	if s.cfg, err = config.Load(path, func(string) (string, bool) { return "", false }); err != nil {
		t.Fatal(err)
	}
	c, err := prom.New(*s.cfg.Prometheus, prom.Options{Clock: wallClock(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	promtest.Until(t, "Prometheus to answer", func() bool {
		found, _, err := c.Query(t.Context(), `count(up == 1)`, time.Now())
		return err == nil && len(found) == 1 && found[0].Points[0].V == 2
	})
	return s
}

// exporter serves a target with a native histogram, and returns its address.
func (s *realStack) exporter(t *testing.T) string {
	t.Helper()
	reg := prometheus.NewRegistry()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "exporter_seconds", Help: "Seconds.", NativeHistogramBucketFactor: 1.1})
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "exporter_temperature", Help: "Degrees."})
	reg.MustRegister(h, g)
	metrics := promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.exporterGone.Load() {
			http.Error(w, "gone", http.StatusServiceUnavailable)
			return
		}
		h.Observe(1.5)
		g.Set(21)
		metrics.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// startServer runs a program until the test ends, however it ends: the program
// hangs on a pipe that this process holds open.
func startServer(t *testing.T, program string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", append([]string{"-c", `"$@" </dev/null & p=$!; trap 'kill $p 2>/dev/null; wait $p' EXIT; read -r _`, "sh", program}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = hold.Close()
		_ = cmd.Wait()
		if _, err := log.Seek(0, io.SeekStart); err == nil && t.Failed() {
			said, _ := io.ReadAll(io.LimitReader(log, 8<<10))
			t.Logf("%s said:\n%s", filepath.Base(program), said)
		}
		_ = log.Close()
	})
}

// freeAddr is a loopback address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func wallClock(t *testing.T) sources.Clock {
	t.Helper()
	c, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
