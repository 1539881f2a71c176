package stat

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// regime is a way in which a service's series behaves while nothing is wrong.
type regime struct {
	name     string
	rate     float64 // requests per second, on average over the week
	rho      float64 // overdispersion of five minutes
	seasonal bool    // the share itself has a course of the day
	lasting  float64 // correlation of the overdispersion from one five minutes to the next
}

var regimes = []regime{
	{name: "0.1/s", rate: 0.1},
	{name: "1/s", rate: 1},
	{name: "20/s", rate: 20},
	{name: "1/s rho=.01", rate: 1, rho: 0.01},
	{name: "20/s rho=.01", rate: 20, rho: 0.01},
	{name: "20/s rho=.005, daily course", rate: 20, rho: 0.005, seasonal: true},
}

const usualShare = 0.01

// traffic is the share of the mean rate at a minute of the week.
func traffic(minute int) float64 {
	hour := float64(minute%minutesDay) / 60
	f := 1 + 0.6*math.Sin(2*math.Pi*(hour-9)/24)
	if minute%minutesWeek >= 5*minutesDay {
		f *= 0.6
	}
	return f
}

// simulate draws the counts of every minute; worse multiplies the share.
func (r regime) simulate(g gen, minutes int, worse func(minute int) float64) ledger {
	l := ledger{make([]float64, minutes+1), make([]float64, minutes+1)}
	p := usualShare
	wander := 0.0 // a standard normal that remembers
	for m := range minutes {
		if m%5 == 0 {
			mu := usualShare
			if r.seasonal {
				mu *= 1 + 0.5*math.Sin(2*math.Pi*float64(m%minutesDay)/minutesDay)
			}
			p = mu
			switch {
			case r.lasting > 0:
				wander = r.lasting*wander + math.Sqrt(1-r.lasting*r.lasting)*g.NormFloat64()
				s := math.Sqrt(math.Log1p(r.rho / mu)) // log-normal with the same variance, nearly
				p = mu * math.Exp(s*wander-s*s/2)
			case r.rho > 0:
				p = g.beta(mu*(1/r.rho-1), (1-mu)*(1/r.rho-1))
			}
		}
		n := g.poisson(60 * r.rate * traffic(m))
		l.n[m+1] = l.n[m] + float64(n)
		l.k[m+1] = l.k[m] + float64(g.binomial(n, math.Min(1, p*worse(m))))
	}
	return l
}

var (
	alphas      = []float64{1e-4, 1e-5, 1e-6}
	methodNames = []string{
		"z>3, 5m vs 24h", "z>3 + floors, 15m same hour", "Wilson", "Poisson p<.00135", "Beta-Binomial p<.00135, 15m",
		"grafana adaptive", "grafana robust", "SLO burn, page or ticket", "FINAL alpha=1e-4", "FINAL alpha=1e-5", "FINAL alpha=1e-6",
		"FINAL 1e-5, each minute", "FINAL 1e-5, 2 weeks known",
	}
)

const (
	atPage    = 7
	atFinal   = 8 // and the two after it
	atMinute  = 11
	atTwo     = 12
	warmWeeks = 4
	simWeeks  = 2
)

// fire evaluates every method over the weeks after the warm-up, and tells each firing.
func (l ledger) fire(minutes int, fires func(method, minute int)) {
	steps := minutes / 5
	ratio := make([]float64, steps)
	for i := range ratio {
		c := l.between(5*i, 5*i+5)
		ratio[i] = c.Ratio()
	}
	band := newBands(ratio, perHour)
	slo := 3 * usualShare
	burn := func(end, window int) float64 { return l.between(max(0, end-window), end).Ratio() / slo }
	out := make([]bool, len(alphas))
	for i := warmWeeks * perWeek; i < steps; i++ {
		end := 5 * (i + 1)
		say := func(method int, yes bool) {
			if yes {
				fires(method, end)
			}
		}
		five, day := l.between(end-5, end), l.between(end-minutesDay-5, end-5)
		say(0, zScore(five, day) > 3)
		same, _ := l.reference(end, warmWeeks, 0, nil)
		base, now := pooled(same), l.between(end-15, end)
		say(1, zScore(now, base) > 3 && floors(now, base))
		if now.N > 0 && base.N > 0 {
			low, _ := wilson(now, 3)
			_, high := wilson(base, 1.96)
			say(2, low > high)
			say(3, poissonTail(now.K, now.N*base.Ratio()) < 0.00135)
		}
		if now.K > 0 && now.N > 0 && now.Ratio() > base.Ratio() {
			say(4, fit(same).Tail(now) < 0.00135)
		}
		say(5, band.out(i, false, false))
		say(6, band.out(i, true, false))
		say(atPage, burn(end, 60) > 14.4 && burn(end, 5) > 14.4 || burn(end, 360) > 6 && burn(end, 30) > 6 ||
			burn(end, 3*minutesDay) > 1 && burn(end, 360) > 1)
		l.finals(end, warmWeeks, nil, alphas, out)
		for a := range alphas {
			say(atFinal+a, out[a])
		}
		for m := end - 4; m <= end; m++ {
			l.finals(m, warmWeeks, nil, alphas[1:2], out[:1])
			if out[0] {
				fires(atMinute, m)
			}
		}
		l.finals(end, 2, nil, alphas[1:2], out[:1])
		say(atTwo, out[0])
	}
}

