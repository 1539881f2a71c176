package pin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/runbooks"
	"rollcall/sources"
	"rollcall/store/journal"
)

// book is a journal in memory.
type book struct {
	entries []journal.Entry
	broken  error
}

func (b *book) Append(_ context.Context, drafts ...journal.Draft) ([]journal.Entry, error) {
	if b.broken != nil {
		return nil, b.broken
	}
	for _, d := range drafts {
		data, err := json.Marshal(d.Data)
		if err != nil {
			return nil, err
		}
		b.entries = append(b.entries, journal.Entry{
			Seq: int64(len(b.entries) + 1), Kind: d.Kind, Data: data, Text: d.Text, Service: d.Service, Environment: d.Environment,
			Run: d.Run, Incident: d.Incident, Actor: "ana", At: time.Date(2026, 3, 10, 2, 11, 0, 0, time.UTC),
		})
	}
	return nil, nil
}

func (b *book) Entries(_ context.Context, f journal.Filter) ([]journal.Entry, error) {
	var out []journal.Entry
	for _, e := range b.entries {
		for _, k := range f.Kinds {
			if e.Kind == k && e.Service == f.Service {
				out = append(out, e)
			}
		}
	}
	return out, b.broken
}

func (b *book) last() string {
	if len(b.entries) == 0 {
		return ""
	}
	e := b.entries[len(b.entries)-1]
	return fmt.Sprintf("%s %s %s %s %s", e.Kind, e.Service, e.Environment, e.Run, e.Data)
}

func env(kv ...string) Guard {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return GuardFrom(func(k string) (string, bool) { v, ok := m[k]; return v, ok })
}

// target has three pins in files.
func target(t *testing.T) Target {
	t.Helper()
	out := Target{Components: map[sources.Component]Component{}}
	for c, v := range map[sources.Component]string{sources.Prompt: "v14", sources.Model: "gpt-4.1", sources.Index: "kb-7"} {
		path := filepath.Join(t.TempDir(), string(c))
		if err := os.WriteFile(path, []byte(v), 0o600); err != nil {
			t.Fatal(err)
		}
		out.Components[c] = Component{Driver: driverFile, Path: path}
	}
	return out
}

func open(t *testing.T, live Target, b *book, g Guard, change ...func(*Options)) *Set {
	t.Helper()
	o := Options{Service: "assistant", Environment: "prod", Guard: g, Recorder: b, Reader: b}
	for _, c := range change {
		c(&o)
	}
	s, err := Open(live, nil, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestEveryAttemptToMoveIsRecordedWithItsOutcome(t *testing.T) {
	b := &book{}
	s := open(t, target(t), b, env(runbooks.EnvRun, "RUN-3", runbooks.EnvStep, "apply", runbooks.EnvEffect, "write", runbooks.EnvComponent, "prompt"))
	if err := s.Set(t.Context(), sources.Prompt, "v13", "v14"); err != nil {
		t.Fatal(err)
	}
	if want := `pin.set assistant prod RUN-3 {"component":"prompt","from":"v14","to":"v13","result":"done","step":"apply"}`; b.last() != want {
		t.Errorf("recorded %s", b.last())
	}
	is(t, s.Set(t.Context(), sources.Prompt, "v12", "v14"), ErrMoved)
	if want := `"from":"v14","to":"v12","result":"moved","now":"v13"`; !strings.Contains(b.last(), want) || b.entries[1].Text == "" {
		t.Errorf("recorded %s", b.last())
	}
}

func TestAMoveStandsWhenTheJournalCannotBeWritten(t *testing.T) {
	var notes []string
	b := &book{broken: errors.New("disk is full; free some space")}
	s := open(t, target(t), b, Guard{}, func(o *Options) { o.Note = func(n string) { notes = append(notes, n) } })
	if err := s.Set(t.Context(), sources.Prompt, "v13", "v14"); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "not in the journal: disk is full") {
		t.Errorf("said %q", notes)
	}
	if err := s.Mark(t.Context(), sources.Prompt, "v13", ""); err == nil || !strings.Contains(err.Error(), "was not marked: disk is full") {
		t.Errorf("a mark that was not recorded is none: %v", err)
	}
}

func TestTheEnvironmentSaysWhatACommandMayDo(t *testing.T) {
	for _, tc := range []struct {
		name string
		g    Guard
		says string
	}{
		{"another component", env(runbooks.EnvRun, "RUN-1", runbooks.EnvEffect, "write", runbooks.EnvComponent, "model"), "this run may move model and nothing else"},
		{"a step that reads", env(runbooks.EnvRun, "RUN-1", runbooks.EnvEffect, "read", runbooks.EnvStep, "target"), "target only reads; give it effect: write"},
		{"a run that says nothing", env(runbooks.EnvRun, "RUN-1"), "this step only reads"},
		{"read-only", env(runbooks.EnvReadOnly, "1", runbooks.EnvEffect, "write"), "nothing may be changed in read-only mode"},
		{"a word that is no effect", env(runbooks.EnvEffect, "wrote"), "this step only reads"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := &book{}
			live := target(t)
			live.Features = &Features{Driver: driverExec, List: []string{"true"}, On: []string{"false", "$NAME"}, Off: []string{"false", "$NAME"}}
			s := open(t, live, b, tc.g)
			is(t, s.Set(t.Context(), sources.Prompt, "v13", "v14"), ErrForbidden, tc.says)
			is(t, s.Mark(t.Context(), sources.Prompt, "v13", ""), ErrForbidden)
			if v, err := s.Get(t.Context(), sources.Prompt); v != "v14" || err != nil {
				t.Errorf("reading is always allowed and nothing moved: %s, %v", v, err)
			}
			if tc.name != "another component" {
				is(t, s.Switch(t.Context(), "rerank", false), ErrForbidden)
			}
			if len(b.entries) != 0 {
				t.Errorf("recorded %s", b.last())
			}
		})
	}
}

