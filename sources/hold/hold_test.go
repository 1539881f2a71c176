package hold

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
)

var t0 = time.Date(2026, 3, 4, 2, 30, 0, 0, time.UTC)

func TestAHoldEndsWhenTheServerSaidAndNoLaterThanFiveMinutes(t *testing.T) {
	for _, tc := range []struct {
		asked  time.Duration
		jitter float64
		want   time.Duration
	}{
		{30 * time.Second, 0, 30 * time.Second},
		{30 * time.Second, 0.5, 31500 * time.Millisecond},
		{24 * time.Hour, 0, Longest},
		{24 * time.Hour, 0.5, Longest + 5*time.Second},
		{-time.Second, 0.5, 0},
	} {
		var h Hold
		h.Asked(429, t0, tc.asked, tc.jitter)
		left, until, code := h.Left(t0)
		if left != tc.want || code != 429 || !until.Equal(t0.Add(tc.want)) {
			t.Errorf("asked %s: left %s until %s for %d", tc.asked, left, until, code)
		}
		if left, _, _ := h.Left(t0.Add(tc.want)); left != 0 {
			t.Errorf("asked %s: %s are left at its end", tc.asked, left)
		}
	}
}

func TestALaterEndStaysAndAnEarlierOneDoesNotShortenIt(t *testing.T) {
	var h Hold
	h.Asked(503, t0, time.Minute, 0)
	h.Asked(429, t0.Add(time.Second), time.Second, 0)
	if left, _, code := h.Left(t0); left != time.Minute || code != 503 {
		t.Errorf("left %s for %d", left, code)
	}
}

func TestAWallClockThatWasSetBackHoldsNobodyForLong(t *testing.T) {
	var h Hold
	h.Asked(503, t0, time.Minute, 0)
	if left, _, _ := h.Left(t0.Add(-24 * time.Hour)); left != 0 {
		t.Errorf("left %s", left)
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"0": 0, "7": 7 * time.Second, "99999999999": 24 * time.Hour,
		t0.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		t0.Add(-time.Hour).Format(http.TimeFormat):       0,
	} {
		if d, ok := After(http.Header{"Retry-After": {header}}, t0); !ok || d != want {
			t.Errorf("%q is %s, %v", header, d, ok)
		}
	}
	for _, header := range []string{"", "soon", "-3"} {
		if d, ok := After(http.Header{"Retry-After": {header}}, t0); ok || d != 0 {
			t.Errorf("%q is %s, %v", header, d, ok)
		}
	}
}

func TestACallWaitsOutAShortHoldAndIsNotMadeDuringALongOne(t *testing.T) {
	now := t0
	wall := func() time.Time { return now }
	wait := func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil }
	var h Hold
	h.Asked(503, now, 2*time.Second, 0)
	if err := h.Wait(t.Context(), 3*time.Second, wall, wait); err != nil || now.Sub(t0) != 2*time.Second {
		t.Errorf("short: %v after %s", err, now.Sub(t0))
	}
	h.Asked(429, now, time.Minute, 0)
	began := now
	err := h.Wait(t.Context(), 3*time.Second, wall, wait)
	var held *Held
	if !errors.As(err, &held) || err.Error() != "429 Too Many Requests, it is asked again at 02:31:02Z" || now != began {
		t.Errorf("long: %v after %s", err, now.Sub(began))
	}
	if why := h.Beyond(now, 2*time.Minute); why != nil {
		t.Errorf("whoever would wait is told %v", why)
	}
}

func TestAHoldThatIsProlongedWhileACallWaitsEndsTheCall(t *testing.T) {
	now := t0
	var h Hold
	h.Asked(503, now, time.Second, 0)
	waits := 0
	err := h.Wait(t.Context(), 3*time.Second, func() time.Time { return now }, func(_ context.Context, d time.Duration) error {
		waits++
		now = now.Add(d)
		h.Asked(503, now, time.Second, 0)
		return nil
	})
	if err == nil || waits != 3 {
		t.Errorf("%v after %d waits", err, waits)
	}
	h.Asked(503, now, time.Second, 0)
	if err := h.Wait(t.Context(), 3*time.Second, func() time.Time { return now }, func(context.Context, time.Duration) error { return context.Canceled }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
