/*
 * Token handshakes that fail, counted and timed.
 *
 *	tries PORT 1.3|1.2 THREADS <TRIES >RESULTS
 *
 * Each line of TRIES is one handshake: KIND IDENTITY KEY-in-hex; KIND is any
 * word.  They begin in the order given, as many at a time as there are
 * THREADS.  RESULTS has a line for each, in the same order:
 *
 *	KIND ALERT NS FLIGHTS
 *
 * ALERT is the number in the server's alert, 0 if there was none; NS is the
 * time on a monotonic clock from the moment before the ClientHello is made to
 * the alert, without connecting; FLIGHTS are the messages in their order,
 * ">" sent and "<" received, each as type.length ("a2": an alert).
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/text.h"
#include "pki/token.h"

enum { KIND = 24, FLIGHTS = 96, TRIES_MAX = 1000000, TIMEOUT_S = 20 };

struct
try {
	char kind[KIND], identity[MM_TOKEN_ID_TEXT];
	uint8_t key[MM_TOKEN_PSK_N];
	char flights[FLIGHTS];
	int alert;
	int64_t took_ns;
};

struct run {
	SSL_CTX *ctx;
	struct sockaddr_in to;
	struct try *try;
	unsigned n;
	atomic_uint next;
};

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "tries: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static int64_t
mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- the token ---- */

static int
use_session(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *idn,
    SSL_SESSION **out)
{
	static const unsigned char aes128_gcm_sha256[] = { 0x13, 0x01 };
	struct try *t = SSL_get_app_data(ssl);
	SSL_SESSION *s = SSL_SESSION_new();

	(void)md;
	if (s == NULL ||
	    SSL_SESSION_set1_master_key(s, t->key, sizeof(t->key)) != 1 ||
	    SSL_SESSION_set_cipher(
		s, SSL_CIPHER_find(ssl, aes128_gcm_sha256)) != 1 ||
	    SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION) != 1)
		die("cannot make a session");
	*id = (const unsigned char *)t->identity;
	*idn = strlen(t->identity);
	*out = s;
	return 1;
}

static unsigned int
use_key(SSL *ssl, const char *hint, char *identity, unsigned int most,
    unsigned char *key, unsigned int keyn)
{
	const struct try *t = SSL_get_app_data(ssl);

	(void)hint;
	if (most < sizeof(t->identity) || keyn < sizeof(t->key))
		return 0;
	strcpy(identity, t->identity);
	memcpy(key, t->key, sizeof(t->key));
	return sizeof(t->key);
}

/* ---- what is said ---- */

static void
on_message(int sent, int version, int type, const void *buf, size_t n, SSL *ssl,
    void *arg)
{
	struct try *t = SSL_get_app_data(ssl);
	const uint8_t *p = buf;
	size_t at = strlen(t->flights);

	(void)version, (void)arg;
	if (type == SSL3_RT_ALERT && !sent && n == 2)
		t->alert = p[1];
	if (type == SSL3_RT_ALERT)
		snprintf(t->flights + at, FLIGHTS - at, "%ca%zu",
		    sent ? '>' : '<', n);
	else if (type == SSL3_RT_HANDSHAKE && n > 0)
		snprintf(t->flights + at, FLIGHTS - at, "%c%u.%zu",
		    sent ? '>' : '<', p[0], n);
	else if (type == SSL3_RT_CHANGE_CIPHER_SPEC)
		snprintf(
		    t->flights + at, FLIGHTS - at, "%cc", sent ? '>' : '<');
}

/* ---- one try ---- */

