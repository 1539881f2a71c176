// Package readiness answers the nine questions that a team should be able to
// answer before an incident: from evidence, with the evidence, and with what to
// do next. It is pure: whoever has sources gathers an Evidence, Judge makes the
// answers.
//
// What could not be looked at is never a no. A question whose answer depends on
// something unknown is answered "cannot tell".
package readiness

import (
	"time"
)

// Word is an answer.
type Word string

// The answers.
const (
	Yes        Word = "yes"
	Partly     Word = "partly"
	No         Word = "no"
	CannotTell Word = "cannot tell"
)

// Fact is one piece of evidence. Without a word of its own it only informs.
type Fact struct {
	What   string `json:"what"` // "request ID"
	Says   Word   `json:"says,omitempty"`
	Detail string `json:"detail"`         // "in 480 of 500 requests"
	Next   string `json:"next,omitempty"` // what to do about it
}

// Answer is a question with what is known about it.
type Answer struct {
	ID       string `json:"id"` // stable: "reproduce", "roll_back", ...
	Question string `json:"question"`
	Answer   Word   `json:"answer"`
	Why      string `json:"why"`            // the fact that decided, in one line
	Next     string `json:"next,omitempty"` // what to do next, in one line
	Evidence []Fact `json:"evidence"`
}

// Report is all nine answers, in the order of the checklist.
type Report struct {
	Service string    `json:"service"`
	At      time.Time `json:"at"` // service time
	Answers []Answer  `json:"answers"`
}

// Count is how many questions are answered with a word.
func (r *Report) Count(w Word) int {
	n := 0
	for i := range r.Answers {
		if r.Answers[i].Answer == w {
			n++
		}
	}
	return n
}

// The IDs of the questions, in their order.
const (
	Reproduce  = "reproduce"
	RollBack   = "roll_back"
	Dashboards = "dashboards"
	Alerts     = "alerts"
	Response   = "response"
	Cost       = "cost"
	Logs       = "logs"
	Cases      = "cases"
	Rehearsed  = "rehearsed"
)

// Judge answers the nine questions.
func Judge(e *Evidence) Report {
	r := Report{Service: e.Service, At: e.Now.UTC()}
	for _, q := range []struct {
		id, question string
		facts        func(*Evidence) []Fact
	}{
		{Reproduce, "Can a bad answer be reproduced from its records?", reproduce},
		{RollBack, "Can prompt, model and index be rolled back one by one?", rollBack},
		{Dashboards, "Are latency, cost, errors and quality on the screen?", dashboards},
		{Alerts, "Does every alert lead to something that somebody does?", alerts},
		{Response, "Are the response and the severities written down?", response},
		{Cost, "Is cost held by budgets, caches and fallback models?", cost},
		{Logs, "Are logs structured, found by request, and redacted?", logs},
		{Cases, "Does every incident leave a test case in the eval suite?", cases},
		{Rehearsed, "Was rolling back practised, as the runbooks stand today?", rehearsed},
	} {
		facts := q.facts(e)
		a := Answer{ID: q.id, Question: q.question, Evidence: facts}
		a.Answer = weigh(facts)
		if f := deciding(facts, a.Answer); f != nil {
			a.Why, a.Next = f.What+": "+f.Detail, f.Next
		}
		if a.Next == "" {
			a.Next = firstNext(facts)
		}
		r.Answers = append(r.Answers, a)
	}
	return r
}

// weigh makes one answer of facts: all yes is yes, all no is no, anything else
// is partly. Facts that are not known count only if they could change that.
func weigh(facts []Fact) Word {
	n := map[Word]int{}
	for i := range facts {
		n[facts[i].Says]++
	}
	switch {
	case n[Partly] > 0 || n[Yes] > 0 && n[No] > 0:
		return Partly
	case n[CannotTell] > 0 || n[Yes]+n[No] == 0:
		return CannotTell
	case n[No] > 0:
		return No
	}
	return Yes
}

// deciding is the fact that says most about an answer: the worst one, which for
// an answer that cannot be told is the one that is not known.
func deciding(facts []Fact, answer Word) *Fact {
	order := []Word{No, Partly, CannotTell, Yes}
	if answer == CannotTell {
		order = []Word{CannotTell, No, Partly, Yes}
	}
	for _, w := range order {
		for i := range facts {
			if facts[i].Says == w {
				return &facts[i]
			}
		}
	}
	if len(facts) > 0 {
		return &facts[0]
	}
	return nil
}

func firstNext(facts []Fact) string {
	for _, w := range []Word{No, Partly, CannotTell, Yes, ""} {
		for i := range facts {
			if facts[i].Says == w && facts[i].Next != "" {
				return facts[i].Next
			}
		}
	}
	return ""
}
