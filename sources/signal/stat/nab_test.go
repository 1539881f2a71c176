package stat

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The real series, with what the labels of NAB call them.
var nabSeries = []struct{ file, label string }{
	{"ec2_request_latency_system_failure.csv", "realKnownCause/ec2_request_latency_system_failure.csv"},
	{"elb_request_count_8c0756.csv", "realAWSCloudwatch/elb_request_count_8c0756.csv"},
	{"grok_asg_anomaly.csv", "realAWSCloudwatch/grok_asg_anomaly.csv"},
	{"nyc_taxi.csv", "realKnownCause/nyc_taxi.csv"},
}

const nabWarm = 7*24*time.Hour + 12*time.Hour

type nabWindow struct{ from, to time.Time }

// nab reads a series onto an even grid, NaN where nothing was measured.
func nab(t testing.TB, dir, file string) (start time.Time, step time.Duration, v []float64) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		x, err := time.Parse(time.DateTime, s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	rows = rows[1:]
	start = at(rows[0][0])
	step = 24 * time.Hour
	for i := 1; i < len(rows); i++ {
		if d := at(rows[i][0]).Sub(at(rows[i-1][0])); d > 0 {
			step = min(step, d)
		}
	}
	v = make([]float64, int(at(rows[len(rows)-1][0]).Sub(start)/step)+1)
	for i := range v {
		v[i] = math.NaN()
	}
	for _, r := range rows {
		x, err := strconv.ParseFloat(r[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		v[int(at(r[0]).Sub(start)/step)] = x
	}
	return start, step, v
}

// seasonal is the modified z of the quarter of an hour that ends with a step, and its
// ratio to usual, against the same hour of the last seven days and four weeks.
func seasonal(v []float64, i int, step time.Duration) (z, ratio float64) {
	per := func(d time.Duration) int { return max(1, int(d/step)) }
	now := Mean(v[max(0, i+1-per(15*time.Minute)) : i+1])
	var ref []float64
	slice := func(back time.Duration) {
		j := i - int(back/step)
		for k := j - per(30*time.Minute) + 1; k <= j+per(30*time.Minute); k++ {
			if k >= 0 {
				ref = append(ref, v[k])
			}
		}
	}
	for d := 1; d <= 7; d++ {
		slice(time.Duration(d) * 24 * time.Hour)
	}
	for w := 2; w <= 4; w++ {
		slice(time.Duration(w) * 7 * 24 * time.Hour)
	}
	r := RobustOf(ref)
	return r.Z(now, 0.05, 0), now / r.Median
}

var nabMethods = []string{"grafana adaptive", "grafana robust", "seasonal z>6", "seasonal z>6 twice", "seasonal z>6 twice, ×1.5 (the console's)"}

// TestRealSeries reports what each method that applies to values finds in labelled
// real series. Counts are not in them, so that FINAL has nothing to say there.
func TestRealSeries(t *testing.T) { realSeries(t) }

// BenchmarkRealSeries prints the table of the README.
func BenchmarkRealSeries(b *testing.B) {
	for b.Loop() {
		realSeries(b)
	}
}

func realSeries(t testing.TB) {
	t.Helper()
	real := os.Getenv("ROLLCALL_REAL_DATA")
	if real == "" {
		t.Skip("ROLLCALL_REAL_DATA is not set: no real series to look at")
	}
	dir := filepath.Join(real, "nab")
	raw, err := os.ReadFile(filepath.Join(dir, "combined_windows.json"))
	if err != nil {
		t.Fatal(err)
	}
	var labels map[string][][]string
	if err := json.Unmarshal(raw, &labels); err != nil {
		t.Fatal(err)
	}
	hits := make([]int, len(nabMethods))
	alarms := make([][]float64, len(nabMethods))
	total, seen := 0, 0
	var names []string
	for _, s := range nabSeries {
		start, step, v := nab(t, dir, s.file)
		var windows []nabWindow
		for _, w := range labels[s.label] {
			a, err1 := time.Parse("2006-01-02 15:04:05.000000", w[0])
			b, err2 := time.Parse("2006-01-02 15:04:05.000000", w[1])
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			windows = append(windows, nabWindow{a, b})
			total++
			if b.After(start.Add(nabWarm)) {
				seen++
			}
		}
		names = append(names, strings.TrimSuffix(s.file, ".csv"))
		band := newBands(v, max(1, int(time.Hour/step)))
		hit := make([]map[int]bool, len(nabMethods))
		eps := make([]episodes, len(nabMethods))
		for m := range hit {
			hit[m] = map[int]bool{}
		}
		quiet := 0
		wasZ, wasBig := false, false
		for i := int(nabWarm / step); i < len(v); i++ {
			at := start.Add(time.Duration(i) * step)
			inside := -1
			for w, x := range windows {
				if !at.Before(x.from) && !at.After(x.to) {
					inside = w
				}
			}
			if inside < 0 {
				quiet++
			}
			z, ratio := seasonal(v, i, step)
			isZ := math.Abs(z) > 6
			big := isZ && (ratio >= 1.5 || ratio <= 1/1.5)
			for m, yes := range []bool{band.out(i, false, true), band.out(i, true, true), isZ, isZ && wasZ, big && wasBig} {
				if !yes {
					continue
				}
				if inside >= 0 {
					hit[m][inside] = true
				} else {
					eps[m].see(int(at.Sub(start)/time.Minute), true)
				}
			}
			wasZ, wasBig = isZ, big
		}
		weeks := float64(quiet) * step.Hours() / (7 * 24)
		for m := range nabMethods {
			hits[m] += len(hit[m])
			alarms[m] = append(alarms[m], float64(eps[m].n)/weeks)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nLabelled windows hit, of %d (%d of them end within the first %.1f days, which warm up), and false episodes per week\n| | hits | %s |\n|---|---:|%s\n",
		total, total-seen, nabWarm.Hours()/24, strings.Join(names, " | "), strings.Repeat("---:|", len(names)))
	for m, name := range nabMethods {
		fmt.Fprintf(&b, "| %s | %d |", name, hits[m])
		for _, a := range alarms[m] {
			fmt.Fprintf(&b, " %.1f |", a)
		}
		b.WriteByte('\n')
	}
	show(t, b.String())
	ours := len(nabMethods) - 1
	for s, a := range alarms[ours] {
		if a > 3 {
			t.Errorf("%s: %.1f false episodes a week in %s", nabMethods[ours], a, names[s])
		}
	}
	if hits[ours] == 0 {
		t.Error("no labelled window is found")
	}
}
