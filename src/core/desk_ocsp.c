#include <stdlib.h>
#include <string.h>

#include "core/ocsp_alarm.h"
#include "core/priv.h"
#include "pki/ocsp.h"

/*
 * OCSP: what the store says of serial numbers, signed by a responder that the
 * issuer has certified (signer/ocsp.c).  The responder is in the ledger
 * before its first answer leaves.
 *
 * Whoever keeps an answer must know when it is no longer true: each serial
 * number has a turn (shared with others of the same hash), which goes up when
 * a certificate's state changes, before the call that changed it returns.
 */
enum {
	RESPONDERS = 1024,
	SINCE_S = 1700000000, /* before there was any serial of ours */
	AHEAD_MS = 300 * 1000,
	REST_MS = 2000, /* after a responder could not be had */
	RESTS = 256,    /* who have that, at most */
	STARTS_MS = 1000, /* of one go: a signer that hangs is asked once */
	LEAST_S = 3600, /* of its life, before it is renewed */
};

struct responder {
	char issuer[MM_NAME_MAX + 1];
	enum mm_responder_use use;
	uint8_t serial[MM_SERIAL_N];
	int64_t not_before_s, not_after_s;
	int64_t renew_s; /* 0: it is not there any more */
};
/* An issuer whose key cannot be used is nobody else's trouble. */
struct rest {
	char issuer[MM_NAME_MAX + 1]; /* "": nobody's */
	enum mm_responder_use use;
	int64_t until; /* monotonic */
};
struct mm_ocsp {
	struct responder of[RESPONDERS];
	unsigned n, oldest; /* oldest: the next to go */
	struct rest rest[RESTS];
	unsigned rests;     /* the next one's place */
	struct mm_buf out, in;
	struct mm_ocsp_alarms alarms;
	int64_t starts_until; /* monotonic: none is started after that */
};

/* see priv.h */
void
mm_ocsp_free(struct mm_ocsp **owner)
{
	struct mm_ocsp *o = MM_MOVE(*owner);

	if (o == NULL)
		return;
	mm_buf_done(&o->out);
	mm_buf_done(&o->in);
	free(o);
}

