#include "store/list_key.h"
#include "store/postgres.h"

/* ---- lists whose key is the name ---- */

union row {
	struct mm_product product;
	struct mm_device device;
	struct mm_operator operator_;
	struct mm_cert_row cert;
	struct mm_token_row token;
};
struct named {
	const struct shape *shape;
	size_t name; /* where in the row its key is */
	enum sql sql;
	unsigned n; /* parameters of: after, most, state, product */
};
static const struct named named[MM_LISTS] = {
	[MM_LIST_PRODUCTS] = { &mm_shape_product,
	    offsetof(struct mm_product, name), Q_PRODUCTS, 2 },
	[MM_LIST_OPERATORS] = { &mm_shape_operator,
	    offsetof(struct mm_operator, id), Q_OPERATORS, 2 },
	[MM_LIST_DEVICES] = { &mm_shape_device,
	    offsetof(struct mm_device, id), Q_DEVICES, 3 },
};
static const struct named devices_of = { &mm_shape_device,
	offsetof(struct mm_device, id), Q_DEVICES_OF, 4 };

static enum mm_err
list_named(struct pg *db, const struct named *n, const struct mm_list *l,
    const struct mm_row_sink *to, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	const struct val v[] = { TEXT(l->after), INT(l->most), INT(l->state),
		l->product != NULL ? TEXT(l->product) : NONE };
	union row row;

	MM_TRY(mm_pg_rows(db, &(struct ask){ n->sql, v, n->n }, &res, why));
	for (int i = 0; i < PQntuples(res); i++) {
		MM_TRY(mm_pg_load(res, i, n->shape, &row, why));
		MM_TRY(to->fn(to->ctx, &row, (const char *)&row + n->name,
		    why));
	}
	return MM_OK;
}

/* ---- pages of certificates and tokens ---- */

/* The statements of a list, by what is asked of it: see postgres_sql.h. */
struct paging {
	const struct shape *shape;
	enum sql id, all, newest;
	struct {
		enum sql any, of_device, of_key;
	} by[3]; /* enum mm_list_order */
};
static const struct paging cert_paging = { &mm_shape_cert, Q_CERT_ID,
	Q_CERTS_ALL, Q_CERTS_NEWEST, { { Q_CERTS_OF, Q_CERTS_OF_DEVICE,
	    Q_CERTS_OF_KEY },
	    { Q_CERTS_EXPIRING, Q_CERTS_EXPIRING_OF_DEVICE,
		Q_CERTS_EXPIRING_OF_KEY },
	    { Q_CERTS_UNCONFIRMED, Q_CERTS_UNCONFIRMED_OF_DEVICE,
		Q_CERTS_UNCONFIRMED_OF_KEY } } };
static const struct paging token_paging = { &mm_shape_token, Q_TOKEN_ID,
	Q_TOKENS_ALL, Q_TOKENS_NEWEST, { { Q_TOKENS_OF, Q_TOKENS_OF_DEVICE,
	    Q_STATEMENTS } } };

#define PAGE_VALS 10
struct page {
	const struct paging *p;
	enum mm_list_kind kind;
	struct mm_list_key key;
	int64_t after; /* id of the key's row */
};

/* The id of the row that the key names. */
static enum mm_err
find_after(struct pg *db, struct page *pg, const struct mm_list *l,
    struct mm_why *why)
{
	struct val key = pg->kind == MM_LIST_CERTS ?
	    BLOB(pg->key.serial, 16) : TEXT(l->after);
	enum mm_err err;

	pg->after = l->newest_first ? INT64_MAX : INT64_MIN;
	if (pg->key.first)
		return MM_OK;
	err = mm_pg_ints(db, &(struct ask){ pg->p->id, &key, 1 }, &pg->after,
	    1, why);
	return err == MM_ENOTFOUND ? mm_list_key_none(why) : err;
}

static struct val
filter(const char *text)
{
	return text != NULL ? TEXT(text) : NONE;
}

/* A key's few certificates are looked at one by one. */
static struct ask
ask_of_key(const struct page *pg, const struct mm_list *l,
    struct val v[PAGE_VALS])
{
	unsigned n = 6;

	if (pg->key.order != MM_ORDER_ROW) {
		v[n++] = INT(pg->key.at);
		v[n++] = INT(pg->key.end);
	}
	v[n++] = filter(l->device);
	v[n++] = BLOB(l->spki_sha256, 32);
	return (struct ask){ pg->p->by[pg->key.order].of_key, v, n };
}

/* Which statement, and how many of the values it takes. */
static struct ask
ask_of(const struct page *pg, const struct mm_list *l,
    struct val v[PAGE_VALS])
{
	bool by_time = pg->key.order != MM_ORDER_ROW;
	bool device = l->device != NULL;
	bool filtered = device || by_time || l->product != NULL ||
	    l->issuer != NULL || l->profile != NULL || l->state != -1;
	unsigned n = 6;

	v[0] = INT(pg->after);
	v[1] = INT(l->most);
	v[2] = filter(l->product);
	v[3] = filter(l->issuer);
	v[4] = filter(l->profile);
	v[5] = INT(l->state);
	if (l->spki_sha256 != NULL && pg->kind == MM_LIST_CERTS)
		return ask_of_key(pg, l, v);
	if (by_time) {
		v[n++] = INT(pg->key.at);
		v[n++] = INT(pg->key.end);
	}
	if (device)
		v[n++] = TEXT(l->device);
	if (!filtered)
		return (struct ask){ pg->p->all, v, 2 };
	if (l->newest_first)
		return (struct ask){ pg->p->newest, v, n };
	return (struct ask){ device ? pg->p->by[pg->key.order].of_device :
	    pg->p->by[pg->key.order].any, v, n };
}

