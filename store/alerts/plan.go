package alerts

import (
	"fmt"
	"strings"
	"time"

	"rollcall/sources"
)

// Plan is a silence that has not been asked for yet.
type Plan struct {
	Service string
	Alert   Alert
	Where   string // the Alertmanager
	Match   []sources.Matcher
	Length  time.Duration
	Ends    time.Time // wall time
	By      string
	Comment string
}

// Text says in full what the silence would do.
func (p *Plan) Text() string {
	var match []string
	for _, m := range p.Match {
		match = append(match, fmt.Sprintf("%s=%q", m.Name, m.Value))
	}
	return fmt.Sprintf("Silence %s for %s, until %s: the Alertmanager at %s tells nobody of alerts with %s. As %s: %s",
		p.Alert.ID, span(p.Length), p.Ends.Format("2006-01-02 15:04Z"), p.Where, strings.Join(match, ", "), p.By, p.Comment)
}

// span writes 2h rather than 2h0m0s.
func span(d time.Duration) string {
	s := d.String()
	s = strings.TrimSuffix(s, "0s")
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	if s == "" {
		return d.String()
	}
	return s
}
