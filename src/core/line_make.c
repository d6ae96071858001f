#include <stdio.h>
#include <string.h>

#include "base/faults.h"
#include "core/production_priv.h"
#include "work/adopt.h"

/*
 * A line CA that the signer makes while the centre works.  What it is called
 * follows from whose it is, so that the same asked for again finds it; between
 * the signature and its record the line to the signer is held, so that what is
 * outstanding while nobody holds it was never stored (settle.c).
 */
enum { BLOB_MAX = 8192, BODY_MAX = 32 * 1024 };

/* see production.h */
void
mm_line_buf_done(struct mm_line_buf *buf)
{
	mm_buf_done(&buf->chain);
	mm_buf_done(&buf->key);
}

/* ---- made ---- */

static void
put_doc(const char *above, const struct mm_work_order *o,
    const struct mm_line_make_rep *rep, const uint8_t to[32],
    struct mm_buf *body)
{
	struct mm_json j = mm_json_over(body);

	mm_json_open(&j, '{');
	mm_json_str(&j, "issuer", above);
	mm_json_str(&j, "station", o->station);
	mm_json_str(&j, "batch", o->batch);
	mm_json_hex(&j, "recipient", (struct mm_bytes){ to, 32 });
	mm_json_b64(&j, "certificate", rep->der);
	mm_json_b64(&j, "given", rep->given);
	mm_json_b64(&j, "kept", rep->kept);
	mm_json_close(&j, '}');
}

static enum mm_err
put_entry(struct mm_papers *p, const struct mm_login *by, const char *name,
    const struct mm_work_order *o, const struct mm_cert *c,
    const uint8_t sha256[32])
{
	struct mm_entry e = { .type = MM_E_ISSUER_MADE };
	struct mm_cert_texts t;
	uint8_t key[32];

	mm_sha256(c->spki.whole, key);
	mm_entry_certified(&e, &t, &(struct mm_certified){ c->serial.p, key,
	    sha256, c->not_before_s, c->not_after_s });
	e.field[MM_F_ACTOR] = by->id;
	e.field[MM_F_STATION] = o->station;
	e.field[MM_F_BATCH] = o->batch;
	e.field[MM_F_ISSUER] = name;
	mm_papers_add(p, &e);
	return p->err;
}

/* The document, with the entry, and the note that it is in use: one
 * transaction. */
static enum mm_err
write_both(struct mm_desk *d, struct mm_papers *p, struct mm_op *doc,
    struct mm_op *noted, struct mm_why *why)
{
	struct mm_op *ops[] = { doc, noted };

	MM_TRY(mm_papers_seal(p, doc, why));
	MM_TRY(mm_desk_write(d, ops, 2, why));
	for (size_t i = 0; i < 2; i++)
		if (ops[i]->result != MM_OK)
			return MM_FAIL(why, ops[i]->result, "line: %.200s",
			    ops[i]->why.text);
	return MM_OK;
}

static enum mm_err
store(struct mm_desk *d, const struct mm_login *by, const char *name,
    const struct mm_work_order *o, const struct mm_line_make_rep *rep,
    const uint8_t to[32], struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(BODY_MAX);
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_op doc = { .kind = MM_OP_DOC_PUT }, noted;
	char id[MM_DOC_ID_MAX + 1], text[MM_NOTED_TEXT];
	uint8_t sha256[32];
	const char *above;
	struct mm_cert c;

	MM_TRY(mm_cert_walk(rep->der, &c, why));
	if (c.serial.n != MM_SERIAL_N)
		return MM_FAIL(why, MM_EBUG, "line: its serial number");
	mm_sha256(rep->der, sha256);
	/* whose turn it was is the signer's word, not this clock's */
	above = mm_chains_signed(d->c->chains, &c, NULL);
	if (above == NULL)
		return MM_FAIL(why, MM_EBUG, "line: no issuer signed it");
	put_doc(above, o, rep, to, &body);
	MM_TRY(mm_buf_ok(&body, why));
	doc.u.doc.kind = MM_DOC_LINE_CA;
	strcpy(doc.u.doc.id, name);
	doc.u.doc.body = mm_buf_view(&body);
	snprintf(id, sizeof(id), "issuer:%s", name);
	mm_noted_op(id, sha256, text, &noted);
	MM_TRY(put_entry(&p, by, name, o, &c, sha256));
	mm_die_at("line-store");
	MM_TRY(write_both(d, &p, &doc, &noted, why));
	mm_die_at("line-stored");
	return MM_OK;
}

static enum mm_err
ask(struct mm_desk *d, const struct mm_login *by, const char *name,
    const struct mm_work_order *o, struct mm_bytes recipient,
    const uint8_t to[32], struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf profiles = MM_BUF_INIT(BLOB_MAX);
	struct mm_line_make_req req = { .recipient = recipient };
	struct mm_line_make_rep rep;
	enum mm_err rc;

	/* promise 8: what cannot be entered is not signed */
	if (!d->c->store_ok)
		return MM_FAIL(why, MM_EAGAIN, "the store is away");
	for (size_t i = 0; i < o->profiles_n; i++)
		mm_buf_printf(&profiles, "%s%s", i > 0 ? " " : "",
		    o->profiles[i].name);
	MM_TRY(mm_buf_ok(&profiles, why));
	req.profiles = mm_buf_view(&profiles);
	strcpy(req.name, name);
	snprintf(req.station, sizeof(req.station), "%s", o->station);
	mm_wire_lock(d->c->wire, MM_LINE_OPS);
	rc = mm_wire_call(d->c->wire, MM_LINE_OPS, MM_IPC_LINE_MAKE, &req,
	    &rep, &d->frame, why);
	if (rc == MM_OK)
		rc = store(d, by, name, o, &rep, to, why);
	mm_wire_unlock(d->c->wire, MM_LINE_OPS);
	MM_TRY(rc);
	return mm_lines_join(d->c, d->r, name, why);
}

