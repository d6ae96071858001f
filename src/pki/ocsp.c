#include "pki/ocsp.h"

#include <string.h>

#include "pki/priv.h"

#define OID_NONCE "1.3.6.1.5.5.7.48.1.2"
#define OID_BASIC "1.3.6.1.5.5.7.48.1.1"

static const struct {
	const char *oid;
	size_t n;
} hashes[MM_OCSP_HASHES] = {
	[MM_OCSP_SHA1] = { "1.3.14.3.2.26", 20 },
	[MM_OCSP_SHA256] = { "2.16.840.1.101.3.4.2.1", 32 },
};

/* ---- reading ---- */

/* AlgorithmIdentifier: parameters are NULL or absent (RFC 5754 2). */
static bool
take_hash(struct mm_rd *id, enum mm_ocsp_hash *out)
{
	struct mm_rd r = mm_rd_over(mm_der_take(id, MM_DER_SEQ));
	struct mm_bytes oid = mm_der_take(&r, MM_DER_OID);

	if (mm_der_peek(&r, MM_DER_NULL) &&
	    mm_der_take(&r, MM_DER_NULL).n != 0)
		r.bad = true;
	if (!mm_rd_end(&r)) {
		id->bad = true;
		return false;
	}
	for (unsigned i = 0; i < MM_OCSP_HASHES; i++)
		if (mm_der_oid_is(oid, hashes[i].oid)) {
			*out = (enum mm_ocsp_hash)i;
			return true;
		}
	return false;
}

/* see ocsp.h */
enum mm_err
mm_ocsp_id_parse(struct mm_bytes der, struct mm_ocsp_id *out,
    struct mm_why *why)
{
	struct mm_rd whole = mm_rd_over(der), r;
	struct mm_ocsp_id id = { .whole = der };
	bool known;

	r = mm_rd_over(mm_der_take(&whole, MM_DER_SEQ));
	known = take_hash(&r, &id.hash);
	id.name_hash = mm_der_take(&r, MM_DER_OCTETS);
	id.key_hash = mm_der_take(&r, MM_DER_OCTETS);
	id.serial = mm_der_take(&r, MM_DER_INTEGER);
	if (!mm_rd_end(&r) || !mm_rd_end(&whole) ||
	    !mm_der_natural_ok(id.serial) || id.serial.n > 20)
		return MM_FAIL(why, MM_EINPUT, "ocsp: RFC 6960 4.1.1: CertID");
	if (!known)
		return MM_FAIL(why, MM_ENOTFOUND, "ocsp: issuer hashed by an "
		    "algorithm that is not known here");
	if (id.name_hash.n != hashes[id.hash].n ||
	    id.key_hash.n != hashes[id.hash].n || der.n > MM_OCSP_ID_MAX)
		return MM_FAIL(why, MM_EINPUT, "ocsp: RFC 6960 4.1.1: a hash "
		    "is not of its algorithm's length");
	*out = id;
	return MM_OK;
}

/* RFC 6960 4.4.1, RFC 9654 2.1: an OCTET STRING inside the extension's. */
static bool
take_nonce(struct mm_bytes value, struct mm_bytes *nonce)
{
	struct mm_rd r = mm_rd_over(value);

	*nonce = mm_der_take(&r, MM_DER_OCTETS);
	return mm_rd_end(&r) && nonce->n > 0 && nonce->n <= MM_OCSP_NONCE_MAX;
}

/* [n] EXPLICIT Extensions; what is critical and not known refuses it. */
static bool
take_extensions(struct mm_rd *r, unsigned tag, struct mm_bytes *nonce)
{
	struct mm_rd wrap, list;
	struct mm_extension e;
	struct mm_bytes all;

	if (!mm_der_peek(r, (uint8_t)MM_DER_CTXC(tag)))
		return true;
	wrap = mm_rd_over(mm_der_take(r, (uint8_t)MM_DER_CTXC(tag)));
	all = mm_der_take(&wrap, MM_DER_SEQ);
	if (!mm_rd_end(&wrap) || !mm_extensions_ok(all))
		return false;
	list = mm_rd_over(all);
	while (mm_extension_next(&list, &e)) {
		bool known = nonce != NULL && mm_der_oid_is(e.oid, OID_NONCE);

		if (known ? !take_nonce(e.value, nonce) : e.critical)
			return false;
	}
	return true;
}

