#include "pki/priv.h"

#define OID_EC      "1.2.840.10045.2.1"
#define OID_RSA     "1.2.840.113549.1.1.1"
#define OID_ED25519 "1.3.101.112"
#define OID_CHALLENGE "1.2.840.113549.1.9.7"
#define OID_TEMPLATE  "1.2.840.113549.1.9.16.2.61"

static const struct {
	const char *key, *curve, *signature; /* key NULL: signature says it */
	uint64_t bits;
} wanted[MM_KEY_TYPES] = {
	[MM_KEY_P256] = { OID_EC, "1.2.840.10045.3.1.7",
	    "1.2.840.10045.4.3.2", 0 },
	[MM_KEY_P384] = { OID_EC, "1.3.132.0.34", "1.2.840.10045.4.3.3", 0 },
	[MM_KEY_ED25519] = { NULL, NULL, OID_ED25519, 0 },
	[MM_KEY_RSA2048] = { OID_RSA, NULL, "1.2.840.113549.1.1.11", 2048 },
	[MM_KEY_RSA3072] = { OID_RSA, NULL, "1.2.840.113549.1.1.11", 3072 },
	[MM_KEY_RSA4096] = { OID_RSA, NULL, "1.2.840.113549.1.1.11", 4096 },
};

/* RFC 7030 4.5.2: the key's type as an attribute, its signature as an OID */
static void
put_type(struct mm_buf *b, enum mm_key_type t)
{
	size_t attribute, values;

	if (wanted[t].key != NULL) {
		attribute = mm_der_open(b, MM_DER_SEQ);
		mm_der_put_oid(b, wanted[t].key);
		values = mm_der_open(b, MM_DER_SET);
		if (wanted[t].curve != NULL)
			mm_der_put_oid(b, wanted[t].curve);
		else
			mm_der_put_uint(b, wanted[t].bits);
		mm_der_close(b, values);
		mm_der_close(b, attribute);
	}
	mm_der_put_oid(b, wanted[t].signature);
}

static enum mm_err
put_wanted(const struct mm_profile *p, struct mm_buf *out, struct mm_why *why)
{
	enum mm_key_type t;

	for (size_t i = 0; i < p->csrattrs.n; i++)
		mm_der_put_oid(out, p->csrattrs.item[i]);
	for (size_t i = 0; p->csrattrs.n == 0 && i < p->keys.n; i++) {
		MM_TRY(mm_key_type_parse(p->keys.item[i], &t, why));
		put_type(out, t);
	}
	if (p->csrattrs.n == 0 && p->require_tls_exporter)
		mm_der_put_oid(out, OID_CHALLENGE);
	return MM_OK;
}

/* RFC 9908 3.4: version, subject, no key and no attributes in particular */
static enum mm_err
put_template(const struct mm_profile *p, const char *device,
    const char *product, struct mm_buf *out, struct mm_why *why)
{
	size_t attribute = mm_der_open(out, MM_DER_SEQ), values, info;

	mm_der_put_oid(out, OID_TEMPLATE);
	values = mm_der_open(out, MM_DER_SET);
	info = mm_der_open(out, MM_DER_SEQ);
	mm_der_put_uint(out, 0);
	MM_TRY(mm_subject_put(out, &p->subject, device, product, why));
	mm_der_close(out, mm_der_open(out, MM_DER_CTXC(1)));
	mm_der_close(out, info);
	mm_der_close(out, values);
	mm_der_close(out, attribute);
	return MM_OK;
}

/* see profile.h */
enum mm_err
mm_profile_csrattrs(const struct mm_profile *p, struct mm_buf *out,
    struct mm_why *why)
{
	size_t seq = mm_der_open(out, MM_DER_SEQ);

	MM_TRY(put_wanted(p, out, why));
	mm_der_close(out, seq);
	return mm_buf_ok(out, why);
}

/* see profile.h */
enum mm_err
mm_profile_csrattrs_named(const struct mm_profile *p, const char *device,
    const char *product, struct mm_buf *out, struct mm_why *why)
{
	size_t seq = mm_der_open(out, MM_DER_SEQ);

	MM_TRY(put_wanted(p, out, why));
	MM_TRY(put_template(p, device, product, out, why));
	mm_der_close(out, seq);
	return mm_buf_ok(out, why);
}
