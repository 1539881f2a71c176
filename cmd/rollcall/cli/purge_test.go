package cli

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"rollcall/cmd/rollcall/config"
	"rollcall/runbooks"
	"rollcall/store/journal"
)

// purgeJob is a purge that found two requests and an entry.
type purgeJob struct {
	found  journal.PurgedData
	fails  error
	ran    bool
	closed bool
}

func (j *purgeJob) Found() journal.PurgedData { return j.found }

func (j *purgeJob) Run(context.Context) (journal.PurgedData, error) {
	j.ran = true
	done := j.found
	done.State = "done"
	return done, j.fails
}

func (j *purgeJob) Close() error { j.closed = true; return nil }

func TestAPurgeAsksFirstAndSaysWhatWentAndWhatRemains(t *testing.T) {
	full := journal.PurgedData{
		By: "user", Of: "user:0123456789abcdef", State: "found", Requests: 2, Spans: 31, Partitions: 1, Entries: []int64{7, 9},
		Files: []string{"reviews/INC-1.md", "cases/INC-1/cases.json", "cases/INC-1/README.md"}, Remains: []string{"backups\x1b[2J"},
	}
	for _, tt := range []struct {
		name   string
		args   []string
		found  journal.PurgedData
		tty    bool
		answer string
		fails  error
		code   int
		ran    bool
		says   []string
	}{
		{"yes", []string{"--user", "alice"}, full, true, "y\n", nil, ExitOK, true, []string{
			"erase for good: 2 requests, 31 spans, 2 journal entries' text and artifacts, 1 exported review, 2 files of exported cases of user user:0123456789abcdef? [y/N]",
			"erased: 2 requests, 31 spans", "entries #7, #9 keep their place in the chain", "removed reviews/INC-1.md; make it anew with rollcall review", "removed cases/INC-1/README.md; make it anew with rollcall cases", "not reached: backups?[2J",
		}},
		{"no", []string{"--user", "alice"}, full, true, "\n", nil, ExitBad, false, []string{"nothing was erased"}},
		{"no answer", []string{"--user", "alice"}, full, true, "", nil, ExitBad, false, []string{"nothing was erased"}},
		{"nobody to ask", []string{"--user", "alice"}, full, false, "", nil, ExitUsage, false, []string{"cannot be undone; say --yes"}},
		{"--yes", []string{"--user", "alice", "--yes"}, full, false, "", nil, ExitOK, true, []string{"erased: 2 requests"}},
		{"incomplete", []string{"--user", "alice", "--yes"}, full, false, "", errors.New("partition p: disk\x1b full"), ExitBad, true, []string{"erased: 2 requests", "partition p: disk? full"}},
		{"nothing there", []string{"--request", "req-1"}, journal.PurgedData{By: "request", Of: "req-1"}, true, "", nil, ExitOK, true, []string{"Nothing of this request is stored."}},
		{"what", nil, full, true, "", nil, ExitUsage, false, []string{"--request, --user or --tenant"}},
		{"two things", []string{"--user", "a", "--tenant", "b"}, full, true, "y\n", nil, ExitUsage, false, []string{"user tenant"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, oneService)
			job := &purgeJob{found: tt.found, fails: tt.fails}
			opened := false
			b.Purge = func(context.Context, *config.File, PurgeOf) (Purge, error) { opened = true; return job, nil }
			b.InTTY, b.In = tt.tty, strings.NewReader(tt.answer)
			code := b.run(append([]string{"purge"}, tt.args...)...)
			said := b.out.String() + b.err.String()
			if code != tt.code || job.ran != tt.ran || opened != job.closed {
				t.Errorf("exit code %d, ran %v, opened %v, closed %v: %s", code, job.ran, opened, job.closed, said)
			}
			for _, want := range tt.says {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q: %s", want, said)
				}
			}
			if strings.Contains(said, "\x1b") {
				t.Errorf("a control byte came through: %q", said)
			}
		})
	}
	b := newBench(t, oneService)
	b.Purge = func(context.Context, *config.File, PurgeOf) (Purge, error) {
		return &purgeJob{found: full}, nil
	}
	if code := b.run("purge", "--user", "alice", "--yes", "-o", "json"); code != ExitOK {
		t.Errorf("exit code %d: %s", code, b.err.String())
	}
	var got journal.PurgedData
	if err := json.Unmarshal(b.out.Bytes(), &got); err != nil || got.Requests != 2 || got.State != "done" {
		t.Errorf("%s: %+v, %v", b.out.String(), got, err)
	}
}

// A step that only reads, and a rehearsal, once purged what is live.
func TestNothingIsErasedWhereNothingMayBeChanged(t *testing.T) {
	for _, tt := range []struct{ name, value, says string }{
		{runbooks.EnvReadOnly, "1", "read-only"},
		{runbooks.EnvRehearsal, "1", "rehearsal"},
		{runbooks.EnvEffect, string(runbooks.Read), "only reads"},
	} {
		for _, args := range [][]string{{"purge", "--user", "alice", "--yes"}, {"journal", "erase", "2", "--why", "w", "--yes"}} {
			b := newBench(t, oneService)
			env := b.Env
			b.Env = func(name string) (string, bool) {
				if name == tt.name {
					return tt.value, true
				}
				return env(name)
			}
			b.Purge = func(context.Context, *config.File, PurgeOf) (Purge, error) {
				t.Errorf("%s: %s is opened", tt.name, args[0])
				return &purgeJob{}, nil
			}
			if code := b.run(args...); code != ExitBad || !strings.Contains(b.err.String(), tt.says) {
				t.Errorf("%s, %v: exit code %d: %s", tt.name, args, code, b.err.String())
			}
		}
	}
}
