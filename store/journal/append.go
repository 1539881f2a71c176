package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
)

// Append records the drafts in their order, all or none, and returns when they
// are on disk. Once it has begun to write, the end of ctx no longer stops it.
//
// Errors: ErrRefused for a draft that cannot be recorded, ErrUnknown for an
// incident that does not exist, and those of Open.
func (j *Journal) Append(ctx context.Context, ds ...Draft) ([]Entry, error) {
	return j.AppendIf(ctx, func(*View) ([]Draft, error) { return ds, nil })
}

// View is the journal as it stands inside AppendIf. It is good only there.
type View struct {
	reader
	seq  int64
	hash []byte
}

func (j *Journal) view(ctx context.Context, tx *sql.Tx) (*View, error) {
	v := &View{reader: reader{q: tx, path: j.path}}
	var err error
	v.seq, v.hash, err = v.tip(ctx)
	return v, err
}

// Head is the end of the chain.
func (v *View) Head() Head { return headOf(v.seq, v.hash) }

// AppendIf looks at the journal and records what decide returns, with nobody
// else writing in between. Without drafts, or with an error of decide, which
// is returned as it is, nothing is written. decide must be quick and must not
// call the journal except through the view.
func (j *Journal) AppendIf(ctx context.Context, decide func(*View) ([]Draft, error)) ([]Entry, error) {
	var out []Entry
	err := j.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		v, err := j.view(ctx, tx)
		if err != nil {
			return err
		}
		ds, err := decide(v)
		if err != nil {
			return &decided{err}
		}
		out, err = j.insert(ctx, tx, v, ds)
		return err
	})
	var d *decided
	if errors.As(err, &d) {
		return nil, d.err
	}
	if err != nil {
		return nil, explain(j.path, err)
	}
	if len(out) > 0 {
		j.watch.notify(out[len(out)-1].Seq)
	}
	return out, nil
}

// decided is an error of the caller's own, told apart from those of the file.
type decided struct{ err error }

func (d *decided) Error() string { return d.err.Error() }
func (d *decided) Unwrap() error { return d.err }

// write runs do in a transaction that holds the write lock from its beginning.
func (j *Journal) write(ctx context.Context, do func(context.Context, *sql.Tx) error) error {
	if j.w == nil {
		return &trouble{j.path, ErrReadOnly, errors.New("it was opened for reading"), "nothing new is recorded"}
	}
	conn, err := j.w.Conn(ctx) // one writer per process: the others queue here
	if err != nil {
		return j.gone(err)
	}
	defer conn.Close()
	var tx *sql.Tx
	begun := context.WithoutCancel(ctx)
	if err := j.patiently(ctx, func() (err error) {
		tx, err = conn.BeginTx(begun, nil)
		return err
	}); err != nil {
		return j.gone(err)
	}
	defer tx.Rollback()
	if err := do(begun, tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (f *file) gone(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return fmt.Errorf("the journal %s is %w", f.path, ErrClosed)
	}
	return err
}

func (j *Journal) insert(ctx context.Context, tx *sql.Tx, v *View, ds []Draft) ([]Entry, error) {
	seq, prev := v.seq, v.hash
	out := make([]Entry, 0, len(ds))
	for i := range ds {
		d := &ds[i]
		if err := v.known(ctx, d, out); err != nil {
			return nil, err
		}
		l, exact, bodies, err := j.encode(d, j.clock.Wall(), j.clock.Now())
		if err != nil {
			return nil, err
		}
		seq++
		hash := chainHash(prev, seq, exact)
		if _, err := tx.ExecContext(ctx, "INSERT INTO entries(seq,prev,hash,bytes) VALUES(?,?,?,?)", seq, prev, hash[:], string(exact)); err != nil {
			return nil, err
		}
		e, err := l.entry(seq, hash[:])
		if err != nil {
			return nil, err
		}
		first := 1
		if d.Text != "" {
			first, e.Text = 0, string(bodies[0].text)
		}
		for n, b := range bodies {
			n += first
			id := bodyID(seq, n)
			if _, err := tx.ExecContext(ctx, "INSERT INTO bodies(id,salt,body) VALUES(?,?,?)", id, b.salt, b.text); err != nil {
				return nil, err
			}
			if n > 0 {
				e.Artifacts = append(e.Artifacts, ArtifactRef{ID: id, Name: l.Artifacts[n-1].Name, Type: l.Artifacts[n-1].Type, Bytes: len(b.text)})
			}
		}
		out, prev = append(out, e), hash[:]
	}
	return out, nil
}

var incidentID = regexp.MustCompile(`^INC-[1-9][0-9]*$`)

// known refuses an entry about an incident that was never opened.
func (v *View) known(ctx context.Context, d *Draft, before []Entry) error {
	if d.Incident == "" || d.Kind == IncidentOpened {
		return nil
	}
	for i := range before {
		if before[i].Kind == IncidentOpened && before[i].Incident == d.Incident {
			return nil
		}
	}
	if incidentID.MatchString(d.Incident) {
		var n int
		err := v.q.QueryRowContext(ctx, "SELECT count(*) FROM entries WHERE incident=? AND kind=?", d.Incident, string(IncidentOpened)).Scan(&n)
		if err != nil || n > 0 {
			return err
		}
	}
	return noIncident(d.Incident)
}

func noIncident(id string) error {
	return fmt.Errorf("there is no incident %q: it is %w; rollcall incident list shows which there are", word(id), ErrUnknown)
}

// NextRun reserves an ID for a run, "RUN-3". No two callers get the same,
// whatever process they are in; one that is not used leaves a gap.
func (j *Journal) NextRun(ctx context.Context) (string, error) {
	var n int64
	err := j.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		// The entries have the last word, should the counter have been lost.
		return tx.QueryRowContext(ctx, `INSERT INTO counters VALUES('run', 1 + (
				SELECT coalesce(max(CAST(substr(run, 5) AS INTEGER)), 0) FROM entries WHERE kind = ? AND `+noSample+`))
			ON CONFLICT(name) DO UPDATE SET last = max(last + 1, excluded.last) RETURNING last`, string(RunStarted)).Scan(&n)
	})
	if err != nil {
		return "", explain(j.path, err)
	}
	return fmt.Sprintf("RUN-%d", n), nil
}
