package promapi

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/prompb"
)

func TestRemoteWriteStoresNumbersHistogramsAndStaleness(t *testing.T) {
	db := open(t, start)
	srv := serve(t, db)
	at := func(s int64) int64 { return start.UnixMilli() + 1000*s }
	name := func(n string) []prompb.Label {
		return []prompb.Label{{Name: "__name__", Value: n}, {Name: "job", Value: "x"}}
	}
	native := &histogram.Histogram{Count: 6, Sum: 12, PositiveSpans: []histogram.Span{{Length: 2}}, PositiveBuckets: []int64{4, -2}}
	req := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
		{Labels: name("queue.depth"), Samples: []prompb.Sample{{Timestamp: at(0), Value: 1}, {Timestamp: at(15), Value: 2}, {Timestamp: at(30), Value: StaleMarker()}}},
		{Labels: name("wait"), Histograms: []prompb.Histogram{prompb.FromIntHistogram(at(0), native)}},
	}}
	if code, said := post(t, srv.url, pack(t, req)); code != http.StatusNoContent {
		t.Fatalf("%d %s", code, said)
	}
	if got := srv.scalar(t, `{"queue.depth", job="x"}`, start.Add(20e9)); got != 2 {
		t.Errorf("the number is %v, want 2", got)
	}
	if n := len(srv.vector(t, `{"queue.depth"}`, start.Add(31e9))); n != 0 {
		t.Error("the series goes on behind its marker of staleness")
	}
	if got := srv.scalar(t, `histogram_count(wait)`, start.Add(20e9)); got != 6 {
		t.Errorf("the native histogram counts %v, want 6", got)
	}

	t.Run("an older sample is refused by name and the rest is kept", func(t *testing.T) {
		late := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
			{Labels: name("queue.depth"), Samples: []prompb.Sample{{Timestamp: at(10), Value: 9}}},
			{Labels: name("fresh"), Samples: []prompb.Sample{{Timestamp: at(10), Value: 3}}},
		}}
		if code, said := post(t, srv.url, pack(t, late)); code != http.StatusBadRequest || !strings.Contains(said, "queue.depth") {
			t.Errorf("%d %s", code, said)
		}
		if got := srv.scalar(t, `fresh`, start.Add(20e9)); got != 3 {
			t.Errorf("the good sample is %v, want 3", got)
		}
	})
	t.Run("what is no remote write is refused", func(t *testing.T) {
		for _, body := range [][]byte{nil, []byte("hello"), snappy.Encode(nil, []byte("hello")), {0xff, 0xff, 0xff, 0xff, 0x0f}} {
			if code, said := post(t, srv.url, body); code != http.StatusBadRequest && len(body) > 0 {
				t.Errorf("%q: %d %s", body, code, said)
			}
		}
		nameless := &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{Samples: []prompb.Sample{{Timestamp: at(1)}}}}}
		if code, _ := post(t, srv.url, pack(t, nameless)); code != http.StatusBadRequest {
			t.Errorf("a series without a name: %d", code)
		}
	})
}

func pack(t *testing.T, req *prompb.WriteRequest) []byte {
	t.Helper()
	raw, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return snappy.Encode(nil, raw)
}

func post(t *testing.T, url string, body []byte) (int, string) {
	t.Helper()
	resp, err := http.Post(url+"/api/v1/write", "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var said bytes.Buffer
	if _, err := said.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, said.String()
}
