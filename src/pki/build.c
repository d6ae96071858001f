#include <stdio.h>
#include <string.h>

#include "pki/template.h"

#define OID_SKI  "2.5.29.14"
#define OID_KU   "2.5.29.15"
#define OID_SAN  "2.5.29.17"
#define OID_BC   "2.5.29.19"
#define OID_CDP  "2.5.29.31"
#define OID_CP   "2.5.29.32"
#define OID_AKI  "2.5.29.35"
#define OID_EKU  "2.5.29.37"
#define OID_AIA  "1.3.6.1.5.5.7.1.1"
#define OID_OCSP       "1.3.6.1.5.5.7.48.1"
#define OID_CA_ISSUERS "1.3.6.1.5.5.7.48.2"
#define OID_HW_NAME    "1.3.6.1.5.5.7.8.4"

/* One certificate on its way. */
struct build {
	const struct mm_profile *p;
	const struct mm_issuer *i;
	const struct mm_cert_fields *f;
	struct mm_buf *out;
	struct mm_why *why;
};


/* see priv.h */
struct mm_ext_mark
mm_ext_open(struct mm_buf *b, const char *oid, bool critical)
{
	static const uint8_t yes = 0xff;
	struct mm_ext_mark m;

	m.seq = mm_der_open(b, MM_DER_SEQ);
	mm_der_put_oid(b, oid);
	if (critical)
		mm_der_put(b, MM_DER_BOOLEAN, (struct mm_bytes){ &yes, 1 });
	m.value = mm_der_open(b, MM_DER_OCTETS);
	return m;
}

/* see priv.h */
void
mm_ext_close(struct mm_buf *b, struct mm_ext_mark m)
{
	mm_der_close(b, m.value);
	mm_der_close(b, m.seq);
}

/* see priv.h; RFC 5280 4.2.1.1: keyIdentifier only */
void
mm_ext_put_aki(struct mm_buf *b, struct mm_bytes key_id)
{
	struct mm_ext_mark m = mm_ext_open(b, OID_AKI, false);
	size_t seq = mm_der_open(b, MM_DER_SEQ);

	mm_der_put(b, MM_DER_CTX(0), key_id);
	mm_der_close(b, seq);
	mm_ext_close(b, m);
}

/* see priv.h; RFC 7093 2, method 1: 160 bits of the key's SHA-256 */
void
mm_ext_put_ski(struct mm_buf *b, struct mm_bytes key)
{
	struct mm_ext_mark m = mm_ext_open(b, OID_SKI, false);
	uint8_t hash[32];

	mm_sha256(key, hash);
	mm_der_put(b, MM_DER_OCTETS, (struct mm_bytes){ hash, 20 });
	mm_ext_close(b, m);
}

/* see priv.h; RFC 5280 4.2.1.3; X.690 11.2.2: no zero bits at the end */
void
mm_ext_put_usage(struct mm_buf *b, unsigned bits)
{
	struct mm_ext_mark m = mm_ext_open(b, OID_KU, true);
	uint8_t body[2] = { 0, 0 };
	unsigned last = 0;

	for (unsigned i = 0; i < 9; i++)
		if (bits >> i & 1) {
			body[i / 8] |= (uint8_t)(0x80 >> (i % 8));
			last = i;
		}
	mm_der_put_bits(b, (struct mm_bytes){ body, last / 8 + 1 },
	    7 - last % 8);
	mm_ext_close(b, m);
}

/* see priv.h */
void
mm_name_put(struct mm_buf *b, const char *oid, uint8_t tag, const char *value)
{
	size_t rdn = mm_der_open(b, MM_DER_SET);
	size_t attribute = mm_der_open(b, MM_DER_SEQ);

	mm_der_put_oid(b, oid);
	mm_der_put(b, tag, mm_bytes_of(value));
	mm_der_close(b, attribute);
	mm_der_close(b, rdn);
}

static size_t
characters(const char *utf8)
{
	size_t n = 0;

	for (; *utf8 != '\0'; utf8++)
		n += ((uint8_t)*utf8 & 0xc0) != 0x80;
	return n;
}

/* see priv.h */
enum mm_err
mm_subject_put(struct mm_buf *b, const struct mm_conf_list *items,
    const char *device, const char *product, struct mm_why *why)
{
	size_t name = mm_der_open(b, MM_DER_SEQ);

	for (size_t i = 0; i < items->n; i++) {
		char oid[MM_OID_TEXT_MAX], text[MM_CONF_ITEM_MAX];
		struct mm_attribute_row row;
		const char *value;

		if (!mm_template_attribute(items->item[i], &row, oid, &value) ||
		    !mm_template_fill(value, device, product, text,
			sizeof(text)) || characters(text) > row.most)
			return MM_FAIL(why, MM_EPOLICY, "subject: \"%.64s\" "
			    "cannot be filled in, or is too long",
			    items->item[i]);
		if (row.tag == MM_DER_PRINTABLE && !mm_printable(text))
			row.tag = MM_DER_UTF8;
		mm_name_put(b, row.oid, row.tag, text);
	}
	mm_der_close(b, name);
	return MM_OK;
}

