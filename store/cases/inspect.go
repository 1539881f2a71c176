package cases

import (
	_ "embed"
	"strings"
)

//go:embed files/task.py
var taskFile []byte

//go:embed files/expectations.py
var expectationsFile []byte

// inspectSample is one line of a data set of Inspect.
type inspectSample struct {
	ID       string          `json:"id"`
	Input    []Message       `json:"input"`
	Target   string          `json:"target"` // what is expected, in words
	Metadata inspectMetadata `json:"metadata"`
}

type inspectMetadata struct {
	Incident  string        `json:"incident"`
	Seq       int64         `json:"entry"`
	Hash      string        `json:"entry_hash"`
	Expect    []Expectation `json:"expect"`
	BadAnswer string        `json:"bad_answer"`
}

// inspect writes a data set, a task and the scorer. Inspect renders nothing in messages.
func (x *Export) inspect() ([]File, error) {
	samples := make([]inspectSample, len(x.Cases))
	for i := range x.Cases {
		k := &x.Cases[i]
		said := make([]string, len(k.Expect))
		for n := range k.Expect {
			said[n] = k.Expect[n].Words()
		}
		samples[i] = inspectSample{
			ID: k.ID, Input: k.Input, Target: strings.Join(said, "; "),
			Metadata: inspectMetadata{x.Incident, k.Seq, k.Hash, k.Expect, k.Answer},
		}
	}
	body, err := jsonLines(samples)
	return []File{{"inspect/task.py", taskFile}, {"inspect/expectations.py", expectationsFile}, {"inspect/dataset.jsonl", body}}, err
}
