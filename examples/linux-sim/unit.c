#include "unit.h"

#include <string.h>

#include <openssl/rand.h>

/* see unit.h */
const char *const unit_steps[UNIT_STEPS] = { "hello", "key", "csr", "put",
	"commit", "prove", "lock", "check", "done" };

/* see unit.h */
const char *const unit_refusals[MMD_REFUSALS] = {
	[MMD_R_NONE] = "not said",
	[MMD_R_LOCKED] = "locked",
	[MMD_R_NO_KEY] = "has no key",
	[MMD_R_NO_CERT] = "has no certificate",
	[MMD_R_KIND] = "does not make such keys",
	[MMD_R_SPACE] = "has no room",
	[MMD_R_PIECE] = "a piece that is not on a step",
	[MMD_R_HASH] = "holds other bytes than were sent",
	[MMD_R_CHAIN] = "not a chain of certificates",
	[MMD_R_FOREIGN] = "the certificate is of another key",
	[MMD_R_OTHER] = "another certificate is in use",
	[MMD_R_NEWER] = "its storage was written by newer firmware",
	[MMD_R_BOARD] = "storage or crypto failed",
	[MMD_R_OLDER] = "has a newer configuration",
};

static void
parts_of(const struct unit *u, struct mmd_bytes parts[MMD_PARTS])
{
	parts[MMD_PART_CERT] = (struct mmd_bytes){ u->cert, u->cert_n };
	parts[MMD_PART_CHAIN] = (struct mmd_bytes){ u->chain, u->chain_n };
	parts[MMD_PART_CONFIG] = u->config;
}

static enum mmd_rc
start(struct unit *u)
{
	struct mmd_bytes parts[MMD_PARTS];
	uint8_t random[MMD_STIR];

	parts_of(u, parts);
	if (RAND_bytes(random, sizeof(random)) != 1 ||
	    RAND_bytes(u->nonce, sizeof(u->nonce)) != 1)
		return MMD_EPORT;
	switch (u->step) {
	case UNIT_KEY:
		mmd_link_key(&u->link, MMD_IDEVID, MMD_KEY_P256, random);
		return MMD_MORE;
	case UNIT_CSR:
		mmd_link_csr(&u->link, MMD_IDEVID);
		return MMD_MORE;
	case UNIT_PUT:
		return mmd_link_put(&u->link, MMD_IDEVID, parts);
	case UNIT_COMMIT:
		mmd_link_commit(&u->link, MMD_IDEVID, parts, u->all_hash,
		    NULL);
		return MMD_MORE;
	case UNIT_PROVE:
		mmd_link_prove(&u->link, MMD_IDEVID, u->nonce);
		return MMD_MORE;
	case UNIT_LOCK:
		mmd_link_lock(&u->link, u->cert_hash);
		return MMD_MORE;
	default:
		mmd_link_hello(&u->link, MMD_IDEVID, 0);
		return MMD_MORE;
	}
}

static bool
equal(const uint8_t a[MMD_HASH], const uint8_t b[MMD_HASH])
{
	return memcmp(a, b, MMD_HASH) == 0;
}

/* What one step's answer was worth; NULL: it holds, and next is set. */
static const char *
after_hello(struct unit *u, enum unit_step *next)
{
	*next = u->link.hello.state == MMD_STATE_EMPTY ? UNIT_KEY : UNIT_CSR;
	return NULL;
}

static const char *
after_key(struct unit *u, enum unit_step *next)
{
	memcpy(u->spki, u->link.value.p, u->link.value.n);
	u->spki_n = u->link.value.n;
	*next = UNIT_CSR;
	return NULL;
}

