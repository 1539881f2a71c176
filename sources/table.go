package sources

import (
	"context"
	"time"
)

// RequestTable is the request rows of a span of time by column, for who compares
// many of them: a value that stands in many rows is there once.
type RequestTable struct {
	N       int
	Time    []time.Duration // of each row, since Start
	Start   time.Time
	Text    []TextColumn
	Lists   []ListColumn
	Numbers []NumberColumn
	// Every is how many rows one row stands for: 1, unless there were more than asked for.
	Every int
	Facts Facts
}

// TextColumn has one value per row. Code 0 is the empty text: not known.
type TextColumn struct {
	Name   string
	Values []string
	Codes  []uint32
}

// ListColumn has any number of values per row: entry i says that Rows[i] has Values[Codes[i]].
type ListColumn struct {
	Name   string
	Values []string
	Rows   []uint32
	Codes  []uint32
}

// NumberColumn has a number per row; NaN is not known.
type NumberColumn struct {
	Name string
	V    []float64
}

// Column returns the text column of that name, nil when it was not asked for.
func (t *RequestTable) Column(name string) *TextColumn {
	for i := range t.Text {
		if t.Text[i].Name == name {
			return &t.Text[i]
		}
	}
	return nil
}

// Number returns the number column of that name, nil when it was not asked for.
func (t *RequestTable) Number(name string) []float64 {
	for i := range t.Numbers {
		if t.Numbers[i].Name == name {
			return t.Numbers[i].V
		}
	}
	return nil
}

// TableQuery asks for a table. Columns go by the JSON names of a request row;
// lists are "document", "tool" and "tool_error".
type TableQuery struct {
	Service      string
	Since, Until time.Time
	Text         []string
	Lists        []string
	Numbers      []string // also the stages by name, "llm_calls", and "score"
	// Evaluator is whose value "score" is; empty for the lowest of a row.
	Evaluator string
	// Limit is about how many rows are wanted; of more, every so-manieth is taken.
	Limit int
}

// Tables reads request rows by column.
type Tables interface {
	Table(ctx context.Context, q TableQuery) (*RequestTable, error)
}

// Attribute is one value of one column of a request row: what a suspect is, and what requests can be filtered by.
type Attribute struct {
	Name  string `json:"attribute"`
	Value string `json:"value"`
}

func (a Attribute) String() string { return a.Name + "=" + a.Value }
