#include <stdlib.h>
#include <string.h>

#include <openssl/kdf.h>
#include <openssl/rand.h>

#include "base/faults.h"
#include "pki/priv.h"

/*
 * EncryptedPrivateKeyInfo (RFC 5958 3) with PBES2 (RFC 8018 6.2): a reader of
 * that syntax with scrypt and GCM opens it; libcrypto's own does not know
 * AEAD ciphers here, so the two ends are ours.
 */
#define OID_PBES2  "1.2.840.113549.1.5.13"
#define OID_SCRYPT "1.3.6.1.4.1.11591.4.11"
#define OID_GCM    "2.16.840.1.101.3.4.1.46"
#define LABEL      "ENCRYPTED PRIVATE KEY"

#define SALT_N  16
#define NONCE_N 12
#define TAG_N   16
#define KEY_N   32
#define SECRET_MAX 65536
#define TEXT_MAX   (SECRET_MAX + TAG_N)

/* What we write, and the most that a hostile file can make us spend. */
#define COST_N    (MM_FAULTY ? 1U << 8 : 1U << 15)
#define COST_R    8U
#define COST_P    1U
#define MEMORY_MAX (UINT64_C(256) << 20)
#define P_MAX     4U
#define R_MAX     64U

struct sealed {
	struct mm_bytes salt, nonce, text; /* text: ciphertext, then tag */
	uint32_t n, r, p;
};

MM_FREE_FN(cipher_free, EVP_CIPHER_CTX, EVP_CIPHER_CTX_free)

struct mm_stretched {
	uint8_t salt[SALT_N], key[KEY_N];
	uint32_t n, r, p; /* n 0: nothing yet */
};

/* see key.h */
enum mm_err
mm_stretched_new(struct mm_stretched **out, struct mm_why *why)
{
	struct mm_stretched *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	*out = k;
	return MM_OK;
}

/* see key.h */
void
mm_stretched_free(struct mm_stretched **owner)
{
	if (*owner != NULL)
		mm_wipe(*owner, sizeof(**owner));
	free(*owner);
	*owner = NULL;
}

static bool
is_kept(const struct mm_stretched *k, const struct sealed *s)
{
	return k != NULL && k->n == s->n && k->r == s->r && k->p == s->p &&
	    mm_bytes_eq(s->salt, (struct mm_bytes){ k->salt, SALT_N });
}

static void
keep(struct mm_stretched *k, const struct sealed *s, const uint8_t key[KEY_N])
{
	if (k == NULL || s->salt.n != SALT_N)
		return;
	memcpy(k->salt, s->salt.p, SALT_N);
	memcpy(k->key, key, KEY_N);
	k->n = s->n;
	k->r = s->r;
	k->p = s->p;
}

static enum mm_err
stretch(const struct sealed *s, struct mm_bytes passphrase,
    struct mm_stretched *kept, uint8_t key[KEY_N], struct mm_why *why)
{
	char text[120];

	if (is_kept(kept, s)) {
		memcpy(key, kept->key, KEY_N);
		return MM_OK;
	}
	/* OpenSSL counts some buffers besides RFC 7914's 128 N r */
	if (EVP_PBE_scrypt((const char *)passphrase.p, passphrase.n,
	    s->salt.p, s->salt.n, s->n, s->r, s->p, MEMORY_MAX * 2, key,
	    KEY_N) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "seal: scrypt: %s",
		    mm_openssl_why(text));
	keep(kept, s, key);
	return MM_OK;
}

/* NIST SP 800-38D 7.1, 7.2; the tag stands behind the text. */
static bool
gcm(bool encrypt, const uint8_t key[KEY_N], const struct sealed *s,
    struct mm_bytes in, uint8_t *out, uint8_t tag[TAG_N])
{
	MM_OWN(cipher_free) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n, rest;

	if (c == NULL || EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key,
	    s->nonce.p, encrypt) != 1 ||
	    EVP_CipherUpdate(c, out, &n, in.p, (int)in.n) != 1)
		return false;
	if (!encrypt && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_N,
	    tag) != 1)
		return false;
	if (EVP_CipherFinal_ex(c, out + n, &rest) != 1)
		return false;
	return !encrypt || EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG,
	    TAG_N, tag) == 1;
}

/* RFC 7914 7: scrypt-params */
static void
put_scrypt(struct mm_buf *b, const struct sealed *s)
{
	size_t alg = mm_der_open(b, MM_DER_SEQ), params;

	mm_der_put_oid(b, OID_SCRYPT);
	params = mm_der_open(b, MM_DER_SEQ);
	mm_der_put(b, MM_DER_OCTETS, s->salt);
	mm_der_put_uint(b, s->n);
	mm_der_put_uint(b, s->r);
	mm_der_put_uint(b, s->p);
	mm_der_put_uint(b, KEY_N);
	mm_der_close(b, params);
	mm_der_close(b, alg);
}

