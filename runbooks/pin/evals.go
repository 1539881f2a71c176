package pin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"rollcall/sources/redact"
	"rollcall/store/journal"
)

const (
	maxResult = 64 << 20
	maxLine   = 4 << 10
	// promptfooFailed is the exit code with which promptfoo says that a case failed.
	promptfooFailed = 100
)

// EvalsRun is what a run of the eval suite gave, and the data of evals.run entries.
type EvalsRun struct {
	Pass      bool              `json:"pass"`
	Passed    int               `json:"passed"`
	Failed    int               `json:"failed"`
	Errors    int               `json:"errors"`    // cases that could not be judged
	PassRate  float64           `json:"pass_rate"` // of all cases; 0 when there were none
	Needed    float64           `json:"needed"`    // the share that must pass
	Exit      int               `json:"exit"`
	SHA256    string            `json:"sha256,omitempty"`   // of the result file, hex
	Versions  map[string]string `json:"versions,omitempty"` // the pins before the run, by component
	Why       string            `json:"why"`
	Candidate bool              `json:"candidate,omitempty"` // of a rollout; else what is live
	Rehearsal bool              `json:"rehearsal,omitempty"`
	Step      string            `json:"step,omitempty"`
}

// RunEvals runs the suite against what is live, or against the candidate of a rollout. Its output goes to out as harmless lines. keep, when
// set, is where the result file is written; else it is read, hashed and removed.
// A suite that fails is no error; one that gives no result is.
func (s *Set) RunEvals(ctx context.Context, out io.Writer, keep string, candidate bool) (EvalsRun, error) {
	e := s.evals
	if e == nil {
		return EvalsRun{}, fmt.Errorf("the eval suite of %s is %w; add evals: {run: [...]} to the service in the configuration", s.Service, ErrUnknown)
	}
	argv := e.Run
	if candidate {
		if argv = e.Candidate; argv == nil {
			return EvalsRun{}, fmt.Errorf("how to evaluate a candidate of %s is %w; add %s.evals.candidate: [...] to the configuration", s.Service, ErrUnknown, s.where())
		}
	}
	path := keep
	if path == "" {
		dir, err := os.MkdirTemp("", "rollcall-evals-")
		if err != nil {
			return EvalsRun{}, fmt.Errorf("no folder for the result: %w; set TMPDIR to one you can write to", err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		path = filepath.Join(dir, "result.json")
	} else if abs, err := filepath.Abs(keep); err == nil {
		path = abs
		// An older result must never be taken for this one.
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return EvalsRun{}, fmt.Errorf("the old result %s cannot be replaced: %s", text(keep), text(pathReason(err)))
		}
	}
	run := EvalsRun{Needed: e.passRate(), Candidate: candidate, Rehearsal: s.Rehearsal, Step: s.guard.Step, Versions: map[string]string{}}
	for _, p := range s.All(ctx) {
		if p.Err == nil {
			run.Versions[string(p.Component)] = p.Version
		}
	}
	lines := &lineWriter{w: out}
	c := command{dir: s.dir, timeout: e.Timeout.Or(DefaultEvalsTimeout)}
	err := c.run(ctx, fillWords(argv, "RESULT", path), lines, lines)
	lines.flush()
	err = run.judge(e, path, err)
	draft := journal.Draft{Kind: journal.EvalsRun, Data: run}
	if err != nil {
		draft.Text = err.Error()
	}
	s.record(ctx, draft)
	return run, err
}

// judge fills in the result. Its error says why there is none.
func (r *EvalsRun) judge(e *Evals, path string, ran error) error {
	var f *failure
	if errors.As(ran, &f) {
		r.Exit, r.Why = f.exit, f.Error()
		if !f.started || f.exit < 0 {
			r.Exit = -1
			return fmt.Errorf("the eval suite gave no result: %w", f)
		}
	}
	if e.format() == formatExit {
		r.Pass = r.Exit == 0
		if r.Pass {
			r.Why = "the suite ended with 0"
		}
		return nil
	}
	if err := r.read(path); err != nil {
		if f != nil {
			err = fmt.Errorf("%w; %w", err, f)
		}
		r.Why = err.Error()
		return fmt.Errorf("the eval suite gave no result: %w", err)
	}
	total := r.Passed + r.Failed + r.Errors
	if total == 0 {
		r.Why = "no case ran"
		return fmt.Errorf("the eval suite gave no result: no case ran; check its configuration")
	}
	r.PassRate = float64(r.Passed) / float64(total)
	r.Pass = r.PassRate >= r.Needed
	why := fmt.Sprintf("%d of %d cases passed, %.4g%% are needed", r.Passed, total, 100*r.Needed)
	if r.Errors > 0 {
		why += fmt.Sprintf("; %d could not be judged", r.Errors)
	}
	if r.Pass && r.Exit != 0 && r.Exit != promptfooFailed {
		r.Pass = false
		why += ", but " + f.Error()
	}
	r.Why = why
	return nil
}

// read takes counts and hash from the result file, in promptfoo's format.
func (r *EvalsRun) read(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("the result file cannot be read: %s; does the command write to $RESULT?", text(pathReason(err)))
	}
	defer func() { _ = file.Close() }()
	body, err := io.ReadAll(io.LimitReader(file, maxResult+1))
	if err != nil {
		return fmt.Errorf("the result file cannot be read: %s", text(pathReason(err)))
	}
	if len(body) > maxResult {
		return fmt.Errorf("the result file is larger than %d MiB", maxResult>>20)
	}
	sum := sha256.Sum256(body)
	r.SHA256 = hex.EncodeToString(sum[:])
	var in struct {
		Results struct {
			Stats *struct {
				Successes *int `json:"successes"`
				Failures  int  `json:"failures"`
				Errors    int  `json:"errors"`
			} `json:"stats"`
		} `json:"results"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return fmt.Errorf("the result file is %s", notJSON(err))
	}
	st := in.Results.Stats
	if st == nil || st.Successes == nil || *st.Successes < 0 || st.Failures < 0 || st.Errors < 0 {
		return errors.New("the result file has no results.stats; is it promptfoo's JSON output?")
	}
	r.Passed, r.Failed, r.Errors = *st.Successes, st.Failures, st.Errors
	return nil
}

// lineWriter passes on whole lines, made harmless. Two streams may share one.
type lineWriter struct {
	w   io.Writer
	mu  sync.Mutex
	buf []byte
}

// Write never fails: a suite does not stop because nobody reads.
func (l *lineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	for {
		i := bytes.IndexByte(l.buf, '\n')
		if i < 0 && len(l.buf) < maxLine {
			return len(p), nil
		}
		if i < 0 {
			i = maxLine - 1
		}
		l.line(l.buf[:i+1])
		l.buf = l.buf[i+1:]
	}
}

func (l *lineWriter) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buf) > 0 {
		l.line(l.buf)
		l.buf = nil
	}
}

func (l *lineWriter) line(b []byte) {
	_, _ = fmt.Fprintln(l.w, redact.SanitizeLine(string(bytes.TrimRight(b, "\r\n")), maxLine))
}
