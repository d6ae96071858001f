#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "pki/cert.h"
#include "pki/der.h"
#include "station/steps.h"

/*
 * A board that was made, and whose record died with a disk: it shows its
 * certificate and proves it, and whoever signs here says whether that is one
 * of this batch.  What they know goes on as any board that comes back; what
 * they do not is counted, entered, and put aside for a supervisor.
 */
enum { PATH_N = 128 };

/* ---- the board ---- */

/* see steps.h */
enum mm_unit_event
mm_step_get(struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	return p->said.has_cert && p->said.has_key
	    ? mm_step_tell(l, p, reason)
	    : mm_step_fail(MM_UR_NO_CERT, reason);
}

static bool
is_said(const struct mm_place *p, struct mm_bytes der, struct mm_cert *c)
{
	uint8_t cert[32], key[32];

	if (mm_cert_walk(der, c, NULL) != MM_OK ||
	    2 * c->serial.n >= sizeof(p->cert_serial))
		return false;
	mm_sha256(der, cert);
	mm_sha256(c->spki.whole, key);
	return memcmp(cert, p->said.cert, sizeof(cert)) == 0 &&
	    memcmp(key, p->said.spki, sizeof(key)) == 0;
}

/* see steps.h */
enum mm_unit_event
mm_step_got(struct mm_line *l, struct mm_place *p, struct mm_centre_answer *a,
    enum mm_unit_reason *reason)
{
	const struct mm_driver_answer *got = &p->answer;
	struct mm_bytes der = { got->der, got->cert_n };
	struct mm_cert c;

	(void)l;
	(void)a;
	if (got->cert_n > got->der_n || !is_said(p, der, &c)) {
		mm_step_note(p, "it shows another certificate than it says");
		return mm_step_fail(MM_UR_PROOF, reason);
	}
	mm_hex_text(c.serial.p, c.serial.n, p->cert_serial);
	mm_buf_reset(&p->cert);
	mm_buf_reset(&p->chain);
	mm_buf_bytes(&p->cert, der);
	mm_buf_put(&p->chain, got->der + got->cert_n,
	    got->der_n - got->cert_n);
	return mm_buf_ok(&p->cert, NULL) == MM_OK &&
	    mm_buf_ok(&p->chain, NULL) == MM_OK ? MM_EV_DONE
	    : mm_step_fail(MM_UR_PROOF, reason);
}

/* ---- the centre ---- */

/* see steps.h */
enum mm_unit_event
mm_step_adopt(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason)
{
	struct mm_why why = { 0 };
	char path[PATH_N];

	snprintf(path, sizeof(path), "/certificates/%s", p->cert_serial);
	if (mm_centre_ask(l->centre, p->number, path, NULL, &why) == MM_OK)
		return MM_EV_DONE;
	mm_step_note(p, why.text);
	return mm_step_fail(MM_UR_AWAY, reason);
}

/* What it has of that serial number is this very certificate. */
static bool
is_known(const struct mm_place *p, const json_t *body)
{
	struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	const char *pem = json_string_value(json_object_get(body, "pem"));
	const char *device = json_string_value(json_object_get(body,
	    "device"));
	struct mm_bytes rest = mm_bytes_of(pem != NULL ? pem : "");
	bool same = device != NULL && strcmp(device, p->unit->serial) == 0 &&
	    mm_pem_next(&rest, "CERTIFICATE", &der, NULL) == MM_OK &&
	    mm_bytes_eq(mm_buf_view(&der), mm_buf_view(&p->cert));

	mm_buf_done(&der);
	return same;
}

/* see steps.h */
enum mm_unit_event
mm_step_adopted(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason)
{
	(void)l;
	if (a->rc == MM_ENOTFOUND || a->rc == MM_EINPUT)
		return mm_step_fail(MM_UR_FOREIGN, reason);
	if (a->rc != MM_OK)
		return mm_step_refused(p, a, reason);
	return is_known(p, a->body) ? MM_EV_DONE
				    : mm_step_fail(MM_UR_FOREIGN, reason);
}

/* ---- the station's own signer ---- */

/* Certificate, chain and configuration are what the board says they are. */
static enum mm_unit_event
check_bundle(struct mm_place *p, enum mm_unit_reason *reason)
{
	enum mm_unit_event e = mm_step_given(p, MM_EV_SKIP, reason);

	return e == MM_EV_SKIP ? MM_EV_DONE
	    : e == MM_EV_DONE  ? mm_step_fail(MM_UR_CONFIG_OTHER, reason)
			       : e;
}

/* What the signer's no means. */
static enum mm_unit_event
refused(struct mm_place *p, enum mm_err rc, const struct mm_why *why,
    enum mm_unit_reason *reason)
{
	mm_step_note(p, why->text);
	return mm_step_fail(rc == MM_EAUTH || rc == MM_EINPUT ? MM_UR_FOREIGN
		: rc == MM_ECONFLICT ? MM_UR_LOCKED_OTHER
		: rc == MM_EPOLICY   ? MM_UR_ORDER
		: rc == MM_ESTALE    ? MM_UR_NONCE
				     : MM_UR_SIGNER, reason);
}

/* see steps.h */
enum mm_unit_event
mm_step_own_challenge(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason)
{
	uint8_t nonce[MM_DRIVER_RANDOM];
	struct mm_why why = { 0 };
	enum mm_err rc;

	if (p->unit->state != MM_UNIT_FETCHED)
		return mm_step_tell(l, p, reason);
	rc = mm_line_own(l, &why);
	if (rc == MM_OK && !mm_own_has(l->own, p->unit->serial))
		return mm_step_fail(MM_UR_SERIAL, reason);
	if (rc == MM_OK)
		rc = mm_own_nonce(l->own, p->unit->serial, nonce, &why);
	return rc == MM_OK ? mm_step_tell_over(p, nonce)
			   : refused(p, rc, &why, reason);
}

static enum mm_err
take(struct mm_line *l, struct mm_place *p, struct mm_own_cert *got,
    struct mm_why *why)
{
	const struct mm_own_found found = { p->unit->serial, p->unit->hw,
		mm_buf_view(&p->cert), mm_buf_view(&p->chain),
		{ p->proof, p->proof_n }, p->nonce, p->unit->spki, &p->given };

	MM_TRY(mm_line_own(l, why));
	MM_TRY(mm_own_adopt(l->own, &found, got, why));
	return mm_step_own_prove(l, p, got->issuer, why);
}

/* see steps.h; one that this station made itself, or that a supervisor let go
 * on before, is a board that comes back */
enum mm_unit_event
mm_step_own_adopt(struct mm_line *l, struct mm_place *p,
    enum mm_unit_reason *reason)
{
	enum mm_unit_event e = mm_step_own_right(l, p, reason);
	struct mm_own_cert got;
	struct mm_why why = { 0 };
	enum mm_err rc;

	if (e == MM_EV_DONE)
		e = check_bundle(p, reason);
	if (e == MM_EV_DONE)
		e = mm_step_own_revoked(l, p, p->cert_serial, reason);
	if (e != MM_EV_DONE)
		return e;
	rc = take(l, p, &got, &why);
	if (rc != MM_OK)
		return refused(p, rc, &why, reason);
	return got.adopted ? mm_step_put_aside(p, reason) : MM_EV_DONE;
}

/* see steps.h */
enum mm_unit_event
mm_step_put_aside(struct mm_place *p, enum mm_unit_reason *reason)
{
	mm_sha256(mm_buf_view(&p->cert), p->unit->cert);
	p->unit->by = MM_UNIT_BY_STATION;
	return mm_step_hold(MM_UR_ADOPTED, reason);
}
