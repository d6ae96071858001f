/*
 * A load of devices: N threads, each with a key and a request of its own per
 * device, over OpenSSL's blocking sockets.
 *
 *	load MODE PORT[,PORT...] CA.pem TOKENS.csv THREADS STATE PER_S
 *
 * With several ports, those of several nodes, one thread after the other has
 * the next.
 *
 * MODE open: kept-open TLS connections, HTTP Basic, one enrolment a token.
 *      psk:  a fresh token handshake (TLS 1.3) and one enrolment each.
 *      mtls: a fresh mutual-TLS connection and one renewal each; the
 *            identities are those that "open" left in STATE.
 *      storm: the same, and who is turned away or times out comes again after
 *            a second, then two, four, at most eight, as agents do.
 *      idle: THREADS connections, handshakes done; waits for end of input.
 * TOKENS.csv is what "mintmark token create --csv --out" wrote.  PER_S paces
 * the enrolments, and their times count from when they were due; 0: as fast
 * as the answers come.  Prints JSON.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "pki/cert.h"
#include "pki/token.h"

enum { DEVICES_MAX = 200000, ANSWER = 16384, PORTS_MAX = 16 };

struct device {
	char name[65];
	struct mm_token token;
	EVP_PKEY *key;
	struct mm_buf request; /* base64 of the PKCS#10 */
	X509 *cert;
	int64_t took_us;
};

struct load {
	const char *mode, *state;
	int port[PORTS_MAX], per_s;
	unsigned nports;
	int64_t began;
	SSL_CTX *ctx;
	struct device *device;
	unsigned n;
	atomic_uint next, failed, again, threads;
	bool storm;
	pthread_barrier_t dialled, go;
};

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

/* ---- devices ---- */

static void
make_request(struct device *d, EVP_PKEY *key)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(4096);

	if (mm_csr_make(key, d->name, &der, NULL) != MM_OK)
		die("cannot make a request");
	mm_buf_init(&d->request, 8192);
	mm_base64_put(&d->request, mm_buf_view(&der), 64);
}

static void
read_tokens(struct load *l, const char *path)
{
	char line[1024], *save, *name, *id, *text;
	FILE *f = fopen(path, "r");

	l->device = calloc(DEVICES_MAX, sizeof(*l->device));
	if (f == NULL || l->device == NULL || !fgets(line, sizeof(line), f))
		die(path);
	while (l->n < DEVICES_MAX && fgets(line, sizeof(line), f)) {
		struct device *d = &l->device[l->n];

		name = strtok_r(line, ",", &save);
		id = strtok_r(NULL, ",", &save);
		text = strtok_r(NULL, ",", &save);
		if (!name || !id || !text || strlen(name) > 64)
			die("bad row");
		strcpy(d->name, name);
		if (mm_token_parse(mm_bytes_of(text), &d->token, NULL))
			die("bad token");
		l->n++;
	}
	fclose(f);
}

static void
state_path(const struct load *l, const struct device *d, const char *what,
    char out[512])
{
	snprintf(out, 512, "%s/%s.%s", l->state, d->name, what);
}

static void
load_identity(const struct load *l, struct device *d)
{
	char path[512];
	FILE *f;

	state_path(l, d, "pem", path);
	f = fopen(path, "r");
	if (f == NULL || !(d->key = PEM_read_PrivateKey(f, NULL, NULL, NULL)) ||
	    !(d->cert = PEM_read_X509(f, NULL, NULL, NULL)))
		die(path);
	fclose(f);
}

static void
save_identity(const struct load *l, struct device *d)
{
	char path[512];
	FILE *f;

	state_path(l, d, "pem", path);
	f = fopen(path, "w");
	if (f == NULL || !PEM_write_PrivateKey(f, d->key, NULL, NULL, 0, NULL,
	    NULL) || !PEM_write_X509(f, d->cert))
		die(path);
	fclose(f);
}

