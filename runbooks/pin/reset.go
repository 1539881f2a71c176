package pin

import (
	"context"
	"fmt"
	"time"

	"rollcall/store/journal"
)

// ResetTimeout bounds the reset of a rehearsal target, in wall time.
const ResetTimeout = time.Minute

// TargetReset is the data of rehearsal.reset; its text says why it failed.
type TargetReset struct {
	Result Result `json:"result"` // as of pin.set
}

// Reset puts the rehearsal target back to where rehearsals begin and writes that
// down. The live target has no reset, whatever a configuration says.
//
// Errors: ErrForbidden for the live target, ErrUnknown without a command for it.
func (s *Set) Reset(ctx context.Context) error {
	if !s.Rehearsal {
		return fmt.Errorf("a reset of what is live is %w: only a rehearsal target is reset", ErrForbidden)
	}
	if len(s.reset) == 0 {
		return fmt.Errorf("how to reset the rehearsal target of %s is %w; set services.%s.rehearsal.reset to a command", s.Service, ErrUnknown, s.Service)
	}
	if s.guard.ReadOnly {
		return fmt.Errorf("a reset is %w: this run may only read", ErrForbidden)
	}
	_, err := command{dir: s.dir, timeout: ResetTimeout}.output(ctx, s.reset)
	draft := journal.Draft{Kind: journal.RehearsalReset, Data: TargetReset{Result: resultOf(err)}}
	if err != nil {
		draft.Text = err.Error()
	}
	s.record(ctx, draft)
	if err != nil {
		return fmt.Errorf("the rehearsal target is not reset: %w", err)
	}
	return nil
}
