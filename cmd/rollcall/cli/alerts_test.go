package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/runbooks/pin"
	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/alerts"
	"rollcall/store/fatigue"
	"rollcall/store/journal"
	"rollcall/tui/tuitest"
)

// alerted is a session with alerts.
type alerted struct {
	*fake
	list    *alerts.List
	report  *fatigue.Report
	planErr error
	doErr   error
	did     []string
	at      time.Time
}

func (a *alerted) Alerts(context.Context, string, sources.View, *signal.Snapshot) (*alerts.List, error) {
	return a.list, nil
}

func (a *alerted) AckAlert(_ context.Context, _, name, note string, acted bool) ([]journal.Entry, error) {
	if note == "" {
		return nil, fmt.Errorf("%w: an acknowledgement needs a note", journal.ErrRefused)
	}
	a.did = append(a.did, fmt.Sprintf("ack %s %q %v", name, note, acted))
	return []journal.Entry{{Seq: 12, Kind: journal.AlertAcknowledged}}, nil
}

func (a *alerted) PlanSilence(_ context.Context, service, name string, length time.Duration, comment string) (alerts.Plan, error) {
	return alerts.Plan{
		Service: service, Alert: alerts.Alert{ID: name}, Where: "http://am", Length: length, Ends: tuitest.Start.Add(length), By: "ana", Comment: comment,
		Match: []sources.Matcher{{Name: "alertname", Value: "Leak"}},
	}, a.planErr
}

func (a *alerted) Silence(_ context.Context, p alerts.Plan) (string, error) {
	a.did = append(a.did, "silence "+p.Alert.ID)
	return "5e1f", a.doErr
}

func (a *alerted) Fatigue(_ context.Context, _ string, at time.Time) (*fatigue.Report, error) {
	a.at = at
	return a.report, nil
}

func alertBench(t *testing.T) (*bench, *alerted) {
	t.Helper()
	b := newBench(t, oneService)
	a := &alerted{fake: b.session, list: &alerts.List{
		Service: "support-assistant", At: tuitest.Start, Total: 2, Others: 3,
		Alerts: []alerts.Alert{
			{
				ID: "schema_fail", Name: "schema_fail", Signal: "schema_fail", State: alerts.Acknowledged, Since: tuitest.ChangeAt, Sources: []string{alerts.Rollcall}, Evidence: "9.1% (182/2000) vs 1.2% usual, p=4e-12",
				Runbook: "rollback-prompt", Ack: &alerts.Ack{At: tuitest.Start, By: "bo", Note: "rolling back\x1b[2J", Seq: 9},
			},
			{ID: "Leak-1a2b3c4d", Name: "Leak", State: alerts.Silenced, Since: tuitest.ChangeAt, Sources: []string{alerts.Prometheus, alerts.Alertmanager}, Evidence: "it leaks", Silences: []alerts.Silence{{ID: "s1", By: "ana", Comment: "known"}}, Old: "connection refused", AgeS: sources.N(95)},
		},
		Sources: []alerts.Answer{{Source: alerts.Rollcall, Alerts: 1, Total: 1}, {Source: alerts.Alertmanager, Alerts: 1, Failed: true, Note: "connection refused", AgeS: sources.N(95)}},
	}}
	b.Open = func(context.Context, *config.File, Mode) (Session, error) { return a, nil }
	return b, a
}

func TestAlertsAreListedWithWhatIsKnownOfThem(t *testing.T) {
	b, a := alertBench(t)
	text := b.does(t, ExitBad, "alerts")
	has(
		t, text, "acknowledged schema_fail since 02:31:00Z rollcall 9.1% (182/2000) vs 1.2% usual, p=4e-12 · bo: rolling back?[2J · runbook rollback-prompt",
		"silenced Leak-1a2b3c4d", "prometheus+alertmanager it leaks · silenced by ana until -: known · 1m35s old: connection refused",
		"alertmanager: no answer now, 1 alerts of 1m35s ago · connection refused", "3 more name another service",
	)
	b.does(t, ExitBad, "alerts", "-o", "json")
	var l alerts.List
	if err := json.Unmarshal(b.out.Bytes(), &l); err != nil || len(l.Alerts) != 2 || l.Alerts[0].Ack.By != "bo" {
		t.Errorf("%v: %s", err, b.out.String())
	}
	a.list.Alerts = a.list.Alerts[1:]
	b.does(t, ExitUnreachable, "alerts")
	a.list.Alerts, a.list.Sources = nil, a.list.Sources[:1]
	has(t, b.does(t, ExitOK, "alerts"), "Nothing fires for support-assistant.")
}

