#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "core/sync_priv.h"
#include "line/initial.h"
#include "work/export.h"

/*
 * Whether a unit of a station's ledger fits what the centre knows: its batch,
 * the station's share, the line CA and the profile, other devices and other
 * stations.  The first thing that does not is its fault.
 */
enum { AHEAD_MS = 300000 /* of a station's clock */ };

typedef enum mm_err check_fn(
    struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why);

MM_PRINTF(3)
static enum mm_err
fault(struct mm_sync_unit *u, enum mm_sync_fault code, const char *fmt, ...)
{
	va_list ap;

	u->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(u->fault, sizeof(u->fault), fmt, ap);
	va_end(ap);
	return MM_OK;
}

static enum mm_err
unread(enum mm_err rc, struct mm_why *why)
{
	return MM_FAIL(why, rc, "the store cannot be read");
}

/* ---- the certificate by itself ---- */

/* see sync_priv.h */
enum mm_err
mm_sync_walk(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	const char *what = mm_export_fault_of_cert(&u->e, u->line->der, &u->c);

	(void)s;
	(void)why;
	if (what != NULL)
		return fault(u, MM_SYNC_CERTIFICATE, "%s", what);
	if (u->c.serial.n != MM_SERIAL_N)
		return fault(u, MM_SYNC_CERTIFICATE,
		    "its serial number has %zu bytes, want %d", u->c.serial.n,
		    MM_SERIAL_N);
	if (!mm_device_id_valid(mm_sync_field(u, MM_F_DEVICE)))
		return fault(u, MM_SYNC_CERTIFICATE,
		    "its device has no name that one may have");
	memcpy(u->row.serial, u->c.serial.p, MM_SERIAL_N);
	mm_sha256(u->c.spki.whole, u->row.spki_sha256);
	mm_sha256(u->line->der, u->row.cert_sha256);
	strcpy(u->row.device, mm_sync_field(u, MM_F_DEVICE));
	u->row.not_before_s = u->c.not_before_s;
	u->row.not_after_s = u->c.not_after_s;
	return MM_OK;
}

/* The same again is nothing new; whatever else has its serial is a fault. */
static enum mm_err
is_new(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	struct mm_cert_row have;
	enum mm_err rc = mm_get_cert(s->d->r, u->row.serial, &have, NULL);

	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return unread(rc, why);
	if (memcmp(have.cert_sha256, u->row.cert_sha256, 32) != 0)
		return fault(u, MM_SYNC_DOUBLE,
		    "its serial number is another certificate's, "
		    "of device %s",
		    have.device);
	if (strcmp(have.device, u->row.device) != 0)
		return fault(u, MM_SYNC_DOUBLE,
		    "its certificate is device %s's", have.device);
	u->known = true;
	return MM_OK;
}

/* What was put aside is for a supervisor to take in, whatever comes again and
 * however it would be judged now. */
static enum mm_err
is_not_aside(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_aside_done) struct mm_aside a = { .o = NULL };
	struct mm_quarantined q;
	enum mm_err rc;

	if (s->release != NULL)
		return MM_OK;
	rc = mm_aside_of_serial(
	    s->d->r, s->station->id, mm_sync_field(u, MM_F_SERIAL), &a, why);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK : rc;
	MM_TRY(mm_aside_bytes(&a, "certificate", &der, why));
	MM_TRY(mm_aside_parse(&a, &q, why));
	return mm_bytes_eq(mm_buf_view(&der), u->line->der)
		   ? fault(u, q.fault, "%s", q.reason)
		   : MM_OK;
}

/* ---- its batch ---- */

static enum mm_err
read_order(struct mm_sync *s, struct mm_sync_batch *k, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_bytes text;

	MM_TRY(
	    mm_desk_order_stored(s->d, s->station->id, k->b->id, &note, why));
	if (note.n > 0 &&
	    mm_note_text(mm_buf_view(&note), &text, NULL) == MM_OK)
		(void)!mm_work_order_parse(text, &k->order, NULL);
	return MM_OK;
}

