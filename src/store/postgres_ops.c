#include <string.h>

#include "store/postgres.h"

/*
 * Operations as run() of schema/postgres_ops.sql takes them: an array of the
 * composite type op, in PostgreSQL's binary form.
 */

#define TOKEN "token:"          /* how a token's authority begins */

/* pg_type.dat */
#define OID_BOOL  16
#define OID_BYTEA 17
#define OID_INT8  20
#define OID_TEXT  25

/* The members of op, in order. */
#define COLUMNS(X)                                                       \
	X(KIND, INT8) X(N, INT8) X(FLAG, BOOL) X(FLAG2, BOOL)            \
	X(NAME, TEXT) X(DEVICE, TEXT) X(PRODUCT, TEXT) X(ISSUER, TEXT)   \
	X(PROFILE, TEXT) X(AUTHORITY, TEXT) X(TEXT1, TEXT) X(TEXT2, TEXT)\
	X(SERIAL, BYTEA) X(OTHER, BYTEA) X(PREDECESSOR, BYTEA)           \
	X(SPKI, BYTEA) X(SHA256, BYTEA) X(BODY, BYTEA)                   \
	X(STATE, INT8) X(REASON, INT8) X(NUMBER, INT8) X(MASK, INT8)     \
	X(AT, INT8) X(FROM_AT, INT8) X(TO_AT, INT8) X(REVOKED_AT, INT8)  \
	X(NOT_BEFORE_S, INT8) X(NOT_AFTER_S, INT8)
enum column {
#define X(name, type) C_##name,
	COLUMNS(X)
#undef X
	C_COLUMNS
};
static const uint16_t column_type[C_COLUMNS] = {
#define X(name, type) [C_##name] = OID_##type,
	COLUMNS(X)
#undef X
};

/* ---- each kind's members ---- */

static void
of_batch(const struct mm_op_share *s, struct val v[C_COLUMNS])
{
	if (s->group)
		v[C_REASON] = INT(MM_DOC_GROUP);
	v[C_TEXT1] = TEXT(s->group ? s->batch : s->place);
	v[C_TEXT2] = BYTES(s->unit);
	v[C_FROM_AT] = INT(s->version);
	v[C_TO_AT] = INT(s->most);
	v[C_REVOKED_AT] = INT(s->station_most);
}

/* Of an issued certificate and of an orphan. */
static void
cert(const struct mm_cert_row *r, struct val v[C_COLUMNS])
{
	v[C_SERIAL] = BLOB(r->serial, 16);
	v[C_DEVICE] = TEXT(r->device);
	v[C_PRODUCT] = TEXT(r->product);
	v[C_ISSUER] = TEXT(r->issuer);
	v[C_PROFILE] = TEXT(r->profile);
	v[C_AUTHORITY] = TEXT(r->authority);
	v[C_FLAG2] = INT(r->idevid);
	v[C_MASK] = INT(r->key_origin);
	v[C_SHA256] = HASH(r->cert_sha256);
	v[C_PREDECESSOR] = HASH(r->predecessor);
	v[C_AT] = INT(r->issued_at);
	v[C_NOT_BEFORE_S] = INT(r->not_before_s);
	v[C_NOT_AFTER_S] = INT(r->not_after_s);
	v[C_NUMBER] = INT(r->shard);
	v[C_STATE] = INT(r->key_type);
}

static void
issue(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_op_issue *i = &op->u.issue;
	const char *authority = i->row.authority;

	cert(&i->row, v);
	v[C_SPKI] = BLOB(i->row.spki_sha256, 32);
	v[C_BODY] = BYTES(i->der);
	v[C_FLAG] = INT(i->confirmed);
	if (i->share != NULL)
		of_batch(i->share, v);
	if (i->replaces != NULL)
		v[C_OTHER] = BLOB(i->replaces, 16);
	if (strncmp(authority, TOKEN, strlen(TOKEN)) == 0)
		v[C_NAME] = TEXT(authority + strlen(TOKEN));
}

