#ifndef TEST_PKI_FIXTURE_H
#define TEST_PKI_FIXTURE_H

#include "../base/rows.h"

#include "pki/cert.h"

#define DAY INT64_C(86400)
/* 2026-11-23T00:00:00Z: the tests' today */
#define NOW INT64_C(1795392000)

/* Fails the test with the reason's own words. */
#define OK(why, ...)                                            \
	do {                                                    \
		if ((__VA_ARGS__) != MM_OK)                     \
			fail_msg("%s: %s", #__VA_ARGS__, (why).text); \
	} while (0)

/* A key of this type, made once: RSA takes its time.  Owned. */
EVP_PKEY *key_of(enum mm_key_type t, bool ca);

/* An issuer and everything its certificate borrows from. */
struct ca {
	EVP_PKEY *key;
	struct mm_sign *sign;
	struct mm_buf der;
	struct mm_issuer issuer;
};
/* One certificate's worth of input, and what came of it. */
struct issued {
	EVP_PKEY *key;
	struct mm_buf request, tbs, cert;
	struct mm_csr csr;
	struct mm_cert_fields fields;
};

void list_set(struct mm_conf_list *l, const char *const *items);
#define LIST(l, ...) \
	list_set((l), (const char *const[]){ __VA_ARGS__, NULL })

/* The presets, under issuer "ldevid", for every key type. */
void profile_init(struct mm_profile *p);

/* Self-signed, ten years from yesterday; name constraints' DER or NULL. */
void ca_init(struct ca *ca, enum mm_key_type t);
/* The same, with CAs below it. */
void ca_init_root(struct ca *ca, enum mm_key_type t);
void ca_done(struct ca *ca);

/* Key, request, fields; then TBS and certificate. */
void issued_init(struct issued *d, enum mm_key_type t, const char *device);
void issued_fields(struct issued *d, const struct mm_profile *p,
    const struct ca *ca, const char *device);
void issued_build(struct issued *d, const struct mm_profile *p,
    const struct ca *ca);
void issued_sign(struct issued *d, const struct ca *ca);
void issued_done(struct issued *d);

#endif
