package cases

import (
	"fmt"
	"slices"
	"strings"
)

// losses says what the written cases do not carry, first of all formats, then of each.
func (b *builder) losses() {
	of := map[string]*capture{}
	for i := range b.captures {
		of[b.captures[i].request] = &b.captures[i]
	}
	redacted, instructed := false, []string{}
	for i := range b.x.Cases {
		k := &b.x.Cases[i]
		for _, m := range k.Input {
			redacted = redacted || placeholder.MatchString(m.Content)
			if v := or(k.Versions.Prompt, "an unknown version"); m.Role == "system" && !slices.Contains(instructed, v) {
				instructed = append(instructed, v)
			}
		}
	}
	if len(b.x.Cases) == 0 {
		return
	}
	all := func(format string, args ...any) { b.lose("", "", format, args...) }
	if redacted {
		all("values that were redacted stand as placeholders such as <email:1>; a model gets them as they stand")
	}
	if len(instructed) > 0 {
		all("the system message is that of prompt %s, as captured; to test a fix, run the cases with the service's own prompt", strings.Join(instructed, ", "))
	}
	all("temperature, seed, token limit and other settings of the call are not captured")
	for i := range b.x.Cases {
		k := &b.x.Cases[i]
		b.caseLosses(k, of[k.Request])
	}
	for _, f := range b.x.Formats {
		for i := range b.x.Cases {
			for _, e := range b.x.Cases[i].Expect {
				if what := lossOf(f, &e); what != "" {
					b.lose(f, b.x.Cases[i].ID, "%s", what)
				}
			}
		}
	}
}

func (b *builder) lose(f Format, id, format string, args ...any) {
	l := Loss{Format: f, Case: id, What: fmt.Sprintf(format, args...)}
	if !slices.Contains(b.x.Losses, l) {
		b.x.Losses = append(b.x.Losses, l)
	}
}

func (b *builder) caseLosses(k *Case, c *capture) {
	say := func(format string, args ...any) { b.lose("", k.ID, format, args...) }
	s := &c.said
	if n := len(s.tools); n > 0 {
		say("no tool is called: %d calls and results stand in cases.json, to be read", n)
	}
	if len(s.context) > 0 {
		unread := slices.DeleteFunc(slices.Clone(s.context), func(d string) bool { return strings.Contains(d, "\n") || len(d) > 200 })
		if len(unread) == len(s.context) {
			say("retrieval is not repeated, and of %d documents only the names were captured, unless the input quotes them", len(unread))
		} else {
			say("retrieval is not repeated: the %d documents stand in cases.json, and in the input where it quotes them", len(s.context))
		}
	}
	if s.parts > 0 {
		say("%d parts of the input are no text; only their kind is there", s.parts)
	}
	if s.odd > 0 {
		say("%d messages had no role, or one that no chat has; they stand as a user's", s.odd)
	}
	if s.answers > 1 {
		say("%d answers were captured; the one that the request ended with is taken", s.answers)
	}
	if s.full {
		say("only the first %d pieces of its content were captured", maxPieces)
	}
	if g := k.Green; g != nil && !g.Passes {
		say("the later answer of %s, with which nothing was wrong, fails an expectation too (%s): it may be too strict", g.Request, g.Fails)
	}
}

// lossOf says what of an expectation a format cannot express.
func lossOf(f Format, e *Expectation) string {
	kinds := ""
	if e.Kind == ExpectNotMatches {
		kinds = strings.Join(onlyRedacted(e.Value), ", ")
	}
	switch f {
	case Promptfoo:
		switch e.Kind {
		case ExpectRubric:
			return "the rubric is judged by a model; it was not proven that the bad answer fails it"
		case ExpectFinish:
			return "an answer passes as not cut off only from a provider that reports why it stopped"
		case ExpectLatency:
			return "how long an answer takes is measured only without the cache (--no-cache), and where the test runs"
		case ExpectCost:
			return "what an answer costs is known only for models that promptfoo has a price of"
		}
	case OpenAI:
		switch e.Kind {
		case ExpectJSON:
			if len(e.Schema) > 0 {
				return "that it is JSON is checked; that it fits the schema is judged by a model"
			}
			return ""
		case ExpectContains:
			return ""
		case ExpectFinish, ExpectLatency, ExpectCost:
			return "cannot be expressed: " + e.Words()
		}
		return "is judged by a model, since no class of evals can say it: " + e.Words()
	case Inspect:
		switch e.Kind {
		case ExpectRubric:
			return "the rubric is judged by a model; it was not proven that the bad answer fails it"
		case ExpectCost:
			return "cannot be expressed: " + e.Words()
		}
	}
	if kinds != "" {
		return "these have no form of their own and are found only where they were redacted: " + kinds
	}
	return ""
}
