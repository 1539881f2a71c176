package setup

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	commonconfig "github.com/prometheus/common/config"

	"rollcall/cmd/rollcall/config"
)

// State says how a place where a source may be answered.
type State string

// The states.
const (
	Up     State = "up"
	Locked State = "locked" // something is there and wants credentials
	Other  State = "other"  // something else is there
	Down   State = "down"   // named by somebody, and there is no answer
	Absent State = "absent" // nothing at the usual port
)

// Source is one place where a source was looked for.
type Source struct {
	Kind   Kind
	URL    string // without user and password
	From   string // "--loki", "$LOKI_ADDR" or "usual port"
	State  State
	Detail string // what was found, one line
	Remedy string

	usual  bool
	wait   time.Duration
	user   *url.Userinfo // from the URL; used for looking, never written
	scheme string        // that a locked one asks for: "Basic", "Bearer"
	names  []string      // service names that it knows
}

// Given tells whether somebody said where to look.
func (s *Source) Given() bool { return !s.usual }

// writable tells whether the source belongs into the configuration.
func (s *Source) writable() bool { return s.State == Up || s.State == Locked || s.State == Down }

// settings are what a client of the source needs; every kind has the same.
func (s *Source) settings(dir string, env config.Env) (*config.Prometheus, error) {
	text := "prometheus:\n" + indent(append([]string{"url: " + quote(s.URL)}, s.access(dir, env)...)) + "services: {any: {}}\n"
	f, err := config.Parse(filepath.Join(dir, "rollcall.yaml"), []byte(text), withHome(env))
	if err != nil {
		return nil, err
	}
	if s.user != nil {
		pass, _ := s.user.Password()
		f.Prometheus.HTTP.Authorization = nil
		f.Prometheus.HTTP.BasicAuth = &commonconfig.BasicAuth{Username: s.user.Username(), Password: commonconfig.Secret(pass)}
	}
	return f.Prometheus, nil
}

// withHome lets a configuration be read where no folder for state is known.
func withHome(env config.Env) config.Env {
	return func(name string) (string, bool) {
		if v, ok := env(name); ok || name != "HOME" {
			return v, ok
		}
		return os.TempDir(), true
	}
}

// access are the keys of the section that let the client in, as they will be
// written: they name files and variables, and hold no secret.
func (s *Source) access(dir string, env config.Env) []string {
	get := func(name string) string { v, _ := env(name); return v }
	var http []string
	var out []string
	auth := ""
	if s.Kind == Loki {
		auth = lokiAuth(get)
		if id := get("LOKI_ORG_ID"); id != "" && plain(id) {
			out = append(out, "headers: {X-Scope-OrgID: "+quote(id)+"}")
		}
		var tls []string
		for _, v := range [...][2]string{{"ca_file", "LOKI_CA_CERT_PATH"}, {"cert_file", "LOKI_CLIENT_CERT_PATH"}, {"key_file", "LOKI_CLIENT_KEY_PATH"}} {
			if p := get(v[1]); p != "" && plain(p) {
				if abs, err := filepath.Abs(p); err == nil {
					p = abs
				}
				tls = append(tls, v[0]+": "+quote(p))
			}
		}
		if get("LOKI_TLS_SKIP_VERIFY") == "true" {
			tls = append(tls, "insecure_skip_verify: true")
		}
		if len(tls) > 0 {
			http = append(http, "tls_config: {"+strings.Join(tls, ", ")+"}")
		}
	}
	switch file := filepath.Join(dir, s.tokenFile()); {
	case auth != "":
	case s.user != nil:
		if isFile(filepath.Join(dir, s.passwordFile())) {
			auth = s.basic()
		}
	case isFile(file):
		auth = s.bearer()
	}
	if auth != "" {
		http = append(http, auth)
	}
	if len(http) > 0 {
		out = append(out, "http: {"+strings.Join(http, ", ")+"}")
	}
	return out
}

func lokiAuth(get func(string) string) string {
	switch {
	case get("LOKI_BEARER_TOKEN") != "":
		return `authorization: {credentials: "${LOKI_BEARER_TOKEN}"}`
	case get("LOKI_BEARER_TOKEN_FILE") != "" && plain(get("LOKI_BEARER_TOKEN_FILE")):
		p := get("LOKI_BEARER_TOKEN_FILE")
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		return "authorization: {credentials_file: " + quote(p) + "}"
	case get("LOKI_USERNAME") != "" && plain(get("LOKI_USERNAME")):
		return "basic_auth: {username: " + quote(get("LOKI_USERNAME")) + `, password: "${LOKI_PASSWORD}"}`
	}
	return ""
}

func (s *Source) tokenFile() string    { return string(s.Kind) + ".token" }
func (s *Source) passwordFile() string { return string(s.Kind) + ".password" }
func (s *Source) bearer() string {
	return "authorization: {credentials_file: " + s.tokenFile() + "}"
}

func (s *Source) basic() string {
	name := "NAME"
	if s.user != nil && plain(s.user.Username()) {
		name = s.user.Username()
	}
	return "basic_auth: {username: " + quote(name) + ", password_file: " + s.passwordFile() + "}"
}

