#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/own.h"
#include "core/upstream_priv.h"

/*
 * What is kept of a question to an existing CA until its answer is on record,
 * and what becomes of it where the process that asked ended: its document is
 * there and nobody waits for the answer.  Whether a certificate was made nobody
 * knows, and the ledger gets to know that.  A node that ended for good, or has
 * another name now, does not do it itself: any other does, once its lease says
 * that it works no more.
 */
enum { MOST = 200, BODY_MAX = 2048, PAPER_MAX = 4096 };

MM_FREE_FN(json_free, json_t, json_decref)

/* see upstream_priv.h */
void
mm_upstream_entry(const struct mm_upstream_asked *a, enum mm_entry_type type,
    struct mm_entry *e)
{
	*e = (struct mm_entry){ .type = type };
	e->field[MM_F_AUTHORITY] = a->authority;
	e->field[MM_F_DEVICE] = a->device;
	if (a->product[0] != '\0')
		e->field[MM_F_PRODUCT] = a->product;
	e->field[MM_F_ISSUER] = a->issuer;
	e->field[MM_F_PROFILE] = a->profile;
	e->field[MM_F_SPKI_SHA256] = a->spki;
	e->field[MM_F_DETAIL_SHA256] = a->request;
	if (a->node[0] != '\0')
		e->field[MM_F_NODE] = a->node;
}

/* see upstream_priv.h */
void
mm_upstream_drop(const char *id, const struct mm_cert_row *with,
    struct mm_op *op)
{
	memset(op, 0, sizeof(*op));
	op->kind = MM_OP_DOC_PUT;
	op->u.doc.kind = MM_DOC_ASKED;
	op->u.doc.expect = MM_DOC_ANY;
	op->u.doc.with = with;
	strcpy(op->u.doc.id, id);
}

struct left {
	struct mm_core *c;
	unsigned n;
	struct {
		char id[MM_DOC_ID_MAX + 1];
		char node[MM_NAME_MAX + 1], session[33];
	} at[MOST];
};

/* Those of a page; the rest another time. */
static enum mm_err
look_at(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct left *l = ctx;
	const struct mm_doc *doc = row;

	(void)next, (void)why;
	if (l->n == MOST || mm_upstream_going(l->c, doc->id))
		return MM_OK;
	memset(&l->at[l->n], 0, sizeof(l->at[0]));
	strcpy(l->at[l->n].id, doc->id);
	(void)mm_node_text(doc->body, "\"node\":\"", l->at[l->n].node,
	    sizeof(l->at[0].node));
	(void)mm_node_text(doc->body, "\"session\":\"", l->at[l->n].session,
	    sizeof(l->at[0].session));
	l->n++;
	return MM_OK;
}

static enum mm_err
is_under_way(struct mm_desk *d, const struct left *l, unsigned i, bool *yes,
    struct mm_why *why)
{
	*yes = mm_upstream_going(d->c, l->at[i].id);
	if (*yes || strcmp(l->at[i].node, d->c->config->set.node) == 0)
		return MM_OK;
	return mm_peer_works(d->c, d->r, l->at[i].node, l->at[i].session, yes,
	    why);
}

static void
take_text(const json_t *o, const char *key, char *out, size_t size)
{
	const char *v = json_string_value(json_object_get(o, key));

	if (v == NULL || !mm_text_copy(out, size, mm_bytes_of(v)))
		out[0] = '\0';
}

static enum mm_err
read_asked(struct mm_desk *d, const char *id, struct mm_upstream_asked *a,
    uint64_t *version, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(BODY_MAX);
	MM_OWN(json_free) json_t *o = NULL;

	MM_TRY(mm_get_doc(d->r, MM_DOC_ASKED, id, version, &body, why));
	o = json_loadb((const char *)body.p, body.n, 0, NULL);
	if (o == NULL)
		return MM_FAIL(why, MM_ESYS, "what an existing CA was asked "
		    "cannot be read");
	take_text(o, "authority", a->authority, sizeof(a->authority));
	take_text(o, "device", a->device, sizeof(a->device));
	take_text(o, "product", a->product, sizeof(a->product));
	take_text(o, "issuer", a->issuer, sizeof(a->issuer));
	take_text(o, "profile", a->profile, sizeof(a->profile));
	take_text(o, "spki_sha256", a->spki, sizeof(a->spki));
	take_text(o, "request_sha256", a->request, sizeof(a->request));
	take_text(o, "node", a->node, sizeof(a->node));
	return MM_OK;
}

static enum mm_err
enter_left(struct mm_desk *d, const char *id, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf buf = MM_BUF_INIT(PAPER_MAX);
	struct mm_papers p = mm_papers_over(&buf);
	struct mm_upstream_asked a;
	struct mm_entry e;
	struct mm_op op;

	mm_upstream_drop(id, NULL, &op);
	MM_TRY(read_asked(d, id, &a, &op.u.doc.expect, why));
	mm_upstream_entry(&a, MM_E_UPSTREAM_UNKNOWN, &e);
	e.field[MM_F_REASON] = "interrupted";
	mm_papers_add(&p, &e);
	MM_TRY(mm_papers_seal(&p, &op, why));
	MM_TRY(mm_core_run1(d->c, &op, why));
	mm_upstream_interrupted(d->c, a.issuer);
	mm_core_note(d->c, 2, "upstream.unknown", a.device);
	return MM_OK;
}

/* One that ends meanwhile is not there any more. */
static enum mm_err
settle(struct mm_desk *d, const struct left *l, unsigned i,
    struct mm_why *why)
{
	bool under_way;
	enum mm_err rc;

	MM_TRY(is_under_way(d, l, i, &under_way, why));
	if (under_way)
		return MM_OK;
	rc = enter_left(d, l->at[i].id, why);
	if (rc != MM_ENOTFOUND && rc != MM_ESTALE)
		return rc;
	*why = (struct mm_why){ 0 };
	return MM_OK;
}

/* see upstream_priv.h */
enum mm_err
mm_desk_upstream(struct mm_desk *d, struct mm_why *why)
{
	struct left *l = calloc(1, sizeof(*l));
	enum mm_err rc;

	if (l == NULL)
		return MM_FAIL(why, MM_ENOMEM, "upstream: no memory");
	l->c = d->c;
	rc = mm_each_doc(d->r, MM_DOC_ASKED, "", look_at, l, why);
	for (unsigned i = 0; rc == MM_OK && i < l->n; i++)
		rc = settle(d, l, i, why);
	free(l);
	return rc;
}
