package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rollcall/cmd/rollcall/config"
	"rollcall/sources"
	"rollcall/sources/loki"
	"rollcall/sources/prom"
	"rollcall/sources/redact"
)

// authority signs certificates for 127.0.0.1.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	file string
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "contract authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	a.file = writeFile(t, dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return a
}

// issue writes a certificate and its key, for a server or a client.
func (a *authority) issue(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, of, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert = writeFile(t, dir, name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	key = writeFile(t, dir, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	return cert, key
}

// guard puts TLS and a check of credentials before a server.
func (a *authority) guard(t *testing.T, dir, target string, allowed func(*http.Request) bool) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Header.Del("Authorization")
	}}
	return a.serve(t, dir, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowed(r) {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
}

func (a *authority) serve(t *testing.T, dir string, h http.Handler) string {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(a.issue(t, dir, "guard"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: a.pool, ClientAuth: tls.VerifyClientCertIfGiven}
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// Metrics and logs are read, and logs followed, through TLS and with every kind of
// credentials, all of them from files that the configuration names.
func TestSourcesAreReadThroughTLSWithEveryKindOfCredentials(t *testing.T) {
	d := startHeadless(t, binaries(t), "quiet", "--speed", "1")
	clock := d.clock(t)
	red, err := redact.New(redact.Config{}, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	bearer := func(token string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer "+token }
	}
	for _, tc := range []struct {
		name    string
		section string // %s stands for the folder of the files
		allowed func(*http.Request) bool
		secret  string // the file whose content is made wrong
	}{
		{"basic with a password file", "basic_auth: {username: console, password_file: %s/secret}", func(r *http.Request) bool {
			user, pass, _ := r.BasicAuth()
			return user == "console" && pass == "s3cret-of-the-file"
		}, "secret"},
		{"bearer with a token file", "authorization: {credentials_file: %s/secret}", bearer("s3cret-of-the-file"), "secret"},
		{"OAuth2 with a secret file", "oauth2: {client_id: rollcall, client_secret_file: %s/secret, token_url: TOKENS, tls_config: {ca_file: %[1]s/ca.pem}}", bearer("issued"), "secret"},
		{"a client certificate", "", func(r *http.Request) bool {
			return len(r.TLS.PeerCertificates) == 1 && r.TLS.PeerCertificates[0].Subject.CommonName == "console"
		}, ""},
		{"a tenant by header", "", func(r *http.Request) bool { return r.Header.Get("X-Scope-OrgID") == "team-a" }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			ca := newAuthority(t, dir)
			writeFile(t, dir, "secret", "s3cret-of-the-file\n")
			tokens := ca.serve(t, dir, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id, secret, ok := r.BasicAuth()
				if !ok {
					id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
				}
				w.Header().Set("Content-Type", "application/json")
				if id != "rollcall" || secret != "s3cret-of-the-file" {
					w.WriteHeader(http.StatusUnauthorized)
					_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
					return
				}
				_, _ = io.WriteString(w, `{"access_token":"issued","token_type":"Bearer","expires_in":1}`)
			}))
			tlsPart, header := "ca_file: "+ca.file, ""
			switch tc.name {
			case "a client certificate":
				cert, key := ca.issue(t, dir, "console")
				tlsPart += ", cert_file: " + cert + ", key_file: " + key
			case "a tenant by header":
				header = "\n  headers: {X-Scope-OrgID: team-a}"
			}
			section := strings.ReplaceAll(strings.ReplaceAll(tc.section, "%[1]s", dir), "%s", dir)
			section = strings.ReplaceAll(section, "TOKENS", tokens)
			if section != "" {
				section = "\n    " + section
			}
			http := "\n  http:\n    tls_config: {" + tlsPart + "}" + section + header
			path := writeFile(t, dir, "rollcall.yaml", fmt.Sprintf("schema: rollcall/v1\nstate: %s/state\nprometheus:\n  url: %s%s\nloki:\n  url: %s%s\nservices: {a: {scope: 'job=\"assistant\"'}}\n",
				dir, ca.guard(t, dir, d.Prometheus, tc.allowed), http, ca.guard(t, dir, d.Loki, tc.allowed), http))
			cfg, err := config.Load(path, func(string) (string, bool) { return "", false })
			if err != nil {
				t.Fatal(err)
			}
			metrics, err := prom.New(*cfg.Prometheus, prom.Options{Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			defer metrics.Close()
			logs, err := loki.New(*cfg.Loki, loki.Options{Clock: clock, Redactor: red})
			if err != nil {
				t.Fatal(err)
			}
			defer logs.Close()

			names, err := metrics.MetricNames(t.Context(), `{job="assistant"}`)
			if err != nil || len(names) == 0 {
				t.Errorf("metrics: %d names, %v", len(names), err)
			}
			if err := logs.Check(t.Context()); err != nil {
				t.Errorf("logs: %v", err)
			}
			tail, err := logs.Tail(t.Context(), sources.LogQuery{Query: `{job="assistant"}`, Since: clock.Now().Add(-time.Hour), Limit: 5})
			if err != nil {
				t.Fatal(err)
			}
			for b := range tail {
				if len(b.Lines) > 0 {
					break
				}
				if strings.Contains(b.State, "reconnecting") {
					t.Fatalf("the tail is %s", b.State)
				}
			}
			if tc.secret == "" {
				return
			}
			writeFile(t, dir, tc.secret, "s3cret-that-is-wrong\n")
			wrong, err := prom.New(*cfg.Prometheus, prom.Options{Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			defer wrong.Close()
			if err := wrong.Check(t.Context()); err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
				t.Errorf("a wrong secret: %v", err)
			}
			writeFile(t, dir, tc.secret, "s3cret-of-the-file\n")
			poll(t, 30*time.Second, "the new secret of the file to be used without a restart", func() bool { return wrong.Check(t.Context()) == nil })
			if err := os.Remove(filepath.Join(dir, tc.secret)); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(path, func(string) (string, bool) { return "", false }); err == nil || !strings.Contains(err.Error(), "rollcall.yaml:") {
				t.Errorf("a secret file that is not there: %v", err)
			}
		})
	}
}
