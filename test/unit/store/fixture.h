#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/store.h"

/*
 * A store of its own in a temporary folder, and ops made from a number: op n
 * is about device SN-n with token, serial, key and entries that follow from n.
 */
struct fx {
	char dir[64];
	char url[128];
	struct mm_store *s;
	struct mm_store_reader *r;
};

#define T0 INT64_C(1795000000000) /* ms */
#define PRODUCT "thermo"
#define ISSUER "line-ca"

/* An op with the bytes it borrows. */
struct top {
	struct mm_op op;
	char entry[MM_OP_ENTRIES][240];
	uint8_t der[640];
	uint8_t serial[16];
};

/* Opens a fresh store of the backend; false: not here (no server). */
bool fx_open(struct fx *f, const struct mm_store_backend *b);
void fx_dir(struct fx *f); /* only makes the folder */
void fx_reopen(struct fx *f); /* closes both first */
/* Documents of batches, and that those of a product are found among them. */
void fx_put_batches(struct fx *f);
void fx_check_batches(struct fx *f);
void fx_close(struct fx *f);  /* and removes it */
void fx_recycle(struct fx *f); /* as fx_close, where many come after it */

void serial_of(unsigned n, uint8_t out[16]);
void spki_of(unsigned n, uint8_t out[32]);
void token_of(unsigned n, char out[25]);

/* Builders; each sets one entry. */
void top_init(struct top *t, enum mm_op_kind kind, unsigned n);
void top_product(struct top *t, const char *name);
void top_device(struct top *t, unsigned n);
void top_mint(struct top *t, unsigned n); /* makes the device */
void top_issue(struct top *t, unsigned n);
void top_confirm(struct top *t, unsigned n);
void top_revoke(struct top *t, unsigned n, enum mm_cert_state to);
void top_orphan(struct top *t, unsigned n);
void top_token(struct top *t, unsigned n, unsigned from, unsigned to);
void top_operator(struct top *t, unsigned n);
void top_operator_gone(struct top *t, unsigned n);
/* Of a client certificate. */
void top_operator_cert(struct top *t, unsigned n);
void top_operator_erase(struct top *t, unsigned n);
/* These two have no entry. */
void top_checkpoint(struct top *t, unsigned size);
void top_answer(struct top *t, unsigned hours); /* put at T0 + hours */
void top_crl(struct top *t, unsigned number);
/* What becomes of it: lists of shards 5 and 7, or of 7 alone. */
void fx_shards_alone(struct top *t);
void fx_shards_too(struct top *t);
void fx_shard_after_2(struct top *t);
void fx_shards_5_any_7_after_2(struct top *t);

/* Runs one op; its own result. */
enum mm_err run1(struct fx *f, struct top *t);
/* Runs n ops as one batch; the run's result. */
enum mm_err run_all(struct fx *f, struct top *t, size_t n);
void must(enum mm_err err, const struct mm_why *why);

/* State of certificate n, or -1. */
int cert_state(struct fx *f, unsigned n);
int token_state(struct fx *f, unsigned n);

/*
 * Ledger dense, every tile right (roots over tiles and over entries agree at
 * full size and at one before), counters equal to what lists give.
 */
void check_whole(struct fx *f);

/* A test that runs on every backend that can be opened here. */
#define ON_BACKENDS(fn)                                         \
	static void test_##fn(void **state)                     \
	{                                                       \
		(void)state;                                    \
		for (size_t i = 0; mm_store_backends[i]; i++)   \
			fn(mm_store_backends[i]);               \
	}

/* The database as it was before operators' certificates had successors; on
 * PostgreSQL there are functions besides. */
#define FX_UNRENEWED \
	"DROP INDEX operator_next; DROP TABLE operator_spent;" \
	"ALTER TABLE operator DROP COLUMN next_spki;" \
	"ALTER TABLE operator DROP COLUMN next_expires_at;" \
	"ALTER TABLE operator DROP COLUMN renewed_at;" \
	"ALTER TABLE operator DROP COLUMN life_ms;"

#endif
