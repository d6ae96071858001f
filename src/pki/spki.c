#include <string.h>

#include <openssl/core_names.h>

#include "pki/priv.h"

#define OID_EC  "1.2.840.10045.2.1"
#define OID_RSA "1.2.840.113549.1.1.1"

/* AlgorithmIdentifiers of the keys that we certify, whole. */
#define ALG_P256 "\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01" \
		 "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
#define ALG_P384 "\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01" \
		 "\x06\x05\x2b\x81\x04\x00\x22"
#define ALG_ED25519 "\x30\x05\x06\x03\x2b\x65\x70"
#define ALG_RSA "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" \
		"\x05\x00"

static const struct {
	const char *alg;
	size_t alg_n, key_n; /* key_n 0: RSA, by modulus */
	enum mm_key_type type;
} algs[] = {
	{ ALG_P256, sizeof(ALG_P256) - 1, 65, MM_KEY_P256 },
	{ ALG_P384, sizeof(ALG_P384) - 1, 97, MM_KEY_P384 },
	{ ALG_ED25519, sizeof(ALG_ED25519) - 1, 32, MM_KEY_ED25519 },
	{ ALG_RSA, sizeof(ALG_RSA) - 1, 0, MM_KEY_RSA2048 },
};

static const struct {
	enum mm_key_type type;
	size_t modulus_n; /* bytes, without a leading zero */
} rsa_sizes[] = {
	{ MM_KEY_RSA2048, 256 },
	{ MM_KEY_RSA3072, 384 },
	{ MM_KEY_RSA4096, 512 },
};

static unsigned
mod_small(struct mm_bytes n, unsigned p)
{
	unsigned r = 0;

	for (size_t i = 0; i < n.n; i++)
		r = (r << 8 | n.p[i]) % p;
	return r;
}

/*
 * ROCA (CVE-2017-15361, Nemec et al. 2017): moduli from Infineon's library
 * are powers of 65537 modulo every small prime.  For a sound modulus all
 * seventeen hold by chance once in 2^27.
 */
static bool
roca(struct mm_bytes n)
{
	static const uint8_t primes[] = { 11, 13, 17, 19, 37, 53, 61, 71, 73,
		79, 97, 103, 107, 109, 127, 151, 157 };

	for (size_t i = 0; i < sizeof(primes); i++) {
		unsigned p = primes[i], g = 65537 % p;
		unsigned want = mod_small(n, p), power = g;

		while (power != want && power != 1)
			power = power * g % p;
		if (power != want)
			return false;
	}
	return true;
}

/* RFC 8017 A.1.1; the rules of the header on what nobody should certify. */
static enum mm_err
check_rsa(struct mm_bytes key, enum mm_key_type *type, struct mm_why *why)
{
	static const uint8_t f4[] = { 1, 0, 1 };
	struct mm_rd outer = mm_rd_over(key);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	struct mm_bytes n = mm_der_take(&r, MM_DER_INTEGER);
	struct mm_bytes e = mm_der_take(&r, MM_DER_INTEGER);

	if (!mm_rd_end(&outer) || !mm_rd_end(&r) || !mm_der_natural_ok(n) ||
	    !mm_der_natural_ok(e))
		return MM_FAIL(why, MM_EINPUT,
		    "key: RFC 8017 A.1.1: malformed RSAPublicKey");
	if (!mm_bytes_eq(e, (struct mm_bytes){ f4, sizeof(f4) }))
		return MM_FAIL(why, MM_EPOLICY,
		    "key: RSA exponent is not 65537");
	if (n.p[0] != 0 || n.p[1] < 0x80)
		return MM_FAIL(why, MM_EPOLICY,
		    "key: RSA modulus is not 2048, 3072 or 4096 bits");
	n.p++;
	n.n--;
	for (size_t i = 0; i < MM_COUNT(rsa_sizes); i++) {
		if (rsa_sizes[i].modulus_n != n.n)
			continue;
		if ((n.p[n.n - 1] & 1) == 0 || roca(n))
			return MM_FAIL(why, MM_EPOLICY,
			    "key: RSA modulus is known to be weak");
		*type = rsa_sizes[i].type;
		return MM_OK;
	}
	return MM_FAIL(why, MM_EPOLICY,
	    "key: RSA modulus is not 2048, 3072 or 4096 bits");
}

