package journal

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func benchJournal(b *testing.B, n int) *Journal {
	b.Helper()
	j := openAt(b, temp(b))
	for done := 0; done < n; {
		batch := make([]Draft, 0, 1000)
		for len(batch) < cap(batch) && done < n {
			d := sample(done)
			if done%20 != 0 {
				d.Text = ""
			}
			batch = append(batch, d)
			done++
		}
		if _, err := j.Append(b.Context(), batch...); err != nil {
			b.Fatal(err)
		}
	}
	return j
}

// sample is an entry like those of a check.
func sample(i int) Draft {
	return Draft{
		Kind: RunSample, Service: "support-assistant", Environment: "prod", Run: "RUN-3",
		Data: map[string]any{
			"step": "quality", "query": `sum(rate(llmops_validation_total{result="fail",job="assistant"}[5m]))`,
			"value": 0.0123 + float64(i)/1e6, "usual": 0.012, "n": 2000 + i, "verdict": "passed",
		},
		Text: "1.2% is within usual × 1.3 = 1.6%",
	}
}

// BenchmarkAppend measures one synced entry, and in the same run an overwrite
// of as many bytes with fdatasync on the same disk.
func BenchmarkAppend(b *testing.B) {
	j := openAt(b, temp(b))
	d := sample(1)
	e, err := j.Append(b.Context(), d)
	if err != nil {
		b.Fatal(err)
	}
	_, exact, err := j.reader().line(b.Context(), e[0].Seq)
	if err != nil {
		b.Fatal(err)
	}
	raw := make([]byte, len(exact)+len(d.Text))
	f, err := os.OpenFile(filepath.Join(b.TempDir(), "overwritten"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(bytes.Repeat([]byte{0}, 1<<16)); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	const appends = 2000 // so that the log is written over several times
	var ours, theirs []float64
	for b.Loop() {
		for i := range appends {
			start := time.Now()
			if _, err := j.Append(b.Context(), d); err != nil {
				b.Fatal(err)
			}
			ours = append(ours, float64(time.Since(start).Nanoseconds())/1000)
			// Taking turns, both see the same disk.
			start = time.Now()
			raw[0] = byte(i)
			if _, err := f.WriteAt(raw, 0); err != nil {
				b.Fatal(err)
			}
			if err := syscall.Fdatasync(int(f.Fd())); err != nil {
				b.Fatal(err)
			}
			theirs = append(theirs, float64(time.Since(start).Nanoseconds())/1000)
		}
	}
	b.ReportMetric(mean(ours), "append-µs")
	b.ReportMetric(mean(theirs), "overwrite-µs")
	b.ReportMetric(mean(ours)/mean(theirs), "times-overwrite")
	b.ReportMetric(middle(ours), "append-p50-µs")
	b.ReportMetric(middle(theirs), "overwrite-p50-µs")
	b.ReportMetric(0, "ns/op")
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, x := range list {
		sum += x
	}
	return sum / float64(len(list))
}

func middle(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func BenchmarkVerify(b *testing.B) {
	const n = 100_000
	j := benchJournal(b, n)
	b.ResetTimer()
	for b.Loop() {
		r, err := j.Verify(b.Context(), nil, nil)
		if err != nil || !r.OK || r.Entries != n {
			b.Fatalf("%+v, %v", r, err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkEntries(b *testing.B) {
	j := benchJournal(b, 100_000)
	if _, err := j.OpenIncident(b.Context(), incident()); err != nil {
		b.Fatal(err)
	}
	for name, f := range map[string]Filter{
		"newest1000": {Limit: 1000, Newest: true}, "incident": {Incident: "INC-1"}, "kind": {Kinds: []Kind{IncidentOpened}},
		"service": {Service: "support-assistant", Newest: true, Limit: 200},
	} {
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				es, err := j.Entries(b.Context(), f)
				if err != nil || len(es) == 0 {
					b.Fatal(len(es), err)
				}
				n += len(es)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkFind looks for a name in everything that was written, as a purge does.
func BenchmarkFind(b *testing.B) {
	j := openAt(b, temp(b))
	for i := range 20 {
		var batch []Draft
		for k := range 250 {
			batch = append(batch, note(fmt.Sprint(i, k, strings.Repeat(" words", 200))))
		}
		if _, err := j.Append(b.Context(), batch...); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for b.Loop() {
		if _, err := j.Find(b.Context(), "somebody"); err != nil {
			b.Fatal(err)
		}
	}
}
