package logapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"
)

// httpError is an error with the status that Loki gives it.
type httpError struct {
	status int
	msg    string
}

func (e *httpError) Error() string { return e.msg }

func badRequest(format string, args ...any) error {
	return &httpError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

var errTooMany = errors.New("maximum active stream limit exceeded")

// statusClientClosed says that the client went away before the answer.
const statusClientClosed = 499

func statusOf(err error) (int, string) {
	if e, ok := errors.AsType[*httpError](err); ok {
		return e.status, err.Error()
	}
	switch {
	case errors.Is(err, errTooMany):
		return http.StatusTooManyRequests, err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout, "request timed out, decrease the duration of the request or add more label matchers " +
			"(prefer exact match over regex match) to reduce the amount of data processed"
	case errors.Is(err, context.Canceled):
		return statusClientClosed, "the request was cancelled by the client"
	default:
		return http.StatusBadRequest, err.Error()
	}
}

// response is what an endpoint answers. Without a body it is 204.
type response struct {
	contentType string
	body        []byte
}

func jsonResponse(body []byte) *response {
	return &response{"application/json; charset=UTF-8", body}
}

type endpoint func(r *http.Request) (*response, error)

// serve runs an endpoint; its errors are plain text, as Loki's are.
func (s *Server) serve(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.opts.QueryTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, int64(s.opts.MaxBody))
		res, err := e(r)
		var body []byte
		switch {
		case err != nil:
			status, msg := statusOf(err)
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.WriteHeader(status)
			body = []byte(msg)
		case res == nil:
			w.WriteHeader(http.StatusNoContent)
			return
		default:
			w.Header().Set("Content-Type", res.contentType)
			body = res.body
		}
		if _, err := w.Write(body); err != nil {
			s.log.Debug("log server: answer not delivered", "path", r.URL.Path, "bytes", len(body), "err", err)
		}
	})
}

func (s *Server) queryRange(r *http.Request) (*response, error) {
	if err := r.ParseForm(); err != nil {
		return nil, badRequest("%v", err)
	}
	e, err := parse(r.Form.Get("query"))
	if err != nil {
		return nil, err
	}
	b, err := s.bounds(r, time.Hour)
	if err != nil {
		return nil, err
	}
	d, err := step(r, b)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	var w work
	q, ok := e.(*logQuery)
	if !ok {
		rows, err := s.evaluate(r.Context(), e, newGrid(b.start, b.end, d), &w)
		if err != nil {
			return nil, err
		}
		return jsonResponse(encodeMatrix(rows, newGrid(b.start, b.end, d), w.result(began, len(rows.rows)))), nil
	}
	p := logParams{apart: categorized(r)}
	if p.limit, err = limit(r, s.opts.MaxEntries); err != nil {
		return nil, err
	}
	switch dir := strings.ToLower(r.Form.Get("direction")); dir {
	case "", "backward":
	case "forward":
		p.forward = true
	default:
		return nil, badRequest("invalid direction '%s'", shorten(dir))
	}
	if text := r.Form.Get("interval"); text != "" {
		if p.interval, err = seconds("interval", text); err != nil {
			return nil, err
		}
		if p.interval < 0 {
			return nil, badRequest("interval must be >= 0")
		}
	}
	views := s.store.view(q.sel, b.start.UnixNano(), b.end.UnixNano())
	streams, err := runLogs(r.Context(), q, views, p, &w)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, st := range streams {
		n += len(st.entries)
	}
	return jsonResponse(encodeLogs(streams, p.apart, w.result(began, n))), nil
}

func (s *Server) query(r *http.Request) (*response, error) {
	if err := r.ParseForm(); err != nil {
		return nil, badRequest("%v", err)
	}
	e, err := parse(r.Form.Get("query"))
	if err != nil {
		return nil, err
	}
	if _, ok := e.(*logQuery); ok {
		return nil, badRequest("log queries are not supported as an instant query type, please change your query to a range query type")
	}
	t, err := parseTime(r.Form.Get("time"), s.now())
	if err != nil {
		return nil, badRequest("could not parse 'time' parameter: %v", err)
	}
	began := time.Now()
	var w work
	v, err := s.evaluate(r.Context(), e, grid{t.UnixNano(), 1, 1}, &w)
	if err != nil {
		return nil, err
	}
	return jsonResponse(encodeInstant(v, t.UnixNano(), w.result(began, len(v.rows)))), nil
}

func (s *Server) evaluate(ctx context.Context, e expr, g grid, w *work) (value, error) {
	v, err := (&evaluator{ctx: ctx, store: s.store, grid: g, work: w}).eval(e)
	if err != nil {
		return value{}, err
	}
	if len(v.rows) > s.opts.MaxSeries {
		return value{}, badRequest("maximum of series (%d) reached for a single query", s.opts.MaxSeries)
	}
	sortRows(v.rows)
	return v, nil
}

// catalogue reads what the label endpoints have in common: times and a selector.
func (s *Server) catalogue(r *http.Request, params ...string) ([]labelSet, error) {
	if err := r.ParseForm(); err != nil {
		return nil, badRequest("%v", err)
	}
	b, err := s.bounds(r, 6*time.Hour)
	if err != nil {
		return nil, err
	}
	var sels []selector
	for _, name := range params {
		for _, text := range r.Form[name] {
			if text == "" || text == "{}" {
				continue
			}
			sel, err := parseSelector(text)
			if err != nil {
				return nil, err
			}
			sels = append(sels, sel)
		}
	}
	return s.store.labelSets(sels, b.start.UnixNano(), b.end.UnixNano()), nil
}

func (s *Server) labelNames(r *http.Request) (*response, error) {
	sets, err := s.catalogue(r, "query")
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, ls := range sets {
		for _, l := range ls {
			names[l.name] = true
		}
	}
	return jsonResponse(encodeNames(names)), nil
}

func (s *Server) labelValues(r *http.Request) (*response, error) {
	sets, err := s.catalogue(r, "query")
	if err != nil {
		return nil, err
	}
	values := map[string]bool{}
	for _, ls := range sets {
		if v, ok := ls.get(r.PathValue("name")); ok {
			values[v] = true
		}
	}
	return jsonResponse(encodeNames(values)), nil
}

func (s *Server) series(r *http.Request) (*response, error) {
	sets, err := s.catalogue(r, "match[]", "match")
	if err != nil {
		return nil, err
	}
	return jsonResponse(encodeSeries(sets)), nil
}

// buildInfo names the version of Loki whose API this follows.
func (s *Server) buildInfo(*http.Request) (*response, error) {
	return jsonResponse(encodeBuildInfo(map[string]string{
		"version": "3.7.8", "revision": "", "branch": "rollcall-drill",
		"buildUser": "", "buildDate": "", "goVersion": runtime.Version(),
	})), nil
}
