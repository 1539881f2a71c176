package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources/redact"
	"rollcall/sources/request"
	"rollcall/store/journal"
	"rollcall/store/traces"
)

// PurgeOf says what is purged; exactly one field is set.
type PurgeOf struct {
	Request string // request, trace or response ID
	User    string // as the service knows them, or the token of them
	Tenant  string
}

// Purge erases what a state folder holds of a request, a user or a tenant.
type Purge struct {
	state    string
	of       traces.Erase
	names    []string // spellings to look for
	redactor *redact.Redactor
	traces   *traces.Store // nil when there are none
	journal  *journal.Journal
	found    journal.PurgedData
}

// OpenPurge looks for what there is to erase. The caller closes it.
func OpenPurge(ctx context.Context, cfg *config.File, of PurgeOf, origin string) (*Purge, error) {
	clock, err := cfg.Clock.Clock(nil)
	if err != nil {
		return nil, err
	}
	if !exists(cfg.State) {
		return nil, fmt.Errorf("there is no state folder %s; name the configuration whose data you mean with --config", cfg.State)
	}
	folder, err := request.NewFolder(cfg.Mapping)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Label(), err)
	}
	// A new key would make tokens that nothing was stored under.
	key := filepath.Join(cfg.State, keyFile)
	if of.User != "" && !redact.IsToken(of.User) && !exists(key) {
		return nil, fmt.Errorf("%s is missing, and without it nobody's token is known; restore it from a backup, or name the user by the token (user:…)", key)
	}
	redactor, err := newRedactor(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	p := &Purge{state: cfg.State, redactor: redactor}
	if err := p.name(of); err != nil {
		return nil, err
	}
	if dir := filepath.Join(cfg.State, tracesDir); exists(dir) {
		p.traces, err = traces.Open(dir, traces.Options{ //nolint:contextcheck // the store's writer ends with its Close
			Folder: pricedFolder{folder, cfg.Prices}, Clock: clock, Retention: cfg.Traces.Retention.Or(0), MaxBytes: cfg.Traces.MaxBytes.Or(0),
		})
		if err != nil {
			return nil, err
		}
	}
	p.journal, err = OpenJournal(ctx, cfg, JournalOptions{Origin: origin})
	if err == nil {
		err = p.look(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// name makes the spellings under which it is looked for.
func (p *Purge) name(of PurgeOf) error {
	of = PurgeOf{strings.TrimSpace(of.Request), strings.TrimSpace(of.User), strings.TrimSpace(of.Tenant)}
	switch {
	case of.Request != "" && of.User == "" && of.Tenant == "":
		p.of, p.names = traces.Erase{ID: of.Request}, []string{of.Request}
		p.found.By, p.found.Of = "request", of.Request
	case of.User != "" && of.Request == "" && of.Tenant == "":
		token := p.redactor.Person(of.User)
		p.of, p.names = traces.Erase{User: token}, []string{token}
		if token != of.User {
			p.names = append(p.names, of.User)
			if lower := strings.ToLower(of.User); lower != of.User {
				p.names = append(p.names, lower)
			}
		}
		p.found.By, p.found.Of = "user", token
	case of.Tenant != "" && of.Request == "" && of.User == "":
		tenant := p.redactor.Identity(of.Tenant) // one that is called by an e-mail address is kept as a token
		p.of, p.names = traces.Erase{Tenant: tenant}, []string{tenant}
		if tenant != of.Tenant {
			p.names = append(p.names, of.Tenant)
		}
		p.found.By, p.found.Of = "tenant", tenant
	default:
		return errors.New("name one of a request, a user or a tenant")
	}
	p.found.State = "found"
	return nil
}

// Close gives everything back.
func (p *Purge) Close() error {
	var errs []error
	if p.traces != nil {
		errs = append(errs, p.traces.Close())
	}
	if p.journal != nil {
		errs = append(errs, p.journal.Close())
	}
	return errors.Join(errs...)
}

// Found is what would be erased.
func (p *Purge) Found() journal.PurgedData { return p.found }

// look finds everything.
func (p *Purge) look(ctx context.Context) error {
	ids := map[string]bool{}
	if p.traces != nil {
		found, err := p.traces.Purgeable(ctx, p.of)
		if err != nil {
			return err
		}
		p.found.Requests, p.found.Spans, p.found.Events, p.found.Partitions = found.Requests, found.Spans, found.Events, found.Partitions
		for _, id := range found.IDs {
			ids[id] = true
		}
		for _, f := range found.Unsearched {
			p.remains("traces/%s is damaged and was not searched; delete it if it may hold any of this", f)
		}
	}
	incidents, err := p.lookInJournal(ctx, ids)
	if err != nil {
		return err
	}
	p.lookInFiles(ids, incidents)
	if n := len(p.found.Named); n > 0 {
		p.remains("the journal's chain: %d of its entries name it among identifiers and numbers, which are part of the hashes", n)
	}
	p.remains("copies made before: backups, exports elsewhere, lines mirrored to Loki")
	p.remains("what the service itself keeps, and Prometheus, Loki and trace backends")
	return nil
}

func (p *Purge) remains(format string, args ...any) {
	p.found.Remains = append(p.found.Remains, fmt.Sprintf(format, args...))
}

// lookInJournal finds the entries whose text or artifacts name it or one of its
// requests, and the evidence that was captured of one. It returns their incidents.
func (p *Purge) lookInJournal(ctx context.Context, ids map[string]bool) (map[string]bool, error) {
	incidents := map[string]bool{}
	err := p.journal.Scan(ctx, func(k *journal.Kept) error {
		named := k.Kind != journal.Purged && p.named(k.Line, ids)
		hit := named && k.Kind == journal.Captured && len(k.Bodies) > 0
		for _, b := range k.Bodies {
			hit = hit || p.named(b, ids)
		}
		if hit {
			p.found.Entries = append(p.found.Entries, k.Seq)
			if k.Incident != "" {
				incidents[k.Incident] = true
			}
		}
		if named {
			p.found.Named = append(p.found.Named, k.Seq)
		}
		return nil
	})
	return incidents, err
}

// searchedFile is the largest file besides the stores that is searched.
const searchedFile = 64 << 20

// lookInFiles finds the exported reviews that repeat it, and names the other
// files of the state folder that do.
func (p *Purge) lookInFiles(ids, incidents map[string]bool) {
	_ = filepath.WalkDir(p.state, func(path string, d fs.DirEntry, err error) error {
		rel, e := filepath.Rel(p.state, path)
		switch {
		case err != nil || e != nil:
			return nil //nolint:nilerr // what cannot be listed is said by whoever reads it
		case d.IsDir() && (rel == tracesDir || rel == "drills"):
			return fs.SkipDir
		case d.IsDir() && filepath.Dir(rel) == casesDir:
			p.lookInCases(path, rel, ids, incidents)
			return fs.SkipDir
		case !d.Type().IsRegular(), strings.HasPrefix(rel, journalFile), rel == keyFile:
			return nil
		}
		review := filepath.Dir(rel) == reviewsDir
		if review && incidents[strings.TrimSuffix(filepath.Base(rel), filepath.Ext(rel))] {
			p.found.Files = append(p.found.Files, rel)
			return nil
		}
		if fi, err := d.Info(); err != nil || fi.Size() > searchedFile {
			return nil //nolint:nilerr // gone meanwhile, or too large to hold a copy of a few lines
		}
		body, err := os.ReadFile(path)
		switch {
		case err != nil || !p.named(body, ids):
		case review:
			p.found.Files = append(p.found.Files, rel)
		default:
			p.remains("%s names it; delete it when you no longer need it", path)
		}
		return nil //nolint:nilerr // a file that cannot be read now is left to its reader
	})
}

// lookInCases finds the exported cases of an incident that it was evidence in. Their files
// go together: only one of them has the IDs.
func (p *Purge) lookInCases(dir, rel string, ids, incidents map[string]bool) {
	hit := incidents[filepath.Base(rel)]
	var files []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what cannot be listed is said by whoever reads it
		}
		if below, err := filepath.Rel(p.state, path); err == nil {
			files = append(files, below)
		}
		if fi, err := d.Info(); err == nil && fi.Size() <= searchedFile && !hit {
			body, err := os.ReadFile(path)
			hit = err == nil && p.named(body, ids)
		}
		return nil
	})
	if hit {
		p.found.Files = append(p.found.Files, files...)
	}
}

