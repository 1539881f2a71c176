package cli

import (
	"fmt"

	"rollcall/runbooks/pin"
)

// mayErase refuses to erase where a runbook's step may only read, in read-only mode, and
// in a rehearsal, which touches nothing that is live.
func (p *Program) mayErase() error {
	guard := pin.GuardFrom(p.Env)
	err := guard.Change("erasing")
	if err == nil && guard.Rehearsal {
		err = fmt.Errorf("erasing is %w: a rehearsal touches nothing that is live", pin.ErrForbidden)
	}
	if err != nil {
		return &exit{ExitBad, err}
	}
	return nil
}
