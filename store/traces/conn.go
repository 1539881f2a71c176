package traces

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"rollcall/sources"
)

// conn is the writer's connection to one partition. Only the writer's goroutine
// uses it. It speaks to the driver itself: database/sql costs as much as the insert.
type conn struct {
	p           *partition
	db          *sqlite3.SQLiteConn
	stmts       map[string]driver.Stmt
	inTx        bool
	next        int64            // next key
	lastID      int64            // highest n in ids
	lastPending int64            // highest id in pending
	opened      int64            // service time at which the partition began
	origins     map[string]int64 // known sets of fields
	fresh       []id             // written in the open transaction, known to look-ups after it
	blocks      map[int64]bool   // those that are there
	wall        func() time.Time

	// scratch
	args  []driver.Value
	named []driver.NamedValue
	cols  []string
	text  []byte
}

type id struct{ n, hash, key int64 }

const maxOrigins = 4096

// openConn opens the partition for writing. A new file gets the schema.
func openConn(p *partition, clock sources.Clock, pages int) (*conn, error) {
	f, err := os.OpenFile(p.path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite would let the umask decide
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	raw, err := (&sqlite3.SQLiteDriver{}).Open(dsn(p.path, "mode=rw", "_journal_mode=WAL", "_synchronous=NORMAL",
		"_busy_timeout=5000", "_cache_size=-16000"))
	if err != nil {
		return nil, err
	}
	c := &conn{p: p, db: raw.(*sqlite3.SQLiteConn), stmts: map[string]driver.Stmt{}, origins: map[string]int64{}, blocks: map[int64]bool{}, wall: clock.Wall}
	if err := c.prepare(clock.Now().UnixNano(), pages); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *conn) prepare(serviceNow int64, pages int) error {
	// A checkpoint every 32 MB keeps its fsync rare; the writer stays the only one
	// to do it, so that the log starts over each time.
	pragmas := []string{"PRAGMA wal_autocheckpoint=8000", "PRAGMA journal_size_limit=67108864", "PRAGMA temp_store=MEMORY"}
	if pages > 0 {
		pragmas = append(pragmas, fmt.Sprintf("PRAGMA max_page_count=%d", pages))
	}
	for _, q := range pragmas {
		if err := c.exec(q); err != nil {
			return err
		}
	}
	version, err := c.one("PRAGMA user_version")
	if err != nil {
		return err
	}
	switch v := integer(version); v {
	case schemaVersion:
	case schemaBefore:
		for _, q := range []string{"BEGIN IMMEDIATE", blocksDDL, fmt.Sprintf("PRAGMA user_version=%d", schemaVersion), "COMMIT"} {
			if err := c.exec(q); err != nil {
				return err
			}
		}
	case 0:
		if err := c.exec("BEGIN IMMEDIATE"); err != nil {
			return err
		}
		for _, ddl := range schema {
			if err := c.exec(ddl); err != nil {
				return err
			}
		}
		if err := c.run("INSERT INTO opened(service_ns) VALUES(?)", serviceNow); err != nil {
			return err
		}
		if err := c.exec(fmt.Sprintf("PRAGMA user_version=%d", schemaVersion)); err != nil {
			return err
		}
		if err := c.exec("COMMIT"); err != nil {
			return err
		}
	default:
		return fmt.Errorf("it has schema %d and this version writes %d", v, schemaVersion)
	}
	opened, err := c.one("SELECT service_ns FROM opened")
	if err != nil {
		return err
	}
	c.opened = integer(opened)
	last, err := c.one("SELECT max(n) FROM ids")
	if err != nil {
		return err
	}
	c.lastID = integer(last)
	if last, err = c.one("SELECT max(id) FROM pending"); err != nil {
		return err
	}
	c.lastPending = integer(last)
	key, err := c.one("SELECT max(coalesce((SELECT max(id)>>20 FROM chunks),0),coalesce((SELECT max(key) FROM requests),0))")
	if err != nil {
		return err
	}
	c.next = integer(key) + 1
	if err := c.query("SELECT n FROM blocks", nil, func(v []driver.Value) error {
		c.blocks[integer(v[0])] = true
		return nil
	}); err != nil {
		return err
	}
	return c.query("SELECT id,fields FROM origins", nil, func(v []driver.Value) error {
		c.origins[text(v[1])] = integer(v[0])
		return nil
	})
}

// exec runs a statement that takes no arguments.
func (c *conn) exec(q string) error {
	_, err := c.db.Exec(q, nil)
	return err
}

// run executes a statement that returns no rows. The driver's Query binds and
// steps in one crossing into C, where its Exec crosses once for each argument.
func (c *conn) run(q string, args ...driver.Value) error {
	stmt, ok := c.stmts[q]
	if !ok {
		var err error
		if stmt, err = c.db.Prepare(q); err != nil {
			return err
		}
		c.stmts[q] = stmt
	}
	c.named = c.named[:0]
	for i, v := range args {
		c.named = append(c.named, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	rows, err := stmt.(*sqlite3.SQLiteStmt).QueryContext(context.Background(), c.named)
	if err != nil {
		return err
	}
	return rows.Close()
}

// query calls fn for each row; the values are only good during the call.
func (c *conn) query(q string, args []driver.Value, fn func(v []driver.Value) error) error {
	rows, err := c.db.Query(q, args)
	if err != nil {
		return err
	}
	v := make([]driver.Value, len(rows.Columns()))
	for {
		switch err = rows.Next(v); {
		case errors.Is(err, io.EOF):
			return rows.Close()
		case err != nil:
			return errors.Join(err, rows.Close())
		}
		if err := fn(v); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
}

func (c *conn) one(q string, args ...driver.Value) (driver.Value, error) {
	var out driver.Value
	err := c.query(q, args, func(v []driver.Value) error {
		out = v[0]
		if b, ok := out.([]byte); ok {
			out = append([]byte(nil), b...)
		}
		return nil
	})
	return out, err
}

func (c *conn) begin() error {
	if c.inTx {
		return nil
	}
	if err := c.run("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	c.inTx = true
	return nil
}

// commit makes the transaction durable against the end of the process and then
// lets look-ups see its identifiers.
func (c *conn) commit() error {
	if !c.inTx {
		return nil
	}
	if err := c.run("COMMIT"); err != nil {
		return err
	}
	c.inTx = false
	if !c.p.sealed.Load() {
		for _, f := range c.fresh {
			c.p.index.add(f.n, f.hash, f.key)
		}
	}
	c.fresh = c.fresh[:0]
	return nil
}

// close gives the connection up; an open transaction is rolled back.
func (c *conn) close() {
	for _, s := range c.stmts {
		_ = s.Close()
	}
	c.stmts = nil
	_ = c.db.Close()
}

func (c *conn) newKey() int64 {
	k := c.next
	c.next++
	return k
}

func (c *conn) addID(hash, key int64) error {
	c.lastID++
	if err := c.run("INSERT INTO ids(n,hash,key) VALUES(?,?,?)", c.lastID, hash, key); err != nil {
		return err
	}
	c.fresh = append(c.fresh, id{c.lastID, hash, key})
	return nil
}

func (c *conn) addChunk(key, seq int64, chunk []byte) error {
	return c.run("INSERT INTO chunks(id,data) VALUES(?,?)", key<<seqBits|seq, chunk)
}

// chunks calls fn for each chunk of a trace in the order of arrival.
func (c *conn) chunks(key int64, fn func(seq int64, chunk []byte) error) error {
	return c.query("SELECT id,data FROM chunks WHERE id>=? AND id<? ORDER BY id",
		[]driver.Value{key << seqBits, (key + 1) << seqBits}, func(v []driver.Value) error {
			b, _ := v[1].([]byte)
			return fn(integer(v[0])&(1<<seqBits-1), b)
		})
}

// origin returns the number of the set of fields that a row came from, 0 when there are too many sets.
func (c *conn) origin(from map[string]string) (int64, error) {
	if len(from) == 0 {
		return 0, nil
	}
	c.cols = c.cols[:0]
	for col := range from {
		c.cols = append(c.cols, col)
	}
	sort.Strings(c.cols)
	c.text = c.text[:0]
	for _, col := range c.cols {
		c.text = append(append(append(append(c.text, col...), '='), from[col]...), '\n')
	}
	if n, ok := c.origins[string(c.text)]; ok { // does not copy
		return n, nil
	}
	if len(c.origins) >= maxOrigins {
		return 0, nil
	}
	s := string(c.text)
	n := int64(len(c.origins) + 1)
	if err := c.run("INSERT OR REPLACE INTO origins(id,fields) VALUES(?,?)", n, s); err != nil {
		return 0, err
	}
	c.origins[s] = n
	return n, nil
}

// parseOrigin is the inverse of what origin stores.
func parseOrigin(s string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(s) {
		if col, field, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			m[col] = field
		}
	}
	return m
}

// putRow writes the request row and its lists. replace tells that an earlier row may exist.
func (c *conn) putRow(key int64, trace sources.TraceID, r *sources.Request, replace bool) error {
	origin, err := c.origin(r.From)
	if err != nil {
		return err
	}
	c.args = bindRequest(c.args, key, trace, origin, r)
	if err := c.run(insertRequest, c.args...); err != nil {
		return err
	}
	if err := c.rowChanges(key); err != nil {
		return err
	}
	from, to := key<<listBits, (key+1)<<listBits
	if replace {
		for _, q := range [...]string{
			"DELETE FROM scores WHERE id>=? AND id<?", "DELETE FROM documents WHERE id>=? AND id<?", "DELETE FROM tool_calls WHERE id>=? AND id<?",
		} {
			if err := c.run(q, from, to); err != nil {
				return err
			}
		}
	}
	num := func(n sources.Num) driver.Value {
		if n.OK {
			return n.V
		}
		return nil
	}
	for i, s := range r.Scores {
		if err := c.run("INSERT INTO scores(id,evaluator,value,label,explanation) VALUES(?,?,?,?,?)",
			from+int64(i), s.Evaluator, num(s.Value), s.Label, s.Explanation); err != nil {
			return err
		}
	}
	for i, d := range r.Documents {
		if err := c.run("INSERT INTO documents(id,document,score) VALUES(?,?,?)", from+int64(i), d.ID, num(d.Score)); err != nil {
			return err
		}
	}
	for i, t := range r.ToolCalls {
		if err := c.run("INSERT INTO tool_calls(id,name,call_id,error,arguments,result) VALUES(?,?,?,?,?,?)",
			from+int64(i), t.Name, t.CallID, t.Error, t.Arguments, t.Result); err != nil {
			return err
		}
	}
	return nil
}