/* Those that its stations have with their orders. */
static enum mm_err
read_profiles(struct mm_sync *s, struct mm_sync_batch *k, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_PAPER_MAX);
	struct mm_why own = { 0 };
	enum mm_err rc = mm_desk_profiles(s->d, k->b, &text, &own);

	if (rc == MM_ECONFLICT)
		return MM_OK;
	if (rc == MM_OK)
		rc = mm_profiles_read(mm_buf_view(&text),
		    "the batch's profiles", &k->profiles, &own);
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

/* A station that signs by itself has its places back when it scraps a unit,
 * and tells of that after its certificates: by its order it signs for share
 * and allowance, and no more. */
static int64_t
signed_at_most(const struct mm_production *b, const struct mm_quota *q,
    int64_t share, int64_t scrap)
{
	return b->mode == MM_WORK_OFFLINE ? share + scrap : q->most;
}

static enum mm_err
read_batch(struct mm_sync *s, const char *id, struct mm_sync_batch *k,
    struct mm_why *why)
{
	struct mm_quota q;

	/* the desk keeps as many as a piece may have: none of them goes */
	MM_TRY(mm_desk_batch(s->d, id, &k->b, &k->roll, why));
	MM_TRY(read_order(s, k, why));
	MM_TRY(read_profiles(s, k, why));
	k->share = mm_production_share_of(k->b, s->station->id);
	MM_TRY(mm_quota_get(s->d->r, k->b, "", &q, why));
	k->most = signed_at_most(k->b, &q, k->b->quantity, k->b->scrap);
	if (k->share == NULL)
		return MM_OK;
	MM_TRY(mm_quota_get(s->d->r, k->b, s->station->id, &q, why));
	k->station_most = signed_at_most(k->b, &q, k->share->n,
	    k->share->scrap);
	return MM_OK;
}

static void
batch_done(struct mm_sync_batch *k)
{
	mm_work_order_free(&k->order);
	mm_profiles_done(&k->profiles);
}

/* see sync_priv.h */
void
mm_sync_batches_done(struct mm_sync *s)
{
	for (size_t i = 0; i < s->nbatches; i++)
		batch_done(&s->batch[i]);
	s->nbatches = 0;
}

static enum mm_err
find_batch(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	const char *id = mm_sync_field(u, MM_F_BATCH);
	struct mm_sync_batch *k = &s->batch[s->nbatches];
	struct mm_why own = { 0 };
	enum mm_err rc;

	for (size_t i = 0; i < s->nbatches; i++)
		if (strcmp(s->batch[i].b->id, id) == 0)
			return u->batch = &s->batch[i], MM_OK;
	if (s->nbatches == MM_SYNC_BATCHES_MAX)
		return MM_FAIL(why, MM_EINPUT,
		    "entries: of more than %d batches", MM_SYNC_BATCHES_MAX);
	memset(k, 0, sizeof(*k));
	rc = read_batch(s, id, k, &own);
	if (rc == MM_OK) {
		s->nbatches++;
		u->batch = k;
		return MM_OK;
	}
	batch_done(k);
	return rc == MM_ENOTFOUND
		   ? fault(u, MM_SYNC_BATCH,
			 "made in a batch that the centre does not have")
		   : MM_FAIL(why, rc, "%s", own.text);
}

/* "order:b7:12", of this station */
static enum mm_err
is_by_an_order(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	const char *authority = mm_sync_field(u, MM_F_AUTHORITY);
	const char *colon = strrchr(authority, ':');
	char head[MM_NAME_MAX + 8];
	int64_t number;

	(void)why;
	if (strcmp(mm_sync_field(u, MM_F_STATION), s->station->id) != 0)
		return fault(u, MM_SYNC_ORDER, "made at another station");
	snprintf(
	    head, sizeof(head), "order:%.32s:", mm_sync_field(u, MM_F_BATCH));
	if (colon == NULL || strncmp(authority, head, strlen(head)) != 0 ||
	    colon + 1 != authority + strlen(head) ||
	    mm_int_parse(colon + 1, &number, NULL) != MM_OK || number < 1 ||
	    number > s->station->last.number)
		return fault(u, MM_SYNC_ORDER,
		    "made by an order that the centre did not sign");
	return MM_OK;
}

