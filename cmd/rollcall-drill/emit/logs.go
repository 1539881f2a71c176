package emit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"rollcall/cmd/rollcall-drill/sim"
)

// maxWaiting bounds the batches between the simulation and the log server; a
// server that hangs costs lines, which are counted, never memory.
const maxWaiting = 64

const pushTimeout = 5 * time.Second // wall time

// Logs pushes the service's log lines to a Loki push API, in the order of
// service time: a line is held until its time has come.
type Logs struct {
	url     string
	client  *http.Client
	log     *slog.Logger
	pending []line // of requests that are under way, unordered
	batches chan []line
	flushed chan chan struct{}
	done    chan struct{}
	dropped int

	// Patient waits for the log server instead of dropping lines: for the minutes
	// before the start, which are simulated as fast as possible.
	Patient bool
}

// DialLogs starts pushing to the Loki at that base address. Close ends it, and
// nothing else does: what was logged before ctx ended is pushed all the same.
func DialLogs(ctx context.Context, url string, log *slog.Logger) *Logs {
	l := &Logs{
		url: url + "/loki/api/v1/push", client: &http.Client{}, log: log,
		batches: make(chan []line, maxWaiting), flushed: make(chan chan struct{}), done: make(chan struct{}),
	}
	go l.run(context.WithoutCancel(ctx))
	return l
}

// Started takes the lines that a request is going to write.
func (l *Logs) Started(q *sim.Request) { l.pending = append(l.pending, tell(q)...) }

// Complained writes that a user complained about a request.
func (l *Logs) Complained(q *sim.Request, at time.Time) {
	t := teller{q: q, trace: hexID(q.TraceID())}
	t.say(at, "warn", "complaint received", func(l *line) { l.Route, l.Tenant = q.Route.String(), q.Tenant() })
	l.pending = append(l.pending, t.lines...)
}

// Changed writes that the configuration changed.
func (l *Logs) Changed(c sim.Change) {
	l.pending = append(l.pending, line{
		at: c.At, Level: "info", Msg: "configuration changed", Component: c.What, From: c.From, To: c.To, Actor: c.Actor,
	})
}

// Second hands over what was written before now.
func (l *Logs) Second(now time.Time) {
	var due []line
	l.pending = slices.DeleteFunc(l.pending, func(x line) bool {
		if x.at.Before(now) {
			due = append(due, x)
			return true
		}
		return false
	})
	if len(due) == 0 {
		return
	}
	slices.SortStableFunc(due, func(a, b line) int { return a.at.Compare(b.at) })
	if l.Patient {
		l.batches <- due
		return
	}
	select {
	case l.batches <- due:
	default:
		l.dropped += len(due)
		l.log.Warn("log server does not keep up", "dropped_lines", l.dropped)
	}
}

// Flush waits until everything handed over so far was pushed.
func (l *Logs) Flush(ctx context.Context) error {
	ack := make(chan struct{})
	select {
	case l.flushed <- ack:
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-ack:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close pushes what is left and stops.
func (l *Logs) Close() {
	close(l.batches)
	<-l.done
}

func (l *Logs) run(ctx context.Context) {
	defer close(l.done)
	for {
		var ack chan struct{}
		var batch []line
		ok := true
		select {
		case batch, ok = <-l.batches:
		case ack = <-l.flushed:
		}
		// Whatever has gathered meanwhile goes in the same push.
		for more := ok; more; {
			select {
			case b, open := <-l.batches:
				if !open {
					ok, more = false, false
					break
				}
				batch = append(batch, b...)
			default:
				more = false
			}
		}
		if len(batch) > 0 {
			if err := l.push(ctx, batch); err != nil {
				l.log.Warn("push logs", "lines", len(batch), "error", err)
			}
		}
		if ack != nil {
			close(ack)
		}
		if !ok {
			return
		}
	}
}

type pushStream struct {
	Stream map[string]string `json:"stream"`
	Values [][2]string       `json:"values"`
}

func (l *Logs) push(ctx context.Context, lines []line) error {
	byLevel := map[string]*pushStream{}
	for i := range lines {
		s := byLevel[lines[i].Level]
		if s == nil {
			s = &pushStream{Stream: map[string]string{"namespace": sim.Namespace, "job": sim.Job, "level": lines[i].Level}}
			byLevel[lines[i].Level] = s
		}
		s.Values = append(s.Values, [2]string{strconv.FormatInt(lines[i].at.UnixNano(), 10), lines[i].text()})
	}
	body := struct {
		Streams []*pushStream `json:"streams"`
	}{}
	for _, s := range byLevel {
		body.Streams = append(body.Streams, s)
	}
	slices.SortFunc(body.Streams, func(a, b *pushStream) int { return cmp.Compare(a.Stream["level"], b.Stream["level"]) })
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // only to say why; the status decides
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(said))
	}
	return nil
}