func TestARehearsalNeverTouchesTheLiveTarget(t *testing.T) {
	live, practice := target(t), target(t)
	g := env(runbooks.EnvRehearsal, "1")
	_, err := Open(live, nil, Options{Service: "assistant", Guard: g})
	is(t, err, ErrForbidden, "has no rehearsal target; add rehearsal:")
	b := &book{}
	s, err := Open(live, &practice, Options{Service: "assistant", Guard: g, Recorder: b, Reader: b})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Set(t.Context(), sources.Prompt, "v13", "v14"), s.Mark(t.Context(), sources.Prompt, "v13", "")); err != nil {
		t.Fatal(err)
	}
	real := open(t, live, b, Guard{}, func(o *Options) { o.Environment = "" })
	if v, _ := real.Get(t.Context(), sources.Prompt); v != "v14" {
		t.Errorf("the live pin is %s", v)
	}
	if _, err := real.LastGood(t.Context(), sources.Prompt, "v14"); err == nil {
		t.Error("a mark of a rehearsal counts for the live service")
	}
	if g, err := s.LastGood(t.Context(), sources.Prompt, "v14"); g.Version != "v13" || err != nil {
		t.Errorf("the rehearsal's own mark is forgotten: %+v, %v", g, err)
	}
}

func TestTheOtherPinsAreOneLineOrAnError(t *testing.T) {
	live := target(t)
	s := open(t, live, &book{}, Guard{})
	if line, err := s.Others(t.Context(), sources.Prompt); line != "index=kb-7 model=gpt-4.1" || err != nil {
		t.Errorf("got %q, %v", line, err)
	}
	_, err := s.Others(t.Context(), "promt")
	is(t, err, ErrUnknown, `component "promt" is not known; there are prompt, model, tools, index, policy`)
	_, err = s.Get(t.Context(), sources.Tools)
	is(t, err, ErrUnknown, "add services.assistant.components.tools to the configuration")
	if err := os.Remove(live.Components[sources.Index].Path); err != nil {
		t.Fatal(err)
	}
	line, err := s.Others(t.Context(), sources.Prompt)
	is(t, err, ErrUnreachable)
	if line != "" {
		t.Errorf("a line without one of the pins: %q", line)
	}
}

