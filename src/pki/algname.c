#include "pki/priv.h"

/* What a client may well come with and we do not certify, by the name that
 * its maker knows it by. */
static const struct {
	const char *oid, *name;
} foreign[] = {
	{ "2.16.840.1.101.3.4.3.17", "ML-DSA-44" }, /* RFC 9881 2 */
	{ "2.16.840.1.101.3.4.3.18", "ML-DSA-65" },
	{ "2.16.840.1.101.3.4.3.19", "ML-DSA-87" },
	{ "1.3.101.110", "X25519" }, /* RFC 8410 3 */
	{ "1.3.101.111", "X448" },
	{ "1.3.101.113", "Ed448" },
	{ "1.2.840.10040.4.1", "DSA" },		      /* RFC 3279 2.3.2 */
	{ "1.2.840.113549.1.1.10", "RSASSA-PSS" },    /* RFC 4055 3 */
	{ "1.2.840.113549.1.1.5", "SHA-1 with RSA" }, /* RFC 3279 2.2.1 */
	{ "1.2.840.10045.4.1", "SHA-1 with ECDSA" },
};

/* see priv.h */
const char *
mm_alg_foreign(struct mm_bytes alg)
{
	struct mm_rd outer = mm_rd_over(alg);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	struct mm_bytes oid = mm_der_take(&r, MM_DER_OID);

	for (size_t i = 0; i < MM_COUNT(foreign); i++)
		if (mm_der_oid_is(oid, foreign[i].oid))
			return foreign[i].name;
	return "an algorithm of another kind";
}
