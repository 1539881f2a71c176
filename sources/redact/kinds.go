package redact

import "strings"

type kind uint8

const (
	kindEmail kind = iota
	kindPhone
	kindCard
	kindIBAN
	kindNational
	kindIP
	kindJWT
	kindPrivateKey
	kindAPIKey
	kindPassword
	kindAuth
	kindSecret
	kindCount
)

// builtin names the kinds as placeholders and the corpus do.
var builtin = [kindCount]string{
	kindEmail:      "email",
	kindPhone:      "phone",
	kindCard:       "card",
	kindIBAN:       "iban",
	kindNational:   "national-id",
	kindIP:         "ip",
	kindJWT:        "jwt",
	kindPrivateKey: "private-key",
	kindAPIKey:     "api-key",
	kindPassword:   "password",
	kindAuth:       "auth",
	kindSecret:     "secret",
}

// span is a part of a text that is to be replaced.
type span struct {
	start, end int
	kind       kind
	whole      bool // an encoded run or what was cut in two: what stands around it does not decide about it
}

// Numbers of placeholders that were there before count only up to maxNumber:
// whoever wrote the text may have made them up.
const maxNumber = 999_999

// maxValues is how many different values one document can tell apart; all
// further ones share one number, so that a hostile text cannot fill the memory.
const maxValues = 1 << 16

// placeholder reads <name:N> at i, also as JSON writes it (\u003c … \u003e).
func (r *Redactor) placeholder(s string, i int) (end int, k kind, number int, ok bool) {
	const maxLen = 48
	rest := s[i:]
	if len(rest) > maxLen+12 {
		rest = rest[:maxLen+12]
	}
	open, closing := "<", ">"
	if !strings.HasPrefix(rest, open) {
		if !strings.HasPrefix(rest, `\u003c`) {
			return 0, 0, 0, false
		}
		open, closing = `\u003c`, `\u003e`
	}
	body := rest[len(open):]
	colon := strings.IndexByte(body, ':')
	if colon < 1 {
		return 0, 0, 0, false
	}
	j := colon + 1
	for j < len(body) && isDigit(body[j]) && j-colon <= 6 {
		number = number*10 + int(body[j]-'0')
		j++
	}
	if j == colon+1 || !strings.HasPrefix(body[j:], closing) {
		return 0, 0, 0, false
	}
	for k, name := range r.names {
		if name == body[:colon] {
			return i + len(open) + j + len(closing), kind(k), number, true
		}
	}
	return 0, 0, 0, false
}

// numbering gives values their numbers, per document and kind.
type numbering struct {
	r    *Redactor
	docs map[int]*document
}

type document struct {
	last []int // per kind
	seen map[value]int
}

type value struct {
	kind kind
	text string
}

// number starts a numbering above the placeholders that the values already hold.
func (r *Redactor) number(values []*string, doc []int) *numbering {
	n := &numbering{r: r, docs: make(map[int]*document)}
	for i, v := range values {
		for at := 0; ; {
			j := strings.IndexByte((*v)[at:], '<')
			if j < 0 {
				break
			}
			at += j
			end, k, num, ok := r.placeholder(*v, at)
			if !ok {
				at++
				continue
			}
			d := 0
			if doc != nil {
				d = doc[i]
			}
			last := n.document(d).last
			last[k] = max(last[k], num)
			at = end
		}
	}
	return n
}

func (n *numbering) document(d int) *document {
	doc := n.docs[d]
	if doc == nil {
		doc = &document{last: make([]int, len(n.r.names)), seen: make(map[value]int)}
		n.docs[d] = doc
	}
	return doc
}

func (n *numbering) of(d int, k kind, text string) int {
	doc := n.document(d)
	v := value{k, text}
	if num, ok := doc.seen[v]; ok {
		return num
	}
	num := doc.last[k] + 1
	if num > maxNumber || len(doc.seen) >= maxValues {
		return min(num, maxNumber)
	}
	doc.last[k] = num
	doc.seen[v] = num
	return num
}
