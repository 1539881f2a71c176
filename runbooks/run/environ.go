package run

import (
	"os"
	"slices"
	"strings"

	"rollcall/runbooks"
	"rollcall/sources"
)

// passed are the names that commands get from the environment of the console.
var passed = []string{
	"HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "PATH",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	"KUBECONFIG", "SSH_AUTH_SOCK", "PROMETHEUS_URL", "LOKI_ADDR", "ROLLCALL_SCOPE",
}

var passedStarts = []string{"LC_", "XDG_"}

// Environ keeps of an environment what commands may see, and the names in more.
func Environ(all, more []string) []string {
	var out []string
	for _, kv := range all {
		name, _, _ := strings.Cut(kv, "=")
		if slices.Contains(passed, name) || slices.Contains(more, name) ||
			slices.ContainsFunc(passedStarts, func(p string) bool { return strings.HasPrefix(name, p) }) {
			out = append(out, kv)
		}
	}
	return out
}

// reserved tells whether a variable of this name would change more than itself.
func reserved(name string) bool {
	for _, p := range []string{"ROLLCALL_", "LD_", "DYLD_", "LC_", "XDG_", "SSH_", "BASH_"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return slices.Contains(passed, name) || slices.Contains([]string{"IFS", "ENV", "PS1", "PS2", "PS4", "CDPATH", "MAIL", "MAILPATH", "OPTIND", "PPID", "PWD"}, name)
}

// moving is what a run may move.
type moving struct {
	component sources.Component
	settings  []string
}

// environ is what a command of a run gets.
func (e *Engine) environ(id string, m moving, t Target, vars []Value, step string, effect runbooks.Effect) []string {
	set := map[string]string{}
	var order []string
	put := func(name, value string) {
		if _, ok := set[name]; !ok {
			order = append(order, name)
		}
		set[name] = value
	}
	for _, kv := range e.Environ {
		name, value, _ := strings.Cut(kv, "=")
		put(name, value)
	}
	path := set["PATH"]
	if path == "" {
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	if e.Bin != "" {
		path = e.Bin + string(os.PathListSeparator) + path
	}
	put("PATH", path)
	for _, v := range vars {
		put(v.Name, v.Value)
	}
	if effect == "" {
		effect = runbooks.Read
	}
	put(runbooks.EnvService, t.Service)
	put(runbooks.EnvEffect, string(effect))
	for name, value := range map[string]string{
		runbooks.EnvEnvironment: t.Environment, runbooks.EnvConfig: e.ConfigPath, runbooks.EnvRun: id, runbooks.EnvStep: step,
		runbooks.EnvComponent: string(m.component), runbooks.EnvSettings: strings.Join(m.settings, " "), runbooks.EnvIncident: t.Incident,
	} {
		if value != "" {
			put(name, value)
		}
	}
	if t.Rehearsal {
		put(runbooks.EnvRehearsal, "1")
	}
	if t.ReadOnly {
		put(runbooks.EnvReadOnly, "1")
	}
	out := make([]string, 0, len(order))
	for _, name := range order {
		out = append(out, name+"="+set[name])
	}
	return out
}
