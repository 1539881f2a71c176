package run

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"rollcall/runbooks"
	"rollcall/runbooks/run/recorder"
	"rollcall/sources"
	"rollcall/store/journal"
)

// The console of these tests is this test binary: it drives a run with a real
// journal and real recorders, and something is killed at the n-th boundary.
const (
	crashChild = "RUN_CRASH_CHILD" // its folder
	crashAt    = "RUN_CRASH_AT"    // number of the boundary; 0 is none
	crashWhat  = "RUN_CRASH_WHAT"  // console, recorder, both or terminal
)

// crashBook writes twice; what it writes can be counted.
func crashBook(dir string) *runbooks.Runbook {
	write := func(name string) runbooks.Step {
		file := filepath.Join(dir, name)
		return runbooks.Step{
			Name: name, Kind: runbooks.Command, Effect: runbooks.Write,
			Script: "echo " + name + " begins; sleep 0.03; echo ran >> '" + file + "'; echo " + name + " wrote; sleep 0.03; echo " + name + " ends",
			Reconcile: &runbooks.Reconcile{
				Run:  []string{"sh", "-c", "if test -e '" + file + "'; then echo new; else echo old; fi"},
				Done: "value == 'new'", NotDone: "value == 'old'",
			},
		}
	}
	return book(
		runbooks.Step{Name: "look", Kind: runbooks.Command, Effect: runbooks.Read, Script: "for i in 1 2 3; do echo looking $i; sleep 0.02; done"},
		runbooks.Step{Name: "before", Kind: runbooks.Snapshot, Signals: []string{"schema_fail"}},
		write("first"),
		aCheck("quality", func(c *runbooks.Check) { c.InitialDelay, c.Interval = 10*time.Millisecond, 10*time.Millisecond }),
		write("second"),
		runbooks.Step{Name: "success", Kind: runbooks.Criteria, Criteria: []string{"first", "second", "quality"}, Mark: "mitigated"},
	)
}

func crashJournal(dir string, clock sources.Clock) (*journal.Journal, error) {
	return journal.Open(context.Background(), filepath.Join(dir, "journal.db"), journal.Options{
		Clock: clock, Redact: func(s string) string { return s }, Actor: "ana", Origin: "test",
	})
}

// crashingConsole starts the run of its folder, or resumes it, and follows it to
// its end. What it shows it has written to a file first.
func crashingConsole() int {
	began := time.Now()
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "console:", err)
		return 3
	}
	dir := os.Getenv(crashChild)
	at, _ := strconv.Atoi(os.Getenv(crashAt))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGHUP)
	defer stop()
	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		return fail(err)
	}
	j, err := crashJournal(dir, clock)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = j.Close() }()
	exe, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	shown, err := os.OpenFile(filepath.Join(dir, "shown"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fail(err)
	}
	var mu sync.Mutex
	n := 0
	runs := filepath.Join(dir, "runs")
	boundary := func(name string) {
		mu.Lock()
		defer mu.Unlock()
		if n++; n != at {
			return
		}
		_ = os.WriteFile(filepath.Join(dir, "boundary"), []byte(name), 0o600)
		what := os.Getenv(crashWhat)
		if what == "recorder" || what == "both" {
			killRecorders(runs)
		}
		switch what {
		case "console", "both":
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		case "terminal":
			fmt.Println("here")
			<-ctx.Done()
		}
	}
	e, err := New(Deps{
		Journal: j, Signals: &gauges{value: map[string]float64{"schema_fail": 0.001}, usual: 0.01, n: 1000}, Marker: &marks{}, Clock: clock, Dir: runs,
		Self: []string{exe, recorder.Argument}, WorkDir: dir, Environ: []string{"PATH=" + os.Getenv("PATH")},
		Redact: func(s string) string { return s }, Actor: "ana", Grace: 500 * time.Millisecond, Boundary: boundary,
	})
	if err != nil {
		return fail(err)
	}
	defer e.Close()
	all, err := e.Runs(ctx, "")
	if err != nil {
		return fail(err)
	}
	var st State
	if len(all) == 0 {
		st, err = e.Start(ctx, &Plan{Runbook: crashBook(dir), Target: Target{Service: "assistant"}}, Options{Yes: true})
	} else if st = all[0]; st.Outcome == "" {
		st, err = e.Resume(ctx, st.ID, Options{Yes: true})
		fmt.Printf("resumed %d\n", time.Since(began).Microseconds())
	}
	if err != nil {
		return fail(err)
	}
	states, err := e.Watch(ctx, st.ID)
	if err != nil {
		return fail(err)
	}
	seen := map[string]int64{}
	for st = range states {
		for _, s := range st.Steps {
			key := fmt.Sprintf("%s.%d", s.Name, s.Attempt)
			for _, l := range s.Output {
				if l.N > seen[key] {
					seen[key] = l.N
					fmt.Fprintf(shown, "%s\t%d\t%s\n", s.Name, l.N, l.Text)
				}
			}
		}
		if st.Ask == AskDecide {
			return fail(errors.New(st.Question))
		}
	}
	if st.Outcome == Succeeded {
		return 0
	}
	if ctx.Err() != nil {
		return 4 // let go
	}
	return fail(fmt.Errorf("ended %q: %s", st.Outcome, st.Why))
}

func killRecorders(runs string) {
	names, _ := filepath.Glob(filepath.Join(runs, "RUN-*", "*", "process.json"))
	for _, name := range names {
		if id, ok := mustOpen(filepath.Dir(name)); ok {
			_ = syscall.Kill(id.Recorder, syscall.SIGKILL)
		}
	}
}

