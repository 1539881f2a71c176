package e2e

import (
	"flag"
	"os"
	"runtime"
	"strconv"
	"testing"
)

// Drills mostly wait for the time to come: one more of them than there are processors keeps these busy.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f != nil && f.Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = f.Value.Set(strconv.Itoa(runtime.GOMAXPROCS(0) + 1))
	}
	os.Exit(m.Run())
}
