#include <string.h>

#include "pki/priv.h"

#define OID_EKU "2.5.29.37"
#define OID_BC  "2.5.29.19"

/* ExtKeyUsageSyntax of 2.25.133472379363472490250317899074065113179 (ITU-T
 * X.667: a UUID's arc, longer than any that a profile can write). */
static const uint8_t purposes[] = {
	0x30, 0x16, 0x06, 0x14, 0x69, 0x81, 0xc8, 0xe9, 0xec, 0x98,
	0x83, 0xb5, 0x9a, 0x8e, 0xf3, 0x81, 0xdb, 0xf4, 0xf7, 0xe2,
	0xef, 0xee, 0xc0, 0x5b,
};

/* see priv.h */
void
mm_recovery_put_purpose(struct mm_buf *b)
{
	struct mm_ext_mark m = mm_ext_open(b, OID_EKU, true);

	mm_buf_put(b, purposes, sizeof(purposes));
	mm_ext_close(b, m);
}

/* see cert.h */
bool
mm_cert_recovers(const struct mm_cert *c)
{
	struct mm_bytes value;
	bool critical;

	return mm_cert_extension(c, OID_EKU, &critical, &value) && critical &&
	    mm_bytes_eq(value, (struct mm_bytes){ purposes,
	    sizeof(purposes) }) &&
	    !mm_cert_extension(c, OID_BC, NULL, &value);
}

/* see cert.h */
bool
mm_cert_names_recovery(const struct mm_cert *c)
{
	struct mm_bytes value;

	return mm_cert_extension(c, OID_EKU, NULL, &value) &&
	    memmem(value.p, value.n, purposes + 2, sizeof(purposes) - 2) !=
	    NULL;
}
