package recorder

import (
	"bytes"
	"regexp"
	"strings"
	"time"
)

const (
	maxRaw  = 16 << 10 // of a line that is looked at whole
	maxLine = 8 << 10  // of a line that is kept
)

// raw is a line as the command wrote it.
type raw struct {
	stream string
	at     time.Time
	text   string
}

// splitter cuts one stream into lines. It is bounded whatever comes.
type splitter struct {
	stream string
	buf    []byte
	shown  string // of the line in buf, what a lull has sent ahead
	key    bool   // inside a private key
	cr     bool   // the byte before was a carriage return that ended a line
}

// write takes what was read and emits the lines that it completes. A lone
// carriage return ends a line too: progress bars are rows, not one endless line.
func (s *splitter) write(p []byte, at time.Time, emit func(raw)) {
	for len(p) > 0 {
		i := bytes.IndexAny(p, "\n\r")
		if i < 0 {
			i = len(p)
		}
		if i > 0 {
			s.add(p[:i], at, emit)
			s.cr = false
		}
		if i == len(p) {
			return
		}
		switch {
		case p[i] == '\r' && len(s.buf) > 0:
			s.end(at, emit)
			s.cr = true
		case p[i] == '\n' && !s.cr:
			s.end(at, emit)
		case p[i] == '\n':
			s.cr = false
		}
		p = p[i+1:]
	}
}

func (s *splitter) add(p []byte, at time.Time, emit func(raw)) {
	for len(s.buf)+len(p) > maxRaw {
		n := maxRaw - len(s.buf)
		s.buf = append(s.buf, p[:n]...)
		p = p[n:]
		// Cut where no word is: half a secret may not be recognised as one.
		cut := bytes.LastIndexAny(s.buf, " \t,;") + 1
		if cut < maxRaw/2 {
			cut = len(s.buf)
		}
		rest := bytes.Clone(s.buf[cut:])
		s.buf = s.buf[:cut]
		s.end(at, emit)
		s.buf = append(s.buf, rest...)
	}
	s.buf = append(s.buf, p...)
}

// end emits the line in hand.
func (s *splitter) end(at time.Time, emit func(raw)) {
	text := string(s.buf)
	s.buf, s.shown = s.buf[:0], ""
	if text, ok := s.outsideKeys(text); ok {
		emit(raw{s.stream, at, text})
	}
}

var (
	keyBegins = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----\s*$`)
	keyBody   = regexp.MustCompile(`^\s*([A-Za-z0-9+/=_-]*|[A-Za-z-]+: .*)\s*$`)
)

// outsideKeys leaves the lines of a private key out, from the first that begins one: they come
// one by one and perhaps slowly, and no single line of them looks like a secret.
func (s *splitter) outsideKeys(text string) (string, bool) {
	if i := keyBegins.FindStringIndex(text); i != nil {
		s.key = true
		return text[:i[0]] + "<private-key>", true
	}
	if !s.key {
		return text, true
	}
	if strings.Contains(text, "-----END ") {
		s.key = false
		_, after, _ := strings.Cut(text, "KEY-----")
		return after, strings.TrimSpace(after) != ""
	}
	if keyBody.MatchString(text) {
		return "", false
	}
	s.key = false
	return text, true
}

// ahead emits the beginning of a line that has no end yet, such as a prompt. Its
// last word waits: the rest of it may be on the way.
func (s *splitter) ahead(at time.Time, emit func(raw)) {
	cut := bytes.LastIndexAny(s.buf, " \t")
	if cut <= 0 || s.key || string(s.buf[:cut]) == s.shown {
		return
	}
	s.shown = string(s.buf[:cut])
	emit(raw{s.stream, at, s.shown})
}
