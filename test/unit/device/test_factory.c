#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ca.h"
#include "pair.h"
#include "unit.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define ROOM     1300

/* One message and its answer, without a line between. */
struct call {
	struct pair pair;
	struct ca ca;
	uint8_t p[ROOM];
	size_t n, cap;
	struct mmd_smp_head head;
	struct mmd_cborw w;
	/* What came: */
	struct mmd_bytes body;
	unsigned rc;             /* of SMP */
	enum mmd_refusal refusal;
};

static void
ask(struct call *c, enum mmd_factory_message m)
{
	bool writes = m == MMD_MAKE_KEY || m == MMD_PUT || m == MMD_COMMIT ||
	    m == MMD_LOCK;

	c->cap = c->cap == 0 ? 520 : c->cap;
	c->head = (struct mmd_smp_head){ writes ? MMD_SMP_WRITE : MMD_SMP_READ,
		1, MMD_FACTORY_GROUP, 7, (uint8_t)m };
	mmd_cborw_init(&c->w, c->p + MMD_SMP_HEAD, ROOM - MMD_SMP_HEAD);
}

static struct mmd_bytes
bytes(struct call *c, const char *name)
{
	struct mmd_cbor_key key = { name, MMD_CBOR_BYTES, true, 0, 0 };
	struct mmd_cbor_value v;

	assert_int_equal(mmd_cbor_read(c->body, &key, 1, &v), MMD_OK);
	return v.v;
}

static uint64_t
number(struct call *c, const char *name)
{
	struct mmd_cbor_key key = { name, MMD_CBOR_UINT, true, 0, 0 };
	struct mmd_cbor_value v;

	assert_int_equal(mmd_cbor_read(c->body, &key, 1, &v), MMD_OK);
	return v.n;
}

static void
read_errors(struct call *c)
{
	static const struct mmd_cbor_key keys[] = {
		{ "rc", MMD_CBOR_UINT, false, 0, 0 },
		{ "err", MMD_CBOR_MAP, false, 0, 0 },
	};
	struct mmd_cbor_value v[2], e;

	assert_int_equal(mmd_cbor_read(c->body, keys, 2, v), MMD_OK);
	c->rc = (unsigned)v[0].n;
	c->refusal = MMD_R_NONE;
	if (v[1].type != MMD_CBOR_MAP)
		return;
	assert_int_equal(mmd_cbor_read(v[1].v, keys, 1, &e), MMD_OK);
	c->refusal = (enum mmd_refusal)e.n;
}

static void
send_call(struct call *c)
{
	struct mmd_smp_head h;

	assert_false(c->w.bad);
	mmd_smp_head_put(&c->head, c->w.n, c->p);
	c->n = MMD_SMP_HEAD + c->w.n;
	assert_int_equal(mmd_factory_answer(&c->pair.board.factory, c->p,
	    c->cap, &c->n), MMD_OK);
	assert_true(c->n <= c->cap);
	assert_int_equal(mmd_smp_open((struct mmd_bytes){ c->p, c->n }, &h,
	    &c->body), MMD_OK);
	assert_int_equal(h.op, c->head.op + 1);
	assert_int_equal(h.version, c->head.version);
	assert_int_equal(h.group, c->head.group);
	assert_int_equal(h.seq, c->head.seq);
	assert_int_equal(h.id, c->head.id);
	read_errors(c);
}

static void
put_zeros(struct call *c, const char *key, size_t n)
{
	static const uint8_t zeros[512];

	mmd_cborw_bytes(&c->w, key, zeros, n);
}

static void
make_key(struct call *c, unsigned kind)
{
	ask(c, MMD_MAKE_KEY);
	mmd_cborw_uint(&c->w, "kind", kind);
	put_zeros(c, "stir", 32);
	send_call(c);
}

