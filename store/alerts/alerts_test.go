package alerts

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

var now = time.Date(2026, 3, 10, 2, 47, 0, 0, time.UTC)

func ago(m int) time.Time { return now.Add(-time.Duration(m) * time.Minute) }

func entry(seq int64, at time.Time, k journal.Kind, data any, text string) journal.Entry {
	raw, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return journal.Entry{Seq: seq, At: at, Kind: k, Actor: "ana", Data: raw, Text: text}
}

func fires(seq int64, at time.Time, signal string) journal.Entry {
	return entry(seq, at, journal.AlertFiring, journal.AlertData{Signal: signal, Label: "schema fail", Unit: sources.Ratio, Value: sources.N(.091), Usual: sources.N(.012), P: sources.N(4e-12)}, "")
}

func told(source string, list ...sources.Alert) *Told {
	for i := range list {
		list[i].Source = source
	}
	return &Told{Alerts: list, Facts: sources.Facts{Source: source, Shown: len(list), Total: len(list)}}
}

func leak(state sources.AlertState, more ...string) sources.Alert {
	labels := map[string]string{"alertname": "Leak", "severity": "page", "pod": "a"}
	for i := 0; i+1 < len(more); i += 2 {
		labels[more[i]] = more[i+1]
	}
	return sources.Alert{Name: "Leak", State: state, Labels: labels, Since: ago(20), Value: "9.1e-02", Annotations: map[string]string{"summary": "it leaks"}}
}

func says(l *List) string {
	var out []string
	for _, a := range l.Alerts {
		out = append(out, fmt.Sprintf("%s %s [%s]", a.State, a.Name, strings.Join(a.Sources, "+")))
	}
	return strings.Join(out, "; ")
}

func TestAnAlertThatTwoSourcesKnowAppearsOnce(t *testing.T) {
	am := leak(sources.AlertFiring, "cluster", "eu-1", "replica", "0") // external labels, added on the way
	am.Value, am.Since, am.ID = "", ago(15), "f1"
	other := leak(sources.AlertFiring, "pod", "b", "cluster", "eu-1")
	l := Merge(Input{
		Service: "assistant", Now: now, Prometheus: told(Prometheus, leak(sources.AlertFiring)), Alertmanager: told(Alertmanager, am, other),
		Rules: []sources.Rule{{Name: "Leak", Alerting: true, Query: "x > 1", For: time.Minute}},
	})
	if got := says(l); got != "firing Leak [alertmanager]; firing Leak [prometheus+alertmanager]" {
		t.Fatalf("%s", got)
	}
	a := l.Alerts[1]
	if !a.Since.Equal(ago(20)) || a.Query != "x > 1" || a.ForS != 60 || a.Evidence != "it leaks (value 9.1e-02)" || a.Also() == "" || a.Also() == a.ID {
		t.Errorf("%+v", a)
	}
	if len(l.Find("Leak")) != 2 || len(l.Find(a.ID)) != 1 || len(l.Find(a.Also())) != 1 || len(l.Find("leak")) != 0 {
		t.Error("an alert is not found by what it is called")
	}
}

func TestAVerdictAndItsPostedAlertAreOne(t *testing.T) {
	posted := sources.Alert{Name: "rollcall_schema_fail", State: sources.AlertSuppressed, SilencedBy: []string{"s1"}, Labels: map[string]string{
		"alertname": "rollcall_schema_fail", LabelService: "assistant", LabelSignal: "schema_fail",
	}, Since: ago(10)}
	others := posted
	others.Labels = map[string]string{LabelService: "billing", LabelSignal: "schema_fail"}
	l := Merge(Input{
		Service: "assistant", Now: now, Entries: []journal.Entry{fires(3, ago(12), "schema_fail")},
		Readings:     []sources.Reading{{Signal: "schema_fail", Label: "schema fail", Verdict: sources.Bad, Why: "9.1% (182/2000) vs 1.2% usual, p=4e-12"}},
		Alertmanager: told(Alertmanager, posted, others), Silences: []sources.Silence{{ID: "s1", By: "bo", Comment: "rolling back", Ends: now.Add(time.Hour)}},
		Runbook: func(a *Alert) string {
			if a.Signal == "schema_fail" {
				return "rollback-prompt"
			}
			return ""
		},
	})
	if got := says(l); got != "silenced schema_fail [rollcall+alertmanager]" || l.Others != 1 {
		t.Fatalf("%s, %d others", got, l.Others)
	}
	a := l.Alerts[0]
	if a.Seq != 3 || !a.Since.Equal(ago(12)) || a.Silences[0].Comment != "rolling back" || a.Runbook != "rollback-prompt" || !strings.HasPrefix(a.Evidence, "9.1% (182/2000)") {
		t.Errorf("%+v", a)
	}
}

