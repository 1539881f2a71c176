package config

import (
	"path/filepath"
	"strings"

	commonconfig "github.com/prometheus/common/config"
)

// fromEnv makes a configuration of PROMETHEUS_URL, LOKI_ADDR and ROLLCALL_SCOPE,
// with the variables that logcli knows for Loki.
func fromEnv(env Env) (*File, error) {
	if env.get("PROMETHEUS_URL") == "" && env.get("LOKI_ADDR") == "" {
		return nil, ErrNone
	}
	f := &File{Services: map[string]Service{"service": envService(env.get("ROLLCALL_SCOPE"))}}
	f.fill(".", env)
	var first error
	f.validate(func(at, format string, args ...any) {
		if first == nil {
			p := problem{msg: sprintf(format, args...)}
			first = &Error{File: envName(at), Msg: p.msg}
		}
	})
	if first != nil {
		return nil, first
	}
	return f, nil
}

// envName returns the variable that a setting came from.
func envName(at string) string {
	switch {
	case strings.HasPrefix(at, "prometheus"):
		return "$PROMETHEUS_URL"
	case strings.HasPrefix(at, "loki.url"):
		return "$LOKI_ADDR"
	case strings.HasPrefix(at, "loki"):
		return "$LOKI_*"
	case strings.HasPrefix(at, "services"):
		return "$ROLLCALL_SCOPE"
	}
	return "environment"
}

func promFromEnv(env Env) *Prometheus {
	h := commonconfig.DefaultHTTPClientConfig
	p := &Prometheus{}
	p.URL = takeUser(env.get("PROMETHEUS_URL"), &h)
	p.HTTP = h
	return p
}

func lokiFromEnv(env Env) *Loki {
	h := commonconfig.DefaultHTTPClientConfig
	l := &Loki{}
	l.URL = takeUser(env.get("LOKI_ADDR"), &h)
	if u := env.get("LOKI_USERNAME"); u != "" {
		h.BasicAuth = &commonconfig.BasicAuth{Username: u, Password: commonconfig.Secret(env.get("LOKI_PASSWORD"))}
	}
	if t := env.get("LOKI_BEARER_TOKEN"); t != "" {
		h.Authorization = &commonconfig.Authorization{Type: "Bearer", Credentials: commonconfig.Secret(t)}
	} else if p := env.get("LOKI_BEARER_TOKEN_FILE"); p != "" {
		h.Authorization = &commonconfig.Authorization{Type: "Bearer", CredentialsFile: absolute(p)}
	}
	h.TLSConfig.CAFile = absolute(env.get("LOKI_CA_CERT_PATH"))
	h.TLSConfig.CertFile = absolute(env.get("LOKI_CLIENT_CERT_PATH"))
	h.TLSConfig.KeyFile = absolute(env.get("LOKI_CLIENT_KEY_PATH"))
	h.TLSConfig.InsecureSkipVerify = env.get("LOKI_TLS_SKIP_VERIFY") == "true"
	if id := env.get("LOKI_ORG_ID"); id != "" {
		l.Headers = map[string]string{"X-Scope-OrgID": id}
	}
	l.HTTP = h
	return l
}

func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