/* RFC 8410 5, RFC 3279 2.3, RFC 5480 3: what a key of this type can do. */
static unsigned
usable(enum mm_key_type t)
{
	if (t == MM_KEY_P256 || t == MM_KEY_P384)
		return 0x193; /* sign, commit, agree, only en-, decipher */
	return t == MM_KEY_ED25519 ? 0x003 : 0x00f;
}

static enum mm_err
put_usage(struct build *b)
{
	unsigned bits = 0, bit;

	for (size_t i = 0; i < b->p->key_usage.n; i++)
		if (mm_template_usage(b->p->key_usage.item[i], &bit))
			bits |= 1U << bit;
	bits &= usable(b->f->spki.type);
	if ((bits & 0x10) == 0)
		bits &= 0x7f; /* RFC 5280 4.2.1.3: without keyAgreement */
	if (bits == 0)
		return MM_FAIL(b->why, MM_EPOLICY,
		    "profile %s: no key usage fits a %s key", b->p->name,
		    mm_key_type_name(b->f->spki.type));
	mm_ext_put_usage(b->out, bits);
	return MM_OK;
}

static enum mm_err
put_basic(struct build *b)
{
	struct mm_ext_mark m;

	if (!b->p->basic_constraints)
		return MM_OK;
	m = mm_ext_open(b->out, OID_BC, true);
	mm_der_put(b->out, MM_DER_SEQ, (struct mm_bytes){ NULL, 0 });
	mm_ext_close(b->out, m);
	return MM_OK;
}

static enum mm_err
put_eku(struct build *b)
{
	struct mm_ext_mark m;
	size_t seq;

	if (b->p->eku.n == 0)
		return MM_OK;
	m = mm_ext_open(b->out, OID_EKU, false);
	seq = mm_der_open(b->out, MM_DER_SEQ);
	for (size_t i = 0; i < b->p->eku.n; i++) {
		const char *oid = mm_template_eku(b->p->eku.item[i]);

		mm_der_put_oid(b->out, oid == NULL ? "" : oid);
	}
	mm_der_close(b->out, seq);
	mm_ext_close(b->out, m);
	return MM_OK;
}

/* RFC 4108 5: otherName { id-on-hardwareModuleName, HardwareModuleName } */
static void
put_hw_name(struct build *b)
{
	size_t other = mm_der_open(b->out, MM_DER_CTXC(0)), value, seq;

	mm_der_put_oid(b->out, OID_HW_NAME);
	value = mm_der_open(b->out, MM_DER_CTXC(0));
	seq = mm_der_open(b->out, MM_DER_SEQ);
	mm_der_put_oid(b->out, b->p->hw_type_oid);
	mm_der_put(b->out, MM_DER_OCTETS, mm_bytes_of(b->f->device));
	mm_der_close(b->out, seq);
	mm_der_close(b->out, value);
	mm_der_close(b->out, other);
}

static enum mm_err
put_san(struct build *b)
{
	const struct mm_conf_list *list = &b->p->san;
	struct mm_ext_mark m;
	size_t seq;

	if (list->n == 0 && b->p->hw_type_oid[0] == '\0')
		return MM_OK;
	m = mm_ext_open(b->out, OID_SAN, false);
	seq = mm_der_open(b->out, MM_DER_SEQ);
	for (size_t i = 0; i < list->n; i++) {
		const struct mm_san_row *row = mm_template_san(list->item[i]);
		char text[MM_CONF_ITEM_MAX];

		if (row == NULL || !mm_template_fill(list->item[i] + 4,
		    b->f->device, b->f->product, text, sizeof(text)) ||
		    !row->ok(text))
			return MM_FAIL(b->why, MM_EPOLICY, "profile %s: san "
			    "\"%.64s\" cannot be filled in", b->p->name,
			    list->item[i]);
		mm_der_put(b->out, row->tag, mm_bytes_of(text));
	}
	if (b->p->hw_type_oid[0] != '\0')
		put_hw_name(b);
	mm_der_close(b->out, seq);
	mm_ext_close(b->out, m);
	return MM_OK;
}

/* RFC 5280 4.2.1.4 */
static enum mm_err
put_policies(struct build *b)
{
	struct mm_ext_mark m;
	size_t seq, policy;

	if (b->p->policies.n == 0)
		return MM_OK;
	m = mm_ext_open(b->out, OID_CP, false);
	seq = mm_der_open(b->out, MM_DER_SEQ);
	for (size_t i = 0; i < b->p->policies.n; i++) {
		policy = mm_der_open(b->out, MM_DER_SEQ);
		mm_der_put_oid(b->out, b->p->policies.item[i]);
		mm_der_close(b->out, policy);
	}
	mm_der_close(b->out, seq);
	mm_ext_close(b->out, m);
	return MM_OK;
}

