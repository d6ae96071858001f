/* What the station's signer signs, and the entries that say so. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/faults.h"
#include "base/own.h"
#include "pki/cert.h"
#include "pki/possession.h"
#include "station/own_priv.h"
#include "work/export.h"

enum { TEXT = 160 };

/* see own.h */
bool
mm_own_has(const struct mm_own *o, const char *serial)
{
	char key[MM_DEVICE_ID_MAX + 3];
	uint64_t at;
	int n;

	if (o->order->serials[0] != '\0')
		return mm_serials_find(&o->run, serial, &at);
	n = snprintf(key, sizeof(key), "\n%s\n", serial);
	return memmem(o->list.p, o->list.n, key, (size_t)n) != NULL;
}

static enum mm_err
find(struct mm_own *o, const char *batch, const char *device,
    const uint8_t spki[32], struct mm_duty_find_rep *rep, struct mm_why *why)
{
	struct mm_duty_find_req q = { .device = "" };

	snprintf(q.batch, sizeof(q.batch), "%s", batch);
	snprintf(q.device, sizeof(q.device), "%s", device);
	memcpy(q.spki_sha256, spki, 32);
	return mm_own_call(o, MM_IPC_DUTY_FIND, &q, rep, why);
}

/* see own.h */
bool
mm_own_knows(struct mm_own *o, const char *serial, const uint8_t spki[32])
{
	struct mm_duty_find_rep rep;

	return find(o, "", serial, spki, &rep, NULL) == MM_OK;
}

/* see own.h */
enum mm_err
mm_own_find(struct mm_own *o, const char *batch, const char *device,
    const uint8_t spki[32], struct mm_bytes *der, struct mm_why *why)
{
	struct mm_duty_find_rep rep;

	MM_TRY(find(o, batch, device, spki, &rep, why));
	*der = rep.der;
	return MM_OK;
}

/* ---- entries ---- */

struct words { /* of an entry */
	char authority[TEXT], cert[65], spki[65], from[MM_TIME_TEXT],
	    to[MM_TIME_TEXT], version[24], config[65];
};

static void
put_given(const struct mm_given *g, struct words *w, struct mm_entry *e)
{
	if (g->version == 0)
		return;
	snprintf(w->version, sizeof(w->version), "%" PRId64, g->version);
	mm_hex_text(g->mark, sizeof(g->mark), w->config);
	e->field[MM_F_CONFIG_VERSION] = w->version;
	e->field[MM_F_CONFIG_SHA256] = w->config;
}

static void
put_words(const char *batch, const struct mm_duty_find_rep *rep,
    const struct mm_cert *c, struct words *w)
{
	uint8_t hash[32];

	snprintf(w->authority, sizeof(w->authority), "order:%s:%" PRIu64,
	    batch, rep->number);
	mm_sha256(rep->der, hash);
	mm_hex_text(hash, sizeof(hash), w->cert);
	mm_sha256(c->spki.whole, hash);
	mm_hex_text(hash, sizeof(hash), w->spki);
	mm_time_text_s(c->not_before_s, w->from);
	mm_time_text_s(c->not_after_s, w->to);
}

static enum mm_err
enter_issued(struct mm_own *o, const struct mm_own_pair *p,
    const struct mm_duty_find_rep *rep, const struct mm_cert *c,
    const char *serial, struct mm_why *why)
{
	struct words w;
	struct mm_entry e = { .type = rep->chain.n > 0 ? MM_E_CERT_ADOPTED
						       : MM_E_CERT_ISSUED,
		.at_ms = mm_own_now(),
		.field = { [MM_F_ACTOR] = "station",
		    [MM_F_AUTHORITY] = w.authority,
		    [MM_F_DEVICE] = p->device,
		    [MM_F_PRODUCT] = p->product,
		    [MM_F_BATCH] = p->batch,
		    [MM_F_STATION] = o->order->station,
		    [MM_F_ISSUER] = rep->issuer,
		    [MM_F_SERIAL] = serial,
		    [MM_F_CERT_SHA256] = w.cert,
		    [MM_F_SPKI_SHA256] = w.spki,
		    [MM_F_PROFILE] = rep->profile,
		    [MM_F_NOT_BEFORE] = w.from,
		    [MM_F_NOT_AFTER] = w.to,
		    [MM_F_KEY_ORIGIN] = "device",
		    [MM_F_RESULT] = "ok" } };

	put_words(p->batch, rep, c, &w);
	put_given(p->given, &w, &e);
	if (e.type == MM_E_CERT_ADOPTED && p->by_nonce)
		e.field[MM_F_ACTION] = MM_EXPORT_NONCE;
	return mm_own_enter(o, &e, why);
}

