#include <string.h>

#include "hsm/priv.h"
#include "pki/der.h"

#define OID_EC  "1.2.840.10045.2.1"
#define OID_RSA "1.2.840.113549.1.1.1"
#define VALUE_MAX 1024
#define SIG_MAX   1024

/* see priv.h */
enum mm_err
mm_session_open(const struct mm_module *m, bool write, struct mm_session *out,
    struct mm_why *why)
{
	CK_FLAGS flags = CKF_SERIAL_SESSION | (write ? CKF_RW_SESSION : 0);
	CK_RV rv;

	*out = (struct mm_session){ .m = m };
	rv = m->f->C_OpenSession(m->slot, flags, NULL, NULL, &out->handle);
	return rv == CKR_OK ? MM_OK : mm_module_fail("session", rv, why);
}

/* By what the URI says of it, or by the attribute that is given. */
static enum mm_err
find(const struct mm_session *s, CK_OBJECT_CLASS class,
    const CK_ATTRIBUTE *by, CK_OBJECT_HANDLE *out, struct mm_why *why)
{
	const CK_FUNCTION_LIST *f = s->m->f;
	CK_ATTRIBUTE want[3] = { { CKA_CLASS, &class, sizeof(class) } };
	static const CK_ATTRIBUTE_TYPE names[] = { CKA_LABEL, CKA_ID };
	CK_OBJECT_HANDLE found[2];
	CK_ULONG n = 0, k = 1;
	CK_RV rv;

	for (size_t i = 0; by == NULL && i < MM_COUNT(names); i++) {
		CK_ATTRIBUTE *a = p11_kit_uri_get_attribute(s->m->uri,
		    names[i]);

		if (a != NULL)
			want[k++] = *a;
	}
	if (by != NULL)
		want[k++] = *by;
	rv = f->C_FindObjectsInit(s->handle, want, k);
	if (rv == CKR_OK) {
		rv = f->C_FindObjects(s->handle, found, 2, &n);
		(void)f->C_FindObjectsFinal(s->handle);
	}
	if (rv != CKR_OK)
		return mm_module_fail("key", rv, why);
	if (n == 0)
		return MM_FAIL(why, MM_ENOTFOUND, "it has no such key");
	if (n > 1)
		return MM_FAIL(why, MM_ECONFLICT, "it has several such keys");
	*out = found[0];
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_session_find(struct mm_session *s, struct mm_why *why)
{
	CK_ATTRIBUTE a = { CKA_KEY_TYPE, &s->type, sizeof(s->type) };
	CK_RV rv;

	if (s->key != 0)
		return MM_OK;
	MM_TRY(find(s, CKO_PRIVATE_KEY, NULL, &s->key, why));
	rv = s->m->f->C_GetAttributeValue(s->handle, s->key, &a, 1);
	if (rv == CKR_OK && (s->type == CKK_EC || s->type == CKK_RSA))
		return MM_OK;
	s->key = 0;
	return rv != CKR_OK ? mm_module_fail("key", rv, why) :
	    MM_FAIL(why, MM_EPOLICY, "its key is neither EC nor RSA");
}

/* see priv.h */
enum mm_err
mm_session_sign(struct mm_session *s, struct mm_bytes in, struct mm_buf *out,
    struct mm_why *why)
{
	const CK_FUNCTION_LIST *f = s->m->f;
	CK_MECHANISM how = { .mechanism = s->type == CKK_EC ? CKM_ECDSA :
	    CKM_RSA_PKCS };
	uint8_t data[256], sig[SIG_MAX];
	CK_ULONG n = sizeof(sig);
	CK_RV rv;

	if (in.n == 0 || in.n > sizeof(data))
		return MM_FAIL(why, MM_EINPUT, "%zu bytes to sign", in.n);
	memcpy(data, in.p, in.n);
	rv = f->C_SignInit(s->handle, &how, s->key);
	if (rv == CKR_OK)
		rv = f->C_Sign(s->handle, data, in.n, sig, &n);
	if (rv != CKR_OK)
		return mm_module_fail("signature", rv, why);
	mm_buf_put(out, sig, n);
	return mm_buf_ok(out, why);
}

/* ---- the public half ---- */

static enum mm_err
value(const struct mm_session *s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type,
    uint8_t room[VALUE_MAX], struct mm_bytes *out, struct mm_why *why)
{
	CK_ATTRIBUTE a = { type, room, VALUE_MAX };
	CK_RV rv = s->m->f->C_GetAttributeValue(s->handle, o, &a, 1);

	if (rv != CKR_OK || a.ulValueLen > VALUE_MAX)
		return mm_module_fail("public key", rv, why);
	*out = (struct mm_bytes){ room, a.ulValueLen };
	return MM_OK;
}

/* PKCS#11 2.40, 2.3.3: the point as an OCTET STRING; some modules leave that
 * out. */
static struct mm_bytes
bare_point(struct mm_bytes v)
{
	struct mm_rd r = mm_rd_over(v);
	struct mm_bytes inner = mm_der_take(&r, MM_DER_OCTETS);

	return mm_rd_end(&r) ? inner : v;
}

/* RFC 5480 2 */
static enum mm_err
put_ec(const struct mm_session *s, CK_OBJECT_HANDLE o, struct mm_buf *out,
    struct mm_why *why)
{
	uint8_t room[2][VALUE_MAX];
	struct mm_bytes params = { NULL, 0 }, point = { NULL, 0 };
	size_t seq, alg;

	MM_TRY(value(s, o, CKA_EC_PARAMS, room[0], &params, why));
	MM_TRY(value(s, o, CKA_EC_POINT, room[1], &point, why));
	seq = mm_der_open(out, MM_DER_SEQ);
	alg = mm_der_open(out, MM_DER_SEQ);
	mm_der_put_oid(out, OID_EC);
	mm_buf_bytes(out, params);
	mm_der_close(out, alg);
	mm_der_put_bits(out, bare_point(point), 0);
	mm_der_close(out, seq);
	return mm_buf_ok(out, why);
}

/* RFC 3279 2.3.1 */
static enum mm_err
put_rsa(const struct mm_session *s, CK_OBJECT_HANDLE o, struct mm_buf *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf key = MM_BUF_INIT(VALUE_MAX);
	uint8_t room[2][VALUE_MAX];
	struct mm_bytes modulus = { NULL, 0 }, exponent = { NULL, 0 };
	size_t seq, alg, body;

	MM_TRY(value(s, o, CKA_MODULUS, room[0], &modulus, why));
	MM_TRY(value(s, o, CKA_PUBLIC_EXPONENT, room[1], &exponent, why));
	body = mm_der_open(&key, MM_DER_SEQ);
	mm_der_put_integer(&key, modulus);
	mm_der_put_integer(&key, exponent);
	mm_der_close(&key, body);
	MM_TRY(mm_buf_ok(&key, why));
	seq = mm_der_open(out, MM_DER_SEQ);
	alg = mm_der_open(out, MM_DER_SEQ);
	mm_der_put_oid(out, OID_RSA);
	mm_der_put(out, MM_DER_NULL, (struct mm_bytes){ NULL, 0 });
	mm_der_close(out, alg);
	mm_der_put_bits(out, mm_buf_view(&key), 0);
	mm_der_close(out, seq);
	return mm_buf_ok(out, why);
}

/* see priv.h; the two halves share their CKA_ID */
enum mm_err
mm_session_public(struct mm_session *s, struct mm_buf *out,
    struct mm_why *why)
{
	uint8_t room[VALUE_MAX];
	struct mm_bytes id = { NULL, 0 };
	CK_OBJECT_HANDLE o;
	CK_ATTRIBUTE by = { .type = CKA_ID };

	MM_TRY(mm_session_find(s, why));
	MM_TRY(value(s, s->key, CKA_ID, room, &id, why));
	by.pValue = room;
	by.ulValueLen = id.n;
	MM_TRY(find(s, CKO_PUBLIC_KEY, id.n > 0 ? &by : NULL, &o, why));
	return s->type == CKK_EC ? put_ec(s, o, out, why) :
	    put_rsa(s, o, out, why);
}
