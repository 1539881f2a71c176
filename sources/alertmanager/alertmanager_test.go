package alertmanager

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/redact"
	"rollcall/sources/rest"
)

func client(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	r, err := redact.New(redact.Config{}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Config: rest.Config{URL: s.URL + "/am/api/v2/"}}, Options{Clock: clock, Redactor: r})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAlertsSayWhoIsToldAndWhyNot(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/am/api/v2/alerts" || strings.Join(r.URL.Query()["filter"], " ") != `severity="page" "a.b"!~"x\"y|z\\d"` {
			t.Errorf("asked for %s", r.URL)
		}
		_, _ = io.WriteString(w, `[
			{"fingerprint":"f1","startsAt":"2026-03-04T02:20:00Z","endsAt":"2026-03-04T02:40:00Z","labels":{"alertname":"Leak\u001b[2J","severity":"page"},
			 "annotations":{"summary":"mail jane.doe@example.com\nat once"},"receivers":[{"name":"oncall"}],"status":{"state":"active","silencedBy":[],"inhibitedBy":[]}},
			{"fingerprint":"f2","startsAt":"2026-03-04T02:10:00Z","labels":{},"status":{"state":"suppressed","silencedBy":["s1"],"inhibitedBy":["f1"]}}]`)
	})
	alerts, facts, err := c.Alerts(t.Context(), sources.Matcher{Name: "severity", Value: "page"}, sources.Matcher{Name: "a.b", Value: `x"y|z\d`, Regex: true, Not: true})
	if err != nil || len(alerts) != 2 {
		t.Fatalf("%+v, %v", alerts, err)
	}
	a := alerts[0]
	if a.State != sources.AlertFiring || a.ID != "f1" || len(a.Receivers) != 1 || a.Receivers[0] != "oncall" || a.Ends.Sub(a.Since) != 20*time.Minute || a.Source != "alertmanager" {
		t.Errorf("alert %+v", a)
	}
	if s := a.Annotations["summary"]; strings.ContainsAny(a.Name+s, "\x1b\n") || strings.Contains(s, "jane.doe") {
		t.Errorf("not made harmless: %+v", a)
	}
	if a = alerts[1]; a.State != sources.AlertSuppressed || a.SilencedBy[0] != "s1" || a.InhibitedBy[0] != "f1" {
		t.Errorf("suppressed alert %+v", a)
	}
	if facts.Source != "alertmanager" || facts.Shown != 2 || facts.At.IsZero() {
		t.Errorf("facts %+v", facts)
	}
}

func TestMoreAlertsThanCanBeShownAreCounted(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "["+strings.Repeat(`{"labels":{},"status":{}},`, maxAlerts)+`{}]`)
	})
	alerts, facts, err := c.Alerts(t.Context())
	if err != nil || len(alerts) != maxAlerts || facts.Total != maxAlerts+1 || !facts.Truncated() {
		t.Errorf("%d alerts, %+v, %v", len(alerts), facts, err)
	}
}

func TestAnAlertWithThousandsOfLabelsKeepsTheSameOnes(t *testing.T) {
	labels := map[string]string{}
	for i := range 3000 {
		labels[fmt.Sprintf("l%04d", i)] = strings.Repeat("x", 1000)
	}
	body, err := json.Marshal([]any{map[string]any{"labels": labels}})
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	for range 2 {
		alerts, _, err := c.Alerts(t.Context())
		if err != nil || len(alerts[0].Labels) != maxLabels || len(alerts[0].Labels["l0063"]) > 2*maxName || alerts[0].Labels["l0064"] != "" {
			t.Fatalf("%d labels, %v", len(alerts[0].Labels), err)
		}
	}
}

