package requests

import (
	"testing"

	"rollcall/tui/kit/panetest"
)

func TestScreens(t *testing.T) {
	for _, s := range panetest.Sizes {
		t.Run(s.Name, func(t *testing.T) {
			d := panetest.New(t, New(), s.W, s.H)
			d.Do(d.Pane.Open(d.C, nil))
			d.Shows("of 241 rows")
			d.Press("down", "down")
			d.Golden("requests-" + s.Name)
			d.Press("b")
			d.Shows("x clears")
			d.Until("the bad ones are in", func() bool { return !d.Pane.(*Pane).loading })
			d.Golden("requests-bad-" + s.Name)
			d.Press("/")
			d.Type("route:")
			d.Golden("requests-filter-" + s.Name)
			d.ASCII()
			d.Pane.Back(d.C)
			d.ASCII()
			d.Golden("requests-ascii-" + s.Name)
		})
	}
}
