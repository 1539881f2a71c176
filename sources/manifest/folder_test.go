package manifest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

type still struct{ now time.Time }

func (c *still) Now() time.Time                       { return c.now }
func (c *still) Wall() time.Time                      { return c.now }
func (c *still) ToWall(d time.Duration) time.Duration { return d }

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// repository makes a work tree whose commits have the times of the test.
type repository struct {
	t   *testing.T
	dir string
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	r := &repository{t, t.TempDir()}
	r.git(0, "init", "-q")
	return r
}

func (r *repository) git(m float64, args ...string) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Dir = r.dir
	at := minute(m).Format(time.RFC3339)
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=Ann Other", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=x", "GIT_COMMITTER_EMAIL=x@y",
		"GIT_COMMITTER_DATE="+at, "GIT_AUTHOR_DATE="+at, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git %v: %v: %s", args, err, out)
	}
}

func (r *repository) commit(m float64, name, text string) {
	r.t.Helper()
	if text == "" {
		r.git(m, "rm", "-q", name)
	} else {
		write(r.t, r.dir, name, text)
		r.git(m, "add", name)
	}
	r.git(m, "commit", "-q", "-m", "deploy")
}

func declare(stage, prompt string) string {
	return fmt.Sprintf("manifest: m-%s\nstage: %s\nenvironment: prod\nversions: {prompt: %s, model: m1}\n", prompt, stage, prompt)
}

func readDir(t *testing.T, dir string) Timeline {
	t.Helper()
	got, err := New(nil, nil, nil).WithFolder("s", dir, &still{minute(120)}, nil).Read(t.Context(), "s", minute(0), minute(120), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTheHistoryOfAFolderSaysWhatMovedWhenAndByWhom(t *testing.T) {
	r := newRepository(t)
	r.commit(-100, "live.yaml", declare("live", "v13"))
	r.commit(20, "canary.yaml", declare("canary", "v14"))
	r.commit(40, "live.yaml", declare("live", "v14"))
	r.commit(41, "canary.yaml", "")
	got := readDir(t, r.dir)
	if want := "prompt v13→v14 @20.0 canary; prompt v13→v14 @40.0 live"; say(got.Changes) != want {
		t.Fatalf("changes %s, want %s", say(got.Changes), want)
	}
	c := got.Changes[1]
	if c.Source != "folder" || c.Manifest != "m-v14" || !strings.HasPrefix(c.Evidence, "by Ann Other, live.yaml, commit ") || c.Doubt == "" {
		t.Errorf("change %+v", c)
	}
	if got.Live.ID != "m-v14" || got.Live.Versions[sources.Prompt] != "v14" || len(got.Doubts) != 0 {
		t.Errorf("live %+v, doubts %q", got.Live, got.Doubts)
	}
}

func TestAFolderBelowTheTopOfAWorkTreeHasItsHistoryToo(t *testing.T) {
	r := newRepository(t)
	below := filepath.Join(r.dir, "deploy")
	if err := os.Mkdir(below, 0o700); err != nil {
		t.Fatal(err)
	}
	r.commit(-10, "deploy/live.yaml", declare("live", "v13"))
	r.commit(5, "deploy/live.yaml", declare("live", "v14"))
	r.commit(6, "elsewhere.yaml", declare("live", "v99"))
	if got := readDir(t, below); say(got.Changes) != "prompt v13→v14 @5.0 live" || got.Live.Versions[sources.Prompt] != "v14" {
		t.Errorf("changes %s, live %+v, doubts %q", say(got.Changes), got.Live, got.Doubts)
	}
}

func TestWithoutHistoryAFileSaysWhatIsLiveAndItsOwnTimeWhen(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "live.yaml", declare("live", "v14"))
	got := readDir(t, dir)
	if len(got.Changes) != 0 || got.Live.Versions[sources.Prompt] != "v14" || len(got.Doubts) != 0 {
		t.Errorf("changes %s, live %+v, doubts %q", say(got.Changes), got.Live, got.Doubts)
	}
	dir = t.TempDir()
	for i, v := range []string{"v12", "v13", "v14"} {
		write(t, dir, v+".yaml", fmt.Sprintf("at: %s\nby: ann\nversions: {prompt: %s}\n", minute(float64(10*i-5)).Format(time.RFC3339), v))
	}
	got = readDir(t, dir)
	if want := "prompt v12→v13 @5.0 live; prompt v13→v14 @15.0 live"; say(got.Changes) != want || got.Live.Versions[sources.Prompt] != "v14" || len(got.Doubts) != 0 {
		t.Errorf("changes %s, live %+v, doubts %q", say(got.Changes), got.Live, got.Doubts)
	}
	if c := got.Changes[1]; c.Doubt != "" || c.Evidence != "by ann, v14.yaml" {
		t.Errorf("a time that the file gives is no doubt: %+v", c)
	}
}

func TestTwoFilesThatClaimOneStageAreADoubtAndNoneIsTaken(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", declare("live", "v13"))
	write(t, dir, "b.yaml", declare("live", "v14"))
	got := readDir(t, dir)
	if got.Live.Versions != nil || len(got.Changes) != 0 {
		t.Errorf("one is taken: live %+v, changes %s", got.Live, say(got.Changes))
	}
	if len(got.Doubts) != 1 || !strings.Contains(got.Doubts[0], "a.yaml and b.yaml both say what is in stage live: prompt v13 and v14") {
		t.Errorf("doubts %q", got.Doubts)
	}
}

func TestAFolderThatContradictsWhatRunsIsADoubtAndWhatRunsCounts(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "live.yaml", declare("live", "v13"))
	p := &lookback{interval: 15 * time.Second, deployed: []info{{manifest("v14", "m1", "live"), [][2]float64{{-100, 200}}}}}
	got, err := New(p, nil, map[string]string{"s": `job="a"`}).WithFolder("s", dir, &still{minute(120)}, nil).Read(t.Context(), "s", minute(0), minute(120), time.Minute)
	if err != nil || got.Live.Versions[sources.Prompt] != "v14" {
		t.Fatalf("live %+v, err %v", got.Live, err)
	}
	if len(got.Doubts) != 1 || !strings.Contains(got.Doubts[0], "prompt v13 in the folder, v14 in prometheus") {
		t.Errorf("doubts %q", got.Doubts)
	}
}

