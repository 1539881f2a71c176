package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/runbooks/pin"
	"rollcall/sources"
	"rollcall/sources/alertmanager"
	"rollcall/sources/rest"
	"rollcall/store/alerts"
	"rollcall/store/journal"
)

const (
	// ackMost is how many alerts of one name are acknowledged together.
	ackMost = 100
	// silenceMost is how long a silence may be: longer ones are forgotten.
	silenceMost = 30 * 24 * time.Hour
)

// AckAlert records that a person has taken up an alert, or all of that name that
// fire; acted says that something was done about it that the journal does not see.
func (a *App) AckAlert(ctx context.Context, service, name, note string, acted bool) ([]journal.Entry, error) {
	if strings.TrimSpace(note) == "" {
		return nil, fmt.Errorf("%w: an acknowledgement needs a note; say in a few words what you do about it", journal.ErrRefused)
	}
	list, err := a.meant(ctx, service, name)
	if err != nil {
		return nil, err
	}
	var fire []alerts.Alert
	for i := range list {
		if list[i].State != alerts.Resolved {
			fire = append(fire, list[i])
		}
	}
	switch {
	case len(fire) == 0:
		return nil, fmt.Errorf("%w: %s is over; there is nothing to acknowledge", journal.ErrRefused, line(name))
	case len(fire) > ackMost:
		return nil, fmt.Errorf("%w: %d alerts are called %s; name one by its ID, which rollcall alerts prints", journal.ErrRefused, len(fire), line(name))
	}
	j, err := a.Journal()
	if err != nil {
		return nil, err
	}
	var drafts []journal.Draft
	inc := a.openIncident(ctx, service)
	for i := range fire {
		x := &fire[i]
		drafts = append(drafts, journal.Draft{
			Kind: journal.AlertAcknowledged, Service: service, Environment: a.cfg.Services[service].Environment, Incident: inc,
			Data: journal.AcknowledgedData{
				Alert: x.ID, Also: x.Also(), Name: x.Name, Signal: x.Signal, Source: x.Sources[0], Since: x.Since.UTC(), Acted: acted,
			},
			Text: strings.TrimSpace(note),
		})
	}
	return j.Append(ctx, drafts...)
}

// openIncident is the ID of the incident that an act belongs to; empty for none.
func (a *App) openIncident(ctx context.Context, service string) string {
	inc, err := a.current(ctx, service)
	if err != nil {
		return ""
	}
	return inc.ID
}

// meant are the alerts that a person names, by ID or by name.
func (a *App) meant(ctx context.Context, service, name string) ([]alerts.Alert, error) {
	l, err := a.Alerts(ctx, service, sources.View{Range: time.Hour, Columns: 60}, nil)
	if err != nil {
		return nil, err
	}
	found := l.Find(name)
	if len(found) > 0 {
		return found, nil
	}
	var known []string
	for i := range l.Alerts {
		if len(known) < 8 && l.Alerts[i].State != alerts.Resolved {
			known = append(known, l.Alerts[i].ID)
		}
	}
	says := "nothing fires"
	if len(known) > 0 {
		says = "there are " + strings.Join(known, ", ")
	}
	for _, s := range l.Sources {
		if s.Failed {
			says += "; " + s.Source + " did not answer"
		}
	}
	return nil, fmt.Errorf("%w: no alert is called %q; %s", journal.ErrRefused, line(name), says)
}

