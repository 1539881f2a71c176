package alerts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"rollcall/sources"
	"rollcall/sources/signal"
	"rollcall/store/alerts"
	"rollcall/store/fatigue"
	"rollcall/store/journal"
	"rollcall/tui/kit/panetest"
	"rollcall/tui/pane"
	"rollcall/tui/theme"
	"rollcall/tui/tuitest"
)

// fake answers with what it holds and keeps what was asked of it.
type fake struct {
	mu      sync.Mutex
	list    *alerts.List
	err     error
	report  *fatigue.Report
	planErr error
	did     []string
}

func (f *fake) Alerts(ctx context.Context, _ string, _ sources.View, _ *signal.Snapshot) (*alerts.List, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list, errors.Join(f.err, ctx.Err())
}

func (f *fake) set(l *alerts.List, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list, f.err = l, err
}

func (f *fake) AckAlert(_ context.Context, _, name, note string, acted bool) ([]journal.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, fmt.Sprintf("ack %s %q %v", name, note, acted))
	return []journal.Entry{{Seq: 12}}, f.err
}

func (f *fake) PlanSilence(_ context.Context, service, name string, length time.Duration, comment string) (alerts.Plan, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return alerts.Plan{
		Service: service, Alert: alerts.Alert{ID: name}, Where: "http://127.0.0.1:9093", Length: length, Ends: tuitest.Start.Add(length), By: "ana", Comment: comment,
		Match: []sources.Matcher{{Name: "alertname", Value: "ProviderErrors"}, {Name: "provider", Value: "acme"}},
	}, f.planErr
}

func (f *fake) Silence(_ context.Context, p alerts.Plan) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = append(f.did, "silence "+p.Alert.ID)
	return "5e1f", f.err
}

func (f *fake) Fatigue(context.Context, string, time.Time) (*fatigue.Report, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.report, f.err
}

func (f *fake) done() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.did, "; ")
}

// told waits for the next line that the pane has shown, past what else it asks of the shell.
func told(d *panetest.Driver) pane.NoticeMsg {
	for {
		if n, ok := d.Asked().(pane.NoticeMsg); ok {
			return n
		}
	}
}

func ago(d time.Duration) time.Time { return tuitest.Start.Add(-d) }

// night is a list with an alert in every state.
func night() *alerts.List {
	return &alerts.List{
		Service: tuitest.Failing, At: tuitest.Start, Total: 6, Others: 14,
		Alerts: []alerts.Alert{
			{
				ID: "schema_fail", Name: "schema_fail", Signal: "schema_fail", Label: "schema fail", State: alerts.Firing, Since: ago(14 * time.Minute), Sources: []string{alerts.Rollcall},
				Evidence: "9.1% (182/2000) vs 1.2% usual, p=4e-12", Runbook: "rollback-prompt", Seq: 4,
			},
			{
				ID: "ProviderErrors-1a2b3c4d", Name: "ProviderErrors", State: alerts.Firing, Severity: "page", Since: ago(9 * time.Minute), Sources: []string{alerts.Prometheus, alerts.Alertmanager},
				Evidence: "acme answers 5xx to one call in eleven (value 9.1e-02)", Value: "9.1e-02", Query: `sum(rate(provider_errors_total[5m])) / sum(rate(provider_calls_total[5m])) > 0.05`, ForS: 300,
				Labels: map[string]string{"alertname": "ProviderErrors", "provider": "acme", "severity": "page"}, Annotations: map[string]string{"summary": "acme answers 5xx to one call in eleven"},
				RunbookURL: "https://wiki.example.com/provider-errors",
			},
			{
				ID: "QueueDepth-99887766", Name: "QueueDepth", State: alerts.Acknowledged, Severity: "warning", Since: ago(40 * time.Minute), Sources: []string{alerts.Alertmanager},
				Evidence: "412 wait", Ack: &alerts.Ack{At: ago(30 * time.Minute), By: "bo", Note: "scaling the workers up", Acted: true, Seq: 9},
				Old: "alertmanager http://127.0.0.1:9093: connection refused; is it running?", AgeS: sources.N(95),
			},
			{ID: "eval_score", Name: "eval_score", Signal: "eval_score", Label: "eval score", State: alerts.Pending, Since: ago(20 * time.Second), Sources: []string{alerts.Rollcall}, Evidence: "0.61 under 0.7"},
			{
				ID: "DiskFull-00aa00aa", Name: "DiskFull", State: alerts.Silenced, Since: ago(26 * time.Hour), Sources: []string{alerts.Alertmanager}, Evidence: "91% of /var is used",
				Silences: []alerts.Silence{{ID: "s1", By: "ana", Comment: "a larger one is ordered", Ends: tuitest.Start.Add(6 * time.Hour)}},
			},
			{ID: "refusal", Name: "refusal", Signal: "refusal", Label: "refusals", State: alerts.Resolved, Since: ago(55 * time.Minute), Until: ago(35 * time.Minute), Flaps: 3, Sources: []string{alerts.Rollcall}, Evidence: "4.1% vs 0.9% usual, p=2e-07"},
		},
		Sources: []alerts.Answer{
			{Source: alerts.Rollcall, Alerts: 3, Total: 3},
			{Source: alerts.Prometheus, Alerts: 1, Total: 15},
			{Source: alerts.Alertmanager, Alerts: 3, Total: 3, Failed: true, Note: "alertmanager http://127.0.0.1:9093: connection refused; is it running?", AgeS: sources.N(95)},
		},
	}
}

