#include <stdio.h>
#include <string.h>

#include "core/priv.h"
#include "core/production.h"

/* What a verdict makes W write: each op with the ledger entries that belong
 * to it, in the flight's own memory. */

static struct mm_op *
next_op(struct mm_flight *f, struct mm_op *op, enum mm_op_kind kind)
{
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	f->op[f->nops] = op;
	return op;
}

static enum mm_err
seal(struct mm_flight *f, struct mm_papers *p, struct mm_why *why)
{
	MM_TRY(mm_papers_seal(p, f->op[f->nops], why));
	f->nops++;
	return MM_OK;
}

static struct mm_papers
papers_of(struct mm_flight *f)
{
	return mm_papers_over(&f->papers[f->nops]);
}

/* ---- refusals ---- */

static void
token_entry(struct mm_papers *p, const struct mm_flight *f,
    enum mm_entry_type type)
{
	struct mm_entry e = { .type = type };

	e.field[MM_F_TOKEN] = f->job->authority.token;
	if (f->verdict.device[0] != '\0')
		e.field[MM_F_DEVICE] = f->verdict.device;
	if (f->verdict.product[0] != '\0')
		e.field[MM_F_PRODUCT] = f->verdict.product;
	e.field[MM_F_REASON] = mm_reason_text(f->verdict.reason);
	mm_papers_add(p, &e);
}

static void
token_op(struct mm_flight *f, enum mm_token_state from,
    enum mm_token_state to)
{
	struct mm_op *op = next_op(f, &f->job->alert, MM_OP_TOKEN_STATE);

	strcpy(op->u.token.id, f->job->authority.token);
	op->u.token.from = 1U << from;
	op->u.token.to = to;
}

static enum mm_err
hold(struct mm_flight *f, struct mm_why *why)
{
	struct mm_papers p = papers_of(f);
	struct mm_op *op = next_op(f, &f->job->op, MM_OP_REVOKE);

	memcpy(op->u.revoke.serial, f->verdict.claimed.serial, 16);
	op->u.revoke.to = MM_CERT_HELD;
	op->u.revoke.reason = 6; /* RFC 5280 5.3.1: certificateHold */
	op->u.revoke.at = mm_now_ms();
	mm_papers_short(&p, &(struct mm_short){ .type = MM_E_CERT_HELD,
	    .cert = &f->verdict.claimed,
	    .device = f->verdict.device, .product = f->verdict.product,
	    .reason = mm_reason_text(f->verdict.reason) });
	return seal(f, &p, why);
}

/* ---- refusals of who came with an old certificate ---- */

static void
caller_op(struct mm_flight *f, enum mm_doc_kind kind)
{
	const struct mm_verdict *v = &f->verdict;
	struct mm_caller c = { .at = mm_now_ms() };
	struct mm_op *op = next_op(f, &f->job->alert, MM_OP_DOC_PUT);

	strcpy(c.device, v->device);
	memcpy(c.spki, f->spki, 32);
	memcpy(c.credential, f->job->authority.old.sha256, 32);
	memcpy(c.peer, f->job->peer, sizeof(c.peer));
	if (kind == MM_DOC_CONFLICT)
		snprintf(c.reason, sizeof(c.reason), "%s",
		    mm_reason_text(v->reason));
	op->u.doc.expect = v->replaced;
	mm_buf_reset(&f->unit);
	mm_caller_put(&c, &f->unit);
	op->u.doc.kind = kind;
	op->u.doc.body = mm_buf_view(&f->unit);
	mm_member_id(v->group, v->device, op->u.doc.id);
}

static void
group_entry(struct mm_papers *p, const struct mm_flight *f,
    enum mm_entry_type type, enum mm_reason reason)
{
	const struct mm_verdict *v = &f->verdict;
	char spki[65], credential[65];
	struct mm_entry e = { .type = type };

