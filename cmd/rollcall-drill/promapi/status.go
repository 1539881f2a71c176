package promapi

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// buildInfo names the version of Prometheus whose engines answer here.
func (db *DB) buildInfo(*http.Request) (answer, error) {
	info := map[string]string{
		"version": "unknown", "revision": "", "branch": "rollcall-drill",
		"buildUser": "", "buildDate": "", "goVersion": runtime.Version(),
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, m := range build.Deps {
			if m.Path == "github.com/prometheus/prometheus" {
				info["version"] = release(m.Version)
			}
		}
	}
	return answer{data: plain(info)}, nil
}

// release turns the version of the Go module into that of the server: v0.316.0 is 3.16.0.
func release(module string) string {
	parts := strings.Split(strings.TrimPrefix(module, "v"), ".")
	if len(parts) != 3 || parts[0] != "0" || len(parts[1]) != 3 {
		return strings.TrimPrefix(module, "v")
	}
	minor, err := strconv.Atoi(parts[1][1:])
	if err != nil {
		return strings.TrimPrefix(module, "v")
	}
	return fmt.Sprintf("%s.%d.%s", parts[1][:1], minor, parts[2])
}

func (db *DB) runtimeInfo(*http.Request) (answer, error) {
	host, _ := os.Hostname() // the name is decoration
	return answer{data: plain(map[string]any{
		"startTime":           db.opened.UTC(),
		"CWD":                 db.dir,
		"hostname":            host,
		"serverTime":          db.now().UTC(),
		"reloadConfigSuccess": true,
		"lastConfigTime":      db.opened.UTC(),
		"corruptionCount":     0,
		"goroutineCount":      runtime.NumGoroutine(),
		"GOMAXPROCS":          runtime.GOMAXPROCS(0),
		"GOMEMLIMIT":          debug.SetMemoryLimit(-1),
		"GOGC":                os.Getenv("GOGC"),
		"GODEBUG":             os.Getenv("GODEBUG"),
		"storageRetention":    "",
	})}, nil
}

// Nothing is scraped in a drill and no rules are evaluated: the lists are empty.

func (db *DB) rules(*http.Request) (answer, error) {
	return answer{data: plain(map[string]any{"groups": []string{}})}, nil
}

func (db *DB) alerts(*http.Request) (answer, error) {
	return answer{data: plain(map[string]any{"alerts": []string{}})}, nil
}

func (db *DB) alertmanagers(*http.Request) (answer, error) {
	return answer{data: plain(map[string]any{"activeAlertmanagers": []string{}, "droppedAlertmanagers": []string{}})}, nil
}

func (db *DB) targets(*http.Request) (answer, error) {
	return answer{data: plain(map[string]any{
		"activeTargets": []string{}, "droppedTargets": []string{}, "droppedTargetCounts": map[string]int{},
	})}, nil
}
