package journal

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// childEnv makes the test binary a writer: it appends for ever, and says on
// standard output what was acknowledged.
const childEnv = "ROLLCALL_TEST_JOURNAL"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		fmt.Fprintln(os.Stderr, appendForEver(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func appendForEver(path string) error {
	ctx := context.Background()
	j, err := Open(ctx, path, options(newClock()))
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		d := note(strings.Repeat("x", 1+i%3000))
		if i%7 == 0 {
			d.Artifacts = []Artifact{{Name: "output.txt", Type: "text/plain", Body: []byte(strings.Repeat("line\n", 4000))}}
		}
		es, err := j.Append(ctx, d, note("the second of two"))
		if err != nil {
			return err
		}
		for _, e := range es {
			fmt.Printf("%d %s\n", e.Seq, e.Hash)
		}
		if i%50 == 49 {
			if _, err := j.Erase(ctx, []int64{es[0].Seq}, "to be erased"); err != nil {
				return err
			}
		}
	}
}

func TestAKilledWriterLosesNothingThatWasAcknowledged(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	path := temp(t)
	rng := rand.New(rand.NewPCG(1, 2))
	acked := map[int64]string{}
	for round := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path)
		out := must[io.ReadCloser](t)(cmd.StdoutPipe())
		var trouble strings.Builder
		cmd.Stderr = &trouble
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It is killed once it has acknowledged so many; it is then anywhere in what follows.
		lines := bufio.NewScanner(out)
		until := 1 + rng.IntN(60)
		for n := 0; lines.Scan(); n++ {
			var seq int64
			var hash string
			if _, err := fmt.Sscanf(lines.Text(), "%d %s", &seq, &hash); err == nil && len(hash) == 64 {
				acked[seq] = hash
			}
			if n == until {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait()
		if trouble.Len() > 0 {
			t.Fatalf("round %d: the writer ended by itself: %s", round, trouble.String())
		}
		j, err := Open(t.Context(), path, options(newClock()))
		if err != nil {
			t.Fatal(err)
		}
		r := must[Report](t)(j.Verify(t.Context(), nil, nil))
		if !r.OK {
			t.Fatalf("round %d: %+v", round, r)
		}
		after := int64(0)
		found := 0
		for {
			es := must[[]Entry](t)(j.Entries(t.Context(), Filter{After: after}))
			if len(es) == 0 {
				break
			}
			for _, e := range es {
				if want, ok := acked[e.Seq]; ok {
					if found++; e.Hash != want {
						t.Fatalf("round %d: entry %d is not the acknowledged one", round, e.Seq)
					}
				}
			}
			after = es[len(es)-1].Seq
		}
		if found != len(acked) {
			t.Fatalf("round %d: of %d acknowledged entries %d are there", round, len(acked), found)
		}
		_ = j.Close()
	}
	t.Logf("%d kills, %d acknowledged entries", rounds, len(acked))
}
