package recorder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == Argument {
		os.Exit(Main(os.Args[2]))
	}
	os.Exit(m.Run())
}

func self(t *testing.T) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{exe, Argument}
}

func sh(script string) Spec {
	return Spec{Argv: []string{"/bin/sh", "-eu", "-c", script, "step"}, Grace: 300 * time.Millisecond, Timeout: time.Minute}
}

func start(t *testing.T, spec Spec) *Attempt {
	t.Helper()
	spec.Dir = t.TempDir()
	a, err := Start(filepath.Join(t.TempDir(), "attempt"), spec, self(t), []string{"PATH=" + os.Getenv("PATH"), "WHO=ana"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if id, ok := a.Identity(); ok {
			for _, pid := range living(id) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	return a
}

func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// run records a command to its end.
func run(t *testing.T, spec Spec) (Result, []Line, *Attempt) {
	t.Helper()
	a := start(t, spec)
	var shown []Line
	res, err := a.Follow(patience(t), func(Identity) {}, func(l []Line) { shown = append(shown, l...) })
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(a.dir, logFile))
		t.Fatalf("%v; %s", err, log)
	}
	all, err := a.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(shown) {
		t.Errorf("%d lines were shown and %d are recorded", len(shown), len(all))
	}
	for _, l := range all {
		if strings.ContainsFunc(l.Text, unicode.IsControl) {
			t.Errorf("line %d carries a control byte: %q", l.N, l.Text)
		}
	}
	return res, all, a
}

func texts(lines []Line) string {
	var out []string
	for _, l := range lines {
		out = append(out, l.Stream+":"+l.Text)
	}
	return strings.Join(out, "\n")
}

func TestACommandIsRecordedWithItsOutputAndExitCode(t *testing.T) {
	res, lines, a := run(t, sh(`echo hello $WHO; echo trouble >&2; exit 3`))
	if res.Exit == nil || *res.Exit != 3 || res.Signal != "" || res.TimedOut || res.Error != "" {
		t.Errorf("result %+v", res)
	}
	got := texts(lines)
	if !strings.Contains(got, "out:hello ana") || !strings.Contains(got, "err:trouble") {
		t.Errorf("output:\n%s", got)
	}
	id, ok := a.Identity()
	if !ok || id.PID == 0 || id.Recorder == 0 || id.PID == id.Recorder {
		t.Errorf("identity %+v", id)
	}
	for _, f := range []string{specFile, spoolFile, resultFile, processFile} {
		st, err := os.Stat(filepath.Join(a.dir, f))
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, st, err)
		}
	}
}

func TestACommandStopsAtItsFirstFailureAndAtUnsetVariables(t *testing.T) {
	res, lines, _ := run(t, sh(`false; echo not reached`))
	if *res.Exit != 1 || len(lines) != 0 {
		t.Errorf("exit %d, output %q", *res.Exit, texts(lines))
	}
	if res, _, _ := run(t, sh(`echo "$NOBODY_SET_THIS"`)); *res.Exit == 0 {
		t.Error("an unset variable passed for an empty one")
	}
}

func TestACommandThatReadsItsInputFindsItEmpty(t *testing.T) {
	res, lines, _ := run(t, sh(`cat; echo end`))
	if *res.Exit != 0 || texts(lines) != "out:end" {
		t.Errorf("exit %d, output %q", *res.Exit, texts(lines))
	}
}

func TestACommandThatHangsIsEndedWhenItsTimeIsOver(t *testing.T) {
	spec := sh(`echo begun; sleep 600`)
	spec.Timeout = 300 * time.Millisecond
	res, lines, a := run(t, spec)
	if !res.TimedOut || res.Signal == "" || texts(lines) != "out:begun" {
		t.Errorf("result %+v, output %q", res, texts(lines))
	}
	nothingLives(t, a)
}

func TestACommandThatIgnoresBeingAskedIsKilled(t *testing.T) {
	spec := sh(`trap '' TERM HUP INT; echo begun; while :; do sleep 600; done`)
	spec.Timeout = 300 * time.Millisecond
	res, _, a := run(t, spec)
	if !res.TimedOut || res.Signal != "killed" {
		t.Errorf("result %+v", res)
	}
	nothingLives(t, a)
}

func TestACommandThatEndsByASignalSaysWhich(t *testing.T) {
	res, _, _ := run(t, sh(`kill -SEGV $$`))
	if res.Exit != nil || res.Signal != syscall.SIGSEGV.String() {
		t.Errorf("result %+v", res)
	}
}

func nothingLives(t *testing.T, a *Attempt) {
	t.Helper()
	id, ok := a.Identity()
	if !ok {
		t.Fatal("it has no identity")
	}
	for _, pid := range living(id) {
		if pid == id.Recorder {
			continue // it is just leaving
		}
		cmd, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		t.Errorf("process %d of it still lives: %q", pid, cmd)
	}
}

