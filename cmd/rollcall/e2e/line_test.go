package e2e

import (
	"encoding/json"
	"regexp"
	"testing"
	"time"
)

// says waits until the verdict line calls something bad, in words like those of a pattern.
func (d *drill) says(t *testing.T, pattern string) {
	t.Helper()
	want := regexp.MustCompile(pattern)
	var s struct{ Line, Verdict string }
	defer func() { t.Log(s.Line) }()
	poll(t, 180*time.Second, "line like "+pattern, func() bool {
		out, code := d.run(t, "status", "-o", "json")
		return json.Unmarshal([]byte(out), &s) == nil && code == 1 && s.Verdict == "bad" && want.MatchString(s.Line)
	})
}

// What no attribute of the requests explains is said without a suspect: what is
// wrong, of which kind, since when, and that nothing changed before. The lines of
// the other scenarios are tested with what was planted there.
func TestTheLineTellsWhatNothingExplains(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("plays two scenarios")
	}
	dir := binaries(t)
	for scenario, line := range map[string]string{
		"provider-outage": `^Errors \d.*, mostly \w+, since \d\d:\d\d.*usual 0\.\d%.*No change seen in the 30 minutes before\.`,
		"rate-limiting":   `^(Errors .*mostly rate_limited|Rate-limit headroom)`,
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			startHeadless(t, dir, scenario).says(t, line)
		})
	}
}
