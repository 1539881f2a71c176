package redact

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

func redactor(t testing.TB, cfg Config) *Redactor {
	t.Helper()
	r, err := New(cfg, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheCorpusHolds(t *testing.T) {
	for _, cfg := range []Config{{}, {KeepIP: true}, {Patterns: []Pattern{{Name: "ticket", Regexp: `TCK-\d+`}}}} {
		failures, total := SelfTest(redactor(t, cfg))
		for _, f := range failures {
			t.Error(f)
		}
		if total < 400 {
			t.Errorf("only %d examples ran", total)
		}
	}
}

func TestEveryKindHasACorpusFile(t *testing.T) {
	files, err := corpus()
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]bool)
	for _, f := range files {
		have[f.Kind] = len(f.Replaced) > 0 && len(f.Kept) > 0
	}
	for _, kind := range append(redactor(t, Config{}).Kinds(), "terminal") {
		if !have[kind] {
			t.Errorf("testdata/redaction/%s.yaml must say what is replaced and what is kept", kind)
		}
	}
}

func TestTheSelfTestReportsWhatFails(t *testing.T) {
	r := redactor(t, Config{Patterns: []Pattern{{
		Name: "ticket", Regexp: `TCK-\d+`, Must: []string{"see TCK-12", "see TICKET-12"}, MustNot: []string{"TCK-x", "TCK-9"},
	}}})
	failures, _ := SelfTest(r)
	if len(failures) != 2 || !strings.Contains(failures[0], "TICKET-12") || !strings.Contains(failures[1], "TCK-9") {
		t.Errorf("got %q, want the two wrong examples", failures)
	}
}

func TestNumbersFollowTheDocument(t *testing.T) {
	r := redactor(t, Config{})
	values := []string{"a@example.com b@example.com", "b@example.com c@example.com", "b@example.com"}
	pointers := []*string{&values[0], &values[1], &values[2]}
	r.Batch(pointers, []int{1, 1, 2})
	want := []string{"<email:1> <email:2>", "<email:2> <email:3>", "<email:1>"}
	for i := range want {
		if values[i] != want[i] {
			t.Errorf("value %d is %q, want %q", i, values[i], want[i])
		}
	}
}

