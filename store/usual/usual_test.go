package usual

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/sources"
)

var t0 = time.Date(2026, 3, 4, 14, 0, 0, 0, time.UTC)

// files returns files over a folder, and what they log.
func files(t *testing.T, dir string, change ...func(*Options)) (*Files, *bytes.Buffer) {
	t.Helper()
	said := &bytes.Buffer{}
	o := Options{Dir: dir, Origin: "http://prom:9090", Now: func() time.Time { return t0 }, Log: slog.New(slog.NewTextHandler(said, nil))}
	for _, c := range change {
		c(&o)
	}
	return New(o), said
}

func baseline(key string, at time.Time, v float64) sources.Baseline {
	p := sources.Past{
		Usual: sources.Usual{Value: v, Low: v / 2, High: v * 2, Days: 10}, Learned: true,
		Values: sources.Spread{Median: v, MAD: v / 8, Low: v / 3, High: v * 3, N: 40},
		Shares: sources.Share{Mu: v / 5, Rho: 0.003, K: 71.5, N: 1234.25, Windows: 16},
	}
	return sources.Baseline{Key: key, At: at, Whole: p, Parts: map[string]sources.Past{"timeout": p, "": {}}}
}

func path(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.usual"))
	if err != nil || len(found) != 1 {
		t.Fatalf("files %v, %v", found, err)
	}
	return found[0]
}

func TestWhatWasKeptIsThereForTheNextRunAndForNoOtherService(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "usual")
	f, _ := files(t, dir)
	f.Save("s", []sources.Baseline{baseline("a", t0, 0.25), baseline("b", t0, 3)})
	f.Save("s", []sources.Baseline{baseline("c", t0, 4)})
	again, said := files(t, dir)
	got := map[string]sources.Baseline{}
	for _, b := range again.Load("s") {
		got[b.Key] = b
	}
	want := baseline("a", t0, 0.25)
	if a := got["a"]; len(got) != 3 || a.Whole != want.Whole || a.Parts["timeout"] != want.Parts["timeout"] || len(a.Parts) != 2 || !a.At.Equal(t0) {
		t.Errorf("kept %+v", got)
	}
	if other := again.Load("../s"); len(other) != 0 {
		t.Errorf("another service has %+v", other)
	}
	if said.Len() > 0 {
		t.Errorf("said %s", said)
	}
	for name, want := range map[string]os.FileMode{dir: 0o700, path(t, dir): 0o600} {
		if st, err := os.Stat(name); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s is %v, %v", name, st.Mode(), err)
		}
	}
}

func TestTheLaterHourStaysAndOldHoursAndFutureOnesGo(t *testing.T) {
	f, _ := files(t, t.TempDir())
	f.Save("s", []sources.Baseline{baseline("a", t0, 2), baseline("yesterday", t0.Add(-24*time.Hour), 1), baseline("future", t0.Add(48*time.Hour), 1)})
	f.Save("s", []sources.Baseline{baseline("a", t0.Add(-time.Hour), 1)})
	got := f.Load("s")
	if len(got) != 1 || got[0].Key != "a" || got[0].Whole.Value != 2 {
		t.Errorf("kept %+v", got)
	}
}

