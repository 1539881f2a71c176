package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollcall/sources"
	"rollcall/sources/prom"
	"rollcall/sources/signal"
)

const (
	maxServices = 8
	maxGroups   = 50 // places that speak a profile, per profile
)

// tier ranks a profile by how near it stands to the user: a service itself, then
// the gateways and engines that it calls, then the databases behind it.
func tier(profile string) int {
	switch profile {
	case signal.LLMOps:
		return 3
	case signal.OTelGenAI, signal.OTelGenAI0:
		return 2
	case signal.Qdrant, signal.Weaviate, signal.Milvus:
		return 0
	}
	return 1
}

const application = 2

// spelled are the labels by which a metric tells whose it is.
const spelled = "namespace, job, service_name, service, app"

// metrics recognises profiles and proposes services from the labels of their metrics.
func (a *asking) metrics(ctx context.Context) {
	src := a.source(Prometheus)
	if src.State != Up {
		a.unmeasured()
		return
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	c, err := a.prometheus(src)
	if err != nil {
		a.warn("prometheus: %s", line(err.Error()))
		a.unmeasured()
		return
	}
	defer c.Close()
	if err := c.Check(ctx); err == nil {
		if note := c.Health().Note; note != "" {
			src.Detail = note
		}
	}
	if skew := c.Health().Skew; skew.Abs() > sources.MaxSkew {
		a.warn("prometheus: its clock differs from this machine's by %s; check NTP on both", skew.Round(sources.MaxSkew))
	}
	names, err := c.MetricNames(ctx, signal.NamesMatch(a.o.Scope))
	if err != nil {
		var rejected *prom.Error
		if errors.As(err, &rejected) && rejected.Rejected {
			a.warn("prometheus: %s", line(err.Error()))
		} else {
			src.State, src.Detail, src.Remedy = Down, line(err.Error()), ""
			src.unauthorised(err)
		}
		a.unmeasured()
		return
	}
	recognised := signal.Exposes(names)
	if len(recognised) == 0 {
		a.warn("no metric of a profile that rollcall knows was seen in the last day%s; docs/profiles.md says what is recognised, and services.NAME.queries takes queries of your own", within(a.o.Scope))
		a.unmeasured()
		return
	}
	if a.o.Scope != "" {
		a.Services = []Service{{Name: cmp.Or(a.o.Service, "service"), Scope: a.o.Scope, Profiles: spoken(recognised)}}
		src.Detail += ", " + strings.Join(a.Services[0].Profiles, ", ")
		return
	}
	src.Detail += ", " + strings.Join(spoken(recognised), ", ")
	groups := a.groups(ctx, c, recognised)
	a.choose(groups)
}

// unauthorised tells credentials that are missing from a server that is down.
func (s *Source) unauthorised(err error) {
	if strings.Contains(err.Error(), "access refused") {
		s.State, s.Detail = Locked, "wants credentials"
	}
}

func within(scope string) string {
	if scope == "" {
		return ""
	}
	return " under {" + scope + "}"
}

func spoken(list []signal.Exposed) []string {
	out := make([]string, len(list))
	for i, r := range list {
		out[i] = fmt.Sprintf("%s (%s)", r.Profile, sources.Counted(len(r.Signals), "signal"))
	}
	return out
}

// unmeasured proposes what was said by hand, where no metric tells.
func (a *asking) unmeasured() {
	a.Services = []Service{{Name: cmp.Or(a.o.Service, "service"), Scope: a.o.Scope}}
}

// group is a set of labels that speaks profiles.
type group struct {
	labels   []label
	profiles map[string]bool
	series   float64
	tier     int // the highest of its profiles
}

// groups asks by which labels the metrics of each profile stand apart.
func (a *asking) groups(ctx context.Context, c *prom.Client, recognised []signal.Exposed) []*group {
	byScope := map[string]*group{}
	odd := 0
	for _, r := range recognised {
		series, _, err := c.Query(ctx, fmt.Sprintf("topk(%d, count by (%s) (%s))", maxGroups, spelled, signal.NameSelector(light(r.Metrics), "")), a.clock.Now())
		if err != nil {
			a.warn("prometheus: the labels of %s could not be read: %s", r.Profile, line(err.Error()))
			continue
		}
		for _, s := range series {
			labels, ok := whose(s.Labels)
			if !ok {
				odd++
				continue
			}
			key := matchers(labels)
			g := byScope[key]
			if g == nil {
				g = &group{labels: labels, profiles: map[string]bool{}}
				byScope[key] = g
			}
			g.profiles[r.Profile] = true
			g.tier = max(g.tier, tier(r.Profile))
			if len(s.Points) > 0 {
				g.series += s.Points[0].V
			}
		}
	}
	if odd > 0 {
		a.warn("%s left out: the label values hold characters that I do not write into a file", sources.Counted(odd, "place")+" with known metrics")
	}
	list := slices.Collect(maps.Values(byScope))
	slices.SortFunc(list, func(x, y *group) int {
		return cmp.Or(cmp.Compare(y.tier, x.tier), cmp.Compare(len(y.profiles), len(x.profiles)), cmp.Compare(y.series, x.series), strings.Compare(matchers(x.labels), matchers(y.labels)))
	})
	return list
}

// light leaves the buckets out, of which there are many; their counts say the same.
func light(names []string) []string {
	out := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.HasSuffix(n, "_bucket") })
	if len(out) == 0 {
		return names
	}
	return out
}

