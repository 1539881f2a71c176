package pin

import (
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// subject is what a driver holds: the version of a component or the value of a
// setting. The drivers are the same for both; what they say and exchange is not.
type subject struct {
	what string // "prompt", "canary"
	noun string // "version" or "value": the field of JSON, and in capitals the variable of commands
	look string // the command that looks again
	know string // the command that says what it can be
	move string // the command that moves it
	same func(a, b string) bool
	// typed: in JSON it may be a number or true and false, which are on and off. A version is always a text.
	typed bool
}

func versionOf(component string) subject {
	return subject{
		what: component, noun: "version", look: "rollcall pin get " + component, know: "rollcall pin list " + component, move: "rollcall pin set",
		same: func(a, b string) bool { return a == b },
	}
}

func valueOf(setting string) subject {
	return subject{
		what: setting, noun: "value", look: "rollcall setting get " + setting, know: "rollcall setting list", move: "rollcall setting set", same: sameValue, typed: true,
	}
}

func (s *subject) variable() string { return strings.ToUpper(s.noun) }

// decimal is a number as people and configurations write them: not 0x1F, not infinity.
var decimal = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$`)

func number(s string) (float64, bool) {
	if !decimal.MatchString(s) {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil && !math.IsInf(v, 0)
}

// sameValue compares values: 0.10 is 0.1, whoever wrote it. Of versions that would
// be wrong: 1.10 is not 1.1.
func sameValue(a, b string) bool {
	if a == b {
		return true
	}
	x, isX := number(a)
	y, isY := number(b)
	return isX && isY && x == y
}

// scalar is a JSON value in one word.
func scalar(raw json.RawMessage, typed bool) (string, error) {
	switch s := string(raw); {
	case s == "" || s == "null":
		return "", errors.New("is missing")
	case s[0] == '"':
		var out string
		err := json.Unmarshal(raw, &out)
		return out, err
	case typed && s == "true":
		return "on", nil
	case typed && s == "false":
		return "off", nil
	case typed && s[0] != '{' && s[0] != '[':
		return s, nil // a number, as it is written there
	}
	return "", errors.New("is no text")
}

// typedAs gives a value the JSON type that the one before it had.
func typedAs(before json.RawMessage, value string) any {
	v, isNumber := number(value)
	switch s := string(before); {
	case (s == "true" || s == "false") && (value == "on" || value == "off"):
		return value == "on"
	case s != "" && s[0] != '"' && s != "true" && s != "false" && isNumber:
		return v
	}
	return value
}
