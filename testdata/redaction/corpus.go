// Package redaction holds the redaction corpus: for each kind of secret one
// file that states what must and what must not be replaced.
//
// A ¦ in a text is dropped when the file is read. It keeps the made-up keys
// from being taken for real ones by the scanners of code hosts.
package redaction

import "embed"

// Files are the corpus files, <kind>.yaml.
//
//go:embed *.yaml
var Files embed.FS
