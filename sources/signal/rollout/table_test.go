package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

// group draws requests of one kind: so many a minute, from one minute to another.
type group struct {
	from, to int
	each     int
	bad      float64
	latency  float64
	text     map[string]string
}

func table(groups ...group) *sources.RequestTable {
	r := rand.New(rand.NewPCG(3, 4))
	type row struct {
		at      time.Duration
		text    map[string]string
		latency float64
	}
	var rows []row
	for _, g := range groups {
		for m := g.from; m < g.to; m++ {
			for range g.each {
				x := row{time.Duration(m)*time.Minute + time.Duration(r.IntN(60))*time.Second, map[string]string{"outcome": "ok", "schema": "pass"}, g.latency * (0.5 + r.Float64())}
				for k, v := range g.text {
					x.text[k] = v
				}
				if r.Float64() < g.bad {
					x.text["schema"] = "fail"
				}
				rows = append(rows, x)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return int(a.at - b.at) })
	t := &sources.RequestTable{N: len(rows), Start: t0, Every: 1}
	for _, x := range rows {
		t.Time = append(t.Time, x.at)
	}
	for _, name := range Text {
		c := sources.TextColumn{Name: name, Values: []string{""}}
		at := map[string]uint32{"": 0}
		for _, x := range rows {
			v := x.text[name]
			code, ok := at[v]
			if !ok {
				code = uint32(len(c.Values))
				at[v] = code
				c.Values = append(c.Values, v)
			}
			c.Codes = append(c.Codes, code)
		}
		t.Text = append(t.Text, c)
	}
	n := sources.NumberColumn{Name: "latency"}
	for _, x := range rows {
		n.V = append(n.V, x.latency)
	}
	t.Numbers = append(t.Numbers, n)
	return t
}

func of(pairs ...string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = pairs[i+1]
	}
	return out
}

func TestRolloutsAreSeenInRequestRows(t *testing.T) {
	live := group{0, 60, 90, 0.012, 1, of("stage", "live", "prompt", "v13", "manifest", "m-1")}
	canary := func(bad float64) group {
		return group{20, 60, 100, bad, 1, of("stage", "canary", "prompt", "v14", "manifest", "m-2")}
	}
	with := func(g group, pairs ...string) group { g.text = of(pairs...); return g }
	for _, tc := range []struct {
		name  string
		table *sources.RequestTable
		want  []string // kind, verdict, title
		doubt string
	}{
		{"a bad canary", table(live, canary(0.1)), []string{"canary roll back Canary prompt v14"}, ""},
		{"a good canary", table(live, canary(0.012)), []string{"canary promote Canary prompt v14"}, ""},
		{"one version", table(live), nil, ""},
		{"a canary that ended", table(live, group{0, 40, 20, 0.1, 1, of("stage", "canary", "prompt", "v14")}), nil, ""},
		{"an ordinary deployment", table(group{0, 50, 90, 0.012, 1, of("stage", "live", "prompt", "v13")}, group{50, 60, 90, 0.1, 1, of("stage", "live", "prompt", "v14")}), nil, ""},
		{"a shadow", table(live, with(canary(0.1), "stage", "shadow", "model", "m2", "prompt", "v13")), []string{"shadow roll back Shadow model m2"}, ""},
		{"a canary beside what has no stage", table(with(live, "prompt", "v13"), canary(0.1)), []string{"canary roll back Canary prompt v14"}, ""},
		{"a stage of a rollout", table(live, with(canary(0.1), "stage", "internal", "tools", "t2", "prompt", "v13")), []string{"graduated roll back Rollout stage internal tools t2"}, ""},
		{"no stages, one came later", table(with(live, "prompt", "v13"), with(canary(0.1), "prompt", "v14")), []string{"side by side roll back Side by side, prompt v14 and prompt v13"}, ""},
		{
			"no stages, both all the time", table(with(live, "prompt", "v13"), group{0, 60, 80, 0.1, 1, of("prompt", "v14")}),
			[]string{"side by side hold Side by side, prompt v14 and prompt v13"},
			"which of the two is the new one is not known",
		},
		{
			"blue and green, after the switch", table(group{0, 60, 5, 0.012, 1, of("environment", "blue", "prompt", "v13")}, group{30, 60, 90, 0.1, 1, of("environment", "green", "prompt", "v14")}),
			[]string{"blue/green roll back Blue/green, green prompt v14"},
			"",
		},
		{
			"two manifests in one stage", table(live, group{20, 60, 60, 0.1, 1, of("stage", "live", "prompt", "v14", "manifest", "m-2")}),
			[]string{"graduated roll back Rollout stage live prompt v14"},
			"2 manifests at one time in stage live",
		},
		{
			"two manifests in one stage, and nobody knows which is new", table(live, group{0, 60, 60, 0.1, 1, of("stage", "live", "prompt", "v14", "manifest", "m-2")}),
			[]string{"graduated hold Rollout stage live prompt v14"},
			"2 manifests at one time in stage live",
		},
		{
			"two manifests in the canary", table(live, canary(0.1), group{20, 60, 30, 0.012, 1, of("stage", "canary", "prompt", "v15", "manifest", "m-3")}),
			[]string{"canary roll back Canary prompt v14", "canary hold Canary prompt v15"},
			"2 manifests at one time in stage canary",
		},
		{
			"a canary worse than either of two live ones", table(live, canary(0.1), group{0, 60, 60, 0.012, 1, of("stage", "live", "prompt", "v12", "manifest", "m-0")}),
			[]string{"canary roll back Canary prompt v14", "graduated hold"},
			"2 manifests at one time in stage live",
		},
		{
			"a canary as bad as one of two live ones", table(live, canary(0.1), group{0, 60, 60, 0.1, 1, of("stage", "live", "prompt", "v12", "manifest", "m-0")}),
			[]string{"canary hold Canary prompt v14", "graduated hold"},
			"2 manifests at one time in stage live",
		},
		{"rows that lack a version are no other version", table(live, group{0, 60, 5, 0, 1, of("stage", "live", "manifest", "m-1")}), nil, ""},
		{"another environment is no rollout", table(with(live, "environment", "prod", "prompt", "v13"), with(canary(0.1), "environment", "staging", "prompt", "v14")), nil, ""},
		{"a single request", table(live, group{59, 60, 1, 1, 1, of("stage", "canary", "prompt", "v14")}), []string{"canary hold Canary prompt v14"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pairs, doubts := FromTable(tc.table, t0, t0.Add(time.Hour))
			var got []string
			said := doubts
			for i := range pairs {
				c := Decide(&pairs[i])
				got = append(got, string(c.Kind)+" "+string(c.Verdict)+" "+c.Title())
				said = append(said, c.Doubts...)
			}
			if len(got) != len(tc.want) {
				t.Fatalf("%q, doubts %q, want %q", got, said, tc.want)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], tc.want[i]) {
					t.Errorf("%q, want %q", got[i], tc.want[i])
				}
			}
			if s := strings.Join(said, "; "); tc.doubt != "" && !strings.Contains(s, tc.doubt) || tc.doubt == "" && s != "" {
				t.Errorf("doubts %q, want %q", s, tc.doubt)
			}
		})
	}
}