/* Longer than the signer's answer. */
static enum mm_err
keep(struct mm_own *o, struct mm_duty_find_rep *rep, struct mm_own_cert *out,
    struct mm_why *why)
{
	mm_buf_reset(&o->cert);
	mm_buf_bytes(&o->cert, rep->der);
	MM_TRY(mm_buf_ok(&o->cert, why));
	mm_buf_reset(&o->chain);
	mm_buf_bytes(&o->chain, rep->chain);
	MM_TRY(mm_buf_ok(&o->chain, why));
	out->der = rep->der = mm_buf_view(&o->cert);
	out->adopted = rep->chain.n > 0;
	rep->chain = mm_buf_view(&o->chain);
	out->chain = out->adopted ? rep->chain : o->order->ca_chain;
	return MM_OK;
}

/* A key of its JSON, whose texts have no quote unescaped. */
static bool
says_config(const struct mm_own *o, uint64_t at)
{
	static const char key[] = "\"config_version\":";
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(MM_ENTRY_MAX);

	return mm_entries_get(o->entries, at, &json, NULL) == MM_OK &&
	    memmem(json.p, json.n, key, sizeof(key) - 1) != NULL;
}

/* Whether another of the batch's certificates, from the newest back, was
 * entered with one. */
static bool
had_config(const struct mm_own *o, const char *batch)
{
	char key[MM_NAME_MAX + 16];
	MM_OWN(mm_buf_done) struct mm_buf json = MM_BUF_INIT(MM_ENTRY_MAX);
	int n = snprintf(key, sizeof(key), "\"batch\":\"%s\"", batch);

	for (uint64_t i = mm_entries_n(o->entries); i-- > 0;) {
		mm_buf_reset(&json);
		if (mm_entries_get(o->entries, i, &json, NULL) == MM_OK &&
		    memmem(json.p, json.n, key, (size_t)n) != NULL &&
		    says_config(o, i))
			return true;
	}
	return false;
}

/* The order, which closes the batch, says nothing of what the entry says that
 * its device gets; or the entry was made without the papers, and others' say
 * that the batch has some. */
static bool
is_bereft(const struct mm_own *o, const struct mm_own_pair *p, bool says)
{
	return p->given->version == 0 && (says ||
	    (o->order->state == MM_WORK_CLOSED && had_config(o, p->batch)));
}

/* see own_priv.h */
enum mm_err
mm_own_enter_issued(struct mm_own *o, const struct mm_own_pair *p,
    struct mm_own_cert *out, struct mm_why *why)
{
	struct mm_duty_find_rep rep;
	struct mm_cert c;
	uint64_t at;

	MM_TRY(find(o, p->batch, p->device, p->spki, &rep, why));
	MM_TRY(mm_cert_walk(rep.der, &c, why));
	if (c.serial.n * 2 >= sizeof(out->serial))
		return MM_FAIL(why, MM_EINPUT,
		    "the signer's certificate has "
		    "a serial of another form");
	mm_hex_text(c.serial.p, c.serial.n, out->serial);
	memcpy(out->profile, rep.profile, sizeof(out->profile));
	memcpy(out->issuer, rep.issuer, sizeof(out->issuer));
	MM_TRY(keep(o, &rep, out, why));
	MM_TRY(mm_cert_walk(rep.der, &c, why));
	if (mm_entries_find(o->entries, out->serial, MM_ENTRIES_ISSUED, &at)) {
		out->bereft = is_bereft(o, p, says_config(o, at));
		return MM_OK;
	}
	out->bereft = is_bereft(o, p, false);
	return enter_issued(o, p, &rep, &c, out->serial, why);
}

/* see own.h */
enum mm_err
mm_own_issue(struct mm_own *o, const struct mm_own_wish *w,
    struct mm_own_cert *out, struct mm_why *why)
{
	struct mm_issue_req q = { .csr = w->csr,
		.profile_version = o->profile_version };
	const struct mm_own_pair p = { o->order->batch, o->order->product,
		w->device, w->spki, w->given, false };
	struct mm_issue_rep rep;

