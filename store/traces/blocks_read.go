package traces

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// keyRange is keys from first to end (exclusive).
type keyRange struct{ first, end int64 }

// partition reads the rows that began between two times, and their lists: by block
// where there is one, and one by one where there is none yet.
func (b *tableMaker) partition(ctx context.Context, c *codec, db *sql.DB, since, until int64) error {
	var first, last sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT (SELECT min(key) FROM requests),(SELECT max(key) FROM requests)").Scan(&first, &last); err != nil || !first.Valid {
		return err
	}
	there, err := blocksOf(ctx, db, since, until)
	if err != nil {
		return err
	}
	if !b.inBlocks() {
		clear(there)
	}
	var blocks []int64
	var rest []keyRange // newest first
	for n := last.Int64 >> blockBits; n >= first.Int64>>blockBits; n-- {
		wanted, ok := there[n]
		switch from, end := n<<blockBits, (n+1)<<blockBits; {
		case ok && wanted:
			blocks = append(blocks, n)
		case ok:
		case len(rest) > 0 && rest[len(rest)-1].first == end:
			rest[len(rest)-1].first = from
		default:
			rest = append(rest, keyRange{from, end})
		}
	}
	rows := len(blocks) * blockRows
	for _, r := range rest {
		rows += int(r.end - r.first)
	}
	b.grow(rows/b.every + 1)
	for _, r := range rest {
		if err := b.narrowed(ctx, db, r, since, until); err != nil {
			return err
		}
	}
	lost, err := b.readBlocks(ctx, c, db, blocks, since, until)
	if err != nil {
		return err
	}
	for _, n := range lost {
		if _, err := b.scan(ctx, db, n<<blockBits, (n+1)<<blockBits, since, until); err != nil {
			return err
		}
	}
	return nil
}

// narrowed reads rows one by one. Rows arrive about in the order of their times: of
// many keys, those of the times are looked for first.
func (b *tableMaker) narrowed(ctx context.Context, db *sql.DB, r keyRange, since, until int64) error {
	var first, last sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT min(key),max(key) FROM requests WHERE time>=? AND time<? AND key>=? AND key<?",
		since, until, r.first, r.end).Scan(&first, &last); err != nil || !first.Valid {
		return err
	}
	_, err := b.scan(ctx, db, first.Int64, last.Int64+1, since, until)
	return err
}

// blocksOf returns which blocks there are, and whether each has rows of a span of time.
func blocksOf(ctx context.Context, db *sql.DB, since, until int64) (map[int64]bool, error) {
	there := map[int64]bool{}
	rows, err := db.QueryContext(ctx, "SELECT n,hi>=? AND lo<? FROM blocks", since, until) //nolint:sqlclosecheck // walk closes them
	if err != nil {
		if strings.Contains(err.Error(), "no such table") { // written before there were any
			return there, nil
		}
		return nil, err
	}
	return there, walk(rows, func() error {
		var n int64
		var wanted bool
		err := rows.Scan(&n, &wanted)
		there[n] = wanted
		return err
	})
}

// inBlocks tells whether blocks have every column that is asked for.
func (b *tableMaker) inBlocks() bool {
	return !slices.ContainsFunc(b.q.Text, func(name string) bool { return singular[name] })
}

