package nearest

import "testing"

func TestATypoFindsItsWordAndAStrangeWordFindsNone(t *testing.T) {
	known := []string{"timeout", "effect", "reconcile"}
	for word, want := range map[string]string{
		"timeuot": "timeout", "efect": "effect", "reconsile": "reconcile", "effects": "effect", "banana": "", "": "",
	} {
		if got := Word(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
