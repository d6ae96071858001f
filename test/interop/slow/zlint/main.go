// zlint FILE...: what zlint's lints with an RFC as their source find in PEM
// certificates and CRLs.  A line for each finding: level, lint, file, details.
package main

import (
	"encoding/pem"
	"fmt"
	"log"
	"os"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func registry() lint.Registry {
	return must(lint.GlobalRegistry().Filter(lint.FilterOptions{
		IncludeSources: lint.SourceList{lint.RFC3279, lint.RFC5280,
			lint.RFC5480, lint.RFC5891, lint.RFC8813}}))
}

func examine(file string, rules lint.Registry) *zlint.ResultSet {
	block, _ := pem.Decode(must(os.ReadFile(file)))
	if block == nil {
		log.Fatal(file, ": no PEM")
	}
	if block.Type == "X509 CRL" {
		list := must(x509.ParseRevocationList(block.Bytes))
		return zlint.LintRevocationListEx(list, rules)
	}
	return zlint.LintCertificateEx(
		must(x509.ParseCertificate(block.Bytes)), rules)
}

func main() {
	log.SetFlags(0)
	rules := registry()
	for _, file := range os.Args[1:] {
		passed := 0
		for name, r := range examine(file, rules).Results {
			if r.Status == lint.Pass {
				passed++
			}
			if r.Status > lint.Pass {
				fmt.Println(r.Status, name, file, r.Details)
			}
		}
		fmt.Println("passed", passed, file)
	}
}
