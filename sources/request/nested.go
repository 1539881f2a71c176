package request

import (
	"encoding/json"
	"slices"
	"strings"

	"rollcall/sources"
)

// Bounds of what is read out of attributes that hold JSON.
const (
	maxNested      = 64 // values of one attribute
	maxNestedDepth = 4
	maxNestedText  = 16 << 10 // bytes of an attribute that is looked into
)

// nested returns the attributes and, behind them, the values inside those that
// hold JSON in which a configured field may be: "usage_details" with
// {"input": 12} adds "usage_details.input". Most lists come back as they are.
func (f *fields) nested(attrs sources.Attrs) sources.Attrs {
	out := attrs
	for i := range attrs {
		a := &attrs[i]
		if len(a.Value) < 2 || len(a.Value) > maxNestedText || a.Value[0] != '{' && a.Value[0] != '[' || !f.outer[fold(a.Key)] {
			continue
		}
		var v any
		d := json.NewDecoder(strings.NewReader(a.Value))
		d.UseNumber()
		if d.Decode(&v) != nil {
			continue
		}
		if len(out) == len(attrs) {
			out = slices.Clip(out) // what follows must not grow into the span's own list
		}
		out = flatten(out, a.Key, v, len(out)+maxNested, 0)
	}
	return out
}

func flatten(out sources.Attrs, key string, v any, limit, depth int) sources.Attrs {
	if len(out) >= limit || depth > maxNestedDepth {
		return out
	}
	add := func(s string) sources.Attrs { return append(out, sources.Attr{Key: key, Value: s}) }
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys) // so that the same spans make the same row
		for _, k := range keys {
			out = flatten(out, key+"."+k, v[k], limit, depth+1)
		}
	case []any:
		if len(v) > 0 {
			return flatten(out, key, v[0], limit, depth+1)
		}
	case string:
		return add(v)
	case json.Number:
		return add(v.String())
	case bool:
		if v {
			return add("true")
		}
		return add("false")
	}
	return out
}
