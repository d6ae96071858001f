#include "flash.h"
#include "mmd_codec.h"
#include "priv.h"

/*
 * Certificates are read where they lie in flash, a few bytes at a time, so
 * that their length is no question of memory.
 */
struct span {
	uint32_t at, n;
};

#define WINDOW 64

/* What the commit looks at of a certificate; RFC 5280 4.1. */
struct seen {
	struct span issuer, subject; /* contents of the Names */
	struct span spki;            /* with tag and length */
};

/* The next element of r, which must have this tag: its contents. */
static bool
into(const struct mmd_flash *f, struct span *r, uint8_t tag,
    struct span *contents)
{
	uint8_t h[6];
	size_t seen = r->n < sizeof(h) ? r->n : sizeof(h), head, len;

	if (seen < 2 || f->read(f->ctx, r->at, h, seen) != MMD_OK ||
	    !mmd_der_head(h, seen, r->n, &head, &len) || h[0] != tag)
		return false;
	*contents = (struct span){ r->at + (uint32_t)head, (uint32_t)len };
	r->at += (uint32_t)(head + len);
	r->n -= (uint32_t)(head + len);
	return true;
}

/* The certificate at the front of r. */
static bool
walk(const struct mmd_flash *f, struct span *r, struct seen *c)
{
	static const uint8_t tags[] = { MMD_DER_CTX0, MMD_DER_INTEGER,
		MMD_DER_SEQ, MMD_DER_SEQ, MMD_DER_SEQ, MMD_DER_SEQ };
	enum { ISSUER = 3 }; /* the subject is the last */
	struct span cert, tbs;
	uint32_t at;

	if (!into(f, r, MMD_DER_SEQ, &cert) ||
	    !into(f, &cert, MMD_DER_SEQ, &tbs))
		return false;
	for (size_t i = 0; i < MMD_COUNT(tags); i++)
		if (!into(f, &tbs, tags[i], i == ISSUER ? &c->issuer
		    : &c->subject))
			return false;
	at = tbs.at;
	if (!into(f, &tbs, MMD_DER_SEQ, &c->spki))
		return false;
	c->spki = (struct span){ at, tbs.at - at };
	return true;
}

/* Pieces of flash for a hash. */
struct source {
	const struct mmd_flash *flash;
	struct span left;
	uint8_t some[WINDOW];
};

static enum mmd_rc
next_piece(void *from, struct mmd_bytes *piece)
{
	struct source *s = from;
	uint32_t n = s->left.n < WINDOW ? s->left.n : WINDOW;
	enum mmd_rc rc = n == 0 ? MMD_OK
	    : s->flash->read(s->flash->ctx, s->left.at, s->some, n);

	s->left.at += n;
	s->left.n -= n;
	*piece = (struct mmd_bytes){ s->some, n };
	return rc;
}

static enum mmd_rc
hash_span(const struct mmd_flash *f, const struct mmd_crypto *crypto,
    const struct span *v, uint8_t out[MMD_HASH])
{
	struct source s = { .flash = f, .left = *v };

	return crypto->hash_from(crypto->ctx, next_piece, &s, out);
}

/* RFC 5280 6.1: each issuer is the next one's subject. */
static enum mmd_rc
check_names(const struct mmd_flash *f, const struct mmd_crypto *crypto,
    struct span chain, struct seen *c)
{
	uint8_t issuer[MMD_HASH], subject[MMD_HASH];
	enum mmd_rc rc = MMD_OK;

	while (rc == MMD_OK && chain.n > 0) {
		rc = hash_span(f, crypto, &c->issuer, issuer);
		if (rc == MMD_OK && !walk(f, &chain, c))
			rc = MMD_EINPUT;
		if (rc == MMD_OK)
			rc = hash_span(f, crypto, &c->subject, subject);
		if (rc == MMD_OK && memcmp(issuer, subject, MMD_HASH) != 0)
			rc = MMD_EINPUT;
	}
	return rc;
}

