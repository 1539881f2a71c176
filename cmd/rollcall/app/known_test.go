package app

import (
	"testing"
	"time"
)

func TestIncidentsAreKnownUntilTheyAreOver(t *testing.T) {
	a := open(t, servers(t, emptyProm, lokiLines()), Options{})
	if list, err := (known{a}).Stretches(t.Context(), "assistant", night(0, 0)); err != nil || len(list) != 0 {
		t.Fatalf("without a journal %v, %v", list, err)
	}
	d := draft()
	d.Began = night(2, 31)
	if _, err := a.OpenIncident(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	list, err := known{a}.Stretches(t.Context(), "assistant", night(0, 0))
	if err != nil || len(list) != 1 || !list[0].Since.Equal(night(2, 31)) || list[0].Until.Sub(list[0].Since) != forgotten {
		t.Errorf("an open one: %v, %v", list, err)
	}
	if list, err := (known{a}).Stretches(t.Context(), "assistant", night(0, 0).Add(30*24*time.Hour)); err != nil || len(list) != 0 {
		t.Errorf("one of last month: %v, %v", list, err)
	}
}