static void
orphan(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_cert_row *r = &op->u.orphan.row;

	cert(r, v);
	v[C_SPKI] = HASH(r->spki_sha256);
	v[C_FROM_AT] = INT(r->confirmed_at);
	v[C_REASON] = INT(r->reason);
	v[C_REVOKED_AT] = INT(r->revoked_at != 0 ? r->revoked_at :
	    r->issued_at);
	if (op->u.orphan.der.n > 0)
		v[C_BODY] = BYTES(op->u.orphan.der);
}

static void
confirm(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_op_confirm *c = &op->u.confirm;

	v[C_SERIAL] = BLOB(c->serial, 16);
	v[C_AT] = INT(c->at);
	v[C_FLAG] = INT(c->revoke_superseded);
	if (c->supersedes != NULL)
		v[C_OTHER] = BLOB(c->supersedes, 16);
}

static void
revoke(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_op_revoke *r = &op->u.revoke;

	v[C_SERIAL] = BLOB(r->serial, 16);
	v[C_STATE] = INT(r->to);
	v[C_REASON] = INT(r->reason);
	v[C_AT] = INT(r->at);
}

static void
token_mint(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_token_row *t = &op->u.mint.row;

	v[C_NAME] = TEXT(t->id);
	v[C_DEVICE] = TEXT(t->device);
	v[C_PRODUCT] = TEXT(t->product);
	v[C_PROFILE] = TEXT(t->profile);
	v[C_FLAG] = INT(op->u.mint.make_device);
	v[C_FLAG2] = INT(t->bearer);
	v[C_AT] = INT(t->created_at);
	v[C_FROM_AT] = INT(t->not_before_at);
	v[C_TO_AT] = INT(t->expires_at);
	v[C_SPKI] = HASH(t->bound_spki);
}

static void
token_state(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_op_token_state *t = &op->u.token;

	v[C_NAME] = TEXT(t->id);
	v[C_MASK] = INT(t->from);
	v[C_STATE] = INT(t->to);
	v[C_FLAG] = INT(t->rebind);
	v[C_FLAG2] = INT(t->drop_claim);
	v[C_SPKI] = HASH(t->bound_spki);
}

static void
product_put(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_product *p = &op->u.product.row;

	v[C_NAME] = TEXT(p->name);
	v[C_TEXT1] = TEXT(p->description);
	v[C_PROFILE] = TEXT(p->idevid_profile);
	v[C_ISSUER] = TEXT(p->ldevid_profile);
	v[C_TEXT2] = TEXT(p->hw_type_oid);
	v[C_AT] = INT(p->created_at);
	v[C_FLAG] = INT(op->u.product.replace);
	if (op->u.product.if_version)
		v[C_NUMBER] = INT(p->version);
}

static void
device(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_op_device *o = &op->u.device;
	const struct mm_device *d = &o->row;

	v[C_NAME] = TEXT(d->id);
	v[C_PRODUCT] = TEXT(d->product);
	v[C_STATE] = INT(d->state);
	v[C_AT] = INT(d->created_at);
	v[C_SPKI] = HASH(d->bound_spki);
	if (d->attributes[0] != '\0')
		v[C_TEXT1] = TEXT(d->attributes);
	v[C_OTHER] = HASH(d->salt);
	v[C_FLAG] = INT(o->replace);
	v[C_FLAG2] = INT(o->same_is_fine);
	if (o->if_version)
		v[C_NUMBER] = INT(d->version);
	if (o->if_schema)
		v[C_MASK] = INT(o->schema);
	if (o->indexed != NULL)
		v[C_TEXT2] = TEXT(o->indexed);
}

