#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "base/time.h"
#include "pki/cert.h"
#include "pki/der.h"
#include "station/record.h"
#include "station/revoked.h"
#include "station/steps.h"
#include "station/sync.h"

/*
 * What the centre is asked online, the station's own signer and ledger are
 * asked offline: the same effects, the same states and records.
 */
enum { RECEIPT_MAX = 1 << 20 };

/* see line.h */
enum mm_err
mm_line_own(struct mm_line *l, struct mm_why *why)
{
	struct mm_duty_status_rep s;

	if (l->own != NULL && mm_own_status(l->own, &s, NULL) == MM_ENOTFOUND)
		mm_own_close(&l->own);
	return l->own != NULL
		   ? MM_OK
		   : mm_own_open(l->conf, MM_OWN_WAIT_MS, &l->own, why);
}

/* A signer that cannot, and says what of it it is. */
static enum mm_unit_reason
why_unable(struct mm_line *l)
{
	struct mm_duty_status_rep s;

	return l->own != NULL && mm_own_status(l->own, &s, NULL) == MM_OK &&
		       s.counter != MM_IPC_COUNTER_FINE
		   ? mm_own_why_not(&s)
		   : MM_UR_SIGNER;
}

static enum mm_unit_event
refused(struct mm_line *l, struct mm_place *p, enum mm_err rc,
    const struct mm_why *why, enum mm_unit_reason *reason)
{
	mm_step_note(p, why->text);
	return mm_step_fail(rc == MM_EPOLICY  ? MM_UR_ORDER
			    : rc == MM_EINPUT ? MM_UR_REQUEST
					      : why_unable(l),
	    reason);
}

/* Signed before: it goes on, whatever the order still lets be made. */
static bool
was_signed(struct mm_line *l, const struct mm_place *p)
{
	return p->said.has_key &&
	       mm_own_knows(l->own, p->unit->serial, p->said.spki);
}

/* What cannot be read is no reason to go on. */
static bool
is_late(struct mm_line *l, struct mm_place *p)
{
	struct mm_unsynced u;
	struct mm_why why = { 0 };

	if (mm_unsynced_get(l->own, false, &u, &why) == MM_OK)
		return mm_unsynced_stops(&u, mm_now_ms());
	mm_step_note(p, why.text);
	return true;
}

static enum mm_unit_event
give(struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	struct mm_why why = { 0 };

	if (mm_own_give(l->own, p->unit->serial, &p->given, &why) == MM_OK)
		return mm_step_may_give(l, p, reason);
	mm_step_note(p, why.text);
	return mm_step_fail(MM_UR_CONFIG, reason);
}

/* see steps.h */
enum mm_unit_event
mm_step_own_right(
    struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	struct mm_duty_status_rep s;
	struct mm_why why = { 0 };
	enum mm_err rc = mm_line_own(l, &why);
	bool late;

	if (rc == MM_ENOTFOUND) {
		mm_step_note(p, why.text);
		return mm_step_fail(MM_UR_NO_ORDER, reason);
	}
	if (rc == MM_OK)
		rc = mm_own_status(l->own, &s, &why);
	if (rc != MM_OK) {
		mm_step_note(p, why.text);
		return mm_step_fail(MM_UR_SIGNER, reason);
	}
	if (!mm_own_has(l->own, p->unit->serial))
		return mm_step_fail(MM_UR_SERIAL, reason);
	late = s.may != 0 && is_late(l, p);
	if ((s.may != 0 && !late) || was_signed(l, p))
		return give(l, p, reason);
	if (late)
		return mm_step_fail(MM_UR_UNSYNCED, reason);
	mm_step_note(p, s.why);
	return mm_step_fail(mm_own_why_not(&s), reason);
}

/* A board that is locked can only keep what it has: nothing is signed, and
 * nothing counted, for it. */
enum mm_unit_event
mm_step_own_admit(
    struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	enum mm_unit_event e = mm_step_own_right(l, p, reason);

	return e == MM_EV_DONE && p->said.locked && p->said.has_cert &&
		       !was_signed(l, p)
		   ? mm_step_fail(MM_UR_UNKNOWN, reason)
		   : e;
}

static bool
take_chain(struct mm_bytes der, struct mm_buf *out)
{
	mm_buf_reset(out);
	mm_buf_bytes(out, der);
	return mm_buf_ok(out, NULL) == MM_OK;
}

/* As of a centre: what came must be a certificate of this board's key. */
static enum mm_unit_event
take_cert(struct mm_line *l, struct mm_place *p, const struct mm_own_cert *got,
    enum mm_unit_reason *reason)
{
	struct mm_cert c;
	uint8_t hash[32];
	size_t name = strcspn(got->profile, "@");

