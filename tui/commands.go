package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/sources/signal/spend"
	"rollcall/tui/pane"
	"rollcall/tui/widget"
)

// choices are all commands of the palette: those that take arguments, the
// panes, and the signals of the service.
func (m *Model) choices() []choice {
	var out []choice
	add := func(need pane.ID, c choice) {
		if need == "" || m.panes[need] != nil {
			out = append(out, c)
		}
	}
	for _, t := range m.tabs {
		if t.id == pane.Requests || t.id == pane.Logs || t.id == pane.Journal || t.id == pane.Alerts {
			continue // these take arguments, below
		}
		out = append(out, choice{text: string(t.id), help: "pane " + t.key, run: plainly(func() tea.Cmd { return m.open(t.id, nil) })})
	}
	add(pane.Request, choice{
		text: "request", arg: "ID", needs: true, help: "open a request by request, trace or response ID",
		run: func(arg string) (tea.Cmd, error) { return m.openRequest(arg), nil },
	})
	add(pane.Requests, choice{
		text: "requests", arg: "[bad] [prompt=v14] [route=/chat]", help: "pane 6, filtered",
		run: m.openRequests, args: func() []string { return []string{"bad"} },
	})
	add(pane.Suspects, choice{
		text: "suspects", arg: "[SIGNAL]", help: "what the bad requests have in common", args: m.signalNames,
		run: func(arg string) (tea.Cmd, error) { return m.open(pane.Suspects, strings.TrimSpace(arg)), nil },
	})
	add(pane.Spending, choice{
		text: "spending", arg: "[tenant]", help: "budgets, loops, who spends most, what caches save", args: func() []string { return spend.Attributes[:] },
		run: func(arg string) (tea.Cmd, error) { return m.open(pane.Spending, strings.TrimSpace(arg)), nil },
	})
	add(pane.Alerts, choice{
		text: "alerts", arg: "[words, fatigue]", help: "what fires, and what alerts ask of people", args: func() []string { return []string{"fatigue"} },
		run: func(arg string) (tea.Cmd, error) {
			if arg == "" {
				return m.open(pane.Alerts, nil), nil
			}
			return m.open(pane.Alerts, arg), nil
		},
	})
	add(pane.Logs, choice{text: "logs", arg: "[text or LogQL]", help: "pane 7, filtered", run: m.openLogs})
	out = append(out, m.deskChoices()...)
	out = append(
		out,
		choice{text: "at", arg: "02:31", needs: true, help: "show a past moment", run: m.runAt},
		choice{text: "range", arg: "6h", needs: true, help: "how much time is shown", run: m.runRange, args: rangeWords},
		choice{text: "live", help: "follow now", run: plainly(m.goLive)},
		choice{text: "service", arg: "NAME", needs: true, help: "show another service", run: m.runService, args: m.opts.Backend.Services},
		choice{text: "signal", arg: "NAME", needs: true, help: "one signal, full screen", run: m.runSignal, args: m.signalNames},
		choice{text: "help", help: "all keys", run: plainly(func() tea.Cmd { m.help = &help{}; return nil })},
		choice{text: "debug", help: "what the console and its sources are doing", run: plainly(func() tea.Cmd { return m.open(pane.Debug, nil) })},
		choice{text: "quit", help: "leave", run: plainly(m.leave)},
	)
	if m.read.snap != nil {
		for i := range m.read.snap.Readings {
			r := &m.read.snap.Readings[i]
			id := r.Signal
			out = append(out, choice{
				text: oneLine(r.Label), help: "signal " + id + " in " + string(r.Pane),
				run: plainly(func() tea.Cmd { return m.open(pane.Signal, id) }),
			})
		}
	}
	return out
}

func plainly(f func() tea.Cmd) func(string) (tea.Cmd, error) {
	return func(string) (tea.Cmd, error) { return f(), nil }
}

func (m *Model) openRequest(id string) tea.Cmd {
	return m.open(pane.Request, strings.Trim(id, "\"' \t"))
}

