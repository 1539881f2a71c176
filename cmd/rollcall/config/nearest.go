package config

import "rollcall/sources/nearest"

// Nearest returns the candidate that a mistyped word most likely means, or "".
func Nearest(word string, candidates []string) string { return nearest.Word(word, candidates) }
