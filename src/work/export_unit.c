/* What is wrong with single units of a station's export. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "pki/cert.h"
#include "pki/der.h"
#include "pki/possession.h"
#include "work/export_priv.h"

MM_FREE_FN(json_free, json_t, json_decref)

enum { HARDWARE_MAX = MM_POSSESSION_HARDWARE };

static const char *
field(const struct mm_entry *e, enum mm_entry_field f)
{
	return e->field[f] != NULL ? e->field[f] : "";
}

static void *
room(void *p, size_t n, size_t *cap, size_t size)
{
	void *more = p;

	if (n < *cap)
		return p;
	*cap = *cap == 0 ? 256 : *cap * 2;
	more = reallocarray(p, *cap, size);
	return more;
}

/* ---- an issuance, by itself ---- */

/* "order:b7:12"; each station's are numbered by themselves, and of other
 * stations' there may be some. */
static size_t
find_order(const struct mm_export *x, const struct mm_entry *e)
{
	size_t found = x->terms->norders;
	char name[96];

	for (size_t i = 0; i < x->terms->norders; i++) {
		const struct mm_work_order *o = x->terms->orders[i].order;

		snprintf(name, sizeof(name), "order:%s:%" PRId64, o->batch,
		    o->number);
		if (strcmp(name, field(e, MM_F_AUTHORITY)) != 0 ||
		    strcmp(o->batch, field(e, MM_F_BATCH)) != 0)
			continue;
		if (strcmp(o->station, x->report.station) == 0)
			return i;
		found = i;
	}
	return found;
}

static bool
has_serial(const struct mm_export_order *o, const char *serial)
{
	struct mm_bytes rest = o->list;
	struct mm_serials run;
	char one[MM_DEVICE_ID_MAX + 3];
	uint64_t at;
	int n;

	if (o->order->serials[0] != '\0')
		return mm_serials_parse(o->order->serials, &run, NULL) ==
			   MM_OK &&
		       mm_serials_find(&run, serial, &at);
	n = snprintf(one, sizeof(one), "\n%s\n", serial);
	return memmem(rest.p, rest.n, one, (size_t)n) != NULL ||
	       (rest.n >= (size_t)n - 1 &&
		   memcmp(rest.p, one + 1, (size_t)n - 1) == 0);
}

static bool
is_hash(const char *hex, struct mm_bytes of)
{
	char text[65];
	uint8_t hash[32];

	mm_sha256(of, hash);
	mm_hex_text(hash, sizeof(hash), text);
	return strcmp(hex, text) == 0;
}

/* By the line CA that the order brought: its first certificate. */
static bool
is_signed(
    struct mm_export *x, const struct mm_work_order *o, const struct mm_cert *c)
{
	struct mm_rd r = mm_rd_over(o->ca_chain);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_cert ca;

	return mm_cert_walk(mm_der_take_whole(&r, MM_DER_SEQ), &ca, NULL) ==
		   MM_OK &&
	       mm_bytes_eq(ca.subject, c->issuer) &&
	       mm_spki_load(&ca.spki, x->templates, &key, NULL) == MM_OK &&
	       mm_verify_bytes(NULL, key, c->alg, c->tbs, c->signature, NULL) ==
		   MM_OK;
}

/* NULL: nothing is wrong. */
static const char *
fault_of_order(const struct mm_export *x, const struct mm_entry *e, size_t at)
{
	const struct mm_export_order *o;

	if (at == x->terms->norders)
		return "made by an order that was not given";
	o = &x->terms->orders[at];
	if (strcmp(o->order->station, x->report.station) != 0 ||
	    strcmp(field(e, MM_F_STATION), x->report.station) != 0)
		return "made by another station's order";
	if (strcmp(o->order->product, field(e, MM_F_PRODUCT)) != 0)
		return "of another product than the order's";
	if (!has_serial(o, field(e, MM_F_DEVICE)))
		return "a serial number that the order does not have";
	if (e->at_ms < o->order->not_before_ms ||
	    e->at_ms >= o->order->until_ms)
		return "made outside the order's window, by the station's "
		       "clock";
	return NULL;
}

