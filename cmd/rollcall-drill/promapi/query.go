package promapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/stats"
)

// maxPoints bounds the points of a series in an answer, as Prometheus does.
const maxPoints = 11_000

var errTruncated = errors.New("results truncated due to limit")

func (db *DB) query(r *http.Request) (answer, error) {
	at, err := timeParam(r, "time", db.now())
	if err != nil {
		return answer{}, err
	}
	return db.exec(r, func(ctx context.Context, opts promql.QueryOpts, expr string) (promql.Query, error) {
		return db.engine.NewInstantQuery(ctx, db, opts, expr, at)
	})
}

func (db *DB) queryRange(r *http.Request) (answer, error) {
	start, err := parseTime(r.FormValue("start"))
	if err != nil {
		return answer{}, invalid("start", err)
	}
	end, err := parseTime(r.FormValue("end"))
	if err != nil {
		return answer{}, invalid("end", err)
	}
	if end.Before(start) {
		return answer{}, invalid("end", errors.New("end timestamp must not be before start time"))
	}
	step, err := parseDuration(r.FormValue("step"))
	if err != nil {
		return answer{}, invalid("step", err)
	}
	if step < time.Millisecond {
		return answer{}, invalid("step", errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer"))
	}
	if end.Sub(start)/step > maxPoints {
		return answer{}, badData(errors.New("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"))
	}
	return db.exec(r, func(ctx context.Context, opts promql.QueryOpts, expr string) (promql.Query, error) {
		return db.engine.NewRangeQuery(ctx, db, opts, expr, start, end, step)
	})
}

// exec runs a query with the parameters that both kinds share: query, timeout,
// limit, lookback_delta, stats.
func (db *DB) exec(r *http.Request, build func(context.Context, promql.QueryOpts, string) (promql.Query, error)) (answer, error) {
	limit, err := limitParam(r)
	if err != nil {
		return answer{}, err
	}
	timeout, err := durationParam(r, "timeout")
	if err != nil {
		return answer{}, err
	}
	lookback, err := durationParam(r, "lookback_delta")
	if err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	if r.FormValue("timeout") != "" {
		// Wall time: it bounds work, not the span of the data.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	expr := r.FormValue("query")
	wantStats := r.FormValue("stats")
	q, err := build(ctx, promql.NewPrometheusQueryOpts(false, lookback, nil), expr)
	if err != nil {
		return answer{}, invalid("query", err)
	}
	defer q.Close() // its memory is used again by the next query

	res := q.Exec(ctx)
	if res.Err != nil {
		return answer{}, res.Err
	}
	warnings := res.Warnings
	if truncate(res, limit) {
		warnings = warnings.Add(errTruncated)
	}
	buf := append([]byte(nil), `{"resultType":`...)
	buf = appendString(buf, string(res.Value.Type()))
	buf = append(buf, `,"result":`...)
	if buf, err = appendValue(buf, res.Value); err != nil {
		return answer{}, &apiError{"internal", http.StatusInternalServerError, err}
	}
	if wantStats != "" {
		buf = append(buf, `,"stats":`...)
		buf = plain(stats.NewQueryStats(q.Stats()))(buf)
	}
	buf = append(buf, '}')
	return answer{data: verbatim(buf), warnings: warnings, query: expr}, nil
}

// truncate cuts a result to limit series and reports whether it did.
func truncate(res *promql.Result, limit int) bool {
	switch v := res.Value.(type) {
	case promql.Matrix:
		if limit > 0 && len(v) > limit {
			res.Value = v[:limit]
			return true
		}
	case promql.Vector:
		if limit > 0 && len(v) > limit {
			res.Value = v[:limit]
			return true
		}
	}
	return false
}

func (db *DB) formatQuery(r *http.Request) (answer, error) {
	expr, err := db.parser.ParseExpr(r.FormValue("query"))
	if err != nil {
		return answer{}, invalid("query", err)
	}
	return answer{data: plain(expr.Pretty(0))}, nil
}