/* Certificate, chain and configuration for the device's own key. */
struct bundle {
	uint8_t p[2048], cert_hash[MMD_HASH];
	uint8_t all[MMD_HASH + MMD_SALT]; /* the link's tests go without */
	uint8_t spki[MMD_SPKI_MAX];
	size_t part[MMD_PARTS], n, spki_n;
};

static void
hash_all(struct bundle *b)
{
	ca_hash((struct mmd_bytes){ b->p, b->n }, b->all);
	memset(b->all + MMD_HASH, 5, MMD_SALT);
	ca_hash((struct mmd_bytes){ b->all, sizeof(b->all) }, b->all);
}

static void
certify(struct call *c, struct bundle *b)
{
	uint8_t chain[CA_DER_MAX];

	ask(c, MMD_CSR);
	send_call(c);
	assert_int_equal(c->refusal, MMD_R_NONE);
	assert_true(ca_certify(&c->ca, bytes(c, "csr"), "SN-1", b->p,
	    &b->part[0], b->spki, &b->spki_n));
	assert_true(ca_chain(&c->ca, chain, &b->part[1]));
	memcpy(b->p + b->part[0], chain, b->part[1]);
	memcpy(b->p + b->part[0] + b->part[1], "conf", 4);
	b->part[2] = 4;
	b->n = b->part[0] + b->part[1] + b->part[2];
	ca_hash((struct mmd_bytes){ b->p, b->part[0] }, b->cert_hash);
	hash_all(b);
}

static void
put_piece(struct call *c, const struct bundle *b, size_t off, size_t n)
{
	ask(c, MMD_PUT);
	mmd_cborw_uint(&c->w, "len", b->n);
	mmd_cborw_uint(&c->w, "off", off);
	mmd_cborw_bytes(&c->w, "data", b->p + off, n);
	send_call(c);
}

static void
put_all(struct call *c, const struct bundle *b)
{
	for (size_t off = 0; off < b->n;) {
		put_piece(c, b, off, b->n - off < 256 ? b->n - off : 256);
		assert_int_equal(c->refusal, MMD_R_NONE);
		off = number(c, "off");
	}
}

static void
commit(struct call *c, const struct bundle *b)
{
	ask(c, MMD_COMMIT);
	mmd_cborw_uint(&c->w, "cert", b->part[0]);
	mmd_cborw_uint(&c->w, "chain", b->part[1]);
	mmd_cborw_uint(&c->w, "conf", b->part[2]);
	mmd_cborw_bytes(&c->w, "all", b->all, sizeof(b->all));
	send_call(c);
}

static void
lock(struct call *c, const uint8_t cert[MMD_HASH])
{
	ask(c, MMD_LOCK);
	mmd_cborw_bytes(&c->w, "cert", cert, MMD_HASH);
	send_call(c);
}

static enum mmd_factory_state
state_now(struct call *c)
{
	enum mmd_factory_state told;

	ask(c, MMD_HELLO);
	send_call(c);
	assert_int_equal(mmd_factory_state(&c->pair.board.factory, 0, &told),
	    MMD_OK);
	assert_int_equal(number(c, "state"), told);
	return told;
}

/* A device in the state, by the messages that lead there. */
static void
bring_to(struct call *c, enum mmd_factory_state state, struct bundle *b)
{
	pair_blank(&c->pair);
	c->ca.last_n = 0;
	c->cap = 0;
	if (state >= MMD_STATE_KEY) {
		make_key(c, MMD_KEY_P256);
		certify(c, b);
	}
	if (state >= MMD_STATE_READY) {
		put_all(c, b);
		commit(c, b);
		assert_int_equal(c->refusal, MMD_R_NONE);
	}
	if (state >= MMD_STATE_LOCKED) {
		lock(c, b->cert_hash);
		assert_int_equal(c->refusal, MMD_R_NONE);
	}
	assert_int_equal(state_now(c), state);
}

static int
setup(void **state)
{
	static struct call c;

	memset(&c, 0, sizeof(c));
	pair_init(&c.pair);
	*state = &c;
	return ca_open(&c.ca, "") ? 0 : -1;
}

