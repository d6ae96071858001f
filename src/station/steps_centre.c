#include "station/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/time.h"
#include "pki/cert.h"
#include "station/record.h"

/* What the centre is asked, and what its answers are worth. */

enum { PATH_N = 256, BODY_MAX = 16384 };

/* What the centre's reasons mean at the line; others: it refuses. */
static const struct {
	const char *reason;
	enum mm_unit_event event;
	enum mm_unit_reason why;
	bool never; /* whenever such a request is made */
} refusals[] = {
	{ "device-in-the-field", MM_EV_HOLD, MM_UR_IN_FIELD },
	{ "key-certified-for-another-device", MM_EV_FAIL, MM_UR_KEY_TAKEN },
	{ "key-revoked-as-compromised", MM_EV_HOLD, MM_UR_KEY_BAD },
	{ "possession-not-proved", MM_EV_FAIL, MM_UR_REQUEST },
	{ "malformed-request", MM_EV_FAIL, MM_UR_REQUEST },
	{ "device-retired-or-unknown", MM_EV_FAIL, MM_UR_SERIAL },
	{ "device-not-of-the-batch", MM_EV_FAIL, MM_UR_SERIAL },
	{ "unit-put-aside", MM_EV_HOLD, MM_UR_OTHER_BOARD },
	{ "batch-missing", MM_EV_FAIL, MM_UR_BATCH, true },
	{ "batch-not-open", MM_EV_FAIL, MM_UR_BATCH },
	{ "station-has-no-share", MM_EV_FAIL, MM_UR_BATCH },
	{ "batch-made-offline", MM_EV_FAIL, MM_UR_BATCH, true },
	{ "quota-gone", MM_EV_FAIL, MM_UR_QUOTA },
};

static bool
comes_again(const struct mm_centre_answer *a)
{
	return a->rc == MM_EAGAIN || a->rc == MM_ERATE || a->rc == MM_EBUSY;
}

/* Its index; -1: the centre gave none of these. */
static int
find_refusal(const struct mm_centre_answer *a)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (strcmp(refusals[i].reason, a->reason) == 0)
			return (int)i;
	return -1;
}

/* see steps.h */
enum mm_unit_reason
mm_step_refusal(const struct mm_centre_answer *a)
{
	int i = find_refusal(a);

	if (comes_again(a))
		return MM_UR_AWAY;
	if (i >= 0)
		return refusals[i].why;
	return a->rc == MM_EAUTH ? MM_UR_CREDENTIAL : MM_UR_REFUSED;
}

/* see steps.h */
enum mm_unit_event
mm_step_refused(struct mm_place *p, const struct mm_centre_answer *a,
    enum mm_unit_reason *reason)
{
	int i = find_refusal(a);

	mm_step_note(p, a->why.text);
	if (comes_again(a)) {
		p->retry_ms = mm_mono_ms() + MM_RETRY_MS;
		return MM_EVENTS;
	}
	*reason = mm_step_refusal(a);
	p->signs_none = i >= 0 && refusals[i].never;
	return i >= 0 ? refusals[i].event : MM_EV_FAIL;
}

static enum mm_unit_event
ask(struct mm_line *l, struct mm_place *p, const char *path, const char *body,
    enum mm_unit_reason *reason)
{
	struct mm_why why = { 0 };

	if (mm_centre_ask(l->centre, p->number, path, body, &why) == MM_OK)
		return MM_EV_DONE;
	mm_step_note(p, why.text);
	return mm_step_fail(MM_UR_AWAY, reason);
}

/* The same from an end: then that waits. */
static enum mm_unit_event
ask_more(struct mm_line *l, struct mm_place *p, const char *path,
    enum mm_unit_reason *reason)
{
	enum mm_unit_event e = ask(l, p, path, NULL, reason);

	return e == MM_EV_DONE ? MM_EVENTS : e;
}

static void
device_path(const struct mm_place *p, const char *rest, char path[PATH_N])
{
	/* A device id is of characters that stand in a path as they are. */
	snprintf(path, PATH_N, "/devices/%s%s", p->unit->serial, rest);
}

static enum mm_unit_event
post(struct mm_line *l, struct mm_place *p, const char *rest,
    struct mm_buf *body, enum mm_unit_reason *reason)
{
	const char *text = mm_buf_cstr(body);
	enum mm_unit_event e;
	char path[PATH_N];

	device_path(p, rest, path);
	e = text == NULL
		? mm_step_fail(MM_UR_REQUEST, reason)
		: ask(l, p, rest[0] == '\0' ? "/devices" : path, text, reason);
	mm_buf_done(body);
	return e;
}

/* see steps.h */
enum mm_unit_event
mm_step_admit(
    struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	struct mm_buf body = MM_BUF_INIT(BODY_MAX);
	struct mm_json j = mm_json_over(&body);
	char path[PATH_N];

	p->asked = false;
	mm_given_forget(&p->given);
	if (l->conf->product[0] == '\0') {
		p->asked = true;
		device_path(p, "", path);
		return ask(l, p, path, NULL, reason);
	}
	mm_json_open(&j, '{');
	mm_json_str(&j, "id", p->unit->serial);
	mm_json_str(&j, "product", l->conf->product);
	mm_json_close(&j, '}');
	return post(l, p, "", &body, reason);
}