	mm_hex_text(f->spki, 32, spki);
	mm_hex_text(f->job->authority.old.sha256, 32, credential);
	e.field[MM_F_AUTHORITY] = v->authority;
	e.field[MM_F_GROUP] = v->group;
	e.field[MM_F_DEVICE] = v->device;
	e.field[MM_F_PRODUCT] = v->product;
	e.field[MM_F_SPKI_SHA256] = spki;
	if (f->job->authority.old.kind != MM_OLD_NOTHING)
		e.field[MM_F_CREDENTIAL] = credential;
	if (reason != MM_R_NONE)
		e.field[MM_F_REASON] = mm_reason_text(reason);
	mm_papers_add(p, &e);
}

/* Two at once for one device: the second finds the first's when it comes
 * again. */
static enum mm_err
wait(struct mm_flight *f, struct mm_why *why)
{
	struct mm_papers p = papers_of(f);

	caller_op(f, MM_DOC_WAITING);
	group_entry(&p, f, MM_E_GROUP_ASKED, MM_R_NONE);
	MM_TRY(mm_buf_ok(&f->unit, why));
	return seal(f, &p, why);
}

/* Counted where it is kept, so that the group pauses when they are many. */
static enum mm_err
conflict(struct mm_flight *f, struct mm_why *why)
{
	struct mm_papers p = papers_of(f);

	caller_op(f, MM_DOC_CONFLICT);
	snprintf(f->counted, sizeof(f->counted), "conflicts:%s",
	    f->verdict.group);
	f->job->alert.u.doc.expect = MM_DOC_ANY;
	f->job->alert.u.doc.counts[0] = f->counted;
	group_entry(&p, f, MM_E_ALERT, f->verdict.reason);
	if (f->verdict.halts)
		group_entry(&p, f, MM_E_ALERT, MM_R_GROUP_PAUSED);
	MM_TRY(mm_buf_ok(&f->unit, why));
	return seal(f, &p, why);
}

/* see priv.h */
enum mm_err
mm_ops_refuse(struct mm_flight *f, bool alert, struct mm_why *why)
{
	unsigned effects = f->verdict.effects;
	struct mm_papers p;

	if (effects & MM_FX_WAIT)
		return wait(f, why);
	if (effects & MM_FX_CONFLICT)
		return conflict(f, why);
	if (effects & MM_FX_HOLD)
		MM_TRY(hold(f, why));
	p = papers_of(f);
	if (effects & MM_FX_FREEZE) {
		token_op(f, MM_TOKEN_ISSUED, MM_TOKEN_FROZEN);
		token_entry(&p, f, MM_E_TOKEN_FROZEN);
		mm_papers_alert(&p, f);
		return seal(f, &p, why);
	}
	if (effects & MM_FX_EXPIRE) {
		token_op(f, MM_TOKEN_MINTED, MM_TOKEN_EXPIRED);
		token_entry(&p, f, MM_E_TOKEN_EXPIRED);
		return seal(f, &p, why);
	}
	if ((effects & MM_FX_ALERT) == 0 || !alert)
		return MM_OK;
	next_op(f, &f->job->alert, MM_OP_ENTRY);
	mm_papers_alert(&p, f);
	return seal(f, &p, why);
}

/* ---- step 8 ---- */

static enum mm_err
confirm(struct mm_flight *f, struct mm_op *into, const struct mm_named *cert,
    struct mm_why *why)
{
	const struct mm_verdict *v = &f->verdict;
	bool successor = v->act == MM_ACT_CONFIRM &&
	    !mm_zero(v->predecessor.serial, 16);
	struct mm_papers p = papers_of(f);
	struct mm_op *op = next_op(f, into, MM_OP_CONFIRM);

	memcpy(op->u.confirm.serial, cert->serial, 16);
	op->u.confirm.at = mm_now_ms();
	mm_papers_short(&p, &(struct mm_short){ .type = MM_E_CERT_CONFIRMED,
	    .cert = cert, .device = v->device, .product = v->product });
	if (successor) {
		op->u.confirm.supersedes = v->predecessor.serial;
		op->u.confirm.revoke_superseded = v->revoke_superseded;
		mm_papers_short(&p, &(struct mm_short){
		    .type = v->revoke_superseded ? MM_E_CERT_REVOKED :
						   MM_E_CERT_SUPERSEDED,
		    .cert = &v->predecessor, .device = v->device,
		    .product = v->product,
		    .reason = v->revoke_superseded ? "superseded" : NULL });
	}
	return seal(f, &p, why);
}

