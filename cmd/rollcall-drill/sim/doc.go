// Package sim is the simulated support assistant: requests of tenants on four
// routes go through eight stages, cost tokens and money, and come out well or
// badly depending on what the assistant's manifest pins and on the scenario.
//
// There is one model. Live, the Engine steps through service time second by
// second and draws every request; counting them gives the metrics, and a uniform
// share of them, picked by a hash of the request, is handed to a Sink that
// turns them into traces and logs. For the days before, History draws a large
// reference sample from the same model once and lets every step move each
// series by a Poisson number of what one request moves it by on average.
//
// Everything is a function of seed, scenario and the offset from the start of
// the drill. Wall time enters only through when the Engine is asked to step.
package sim
