// Package pin reads and moves the live versions of components through drivers:
// a command (exec), an HTTP endpoint (http) or a file (file). Every move is a
// compare-and-set: it happens only while the version is still the expected one.
package pin

import (
	"context"
	"errors"
	"time"

	"rollcall/sources"
)

// Version is one version that a pin can be set to, or had.
type Version struct {
	Name     string    `json:"version"`
	Live     bool      `json:"live,omitempty"`
	Good     bool      `json:"good,omitempty"`      // marked by a person, or the driver says so
	LastGood bool      `json:"last_good,omitempty"` // the one that the driver names
	Note     string    `json:"note,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Replaced time.Time `json:"replaced,omitzero"`
}

// The ways in which a move fails. Each comes wrapped in one line with the remedy.
var (
	ErrMoved     = errors.New("somebody else moved it") // current is not the expected version
	ErrForbidden = errors.New("not allowed here")       // another component, a read-only run or step
	ErrUnknown   = errors.New("not known")              // no such component or version
	ErrUncertain = errors.New("outcome unknown")        // the driver did not say whether it happened
	// ErrUnreachable: what holds the version did not answer, or with nonsense. Nothing was changed.
	ErrUnreachable = errors.New("out of reach")
)

// Driver reaches one component's pin.
type Driver interface {
	// Get returns the live version.
	Get(ctx context.Context) (string, error)
	// Set makes version live if current is live.
	Set(ctx context.Context, version, current string) error
	// List returns the versions that are known, live one included; ErrUnknown when the driver cannot list.
	List(ctx context.Context) ([]Version, error)
}

// Good is a last good version with where the knowledge came from.
type Good struct {
	Component sources.Component `json:"component"`
	Version   string            `json:"version"`
	From      string            `json:"from"` // "marked by ana at 02:11", "driver", "deployment history: lived 3 days without a bad verdict"
}
