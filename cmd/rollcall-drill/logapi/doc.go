// Package logapi is the drill's log server. It keeps recent lines in memory and
// answers the part of the Loki HTTP API and of LogQL that the console uses; what
// it does not know it rejects by name, so that nobody mistakes a missing feature
// for a missing line.
//
//	server.go         options, routes, closing
//	labels.go         label sets
//	push.go           receiving: JSON and protobuf bodies
//	discover.go       labels that Loki adds to what it receives
//	stream.go         the lines of one stream, in time order and bounded
//	store.go          all streams, and who follows them
//	lexer.go          LogQL tokens with their positions
//	parser.go         LogQL grammar: selectors and metric expressions
//	parser_stages.go  the same: pipelines
//	ast.go            what a parsed query is
//	pipeline.go       line filters, parsers and unwrap at work on a line
//	filter.go         label filters
//	extract.go        json and logfmt
//	logs.go           log queries: which lines, in which order, up to which limit
//	samples.go        from lines to samples, and functions over a window of them
//	metric.go         metric queries: aggregation and arithmetic step by step
//	http.go           query endpoints and errors
//	params.go         parameters of requests
//	encode.go         answers as JSON
//	tail.go           following over a websocket
//
// The subset of LogQL: stream selectors; the line filters |= != |~ !~ with "or";
// json and logfmt without arguments; label filters on strings, numbers,
// durations and sizes joined by "and", "or", "," and parentheses; unwrap with
// duration, duration_seconds and bytes; functions over a range (rate,
// count_over_time, bytes_rate, bytes_over_time, and over unwrapped values rate,
// sum, avg, min, max, first, last, stddev, stdvar and quantile _over_time) with
// offset; sum, min, max, avg and count, by or without labels; + - * / between
// metric expressions and numbers; "or", and vector(n).
package logapi
