package sources

import (
	"slices"
	"testing"
)

func TestWhyARequestIsBadIsSaidOnce(t *testing.T) {
	for _, c := range []struct {
		r    Request
		want []string
	}{
		{Request{Outcome: "ok"}, nil},
		{Request{Outcome: "error"}, []string{"error"}},
		{Request{Outcome: "error", ErrorType: "timeout"}, []string{"timeout"}},
		{Request{Outcome: "error", ErrorType: "access_denied", Denied: "document_acl"}, []string{"access denied: document_acl"}},
		{Request{Outcome: "error", ErrorType: "timeout", Denied: "true"}, []string{"timeout", "access denied"}},
		{Request{Outcome: "ok", Denied: "tenant"}, []string{"access denied: tenant"}},
		{Request{Outcome: "error", ErrorType: "schema_validation", Schema: "fail", Feedback: "down"}, []string{"schema_validation", "thumbs down"}},
		{Request{Outcome: "ok", ErrorType: "schema_validation", Schema: "fail"}, []string{"schema"}},
		{Request{Outcome: "error", ErrorType: "content_filter", Filter: "block"}, []string{"content_filter"}},
	} {
		if got := c.r.Why(); !slices.Equal(got, c.want) {
			t.Errorf("%+v is bad for %q, want %q", c.r, got, c.want)
		}
	}
}
