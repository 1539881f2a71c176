package loki

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"

	"rollcall/sources/redact"
)

// maxNames is how many labels, values or streams one call returns.
const maxNames = 10_000

// Labels lists the names of the stream labels between two times, sorted.
func (c *Client) Labels(ctx context.Context, since, until time.Time) ([]string, error) {
	return c.names(ctx, "labels", between(since, until), "")
}

// LabelValues lists the values of a label, sorted; selector, such as
// {job="assistant"}, may be empty.
func (c *Client) LabelValues(ctx context.Context, name, selector string, since, until time.Time) ([]string, error) {
	if name == "" {
		return nil, errors.New("the values of which label? its name is empty")
	}
	params := between(since, until)
	if selector != "" {
		params.Set("query", selector)
	}
	return c.names(ctx, "label/"+url.PathEscape(name)+"/values", params, name)
}

func between(since, until time.Time) url.Values {
	return url.Values{
		"start": {strconv.FormatInt(since.UnixNano(), 10)},
		"end":   {strconv.FormatInt(until.UnixNano(), 10)},
	}
}

func (c *Client) names(ctx context.Context, path string, params url.Values, field string) ([]string, error) {
	var list []string
	_, err := c.get(ctx, path, params, func(body io.Reader) error {
		list = nil
		d := decoder{c: c, plain: func(r *reader) error {
			v, ok, err := r.scalar()
			if ok && err == nil {
				if len(list) >= maxNames {
					return errTooLong
				}
				list = append(list, v)
			}
			return err
		}}
		return tooMany(d.read(body), len(list))
	})
	if err != nil {
		return nil, err
	}
	names, values := make([]string, len(list)), make([]*string, len(list))
	for i := range list {
		names[i], values[i] = field, &list[i]
	}
	c.redact.Fields(names, values, nil)
	for i := range list {
		list[i] = redact.SanitizeLine(list[i], maxLabel)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// Series lists the label sets of the streams that match a selector.
func (c *Client) Series(ctx context.Context, selector string, since, until time.Time) ([]map[string]string, error) {
	params := between(since, until)
	params.Set("match[]", selector)
	var list []map[string]string
	_, err := c.get(ctx, "series", params, func(body io.Reader) error {
		list = nil
		d := decoder{c: c, plain: func(r *reader) error {
			m, err := r.strings()
			if len(list) >= maxNames {
				return errTooLong
			}
			list = append(list, m)
			return err
		}}
		return tooMany(d.read(body), len(list))
	})
	if err != nil {
		return nil, err
	}
	sets := make([]*map[string]string, len(list))
	for i := range list {
		sets[i] = &list[i]
	}
	c.cleanAll(sets)
	return list, nil
}

func tooMany(err error, n int) error {
	if errors.Is(err, errTooLong) {
		return fmt.Errorf("more than %d names; narrow the range or the selector", n)
	}
	return err
}
