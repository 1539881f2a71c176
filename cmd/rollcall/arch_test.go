package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is what `go list -json` says about a package.
type pkg struct {
	ImportPath   string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Standard,Imports,TestImports,XTestImports,Deps", "rollcall/...")
	out, err := cmd.Output()
	if err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			t.Fatalf("go list: %s", ee.Stderr)
		}
		t.Skipf("the go tool is not here: %v", err)
	}
	var list []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// rooms from the top to the bottom: a package imports only from rooms below its
// own, or from its own.
var rooms = []string{"cmd", "tui", "runbooks", "store", "sources"}

func room(path string) int {
	rest, ours := strings.CutPrefix(path, "rollcall/")
	if !ours {
		return -1
	}
	top, _, _ := strings.Cut(rest, "/")
	return slices.Index(rooms, top)
}

func ours(path string) bool { return path == "rollcall" || strings.HasPrefix(path, "rollcall/") }

func std(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && !ours(path)
}

// offences lists what is wrong with one package's imports.
func offences(p pkg) []string {
	var bad []string
	from := room(p.ImportPath)
	say := func(imported, why string) { bad = append(bad, p.ImportPath+" imports "+imported+": "+why) }
	for _, i := range p.Imports {
		to := room(i)
		if from >= 0 && to >= 0 && to < from {
			say(i, "imports point one way, cmd → tui → runbooks → store → sources")
		}
		if p.ImportPath == "rollcall/sources" && !std(i) {
			say(i, "the types that travel need only the standard library")
		}
		if rooms[max(0, from)] == "store" && strings.HasPrefix(i, "rollcall/sources/") {
			say(i, "a store knows the types that travel, not protocols")
		}
	}
	if from >= 0 && rooms[from] != "cmd" && rooms[from] != "tui" {
		for _, d := range p.Deps {
			for _, screen := range []string{"charm.land/bubbletea", "charm.land/lipgloss", "charm.land/bubbles", "github.com/charmbracelet/bubbletea", "github.com/charmbracelet/lipgloss"} {
				if strings.HasPrefix(d, screen) {
					say(d, "what the console can do works without a screen")
				}
			}
		}
	}
	return bad
}

func TestImportsPointOneWay(t *testing.T) {
	list := packages(t)
	seen := map[string]bool{}
	for _, p := range list {
		if r := room(p.ImportPath); r >= 0 {
			seen[rooms[r]] = true
		}
		for _, o := range offences(p) {
			t.Error(o)
		}
	}
	for _, r := range []string{"cmd", "tui", "store", "sources"} {
		if !seen[r] {
			t.Errorf("no package of %s was looked at", r)
		}
	}
}

func TestTheImportRulesCatchOffences(t *testing.T) {
	for _, p := range []pkg{
		{ImportPath: "rollcall/sources", Imports: []string{"github.com/x/y"}},
		{ImportPath: "rollcall/sources", Imports: []string{"rollcall/sources/prom"}},
		{ImportPath: "rollcall/sources/prom", Imports: []string{"rollcall/store/traces"}},
		{ImportPath: "rollcall/store/traces", Imports: []string{"rollcall/sources/prom"}},
		{ImportPath: "rollcall/store/traces", Imports: []string{"rollcall/tui"}},
		{ImportPath: "rollcall/tui", Imports: []string{"rollcall/cmd/rollcall/config"}},
		{ImportPath: "rollcall/runbooks", Deps: []string{"charm.land/lipgloss/v2"}},
		{ImportPath: "rollcall/sources/signal", Deps: []string{"charm.land/bubbletea/v2"}},
	} {
		if len(offences(p)) == 0 {
			t.Errorf("nothing is said about %+v", p)
		}
	}
	for _, p := range []pkg{
		{ImportPath: "rollcall/sources", Imports: []string{"time", "encoding/json"}},
		{ImportPath: "rollcall/store/traces", Imports: []string{"rollcall/sources", "database/sql", "github.com/mattn/go-sqlite3"}},
		{ImportPath: "rollcall/cmd/rollcall", Imports: []string{"rollcall/tui", "rollcall/store/traces"}, Deps: []string{"charm.land/lipgloss/v2"}},
		{ImportPath: "rollcall/testdata/redaction", Imports: []string{"embed"}},
	} {
		if o := offences(p); len(o) > 0 {
			t.Errorf("wrongly said: %v", o)
		}
	}
}
