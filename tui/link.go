package tui

import (
	"io"
	"sort"
	"strconv"
	"sync/atomic"
	"time"

	"rollcall/tui/widget"
)

// link counts what goes to the terminal.
type link struct {
	bytes  atomic.Int64
	writes atomic.Int64

	frames int
	recent [256]time.Duration // time that the latest frames took to build
}

func (l *link) drew(d time.Duration) {
	l.recent[l.frames%len(l.recent)] = d
	l.frames++
}

// quantile of the latest frames.
func (l *link) quantile(q float64) time.Duration {
	n := min(l.frames, len(l.recent))
	if n == 0 {
		return 0
	}
	s := append([]time.Duration(nil), l.recent[:n]...)
	sort.Slice(s, func(i, j int) bool { return s[i] < s[j] })
	return s[min(n-1, int(q*float64(n)))]
}

// counted passes writes on and counts them. It stays a file for those who need
// to know whether it is a terminal.
type counted struct {
	File
	link *link
}

// File is a terminal: what os.Stdout is.
type File interface {
	io.ReadWriteCloser
	Fd() uintptr
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.File.Write(p)
	c.link.bytes.Add(int64(n))
	c.link.writes.Add(1)
	return n, err
}

type countedWriter struct {
	io.Writer
	link *link
}

func (c countedWriter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.link.bytes.Add(int64(n))
	c.link.writes.Add(1)
	return n, err
}

func (l *link) wrap(w io.Writer) io.Writer {
	if f, ok := w.(File); ok {
		return counted{f, l}
	}
	return countedWriter{w, l}
}

// counters are the shell's part of the debug pane.
func (m *Model) counters() [][2]string {
	r := &m.read
	n := m.link.bytes.Load()
	up := m.lastMsg.Sub(m.started)
	rate := "–"
	if up > time.Second {
		rate = strconv.FormatFloat(float64(n)/up.Seconds(), 'f', 0, 64) + " B/s on average"
	}
	reading := "no"
	if r.flying {
		reading = "yes"
	}
	return [][2]string{
		{"bytes to the terminal", strconv.FormatInt(n, 10)},
		{"  rate", rate},
		{"  writes", strconv.FormatInt(m.link.writes.Load(), 10)},
		{"screens built", strconv.Itoa(m.link.frames)},
		{"  build time p50, p99", micros(m.link.quantile(.5)) + ", " + micros(m.link.quantile(.99))},
		{"last refresh took", widget.Latency(r.took)},
		{"refreshing now", reading},
		{"size", strconv.Itoa(m.width) + " columns, " + strconv.Itoa(m.height) + " rows"},
		{"way back", strconv.Itoa(len(m.stack)) + " steps"},
	}
}

func micros(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 2, 64) + " ms"
}
