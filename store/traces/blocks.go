package traces

import (
	"context"
	"database/sql"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/sources"
)

// Blocks are built behind the writer's back, at most one with every look at what
// there is to do, so that building takes little of a core at any rate of arrival.
// A row that changes takes its block with it; the block is built anew when its rows
// have been left alone for a while.
const (
	blockRest  = 10               // of limits.rest
	blockRetry = 10 * time.Minute // wall time until one that failed is tried again
)

// singular are the columns in which every row has its own value: nothing to compare.
var singular = map[string]bool{"request_id": true, "response_id": true, "conversation_id": true}

// blocksState is what the writer knows of the blocks of a partition.
type blocksState struct {
	changes map[int64]uint64    // how often rows of a block were written, since this process writes
	changed map[int64]time.Time // wall time of the last
	whole   bool                // every block is there
}

func (s *blocksState) begin() {
	if s.changes == nil {
		s.changes, s.changed = map[int64]uint64{}, map[int64]time.Time{}
	}
}

// rowChanges notes that a row is about to change, and takes its block away.
func (c *conn) rowChanges(key int64) error {
	n := key >> blockBits
	s := &c.p.blocks
	s.begin()
	s.changes[n]++
	s.changed[n] = c.wall()
	s.whole = false
	if !c.blocks[n] {
		return nil
	}
	delete(c.blocks, n)
	return c.run("DELETE FROM blocks WHERE n=?", n)
}

// buildBlock builds the block that is missing most, if there is one, and tells whether there was.
func (w *writer) buildBlock() bool {
	if w.building.Load() {
		return true
	}
	ctx := context.Background()
	for _, p := range w.s.newestFirst() {
		if p.blocks.whole || p.unusable() {
			continue
		}
		db, err := p.read(ctx)
		if err != nil {
			continue
		}
		hot := w.hot != nil && p == w.hot.p
		n, some, err := w.missingBlock(ctx, p, db, hot)
		if err != nil {
			continue // reading says which partitions are left out
		}
		if !some {
			continue
		}
		changes := p.blocks.changes[n]
		w.building.Store(true)
		w.sealing.Go(func() {
			defer w.building.Store(false)
			b, err := w.s.makeBlock(ctx, db, n)
			if err == nil {
				select {
				case w.s.tasks <- func(w *writer) { w.keepBlock(p, b, changes) }:
				case <-w.s.stop:
				}
				return
			}
			select {
			case w.s.tasks <- func(w *writer) { w.postpone(p, n, err) }:
			case <-w.s.stop:
			}
		})
		return true
	}
	return false
}

// missingBlock returns the newest block that a partition lacks and whose rows rest.
func (w *writer) missingBlock(ctx context.Context, p *partition, db *sql.DB, hot bool) (n int64, some bool, err error) {
	var first, last sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT (SELECT min(key) FROM requests),(SELECT max(key) FROM requests)").Scan(&first, &last); err != nil {
		return 0, false, err
	}
	there, err := blocksOf(ctx, db, 0, 0)
	if err != nil || !first.Valid {
		return 0, false, err
	}
	at := last.Int64 >> blockBits
	if hot {
		at-- // still filling
	}
	resting := true
	for ; at >= first.Int64>>blockBits; at-- {
		if _, ok := there[at]; ok {
			continue
		}
		if changed, ok := p.blocks.changed[at]; !ok || w.s.opts.Clock.Wall().Sub(changed) >= blockRest*w.s.limits.rest {
			return at, true, nil
		}
		resting = false
	}
	p.blocks.whole = resting && !hot
	return 0, false, nil
}

// built is a block on its way into its partition.
type built struct {
	n, lo, hi int64
	data      []byte
}

// keepBlock stores a block unless its rows have changed while it was built.
func (w *writer) keepBlock(p *partition, b *built, changes uint64) {
	if p.unusable() || p.blocks.changes[b.n] != changes {
		return
	}
	err := w.transact(func() error {
		c, err := w.begin(p)
		if err != nil {
			return err
		}
		if err := c.run("INSERT OR REPLACE INTO blocks(n,lo,hi,data) VALUES(?,?,?,?)", b.n, b.lo, b.hi, b.data); err != nil {
			return inPart(p, err)
		}
		c.blocks[b.n] = true
		return nil
	})
	if err != nil {
		w.postpone(p, b.n, err)
	}
}

// postpone leaves a block that cannot be built or kept alone for a while: its rows are there.
func (w *writer) postpone(p *partition, n int64, err error) {
	w.s.opts.Log.Warn("block of rows is not built", "partition", p.name, "block", n, "error", err)
	p.blocks.begin()
	p.blocks.changed[n] = w.s.opts.Clock.Wall().Add(blockRetry)
}

// makeBlock reads the rows of a block one by one.
func (s *Store) makeBlock(ctx context.Context, db *sql.DB, n int64) (*built, error) {
	q := sources.TableQuery{Since: time.Unix(0, 0), Limit: maxTable, Lists: slices.Sorted(maps.Keys(tableLists)), Numbers: slices.Sorted(maps.Keys(tableNumbers))}
	for _, name := range slices.Sorted(maps.Keys(tableColumns)) {
		if !singular[name] {
			q.Text = append(q.Text, name)
		}
	}
	b, err := newTable(&q)
	if err != nil {
		return nil, err
	}
	b.every, b.readers = 1, 1
	first := n << blockBits
	index, err := b.scan(ctx, db, first, first+blockRows, math.MinInt64, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	scores, err := b.allScores(ctx, db, index)
	if err != nil {
		return nil, err
	}
	t := b.finish()
	offsets, at := make([]uint16, t.N), make([]int64, t.N)
	for i, row := range index.rows {
		if row > 0 {
			offsets[row-1] = uint16(i) //nolint:gosec // at most blockRows
		}
	}
	out := &built{n: n, lo: math.MaxInt64, hi: math.MinInt64}
	for i, d := range t.Time {
		at[i] = int64(d)
		out.lo, out.hi = min(out.lo, at[i]), max(out.hi, at[i])
	}
	m := newBlock(s.codec, t.N)
	m.keys(offsets)
	m.times(at)
	for i := range t.Text {
		m.text(t.Text[i].Name, t.Text[i].Values, t.Text[i].Codes)
	}
	for i := range t.Numbers {
		m.number(t.Numbers[i].Name, t.Numbers[i].V)
	}
	for i := range t.Lists {
		m.list(t.Lists[i].Name, t.Lists[i].Values, t.Lists[i].Rows, t.Lists[i].Codes)
	}
	m.scores(scores.evaluators.values, scores.rows, scores.codes, scores.values)
	out.data = m.out
	return out, nil
}

// scoreList is every score of some rows.
type scoreList struct {
	evaluators  *dictionary
	rows, codes []uint32
	values      []int64 // millionths
}

func (b *tableMaker) allScores(ctx context.Context, db *sql.DB, index *keyed) (*scoreList, error) {
	out := &scoreList{evaluators: newDictionary()}
	keys := [][2]int64{{index.first, index.first + int64(len(index.rows))}}
	return out, b.children(ctx, db, "scores", scoreValues, keys, func(row string) {
		f, row, _ := strings.Cut(row, unitSep)
		key, _ := strconv.ParseInt(f, 10, 64)
		value, evaluator, _ := strings.Cut(row, unitSep)
		n, ok := index.of(key)
		if v, known := millionths(value); ok && known {
			out.rows, out.codes, out.values = append(out.rows, n), append(out.codes, out.evaluators.of(evaluator)), append(out.values, v)
		}
	})
}
