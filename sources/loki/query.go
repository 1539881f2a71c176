package loki

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/redact"
)

const (
	defaultLines = 1000
	maxLines     = 50_000
	// pageLines is what Loki gives at most in one answer unless told otherwise.
	pageLines    = 5000
	defaultRange = time.Hour
)

// QueryRange reads log lines, oldest first. With more matches than q.Limit the
// newest are returned, or the oldest with q.Forward, and the facts say so.
// A zero Until is now, a zero Since an hour before it.
func (c *Client) QueryRange(ctx context.Context, q sources.LogQuery) (sources.LogList, error) {
	query, err := filtered(q)
	if err != nil {
		return sources.LogList{}, err
	}
	if !q.Errors {
		return c.queryRange(ctx, q, query)
	}
	list, err := c.queryRange(ctx, q, query+errorLabels)
	if err == nil && len(list.Lines) == 0 {
		return c.queryRange(ctx, q, query+errorWords)
	}
	return list, err
}

// The level of a line is a label: the sender's own, or the one that Loki finds
// in every line since version 3. Where neither exists, words of the line itself
// are looked for, which finds more than errors.
const (
	errorLevels = "err|error|fatal|critical|crit|panic|alert|emerg|emergency|severe"
	errorLabels = " | level=~`(?i)" + errorLevels + "` or detected_level=~`(?i)" + errorLevels + "` or severity=~`(?i)" + errorLevels + "`"
	errorWords  = " |~ `(?i)\\b(" + errorLevels + ")\\b`"
)

func (c *Client) queryRange(ctx context.Context, q sources.LogQuery, query string) (sources.LogList, error) {
	var err error
	list := sources.LogList{Query: redact.SanitizeLine(c.redact.Text(query), 2000)}
	until := q.Until
	if until.IsZero() {
		until = c.clock.Now()
	}
	since := q.Since
	if since.IsZero() {
		since = until.Add(-defaultRange)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLines
	}
	limit = min(limit, maxLines)

	p := &pages{c: c, query: query, from: since.UnixNano(), to: until.UnixNano(), forward: q.Forward}
	err = p.read(ctx, limit+1) // one more than asked for tells whether there are more
	if err != nil && len(p.entries) == 0 {
		return list, err
	}
	entries := p.entries
	more := len(entries) > limit
	if more {
		if q.Forward {
			entries = entries[:limit]
		} else {
			entries = entries[len(entries)-limit:]
		}
	}
	hits := newHidden(c.redact.Kinds())
	list.Lines = c.finishAnd(entries, hits)
	list.Redacted = hits.n
	list.Facts = p.answer.facts()
	list.Facts.Warnings = p.warnings
	list.Facts.Partial = p.partial
	if err != nil {
		list.Facts.Partial = fmt.Sprintf("only a part was read: %v", err)
	}
	list.Facts.Shown, list.Facts.Total = len(list.Lines), len(list.Lines)
	if more || list.Facts.Partial != "" {
		list.Facts.Total = -1
	}
	if n := len(list.Lines); n > 0 {
		list.Facts.At = list.Lines[n-1].Time
	}
	return list, nil
}

// filtered is the query with its line filter.
func filtered(q sources.LogQuery) (string, error) {
	query := strings.TrimSpace(q.Query)
	if query == "" {
		return "", errors.New(`the log query is empty; write one like {job="assistant"}, or set logs in the service's configuration`)
	}
	if q.Contains != "" {
		query += " |= " + strconv.Quote(q.Contains)
	}
	return query, nil
}

// pages reads a range in answers that Loki is willing to give. Where one page
// ends and the next begins, lines of the same nanosecond come twice and are
// known by their keys.
type pages struct {
	c        *Client
	query    string
	from, to int64 // [from, to) in Unix nanoseconds
	forward  bool

	entries  []*entry // in time order when done
	size     int64
	seen     map[uint64]bool
	answer   answer
	warnings []string
	partial  string
}

func (p *pages) read(ctx context.Context, limit int) error {
	var err error
	for p.from < p.to && len(p.entries) < limit && p.partial == "" {
		want := min(limit-len(p.entries), pageLines)
		var page []*entry
		page, err = p.page(ctx, want)
		last := p.add(page, limit)
		if err != nil || len(page) < want {
			break
		}
		// The edge of the page belongs to the next one too: not all lines of its nanosecond may have fitted.
		switch {
		case p.forward && last > p.from:
			p.from = last
		case !p.forward && last+1 < p.to:
			p.to = last + 1
		default: // a whole page within one nanosecond: go on behind it
			p.partial = fmt.Sprintf("more than %d lines share one time; the rest of them is missing", want)
		}
	}
	slices.SortStableFunc(p.entries, func(a, b *entry) int { return cmp.Compare(a.ns, b.ns) })
	return err
}