/* Own key, shape, chain: what is at at belongs to this device. */
static enum mmd_rc
check_chain(const struct mmd_flash *f, const struct mmd_crypto *crypto,
    const struct mmd_bundle *b, uint32_t at, const uint8_t own[MMD_HASH])
{
	struct span cert = { at, b->n[MMD_PART_CERT] };
	struct span chain = { at + cert.n, b->n[MMD_PART_CHAIN] };
	struct seen c;
	uint8_t key[MMD_HASH];
	enum mmd_rc rc;

	if (!walk(f, &cert, &c) || cert.n > 0)
		return MMD_EINPUT;
	rc = hash_span(f, crypto, &c.spki, key);
	if (rc != MMD_OK)
		return rc;
	if (memcmp(key, own, MMD_HASH) != 0)
		return MMD_EPATH;
	return check_names(f, crypto, chain, &c);
}

/* see priv.h */
enum mmd_rc
mmd_own_key(const struct mmd_crypto *crypto, unsigned slot, uint8_t *scratch,
    size_t n, uint8_t out[MMD_HASH])
{
	struct mmd_bytes own = { scratch, 0 };
	enum mmd_rc rc = crypto->public(crypto->ctx, slot, scratch, n, &own.n);

	return rc != MMD_OK ? rc : crypto->hash(crypto->ctx, &own, 1, out);
}

/* Of a hash and what it is salted with, if there is any. */
static enum mmd_rc
salt_hash(const struct mmd_crypto *crypto, struct mmd_bytes salt,
    uint8_t hash[MMD_HASH])
{
	const struct mmd_bytes parts[] = { { hash, MMD_HASH }, salt };

	return salt.n == 0 ? MMD_OK : crypto->hash(crypto->ctx, parts, 2, hash);
}

/* see flash.h */
enum mmd_rc
mmd_store_verify_own(const struct mmd_store *s, const struct mmd_crypto *crypto,
    unsigned identity, struct mmd_bundle *b, struct mmd_bytes salt,
    const uint8_t own[MMD_HASH])
{
	const struct mmd_flash *f = s->flash;
	const struct mmd_area *idle;
	struct mmd_bundle used;
	struct span all;
	uint8_t hash[MMD_HASH];
	enum mmd_rc rc = mmd_store_idle(s, identity, &idle, &used);

	if (rc != MMD_OK)
		return rc;
	if (!mmd_store_fits(b, mmd_store_room(s, identity)))
		return MMD_EINPUT;
	all = (struct span){ idle->at + MMD_STORE_HEAD,
		b->n[0] + b->n[1] + b->n[2] };
	rc = hash_span(f, crypto, &all, hash);
	if (rc == MMD_OK)
		rc = salt_hash(crypto, salt, hash);
	if (rc == MMD_OK && memcmp(hash, b->all, MMD_HASH) != 0)
		rc = MMD_ECHECKSUM;
	all.n = b->n[MMD_PART_CERT];
	if (rc == MMD_OK)
		rc = hash_span(f, crypto, &all, b->cert);
	if (rc == MMD_OK)
		rc = check_chain(f, crypto, b, all.at, own);
	if (rc == MMD_OK)
		memcpy(b->key, own, MMD_STORE_KEY);
	return rc;
}

/* see mmd_store.h */
enum mmd_rc
mmd_store_verify(const struct mmd_store *s, const struct mmd_crypto *crypto,
    unsigned identity, struct mmd_bundle *b, struct mmd_bytes salt,
    uint8_t *scratch, size_t scratch_n)
{
	uint8_t own[MMD_HASH];
	enum mmd_rc rc = mmd_own_key(crypto, identity, scratch, scratch_n, own);

	return rc != MMD_OK ? rc : mmd_store_verify_own(s, crypto, identity, b,
	    salt, own);
}
