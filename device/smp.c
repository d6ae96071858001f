#include "mmd_smp.h"
#include "priv.h"

/*
 * Base64 of a whole line but its marks and its end: whole groups, so that
 * each line can be decoded alone.
 */
#define TEXT_MAX ((MMD_SMP_LINE - 3) / 4 * 4)

enum { START_1 = 0x06, START_2 = 0x09, MORE_1 = 0x04, MORE_2 = 0x14 };
enum state {
	OUTSIDE, /* no packet has begun */
	BETWEEN, /* one has, and its next line has not */
	LINE
};

/* see mmd_smp.h */
uint16_t
mmd_crc16(uint16_t crc, struct mmd_bytes v)
{
	/* x^16 + x^12 + x^5 + 1, eight bits at once */
	for (size_t i = 0; i < v.n; i++) {
		unsigned x = crc >> 8 ^ v.p[i];

		x ^= x >> 4;
		crc = (uint16_t)(crc << 8 ^ x << 12 ^ x << 5 ^ x);
	}
	return crc;
}

/* see mmd_smp.h */
void
mmd_smp_rx_init(struct mmd_smp_rx *rx, uint8_t *buf, size_t cap)
{
	memset(rx, 0, sizeof(*rx));
	rx->buf = buf;
	rx->cap = cap;
}

/* see mmd_smp.h */
bool
mmd_smp_rx_inside(const struct mmd_smp_rx *rx)
{
	return rx->state != OUTSIDE;
}

/* see mmd_smp.h */
void
mmd_smp_rx_drop(struct mmd_smp_rx *rx)
{
	rx->bad += rx->state != OUTSIDE;
	rx->state = OUTSIDE;
	rx->n = 0;
}

/* Bytes that the packet has with its length before and its CRC behind it. */
static size_t
whole(const struct mmd_smp_rx *rx)
{
	return rx->n < 2 ? SIZE_MAX : 2 + (size_t)mmd_get16(rx->buf);
}

/* A line has ended: MMD_OK if the packet has, too. */
static enum mmd_rc
end_line(struct mmd_smp_rx *rx, struct mmd_bytes *packet)
{
	struct mmd_bytes v = { rx->buf + 2, rx->n - 2 };

	if (rx->n < whole(rx)) {
		rx->state = BETWEEN;
		/* Lines that were padded one by one are as good. */
		rx->b64.ended = false;
		return MMD_MORE;
	}
	if (rx->n > whole(rx) || v.n < MMD_SMP_HEAD + 2 ||
	    mmd_base64_end(&rx->b64) != MMD_OK || mmd_crc16(0, v) != 0) {
		mmd_smp_rx_drop(rx);
		return MMD_MORE;
	}
	rx->state = OUTSIDE;
	*packet = (struct mmd_bytes){ v.p, v.n - 2 };
	return MMD_OK;
}

static void
begin(struct mmd_smp_rx *rx)
{
	mmd_smp_rx_drop(rx);
	memset(&rx->b64, 0, sizeof(rx->b64));
	rx->state = LINE;
}

static enum mmd_rc
take(struct mmd_smp_rx *rx, uint8_t c, struct mmd_bytes *packet)
{
	uint8_t last = rx->last;

	rx->last = c;
	if (last == START_1 && c == START_2)
		begin(rx);
	else if (last == MORE_1 && c == MORE_2 && rx->state == BETWEEN)
		rx->state = LINE;
	else if (rx->state != LINE)
		return MMD_MORE;
	else if (c == '\n')
		return end_line(rx, packet);
	else if (mmd_base64_decode(&rx->b64, (struct mmd_bytes){ &c, 1 },
	    rx->buf, rx->cap, &rx->n) != MMD_OK ||
	    (rx->n >= 2 && whole(rx) > rx->cap))
		mmd_smp_rx_drop(rx);
	return MMD_MORE;
}

/* see mmd_smp.h */
enum mmd_rc
mmd_smp_rx_take(struct mmd_smp_rx *rx, struct mmd_bytes *in,
    struct mmd_bytes *packet)
{
	while (in->n > 0) {
		uint8_t c = *in->p;

		in->p++;
		in->n--;
		if (take(rx, c, packet) == MMD_OK)
			return MMD_OK;
	}
	return MMD_MORE;
}

