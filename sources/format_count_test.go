package sources

import "testing"

func TestNumbersAreWrittenWithWhatTheyCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 request": Counted(1, "request"), "0 requests": Counted(0, "request"), "4,022 requests": Counted(4022, "request"),
		"1 entry": Counted(1, "entry"), "2 entries": Counted(2, "entry"), "3 days": Counted(3, "day"), "-1,000": Thousands(-1000), "999": Thousands(999), "1,000,000": Thousands(1e6),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
