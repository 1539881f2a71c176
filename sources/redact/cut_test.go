package redact

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// cutSecret cuts a secret of an example in two, somewhere near its middle.
func cutSecret(rnd *rand.Rand, k *known) (before, left, right, after string) {
	secret := k.secret[rnd.IntN(len(k.secret))]
	before, after, _ = strings.Cut(k.text, secret)
	at := len(secret)/4 + rnd.IntN(len(secret)/2+1)
	return before, secret[:at], secret[at:], after
}

// legible is how much of a secret can still be read after it was cut.
func legible(got []string, left, right string) int {
	n, m := len(left), len(right)
	for n > 0 && !strings.HasSuffix(got[0], left[len(left)-n:]) {
		n--
	}
	for m > 0 && !strings.HasPrefix(got[1], right[:m]) {
		m--
	}
	return n + m
}

// cuttable are the kinds that are found when a line ends in the middle of them.
func cuttable(tb testing.TB) []known {
	tb.Helper()
	var out []known
	for _, k := range knownSecrets(tb) {
		if k.kind == "jwt" || k.kind == "api-key" && !strings.Contains(k.text, "hooks.slack") && !strings.Contains(k.text, "AWS") {
			out = append(out, k)
		}
	}
	return out
}

func checkCut(t *testing.T, r *Redactor, k *known, rnd *rand.Rand) {
	t.Helper()
	before, left, right, after := cutSecret(rnd, k)
	got := stream(r, before+left, right+after)
	if n := legible(got, left, right); n > (len(left)+len(right))/2 {
		t.Errorf("%s: %d characters of %q can be read in %q", k.kind, n, left+right, got)
	}
	text, how := wrapUp(rnd, before+left+"\n"+right+after, rnd.IntN(3))
	once := r.Text(text)
	if plain := decoded(once, 3); strings.Contains(strings.Join(plain, "\x00"), left+"\n"+right) {
		t.Errorf("%s: %q cut by a line break is still there (%s)\n  in  %q\n  out %q", k.kind, left+right, how, text, once)
	}
}

func TestNoKnownKeySurvivesACut(t *testing.T) {
	r := redactor(t, Config{})
	for _, k := range cuttable(t) {
		for seed := range uint64(20) {
			checkCut(t, r, &k, rand.New(rand.NewPCG(seed, 5)))
		}
	}
}

func TestNoLineOfAKnownPrivateKeySurvivesAStream(t *testing.T) {
	r := redactor(t, Config{})
	for _, k := range knownSecrets(t) {
		if k.kind != "private-key" || !strings.Contains(k.text, "\n") {
			continue
		}
		for _, driver := range []func(string) string{
			func(s string) string { return s },
			func(s string) string { return "2026-11-23T02:33:12.1Z stderr F " + s },
			func(s string) string { return `{"log":` + inJSONString(s+"\n", false) + `,"stream":"stderr"}` },
		} {
			lines := strings.Split(k.text, "\n")
			for i := range lines {
				lines[i] = driver(lines[i])
			}
			got := strings.Join(stream(r, lines...), "\n")
			for _, secret := range k.secret {
				if strings.Contains(got, secret) {
					t.Errorf("%q is still in\n%s", secret, got)
				}
			}
		}
	}
}

func FuzzCut(f *testing.F) {
	all := cuttable(f)
	for i := range all {
		f.Add(uint64(i), uint(i))
	}
	r := redactor(f, Config{})
	f.Fuzz(func(t *testing.T, seed uint64, which uint) {
		checkCut(t, r, &all[which%uint(len(all))], rand.New(rand.NewPCG(seed, 6)))
	})
}