func TestBlueAndGreenSayWhichIsLive(t *testing.T) {
	pairs, _ := FromTable(table(group{0, 60, 5, 0.012, 1, of("environment", "blue", "prompt", "v13")}, group{30, 60, 90, 0.012, 1, of("environment", "green", "prompt", "v14")}), t0, t0.Add(time.Hour))
	if c := Decide(&pairs[0]); c.Live != "green" {
		t.Errorf("live is %q of %+v and %+v", c.Live, c.Candidate, c.Control)
	}
	pairs, _ = FromTable(table(group{0, 60, 50, 0.012, 1, of("environment", "blue", "prompt", "v13")}, group{30, 60, 50, 0.012, 1, of("environment", "green", "prompt", "v14")}), t0, t0.Add(time.Hour))
	if c := Decide(&pairs[0]); c.Live != "" {
		t.Errorf("half and half, and yet %q is live", c.Live)
	}
}

func TestASlowCandidateIsSeenByWhatNineOfTenOfTheControlKeep(t *testing.T) {
	pairs, _ := FromTable(table(
		group{0, 60, 90, 0.012, 1, of("stage", "live", "prompt", "v13")},
		group{20, 60, 20, 0.012, 1.6, of("stage", "canary", "prompt", "v14")}), t0, t0.Add(time.Hour))
	c := Decide(&pairs[0])
	if c.Verdict != RollBack || !strings.HasPrefix(c.Why, "slow answers (over 1.4 s)") {
		t.Errorf("%s: %s", c.Verdict, c.Why)
	}
}

func TestFiftyThousandVersionsAreADoubtAndNoComparison(t *testing.T) {
	var groups []group
	for i := range 50_000 {
		groups = append(groups, group{i % 60, i%60 + 1, 1, 0, 1, of("stage", "live", "prompt", fmt.Sprint("v", i))})
	}
	pairs, doubts := FromTable(table(groups...), t0, t0.Add(time.Hour))
	if len(pairs) != 0 || len(doubts) != 1 || !strings.Contains(doubts[0], "more than 200 versions at once") {
		t.Errorf("%d pairs, doubts %q", len(pairs), doubts)
	}
}

func TestRowsWhoseClockIsOffHaveNoPart(t *testing.T) {
	tb := table(
		group{0, 60, 90, 0.012, 1, of("stage", "live", "prompt", "v13")},
		group{120, 180, 20, 1, 1, of("stage", "canary", "prompt", "v14")})
	if pairs, _ := FromTable(tb, t0, t0.Add(time.Hour)); len(pairs) != 0 {
		t.Error("rows of the future are compared")
	}
	if pairs, doubts := FromTable(&sources.RequestTable{}, t0, t0.Add(time.Hour)); len(pairs) != 0 || len(doubts) != 0 {
		t.Error("of no rows something is said")
	}
}
