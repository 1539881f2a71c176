package sim_test

import (
	"errors"
	"testing"
	"time"

	"rollcall/cmd/rollcall-drill/scenarios"
	"rollcall/cmd/rollcall-drill/sim"
)

func atStart() time.Time { return start }

func control(t *testing.T, scenario string) *sim.Control {
	t.Helper()
	s, err := scenarios.Named(scenario)
	if err != nil {
		t.Fatal(err)
	}
	return sim.NewControl(s, start, atStart)
}

func set(t *testing.T, c *sim.Control, name string, value any) {
	t.Helper()
	s, err := c.Setting(name)
	if err == nil {
		_, err = c.SetSetting(name, value, s.Revision)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func live(t *testing.T, c *sim.Control, component, want string) {
	t.Helper()
	if p, err := c.Pin(component); err != nil || p.Version != want {
		t.Errorf("%s is %s (%v), want %s", component, p.Version, err, want)
	}
}

func TestACanaryWithAllOfTheTrafficIsLiveAndGivesItBack(t *testing.T) {
	c := control(t, "quiet")
	if err := c.StartCanary(map[string]string{"prompt": "v12", "tools": "t4"}, 0.5); err != nil {
		t.Fatal(err)
	}
	if err := c.StartCanary(map[string]string{"prompt": "v12"}, 0.1); !errors.Is(err, sim.ErrRejected) {
		t.Errorf("a second canary: %v", err)
	}
	set(t, c, "canary", 1.0)
	live(t, c, "prompt", "v12")
	live(t, c, "tools", "t4")
	p, _ := c.Pin("tools")
	if _, err := c.SetPin("tools", "t6", p.Revision); err != nil {
		t.Fatal(err)
	}
	set(t, c, "canary", 0.0)
	live(t, c, "prompt", "v13")
	live(t, c, "tools", "t6") // what somebody moved since then stays
}

func TestASettingThatMovedMeanwhileStays(t *testing.T) {
	c := control(t, "quiet")
	seen, err := c.Setting("budget_day")
	if err != nil {
		t.Fatal(err)
	}
	set(t, c, "enforce_day", true) // of the same budget
	if s, err := c.SetSetting("budget_day", 1.0, seen.Revision); !errors.Is(err, sim.ErrMoved) || s.Value != seen.Value {
		t.Errorf("it is %v: %v", s.Value, err)
	}
	for name, value := range map[string]any{"budget_day": "much", "queueing": "on", "colour": "red", "canary": 0.5, "fallback_model": "gpt-5"} {
		s, err := c.Setting(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.SetSetting(name, value, s.Revision); !errors.Is(err, sim.ErrRejected) {
			t.Errorf("%s became %v: %v", name, value, err)
		}
	}
}

func TestARehearsalHasSomethingToStopAndToSwitch(t *testing.T) {
	s, err := scenarios.Named("quiet")
	if err != nil {
		t.Fatal(err)
	}
	c := sim.NewRehearsal(s, start, atStart)
	for name, want := range map[string]any{"canary": 0.1, "queueing": false, "colour": "green"} {
		if x, err := c.Setting(name); err != nil || x.Value != want {
			t.Errorf("%s is %v (%v)", name, x.Value, err)
		}
	}
	before, _ := c.Setting("canary")
	set(t, c, "canary", 0.0)
	c.Restart(start)
	if x, _ := c.Setting("canary"); x.Value != 0.1 || x.Revision == before.Revision {
		t.Errorf("after the reset it is %v at revision %d", x.Value, x.Revision)
	}
}