/* Request ::= SEQUENCE { CertID, [0] Extensions OPTIONAL }, one of them. */
static bool
take_request(struct mm_rd *list, struct mm_bytes *id)
{
	struct mm_rd r = mm_rd_over(mm_der_take(list, MM_DER_SEQ));

	*id = mm_der_take_whole(&r, MM_DER_SEQ);
	return take_extensions(&r, 0, NULL) && mm_rd_end(&r) &&
	    mm_rd_end(list);
}

/* TBSRequest */
static bool
take_tbs(struct mm_rd *outer, struct mm_bytes *id, struct mm_bytes *nonce)
{
	struct mm_rd r = mm_rd_over(mm_der_take(outer, MM_DER_SEQ)), in;

	/* DER leaves v1 out; some do not */
	if (mm_der_peek(&r, MM_DER_CTXC(0))) {
		in = mm_rd_over(mm_der_take(&r, MM_DER_CTXC(0)));
		if (mm_der_take_uint(&in) != 0 || !mm_rd_end(&in))
			return false;
	}
	if (mm_der_peek(&r, MM_DER_CTXC(1)))
		(void)mm_der_take(&r, MM_DER_CTXC(1));
	in = mm_rd_over(mm_der_take(&r, MM_DER_SEQ));
	return take_request(&in, id) && take_extensions(&r, 2, nonce) &&
	    mm_rd_end(&r);
}

/* see ocsp.h */
enum mm_err
mm_ocsp_request_parse(struct mm_bytes der, struct mm_ocsp_request *out,
    struct mm_why *why)
{
	struct mm_rd whole = mm_rd_over(der), r;
	struct mm_bytes id = { NULL, 0 }, nonce = { NULL, 0 };
	bool good;

	r = mm_rd_over(mm_der_take(&whole, MM_DER_SEQ));
	good = take_tbs(&r, &id, &nonce);
	if (good && mm_der_peek(&r, MM_DER_CTXC(0)))
		(void)mm_der_take(&r, MM_DER_CTXC(0));
	if (!good || !mm_rd_end(&r) || !mm_rd_end(&whole) ||
	    der.n > MM_OCSP_REQUEST_MAX)
		return MM_FAIL(why, MM_EINPUT, "ocsp: RFC 6960 4.1.1: not a "
		    "request for one certificate");
	MM_TRY(mm_ocsp_id_parse(id, &out->id, why));
	out->nonce = nonce;
	return MM_OK;
}

/* ---- issuers ---- */

static void
hash(enum mm_ocsp_hash h, struct mm_bytes b, uint8_t out[32])
{
	if (h == MM_OCSP_SHA1)
		mm_sha1(b, out);
	else
		mm_sha256(b, out);
}

/* see ocsp.h; RFC 6960 4.1.1: of the key, the BIT STRING's bytes */
enum mm_err
mm_ocsp_issuer_make(struct mm_bytes der, struct mm_ocsp_issuer *out,
    struct mm_why *why)
{
	struct mm_cert c;

	MM_TRY(mm_cert_walk(der, &c, why));
	for (unsigned i = 0; i < MM_OCSP_HASHES; i++) {
		hash((enum mm_ocsp_hash)i, c.subject, out->name_hash[i]);
		hash((enum mm_ocsp_hash)i, c.spki.key, out->key_hash[i]);
	}
	return MM_OK;
}

/* see ocsp.h */
bool
mm_ocsp_is_of(const struct mm_ocsp_id *id, const struct mm_ocsp_issuer *issuer)
{
	size_t n = hashes[id->hash].n;

	return memcmp(id->name_hash.p, issuer->name_hash[id->hash], n) == 0 &&
	    memcmp(id->key_hash.p, issuer->key_hash[id->hash], n) == 0;
}

/* ---- writing ---- */

/* see ocsp.h */
void
mm_ocsp_refusal(enum mm_ocsp_refusal why, uint8_t out[MM_OCSP_REFUSAL_N])
{
	const uint8_t der[MM_OCSP_REFUSAL_N] = { MM_DER_SEQ, 3, MM_DER_ENUM, 1,
		(uint8_t)why };

	memcpy(out, der, sizeof(der));
}

