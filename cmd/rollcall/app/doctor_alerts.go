package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rollcall/sources"
	"rollcall/sources/prom"
)

// checkRules looks for rules that fail: alerts that hang on them never fire.
func (a *App) checkRules(ctx context.Context, _ string) []Finding {
	if a.prom == nil {
		return nil // said already
	}
	rules, facts, err := a.prom.Rules(ctx)
	var e *prom.Error
	switch {
	case errors.As(err, &e) && !e.Unreachable():
		return []Finding{{"prometheus", "rules", sources.NotExposed, "this server evaluates no rules", "set alertmanager.url to see what fires"}}
	case err != nil:
		return nil // that it cannot be reached is said already
	case facts.Total == 0:
		return []Finding{ok("prometheus", "rules", "it has none")}
	}
	var failing []string
	firing, reason := 0, ""
	for _, r := range rules {
		if !r.Healthy {
			if failing = append(failing, r.Name); reason == "" {
				reason = r.LastError
			}
		}
		for _, alert := range r.Alerts {
			if alert.State == sources.AlertFiring {
				firing++
			}
		}
	}
	if n := len(failing); n > 0 {
		what := fmt.Sprintf("%d of %s fail, such as %s: %s", n, sources.Counted(facts.Total, "rule"), strings.Join(failing[:min(n, 3)], ", "), reason)
		return []Finding{{"prometheus", "rules", sources.Watch, line(what), "mend them; an alert whose rule fails never fires"}}
	}
	return []Finding{ok("prometheus", "rules", fmt.Sprintf("%s, none fails; %s firing", sources.Counted(facts.Total, "rule"), sources.Counted(firing, "alert")))}
}

func (a *App) checkAlertmanager(ctx context.Context, _ string) []Finding {
	if a.alerts == nil {
		return nil
	}
	err := a.alerts.Check(ctx)
	out := a.reached("alertmanager", a.cfg.Alertmanager.URL, a.ofDrill(a.alerts.Health()), err)
	if out[0].Verdict == sources.Unreachable {
		return out
	}
	alerts, _, err := a.alerts.Alerts(ctx)
	if err != nil {
		return append(out, Finding{"alertmanager", "alerts", sources.Bad, line(err.Error()), "look at its own log"})
	}
	silent := 0
	for _, alert := range alerts {
		if alert.State == sources.AlertSuppressed {
			silent++
		}
	}
	out = append(out, ok("alertmanager", "alerts", fmt.Sprintf("%s, nobody is told of %d", sources.Counted(len(alerts), "alert"), silent)))
	if _, _, err := a.alerts.Silences(ctx); err != nil {
		out = append(out, Finding{"alertmanager", "silences", sources.Bad, line(err.Error()), "look at its own log, and whether this user may read them"})
	}
	return out
}
