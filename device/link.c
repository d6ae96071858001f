#include "link.h"

enum { IDLE, ASKING, GREETING };

/* Beyond what an answer of the longest kind takes: a line that floods. */
#define FLOOD_MS 1000

/* see mmd_link.h */
void
mmd_link_init(struct mmd_link *l, const struct mmd_link_conf *conf)
{
	memset(l, 0, sizeof(*l));
	l->conf = conf;
	mmd_smp_rx_init(&l->rx, conf->buf + conf->cap / 2, conf->cap / 2);
}

static int64_t
now_ms(const struct mmd_link *l)
{
	return l->conf->clock->mono_ms(l->conf->clock->ctx);
}

/* Ten bits a character. */
static int64_t
line_ms(const struct mmd_link *l, size_t chars)
{
	uint32_t baud = l->conf->baud;

	return baud == 0 ? 0 : 1 + (int64_t)((uint32_t)chars * 10000 / baud);
}

static enum mmd_factory_message
message_now(const struct mmd_link *l)
{
	return l->phase == GREETING ? MMD_HELLO : l->ask.message;
}

/* The message at hand from its beginning; a repeat has the same number. */
static void
send_now(struct mmd_link *l)
{
	mmd_smp_rx_drop(&l->rx);
	l->tx.at = 0;
	l->sending = true;
	l->sent++;
	l->due_ms = now_ms(l) + line_ms(l, l->tx.n) + MMD_LINK_COMPUTE_MS;
}

static void
encode(struct mmd_link *l)
{
	enum mmd_factory_message m = message_now(l);
	struct mmd_smp_head h = { mmd_link_messages[m].op, 1,
		MMD_FACTORY_GROUP, ++l->seq, (uint8_t)m };
	uint8_t *p = l->conf->buf;
	struct mmd_cborw w;

	mmd_cborw_init(&w, p + MMD_SMP_HEAD, l->conf->cap / 2 - MMD_SMP_HEAD);
	if (l->ask.identity != MMD_IDEVID && m != MMD_LOCK)
		mmd_cborw_uint(&w, "id", l->ask.identity);
	mmd_link_messages[m].encode(l, &w);
	mmd_smp_head_put(&h, w.n, p);
	/* A packet of half a buffer: it fits. */
	if (mmd_smp_tx_init(&l->tx, (struct mmd_bytes){ p,
	    MMD_SMP_HEAD + w.n }) == MMD_OK)
		send_now(l);
}

/* see link.h */
void
mmd_link_begin(struct mmd_link *l, const struct mmd_ask *ask)
{
	l->ask = *ask;
	l->phase = ASKING;
	l->tries = l->rounds = 0;
	l->answered_badly = l->heard = false;
	l->refusal = MMD_R_NONE;
	l->smp_rc = 0;
	l->value = (struct mmd_bytes){ NULL, 0 };
	encode(l);
}

static enum mmd_rc
end(struct mmd_link *l, enum mmd_rc rc)
{
	l->phase = IDLE;
	return rc;
}

/* No answer, or one that is none. */
static enum mmd_rc
failed(struct mmd_link *l)
{
	enum mmd_factory_message m = message_now(l);

	if (l->tries < MMD_LINK_REPEATS) {
		l->tries++;
		l->repeats++;
		if (m == MMD_PUT) {
			mmd_link_shrink(l);
			encode(l);
		} else
			send_now(l);
		return MMD_MORE;
	}
	/* Pieces of answers mean a line that is bad; nothing, none. */
	if ((m == MMD_HELLO && !l->heard) || ++l->rounds > MMD_LINK_ROUNDS)
		return end(l, l->answered_badly ? MMD_EINPUT : MMD_ESILENT);
	l->tries = 0;
	l->heard = false;
	if (l->ask.message != MMD_HELLO)
		l->phase = GREETING;
	encode(l);
	return MMD_MORE;
}

/* The device was greeted in between: if it is the same, on with it. */
static enum mmd_rc
greeted(struct mmd_link *l, struct mmd_bytes body)
{
	struct mmd_hello h;

	if (mmd_link_read_hello(body, &h) != MMD_OK)
		return MMD_EINPUT;
	if (!mmd_bytes_eq((struct mmd_bytes){ h.hw, h.hw_n },
	    (struct mmd_bytes){ l->hello.hw, l->hello.hw_n }) && l->greeted)
		return MMD_EPATH;
	l->phase = ASKING;
	return MMD_MORE;
}

