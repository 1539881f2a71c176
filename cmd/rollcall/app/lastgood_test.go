package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/runbooks/pin"
	"rollcall/sources"
	"rollcall/sources/manifest"
	"rollcall/store/journal"
)

// The last good manifest is the newest one of the request's own stage that lived well, unless
// a person has marked a version.
func TestTheLastGoodManifestIsOfTheRequestsStageAndAMarkWins(t *testing.T) {
	cfg := servers(t, emptyProm, nil)
	dir := t.TempDir()
	now := time.Now().UTC().Truncate(time.Second)
	for i, m := range []struct {
		stage, prompt string
		ago           time.Duration
	}{{"live", "v12", 30 * time.Hour}, {"live", "v13", 3 * time.Hour}, {"canary", "v14", 2 * time.Hour}, {"canary", "v15", 90 * time.Minute}} {
		text := fmt.Sprintf("stage: %s\nat: %s\nversions: {prompt: %s}\n", m.stage, now.Add(-m.ago).Format(time.RFC3339), m.prompt)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := cfg.Services["assistant"]
	s.Manifests = &manifest.Config{Dir: dir}
	cfg.Services["assistant"] = s
	a := open(t, cfg, Options{Once: true})

	good := func(stage, prompt string) (string, string, string) {
		t.Helper()
		m, diff, answer := a.compared(t.Context(), "assistant", &sources.Request{Time: now.Add(-time.Hour), Stage: stage, Prompt: prompt})
		if m == nil {
			return "", "", answer.Note
		}
		var moved []string
		for _, c := range diff {
			moved = append(moved, c.From+"→"+c.To)
		}
		return m.Versions[sources.Prompt], strings.Join(moved, " "), answer.Note
	}
	if v, diff, note := good("live", "v13"); v != "v12" || diff != "v12→v13" || !strings.HasPrefix(note, "good until ") {
		t.Errorf("of a live request: %q, differs %q: %s", v, diff, note)
	}
	if v, diff, note := good("canary", "v15"); v != "v14" || diff != "v14→v15" {
		t.Errorf("of a request of the canary: %q, differs %q: %s", v, diff, note)
	}
	j, err := a.Journal()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"v9", "v11"} { // the newest mark counts
		if _, err := j.Append(t.Context(), journal.Draft{Kind: journal.GoodMarked, Service: "assistant", Data: pin.GoodMarked{Component: sources.Prompt, Version: v}}); err != nil {
			t.Fatal(err)
		}
	}
	if v, diff, note := good("live", "v13"); v != "v11" || diff != "v11→v13" || !strings.Contains(note, "prompt v11 marked good") {
		t.Errorf("with a mark: %q, differs %q: %s", v, diff, note)
	}
	if v, diff, note := good("live", "v11"); v != "v11" || diff != "" {
		t.Errorf("of a request that ran what is marked: %q, differs %q: %s", v, diff, note)
	}
}

func TestTheDoctorNamesManifestsThatContradictEachOther(t *testing.T) {
	cfg := servers(t, emptyProm, nil)
	dir := t.TempDir()
	s := cfg.Services["assistant"]
	s.Manifests = &manifest.Config{Dir: dir}
	cfg.Services["assistant"] = s
	write := func(name, prompt string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("versions: {prompt: "+prompt+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", "v13")
	if f := open(t, cfg, Options{Once: true}).checkManifests(t.Context(), "assistant"); len(f) != 1 || f[0].Verdict != sources.OK {
		t.Errorf("findings %+v", f)
	}
	write("b.yaml", "v14")
	if f := open(t, cfg, Options{Once: true}).checkManifests(t.Context(), "assistant"); len(f) != 1 || f[0].Verdict != sources.Watch || !strings.Contains(f[0].Detail, "a.yaml and b.yaml both say") {
		t.Errorf("findings %+v", f)
	}
}