/* see export.h */
const char *
mm_export_damage(
    const struct mm_entry *e, struct mm_bytes der, struct mm_bytes proof)
{
	const char *cert = field(e, MM_F_CERT_SHA256);
	const char *detail = field(e, MM_F_DETAIL_SHA256);

	if (mm_entry_brings_cert(e->type) && cert[0] != '\0' &&
	    !is_hash(cert, der))
		return "its certificate";
	if (e->type == MM_E_CERT_CONFIRMED && detail[0] != '\0' &&
	    !is_hash(detail, proof))
		return "what its device signed";
	return NULL;
}

/* see export.h */
const char *
mm_export_fault_of_cert(
    const struct mm_entry *e, struct mm_bytes der, struct mm_cert *c)
{
	char serial[65];

	if (der.n == 0)
		return "its certificate is missing";
	if (!is_hash(field(e, MM_F_CERT_SHA256), der) ||
	    mm_cert_walk(der, c, NULL) != MM_OK || c->serial.n > 32)
		return "its certificate is another than the entry's";
	mm_hex_text(c->serial.p, c->serial.n, serial);
	if (strcmp(serial, field(e, MM_F_SERIAL)) != 0 ||
	    !is_hash(field(e, MM_F_SPKI_SHA256), c->spki.whole))
		return "its certificate has another serial number or key than "
		       "the entry";
	return NULL;
}

static const char *
fault_of_names(const struct mm_export_order *o, const struct mm_export_ca *by,
    const struct mm_entry *e, const struct mm_cert *c, struct mm_why *room)
{
	const struct mm_profile *p =
	    mm_export_profile(o->profiles, field(e, MM_F_PROFILE));
	const struct mm_export_made made = { o->order, by, p,
		field(e, MM_F_DEVICE) };

	return p == NULL ? "of a profile that the order does not name"
			 : mm_export_fault_of_made(&made, c, room);
}

/* see export.h */
const char *
mm_export_adopted(const struct mm_entry *e)
{
	return strcmp(field(e, MM_F_ACTION), MM_EXPORT_NONCE) == 0
	    ? MM_EXPORT_ADOPTED : MM_EXPORT_ADOPTED_OLD;
}

/* Made by another station, whose record of it was lost: by the CA of an order
 * of the same batch that was given.  That it was taken over is for a
 * supervisor, whatever else is right. */
static const char *
fault_of_adopted(struct mm_export *x, const struct mm_entry *e, size_t order,
    const struct mm_cert *c, struct mm_why *room)
{
	const struct mm_export_terms *t = x->terms;
	const struct mm_export_order *o = &t->orders[order];
	const char *fault = "its certificate is of no CA of the batch's "
			    "orders that were given";

	for (size_t i = 0; i < t->norders; i++) {
		const struct mm_work_order *by = t->orders[i].order;
		struct mm_rd r = mm_rd_over(by->ca_chain);
		const struct mm_export_ca ca = { field(e, MM_F_ISSUER),
			mm_der_take_whole(&r, MM_DER_SEQ) };

		if (strcmp(by->batch, o->order->batch) != 0 ||
		    !is_signed(x, by, c))
			continue;
		fault = fault_of_names(o, &ca, e, c, room);
		break;
	}
	return fault != NULL ? fault : mm_export_adopted(e);
}

static const char *
fault_of_cert(struct mm_export *x, const struct mm_entry *e, size_t order,
    struct mm_bytes der, struct mm_why *room)
{
	struct mm_cert c;
	const char *fault = mm_export_fault_of_cert(e, der, &c);

	if (fault != NULL || order == x->terms->norders)
		return fault;
	if (e->type == MM_E_CERT_ADOPTED)
		return fault_of_adopted(x, e, order, &c, room);
	if (!is_signed(x, x->terms->orders[order].order, &c))
		return "its certificate is not of the order's CA";
	return fault_of_names(&x->terms->orders[order], NULL, e, &c, room);
}

/* see export_priv.h */
enum mm_err
mm_export_issued(struct mm_export *x, uint64_t index, const struct mm_entry *e,
    struct mm_bytes der, struct mm_why *why)
{
	struct mm_export_cert c = {
		.index = index, .der_at = x->ders.n, .der_n = der.n
	};
	struct mm_export_cert *more =
	    room(x->cert, x->ncert, &x->certs, sizeof(*more));
	struct mm_why room;
	const char *fault;

