package cli

import (
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
)

// requestFlags are the filters of `requests`.
type requestFlags struct {
	until                                        string
	bad                                          bool
	prompt, model, tools, index, policy          string
	outcome, errorType, schema                   string
	route, tenant, region, user, id, servedModel string
	where                                        []string
	limit                                        int
}

func (p *Program) requestsCommand(o *options) *cobra.Command {
	f := &requestFlags{}
	cmd := &cobra.Command{
		Use:     "requests",
		Short:   "Search the request rows",
		Long:    "Search the request rows that were folded from traces, newest first.",
		Example: "  rollcall requests --bad --since 02:31\n  rollcall requests --prompt v14 --schema fail --limit 20 -o json\n  rollcall requests --where document=tickets-17 --tenant acme",
		Args:    cobra.NoArgs,
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.bad, "bad", false, "only requests that went wrong")
	fl.StringVar(&f.until, "until", "", "end of the range: a `time`, or this long ago")
	fl.StringVar(&f.prompt, "prompt", "", "prompt `version`")
	fl.StringVar(&f.model, "model", "", "model `version`")
	fl.StringVar(&f.tools, "tools", "", "tools `version`")
	fl.StringVar(&f.index, "index", "", "index `version`")
	fl.StringVar(&f.policy, "policy", "", "policy `version`")
	fl.StringVar(&f.outcome, "outcome", "", "ok or error")
	fl.StringVar(&f.errorType, "error-type", "", "`type` of error")
	fl.StringVar(&f.schema, "schema", "", "pass or fail")
	fl.StringVar(&f.route, "route", "", "`route` of the request")
	fl.StringVar(&f.tenant, "tenant", "", "`tenant` of the request")
	fl.StringVar(&f.region, "region", "", "`region` of the request")
	fl.StringVar(&f.user, "user", "", "`user`, as the service knows them or as rollcall's token")
	fl.StringVar(&f.servedModel, "served", "", "`model` that the provider says it served")
	fl.StringArrayVar(&f.where, "where", nil, "`NAME=VALUE` of any other attribute: document, tool, filter, cache, feedback, ...; may be repeated")
	fl.StringVar(&f.id, "id", "", "request, trace or response `ID`")
	fl.IntVar(&f.limit, "limit", 50, "at most this `number` of rows")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := asJSON(*format)
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		s, cfg, service, err := p.session(ctx, o, ReadOnly)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		now := s.Clock().Now()
		filter, err := f.filter(o, service, now)
		if err != nil {
			return err
		}
		list, err := s.Requests(ctx, filter)
		if err != nil {
			return &exit{ExitUnreachable, err}
		}
		if asJSON {
			rows := list.Rows
			if rows == nil {
				rows = []sources.Request{}
			}
			err = writeJSON(p.Out, rows)
		} else {
			t := p.printer(o, cfg.UI)
			if len(list.Rows) == 0 {
				t.line("No request matches between %s and %s.", stamp(filter.Since, now), stamp(filter.Until, now))
			}
			t.requests(list.Rows, now)
			err = t.err
		}
		p.facts(list.Facts, "requests")
		return err
	}
	return cmd
}

func (f *requestFlags) filter(o *options, service string, now time.Time) (sources.RequestFilter, error) {
	v, err := o.until(f.until, now)
	if err != nil {
		return sources.RequestFilter{}, err
	}
	if f.limit < 1 || f.limit > 100_000 {
		return sources.RequestFilter{}, usage("--limit %d is out of range; give 1 to 100000", f.limit)
	}
	if f.outcome != "" && f.outcome != "ok" && f.outcome != "error" {
		return sources.RequestFilter{}, usage("--outcome %s is not known; it can be ok or error", f.outcome)
	}
	if f.schema != "" && f.schema != "pass" && f.schema != "fail" {
		return sources.RequestFilter{}, usage("--schema %s is not known; it can be pass or fail", f.schema)
	}
	out := sources.RequestFilter{
		Service: service, Since: v.End(now).Add(-v.Range), Until: v.End(now), ID: f.id, Bad: f.bad, Outcome: f.outcome,
		ErrorType: f.errorType, Schema: f.schema, Route: f.route, Tenant: f.tenant, Region: f.region, User: f.user, Served: f.servedModel, Limit: f.limit,
	}
	for c, version := range map[sources.Component]string{
		sources.Prompt: f.prompt, sources.Model: f.model, sources.Tools: f.tools, sources.Index: f.index, sources.Policy: f.policy,
	} {
		if version != "" {
			if out.Versions == nil {
				out.Versions = map[sources.Component]string{}
			}
			out.Versions[c] = version
		}
	}
	for _, w := range f.where {
		name, value, ok := strings.Cut(w, "=")
		if !ok || value == "" {
			return out, usage("--where %s has no value; write it like --where document=kb-17", w)
		}
		if !slices.Contains(sources.RequestAttributes, name) {
			if near := config.Nearest(name, sources.RequestAttributes); near != "" {
				return out, usage("requests have no attribute %q; did you mean %s?", name, near)
			}
			return out, usage("requests have no attribute %q; there are %s", name, strings.Join(sources.RequestAttributes, ", "))
		}
		out, _ = out.With(sources.Attribute{Name: name, Value: value})
	}
	return out, nil
}

// until is view for commands with --until, where both ends count from now.
func (o *options) until(until string, now time.Time) (sources.View, error) {
	if until == "" {
		return o.view(now)
	}
	if o.at != "" {
		return sources.View{}, usage("--at and --until say the same; give one")
	}
	with := *o
	with.at = until
	if o.since != "" {
		if d, err := parseDuration(o.since); err == nil {
			with.since = now.Add(-d).UTC().Format(time.RFC3339Nano)
		}
	}
	return with.view(now)
}

// requests prints rows, newest first.
func (t *printer) requests(rows []sources.Request, now time.Time) {
	if len(rows) == 0 {
		return
	}
	tb := table{
		head:  []string{"", "time", "request", "why", "latency", "cost", "prompt", "model", "index", "route", "tenant"},
		right: []bool{4: true, 5: true},
	}
	for i := range rows {
		r := &rows[i]
		v := sources.OK
		why := cell{"ok", &t.theme.Dim}
		if words := r.Why(); len(words) > 0 {
			v = sources.Bad
			why = cell{strings.Join(words, ", "), nil}
		}
		glyph, style := t.theme.Verdict(v)
		id := r.ID
		if id == "" {
			id = r.TraceID
		}
		tb.add(cell{glyph, &style}, plainCell(stamp(r.Time, now)), cell{id, &t.theme.Bright}, why, plainCell(t.seconds(r.Latency)),
			plainCell(t.usd(r.CostUSD)), plainCell(t.or(r.Prompt)), plainCell(t.or(r.Model)), plainCell(t.or(r.Index)),
			plainCell(t.or(r.Route)), plainCell(t.or(r.Tenant)))
	}
	tb.print(t)
}
