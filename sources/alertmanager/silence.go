package alertmanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rollcall/sources"
)

// ErrNoSilence says that the Alertmanager has no silence of that ID.
var ErrNoSilence = errors.New("the Alertmanager has no silence of this ID; list the silences")

type wireSilence struct {
	ID        string        `json:"id,omitempty"`
	Matchers  []wireMatcher `json:"matchers"`
	StartsAt  time.Time     `json:"startsAt"`
	EndsAt    time.Time     `json:"endsAt"`
	CreatedBy string        `json:"createdBy"`
	Comment   string        `json:"comment"`
	UpdatedAt *time.Time    `json:"updatedAt,omitempty"`
	Status    *struct {
		State string `json:"state"`
	} `json:"status,omitempty"`
}

type wireMatcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual *bool  `json:"isEqual,omitempty"` // absent in old versions, which know no "not"
}

// Silences lists the silences whose own matchers match all of match, expired ones
// included, for as long as the server keeps them.
func (c *Client) Silences(ctx context.Context, match ...sources.Matcher) ([]sources.Silence, sources.Facts, error) {
	var found []wireSilence
	facts, err := c.read(ctx, "/api/v2/silences", filter(match), &found)
	if err != nil {
		return nil, facts, err
	}
	facts.Total = len(found)
	found = found[:min(len(found), maxAlerts)]
	facts.Shown = len(found)
	out := make([]sources.Silence, len(found))
	for i, w := range found {
		s := sources.Silence{
			ID: c.name(w.ID), Starts: w.StartsAt, Ends: w.EndsAt,
			By: c.prose(w.CreatedBy), Comment: c.prose(w.Comment),
		}
		if w.UpdatedAt != nil {
			s.Updated = *w.UpdatedAt
			if s.Updated.After(facts.At) {
				facts.At = s.Updated
			}
		}
		if w.Status != nil {
			switch st := sources.SilenceState(w.Status.State); st {
			case sources.SilencePending, sources.SilenceActive, sources.SilenceExpired:
				s.State = st
			}
		}
		for _, m := range w.Matchers[:min(len(w.Matchers), maxLabels)] {
			s.Match = append(s.Match, sources.Matcher{
				Name: c.name(m.Name), Value: c.name(m.Value), Regex: m.IsRegex, Not: m.IsEqual != nil && !*m.IsEqual,
			})
		}
		out[i] = s
	}
	return out, facts, nil
}

// Silence makes a silence and returns its ID, or changes the one that s.ID names,
// which may give it a new ID. A zero start is now.
func (c *Client) Silence(ctx context.Context, s sources.Silence) (string, error) {
	if s.Starts.IsZero() {
		s.Starts = c.clock.Wall()
	}
	if err := sane(s); err != nil {
		return "", err
	}
	w := wireSilence{ID: s.ID, StartsAt: s.Starts, EndsAt: s.Ends, CreatedBy: s.By, Comment: s.Comment}
	for _, m := range s.Match {
		equal := !m.Not
		w.Matchers = append(w.Matchers, wireMatcher{Name: m.Name, Value: m.Value, IsRegex: m.Regex, IsEqual: &equal})
	}
	body, err := json.Marshal(w)
	if err != nil {
		return "", fmt.Errorf("alertmanager: the silence cannot be written: %w", err)
	}
	a, err := c.rest.Send(ctx, http.MethodPost, "/api/v2/silences", body)
	switch {
	case err != nil:
		return "", err
	case a.NoRoute:
		return "", c.rest.NoAPI(a)
	case a.Missing:
		return "", ErrNoSilence
	}
	var made struct {
		SilenceID string `json:"silenceID"`
	}
	if err := json.Unmarshal(a.Body, &made); err != nil || made.SilenceID == "" {
		return "", c.rest.Unreadable(a, errors.New("a silence was taken, but its ID did not come back"))
	}
	return c.name(made.SilenceID), nil
}

// sane refuses what an Alertmanager would refuse, and what would silence everything.
func sane(s sources.Silence) error {
	matches := false
	for _, m := range s.Match {
		if m.Name == "" {
			return errors.New("the silence has a matcher without a label name; write them like severity=\"page\"")
		}
		matches = matches || !m.Not && m.Value != "" && (!m.Regex || m.Value != ".*")
	}
	switch {
	case !matches:
		return errors.New("the silence would match every alert; give at least one matcher like alertname=\"SchemaFailures\"")
	case s.By == "":
		return errors.New("the silence does not say who made it; give a name")
	case strings.TrimSpace(s.Comment) == "":
		return errors.New("the silence does not say why; give a comment")
	case s.Ends.IsZero() || !s.Ends.After(s.Starts):
		return errors.New("the silence ends before it begins; give an end after its start")
	}
	return nil
}

// Expire ends a silence now.
func (c *Client) Expire(ctx context.Context, id string) error {
	if id == "" || strings.ContainsAny(id, "/?#%") {
		return ErrNoSilence
	}
	a, err := c.rest.Send(ctx, http.MethodDelete, "/api/v2/silence/"+id, nil)
	switch {
	case err != nil:
		return err
	case a.NoRoute:
		return c.rest.NoAPI(a)
	case a.Missing:
		return ErrNoSilence
	}
	return nil
}
