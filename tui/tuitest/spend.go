package tuitest

import (
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/spend"
)

// Spend is where the failing service's money goes: the month's budget will not last, and
// an agent of one tenant loops.
func Spend(now time.Time) *spend.Report {
	hour := func(h float64) time.Time { return now.Add(time.Duration(h * float64(time.Hour))) }
	n := sources.N
	end := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	r := &spend.Report{
		From: hour(-1), To: now, Requests: 14_204, SpentUSD: n(171.9), Coverage: n(0.42), LoopRule: spend.LoopRule,
		Budgets: []spend.Budget{
			{Scope: "request", USD: 0.4, Spent: n(0.0121), Used: n(0.03), Verdict: sources.OK, Why: "mean of all; dearest $1.37, 3 over it", Who: "req_7f3a90c1", Over: 3, From: "config"},
			{Scope: "user_hour", USD: 25, Spent: n(9.2), Used: n(0.368), Verdict: sources.OK, Why: "≈ $9.20 of $25.00", Who: "user:dbf1cb507afd727f", From: "config"},
			{Scope: "hour", USD: 720, Spent: n(409), Used: n(0.568), Verdict: sources.OK, Why: "under 80%", From: "config"},
			{Scope: "day", USD: 9800, Spent: n(1131), Used: n(0.1154), Verdict: sources.OK, Why: "likely lasts until midnight; 23:10 at the earliest", From: "service", Outlook: &spend.Outlook{
				Until: midnight, Total: n(8920), Low: n(8110), High: n(9930), Early: hour(20.4), Days: 16, Method: spend.ByCourse,
			}},
			{Scope: "period", USD: 60_000, Spent: n(57_900), Used: n(0.965), Verdict: sources.Bad, Why: "runs out in 3h52m, at 06:39 (06:02 to 07:48)", From: "config", Outlook: &spend.Outlook{
				Until: end, Total: n(214_000), Low: n(171_000), High: n(266_000), Out: hour(3.87), Early: hour(3.25), Late: hour(5.02), Days: 16, Method: spend.ByCourse,
			}},
		},
		Loops: spend.Loops{N: 42, CostUSD: n(31.4), Named: []spend.Loop{
			{RequestID: "req_7f3a90c1", Time: hour(-0.2), Route: "agent", Tenant: "initech", User: "user:dbf1cb507afd727f", Count: "tool calls", Value: 59, Usual: 2, Z: 7.4, Spans: n(131), Tokens: n(402_000), ToolCalls: 59, LLMCalls: n(60), Tool: "order_lookup", Times: 57, CostUSD: n(1.37)},
			{RequestID: "req_b21c55ee", Time: hour(-0.3), Route: "agent", Tenant: "initech", User: "user:dbf1cb507afd727f", Count: "spans", Value: 97, Usual: 13, Z: 6.8, Spans: n(97), Tokens: n(291_000), ToolCalls: 44, LLMCalls: n(45), Tool: "order_lookup", Times: 41, CostUSD: n(0.98)},
			{RequestID: "req_0019aa47", Time: hour(-0.8), Route: "summarise", Tenant: "", Count: "tokens", Value: 512_000, Usual: 3900, Z: 6.1, Spans: n(11), Tokens: n(512_000), LLMCalls: n(1)},
		}, Unknown: []string{"admin"}, Unpaid: 1},
		Caches: []spend.Saving{
			{Kind: "exact", PerHour: n(18.2), Hits: 1612, HitRatio: n(0.117), Why: "hits × what a request without one costs on the same route, ≈ for all requests", Provider: "requests"},
			{Kind: "semantic", HitRatio: n(0.06), Hits: 801, Untold: 801, Why: "cannot tell: no request without a cache tells its cost on faq", Provider: "requests"},
			{Kind: "provider", PerHour: n(96.1), Hits: 8400, HitRatio: n(0.602), Why: "cached tokens × the difference of the prices; not in it: mixtral, without a price of cached tokens", Provider: "requests"},
		},
		Unpriced: []spend.Unpriced{{Model: "mixtral", Requests: 310, Tokens: 1.2e6}},
		Notes:    []string{"request rows account for 42% of the spend: what is marked ≈ takes them as a fair sample of it"},
		Facts:    sources.Facts{Source: "requests", At: now},
	}
	spender := func(attribute, value string, usd, usual float64) spend.Spender {
		s := spend.Spender{Attribute: attribute, Value: value, USD: usd, Share: n(usd / 171.9), Estimate: n(usd / 0.42), Requests: int(usd * 90)}
		if usual > 0 {
			s.Usual, s.Ratio, s.Days = n(usual), n(usd/usual), 6
		}
		return s
	}
	r.Top = []spend.Top{
		{Attribute: "tenant", Values: 9, Spenders: []spend.Spender{
			spender("tenant", "initech", 98.2, 12.1), spender("tenant", "acme", 31.4, 29.9), spender("tenant", "northwind", 20.7, 22), spender("tenant", "globex", 12.3, 0), spender("tenant", "", 2.1, 0),
		}},
		{Attribute: "user", Values: 412, Spenders: []spend.Spender{spender("user", "user:dbf1cb507afd727f", 96, 0), spender("user", "user:56e19001f8de2620", 1.2, 0)}},
		{Attribute: "model_served", Values: 3, Spenders: []spend.Spender{spender("model_served", "gpt-4.1-2025-04-14", 168, 70), spender("model_served", "gpt-4.1-mini-2025-04-14", 3.2, 3)}},
	}
	r.Line = r.Sentence()
	return r
}