// add keeps what is new of a page and returns its edge: the time at which to go on.
func (p *pages) add(page []*entry, limit int) (edge int64) {
	slices.SortStableFunc(page, func(a, b *entry) int {
		if p.forward {
			return cmp.Compare(a.ns, b.ns)
		}
		return cmp.Compare(b.ns, a.ns)
	})
	if p.seen == nil {
		p.seen = make(map[uint64]bool, len(page))
	}
	for _, e := range page {
		edge = e.ns
		if k := e.key(); !p.seen[k] && len(p.entries) < limit {
			p.seen[k] = true
			p.entries = append(p.entries, e)
		}
	}
	return edge
}

func (p *pages) page(ctx context.Context, limit int) ([]*entry, error) {
	params := url.Values{
		"query":     {p.query},
		"start":     {strconv.FormatInt(p.from, 10)},
		"end":       {strconv.FormatInt(p.to, 10)},
		"limit":     {strconv.Itoa(limit)},
		"direction": {"backward"},
	}
	if p.forward {
		params.Set("direction", "forward")
	}
	var page []*entry
	var size int64
	a, err := p.c.get(ctx, "query_range", params, func(body io.Reader) error {
		page, size = nil, 0
		d := decoder{c: p.c, streams: func(r *reader) error {
			return r.entries(p.c.maxLine, func(e *entry) error {
				page = append(page, e)
				if size += e.size(); p.size+size > p.c.maxBody {
					return errTooLong
				}
				return nil
			})
		}}
		err := d.read(body)
		p.warnings = d.warnings
		if errors.Is(err, errTooLong) {
			p.partial = fmt.Sprintf("the answer is larger than %d MiB; narrow the range or the query", max(1, p.c.maxBody>>20))
			return nil
		}
		return err
	})
	p.size += size
	a.took += p.answer.took
	p.answer = a
	return page, err
}

// decoder reads the envelope of Loki's answers and leaves the results to its functions.
type decoder struct {
	c        *Client
	streams  func(r *reader) error // one stream of lines
	series   func(r *reader) error // one series of a matrix or vector
	scalar   func(r *reader) error // [time, "value"]
	plain    func(r *reader) error // data that is no result, such as a list of labels
	warnings []string
}

func (d *decoder) read(body io.Reader) error {
	r := newReader(body, 64<<10)
	status := ""
	err := r.object(func(key string) (err error) {
		switch key {
		case "status":
			status, _, err = r.scalar()
			return err
		case "warnings":
			return r.array(func() error {
				w, _, err := r.scalar()
				if w = redact.SanitizeLine(d.c.redact.Text(w), maxErrorText); w != "" && len(d.warnings) < 20 {
					d.warnings = append(d.warnings, w)
				}
				return err
			})
		case "data":
			if d.plain != nil {
				return r.array(func() error { return d.plain(r) })
			}
			return d.data(r)
		}
		return r.skip()
	})
	if err == nil && status != "" && status != "success" {
		return fmt.Errorf("the answer says %q", status)
	}
	return err
}

func (d *decoder) data(r *reader) error {
	kind := ""
	return r.object(func(key string) (err error) {
		switch key {
		case "resultType":
			kind, _, err = r.scalar()
			return err
		case "result":
			item := map[string]func(*reader) error{"streams": d.streams, "matrix": d.series, "vector": d.series, "scalar": d.scalar}[kind]
			if kind == "" { // Loki names the type first, but JSON knows no order
				if item = d.series; d.streams != nil {
					item = d.streams
				}
			}
			switch {
			case item == nil && kind == "streams":
				return &failure{where: d.c.where, what: "the query gives log lines, not numbers", remedy: "wrap it, like rate({…}[5m])", asked: true}
			case item == nil && d.streams != nil:
				return &failure{where: d.c.where, what: "the query gives numbers, not log lines", remedy: "write a log query, like {job=\"assistant\"} |= \"error\"", asked: true}
			case item == nil:
				return fmt.Errorf("a result of type %q", kind)
			case kind == "scalar":
				return item(r)
			}
			return r.array(func() error { return item(r) })
		}
		return r.skip()
	})
}
