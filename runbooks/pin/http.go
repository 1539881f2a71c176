package pin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"reflect"
	"strings"
	"time"

	commonconfig "github.com/prometheus/common/config"

	"rollcall/sources/redact"
)

// maxBody is far more than any answer of an endpoint that holds pins.
const maxBody = 1 << 20

// endpoint speaks JSON with one HTTP address.
type endpoint struct {
	holds   string // for messages
	url     string
	where   string // the URL as it may be shown
	client  *http.Client
	headers map[string]string
	timeout time.Duration // wall time of one exchange
}

func newEndpoint(what string, cfg Endpoint, timeout time.Duration) (*endpoint, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("the url of %s is not a URL; write it like http://127.0.0.1:7000/v1/pins/prompt", what)
	}
	if reflect.DeepEqual(cfg.HTTP, commonconfig.HTTPClientConfig{}) {
		cfg.HTTP = commonconfig.DefaultHTTPClientConfig
	}
	client, err := commonconfig.NewClientFromConfig(cfg.HTTP, "rollcall-pin", commonconfig.WithUserAgent("rollcall"))
	if err != nil {
		return nil, fmt.Errorf("%s: http: %w; check the file names there", what, err)
	}
	return &endpoint{
		holds: what, url: strings.TrimSuffix(cfg.URL, "/"), where: redact.SanitizeLine(u.Redacted(), 200),
		client: client, headers: cfg.Headers, timeout: timeout,
	}, nil
}

// answer is what came back, read whole.
type answer struct {
	status int
	etag   string
	body   []byte
}

// errHalf is an answer that broke off.
var errHalf = errors.New("the answer broke off")

// exchange does one request. sent tells whether the server may have seen it.
func (e *endpoint) exchange(ctx context.Context, method, address string, body any, match string) (a answer, sent bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent = true }})
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return a, false, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, in)
	if err != nil {
		return a, false, err
	}
	for k, v := range e.headers {
		req.Header.Set(k, v)
		if http.CanonicalHeaderKey(k) == "Host" {
			req.Host = v
		}
	}
	req.Header.Set("Accept", "application/json")
	client := e.client
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		// A write goes where it was addressed or nowhere.
		direct := *e.client
		direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		client = &direct
	}
	if match != "" {
		req.Header.Set("If-Match", match)
	}
	resp, err := client.Do(req)
	if err != nil {
		return a, sent, err
	}
	defer func() { _ = resp.Body.Close() }()
	a.status, a.etag = resp.StatusCode, resp.Header.Get("ETag")
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return a, sent, errHalf
	case err != nil:
		return a, sent, err
	case len(a.body) > maxBody:
		return a, sent, fmt.Errorf("the answer is larger than %d bytes", maxBody)
	}
	return a, sent, nil
}

// complaint is what an answer that is no success says, in a few words.
func (a *answer) complaint() string {
	var in struct {
		Error   string `json:"error"`
		Message string `json:"message"`
		Detail  string `json:"detail"`
	}
	says := ""
	if json.Unmarshal(a.body, &in) == nil {
		for _, s := range []string{in.Error, in.Message, in.Detail} {
			if says == "" {
				says = text(s)
			}
		}
	}
	status := fmt.Sprintf("%d %s", a.status, http.StatusText(a.status))
	if says == "" {
		return strings.TrimSpace(status)
	}
	return strings.TrimSpace(status) + ": " + says
}

// read asks for JSON and decodes it.
func (e *endpoint) read(ctx context.Context, address string, into any) (etag string, err error) {
	a, _, err := e.exchange(ctx, http.MethodGet, address, nil, "")
	switch {
	case err != nil:
		return "", fmt.Errorf("%s cannot be read from %s: %s (%w)", e.holds, e.where, reason(err, e.timeout), ErrUnreachable)
	case a.status == http.StatusNotFound || a.status == http.StatusGone:
		return "", fmt.Errorf("%s is %w at %s (%s); check its url", e.holds, ErrUnknown, e.where, a.complaint())
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return "", fmt.Errorf("%s may not be read from %s (%s); check the http section of its driver", e.holds, e.where, a.complaint())
	case a.status != http.StatusOK:
		return "", fmt.Errorf("%s cannot be read from %s: %s (%w)", e.holds, e.where, a.complaint(), ErrUnreachable)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return "", fmt.Errorf("%s cannot be read from %s: the answer is %s (%w)", e.holds, e.where, notJSON(err), ErrUnreachable)
	}
	return a.etag, nil
}

// notJSON says in a few words why an answer could not be decoded.
func notJSON(err error) string {
	var typed *json.UnmarshalTypeError
	if errors.As(err, &typed) {
		field := typed.Field
		if field == "" {
			field = "it"
		}
		return fmt.Sprintf("of another shape, %s is a %s", text(field), text(typed.Value))
	}
	return "no JSON, " + text(err.Error())
}

