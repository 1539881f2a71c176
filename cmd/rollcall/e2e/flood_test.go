package e2e

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const spansPerCall = 500

// bigBatch is an export call of 500 spans with 2 KB of words each, near 1 MB.
func bigBatch(rnd *rand.Rand) ptraceotlp.ExportRequest {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "assistant")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	at := uint64(time.Now().UnixNano())
	var words strings.Builder
	for words.Len() < 2000 {
		fmt.Fprintf(&words, "word%d ", rnd.IntN(5000))
	}
	var trace pcommon.TraceID
	for i := range spansPerCall {
		if i%10 == 0 {
			binary.BigEndian.PutUint64(trace[:], rnd.Uint64())
			binary.BigEndian.PutUint64(trace[8:], rnd.Uint64()|1)
		}
		s := spans.AppendEmpty()
		s.SetTraceID(trace)
		var id pcommon.SpanID
		binary.BigEndian.PutUint64(id[:], uint64(i+1))
		s.SetSpanID(id)
		s.SetName("chat")
		s.SetStartTimestamp(pcommon.Timestamp(at))
		s.SetEndTimestamp(pcommon.Timestamp(at + 1e6))
		s.Attributes().PutStr("gen_ai.output.messages", words.String())
	}
	return ptraceotlp.NewExportRequestFromTraces(td)
}

// BenchmarkCollectUnderFlood sends to rollcall collect, from 16 connections with 8
// calls at a time each, as much as fits through the wire for 20 seconds, and
// reports the most memory that the process ever held.
func BenchmarkCollectUnderFlood(b *testing.B) {
	const connections, atATime, lasts = 16, 8, 20 * time.Second
	bin := binaries(b)
	rnd := rand.New(rand.NewPCG(1, 2))
	batches := make([]ptraceotlp.ExportRequest, 8)
	for i := range batches {
		batches[i] = bigBatch(rnd)
	}
	for b.Loop() {
		dir := b.TempDir()
		cfg := filepath.Join(dir, "rollcall.yaml")
		if err := os.WriteFile(cfg, fmt.Appendf(nil, "state: %q\notlp: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\nprometheus: {url: \"http://127.0.0.1:9\"}\nservices: {assistant: {scope: 'job=\"assistant\"'}}\n", filepath.Join(dir, "state")), 0o600); err != nil {
			b.Fatal(err)
		}
		cmd := exec.Command(filepath.Join(bin, "rollcall"), "collect", "-o", "json", "--config", cfg)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadBytes('\n')
		if err != nil {
			b.Fatal(err)
		}
		var up struct {
			GRPC string `json:"otlp_grpc"`
		}
		if err := json.Unmarshal(line, &up); err != nil {
			b.Fatalf("%s: %v", line, err)
		}
		var taken, again, other atomic.Int64
		ctx, cancel := context.WithTimeout(context.Background(), lasts)
		var senders sync.WaitGroup
		for c := range connections {
			cc, err := grpc.NewClient(up.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = cc.Close() }()
			client := ptraceotlp.NewGRPCClient(cc)
			for range atATime {
				senders.Go(func() {
					for ctx.Err() == nil {
						switch _, err := client.Export(ctx, batches[c%len(batches)]); status.Code(err) {
						case codes.OK:
							taken.Add(spansPerCall)
						case codes.Unavailable, codes.ResourceExhausted:
							again.Add(1)
						case codes.DeadlineExceeded, codes.Canceled:
						default:
							other.Add(1)
						}
					}
				})
			}
		}
		senders.Wait()
		cancel()
		proc, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "status"))
		if err != nil {
			b.Skipf("this machine does not tell what a process uses: %v", err)
		}
		m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(proc)
		if m == nil {
			b.Fatalf("no peak in %s", proc)
		}
		kb, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			b.Fatal(err)
		}
		if other.Load() > 0 {
			b.Errorf("%d calls got an answer after which nobody tries again", other.Load())
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			b.Errorf("collect ended with %v", err)
		}
		b.ReportMetric(kb/1024, "peak-rss-MB")
		b.ReportMetric(float64(taken.Load())/lasts.Seconds(), "spans/s")
		b.ReportMetric(float64(again.Load())/lasts.Seconds(), "refusals/s")
		b.ReportMetric(0, "ns/op")
	}
}
