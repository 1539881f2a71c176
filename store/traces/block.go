package traces

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A block holds the rows of blockRows consecutive keys by column, so that many
// rows can be compared without reading them one by one. It only repeats what the
// rows say; a block that is missing or damaged costs time, nothing else.
//
//	version(1) rows { nameLength name kind width length compressed-payload }…
//
// Counts and lengths are unsigned varints. Payloads, each compressed by itself so
// that a reader expands what it wants only:
//
//	keys     key−first of each row, 2 bytes
//	time     start of each row, Unix nanoseconds, 8 bytes
//	text     dictionary, then a code of width bytes per row
//	number   per row 0 for unknown, else 1+zigzag(millionths); width 1: whole numbers
//	list     dictionary, entries, then row (2 bytes) and code (width bytes) of each entry
//	scores   dictionary of evaluators, entries, then row, code and value (8 bytes, millionths) of each
//
// A dictionary is the number of values, and of each its length and text; code 0 is the empty text.
const (
	blockVersion = 1
	blockBits    = 12
	blockRows    = 1 << blockBits

	kindFixed  = 'f'
	kindText   = 't'
	kindNumber = 'n'
	kindList   = 'l'
	kindScores = 's'

	keySection  = "\x01key" // no column has such a name
	timeSection = "\x01time"
)

var errBlock = errors.New("a stored block of rows is damaged")

// section is one column of a block as it is stored.
type section struct {
	kind, width byte
	packed      []byte
}

// blockMaker puts a block together.
type blockMaker struct {
	codec *codec
	out   []byte
	raw   []byte
}

func newBlock(c *codec, rows int) *blockMaker {
	return &blockMaker{codec: c, out: binary.AppendUvarint([]byte{blockVersion}, uint64(rows))} //nolint:gosec // a length
}

func (m *blockMaker) add(name string, kind, width byte) {
	m.out = appendText(m.out, name)
	m.out = append(m.out, kind, width)
	packed := m.codec.enc.EncodeAll(m.raw, nil)
	m.out = binary.AppendUvarint(m.out, uint64(len(packed)))
	m.out = append(m.out, packed...)
	m.raw = m.raw[:0]
}

func (m *blockMaker) dictionary(values []string) (width byte) {
	m.raw = binary.AppendUvarint(m.raw, uint64(len(values)))
	for _, v := range values {
		m.raw = appendText(m.raw, v)
	}
	switch {
	case len(values) <= 1<<8:
		return 1
	case len(values) <= 1<<16:
		return 2
	}
	return 4
}

func (m *blockMaker) code(v uint32, width byte) {
	for range width {
		m.raw = append(m.raw, byte(v))
		v >>= 8
	}
}

func (m *blockMaker) text(name string, values []string, codes []uint32) {
	width := m.dictionary(values)
	for _, c := range codes {
		m.code(c, width)
	}
	m.add(name, kindText, width)
}

func (m *blockMaker) keys(offsets []uint16) {
	for _, o := range offsets {
		m.raw = binary.LittleEndian.AppendUint16(m.raw, o)
	}
	m.add(keySection, kindFixed, 2)
}

func (m *blockMaker) times(at []int64) {
	for _, t := range at {
		m.raw = binary.LittleEndian.AppendUint64(m.raw, uint64(t)) //nolint:gosec // the bits
	}
	m.add(timeSection, kindFixed, 8)
}

// inMillionths is the form in which numbers are read and kept.
func inMillionths(v float64) int64 {
	switch m := math.Round(v * 1e6); {
	case m >= math.MaxInt64/4:
		return math.MaxInt64 / 4
	case m <= -math.MaxInt64/4:
		return -math.MaxInt64 / 4
	default:
		return int64(m)
	}
}

func (m *blockMaker) number(name string, v []float64) {
	whole := byte(1)
	for _, x := range v {
		if !math.IsNaN(x) && inMillionths(x)%1e6 != 0 {
			whole = 0
			break
		}
	}
	for _, x := range v {
		if math.IsNaN(x) {
			m.raw = append(m.raw, 0)
			continue
		}
		n := inMillionths(x)
		if whole == 1 {
			n /= 1e6
		}
		m.raw = binary.AppendUvarint(m.raw, 1+uint64(n<<1^n>>63)) //nolint:gosec // zigzag
	}
	m.add(name, kindNumber, whole)
}

func (m *blockMaker) list(name string, values []string, rows, codes []uint32) {
	width := m.dictionary(values)
	m.raw = binary.AppendUvarint(m.raw, uint64(len(rows)))
	for _, r := range rows {
		m.code(r, 2)
	}
	for _, c := range codes {
		m.code(c, width)
	}
	m.add(name, kindList, width)
}

func (m *blockMaker) scores(values []string, rows, codes []uint32, millionths []int64) {
	width := m.dictionary(values)
	m.raw = binary.AppendUvarint(m.raw, uint64(len(rows)))
	for _, r := range rows {
		m.code(r, 2)
	}
	for _, c := range codes {
		m.code(c, width)
	}
	for _, n := range millionths {
		m.raw = binary.LittleEndian.AppendUint64(m.raw, uint64(n)) //nolint:gosec // the bits
	}
	m.add(scoreColumn, kindScores, width)
}

// block is a stored block under reading; its columns are expanded when asked for.
type block struct {
	codec    *codec
	rows     int
	sections map[string]section
	raw      []byte // of the section last expanded
}

