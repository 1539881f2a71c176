package otlp

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"rollcall/sources"
	"rollcall/sources/redact"
)

// Bounds of what is taken in; what is beyond is cut with a mark or counted.
const (
	maxValue    = 64 << 10 // bytes of one value
	maxIdentity = 256      // bytes of an identity
	maxName     = 256      // bytes of a span, event or key name
	maxAttrs    = 256      // attributes of one span, event or resource
	maxEvents   = 128      // events of one span

	shortestCard = 12 // digits: a number this long may be a card or a phone rather than a count
)

// batch turns one export call into plain types. Values that need redaction are
// gathered and redacted together at the end, because the redactor works best on
// much text at once.
type batch struct {
	out    sources.TraceBatch
	red    Redactor
	names  []string
	values []*string
	docs   []int
	ids    []identified
	doc    int
	docOf  map[sources.TraceID]int

	resources []*sources.Resource
	persons   map[string]string
	keys      map[string]string
	dropped   int // logs that are none of ours
	invalid   int // spans without a trace ID
}

// identified is a value that must survive, unless a secret was put there.
type identified struct {
	value *string
	doc   int
}

func newBatch(red Redactor) *batch {
	return &batch{red: red, docOf: map[sources.TraceID]int{}, persons: map[string]string{}, keys: map[string]string{}}
}

// traces converts and redacts the spans of one export call.
func traces(td ptrace.Traces, red Redactor) (*sources.TraceBatch, *batch) {
	b := newBatch(red)
	b.out.Spans = make([]sources.Span, 0, td.SpanCount())
	for _, rs := range td.ResourceSpans().All() {
		res := b.resource(rs.Resource().Attributes())
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				b.span(span, res)
			}
		}
	}
	b.redact()
	return &b.out, b
}

// logs converts and redacts the events among the log records of one export call.
func logs(ld plog.Logs, red Redactor) (*sources.TraceBatch, *batch) {
	b := newBatch(red)
	for _, rl := range ld.ResourceLogs().All() {
		var res *sources.Resource
		for _, sl := range rl.ScopeLogs().All() {
			for _, rec := range sl.LogRecords().All() {
				name := rec.EventName()
				if name == "" {
					if v, ok := rec.Attributes().Get("event.name"); ok {
						name = v.AsString()
					}
				}
				if !strings.HasPrefix(name, "gen_ai.") && name != "user_feedback" {
					b.dropped++
					continue
				}
				if res == nil {
					res = b.resource(rl.Resource().Attributes())
				}
				b.event(rec, name, res)
			}
		}
	}
	b.redact()
	return &b.out, b
}

func (b *batch) resource(attrs pcommon.Map) *sources.Resource {
	b.doc = 0
	r := &sources.Resource{Attrs: b.attrs(attrs)}
	b.resources = append(b.resources, r)
	return r
}

// document gives each trace its own numbering of placeholders; 0 is the resources'.
func (b *batch) document(id sources.TraceID) {
	n, ok := b.docOf[id]
	if !ok {
		n = len(b.docOf) + 1
		b.docOf[id] = n
	}
	b.doc = n
}

func (b *batch) span(in ptrace.Span, res *sources.Resource) {
	s := sources.Span{
		TraceID: sources.TraceID(in.TraceID()), SpanID: sources.SpanID(in.SpanID()), Parent: sources.SpanID(in.ParentSpanID()),
		Kind: kind(in.Kind()), Start: int64(in.StartTimestamp()), End: int64(in.EndTimestamp()),
		Error: in.Status().Code() == ptrace.StatusCodeError, Resource: res,
	}
	if s.TraceID.IsZero() {
		b.invalid++
		return
	}
	b.document(s.TraceID)
	s.Name = name(in.Name())
	s.Message = cut(in.Status().Message())
	s.Attrs = b.attrs(in.Attributes())
	events := in.Events()
	if n := min(events.Len(), maxEvents); n > 0 {
		s.Events = make([]sources.SpanEvent, n)
		for i := range n {
			e := events.At(i)
			s.Events[i] = sources.SpanEvent{Time: int64(e.Timestamp()), Name: name(e.Name()), Attrs: b.attrs(e.Attributes())}
			b.gather(&s.Events[i].Name)
		}
		if over := events.Len() - n; over > 0 {
			s.Attrs = append(s.Attrs, sources.Attr{Key: "rollcall.dropped_events", Value: fmt.Sprint(over)})
		}
	}
	b.out.Spans = append(b.out.Spans, s) // capacity is reserved: the addresses below stay good
	kept := &b.out.Spans[len(b.out.Spans)-1]
	b.gather(&kept.Name)
	if kept.Message != "" {
		b.gather(&kept.Message)
	}
}

