#include "ca.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define NEVER "99991231235959Z" /* RFC 5280 4.1.2.5: no end is foreseen */

/* see ca.h */
void
ca_hash(struct mmd_bytes v, uint8_t out[MMD_HASH])
{
	unsigned n;

	(void)EVP_Digest(v.p, v.n, out, &n, EVP_sha256(), NULL);
}

static bool
add(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX v3;
	X509_EXTENSION *e;
	bool ok;

	X509V3_set_ctx(&v3, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_nconf_nid(NULL, &v3, nid, value);
	ok = e != NULL && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static bool
set_serial(X509 *x)
{
	uint8_t random[16];
	BIGNUM *n;
	bool ok;

	if (RAND_bytes(random, sizeof(random)) != 1)
		return false;
	random[0] = (random[0] & 0x3f) | 0x40;
	n = BN_bin2bn(random, sizeof(random), NULL);
	ok = n != NULL &&
	    BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
	BN_free(n);
	return ok;
}

/* A certificate but for its extensions and signature. */
static X509 *
draft(const char *name, const X509 *issuer, EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *cn;

	if (x == NULL)
		return NULL;
	cn = X509_get_subject_name(x);
	if (X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
	    X509_NAME_add_entry_by_txt(cn, "CN", MBSTRING_UTF8,
	    (const unsigned char *)name, -1, -1, 0) == 1 &&
	    X509_set_issuer_name(x, issuer == NULL ? cn
	    : X509_get_subject_name(issuer)) == 1 &&
	    X509_gmtime_adj(X509_getm_notBefore(x), -60) != NULL &&
	    ASN1_TIME_set_string(X509_getm_notAfter(x), NEVER) == 1 &&
	    X509_set_pubkey(x, key) == 1)
		return x;
	X509_free(x);
	return NULL;
}

static X509 *
authority(const char *name, X509 *issuer, EVP_PKEY *key, EVP_PKEY *signer)
{
	X509 *x = draft(name, issuer, key);

	if (x != NULL &&
	    add(x, issuer == NULL ? x : issuer, NID_basic_constraints,
	    "critical,CA:TRUE") &&
	    add(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    add(x, x, NID_subject_key_identifier, "hash") &&
	    X509_sign(x, signer, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

static bool
make(struct ca *ca)
{
	ca->root_key = EVP_EC_gen("P-256");
	ca->key = EVP_EC_gen("P-256");
	if (ca->root_key == NULL || ca->key == NULL)
		return false;
	ca->root = authority("Sim root", NULL, ca->root_key, ca->root_key);
	if (ca->root == NULL)
		return false;
	ca->issuer = authority("Sim line", ca->root, ca->key, ca->root_key);
	return ca->issuer != NULL;
}

static FILE *
open_in(const struct ca *ca, const char *name, const char *mode)
{
	char path[700];
	bool writes = mode[0] == 'w';
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", ca->folder, name);
	fd = open(path, writes ? O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC
	    : O_RDONLY | O_CLOEXEC, 0600);
	return fd < 0 ? NULL : fdopen(fd, mode);
}

static bool
save(const struct ca *ca)
{
	FILE *f = open_in(ca, "ca.pem", "w");
	bool ok = f != NULL && PEM_write_X509(f, ca->root) == 1 &&
	    PEM_write_X509(f, ca->issuer) == 1 &&
	    PEM_write_PrivateKey(f, ca->key, NULL, NULL, 0, NULL, NULL) == 1;

	if (f != NULL)
		ok = fclose(f) == 0 && ok;
	return ok;
}

static bool
load(struct ca *ca)
{
	FILE *f = open_in(ca, "ca.pem", "r");

	if (f == NULL)
		return false;
	ca->root = PEM_read_X509(f, NULL, NULL, NULL);
	ca->issuer = PEM_read_X509(f, NULL, NULL, NULL);
	ca->key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	(void)fclose(f);
	return ca->root != NULL && ca->issuer != NULL && ca->key != NULL;
}

/* see ca.h */
bool
ca_open(struct ca *ca, const char *folder)
{
	memset(ca, 0, sizeof(*ca));
	if (strlen(folder) >= sizeof(ca->folder))
		return false;
	(void)strcpy(ca->folder, folder);
	if (folder[0] == '\0')
		return make(ca);
	return load(ca) || (make(ca) && save(ca));
}

/* see ca.h */
void
ca_close(struct ca *ca)
{
	EVP_PKEY_free(ca->root_key);
	EVP_PKEY_free(ca->key);
	X509_free(ca->root);
	X509_free(ca->issuer);
	memset(ca, 0, sizeof(*ca));
}

static void
file_of(const uint8_t key[MMD_HASH], char out[2 * MMD_HASH + 5])
{
	for (size_t i = 0; i < MMD_HASH; i++)
		(void)sprintf(out + 2 * i, "%02x", key[i]);
	(void)strcpy(out + 2 * MMD_HASH, ".der");
}

static bool
recall(const struct ca *ca, const uint8_t key[MMD_HASH],
    uint8_t cert[CA_DER_MAX], size_t *n)
{
	char name[2 * MMD_HASH + 5];
	FILE *f;

	if (ca->folder[0] == '\0') {
		if (ca->last_n == 0 || memcmp(ca->last_key, key, MMD_HASH) != 0)
			return false;
		memcpy(cert, ca->last, ca->last_n);
		*n = ca->last_n;
		return true;
	}
	file_of(key, name);
	f = open_in(ca, name, "r");
	if (f == NULL)
		return false;
	*n = fread(cert, 1, CA_DER_MAX, f);
	(void)fclose(f);
	return *n > 0;
}

static bool
remember(struct ca *ca, const uint8_t key[MMD_HASH], const uint8_t *cert,
    size_t n)
{
	char name[2 * MMD_HASH + 5];
	FILE *f;
	bool ok;

	memcpy(ca->last_key, key, MMD_HASH);
	memcpy(ca->last, cert, n);
	ca->last_n = n;
	ca->issued++;
	if (ca->folder[0] == '\0')
		return true;
	file_of(key, name);
	f = open_in(ca, name, "w");
	ok = f != NULL && fwrite(cert, 1, n, f) == n;
	if (f != NULL)
		ok = fclose(f) == 0 && ok;
	return ok;
}

static bool
to_der(const X509 *x, uint8_t out[CA_DER_MAX], size_t *n)
{
	int len = i2d_X509(x, NULL);

	if (len <= 0 || len > CA_DER_MAX)
		return false;
	*n = (size_t)i2d_X509(x, &out);
	return true;
}

static bool
sign(const struct ca *ca, const char *name, EVP_PKEY *key,
    uint8_t cert[CA_DER_MAX], size_t *n)
{
	X509 *x = draft(name, ca->issuer, key);
	bool ok = x != NULL &&
	    add(x, ca->issuer, NID_key_usage, "critical,digitalSignature") &&
	    add(x, ca->issuer, NID_subject_key_identifier, "hash") &&
	    add(x, ca->issuer, NID_authority_key_identifier, "keyid") &&
	    X509_sign(x, ca->key, EVP_sha256()) > 0 && to_der(x, cert, n);

	X509_free(x);
	return ok;
}

/* see ca.h */
bool
ca_certify(struct ca *ca, struct mmd_bytes request, const char *name,
    uint8_t cert[CA_DER_MAX], size_t *cert_n, uint8_t spki[MMD_SPKI_MAX],
    size_t *spki_n)
{
	const unsigned char *p = request.p;
	unsigned char *out = spki;
	X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)request.n);
	EVP_PKEY *key = req == NULL ? NULL : X509_REQ_get0_pubkey(req);
	uint8_t hash[MMD_HASH];
	bool ok = key != NULL && p == request.p + request.n &&
	    X509_REQ_verify(req, key) == 1 &&
	    i2d_PUBKEY(key, NULL) <= MMD_SPKI_MAX;

	if (ok) {
		*spki_n = (size_t)i2d_PUBKEY(key, &out);
		ca_hash((struct mmd_bytes){ spki, *spki_n }, hash);
		ok = recall(ca, hash, cert, cert_n) ||
		    (sign(ca, name, key, cert, cert_n) &&
		    remember(ca, hash, cert, *cert_n));
	}
	X509_REQ_free(req);
	ERR_clear_error();
	return ok;
}

/* see ca.h */
bool
ca_chain(const struct ca *ca, uint8_t der[CA_DER_MAX], size_t *n)
{
	return to_der(ca->issuer, der, n);
}

/* see ca.h */
bool
ca_verify(struct mmd_bytes spki, struct mmd_bytes msg, struct mmd_bytes sig)
{
	const unsigned char *p = spki.p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)spki.n);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = key != NULL && md != NULL &&
	    EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestVerify(md, sig.p, sig.n, msg.p, msg.n) == 1;

	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return ok;
}