/* ---- there ---- */

/* A station has two certificates: by the other one it logs in, and its signer
 * could not open what is sealed for that. */
static enum mm_err
check_recipient(struct mm_desk *d, struct mm_bytes recipient, uint8_t to[32],
    struct mm_why *why)
{
	struct mm_operator login;
	struct mm_cert c;
	enum mm_err rc;

	MM_TRY(mm_cert_walk(recipient, &c, why));
	mm_sha256(c.spki.whole, to);
	rc = mm_get_operator_key(d->r, to, &login, NULL);
	if (rc == MM_OK)
		return MM_FAIL(why, MM_EINPUT, "recipient: by this "
		    "certificate %.40s logs in: want the one that station-init "
		    "made in its signer's folder", login.name);
	return rc == MM_ENOTFOUND ? MM_OK :
	    MM_FAIL(why, rc, "the store cannot be read");
}

static enum mm_err
is_for(const struct mm_line_kept *k, const char *name, const uint8_t to[32],
    struct mm_why *why)
{
	return memcmp(k->to, to, 32) == 0 ? MM_OK :
	    MM_FAIL(why, MM_ECONFLICT, "line: %s was made for another signer "
	    "of this station: what is left is another batch", name);
}

static enum mm_err
take(struct mm_desk *d, const char *name, const uint8_t to[32],
    struct mm_line_buf *buf, struct mm_line_ca *out, struct mm_why *why)
{
	MM_OWN(mm_line_kept_done) struct mm_line_kept k = { .to = { 0 } };
	const struct mm_chain *chain = mm_issuer_chain(d->c, name);

	MM_TRY(mm_line_read(d->r, name, &k, why));
	MM_TRY(is_for(&k, name, to, why));
	if (chain == NULL)
		return MM_FAIL(why, MM_EBUG, "line: %s has no chain", name);
	*out = (struct mm_line_ca){ .name = "" };
	mm_buf_init(&buf->chain, MM_WORK_BLOB_MAX);
	mm_buf_init(&buf->key, BLOB_MAX);
	for (size_t i = 0; i < chain->n; i++)
		mm_buf_bytes(&buf->chain, chain->der[i]);
	mm_buf_bytes(&buf->key, mm_buf_view(&k.given));
	MM_TRY(mm_buf_ok(&buf->chain, why));
	MM_TRY(mm_buf_ok(&buf->key, why));
	strcpy(out->name, name);
	snprintf(out->url, sizeof(out->url), "%s",
	    d->c->config->set.public_url);
	out->chain = mm_buf_view(&buf->chain);
	out->key = mm_buf_view(&buf->key);
	return MM_OK;
}

/* see production.h */
enum mm_err
mm_desk_line_make(struct mm_desk *d, const struct mm_login *by,
    const struct mm_work_order *o, struct mm_bytes recipient,
    struct mm_line_buf *buf, struct mm_line_ca *out, struct mm_why *why)
{
	struct mm_why none = { 0 };
	char name[MM_NAME_MAX + 1];
	uint8_t to[32];
	enum mm_err rc;

	MM_TRY(check_recipient(d, recipient, to, why));
	mm_work_line_name(o->station, o->batch, name);
	/* it may be another node's, or of before a crash */
	rc = mm_lines_find(d->c->lines, name) != NULL ? MM_OK :
	    mm_lines_join(d->c, d->r, name, &none);
	if (rc == MM_ENOTFOUND) {
		if (mm_config_lines(d->c->config) == NULL)
			return MM_FAIL(why, MM_EPOLICY, "line: no issuer of "
			    "this centre makes line CAs (\"lines\")");
		rc = ask(d, by, name, o, recipient, to, why);
	}
	MM_TRY(rc == MM_OK || why == NULL || why->text[0] != '\0' ? rc :
	    MM_FAIL(why, rc, "%.200s", none.text));
	return take(d, name, to, buf, out, why);
}

/* see production.h */
enum mm_err
mm_desk_line_check(struct mm_desk *d, const struct mm_work_order *o,
    struct mm_bytes recipient, struct mm_why *why)
{
	MM_OWN(mm_line_kept_done) struct mm_line_kept k = { .to = { 0 } };
	char name[MM_NAME_MAX + 1];
	uint8_t to[32];
	enum mm_err rc;

	MM_TRY(check_recipient(d, recipient, to, why));
	mm_work_line_name(o->station, o->batch, name);
	rc = mm_line_read(d->r, name, &k, NULL);
	if (rc == MM_ENOTFOUND) /* one of the configuration */
		return MM_OK;
	return rc == MM_OK ? is_for(&k, name, to, why) :
	    MM_FAIL(why, rc, "the store cannot be read");
}
