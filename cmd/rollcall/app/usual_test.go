package app

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/prom"
)

func TestASecondLookDoesNotAskForEarlierWeeksAgain(t *testing.T) {
	var days atomic.Int32
	cfg := servers(t, func(w http.ResponseWriter, r *http.Request) {
		num := func(name string) float64 { v, _ := strconv.ParseFloat(r.FormValue(name), 64); return v }
		series := func(kind string, points any) map[string]any {
			key := map[string]string{"vector": "value", "matrix": "values"}[kind]
			return map[string]any{"resultType": kind, "result": []any{map[string]any{"metric": map[string]string{}, key: points}}}
		}
		var data any
		switch {
		case strings.HasSuffix(r.URL.Path, "/values"):
			data = []string{"llmops_validation_total"}
		case strings.HasSuffix(r.URL.Path, "/query"):
			data = series("vector", []any{num("time"), "0.02"})
		default:
			if num("step") >= 86400 {
				days.Add(1)
			}
			var points []any
			for at := num("start"); at <= num("end"); at += num("step") {
				points = append(points, []any{at, "0.02"})
			}
			data = series("matrix", points)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data})
	}, nil)
	look := func() {
		t.Helper()
		a, err := Open(t.Context(), cfg, Options{Once: true, Wall: func() time.Time { return time.Date(2026, 3, 4, 14, 10, 0, 0, time.UTC) }})
		if err != nil {
			t.Fatal(err)
		}
		snap, err := a.Snapshot(t.Context(), "assistant", sources.View{Range: time.Hour, Columns: 60}, sources.QualityPane)
		if err != nil {
			t.Fatal(err)
		}
		if r, ok := snap.Reading("schema_fail"); !ok || r.Usual == nil || r.Usual.Days != 10 {
			t.Errorf("usual %+v", r.Usual)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	look()
	first := days.Load()
	look()
	if first == 0 || days.Load() != first {
		t.Errorf("earlier days were asked for %d times, then %d times more", first, days.Load()-first)
	}
	if found, err := filepath.Glob(filepath.Join(cfg.State, "usual", "*.usual")); err != nil || len(found) != 1 {
		t.Errorf("kept in %v, %v", found, err)
	}
}

func TestAMetricsServerIsKnownByItsAddressAndTenantNotByItsCredentials(t *testing.T) {
	with := func(url, tenant, auth string) string {
		return origin(&prom.Config{URL: url, Headers: map[string]string{"X-Scope-OrgID": tenant, "authorization": auth}})
	}
	a := with("https://me:one@prom/x", "acme", "Bearer 1")
	if b := with("https://me:two@prom/x", "acme", "Bearer 2"); a != b {
		t.Errorf("a new password makes another server of it: %q and %q", a, b)
	}
	if strings.Contains(a, "one") || strings.Contains(a, "Bearer") {
		t.Errorf("%q holds a credential", a)
	}
	for _, other := range []string{with("https://prom/y", "acme", ""), with("https://prom/x", "globex", "")} {
		if a == other {
			t.Errorf("%q is taken for %q", other, a)
		}
	}
}