// look asks the place for something that only a source of its kind answers.
func (s *Source) look(ctx context.Context, dir string, env config.Env) {
	if s.State == Absent {
		s.Detail = "not looked for"
		return
	}
	cfg, err := s.settings(dir, env)
	if err != nil {
		s.State, s.Detail, s.Remedy = Down, line(err.Error()), "correct the file that it names"
		return
	}
	client, err := commonconfig.NewClientFromConfig(cfg.HTTP, "rollcall-init", commonconfig.WithUserAgent("rollcall"))
	if err != nil {
		s.State, s.Detail, s.Remedy = Down, line(err.Error()), "check the file names"
		return
	}
	defer client.CloseIdleConnections()
	// What answers at a usual port must not lead to another host.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	w := ways[s.Kind]
	body, err := s.get(ctx, client, cfg.Headers, w.path)
	if err != nil {
		s.unanswered(err)
		return
	}
	if !w.is(body) {
		s.State, s.Detail, s.Remedy = Other, "something else answers there", "give its address with --"+string(s.Kind)
		return
	}
	s.State, s.Detail = Up, "answers"
	if w.names != "" {
		if body, err := s.get(ctx, client, cfg.Headers, w.names); err == nil {
			s.names = serviceNames(body)
		} else {
			s.unanswered(err)
		}
	}
	if s.user != nil && !isFile(filepath.Join(dir, s.passwordFile())) {
		s.Remedy = "the password is not written down: put it into " + filepath.Join(dir, s.passwordFile()) + " (chmod 600) and remove the # before its line"
	}
}

// way is how a kind is told from everything else.
type way struct {
	path  string
	is    func(body []byte) bool
	names string // where it lists the services that it has traces of
}

var ways = map[Kind]way{
	Prometheus:   {path: "/api/v1/query?query=vector(1)", is: func(b []byte) bool { return has(b, "status") && has(b, "data", "resultType") }},
	Loki:         {path: "/loki/api/v1/labels", is: func(b []byte) bool { return has(b, "status") }},
	Tempo:        {path: "/api/echo", is: func(b []byte) bool { return strings.TrimSpace(string(b)) == "echo" }, names: "/api/search/tag/service.name/values"},
	Jaeger:       {path: "/api/v3/services", is: func(b []byte) bool { return has(b, "services") }, names: "/api/v3/services"},
	Alertmanager: {path: "/api/v2/status", is: func(b []byte) bool { return has(b, "versionInfo") }},
}

// has tells whether a body is a JSON object with a value at a path of keys.
func has(body []byte, path ...string) bool {
	raw := json.RawMessage(body)
	for _, key := range path {
		var m map[string]json.RawMessage
		if json.Unmarshal(raw, &m) != nil {
			return false
		}
		if raw = m[key]; raw == nil {
			return false
		}
	}
	return true
}

const (
	maxAnswer = 1 << 20
	maxNames  = 200
)

func serviceNames(body []byte) []string {
	var v struct {
		Services  []string `json:"services"`
		TagValues []string `json:"tagValues"`
	}
	if json.Unmarshal(body, &v) != nil {
		return nil
	}
	var out []string
	for _, n := range slices.Concat(v.Services, v.TagValues) {
		if plain(n) && len(out) < maxNames {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// refusal is a status other than 200.
type refusal struct {
	code   int
	scheme string
	tenant bool
}

func (r *refusal) Error() string { return "status " + strconv.Itoa(r.code) }

func (s *Source) get(ctx context.Context, client *http.Client, headers map[string]string, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return body, nil
	}
	scheme, _, _ := strings.Cut(resp.Header.Get("WWW-Authenticate"), " ")
	return nil, &refusal{code: resp.StatusCode, scheme: scheme, tenant: strings.Contains(string(body), "org id")}
}

// unanswered puts into words why there is no answer.
func (s *Source) unanswered(err error) {
	at := "with --" + string(s.Kind)
	var r *refusal
	if errors.As(err, &r) {
		switch {
		case r.tenant:
			s.State, s.Detail, s.Remedy = Locked, fmt.Sprintf("wants a tenant (%d)", r.code), "set headers: {X-Scope-OrgID: TENANT} in its section"
			if s.Kind == Loki {
				s.Remedy += ", or LOKI_ORG_ID before rollcall init"
			}
		case r.code == http.StatusUnauthorized || r.code == http.StatusForbidden:
			s.State, s.scheme = Locked, r.scheme
			s.Detail = fmt.Sprintf("wants credentials (%d)", r.code)
			s.Remedy = "put the token into " + s.tokenFile() + " beside the configuration (chmod 600), then rollcall init --force, or remove the # before its line"
			if strings.EqualFold(r.scheme, "basic") {
				s.Remedy = "put the password into " + s.passwordFile() + " beside the configuration (chmod 600), write the name and remove the # before its line"
			}
		case r.code >= 500 || r.code == http.StatusTooManyRequests:
			s.State, s.Detail, s.Remedy = Down, fmt.Sprintf("is in trouble (%d)", r.code), "look at its own log"
		case r.code >= 300 && r.code < 400:
			s.State, s.Detail, s.Remedy = Other, "leads elsewhere, perhaps to a login page", "give the address of its API "+at
		default:
			s.State, s.Detail, s.Remedy = Other, fmt.Sprintf("something else answers there (%d)", r.code), "give its address "+at+", path prefix included"
		}
		if s.usual && s.State == Down {
			s.State = Other
		}
		return
	}
	s.State = Down
	var (
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		ue      *url.Error
	)
	if errors.As(err, &ue) {
		err = ue.Err // its text repeats the URL
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		s.Detail, s.Remedy = "nothing listens there", "is it running? give its address "+at
	case errors.Is(err, context.DeadlineExceeded):
		s.Detail, s.Remedy = "no answer within "+s.wait.String(), "check the address and the network in between"
	case errors.As(err, &dns):
		s.Detail, s.Remedy = "the host name is not known", "check the address "+at
	case errors.As(err, &unknown):
		s.Detail, s.Remedy = "its certificate is signed by an authority that this machine does not know", "set http: {tls_config: {ca_file: ...}} in its section"
	default:
		s.Detail, s.Remedy = line(err.Error()), "check the address "+at
	}
	if s.usual {
		s.State = Absent
	}
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Size() > 0
}
