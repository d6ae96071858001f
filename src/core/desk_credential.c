#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/production_priv.h"

/*
 * Old credentials as groups have them.  A closed group stays with its
 * credentials, so that an answer that was lost is told again; it takes no
 * place from a new one.
 */

enum { TRIES = 3 };

static bool
has_group(const struct mm_credential *c, const char *group)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->group[i], group) == 0)
			return true;
	return false;
}

static void
put_credential(const struct mm_credential *c, struct mm_buf *body)
{
	struct mm_json j = mm_json_over(body);

	mm_json_open(&j, '{');
	mm_json_open_key(&j, "groups", '[');
	for (size_t i = 0; i < c->n; i++)
		mm_json_str(&j, NULL, c->group[i]);
	mm_json_close(&j, ']');
	if (c->der.n > 0)
		mm_json_b64(&j, "certificate", mm_buf_view(&c->der));
	if (!mm_zero(c->crl, 32))
		mm_json_hex(&j, "crl", (struct mm_bytes){ c->crl, 32 });
	mm_json_close(&j, '}');
}

/* When it was closed; 0: it is not, or cannot be said; 1: it is not there. */
static enum mm_err
closed_at(struct mm_desk *d, const char *group, int64_t *at,
    struct mm_why *why)
{
	struct mm_group g;
	enum mm_err rc = mm_group_get(d->r, group, &g, NULL);

	*at = 1;
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	*at = g.state == MM_WORK_CLOSED ? g.closed_at : 0;
	return MM_OK;
}

/* How many of its groups are not closed, which was closed first (n: none) and
 * when the last one was. */
struct closing {
	size_t open, first;
	int64_t first_at, last_at;
};

static enum mm_err
look_at_groups(struct mm_desk *d, const struct mm_credential *c,
    struct closing *out, struct mm_why *why)
{
	int64_t at;

	*out = (struct closing){ .first = c->n, .first_at = INT64_MAX };
	for (size_t i = 0; i < c->n; i++) {
		MM_TRY(closed_at(d, c->group[i], &at, why));
		out->open += at == 0;
		if (at > out->last_at)
			out->last_at = at;
		if (at == 0 || at >= out->first_at)
			continue;
		out->first = i;
		out->first_at = at;
	}
	return MM_OK;
}

/* Of the closed ones the first makes place for another. */
static enum mm_err
make_room(struct mm_desk *d, struct mm_credential *c, struct mm_why *why)
{
	struct closing k;

	if (c->n < MM_CREDENTIAL_OPEN)
		return MM_OK;
	MM_TRY(look_at_groups(d, c, &k, why));
	if (k.open >= MM_CREDENTIAL_OPEN)
		return MM_FAIL(why, MM_ELIMIT, "a credential is of %d groups "
		    "at most that are not closed", MM_CREDENTIAL_OPEN);
	if (c->n < MM_CREDENTIAL_GROUPS)
		return MM_OK;
	c->n--;
	for (size_t i = k.first; i < c->n; i++)
		memcpy(c->group[i], c->group[i + 1], sizeof(c->group[i]));
	return MM_OK;
}

/* see production_priv.h */
enum mm_err
mm_credential_op(struct mm_desk *d, const char *group,
    const struct mm_old_one *one, struct mm_op *op, struct mm_buf *body,
    bool *needed, struct mm_why *why)
{
	MM_OWN(mm_credential_done)
	struct mm_credential c = MM_CREDENTIAL_INIT;
	enum mm_err rc = mm_credential_get(d->r, one->kind,
	    one->sha256, &c, why);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return rc;
	*needed = rc == MM_ENOTFOUND || !has_group(&c, group);
	if (!*needed)
		return MM_OK;
	MM_TRY(make_room(d, &c, why));
	strcpy(c.group[c.n++], group);
	if (c.der.n == 0)
		mm_buf_bytes(&c.der, one->der);
	put_credential(&c, body);
	*op = (struct mm_op){ .kind = MM_OP_DOC_PUT };
	op->u.doc.kind = MM_DOC_CREDENTIAL;
	op->u.doc.expect = rc == MM_OK ? c.version : 0;
	mm_credential_id(one->kind, one->sha256, op->u.doc.id);
	return mm_buf_ok(body, why);
}

