package promapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

func (db *DB) listSeries(r *http.Request) (answer, error) {
	if len(r.Form["match[]"]) == 0 {
		return answer{}, badData(fmt.Errorf("no match[] parameter provided"))
	}
	sel, err := db.selection(r)
	if err != nil {
		return answer{}, err
	}
	q, err := db.Querier(sel.start.UnixMilli(), sel.end.UnixMilli())
	if err != nil {
		return answer{}, err
	}
	defer db.closeQuerier(q)

	hints := &storage.SelectHints{
		Start: sel.start.UnixMilli(), End: sel.end.UnixMilli(),
		Func: "series", // tells the storage that no samples are wanted
	}
	var sets []storage.SeriesSet
	for _, m := range sel.matchers {
		sets = append(sets, q.Select(r.Context(), true, hints, m...))
	}
	set := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	buf := []byte{'['}
	n, truncated := 0, false
	for set.Next() {
		if truncated = sel.limit > 0 && n == sel.limit; truncated {
			break
		}
		if n++; n > 1 {
			buf = append(buf, ',')
		}
		buf = appendLabels(buf, set.At().Labels())
		if n%128 == 0 && r.Context().Err() != nil {
			return answer{}, r.Context().Err()
		}
	}
	if err := set.Err(); err != nil {
		return answer{}, err
	}
	warnings := set.Warnings()
	if truncated {
		warnings = warnings.Add(errTruncated)
	}
	return answer{data: verbatim(append(buf, ']')), warnings: warnings}, nil
}

func (db *DB) labelNames(r *http.Request) (answer, error) {
	return db.labelList(r, func(ctx context.Context, q storage.Querier, m []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelNames(ctx, nil, m...)
	})
}

func (db *DB) labelValues(r *http.Request) (answer, error) {
	name := r.PathValue("name")
	if strings.HasPrefix(name, "U__") {
		name = model.UnescapeName(name, model.ValueEncodingEscaping)
	}
	if !model.UTF8Validation.IsValidLabelName(name) {
		return answer{}, badData(fmt.Errorf("invalid label name: %q", name))
	}
	return db.labelList(r, func(ctx context.Context, q storage.Querier, m []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return q.LabelValues(ctx, name, nil, m...)
	})
}

// labelList answers with the sorted union of what list finds for each selector.
func (db *DB) labelList(
	r *http.Request, list func(context.Context, storage.Querier, []*labels.Matcher) ([]string, annotations.Annotations, error),
) (answer, error) {
	sel, err := db.selection(r)
	if err != nil {
		return answer{}, err
	}
	q, err := db.Querier(sel.start.UnixMilli(), sel.end.UnixMilli())
	if err != nil {
		return answer{}, err
	}
	defer db.closeQuerier(q)
	if len(sel.matchers) == 0 {
		sel.matchers = [][]*labels.Matcher{nil}
	}
	var (
		found    []string
		warnings annotations.Annotations
	)
	for _, m := range sel.matchers {
		names, warned, err := list(r.Context(), q, m)
		if err != nil {
			return answer{}, err
		}
		found = append(found, names...)
		warnings.Merge(warned)
	}
	slices.Sort(found)
	found = slices.Compact(found)
	if sel.limit > 0 && len(found) > sel.limit {
		found = found[:sel.limit]
		warnings = warnings.Add(errTruncated)
	}
	return answer{data: func(buf []byte) []byte { return appendStrings(buf, found) }, warnings: warnings}, nil
}

// metadata answers with what Describe said.
func (db *DB) metadata(r *http.Request) (answer, error) {
	limit := -1
	if s := r.FormValue("limit"); s != "" {
		var err error
		if limit, err = strconv.Atoi(s); err != nil {
			return answer{}, badData(fmt.Errorf("limit must be a number"))
		}
	}
	want := r.FormValue("metric")
	c := &db.catalogue
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := map[string][]metadata{}
	for name, m := range c.about {
		if limit >= 0 && len(out) == limit {
			break
		}
		if want == "" || want == name {
			out[name] = []metadata{m}
		}
	}
	return answer{data: plain(out)}, nil
}

func (db *DB) closeQuerier(q storage.Querier) {
	if err := q.Close(); err != nil {
		db.log.Warn("metric server: close a query", "err", err)
	}
}
