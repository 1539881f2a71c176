package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/cmd/rollcall/config"
	"rollcall/cmd/rollcall/setup"
	"rollcall/sources"
)

// initOptions are the flags of init.
type initOptions struct {
	urls       map[setup.Kind]*string
	scope, out string
	force, yes bool
	asJSON     bool
}

// initJSON is what `init -o json` prints.
type initJSON struct {
	Path     string        `json:"path"`
	Written  bool          `json:"written"`
	Kept     string        `json:"kept,omitempty"` // where the file that was there is now
	Sources  []initSource  `json:"sources"`
	Services []initService `json:"services"`
	GRPC     string        `json:"otlp_grpc"`
	HTTP     string        `json:"otlp_http"`
	Guesses  []string      `json:"guesses"`
	Warnings []string      `json:"warnings"`
}

type initSource struct {
	Source string `json:"source"`
	URL    string `json:"url"`
	From   string `json:"from"`
	State  string `json:"state"` // up, locked, other, down or absent
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

type initService struct {
	Service  string   `json:"service"`
	Scope    string   `json:"scope"`
	Profiles []string `json:"profiles"`
	Logs     string   `json:"logs,omitempty"`
	Lines    string   `json:"lines,omitempty"`
	Traces   string   `json:"trace_service,omitempty"`
}

func (p *Program) initCommand(o *options) *cobra.Command {
	in := initOptions{urls: map[setup.Kind]*string{}}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Find the sources, and write a configuration",
		Long: "Looks for Prometheus, Loki, Tempo, Jaeger and Alertmanager where the flags say, else where the environment\n" +
			"says (PROMETHEUS_URL, LOKI_ADDR, TEMPO_URL, JAEGER_URL, ALERTMANAGER_URL), else at the usual ports of this\n" +
			"machine; no other host is looked at. Recognises what the metrics speak, proposes services, finds their log\n" +
			"lines, and writes a configuration with remarks that rollcall doctor checks. No secret is ever written.\n\n" +
			"Exit code: 0 written, 2 there is a file already or a flag is wrong, 3 a source is missing or wants credentials.",
		Example: "  rollcall init\n  rollcall init --prometheus https://prometheus.example.com --loki https://loki.example.com --service assistant\n" +
			"  rollcall init --scope 'namespace=\"prod\", job=\"assistant\"' --out rollcall.yaml --yes",
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	for _, k := range setup.Kinds {
		in.urls[k] = f.String(string(k), "", "`URL` of "+strings.ToUpper(string(k[:1]))+string(k[1:]))
	}
	f.StringVar(&in.scope, "scope", "", "PromQL `matchers` that pick the service: 'namespace=\"prod\", job=\"assistant\"'")
	f.StringVar(&in.out, "out", "", "`file` to write, - for standard output (default that of --config)")
	f.BoolVar(&in.force, "force", false, "write over a file that is there; the old one is kept beside it")
	f.BoolVarP(&in.yes, "yes", "y", false, "do not ask")
	format := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if in.asJSON, err = asJSON(*format); err != nil {
			return err
		}
		return p.init(cmd.Context(), o, &in)
	}
	return cmd
}

func (p *Program) init(ctx context.Context, o *options, in *initOptions) error {
	path := in.out
	if path == "" {
		path, _ = config.Find(o.config, p.Env)
	}
	if path == "" {
		return usage("there is no folder for the configuration; name a file with --out")
	}
	print := path == "-"
	if print {
		if in.asJSON {
			return usage("--out - and -o json both want standard output; give one")
		}
		path = "rollcall.yaml"
	}
	search := setup.Options{
		URLs: map[setup.Kind]string{}, Usual: p.Usual, Env: p.Env, Service: o.service, Path: path, Receiving: p.Receives,
		Scope: strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(in.scope), "{"), "}")),
	}
	for k, v := range in.urls {
		search.URLs[k] = *v
	}
	talk := p.InTTY && p.OutTTY && !in.yes && !in.asJSON && !print
	t := p.printer(o, config.UI{})
	if print {
		t.w = p.Err
	}
	lines := &asked{p: p}
	f, err := p.find(ctx, search, t, in.asJSON)
	if err != nil {
		return err
	}
	if talk {
		if f, err = p.consult(ctx, &search, f, t, lines); err != nil {
			return err
		}
	}
	if !f.Configurable() {
		return p.nothing(f, in, path)
	}
	text, err := f.Text(p.Env, time.Now())
	if err != nil {
		return &exit{ExitUsage, err}
	}
	if print {
		if _, err := fmt.Fprint(p.Out, text); err != nil {
			return err
		}
		return initExit(f)
	}
	return p.writeConfig(ctx, f, in, t, lines, path, text, talk)
}

