package prom

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

// obey keeps a call back while the server wants to be left alone: it waits out
// the end of that, and fails at once when there is more of it.
func (c *Client) obey(ctx context.Context) error {
	for range maxTries {
		left, _, _ := c.hold.Left(c.clock.Wall())
		if left == 0 {
			return nil
		}
		if left > maxRetryWait {
			break
		}
		if err := c.rt.wait(ctx, left); err != nil {
			return err
		}
	}
	if err := c.held(); err != nil {
		c.heldBack.Add(1)
		return err
	}
	return nil
}

// held returns why the server is left alone for longer than a call waits, or nil.
func (c *Client) held() error {
	left, until, code := c.hold.Left(c.clock.Wall())
	if left <= maxRetryWait {
		return nil
	}
	what, remedy := "too many requests (429)", "raise its limit for this client, or refresh less often"
	if code == http.StatusServiceUnavailable {
		what, remedy = "not available (503)", "look at its load and its log"
	}
	until = until.Truncate(time.Second).Add(time.Second)
	return &Error{Text: "prometheus " + c.where + ": " + what + ", it is asked again at " + until.UTC().Format("15:04:05Z") + "; " + remedy}
}

// refusedForNow tells whether a call failed because the server wants to be left alone.
func refusedForNow(err error) bool {
	var e *v1.Error
	return errors.As(err, &e) && (strings.Contains(e.Msg, "429") || strings.Contains(e.Msg, "503"))
}
