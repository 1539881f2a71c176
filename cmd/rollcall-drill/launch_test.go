package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"rollcall/cmd/rollcall-drill/sim"
)

// asLauncher makes this test binary play the launcher that is going to be killed.
const asLauncher = "DRILL_TEST_LAUNCHER"

func TestMain(m *testing.M) {
	if binary := os.Getenv(asLauncher); binary != "" {
		os.Exit(launcher(binary, os.Args[1]))
	}
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// launcher starts a drill as rollcall does and waits to be killed.
func launcher(binary, state string) int {
	cmd := exec.Command(binary, "--state", state, "--scenario", "quiet", "--otlp-grpc", "off")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 1
	}
	cmd.Stdout = os.Stdout
	if err := cmd.Start(); err != nil {
		return 1
	}
	fmt.Printf("{\"pid\":%d}\n", cmd.Process.Pid)
	defer func() { _ = stdin.Close() }()
	_ = cmd.Wait()
	return 0
}

// binary is the program under test: the one that make built, else one built now, once.
var binary = func() func(t *testing.T) string {
	build := sync.OnceValues(func() (string, error) {
		if dir := os.Getenv("ROLLCALL_BIN"); dir != "" {
			p := filepath.Join(dir, "rollcall-drill")
			if _, err := os.Stat(p); err == nil {
				return p, nil
			}
		}
		dir, err := os.MkdirTemp("", "rollcall-drill-")
		if err != nil {
			return "", err
		}
		built = dir
		p := filepath.Join(dir, "rollcall-drill")
		if out, err := exec.Command("go", "build", "-o", p, ".").CombinedOutput(); err != nil {
			return "", fmt.Errorf("build: %w\n%s", err, out)
		}
		return p, nil
	})
	return func(t *testing.T) string {
		t.Helper()
		p, err := build()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}()

// built is the folder of the program that the tests built themselves.
var built string

type line struct {
	PID        int
	Progress   *float64
	What       string
	Ready      bool
	Error      string
	Config     string
	Prometheus string
	Loki       string
	Admin      string
	State      string
	Service    string
	Scenario   string
	Seed       int64
	Speed      float64
	Start      time.Time
	WallStart  time.Time `json:"wall_start"`
}

type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan line
	done  chan error
}

func start(t *testing.T, env []string, name string, args ...string) *child {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: cmd, stdin: stdin, lines: make(chan line, 1000), done: make(chan error, 1)}
	go func() {
		in := bufio.NewScanner(stdout)
		for in.Scan() {
			var l line
			if err := json.Unmarshal(in.Bytes(), &l); err != nil {
				l.Error = "not a line of the protocol: " + in.Text()
			}
			c.lines <- l
		}
		close(c.lines)
		c.done <- cmd.Wait()
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // gone already when all went well
	return c
}

// ready waits for the ready line and checks what came before it.
func (c *child) ready(t *testing.T) line {
	t.Helper()
	limit := time.After(60 * time.Second)
	last := -1.0
	for {
		select {
		case l, ok := <-c.lines:
			switch {
			case !ok:
				t.Fatal("the drill ended before it was ready")
			case l.Error != "":
				t.Fatal(l.Error)
			case l.Ready:
				if last < 0 {
					t.Error("no progress was told")
				}
				return l
			case l.Progress != nil:
				if *l.Progress < last || *l.Progress > 1 || l.What == "" {
					t.Errorf("progress went from %g to %+v", last, l)
				}
				last = *l.Progress
			}
		case <-limit:
			t.Fatal("the drill was not ready within a minute")
		}
	}
}

// ends waits for the end of the process.
func (c *child) ends(t *testing.T, within time.Duration) error {
	t.Helper()
	for range c.lines { // closed when the output ends
	}
	select {
	case err := <-c.done:
		return err
	case <-time.After(within):
		t.Fatalf("the drill still runs after %s", within)
		return nil
	}
}

func eventually(t *testing.T, what string, within time.Duration, holds func() bool) {
	t.Helper()
	limit, tick := time.After(within), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v: %s", url, resp.Status, err, b)
	}
	return string(b)
}

func query(expr string) string { return "/api/v1/query?query=" + url.QueryEscape(expr) }

