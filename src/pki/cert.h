#ifndef MM_PKI_CERT_H
#define MM_PKI_CERT_H

#include "base/buf.h"
#include "pki/csr.h"
#include "pki/profile.h"

/*
 * Certificates: reading (a strict walk giving slices), building from profile
 * and fields, linting what was built by code that did not build it, CA
 * certificates, CRLs, PKCS#7.
 */
#define MM_SERIAL_N 16
#define MM_CERT_MAX 16384

struct mm_cert { /* slices borrow the DER; serial: INTEGER's contents */
	struct mm_bytes whole, tbs, serial, alg, issuer, subject;
	int64_t not_before_s, not_after_s;
	struct mm_spki spki;
	struct mm_bytes extensions; /* contents of Extensions; may be empty */
	struct mm_bytes signature;
};
/* RFC 5280 4.1.  MM_EINPUT.  Our own and foreign certificates alike; a key
 * of a type we do not certify gives spki.type MM_KEY_TYPES. */
MM_MUST enum mm_err mm_cert_walk(struct mm_bytes der, struct mm_cert *out,
    struct mm_why *why);
/* An extension's OCTET STRING contents by OID; false if absent. */
bool mm_cert_extension(const struct mm_cert *c, const char *oid,
    bool *critical, struct mm_bytes *value);
/*
 * The certificate of a recovered administrator ("mintmark-signer
 * recover-admin"): one critical purpose that nothing else has, for an hour.
 */
#define MM_RECOVERY_S      3600
#define MM_RECOVERY_BACK_S 60 /* backdated, for clocks that differ */
bool mm_cert_recovers(const struct mm_cert *c);
/* Whether that purpose is among others, too: lint refuses it. */
bool mm_cert_names_recovery(const struct mm_cert *c);
/* Verifies the signature with the issuer's key. */
MM_MUST enum mm_err mm_cert_verify(const struct mm_cert *c, EVP_PKEY *issuer,
    struct mm_why *why);
/* The same with the key of issuer's certificate, which must have that name. */
MM_MUST enum mm_err mm_cert_verify_by(const struct mm_cert *c,
    const struct mm_cert *issuer);
/* First value of an attribute (OID) in a Name; false if absent. */
bool mm_name_attribute(struct mm_bytes name, const char *oid, char *out,
    size_t outn);
/* Human one-line form: "O=Acme,CN=x". */
void mm_name_text(struct mm_bytes name, struct mm_buf *out);

/* An issuer as the builder needs it: from its certificate. */
struct mm_issuer {
	char name[MM_NAME_MAX + 1];
	struct mm_bytes der;      /* its certificate; borrowed */
	struct mm_bytes subject;  /* becomes issuer, byte for byte */
	uint8_t key_id[20];       /* its subjectKeyIdentifier */
	enum mm_key_type key_type;
	int64_t not_before_s, not_after_s;
	unsigned shards; /* of a line CA 1: its station knows no other */
	/* "<public_url>/crl/<name>/", then "<shard>.crl"; "" without URL */
	char crl_url[MM_URL_MAX + 64];
	char aia_url[MM_URL_MAX + 64]; /* "<public_url>/issuer/<name>.cer" */
	char ocsp_url[MM_URL_MAX + 64]; /* "<public_url>/ocsp", or "" */
};
MM_MUST enum mm_err mm_issuer_make(struct mm_issuer *out,
    const struct mm_issuer_conf *conf, const char *public_url,
    struct mm_bytes der, struct mm_why *why);
/* How many shards its lists have; 0: its certificates name no list. */
unsigned mm_issuer_shards(const struct mm_issuer_conf *conf,
    const char *public_url);
/* Where the list of a shard is: what certificates and the list itself say. */
#define MM_CRL_URL_MAX (MM_URL_MAX + 80)
void mm_issuer_crl_url(const struct mm_issuer *i, unsigned shard,
    char out[MM_CRL_URL_MAX]);
/* A serial number as people write it, whichever CA's it is: RFC 5280 4.1.2.2,
 * 1 to 20 octets in hex digits, leading zeros or none. */
