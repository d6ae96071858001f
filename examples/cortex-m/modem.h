#ifndef MODEM_H
#define MODEM_H

#include "mmd.h"

/*
 * The modem on the second line: one connection at a time, in frames of a kind
 * ('o' open, 'r' refused, 'd' data, 'c' close), a length of 16 bits, and as
 * many bytes.  The other end is test/integration/qemu.py; a board has its
 * network stack or an AT command set here.
 */
struct modem {
	struct mmd_io line;
	/* Its own: */
	uint8_t head[3];
	size_t head_n, left;
	bool open;
};

/* Asks for a connection to "host:port"; modem_opened says what came of it. */
void modem_open(struct modem *m, const char *server);
/* MMD_MORE until it is there; MMD_ECLOSED: it was refused. */
enum mmd_rc modem_opened(struct modem *m) MMD_MUST;
void modem_close(struct modem *m);
/* m must outlive the stream. */
struct mmd_io modem_io(struct modem *m);

#endif
