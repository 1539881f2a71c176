package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/otlp"
	"rollcall/sources/redact"
	"rollcall/sources/request"
	"rollcall/store/traces"
)

const (
	keyFile   = "redact.key"
	tracesDir = "traces"
	// takeOver is how often a console looks whether the receiver it relied on has gone.
	takeOver = 10 * time.Second
)

// Intake is the way of traces into the state folder: OTLP endpoint, redaction,
// and the store, which is open for reading even when another process receives.
type Intake struct {
	redactor *redact.Redactor
	folder   pricedFolder
	cfg      config.OTLP
	clock    sources.Clock
	log      *slog.Logger
	dir      string

	opened chan struct{} // closed once store and openErr are set
	store  *traces.Store
	failed error

	mu       sync.Mutex
	receiver *otlp.Receiver
	refused  error // why the endpoint could not start
	closed   bool
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// OpenIntake opens the store in the background, and the endpoint too when
// receive is set and no other process has it.
func OpenIntake(ctx context.Context, cfg *config.File, clock sources.Clock, log *slog.Logger, receive bool) (*Intake, error) {
	folder, err := request.NewFolder(cfg.Mapping)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Label(), err)
	}
	redactor, err := newRedactor(cfg, log)
	if err != nil {
		return nil, err
	}
	in := &Intake{
		redactor: redactor, folder: pricedFolder{folder, cfg.Prices}, cfg: cfg.OTLP, clock: clock, log: log, dir: filepath.Join(cfg.State, tracesDir), opened: make(chan struct{}),
	}
	ctx, in.stop = context.WithCancel(ctx)
	in.running.Go(func() {
		in.store, in.failed = traces.Open(in.dir, traces.Options{ //nolint:contextcheck // the store's writer ends with its Close
			Folder: in.folder, Clock: clock, Log: log, Retention: cfg.Traces.Retention.Or(0),
			MaxBytes: cfg.Traces.MaxBytes.Or(0), ReadOnly: !receive,
		})
		close(in.opened)
		if in.failed == nil && receive {
			in.receive(ctx)
		}
	})
	return in, nil
}

// receive starts the endpoint as soon as no other process receives.
func (in *Intake) receive(ctx context.Context) {
	tick := time.NewTicker(takeOver)
	defer tick.Stop()
	for {
		own, err := in.store.Receive() //nolint:contextcheck // the store's writer ends with its Close
		if err != nil {
			in.refuse(fmt.Errorf("cannot receive: %w; free some space, or set state: to a folder you own", err))
		}
		if own {
			in.start(ctx)
			if in.listening() {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (in *Intake) start(ctx context.Context) {
	r, err := otlp.Start(ctx, in.cfg, otlp.Deps{Sink: in.store, Redactor: in.redactor, Log: in.log, Clock: in.clock})
	if err != nil {
		in.refuse(err)
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.receiver, in.refused = r, nil
}

// refuse keeps why nothing is received for now.
func (in *Intake) refuse(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.refused == nil {
		in.log.Warn("the OTLP endpoint cannot start", "err", err)
	}
	in.refused = err
}

func (in *Intake) listening() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.receiver != nil
}

// wait returns the store once it is open.
func (in *Intake) wait(ctx context.Context) (*traces.Store, error) {
	select {
	case <-in.opened:
		return in.store, in.failed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Endpoints waits until the endpoint listens and returns its addresses.
func (in *Intake) Endpoints(ctx context.Context) (grpc, http string, err error) {
	store, err := in.wait(ctx)
	if err != nil {
		return "", "", err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		in.mu.Lock()
		r, refused := in.receiver, in.refused
		in.mu.Unlock()
		if r != nil {
			return r.GRPCAddr(), r.HTTPAddr(), nil
		}
		if refused != nil {
			return "", "", refused
		}
		own, pid := store.Receiving()
		if h := store.Health(); !own && pid == 0 && h.Reason != "" {
			return "", "", errors.New(h.Reason + "; free some space, or set state: to a folder you own")
		}
		if !own && pid > 0 {
			return "", "", fmt.Errorf("process %d already receives into %s; stop it, or give this one another state folder", pid, in.dir)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", "", ctx.Err()
		}
	}
}

// Receiving returns the process that receives traces into a state folder; 0 for none.
func Receiving(state string) int { return traces.Receiver(filepath.Join(state, tracesDir)) }

// Health is the state of the endpoint and of the store.
func (in *Intake) Health() []sources.Health {
	select {
	case <-in.opened:
	default:
		return []sources.Health{{Source: "otlp", State: sources.SourceUnknown}, {Source: "traces", State: sources.SourceUnknown}}
	}
	if in.failed != nil {
		return []sources.Health{
			{Source: "otlp", State: sources.SourceOff, Note: "nowhere to store"},
			{Source: "traces", State: sources.SourceDown, Reason: line(in.failed.Error())},
		}
	}
	in.mu.Lock()
	r, refused := in.receiver, in.refused
	in.mu.Unlock()
	end := sources.Health{Source: "otlp", State: sources.SourceOff}
	switch own, pid := in.store.Receiving(); {
	case r != nil:
		end = r.Health()
	case refused != nil:
		end = sources.Health{Source: "otlp", State: sources.SourceDown, Reason: line(refused.Error())}
	case pid > 0 && !own:
		end.State, end.Note = sources.SourceUp, fmt.Sprintf("received by pid %d", pid)
	case own:
		end.State = sources.SourceUnknown
	default:
		end.Note = "nobody receives; start rollcall collect"
	}
	return []sources.Health{end, in.store.Health()}
}

// Close stops the endpoint, then the store.
func (in *Intake) Close() error {
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return nil
	}
	in.closed = true
	in.mu.Unlock()
	in.stop()
	in.running.Wait()
	var errs []error
	if in.receiver != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		errs = append(errs, in.receiver.Close(ctx))
		cancel()
	}
	if in.store != nil {
		errs = append(errs, in.store.Close())
	}
	return errors.Join(errs...)
}

// pricedFolder adds the cost that the service did not tell, from the price table.
type pricedFolder struct {
	*request.Folder
	prices map[string]config.Price
}

// Fold makes one request row.
func (f pricedFolder) Fold(spans []sources.Span, events []sources.TraceEvent) sources.Request {
	r := f.Folder.Fold(spans, events)
	if r.CostUSD.OK || len(f.prices) == 0 || !r.TokensIn.OK && !r.TokensOut.OK {
		return r
	}
	for _, model := range []string{r.ModelServed, r.ModelRequested, r.Model} {
		p, ok := f.prices[model]
		if !ok {
			continue
		}
		cached := min(r.TokensCached.V, r.TokensIn.V)
		each := p.Cached
		if each == 0 {
			each = p.Input
		}
		r.CostUSD = sources.N((r.TokensIn.V-cached)*p.Input + cached*each + r.TokensOut.V*p.Output)
		if r.From == nil {
			r.From = map[string]string{}
		}
		r.From["cost_usd"] = "prices." + model
		break
	}
	return r
}

// newRedactor builds the redactor of a state folder. Without the folder's key
// the tokens of people hold for this process only; texts are redacted all the same.
func newRedactor(cfg *config.File, log *slog.Logger) (*redact.Redactor, error) {
	key, err := redact.LoadKey(filepath.Join(cfg.State, keyFile))
	if err != nil {
		log.Warn("no key for tokens of people", "err", err)
		key = nil
	}
	r, err := redact.New(cfg.Redact, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Label(), err)
	}
	return r, nil
}