static int
teardown(void **state)
{
	struct call *c = *state;

	ca_close(&c->ca);
	pair_done(&c->pair);
	return 0;
}

static void
ask_any(struct call *c, enum mmd_factory_message m, const struct bundle *b)
{
	static const uint8_t zeros[64];

	switch (m) {
	case MMD_MAKE_KEY:
		make_key(c, MMD_KEY_P256);
		break;
	case MMD_PUT:
		put_piece(c, b, 0, 256);
		break;
	case MMD_COMMIT:
		commit(c, b);
		break;
	case MMD_PROVE:
		ask(c, m);
		mmd_cborw_bytes(&c->w, "nonce",
		    zeros, MMD_NONCE);
		send_call(c);
		break;
	case MMD_LOCK:
		lock(c, b->cert_hash);
		break;
	default:
		ask(c, m);
		send_call(c);
	}
}

/* What may happen when: all pairs of state and message. */
static void
all_pairs(void **state)
{
	enum { OK = MMD_R_NONE, L = MMD_R_LOCKED, K = MMD_R_NO_KEY,
		C = MMD_R_NO_CERT, H = MMD_R_HASH };
	static const uint8_t want[MMD_STATES][MMD_MESSAGES] = {
		/*           hello key csr put commit prove lock get */
		[MMD_STATE_EMPTY] = { OK, OK, K, K, K, K, K, K },
		[MMD_STATE_KEY] = { OK, OK, OK, OK, H, C, C, C },
		[MMD_STATE_READY] = { OK, OK, OK, OK, OK, OK, OK, OK },
		[MMD_STATE_LOCKED] = { OK, L, OK, L, L, OK, OK, OK },
	};
	struct call *c = *state;
	struct bundle b = { .n = 300, .part = { 300 } };

	for (unsigned s = 0; s < MMD_STATES; s++)
		for (unsigned m = 0; m < MMD_MESSAGES; m++) {
			bring_to(c, (enum mmd_factory_state)s, &b);
			print_message("state %u, message %u\n", s, m);
			ask_any(c, (enum mmd_factory_message)m, &b);
			assert_int_equal(c->rc, 0);
			assert_int_equal(c->refusal, want[s][m]);
			/* And once more: nothing is spent. */
			ask_any(c, (enum mmd_factory_message)m, &b);
			assert_int_equal(c->refusal, want[s][m]);
		}
}

