package alertmanager

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

func TestAlertsAreToldWithAnEndAndHarmless(t *testing.T) {
	var got []map[string]any
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method+" "+r.URL.Path != "POST /am/api/v2/alerts" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
	})
	since := time.Date(2026, 3, 10, 2, 33, 0, 0, time.UTC)
	err := c.Post(t.Context(), []sources.Alert{{
		Name: "rollcall_schema_fail", Since: since, Ends: since.Add(4 * time.Minute),
		Labels:      map[string]string{"rollcall_service": "assistant", "team.name": "jane.doe@example.com", "9": "\x1b[2Jx", "empty": "", "alertname": "rollcall_schema_fail"},
		Annotations: map[string]string{"summary": "9.1%\nof jane.doe@example.com"},
	}})
	if err != nil || len(got) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	labels, notes := got[0]["labels"].(map[string]any), got[0]["annotations"].(map[string]any)
	if labels["alertname"] != "rollcall_schema_fail" || labels["rollcall_service"] != "assistant" || labels["team_name"] != "<email:1>" || labels["_9"] == "" || len(labels) != 4 {
		t.Errorf("labels %v", labels)
	}
	all, _ := json.Marshal(got)
	if strings.Contains(string(all), "jane.doe") || strings.Contains(string(all), "u001b") || strings.Contains(notes["summary"].(string), "\n") {
		t.Errorf("not made harmless: %s", all)
	}
	if got[0]["startsAt"] != "2026-03-10T02:33:00Z" || got[0]["endsAt"] != "2026-03-10T02:37:00Z" {
		t.Errorf("from %v until %v", got[0]["startsAt"], got[0]["endsAt"])
	}
}

func TestWhatHasNoEndIsNotTold(t *testing.T) {
	c := client(t, func(http.ResponseWriter, *http.Request) { t.Error("it was sent") })
	now := time.Now()
	for _, a := range []sources.Alert{{Name: "x", Since: now}, {Name: "x", Ends: now}, {Since: now, Ends: now}, {Name: "x", Since: now, Ends: now.Add(-time.Second)}} {
		if err := c.Post(t.Context(), []sources.Alert{a}); err == nil {
			t.Errorf("%+v was taken", a)
		}
	}
	if err := c.Post(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestAnAlertThatIsRefusedIsSaid(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `"invalid label set"`)
	})
	now := time.Now()
	if err := c.Post(t.Context(), []sources.Alert{{Name: "x", Since: now, Ends: now}}); err == nil || !strings.Contains(err.Error(), "invalid label set") {
		t.Errorf("error %v", err)
	}
	c = client(t, http.NotFound)
	if err := c.Post(t.Context(), []sources.Alert{{Name: "x", Since: now, Ends: now}}); err == nil || !strings.Contains(err.Error(), "no such API") {
		t.Errorf("error %v", err)
	}
}
