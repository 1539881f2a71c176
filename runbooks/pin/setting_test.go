package pin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/runbooks"
	"rollcall/sources"
)

// knobServer is a service that holds one setting as JSON and wants an If-Match.
type knobServer struct {
	t     *testing.T
	value string // as JSON
	moves int
}

func (d *knobServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tag := fmt.Sprintf("%q", fmt.Sprint(d.moves))
	if r.Method == http.MethodPut {
		if r.Header.Get("If-Match") != tag {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		var in struct{ Value json.RawMessage }
		b, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(b, &in); err != nil {
			d.t.Errorf("the body is %s", b)
		}
		d.value, d.moves = string(in.Value), d.moves+1
		return
	}
	w.Header().Set("ETag", tag)
	_, _ = fmt.Fprintf(w, `{"value": %s}`, d.value)
}

// dials are settings behind all three drivers.
func dials(t *testing.T) (Target, *knobServer) {
	t.Helper()
	dir := t.TempDir()
	d := &knobServer{t: t, value: "0.10"}
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	file := filepath.Join(dir, "app.yaml")
	if err := os.WriteFile(file, []byte("queue:\n  mode: off # for now\nlimit: 9800\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	held := filepath.Join(dir, "colour")
	if err := os.WriteFile(held, []byte("blue\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	zero, one, most := 0.0, 1.0, 20000.0
	out := Target{Settings: map[string]Setting{
		"canary":     {Component: Component{Driver: driverHTTP, Endpoint: Endpoint{URL: srv.URL}}, Min: &zero, Max: &one},
		"queueing":   {Component: Component{Driver: driverFile, Path: file, Key: "queue.mode"}, Values: []string{"on", "off"}},
		"budget_day": {Component: Component{Driver: driverFile, Path: file, Key: "limit"}, Max: &most},
		"colour": {Component: Component{
			Driver: driverExec, Get: []string{"cat", held}, Set: []string{"sh", "-c", `test "$(cat "$1")" = "$3" && echo "$2" > "$1"`, "set", held, "$VALUE", "$CURRENT"},
		}},
	}}
	out.Validate("services.a", func(at, format string, args ...any) { t.Errorf("%s: "+format, append([]any{at}, args...)...) })
	return out, d
}

func TestSettingsMoveThroughEveryDriverFromTheExpectedValue(t *testing.T) {
	live, d := dials(t)
	b := &book{}
	s := open(t, live, b, Guard{})
	for _, c := range []struct{ name, from, to, reads string }{
		{"canary", "0.1", "0.25", "0.25"}, // 0.10 is 0.1
		{"queueing", "off", "on", "on"},
		{"budget_day", "9800.0", "12000", "12000"},
		{"colour", "blue", "green", "green"},
	} {
		if err := s.SetValue(t.Context(), c.name, c.to, c.from); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if v, err := s.Value(t.Context(), c.name); v != c.reads || err != nil {
			t.Errorf("%s is %q, %v", c.name, v, err)
		}
		is(t, s.SetValue(t.Context(), c.name, c.from, c.from), ErrMoved, c.name+" is "+c.reads+" now, not "+c.from)
	}
	if d.value != "0.25" {
		t.Errorf("the number was sent as %s", d.value)
	}
	if line, err := s.OtherValues(t.Context(), "canary"); line != "budget_day=12000 colour=green queueing=on" || err != nil {
		t.Errorf("the others are %q, %v", line, err)
	}
	if want := `setting.set assistant prod  {"setting":"colour","from":"blue","to":"blue","result":"moved","now":"green"}`; b.last() != want {
		t.Errorf("recorded %s", b.last())
	}
	if b.entries[0].Data == nil || len(b.entries) != 8 {
		t.Errorf("%d entries", len(b.entries))
	}
}

func TestASwitchInJSONIsOnOrOff(t *testing.T) {
	live, d := dials(t)
	d.value = "true"
	live.Settings["canary"] = Setting{Component: live.Settings["canary"].Component}
	s := open(t, live, &book{}, Guard{})
	if v, err := s.Value(t.Context(), "canary"); v != "on" || err != nil {
		t.Fatalf("true reads as %q, %v", v, err)
	}
	if err := s.SetValue(t.Context(), "canary", "off", "on"); err != nil || d.value != "false" {
		t.Errorf("off was sent as %s: %v", d.value, err)
	}
	for _, raw := range []string{`{"a": 1}`, `[1]`, `null`, `"two words"`, `"\u001b[2J"`} {
		d.value = raw
		_, err := s.Value(t.Context(), "canary")
		is(t, err, ErrUnreachable, "its value ")
	}
}

func TestASlipOfTheFingerIsRefusedBeforeAnythingIsTried(t *testing.T) {
	live, d := dials(t)
	b := &book{}
	s := open(t, live, b, Guard{})
	for _, c := range []struct{ name, to, says string }{
		{"canary", "10", "1 is the most"},
		{"canary", "-0.1", "begins with a dash"},
		{"canary", "ten", "it is a number"},
		{"canary", "0x1", "it is a number"},
		{"canary", "NaN", "it is a number"},
		{"queueing", "true", "it can be on, off"},
		{"budget_day", "98000", "20000 is the most"},
		{"nothing", "1", "there are budget_day, canary, colour, queueing; add services.assistant.settings.nothing"},
	} {
		is(t, s.SetValue(t.Context(), c.name, c.to, "0.1"), ErrUnknown, c.says)
	}
	if d.moves != 0 || len(b.entries) != 0 {
		t.Errorf("%d moves, %d entries", d.moves, len(b.entries))
	}
}

func TestARunSetsOnlyItsOwnSettings(t *testing.T) {
	live, d := dials(t)
	run := []string{runbooks.EnvRun, "RUN-1", runbooks.EnvStep, "apply"}
	for _, c := range []struct {
		what string
		env  []string
		says string
	}{
		{"another setting's", []string{runbooks.EnvEffect, "write", runbooks.EnvSettings, "queueing budget_day"}, "this run may move queueing, budget_day and nothing else"},
		{"a component's", []string{runbooks.EnvEffect, "write", runbooks.EnvComponent, "prompt"}, "this run may move prompt and nothing else"},
		{"a step that reads", []string{runbooks.EnvEffect, "read", runbooks.EnvSettings, "canary"}, "apply only reads"},
		{"read-only", []string{runbooks.EnvEffect, "write", runbooks.EnvSettings, "canary", runbooks.EnvReadOnly, "1"}, "read-only"},
	} {
		s := open(t, live, &book{}, env(append(append([]string{}, run...), c.env...)...))
		is(t, s.SetValue(t.Context(), "canary", "0", "0.1"), ErrForbidden, c.says)
	}
	s := open(t, live, &book{}, env(append(run, runbooks.EnvEffect, "write", runbooks.EnvSettings, "canary")...))
	is(t, s.Set(t.Context(), sources.Prompt, "a", "b"), ErrUnknown) // no pin here
	if err := s.SetValue(t.Context(), "canary", "0", "0.1"); err != nil || d.value != "0" {
		t.Errorf("its own: %s, %v", d.value, err)
	}
	whole := target(t)
	s = open(t, whole, &book{}, env(append(run, runbooks.EnvEffect, "write", runbooks.EnvSettings, "canary")...))
	is(t, s.Set(t.Context(), sources.Prompt, "v13", "v14"), ErrForbidden, "may move canary and nothing else")
}

func TestARehearsalNeverSetsWhatIsLive(t *testing.T) {
	live, d := dials(t)
	there, err := Open(live, &Target{}, Options{Service: "assistant", Guard: Guard{Rehearsal: true}})
	if err != nil {
		t.Fatal(err)
	}
	is(t, there.SetValue(t.Context(), "canary", "0", "0.1"), ErrUnknown, "add services.assistant.rehearsal.settings.canary")
	if d.moves != 0 {
		t.Error("the live setting moved")
	}
}

func TestAnUnansweredMoveOfASettingIsUncertain(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set("ETag", `"1"`)
		_, _ = io.WriteString(w, `{"value": 0.1}`)
	}))
	t.Cleanup(slow.Close)
	live := Target{Settings: map[string]Setting{"canary": {Component: Component{Driver: driverHTTP, Endpoint: Endpoint{URL: slow.URL}, Timeout: sources.Duration(30 * time.Second)}}}}
	b := &book{}
	is(t, open(t, live, b, Guard{}).SetValue(t.Context(), "canary", "0", "0.1"), ErrUncertain, "0.1 is live now", "make sure with: rollcall setting get canary")
	if !strings.Contains(b.last(), `"result":"uncertain"`) {
		t.Errorf("recorded %s", b.last())
	}
}

func TestMistakesInASettingCarryTheirPlace(t *testing.T) {
	one, two := 1.0, 2.0
	for _, c := range []struct {
		name    string
		setting Setting
		says    string
	}{
		{"Canary", Setting{}, `services.a.settings.Canary: "Canary" is no name of a setting`},
		{"canary", Setting{}, "services.a.settings.canary: services.a.settings.canary.driver is missing"},
		{"canary", Setting{Component: Component{Driver: driverExec, Get: []string{"x"}, Set: []string{"x", "$VERSION", "$CURRENT"}}}, "$VERSION is not replaced here; known here: $VALUE, $CURRENT"},
		{"canary", Setting{Component: Component{Driver: driverExec, Get: []string{"x"}, Set: []string{"x", "$VALUE", "$CURRENT"}, List: []string{"x"}}}, "list belongs to pins"},
		{"canary", Setting{Component: Component{Driver: driverFile, Path: "x"}, Values: []string{"a"}, Min: &one}, "has values and bounds"},
		{"canary", Setting{Component: Component{Driver: driverFile, Path: "x"}, Min: &two, Max: &one}, "is over its max"},
	} {
		var said []string
		live := Target{Settings: map[string]Setting{c.name: c.setting}}
		live.Validate("services.a", func(at, format string, args ...any) { said = append(said, at+": "+fmt.Sprintf(format, args...)) })
		if all := strings.Join(said, "\n"); !strings.Contains(all, c.says) {
			t.Errorf("%+v: said %q, want %q", c.setting, all, c.says)
		}
	}
}
