#include "store/sqlite.h"

#include <string.h>

/* ---- one row by its key ---- */

struct getter {
	enum sql sql;
	const struct shape *shape;
	size_t n; /* the key's bytes; 0: it is a text */
};
static const struct getter getters[MM_GETS] = {
	[MM_GET_PRODUCT] = { Q_PRODUCT, &mm_shape_product, 0 },
	[MM_GET_DEVICE] = { Q_DEVICE, &mm_shape_device, 0 },
	[MM_GET_TOKEN] = { Q_TOKEN, &mm_shape_token, 0 },
	[MM_GET_TOKEN_FACTS] = { Q_TOKEN_FACTS, &mm_shape_token_facts, 0 },
	[MM_GET_KEY_USE] = { Q_KEY_USE, &mm_shape_key_use, 32 },
	[MM_GET_CERT] = { Q_CERT, &mm_shape_cert, 16 },
	[MM_GET_OPERATOR] = { Q_OPERATOR, &mm_shape_operator, 0 },
	[MM_GET_SUCCESSOR] = { Q_CERT_SUCCESSOR, &mm_shape_cert, 16 },
	[MM_GET_OPERATOR_KEY] = { Q_OPERATOR_KEY, &mm_shape_operator, 32 },
};

static enum mm_err
get_claim(struct db *db, const char *authority, struct mm_claim *out,
    struct mm_why *why)
{
	size_t n = strlen(MM_SQLITE_TOKEN);

	if (strncmp(authority, MM_SQLITE_TOKEN, n) == 0)
		return mm_sqlite_get(db, ASK(CLAIM_OF_TOKEN,
		    TEXT(authority + n)), &mm_shape_claim, out, why);
	return mm_sqlite_get(db, ASK(CLAIM, INT(mm_sqlite_claim(authority)),
	    TEXT(authority)), &mm_shape_claim, out, why);
}

enum mm_err
mm_sqlite_get_row(struct mm_store_reader *r, enum mm_get kind,
    const void *key, void *out, struct mm_why *why)
{
	const struct getter *g = &getters[kind];
	struct val v;

	if (kind == MM_GET_CLAIM)
		return get_claim(mm_sqlite_db(r), key, out, why);
	v = g->n > 0 ? BLOB((const uint8_t *)key, g->n) :
	    TEXT((const char *)key);
	return mm_sqlite_get(mm_sqlite_db(r), &(struct ask){ g->sql, &v, 1 },
	    g->shape, out, why);
}

enum mm_err
mm_sqlite_get_device_cert(struct mm_store_reader *r, const char *device,
    bool idevid, struct mm_cert_row *out, struct mm_why *why)
{
	return mm_sqlite_get(mm_sqlite_db(r), ASK(CERT_OF_DEVICE,
	    TEXT(device), INT(idevid)), &mm_shape_cert, out, why);
}

/* ---- bytes, and what stands beside them ---- */

enum mm_err
mm_sqlite_get_cert_der(struct mm_store_reader *r, const uint8_t serial[16],
    struct mm_buf *der, struct mm_why *why)
{
	enum mm_err err = mm_sqlite_bytes(mm_sqlite_db(r),
	    ASK(CERT_DER, BLOB(serial, 16)), 0, der, why);

	return err != MM_ENOTFOUND ? err :
	    MM_FAIL(why, err, "no such certificate");
}

enum mm_err
mm_sqlite_get_checkpoint(struct mm_store_reader *r, uint64_t *size,
    struct mm_buf *note, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	enum mm_err err = mm_sqlite_first(mm_sqlite_db(r), ASK0(CHECKPOINT),
	    &st, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "ledger: no checkpoint yet");
	MM_TRY(err);
	mm_buf_bytes(note, mm_sqlite_blob(st, 1));
	MM_TRY(mm_buf_ok(note, why));
	*size = (uint64_t)sqlite3_column_int64(st, 0);
	return MM_OK;
}

enum mm_err
mm_sqlite_get_crl(struct mm_store_reader *r, const char *issuer,
    uint64_t *number, int64_t *next_s, struct mm_buf *der, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	enum mm_err err = mm_sqlite_first(mm_sqlite_db(r), der == NULL ?
	    ASK(CRL_HEAD, TEXT(issuer)) : ASK(CRL, TEXT(issuer)), &st, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "issuer %.40s: no CRL yet", issuer);
	MM_TRY(err);
	if (der != NULL) {
		mm_buf_bytes(der, mm_sqlite_blob(st, 2));
		MM_TRY(mm_buf_ok(der, why));
	}
	*number = (uint64_t)sqlite3_column_int64(st, 0);
	*next_s = sqlite3_column_int64(st, 1);
	return MM_OK;
}

/* see backend.h */
enum mm_err
mm_sqlite_get_shard(struct mm_store_reader *r, const char *issuer,
    uint32_t shard, uint64_t *number, int64_t *next_s, struct mm_buf *der,
    struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	enum mm_err err = mm_sqlite_first(mm_sqlite_db(r), ASK(SHARD,
	    TEXT(issuer), INT(shard)), &st, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "issuer %.40s: no CRL of shard %u "
		    "yet", issuer, shard);
	MM_TRY(err);
	mm_buf_bytes(der, mm_sqlite_blob(st, 2));
	MM_TRY(mm_buf_ok(der, why));
	*number = (uint64_t)sqlite3_column_int64(st, 0);
	*next_s = sqlite3_column_int64(st, 1);
	return MM_OK;
}

enum mm_err
mm_sqlite_get_answer(struct mm_store_reader *r, const char *key,
    struct mm_answer_row *out, struct mm_buf *body, struct mm_why *why)
{
	MM_OWN(mm_sqlite_reset) sqlite3_stmt *st = NULL;
	struct mm_bytes sha;
	enum mm_err err = mm_sqlite_first(mm_sqlite_db(r),
	    ASK(ANSWER, TEXT(key)), &st, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "no such answer");
	MM_TRY(err);
	mm_buf_bytes(body, mm_sqlite_blob(st, 3));
	MM_TRY(mm_buf_ok(body, why));
	sha = mm_sqlite_blob(st, 0);
	memset(out, 0, sizeof(*out));
	if (sha.n == 32)
		memcpy(out->request_sha256, sha.p, 32);
	out->status = sqlite3_column_int(st, 1);
	out->at = sqlite3_column_int64(st, 2);
	return MM_OK;
}

enum mm_err
mm_sqlite_get_counts(struct mm_store_reader *r, struct mm_store_counts *out,
    struct mm_why *why)
{
	return mm_sqlite_counts(mm_sqlite_db(r), out, why);
}
