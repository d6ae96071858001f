/*
 * What a device is told, byte by byte as it comes on the line.  Property: it
 * never fails or stops; its state never goes back; its key, once made, stays;
 * and it still answers a hello afterwards.
 *
 * The board is the simulator's, blank at each input.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "board.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct board board;

struct stream {
	const uint8_t *in;
	size_t left;
	size_t out_n;
	uint8_t out[2048];
};

static enum mmd_rc
stream_read(void *ctx, uint8_t *p, size_t n, size_t *done)
{
	struct stream *s = ctx;

	if (s->left == 0)
		return MMD_MORE;
	*done = n < s->left ? n : s->left;
	memcpy(p, s->in, *done);
	s->in += *done;
	s->left -= *done;
	return MMD_OK;
}

static enum mmd_rc
stream_write(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	struct stream *s = ctx;

	if (s->out_n + n > sizeof(s->out))
		s->out_n = 0;
	memcpy(s->out + s->out_n, p, n);
	s->out_n += n;
	*done = n;
	return MMD_OK;
}

/*
 * One key for all runs, which seeds have a certificate for: so that what comes
 * after commit is reached, and little time goes into keys.
 */
static const char pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgejEuVZ4oGA9q+DrO\n"
    "jii15fM2wlKC9yswUNkg5GWmC1ChRANCAAQ4xppyF4vh0nkSFvqaQqIvTDVwuIgZ\n"
    "rj6S6+8r+JCpS9YQJRbwyyTJaz1jBLDhYlQu1VnJuzG5JhqMTCT6o94X\n"
    "-----END PRIVATE KEY-----\n";

static enum mmd_rc
make(void *ctx, unsigned slot, enum mmd_key_kind kind)
{
	(void)ctx;
	(void)kind;
	return mmd_store_key_put(&board.store, slot,
	    (struct mmd_bytes){ (const uint8_t *)pem, sizeof(pem) - 1 });
}

/* As OpenSSL gives it, without asking it at each byte. */
static enum mmd_rc
public(void *ctx, unsigned slot, uint8_t *p, size_t cap, size_t *n)
{
	static uint8_t known[MMD_SPKI_MAX], held[sizeof(pem)];
	static size_t known_n;
	struct mmd_crypto real = mmd_openssl_crypto(&board.keys);
	enum mmd_rc rc = mmd_store_key_get(&board.store, slot, held,
	    sizeof(held), n);

	if (rc != MMD_OK)
		return rc;
	if (*n != sizeof(pem) - 1 || memcmp(held, pem, *n) != 0)
		abort();
	if (known_n == 0 && real.public(ctx, slot, known, sizeof(known),
	    &known_n) != MMD_OK)
		abort();
	if (known_n > cap)
		return MMD_ESPACE;
	memcpy(p, known, known_n);
	*n = known_n;
	return MMD_OK;
}

static void
switch_on(void)
{
	char path[] = "/tmp/mmd-fuzz-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0 || board_on(&board, path, "FUZZ-1") != MMD_OK)
		abort();
	(void)close(fd);
	(void)unlink(path);
	board.crypto.make = make;
	board.crypto.public = public;
}

static void
run(struct stream *s)
{
	const struct mmd_io io = { stream_read, stream_write, s };
	enum mmd_factory_state last = MMD_STATE_EMPTY, now;

	while (s->left > 0) {
		if (mmd_factory_run(&board.factory, &io) != MMD_MORE ||
		    mmd_factory_state(&board.factory, 0, &now) != MMD_OK ||
		    now < last)
			abort();
		last = now;
	}
}

static void
still_answers(struct stream *s)
{
	static const uint8_t hello[] = "\n\x06\x09" "AAsIAAABTU0BAKCJjQ==\n";
	const struct mmd_io io = { stream_read, stream_write, s };

	s->out_n = 0;
	s->in = hello;
	s->left = sizeof(hello) - 1;
	for (int i = 0; i < 4; i++)
		if (mmd_factory_run(&board.factory, &io) != MMD_MORE)
			abort();
	if (s->out_n < 100)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream s = { .in = data, .left = size };

	if (board.flash.map == NULL)
		switch_on();
	memset(board.flash.map, 0xff, board.flash.size);
	if (board_reset(&board) != MMD_OK)
		abort();
	run(&s);
	still_answers(&s);
	return 0;
}