func TestADamagedOrForeignFileIsBegunAnew(t *testing.T) {
	for _, tc := range []struct {
		name   string
		damage func(t *testing.T, file string, raw []byte) []byte
		quiet  bool
		change func(*Options)
	}{
		{name: "a flipped bit", damage: func(_ *testing.T, _ string, raw []byte) []byte { raw[len(raw)-20] ^= 1; return raw }},
		{name: "cut short", damage: func(_ *testing.T, _ string, raw []byte) []byte { return raw[:len(raw)/2] }},
		{name: "empty", damage: func(*testing.T, string, []byte) []byte { return nil }},
		{name: "another version", damage: func(_ *testing.T, _ string, raw []byte) []byte {
			return bytes.Replace(raw, []byte("usual 2"), []byte("usual 1"), 1)
		}},
		{name: "something else altogether", damage: func(*testing.T, string, []byte) []byte { return bytes.Repeat([]byte("\x1b[2J"), maxFile) }},
		{name: "a folder", damage: func(t *testing.T, file string, _ []byte) []byte {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(file, 0o700); err != nil {
				t.Fatal(err)
			}
			return nil
		}},
		{name: "another server", damage: func(_ *testing.T, _ string, raw []byte) []byte { return raw }, quiet: true, change: func(o *Options) { o.Origin = "http://other:9090" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			f, _ := files(t, dir)
			f.Save("s", []sources.Baseline{baseline("a", t0, 1)})
			file := path(t, dir)
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			raw = tc.damage(t, file, raw)
			if st, err := os.Stat(file); err == nil && !st.IsDir() {
				if err := os.WriteFile(file, raw, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if tc.change == nil {
				tc.change = func(*Options) {}
			}
			g, said := files(t, dir, tc.change)
			if got := g.Load("s"); len(got) != 0 {
				t.Errorf("read %+v", got)
			}
			if (said.Len() == 0) != tc.quiet || strings.Count(said.String(), "\n") > 1 || strings.Contains(said.String(), "\x1b") {
				t.Errorf("said %q", said)
			}
			g.Save("s", []sources.Baseline{baseline("b", t0, 2)})
			if got := g.Load("s"); tc.name != "a folder" && (len(got) != 1 || got[0].Key != "b") {
				t.Errorf("after saving anew: %+v", got)
			}
		})
	}
}

func TestAFileIsBounded(t *testing.T) {
	dir := t.TempDir()
	f, _ := files(t, dir)
	var list []sources.Baseline
	for i := range 3000 {
		b := baseline(fmt.Sprintf("%064d", i), t0.Add(-time.Duration(i)*time.Second), 1)
		for j := range 20 {
			b.Parts[strings.Repeat("x", 30)+fmt.Sprint(j)] = b.Whole
		}
		list = append(list, b)
	}
	f.Save("s", list)
	st, err := os.Stat(path(t, dir))
	if err != nil || st.Size() > maxFile || st.Size() < maxFile/2 {
		t.Fatalf("%d bytes, %v", st.Size(), err)
	}
	got := f.Load("s")
	if len(got) == 0 || len(got) >= len(list) {
		t.Fatalf("%d of %d kept", len(got), len(list))
	}
	for _, b := range got {
		if t0.Sub(b.At) > time.Duration(len(got))*time.Second {
			t.Errorf("kept %s although newer ones had to go", b.At)
		}
	}
}

func TestWhatMayNotBeWrittenIsNot(t *testing.T) {
	dir := t.TempDir()
	f, _ := files(t, dir, func(o *Options) { o.Safe = func(name string) bool { return !strings.Contains(name, "@") } })
	personal := baseline("b", t0, 1)
	personal.Parts["anna@example.org"] = personal.Whole
	f.Save("s", []sources.Baseline{baseline("a", t0, 1), personal, {Key: "c", At: t0, Whole: sources.Past{Usual: sources.Usual{Value: math.Inf(1)}}}})
	raw, err := os.ReadFile(path(t, dir))
	if err != nil || strings.Contains(string(raw), "anna") {
		t.Errorf("%v\n%s", err, raw)
	}
	if got := f.Load("s"); len(got) != 1 || got[0].Key != "a" {
		t.Errorf("kept %+v", got)
	}
}

func TestAFolderThatCannotBeWrittenIsSaidAndNoMore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, said := files(t, filepath.Join(file, "usual"))
	f.Save("s", []sources.Baseline{baseline("a", t0, 1)})
	if !strings.Contains(said.String(), "could not be kept") {
		t.Errorf("said %q", said)
	}
	if got := f.Load("s"); len(got) != 0 {
		t.Errorf("read %+v", got)
	}
}

func TestSeveralProcessesShareAFolder(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() {
			f := New(Options{Dir: dir, Now: func() time.Time { return t0 }, Log: slog.New(slog.DiscardHandler)})
			for i := range 20 {
				f.Save("s", []sources.Baseline{baseline(fmt.Sprint(p, i), t0, 1)})
			}
		})
	}
	wg.Wait()
	f, said := files(t, dir, func(o *Options) { o.Origin = "" })
	if got := f.Load("s"); len(got) < 20 || said.Len() > 0 {
		t.Errorf("%d kept, said %q", len(got), said)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".usual.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func FuzzRead(f *testing.F) {
	files := New(Options{Dir: f.TempDir(), Now: func() time.Time { return t0 }, Log: slog.New(slog.DiscardHandler)})
	body := []byte(`{"k":"a","t":1772632800,"w":[1,2,3,4]}` + "\n")
	f.Add(body)
	f.Add([]byte(`{"k":"a","w":["x"]}`))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := replace(files.path("s"), files.head(body), body); err != nil {
			t.Fatal(err)
		}
		files.Load("s") // does not crash, whatever is in it
	})
}
