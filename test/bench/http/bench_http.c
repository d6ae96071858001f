/*
 * What the server library costs: CPU time of its loop thread per request and
 * per handshake, beside the arithmetic both need, in one run.  Clients are
 * blocking and live in the main thread, whose time is not counted.
 */
#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"

enum { CONNS = 64, REQUESTS = 100000, HANDSHAKES = 1500, IDLE = 500 };

static clockid_t loop_clock; /* set before any other thread reads it */

static void
on_thread(void *ctx, uint16_t loop)
{
	(void)ctx;
	(void)loop;
	(void)pthread_getcpuclockid(pthread_self(), &loop_clock);
}

static double
us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static int
dial(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	must(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0,
	    "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static SSL *
secure(SSL_CTX *ctx, uint16_t port)
{
	SSL *ssl = SSL_new(ctx);

	must(ssl != NULL && SSL_set_fd(ssl, dial(port)) == 1 &&
		 SSL_connect(ssl) == 1,
	    "handshake");
	return ssl;
}

static void
hang_up(SSL *ssl)
{
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
}

static const char request[] = "GET /hello HTTP/1.1\r\nHost: localhost\r\n"
			      "User-Agent: bench\r\nAccept: */*\r\n\r\n";

/* One request on each of n connections, then their answers. */
static void
exchange(SSL **conns, int n)
{
	char answer[1024];

	for (int i = 0; i < n; i++)
		must(SSL_write(conns[i], request, sizeof(request) - 1) > 0,
		    "write");
	for (int i = 0; i < n; i++)
		must(SSL_read(conns[i], answer, sizeof(answer)) > 0, "read");
}

static void
bench_requests(SSL_CTX *ctx, uint16_t port, int n)
{
	SSL *conns[CONNS];
	double from, spent, wall;

	for (int i = 0; i < n; i++)
		conns[i] = secure(ctx, port);
	for (int i = 0; i < 100; i++)
		exchange(conns, n);
	from = us(loop_clock);
	wall = us(CLOCK_MONOTONIC);
	for (int i = 0; i < REQUESTS / n; i++)
		exchange(conns, n);
	spent = us(loop_clock) - from;
	wall = us(CLOCK_MONOTONIC) - wall;
	printf("keep-alive GET over TLS, %2d connections: %6.1f us CPU, "
	       "%.0f a second\n",
	    n, spent / REQUESTS, REQUESTS / wall * 1e6);
	for (int i = 0; i < n; i++)
		hang_up(conns[i]);
}

/* P-256 sign, X25519 keygen and derive: what a TLS 1.3 server must do. */
static double
floor_handshake(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *peer;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t sig[128], out[32], text[130] = { 0 };
	double from = us(CLOCK_THREAD_CPUTIME_ID);

	peer = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	for (int i = 0; i < HANDSHAKES; i++) {
		size_t n = sizeof(sig), m = sizeof(out);
		EVP_PKEY *mine = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
		EVP_PKEY_CTX *dh = EVP_PKEY_CTX_new(mine, NULL);

		must(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) &&
			 EVP_DigestSign(md, sig, &n, text, sizeof(text)) &&
			 EVP_PKEY_derive_init(dh) == 1 &&
			 EVP_PKEY_derive_set_peer(dh, peer) == 1 &&
			 EVP_PKEY_derive(dh, out, &m) == 1,
		    "floor");
		EVP_PKEY_CTX_free(dh);
		EVP_PKEY_free(mine);
	}
	from = us(CLOCK_THREAD_CPUTIME_ID) - from;
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	EVP_PKEY_free(peer);
	return from / HANDSHAKES;
}

static void
bench_handshakes(SSL_CTX *ctx, uint16_t port, const char *how)
{
	double least = floor_handshake(), spent;
	SSL *ssl;

	spent = us(loop_clock);
	for (int i = 0; i < HANDSHAKES; i++) {
		ssl = secure(ctx, port);
		exchange(&ssl, 1);
		hang_up(ssl);
	}
	spent = (us(loop_clock) - spent) / HANDSHAKES;
	printf("%sconnection with one GET: %.0f us CPU; sign + X25519 alone: "
	       "%.0f us; ratio %.2f\n",
	    how, spent, least, spent / least);
}

static size_t
heap(void)
{
	return mallinfo2().uordblks;
}

/* Clients share the heap, so of each only the descriptor is kept: what the
 * heap has gained is the server's. */
static void
bench_memory(SSL_CTX *ctx, uint16_t port, const char *how)
{
	static int fds[IDLE];
	struct timespec wait = { 0, 200000000 };
	size_t before = heap();
	SSL *ssl;

	for (int i = 0; i < IDLE; i++) {
		ssl = secure(ctx, port);
		exchange(&ssl, 1);
		fds[i] = SSL_get_fd(ssl);
		SSL_free(ssl); /* silent: the descriptor stays open */
	}
	nanosleep(&wait, NULL);
	printf("%sheap per idle connection: %.1f KiB\n", how,
	    (double)(heap() - before) / IDLE / 1024);
	for (int i = 0; i < IDLE; i++)
		close(fds[i]);
}

static SSL_CTX *
client(const struct fixture *f)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	must(ctx != NULL &&
		 SSL_CTX_use_certificate_ASN1(ctx, f->cert_n, f->cert) == 1 &&
		 SSL_CTX_use_PrivateKey_ASN1(
		     EVP_PKEY_EC, ctx, f->key, f->key_n) == 1,
	    "client");
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return ctx;
}

static void
bench(bool mutual)
{
	static struct fixture f;
	const char *how = mutual ? "mutual TLS: " : "TLS: ";
	SSL_CTX *ctx;
	uint16_t port;

	fixture_init(&f, 1);
	f.mutual = mutual;
	f.conf.on_thread = on_thread;
	fixture_start(&f);
	ctx = client(&f);
	port = mm_http_port(f.http, 0);
	if (!mutual) {
		bench_requests(ctx, port, 1);
		bench_requests(ctx, port, CONNS);
	}
	bench_handshakes(ctx, port, how);
	bench_memory(ctx, port, how);
	SSL_CTX_free(ctx);
	fixture_stop(&f, 1000);
}

int
main(void)
{
	bench(false);
	bench(true);
	return 0;
}
