package cases

import (
	"encoding/json"
	"fmt"
	"strings"
)

// sample is one line of a data set of openai/evals.
type sample struct {
	Input    []Message `json:"input"`
	Ideal    string    `json:"ideal,omitempty"`
	Criteria string    `json:"criteria,omitempty"`
	Case     string    `json:"case"`
}

// openai writes a registry: one eval for each class that can express something. The
// samples are given to the model as they are; only the grader's own prompt is a template, and what is
// put into it is not read again.
func (x *Export) openai() ([]File, error) {
	var asJSON, includes, graded []sample
	for i := range x.Cases {
		k := &x.Cases[i]
		var criteria []string
		for n := range k.Expect {
			e := &k.Expect[n]
			switch e.Kind {
			case ExpectJSON:
				asJSON = append(asJSON, sample{Input: k.Input, Case: k.ID})
				if len(e.Schema) > 0 {
					criteria = append(criteria, e.Words())
				}
			case ExpectContains:
				includes = append(includes, sample{Input: k.Input, Ideal: e.Value, Case: k.ID})
			case ExpectFinish, ExpectLatency, ExpectCost:
			default:
				criteria = append(criteria, e.Words())
			}
		}
		if len(criteria) > 0 {
			graded = append(graded, sample{Input: k.Input, Criteria: strings.Join(criteria, "; "), Case: k.ID})
		}
	}
	name := "rollcall-" + strings.ToLower(x.Incident)
	var registry strings.Builder
	fmt.Fprintf(&registry, "# Regression cases of %s, for OpenAI evals: oaieval MODEL %s-json --registry_path openai/registry\n", x.Incident, name)
	var files []File
	add := func(kind, class, args string, samples []sample) error {
		if len(samples) == 0 {
			return nil
		}
		fmt.Fprintf(&registry, "\n%[1]s-%[2]s:\n  id: %[1]s-%[2]s.test.v0\n  metrics: [accuracy]\n%[1]s-%[2]s.test.v0:\n  class: %[3]s\n  args:\n    samples_jsonl: %[1]s/%[2]s.jsonl\n%[4]s", name, kind, class, args)
		body, err := jsonLines(samples)
		files = append(files, File{"openai/registry/data/" + name + "/" + kind + ".jsonl", body})
		return err
	}
	if err := add("json", "evals.elsuite.basic.json_validator:JsonValidator", "", asJSON); err != nil {
		return nil, err
	}
	if err := add("includes", "evals.elsuite.basic.includes:Includes", "    ignore_case: true\n", includes); err != nil {
		return nil, err
	}
	if err := add("graded", "evals.elsuite.modelgraded.classify:ModelBasedClassify", "    eval_type: cot_classify\n    modelgraded_spec: closedqa\n", graded); err != nil {
		return nil, err
	}
	return append([]File{{"openai/registry/evals/" + name + ".yaml", []byte(registry.String())}}, files...), nil
}

func jsonLines[T any](list []T) ([]byte, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i := range list {
		if err := enc.Encode(list[i]); err != nil {
			return nil, err
		}
	}
	return []byte(b.String()), nil
}
