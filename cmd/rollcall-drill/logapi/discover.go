package logapi

import "strings"

const (
	serviceLabel = "service_name"
	levelLabel   = "detected_level"
)

// serviceSources are the labels that may name the service, best first.
var serviceSources = []string{
	"service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container", "container_name",
	"k8s_container_name", "component", "workload", "job", "k8s_job_name",
}

// withService adds the label service_name, as Loki does by default.
func withService(ls labelSet) labelSet {
	if _, ok := ls.get(serviceLabel); ok {
		return ls
	}
	service := "unknown_service"
	for _, name := range serviceSources {
		if v, ok := ls.get(name); ok {
			service = v
			break
		}
	}
	return newLabelSet(append(append([]label(nil), ls...), label{serviceLabel, service}))
}

// levelSources are the names under which a level may stand.
var levelSources = []string{"level", "severity", "severity_text", "lvl"}

// withLevel adds the metadata detected_level, as Loki does by default: from the
// stream, the metadata or the line, whichever has one first.
func withLevel(stream labelSet, e entry) labelSet {
	if _, ok := e.meta.get(levelLabel); ok {
		return e.meta
	}
	level := levelOf(stream, e)
	return newLabelSet(append(append([]label(nil), e.meta...), label{levelLabel, level}))
}

func levelOf(stream labelSet, e entry) string {
	for _, ls := range []labelSet{stream, e.meta} {
		for _, l := range ls {
			for _, name := range levelSources {
				if strings.EqualFold(l.name, name) {
					return normalLevel(l.value)
				}
			}
		}
	}
	var l lineState
	l.reset(nil, "", entry{line: e.line})
	switch {
	case strings.HasPrefix(strings.TrimSpace(e.line), "{"):
		extractJSON(&l)
	case strings.Contains(e.line, "="):
		extractLogfmt(&l)
	}
	for _, p := range l.parsed {
		for _, name := range levelSources {
			if strings.EqualFold(p.name, name) {
				return normalLevel(p.value)
			}
		}
	}
	for _, word := range strings.FieldsFunc(e.line, func(r rune) bool { return !strings.ContainsRune(letters, r) }) {
		if level := normalLevel(word); knownLevels[level] {
			return level
		}
	}
	return "unknown"
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

var knownLevels = map[string]bool{
	"trace": true, "debug": true, "info": true, "warn": true, "error": true, "critical": true, "fatal": true,
}

var levelNames = map[string]string{
	"trc": "trace", "dbg": "debug", "inf": "info", "information": "info", "wrn": "warn", "warning": "warn", "err": "error",
}

// normalLevel gives a level its usual name; others stay as they are.
func normalLevel(s string) string {
	lower := strings.ToLower(s)
	if name, ok := levelNames[lower]; ok {
		return name
	}
	if knownLevels[lower] {
		return lower
	}
	return s
}