/* see priv.h */
enum mm_err
mm_ops_confirm(struct mm_flight *f, struct mm_why *why)
{
	return confirm(f, &f->job->op, &f->verdict.presented, why);
}

/* ---- step 6 ---- */

/* The signer makes the key of KEYGEN: the certificate tells its type. */
static uint8_t
key_type(const struct mm_job *job, const struct mm_issue_rep *rep)
{
	struct mm_cert c;

	if (job->kind != MM_JOB_KEYGEN)
		return (uint8_t)(1 + job->csr.spki.type);
	return mm_cert_walk(rep->der, &c, NULL) == MM_OK ?
	    (uint8_t)(1 + c.spki.type) : 0;
}

static void
fill_row(const struct mm_flight *f, const struct mm_issue_rep *rep,
    struct mm_cert_row *row)
{
	const struct mm_verdict *v = &f->verdict;

	memset(row, 0, sizeof(*row));
	memcpy(row->serial, rep->serial, 16);
	strcpy(row->device, v->device);
	strcpy(row->product, v->product);
	strcpy(row->issuer, rep->issuer);
	snprintf(row->profile, sizeof(row->profile), "%s@%lld",
	    v->profile->name, (long long)v->profile->version);
	strcpy(row->authority, v->authority);
	row->idevid = v->profile->kind == MM_PROFILE_IDEVID;
	row->key_origin = f->job->kind == MM_JOB_KEYGEN ? MM_ORIGIN_SERVER
	    : f->job->station_key ? MM_ORIGIN_STATION : MM_ORIGIN_DEVICE;
	memcpy(row->spki_sha256, rep->spki_sha256, 32);
	mm_sha256(rep->der, row->cert_sha256);
	memcpy(row->predecessor, v->predecessor.serial, 16);
	row->issued_at = mm_now_ms();
	row->not_before_s = (int64_t)rep->not_before_s;
	row->not_after_s = (int64_t)rep->not_after_s;
	row->shard = rep->shard;
	row->key_type = key_type(f->job, rep);
}

static const char *
actor_of(const struct mm_job *job)
{
	return job->authority.kind == MM_AUTH_OPERATOR ?
	    job->authority.operator_ : NULL;
}

/* Its group does as well; second facts stay on record. */
static enum mm_err
member_out(struct mm_flight *f, struct mm_op_issue *issue, struct mm_why *why)
{
	struct mm_verdict *v = &f->verdict;
	struct mm_group_member m = v->member;

	strcpy(m.device, v->device);
	m.state = MM_MEMBER_ISSUED;
	m.at = issue->row.issued_at;
	memcpy(m.spki, issue->row.spki_sha256, 32);
	mm_buf_reset(&f->unit);
	mm_member_put(&m, &f->unit);
	v->share.unit = mm_buf_view(&f->unit);
	issue->share = &v->share;
	return mm_buf_ok(&f->unit, why);
}

/* Its batch gets to know of it in the same step. */
static enum mm_err
share_out(struct mm_flight *f, struct mm_op_issue *issue, struct mm_why *why)
{
	struct mm_verdict *v = &f->verdict;
	struct mm_made u = { .result = MM_UNIT_ISSUED,
		.at = issue->row.issued_at };

	if (v->in_group)
		return member_out(f, issue, why);
	if (!v->in_batch)
		return MM_OK;
	strcpy(u.station, f->job->station);
	memcpy(u.spki, issue->row.spki_sha256, 32);
	mm_buf_reset(&f->unit);
	mm_made_put(&u, &f->unit);
	v->share.unit = mm_buf_view(&f->unit);
	issue->share = &v->share;
	return mm_buf_ok(&f->unit, why);
}

