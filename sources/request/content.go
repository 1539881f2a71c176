package request

import (
	"encoding/json"
	"slices"
	"sort"
	"strconv"
	"strings"

	"rollcall/sources"
	"rollcall/sources/redact"
)

// Kinds of content.
const (
	kindSystem   = "system"
	kindPrompt   = "prompt"
	kindContext  = "context"
	kindResponse = "response"
	kindTool     = "tool"
)

const (
	maxContent = 400 // pieces; an agent that loops repeats itself
	maxRole    = 64  // bytes
)

// ContentOf returns what the model saw and said, in the order in which it
// happened: system instructions, messages, retrieved context, tool calls and
// answers, in whichever of the known dialects the spans and events speak.
// The text is as redacted as the spans are, and sanitised again, because what
// JSON escapes becomes a control character when it is read. Repeats are left out.
func ContentOf(spans []sources.Span, events []sources.TraceEvent) []sources.Content {
	c := content{seen: map[string]bool{}}
	for _, s := range unique(spans) {
		c.span(s)
	}
	ordered := slices.Clone(events)
	sort.SliceStable(ordered, func(i, j int) bool { return ordered[i].Time < ordered[j].Time })
	for i := range ordered {
		c.event(ordered[i].Name, ordered[i].Attrs)
	}
	return c.out
}

type content struct {
	out  []sources.Content
	seen map[string]bool
}

func (c *content) add(kind, role, text, from string) {
	if strings.TrimSpace(text) == "" || len(c.out) >= maxContent {
		return
	}
	text, role = redact.Sanitize(text), redact.SanitizeLine(role, maxRole)
	key := kind + "\x00" + role + "\x00" + text
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	c.out = append(c.out, sources.Content{Kind: kind, Role: role, Text: text, From: from})
}

func (c *content) span(s *sources.Span) {
	r := roleOf(s)
	c.attrs(s.Attrs, r)
	for i := range s.Events {
		c.event(s.Events[i].Name, s.Events[i].Attrs)
	}
}

func (c *content) attrs(attrs sources.Attrs, r role) {
	in := c.numberedMessages(attrs, "llm.input_messages.", kindPrompt)
	in = c.numberedMessages(attrs, "gen_ai.prompt.", kindPrompt) || in
	in = c.numberedMessages(attrs, "llm.prompts.", kindPrompt) || in
	for _, a := range attrs {
		switch a.Key {
		case "gen_ai.system_instructions":
			c.parts(kindSystem, "system", a.Value, a.Key)
		case "gen_ai.input.messages", "gen_ai.prompt":
			c.messages(kindPrompt, a.Value, a.Key)
		case "gen_ai.retrieval.query.text", "reranker.query":
			c.add(kindContext, "query", a.Value, a.Key)
		case "gen_ai.retrieval.documents":
			c.documents(a.Value, a.Key)
		case "gen_ai.tool.call.arguments", "tool_call.function.arguments", "tool.parameters":
			c.add(kindTool, "arguments", a.Value, a.Key)
		case "gen_ai.tool.call.result":
			c.add(kindTool, "result", a.Value, a.Key)
		case "input.value", "traceloop.entity.input", "langfuse.observation.input", "langfuse.trace.input":
			switch {
			case r.tool:
				c.add(kindTool, "arguments", a.Value, a.Key)
			case r.stage == sources.VectorSearch:
				c.add(kindContext, "query", a.Value, a.Key)
			case !in || !r.llm: // the same messages are there in a better form
				c.messages(kindPrompt, a.Value, a.Key)
			}
		}
	}
	c.numberedDocuments(attrs)
	out := c.numberedMessages(attrs, "llm.output_messages.", kindResponse)
	out = c.numberedMessages(attrs, "gen_ai.completion.", kindResponse) || out
	out = c.numberedMessages(attrs, "llm.completions.", kindResponse) || out
	out = c.numberedMessages(attrs, "llm.choices.", kindResponse) || out
	for _, a := range attrs {
		switch a.Key {
		case "gen_ai.output.messages", "gen_ai.completion":
			c.messages(kindResponse, a.Value, a.Key)
		case "output.value", "traceloop.entity.output", "langfuse.observation.output", "langfuse.trace.output":
			switch {
			case r.tool:
				c.add(kindTool, "result", a.Value, a.Key)
			case r.embed, r.stage == sources.VectorSearch:
			case !out || !r.llm:
				c.messages(kindResponse, a.Value, a.Key)
			}
		}
	}
}

