#include <stdio.h>
#include <string.h>

#include "store/postgres.h"

#define TOKEN "token:"

/* ---- one row by its key ---- */

struct getter {
	enum sql sql;
	const struct shape *shape;
	uint8_t key; /* its bytes; 0: a text */
};
static const struct getter getters[MM_GETS] = {
	[MM_GET_PRODUCT] = { Q_PRODUCT, &mm_shape_product, 0 },
	[MM_GET_DEVICE] = { Q_DEVICE, &mm_shape_device, 0 },
	[MM_GET_TOKEN] = { Q_TOKEN, &mm_shape_token, 0 },
	[MM_GET_TOKEN_FACTS] = { Q_TOKEN_FACTS, &mm_shape_token_facts, 0 },
	[MM_GET_KEY_USE] = { Q_KEY_USE, &mm_shape_key_use, 32 },
	[MM_GET_CLAIM] = { Q_CLAIM, &mm_shape_claim, 0 },
	[MM_GET_CERT] = { Q_CERT, &mm_shape_cert, 16 },
	[MM_GET_OPERATOR] = { Q_OPERATOR, &mm_shape_operator, 0 },
	[MM_GET_OPERATOR_KEY] = { Q_OPERATOR_KEY, &mm_shape_operator, 32 },
	[MM_GET_SUCCESSOR] = { Q_CERT_SUCCESSOR, &mm_shape_cert, 16 },
};

/* see backend.h */
enum mm_err
mm_pg_get_row(struct mm_store_reader *r, enum mm_get kind, const void *key,
    void *out, struct mm_why *why)
{
	const struct getter *g = &getters[kind];
	struct val v = g->key != 0 ? BLOB((const uint8_t *)key, g->key) :
	    TEXT((const char *)key);
	enum sql sql = g->sql;

	if (kind == MM_GET_CLAIM &&
	    strncmp(key, TOKEN, strlen(TOKEN)) == 0) {
		v = TEXT((const char *)key + strlen(TOKEN));
		sql = Q_CLAIM_OF_TOKEN;
	}
	return mm_pg_get(mm_pg_db(r), &(struct ask){ sql, &v, 1 }, g->shape,
	    out, why);
}

enum mm_err
mm_pg_get_device_cert(struct mm_store_reader *r, const char *device,
    bool idevid, struct mm_cert_row *out, struct mm_why *why)
{
	return mm_pg_get(mm_pg_db(r), ASK(CERT_OF_DEVICE, TEXT(device),
	    INT(idevid)), &mm_shape_cert, out, why);
}

/* ---- bytes, and what stands beside them ---- */

enum mm_err
mm_pg_get_cert_der(struct mm_store_reader *r, const uint8_t serial[16],
    struct mm_buf *der, struct mm_why *why)
{
	enum mm_err err = mm_pg_bytes(mm_pg_db(r),
	    ASK(CERT_DER, BLOB(serial, 16)), 0, der, why);

	return err != MM_ENOTFOUND ? err :
	    MM_FAIL(why, err, "no such certificate");
}

/* One row; its bytes at column go to out. */
static enum mm_err
get_document(struct mm_store_reader *r, const struct ask *ask, int column,
    PGresult **res, struct mm_buf *out, struct mm_why *why)
{
	MM_TRY(mm_pg_first(mm_pg_db(r), ask, res, why));
	mm_buf_bytes(out, mm_pg_blob(*res, 0, column));
	return mm_buf_ok(out, why);
}

enum mm_err
mm_pg_get_checkpoint(struct mm_store_reader *r, uint64_t *size,
    struct mm_buf *note, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	enum mm_err err = get_document(r, ASK0(CHECKPOINT), 1, &res, note,
	    why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "ledger: no checkpoint yet");
	if (err == MM_OK)
		*size = (uint64_t)mm_pg_int(res, 0, 0);
	return err;
}

/* see backend.h */
enum mm_err
mm_pg_get_shard(struct mm_store_reader *r, const char *issuer,
    uint32_t shard, uint64_t *number, int64_t *next_s, struct mm_buf *der,
    struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	enum mm_err err = get_document(r, ASK(SHARD, TEXT(issuer),
	    INT(shard)), 2, &res, der, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "issuer %.40s: no CRL of shard %u "
		    "yet", issuer, shard);
	MM_TRY(err);
	*number = (uint64_t)mm_pg_int(res, 0, 0);
	*next_s = mm_pg_int(res, 0, 1);
	return MM_OK;
}

