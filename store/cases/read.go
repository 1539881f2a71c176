package cases

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rollcall/sources"
	"rollcall/store/journal"
)

// The artifacts of a captured request that a case is made of.
const (
	RowFile     = "request.json" // sources.RequestView
	ContentFile = "content.json" // []sources.Content
)

// Limits of what is read. A journal keeps 32 MiB per artifact.
const (
	pageSize    = 1000
	maxCaptures = 10_000
	maxPieces   = 400 // that the sources keep of a request's content
)

// capture is one captured request as the journal has it.
type capture struct {
	entry   journal.Entry
	request string
	row     sources.Request
	said    spoken
	missing string // why no case can be made of it
	remedy  string
}

// named tells whether it is the request of this ID, or of this trace or response.
func (c *capture) named(id string) bool {
	return id != "" && (id == c.request || id == c.row.ID || id == c.row.TraceID || id == c.row.ResponseID)
}

// read takes the captured requests from the journal, of each the newest capture.
func (b *builder) read(ctx context.Context, j Journal) error {
	f := journal.Filter{Incident: b.inc.ID, Kinds: []journal.Kind{journal.Captured}, Limit: pageSize}
	at := map[string]int{}
	for {
		entries, err := j.Entries(ctx, f)
		if err != nil {
			return err
		}
		for _, e := range entries {
			c, err := b.capture(ctx, j, e)
			if err != nil {
				return err
			}
			if i, again := at[c.request]; again {
				b.captures[i] = c
				continue
			}
			at[c.request] = len(b.captures)
			b.captures = append(b.captures, c)
		}
		if len(entries) < pageSize {
			break
		}
		if len(b.captures) >= maxCaptures {
			return fmt.Errorf("%s has more than %d captured requests; name some with --request", b.inc.ID, maxCaptures)
		}
		f.After = entries[len(entries)-1].Seq
	}
	slices.SortStableFunc(b.captures, func(x, y capture) int { return int(x.entry.Seq - y.entry.Seq) })
	return nil
}

// capture reads one entry. What is wrong with it is a reason to leave it out, no error:
// only a journal that cannot be read is one.
func (b *builder) capture(ctx context.Context, j Journal, e journal.Entry) (capture, error) {
	var d journal.CapturedData
	_ = json.Unmarshal(e.Data, &d) // an entry without a request is named by its number
	c := capture{entry: e, request: line(d.Request)}
	if c.request == "" {
		c.request = fmt.Sprintf("#%d", e.Seq)
	}
	again := "capture it again: rollcall incident capture " + b.inc.ID + " " + c.request
	var view sources.RequestView
	var content []sources.Content
	for name, into := range map[string]any{RowFile: &view, ContentFile: &content} {
		i := slices.IndexFunc(e.Artifacts, func(a journal.ArtifactRef) bool { return a.Name == name })
		switch {
		case i < 0:
			c.missing, c.remedy = "nothing that the model was asked or said was captured; its spans carry no content", "let the service send it (docs/llmops-contract.md), then "+again
			continue
		case e.Artifacts[i].Erased:
			c.missing, c.remedy = "its evidence was erased", ""
			return c, nil
		}
		a, err := j.Artifact(ctx, e.Artifacts[i].ID)
		if err != nil {
			return c, fmt.Errorf("the evidence of #%d could not be read: %w", e.Seq, err)
		}
		if err := json.Unmarshal(a.Body, into); err != nil {
			c.missing, c.remedy = fmt.Sprintf("its %s is no longer readable (%s)", name, line(err.Error())), again
			return c, nil
		}
	}
	c.row = b.cleanRow(view.Request)
	if c.missing != "" {
		return c, nil
	}
	for i := range content {
		content[i].Text = b.clean(content[i].Text)
	}
	c.said = sift(content)
	c.incomplete(again)
	return c, nil
}

