package journal

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const defaultLimit = 1000

// querier is a connection pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// reader reads from a pool or inside a transaction.
type reader struct {
	q    querier
	path string
}

func (f *file) reader() reader { return reader{f.r, f.path} }

// Entries returns those that the filter selects, oldest first. When the file is
// damaged in the middle it returns what could be read, and the error.
func (j *Journal) Entries(ctx context.Context, f Filter) ([]Entry, error) {
	out, err := j.reader().Entries(ctx, f)
	return out, explain(j.path, j.goneIf(err))
}

// Entry returns one entry; ErrUnknown when there is none.
func (j *Journal) Entry(ctx context.Context, seq int64) (Entry, error) {
	e, err := j.reader().one(ctx, seq)
	return e, explain(j.path, j.goneIf(err))
}

// Head is the end of the chain; of an empty journal it is the zero Head.
func (j *Journal) Head(ctx context.Context) (Head, error) {
	h, err := j.reader().readHead(ctx)
	return h, explain(j.path, j.goneIf(err))
}

func (f *file) goneIf(err error) error {
	if err == nil {
		return nil
	}
	return f.gone(err)
}

// Artifact returns a captured artifact; ErrUnknown when there is none, or when
// it was erased.
func (j *Journal) Artifact(ctx context.Context, id int64) (Artifact, error) {
	seq, n := bodyOf(id)
	var text []byte
	var erased bool
	err := j.r.QueryRowContext(ctx, "SELECT body, salt IS NULL FROM bodies WHERE id=?", id).Scan(&text, &erased)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && n == 0:
		return Artifact{}, fmt.Errorf("there is no artifact %d: it is %w", id, ErrUnknown)
	case err != nil:
		return Artifact{}, explain(j.path, j.gone(err))
	case erased:
		return Artifact{}, fmt.Errorf("artifact %d was erased: its text is %w any more", id, ErrUnknown)
	}
	l, _, err := j.reader().line(ctx, seq)
	if err != nil {
		return Artifact{}, explain(j.path, err)
	}
	a := Artifact{Body: text}
	if int(n) <= len(l.Artifacts) {
		a.Name, a.Type = l.Artifacts[n-1].Name, l.Artifacts[n-1].Type
	}
	return a, nil
}

// Find returns the entries whose text or artifacts hold any of the strings,
// oldest first: what a purge erases.
func (j *Journal) Find(ctx context.Context, texts ...string) ([]int64, error) {
	var conds []string
	var args []any
	for _, t := range texts {
		if t != "" {
			conds = append(conds, "instr(body, CAST(? AS BLOB)) > 0")
			args = append(args, t)
		}
	}
	if len(conds) == 0 {
		return nil, nil
	}
	rows, err := j.r.QueryContext(ctx, "SELECT DISTINCT id/4096 FROM bodies WHERE body IS NOT NULL AND ("+strings.Join(conds, " OR ")+") ORDER BY id", args...)
	if err != nil {
		return nil, explain(j.path, j.gone(err))
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return out, err
		}
		out = append(out, seq)
	}
	return out, explain(j.path, rows.Err())
}

// Entries is Journal.Entries on the view.
func (r reader) Entries(ctx context.Context, f Filter) ([]Entry, error) {
	var conds []string
	var args []any
	where := func(cond string, v any) { conds, args = append(conds, cond), append(args, v) }
	if f.After > 0 {
		where("seq > ?", f.After)
	}
	if f.Before > 0 {
		where("seq < ?", f.Before)
	}
	if len(f.Kinds) > 0 {
		for _, k := range f.Kinds {
			args = append(args, string(k))
		}
		conds = append(conds, "kind IN (?"+strings.Repeat(",?", len(f.Kinds)-1)+")")
		if !slices.Contains(f.Kinds, RunSample) {
			conds = append(conds, noSample)
		}
	}
	if f.Service != "" {
		where("service = ?", f.Service)
	}
	if f.Incident != "" {
		where("incident = ?", f.Incident)
	}
	if f.Run != "" {
		where("run = ?", f.Run)
	}
	if !f.Since.IsZero() {
		where("at >= ?", f.Since.UTC().Format(timeLayout))
	}
	if !f.Until.IsZero() {
		where("at <= ?", f.Until.UTC().Format(timeLayout))
	}
	q := "SELECT seq, hash, bytes FROM entries"
	if len(conds) > 0 {
		q += " WHERE " + strings.Join(conds, " AND ")
	}
	order := "ASC"
	if f.Newest {
		order = "DESC"
	}
	limit := f.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	q += " ORDER BY seq " + order + " LIMIT ?"
	out, err := r.read(ctx, q, append(args, limit)...)
	if f.Newest {
		for a, b := 0, len(out)-1; a < b; a, b = a+1, b-1 {
			out[a], out[b] = out[b], out[a]
		}
	}
	return out, err
}

