package sim

import "strings"

// gauges keeps one Metric per gauge series, so that a series is recognised from
// one scrape to the next.
type gauges struct {
	metrics map[string]*Metric
	shared  []string
}

func newGauges() *gauges {
	return &gauges{metrics: map[string]*Metric{}, shared: []string{"namespace", Namespace, "job", Job}}
}

func (g *gauges) metric(name string, labels ...string) *Metric {
	key := name + "\x00" + strings.Join(labels, "\x00")
	m := g.metrics[key]
	if m == nil {
		m = &Metric{Name: name, Labels: with(g.shared, labels...), Gauge: true}
		g.metrics[key] = m
	}
	return m
}

// visit walks the gauges as they stand now.
func (g *gauges) visit(e *Engine, see func(m *Metric, v float64)) {
	g.standing(e, see)
	l := &e.load
	depth := l.backlog
	if depth == 0 { // even an idle queue holds somebody now and then
		depth = newDice(e.cfg.Seed, streamGauges, uint64(e.second)).poisson(1.2 * l.use)
	}
	see(g.metric("llmops_queue_depth"), round(depth, 1))
	g.quota(60*l.calls, 60*l.tokens, l.limits, see)
	see(g.metric("llmops_top_caller_ratio"), e.callers.top())
	for _, d := range e.deploys {
		g.info(d.Versions, d.Stage, see)
		see(g.metric("llmops_served_model_info", "model", d.Versions[Model], "served", d.Served), 1)
		see(g.metric("llmops_index_documents", "index", d.Versions[Index]), g.documents(d, e.offset().Hours()))
	}
}

// standing are the gauges that only a person changes.
func (g *gauges) standing(e *Engine, see func(m *Metric, v float64)) {
	see(g.metric("up"), 1)
	for i, scope := range budgetScopes {
		see(g.metric("llmops_budget_usd", "scope", scope), e.set.budgets[i])
	}
	for _, f := range features {
		see(g.metric("llmops_feature_disabled", "feature", f), oneIf(e.set.disabled[f]))
	}
	for i := range tenants {
		if name := tenantFeature + tenants[i].name; e.set.disabled[name] {
			see(g.metric("llmops_feature_disabled", "feature", name), 1)
		}
	}
}

func (g *gauges) quota(calls, tokens float64, limits [2]float64, see func(m *Metric, v float64)) {
	see(g.metric("llmops_quota_remaining_ratio", "provider", Provider), min(max(1-calls/limits[0], 0), 1))
	see(g.metric("llmops_quota_remaining_tokens", "provider", Provider), round(max(limits[1]-tokens, 0), 1))
}

func (g *gauges) info(v Versions, stage string, see func(m *Metric, v float64)) {
	labels := make([]string, 0, 2*ComponentCount+6)
	for c, name := range v {
		labels = append(labels, Components[c], name)
	}
	labels = append(labels, "manifest", v.Manifest(), "stage", stage, "environment", Environment)
	see(g.metric("llmops_deployment_info", labels...), 1)
}

// documents grows by two an hour: the index is fed while it is live.
func (g *gauges) documents(d *Deployment, hours float64) float64 {
	return round(d.cell(Answer, 0, 0)[Documents]+2*hours, 1)
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
