// verify ROOT INTERMEDIATES LEAF [CRL]: whether Go accepts the leaf for a TLS
// client.
package main

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"log"
	"os"
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func certificates(path string) (list []*x509.Certificate) {
	for rest := must(os.ReadFile(path)); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return list
		}
		list = append(list, must(x509.ParseCertificate(block.Bytes)))
	}
}

func pool(list []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range list {
		p.AddCert(c)
	}
	return p
}

// RFC 5280 5.2.5, 6.3.3 (b): a list of a part is of this leaf if it says the
// address that the leaf names.
type distributionPointName struct {
	FullName []asn1.RawValue `asn1:"optional,tag:0"`
}
type issuingDistributionPoint struct {
	DistributionPoint     distributionPointName `asn1:"optional,tag:0"`
	OnlyContainsUserCerts bool                  `asn1:"optional,tag:1"`
}

func isOf(list *x509.RevocationList, leaf *x509.Certificate) error {
	for _, e := range list.Extensions {
		var idp issuingDistributionPoint
		if !e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 28}) {
			continue
		}
		if !e.Critical {
			return errors.New("issuingDistributionPoint not critical")
		}
		must(asn1.Unmarshal(e.Value, &idp))
		for _, name := range idp.DistributionPoint.FullName {
			for _, point := range leaf.CRLDistributionPoints {
				if string(name.Bytes) == point {
					return nil
				}
			}
		}
		return errors.New("the CRL of another shard")
	}
	return nil
}

func main() {
	log.SetFlags(0)
	above := certificates(os.Args[2])
	leaf := certificates(os.Args[3])[0]
	must(leaf.Verify(x509.VerifyOptions{
		Roots:         pool(certificates(os.Args[1])),
		Intermediates: pool(above),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}))
	if len(os.Args) < 5 {
		return
	}
	block, _ := pem.Decode(must(os.ReadFile(os.Args[4])))
	list := must(x509.ParseRevocationList(block.Bytes))
	if err := list.CheckSignatureFrom(above[0]); err != nil {
		log.Fatal(err)
	}
	if err := isOf(list, leaf); err != nil {
		log.Fatal(err)
	}
	for _, entry := range list.RevokedCertificates {
		if entry.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
			log.Fatal("revoked at ", entry.RevocationTime)
		}
	}
}