static enum mm_err
is_in_scope(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	const struct mm_production *b = u->batch->b;

	return mm_scope_sees(&s->by->scope, b->order->product, b->id)
		   ? MM_OK
		   : MM_FAIL(why, MM_EPOLICY,
			 "entries: some are of what this credential is not "
			 "for");
}

static enum mm_err
is_of_the_batch(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	const struct mm_sync_batch *k = u->batch;
	const struct mm_work_order *o = k->b->order;
	uint64_t at = 0;

	(void)s;
	(void)why;
	if (strcmp(mm_sync_field(u, MM_F_PRODUCT), o->product) != 0)
		return fault(u, MM_SYNC_BATCH,
		    "of another product than batch %s", k->b->id);
	if (k->b->nshares > 0 && k->share == NULL)
		return fault(u, MM_SYNC_BATCH,
		    "batch %s has no share for station %s", k->b->id,
		    s->station->id);
	if (!mm_roll_find(k->roll, u->row.device, &at))
		return fault(u, MM_SYNC_BATCH,
		    "a serial number that batch %s does not have", k->b->id);
	if (o->take == MM_WORK_NEXT && k->share != NULL &&
	    (at < (uint64_t)k->share->first ||
		at >= (uint64_t)(k->share->first + k->share->n +
				 k->share->scrap)))
		return fault(u, MM_SYNC_BATCH,
		    "a serial number of another station's share");
	strcpy(u->row.product, o->product);
	u->of_the_share = true;
	return MM_OK;
}

/* By the station's clock, and by that of its signer in the certificate, which
 * may be backdated. */
static enum mm_err
is_in_time(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	const struct mm_work_order *o = u->batch->b->order;

	(void)s;
	(void)why;
	if (u->e.at_ms < o->not_before_ms || u->e.at_ms >= o->until_ms ||
	    u->row.not_before_s >= o->until_ms / 1000)
		return fault(u, MM_SYNC_WINDOW,
		    "made outside the window of batch %s", u->batch->b->id);
	return u->e.at_ms <= mm_now_ms() + AHEAD_MS
		   ? MM_OK
		   : fault(u, MM_SYNC_CLOCK,
			 "made after now, by the station's clock");
}

/* What the centre has ended since: its own clock and the station's. */
static enum mm_err
is_before_the_end(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	const struct mm_production *b = u->batch->b;
	const struct mm_station *from = s->station;

	(void)why;
	if (b->closed_at != 0 && u->e.at_ms > b->closed_at)
		return fault(
		    u, MM_SYNC_ENDED, "made after batch %s was closed", b->id);
	if (from->removed_at != 0 && u->e.at_ms > from->removed_at)
		return fault(u, MM_SYNC_ENDED,
		    "made after station %s was removed", from->id);
	return MM_OK;
}

/* ---- its certificate ---- */

/* see sync_priv.h */
bool
mm_sync_is_signed(
    struct mm_sync *s, const struct mm_cert *c, struct mm_bytes issuer)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_cert ca;

	return mm_cert_walk(issuer, &ca, NULL) == MM_OK &&
	       mm_bytes_eq(ca.subject, c->issuer) &&
	       mm_spki_load(&ca.spki, s->templates, &key, NULL) == MM_OK &&
	       mm_cert_verify(c, key, NULL) == MM_OK;
}

/* Whether the line CA is one of the batch's, whichever station's: the first
 * order that it went with has decided (desk_line.c). */
static enum mm_err
is_a_ca_of_the_batch(struct mm_sync *s, const struct mm_sync_unit *u,
    bool *yes, struct mm_why *why)
{
	const struct mm_production *b = u->batch->b;
	char id[MM_DOC_ID_MAX + 1], whose[2 * MM_NAME_MAX + 2];
	uint8_t have[32], want[32];
	enum mm_err rc;

	*yes = false;
	snprintf(id, sizeof(id), "line:%.32s", mm_sync_field(u, MM_F_ISSUER));
	rc = mm_noted_get(s->d->r, id, have, NULL);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK : unread(rc, why);
	for (size_t i = 0; i < b->nshares && !*yes; i++) {
		snprintf(whose, sizeof(whose), "%s/%s", b->share[i].station,
		    b->id);
		mm_sha256(mm_bytes_of(whose), want);
		*yes = memcmp(have, want, sizeof(want)) == 0;
	}
	return MM_OK;
}

