#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/codes.h"
#include "core/priv.h"
#include "core/round.h"

/* Tokens: minted by the signer, which alone makes secrets; recorded here. */
#define TTL_MAX_S (10 * INT64_C(366) * 86400)
#define MINT_MOST 1000
#define PAPER_MAX 8192

struct plan {
	struct mm_op op;
	struct mm_code code; /* of one that stands for a printed code */
	uint8_t secret[MM_TOKEN_SECRET_N]; /* ... too */
	struct mm_buf papers;
	const struct mm_token_spec *spec;
	struct mm_token_made *made;
	bool good;
	bool again; /* its token is there already */
};
struct minting {
	struct mm_desk *d;
	const struct mm_login *by;
	struct plan *plan;
	size_t n;
	int64_t now_ms;
};

/* ---- may it be minted? ---- */

static enum mm_err
check_profile(struct minting *m, const struct mm_token_spec *spec,
    const struct mm_product *product, struct mm_why *why)
{
	const char *name = spec->profile[0] != '\0' ? spec->profile :
						      product->ldevid_profile;
	const struct mm_profile *p = mm_config_profile(m->d->c->config, name);

	if (p == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no profile \"%.32s\"",
		    name);
	if (strcmp(name, product->ldevid_profile) != 0 &&
	    strcmp(name, product->idevid_profile) != 0)
		return MM_FAIL(why, MM_EPOLICY, "profile %s is not product "
		    "%s's", name, product->name);
	if (spec->bearer && !p->bearer)
		return MM_FAIL(why, MM_EPOLICY, "profile %s: its bearer door "
		    "is closed", name);
	return MM_OK;
}

/* Whether an earlier one of the same call makes this device. */
static bool
made_before(const struct minting *m, const struct plan *p)
{
	for (const struct plan *q = m->plan; q < p; q++)
		if (q->good && q->op.u.mint.make_device &&
		    strcasecmp(q->spec->device, p->spec->device) == 0)
			return true;
	return false;
}

/* Once an hour, as of a refusal at enrolment. */
static enum mm_err
alert_fielded(struct minting *m, const struct mm_device *dev,
    struct mm_why *why)
{
	struct mm_papers papers = mm_papers_over(&m->d->buf);
	struct mm_op op = { .kind = MM_OP_ENTRY };
	struct mm_entry e = { .type = MM_E_ALERT };
	struct mm_authority a = { .kind = MM_AUTH_OPERATOR };
	struct mm_verdict v = { .reason = MM_R_FIELDED };

	strcpy(a.device, dev->id);
	mm_facts_authority(&a, v.authority);
	strcpy(v.device, dev->id);
	strcpy(v.product, dev->product);
	m->d->c->refusals[MM_R_FIELDED]++;
	if (!mm_counts_refused(m->d->c->counts, &v))
		return MM_OK;
	e.field[MM_F_ACTOR] = m->by->id;
	e.field[MM_F_AUTHORITY] = v.authority;
	e.field[MM_F_DEVICE] = v.device;
	e.field[MM_F_PRODUCT] = v.product;
	e.field[MM_F_REASON] = mm_reason_text(MM_R_FIELDED);
	mm_papers_add(&papers, &e);
	MM_TRY(mm_papers_seal(&papers, &op, why));
	/* not the call's own work: refused, it has done nothing */
	return mm_core_run1(m->d->c, &op, why);
}

/* A token lets in whoever has it: a line makes none for a device that has
 * proved who it is, but one that is bound to its key. */
static enum mm_err
check_fielded(struct minting *m, struct plan *p, const struct mm_device *dev,
    struct mm_why *why)
{
	bool yes;

	if (!mm_login_is_line(m->by))
		return MM_OK;
	MM_TRY(mm_fielded(m->d->r, dev, p->spec->bound_spki, &yes, why));
	if (!yes)
		return MM_OK;
	MM_TRY(alert_fielded(m, dev, why));
	p->made->reason = MM_R_FIELDED;
	return MM_FAIL(why, MM_EPOLICY, "device %s: it is in the field: role "
	    "line makes no token for another key", dev->id);
}

