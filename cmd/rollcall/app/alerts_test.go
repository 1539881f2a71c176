package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/rest"
	"rollcall/sources/signal"
	"rollcall/store/alerts"
	"rollcall/store/journal"
)

// alertServers are a Prometheus and an Alertmanager in one, which know one alert.
type alertServers struct {
	*httptest.Server
	down   atomic.Bool
	quiet  atomic.Bool  // nothing fires
	flood  atomic.Int64 // so many alerts fire besides, half of them of one rule
	mu     sync.Mutex
	wrote  []string // method, path and body of what was written
	refuse bool
	asked  []string // instant queries
}

func (s *alertServers) writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.wrote...)
}

const leakLabels = `{"alertname":"Leak","severity":"page","pod":"a"}`

func serveAlerts(t *testing.T) *alertServers {
	t.Helper()
	s := &alertServers{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.down.Load() {
			http.Error(w, "out for lunch", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		at := time.Now().Add(-20 * time.Minute).UTC().Format(time.RFC3339)
		switch {
		case r.Method != http.MethodGet && strings.HasPrefix(r.URL.Path, "/api/v2/"):
			body, _ := io.ReadAll(r.Body)
			s.mu.Lock()
			s.wrote = append(s.wrote, r.Method+" "+r.URL.Path+" "+string(body))
			refuse := s.refuse
			s.mu.Unlock()
			if refuse {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `"no"`)
				return
			}
			_, _ = io.WriteString(w, `{"silenceID":"s-1"}`)
		case r.URL.Path == "/api/v1/alerts" && s.quiet.Load():
			_, _ = io.WriteString(w, `{"status":"success","data":{"alerts":[]}}`)
		case r.URL.Path == "/api/v1/alerts" && s.flood.Load() > 0:
			var list []string
			for i := range s.flood.Load() {
				name := "Flood"
				if i%2 == 0 {
					name = fmt.Sprintf("Flood%d", i)
				}
				list = append(list, fmt.Sprintf(`{"labels":{"alertname":%q,"pod":"p%d"},"annotations":{},"state":"firing","activeAt":%q,"value":"1"}`, name, i, at))
			}
			_, _ = io.WriteString(w, `{"status":"success","data":{"alerts":[`+strings.Join(list, ",")+`]}}`)
		case r.URL.Path == "/api/v1/alerts":
			_, _ = fmt.Fprintf(w, `{"status":"success","data":{"alerts":[{"labels":%s,"annotations":{"summary":"it leaks","rollcall_runbook":"rollback-prompt"},"state":"firing","activeAt":%q,"value":"9e-02"}]}}`, leakLabels, at)
		case r.URL.Path == "/api/v1/rules":
			_, _ = io.WriteString(w, `{"status":"success","data":{"groups":[{"name":"g","file":"f","interval":15,"rules":[{"type":"alerting","name":"Leak","query":"leak > 1","duration":60,"labels":{},"annotations":{},"alerts":[],"health":"ok","state":"firing"},{"type":"alerting","name":"Lost","query":"x","duration":0,"labels":{},"annotations":{},"alerts":[],"health":"err","lastError":"many-to-many","state":"inactive"}]}]}}`)
		case r.URL.Path == "/api/v2/alerts" && s.quiet.Load():
			_, _ = io.WriteString(w, `[]`)
		case r.URL.Path == "/api/v2/alerts":
			_, _ = fmt.Fprintf(w, `[{"fingerprint":"f1","startsAt":%q,"labels":{"alertname":"Leak","severity":"page","pod":"a","cluster":"eu"},"receivers":[{"name":"oncall"}],"status":{"state":"active"}}]`, at)
		case r.URL.Path == "/api/v2/silences":
			_, _ = io.WriteString(w, `[]`)
		case r.URL.Path == "/api/v1/query":
			_ = r.ParseForm()
			expr := r.Form.Get("query")
			s.mu.Lock()
			s.asked = append(s.asked, expr)
			s.mu.Unlock()
			switch expr {
			case "ALERTS":
				_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"ALERTS","alertname":"Leak","alertstate":"firing","pod":"a"},"value":[1773100800,"1"]}]}}`)
			case "ALERTS_FOR_STATE":
				_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"ALERTS_FOR_STATE","alertname":"Leak","pod":"a"},"value":[1773100800,"1773100000"]}]}}`)
			default:
				emptyProm(w, r)
			}
		case strings.HasPrefix(r.URL.Path, "/api/v2/"):
			http.NotFound(w, r)
		default:
			emptyProm(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// alerting opens an App on the servers; change, when set, changes its configuration first.
func alerting(t *testing.T, change func(*config.File)) (*App, *alertServers) {
	t.Helper()
	s := serveAlerts(t)
	cfg := servers(t, nil, lokiLines())
	cfg.Prometheus.URL = s.URL
	cfg.Alertmanager = &config.Alertmanager{Config: rest.Config{URL: s.URL}}
	if change != nil {
		change(cfg)
	}
	return open(t, cfg, Options{Env: func(string) (string, bool) { return "", false }}), s
}

var lastHour = sources.View{Range: time.Hour, Columns: 60}

func quiet() *signal.Snapshot { return &signal.Snapshot{Service: "assistant", At: time.Now()} }

func TestOneListOfWhatPrometheusAndAlertmanagerTell(t *testing.T) {
	a, s := alerting(t, nil)
	l, err := a.Alerts(t.Context(), "assistant", lastHour, quiet())
	if err != nil || len(l.Alerts) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	x := l.Alerts[0]
	if x.State != alerts.Firing || len(x.Sources) != 2 || x.Evidence != "it leaks (value 9e-02)" || x.Query != "leak > 1" || x.Runbook != "rollback-prompt" {
		t.Errorf("%+v", x)
	}
	if n := l.Sources[1].Note; !strings.Contains(n, "its rule Lost fails") {
		t.Errorf("a rule that fails is not said: %q", n)
	}
	s.down.Store(true)
	if l, err = a.Alerts(t.Context(), "assistant", lastHour, quiet()); err != nil || len(l.Alerts) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	if x = l.Alerts[0]; x.Old == "" || !x.AgeS.OK || !l.Sources[1].Failed || !l.Sources[2].Failed || !l.Sources[1].AgeS.OK {
		t.Errorf("a source that is down: %+v, %+v", x, l.Sources)
	}
}

func TestAlertsOfThePastAreThoseOfThen(t *testing.T) {
	a, _ := alerting(t, nil)
	at := time.Unix(1773100800, 0).UTC()
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	fire := func(signal string, at time.Time) journal.Draft {
		return journal.Draft{Kind: journal.AlertFiring, At: at, Service: "assistant", Data: AlertData{Signal: signal}}
	}
	if _, err := j.Append(t.Context(), fire("schema_fail", at.Add(-time.Minute)), fire("refusal", at.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	l, err := a.Alerts(t.Context(), "assistant", sources.View{At: at, Range: time.Hour, Columns: 60}, &signal.Snapshot{Service: "assistant", At: at})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Alerts) != 2 || l.Alerts[0].Name != "schema_fail" || l.Alerts[1].Name != "Leak" || !l.Alerts[1].Since.Equal(time.Unix(1773100000, 0)) {
		t.Errorf("%+v", l.Alerts)
	}
	if n := l.Sources[2].Note; !strings.Contains(n, "only of now") {
		t.Errorf("%q", n)
	}
}

func TestAnAcknowledgementIsWrittenDownAndShown(t *testing.T) {
	a, _ := alerting(t, nil)
	for name, note := range map[string]string{"Leak": " ", "Nope": "x"} {
		if _, err := a.AckAlert(t.Context(), "assistant", name, note, false); !errors.Is(err, journal.ErrRefused) {
			t.Errorf("%s with the note %q: %v", name, note, err)
		}
	}
	list, err := a.AckAlert(t.Context(), "assistant", "Leak", "on it, jane.doe@example.com", true)
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	var d journal.AcknowledgedData
	if err := json.Unmarshal(list[0].Data, &d); err != nil || !d.Acted || d.Also == "" || d.Source != "prometheus" || list[0].Text != "on it, <email:1>" {
		t.Errorf("%+v, %q", d, list[0].Text)
	}
	l, err := a.Alerts(t.Context(), "assistant", lastHour, quiet())
	if err != nil || l.Alerts[0].State != alerts.Acknowledged || l.Alerts[0].Ack.Note != "on it, <email:1>" {
		t.Errorf("%+v, %v", l.Alerts, err)
	}
}

func silenced(t *testing.T, a *App) (states []string, text string) {
	t.Helper()
	list, err := a.Entries(t.Context(), journal.Filter{Kinds: []journal.Kind{journal.AlertSilenced}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		var d journal.SilencedData
		if err := json.Unmarshal(list[i].Data, &d); err != nil {
			t.Fatal(err)
		}
		states, text = append(states, d.State), list[i].Text
	}
	return states, text
}

func TestASilenceIsPlannedInFullAndWrittenDownBeforeAndAfter(t *testing.T) {
	a, s := alerting(t, nil)
	p, err := a.PlanSilence(t.Context(), "assistant", "Leak", 2*time.Hour, "rolling back")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.writes()); n != 0 {
		t.Fatalf("a plan wrote %d times", n)
	}
	for _, part := range []string{"for 2h, until ", "the Alertmanager at " + s.URL, `alertname="Leak", pod="a", severity="page"`, "rolling back"} {
		if !strings.Contains(p.Text(), part) {
			t.Errorf("%q is not in %q", part, p.Text())
		}
	}
	id, err := a.Silence(t.Context(), p)
	if err != nil || id != "s-1" {
		t.Fatalf("%q, %v", id, err)
	}
	if w := s.writes(); len(w) != 1 || !strings.HasPrefix(w[0], "POST /api/v2/silences ") || !strings.Contains(w[0], `"comment":"rolling back"`) {
		t.Errorf("%q", w)
	}
	if states, text := silenced(t, a); strings.Join(states, " ") != "begun done" || !strings.Contains(text, `alertname="Leak"`) {
		t.Errorf("%v %q", states, text)
	}
	s.mu.Lock()
	s.refuse = true
	s.mu.Unlock()
	if _, err := a.Silence(t.Context(), p); err == nil {
		t.Error("a refusal is taken for a success")
	}
	if states, _ := silenced(t, a); strings.Join(states, " ") != "begun done begun refused" {
		t.Errorf("%v", states)
	}
}

func TestWhatCannotBeSilencedIsSaidWithWhatToDo(t *testing.T) {
	a, s := alerting(t, nil)
	for name, tc := range map[string]struct {
		alert   string
		length  time.Duration
		comment string
		says    string
	}{
		"no length":  {"Leak", 0, "x", "write how long like"},
		"too long":   {"Leak", 31 * 24 * time.Hour, "x", "up to 30 days"},
		"no comment": {"Leak", time.Hour, " ", "needs a comment"},
		"unknown":    {"Nope", time.Hour, "x", "there are Leak-"},
	} {
		if _, err := a.PlanSilence(t.Context(), "assistant", tc.alert, tc.length, tc.comment); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a.env = func(k string) (string, bool) { return "1", k == "ROLLCALL_READ_ONLY" }
	p, err := a.PlanSilence(t.Context(), "assistant", "Leak", time.Hour, "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Silence(t.Context(), p); err == nil || !strings.Contains(err.Error(), "read-only") || len(s.writes()) != 0 {
		t.Errorf("a read-only run silences: %v", err)
	}
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), journal.Draft{Kind: journal.AlertFiring, Service: "assistant", Data: AlertData{Signal: "schema_fail"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.PlanSilence(t.Context(), "assistant", "schema_fail", time.Hour, "x"); err == nil || !strings.Contains(err.Error(), "alertmanager.post: true") {
		t.Errorf("a verdict: %v", err)
	}
	alone, _ := alerting(t, func(c *config.File) { c.Alertmanager = nil })
	if _, err := alone.PlanSilence(t.Context(), "assistant", "Leak", time.Hour, "x"); err == nil || !strings.Contains(err.Error(), `amtool silence add 'alertname="Leak"' 'pod="a"'`) {
		t.Errorf("without an Alertmanager: %v", err)
	}
}

func TestTheScopeIsReadAsMatchers(t *testing.T) {
	got := matchersIn("namespace=\"prod\", job=~\"a|b\\\\d\",x != `y,z`, w!~\"\"")
	want := []sources.Matcher{{Name: "namespace", Value: "prod"}, {Name: "job", Value: `a|b\d`, Regex: true}, {Name: "x", Value: "y,z", Not: true}, {Name: "w", Regex: true, Not: true}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v", got)
	}
}

type postbox struct {
	got  [][]sources.Alert
	fail error
}

func (p *postbox) Post(_ context.Context, list []sources.Alert) error {
	if p.fail == nil {
		p.got = append(p.got, list)
	}
	return p.fail
}

func TestVerdictsAreToldAgainWhileTheyFireAndTheirEndOnce(t *testing.T) {
	clock := &hand{t: night(2, 40)}
	box := &postbox{}
	p := &poster{to: box, clock: clock, labels: map[string]string{"severity": "page"}}
	firing := map[string]time.Time{"schema_fail": night(2, 38)}
	tell := func(firing map[string]time.Time) {
		t.Helper()
		if err := p.tell(t.Context(), snapAt(clock.Now(), bad), firing, "prod"); err != nil && box.fail == nil {
			t.Fatal(err)
		}
	}
	move := func(d time.Duration) { clock.mu.Lock(); clock.t = clock.t.Add(d); clock.mu.Unlock() }
	tell(firing)
	move(15 * time.Second)
	tell(firing)
	if len(box.got) != 1 {
		t.Fatalf("told %d times within a minute", len(box.got))
	}
	x := box.got[0][0]
	if x.Name != "rollcall_schema_fail" || x.Labels["severity"] != "page" || x.Labels[alerts.LabelSignal] != "schema_fail" || x.Labels[alerts.LabelService] != "assistant" ||
		!x.Since.Equal(night(2, 38)) || !x.Ends.Equal(night(2, 44)) || !strings.HasPrefix(x.Annotations["summary"], "assistant: schema_fail") {
		t.Errorf("%+v", x)
	}
	move(time.Minute)
	box.fail = errors.New("down")
	tell(firing)
	box.fail = nil
	move(15 * time.Second)
	tell(firing)
	if len(box.got) != 2 || !box.got[1][0].Since.Equal(night(2, 38)) {
		t.Fatalf("what could not be told is told with the next look: %+v", box.got)
	}
	box.fail = errors.New("down")
	tell(nil)
	box.fail = nil
	tell(nil)
	tell(nil)
	if len(box.got) != 3 || !box.got[2][0].Ends.Equal(clock.Now()) {
		t.Errorf("its end is not told once: %+v", box.got[2:])
	}
}

func TestOnlyWhereTheConfigurationSaysSoIsAnybodyTold(t *testing.T) {
	for _, post := range []bool{false, true} {
		a, s := alerting(t, func(c *config.File) { c.Alertmanager.Post = post })
		if (a.watch.post != nil) != post {
			t.Errorf("post: %v has a poster: %v", post, a.watch.post != nil)
		}
		w := a.newWatch(false)
		w.observe(t.Context(), snapAt(a.clock.Now(), bad))
		wrote := s.writes()
		if !post && len(wrote) != 0 || post && (len(wrote) != 1 || !strings.HasPrefix(wrote[0], "POST /api/v2/alerts ") || !strings.Contains(wrote[0], `"rollcall_signal":"schema_fail"`)) {
			t.Errorf("post: %v wrote %q", post, wrote)
		}
		w.service("assistant").drop()
	}
}

func TestFatigueReadsOnlyWhatIsNew(t *testing.T) {
	a, _ := alerting(t, nil)
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	at := a.clock.Now().Add(-time.Hour)
	for i := range 2 {
		if _, err := j.Append(
			t.Context(), journal.Draft{Kind: journal.AlertFiring, At: at.Add(time.Duration(i) * time.Minute), Service: "assistant", Data: AlertData{Signal: "schema_fail"}},
			journal.Draft{Kind: journal.AlertResolved, At: at.Add(time.Duration(i)*time.Minute + 10*time.Second), Service: "assistant", Data: AlertData{Signal: "schema_fail"}},
		); err != nil {
			t.Fatal(err)
		}
		r, err := a.Fatigue(t.Context(), "assistant", time.Time{})
		if err != nil || len(r.Rules) != 1 || r.Rules[0].Firings != i+1 || r.Rules[0].Flaps != i+1 {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if _, err := a.Fatigue(t.Context(), "nope", time.Time{}); err == nil {
		t.Error("a service that there is not has figures")
	}
}
