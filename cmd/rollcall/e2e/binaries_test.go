package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// binaries returns the folder that holds both binaries: $ROLLCALL_BIN when set
// (make test builds them first), else they are built once for this run.
func binaries(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("end-to-end tests are left out with -short")
	}
	if dir := os.Getenv("ROLLCALL_BIN"); dir != "" {
		return dir
	}
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rollcall-e2e-")
	if err != nil {
		return "", err
	}
	for name, from := range map[string]string{"rollcall": "..", "rollcall-drill": filepath.Join("..", "..", "rollcall-drill")} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), ".")
		cmd.Dir, cmd.Stderr = from, os.Stderr
		if err := cmd.Run(); err != nil {
			return "", err
		}
	}
	return dir, nil
})
