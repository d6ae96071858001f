#include "mmd_x509.h"
#include "priv.h"

/* How a key is recognised in its SubjectPublicKeyInfo, and what it signs. */
static const struct algorithm {
	struct mmd_bytes key_oid; /* whole */
	struct mmd_signature signature;
} algorithms[] = {
	/* RFC 5480 2.1.1, RFC 5758 3.2: ecPublicKey, ecdsa-with-SHA256 */
	{ MMD_BYTES("\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"), { MMD_BYTES(
	    "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"), false } },
	/* RFC 8017 A.1: rsaEncryption, sha256WithRSAEncryption */
	{ MMD_BYTES("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"),
	    { MMD_BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"
	    "\x05\x00"), false } },
	/* RFC 8410 3: Ed25519 */
	{ MMD_BYTES("\x06\x03\x2b\x65\x70"),
	    { MMD_BYTES("\x30\x05\x06\x03\x2b\x65\x70"), true } },
};

/*
 * See mmd_x509.h.  RFC 5280 4.1: in front of the OID are the heads of two
 * SEQUENCEs.
 */
const struct mmd_signature *
mmd_signature_of(struct mmd_bytes spki)
{
	size_t head;

	for (int i = 0; i < 2; i++) {
		if (!mmd_der_head(spki.p, spki.n, spki.n, &head, &spki.n) ||
		    spki.p[0] != MMD_DER_SEQ)
			return NULL;
		spki.p += head;
	}
	for (size_t i = 0; i < MMD_COUNT(algorithms); i++) {
		const struct algorithm *a = &algorithms[i];

		if (spki.n >= a->key_oid.n &&
		    memcmp(spki.p, a->key_oid.p, a->key_oid.n) == 0)
			return &a->signature;
	}
	return NULL;
}
