package traces

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Only the receiving process writes into partitions. Another one that wants
// something erased leaves a file with what in the folder; the receiver, or the
// next one if it was killed, erases and answers with a file beside it.
const (
	askSuffix  = ".purge"
	doneSuffix = ".purged"
	// askEvery is how often the asker looks for the answer, in wall time.
	askEvery = 20 * time.Millisecond
	// keepAnswers is how long an answer waits for an asker that may be gone, in wall time.
	keepAnswers = 10 * time.Minute
)

// answer is what the receiver did.
type answer struct {
	Purged
	Error string `json:"error,omitempty"`
}

// askToPurge has the receiver erase.
func (s *Store) askToPurge(ctx context.Context, e Erase, pid int) (Purged, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return Purged{}, err
	}
	base := filepath.Join(s.dir, "ask-"+strings.ToLower(rand.Text()))
	if err := writeWhole(base+askSuffix, body); err != nil {
		return Purged{}, fmt.Errorf("traces: cannot ask pid %d, which receives, to purge: %w", pid, err)
	}
	defer func() { _ = os.Remove(base + doneSuffix) }()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		raw, err := os.ReadFile(base + doneSuffix)
		if err == nil {
			var a answer
			if err := json.Unmarshal(raw, &a); err != nil {
				return Purged{}, fmt.Errorf("traces: the answer of pid %d cannot be read: %w", pid, err)
			}
			if a.Error != "" {
				return a.Purged, errors.New(a.Error)
			}
			return a.Purged, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return Purged{}, fmt.Errorf("traces: pid %d, which receives, has not answered (%w); it erases as soon as it can, or else the next process that receives", pid, ctx.Err())
		}
		if own, err := s.Receive(); own && err == nil { //nolint:contextcheck // the store's writer ends with its Close
			_ = os.Remove(base + askSuffix) // the receiver ended
			return s.purge(ctx, e)
		}
	}
}

// answerPurges takes up what others have asked for, one at a time.
func (w *writer) answerPurges() {
	if !w.answering.CompareAndSwap(false, true) {
		return
	}
	asked, err := filepath.Glob(filepath.Join(w.s.dir, "ask-*"+askSuffix))
	if old, _ := filepath.Glob(filepath.Join(w.s.dir, "ask-*"+doneSuffix)); len(old) > 0 { // the pattern is sound
		w.tidy(old)
	}
	if err != nil || len(asked) == 0 {
		w.answering.Store(false)
		return
	}
	w.s.running.Go(func() {
		defer w.answering.Store(false)
		for _, path := range asked {
			w.s.answerPurge(path)
		}
	})
}

// tidy removes answers that nobody came for.
func (w *writer) tidy(answers []string) {
	for _, path := range answers {
		if fi, err := os.Stat(path); err == nil && w.s.opts.Clock.Wall().Sub(fi.ModTime()) > keepAnswers {
			_ = os.Remove(path)
		}
	}
}

func (s *Store) answerPurge(path string) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return
	}
	var e Erase
	var a answer
	err = json.Unmarshal(raw, &e)
	if err == nil {
		err = e.check()
	}
	if err == nil {
		a.Purged, err = s.purge(context.Background(), e)
	}
	if errors.Is(err, errClosed) {
		return // the next receiver finds the file
	}
	if err != nil {
		a.Error = err.Error()
		s.opts.Log.Warn("purge", "error", err)
	}
	body, err := json.Marshal(a)
	if err == nil {
		err = writeWhole(strings.TrimSuffix(path, askSuffix)+doneSuffix, body)
	}
	if err != nil {
		s.opts.Log.Warn("purge is not answered", "error", err)
	}
	_ = os.Remove(path)
}

// writeWhole writes a file so that nobody sees a part of it.
func writeWhole(path string, body []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".ask-*") // 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(body)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}