func TestAVersionThatIsNoneIsRefusedBeforeAnythingIsAsked(t *testing.T) {
	b := &book{}
	s := open(t, target(t), b, Guard{})
	for _, v := range []string{"", "--force", "a b", "v\n1", "\x1b[2J", strings.Repeat("x", 300)} {
		is(t, s.Set(t.Context(), sources.Prompt, v, "v14"), ErrUnknown)
		is(t, s.Set(t.Context(), sources.Prompt, "v13", v), ErrUnknown)
		is(t, s.Mark(t.Context(), sources.Prompt, v, ""), ErrUnknown)
	}
	if len(b.entries) != 0 {
		t.Errorf("recorded %s", b.last())
	}
}

// told is a history that was prepared.
type told struct {
	lives []Life
	fared map[string]string
	err   error
}

func (h *told) Lives(context.Context, sources.Component) ([]Life, error) { return h.lives, h.err }

func (h *told) Fared(_ context.Context, l Life) (string, error) {
	if h.fared[l.Version] == "unknown" {
		return "", errors.New("prometheus is down")
	}
	return h.fared[l.Version], nil
}

func TestTheLastGoodVersionComesFromWhoKnowsBest(t *testing.T) {
	at := time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)
	history := &told{
		lives: []Life{{"v14", at, at.Add(time.Hour)}, {"v13", at.AddDate(0, 0, -1), at}, {"v12", at.AddDate(0, 0, -2), at}, {"v11", at.AddDate(0, 0, -5), at.AddDate(0, 0, -2)}},
		fared: map[string]string{"v13": "Schema failures was bad at 02:30Z", "v12": "unknown"},
	}
	srv := httptest.NewServer(&holder{version: "v14"})
	t.Cleanup(srv.Close)
	b := &book{}
	var notes []string
	with := func(o *Options) {
		o.History, o.Note = history, func(n string) { notes = append(notes, n) }
	}
	knows := Target{Components: map[sources.Component]Component{sources.Prompt: {Driver: driverHTTP, Endpoint: Endpoint{URL: srv.URL}}}}
	silent := target(t)

	s := open(t, silent, b, Guard{}, with)
	good, err := s.LastGood(t.Context(), sources.Prompt, "v14")
	if err != nil || good.Version != "v11" || good.From != "deployment history: lived 3 days without a bad verdict" {
		t.Errorf("from history: %+v, %v", good, err)
	}
	if all := strings.Join(notes, "\n"); !strings.Contains(all, "v13 was not good: Schema failures") || !strings.Contains(all, "how prompt v12 fared is not known: prometheus is down") {
		t.Errorf("it does not say why others were left out: %q", notes)
	}
	s = open(t, knows, b, Guard{}, with)
	if good, err = s.LastGood(t.Context(), sources.Prompt, "v14"); err != nil || good.Version != "v13" || good.From != "driver" {
		t.Errorf("from the driver: %+v, %v", good, err)
	}
	if err := s.Mark(t.Context(), sources.Prompt, "v12", "calm all night"); err != nil {
		t.Fatal(err)
	}
	if good, err = s.LastGood(t.Context(), sources.Prompt, "v14"); err != nil || good.Version != "v12" || good.From != "marked by ana at 2026-03-10 02:11Z" {
		t.Errorf("from a person: %+v, %v", good, err)
	}
	if good, err = s.LastGood(t.Context(), sources.Prompt, "v12"); err != nil || good.Version != "v13" {
		t.Errorf("a marked version that is the bad one: %+v, %v", good, err)
	}
	history.lives = nil
	_, err = open(t, silent, &book{}, Guard{}, with).LastGood(t.Context(), sources.Prompt, "v14")
	is(t, err, ErrUnknown, "a good version of prompt other than v14 is not known", "rollcall pin mark prompt VERSION")
}