static enum mm_err
check_device(struct minting *m, struct plan *p, struct mm_why *why)
{
	const struct mm_token_spec *spec = p->spec;
	struct mm_token_row *row = &p->op.u.mint.row;
	struct mm_device dev;
	enum mm_err rc;

	if (!mm_device_id_valid(spec->device))
		return MM_FAIL(why, MM_EINPUT, "not a device id");
	rc = mm_get_device(m->d->r, spec->device, &dev, NULL);
	if (rc == MM_ENOTFOUND && spec->product[0] != '\0') {
		strcpy(row->device, spec->device);
		strcpy(row->product, spec->product);
		p->op.u.mint.make_device = !made_before(m, p);
		return MM_OK;
	}
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "device %s: no such device",
		    spec->device);
	if (dev.state != MM_DEVICE_ACTIVE)
		return MM_FAIL(why, MM_ECONFLICT, "device %s: retired",
		    dev.id);
	if (spec->product[0] != '\0' && strcmp(spec->product, dev.product))
		return MM_FAIL(why, MM_ECONFLICT, "device %s: of product %s",
		    dev.id, dev.product);
	strcpy(row->device, dev.id);
	strcpy(row->product, dev.product);
	return check_fielded(m, p, &dev, why);
}

/*
 * The same code again, of a token that nobody has come with yet: an import
 * whose answer was lost.  That token is the answer, as it stands.  Whoever may
 * only make tokens for a line learns nothing so of codes in the field.
 */
static enum mm_err
is_again(struct minting *m, struct plan *p, const struct mm_token_row *old,
    bool *yes, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf frame =
	    MM_BUF_INIT(MM_IPC_FRAME_MAX);
	const struct mm_token_spec *spec = p->spec;
	struct mm_token_check_req req = { .id = { 0 } };
	struct mm_token_check_rep rep = { 0 };
	struct mm_wire *w = m->d->c->wire;
	enum mm_err rc;

	*yes = false;
	if (old->state != MM_TOKEN_MINTED || mm_login_is_line(m->by) ||
	    strcmp(old->profile, spec->profile) != 0 ||
	    memcmp(old->bound_spki, spec->bound_spki, 32) != 0 ||
	    mm_token_id_parse(mm_bytes_of(old->id), req.id, NULL) != MM_OK)
		return MM_OK;
	mm_code_uncover(&p->code, spec->code, req.secret);
	mm_wire_lock(w, MM_LINE_CHECK);
	rc = mm_wire_call(w, MM_LINE_CHECK, MM_IPC_TOKEN_CHECK, &req, &rep,
	    &frame, why);
	mm_wire_unlock(w, MM_LINE_CHECK);
	mm_wipe(&req, sizeof(req));
	*yes = rc == MM_OK && rep.yes != 0;
	return rc;
}

/* A device has one code at a time: one whose token is over gives way. */
static enum mm_err
check_code(struct minting *m, struct plan *p, struct mm_why *why)
{
	const char *device = p->op.u.mint.row.device;
	struct mm_token_row old;
	bool again;
	enum mm_err rc;

	if (p->spec->code[0] == '\0')
		return MM_OK;
	for (const struct plan *q = m->plan; q < p; q++)
		if (q->good && q->spec->code[0] != '\0' &&
		    strcasecmp(q->op.u.mint.row.device, device) == 0)
			return MM_FAIL(why, MM_ECONFLICT, "device %s: twice "
			    "in one call", device);
	rc = mm_code_get(m->d->r, device, &p->code, why);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	MM_TRY(rc);
	rc = mm_get_token(m->d->r, p->code.token, &old, NULL);
	if (rc == MM_ENOTFOUND || (rc == MM_OK &&
	    (old.state == MM_TOKEN_CANCELLED ||
	    old.state == MM_TOKEN_CONFIRMED ||
	    (old.state == MM_TOKEN_MINTED && old.expires_at < m->now_ms) ||
	    old.state == MM_TOKEN_EXPIRED)))
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	MM_TRY(is_again(m, p, &old, &again, why));
	if (!again)
		return MM_FAIL(why, MM_ECONFLICT, "device %s: it has a code, "
		    "token %s: cancel that first", device, old.id);
	strcpy(p->made->id, old.id);
	p->made->expires_at = old.expires_at;
	p->again = true;
	return MM_OK;
}

