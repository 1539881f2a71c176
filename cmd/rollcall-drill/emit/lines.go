package emit

import (
	"encoding/json"
	"time"

	"rollcall/cmd/rollcall-drill/sim"
)

// line is one log line as the service writes it: a JSON object.
type line struct {
	at         time.Time
	TS         string  `json:"ts"`
	Level      string  `json:"level"`
	Msg        string  `json:"msg"`
	RequestID  string  `json:"request_id,omitempty"`
	TraceID    string  `json:"trace_id,omitempty"`
	Stage      string  `json:"stage,omitempty"`
	Route      string  `json:"route,omitempty"`
	Tenant     string  `json:"tenant,omitempty"`
	Region     string  `json:"region,omitempty"`
	User       string  `json:"user,omitempty"`
	Prompt     string  `json:"prompt_version,omitempty"`
	Model      string  `json:"model,omitempty"`
	Manifest   string  `json:"manifest,omitempty"`
	ErrorType  string  `json:"error_type,omitempty"`
	Detail     string  `json:"detail,omitempty"`
	Validation string  `json:"validation_result,omitempty"`
	Document   string  `json:"document,omitempty"`
	Index      string  `json:"index_version,omitempty"`
	Tool       string  `json:"tool,omitempty"`
	UserAgent  string  `json:"user_agent,omitempty"`
	ClientIP   string  `json:"client_ip,omitempty"`
	Status     int     `json:"status,omitempty"`
	DurationMS float64 `json:"duration_ms,omitempty"`
	TokensIn   int     `json:"tokens_in,omitempty"`
	TokensOut  int     `json:"tokens_out,omitempty"`
	Actor      string  `json:"actor,omitempty"`
	Component  string  `json:"component,omitempty"`
	From       string  `json:"from,omitempty"`
	To         string  `json:"to,omitempty"`
}

func (l *line) text() string {
	l.TS = l.at.UTC().Format("2006-01-02T15:04:05.000Z")
	b, err := json.Marshal(l)
	if err != nil {
		return `{"level":"error","msg":"log line could not be written"}`
	}
	return string(b)
}

// tell returns the lines that a request writes in the course of its life.
func tell(q *sim.Request) []line {
	d := describe(q)
	t := teller{q: q, docs: d.documents, trace: hexID(q.TraceID())}
	t.say(q.Start, "info", "request accepted", func(l *line) {
		l.Route, l.Tenant, l.Region, l.User = q.Route.String(), q.Tenant(), q.Region(), d.user
		l.UserAgent, l.ClientIP = d.userAgent, d.clientIP
	})
	at := q.Start.Add(seconds(q.Queued))
	for stage, took := range q.Stages {
		if stage == sim.StageInference {
			at = t.calls(at)
			continue
		}
		at = at.Add(seconds(took))
		if took > 0 {
			t.stage(stage, at, took)
		}
	}
	if d.rand.IntN(150) == 0 {
		t.say(at.Add(-time.Millisecond), "warn", careless(d.rand, func(s string) string { return fill(d.rand, q, s) }), nil)
	}
	t.end()
	return t.lines
}

type teller struct {
	q     *sim.Request
	docs  []document
	trace string
	lines []line
}

func hexID(id [16]byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 32)
	for _, b := range id {
		out = append(out, digits[b>>4], digits[b&15])
	}
	return string(out)
}

func (t *teller) say(at time.Time, level, msg string, more func(l *line)) {
	l := line{at: at, Level: level, Msg: msg, RequestID: t.q.ID(), TraceID: t.trace}
	if more != nil {
		more(&l)
	}
	t.lines = append(t.lines, l)
}

func (t *teller) stage(stage int, at time.Time, took float64) {
	q := t.q
	about := func(l *line) { l.Stage, l.DurationMS = sim.StageNames[stage], millis(took) }
	switch stage {
	case sim.StageVectorSearch:
		if q.Hit == sim.No {
			t.say(at, "warn", "no relevant document found", func(l *line) {
				about(l)
				l.Index = q.Deployment.Versions[sim.Index]
			})
		} else if took > 0.25 {
			t.say(at, "warn", "vector search was slow", about)
		}
	case sim.StageValidation:
		switch {
		case q.Schema == sim.No:
			t.say(at, "warn", "answer does not match the schema", func(l *line) {
				about(l)
				l.Validation, l.Detail, l.Prompt, l.Model = "fail", q.SchemaErr, q.Deployment.Versions[sim.Prompt], q.Deployment.Served
			})
		case q.Refused:
			t.say(at, "info", "model refused", about)
		}
		if a := q.FilterAction(); a == "mask" || a == "block" {
			t.say(at, "warn", "content filter: "+a, about)
		}
		if q.Leak {
			t.say(at, "error", "personal data of another customer in the answer", func(l *line) {
				about(l)
				if len(t.docs) > 1 {
					l.Document, l.Index = t.docs[1].ID, q.Deployment.Versions[sim.Index]
				}
			})
		}
	}
}

func (t *teller) calls(at time.Time) time.Time {
	q := t.q
	for i := range q.Calls {
		c := &q.Calls[i]
		at = at.Add(seconds(c.Seconds))
		about := func(l *line) {
			l.Stage, l.Model, l.DurationMS = sim.StageNames[sim.StageInference], c.Served, millis(c.Seconds)
			l.TokensIn, l.TokensOut, l.ErrorType = c.In, c.Out, c.ErrorType()
		}
		switch {
		case c.ErrorType() != "" && q.Failed():
			t.say(at, "error", "model call failed", about)
		case c.ErrorType() != "":
			t.say(at, "warn", "model call failed, trying the fallback", about)
		case i == len(q.Calls)-1:
			t.say(at, "info", "model answered", about)
		}
		if c.Tool {
			at = at.Add(seconds(c.ToolSeconds))
			if c.ToolErr {
				t.say(at, "warn", "tool failed: upstream answered 503", func(l *line) { l.Stage, l.DurationMS = "tool", millis(c.ToolSeconds) })
			}
		}
	}
	if len(q.Calls) > 8 {
		t.say(at, "warn", "agent needed many calls", func(l *line) {
			l.Stage, l.Tenant, l.TokensIn, l.TokensOut = sim.StageNames[sim.StageInference], q.Tenant(), q.TokensIn, q.TokensOut
		})
	}
	return at
}

func (t *teller) end() {
	q := t.q
	level, msg := "info", "request finished"
	if q.Failed() {
		level, msg = "error", "request failed: "+errorMessage(q)
	}
	t.say(q.End(), level, msg, func(l *line) {
		l.Route, l.Tenant, l.DurationMS = q.Route.String(), q.Tenant(), millis(q.Latency)
		l.Status, l.ErrorType = httpStatus[q.ErrorType()], q.ErrorType()
		if q.Schema == sim.Yes {
			l.Validation = "pass" // a failure has its own line, with what was wrong
		}
		l.Prompt, l.Manifest = q.Deployment.Versions[sim.Prompt], q.Deployment.ID
	})
}

func millis(s float64) float64 { return float64(int(s*10000)) / 10 }
