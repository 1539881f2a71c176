package logapi

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/klauspost/compress/gzhttp"
)

// Options bound what a server keeps and answers. What is zero has a default.
type Options struct {
	MaxStreams int // streams; default 1,000
	MaxLines   int // lines kept per stream, the oldest go; default 200,000
	MaxBytes   int // bytes kept per stream, the oldest go; default 64 MiB
	MaxLine    int // bytes of a line; longer ones are refused; default 256 KiB
	MaxBody    int // bytes of a push, unpacked; default 16 MiB

	MaxEntries   int           // lines of an answer; default 5,000
	MaxSeries    int           // series of an answer; default 500
	QueryTimeout time.Duration // wall time of a query; default 1 minute

	Disorder time.Duration // how much older than its stream's newest a line may be; default 1 hour
	Future   time.Duration // how far ahead of the clock a line may be; default 10 minutes

	MaxTails        int           // tails at the same time; default 10
	TailMaxDuration time.Duration // wall time after which a tail is ended; default 1 hour
	TailBuffer      int           // lines that wait for a slow tail before some are dropped; default 20,000

	Log *slog.Logger // default: nowhere
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&o.MaxStreams, 1000},
		{&o.MaxLines, 200_000},
		{&o.MaxBytes, 64 << 20},
		{&o.MaxLine, 256 << 10},
		{&o.MaxBody, 16 << 20},
		{&o.MaxEntries, 5000},
		{&o.MaxSeries, 500},
		{&o.MaxTails, 10},
		{&o.TailBuffer, 20_000},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.QueryTimeout, time.Minute}, {&o.Disorder, time.Hour}, {&o.Future, 10 * time.Minute}, {&o.TailMaxDuration, time.Hour},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Stats is what a server holds.
type Stats struct {
	Streams int
	Lines   int
	Bytes   int64
	Dropped uint64 // lines that had to make room for newer ones
	Tails   int
}

// Server is a log server. Its methods may be called from several goroutines.
type Server struct {
	opts  Options
	now   func() time.Time
	log   *slog.Logger
	store *store

	// done is closed to end the tails, which outlive the requests of an http.Server.
	done chan struct{}

	mu     sync.Mutex
	closed bool
	tails  sync.WaitGroup
}

// New makes an empty server. now is service time: the time of queries that name
// none, and what the times of received lines are measured against.
func New(now func() time.Time, opts Options) *Server {
	opts = opts.withDefaults()
	return &Server{opts: opts, now: now, log: opts.Log, store: newStore(opts), done: make(chan struct{})}
}

// Close ends all tails and waits for them. Queries are still answered.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	s.mu.Unlock()
	s.tails.Wait()
}

// Stats counts what the server holds.
func (s *Server) Stats() Stats { return s.store.stats() }

// Handler serves the Loki HTTP API under /loki/api/v1 and the probe /ready. It
// does not look at the tenant: all see the same lines.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /loki/api/v1/push", s.serve(s.push))
	for path, endpoint := range map[string]endpoint{
		"query":               s.query,
		"query_range":         s.queryRange,
		"labels":              s.labelNames,
		"label":               s.labelNames,
		"label/{name}/values": s.labelValues,
		"series":              s.series,
	} {
		h := gzhttp.GzipHandler(s.serve(endpoint))
		mux.Handle("GET /loki/api/v1/"+path, h)
		mux.Handle("POST /loki/api/v1/"+path, h)
	}
	mux.HandleFunc("GET /loki/api/v1/tail", s.tail)
	mux.Handle("GET /loki/api/v1/status/buildinfo", s.serve(s.buildInfo))
	mux.Handle("GET /ready", s.serve(func(_ *http.Request) (*response, error) {
		return &response{contentType: "text/plain; charset=utf-8", body: []byte("ready\n")}, nil
	}))
	return mux
}
