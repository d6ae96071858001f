#include "factory.h"
#include "flash.h"
#include "mmd_x509.h"

/*
 * What each message does.  Whatever it needs of the request it takes before
 * it writes, since the answer takes the request's place.
 */

#define ID { "id", MMD_CBOR_UINT, false, 0, MMD_IDENTITIES - 1 }

/* Room behind what is written, for a value that is made before it is put. */
#define GAP 32

struct room {
	uint8_t *p;
	size_t n;
};

MMD_ONCE static struct room
behind(const struct mmd_call *c)
{
	size_t from = c->w.n + GAP;

	if (from > c->w.cap)
		from = c->w.cap;
	return (struct room){ c->w.buf + from, c->w.cap - from };
}

static void
put_hash(struct mmd_cborw *w, const char *key, const uint8_t hash[MMD_HASH])
{
	mmd_cborw_bytes(w, key, hash, MMD_HASH);
}

static const struct mmd_cbor_key hello_keys[] = {
	ID,
	{ "time", MMD_CBOR_UINT, false, 0, 0 },
};

static void
tell(struct mmd_call *c, const char *key, uint32_t v)
{
	mmd_cborw_uint(&c->w, key, v);
}

static void
put_counters(struct mmd_call *c)
{
	tell(c, "lines", c->f->rx.bad);
	tell(c, "messages", c->f->bad_messages);
	tell(c, "flash", c->f->bad_flash);
}

static enum mmd_refusal
hello(struct mmd_call *c)
{
	const struct mmd_factory_conf *conf = c->f->conf;
	const struct mmd_look *l = &c->look;
	uint64_t told_s = c->v[1].type == MMD_CBOR_UINT ? c->v[1].n : 0;

	if (told_s > c->f->floor_s && told_s <= (uint64_t)MMD_TIME_FOREVER)
		c->f->floor_s = told_s;
	tell(c, "v", MMD_FACTORY_PROTOCOL);
	mmd_cborw_text(&c->w, "fw", conf->firmware);
	mmd_cborw_bytes(&c->w, "hw", conf->hardware.p, conf->hardware.n);
	tell(c, "state", l->locked ? MMD_STATE_LOCKED : l->state);
	tell(c, "kinds", conf->kinds);
	tell(c, "max", (uint32_t)c->w.cap);
	tell(c, "step", mmd_store_step(conf->store));
	tell(c, "room", mmd_store_room(conf->store, c->identity));
	mmd_cborw_uint(&c->w, "time", c->f->floor_s);
	put_counters(c);
	if (l->state >= MMD_STATE_KEY)
		put_hash(&c->w, "key", l->key);
	if (l->state >= MMD_STATE_READY) {
		put_hash(&c->w, "cert", l->bundle.cert);
		put_hash(&c->w, "all", l->bundle.all);
		tell(c, "conf", l->bundle.config);
	}
	return MMD_R_NONE;
}

static const struct mmd_cbor_key key_keys[] = {
	ID,
	{ "kind", MMD_CBOR_UINT, false, 0, 31 },
	{ "stir", MMD_CBOR_BYTES, true, MMD_STIR, MMD_STIR },
};

static enum mmd_rc
make_key(struct mmd_call *c)
{
	const struct mmd_crypto *crypto = c->f->conf->crypto;
	enum mmd_key_kind kind = (enum mmd_key_kind)c->v[1].n;
	enum mmd_rc rc = crypto->stir == NULL ? MMD_OK
	    : crypto->stir(crypto->ctx, c->v[2].v);

	return rc != MMD_OK ? rc : crypto->make(crypto->ctx, c->identity, kind);
}

static enum mmd_rc
put_public(struct mmd_call *c)
{
	const struct mmd_crypto *crypto = c->f->conf->crypto;
	struct room r = behind(c);
	size_t n;
	enum mmd_rc rc = crypto->public(crypto->ctx, c->identity, r.p, r.n,
	    &n);

	if (rc == MMD_OK)
		mmd_cborw_bytes(&c->w, "pub", r.p, n);
	return rc;
}

static enum mmd_refusal
key(struct mmd_call *c)
{
	enum mmd_rc rc = MMD_OK;

	if (c->look.state == MMD_STATE_EMPTY) {
		if ((c->f->conf->kinds >> c->v[1].n & 1) == 0)
			return MMD_R_KIND;
		rc = make_key(c);
	}
	if (rc == MMD_OK)
		rc = put_public(c);
	return mmd_factory_refuse(rc, c->f);
}