// event reads messages that arrive as events: the details event of the current
// conventions, and the one-message events of the older ones.
func (c *content) event(name string, attrs sources.Attrs) {
	get := func(keys ...string) (string, string) {
		for _, k := range keys {
			if v, ok := attrs.Get(k); ok {
				return v, k
			}
		}
		return "", ""
	}
	switch name {
	case "gen_ai.client.inference.operation.details":
		c.attrs(attrs, role{stage: sources.Inference, llm: true})
	case "gen_ai.system.message":
		v, k := get("content", "body")
		c.messages(kindSystem, v, name+": "+k)
	case "gen_ai.user.message":
		v, k := get("content", "body")
		c.one(kindPrompt, "user", v, name+": "+k)
	case "gen_ai.assistant.message":
		v, k := get("content", "body")
		c.one(kindPrompt, "assistant", v, name+": "+k)
	case "gen_ai.tool.message":
		v, k := get("content", "body")
		c.one(kindTool, "result", v, name+": "+k)
	case "gen_ai.choice":
		v, k := get("message", "content", "body")
		c.one(kindResponse, "assistant", v, name+": "+k)
	case "gen_ai.content.prompt":
		v, k := get("gen_ai.prompt", "body")
		c.messages(kindPrompt, v, k)
	case "gen_ai.content.completion":
		v, k := get("gen_ai.completion", "body")
		c.messages(kindResponse, v, k)
	}
}

// one adds a single message that may be plain text or an object holding "content" or "message".
func (c *content) one(kind, role, text, from string) {
	var m message
	if strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &m) == nil {
		if m.Message != nil {
			m = *m.Message
		}
		if m.Role == "" {
			m.Role = role
		}
		if c.message(kind, m, from) {
			return
		}
	}
	c.add(kind, role, text, from)
}