#define MM_ANY_SERIAL_N 20
struct mm_any_serial {
	uint8_t p[MM_ANY_SERIAL_N]; /* the first is 0 of 0 alone */
	uint8_t n;                  /* 0: none */
};
/* MM_EINPUT: it is none. */
MM_MUST enum mm_err mm_any_serial_parse(struct mm_bytes text,
    struct mm_any_serial *out, struct mm_why *why);
/* The shard is a pure function of the serial: fixed at issue. */
unsigned mm_issuer_shard(const struct mm_issuer *i,
    const uint8_t serial[MM_SERIAL_N]);
unsigned mm_serial_shard(const uint8_t serial[MM_SERIAL_N], unsigned shards);

struct mm_cert_fields {
	uint8_t serial[MM_SERIAL_N];
	int64_t not_before_s, not_after_s;
	const char *device, *product;
	struct mm_spki spki;
};
/* 48 bits of Unix milliseconds (first byte forced into 01..7F), then 80
 * random bits. */
void mm_serial_make(int64_t now_ms, const uint8_t random[10],
    uint8_t out[MM_SERIAL_N]);
/* Backdating, lifetime, jitter (0..1 from 16 random bits), the issuer's end:
 * never beyond it. wish_s: a shorter lifetime asked for, 0 none. */
void mm_cert_validity(const struct mm_profile *p, const struct mm_issuer *i,
    int64_t now_s, uint16_t random, int64_t wish_s, int64_t *not_before_s,
    int64_t *not_after_s);
/* Appends the TBSCertificate. alg: mm_sign_alg. */
MM_MUST enum mm_err mm_cert_build(const struct mm_profile *p,
    const struct mm_issuer *i, const struct mm_cert_fields *f,
    struct mm_bytes alg, struct mm_buf *tbs, struct mm_why *why);
/* SEQUENCE { tbs, alg, BIT STRING sig }: certificates and CRLs. */
void mm_cert_join(struct mm_buf *out, struct mm_bytes tbs,
    struct mm_bytes alg, struct mm_bytes sig);
/*
 * RFC 5280 and the profile's rules on a built TBS; shares no code with the
 * builder but the DER reader.  MM_EBUG: a lint failure is our bug.
 */
MM_MUST enum mm_err mm_lint_tbs(struct mm_bytes tbs,
    const struct mm_profile *p, const struct mm_issuer *i,
    const struct mm_cert_fields *f, struct mm_why *why);

/* CA and server certificates (init, ca): not the hot path. */
struct mm_ca_fields {
	uint8_t serial[MM_SERIAL_N];
	int64_t not_before_s, not_after_s;
	const struct mm_conf_list *subject; /* as in a profile */
	struct mm_bytes subject_name;       /* instead: a Name, as it is */
	int path_len;                        /* -1: none stated */
	bool ca;                             /* else a TLS server ... */
	bool recovery;                       /* ... or an administrator ... */
	bool responder;                      /* ... or an OCSP responder ... */
	bool configures;                     /* ... or confdoc.h's signer ... */
	bool client;                         /* ... or an operator */
	/* of a CA: what all below it is good for, dotted (4.2.1.12); NULL: it
	 * does not say */
	const struct mm_conf_list *purposes;
	/* of a CA: names that nothing below it has, and no address (4.2.1.10);
	 * NULL: it does not say */
	const struct mm_conf_list *not_hosts;
	const struct mm_conf_list *dns, *ip; /* server's SAN */
	struct mm_bytes spki;
	struct mm_bytes issuer_subject;      /* empty: self-signed */
	struct mm_bytes issuer_key_id;
};
/* What a line CA's CN ends with, then its name. */
#define MM_LINE_CN "Line CA"
/* One DNS name for a server's SAN, "*." before it or not; no address. */
bool mm_host_name_valid(const char *s);
MM_MUST enum mm_err mm_ca_build(const struct mm_ca_fields *f,
    struct mm_bytes alg, struct mm_buf *tbs, struct mm_why *why);