/* Messages that never get to one, and how each version of SMP tells it. */
static const struct {
	const char *what;
	struct mmd_smp_head head;
	const char *body;
	size_t n;
	unsigned rc;
	enum mmd_refusal refusal;
} other_rows[] = {
	{ "no body", { 0, 1, MMD_FACTORY_GROUP, 1, MMD_HELLO }, "", 0,
	    0, MMD_R_NONE },
	{ "of indefinite length",
	    { 0, 1, MMD_FACTORY_GROUP, 1, MMD_HELLO }, "\xbf\xff", 2,
	    0, MMD_R_NONE },
	{ "an unknown key", { 0, 1, MMD_FACTORY_GROUP, 1, MMD_HELLO },
	    "\xa1\x61z\x01", 4, 0, MMD_R_NONE },
	{ "the other identity",
	    { 0, 1, MMD_FACTORY_GROUP, 1, MMD_HELLO },
	    "\xa1\x62id\x01", 5, 0, MMD_R_NONE },
	{ "an identity that is none",
	    { 0, 1, MMD_FACTORY_GROUP, 1, MMD_HELLO },
	    "\xa1\x62id\x02", 5, 3, MMD_R_NONE },
	{ "no CBOR", { 0, 1, MMD_FACTORY_GROUP, 1, MMD_HELLO }, "\xff",
	    1, 3, MMD_R_NONE },
	{ "a nonce that is too short",
	    { 0, 1, MMD_FACTORY_GROUP, 1, MMD_PROVE },
	    "\xa1\x65nonce\x41\x01", 9, 3, MMD_R_NONE },
	{ "no nonce", { 0, 1, MMD_FACTORY_GROUP, 1, MMD_PROVE },
	    "\xa0", 1, 3, MMD_R_NONE },
	{ "another group", { 0, 1, 64, 1, 0 }, "\xa0", 1, 8,
	    MMD_R_NONE },
	{ "a message that is none",
	    { 0, 1, MMD_FACTORY_GROUP, 1, MMD_MESSAGES }, "\xa0", 1, 8,
	    MMD_R_NONE },
	{ "hello as a write",
	    { 2, 1, MMD_FACTORY_GROUP, 1, MMD_HELLO }, "\xa0", 1, 8,
	    MMD_R_NONE },
	{ "lock as a read", { 0, 1, MMD_FACTORY_GROUP, 1, MMD_LOCK },
	    "\xa0", 1, 8, MMD_R_NONE },
	{ "refused", { 0, 1, MMD_FACTORY_GROUP, 1, MMD_CSR }, "\xa0",
	    1, 0, MMD_R_NO_KEY },
	{ "refused, first SMP",
	    { 0, 0, MMD_FACTORY_GROUP, 1, MMD_CSR }, "\xa0", 1,
	    256 + MMD_R_NO_KEY, MMD_R_NONE },
};

static void
other_messages(void **state)
{
	struct call *c = *state;

	pair_blank(&c->pair);
	c->cap = 520;
	for (size_t i = 0; i < COUNT(other_rows); i++) {
		print_message("%s\n", other_rows[i].what);
		c->head = other_rows[i].head;
		mmd_cborw_init(&c->w, c->p + MMD_SMP_HEAD, 64);
		memcpy(c->p + MMD_SMP_HEAD, other_rows[i].body,
		    other_rows[i].n);
		c->w.n = other_rows[i].n;
		send_call(c);
		assert_int_equal(c->rc, other_rows[i].rc);
		assert_int_equal(c->refusal, other_rows[i].refusal);
	}
	assert_int_equal(c->pair.board.factory.bad_messages, 4);
}

/* An answer is not answered: two devices on one line, or an echo. */
static void
not_answered(void **state)
{
	static const uint8_t packets[][9] = {
		{ 9, 0, 0, 1, 0x4d, 0x4d, 1, 0, 0xa0 },
		{ 11, 0, 0, 1, 0x4d, 0x4d, 1, 0, 0xa0 },
		{ 12, 0, 0, 1, 0x4d, 0x4d, 1, 0, 0xa0 },
		{ 8, 0, 0, 2, 0x4d, 0x4d, 1, 0, 0xa0 },
		{ 0x18, 0, 0, 1, 0x4d, 0x4d, 1, 0, 0xa0 },
	};
	struct call *c = *state;

	for (size_t i = 0; i < COUNT(packets); i++) {
		memcpy(c->p, packets[i], 9);
		c->n = 9;
		assert_int_equal(mmd_factory_answer(&c->pair.board.factory,
		    c->p, 520, &c->n), MMD_NONE);
	}
}

/* A board that runs only while its console has something: what was read is
 * looked at, and no request, however long, waits for the next one. */
static void
run_by_the_console(void **state)
{
	static const uint8_t data[480];
	struct call *c = *state;
	struct pair *p = &c->pair;

	for (size_t n = 1; n < sizeof(data); n++) {
		struct mmd_smp_tx tx;

		pair_blank(p);
		ask(c, MMD_PUT);
		mmd_cborw_uint(&c->w, "len", 600);
		mmd_cborw_uint(&c->w, "off", 0);
		mmd_cborw_bytes(&c->w, "data", data, n);
		mmd_smp_head_put(&c->head, c->w.n, c->p);
		assert_int_equal(mmd_smp_tx_init(&tx, (struct mmd_bytes){ c->p,
		    MMD_SMP_HEAD + c->w.n }), MMD_OK);
		assert_int_equal(mmd_smp_tx_run(&tx, &p->host), MMD_OK);
		while (p->down.from < p->down.to)
			assert_int_equal(mmd_factory_run(&p->board.factory,
			    &p->device), MMD_MORE);
		assert_true(p->up.to > p->up.from);
	}
}

