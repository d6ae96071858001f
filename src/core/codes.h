#ifndef MM_CORE_CODES_H
#define MM_CORE_CODES_H

#include "core/core.h"

/*
 * Codes that a maker has printed on labels long ago, for the compatible door:
 * HTTP Basic with the device's name and the code.
 *
 * A code stands for a token like any other, whose secret the signer made.
 * What is stored (a document, by the device's name) is that secret, covered
 * with a pad that is made of the code and a salt.  Every code uncovers
 * something of 20 bytes, and whether it is the secret the signer alone can
 * tell: who steals the database has nothing to try codes on.  Who asks the
 * signer is counted before the answer: MM_CODE_TRIES wrong ones of a device,
 * and then one more each MM_CODE_EVERY_S; MM_CODE_ALL of all devices, and then
 * one more each MM_CODE_ALL_EVERY_S, so that going from device to device is no
 * way around it.  A name that has no code is counted like one that has.
 */
enum { MM_CODE_TRIES = 10, MM_CODE_EVERY_S = 360 };
enum { MM_CODE_ALL = 1000, MM_CODE_ALL_EVERY_S = 4 };

/* From MM_CODE_MIN to MM_CODE_MAX printable ASCII, no space. */
bool mm_code_valid(struct mm_bytes code);

/* The token of a device's code.  MM_ENOTFOUND, without words: it has none. */
struct mm_code {
	char token[MM_TOKEN_ID_TEXT];
	uint8_t salt[16];
	uint8_t covered[MM_TOKEN_SECRET_N];
	uint64_t version; /* the document's */
};
MM_MUST enum mm_err mm_code_get(struct mm_store_reader *r,
    const char *device, struct mm_code *out, struct mm_why *why);
/* The document that a new code's token is stored as; body receives it.  c has
 * token and version (0: there was none). */
MM_MUST enum mm_err mm_code_put(struct mm_code *c, const char *device,
    const char *code, const uint8_t secret[MM_TOKEN_SECRET_N],
    struct mm_buf *body, struct mm_op_doc *out, struct mm_why *why);

/* What a code uncovers of it: the token's secret, if it is the right one. */
void mm_code_uncover(const struct mm_code *c, const char *code,
    uint8_t secret[MM_TOKEN_SECRET_N]);

/* Wrong codes, counted by token; a table of fixed size.  For one thread. */
struct mm_guesses;
MM_MUST enum mm_err mm_guesses_new(struct mm_guesses **out,
    struct mm_why *why);
void mm_guesses_free(struct mm_guesses **owner);
/* Whether one may be tried, which is counted then; else *wait_s: when. */
bool mm_guesses_take(struct mm_guesses *g, const char *token, int64_t now_s,
    unsigned *wait_s);
/* It was the right one. */
void mm_guesses_back(struct mm_guesses *g, const char *token);

/*
 * The token and what the code uncovers, into an authority that has a device
 * and a code.  Where the device has none, a token that there is not, of the
 * device's name, so that it is counted and answered as a wrong one.
 */
MM_MUST enum mm_err mm_code_open(struct mm_store_reader *r,
    struct mm_authority *a, struct mm_why *why);

#endif
