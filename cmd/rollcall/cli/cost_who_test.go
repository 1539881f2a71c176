package cli

import (
	"strings"
	"testing"

	"rollcall/tui/tuitest"
)

func TestWhoRunsAwayIsSaidOnOneLineForScripts(t *testing.T) {
	b := newBench(t, oneService)
	b.expect(t, ExitOK, "cost", "who", "tenant")
	if got := b.out.String(); got != "initech\n" || !strings.Contains(b.err.String(), "tenant initech spends 57.1% of all, 8.1 times its usual") {
		t.Errorf("%q, %q", got, b.err.String())
	}
	b.expect(t, ExitOK, "cost", "who", "tenant", "-o", "json")
	if firstObject(t, b.out.Bytes())["value"] != "initech" {
		t.Error(b.out.String())
	}
	b.expect(t, ExitOK, "cost", "who", "tenant", "--all")
	if first, _, _ := strings.Cut(b.out.String(), "\n"); !strings.HasPrefix(first, "initech $") || !strings.Contains(first, "of all, ") {
		t.Errorf("%q", b.out.String())
	}
	b.expect(t, ExitBad, "cost", "who", "index")
	if !strings.Contains(b.err.String(), "no index stands out by what it spends; rollcall cost who index --all lists them") {
		t.Error(b.err.String())
	}
	b.expect(t, ExitUsage, "cost", "who", "tennant")
	if !strings.Contains(b.err.String(), "did you mean tenant?") {
		t.Error(b.err.String())
	}
}

func TestRequestsArePickedByAnyOfTheirAttributes(t *testing.T) {
	b := newBench(t, oneService)
	b.expect(t, ExitOK, "requests", "--where", "tool=search", "--where", "tenant=acme", "-o", "json")
	b.expect(t, ExitUsage, "requests", "--where", "tennant=acme")
	if !strings.Contains(b.err.String(), `requests have no attribute "tennant"; did you mean tenant?`) {
		t.Error(b.err.String())
	}
	b.expect(t, ExitUsage, "requests", "--where", "document=")
	if !strings.Contains(b.err.String(), "write it like --where document=kb-17") {
		t.Error(b.err.String())
	}
	f := requestFlags{where: []string{"document=tickets=7", "prompt_name=a", "tenant=acme"}, limit: 10}
	got, err := f.filter(&options{}, "s", tuitest.Start)
	if err != nil || got.Tenant != "acme" || len(got.Where) != 2 || got.Where[0].Value != "tickets=7" {
		t.Errorf("%v, %+v", err, got)
	}
}
