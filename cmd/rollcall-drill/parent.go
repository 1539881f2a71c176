package main

import "io"

// whenInputEnds calls gone once the input ends: the launcher holds the other end
// of the pipe open as long as it lives.
func whenInputEnds(in io.Reader, gone func()) {
	_, _ = io.Copy(io.Discard, in) // an error ends it as well
	gone()
}