/* Made by a CA of the batch, and taken over by a station that the batch has,
 * too; the order of that one is what its profile is looked up in. */
static enum mm_err
is_of_a_ca(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	const char *name = mm_sync_field(u, MM_F_ISSUER);
	const struct mm_chain *chain = mm_issuer_chain(s->d->c, name);
	bool yes;

	if (u->batch->order == NULL)
		return fault(u, MM_SYNC_ISSUER,
		    "batch %s has no order for station %s", u->batch->b->id,
		    s->station->id);
	MM_TRY(is_a_ca_of_the_batch(s, u, &yes, why));
	if (chain == NULL || !yes)
		return fault(u, MM_SYNC_ISSUER,
		    "its issuer is no line CA of batch %s", u->batch->b->id);
	if (!mm_sync_is_signed(s, &u->c, chain->der[0]))
		return fault(u, MM_SYNC_CERTIFICATE,
		    "its certificate is not signed by line CA %s", name);
	strcpy(u->row.issuer, name);
	return MM_OK;
}

/* The line CA that the order brought, which the centre has among its issuers:
 * its lists and its chain are found there. */
static enum mm_err
is_of_the_ca(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	const char *name = mm_sync_field(u, MM_F_ISSUER);
	const struct mm_work_order *o = u->batch->order;
	const struct mm_chain *chain = mm_issuer_chain(s->d->c, name);

	if (u->e.type == MM_E_CERT_ADOPTED)
		return is_of_a_ca(s, u, why);
	if (o == NULL || o->ca_name[0] == '\0')
		return fault(u, MM_SYNC_ISSUER,
		    "batch %s has no order with a line CA for "
		    "station %s",
		    u->batch->b->id, s->station->id);
	if (chain == NULL || strcmp(o->ca_name, name) != 0)
		return fault(u, MM_SYNC_ISSUER,
		    "its issuer is not line CA %s of batch %s", o->ca_name,
		    u->batch->b->id);
	if (!mm_sync_is_signed(s, &u->c, chain->der[0]))
		return fault(u, MM_SYNC_CERTIFICATE,
		    "its certificate is not signed by line CA %s", name);
	strcpy(u->row.issuer, name);
	return MM_OK;
}

/* Numbers are of a station, whatever the batch: one that another batch's order
 * has, or that was never signed, is none. */
static enum mm_err
is_by_its_order(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	const char *number = strrchr(mm_sync_field(u, MM_F_AUTHORITY), ':');
	char id[MM_DOC_ID_MAX + 1];
	uint8_t have[32], want[32];
	int64_t n = 0;
	enum mm_err rc;

	MM_INVARIANT(number != NULL); /* is_by_an_order */
	(void)!mm_int_parse(number + 1, &n, NULL);
	mm_order_number_id(s->station->id, n, id);
	rc = mm_noted_get(s->d->r, id, have, NULL);
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return unread(rc, why);
	mm_sha256(mm_bytes_of(u->batch->b->id), want);
	return rc == MM_OK && memcmp(have, want, sizeof(want)) == 0
		   ? MM_OK
		   : fault(u, MM_SYNC_ORDER,
			 "made by an order that is not of batch %s",
			 u->batch->b->id);
}

static enum mm_err
is_of_the_profile(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	const struct mm_profile *p = mm_production_profile(
	    u->batch->b, &u->batch->profiles, mm_sync_field(u, MM_F_PROFILE));
	struct mm_why room;
	const char *what;
	const struct mm_chain *chain = mm_issuer_chain(s->d->c, u->row.issuer);
	struct mm_export_ca by = { u->row.issuer, { NULL, 0 } };
	const struct mm_export_made made = { u->batch->order, &by, p,
		u->row.device };

	(void)why;
	MM_INVARIANT(chain != NULL); /* is_of_the_ca */
	by.der = chain->der[0];
	if (p == NULL)
		return fault(u, MM_SYNC_PROFILE,
		    "profile %.40s is none of batch %s, or not in "
		    "the configuration any more",
		    mm_sync_field(u, MM_F_PROFILE), u->batch->b->id);
	snprintf(u->row.profile, sizeof(u->row.profile), "%s",
	    mm_sync_field(u, MM_F_PROFILE));
	u->row.idevid = p->kind == MM_PROFILE_IDEVID;
	what = mm_export_fault_of_made(&made, &u->c, &room);
	return what == NULL ? MM_OK
			    : fault(u, MM_SYNC_PROFILE,
				  "its certificate is not as profile %s says: "
				  "%.90s",
				  u->row.profile, what);
}