func (b *batch) event(in plog.LogRecord, eventName string, res *sources.Resource) {
	e := sources.TraceEvent{
		TraceID: sources.TraceID(in.TraceID()), SpanID: sources.SpanID(in.SpanID()),
		Name: name(eventName), Time: int64(in.Timestamp()), Resource: res,
	}
	if e.Time == 0 {
		e.Time = int64(in.ObservedTimestamp())
	}
	b.document(e.TraceID)
	e.Attrs = b.attrs(in.Attributes())
	if body := in.Body(); body.Type() != pcommon.ValueTypeEmpty {
		// attrs leaves room, so that the addresses that were gathered stay good.
		e.Attrs = append(e.Attrs, sources.Attr{Key: "body", Value: cut(body.AsString())})
		b.gather(&e.Attrs[len(e.Attrs)-1].Value)
	}
	b.out.Events = append(b.out.Events, e)
}

// attrs converts a list of attributes; values to be redacted are gathered by
// address. The list has room for one more.
func (b *batch) attrs(m pcommon.Map) sources.Attrs {
	n := min(m.Len(), maxAttrs)
	if n == 0 {
		return nil
	}
	out := make(sources.Attrs, 0, n+2)
	for k, v := range m.All() {
		if len(out) == n {
			break
		}
		out = append(out, sources.Attr{})
		b.attr(&out[len(out)-1], k, v)
	}
	if over := m.Len() - n; over > 0 {
		out = append(out, sources.Attr{Key: "rollcall.dropped_attributes", Value: fmt.Sprint(over)})
	}
	return out
}

func (b *batch) attr(a *sources.Attr, key string, v pcommon.Value) {
	a.Key = b.key(key)
	how := classify(key)
	switch v.Type() {
	case pcommon.ValueTypeInt, pcommon.ValueTypeDouble, pcommon.ValueTypeBool:
		a.Value = v.AsString()
		if how == person {
			a.Value = b.person(a.Value)
		}
		if how == content && len(a.Value) >= shortestCard {
			b.gather(&a.Value)
		}
		return
	case pcommon.ValueTypeEmpty:
		return
	case pcommon.ValueTypeSlice:
		if how == vector || numbers(v.Slice()) && v.Slice().Len() > 64 {
			a.Value = fmt.Sprintf("(%d numbers, not kept)", v.Slice().Len())
			return
		}
	}
	text := cut(v.AsString())
	switch how {
	case person:
		if text != "" {
			text = b.person(text)
		}
		a.Value = text
		return
	case identity:
		if looksPlain(text) {
			a.Value = redact.SanitizeLine(text, maxIdentity)
			b.ids = append(b.ids, identified{&a.Value, b.doc})
			return
		}
	case idList:
		if onlyIDs(text) {
			a.Value = redact.Sanitize(text)
			b.ids = append(b.ids, identified{&a.Value, b.doc})
			return
		}
	case secret:
		if text != "" {
			a.Value = "<secret>"
		}
		return
	case vector, content:
	}
	a.Value = text
	b.gather(&a.Value)
}

