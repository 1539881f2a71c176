package redact

import "strings"

// A line may end in the middle of a key: a log driver cuts long lines, an editor or
// a mailer wraps them. The word before the break and the word after it are read as one.

// longestHalf is how much of the text on either side of a break is looked at.
const longestHalf = 512

// joints adds what is cut in two by a line break inside of the text.
func (sc *scanner) joints() {
	s := sc.s
	added := false
	newline, slash := nextByte(s, 0, '\n'), nextByte(s, 0, '\\')
	for i := 0; newline < len(s) || slash < len(s); {
		if newline < i {
			newline = nextByte(s, i, '\n')
		}
		if slash < i {
			slash = nextByte(s, i, '\\')
		}
		j := min(newline, slash)
		next := lineBreak(s, j)
		if next == 0 {
			for i = j + 1; i < len(s) && s[i] == '\\'; i++ { // all of them were looked at
			}
			continue
		}
		i = next
		end := j
		if end > 0 && s[end-1] == '\r' {
			end--
		}
		if start, stop, kind, ok := sc.joint(s[:end], s[next:]); ok && !sc.covered(start, next+stop) {
			sc.spans = append(sc.spans, span{start: start, end: next + stop, kind: kind, whole: true})
			added = true
		}
	}
	if added {
		sc.spans = merge(cut(sc.spans))
	}
}

// nextByte returns where the byte stands from i on, or the length of the text.
func nextByte(s string, i int, c byte) int {
	if i < len(s) {
		if j := strings.IndexByte(s[i:], c); j >= 0 {
			return i + j
		}
	}
	return len(s)
}

// joint finds what goes from the end of one text over to the beginning of the next: it is
// before[start:] and after[:stop].
func (sc *scanner) joint(before, after string) (start, stop int, k kind, ok bool) {
	if before == "" || after == "" || !partOfWord(before[len(before)-1]) || !partOfWord(after[0]) {
		return 0, 0, 0, false
	}
	left, right := lastWord(before), firstWord(after)
	if !telltale(left) {
		return 0, 0, 0, false
	}
	inner := sc.r.scanners.Get().(*scanner)
	defer sc.r.release(inner)
	inner.depth = maxDecodings // no decoding, and no line breaks in these
	covers := func(text string, at int) (span, bool) {
		inner.load(Identity, text, nil)
		for _, sp := range inner.spans {
			if sp.start < at && sp.end >= at {
				return sp, true
			}
		}
		return span{}, false
	}
	all, found := covers(left+right, len(left))
	if !found {
		return 0, 0, 0, false
	}
	switch all.kind {
	case kindAPIKey, kindJWT, kindAuth:
	case kindPassword:
		if digits(left, all.start) == len(left) { // a port, and what follows is of another line
			return 0, 0, 0, false
		}
	default: // anything else depends on what stands around it
		return 0, 0, 0, false
	}
	if _, whole := covers(right, 1); whole {
		return 0, 0, 0, false
	}
	stop = all.end - len(left)
	if _, whole := covers(left, len(left)); whole && (stop < 8 || !mix(right[:stop]).random()) {
		return 0, 0, 0, false // what follows a whole key is another word, unless it looks generated too
	}
	return len(before) - len(left) + all.start, stop, all.kind, true
}

func partOfWord(c byte) bool {
	return class[c]&(cRun|cMail) != 0 || c == ':' || c == '@' || c == '=' || c == '~'
}

func lastWord(s string) string {
	i := len(s)
	for i > 0 && len(s)-i < longestHalf && partOfWord(s[i-1]) {
		i--
	}
	if scheme := "bearer "; i >= len(scheme) && strings.EqualFold(s[i-len(scheme):i], scheme) {
		i -= len(scheme)
	}
	return s[i:]
}

func firstWord(s string) string {
	i := 0
	for i < len(s) && i < longestHalf && partOfWord(s[i]) {
		i++
	}
	return s[:i]
}

// telltale tells whether a word can be the beginning of a secret: words of prose, with which
// most lines end, are not looked at.
func telltale(word string) bool {
	for i := range len(word) {
		if c := word[i]; !isLower(c) && (!isUpper(c) || i > 0) {
			return true
		}
	}
	return false
}
