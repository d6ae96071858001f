#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/upstream_priv.h"

/*
 * Promise 2: no signature stays outside the ledger.  A signature whose commit
 * failed or is unknown is looked up by its serial; where there is no record,
 * an orphan takes the serial, so that a late commit loses against it.
 */

/* see priv.h */
void
mm_settle_add(struct mm_core *c, const struct mm_cert_row *row,
    struct mm_bytes der, const char *asked)
{
	struct mm_unsettled *u = malloc(sizeof(*u) + der.n);

	/* Without memory the signer's list of outstanding ones brings it. */
	if (u == NULL)
		return;
	u->row = *row;
	strcpy(u->asked, asked);
	u->n = der.n;
	if (der.n > 0)
		memcpy(u->der, der.p, der.n);
	pthread_mutex_lock(&c->lock);
	u->next = c->unsettled;
	c->unsettled = u;
	pthread_cond_signal(&c->tick);
	pthread_mutex_unlock(&c->lock);
}

/* The orphan, and with it what an existing CA was asked for it. */
static enum mm_err
write_orphan(struct mm_core *c, struct mm_op *op, const char *asked,
    struct mm_why *why)
{
	struct mm_op drop, *both[] = { op, &drop };

	if (asked[0] == '\0')
		return mm_core_run1(c, op, why);
	mm_upstream_drop(asked, &op->u.orphan.row, &drop);
	MM_TRY(mm_core_run(c, both, 2, why));
	return op->result == MM_OK ? MM_OK : MM_FAIL(why, op->result, "%s",
	    op->why.text);
}

static enum mm_err
orphan(struct mm_core *c, const struct mm_cert_row *row, struct mm_bytes der,
    const char *asked, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf buf = MM_BUF_INIT(8192);
	struct mm_papers p = mm_papers_over(&buf);
	struct mm_entry e = { .type = MM_E_SIG_ORPHANED };
	struct mm_cert_texts t;
	struct mm_op op = { .kind = MM_OP_ORPHAN };

	op.u.orphan.row = *row;
	op.u.orphan.der = der;
	op.u.orphan.row.state = MM_CERT_ORPHANED;
	op.u.orphan.row.revoked_at = mm_now_ms();
	mm_entry_cert(&e, &t, row, c->config->set.node);
	mm_papers_add(&p, &e);
	MM_TRY(mm_papers_seal(&p, &op, why));
	MM_TRY(write_orphan(c, &op, asked, why));
	c->orphans++;
	atomic_store(&c->orphan_at, mm_now_ms());
	mm_core_note(c, 2, "signature.orphaned", e.field[MM_F_SERIAL]);
	return MM_OK;
}

/* What was asked has its answer on record: of this certificate nothing is
 * unknown, whoever recorded it.  Of another one under its number, all is. */
static enum mm_err
answer_is(struct mm_core *c, const struct mm_cert_row *row,
    const struct mm_cert_row *found, const char *asked, struct mm_why *why)
{
	struct mm_op op;
	enum mm_err rc;

	if (asked[0] == '\0' || memcmp(found->cert_sha256, row->cert_sha256,
	    sizeof(row->cert_sha256)) != 0)
		return MM_OK;
	mm_upstream_drop(asked, NULL, &op);
	rc = mm_core_run1(c, &op, NULL);
	return rc == MM_OK || rc == MM_ENOTFOUND ? MM_OK :
	    MM_FAIL(why, rc, "store: cannot be written");
}

/* MM_OK: there is a record now, one way or the other. */
static enum mm_err
settle(struct mm_core *c, const struct mm_cert_row *row, struct mm_bytes der,
    const char *asked, struct mm_why *why)
{
	struct mm_cert_row found;
	enum mm_err rc = mm_get_cert(c->feed_reader, row->serial, &found, NULL);

	if (rc == MM_ENOTFOUND) {
		rc = orphan(c, row, der, asked, why);
		if (rc != MM_ECONFLICT)
			return rc;
		rc = mm_get_cert(c->feed_reader, row->serial, &found, NULL);
	}
	return rc == MM_OK ? answer_is(c, row, &found, asked, why) :
	    MM_FAIL(why, rc, "store: cannot be read");
}

/* They are at work until put away: housekeeping lets them be. */
static struct mm_unsettled *
take_all(struct mm_core *c)
{
	pthread_mutex_lock(&c->lock);
	c->settling = c->unsettled;
	c->unsettled = NULL;
	pthread_mutex_unlock(&c->lock);
	return c->settling;
}

