#include "link.h"

static void
encode_hello(struct mmd_link *l, struct mmd_cborw *w)
{
	/* Not in a greeting between: the time was told. */
	if (l->ask.message == MMD_HELLO && l->ask.n != 0)
		mmd_cborw_uint(w, "time", l->ask.n);
}

static const struct mmd_cbor_key hello_keys[] = {
	{ "v", MMD_CBOR_UINT, true, 1, MMD_CBOR_32 },
	{ "fw", MMD_CBOR_TEXT, true, 1, MMD_FIRMWARE_MAX },
	{ "hw", MMD_CBOR_BYTES, true, 1, MMD_HARDWARE_MAX },
	{ "state", MMD_CBOR_UINT, true, 0, MMD_STATES - 1 },
	{ "kinds", MMD_CBOR_UINT, true, 0, MMD_CBOR_32 },
	{ "max", MMD_CBOR_UINT, true, 64, 65527 },
	{ "step", MMD_CBOR_UINT, true, 1, 128 },
	{ "room", MMD_CBOR_UINT, true, 0, MMD_CBOR_32 },
	{ "time", MMD_CBOR_UINT, true, 0, 0 },
	{ "lines", MMD_CBOR_UINT, false, 0, 0 },
	{ "messages", MMD_CBOR_UINT, false, 0, 0 },
	{ "flash", MMD_CBOR_UINT, false, 0, 0 },
	{ "key", MMD_CBOR_BYTES, false, MMD_HASH, MMD_HASH },
	{ "cert", MMD_CBOR_BYTES, false, MMD_HASH, MMD_HASH },
	{ "all", MMD_CBOR_BYTES, false, MMD_HASH, MMD_HASH },
	{ "conf", MMD_CBOR_UINT, false, 0, MMD_CBOR_32 },
};
enum { V, FW, HW, STATE, KINDS, MAX, STEP, ROOM, TIME, LINES, MESSAGES, FLASH,
	KEY, CERT, ALL, CONF };

/* What a screen and a record can show without harm. */
static bool
printable(struct mmd_bytes v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < 0x20 || v.p[i] > 0x7e)
			return false;
	return true;
}

/* A device that contradicts itself is not believed. */
static bool
holds_together(const struct mmd_hello *h)
{
	if ((h->step & (h->step - 1)) != 0)
		return false;
	if (h->state == MMD_STATE_KEY || h->state == MMD_STATE_READY)
		return h->has_key && h->has_cert == (h->state ==
		    MMD_STATE_READY);
	return h->state == MMD_STATE_LOCKED || (!h->has_key && !h->has_cert);
}

static void
copy_hash(uint8_t out[MMD_HASH], const struct mmd_cbor_value *v)
{
	if (v->type != MMD_CBOR_NONE)
		memcpy(out, v->v.p, MMD_HASH);
}

/* see link.h */
enum mmd_rc
mmd_link_read_hello(struct mmd_bytes body, struct mmd_hello *out)
{
	struct mmd_cbor_value v[MMD_COUNT(hello_keys)];
	struct mmd_hello h;

	if (mmd_cbor_read(body, hello_keys, MMD_COUNT(v), v) != MMD_OK ||
	    !printable(v[FW].v))
		return MMD_EINPUT;
	memset(&h, 0, sizeof(h));
	h.version = (uint32_t)v[V].n;
	h.state = (enum mmd_factory_state)v[STATE].n;
	memcpy(h.fw, v[FW].v.p, v[FW].v.n);
	h.hw_n = v[HW].v.n;
	memcpy(h.hw, v[HW].v.p, h.hw_n);
	h.kinds = (uint32_t)v[KINDS].n;
	h.max = (uint32_t)v[MAX].n;
	h.step = (uint32_t)v[STEP].n;
	h.room = (uint32_t)v[ROOM].n;
	h.floor_s = v[TIME].n;
	h.lines = v[LINES].n;
	h.messages = v[MESSAGES].n;
	h.flash = v[FLASH].n;
	h.has_key = v[KEY].type != MMD_CBOR_NONE;
	h.has_cert = v[CERT].type != MMD_CBOR_NONE &&
	    v[ALL].type != MMD_CBOR_NONE;
	copy_hash(h.key, &v[KEY]);
	copy_hash(h.cert, &v[CERT]);
	copy_hash(h.all, &v[ALL]);
	h.config = (uint32_t)v[CONF].n;
	if (!holds_together(&h))
		return MMD_EINPUT;
	*out = h;
	return MMD_OK;
}

