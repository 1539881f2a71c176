package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	commonconfig "github.com/prometheus/common/config"
)

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// report is told of a mistake at a dotted path of the file.
type report func(at, format string, args ...any)

// validate checks what types cannot say. It touches files, never the network.
func (f *File) validate(say report) {
	if f.Schema != "" && f.Schema != Schema {
		say("schema", "schema %q is not known to this version; write schema: %s or upgrade rollcall", f.Schema, Schema)
	}
	if _, err := f.Clock.Clock(nil); err != nil {
		say("clock", "%s", err)
	}
	if f.State == "" {
		say("", "there is no folder for state; set HOME, XDG_STATE_HOME or state: /path")
	}
	if f.Prometheus == nil && f.Loki == nil && f.Path != "" {
		say("services", "neither prometheus nor loki is configured; add prometheus: {url: http://HOST:9090}")
	}
	if p := f.Prometheus; p != nil {
		checkURL(say, "prometheus", p.URL)
		checkHTTP(say, "prometheus.http", &p.HTTP)
		checkHeaders(say, "prometheus.headers", p.Headers)
	}
	if a := f.Alertmanager; a != nil {
		checkURL(say, "alertmanager", a.URL)
		checkHTTP(say, "alertmanager.http", &a.HTTP)
		checkHeaders(say, "alertmanager.headers", a.Headers)
		checkPostLabels(say, a.PostLabels, a.Post)
	}
	if l := f.Loki; l != nil {
		checkURL(say, "loki", l.URL)
		checkHTTP(say, "loki.http", &l.HTTP)
		checkHeaders(say, "loki.headers", l.Headers)
	}
	if t := f.Tempo; t != nil {
		checkURL(say, "tempo", t.URL)
		checkHTTP(say, "tempo.http", &t.HTTP)
		checkHeaders(say, "tempo.headers", t.Headers)
	}
	if j := f.Jaeger; j != nil {
		checkURL(say, "jaeger", j.URL)
		checkHTTP(say, "jaeger.http", &j.HTTP)
		checkHeaders(say, "jaeger.headers", j.Headers)
	}
	checkAddress(say, "otlp.grpc", f.OTLP.GRPC)
	checkAddress(say, "otlp.http", f.OTLP.HTTP)
	oneOf(say, "ui.color", f.UI.Color, "auto", "always", "never")
	oneOf(say, "ui.ascii", f.UI.ASCII, "auto", "always", "never")
	oneOf(say, "ui.theme", f.UI.Theme, "auto", "dark", "light")
	f.validateRooms(say)
	f.validateIncidents(say)
	if len(f.Services) == 0 {
		say("", "no service is configured; add services: {NAME: {scope: 'job=\"NAME\"'}}")
	}
	for _, name := range f.Names() {
		at := "services." + name
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
			say(at, "%q is no name for a service; use letters, digits and dashes", name)
		}
		f.validateService(say, at, f.Services[name])
	}
}

func checkURL(say report, at, raw string) {
	if raw == "" {
		say(at, "%s.url is missing; write url: http://HOST:PORT", at)
		return
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		say(at+".url", "%s.url %q is not a URL; write it like http://127.0.0.1:9090", at, raw)
	case u.User != nil:
		say(at+".url", "%s.url holds a user; put it into %s.http.basic_auth with password_file", at, at)
	case u.RawQuery != "" || u.Fragment != "":
		say(at+".url", "%s.url may have a path, but no ? or #", at)
	}
}

func checkAddress(say report, at, addr string) {
	if addr == "" || addr == "off" {
		return
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		say(at, "%s %q is not an address; write it like 127.0.0.1:4317, or off", at, addr)
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		say(at, "%s: %q is not a port; write it like 127.0.0.1:4317", at, port)
	}
	if host != "" && net.ParseIP(host) == nil && strings.ContainsAny(host, " /") {
		say(at, "%s: %q is not a host; write it like 127.0.0.1:4317", at, host)
	}
}

func checkHeaders(say report, at string, headers map[string]string) {
	for name, value := range headers {
		if strings.EqualFold(name, "Authorization") || strings.EqualFold(name, "Cookie") {
			say(at+"."+name, "%s: %s is a secret; use http.authorization with credentials_file", at, name)
		}
		if strings.ContainsAny(name+value, "\r\n\x00") || name == "" {
			say(at+"."+name, "%s: %q is not an HTTP header", at, name)
		}
	}
}

// checkHTTP reads the files that the section names, so that a wrong one is named
// now and not by the first query.
func checkHTTP(say report, at string, h *commonconfig.HTTPClientConfig) {
	if err := h.Validate(); err != nil {
		say(at, "%s: %s", at, oneLine(err.Error()))
	}
	t := &h.TLSConfig
	if t.CAFile != "" {
		if pem, ok := readable(say, at+".tls_config.ca_file", t.CAFile); ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
			say(at+".tls_config.ca_file", "%s holds no certificate; it must be PEM (-----BEGIN CERTIFICATE-----)", t.CAFile)
		}
	}
	if t.CertFile != "" && t.KeyFile != "" {
		_, okCert := readable(say, at+".tls_config.cert_file", t.CertFile)
		_, okKey := readable(say, at+".tls_config.key_file", t.KeyFile)
		if okCert && okKey {
			if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
				say(at+".tls_config.cert_file", "%s and %s are not a certificate and its key: %s", t.CertFile, t.KeyFile,
					strings.TrimPrefix(oneLine(err.Error()), "tls: "))
			}
		}
	}
	if b := h.BasicAuth; b != nil {
		readable(say, at+".basic_auth.password_file", b.PasswordFile)
		readable(say, at+".basic_auth.username_file", b.UsernameFile)
	}
	if a := h.Authorization; a != nil {
		readable(say, at+".authorization.credentials_file", a.CredentialsFile)
	}
	if o := h.OAuth2; o != nil {
		readable(say, at+".oauth2.client_secret_file", o.ClientSecretFile)
	}
	readable(say, at+".bearer_token_file", h.BearerTokenFile)
}

func readable(say report, at, path string) ([]byte, bool) {
	if path == "" {
		return nil, false
	}
	st, err := os.Stat(path)
	if err == nil && st.IsDir() {
		say(at, "%s %s is a folder; name the file in it", last(at), path)
		return nil, false
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(filepath.Clean(path))
	}
	if err != nil {
		say(at, "%s %s cannot be read: %s", last(at), path, cause(err))
		return nil, false
	}
	return b, true
}

func last(at string) string { return at[strings.LastIndexByte(at, '.')+1:] }

func oneOf(say report, at, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		say(at, "%s is %q; it can be %s", at, value, strings.Join(allowed, ", "))
	}
}
