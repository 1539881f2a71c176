package admin_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/cmd/rollcall-drill/admin"
	"rollcall/cmd/rollcall-drill/scenarios"
	"rollcall/cmd/rollcall-drill/sim"
)

var start = time.Date(2026, 3, 4, 2, 0, 0, 0, time.UTC)

func newServer(t *testing.T) (*httptest.Server, *sim.Control) {
	t.Helper()
	s, err := scenarios.Named("canary-regression")
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return start }
	c := sim.NewControl(s, start, now)
	e := sim.NewEngine(sim.Config{Seed: 1, Scenario: s, Start: start, Control: c}, 0)
	srv := httptest.NewServer(admin.Handler(admin.Controls{Live: c, Rehearsal: sim.NewRehearsal(s, start, now)}, e, admin.Info{Service: "s", Scenario: s.Name}, now, slog.New(slog.DiscardHandler)))
	t.Cleanup(srv.Close)
	return srv, c
}

type reply struct {
	status int
	etag   string
	body   string
}

func call(t *testing.T, method, url, body string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b) {
		t.Errorf("%s %s answered something that is not JSON: %s", method, url, b)
	}
	return reply{resp.StatusCode, resp.Header.Get("ETag"), string(b)}
}

func TestAPinMovesOnlyFromTheStateThatWasSeen(t *testing.T) {
	srv, control := newServer(t)
	url := srv.URL + "/v1/pins/prompt"
	seen := call(t, "GET", url, "")
	if seen.status != 200 || seen.etag == "" || !strings.Contains(seen.body, `"version":"v13"`) {
		t.Fatalf("GET gave %+v", seen)
	}
	for _, c := range []struct {
		what   string
		body   string
		header []string
		status int
		says   string
	}{
		{"without If-Match", `{"version":"v12"}`, nil, 428, "If-Match"},
		{"with a tag that never was", `{"version":"v12"}`, []string{"If-Match", `"prompt-99"`}, 412, "v13"},
		{"with a weak tag", `{"version":"v12"}`, []string{"If-Match", "W/" + seen.etag}, 412, "v13"},
		{"to a version that nobody knows", `{"version":"v99"}`, []string{"If-Match", seen.etag}, 422, "v12, v13, v14"},
		{"to nothing", `{}`, []string{"If-Match", seen.etag}, 422, "no version"},
		{"with a body that is none", `v12`, []string{"If-Match", seen.etag}, 400, "body"},
		{"with an empty body", ``, []string{"If-Match", seen.etag}, 400, "empty"},
		{"with an unknown field", `{"vers1on":"v12"}`, []string{"If-Match", seen.etag}, 400, "vers1on"},
		{"with two objects", `{"version":"v12"}{"version":"v14"}`, []string{"If-Match", seen.etag}, 400, "follows"},
		{"with a huge body", `{"version":"` + strings.Repeat("x", 1<<20) + `"}`, []string{"If-Match", seen.etag}, 413, "bytes"},
	} {
		t.Run(c.what, func(t *testing.T) {
			got := call(t, "PUT", url, c.body, c.header...)
			if got.status != c.status || !strings.Contains(got.body, c.says) {
				t.Errorf("PUT gave %+v, want %d and %q", got, c.status, c.says)
			}
			if p, err := control.Pin("prompt"); err != nil || p.Version != "v13" {
				t.Errorf("the pin moved to %s (%v)", p.Version, err)
			}
		})
	}
	moved := call(t, "PUT", url, `{"version":"v12"}`, "If-Match", `"other", `+seen.etag)
	if moved.status != 200 || moved.etag == seen.etag {
		t.Fatalf("the good PUT gave %+v", moved)
	}
	if again := call(t, "PUT", url, `{"version":"v14"}`, "If-Match", seen.etag); again.status != 412 || again.etag != moved.etag {
		t.Errorf("a PUT with the old tag gave %+v, want 412 and the new tag", again)
	}
	back := call(t, "PUT", url, `{"version":"v13"}`, "If-Match", moved.etag)
	if back.status != 200 || back.etag == seen.etag {
		t.Errorf("a version that went and came back must not look as if it had never moved: %+v", back)
	}
}

