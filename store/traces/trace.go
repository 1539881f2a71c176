package traces

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"

	"rollcall/sources"
)

// Trace returns the request that carries the identifier as request ID, trace ID
// or response ID, with its spans by start time and its events. The view is nil
// when there is none. When several requests carry it, the newest is returned
// and the facts say so.
func (s *Store) Trace(ctx context.Context, id string) (view *sources.RequestView, facts sources.Facts, err error) {
	began := s.opts.Clock.Wall()
	facts.Source = "traces"
	defer func() {
		facts.Fetched = s.opts.Clock.Wall()
		facts.Took = facts.Fetched.Sub(began)
	}()
	found, err := s.pieces(ctx, &facts, id, false, nil, func(f *piece) bool { return s.carries(f, id) })
	if err != nil || len(found) == 0 {
		return nil, facts, wrapLookUp(id, err)
	}
	newest, others := found[0], map[string]bool{}
	for _, f := range found[1:] {
		if f.row.Time.After(newest.row.Time) {
			newest = f
		}
	}
	for _, f := range found {
		if f.row.TraceID != newest.row.TraceID {
			others[f.row.TraceID] = true
		}
	}
	if len(others) > 0 {
		facts.Warnings = append(facts.Warnings, fmt.Sprintf("%d more traces carry this ID; the newest is shown", len(others)))
	}
	whole := newest.row.TraceID
	if whole != id {
		// The rest of the trace may lie in another partition, without this identifier.
		if found, err = s.pieces(ctx, &facts, whole, true, found, func(f *piece) bool { return f.row.TraceID == whole }); err != nil {
			return nil, facts, wrapLookUp(id, err)
		}
	}
	view = &sources.RequestView{Request: newest.row}
	for _, f := range found {
		view.Spans = append(view.Spans, f.spans...)
		view.Events = append(view.Events, f.events...)
	}
	if len(view.Spans) == 0 {
		return nil, facts, nil // evaluations that came before their trace
	}
	view.Spans = inOrder(view.Spans)
	if len(found) > 1 || newest.stale {
		view.Request = s.opts.Folder.Fold(view.Spans, view.Events)
	}
	facts.Shown, facts.Total = len(view.Spans), len(view.Spans)
	if facts.Total > maxSpans {
		view.Spans, facts.Shown = view.Spans[:maxSpans], maxSpans
		facts.Partial = fmt.Sprintf("%d of %d spans", maxSpans, facts.Total)
	}
	facts.At = view.Request.Time
	return view, facts, nil
}

func wrapLookUp(id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("traces: look up %q: %w", id, err)
}

// piece is what one partition has of one trace.
type piece struct {
	part   *partition
	key    int64
	row    sources.Request
	spans  []sources.Span
	events []sources.TraceEvent
	stale  bool
}

// pieces finds what each partition has under an identifier, as far as it
// matches. Those in hand are not read again. Again is what mayHave takes it for.
func (s *Store) pieces(ctx context.Context, facts *sources.Facts, id string, again bool, inHand []piece, match func(*piece) bool) ([]piece, error) {
	var out []piece
	hashes := hashesOf(id)
	err := s.each(ctx, facts, func(p *partition, db *sql.DB) error {
		if !s.mayHave(ctx, p, db, again, hashes...) {
			return nil
		}
		keys, err := p.keys(ctx, db, hashes...)
		if err != nil {
			return err
		}
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			var f piece
			var ok bool
			if i := slices.IndexFunc(inHand, func(f piece) bool { return f.part == p && f.key == key }); i >= 0 {
				f, ok = inHand[i], true
			} else if f, ok, err = s.readPiece(ctx, db, key); err != nil {
				return err
			}
			if f.part, f.key = p, key; ok && match(&f) {
				out = append(out, f)
			}
		}
		return nil
	})
	return out, err
}

// carries verifies that a piece has the identifier; the index only knows hashes.
func (s *Store) carries(f *piece, id string) bool {
	if t, ok := parseTraceID(id); ok && f.row.TraceID == t.String() {
		return true
	}
	return f.row.ID == id || f.row.ResponseID == id || slices.Contains(s.opts.Folder.ResponseIDs(f.spans), id)
}

// readPiece reads one trace; ok is false when it has no row, that is no span yet.
func (s *Store) readPiece(ctx context.Context, db *sql.DB, key int64) (piece, bool, error) {
	rows, err := readRows(ctx, db, " WHERE key=?", key)
	if err != nil {
		return piece{}, false, err
	}
	f := piece{}
	if len(rows) > 0 {
		f.row = rows[0]
	}
	chunks, err := db.QueryContext(ctx, "SELECT data FROM chunks WHERE id>=? AND id<? ORDER BY id", key<<seqBits, (key+1)<<seqBits)
	if err != nil {
		return f, false, err
	}
	defer func() { _ = chunks.Close() }()
	var trace sources.TraceID
	for chunks.Next() {
		var data sql.RawBytes
		if err := chunks.Scan(&data); err != nil {
			return f, false, err
		}
		id, spans, events, err := s.codec.decode(data)
		if err != nil {
			return f, false, err
		}
		if trace.IsZero() {
			trace = id
		}
		f.spans = append(f.spans, spans...)
		f.events = append(f.events, events...)
	}
	if err := chunks.Err(); err != nil {
		return f, false, err
	}
	for i := range f.events {
		f.events[i].TraceID = trace // those that came by response ID included
	}
	if len(rows) == 0 {
		f.row.TraceID, f.stale = hex.EncodeToString(trace[:]), true
		return f, !trace.IsZero(), nil
	}
	var one int
	f.stale = db.QueryRowContext(ctx, "SELECT 1 FROM stale WHERE key=?", key).Scan(&one) == nil
	return f, true, nil
}

// inOrder drops repeated spans and sorts the rest by start.
func inOrder(spans []sources.Span) []sources.Span {
	seen := make(map[sources.SpanID]struct{}, len(spans))
	out := spans[:0]
	for i := range spans {
		if id := spans[i].SpanID; !id.IsZero() {
			if _, dup := seen[id]; dup {
				continue
			}
			seen[id] = struct{}{}
		}
		out = append(out, spans[i])
	}
	slices.SortStableFunc(out, func(a, b sources.Span) int {
		switch {
		case a.Start < b.Start:
			return -1
		case a.Start > b.Start:
			return 1
		}
		return 0
	})
	return out
}
