package traces

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"rollcall/sources"
)

// Bounds of answers.
const (
	defaultRows = 200
	maxRows     = 10_000
	maxCount    = 100_000 // matching rows that are counted; more is "more"
	maxSpans    = 100_000 // spans of one trace that are returned
)

// where collects conditions of a query over requests.
type where struct {
	terms []string
	args  []any
}

func (w *where) add(term string, args ...any) {
	w.terms = append(w.terms, term)
	w.args = append(w.args, args...)
}

func (w *where) is(column, value string) {
	if value != "" {
		w.add(column+"=?", value)
	}
}

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}

func conditions(f *sources.RequestFilter) (*where, error) {
	w := &where{}
	if !f.Since.IsZero() {
		w.add("time>=?", f.Since.UnixNano())
	}
	if !f.Until.IsZero() {
		w.add("time<?", f.Until.UnixNano())
	}
	w.is("service", f.Service)
	if f.Bad {
		w.add("bad=1")
	}
	w.is("outcome", f.Outcome)
	if w.is("error_type", f.ErrorType); f.ErrorType != "" {
		w.add("error_type<>''") // so that its index is used
	}
	w.is("schema_result", f.Schema)
	w.is("route", f.Route)
	w.is("tenant", f.Tenant)
	w.is("region", f.Region)
	w.is("user", f.User)
	w.is("model_served", f.Served)
	for _, c := range sources.Components { // in a fixed order, so that statements are alike
		v, ok := f.Versions[c]
		if !ok || v == "" {
			continue
		}
		col, _ := componentColumn(c)
		w.add(col+"=?", v)
	}
	for _, a := range f.Where {
		if l, ok := tableLists[a.Name]; ok {
			w.add("EXISTS (SELECT 1 FROM "+l.table+" WHERE id>=(key<<"+strconv.Itoa(listBits)+") AND id<((key+1)<<"+strconv.Itoa(listBits)+") AND "+l.value+"=?)", a.Value)
			continue
		}
		col, ok := tableColumns[a.Name]
		if !ok {
			return nil, fmt.Errorf("traces: a request row has no column %q", a.Name)
		}
		w.add(col+"=?", a.Value)
	}
	for c := range f.Versions {
		if _, ok := componentColumn(c); !ok {
			return nil, fmt.Errorf("traces: %q is not a component", c)
		}
	}
	if f.ID != "" {
		if id, ok := parseTraceID(f.ID); ok {
			w.add("(trace=? OR request_id=? OR response_id=?)", id[:], f.ID, f.ID)
		} else {
			w.add("(request_id=? OR response_id=?)", f.ID, f.ID)
		}
	}
	return w, nil
}

// Requests returns the rows that match, newest first. Facts.Total is how many
// match, or -1 when there are more than were counted.
func (s *Store) Requests(ctx context.Context, f sources.RequestFilter) (sources.RequestList, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = defaultRows
	}
	limit = min(limit, maxRows)
	cond, err := conditions(&f)
	if err != nil {
		return sources.RequestList{}, err
	}
	return s.search(ctx, cond, span{f.Since.UnixNano(), f.Until.UnixNano(), f.Since.IsZero(), f.Until.IsZero()}, f.ID, limit)
}

// span is a range of request starts, either side of which may be open.
type span struct {
	since, until         int64
	openSince, openUntil bool
}

func (r span) overlaps(lo, hi int64) bool {
	return (r.openSince || hi >= r.since) && (r.openUntil || lo < r.until)
}