static enum mm_err
check_point(struct mm_bytes key, size_t want, struct mm_why *why)
{
	if (want == 32 && key.n == 32) /* RFC 8410 4: all strings are keys */
		return MM_OK;
	if (want != 32 && key.n > 0 && (key.p[0] == 2 || key.p[0] == 3))
		return MM_FAIL(why, MM_EPOLICY,
		    "key: compressed points are not accepted");
	if (key.n != want || key.p[0] != 4)
		return MM_FAIL(why, MM_EINPUT,
		    "key: RFC 5480 2.2: %zu bytes of point, want %zu", key.n,
		    want);
	return MM_OK;
}

/* Says what is wrong with an algorithm that no row has. */
static enum mm_err
refuse_alg(struct mm_bytes alg, struct mm_why *why)
{
	struct mm_rd outer = mm_rd_over(alg);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	struct mm_bytes oid = mm_der_take(&r, MM_DER_OID);

	if (mm_der_oid_is(oid, OID_EC) && !mm_der_peek(&r, MM_DER_OID))
		return MM_FAIL(why, MM_EPOLICY,
		    "key: RFC 5480 2.1.1: curve must be named");
	if (mm_der_oid_is(oid, OID_EC))
		return MM_FAIL(why, MM_EPOLICY,
		    "key: curve is neither P-256 nor P-384");
	if (mm_der_oid_is(oid, OID_RSA))
		return MM_FAIL(why, MM_EINPUT,
		    "key: RFC 3279 2.3.1: RSA parameters must be NULL");
	return MM_FAIL(why, MM_EPOLICY, "key: %s is not accepted: want P-256, "
	    "P-384, Ed25519 or RSA", mm_alg_foreign(alg));
}

static enum mm_err
classify(struct mm_bytes alg, struct mm_bytes key, enum mm_key_type *type,
    struct mm_why *why)
{
	for (size_t i = 0; i < MM_COUNT(algs); i++) {
		if (alg.n != algs[i].alg_n ||
		    memcmp(alg.p, algs[i].alg, alg.n) != 0)
			continue;
		if (algs[i].key_n == 0)
			return check_rsa(key, type, why);
		MM_TRY(check_point(key, algs[i].key_n, why));
		*type = algs[i].type;
		return MM_OK;
	}
	return refuse_alg(alg, why);
}

/* RFC 5280 4.1: SubjectPublicKeyInfo */
static enum mm_err
split(struct mm_bytes der, struct mm_bytes *alg, struct mm_bytes *key,
    struct mm_why *why)
{
	struct mm_rd outer = mm_rd_over(der);
	struct mm_rd r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	struct mm_bytes bits;

	*alg = mm_der_take_whole(&r, MM_DER_SEQ);
	bits = mm_der_take(&r, MM_DER_BITS);
	if (!mm_rd_end(&outer) || !mm_rd_end(&r) || !mm_alg_ok(*alg) ||
	    bits.n < 2 || bits.p[0] != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "key: RFC 5280 4.1: malformed SubjectPublicKeyInfo");
	*key = (struct mm_bytes){ bits.p + 1, bits.n - 1 };
	return MM_OK;
}

/* see key.h */
enum mm_err
mm_spki_parse(struct mm_bytes der, struct mm_spki *out, struct mm_why *why)
{
	struct mm_spki s = { .whole = der };
	struct mm_bytes alg;

	MM_TRY(split(der, &alg, &s.key, why));
	MM_TRY(classify(alg, s.key, &s.type, why));
	*out = s;
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_spki_split(struct mm_bytes der, struct mm_spki *out, struct mm_why *why)
{
	struct mm_spki s = { .type = MM_KEY_TYPES, .whole = der };
	struct mm_bytes alg;

	MM_TRY(split(der, &alg, &s.key, why));
	if (classify(alg, s.key, &s.type, NULL) != MM_OK)
		s.type = MM_KEY_TYPES;
	*out = s;
	return MM_OK;
}
