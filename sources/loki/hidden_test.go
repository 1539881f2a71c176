package loki

import (
	"io"
	"maps"
	"net/http"
	"testing"
)

func TestAnAnswerSaysHowMuchHadToBeHiddenAndNotWhat(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, lines(
			`{\"msg\":\"ticket of ana@example.com and bo@example.com\",\"request_id\":\"req-1\"}`,
			`{\"msg\":\"key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH used\"}`,
			`{\"msg\":\"was hidden before: <email:1>\"}`,
			`{\"msg\":\"fine\",\"user\":\"usr_acme_0001\"}`,
			`{\"msg\":\"fine\",\"user\":\"cleo@example.com\"}`,
		))
	})
	list, err := client(t, Config{URL: url}).QueryRange(t.Context(), anything)
	if err != nil || len(list.Lines) != 5 {
		t.Fatalf("%d lines, %v", len(list.Lines), err)
	}
	if want := map[string]int{"email": 2, "api-key": 1, hiddenPerson: 1}; !maps.Equal(list.Redacted, want) {
		t.Errorf("hidden were %v, want %v", list.Redacted, want)
	}
}
