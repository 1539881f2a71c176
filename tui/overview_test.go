package tui

import (
	"context"
	"strings"
	"testing"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/tui/tuitest"
)

func whyOfSchemaFail(why string) func(context.Context, string, sources.View, sources.Pane) (*signal.Snapshot, error) {
	return func(_ context.Context, service string, v sources.View, _ sources.Pane) (*signal.Snapshot, error) {
		s := tuitest.Snapshot(service, v, tuitest.Start)
		for i := range s.Readings {
			if s.Readings[i].Signal == "schema_fail" {
				s.Readings[i].Why = why
			}
		}
		return s, nil
	}
}

// The limit is what makes a value bad; a course of some columns less tells the same.
func TestTheOverviewLeavesRoomForAValueAndItsLimit(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 36}, {200, 60}} {
		b := newBench(t, size[0], size[1])
		b.backend.OnSnapshot = whyOfSchemaFail("12.3% over 4.2%")
		b.press("ctrl+r")
		b.shows("12.3% over 4.2%")
	}
}

func TestWhatIsCutInASCIIDoesNotLookWhole(t *testing.T) {
	b := newBench(t, 100, 30, func(o *Options) { o.NoColor, o.ASCII = true, true })
	b.backend.OnSnapshot = whyOfSchemaFail("123456789123456789123456789")
	b.press("ctrl+r")
	for _, line := range strings.Split(plainText(b.screen()), "\n") {
		if at := strings.Index(line, "! 1234"); at >= 0 {
			if cut, _, _ := strings.Cut(line[at+2:], " "); !strings.HasSuffix(cut, "..") {
				t.Errorf("a figure that was cut reads as %q", cut)
			}
			return
		}
	}
	t.Fatalf("the figure is not shown:\n%s", b.screen())
}
