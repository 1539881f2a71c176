package logapi

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// protoPush builds a logproto.PushRequest of one stream.
func protoPush(labels string, lines ...line) []byte {
	bytesField := func(b []byte, n protowire.Number, v []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
	}
	number := func(b []byte, n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, n, protowire.VarintType), v)
	}
	stream := bytesField(nil, 1, []byte(labels))
	for _, l := range lines {
		at := t0.UnixNano() + int64(l.after*1e9)
		e := bytesField(nil, 1, number(number(nil, 1, uint64(at/1e9)), 2, uint64(at%1e9)))
		e = bytesField(e, 2, []byte(l.text))
		for name, v := range l.meta {
			e = bytesField(e, 3, bytesField(bytesField(nil, 1, []byte(name)), 2, []byte(v)))
		}
		stream = bytesField(stream, 2, e)
	}
	stream = number(stream, 3, 12345) // the hash of the labels, of no use here
	return snappy.Encode(nil, bytesField(nil, 1, stream))
}

var asProto = map[string]string{"Content-Type": "application/x-protobuf"}

func TestLinesArriveInEveryFormat(t *testing.T) {
	labels := map[string]string{"job": "a", "q": `"\`}
	l := line{1.000000001, "l\xc3\xa9 \x1b[31m", map[string]string{"trace.id": "t"}}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(pushBody(t, labels, l)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		header map[string]string
		body   []byte
	}{
		"JSON":           {map[string]string{"Content-Type": "application/json; charset=utf-8"}, pushBody(t, labels, l)},
		"JSON with gzip": {map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, zipped.Bytes()},
		"protobuf":       {asProto, protoPush(`{job="a", q="\"\\"}`, l)},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{})
			if got := s.do(t, http.MethodPost, "/loki/api/v1/push", c.header, c.body); got.code != 204 || got.body != "" {
				t.Fatalf("push gave %d %s", got.code, got.body)
			}
			want := `{"stream":{"job":"a","q":"\"\\","service_name":"a"},"values":[["` + ns(1.000000001) +
				`","lé \u001b[31m",{"structuredMetadata":{"detected_level":"unknown","trace_id":"t"}}]]}`
			if got := s.query(t, `{job="a"}`); len(got) != 1 || got[0] != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestBadPushesAreRefusedWithTheReason(t *testing.T) {
	s := start(t, Options{MaxLine: 100, MaxBody: 100_000, MaxStreams: 1})
	asJSON := map[string]string{"Content-Type": "application/json"}
	bomb := append(protowire.AppendVarint(nil, 1<<30), 0)
	var zipBomb bytes.Buffer
	z := gzip.NewWriter(&zipBomb)
	if _, err := z.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		header map[string]string
		body   []byte
		code   int
		want   string
	}{
		"no type":            {nil, nil, 400, "Content-Type"},
		"another type":       {map[string]string{"Content-Type": "text/xml"}, nil, 400, `"text/xml" is not supported`},
		"another encoding":   {map[string]string{"Content-Type": "application/json", "Content-Encoding": "br"}, nil, 400, `"br" is not supported`},
		"no gzip":            {map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, []byte("{}"), 400, "not gzip"},
		"a gzip bomb":        {map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, zipBomb.Bytes(), 413, "larger than 100000 bytes"},
		"no JSON":            {asJSON, []byte(`{"streams":`), 400, "not a push request"},
		"a huge body":        {asJSON, bytes.Repeat([]byte(" "), 100_001), 413, "larger than 100000 bytes"},
		"a number as time":   {asJSON, []byte(`{"streams":[{"stream":{"a":"b"},"values":[[1,"x"]]}]}`), 400, "streams[0].values[0]: the time must be a string"},
		"a date as time":     {asJSON, []byte(`{"streams":[{"stream":{"a":"b"},"values":[["2026","x"],["now","x"]]}]}`), 400, `streams[0].values[1]: "now" is not a time`},
		"no line":            {asJSON, []byte(`{"streams":[{"stream":{"a":"b"},"values":[["1"]]}]}`), 400, "has 1 parts"},
		"a number as line":   {asJSON, []byte(`{"streams":[{"stream":{"a":"b"},"values":[["1",2]]}]}`), 400, "the line must be a string"},
		"odd metadata":       {asJSON, []byte(`{"streams":[{"stream":{"a":"b"},"values":[["1","x",{"a":1}]]}]}`), 400, "metadata must be"},
		"a bad label name":   {asJSON, []byte(`{"streams":[{"stream":{"a-b":"c"},"values":[]}]}`), 400, `"a-b" is not a label name`},
		"no labels":          {asJSON, pushBody(t, nil, line{1, "x", nil}), 400, "at least one label pair is required per stream"},
		"a long line":        {asJSON, pushBody(t, map[string]string{"a": "b"}, line{1, strings.Repeat("x", 101), nil}), 400, `max entry size '100' bytes exceeded for stream '{a="b"}'`},
		"a line from ahead":  {asJSON, pushBody(t, map[string]string{"a": "b"}, line{3600 + 601, "x", nil}), 400, "has timestamp too new: 2026-03-01T13:10:01Z"},
		"no snappy":          {asProto, []byte("\xff\xff\xff\xff\xff\xff"), 400, "not snappy"},
		"a snappy bomb":      {asProto, bomb, 413, "larger than 100000 bytes"},
		"no protobuf":        {asProto, snappy.Encode(nil, []byte("\xff\xff")), 400, "not a push request"},
		"a matcher as label": {asProto, protoPush(`{a=~"b"}`), 400, "label a must have a value"},
		"labels cut short":   {asProto, protoPush(`{a="b`), 400, "parse error at line 1, col 4"},
		"a time out of range": {
			asProto, snappy.Encode(nil, []byte("\x0a\x14\x0a\x07{a=\"b\"}\x12\x09\x0a\x07\x10\xff\xff\xff\xff\xff\x7f")), 400,
			"out of range",
		},
	} {
		if got := s.do(t, http.MethodPost, "/loki/api/v1/push", c.header, c.body); got.code != c.code || !strings.Contains(got.body, c.want) {
			t.Errorf("%s gave %d %s\n want %d %s", name, got.code, got.body, c.code, c.want)
		}
	}
	if n := s.Stats().Lines; n != 0 {
		t.Errorf("%d lines of bad pushes were stored", n)
	}
	s.push(t, map[string]string{"a": "b"}, line{1, "x", nil})
	got := s.do(t, http.MethodPost, "/loki/api/v1/push", asJSON, pushBody(t, map[string]string{"a": "c"}, line{1, "x", nil}))
	if got.code != 429 || !strings.Contains(got.body, "maximum active stream limit exceeded") {
		t.Errorf("one stream too many gave %d %s", got.code, got.body)
	}
}

func TestGoodLinesOfAPushStayWhenOthersAreRefused(t *testing.T) {
	s := start(t, Options{MaxLine: 100})
	body := pushBody(t, map[string]string{"job": "a"},
		line{3000, "first", nil}, line{3001, strings.Repeat("x", 101), nil}, line{-3000, "late", nil}, line{3002, "last", nil})
	got := s.do(t, http.MethodPost, "/loki/api/v1/push", map[string]string{"Content-Type": "application/json"}, body)
	if got.code != 400 || !strings.Contains(got.body, "max entry size") ||
		!strings.Contains(got.body, `entry too far behind for stream {job="a", service_name="a"}, entry timestamp is: 2026-03-01T11:10:00Z`) {
		t.Errorf("push gave %d %s", got.code, got.body)
	}
	if got := s.lines(t, `{job="a"}`, "direction", "forward"); got != "first last" {
		t.Errorf("stored: %s", got)
	}
}

func TestLabelsThatLokiAddsAreAdded(t *testing.T) {
	for _, c := range []struct {
		stream labelSet
		meta   labelSet
		line   string
		want   string
	}{
		{labelSet{{"level", "WARNING"}}, nil, "x", "warn"},
		{nil, labelSet{{"severity_text", "Error"}}, "x", "error"},
		{nil, labelSet{{"detected_level", "odd"}}, "error", "odd"},
		{nil, nil, `{"Level":"DBG","msg":"error"}`, "debug"},
		{nil, nil, `lvl=crit a=b`, "crit"},
		{nil, nil, `a=b [ERROR] failed`, "error"},
		{nil, nil, `Informative terror`, "unknown"},
		{nil, nil, ``, "unknown"},
	} {
		if got, _ := withLevel(c.stream, entry{line: c.line, meta: c.meta}).get(levelLabel); got != c.want {
			t.Errorf("%v %v %q has level %q, want %q", c.stream, c.meta, c.line, got, c.want)
		}
	}
	for in, want := range map[string]string{
		`{app="x", job="y"}`: "x", `{job="y"}`: "y", `{pod="z"}`: "unknown_service", `{job="y", service_name="s"}`: "s",
	} {
		ls, err := parseLabels(in)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := withService(ls).get(serviceLabel); got != want {
			t.Errorf("%s has service %q, want %q", in, got, want)
		}
	}
}

func FuzzPush(f *testing.F) {
	s := New(t0.UTC, Options{MaxBody: 1 << 16, MaxLines: 100})
	f.Cleanup(s.Close)
	f.Add(true, protoPush(`{a="b"}`, line{1, "x", map[string]string{"m": "n"}}))
	f.Add(false, []byte(`{"streams":[{"stream":{"a":"b"},"values":[["1","x",{"m":"n"}],["2","\ud800"]]}]}`))
	f.Fuzz(func(t *testing.T, proto bool, body []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if proto {
			req.Header.Set("Content-Type", "application/x-protobuf")
		}
		if _, err := s.push(req); err != nil {
			if status, msg := statusOf(err); status < 400 || status > 499 || msg == "" {
				t.Errorf("status %d %q", status, msg)
			}
		}
	})
}

func BenchmarkPush(b *testing.B) {
	for _, tails := range []int{0, 2} {
		b.Run(fmt.Sprintf("tails=%d", tails), func(b *testing.B) {
			s := start(b, Options{})
			for range tails {
				tail := follow(b, s, `{job="a"} |= "answered"`)
				go func() {
					for {
						if _, err := tail.read(b.Context()); err != nil {
							return
						}
					}
				}()
			}
			const perPush = 500
			n := 0
			for b.Loop() {
				lines := make([]line, perPush)
				for i := range lines {
					n++
					lines[i] = line{float64(n) / 1e5, fmt.Sprintf(
						`{"ts":"2026-03-01T12:00:00Z","level":"info","msg":"answered","request_id":"req-%d","trace_id":"%032x","route":"/chat","duration_ms":812}`, n, n), nil}
				}
				got := s.do(b, http.MethodPost, "/loki/api/v1/push", asProto, protoPush(`{namespace="prod", job="a", level="info"}`, lines...))
				if got.code != 204 {
					b.Fatal(got.body)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