static enum mmd_rc
decode_hello(struct mmd_link *l, struct mmd_bytes body)
{
	enum mmd_rc rc = mmd_link_read_hello(body, &l->hello);

	l->greeted |= rc == MMD_OK;
	return rc;
}

static void
encode_key(struct mmd_link *l, struct mmd_cborw *w)
{
	mmd_cborw_uint(w, "kind", l->ask.n);
	mmd_cborw_bytes(w, "stir", l->ask.bytes, MMD_HASH);
}

/* An answer of one value, which is borrowed from it. */
static enum mmd_rc
decode_value(struct mmd_link *l, struct mmd_bytes body,
    const struct mmd_cbor_key *key)
{
	struct mmd_cbor_value v;

	if (mmd_cbor_read(body, key, 1, &v) != MMD_OK)
		return MMD_EINPUT;
	l->value = v.v;
	return MMD_OK;
}

static enum mmd_rc
decode_key(struct mmd_link *l, struct mmd_bytes body)
{
	static const struct mmd_cbor_key key = { "pub", MMD_CBOR_BYTES, true,
		1, MMD_SPKI_MAX };

	return decode_value(l, body, &key);
}

static void
encode_nothing(struct mmd_link *l, struct mmd_cborw *w)
{
	(void)l;
	(void)w;
}

static enum mmd_rc
decode_csr(struct mmd_link *l, struct mmd_bytes body)
{
	static const struct mmd_cbor_key key = { "csr", MMD_CBOR_BYTES, true,
		1, 0 };

	return decode_value(l, body, &key);
}

static uint32_t
all_of(const struct mmd_ask *a)
{
	return a->part_n[0] + a->part_n[1] + a->part_n[2];
}

/* n bytes of the parts, as if they were one, from off. */
static void
gather(const struct mmd_ask *a, uint32_t off, uint8_t *out, uint32_t n)
{
	for (size_t i = 0; i < MMD_PARTS; i++) {
		uint32_t k = a->part_n[i];

		if (off >= k) {
			off -= k;
			continue;
		}
		k = k - off < n ? k - off : n;
		memcpy(out, a->parts[i].p + off, k);
		out += k;
		n -= k;
		off = 0;
	}
}

static uint32_t
piece_now(const struct mmd_link *l)
{
	uint32_t left = all_of(&l->ask) - l->off;

	return left < l->piece ? left : l->piece;
}

static void
encode_put(struct mmd_link *l, struct mmd_cborw *w)
{
	struct mmd_bytes v = { NULL, piece_now(l) };
	uint8_t *p;

	mmd_cborw_uint(w, "len", all_of(&l->ask));
	mmd_cborw_uint(w, "off", l->off);
	/* Behind where it belongs: mmd_cborw_bytes moves it there. */
	p = w->buf + w->n + 32;
	gather(&l->ask, l->off, p, (uint32_t)v.n);
	v.p = p;
	mmd_cborw_bytes(w, "data", v.p, v.n);
}

/* see link.h */
void
mmd_link_shrink(struct mmd_link *l)
{
	uint32_t step = l->hello.step;

	l->piece = l->piece / 2 / step * step;
	if (l->piece < 64)
		l->piece = 64 < step ? step : 64 / step * step;
	if (l->piece > l->largest)
		l->piece = l->largest;
}

static enum mmd_rc
decode_put(struct mmd_link *l, struct mmd_bytes body)
{
	static const struct mmd_cbor_key key = { "off", MMD_CBOR_UINT, true, 0,
		MMD_CBOR_32 };
	struct mmd_cbor_value v;

	if (mmd_cbor_read(body, &key, 1, &v) != MMD_OK)
		return MMD_EINPUT;
	if (v.n == 0 && l->off > 0) {
		l->off = 0;
		return ++l->restarts > MMD_LINK_RESTARTS ? MMD_EPORT
		    : MMD_MORE;
	}
	if (v.n != l->off + piece_now(l))
		return MMD_EINPUT;
	l->off = (uint32_t)v.n;
	if (l->tries == 0)
		l->piece = 2 * l->piece < l->largest ? 2 * l->piece
		    : l->largest;
	return l->off == all_of(&l->ask) ? MMD_OK : MMD_MORE;
}

