// globalsign HOST:PORT ANCHOR LABEL NAME USER PASSWORD: a device's life with
// globalsign/est's client: CA certificates, CSR attributes, enrolment by
// HTTP Basic, renewal by the certificate.  Prints both certificates.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log"
	"os"

	"github.com/globalsign/est"
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func request(name string) (*ecdsa.PrivateKey, *x509.CertificateRequest) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must(x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{
			Subject: pkix.Name{CommonName: name}}, key))
	return key, must(x509.ParseCertificateRequest(der))
}

func show(c *x509.Certificate) {
	must(0, pem.Encode(os.Stdout,
		&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func main() {
	log.SetFlags(0)
	anchor := x509.NewCertPool()
	if !anchor.AppendCertsFromPEM(must(os.ReadFile(os.Args[2]))) {
		log.Fatal("no anchor")
	}
	c := est.Client{Host: os.Args[1], ExplicitAnchor: anchor,
		AdditionalPathSegment: os.Args[3],
		Username:              os.Args[5], Password: os.Args[6]}
	ctx := context.Background()
	above := must(c.CACerts(ctx))
	must(c.CSRAttrs(ctx))
	key, csr := request(os.Args[4])
	leaf := must(c.Enroll(ctx, csr))
	show(leaf)
	c.Username, c.Password = "", ""
	c.PrivateKey = key
	c.Certificates = append([]*x509.Certificate{leaf}, above...)
	_, csr = request(os.Args[4])
	show(must(c.Reenroll(ctx, csr)))
}
