// Package cases makes regression cases out of what an incident captured: the input that
// went wrong, what a right answer has, and the proof that the captured bad answer fails
// it. They are written as files for promptfoo, OpenAI evals and Inspect.
package cases

import (
	"encoding/json"
	"time"

	"rollcall/sources"
)

// Schema names the form of the written files.
const Schema = "rollcall/cases/v1"

// Format is a tool that runs cases.
type Format string

// The formats.
const (
	Promptfoo Format = "promptfoo"
	OpenAI    Format = "openai"
	Inspect   Format = "inspect"
)

// Formats lists them in the order shown.
func Formats() []Format { return []Format{Promptfoo, OpenAI, Inspect} }

// Export is what becomes of an incident's captured requests. The same journal gives the same export.
type Export struct {
	Schema   string    `json:"schema"`
	Incident string    `json:"incident"`
	Service  string    `json:"service"`
	Formats  []Format  `json:"formats"`
	Cases    []Case    `json:"cases"`
	LeftOut  []LeftOut `json:"left_out"` // captured requests of which there is no case
	Losses   []Loss    `json:"losses"`   // what a format or a capture does not carry
}

// Case is one captured request as a test.
type Case struct {
	ID       string        `json:"id"` // incident and journal entry: "INC-7-42"
	Request  string        `json:"request"`
	Seq      int64         `json:"seq"`        // the journal entry that captured it
	Hash     string        `json:"entry_hash"` // of that entry
	At       time.Time     `json:"at"`
	Route    string        `json:"route,omitempty"`
	Versions Versions      `json:"versions"`
	Input    []Message     `json:"input"`
	Question string        `json:"question"` // the last message of a user
	Context  []string      `json:"context,omitempty"`
	Tools    []string      `json:"tools,omitempty"` // calls and their results
	Answer   string        `json:"bad_answer"`
	Finish   string        `json:"finish_reason,omitempty"`
	Latency  sources.Num   `json:"latency_s"`
	Cost     sources.Num   `json:"cost_usd"`
	Why      []Reason      `json:"why"` // it was bad
	Expect   []Expectation `json:"expect"`
	Green    *Green        `json:"green,omitempty"` // a right answer to the same input; absent when none was captured
}

// Versions are what answered.
type Versions struct {
	Prompt         string `json:"prompt,omitempty"`
	Model          string `json:"model,omitempty"`
	Tools          string `json:"tools,omitempty"`
	Index          string `json:"index,omitempty"`
	Policy         string `json:"policy,omitempty"`
	Manifest       string `json:"manifest,omitempty"`
	Provider       string `json:"provider,omitempty"`
	ModelRequested string `json:"model_requested,omitempty"`
	ModelServed    string `json:"model_served,omitempty"`
	Fingerprint    string `json:"model_fingerprint,omitempty"`
}

// Message is one message that the model was given.
type Message struct {
	Role    string `json:"role"` // "system", "user", "assistant"
	Content string `json:"content"`
}

// Reason is why an answer was bad.
type Reason struct {
	Kind string `json:"kind"` // the Bad constants
	Text string `json:"text"`
}

// Why an answer is bad.
const (
	BadSchema   = "schema"
	BadRefusal  = "refusal"
	BadLeak     = "leak"
	BadFilter   = "filter"
	BadLatency  = "latency"
	BadCost     = "cost"
	BadCutOff   = "cut off"
	BadError    = "error"
	BadDenied   = "denied"
	BadFeedback = "thumbs down"
	BadPerson   = "person" // somebody says so
)

// Expectation is something that a right answer has.
type Expectation struct {
	Kind   string          `json:"kind"`             // the Expect constants
	Value  string          `json:"value,omitempty"`  // text or pattern
	Schema json.RawMessage `json:"schema,omitempty"` // of ExpectJSON, when it is known
	Limit  sources.Num     `json:"limit"`            // seconds or USD
	From   string          `json:"from"`             // "derived" from why it was bad, or a "person"
	Red    bool            `json:"red"`              // the bad answer fails it
	Says   string          `json:"says"`             // how the bad answer does
}

// What can be expected of an answer.
const (
	ExpectJSON        = "json"
	ExpectMatches     = "matches"      // a pattern
	ExpectNotMatches  = "not_matches"  // a pattern
	ExpectContains    = "contains"     // whatever the case of letters
	ExpectNotContains = "not_contains" // whatever the case of letters
	ExpectFinish      = "finish"       // it ends by itself
	ExpectLatency     = "latency"
	ExpectCost        = "cost"
	ExpectRubric      = "rubric" // judged by a model; nothing here can prove it
)

// Where an expectation comes from.
const (
	Derived = "derived"
	Person  = "person"
)

// Green is a later answer to the same input with which nothing was wrong.
type Green struct {
	Request string `json:"request"`
	Seq     int64  `json:"seq"`
	Passes  bool   `json:"passes"`
	Fails   string `json:"fails,omitempty"` // what of it, and how
}

// LeftOut is a captured request of which no case can be made.
type LeftOut struct {
	Request string `json:"request"`
	Seq     int64  `json:"seq"`
	Why     string `json:"why"`
	Do      string `json:"do,omitempty"` // what would make one of it
}

// Loss is something that a format does not carry, of one case or of all.
type Loss struct {
	Format Format `json:"format,omitempty"` // empty: none of them can
	Case   string `json:"case,omitempty"`   // empty: all cases
	What   string `json:"what"`
}