/* Every kind of key: made once, requests, proves. */
static void
kinds(void **state)
{
	static const struct {
		enum mmd_key_kind kind;
		size_t cap;
		enum mmd_refusal csr;
	} rows[] = {
		{ MMD_KEY_P256, 520, MMD_R_NONE },
		{ MMD_KEY_P384, 520, MMD_R_NONE },
		{ MMD_KEY_ED25519, 520, MMD_R_NONE },
		/* A body of 512 bytes is too short for it, and it says so. */
		{ MMD_KEY_RSA2048, 520, MMD_R_SPACE },
		{ MMD_KEY_RSA2048, 1280 - 120, MMD_R_NONE },
	};
	struct call *c = *state;
	const struct mmd_store *s = &c->pair.board.store;
	struct mmd_area wide = s->half[MMD_LDEVID][0];

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint8_t first[MMD_SPKI_MAX];
		struct mmd_bytes pub;
		struct bundle b;

		pair_blank(&c->pair);
		c->cap = rows[i].cap;
		c->ca.last_n = 0;
		c->pair.board.conf.kinds = ~0U;
		/* An RSA key in PEM takes more than a block. */
		c->pair.board.store.key[0] = wide;
		make_key(c, rows[i].kind);
		assert_int_equal(c->refusal, MMD_R_NONE);
		pub = bytes(c, "pub");
		memcpy(first, pub.p, pub.n);
		/* Asked for another kind: the one there is. */
		make_key(c, MMD_KEY_P256);
		assert_int_equal(bytes(c, "pub").n, pub.n);
		assert_memory_equal(bytes(c, "pub").p, first, pub.n);
		ask(c, MMD_CSR);
		send_call(c);
		assert_int_equal(c->refusal, rows[i].csr);
		if (rows[i].csr != MMD_R_NONE)
			continue;
		certify(c, &b);
		assert_int_equal(b.spki_n, pub.n);
		assert_memory_equal(b.spki, first, pub.n);
		put_all(c, &b);
		commit(c, &b);
		assert_int_equal(c->refusal, MMD_R_NONE);
		ask_any(c, MMD_PROVE, &b);
		assert_int_equal(c->refusal, MMD_R_NONE);
	}
	c->pair.board.store.key[0] = (struct mmd_area){ 0, BOARD_KEY };
	c->pair.board.conf.kinds = 1U << MMD_KEY_P256;
	pair_blank(&c->pair);
	make_key(c, MMD_KEY_RSA2048);
	assert_int_equal(c->refusal, MMD_R_KIND);
}