// named tells whether a text names what is purged: one of its spellings, or an ID
// of one of its requests, as a word of its own.
func (p *Purge) named(text []byte, ids map[string]bool) bool {
	for _, n := range p.names {
		for i := 0; ; {
			j := bytes.Index(text[i:], []byte(n))
			if j < 0 {
				break
			}
			start, end := i+j, i+j+len(n)
			if (start == 0 || !ofWord(text[start-1])) && (end == len(text) || !ofWord(text[end])) {
				return true
			}
			i = start + 1
		}
	}
	if len(ids) == 0 {
		return false
	}
	for len(text) > 0 {
		n := slices.IndexFunc(text, func(r byte) bool { return !ofID(r) })
		if n < 0 {
			n = len(text)
		}
		if n > 0 && (ids[string(text[:n])] || ids[string(bytes.Trim(text[:n], ".:-"))]) {
			return true
		}
		text = text[min(len(text), n+1):]
	}
	return false
}

func ofWord(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80
}

func ofID(c byte) bool { return ofWord(c) || c == '-' || c == '.' || c == ':' }

// Run erases what was found. The journal says that it began before anything is
// erased, and at the end what was: after an error that is in the answer too.
func (p *Purge) Run(ctx context.Context) (journal.PurgedData, error) {
	done := p.found
	quiet := done.Nothing()
	record := func(state string) error {
		done.State = state
		if quiet && state == "begun" {
			return nil
		}
		_, err := p.journal.Append(ctx, journal.Draft{Kind: journal.Purged, Data: done})
		return err
	}
	if err := record("begun"); err != nil {
		return p.found, fmt.Errorf("nothing was erased, because it cannot be recorded: %w", err)
	}
	var failed error
	if p.traces != nil { // also when nothing was found: an earlier purge may have left a log to empty
		d, err := p.traces.Purge(ctx, p.of)
		done.Requests, done.Spans, done.Events, done.Partitions = d.Requests, d.Spans, d.Events, d.Partitions
		failed = err
		if err == nil {
			left, err := p.traces.Purgeable(ctx, p.of)
			if err == nil && left.Requests > 0 {
				err = fmt.Errorf("%d requests of it came in meanwhile; stop what sends them and purge again", left.Requests)
			}
			failed = err
		}
	}
	if len(done.Entries) > 0 {
		_, err := p.journal.Erase(ctx, done.Entries, "purge by "+done.By)
		failed = errors.Join(failed, err)
	}
	for _, f := range done.Files {
		if err := os.Remove(filepath.Join(p.state, f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, fmt.Errorf("%s is still there: %w; delete it", f, cause(err)))
		}
	}
	quiet = quiet && done.Nothing() && failed == nil
	state := "done"
	if failed != nil {
		state = "incomplete"
	}
	if quiet {
		done.State = state
		return done, nil
	}
	if err := record(state); err != nil {
		failed = errors.Join(failed, fmt.Errorf("the end of the purge is not recorded: %w", err))
	}
	return done, failed
}