func TestWhatACommandLeavesBehindIsEnded(t *testing.T) {
	for name, script := range map[string]string{
		"in its group":                 `sleep 600 & echo begun`,
		"in a session of its own":      `setsid sleep 600 & echo begun`,
		"deaf, in one of its own":      `setsid sh -c 'trap "" TERM; sleep 600 & wait; sleep 600' & echo begun`,
		"with no output and no parent": `(setsid sh -c 'sleep 600 >/dev/null 2>&1 &' >/dev/null 2>&1 &); echo begun`,
	} {
		t.Run(name, func(t *testing.T) {
			res, lines, a := run(t, sh(script))
			if res.Exit == nil || *res.Exit != 0 || texts(lines) != "out:begun" {
				t.Errorf("result %+v, output %q", res, texts(lines))
			}
			nothingLives(t, a)
		})
	}
}

func TestAFloodIsBoundedToItsBeginningAndItsEnd(t *testing.T) {
	spec := sh(`i=0; while [ $i -lt 200000 ]; do echo line $i; i=$((i+1)); done; echo the end`)
	spec.MaxLines, spec.MaxBytes = 500, 1<<20
	res, lines, a := run(t, spec)
	if len(lines) > 500 || res.Lines != 200001 || res.Omitted != res.Lines-int64(len(lines)) {
		t.Errorf("%d lines kept, result %+v", len(lines), res)
	}
	if lines[0].Text != "line 0" || lines[0].N != 1 || lines[200].Text != "line 200" {
		t.Errorf("the beginning is %+v", lines[0])
	}
	last := lines[len(lines)-1]
	if last.Text != "the end" || last.N != 200001 {
		t.Errorf("the end is %+v", last)
	}
	for i := 1; i < len(lines); i++ {
		if lines[i].N <= lines[i-1].N {
			t.Fatalf("line %d comes after line %d", lines[i].N, lines[i-1].N)
		}
	}
	if st, err := os.Stat(filepath.Join(a.dir, spoolFile)); err != nil || st.Size() > 200<<10 {
		t.Errorf("the spool has %d bytes, %v", st.Size(), err)
	}
}

func TestALineWithoutEndIsBounded(t *testing.T) {
	spec := sh(`head -c 5000000 /dev/zero | tr '\0' x; echo; echo after`)
	res, lines, a := run(t, spec)
	if *res.Exit != 0 || lines[len(lines)-1].Text != "after" {
		t.Errorf("result %+v, last %q", res, lines[len(lines)-1].Text)
	}
	for _, l := range lines {
		if len(l.Text) > maxLine+64 {
			t.Errorf("a line of %d bytes", len(l.Text))
		}
	}
	if st, _ := os.Stat(filepath.Join(a.dir, spoolFile)); st.Size() > 2<<20 {
		t.Errorf("the spool has %d bytes", st.Size())
	}
}

func TestSecretsNeverReachTheSpool(t *testing.T) {
	const secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
	script := `
echo "token: ` + secret + `"
echo "password=hunter2hunter2"
cat <<'KEY'
before -----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2
-----END OPENSSH PRIVATE KEY-----
after the key
KEY
printf '%s' "a long wait: ghp_16C7e42F292c6912E"
sleep 1.3
echo "7710c838347Ae178B4a"
echo "-----BEGIN RSA PRIVATE KEY-----"
sleep 0.2
echo "MIIEowIBAAKCAQEAvRzmy0Lqk3zJWqf"
`
	_, lines, a := run(t, sh(script))
	got := texts(lines)
	spool, _ := os.ReadFile(filepath.Join(a.dir, spoolFile))
	for _, s := range []string{secret, "hunter2", "b3BlbnNzaC1rZXktdjE", "MIIEowIBAAKC", "ghp_16C7e42F292c6912E", "7710c838347Ae178B4a"} {
		if strings.Contains(got, s) || strings.Contains(string(spool), s) {
			t.Errorf("%q is in the record:\n%s", s, got)
		}
	}
	for _, s := range []string{"out:before <private-key", "out:after the key", "out:a long wait:"} {
		if !strings.Contains(got, s) {
			t.Errorf("%q is missing:\n%s", s, got)
		}
	}
}

func TestHostileOutputBecomesHarmless(t *testing.T) {
	_, lines, _ := run(t, sh(`printf '\033]0;owned\007\033[2J\n\377\376 bytes\n\342\200\256 reversed\n10%%\r20%%\r\ndone\r\n\r\n'`))
	got := texts(lines)
	for _, want := range []string{"out:␛]0;owned␇␛[2J", `out:\xff\xfe bytes`, "out:<U+202E> reversed", "out:10%\nout:20%\nout:done"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing:\n%s", want, got)
		}
	}
}

