#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/checks.h"
#include "core/devconf_give.h"
#include "pki/confdoc.h"

/* A device that asks: its record is written only when something in it
 * changes, and before what it says leaves. */

/* ---- tags: "7-0123456789abcdef" ---- */

static void
put_tag(const struct mm_devconf_given *g, char out[MM_DEVCONF_TAG])
{
	char hex[17];

	mm_hex_text(g->sha256, 8, hex);
	snprintf(out, MM_DEVCONF_TAG, "\"%" PRId64 "-%s\"", g->version, hex);
}

/* The version in a tag of that form; 0: it is none. */
static int64_t
version_of(const char *tag)
{
	const char *end = strchr(tag, '-');
	char digits[12];
	int64_t v;

	if (tag[0] != '"' || end == NULL || strlen(end) != 18 ||
	    !mm_text_copy(digits, sizeof(digits), (struct mm_bytes){
	    (const uint8_t *)tag + 1, (size_t)(end - tag) - 1 }) ||
	    mm_int_parse(digits, &v, NULL) != MM_OK || v < 1 ||
	    v >= MM_CONFDOC_VERSION_MAX || v >= mm_now_s())
		return 0;
	return v;
}

/* ---- its record ---- */

static void
put_note(const struct mm_devconf_given *g, int64_t held, struct mm_buf *body)
{
	struct mm_json j = mm_json_over(body);

	mm_json_open(&j, '{');
	mm_json_int(&j, "version", g->version);
	mm_json_hex(&j, "sha256", (struct mm_bytes){ g->sha256, 32 });
	mm_json_hex(&j, "salt", (struct mm_bytes){ g->salt,
	    sizeof(g->salt) });
	mm_json_time(&j, "at", g->changed ? mm_now_ms() : g->given_at);
	mm_json_int(&j, "held", held);
	mm_json_int(&j, "initial", g->initial);
	if (g->said_at != 0)
		mm_json_time(&j, "said_at", g->said_at);
	mm_json_str(&j, "batch", g->batch);
	mm_json_str(&j, "serial", g->serial);
	mm_json_str(&j, "basis", g->basis);
	mm_json_close(&j, '}');
}

/* Of two requests at once one is stored, and the other comes again. */
static enum mm_err
store(struct mm_desk *d, const struct mm_devconf_given *g, int64_t held,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_op_doc doc = { .kind = MM_DOC_GIVEN, .expect = g->note };
	struct mm_entry e = { .type = MM_E_CONFIG_GIVEN };
	struct mm_config_texts t;
	char scope[MM_DOC_ID_MAX + 1];
	struct mm_why own = { 0 };
	uint8_t mark[32];
	enum mm_err rc;

	mm_devconf_note_id(g->device, doc.id);
	put_note(g, held, &body);
	MM_TRY(mm_buf_ok(&body, why));
	doc.body = mm_buf_view(&body);
	mm_devconf_doc_id(g->scope, g->set, scope);
	e.field[MM_F_DEVICE] = g->device;
	e.field[MM_F_PRODUCT] = g->product;
	e.field[MM_F_SCOPE] = scope;
	mm_salted_sha256(g->salt, (struct mm_bytes){ g->sha256, 32 }, mark);
	mm_entry_config(&e, &t, g->version, mark);
	rc = mm_desk_doc_put(d, &doc, &e, g->changed ? 1 : 0, &own);
	if (rc == MM_ECONFLICT || rc == MM_ESTALE)
		return MM_FAIL(why, MM_EAGAIN, "it asks twice at once");
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

/* ---- signing ---- */

/* The last certificate of each is by the same CA: a root. */
static bool
ends_alike(const struct mm_chain *a, const struct mm_chain *b)
{
	struct mm_cert x, y;

	return a != NULL && b != NULL && a->n > 0 && b->n > 0 &&
	    mm_cert_walk(a->der[a->n - 1], &x, NULL) == MM_OK &&
	    mm_cert_walk(b->der[b->n - 1], &y, NULL) == MM_OK &&
	    mm_bytes_eq(x.issuer, y.issuer);
}

/* An issuer whose key never left, below the root that those devices trust. */
static const char *
beside(struct mm_core *c, const char *line)
{
	const struct mm_chain *of = mm_issuer_chain(c, line);

	for (size_t i = 0; i < c->config->nissuer; i++) {
		const struct mm_issuer_conf *p = &c->config->issuer[i];

		if (!p->line && !p->retired && !mm_issuer_upstream(p) &&
		    ends_alike(of, mm_issuer_chain(c, p->name)))
			return p->name;
	}
	return line;
}

/* A line CA's key is at a station: no device would believe who it certified.
 * Its devices trust what is above it, too. */
static const char *
signer_of(struct mm_core *c, const char *issuer)
{
	const struct mm_issuer_conf *conf = mm_config_issuer(c->config, issuer);
	const struct mm_made_line *line = mm_lines_find(c->lines, issuer);

	if (line != NULL)
		return line->above;
	return conf != NULL && conf->line ? beside(c, issuer) : issuer;
}

static enum mm_err
sign_once(struct mm_desk *d, const char *issuer, bool anew,
    struct mm_config_sign_req *req, struct mm_buf *frame, struct mm_buf *der,
    struct mm_why *why)
{
	struct mm_config_sign_rep rep;
	enum mm_err rc;

	mm_wire_lock(d->c->wire, MM_LINE_OCSP);
	rc = mm_desk_responder(d, issuer, MM_RESPONDER_CONFIG, anew,
	    req->responder, why);
	if (rc == MM_OK)
		rc = mm_wire_call(d->c->wire, MM_LINE_OCSP, MM_IPC_CONFIG_SIGN,
		    req, &rep, frame, why);
	mm_wire_unlock(d->c->wire, MM_LINE_OCSP);
	MM_TRY(rc);
	mm_buf_bytes(der, rep.der);
	return mm_buf_ok(der, why);
}

/* A signer that was started since does not know our key: once more. */
static enum mm_err
sign(struct mm_desk *d, const struct mm_facts *f,
    const struct mm_devconf_given *g, struct mm_buf *der, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf frame =
	    MM_BUF_INIT(MM_IPC_FRAME_MAX);
	const char *issuer = signer_of(d->c, f->cert.issuer);
	struct mm_config_sign_req req = { .version = (uint64_t)g->version,
		.document = mm_buf_view(&g->document) };
	struct mm_why own = { 0 };
	enum mm_err rc;

	strcpy(req.device, g->device);
	memcpy(req.certificate, f->cert_sha256, 32);
	memcpy(req.salt, g->salt, sizeof(req.salt));
	rc = sign_once(d, issuer, false, &req, &frame, der, &own);
	if (rc == MM_ENOTFOUND) {
		own = (struct mm_why){ 0 };
		rc = sign_once(d, issuer, true, &req, &frame, der, &own);
	}
	if (rc == MM_OK)
		return MM_OK;
	return MM_FAIL(why, rc == MM_EPOLICY ? MM_ENOTFOUND : MM_EAGAIN,
	    "%s", own.text);
}

/* ---- all of it ---- */

static enum mm_err
resolve(struct mm_desk *d, const struct mm_facts *f,
    struct mm_devconf_ask *ask, struct mm_devconf_given *g,
    struct mm_why *why)
{
	char serial[33];
	struct mm_devconf_who who = { .serial = serial,
		.says = version_of(ask->tag) };
	enum mm_err rc;

	mm_hex_text(f->cert.serial, 16, serial);
	if (who.says > 0)
		who.mark = strchr(ask->tag, '-') + 1;
	rc = mm_devconf_resolve(d, &f->device, &who, g, why);
	if (rc == MM_EINPUT || rc == MM_ENOTFOUND || rc == MM_ELIMIT)
		return MM_ECONFLICT;
	MM_TRY(rc);
	if (!g->has)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "nothing is configured for this device");
	put_tag(g, ask->now);
	ask->version = g->version;
	ask->same = strcmp(ask->tag, ask->now) == 0;
	return MM_OK;
}

