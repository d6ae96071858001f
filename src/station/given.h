#ifndef MM_STATION_GIVEN_H
#define MM_STATION_GIVEN_H

#include <jansson.h>

#include "base/json.h"
#include "line/fill.h"
#include "pki/key.h"
#include "station/unit.h"

/*
 * The initial configuration that a board is given: of the batch that its unit
 * counts in, from the centre, or rendered here from the work order's papers.
 * It may hold secrets: it is in the board and in memory as long as its unit is
 * worked on, and nowhere else; rows, records, results and log have version and
 * mark (line/initial.h).  What it came in is wiped, too, but for what libcurl
 * read it into.
 */
struct mm_given {
	enum { MM_GIVEN_UNKNOWN, MM_GIVEN_ASKED, MM_GIVEN_HERE } is;
	int64_t version;    /* 0: there is none */
	uint8_t mark[32];   /* of the document, for records */
	struct mm_buf part; /* as a board gets it: 4 bytes of version, it */
	uint8_t bundle[32]; /* SHA-256 of all that the board gets */
	/* The same salted, as a board tells it that takes a salt: by the one
	 * alone that holds its console tries no passwords. */
	uint8_t salted[32];
	uint8_t salt[MM_SALT_N];
	bool has_salt;
	bool guessable;     /* a secret in it is short: it wants the salt */
	bool written;       /* it was put in this attempt */
};
#define MM_GIVEN_INIT { .part = MM_BUF_INIT(4 + MM_FILL_MAX) }
void mm_given_init(struct mm_given *g);
/* Wipes it. */
void mm_given_forget(struct mm_given *g);
void mm_given_done(struct mm_given *g);
/* MM_EINPUT: a version that is none. */
MM_MUST enum mm_err mm_given_set(struct mm_given *g, int64_t version,
    struct mm_bytes document, const uint8_t mark[32], struct mm_why *why);
/* By the device's salt (zeros: none), which is another one for its console. */
void mm_given_salt(struct mm_given *g, const uint8_t salt[MM_SALT_N]);
/* bundle and salted, of all parts in a row. */
void mm_given_seal(struct mm_given *g, struct mm_bytes cert,
    struct mm_bytes chain);
/* Of the centre's answer for that device; MM_EINPUT: it is no such answer, or
 * its hash is another.  An older centre's has no salt. */
MM_MUST enum mm_err mm_given_take(struct mm_given *g, const char *device,
    const json_t *answer, struct mm_why *why);
/* Members config_version and config_sha256; none where there is nothing. */
void mm_given_put(const struct mm_given *g, struct mm_json *j);

/* Whether that board may be given it: one that takes no salt gets no secret
 * that could be tried by what it then tells at its console. */
bool mm_given_may(const struct mm_given *g, const struct mm_unit_said *said);

/*
 * What mm_unit_take_cert said of the certificate, with regard to what the
 * board has of the configuration: a board that has both is left alone; a newer
 * one in it is not replaced; a locked one with another is put aside; one that
 * may not be given it is not written.
 */
enum mm_unit_event mm_given_judge(const struct mm_given *g,
    const struct mm_unit_said *said, enum mm_unit_event cert,
    enum mm_unit_reason *reason);
/* And after commit and lock: it holds what was put. */
enum mm_unit_event mm_given_read_back(const struct mm_given *g,
    const struct mm_unit_said *said, enum mm_unit_event cert,
    enum mm_unit_reason *reason);

#endif
