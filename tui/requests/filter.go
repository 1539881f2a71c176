package requests

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/redact"
)

// word is one kind of filter word. set puts its value into a filter; get reads it back.
type word struct {
	name string
	hint string
	set  func(f *sources.RequestFilter, value string)
	get  func(f *sources.RequestFilter) string
	// of reads what a row has there, for completion.
	of func(r *sources.Request) string
}

// userPrefix begins every keyed token that stands for a person.
const userPrefix = "user:"

func version(c sources.Component) word {
	return word{
		name: string(c),
		hint: string(c) + " version",
		set: func(f *sources.RequestFilter, v string) {
			if f.Versions == nil {
				f.Versions = map[sources.Component]string{}
			}
			f.Versions[c] = v
		},
		get: func(f *sources.RequestFilter) string { return f.Versions[c] },
		of:  func(r *sources.Request) string { return r.Version(c) },
	}
}

// words are the filter words in the order in which they are offered.
func words() []word {
	out := []word{{
		name: "id", hint: "request, trace or response ID",
		set: func(f *sources.RequestFilter, v string) { f.ID = v },
		get: func(f *sources.RequestFilter) string { return f.ID },
		of:  func(r *sources.Request) string { return r.ID },
	}}
	for _, c := range sources.Components {
		out = append(out, version(c))
	}
	return append(out,
		word{
			"error", "error type",
			func(f *sources.RequestFilter, v string) { f.ErrorType = v },
			func(f *sources.RequestFilter) string { return f.ErrorType },
			func(r *sources.Request) string { return r.ErrorType },
		},
		word{
			"route", "route",
			func(f *sources.RequestFilter, v string) { f.Route = v },
			func(f *sources.RequestFilter) string { return f.Route },
			func(r *sources.Request) string { return r.Route },
		},
		word{
			"tenant", "tenant",
			func(f *sources.RequestFilter, v string) { f.Tenant = v },
			func(f *sources.RequestFilter) string { return f.Tenant },
			func(r *sources.Request) string { return r.Tenant },
		},
		word{
			"region", "region",
			func(f *sources.RequestFilter, v string) { f.Region = v },
			func(f *sources.RequestFilter) string { return f.Region },
			func(r *sources.Request) string { return r.Region },
		},
		word{
			"user", "user as the service knows them, or as rollcall's token",
			func(f *sources.RequestFilter, v string) {
				if f.User = v; redact.IsToken(userPrefix + v) { // tokens are shown and offered without their prefix
					f.User = userPrefix + v
				}
			},
			func(f *sources.RequestFilter) string { return strings.TrimPrefix(f.User, userPrefix) },
			func(r *sources.Request) string { return strings.TrimPrefix(r.User, userPrefix) },
		},
		word{
			"schema", "pass or fail",
			func(f *sources.RequestFilter, v string) { f.Schema = v },
			func(f *sources.RequestFilter) string { return f.Schema },
			func(r *sources.Request) string { return r.Schema },
		},
		word{
			"outcome", "ok or error",
			func(f *sources.RequestFilter, v string) { f.Outcome = v },
			func(f *sources.RequestFilter) string { return f.Outcome },
			func(r *sources.Request) string { return r.Outcome },
		},
		word{
			"served", "model that the provider served",
			func(f *sources.RequestFilter, v string) { f.Served = v },
			func(f *sources.RequestFilter) string { return f.Served },
			func(r *sources.Request) string { return r.ModelServed },
		},
		where("manifest", "manifest"), where("stage", "rollout stage"), where("cache", "exact, semantic, provider or none"),
		where("document", "retrieved document"), where("tool", "tool that was called"), where("tool_error", "tool that failed"),
		where("finish_reason", "finish reason"), where("provider", "provider of the model"), where("model_fingerprint", "fingerprint of the served model"),
		where("model_requested", "model that was asked for"), where("prompt_name", "name of the prompt"), where("environment", "environment"),
		where("fallback", "from and to of a fallback"), where("retrieval_hit", "true or false"), where("access_denied", "reason of a denial"),
		where("filter", "action of the content filter"), where("refusal", "true or false"), where("feedback", "up or down"),
	)
}

