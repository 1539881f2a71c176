package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/sources"
)

// tester is a clock that only moves when told to.
type tester struct {
	mu        sync.Mutex
	wall, now time.Time
}

func (c *tester) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *tester) Wall() time.Time                      { c.mu.Lock(); defer c.mu.Unlock(); return c.wall }
func (c *tester) ToWall(d time.Duration) time.Duration { return d }
func (c *tester) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.now = c.wall.Add(d), c.now.Add(d)
}

var (
	noon    = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	secrets = regexp.MustCompile(`secret-\d+|\S+@\S+`)
)

func newClock() *tester { return &tester{wall: noon.Add(time.Hour), now: noon} }

func options(c sources.Clock) Options {
	return Options{
		Clock: c, Actor: "ana", Origin: "cli",
		Redact: func(s string) string { return secrets.ReplaceAllString(s, "<redacted>") },
	}
}

func temp(t testing.TB) string { return filepath.Join(t.TempDir(), "state", "journal.db") }

func openAt(t testing.TB, path string) *Journal {
	t.Helper()
	j, err := Open(t.Context(), path, options(newClock()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func note(text string) Draft { return Draft{Kind: Noted, Service: "assistant", Text: text} }

func TestWhatIsAppendedIsReadBackAfterReopening(t *testing.T) {
	path := temp(t)
	j := openAt(t, path)
	wrote := must[[]Entry](t)(j.Append(
		t.Context(),
		Draft{
			Kind: PinSet, Service: "assistant", Environment: "prod", Run: "RUN-1", At: noon.Add(-time.Minute),
			Data: map[string]any{"to": "v13", "from": "v14", "n": uint64(1) << 63},
		},
		Draft{
			Kind: Captured, Service: "assistant", Text: "two lines\nof text",
			Artifacts: []Artifact{{Name: "request.json", Type: "application/json", Body: []byte(`{"a":1}`)}, {Name: "empty.txt", Type: "text/plain"}},
		},
	))
	_ = j.Close()
	j = openAt(t, path)
	read := must[[]Entry](t)(j.Entries(t.Context(), Filter{}))
	a, b := must[string](t)(jsonOf(wrote)), must[string](t)(jsonOf(read))
	if a != b {
		t.Errorf("written\n%s\nread\n%s", a, b)
	}
	if read[0].Actor != "ana" || read[0].Origin != "cli" || !read[0].At.Equal(noon.Add(-time.Minute)) || !read[0].Wall.Equal(noon.Add(time.Hour)) {
		t.Errorf("who and when: %+v", read[0])
	}
	if !read[1].At.Equal(noon) {
		t.Errorf("an entry without a time has the clock's: %v", read[1].At)
	}
	if got := string(read[0].Data); got != `{"from":"v14","n":9223372036854775808,"to":"v13"}` {
		t.Errorf("the data is %s", got)
	}
	for i, want := range []string{`{"a":1}`, ""} {
		art := must[Artifact](t)(j.Artifact(t.Context(), read[1].Artifacts[i].ID))
		if string(art.Body) != want || art.Name != read[1].Artifacts[i].Name || art.Type != read[1].Artifacts[i].Type {
			t.Errorf("artifact %d is %+v", i, art)
		}
	}
	if h := must[Head](t)(j.Head(t.Context())); h.Seq != 2 || h.Hash != read[1].Hash {
		t.Errorf("the head is %+v", h)
	}
	if _, err := j.Entry(t.Context(), 3); !errors.Is(err, ErrUnknown) {
		t.Errorf("an entry that is not there: %v", err)
	}
	if _, err := j.Artifact(t.Context(), 99); !errors.Is(err, ErrUnknown) {
		t.Errorf("an artifact that is not there: %v", err)
	}
}

func jsonOf(v any) (string, error) { b, err := json.Marshal(v); return string(b), err }

// The formula is a promise to whoever checks the file without this program.
func TestTheHashesAreThoseThatTheDocumentationSays(t *testing.T) {
	path := temp(t)
	j := openAt(t, path)
	must[[]Entry](t)(j.Append(t.Context(), note("first"), note("second")))
	db := must[*sql.DB](t)(sql.Open("sqlite3", path))
	defer db.Close()
	prev := make([]byte, 32)
	for seq := uint64(1); seq <= 2; seq++ {
		var hash, salt, text []byte
		var exact string
		if err := db.QueryRow("SELECT hash, bytes FROM entries WHERE seq=?", seq).Scan(&hash, &exact); err != nil {
			t.Fatal(err)
		}
		in := append([]byte("rollcall/journal/v1\x00"), prev...)
		in = binary.BigEndian.AppendUint64(in, seq)
		sum := sha256.Sum256(append(in, exact...))
		if !bytes.Equal(sum[:], hash) {
			t.Errorf("entry %d has another hash", seq)
		}
		prev = hash
		if err := db.QueryRow("SELECT salt, body FROM bodies WHERE id=4096*?", seq).Scan(&salt, &text); err != nil {
			t.Fatal(err)
		}
		body := sha256.Sum256(append(append([]byte("rollcall/journal/body/v1\x00"), salt...), text...))
		if !strings.Contains(exact, hex.EncodeToString(body[:])) || strings.Contains(exact, string(text)) {
			t.Errorf("the entry must hold the hash of its text and not the text: %s", exact)
		}
	}
}

func TestFreeTextIsRedactedAndHarmlessBeforeItIsStored(t *testing.T) {
	path := temp(t)
	j := openAt(t, path)
	hostile := "\x1b[2Jlook at secret-42\u202e\xff\nand \u009b31m"
	e := must[[]Entry](t)(j.Append(t.Context(), Draft{
		Kind: Noted, Service: "as\x1bsistant\n", Text: hostile,
		Data: map[string]any{
			"id": "4111111111111111", "version": "v\x1b13", "sentence": "token secret-7 was used", "k\x07ey": []any{"x\u200by"},
		},
		Artifacts: []Artifact{{Name: "a\x1bb", Type: "text/plain", Body: []byte(hostile)}},
	}))[0]
	art := must[Artifact](t)(j.Artifact(t.Context(), e.Artifacts[0].ID))
	all := e.Text + string(e.Data) + e.Service + art.Name + string(art.Body)
	if strings.ContainsFunc(all, func(r rune) bool { return r != '\n' && hidden(r) }) || strings.Contains(all, `\u00`) {
		t.Errorf("control bytes are left: %q", all)
	}
	if !strings.Contains(e.Text, "look at <redacted>") || strings.Contains(e.Text, "secret-42") {
		t.Errorf("the text is %q", e.Text)
	}
	if !strings.Contains(string(e.Data), `"4111111111111111"`) {
		t.Errorf("an identifier must stay as it is: %s", e.Data)
	}
	if strings.Contains(string(e.Data), "secret-7") {
		t.Errorf("a sentence in the data is free text: %s", e.Data)
	}
	_ = j.Close()
	for _, f := range []string{path, path + "-wal"} {
		if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte("secret-")) {
			t.Errorf("%s holds the secret", filepath.Base(f))
		}
	}
}

func TestFiltersSelectEntries(t *testing.T) {
	j := openAt(t, temp(t))
	inc := must[Incident](t)(j.OpenIncident(t.Context(), incident()))
	for i := range 6 {
		d := note(fmt.Sprint(i))
		d.At = noon.Add(time.Duration(i) * time.Minute)
		switch i {
		case 1:
			d.Incident = inc.ID
		case 2:
			d.Run = "RUN-9"
		case 3:
			d.Kind, d.Service = QueryTyped, "billing"
		}
		must[[]Entry](t)(j.Append(t.Context(), d))
	}
	for name, tc := range map[string]struct {
		f    Filter
		want []int64
	}{
		"all":                {Filter{}, []int64{1, 2, 3, 4, 5, 6, 7}},
		"after and before":   {Filter{After: 2, Before: 5}, []int64{3, 4}},
		"kinds":              {Filter{Kinds: []Kind{IncidentOpened, QueryTyped}}, []int64{1, 5}},
		"service":            {Filter{Service: "billing"}, []int64{5}},
		"incident":           {Filter{Incident: inc.ID}, []int64{1, 3}},
		"run":                {Filter{Run: "RUN-9"}, []int64{4}},
		"times":              {Filter{Since: noon.Add(2 * time.Minute), Until: noon.Add(4 * time.Minute)}, []int64{4, 5, 6}},
		"the oldest":         {Filter{Limit: 2}, []int64{1, 2}},
		"the newest":         {Filter{Limit: 2, Newest: true}, []int64{6, 7}},
		"nothing":            {Filter{Service: "x"}, nil},
		"incident and kinds": {Filter{Incident: inc.ID, Kinds: []Kind{Noted}}, []int64{3}},
	} {
		var got []int64
		for _, e := range must[[]Entry](t)(j.Entries(t.Context(), tc.f)) {
			got = append(got, e.Seq)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestADraftThatCannotBeRecordedTakesNothingWithIt(t *testing.T) {
	j := openAt(t, temp(t))
	for name, d := range map[string]Draft{
		"no kind":          {},
		"an odd kind":      {Kind: "no spaces"},
		"a far year":       {Kind: Noted, At: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"data that is not": {Kind: Noted, Data: make(chan int)},
		"too much data":    {Kind: Noted, Data: strings.Repeat("x", maxData+1)},
		"a huge artifact":  {Kind: Noted, Artifacts: []Artifact{{Body: make([]byte, maxArtifact+1)}}},
		"no such incident": {Kind: Noted, Incident: "INC-99"},
		"an odd incident":  {Kind: Noted, Incident: "INC-01 OR 1"},
	} {
		_, err := j.Append(t.Context(), note("good"), d)
		if !errors.Is(err, ErrRefused) && !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "\n") || !strings.ContainsAny(err.Error(), ";:") {
			t.Errorf("%s: not one clear line: %v", name, err)
		}
	}
	if h := must[Head](t)(j.Head(t.Context())); h.Seq != 0 {
		t.Errorf("something was recorded: %+v", h)
	}
	long := must[[]Entry](t)(j.Append(t.Context(), note(strings.Repeat("é", maxText))))[0]
	if len(long.Text) > maxText+40 || !strings.HasSuffix(long.Text, "bytes)") {
		t.Errorf("a long text is cut and says so: %d bytes, ends in %q", len(long.Text), long.Text[len(long.Text)-30:])
	}
}

func TestAppendIfDecidesWithNobodyElseWriting(t *testing.T) {
	path := temp(t)
	a, b := openAt(t, path), openAt(t, path)
	once := func(v *View) ([]Draft, error) {
		seen, err := v.Entries(context.Background(), Filter{Kinds: []Kind{AlertFiring}})
		if err != nil || len(seen) > 0 {
			return nil, err
		}
		return []Draft{{Kind: AlertFiring, Service: "assistant"}}, nil
	}
	var wg sync.WaitGroup
	for _, j := range []*Journal{a, b, a, b, a, b, a, b} {
		wg.Go(func() {
			if _, err := j.AppendIf(t.Context(), once); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := must[[]Entry](t)(a.Entries(t.Context(), Filter{})); len(got) != 1 {
		t.Errorf("%d entries, want one", len(got))
	}
	own := errors.New("not now")
	if _, err := a.AppendIf(t.Context(), func(*View) ([]Draft, error) { return []Draft{note("x")}, own }); err != own { //nolint:errorlint // as it is
		t.Errorf("the caller's own error comes back as it is: %v", err)
	}
}

func TestSeveralWritersMakeOneChain(t *testing.T) {
	path := temp(t)
	var wg sync.WaitGroup
	for w := range 4 {
		j := openAt(t, path).As(fmt.Sprintf("writer-%d", w), "console")
		wg.Go(func() {
			for i := range 25 {
				if _, err := j.Append(t.Context(), note(fmt.Sprint(i)), note("and")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	j := openAt(t, path)
	r := must[Report](t)(j.Verify(t.Context(), nil, nil))
	if !r.OK || r.Entries != 200 || r.Bodies != 200 {
		t.Errorf("%+v", r)
	}
	by := map[string]int{}
	for _, e := range must[[]Entry](t)(j.Entries(t.Context(), Filter{})) {
		by[e.Actor]++
	}
	if len(by) != 4 || by["writer-2"] != 50 {
		t.Errorf("by author: %v", by)
	}
}

func TestNoTwoRunsGetTheSameID(t *testing.T) {
	path := temp(t)
	ids := make(chan string, 40)
	var wg sync.WaitGroup
	for range 4 {
		j := openAt(t, path)
		wg.Go(func() {
			for range 10 {
				id, err := j.NextRun(t.Context())
				if err != nil {
					t.Error(err)
				}
				ids <- id
			}
		})
	}
	wg.Wait()
	close(ids)
	seen := map[string]bool{}
	for id := range ids {
		if seen[id] {
			t.Errorf("%s twice", id)
		}
		seen[id] = true
	}
	if !seen["RUN-1"] || !seen["RUN-40"] {
		t.Errorf("they are %v", seen)
	}
	j := openAt(t, path)
	must[[]Entry](t)(j.Append(t.Context(), Draft{Kind: RunStarted, Run: "RUN-77"}))
	if _, err := j.w.Exec("DELETE FROM counters"); err != nil {
		t.Fatal(err)
	}
	if id := must[string](t)(j.NextRun(t.Context())); id != "RUN-78" {
		t.Errorf("without the counter the entries tell: %s", id)
	}
}

func TestWhoWatchesLearnsOfAppendsOfAnyProcess(t *testing.T) {
	path := temp(t)
	a, b := openAt(t, path), openAt(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	ch := a.Changed(ctx)
	wait := func(what string) {
		t.Helper()
		select {
		case <-ch:
		case <-time.After(30 * time.Second):
			t.Fatal("no word of " + what)
		}
	}
	must[[]Entry](t)(a.Append(t.Context(), note("own")))
	wait("our own append")
	must[[]Entry](t)(b.Append(t.Context(), note("other")))
	wait("another's append")
	cancel()
	for range ch { //nolint:revive // until it is closed
	}
	again := a.Changed(t.Context())
	_ = a.Close()
	for range again { //nolint:revive // until it is closed
	}
	if _, ok := <-a.Changed(t.Context()); ok {
		t.Error("a closed journal has nothing to tell")
	}
	if _, err := a.Append(t.Context(), note("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestErasedTextIsGoneFromTheFilesAndTheChainHolds(t *testing.T) {
	path := temp(t)
	j := openAt(t, path)
	big := strings.Repeat("the name of a person; ", 3000)
	es := must[[]Entry](t)(j.Append(t.Context(), note("the name of a person"), note("harmless"), Draft{Kind: Captured, Artifacts: []Artifact{{Name: "a", Body: []byte(big)}}}))
	found := must[[]int64](t)(j.Find(t.Context(), "of a person", ""))
	if !slices.Equal(found, []int64{1, 3}) {
		t.Fatalf("found in %v", found)
	}
	head := must[Head](t)(j.Head(t.Context()))
	gone := must[Entry](t)(j.Erase(t.Context(), found, "asked to"))
	if gone.Kind != Erased || gone.Seq != 4 || gone.Text != "asked to" || string(gone.Data) != `{"bodies":2,"entries":[1,3]}` {
		t.Errorf("the record of it is %+v %s", gone, gone.Data)
	}
	if got := must[[]int64](t)(j.Find(t.Context(), "of a person")); len(got) != 0 {
		t.Errorf("still found in %v", got)
	}
	read := must[[]Entry](t)(j.Entries(t.Context(), Filter{}))
	if !read[0].TextErased || read[0].Text != "" || read[1].TextErased || read[1].Text != "harmless" || !read[2].Artifacts[0].Erased {
		t.Errorf("read back: %+v", read)
	}
	if _, err := j.Artifact(t.Context(), es[2].Artifacts[0].ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("an erased artifact: %v", err)
	}
	r := must[Report](t)(j.Verify(t.Context(), &head, nil))
	if !r.OK || r.Erased != 2 || r.Bodies != 2 {
		t.Errorf("%+v", r)
	}
	for _, f := range []string{path, path + "-wal"} {
		if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte("name of a person")) {
			t.Errorf("%s still holds it", filepath.Base(f))
		}
	}
	for name, try := range map[string]func() error{
		"nothing":         func() error { _, err := j.Erase(t.Context(), nil, "why"); return err },
		"without why":     func() error { _, err := j.Erase(t.Context(), []int64{2}, ""); return err },
		"not there":       func() error { _, err := j.Erase(t.Context(), []int64{2, 99}, "why"); return err },
		"already erased":  func() error { _, err := j.Erase(t.Context(), []int64{1}, "why"); return err },
		"cannot be found": func() error { _, err := j.Entry(t.Context(), 5); return err },
	} {
		if err := try(); !errors.Is(err, ErrRefused) && !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if e := must[Entry](t)(j.Entry(t.Context(), 2)); e.TextErased {
		t.Error("a refused erasure erased")
	}
}

func TestABackupIsWholeWhileOthersWrite(t *testing.T) {
	path := temp(t)
	j, other := openAt(t, path), openAt(t, path)
	must[[]Entry](t)(j.Append(t.Context(), note("before")))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := other.Append(t.Context(), note("meanwhile")); err != nil {
				t.Error(err)
			}
		}
	})
	to := filepath.Join(t.TempDir(), "copy.db")
	head := must[Head](t)(j.Backup(t.Context(), to))
	cancel()
	wg.Wait()
	st := must[os.FileInfo](t)(os.Stat(to))
	if st.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", st.Mode())
	}
	if _, err := os.Stat(to + "-wal"); err == nil {
		t.Error("a backup is one file")
	}
	c, err := Open(t.Context(), to, Options{Clock: newClock(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := must[Report](t)(c.Verify(t.Context(), &head, nil))
	if !r.OK || r.Head != head || c.ID() != j.ID() || j.ID() == "" {
		t.Errorf("%+v, head %+v", r, head)
	}
	if _, err := j.Backup(t.Context(), to); !errors.Is(err, ErrRefused) {
		t.Errorf("a file that is there: %v", err)
	}
	if _, err := j.Backup(t.Context(), filepath.Join(to, "x")); err == nil {
		t.Error("a folder that is none")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(to), ".rollcall*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