func mustOpen(dir string) (recorder.Identity, bool) {
	a, started := recorder.Open(dir)
	if _, over := a.Result(); over || !started {
		return recorder.Identity{}, false
	}
	return a.Identity()
}

type console struct {
	out    string
	killed bool
	code   int
}

func runConsole(t *testing.T, dir string, at int, what string) console {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "-test.run=^$")
	cmd.Env = append(os.Environ(), crashChild+"="+dir, crashAt+"="+strconv.Itoa(at), crashWhat+"="+what)
	var out []byte
	if what == "terminal" {
		out, err = onATerminal(cmd)
	} else {
		out, err = cmd.CombinedOutput()
	}
	c := console{out: string(out)}
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		ws, _ := ee.Sys().(syscall.WaitStatus)
		c.killed, c.code = ws.Signaled() && ws.Signal() == syscall.SIGKILL, ee.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("the console hangs: %s", out)
	}
	return c
}

// onATerminal runs a console on a pseudo-terminal and closes it when it says so.
func onATerminal(cmd *exec.Cmd) ([]byte, error) {
	f, err := pty.Start(cmd)
	if err != nil {
		return nil, err
	}
	var out []byte
	for in := bufio.NewScanner(f); in.Scan(); {
		out = append(append(out, in.Bytes()...), '\n')
		if strings.TrimSpace(in.Text()) == "here" {
			break
		}
	}
	_ = f.Close()
	return out, cmd.Wait()
}

// verify checks what must hold however a run was interrupted.
func verifyCrashed(t *testing.T, dir, boundary string) {
	t.Helper()
	for _, name := range []string{"first", "second"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(b) != "ran\n" {
			t.Errorf("%s wrote %q, %v", name, b, err)
		}
	}
	clock, err := sources.ClockConfig{}.Clock(nil)
	if err != nil {
		t.Fatal(err)
	}
	j, err := crashJournal(dir, clock)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	report, err := j.Verify(t.Context(), nil, nil)
	if err != nil || len(report.Faults) > 0 {
		t.Errorf("the journal does not verify: %+v, %v", report, err)
	}
	entries, err := j.Entries(t.Context(), journal.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if st := Fold(entries); st.Outcome != Succeeded {
		t.Errorf("it ended %q: %s", st.Outcome, st.Why)
	}
	recorded := map[string]bool{}
	for i := range entries {
		e := &entries[i]
		for _, ref := range e.Artifacts {
			step, is := strings.CutSuffix(ref.Name, ".jsonl")
			if !is {
				continue
			}
			a, err := j.Artifact(t.Context(), ref.ID)
			if err != nil {
				t.Fatal(err)
			}
			for row := range strings.Lines(string(a.Body)) {
				var l Line
				if err := json.Unmarshal([]byte(row), &l); err != nil {
					t.Fatal(err)
				}
				recorded[fmt.Sprintf("%s\t%d\t%s", step, l.N, l.Text)] = true
			}
		}
	}
	shown, err := os.ReadFile(filepath.Join(dir, "shown"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(shown)) {
		if !recorded[strings.TrimSuffix(line, "\n")] {
			t.Errorf("%q was shown and is not recorded", line)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "runs", "RUN-*")); len(left) > 0 && boundary != "ended" { // there the next start tidies up
		t.Errorf("%v is left over", left)
	}
}

func TestNothingIsLostOrDoneTwiceWhateverIsKilledAtAnyBoundary(t *testing.T) {
	var mu sync.Mutex
	var took []time.Duration
	kinds := []string{"console", "recorder", "both", "terminal"}
	t.Run("kinds", func(t *testing.T) {
		for _, what := range kinds {
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				every := 1
				if testing.Short() {
					every = 7
				}
				reached := 0
				for at := 1; ; at += every {
					dir := t.TempDir()
					c := runConsole(t, dir, at, what)
					name, err := os.ReadFile(filepath.Join(dir, "boundary"))
					if err != nil {
						if c.code != 0 {
							t.Fatalf("undisturbed it ends with %d: %s", c.code, c.out)
						}
						verifyCrashed(t, dir, "")
						break // there are not that many
					}
					reached++
					for try := 0; c.killed || c.code == 4; try++ {
						if try == 3 {
							t.Fatalf("at boundary %d, %s: never ends: %s", at, name, c.out)
						}
						c = runConsole(t, dir, 0, "")
						if us, ok := strings.CutPrefix(c.out, "resumed "); ok {
							n, _ := strconv.Atoi(strings.TrimSpace(strings.SplitN(us, "\n", 2)[0]))
							mu.Lock()
							took = append(took, time.Duration(n)*time.Microsecond)
							mu.Unlock()
						}
					}
					if c.code != 0 {
						t.Fatalf("at boundary %d, %s: it ends with %d: %s", at, name, c.code, c.out)
					}
					verifyCrashed(t, dir, string(name))
					if t.Failed() {
						t.Fatalf("at boundary %d, %s", at, name)
					}
				}
				t.Logf("%d boundaries", reached)
				if reached < 25/every {
					t.Errorf("only %d boundaries were reached", reached)
				}
			})
		}
	})
	if len(took) > 0 {
		slices.Sort(took)
		t.Logf("time to resume: median %s, worst %s of %d", took[len(took)/2], took[len(took)-1], len(took))
	}
}