enum mm_err
mm_pg_get_crl(struct mm_store_reader *r, const char *issuer,
    uint64_t *number, int64_t *next_s, struct mm_buf *der, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	enum mm_err err = der == NULL ?
	    mm_pg_first(mm_pg_db(r), ASK(CRL_HEAD, TEXT(issuer)), &res, why) :
	    get_document(r, ASK(CRL, TEXT(issuer)), 2, &res, der, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "issuer %.40s: no CRL yet", issuer);
	MM_TRY(err);
	*number = (uint64_t)mm_pg_int(res, 0, 0);
	*next_s = mm_pg_int(res, 0, 1);
	return MM_OK;
}

enum mm_err
mm_pg_get_answer(struct mm_store_reader *r, const char *key,
    struct mm_answer_row *out, struct mm_buf *body, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	enum mm_err err = get_document(r, ASK(ANSWER, TEXT(key)), 3, &res,
	    body, why);
	struct mm_bytes sha;

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "no such answer");
	MM_TRY(err);
	sha = mm_pg_blob(res, 0, 0);
	memset(out, 0, sizeof(*out));
	if (sha.n == 32)
		memcpy(out->request_sha256, sha.p, 32);
	out->status = (int)mm_pg_int(res, 0, 1);
	out->at = mm_pg_int(res, 0, 2);
	return MM_OK;
}

enum mm_err
mm_pg_get_doc(struct mm_store_reader *r, enum mm_doc_kind kind,
    const char *id, uint64_t *version, struct mm_buf *body,
    struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	enum mm_err err = get_document(r, ASK(DOC, INT(kind), TEXT(id)), 1,
	    &res, body, why);

	if (err == MM_ENOTFOUND)
		return MM_FAIL(why, err, "%.80s: there is none", id);
	if (err == MM_OK)
		*version = (uint64_t)mm_pg_int(res, 0, 0);
	return err;
}

enum mm_err
mm_pg_get_counts(struct mm_store_reader *r, struct mm_store_counts *out,
    struct mm_why *why)
{
	int64_t n[6];

	MM_TRY(mm_pg_ints(mm_pg_db(r), ASK0(COUNTS), n, 6, why));
	*out = (struct mm_store_counts){ n[0], n[1], n[2], n[3], n[4], n[5] };
	return MM_OK;
}

enum mm_err
mm_pg_get_unconfirmed(struct mm_store_reader *r, int64_t before_ms,
    uint64_t most, uint64_t *n, struct mm_why *why)
{
	int64_t count;

	MM_TRY(mm_pg_ints(mm_pg_db(r), ASK(UNCONFIRMED_COUNT, INT(before_ms),
	    INT(most)), &count, 1, why));
	*n = (uint64_t)count;
	return MM_OK;
}

enum mm_err
mm_pg_next_class(struct mm_store_reader *r, struct mm_ending *at,
    struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	MM_TRY(mm_pg_first(mm_pg_db(r), ASK(CLASS_AFTER, INT(at->class)), &res,
	    why));
	at->class = mm_pg_int(res, 0, 0);
	snprintf(at->product, sizeof(at->product), "%s",
	    PQgetvalue(res, 0, 1));
	snprintf(at->issuer, sizeof(at->issuer), "%s", PQgetvalue(res, 0, 2));
	snprintf(at->profile, sizeof(at->profile), "%s",
	    PQgetvalue(res, 0, 3));
	return MM_OK;
}

enum mm_err
mm_pg_list_ends(struct mm_store_reader *r, const struct mm_ending *at,
    enum mm_cert_state state, unsigned most, const struct mm_end_sink *to,
    struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;

	MM_TRY(mm_pg_rows(mm_pg_db(r), ASK(CERT_ENDS, INT(at->class),
	    INT(state), INT(at->not_after_s), INT(at->id), INT(most)), &res,
	    why));
	for (int i = 0; i < PQntuples(res); i++)
		to->fn(to->ctx, mm_pg_int(res, i, 0), mm_pg_int(res, i, 1));
	return MM_OK;
}
