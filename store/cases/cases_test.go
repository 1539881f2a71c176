package cases

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/store/journal"
)

var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

type clock struct{}

func (clock) Now() time.Time                       { return noon.Add(time.Hour) }
func (clock) Wall() time.Time                      { return noon.Add(time.Hour) }
func (clock) ToWall(d time.Duration) time.Duration { return d }

// book is a real journal with one incident.
type book struct {
	*journal.Journal
	t   *testing.T
	inc journal.Incident
	n   int
}

func newBook(t *testing.T, c journal.Category) *book {
	t.Helper()
	j, err := journal.Open(t.Context(), filepath.Join(t.TempDir(), "state", "journal.db"), journal.Options{
		Clock: clock{}, Redact: func(s string) string { return s }, Actor: "ana", Origin: "cli",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	inc, err := j.OpenIncident(t.Context(), journal.IncidentDraft{Service: "assistant", Title: "It went wrong", Category: c, Severity: journal.SEV2})
	if err != nil {
		t.Fatal(err)
	}
	return &book{Journal: j, t: t, inc: inc}
}

// chat is what a plain chat leaves behind.
func chat(question, answer string) []sources.Content {
	out := []sources.Content{
		{Kind: "system", Role: "system", Text: "You are the assistant.", From: "gen_ai.system_instructions"},
		{Kind: "prompt", Role: "user", Text: question, From: "gen_ai.input.messages"},
	}
	if answer != "" {
		out = append(out, sources.Content{Kind: "response", Role: "assistant", Text: answer, From: "gen_ai.output.messages"})
	}
	return out
}

// captured keeps a request as the console does; content that is nil was not captured.
func (b *book) captured(id string, change func(*sources.Request), content []sources.Content) journal.Entry {
	b.t.Helper()
	b.n++
	row := sources.Request{
		ID: id, TraceID: "trace-" + id, Time: noon.Add(time.Duration(b.n) * time.Second), Service: "assistant", Route: "answer", Prompt: "v14",
		Model: "gpt-4.1", ModelRequested: "gpt-4.1", Provider: "openai", Outcome: "ok", FinishReason: "stop", Latency: sources.N(2), CostUSD: sources.N(.01),
	}
	if change != nil {
		change(&row)
	}
	body, err := json.Marshal(sources.RequestView{Request: row})
	if err != nil {
		b.t.Fatal(err)
	}
	d := journal.Draft{
		Kind: journal.Captured, Service: "assistant", Incident: b.inc.ID, Data: journal.CapturedData{Request: id},
		Artifacts: []journal.Artifact{{Name: RowFile, Type: "application/json", Body: body}},
	}
	if content != nil {
		body, err := json.Marshal(content)
		if err != nil {
			b.t.Fatal(err)
		}
		d.Artifacts = append(d.Artifacts, journal.Artifact{Name: ContentFile, Type: "application/json", Body: body})
	}
	e, err := b.Append(b.t.Context(), d)
	if err != nil {
		b.t.Fatal(err)
	}
	return e[0]
}

func same1(s string) string { return s }

func (b *book) build(o Options) (*Export, error) {
	return Build(b.t.Context(), b, b.inc.ID, o, same1)
}

func (b *book) must(o Options) *Export {
	b.t.Helper()
	x, err := b.build(o)
	if err != nil {
		b.t.Fatal(err)
	}
	return x
}

func failed(why string) func(*sources.Request) {
	return func(r *sources.Request) { r.Schema, r.SchemaError = "fail", why }
}

func TestWhatARightAnswerHasFollowsFromWhyTheBadOneWasBad(t *testing.T) {
	for _, tc := range []struct {
		name     string
		category journal.Category
		change   func(*sources.Request)
		answer   string
		o        Options
		kind     string
		value    string // part of it, or of the schema
		passes   string // an answer that is right
	}{
		{"prose before the JSON", "correctness", failed("prose before the JSON object"), `Hello! {"a":1}`, Options{}, ExpectJSON, "", `{"a":1}`},
		{"JSON that ends too early", "correctness", failed("unexpected end of JSON"), `{"a":1,"b`, Options{}, ExpectJSON, "", ` {"a":1} `},
		{"a property that is missing", "correctness", failed("citations: required property is missing"), `{"answer":"x"}`, Options{}, ExpectJSON, `"required":["citations"]`, `{"answer":"x","citations":[]}`},
		{"the same in the words of ajv", "correctness", failed("data must have required property 'citations'"), `{}`, Options{}, ExpectJSON, `"required":["citations"]`, `{"citations":[]}`},
		{"the same in the words of Python", "correctness", failed("'citations' is a required property"), `{}`, Options{}, ExpectJSON, `"required":["citations"]`, `{"citations":[]}`},
		{"a value that is not allowed", "correctness", failed("confidence: must be one of low, medium, high"), `{"confidence":"pretty sure"}`, Options{}, ExpectJSON, `"enum":["low","medium","high"]`, `{"confidence":"low"}`},
		{
			"a schema that a person gave", "correctness", failed("does not validate"), `{"n":1.5}`,
			Options{Shape: []byte(`{"properties": {"n": {"type": "integer"}}, "title": "T"}`)},
			ExpectJSON, `{"properties":{"n":{"type":"integer"}}}`, `{"n":2.0}`,
		},
		{"a refusal", "quality", func(r *sources.Request) { r.Refusal = "true" }, "I'm sorry, but I can't help with that request.", Options{}, ExpectNotMatches, "help|assist", "I'm sorry to hear that. Your parcel is on its way."},
		{"a refusal in words of its own", "quality", func(r *sources.Request) { r.Refusal = "true" }, "Da kann ich {{nicht}} helfen. Bitte!", Options{}, ExpectNotMatches, `Da kann ich \x7b\x7bnicht\x7d\x7d helfen`, "Gern."},
		{"an answer that was cut off", "quality", func(r *sources.Request) { r.FinishReason = "length" }, "and then", Options{}, ExpectFinish, "", ""},
		{"a leak", "privacy", nil, "Ask <email:2> or <phone:1>.", Options{}, ExpectNotMatches, "<email:[0-9]+>|<phone:[0-9]+>|", "Ask <name:1>."},
		{"an answer that took too long", "availability", nil, "x", Options{MaxS: 1.5}, ExpectLatency, "", ""},
		{"an answer that cost too much", "cost", nil, "x", Options{MaxUSD: .001}, ExpectCost, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBook(t, tc.category)
			b.captured("req-1", tc.change, chat("Where is it? My address is <iban:1>.", tc.answer))
			x := b.must(tc.o)
			if len(x.Cases) != 1 {
				t.Fatalf("%d cases: %+v", len(x.Cases), x.LeftOut)
			}
			k := x.Cases[0]
			i := slices.IndexFunc(k.Expect, func(e Expectation) bool { return e.Kind == tc.kind })
			if i < 0 || !k.Expect[i].Red || k.Expect[i].From != Derived || !strings.Contains(k.Expect[i].Value+string(k.Expect[i].Schema), tc.value) {
				t.Fatalf("expected is %+v", k.Expect)
			}
			if tc.passes != "" {
				if fails, says := k.Expect[i].prove(observed{answer: tc.passes}); fails {
					t.Errorf("the right answer %q fails: %s", tc.passes, says)
				}
			}
			if tc.kind == ExpectNotMatches && tc.category == "privacy" {
				if fails, _ := k.Expect[i].prove(observed{answer: "Ask maria@example.org."}); !fails {
					t.Error("an address that was not redacted passes")
				}
			}
		})
	}
}

func TestWhatWasNotCapturedOrCannotBeToldIsLeftOutWithAReason(t *testing.T) {
	thumb := func(r *sources.Request) { r.Feedback = "down" }
	for _, tc := range []struct {
		name     string
		category journal.Category
		change   func(*sources.Request)
		content  []sources.Content
		o        Options
		why, do  string
	}{
		{"no content", "quality", thumb, nil, Options{}, "nothing that the model was asked or said was captured", "rollcall incident capture INC-1 req-1"},
		{"no input", "quality", thumb, []sources.Content{{Kind: "response", Text: "x"}}, Options{}, "its input was not captured", "capture it again"},
		{"instructions alone", "quality", thumb, []sources.Content{{Kind: "system", Text: "x"}, {Kind: "response", Text: "x"}}, Options{}, "its input was not captured", "capture it again"},
		{"no answer", "quality", thumb, chat("q", ""), Options{}, "its answer was not captured", "capture it again"},
		{"an input that was cut", "quality", thumb, chat("q… (+9 bytes)", "x"), Options{}, "its input was cut when it was received (+9 bytes)", "another request"},
		{"an answer that was cut", "quality", failed("x"), chat("q", "{\"a… (+70 bytes)"), Options{}, "its answer was cut", "another request"},
		{"nothing bad about it", "quality", nil, chat("q", "x"), Options{}, "nothing says that its answer was bad", "--expect 'req-1=TEXT'"},
		{"a thumb down", "quality", thumb, chat("q", "x"), Options{}, "does not follow from why it was bad (the user's thumb was down)", "--expect 'req-1=TEXT'"},
		{"a filter", "safety", func(r *sources.Request) { r.Filter = "block" }, chat("q", ""), Options{}, "a filter acted on it (block)", "--expect"},
		{"a refusal where it may have been right", "safety", func(r *sources.Request) { r.Refusal = "true" }, chat("q", "I can't help with that"), Options{}, "the model refused", "--expect"},
		{"an error of the provider", "availability", func(r *sources.Request) { r.Outcome, r.ErrorType = "error", "timeout" }, chat("q", ""), Options{}, "ended in an error (timeout)", "--expect"},
		{"a schema that nobody knows", "quality", failed("/items/0 is odd"), chat("q", `{}`), Options{}, "the bad answer passes what is expected (the answer is JSON and nothing else)", "--schema FILE"},
		{"a person's word that the bad answer keeps", "quality", thumb, chat("q", "Refunds take five days"), Options{Expect: []string{"req-1=refunds"}}, `passes what is expected (the answer contains "refunds")`, "--expect"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBook(t, tc.category)
			b.captured("req-1", tc.change, tc.content)
			x, err := b.build(tc.o)
			if !errors.Is(err, ErrNone) || len(x.LeftOut) != 1 {
				t.Fatalf("%v, %+v", err, x)
			}
			l := x.LeftOut[0]
			if l.Request != "req-1" || !strings.Contains(l.Why, tc.why) || !strings.Contains(l.Do, tc.do) || !strings.Contains(err.Error(), tc.why) || strings.Contains(err.Error(), "\n") {
				t.Errorf("left out: %+v\nsaid: %v", l, err)
			}
		})
	}
	t.Run("erased evidence", func(t *testing.T) {
		b := newBook(t, "quality")
		e := b.captured("req-1", failed("x"), chat("q", "x"))
		if _, err := b.Erase(t.Context(), []int64{e.Seq}, "asked for"); err != nil {
			t.Fatal(err)
		}
		if x, err := b.build(Options{}); !errors.Is(err, ErrNone) || x.LeftOut[0].Why != "its evidence was erased" {
			t.Errorf("%v", err)
		}
	})
	t.Run("nothing captured", func(t *testing.T) {
		if _, err := newBook(t, "quality").build(Options{}); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "rollcall incident capture REQUEST") {
			t.Errorf("%v", err)
		}
	})
}

