package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// ErasedData is the data of erased. The entry's text is why.
type ErasedData struct {
	Entries []int64 `json:"entries"` // whose text and artifacts are gone
	Bodies  int     `json:"bodies"`  // how many that were
}

// PurgedData is the data of purged: what a purge found, and then what it did.
// It names no person: of a user only the token.
type PurgedData struct {
	By         string  `json:"by"`    // "request", "user" or "tenant"
	Of         string  `json:"of"`    // the ID, the token, the tenant
	State      string  `json:"state"` // "found", "begun", "done" or "incomplete"
	Requests   int     `json:"requests"`
	Spans      int64   `json:"spans"`
	Events     int     `json:"events"`     // that waited for their request
	Partitions int     `json:"partitions"` // files of traces/ that held any of it
	Entries    []int64 `json:"entries"`    // of the journal, whose text and artifacts go
	// Named are entries that name it in the chain, where nothing can be erased:
	// identifiers and numbers.
	Named   []int64  `json:"named"`
	Files   []string `json:"files"`   // exports that go, relative to the state folder
	Remains []string `json:"remains"` // what is not reached, in words
}

// Nothing tells whether nothing was found that can be erased.
func (p *PurgedData) Nothing() bool {
	return p.Requests == 0 && p.Events == 0 && len(p.Entries) == 0 && len(p.Files) == 0
}

// Kept is an entry as Scan shows it. Its fields are only good during the call.
type Kept struct {
	Seq      int64
	Kind     Kind
	Incident string
	Line     []byte   // the exact bytes in the chain, which stay
	Bodies   [][]byte // text and artifacts that were not erased
}

// Scan calls fn for every entry, oldest first, with what it holds word for word:
// a purge looks for its words there.
func (j *Journal) Scan(ctx context.Context, fn func(*Kept) error) error {
	rows, err := j.r.QueryContext(ctx, `SELECT e.seq, e.kind, coalesce(e.incident,''), e.bytes, b.body FROM entries AS e
		LEFT JOIN bodies AS b ON b.id BETWEEN e.seq*4096 AND e.seq*4096+4095 AND b.body IS NOT NULL ORDER BY e.seq, b.id`)
	if err != nil {
		return explain(j.path, j.gone(err))
	}
	defer rows.Close()
	var k Kept
	for rows.Next() {
		var next Kept
		var body []byte
		if err := rows.Scan(&next.Seq, &next.Kind, &next.Incident, &next.Line, &body); err != nil {
			return explain(j.path, err)
		}
		if next.Seq != k.Seq && k.Seq != 0 {
			if err := fn(&k); err != nil {
				return err
			}
		}
		if next.Seq != k.Seq {
			k = next
		}
		if body != nil {
			k.Bodies = append(k.Bodies, body)
		}
	}
	if err := rows.Err(); err != nil {
		return explain(j.path, err)
	}
	if k.Seq == 0 {
		return nil
	}
	return fn(&k)
}

// Erase removes the text and the artifacts of entries for good and records
// that it did. The entries themselves and the chain stay. What was erased is
// overwritten in the file and taken out of the log beside it; copies and
// backups made before still have it.
func (j *Journal) Erase(ctx context.Context, seqs []int64, why string) (Entry, error) {
	seqs = slices.Compact(slices.Sorted(slices.Values(seqs)))
	if len(seqs) == 0 {
		return Entry{}, fmt.Errorf("%w: no entry is named", ErrRefused)
	}
	if why == "" {
		return Entry{}, fmt.Errorf("%w: what is erased needs a reason", ErrRefused)
	}
	var out []Entry
	err := j.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		v, err := j.view(ctx, tx)
		if err != nil {
			return err
		}
		d := ErasedData{Entries: seqs}
		for _, seq := range seqs {
			if _, _, err := v.line(ctx, seq); errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("there is no entry %d: it is %w; nothing was erased", seq, ErrUnknown)
			} else if err != nil {
				return err
			}
			res, err := tx.ExecContext(ctx, "UPDATE bodies SET salt=NULL, body=NULL WHERE id BETWEEN ? AND ? AND salt IS NOT NULL", bodyID(seq, 0), bodyID(seq, maxBodies-1))
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			d.Bodies += int(n)
		}
		if d.Bodies == 0 {
			return fmt.Errorf("%w: these entries have no text and no artifacts, or no longer", ErrRefused)
		}
		out, err = j.insert(ctx, tx, v, []Draft{{Kind: Erased, Data: d, Text: why}})
		return err
	})
	if err != nil {
		return Entry{}, explain(j.path, err)
	}
	j.watch.notify(out[0].Seq)
	return out[0], explain(j.path, j.emptyLog(ctx))
}