/* Whether that hash is what is entered of what the batch gives the device, by
 * its papers.  An older station enters the document's own: here it becomes what
 * this version enters. */
static enum mm_err
is_given(struct mm_sync *s, struct mm_sync_unit *u, const char *hex,
    bool *yes, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf document = MM_BUF_INIT(MM_FILL_MAX);
	const struct mm_work_order *o = u->batch->b->order;
	struct mm_initial_of of = { .device = u->row.device,
		.product = o->product, .batch = u->batch->b->id };
	struct mm_initial_made made;
	uint8_t said[32], mark[32];

	*yes = false;
	if (mm_hex_parse(hex, strlen(hex), said, sizeof(said), NULL) != MM_OK)
		return MM_OK;
	MM_TRY(mm_desk_papers(s->d, o, &of, why));
	if (mm_initial_make(&of, &document, &made, NULL) != MM_OK ||
	    !mm_initial_is_mark(said, made.salt, made.sha256))
		return MM_OK;
	mm_initial_mark(made.salt, made.sha256, mark);
	mm_hex_text(mark, 32, u->mark);
	*yes = true;
	return MM_OK;
}

/* Nothing is taken over of what was entered but what is made here, too. */
static enum mm_err
is_set_up(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	int64_t want = u->batch->b->order->config_version, version = 0;
	const char *said = u->e.field[MM_F_CONFIG_VERSION];
	bool given;

	if (said != NULL)
		(void)!mm_int_parse(said, &version, NULL);
	if (version != want)
		return fault(u, MM_SYNC_PROFILE,
		    "it was given version %" PRId64 " of a configuration, and "
		    "batch %s has %" PRId64,
		    version, u->batch->b->id, want);
	if (want == 0)
		return MM_OK;
	MM_TRY(is_given(s, u, mm_sync_field(u, MM_F_CONFIG_SHA256), &given,
	    why));
	return given ? MM_OK : fault(u, MM_SYNC_PROFILE,
	    "it was given another configuration than batch %s gives it",
	    u->batch->b->id);
}

/* ---- beside other devices ---- */

/* Who made it is in the unit's record, if it was made in this batch. */
static enum mm_err
made_already(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	struct mm_made m;
	enum mm_err rc =
	    mm_made_get(s->d->r, u->batch->b->id, u->row.device, &m, NULL);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return unread(rc, why);
	if (rc == MM_OK && m.station[0] != '\0')
		return fault(u, MM_SYNC_DOUBLE,
		    "device %s has a certificate already: station "
		    "%s made it",
		    u->row.device, m.station);
	return fault(u, MM_SYNC_DOUBLE, "device %s has a certificate already",
	    u->row.device);
}

static enum mm_err
is_alone(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	struct mm_cert_row have;

	for (int idevid = 0; idevid < 2; idevid++) {
		enum mm_err rc = mm_get_device_cert(
		    s->d->r, u->row.device, idevid, &have, NULL);

		if (rc == MM_OK)
			return made_already(s, u, why);
		if (rc != MM_ENOTFOUND)
			return unread(rc, why);
	}
	return MM_OK;
}

static enum mm_err
is_its_device(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	struct mm_device have;
	enum mm_err rc = mm_get_device(s->d->r, u->row.device, &have, NULL);

	u->new_device = rc == MM_ENOTFOUND;
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return unread(rc, why);
	if (strcmp(have.id, u->row.device) != 0)
		return fault(u, MM_SYNC_DEVICE,
		    "device %s is there, in other case", have.id);
	if (strcmp(have.product, u->row.product) != 0)
		return fault(u, MM_SYNC_DEVICE, "device %s is of product %s",
		    have.id, have.product);
	if (have.state != MM_DEVICE_ACTIVE)
		return fault(
		    u, MM_SYNC_DEVICE, "device %s is retired", have.id);
	if (!mm_zero(have.bound_spki, 32) &&
	    memcmp(have.bound_spki, u->row.spki_sha256, 32) != 0)
		return fault(u, MM_SYNC_DEVICE,
		    "device %s is bound to another key", have.id);
	return is_alone(s, u, why);
}

