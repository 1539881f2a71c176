package launch

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain makes the test binary play the child when LAUNCH_CHILD says how, and
// a launcher that is about to be killed when LAUNCH_PARENT is set.
func TestMain(m *testing.M) {
	if how := os.Getenv("LAUNCH_CHILD"); how != "" {
		child(how)
		return
	}
	if dir := os.Getenv("LAUNCH_PARENT"); dir != "" {
		d, err := Start(context.Background(), options(dir, "good", nil))
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(d.Pid())
		select {}
	}
	os.Exit(m.Run())
}

const ready = `{"ready":true,"config":"/c.yaml","prometheus":"http://p","loki":"http://l","admin":"http://a","state":"/s",` +
	`"service":"support-assistant","scenario":"quiet","seed":7,"speed":10,"start":"2026-01-01T00:00:00Z","wall_start":"2026-01-01T06:00:00Z"}`

func child(how string) {
	say := func(s string) { fmt.Println(s) }
	switch how {
	case "list":
		fmt.Print("quiet\tNothing is wrong.\nprompt-regression\tThe prompt regresses.\n")
		return
	case "good":
		say(`{"progress":0.25,"what":"backfilling"}`)
		say("noise that is no JSON")
		say(`{"progress":7,"what":"almost\u001b[31m"}`)
		say(ready)
	case "error":
		say(`{"error":"no scenario \"x\"\u001b[2J"}`)
		os.Exit(1)
	case "panic":
		fmt.Fprintln(os.Stderr, "panic: index out of range\n\ngoroutine 1 [running]:")
		os.Exit(2)
	case "mute":
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		say(ready)
		select {}
	case "dies":
		say(ready)
		os.Exit(3)
	case "huge":
		say(`{"progress":0.1,"what":"` + strings.Repeat("x", 3<<20) + `"}`)
		say(ready)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func options(dir, how string, progress func(float64, string)) Options {
	exe, _ := os.Executable()
	return Options{
		Binary: exe, State: dir, Scenario: "quiet", Seed: 7, Speed: 10, GRPC: "127.0.0.1:1", HTTP: "127.0.0.1:2",
		ConfigOut: filepath.Join(dir, "rollcall.yaml"), Progress: progress, Grace: 20 * time.Second,
		Env: append(os.Environ(), "LAUNCH_CHILD="+how),
	}
}

func ended(t *testing.T, d *Drill) {
	t.Helper()
	select {
	case <-d.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the child still runs")
	}
}

func TestAChildThatBecomesReadyIsFollowedAndEnded(t *testing.T) {
	var seen []string
	d, err := Start(t.Context(), options(t.TempDir(), "good", func(done float64, what string) {
		seen = append(seen, fmt.Sprintf("%.2f %s", done, what))
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(seen, "|"); got != "0.25 backfilling|1.00 almost [31m" {
		t.Errorf("progress was %q", got)
	}
	if d.Ready.Service != "support-assistant" || d.Ready.Seed != 7 || d.Ready.Start.Hour() != 0 {
		t.Errorf("ready was read as %+v", d.Ready)
	}
	d.Stop()
	ended(t, d)
	if d.Err() != nil {
		t.Errorf("a child that ends when its input closes ends well, not with %v", d.Err())
	}
	d.Stop() // twice is fine
}

func TestAChildThatCannotStartSaysWhy(t *testing.T) {
	for _, tc := range []struct{ how, want string }{
		{"error", `the drill could not start: no scenario "x" [2J`},
		{"panic", "the drill ended before it was ready: exit status 2: panic: index out of range"},
	} {
		_, err := Start(t.Context(), options(t.TempDir(), tc.how, nil))
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s: error is %v, want %q", tc.how, err, tc.want)
		}
	}
	o := options(t.TempDir(), "good", nil)
	o.Binary = filepath.Join(t.TempDir(), "none")
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("a missing binary: %v", err)
	}
}

func TestAHugeLineDoesNotStopTheStart(t *testing.T) {
	d, err := Start(t.Context(), options(t.TempDir(), "huge", nil))
	if err != nil {
		t.Fatal(err)
	}
	d.Stop()
}

func TestLeavingDuringTheStartLeavesNoChild(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, options(t.TempDir(), "mute", nil)); err == nil {
		t.Error("a start without an answer succeeded")
	}
}

func TestAChildThatDoesNotListenIsKilled(t *testing.T) {
	o := options(t.TempDir(), "deaf", nil)
	o.Grace = 50 * time.Millisecond
	d, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	d.Stop()
	ended(t, d)
}

func TestTheDeathOfAReadyChildIsNoticed(t *testing.T) {
	d, err := Start(t.Context(), options(t.TempDir(), "dies", nil))
	if err != nil {
		t.Fatal(err)
	}
	ended(t, d)
	if d.Err() == nil || !strings.Contains(d.Err().Error(), "exit status 3") {
		t.Errorf("error is %v", d.Err())
	}
}

func TestTheChildDiesWithALauncherThatIsKilled(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(exe)
	parent.Env = append(os.Environ(), "LAUNCH_PARENT="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if !alive(pid) {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("process %d outlived its launcher", pid)
		case <-tick.C:
		}
	}
}

// alive tells whether a process runs; a zombie that nobody has waited for does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func TestScenariosAreListed(t *testing.T) {
	t.Setenv("LAUNCH_CHILD", "list")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	list, err := List(t.Context(), exe)
	if err != nil || len(list) != 2 || list[0] != (Scenario{"quiet", "Nothing is wrong."}) {
		t.Errorf("list is %v, %v", list, err)
	}
}
