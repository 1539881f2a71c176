package app

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/store/fatigue"
)

// checkAlerts looks at whether anybody writes down what fires, who is told of it,
// and what it asks of people.
func (a *App) checkAlerts(ctx context.Context, service string) []Finding {
	out := []Finding{a.watched(service)}
	if a.alerts != nil {
		if a.cfg.Alertmanager.Post {
			out = append(out, ok("alerts", "post", "verdicts that fire are told to the Alertmanager by whoever watches"))
		} else {
			out = append(out, Finding{"alerts", "post", sources.NotExposed, "the Alertmanager is not told of rollcall's own verdicts: nobody is paged of them", "set alertmanager.post: true, if they shall page"})
		}
	}
	r, err := a.Fatigue(ctx, service, time.Time{})
	if err != nil {
		what, remedy := remedied(err, "see docs/journal.md")
		return append(out, Finding{"alerts", "fatigue", sources.Unreachable, what, remedy})
	}
	var names []string
	for i := range r.Rules {
		if x := &r.Rules[i]; x.Advice != fatigue.Keep {
			names = append(names, string(x.Advice)+" "+x.Name())
		}
	}
	detail := fmt.Sprintf("%s in the %.1f of 28 days that the journal has, %d led to an action", sources.Counted(r.Firings, "firing"), r.Days, r.Actioned)
	if len(names) > 0 {
		return append(out, Finding{"alerts", "fatigue", sources.Watch, line(strings.Join(names, ", ") + ": they fire weekly, and nothing comes of it"), "rollcall alerts fatigue says why, and which threshold would do"})
	}
	return append(out, ok("alerts", "fatigue", detail))
}

// watched tells whether a process looks at the service now.
func (a *App) watched(service string) Finding {
	term := 3 * a.cfg.Refresh.Or(config.DefaultRefresh)
	path := newLease(a.cfg.State, service, term, true).path
	var h holding
	text, err := os.ReadFile(path)
	if err == nil {
		_ = json.Unmarshal(text, &h) // a half-written one is nobody's
	} else if !os.IsNotExist(err) {
		return Finding{"alerts", "watched", sources.Unreachable, line(err.Error()), "let yourself read " + line(path)}
	}
	if age := a.clock.Wall().Sub(h.Looked); h.Holder != "" && age < term && age > -term {
		pid, _, _ := strings.Cut(h.Holder, "-")
		who := "a console"
		if h.Yields {
			who = "rollcall collect"
		}
		return ok("alerts", "watched", who+" (pid "+line(pid)+") writes down what fires")
	}
	return Finding{"alerts", "watched", sources.Watch, "nobody looks at it now: what fires is not written down, and figures and timelines miss it", "run rollcall collect as a service"}
}