// where is a column that has no field of its own in a filter.
func where(name, hint string) word {
	return word{
		name, hint,
		func(f *sources.RequestFilter, v string) {
			f.Where = append(f.Where, sources.Attribute{Name: name, Value: v})
		},
		func(f *sources.RequestFilter) string {
			for _, a := range f.Where {
				if a.Name == name {
					return a.Value
				}
			}
			return ""
		},
		func(r *sources.Request) string {
			if v := r.Attribute(name); len(v) > 0 {
				return v[0]
			}
			return ""
		},
	}
}

// The words that are not columns.
const (
	badWord   = "bad"
	sinceWord = "since"
	untilWord = "until"
)

func names() []string {
	out := []string{badWord}
	for _, w := range words() {
		out = append(out, w.name)
	}
	return append(out, sinceWord, untilWord)
}

// at says what times in a filter mean: relative to the end of the view, in the zone of the screen.
type at struct {
	end  time.Time
	zone *time.Location
}

// parse reads filter words such as "bad prompt:v14 since:02:10". Its errors name the
// word and what can be written instead.
func parse(text string, a at) (sources.RequestFilter, error) {
	var f sources.RequestFilter
	tokens, err := split(text)
	if err != nil {
		return f, err
	}
	all := words()
	seen := map[string]bool{}
	for _, tok := range tokens {
		name, value, has := strings.Cut(tok, ":")
		if !has {
			if name != badWord {
				return f, unknown(tok)
			}
			f.Bad = true
			continue
		}
		if seen[name] {
			return f, fmt.Errorf("%s: stands twice; a request has one %s, so keep one of them", name, name)
		}
		seen[name] = true
		if value == "" {
			return f, fmt.Errorf("%s: needs a value after the colon", name)
		}
		switch name {
		case sinceWord:
			f.Since, err = a.parse(value)
		case untilWord:
			f.Until, err = a.parse(value)
		default:
			i := slices.IndexFunc(all, func(w word) bool { return w.name == name })
			if i < 0 {
				return f, unknown(tok)
			}
			all[i].set(&f, value)
		}
		if err != nil {
			return f, fmt.Errorf("%s:%s is not a time; write it like 02:10, 30m (ago) or 2006-01-02T15:04", name, value)
		}
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return f, fmt.Errorf("since is not before until, so nothing can match; swap them")
	}
	return f, nil
}

func unknown(tok string) error {
	name, value, has := strings.Cut(tok, ":")
	for _, n := range names() {
		switch {
		case has && name == badWord:
			return fmt.Errorf("bad takes no value; write just bad")
		case n == name && !has:
			return fmt.Errorf("%s needs a value: write %s:VALUE", name, name)
		case near(n, name):
			return fmt.Errorf("%q is not a filter word; did you mean %s?", short(name), suggest(n, value))
		}
	}
	if !has {
		return fmt.Errorf("%q is not a filter word; for an ID write id:%s", short(tok), short(tok))
	}
	return fmt.Errorf("%q is not a filter word; the words are %s", short(name), strings.Join(names(), " "))
}

func suggest(name, value string) string {
	if name == badWord {
		return name
	}
	if value == "" {
		value = "VALUE"
	}
	return name + ":" + short(value)
}

func short(s string) string {
	if r := []rune(s); len(r) > 24 {
		return string(r[:24]) + "..."
	}
	return s
}

// near tells whether a typed word is probably a known one: its beginning, its
// plural, or one letter off.
func near(known, typed string) bool {
	if typed == "" || known == typed {
		return false
	}
	if len(typed) >= 2 && strings.HasPrefix(known, typed) || typed == known+"s" || typed == known+"_type" {
		return true
	}
	return len(known) > 3 && oneOff(known, typed)
}