func TestADrillRunsFromReadyToTheEndOfItsInput(t *testing.T) {
	state := t.TempDir()
	c := start(t, nil, binary(t), "--state", state, "--scenario", "prompt-regression", "--seed", "-5", "--speed", "40",
		"--otlp-grpc", "off", "--otlp-http", "127.0.0.1:4318", "--config-out", filepath.Join(state, "c.yaml"))
	r := c.ready(t)
	if r.Service != "support-assistant" || r.Scenario != "prompt-regression" || r.Seed != -5 || r.Speed != 40 ||
		r.State != state || r.Config != filepath.Join(state, "c.yaml") || !r.Start.Before(r.WallStart) {
		t.Errorf("ready says %+v", r)
	}

	t.Run("the config is complete", func(t *testing.T) {
		text, err := os.ReadFile(r.Config)
		if err != nil {
			t.Fatal(err)
		}
		var cfg struct {
			Schema string
			Clock  struct {
				Speed     float64
				Start     time.Time
				WallStart time.Time `yaml:"wall_start"`
			}
			Refresh    string
			State      string
			Prometheus struct{ URL, Timeout string }
			Loki       struct{ URL, Timeout string }
			OTLP       struct{ GRPC, HTTP string }
			Prices     map[string]map[string]float64
			Services   map[string]struct {
				Scope        string
				Logs         string
				TraceService string `yaml:"trace_service"`
				Environment  string
				Thresholds   map[string]map[string]float64
				Budget       map[string]float64
				Components   map[string]map[string]string
				Settings     map[string]map[string]any
				Features     map[string]string
				Evals        map[string]any
				Rehearsal    struct {
					Components map[string]map[string]string
					Settings   map[string]map[string]any
					Features   map[string]string
					Evals      map[string]any
					Reset      []string
				}
			}
		}
		if err := yaml.UnmarshalWithOptions(text, &cfg, yaml.Strict()); err != nil {
			t.Fatal(err)
		}
		s := cfg.Services["support-assistant"]
		if cfg.Prometheus.URL != r.Prometheus || cfg.Loki.URL != r.Loki || cfg.OTLP.GRPC != "off" || cfg.OTLP.HTTP != "127.0.0.1:4318" ||
			cfg.Clock.Speed != 40 || !cfg.Clock.Start.Equal(r.Start) || !cfg.Clock.WallStart.Equal(r.WallStart) || s.Scope != `namespace="prod", job="assistant"` || len(s.Components) != 5 || len(s.Budget) != 5 ||
			len(s.Thresholds) == 0 || len(s.Evals) != 4 || len(s.Rehearsal.Components) != 5 || len(s.Rehearsal.Evals) != 4 || len(s.Rehearsal.Reset) != 4 || len(cfg.Prices) == 0 {
			t.Errorf("the config says %+v", cfg)
		}
		if got := get(t, s.Components["prompt"]["url"]); !strings.Contains(got, `"version"`) {
			t.Errorf("the prompt's pin answers %s", got)
		}
		if got := get(t, s.Rehearsal.Components["prompt"]["url"]); !strings.Contains(got, `"version":"v14"`) {
			t.Errorf("the rehearsal's pin answers %s; there must be something to roll back", got)
		}
		if len(s.Settings) == 0 || len(s.Rehearsal.Settings) != len(s.Settings) {
			t.Errorf("settings %v, in a rehearsal %v", s.Settings, s.Rehearsal.Settings)
		}
		for name, setting := range s.Settings {
			if got := get(t, fmt.Sprint(setting["url"])); !strings.Contains(got, `"value"`) {
				t.Errorf("%s answers %s", name, got)
			}
		}
		for _, u := range []string{s.Features["url"], s.Rehearsal.Features["url"]} {
			if got := get(t, u); !strings.Contains(got, `"rerank":true`) {
				t.Errorf("features at %s answer %s", u, got)
			}
		}
	})
	t.Run("sixteen days of metrics are there", func(t *testing.T) {
		got := get(t, r.Prometheus+query(`count_over_time(up[17d] @ `+strconv.FormatInt(r.Start.Unix(), 10)+`)`))
		if !strings.Contains(got, `"230`) { // 16 days of minutes and a few scrapes: 23,040 and more
			t.Errorf("samples of one series: %s", got)
		}
	})
	t.Run("the change comes, and the old info series ends", func(t *testing.T) {
		eventually(t, "prompt v14 alone is live", 20*time.Second, func() bool {
			got := get(t, r.Prometheus+query("llmops_deployment_info"))
			return strings.Contains(got, `"prompt":"v14"`) && !strings.Contains(got, `"prompt":"v13"`)
		})
		eventually(t, "the log says so", 10*time.Second, func() bool {
			return strings.Contains(get(t, r.Loki+"/loki/api/v1/query_range?limit=10&query="+
				url.QueryEscape(`{job="assistant"} |= "configuration changed"`)), "v14")
		})
	})
	t.Run("its eval suite runs", func(t *testing.T) {
		out, err := exec.CommandContext(t.Context(), c.cmd.Path, "evals", "--admin", r.Admin).Output()
		var failed *exec.ExitError
		if !errors.As(err, &failed) || failed.ExitCode() != 1 || !bytes.Contains(out, []byte(`"failures"`)) {
			t.Errorf("evals of the bad prompt gave %v\n%.300s", err, out)
		}
	})

	told := time.Now()
	if err := c.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.ends(t, 10*time.Second); err != nil {
		t.Errorf("it ended with %v", err)
	}
	t.Logf("ended %s after its input", time.Since(told))
	left, err := filepath.Glob(filepath.Join(state, "metrics-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	var outcome sim.Outcome
	if text, err := os.ReadFile(filepath.Join(state, "outcome.json")); err != nil || json.Unmarshal(text, &outcome) != nil {
		t.Fatalf("its account is missing: %v %s", err, text)
	}
	if outcome.Scenario != "prompt-regression" || outcome.Cause == "" || outcome.Before.Requests == 0 || !outcome.Until.After(r.Start) {
		t.Errorf("its account is %+v", outcome)
	}
}

func TestADrillDiesWithALauncherThatIsKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, []string{asLauncher + "=" + binary(t)}, self, t.TempDir())
	pid := (<-c.lines).PID
	if pid == 0 {
		t.Fatal("the launcher did not say which process it started")
	}
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the drill is gone", 10*time.Second, func() bool { return !alive(pid) })
}