static const char *
text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

/* The label as the centre spells it, of the product made here, and in use. */
static bool
may_be_made(
    const struct mm_line *l, const struct mm_place *p, const json_t *device)
{
	const char *product = text_of(device, "product");

	return strcmp(text_of(device, "id"), p->unit->serial) == 0 &&
	       strcmp(text_of(device, "state"), "active") == 0 &&
	       (l->conf->product[0] == '\0' ||
		   strcmp(product, l->conf->product) == 0);
}

/* Before anything is made: a unit that has none costs nothing. */
static enum mm_unit_event
ask_given(struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	char path[PATH_N];

	if (l->conf->batch[0] == '\0' || l->gives_nothing)
		return MM_EV_DONE;
	p->given.is = MM_GIVEN_ASKED;
	snprintf(path, sizeof(path), "/batches/%s/configurations/%s",
	    l->conf->batch, p->unit->serial);
	return ask_more(l, p, path, reason);
}

static enum mm_unit_event
take_given(struct mm_line *l, struct mm_place *p, struct mm_centre_answer *a,
    enum mm_unit_reason *reason)
{
	struct mm_why why = { 0 };

	if (a->rc != MM_OK)
		return mm_step_refused(p, a, reason);
	if (mm_given_take(&p->given, p->unit->serial, a->body, &why) !=
	    MM_OK) {
		mm_step_note(p, why.text);
		return mm_step_fail(MM_UR_CONFIG, reason);
	}
	l->gives_nothing = p->given.version == 0;
	return mm_step_may_give(l, p, reason);
}

/* see steps.h */
enum mm_unit_event
mm_step_admitted(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason)
{
	char path[PATH_N];

	if (p->given.is == MM_GIVEN_ASKED)
		return take_given(l, p, a, reason);
	/* It is registered already: as what? */
	if (a->rc == MM_ECONFLICT && !p->asked) {
		p->asked = true;
		device_path(p, "", path);
		return ask_more(l, p, path, reason);
	}
	if (a->rc == MM_ENOTFOUND)
		return mm_step_fail(MM_UR_SERIAL, reason);
	if (a->rc != MM_OK)
		return mm_step_refused(p, a, reason);
	return may_be_made(l, p, a->body) ? ask_given(l, p, reason)
					  : mm_step_fail(MM_UR_SERIAL, reason);
}

/* see steps.h */
enum mm_unit_event
mm_step_issue(
    struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	struct mm_buf body = MM_BUF_INIT(BODY_MAX);
	struct mm_json j = mm_json_over(&body);

	p->known = p->asked = false;
	mm_json_open(&j, '{');
	mm_json_b64(&j, "csr", mm_buf_view(&p->csr));
	if (l->conf->label[0] != '\0')
		mm_json_str(&j, "label", l->conf->label);
	if (l->conf->batch[0] != '\0')
		mm_json_str(&j, "batch", l->conf->batch);
	if (p->conf->driver == MM_DRIVER_FILES)
		mm_json_str(&j, "key_origin", "station");
	mm_given_put(&p->given, &j);
	mm_json_close(&j, '}');
	return post(l, p, "/enrol", &body, reason);
}

static bool
is_root(const struct mm_buf *der)
{
	struct mm_cert c;

	return mm_cert_walk(mm_buf_view(der), &c, NULL) == MM_OK &&
	    mm_bytes_eq(c.issuer, c.subject);
}

/* Certificates of a PEM text, in DER, one after another.  A record's chain goes
 * up to the root, which a board is not given. */
static bool
take_pem(const char *pem, struct mm_buf *out, size_t most)
{
	struct mm_bytes rest = mm_bytes_of(pem);
	struct mm_buf one = MM_BUF_INIT(MM_CERT_MAX);
	enum mm_err rc = MM_OK;

	mm_buf_reset(out);
	for (size_t n = 0; n < most && rc == MM_OK; n++) {
		rc = mm_pem_next(&rest, "CERTIFICATE", &one, NULL);
		if (rc == MM_OK && !is_root(&one))
			mm_buf_bytes(out, mm_buf_view(&one));
	}
	mm_buf_done(&one);
	return (rc == MM_OK || rc == MM_ENOTFOUND) &&
	       mm_buf_ok(out, NULL) == MM_OK;
}

/* What came must be a certificate of this board's key, whoever sent it, and
 * lead to the anchor: once it is locked in, it is there for good. */
static enum mm_unit_event
take_cert(const struct mm_line *l, struct mm_place *p, const json_t *body,
    enum mm_unit_reason *reason)
{
	struct mm_cert c;
	uint8_t hash[32];

