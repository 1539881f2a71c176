package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

const (
	// diaryQueue is how many entries may wait for the disk: more than a person
	// and the program cause in hours.
	diaryQueue = 4096
	// diaryBatch is how many of them one transaction takes.
	diaryBatch = 256
	// diaryRetry is how long trouble with the file lasts before it is tried anew, in wall time.
	diaryRetry = 5 * time.Second
)

// diary holds a journal: opened when first needed and again after trouble,
// with a queue in front of it for what is recorded in the background.
type diary struct {
	open  func(readOnly bool) (*journal.Journal, error)
	clock sources.Clock
	log   *slog.Logger
	retry time.Duration

	opening sync.Mutex // held while a file is opened, which can take its time
	tried   time.Time  // guarded by opening

	mu      sync.Mutex
	writing *journal.Journal // nil until it could be opened for writing
	reading *journal.Journal // in its place where the file cannot be written
	trouble error            // why nothing can be recorded
	closed  bool
	waiting []journal.Draft
	lost    int // what found the queue full since the last entry was written
	running bool

	wake    chan struct{} // something waits
	stop    chan struct{} // closed by close
	stopped chan struct{} // closed by the writer
}

func newDiary(clock sources.Clock, log *slog.Logger, open func(bool) (*journal.Journal, error)) *diary {
	return &diary{
		open: open, clock: clock, log: log, retry: diaryRetry,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

func (d *diary) whyNot() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.trouble == nil {
		return ""
	}
	return line(d.trouble.Error())
}

// write returns the journal for writing.
func (d *diary) write() (*journal.Journal, error) {
	d.opening.Lock()
	defer d.opening.Unlock()
	d.mu.Lock()
	j, trouble, closed := d.writing, d.trouble, d.closed
	d.mu.Unlock()
	switch {
	case closed:
		return nil, journal.ErrClosed
	case j != nil:
		return j, nil
	case trouble != nil && d.clock.Wall().Sub(d.tried) < d.retry:
		return nil, trouble
	}
	j, err := d.open(false)
	d.tried = d.clock.Wall()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writing = j
	d.settle(err)
	return j, err
}

// read returns the journal for writing where it can be written, else for reading.
func (d *diary) read() (*journal.Journal, error) {
	d.opening.Lock()
	defer d.opening.Unlock()
	d.mu.Lock()
	j, closed := d.writing, d.closed
	if j == nil {
		j = d.reading
	}
	d.mu.Unlock()
	switch {
	case closed:
		return nil, journal.ErrClosed
	case j != nil:
		return j, nil
	}
	j, err := d.open(true)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reading = j
	return j, nil
}

// settle keeps the trouble of the last attempt. The caller holds mu.
func (d *diary) settle(err error) {
	if err != nil && (d.trouble == nil || d.trouble.Error() != err.Error()) {
		d.log.Warn("nothing can be recorded", "err", err)
	}
	if err == nil && d.trouble != nil {
		d.log.Info("the journal is written again")
	}
	d.trouble = err
}

// record queues a draft. Its time is that of the event, not that of the disk.
func (d *diary) record(draft journal.Draft) {
	if draft.At.IsZero() {
		draft.At = d.clock.Now()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		d.log.Warn("not recorded: the journal is closed", "kind", draft.Kind)
		return
	case len(d.waiting) >= diaryQueue:
		if d.lost++; d.lost == 1 {
			d.log.Warn("entries are lost: the journal could not be written for too long", "err", d.trouble)
		}
		return
	}
	d.waiting = append(d.waiting, draft)
	if !d.running {
		d.running = true
		go d.run()
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run writes what waits until the diary is closed, and then for a last time.
func (d *diary) run() {
	defer close(d.stopped)
	for ending := false; !ending; {
		var again <-chan time.Time
		if d.whyNot() != "" {
			again = time.After(d.retry)
		}
		select {
		case <-d.wake:
		case <-again:
		case <-d.stop:
			ending = true
			d.opening.Lock()
			d.tried = time.Time{} // the last attempt is a real one
			d.opening.Unlock()
		}
		for d.flush() {
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.waiting) + d.lost; n > 0 {
		d.log.Error("entries were lost: the journal could not be written", "entries", n, "err", d.trouble)
	}
}

// flush writes one batch and tells whether there may be another. Trouble with
// the file keeps the batch waiting.
func (d *diary) flush() bool {
	d.mu.Lock()
	batch := append([]journal.Draft(nil), d.waiting[:min(len(d.waiting), diaryBatch)]...)
	lost := d.lost
	if len(batch) < len(d.waiting) {
		lost = 0 // first all that was queued before
	}
	d.mu.Unlock()
	if len(batch) == 0 {
		return false
	}
	sent := batch
	if lost > 0 {
		sent = append(sent[:len(sent):len(sent)], journal.Draft{Kind: journal.Lost, Data: journal.LostData{Entries: lost}})
	}
	err := d.commit(sent)
	if wrong(err) && len(sent) > 1 {
		// One that is refused must not take the others with it.
		sent, lost = batch[:1], 0
		err = d.commit(sent)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if wrong(err) {
		d.log.Warn("not recorded", "kind", sent[0].Kind, "err", err)
		err = nil
	}
	d.settle(err)
	if err != nil {
		return false
	}
	d.lost -= lost
	d.waiting = append([]journal.Draft(nil), d.waiting[min(len(sent), len(batch)):]...)
	return len(d.waiting) > 0
}

// wrong tells an error of the draft from one of the file.
func wrong(err error) bool {
	return errors.Is(err, journal.ErrRefused) || errors.Is(err, journal.ErrUnknown)
}

func (d *diary) commit(batch []journal.Draft) error {
	j, err := d.write()
	if err != nil {
		return err
	}
	_, err = j.Append(context.Background(), batch...)
	return err
}

// close writes what waits and closes the file.
func (d *diary) close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	running := d.running
	d.running = true // nothing starts any more
	d.mu.Unlock()
	close(d.stop)
	if running {
		<-d.stopped
	}
	d.opening.Lock()
	defer d.opening.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if n := len(d.waiting); n > 0 && !running {
		return fmt.Errorf("%d entries came too late to be recorded", n)
	}
	var err error
	for _, j := range []*journal.Journal{d.writing, d.reading} {
		if j != nil {
			err = errors.Join(err, j.Close())
		}
	}
	return err
}
