package redact

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Stream redacts what goes over the end of a line: a private key in as many lines as
// its file has, and a key that was cut in two. The lines are those of one stream in the
// order of time. What stands whole in a line is left to Fields.
func (r *Redactor) Stream(lines []*string) {
	if len(lines) < 2 {
		return
	}
	for i := 0; i+1 < len(lines); i++ {
		if start, body := pemBegin(*lines[i]); body > 0 && !strings.Contains((*lines[i])[body:], pemEndMark) {
			r.privateKey(lines[i:], start, body)
		}
	}
	sc := r.scanners.Get().(*scanner)
	defer r.release(sc)
	for i := range len(lines) - 1 {
		before, after := lines[i], lines[i+1]
		if start, stop, kind, ok := sc.joint(*before, *after); ok {
			*before = (*before)[:start] + r.first(kind)
			if stop > 0 {
				*after = r.first(kind) + (*after)[stop:]
			}
		}
	}
}

// first is the placeholder of a value that is the first of its kind in its line.
func (r *Redactor) first(k kind) string { return fmt.Sprintf("<%s:1>", r.names[k]) }

const (
	pemBeginMark = "-----BEGIN "
	pemEndMark   = "-----END "
	pemDashes    = "-----"
	pemHeader    = "Proc-Type:" // of an encrypted key
)

// pemBegin finds the first line of a private key: it is s[start:body]; body is 0 where there is none.
func pemBegin(s string) (start, body int) {
	for from := 0; ; {
		i := strings.Index(s[from:], pemBeginMark)
		if i < 0 {
			return 0, 0
		}
		start = from + i
		from = start + len(pemBeginMark)
		label, _, ok := strings.Cut(s[from:min(len(s), from+60)], pemDashes)
		if ok && strings.Contains(label, "PRIVATE KEY") {
			return start, from + len(label) + len(pemDashes)
		}
	}
}

// privateKey replaces the key that begins in the first line at start, its body at body,
// up to its last line. Where that is not among the lines, it goes as far as they look like a key.
func (r *Redactor) privateKey(lines []*string, start, body int) {
	ends := 0 // the line that has the end
	for i, size := 1, 0; i < len(lines) && size < maxPEM; i++ {
		if strings.Contains(*lines[i], pemEndMark) {
			ends = i
			break
		}
		size += len(*lines[i])
	}
	mark := r.first(kindPrivateKey)
	if !keyFollows(*lines[1]) {
		return
	}
	rest, _ := keyRuns((*lines[0])[body:], mark, false)
	*lines[0] = (*lines[0])[:start] + mark + rest
	for i, size := 1, 0; i < len(lines) && size < maxPEM; i++ {
		line := *lines[i]
		size += len(line)
		if i == ends {
			at := strings.Index(line, pemEndMark)
			end := at + len(pemEndMark)
			if j := strings.Index(line[end:], pemDashes); j >= 0 {
				end += j + len(pemDashes)
			}
			before, _ := keyRuns(line[:at], mark, false)
			*lines[i] = before + mark + line[end:]
			return
		}
		text, found := keyRuns(line, mark, i < ends)
		if !found && ends == 0 && !strings.Contains(line, pemHeader) && strings.TrimSpace(line) != "" {
			return
		}
		*lines[i] = text
	}
}

// keyFollows tells whether the line after a key's first can belong to the key: a full
// line of base64 or the first header of an encrypted one.
func keyFollows(line string) bool {
	const full = 40
	return strings.Contains(line, pemHeader) || slices.ContainsFunc(strings.FieldsFunc(line, func(c rune) bool { return !inBase64(c) }),
		func(word string) bool { return len(word) >= full })
}

func inBase64(c rune) bool {
	return c < utf8.RuneSelf && isAlnum(byte(c)) || c == '+' || c == '/' || c == '='
}

// keyRuns replaces what can be a line of a private key's body: long runs of base64, or,
// where the key is known to go on, a line that is nothing else.
func keyRuns(line, mark string, goesOn bool) (string, bool) {
	if word := strings.TrimSpace(line); goesOn && word != "" && strings.IndexFunc(strings.TrimRight(word, "="), func(c rune) bool { return c == '=' || !inBase64(c) }) < 0 {
		return mark, true
	}
	var b strings.Builder
	at := 0
	for i := 0; i < len(line); {
		j := i
		for j < len(line) && inBase64(rune(line[j])) {
			j++
		}
		start := unescape(line, i, j)
		if j-start >= shortestRun {
			b.WriteString(line[at:start])
			b.WriteString(mark)
			at = j
		}
		i = j + 1
	}
	return b.String() + line[at:], at > 0
}