/* What commit does not take, each beside a bundle that it would. */
static void
not_committed(void **state)
{
	enum what { NOTHING, BYTE, FOREIGN, CHAIN_FIRST, NO_DER, TWICE, SUM };
	static const struct {
		const char *what;
		enum what w;
		enum mmd_refusal want;
	} rows[] = {
		{ "all right", NOTHING, MMD_R_NONE },
		{ "a byte changed on the way", BYTE, MMD_R_HASH },
		{ "of another key", FOREIGN, MMD_R_FOREIGN },
		{ "issuer and device swapped", CHAIN_FIRST, MMD_R_FOREIGN },
		{ "no certificate", NO_DER, MMD_R_CHAIN },
		{ "the device's certificate as its own issuer", TWICE,
		    MMD_R_CHAIN },
		{ "lengths that run over", SUM, MMD_R_CHAIN },
	};
	struct call *c = *state;
	struct bundle b, other;

	bring_to(c, MMD_STATE_KEY, &other);
	for (size_t i = 0; i < COUNT(rows); i++) {
		print_message("%s\n", rows[i].what);
		bring_to(c, MMD_STATE_KEY, &b);
		if (rows[i].w == FOREIGN)
			b = other;
		if (rows[i].w == CHAIN_FIRST) {
			memmove(b.p, b.p + b.part[0], b.part[1]);
			b.part[0] = b.part[1];
			b.part[1] = b.part[2] = 0;
		}
		if (rows[i].w == NO_DER)
			b.p[5] ^= 0x40;
		if (rows[i].w == TWICE) {
			memmove(b.p + b.part[0], b.p, b.part[0]);
			b.part[1] = b.part[0];
			b.part[2] = 0;
		}
		b.n = b.part[0] + b.part[1] + b.part[2];
		hash_all(&b);
		b.p[200] ^= rows[i].w == BYTE;
		put_all(c, &b);
		if (rows[i].w == SUM)
			b.part[1] = 0xffffffff;
		commit(c, &b);
		assert_int_equal(c->refusal, rows[i].want);
		assert_int_equal(state_now(c), rows[i].want == MMD_R_NONE ?
		    MMD_STATE_READY : MMD_STATE_KEY);
	}
}

/* A proof verifies, over exactly what the page says. */
static void
proves(void **state)
{
	struct call *c = *state;
	uint8_t msg[128], nonce[MMD_NONCE], sig[128];
	struct bundle b;
	struct mmd_bytes got;

	memset(nonce, 0x5a, sizeof(nonce));
	bring_to(c, MMD_STATE_LOCKED, &b);
	ask(c, MMD_PROVE);
	mmd_cborw_bytes(&c->w, "nonce",
	    nonce, sizeof(nonce));
	send_call(c);
	got = bytes(c, "sig");
	memcpy(sig, got.p, got.n);
	memcpy(msg, "mintmark-prove", 14);
	memcpy(msg + 14, nonce, 32);
	memcpy(msg + 46, "SIM-0001", 8);
	memcpy(msg + 54, b.cert_hash, 32);
	assert_true(ca_verify((struct mmd_bytes){ b.spki, b.spki_n },
	    (struct mmd_bytes){ msg, 86 }, (struct mmd_bytes){ sig, got.n }));
	msg[20] ^= 1;
	assert_false(ca_verify((struct mmd_bytes){ b.spki, b.spki_n },
	    (struct mmd_bytes){ msg, 86 }, (struct mmd_bytes){ sig, got.n }));
}

/* lock is for the certificate in use, and calls the board each time. */
static enum mmd_rc
count_locks(void *ctx)
{
	unsigned *n = ctx;

	(*n)++;
	return MMD_OK;
}

static void
locks(void **state)
{
	struct call *c = *state;
	struct bundle b;
	uint8_t other[MMD_HASH];
	unsigned n = 0;

	bring_to(c, MMD_STATE_READY, &b);
	c->pair.board.conf.lock = count_locks;
	c->pair.board.conf.lock_ctx = &n;
	memcpy(other, b.cert_hash, MMD_HASH);
	other[31] ^= 1;
	lock(c, other);
	assert_int_equal(c->refusal, MMD_R_OTHER);
	assert_int_equal(state_now(c), MMD_STATE_READY);
	assert_int_equal(n, 0);
	lock(c, b.cert_hash);
	assert_int_equal(c->refusal, MMD_R_NONE);
	lock(c, other);
	assert_int_equal(c->refusal, MMD_R_OTHER);
	lock(c, b.cert_hash);
	assert_int_equal(c->refusal, MMD_R_NONE);
	assert_int_equal(n, 2);
	c->pair.board.conf.lock = NULL;
	/* Whichever half is lost, the lock stays. */
	for (unsigned i = 0; i < 2; i++) {
		struct mmd_area a = c->pair.board.store.half[0][i];
		uint8_t saved[BOARD_HALF];

		memcpy(saved, c->pair.board.flash.map + a.at, a.n);
		memset(c->pair.board.flash.map + a.at, 0xff, a.n);
		assert_int_equal(state_now(c), MMD_STATE_LOCKED);
		assert_memory_equal(bytes(c, "cert").p, b.cert_hash, 32);
		memcpy(c->pair.board.flash.map + a.at, saved, a.n);
	}
}

