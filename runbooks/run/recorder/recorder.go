// Package recorder runs one command and writes down what it does. A recorder is
// a process of its own, in a session of its own: it outlives the console that
// started it, and the terminal.
//
// An attempt is a folder:
//
//	spec.json     what to run and within which bounds
//	lock          held by the recorder for as long as it lives
//	process.json  who runs it; durable before the command may begin
//	spool.jsonl   the output, one Line a row, redacted
//	result.json   how it ended; there once it has
package recorder

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"rollcall/sources/redact"
)

// Argument is what makes the binary a recorder: rollcall __record FOLDER.
const Argument = "__record"

// EnvAttempt marks every process of an attempt, also those that leave its group.
const EnvAttempt = "ROLLCALL_ATTEMPT"

// Spec says what to run. The environment is the recorder's own: no secret of it reaches the disk.
type Spec struct {
	Argv     []string      `json:"argv"`
	Dir      string        `json:"dir,omitempty"`
	Timeout  time.Duration `json:"timeout_ns,omitempty"` // wall time; none when zero
	Grace    time.Duration `json:"grace_ns"`             // between asking a process to end and killing it
	Redact   redact.Config `json:"redact"`
	KeyFile  string        `json:"key_file,omitempty"` // of the tokens of people
	Token    string        `json:"token"`              // value of EnvAttempt
	MaxLines int           `json:"max_lines"`
	MaxBytes int           `json:"max_bytes"`
}

// Line is one line of output, redacted and sanitised.
type Line struct {
	N      int64     `json:"n"` // counts from 1; numbers are missing where lines were left out
	Wall   time.Time `json:"wall"`
	Stream string    `json:"stream"` // "out" or "err"
	Text   string    `json:"text"`
}

// Identity names the processes of an attempt beyond doubt: a number may be used
// again, together with its start time and the machine's boot it is not.
type Identity struct {
	PID           int    `json:"pid"` // of the command, and of its group
	Start         uint64 `json:"start"`
	Recorder      int    `json:"recorder"` // and its session
	RecorderStart uint64 `json:"recorder_start"`
	Boot          string `json:"boot"`
	Token         string `json:"token"`
}

// Result is how a command ended.
type Result struct {
	Exit      *int      `json:"exit,omitempty"`   // nil when it ended by a signal, or never began
	Signal    string    `json:"signal,omitempty"` // "killed"
	Took      float64   `json:"took_s"`           // wall
	TimedOut  bool      `json:"timed_out,omitempty"`
	Cancelled bool      `json:"cancelled,omitempty"`
	Left      int       `json:"left,omitempty"` // processes that it left behind and that were ended
	Lines     int64     `json:"lines"`
	Omitted   int64     `json:"omitted,omitempty"` // of Lines, left out by the bound
	Error     string    `json:"error,omitempty"`   // why it could not be run or recorded, one line
	Ended     time.Time `json:"ended"`
}

const (
	specFile    = "spec.json"
	lockFile    = "lock"
	processFile = "process.json"
	spoolFile   = "spool.jsonl"
	resultFile  = "result.json"
	logFile     = "recorder.log"
)

// The defaults of a Spec.
const (
	DefaultGrace    = 5 * time.Second
	DefaultMaxLines = 5000
	DefaultMaxBytes = 1 << 20
)

// writeDurable writes a file so that after a crash it is there whole or not at all.
func writeDurable(dir, name string, v any) (err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, "."+name)
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readJSON tells whether the file is there.
func readJSON(path string, v any) (bool, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, json.Unmarshal(b, v)
}