static enum mm_err
open_(struct mm_desk *d, struct mm_why *why)
{
	if (d->ocsp != NULL)
		return MM_OK;
	d->ocsp = calloc(1, sizeof(*d->ocsp));
	if (d->ocsp == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	mm_buf_init(&d->ocsp->out, MM_IPC_FRAME_MAX);
	mm_buf_init(&d->ocsp->in, MM_IPC_FRAME_MAX);
	return MM_OK;
}

/* ---- turns ---- */

/* The serial's random end. */
static size_t
slot_of(const uint8_t *serial, size_t n)
{
	return (((size_t)serial[n - 2] << 8) | serial[n - 1]) % MM_CERT_TURNS;
}

/* see core.h */
unsigned
mm_core_cert_turn(struct mm_core *c, const uint8_t serial[MM_SERIAL_N])
{
	return atomic_load(&c->cert_turn[slot_of(serial, MM_SERIAL_N)]);
}

/* see priv.h */
void
mm_cert_turned(struct mm_core *c, struct mm_bytes serial_hex)
{
	uint8_t serial[MM_SERIAL_N];

	if (mm_hex_parse((const char *)serial_hex.p, serial_hex.n, serial,
	    sizeof(serial), NULL) == MM_OK)
		atomic_fetch_add(&c->cert_turn[slot_of(serial, MM_SERIAL_N)],
		    1);
}

/* see core.h */
bool
mm_core_ocsp_line(struct mm_core *c, const struct mm_ocsp_id *id,
    char name[MM_NAME_MAX + 1], int64_t *life_s)
{
	const struct mm_made_line *line = mm_lines_asked(c->lines, id);
	const struct mm_issuer_conf *above;

	if (line == NULL)
		return false;
	above = mm_config_issuer(c->config, line->above);
	*life_s = (above == NULL ? 1 : above->ocsp_hours) * 3600;
	memcpy(name, line->name, MM_NAME_MAX + 1);
	return true;
}

/* ---- what the store says ---- */

static void
set_revoked(struct mm_ocsp_ask *a, const struct mm_cert_row *row)
{
	a->status = MM_OCSP_REVOKED;
	a->revoked_s = row->revoked_at / 1000;
	a->reason = row->state == MM_CERT_HELD ? 6 : row->reason;
}

static bool
is_line(struct mm_core *c, const char *issuer)
{
	const struct mm_issuer_conf *i = mm_config_issuer(c->config, issuer);

	return i == NULL || i->line;
}

/* Our serial numbers begin with the time at which they were made. */
static bool
is_plausible(const struct mm_ocsp_ask *a)
{
	int64_t ms = 0;

	for (unsigned i = 0; i < 6; i++)
		ms = ms << 8 | a->serial[i];
	return a->has_serial && ms / 1000 > SINCE_S &&
	    ms <= mm_now_ms() + AHEAD_MS;
}

/* A station's are not known here until it has synced. */
static void
alarm_(struct mm_desk *d, const struct mm_ocsp_ask *a)
{
	struct mm_ocsp_alarm alarm;

	if (!is_plausible(a) || is_line(d->c, a->issuer))
		return;
	memcpy(alarm.issuer, a->issuer, sizeof(alarm.issuer));
	memcpy(alarm.serial, a->serial, sizeof(alarm.serial));
	mm_ocsp_alarm(d, &d->ocsp->alarms, &alarm, mm_mono_ms());
}

static bool
is_below(const struct mm_chain *chain, const struct mm_chain *above,
    struct mm_bytes serial)
{
	struct mm_cert c;

	return chain != NULL && chain->n > 1 &&
	    mm_bytes_eq(chain->der[1], above->der[0]) &&
	    mm_cert_walk(chain->der[0], &c, NULL) == MM_OK &&
	    mm_bytes_eq(c.serial, serial);
}

/* A CA's own certificate is no row: it is a document, or in the
 * configuration. */
static bool
is_ca(struct mm_core *c, const struct mm_ocsp_ask *a)
{
	const struct mm_chain *above = mm_chains_issuer(c->chains, a->issuer);
	const struct mm_bytes serial = { a->serial, sizeof(a->serial) };

	if (!a->has_serial || above == NULL || above->n == 0)
		return false;
	for (size_t i = 0; i < c->config->nissuer; i++)
		if (is_below(mm_chains_issuer(c->chains,
			c->config->issuer[i].name), above, serial))
			return true;
	return mm_lines_made(c->lines, a->issuer, a->serial);
}

/* An issued certificate is good until it is revoked: whoever asks looks at
 * its dates himself. */
static enum mm_err
look_up(struct mm_desk *d, struct mm_ocsp_ask *a, struct mm_why *why)
{
	struct mm_cert_row row;
	enum mm_err rc = MM_ENOTFOUND;

	/* what is read now must not look newer than a revocation that comes */
	a->this_s = mm_now_s();
	a->turn = mm_core_cert_turn(d->c, a->serial);
	a->status = MM_OCSP_UNKNOWN;
	if (a->has_serial)
		rc = mm_get_cert(d->r, a->serial, &row, NULL);
	if (rc == MM_ENOTFOUND ||
	    (rc == MM_OK && strcmp(row.issuer, a->issuer) != 0)) {
		if (is_ca(d->c, a))
			a->status = MM_OCSP_GOOD;
		else
			alarm_(d, a);
		return MM_OK;
	}
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	if (row.state == MM_CERT_HELD || row.state == MM_CERT_REVOKED ||
	    row.state == MM_CERT_ORPHANED)
		set_revoked(a, &row);
	else
		a->status = MM_OCSP_GOOD;
	return MM_OK;
}

/* ---- responders ---- */

static struct responder *
find_for(struct mm_ocsp *o, const char *issuer, enum mm_responder_use use)
{
	for (unsigned i = 0; i < o->n; i++)
		if (o->of[i].use == use &&
		    strcmp(o->of[i].issuer, issuer) == 0)
			return &o->of[i];
	return NULL;
}

static struct responder *
find(struct mm_ocsp *o, const char *issuer)
{
	return find_for(o, issuer, MM_RESPONDER_OCSP);
}

static enum mm_err
enter(struct mm_desk *d, const char *issuer, enum mm_responder_use use,
    const struct mm_ocsp_start_rep *p, struct mm_why *why)
{
	struct mm_entry e = { .type = MM_E_RESPONDER_MADE };
	struct mm_cert_texts t;

	if (use == MM_RESPONDER_CONFIG)
		e.field[MM_F_ACTION] = "configuration";

	mm_entry_certified(&e, &t, &(struct mm_certified){ p->serial,
	    p->spki_sha256, p->cert_sha256, (int64_t)p->not_before_s,
	    (int64_t)p->not_after_s });
	e.field[MM_F_ISSUER] = issuer;
	e.field[MM_F_NODE] = mm_node_or_null(d->c);
	return mm_desk_enter(d, &e, why);
}

static struct responder *
place_for(struct mm_ocsp *o, const char *issuer, enum mm_responder_use use)
{
	struct responder *p = find_for(o, issuer, use);

	if (p != NULL)
		return p;
	if (o->n < RESPONDERS)
		return &o->of[o->n++];
	p = &o->of[o->oldest];
	o->oldest = (o->oldest + 1) % RESPONDERS;
	return p;
}

/* The key of a line CA that the signer made is in the store, sealed. */
static enum mm_err
certify(struct mm_desk *d, const char *issuer, enum mm_responder_use use,
    struct mm_ocsp_start_rep *rep, struct mm_why *why)
{
	MM_OWN(mm_line_kept_done) struct mm_line_kept k = { .to = { 0 } };
	const struct mm_made_line *line = mm_lines_find(d->c->lines, issuer);
	struct mm_ocsp_start_req req = { .use = (uint8_t)use };

	strcpy(req.issuer, issuer);
	if (line != NULL) {
		MM_TRY(mm_line_read(d->r, issuer, &k, why));
		req.der = mm_buf_view(&line->der);
		req.kept = mm_buf_view(&k.kept);
	}
	return mm_wire_call(d->c->wire, MM_LINE_OCSP, MM_IPC_OCSP_START, &req,
	    rep, &d->ocsp->in, why);
}

/* At half of what is left.  An issuer that ends soon has shorter and shorter
 * ones, and in its last hour the same one to the end. */
static int64_t
renewal_of(int64_t not_after_s)
{
	int64_t now = mm_now_s(), half = (not_after_s - now) / 2;

	return now + (half > LEAST_S ? half : LEAST_S);
}

static enum mm_err
start(struct mm_desk *d, const char *issuer, enum mm_responder_use use,
    struct mm_why *why)
{
	struct mm_ocsp_start_rep rep;
	struct responder *p;

	enum mm_err rc;

	/* promise 8: what cannot be entered is not signed */
	if (!d->c->store_ok)
		return MM_FAIL(why, MM_EAGAIN, "the store is away");
	/* while nobody holds it, what is outstanding was never entered */
	pthread_mutex_lock(&d->c->responding);
	rc = certify(d, issuer, use, &rep, why);
	if (rc == MM_OK)
		rc = enter(d, issuer, use, &rep, why);
	pthread_mutex_unlock(&d->c->responding);
	MM_TRY(rc);
	p = place_for(d->ocsp, issuer, use);
	strcpy(p->issuer, issuer);
	p->use = use;
	memcpy(p->serial, rep.serial, sizeof(p->serial));
	p->not_before_s = (int64_t)rep.not_before_s;
	p->not_after_s = (int64_t)rep.not_after_s;
	p->renew_s = renewal_of(p->not_after_s);
	return MM_OK;
}

static struct rest *
rest_of(struct mm_ocsp *o, const char *issuer, enum mm_responder_use use)
{
	for (unsigned i = 0; i < RESTS; i++)
		if (o->rest[i].use == use &&
		    strcmp(o->rest[i].issuer, issuer) == 0)
			return &o->rest[i];
	return NULL;
}

static void
let_rest(struct mm_ocsp *o, const char *issuer, enum mm_responder_use use)
{
	struct rest *r = rest_of(o, issuer, use);

	if (r == NULL) {
		r = &o->rest[o->rests];
		o->rests = (o->rests + 1) % RESTS;
		strcpy(r->issuer, issuer);
		r->use = use;
	}
	r->until = mm_mono_ms() + REST_MS;
}

/* Who could not have one is left in peace for a while. */
static enum mm_err
try_start(struct mm_desk *d, const char *issuer, enum mm_responder_use use)
{
	const int64_t now = mm_mono_ms();
	const struct rest *r = rest_of(d->ocsp, issuer, use);
	enum mm_err rc;

	if (now >= d->ocsp->starts_until || (r != NULL && now < r->until))
		return MM_EAGAIN;
	rc = start(d, issuer, use, NULL);
	if (rc != MM_OK && rc != MM_EPOLICY)
		let_rest(d->ocsp, issuer, use);
	return rc;
}

/* A new one at half of its life: answers by the old one are still good, and
 * where there is none to be had it goes on to its end. */
static enum mm_err
need(struct mm_desk *d, const char *issuer, enum mm_responder_use use,
    struct responder **out)
{
	struct responder *p = find_for(d->ocsp, issuer, use);
	int64_t now = mm_now_s();
	enum mm_err rc = MM_OK;

	if (p == NULL || now >= p->renew_s || now < p->not_before_s)
		rc = try_start(d, issuer, use);
	p = *out = find_for(d->ocsp, issuer, use);
	return p != NULL && p->renew_s != 0 && now >= p->not_before_s &&
	    now < p->not_after_s ? MM_OK : rc;
}

/* For who looks at what signs configurations. */
static void
note_key(struct mm_core *c, const struct responder *p)
{
	if (p != NULL) {
		atomic_store(&c->config_ends, p->not_after_s);
		atomic_store(&c->config_missing, 0);
	} else if (atomic_load(&c->config_missing) == 0) {
		atomic_store(&c->config_missing, mm_now_s());
	}
}

/* see priv.h */
enum mm_err
mm_desk_responder(struct mm_desk *d, const char *issuer,
    enum mm_responder_use use, bool anew, uint8_t serial[MM_SERIAL_N],
    struct mm_why *why)
{
	struct responder *p = NULL;
	enum mm_err rc;

	MM_TRY(open_(d, why));
	d->ocsp->starts_until = mm_mono_ms() + STARTS_MS;
	p = find_for(d->ocsp, issuer, use);
	if (anew && p != NULL)
		p->renew_s = 0;
	rc = need(d, issuer, use, &p);
	if (use == MM_RESPONDER_CONFIG)
		note_key(d->c, rc == MM_OK ? p : NULL);
	if (rc != MM_OK)
		return MM_FAIL(why, rc == MM_EPOLICY ? rc : MM_EAGAIN,
		    "issuer %s certifies no key for this now", issuer);
	memcpy(serial, p->serial, MM_SERIAL_N);
	return MM_OK;
}

/* ---- asking the signer ---- */

static void
put(struct mm_desk *d, struct mm_ocsp_ask *a, const struct responder *p,
    uint32_t tag)
{
	struct mm_ocsp_sign_req req = { .id = a->id,
		.status = (uint8_t)a->status, .reason = a->reason,
		.revoked_s = (uint64_t)a->revoked_s, .nonce = a->nonce };

	memcpy(req.responder, p->serial, sizeof(req.responder));
	a->next_s = a->this_s + a->life_s;
	if (a->next_s > p->not_after_s)
		a->next_s = p->not_after_s;
	req.this_s = (uint64_t)a->this_s;
	req.next_s = (uint64_t)a->next_s;
	if (!mm_frame_put_req(&d->ocsp->out, tag, &req))
		a->rc = MM_EAGAIN;
}

static void
take(struct mm_desk *d, struct mm_ocsp_ask *a, struct mm_bytes body)
{
	struct mm_ocsp_sign_rep rep;
	struct responder *p;

	a->rc = mm_answer_get(MM_IPC_OCSP_SIGN, body, &rep, NULL);
	if (a->rc == MM_ENOTFOUND) { /* the signer is another one since */
		p = find(d->ocsp, a->issuer);
		if (p != NULL)
			p->renew_s = 0; /* start anew */
	}
	if (a->rc != MM_OK)
		return;
	mm_buf_reset(&a->der);
	mm_buf_bytes(&a->der, rep.der);
	a->rc = mm_buf_ok(&a->der, NULL);
}

/* An issuer that has no responder now is nobody else's trouble.  For a line CA
 * none is made for who makes serial numbers up: there are thousands. */
static enum mm_err
have(struct mm_desk *d, const struct mm_ocsp_ask *a, struct responder **out)
{
	if (a->status == MM_OCSP_UNKNOWN && find(d->ocsp, a->issuer) == NULL &&
	    mm_config_issuer(d->c->config, a->issuer) == NULL)
		return MM_EPOLICY;
	return need(d, a->issuer, MM_RESPONDER_OCSP, out);
}

static bool
ask(struct mm_desk *d, struct mm_ocsp_ask *a, uint32_t tag)
{
	struct responder *p;
	enum mm_err rc = have(d, a, &p);

	if (rc != MM_OK) {
		a->rc = rc == MM_EPOLICY ? rc : MM_ESYS;
		return false;
	}
	put(d, a, p, tag);
	return true;
}

/* Those of one frame: who is asked for has MM_EAGAIN until he is answered. */
static enum mm_err
sign(struct mm_desk *d, struct mm_ocsp_ask *asks, size_t n,
    struct mm_why *why)
{
	uint32_t first = mm_wire_tag(d->c->wire), tag;
	struct mm_frame answer;
	struct mm_bytes body;
	unsigned asked = 0;

	mm_frame_begin(&d->ocsp->out, MM_IPC_OCSP_SIGN);
	for (size_t i = 0; i < n; i++)
		if (asks[i].rc == MM_EAGAIN)
			asked += ask(d, &asks[i], first + (uint32_t)i);
	if (asked == 0)
		return MM_OK;
	MM_TRY(mm_wire_batch(d->c->wire, MM_LINE_OCSP, &d->ocsp->out,
	    &d->ocsp->in, &answer, why));
	while (mm_frame_next(&answer, &tag, &body))
		if (tag - first < n)
			take(d, &asks[tag - first], body);
	return MM_OK;
}

/* Once more for whoever met a signer that was started since. */
static enum mm_err
sign_all(struct mm_desk *d, struct mm_ocsp_ask *asks, size_t n,
    struct mm_why *why)
{
	bool again = false;

	MM_TRY(sign(d, asks, n, why));
	for (size_t i = 0; i < n; i++)
		if (asks[i].rc == MM_ENOTFOUND) {
			asks[i].rc = MM_EAGAIN;
			again = true;
		}
	return again ? sign(d, asks, n, why) : MM_OK;
}

/* see core.h */
void
mm_desk_ocsp_rest(struct mm_desk *d, bool last)
{
	int64_t now = mm_mono_ms();

	if (d->ocsp != NULL) /* somebody has asked */
		mm_ocsp_alarms_turn(d, &d->ocsp->alarms,
		    last ? now + MM_OCSP_ALARM_MS : now);
}

/* see core.h */
enum mm_err
mm_desk_ocsp(struct mm_desk *d, struct mm_ocsp_ask *asks, size_t n,
    struct mm_why *why)
{
	enum mm_err rc;

	MM_INVARIANT(n <= MM_IPC_ITEMS_MAX);
	MM_TRY(open_(d, why));
	mm_ocsp_alarms_turn(d, &d->ocsp->alarms, mm_mono_ms());
	for (size_t i = 0; i < n; i++) {
		rc = look_up(d, &asks[i], why);
		asks[i].rc = rc == MM_OK ? MM_EAGAIN : MM_ESYS;
	}
	mm_wire_lock(d->c->wire, MM_LINE_OCSP);
	d->ocsp->starts_until = mm_mono_ms() + STARTS_MS;
	rc = sign_all(d, asks, n, why);
	mm_wire_unlock(d->c->wire, MM_LINE_OCSP);
	return rc;
}