static enum mm_err
is_its_key(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	struct mm_key_use use;
	enum mm_err rc =
	    mm_get_key_use(s->d->r, u->row.spki_sha256, &use, NULL);

	if (rc == MM_ENOTFOUND)
		return MM_OK;
	return rc == MM_OK
		   ? fault(u, MM_SYNC_DOUBLE,
			 "its key is certified for device %s", use.device)
		   : unread(rc, why);
}

static enum mm_err
has_quota(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	const struct mm_sync_batch *k = u->batch;
	struct mm_quota q;

	MM_TRY(mm_quota_get(s->d->r, k->b, "", &q, why));
	if (q.made + k->fits >= k->most)
		return fault(u, MM_SYNC_QUOTA,
		    "batch %s: its quota of %" PRId64 " is gone", k->b->id,
		    k->most);
	if (k->share == NULL)
		return MM_OK;
	MM_TRY(mm_quota_get(s->d->r, k->b, s->station->id, &q, why));
	return q.made + k->fits < k->station_most
		   ? MM_OK
		   : fault(u, MM_SYNC_QUOTA,
			 "batch %s: the share of %" PRId64 " of station "
			 "%s is gone",
			 k->b->id, k->station_most, s->station->id);
}

/* That it is the batch's does not say that the station which made it kept to
 * its share, nor that the one which found it did not look away. */
static enum mm_err
is_told_of(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	(void)s;
	(void)why;
	return u->e.type != MM_E_CERT_ADOPTED ? MM_OK
	    : fault(u, MM_SYNC_ADOPTED, "%s", mm_export_adopted(&u->e));
}

/* What is stored with it is not found in the store yet. */
static enum mm_err
is_once(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	(void)why;
	for (const struct mm_sync_unit *o = s->unit; o < u; o++) {
		if (o->fault[0] != '\0' || o->known || o->stored)
			continue;
		if (strcasecmp(o->row.device, u->row.device) == 0)
			return fault(u, MM_SYNC_DOUBLE,
			    "device %s was made before, in entry "
			    "%" PRIu64,
			    u->row.device, o->index);
		if (memcmp(o->row.spki_sha256, u->row.spki_sha256, 32) == 0)
			return fault(u, MM_SYNC_DOUBLE,
			    "its key is certified for device %s",
			    o->row.device);
		if (memcmp(o->row.serial, u->row.serial, MM_SERIAL_N) == 0)
			return fault(u, MM_SYNC_DOUBLE,
			    "its serial number is another "
			    "certificate's, of device %s",
			    o->row.device);
	}
	return MM_OK;
}

/* In this order: later ones use what earlier ones found. */
static check_fn *const checks[] = { mm_sync_walk, is_new, is_not_aside,
	is_by_an_order, find_batch, is_in_scope, is_of_the_batch, is_in_time,
	is_before_the_end, is_of_the_ca, is_by_its_order, is_of_the_profile,
	is_set_up, is_its_device, is_its_key, is_once, is_told_of, has_quota };

/* Whether a supervisor may take it in all the same, who wants to. */
static bool
is_waived(const struct mm_sync *s, struct mm_sync_unit *u)
{
	if (u->fault[0] == '\0' || s->release == NULL ||
	    mm_sync_faults[u->code].may != MM_SYNC_YES)
		return false;
	u->over |= u->code == MM_SYNC_QUOTA;
	u->fault[0] = '\0';
	return true;
}

/* see sync_priv.h */
enum mm_err
mm_sync_judge(struct mm_sync *s, struct mm_sync_unit *u, struct mm_why *why)
{
	u->fault[0] = u->mark[0] = '\0';
	u->known = u->of_the_share = u->over = false;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		MM_TRY(checks[i](s, u, why));
		if (!is_waived(s, u) && (u->fault[0] != '\0' || u->known))
			return MM_OK;
	}
	return MM_OK;
}