func TestAVerdictIsPendingThenFiringThenResolved(t *testing.T) {
	bad := []sources.Reading{{Signal: "schema_fail", Verdict: sources.Bad, Why: "9.1%", Since: ago(1)}}
	well := []sources.Reading{{Signal: "schema_fail", Verdict: sources.OK, Why: "usual 1.2%"}}
	gone := []sources.Reading{{Signal: "schema_fail", Verdict: sources.Unreachable}}
	resolved := entry(2, ago(5), journal.AlertResolved, journal.AlertData{Signal: "schema_fail", Until: ago(10), Flaps: 3}, "")
	one := []journal.Entry{fires(1, ago(30), "schema_fail")}
	both := append(one[:1:1], resolved)
	for _, tc := range []struct {
		name     string
		readings []sources.Reading
		entries  []journal.Entry
		keep     time.Duration
		want     string
		evidence string
		old      string
	}{
		{"bad for a moment", bad, nil, time.Hour, "pending schema_fail [rollcall]", "9.1%", ""},
		{"bad again after it was resolved", bad, both, time.Hour, "pending schema_fail [rollcall]", "9.1%", ""},
		{"fires", bad, one, time.Hour, "firing schema_fail [rollcall]", "9.1%", ""},
		{"well for a moment", well, one, time.Hour, "firing schema_fail [rollcall]", "well at this moment (usual 1.2%); it fired at 9.1% vs 1.2% usual, p=4e-12", ""},
		{"out of sight", gone, one, time.Hour, "firing schema_fail [rollcall]", "9.1% vs 1.2% usual, p=4e-12", "unreachable: it goes on as it was last known"},
		{"not read any more", []sources.Reading{{Signal: "x"}}, one, time.Hour, "firing schema_fail [rollcall]", "9.1% vs 1.2% usual, p=4e-12", "the signal is not read any more"},
		{"resolved lately", well, both, time.Hour, "resolved schema_fail [rollcall]", "9.1% vs 1.2% usual, p=4e-12", ""},
		{"resolved long ago", well, both, time.Minute, "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := Merge(Input{Now: now, Readings: tc.readings, Entries: tc.entries, Keep: tc.keep})
			if got := says(l); got != tc.want {
				t.Fatalf("%s, want %s", got, tc.want)
			}
			if tc.want != "" && (l.Alerts[0].Evidence != tc.evidence || l.Alerts[0].Old != tc.old) {
				t.Errorf("%q, old %q", l.Alerts[0].Evidence, l.Alerts[0].Old)
			}
		})
	}
}

func TestWhatWasTakenUpStaysSoUntilItFiresAnew(t *testing.T) {
	prom := leak(sources.AlertFiring)
	byAM := id("Leak", leak(sources.AlertFiring, "cluster", "eu-1").Labels)
	ack := func(at time.Time, alert, also string) journal.Entry {
		return entry(9, at, journal.AlertAcknowledged, journal.AcknowledgedData{Alert: alert, Also: also}, "on it")
	}
	for _, tc := range []struct {
		name string
		ack  journal.Entry
		want string
	}{
		{"since it fires", ack(ago(5), id("Leak", prom.Labels), ""), "acknowledged Leak [prometheus]"},
		{"by the labels of the Alertmanager", ack(ago(5), byAM, id("Leak", prom.Labels)), "acknowledged Leak [prometheus]"},
		{"the time before", ack(ago(25), id("Leak", prom.Labels), ""), "firing Leak [prometheus]"},
		{"another one of that name", ack(ago(5), "Leak-00000000", ""), "firing Leak [prometheus]"},
	} {
		l := Merge(Input{Now: now, Entries: []journal.Entry{tc.ack}, Prometheus: told(Prometheus, prom)})
		if got := says(l); got != tc.want {
			t.Errorf("%s: %s", tc.name, got)
		}
		if a := l.Alerts[0]; a.State == Acknowledged && (a.Ack.Note != "on it" || a.Ack.By != "ana" || a.Ack.Seq != 9) {
			t.Errorf("%+v", a.Ack)
		}
	}
}