func figures() *fatigue.Report {
	return &fatigue.Report{
		Service: tuitest.Failing, Since: ago(fatigue.Span), Until: tuitest.Start, Days: 28, Firings: 23, Actioned: 5, PerShift: sources.N(.41), Worst: 4, Over: 1,
		Rules: []fatigue.Rule{
			{
				Signal: "refusal", Label: "refusals", Unit: sources.Ratio, Firings: 11, PerWeek: sources.N(2.75), FiringS: 7800, Share: sources.N(0), Flaps: 7, Wavers: 19, Acked: 2, AckS: sources.N(840),
				Advice: fatigue.Retune, Why: "it fired 11 times in four weeks and nothing came of it; at or over 6.0% would have kept all 2 firings that led to an action, and spared 10 of 11",
				Threshold: &fatigue.Threshold{On: "value", At: .06, Keeps: 2, Drops: 10, Of: 11},
			},
			{Signal: "cache_hit", Label: "cache hits", Unit: sources.Ratio, Firings: 6, PerWeek: sources.N(1.5), FiringS: 3600, Share: sources.N(0), Flaps: 4, Advice: fatigue.Retire, Why: "it fired 6 times in four weeks and nothing came of it; nor did it before"},
			{
				Signal: "schema_fail", Label: "schema fail", Unit: sources.Ratio, Firings: 6, PerWeek: sources.N(1.5), FiringS: 15000, Fires: true, Actioned: 5, Share: sources.N(5. / 6), Flaps: 0, Acked: 6, AckS: sources.N(190),
				Threshold: &fatigue.Threshold{On: "value", At: .05, Keeps: 5, Drops: 1, Of: 1},
			},
		},
		How: []string{"firings: alert.firing entries of the last 28 days, by the entries' service time", "flaps: it was well again within 5 minutes"},
	}
}

func opened(t *testing.T, w, h int, l *alerts.List) (*panetest.Driver, *Pane, *fake) {
	t.Helper()
	f := &fake{list: l, report: figures()}
	p := New(f).(*Pane)
	d := panetest.New(t, p, w, h)
	d.Do(p.Open(d.C, nil))
	d.Until("the alerts are there", func() bool { return p.answered })
	return d, p, f
}

func TestScreens(t *testing.T) {
	for _, s := range panetest.Sizes {
		t.Run(s.Name, func(t *testing.T) {
			d, p, _ := opened(t, s.W, s.H, night())
			d.Shows("2 firing")
			d.Golden("alerts-" + s.Name)
			d.Press("down")
			d.Golden("alerts-second-" + s.Name)
			d.Press("enter")
			d.Shows("Labels")
			d.Golden("alerts-full-" + s.Name)
			d.Press("esc")
			p.Back(d.C)
			d.Press("a")
			d.Type("calling acme")
			d.Golden("alerts-ack-" + s.Name)
			p.Back(d.C)
			d.Press("s")
			d.Type("2h acme works on it")
			d.Press("enter")
			d.Until("the question is there", p.sure.Active)
			d.Golden("alerts-silence-" + s.Name)
			p.Back(d.C)
			d.Press("f")
			d.Until("the figures are there", func() bool { return p.report != nil })
			d.Golden("alerts-fatigue-" + s.Name)
		})
	}
}

