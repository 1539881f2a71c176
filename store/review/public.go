package review

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"rollcall/store/journal"
)

// MakePublic returns a copy for readers outside: people become roles, and users,
// tenants, hosts, request IDs, notes, queries, variables and outputs are left out.
func (r *Review) MakePublic() *Review {
	p := &scrubber{}
	for _, x := range r.Incident.People {
		p.name(x.Name)
	}
	p.name(r.Incident.Lead)
	for _, t := range r.Timeline {
		p.name(t.Actor)
	}
	for i := range r.Runs {
		p.name(r.Runs[i].Actor)
		for j := range r.Runs[i].Steps {
			p.name(r.Runs[i].Steps[j].By)
		}
	}
	for _, l := range r.Requests {
		p.hide(l.Request, "a request")
	}
	for _, t := range r.Affected.ByTenant {
		p.hide(t.Name, "a tenant")
	}
	p.prepare()

	out := *r
	out.Public = true
	out.Incident.Title, out.Summary, out.Evidence = p.text(r.Incident.Title), p.text(r.Summary), p.text(r.Evidence)
	out.Incident.Lead = p.role(r.Incident.Lead)
	out.Incident.CloseReason = p.text(r.Incident.CloseReason)
	out.Incident.People = make([]Person, len(r.Incident.People))
	for i, x := range r.Incident.People {
		out.Incident.People[i] = Person{p.role(x.Name), x.Entries}
	}
	out.Suspects = slices.Clone(r.Suspects)
	for i := range out.Suspects {
		out.Suspects[i].Text = p.text(out.Suspects[i].Text)
	}
	out.Changes = slices.Clone(r.Changes)
	for i := range out.Changes {
		out.Changes[i].Evidence = ""
	}
	out.Affected.ByTenant = nil
	out.Affected.Notes = p.all(r.Affected.Notes)
	out.Gaps = p.all(r.Gaps)
	out.Requests = make([]Linked, len(r.Requests))
	for i, l := range r.Requests {
		out.Requests[i] = Linked{Request: fmt.Sprintf("number %d", i+1), Seq: l.Seq}
	}
	out.Runs = make([]Run, len(r.Runs))
	for i, run := range r.Runs {
		run.Actor, run.Why, run.Vars = p.role(run.Actor), p.text(run.Why), nil
		run.Steps = slices.Clone(run.Steps)
		for j := range run.Steps {
			s := &run.Steps[j]
			s.By, s.Note, s.Output, s.Omitted, s.Why = p.role(s.By), "", nil, 0, p.text(s.Why)
			s.Sentence = p.text(s.Sentence)
		}
		out.Runs[i] = run
	}
	out.Timeline = nil
	for _, t := range r.Timeline {
		if t.Kind == journal.QueryTyped || t.Kind == journal.RequestViewed {
			continue
		}
		t.Actor, t.What, t.Text, t.Artifacts = p.role(t.Actor), p.text(t.What), "", nil
		if t.Kind == journal.Captured {
			t.What = "captured a request"
		}
		out.Timeline = append(out.Timeline, t)
	}
	return &out
}

// scrubber replaces names by roles and removes what looks like a host.
type scrubber struct {
	names  []string
	hidden [][2]string
	words  map[string]string
	known  *regexp.Regexp
}

func (p *scrubber) name(s string) {
	if s != "" && !slices.Contains(p.names, s) {
		p.names = append(p.names, s)
	}
}

func (p *scrubber) hide(s, word string) {
	if s != "" {
		p.hidden = append(p.hidden, [2]string{s, word})
	}
}

func (p *scrubber) prepare() {
	pairs := slices.Clone(p.hidden)
	for _, n := range p.names {
		pairs = append(pairs, [2]string{n, p.role(n)})
	}
	// The longest first: a name may be a part of another.
	slices.SortStableFunc(pairs, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
	p.words = make(map[string]string, len(pairs))
	list := make([]string, 0, len(pairs))
	for _, x := range pairs {
		if _, ok := p.words[x[0]]; !ok {
			p.words[x[0]] = x[1]
			list = append(list, wholeWord(x[0]))
		}
	}
	if len(list) > 0 {
		p.known = regexp.MustCompile(strings.Join(list, "|"))
	}
}

// wholeWord matches a name only where it is not a part of a longer word.
func wholeWord(s string) string {
	q := regexp.QuoteMeta(s)
	if word(s[0]) {
		q = `\b` + q
	}
	if word(s[len(s)-1]) {
		q += `\b`
	}
	return q
}

func word(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (p *scrubber) role(name string) string {
	if i := slices.Index(p.names, name); i >= 0 {
		return fmt.Sprintf("responder %d", i+1)
	}
	return ""
}

var (
	urls  = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s"'<>]+`)
	hosts = regexp.MustCompile(`(?i)\b(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:[a-z]{2,}|local|internal)(?::\d+)?\b|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b`)
)

func (p *scrubber) text(s string) string {
	if p.known != nil {
		s = p.known.ReplaceAllStringFunc(s, func(w string) string { return p.words[w] })
	}
	s = urls.ReplaceAllString(s, "<address>")
	return hosts.ReplaceAllString(s, "<host>")
}

func (p *scrubber) all(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = p.text(s)
	}
	return out
}