func TestASourceThatIsDownShowsItsLastAnswerAsOld(t *testing.T) {
	down := told(Prometheus, leak(sources.AlertFiring))
	down.Err, down.Age = "prometheus: connection refused; is it running?", 90*time.Second
	never := &Told{Err: "alertmanager: connection refused", Never: true}
	l := Merge(Input{Now: now, Prometheus: down, Alertmanager: never})
	a := l.Alerts[0]
	if a.Old != down.Err || a.AgeS != sources.N(90) || a.State != Firing {
		t.Errorf("%+v", a)
	}
	if s := l.Sources; len(s) != 3 || !s[1].Failed || s[1].AgeS != sources.N(90) || !s[2].Failed || s[2].AgeS.OK || s[2].Note != never.Err {
		t.Errorf("%+v", s)
	}
	// What another source tells of now is not old.
	l = Merge(Input{Now: now, Prometheus: down, Alertmanager: told(Alertmanager, leak(sources.AlertFiring))})
	if len(l.Alerts) != 1 || l.Alerts[0].Old != "" {
		t.Errorf("%+v", l.Alerts)
	}
}

func TestAlertsThatNameAnotherServiceAreLeftOutAndCounted(t *testing.T) {
	l := Merge(Input{
		Now:        now,
		Scope:      []sources.Matcher{{Name: "namespace", Value: "prod"}, {Name: "job", Value: "assistant|gate.*", Regex: true}},
		Prometheus: told(Prometheus, leak(sources.AlertFiring), leak(sources.AlertFiring, "namespace", "prod", "job", "gateway"), leak(sources.AlertFiring, "namespace", "test"), leak(sources.AlertFiring, "job", "my-assistant")),
	})
	if len(l.Alerts) != 2 || l.Others != 2 {
		t.Errorf("%s, %d others", says(l), l.Others)
	}
}

func TestWhatWantsAPersonComesFirst(t *testing.T) {
	with := func(name, severity string, st sources.AlertState, since time.Time) sources.Alert {
		return sources.Alert{Name: name, State: st, Since: since, Labels: map[string]string{"alertname": name, "severity": severity}}
	}
	l := Merge(Input{
		Now: now, Entries: []journal.Entry{fires(1, ago(30), "schema_fail")},
		Prometheus: told(Prometheus, with("d", "info", sources.AlertFiring, ago(1)), with("p", "page", sources.AlertPending, ago(1)), with("w", "warning", sources.AlertFiring, ago(2)), with("x", "page", sources.AlertFiring, ago(9)), with("s", "page", sources.AlertSuppressed, ago(1))),
	})
	var got []string
	for _, a := range l.Alerts {
		got = append(got, a.Name)
	}
	if strings.Join(got, " ") != "x schema_fail w d p s" {
		t.Errorf("%v", got)
	}
}

func TestThousandsOfAlertsAreBoundedAndCounted(t *testing.T) {
	var a, b []sources.Alert
	for i := range 5000 {
		pod := fmt.Sprintf("pod-%d", i)
		a = append(a, leak(sources.AlertFiring, "pod", pod))
		b = append(b, leak(sources.AlertFiring, "pod", pod, "cluster", "eu", fmt.Sprintf("odd%d", i), "x"))
	}
	for i := range 5000 { // a name with as many sets of labels as alerts
		a[i].Labels[fmt.Sprintf("set%d", i%50)] = "x"
		b[i].Labels[fmt.Sprintf("set%d", i%50)] = "x"
	}
	l := Merge(Input{Now: now, Prometheus: told(Prometheus, a...), Alertmanager: told(Alertmanager, b...)})
	if len(l.Alerts) != Max || l.Total < Max || l.Count(Firing) != Max {
		t.Errorf("%d of %d", len(l.Alerts), l.Total)
	}
}

func BenchmarkMerge(b *testing.B) {
	var x, y []sources.Alert
	for i := range 5000 {
		pod := fmt.Sprintf("pod-%d", i)
		x = append(x, leak(sources.AlertFiring, "pod", pod))
		y = append(y, leak(sources.AlertFiring, "pod", pod, "cluster", "eu"))
	}
	in := Input{Now: now, Prometheus: told(Prometheus, x...), Alertmanager: told(Alertmanager, y...)}
	for b.Loop() {
		if l := Merge(in); len(l.Alerts) != 5000 {
			b.Fatal(len(l.Alerts))
		}
	}
}
