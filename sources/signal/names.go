package signal

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// vocabulary is which metrics exist under the scope of a profile, and which form is
// read of one that exists in several. The catalogue knows each metric by one name, as
// Prometheus writes it by default, and as a classic histogram; resolve finds the others.
type vocabulary struct {
	names  map[string][]string // as they exist, by what is left of them when dots become underscores
	chosen map[string]form     // by the catalogue's name without the part
	dotted bool                // the spelling that is tried first
	said   map[string]string   // what was left out, by the catalogue's name without the part

	mu       sync.Mutex
	resolved map[string]resolution // by expression; nothing of the above changes once one is there
}

type resolution struct{ query, missing string }

const maxResolved = 1000 // few are ever asked for, but those with a value in them

// form is one way in which a metric exists.
type form struct {
	name   string // without the part: "gen_ai.client.operation.duration_seconds"
	native bool   // a histogram that is one series, without parts
}

func (f form) dotted() bool { return !legal.MatchString(f.name) }

func (f form) String() string {
	if f.native {
		return f.name + " (native histogram)"
	}
	return f.name
}

var (
	legal = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	odd   = regexp.MustCompile(`[^a-zA-Z0-9_:]`)
)

func newVocabulary(names []string) *vocabulary {
	v := &vocabulary{names: make(map[string][]string, len(names)), chosen: map[string]form{}, said: map[string]string{}}
	for _, n := range names {
		key := odd.ReplaceAllString(n, "_")
		v.names[key] = append(v.names[key], n)
	}
	return v
}

// speaks is the vocabulary of one profile among metrics that exist.
func speaks(names []string, p Profile) *vocabulary {
	v := newVocabulary(names)
	if forms := v.forms(p.Pulse); len(forms) > 0 {
		v.dotted = forms[0].dotted()
	}
	return v
}

// has tells whether a metric exists in any form.
func (v *vocabulary) has(name string) bool { return len(v.forms(name)) > 0 }

// parted takes the part of a histogram off its name.
func parted(name string) (base, part string) {
	for _, p := range []string{"_bucket", "_count", "_sum"} {
		if b, ok := strings.CutSuffix(name, p); ok {
			return b, p
		}
	}
	return name, ""
}

// forms are the ways in which a metric of the catalogue exists, the longest known first:
// underscores before dots, classic before native.
func (v *vocabulary) forms(name string) []form {
	if name == "" {
		return nil
	}
	var out []form
	for _, dotted := range []bool{false, true} {
		for _, n := range append([]string{name}, otherNames(name)...) {
			base, part := parted(n)
			for _, exists := range v.names[n] {
				f := form{name: strings.TrimSuffix(exists, part)}
				if f.dotted() == dotted {
					out = append(out, f)
				}
			}
			if part == "" {
				continue
			}
			for _, exists := range v.names[base] {
				f := form{name: exists, native: true}
				// With a sum and a count but no buckets beside it, it is a summary.
				summary := v.is(exists+"_count") && !v.is(exists+"_bucket")
				if f.dotted() == dotted && !summary {
					out = append(out, f)
				}
			}
		}
	}
	return out
}

// is tells whether a name exists as it is.
func (v *vocabulary) is(name string) bool {
	return slices.Contains(v.names[odd.ReplaceAllString(name, "_")], name)
}

// in picks the form of a metric that is read in a spelling.
func (v *vocabulary) in(dotted bool, name string) (form, bool) {
	forms := v.forms(name)
	base, _ := parted(name)
	if f, ok := v.chosen[base]; ok && f.dotted() == dotted && slices.Contains(forms, f) {
		return f, true
	}
	i := slices.IndexFunc(forms, func(f form) bool { return f.dotted() == dotted })
	if i < 0 {
		return form{}, false
	}
	return forms[i], true
}

// read is the form of a metric that is read when nothing else is asked for with it.
func (v *vocabulary) read(name string) (form, bool) {
	if f, ok := v.in(v.dotted, name); ok {
		return f, true
	}
	return v.in(!v.dotted, name)
}

