#ifndef MM_SERVER_TLS_H
#define MM_SERVER_TLS_H

#include <pthread.h>
#include <sys/stat.h>

#include "server/priv.h"

/*
 * Inside tls.c, tls_files.c, tls_contexts.c and tls_failures.c: TLS of the two
 * encrypted listeners.  Files are read once and by a worker; each loop makes
 * its own SSL_CTX from memory.
 */
#define MM_TLS_PEM_MAX  65536
#define MM_TLS_CERTS    64
#define MM_TLS_FAILURES 1024

/* What identifies a file's contents without reading it. */
struct mm_tls_stamp {
	struct timespec at;
	off_t size;
	ino_t inode;
};
/* All 0: it is not there. */
struct mm_tls_stamp mm_tls_stamp_of(const char *path);
bool mm_tls_stamp_same(const struct mm_tls_stamp *a,
    const struct mm_tls_stamp *b);

/* Failed handshakes of one token id. */
struct mm_tls_failures {
	uint8_t id[MM_TOKEN_ID_N];
	int64_t hour;   /* of its last line; 0: a free slot */
	int64_t count;  /* since that line */
};

struct mm_tls {
	struct mm_server *s;
	pthread_mutex_t lock; /* the buffers and the failures */
	struct mm_tls_failures failures[MM_TLS_FAILURES];
	struct mm_buf cert, key;
	struct mm_tls_stamp stamp[2];
	struct mm_buf trust[MM_TLS_CERTS];
	size_t ntrust;
	uint8_t anchor[32];
	struct mm_tls_loop loop[MM_LOOPS_MAX];
};

/* tls_files.c: the certificates that devices are trusted by */
MM_MUST enum mm_err mm_tls_read_trust(struct mm_tls *t, struct mm_why *why);

/* tls_contexts.c: OpenSSL's own words after what failed; MM_ECRYPTO. */
MM_MUST enum mm_err mm_tls_openssl_failed(struct mm_why *why,
    const char *what);

#endif