static enum mm_err
plan_row(struct minting *m, struct plan *p, struct mm_why *why)
{
	const struct mm_token_spec *spec = p->spec;
	struct mm_token_row *row = &p->op.u.mint.row;
	int64_t ttl = spec->ttl_s != 0 ? spec->ttl_s :
	    m->d->c->config->set.token_ttl_s;
	struct mm_product product;

	if (ttl < 1 || ttl > TTL_MAX_S)
		return MM_FAIL(why, MM_EINPUT, "ttl: 1 second to 10 years");
	MM_TRY(check_device(m, p, why));
	MM_TRY(check_code(m, p, why));
	MM_TRY(mm_get_product(m->d->r, row->product, &product, why));
	MM_TRY(check_profile(m, spec, &product, why));
	strcpy(row->profile, spec->profile);
	row->bearer = spec->bearer;
	row->created_at = m->now_ms;
	row->not_before_at = spec->not_before_at != 0 ? spec->not_before_at :
							m->now_ms;
	row->expires_at = row->not_before_at + ttl * 1000;
	memcpy(row->bound_spki, spec->bound_spki, 32);
	return MM_OK;
}

/* ---- the signer makes id and secret ---- */

static void
take_secret(struct plan *p, const struct mm_token_mint_rep *rep)
{
	struct mm_token t;

	memcpy(t.id, rep->id, sizeof(t.id));
	memcpy(t.secret, rep->secret, sizeof(t.secret));
	memcpy(t.anchor, rep->anchor, sizeof(t.anchor));
	mm_token_text(&t, p->made->text);
	mm_token_id_text(t.id, p->made->id);
	strcpy(p->op.u.mint.row.id, p->made->id);
	p->made->expires_at = p->op.u.mint.row.expires_at;
	if (p->spec->code[0] != '\0') {
		memcpy(p->secret, t.secret, sizeof(p->secret));
		memcpy(p->code.token, p->made->id, sizeof(p->code.token));
		mm_wipe(p->made->text, sizeof(p->made->text));
	}
	mm_wipe(&t, sizeof(t));
}

static enum mm_err
take_secrets(struct plan **some, struct mm_frame *answer, struct mm_why *why)
{
	struct mm_token_mint_rep rep;
	struct mm_bytes body;
	uint32_t tag;

	for (unsigned i = 0; mm_frame_next(answer, &tag, &body); i++) {
		MM_TRY(mm_answer_get(MM_IPC_TOKEN_MINT, body, &rep, why));
		take_secret(some[i], &rep);
	}
	mm_wipe(&rep, sizeof(rep));
	return MM_OK;
}

static enum mm_err
ask_signer(struct minting *m, struct plan **some, unsigned n,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	MM_OWN(mm_buf_wipe) struct mm_buf in = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_wire *w = m->d->c->wire;
	uint32_t tag = mm_wire_tag(w);
	struct mm_token_mint_req req;
	struct mm_frame answer;
	enum mm_err rc;

	if (n == 0)
		return MM_OK;
	mm_frame_begin(&out, MM_IPC_TOKEN_MINT);
	for (unsigned i = 0; i < n; i++) {
		strcpy(req.device, some[i]->op.u.mint.row.device);
		MM_INVARIANT(mm_frame_put_req(&out, tag + i, &req));
	}
	mm_wire_lock(w, MM_LINE_OPS);
	rc = mm_wire_batch(w, MM_LINE_OPS, &out, &in, &answer, why);
	mm_wire_unlock(w, MM_LINE_OPS);
	return rc == MM_OK ? take_secrets(some, &answer, why) : rc;
}

static enum mm_err
mint_all(struct minting *m, struct mm_why *why)
{
	struct plan *some[MM_IPC_ITEMS_MAX];
	unsigned n = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (m->plan[i].good)
			some[n++] = &m->plan[i];
		if (n == MM_IPC_ITEMS_MAX) {
			MM_TRY(ask_signer(m, some, n, why));
			n = 0;
		}
	}
	return ask_signer(m, some, n, why);
}

/* ---- the record ---- */