func TestOfManyWhoMoveAPinAtOnceOneWins(t *testing.T) {
	srv, _ := newServer(t)
	url := srv.URL + "/v1/pins/model"
	tag := call(t, "GET", url, "").etag
	var wg sync.WaitGroup
	statuses := make([]int, 16)
	for i := range statuses {
		wg.Go(func() {
			statuses[i] = call(t, "PUT", url, `{"version":"gpt-4o-2024-11-20"}`, "If-Match", tag).status
		})
	}
	wg.Wait()
	won := 0
	for _, s := range statuses {
		switch s {
		case 200:
			won++
		case 412:
		default:
			t.Errorf("a PUT gave %d", s)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d won", won, len(statuses))
	}
}

func TestVersionsSayWhichWasLastGood(t *testing.T) {
	srv, control := newServer(t)
	for range 2 { // before and after a version that nobody knows to be good goes live
		got := call(t, "GET", srv.URL+"/v1/pins/prompt/versions", "")
		if got.status != 200 || !strings.Contains(got.body, `"last_good":"v13"`) {
			t.Fatalf("versions gave %+v", got)
		}
		p, err := control.Pin("prompt")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := control.SetPin("prompt", "v14", p.Revision); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEverythingElseThatCanBeSet(t *testing.T) {
	srv, control := newServer(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/v1/pins", "", 200, `"policy"`},
		{"GET", "/v1/pins/prompts", "", 404, "prompt, model, tools, index, policy"},
		{"GET", "/v1/pins/prompts/versions", "", 404, "unknown component"},
		{"DELETE", "/v1/pins/prompt", "", 405, "DELETE"},
		{"POST", "/v1/faults", "", 404, "/v1/state"},
		{"GET", "/v1/features", "", 200, `"rerank":true`},
		{"PUT", "/v1/features/rerank", `{"enabled":false}`, 200, `false`},
		{"GET", "/v1/features/rerank", "", 200, `"enabled":false`},
		{"PUT", "/v1/features/rerank", `{}`, 422, "enabled"},
		{"PUT", "/v1/features/teleport", `{"enabled":false}`, 404, "rerank"},
		{"PUT", "/v1/features/tenant.acme", `{"enabled":false}`, 200, "tenant.acme"},
		{"GET", "/v1/queueing", "", 200, `"max_depth":400`},
		{"PUT", "/v1/queueing", `{"max_depth":10}`, 200, `"enabled":true`},
		{"PUT", "/v1/queueing", `{"max_depth":-1}`, 422, "max_depth"},
		{"GET", "/v1/budgets", "", 200, `"day"`},
		{"PUT", "/v1/budgets/day", `{"usd":12,"enforce":true}`, 200, "12"},
		{"GET", "/v1/budgets/day", "", 200, `"enforce":true`},
		{"PUT", "/v1/budgets/day", `{"enforce":true}`, 422, "usd"},
		{"PUT", "/v1/budgets/day", `{"usd":-1}`, 422, "budget"},
		{"PUT", "/v1/budgets/year", `{"usd":1}`, 404, "day, period"},
		{"GET", "/v1/canary", "", 200, "null"},
		{"PUT", "/v1/canary", `{"share":0}`, 422, "no canary"},
		{"POST", "/v1/evals", "", 200, `"pass_rate"`},
		{"GET", "/v1/state", "", 200, `"scenario":"canary-regression"`},
	} {
		t.Run(c.method+" "+c.path+" "+c.body, func(t *testing.T) {
			got := call(t, c.method, srv.URL+c.path, c.body)
			if got.status != c.status || !strings.Contains(got.body, c.says) {
				t.Errorf("got %+v, want %d and %q", got, c.status, c.says)
			}
		})
	}
	s := control.State()
	if s.Features["rerank"] || s.Features["tenant.acme"] || s.Queueing.MaxDepth != 10 || s.Budgets["day"] != 12 {
		t.Errorf("the state is %+v", s)
	}
}

func TestARehearsalTouchesNothingThatIsLive(t *testing.T) {
	s, err := scenarios.Named("prompt-regression")
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return start }
	live, practice := sim.NewControl(s, start, now), sim.NewRehearsal(s, start, now)
	e := sim.NewEngine(sim.Config{Seed: 1, Scenario: s, Start: start, Control: live}, 0)
	srv := httptest.NewServer(admin.Handler(admin.Controls{Live: live, Rehearsal: practice}, e, admin.Info{}, now, slog.New(slog.DiscardHandler)))
	t.Cleanup(srv.Close)
	seen := call(t, "GET", srv.URL+"/v1/rehearsal/pins/prompt", "")
	if !strings.Contains(seen.body, `"version":"v14"`) {
		t.Fatalf("there is nothing to roll back in a rehearsal: %s", seen.body)
	}
	if r := call(t, "GET", srv.URL+"/v1/rehearsal/pins/prompt/versions", ""); !strings.Contains(r.body, `"last_good":"v13"`) {
		t.Errorf("the rehearsal does not say where to: %s", r.body)
	}
	worse := call(t, "POST", srv.URL+"/v1/rehearsal/evals", "")
	if moved := call(t, "PUT", srv.URL+"/v1/rehearsal/pins/prompt", `{"version":"v13"}`, "If-Match", seen.etag); moved.status != 200 {
		t.Fatalf("moving the pin of a rehearsal gave %+v", moved)
	}
	better := call(t, "POST", srv.URL+"/v1/rehearsal/evals", "")
	if !strings.Contains(worse.body, `"pass":false,"scores"`) || !strings.Contains(better.body, `"pass":true,"scores"`) {
		t.Errorf("evals of the rehearsal do not follow its pins: %.300s\n%.300s", worse.body, better.body)
	}
	if r := call(t, "PUT", srv.URL+"/v1/rehearsal/features/rerank", `{"enabled":false}`); r.status != 200 {
		t.Errorf("switching a feature in a rehearsal gave %+v", r)
	}
	back := call(t, "POST", srv.URL+"/v1/rehearsal/reset", "")
	again := call(t, "GET", srv.URL+"/v1/rehearsal/pins/prompt", "")
	if back.status != 200 || !strings.Contains(again.body, `"version":"v14"`) {
		t.Errorf("after a reset the next rehearsal finds %+v (%+v)", again, back)
	}
	if r := call(t, "PUT", srv.URL+"/v1/rehearsal/pins/prompt", `{"version":"v13"}`, "If-Match", seen.etag); r.status != http.StatusPreconditionFailed {
		t.Errorf("what was seen before the reset still moves the pin: %+v", r)
	}
	if r := call(t, "GET", srv.URL+"/v1/rehearsal/features/rerank", ""); !strings.Contains(r.body, "true") {
		t.Errorf("the feature stays off: %+v", r)
	}
	if r := call(t, "POST", srv.URL+"/v1/reset", ""); r.status != http.StatusNotFound {
		t.Errorf("what is live has a reset: %+v", r)
	}
	if p, _ := live.Pin("prompt"); p.Version != "v13" || p.Revision != 1 || !live.State().Features["rerank"] {
		t.Errorf("the live service was touched: %+v", p)
	}
}

func TestASettingMovesOnlyFromTheStateThatWasSeenAndARehearsalHasItsOwn(t *testing.T) {
	srv, control := newServer(t)
	url := srv.URL + "/v1/settings/queueing"
	seen := call(t, "GET", url, "")
	if seen.status != 200 || seen.etag == "" || !strings.Contains(seen.body, `"value":true`) {
		t.Fatalf("GET gave %+v", seen)
	}
	for _, c := range []struct {
		body   string
		header []string
		status int
		says   string
	}{
		{`{"value":false}`, nil, 428, "If-Match"},
		{`{"value":false}`, []string{"If-Match", `"queueing-9"`}, 412, "true now"},
		{`{"value":1}`, []string{"If-Match", seen.etag}, 422, "true or false"},
		{`{"version":"v1"}`, []string{"If-Match", seen.etag}, 400, "version"},
	} {
		if got := call(t, "PUT", url, c.body, c.header...); got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("PUT %s gave %+v, want %d and %q", c.body, got, c.status, c.says)
		}
	}
	if got := call(t, "PUT", url, `{"value":false}`, "If-Match", seen.etag); got.status != 200 || got.etag == seen.etag || control.State().Queueing.Enabled {
		t.Errorf("the good PUT gave %+v", got)
	}
	if got := call(t, "GET", srv.URL+"/v1/settings/nothing", ""); got.status != 404 || !strings.Contains(got.body, "budget_day") {
		t.Errorf("an unknown one gave %+v", got)
	}
	other := srv.URL + "/v1/rehearsal/settings/canary"
	if got := call(t, "PUT", other, `{"value":0}`, "If-Match", call(t, "GET", other, "").etag); got.status != 200 {
		t.Errorf("in the rehearsal: %+v", got)
	}
	if got := call(t, "POST", srv.URL+"/v1/rehearsal/evals/candidate", ""); got.status != 200 || !strings.Contains(got.body, `"prompt":"v14"`) {
		t.Errorf("evals of the rehearsal's canary gave %.200s", got.body)
	}
	if got := call(t, "POST", srv.URL+"/v1/evals/candidate", ""); got.status != 422 || !strings.Contains(got.body, "no canary") {
		t.Errorf("evals without a canary gave %.200s", got.body)
	}
}