static int
dial(const struct run *r)
{
	const int on = 1;
	const struct timeval most = { .tv_sec = TIMEOUT_S };
	/* A reset at the end: no port of ours waits for minutes. */
	const struct linger gone = { .l_onoff = 1 };
	static _Atomic uint32_t turn;
	/* Another of loopback's addresses for each: one that has failed
	 * often is slowed, which test_slow.py is about. */
	uint32_t n = ((uint32_t)getpid() * 7919 + turn++) % (200U << 16);
	const struct sockaddr_in from = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(0x7f100001 + n) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    bind(fd, (const struct sockaddr *)&from, sizeof(from)) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)) ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &gone, sizeof(gone)) ||
	    connect(fd, (const struct sockaddr *)&r->to, sizeof(r->to)) != 0)
		die("cannot connect");
	return fd;
}

static void
make(const struct run *r, struct try *t)
{
	int fd = dial(r);
	SSL *ssl = SSL_new(r->ctx);
	int64_t began;

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		die("no memory");
	SSL_set_app_data(ssl, t);
	SSL_set_msg_callback(ssl, on_message);
	began = mono_ns();
	if (SSL_connect(ssl) == 1)
		die("a handshake has succeeded");
	t->took_ns = mono_ns() - began;
	ERR_clear_error();
	SSL_free(ssl);
	close(fd);
}

static void *
worker(void *arg)
{
	struct run *r = arg;
	unsigned i;

	while ((i = atomic_fetch_add(&r->next, 1)) < r->n)
		make(r, &r->try[i]);
	return NULL;
}

/* ---- all ---- */

static void
read_try(struct try *t, char *line)
{
	char *save, *kind = strtok_r(line, " \n", &save);
	char *identity = strtok_r(NULL, " \n", &save);
	char *key = strtok_r(NULL, " \n", &save);

	if (key == NULL || strlen(kind) >= sizeof(t->kind) ||
	    strlen(identity) >= sizeof(t->identity) ||
	    mm_hex_parse(key, strlen(key), t->key, sizeof(t->key), NULL))
		die("want lines of KIND IDENTITY KEY");
	strcpy(t->kind, kind);
	strcpy(t->identity, identity);
}

static void
read_tries(struct run *r)
{
	char line[256];

	r->try = calloc(TRIES_MAX, sizeof(*r->try));
	if (r->try == NULL)
		die("no memory");
	while (r->n < TRIES_MAX && fgets(line, sizeof(line), stdin) != NULL)
		read_try(&r->try[r->n++], line);
}

static void
set_version(SSL_CTX *ctx, const char *version)
{
	bool new = strcmp(version, "1.3") == 0;
	int v = new ? TLS1_3_VERSION : TLS1_2_VERSION;

	if (SSL_CTX_set_min_proto_version(ctx, v) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, v) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1 ||
	    SSL_CTX_set_cipher_list(ctx, "ECDHE-PSK-CHACHA20-POLY1305") != 1)
		die("no such TLS");
	if (new)
		SSL_CTX_set_psk_use_session_callback(ctx, use_session);
	else
		SSL_CTX_set_psk_client_callback(ctx, use_key);
}

static void
run(struct run *r, unsigned threads)
{
	pthread_t t[64];

	if (threads == 0 || threads > 64)
		die("1 to 64 threads");
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, worker, r) != 0)
			die("no thread");
	for (unsigned i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
}

int
main(int argc, char *argv[])
{
	struct run r = { .to = { .sin_family = AF_INET } };

	if (argc != 4)
		die("usage: tries PORT 1.3|1.2 THREADS <TRIES");
	r.to.sin_port = htons((uint16_t)atoi(argv[1]));
	r.to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r.ctx = SSL_CTX_new(TLS_client_method());
	if (r.ctx == NULL)
		die("no memory");
	set_version(r.ctx, argv[2]);
	read_tries(&r);
	run(&r, (unsigned)atoi(argv[3]));
	for (unsigned i = 0; i < r.n; i++)
		printf("%s %d %lld %s\n", r.try[i].kind, r.try[i].alert,
		    (long long)r.try[i].took_ns, r.try[i].flights);
	free(r.try);
	SSL_CTX_free(r.ctx);
	return 0;
}