func TestAPromptIsShownBeforeItsLineEnds(t *testing.T) {
	a := start(t, sh(`printf 'Really delete? '; sleep 600`))
	ctx, cancel := context.WithCancel(patience(t))
	defer cancel()
	_, err := a.Follow(ctx, func(Identity) {}, func(l []Line) {
		if l[0].Text == "Really delete?" {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v before the prompt came", err)
	}
	a.Cancel()
}

func TestACancelledCommandIsEndedByItsRecorder(t *testing.T) {
	a := start(t, sh(`echo begun; sleep 600`))
	asked := false
	res, err := a.Follow(patience(t), func(Identity) {}, func([]Line) {
		if !asked {
			asked = true
			(&Attempt{dir: a.dir}).Cancel()
		}
	})
	if err != nil || !res.Cancelled || res.TimedOut {
		t.Errorf("result %+v, %v", res, err)
	}
	nothingLives(t, a)
}

func TestAnotherProcessComesBackToARunningCommand(t *testing.T) {
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	a := start(t, sh(`echo one; while [ ! -e `+gate+` ]; do sleep 0.02; done; echo two`))
	ctx, leave := context.WithCancel(patience(t))
	_, err := a.Follow(ctx, func(Identity) {}, func([]Line) { leave() })
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	back, started := Open(a.dir)
	if !started || !back.Alive() {
		t.Fatal("its recorder seems dead")
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var all []Line
	res, err := back.Follow(patience(t), func(Identity) {}, func(l []Line) { all = append(all, l...) })
	if err != nil || *res.Exit != 0 || texts(all) != "out:one\nout:two" {
		t.Errorf("result %+v, %v, output %q", res, err, texts(all))
	}
}

func TestWithItsRecorderDeadACommandIsFoundAndEnded(t *testing.T) {
	a := start(t, sh(`echo begun; setsid sleep 600 & sleep 600`))
	var id Identity
	_, err := a.Follow(patience(t), func(i Identity) { id = i }, func([]Line) { _ = syscall.Kill(id.Recorder, syscall.SIGKILL) })
	if !errors.Is(err, ErrGone) {
		t.Fatalf("the end of the recorder gives %v", err)
	}
	if len(living(id)) < 2 {
		t.Fatalf("only %v live on; the test proves nothing", living(id))
	}
	n, err := a.Clear(patience(t), 200*time.Millisecond)
	if err != nil || n < 2 {
		t.Errorf("%d processes ended, %v", n, err)
	}
	nothingLives(t, a)
	if lines, err := a.All(); err != nil || texts(lines) != "out:begun" {
		t.Errorf("of its output %q is left, %v", texts(lines), err)
	}
}

func TestACommandNeverBeginsWhenItsRecorderDiesBefore(t *testing.T) {
	dir := t.TempDir()
	mark := filepath.Join(dir, "ran")
	c, err := begin(Spec{Argv: []string{"/bin/sh", "-c", "touch " + mark}, Dir: dir}, filepath.Join(dir, "no such folder"))
	if err == nil {
		<-c.exited
		t.Fatal("it began although its identity could not be written down")
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the command ran")
	}
}

func TestAForeignProcessWithTheSameNumberIsLeftAlone(t *testing.T) {
	p, ok := look(os.Getpid())
	if !ok {
		t.Skip("there is no /proc here")
	}
	for name, id := range map[string]Identity{
		"another start time": {PID: os.Getppid(), Start: p.start + 12345, Recorder: 1 << 30, Boot: boot(), Token: "none"},
		"another boot":       {PID: os.Getppid(), Start: 1, Recorder: os.Getppid(), Boot: "another", Token: "none"},
	} {
		if got := living(id); len(got) != 0 {
			t.Errorf("%s: %v is taken for it", name, got)
		}
	}
}

func TestAResultThatCannotBeKeptIsSaid(t *testing.T) {
	dir := t.TempDir()
	if code := Main(dir); code == 0 {
		t.Error("an attempt without a spec succeeded")
	}
	res, ok := (&Attempt{dir: dir}).Result()
	if !ok || res.Error == "" {
		t.Errorf("result %+v %v", res, ok)
	}
}

func TestTheBudgetKeepsRoomForTheEnd(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), spoolFile))
	if err != nil {
		t.Fatal(err)
	}
	s := newSink(f, 100, 1<<20, func(s string) string { return s })
	at := time.Unix(0, 0)
	for i := range 10000 {
		s.add(raw{"out", at.Add(time.Duration(i) * time.Millisecond), fmt.Sprint(i)})
	}
	s.close()
	if s.n != 10000 || s.failed != nil {
		t.Errorf("%d lines counted, %v", s.n, s.failed)
	}
	a := &Attempt{dir: filepath.Dir(f.Name())}
	lines, err := a.All()
	if err != nil || len(lines) > 100 || lines[len(lines)-1].Text != "9999" || s.omitted != int64(10000-len(lines)) {
		t.Errorf("%d lines, %v, %d left out", len(lines), err, s.omitted)
	}
	for _, l := range lines {
		if l.Text != fmt.Sprint(l.N-1) {
			t.Errorf("line %d is %s", l.N, l.Text)
		}
	}
}
