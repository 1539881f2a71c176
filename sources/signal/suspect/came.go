package suspect

import (
	"slices"

	"rollcall/sources"
)

const (
	within   = 0.95 // of a suspect's bad requests since the trouble began must carry a version that is to be named with it
	stray    = 0.02 // and no more than this of its requests before
	settling = 5    // requests of the suspect from before that are enough to say so
)

// candidate is a suspect with its rows.
type candidate struct {
	Suspect
	on bits
}

// settled are attributes that say who asks for what, and where. They do not change by
// themselves: where their requests turn bad, something was done to them.
var settled = []string{"tenant", "user", "user_group", "route", "region", "environment", "prompt_name"}

func settledOnly(list []sources.Attribute) bool {
	return !slices.ContainsFunc(list, func(a sources.Attribute) bool { return !slices.Contains(settled, a.Name) })
}

// isVersion tells whether an attribute is what a component, or the provider, was changed to.
func isVersion(name string) bool { return preference(name) <= preference("model_served") }

// came names a version together with those whom it hit: where a suspect says only who
// asked, all their bad requests carry a version, none of theirs carried it before the
// trouble, and with the version they are bad more often than without. That the version
// came first is what tells it from a mere coincidence; how close, the caller decided
// when it said which rows are from before.
func came(list []candidate, versions []*group, r rows, s *split) {
	for i := range list {
		c := &list[i]
		if !settledOnly(c.Attributes) {
			continue
		}
		var best *group
		var most, p float64
		for _, v := range versions {
			if g, chance := s.brought(c.on, v.first.on); g > most {
				best, most, p = v, g, chance*float64(len(list)*len(versions))
			}
		}
		if best == nil || p > Alpha {
			continue
		}
		on := c.on.and(best.first.on)
		named := r.suspect(append([]sources.Attribute{best.first.Attribute}, c.Attributes...), on.both(s.bad), on.both(s.good), max(c.P, p))
		if !named.worth() {
			continue
		}
		for _, same := range best.others {
			if !slices.Contains(named.Attributes, same.Attribute) {
				named.Same = append(named.Same, same.Attribute)
			}
		}
		*c = candidate{named, on}
	}
}

// brought is how much more often the requests of a suspect are bad with a version than
// without it, as the statistic G and its probability; 0 where the version did not come
// with the trouble.
func (s *split) brought(who, version bits) (g, p float64) {
	bad, good := who.and(s.bad), who.and(s.good)
	badBefore, goodBefore := bad.and(s.badBefore), good.and(s.goodBefore)
	r := rows{bad: bad.count(), good: good.count()}
	before := badBefore.count() + goodBefore.count()
	since := r.bad - badBefore.count()
	if since < leastRows || r.good < leastRows || before < settling {
		return 0, 1
	}
	with := rows{bad: bad.both(version), good: good.both(version)}
	if early := badBefore.both(version) + goodBefore.both(version); float64(early) > stray*float64(before) ||
		float64(with.bad-badBefore.both(version)) < within*float64(since) || r.effect(with.bad, with.good) <= 0 {
		return 0, 1
	}
	return r.g(with.bad, with.good), r.test(with.bad, with.good)
}