/* RFC 5084 3.2: GCMParameters */
static void
put_gcm(struct mm_buf *b, const struct sealed *s)
{
	size_t alg = mm_der_open(b, MM_DER_SEQ), params;

	mm_der_put_oid(b, OID_GCM);
	params = mm_der_open(b, MM_DER_SEQ);
	mm_der_put(b, MM_DER_OCTETS, s->nonce);
	mm_der_put_uint(b, TAG_N);
	mm_der_close(b, params);
	mm_der_close(b, alg);
}

static void
put_sealed(struct mm_buf *b, const struct sealed *s)
{
	size_t whole = mm_der_open(b, MM_DER_SEQ);
	size_t alg = mm_der_open(b, MM_DER_SEQ), params;

	mm_der_put_oid(b, OID_PBES2);
	params = mm_der_open(b, MM_DER_SEQ);
	put_scrypt(b, s);
	put_gcm(b, s);
	mm_der_close(b, params);
	mm_der_close(b, alg);
	mm_der_put(b, MM_DER_OCTETS, s->text);
	mm_der_close(b, whole);
}

static bool
read_scrypt(struct mm_rd *r, struct sealed *s)
{
	struct mm_rd a = mm_rd_over(mm_der_take(r, MM_DER_SEQ)), params;
	bool ok = mm_der_oid_is(mm_der_take(&a, MM_DER_OID), OID_SCRYPT);

	params = mm_rd_over(mm_der_take(&a, MM_DER_SEQ));
	s->salt = mm_der_take(&params, MM_DER_OCTETS);
	s->n = mm_der_take_uint(&params);
	s->r = mm_der_take_uint(&params);
	s->p = mm_der_take_uint(&params);
	if (params.left > 0)
		ok = mm_der_take_uint(&params) == KEY_N && ok;
	return ok && mm_rd_end(&a) && mm_rd_end(&params);
}

static bool
read_gcm(struct mm_rd *r, struct sealed *s)
{
	struct mm_rd a = mm_rd_over(mm_der_take(r, MM_DER_SEQ)), params;
	bool ok = mm_der_oid_is(mm_der_take(&a, MM_DER_OID), OID_GCM);

	params = mm_rd_over(mm_der_take(&a, MM_DER_SEQ));
	s->nonce = mm_der_take(&params, MM_DER_OCTETS);
	ok = mm_der_take_uint(&params) == TAG_N && ok;
	return ok && s->nonce.n == NONCE_N && mm_rd_end(&a) &&
	    mm_rd_end(&params);
}

static enum mm_err
read_sealed(struct mm_bytes der, struct sealed *s, struct mm_why *why)
{
	struct mm_rd outer = mm_rd_over(der), r, alg, params;
	bool ok;

	r = mm_rd_over(mm_der_take(&outer, MM_DER_SEQ));
	alg = mm_rd_over(mm_der_take(&r, MM_DER_SEQ));
	ok = mm_der_oid_is(mm_der_take(&alg, MM_DER_OID), OID_PBES2);
	params = mm_rd_over(mm_der_take(&alg, MM_DER_SEQ));
	ok = read_scrypt(&params, s) && ok;
	ok = read_gcm(&params, s) && ok;
	s->text = mm_der_take(&r, MM_DER_OCTETS);
	if (!ok || !mm_rd_end(&outer) || !mm_rd_end(&r) || !mm_rd_end(&alg) ||
	    !mm_rd_end(&params) || s->text.n <= TAG_N ||
	    s->text.n > TEXT_MAX)
		return MM_FAIL(why, MM_EINPUT, "sealed key: RFC 8018 6.2: want "
		    "PBES2 with scrypt and AES-256-GCM");
	if (s->n < 2 || (s->n & (s->n - 1)) != 0 || s->r == 0 ||
	    s->r > R_MAX || s->p == 0 || s->p > P_MAX ||
	    UINT64_C(128) * s->n * s->r > MEMORY_MAX)
		return MM_FAIL(why, MM_EINPUT,
		    "sealed key: RFC 7914 2: scrypt cost out of range");
	return MM_OK;
}