static void
hash_bundle(struct unit *u)
{
	struct mmd_bytes parts[MMD_PARTS];
	size_t n = 0;

	parts_of(u, parts);
	for (size_t i = 0; i < MMD_PARTS; i++) {
		if (parts[i].n > 0)
			memcpy(u->bundle + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	ca_hash((struct mmd_bytes){ u->bundle, n }, u->all_hash);
	ca_hash(parts[MMD_PART_CERT], u->cert_hash);
}

/*
 * The request's key must be the one that the device told before: the same
 * device, and one key.
 */
static const char *
after_csr(struct unit *u, enum unit_step *next)
{
	const struct mmd_hello *h = &u->link.hello;
	uint8_t spki[MMD_SPKI_MAX], hash[MMD_HASH];
	size_t n;

	if (!ca_certify(u->ca, u->link.value, u->name, u->cert, &u->cert_n,
	    spki, &n) || !ca_chain(u->ca, u->chain, &u->chain_n))
		return "the request is not signed by its key";
	ca_hash((struct mmd_bytes){ spki, n }, hash);
	if ((h->has_key && !equal(hash, h->key)) || (u->spki_n > 0 &&
	    (u->spki_n != n || memcmp(spki, u->spki, n) != 0)))
		return "the request is of another key";
	memcpy(u->spki, spki, n);
	u->spki_n = n;
	hash_bundle(u);
	*next = h->has_cert && equal(h->all, u->all_hash) ? UNIT_PROVE
	    : UNIT_PUT;
	return h->state == MMD_STATE_LOCKED && *next == UNIT_PUT ?
	    "it is locked with another certificate" : NULL;
}

static const char *
after_put(struct unit *u, enum unit_step *next)
{
	(void)u;
	*next = UNIT_COMMIT;
	return NULL;
}

static const char *
after_commit(struct unit *u, enum unit_step *next)
{
	*next = UNIT_PROVE;
	return equal(u->link.value.p, u->cert_hash) ? NULL
	    : "it took another certificate";
}

/* docs/protocol/link.md: what a device signs. */
static const char *
after_prove(struct unit *u, enum unit_step *next)
{
	const struct mmd_hello *h = &u->link.hello;
	uint8_t msg[sizeof(MMD_PROVE_LABEL) - 1 + MMD_NONCE +
	    MMD_HARDWARE_MAX + MMD_HASH];
	size_t n = sizeof(MMD_PROVE_LABEL) - 1;

	memcpy(msg, MMD_PROVE_LABEL, n);
	memcpy(msg + n, u->nonce, MMD_NONCE);
	n += MMD_NONCE;
	memcpy(msg + n, h->hw, h->hw_n);
	n += h->hw_n;
	memcpy(msg + n, u->cert_hash, MMD_HASH);
	n += MMD_HASH;
	*next = u->lock ? UNIT_LOCK : UNIT_CHECK;
	return ca_verify((struct mmd_bytes){ u->spki, u->spki_n },
	    (struct mmd_bytes){ msg, n }, u->link.value) ? NULL
	    : "its proof does not verify";
}

static const char *
after_lock(struct unit *u, enum unit_step *next)
{
	(void)u;
	*next = UNIT_CHECK;
	return NULL;
}

static const char *
after_check(struct unit *u, enum unit_step *next)
{
	const struct mmd_hello *h = &u->link.hello;

	*next = UNIT_DONE;
	if (u->lock && h->state != MMD_STATE_LOCKED)
		return "it says that it is not locked";
	return h->has_cert && equal(h->cert, u->cert_hash) ? NULL
	    : "it says that another certificate is in use";
}

static const char *(*const after[])(struct unit *u, enum unit_step *next) = {
	[UNIT_HELLO] = after_hello,
	[UNIT_KEY] = after_key,
	[UNIT_CSR] = after_csr,
	[UNIT_PUT] = after_put,
	[UNIT_COMMIT] = after_commit,
	[UNIT_PROVE] = after_prove,
	[UNIT_LOCK] = after_lock,
	[UNIT_CHECK] = after_check,
};

/* see unit.h */
void
unit_begin(struct unit *u, const struct mmd_link_conf *link_conf,
    uint64_t now_s)
{
	u->step = UNIT_HELLO;
	u->why = NULL;
	u->again = 0;
	u->spki_n = 0;
	mmd_link_init(&u->link, link_conf);
	mmd_link_hello(&u->link, MMD_IDEVID, now_s);
}

/* see unit.h */
enum mmd_rc
unit_run(struct unit *u)
{
	enum unit_step next = UNIT_DONE;
	enum mmd_rc rc;

	if (u->step == UNIT_DONE)
		return MMD_OK;
	rc = mmd_link_run(&u->link);
	/* Power went between put and commit: once more, from the first byte. */
	if (rc == MMD_EREFUSED && u->step == UNIT_COMMIT &&
	    u->link.refusal == MMD_R_HASH && u->again++ < 10) {
		u->step = UNIT_PUT;
		rc = start(u);
		return rc == MMD_OK ? MMD_MORE : rc;
	}
	if (rc != MMD_OK)
		return rc;
	u->why = after[u->step](u, &next);
	if (u->why != NULL)
		return MMD_EANCHOR;
	u->step = next;
	if (u->step == UNIT_DONE)
		return MMD_OK;
	rc = start(u);
	return rc == MMD_OK ? MMD_MORE : rc;
}
