// Package promapi is the drill's metric server: Prometheus' own storage engine
// and query engine behind the Prometheus HTTP API, without a scraper. The
// simulator writes history with Backfill, then live samples with Batch; whoever
// speaks to Prometheus reads them back through Handler.
//
//	db.go       opening and closing the database, the clock, readiness
//	series.go   handles of series
//	batch.go    live samples
//	backfill.go history, day by day
//	block.go    one day of history as files of the storage engine
//	http.go     routes, the answer envelope, errors
//	params.go   request parameters
//	query.go    query and query_range
//	meta.go     series, labels, label values, metadata
//	status.go   build and runtime information, rules, alerts, targets
//	write.go    samples of others, by remote write
//	encode.go   PromQL values as JSON
//
// The handlers of the Prometheus server itself are not used: they read the wall
// clock where a drill needs service time, and they bring in the scraper, the
// rule manager, the notifier and remote storage, which nobody calls here.
package promapi
