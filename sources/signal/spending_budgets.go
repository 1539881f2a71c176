package signal

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rollcall/sources"
	"rollcall/sources/signal/spend"
)

// reportBudgets puts every budget there is into a report, with what was spent of it.
func (r *run) reportBudgets(ctx context.Context, snap *Snapshot, rep *spend.Report) {
	l, spentErr := r.today(ctx)
	if spentErr != nil {
		rep.Notes = append(rep.Notes, "spend: "+spentErr.Error())
	} else if l.facts.Partial != "" {
		rep.Notes = append(rep.Notes, "spend is no more than a part: "+l.facts.Partial)
	}
	for _, scope := range strings.Fields(budgetScopes) {
		usd, from, err := r.budgetFrom(ctx, scope)
		if err != nil {
			var absent errNotExposed
			if !errors.As(err, &absent) {
				rep.Notes = append(rep.Notes, spend.ScopeWords(scope)+" budget: "+err.Error())
			}
			continue
		}
		b := spend.Budget{Scope: scope, USD: usd, From: from, Verdict: sources.NotExposed, Why: "spend is not known"}
		if own := r.svc.Budget.of(scope); from == "service" && own > 0 {
			rep.Notes = append(rep.Notes, "the service's own budget of the "+spend.ScopeWords(scope)+" is lower than that of the configuration, "+format(own, sources.USD)+", and counts")
		}
		r.reportBudget(ctx, snap, rep, l, &b)
		if b.Spent.OK {
			b.Used = sources.N(b.Spent.V / usd)
		}
		rep.Budgets = append(rep.Budgets, b)
	}
}

func (r *run) reportBudget(ctx context.Context, snap *Snapshot, rep *spend.Report, l *ledger, b *spend.Budget) {
	judged := func(id string) bool {
		x, _ := snap.Reading(id)
		if !x.Known {
			if x.Verdict != "" {
				b.Verdict, b.Why = x.Verdict, x.Why
			}
			return false
		}
		b.Verdict, b.Why, b.Spent = x.Verdict, x.Why, sources.N(x.Value*b.USD)
		return true
	}
	switch b.Scope {
	case "request":
		known := judged("budget_request")
		if known {
			b.Why = "mean of all"
		}
		parts := r.e.spending.parts(r.svc.name, rep.From, rep.To)
		if id, usd, over, ok := spend.Dearest(parts, b.USD); ok {
			if !known {
				b.Verdict, b.Why = sources.OK, ""
			}
			b.Who, b.Over = id, over
			b.Why = strings.TrimPrefix(fmt.Sprintf("%s; dearest %s, %d over it", b.Why, format(usd, sources.USD), over), "; ")
		}
	case "user_hour":
		if judged("budget_user_hour") {
			x, _ := snap.Reading("budget_user_hour")
			if x.Provenance.Provider == "requests" {
				b.Who = x.Detail
				look := r.look(ctx, r.now.Add(-spendLeast))
				_, _, b.Over, _ = spend.Users(look.Parts, b.USD/look.Factor())
			} else {
				b.Why += " (" + x.Detail + ")"
			}
		}
	case "hour":
		judged("budget_hour")
	case "day":
		if l == nil {
			return
		}
		o := r.dayOutlook(ctx, l, b.USD)
		b.Spent, b.Outlook = sources.N(l.between(midnight(r.now), l.end)+l.tail), &o
		b.Verdict, b.Why = budgetVerdict(r.svc.signal("budget_used"), b.Spent.V/b.USD, o, r.now, "midnight")
		// What will be spent counts here as much as what was: the two are one line.
		if f, ok := snap.Reading("budget_forecast"); ok && worse(f.Verdict, sources.OK) && f.Verdict.Worse(b.Verdict) {
			b.Verdict = f.Verdict
		}
	case "period":
		if l == nil {
			return
		}
		_, first, spent, err := r.month(ctx, l)
		if err != nil {
			b.Why = err.Error()
			return
		}
		o := r.periodOutlook(ctx, l, first, spent, b.USD)
		b.Spent, b.Outlook = sources.N(spent), &o
		b.Verdict, b.Why = budgetVerdict(r.svc.signal("budget_used"), spent/b.USD, o, r.now, "the end of the month")
	}
}
