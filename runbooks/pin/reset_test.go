package pin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollcall/runbooks"
)

func TestOnlyARehearsalTargetIsResetAndThatIsWrittenDown(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	touch := []string{"touch", mark}
	open := func(b *book, g Guard, practice *Target) *Set {
		t.Helper()
		live := target(t)
		live.Reset = touch // as no configuration can say
		s, err := Open(live, practice, Options{Service: "assistant", Environment: "prod", Guard: g, Recorder: b, Reader: b})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	b := &book{}
	is(t, open(b, env(), &Target{Reset: touch}).Reset(t.Context()), ErrForbidden, "only a rehearsal target is reset")
	is(t, open(b, env(runbooks.EnvRehearsal, "1"), &Target{}).Reset(t.Context()), ErrUnknown, "services.assistant.rehearsal.reset")
	is(t, open(b, env(runbooks.EnvRehearsal, "1", runbooks.EnvReadOnly, "1"), &Target{Reset: touch}).Reset(t.Context()), ErrForbidden)
	if _, err := os.Stat(mark); err == nil {
		t.Fatal("something was reset all the same")
	}
	if err := open(b, env(runbooks.EnvRehearsal, "1"), &Target{Reset: touch}).Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.last(), "rehearsal.reset assistant prod") || !strings.Contains(b.last(), `"result":"done"`) {
		t.Errorf("recorded %s", b.last())
	}
	if err := open(b, env(runbooks.EnvRehearsal, "1"), &Target{Reset: []string{"false"}}).Reset(t.Context()); err == nil || !strings.Contains(err.Error(), "not reset") {
		t.Errorf("a command that fails: %v", err)
	}
	if strings.Contains(b.last(), `"result":"done"`) {
		t.Errorf("recorded %s", b.last())
	}
}

func TestALiveTargetWithAResetIsAMistakeOfTheConfiguration(t *testing.T) {
	for at, want := range map[string]bool{"services.a": true, "services.a.rehearsal": false} {
		said := false
		(&Target{Reset: []string{"true"}}).Validate(at, func(where, _ string, _ ...any) { said = said || where == at+".reset" })
		if said != want {
			t.Errorf("%s: said %v", at, said)
		}
	}
}