func TestAPersonSaysWhatARightAnswerHasOfAllOrOfOne(t *testing.T) {
	thumb := func(r *sources.Request) { r.Feedback = "down" }
	b := newBook(t, "quality")
	b.captured("req-1", thumb, chat("q1", "Refunds take a year."))
	b.captured("req-2", thumb, chat("q2", "Refunds take 5 working days."))
	b.captured("req-3", nil, chat("q3", "Always right, 5 working days."))
	b.captured("req-4", nil, chat("q4", "Nobody says that this was wrong."))
	x := b.must(Options{Expect: []string{"5 Working Days", "req-2=not:take", "req-4=regex:^Somebody"}, Rubric: "It is kind."})
	var said []string
	for _, k := range x.Cases {
		for _, e := range k.Expect {
			said = append(said, fmt.Sprintf("%s %s %s %t", k.Request, e.Kind, e.Value, e.Red))
		}
	}
	want := []string{
		"req-1 contains 5 Working Days true", "req-1 rubric It is kind. false",
		"req-2 contains 5 Working Days false", "req-2 not_contains take true", "req-2 rubric It is kind. false",
		"req-4 contains 5 Working Days true", "req-4 matches ^Somebody true", "req-4 rubric It is kind. false",
	}
	if !slices.Equal(said, want) {
		t.Errorf("said\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	if k := x.Cases[2]; k.Why[0].Kind != BadPerson {
		t.Errorf("%+v", k.Why)
	}
	for _, l := range x.LeftOut {
		t.Errorf("left out %+v", l)
	}
	for _, k := range x.Cases {
		if k.Request == "req-3" {
			t.Error("a right answer became a case")
		}
	}
}

func TestOnlyTheRequestsThatAreNamedAreExported(t *testing.T) {
	b := newBook(t, "quality")
	for _, id := range []string{"req-1", "req-2", "req-3"} {
		b.captured(id, failed("x"), chat("q", "x"))
	}
	x := b.must(Options{Requests: []string{"trace-req-3", "req-1"}})
	if len(x.Cases) != 2 || x.Cases[0].Request != "req-1" || x.Cases[1].Request != "req-3" || len(x.LeftOut) != 0 {
		t.Errorf("%+v", x)
	}
	if _, err := b.build(Options{Requests: []string{"req-9"}}); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), `no request "req-9"; captured are req-1, req-2, req-3`) {
		t.Errorf("%v", err)
	}
}

