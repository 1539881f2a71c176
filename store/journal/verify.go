package journal

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// FaultKind says what is wrong with a journal.
type FaultKind string

// The kinds of faults.
const (
	Mismatch  FaultKind = "mismatch"  // an entry is not what was recorded
	Missing   FaultKind = "missing"   // entries are gone from the middle
	Truncated FaultKind = "truncated" // entries are gone from the end
	Altered   FaultKind = "altered"   // a text or artifact is not the one that was recorded
	Unread    FaultKind = "unread"    // the file is damaged: the rest could not be read
)

// Fault is one thing that is wrong.
type Fault struct {
	Kind   FaultKind `json:"kind"`
	Seq    int64     `json:"seq"` // the first entry concerned
	Detail string    `json:"detail"`
}

// Report is what Verify found.
type Report struct {
	OK      bool    `json:"ok"`
	Entries int64   `json:"entries"`
	Head    Head    `json:"head"` // of what is there
	Bodies  int64   `json:"bodies"`
	Erased  int64   `json:"erased"` // texts and artifacts that were erased, and an entry says so
	Faults  []Fault `json:"faults"` // the first hundred
	Found   int64   `json:"faults_found"`
	// Notes are worth knowing and no faults: a wall clock that jumped back.
	Notes []string `json:"notes,omitempty"`
}

const (
	maxFaults    = 100
	maxNotes     = 20
	progressStep = 10_000
)

// Verify reads the whole journal as it stands at this moment and recomputes
// every hash. against, when set, is a head that was printed earlier: only it
// tells whether entries are gone from the end. progress may be nil. What is
// wrong with the journal is in the report; the error is for what kept Verify
// from looking.
func (j *Journal) Verify(ctx context.Context, against *Head, progress func(done, total int64)) (Report, error) {
	conn, err := j.r.Conn(ctx)
	if err != nil {
		return Report{}, explain(j.path, j.gone(err))
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Report{}, explain(j.path, err)
	}
	defer tx.Rollback()
	v := &verifier{tx: tx, against: against, progress: progress, erased: map[int64]bool{}, unsaid: map[int64]int64{}}
	v.Faults = []Fault{}
	err = v.run(ctx)
	switch e := explain(j.path, err); {
	case errors.Is(e, ErrDamaged):
		v.fault(Unread, v.Head.Seq+1, "the file is damaged after entry %d: %s", v.Head.Seq, reason(err))
	case err != nil:
		return v.Report, e
	}
	v.OK = v.Found == 0
	return v.Report, nil
}

type verifier struct {
	Report
	tx       *sql.Tx
	against  *Head
	progress func(done, total int64)

	bodies *sql.Rows
	next   *kept // the body that was read ahead
	wall   string
	jumps  int
	erased map[int64]bool  // entries that an entry says were erased
	unsaid map[int64]int64 // entry → erased bodies, until such an entry is found
	met    bool            // the head to compare with was found
}

// kept is one body as it stands beside the chain.
type kept struct {
	seq, n     int64
	salt, text sql.RawBytes
}

func (v *verifier) fault(kind FaultKind, seq int64, format string, args ...any) {
	v.Found++
	if len(v.Faults) < maxFaults {
		v.Faults = append(v.Faults, Fault{kind, seq, fmt.Sprintf(format, args...)})
	}
}