func (s *Store) search(ctx context.Context, cond *where, rng span, id string, limit int) (sources.RequestList, error) {
	began := s.opts.Clock.Wall()
	out := sources.RequestList{Rows: []sources.Request{}, Facts: sources.Facts{Source: "requests"}}
	total := 0
	err := s.each(ctx, &out.Facts, func(p *partition, db *sql.DB) error {
		lo, hi, ok, err := p.times(ctx, db)
		if err != nil || !ok || !rng.overlaps(lo, hi) {
			return err
		}
		local := *cond
		if id != "" {
			// The index of identifiers is far cheaper than reading every row.
			keys, err := p.candidates(ctx, db, id)
			if err != nil || len(keys) == 0 {
				return err
			}
			local.terms = append(local.terms[:len(local.terms):len(local.terms)], "key IN ("+joinKeys(keys)+")")
		}
		if total <= maxCount {
			var n int
			q := "SELECT count(*) FROM (SELECT 1 FROM requests" + local.String() + " LIMIT ?)"
			if err := db.QueryRowContext(ctx, q, append(local.args[:len(local.args):len(local.args)], maxCount+1-total)...).Scan(&n); err != nil {
				return err
			}
			total += n
			if n == 0 {
				return nil
			}
		}
		if len(out.Rows) >= limit && out.Rows[limit-1].Time.UnixNano() > hi {
			return nil // counted, but all older than what is shown
		}
		rows, err := readRows(ctx, db, local.String()+" ORDER BY time DESC LIMIT ?", append(local.args[:len(local.args):len(local.args)], limit)...)
		if err != nil {
			return err
		}
		out.Rows = append(out.Rows, rows...)
		sort.SliceStable(out.Rows, func(i, j int) bool { return out.Rows[i].Time.After(out.Rows[j].Time) })
		if len(out.Rows) > limit {
			out.Rows = out.Rows[:limit]
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("traces: search requests: %w", err)
	}
	out.Facts.Shown, out.Facts.Total = len(out.Rows), total
	if total > maxCount {
		out.Facts.Total = -1
	}
	if len(out.Rows) > 0 {
		out.Facts.At = out.Rows[0].Time
		out.Facts.Sampled = slices.ContainsFunc(out.Rows, func(r sources.Request) bool { return r.Sampled })
	}
	out.Facts.Fetched = s.opts.Clock.Wall()
	out.Facts.Took = out.Facts.Fetched.Sub(began)
	return out, nil
}

// each calls fn for every partition, newest first. One that cannot be read is
// left out and named in the facts; only the caller's own end stops the walk.
func (s *Store) each(ctx context.Context, facts *sources.Facts, fn func(p *partition, db *sql.DB) error) error {
	var left []string
	for _, p := range s.newestFirst() {
		if err := ctx.Err(); err != nil {
			return err
		}
		db, err := p.read(ctx)
		if err == nil {
			err = fn(p, db)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !p.unusable() {
			left = append(left, p.name)
			s.unreadable(p, short(err))
			facts.Warnings = append(facts.Warnings, "partition "+p.name+" left out: "+short(err))
		}
	}
	if len(left) > 0 {
		facts.Partial = sources.Counted(len(left), "partition") + " could not be read"
	}
	return nil
}

// candidates returns the keys of the traces that may carry an identifier of any kind.
func (p *partition) candidates(ctx context.Context, db *sql.DB, id string) ([]int64, error) {
	return p.keys(ctx, db, hashesOf(id)...)
}

// hashesOf returns the hashes that an identifier has as one of any kind.
func hashesOf(id string) []int64 {
	hashes := []int64{hashID(kindRequest, id), hashID(kindResponse, id)}
	if t, ok := parseTraceID(id); ok {
		hashes = append([]int64{hashTrace(t)}, hashes...)
	}
	return hashes
}

func joinKeys(keys []int64) string {
	var b strings.Builder
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d", k)
	}
	return b.String()
}

// readRows reads whole request rows, their lists included.
func readRows(ctx context.Context, db *sql.DB, tail string, args ...any) ([]sources.Request, error) {
	rows, err := db.QueryContext(ctx, "SELECT "+requestColumns+" FROM requests"+tail, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	n := fixedColumns + len(textColumns) + len(numberColumns)
	values, ptrs := make([]any, n), make([]any, n)
	for i := range values {
		ptrs[i] = &values[i]
	}
	var found []scanned
	err = walk(rows, func() error {
		if err := rows.Scan(ptrs...); err != nil {
			return err
		}
		found = append(found, scanRequest(values))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := addLists(ctx, db, found); err != nil {
		return nil, err
	}
	out := make([]sources.Request, len(found))
	for i := range found {
		out[i] = found[i].row
	}
	return out, nil
}

// walk calls fn for each row, and closes the rows.
func walk(rows *sql.Rows, fn func() error) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := fn(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// addLists reads the scores, documents, tool calls and origins of rows.
func addLists(ctx context.Context, db *sql.DB, found []scanned) error {
	byKey := make(map[int64]*scanned, len(found))
	origins := map[int64]map[string]string{}
	for i := range found {
		byKey[found[i].key] = &found[i]
		origins[found[i].origin] = nil
	}
	// Prepared once and asked per row: lists lie beside each other by key.
	ask := func(q string, add func(s *scanned, rows *sql.Rows) error) error {
		stmt, err := db.PrepareContext(ctx, q)
		if err != nil {
			return err
		}
		defer func() { _ = stmt.Close() }()
		for i := range found {
			rows, err := stmt.QueryContext(ctx, found[i].key<<listBits, (found[i].key+1)<<listBits)
			if err != nil {
				return err
			}
			if err := walk(rows, func() error { return add(&found[i], rows) }); err != nil {
				return err
			}
		}
		return nil
	}
	err := ask("SELECT evaluator,value,label,explanation FROM scores WHERE id>=? AND id<? ORDER BY id", func(s *scanned, rows *sql.Rows) error {
		var e sources.EvalScore
		var v sql.NullFloat64
		err := rows.Scan(&e.Evaluator, &v, &e.Label, &e.Explanation)
		e.Value = sources.Num{V: v.Float64, OK: v.Valid}
		s.row.Scores = append(s.row.Scores, e)
		return err
	})
	if err != nil {
		return err
	}
	err = ask("SELECT document,score FROM documents WHERE id>=? AND id<? ORDER BY id", func(s *scanned, rows *sql.Rows) error {
		var d sources.Document
		var v sql.NullFloat64
		err := rows.Scan(&d.ID, &v)
		d.Score = sources.Num{V: v.Float64, OK: v.Valid}
		s.row.Documents = append(s.row.Documents, d)
		return err
	})
	if err != nil {
		return err
	}
	err = ask("SELECT name,call_id,error,arguments,result FROM tool_calls WHERE id>=? AND id<? ORDER BY id", func(s *scanned, rows *sql.Rows) error {
		var t sources.ToolCall
		err := rows.Scan(&t.Name, &t.CallID, &t.Error, &t.Arguments, &t.Result)
		s.row.ToolCalls = append(s.row.ToolCalls, t)
		return err
	})
	if err != nil {
		return err
	}
	for id := range origins {
		var fields string
		err := db.QueryRowContext(ctx, "SELECT fields FROM origins WHERE id=?", id).Scan(&fields)
		switch {
		case err == nil:
			origins[id] = parseOrigin(fields)
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
	}
	for i := range found {
		found[i].row.From = origins[found[i].origin]
	}
	return nil
}

// Alike returns the newest other requests of the same service that failed the
// same way: the same error type, the same denial or filter action, or the same
// kind of bad answer under the same prompt. A request that is not bad has none.
func (s *Store) Alike(ctx context.Context, r *sources.Request, limit int) (sources.RequestList, error) {
	why := r.Bad()
	if len(why) == 0 {
		return sources.RequestList{Rows: []sources.Request{}, Facts: sources.Facts{Source: "requests", Fetched: s.opts.Clock.Wall()}}, nil
	}
	w := &where{}
	w.is("service", r.Service)
	switch why[0] {
	case "error":
		w.add("outcome='error' AND error_type=?", r.ErrorType)
	case "denied":
		w.add("denied=?", r.Denied)
	case "filter":
		w.add("filter=?", r.Filter)
	case "schema":
		w.add("schema_result='fail' AND prompt=?", r.Prompt)
	case "refusal":
		w.add("refusal='true' AND prompt=?", r.Prompt)
	case "cut off":
		w.add("finish='length' AND prompt=?", r.Prompt)
	case "thumbs down":
		w.add("feedback='down' AND prompt=?", r.Prompt)
	}
	if id, ok := parseTraceID(r.TraceID); ok {
		w.add("trace<>?", id[:])
	}
	if limit <= 0 {
		limit = 20
	}
	return s.search(ctx, w, span{openSince: true, openUntil: true}, "", min(limit, maxRows))
}