func TestOfARequestCapturedTwiceTheNewestCaptureCounts(t *testing.T) {
	b := newBook(t, "quality")
	b.captured("req-1", failed("x"), nil)
	e := b.captured("req-1", failed("x"), chat("q", "x"))
	if x := b.must(Options{}); len(x.Cases) != 1 || x.Cases[0].Seq != e.Seq || x.Cases[0].ID != fmt.Sprintf("INC-1-%d", e.Seq) {
		t.Errorf("%+v", x)
	}
}

func TestALaterRightAnswerToTheSameInputIsShownToPass(t *testing.T) {
	b := newBook(t, "correctness")
	b.captured("req-0", nil, chat("q", `{"before":1}`))
	b.captured("req-1", failed("prose"), chat("q", `Hello {"a":1}`))
	b.captured("req-2", failed("prose"), chat("q", `Hi {"a":1}`))
	other := chat("q", `{"a":1}`)
	other[0].Text = "You are the assistant. No greetings."
	b.captured("req-3", func(r *sources.Request) { r.Prompt, r.Schema = "v13", "pass" }, other)
	b.captured("req-4", failed("prose"), chat("another", `Hello {"a":1}`))
	x := b.must(Options{})
	if len(x.Cases) != 3 {
		t.Fatalf("%+v", x)
	}
	for i, want := range []*Green{{Request: "req-3", Seq: 5, Passes: true}, {Request: "req-3", Seq: 5, Passes: true}, nil} {
		if g := x.Cases[i].Green; (g == nil) != (want == nil) || g != nil && *g != *want {
			t.Errorf("%s is green by %+v", x.Cases[i].Request, g)
		}
	}
	if x := b.must(Options{Expect: []string{"req-1=Hola"}}); x.Cases[0].Green.Passes || !strings.Contains(fmt.Sprint(x.Losses), "it may be too strict") {
		t.Errorf("an expectation that right answers fail is not mentioned: %+v", x.Losses)
	}
}

