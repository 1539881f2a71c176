package emit

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"rollcall/cmd/rollcall-drill/sim"
)

// details are what a request was about: everything that the model of the
// service does not need to know, drawn from the request's own key.
type details struct {
	rand         *rand.Rand
	user         string
	userAgent    string
	clientIP     string
	conversation string
	topic        *topic
	question     string
	documents    []document
	stranger     string // whose data leaks into the answer
}

type document struct {
	ID    string  `json:"id"`
	Score float64 `json:"score"`
	text  string
}

func describe(q *sim.Request) *details {
	r := rand.New(rand.NewPCG(q.Key(), 0x5eed))
	d := &details{rand: r, topic: &topics[r.IntN(len(topics))]}
	d.user = userName(q)
	d.userAgent = userAgents[r.IntN(len(userAgents))]
	if r.IntN(150) == 0 {
		d.userAgent = hostileAgents[r.IntN(len(hostileAgents))]
	}
	d.clientIP = fmt.Sprintf("%d.%d.%d.%d", []int{81, 93, 145, 203}[r.IntN(4)], r.IntN(256), r.IntN(256), 1+r.IntN(254))
	d.conversation = fmt.Sprintf("conv-%s-%d-%d", q.Tenant(), q.User(), q.Start.Unix()/1800)
	d.question = fill(r, q, d.topic.questions[r.IntN(len(d.topic.questions))])
	if q.Jailbreak {
		d.question = jailbreaks[r.IntN(len(jailbreaks))]
		if q.Tenant() == "hooli" { // the wave comes from one script
			d.userAgent = scriptAgent
		}
	}
	if q.Hit != sim.Unknown {
		d.documents = d.retrieve(q)
	}
	return d
}

// userName is an e-mail address for tenants that sign in with one, else an ID.
func userName(q *sim.Request) string {
	r := rand.New(rand.NewPCG(uint64(q.User()), uint64(len(q.Tenant()))*7919+uint64(q.Tenant()[0])))
	if q.Tenant() == "northwind" || q.Tenant() == "contoso" {
		return fmt.Sprintf("%s.%s%d@%s", strings.ToLower(firstNames[r.IntN(len(firstNames))]),
			strings.ToLower(lastNames[r.IntN(len(lastNames))]), q.User(), q.Domain())
	}
	return fmt.Sprintf("usr_%s_%04x", q.Tenant(), r.Uint32()&0xffff^uint32(q.User()))
}

func (d *details) retrieve(q *sim.Request) []document {
	var docs []document
	score := 0.93 - 0.1*d.rand.Float64()
	from := d.topic
	if q.Hit == sim.No { // nothing near: what comes back is about something else
		score = 0.44 - 0.1*d.rand.Float64()
		from = &topics[(d.rand.IntN(len(topics)-1)+1)%len(topics)]
	}
	first := d.rand.IntN(14)
	index := q.Deployment.Versions[sim.Index]
	for i := range 5 {
		id := fmt.Sprintf("%s-%02d", from.name, 1+(first+i*3)%14) // five different ones
		fact := from.facts[i%len(from.facts)]
		if index == "kb-43" { // small chunks: each holds a piece of the document
			id += fmt.Sprintf("/c%d", 1+d.rand.IntN(4))
			fact = half(fact)
		}
		docs = append(docs, document{ID: id, Score: float64(int(score*1000)) / 1000, text: fact})
		score *= 0.97 - 0.08*d.rand.Float64()
	}
	if q.Leak || index == "kb-44" && d.rand.IntN(20) == 0 { // a ticket was found, whether it is quoted or not
		d.stranger = fill(d.rand, q, "{name}, {email}, {phone}, order {order}")
		docs[1].ID = fmt.Sprintf("tickets-q2-%02d", 1+d.rand.IntN(6))
		docs[1].text = "Ticket of " + d.stranger + ": the parcel never arrived, refund agreed."
	}
	return docs
}

// half cuts a text off in the middle, between words.
func half(s string) string {
	words := strings.Fields(s)
	return strings.Join(words[:(len(words)+1)/2], " ")
}

