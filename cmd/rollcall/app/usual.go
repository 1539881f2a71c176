package app

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"rollcall/sources/prom"
	"rollcall/store/usual"
)

// keepUsual keeps what is usual in the state folder, apart for each metrics server.
func (a *App) keepUsual() *usual.Files {
	redact := a.intake.redactor
	return usual.New(usual.Options{
		Dir: filepath.Join(a.cfg.State, "usual"), Origin: origin(a.cfg.Prometheus), Now: a.clock.Now, Log: a.log,
		Safe: func(name string) bool { return redact.Text(name) == name },
	})
}

// origin tells one metrics server, and one tenant of it, from another.
func origin(cfg *prom.Config) string {
	if cfg == nil {
		return ""
	}
	// Without what may stand before an @: credentials change while the server stays.
	_, rest, found := strings.Cut(cfg.URL, "@")
	if !found {
		rest = cfg.URL
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Headers)) {
		if !strings.EqualFold(name, "Authorization") {
			rest += "\n" + strings.ToLower(name) + ": " + cfg.Headers[name]
		}
	}
	return rest
}
