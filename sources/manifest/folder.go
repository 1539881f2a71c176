package manifest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/sources"
)

// Config says where a service's manifests are kept.
type Config struct {
	Dir string `yaml:"dir"` // of YAML files; relative to the configuration
}

const (
	folderSource = "folder"
	maxFiles     = 300
	maxManifest  = 64 << 10
	folderKeeps  = 10 * time.Second // wall time; the folder is read no more often
	folderTime   = 3 * time.Second  // wall time that one look may take
)

// folder reads manifests from files, and when they moved from the history of the
// git work tree around them, where there is one.
type folder struct {
	dir   string
	clock sources.Clock
	clean func(string) string // what is outside text

	mu    sync.Mutex
	until time.Time // wall; what is kept is good until then
	kept  *kept
}

// kept is what one look at the folder found.
type kept struct {
	files  []file
	states []state // of the past too, oldest first
	doubts []string
}

// file is one manifest as it lies there now.
type file struct {
	name string
	text string
	declared
}

// state is what a file said from a time on.
type state struct {
	declared
	file   string
	at     time.Time
	author string
	commit string
	gone   bool // the file was removed
}

// folderTimeline is what the folder says of one service.
type folderTimeline struct {
	changes []sources.Change
	live    sources.Manifest
	doubts  []string
}

func newFolder(dir string, clock sources.Clock, clean func(string) string) *folder {
	if clean == nil {
		clean = func(s string) string { return s }
	}
	return &folder{dir: dir, clock: clock, clean: clean}
}

// read says what the folder declares for a service. Trouble is a doubt, never an error: the
// folder is one source among others.
func (f *folder) read(ctx context.Context, service string, since, until time.Time) folderTimeline {
	f.mu.Lock()
	defer f.mu.Unlock()
	wall := f.clock.Wall()
	if f.kept == nil || wall.After(f.until) || f.until.Sub(wall) > time.Hour {
		bounded, cancel := context.WithTimeout(ctx, folderTime)
		k := f.look(bounded)
		cancel()
		if ctx.Err() != nil {
			return folderTimeline{}
		}
		// A slow disk or a huge history is not asked again and again.
		took := f.clock.Wall().Sub(wall)
		f.kept, f.until = k, wall.Add(min(10*time.Minute, max(folderKeeps, 30*took)))
	}
	return f.kept.of(service, since, until)
}

func (f *folder) look(ctx context.Context) *kept {
	k := &kept{}
	files, doubts, err := readFiles(f.dir)
	if err != nil {
		k.doubts = append(k.doubts, f.clean(fmt.Sprintf("the manifest folder %s cannot be read: %s; check manifests.dir", f.dir, cause(err))))
		return k
	}
	k.doubts = append(k.doubts, doubts...)
	k.files = files
	history, err := gitHistory(ctx, f.dir)
	switch {
	case errors.Is(err, errNoRepository):
		// A folder without history tells what is live, and nothing about when.
	case err != nil:
		k.doubts = append(k.doubts, fmt.Sprintf("the history of %s cannot be read: %s; what the files say now still counts", f.dir, err))
	default:
		k.take(history)
	}
	for i := range files {
		if at := files[i].at; !at.IsZero() {
			k.states = append(k.states, state{declared: files[i].declared, file: files[i].name, at: at, author: files[i].by})
		}
	}
	for i := range k.states {
		k.states[i].author = f.clean(k.states[i].author)
	}
	for i := range k.doubts {
		k.doubts[i] = f.clean(k.doubts[i])
	}
	slices.SortStableFunc(k.states, func(a, b state) int { return a.at.Compare(b.at) })
	return k
}

// take turns commits into what each file said from when on. A time that the manifest
// itself gives is that of its deployment, and better than that of the commit.
func (k *kept) take(history []revision) {
	for _, h := range history {
		s := state{file: h.file, at: h.at, author: h.author, commit: h.commit, gone: h.gone}
		if !h.gone {
			d, err := parseManifest(h.file, []byte(h.text))
			if err != nil {
				continue // of the past: that it could not be read then changes nothing now
			}
			s.declared = d
			if !d.at.IsZero() {
				s.at = d.at
			}
		}
		k.states = append(k.states, s)
	}
	for i := range k.files {
		f := &k.files[i]
		at := -1
		for j := range history {
			if history[j].file == f.name {
				at = j
			}
		}
		if at < 0 {
			if len(history) > 0 && f.at.IsZero() {
				k.doubts = append(k.doubts, f.name+" is not committed: when it began to hold is not known")
			}
		} else if history[at].gone || history[at].text != f.text {
			k.doubts = append(k.doubts, f.name+" is not as it was last committed: since when is not known")
		}
	}
}