/* A new certificate for the same key: the old one until commit. */
static void
replaced(void **state)
{
	struct call *c = *state;
	struct bundle b, next;

	bring_to(c, MMD_STATE_READY, &b);
	for (int i = 0; i < 5; i++) {
		c->ca.last_n = 0;
		certify(c, &next);
		put_all(c, &next);
		assert_int_equal(state_now(c), MMD_STATE_READY);
		assert_memory_equal(bytes(c, "cert").p, b.cert_hash, 32);
		commit(c, &next);
		assert_int_equal(c->refusal, MMD_R_NONE);
		assert_memory_equal(bytes(c, "cert").p, next.cert_hash, 32);
		assert_int_equal(state_now(c), MMD_STATE_READY);
		assert_memory_equal(bytes(c, "cert").p, next.cert_hash, 32);
		b = next;
	}
}

/* The floor goes forward only; commit keeps it over a reset. */
static void
time_floor(void **state)
{
	static const struct {
		uint64_t told, want;
	} rows[] = {
		{ 0, 0 },
		{ 1000, 1000 },
		{ 999, 1000 },
		{ 1780000000, 1780000000 },
		{ UINT64_C(253402300800), 1780000000 }, /* year 10000 */
		{ UINT64_MAX, 1780000000 },
	};
	struct call *c = *state;
	struct bundle b;

	bring_to(c, MMD_STATE_KEY, &b);
	for (size_t i = 0; i < COUNT(rows); i++) {
		ask(c, MMD_HELLO);
		mmd_cborw_uint(&c->w, "time", rows[i].told);
		send_call(c);
		assert_int_equal(number(c, "time"), rows[i].want);
	}
	assert_int_equal(board_reset(&c->pair.board), MMD_OK);
	(void)state_now(c);
	assert_int_equal(number(c, "time"), 0);
	ask(c, MMD_HELLO);
	mmd_cborw_uint(&c->w, "time", 1780000000);
	send_call(c);
	put_all(c, &b);
	commit(c, &b);
	assert_int_equal(board_reset(&c->pair.board), MMD_OK);
	(void)state_now(c);
	assert_int_equal(number(c, "time"), 1780000000);
}

/* Both identities, each its own key and certificate; one lock. */
static void
two_identities(void **state)
{
	struct call *c = *state;
	struct bundle b;
	uint8_t key[MMD_HASH];

	bring_to(c, MMD_STATE_READY, &b);
	memcpy(key, bytes(c, "key").p, sizeof(key));
	ask(c, MMD_MAKE_KEY);
	mmd_cborw_uint(&c->w, "id", MMD_LDEVID);
	put_zeros(c, "stir", 32);
	send_call(c);
	assert_int_equal(c->refusal, MMD_R_NONE);
	ask(c, MMD_HELLO);
	mmd_cborw_uint(&c->w, "id", MMD_LDEVID);
	send_call(c);
	assert_int_equal(number(c, "state"), MMD_STATE_KEY);
	assert_memory_not_equal(bytes(c, "key").p, key, sizeof(key));
	assert_int_equal(state_now(c), MMD_STATE_READY);
	lock(c, b.cert_hash);
	ask(c, MMD_HELLO);
	mmd_cborw_uint(&c->w, "id", MMD_LDEVID);
	send_call(c);
	assert_int_equal(number(c, "state"), MMD_STATE_LOCKED);
	ask(c, MMD_MAKE_KEY);
	mmd_cborw_uint(&c->w, "id", MMD_LDEVID);
	put_zeros(c, "stir", 32);
	send_call(c);
	assert_int_equal(c->refusal, MMD_R_LOCKED);
}