// openBlock takes a stored block apart without expanding it. The data must stay as it is.
func openBlock(c *codec, data []byte) (*block, error) {
	if len(data) == 0 || data[0] != blockVersion {
		return nil, errBlock
	}
	r := reader{b: string(data), at: 1}
	b := &block{codec: c, rows: int(r.uvarint()), sections: map[string]section{}} //nolint:gosec // checked below
	if b.rows < 0 || b.rows > blockRows {
		return nil, errBlock
	}
	for !r.bad && r.at < len(r.b) {
		name := r.text()
		s := section{kind: r.byte(), width: r.byte()}
		n := r.count(1)
		if r.bad {
			break
		}
		s.packed = data[r.at : r.at+n]
		r.at += n
		b.sections[name] = s
	}
	if r.bad {
		return nil, errBlock
	}
	return b, nil
}

// expand returns the payload of a section. It is good until the next call.
func (b *block) expand(name string, kind byte) (walker, byte, error) {
	s, ok := b.sections[name]
	if !ok || s.kind != kind {
		return walker{}, 0, errBlock
	}
	raw, err := b.codec.dec.DecodeAll(s.packed, b.raw[:0])
	if err != nil {
		return walker{}, 0, fmt.Errorf("%w: %w", errBlock, err)
	}
	b.raw = raw
	return walker{b: raw}, s.width, nil
}

// fixed reads a section of integers of 2 or 8 bytes.
func (b *block) fixed(name string) ([]int64, error) {
	w, width, err := b.expand(name, kindFixed)
	if err != nil || len(w.b) != b.rows*int(width) {
		return nil, errors.Join(errBlock, err)
	}
	out := make([]int64, b.rows)
	for i := range out {
		if width == 2 {
			out[i] = int64(binary.LittleEndian.Uint16(w.b[2*i:]))
		} else {
			out[i] = int64(binary.LittleEndian.Uint64(w.b[8*i:])) //nolint:gosec // the bits
		}
	}
	return out, nil
}

// coded is a dictionary and codes into it. The texts are good as long as it is held.
type coded struct {
	values [][]byte
	rows   []uint16 // of a list
	codes  []uint32
	tail   []byte // what follows
}

// millionths is the value of a score.
func (c *coded) millionths(i int) int64 {
	return int64(binary.LittleEndian.Uint64(c.tail[8*i:])) //nolint:gosec // the bits
}

func (b *block) text(name string) (*coded, error) {
	w, width, err := b.expand(name, kindText)
	if err != nil {
		return nil, err
	}
	c := &coded{values: w.dictionary()}
	if c.codes, err = w.codes(b.rows, width, len(c.values)); err != nil {
		return nil, err
	}
	b.raw = nil // the values are parts of it
	return c, nil
}

func (b *block) list(name string, kind byte) (*coded, error) {
	w, width, err := b.expand(name, kind)
	if err != nil {
		return nil, err
	}
	c := &coded{values: w.dictionary()}
	n := w.uvarint()
	if w.bad || n > uint64(len(w.b)) || len(w.b) < 2*int(n) {
		return nil, errBlock
	}
	c.rows = make([]uint16, n)
	for i := range c.rows {
		c.rows[i] = binary.LittleEndian.Uint16(w.b[2*i:])
		if int(c.rows[i]) >= b.rows {
			return nil, errBlock
		}
	}
	w.b = w.b[2*n:]
	if c.codes, err = w.codes(int(n), width, len(c.values)); err != nil { //nolint:gosec // checked above
		return nil, err
	}
	c.tail = w.b
	b.raw = nil
	return c, nil
}

// numbers reads a column into out, which has room for all rows; NaN is unknown.
func (b *block) numbers(name string, out []float64) error {
	w, whole, err := b.expand(name, kindNumber)
	if err != nil {
		return err
	}
	for i := range out[:b.rows] {
		u := w.uvarint()
		if u == 0 {
			out[i] = math.NaN()
			continue
		}
		u--
		n := int64(u>>1) ^ -int64(u&1) //nolint:gosec // zigzag
		if out[i] = float64(n); whole == 0 {
			out[i] = float64(n) / 1e6
		}
	}
	if w.bad || len(w.b) != 0 {
		return errBlock
	}
	return nil
}

// walker walks a payload; after the first damage it returns zeroes.
type walker struct {
	b   []byte
	bad bool
}

func (w *walker) uvarint() uint64 {
	v, n := binary.Uvarint(w.b)
	if n <= 0 {
		w.bad = true
		return 0
	}
	w.b = w.b[n:]
	return v
}

func (w *walker) dictionary() [][]byte {
	n := w.uvarint()
	if w.bad || n > uint64(len(w.b)) {
		w.bad = true
		return nil
	}
	out := make([][]byte, n)
	for i := range out {
		size := w.uvarint()
		if w.bad || size > uint64(len(w.b)) {
			w.bad = true
			return nil
		}
		out[i], w.b = w.b[:size], w.b[size:]
	}
	return out
}

// codes reads n codes below limit.
func (w *walker) codes(n int, width byte, limit int) ([]uint32, error) {
	if w.bad || len(w.b) < n*int(width) {
		return nil, errBlock
	}
	out := make([]uint32, n)
	switch width {
	case 1:
		for i := range out {
			out[i] = uint32(w.b[i])
		}
	case 2:
		for i := range out {
			out[i] = uint32(binary.LittleEndian.Uint16(w.b[2*i:]))
		}
	case 4:
		for i := range out {
			out[i] = binary.LittleEndian.Uint32(w.b[4*i:])
		}
	default:
		return nil, errBlock
	}
	for _, c := range out {
		if int(c) >= limit {
			return nil, errBlock
		}
	}
	w.b = w.b[n*int(width):]
	return out, nil
}
