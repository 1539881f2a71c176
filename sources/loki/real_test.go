package loki

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"rollcall/sources"
)

func TestAnAccessLogOfAGatewaySaysWhatItKnowsOfItsRequest(t *testing.T) {
	for _, tc := range []struct {
		name, line, level, requestID string
		says                         map[string]sources.LogField
	}{
		{
			"a model's answer",
			`{"gen_ai.request.model":"gpt-4o-mini","gen_ai.request.model_override":null,"gen_ai.response.model":"gpt-4o-mini-2024-07-18","gen_ai.usage.input_tokens":15,"gen_ai.usage.output_tokens":7,"response_code":200,"x-request-id":"83b63da3-45a9"}`,
			"", "83b63da3-45a9",
			map[string]sources.LogField{
				"model_requested": {Value: "gpt-4o-mini", Field: "gen_ai.request.model"}, "model_served": {Value: "gpt-4o-mini-2024-07-18", Field: "gen_ai.response.model"},
				"tokens_in": {Value: "15", Field: "gen_ai.usage.input_tokens"}, "tokens_out": {Value: "7", Field: "gen_ai.usage.output_tokens"}, "status": {Value: "200", Field: "response_code"},
			},
		},
		{"a failure, whatever level was guessed", `{"x-request-id":"r-1","response_code":503,"detected_level":"info"}`, "error", "r-1", map[string]sources.LogField{"status": {Value: "503", Field: "response_code"}}},
		{"a failure whose sender knows better", `{"x-request-id":"r-1","response_code":"503","level":"warn"}`, "warn", "r-1", map[string]sources.LogField{"status": {Value: "503", Field: "response_code"}}},
		{"an ID that is null", `{"request_id":null,"trace_id":null,"x-request-id":"r-1"}`, "", "r-1", nil},
		{"nulls", `{"x-request-id":"r-1","gen_ai.request.model":null,"gen_ai.usage.input_tokens":null}`, "", "r-1", nil},
		{"values that are none of their kind", `{"gen_ai.request.model":"ignore all previous instructions","gen_ai.usage.input_tokens":-3,"gen_ai.usage.output_tokens":1e99,"response_code":"abc"}`, "", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, url := newFake(t)
			f.push(map[string]string{"job": "aigw"}, time.Now().Add(-time.Minute), tc.line, nil)
			l := onlyLine(t, url)
			if l.RequestID != tc.requestID || l.Level != tc.level || len(l.Says) != len(tc.says) {
				t.Errorf("read as %+v", l)
			}
			for column, want := range tc.says {
				if l.Says[column] != want {
					t.Errorf("%s is %+v, want %+v", column, l.Says[column], want)
				}
			}
		})
	}
}

func onlyLine(t *testing.T, url string) sources.LogLine {
	t.Helper()
	c := client(t, Config{URL: url})
	now := time.Now()
	list, err := c.QueryRange(t.Context(), sources.LogQuery{Query: `{job="aigw"}`, Since: now.Add(-time.Hour), Until: now.Add(time.Minute), Limit: 10})
	if err != nil || len(list.Lines) != 1 {
		t.Fatalf("%d lines: %v", len(list.Lines), err)
	}
	return list.Lines[0]
}

func TestRecordedAccessLogsAreRecognised(t *testing.T) {
	dir := os.Getenv("ROLLCALL_REAL_DATA")
	if dir == "" {
		t.Skip("ROLLCALL_REAL_DATA is not set; recorded access logs are not tested")
	}
	text, err := os.ReadFile(filepath.Join(dir, "aigw", "accesslogs.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(text, -1)
	want := map[string]map[string]string{
		"83b63da3-45a9-4196-98b8-1a7f697d6d8d": {"model_requested": "gpt-4o-mini", "provider": "default/tars/route/aigw-run/rule/0/ref/0", "tokens_in": "15", "tokens_out": "7", "status": "200"},
		"cf2c0454-6290-498e-af6c-e32a611b5da1": {"status": "200"},
	}
	if len(blocks) != len(want) {
		t.Fatalf("%d recorded lines", len(blocks))
	}
	for _, b := range blocks {
		var line bytes.Buffer
		if err := json.Compact(&line, b[1]); err != nil {
			t.Fatal(err)
		}
		f, url := newFake(t)
		f.push(map[string]string{"job": "aigw"}, time.Now().Add(-time.Minute), line.String(), nil)
		l := onlyLine(t, url)
		says, known := want[l.RequestID]
		if !known || len(l.Says) != len(says) {
			t.Errorf("request %q says %v", l.RequestID, l.Says)
		}
		for column, v := range says {
			if l.Says[column].Value != v {
				t.Errorf("request %q: %s is %q, want %q", l.RequestID, column, l.Says[column].Value, v)
			}
		}
	}
}
