#ifndef BENCH_MADE_H
#define BENCH_MADE_H

#include "ledger/entry.h"
#include "pki/token.h"
#include "store/store.h"

/*
 * What fill.c and records.c make: records of devices that never were, the n-th
 * the same in every run.  What fails ends the program, with its name.
 */
void made_must(enum mm_err err, const struct mm_why *why);
/* Random as keys are; what: one of several for the same n. */
void made_noise(uint64_t n, uint64_t what, uint8_t out[32]);
void made_token(uint64_t n, char out[MM_TOKEN_ID_TEXT]);
/* Begins with its time, as the signer's do. */
void made_serial(uint64_t n, int64_t ms, uint8_t out[16]);
void made_entry(const struct mm_entry *e, struct mm_buf *out);
/* With all fields of an issuance. */
void made_cert_entry(
    enum mm_entry_type type, const struct mm_cert_row *row, struct mm_buf *out);

#endif
