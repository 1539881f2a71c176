package prom

import (
	"context"
	"errors"
	"strings"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"rollcall/sources"
)

const (
	maxAlerts = 5_000
	maxRules  = 5_000
	maxProse  = 1_000 // bytes of an annotation, a query or an error of a rule
)

// Alerts lists the pending and firing alerts of the server's rules. Of more than
// 5,000 the facts say how many there are.
func (c *Client) Alerts(ctx context.Context) ([]sources.Alert, sources.Facts, error) {
	var found []v1.Alert
	var absent noSuchPath
	facts, err := c.do(ctx, func(ctx context.Context) (v1.Warnings, v1.Warnings, error) {
		r, err := c.api.Alerts(ctx)
		found = r.Alerts
		return nil, nil, absent.note(err)
	})
	if err == nil && absent {
		err = c.noRules()
	}
	if err != nil {
		return nil, facts, err
	}
	facts.Total = len(found)
	found = found[:min(len(found), maxAlerts)]
	facts.Shown, facts.At = len(found), c.clock.Now()
	out := make([]sources.Alert, len(found))
	for i := range found {
		out[i] = c.alert(&found[i])
	}
	return out, facts, nil
}

// Rules lists the alerting and recording rules with their alerts, in the order of
// the server: by file and group. Of more than 5,000 the facts say how many there are.
func (c *Client) Rules(ctx context.Context) ([]sources.Rule, sources.Facts, error) {
	var found v1.RulesResult
	var absent noSuchPath
	facts, err := c.do(ctx, func(ctx context.Context) (v1.Warnings, v1.Warnings, error) {
		r, err := c.api.Rules(ctx, nil)
		found = r
		return nil, nil, absent.note(err)
	})
	if err == nil && absent {
		err = c.noRules()
	}
	if err != nil {
		return nil, facts, err
	}
	var out []sources.Rule
	alerts := 0
	for _, g := range found.Groups {
		facts.Total += len(g.Rules)
		for _, r := range g.Rules {
			if len(out) == maxRules {
				break
			}
			rule := sources.Rule{Group: c.short(g.Name)}
			switch r := r.(type) {
			case v1.AlertingRule:
				rule.Alerting = true
				rule.Name, rule.Query, rule.State = c.short(r.Name), c.prose(r.Query), state(r.State)
				rule.For = seconds(r.Duration)
				rule.Labels, rule.Annotations = c.set(r.Labels, c.short), c.set(r.Annotations, c.prose)
				rule.Healthy, rule.LastError = r.Health != v1.RuleHealthBad, c.prose(r.LastError)
				rule.Evaluated, rule.Took = r.LastEvaluation, seconds(r.EvaluationTime)
				for _, a := range r.Alerts {
					if alerts++; alerts <= maxAlerts && a != nil {
						rule.Alerts = append(rule.Alerts, c.alert(a))
					}
				}
			case v1.RecordingRule:
				rule.Name, rule.Query = c.short(r.Name), c.prose(r.Query)
				rule.Labels = c.set(r.Labels, c.short)
				rule.Healthy, rule.LastError = r.Health != v1.RuleHealthBad, c.prose(r.LastError)
				rule.Evaluated, rule.Took = r.LastEvaluation, seconds(r.EvaluationTime)
			}
			if rule.Evaluated.After(facts.At) {
				facts.At = rule.Evaluated
			}
			out = append(out, rule)
		}
	}
	facts.Shown = len(out)
	if alerts > maxAlerts {
		facts.Partial = "too many alerts under the rules; the first 5,000 are here"
	}
	return out, facts, nil
}

// noSuchPath is true when a server that works does not have what was asked for:
// many that answer queries evaluate no rules, which does not make them unreachable.
type noSuchPath bool

func (n *noSuchPath) note(err error) error {
	var e *v1.Error
	if errors.As(err, &e) && (strings.Contains(e.Msg, "404") || strings.Contains(e.Msg, "501")) {
		*n = true
		return nil
	}
	return err
}

func (c *Client) noRules() error {
	return &Error{Text: "prometheus " + c.where + ": this server has no alerts and rules; ask the one that evaluates them, or set alertmanager.url", Rejected: true}
}

func (c *Client) alert(a *v1.Alert) sources.Alert {
	return sources.Alert{
		Name: c.short(string(a.Labels[model.AlertNameLabel])), State: state(string(a.State)), Source: "prometheus",
		Labels: c.set(a.Labels, c.short), Annotations: c.set(a.Annotations, c.prose),
		Since: a.ActiveAt, Value: cut(c.sanitize(a.Value), 40),
	}
}

// state trusts no word of a server.
func state(s string) sources.AlertState {
	switch st := sources.AlertState(s); st {
	case sources.AlertPending, sources.AlertFiring:
		return st
	}
	return sources.AlertInactive
}

func seconds(s float64) time.Duration {
	if !(s > 0 && s < 1e9) {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}

func (c *Client) short(s string) string { return cut(c.sanitize(s), maxLabel) }

func (c *Client) prose(s string) string { return cut(c.text(s), maxProse) }

func (c *Client) set(m model.LabelSet, clean func(string) string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[c.short(string(k))] = clean(string(v))
	}
	return out
}