/* A key that flash lost: its certificate counts for nothing any more. */
static void
lost_key(void **state)
{
	struct call *c = *state;
	struct mmd_area key = c->pair.board.store.key[0];
	struct bundle b, next;

	bring_to(c, MMD_STATE_READY, &b);
	memset(c->pair.board.flash.map + key.at, 0xff, key.n);
	assert_int_equal(state_now(c), MMD_STATE_EMPTY);
	make_key(c, MMD_KEY_P256);
	assert_int_equal(state_now(c), MMD_STATE_KEY);
	ask_any(c, MMD_LOCK, &b);
	assert_int_equal(c->refusal, MMD_R_NO_CERT);
	commit(c, &b);
	assert_int_not_equal(c->refusal, MMD_R_NONE);
	certify(c, &next);
	put_all(c, &next);
	commit(c, &next);
	assert_int_equal(c->refusal, MMD_R_NONE);
	assert_int_equal(state_now(c), MMD_STATE_READY);
	/* Locked, it does not make another: it says what it has lost. */
	lock(c, next.cert_hash);
	memset(c->pair.board.flash.map + key.at, 0xff, key.n);
	assert_int_equal(state_now(c), MMD_STATE_LOCKED);
	make_key(c, MMD_KEY_P256);
	assert_int_equal(c->refusal, MMD_R_LOCKED);
	ask_any(c, MMD_PROVE, &next);
	assert_int_equal(c->refusal, MMD_R_NO_KEY);
}

/* A board put together wrongly is told so before it is one. */
static void
wrong_conf(void **state)
{
	static const uint8_t id[33];
	struct call *c = *state;
	struct mmd_factory_conf good = c->pair.board.conf, bad;
	struct mmd_store store = *good.store;
	struct mmd_flash flash = *store.flash;
	struct mmd_factory f;

	store.flash = &flash;
	good.store = &store;
	assert_int_equal(mmd_factory_init(&f, &good), MMD_OK);
	bad = good;
	bad.hardware.n = 0;
	assert_int_equal(mmd_factory_init(&f, &bad), MMD_EINPUT);
	bad.hardware = (struct mmd_bytes){ id, sizeof(id) };
	assert_int_equal(mmd_factory_init(&f, &bad), MMD_EINPUT);
	bad = good;
	bad.firmware = "0123456789abcdef0123456789abcdef0";
	assert_int_equal(mmd_factory_init(&f, &bad), MMD_EINPUT);
	bad.firmware = "";
	assert_int_equal(mmd_factory_init(&f, &bad), MMD_EINPUT);
	bad = good;
	bad.cap = MMD_FACTORY_BUF - 1;
	assert_int_equal(mmd_factory_init(&f, &bad), MMD_EINPUT);
	flash.unit = 256;
	assert_int_equal(mmd_factory_init(&f, &good), MMD_EINPUT);
	flash.unit = 12;
	assert_int_equal(mmd_factory_init(&f, &good), MMD_EINPUT);
	flash.unit = 8;
	store.half[0][1].n += 8;
	assert_int_equal(mmd_factory_init(&f, &good), MMD_EINPUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_pairs),
		cmocka_unit_test(other_messages),
		cmocka_unit_test(not_answered),
		cmocka_unit_test(run_by_the_console),
		cmocka_unit_test(kinds),
		cmocka_unit_test(not_committed),
		cmocka_unit_test(proves),
		cmocka_unit_test(locks),
		cmocka_unit_test(replaced),
		cmocka_unit_test(time_floor),
		cmocka_unit_test(two_identities),
		cmocka_unit_test(lost_key),
		cmocka_unit_test(wrong_conf),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
