package traces

import (
	"reflect"
	"testing"

	"rollcall/sources"
)

func TestChunksComeBackAsTheyWere(t *testing.T) {
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	var spans []sources.Span
	for i := range 40 {
		spans = append(spans, sources.Span{
			TraceID: sources.TraceID{1}, SpanID: sources.SpanID{byte(i)}, Parent: sources.SpanID{9}, Name: "n", Kind: kinds[i%len(kinds)],
			Start: int64(i) * 1e9, End: int64(i)*1e9 - 7, Error: i%2 == 0, Message: "m\x00", Attrs: sources.Attrs{{Key: "k", Value: ""}},
			Events: []sources.SpanEvent{{Time: -5, Name: "e"}}, Resource: &sources.Resource{Service: string(rune('a' + i))},
		})
	}
	events := []sources.TraceEvent{{TraceID: sources.TraceID{1}, SpanID: sources.SpanID{2}, ResponseID: "r", Name: "x", Time: 3, Resource: spans[0].Resource}}
	chunk, _ := c.encode(nil, sources.TraceID{1}, spans, events)
	id, gotSpans, gotEvents, err := c.decode(chunk)
	if err != nil || id != (sources.TraceID{1}) || !reflect.DeepEqual(gotSpans, spans) || !reflect.DeepEqual(gotEvents, events) {
		t.Fatalf("%v %v\n%+v\n%+v", id, err, gotSpans, gotEvents)
	}
}

func FuzzDecode(f *testing.F) {
	c, err := newCodec()
	if err != nil {
		f.Fatal(err)
	}
	_, raw := c.encode(nil, sources.TraceID{1}, []sources.Span{{Name: "n", Attrs: sources.Attrs{{Key: "k", Value: "v"}}, Resource: &sources.Resource{}}}, []sources.TraceEvent{{Name: "e"}})
	f.Add(append([]byte(nil), raw...))
	f.Add([]byte{chunkVersion})
	f.Fuzz(func(t *testing.T, raw []byte) {
		// Damage is an error: no panic, and no more memory than the chunk is worth.
		_, _, _, _ = c.decode(c.enc.EncodeAll(raw, nil))
		_, _, _, _ = c.decode(raw)
	})
}
