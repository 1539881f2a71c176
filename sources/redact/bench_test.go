package redact

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
)

// logText is log lines of 214 bytes: 5% carry a secret, 5% an address.
func logText(n int) []string {
	rnd := rand.New(rand.NewPCG(1, 2))
	hex := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "0123456789abcdef"[rnd.IntN(16)]
		}
		return string(b)
	}
	secrets := []func() string{
		func() string { return "user" + hex(4) + "@example.com" },
		func() string { return "sk-" + "proj-aB" + hex(40) },
		func() string { return "4111 1111 1111 1111" },
		func() string { return "password=" + hex(8) },
		func() string { return "Bearer " + hex(32) },
		func() string { return "+1 415 555 2671" },
		func() string { return "https://app:" + hex(9) + "@db.internal/x" },
	}
	out := make([]string, n)
	for i := range out {
		extra := "stage=rerank took=" + fmt.Sprint(rnd.IntN(900)) + "ms"
		switch i % 20 {
		case 3:
			extra = secrets[i/20%len(secrets)]()
		case 13:
			extra = fmt.Sprintf("peer 10.%d.%d.%d:8443", rnd.IntN(256), rnd.IntN(256), rnd.IntN(256))
		}
		line := fmt.Sprintf(`{"ts":"2026-11-23T02:%02d:%02d.%06dZ","level":"info","msg":"answer delivered, %s","request_id":"req-%s","trace_id":"%s","route":"/chat","tenant":"acme","n":`,
			i/60%60, i%60, rnd.IntN(1e6), extra, hex(8), hex(16))
		out[i] = line + strings.Repeat("1", max(1, 213-len(line))) + "}"
	}
	return out
}

func size(lines []string) (n int64) {
	for _, l := range lines {
		n += int64(len(l))
	}
	return n
}

// perCore reports how many bytes go through one core in a second, which means the
// same on a busy machine.
func perCore(b *testing.B, bytes int64) {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	b.Cleanup(func() {
		b.ReportMetric(float64(bytes)*float64(b.N)/1e6/(used()-before).Seconds(), "MB/s-per-core")
	})
}

func BenchmarkText(b *testing.B) {
	r := redactor(b, Config{})
	lines := logText(2000)
	b.SetBytes(size(lines))
	b.ReportAllocs()
	perCore(b, size(lines))
	for b.Loop() {
		for _, l := range lines {
			r.Text(l)
		}
	}
}

func BenchmarkBatch(b *testing.B) {
	for name, cfg := range map[string]Config{
		"built-in": {},
		"with 3 patterns of the user": {Patterns: []Pattern{
			{Name: "ticket", Regexp: `TCK-[0-9]+`}, {Name: "employee", Regexp: `\bE[0-9]{6}\b`}, {Name: "host", Regexp: `[a-z]+\.corp\.example`},
		}},
	} {
		b.Run(name, func(b *testing.B) {
			r := redactor(b, cfg)
			lines := logText(2000)
			values := make([]string, len(lines))
			pointers := make([]*string, len(lines))
			docs := make([]int, len(lines))
			b.SetBytes(size(lines))
			b.ReportAllocs()
			perCore(b, size(lines))
			for b.Loop() {
				for i, l := range lines {
					values[i], pointers[i], docs[i] = l, &values[i], i
				}
				r.Batch(pointers, docs)
			}
		})
	}
}

func BenchmarkNothingToDo(b *testing.B) {
	r := redactor(b, Config{})
	lines := logText(20)[5:6]
	b.SetBytes(size(lines))
	b.ReportAllocs()
	perCore(b, size(lines))
	for b.Loop() {
		r.Text(lines[0])
	}
}

// BenchmarkLayers is log text of which every line must be read more than once:
// Go's JSON with its \u0026, and URLs with percent escapes.
func BenchmarkLayers(b *testing.B) {
	r := redactor(b, Config{})
	lines := logText(2000)
	for i, l := range lines {
		lines[i] = strings.Replace(l, `"route":"/chat"`, `"route":"/chat?q=hello%20world\u0026n=1"`, 1)
	}
	b.SetBytes(size(lines))
	b.ReportAllocs()
	perCore(b, size(lines))
	for b.Loop() {
		for _, l := range lines {
			r.Text(l)
		}
	}
}
