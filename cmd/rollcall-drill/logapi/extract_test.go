package logapi

import (
	"encoding/json"
	"testing"
)

func extract(stream labelSet, stage, text string) string {
	var l lineState
	l.reset(stream, "", entry{line: text})
	parserStage(stage).process(&l)
	return l.extracted().String()
}

func TestFieldsOfJSONLinesBecomeLabels(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`{"a":"x","n":1.50,"t":true,"f":false,"e":1e-3}`, `{a="x", e="1e-3", f="false", n="1.50", t="true"}`},
		{`{"o":{"p":{"q":"r"},"s":1},"list":[1,{"z":"["}],"after":"]"}`, `{after="]", o_p_q="r", o_s="1"}`},
		{` { "a" : null , "b" : "" , "c":[] , "d" : { } , "g":"h" } `, `{g="h"}`},
		{`{"a.b-c":"1","0x":"2","é":"3"," sp ":"4"}`, `{_="3", _0x="2", a_b_c="1", sp="4"}`},
		{`{"a":"1","a":"2"}`, `{a="1"}`},
		{`{"job":"inner","q":"\"\u00e9\n\\"}`, `{job_extracted="inner", q="\"é\n\\"}`},
		{`{}`, `{}`},
		{`{"a":`, `{__error__="JSONParserErr", __error_details__="the line is not a JSON object"}`},
		{`["a"]`, `{__error__="JSONParserErr", __error_details__="the line is not a JSON object"}`},
		{`plain`, `{__error__="JSONParserErr", __error_details__="the line is not a JSON object"}`},
		{``, `{__error__="JSONParserErr", __error_details__="the line is not a JSON object"}`},
	} {
		if got := extract(labelSet{{"job", "a"}}, "json", c.line); got != c.want {
			t.Errorf("%s\n gave %s\n want %s", c.line, got, c.want)
		}
	}
}

func TestPairsOfLogfmtLinesBecomeLabels(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`level=info msg="it \"works\"" took=1.5s n=3`, `{level="info", msg="it \"works\"", n="3", took="1.5s"}`},
		{`words before a=1 alone b= c="" d=2=3 =4`, `{a="1", d="2=3"}`},
		{`a.b=1 job=x`, `{a_b="1", job_extracted="x"}`},
		{`a=1 b="open`, `{__error__="LogfmtParserErr", __error_details__="a quoted value does not end", a="1"}`},
		{``, `{}`},
	} {
		if got := extract(labelSet{{"job", "a"}}, "logfmt", c.line); got != c.want {
			t.Errorf("%s\n gave %s\n want %s", c.line, got, c.want)
		}
	}
}

func FuzzExtract(f *testing.F) {
	for _, s := range []string{`{"a":{"b":[1,"]"]},"c":"\u0000"}`, `a=1 b="c\"d" e`, `{"a":1}x`, "{\"\xff\":\"\xff\"}", `{"":""}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		extract(nil, "logfmt", text)
		var l lineState
		l.reset(nil, "", entry{line: text})
		extractJSON(&l)
		var object map[string]any
		if err := json.Unmarshal([]byte(text), &object); (err == nil && object != nil) != (l.err == "") {
			t.Errorf("%q: failure %q, but encoding/json says %v", text, l.err, err)
		}
		for _, p := range l.parsed {
			if !validLabelName(p.name) {
				t.Errorf("%q gave label name %q", text, p.name)
			}
		}
	})
}
