package traces

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
)

const (
	defaultTable = 200_000
	maxTable     = 1_000_000
	tableChunk   = 4096 // rows that come over at once
	tableReaders = 2    // at once; more are not faster on two cores
	// maxValues bounds a dictionary: of a column with more values, the later ones are unknown.
	maxValues = 1 << 17

	unitSep   = "\x1f" // between the fields of a row; stored text has no control characters
	recordSep = "\x1e" // between rows
)

// tableColumns are the text columns of a table by the names of the request row.
var tableColumns = map[string]string{
	"request_id": "request_id", "response_id": "response_id", "conversation_id": "conversation_id", "service": "service",
	"environment": "environment", "region": "region", "route": "route", "tenant": "tenant", "user": "user",
	"prompt": "prompt", "model": "model", "tools": "tools", "index": "idx", "policy": "policy", "manifest": "manifest", "stage": "rollout",
	"prompt_name": "prompt_name", "model_requested": "model_requested", "model_served": "model_served", "model_fingerprint": "fingerprint",
	"provider": "provider", "outcome": "outcome", "finish_reason": "finish", "error_type": "error_type", "cache": "cache",
	"schema": "schema_result", "filter": "filter", "refusal": "refusal", "access_denied": "denied", "feedback": "feedback",
	"fallback": "fallback", "retrieval_hit": "retrieval_hit",
}

// tableNumbers are the number columns; a stage goes by its name.
var tableNumbers = func() map[string]string {
	m := map[string]string{
		"latency": "latency", "ttft": "ttft", "tokens_in": "tokens_in", "tokens_out": "tokens_out", "tokens_cached": "tokens_cached",
		"cost": "cost", "llm_calls": "llm_calls", "spans": "spans",
	}
	for s := range sources.StageCount {
		m[s.String()] = "s_" + s.String()
	}
	return m
}()

// tableLists are the child tables and what of them is a value.
var tableLists = map[string]struct{ table, value string }{
	"document":   {"documents", "document"},
	"tool":       {"tool_calls", "name"},
	"tool_error": {"tool_calls", "CASE WHEN error<>'' THEN name ELSE '' END"},
}

// scoreColumn is the number column that comes from a child table.
const scoreColumn = "score"