static void
operator_(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_operator *o = &op->u.operator_;

	v[C_NAME] = TEXT(o->id);
	v[C_TEXT1] = TEXT(o->name);
	v[C_TEXT2] = TEXT(o->roles);
	v[C_SHA256] = HASH(o->secret_sha256);
	v[C_AT] = INT(o->created_at);
	v[C_TO_AT] = INT(o->expires_at);
	v[C_REVOKED_AT] = INT(o->revoked_at);
	v[C_STATE] = INT(o->kind);
	v[C_PROFILE] = TEXT(o->description);
	v[C_PRODUCT] = TEXT(o->scope);
	v[C_ISSUER] = TEXT(o->sources);
	v[C_SPKI] = HASH(o->spki_sha256);
	v[C_FROM_AT] = INT(o->used_at);
	v[C_NUMBER] = INT(o->life_ms);
	v[C_OTHER] = HASH(o->next_spki);
	v[C_NOT_AFTER_S] = INT(o->next_expires_at);
	v[C_NOT_BEFORE_S] = INT(o->renewed_at);
}

static void
checkpoint(const struct mm_op *op, struct val v[C_COLUMNS])
{
	v[C_NUMBER] = INT(op->u.checkpoint.size);
	v[C_BODY] = BYTES(op->u.checkpoint.note);
	v[C_AT] = INT(op->u.checkpoint.turn);
}

static void
crl(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_op_crl *c = &op->u.crl;

	v[C_ISSUER] = TEXT(c->issuer);
	v[C_NUMBER] = INT(c->number);
	v[C_NOT_BEFORE_S] = INT(c->this_s);
	v[C_NOT_AFTER_S] = INT(c->next_s);
	if (c->der.n > 0)
		v[C_BODY] = BYTES(c->der);
	if (c->shards.n > 0)
		v[C_OTHER] = BYTES(c->shards);
	v[C_FROM_AT] = INT(c->follows == NULL ? -1 : (int64_t)*c->follows);
}

static void
answer(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_op_answer *a = &op->u.answer;

	v[C_NAME] = TEXT(a->key);
	v[C_SHA256] = HASH(a->request_sha256);
	v[C_STATE] = INT(a->status);
	v[C_AT] = INT(a->at);
	v[C_FROM_AT] = INT(a->at - MM_ANSWER_KEPT_MS);
	v[C_BODY] = BYTES(a->body);
}

static void
doc(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_op_doc *d = &op->u.doc;

	v[C_STATE] = INT(d->kind);
	v[C_NAME] = TEXT(d->id);
	v[C_NUMBER] = INT(d->expect == MM_DOC_ANY ? -1 : (int64_t)d->expect);
	if (d->body.n > 0)
		v[C_BODY] = BYTES(d->body);
	if (d->counts[0] != NULL)
		v[C_TEXT1] = TEXT(d->counts[0]);
	if (d->counts[1] != NULL)
		v[C_TEXT2] = TEXT(d->counts[1]);
	if (d->counted != NULL)
		v[C_FROM_AT] = INT(*d->counted);
	if (d->as != 0 && d->body.n > 0)
		v[C_TO_AT] = INT((int64_t)d->as);
	if (d->ends != NULL) {
		v[C_MASK] = INT(MM_DOC_WAITING);
		v[C_DEVICE] = TEXT(d->ends);
	}
	if (d->frees != NULL)
		v[C_AUTHORITY] = TEXT(d->frees);
	if (d->was != NULL)
		v[C_OTHER] = BLOB(d->was->b, 32);
	if (d->with != NULL) {
		v[C_SERIAL] = BLOB(d->with->serial, 16);
		v[C_SHA256] = HASH(d->with->cert_sha256);
		v[C_AT] = INT(d->with->issued_at);
	}
}

static void
devices_index(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_op_index *x = &op->u.index;

	v[C_NAME] = TEXT(x->product);
	v[C_DEVICE] = TEXT(x->after);
	v[C_NUMBER] = INT(x->most);
	v[C_MASK] = INT(x->schema);
	if (x->indexed != NULL)
		v[C_TEXT2] = TEXT(x->indexed);
}

static void
reserve(const struct mm_op *op, struct val v[C_COLUMNS])
{
	const struct mm_op_reserve *r = &op->u.reserve;

	v[C_AUTHORITY] = TEXT(r->authority);
	v[C_NAME] = TEXT(r->node);
	v[C_SPKI] = BLOB(r->spki, 32);
	v[C_NUMBER] = INT(r->lease_s);
}

