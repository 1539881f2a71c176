package loki

import (
	"strings"

	"rollcall/sources/redact"
)

// hiddenPerson is the kind of people who stood in a field by their address and
// became tokens. The user IDs of a service become tokens too, and name nobody.
const hiddenPerson = "person"

// hidden counts what redaction finds in lines, by kind, and keeps none of it. A
// placeholder that was there before is not counted: the service wrote it. A nil
// hidden counts nothing.
type hidden struct {
	kinds []string
	marks []string // how the placeholder of a kind begins, in text and as JSON may write it
	was   []string
	n     map[string]int
}

func newHidden(kinds []string) *hidden {
	h := &hidden{kinds: kinds}
	for _, k := range kinds {
		h.marks = append(h.marks, "<"+k+":", `\u003c`+k+":")
	}
	return h
}

func (h *hidden) add(kind string, n int) {
	if h == nil || n <= 0 {
		return
	}
	if h.n == nil {
		h.n = map[string]int{}
	}
	h.n[kind] += n
}

// people counts the addresses that became tokens.
func (h *hidden) people(was, is string) {
	if h != nil && len(was) != len(is) {
		h.add(hiddenPerson, strings.Count(was, "@")-strings.Count(is, "@"))
	}
}

// before remembers values that are about to be redacted in place.
func (h *hidden) before(values []*string) {
	if h == nil {
		return
	}
	h.was = h.was[:0]
	for _, v := range values {
		h.was = append(h.was, *v)
	}
}

// after compares.
func (h *hidden) after(names []string, values []*string) {
	if h == nil {
		return
	}
	for i, v := range values {
		was := h.was[i]
		if *v == was {
			continue
		}
		if redact.NamesPerson(names[i]) {
			h.people(was, *v)
			continue
		}
		for k, kind := range h.kinds {
			n := 0
			for _, m := range h.marks[2*k : 2*k+2] {
				n += strings.Count(*v, m) - strings.Count(was, m)
			}
			h.add(kind, n)
		}
	}
	clear(h.was) // no secret is held longer than it takes to count it
}