// falseAlarms are the false episodes per week of each method and regime.
func falseAlarms(runs int, rs []regime) [][]float64 {
	out := make([][]float64, len(methodNames))
	for m := range out {
		out[m] = make([]float64, len(rs))
	}
	minutes := (warmWeeks + simWeeks) * minutesWeek
	for x, r := range rs {
		for run := range runs {
			seen := make([]episodes, len(methodNames))
			l := r.simulate(newGen(uint64(1000*x+run)), minutes, func(int) float64 { return 1 })
			l.fire(minutes, func(method, minute int) { seen[method].see(minute, true) })
			for m := range seen {
				out[m][x] += float64(seen[m].n) / float64(runs*simWeeks)
			}
		}
	}
	return out
}

// caught is what one method found of planted hours.
type caught struct{ share, delay float64 }

// detection plants an hour that is so many times worse every 31 hours, so that none
// falls on the same hour of neighbouring days, and looks whether FINAL says so before it ends.
func detection(runs int, rs []regime, times float64, weeks int) []caught {
	out := make([]caught, len(rs))
	const every = 31 * 60
	first := warmWeeks * minutesWeek
	minutes := first + simWeeks*minutesWeek
	planted := func(m int) bool { return m >= first && (m-first)%every >= every-60 }
	skip := func(from, to int) bool { return planted(from) || planted(to) }
	for x, r := range rs {
		hours, found, delay := 0, 0, 0.0
		for run := range runs {
			l := r.simulate(newGen(uint64(90000+1000*x+run)), minutes, func(m int) float64 {
				if planted(m) {
					return times
				}
				return 1
			})
			yes := make([]bool, 1)
			for begin := first + every - 60; begin+60 <= minutes; begin += every {
				hours++
				for m := begin + 5; m <= begin+60; m += 5 {
					if l.finals(m, weeks, skip, alphas[1:2], yes); yes[0] {
						found++
						delay += float64(m - begin)
						break
					}
				}
			}
		}
		out[x] = caught{float64(found) / float64(hours), delay / math.Max(1, float64(found))}
	}
	return out
}

func table(title string, rs []regime, rows []string, cell func(row, col int) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n| |", title)
	for _, r := range rs {
		fmt.Fprintf(&b, " %s |", r.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---:|", len(rs)) + "\n")
	for i, name := range rows {
		fmt.Fprintf(&b, "| %s |", name)
		for x := range rs {
			fmt.Fprintf(&b, " %s |", cell(i, x))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

const (
	mostFalse   = 0.3 // episodes per week and service series
	leastCaught = 0.9 // of hours ten times worse, at one request per second and above
)

// show prints a table whole: a benchmark's log is cut after ten lines.
func show(t testing.TB, text string) {
	if _, ok := t.(*testing.B); ok {
		fmt.Println(text)
		return
	}
	t.Log(text)
}

// study runs the simulation, prints it, and holds it against the bars.
func study(t testing.TB, runs, hours int, rs []regime) {
	alarms := falseAlarms(runs, rs)
	show(t, table(fmt.Sprintf("False episodes per week and series (%d runs of %d weeks)", runs, simWeeks), rs, methodNames, func(m, x int) string {
		return fmt.Sprintf("%.2f", alarms[m][x])
	}))
	var rows []string
	var found [][]caught
	for _, times := range []float64{10, 3} {
		for _, weeks := range []int{4, 2} {
			rows = append(rows, fmt.Sprintf("×%g for an hour, %d weeks known", times, weeks))
			found = append(found, detection(hours, rs, times, weeks))
		}
	}
	show(t, table("Caught by FINAL alpha=1e-5 within the hour, and after how many minutes", rs, rows, func(i, x int) string {
		return fmt.Sprintf("%.0f%%, %.0f min", 100*found[i][x].share, found[i][x].delay)
	}))
	for x, r := range rs {
		for _, m := range []int{atFinal + 1, atTwo} {
			if a := alarms[m][x]; a > mostFalse {
				t.Errorf("%s raises %.2f false episodes a week at %s, more than %g", methodNames[m], a, r.name, mostFalse)
			}
		}
		if r.rate >= 1 {
			for i := range 2 {
				if c := found[i][x].share; c < leastCaught {
					t.Errorf("%s: %.0f%% caught at %s, fewer than %.0f%%", rows[i], 100*c, r.name, 100*leastCaught)
				}
			}
		}
	}
	if alarms[0][3] < 10*alarms[atFinal+1][3] {
		t.Errorf("a plain z test raises %.2f a week and FINAL %.2f: the simulation does not tell them apart", alarms[0][3], alarms[atFinal+1][3])
	}
}

func TestFalseAlarmsAndDetectionKeepTheirBars(t *testing.T) {
	runs, hours := 3, 1
	study(t, runs, hours, regimes)
}

// BenchmarkFalseAlarms is the same at full length; its table is that of the README.
func BenchmarkFalseAlarms(b *testing.B) {
	for b.Loop() {
		study(b, 60, 12, regimes)
	}
}