// whose picks the labels that tell a service from others: the job, or what
// stands for it, with its namespace. ok is false when a value is not safe to write.
func whose(labels map[string]string) (out []label, ok bool) {
	if ns := labels["namespace"]; ns != "" {
		out = append(out, label{"namespace", ns})
	}
	for _, name := range []string{"job", "service_name", "service", "app"} {
		if v := labels[name]; v != "" {
			out = append(out, label{name, v})
			break
		}
	}
	for _, l := range out {
		if !plain(l.value) {
			return nil, false
		}
	}
	return out, true
}

// matchers writes labels as PromQL and LogQL do.
func matchers(labels []label) string {
	parts := make([]string, len(labels))
	for i, l := range labels {
		parts[i] = l.name + "=" + quote(l.value)
	}
	return strings.Join(parts, ", ")
}

// choose makes services of groups: applications where there are any, else what
// serves models; a database alone is no service.
func (a *asking) choose(groups []*group) {
	least := 1
	if slices.ContainsFunc(groups, func(g *group) bool { return g.tier >= application }) {
		least = application
	}
	taken := map[string]bool{}
	for _, g := range groups {
		s := Service{Scope: matchers(g.labels), labels: g.labels, Profiles: slices.Sorted(maps.Keys(g.profiles))}
		s.Name = named(g.labels, taken)
		if g.tier < least || len(a.Services) >= maxServices {
			a.Also = append(a.Also, s)
			continue
		}
		a.Services = append(a.Services, s)
	}
	if len(a.Services) == 0 {
		a.unmeasured()
		return
	}
	if want := a.o.Service; want != "" {
		a.pick(want)
	}
	for i := range a.Services {
		s := &a.Services[i]
		if s.Scope == "" {
			a.guess("%s has no scope: its metrics carry none of the labels %s", s.Name, spelled)
			continue
		}
		a.guess("the scope of %s is {%s}: its metrics speak %s", s.Name, s.Scope, strings.Join(s.Profiles, " and "))
	}
}

// pick keeps the service that was asked for; a lone one takes the name.
func (a *asking) pick(want string) {
	for _, list := range [][]Service{a.Services, a.Also} {
		for _, s := range list {
			if s.Name == want || slices.ContainsFunc(s.labels, func(l label) bool { return l.value == want }) {
				s.Name = want
				a.Services = []Service{s}
				return
			}
		}
	}
	if len(a.Services) == 1 {
		a.Services[0].Name = want
		return
	}
	var names []string
	for _, s := range a.Services {
		names = append(names, s.Name)
	}
	a.warn("no metric is of a service %s; these are there: %s", want, strings.Join(names, ", "))
	a.Services, a.Also = []Service{{Name: want}}, append(a.Services, a.Also...)
}

// named is a name for a service, made of its job and, where that is taken, its namespace.
func named(labels []label, taken map[string]bool) string {
	name := "service"
	if n := len(labels); n > 0 {
		v := labels[n-1].value
		name = cmp.Or(tidy(v[strings.LastIndexByte(v, '/')+1:]), name)
		if taken[name] && n > 1 {
			name = cmp.Or(tidy(labels[0].value), "service") + "-" + name
		}
	}
	for base, i := name, 2; taken[name]; i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	taken[name] = true
	return name
}

// traces finds the name under which each service is traced.
func (a *asking) traces() {
	var names []string
	for i := range a.Sources {
		names = append(names, a.Sources[i].names...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return
	}
	for i := range a.Services {
		s := &a.Services[i]
		for _, t := range s.terms() {
			if slices.Contains(names, t) {
				s.Traces = t
				break
			}
		}
	}
	if len(a.Services) == 1 && a.Services[0].Traces == "" {
		s := &a.Services[0]
		if len(names) == 1 {
			s.Traces = names[0]
			a.guess("the spans of %s are those of service.name %s, the only one that is traced", s.Name, names[0])
			return
		}
		a.warn("none of the %s that are traced is called like %s; set services.%s.trace_service to one of %s", sources.Counted(len(names), "service"), s.Name, s.Name, strings.Join(names[:min(8, len(names))], ", "))
	}
}

// terms are the words by which other sources may call a service.
func (s *Service) terms() []string {
	out := []string{s.Traces, s.Name}
	for i := len(s.labels) - 1; i >= 0; i-- {
		if l := s.labels[i]; l.name != "namespace" {
			out = append(out, l.value, l.value[strings.LastIndexByte(l.value, '/')+1:])
		}
	}
	var uniq []string
	for _, t := range out {
		if t != "" && !slices.Contains(uniq, t) {
			uniq = append(uniq, t)
		}
	}
	return uniq
}