static void (*const members[MM_OP_KINDS])(const struct mm_op *op,
    struct val v[C_COLUMNS]) = {
	[MM_OP_ISSUE] = issue,
	[MM_OP_CONFIRM] = confirm,
	[MM_OP_REVOKE] = revoke,
	[MM_OP_ORPHAN] = orphan,
	[MM_OP_TOKEN_MINT] = token_mint,
	[MM_OP_TOKEN_STATE] = token_state,
	[MM_OP_PRODUCT_PUT] = product_put,
	[MM_OP_DEVICE_PUT] = device,
	[MM_OP_DEVICE_RETIRE] = device,
	[MM_OP_OPERATOR_PUT] = operator_,
	[MM_OP_OPERATOR_REVOKE] = operator_,
	[MM_OP_CHECKPOINT_PUT] = checkpoint,
	[MM_OP_CRL_PUT] = crl,
	[MM_OP_ANSWER_PUT] = answer,
	[MM_OP_DOC_PUT] = doc,
	[MM_OP_DEVICES_INDEX] = devices_index,
	[MM_OP_OPERATOR_ERASE] = operator_,
	[MM_OP_OPERATOR_USED] = operator_,
	[MM_OP_RESERVE] = reserve,
	[MM_OP_OPERATOR_RENEW] = operator_,
	[MM_OP_OPERATOR_CONFIRM] = operator_,
};

/* ---- the binary form ---- */

static void
put_value(struct mm_buf *out, const struct val *v, uint16_t type)
{
	if (v->kind == VAL_NULL) {
		mm_buf_u32(out, UINT32_MAX);
	} else if (v->kind != VAL_INT) {
		mm_buf_block32(out, v->b);
	} else if (type == OID_BOOL) {
		mm_buf_u32(out, 1);
		mm_buf_u8(out, v->i != 0);
	} else {
		mm_buf_u32(out, 8);
		mm_buf_u64(out, (uint64_t)v->i);
	}
}

static void
put_op(struct mm_buf *out, const struct mm_op *op)
{
	struct val v[C_COLUMNS];

	for (unsigned i = 0; i < C_COLUMNS; i++)
		v[i] = NONE;
	v[C_KIND] = INT(op->kind);
	v[C_N] = INT(op->nentries);
	if (members[op->kind] != NULL)
		members[op->kind](op, v);
	mm_buf_u32(out, C_COLUMNS);
	for (unsigned i = 0; i < C_COLUMNS; i++) {
		mm_buf_u32(out, column_type[i]);
		put_value(out, &v[i], column_type[i]);
	}
}

/* One dimension from 1 on, without NULLs. */
static void
put_array(struct mm_buf *out, Oid type, size_t n)
{
	mm_buf_u32(out, 1);
	mm_buf_u32(out, 0);
	mm_buf_u32(out, type);
	mm_buf_u32(out, (uint32_t)n);
	mm_buf_u32(out, 1);
}

/* see postgres.h */
void
mm_pg_ops(const struct pg *db, struct mm_op *const *ops, size_t nops,
    struct mm_buf *out)
{
	put_array(out, db->op, nops);
	for (size_t i = 0; i < nops; i++) {
		size_t at = out->n;

		mm_buf_u32(out, 0);
		put_op(out, ops[i]);
		if (out->err != MM_OK)
			return;
		for (unsigned k = 0; k < 4; k++)
			out->p[at + k] =
			    (uint8_t)((out->n - at - 4) >> (24 - 8 * k));
	}
}

/* see postgres.h */
void
mm_pg_blobs(const struct mm_bytes *v, size_t n, struct mm_buf *out)
{
	put_array(out, OID_BYTEA, n);
	for (size_t i = 0; i < n; i++)
		mm_buf_block32(out, v[i]);
}

/* see postgres.h */
void
mm_pg_numbers(const int64_t *v, size_t n, struct mm_buf *out)
{
	put_array(out, OID_INT8, n);
	for (size_t i = 0; i < n; i++) {
		mm_buf_u32(out, 8);
		mm_buf_u64(out, (uint64_t)v[i]);
	}
}
