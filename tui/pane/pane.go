// Package pane is the contract between the console's shell and its panes.
//
// The shell owns the frame (header, verdict line, tabs, footer), the one time of
// everything, the palette, help, and the stack of panes that esc walks back. A
// pane owns what is inside: it gets messages, returns commands, and draws itself
// from its own state and a Context, without clock, I/O or locks.
package pane

import (
	"context"
	"time"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/journal"
	"rollcall/tui/theme"
)

// ID names a pane; it is also its word in the palette.
type ID string

// The panes.
const (
	Overview ID = "overview"
	Health   ID = "health"
	Quality  ID = "quality"
	Cost     ID = "cost"
	Safety   ID = "safety"
	Requests ID = "requests"
	Request  ID = "request"
	Logs     ID = "logs"
	Changes  ID = "changes"
	Alerts   ID = "alerts"
	Suspects ID = "suspects" // what explains a signal
	Spending ID = "spending" // where money goes
	Runbooks ID = "runbooks"
	Run      ID = "run" // a plan, or a run
	Incident ID = "incident"
	Journal  ID = "journal"
	Signal   ID = "signal" // one signal full screen
	Debug    ID = "debug"
)

// Context is what a pane may know when it updates or draws. The shell makes a
// new one for every message; a pane keeps no reference to it.
type Context struct {
	Width, Height int // of the pane's own area
	Theme         *theme.Theme
	Service       string
	View          sources.View
	Now           time.Time // service time of the last refresh
	Wall          time.Time // wall time of the last message
	LocalTime     bool      // times in the local zone instead of UTC
	Frozen        bool
	Snapshot      *signal.Snapshot // nil until the first refresh
	Backend       Backend
	Desk          Desk              // nil: the console only reads
	Incident      *journal.Incident // the open one of the service; nil when there is none
	// Ctx ends when the pane is left or the view changes: reads that nobody looks at stop.
	Ctx context.Context
}

// Pane is one room of the console. Update and View are called from one goroutine.
type Pane interface {
	ID() ID
	// Title is the words of the pane's frame.
	Title(c Context) string
	// Open is called each time the pane is shown from elsewhere, with the argument
	// of the palette or of OpenMsg; it returns the command that loads its data.
	Open(c Context, arg any) tea.Cmd
	// Refresh is called after every refresh of the shell while the pane is visible,
	// and when the view (time, range, service) changed.
	Refresh(c Context) tea.Cmd
	// Update gets keys that the shell did not take, mouse events inside the pane
	// (relative to its corner), and the results of its own commands.
	Update(c Context, msg tea.Msg) tea.Cmd
	// View returns exactly c.Height lines, each at most c.Width columns.
	View(c Context) string
	// Keys are shown by ? and in the footer, most useful first.
	Keys() []key.Binding
	// Back handles esc inside the pane (close a filter, leave a detail); false lets the shell go back.
	Back(c Context) bool
	// Capturing is true while typed letters belong to an input of the pane.
	Capturing() bool
	// Left is called when the pane is no longer visible.
	Left()
}

// Copier is implemented by panes that can say what `y` copies.
type Copier interface {
	// CopyText returns the text and a word for it ("request ID").
	CopyText(c Context) (text, what string)
}

// OpenMsg asks the shell to open a pane on top of the current one.
type OpenMsg struct {
	ID ID
	// Arg is a string for Request (any ID), Signal and Suspects (a signal), Spending (an attribute), sources.RequestFilter for Requests, sources.LogQuery for
	// Logs, words or "fatigue" for Alerts, PlanOf or the run's ID for Run, Declare or the incident's ID for Incident, words of the filter for Journal.
	Arg any
}

// NoticeMsg asks the shell to show one line until the next key.
type NoticeMsg struct {
	Text string
	Bad  bool
}

// TimeMsg asks the shell to set the one time of everything.
type TimeMsg struct {
	At    time.Time // zero for live
	Range time.Duration
}

// Backend is where all data comes from; cmd hands it to the program. Every call
// is bounded and ends when its context does. Trouble of a source is reported in
// the facts and in the snapshot's health; an error is for what the caller did
// wrong or for a source that has nothing at all to give, one line, with a remedy.
type Backend interface {
	Clock() sources.Clock
	Services() []string
	// Snapshot reads all signals of a service; first names the pane to read first.
	Snapshot(ctx context.Context, service string, v sources.View, first sources.Pane) (*signal.Snapshot, error)
	// Split reads one signal split by a label: "prompt", "model" or "index".
	Split(ctx context.Context, service, signalID, by string, v sources.View) ([]sources.Part, sources.Facts, error)
	// Suspects says what the bad requests of a signal have in common; anyway looks even when nothing is worse than usual.
	Suspects(ctx context.Context, service, signalID string, v sources.View, anyway bool) (*signal.Explanation, error)
	Requests(ctx context.Context, f sources.RequestFilter) (sources.RequestList, error)
	// Request opens a request by request, trace or response ID.
	Request(ctx context.Context, service, id string) (*sources.RequestView, error)
	Logs(ctx context.Context, service string, q sources.LogQuery) (sources.LogList, error)
	// Tail follows the log until ctx ends; it reconnects by itself and closes the channel at the end.
	Tail(ctx context.Context, service string, q sources.LogQuery) (<-chan sources.LogBatch, error)
	Changes(ctx context.Context, service string, v sources.View) ([]sources.Change, sources.Facts, error)
	// Debug returns counters as name and value, in a fixed order.
	Debug() [][2]string
}

// Keeper is implemented by panes that can lie on the way back more than once
// with different arguments, as a request opened from another request does.
// Without it, going back to such a pane opens it anew with its old argument.
type Keeper interface {
	// Keep returns everything that makes the screen what it is now.
	Keep() any
	// Restore brings back what Keep returned; it returns the command that reads what may be outdated.
	Restore(c Context, kept any) tea.Cmd
}
