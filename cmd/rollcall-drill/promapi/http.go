package promapi

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/httputil"
)

// maxForm bounds a request body, which holds a query at most.
const maxForm = 10 << 20

// statusClientClosed says that the client went away before the answer.
const statusClientClosed = 499

// Handler serves the Prometheus HTTP API under /api/v1 and the probes /-/ready
// and /-/healthy.
func (db *DB) Handler() http.Handler {
	mux := http.NewServeMux()
	for path, answer := range map[string]func(*http.Request) (answer, error){
		"query":        db.query,
		"query_range":  db.queryRange,
		"format_query": db.formatQuery,
		"series":       db.listSeries,
		"labels":       db.labelNames,
	} {
		mux.Handle("GET /api/v1/"+path, db.serve(answer))
		mux.Handle("POST /api/v1/"+path, db.serve(answer))
	}
	for path, answer := range map[string]func(*http.Request) (answer, error){
		"label/{name}/values": db.labelValues,
		"metadata":            db.metadata,
		"status/buildinfo":    db.buildInfo,
		"status/runtimeinfo":  db.runtimeInfo,
		"rules":               db.rules,
		"alerts":              db.alerts,
		"alertmanagers":       db.alertmanagers,
		"targets":             db.targets,
	} {
		mux.Handle("GET /api/v1/"+path, db.serve(answer))
	}
	mux.HandleFunc("POST /api/v1/write", db.write)
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		db.writeText(w, "Prometheus Server is Healthy.\n")
	})
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !db.isReady() {
			w.WriteHeader(http.StatusServiceUnavailable)
			db.writeText(w, "Service Unavailable\n")
			return
		}
		db.writeText(w, "Prometheus Server is Ready.\n")
	})
	return httputil.CompressionHandler{Handler: mux}
}

// answer is what an endpoint has to say when nothing went wrong.
type answer struct {
	data     jsonWriter
	warnings annotations.Annotations
	query    string // for the positions in warnings
}

// apiError is an error with the type and status that Prometheus gives it.
type apiError struct {
	kind   string
	status int
	err    error
}

func (e *apiError) Error() string { return e.err.Error() }
func (e *apiError) Unwrap() error { return e.err }

func badData(err error) error { return &apiError{"bad_data", http.StatusBadRequest, err} }

// classify finds the type and status of an error.
func classify(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	var (
		canceled promql.ErrQueryCanceled
		timeout  promql.ErrQueryTimeout
		storage  promql.ErrStorage
	)
	switch {
	case errors.Is(err, errNotOpen):
		return &apiError{"unavailable", http.StatusServiceUnavailable, err}
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		return &apiError{"canceled", statusClientClosed, err}
	case errors.As(err, &timeout):
		return &apiError{"timeout", http.StatusServiceUnavailable, err}
	case errors.As(err, &storage):
		return &apiError{"internal", http.StatusInternalServerError, err}
	default:
		return &apiError{"execution", http.StatusUnprocessableEntity, err}
	}
}

// serve turns an endpoint's answer or error into the envelope of the API.
func (db *DB) serve(endpoint func(*http.Request) (answer, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !db.isReady() {
			w.WriteHeader(http.StatusServiceUnavailable)
			db.writeText(w, `{"status":"error","errorType":"unavailable","error":"the history is still being written"}`)
			return
		}
		var a answer
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		err := r.ParseForm()
		if err != nil {
			err = badData(err)
		} else {
			a, err = endpoint(r)
		}
		var buf []byte
		if err != nil {
			e := classify(err)
			buf = append(buf, `{"status":"error","errorType":`...)
			buf = appendString(buf, e.kind)
			buf = append(buf, `,"error":`...)
			buf = appendString(buf, e.Error())
			w.WriteHeader(e.status)
		} else {
			buf = append(buf, `{"status":"success","data":`...)
			buf = a.data(buf)
			warnings, infos := a.warnings.AsStrings(a.query, 10, 10)
			buf = appendNotes(buf, "warnings", warnings)
			buf = appendNotes(buf, "infos", infos)
		}
		buf = append(buf, '}')
		if _, err := w.Write(buf); err != nil {
			db.log.Debug("metric server: answer not delivered", "path", r.URL.Path, "bytes", len(buf), "err", err)
		}
	})
}

func appendNotes(buf []byte, name string, notes []string) []byte {
	if len(notes) == 0 {
		return buf
	}
	buf = append(buf, `,"`...)
	buf = append(buf, name...)
	buf = append(buf, `":`...)
	return appendStrings(buf, notes)
}

func (db *DB) writeText(w http.ResponseWriter, text string) {
	if _, err := io.WriteString(w, text); err != nil {
		db.log.Debug("metric server: answer not delivered", "err", err)
	}
}