/*
 * CRL v2 (RFC 5280 5): complete, without an issuingDistributionPoint, which
 * some clients cannot read; or of one shard, with one that is critical (5.2.5)
 * and has the address that is in the shard's certificates.
 */
#define MM_CRL_WHOLE UINT32_MAX
struct mm_crl_entry {
	uint8_t serial[MM_SERIAL_N];
	int64_t at_s;
	uint8_t reason; /* RFC 5280 5.3.1; 0 is left out */
};
struct mm_crl_of {
	uint64_t number;
	int64_t this_s, next_s;
	uint32_t shard; /* MM_CRL_WHOLE: it is complete */
	const struct mm_crl_entry *entry;
	size_t n;
};
/* Appends the TBSCertList.  MM_EINPUT: a time, a reason, or an entry that is
 * of another shard. */
MM_MUST enum mm_err mm_crl_build(const struct mm_issuer *i,
    const struct mm_crl_of *of, struct mm_bytes alg, struct mm_buf *tbs,
    struct mm_why *why);
/* A list that was read; slices borrow the DER. */
struct mm_crl {
	struct mm_bytes tbs, alg, issuer, signature;
	struct mm_bytes key_id; /* of who signed it; empty: not said */
	struct mm_bytes number; /* INTEGER's contents; empty: none */
	int64_t this_s, next_s;
	size_t entries;
	bool partial; /* an issuingDistributionPoint: not of all (5.2.5) */
	struct mm_bytes point; /* its URI, if it is as a shard's of ours */
	bool strange; /* another critical extension: not to be used (5.2) */
};
/* RFC 5280 5.1, with a nextUpdate as 5.1.2.5 wants it.  MM_EINPUT.  Verifies
 * nothing. */
MM_MUST enum mm_err mm_crl_walk(struct mm_bytes der, struct mm_crl *out,
    struct mm_why *why);
/* By name and key: of two CAs of one name, too. */
bool mm_crl_same_issuer(const struct mm_crl *a, const struct mm_crl *b);
/* As strcmp's: which number is larger. */
int mm_crl_number_order(const struct mm_crl *a, const struct mm_crl *b);
MM_MUST enum mm_err mm_crl_verify(const struct mm_crl *c, EVP_PKEY *issuer,
    struct mm_why *why);
/* By that certificate's key; its name is compared, too.  Not for many. */
MM_MUST enum mm_err mm_crl_verify_by(const struct mm_crl *c,
    struct mm_bytes cert, struct mm_why *why);
const char *mm_reason_name(unsigned reason); /* "keyCompromise" */
/* RFC 5280 5.3.1: 7 is unused, 8 is for delta lists, 6 is a hold. */
bool mm_reason_revokes(unsigned reason);
MM_MUST enum mm_err mm_reason_parse(const char *name, unsigned *out,
    struct mm_why *why);

/* PKCS#7 certs-only (RFC 7030 4.1.3, RFC 8951): SignedData, no signers. */
void mm_pkcs7_certs(struct mm_buf *out, const struct mm_bytes *der, size_t n);
/* Each certificate of a certs-only PKCS#7. */
MM_MUST enum mm_err mm_pkcs7_walk(struct mm_bytes p7, struct mm_bytes *der,
    size_t most, size_t *n, struct mm_why *why);

/* PEM of one or more blocks of a label. */
void mm_pem_put(struct mm_buf *out, const char *label, struct mm_bytes der);
/* Next block with the label, alone in der; *rest moves behind it.  Text
 * around blocks is passed over.  MM_ENOTFOUND at the end, MM_EINPUT. */
MM_MUST enum mm_err mm_pem_next(struct mm_bytes *rest, const char *label,
    struct mm_buf *der, struct mm_why *why);
/* The next revocation list, walked: out points into der.  As the two say;
 * MM_ENOTFOUND at the end. */
MM_MUST enum mm_err mm_crl_next(struct mm_bytes *rest, struct mm_buf *der,
    struct mm_crl *out, struct mm_why *why);

#endif
