/*
 * Property: the same packets are found in one piece as byte by byte, within
 * the room there is; and a packet that was found, put on the line again, is
 * found again.
 */
#include <stdlib.h>
#include <string.h>

#include "mmd_smp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CAP 640

struct found {
	uint8_t buf[CAP];
	struct mmd_smp_rx rx;
	unsigned n;
	uint16_t crc; /* over all packets in a row */
};

static void
again(struct mmd_bytes packet)
{
	uint8_t line[1024], buf[CAP];
	struct mmd_smp_tx tx;
	struct mmd_smp_rx rx;
	struct mmd_bytes in, got;

	if (mmd_smp_tx_init(&tx, packet) != MMD_OK)
		abort();
	in = (struct mmd_bytes){ line,
		mmd_smp_tx_peek(&tx, line, sizeof(line)) };
	mmd_smp_rx_init(&rx, buf, packet.n + MMD_SMP_FRAMING);
	if (in.n != tx.n || mmd_smp_rx_take(&rx, &in, &got) != MMD_OK ||
	    in.n != 0 || got.n != packet.n ||
	    memcmp(got.p, packet.p, got.n) != 0)
		abort();
}

static void
find(struct found *f, const uint8_t *data, size_t size, size_t step)
{
	struct mmd_bytes packet;

	memset(f, 0, sizeof(*f));
	mmd_smp_rx_init(&f->rx, f->buf, CAP);
	for (size_t at = 0; at < size; at += step) {
		struct mmd_bytes in = { data + at,
			size - at < step ? size - at : step };

		while (mmd_smp_rx_take(&f->rx, &in, &packet) == MMD_OK) {
			if (packet.p < f->buf || packet.n < MMD_SMP_HEAD ||
			    packet.p + packet.n > f->buf + CAP)
				abort();
			f->n++;
			f->crc = mmd_crc16(f->crc, packet);
			again(packet);
		}
		if (in.n != 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct found whole, bytes;

	find(&whole, data, size, size > 0 ? size : 1);
	find(&bytes, data, size, 1);
	if (whole.n != bytes.n || whole.crc != bytes.crc ||
	    whole.rx.bad != bytes.rx.bad)
		abort();
	return 0;
}