static void
encode_commit(struct mmd_link *l, struct mmd_cborw *w)
{
	const struct mmd_ask *a = &l->ask;

	mmd_cborw_uint(w, "cert", a->part_n[MMD_PART_CERT]);
	mmd_cborw_uint(w, "chain", a->part_n[MMD_PART_CHAIN]);
	mmd_cborw_uint(w, "conf", a->part_n[MMD_PART_CONFIG]);
	mmd_cborw_bytes(w, "all", a->bytes, a->bytes_n);
}

static enum mmd_rc
decode_commit(struct mmd_link *l, struct mmd_bytes body)
{
	static const struct mmd_cbor_key key = { "cert", MMD_CBOR_BYTES, true,
		MMD_HASH, MMD_HASH };

	return decode_value(l, body, &key);
}

static void
encode_prove(struct mmd_link *l, struct mmd_cborw *w)
{
	mmd_cborw_bytes(w, "nonce", l->ask.bytes, MMD_HASH);
}

static enum mmd_rc
decode_prove(struct mmd_link *l, struct mmd_bytes body)
{
	static const struct mmd_cbor_key key = { "sig", MMD_CBOR_BYTES, true,
		1, 0 };

	return decode_value(l, body, &key);
}

static void
encode_lock(struct mmd_link *l, struct mmd_cborw *w)
{
	mmd_cborw_bytes(w, "cert", l->ask.bytes, MMD_HASH);
}

static enum mmd_rc
decode_lock(struct mmd_link *l, struct mmd_bytes body)
{
	(void)l;
	(void)body;
	return MMD_OK;
}

static void
encode_get(struct mmd_link *l, struct mmd_cborw *w)
{
	mmd_cborw_uint(w, "off", l->off);
}

/* The next piece; of what is as long as its first answer said. */
static enum mmd_rc
take_piece(struct mmd_link *l, uint32_t cert, uint32_t chain,
    struct mmd_bytes piece)
{
	struct mmd_ask *a = &l->ask;

	if (l->off == 0) {
		a->part_n[MMD_PART_CERT] = cert;
		a->part_n[MMD_PART_CHAIN] = chain;
		if (cert > a->cap || chain > a->cap - cert)
			return MMD_ESPACE;
	}
	if (cert != a->part_n[MMD_PART_CERT] ||
	    chain != a->part_n[MMD_PART_CHAIN] || piece.n == 0 ||
	    piece.n > cert + chain - l->off)
		return MMD_EINPUT;
	memcpy(a->out + l->off, piece.p, piece.n);
	l->off += (uint32_t)piece.n;
	return l->off < cert + chain ? MMD_MORE : MMD_OK;
}

static enum mmd_rc
decode_get(struct mmd_link *l, struct mmd_bytes body)
{
	static const struct mmd_cbor_key keys[] = {
		{ "cert", MMD_CBOR_UINT, true, 1, MMD_CBOR_32 },
		{ "chain", MMD_CBOR_UINT, true, 0, MMD_CBOR_32 },
		{ "data", MMD_CBOR_BYTES, true, 1, 0 },
	};
	struct mmd_cbor_value v[MMD_COUNT(keys)];
	enum mmd_rc rc;

	if (mmd_cbor_read(body, keys, MMD_COUNT(keys), v) != MMD_OK)
		return MMD_EINPUT;
	rc = take_piece(l, (uint32_t)v[0].n, (uint32_t)v[1].n, v[2].v);
	if (rc == MMD_OK) {
		l->value = (struct mmd_bytes){ l->ask.out, l->off };
		l->cert_n = (uint32_t)v[0].n;
	}
	return rc;
}

/* see link.h */
const struct mmd_link_message mmd_link_messages[MMD_MESSAGES] = {
	[MMD_HELLO] = { MMD_SMP_READ, MMD_LINK_ANSWER_MS, encode_hello,
	    decode_hello },
	[MMD_MAKE_KEY] = { MMD_SMP_WRITE, MMD_LINK_COMPUTE_MS, encode_key,
	    decode_key },
	[MMD_CSR] = { MMD_SMP_READ, MMD_LINK_COMPUTE_MS, encode_nothing,
	    decode_csr },
	[MMD_PUT] = { MMD_SMP_WRITE, MMD_LINK_ANSWER_MS, encode_put,
	    decode_put },
	[MMD_COMMIT] = { MMD_SMP_WRITE, MMD_LINK_COMPUTE_MS, encode_commit,
	    decode_commit },
	[MMD_PROVE] = { MMD_SMP_READ, MMD_LINK_COMPUTE_MS, encode_prove,
	    decode_prove },
	[MMD_LOCK] = { MMD_SMP_WRITE, MMD_LINK_COMPUTE_MS, encode_lock,
	    decode_lock },
	[MMD_GET] = { MMD_SMP_READ, MMD_LINK_ANSWER_MS, encode_get,
	    decode_get },
};

