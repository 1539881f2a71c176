package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/manifest"
	"rollcall/sources/signal/rollout"
	"rollcall/sources/signal/stat"
)

// canary is a rollout whose candidate fails k of a hundred validations a minute.
func canary(k float64) *rollout.Report {
	minutes := func(k, n float64) []stat.Count {
		out := make([]stat.Count, 30)
		for i := range out {
			out[i] = stat.Count{K: k, N: n}
		}
		return out
	}
	at := time.Date(2026, 3, 10, 2, 47, 0, 0, time.UTC)
	c := rollout.Decide(&rollout.Input{
		Kind: rollout.Canary, Newer: true, Provider: "prometheus", From: at.Add(-30 * time.Minute), To: at,
		Candidate: rollout.Side{Name: "canary", Versions: map[sources.Component]string{sources.Prompt: "v14"}, Share: sources.N(0.1)},
		Control:   rollout.Side{Name: "live", Versions: map[sources.Component]string{sources.Prompt: "v13"}, Share: sources.N(0.9)},
		Counted:   []rollout.Counted{{ID: "schema_failures", Name: "schema failures", Core: true, Tried: minutes(k, 100), Beside: minutes(11, 900)}},
		NotSeen:   []string{"thumbs down"},
	})
	return rollout.New(at, []rollout.Comparison{c}, nil, sources.Facts{})
}

func TestChangesCompareWhatRunsSideBySide(t *testing.T) {
	for _, tc := range []struct {
		k    float64
		code int
		says string
	}{
		{9, ExitBad, "Canary prompt v14: roll back, schema failures 9.0% (270/3,000) vs 1.2% (330/27,000), 7.4×, p="},
		{1, ExitOK, "Canary prompt v14: promote, schema failures no worse than live in 30 minutes and 3,000 requests."},
	} {
		b := newBench(t, oneService)
		b.session.rollout = canary(tc.k)
		if code := b.Run(t.Context(), []string{"changes", "--rollout"}); code != tc.code {
			t.Errorf("exit %d, want %d: %s", code, tc.code, b.err.String())
		}
		for _, s := range []string{tc.says, "10% of the traffic now", "from metrics", "not counted by version: thumbs down"} {
			if !strings.Contains(b.out.String(), s) {
				t.Errorf("%q is not in:\n%s", s, b.out.String())
			}
		}
		b = newBench(t, oneService)
		b.session.rollout = canary(tc.k)
		if code := b.Run(t.Context(), []string{"changes", "--rollout", "-o", "json"}); code != tc.code {
			t.Errorf("exit %d with JSON, want %d", code, tc.code)
		}
		var out rolloutJSON
		if err := json.Unmarshal(b.out.Bytes(), &out); err != nil || len(out.Rollouts) != 1 || out.Rollouts[0].Outcomes[0].N != 3000 {
			t.Errorf("JSON %s, err %v", b.out.String(), err)
		}
	}
}

func TestChangesStayAListInJSONWhateverElseIsKnown(t *testing.T) {
	b := newBench(t, oneService)
	b.session.rollout, b.session.doubts = canary(9), []string{"the manifest folder and what runs differ: prompt v13 in the folder, v14 in prometheus"}
	if code := b.Run(t.Context(), []string{"changes", "-o", "json"}); code != ExitOK {
		t.Errorf("exit %d", code)
	}
	var list []sources.Change
	if err := json.Unmarshal(b.out.Bytes(), &list); err != nil {
		t.Errorf("no list: %v", err)
	}
	if !strings.Contains(b.err.String(), "prompt v13 in the folder") {
		t.Errorf("the contradiction is not said: %s", b.err.String())
	}
}

func TestChangesSayWhatIsDoubtfulAndUnpinned(t *testing.T) {
	b := newBench(t, oneService)
	b.session.doubts = []string{"2 manifests at one time in stage live: prompt v14 and v13\x1b[2J"}
	b.session.aliases = []manifest.Alias{{Model: "gpt-4.1", Requests: 412, Of: 430}}
	b.Run(t.Context(), []string{"changes"})
	for _, s := range []string{"Doubt: 2 manifests at one time in stage live", "Unpinned: gpt-4.1 is an alias", "(412 of 430 requests)"} {
		if !strings.Contains(b.out.String(), s) {
			t.Errorf("%q is not in:\n%s", s, b.out.String())
		}
	}
	if strings.Contains(b.out.String(), "\x1b[2J") {
		t.Error("a control sequence reaches the terminal")
	}
	b = newBench(t, oneService)
	b.Run(t.Context(), []string{"changes", "--rollout"})
	if !strings.Contains(b.out.String(), "One version runs") {
		t.Errorf("without a rollout: %s", b.out.String())
	}
}