func TestTheAnswerIsTheOneThatTheRequestEndedWith(t *testing.T) {
	at := func(kind, role, text, from string) sources.Content {
		return sources.Content{Kind: kind, Role: role, Text: text, From: from}
	}
	s := sift([]sources.Content{
		at("prompt", "", "Where?", "input.value"), at("response", "", "It is in Bonn.", "output.value"),
		at("system", "developer", "Help.", "llm.input_messages.0"), at("prompt", "user", "Where?", "llm.input_messages.1"), at("prompt", "user", "(image)", "llm.input_messages.2"),
		at("response", "assistant", "Let me look.", "llm.output_messages.0"), at("tool", "call", "find {}", "llm.output_messages.0"), at("tool", "result", "Bonn", "x"),
		at("prompt", "robot", "hm", "llm.input_messages.3"), at("context", "query", "where", "x"), at("context", "document", "d1 (score 0.5)", "x"),
	})
	if s.answer != "It is in Bonn." || s.answers != 2 || len(s.tools) != 2 || len(s.context) != 1 || s.parts != 1 || s.odd != 1 || s.question != "hm" {
		t.Errorf("%+v", s)
	}
	want := []Message{{"system", "Help."}, {"user", "Where?"}, {"user", "(image)"}, {"user", "hm"}}
	if !slices.Equal(s.input, want) {
		t.Errorf("%+v", s.input)
	}
}

func TestWhatCannotBeAskedIsRefusedInOneLine(t *testing.T) {
	b := newBook(t, "quality")
	b.captured("req-1", failed("x"), chat("q", "x"))
	for name, tc := range map[string]struct {
		o    Options
		says string
	}{
		"empty":        {Options{Expect: []string{" "}}, "says nothing"},
		"empty of one": {Options{Expect: []string{"req-1="}}, "says nothing"},
		"bad pattern":  {Options{Expect: []string{"regex:("}}, "is no regular expression: missing closing )"},
		"odd pattern":  {Options{Expect: []string{`regex:(?i)x`}}, "not every tool knows"},
		"template":     {Options{Expect: []string{`not-regex:{{ x }}`}}, "taken for a template"},
		"rubric":       {Options{Rubric: "{{ env.KEY }}"}, "would be executed"},
		"file rubric":  {Options{Rubric: "file:///etc/passwd"}, "would be executed or fetched"},
		"no JSON":      {Options{Shape: []byte("{")}, "the schema is no JSON"},
		"ref":          {Options{Shape: []byte(`{"$ref":"x"}`)}, "cannot be proven here"},
		"type":         {Options{Shape: []byte(`{"type":"text"}`)}, `names a type "text"; it can be object`},
		"limit":        {Options{MaxS: -1}, "below zero"},
	} {
		_, err := b.build(tc.o)
		if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
