package sim

import (
	"fmt"
	"time"
)

// Stages of a request, in order.
const (
	StagePreprocess = iota
	StageEmbed
	StageVectorSearch
	StageRerank
	StagePromptAssembly
	StageInference
	StageValidation
	StageDelivery
	StageCount
)

// StageNames names them as the llmops contract does.
var StageNames = [StageCount]string{
	"preprocess", "embed", "vector_search", "rerank", "prompt_assembly", "inference", "validation", "delivery",
}

// SchemaErrors are the ways in which an answer fails validation.
var SchemaErrors = []string{
	"citations: required property is missing",
	"prose before the JSON object",
	"unexpected end of JSON",
	"confidence: must be one of low, medium, high",
}

// Tri is an answer that may be unknown.
type Tri int

// The answers.
const (
	Unknown Tri = iota
	Yes
	No
)

// Deployment is one manifest that takes traffic.
type Deployment struct {
	Versions
	ID          string
	Stage       string
	Share       float64 // of traffic
	Served      string  // what the provider serves for the pinned model
	Fingerprint string

	schemaErr string // what the validator says when this prompt fails it
	counts    *tally // by prompt, model and index
	search    *tally // by index
	cells     [routeCount][]params
}

// cell returns the parameters for a route, tenant and region.
func (d *Deployment) cell(r Route, tenant, region int) *params {
	c := d.cells[r]
	if len(c) == 1 {
		return &c[0]
	}
	return &c[tenant*len(regions)+region]
}

// Call is one call of a language model.
type Call struct {
	Model, Served, Fingerprint string
	In, Out, Cached            int
	TTFT, Seconds              float64
	Finish                     finish
	Err                        errorType
	Tool                       bool // a tool ran after it
	ToolSeconds                float64
	ToolErr                    bool
}

// FinishReason is why the call ended, or nothing when it failed.
func (c *Call) FinishReason() string {
	if c.Err != noError {
		return ""
	}
	return c.Finish.String()
}

// ErrorType is why the call failed, or nothing.
func (c *Call) ErrorType() string { return c.Err.String() }

// Request is one simulated user request with everything that happened to it.
type Request struct {
	key     uint64 // identity: everything else about it can be drawn from this again
	Sampled bool   // handed to the sink
	Start   time.Time
	offset  time.Duration

	Deployment *Deployment
	Route      Route
	tenant     int
	user       int
	region     int

	Queued  float64             // seconds waited before the first stage
	Stages  [StageCount]float64 // seconds; 0: the stage did not run
	TTFT    float64             // seconds, of the call that answered; 0: no answer was streamed
	Calls   []Call
	Latency float64 // seconds

	err       errorType
	denied    int // 1 + index of the reason
	Cache     Cache
	filter    filterAction
	Refused   bool
	Answered  bool // a model answered
	Schema    Tri
	SchemaErr string
	Hit       Tri
	Jailbreak bool
	Leak      bool
	Fallback  bool

	TokensIn, TokensOut, TokensCached int
	CostUSD                           float64
	saved                             [cacheCount]float64
	redacted                          [len(redactionKinds)]int

	Feedback  Tri  // Yes: up
	late      bool // the feedback comes after the answer
	Complaint bool
}

// ID is the request ID of the service.
func (q *Request) ID() string { return fmt.Sprintf("req_%012x", q.key>>16) }

// TraceID is the trace of the request.
func (q *Request) TraceID() (id [16]byte) {
	a, b := mix(q.key), mix(q.key+1)
	for i := range 8 {
		id[i], id[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	return id
}

// Key is a number that identifies the request; details are drawn from it.
func (q *Request) Key() uint64 { return q.key }

// Tenant is the customer whose user asked.
func (q *Request) Tenant() string { return tenants[q.tenant].name }

// Domain is the tenant's mail domain.
func (q *Request) Domain() string { return tenants[q.tenant].domain }

// User is the number of the user within the tenant.
func (q *Request) User() int { return q.user }

// Region is where the request was served.
func (q *Request) Region() string { return regions[q.region].name }

// PromptName is the template that the route uses.
func (q *Request) PromptName() string { return routes[q.Route].prompt }

// ErrorType is why the request failed, or nothing.
func (q *Request) ErrorType() string { return q.err.String() }

// Failed tells whether the user got an error.
func (q *Request) Failed() bool { return q.err != noError }

// DeniedReason is why access was denied, or nothing.
func (q *Request) DeniedReason() string {
	if q.denied == 0 {
		return ""
	}
	return deniedReasons[q.denied-1]
}

// PromptFeedback is feedback that came together with the answer.
func (q *Request) PromptFeedback() Tri {
	if q.late {
		return Unknown
	}
	return q.Feedback
}

// FilterAction is what the content filter did, or nothing when it did not run.
func (q *Request) FilterAction() string { return q.filter.String() }

// End is when the user had the answer.
func (q *Request) End() time.Time { return q.Start.Add(seconds(q.Latency)) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
