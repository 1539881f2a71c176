package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
)

// servers are a metric and a log source that answer from functions.
func servers(t *testing.T, prom, loki http.HandlerFunc) *config.File {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	serve := func(h http.HandlerFunc) string {
		if h == nil {
			return "http://127.0.0.1:1" // nothing listens there
		}
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	text := fmt.Sprintf(`
state: %s
prometheus: {url: %q, timeout: 2s}
loki: {url: %q, timeout: 2s}
otlp: {grpc: "127.0.0.1:0", http: "127.0.0.1:0"}
services: {assistant: {scope: 'job="assistant"'}}
`, dir, serve(prom), serve(loki))
	cfg, err := config.Parse(filepath.Join(dir, "rollcall.yaml"), []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func open(t *testing.T, cfg *config.File, o Options) *App {
	t.Helper()
	a, err := Open(t.Context(), cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return a
}

func emptyProm(w http.ResponseWriter, r *http.Request) {
	kind := "vector"
	if strings.HasSuffix(r.URL.Path, "query_range") {
		kind = "matrix"
	}
	var data any = map[string]any{"resultType": kind, "result": []any{}}
	if !strings.Contains(r.URL.Path, "/query") {
		data = []string{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
}

func lokiLines(lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !strings.Contains(r.URL.Path, "/query") {
			_, _ = io.WriteString(w, `{"status":"success","data":["job"]}`)
			return
		}
		var values []string
		for i, l := range lines {
			text, _ := json.Marshal(l)
			values = append(values, fmt.Sprintf(`["%d",%s]`, time.Now().Add(time.Duration(i)*time.Millisecond-time.Minute).UnixNano(), text))
		}
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"job":"assistant"},"values":[%s]}]}}`, strings.Join(values, ","))
	}
}

// consume stores one trace of a failing request.
func consume(t *testing.T, in *Intake, requestID string, at time.Time) sources.TraceID {
	t.Helper()
	store, err := in.wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := sources.TraceID{1, 2, 3}
	res := &sources.Resource{Service: "assistant", Attrs: sources.Attrs{{Key: "service.name", Value: "assistant"}}}
	err = store.Consume(t.Context(), &sources.TraceBatch{Spans: []sources.Span{
		{
			TraceID: id, SpanID: sources.SpanID{1}, Name: "POST /answer", Kind: "server", Start: at.UnixNano(), End: at.Add(time.Second).UnixNano(), Resource: res,
			Attrs: sources.Attrs{{Key: "llmops.request.id", Value: requestID}, {Key: "llmops.schema.result", Value: "fail"}, {Key: "llmops.schema.error", Value: "prose before the JSON object"}, {Key: "gen_ai.prompt.version", Value: "v14"}},
		},
		{
			TraceID: id, SpanID: sources.SpanID{2}, Parent: sources.SpanID{1}, Name: "chat gpt-4.1", Kind: "client", Start: at.UnixNano(), End: at.Add(time.Second / 2).UnixNano(), Resource: res,
			Attrs: sources.Attrs{
				{Key: "gen_ai.operation.name", Value: "chat"},
				{Key: "gen_ai.request.model", Value: "m1"},
				{Key: "gen_ai.response.model", Value: "m1"},
				{Key: "gen_ai.usage.input_tokens", Value: "1000"},
				{Key: "gen_ai.usage.output_tokens", Value: "100"},
			},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestARequestIsPutTogetherFromEverySource(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines(`{"msg":"validation failed","request_id":"req-1","email":"a.person@example.org"}`))
	cfg.Prices = map[string]config.Price{"m1": {Input: 2e-6, Output: 8e-6}}
	a := open(t, cfg, Options{Receive: true})
	id := consume(t, a.intake, "req-1", time.Now().Add(-time.Minute))
	for _, by := range []string{"req-1", id.String()} {
		v, err := a.Request(t.Context(), "assistant", by)
		if err != nil {
			t.Fatal(err)
		}
		if v.Request.ID != "req-1" || v.Request.Prompt != "v14" || len(v.Spans) != 2 {
			t.Errorf("by %s: the row is %+v with %d spans", by, v.Request, len(v.Spans))
		}
		if v.Request.SchemaError != "prose before the JSON object" {
			t.Errorf("by %s: the validator said %q", by, v.Request.SchemaError)
		}
		if len(v.Logs.Lines) != 1 || strings.Contains(v.Logs.Lines[0].Line, "example.org") {
			t.Errorf("by %s: its lines are %+v", by, v.Logs.Lines)
		}
		if got := v.Request.CostUSD; !got.OK || got.V < .0027 || got.V > .0029 {
			t.Errorf("the cost from the price table is %+v", got)
		}
		answers := map[string]sources.Answer{}
		for _, x := range v.Answers {
			answers[x.Source] = x
		}
		if !answers["traces"].Found || !answers["loki"].Found || answers["manifest"].Found || answers["alike"].Found {
			t.Errorf("the answers are %+v", v.Answers)
		}
	}
}

func TestACostFromThePriceTableIsTheSameEverywhere(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines())
	cfg.Prices = map[string]config.Price{"m1": {Input: 2e-6, Output: 8e-6}}
	a := open(t, cfg, Options{Receive: true})
	at := time.Now().Add(-time.Minute)
	consume(t, a.intake, "req-1", at)
	list, err := a.Requests(t.Context(), sources.RequestFilter{Service: "assistant"})
	if err != nil || len(list.Rows) != 1 || list.Rows[0].CostUSD != sources.N(.0028) || list.Rows[0].From["cost_usd"] != "prices.m1" {
		t.Errorf("the list has %+v, %v", list.Rows, err)
	}
	start := at.Truncate(time.Minute)
	buckets, _, err := a.rows.Buckets(t.Context(), "assistant", start, start.Add(time.Minute), time.Minute, "")
	if err != nil || len(buckets) != 1 || buckets[0].WithCost != 1 || math.Abs(buckets[0].CostUSD-.0028) > 1e-9 {
		t.Errorf("the sums are %+v, %v", buckets, err)
	}
}

func TestRequestsAreFoundByTheRealUser(t *testing.T) {
	a := open(t, servers(t, emptyProm, lokiLines()), Options{Receive: true})
	token := a.intake.redactor.Person("alice@example.com")
	store, err := a.intake.wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	res := &sources.Resource{Service: "assistant", Attrs: sources.Attrs{{Key: "service.name", Value: "assistant"}}}
	at := time.Now()
	if err := store.Consume(t.Context(), &sources.TraceBatch{Spans: []sources.Span{{
		TraceID: sources.TraceID{7}, SpanID: sources.SpanID{1}, Name: "POST /answer", Kind: "server", Start: at.UnixNano(), End: at.Add(time.Second).UnixNano(), Resource: res,
		Attrs: sources.Attrs{{Key: "llmops.request.id", Value: "req-7"}, {Key: "user.id", Value: token}},
	}}}); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]int{"alice@example.com": 1, "Alice@Example.com": 1, token: 1, "bob@example.com": 0, "": 1} {
		list, err := a.Requests(t.Context(), sources.RequestFilter{Service: "assistant", User: user})
		if err != nil || len(list.Rows) != want {
			t.Errorf("user %q: %d rows, %v; want %d", user, len(list.Rows), err, want)
		}
	}
}

func TestADeadSourceTakesNothingFromTheOthers(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	cfg := servers(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}, nil)
	a := open(t, cfg, Options{Receive: true})
	consume(t, a.intake, "req-1", time.Now().Add(-time.Minute))
	v, err := a.Request(t.Context(), "assistant", "req-1")
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Spans) != 2 || len(v.Answers) < 3 {
		t.Errorf("%d spans, answers %+v", len(v.Spans), v.Answers)
	}
	for _, x := range v.Answers {
		if x.Source != "traces" && (x.Found || x.Note == "") {
			t.Errorf("a source that is down answered %+v", x)
		}
	}
	snap, err := a.Snapshot(t.Context(), "assistant", sources.View{Range: time.Hour}, "")
	if err != nil {
		t.Fatal(err)
	}
	down := 0
	for _, h := range snap.Health {
		if h.State == sources.SourceDown {
			down++
			if h.Reason == "" {
				t.Errorf("%s is down without a reason", h.Source)
			}
		}
	}
	if down == 0 {
		t.Errorf("no source is down: %+v", snap.Health)
	}
}

func TestARequestWithoutATraceIsFoundByItsLines(t *testing.T) {
	a := open(t, servers(t, emptyProm, lokiLines(`{"msg":"start","request_id":"req-9"}`, `{"msg":"end","request_id":"req-9"}`)), Options{})
	v, err := a.Request(t.Context(), "assistant", "req-9")
	if err != nil || len(v.Logs.Lines) != 2 || v.Answers[0].Found {
		t.Errorf("%+v, %v", v, err)
	}
	a = open(t, servers(t, emptyProm, lokiLines()), Options{})
	_, err = a.Request(t.Context(), "assistant", "req-\x1b[2J")
	if err == nil || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), "traces: no trace carries this ID; loki: no line carries its ID") {
		t.Errorf("error is %v", err)
	}
}

func TestOneProcessReceivesAndTheOthersRead(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines())
	first := open(t, cfg, Options{Receive: true})
	grpc, _, err := first.intake.Endpoints(t.Context())
	if err != nil || grpc == "" {
		t.Fatalf("%q, %v", grpc, err)
	}
	consume(t, first.intake, "req-1", time.Now().Add(-time.Minute))
	second := open(t, cfg, Options{Receive: true})
	list, err := second.Requests(t.Context(), sources.RequestFilter{Service: "assistant", Limit: 10})
	if err != nil || len(list.Rows) != 1 {
		t.Errorf("the reader sees %d rows, %v", len(list.Rows), err)
	}
	h := map[string]sources.Health{}
	for _, x := range second.Health() {
		h[x.Source] = x
	}
	if h["otlp"].State != sources.SourceUp || !strings.Contains(h["otlp"].Note, fmt.Sprint(os.Getpid())) {
		t.Errorf("the reader says about the endpoint: %+v", h["otlp"])
	}
	_, _, err = second.intake.Endpoints(t.Context())
	if err == nil || !strings.Contains(err.Error(), "already receives") {
		t.Errorf("a second collector: %v", err)
	}
}

func TestATakenPortIsNamedAndTheRestWorks(t *testing.T) {
	busy := httptest.NewServer(nil)
	defer busy.Close()
	cfg := servers(t, emptyProm, lokiLines())
	cfg.OTLP.GRPC = strings.TrimPrefix(busy.URL, "http://")
	a := open(t, cfg, Options{Receive: true})
	_, _, err := a.intake.Endpoints(t.Context())
	if err == nil || !strings.Contains(err.Error(), cfg.OTLP.GRPC) {
		t.Errorf("error is %v", err)
	}
	if _, err := a.Requests(t.Context(), sources.RequestFilter{Service: "assistant"}); err != nil {
		t.Errorf("reading: %v", err)
	}
}

func TestTheDoctorNamesWhatIsWrongWithARemedy(t *testing.T) {
	a := open(t, servers(t, nil, lokiLines("no ID here")), Options{})
	byCheck := map[string]Finding{}
	for _, f := range a.Doctor(t.Context(), "assistant") {
		byCheck[f.Area+" "+f.Check] = f
		if f.Verdict != sources.OK && f.Verdict != sources.NotExposed && f.Remedy == "" {
			t.Errorf("no remedy: %+v", f)
		}
	}
	for check, want := range map[string]sources.Verdict{
		"state folder": sources.OK, "prometheus reachable": sources.Unreachable, "loki reachable": sources.OK, "loki request ID": sources.Watch,
		"otlp receiver": sources.Watch, "traces requests": sources.Watch,
	} {
		if got := byCheck[check]; got.Verdict != want {
			t.Errorf("%s is %q (%s), want %q", check, got.Verdict, got.Detail, want)
		}
	}
}

func TestCollectReceivesUntilItIsToldToEnd(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines())
	ctx, cancel := context.WithCancel(t.Context())
	err := Collect(ctx, cfg, func(grpc, http, state string) {
		if grpc == "" || http == "" || state != cfg.State {
			t.Errorf("up with %q, %q, %q", grpc, http, state)
		}
		cancel()
	})
	if err != nil {
		t.Errorf("a clean end: %v", err)
	}
}

func TestCollectSaysWhyItCannotReceive(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines())
	// What stands in the way of the lock stands in the way of root, too.
	if err := os.MkdirAll(filepath.Join(cfg.State, tracesDir, "receiver.lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := Collect(t.Context(), cfg, func(string, string, string) { t.Error("it claims to listen") })
	if err == nil || !strings.Contains(err.Error(), "receiver.lock") {
		t.Errorf("error is %v", err)
	}
}

// A collector that can never store anything once waited for ever without a word.
func TestCollectOnAReadOnlyFolderSaysSo(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("permissions do not stop root")
	}
	cfg := servers(t, emptyProm, lokiLines())
	dir := filepath.Join(cfg.State, tracesDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil { //nolint:gosec // a folder needs its x
		t.Fatal(err)
	}
	err := Collect(t.Context(), cfg, func(string, string, string) { t.Error("it claims to listen") })
	if err == nil || !strings.Contains(err.Error(), "cannot be written to") {
		t.Errorf("error is %v", err)
	}
}

func TestTheDoctorNamesADiskThatIsNearlyFull(t *testing.T) {
	if f := room("/state", 3<<20); f.Verdict != sources.Watch || !strings.Contains(f.Detail, "3 MiB") || !strings.Contains(f.Remedy, "/state") {
		t.Errorf("finding %+v", f)
	}
	if f := room("/state", 3<<30); f.Verdict != sources.OK {
		t.Errorf("finding %+v", f)
	}
}

func TestTheStateFolderBelongsToItsOwner(t *testing.T) {
	cfg := servers(t, emptyProm, lokiLines())
	cfg.State = filepath.Join(cfg.State, "new", "state")
	open(t, cfg, Options{Receive: true})
	st, err := os.Stat(cfg.State)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.State = filepath.Join(blocked, "state")
	if _, err := Open(t.Context(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), "XDG_STATE_HOME") {
		t.Errorf("a folder that cannot be made: %v", err)
	}
}

func TestTheLogIsBounded(t *testing.T) {
	dir := t.TempDir()
	log, closer := openLog(dir, "x.log")
	for range 3 * maxLog / 1000 {
		log.Info(strings.Repeat("x", 1000))
	}
	_ = closer.Close()
	log.Info("after the end")
	for _, name := range []string{"x.log", "x.log.1"} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Size() > maxLog || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
}

func TestWhatAKilledDrillLeftIsTidiedAndWhatWasKeptIsNot(t *testing.T) {
	base := t.TempDir()
	for _, name := range []string{"dead", "kept"} {
		for _, sub := range []string{tracesDir, "metrics-1"} {
			if err := os.MkdirAll(filepath.Join(base, name, sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(base, name, "drill.log"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := (&Drill{Dir: filepath.Join(base, "kept")}).Keep(); err != nil {
		t.Fatal(err)
	}
	sweep(base)
	for path, want := range map[string]bool{"dead/metrics-1": false, "dead/traces": false, "dead/drill.log": true, "kept/metrics-1": true} {
		if exists(filepath.Join(base, path)) != want {
			t.Errorf("%s is there: %v", path, !want)
		}
	}
}
