package pin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
	"unicode"

	"rollcall/sources/redact"
)

const (
	maxName = 256 // bytes of a version or a feature's name
	maxText = 300 // bytes of a message from outside
)

// checkName tells whether s can be a version, a value or the name of a feature: one
// visible word that no command takes for an option.
func checkName(s string) error {
	switch {
	case s == "":
		return errors.New("is empty")
	case len(s) > maxName:
		return fmt.Errorf("is %d bytes long; %d are the most", len(s), maxName)
	case redact.SanitizeLine(s, 0) != s:
		return fmt.Errorf("holds control characters: %s", text(s))
	case strings.ContainsFunc(s, unicode.IsSpace):
		return fmt.Errorf("holds a space: %q", text(s))
	case s[0] == '-':
		return fmt.Errorf("begins with a dash, which a command would take for an option: %s", s)
	}
	return nil
}

// text makes text from outside fit for one line of a message.
func text(s string) string { return redact.SanitizeLine(strings.TrimSpace(s), maxText) }

// NotCurrent says that the live version is not the expected one. It is an ErrMoved.
type NotCurrent struct {
	What     string // the component or setting
	Expected string
	Now      string
	// After: it was as expected for a moment, after our own move.
	After bool
}

func (e *NotCurrent) Error() string {
	if e.After {
		return fmt.Sprintf("%s was moved to %s and is %s now: %s in between; ask who before going on", e.What, e.Expected, e.Now, ErrMoved)
	}
	return fmt.Sprintf("%s is %s now, not %s: %s, nothing was changed; ask who before going on", e.What, e.Now, e.Expected, ErrMoved)
}

// Is makes it an ErrMoved.
func (e *NotCurrent) Is(target error) bool { return target == ErrMoved }

// reason is why an exchange over the network failed, in a few words.
func reason(err error, timeout time.Duration) string {
	var timed net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timed) && timed.Timeout() {
		return fmt.Sprintf("no answer within %s", timeout)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return text(err.Error())
}

// settle reads back after a move that was said to be done, for as long as
// patience lasts: what holds the version may take a moment to show it.
func settle(ctx context.Context, patience time.Duration, s *subject, version, current string, get func(context.Context) (string, error)) error {
	end, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		now, err := get(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("%s was moved to %s, but it cannot be read back (%w): %w; look again with: %s",
				s.what, version, err, ErrUncertain, s.look)
		case s.same(now, version):
			return nil
		case !s.same(now, current):
			return &NotCurrent{What: s.what, Expected: version, Now: now, After: true}
		}
		t := time.NewTimer(wait)
		select {
		case <-end.Done():
			t.Stop()
			return fmt.Errorf("the move of %s to %s was accepted, but %s is still live: %w; look again with: %s",
				s.what, version, current, ErrUncertain, s.look)
		case <-t.C:
		}
	}
}

// doubt puts a move without an answer into words, with what is live now.
func doubt(ctx context.Context, s *subject, version, why string, get func(context.Context) (string, error)) error {
	now, err := get(ctx)
	seen := now + " is live now"
	if err != nil {
		seen = "what is live now cannot be read"
	}
	return fmt.Errorf("%s may or may not have moved to %s: %s; %s (%w); make sure with: %s",
		s.what, version, why, seen, ErrUncertain, s.look)
}