/* see key.h */
enum mm_err
mm_seal(struct mm_bytes secret, struct mm_bytes passphrase,
    struct mm_stretched *kept, struct mm_buf *pem, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(TEXT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(SECRET_MAX * 2);
	uint8_t random[SALT_N + NONCE_N], key[KEY_N], *room;
	struct sealed s = {
		.salt = { random, SALT_N },
		.nonce = { random + SALT_N, NONCE_N },
		.n = COST_N, .r = COST_R, .p = COST_P,
	};
	bool ok;

	if (secret.n == 0 || passphrase.n == 0)
		return MM_FAIL(why, MM_EINPUT,
		    "seal: empty secret or passphrase");
	room = secret.n > SECRET_MAX ? NULL :
	    mm_buf_room(&text, secret.n + TAG_N);
	if (room == NULL)
		return MM_FAIL(why, MM_ELIMIT, "seal: secret is too long");
	if (RAND_bytes(random, sizeof(random)) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "seal: no random bytes");
	if (kept != NULL && kept->n == s.n && kept->r == s.r && kept->p == s.p)
		memcpy(random, kept->salt, SALT_N);
	MM_TRY(stretch(&s, passphrase, kept, key, why));
	ok = gcm(true, key, &s, secret, room, room + secret.n);
	mm_wipe(key, sizeof(key));
	if (!ok)
		return MM_FAIL(why, MM_ECRYPTO, "seal: cannot encrypt");
	s.text = mm_buf_view(&text);
	put_sealed(&der, &s);
	MM_TRY(mm_buf_ok(&der, why));
	mm_pem_put(pem, LABEL, mm_buf_view(&der));
	return mm_buf_ok(pem, why);
}

/* see key.h */
enum mm_err
mm_unseal(struct mm_bytes pem, struct mm_bytes passphrase,
    struct mm_stretched *kept, struct mm_secret **out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(SECRET_MAX * 2);
	MM_OWN(mm_secret_free) struct mm_secret *plain = NULL;
	struct sealed s = { 0 };
	uint8_t key[KEY_N], tag[TAG_N];
	struct mm_bytes body;
	bool ok;

	MM_TRY(mm_pem_next(&pem, LABEL, &der, why));
	MM_TRY(read_sealed(mm_buf_view(&der), &s, why));
	body = (struct mm_bytes){ s.text.p, s.text.n - TAG_N };
	MM_TRY(mm_secret_new(body.n, &plain, why));
	MM_TRY(stretch(&s, passphrase, kept, key, why));
	for (size_t i = 0; i < TAG_N; i++)
		tag[i] = body.p[body.n + i];
	ok = gcm(false, key, &s, body, plain->p, tag);
	mm_wipe(key, sizeof(key));
	if (!ok)
		return MM_FAIL(why, MM_EAUTH,
		    "sealed key: wrong passphrase or damaged file");
	*out = MM_MOVE(plain);
	return MM_OK;
}

/* see key.h */
enum mm_err
mm_box_seal(const uint8_t key[32], struct mm_bytes secret, struct mm_buf *out,
    struct mm_why *why)
{
	uint8_t nonce[NONCE_N], *room;
	const struct sealed s = { .nonce = { nonce, NONCE_N } };

	if (RAND_bytes(nonce, sizeof(nonce)) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "box: no random bytes");
	mm_buf_put(out, nonce, sizeof(nonce));
	room = secret.n > SECRET_MAX ? NULL :
	    mm_buf_room(out, secret.n + TAG_N);
	if (room == NULL)
		return MM_FAIL(why, MM_ELIMIT, "box: secret is too long");
	return gcm(true, key, &s, secret, room, room + secret.n) ? MM_OK :
	    MM_FAIL(why, MM_ECRYPTO, "box: cannot encrypt");
}

/* see key.h */
enum mm_err
mm_box_open(const uint8_t key[32], struct mm_bytes box, struct mm_secret **out,
    struct mm_why *why)
{
	MM_OWN(mm_secret_free) struct mm_secret *plain = NULL;
	struct mm_bytes body = { NULL, 0 };
	struct sealed s = { .nonce = { box.p, NONCE_N } };
	uint8_t tag[TAG_N];

	if (box.n <= NONCE_N + TAG_N || box.n > NONCE_N + TEXT_MAX)
		return MM_FAIL(why, MM_EAUTH, "box: damaged");
	body = (struct mm_bytes){ box.p + NONCE_N, box.n - NONCE_N - TAG_N };
	MM_TRY(mm_secret_new(body.n, &plain, why));
	memcpy(tag, body.p + body.n, TAG_N);
	if (!gcm(false, key, &s, body, plain->p, tag))
		return MM_FAIL(why, MM_EAUTH, "box: another key's, or damaged");
	*out = MM_MOVE(plain);
	return MM_OK;
}
