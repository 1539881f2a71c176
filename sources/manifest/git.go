package manifest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"
)

// revision is one file of the folder as one commit left it.
type revision struct {
	file   string
	at     time.Time
	author string
	commit string
	text   string
	gone   bool
	blob   string
}

var errNoRepository = errors.New("not in a git work tree")

const (
	gitTime      = 5 * time.Second // wall time of one call
	maxRevisions = 300
	maxHistory   = 4 << 20 // bytes of one answer
)

// gitHistory returns what git remembers of the folder's manifests, oldest first, the newest
// maxRevisions of it. The repository may be anybody's: nothing that it configures is executed.
func gitHistory(ctx context.Context, dir string) ([]revision, error) {
	if _, err := exec.LookPath("git"); err != nil {
		if inRepository(dir) {
			return nil, errors.New("git is not installed")
		}
		return nil, errNoRepository
	}
	if inside, err := git(ctx, dir, nil, "rev-parse", "--is-inside-work-tree"); err != nil {
		if strings.Contains(err.Error(), "not a git repository") && !inRepository(dir) {
			return nil, errNoRepository
		}
		return nil, err
	} else if strings.TrimSpace(string(inside)) != "true" {
		return nil, errNoRepository
	}
	log, err := git(ctx, dir, nil, "log", "--no-show-signature", "--no-ext-diff", "--no-textconv", "--no-mailmap", "--no-renames", "--no-notes", "--no-decorate",
		"--no-color", "--diff-merges=first-parent", "--raw", "--no-abbrev", "-z", "--relative", "--max-count="+strconv.Itoa(maxRevisions),
		"--format=%x01%H%x02%ct%x02%an", "--", ".")
	if err != nil {
		if strings.Contains(err.Error(), "does not have any commits yet") {
			return nil, nil
		}
		return nil, err
	}
	list := parseLog(log)
	if err := blobs(ctx, dir, list); err != nil {
		return nil, err
	}
	return list, nil
}

// inRepository looks for what makes a work tree, without git.
func inRepository(dir string) bool {
	for {
		if _, err := os.Lstat(path.Join(dir, ".git")); err == nil {
			return true
		}
		up := path.Dir(dir)
		if up == dir {
			return false
		}
		dir = up
	}
}

// parseLog reads commits with their raw differences, newest first, and returns them oldest first.
func parseLog(log []byte) []revision {
	var out []revision
	for commit := range strings.SplitSeq(string(log), "\x01") {
		head, rest, _ := strings.Cut(commit, "\x00")
		parts := strings.Split(strings.TrimSpace(head), "\x02")
		if len(parts) != 3 {
			continue
		}
		secs, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil {
			continue
		}
		fields := strings.Split(rest, "\x00")
		for i := 0; i+1 < len(fields); i++ {
			meta := strings.Fields(strings.TrimLeft(fields[i], "\n"))
			if len(meta) != 5 || !strings.HasPrefix(meta[0], ":") {
				continue
			}
			i++
			name := fields[i]
			if !isManifest(name) || strings.Contains(name, "/") || meta[1] != "100644" && meta[1] != "100755" && meta[4] != "D" {
				continue
			}
			out = append(out, revision{
				file: name, at: time.Unix(secs, 0).UTC(), author: harmless(parts[2]), commit: parts[0], gone: meta[4] == "D", blob: meta[3],
			})
		}
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	if len(out) > maxRevisions {
		out = out[len(out)-maxRevisions:]
	}
	return out
}

// blobs reads the contents of all revisions in one call.
func blobs(ctx context.Context, dir string, list []revision) error {
	var ask bytes.Buffer
	for i := range list {
		if !list[i].gone {
			ask.WriteString(list[i].blob + "\n")
		}
	}
	if ask.Len() == 0 {
		return nil
	}
	answer, err := git(ctx, dir, &ask, "cat-file", "--batch")
	if err != nil {
		return err
	}
	r := bufio.NewReader(bytes.NewReader(answer))
	for i := range list {
		if list[i].gone {
			continue
		}
		head, err := r.ReadString('\n')
		if err != nil {
			return errors.New("its answer ends too early")
		}
		parts := strings.Fields(head)
		if len(parts) != 3 || parts[1] != "blob" {
			return fmt.Errorf("a version of %s is missing", list[i].file)
		}
		size, err := strconv.Atoi(parts[2])
		if err != nil || size < 0 || size > len(answer) {
			return errors.New("its answer makes no sense")
		}
		text := make([]byte, size+1)
		if _, err := io.ReadFull(r, text); err != nil {
			return errors.New("its answer ends too early")
		}
		if size <= maxManifest {
			list[i].text = string(text[:size])
		}
	}
	return nil
}

// git runs one command of git, bounded in time and output, with nothing of the user's or
// the repository's configuration that could execute or reach out.
func git(ctx context.Context, dir string, in io.Reader, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTime)
	defer cancel()
	all := []string{
		"--no-pager", "--no-optional-locks", "--no-replace-objects", "--literal-pathspecs",
		"-c", "core.fsmonitor=", "-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat", "-c", "core.sshCommand=false", "-c", "core.gitProxy=",
		"-c", "core.attributesFile=/dev/null", "-c", "log.showSignature=false", "-c", "gpg.program=false", "-c", "diff.external=",
		"-c", "protocol.allow=never", "-c", "credential.helper=", "-c", "core.askPass=false", "-c", "core.quotePath=false",
	}
	cmd := exec.CommandContext(ctx, "git", append(all, args...)...) //nolint:gosec // the arguments are ours
	cmd.Dir, cmd.Stdin = dir, in
	cmd.WaitDelay = time.Second
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=none", "GIT_NO_LAZY_FETCH=1", "GIT_OPTIONAL_LOCKS=0", "GIT_ATTR_NOSYSTEM=1", "GIT_PAGER=cat",
	}
	out, errs := &limited{most: maxHistory}, &limited{most: 4 << 10}
	cmd.Stdout, cmd.Stderr = out, errs
	err := cmd.Run()
	switch {
	case out.full:
		return nil, fmt.Errorf("git %s answers more than %d MiB", args[0], maxHistory>>20)
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("git %s takes longer than %s", args[0], gitTime)
	case err != nil:
		said, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		if said = harmless(strings.TrimPrefix(said, "fatal: ")); said == "" {
			said = err.Error()
		}
		return nil, fmt.Errorf("git %s: %s", args[0], said)
	}
	return out.Bytes(), nil
}

// limited keeps so many bytes and fails the writer at the next.
type limited struct {
	bytes.Buffer
	most int
	full bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > l.most {
		l.full = true
		return 0, io.ErrShortBuffer
	}
	return l.Buffer.Write(p)
}