func (v *verifier) run(ctx context.Context) error {
	var total int64
	if err := v.tx.QueryRowContext(ctx, "SELECT count(*) FROM entries").Scan(&total); err != nil {
		return err
	}
	var err error
	if v.bodies, err = v.tx.QueryContext(ctx, "SELECT id, salt, body FROM bodies ORDER BY id"); err != nil { //nolint:rowserrcheck // readAhead does
		return err
	}
	defer v.bodies.Close()
	if err := v.readAhead(); err != nil {
		return err
	}
	rows, err := v.tx.QueryContext(ctx, "SELECT seq, prev, hash, bytes FROM entries ORDER BY seq")
	if err != nil {
		return err
	}
	defer rows.Close()
	last := genesis[:]
	for rows.Next() {
		var seq int64
		var prev, hash, exact sql.RawBytes
		if err := rows.Scan(&seq, &prev, &hash, &exact); err != nil {
			return err
		}
		if err := v.entry(seq, last, prev, hash, exact); err != nil {
			return err
		}
		last = append(last[:0:0], hash...)
		v.Entries++
		v.Head = Head{seq, hex.EncodeToString(hash)}
		if v.progress != nil && v.Entries%progressStep == 0 {
			v.progress(v.Entries, total)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if v.progress != nil {
		v.progress(v.Entries, total)
	}
	return v.finish(ctx)
}

// entry checks one entry against the one before it, and its bodies against it.
func (v *verifier) entry(seq int64, last, prev, hash, exact []byte) error {
	before := v.Head.Seq
	gap := seq != before+1
	switch {
	case gap && seq-before == 2:
		v.fault(Missing, before+1, "entry %d is missing", before+1)
	case gap:
		v.fault(Missing, before+1, "entries %d to %d are missing", before+1, seq-1)
	case !bytes.Equal(prev, last):
		v.fault(Mismatch, seq, "entry %d does not continue entry %d: one of them was replaced", seq, before)
	}
	if h := chainHash(prev, seq, exact); !bytes.Equal(h[:], hash) {
		v.fault(Mismatch, seq, "entry %d was changed: its hash is not that of its bytes", seq)
	}
	if a := v.against; a != nil && a.Seq == seq {
		v.met = true
		if a.Hash != hex.EncodeToString(hash) {
			v.fault(Mismatch, seq, "entry %d is not the one of the head you gave: the journal was rewritten, or it is another journal", seq)
		}
	}
	v.clock(seq, exact)
	var l line
	if bytes.Contains(exact, []byte(`"hash":`)) || bytes.Contains(exact, []byte(`"kind":"`+string(Erased)+`"`)) {
		if json.Unmarshal(exact, &l) != nil {
			return v.skip(seq) // its hash has already told
		}
		if l.Kind == Erased {
			var d ErasedData
			if json.Unmarshal(l.Data, &d) == nil {
				for _, s := range d.Entries {
					v.erased[s] = true
				}
			}
		}
	}
	return v.itsBodies(seq, &l)
}

// clock notes where the wall clock went back. The layout of the bytes is fixed
// up to there; where it is not, the hash has already told.
func (v *verifier) clock(seq int64, exact []byte) {
	const key = `"wall":"`
	i := bytes.Index(exact[:min(len(exact), 128)], []byte(key))
	if i < 0 || len(exact) < i+len(key)+len(timeLayout) {
		return
	}
	wall := string(exact[i+len(key) : i+len(key)+len(timeLayout)])
	if wall < v.wall {
		if v.jumps++; v.jumps <= maxNotes {
			from, err1 := time.Parse(timeLayout, v.wall)
			to, err2 := time.Parse(timeLayout, wall)
			if errors.Join(err1, err2) == nil {
				v.Notes = append(v.Notes, fmt.Sprintf("the wall clock went back by %s before entry %d", from.Sub(to), seq))
			}
		}
	}
	v.wall = wall
}

func (v *verifier) readAhead() error {
	if !v.bodies.Next() {
		v.next = nil
		return v.bodies.Err()
	}
	var k kept
	var id int64
	if err := v.bodies.Scan(&id, &k.salt, &k.text); err != nil {
		return err
	}
	k.seq, k.n = bodyOf(id)
	v.next = &k
	return nil
}

// itsBodies checks what stands beside the chain for one entry.
func (v *verifier) itsBodies(seq int64, l *line) error {
	want := map[int64]*sealed{}
	if l.Text != nil {
		want[0] = l.Text
	}
	for i := range l.Artifacts {
		want[int64(i)+1] = &l.Artifacts[i]
	}
	for v.next != nil && v.next.seq <= seq {
		k := v.next
		s := want[k.n]
		switch {
		case k.seq < seq || s == nil:
			v.fault(Altered, k.seq, "%s of entry %d was put there: the entry names none", what(k.n), k.seq)
		case k.salt == nil:
			v.unsaid[seq]++
		case hex.EncodeToString(bodyHash(k.salt, k.text)) != s.Hash:
			v.fault(Altered, seq, "%s of entry %d was changed: its hash is not the one recorded", what(k.n), seq)
		default:
			v.Bodies++
		}
		if k.seq == seq {
			delete(want, k.n)
		}
		if err := v.readAhead(); err != nil {
			return err
		}
	}
	for n := range want {
		v.fault(Altered, seq, "%s of entry %d is gone, and was not erased by rollcall", what(n), seq)
	}
	return nil
}

// skip passes over the bodies of an entry that cannot be read.
func (v *verifier) skip(seq int64) error {
	for v.next != nil && v.next.seq <= seq {
		if err := v.readAhead(); err != nil {
			return err
		}
	}
	return nil
}

func what(n int64) string {
	if n == 0 {
		return "the text"
	}
	return fmt.Sprintf("artifact %d", n)
}

// finish says what only the whole shows.
func (v *verifier) finish(ctx context.Context) error {
	for seq, n := range v.unsaid {
		if v.erased[seq] {
			v.Erased += n
		} else {
			v.fault(Altered, seq, "text or artifacts of entry %d were erased, and no entry says so", seq)
		}
	}
	if v.jumps > maxNotes {
		v.Notes = append(v.Notes, fmt.Sprintf("and %d more times", v.jumps-maxNotes))
	}
	said := false
	if a := v.against; a != nil && !v.met && a.Seq > v.Head.Seq {
		v.fault(Truncated, v.Head.Seq+1, "the journal ends at entry %d; the head you gave is entry %d: the end was cut off", v.Head.Seq, a.Seq)
		said = true
	}
	for v.next != nil {
		if !said {
			v.fault(Truncated, v.Head.Seq+1, "the journal ends at entry %d, but a text of entry %d is still there: the end was cut off", v.Head.Seq, v.next.seq)
			said = true
		}
		if err := v.readAhead(); err != nil {
			return err
		}
	}
	rows, err := v.tx.QueryContext(ctx, "PRAGMA integrity_check(10)")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return err
		}
		if s != "ok" {
			v.fault(Unread, 0, "the file is damaged: %s", word(s))
		}
	}
	return rows.Err()
}