	if (more == NULL)
		return MM_FAIL(why, MM_ENOMEM, "export: out of memory");
	x->cert = more;
	c.order = find_order(x, e);
	snprintf(c.device, sizeof(c.device), "%.*s", MM_DEVICE_ID_MAX,
	    field(e, MM_F_DEVICE));
	snprintf(c.serial, sizeof(c.serial), "%.64s", field(e, MM_F_SERIAL));
	(void)!mm_hex_parse(field(e, MM_F_SPKI_SHA256), 64, c.spki, 32, NULL);
	mm_buf_bytes(&x->ders, der);
	MM_TRY(mm_buf_ok(&x->ders, why));
	x->cert[x->ncert++] = c;
	fault = fault_of_order(x, e, c.order);
	if (fault == NULL)
		fault = fault_of_cert(x, e, c.order, der, &room);
	if (fault != NULL)
		mm_export_fault(x, index, c.device, fault);
	return MM_OK;
}

/* see export_priv.h */
enum mm_err
mm_export_confirmed(struct mm_export *x, uint64_t index,
    const struct mm_entry *e, struct mm_bytes proof, struct mm_why *why)
{
	struct mm_export_proof p = {
		.index = index, .at = x->proofs.n, .n = proof.n
	};
	struct mm_export_proof *more =
	    room(x->proof, x->nproof, &x->proofs_cap, sizeof(*more));

	if (more == NULL)
		return MM_FAIL(why, MM_ENOMEM, "export: out of memory");
	x->proof = more;
	snprintf(p.device, sizeof(p.device), "%.*s", MM_DEVICE_ID_MAX,
	    field(e, MM_F_DEVICE));
	snprintf(p.serial, sizeof(p.serial), "%.64s", field(e, MM_F_SERIAL));
	(void)!mm_hex_parse(field(e, MM_F_DETAIL_SHA256),
	    strlen(field(e, MM_F_DETAIL_SHA256)), p.sha256, 32, NULL);
	mm_buf_bytes(&x->proofs, proof);
	MM_TRY(mm_buf_ok(&x->proofs, why));
	x->proof[x->nproof++] = p;
	return MM_OK;
}

/* ---- all of them together ---- */

static int
by_device(const void *a, const void *b)
{
	const struct mm_export_cert *x = a, *y = b;

	return strcasecmp(x->device, y->device);
}

static int
by_key(const void *a, const void *b)
{
	const struct mm_export_cert *x = a, *y = b;

	return memcmp(x->spki, y->spki, sizeof(x->spki));
}

static int
by_serial(const void *a, const void *b)
{
	const struct mm_export_cert *x = a, *y = b;

	return strcmp(x->serial, y->serial);
}

/* All of equal ones but the first that was made. */
static void
tell_doubles(struct mm_export *x, size_t from, size_t to, const char *what)
{
	size_t first = from;

	for (size_t i = from; i < to; i++)
		if (x->cert[i].index < x->cert[first].index)
			first = i;
	for (size_t i = from; i < to; i++)
		if (i != first)
			mm_export_fault(
			    x, x->cert[i].index, x->cert[i].device, what);
}

/* Sorted by the serials of certificates at the end. */
static void
find_doubles(struct mm_export *x)
{
	static const struct {
		int (*by)(const void *a, const void *b);
		const char *what;
	} kinds[] = {
		{ by_device, "its serial number was made before" },
		{ by_key, "its key was certified before" },
		{ by_serial, "its certificate was entered before" },
	};

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		size_t from = 0;

		if (x->ncert > 0)
			qsort(x->cert, x->ncert, sizeof(*x->cert), kinds[k].by);
		for (size_t i = 1; i <= x->ncert; i++) {
			if (i < x->ncert &&
			    kinds[k].by(&x->cert[from], &x->cert[i]) == 0)
				continue;
			tell_doubles(x, from, i, kinds[k].what);
			from = i;
		}
	}
}

