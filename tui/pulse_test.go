package tui

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	tea "charm.land/bubbletea/v2"
)

const testFrame = time.Second / 30

// looks counts how often a ticker looks, and says how long its first look takes.
func looks(ticker *time.Ticker, during time.Duration) (n int, first time.Duration) {
	began := time.Now()
	end := time.NewTimer(during)
	defer end.Stop()
	for {
		select {
		case <-ticker.C:
			if n++; n == 1 {
				first = time.Since(began)
			}
		case <-end.C:
			return n, first
		}
	}
}

func TestNobodyLooksForFramesWhileNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulse(30)
		defer p.end()
		ticker := time.NewTicker(testFrame)
		defer ticker.Stop()
		p.beat(ticker)
		if n, _ := looks(ticker, calmFrames*testFrame-time.Millisecond); n < calmFrames-1 {
			t.Errorf("%d looks in the %d frames after a message", n, calmFrames)
		}
		if n, _ := looks(ticker, time.Minute); n > 60 {
			t.Errorf("%d looks in a minute in which nothing happened", n)
		}
		p.beat(ticker)
		n, first := looks(ticker, 5*testFrame)
		if first > testFrame/4 {
			t.Errorf("the first message after a rest is drawn after %s", first)
		}
		if n < 6 || n > 9 {
			t.Errorf("%d looks in five frames after a rest", n)
		}
	})
}

func TestTheConsoleDoesNotRestWhileMessagesArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulse(30)
		defer p.end()
		ticker := time.NewTicker(testFrame)
		defer ticker.Stop()
		total := 0
		for range 100 {
			p.beat(ticker)
			n, _ := looks(ticker, 3*testFrame)
			total += n
		}
		if total < 290 || total > 300 {
			t.Errorf("%d looks in 300 frames", total)
		}
	})
}

type still struct{}

func (still) Init() tea.Cmd                       { return func() tea.Msg { return nil } }
func (still) View() tea.View                      { return tea.NewView("") }
func (still) Update(tea.Msg) (tea.Model, tea.Cmd) { return still{}, tea.Quit }

// Should this fail with a later Bubble Tea, an idle console costs twice as much as it need.
func TestTheTickerOfBubbleTeaIsFound(t *testing.T) {
	var found *time.Ticker
	var prog *tea.Program
	prog = tea.NewProgram(still{}, tea.WithContext(t.Context()), tea.WithInput(nil), tea.WithOutput(io.Discard), tea.WithWindowSize(80, 24), tea.WithoutSignals(),
		tea.WithFilter(func(_ tea.Model, msg tea.Msg) tea.Msg {
			if found == nil {
				found = tickerOf(prog)
			}
			return msg
		}))
	if _, err := prog.Run(); err != nil {
		t.Fatal(err)
	}
	if found == nil {
		t.Error("the program has no ticker that could be slowed down")
	}
}
