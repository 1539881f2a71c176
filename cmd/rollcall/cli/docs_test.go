package cli

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"rollcall/sources"
	"rollcall/sources/signal/spend"
	"rollcall/store/alerts"
	"rollcall/store/fatigue"
	"rollcall/store/journal"
	"rollcall/store/scorecard"
)

// Scripts are written against docs/json.md, so a field that is not in it does not exist for them.
func TestEveryFieldOfTheJSONIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, s := range strings.Split(string(text), "\n## ")[1:] {
		title, body, _ := strings.Cut(s, "\n")
		sections[strings.Trim(strings.TrimSpace(title), "`")] = body
	}
	for title, value := range map[string]any{
		"status":            statusJSON{},
		"requests":          sources.Request{},
		"request ID":        requestJSON{RequestView: &sources.RequestView{}},
		"logs":              sources.LogLine{},
		"changes":           sources.Change{},
		"suspects":          suspectsJSON{},
		"alerts":            alerts.List{},
		"alerts silence":    silencedJSON{},
		"alerts fatigue":    fatigue.Report{},
		"doctor":            Finding{},
		"init":              initJSON{},
		"drill --headless":  headlessJSON{},
		"drill score":       scorecard.Card{},
		"collect":           Endpoints{},
		"version":           Version{},
		"purge":             journal.PurgedData{},
		"changes --rollout": rolloutJSON{},
		"cost":              costJSON{Report: &spend.Report{}},
		"readiness":         readinessJSON{},
		"cases":             casesJSON{},
	} {
		body, ok := sections[title]
		if !ok {
			t.Errorf("docs/json.md has no section %q", title)
			continue
		}
		for _, other := range asIn[title] {
			body += sections[other]
		}
		said := map[string]bool{}
		for _, m := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(body, -1) {
			said[m[1]] = true
		}
		fields := map[string]bool{}
		jsonFields(reflect.TypeOf(value), fields)
		for f := range fields {
			if !said[f] {
				t.Errorf("%s: the field %q is not documented", title, f)
			}
		}
	}
}

// asIn names the sections whose words a section uses instead of repeating them.
var asIn = map[string][]string{"status": {"changes", "suspects"}, "request ID": {"requests", "logs", "changes", "status"}}

// jsonFields collects the names that a value of the type is written with, at any depth.
func jsonFields(typ reflect.Type, into map[string]bool) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[sources.Num]() || typ.PkgPath() == "time" {
		return
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if name != "" {
			into[name] = true
		}
		jsonFields(f.Type, into)
	}
}

func TestAPartWithoutTrafficIsNullAndNotZero(t *testing.T) {
	out := signalOf(&sources.Reading{Parts: []sources.Part{{Name: "v13", Verdict: sources.NoTraffic}, {Name: "v14", Value: .5}}}, time.Time{}, time.Time{})
	text, err := json.Marshal(out.Parts)
	if err != nil {
		t.Fatal(err)
	}
	if want := `[{"name":"v13","value":null,"verdict":"no traffic","n":null},{"name":"v14","value":0.5,"n":null}]`; string(text) != want {
		t.Errorf("parts are %s, want %s", text, want)
	}
}
