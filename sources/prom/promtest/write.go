package promtest

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/common/config"
	"google.golang.org/protobuf/encoding/protowire"
)

// series is what is written of one metric: numbers and native histograms.
type series struct {
	labels     [][2]string
	samples    []sample
	histograms []native
}

type sample struct {
	t time.Time
	v float64
}

// native is a histogram with one bucket per power of two, from (1,2] on.
type native struct {
	t       time.Time
	sum     float64
	buckets []uint64
}

// stale is the value that ends a series.
var stale = math.Float64frombits(0x7ff0000000000002)

// write sends series by Prometheus' remote write protocol, version 1, over the
// same URL and with the same credentials as the server is read.
func (s Server) write(t *testing.T, list []series) {
	t.Helper()
	cfg := s.Config.HTTP
	if reflect.DeepEqual(cfg, config.HTTPClientConfig{}) {
		cfg = config.DefaultHTTPClientConfig
	}
	client, err := config.NewClientFromConfig(cfg, "promtest")
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.TrimRight(s.Config.URL, "/")+"/api/v1/write", bytes.NewReader(snappy.Encode(nil, encode(list))))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range s.Config.Headers {
		req.Header.Set(k, v)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	_ = resp.Body.Close()
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s", resp.Status, said)
	}
	if err != nil {
		t.Fatalf("remote write: %v", err)
	}
}

func encode(list []series) (out []byte) {
	for _, s := range list {
		var ts []byte
		for _, l := range s.labels {
			var b []byte
			b = protowire.AppendString(protowire.AppendTag(b, 1, protowire.BytesType), l[0])
			b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), l[1])
			ts = message(ts, 1, b)
		}
		for _, p := range s.samples {
			ts = message(ts, 2, integer(double(nil, 1, p.v), 2, uint64(p.t.UnixMilli())))
		}
		for _, h := range s.histograms {
			ts = message(ts, 4, h.encode())
		}
		out = message(out, 1, ts)
	}
	return out
}

func (h native) encode() []byte {
	var count, before uint64
	var deltas []byte
	for _, n := range h.buckets {
		count += n
		deltas = protowire.AppendVarint(deltas, protowire.EncodeZigZag(int64(n)-int64(before)))
		before = n
	}
	span := integer(integer(nil, 1, protowire.EncodeZigZag(1)), 2, uint64(len(h.buckets))) // bucket 1 is (1,2]
	b := integer(nil, 1, count)
	b = double(b, 3, h.sum)
	b = integer(b, 4, protowire.EncodeZigZag(0)) // schema 0: powers of two
	b = double(b, 5, 1e-9)
	b = integer(b, 6, 0)
	b = message(b, 11, span)
	b = message(b, 12, deltas)
	return integer(b, 15, uint64(h.t.UnixMilli()))
}

func message(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}

func integer(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func double(b []byte, field protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), math.Float64bits(v))
}