// read runs a query for seq, hash and bytes and adds texts and artifacts.
func (r reader) read(ctx context.Context, q string, args ...any) ([]Entry, error) {
	rows, err := r.q.QueryContext(ctx, q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Entry
	var lines []line
	for rows.Next() {
		var seq int64
		var hash, exact sql.RawBytes
		if err := rows.Scan(&seq, &hash, &exact); err != nil {
			return out, err
		}
		var l line
		if err := json.Unmarshal(exact, &l); err != nil {
			return out, damaged(r.path, fmt.Errorf("entry %d is not readable; rollcall journal verify says more", seq))
		}
		e, err := l.entry(seq, hash)
		if err != nil {
			return out, damaged(r.path, err)
		}
		out, lines = append(out, e), append(lines, l)
	}
	err = rows.Err()
	_ = rows.Close() // a transaction has one connection: it must be free for the bodies
	if len(out) == 0 {
		return out, err
	}
	if berr := r.bodies(ctx, out, lines); err == nil {
		err = berr
	}
	return out, err
}

// bodies fills in texts and the references to artifacts.
func (r reader) bodies(ctx context.Context, out []Entry, lines []line) error {
	at := map[int64]int{}
	var seqs []int64
	for i := range lines {
		if lines[i].Text == nil && len(lines[i].Artifacts) == 0 {
			continue
		}
		at[out[i].Seq] = i
		seqs = append(seqs, out[i].Seq)
		// Erased unless found.
		out[i].TextErased = lines[i].Text != nil
		for _, a := range lines[i].Artifacts {
			out[i].Artifacts = append(out[i].Artifacts, ArtifactRef{Name: a.Name, Type: a.Type, Bytes: a.Bytes, Erased: true})
		}
	}
	if len(seqs) == 0 {
		return nil
	}
	list, err := json.Marshal(seqs)
	if err != nil {
		return err
	}
	rows, err := r.q.QueryContext(ctx, `SELECT b.id, b.salt IS NOT NULL, CASE b.id%4096 WHEN 0 THEN b.body END
		FROM json_each(?) AS s CROSS JOIN bodies AS b ON b.id BETWEEN s.value*4096 AND s.value*4096+4095`, string(list))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var kept bool
		var text []byte
		if err := rows.Scan(&id, &kept, &text); err != nil {
			return err
		}
		seq, n := bodyOf(id)
		e := &out[at[seq]]
		switch {
		case n == 0:
			e.Text, e.TextErased = string(text), !kept
		case int(n) <= len(e.Artifacts):
			e.Artifacts[n-1].ID, e.Artifacts[n-1].Erased = id, !kept
		}
	}
	return rows.Err()
}

func (r reader) one(ctx context.Context, seq int64) (Entry, error) {
	list, err := r.read(ctx, "SELECT seq, hash, bytes FROM entries WHERE seq=?", seq)
	switch {
	case err != nil:
		return Entry{}, err
	case len(list) == 0:
		return Entry{}, fmt.Errorf("there is no entry %d: it is %w", seq, ErrUnknown)
	}
	return list[0], nil
}

func (r reader) line(ctx context.Context, seq int64) (l line, exact string, err error) {
	if err := r.q.QueryRowContext(ctx, "SELECT bytes FROM entries WHERE seq=?", seq).Scan(&exact); err != nil {
		return l, "", err
	}
	if err := json.Unmarshal([]byte(exact), &l); err != nil {
		return l, "", damaged(r.path, fmt.Errorf("entry %d is not readable", seq))
	}
	return l, exact, nil
}

// tip is what the next entry continues from.
func (r reader) tip(ctx context.Context) (int64, []byte, error) {
	var seq int64
	var hash []byte
	err := r.q.QueryRowContext(ctx, "SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").Scan(&seq, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, genesis[:], nil
	}
	return seq, hash, err
}

func (r reader) readHead(ctx context.Context) (Head, error) {
	seq, hash, err := r.tip(ctx)
	if err != nil {
		return Head{}, err
	}
	return headOf(seq, hash), nil
}

func headOf(seq int64, hash []byte) Head {
	if seq == 0 {
		return Head{}
	}
	return Head{seq, hex.EncodeToString(hash)}
}
