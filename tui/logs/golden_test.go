package logs

import (
	"testing"

	"rollcall/tui/kit/panetest"
)

func TestScreens(t *testing.T) {
	for _, s := range panetest.Sizes {
		t.Run(s.Name, func(t *testing.T) {
			d := panetest.New(t, New(), s.W, s.H)
			d.Do(d.Pane.Open(d.C, nil))
			d.Shows("live")
			d.Golden("logs-" + s.Name)
			d.Press("up", "up")
			d.Golden("logs-held-" + s.Name)
			d.Press("e")
			d.Golden("logs-errors-" + s.Name)
			d.Press("enter")
			d.Golden("logs-detail-" + s.Name)
			d.ASCII()
			d.Pane.Back(d.C)
			d.Press("e")
			d.ASCII()
			d.Golden("logs-ascii-" + s.Name)
		})
	}
}
