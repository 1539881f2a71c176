package faultproxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certificates makes an authority and two certificates of it for 127.0.0.1: one
// that is good, and one whose time is over.
func certificates(t testing.TB) (caFile string, good, expired tls.Certificate) {
	t.Helper()
	now := time.Now()
	template := func(serial int64, name string, until time.Time) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: now.Add(-48 * time.Hour), NotAfter: until,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
	}
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	sign := func(c, parent *x509.Certificate, k, by *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &k.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	ca, caKey := template(1, "authority of a test", now.Add(24*time.Hour)), key()
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caDER := sign(ca, ca, caKey, caKey)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	leaf := func(serial int64, until time.Time) tls.Certificate {
		c, k := template(serial, "server of a test", until), key()
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		return tls.Certificate{Certificate: [][]byte{sign(c, ca, k, caKey)}, PrivateKey: k}
	}
	return caFile, leaf(2, now.Add(24*time.Hour)), leaf(3, now.Add(-time.Hour))
}
