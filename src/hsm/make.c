#include <string.h>

#include "hsm/priv.h"
#include "pki/der.h"

#define ID_N 8

static const struct {
	const char *curve; /* NULL: RSA */
	CK_ULONG bits;
} kinds[MM_KEY_TYPES] = {
	[MM_KEY_P256] = { "1.2.840.10045.3.1.7", 0 },
	[MM_KEY_P384] = { "1.3.132.0.34", 0 },
	[MM_KEY_RSA2048] = { NULL, 2048 },
	[MM_KEY_RSA3072] = { NULL, 3072 },
	[MM_KEY_RSA4096] = { NULL, 4096 },
};

/* What both halves are called; room is for an id that is made up. */
static enum mm_err
names(const struct mm_session *s, uint8_t room[ID_N], CK_ATTRIBUTE out[2],
    struct mm_why *why)
{
	CK_ATTRIBUTE *label = p11_kit_uri_get_attribute(s->m->uri, CKA_LABEL);
	CK_ATTRIBUTE *id = p11_kit_uri_get_attribute(s->m->uri, CKA_ID);
	CK_RV rv;

	if (label == NULL)
		return MM_FAIL(why, MM_EINPUT, "a key to be made wants a "
		    "name: object=...");
	out[0] = *label;
	if (id != NULL) {
		out[1] = *id;
		return MM_OK;
	}
	rv = s->m->f->C_GenerateRandom(s->handle, room, ID_N);
	if (rv != CKR_OK)
		return mm_module_fail("random", rv, why);
	out[1] = (CK_ATTRIBUTE){ CKA_ID, room, ID_N };
	return MM_OK;
}

/* see priv.h; the private half is sensitive from its birth, and stays */
enum mm_err
mm_session_make(struct mm_session *s, unsigned type, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf oid = MM_BUF_INIT(32);
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_BYTE exponent[] = { 1, 0, 1 }, room[ID_N];
	CK_ULONG bits = type < MM_KEY_TYPES ? kinds[type].bits : 0;
	CK_MECHANISM how = { .mechanism = bits > 0 ?
	    CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN };
	CK_ATTRIBUTE name[2], pub[6] = { { CKA_TOKEN, &yes, sizeof(yes) },
		{ CKA_VERIFY, &yes, sizeof(yes) } };
	CK_ATTRIBUTE priv[7] = { { CKA_TOKEN, &yes, sizeof(yes) },
		{ CKA_PRIVATE, &yes, sizeof(yes) },
		{ CKA_SENSITIVE, &yes, sizeof(yes) },
		{ CKA_EXTRACTABLE, &no, sizeof(no) },
		{ CKA_SIGN, &yes, sizeof(yes) } };
	CK_OBJECT_HANDLE made[2];
	CK_ULONG n = 4;
	CK_RV rv;

	if (type >= MM_KEY_TYPES || (kinds[type].curve == NULL && bits == 0))
		return MM_FAIL(why, MM_EPOLICY, "a token makes p256, p384 "
		    "and RSA keys here");
	MM_TRY(names(s, room, name, why));
	memcpy(pub + 2, name, sizeof(name));
	memcpy(priv + 5, name, sizeof(name));
	if (bits > 0) {
		pub[n++] = (CK_ATTRIBUTE){ CKA_MODULUS_BITS, &bits,
			sizeof(bits) };
		pub[n++] = (CK_ATTRIBUTE){ CKA_PUBLIC_EXPONENT, exponent,
			sizeof(exponent) };
	} else {
		mm_der_put_oid(&oid, kinds[type].curve);
		MM_TRY(mm_buf_ok(&oid, why));
		pub[n++] = (CK_ATTRIBUTE){ CKA_EC_PARAMS, oid.p, oid.n };
	}
	rv = s->m->f->C_GenerateKeyPair(s->handle, &how, pub, n, priv, 7,
	    &made[0], &made[1]);
	return rv == CKR_OK ? MM_OK : mm_module_fail("new key", rv, why);
}
