//go:build !linux

package main

import "context"

// whenParentDies has nothing to go by here; the end of the input does.
func whenParentDies(context.Context, func()) {}
