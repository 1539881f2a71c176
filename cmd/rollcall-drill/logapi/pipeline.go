package logapi

import (
	"regexp"
	"strings"
)

// stage is a step of a pipeline. It may add labels to the line, and reports
// whether the line stays.
type stage interface {
	process(l *lineState) bool
}

// lineState is a line on its way through a pipeline. One is used for line after
// line, so what is to outlive the line is copied out of it.
type lineState struct {
	stream  labelSet
	key     string // of the stream
	entry   entry
	parsed  []label // in the order in which they were found
	err     string  // kind of the first failure, which is label __error__
	details string
}

const (
	errorLabel   = "__error__"
	detailsLabel = "__error_details__"
	// A label of a line whose name the stream or an earlier stage has taken.
	extractedSuffix = "_extracted"
)

// reset starts a new line.
func (l *lineState) reset(stream labelSet, key string, e entry) {
	l.stream, l.key, l.entry = stream, key, e
	l.parsed = l.parsed[:0]
	l.err, l.details = "", ""
}

// run sends a line through stages and reports whether it stays.
func (l *lineState) run(stages []stage) bool {
	for _, s := range stages {
		if !s.process(l) {
			return false
		}
	}
	return true
}

func (l *lineState) fail(kind, details string) {
	if l.err == "" {
		l.err, l.details = kind, details
	}
}

// get finds a label of the line, wherever it comes from.
func (l *lineState) get(name string) (string, bool) {
	switch name {
	case errorLabel:
		return l.err, l.err != ""
	case detailsLabel:
		return l.details, l.details != ""
	}
	for _, p := range l.parsed {
		if p.name == name {
			return p.value, true
		}
	}
	if v, ok := l.stream.get(name); ok {
		return v, true
	}
	return l.entry.meta.get(name)
}

// add notes a label that a parser found under key. The first one of a name stays.
func (l *lineState) add(key, value string) {
	name := labelNameFor(key)
	if name == "" {
		return
	}
	_, taken := l.stream.get(name)
	if !taken {
		_, taken = l.entry.meta.get(name)
	}
	if taken {
		name += extractedSuffix
	}
	for _, p := range l.parsed {
		if p.name == name {
			return
		}
	}
	l.parsed = append(l.parsed, label{name, value})
}

// extracted returns the labels that stages added, failures included.
func (l *lineState) extracted() labelSet {
	ls := append([]label(nil), l.parsed...)
	if l.err != "" {
		ls = append(ls, label{errorLabel, l.err}, label{detailsLabel, l.details})
	}
	return newLabelSet(ls)
}

// labels returns all labels of the line: of its stream, its metadata, and extracted ones.
func (l *lineState) labels() labelSet {
	if len(l.entry.meta) == 0 && len(l.parsed) == 0 && l.err == "" {
		return l.stream
	}
	ls := append([]label(nil), l.stream...)
	for _, m := range l.entry.meta {
		if _, taken := l.stream.get(m.name); taken {
			m.name += extractedSuffix
		}
		ls = append(ls, m)
	}
	return newLabelSet(append(ls, l.extracted()...))
}

// lineFilter keeps lines that contain one of its texts or match one of its
// expressions; a negative one keeps the others.
type lineFilter struct {
	negative bool
	texts    []string
	res      []*regexp.Regexp
}

func (f lineFilter) process(l *lineState) bool {
	for _, t := range f.texts {
		if strings.Contains(l.entry.line, t) {
			return !f.negative
		}
	}
	for _, re := range f.res {
		if re.MatchString(l.entry.line) {
			return !f.negative
		}
	}
	return f.negative
}

// parserStage is "json" or "logfmt".
type parserStage string

func (s parserStage) process(l *lineState) bool {
	if s == "json" {
		extractJSON(l)
	} else {
		extractLogfmt(l)
	}
	return true
}

// value gives the sample that the unwrapped label stands for. ok is false for a
// line without that label; a value that cannot be read is a failure of the line.
func (u *unwrap) value(l *lineState) (v float64, ok bool) {
	text, found := l.get(u.label)
	if !found {
		return 0, false
	}
	kind := tokNumber
	switch u.convert {
	case "duration", "duration_seconds":
		kind = tokDuration
	case "bytes":
		kind = tokSize
	}
	if v, ok = measure(text, kind); !ok {
		l.fail("SampleExtractionErr", "label "+u.label+" is not a "+kindName(kind))
	}
	return v, true
}
