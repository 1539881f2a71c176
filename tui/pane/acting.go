package pane

import (
	"rollcall/store/journal"
)

// PlanOf opens the Run pane on the plan of the runbook with this ID.
type PlanOf string

// RehearsalOf opens the Run pane on the plan of a rehearsal of the runbook with this ID.
type RehearsalOf string

// Declare opens the Incident pane on the form for a new incident.
type Declare struct{}

// ActedMsg tells the shell that something was done at the desk: it reads the
// open incident and the runs anew.
type ActedMsg struct{}

// IncidentID is the ID of the open incident; empty when there is none.
func (c Context) IncidentID() string {
	if c.Incident == nil {
		return ""
	}
	return c.Incident.ID
}

// Record writes down what a person did, within the open incident; a console
// that only reads keeps no record.
func (c Context) Record(k journal.Kind, data any, text string) {
	if c.Desk == nil {
		return
	}
	c.Desk.Record(journal.Draft{Kind: k, Service: c.Service, Incident: c.IncidentID(), Data: data, Text: text})
}
