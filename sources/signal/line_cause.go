package signal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/suspect"
)

const (
	causeBefore = 30 * time.Minute // how long before a signal went bad its cause may lie
	causeAfter  = 5 * time.Minute  // and how long after: a value looks back over a window
	sameTime    = 2 * time.Minute  // changes closer than this are told apart by what they can cause
)

// unseenStart is what can be said about the cause of what began before the range:
// which change was the last one until then, without a claim that it is near.
func unseenStart(snap *Snapshot, r *sources.Reading) string {
	for _, c := range slices.Backward(snap.Changes) { // oldest first
		if !c.At.After(r.Since) {
			text, _ := changeText(c, snap)
			return "Last change before that: " + strings.TrimPrefix(lower(strings.TrimSuffix(text, ".")), "change: ") + "; a longer range shows when it began."
		}
	}
	return "A longer range shows when it began, and after which change."
}

// likeliest is the change closest before a signal went bad, or else closest
// after; of changes made together, the one that most often causes this.
func likeliest(changes []sources.Change, r *sources.Reading, sig *Signal) *sources.Change {
	if r.Since.IsZero() {
		return nil
	}
	relevance := func(c sources.Component) int {
		if i := slices.Index(sig.Causes, c); i >= 0 {
			return i
		}
		return len(sig.Causes)
	}
	distance := func(c sources.Change) (time.Duration, bool) {
		d := r.Since.Sub(c.At)
		switch {
		case d >= 0 && d <= causeBefore:
			return d, true
		case d < 0 && -d <= causeAfter:
			return causeBefore - d, true
		}
		return 0, false
	}
	var best *sources.Change
	var bestAt time.Duration
	for i := range changes {
		d, ok := distance(changes[i])
		if !ok {
			continue
		}
		closer := best == nil || d < bestAt-sameTime
		tied := best != nil && (d-bestAt).Abs() <= sameTime
		if closer || tied && relevance(changes[i].Component) < relevance(best.Component) ||
			tied && changes[i].Component == best.Component && d < bestAt {
			c := changes[i]
			best, bestAt = &c, d
		}
	}
	return best
}

// supported is the change whose result the bad requests have in common: the one
// at hand if it is among those that explain most, else another.
func supported(changes []sources.Change, x *Explanation, cause *sources.Change) (*sources.Change, *suspect.Suspect) {
	brings := func(s *suspect.Suspect, c *sources.Change) bool {
		if c.Silent {
			return s.Has(sources.Attribute{Name: "model_served", Value: c.To})
		}
		return c.To != "" && s.Has(sources.Attribute{Name: string(c.Component), Value: c.To})
	}
	for i := range x.Suspects {
		s := &x.Suspects[i]
		if s.Explained < x.Suspects[0].Explained/3 {
			break
		}
		if cause != nil && brings(s, cause) {
			return cause, s
		}
		for _, c := range slices.Backward(changes) {
			if !c.At.Before(x.From) && brings(s, &c) {
				return &c, s
			}
		}
	}
	return nil, nil
}

// suspectText makes a change the suspect that it was shown to be. Where that holds
// for some requests only, the figures are theirs.
func suspectText(change string, s *suspect.Suspect) []string {
	text := strings.TrimSuffix(change, ".")
	if rest, ok := strings.CutPrefix(text, "Change: "); ok {
		text = "Suspect: " + rest
	} else {
		text = "Suspect: " + lower(text)
	}
	if of := s.Whom(); of != "" {
		return []string{text + ".", "Most of all with " + of + " " + versus(s) + "."}
	}
	if head, undone, ok := strings.Cut(text, ", undone at "); ok {
		return []string{head + " " + versus(s) + ", undone at " + undone + "."}
	}
	return []string{text + " " + versus(s) + "."}
}

// versus is how many of the bad and of the good requests carry a suspect.
func versus(s *suspect.Suspect) string {
	return "(" + percent(s.Coverage) + " vs " + percent(s.Share) + ")"
}

func changeText(c sources.Change, snap *Snapshot) (text string, undone bool) {
	at := clockTime(c.At, snap.At)
	switch {
	case c.Silent:
		text = fmt.Sprintf("Silent change: served model %s→%s at %s", c.From, c.To, at)
	case c.Stage == "canary" || c.Stage == "shadow":
		text = fmt.Sprintf("Change: %s %s→%s (%s) at %s", c.Component, c.From, c.To, c.Stage, at)
	default:
		text = fmt.Sprintf("Change: %s %s→%s at %s", c.Component, c.From, c.To, at)
	}
	for _, later := range snap.Changes {
		if later.At.After(c.At) && later.Component == c.Component && later.Silent == c.Silent && later.From == c.To && later.To == c.From {
			return text + ", undone at " + clockTime(later.At, snap.At) + ".", true
		}
	}
	return text + ".", false
}