/* see group.h */
enum mm_err
mm_desk_credential_put(struct mm_desk *d, const struct mm_group *g,
    const struct mm_old_one *one, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc = MM_ESTALE;

	for (unsigned i = 0; i < TRIES && (rc == MM_ESTALE ||
	    rc == MM_ECONFLICT); i++) {
		MM_OWN(mm_buf_done)
		struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
		struct mm_op op;
		bool needed;

		own = (struct mm_why){ 0 };
		rc = mm_credential_op(d, g->id, one, &op, &body, &needed, &own);
		if (rc != MM_OK || !needed)
			break;
		op.u.doc.body = mm_buf_view(&body);
		rc = mm_desk_docs_put(d, &op, 1, &own);
	}
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

/* ---- how many CAs and secrets there are ---- */

static const struct {
	const char *prefix, *what;
	size_t most;
} kept[MM_CREDENTIAL_KINDS] = {
	[MM_CREDENTIAL_CA] = { MM_CREDENTIAL_CAS, "CAs",
	    MM_CREDENTIAL_CAS_MAX },
	[MM_CREDENTIAL_SECRET] = { MM_CREDENTIAL_SECRETS, "secrets",
	    MM_CREDENTIAL_SECRETS_MAX },
};

struct keeping {
	struct mm_desk *d;
	enum mm_credential_kind kind;
	char id[MM_CREDENTIAL_TAKEN][MM_DOC_ID_MAX + 1];
	struct mm_credential c[MM_CREDENTIAL_TAKEN];
	size_t n;
};

static enum mm_err
take_kept(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct keeping *l = ctx;
	struct mm_credential *c = &l->c[l->n];

	*c = (struct mm_credential)MM_CREDENTIAL_INIT;
	snprintf(l->id[l->n++], sizeof(l->id[0]), "%s", next);
	return mm_credential_parse(row, c, why);
}

/* The one all of whose groups are closed, the longest ago. */
static enum mm_err
find_unused(struct keeping *l, size_t *at, struct mm_why *why)
{
	int64_t first = INT64_MAX;
	struct closing k;

	*at = l->n;
	for (size_t i = 0; i < l->n; i++) {
		if (l->id[i][0] == '\0')
			continue;
		MM_TRY(look_at_groups(l->d, &l->c[i], &k, why));
		if (k.open > 0 || k.last_at >= first)
			continue;
		first = k.last_at;
		*at = i;
	}
	return MM_OK;
}

static enum mm_err
forget_one(struct keeping *l, struct mm_why *why)
{
	struct mm_op op = { .kind = MM_OP_DOC_PUT };
	size_t at;

	MM_TRY(find_unused(l, &at, why));
	if (at == l->n)
		return MM_FAIL(why, MM_ELIMIT,
		    "groups that are not closed have %zu %s already",
		    kept[l->kind].most, kept[l->kind].what);
	op.u.doc.kind = MM_DOC_CREDENTIAL;
	op.u.doc.expect = l->c[at].version;
	strcpy(op.u.doc.id, l->id[at]);
	l->id[at][0] = '\0';
	return mm_desk_docs_put(l->d, &op, 1, why);
}

static enum mm_err
make_kept_room(struct keeping *l, size_t n, struct mm_why *why)
{
	const struct mm_list all = { .most = MM_CREDENTIAL_TAKEN,
		.state = -1 };
	size_t have;

	MM_TRY(mm_list_docs(l->d->r, MM_DOC_CREDENTIAL, kept[l->kind].prefix,
	    &all, take_kept, l, why));
	for (have = l->n; have + n > kept[l->kind].most; have--)
		MM_TRY(forget_one(l, why));
	return MM_OK;
}

/* see group.h */
enum mm_err
mm_desk_credential_room(struct mm_desk *d, enum mm_credential_kind kind,
    size_t n, struct mm_why *why)
{
	struct keeping *l = calloc(1, sizeof(*l));
	enum mm_err rc;

	if (l == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	l->d = d;
	l->kind = kind;
	rc = make_kept_room(l, n, why);
	for (size_t i = 0; i < l->n; i++)
		mm_credential_done(&l->c[i]);
	free(l);
	return rc;
}

/* ---- a CA's own revocation list ---- */

/* see group.h; a paper is text */
enum mm_err
mm_credential_crl(struct mm_store_reader *r, const uint8_t sha256[32],
    struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_PAPER_MAX);

	MM_TRY(mm_paper_get(r, sha256, &text, why));
	return mm_base64_parse(mm_buf_view(&text), out, why);
}

/* see group.h */
enum mm_err
mm_desk_credential_crl(struct mm_desk *d, const uint8_t ca[32],
    struct mm_bytes der, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_PAPER_MAX);
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(mm_credential_done)
	struct mm_credential c = MM_CREDENTIAL_INIT;
	struct mm_op op = { .kind = MM_OP_DOC_PUT };

	MM_TRY(mm_credential_get(d->r, MM_CREDENTIAL_CA, ca, &c, why));
	mm_base64_put(&text, der, 0);
	MM_TRY(mm_buf_ok(&text, why));
	mm_sha256(mm_buf_view(&text), c.crl);
	MM_TRY(mm_desk_paper_put(d, mm_buf_view(&text), c.crl, why));
	put_credential(&c, &body);
	MM_TRY(mm_buf_ok(&body, why));
	op.u.doc.kind = MM_DOC_CREDENTIAL;
	op.u.doc.expect = c.version;
	op.u.doc.body = mm_buf_view(&body);
	mm_credential_id(MM_CREDENTIAL_CA, ca, op.u.doc.id);
	return mm_desk_docs_put(d, &op, 1, why);
}
