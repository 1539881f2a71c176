package cli

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/runbooks/readiness"
	"rollcall/sources"
	"rollcall/tui/tuitest"
)

// answering is a session that answers the checklist.
type answering struct {
	*fake
	evidence *readiness.Evidence
}

func (a *answering) Readiness(_ context.Context, service string) (readiness.Report, error) {
	a.evidence.Service, a.evidence.Now = service, tuitest.Start
	return readiness.Judge(a.evidence), nil
}

func answers(t *testing.T, e *readiness.Evidence) *bench {
	b := newBench(t, oneService)
	b.Open = func(context.Context, *config.File, Mode) (Session, error) { return &answering{b.session, e}, nil }
	return b
}

func TestReadinessPrintsNineAnswersWithTheirEvidence(t *testing.T) {
	b := answers(t, tuitest.Evidence())
	if code := b.run("readiness"); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, b.err.String())
	}
	for _, words := range []string{
		"1 ◐ partly  Can a bad answer be reproduced", "    ◐ model pinned to a snapshot: in 221 of 500 requests", "    next: set gen_ai.response.model",
		"9 ◐ partly", "    ▲ model: rollback-model was never rehearsed", "2 yes, 6 partly, 0 no, 1 cannot be told.",
	} {
		if !strings.Contains(b.out.String(), words) {
			t.Errorf("%q is missing in\n%s", words, b.out.String())
		}
	}
	b = answers(t, tuitest.Evidence())
	if code := b.run("readiness", "-o", "json"); code != ExitOK {
		t.Fatalf("exit code %d: %s", code, b.err.String())
	}
	var got readinessJSON
	if err := json.Unmarshal(b.out.Bytes(), &got); err != nil || len(got.Answers) != 9 || got.Yes != 2 || got.CannotTell != 1 || got.Answers[2].ID != "dashboards" {
		t.Errorf("%v, %+v", err, got)
	}
}

func TestReadinessTellsByItsExitCodeWhetherAnythingIsMissingOrOutOfReach(t *testing.T) {
	if code := answers(t, &readiness.Evidence{}).run("readiness"); code != ExitBad {
		t.Errorf("with a no: %d", code)
	}
	b := answers(t, tuitest.Evidence())
	b.session.health[0].State = sources.SourceDown
	if code := b.run("readiness"); code != ExitUnreachable {
		t.Errorf("with a source that is down: %d", code)
	}
	if code := answers(t, tuitest.Evidence()).run("readiness", "--at", "02:31"); code != ExitUsage {
		t.Errorf("of the past: %d", code)
	}
}

func TestADrillLeavesItsSummaryHoweverItEnds(t *testing.T) {
	for name, end := range map[string]func(b *bench, f *fakeDriller) int{
		"its time is over": func(b *bench, _ *fakeDriller) int { return b.run("drill", "--headless", "--for", "5ms") },
		"a signal": func(b *bench, _ *fakeDriller) int {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			return b.Run(ctx, []string{"drill", "--headless"})
		},
		"the console is left": func(b *bench, _ *fakeDriller) int {
			b.InTTY, b.OutTTY = true, true
			return b.run("drill")
		},
		"the service dies": func(b *bench, f *fakeDriller) int {
			f.drill.err = errors.New("boom")
			close(f.drill.done)
			return b.run("drill", "--headless")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, f := withDrill(t)
			var into, base, ended []string
			b.Drills = func(ctx context.Context, cfg *config.File, at, dir string) error {
				if ctx.Err() != nil {
					t.Error("it is written with a context that has ended")
				}
				into, base, ended = append(into, cfg.State), append(base, at), append(ended, dir)
				return nil
			}
			end(b, f)
			home, _ := b.Env("HOME")
			state := filepath.Join(home, ".local", "state", "rollcall")
			if len(into) != 1 || into[0] != state || base[0] != filepath.Join(state, "drills") || ended[0] != "/s" {
				t.Errorf("written into %v, from %v, of %v", into, base, ended)
			}
		})
	}
}

func TestADrillIsWrittenDownWhereTheConfigurationKeepsItsJournal(t *testing.T) {
	for name, tc := range map[string]struct{ config, want string }{
		"a team's":              {oneService + "state: /var/lib/rollcall\n", "/var/lib/rollcall"},
		"a drill's own":         {oneService + "state: /x\nclock: {wall_start: 2026-03-10T00:00:00Z, start: 2026-03-09T00:00:00Z, speed: 10}\n", ""},
		"one that is not right": {"services: [", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, tc.config)
			b.Drill = &fakeDriller{drill: &fakeDrill{session: b.session, done: make(chan struct{})}}
			got := "nowhere"
			b.Drills = func(_ context.Context, cfg *config.File, _, _ string) error {
				got = cfg.State
				return errors.New("the disk is full")
			}
			b.run("drill", "--headless", "--for", "5ms")
			want := tc.want
			if want == "" {
				home, _ := b.Env("HOME")
				want = filepath.Join(home, ".local", "state", "rollcall")
			}
			if got != want {
				t.Errorf("written into %s, want %s", got, want)
			}
			if !strings.Contains(b.err.String(), "the disk is full; the next start tries again") {
				t.Errorf("said %q", b.err.String())
			}
		})
	}
}