func TestAnAlertIsTakenUpOnTheCommandLine(t *testing.T) {
	b, a := alertBench(t)
	has(t, b.does(t, ExitOK, "alerts", "ack", "schema_fail", "--note", "rolling back", "--acted"), "acknowledged schema_fail as entry 12")
	has(t, b.does(t, ExitUsage, "alerts", "ack", "schema_fail"), "needs a note")
	b.does(t, ExitUsage, "alerts", "ack")
	if got := strings.Join(a.did, "; "); got != `ack schema_fail "rolling back" true` {
		t.Error(got)
	}
}

func TestASilenceIsAskedForUnlessYesIsSaid(t *testing.T) {
	b, a := alertBench(t)
	args := []string{"alerts", "silence", "Leak", "--for", "2h", "--comment", "provider works on it"}
	full := `Silence Leak for 2h, until 2026-03-10 04:47Z: the Alertmanager at http://am tells nobody of alerts with alertname="Leak". As ana: provider works on it`
	has(t, b.does(t, ExitUsage, args...), full, "say --yes")
	has(t, b.does(t, ExitBad, append(args[:len(args):len(args)], "--read-only", "--yes")...), full, "read-only")
	b.InTTY = true
	b.In = strings.NewReader("no\n")
	has(t, b.does(t, ExitBad, args...), full, "[y/N]", "nothing was silenced")
	if len(a.did) != 0 {
		t.Fatalf("%q", a.did)
	}
	b.In = strings.NewReader("yes\n")
	has(t, b.does(t, ExitOK, args...), "silenced until 2026-03-10 04:47Z (silence 5e1f)")
	b.does(t, ExitOK, append(args[:len(args):len(args)], "--yes", "-o", "json")...)
	has(t, b.out.String(), `"silence": "5e1f"`, `"alert": "Leak"`)
	if len(a.did) != 2 {
		t.Errorf("%q", a.did)
	}
	has(t, b.does(t, ExitUsage, "alerts", "silence", "Leak", "--comment", "x"), "--for 2h")
	has(t, b.does(t, ExitUsage, "alerts", "silence", "Leak", "--for", "soon", "--comment", "x"), "not a duration")
	a.doErr = fmt.Errorf("silencing is %w: nothing may be changed in read-only mode", pin.ErrForbidden)
	has(t, b.does(t, ExitBad, append(args[:len(args):len(args)], "--yes")...), "read-only")
	a.planErr = fmt.Errorf("%w: no Alertmanager is configured", journal.ErrRefused)
	has(t, b.does(t, ExitUsage, append(args[:len(args):len(args)], "--yes")...), "no Alertmanager")
}

func TestFatigueIsPrintedWithHowItIsMade(t *testing.T) {
	b, a := alertBench(t)
	a.report = &fatigue.Report{
		Service: "support-assistant", Until: tuitest.Start, Days: 28, Firings: 6, Worst: 3, Over: 1, PerShift: sources.N(.1),
		Rules: []fatigue.Rule{{Signal: "refusal", Firings: 6, PerWeek: sources.N(1.5), FiringS: 7200, Share: sources.N(0), AckS: sources.N(90), Advice: fatigue.Retire, Why: "it fired 6 times in four weeks and nothing came of it"}},
		How:   []string{"flaps: it was well again within 5 minutes"},
	}
	text := b.does(t, ExitOK, "alerts", "fatigue", "--at", "2026-03-09T02:00Z")
	has(t, text, "6 firings, 0 led to an action; 0.10 pages in a shift", "refusal 6 1.5 2h 0% 0 0 1m30s retire", "refusal: it fired 6 times", "flaps: it was well again")
	if a.at.Day() != 9 {
		t.Errorf("looked at %s", a.at)
	}
	b.does(t, ExitOK, "alerts", "fatigue", "-o", "json")
	has(t, b.out.String(), `"advice": "retire"`, `"median_ack_s": 90`)
	a.report = &fatigue.Report{Service: "support-assistant"}
	has(t, b.does(t, ExitOK, "alerts", "fatigue"), "No alert of support-assistant fired.")
}

func TestASessionWithoutAlertsSaysSo(t *testing.T) {
	b := newBench(t, oneService)
	has(t, b.does(t, ExitBad, "alerts"), "knows no alerts")
	if !b.session.closed {
		t.Error("it was left open")
	}
}
