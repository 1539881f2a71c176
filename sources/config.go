package sources

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration in configuration: time.ParseDuration's syntax and "d" for 24 hours ("1d12h").
type Duration time.Duration

// UnmarshalText parses the duration.
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	days, rest, found := strings.Cut(s, "d")
	var total time.Duration
	if found {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil {
			return fmt.Errorf("%q is not a duration; write it like 15s, 10m, 6h or 7d", s)
		}
		total = time.Duration(n * 24 * float64(time.Hour))
		s = rest
	}
	if s != "" || !found {
		v, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("%q is not a duration; write it like 15s, 10m, 6h or 7d", string(b))
		}
		total += v
	}
	if total < 0 {
		return fmt.Errorf("%q is negative; a duration here is positive", string(b))
	}
	*d = Duration(total)
	return nil
}

// MarshalText writes the duration as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Or returns the duration, or the default when it is zero.
func (d Duration) Or(def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}

// ByteSize is a number of bytes in configuration: "512KiB", "16MiB", "10GiB", "1GB" or a plain number.
type ByteSize int64

// UnmarshalText parses the size.
func (b *ByteSize) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	unit := int64(1)
	for _, u := range []struct {
		suffix string
		n      int64
	}{
		{"KiB", 1 << 10},
		{"MiB", 1 << 20},
		{"GiB", 1 << 30},
		{"TiB", 1 << 40},
		{"kB", 1e3},
		{"KB", 1e3},
		{"MB", 1e6},
		{"GB", 1e9},
		{"TB", 1e12},
		{"B", 1},
	} {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			s, unit = strings.TrimSpace(rest), u.n
			break
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 || n*float64(unit) > 1<<62 {
		return fmt.Errorf("%q is not a size; write it like 512KiB, 16MiB or 10GiB", string(text))
	}
	*b = ByteSize(n * float64(unit))
	return nil
}

// Or returns the size, or the default when it is zero.
func (b ByteSize) Or(def int64) int64 {
	if b == 0 {
		return def
	}
	return int64(b)
}
