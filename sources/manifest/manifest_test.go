package manifest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

var t0 = time.Date(2026, 3, 4, 2, 0, 0, 0, time.UTC)

func minute(m float64) time.Time { return t0.Add(time.Duration(m * float64(time.Minute))) }

// info is one info series with the stretches of minutes in which it was scraped.
type info struct {
	labels map[string]string
	spans  [][2]float64
}

// lookback answers like Prometheus: a series stays visible for five minutes
// after its last sample, unless it ended with a stale marker.
type lookback struct {
	deployed, served []info
	interval         time.Duration
	stale            bool
	fail             error
	asked            int

	features, fallbacks []gauge
}

// gauge is a value that moves at minutes; NaN is absent.
type gauge struct {
	labels map[string]string
	values [][2]float64 // from minute, value
}

func (l *lookback) gauge(list []gauge, start, end time.Time, step time.Duration) []sources.Series {
	var out []sources.Series
	for _, g := range list {
		s := sources.Series{Labels: g.labels}
		for t := start; !t.After(end); t = t.Add(step) {
			v := math.NaN()
			for _, x := range g.values {
				if !t.Before(minute(x[0])) {
					v = x[1]
				}
			}
			if !math.IsNaN(v) {
				s.Points = append(s.Points, sources.Point{T: t, V: v})
			}
		}
		if len(s.Points) > 0 {
			out = append(out, s)
		}
	}
	return out
}

func (l *lookback) Range(_ context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	l.asked++
	if l.fail != nil {
		return nil, sources.Facts{}, l.fail
	}
	if !strings.Contains(expr, `{job="a"}`) {
		return nil, sources.Facts{}, fmt.Errorf("not scoped: %s", expr)
	}
	list := l.deployed
	switch {
	case strings.Contains(expr, "served_model"):
		list = l.served
	case strings.Contains(expr, "feature_disabled"):
		return l.gauge(l.features, start, end, step), sources.Facts{Source: "prometheus"}, nil
	case strings.Contains(expr, "fallback_total"):
		return l.gauge(l.fallbacks, start, end, step), sources.Facts{Source: "prometheus"}, nil
	}
	var out []sources.Series
	for _, in := range list {
		s := sources.Series{Labels: in.labels}
		for t := start; !t.After(end); t = t.Add(step) {
			var newest time.Time
			for _, sp := range in.spans {
				last := t
				if e := minute(sp[1]); e.Before(last) {
					last = e
				}
				n := last.Sub(minute(sp[0])) / l.interval
				if last.Before(minute(sp[0])) {
					continue
				}
				v := minute(sp[0]).Add(n * l.interval)
				if l.stale && t.After(minute(sp[1])) {
					continue
				}
				if t.Sub(v) < 5*time.Minute && v.After(newest) {
					newest = v
				}
			}
			if !newest.IsZero() {
				s.Points = append(s.Points, sources.Point{T: t, V: float64(newest.UnixMilli()) / 1000})
			}
		}
		if len(s.Points) > 0 {
			out = append(out, s)
		}
	}
	return out, sources.Facts{Source: "prometheus"}, nil
}

func manifest(prompt, model, stage string) map[string]string {
	return map[string]string{
		"prompt": prompt, "model": model, "tools": "t1", "index": "i1", "policy": "p1",
		"manifest": prompt + "-" + model, "stage": stage, "environment": "prod",
	}
}