func TestNothingFires(t *testing.T) {
	for _, s := range panetest.Sizes {
		d, _, _ := opened(t, s.W, s.H, &alerts.List{At: tuitest.Start, Sources: []alerts.Answer{{Source: alerts.Rollcall}, {Source: alerts.Prometheus}}})
		d.Shows("Nothing fires, and nothing was resolved in the last 1h.")
		d.Golden("alerts-none-" + s.Name)
	}
	d, _, _ := opened(t, 120, 31, &alerts.List{Sources: []alerts.Answer{{Source: alerts.Rollcall}, {Source: alerts.Prometheus, Failed: true, Note: "connection refused"}}})
	d.Shows("Nothing is known to fire, but not every source answers.")
	d.Shows("prometheus does not answer: connection refused")
	d, _, _ = opened(t, 120, 31, &alerts.List{Sources: []alerts.Answer{{Source: alerts.Rollcall}}})
	d.Shows("neither prometheus nor alertmanager is configured")
}

func TestEnterOpensTheSignalOfAVerdictAndAllOfAnotherAlert(t *testing.T) {
	d, p, _ := opened(t, 120, 31, night())
	d.Press("enter")
	if got := d.Asked(); got != (pane.OpenMsg{ID: pane.Signal, Arg: "schema_fail"}) {
		t.Errorf("a verdict opens %+v", got)
	}
	d.Press("r")
	if got := d.Asked(); got != (pane.OpenMsg{ID: pane.Run, Arg: pane.PlanOf("rollback-prompt")}) {
		t.Errorf("r opens %+v", got)
	}
	d.Press("down", "enter")
	d.Shows("provider_errors_total")
	d.Press("r")
	if got := told(d); !strings.Contains(got.Text, "wiki.example.com") {
		t.Errorf("%+v", got)
	}
	if !p.Back(d.C) || p.Back(d.C) {
		t.Error("esc does not close the alert, and only that")
	}
	if text, what := p.CopyText(d.C); text != "ProviderErrors-1a2b3c4d" || what != "alert ID" {
		t.Errorf("y copies %q", text)
	}
	d.Send(tea.MouseClickMsg{X: 4, Y: headLines, Button: tea.MouseLeft})
	if p.current().ID != "schema_fail" {
		t.Error("a click does not select")
	}
}

func TestAnAcknowledgementTakesANoteAndSaysWhetherSomethingWasDone(t *testing.T) {
	d, p, f := opened(t, 120, 31, night())
	d.Press("a", "enter")
	if got := told(d); !strings.Contains(got.Text, "A few words are needed") || !p.Capturing() {
		t.Errorf("%+v", got)
	}
	d.Type("rolling back")
	d.Press("tab", "enter")
	d.Until("it is written", func() bool { return f.done() != "" })
	if f.done() != `ack schema_fail "rolling back" true` {
		t.Error(f.done())
	}
	if got := told(d); got.Text != "schema_fail is acknowledged, as entry 12." {
		t.Errorf("%+v", got)
	}
	d.Press("end", "a") // resolved
	if p.Capturing() {
		t.Error("what is over is acknowledged")
	}
}