func TestWhatTheFolderDeclaredAndTheMetricsSawIsOneChange(t *testing.T) {
	r := newRepository(t)
	r.commit(-100, "live.yaml", declare("live", "v13"))
	r.commit(20, "live.yaml", declare("live", "v14"))
	p := &lookback{interval: 15 * time.Second, deployed: []info{
		{manifest("v13", "m1", "live"), [][2]float64{{-100, 31}}},
		{manifest("v14", "m1", "live"), [][2]float64{{31.25, 200}}},
	}}
	got, err := New(p, nil, map[string]string{"s": `job="a"`}).WithFolder("s", r.dir, &still{minute(120)}, nil).Read(t.Context(), "s", minute(0), minute(60), 15*time.Second)
	if err != nil || say(got.Changes) != "prompt v13→v14 @31.2 live" {
		t.Fatalf("changes %s, err %v", say(got.Changes), err)
	}
	if c := got.Changes[0]; c.Source != "prometheus" || c.Doubt != "" || !strings.Contains(c.Evidence, "by Ann Other, live.yaml") {
		t.Errorf("change %+v", c)
	}
}

func TestABrokenRepositoryIsADoubtAndTheFilesStillCount(t *testing.T) {
	r := newRepository(t)
	r.commit(-10, "live.yaml", declare("live", "v13"))
	if err := os.RemoveAll(filepath.Join(r.dir, ".git", "objects")); err != nil {
		t.Fatal(err)
	}
	got := readDir(t, r.dir)
	if got.Live.Versions[sources.Prompt] != "v13" || len(got.Doubts) != 1 || !strings.Contains(got.Doubts[0], "what the files say now still counts") {
		t.Errorf("live %+v, doubts %q", got.Live, got.Doubts)
	}
}

