// Package emit turns the requests of the simulated assistant into what a real
// service sends out: spans and events through the OpenTelemetry SDK over OTLP,
// and JSON log lines through Loki's push API. All personal data, keys and
// addresses in them are made up on the spot.
package emit