static void
prepare(struct load *l)
{
	bool renew = strcmp(l->mode, "mtls") == 0;

	for (unsigned i = 0; i < l->n; i++) {
		struct device *d = &l->device[i];
		EVP_PKEY *fresh = NULL;

		if (mm_key_make(MM_KEY_P256, &fresh, NULL) != MM_OK)
			die("cannot make a key");
		make_request(d, fresh);
		if (renew) {
			load_identity(l, d);
			EVP_PKEY_free(fresh);
		} else
			d->key = fresh;
	}
}

/* ---- connections ---- */

static int
psk_session(SSL *ssl, const EVP_MD *md, const unsigned char **id,
    size_t *idn, SSL_SESSION **out)
{
	static const unsigned char suite[2] = { 0x13, 0x01 };
	struct device *d = SSL_get_app_data(ssl);
	_Thread_local static char identity[MM_TOKEN_ID_TEXT];
	uint8_t psk[MM_TOKEN_PSK_N];
	SSL_SESSION *s;

	(void)md;
	mm_token_id_text(d->token.id, identity);
	mm_token_psk(d->token.id, d->token.secret, MM_TOKEN_TLS13, psk);
	s = SSL_SESSION_new();
	if (s == NULL || !SSL_SESSION_set1_master_key(s, psk, sizeof(psk)) ||
	    !SSL_SESSION_set_cipher(s, SSL_CIPHER_find(ssl, suite)) ||
	    !SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION))
		return 0;
	*id = (const unsigned char *)identity;
	*idn = strlen(identity);
	*out = s;
	return 1;
}

static SSL *
dial(const struct load *l, unsigned thread, struct device *d)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)l->port[thread % l->nports]) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	SSL *ssl = SSL_new(l->ctx);
	char host[] = "localhost";

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || ssl == NULL ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		die("cannot connect");
	SSL_set_app_data(ssl, d);
	SSL_set_fd(ssl, fd);
	SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
	    TLSEXT_NAMETYPE_host_name, host);
	if (strcmp(l->mode, "mtls") == 0 &&
	    (SSL_use_certificate(ssl, d->cert) != 1 ||
	    SSL_use_PrivateKey(ssl, d->key) != 1))
		die("cannot use the identity");
	if (SSL_connect(ssl) != 1) {
		ERR_print_errors_fp(stderr);
		close(fd);
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}

static void
hang_up(SSL *ssl)
{
	int fd = ssl ? SSL_get_fd(ssl) : -1;

	if (ssl == NULL)
		return;
	SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
}

/* ---- one enrolment ---- */

static void
head(const struct load *l, const struct device *d, struct mm_buf *b)
{
	bool renew = strcmp(l->mode, "mtls") == 0;
	char id[MM_TOKEN_ID_TEXT], secret[33], pair[80];

	mm_buf_printf(b, "POST /.well-known/est/%s HTTP/1.1\r\n"
	    "Host: localhost\r\nContent-Type: application/pkcs10\r\n"
	    "Content-Length: %zu\r\n", renew ? "simplereenroll"
	    : "simpleenroll", d->request.n);
	if (strcmp(l->mode, "open") == 0) {
		mm_token_id_text(d->token.id, id);
		mm_token_secret_text(d->token.secret, secret);
		snprintf(pair, sizeof(pair), "%s:%s", id, secret);
		mm_buf_text(b, "Authorization: Basic ");
		mm_base64_put(b, mm_bytes_of(pair), 0);
		mm_buf_text(b, "\r\n");
	}
	mm_buf_text(b, "\r\n");
	mm_buf_bytes(b, mm_buf_view(&d->request));
}