func TestWithoutGitAWorkTreeIsADoubt(t *testing.T) {
	r := newRepository(t)
	r.commit(-10, "live.yaml", declare("live", "v13"))
	t.Setenv("PATH", t.TempDir())
	got := readDir(t, r.dir)
	if got.Live.Versions[sources.Prompt] != "v13" || len(got.Doubts) != 1 || !strings.Contains(got.Doubts[0], "git is not installed") {
		t.Errorf("live %+v, doubts %q", got.Live, got.Doubts)
	}
}

func TestWhatIsNotCommittedHasNoTime(t *testing.T) {
	r := newRepository(t)
	r.commit(-10, "live.yaml", declare("live", "v13"))
	write(t, r.dir, "live.yaml", declare("live", "v14"))
	write(t, r.dir, "canary.yaml", declare("canary", "v15"))
	got := readDir(t, r.dir)
	if len(got.Changes) != 0 || got.Live.Versions[sources.Prompt] != "v14" {
		t.Errorf("changes %s, live %+v", say(got.Changes), got.Live)
	}
	if s := strings.Join(got.Doubts, "; "); !strings.Contains(s, "live.yaml is not as it was last committed") || !strings.Contains(s, "canary.yaml is not committed") {
		t.Errorf("doubts %q", got.Doubts)
	}
}

