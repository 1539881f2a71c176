package alertmanager

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/redact"
)

type wireAlert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// Post tells the Alertmanager of alerts. Each ends by itself at its Ends, unless
// it is told again before; one whose Ends is not in the future is over. Labels
// and annotations are redacted and made harmless. The same alert may be told any
// number of times.
func (c *Client) Post(ctx context.Context, alerts []sources.Alert) error {
	list := make([]wireAlert, 0, len(alerts))
	for i := range alerts {
		a := &alerts[i]
		switch {
		case a.Ends.IsZero() || a.Since.IsZero() || a.Ends.Before(a.Since):
			return fmt.Errorf("alertmanager: the alert %s does not say from when until when it holds", c.name(a.Name))
		case a.Name == "":
			return fmt.Errorf("alertmanager: an alert has no name")
		}
		w := wireAlert{Labels: map[string]string{"alertname": c.label(a.Name)}, Annotations: c.set(a.Annotations, c.prose), StartsAt: a.Since.UTC(), EndsAt: a.Ends.UTC()}
		for k, v := range c.set(a.Labels, c.label) {
			if k = labelName(k); k != "" && v != "" {
				w.Labels[k] = v
			}
		}
		list = append(list, w)
	}
	if len(list) == 0 {
		return nil
	}
	body, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("alertmanager: the alerts cannot be written: %w", err)
	}
	a, err := c.rest.Send(ctx, http.MethodPost, "/api/v2/alerts", body)
	switch {
	case err != nil:
		return err
	case a.NoRoute || a.Missing:
		return c.rest.NoAPI(a)
	}
	return nil
}

func (c *Client) label(s string) string { return redact.SanitizeLine(c.red.Text(s), maxName) }

// labelName makes a name that every version takes.
func labelName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, s)
	if s != "" && s[0] >= '0' && s[0] <= '9' {
		s = "_" + s
	}
	return s
}