// emptyLog moves everything from the write-ahead log into the file, so that no
// older version of a page is left in the log.
func (j *Journal) emptyLog(ctx context.Context) error {
	err := j.patiently(ctx, func() error {
		var blocked, pages, moved int
		if err := j.w.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&blocked, &pages, &moved); err != nil {
			return err
		}
		if blocked != 0 {
			return sqlite3.Error{Code: sqlite3.ErrBusy}
		}
		return nil
	})
	if err != nil && busy(err) {
		return &trouble{j.path, ErrLocked, errors.New("the entries are erased, but traces of them stay in " + j.path + "-wal"), "close the other programs that read it and erase again something or open the console, which empties it"}
	}
	return err
}

// Backup copies the journal as it stands at this moment into a new file, while
// others go on writing. It never replaces a file.
func (j *Journal) Backup(ctx context.Context, path string) (Head, error) {
	head, err := j.backup(ctx, path)
	if err != nil {
		return Head{}, err
	}
	return head, nil
}

func (j *Journal) backup(ctx context.Context, path string) (Head, error) {
	fail := func(err error) (Head, error) {
		return Head{}, fmt.Errorf("the backup %s: %w", path, err)
	}
	if _, err := os.Lstat(path); err == nil {
		return fail(fmt.Errorf("%w: the file is there already; name another one", ErrRefused))
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".rollcall-backup-*") // 0600
	if err != nil {
		return fail(errors.New(reason(err) + "; name a file in a folder that you can write to"))
	}
	defer os.Remove(tmp.Name())
	_ = tmp.Close()
	head, err := j.copyTo(ctx, tmp.Name())
	if err != nil {
		if e := explain(tmp.Name(), err); errors.Is(e, ErrFull) {
			return fail(errors.New("there is no room for it; name a file on another disk"))
		}
		return fail(explain(j.path, err))
	}
	if err := os.Link(tmp.Name(), path); err != nil { // unlike a rename it never replaces
		if !errors.Is(err, os.ErrExist) {
			err = os.Rename(tmp.Name(), path)
		}
		if err != nil {
			return fail(errors.New(reason(err)))
		}
	}
	return head, nil
}

func (j *Journal) copyTo(ctx context.Context, path string) (head Head, err error) {
	to, err := connect(path, "rw", "_synchronous=FULL")
	if err != nil {
		return head, err
	}
	defer to.Close()
	dst, err := to.Conn(ctx)
	if err != nil {
		return head, err
	}
	defer dst.Close()
	src, err := j.r.Conn(ctx)
	if err != nil {
		return head, j.gone(err)
	}
	defer src.Close()
	// The open transaction holds the moment: what others append is not copied,
	// and does not make the copy begin again.
	tx, err := src.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return head, err
	}
	defer tx.Rollback()
	if head, err = (reader{tx, j.path}).readHead(ctx); err != nil {
		return head, err
	}
	err = dst.Raw(func(d any) error {
		return src.Raw(func(s any) error {
			b, err := d.(*sqlite3.SQLiteConn).Backup("main", s.(*sqlite3.SQLiteConn), "main")
			if err != nil {
				return err
			}
			for done := false; !done; {
				if err = ctx.Err(); err != nil {
					break
				}
				if done, err = b.Step(1000); err != nil && !busy(err) {
					break
				}
			}
			return errors.Join(err, b.Finish())
		})
	})
	if err != nil {
		return head, err
	}
	// One file without a log beside it, which also opens from a read-only disk.
	_, err = dst.ExecContext(ctx, "PRAGMA journal_mode=DELETE")
	return head, err
}