// incomplete finds what keeps a capture from being a test: an input or an answer
// that is not there as it was.
func (c *capture) incomplete(again string) {
	s := &c.said
	cut := func(what, text string) bool {
		m := cutOff.FindString(text)
		if m != "" {
			c.missing, c.remedy = fmt.Sprintf("its %s was cut when it was received (%s)", what, strings.Trim(m, "… ()")), "send shorter content, or choose another request that failed the same way"
		}
		return m != ""
	}
	for _, m := range s.input {
		if cut("input", m.Content) {
			return
		}
	}
	switch {
	case len(s.input) == 0:
		c.missing, c.remedy = "its input was not captured", "let the service send its messages (docs/llmops-contract.md), then "+again
	case cut("answer", s.answer):
	case s.answer == "" && c.row.Outcome != "error" && (c.row.Filter == "" || c.row.Filter == "none"):
		c.missing, c.remedy = "its answer was not captured", "let the service send its answers (docs/llmops-contract.md), then "+again
	}
}

// cutOff is how the sources end a text that was too long.
var cutOff = regexp.MustCompile(`… \(\+[0-9]+ bytes\)\s*$`)

// cleanRow makes the texts of a row that a case shows harmless.
func (b *builder) cleanRow(r sources.Request) sources.Request {
	for _, s := range []*string{
		&r.Route, &r.Prompt, &r.Model, &r.Tools, &r.Index, &r.Policy, &r.Manifest, &r.Provider, &r.ModelRequested, &r.ModelServed,
		&r.ModelFingerprint, &r.FinishReason, &r.ErrorType, &r.Denied, &r.Filter, &r.SchemaError,
	} {
		*s = line(*s)
	}
	r.SchemaError = b.clean(r.SchemaError)
	return r
}

// maxLine is where a name or a reason is cut.
const maxLine = 300

// line puts a text on one bounded line.
func line(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "") + "…"
	}
	return s
}

// spoken is the content of a request as a test needs it.
type spoken struct {
	input    []Message
	question string
	context  []string
	tools    []string
	answer   string
	answers  int  // different ones that were captured
	parts    int  // of the input that are no text
	odd      int  // messages whose role no chat has
	full     bool // as many pieces as are kept: there may have been more
}

// The fields that hold the input and the output of whatever a span is about: of a
// request's outermost span the final answer, but also the same messages in a worse form.
var wrapped = map[string]bool{
	"input.value": true, "traceloop.entity.input": true, "langfuse.observation.input": true, "langfuse.trace.input": true,
	"output.value": true, "traceloop.entity.output": true, "langfuse.observation.output": true, "langfuse.trace.output": true,
}

var noText = regexp.MustCompile(`^\([a-z0-9_-]+\)$`)

// sift tells input, context, tools and answer apart.
func sift(content []sources.Content) spoken {
	s := spoken{full: len(content) >= maxPieces}
	asked := func(c sources.Content) bool { return c.Kind == "prompt" || c.Kind == "system" }
	better := slices.ContainsFunc(content, func(c sources.Content) bool { return asked(c) && !wrapped[c.From] })
	var system, messages []Message
	outer := false // the answer is that of the outermost span
	for _, c := range content {
		switch {
		case asked(c) && better && wrapped[c.From]:
		case c.Kind == "system":
			system = append(system, Message{"system", c.Text})
		case c.Kind == "prompt":
			role := c.Role
			if role != "user" && role != "assistant" {
				if role != "" {
					s.odd++
				}
				role = "user"
			}
			if noText.MatchString(c.Text) {
				s.parts++
			}
			messages = append(messages, Message{role, c.Text})
			if role == "user" {
				s.question = c.Text
			}
		case c.Kind == "context" && c.Role != "query":
			s.context = append(s.context, c.Text)
		case c.Kind == "tool":
			s.tools = append(s.tools, c.Role+": "+c.Text)
		case c.Kind == "response":
			s.answers++
			if !outer {
				s.answer, outer = c.Text, wrapped[c.From]
			}
		}
	}
	if len(messages) > 0 { // instructions alone ask nothing
		s.input = slices.Concat(system, messages)
	}
	return s
}
