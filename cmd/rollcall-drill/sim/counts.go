package sim

// counts are all counters and histograms of the service.
type counts struct {
	versioned, rare, search, fallbacks, client, clientErrors, plain, embedding *book
}

func newCounts() *counts {
	return &counts{
		versioned:    newBook(&versioned.layout, "prompt", "model", "index"),
		rare:         newBook(&rare.layout, "prompt", "model", "index"),
		search:       newBook(&search.layout, "index"),
		fallbacks:    newBook(&fallbacks.layout, "from", "to"),
		client:       newBook(&client.layout, "gen_ai_request_model", "gen_ai_response_model"),
		clientErrors: newBook(&clientErrors.layout, "gen_ai_request_model", "error_type"),
		plain:        newBook(&plain.layout),
		embedding:    newBook(&embedding.layout),
	}
}

func (c *counts) books() []*book {
	return []*book{c.versioned, c.rare, c.search, c.fallbacks, c.client, c.clientErrors, c.plain, c.embedding}
}

func (c *counts) visit(see func(m *Metric, v float64)) {
	for _, b := range c.books() {
		b.visit(see)
	}
}

// finished counts a request when the user has the answer.
func (c *counts) finished(q *Request) {
	v, p := q.Deployment.counts, c.plain.at()
	if cell := versioned.requests[q.Route][q.err]; cell >= 0 {
		v.inc(cell)
	} else {
		d := q.Deployment
		c.rare.at(d.Versions[Prompt], d.Versions[Model], d.Versions[Index]).inc(rare.requests[q.Route][q.err])
	}
	v.observe(versioned.seconds[q.Route], requestBounds, q.Latency)
	v.cells[versioned.cost] += q.CostUSD
	p.observe(plain.wait, waitBounds, q.Queued)
	if q.err == errOverloaded {
		p.inc(plain.dropped)
	}
	if q.denied > 0 {
		p.inc(plain.denied[q.denied-1])
	}
	for i, n := range q.redacted {
		p.cells[plain.redactions[i]] += float64(n)
	}
	c.caches(p, q)
	if q.Hit != Unknown {
		if q.Hit == Yes {
			v.inc(versioned.hit)
		} else {
			v.inc(versioned.miss)
		}
		q.Deployment.search.observe(search.seconds, searchBounds, q.Stages[StageVectorSearch])
	}
	c.calls(v, q)
	if !q.Answered {
		return
	}
	v.observe(versioned.ttft, ttftBounds, q.TTFT)
	v.observe(versioned.promptTokens, promptBounds, float64(q.TokensIn))
	v.inc(versioned.filter[q.filter])
	if q.Refused {
		v.inc(versioned.refusals)
	}
	if q.Schema == No {
		v.inc(versioned.fail)
	} else {
		v.inc(versioned.pass)
	}
}

func (c *counts) caches(p *tally, q *Request) {
	look := func(kind Cache, hit bool) {
		if hit {
			p.inc(plain.cache[kind][0])
		} else {
			p.inc(plain.cache[kind][1])
		}
	}
	if s := q.Stages[StageDelivery]; s > 0 { // it came past the door
		look(ExactHit, q.Cache == ExactHit)
	}
	if s := q.Stages[StageEmbed]; s > 0 {
		look(SemanticHit, q.Cache == SemanticHit)
		c.embedding.at().observe(embedding.seconds, callBounds, s)
	}
	for i := range q.Calls {
		if q.Calls[i].Err == noError {
			look(ProviderHit, q.Calls[i].Cached > 0)
		}
	}
	for kind, usd := range q.saved {
		if usd > 0 {
			p.cells[plain.saved[kind]] += usd
		}
	}
}

func (c *counts) calls(v *tally, q *Request) {
	for i := range q.Calls {
		call := &q.Calls[i]
		if call.Err != noError {
			c.clientErrors.at(call.Model, call.Err.String()).observe(clientErrors.seconds, callBounds, call.Seconds)
			continue
		}
		v.inc(versioned.finish[call.Finish])
		v.cells[versioned.tokens[0]] += float64(call.In)
		v.cells[versioned.tokens[1]] += float64(call.Out)
		v.cells[versioned.tokens[2]] += float64(call.Cached)
		t := c.client.at(call.Model, call.Served)
		t.observe(client.seconds, callBounds, call.Seconds)
		t.observe(client.chunk, chunkBounds, call.TTFT)
		t.observe(client.input, tokenBounds, float64(call.In))
		t.observe(client.output, tokenBounds, float64(call.Out))
	}
	if q.Fallback && q.Answered {
		c.fallbacks.at(q.Deployment.Versions[Model], fallbackModel).inc(fallbacks.total)
	}
}

func (c *counts) rated(q *Request) {
	if q.Feedback == Yes {
		q.Deployment.counts.inc(versioned.up)
	} else {
		q.Deployment.counts.inc(versioned.down)
	}
}

func (c *counts) complained(q *Request) { q.Deployment.counts.inc(versioned.complaints) }

func (c *counts) evaluated(q *Request, evaluator int, score float64) {
	q.Deployment.counts.observe(versioned.score[evaluator], scoreBounds, score)
}