/* How an answer tells of an error, whichever message it answers. */
static enum mmd_rc
refused(struct mmd_link *l, struct mmd_bytes body)
{
	static const struct mmd_cbor_key keys[] = {
		{ "rc", MMD_CBOR_UINT, false, 0, MMD_CBOR_32 },
		{ "err", MMD_CBOR_MAP, false, 0, 0 },
	};
	static const struct mmd_cbor_key err_keys[] = {
		{ "group", MMD_CBOR_UINT, true, 0, MMD_CBOR_32 },
		{ "rc", MMD_CBOR_UINT, true, 1, MMD_CBOR_32 },
	};
	struct mmd_cbor_value v[MMD_COUNT(keys)], e[MMD_COUNT(err_keys)];

	if (mmd_cbor_read(body, keys, MMD_COUNT(keys), v) != MMD_OK)
		return MMD_EINPUT;
	if (v[1].type == MMD_CBOR_MAP) {
		if (mmd_cbor_read(v[1].v, err_keys, MMD_COUNT(err_keys), e) !=
		    MMD_OK || e[0].n != MMD_FACTORY_GROUP)
			return MMD_EINPUT;
		l->refusal = e[1].n < MMD_REFUSALS ? (enum mmd_refusal)e[1].n
		    : MMD_R_BOARD;
		return MMD_EREFUSED;
	}
	if (v[0].n == 0)
		return MMD_OK;
	/* What we send is well-formed: it was damaged and passed the CRC. */
	if (v[0].n == MMD_SMP_EINVAL)
		return MMD_EINPUT;
	l->smp_rc = (uint32_t)v[0].n;
	return MMD_EREFUSED;
}

static enum mmd_rc
judge(struct mmd_link *l, struct mmd_bytes body)
{
	enum mmd_rc rc = refused(l, body);

	if (rc == MMD_OK)
		rc = l->phase == GREETING ? greeted(l, body)
		    : mmd_link_messages[l->ask.message].decode(l, body);
	if (rc == MMD_EINPUT) {
		l->bad_answers++;
		l->answered_badly = true;
		return failed(l);
	}
	if (rc != MMD_MORE)
		return end(l, rc);
	l->tries = 0;
	encode(l);
	return MMD_MORE;
}

/* Whether the packet answers what was asked; others are passed over. */
static bool
is_answer(const struct mmd_link *l, struct mmd_bytes packet,
    struct mmd_bytes *body)
{
	enum mmd_factory_message m = message_now(l);
	struct mmd_smp_head h;

	return mmd_smp_open(packet, &h, body) == MMD_OK &&
	    h.op == mmd_link_messages[m].op + MMD_SMP_ANSWER &&
	    h.group == MMD_FACTORY_GROUP && h.id == m && h.seq == l->seq;
}

static uint32_t
answer_ms(const struct mmd_link *l)
{
	/* The first piece may find a whole half to be erased. */
	if (message_now(l) == MMD_PUT && l->off == 0)
		return MMD_LINK_COMPUTE_MS;
	return mmd_link_messages[message_now(l)].answer_ms;
}

static enum mmd_rc
send_some(struct mmd_link *l)
{
	enum mmd_rc rc = mmd_smp_tx_run(&l->tx, l->conf->io);
	int64_t now = now_ms(l);

	if (rc == MMD_OK) {
		l->sending = false;
		l->due_ms = now + line_ms(l, l->tx.n) + answer_ms(l);
		l->end_ms = l->due_ms + FLOOD_MS +
		    line_ms(l, 2 * l->conf->cap);
		return MMD_MORE;
	}
	if (rc == MMD_MORE && now > l->due_ms)
		return failed(l);
	return rc == MMD_MORE ? rc : end(l, rc);
}

/* Time is up when no answer has begun, or one that has does not go on. */
static bool
is_late(const struct mmd_link *l)
{
	int64_t now = now_ms(l);

	if (now > l->end_ms)
		return true;
	return mmd_smp_rx_inside(&l->rx) ? now - l->last_ms > MMD_LINK_BYTE_MS
	    : now > l->due_ms;
}

static enum mmd_rc
receive_some(struct mmd_link *l)
{
	const struct mmd_io *io = l->conf->io;
	uint8_t chunk[64];
	struct mmd_bytes in, packet, body;
	enum mmd_rc rc = MMD_OK;

	/* A line that never stops must not stop the caller. */
	for (int i = 0; i < 64; i++) {
		in = (struct mmd_bytes){ chunk, 0 };
		rc = io->read(io->ctx, chunk, sizeof(chunk), &in.n);
		if (rc != MMD_OK)
			break;
		l->last_ms = now_ms(l);
		l->heard |= mmd_smp_rx_inside(&l->rx);
		while (mmd_smp_rx_take(&l->rx, &in, &packet) == MMD_OK)
			if (is_answer(l, packet, &body))
				return judge(l, body);
	}
	if (rc != MMD_OK && rc != MMD_MORE)
		return end(l, rc);
	return is_late(l) ? failed(l) : MMD_MORE;
}

/* see mmd_link.h */
enum mmd_rc
mmd_link_run(struct mmd_link *l)
{
	enum mmd_rc rc = MMD_MORE;

	if (l->phase == IDLE)
		return MMD_ESTATE;
	if (l->sending)
		rc = send_some(l);
	if (rc == MMD_MORE && l->phase != IDLE && !l->sending)
		rc = receive_some(l);
	return rc;
}
