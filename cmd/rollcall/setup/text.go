package setup

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/cmd/rollcall/config"
)

// aside is the column in which remarks stand.
const aside = 38

// Configurable tells whether what was found makes a configuration: it needs metrics or lines.
func (f *Found) Configurable() bool {
	return f.source(Prometheus).writable() || f.source(Loki).writable()
}

// Text is the configuration, with remarks. It is checked as every other is: an
// error says that it would not load.
func (f *Found) Text(env config.Env, now time.Time) (string, error) {
	w := &writer{}
	w.line("# The configuration of rollcall, begun by rollcall init on %s. Change it freely: rollcall doctor checks it, and", now.UTC().Format("2006-01-02"))
	w.line("# docs/rollcall.example.yaml has every key. Secrets come from files or the environment, never from here.")
	w.line("schema: %s", config.Schema)
	w.line("refresh: 15s")
	w.remark("# state: /var/lib/rollcall", "default: $XDG_STATE_HOME/rollcall; journal and traces")
	for _, k := range Kinds {
		w.line("")
		f.section(w, k, env)
	}
	w.line("")
	w.remark("otlp:", f.OTLP.Note)
	w.remark("  grpc: "+f.OTLP.GRPC, `"off" disables`)
	w.line("  http: %s", f.OTLP.HTTP)
	w.line("")
	w.line("# prices:                             # USD per token, where no metric or attribute tells the cost")
	w.line("#   gpt-4.1: {input: 0.000002, output: 0.000008, cached: 0.0000005}")
	w.line("")
	w.line("services:")
	for i := range f.Services {
		f.Services[i].write(w, i == 0)
	}
	if len(f.Also) > 0 {
		w.line("")
		w.line("# Also seen, not watched yet. What a service calls can be read with it: widen its scope to both, job=~\"A|B\".")
		for _, s := range f.Also[:min(len(f.Also), maxServices)] {
			w.line("#   %s: {scope: %s}  # speaks %s", key(s.Name), single(s.Scope), strings.Join(s.Profiles, ", "))
		}
		if n := len(f.Also) - maxServices; n > 0 {
			w.line("#   and %d more", n)
		}
	}
	text := w.String()
	parsed, err := config.Parse(f.path, []byte(text), withHome(env))
	if err != nil {
		return "", fmt.Errorf("what was found makes no good configuration: %w; give --scope, --service and addresses by hand", err)
	}
	for _, s := range f.Services {
		if got := parsed.Services[s.Name]; got.Scope != s.Scope || s.Logs != "" && got.Logs != s.Logs {
			return "", fmt.Errorf("the service %s would not be read as it was written; give --scope and --service by hand", s.Name)
		}
	}
	return text, nil
}

// section writes a source, as far as the configuration takes it.
func (f *Found) section(w *writer, k Kind, env config.Env) {
	s := f.source(k)
	if !s.writable() {
		w.remark("# "+string(k)+": {url: "+quote(cmp.Or(Usual()[k], s.URL))+"}", absent(s))
		return
	}
	access := s.access(f.config, env)
	live := func(lines []string) bool {
		_, err := config.Parse(f.path, []byte(string(k)+":\n"+indent(lines)+helped(k)+"services: {any: {}}\n"), withHome(env))
		return err == nil
	}
	mark, note := "", s.Detail
	if s.State == Down {
		note = "did not answer when this was written: " + s.Detail
	}
	url := "url: " + quote(s.URL)
	switch {
	case live(append([]string{url}, access...)):
	case live([]string{url}):
		for i := range access {
			access[i] = "# " + access[i]
		}
	default:
		mark, note = "# ", "found; this version of rollcall does not read it"
	}
	if s.user != nil && len(access) == 0 || s.State == Locked && !strings.Contains(s.Detail, "tenant") && len(access) == 0 {
		auth := s.bearer()
		if s.user != nil || strings.EqualFold(s.scheme, "basic") {
			auth = s.basic()
		}
		access = append(access, "# http: {"+auth+"}  # chmod 600; counts from this folder")
	}
	if s.State == Locked && strings.Contains(s.Detail, "tenant") {
		access = append(access, "# headers: {X-Scope-OrgID: TENANT}")
	}
	w.remark(mark+string(k)+":", note)
	for _, l := range append([]string{url}, access...) {
		w.line("%s  %s", mark, l)
	}
}

// helped is what a section needs beside it to make a configuration.
func helped(k Kind) string {
	if k == Prometheus || k == Loki {
		return ""
	}
	return "prometheus: {url: \"http://127.0.0.1:9090\"}\n"
}

func absent(s *Source) string {
	switch s.State {
	case Other:
		return "at " + s.URL + ": " + s.Detail
	case Absent:
		if s.URL == "" {
			return "not looked for"
		}
		return "nothing found at " + s.URL
	}
	return s.Detail
}

// write writes a service; more adds the keys that only its team can fill in.
func (s *Service) write(w *writer, more bool) {
	w.remark("  "+key(s.Name)+":", speaks(s.Profiles))
	if s.Scope == "" {
		w.remark("    # scope: 'namespace=\"prod\", job=\"NAME\"'", "PromQL matchers that pick this service; without it everything counts")
	} else {
		w.remark("    scope: "+single(s.Scope), "PromQL matchers that pick this service")
	}
	if s.Logs == "" {
		w.remark("    # logs: '{job=\"NAME\"}'", "LogQL selector of its lines; the scope's labels where it is not set")
	} else {
		w.remark("    logs: "+single(s.Logs), s.Lines)
	}
	note := "service.name of its spans"
	if s.Traces == "" {
		note += "; none was seen yet"
	}
	w.remark("    trace_service: "+value(cmp.Or(s.Traces, s.Name)), note)
	if !more {
		return
	}
	w.line("    # environment: prod")
	w.line("    # thresholds:")
	w.remark("    #   latency_p99: {watch: 6, bad: 10}", "seconds")
	w.remark("    #   schema_fail: {watch: 0.03, bad: 0.05}", "ratio")
	w.remark("    # budget: {day: 400, period: 9000}", "USD")
	w.remark("    # components: {prompt: {driver: http, url: \"http://HOST/pins/prompt\"}}", "where live versions are set; docs/pins.md")
}

func speaks(profiles []string) string {
	if len(profiles) == 0 {
		return "no profile was recognised"
	}
	return "speaks " + strings.Join(profiles, ", ")
}

// writer lays out lines with remarks in a column of their own.
type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) {
	w.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (w *writer) remark(text, remark string) {
	if remark == "" {
		w.line("%s", text)
		return
	}
	w.line("%-*s# %s", max(aside, len(text)+2), text, line(remark))
}

func indent(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("  " + l + "\n")
	}
	return b.String()
}

// quote writes a string so that PromQL, LogQL and YAML all read it back.
func quote(s string) string { return strconv.Quote(s) }

// single writes a YAML string in which double quotes and backslashes stand as they are.
func single(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

var bare = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// value writes a string bare where YAML cannot take it for something else.
func value(s string) string {
	if bare.MatchString(s) && !slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}, s) {
		return s
	}
	return single(s)
}

func key(s string) string { return value(s) }

var untidy = regexp.MustCompile(`[^\pL\pN._-]+`)

// tidy makes a name for a service of a label value.
func tidy(s string) string {
	s = strings.Trim(untidy.ReplaceAllString(s, "-"), "-.")
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60])
	}
	return s
}
