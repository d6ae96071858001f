#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "core/production_priv.h"

/* What groups of devices without a certificate take of the desk: a secret that
 * they share, and an end to waiting. */

enum { PAGE = 64 };

/* see group.h; the signer alone makes secrets, and notes that it did */
enum mm_err
mm_desk_group_secret(struct mm_desk *d, struct mm_group *g,
    char text[MM_TOKEN_TEXT], struct mm_why *why)
{
	struct mm_token_mint_req req = { .device = "" };
	struct mm_token_mint_rep rep;
	struct mm_token t;

	strcpy(req.device, g->id);
	MM_TRY(mm_wire_call(d->c->wire, MM_LINE_OPS, MM_IPC_TOKEN_MINT, &req,
	    &rep, &d->frame, why));
	memcpy(t.id, rep.id, sizeof(t.id));
	memcpy(t.secret, rep.secret, sizeof(t.secret));
	memcpy(t.anchor, rep.anchor, sizeof(t.anchor));
	mm_token_text(&t, text);
	mm_token_id_text(t.id, g->secret);
	mm_wipe(&t, sizeof(t));
	mm_wipe(&rep, sizeof(rep));
	mm_wipe(d->frame.p, d->frame.n);
	return MM_OK;
}

/* ---- whose time is over ---- */

struct tidying {
	struct mm_op *op;
	unsigned n, looked;
	int64_t before;
	char last[MM_DOC_ID_MAX + 1];
};
MM_FREE_FN(ops_free, struct mm_op, free)

static enum mm_err
take(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct tidying *t = ctx;
	struct mm_caller c;

	(void)!mm_text_copy(t->last, sizeof(t->last), mm_bytes_of(next));
	t->looked++;
	MM_TRY(mm_caller_parse(row, &c, why));
	if (c.at >= t->before)
		return MM_OK;
	t->op[t->n].u.doc.kind = MM_DOC_WAITING;
	t->op[t->n].u.doc.expect = c.version;
	strcpy(t->op[t->n++].u.doc.id, next);
	return MM_OK;
}

/* One that comes again meanwhile has another version, and stays. */
static enum mm_err
tidy(struct mm_desk *d, const char *group, struct tidying *t,
    struct mm_why *why)
{
	struct mm_list l = { .most = PAGE, .state = -1 };
	char prefix[MM_GROUP_ID_MAX + 2];

	snprintf(prefix, sizeof(prefix), "%s/", group);
	do {
		struct mm_why own = { 0 };
		enum mm_err rc;

		t->n = t->looked = 0;
		memset(t->op, 0, PAGE * sizeof(*t->op));
		strcpy(l.after, t->last);
		MM_TRY(mm_list_docs(d->r, MM_DOC_WAITING, prefix, &l, take, t,
		    why));
		rc = mm_desk_docs_put(d, t->op, t->n, &own);
		if (rc != MM_OK && rc != MM_ESTALE && rc != MM_ENOTFOUND)
			return MM_FAIL(why, rc, "%s", own.text);
	} while (t->looked == PAGE);
	return MM_OK;
}

/* see group.h; as long again as its code counted, so that a device that shows
 * it hears that it does not any more */
enum mm_err
mm_desk_pairing_tidy(struct mm_desk *d, struct mm_why *why)
{
	MM_OWN(mm_credential_done)
	struct mm_credential c = MM_CREDENTIAL_INIT;
	MM_OWN(ops_free) struct mm_op *op = calloc(PAGE, sizeof(*op));
	const uint8_t nothing[32] = { 0 };
	enum mm_err rc;

	if (op == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = mm_credential_get(d->r, MM_CREDENTIAL_NOTHING, nothing, &c, why);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK : rc;
	for (size_t i = 0; i < c.n; i++) {
		struct tidying t = { .op = op, .before = mm_now_ms() -
			2 * d->c->config->set.pairing_s * 1000 };

		MM_TRY(tidy(d, c.group[i], &t, why));
	}
	return MM_OK;
}