// alive tells whether the process runs; one that ended and waits for its parent does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

func TestADrillEndsOnSignalsAndInTime(t *testing.T) {
	bin := binary(t)
	t.Run("a signal", func(t *testing.T) {
		c := start(t, nil, bin, "--state", t.TempDir(), "--scenario", "quiet", "--otlp-grpc", "off")
		c.ready(t)
		if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := c.ends(t, 10*time.Second); err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Run("a signal while it starts", func(t *testing.T) {
		c := start(t, nil, bin, "--state", t.TempDir(), "--scenario", "quiet", "--otlp-grpc", "off")
		<-c.lines
		if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := c.ends(t, 10*time.Second); err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	t.Run("its time is up", func(t *testing.T) {
		c := start(t, nil, bin, "--state", t.TempDir(), "--scenario", "quiet", "--otlp-grpc", "off", "--for", "300ms")
		c.ready(t)
		if err := c.ends(t, 10*time.Second); err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestWhatCannotStartSaysWhyInOneLine(t *testing.T) {
	bin := binary(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(bad, []byte("name: mine\ndescription: d\nefects: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	for _, c := range []struct {
		what string
		args []string
		want string
	}{
		{"no state folder", nil, "--state is missing"},
		{"a state folder that is not there", []string{"--state", "/does/not/exist"}, "no such file"},
		{"a file for a state folder", []string{"--state", file}, "is not a folder"},
		{"an unknown scenario", []string{"--state", state, "--scenario", "quite"}, `no scenario \"quite\"; there are blue-green, budget-exhaustion,`},
		{"a scenario with a mistake", []string{"--state", state, "--scenario", bad}, `mine.yaml:3:1: scenario: unknown key \"efects\"`},
		{"a slow clock", []string{"--state", state, "--speed", "0.5"}, "--speed 0.5"},
		{"an address without a port", []string{"--state", state, "--otlp-grpc", "localhost"}, "is not an address"},
		{"a start in the future", []string{"--state", state, "--start", "2199-01-01T00:00:00Z"}, "in the future"},
		{"an unknown flag", []string{"--stat", state}, "unknown flag"},
		{"a config path that cannot be written", []string{"--state", state, "--otlp-grpc", "off", "--config-out", "/does/not/exist.yaml"}, "config:"},
	} {
		t.Run(c.what, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), bin, c.args...)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = stdin.Close() }()
			var out bytes.Buffer
			cmd.Stdout = &out
			if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("it ended with %v, want exit code 1", err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, `{"error":`) || !strings.Contains(last, c.want) {
				t.Errorf("it said %s, want an error with %s", last, c.want)
			}
		})
	}
}

func TestTheListHasOneScenarioALine(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), binary(t), "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"prompt-regression", "silent-model-change", "cost-runaway", "quiet"} {
		if !strings.Contains("\n"+string(out), "\n"+want+"\t") {
			t.Errorf("the list has no line of %s:\n%s", want, out)
		}
	}
}

func TestTheClockNeverPassesTheWall(t *testing.T) {
	at := time.Date(2026, 3, 4, 8, 0, 0, 0, time.UTC)
	wall := at
	c := &clock{start: at.Add(-6 * time.Hour), speed: 10, wall: func() time.Time { return wall }}
	if got := c.now(); !got.Equal(c.start) {
		t.Errorf("before its release it shows %s", got)
	}
	c.release()
	for _, x := range []struct {
		after, shows time.Duration // since the release, since the start
	}{
		{0, 0}, {time.Second, 10 * time.Second}, {40 * time.Minute, 400 * time.Minute}, {time.Hour, 7 * time.Hour},
	} {
		wall = at.Add(x.after)
		if got := c.now().Sub(c.start); got != x.shows {
			t.Errorf("%s after the release it shows the start + %s, want + %s", x.after, got, x.shows)
		}
	}
}
