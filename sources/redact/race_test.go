//go:build race

package redact

func init() { hostileSize, longLine = 128<<10, 8<<20 } // the race detector makes everything ten times slower