// find looks, and says what was found.
func (p *Program) find(ctx context.Context, search setup.Options, t *printer, quiet bool) (*setup.Found, error) {
	f, err := setup.Find(ctx, search)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, &exit{ExitUsage, err}
	}
	if !quiet {
		t.sources(f)
		err = t.err
	}
	return f, err
}

// consult asks for what was not found, and which of several services are meant.
func (p *Program) consult(ctx context.Context, search *setup.Options, f *setup.Found, t *printer, lines *asked) (*setup.Found, error) {
	again := false
	for _, k := range [...]setup.Kind{setup.Prometheus, setup.Loki} {
		if f.Reached(k) || search.URLs[k] != "" {
			continue
		}
		url, err := lines.ask(ctx, "Where is %s? (URL; enter for none) ", k)
		if err != nil {
			return f, err
		}
		if url != "" {
			search.URLs[k], again = url, true
		}
	}
	if again {
		var err error
		if f, err = p.find(ctx, *search, t, false); err != nil {
			return f, err
		}
	}
	if len(f.Services) < 2 {
		return f, nil
	}
	for i, s := range f.Services {
		t.line("  %d  %s", i+1, clean(s.Name+"  {"+s.Scope+"}"))
	}
	for {
		said, err := lines.ask(ctx, "Which services? (numbers; enter for all) ")
		if err != nil || said == "" {
			return f, err
		}
		var chosen []setup.Service
		for _, word := range strings.FieldsFunc(said, func(r rune) bool { return r == ' ' || r == ',' }) {
			n, err := strconv.Atoi(word)
			if err != nil || n < 1 || n > len(f.Services) {
				chosen = nil
				p.note("%s is none of them; write numbers from 1 to %d", word, len(f.Services))
				break
			}
			chosen = append(chosen, f.Services[n-1])
		}
		if len(chosen) > 0 {
			f.Services = chosen
			return f, nil
		}
	}
}

// nothing says what was tried and what is needed.
func (p *Program) nothing(f *setup.Found, in *initOptions, path string) error {
	if in.asJSON {
		if err := writeJSON(p.Out, initOf(f, path, false, "")); err != nil {
			return err
		}
	}
	return &exit{ExitUnreachable, errors.New("found neither Prometheus nor Loki, and nothing was written; say where they are: " +
		"rollcall init --prometheus http://HOST:9090 --loki http://HOST:3100, or practise with rollcall drill")}
}

func (p *Program) writeConfig(ctx context.Context, f *setup.Found, in *initOptions, t *printer, lines *asked, path, text string, talk bool) error {
	if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
		diff, err := setup.Difference(path, text)
		if err == nil && !in.asJSON {
			t.difference(path, diff)
		}
		if !in.force {
			if in.asJSON {
				if err := writeJSON(p.Out, initOf(f, path, false, "")); err != nil {
					return err
				}
			}
			return usage("%s is there already and stays as it is; --force writes over it and keeps the old one, --out FILE writes another", path)
		}
	}
	if talk {
		answer, err := lines.ask(ctx, "Write %s? [Y/n] ", path)
		if err != nil {
			return err
		}
		if a := strings.ToLower(answer); a != "" && a != "y" && a != "yes" {
			p.note("rollcall: nothing was written")
			return &exit{ExitBad, nil}
		}
	}
	kept, err := setup.Write(path, text, in.force)
	if err != nil {
		return &exit{ExitUsage, err}
	}
	if in.asJSON {
		if err := writeJSON(p.Out, initOf(f, path, true, kept)); err != nil {
			return err
		}
		return initExit(f)
	}
	t.line("")
	if kept != "" {
		t.line("The old one is %s.", clean(kept))
	}
	flag := ""
	if usual, _ := config.Find("", p.Env); usual != path {
		flag = " --config " + path
	}
	t.line("Wrote %s. Next: rollcall doctor%s", clean(path), clean(flag))
	if t.err != nil {
		return t.err
	}
	return initExit(f)
}