/* The batch's newest order says how many. */
static const struct mm_work_order *
newest(const struct mm_export *x, const char *batch)
{
	const struct mm_export_terms *t = x->terms;
	const struct mm_work_order *best = NULL;

	for (size_t i = 0; i < t->norders; i++) {
		const struct mm_work_order *o = t->orders[i].order;

		if (strcmp(o->batch, batch) == 0 &&
		    strcmp(o->station, x->report.station) == 0 &&
		    (best == NULL || o->number > best->number))
			best = o;
	}
	return best;
}

static void
count_shares(struct mm_export *x)
{
	const struct mm_export_terms *t = x->terms;
	char what[128];

	for (size_t i = 0; i < t->norders; i++) {
		const struct mm_work_order *o = t->orders[i].order;
		int64_t n = 0;

		if (newest(x, o->batch) != o)
			continue;
		for (size_t k = 0; k < x->ncert; k++)
			n += x->cert[k].order < t->norders &&
			     strcmp(t->orders[x->cert[k].order].order->batch,
				 o->batch) == 0;
		if (n <= o->share)
			continue;
		snprintf(what, sizeof(what),
		    "batch %s: %" PRId64 " were "
		    "made, the station's share is %" PRId64,
		    o->batch, n, o->share);
		mm_export_fault(x, x->tree.size, "", what);
	}
}

static bool
read_proof(struct mm_bytes json, struct mm_possession *p,
    uint8_t hw[HARDWARE_MAX], struct mm_buf *sig)
{
	MM_OWN(json_free)
	json_t *j = json_loadb(
	    (const char *)json.p, json.n, JSON_REJECT_DUPLICATES, NULL);
	const char *nonce = json_string_value(json_object_get(j, "nonce"));
	const char *id = json_string_value(json_object_get(j, "hardware"));
	const char *sign = json_string_value(json_object_get(j, "signature"));
	size_t n = id == NULL ? 0 : strlen(id) / 2;

	if (nonce == NULL || sign == NULL || n == 0 || n > HARDWARE_MAX ||
	    mm_hex_parse(nonce, strlen(nonce), p->nonce, sizeof(p->nonce),
		NULL) != MM_OK ||
	    mm_hex_parse(id, strlen(id), hw, n, NULL) != MM_OK ||
	    mm_base64_parse(mm_bytes_of(sign), sig, NULL) != MM_OK)
		return false;
	p->hardware = (struct mm_bytes){ hw, n };
	p->signature = mm_buf_view(sig);
	return true;
}

/* see export.h */
const char *
mm_export_fault_of_proof(
    const uint8_t sha256[32], struct mm_bytes json, struct mm_bytes der)
{
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(1024);
	struct mm_possession proof;
	uint8_t hash[32], hw[HARDWARE_MAX];

	mm_sha256(json, hash);
	if (json.n == 0 || memcmp(hash, sha256, sizeof(hash)) != 0)
		return "what it signed is missing, or another than the "
		       "entry's";
	if (!read_proof(json, &proof, hw, &sig) ||
	    mm_possession_verify(der, &proof, NULL) != MM_OK)
		return "what it signed does not prove its certificate";
	return NULL;
}

static const char *
fault_of_proof(const struct mm_export *x, const struct mm_export_proof *p,
    const struct mm_export_cert *c)
{
	if (c == NULL || strcmp(c->device, p->device) != 0)
		return MM_EXPORT_NOT_MADE;
	return mm_export_fault_of_proof(p->sha256,
	    (struct mm_bytes){ x->proofs.p + p->at, p->n },
	    (struct mm_bytes){ x->ders.p + c->der_at, c->der_n });
}

static void
check_proofs(struct mm_export *x)
{
	for (size_t i = 0; i < x->nproof; i++) {
		const struct mm_export_proof *p = &x->proof[i];
		struct mm_export_cert want;
		const char *fault;

		memcpy(want.serial, p->serial, sizeof(want.serial));
		fault = fault_of_proof(x, p,
		    x->ncert == 0 ? NULL
				  : bsearch(&want, x->cert, x->ncert,
					sizeof(*x->cert), by_serial));
		if (fault != NULL)
			mm_export_fault(x, p->index, p->device, fault);
	}
}

/* see export_priv.h */
void
mm_export_compare(struct mm_export *x)
{
	find_doubles(x);
	count_shares(x);
	check_proofs(x);
}