static void
put_away(struct mm_core *c, struct mm_unsettled *list)
{
	struct mm_unsettled *next;

	pthread_mutex_lock(&c->lock);
	c->settling = NULL;
	pthread_mutex_unlock(&c->lock);
	for (; list != NULL; list = next) {
		next = list->next;
		free(list);
	}
}

static bool
has(const struct mm_unsettled *list, const char *asked)
{
	while (list != NULL && strcmp(list->asked, asked) != 0)
		list = list->next;
	return list != NULL;
}

/* see priv.h */
bool
mm_settle_waits(struct mm_core *c, const char *asked)
{
	bool waits;

	pthread_mutex_lock(&c->lock);
	waits = has(c->unsettled, asked) || has(c->settling, asked);
	pthread_mutex_unlock(&c->lock);
	return waits;
}

/* see priv.h; a transaction that changes nothing would not do */
void
mm_settle_probe(struct mm_op *op)
{
	memset(op, 0, sizeof(*op));
	op->kind = MM_OP_ANSWER_PUT;
	op->u.answer.at = mm_now_ms();
	snprintf(op->u.answer.key, sizeof(op->u.answer.key), "store:%lld",
	    (long long)op->u.answer.at);
}

/* What failed left nothing to settle. */
static void
try_store(struct mm_core *c)
{
	struct mm_op op;

	mm_settle_probe(&op);
	if (mm_core_run1(c, &op, NULL) == MM_OK)
		atomic_store(&c->store_ok, true);
}

/* The first that can be settled shows that the store is back. */
bool
mm_settle_run(struct mm_core *c)
{
	struct mm_unsettled *list = take_all(c);
	bool all = true;

	if (list == NULL && !c->store_ok)
		try_store(c);
	for (const struct mm_unsettled *u = list; u != NULL; u = u->next) {
		struct mm_bytes der = { u->der, u->n };

		if (settle(c, &u->row, der, u->asked, NULL) == MM_OK) {
			atomic_store(&c->store_ok, true);
		} else {
			mm_settle_add(c, &u->row, der, u->asked);
			all = false;
		}
	}
	put_away(c, list);
	return all;
}

/* ---- what the signer knows of ---- */

static void
row_of(struct mm_core *c, const struct mm_outstanding *o,
    struct mm_cert_row *row)
{
	struct mm_device dev;

	memset(row, 0, sizeof(*row));
	memcpy(row->serial, o->serial, 16);
	strcpy(row->issuer, o->issuer);
	strcpy(row->device, o->device);
	strcpy(row->profile, o->profile);
	row->not_after_s = (int64_t)o->not_after_s;
	memcpy(row->spki_sha256, o->spki_sha256, 32);
	row->issued_at = mm_now_ms();
	if (mm_get_device(c->feed_reader, o->device, &dev, NULL) == MM_OK)
		strcpy(row->product, dev.product);
}

static enum mm_err
enter_lost(struct mm_core *c, struct mm_entry *e, const char *issuer,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf buf = MM_BUF_INIT(4096);
	struct mm_papers p = mm_papers_over(&buf);
	struct mm_op op = { .kind = MM_OP_ENTRY };

	e->field[MM_F_ISSUER] = issuer;
	e->field[MM_F_RESULT] = "lost";
	e->field[MM_F_NODE] = mm_node_or_null(c);
	mm_papers_add(&p, e);
	MM_TRY(mm_papers_seal(&p, &op, why));
	return mm_core_run1(c, &op, why);
}

/* A list that nobody ever saw: it was signed, and its end came before it was
 * stored.  Lists are complete, so the next one says all that it said. */
static enum mm_err
settle_list(struct mm_core *c, const struct mm_outstanding *o,
    struct mm_why *why)
{
	struct mm_entry e = { .type = MM_E_CRL_SIGNED };
	char number[24];

	snprintf(number, sizeof(number), "%llu", (unsigned long long)o->crl);
	e.field[MM_F_NUMBER] = number;
	MM_TRY(enter_lost(c, &e, o->issuer, why));
	mm_core_note(c, 2, "crl.lost", number);
	return MM_OK;
}

/* One that was certified, and nobody here knows of it: no answer was asked of
 * it, and none will be. */
static enum mm_err
settle_responder(struct mm_core *c, const struct mm_outstanding *o,
    struct mm_why *why)
{
	struct mm_entry e = { .type = MM_E_RESPONDER_MADE };
	struct mm_cert_texts t;

	mm_entry_certified(&e, &t, &(struct mm_certified){ .serial = o->serial,
	    .spki_sha256 = o->spki_sha256,
	    .not_after_s = (int64_t)o->not_after_s });
	MM_TRY(enter_lost(c, &e, o->issuer, why));
	mm_core_note(c, 2, "responder.lost", t.serial);
	return MM_OK;
}

