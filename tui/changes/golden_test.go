package changes

import (
	"testing"

	"rollcall/tui/kit/panetest"
)

func TestScreens(t *testing.T) {
	for _, s := range panetest.Sizes {
		t.Run(s.Name, func(t *testing.T) {
			d := panetest.New(t, New(), s.W, s.H)
			d.Do(d.Pane.Open(d.C, nil))
			d.Shows("2 changes")
			d.Golden("changes-" + s.Name)
		})
	}
}
