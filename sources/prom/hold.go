package prom

import (
	"errors"
	"net/http"
	"strings"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"rollcall/sources/hold"
)

// held says in one line why the server is left alone.
func (c *Client) held(why *hold.Held) *Error {
	remedy := "raise its limit for this client, or refresh less often"
	if why.Code == http.StatusServiceUnavailable {
		remedy = "look at its load and its log"
	}
	return &Error{Text: "prometheus " + c.where + ": " + why.Error() + "; " + remedy, cause: why}
}

// refusedForNow tells whether a call failed because the server wants to be left alone.
func refusedForNow(err error) bool {
	var e *v1.Error
	return errors.As(err, &e) && (strings.Contains(e.Msg, "429") || strings.Contains(e.Msg, "503"))
}
