package sim

import "math"

// environment is what the requests of one second have in common.
type environment struct {
	wobble   wobbles
	slow     float64 // factor of latency from load
	queue    float64 // seconds that a request waits now
	squeeze  float64 // probability that saturation makes a request time out
	pressure float64 // probability that the provider's quota rejects a call
	off      featureSet
	broke    bool // a budget that refuses requests is used up
}

// featureSet is which features are switched off.
type featureSet struct {
	exact, semantic, rerank, agent, fallback bool
	tenants                                  [len(tenants)]bool
}

const (
	callTimeout    = 15.0 // seconds until a call is given up
	toolSeconds    = 0.18
	searchTopK     = 5
	maxCalls       = 60
	outputLimit    = 1200
	prefixShare    = 0.62 // of the input that the provider can cache
	promptFeedback = 0.3  // share of feedback that comes with the answer
	growthPerCall  = 380  // tokens by which an agent's context grows per call
)

// draw decides everything about a request. q has its identity, time,
// deployment, tenant, route and region already; p are the parameters of those.
func draw(d dice, env *environment, p *params, q *Request) {
	at := func(x Param) float64 { return p[x] * env.wobble[paramTable[x].wobble] }
	slow := env.slow
	stage := func(s int, x Param, sigma float64) { q.Stages[s] = d.around(at(x)*slow, sigma) }

	drawUser(d, env, p, q)
	q.Queued = env.queue
	if q.Queued > 0 {
		q.Queued *= 0.8 + 0.4*d.Float64()
	}
	stage(StagePreprocess, Preprocess, 0.3)
	switch {
	case env.off.tenants[q.tenant]:
		q.err, q.denied = errDenied, len(deniedReasons)
	case d.chance(at(Denied)):
		q.err, q.denied = errDenied, 1+d.IntN(len(deniedReasons)-1)
	case env.broke:
		q.err = errBudget
	}
	q.Jailbreak = d.chance(at(Jailbreak))
	if !q.Failed() {
		drawAnswer(d, env, p, q, at, stage)
	}
	for _, s := range q.Stages {
		q.Latency += s
	}
	q.Latency += q.Queued
	drawOpinion(d, q, at)
}

// drawUser draws who of the tenant asks: a few ask much, many ask now and then.
func drawUser(d dice, env *environment, p *params, q *Request) {
	if d.chance(p[TopCaller] * env.wobble[paramTable[TopCaller].wobble]) {
		return
	}
	u := d.Float64()
	q.user = int(float64(tenants[q.tenant].users) * u * u * math.Sqrt(u))
}

func drawAnswer(d dice, env *environment, p *params, q *Request, at func(Param) float64, stage func(int, Param, float64)) {
	stage(StageDelivery, Delivery, 0.35)
	redact(d, q)
	price := prices[q.Deployment.Versions[Model]]
	if !env.off.exact && !q.Jailbreak && d.chance(at(CacheExact)) {
		q.Cache = ExactHit
		q.saved[ExactHit] = (price.Input*p[TokensIn]*0.6 + price.Output*p[TokensOut]) * p[Calls]
		return
	}
	if q.Route != Classify {
		stage(StageEmbed, Embed, 0.35)
		q.CostUSD += prices[embedModel].Input * d.around(34, 0.4)
		if !env.off.semantic && !q.Jailbreak && d.chance(at(CacheSemantic)) {
			q.Cache = SemanticHit
			q.saved[SemanticHit] = (price.Input*p[TokensIn]*0.6 + price.Output*p[TokensOut]) * p[Calls]
			return
		}
		stage(StageVectorSearch, VectorSearch, 0.4)
		if d.chance(at(SearchSlow)) {
			q.Stages[StageVectorSearch] *= 20
		}
		q.Hit = Yes
		if d.chance(at(RetrievalMiss)) {
			q.Hit = No
		}
		if !env.off.rerank {
			stage(StageRerank, Rerank, 0.3)
		}
	}
	stage(StagePromptAssembly, PromptAssembly, 0.3)
	drawCalls(d, env, q, at)
	if !q.Failed() {
		q.Answered = true
		judge(d, q, at)
		stage(StageValidation, Validation, 0.3)
	}
	for i := range q.Calls {
		c := &q.Calls[i]
		q.Stages[StageInference] += c.Seconds + c.ToolSeconds
		q.TokensIn += c.In
		q.TokensOut += c.Out
		q.TokensCached += c.Cached
		pr := prices[c.Model]
		q.CostUSD += p[Price] * (float64(c.In-c.Cached)*pr.Input + float64(c.Cached)*pr.Cached + float64(c.Out)*pr.Output)
		q.saved[ProviderHit] += float64(c.Cached) * (pr.Input - pr.Cached)
	}
	if q.TokensCached > 0 {
		q.Cache = ProviderHit
	} else {
		q.Stages[StageVectorSearch] *= at(ColdSearch)
	}
}