// oneOff tells whether one letter inserted, left out, changed or swapped makes b of a.
func oneOff(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(a)-len(b) > 1 {
		return false
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	if len(a) > len(b) {
		return a[i+1:] == b[i:]
	}
	if i >= len(a) {
		return true
	}
	if a[i+1:] == b[i+1:] {
		return true
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

func (a at) parse(s string) (time.Time, error) {
	zone := a.zone
	if zone == nil {
		zone = time.UTC
	}
	day := a.end.In(zone)
	clock := s
	if rest, ok := strings.CutSuffix(s, "Z"); ok && !strings.Contains(s, "T") {
		clock, zone, day = rest, time.UTC, a.end.UTC()
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		t, err := time.Parse(layout, clock)
		if err != nil {
			continue
		}
		y, m, d := day.Date()
		at := time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, zone)
		if at.After(a.end) { // a time that has not been yet today is yesterday's
			at = time.Date(y, m, d-1, t.Hour(), t.Minute(), t.Second(), 0, zone)
		}
		return at, nil
	}
	var d sources.Duration
	if err := d.UnmarshalText([]byte(s)); err == nil {
		return a.end.Add(-time.Duration(d)), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("not a time")
}

// text writes a filter as words that parse back to it.
func text(f sources.RequestFilter, a at) string {
	var out []string
	if f.Bad {
		out = append(out, badWord)
	}
	for _, w := range words() {
		if v := w.get(&f); v != "" {
			out = append(out, quote(w.name+":"+v))
		}
	}
	add := func(name string, t time.Time) {
		if t.IsZero() {
			return
		}
		layout := "15:04:05"
		back, zone := a.end.Sub(t), a.zone
		if zone == nil {
			zone = time.UTC
		}
		if back < 0 || back > 12*time.Hour || t.Nanosecond() != 0 {
			out = append(out, name+":"+t.UTC().Format(time.RFC3339Nano))
			return
		}
		if t.Second() == 0 {
			layout = "15:04"
		}
		out = append(out, name+":"+t.In(zone).Format(layout))
	}
	add(sinceWord, f.Since)
	add(untilWord, f.Until)
	return strings.Join(out, " ")
}

// quote keeps a word with blanks or quotes together.
func quote(s string) string {
	if !strings.ContainsAny(s, " \t\"") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// split cuts a line at blanks; double quotes keep blanks together, anywhere in a word.
func split(line string) ([]string, error) {
	var out []string
	var b strings.Builder
	quoted, escaped, any := false, false, false
	for _, r := range line {
		switch {
		case escaped:
			b.WriteRune(r)
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted, any = !quoted, true
		case !quoted && (r == ' ' || r == '\t'):
			if any {
				out = append(out, b.String())
				b.Reset()
				any = false
			}
		default:
			b.WriteRune(r)
			any = true
		}
	}
	if quoted {
		return nil, fmt.Errorf(`a quotation mark is open; close it with "`)
	}
	if any {
		out = append(out, b.String())
	}
	return out, nil
}

// complete offers what could stand at the end of the line: filter words, or after
// a word's colon the values that the rows in hand have there, most frequent first.
// The first result is the line with the first offer taken.
func complete(line string, rows []sources.Request) (taken string, offers []string) {
	start := strings.LastIndexAny(line, " \t") + 1
	head, last := line[:start], line[start:]
	name, value, has := strings.Cut(last, ":")
	if !has {
		for _, n := range names() {
			if strings.HasPrefix(n, last) {
				if n != badWord {
					n += ":"
				}
				offers = append(offers, n)
			}
		}
		if len(offers) > 0 && last != "" {
			return head + offers[0], offers
		}
		return line, offers
	}
	for _, w := range words() {
		if w.name != name {
			continue
		}
		for _, v := range frequent(rows, w.of) {
			if strings.HasPrefix(v, value) && v != value {
				offers = append(offers, v)
			}
		}
		if len(offers) > 0 {
			return head + quote(name+":"+offers[0]), offers
		}
		return line, []string{w.hint}
	}
	if name == sinceWord || name == untilWord {
		return line, []string{"02:10", "30m (ago)", "2006-01-02T15:04"}
	}
	return line, nil
}

// maxOffers is how many values are offered for a word.
const maxOffers = 8

func frequent(rows []sources.Request, of func(*sources.Request) string) []string {
	n := map[string]int{}
	var order []string
	for i := range rows {
		v := of(&rows[i])
		if v == "" {
			continue
		}
		if n[v] == 0 {
			order = append(order, v)
		}
		n[v]++
	}
	slices.SortStableFunc(order, func(a, b string) int { return n[b] - n[a] })
	return order[:min(len(order), maxOffers)]
}
