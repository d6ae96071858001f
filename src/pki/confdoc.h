#ifndef MM_PKI_CONFDOC_H
#define MM_PKI_CONFDOC_H

#include "base/buf.h"
#include "pki/cert.h"
#include "pki/key.h"

/*
 * A fielded device's configuration as it travels: a text that says whose it
 * is, signed (RFC 5652) by a key that an issuer certified for this alone.
 *
 *	mintmark-configuration 1 LF
 *	device SN-000123 LF
 *	certificate <64 hex: SHA-256 of the certificate that asked> LF
 *	version 7 LF
 *	salt <32 hex> LF
 *	LF
 *	<the document, JSON>
 *
 * The salt is random, of this version and device alone: what is written of a
 * document where others can read it, in ledger and journal, is its mark: the
 * salted hash (pki/key.h) of its hash.  So who knows all of a document but a
 * password cannot try passwords.
 *
 * Whoever holds one that was verified knows that an issuer below the trust
 * anchor had it signed for the owner of that certificate.  Whether it is newer
 * than another one is the caller's to ask.
 */
#define MM_CONFDOC_MAX         65536 /* bytes of a document */
#define MM_CONFDOC_HEAD_MAX    320   /* of what stands before it */
#define MM_CONFDOC_VERSION_MAX INT32_MAX
/* Of all that is sent: the text, the signer's certificate and its issuer's. */
#define MM_CONFDOC_SIGNED_MAX \
	(MM_CONFDOC_MAX + MM_CONFDOC_HEAD_MAX + 2 * MM_CERT_MAX + 1024)

struct mm_confdoc {
	char device[MM_DEVICE_ID_MAX + 1];
	uint8_t certificate[32];
	uint32_t version;         /* 1 and up */
	uint8_t salt[MM_SALT_N];
	struct mm_bytes document; /* borrowed */
};

/* Appends the text. */
void mm_confdoc_put(struct mm_buf *out, const struct mm_confdoc *c);
/* MM_EINPUT: not exactly what put writes; MM_ELIMIT. */
MM_MUST enum mm_err mm_confdoc_parse(struct mm_bytes text,
    struct mm_confdoc *out, struct mm_why *why);

/*
 * Appends the ContentInfo of a SignedData (RFC 5652 5.1) of the text, as data
 * without signed attributes: the signature is over the text itself.  cert:
 * whose key signed; issuer: its issuer's, which comes along; alg, sig: as
 * mm_sign_alg and mm_sign_bytes give them.
 */
struct mm_confdoc_by {
	struct mm_bytes cert, issuer, alg, sig;
};
MM_MUST enum mm_err mm_confdoc_join(struct mm_buf *out, struct mm_bytes text,
    const struct mm_confdoc_by *by, struct mm_why *why);

/*
 * Verifies what join wrote: one signer, certified for this purpose and no
 * other, with a chain to the anchor; appends the text to it.  Times are not
 * looked at: the clock may be wrong, and the signer's key lived in memory
 * only.  chain: more certificates, one after another in DER.  MM_EINPUT: no
 * such thing; MM_EPOLICY: not signed so.
 */
struct mm_confdoc_trust {
	struct mm_bytes anchor, chain;
};
MM_MUST enum mm_err mm_confdoc_verify(struct mm_bytes cms,
    const struct mm_confdoc_trust *t, struct mm_buf *text,
    struct mm_why *why);

/* Whether the certificate's one purpose, critical, is signing such. */
bool mm_cert_configures(const struct mm_cert *c);
/* Whether a CA may stand above who signs such: it does not say what it is good
 * for, or says that it is for this, or for anything; and it is not called as a
 * line's CA is, whose key lies at a station. */
bool mm_cert_above_configuring(const struct mm_cert *c);
/* Whether that purpose is among others, too: lint refuses it. */
bool mm_cert_names_configuring(const struct mm_cert *c);

#endif