// drawCalls draws the calls of the model: one, or the loop of an agent.
func drawCalls(d dice, env *environment, q *Request, at func(Param) float64) {
	n := 1
	if q.Route == Agent && !env.off.agent {
		n = 1 + int(d.poisson(max(at(Calls)-1, 0)))
		n = min(n, maxCalls)
	}
	dep := q.Deployment
	in := d.around(at(TokensIn), 0.33)
	first := true
	for k := range n {
		last := k == n-1
		c := Call{
			Model: dep.Versions[Model], Served: dep.Served, Fingerprint: dep.Fingerprint,
			In: int(in) + k*growthPerCall,
		}
		switch {
		case d.chance(env.pressure) || first && d.chance(at(RateLimited)):
			c.Err, c.Seconds = errRateLimited, d.around(0.12, 0.3)
		case first && d.chance(at(Timeout)+env.squeeze):
			c.Err, c.Seconds = errTimeout, callTimeout
		case first && d.chance(at(ProviderErr)):
			c.Err, c.Seconds = errProvider, d.around(0.6, 0.5)
		}
		first = false
		if c.Err != noError {
			c.In = 0
			q.Calls = append(q.Calls, c)
			if env.off.fallback || q.Fallback || !d.chance(at(Fallback)) {
				q.err = c.Err
				return
			}
			q.Fallback = true
			c = Call{Model: fallbackModel, Served: fallbackModel, Fingerprint: fallbackPrint, In: int(in) + k*growthPerCall}
		}
		tempo := env.slow
		if c.Model == fallbackModel && dep.Versions[Model] != fallbackModel {
			tempo *= 0.65
		}
		answer(d, &c, at, tempo, last)
		if last {
			q.TTFT = c.TTFT
		} else {
			c.Finish, c.Tool = finishTools, true
			c.ToolSeconds = d.around(toolSeconds, 0.6)
			c.ToolErr = d.chance(at(ToolErr))
			if c.ToolErr && d.chance(0.12) { // most of the time the agent copes
				q.err = errTool
				q.Calls = append(q.Calls, c)
				return
			}
		}
		q.Calls = append(q.Calls, c)
	}
}

// answer draws how long a call took and how much it said.
func answer(d dice, c *Call, at func(Param) float64, tempo float64, last bool) {
	out := at(TokensOut)
	if !last {
		out = 46
	}
	c.Out = int(max(1, d.around(out, 0.45)))
	if last && d.chance(at(CutOff)) {
		c.Out, c.Finish = outputLimit, finishLength
	}
	c.Out = min(c.Out, outputLimit)
	prefill := 1.0
	if d.chance(at(CacheProvider)) {
		c.Cached = int(float64(c.In) * prefixShare)
	} else {
		prefill = at(ColdTTFT)
	}
	if d.chance(at(SlowTail)) {
		tempo *= 5
	}
	c.TTFT = d.around(at(TTFT)*tempo*prefill, 0.38)
	c.Seconds = c.TTFT + float64(c.Out)*d.around(at(PerToken)*tempo, 0.16)
}

