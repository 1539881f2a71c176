package journal

import (
	"syscall"
	"testing"
)

// dropPowers makes the calling thread's file accesses those of nobody.
func dropPowers(t *testing.T) bool {
	t.Helper()
	const nobody = 65534
	// The kernel takes the thread's power over file modes away with the user.
	return syscall.Setfsgid(nobody) == nil && syscall.Setfsuid(nobody) == nil
}
