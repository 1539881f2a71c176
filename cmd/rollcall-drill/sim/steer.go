package sim

import (
	"fmt"
	"maps"
	"math"
	"strings"
)

// SetQueueing sets how requests wait.
func (c *Control) SetQueueing(q Queueing) error {
	if q.MaxDepth < 0 || q.MaxDepth > 100000 {
		return fmt.Errorf("%w: max_depth %d; it is from 0 to 100000 requests", ErrRejected, q.MaxDepth)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setQueueing(q)
	return nil
}

func (c *Control) setQueueing(q Queueing) {
	if q != c.set.queueing {
		was := c.set.queueing
		c.set.queueing = q
		c.note(Change{c.now(), "queueing", was.String(), q.String(), actorAdmin})
	}
}

// SetBudget sets one budget in US dollars and whether requests over it are refused.
func (c *Control) SetBudget(scope string, usd float64, enforce bool) error {
	if budgetIndex(scope) < 0 {
		return fmt.Errorf("%w budget %q; there are %s", ErrUnknown, scope, strings.Join(budgetScopes[:], ", "))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setBudget(scope, usd, enforce)
}

func (c *Control) setBudget(scope string, usd float64, enforce bool) error {
	if !(usd >= 0 && usd <= 1e9) {
		return fmt.Errorf("%w: a budget of %g USD; it is from 0 to 1e9", ErrRejected, usd)
	}
	i := budgetIndex(scope)
	was := budgetWords(c.set.budgets[i], c.set.enforce[scope])
	c.set.enforce = maps.Clone(c.set.enforce)
	c.set.budgets[i] = usd
	c.set.enforce[scope] = enforce
	if is := budgetWords(usd, enforce); is != was {
		c.note(Change{c.now(), "budget " + scope, was, is, actorAdmin})
	}
	return nil
}

// leave sets budgets to what was spent so far and something on top.
func (c *Control) leave(left, spent map[string]float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for scope, usd := range left {
		c.set.budgets[budgetIndex(scope)] = math.Ceil(spent[scope] + usd)
		c.ledger.budgets = c.set.budgets
		c.revision++
		c.moved[budgetSetting+scope]++
	}
}

// StartCanary gives a share of the traffic to a canary with these versions.
func (c *Control) StartCanary(versions map[string]string, share float64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var canary Versions
	for name, v := range versions {
		i, err := component(name)
		if err != nil {
			return err
		}
		if c.scenario.version(i, v) == nil {
			return fmt.Errorf("%w: %s has no version %q; known are %s", ErrVersion, name, v, strings.Join(c.scenario.names(i), ", "))
		}
		canary[i] = v
	}
	if c.set.share > 0 {
		return fmt.Errorf("%w: a canary has %g%% of the traffic; end it first", ErrRejected, 100*c.set.share)
	}
	was := c.set.canary
	c.set.canary = canary
	if err := c.setCanary(share); err != nil {
		c.set.canary = was
		return err
	}
	return nil
}

// SetCanary sets the share of traffic that the canary gets; 0 ends it, and 1 makes
// its versions the live ones.
func (c *Control) SetCanary(share float64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setCanary(share)
}

func (c *Control) setCanary(share float64) error {
	switch {
	case c.set.canary == Versions{}:
		return fmt.Errorf("%w: there is no canary to give traffic to", ErrRejected)
	case !(share >= 0 && share <= 1):
		return fmt.Errorf("%w: a share of %g; it is from 0 to 1", ErrRejected, share)
	}
	if was := c.set.share; was != share {
		at := c.now()
		switch {
		case share == 1:
			c.before = c.set.live
			c.moveAll(c.set.canary, at, actorDeploy) // nobody moved a pin: they follow the traffic
		case was == 1:
			// What somebody moved since then stays.
			var back Versions
			for i, v := range c.set.canary {
				if v != "" && v == c.set.live[i] {
					back[i] = c.before[i]
				}
			}
			c.moveAll(back, at, actorDeploy)
		}
		c.set.share = share
		c.note(Change{at, StageCanary, fmt.Sprintf("%g%%", 100*was), fmt.Sprintf("%g%%", 100*share), actorAdmin})
	}
	return nil
}
