package stat

import (
	"strconv"
	"strings"
)

// Words writes a probability for people: "4e-12", "0.03".
func Words(p float64) string {
	switch {
	case p <= 0:
		return "0"
	case p < 1e-300:
		return "<1e-300"
	case p >= 0.01:
		return strconv.FormatFloat(p, 'f', 2, 64)
	}
	return strings.Replace(strconv.FormatFloat(p, 'e', 0, 64), "e-0", "e-", 1)
}