func numbers(s pcommon.Slice) bool {
	if s.Len() == 0 {
		return false
	}
	t := s.At(0).Type()
	return t == pcommon.ValueTypeDouble || t == pcommon.ValueTypeInt
}

// onlyIDs tells whether a list of retrieved documents holds nothing but IDs and scores.
func onlyIDs(text string) bool {
	var docs []map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &docs) != nil {
		return false
	}
	for _, d := range docs {
		for k, v := range d {
			switch k {
			case "id":
				if !looksPlain(string(v)) {
					return false
				}
			case "score":
				if len(v) > 32 || len(v) > 0 && v[0] == '"' {
					return false
				}
			default:
				return false
			}
		}
	}
	return true
}

// person returns the token of a person, made once per call.
func (b *batch) person(v string) string {
	t, ok := b.persons[v]
	if !ok {
		t = b.red.Person(v)
		b.persons[v] = t
	}
	return t
}

// key is the name of an attribute, redacted once per call: a service may put
// anything into it, a map of people to counts for one.
func (b *batch) key(k string) string {
	t, ok := b.keys[k]
	if !ok {
		t = name(b.red.Text(k))
		b.keys[k] = t
	}
	return t
}

func (b *batch) gather(s *string) {
	b.names = append(b.names, "")
	b.values = append(b.values, s)
	b.docs = append(b.docs, b.doc)
}

// identities gathers those identities that do hold a secret. The same few values stand
// in span after span, so that each is looked at once.
func (b *batch) identities() {
	if len(b.ids) == 0 {
		return
	}
	at := make(map[string]int, len(b.ids)/4)
	var names, was []string
	var values []*string
	for _, id := range b.ids {
		if _, seen := at[*id.value]; !seen {
			at[*id.value] = len(was)
			v := *id.value
			names, was, values = append(names, redact.Identity), append(was, v), append(values, &v)
		}
	}
	b.red.Fields(names, values, nil)
	for _, id := range b.ids {
		if i := at[*id.value]; *values[i] != was[i] {
			b.names, b.values, b.docs = append(b.names, redact.Identity), append(b.values, id.value), append(b.docs, id.doc)
		}
	}
}

func (b *batch) redact() {
	b.identities()
	if len(b.values) > 0 {
		b.red.Fields(b.names, b.values, b.docs)
	}
	for _, r := range b.resources {
		r.Service, _ = r.Attrs.Get("service.name")
	}
	for i := range b.out.Events {
		e := &b.out.Events[i]
		e.ResponseID, _ = e.Attrs.Get("gen_ai.response.id")
	}
	for i := range b.out.Spans {
		s := &b.out.Spans[i]
		s.Name = oneLine(s.Name)
		s.Message = oneLine(s.Message)
		for j := range s.Events {
			s.Events[j].Name = oneLine(s.Events[j].Name)
		}
	}
}

// oneLine makes a redacted name fit one row of a screen.
func oneLine(s string) string {
	if strings.ContainsAny(s, "\n\t") {
		return redact.SanitizeLine(s, 0)
	}
	return s
}

// name bounds and sanitises a key or a name.
func name(s string) string { return redact.SanitizeLine(s, maxName) }

// cut bounds a value. It prefers to cut between words, so that no half of a
// secret is left that a pattern would no longer know.
func cut(s string) string {
	if len(s) <= maxValue {
		return s
	}
	end := maxValue
	if i := strings.LastIndexAny(s[end-1024:end], " \n\t\",;"); i >= 0 {
		end += i - 1024
	}
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%s… (+%d bytes)", s[:end], len(s)-end)
}

func kind(k ptrace.SpanKind) string {
	switch k {
	case ptrace.SpanKindServer:
		return "server"
	case ptrace.SpanKindClient:
		return "client"
	case ptrace.SpanKindInternal:
		return "internal"
	case ptrace.SpanKindProducer:
		return "producer"
	case ptrace.SpanKindConsumer:
		return "consumer"
	}
	return ""
}