/* Reads one answer with a Content-Length; its status; body into *body. */
static int
answer(SSL *ssl, char buf[ANSWER], char **body, size_t *bodyn)
{
	size_t n = 0, want = 0;
	char *end = NULL, *cl;

	while (end == NULL || n < want) {
		int got = SSL_read(ssl, buf + n, (int)(ANSWER - 1 - n));

		if (got <= 0)
			return -1;
		n += (size_t)got;
		buf[n] = '\0';
		if (end == NULL && (end = strstr(buf, "\r\n\r\n")) != NULL) {
			cl = strcasestr(buf, "content-length:");
			*body = end + 4;
			*bodyn = cl ? strtoul(cl + 15, NULL, 10) : 0;
			want = (size_t)(*body - buf) + *bodyn;
		}
	}
	return atoi(buf + 9);
}

static bool
keep_certificate(struct device *d, const char *body, size_t n)
{
	MM_OWN(mm_buf_done) struct mm_buf p7 = MM_BUF_INIT(ANSWER);
	struct mm_bytes der[4];
	const uint8_t *p;
	size_t count;

	if (mm_base64_parse((struct mm_bytes){ (const uint8_t *)body, n }, &p7,
	    NULL) != MM_OK || mm_pkcs7_walk(mm_buf_view(&p7), der, 4, &count,
	    NULL) != MM_OK || count == 0)
		return false;
	p = der[0].p;
	d->cert = d2i_X509(NULL, &p, (long)der[0].n);
	return d->cert != NULL;
}

static bool
enrol(struct load *l, SSL *ssl, struct device *d)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(16384);
	char buf[ANSWER], *body = NULL;
	size_t n = 0;
	int status;

	head(l, d, &b);
	if (SSL_write(ssl, b.p, (int)b.n) <= 0)
		return false;
	status = answer(ssl, buf, &body, &n);
	if (status != 200)
		fprintf(stderr, "load: %s: %d %.*s\n", d->name, status,
		    (int)(n > 200 ? 200 : n), body ? body : "");
	else if (strcmp(l->mode, "open") == 0)
		return keep_certificate(d, body, n);
	return status == 200;
}

/* When device i's turn is (monotonic microseconds); waits for it. */
static int64_t
turn(const struct load *l, unsigned i)
{
	int64_t now = mm_mono_us(), due;

	if (l->per_s == 0)
		return now;
	due = l->began + INT64_C(1000000) * i / l->per_s;
	if (due > now)
		usleep((useconds_t)(due - now));
	return due;
}

/* One device until it has what it came for; false: it gave up. */
static bool
serve(struct load *l, unsigned thread, struct device *d, SSL *kept)
{
	enum { TRIES = 60, FIRST_US = 1000000 };
	const unsigned tries = l->storm ? TRIES : 1;

	for (unsigned k = 0; k < tries; k++) {
		SSL *ssl = kept != NULL ? kept : dial(l, thread, d);
		bool done = ssl != NULL && enrol(l, ssl, d);

		if (kept == NULL)
			hang_up(ssl);
		if (done)
			return true;
		if (k + 1 < tries) {
			atomic_fetch_add(&l->again, 1);
			usleep((useconds_t)FIRST_US << (k < 3 ? k : 3));
		}
	}
	return false;
}

static void *
worker(void *arg)
{
	struct load *l = arg;
	bool keep = strcmp(l->mode, "open") == 0;
	unsigned i, thread = atomic_fetch_add(&l->threads, 1);
	SSL *ssl = keep ? dial(l, thread, NULL) : NULL;

	pthread_barrier_wait(&l->dialled);
	pthread_barrier_wait(&l->go);
	while ((i = atomic_fetch_add(&l->next, 1)) < l->n) {
		struct device *d = &l->device[i];
		int64_t began = turn(l, i);

		if ((keep && ssl == NULL) || !serve(l, thread, d, ssl))
			atomic_fetch_add(&l->failed, 1);
		d->took_us = mm_mono_us() - began;
	}
	if (keep)
		hang_up(ssl);
	return NULL;
}

static int
by_time(const void *a, const void *b)
{
	int64_t x = ((const struct device *)a)->took_us;
	int64_t y = ((const struct device *)b)->took_us;

	return (x > y) - (x < y);
}

