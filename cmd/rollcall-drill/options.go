package main

import (
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rollcall/cmd/rollcall-drill/scenarios"
	"rollcall/cmd/rollcall-drill/sim"
)

// options are the command line.
type options struct {
	state     string
	scenario  string
	seed      int64
	speed     float64
	grpc      string
	http      string
	configOut string
	life      time.Duration
	start     moment
}

// fastFor is how long, in wall time, a drill runs accelerated before service
// time meets wall time.
const fastFor = 40 * time.Minute

// beforeMidnight is how long a day's budget has to go on for: at midnight it
// would be whole again, and a drill about it over.
const (
	day            = 24 * time.Hour
	beforeMidnight = 2 * time.Hour
)

func (o *options) check() error {
	switch info, err := os.Stat(o.state); {
	case o.state == "":
		return fmt.Errorf("--state is missing; it names the folder that the drill may write to")
	case err != nil:
		return fmt.Errorf("--state: %w", err)
	case !info.IsDir():
		return fmt.Errorf("--state %s is not a folder", o.state)
	case !(o.speed >= 1 && o.speed <= 1000):
		return fmt.Errorf("--speed %g: it is from 1 to 1000", o.speed)
	case o.life < 0:
		return fmt.Errorf("--for %s is negative", o.life)
	}
	for flag, addr := range map[string]string{"--otlp-grpc": o.grpc, "--otlp-http": o.http} {
		if addr == "" || addr == off {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return fmt.Errorf("%s %q is not an address; write it like 127.0.0.1:4317, or off", flag, addr)
		}
	}
	if o.configOut == "" {
		o.configOut = filepath.Join(o.state, "rollcall.yaml")
	}
	return nil
}

const off = "off"

// load finds the scenario among the built-in ones or, given a path, on disk.
func (o *options) load() (*sim.Scenario, error) {
	if !strings.ContainsAny(o.scenario, `/\`) && !strings.HasSuffix(o.scenario, ".yaml") {
		return scenarios.Named(o.scenario)
	}
	text, err := os.ReadFile(o.scenario)
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	return sim.Parse(filepath.Base(o.scenario), text)
}

// begin is when service time starts: so far back that it runs accelerated for a
// while before it meets wall time, which it must not pass.
func (o *options) begin(wall time.Time) (time.Time, error) {
	if t := time.Time(o.start); !t.IsZero() {
		if t.After(wall) {
			return t, fmt.Errorf("--start %s is in the future; service time never passes wall time", t.Format(time.RFC3339))
		}
		return t.UTC().Truncate(time.Minute), nil
	}
	lag := time.Duration(math.Max(float64(time.Minute), (o.speed-1)*float64(fastFor)))
	start := wall.UTC().Add(-lag).Truncate(time.Minute)
	if midnight := start.Truncate(day).Add(day); midnight.Sub(start) < beforeMidnight {
		start = midnight.Add(-beforeMidnight)
	}
	return start, nil
}

// moment is a time on the command line.
type moment time.Time

func (m *moment) String() string {
	if t := time.Time(*m); !t.IsZero() {
		return t.Format(time.RFC3339)
	}
	return ""
}

// Set parses RFC 3339.
func (m *moment) Set(s string) error {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return fmt.Errorf("%q is not a time; write it like 2026-03-04T02:00:00Z", s)
	}
	*m = moment(t)
	return nil
}

// Type names the kind of value in the help.
func (m *moment) Type() string { return "time" }
