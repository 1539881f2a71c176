package promapi

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
)

// Series is the handle of one series. It stays valid as long as its database.
type Series struct {
	db     *DB
	id     int
	labels labels.Labels
	ref    atomic.Uint64 // in the live storage; zero before the first sample
}

// String is the series as PromQL writes it.
func (s *Series) String() string { return s.labels.String() }

// StaleMarker is the value that ends a series at its time: queries from there
// on do not see it, instead of repeating its last value for five minutes.
// Backfill takes it as a sample's value; a Batch has Stale.
func StaleMarker() float64 { return math.Float64frombits(value.StaleNaN) }

// catalogue knows every series by its labels, and what metrics mean.
type catalogue struct {
	mu     sync.RWMutex
	series map[string]*Series
	about  map[string]metadata
}

type metadata struct {
	Type string `json:"type"`
	Help string `json:"help"`
	Unit string `json:"unit"`
}

// Series returns the handle of the series of that metric with those label names
// and values, in pairs and any order. A label with an empty value is the same as
// no label. The same labels give the same handle. An odd number of pairs or an
// invalid name is a mistake in the program and panics.
func (db *DB) Series(name string, labelPairs ...string) *Series {
	if len(labelPairs)%2 != 0 {
		panic(fmt.Sprintf("promapi: series %s: label names and values must come in pairs, got %d strings", name, len(labelPairs)))
	}
	b := labels.NewBuilder(labels.EmptyLabels())
	b.Set(model.MetricNameLabel, name)
	if !model.UTF8Validation.IsValidMetricName(name) {
		panic(fmt.Sprintf("promapi: %q is not a metric name", name))
	}
	for i := 0; i < len(labelPairs); i += 2 {
		if !model.UTF8Validation.IsValidLabelName(labelPairs[i]) {
			panic(fmt.Sprintf("promapi: series %s: %q is not a label name", name, labelPairs[i]))
		}
		b.Set(labelPairs[i], strings.ToValidUTF8(labelPairs[i+1], "\uFFFD"))
	}
	ls := b.Labels()
	key := string(ls.Bytes(nil))

	c := &db.catalogue
	c.mu.RLock()
	s := c.series[key]
	c.mu.RUnlock()
	if s != nil {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s = c.series[key]; s != nil {
		return s
	}
	if c.series == nil {
		c.series = map[string]*Series{}
	}
	s = &Series{db: db, id: len(c.series), labels: ls}
	c.series[key] = s
	return s
}

// Describe sets what /api/v1/metadata says about a metric: its type (counter,
// gauge, histogram, summary, info), what it means, and its unit.
func (db *DB) Describe(metric, kind, help, unit string) {
	c := &db.catalogue
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.about == nil {
		c.about = map[string]metadata{}
	}
	c.about[metric] = metadata{Type: kind, Help: help, Unit: unit}
}
