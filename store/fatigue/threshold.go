package fatigue

import (
	"fmt"
	"math"
	"strings"

	"rollcall/sources"
)

// measures are the numbers by which firings may differ, those first that a
// person can set: the value has a threshold in the configuration.
var measures = []struct {
	on string
	of func(f *firing) sources.Num
}{
	{"value", (*firing).extreme},
	{"ratio", func(f *firing) sources.Num { return f.data.Ratio }},
	{"p", func(f *firing) sources.Num { return f.data.P }},
	{"z", func(f *firing) sources.Num {
		if !f.data.Z.OK {
			return f.data.Z
		}
		return sources.N(math.Abs(f.data.Z.V))
	}},
}

// separate finds the threshold that keeps every firing that led to an action and
// spares the most of the others; nil when nothing led to an action, or when no
// number is known of all of them. On a tie the value wins: it can be configured.
func separate(all []*firing) *Threshold {
	var best *Threshold
	last := &all[len(all)-1].data
	for _, m := range measures {
		if last.Signal == "" && last.Alert != "" && !last.Level.OK {
			break // its value is compared with nothing that can be set
		}
		below := isBelow(m.on, all)
		var limit float64
		keeps, of, drops := 0, 0, 0
		known := true
		for _, f := range all {
			if !f.actioned {
				of++
				continue
			}
			v := m.of(f)
			if known = v.OK; !known {
				break
			}
			if keeps++; keeps == 1 || below && v.V > limit || !below && v.V < limit {
				limit = v.V
			}
		}
		if !known || keeps == 0 {
			continue
		}
		for _, f := range all {
			if v := m.of(f); !f.actioned && v.OK && (below && v.V > limit || !below && v.V < limit) {
				drops++
			}
		}
		if best == nil || drops > best.Drops {
			best = &Threshold{On: m.on, Below: below, At: limit, Keeps: keeps, Drops: drops, Of: of}
		}
	}
	return best
}

// isBelow tells whether a number is worse the lower it is.
func isBelow(on string, all []*firing) bool {
	d := all[len(all)-1].data
	lower := d.Direction == sources.LowerWorse || d.Direction == sources.BothWorse && d.Usual.OK && d.Value.OK && d.Value.V < d.Usual.V
	switch on {
	case "p":
		return true
	case "z":
		return false
	}
	return lower
}

// Text writes the threshold in the rule's unit: "at or over 6.0%", "at p 1e-9 or less".
func (t *Threshold) Text(unit sources.Unit) string {
	side := "at or over "
	if t.Below {
		side = "at or under "
	}
	switch t.On {
	case "ratio":
		return side + strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", t.At), "0"), ".") + " times usual"
	case "p":
		return fmt.Sprintf("p at or under %.0e", t.At)
	case "z":
		return fmt.Sprintf("z at or over %.1f", t.At)
	}
	return side + unit.Format(t.At)
}
