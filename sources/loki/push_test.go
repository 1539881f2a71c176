package loki

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/sources"
)

// pusher is a pusher to the Loki of the contract tests, and a client to read it.
func pusher(t *testing.T) (*Pusher, *Client) {
	t.Helper()
	at := place(t)
	p, err := NewPusher(Config{URL: at})
	if err != nil {
		t.Fatal(err)
	}
	return p, client(t, Config{URL: at})
}

func TestContractWhatWasPushedIsThereWhenPushReturns(t *testing.T) {
	p, c := pusher(t)
	j, now := job(t), time.Now()
	var lines []PushLine
	for i := range 1500 {
		lines = append(lines, PushLine{
			Labels: map[string]string{"job": j, "kind": []string{"note", "run"}[i%2]}, Time: now.Add(time.Duration(i-3000) * time.Millisecond),
			Line: fmt.Sprintf(`{"seq":%d,"text":"%s"}`, i, strings.Repeat("x", 1000)), // several batches
		})
	}
	if err := p.Push(t.Context(), lines); err != nil {
		t.Fatal(err)
	}
	var list sources.LogList
	until(t, "all lines", func() bool {
		var err error
		list, err = c.QueryRange(t.Context(), sources.LogQuery{Query: selector(j), Since: now.Add(-time.Minute), Until: now.Add(time.Minute), Limit: 5000})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Lines) == len(lines)
	})
	for i, l := range list.Lines {
		if !strings.HasPrefix(l.Line, fmt.Sprintf(`{"seq":%d,`, i)) || !l.Time.Equal(lines[i].Time) || l.Labels["kind"] != lines[i].Labels["kind"] {
			t.Fatalf("line %d is %v at %v", i, l.Line[:20], l.Time)
		}
	}
}

func TestAPushThatFailsSaysWhetherToTryAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		codes   []int // of each try
		refused bool
		fine    bool
	}{
		"too old":                     {codes: []int{400}, refused: true},
		"no access":                   {codes: []int{401}},
		"overloaded, then not":        {codes: []int{429, 204}, fine: true},
		"broken for all of the tries": {codes: []int{500, 503, 500}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tries atomic.Int32
			var tenant, custom atomic.Value
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tenant.Store(r.Header.Get("X-Scope-OrgID"))
				custom.Store(r.Header.Get("X-Team"))
				n := int(tries.Add(1)) - 1
				w.WriteHeader(tc.codes[min(n, len(tc.codes)-1)])
				_, _ = w.Write([]byte("entry \x1b[31mtoo far behind\nsecond line"))
			}))
			defer s.Close()
			p, err := NewPusher(Config{URL: s.URL + "/", Headers: map[string]string{"X-Scope-OrgID": "team-a", "X-Team": "b"}})
			if err != nil {
				t.Fatal(err)
			}
			err = p.Push(t.Context(), []PushLine{{Labels: map[string]string{"job": "x"}, Time: time.Now(), Line: "y"}})
			if (err == nil) != tc.fine || errors.Is(err, ErrRefused) != tc.refused {
				t.Errorf("%v", err)
			}
			if err != nil && (strings.ContainsAny(err.Error(), "\x1b\n") || !strings.Contains(err.Error(), s.URL)) {
				t.Errorf("not one harmless line: %q", err)
			}
			if int(tries.Load()) != len(tc.codes) {
				t.Errorf("%d tries", tries.Load())
			}
			if tenant.Load() != "team-a" || custom.Load() != "b" {
				t.Errorf("headers: tenant %v, custom %v", tenant.Load(), custom.Load())
			}
		})
	}
}

func TestWhoGivesUpOnAPushIsNotHeld(t *testing.T) {
	asked, let := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-let
	}))
	defer s.Close()
	defer close(let)
	p, err := NewPusher(Config{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if err := p.Push(ctx, []PushLine{{Labels: map[string]string{"job": "x"}, Time: time.Now(), Line: "y"}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := p.Push(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
