package recorder

import (
	"encoding/json"
	"os"
	"strings"
	"time"

	"rollcall/sources/redact"
)

// The bound of a spool is shared out: most to the beginning, some to single lines
// while more comes than can be kept, the rest to the end.
const (
	headShare    = 0.6
	trickleShare = 0.2
	trickleEvery = 200 * time.Millisecond
	blockLines   = 256
	blockBytes   = 64 << 10
)

type budget struct {
	lines int
	bytes int
}

func share(maxLines, maxBytes int, part float64) budget {
	return budget{int(float64(maxLines) * part), int(float64(maxBytes) * part)}
}

// take tells whether there is room for a text, and uses it up.
func (b *budget) take(n int) bool {
	if b.lines < 1 || b.bytes < n {
		return false
	}
	b.lines--
	b.bytes -= n
	return true
}

// sink redacts lines and writes those within the bound to the spool. What is in
// the spool has room there for good: a line that was shown is never dropped.
type sink struct {
	out    *os.File
	redact func(string) string

	block []raw // not yet judged; what comes together is one document
	size  int

	head, trickle, tail budget
	rest                []raw // newest lines beyond the bound, kept for the end
	restSize            int
	allowed             time.Time // when the next single line may pass

	n       int64 // lines so far
	omitted int64
	failed  error
}

func newSink(out *os.File, maxLines, maxBytes int, redact func(string) string) *sink {
	tail := 1 - headShare - trickleShare
	return &sink{
		out: out, redact: redact,
		head: share(maxLines, maxBytes, headShare), trickle: share(maxLines, maxBytes, trickleShare), tail: share(maxLines, maxBytes, tail),
	}
}

func (s *sink) add(r raw) {
	s.block = append(s.block, r)
	s.size += len(r.text)
	if len(s.block) >= blockLines || s.size >= blockBytes {
		s.flush()
	}
}

// flush judges the block and writes what there is room for.
func (s *sink) flush() {
	block := s.block
	s.block, s.size = nil, 0
	if s.head.lines > 0 && s.head.bytes > maxLine {
		s.write(block, &s.head)
		return
	}
	for _, r := range block {
		if len(s.rest) == 0 || !r.at.Before(s.allowed) {
			if s.trickle.lines > 0 && s.trickle.bytes > maxLine && !r.at.Before(s.allowed) {
				s.drop(len(s.rest))
				s.write([]raw{r}, &s.trickle)
				s.allowed = r.at.Add(trickleEvery)
				continue
			}
		}
		s.rest = append(s.rest, r)
		s.restSize += len(r.text)
		over := 0
		for size := s.restSize; len(s.rest)-over > s.tail.lines || size > s.tail.bytes; over++ {
			size -= len(s.rest[over].text)
		}
		s.drop(over)
	}
}

// drop leaves the oldest of the rest out.
func (s *sink) drop(n int) {
	for _, r := range s.rest[:n] {
		s.restSize -= len(r.text)
	}
	s.rest = s.rest[n:]
	s.n += int64(n)
	s.omitted += int64(n)
}

// close writes what is left.
func (s *sink) close() {
	s.flush()
	rest := s.rest
	s.rest, s.restSize = nil, 0
	s.write(rest, &s.tail)
}

// write redacts lines, those of one stream that follow each other as one document.
func (s *sink) write(lines []raw, room *budget) {
	var buf []byte
	for len(lines) > 0 {
		n := 1
		for n < len(lines) && lines[n].stream == lines[0].stream {
			n++
		}
		texts := make([]string, n)
		for i := range n {
			texts[i] = lines[i].text
		}
		clean := strings.Split(s.redact(strings.Join(texts, "\n")), "\n")
		for i, text := range clean {
			text = redact.SanitizeLine(text, maxLine)
			s.n++
			b, err := json.Marshal(Line{N: s.n, Wall: lines[min(i, n-1)].at, Stream: lines[0].stream, Text: text})
			if err != nil || !room.take(len(text)) {
				s.omitted++
				continue
			}
			buf = append(append(buf, b...), '\n')
		}
		lines = lines[n:]
	}
	if len(buf) == 0 || s.failed != nil {
		return
	}
	_, s.failed = s.out.Write(buf)
}