	memcpy(q.profile, o->profile, sizeof(q.profile));
	snprintf(q.device, sizeof(q.device), "%s", w->device);
	memcpy(q.product, o->order->product, sizeof(q.product));
	snprintf(q.authority, sizeof(q.authority), "batch:%s", o->order->batch);
	MM_TRY(mm_own_call(o, MM_IPC_ISSUE, &q, &rep, why));
	out->again = rep.journal_n == 0;
	return mm_own_enter_issued(o, &p, out, why);
}

/* see own.h */
enum mm_err
mm_own_nonce(struct mm_own *o, const char *device, uint8_t nonce[32],
    struct mm_why *why)
{
	struct mm_duty_nonce_req q = { .device = "" };
	struct mm_duty_nonce_rep rep;

	if (o->no_nonces)
		return MM_FAIL(why, MM_EAGAIN, "adopt: this station's signer "
		    "is older than its program and makes no nonces: put one "
		    "version of both up, and start the station again");
	snprintf(q.device, sizeof(q.device), "%s", device);
	MM_TRY(mm_own_call(o, MM_IPC_DUTY_NONCE, &q, &rep, why));
	memcpy(nonce, rep.nonce, sizeof(rep.nonce));
	return MM_OK;
}

/* see own.h */
enum mm_err
mm_own_adopt(struct mm_own *o, const struct mm_own_found *f,
    struct mm_own_cert *out, struct mm_why *why)
{
	uint8_t hw[MM_POSSESSION_HARDWARE];
	size_t n = strlen(f->hw) / 2;
	struct mm_duty_adopt_req q = { .der = f->der, .chain = f->chain,
		.hardware = { hw, n }, .signature = f->signature };
	const struct mm_own_pair p = { o->order->batch, o->order->product,
		f->device, f->spki, f->given, true };
	struct mm_duty_adopt_rep rep;

	if (n > sizeof(hw))
		return MM_FAIL(why, MM_EINPUT, "adopt: its hardware id");
	MM_TRY(mm_hex_parse(f->hw, strlen(f->hw), hw, n, why));
	snprintf(q.device, sizeof(q.device), "%s", f->device);
	memcpy(q.nonce, f->nonce, sizeof(q.nonce));
	MM_TRY(mm_own_call(o, MM_IPC_DUTY_ADOPT, &q, &rep, why));
	mm_die_at("adopted");
	out->again = rep.again != 0;
	return mm_own_enter_issued(o, &p, out, why);
}

/* see own.h */
enum mm_err
mm_own_scrap(struct mm_own *o, const char *device, const uint8_t spki[32],
    struct mm_why *why)
{
	struct mm_duty_scrap_req q = { .device = "" };
	struct mm_duty_scrap_rep rep;

	snprintf(q.device, sizeof(q.device), "%s", device);
	memcpy(q.spki_sha256, spki, 32);
	return mm_own_call(o, MM_IPC_DUTY_SCRAP, &q, &rep, why);
}

/* see own.h */
bool
mm_own_confirmed(const struct mm_own *o, const char *serial)
{
	uint64_t at;

	return mm_entries_find(o->entries, serial, MM_ENTRIES_CONFIRMED, &at);
}

/* see own.h */
enum mm_err
mm_own_confirm(struct mm_own *o, const struct mm_own_shown *s,
    struct mm_why *why)
{
	const struct mm_work_order *order = o->order;
	const char *own = order->ca_name[0] != '\0' ? order->ca_name
						    : order->batch;
	char hex[65];
	uint8_t hash[32];
	struct mm_entry e = { .type = MM_E_CERT_CONFIRMED,
		.at_ms = mm_own_now(),
		.field = { [MM_F_ACTOR] = "station",
		    [MM_F_AUTHORITY] = "proof",
		    [MM_F_DEVICE] = s->device,
		    [MM_F_BATCH] = order->batch,
		    [MM_F_STATION] = order->station,
		    [MM_F_ISSUER] = s->issuer[0] != '\0' ? s->issuer : own,
		    [MM_F_SERIAL] = s->serial,
		    [MM_F_DETAIL_SHA256] = hex,
		    [MM_F_RESULT] = "ok" } };

	if (mm_own_confirmed(o, s->serial))
		return MM_OK;
	mm_sha256(s->proof, hash);
	mm_hex_text(hash, sizeof(hash), hex);
	MM_TRY(mm_own_keep_proof(o, s->proof, why));
	mm_die_at("proof");
	return mm_own_enter(o, &e, why);
}

/* The signer has destroyed it, or it would not have taken the order: one
 * without the key closes its batch. */