/* RFC 5280 4.2.1.13: one point, one fullName, one URI */
static enum mm_err
put_cdp(struct build *b)
{
	char url[MM_CRL_URL_MAX];
	struct mm_ext_mark m;
	size_t points, point, name, full;

	if (!b->p->crl_dp || b->i->crl_url[0] == '\0')
		return MM_OK;
	mm_issuer_crl_url(b->i, mm_issuer_shard(b->i, b->f->serial), url);
	m = mm_ext_open(b->out, OID_CDP, false);
	points = mm_der_open(b->out, MM_DER_SEQ);
	point = mm_der_open(b->out, MM_DER_SEQ);
	name = mm_der_open(b->out, MM_DER_CTXC(0));
	full = mm_der_open(b->out, MM_DER_CTXC(0));
	mm_der_put(b->out, MM_DER_CTX(6), mm_bytes_of(url));
	mm_der_close(b->out, full);
	mm_der_close(b->out, name);
	mm_der_close(b->out, point);
	mm_der_close(b->out, points);
	mm_ext_close(b->out, m);
	return MM_OK;
}

static void
put_access(struct mm_buf *b, const char *method, const char *url)
{
	size_t access;

	if (url[0] == '\0')
		return;
	access = mm_der_open(b, MM_DER_SEQ);
	mm_der_put_oid(b, method);
	mm_der_put(b, MM_DER_CTX(6), mm_bytes_of(url));
	mm_der_close(b, access);
}

/* RFC 5280 4.2.2.1: ocsp, caIssuers */
static enum mm_err
put_aia(struct build *b)
{
	struct mm_ext_mark m;
	size_t list;

	if (!b->p->aia || b->i->aia_url[0] == '\0')
		return MM_OK;
	m = mm_ext_open(b->out, OID_AIA, false);
	list = mm_der_open(b->out, MM_DER_SEQ);
	put_access(b->out, OID_OCSP, b->i->ocsp_url);
	put_access(b->out, OID_CA_ISSUERS, b->i->aia_url);
	mm_der_close(b->out, list);
	mm_ext_close(b->out, m);
	return MM_OK;
}

static enum mm_err
put_raw(struct build *b)
{
	for (size_t i = 0; i < b->p->extensions.n; i++) {
		struct mm_raw_extension raw;
		struct mm_ext_mark m;

		if (!mm_template_raw(b->p->extensions.item[i], &raw))
			return MM_FAIL(b->why, MM_EPOLICY,
			    "profile %s: bad extension", b->p->name);
		m = mm_ext_open(b->out, raw.oid, raw.critical);
		mm_buf_put(b->out, raw.value, raw.n);
		mm_ext_close(b->out, m);
	}
	return MM_OK;
}

static enum mm_err
put_key_ids(struct build *b)
{
	mm_ext_put_aki(b->out, (struct mm_bytes){ b->i->key_id,
	    sizeof(b->i->key_id) });
	mm_ext_put_ski(b->out, b->f->spki.key);
	return MM_OK;
}

static enum mm_err
put_extensions(struct build *b)
{
	static enum mm_err (*const parts[])(struct build *) = { put_key_ids,
		put_usage, put_basic, put_eku, put_san, put_policies, put_cdp,
		put_aia, put_raw };
	size_t wrap = mm_der_open(b->out, MM_DER_CTXC(3));
	size_t seq = mm_der_open(b->out, MM_DER_SEQ);

	for (size_t i = 0; i < MM_COUNT(parts); i++)
		MM_TRY(parts[i](b));
	mm_der_close(b->out, seq);
	mm_der_close(b->out, wrap);
	return MM_OK;
}

/* see priv.h; RFC 5280 4.1.2.1 to 4.1.2.5 */
void
mm_tbs_put_head(struct mm_buf *b, struct mm_bytes serial,
    struct mm_bytes alg, struct mm_bytes issuer, const int64_t validity[2])
{
	size_t version = mm_der_open(b, MM_DER_CTXC(0)), times;

	mm_der_put_uint(b, 2);
	mm_der_close(b, version);
	mm_der_put_integer(b, serial);
	mm_buf_bytes(b, alg);
	mm_buf_bytes(b, issuer);
	times = mm_der_open(b, MM_DER_SEQ);
	mm_der_put_time(b, validity[0]);
	mm_der_put_time(b, validity[1]);
	mm_der_close(b, times);
}

/* see cert.h */
enum mm_err
mm_cert_build(const struct mm_profile *p, const struct mm_issuer *i,
    const struct mm_cert_fields *f, struct mm_bytes alg, struct mm_buf *tbs,
    struct mm_why *why)
{
	struct build b = { p, i, f, tbs, why };
	const int64_t validity[2] = { f->not_before_s, f->not_after_s };
	size_t mark = mm_der_open(tbs, MM_DER_SEQ);

	mm_tbs_put_head(tbs, (struct mm_bytes){ f->serial, MM_SERIAL_N }, alg,
	    i->subject, validity);
	MM_TRY(mm_subject_put(tbs, &p->subject, f->device, f->product, why));
	mm_buf_bytes(tbs, f->spki.whole);
	MM_TRY(put_extensions(&b));
	mm_der_close(tbs, mark);
	return mm_buf_ok(tbs, why);
}
