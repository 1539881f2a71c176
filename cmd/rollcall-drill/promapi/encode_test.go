package promapi

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

func TestResultsAreWrittenAsPrometheusMarshalsThem(t *testing.T) {
	metric := labels.FromStrings("__name__", "m", "a", "<\"\n\u2028>")
	h := &histogram.FloatHistogram{
		Count: 6, Sum: 12.5, ZeroThreshold: 0.001, ZeroCount: 1, Schema: 0,
		PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []float64{2, 3},
		NegativeSpans: []histogram.Span{{Offset: 1, Length: 1}}, NegativeBuckets: []float64{0},
	}
	floats := []promql.FPoint{{T: 0, F: 0}, {T: 1, F: -1.5}, {T: 12_345_678, F: math.Pi}, {T: -1500, F: math.NaN()}, {T: 1e12 + 50, F: math.Inf(-1)}}
	for name, v := range map[string]any{
		"no vector":           promql.Vector{},
		"a vector":            promql.Vector{{Metric: metric, T: 1700000000123, F: 42}, {T: 5, F: 0.1}},
		"a histogram":         promql.Vector{{Metric: metric, T: 1000, H: h}},
		"a matrix":            promql.Matrix{{Metric: metric, Floats: floats}, {Floats: floats[:1]}},
		"a histogram's range": promql.Matrix{{Metric: metric, Floats: floats[:2], Histograms: []promql.HPoint{{T: 5, H: h}, {T: 6, H: h}}}},
		"a scalar":            promql.Scalar{T: 1500, V: 1e20},
		"a string":            promql.String{T: 1500, V: "\x00é"},
	} {
		b, err := appendValue(nil, v)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var gotValue, wantValue any
		if err := json.Unmarshal(b, &gotValue); err != nil {
			t.Errorf("%s is not JSON: %v in %s", name, err, b)
		}
		if err := json.Unmarshal(want, &wantValue); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(gotValue, wantValue) {
			t.Errorf("%s\n got  %s\n want %s", name, b, want)
		}
	}
	if _, err := appendValue(nil, 5); err == nil {
		t.Error("something that is no result was written")
	}
}
