package app

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/request"
	"rollcall/store/journal"
	"rollcall/store/traces"
)

// state is a state folder in which three users of two tenants left traces, and
// of which the journal speaks.
type state struct {
	*testing.T
	cfg   *config.File
	texts map[string][][]byte // what the service said to whom; by user, tenant and request
}

func (s *state) journal() *journal.Journal {
	s.Helper()
	j, err := OpenJournal(s.Context(), s.cfg, JournalOptions{Origin: "cli"})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = j.Close() })
	return j
}

func (s *state) store() *traces.Store {
	s.Helper()
	folder, err := request.NewFolder(s.cfg.Mapping)
	if err != nil {
		s.Fatal(err)
	}
	st, err := traces.Open(filepath.Join(s.cfg.State, tracesDir), traces.Options{Folder: folder, Clock: wallClock(s.T)})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = st.Close() })
	return st
}

func lived(t *testing.T, rnd *rand.Rand) *state {
	t.Helper()
	s := &state{T: t, cfg: &config.File{State: filepath.Join(t.TempDir(), "state")}, texts: map[string][][]byte{}}
	if err := makeState(s.cfg.State); err != nil {
		t.Fatal(err)
	}
	redactor, err := newRedactor(s.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	st, j := s.store(), s.journal()
	inc, err := j.OpenIncident(t.Context(), journal.IncidentDraft{Service: "assistant", Title: "Answers are wrong", Category: journal.Quality, Severity: journal.SEV2})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		user, tenant, id := fmt.Sprintf("usr_%d", i%3), fmt.Sprintf("tenant%d", i%2), fmt.Sprintf("req-%04d", i)
		var text string
		for range 1 + rnd.IntN(60) {
			text += fmt.Sprintf("%012x ", rnd.Uint64()>>16)
		}
		for _, k := range []string{user, tenant, id} {
			s.texts[k] = append(s.texts[k], []byte(text[:13]), []byte(text[len(text)-13:]))
		}
		trace := sources.TraceID{15: byte(i + 1)}
		at := time.Date(2026, 11, 23, 2, i, 0, 0, time.UTC).UnixNano()
		err := st.Consume(t.Context(), &sources.TraceBatch{Spans: []sources.Span{{
			TraceID: trace, SpanID: sources.SpanID{7: 1}, Name: "chat", Start: at, End: at + 1e9, Resource: &sources.Resource{Service: "assistant"},
			Attrs: sources.Attrs{{Key: "llmops.request.id", Value: id}, {Key: "user.id", Value: redactor.Person(user)}, {Key: "llmops.tenant", Value: tenant}, {Key: "llmops.retrieval.query", Value: text}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		drafts := []journal.Draft{
			{Kind: journal.Captured, Service: "assistant", Incident: inc.ID, Data: Captured{Request: id}, Artifacts: []journal.Artifact{
				{Name: "request.json", Body: fmt.Appendf(nil, `{"id":%q,"user":%q,"tenant":%q}`, id, redactor.Person(user), tenant)},
				{Name: "answer.txt", Body: []byte(text)},
			}},
			{Kind: journal.Noted, Service: "assistant", Text: fmt.Sprintf("%s of %s complains about %s: %s", user, tenant, id, text)},
			{Kind: journal.Noted, Service: "assistant", Text: fmt.Sprintf("usr_%d0 and xtenant%d and req-%04d0 are others", i%3, i%2, i)},
		}
		if _, err := j.Append(t.Context(), drafts...); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(s.cfg.State, reviewsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	review := bytes.Join(append(s.texts["usr_0"], s.texts["usr_1"]...), []byte("\n"))
	if err := os.WriteFile(filepath.Join(s.cfg.State, reviewsDir, inc.ID+".md"), review, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// hold returns the files of the state folder that hold one of the texts.
func (s *state) hold(texts [][]byte) []string {
	s.Helper()
	var out []string
	err := filepath.WalkDir(s.cfg.State, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, text := range texts {
			if bytes.Contains(b, text) {
				out = append(out, fmt.Sprintf("%s holds %q", path, text))
			}
		}
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return out
}

func TestAPurgeLeavesNoByteInAnyFileOfTheStateFolder(t *testing.T) {
	for n, tt := range []struct {
		of       PurgeOf
		key      string
		requests int
		others   []string // whose texts stay
	}{
		{PurgeOf{User: "usr_1"}, "usr_1", 20, []string{"req-0000", "req-0002"}},
		{PurgeOf{Tenant: "tenant1"}, "tenant1", 30, []string{"req-0000", "req-0002"}},
		{PurgeOf{Request: "req-0007"}, "req-0007", 1, []string{"req-0006", "req-0008"}},
	} {
		t.Run(tt.key, func(t *testing.T) {
			s := lived(t, rand.New(rand.NewPCG(uint64(n), 5)))
			if len(s.hold(s.texts[tt.key])) == 0 {
				t.Fatal("it was never there")
			}
			open := s.journal() // a console that runs meanwhile
			p, err := OpenPurge(t.Context(), s.cfg, tt.of, "cli")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = p.Close() })
			found := p.Found()
			if found.Requests != tt.requests || len(found.Entries) != 2*tt.requests || len(found.Files) != 1 || found.Nothing() {
				t.Errorf("found %+v", found)
			}
			done, err := p.Run(t.Context())
			if err != nil || done.Requests != tt.requests || done.State != "done" || len(done.Named) < tt.requests {
				t.Errorf("did %+v, %v", done, err)
			}
			if left := s.hold(s.texts[tt.key]); len(left) > 0 {
				t.Errorf("with everything open:\n%s", strings.Join(left, "\n"))
			}
			for _, o := range tt.others {
				if held := s.hold(s.texts[o]); len(held) < 2 {
					t.Errorf("%s is gone too: %q", o, held)
				}
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			if left := s.hold(s.texts[tt.key]); len(left) > 0 {
				t.Errorf("afterwards:\n%s", strings.Join(left, "\n"))
			}
			v, err := open.Verify(t.Context(), nil, nil)
			if err != nil {
				t.Errorf("the chain: %+v, %v", v, err)
			}
			entries, err := open.Entries(t.Context(), journal.Filter{Kinds: []journal.Kind{journal.Purged}})
			if err != nil || len(entries) != 2 || !strings.Contains(string(entries[0].Data), `"state":"begun"`) || !strings.Contains(string(entries[1].Data), `"state":"done"`) {
				t.Errorf("recorded: %+v, %v", entries, err)
			}
			if tt.of.User != "" && strings.Contains(string(entries[1].Data), tt.of.User) {
				t.Errorf("the journal now names the user: %s", entries[1].Data)
			}
			again, err := OpenPurge(t.Context(), s.cfg, tt.of, "cli")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = again.Close() }()
			if f := again.Found(); !f.Nothing() {
				t.Errorf("a second purge finds %+v", f)
			}
		})
	}
}

func TestAPurgeThatCannotBeRecordedErasesNothing(t *testing.T) {
	s := lived(t, rand.New(rand.NewPCG(1, 1)))
	p, err := OpenPurge(t.Context(), s.cfg, PurgeOf{User: "usr_1"}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if err := p.journal.Close(); err != nil {
		t.Fatal(err)
	}
	if done, err := p.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "nothing was erased") || done.State != "found" {
		t.Errorf("%+v, %v", done, err)
	}
	if left, err := p.traces.Purgeable(t.Context(), p.of); err != nil || left.Requests != 20 {
		t.Errorf("%+v, %v", left, err)
	}
}

func TestWithoutTheKeyNobodyIsPurgedByName(t *testing.T) {
	s := lived(t, rand.New(rand.NewPCG(1, 2)))
	token := func() string {
		r, err := newRedactor(s.cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return r.Person("usr_1")
	}()
	if err := os.Remove(filepath.Join(s.cfg.State, keyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenPurge(t.Context(), s.cfg, PurgeOf{User: "usr_1"}, "cli"); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
		t.Errorf("%v", err)
	}
	p, err := OpenPurge(t.Context(), s.cfg, PurgeOf{User: token}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if p.Found().Requests != 20 {
		t.Errorf("by the token: %+v", p.Found())
	}
}

func TestAPurgeNamesWhatItDoesNotReach(t *testing.T) {
	s := lived(t, rand.New(rand.NewPCG(1, 3)))
	for name, body := range map[string]string{"rollcall.log": "asked for usr_1\n", filepath.Join(tracesDir, "p-20261123T030000Z-0000.db.damaged"): "?"} {
		if err := os.WriteFile(filepath.Join(s.cfg.State, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := OpenPurge(t.Context(), s.cfg, PurgeOf{User: "usr_1"}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	remains := strings.Join(p.Found().Remains, "\n")
	for _, want := range []string{"rollcall.log names it", ".damaged is damaged and was not searched", "of its entries name it among identifiers", "backups", "Loki"} {
		if !strings.Contains(remains, want) {
			t.Errorf("it does not say %q:\n%s", want, remains)
		}
	}
}
