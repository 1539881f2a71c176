package traces

import (
	"context"
	"database/sql"
	"encoding/hex"
	"strings"
	"sync"

	"rollcall/sources"
)

// Kinds of identifiers; they keep a request ID apart from an equal response ID.
const (
	kindTrace    = 't'
	kindRequest  = 'q'
	kindResponse = 'r'
)

// hashID is FNV-1a over the kind and the identifier. Collisions are possible and
// can be provoked, so whoever looks up verifies what was found.
func hashID(kind byte, id string) int64 {
	h := uint64(14695981039346656037)
	h = (h ^ uint64(kind)) * 1099511628211
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return int64(h)
}

func hashTrace(id sources.TraceID) int64 {
	return hashID(kindTrace, string(id[:]))
}

// parseTraceID reads a trace ID in hex, in either case and with or without dashes.
func parseTraceID(s string) (id sources.TraceID, ok bool) {
	s = strings.ReplaceAll(s, "-", "")
	if len(s) != 2*len(id) {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(s))
	return id, err == nil && !id.IsZero()
}

// idIndex finds the keys of identifiers of an unsealed partition. It follows
// the append-only ids table, so that every process that reads the partition,
// the writer included, keeps its own. Half of each hash is enough, because what
// is found is verified: among a million identifiers, one look-up in 4,000 reads
// a trace too many, and the index takes half the memory.
type idIndex struct {
	mu   sync.RWMutex
	last int64 // highest n that is in the index
	one  map[uint32]uint32
	more map[uint32][]uint32 // further keys of the same hash
}

// sync takes over what was appended since the last call.
func (x *idIndex) sync(ctx context.Context, db *sql.DB) error {
	x.mu.RLock()
	last := x.last
	x.mu.RUnlock()
	rows, err := db.QueryContext(ctx, "SELECT n,hash,key FROM ids WHERE n>? ORDER BY n", last)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n, hash, key int64
		if err := rows.Scan(&n, &hash, &key); err != nil {
			return err
		}
		x.add(n, hash, key)
	}
	return rows.Err()
}

func (x *idIndex) add(n, hash, key int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if n <= x.last {
		return
	}
	x.last = n
	if x.one == nil {
		x.one, x.more = map[uint32]uint32{}, map[uint32][]uint32{}
	}
	short := uint32(hash)
	if _, taken := x.one[short]; taken {
		if len(x.more[short]) < 64 {
			x.more[short] = append(x.more[short], uint32(key))
		}
		return
	}
	x.one[short] = uint32(key)
}

// keys returns the candidates, newest first.
func (x *idIndex) keys(hash int64) []int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	k, ok := x.one[uint32(hash)]
	if !ok {
		return nil
	}
	more := x.more[uint32(hash)]
	out := make([]int64, 0, 1+len(more))
	for i := len(more) - 1; i >= 0; i-- {
		out = append(out, int64(more[i]))
	}
	return append(out, int64(k))
}

// drop frees the index of a partition that has been sealed.
func (x *idIndex) drop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.one, x.more, x.last = nil, nil, 0
}