/* bytes: the 32 that some messages have, or NULL. */
static struct mmd_ask
ask_of(enum mmd_factory_message m, unsigned identity, const uint8_t *bytes)
{
	struct mmd_ask a;

	memset(&a, 0, sizeof(a));
	a.message = m;
	a.identity = identity;
	if (bytes != NULL)
		memcpy(a.bytes, bytes, MMD_HASH);
	a.bytes_n = MMD_HASH;
	return a;
}

static void
take_parts(struct mmd_ask *a, const struct mmd_bytes parts[MMD_PARTS])
{
	for (size_t i = 0; i < MMD_PARTS; i++) {
		a->parts[i] = parts[i];
		a->part_n[i] = (uint32_t)parts[i].n;
	}
}

/* see mmd_link.h */
void
mmd_link_hello(struct mmd_link *l, unsigned identity, uint64_t time_s)
{
	struct mmd_ask a = ask_of(MMD_HELLO, identity, NULL);

	a.n = time_s;
	mmd_link_begin(l, &a);
}

/* see mmd_link.h */
void
mmd_link_key(struct mmd_link *l, unsigned identity, enum mmd_key_kind kind,
    const uint8_t stir[MMD_STIR])
{
	struct mmd_ask a = ask_of(MMD_MAKE_KEY, identity, stir);

	a.n = kind;
	mmd_link_begin(l, &a);
}

/* see mmd_link.h */
void
mmd_link_csr(struct mmd_link *l, unsigned identity)
{
	struct mmd_ask a = ask_of(MMD_CSR, identity, NULL);

	mmd_link_begin(l, &a);
}

/* What a body has beside a piece, and room to move it. */
#define PUT_OVER 64

/* see mmd_link.h */
enum mmd_rc
mmd_link_put(struct mmd_link *l, unsigned identity,
    const struct mmd_bytes parts[MMD_PARTS])
{
	struct mmd_ask a = ask_of(MMD_PUT, identity, NULL);
	size_t body = l->conf->cap / 2 - MMD_SMP_HEAD, room = l->hello.room;

	if (!l->greeted)
		return MMD_ESTATE;
	for (size_t i = 0; i < MMD_PARTS; i++) {
		if (parts[i].n > room)
			return MMD_ESPACE;
		room -= parts[i].n;
	}
	if (body > l->hello.max)
		body = l->hello.max;
	if (body < PUT_OVER + l->hello.step)
		return MMD_ESPACE;
	take_parts(&a, parts);
	l->largest = (uint32_t)(body - PUT_OVER) / l->hello.step *
	    l->hello.step;
	l->piece = l->largest;
	l->off = l->restarts = 0;
	mmd_link_begin(l, &a);
	return MMD_OK;
}

/* see mmd_link.h */
void
mmd_link_commit(struct mmd_link *l, unsigned identity,
    const struct mmd_bytes parts[MMD_PARTS], const uint8_t all[MMD_HASH],
    const uint8_t salt[MMD_SALT])
{
	struct mmd_ask a = ask_of(MMD_COMMIT, identity, all);

	take_parts(&a, parts);
	if (salt != NULL) {
		memcpy(a.bytes + MMD_HASH, salt, MMD_SALT);
		a.bytes_n += MMD_SALT;
	}
	mmd_link_begin(l, &a);
}

/* see mmd_link.h */
void
mmd_link_prove(struct mmd_link *l, unsigned identity,
    const uint8_t nonce[MMD_NONCE])
{
	struct mmd_ask a = ask_of(MMD_PROVE, identity, nonce);

	mmd_link_begin(l, &a);
}

/* see mmd_link.h */
void
mmd_link_lock(struct mmd_link *l, const uint8_t cert[MMD_HASH])
{
	struct mmd_ask a = ask_of(MMD_LOCK, MMD_IDEVID, cert);

	mmd_link_begin(l, &a);
}

/* see mmd_link.h */
void
mmd_link_get(struct mmd_link *l, unsigned identity, uint8_t *out, size_t cap)
{
	struct mmd_ask a = ask_of(MMD_GET, identity, NULL);

	a.out = out;
	a.cap = cap;
	l->off = 0;
	mmd_link_begin(l, &a);
}