func TestASilenceIsWrittenOutAndAskedBeforeItIsMade(t *testing.T) {
	d, p, f := opened(t, 120, 31, night())
	d.Press("down", "s")
	for _, wrong := range []string{"2h", "soon acme", ""} {
		p.input.SetValue(wrong)
		d.Press("enter")
		if got := told(d); !strings.Contains(got.Text, "how long and why") {
			t.Errorf("%q: %+v", wrong, got)
		}
	}
	ask := func() {
		p.input.SetValue("2h acme works on it")
		d.Press("enter")
		d.Until("the question is there", p.sure.Active)
	}
	ask()
	for _, part := range []string{"for 2h, until 2026-03-10 04:47Z", `alertname="ProviderErrors", provider="acme"`, "acme works on it"} {
		d.Shows(part)
	}
	d.Press("y") // pressed for what stood there before
	if got := told(d); !strings.Contains(got.Text, "only just appeared") {
		t.Errorf("%+v", got)
	}
	if f.done() != "" {
		t.Fatal("a key that came before the question could be read silences")
	}
	d.Press("n")
	if got := told(d); got.Text != "Nothing was done." {
		t.Errorf("%+v", got)
	}
	d.Press("s")
	ask()
	d.C.Wall = d.C.Wall.Add(time.Second)
	d.Press("y")
	d.Until("it is done", func() bool { return f.done() == "silence ProviderErrors-1a2b3c4d" })
	d.Until("it is said", func() bool {
		for _, m := range d.Sent {
			if n, ok := m.(pane.NoticeMsg); ok && strings.Contains(n.Text, "is silenced until 2026-03-10 04:47Z (silence 5e1f)") {
				return true
			}
		}
		return false
	})
	f.planErr = errors.New("no Alertmanager is configured; add alertmanager: {url: http://HOST:9093}")
	d.Sent = nil
	d.Press("s")
	p.input.SetValue("2h x")
	d.Press("enter")
	if got := told(d); !got.Bad || got.Text != f.planErr.Error() || p.sure.Active() {
		t.Errorf("%+v", got)
	}
}

func TestAQuestionThatIsTooLongForTheScreenStillSaysWhatTheKeysDo(t *testing.T) {
	d, p, _ := opened(t, 80, 19, night())
	p.sure.Ask(strings.Repeat("label=\"value\", ", 400), func() tea.Cmd { return nil })
	d.Shows("and more than this screen has room for")
	d.Shows("y  yes, do it")
	p.sure.Close()
	d.Press("down", "enter")
	p.sure.Ask(strings.Repeat("label=\"value\", ", 400), func() tea.Cmd { return nil })
	d.Shows("y  yes, do it")
}

func TestAConsoleThatOnlyReadsOrShowsThePastDoesNotAct(t *testing.T) {
	d, p, f := opened(t, 120, 31, night())
	d.C.View.At = tuitest.Start.Add(-time.Hour)
	d.Press("a")
	if got := told(d); !strings.Contains(got.Text, "past") {
		t.Errorf("%+v", got)
	}
	d.C.View.At = time.Time{}
	d.Desk.Trouble("journal: the disk is full; make room")
	d.Press("s")
	if got := told(d); !strings.Contains(got.Text, "disk is full") {
		t.Errorf("%+v", got)
	}
	d.C.Desk = nil
	for _, k := range []string{"a", "s", "r"} {
		d.Press(k)
		if got := told(d); !strings.Contains(got.Text, "only reads") || p.Capturing() {
			t.Errorf("%s: %+v", k, got)
		}
	}
	if f.done() != "" {
		t.Error(f.done())
	}
}

func TestTheSelectionStaysWithItsAlertAndTheFilterIsSaid(t *testing.T) {
	d, p, f := opened(t, 120, 31, night())
	d.Press("down")
	l := night()
	l.Alerts = append([]alerts.Alert{{ID: "new", Name: "new", State: alerts.Firing, Sources: []string{alerts.Prometheus}}}, l.Alerts...)
	f.set(l, nil)
	d.Do(p.Refresh(d.C))
	d.Until("the new one is there", func() bool { return len(p.rows) == 7 })
	if p.current().Name != "ProviderErrors" {
		t.Error("the cursor went to another alert")
	}
	d.Press("/")
	d.Type("PROVIDER=acme")
	d.Press("enter")
	d.Shows("filter: PROVIDER=acme (1)")
	d.Press("x", "/")
	d.Type("nothing like it")
	d.Press("enter")
	d.Shows("No alert has these words")
	if !p.Back(d.C) || p.filter != "" {
		t.Error("esc does not clear the filter")
	}
	kept := p.Keep()
	p.Left()
	d.Do(p.Open(d.C, "fatigue"))
	d.Shows("acted on")
	d.Press("enter")
	if got := d.Asked(); got != (pane.OpenMsg{ID: pane.Signal, Arg: "refusal"}) {
		t.Errorf("a rule opens %+v", got)
	}
	d.Do(p.Restore(d.C, kept))
	d.Until("it is read", func() bool { return !p.loading })
	if p.tired || p.current() == nil {
		t.Error("coming back shows something else")
	}
}

