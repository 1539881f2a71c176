// Package kit holds what the panes made of rows share: a cursor in a list, a
// table whose columns come and go with the width, the filter line, the facts
// line, the way a log line is summarised, and how times and amounts are written.
//
// Nothing here does I/O or knows a backend; text that goes in is already
// sanitised and redacted, and is made one line again where a line is drawn.
package kit