// readBlocks adds the rows of blocks, and returns the blocks that cannot be read (any more).
func (b *tableMaker) readBlocks(ctx context.Context, c *codec, db *sql.DB, blocks []int64, since, until int64) (lost []int64, err error) {
	work := make(chan int64, len(blocks))
	for _, n := range blocks {
		work <- n
	}
	close(work)
	errs := make([]error, b.readers)
	var wg sync.WaitGroup
	for r := range b.readers {
		wg.Go(func() {
			for n := range work {
				if errs[r] = ctx.Err(); errs[r] != nil {
					return
				}
				var data []byte
				err := db.QueryRowContext(context.WithoutCancel(ctx), "SELECT data FROM blocks WHERE n=?", n).Scan(&data)
				var p *part
				if err == nil {
					p, err = b.open(c, data, n<<blockBits, since, until)
				}
				b.mu.Lock()
				switch {
				case errors.Is(err, sql.ErrNoRows) || errors.Is(err, errBlock):
					lost = append(lost, n)
				case err != nil:
					errs[r] = err
				case b.n >= 2*b.q.Limit:
					b.cut = true
				default:
					b.merge(p)
				}
				b.mu.Unlock()
				if errs[r] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return lost, errors.Join(errs...)
}

// part is what a table wants of one block.
type part struct {
	keep    []uint16 // rows
	of      []int32  // where in keep a row is; -1 when it is not wanted
	at      []int64
	text    []*coded
	numbers [][]float64
	lists   []*coded
	scores  *coded
}

// open reads the columns of a block and picks its rows.
func (b *tableMaker) open(c *codec, data []byte, first, since, until int64) (*part, error) {
	blk, err := openBlock(c, data)
	if err != nil {
		return nil, err
	}
	p := &part{of: make([]int32, blk.rows)}
	if p.at, err = blk.fixed(timeSection); err != nil {
		return nil, err
	}
	var keys []int64
	if b.every > 1 {
		if keys, err = blk.fixed(keySection); err != nil {
			return nil, err
		}
	}
	var service *coded
	if b.q.Service != "" {
		if service, err = blk.text("service"); err != nil {
			return nil, err
		}
	}
	for i, at := range p.at {
		if p.of[i] = -1; at < since || at >= until || keys != nil && !taken(first+keys[i], b.every) ||
			service != nil && string(service.values[service.codes[i]]) != b.q.Service {
			continue
		}
		p.of[i] = int32(len(p.keep))       //nolint:gosec // at most blockRows
		p.keep = append(p.keep, uint16(i)) //nolint:gosec // at most blockRows
	}
	if len(p.keep) == 0 {
		return p, nil
	}
	return p, b.expand(blk, p)
}

func (b *tableMaker) expand(blk *block, p *part) error {
	for _, name := range b.q.Text {
		c, err := blk.text(name)
		if err != nil {
			return err
		}
		p.text = append(p.text, c)
	}
	for _, i := range b.numbers {
		v := make([]float64, blk.rows)
		if err := blk.numbers(b.q.Numbers[i], v); err != nil {
			return err
		}
		p.numbers = append(p.numbers, v)
	}
	for _, name := range b.q.Lists {
		c, err := blk.list(name, kindList)
		if err != nil {
			return err
		}
		p.lists = append(p.lists, c)
	}
	if b.score >= 0 {
		c, err := blk.list(scoreColumn, kindScores)
		if err != nil {
			return err
		}
		if len(c.tail) != 8*len(c.rows) {
			return errBlock
		}
		p.scores = c
	}
	return nil
}

// unmapped is the code of a value that no row has had so far.
const unmapped = math.MaxUint32

// merge adds the rows of a block.
func (b *tableMaker) merge(p *part) {
	if len(p.keep) == 0 {
		return
	}
	from := b.q.Since.UnixNano()
	for _, i := range p.keep {
		b.t.Time = append(b.t.Time, time.Duration(p.at[i]-from))
	}
	for k, c := range p.text {
		codes, into := b.t.Text[k].Codes, newRecoding(b.text[k], c)
		for _, i := range p.keep {
			codes = append(codes, into.of(c.codes[i]))
		}
		b.t.Text[k].Codes = codes
	}
	for k, v := range p.numbers {
		column := &b.t.Numbers[b.numbers[k]]
		for _, i := range p.keep {
			column.V = append(column.V, v[i])
		}
	}
	base := uint32(b.n) //nolint:gosec // at most 2×maxTable and a block
	for k, c := range p.lists {
		list, into := &b.t.Lists[k], newRecoding(b.lists[k], c)
		for e, i := range c.rows {
			if at := p.of[i]; at >= 0 {
				list.Rows = append(list.Rows, base+uint32(at))
				list.Codes = append(list.Codes, into.of(c.codes[e]))
			}
		}
	}
	b.n += len(p.keep)
	if p.scores == nil {
		return
	}
	scores := b.scores()
	for e, i := range p.scores.rows {
		evaluator := p.scores.values[p.scores.codes[e]]
		if at := p.of[i]; at >= 0 && (b.q.Evaluator == "" || string(evaluator) == b.q.Evaluator) {
			lower(&scores.V[base+uint32(at)], float64(p.scores.millionths(e))/1e6)
		}
	}
}

// recoding turns the codes of a block into those of a table, each value when it is met first.
type recoding struct {
	into *dictionary
	from *coded
	to   []uint32
}

func newRecoding(into *dictionary, from *coded) *recoding {
	r := &recoding{into: into, from: from, to: make([]uint32, len(from.values))}
	for i := range r.to {
		r.to[i] = unmapped
	}
	return r
}

func (r *recoding) of(code uint32) uint32 {
	if r.to[code] == unmapped {
		v := r.from.values[code]
		r.to[code] = r.into.of(unsafe.String(unsafe.SliceData(v), len(v))) // copied if it is kept
	}
	return r.to[code]
}
