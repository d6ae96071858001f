// The other opinion: Go's net/http says what it understood, in the words of
// the fixture's /what/ route.  Prints its port, ends with its input.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
)

func what(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 65536))
	if err != nil {
		w.WriteHeader(400)
		return
	}
	fmt.Fprintf(w, "%s %s\n%s\n%s", r.Method, r.URL.Path, r.URL.RawQuery,
		body)
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	quiet := log.New(io.Discard, "", 0)
	go (&http.Server{Handler: http.HandlerFunc(what),
		ErrorLog: quiet}).Serve(l)
	_, _ = io.Copy(io.Discard, os.Stdin)
}
