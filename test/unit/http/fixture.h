#ifndef TEST_HTTP_FIXTURE_H
#define TEST_HTTP_FIXTURE_H

#include "http/http.h"

/*
 * A server for tests and benchmarks: a throw-away P-256 certificate made in
 * memory, one TLS and one plain listener on free ports of 127.0.0.1.
 *
 *	GET  /hello           "hello\n"
 *	GET  /loop            the number of the loop that answers
 *	GET  /later?ms=N      the same from another thread, N ms later
 *	GET  /big?n=N         N bytes
 *	any  /what/ *         what was understood: "METHOD path\nquery\nbody"
 *	POST /echo            the body back, at most 64 KiB
 */
struct fixture {
	struct mm_http *http;
	struct mm_http_conf conf;
	struct mm_http_listener_conf listeners[2]; /* TLS, plain */
	uint8_t cert[1024], key[512];
	int cert_n, key_n;
	bool mutual; /* TLS clients must show a certificate, any */
	uint64_t rounds, answered;
};

/* Makes the certificate and the configuration; a test may then change it. */
void fixture_init(struct fixture *f, uint16_t loops);
void fixture_start(struct fixture *f);
/* Drains for at most that long. */
void fixture_stop(struct fixture *f, int64_t deadline_ms);

#endif
