package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"rollcall/runbooks"
	"rollcall/runbooks/pin"
	"rollcall/sources"
	"rollcall/store/journal"
)

// verifyTime is how long the doctor reads a journal; a longer one is read as far as that goes.
const verifyTime = 4 * time.Second

// checkConfig looks at who else can change the file: it names commands that run as the reader.
func (a *App) checkConfig(context.Context, string) []Finding {
	if a.cfg.Path == "" {
		return nil
	}
	st, err := os.Stat(a.cfg.Path)
	if err != nil || st.Mode().Perm()&0o002 == 0 {
		return nil
	}
	return []Finding{{
		"config", "permissions", sources.Bad, fmt.Sprintf("anybody on this machine can change it (%04o), and with it the commands that run as you", st.Mode().Perm()),
		"chmod o-w " + a.cfg.Label(),
	}}
}

// checkJournal opens the journal for writing, and reads it as far as a short time allows.
func (a *App) checkJournal(ctx context.Context, _ string) []Finding {
	path := filepath.Join(a.cfg.State, journalFile)
	if !exists(path) {
		return []Finding{ok("journal", "file", "none yet; it begins with the first thing recorded")}
	}
	var out []Finding
	j, err := a.Journal()
	if err != nil {
		what, remedy := remedied(err, "see docs/journal.md")
		out = append(out, Finding{"journal", "writable", sources.Bad, what, remedy})
		if j, err = a.ReadJournal(); err != nil {
			return out
		}
	} else {
		out = append(out, ok("journal", "writable", path+" takes entries"))
	}
	out = append(out, privacy(path)...)
	return append(out, verified(ctx, j, a.cfg.Label()))
}

func verified(ctx context.Context, j *journal.Journal, config string) Finding {
	ctx, cancel := context.WithTimeout(ctx, verifyTime)
	defer cancel()
	var done, total atomic.Int64
	r, err := j.Verify(ctx, nil, func(d, t int64) { done.Store(d); total.Store(t) })
	whole := "rollcall journal verify --config " + config
	switch {
	case err != nil && ctx.Err() != nil:
		if n := r.Found; n > 0 {
			return Finding{"journal", "hashes", sources.Bad, r.Faults[0].Detail, whole + " says all of it; restore a backup beside it and compare, do not delete it"}
		}
		return ok("journal", "hashes", fmt.Sprintf("the first %d of %d entries are as recorded; %s reads all", max(done.Load(), r.Entries), max(total.Load(), r.Entries), whole))
	case err != nil:
		what, remedy := remedied(err, "see docs/journal.md")
		return Finding{"journal", "hashes", sources.Bad, what, remedy}
	case !r.OK:
		return Finding{"journal", "hashes", sources.Bad, fmt.Sprintf("%s (%s)", r.Faults[0].Detail, sources.Counted(int(r.Found), "fault")), whole + " says all of it; restore a backup beside it and compare, do not delete it"}
	}
	return ok("journal", "hashes", fmt.Sprintf("all %d entries are as recorded", r.Entries))
}

// privacy tells whether the journal is as open as its folder is meant to be.
func privacy(path string) []Finding {
	st, err := os.Stat(path)
	dir, derr := os.Stat(filepath.Dir(path))
	if err != nil || derr != nil {
		return nil
	}
	mode := st.Mode().Perm()
	shared := dir.Mode()&fs.ModeSetgid != 0 || dir.Mode().Perm()&0o020 != 0
	switch {
	case mode&0o007 != 0:
		return []Finding{{"journal", "permissions", sources.Bad, fmt.Sprintf("%s is open to everybody (%04o)", path, mode), "chmod o-rwx " + path}}
	case shared && mode&0o060 != 0o060:
		return []Finding{{"journal", "permissions", sources.Watch, fmt.Sprintf("the folder is shared by a group, the journal is not (%04o): others of the group cannot record", mode), fmt.Sprintf("chmod g+rw %s %s-wal %s-shm", path, path, path)}}
	case shared && dir.Mode()&fs.ModeSetgid == 0:
		return []Finding{{"journal", "permissions", sources.Watch, "the folder is shared, but new files in it belong to the group of whoever makes them", "chmod g+s " + filepath.Dir(path)}}
	case !shared && mode&0o070 != 0:
		return []Finding{{"journal", "permissions", sources.Watch, fmt.Sprintf("%s is open to a group (%04o) in a folder that is not", path, mode), "chmod 600 " + path + ", or share the folder: chmod 2770 " + filepath.Dir(path)}}
	case shared:
		return []Finding{ok("journal", "permissions", fmt.Sprintf("shared by a group (%04o)", mode))}
	}
	return []Finding{ok("journal", "permissions", "its owner only")}
}

// checkRunbooks lints what a run could be started from.
func (a *App) checkRunbooks(ctx context.Context, service string) []Finding {
	list, err := a.runbookList(ctx, service)
	if err != nil {
		what, remedy := remedied(err, "correct services."+service)
		return []Finding{{"runbooks", "list", sources.Bad, what, remedy}}
	}
	var out []Finding
	good, fresh := 0, 0
	for i := range list {
		l := &list[i]
		if errs := mistakes(l.Problems); len(errs) > 0 {
			detail := line(errs[0].String())
			if n := len(errs) - 1; n > 0 {
				detail += fmt.Sprintf(" (and %d more)", n)
			}
			out = append(out, Finding{"runbooks", "lint", sources.Bad, detail, "rollcall runbook lint " + line(l.File) + " says all of it; a runbook that does not lint is not run"})
			continue
		}
		good++
		if !l.Rehearsed.IsZero() && len(l.Problems) == 0 {
			fresh++
		}
	}
	out = append([]Finding{ok("runbooks", "list", fmt.Sprintf("%s can be run", sources.Counted(good, "runbook")))}, out...)
	if good > 0 && fresh == 0 {
		out = append(out, Finding{"runbooks", "rehearsals", sources.Watch, "none was rehearsed as it stands", "rollcall runbook rehearse ID, or practise in rollcall drill; a runbook never rehearsed is not trusted"})
	} else if good > 0 {
		out = append(out, ok("runbooks", "rehearsals", fmt.Sprintf("%d of %d rehearsed as they stand", fresh, good)))
	}
	return out
}