func TestSilencesAreMadeListedAndEnded(t *testing.T) {
	var kept []map[string]any
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "POST /am/api/v2/silences":
			var s map[string]any
			if err := json.NewDecoder(r.Body).Decode(&s); err != nil || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("body: %v, %v", err, r.Header)
			}
			s["id"], s["status"], s["updatedAt"] = "id-1", map[string]string{"state": "active"}, s["startsAt"]
			kept = append(kept, s)
			_, _ = io.WriteString(w, `{"silenceID":"id-1"}`)
		case "GET /am/api/v2/silences":
			_ = json.NewEncoder(w).Encode(kept)
		case "DELETE /am/api/v2/silence/id-1":
			kept[0]["status"] = map[string]string{"state": "expired"}
		default:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
		}
	})
	want := sources.Silence{
		Match:   []sources.Matcher{{Name: "alertname", Value: "Leak"}, {Name: "region", Value: "eu-.*", Regex: true, Not: true}},
		Ends:    time.Now().Add(time.Hour),
		By:      "ana",
		Comment: "INC-7: rolled back",
	}
	id, err := c.Silence(t.Context(), want)
	if err != nil || id != "id-1" {
		t.Fatalf("%q, %v", id, err)
	}
	list, _, err := c.Silences(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	s := list[0]
	if s.State != sources.SilenceActive || s.By != "ana" || s.Comment != want.Comment || len(s.Match) != 2 || s.Match[1] != want.Match[1] || s.Starts.IsZero() || !s.Ends.Equal(want.Ends) {
		t.Errorf("read back as %+v", s)
	}
	if err := c.Expire(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if list, _, err = c.Silences(t.Context()); err != nil || list[0].State != sources.SilenceExpired {
		t.Errorf("%+v, %v", list, err)
	}
	for _, id := range []string{"id-2", "", "../alerts", "a?b"} {
		if err := c.Expire(t.Context(), id); !errors.Is(err, ErrNoSilence) {
			t.Errorf("ending %q: %v", id, err)
		}
	}
}

func TestASilenceThatWouldSilenceEverythingIsNotSent(t *testing.T) {
	c := client(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	good := sources.Silence{Match: []sources.Matcher{{Name: "a", Value: "b"}}, Ends: time.Now().Add(time.Hour), By: "ana", Comment: "why"}
	for name, change := range map[string]func(*sources.Silence){
		"every alert; give":        func(s *sources.Silence) { s.Match = nil },
		"match every alert":        func(s *sources.Silence) { s.Match = []sources.Matcher{{Name: "a", Value: ".*", Regex: true}} },
		"at least one matcher":     func(s *sources.Silence) { s.Match = []sources.Matcher{{Name: "a", Value: "b", Not: true}} },
		"without a label name":     func(s *sources.Silence) { s.Match = append(s.Match, sources.Matcher{Value: "x"}) },
		"give a name":              func(s *sources.Silence) { s.By = "" },
		"give a comment":           func(s *sources.Silence) { s.Comment = " \n" },
		"give an end after its st": func(s *sources.Silence) { s.Ends = time.Now().Add(-time.Hour) },
	} {
		s := good
		s.Match = append([]sources.Matcher(nil), good.Match...)
		change(&s)
		if _, err := c.Silence(t.Context(), s); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAWriteWithoutAnAnswerIsNotRepeatedAndSaysSo(t *testing.T) {
	var asked atomic.Int64
	c := client(t, func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	})
	_, err := c.Silence(t.Context(), sources.Silence{Match: []sources.Matcher{{Name: "a", Value: "b"}}, Ends: time.Now().Add(time.Hour), By: "ana", Comment: "why"})
	var e *rest.Error
	if !errors.As(err, &e) || !e.Uncertain || !strings.Contains(e.Text, "look before trying again") {
		t.Errorf("error %v", err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("sent %d times", n)
	}
}

func TestARefusalIsSaidInTheServersWords(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `"bad matcher format: \u001b[1mx"`)
	})
	_, _, err := c.Alerts(t.Context(), sources.Matcher{Name: "x", Value: "y"})
	if err == nil || !strings.Contains(err.Error(), "bad matcher format") || strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("error %v", err)
	}
	if h := c.Health(); h.State != sources.SourceUp {
		t.Errorf("a wrong question makes it %+v", h)
	}
}

func TestCheckTellsTheVersionAndWhatIsNoAlertmanager(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"versionInfo":{"version":"0.35.0"}}`)
	})
	if err := c.Check(t.Context()); err != nil || c.Health().Note != "version 0.35.0" || c.Health().State != sources.SourceUp {
		t.Errorf("%v, %+v", err, c.Health())
	}
	for name, h := range map[string]http.HandlerFunc{
		"no such API": http.NotFound,
		"web page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>")
		},
		"cannot be read": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[1,2`) },
	} {
		c := client(t, h)
		if err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), name) || c.Health().State != sources.SourceDown {
			t.Errorf("%s: %v, %+v", name, err, c.Health())
		}
	}
}