	mm_buf_reset(&p->cert);
	mm_buf_bytes(&p->cert, got->der);
	if (mm_cert_walk(mm_buf_view(&p->cert), &c, NULL) != MM_OK ||
	    !take_chain(got->chain, &p->chain))
		return mm_step_fail(MM_UR_CERT, reason);
	mm_sha256(c.spki.whole, hash);
	if (memcmp(hash, p->unit->spki, sizeof(hash)) != 0)
		return mm_step_fail(MM_UR_CERT, reason);
	if (mm_step_leads(l, p, reason) != MM_EV_DONE)
		return MM_EV_FAIL;
	snprintf(p->cert_serial, sizeof(p->cert_serial), "%s", got->serial);
	snprintf(
	    p->profile, sizeof(p->profile), "%.*s", (int)name, got->profile);
	p->known = mm_own_confirmed(l->own, got->serial);
	p->replayed = got->again;
	mm_sha256(mm_buf_view(&p->cert), hash);
	/* the station was killed before it was put aside */
	if (got->adopted && memcmp(p->unit->cert, hash, sizeof(hash)) != 0)
		return mm_step_put_aside(p, reason);
	return mm_unit_take_cert(p->unit, &p->said, hash, reason);
}

/* see steps.h */
enum mm_unit_event
mm_step_own_revoked(const struct mm_line *l, struct mm_place *p,
    const char *serial, enum mm_unit_reason *reason)
{
	struct mm_why why = { 0 };
	bool held = false;
	enum mm_err rc = mm_revoked_look(l->conf, serial, &held, &why);

	if (rc == MM_ENOTFOUND)
		return MM_EV_DONE;
	if (rc != MM_OK) {
		mm_step_note(p, why.text);
		return mm_step_fail(MM_UR_JOURNAL, reason);
	}
	if (held)
		mm_step_note(p, "it is on hold at the centre, which may "
		    "release it: then sync, and let it go on");
	return mm_step_hold(MM_UR_REVOKED, reason);
}

/* see steps.h */
enum mm_unit_event
mm_step_own_issue(
    struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	const struct mm_own_wish wish = { p->unit->serial,
		mm_buf_view(&p->csr), p->unit->spki, &p->given };
	struct mm_own_cert got;
	struct mm_why why = { 0 };
	enum mm_unit_event e;
	enum mm_err rc = mm_line_own(l, &why);

	if (rc == MM_OK)
		rc = mm_own_issue(l->own, &wish, &got, &why);
	if (rc != MM_OK)
		return refused(l, p, rc, &why, reason);
	/* signed before: the centre may have said so since */
	e = got.again ? mm_step_own_revoked(l, p, got.serial, reason)
		      : MM_EV_DONE;
	if (e != MM_EV_DONE)
		return e;
	e = mm_step_given(p, take_cert(l, p, &got, reason), reason);
	if (e != MM_EV_DONE || !got.bereft)
		return e;
	mm_step_note(p, "the batch is closed: what this board was to be given "
	    "is not here any more");
	return mm_step_fail(MM_UR_CONFIG, reason);
}

/* see steps.h */
enum mm_err
mm_step_own_prove(struct mm_line *l, struct mm_place *p, const char *issuer,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf proof = MM_BUF_INIT(4096);
	struct mm_own_shown shown = { p->unit->serial, p->cert_serial, issuer,
		{ NULL, 0 } };
	struct mm_json j = mm_json_over(&proof);

	mm_json_open(&j, '{');
	mm_json_str(&j, "device", p->unit->serial);
	mm_step_put_proof(p, &j);
	mm_json_close(&j, '}');
	MM_TRY(mm_buf_ok(&proof, why));
	MM_TRY(mm_line_own(l, why));
	shown.proof = mm_buf_view(&proof);
	return mm_own_confirm(l->own, &shown, why);
}

/* see steps.h */
enum mm_unit_event
mm_step_own_confirm(
    struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	struct mm_why why = { 0 };
	enum mm_err rc;

	if (p->known)
		return MM_EV_SKIP;
	rc = mm_step_own_prove(l, p, "", &why);
	return rc == MM_OK ? MM_EV_DONE : refused(l, p, rc, &why, reason);
}

/* The chain is the board's own: of one that was taken over, another CA's. */
static enum mm_err
write_record(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf issued = MM_BUF_INIT(RECEIPT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf confirmed = MM_BUF_INIT(RECEIPT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf chain = MM_BUF_INIT(RECEIPT_MAX);
	struct mm_buf *const out[2] = { &issued, &confirmed };
	struct mm_rd r = mm_rd_over(mm_buf_view(&p->chain));

	while (r.left > 0 && !r.bad)
		mm_pem_put(&chain, "CERTIFICATE",
		    mm_der_take_whole(&r, MM_DER_SEQ));
	MM_TRY(mm_buf_ok(&chain, why));
	MM_TRY(mm_line_own(l, why));
	MM_TRY(mm_own_receipts(l->own, p->cert_serial, mm_buf_view(&chain),
	    out, why));
	*reason = MM_UR_RECORD;
	return mm_record_write(l, p,
	    &(struct mm_record_from){ mm_buf_view(&issued),
		mm_buf_view(&confirmed), mm_buf_view(&chain) }, why);
}

/* see steps.h */
enum mm_unit_event
mm_step_own_record(
    struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	struct mm_why why = { 0 };

	*reason = MM_UR_SIGNER;
	if (write_record(l, p, reason, &why) == MM_OK)
		return MM_EV_DONE;
	mm_step_note(p, why.text);
	return MM_EV_FAIL;
}
