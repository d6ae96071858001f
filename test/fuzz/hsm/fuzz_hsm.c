/*
 * Whatever a keeper says, on control and on a lane: a signature that is given
 * out has the length that was said, and a public key is one that parses.
 * Input: a length, so much of control, and the rest as an answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hsm/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
make_pair(int fd[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd) != 0)
		abort();
}

static void
ask(struct mm_hsm *h)
{
	static const uint8_t hash[32];
	struct mm_buf spki = MM_BUF_INIT(4096);
	struct mm_spki key;
	uint8_t sig[72];
	size_t n = sizeof(sig);

	if (mm_hsm_sign(h, (struct mm_bytes){ hash, sizeof(hash) }, sig, &n,
		NULL) == MM_OK && n > sizeof(sig))
		abort();
	if (mm_hsm_public(h, &spki, NULL) == MM_OK &&
	    mm_spki_parse(mm_buf_view(&spki), &key, NULL) != MM_OK)
		abort();
	mm_buf_done(&spki);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm_hsm_begin b = { .refused = "", .deadline_ms = 1 };
	int control[2], lane[2], other[2];
	struct mm_hsm *h = NULL;
	char keys[96];
	size_t n;

	if (size < 1)
		return 0;
	n = data[0] < size - 1 ? data[0] : size - 1;
	make_pair(control);
	make_pair(lane);
	make_pair(other);
	snprintf(keys, sizeof(keys), "ca=%d:%d:%d:%d:%d", control[0], lane[0],
	    other[0], dup(other[0]), other[1]);
	if (mm_hsm_attach(keys, "ca", &h, NULL) != MM_OK ||
	    mm_hsm_begin(h, &b, NULL) != MM_OK)
		abort();
	if (n > 0)
		(void)!send(control[1], data + 1, n, MSG_DONTWAIT);
	for (int i = 0; i < 2 && size - 1 - n > 0; i++)
		(void)!send(lane[1], data + 1 + n, size - 1 - n,
		    MSG_DONTWAIT);
	close(lane[1]); /* nothing more is waited for */
	ask(h);
	mm_hsm_free(&h);
	close(control[1]);
	return 0;
}