/* see mmd_smp.h */
enum mmd_rc
mmd_smp_tx_init(struct mmd_smp_tx *tx, struct mmd_bytes packet)
{
	size_t text, lines;

	if (packet.n > MMD_SMP_PACKET_MAX)
		return MMD_ESPACE;
	text = MMD_BASE64_LEN(packet.n + MMD_SMP_FRAMING);
	lines = (text + TEXT_MAX - 1) / TEXT_MAX;
	*tx = (struct mmd_smp_tx){ packet, mmd_crc16(0, packet), 0,
		text + 3 * lines };
	return MMD_OK;
}

/* Byte i of the packet with its length before and its CRC behind it. */
static uint8_t
raw(const struct mmd_smp_tx *tx, size_t i)
{
	size_t n = tx->packet.n, around = n + 2;

	if (i - 2 < n)
		return tx->packet.p[i - 2];
	if (i >= 2) {
		i -= n + 2;
		around = tx->crc;
	}
	return (uint8_t)(i == 0 ? around >> 8 : around);
}

/* Character i of all lines' base64. */
static uint8_t
text(const struct mmd_smp_tx *tx, size_t i)
{
	size_t from = i / 4 * 3, have = tx->packet.n + MMD_SMP_FRAMING - from;
	uint32_t group = 0;

	for (size_t k = 0; k < 3; k++)
		group = group << 8 | (k < have ? raw(tx, from + k) : 0u);
	return mmd_base64_char(group, have, i % 4);
}

static uint8_t
character(const struct mmd_smp_tx *tx, size_t i)
{
	size_t line = i / MMD_SMP_LINE, column = i % MMD_SMP_LINE;

	if (column < 2)
		return line == 0 ? column == 0 ? START_1 : START_2
		    : column == 0 ? MORE_1 : MORE_2;
	if (column == MMD_SMP_LINE - 1 || i == tx->n - 1)
		return '\n';
	return text(tx, line * TEXT_MAX + column - 2);
}

/* see mmd_smp.h */
size_t
mmd_smp_tx_peek(const struct mmd_smp_tx *tx, uint8_t *out, size_t cap)
{
	size_t n;

	for (n = 0; n < cap && n < tx->n - tx->at; n++)
		out[n] = character(tx, tx->at + n);
	return n;
}

/* see mmd_smp.h */
void
mmd_smp_tx_sent(struct mmd_smp_tx *tx, size_t n)
{
	tx->at += n < tx->n - tx->at ? n : tx->n - tx->at;
}

/* see mmd_smp.h */
enum mmd_rc
mmd_smp_tx_run(struct mmd_smp_tx *tx, const struct mmd_io *io)
{
	uint8_t chunk[32];
	size_t n, done;
	enum mmd_rc rc;

	while ((n = mmd_smp_tx_peek(tx, chunk, sizeof(chunk))) > 0) {
		rc = io->write(io->ctx, chunk, n, &done);
		if (rc != MMD_OK)
			return rc;
		mmd_smp_tx_sent(tx, done);
	}
	return MMD_OK;
}

/* see mmd_smp.h */
enum mmd_rc
mmd_smp_open(struct mmd_bytes packet, struct mmd_smp_head *head,
    struct mmd_bytes *body)
{
	const uint8_t *p = packet.p;

	if (packet.n < MMD_SMP_HEAD || (p[0] >> 3 & 3) > 1 ||
	    mmd_get16(p + 2) != packet.n - MMD_SMP_HEAD)
		return MMD_EINPUT;
	*head = (struct mmd_smp_head){ p[0] & 7, p[0] >> 3 & 3,
		mmd_get16(p + 4), p[6], p[7] };
	*body = (struct mmd_bytes){ p + MMD_SMP_HEAD,
		packet.n - MMD_SMP_HEAD };
	return MMD_OK;
}

/* see mmd_smp.h */
void
mmd_smp_head_put(const struct mmd_smp_head *head, size_t body_n,
    uint8_t out[MMD_SMP_HEAD])
{
	out[0] = (uint8_t)(head->op | head->version << 3);
	out[1] = 0;
	mmd_put16(out + 2, (uint16_t)body_n);
	mmd_put16(out + 4, head->group);
	out[6] = head->seq;
	out[7] = head->id;
}
