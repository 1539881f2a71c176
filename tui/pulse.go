package tui

import (
	"reflect"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
)

// pulse lets Bubble Tea look for something to draw as often as it has frames a
// second only while something happens. Left alone it looks all day, which is half of
// what an idle console costs.
//
// Nothing changes on the screen without a message, so that whoever is told of all
// messages knows when to look. The ticker is not offered to anybody: where a later
// Bubble Tea keeps none, or another one, the pulse never rests, and a test says so.
type pulse struct {
	frame time.Duration

	mu     sync.Mutex
	ticker *time.Ticker
	timer  *time.Timer // the end of the present state
	state  pulseState
	last   time.Time // wall time of the newest message
	ended  bool
}

type pulseState int

const (
	awake pulseState = iota // looks once a frame
	rests                   // looks once in a while, for what nobody thought of
	wakes                   // looks at once, so that the first key after a rest is not the slowest
)

const (
	calmFrames = 10 // without a message, until it rests
	restFrames = 30 // between two looks while it rests
)

func newPulse(fps int) *pulse {
	return &pulse{frame: time.Second / time.Duration(fps)}
}

// filter is told of every message before the program handles it.
func (p *pulse) filter(prog **tea.Program) func(tea.Model, tea.Msg) tea.Msg {
	return func(_ tea.Model, msg tea.Msg) tea.Msg {
		p.beat(tickerOf(*prog))
		return msg
	}
}

// beat is called from the goroutine that began the ticker.
func (p *pulse) beat(ticker *time.Ticker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = time.Now()
	switch {
	case p.ended || ticker == nil:
	case p.ticker == nil:
		p.ticker, p.timer = ticker, time.AfterFunc(calmFrames*p.frame, p.turn)
	case p.state == rests:
		p.enter(wakes, p.frame/4, p.frame)
	}
}

func (p *pulse) enter(s pulseState, every, until time.Duration) {
	p.state = s
	p.ticker.Reset(every)
	p.timer.Reset(until)
}

// turn ends a state.
func (p *pulse) turn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	switch calm := time.Since(p.last); {
	case p.state == wakes:
		p.enter(awake, p.frame, calmFrames*p.frame)
	case calm < calmFrames*p.frame:
		p.timer.Reset(calmFrames*p.frame - calm)
	default:
		p.state = rests
		p.ticker.Reset(restFrames * p.frame)
	}
}

func (p *pulse) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
}

// tickerOf finds the ticker that makes a program look for something to draw; nil
// where there is none of that name and kind.
func tickerOf(prog *tea.Program) *time.Ticker {
	f := reflect.ValueOf(prog).Elem().FieldByName("ticker")
	if !f.IsValid() || f.Type() != reflect.TypeFor[*time.Ticker]() {
		return nil
	}
	return (*time.Ticker)(f.UnsafePointer())
}