// judge draws what is wrong with an answer, if anything.
func judge(d dice, q *Request, at func(Param) float64) {
	last := &q.Calls[len(q.Calls)-1]
	refusal, block := at(Refusal), at(FilterBlock)
	if q.Jailbreak {
		refusal, block = 0.45, 0.6
	}
	q.filter = filterNone
	switch {
	case d.chance(refusal):
		q.Refused, last.Finish = true, finishRefusal
		last.shorten(12 + d.IntN(12))
	case d.chance(block):
		q.filter, last.Finish = filterBlock, finishFilter
		last.shorten(20 + d.IntN(60))
	case d.chance(at(FilterMask)):
		q.filter = filterMask
	}
	q.Leak = !q.Refused && q.filter == filterNone && d.chance(at(Leak)) && q.Hit != Unknown // it comes from what was retrieved
	if q.Leak {
		for i := range 2 + d.IntN(2) {
			q.redacted[i%3] += 1 + d.IntN(2)
		}
	}
	q.Schema = Yes
	if d.chance(at(SchemaFail)) || last.Finish == finishLength && d.chance(0.7) {
		q.Schema = No
		switch {
		case last.Finish == finishLength:
			q.SchemaErr = SchemaErrors[2]
		case q.Deployment.schemaErr != "" && d.chance(0.9):
			q.SchemaErr = q.Deployment.schemaErr
		default:
			q.SchemaErr = SchemaErrors[d.IntN(len(SchemaErrors))]
		}
	}
}

// shorten ends an answer after some tokens.
func (c *Call) shorten(tokens int) {
	if tokens < c.Out {
		c.Seconds = c.TTFT + (c.Seconds-c.TTFT)*float64(tokens)/float64(c.Out)
		c.Out = tokens
	}
}

// redact draws what the service itself took out of the question.
func redact(d dice, q *Request) {
	for i, p := range [...]float64{0.05, 0.02, 0.003, 0.001} {
		if d.chance(p) {
			q.redacted[i]++
		}
	}
}

// drawOpinion draws what the user thinks of the answer.
func drawOpinion(d dice, q *Request, at func(Param) float64) {
	switch q.err {
	case errDenied:
		return
	case errBudget, errOverloaded: // there is no answer to rate, only to complain about
		q.Complaint = d.chance(at(Complaint) * 2)
		return
	}
	down := at(FeedbackDown)
	upset := 1.0
	switch {
	case q.Failed():
		down, upset = 0.9, 5
	case q.Schema == No, q.Leak:
		down, upset = max(down, 0.62), 6
	case q.Refused, q.filter == filterBlock:
		down, upset = max(down, 0.5), 3
	case q.Hit == No:
		down, upset = max(down, 0.3), 2
	}
	if d.chance(at(Feedback)) {
		q.Feedback = Yes
		if d.chance(down) {
			q.Feedback = No
		}
	}
	q.late = !d.chance(promptFeedback)
	q.Complaint = d.chance(at(Complaint) * upset)
}

// score draws one evaluation of an answer.
func score(d dice, q *Request, evaluator int, at func(Param) float64) float64 {
	mean := at([...]Param{Groundedness, Helpfulness, Harmlessness}[evaluator])
	switch {
	case evaluator == 0 && q.Hit == No:
		mean *= 0.6
	case evaluator == 1 && q.Schema == No:
		mean *= 0.72
	case evaluator == 1 && q.Refused:
		mean *= 0.6
	case evaluator == 2 && q.Leak:
		mean *= 0.35
	}
	mean = min(max(mean, 0.02), 0.985)
	// Spread in logits keeps scores inside 0..1 with the mean about where it was asked for.
	x := math.Log(mean/(1-mean)) + 0.15 + 0.75*d.NormFloat64()
	return 1 / (1 + math.Exp(-x))
}
