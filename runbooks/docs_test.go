package runbooks

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rollcall/sources"
)

// jsonSchema is as much of a JSON schema as the comparison needs.
type jsonSchema struct {
	Ref        string                  `json:"$ref"`
	Enum       []string                `json:"enum"`
	Properties map[string]jsonSchema   `json:"properties"`
	Additional json.RawMessage         `json:"additionalProperties"`
	Names      struct{ Enum []string } `json:"propertyNames"`
	Defs       map[string]jsonSchema   `json:"$defs"`
}

func readSchema(t *testing.T) jsonSchema {
	t.Helper()
	b, err := os.ReadFile("../docs/runbook.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s jsonSchema
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheSchemaHasTheKeysOfTheFormat(t *testing.T) {
	root := readSchema(t)
	follow := func(s jsonSchema) jsonSchema {
		if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
			return root.Defs[name]
		}
		return s
	}
	seen := map[reflect.Type]bool{}
	var compare func(where string, s jsonSchema, typ reflect.Type)
	compare = func(where string, s jsonSchema, typ reflect.Type) {
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		if typ == reflect.TypeFor[varList]() {
			var each jsonSchema
			if err := json.Unmarshal(s.Additional, &each); err != nil {
				t.Fatal(err)
			}
			s, typ = follow(each), reflect.TypeFor[varSource]()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		var have []string
		for k := range s.Properties {
			have = append(have, k)
		}
		want := keysOf(typ)
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			t.Errorf("%s: the schema has %v, the format %v", where, have, want)
		}
		if string(s.Additional) != "false" {
			t.Errorf("%s: the schema lets unknown keys pass", where)
		}
		for _, k := range want {
			compare(where+"."+k, follow(s.Properties[k]), typ.FieldByIndex(fieldOf(typ, k)).Type)
		}
	}
	compare("front matter", root, reflect.TypeFor[frontMatter]())
	compare("settings", root.Defs["settings"], reflect.TypeFor[settings]())

	if got, want := root.Defs["variable"].Properties["suspect"].Enum[len(sources.Components):], Suspected; !slices.Equal(got, want) {
		t.Errorf("the schema's suspects are %v, those of the format %v", got, want)
	}
	if where := root.Defs["settings"].Properties["capture"].Properties["where"]; !slices.Equal(where.Names.Enum, sources.RequestAttributes) {
		t.Errorf("the schema's attributes are %v", where.Names.Enum)
	}

	var components []string
	for _, c := range sources.Components {
		components = append(components, string(c))
	}
	if got := root.Defs["component"].Enum; !slices.Equal(got, components) {
		t.Errorf("the schema's components are %v", got)
	}
}

func TestEveryKeyIsInTheReference(t *testing.T) {
	doc, err := os.ReadFile("../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	var check func(prefix string, typ reflect.Type)
	check = func(prefix string, typ reflect.Type) {
		for _, k := range keysOf(typ) {
			ft := typ.FieldByIndex(fieldOf(typ, k)).Type
			if ft.Kind() == reflect.Pointer {
				ft = ft.Elem()
			}
			row := strings.Contains(string(doc), "\n| `"+prefix+k+"` |")
			if inner := ft.Kind() == reflect.Struct && len(keysOf(ft)) > 0 && ft != typ; inner {
				check(prefix+k+".", ft)
			} else if !row {
				t.Errorf("docs/runbooks.md has no row for %s%s", prefix, k)
			}
		}
	}
	check("", reflect.TypeFor[frontMatter]())
	check("", reflect.TypeFor[varSource]())
	check("", reflect.TypeFor[settings]())
}

func TestEveryKeyOfAStepBelongsToAKind(t *testing.T) {
	var used []string
	for _, c := range kindOf {
		used = append(used, c.key)
	}
	for _, keys := range keysFor {
		used = append(used, keys...)
	}
	for _, k := range keysOf(reflect.TypeFor[settings]()) {
		if k != "when" && !slices.Contains(used, k) {
			t.Errorf("no kind of step may have %s", k)
		}
	}
}

func TestEveryShippedRunbookIsInTheTable(t *testing.T) {
	doc, err := os.ReadFile("../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "## The shipped ones")
	table, _, _ = strings.Cut(table, "\n## ")
	n := 0
	for _, l := range Load(nil, Known{}) {
		rb := l.Runbook
		if rb == nil {
			t.Errorf("%s is no runbook", l.File)
			continue
		}
		n++
		_, row, ok := strings.Cut(table, "\n| `"+rb.ID+"` | ")
		row, _, _ = strings.Cut(row, "\n")
		if !ok || rb.Component != "" && !strings.Contains(row, string(rb.Component)) {
			t.Errorf("the table does not say of %s what it moves (%s): %q", rb.ID, rb.Component, row)
		}
	}
	if rows := strings.Count(table, "\n| `"); rows != n {
		t.Errorf("the table has %d rows for %d runbooks", rows, n)
	}
}
