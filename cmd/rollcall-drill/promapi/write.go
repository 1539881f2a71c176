package promapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
)

// maxWrite bounds a remote write request, before and after decompression.
const maxWrite = 10 << 20

// write takes samples from outside by Prometheus' remote write protocol, version
// 1: numbers, native histograms and markers of staleness. It is how a team puts
// metrics of its own beside those of the drill, and tests theirs. Like a
// Prometheus it stores what it can and names the first sample that it cannot.
func (db *DB) write(w http.ResponseWriter, r *http.Request) {
	if !db.isReady() {
		http.Error(w, "the history is still being written", http.StatusServiceUnavailable)
		return
	}
	req, err := readWrite(http.MaxBytesReader(w, r.Body, maxWrite))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch err := db.store(req); {
	case errors.Is(err, errNotOpen):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func readWrite(body io.Reader) (*prompb.WriteRequest, error) {
	packed, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("remote write: %w", err)
	}
	n, err := snappy.DecodedLen(packed)
	if err != nil || n > maxWrite {
		return nil, fmt.Errorf("remote write: the body must be snappy of at most %d MiB", maxWrite>>20)
	}
	raw, err := snappy.Decode(nil, packed)
	if err != nil {
		return nil, fmt.Errorf("remote write: %w", err)
	}
	var req prompb.WriteRequest
	if err := req.Unmarshal(raw); err != nil {
		return nil, fmt.Errorf("remote write: %w", err)
	}
	return &req, nil
}

func (db *DB) store(req *prompb.WriteRequest) error {
	app, err := db.appender()
	if err != nil {
		return err
	}
	var first error
	var b labels.ScratchBuilder
	for i := range req.Timeseries {
		ts := &req.Timeseries[i]
		ls := ts.ToLabels(&b, nil)
		if !ls.Has(model.MetricNameLabel) || !ls.IsValid(model.UTF8Validation) {
			first = errors.Join(first, fmt.Errorf("remote write: %s is no series", ls))
			continue
		}
		var ref storage.SeriesRef
		keep := func(t int64, append func() (storage.SeriesRef, error)) error {
			got, err := append()
			switch {
			case err == nil:
				ref = got
			case !refusal(err):
				return errors.Join(fmt.Errorf("remote write: %s: %w", ls, err), app.Rollback())
			case first == nil:
				first = fmt.Errorf("remote write: %s at %s: %w", ls, time.UnixMilli(t).UTC().Format(time.RFC3339Nano), err)
			}
			return nil
		}
		for _, s := range ts.Samples {
			if err := keep(s.Timestamp, func() (storage.SeriesRef, error) { return app.Append(ref, ls, s.Timestamp, s.Value) }); err != nil {
				return err
			}
		}
		for _, h := range ts.Histograms {
			if err := keep(h.Timestamp, func() (storage.SeriesRef, error) {
				if h.IsFloatHistogram() {
					return app.AppendHistogram(ref, ls, h.Timestamp, nil, h.ToFloatHistogram())
				}
				return app.AppendHistogram(ref, ls, h.Timestamp, h.ToIntHistogram(), nil)
			}); err != nil {
				return err
			}
		}
	}
	return errors.Join(first, app.Commit())
}