// of is what the folder says of one service.
func (k *kept) of(service string, since, until time.Time) folderTimeline {
	out := folderTimeline{doubts: slices.Clone(k.doubts)}
	mine := func(d *declared) bool { return d.service == "" || d.service == service }

	// What lies there now, by stage: the newest by its own time; without times there may be only one.
	present := map[string][]*file{}
	var order []string
	for i := range k.files {
		f := &k.files[i]
		if !mine(&f.declared) || f.at.After(until) {
			continue
		}
		if present[f.place()] == nil {
			order = append(order, f.place())
		}
		present[f.place()] = append(present[f.place()], f)
	}
	slices.SortStableFunc(order, func(a, b string) int { return rank(stageIn(a)) - rank(stageIn(b)) })
	doubtful := map[string]bool{}
	for _, place := range order {
		list := present[place]
		slices.SortStableFunc(list, func(a, b *file) int { return b.at.Compare(a.at) })
		if len(list) > 1 && list[0].at.Equal(list[1].at) && !same(list[0].Versions, list[1].Versions) {
			doubtful[place] = true
			out.doubts = append(out.doubts, fmt.Sprintf("%s and %s both say what is in stage %s: %s; give them a time (at:) or remove one",
				list[0].name, list[1].name, stageIn(place), difference(list[0].Versions, list[1].Versions)))
			continue
		}
		if out.live.Versions == nil && rank(list[0].Stage) < 100 {
			out.live = list[0].Manifest
		}
	}

	// What moved, by stage: from each state to the next.
	last := map[string]state{}
	for _, s := range k.states {
		if s.at.After(until) {
			break
		}
		if s.gone {
			for place, was := range last {
				if was.file == s.file {
					delete(last, place)
				}
			}
			continue
		}
		if !mine(&s.declared) {
			continue
		}
		was, ok := last[s.place()]
		last[s.place()] = s
		if !ok {
			// A further stage begins with what it has that is not live.
			if was, ok = last[s.Environment+"\x00live"]; !ok || s.place() == s.Environment+"\x00live" {
				continue
			}
		}
		if s.at.Before(since) {
			continue
		}
		for _, c := range sources.Components {
			if a, b := was.Versions[c], s.Versions[c]; a != b && b != "" {
				out.changes = append(out.changes, sources.Change{
					At: s.at, Component: c, From: a, To: b, Stage: s.Stage, Manifest: s.ID, Source: folderSource, Evidence: s.evidence(),
					Doubt: s.doubt(doubtful[s.place()]),
				})
			}
		}
	}
	return out
}

func (s *state) doubt(contradicted bool) string {
	switch {
	case contradicted:
		return "two files of the folder claim this stage"
	case s.declared.at.IsZero():
		return "declared; when it was deployed is not known"
	}
	return ""
}

func (s *state) evidence() string {
	var out []string
	if s.author != "" {
		out = append(out, "by "+s.author)
	}
	out = append(out, s.file)
	if s.commit != "" {
		out = append(out, "commit "+s.commit[:min(10, len(s.commit))])
	}
	return strings.Join(out, ", ")
}

func same(a, b map[sources.Component]string) bool {
	return !slices.ContainsFunc(sources.Components[:], func(c sources.Component) bool { return a[c] != b[c] })
}

func difference(a, b map[sources.Component]string) string {
	var out []string
	for _, c := range sources.Components {
		if a[c] != b[c] {
			out = append(out, fmt.Sprintf("%s %s and %s", c, or(a[c]), or(b[c])))
		}
	}
	return strings.Join(out, ", ")
}

// readFiles reads the manifests in a folder. Links that lead out of it are not followed.
func readFiles(dir string) (files []file, doubts []string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = root.Close() }()
	d, err := root.Open(".")
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(10_000)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !isManifest(n) })
	slices.Sort(names)
	if len(names) > maxFiles {
		return nil, []string{fmt.Sprintf("%s holds %d YAML files; a manifest folder has at most %d: none is read", dir, len(names), maxFiles)}, nil
	}
	for _, name := range names {
		text, err := readFile(root, name)
		var d declared
		if err == nil {
			d, err = parseManifest(filepath.Join(dir, name), text)
		} else {
			err = fmt.Errorf("%s: %s", filepath.Join(dir, name), cause(err))
		}
		if err != nil {
			doubts = append(doubts, err.Error()+"; it is left out")
			continue
		}
		files = append(files, file{name: name, text: string(text), declared: d})
	}
	return files, doubts, nil
}

func isManifest(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(name, ".")
}

var errTooLarge = fmt.Errorf("larger than %d KiB", maxManifest>>10)

func readFile(root *os.Root, name string) ([]byte, error) {
	st, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New("not a file")
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err == nil && len(text) > maxManifest {
		err = errTooLarge
	}
	return text, err
}

func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
