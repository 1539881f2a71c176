package review

import (
	"encoding/json"
	"testing"

	"rollcall/store/journal"
)

func TestEveryKindOfEntryHasASentence(t *testing.T) {
	for _, c := range []struct {
		kind journal.Kind
		data string
		text string
		want string
	}{
		{journal.Noted, `{}`, "turned it off\nand on", "turned it off (+1 lines)"},
		{journal.RunIntent, `{"step":"apply","attempt":1}`, "", "RUN-3 is about to run apply"},
		{journal.RunProcess, `{"step":"apply","pid":77}`, "", "RUN-3 apply runs as process 77"},
		{"run.asked", `{"step":"apply","question":"Go?"}`, "", "RUN-3 asks at apply: Go?"},
		{journal.SignalsSnapped, `{}`, "", "kept the values of 0 signals"},
		{journal.QueryTyped, `{"where":"logs"}`, "{job=\"a\"}", "asked logs: {job=\"a\"}"},
		{journal.Exported, `{"format":"md"}`, "", "exported the review (md)"},
		{journal.Purged, `{"state":"begun","by":"user"}`, "", "purged a user (begun)"},
		{journal.RunSample, `{"step":"quality","sample":{"value":0.014,"verdict":"passed"}}`, "", "RUN-3 measured quality: 1.4% passed"},
		{"of.tomorrow", `{"x":1}`, "", "of.tomorrow"},
	} {
		started := journal.Entry{Kind: journal.RunStarted, Run: "RUN-3", Data: json.RawMessage(`{"steps":[{"name":"quality","check":{"signal":"schema_fail"}}]}`)}
		alert := journal.Entry{Kind: journal.AlertFiring, Data: json.RawMessage(`{"signal":"schema_fail","unit":"ratio"}`)}
		e := journal.Entry{Kind: c.kind, Run: "RUN-3", Incident: "INC-1", Data: json.RawMessage(c.data), Text: c.text}
		if got := SentencesOf([]journal.Entry{started, alert}).Summary(&e); got != c.want {
			t.Errorf("%s says %q, want %q", c.kind, got, c.want)
		}
		if got := (*Sentences)(nil).Summary(&e); got == "" {
			t.Errorf("%s says nothing without the others", c.kind)
		}
	}
}

func TestAnErasedTextAndArtifactsAreNamed(t *testing.T) {
	e := journal.Entry{Kind: journal.Captured, TextErased: true, Data: json.RawMessage(`{"request":"r-1"}`), Artifacts: []journal.ArtifactRef{{Name: "request.json", Bytes: 12}, {Name: "answer.txt", Erased: true}}}
	if got, want := SentencesOf(nil).Summary(&e), "captured request r-1: (its text was erased) [request.json 12 bytes] [answer.txt erased]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
