package requests

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
)

var end = time.Date(2026, 3, 10, 2, 47, 0, 0, time.UTC)

func TestParseUnderstandsEveryWord(t *testing.T) {
	day := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		in   string
		want sources.RequestFilter
	}{
		{"", sources.RequestFilter{}},
		{"bad", sources.RequestFilter{Bad: true}},
		{"  bad   bad ", sources.RequestFilter{Bad: true}},
		{"id:req-1", sources.RequestFilter{ID: "req-1"}},
		{
			"prompt:v14 model:gpt index:i1 tools:t policy:p",
			sources.RequestFilter{Versions: map[sources.Component]string{"prompt": "v14", "model": "gpt", "index": "i1", "tools": "t", "policy": "p"}},
		},
		{
			`error:timeout route:/chat "tenant:big corp" region:eu`,
			sources.RequestFilter{ErrorType: "timeout", Route: "/chat", Tenant: "big corp", Region: "eu"},
		},
		{`tenant:"big \"corp\""`, sources.RequestFilter{Tenant: `big "corp"`}},
		{"user:9f2c41d07b3a5e68", sources.RequestFilter{User: "user:9f2c41d07b3a5e68"}},
		{"user:user:9f2c41d07b3a5e68", sources.RequestFilter{User: "user:9f2c41d07b3a5e68"}},
		{"user:alice@example.com", sources.RequestFilter{User: "alice@example.com"}},
		{"user:usr_acme_ac6b", sources.RequestFilter{User: "usr_acme_ac6b"}},
		{"schema:fail outcome:ok served:gpt-x", sources.RequestFilter{Schema: "fail", Outcome: "ok", Served: "gpt-x"}},
		{"since:02:10", sources.RequestFilter{Since: day.Add(2*time.Hour + 10*time.Minute)}},
		{"since:02:10:30Z", sources.RequestFilter{Since: day.Add(2*time.Hour + 10*time.Minute + 30*time.Second)}},
		{"since:23:50", sources.RequestFilter{Since: day.Add(-10 * time.Minute)}},
		{"since:30m until:10m", sources.RequestFilter{Since: end.Add(-30 * time.Minute), Until: end.Add(-10 * time.Minute)}},
		{"until:2026-03-09T12:00", sources.RequestFilter{Until: day.Add(-12 * time.Hour)}},
		{"until:2026-03-09T12:00:00+02:00", sources.RequestFilter{Until: day.Add(-14 * time.Hour)}},
	} {
		got, err := parse(tc.in, at{end: end})
		if err != nil {
			t.Errorf("%q: %v", tc.in, err)
			continue
		}
		got.Since, got.Until = got.Since.UTC(), got.Until.UTC()
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%q reads as %+v, want %+v", tc.in, got, tc.want)
		}
	}
}

func TestParseSaysWhatIsWrongAndWhatToWrite(t *testing.T) {
	for _, tc := range []struct{ in, says string }{
		{"promt:v14", "did you mean prompt:v14"},
		{"errors:timeout", "did you mean error:timeout"},
		{"colour:red", "the words are bad id prompt"},
		{"req-4f2a", "write id:req-4f2a"},
		{"prompt", "write prompt:VALUE"},
		{"prompt:", "needs a value"},
		{"bad:yes", "write just bad"},
		{"prompt:a prompt:b", "stands twice"},
		{"since:yesterday", "is not a time; write it like 02:10"},
		{"since:02:40 until:02:10", "swap them"},
		{`tenant:"big corp`, "quotation mark"},
	} {
		_, err := parse(tc.in, at{end: end})
		if err == nil {
			t.Errorf("%q is taken without complaint", tc.in)
			continue
		}
		if !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is answered with %q, which does not say %q in one line", tc.in, err, tc.says)
		}
	}
}

func TestAFilterWrittenAsWordsReadsBackTheSame(t *testing.T) {
	for _, f := range []sources.RequestFilter{
		{},
		{Bad: true, Versions: map[sources.Component]string{"prompt": "v14", "index": `a "b" \c`}},
		{ID: "x", ErrorType: "e", Route: "/a b", Tenant: "t", Region: "r", User: "user:9f2c41d07b3a5e68", Schema: "fail", Outcome: "error", Served: "m"},
		{Since: end.Add(-16 * time.Minute), Until: end.Add(-time.Second)},
		{Since: end.Add(-30 * time.Hour)},
		{Since: end.Add(-time.Minute - time.Nanosecond)},
	} {
		words := text(f, at{end: end})
		got, err := parse(words, at{end: end})
		if err != nil {
			t.Errorf("%+v is written as %q, which does not read: %v", f, words, err)
			continue
		}
		got.Since, got.Until = got.Since.UTC(), got.Until.UTC()
		if !reflect.DeepEqual(got, f) {
			t.Errorf("%+v is written as %q, which reads as %+v", f, words, got)
		}
	}
}

func TestCompletionOffersWordsAndTheValuesInHand(t *testing.T) {
	rows := []sources.Request{{Route: "/search"}, {Route: "/chat"}, {Route: "/chat"}, {Tenant: "big corp"}}
	for _, tc := range []struct{ in, taken, offer string }{
		{"pr", "prompt:", "prompt:"},
		{"bad ro", "bad route:", "route:"},
		{"route:", "route:/chat", "/search"},
		{"route:/s", "route:/search", "/search"},
		{"tenant:b", `"tenant:big corp"`, "big corp"},
		{"schema:", "schema:", "pass or fail"},
		{"since:", "since:", "02:10"},
		{"", "", "bad"},
	} {
		taken, offers := complete(tc.in, rows)
		if taken != tc.taken || !strings.Contains(strings.Join(offers, "|"), tc.offer) {
			t.Errorf("%q completes to %q offering %q; want %q offering %q", tc.in, taken, offers, tc.taken, tc.offer)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("bad prompt:v14 since:02:10")
	f.Add(`tenant:"a b" \`)
	f.Fuzz(func(t *testing.T, in string) {
		got, err := parse(in, at{end: end})
		if err != nil {
			return
		}
		if _, err := parse(text(got, at{end: end}), at{end: end}); err != nil {
			t.Errorf("%q reads, but what it is written as does not: %v", in, err)
		}
	})
}
