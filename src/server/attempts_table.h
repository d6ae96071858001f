#ifndef MM_SERVER_ATTEMPTS_TABLE_H
#define MM_SERVER_ATTEMPTS_TABLE_H

#include <pthread.h>

#include "server/attempts.h"

/* The attempt log's memory: attempts.c notes, attempts_write.c writes. */

enum {
	RUNS = 4, /* of one subject between two flushes */
	TEXT_N = MM_SAID_TEXT, /* the longest there is */
	BY_N = 34,      /* a letter as a subject's, and the id */
	SUBJECT_N = 72, /* a device id and a letter before it */
};

/* The same refusal again only counts. */
struct run {
	int64_t at_ms;
	uint32_t count;
	uint8_t door, reason;
	bool has_peer;
	struct in6_addr peer;
	char text[TEXT_N];
	char by[BY_N]; /* the token or certificate presented; "" none */
};
/* subject: a letter, then the id in lower case: "d" device, "t" token,
 * "c" the certificate's serial. */
struct row {
	uint64_t hash;
	char subject[SUBJECT_N];
	unsigned n;
	struct run run[RUNS]; /* oldest first */
};
struct table {
	size_t n;
	struct row row[MM_ATTEMPTS_ROWS];
};
enum { KNOWN, CLAIMED, TABLES };

struct mm_attempts {
	bool peers;
	pthread_mutex_t lock;     /* now, noted, dropped */
	pthread_mutex_t flushing; /* old */
	struct table *now[TABLES], *old[TABLES];
	uint64_t noted, dropped;
	atomic_uint_fast64_t written;
};

/* Ids are unique without case. */
void mm_attempts_lower(const char *s, char *out, size_t outn);

#endif