static enum mm_err
settle_line_ca(struct mm_core *c, const struct mm_outstanding *o,
    struct mm_why *why)
{
	struct mm_cert_row row;
	enum mm_err rc;

	row_of(c, o, &row);
	rc = orphan(c, &row, (struct mm_bytes){ NULL, 0 }, "", why);
	return rc == MM_ECONFLICT ? MM_OK : rc;
}

static enum mm_err
settle_device(struct mm_core *c, const struct mm_outstanding *o,
    struct mm_why *why)
{
	struct mm_cert_row row;

	row_of(c, o, &row);
	return settle(c, &row, (struct mm_bytes){ NULL, 0 }, "", why);
}

/* Whoever has it signed holds something meanwhile: the line for operators, the
 * making of responders, or nothing where the store is asked by serial. */
enum held { BY_NOTHING, BY_LINE, BY_RESPONDING, HELD };

static enum held
held_by(const struct mm_outstanding *o)
{
	if (o->responder != 0)
		return BY_RESPONDING;
	return o->crl != 0 || strcmp(o->profile, MM_LINE_CA_LABEL) == 0
		   ? BY_LINE
		   : BY_NOTHING;
}

static enum mm_err
settle_one(struct mm_core *c, const struct mm_outstanding *o,
    struct mm_why *why)
{
	switch (held_by(o)) {
	case BY_RESPONDING:
		return settle_responder(c, o, why);
	case BY_LINE:
		return o->crl != 0 ? settle_list(c, o, why)
				   : settle_line_ca(c, o, why);
	default:
		return settle_device(c, o, why);
	}
}

/* Those that are held so; n: how many of each there are. */
static enum mm_err
settle_lines(struct mm_core *c, const struct mm_outstanding_rep *rep,
    enum held want, unsigned n[HELD], struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(rep->lines);
	struct mm_outstanding o;

	memset(n, 0, HELD * sizeof(n[0]));
	for (uint32_t i = 0; i < rep->n; i++) {
		struct mm_bytes line = mm_rd_block16(&r);
		MM_TRY(mm_fields_get(line, mm_outstanding_fields,
		    mm_outstanding_nfields, &o, why));
		n[held_by(&o)]++;
		if (held_by(&o) == want)
			MM_TRY(settle_one(c, &o, why));
	}
	return MM_OK;
}

#define ASK_MOST 256

static enum mm_err
ask(struct mm_core *c, uint64_t age_ms, enum held want, unsigned n[HELD],
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf frame =
	    MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_outstanding_req req = { age_ms, ASK_MOST };
	struct mm_outstanding_rep rep;

	MM_TRY(mm_wire_call(c->wire, MM_LINE_LEDGER, MM_IPC_OUTSTANDING, &req,
	    &rep, &frame, why));
	return settle_lines(c, &rep, want, n, why);
}

static bool
try_(struct mm_core *c, enum held by)
{
	return by == BY_LINE ? mm_wire_try(c->wire, MM_LINE_OPS) :
	    pthread_mutex_trylock(&c->responding) == 0;
}

static void
let_go(struct mm_core *c, enum held by)
{
	if (by == BY_LINE)
		mm_wire_unlock(c->wire, MM_LINE_OPS);
	else
		pthread_mutex_unlock(&c->responding);
}

/*
 * Whoever signs a list, or a line CA, holds the line from before the signature
 * until the store has said yes or no (desk_crl.c, line_make.c); and likewise
 * whoever has a responder certified (desk_ocsp.c).  So while that is ours and
 * all that is stored has been fed, what is still outstanding was not stored
 * and never will be.  Is one under way, then another time.
 */
static enum mm_err
settle_held(struct mm_core *c, uint64_t age_ms, enum held by,
    struct mm_why *why)
{
	unsigned n[HELD];
	enum mm_err rc;

	if (!try_(c, by))
		return MM_OK;
	rc = mm_feed_all(c, why);
	if (rc == MM_OK)
		rc = ask(c, age_ms, by, n, why);
	let_go(c, by);
	return rc;
}

/* Those that are on record and only not fed yet come again and are found. */
enum mm_err
mm_settle_ask(struct mm_core *c, uint64_t age_ms, struct mm_why *why)
{
	unsigned n[HELD];

	MM_TRY(ask(c, age_ms, BY_NOTHING, n, why));
	for (enum held by = BY_LINE; by < HELD; by++)
		if (n[by] > 0)
			MM_TRY(settle_held(c, age_ms, by, why));
	return MM_OK;
}