static enum mm_err
enter_end(void *ctx, const struct mm_work_order *order, struct mm_why *why)
{
	struct mm_own *o = ctx;
	struct mm_rd r = mm_rd_over(order->ca_chain);
	const char *name = order->ca_name;
	struct mm_entry e = { .type = MM_E_LINE_DESTROYED,
		.at_ms = mm_own_now(),
		.field = { [MM_F_ACTOR] = "station",
		    [MM_F_BATCH] = order->batch,
		    [MM_F_STATION] = order->station,
		    [MM_F_ISSUER] = *name != '\0' ? name : order->batch } };
	char serial[41], number[24];
	struct mm_cert ca;
	uint64_t at;

	if (order->ca_key.n > 0)
		return MM_OK;
	MM_TRY(mm_cert_walk(mm_der_take_whole(&r, MM_DER_SEQ), &ca, why));
	if (ca.serial.n * 2 >= sizeof(serial))
		return MM_FAIL(why, MM_EINPUT, "order: its CA's serial");
	mm_hex_text(ca.serial.p, ca.serial.n, serial);
	if (mm_entries_find(o->entries, serial, MM_ENTRIES_DESTROYED, &at))
		return MM_OK;
	snprintf(number, sizeof(number), "%" PRId64, order->number);
	e.field[MM_F_SERIAL] = serial;
	e.field[MM_F_NUMBER] = number;
	return mm_own_enter(o, &e, why);
}

/* see own_priv.h */
enum mm_err
mm_own_enter_ends(struct mm_own *o, struct mm_why *why)
{
	return mm_order_each(o->conf, enter_end, o, why);
}

/* ---- receipts ---- */

/* The signer has hashed each entry when it was made: what it signed is not to
 * be had from a file that was changed since. */
static enum mm_err
check_root(const struct mm_own *o, const struct mm_ledger_sign_rep *rep,
    struct mm_why *why)
{
	struct mm_hash root;

	MM_TRY(mm_tree_root_at(
	    mm_entries_read, o->entries, rep->size, &root, why));
	return memcmp(root.b, rep->root, sizeof(rep->root)) == 0
	    ? MM_OK
	    : MM_FAIL(why, MM_EPOLICY,
		  "ledger: its file was changed: it is not what was signed");
}

/* see own.h */
enum mm_err
mm_own_checkpoint(struct mm_own *o, struct mm_why *why)
{
	struct mm_ledger_sign_req q = { mm_entries_n(o->entries) };
	struct mm_ledger_sign_rep rep;

	if (o->checkpoint.n > 0 && o->checkpoint_n == q.size)
		return MM_OK;
	MM_TRY(mm_own_call(o, MM_IPC_LEDGER_SIGN, &q, &rep, why));
	MM_TRY(check_root(o, &rep, why));
	mm_buf_reset(&o->checkpoint);
	mm_buf_bytes(&o->checkpoint, rep.note);
	o->checkpoint_n = rep.size;
	return mm_buf_ok(&o->checkpoint, why);
}

struct of {
	const char *serial;
	struct mm_bytes chain_pem;
};

static enum mm_err
receipt(struct mm_own *o, const struct of *of, enum mm_entries_what what,
    struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf entry = MM_BUF_INIT(MM_ENTRY_MAX);
	struct mm_receipt r = { .note = mm_buf_view(&o->checkpoint),
		.chain_pem = of->chain_pem };

	if (!mm_entries_find(o->entries, of->serial, what, &r.index))
		return MM_FAIL(why, MM_ENOTFOUND,
		    "ledger: certificate %s is "
		    "not in it",
		    of->serial);
	MM_TRY(mm_entries_get(o->entries, r.index, &entry, why));
	MM_TRY(mm_proof_inclusion(mm_entries_read, o->entries, r.index,
	    o->checkpoint_n, &r.proof, why));
	r.entry = mm_buf_view(&entry);
	return mm_receipt_encode(&r, out, why);
}

/* see own.h */
enum mm_err
mm_own_receipts(struct mm_own *o, const char *serial,
    struct mm_bytes chain_pem, struct mm_buf *const out[2],
    struct mm_why *why)
{
	const struct of of = { serial, chain_pem };

	MM_TRY(mm_own_checkpoint(o, why));
	MM_TRY(receipt(o, &of, MM_ENTRIES_ISSUED, out[0], why));
	return receipt(o, &of, MM_ENTRIES_CONFIRMED, out[1], why);
}
