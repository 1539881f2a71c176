package promapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

// blockBuilder compresses one block's samples in memory, in time order per
// series. It skips the storage engine's live part, whose locks, isolation and
// transactions cost several times the compression itself and serve nobody while
// history is written.
type blockBuilder struct {
	mint, maxt int64 // milliseconds, maxt excluded
	samples    uint64
	columns    []*column // by Series.id
}

// column is the data of one series in a block.
type column struct {
	series *Series
	chunks []chunks.Meta
	app    chunkenc.Appender
	n      int // samples in the last chunk
}

func newBlockBuilder(mint, maxt int64) *blockBuilder {
	return &blockBuilder{mint: mint, maxt: maxt}
}

// add appends a sample; t is within the block.
func (b *blockBuilder) add(s *Series, t int64, v float64) error {
	if s.id >= len(b.columns) {
		b.columns = append(b.columns, make([]*column, s.id+1-len(b.columns))...)
	}
	c := b.columns[s.id]
	if c == nil {
		c = &column{series: s}
		b.columns[s.id] = c
	}
	if len(c.chunks) == 0 || c.n == tsdb.DefaultSamplesPerChunk {
		chunk := chunkenc.NewXORChunk()
		app, err := chunk.Appender()
		if err != nil {
			return err
		}
		c.chunks = append(c.chunks, chunks.Meta{Chunk: chunk, MinTime: t, MaxTime: t})
		c.app, c.n = app, 0
	}
	last := &c.chunks[len(c.chunks)-1]
	if c.n > 0 && t <= last.MaxTime {
		return fmt.Errorf("series %s has two samples at one time", s)
	}
	c.app.Append(0, t, v)
	c.n++
	last.MaxTime = t
	b.samples++
	return nil
}

// write makes a block folder of the samples in dir.
func (b *blockBuilder) write(ctx context.Context, dir string, log *slog.Logger) (err error) {
	if b.samples == 0 {
		return nil
	}
	id, err := ulid.New(uint64(b.maxt), rand.Reader)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, id.String())
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	columns := slices.DeleteFunc(slices.Clone(b.columns), func(c *column) bool { return c == nil })
	slices.SortFunc(columns, func(x, y *column) int { return labels.Compare(x.series.labels, y.series.labels) })

	nChunks, err := writeChunks(filepath.Join(path, "chunks"), columns)
	if err != nil {
		return fmt.Errorf("write chunks: %w", err)
	}
	if err := writeIndex(ctx, filepath.Join(path, "index"), columns); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	if _, err := tombstones.WriteFile(log, path, tombstones.NewMemTombstones()); err != nil {
		return fmt.Errorf("write tombstones: %w", err)
	}
	meta, err := json.Marshal(tsdb.BlockMeta{
		ULID: id, MinTime: b.mint, MaxTime: b.maxt, Version: 1,
		Stats: tsdb.BlockStats{
			NumSamples: b.samples, NumFloatSamples: b.samples,
			NumSeries: uint64(len(columns)), NumChunks: nChunks,
		},
		Compaction: tsdb.BlockMetaCompaction{Level: 1, Sources: []ulid.ULID{id}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(path, "meta.json"), meta, 0o600)
}

// writeChunks writes the chunks of the columns and notes where each one is.
func writeChunks(dir string, columns []*column) (n uint64, err error) {
	// The writer reserves a whole segment up front; a day needs a few MB.
	w, err := chunks.NewWriter(dir, chunks.WithSegmentSize(32<<20))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for _, c := range columns {
		if err := w.WriteChunks(c.chunks...); err != nil {
			return 0, err
		}
		n += uint64(len(c.chunks))
	}
	return n, nil
}

// writeIndex writes the index of columns that are sorted by their labels.
func writeIndex(ctx context.Context, path string, columns []*column) (err error) {
	w, err := index.NewWriter(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	symbols := map[string]struct{}{}
	for _, c := range columns {
		c.series.labels.Range(func(l labels.Label) {
			symbols[l.Name] = struct{}{}
			symbols[l.Value] = struct{}{}
		})
	}
	sorted := make([]string, 0, len(symbols))
	for s := range symbols {
		sorted = append(sorted, s)
	}
	slices.Sort(sorted)
	for _, s := range sorted {
		if err := w.AddSymbol(s); err != nil {
			return err
		}
	}
	for i, c := range columns {
		if err := w.AddSeries(storage.SeriesRef(i), c.series.labels, c.chunks...); err != nil {
			return err
		}
	}
	return nil
}