// resolve rewrites an expression to the metrics that exist. It reports which one is
// missing when one does not exist under any name; of the sparse ones any may be missing,
// but not all metrics of the expression. All of an expression is in one spelling:
// what is grouped by a label of one spelling does not meet what is grouped by the other.
func (v *vocabulary) resolve(expr string, sparse ...string) (query, missing string) {
	key := expr
	if len(sparse) > 0 {
		key += "\x00" + strings.Join(sparse, "\x00")
	}
	v.mu.Lock()
	known, ok := v.resolved[key]
	v.mu.Unlock()
	if ok {
		return known.query, known.missing
	}
	query, missing = v.spelt(v.dotted, expr, sparse)
	if missing != "" {
		if q, lacks := v.spelt(!v.dotted, expr, sparse); lacks == "" {
			query, missing = q, ""
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.resolved == nil || len(v.resolved) >= maxResolved {
		v.resolved = map[string]resolution{}
	}
	v.resolved[key] = resolution{query, missing}
	return query, missing
}

// same tells whether another look found what this one did.
func (v *vocabulary) same(other *vocabulary) bool {
	return v != nil && v.dotted == other.dotted && maps.EqualFunc(v.names, other.names, slices.Equal) &&
		maps.Equal(v.chosen, other.chosen) && maps.Equal(v.said, other.said)
}

func (v *vocabulary) spelt(dotted bool, expr string, sparse []string) (query, missing string) {
	as := map[string]form{}
	for _, name := range metrics(expr) {
		f, ok := v.in(dotted, name)
		switch {
		case ok:
			as[name] = f
		case !slices.Contains(sparse, name):
			return "", name
		default:
			missing = cmp.Or(missing, name)
		}
	}
	if len(as) == 0 && missing != "" {
		return "", missing
	}
	return write(expr, as, dotted), ""
}

// piece is a string, a selector of the catalogue with what a rate is made of it, or a word.
var piece = regexp.MustCompile(`"(?:[^"\\]|\\.)*"` +
	`|(?:(rate|increase)\()?([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^{}]*)\}(\[[^\]]*\]\))?` +
	`|[a-zA-Z_][a-zA-Z0-9_]*|\$by`)

// write puts the forms that exist into an expression of the catalogue.
func write(expr string, as map[string]form, dotted bool) string {
	withoutBounds := false
	var b strings.Builder
	at := 0
	for _, m := range piece.FindAllStringSubmatchIndex(expr, -1) {
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return expr[m[2*i]:m[2*i+1]]
		}
		text := group(0)
		switch name := group(2); {
		case name != "":
			f, ok := as[name]
			if !ok {
				break
			}
			_, part := parted(name)
			if f.native {
				withoutBounds = withoutBounds || part == "_bucket"
			} else {
				f.name += part
			}
			selects := f.name + `{` + group(3) + `}`
			if f.dotted() {
				selects = `{"` + f.name + `",` + labels(group(3)) + `}`
			}
			if by := group(1); by != "" {
				text = by + `(` + selects + group(4)
				if f.native && part != "_bucket" {
					text = `histogram` + part + `(` + text + `)`
				}
			} else {
				text = selects + group(4)
			}
		case text == "$by" && dotted:
			text = `"$by"`
		case dotted:
			text = labels(text)
		}
		b.WriteString(expr[at:m[0]])
		b.WriteString(text)
		at = m[1]
	}
	b.WriteString(expr[at:])
	out := b.String()
	if withoutBounds {
		out = strings.NewReplacer("by (le, ", "by (", "by (le) ", "").Replace(out)
	}
	return out
}

// Attributes by the labels that the default translation makes of them. A metric that
// keeps the dots of its name keeps those of its labels.
var attributes = map[string]string{
	"error_type":            "error.type",
	"gen_ai_operation_name": "gen_ai.operation.name",
	"gen_ai_original_model": "gen_ai.original.model",
	"gen_ai_response_model": "gen_ai.response.model",
	"gen_ai_token_type":     "gen_ai.token.type",
}

func attribute(label string) string { return cmp.Or(attributes[label], label) }

var word = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[a-zA-Z_][a-zA-Z0-9_]*`)

// labels writes the label names of a piece of an expression with their dots, also where
// label_replace takes them as strings.
func labels(text string) string {
	return word.ReplaceAllStringFunc(text, func(w string) string {
		if a, ok := attributes[strings.Trim(w, `"`)]; ok {
			return `"` + a + `"`
		}
		return w
	})
}

var metricName = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{|\{"([^"]+)",`)

// metrics returns the metric names that an expression selects, each once.
func metrics(expr string) []string {
	var out []string
	for _, m := range metricName.FindAllStringSubmatch(expr, -1) {
		if n := cmp.Or(m[1], m[2]); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// otherNames are the names under which exporters write the same metric: without
// unit and type suffixes, with the unit of the early token histogram, with the
// names of earlier versions, or under the prefix of what runs the system.
func otherNames(name string) []string {
	var out []string
	if base, ok := strings.CutPrefix(name, "vllm:"); ok {
		bases := []string{base}
		switch {
		case base == "kv_cache_usage_perc":
			bases = append(bases, "gpu_cache_usage_perc")
		case strings.HasPrefix(base, "prefix_cache_"):
			bases = append(bases, "gpu_"+base)
		}
		for _, prefix := range []string{"vllm:", "ray_vllm:", "ray_vllm_"} {
			for _, b := range bases {
				out = append(out, prefix+b)
			}
		}
		return out[1:]
	}
	if !strings.HasPrefix(name, "gen_ai_") {
		return nil
	}
	base, part := parted(name)
	for _, unit := range []string{"_seconds", "_total", "_USD"} {
		if b, ok := strings.CutSuffix(base, unit); ok {
			out = append(out, b+part)
		}
	}
	if strings.HasSuffix(base, "token_usage") {
		out = append(out, base+"_token"+part, base+"_tokens"+part)
	}
	return out
}