// initExit is 3 where somebody has to do something before all that was found can be read.
func initExit(f *setup.Found) error {
	for _, s := range f.Sources {
		if s.State == setup.Locked || s.State == setup.Down || s.State == setup.Other && s.Given() {
			return &exit{code: ExitUnreachable}
		}
	}
	return nil
}

func initOf(f *setup.Found, path string, written bool, kept string) initJSON {
	out := initJSON{
		Path: path, Written: written, Kept: kept, Sources: []initSource{}, Services: []initService{},
		GRPC: f.OTLP.GRPC, HTTP: f.OTLP.HTTP, Guesses: append([]string{}, f.Guesses...), Warnings: append([]string{}, f.Warnings...),
	}
	for _, s := range f.Sources {
		out.Sources = append(out.Sources, initSource{string(s.Kind), s.URL, s.From, string(s.State), s.Detail, s.Remedy})
	}
	for _, s := range f.Services {
		out.Services = append(out.Services, initService{s.Name, s.Scope, append([]string{}, s.Profiles...), s.Logs, s.Lines, s.Traces})
	}
	return out
}

// sources prints what was found, what follows from it and what is missing.
func (t *printer) sources(f *setup.Found) {
	for _, s := range f.Sources {
		v := map[setup.State]sources.Verdict{setup.Up: sources.OK, setup.Locked: sources.Watch, setup.Down: sources.Unreachable, setup.Other: sources.NotExposed, setup.Absent: sources.NotExposed}[s.State]
		if s.State == setup.Other && s.Given() {
			v = sources.Bad
		}
		t.line("%s %-13s %s (%s): %s", t.verdict(v), s.Kind, clean(s.URL), clean(s.From), t.words(clean(s.Detail)))
		if s.Remedy != "" && (s.State != setup.Absent && s.State != setup.Other || s.Given()) {
			t.line("    %s", t.style(t.theme.Dim, t.words(clean(s.Remedy))))
		}
	}
	for _, list := range []struct {
		title string
		says  []string
	}{{"Concluded; correct the file where it is wrong", f.Guesses}, {"Still to do", f.Warnings}} {
		if len(list.says) == 0 {
			continue
		}
		t.line("")
		t.line("%s", t.style(t.theme.Title, list.title))
		for _, s := range list.says {
			t.line("  %s", t.words(clean(s)))
		}
	}
}

const shownDifference = 60

func (t *printer) difference(path string, diff []string) {
	t.line("")
	if len(diff) == 0 {
		t.line("%s says the same already, remarks aside.", clean(path))
		return
	}
	t.line("%s", t.style(t.theme.Title, clean(path)+" differs from what was found:"))
	for _, d := range diff[:min(len(diff), shownDifference)] {
		t.line("  %s", clean(d))
	}
	if n := len(diff) - shownDifference; n > 0 {
		t.line("  and %d more lines", n)
	}
}

// asked reads answers line by line from the person at the terminal.
type asked struct {
	p *Program
	r *bufio.Reader
}

// ask returns the answer without blanks around it. The end of the input is an empty answer.
func (a *asked) ask(ctx context.Context, format string, args ...any) (string, error) {
	if a.r == nil {
		a.r = bufio.NewReader(a.p.In)
	}
	_, _ = fmt.Fprint(a.p.Err, clean(fmt.Sprintf(format, args...)))
	answers := make(chan string, 1)
	go func() {
		line, _ := a.r.ReadString('\n')
		answers <- strings.TrimSpace(line)
	}()
	select {
	case s := <-answers:
		return s, nil
	case <-ctx.Done():
		_, _ = fmt.Fprintln(a.p.Err)
		return "", ctx.Err()
	}
}