func TestAFeatureIsSwitchedAndRecorded(t *testing.T) {
	on := map[string]bool{"rerank": true, "agent": false}
	stuck := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			name := r.URL.Path[1:]
			if _, ok := on[name]; !ok {
				w.WriteHeader(404)
				return
			}
			var in struct{ Enabled bool }
			_ = json.NewDecoder(r.Body).Decode(&in)
			if !stuck {
				on[name] = in.Enabled
			}
		}
		_ = json.NewEncoder(w).Encode(on)
	}))
	t.Cleanup(srv.Close)
	b := &book{}
	s := open(t, Target{Features: &Features{Driver: driverHTTP, Endpoint: Endpoint{URL: srv.URL}}}, b, Guard{})
	if err := s.Switch(t.Context(), "rerank", false); err != nil {
		t.Fatal(err)
	}
	if want := `feature.set assistant prod  {"feature":"rerank","enabled":false,"result":"done"}`; b.last() != want {
		t.Errorf("recorded %s", b.last())
	}
	if list, err := s.Features(t.Context()); err != nil || fmt.Sprint(list) != "[{agent false} {rerank false}]" {
		t.Errorf("listed %v, %v", list, err)
	}
	is(t, s.Switch(t.Context(), "nope", false), ErrUnknown)
	stuck = true
	is(t, s.Switch(t.Context(), "agent", true), ErrUncertain, "accepted, but it is still off")
	if !strings.Contains(b.last(), `"result":"uncertain"`) {
		t.Errorf("recorded %s", b.last())
	}
	is(t, open(t, Target{}, b, Guard{}).Switch(t.Context(), "x", true), ErrUnknown, "add features: to the service")
}

func TestFeaturesBehindCommands(t *testing.T) {
	dir := t.TempDir()
	f := &Features{
		Driver: driverExec, List: []string{"sh", "-c", "cat " + dir + "/*"},
		On: []string{"sh", "-c", `echo "$0 on" > ` + dir + `/$0`, "$NAME"}, Off: []string{"sh", "-c", `echo "$0 off" > ` + dir + `/$0`, "$NAME"},
	}
	s := open(t, Target{Features: f}, &book{}, Guard{})
	if err := errors.Join(s.Switch(t.Context(), "rerank", false), s.Switch(t.Context(), "cache", true)); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Features(t.Context()); err != nil || fmt.Sprint(list) != "[{cache true} {rerank false}]" {
		t.Errorf("listed %v, %v", list, err)
	}
}

func TestAFeatureIsFoundByAWordOfItsName(t *testing.T) {
	list := "printf '%s\\n' 'tenant.acme on' 'tenant.acme-labs on' 'tenant.hooli off' 'hooli.reports on' 'Agent_Tools on' 'agent_planner on'"
	s := open(t, Target{Features: &Features{Driver: driverExec, List: []string{"sh", "-c", list}, On: []string{"true"}, Off: []string{"true"}}}, &book{}, Guard{})
	for word, want := range map[string]string{
		"acme": "tenant.acme", "acme-labs": "tenant.acme-labs", "hooli": "tenant.hooli", "TOOLS": "Agent_Tools", "reports": "hooli.reports",
		"tenant.hooli": "tenant.hooli",
	} {
		if f, err := s.FindFeature(t.Context(), word); err != nil || f.Name != want {
			t.Errorf("%s finds %v, %v", word, f, err)
		}
	}
	for word, says := range map[string]string{
		"agent": "2 features are named after", "globex": "no feature is named after", "": "no feature is named after", "tenant": "3 features are named after",
	} {
		_, err := s.FindFeature(t.Context(), word)
		is(t, err, ErrNoOne, says)
	}
}

func TestOneFeatureIsReadByItsExactName(t *testing.T) {
	s := open(t, Target{Features: &Features{
		Driver: driverExec, List: []string{"printf", "rerank off\\nagent_tools on\\n"}, On: []string{"true"}, Off: []string{"true"},
	}}, &book{}, Guard{})
	if f, err := s.Feature(t.Context(), "rerank"); err != nil || f != (Feature{"rerank", false}) {
		t.Errorf("%v, %v", f, err)
	}
	_, err := s.Feature(t.Context(), "agent_tool")
	is(t, err, ErrUnknown, "did you mean agent_tools?")
	_, err = s.Feature(t.Context(), "tenant.acme")
	is(t, err, ErrUnknown, "see rollcall feature list")
}