static void
run(struct load *l, unsigned nthreads)
{
	enum { STACK = 256 * 1024 }; /* there may be thousands */
	pthread_t *t = calloc(nthreads, sizeof(*t));
	pthread_attr_t small;
	int64_t took;

	if (t == NULL)
		die("out of memory");
	pthread_barrier_init(&l->dialled, NULL, nthreads + 1);
	pthread_barrier_init(&l->go, NULL, nthreads + 1);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	for (unsigned i = 0; i < nthreads; i++)
		if (pthread_create(&t[i], &small, worker, l) != 0)
			die("no thread");
	pthread_barrier_wait(&l->dialled);
	l->began = mm_mono_us();
	pthread_barrier_wait(&l->go);
	for (unsigned i = 0; i < nthreads; i++)
		pthread_join(t[i], NULL);
	took = mm_mono_us() - l->began;
	for (unsigned i = 0; i < l->n; i++)
		if (l->device[i].cert != NULL && strcmp(l->mode, "open") == 0)
			save_identity(l, &l->device[i]);
	qsort(l->device, l->n, sizeof(*l->device), by_time);
	printf("{\"mode\":\"%s\",\"n\":%u,\"failed\":%u,\"again\":%u,"
	       "\"seconds\":%.3f,\"p50_ms\":%.2f,\"p99_ms\":%.2f}\n",
	    l->storm ? "storm" : l->mode, l->n, l->failed, l->again,
	    (double)took / 1e6, (double)l->device[l->n / 2].took_us / 1e3,
	    (double)l->device[l->n - 1 - l->n / 100].took_us / 1e3);
	free(t);
}

static void
idle(struct load *l, unsigned n)
{
	SSL **all = calloc(n, sizeof(*all));

	for (unsigned i = 0; all != NULL && i < n; i++)
		all[i] = dial(l, i, NULL);
	printf("open\n");
	fflush(stdout);
	while (getchar() != EOF)
		;
	for (unsigned i = 0; all != NULL && i < n; i++)
		hang_up(all[i]);
	free(all);
}

static void
read_ports(struct load *l, char *list)
{
	char *save, *p = strtok_r(list, ",", &save);

	for (; p != NULL && l->nports < PORTS_MAX;
	     p = strtok_r(NULL, ",", &save))
		l->port[l->nports++] = atoi(p);
	if (l->nports == 0 || p != NULL)
		die("1 to 16 ports");
}

int
main(int argc, char *argv[])
{
	struct load l = { 0 };

	if (argc != 8)
		die("usage: load open|psk|mtls|storm|idle PORT[,PORT...] CA "
		    "TOKENS THREADS STATE PER_S");
	/* who is turned away in the midst of a request comes again */
	signal(SIGPIPE, SIG_IGN);
	l.storm = strcmp(argv[1], "storm") == 0;
	l.mode = l.storm ? "mtls" : argv[1];
	read_ports(&l, argv[2]);
	l.state = argv[6];
	l.per_s = atoi(argv[7]);
	l.ctx = SSL_CTX_new(TLS_client_method());
	if (l.ctx == NULL || !SSL_CTX_load_verify_locations(l.ctx, argv[3],
	    NULL))
		die(argv[3]);
	if (strcmp(l.mode, "psk") == 0) {
		SSL_CTX_set_ciphersuites(l.ctx, "TLS_AES_128_GCM_SHA256");
		SSL_CTX_set_psk_use_session_callback(l.ctx, psk_session);
	} else
		SSL_CTX_set_verify(l.ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(l.ctx, SSL_SESS_CACHE_OFF);
	if (strcmp(l.mode, "idle") == 0)
		return idle(&l, (unsigned)atoi(argv[5])), 0;
	read_tokens(&l, argv[4]);
	prepare(&l);
	run(&l, (unsigned)atoi(argv[5]));
	return l.failed != 0;
}
