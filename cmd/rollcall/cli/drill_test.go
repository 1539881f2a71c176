package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/cmd/rollcall/launch"
)

// fakeDrill is a drill without a child.
type fakeDrill struct {
	session Session
	done    chan struct{}
	err     error
	closed  int
	kept    bool
	dir     string // "/s" when empty
}

func (d *fakeDrill) Ready() launch.Ready {
	return launch.Ready{Config: "/s/rollcall.yaml", Prometheus: "http://p", Loki: "http://l", Admin: "http://a", Service: "support-assistant"}
}

func (d *fakeDrill) Endpoints() Endpoints {
	return Endpoints{GRPC: "127.0.0.1:1", HTTP: "127.0.0.1:2", State: "/s"}
}

func (d *fakeDrill) Config() *config.File {
	return &config.File{UI: config.UI{Color: "auto", ASCII: "auto"}}
}
func (d *fakeDrill) Session(context.Context) (Session, error) { return d.session, nil }
func (d *fakeDrill) Done() <-chan struct{}                    { return d.done }
func (d *fakeDrill) Err() error                               { return d.err }
func (d *fakeDrill) Close(keep bool) (string, error) {
	d.closed++
	d.kept = keep
	return cmp.Or(d.dir, "/s"), nil
}

type fakeDriller struct {
	drill *fakeDrill
	got   DrillOptions
	err   error

	listErr error
}

func (f *fakeDriller) List(context.Context) ([]launch.Scenario, error) {
	return []launch.Scenario{{Name: "quiet", Description: "Nothing is wrong."}, {Name: "prompt-regression"}}, f.listErr
}

func (f *fakeDriller) Start(_ context.Context, o DrillOptions) (Drill, error) {
	f.got = o
	o.Progress(.25, "backfilling")
	o.Progress(.5, "backfilling")
	o.Progress(1, "ready\x1b[2J")
	if f.err != nil {
		return nil, f.err
	}
	return f.drill, nil
}

func withDrill(t *testing.T) (*bench, *fakeDriller) {
	b := newBench(t, "")
	f := &fakeDriller{drill: &fakeDrill{session: b.session, done: make(chan struct{})}}
	b.Drill = f
	return b, f
}

func TestAHeadlessDrillPrintsOneLineAndEndsInTime(t *testing.T) {
	b, f := withDrill(t)
	if code := b.run("drill", "--headless", "--for", "10ms", "--seed", "7"); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, b.err.String())
	}
	var got map[string]string
	if strings.Count(b.out.String(), "\n") != 1 || json.Unmarshal(b.out.Bytes(), &got) != nil {
		t.Fatalf("stdout is %q", b.out.String())
	}
	for _, k := range []string{"config", "prometheus", "loki", "otlp_grpc", "otlp_http", "admin", "state"} {
		if got[k] == "" {
			t.Errorf("%s is missing", k)
		}
	}
	if len(got) != 7 {
		t.Errorf("the line has other keys: %v", got)
	}
	if f.got.Scenario != "prompt-regression" || f.got.Seed != 7 || f.got.Speed != 10 || f.drill.closed != 1 {
		t.Errorf("the drill was started as %+v and closed %d times", f.got, f.drill.closed)
	}
	if strings.Count(b.err.String(), "backfilling") != 1 || strings.Contains(b.err.String(), "\x1b") {
		t.Errorf("progress without a terminal is %q", b.err.String())
	}
	if !strings.Contains(b.err.String(), "are in /s") {
		t.Errorf("it does not say where things are: %q", b.err.String())
	}
}

func TestASignalEndsAHeadlessDrill(t *testing.T) {
	b, f := withDrill(t)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if code := b.Run(ctx, []string{"drill", "quiet", "--headless", "--keep"}); code != ExitOK {
		t.Errorf("exit code %d: %s", code, b.err.String())
	}
	if f.drill.closed != 1 || !f.drill.kept || f.got.Scenario != "quiet" {
		t.Errorf("closed %d times, kept %v", f.drill.closed, f.drill.kept)
	}
}

func TestTheDeathOfTheServiceEndsTheDrillWithTheReason(t *testing.T) {
	for _, args := range [][]string{{"drill", "--headless"}, {"drill"}} {
		b, f := withDrill(t)
		b.InTTY, b.OutTTY = true, true
		f.drill.err = errors.New("exit status 2: panic: boom")
		close(f.drill.done)
		if code := b.run(args...); code != ExitBad || !strings.Contains(b.err.String(), "panic: boom") {
			t.Errorf("%v: exit code %d, %q", args, code, b.err.String())
		}
		if f.drill.closed != 1 {
			t.Errorf("%v: closed %d times", args, f.drill.closed)
		}
	}
}

func TestADrillOnATerminalOpensTheConsoleAndShowsProgressOnOneLine(t *testing.T) {
	b, f := withDrill(t)
	b.InTTY, b.OutTTY, b.ErrTTY, b.Width = true, true, true, 80
	if code := b.run("drill"); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, b.err.String())
	}
	if b.console == nil || b.console.Service != "support-assistant" || !strings.Contains(b.console.Notice, "prompt-regression") {
		t.Errorf("the console was opened with %+v", b.console)
	}
	shown, _, _ := strings.Cut(b.err.String(), "rollcall:")
	if strings.Contains(shown, "\n") || !strings.Contains(shown, "\r\x1b[K 25%  backfilling") || !strings.HasSuffix(shown, "\r\x1b[K") {
		t.Errorf("progress is %q", shown)
	}
	if strings.Contains(shown, "[2J\x1b") || strings.Contains(shown, "ready\x1b") {
		t.Errorf("control bytes of the child reached the terminal: %q", shown)
	}
	if f.drill.closed != 1 || !b.session.closed {
		t.Error("something was left open")
	}
}

func TestADrillThatCannotStartSaysWhy(t *testing.T) {
	b, f := withDrill(t)
	f.err = errors.New("the drill ended before it was ready: disk full")
	if code := b.run("drill", "--headless"); code != ExitBad || !strings.Contains(b.err.String(), "disk full") {
		t.Errorf("exit code %d: %q", code, b.err.String())
	}
	b.err.Reset()
	if code := b.run("drill", "quite", "--headless"); code != ExitUsage || !strings.Contains(b.err.String(), `no scenario "quite"; did you mean "quiet"?`) {
		t.Errorf("an unknown scenario: exit code %d: %q", code, b.err.String())
	}
	b.err.Reset()
	f.listErr = errors.New("rollcall-drill is neither beside rollcall nor in the PATH; run \"make build\"")
	if code := b.run("drill", "--headless"); code != ExitUsage || !strings.Contains(b.err.String(), "make build") {
		t.Errorf("a missing binary: exit code %d: %q", code, b.err.String())
	}
}

func TestScenariosAreListed(t *testing.T) {
	b, _ := withDrill(t)
	if code := b.run("drill", "list"); code != ExitOK || !strings.Contains(b.out.String(), "quiet              Nothing is wrong.") {
		t.Errorf("exit code %d: %q", code, b.out.String())
	}
	b.out.Reset()
	b.run("drill", "list", "-o", "json")
	if firstObject(t, b.out.Bytes())["scenario"] != "quiet" {
		t.Errorf("JSON is %s", b.out.String())
	}
}
