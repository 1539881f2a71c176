package emit_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/cmd/rollcall-drill/emit"
	"rollcall/cmd/rollcall-drill/scenarios"
	"rollcall/cmd/rollcall-drill/sim"
)

type pushed struct {
	at    int64
	level string
	text  string
}

func TestLogLinesComeInOrderAndCarryWhatPeopleLetSlip(t *testing.T) {
	var mu sync.Mutex
	var lines []pushed
	loki := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Streams []struct {
				Stream map[string]string
				Values [][2]string
			}
		}
		b, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(b, &body)
		}
		if err != nil || r.URL.Path != "/loki/api/v1/push" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, s := range body.Streams {
			for _, v := range s.Values {
				at, err := strconv.ParseInt(v[0], 10, 64)
				if err != nil || s.Stream["namespace"] != "prod" || s.Stream["job"] != "assistant" {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				lines = append(lines, pushed{at, s.Stream["level"], v[1]})
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer loki.Close()

	out := emit.DialLogs(t.Context(), loki.URL, slog.New(slog.DiscardHandler))
	out.Patient = true
	s, err := scenarios.Named("prompt-regression")
	if err != nil {
		t.Fatal(err)
	}
	e := sim.NewEngine(sim.Config{
		Seed: 4, Scenario: s, Start: start, Share: 0.3, Control: sim.NewControl(s, start, func() time.Time { return start }),
	}, 0)
	const minutes = 6
	for range minutes * 60 {
		e.Step(&emit.Sink{Logs: out})
	}
	if err := out.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	out.Close()

	last, all := map[string]int64{}, strings.Builder{}
	for _, l := range lines {
		var fields struct{ TS, Level, Msg, RequestID, TraceID string }
		if err := json.Unmarshal([]byte(l.text), &fields); err != nil || fields.Level != l.level || fields.Msg == "" {
			t.Fatalf("a line of level %s is %s", l.level, l.text)
		}
		if l.at < last[l.level] || l.at > start.Add(minutes*time.Minute).UnixNano() {
			t.Fatalf("a line of %s comes after a later one, or from the future", time.Unix(0, l.at))
		}
		last[l.level] = l.at
		all.WriteString(l.text + "\n")
	}
	for what, pattern := range map[string]string{
		"a change of the prompt":       `"msg":"configuration changed".*"component":"prompt","from":"v13","to":"v14"`,
		"a failed validation":          `"request_id":"req_[0-9a-f]{12}","trace_id":"[0-9a-f]{32}","stage":"validation".*"detail":"prose before`,
		"a validation that passed":     `"msg":"request finished".*"validation_result":"pass"`,
		"a failed request":             `"level":"error".*"error_type":"`,
		"a terminal escape":            `\\u001b`,
		"an e-mail address":            `[a-z]+\.[a-z]+[0-9]*@[a-z]+\.example`,
		"a provider key":               `sk-proj-[A-Za-z0-9]{40}`,
		"a connection string":          `postgres://crm:[A-Za-z0-9]{14}@`,
		"a card number":                `card 4000[0-9]{12}`,
		"a client address":             `"client_ip":"\d+\.\d+\.\d+\.\d+"`,
		"a bidirectional override":     "\u202e|\\\\u202e",
		"an answer with its durations": `"msg":"model answered".*"duration_ms":[0-9.]+,"tokens_in":\d+`,
	} {
		if !regexp.MustCompile(pattern).MatchString(all.String()) {
			t.Errorf("%d lines hold nowhere %s", len(lines), what)
		}
	}
}