// PlanSilence says what silencing an alert would do; it asks nobody to do it.
func (a *App) PlanSilence(ctx context.Context, service, name string, length time.Duration, comment string) (alerts.Plan, error) {
	switch {
	case length <= 0 || length > silenceMost:
		return alerts.Plan{}, fmt.Errorf("%w: a silence lasts up to 30 days; write how long like 30m, 2h or 1d", journal.ErrRefused)
	case strings.TrimSpace(comment) == "":
		return alerts.Plan{}, fmt.Errorf("%w: a silence needs a comment that says why", journal.ErrRefused)
	}
	found, err := a.meant(ctx, service, name)
	if err != nil {
		return alerts.Plan{}, err
	}
	if len(found) > 1 {
		var ids []string
		for i := range found[:min(len(found), 8)] {
			ids = append(ids, found[i].ID)
		}
		return alerts.Plan{}, fmt.Errorf("%w: %d alerts are called %s; name one of them: %s", journal.ErrRefused, len(found), line(name), strings.Join(ids, ", "))
	}
	x := found[0]
	p := alerts.Plan{
		Service: service, Alert: x, Where: a.silencer(), Match: matchOf(&x, service), Comment: strings.TrimSpace(comment),
		By: Actor(), Length: length, Ends: a.clock.Wall().Add(length).UTC(),
	}
	var byHand []string
	for _, m := range p.Match {
		byHand = append(byHand, "'"+strings.ReplaceAll(alertmanager.Text(m), "'", `'\''`)+"'")
	}
	switch {
	case x.State == alerts.Resolved:
		return p, fmt.Errorf("%w: %s is over; there is nothing to silence", journal.ErrRefused, x.ID)
	case x.Signal != "" && !x.Of(alerts.Alertmanager):
		how := "set alertmanager.post: true, so that it tells of it, or raise services." + service + ".thresholds." + x.Signal
		return p, fmt.Errorf("%w: %s is a verdict of rollcall, and no Alertmanager tells anybody of it: acknowledge it instead; %s", journal.ErrRefused, x.Signal, how)
	case a.alerts == nil:
		return p, fmt.Errorf("%w: no Alertmanager is configured; add alertmanager: {url: http://HOST:9093}, or do it by hand: amtool silence add %s --duration=%s --comment=WHY", journal.ErrRefused, strings.Join(byHand, " "), length)
	}
	return p, nil
}

func (a *App) silencer() string {
	if a.cfg.Alertmanager == nil {
		return ""
	}
	return line(a.cfg.Alertmanager.URL)
}

// matchOf names one alert and no other, by all labels that its source gave it.
func matchOf(x *alerts.Alert, service string) []sources.Matcher {
	if x.Signal != "" {
		return []sources.Matcher{{Name: alerts.LabelService, Value: service}, {Name: alerts.LabelSignal, Value: x.Signal}}
	}
	var out []sources.Matcher
	for _, k := range slices.Sorted(maps.Keys(x.Labels)) {
		out = append(out, sources.Matcher{Name: k, Value: x.Labels[k]})
	}
	return out
}

// Silence does what a plan says. That it is about to is in the journal before,
// and how it ended after.
func (a *App) Silence(ctx context.Context, p alerts.Plan) (string, error) {
	if a.alerts == nil {
		return "", errors.New("no Alertmanager is configured; add alertmanager: {url: http://HOST:9093}")
	}
	if err := a.mayChange("silencing " + p.Alert.ID); err != nil {
		return "", err
	}
	j, err := a.Journal()
	if err != nil {
		return "", err
	}
	d := journal.Draft{Kind: journal.AlertSilenced, Service: p.Service, Environment: a.cfg.Services[p.Service].Environment, Incident: a.openIncident(ctx, p.Service)}
	text := p.Comment
	for _, m := range p.Match {
		text += "\n" + alertmanager.Text(m)
	}
	write := func(state, id string) error {
		d.Data = journal.SilencedData{Alert: p.Alert.ID, Name: p.Alert.Name, Signal: p.Alert.Signal, State: state, Silence: id, Ends: p.Ends}
		d.Text = text
		_, err := j.Append(context.WithoutCancel(ctx), d)
		return err
	}
	if err := write("begun", ""); err != nil {
		return "", err
	}
	id, err := a.alerts.Silence(ctx, sources.Silence{Match: p.Match, Ends: p.Ends, By: p.By, Comment: p.Comment})
	if err != nil {
		state := "refused"
		var e *rest.Error
		if errors.As(err, &e) && e.Uncertain {
			state = "uncertain"
		}
		return "", errors.Join(err, write(state, ""))
	}
	return id, write("done", id)
}

// mayChange refuses what a read-only run may not do.
func (a *App) mayChange(what string) error { return pin.GuardFrom(a.env).Change(what) }