func mistakes(list []runbooks.Problem) []runbooks.Problem {
	var out []runbooks.Problem
	for _, p := range list {
		if !p.Notice {
			out = append(out, p)
		}
	}
	return out
}

// checkPins reads what runbooks move, of the live target and of the one for rehearsals.
func (a *App) checkPins(ctx context.Context, service string) []Finding {
	s, err := a.service(service)
	if err != nil {
		return nil
	}
	if len(s.Components) == 0 {
		return []Finding{{"pins", "configured", sources.NotExposed, "no component has a pin: runbooks cannot roll anything back", "set services." + service + ".components; docs/pins.md has an example of each driver"}}
	}
	out := a.readPins(ctx, service, false)
	if s.Rehearsal == nil {
		return append(out, Finding{"pins", "rehearsal", sources.NotExposed, "no target for rehearsals", "set services." + service + ".rehearsal, so that runbooks can be practised without touching what is live"})
	}
	return append(out, a.readPins(ctx, service, true)...)
}

func (a *App) readPins(ctx context.Context, service string, rehearsal bool) []Finding {
	where, at := "", "services."+service
	if rehearsal {
		where, at = "rehearsal ", at+".rehearsal"
	}
	env := func(name string) (string, bool) {
		if rehearsal && name == runbooks.EnvRehearsal {
			return "1", true
		}
		return "", false
	}
	pins, err := OpenPins(a.cfg, service, env, nil)
	if err != nil {
		what, remedy := remedied(err, "correct "+at)
		return []Finding{{"pins", where + "drivers", sources.Bad, what, remedy}}
	}
	defer func() { _ = pins.Close() }()
	var out []Finding
	for _, l := range pins.All(ctx) {
		name := where + string(l.Component)
		if l.Err != nil {
			what, remedy := remedied(l.Err, "correct "+at+".components."+string(l.Component))
			out = append(out, Finding{"pins", name, failed(l.Err), what, remedy})
			continue
		}
		out = append(out, ok("pins", name, line(l.Version)))
	}
	values := pins.Values(ctx)
	if len(values) == 0 && !rehearsal {
		out = append(out, Finding{
			"settings", "configured", sources.NotExposed, "no setting is configured: runbooks cannot stop a canary, let requests wait or raise a budget",
			"set " + at + ".settings; docs/pins.md has an example and the names that shipped runbooks use",
		})
	}
	for _, v := range values {
		if v.Err != nil {
			what, remedy := remedied(v.Err, "correct "+at+".settings."+v.Setting)
			out = append(out, Finding{"settings", where + v.Setting, failed(v.Err), what, remedy})
			continue
		}
		out = append(out, ok("settings", where+v.Setting, line(v.Value)))
	}
	if has := a.cfg.Services[service]; !rehearsal && has.Features != nil || rehearsal && has.Rehearsal.Features != nil {
		list, err := pins.Features(ctx)
		if err != nil {
			what, remedy := remedied(err, "correct "+at+".features")
			return append(out, Finding{"pins", where + "features", failed(err), what, remedy})
		}
		out = append(out, ok("pins", where+"features", sources.Counted(len(list), "feature")))
	}
	return out
}

// checkLogin tells whether this machine ends what a run has started when its starter logs out.
func (a *App) checkLogin(ctx context.Context, _ string) []Finding {
	bin, err := exec.LookPath("loginctl")
	if err != nil {
		return nil // no systemd, no such habit
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	said, err := exec.CommandContext(ctx, bin, "show-user", "--property=KillUserProcesses").Output() //nolint:gosec // found in PATH, arguments fixed
	if err != nil {
		return nil // no login manager runs, as in a container
	}
	return lingering(string(said))
}

func lingering(said string) []Finding {
	switch strings.TrimSpace(said) {
	case "KillUserProcesses=yes":
		return []Finding{{
			"login", "processes", sources.Watch, "systemd ends everything of yours when you log out: a command of a run dies with your connection",
			"loginctl enable-linger, and start with systemd-run --user --scope rollcall; or KillUserProcesses=no in /etc/systemd/logind.conf",
		}}
	case "KillUserProcesses=no":
		return []Finding{ok("login", "processes", "commands of a run outlive your connection")}
	}
	return nil
}

// remedied parts an error into what is wrong and what to do.
func remedied(err error, otherwise string) (what, remedy string) {
	what, remedy, _ = strings.Cut(line(err.Error()), "; ")
	if remedy == "" {
		remedy = otherwise
	}
	return what, remedy
}

// failed tells a place that cannot be reached from one that is set wrongly.
func failed(err error) sources.Verdict {
	if errors.Is(err, pin.ErrUnreachable) || errors.Is(err, context.DeadlineExceeded) {
		return sources.Unreachable
	}
	return sources.Bad
}