	if (strcmp(text_of(body, "device"), p->unit->serial) != 0 ||
	    !take_pem(
		text_of(body, p->known ? "pem" : "certificate"), &p->cert, 1) ||
	    !take_pem(text_of(body, "chain"), &p->chain, 4) ||
	    mm_cert_walk(mm_buf_view(&p->cert), &c, NULL) != MM_OK)
		return mm_step_fail(MM_UR_CERT, reason);
	mm_sha256(c.spki.whole, hash);
	if (memcmp(hash, p->unit->spki, sizeof(hash)) != 0)
		return mm_step_fail(MM_UR_CERT, reason);
	if (mm_step_leads(l, p, reason) != MM_EV_DONE)
		return MM_EV_FAIL;
	snprintf(p->cert_serial, sizeof(p->cert_serial), "%s",
	    text_of(body, "serial"));
	snprintf(
	    p->profile, sizeof(p->profile), "%s", text_of(body, "profile"));
	p->replayed =
	    p->known || json_is_true(json_object_get(body, "replayed"));
	mm_sha256(mm_buf_view(&p->cert), hash);
	return mm_unit_take_cert(p->unit, &p->said, hash, reason);
}

/* This key has proved its certificate before: which one is that? */
static enum mm_unit_event
ask_known(struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	char path[PATH_N], hash[65];

	p->known = true;
	mm_hex_text(p->unit->spki, 32, hash);
	snprintf(path, sizeof(path),
	    "/certificates?device=%s&spki_sha256=%s"
	    "&state=confirmed",
	    p->unit->serial, hash);
	return ask_more(l, p, path, reason);
}

static enum mm_unit_event
take_list(struct mm_line *l, struct mm_place *p, const json_t *body,
    enum mm_unit_reason *reason)
{
	const json_t *first = json_array_get(json_object_get(body, "items"), 0);
	char path[PATH_N];

	if (first == NULL)
		return mm_step_hold(MM_UR_IN_FIELD, reason);
	p->asked = true;
	snprintf(path, sizeof(path), "/certificates/%.32s",
	    text_of(first, "serial"));
	return ask_more(l, p, path, reason);
}

/* see steps.h */
enum mm_unit_event
mm_step_issued(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason)
{
	if (!p->known && strcmp(a->reason, "already-confirmed") == 0)
		return ask_known(l, p, reason);
	if (a->rc != MM_OK)
		return mm_step_refused(p, a, reason);
	if (p->known && !p->asked)
		return take_list(l, p, a->body, reason);
	return mm_step_given(p, take_cert(l, p, a->body, reason), reason);
}

/* see steps.h */
void
mm_step_put_proof(const struct mm_place *p, struct mm_json *j)
{
	mm_json_str(j, "serial", p->cert_serial);
	mm_json_hex(
	    j, "nonce", (struct mm_bytes){ p->nonce, sizeof(p->nonce) });
	mm_json_str(j, "hardware", p->unit->hw);
	mm_json_b64(j, "signature", (struct mm_bytes){ p->proof, p->proof_n });
}

/* see steps.h */
enum mm_unit_event
mm_step_confirm(
    struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	struct mm_buf body = MM_BUF_INIT(BODY_MAX);
	struct mm_json j = mm_json_over(&body);

	if (p->known)
		return MM_EV_SKIP;
	mm_json_open(&j, '{');
	mm_step_put_proof(p, &j);
	mm_json_close(&j, '}');
	return post(l, p, "/proof", &body, reason);
}

/* see steps.h */
enum mm_unit_event
mm_step_confirmed(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason)
{
	(void)l;
	return a->rc == MM_OK ? MM_EV_DONE : mm_step_refused(p, a, reason);
}

/* ---- the record ---- */

/* see steps.h */
enum mm_unit_event
mm_step_record(
    struct mm_line *l, struct mm_place *p, enum mm_unit_reason *reason)
{
	char path[PATH_N];

	device_path(p, "/receipt", path);
	return ask(l, p, path, NULL, reason);
}

/* The chain is the receipt's: a board that came back has it, too. */
static enum mm_err
write_record(struct mm_line *l, struct mm_place *p, const json_t *receipt,
    struct mm_why *why)
{
	char *text = json_dumps(receipt, JSON_COMPACT);
	struct mm_record_from from = { .chain = mm_bytes_of(
	    text_of(receipt, "chain")) };
	enum mm_err rc;

	if (text == NULL)
		return MM_FAIL(why, MM_ENOMEM, "record: the receipt");
	from.receipt = mm_bytes_of(text);
	rc = mm_record_write(l, p, &from, why);
	free(text);
	return rc;
}

/* see steps.h */
enum mm_unit_event
mm_step_recorded(struct mm_line *l, struct mm_place *p,
    struct mm_centre_answer *a, enum mm_unit_reason *reason)
{
	struct mm_why why = { 0 };

	if (a->rc != MM_OK)
		return mm_step_refused(p, a, reason);
	if (write_record(l, p, a->body, &why) == MM_OK)
		return MM_EV_DONE;
	mm_step_note(p, why.text);
	return mm_step_fail(MM_UR_RECORD, reason);
}
