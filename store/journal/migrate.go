package journal

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
)

// appID marks the file as a journal of rollcall: "roll".
const appID = 0x726f6c6c

// migrations lead from each version of the tables to the next. The number of
// those applied is the file's user_version. Entries are never changed by them.
//
// What entries are searched by is computed from their exact bytes, so that it
// cannot say anything else than they do.
var migrations = [][]string{
	{
		`CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID`,
		`CREATE TABLE counters(name TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
		`CREATE TABLE entries(
			seq INTEGER PRIMARY KEY,
			prev BLOB NOT NULL UNIQUE,
			hash BLOB NOT NULL,
			bytes TEXT NOT NULL,
			kind TEXT AS (bytes ->> '$.kind') VIRTUAL,
			at TEXT AS (bytes ->> '$.at') VIRTUAL,
			service TEXT AS (bytes ->> '$.service') VIRTUAL,
			incident TEXT AS (bytes ->> '$.incident') VIRTUAL,
			run TEXT AS (bytes ->> '$.run') VIRTUAL
		) STRICT`,
		`CREATE INDEX entries_kind ON entries(kind)`,
		`CREATE INDEX entries_incident ON entries(incident, kind) WHERE incident IS NOT NULL`,
		`CREATE INDEX entries_run ON entries(run) WHERE run IS NOT NULL`,
		// The id is 4096 * seq + n; n is 0 for the text and counts the artifacts from 1.
		// Salt and body are null once erased.
		`CREATE TABLE bodies(
			id INTEGER PRIMARY KEY,
			salt BLOB,
			body BLOB
		) STRICT`,
	},
	// Every page that an append touches is written and synced. That no two entries follow
	// the same one needs no index: seq is unique, and each is one more than the last. And
	// measurements of checks, which are most of all entries, are looked for by run only.
	{
		`CREATE TABLE entries_2(
			seq INTEGER PRIMARY KEY,
			prev BLOB NOT NULL,
			hash BLOB NOT NULL,
			bytes TEXT NOT NULL,
			kind TEXT AS (bytes ->> '$.kind') VIRTUAL,
			at TEXT AS (bytes ->> '$.at') VIRTUAL,
			service TEXT AS (bytes ->> '$.service') VIRTUAL,
			incident TEXT AS (bytes ->> '$.incident') VIRTUAL,
			run TEXT AS (bytes ->> '$.run') VIRTUAL
		) STRICT`,
		`INSERT INTO entries_2(seq, prev, hash, bytes) SELECT seq, prev, hash, bytes FROM entries ORDER BY seq`,
		`DROP TABLE entries`,
		`ALTER TABLE entries_2 RENAME TO entries`,
		`CREATE INDEX entries_kind ON entries(kind) WHERE ` + noSample,
		`CREATE INDEX entries_incident ON entries(incident, kind) WHERE incident IS NOT NULL`,
		`CREATE INDEX entries_run ON entries(run) WHERE run IS NOT NULL`,
	},
}

// readableFrom is the oldest version whose tables can be read as they are.
const readableFrom = 1

// noSample must stand in a query for its index on kind to be used.
const noSample = `kind <> 'run.sample'`

// migrate brings the tables up to this version, in one transaction.
func migrate(ctx context.Context, path string, db *sql.DB) error {
	version, err := recognise(ctx, path, db)
	if err != nil || version == len(migrations) {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	// Another process may have done it in the meantime.
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	for _, step := range migrations[min(version, len(migrations)):] {
		for _, ddl := range step {
			if _, err := tx.ExecContext(ctx, ddl); err != nil {
				return err
			}
		}
	}
	if version == 0 {
		id := make([]byte, 16)
		_, _ = rand.Read(id)
		if _, err := tx.ExecContext(ctx, "INSERT INTO meta VALUES('id', ?)", hex.EncodeToString(id)); err != nil {
			return err
		}
	}
	for _, q := range []string{fmt.Sprintf("PRAGMA application_id=%d", appID), fmt.Sprintf("PRAGMA user_version=%d", len(migrations))} {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// recognise returns the version of the tables, 0 for an empty file. Another
// program's database and a newer version's journal are left alone.
func recognise(ctx context.Context, path string, db *sql.DB) (int, error) {
	var app, version, tables int
	err := db.QueryRowContext(ctx, "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)").Scan(&app, &version, &tables)
	switch {
	case err != nil:
		return 0, err
	case tables > 0 && app != appID:
		return 0, fmt.Errorf("%w: %s is another program's database; set state: to another folder", ErrRefused, path)
	case version > len(migrations):
		return 0, &trouble{path, ErrNewer, fmt.Errorf("its tables are version %d and this rollcall knows %d", version, len(migrations)), "upgrade rollcall"}
	}
	return version, nil
}

// readable checks that a file that must not be migrated can be read as it is.
func readable(ctx context.Context, path string, db *sql.DB) error {
	version, err := recognise(ctx, path, db)
	switch {
	case err != nil:
		return err
	case version == 0:
		return fmt.Errorf("%w: the journal %s is empty; it begins with the first thing recorded", ErrUnknown, path)
	case version < readableFrom:
		return &trouble{path, ErrReadOnly, fmt.Errorf("its tables are version %d and must be brought to %d", version, len(migrations)), "open it once where it can be written"}
	}
	return nil
}
