package otlp

import (
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// misplaced is a secret of each form, as somebody puts it where an ID is expected.
var misplaced = map[string]struct{ value, secret string }{
	"api-key":        {"sk-proj-" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4", "a1B2c3D4e5F6"},
	"aws":            {"AKIA" + "IOSFODNN7EXAMPLE", "IOSFODNN7"},
	"jwt":            {"eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N", "dozjgNry"},
	"private-key":    {"-----BEGIN " + "PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n-----END " + "PRIVATE KEY-----", "MIIEvQ"},
	"password":       {"postgres://app:s3cr3t@db.internal/app", "s3cr3t"},
	"email":          {"alice@example.com", "alice"},
	"auth":           {"Bearer aB3dE6gH9jK2mN5p", "aB3dE6gH9jK2"},
	"card with gaps": {"4111 1111 1111 1111", "1111 1111"},
	"base64":         {"YWxpY2VAZXhhbXBsZS5jb20=", "YWxpY2V"},
}

func TestASecretUnderAKeyThatHoldsIDsIsNotKept(t *testing.T) {
	for kind, m := range misplaced {
		t.Run(kind, func(t *testing.T) {
			td := ptrace.NewTraces()
			rs := td.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr("service.name", m.value)
			rs.Resource().Attributes().PutStr("service.version", m.value)
			s := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
			s.SetTraceID(pcommon.TraceID{1})
			keys := []string{"llmops.tenant", "llmops.request.id", "gen_ai.response.id", "gen_ai.prompt.version", "session.id", "id", "http.route", "gen_ai.request.model", "error.type"}
			for _, k := range keys {
				s.Attributes().PutStr(k, m.value)
			}
			s.Attributes().PutStr("gen_ai.retrieval.documents", `[{"id":"`+strings.ReplaceAll(m.value, "\n", `\n`)+`","score":0.5}]`)
			batch, _ := traces(td, redactor(t))
			res := batch.Spans[0].Resource
			all := res.Service
			for _, a := range append(batch.Spans[0].Attrs, res.Attrs...) {
				all += "\n" + a.Key + "=" + a.Value
			}
			if strings.Contains(all, m.secret) {
				t.Errorf("%q is kept:\n%s", m.secret, all)
			}

			ld := plog.NewLogs()
			rec := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
			rec.SetEventName("gen_ai.evaluation.result")
			rec.Attributes().PutStr("gen_ai.response.id", m.value)
			events, _ := logs(ld, redactor(t))
			if got := events.Events[0]; strings.Contains(got.ResponseID, m.secret) {
				t.Errorf("the event belongs to response %q", got.ResponseID)
			}
		})
	}
}

func TestIDsOfManySpansSurviveAndSecretsAmongThemAreNumberedWithTheirTrace(t *testing.T) {
	td := ptrace.NewTraces()
	ss := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty()
	key := misplaced["api-key"].value
	for i := range 3 {
		s := ss.Spans().AppendEmpty()
		s.SetTraceID(pcommon.TraceID{byte(i/2 + 1)})
		s.Attributes().PutStr("llmops.request.id", "4111111111111111")
		s.Attributes().PutStr("llmops.tenant", key)
		s.Attributes().PutStr("note", "used "+key)
	}
	batch, _ := traces(td, redactor(t))
	for i := range batch.Spans {
		get := func(k string) string { v, _ := batch.Spans[i].Attrs.Get(k); return v }
		if get("llmops.request.id") != "4111111111111111" || get("llmops.tenant") != "<api-key:1>" || get("note") != "used <api-key:1>" {
			t.Errorf("span %d has %v", i, batch.Spans[i].Attrs)
		}
	}
}