// openRequests reads "bad prompt=v14 route=/chat" into a filter.
func (m *Model) openRequests(arg string) (tea.Cmd, error) {
	if arg == "" {
		return m.open(pane.Requests, nil), nil
	}
	f := sources.RequestFilter{Service: m.service}
	for _, word := range strings.Fields(arg) {
		k, v, has := strings.Cut(word, "=")
		if !has {
			if word != "bad" {
				return nil, fmt.Errorf("%q is no filter; write bad, or key=value with prompt, model, tools, index, policy, route, tenant, region, error, schema, outcome, user, id", word)
			}
			f.Bad = true
			continue
		}
		if v == "" {
			return nil, fmt.Errorf("%s= needs a value", k)
		}
		switch k {
		case "prompt", "model", "tools", "index", "policy":
			if f.Versions == nil {
				f.Versions = map[sources.Component]string{}
			}
			f.Versions[sources.Component(k)] = v
		case "route":
			f.Route = v
		case "tenant":
			f.Tenant = v
		case "region":
			f.Region = v
		case "error", "error_type", "error-type":
			f.ErrorType = v
		case "schema":
			f.Schema = v
		case "outcome":
			f.Outcome = v
		case "user":
			f.User = v
		case "served":
			f.Served = v
		case "id":
			f.ID = v
		default:
			return nil, fmt.Errorf("%q is no filter; use prompt, model, tools, index, policy, route, tenant, region, error, schema, outcome, user, id", k)
		}
	}
	return m.open(pane.Requests, f), nil
}

func (m *Model) openLogs(arg string) (tea.Cmd, error) {
	switch {
	case arg == "":
		return m.open(pane.Logs, nil), nil
	case strings.HasPrefix(arg, "{"):
		return m.open(pane.Logs, sources.LogQuery{Query: arg}), nil
	}
	return m.open(pane.Logs, sources.LogQuery{Contains: arg}), nil
}

func (m *Model) runAt(arg string) (tea.Cmd, error) {
	at, err := parseAt(arg, m.opts.Backend.Clock().Now(), m.local)
	if err != nil {
		return nil, err
	}
	return m.setTime(pane.TimeMsg{At: at}), nil
}

func rangeWords() []string {
	out := make([]string, len(ranges))
	for i, r := range ranges {
		out[i] = widget.Span(r)
	}
	return out
}

func (m *Model) runRange(arg string) (tea.Cmd, error) {
	var d sources.Duration
	if err := d.UnmarshalText([]byte(arg)); err != nil {
		return nil, err
	}
	if r := time.Duration(d); r < minRange || r > maxRange {
		return nil, fmt.Errorf("a range is between %s and %s", widget.Span(minRange), widget.Span(maxRange))
	}
	return m.setView(m.view.At, time.Duration(d), m.frozen), nil
}

func (m *Model) runService(arg string) (tea.Cmd, error) {
	services := m.opts.Backend.Services()
	best, score := "", 0
	for _, s := range services {
		if n := fuzzy(arg, s); n > score {
			best, score = s, n
		}
	}
	if best == "" {
		return nil, fmt.Errorf("no service is called %q; there are %s", arg, strings.Join(services, ", "))
	}
	return m.setService(best), nil
}

func (m *Model) signalNames() []string {
	if m.read.snap == nil {
		return nil
	}
	out := make([]string, len(m.read.snap.Readings))
	for i := range out {
		out[i] = m.read.snap.Readings[i].Signal
	}
	return out
}

func (m *Model) runSignal(arg string) (tea.Cmd, error) {
	best, score := "", 0
	if m.read.snap != nil {
		for i := range m.read.snap.Readings {
			r := &m.read.snap.Readings[i]
			if n := max(fuzzy(arg, r.Signal), fuzzy(arg, r.Label)); n > score {
				best, score = r.Signal, n
			}
		}
	}
	if best == "" {
		return nil, fmt.Errorf("no signal is called %q", arg)
	}
	return m.open(pane.Signal, best), nil
}
