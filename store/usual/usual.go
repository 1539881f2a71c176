// Package usual keeps what is usual on disk: one small file per service. It is a
// cache. What cannot be read or written is asked of the source again, and the
// program's log says why.
package usual

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
)

const (
	version = "rollcall usual 2"
	// maxFile bounds a file; the oldest baselines give way.
	maxFile = 1 << 20
	// maxAge is how much older than the newest a baseline may be: a day later the
	// same hour has another day behind it.
	maxAge = 23 * time.Hour
	// maxAhead drops what a clock that was wrong for a while left in the future.
	maxAhead = time.Hour
)

// Options are what the files need to know.
type Options struct {
	Dir string // made when it is missing
	// Origin names the server that the baselines come from; those of another one are not read.
	Origin string
	// Safe tells whether the name of a part may be written to disk: it is a label's
	// value and may be anything. A baseline with one that may not is not kept.
	Safe func(string) bool
	Now  func() time.Time // the service's time
	Log  *slog.Logger
}

// Files keep baselines. Several processes may share a folder: what two write at
// the same time, one of them asks for again.
type Files struct {
	o  Options
	mu sync.Mutex
}

// New returns the files of a folder. It touches nothing yet.
func New(o Options) *Files { return &Files{o: o} }

// stored is a baseline in a file.
type stored struct {
	Key   string         `json:"k"`
	At    int64          `json:"t"` // Unix seconds
	Whole row            `json:"w"`
	Parts map[string]row `json:"p,omitempty"`
}

// row is value, low, high, days; whether it is learned; then median, MAD, low, high
// and count of the values; then mean, rho, k, n and windows of the shares.
type row [15]float64

// Load returns the baselines of a service that are kept.
func (f *Files) Load(service string) []sources.Baseline {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.read(service)
	out := make([]sources.Baseline, 0, len(list))
	for _, s := range list {
		b := sources.Baseline{Key: s.Key, At: time.Unix(s.At, 0).UTC(), Whole: s.Whole.past(), Parts: make(map[string]sources.Past, len(s.Parts))}
		for name, r := range s.Parts {
			b.Parts[name] = r.past()
		}
		out = append(out, b)
	}
	return out
}

// Save adds baselines to those of a service; of two with the same key the later hour stays.
func (f *Files) Save(service string, list []sources.Baseline) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.save(service, list); err != nil {
		f.o.Log.Warn("what is usual could not be kept; it is asked for again at the next start", "file", f.path(service), "err", err)
	}
}

func (f *Files) save(service string, list []sources.Baseline) error {
	byKey := map[string]stored{}
	for _, s := range f.read(service) {
		byKey[s.Key] = s
	}
	for _, b := range list {
		if s, ok := f.pack(b); ok && s.At >= byKey[s.Key].At {
			byKey[s.Key] = s
		}
	}
	newest, latest := int64(math.MinInt64), f.o.Now().Add(maxAhead).Unix()
	for k, s := range byKey {
		if s.At > latest {
			delete(byKey, k)
			continue
		}
		newest = max(newest, s.At)
	}
	keep := make([]stored, 0, len(byKey))
	for _, s := range byKey {
		if newest-s.At <= int64(maxAge/time.Second) {
			keep = append(keep, s)
		}
	}
	slices.SortFunc(keep, func(a, b stored) int {
		return cmp.Or(cmp.Compare(b.At, a.At), strings.Compare(a.Key, b.Key))
	})
	var body bytes.Buffer
	for _, s := range keep {
		line, err := json.Marshal(s)
		if err != nil {
			continue // not a number in it: asked for again
		}
		if body.Len()+len(line)+1 > maxFile-len(f.head(nil)) {
			break
		}
		body.Write(line)
		body.WriteByte('\n')
	}
	if err := os.MkdirAll(f.o.Dir, 0o700); err != nil {
		return err
	}
	return replace(f.path(service), f.head(body.Bytes()), body.Bytes())
}

func (f *Files) pack(b sources.Baseline) (stored, bool) {
	s := stored{Key: b.Key, At: b.At.Unix(), Whole: rowOf(b.Whole), Parts: make(map[string]row, len(b.Parts))}
	for name, p := range b.Parts {
		if f.o.Safe != nil && !f.o.Safe(name) {
			return stored{}, false
		}
		s.Parts[name] = rowOf(p)
	}
	return s, true
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

func rowOf(p sources.Past) row {
	learned := 0.0
	if p.Learned {
		learned = 1
	}
	v, s := p.Values, p.Shares
	return row{
		p.Value, p.Low, p.High, float64(p.Days), learned,
		v.Median, v.MAD, v.Low, v.High, float64(v.N),
		s.Mu, s.Rho, s.K, s.N, float64(s.Windows),
	}
}

func (r row) past() sources.Past {
	return sources.Past{
		Usual:   sources.Usual{Value: r[0], Low: r[1], High: r[2], Days: int(r[3])},
		Learned: r[4] != 0,
		Values:  sources.Spread{Median: r[5], MAD: r[6], Low: r[7], High: r[8], N: int(r[9])},
		Shares:  sources.Share{Mu: r[10], Rho: r[11], K: r[12], N: r[13], Windows: int(r[14])},
	}
}

func (f *Files) path(service string) string {
	return filepath.Join(f.o.Dir, digest(service)+".usual")
}

// head is the first line: format, origin, and a sum that tells a damaged body.
func (f *Files) head(body []byte) string {
	sum := sha256.Sum256(body)
	return fmt.Sprintf("%s %s %s\n", version, digest(f.o.Origin), hex.EncodeToString(sum[:]))
}

// read returns what the file of a service holds; nothing when it is not there, of
// another origin or version, or damaged.
func (f *Files) read(service string) []stored {
	path := f.path(service)
	raw, err := readBounded(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		f.o.Log.Warn("what is usual could not be read and is asked for again", "file", path, "err", err)
		return nil
	}
	head, body, _ := bytes.Cut(raw, []byte("\n"))
	fields := strings.Fields(string(head))
	if own := strings.Fields(f.head(body)); !slices.Equal(fields, own) {
		if len(fields) == len(own) && slices.Equal(fields[:3], own[:3]) && fields[3] != own[3] && fields[4] == own[4] {
			return nil // whole, and from another server
		}
		f.o.Log.Warn("what is usual was kept by another version or is damaged, and is asked for again", "file", path)
		return nil
	}
	var out []stored
	for line := range bytes.Lines(body) {
		var s stored
		if err := json.Unmarshal(line, &s); err != nil {
			f.o.Log.Warn("what is usual is damaged and is asked for again", "file", path, "err", err)
			return nil
		}
		out = append(out, s)
	}
	return out
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	raw, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("larger than %d bytes", maxFile)
	}
	return raw, err
}

// replace writes a file as a whole. It is not synced: after a loss of power the
// sum in its head does not fit, and it is begun anew.
func replace(path, head string, body []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".usual.*") // 0600
	if err != nil {
		return err
	}
	_, err = file.WriteString(head)
	if err == nil {
		_, err = file.Write(body)
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
