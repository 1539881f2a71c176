package runbooks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rollcall/sources"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func find(list []Listing, id string) *Listing {
	i := slices.IndexFunc(list, func(l Listing) bool { return l.Runbook != nil && l.Runbook.ID == id })
	if i < 0 {
		return nil
	}
	return &list[i]
}

func TestAFileOfTheUserTakesThePlaceOfAShippedOne(t *testing.T) {
	dir := t.TempDir()
	mine := write(t, dir, "ours.md", strings.Replace(small, "id: small", "id: rollback-prompt", 1))
	write(t, dir, "README.md", "# These are ours\n")
	write(t, dir, "notes.txt", "nothing")
	list := Load([]string{dir}, known(t))
	l := find(list, "rollback-prompt")
	if l == nil || l.File != mine || l.Runbook.Title != "A small one" {
		t.Fatalf("%+v", l)
	}
	if n := len(list); n != len(Load(nil, known(t))) {
		t.Errorf("%d runbooks", n)
	}
}

func TestWhatCannotBeReadIsListedWithItsProblem(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.md", small)
	write(t, dir, "b.md", small)
	write(t, dir, "broken.md", "# no front matter\n")
	write(t, dir, "huge.md", strings.Repeat("x\n", MaxSize))
	if err := os.Symlink("loop.md", filepath.Join(dir, "loop.md")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.md"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.md"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := Load([]string{dir, filepath.Join(dir, "missing")}, known(t))
	got := map[string]string{}
	for _, l := range list {
		if l.Runbook == nil {
			got[filepath.Base(l.File)] = l.Problems[len(l.Problems)-1].Message
		}
	}
	for name, want := range map[string]string{
		"b.md":      "the id small is taken by " + filepath.Join(dir, "a.md") + "; choose another",
		"broken.md": "a runbook begins with front matter",
		"huge.md":   "this file is larger than 1 MiB; it is no runbook",
		"loop.md":   "cannot be read: too many levels of symbolic links",
		"folder.md": "is no regular file; name a Markdown file",
		"pipe.md":   "is no regular file; name a Markdown file",
		"missing":   "there is no such file or folder; check the path, or runbooks: {dirs: [...]} in the configuration",
	} {
		if !strings.HasPrefix(got[name], want) {
			t.Errorf("%s: %q\nwant %q", name, got[name], want)
		}
	}
	if find(list, "small") == nil || find(list, "rollback-model") == nil {
		t.Error("the sound ones are missing")
	}
	if list[len(list)-1].Runbook != nil {
		t.Error("broken files do not come last")
	}
}

func TestNoticesTellTheStateOfRehearsalsAndAreNoErrors(t *testing.T) {
	rb, _ := Parse("rb.md", []byte(small))
	now := time.Date(2026, 3, 10, 3, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		last Rehearsal
		ok   bool
		want string
	}{
		"never":   {want: "rb.md:8:1: notice: never rehearsed; try it with: rollcall runbook rehearse small"},
		"changed": {Rehearsal{now.AddDate(0, 0, -3), "other"}, true, "rb.md:8:1: notice: changed since its rehearsal of 2026-03-07; rehearse it again: rollcall runbook rehearse small"},
		"overdue": {Rehearsal{now.AddDate(0, 0, -40), rb.Hash}, true, "rb.md:8:1: notice: rehearsal overdue: the last was 40d ago, every 30d is wanted; rollcall runbook rehearse small"},
		"fresh":   {Rehearsal{now.AddDate(0, 0, -3), rb.Hash}, true, ""},
	} {
		k := known(t)
		k.Now = now
		k.Rehearsed = func(id string) (Rehearsal, bool) { return tc.last, tc.ok && id == "small" }
		list := Lint(rb, k)
		var got string
		if len(list) > 0 {
			got = list[0].String()
		}
		if got != tc.want || len(list) > 1 || HasErrors(list) {
			t.Errorf("%s: %q, %d problems\nwant %q", name, got, len(list), tc.want)
		}
	}
	if len(Lint(rb, known(t))) != 0 {
		t.Error("a notice without a journal to ask")
	}
}

func TestVariablesOfAScript(t *testing.T) {
	for _, tc := range []struct{ script, want string }{
		{`echo "$A" ${B} "${C}"`, "A B C"},
		{`echo '$A' \$B # $C`, ""},
		{`echo "it's $A"`, "A"},
		{`echo "a#$A" x#$B`, "A B"},
		{`echo ${A:-none} ${B-none} ${#C} ${D%x}`, "C D"},
		{`echo $lower $Mixed $1 $? $$`, ""},
		{"x=$(rollcall pin get prompt) && test \"$x\" = \"$A\"", "A"},
	} {
		var got []string
		for _, u := range variables(tc.script, true) {
			got = append(got, u.name)
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %v, want %s", tc.script, got, tc.want)
		}
	}
	own := assigned("N=3\nexport M=4; for I in a b; do read -r L; done")
	if strings.Join(own, " ") != "N M I L" {
		t.Errorf("%v", own)
	}
}

func TestTheWidestRangeOfAQuery(t *testing.T) {
	for q, want := range map[string]time.Duration{
		`sum(rate(x[5m])) / sum(rate(y[1h30m]))`:           90 * time.Minute,
		`max_over_time(rate(x{a=~"[0-9]+[2d]"}[5m])[1h:])`: time.Hour,
		`sum(rate(x{$scope}[$window]))`:                    7 * time.Minute,
		`x`:                                                0,
		`rate(x[99999999999999y])`:                         0,
		`count_over_time({a="b"} [15m])`:                   15 * time.Minute,
		"count_over_time({a=`[3d]`} [1w])":                 7 * 24 * time.Hour,
	} {
		if got := widest(q, 7*time.Minute); got != want {
			t.Errorf("%s: %s, want %s", q, got, want)
		}
	}
}

func TestAServicesOwnWindowCounts(t *testing.T) {
	src := with(t, "initial_delay: 5m", "initial_delay: 10m")
	rb, _ := Parse("rb.md", []byte(src))
	k := known(t)
	k.Signal = func(string) (SignalFacts, bool) { return SignalFacts{Range: 15 * time.Minute}, true }
	if got := said(Lint(rb, k)); !strings.Contains(got, "initial_delay 10m is shorter than the 15m") {
		t.Error(got)
	}
}

func TestARunbookRollsBackOnlyWhatEveryRunOfItMovesAlone(t *testing.T) {
	want := map[string]sources.Component{
		"rollback-prompt": sources.Prompt, "rollback-model": sources.Model, "rollback-tools": sources.Tools, "rollback-index": sources.Index,
		"rollback-policy": sources.Policy, "cache-collapse": sources.Prompt, "eval-drift": sources.Model, "fallback-model": sources.Model,
	}
	for _, l := range Load(nil, Known{}) {
		if got := l.Runbook.RollsBack(); got != want[l.Runbook.ID] {
			t.Errorf("%s rolls back %q", l.Runbook.ID, got)
		}
	}
}
