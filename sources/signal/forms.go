package signal

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
)

// outweighs is how much more another form must carry before it is read instead: an
// exporter that writes both forms of a histogram is read as before, and two forms that
// carry about the same do not take turns.
const outweighs = 1.1

// pickForms chooses between the forms of each metric that exists in several: with
// underscores and with dots, with and without its unit, classic and native. A name is
// known for a day after its last sample, so that which form is in use only its numbers
// tell. The one that carries more is read alone; forms are never added, since an exporter
// or a collector may write each event in all of them.
func (e *Evaluator) pickForms(ctx context.Context, r *run, x, before *exposure) {
	for _, p := range Profiles() {
		v := x.spoken[p.Name]
		if v == nil {
			continue
		}
		for _, name := range countable()[p.Name] {
			base, _ := parted(name)
			forms := v.forms(name)
			if len(forms) < 2 || v.chosen[base] != (form{}) {
				continue
			}
			carries := func(f form) float64 {
				expr := write(rate(name, p.Own), map[string]form{name: f}, f.dotted())
				s, _, err := e.deps.Prom.Query(ctx, expand(expr, r.svc.scope(p.Name), max(defaultWindow, before.window()), ""), r.now)
				if err != nil || len(s) == 0 || len(s[0].Points) == 0 || math.IsNaN(s[0].Points[0].V) {
					return 0
				}
				return s[0].Points[0].V
			}
			best := forms[0]
			if b := before.of(p.Name).chosen[base]; slices.Contains(forms, b) {
				best = b
			}
			most := carries(best)
			var others []string
			for _, f := range forms {
				if f == best {
					continue
				}
				n := carries(f)
				if n > outweighs*most {
					f, best, n, most = best, f, most, n
				}
				if n > 0 {
					others = append(others, fmt.Sprintf("%s (%s)", f, format(n, sources.PerSecond)))
				}
			}
			v.chosen[base] = best
			if len(others) > 0 {
				v.said[base] = fmt.Sprintf("one metric in several forms: read %s (%s), left out %s; they are never added",
					best, format(most, sources.PerSecond), strings.Join(others, ", "))
			}
		}
		if f, ok := v.chosen[first(parted(p.Pulse))]; ok {
			v.dotted = f.dotted()
		}
	}
}

func first(base, _ string) string { return base }

var rated = regexp.MustCompile(`rate\(([a-zA-Z_:][a-zA-Z0-9_:]*)\{`)

// countable are the metrics of each profile that count events: counters, and of a histogram its count.
var countable = sync.OnceValue(func() map[string][]string {
	out := map[string][]string{}
	for _, sig := range Catalogue() {
		for _, src := range sig.From {
			for _, m := range rated.FindAllStringSubmatch(src.Query, -1) {
				name := m[1]
				if base, part := parted(name); part != "" {
					name = base + "_count"
				}
				if !slices.Contains(out[src.Profile], name) {
					out[src.Profile] = append(out[src.Profile], name)
				}
			}
		}
	}
	return out
})

// leftOut says which forms of the metrics of an expression of the catalogue are not read.
func (v *vocabulary) leftOut(expr string) []string {
	if len(v.said) == 0 {
		return nil
	}
	var out []string
	for _, name := range metrics(expr) {
		base, _ := parted(name)
		if s := v.said[base]; s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// underscored gives the labels of answers the names that the catalogue knows them by.
type underscored struct{ Prom }

var labelOf = func() map[string]string {
	out := make(map[string]string, len(attributes))
	for label, a := range attributes {
		out[a] = label
	}
	return out
}()

func (u underscored) Query(ctx context.Context, expr string, at time.Time) ([]sources.Series, sources.Facts, error) {
	series, facts, err := u.Prom.Query(ctx, expr, at)
	return withUnderscores(series), facts, err
}

func (u underscored) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) ([]sources.Series, sources.Facts, error) {
	series, facts, err := u.Prom.Range(ctx, expr, start, end, step)
	return withUnderscores(series), facts, err
}

func withUnderscores(series []sources.Series) []sources.Series {
	for i := range series {
		if !dots(series[i].Labels) {
			continue
		}
		plain := make(map[string]string, len(series[i].Labels))
		for k, v := range series[i].Labels {
			plain[cmp.Or(labelOf[k], k)] = v
		}
		series[i].Labels = plain
	}
	return series
}

func dots(of map[string]string) bool {
	for k := range of {
		if labelOf[k] != "" {
			return true
		}
	}
	return false
}
