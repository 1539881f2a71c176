// Package e2e drives the real binaries the way a person does: through a
// pseudo-terminal and from the command line.
package e2e
