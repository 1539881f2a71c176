package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rollcall/runbooks"
)

// pinned is what a run executes, to the byte. The journal has it too, but after
// redaction, which a command must not go through; it has the hash of this.
type pinned struct {
	Steps   []runbooks.Step `json:"steps"`
	Vars    []Value         `json:"vars"`
	WorkDir string          `json:"work_dir,omitempty"`
}

const pinnedFile = "run.json"

func (p *pinned) hash() string {
	b, err := json.Marshal(p)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// pin makes the folder of a run, durable before the run is.
func (e *Engine) pin(id string, p *pinned) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	dir := e.folder(id)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, pinnedFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	for _, d := range []string{dir, e.Dir} {
		h, err := os.Open(d)
		if err != nil {
			return err
		}
		if err := errors.Join(h.Sync(), h.Close()); err != nil {
			return err
		}
	}
	return nil
}

// unpin reads what a run executes: from its folder, or from the journal where redaction changed nothing.
func (e *Engine) unpin(id string, f *fold) (*pinned, error) {
	var p pinned
	b, err := os.ReadFile(filepath.Join(e.folder(id), pinnedFile))
	if err == nil && json.Unmarshal(b, &p) == nil && p.hash() == f.pinned {
		return &p, nil
	}
	p = pinned{Vars: f.st.Vars, WorkDir: e.WorkDir}
	for i := range f.st.Steps {
		p.Steps = append(p.Steps, f.st.Steps[i].Step)
	}
	if p.hash() == f.pinned {
		return &p, nil
	}
	return nil, fmt.Errorf("what %s executes is not in %s any more, or not as it was, so the run ends here; look at what it did and start the runbook anew",
		id, e.folder(id))
}

func (e *Engine) folder(id string) string { return filepath.Join(e.Dir, filepath.Base(id)) }

func (e *Engine) attempt(id string, step, attempt int) string {
	return filepath.Join(e.folder(id), fmt.Sprintf("%02d.%d", step+1, attempt))
}

// sweep removes the folders of runs that ended while whoever drove them was killed.
func (e *Engine) sweep(ctx context.Context) {
	dirs, err := filepath.Glob(filepath.Join(e.Dir, "RUN-*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		id := filepath.Base(dir)
		own, err := e.lockRun(id)
		if err != nil {
			continue
		}
		if f, err := e.load(ctx, id); err == nil && f.st.Outcome != "" {
			_ = os.RemoveAll(dir)
		}
		own.release()
	}
}