/* Where it is asked for anew although the record says all: a device that
 * lost it. */
static enum mm_err
render_again(struct mm_desk *d, const struct mm_facts *f,
    struct mm_devconf_given *g, struct mm_why *why)
{
	struct mm_devconf_given again = MM_DEVCONF_GIVEN_INIT;
	const struct mm_devconf_who who = { .render = true };
	enum mm_err rc = mm_devconf_resolve(d, &f->device, &who, &again, why);

	if (rc == MM_OK && (again.version != g->version || !again.has))
		rc = MM_FAIL(why, MM_EAGAIN, "it was changed just now");
	if (rc == MM_OK)
		g->document = again.document;
	else
		mm_buf_wipe(&again.document);
	mm_buf_done(&again.shown);
	return rc;
}

static enum mm_err
give(struct mm_desk *d, const struct mm_facts *f, struct mm_devconf_ask *ask,
    struct mm_devconf_given *g, struct mm_buf *der, struct mm_why *why)
{
	int64_t held;

	MM_TRY(resolve(d, f, ask, g, why));
	held = ask->same ? g->version : g->held;
	if (!g->noted || g->changed || held != g->held)
		MM_TRY(store(d, g, held, why));
	if (ask->same)
		return MM_OK;
	if (!g->rendered)
		MM_TRY(render_again(d, f, g, why));
	return sign(d, f, g, der, why);
}

/* see devconf.h */
enum mm_err
mm_desk_devconf_give(struct mm_desk *d, struct mm_devconf_ask *ask,
    struct mm_buf *der, struct mm_why *why)
{
	MM_OWN(mm_devconf_given_done) struct mm_devconf_given g =
	    MM_DEVCONF_GIVEN_INIT;
	struct mm_facts facts = { 0 };

	MM_TRY(mm_desk_judge(d, MM_JOB_CONFIRM, ask->by, &facts, &ask->reason,
	    why));
	if (facts.device.state != MM_DEVICE_ACTIVE) {
		ask->reason = MM_R_DEVICE;
		return MM_FAIL(why, MM_EPOLICY, "the device is retired");
	}
	return give(d, &facts, ask, &g, der, why);
}
