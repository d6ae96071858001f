#ifndef MMD_SMP_H
#define MMD_SMP_H

#include "mmd_codec.h"

/*
 * SMP, the management protocol of Zephyr, MCUboot and Mynewt, over a serial
 * console: both directions, for a device and for the station that talks to
 * it.  docs/protocol/link.md shows it byte by byte.
 *
 * A packet is a head of 8 bytes and a body.  On the line it becomes
 *
 *	06 09 base64 0a   and as often as needed   04 14 base64 0a
 *
 * where the base64, all lines together, is the packet with its length (and
 * that of the CRC, big-endian) before it and its CRC behind.  A line has at
 * most MMD_SMP_LINE characters, its end counted.  Everything else on the
 * line is log text of somebody else, and is skipped.
 */
#define MMD_SMP_LINE 127
#define MMD_SMP_HEAD 8
#define MMD_SMP_FRAMING 4 /* length before, CRC behind */
#define MMD_SMP_PACKET_MAX 65533

/* CRC-16/XMODEM: polynomial 1021, begins with 0, nothing reflected. */
uint16_t mmd_crc16(uint16_t crc, struct mmd_bytes v);

/*
 * Finds packets among the bytes of a line.  That one was found proves its
 * length and its CRC; one damaged packet in 65,536 passes that, so that what
 * matters is checked once more by hash or signature.
 *
 * A start mark begins anew wherever it stands: after a line that lost its end,
 * the next packet is whole again.
 */
struct mmd_smp_rx {
	uint8_t *buf; /* the caller's: packet and MMD_SMP_FRAMING bytes */
	size_t cap;
	uint32_t bad; /* packets begun and thrown away */
	/* Its own: */
	size_t n;
	struct mmd_base64 b64;
	uint8_t state, last;
};

void mmd_smp_rx_init(struct mmd_smp_rx *rx, uint8_t *buf, size_t cap);
/*
 * Takes bytes from the front of *in.  MMD_OK: *packet, borrowed from buf until
 * the next call, is whole; there may be more in *in.  MMD_MORE: all of *in is
 * used up.  Nothing is an error: what is no packet is skipped.
 */
enum mmd_rc mmd_smp_rx_take(struct mmd_smp_rx *rx, struct mmd_bytes *in,
    struct mmd_bytes *packet) MMD_MUST;
/* Whether a packet has begun and is not whole. */
bool mmd_smp_rx_inside(const struct mmd_smp_rx *rx);
/* Gives up the packet that has begun. */
void mmd_smp_rx_drop(struct mmd_smp_rx *rx);

/* Puts a packet on the line, with no memory of its own. */
struct mmd_smp_tx {
	struct mmd_bytes packet; /* borrowed until the last character */
	unsigned crc;
	size_t at, n; /* characters of the line: sent, all */
};

/* MMD_ESPACE: more than MMD_SMP_PACKET_MAX. */
enum mmd_rc mmd_smp_tx_init(struct mmd_smp_tx *tx, struct mmd_bytes packet)
    MMD_MUST;
/* The next characters, up to cap, without taking them; 0: all were taken. */
size_t mmd_smp_tx_peek(const struct mmd_smp_tx *tx, uint8_t *out, size_t cap);
void mmd_smp_tx_sent(struct mmd_smp_tx *tx, size_t n);
/* Moves characters until all are out (MMD_OK) or io would wait (MMD_MORE). */
enum mmd_rc mmd_smp_tx_run(struct mmd_smp_tx *tx, const struct mmd_io *io)
    MMD_MUST;

enum mmd_smp_op { MMD_SMP_READ = 0, MMD_SMP_WRITE = 2, MMD_SMP_ANSWER = 1 };

struct mmd_smp_head {
	uint8_t op;      /* an answer's: the request's + MMD_SMP_ANSWER */
	uint8_t version; /* 0: the first SMP, 1: "version 2" */
	uint16_t group;
	uint8_t seq, id;
};

/*
 * MMD_EINPUT: too short, a version that is none of the two, or not as long as
 * it says.  body is borrowed.  Flags are none of ours and ignored.
 */
enum mmd_rc mmd_smp_open(struct mmd_bytes packet, struct mmd_smp_head *head,
    struct mmd_bytes *body) MMD_MUST;
/* Writes the head before a body of body_n bytes. */
void mmd_smp_head_put(const struct mmd_smp_head *head, size_t body_n,
    uint8_t out[MMD_SMP_HEAD]);

#endif
