package main

import (
	"time"

	"rollcall/cmd/rollcall-drill/promapi"
	"rollcall/cmd/rollcall-drill/sim"
)

// scraper writes what the service exposes into the metric database, as a
// Prometheus that scrapes it would: a series that is not exposed any more gets a
// stale marker, and a counter that is new gets a zero at its creation, so that
// its first increments count.
type scraper struct {
	db      *promapi.DB
	batch   *promapi.Batch
	handles map[*sim.Metric]*handle
	pass    uint64
	seen    int  // series of this pass
	before  int  // series of the pass before
	moved   bool // a series began in this pass
	last    time.Time
}

type handle struct {
	series *promapi.Series
	seen   uint64
}

func newScraper(db *promapi.DB) *scraper {
	for _, d := range sim.Descriptions() {
		db.Describe(d.Name, d.Kind, d.Help, d.Unit)
	}
	return &scraper{db: db, batch: db.Batch(), handles: map[*sim.Metric]*handle{}}
}

func (s *scraper) handle(m *sim.Metric) (h *handle, fresh bool) {
	h = s.handles[m]
	if h == nil {
		h = &handle{series: s.db.Series(m.Name, m.Labels...)}
		s.handles[m], fresh = h, true
	}
	if h.seen+1 != s.pass {
		s.moved = true
	}
	h.seen = s.pass
	s.seen++
	return h, fresh
}

func (s *scraper) begin() {
	s.pass++
	s.before, s.seen, s.moved = s.seen, 0, false
}

// ended walks the series that the last pass saw and this one did not.
func (s *scraper) ended(see func(*promapi.Series)) {
	if s.seen == s.before && !s.moved {
		return
	}
	for _, h := range s.handles {
		if h.seen+1 == s.pass {
			see(h.series)
		}
	}
}

// history passes one step of history on to the backfill.
func (s *scraper) history(fill func(see func(*sim.Metric, float64)), add func(*promapi.Series, float64)) {
	s.begin()
	fill(func(m *sim.Metric, v float64) {
		h, _ := s.handle(m)
		add(h.series, v)
	})
	s.ended(func(series *promapi.Series) { add(series, promapi.StaleMarker()) })
}

// live writes one scrape.
func (s *scraper) live(t time.Time, gather func(see func(*sim.Metric, float64))) error {
	s.begin()
	gather(func(m *sim.Metric, v float64) {
		h, fresh := s.handle(m)
		if fresh && !m.Gauge && v != 0 && !s.last.IsZero() {
			s.batch.Add(h.series, s.last, 0)
		}
		s.batch.Add(h.series, t, v)
	})
	s.ended(func(series *promapi.Series) { s.batch.Stale(series, t) })
	s.last = t
	return s.batch.Commit()
}
