package redact

import (
	"slices"
	"strings"
	"testing"
)

// stream redacts lines as the client of a log server does.
func stream(r *Redactor, lines ...string) []string {
	pointers := make([]*string, len(lines))
	docs := make([]int, len(lines))
	for i := range lines {
		pointers[i], docs[i] = &lines[i], i
	}
	r.Stream(pointers)
	r.Batch(pointers, docs)
	return lines
}

const (
	pemHead = "-----BEGIN " + "RSA PRIVATE KEY-----"
	pemTail = "-----END " + "RSA PRIVATE KEY-----"
	body1   = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
	body2   = "MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu"
	half1   = "sk-proj-" + "a1B2c3D4e5F6"
	half2   = "g7H8i9J0k1L2m3N4o5P6q7R8s9T0"
)

func TestAPrivateKeyIsFoundOverTheLinesOfAStream(t *testing.T) {
	r := redactor(t, Config{})
	for name, c := range map[string]struct{ in, want []string }{
		"a line for each line": {
			[]string{"loading", "key: " + pemHead, body1, body2, "c3Q=", pemTail + " done", "next"},
			[]string{"loading", "key: <private-key:1>", "<private-key:1>", "<private-key:1>", "<private-key:1>", "<private-key:1> done", "next"},
		},
		"lines of JSON": {
			[]string{`{"log":"` + pemHead + `\n"}`, `{"log":"` + body1 + `\n"}`, `{"log":"` + pemTail + `\n"}`},
			[]string{`{"log":"<private-key:1>\n"}`, `{"log":"<private-key:1>\n"}`, `{"log":"<private-key:1>\n"}`},
		},
		"a line of something else between": {
			[]string{pemHead, body1, "level=info took=12ms", body2, pemTail},
			[]string{"<private-key:1>", "<private-key:1>", "level=info took=12ms", "<private-key:1>", "<private-key:1>"},
		},
		"an end that never comes": {
			[]string{pemHead, "Proc-Type: 4,ENCRYPTED", "", body1, body2, "level=info", body1},
			[]string{"<private-key:1>", "Proc-Type: 4,ENCRYPTED", "", "<private-key:1>", "<private-key:1>", "level=info", body1},
		},
		"no key at all": {
			[]string{"expected a " + pemHead + " header", "level=info trace_id=4bf92f35"},
			[]string{"expected a " + pemHead + " header", "level=info trace_id=4bf92f35"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := stream(r, slices.Clone(c.in)...); !slices.Equal(got, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestAKeyThatIsCutInTwoIsFound(t *testing.T) {
	r := redactor(t, Config{})
	whole := half1 + half2
	for at := 4; at < len(whole); at++ {
		got := stream(r, "using "+whole[:at], whole[at:]+" for it")
		if text := strings.Join(got, "|"); text != "using <api-key:1>|<api-key:1> for it" && at+8 <= len(whole) {
			t.Errorf("cut after %d it became %q", at, text)
		}
		for _, br := range []string{"\n", "\r\n", `\n`, `\r\n`, `\\n`} {
			if got, want := r.Text("using "+whole[:at]+br+whole[at:]+" for it"), "using <api-key:1> for it"; got != want && at+8 <= len(whole) {
				t.Errorf("cut by %q after %d it became %q", br, at, got)
			}
		}
	}
	for _, c := range []struct{ before, secret, after string }{
		{"eyJ" + "hbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.", "eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N", ""},
		{"https://app:", "aB3dE6gH9jK2", "@db.internal/x"},
		{"Bearer ", "aB3dE6gH9jK2mN5pQ8rS1tU4", ""},
	} {
		whole := c.before + c.secret + c.after
		for at := len(c.before) + 1; at+8 < len(whole); at++ {
			if got := strings.Join(stream(r, "x "+whole[:at], whole[at:]+" y"), ""); strings.Contains(got, c.secret) {
				t.Errorf("%q cut after %d became %q", whole, at, got)
			}
		}
	}
}

func TestNeighboursThatOnlyTouchStay(t *testing.T) {
	r := redactor(t, Config{})
	for _, c := range []struct{ lines, want []string }{
		{[]string{"took=12ms", "level=info msg=ok"}, []string{"took=12ms", "level=info msg=ok"}},
		{[]string{"key " + half1 + half2, "GET /v1/chat 200"}, []string{"key <api-key:1>", "GET /v1/chat 200"}},
		{[]string{half1 + half2, half1 + half2}, []string{"<api-key:1>", "<api-key:1>"}},
		{[]string{"please write to", "carol@example.org"}, []string{"please write to", "<email:1>"}},
		{[]string{"trace 4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736"}, []string{"trace 4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4736"}},
		{[]string{"http://host:8080", "a1@x"}, []string{"http://host:8080", "a1@x"}},
	} {
		if got := stream(r, slices.Clone(c.lines)...); !slices.Equal(got, c.want) {
			t.Errorf("%q became %q, want %q", c.lines, got, c.want)
		}
	}
}