func TestNewNumbersStandAboveThoseThatWereThere(t *testing.T) {
	r := redactor(t, Config{})
	if got, want := r.Text("<email:7> and x@example.com and <email:2>"), "<email:7> and <email:8> and <email:2>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOwnPlaceholdersStay(t *testing.T) {
	r := redactor(t, Config{})
	for _, s := range []string{
		"password=<secret:1> api_key: <api-key:12>",
		`{"password":"<secret:1>","auth":"Bearer <auth:3>"}`,
		"{\"password\":\"\\u003csecret:1\\u003e\"}",
		"https://app:<password:1>@db/x",
		"Authorization: Bearer <auth:1>",
		"<password><secret:4></password>",
		r.Person("alice@example.com") + " asked",
	} {
		if got := r.Text(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

func TestIdentitySurvives(t *testing.T) {
	r := redactor(t, Config{})
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 20_000 {
		n := rnd.Uint64()
		uuid := fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", n>>32, n>>16&0xffff, n&0xfff, n>>20&0xfff, rnd.Uint64()>>16)
		for _, s := range []string{
			uuid,
			fmt.Sprintf("request_id=%s trace_id=%016x%016x span_id=%016x", uuid, n, rnd.Uint64(), n),
			fmt.Sprintf(`{"requestId":%d,"user_id":"%d","trace":"%016x"}`, n, n%1e18, n),
			fmt.Sprintf("id=%d seq=%d offset=%d", n%1e18, n%1e16, n%1e15),
			fmt.Sprintf("req_%d chatcmpl-%x msg_%d-%d", n%1e16, n, n%1e16, n%1e9),
			fmt.Sprintf("at %d and %d", 1_700_000_000_000_000_000+n%1e17, 1_700_000_000_000+n%1e11),
			fmt.Sprintf("version=%d.%d.%d.%d", n%50, n>>8%99, n>>16%99, n>>24%99),
		} {
			if got := r.Text(s); got != s {
				t.Fatalf("%q became %q", s, got)
			}
		}
	}
}

func TestManyDistinctValuesDoNotFillTheMemory(t *testing.T) {
	r := redactor(t, Config{})
	var b strings.Builder
	for i := range maxValues + 100 {
		fmt.Fprintf(&b, "u%d@example.com ", i)
	}
	got := r.Text(b.String())
	if strings.Contains(got, "@") {
		t.Error("an address survived")
	}
	if last := fmt.Sprintf("<email:%d>", maxValues+1); strings.Count(got, last) != 100 {
		t.Errorf("%s stands for %d values, want the 100 that came too late", last, strings.Count(got, last))
	}
}

// hostile texts make a naive scanner read the same bytes again and again.
var hostile = map[string]string{
	"one word":             "a",
	"prefixes":             "sk-",
	"prefixes in a word":   "-eyJhbGciOiJIUzI1NiJ9",
	"openings":             "token=\"",
	"deep escapes":         `token=\\\"`,
	"ats":                  "@",
	"addresses":            "a@b.co ",
	"half addresses":       "a@b.",
	"urls":                 "://a:b",
	"colons":               "a:",
	"ipv6":                 "::",
	"digits":               "4",
	"digits and spaces":    "4111 ",
	"phones":               "+1-",
	"pem beginnings":       "-----BEGIN PRIVATE KEY-----\n",
	"pem and spaces":       "-----BEGIN RSA PRIVATE KEY-----   ",
	"flags":                " --token ",
	"elements":             "<token>",
	"fields":               "token=",
	"passwords":            "password=",
	"backslashes":          `\`,
	"percent":              "%40",
	"percent of percent":   "%2525252525252525",
	"escapes of escapes":   `\u005c\u005c`,
	"escaped quotes":       `\\\\\\\u0022`,
	"broken escapes":       `\u00`,
	"entities":             "&amp;amp;",
	"half entities":        "&#x",
	"plus signs":           "a=+b+",
	"invisible characters": "<U+200B>\u200b",
	"placeholders":         "<email:1>",
	"broken placeholders":  "<email:",
	"headers":              "Authorization: Bearer ",
	"digests":              "Authorization: Digest ***",
	"cookies":              "cookie: a=",
	"escapes":              "\x1b[",
	"invalid":              "\x80\xff",
	"two of three bytes":   "\xe2\x80",
	"tildes":               "aaa8Q~",
	"mysql":                "a:@tcp(",
	"hooks":                "://hooks.slack.com/",
	"basic":                "basic ",
	"account numbers":      "DE89 3704 0044 ",
	"joined api key words": "AKIA",
}

// How much text the tests of size read, in bytes.
var hostileSize, longLine = 1 << 20, 100 << 20

func TestHostileTextIsReadInLinearTime(t *testing.T) {
	r := redactor(t, Config{})
	for name, unit := range hostile {
		t.Run(name, func(t *testing.T) {
			got := r.Text(strings.Repeat(unit, hostileSize/len(unit))) // quadratic work would run into the test's time limit
			if !utf8.ValidString(got) {
				t.Error("not UTF-8")
			}
		})
	}
}

func TestAJSONEscapeHidesNothingAndKeepsWhatTheTextMeans(t *testing.T) {
	r := redactor(t, Config{})
	for text, want := range map[string]string{
		`{"k":"\u0073k-proj-A1b2C3d4E5f6G7h8I9j0A1b2C3d4E5f6G7h8I9j0"}`: `{"k":"<api-key:1>"}`,
		`{"tel":"\u002B49 151 23456789"}`:                               `{"tel":"<phone:1>"}`,
		`q=\u0061\u006cice\u0025\u0034\u0030example.org&n=1`:            `q=<email:1>&n=1`, // one escape inside another
		`{"q":"say \u0022hi\u0022 \u003cb\u003e \u001b[31m \u005cn"}`:   `{"q":"say \u0022hi\u0022 \u003cb\u003e \u001b[31m \u005cn"}`,
		`{"q":"caf\u00e9 \u00"}`:                                        `{"q":"caf\u00e9 \u00"}`,
	} {
		got := r.Text(text)
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
		if again := r.Text(got); again != got {
			t.Errorf("a second time changes %s to %s", got, again)
		}
	}
}

func TestALineOf100MegabytesIsRedacted(t *testing.T) {
	if testing.Short() {
		t.Skip("needs 300 MB")
	}
	r := redactor(t, Config{})
	line := strings.Repeat("all is well in stage=rerank took=12ms at 02:33:12; ", longLine/51) + "password=hunter2"
	got := r.Text(line)
	if !strings.HasSuffix(got, "password=<secret:1>") || len(got) != len(line)+len("<secret:1>")-len("hunter2") {
		t.Errorf("the line ends in %q", got[len(got)-40:])
	}
}

func TestConcurrentUse(t *testing.T) {
	r := redactor(t, Config{})
	done := make(chan string, 8)
	for range cap(done) {
		go func() {
			var got string
			for range 200 {
				got = r.Text("a@example.com b@example.com a@example.com")
			}
			done <- got
		}()
	}
	for range cap(done) {
		if got := <-done; got != "<email:1> <email:2> <email:1>" {
			t.Errorf("got %q", got)
		}
	}
}

func TestTheNameOfAFieldCounts(t *testing.T) {
	r := redactor(t, Config{})
	for _, c := range []struct{ name, value, want string }{
		{"db.password", "correct horse battery", "<secret:1>"},
		{"api_key", "Zk8s0qLm", "<secret:1>"},
		{"http.request.header.authorization", "Bearer abcDEF123", "Bearer <auth:1>"},
		{"request_id", "4111111111111111", "4111111111111111"},
		{"note", "4111111111111111", "<card:1>"},
		{"enduser.phone", "020 7946 0958", "<phone:1>"},
		{"gen_ai.usage.input_tokens", "532", "532"},
		{"password", "<secret:1>", "<secret:1>"},
		{"", "hunter2", "hunter2"},
	} {
		v := c.value
		r.Fields([]string{c.name}, []*string{&v}, nil)
		if v != c.want {
			t.Errorf("%s %q became %q, want %q", c.name, c.value, v, c.want)
		}
	}
}
