package runbooks

import ("testing"; "rollcall/sources/signal")

func TestTry(t *testing.T) {
	k, err := KnownSignals(signal.Service{Scope: `job="x"`})
	if err != nil { t.Fatal(err) }
	for _, l := range Load(nil, k) {
		for _, p := range l.Problems { t.Errorf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message) }
		if l.Runbook != nil { t.Logf("%s %d steps", l.Runbook.ID, len(l.Runbook.Steps)) }
	}
	for _, id := range k.Signals { f, _ := k.Signal(id); t.Log(id, f) }
}
