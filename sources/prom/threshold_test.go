package prom

import "testing"

func TestTheThresholdOfARuleIsReadWhereItIsAPlainNumber(t *testing.T) {
	for _, tc := range []struct {
		expr  string
		level float64
		below bool
		ok    bool
	}{
		{`errors / requests > 0.05`, 0.05, false, true},
		{`up<1`, 1, true, true},
		{`-x >= -2.5e-3`, -2.5e-3, false, true},
		{`1e+3 < x`, 1000, false, true},
		{`0x1F > x{a="b"}`, 31, true, true},
		{`(sum by (job) (rate(x{a=~"(b|c) > 9",d!="e"}[5m])) > 3)`, 3, false, true},
		{"rate(x[5m]) > 0.05 # or == 7\n and on (job) y > 100 and z < 3", 0.05, false, true},
		{`sum(x > bool 0) / sum(y) < 0.99`, 0.99, true, true},
		{`x > 5 unless on () maintenance == 1`, 0, false, false},
		{`label_replace(x, "a", "\"> 5", "b", '(.*)') > 5`, 5, false, true},
		{`x`, 0, false, false},
		{`x > y`, 0, false, false},
		{`x > 1024 * 1024`, 0, false, false},
		{`x == 0`, 0, false, false},
		{`x > bool 3`, 0, false, false},
		{`x > 3 or y > 5`, 0, false, false},
		{`10 > x > 3`, 0, false, false},
		{`absent(up)`, 0, false, false},
		{`> 5`, 0, false, false},
		{`x > Inf`, 0, false, false},
		{`x > NaN`, 0, false, false},
		{`x > `, 0, false, false},
		{`x > 5)`, 0, false, false},
		{`(x > 5`, 0, false, false},
		{`x{a="b > 5`, 0, false, false},
		{``, 0, false, false},
	} {
		level, below, ok := Threshold(tc.expr)
		if ok != tc.ok || ok && (level != tc.level || below != tc.below) {
			t.Errorf("%q: %g below %v, %v", tc.expr, level, below, ok)
		}
	}
}

func FuzzThreshold(f *testing.F) {
	f.Add(`rate(x{a="b"}[5m]) > 0.05 and y`)
	f.Fuzz(func(_ *testing.T, expr string) { Threshold(expr) })
}
