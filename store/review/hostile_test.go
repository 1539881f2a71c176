package review

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"rollcall/store/journal"
)

// hostile are texts that try to be more than text.
var hostile = []string{
	"a | b || c \\| d \\",
	"<script>alert(1)</script> <img src=x onerror=alert(1)> <!-- ",
	"[click](javascript:alert(1)) ![x](http://evil.example/p.png) [ref]: http://evil.example",
	"https://evil.example/a www.evil.example mail@evil.example @everyone",
	"`code` ``` ~~~ **bold** _it_ ~~no~~ # head\n\n## second\n- [x] done\n1. one\n> quote\n| x | y |\n|---|---|",
	"\x1b[2J\x1b]0;title\x07 \u202ereversed\u202c \u0000 \xff\xfe",
	"---\n===\n&lt;b&gt; &#60;i&#62; $x^2$",
	"-->\n<b>raw</b>\n```\n</div>",
	"{{ .Secret }} ${HOME} <%= x %>",
}

func TestHostileTextStaysText(t *testing.T) {
	md := goldmark.New(goldmark.WithExtensions(extension.GFM))
	for _, bad := range hostile {
		b, d := night()
		b.inc.Title, b.inc.Lead, b.inc.CloseReason, b.inc.Tags = bad, bad, bad, []string{bad}
		b.inc.Requests = []string{bad}
		d.Severities[journal.SEV2] = bad
		for i := range b.entries {
			b.entries[i].Text, b.entries[i].Actor = bad, bad
		}
		b.add(at("02:45:00"), journal.ChangeSeen, "INC-7", m{"at": at("02:44:00"), "component": "prompt", "from": bad, "to": bad}, bad)
		b.add(at("02:45:00"), journal.Kind("new"+bad), "INC-7", m{"suspects": []string{bad}}, bad)
		run, _ := d.Runs(t.Context(), "")
		run.Title, run.Why = bad, bad
		for i := range run.Steps {
			run.Steps[i].Sentence, run.Steps[i].Note, run.Steps[i].Why, run.Steps[i].Output = bad, bad, bad, strings.Split(bad, "\n")
		}
		d.Runs = func(_ context.Context, _ string) (Run, error) { return run, nil }
		d.Affected = func(_ context.Context, _ string, since, until time.Time) (Affected, error) {
			return Affected{Known: true, Since: since, Until: until, Reasons: []Reason{{bad, 1}}, ByTenant: []Reason{{bad, 1}}, Notes: []string{bad}, UsualHow: bad}, nil
		}
		r := build(t, d)
		out := []byte(markdownOf(t, r))
		if bytes.ContainsAny(out, "\x1b\x07\x00\u202e") {
			t.Errorf("%q: control characters are in the review", bad)
		}
		tables := 0
		_ = ast.Walk(md.Parser().Parse(text.NewReader(out)), func(n ast.Node, in bool) (ast.WalkStatus, error) {
			if !in {
				return ast.WalkContinue, nil
			}
			switch n := n.(type) {
			case *ast.Link, *ast.AutoLink, *ast.Image, *ast.HTMLBlock:
				t.Errorf("%q became a %s", bad, n.Kind())
			case *ast.RawHTML:
				if s := string(n.Segments.Value(out)); s != "<!-- -->" {
					t.Errorf("%q became HTML: %s", bad, s)
				}
			case *ast.Blockquote, *east.Strikethrough:
				t.Errorf("%q became a %s", bad, n.Kind())
			case *ast.Heading:
				if h := n.Level; h == 2 && strings.Contains(string(n.Lines().Value(out)), "second") {
					t.Errorf("%q became a heading", bad)
				}
			case *east.Table:
				tables++
				columns := len(n.Alignments)
				for row := n.FirstChild(); row != nil; row = row.NextSibling() {
					if row.ChildCount() != columns {
						t.Errorf("%q: a row of %d cells in a table of %d", bad, row.ChildCount(), columns)
					}
				}
			case *ast.CodeSpan:
				if s := string(n.Text(out)); !strings.HasPrefix(s, "rollcall") && !strings.HasSuffix(s, ":ab12") { //nolint:staticcheck // the text is all that matters here
					t.Errorf("%q became code: %s", bad, s)
				}
			}
			return ast.WalkContinue, nil
		})
		columns := 0 // a parser drops what is too much in a row, so count what was written
		for line := range strings.Lines(string(out)) {
			if !strings.HasPrefix(line, "| ") {
				columns = 0
				continue
			}
			bars := strings.Count(strings.ReplaceAll(strings.ReplaceAll(line, `\\`, ""), `\|`, ""), "|")
			if columns > 0 && bars != columns {
				t.Errorf("%q breaks a row: %s", bad, line)
			}
			if columns == 0 && !strings.HasPrefix(line, "|-") {
				columns = bars
			}
		}
		clean := []byte(markdownOf(t, build(t, func() Deps { _, d := night(); return d }())))
		if want := bytes.Count(clean, []byte("\n## ")); bytes.Count(out, []byte("\n## ")) != want {
			t.Errorf("%q: the review has other sections", bad)
		}
		if tables != 9 {
			t.Errorf("%q: %d tables", bad, tables)
		}
		var html bytes.Buffer
		if err := r.HTML(&html); err != nil {
			t.Fatal(err)
		}
		for _, tag := range []string{"<script", "<img", "<b>", "href", "\x1b", "\u202e"} {
			if strings.Contains(html.String(), tag) {
				t.Errorf("%q: the page holds %q", bad, tag)
			}
		}
	}
}

func TestTextSurvivesEscaping(t *testing.T) {
	md := goldmark.New(goldmark.WithExtensions(extension.GFM))
	for _, s := range []string{"9.1% (182/2000) vs 1.2% usual, p=4e-12", "a*b_c [x] #7 <email:1> C:\\x & y", "prompt v13→v14 at 02:31, “said”", "x ~ y | z $5 ^ ="} {
		var b bytes.Buffer
		if err := md.Convert([]byte(fmt.Sprintf("text %s\n", escaped(s))), &b); err != nil {
			t.Fatal(err)
		}
		got := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&").Replace(b.String())
		if want := "<p>text " + s + "</p>\n"; got != want {
			t.Errorf("%q came out as %q", s, got)
		}
	}
}

func escaped(s string) string { return md(s) }