// Table reads request rows by column, in no particular order. When there are more
// than the limit, every so-manieth is read; the facts then say so.
func (s *Store) Table(ctx context.Context, q sources.TableQuery) (*sources.RequestTable, error) {
	began := s.opts.Clock.Wall()
	if q.Limit <= 0 {
		q.Limit = defaultTable
	}
	q.Limit = min(q.Limit, maxTable)
	if !q.Since.Before(q.Until) {
		return nil, fmt.Errorf("traces: a table needs a range; %s is not before %s", q.Since.Format(time.RFC3339), q.Until.Format(time.RFC3339))
	}
	b, err := newTable(&q)
	if err != nil {
		return nil, err
	}
	if b.every, err = s.thin(ctx, &q); err != nil {
		return nil, fmt.Errorf("traces: table of requests: %w", err)
	}
	facts := sources.Facts{Source: "requests"}
	err = s.each(ctx, &facts, func(p *partition, db *sql.DB) error {
		lo, hi, ok, err := p.times(ctx, db)
		if err != nil || !ok || !(span{since: q.Since.UnixNano(), until: q.Until.UnixNano()}).overlaps(lo, hi) {
			return err
		}
		if b.n >= 2*q.Limit { // what the estimate was wrong by is bounded too
			b.cut = true
			return nil
		}
		return b.partition(ctx, s.codec, db, max(lo, q.Since.UnixNano()), min(hi+1, q.Until.UnixNano()))
	})
	if err != nil {
		return nil, fmt.Errorf("traces: table of requests: %w", err)
	}
	t := b.finish()
	t.Start, t.Every = q.Since, b.every
	facts.Shown, facts.Total = t.N, t.N
	facts.Sampled = b.every > 1
	if b.every > 1 {
		facts.Partial = join(facts.Partial, fmt.Sprintf("one of %d requests was compared", b.every))
	}
	if b.cut {
		facts.Partial = join(facts.Partial, "more requests than can be compared at once: older ones are left out")
	}
	if b.full {
		facts.Partial = join(facts.Partial, fmt.Sprintf("a column has more than %d values; the rest counts as unknown", maxValues))
	}
	if n := len(t.Time); n > 0 {
		facts.At = t.Start.Add(slices.Max(t.Time))
	}
	facts.Fetched = s.opts.Clock.Wall()
	facts.Took = facts.Fetched.Sub(began)
	t.Facts = facts
	return t, nil
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// thin estimates how many rows the range has from the keys and times that each
// partition spans, which costs nothing, and says of how many one is to be read.
func (s *Store) thin(ctx context.Context, q *sources.TableQuery) (int, error) {
	since, until := q.Since.UnixNano(), q.Until.UnixNano()
	rows := 0.0
	var facts sources.Facts
	err := s.each(ctx, &facts, func(p *partition, db *sql.DB) error {
		lo, hi, ok, err := p.times(ctx, db)
		if err != nil || !ok || !(span{since: since, until: until}).overlaps(lo, hi) {
			return err
		}
		var first, last int64
		if err := db.QueryRowContext(ctx, "SELECT coalesce((SELECT min(key) FROM requests),0),coalesce((SELECT max(key) FROM requests),0)").Scan(&first, &last); err != nil {
			return err
		}
		part := float64(min(hi, until)-max(lo, since)+1) / float64(hi-lo+1)
		rows += part * float64(last-first+1)
		return nil
	})
	return max(1, int(math.Ceil(rows/float64(q.Limit)*0.95))), err
}

// tableMaker collects rows from several readers.
type tableMaker struct {
	q         *sources.TableQuery
	every     int
	selection string // what of a row comes over, in one text
	text      []*dictionary
	numbers   []int // which of the table's numbers each field of the selection is
	lists     []*dictionary
	score     int // index of the scores among the numbers; -1 when not asked for

	readers int

	mu   sync.Mutex
	n    int
	cut  bool
	full bool
	t    sources.RequestTable
}

// dictionary turns the values of a column into codes.
type dictionary struct {
	codes  map[string]uint32
	values []string
	last   string
	code   uint32
	full   bool
}

func newDictionary() *dictionary {
	return &dictionary{codes: map[string]uint32{"": 0}, values: []string{""}}
}

func (d *dictionary) of(v string) uint32 {
	if v == d.last {
		return d.code
	}
	code, ok := d.codes[v]
	if !ok {
		if len(d.values) >= maxValues {
			d.full = true
			return 0
		}
		v = strings.Clone(v)         // not to hold the whole chunk
		code = uint32(len(d.values)) //nolint:gosec // at most maxValues
		d.values = append(d.values, v)
		d.codes[v] = code
	}
	d.last, d.code = d.values[code], code
	return code
}

func newTable(q *sources.TableQuery) (*tableMaker, error) {
	b := &tableMaker{q: q, score: -1, readers: tableReaders}
	fields := []string{"key", "time-" + strconv.FormatInt(q.Since.UnixNano(), 10)}
	for _, name := range q.Text {
		col, ok := tableColumns[name]
		if !ok {
			return nil, fmt.Errorf("traces: a request row has no text column %q", name)
		}
		fields = append(fields, col)
		b.text = append(b.text, newDictionary())
		b.t.Text = append(b.t.Text, sources.TextColumn{Name: name})
	}
	for i, name := range q.Numbers {
		b.t.Numbers = append(b.t.Numbers, sources.NumberColumn{Name: name})
		if name == scoreColumn {
			b.score = i
			continue
		}
		col, ok := tableNumbers[name]
		if !ok {
			return nil, fmt.Errorf("traces: a request row has no number %q", name)
		}
		// As whole millionths: printing a floating-point number is what costs most.
		fields = append(fields, "coalesce(CAST(round("+col+"*1e6) AS INTEGER),'')")
		b.numbers = append(b.numbers, i)
	}
	for _, name := range q.Lists {
		if _, ok := tableLists[name]; !ok {
			return nil, fmt.Errorf("traces: a request row has no list %q", name)
		}
		b.lists = append(b.lists, newDictionary())
		b.t.Lists = append(b.t.Lists, sources.ListColumn{Name: name})
	}
	b.selection = "concat_ws(char(31)," + strings.Join(fields, ",") + ")"
	return b, nil
}

// keyed finds a row by its key in one partition.
type keyed struct {
	first int64
	rows  []uint32 // row+1 by key-first; 0 where the row is not of the table
}

func (k *keyed) of(key int64) (uint32, bool) {
	i := key - k.first
	if i < 0 || i >= int64(len(k.rows)) || k.rows[i] == 0 {
		return 0, false
	}
	return k.rows[i] - 1, true
}

// scan reads rows one by one, and their lists: those of the keys from first to end
// (exclusive) that began between two times. It returns where they went.
func (b *tableMaker) scan(ctx context.Context, db *sql.DB, first, end, since, until int64) (*keyed, error) {
	index := &keyed{first: first, rows: make([]uint32, end-first)}
	// By key, the rows lie in the file one after the other; the newest come first, so
	// that a table that gets too long lacks the oldest.
	w := &where{}
	w.add("key>=? AND key<? AND +time>=? AND +time<?", nil, nil, since, until) // + keeps the index on time out
	w.is("service", b.q.Service)
	if b.every > 1 {
		w.add(thinned("key", b.every))
	}
	step := int64(tableChunk * b.every)
	query := "SELECT group_concat(" + b.selection + ",char(30)) FROM requests" + w.String()
	keys := chunks(first, end, step)
	err := b.parallel(ctx, db, query, len(keys), func(i int) []any {
		args := slices.Clone(w.args)
		args[0], args[1] = keys[i][0], keys[i][1]
		return args
	}, func(chunk string) { b.addRows(chunk, index) })
	if err != nil {
		return nil, err
	}
	return index, b.readLists(ctx, db, index, keys)
}

// grow makes room for n more rows.
func (b *tableMaker) grow(n int) {
	n = min(n, 2*b.q.Limit)
	b.t.Time = slices.Grow(b.t.Time, n)
	for i := range b.t.Text {
		b.t.Text[i].Codes = slices.Grow(b.t.Text[i].Codes, n)
	}
	for i := range b.t.Numbers {
		b.t.Numbers[i].V = slices.Grow(b.t.Numbers[i].V, n)
	}
}

// taken says the same as thinned.
func taken(key int64, every int) bool { return (key%1048576*40503>>8)%int64(every) == 0 }

// thinned picks one of every keys. They are mixed first: traffic that takes turns
// (tenant by tenant, say) would otherwise lose some of its turns altogether.
func thinned(key string, every int) string {
	return "(((" + key + "%1048576)*40503)>>8)%" + strconv.Itoa(every) + "=0"
}

// chunks cuts keys from first to end (exclusive), the newest first.
func chunks(first, end, step int64) [][2]int64 {
	var out [][2]int64
	for at := first; at < end; at += step {
		out = append(out, [2]int64{at, min(end, at+step)})
	}
	slices.Reverse(out)
	return out
}

// parallel asks a query n times, by a few readers, and hands each text over, one at a time.
func (b *tableMaker) parallel(ctx context.Context, db *sql.DB, query string, n int, args func(i int) []any, take func(string)) error {
	work := make(chan int, n)
	for i := range n {
		work <- i
	}
	close(work)
	errs := make([]error, b.readers)
	var wg sync.WaitGroup
	for r := range b.readers {
		wg.Go(func() {
			stmt, err := db.PrepareContext(ctx, query)
			if err != nil {
				errs[r] = err
				return
			}
			defer func() { _ = stmt.Close() }()
			for i := range work {
				if err := ctx.Err(); err != nil {
					errs[r] = err
					return
				}
				var chunk sql.NullString
				// A chunk takes milliseconds; watching it for a cancellation costs as much.
				if err := stmt.QueryRowContext(context.WithoutCancel(ctx), args(i)...).Scan(&chunk); err != nil {
					errs[r] = err
					return
				}
				if chunk.Valid {
					b.mu.Lock()
					take(chunk.String)
					b.mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// addRows takes a chunk apart.
func (b *tableMaker) addRows(chunk string, index *keyed) {
	if b.n >= 2*b.q.Limit {
		b.cut = true
		return
	}
	fields := 2 + len(b.text) + len(b.numbers)
	for len(chunk) > 0 {
		var row string
		row, chunk, _ = strings.Cut(chunk, recordSep)
		if strings.Count(row, unitSep) != fields-1 {
			continue // never written by this program
		}
		var f string
		f, row, _ = strings.Cut(row, unitSep)
		key, _ := strconv.ParseInt(f, 10, 64)
		f, row, _ = strings.Cut(row, unitSep)
		at, _ := strconv.ParseInt(f, 10, 64)
		b.t.Time = append(b.t.Time, time.Duration(at))
		for i, d := range b.text {
			f, row, _ = strings.Cut(row, unitSep)
			b.t.Text[i].Codes = append(b.t.Text[i].Codes, d.of(f))
		}
		for _, i := range b.numbers {
			f, row, _ = strings.Cut(row, unitSep)
			v := math.NaN()
			if n, ok := millionths(f); ok {
				v = float64(n) / 1e6
			}
			b.t.Numbers[i].V = append(b.t.Numbers[i].V, v)
		}
		if i := key - index.first; i >= 0 && i < int64(len(index.rows)) {
			index.rows[i] = uint32(b.n + 1) //nolint:gosec // at most 2×maxTable and a chunk
		}
		b.n++
	}
}

// millionths reads a whole number.
func millionths(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' || n > math.MaxInt64/20 {
			v, err := strconv.ParseInt(s, 10, 64)
			return v, err == nil
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// scoreValues is what is read of a score.
var scoreValues = []string{"id>>" + strconv.Itoa(listBits), "coalesce(CAST(round(value*1e6) AS INTEGER),'')", "evaluator"}

// readLists reads what a row has several of. Two lists of one table are read in one go.
func (b *tableMaker) readLists(ctx context.Context, db *sql.DB, index *keyed, keys [][2]int64) error {
	for _, table := range []string{"documents", "tool_calls"} {
		var of []int
		values := []string{"id>>" + strconv.Itoa(listBits)}
		for i, name := range b.q.Lists {
			if l := tableLists[name]; l.table == table {
				of, values = append(of, i), append(values, l.value)
			}
		}
		if len(of) == 0 {
			continue
		}
		err := b.children(ctx, db, table, values, keys, func(row string) {
			f, row, _ := strings.Cut(row, unitSep)
			key, _ := strconv.ParseInt(f, 10, 64)
			n, ok := index.of(key)
			if !ok {
				return
			}
			for _, i := range of {
				f, row, _ = strings.Cut(row, unitSep)
				if f == "" {
					continue
				}
				b.t.Lists[i].Rows = append(b.t.Lists[i].Rows, n)
				b.t.Lists[i].Codes = append(b.t.Lists[i].Codes, b.lists[i].of(f))
			}
		})
		if err != nil {
			return err
		}
	}
	if b.score < 0 {
		return nil
	}
	scores := b.scores()
	return b.children(ctx, db, "scores", scoreValues, keys, func(row string) {
		f, row, _ := strings.Cut(row, unitSep)
		key, _ := strconv.ParseInt(f, 10, 64)
		value, evaluator, _ := strings.Cut(row, unitSep)
		n, ok := index.of(key)
		v, known := millionths(value)
		if !ok || !known || b.q.Evaluator != "" && evaluator != b.q.Evaluator {
			return
		}
		lower(&scores.V[n], float64(v)/1e6)
	})
}

// lower keeps the lowest of what is known.
func lower(at *float64, v float64) {
	if math.IsNaN(*at) || v < *at {
		*at = v
	}
}

// scores returns the column of scores, as long as there are rows.
func (b *tableMaker) scores() *sources.NumberColumn {
	c := &b.t.Numbers[b.score]
	for len(c.V) < b.n {
		c.V = append(c.V, math.NaN())
	}
	return c
}

func (b *tableMaker) children(ctx context.Context, db *sql.DB, table string, values []string, keys [][2]int64, take func(row string)) error {
	thin := ""
	if b.every > 1 {
		thin = " AND " + thinned("(id>>"+strconv.Itoa(listBits)+")", b.every)
	}
	query := "SELECT group_concat(concat_ws(char(31)," + strings.Join(values, ",") + "),char(30)) FROM " + table + " WHERE id>=? AND id<?" + thin
	return b.parallel(ctx, db, query, len(keys), func(i int) []any {
		return []any{keys[i][0] << listBits, keys[i][1] << listBits}
	}, func(chunk string) {
		for len(chunk) > 0 {
			var row string
			row, chunk, _ = strings.Cut(chunk, recordSep)
			take(row)
		}
	})
}

func (b *tableMaker) finish() *sources.RequestTable {
	b.t.N = b.n
	for i, d := range b.text {
		b.t.Text[i].Values = d.values
		b.full = b.full || d.full
	}
	for i, d := range b.lists {
		b.t.Lists[i].Values = d.values
		b.full = b.full || d.full
	}
	for i := range b.t.Numbers {
		for len(b.t.Numbers[i].V) < b.n {
			b.t.Numbers[i].V = append(b.t.Numbers[i].V, math.NaN())
		}
	}
	return &b.t
}
