// Package sources holds the plain types that travel through rollcall: what was
// read from outside, already sanitised and redacted, together with the facts a
// person needs to judge how far it can be trusted.
//
// The folders below it read one wire protocol each, or turn what was read into
// judgement. Nothing here knows a protocol, a database or a screen.
package sources