static enum mm_err
write_papers(struct minting *m, struct plan *plan, struct mm_why *why)
{
	const struct mm_token_row *row = &plan->op.u.mint.row;
	struct mm_papers p = mm_papers_over(&plan->papers);
	struct mm_entry dev = { .type = MM_E_DEVICE_CREATED };
	struct mm_entry e = { .type = MM_E_TOKEN_MINTED };
	char expires[MM_TIME_TEXT], spki[65];

	dev.field[MM_F_ACTOR] = e.field[MM_F_ACTOR] = m->by->id;
	dev.field[MM_F_DEVICE] = e.field[MM_F_DEVICE] = row->device;
	dev.field[MM_F_PRODUCT] = e.field[MM_F_PRODUCT] = row->product;
	e.field[MM_F_TOKEN] = row->id;
	if (row->profile[0] != '\0')
		e.field[MM_F_PROFILE] = row->profile;
	mm_hex_text(row->bound_spki, 32, spki);
	if (!mm_zero(row->bound_spki, 32))
		e.field[MM_F_SPKI_SHA256] = spki;
	mm_time_text(row->expires_at, expires);
	e.field[MM_F_EXPIRES] = expires;
	if (plan->op.u.mint.make_device)
		mm_papers_add(&p, &dev);
	mm_papers_add(&p, &e);
	/* a neighbour of the same call made the device */
	if (!plan->op.u.mint.make_device)
		plan->op.u.mint.make_device = plan->spec->product[0] != '\0';
	return mm_papers_seal(&p, &plan->op, why);
}

static enum mm_err
record(struct minting *m, struct mm_op **ops, struct mm_why *why)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		if (m->plan[i].good) {
			MM_TRY(write_papers(m, &m->plan[i], why));
			ops[n++] = &m->plan[i].op;
		}
	return mm_desk_write_rows(m->d, ops, n, why);
}

/* A token without a record is no token: its text is not shown. */
static void
tell(struct minting *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct plan *p = &m->plan[i];

		if (p->good) {
			p->made->result = p->op.result;
			p->made->why = p->op.why;
		}
		if (p->made->result != MM_OK)
			mm_wipe(p->made->text, sizeof(p->made->text));
	}
}

/* ---- printed codes ---- */

/* After the token's record: without one a code opens nothing. */
static enum mm_err
keep_code(struct minting *m, struct plan *p, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(512);
	struct mm_op op = { .kind = MM_OP_DOC_PUT };

	MM_TRY(mm_code_put(&p->code, p->op.u.mint.row.device, p->spec->code,
	    p->secret, &body, &op.u.doc, why));
	return mm_desk_write1(m->d, &op, why);
}

/* A token whose code could not be kept is nobody's: it is cancelled. */
static void
keep_codes(struct minting *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct plan *p = &m->plan[i];

		if (p->made->result != MM_OK || p->again ||
		    p->spec->code[0] == '\0')
			continue;
		p->made->result = keep_code(m, p, &p->made->why);
		if (p->made->result != MM_OK)
			(void)!mm_desk_token_cancel(m->d, m->by, p->made->id,
			    "code-not-kept", NULL);
	}
}

static void
done(struct minting *m)
{
	for (size_t i = 0; m->plan != NULL && i < m->n; i++) {
		mm_buf_done(&m->plan[i].papers);
		mm_wipe(m->plan[i].secret, sizeof(m->plan[i].secret));
	}
	free(m->plan);
}

static void
free_ops(struct mm_op ***owner)
{
	free(*owner);
}

/* see core.h */
enum mm_err
mm_desk_tokens_mint(struct mm_desk *d, const struct mm_login *by,
    const struct mm_token_spec *spec, size_t n, struct mm_token_made *out,
    struct mm_why *why)
{
	MM_OWN(free_ops) struct mm_op **ops = NULL;
	MM_OWN(done) struct minting m = { d, by, NULL, 0, mm_now_ms() };

	if (n == 0 || n > MINT_MOST)
		return MM_FAIL(why, MM_ELIMIT, "1 to %d tokens at once",
		    MINT_MOST);
	m.plan = calloc(n, sizeof(*m.plan));
	ops = calloc(n, sizeof(struct mm_op *));
	if (m.plan == NULL || ops == NULL)
		return MM_FAIL(why, MM_ENOMEM, "tokens: no memory");
	memset(out, 0, n * sizeof(*out));
	for (; m.n < n; m.n++) {
		struct plan *p = &m.plan[m.n];

		*p = (struct plan){ .op.kind = MM_OP_TOKEN_MINT,
			.spec = &spec[m.n], .made = &out[m.n] };
		mm_buf_init(&p->papers, PAPER_MAX);
		p->made->result = plan_row(&m, p, &p->made->why);
		p->good = p->made->result == MM_OK && !p->again;
	}
	MM_TRY(mint_all(&m, why));
	MM_TRY(record(&m, ops, why));
	tell(&m);
	keep_codes(&m);
	return MM_OK;
}
