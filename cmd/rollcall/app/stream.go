package app

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"
)

const (
	// chunk is how much of a stream is redacted at once, as one document.
	chunk = 4 << 20
	// lull is how long a stream must be silent before what is in hand goes out.
	lull = 50 * time.Millisecond
	// piece is the longest part of a line that is looked at whole.
	piece = 1 << 20
)

var (
	pemBegin = []byte("-----BEGIN ")
	pemEnd   = []byte("-----END ")
)

// stream copies in to out through redact, line by line: what arrives together
// is judged together, and a key block is never cut in two.
func stream(out io.Writer, in io.Reader, redact func(string) string) error {
	lines := make(chan []byte, 256)
	failed := make(chan error, 1)
	stop := make(chan struct{})
	defer close(stop)
	go func() { failed <- readPieces(in, lines, stop) }()

	flusher, _ := out.(interface{ Flush() error })
	var buf bytes.Buffer
	open := false // inside a key block
	emit := func() error {
		if buf.Len() == 0 {
			return nil
		}
		_, err := io.WriteString(out, redact(buf.String()))
		buf.Reset()
		if err == nil && flusher != nil {
			err = flusher.Flush()
		}
		return err
	}
	timer := time.NewTimer(lull)
	defer timer.Stop()
	for {
		select {
		case l, more := <-lines:
			if !more {
				return errors.Join(<-failed, emit())
			}
			buf.Write(l)
			if i := bytes.LastIndex(l, pemBegin); i >= 0 {
				open = !bytes.Contains(l[i:], pemEnd)
			} else if bytes.Contains(l, pemEnd) {
				open = false
			}
			if buf.Len() >= chunk && (!open || buf.Len() >= 2*chunk) {
				if err := emit(); err != nil {
					return err
				}
			}
			timer.Reset(lull)
		case <-timer.C:
			if open && buf.Len() < piece {
				timer.Reset(lull)
				continue
			}
			if err := emit(); err != nil {
				return err
			}
		}
	}
}

// readPieces sends lines with their ends. A line without an end in sight goes
// out in pieces, cut at a space where there is one.
func readPieces(in io.Reader, lines chan<- []byte, stop <-chan struct{}) error {
	defer close(lines)
	r := bufio.NewReaderSize(in, piece)
	var rest []byte
	for {
		part, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			rest = append(rest, part...)
			full, cut := rest, len(rest)
			if i := bytes.LastIndexAny(full, " \t,;"); i > len(full)/2 {
				cut = i + 1
			}
			rest = append([]byte(nil), full[cut:]...)
			part = full[:cut]
			err = nil
		} else {
			if len(rest) > 0 {
				part = append(rest, part...) //nolint:gocritic // rest is given up here
			}
			rest = nil
		}
		if len(part) > 0 {
			select {
			case lines <- bytes.Clone(part):
			case <-stop:
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
