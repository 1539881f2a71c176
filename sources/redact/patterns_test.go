package redact

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestABadPatternIsNamed(t *testing.T) {
	for _, c := range []struct {
		p    Pattern
		want []string
	}{
		{Pattern{Name: "ticket", Regexp: `TCK-(`}, []string{`"ticket"`, "redact.patterns[1]", "missing closing )"}},
		{Pattern{Name: "ticket", Regexp: `[0-9]*`}, []string{`"ticket"`, "empty text"}},
		{Pattern{Name: "Ti cket\x1b", Regexp: `x`}, []string{"lower-case", "␛"}},
		{Pattern{Name: "email", Regexp: `x`}, []string{`"email"`, "taken"}},
		{Pattern{Name: "first", Regexp: `x`}, []string{`"first"`, "taken"}},
		{Pattern{Name: "ahead", Regexp: `x(?=y)`}, []string{`"ahead"`, "invalid"}},
	} {
		_, err := New(Config{Patterns: []Pattern{{Name: "first", Regexp: "abc"}, c.p}}, nil)
		if err == nil {
			t.Errorf("%+v was accepted", c.p)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q does not say %q", err, w)
			}
		}
		if strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q is more than a line", err)
		}
	}
}

func TestThePatternsOfTheUser(t *testing.T) {
	r := redactor(t, Config{Patterns: []Pattern{
		{Name: "ticket", Regexp: `TCK-[0-9]+`},
		{Name: "customer", Regexp: `customer[ =]([A-Z][a-z]+)`},
		{Name: "whole", Regexp: `^secret line.*$`},
		{Name: "mailbox", Regexp: `box [a-z]+@corp\.example`},
		{Name: "four", Regexp: `\b4[0-9]{3}\b`},
	}})
	values := []string{
		"see TCK-12 and TCK-13 and TCK-12",
		"customer Alice and customer=Bob",
		"nothing here",
		"secret line number one",
		"not a secret line",
		"box alice@corp.example",
		"paid 4111 1111 1111 1111",
		"a <ticket:3> and TCK-9",
	}
	pointers, docs := make([]*string, len(values)), make([]int, len(values))
	for i := range values {
		pointers[i], docs[i] = &values[i], i
	}
	r.Batch(pointers, docs)
	want := []string{
		"see <ticket:1> and <ticket:2> and <ticket:1>",
		"customer <customer:1> and customer=<customer:2>",
		"nothing here",
		"<whole:1>",
		"not a secret line",
		"<mailbox:1>",
		"paid <card:1>",
		"a <ticket:3> and <ticket:4>",
	}
	if !slices.Equal(values, want) {
		t.Errorf("got  %q\nwant %q", values, want)
	}
	again := slices.Clone(values)
	for i := range again {
		pointers[i] = &again[i]
	}
	if r.Batch(pointers, docs); !slices.Equal(again, want) {
		t.Errorf("a second pass made %q", again)
	}
}

func TestTheprefilterMissesNothing(t *testing.T) {
	r := redactor(t, Config{Patterns: []Pattern{
		{Name: "start", Regexp: `\Aq[0-9]`}, {Name: "end", Regexp: `w[0-9]\z`}, {Name: "alone", Regexp: `^z[0-9]$`}, {Name: "word", Regexp: `\bk[0-9]\b`}, {Name: "folded", Regexp: `(?i)h[x]+y`},
	}})
	var values []string
	for i := range 3000 { // several chunks of the prefilter
		switch i % 300 {
		case 0:
			values = append(values, "q1 starts")
		case 1:
			values = append(values, "ends w1")
		case 2:
			values = append(values, "z1")
		case 3:
			values = append(values, "a k1 b")
		case 4:
			values = append(values, "HXXY")
		default:
			values = append(values, fmt.Sprintf("nothing of that kind in line number %d", i))
		}
	}
	alone := slices.Clone(values)
	pointers, docs := make([]*string, len(values)), make([]int, len(values))
	for i := range values {
		pointers[i], docs[i] = &values[i], i
		alone[i] = r.Text(alone[i])
	}
	r.Batch(pointers, docs)
	for i := range values {
		if values[i] != alone[i] {
			t.Errorf("in a batch %q, alone %q", values[i], alone[i])
		}
		if i%300 < 5 && !strings.Contains(values[i], ":1>") {
			t.Errorf("value %d: %q was missed", i, values[i])
		}
	}
}