static enum mm_err
list_page(struct pg *db, enum mm_list_kind kind, const struct mm_list *l,
    const struct mm_row_sink *to, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	struct page pg = { .kind = kind,
		.p = kind == MM_LIST_CERTS ? &cert_paging : &token_paging };
	char next[MM_AUTHORITY_TEXT];
	struct val v[PAGE_VALS];
	struct ask ask;
	union row row;

	MM_TRY(mm_list_key_parse(kind, l, &pg.key, why));
	MM_TRY(find_after(db, &pg, l, why));
	ask = ask_of(&pg, l, v);
	MM_TRY(mm_pg_rows(db, &ask, &res, why));
	for (int i = 0; i < PQntuples(res); i++) {
		MM_TRY(mm_pg_load(res, i, pg.p->shape, &row, why));
		mm_list_key_text(kind, pg.key.order, &row, next);
		MM_TRY(to->fn(to->ctx, &row, next, why));
	}
	return MM_OK;
}

/* see backend.h */
enum mm_err
mm_pg_list(struct mm_store_reader *r, enum mm_list_kind kind,
    const struct mm_list *l, const struct mm_row_sink *to, struct mm_why *why)
{
	struct pg *db = mm_pg_db(r);

	if (kind == MM_LIST_DEVICES && l->product != NULL)
		return list_named(db, &devices_of, l, to, why);
	if (named[kind].shape != NULL)
		return list_named(db, &named[kind], l, to, why);
	return list_page(db, kind, l, to, why);
}

/* see backend.h */
enum mm_err
mm_pg_list_docs(struct mm_store_reader *r, const struct mm_doc_range *range,
    const struct mm_row_sink *to, struct mm_why *why)
{
	MM_OWN(mm_pg_clear) PGresult *res = NULL;
	struct mm_doc d;

	MM_TRY(mm_pg_rows(mm_pg_db(r), range->of != NULL ?
	    (range->kind == MM_DOC_BATCH ?
	    ASK(BATCHES_OF, TEXT(range->of), TEXT(range->from),
		TEXT(range->to), INT(range->most)) :
	    ASK(UNITS_OF, TEXT(range->of), TEXT(range->from),
		TEXT(range->to), INT(range->most))) :
	    ASK(DOCS, INT(range->kind), TEXT(range->from), TEXT(range->to),
		INT(range->most)), &res, why));
	for (int i = 0; i < PQntuples(res); i++) {
		if (!mm_text_copy(d.id, sizeof(d.id), mm_pg_blob(res, i, 0)))
			return MM_FAIL(why, MM_ESYS, "database: id too long");
		d.version = (uint64_t)mm_pg_int(res, i, 1);
		d.body = mm_pg_blob(res, i, 2);
		MM_TRY(to->fn(to->ctx, &d, d.id, why));
	}
	return MM_OK;
}

/* see backend.h */
enum mm_err
mm_pg_count_docs(struct mm_store_reader *r, const struct mm_doc_range *range,
    int64_t *n, struct mm_why *why)
{
	return mm_pg_ints(mm_pg_db(r), ASK(DOCS_COUNT, INT(range->kind),
	    TEXT(range->from), TEXT(range->to), INT(range->most)), n, 1, why);
}

/* ---- for a CRL ---- */

static enum mm_err
give_revoked(void *ctx, PGresult *res, struct mm_why *why)
{
	const struct mm_row_sink *to = ctx;
	char next[MM_AUTHORITY_TEXT];
	struct mm_cert_row row;

	MM_TRY(mm_pg_load(res, 0, &mm_shape_cert, &row, why));
	mm_list_key_text(MM_LIST_CERTS, MM_ORDER_ROW, &row, next);
	return to->fn(to->ctx, &row, next, why);
}

/* see backend.h */
enum mm_err
mm_pg_list_revoked_shards(struct mm_store_reader *r,
    const struct mm_shards_of *of, const struct mm_row_sink *to,
    struct mm_why *why)
{
	struct mm_row_sink sink = *to;

	return mm_pg_stream(mm_pg_db(r), ASK(CERTS_REVOKED_OF,
	    TEXT(of->issuer), INT(of->now_s), INT(of->from), INT(of->to)),
	    give_revoked, &sink, why);
}

static enum mm_err
give_shard(void *ctx, PGresult *res, struct mm_why *why)
{
	const struct mm_row_sink *to = ctx;
	struct mm_shard_row row = { (uint32_t)mm_pg_int(res, 0, 0),
		(uint64_t)mm_pg_int(res, 0, 1), mm_pg_int(res, 0, 2) };

	return to->fn(to->ctx, &row, "", why);
}

/* see backend.h */
enum mm_err
mm_pg_list_shards(struct mm_store_reader *r, const char *issuer,
    const struct mm_row_sink *to, struct mm_why *why)
{
	struct mm_row_sink sink = *to;

	return mm_pg_stream(mm_pg_db(r), ASK(SHARDS, TEXT(issuer)),
	    give_shard, &sink, why);
}

/* see backend.h */
enum mm_err
mm_pg_list_revoked(struct mm_store_reader *r, const char *issuer,
    int64_t now_s, const struct mm_row_sink *to, struct mm_why *why)
{
	struct mm_row_sink sink = *to;

	return mm_pg_stream(mm_pg_db(r), ASK(CERTS_REVOKED, TEXT(issuer),
	    INT(now_s)), give_revoked, &sink, why);
}
