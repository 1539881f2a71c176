package traces

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// filter tells which identifiers a partition surely does not have: a Bloom filter
// (1970) in blocks of a cache line (Putze, Sanders and Singler, "Cache-, Hash- and
// Space-Efficient Bloom Filters", 2007) over the hashes of its ids table. With ten bits
// for an identifier it is wrong about one in a hundred that are not there, which costs
// a query.
//
// One is stored in each sealed partition. It holds no identifier, but whoever guesses
// one can ask it; a purge therefore removes it, and it is built anew of what is left.
type filter struct {
	id   int64 // differs from that of every other filter
	last int64 // highest n of ids that is in it
	bits []uint64
}

const (
	filterDDL   = "CREATE TABLE IF NOT EXISTS filter(id INTEGER NOT NULL,last INTEGER NOT NULL,data BLOB NOT NULL)"
	filterBits  = 10 // per identifier
	filterProbe = 6  // bits that are set for each
	lineWords   = 8
	// maxFilters bounds the memory that all filters of a store take. The newest
	// partitions get it first; others are asked by query.
	maxFilters = 64 << 20
)

func newFilter(ids int64) *filter {
	lines := max(1, (ids*filterBits+64*lineWords-1)/(64*lineWords))
	return &filter{bits: make([]uint64, lines*lineWords)}
}

// spread mixes a hash (the finaliser of MurmurHash3): FNV's high bits hardly differ between like texts.
func spread(h int64) uint64 {
	x := uint64(h) //nolint:gosec // the bits
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// at returns the line of a hash, and the hash that its bits are taken from.
func (f *filter) at(hash int64) (line []uint64, x uint64) {
	x = spread(hash)
	n := x % uint64(len(f.bits)/lineWords)
	return f.bits[n*lineWords : (n+1)*lineWords], spread(int64(x)) //nolint:gosec // the bits
}

func (f *filter) add(hash int64) {
	line, x := f.at(hash)
	for range filterProbe {
		line[x>>6&(lineWords-1)] |= 1 << (x & 63)
		x >>= 9
	}
}

func (f *filter) has(hash int64) bool {
	line, x := f.at(hash)
	for range filterProbe {
		if line[x>>6&(lineWords-1)]&(1<<(x&63)) == 0 {
			return false
		}
		x >>= 9
	}
	return true
}

func (f *filter) size() int64 { return int64(8 * len(f.bits)) }

func (f *filter) bytes() []byte {
	b := make([]byte, 0, 8*len(f.bits))
	for _, w := range f.bits {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// parseFilter is the inverse of bytes.
func parseFilter(b []byte) (*filter, error) {
	if len(b) == 0 || len(b)%(8*lineWords) != 0 {
		return nil, errors.New("a stored filter is damaged")
	}
	f := &filter{bits: make([]uint64, len(b)/8)}
	for i := range f.bits {
		f.bits[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return f, nil
}

// storeFilter builds the filter of a partition if there is none. Nothing is added to
// the partition, or purged from it, meanwhile.
func storeFilter(ctx context.Context, c *sql.Conn) (err error) {
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, e := c.ExecContext(ctx, "ROLLBACK")
			err = errors.Join(err, e)
		}
	}()
	if _, err := c.ExecContext(ctx, filterDDL); err != nil {
		return err
	}
	var there, n int64
	if err := c.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM filter),(SELECT count(*) FROM ids)").Scan(&there, &n); err != nil {
		return err
	}
	if there == 0 {
		f := newFilter(n)
		err := c.Raw(func(dc any) error { return eachID(dc.(*sqlite3.SQLiteConn), f) })
		if err != nil {
			return err
		}
		var id [8]byte
		_, _ = rand.Read(id[:])                                                                                                                       // never fails
		_, err = c.ExecContext(ctx, "INSERT INTO filter(id,last,data) VALUES(?,?,?)", int64(binary.LittleEndian.Uint64(id[:])>>1), f.last, f.bytes()) //nolint:gosec // 63 bits
		if err != nil {
			return err
		}
	}
	_, err = c.ExecContext(ctx, "COMMIT")
	return err
}

// eachID puts every identifier into a filter. It speaks to the driver itself: there are a million.
func eachID(db *sqlite3.SQLiteConn, f *filter) error {
	rows, err := db.Query("SELECT n,hash FROM ids ORDER BY n", nil)
	if err != nil {
		return err
	}
	v := make([]driver.Value, 2)
	for {
		switch err := rows.Next(v); {
		case errors.Is(err, io.EOF):
			return rows.Close()
		case err != nil:
			return errors.Join(err, rows.Close())
		}
		f.last = integer(v[0])
		f.add(integer(v[1]))
	}
}

// hasFilter tells whether a partition has one.
func hasFilter(ctx context.Context, db *sql.DB) bool {
	var one int
	return db.QueryRowContext(ctx, "SELECT 1 FROM filter").Scan(&one) == nil
}

// filtering is what a reader has of a partition's filter.
type filtering struct {
	stamp stamp   // file state that it was read at
	f     *filter // nil: there is none, or it has not been worth reading
	asked bool    // the partition has been asked before: reading the filter pays
}

// mayHave tells whether a sealed partition may have one of some identifiers. Again
// says that it was asked a moment ago, in the same look-up.
func (s *Store) mayHave(ctx context.Context, p *partition, db *sql.DB, again bool, hashes ...int64) bool {
	if !p.sealed.Load() {
		return true
	}
	p.filtering.Lock()
	defer p.filtering.Unlock()
	k := &p.filtering.filtering
	if !again {
		if !k.asked { // a process that looks up one request would read all filters for it
			k.asked = true
			return true
		}
		// Before it is read: what is written from now on makes another stamp.
		if now := p.stamp(); k.stamp != now {
			k.stamp = now
			if err := s.readFilter(ctx, db, k); err != nil {
				k.f, k.stamp = nil, stamp{}
			}
			p.filterSize.Store(0)
			if k.f != nil {
				p.filterSize.Store(k.f.size())
			}
		}
	}
	if k.f == nil {
		return true
	}
	for _, h := range hashes {
		if k.f.has(h) {
			return true
		}
	}
	return false
}

// readFilter brings a filter up to date: the one that is stored, and the identifiers
// that have come since it was.
func (s *Store) readFilter(ctx context.Context, db *sql.DB, k *filtering) error {
	var id, last, size int64
	if err := db.QueryRowContext(ctx, "SELECT id,last,length(data) FROM filter").Scan(&id, &last, &size); err != nil {
		k.f = nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	}
	if k.f == nil || k.f.id != id {
		k.f = nil
		if s.filterSizes()+size > maxFilters {
			return nil
		}
		var data []byte
		if err := db.QueryRowContext(ctx, "SELECT data FROM filter WHERE id=?", id).Scan(&data); err != nil {
			return err
		}
		f, err := parseFilter(data)
		if err != nil {
			return err
		}
		f.id, f.last = id, last
		k.f = f
	}
	rows, err := db.QueryContext(ctx, "SELECT n,hash FROM ids WHERE n>? ORDER BY n", k.f.last) //nolint:sqlclosecheck // walk closes them
	if err != nil {
		return err
	}
	return walk(rows, func() error {
		var hash int64
		if err := rows.Scan(&k.f.last, &hash); err != nil {
			return fmt.Errorf("late identifiers: %w", err)
		}
		k.f.add(hash)
		return nil
	})
}

func (s *Store) filterSizes() (n int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, p := range s.parts {
		n += p.filterSize.Load()
	}
	return n
}
