package loki

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

var errNotJSON = errors.New("not JSON")

// maxDepth of nested values; Loki's own answers have eight.
const maxDepth = 64

// reader pulls JSON from a stream. Unlike encoding/json it never holds more of
// a string than its maximum: the rest is read, counted and dropped.
type reader struct {
	r     *bufio.Reader
	max   int // bytes kept of a string
	cut   int // bytes dropped from the last string
	buf   []byte
	depth int
}

func newReader(r io.Reader, max int) *reader {
	return &reader{r: bufio.NewReaderSize(r, 64<<10), max: max}
}

// reset makes the reader read something else.
func (r *reader) reset(from io.Reader) {
	r.r.Reset(from)
	r.cut, r.depth = 0, 0
}

// next returns the next byte that is no white space, without taking it.
func (r *reader) next() (byte, error) {
	for {
		c, err := r.r.ReadByte()
		if err != nil {
			return 0, broken(err)
		}
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c, r.r.UnreadByte()
		}
	}
}

func broken(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *reader) expect(want byte) error {
	c, err := r.next()
	if err != nil {
		return err
	}
	if c != want {
		return fmt.Errorf("%w: %q where %q should be", errNotJSON, c, want)
	}
	_, _ = r.r.Discard(1)
	return nil
}

// null takes a null and tells whether there was one.
func (r *reader) null() (bool, error) {
	c, err := r.next()
	if err != nil || c != 'n' {
		return false, err
	}
	return true, r.literal()
}

// object calls field for every key; field must take the value. A null is an empty object.
func (r *reader) object(field func(key string) error) error {
	if null, err := r.null(); null || err != nil {
		return err
	}
	return r.list('{', '}', func() error {
		key, err := r.text()
		if err != nil {
			return err
		}
		if err := r.expect(':'); err != nil {
			return err
		}
		return field(key)
	})
}

// array calls item for every element; item must take it. A null is an empty array.
func (r *reader) array(item func() error) error {
	if null, err := r.null(); null || err != nil {
		return err
	}
	return r.list('[', ']', item)
}

func (r *reader) list(open, end byte, item func() error) error {
	if err := r.expect(open); err != nil {
		return err
	}
	if r.depth++; r.depth > maxDepth {
		return fmt.Errorf("%w: nested deeper than %d", errNotJSON, maxDepth)
	}
	defer func() { r.depth-- }()
	c, err := r.next()
	if err != nil {
		return err
	}
	if c == end {
		_, _ = r.r.Discard(1)
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		c, err := r.next()
		if err != nil {
			return err
		}
		_, _ = r.r.Discard(1)
		switch c {
		case ',':
		case end:
			return nil
		default:
			return fmt.Errorf("%w: %q where a comma should be", errNotJSON, c)
		}
	}
}

// text takes a string; r.cut says how many bytes of it were dropped.
func (r *reader) text() (string, error) {
	if err := r.expect('"'); err != nil {
		return "", err
	}
	r.buf, r.cut = r.buf[:0], 0
	for {
		// Whole pieces up to the next quote or escape, as far as the buffer goes.
		if _, err := r.r.Peek(1); err != nil {
			return "", broken(err)
		}
		piece, _ := r.r.Peek(r.r.Buffered())
		n := 0
		for n < len(piece) && piece[n] != '"' && piece[n] != '\\' {
			n++
		}
		r.keep(piece[:n])
		_, _ = r.r.Discard(n)
		if n == len(piece) {
			continue
		}
		c, _ := r.r.ReadByte()
		if c == '"' {
			break
		}
		if err := r.escape(); err != nil {
			return "", err
		}
	}
	if r.cut > 0 { // not in the middle of a character
		for n := len(r.buf); n > 0 && n > len(r.buf)-utf8.UTFMax; n-- {
			if utf8.RuneStart(r.buf[n-1]) {
				if !utf8.FullRune(r.buf[n-1:]) {
					r.cut += len(r.buf) - n + 1
					r.buf = r.buf[:n-1]
				}
				break
			}
		}
	}
	s := string(r.buf)
	if cap(r.buf) > 1<<20 {
		r.buf = nil
	}
	return s, nil
}

func (r *reader) keep(b []byte) {
	room := max(0, r.max-len(r.buf))
	if len(b) > room {
		r.cut += len(b) - room
		b = b[:room]
	}
	r.buf = append(r.buf, b...)
}

func (r *reader) escape() error {
	c, err := r.r.ReadByte()
	if err != nil {
		return broken(err)
	}
	switch c {
	case 'n':
		c = '\n'
	case 't':
		c = '\t'
	case 'r':
		c = '\r'
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case '"', '\\', '/':
	case 'u':
		return r.unicode()
	default:
		return fmt.Errorf("%w: escape \\%c", errNotJSON, c)
	}
	r.keep([]byte{c})
	return nil
}

func (r *reader) unicode() error {
	hi, err := r.hex4()
	if err != nil {
		return err
	}
	char := rune(hi)
	if utf16.IsSurrogate(char) {
		char = utf8.RuneError
		if peek, err := r.r.Peek(2); err == nil && peek[0] == '\\' && peek[1] == 'u' {
			_, _ = r.r.Discard(2)
			lo, err := r.hex4()
			if err != nil {
				return err
			}
			char = utf16.DecodeRune(rune(hi), rune(lo))
		}
	}
	r.keep(utf8.AppendRune(nil, char))
	return nil
}

func (r *reader) hex4() (uint64, error) {
	var b [4]byte
	if _, err := io.ReadFull(r.r, b[:]); err != nil {
		return 0, broken(err)
	}
	v, err := strconv.ParseUint(string(b[:]), 16, 32)
	if err != nil {
		return 0, fmt.Errorf("%w: escape \\u%q", errNotJSON, b[:])
	}
	return v, nil
}

// scalar takes a string, number, boolean or null as text, and tells whether it was one.
// Objects and arrays are skipped.
func (r *reader) scalar() (v string, ok bool, err error) {
	c, err := r.next()
	if err != nil {
		return "", false, err
	}
	switch c {
	case '"':
		v, err = r.text()
		return v, true, err
	case '{', '[':
		return "", false, r.skip()
	}
	err = r.literal()
	return string(r.buf), true, err
}

// literal takes a number, true, false or null into buf.
func (r *reader) literal() error {
	r.buf = r.buf[:0]
	for len(r.buf) < 64 {
		c, err := r.r.ReadByte()
		if errors.Is(err, io.EOF) && len(r.buf) > 0 {
			return nil
		}
		if err != nil {
			return broken(err)
		}
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '+', c == '.':
			r.buf = append(r.buf, c)
			continue
		}
		if len(r.buf) == 0 {
			return fmt.Errorf("%w: %q", errNotJSON, c)
		}
		return r.r.UnreadByte()
	}
	return fmt.Errorf("%w: a value like %q…", errNotJSON, r.buf)
}

// skip takes any value and keeps nothing.
func (r *reader) skip() error {
	c, err := r.next()
	if err != nil {
		return err
	}
	switch c {
	case '"':
		keep := r.max
		r.max = 0
		_, err = r.text()
		r.max = keep
		return err
	case '{':
		return r.object(func(string) error { return r.skip() })
	case '[':
		return r.array(r.skip)
	}
	return r.literal()
}

// strings takes an object of scalars.
func (r *reader) strings() (map[string]string, error) {
	var m map[string]string
	err := r.object(func(key string) error {
		v, ok, err := r.scalar()
		if err == nil && ok {
			if m == nil {
				m = make(map[string]string)
			}
			m[key] = v
		}
		return err
	})
	return m, err
}