static const struct mmd_cbor_key csr_keys[] = { ID };

/* The device's name is not the request's to say: it tells the chip's id. */
static struct mmd_bytes
hex(struct mmd_bytes v, uint8_t out[2 * MMD_HARDWARE_MAX])
{
	for (size_t i = 0; i < 2 * v.n; i++) {
		unsigned digit = v.p[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15;

		out[i] = (uint8_t)(digit + (digit < 10 ? '0' : 'a' - 10));
	}
	return (struct mmd_bytes){ out, 2 * v.n };
}

static enum mmd_refusal
csr(struct mmd_call *c)
{
	uint8_t name[2 * MMD_HARDWARE_MAX];
	struct room r = behind(c);
	struct mmd_bytes der;
	enum mmd_rc rc = mmd_request_write(c->f->conf->crypto, c->identity,
	    hex(c->f->conf->hardware, name), r.p, r.n, &der);

	if (rc == MMD_OK)
		mmd_cborw_bytes(&c->w, "csr", der.p, der.n);
	return mmd_factory_refuse(rc, c->f);
}

static const struct mmd_cbor_key put_keys[] = {
	ID,
	{ "len", MMD_CBOR_UINT, true, 1, MMD_CBOR_32 },
	{ "off", MMD_CBOR_UINT, true, 0, MMD_CBOR_32 },
	{ "data", MMD_CBOR_BYTES, true, 1, 0 },
};

static enum mmd_refusal
put(struct mmd_call *c)
{
	uint32_t off = (uint32_t)c->v[2].n, next;
	enum mmd_rc rc = mmd_store_put(c->f->conf->store, c->identity,
	    (uint32_t)c->v[1].n, off, c->v[3].v, &next);

	if (rc == MMD_EINPUT)
		return MMD_R_PIECE;
	if (rc != MMD_OK)
		return mmd_factory_refuse(rc, c->f);
	c->f->bad_flash += next <= off;
	mmd_cborw_uint(&c->w, "off", next);
	return MMD_R_NONE;
}

static const struct mmd_cbor_key commit_keys[] = {
	ID,
	{ "cert", MMD_CBOR_UINT, true, 1, MMD_CBOR_32 },
	{ "chain", MMD_CBOR_UINT, false, 0, MMD_CBOR_32 },
	{ "conf", MMD_CBOR_UINT, false, 0, MMD_CBOR_32 },
	{ "all", MMD_CBOR_BYTES, true, MMD_HASH,
	    MMD_HASH + (MMD_FACTORY_PROTOCOL > 1 ? MMD_SALT : 0) },
};

static bool
in_use(const struct mmd_look *l, const struct mmd_bundle *b)
{
	return l->state == MMD_STATE_READY &&
	    memcmp(l->bundle.n, b->n, sizeof(b->n)) == 0 &&
	    memcmp(l->bundle.all, b->all, MMD_HASH) == 0;
}

static enum mmd_rc
take_into_use(struct mmd_call *c, struct mmd_bundle *b)
{
	const struct mmd_bytes all = c->v[4].v;
	const struct mmd_factory_conf *conf = c->f->conf;
	enum mmd_rc rc;

	rc = mmd_store_verify_own(conf->store, conf->crypto, c->identity, b,
	    (struct mmd_bytes){ all.p + MMD_HASH, all.n - MMD_HASH },
	    c->look.key);
	if (rc == MMD_OK)
		rc = mmd_store_commit(conf->store, c->identity, b);
	return rc;
}

static enum mmd_refusal
commit(struct mmd_call *c)
{
	struct mmd_bundle b = { .floor_s = c->f->floor_s };
	const uint8_t *cert = c->look.bundle.cert;
	enum mmd_rc rc = MMD_OK;

	for (size_t i = 0; i < MMD_PARTS; i++)
		b.n[i] = (uint32_t)c->v[1 + i].n;
	memcpy(b.all, c->v[4].v.p, MMD_HASH);
	if (!in_use(&c->look, &b)) {
		rc = take_into_use(c, &b);
		cert = b.cert;
	}
	if (rc == MMD_OK)
		put_hash(&c->w, "cert", cert);
	return mmd_factory_refuse(rc, c->f);
}

static const struct mmd_cbor_key prove_keys[] = {
	ID,
	{ "nonce", MMD_CBOR_BYTES, true, MMD_NONCE, MMD_NONCE },
};

/* All but the hardware id is of fixed length: one way to read it. */
static size_t
claim(const struct mmd_call *c, uint8_t *out)
{
	const struct mmd_bytes parts[] = {
		MMD_BYTES(MMD_PROVE_LABEL),
		c->v[1].v,
		c->f->conf->hardware,
		{ c->look.bundle.cert, MMD_HASH },
	};
	size_t n = 0;

	for (size_t i = 0; i < MMD_COUNT(parts); i++) {
		memcpy(out + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	return n;
}

static enum mmd_refusal
prove(struct mmd_call *c)
{
	uint8_t msg[sizeof(MMD_PROVE_LABEL) + MMD_NONCE + MMD_HARDWARE_MAX +
	    MMD_HASH];
	struct mmd_bytes said = { msg, claim(c, msg) };
	struct room r = behind(c);
	size_t n;
	enum mmd_rc rc = mmd_request_sign(c->f->conf->crypto, c->identity,
	    &said, r.p, r.n, &n);

	if (rc == MMD_OK)
		mmd_cborw_bytes(&c->w, "sig", r.p, n);
	return mmd_factory_refuse(rc, c->f);
}

static const struct mmd_cbor_key lock_keys[] = {
	{ "cert", MMD_CBOR_BYTES, true, MMD_HASH, MMD_HASH },
};

static enum mmd_refusal
lock(struct mmd_call *c)
{
	const struct mmd_factory_conf *conf = c->f->conf;
	enum mmd_rc rc;

	if (memcmp(c->v[0].v.p, c->look.bundle.cert, MMD_HASH) != 0)
		return MMD_R_OTHER;
	rc = mmd_store_lock(conf->store, MMD_IDEVID);
	if (rc == MMD_OK && conf->lock != NULL)
		rc = conf->lock(conf->lock_ctx);
	return mmd_factory_refuse(rc, c->f);
}

static const struct mmd_cbor_key get_keys[] = {
	ID,
	{ "off", MMD_CBOR_UINT, false, 0, MMD_CBOR_32 },
};

/* What everybody may see of a bundle: its configuration may hold secrets. */
static enum mmd_refusal
get(struct mmd_call *c)
{
	struct mmd_bundle *b = &c->look.bundle;
	uint32_t off = (uint32_t)c->v[1].n;
	struct room r;
	size_t n;
	enum mmd_rc rc;

	tell(c, "cert", b->n[MMD_PART_CERT]);
	tell(c, "chain", b->n[MMD_PART_CHAIN]);
	/* One lies behind the other: for the read they are one. */
	b->n[MMD_PART_CERT] += b->n[MMD_PART_CHAIN];
	if (off > b->n[MMD_PART_CERT])
		return MMD_R_PIECE;
	r = behind(c);
	n = b->n[MMD_PART_CERT] - off;
	if (n > r.n)
		n = r.n;
	rc = mmd_store_read(c->f->conf->store, c->identity, b, MMD_PART_CERT,
	    off, r.p, n);
	mmd_cborw_bytes(&c->w, "data", r.p, n);
	return mmd_factory_refuse(rc, c->f);
}

#define KEYS(a) MMD_COUNT(a), a

/* see factory.h */
const struct mmd_message mmd_messages[MMD_MESSAGES] = {
	[MMD_HELLO] = { MMD_SMP_READ, MMD_STATE_EMPTY, true,
	    KEYS(hello_keys), hello },
	[MMD_MAKE_KEY] = { MMD_SMP_WRITE, MMD_STATE_EMPTY, false,
	    KEYS(key_keys), key },
	[MMD_CSR] = { MMD_SMP_READ, MMD_STATE_KEY, true, KEYS(csr_keys), csr },
	[MMD_PUT] = { MMD_SMP_WRITE, MMD_STATE_KEY, false, KEYS(put_keys),
	    put },
	[MMD_COMMIT] = { MMD_SMP_WRITE, MMD_STATE_KEY, false,
	    KEYS(commit_keys), commit },
	[MMD_PROVE] = { MMD_SMP_READ, MMD_STATE_READY, true, KEYS(prove_keys),
	    prove },
	[MMD_LOCK] = { MMD_SMP_WRITE, MMD_STATE_READY, true, KEYS(lock_keys),
	    lock },
	[MMD_GET] = { MMD_SMP_READ, MMD_STATE_READY, true, KEYS(get_keys),
	    get },
};
