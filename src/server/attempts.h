#ifndef MM_SERVER_ATTEMPTS_H
#define MM_SERVER_ATTEMPTS_H

#include "server/priv.h"

/*
 * The attempt log: why each device was refused, the last MM_ATTEMPTS_KEPT
 * times.  An ordinary record, not evidence: capped, and up to two seconds of
 * it are lost with a killed process.
 *
 * A refusal is noted in bounded memory, by any thread, without the store;
 * housekeeping writes it in batches.  A device that core has named comes
 * into one table; one that a mere claim names (the id of a token whose key
 * was wrong, a certificate) into another, so that made-up claims cannot push
 * out what is known.  What the store knows no device for is then dropped: a
 * storm of unknown ids writes nothing.
 */
enum {
	MM_ATTEMPTS_KEPT = 8,   /* of a device, newest first */
	MM_ATTEMPTS_ROWS = 512, /* subjects of a table between two flushes */
};

enum mm_door {
	MM_DOOR_HANDSHAKE, /* the token's TLS handshake */
	MM_DOOR_BASIC,     /* the token in an Authorization header */
	MM_DOOR_MTLS,      /* a client certificate */
	MM_DOOR_REST,      /* an operator, for the device */
	MM_DOOR_SYNC,      /* what a station made offline */
	MM_DOORS
};
const char *mm_door_name(unsigned door);

struct mm_attempt {
	enum mm_door door;
	enum mm_reason reason;
	const char *device;          /* known to core; "" or NULL: see below */
	const char *token;           /* its id; "" or NULL */
	const uint8_t *serial;       /* 16 bytes, or NULL */
	const struct in6_addr *peer; /* NULL: not kept */
	const char *text;            /* the sentence that was answered */
};

struct mm_attempts;
MM_MUST enum mm_err mm_attempts_new(
    bool peers, struct mm_attempts **out, struct mm_why *why);
void mm_attempts_free(struct mm_attempts **owner);
/* Never blocks on more than the copying of a row; a may be NULL.  What names
 * nobody, and what no longer fits, is counted and dropped. */
void mm_attempts_note(struct mm_attempts *a, const struct mm_attempt *what);
/* Of a refused job; text: as mm_attempt. */
void mm_attempts_job(struct mm_attempts *a, const struct mm_job *job,
    enum mm_door door, enum mm_reason reason, const struct in6_addr *peer,
    const char *text);
/* Writes what was noted.  On a worker; one at a time, others wait. */
MM_MUST enum mm_err mm_attempts_flush(
    struct mm_attempts *a, struct mm_desk *d, struct mm_why *why);

struct mm_attempts_stats {
	uint64_t noted, dropped; /* since the start */
	uint64_t written;        /* documents */
	unsigned held;           /* subjects that wait now */
};
void mm_attempts_stats(struct mm_attempts *a, struct mm_attempts_stats *out);

/* advice.c: what a person does about a reason; never NULL, "" for none. */
struct mm_advice_names {
	const char *device, *token, *serial; /* "" where there is none */
};
const char *mm_advice(enum mm_reason reason);
/* The same with {device}, {token} and {serial} filled in. */
void mm_advice_put(struct mm_buf *out, enum mm_reason reason,
    const struct mm_advice_names *names);

#endif