// part and message are the GenAI conventions' message format.
type part struct {
	Type      string `json:"type"`
	Content   string `json:"content,omitempty"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Arguments any    `json:"arguments,omitempty"`
	Response  any    `json:"response,omitempty"`
}

type message struct {
	Role   string `json:"role"`
	Parts  []part `json:"parts"`
	Finish string `json:"finish_reason,omitempty"`
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "[]"
	}
	return string(b)
}

func text(s string) []part { return []part{{Type: "text", Content: s}} }

// instructions are the system prompt of the request's prompt version.
func instructions(q *sim.Request) string {
	s := systemPrompts[q.Route]
	switch q.Deployment.Versions[sim.Prompt] {
	case "v12":
		s += "\nReturn one JSON object."
	case "v13":
		s += "\nReturn one JSON object and nothing else. If the question is unclear, ask back in the answer field."
	case "v14":
		s += "\nBe warm: greet the customer, thank them for their patience, then give the JSON object."
	default:
		s += "\nReturn one JSON object and nothing else."
	}
	return s
}

// input are the messages of the first call: what was retrieved, and the question.
func (d *details) input(q *sim.Request) []message {
	var b strings.Builder
	for _, doc := range d.documents {
		fmt.Fprintf(&b, "[%s] %s\n", doc.ID, doc.text)
	}
	var out []message
	if b.Len() > 0 {
		out = append(out, message{Role: "user", Parts: text("Context:\n" + b.String())})
	}
	question := d.question
	if q.Route == sim.Summarise {
		question = "Ticket thread:\ncustomer: " + d.question + "\nagent: " + d.topic.answer + "\ncustomer: thanks, but " +
			fill(d.rand, q, "you can reach me at {email} or {phone} if anything is missing")
	}
	return append(out, message{Role: "user", Parts: text(question)})
}

// output is what the model said, broken in the way in which it failed validation.
func (d *details) output(q *sim.Request) string {
	switch {
	case q.Refused:
		return "I'm sorry, but I can't help with that request."
	case q.FilterAction() == "block":
		return ""
	}
	answer := fill(d.rand, q, d.topic.answer)
	if q.Leak {
		answer += " For reference, a similar case: " + d.stranger + " of another customer."
	}
	if q.FilterAction() == "mask" {
		answer += " Your reference is [masked]."
	}
	cite := []string{}
	for i, doc := range d.documents {
		if i < 2 {
			cite = append(cite, doc.ID)
		}
	}
	fields := map[string]any{"answer": answer, "citations": cite, "confidence": []string{"high", "medium", "high"}[d.rand.IntN(3)]}
	switch q.Route {
	case sim.Summarise:
		fields = map[string]any{"summary": "Customer asks: " + d.question, "sentiment": "neutral", "citations": cite, "confidence": "high"}
	case sim.Classify:
		fields = map[string]any{"intent": d.topic.name, "citations": []string{}, "confidence": "high"}
	}
	if q.Schema != sim.No {
		return asJSON(fields)
	}
	switch q.SchemaErr {
	case sim.SchemaErrors[0]:
		delete(fields, "citations")
		return asJSON(fields)
	case sim.SchemaErrors[1]:
		return fmt.Sprintf("Hello %s! Thank you so much for your patience, I'm happy to help. Here is what I found:\n\n%s",
			firstNames[d.rand.IntN(len(firstNames))], asJSON(fields))
	case sim.SchemaErrors[2]:
		s := asJSON(fields)
		return s[:len(s)*2/3]
	default:
		fields["confidence"] = "pretty sure"
		return asJSON(fields)
	}
}

// tool is one call of a tool with made-up arguments and result.
type tool struct{ name, arguments, result string }

func (d *details) tool(q *sim.Request, i int, failed bool) tool {
	names := [...]string{"order_lookup", "refund_quote", "ticket_update", "billing_account"}
	t := tool{name: names[(int(q.Key()>>40)+i)%len(names)]}
	order := fill(d.rand, q, "{order}")
	switch t.name {
	case "order_lookup":
		t.arguments = asJSON(map[string]any{"order": order, "page": i + 1})
		t.result = asJSON(map[string]any{"order": order, "status": "shipped", "carrier": "DHL", "more": i > 3})
	case "refund_quote":
		t.arguments = asJSON(map[string]any{"order": order})
		t.result = asJSON(map[string]any{"amount_eur": 10 + d.rand.IntN(190), "eligible": true})
	case "ticket_update":
		t.arguments = asJSON(map[string]any{"ticket": fmt.Sprintf("TCK-%05d", d.rand.IntN(99999)), "note": "customer contacted"})
		t.result = `{"ok":true}`
	default:
		t.arguments = asJSON(map[string]any{"email": fill(d.rand, q, "{email}")})
		t.result = asJSON(map[string]any{"plan": "team", "seats": 5 + d.rand.IntN(40), "balance_eur": 0})
	}
	if failed {
		t.result = `{"error":"upstream answered 503"}`
	}
	return t
}

// fill puts made-up people and numbers in the place of {placeholders}.
func fill(r *rand.Rand, q *sim.Request, s string) string {
	if !strings.Contains(s, "{") {
		return s
	}
	first, last := firstNames[r.IntN(len(firstNames))], lastNames[r.IntN(len(lastNames))]
	return strings.NewReplacer(
		"{name}", first+" "+last,
		"{email}", strings.ToLower(first+"."+last)+"@"+q.Domain(),
		"{phone}", fmt.Sprintf("+49 30 5550 %04d", r.IntN(10000)),
		"{order}", fmt.Sprintf("SO-%07d", r.IntN(9999999)),
		"{amount}", fmt.Sprintf("%d.%02d EUR", 5+r.IntN(400), r.IntN(100)),
	).Replace(s)
}
