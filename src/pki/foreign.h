#ifndef MM_PKI_FOREIGN_H
#define MM_PKI_FOREIGN_H

#include "pki/cert.h"
#include "pki/csr.h"
#include "pki/profile.h"

/*
 * Certificates that another CA signs for us: what it may be asked for, and
 * what of its answers may be released.  Neither believes anything that the
 * other end says; both need nothing but the profile, the CA's certificate and
 * what was decided about the device.
 *
 * A certificate that mm_foreign_lint lets through is the named CA's, of that
 * key, device and profile, and good now.  That no second one was made, and
 * that its CA will say when it is revoked, it does not prove.
 */

/*
 * What such a certificate is recorded under: serial numbers of other CAs have
 * up to 20 octets and are unique within their CA alone.  The first bits of
 * SHA-256 over issuer and serial number, the very first of them set: our own
 * (mm_serial_make) never have it.
 */
void mm_foreign_number(const struct mm_cert *c, uint8_t out[MM_SERIAL_N]);
/* The same of both by themselves: the issuer's Name, DER. */
void mm_foreign_number_of(struct mm_bytes issuer,
    const struct mm_any_serial *serial, uint8_t out[MM_SERIAL_N]);

struct mm_foreign {
	const struct mm_profile *profile;
	const char *device, *product;
	struct mm_bytes issuer; /* the CA's certificate, DER */
};
/*
 * A request goes out as it came: it may leave out what it likes, but has
 * nothing that we do not know and the profile does not say of this device:
 * subject, alternative names, key usages, no CA, its key's identifier, the
 * profile's further extensions; no other attribute, and a challenge password
 * only where the profile wants the connection's binding in it (RFC 9266).
 * MM_EPOLICY says which.
 */
MM_MUST enum mm_err mm_foreign_request(const struct mm_csr *csr,
    const struct mm_foreign *f, struct mm_why *why);
/* A name of the profile as it is for that device: "CN=sim-000001". */
bool mm_foreign_name(const char *item, const struct mm_foreign *f, char *out,
    size_t outn);
/*
 * No issuer that is another CA's has the subject of one with a key, by their
 * files: a record's number, and who may revoke, is told by that name.
 * MM_EPOLICY.
 */
MM_MUST enum mm_err mm_foreign_apart(const struct mm_config *c,
    struct mm_why *why);
/*
 * What came back, against profile, key and names: MM_EPOLICY with the rule
 * that does not hold, MM_EINPUT: it is no certificate.
 */
MM_MUST enum mm_err mm_foreign_lint(struct mm_bytes der,
    const struct mm_csr *csr, const struct mm_foreign *f, int64_t now_s,
    struct mm_why *why);

#endif
