package request

import (
	"testing"

	"rollcall/sources"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/tuitest"
)

// failing is the ID of a request of the fake backend that failed its schema.
func failing(d *panetest.Driver) string {
	for _, r := range tuitest.Requests(sources.RequestFilter{Service: d.C.Service, Bad: true, Schema: "fail"}, d.C.Now).Rows {
		return r.ID
	}
	d.T.Fatal("the fake backend has no failing request")
	return ""
}

func TestScreens(t *testing.T) {
	for _, s := range panetest.Sizes {
		t.Run(s.Name, func(t *testing.T) {
			d := panetest.New(t, New(), s.W, s.H)
			d.Do(d.Pane.Open(d.C, failing(d)))
			d.Shows("Versions")
			d.Golden("request-" + s.Name)
			d.Press("down", "down", "enter")
			d.Golden("request-span-" + s.Name)
			if !d.Pane.Back(d.C) {
				t.Error("esc does not leave the span")
			}
			for _, name := range []string{"logs", "verdicts", "versions", "content", "alike", "sources"} {
				d.Press("tab")
				d.Golden("request-" + name + "-" + s.Name)
			}
			d.ASCII()
			d.Press("tab", "enter")
			d.ASCII()
			d.Pane.Back(d.C)
			d.Golden("request-ascii-" + s.Name)
		})
	}
}
