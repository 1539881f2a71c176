package cases

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// prove holds an expectation against what was observed: whether it fails, and how the
// answer does, in words. It follows what promptfoo's assertions of the same meaning do.
func (e *Expectation) prove(o observed) (fails bool, says string) {
	switch e.Kind {
	case ExpectJSON:
		var v any
		dec := json.NewDecoder(strings.NewReader(o.answer))
		dec.UseNumber()
		if !json.Valid([]byte(o.answer)) || dec.Decode(&v) != nil {
			return true, "it is no JSON"
		}
		if len(e.Schema) == 0 {
			return false, "it is JSON"
		}
		s, err := parseShape(e.Schema)
		if err != nil { // it was parsed before
			return false, "the schema " + err.Error()
		}
		if misfit := s.check(v); misfit != "" {
			return true, misfit
		}
		return false, "it fits the schema"
	case ExpectMatches, ExpectNotMatches:
		at := regexp.MustCompile(e.Value).FindStringIndex(o.answer)
		if at == nil {
			return e.Kind == ExpectMatches, "it does not match"
		}
		return e.Kind == ExpectNotMatches, fmt.Sprintf("it matches at character %d", at[0])
	case ExpectContains, ExpectNotContains:
		has := strings.Contains(strings.ToLower(o.answer), strings.ToLower(e.Value))
		if has {
			return e.Kind == ExpectNotContains, "it contains it"
		}
		return e.Kind == ExpectContains, "it does not contain it"
	case ExpectFinish:
		if o.finish == "" {
			return false, "how it ended is not known"
		}
		return o.finish == "length", "it ended with " + o.finish
	case ExpectLatency:
		if !o.latency.OK {
			return false, "how long it took is not known"
		}
		return o.latency.V > e.Limit.V, fmt.Sprintf("it took %.3g s", o.latency.V)
	case ExpectCost:
		if !o.cost.OK {
			return false, "what it cost is not known"
		}
		return o.cost.V > e.Limit.V, fmt.Sprintf("it cost %.3g USD", o.cost.V)
	}
	return false, "not proven"
}