static void
issue_entries(struct mm_flight *f, struct mm_papers *p,
    const struct mm_op_issue *issue)
{
	const struct mm_verdict *v = &f->verdict;
	struct mm_named made = { .serial = { 0 } };
	struct mm_config_texts config;
	struct mm_cert_texts t;
	char credential[65];
	struct mm_entry e = { .type = v->effects & MM_FX_RENEWAL ?
	    MM_E_CERT_RENEWED : MM_E_CERT_ISSUED };

	mm_entry_cert(&e, &t, &issue->row, f->node);
	if (v->in_group) {
		mm_hex_text(f->job->authority.old.sha256, 32, credential);
		e.field[MM_F_GROUP] = v->group;
		if (f->job->authority.old.kind != MM_OLD_NOTHING)
			e.field[MM_F_CREDENTIAL] = credential;
	}
	e.at_ms = issue->row.issued_at;
	e.field[MM_F_ACTOR] = actor_of(f->job);
	if (v->in_batch)
		e.field[MM_F_BATCH] = f->job->batch;
	if (v->in_batch && f->job->station[0] != '\0')
		e.field[MM_F_STATION] = f->job->station;
	e.field[MM_F_RESULT] = v->effects & MM_FX_LATE ? "late" : NULL;
	mm_entry_config(&e, &config, f->job->config_version,
	    f->job->config_sha256);
	mm_papers_add(p, &e);
	if (v->replaces)
		mm_papers_short(p, &(struct mm_short){
		    .type = MM_E_CERT_REVOKED, .cert = &v->claimed,
		    .device = v->device, .product = v->product,
		    .reason = "superseded" });
	if (!issue->confirmed)
		return;
	memcpy(made.serial, issue->row.serial, 16);
	strcpy(made.issuer, issue->row.issuer);
	mm_papers_short(p, &(struct mm_short){ .type = MM_E_CERT_CONFIRMED,
	    .cert = &made, .device = v->device, .product = v->product,
	    .reason = "issue" });
}

/* A device of a group's range that nobody has registered. */
static enum mm_err
make_device(struct mm_flight *f, struct mm_why *why)
{
	const struct mm_verdict *v = &f->verdict;
	struct mm_papers p = papers_of(f);
	struct mm_op *op = next_op(f, &f->confirm, MM_OP_DEVICE_PUT);
	struct mm_entry e = { .type = MM_E_DEVICE_CREATED };

	strcpy(op->u.device.row.id, v->device);
	strcpy(op->u.device.row.product, v->product);
	op->u.device.row.created_at = mm_now_ms();
	op->u.device.same_is_fine = true;
	e.field[MM_F_AUTHORITY] = v->authority;
	e.field[MM_F_DEVICE] = v->device;
	e.field[MM_F_PRODUCT] = v->product;
	mm_papers_add(&p, &e);
	return seal(f, &p, why);
}

/* The TLS handshake of this very request was the presented one's proof. */
enum mm_err
mm_ops_issue(struct mm_flight *f, const struct mm_issue_rep *rep,
    struct mm_why *why)
{
	const struct mm_verdict *v = &f->verdict;
	struct mm_op_issue *issue = &f->job->op.u.issue;
	struct mm_papers p;

	if (v->effects & MM_FX_PROVED)
		MM_TRY(confirm(f, &f->confirm, &v->presented, why));
	if (v->effects & MM_FX_MAKE)
		MM_TRY(make_device(f, why));
	p = papers_of(f);
	next_op(f, &f->job->op, MM_OP_ISSUE);
	fill_row(f, rep, &issue->row);
	issue->der = mm_buf_view(&f->job->der);
	issue->replaces = v->replaces ? v->claimed.serial : NULL;
	issue->confirmed = v->profile->confirm == MM_CONFIRM_ISSUE;
	MM_TRY(share_out(f, issue, why));
	issue_entries(f, &p, issue);
	return seal(f, &p, why);
}
