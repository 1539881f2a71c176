package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
)

// options are the flags that every command has.
type options struct {
	config, service, at, rng, since string
	noColor, ascii, slowLink        bool
}

const defaultRange = time.Hour

// output adds -o and returns its value, to be checked by asJSON.
func output(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("output", "o", "text", "`format`: text or json")
}

func asJSON(o string) (bool, error) {
	switch o {
	case "text":
		return false, nil
	case "json":
		return true, nil
	}
	return false, usage("-o %s is not known; it can be text or json", o)
}

// session opens the configured sources for one command and picks the service.
func (p *Program) session(ctx context.Context, o *options, mode Mode) (Session, *config.File, string, error) {
	cfg, err := config.Load(o.config, p.Env)
	if err != nil {
		return nil, nil, "", err
	}
	service, err := pick(cfg, o.service, mode == Receiving)
	if err != nil {
		return nil, nil, "", err
	}
	s, err := p.Open(ctx, cfg, mode)
	if err != nil {
		return nil, nil, "", &exit{ExitUsage, err}
	}
	return s, cfg, service, nil
}

// pick returns the service to show. A console may begin with any; a command
// that prints one answer must not guess.
func pick(cfg *config.File, want string, any bool) (string, error) {
	names := cfg.Names()
	if want == "" {
		if len(names) == 1 || any {
			return names[0], nil
		}
		return "", usage("several services are configured; choose with --service %s", strings.Join(names, " or --service "))
	}
	if _, ok := cfg.Services[want]; ok {
		return want, nil
	}
	if near := config.Nearest(want, names); near != "" {
		return "", usage("no service %q in %s; did you mean --service %s?", want, cfg.Label(), near)
	}
	return "", usage("no service %q in %s; it has %s", want, cfg.Label(), strings.Join(names, ", "))
}

// view turns --at, --range and --since into the one time of everything.
func (o *options) view(now time.Time) (sources.View, error) {
	v := sources.View{Range: defaultRange}
	if o.at != "" {
		at, err := parseTime(o.at, now)
		if err != nil {
			return v, usage("%w", err)
		}
		if at.After(now.Add(sources.MaxSkew)) {
			return v, usage("%s is in the future; it is %s now", o.at, now.UTC().Format("2006-01-02 15:04:05Z"))
		}
		v.At = at
	}
	if o.rng != "" && o.since != "" {
		return v, usage("--range and --since say the same; give one")
	}
	if o.rng != "" {
		d, err := parseDuration(o.rng)
		if err != nil {
			return v, usage("--range %w", err)
		}
		v.Range = d
	}
	if o.since != "" {
		if d, err := parseDuration(o.since); err == nil {
			v.Range = d
		} else {
			t, err := parseTime(o.since, now)
			if err != nil {
				return v, usage("--since %w", err)
			}
			v.Range = v.End(now).Sub(t)
		}
	}
	switch {
	case v.Range <= 0:
		return v, usage("the range is empty; --since must be earlier than its end")
	case v.Range > 366*24*time.Hour:
		return v, usage("a range of more than a year is too long; try 30d")
	}
	return v, nil
}

func parseDuration(s string) (time.Duration, error) {
	var d sources.Duration
	if err := d.UnmarshalText([]byte(s)); err != nil {
		return 0, err
	}
	if d == 0 {
		return 0, fmt.Errorf("%q is no time at all", s)
	}
	return time.Duration(d), nil
}

var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02",
}

// parseTime reads a time in UTC unless it says otherwise: a full one, a time of
// day (the latest that is not in the future), "now", or a duration before now.
func parseTime(s string, now time.Time) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "now" {
		return now, nil
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil {
			return t.UTC(), nil
		}
	}
	clock := strings.TrimSuffix(s, "Z")
	for _, l := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(l, clock); err == nil {
			y, m, d := now.UTC().Date()
			at := time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
			if at.After(now) {
				at = at.AddDate(0, 0, -1)
			}
			return at, nil
		}
	}
	if d, err := parseDuration(strings.TrimSuffix(strings.TrimPrefix(s, "-"), " ago")); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time; write it like 02:31, 2026-03-10T02:31Z or 15m", s)
}

// look decides how to draw from flags, configuration and environment.
func (p *Program) look(o *options, ui config.UI) Look {
	l := Look{Theme: ui.Theme, SlowLink: o.slowLink || ui.SlowLink, ASCII: o.ascii}
	noColor, set := p.Env("NO_COLOR")
	term, _ := p.Env("TERM")
	switch {
	case o.noColor || ui.Color == "never":
		l.NoColor = true
	case ui.Color == "always":
	default:
		l.NoColor = set && noColor != "" || term == "dumb"
	}
	switch ui.ASCII {
	case "always":
		l.ASCII = true
	case "never":
	default:
		l.ASCII = l.ASCII || !utf8Locale(p.Env)
	}
	return l
}

// utf8Locale follows the order in which the C library asks.
func utf8Locale(env config.Env) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v, _ := env(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// unreachable tells whether a source that the answer needed is down.
func unreachable(health []sources.Health) bool {
	for _, h := range health {
		if h.State == sources.SourceDown {
			return true
		}
	}
	return false
}
