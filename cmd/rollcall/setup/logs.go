package setup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"rollcall/sources"
	"rollcall/sources/loki"
)

const (
	logRange   = time.Hour
	sample     = 200 // lines of a stream that are looked at
	maxStreams = 12  // that are tried for one service
)

// streamLabels are the labels by which streams tell whose they are, best first.
var streamLabels = []string{"job", "service_name", "app", "service", "app_kubernetes_io_name", "application", "container", "name"}

// stream is a selector with what its newest lines showed.
type stream struct {
	selector     string
	lines, carry int
	field        string
}

// share is how many of the lines carry an ID, 0..1.
func (s *stream) share() float64 {
	if s.lines == 0 {
		return 0
	}
	return float64(s.carry) / float64(s.lines)
}

// logs finds the selector of each service that has lines, and the field in them that holds the request ID.
func (a *asking) logs(ctx context.Context) {
	src := a.source(Loki)
	if src.State != Up {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	c, err := a.loki(src)
	if err != nil {
		a.warn("loki: %s", line(err.Error()))
		return
	}
	defer c.Close()
	now := a.clock.Now()
	names, err := c.Labels(ctx, now.Add(-logRange), now)
	if err != nil {
		a.warn("%s", line(err.Error()))
		return
	}
	if len(names) == 0 {
		a.warn("loki has no stream of the last hour; send it the lines of the service, with a request ID in each")
		return
	}
	src.Detail = fmt.Sprintf("answers, %s in the last hour", sources.Counted(len(names), "label"))
	if skew := c.Health().Skew; skew.Abs() > sources.MaxSkew {
		a.warn("loki: its clock differs from this machine's by %s; check NTP on both", skew.Round(sources.MaxSkew))
	}
	values := map[string][]string{}
	for _, l := range streamLabels {
		if !slices.Contains(names, l) {
			continue
		}
		v, err := c.LabelValues(ctx, l, "", now.Add(-logRange), now)
		if err != nil {
			a.warn("%s", line(err.Error()))
			return
		}
		values[l] = slices.DeleteFunc(v, func(s string) bool { return !plain(s) })
	}
	for i := range a.Services {
		a.logsOf(ctx, c, &a.Services[i], names, values)
	}
}

func (a *asking) logsOf(ctx context.Context, c *loki.Client, s *Service, names []string, values map[string][]string) {
	alike := s.candidates(names, values)
	best, err := a.best(ctx, c, alike)
	if err == nil && best.lines == 0 && len(a.Services) == 1 {
		// Nothing is called like it: whichever stream carries request IDs.
		if best, err = a.best(ctx, c, everyStream(values)); err == nil && best.carry == 0 {
			best = stream{}
		} else if best.lines > 0 {
			a.guess("the lines of %s are %s: none is called like it, these carry an ID", s.Name, best.selector)
		}
	} else if best.lines > 0 {
		a.guess("the lines of %s are %s", s.Name, best.selector)
	}
	switch {
	case err != nil:
		a.warn("%s", line(err.Error()))
	case best.lines == 0:
		a.warn("no line of %s was found in the last hour; set services.%s.logs, rollcall logs '{job=~\".+\"}' shows what is there", s.Name, s.Name)
	case best.carry == 0:
		a.warn("none of the newest %s of %s carries request_id or trace_id; write them into every line, so that a request finds its lines", sources.Counted(best.lines, "line"), s.Name)
	}
	if best.lines > 0 {
		s.Logs = best.selector
		s.Lines = fmt.Sprintf("no request ID in the newest %s", sources.Counted(best.lines, "line"))
		if best.carry > 0 {
			s.Lines = fmt.Sprintf("%s in %d of the newest %s", best.field, best.carry, sources.Counted(best.lines, "line"))
		}
	}
}

// candidates are selectors of streams that are called like the service.
func (s *Service) candidates(names []string, values map[string][]string) []string {
	space := ""
	for _, l := range s.labels {
		if l.name == "namespace" && slices.Contains(names, "namespace") {
			space = matchers([]label{l}) + ", "
		}
	}
	var with, without []string
	for _, l := range streamLabels {
		for _, t := range s.terms() {
			if !slices.Contains(values[l], t) {
				continue
			}
			m := matchers([]label{{l, t}})
			if space != "" {
				with = append(with, "{"+space+m+"}")
			}
			without = append(without, "{"+m+"}")
		}
	}
	return append(with, without...)
}

func everyStream(values map[string][]string) []string {
	var out []string
	for _, l := range streamLabels {
		for _, v := range values[l] {
			out = append(out, "{"+matchers([]label{{l, v}})+"}")
		}
	}
	return out
}

// best returns the first selector most of whose lines carry an ID, else the one with most.
func (a *asking) best(ctx context.Context, c *loki.Client, selectors []string) (stream, error) {
	var best stream
	now := a.clock.Now()
	for _, sel := range selectors[:min(len(selectors), maxStreams)] {
		list, err := c.QueryRange(ctx, sources.LogQuery{Query: sel, Since: now.Add(-logRange), Until: now, Limit: sample})
		if err != nil {
			return best, err
		}
		s := stream{selector: sel, lines: len(list.Lines)}
		s.carry, s.field = loki.Identified(list.Lines)
		if best.lines == 0 || cmp.Compare(s.share(), best.share()) > 0 {
			best = s
		}
		if best.lines > 0 && 2*best.carry >= best.lines {
			break
		}
	}
	if best.lines == 0 {
		return stream{}, nil
	}
	return best, nil
}

// plain tells whether a value may be written into a configuration: it is short,
// printable, came unchanged through what makes text harmless, and holds nothing
// that the configuration would replace by a variable of the environment.
func plain(v string) bool {
	if v == "" || len(v) > 128 || strings.Contains(v, "${") || strings.ContainsAny(v, "<>…") {
		return false
	}
	return line(v) == v && !strings.ContainsFunc(v, odd)
}

// odd are characters that no name of a service has: what stands for control
// bytes, and what looks like nothing or like something else.
func odd(r rune) bool {
	return !unicode.IsPrint(r) || r >= 0x2000 && r < 0x2e80 || r >= 0xfe00
}