// message is one message in any of the JSON shapes that are in use.
type message struct {
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	Parts     json.RawMessage `json:"parts"`
	Message   *message        `json:"message"`
	ToolCalls []struct {
		Function struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

// messages adds a JSON list of messages, a provider's request or answer body,
// or, when it is none of those, the text as it stands.
func (c *content) messages(kind, text, from string) {
	var list []message
	if json.Unmarshal([]byte(text), &list) == nil && c.list(kind, list, from) {
		return
	}
	var body struct {
		message
		Messages []message `json:"messages"`
		Choices  []message `json:"choices"`
	}
	if strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &body) == nil {
		if c.list(kind, append(body.Messages, body.Choices...), from) || c.message(kind, body.message, from) {
			return
		}
	}
	c.add(kind, "", text, from)
}

func (c *content) list(kind string, list []message, from string) bool {
	added := false
	for _, m := range list {
		if m.Message != nil {
			m = *m.Message
		}
		added = c.message(kind, m, from) || added
	}
	return added
}

// message adds the parts of one message and tells whether it had any.
func (c *content) message(kind string, m message, from string) bool {
	switch m.Role {
	case "system", "developer":
		kind = kindSystem
	case "tool", "function":
		kind = kindTool
	}
	raw := m.Parts
	if len(raw) == 0 {
		raw = m.Content
	}
	before := len(c.seen)
	known := len(raw) > 0 && string(raw) != "null"
	if known {
		c.parts(kind, m.Role, string(raw), from)
	}
	for _, t := range m.ToolCalls {
		known = true
		c.add(kindTool, "call", t.Function.Name+" "+plain(t.Function.Arguments), from)
	}
	return known || len(c.seen) > before
}

// parts adds the parts of a message: a text, a list of texts, or a list of typed parts.
func (c *content) parts(kind, role, raw, from string) {
	var list []struct {
		Type      string          `json:"type"`
		Content   json.RawMessage `json:"content"`
		Text      string          `json:"text"`
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
		Response  json.RawMessage `json:"response"`
		Result    json.RawMessage `json:"result"`
	}
	if json.Unmarshal([]byte(raw), &list) != nil {
		var texts []string
		if json.Unmarshal([]byte(raw), &texts) == nil {
			c.add(kind, role, strings.Join(texts, "\n"), from)
			return
		}
		c.add(kind, role, plain(json.RawMessage(raw)), from)
		return
	}
	for _, p := range list {
		switch {
		case p.Type == "tool_call" || p.Type == "tool_use":
			c.add(kindTool, "call", p.Name+" "+plain(p.Arguments), from)
		case p.Type == "tool_call_response" || p.Type == "tool_result":
			c.add(kindTool, "result", plain(first(p.Response, p.Result, p.Content)), from)
		case p.Text != "":
			c.add(kind, role, p.Text, from)
		case len(p.Content) > 0:
			c.add(kind, role, plain(p.Content), from)
		case p.Type != "":
			c.add(kind, role, "("+p.Type+")", from)
		}
	}
}

func first(list ...json.RawMessage) json.RawMessage {
	for _, r := range list {
		if len(r) > 0 {
			return r
		}
	}
	return nil
}

// plain shows a JSON text as its text and anything else as it stands.
func plain(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func (c *content) documents(raw, from string) {
	var docs []map[string]json.RawMessage
	if json.Unmarshal([]byte(raw), &docs) != nil {
		c.add(kindContext, "documents", raw, from)
		return
	}
	for _, d := range docs {
		text := plain(first(d["content"], d["text"], d["page_content"]))
		line := plain(d["id"])
		if s := plain(d["score"]); s != "" {
			line += " (score " + s + ")"
		}
		if text != "" {
			line += "\n" + text
		}
		c.add(kindContext, "document", line, from)
	}
}

// numberedMessages adds OpenInference's and OpenLLMetry's flattened messages
// and tells whether there were any.
func (c *content) numberedMessages(attrs sources.Attrs, prefix, kind string) bool {
	type msg struct {
		role  string
		texts []string
		calls map[int]*[2]string
	}
	byN := map[int]*msg{}
	for _, a := range attrs {
		n, part, ok := numbered(a.Key, prefix)
		if !ok || n > maxContent {
			continue
		}
		m := byN[n]
		if m == nil {
			m = &msg{calls: map[int]*[2]string{}}
			byN[n] = m
		}
		part = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(part, "message."), "prompt."), "completion.")
		switch {
		case part == "role":
			m.role = a.Value
		case part == "content" || part == "text" || strings.HasPrefix(part, "contents.") && strings.HasSuffix(part, ".text"):
			m.texts = append(m.texts, a.Value)
		case strings.HasPrefix(part, "tool_calls."):
			k, field, ok := numbered(part, "tool_calls.")
			if !ok {
				continue
			}
			if m.calls[k] == nil {
				m.calls[k] = &[2]string{}
			}
			switch {
			case strings.HasSuffix(field, "name"):
				m.calls[k][0] = a.Value
			case strings.HasSuffix(field, "arguments"):
				m.calls[k][1] = a.Value
			}
		}
	}
	order := make([]int, 0, len(byN))
	for n := range byN {
		order = append(order, n)
	}
	sort.Ints(order)
	for _, n := range order {
		m := byN[n]
		k := kind
		switch m.role {
		case "system", "developer":
			k = kindSystem
		case "tool", "function":
			k = kindTool
		}
		from := prefix + strconv.Itoa(n)
		c.add(k, m.role, strings.Join(m.texts, "\n"), from)
		calls := make([]int, 0, len(m.calls))
		for i := range m.calls {
			calls = append(calls, i)
		}
		sort.Ints(calls)
		for _, i := range calls {
			c.add(kindTool, "call", strings.TrimSpace(m.calls[i][0]+" "+m.calls[i][1]), from)
		}
	}
	return len(order) > 0
}

// numberedDocuments adds OpenInference's flattened documents.
func (c *content) numberedDocuments(attrs sources.Attrs) {
	for _, a := range attrs {
		for _, prefix := range [...]string{"retrieval.documents.", "reranker.output_documents."} {
			if _, part, ok := numbered(a.Key, prefix); ok && part == "document.content" {
				c.add(kindContext, "document", a.Value, a.Key)
			}
		}
	}
}