/* certStatus: good [0], revoked [1], unknown [2], all IMPLICIT */
static void
put_status(struct mm_buf *b, const struct mm_ocsp_answer *a)
{
	static const struct mm_bytes nothing;
	size_t revoked, reason;

	if (a->status != MM_OCSP_REVOKED) {
		mm_der_put(b, a->status == MM_OCSP_GOOD ? MM_DER_CTX(0) :
		    MM_DER_CTX(2), nothing);
		return;
	}
	revoked = mm_der_open(b, MM_DER_CTXC(1));
	mm_der_put_gentime(b, a->revoked_s);
	if (a->reason != 0) {
		reason = mm_der_open(b, MM_DER_CTXC(0));
		mm_der_put(b, MM_DER_ENUM, (struct mm_bytes){ &a->reason, 1 });
		mm_der_close(b, reason);
	}
	mm_der_close(b, revoked);
}

static void
put_single(struct mm_buf *b, const struct mm_ocsp_answer *a)
{
	size_t list = mm_der_open(b, MM_DER_SEQ);
	size_t one = mm_der_open(b, MM_DER_SEQ), next;

	mm_buf_bytes(b, a->id);
	put_status(b, a);
	mm_der_put_gentime(b, a->this_s);
	next = mm_der_open(b, MM_DER_CTXC(0));
	mm_der_put_gentime(b, a->next_s);
	mm_der_close(b, next);
	mm_der_close(b, one);
	mm_der_close(b, list);
}

/* responseExtensions [1] */
static void
put_nonce(struct mm_buf *b, struct mm_bytes nonce)
{
	size_t wrap, list;
	struct mm_ext_mark m;

	if (nonce.n == 0)
		return;
	wrap = mm_der_open(b, MM_DER_CTXC(1));
	list = mm_der_open(b, MM_DER_SEQ);
	m = mm_ext_open(b, OID_NONCE, false);
	mm_der_put(b, MM_DER_OCTETS, nonce);
	mm_ext_close(b, m);
	mm_der_close(b, list);
	mm_der_close(b, wrap);
}

/* see ocsp.h; responderID by key [2]: of RFC 6960's SHA-1 */
enum mm_err
mm_ocsp_build(const struct mm_ocsp_answer *a, struct mm_buf *tbs,
    struct mm_why *why)
{
	size_t data = mm_der_open(tbs, MM_DER_SEQ), who;
	uint8_t key[20];

	if (a->next_s <= a->this_s || a->this_s > a->made_s)
		return MM_FAIL(why, MM_EINPUT, "ocsp: RFC 6960 4.2.2.1: "
		    "thisUpdate, producedAt and nextUpdate are not in order");
	mm_sha1(a->key, key);
	who = mm_der_open(tbs, MM_DER_CTXC(2));
	mm_der_put(tbs, MM_DER_OCTETS, (struct mm_bytes){ key, sizeof(key) });
	mm_der_close(tbs, who);
	mm_der_put_gentime(tbs, a->made_s);
	put_single(tbs, a);
	put_nonce(tbs, a->nonce);
	mm_der_close(tbs, data);
	return mm_buf_ok(tbs, why);
}

/* see ocsp.h; RFC 6960 4.2.1: OCSPResponse of a BasicOCSPResponse */
void
mm_ocsp_join(struct mm_buf *out, struct mm_bytes tbs, struct mm_bytes alg,
    struct mm_bytes sig, struct mm_bytes cert)
{
	static const uint8_t successful = 0;
	size_t whole = mm_der_open(out, MM_DER_SEQ), bytes, typed, octets;
	size_t basic, wrap, list;

	mm_der_put(out, MM_DER_ENUM, (struct mm_bytes){ &successful, 1 });
	bytes = mm_der_open(out, MM_DER_CTXC(0));
	typed = mm_der_open(out, MM_DER_SEQ);
	mm_der_put_oid(out, OID_BASIC);
	octets = mm_der_open(out, MM_DER_OCTETS);
	basic = mm_der_open(out, MM_DER_SEQ);
	mm_buf_bytes(out, tbs);
	mm_buf_bytes(out, alg);
	mm_der_put_bits(out, sig, 0);
	wrap = mm_der_open(out, MM_DER_CTXC(0));
	list = mm_der_open(out, MM_DER_SEQ);
	mm_buf_bytes(out, cert);
	mm_der_close(out, list);
	mm_der_close(out, wrap);
	mm_der_close(out, basic);
	mm_der_close(out, octets);
	mm_der_close(out, typed);
	mm_der_close(out, bytes);
	mm_der_close(out, whole);
}