func (e *endpoint) close() { e.client.CloseIdleConnections() }

// httpDriver asks an endpoint: GET gives {"version": ...} with an ETag, PUT
// moves it while If-Match still fits, URL/versions lists.
type httpDriver struct {
	*endpoint
	subject
	patience time.Duration
}

// seen is what an endpoint said when it was asked.
type seen struct {
	text string
	raw  json.RawMessage // as it stood there: what is written back has the same type
	etag string
}

func (d *httpDriver) get(ctx context.Context) (s seen, err error) {
	var in map[string]json.RawMessage
	if s.etag, err = d.read(ctx, d.url, &in); err != nil {
		return seen{}, err
	}
	s.raw = in[d.noun]
	if s.text, err = scalar(s.raw, d.typed); err == nil {
		err = checkName(s.text)
	}
	if err != nil {
		return seen{}, fmt.Errorf("%s cannot be read from %s: its %s %w (%w)", d.what, d.where, d.noun, err, ErrUnreachable)
	}
	return s, nil
}

// Get returns what is live.
func (d *httpDriver) Get(ctx context.Context) (string, error) {
	s, err := d.get(ctx)
	return s.text, err
}

// Set moves the version if the revision is still the one at which current was live.
func (d *httpDriver) Set(ctx context.Context, version, current string) error {
	now, err := d.get(ctx)
	switch {
	case err != nil:
		return err
	case !d.same(now.text, current):
		return &NotCurrent{What: d.what, Expected: current, Now: now.text}
	case d.same(version, now.text):
		return nil
	case now.etag == "":
		return fmt.Errorf("%s was not moved: %s gives no ETag, so nobody could tell whether somebody else moves it meanwhile; "+
			"make it answer one, or use an exec driver", d.what, d.where)
	}
	a, sent, err := d.exchange(ctx, http.MethodPut, d.url, map[string]any{d.noun: typedAs(now.raw, version)}, now.etag)
	switch {
	case a.status/100 == 2:
		return settle(ctx, d.patience, &d.subject, version, current, d.Get) // however the rest of the answer ended
	case err != nil && !sent:
		return fmt.Errorf("%s was not moved: %s: %s (%w)", d.what, d.where, reason(err, d.timeout), ErrUnreachable)
	case err != nil && a.status == 0 || a.status/100 == 5:
		why := a.complaint()
		if a.status == 0 {
			why = reason(err, d.timeout)
		}
		return doubt(ctx, &d.subject, version, d.where+": "+why, d.Get)
	}
	switch a.status {
	case http.StatusPreconditionFailed, http.StatusConflict:
		return d.refused(ctx, current, a)
	case http.StatusNotFound, http.StatusUnprocessableEntity:
		return fmt.Errorf("%s was not moved to %s: %w there (%s); see %s", d.what, version, ErrUnknown, a.complaint(), d.know)
	}
	return fmt.Errorf("%s was not moved to %s: %s answered %s", d.what, version, d.where, a.complaint())
}

// refused looks at what is live after the endpoint said that it moved.
func (d *httpDriver) refused(ctx context.Context, current string, a answer) error {
	now, err := d.Get(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%s was not moved, %w: %s; what is live now cannot be read: %s", d.what, ErrMoved, a.complaint(), text(err.Error()))
	case d.same(now, current):
		return fmt.Errorf("%s was not moved: it changed and is %s again, so %w (%s); try again once they are done", d.what, now, ErrMoved, a.complaint())
	}
	return &NotCurrent{What: d.what, Expected: current, Now: now}
}

// listed is one element of the list: an object, or only a name.
type listed Version

// UnmarshalJSON takes both.
func (l *listed) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &l.Name)
	}
	return json.Unmarshal(b, (*Version)(l))
}

// List reads URL/versions.
func (d *httpDriver) List(ctx context.Context) ([]Version, error) {
	var in struct {
		LastGood string   `json:"last_good"`
		Versions []listed `json:"versions"`
	}
	if _, err := d.read(ctx, d.url+"/versions", &in); err != nil {
		if errors.Is(err, ErrUnknown) {
			return nil, fmt.Errorf("the versions of %s are %w: there is no %s/versions", d.what, ErrUnknown, d.where)
		}
		return nil, err
	}
	live, err := d.Get(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Version, 0, min(len(in.Versions), maxVersions))
	for _, l := range in.Versions[:min(len(in.Versions), maxVersions)] {
		v := Version(l)
		if checkName(v.Name) != nil {
			continue // it could not be set either
		}
		v.Live, v.Note = v.Name == live, text(v.Note)
		v.LastGood = v.LastGood || v.Name == in.LastGood
		v.Good = v.Good || v.LastGood
		out = append(out, v)
	}
	return withLive(out, live), nil
}