func say(changes []sources.Change) string {
	var b strings.Builder
	for _, c := range changes {
		silent := ""
		if c.Silent {
			silent = " silent"
		}
		fmt.Fprintf(&b, "%s %s→%s @%.1f %s%s; ", c.Component, c.From, c.To, c.At.Sub(t0).Minutes(), c.Stage, silent)
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func TestChangesFromDeploymentInfo(t *testing.T) {
	cases := []struct {
		name     string
		deployed []info
		served   []info
		stale    bool
		step     time.Duration
		want     string
		live     string
	}{
		{
			name:     "nothing moved",
			deployed: []info{{manifest("v13", "m1", "live"), [][2]float64{{-100, 100}}}},
			want:     "", live: "v13-m1",
		},
		{
			name: "a prompt moved",
			deployed: []info{
				{manifest("v13", "m1", "live"), [][2]float64{{-100, 31}}},
				{manifest("v14", "m1", "live"), [][2]float64{{31.25, 100}}},
			},
			want: "prompt v13→v14 @31.2 live", live: "v14-m1",
		},
		{
			name: "a prompt moved, seen in a week's range",
			deployed: []info{
				{manifest("v13", "m1", "live"), [][2]float64{{-1000, 31}}},
				{manifest("v14", "m1", "live"), [][2]float64{{31.25, 100}}},
			},
			step: 10 * time.Minute,
			want: "prompt v13→v14 @31.2 live", live: "v14-m1",
		},
		{
			name: "rolled back before Prometheus forgot the old series",
			deployed: []info{
				{manifest("v13", "m1", "live"), [][2]float64{{-100, 31}, {34, 100}}},
				{manifest("v14", "m1", "live"), [][2]float64{{31.25, 33.75}}},
			},
			want: "prompt v13→v14 @31.2 live; prompt v14→v13 @34.0 live", live: "v13-m1",
		},
		{
			name: "rolled back with stale markers",
			deployed: []info{
				{manifest("v13", "m1", "live"), [][2]float64{{-100, 31}, {34, 100}}},
				{manifest("v14", "m1", "live"), [][2]float64{{31.25, 33.75}}},
			},
			stale: true,
			want:  "prompt v13→v14 @31.2 live; prompt v14→v13 @34.0 live", live: "v13-m1",
		},
		{
			name: "a canary came and was promoted",
			deployed: []info{
				{manifest("v13", "m1", "live"), [][2]float64{{-100, 40}}},
				{manifest("v14", "m1", "canary"), [][2]float64{{20, 40}}},
				{manifest("v14", "m1", "live"), [][2]float64{{40.25, 100}}},
			},
			want: "prompt v13→v14 @20.0 canary; prompt v13→v14 @40.2 live", live: "v14-m1",
		},
		{
			name: "a canary came and was stopped",
			deployed: []info{
				{manifest("v13", "m1", "live"), [][2]float64{{-100, 100}}},
				{manifest("v14", "m1", "canary"), [][2]float64{{20, 40}}},
			},
			want: "prompt v13→v14 @20.0 canary; prompt v14→v13 @40.0 canary", live: "v13-m1",
		},
		{
			name:     "the target was away for a while",
			deployed: []info{{manifest("v13", "m1", "live"), [][2]float64{{-100, 10}, {40, 100}}}},
			want:     "", live: "v13-m1",
		},
		{
			name:     "the served model moved, the pin did not",
			deployed: []info{{manifest("v13", "m1", "live"), [][2]float64{{-100, 100}}}},
			served: []info{
				{map[string]string{"model": "m1", "served": "m1-0815"}, [][2]float64{{-100, 31}}},
				{map[string]string{"model": "m1", "served": "m1-1001"}, [][2]float64{{31.25, 100}}},
			},
			want: "model m1-0815→m1-1001 @31.2  silent", live: "v13-m1",
		},
		{
			name: "the pinned model moved and with it the served one",
			deployed: []info{
				{manifest("v13", "m1", "live"), [][2]float64{{-100, 31}}},
				{manifest("v13", "m2", "live"), [][2]float64{{31.25, 100}}},
			},
			served: []info{
				{map[string]string{"model": "m1", "served": "m1-0815"}, [][2]float64{{-100, 31}}},
				{map[string]string{"model": "m2", "served": "m2-1001"}, [][2]float64{{31.25, 100}}},
			},
			want: "model m1→m2 @31.2 live", live: "v13-m2",
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			p := &lookback{deployed: tc.deployed, served: tc.served, interval: 15 * time.Second, stale: tc.stale}
			r := New(p, nil, map[string]string{"s": `job="a"`})
			step := tc.step
			if step == 0 {
				step = 15 * time.Second
			}
			got, err := r.Read(t.Context(), "s", minute(-60), minute(60), step)
			if err != nil {
				t.Fatal(err)
			}
			if say(got.Changes) != tc.want {
				t.Errorf("changes\n got %s\nwant %s", say(got.Changes), tc.want)
			}
			if got.Live.ID != tc.live || got.Live.Environment != "prod" {
				t.Errorf("live %+v, want %s", got.Live, tc.live)
			}
		})
	}
}

func TestAChangeOfThisMinuteShowsInTheViewOfAWeek(t *testing.T) {
	p := &lookback{interval: 15 * time.Second, deployed: []info{
		{manifest("v13", "m1", "live"), [][2]float64{{-20000, 68}}},
		{manifest("v14", "m1", "live"), [][2]float64{{68.25, 100}}},
	}}
	got, err := New(p, nil, map[string]string{"s": `job="a"`}).Read(t.Context(), "s", minute(-10080), minute(70), time.Hour)
	if err != nil || say(got.Changes) != "prompt v13→v14 @68.2 live" || got.Live.ID != "v14-m1" {
		t.Fatalf("changes %s, live %s, err %v", say(got.Changes), got.Live.ID, err)
	}
}

func TestAListOfChangesSaysHowManyThereAre(t *testing.T) {
	p := &lookback{interval: 15 * time.Second, deployed: []info{
		{manifest("v13", "m1", "live"), [][2]float64{{-100, 31}}},
		{manifest("v14", "m1", "live"), [][2]float64{{31.25, 100}}},
	}}
	list, facts, err := New(p, nil, map[string]string{"s": `job="a"`}).Changes(t.Context(), "s", minute(0), minute(60), 15*time.Second)
	if err != nil || len(list) != 1 || facts.Shown != 1 || facts.Total != 1 {
		t.Fatalf("%d changes, facts %+v, err %v", len(list), facts, err)
	}
}

func TestTwoInstancesScrapedAtDifferentTimesAreNotAChange(t *testing.T) {
	p := &lookback{interval: 60 * time.Second, deployed: []info{
		{manifest("v13", "m1", "live"), [][2]float64{{-100, 100}}},
		{manifest("v13", "m1", "canary"), [][2]float64{{-99.5, 100}}},
	}}
	got, err := New(p, nil, map[string]string{"s": `job="a"`}).Read(t.Context(), "s", minute(0), minute(60), 15*time.Second)
	if err != nil || len(got.Changes) != 0 {
		t.Fatalf("changes %s, err %v", say(got.Changes), err)
	}
}

func TestARefreshLooksForAStartOnlyOnce(t *testing.T) {
	p := &lookback{interval: 15 * time.Second, deployed: []info{
		{manifest("v13", "m1", "live"), [][2]float64{{-1000, 31}}},
		{manifest("v14", "m1", "live"), [][2]float64{{31.25, 300}}},
	}}
	r := New(p, nil, map[string]string{"s": `job="a"`})
	for i := range 3 {
		if _, err := r.Read(t.Context(), "s", minute(-60), minute(60+float64(i)/10), 5*time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if p.asked != 5 { // deployed, served, features, fallbacks, one closer look
		t.Errorf("%d queries", p.asked)
	}
}

type rowList []sources.VersionCount

func (r rowList) Versions(context.Context, string, time.Time, time.Time, time.Duration) ([]sources.VersionCount, error) {
	return r, nil
}

type brokenRows struct{}

func (brokenRows) Versions(context.Context, string, time.Time, time.Time, time.Duration) ([]sources.VersionCount, error) {
	return nil, errors.New("partition locked; close the other program")
}

func rows(component sources.Component, m float64, version, served string, n int) sources.VersionCount {
	return sources.VersionCount{Start: minute(m), Component: component, Version: version, Served: served, N: n}
}

func TestChangesFromRequestRows(t *testing.T) {
	for _, tc := range []struct {
		name string
		rows rowList
		want string
	}{
		{"one version", rowList{rows(sources.Prompt, 0, "v13", "", 50), rows(sources.Prompt, 1, "v13", "", 50)}, ""},
		{"another version became dominant", rowList{
			rows(sources.Prompt, 0, "v13", "", 50),
			rows(sources.Prompt, 1, "v13", "", 40), rows(sources.Prompt, 1, "v14", "", 10),
			rows(sources.Prompt, 2, "v14", "", 50),
		}, "prompt v13→v14 @1.0 "},
		{"a canary's share is no change", rowList{
			rows(sources.Prompt, 0, "v13", "", 50),
			rows(sources.Prompt, 1, "v13", "", 45), rows(sources.Prompt, 1, "v14", "", 5),
		}, ""},
		{"one odd bucket is no change", rowList{
			rows(sources.Prompt, 0, "v13", "", 50), rows(sources.Prompt, 1, "v14", "", 6), rows(sources.Prompt, 2, "v13", "", 50),
		}, ""},
		{"too few requests are no change", rowList{rows(sources.Prompt, 0, "v13", "", 50), rows(sources.Prompt, 1, "v14", "", 2)}, ""},
		{"rows without a version are no change", rowList{rows(sources.Prompt, 0, "v13", "", 50), rows(sources.Prompt, 1, "", "", 50)}, ""},
		{"the served model moved alone", rowList{
			rows(sources.Model, 0, "m1", "m1-0815", 50), rows(sources.Model, 1, "m1", "m1-1001", 50),
		}, "model m1-0815→m1-1001 @1.0  silent"},
		{"out of order", rowList{rows(sources.Tools, 2, "t2", "", 50), rows(sources.Tools, 0, "t1", "", 50)}, "tools t1→t2 @2.0 "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := New(nil, tc.rows, nil).Read(t.Context(), "s", minute(-60), minute(60), time.Minute)
			if err != nil || say(got.Changes) != tc.want {
				t.Fatalf("changes %q, want %q (err %v)", say(got.Changes), tc.want, err)
			}
		})
	}
}

func TestOneChangeSeenByTwoSourcesIsOneChange(t *testing.T) {
	p := &lookback{interval: 15 * time.Second, deployed: []info{
		{manifest("v13", "m1", "live"), [][2]float64{{-100, 31}}},
		{manifest("v14", "m1", "live"), [][2]float64{{31.25, 100}}},
	}}
	seen := rowList{
		rows(sources.Prompt, 30, "v13", "", 50), rows(sources.Prompt, 32, "v14", "", 50),
		rows(sources.Tools, 30, "t1", "", 50), rows(sources.Tools, 32, "t2", "", 50),
	}
	got, err := New(p, seen, map[string]string{"s": `job="a"`}).Read(t.Context(), "s", minute(-60), minute(60), 15*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if want := "prompt v13→v14 @31.2 live; tools t1→t2 @32.0 "; say(got.Changes) != want {
		t.Fatalf("changes %s, want %s", say(got.Changes), want)
	}
	if c := got.Changes[0]; c.Source != "prometheus" || c.Evidence != "50 of 50 requests ran v14" || c.Manifest != "v14-m1" {
		t.Errorf("change %+v", c)
	}
}

func TestOneSourceDownLeavesTheOther(t *testing.T) {
	p := &lookback{interval: 15 * time.Second, deployed: []info{{manifest("v13", "m1", "live"), [][2]float64{{-100, 100}}}}}
	got, err := New(p, brokenRows{}, map[string]string{"s": `job="a"`}).Read(t.Context(), "s", minute(0), minute(60), 15*time.Second)
	if err != nil || got.Live.ID != "v13-m1" || !strings.Contains(got.Facts.Partial, "partition locked") {
		t.Fatalf("timeline %+v, err %v", got, err)
	}
	p.fail = errors.New("connection refused")
	got, err = New(p, rowList{rows(sources.Prompt, 0, "v13", "", 50)}, nil).Read(t.Context(), "s", minute(0), minute(60), 15*time.Second)
	if err != nil || got.Live.Versions[sources.Prompt] != "v13" || !strings.Contains(got.Facts.Partial, "connection refused") {
		t.Fatalf("timeline %+v, err %v", got, err)
	}
	if _, err = New(p, brokenRows{}, nil).Read(t.Context(), "s", minute(0), minute(60), 15*time.Second); err == nil {
		t.Error("both sources are down and nobody says so")
	}
}

func TestNoInfoMetricIsNoChangeAndNoManifest(t *testing.T) {
	p := &lookback{interval: 15 * time.Second}
	got, err := New(p, nil, map[string]string{"s": `job="a"`}).Read(t.Context(), "s", minute(0), minute(60), 15*time.Second)
	if err != nil || len(got.Changes) != 0 || got.Live.Versions != nil {
		t.Fatalf("timeline %+v, err %v", got, err)
	}
}

// growing is a source of one row per minute, one of which may be counted again later.
type growing struct {
	asked []string
	extra map[time.Time]int
}

func (g *growing) Versions(_ context.Context, _ string, since, until time.Time, step time.Duration) ([]sources.VersionCount, error) {
	g.asked = append(g.asked, since.Format("15:04")+"-"+until.Format("15:04"))
	var out []sources.VersionCount
	for at := since; at.Before(until); at = at.Add(step) {
		out = append(out, sources.VersionCount{Start: at, Component: sources.Prompt, Version: "v13", N: 10 + g.extra[at]})
	}
	return out, nil
}

func TestRowsThatCannotHaveChangedAreNotCountedAgain(t *testing.T) {
	src := &growing{extra: map[time.Time]int{}}
	r := New(nil, src, nil)
	at := time.Date(2026, 11, 23, 3, 0, 10, 0, time.UTC)
	read := func(back, on time.Duration) []sources.VersionCount {
		t.Helper()
		got, err := r.versions(t.Context(), "assistant", at.Add(on-back), at.Add(on), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	read(2*time.Hour, 0)
	read(2*time.Hour, 15*time.Second) // the same minute
	src.extra[at.Truncate(time.Minute).Add(-2*time.Minute)] = 5
	got := read(2*time.Hour, time.Minute)
	read(10*time.Minute, 2*time.Minute) // a short look keeps the long one's beginning
	read(2*time.Hour, 3*time.Minute)
	read(2*time.Hour, -time.Hour) // before what is known
	want := []string{"01:00-03:01", "02:56-03:02", "02:57-03:03", "02:58-03:04", "00:00-02:01"}
	if !slices.Equal(src.asked, want) {
		t.Errorf("asked %v, want %v", src.asked, want)
	}
	if len(got) != 121 {
		t.Fatalf("%d minutes", len(got))
	}
	for i, c := range got {
		n := 10
		if i == 117 { // 02:58, to which rows came late
			n = 15
		}
		if want := at.Truncate(time.Minute).Add(time.Duration(i-119) * time.Minute); !c.Start.Equal(want) || c.N != n {
			t.Fatalf("minute %d is %s with %d, want %s with %d", i, c.Start, c.N, want, n)
		}
	}
}
