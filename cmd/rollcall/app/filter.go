package app

import (
	"fmt"
	"io"
	"path/filepath"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources/redact"
)

// Filter redacts streams with the patterns of a configuration.
type Filter struct{ r *redact.Redactor }

// NewFilter returns a filter. The key in the state folder is used when there is
// one; a filter makes none.
func NewFilter(cfg *config.File) (*Filter, error) {
	var key []byte
	if path := filepath.Join(cfg.State, keyFile); exists(path) {
		var err error
		if key, err = redact.LoadKey(path); err != nil {
			return nil, err
		}
	}
	r, err := redact.New(cfg.Redact, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Label(), err)
	}
	return &Filter{r}, nil
}

// Stream copies in to out, redacted; lines leave as soon as they can be judged.
func (f *Filter) Stream(out io.Writer, in io.Reader) error { return stream(out, in, f.r.Text) }

// SelfTest runs the corpus and the user's patterns.
func (f *Filter) SelfTest() (ran int, failures []string) {
	failures, ran = redact.SelfTest(f.r)
	return ran, failures
}