func TestARuleOfOthersOpensItsAlerts(t *testing.T) {
	d, p, f := opened(t, 120, 31, night())
	f.report = figures()
	f.report.Rules = []fatigue.Rule{{Alert: "ProviderErrors", Source: "prometheus", Label: "ProviderErrors", Firings: 4, Advice: fatigue.Retire, Why: "it fired 4 times in four weeks and nothing came of it; nor did it before"}}
	d.Press("f")
	d.Until("the figures are read", func() bool { return p.report != nil && !p.loading })
	d.Shows("retire ProviderErrors: it fired 4 times")
	d.Press("enter")
	if p.tired || p.filter != "ProviderErrors" || len(p.rows) == 0 {
		t.Errorf("filter %q, %d alerts", p.filter, len(p.rows))
	}
}

func TestAnAlertInFullFollowsWhatIsToldOfIt(t *testing.T) {
	d, p, f := opened(t, 120, 31, night())
	d.Press("down", "enter")
	l := night()
	l.Alerts[1].Evidence = "one call in two"
	f.set(l, nil)
	d.Do(p.Refresh(d.C))
	d.Shows("one call in two")
	f.set(&alerts.List{}, nil)
	d.Do(p.Refresh(d.C))
	d.Shows("old: no source tells of it any more")
}

func TestALateAnswerIsDroppedAndAnErrorIsSaid(t *testing.T) {
	d, p, f := opened(t, 120, 31, night())
	late := answer{gen: p.gen, list: &alerts.List{}}
	d.C.View.Range = 6 * time.Hour
	f.set(nil, errors.New("no service \"x\" in rollcall.yaml"))
	d.Do(p.Refresh(d.C))
	d.Send(late)
	if len(p.rows) != 6 {
		t.Error("the answer for the old range is taken")
	}
	d.Shows("older answer: no service")
	d.C.Service = tuitest.Quiet
	d.Do(p.Refresh(d.C))
	d.Shows("The alerts could not be read: no service")
}

func TestThousandsOfHostileAlertsAreDrawnHarmlessAndFast(t *testing.T) {
	l := &alerts.List{Total: 81_240}
	for i := range alerts.Max {
		l.Alerts = append(l.Alerts, alerts.Alert{
			ID: fmt.Sprint(i), Name: "\x1b[2J" + strings.Repeat("宽", 99), State: alerts.Firing, Severity: "\x07", Evidence: strings.Repeat("y", 1<<12) + "\r\n", Sources: []string{"prometheus"},
			Labels: map[string]string{"\x1b": "\x07"}, Query: "\x1b]0;x\x07", Since: ago(time.Duration(i) * time.Second),
		})
	}
	for _, w := range []int{200, 80, 20, 1} {
		d, p, _ := opened(t, w, 19, l)
		for _, k := range []string{"end", "enter", "end"} {
			d.Press(k)
			d.Screen()
			if s := d.Raw(); strings.Contains(s, "\x1b[2J") || strings.ContainsAny(s, "\x07\r") || strings.Contains(s, "\x1b]") {
				t.Errorf("a control byte reaches the terminal: %q", s)
			}
		}
		if p.detail == nil || p.detail.ID != "4999" {
			t.Error("the last one is not reached")
		}
		p.Back(d.C)
		if w == 200 {
			d.Shows("5,000 of 81,240 are listed")
		}
	}
	d, _, _ := opened(t, 80, 19, night())
	d.ASCII()
	d.C.Theme = theme.New(theme.Options{NoColor: true})
	d.Screen()
}

func BenchmarkView(b *testing.B) {
	l := &alerts.List{Total: alerts.Max}
	for i := range alerts.Max {
		l.Alerts = append(l.Alerts, alerts.Alert{ID: fmt.Sprint(i), Name: "ProviderErrors", State: alerts.Firing, Evidence: "acme answers 5xx", Sources: []string{"prometheus"}, Since: ago(time.Minute)})
	}
	p := New(&fake{list: l}).(*Pane)
	d := panetest.New(b, p, 200, 55)
	d.Do(p.Open(d.C, nil))
	d.Until("the alerts are there", func() bool { return p.answered })
	for b.Loop() {
		_ = p.View(d.C)
	}
}