func TestNothingThatARepositoryConfiguresIsExecuted(t *testing.T) {
	r := newRepository(t)
	r.commit(-10, "live.yaml", declare("live", "v13"))
	marker := filepath.Join(t.TempDir(), "executed")
	script := filepath.Join(t.TempDir(), "evil.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntouch "+marker+"\n"), 0o700); err != nil { //nolint:gosec // it must be executable to prove that it is not executed
		t.Fatal(err)
	}
	for _, key := range []string{"core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.askPass", "core.gitProxy", "gpg.program", "diff.external", "diff.evil.textconv", "diff.evil.command", "filter.evil.smudge", "filter.evil.clean", "credential.helper", "sequence.editor", "pager.log", "uploadpack.packObjectsHook"} {
		r.git(0, "config", key, script)
	}
	r.git(0, "config", "log.showSignature", "true")
	r.git(0, "config", "extensions.partialClone", "origin")
	r.git(0, "config", "remote.origin.url", "ext::"+script)
	r.git(0, "config", "remote.origin.promisor", "true")
	r.git(0, "config", "protocol.allow", "always")
	if err := os.WriteFile(filepath.Join(r.dir, ".git", "info", "attributes"), []byte("*.yaml diff=evil filter=evil\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, hook := range []string{"post-checkout", "pre-commit", "reference-transaction", "post-index-change"} {
		text, _ := os.ReadFile(script)                                                                 //nolint:gosec // written above
		if err := os.WriteFile(filepath.Join(r.dir, ".git", "hooks", hook), text, 0o700); err != nil { //nolint:gosec // as above
			t.Fatal(err)
		}
	}
	_ = os.Remove(marker) // what setting it up executed
	if got := readDir(t, r.dir); got.Live.Versions[sources.Prompt] != "v13" {
		t.Errorf("live %+v, doubts %q", got.Live, got.Doubts)
	}
	// And where an object is missing, so that git would fetch it.
	objects, err := filepath.Glob(filepath.Join(r.dir, ".git", "objects", "??", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		text := exec.CommandContext(t.Context(), "git", "cat-file", "-t", filepath.Base(filepath.Dir(o))+filepath.Base(o))
		text.Dir = r.dir
		if kind, _ := text.Output(); strings.TrimSpace(string(kind)) == "blob" {
			if err := os.Remove(o); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = os.Remove(marker)
	if got := readDir(t, r.dir); len(got.Doubts) == 0 || got.Live.Versions[sources.Prompt] != "v13" {
		t.Errorf("a missing version is no doubt: %q", got.Doubts)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("the repository executed something")
	}
}

func TestAWrongFileIsNamedWithItsPlace(t *testing.T) {
	for _, tc := range []struct{ text, says string }{
		{"versions: {prompt: v1}\nstagee: live\n", `bad.yaml:2:1: unknown key "stagee"; did you mean stage?`},
		{"versions:\n  promt: v1\n", `bad.yaml:2:3: unknown component "promt"`},
		{"versions: {prompt: [a]}\n", "bad.yaml:1:20: the version of prompt is no text"},
		{"at: yesterday\nversions: {prompt: v1}\n", `bad.yaml:1:5: at: "yesterday" is no time`},
		{"stage: live\n", "no versions"},
		{"", "empty"},
		{"versions: {prompt: v1}\n---\nversions: {prompt: v2}\n", "second YAML document"},
		{"- a\n", "bad.yaml:1:1: not a manifest"},
		{"versions: {prompt: v1\n", "not valid YAML"},
		{"versions: {prompt: v1, prompt: v2}\n", `bad.yaml:1:24: not valid YAML: mapping key "prompt" already defined`},
		{strings.Repeat("# long\n", 20_000), "larger than 64 KiB"},
		{"versions: {prompt: \"a\\e[2J\\u202eb\"}\nx: 1", `unknown key "x"`},
	} {
		dir := t.TempDir()
		write(t, dir, "bad.yaml", tc.text)
		write(t, dir, "good.yaml", declare("live", "v13"))
		got := readDir(t, dir)
		if len(got.Doubts) != 1 || !strings.Contains(got.Doubts[0], tc.says) || strings.ContainsAny(got.Doubts[0], "\n\x1b") {
			t.Errorf("%q: doubts %q, want %q", tc.text[:min(40, len(tc.text))], got.Doubts, tc.says)
		}
		if got.Live.Versions[sources.Prompt] != "v13" {
			t.Errorf("%q: the other file does not count: %+v", tc.text[:min(40, len(tc.text))], got.Live)
		}
	}
}

func TestVersionsAreAsWrittenAndHarmless(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "live.yml", "versions: {prompt: 1.10, model: \"a\\e[2J\\u202eb\", tools: 0x10, policy: true}\n")
	got := readDir(t, dir).Live.Versions
	if got[sources.Prompt] != "1.10" || got[sources.Tools] != "0x10" || got[sources.Policy] != "true" || strings.ContainsAny(got[sources.Model], "\x1b\u202e") {
		t.Errorf("versions %q", got)
	}
}

func TestOnlyWhatIsOfTheServiceAndInTheFolderCounts(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	write(t, dir, "other.yaml", "service: other\nversions: {prompt: v99}\n")
	write(t, outside, "secret.yaml", declare("live", "v66"))
	if err := os.Symlink(filepath.Join(outside, "secret.yaml"), filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	// As a mounted configuration has it.
	if err := os.Mkdir(filepath.Join(dir, "..data"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "..data"), "live.yaml", declare("live", "v13"))
	if err := os.Symlink(filepath.Join("..data", "live.yaml"), filepath.Join(dir, "live.yaml")); err != nil {
		t.Fatal(err)
	}
	got := readDir(t, dir)
	if got.Live.Versions[sources.Prompt] != "v13" || len(got.Doubts) != 1 || !strings.Contains(got.Doubts[0], "link.yaml") {
		t.Errorf("live %+v, doubts %q", got.Live, got.Doubts)
	}
}

func TestAMissingFolderIsADoubt(t *testing.T) {
	got := readDir(t, filepath.Join(t.TempDir(), "none"))
	if len(got.Doubts) != 1 || !strings.Contains(got.Doubts[0], "no such file or directory; check manifests.dir") {
		t.Errorf("doubts %q", got.Doubts)
	}
}

func TestAClockThatJumpedBackReadsTheFolderAgain(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "live.yaml", declare("live", "v13"))
	clock := &still{minute(120)}
	r := New(nil, nil, nil).WithFolder("s", dir, clock, nil)
	read := func() string {
		got, err := r.Read(t.Context(), "s", minute(0), minute(120), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return got.Live.Versions[sources.Prompt]
	}
	read()
	write(t, dir, "live.yaml", declare("live", "v14"))
	if got := read(); got != "v13" {
		t.Errorf("read again at once: %s", got)
	}
	clock.now = minute(-600)
	if got := read(); got != "v14" {
		t.Errorf("not read again after the clock went back: %s", got)
	}
}

func TestTwoManifestsInOneStageAreADoubtOnceADeploymentWouldBeOver(t *testing.T) {
	p := &lookback{interval: 15 * time.Second, deployed: []info{
		{manifest("v13", "m1", "live"), [][2]float64{{-100, 200}}},
		{manifest("v14", "m1", "live"), [][2]float64{{31.25, 200}}},
	}}
	r := New(p, nil, map[string]string{"s": `job="a"`})
	got, err := r.Read(t.Context(), "s", minute(0), minute(60), 15*time.Second)
	if err != nil || len(got.Doubts) != 1 || got.Doubts[0] != "2 manifests at one time in stage live: prompt v14 and v13" {
		t.Fatalf("doubts %q, err %v", got.Doubts, err)
	}
	if v, ok := got.Live.Versions[sources.Prompt]; ok || got.Live.Versions[sources.Model] != "m1" || got.Live.ID != "" {
		t.Errorf("live is guessed: prompt %q, %+v", v, got.Live)
	}
	if got, err = r.Read(t.Context(), "s", minute(0), minute(34), 15*time.Second); err != nil || len(got.Doubts) != 0 {
		t.Errorf("a deployment under way is called a contradiction: %q, err %v", got.Doubts, err)
	}
}

func TestAnExplosionOfLabelsIsADoubtAndNoChange(t *testing.T) {
	p := &lookback{interval: 15 * time.Second}
	for i := range 50_000 {
		p.deployed = append(p.deployed, info{manifest(fmt.Sprint("v", i), "m1", "live"), [][2]float64{{59, 100}}})
	}
	got, err := New(p, nil, map[string]string{"s": `job="a"`}).Read(t.Context(), "s", minute(0), minute(60), time.Minute)
	if err != nil || len(got.Changes) != 0 || got.Live.Versions != nil || len(got.Doubts) != 1 || !strings.Contains(got.Doubts[0], "50000 label sets") {
		t.Fatalf("%d changes, live %+v, doubts %q, err %v", len(got.Changes), got.Live, got.Doubts, err)
	}
}

func TestFeaturesAndFallbacksAreChanges(t *testing.T) {
	named := func(s string) map[string]string { return map[string]string{"feature": s} }
	p := &lookback{
		interval: 15 * time.Second,
		features: []gauge{
			{named("rerank"), [][2]float64{{-100, 0}, {20, 1}, {30, 0}}},
			{named("agents"), [][2]float64{{-100, 1}}},
			{named("late"), [][2]float64{{40, 1}}},
			{nil, [][2]float64{{-100, 0}, {20, 1}}},
		},
		fallbacks: []gauge{
			{map[string]string{"from": "big", "to": "small"}, [][2]float64{{-100, 0.001}, {10, 0.04}, {12, 0.6}, {13, 0.7}, {25, 0.03}, {26, 0.01}}},
			{map[string]string{"from": "big", "to": "other"}, [][2]float64{{-100, 0.01}, {10, 0.03}}},
		},
	}
	got, err := New(p, nil, map[string]string{"s": `job="a"`}).Read(t.Context(), "s", minute(0), minute(60), 15*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := "fallback big→small @12.0 ; feature rerank on→rerank off @20.0 ; fallback small→big @26.0 ; feature rerank off→rerank on @30.0 ; feature late on→late off @40.0 "
	if say(got.Changes) != want {
		t.Errorf("changes\n got %s\nwant %s", say(got.Changes), want)
	}
	if c := got.Changes[0]; c.Evidence != "answers up to 70% of the requests" || c.OfVersion() {
		t.Errorf("fallback %+v", c)
	}
}

func TestAFingerprintThatMovesBehindItsNameIsASilentChange(t *testing.T) {
	row := func(m float64, print string, n int) sources.VersionCount {
		return sources.VersionCount{Start: minute(m), Component: sources.Model, Version: "gpt-4.1", Served: "gpt-4.1", Fingerprint: print, N: n}
	}
	for _, tc := range []struct {
		name string
		rows rowList
		want string
	}{
		{"it moved", rowList{row(0, "fp_a", 50), row(1, "fp_a", 50), row(2, "fp_b", 50), row(3, "fp_b", 50)}, "model fp_a→fp_b @2.0  silent"},
		{"two systems answer by turns", rowList{row(0, "fp_a", 30), row(0, "fp_b", 20), row(1, "fp_a", 20), row(1, "fp_b", 30), row(2, "fp_b", 30), row(2, "fp_a", 20), row(3, "fp_a", 30), row(3, "fp_b", 20)}, ""},
		{"every request has its own", rowList{row(0, "a", 3), row(0, "b", 3), row(1, "c", 3), row(1, "d", 3), row(1, "e", 3)}, ""},
		{"none is known", rowList{row(0, "", 50), row(1, "", 50)}, ""},
	} {
		got, err := New(nil, tc.rows, nil).Read(t.Context(), "s", minute(-60), minute(60), time.Minute)
		if err != nil || say(got.Changes) != tc.want {
			t.Errorf("%s: changes %q, want %q (err %v)", tc.name, say(got.Changes), tc.want, err)
		}
	}
	p := &lookback{interval: 15 * time.Second, served: []info{
		{map[string]string{"model": "gpt-4.1", "served": "gpt-4.1", "fingerprint": "fp_a"}, [][2]float64{{-100, 31}}},
		{map[string]string{"model": "gpt-4.1", "served": "gpt-4.1", "fingerprint": "fp_b"}, [][2]float64{{31.25, 100}}},
	}}
	got, err := New(p, nil, map[string]string{"s": `job="a"`}).Read(t.Context(), "s", minute(0), minute(60), 15*time.Second)
	if err != nil || say(got.Changes) != "model fp_a→fp_b @31.2  silent" {
		t.Errorf("changes %q, err %v", say(got.Changes), err)
	}
}

func TestAliasesAreFlaggedAndCounted(t *testing.T) {
	rows := rowList{
		{Start: minute(0), Component: sources.Model, Version: "gpt-4.1", Served: "gpt-4.1", N: 30},
		{Start: minute(0), Component: sources.Model, Version: "gpt-4.1", Served: "gpt-4.1-2025-04-14", N: 60},
		{Start: minute(1), Component: sources.Model, Version: "m2", N: 10},
	}
	got, err := New(nil, rows, nil).Read(t.Context(), "s", minute(-60), minute(60), time.Minute)
	if err != nil || !slices.Equal(got.Aliases, []Alias{{Model: "gpt-4.1", Requests: 30, Of: 100, Source: "requests"}}) {
		t.Fatalf("aliases %+v, err %v", got.Aliases, err)
	}
	if s := got.Aliases[0].Words(); !strings.Contains(s, "(30 of 100 requests)") {
		t.Error(s)
	}
}

func TestRowsThatRunSomethingElseThanTheMetricsSayAreADoubt(t *testing.T) {
	p := &lookback{interval: 15 * time.Second, deployed: []info{{manifest("v13", "m1", "live"), [][2]float64{{-100, 100}}}}}
	var seen rowList
	for m := range 60 {
		seen = append(seen, rows(sources.Prompt, float64(m), "v14", "", 50))
	}
	got, err := New(p, seen, map[string]string{"s": `job="a"`}).Read(t.Context(), "s", minute(0), minute(60), time.Minute)
	if err != nil || len(got.Doubts) != 1 || got.Doubts[0] != "prompt: metrics say v13 is live, most requests ran v14" {
		t.Errorf("doubts %q, err %v", got.Doubts, err)
	}
}

func TestTwoVersionsInTheSameMinutesAreSeenToRunBeside(t *testing.T) {
	var canary, switched rowList
	for m := range 60 {
		canary = append(canary, rows(sources.Prompt, float64(m), "v13", "", 90), rows(sources.Prompt, float64(m), "v14", "", 10))
		v := "v13"
		if m > 56 {
			v = "v14"
		}
		switched = append(switched, rows(sources.Prompt, float64(m), v, "", 90))
	}
	switched = append(switched, rows(sources.Prompt, 56, "v14", "", 40))
	for name, tc := range map[string]struct {
		rows rowList
		want int
	}{"a canary": {canary, 1}, "a switch": {switched, 0}} {
		got, err := New(nil, tc.rows, nil).Read(t.Context(), "s", minute(0), minute(60), time.Minute)
		if err != nil || len(got.Beside) != tc.want {
			t.Errorf("%s: beside %v, err %v", name, got.Beside, err)
		}
	}
}
