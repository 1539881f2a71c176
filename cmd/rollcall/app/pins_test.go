package app

import (
	"testing"
	"time"

	"rollcall/runbooks/pin"
	"rollcall/sources"
)

func TestTheLivesOfAComponentComeFromItsOwnChangesNewestFirst(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 3, 10, 2, minute, 0, 0, time.UTC) }
	got := lives(sources.Prompt, []sources.Change{
		{At: at(30), Component: sources.Prompt, From: "v13", To: "v14"},
		{At: at(10), Component: sources.Prompt, From: "v12", To: "v13"},
		{At: at(31), Component: sources.Prompt, From: "v13", To: "v14"}, // the same, as another source saw it
		{At: at(20), Component: sources.Model, From: "a", To: "b"},
		{At: at(25), Component: sources.Prompt, From: "v13", To: "v99", Silent: true},
		{At: at(50), Component: sources.Prompt, From: "v14", To: "v13"}, // there and back
		{At: at(55), Component: sources.Prompt, From: "v13", To: "v14"},
	})
	want := []pin.Life{{Version: "v13", From: at(50), Until: at(55)}, {Version: "v14", From: at(30), Until: at(50)}, {Version: "v13", From: at(10), Until: at(30)}, {Version: "v12", Until: at(10)}}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("life %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}
