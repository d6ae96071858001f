/*
 * What a station hears of a device.  The first byte says which message is
 * under way, the rest comes on the line.  Property: it ends, in the link's own
 * time, with a result that it has words for; what it took of an answer lies
 * within its buffer and its bounds.
 *
 * A device can only answer the number that a request has, so the input's
 * answers are given the right one: else nothing behind it would be looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "mmd_link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct peer {
	struct mmd_link *l;
	uint8_t line[8192];
	size_t n, at;
	int64_t now_ms;
};

static enum mmd_rc
peer_read(void *ctx, uint8_t *p, size_t n, size_t *done)
{
	struct peer *s = ctx;

	if (s->at == s->n)
		return MMD_MORE;
	*done = n < s->n - s->at ? n : s->n - s->at;
	memcpy(p, s->line + s->at, *done);
	s->at += *done;
	return MMD_OK;
}

static enum mmd_rc
peer_write(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	(void)ctx;
	(void)p;
	*done = n;
	return MMD_OK;
}

static int64_t
peer_ms(void *ctx)
{
	struct peer *s = ctx;

	return s->now_ms += 40;
}

/* Two bytes of length, then a body: a packet that answers what is asked. */
static void
answer(struct peer *s, const uint8_t *body, size_t n)
{
	static uint8_t packet[1400];
	enum mmd_factory_message m = s->l->phase == 2 ? MMD_HELLO
	    : s->l->ask.message;
	bool writes = m == MMD_MAKE_KEY || m == MMD_PUT || m == MMD_COMMIT ||
	    m == MMD_LOCK;
	struct mmd_smp_head h = { writes ? 3 : 1, 1, MMD_FACTORY_GROUP,
		s->l->seq, (uint8_t)m };
	struct mmd_smp_tx tx;

	memcpy(packet + MMD_SMP_HEAD, body, n);
	mmd_smp_head_put(&h, n, packet);
	if (mmd_smp_tx_init(&tx, (struct mmd_bytes){ packet,
	    MMD_SMP_HEAD + n }) != MMD_OK)
		abort();
	s->n = mmd_smp_tx_peek(&tx, s->line, sizeof(s->line));
	s->at = 0;
}

static uint8_t got[2048];

static void
begin(struct mmd_link *l, unsigned which)
{
	static const uint8_t some[1000];
	const struct mmd_bytes parts[MMD_PARTS] = { { some, 600 },
		{ some, 300 }, { some, 100 } };

	switch (which % MMD_MESSAGES) {
	case MMD_MAKE_KEY:
		mmd_link_key(l, 0, MMD_KEY_P256, some);
		return;
	case MMD_CSR:
		mmd_link_csr(l, 1);
		return;
	case MMD_PUT:
		if (mmd_link_put(l, 0, parts) == MMD_OK)
			return;
		break;
	case MMD_COMMIT:
		mmd_link_commit(l, 0, parts, some,
		    (which & 64) != 0 ? some : NULL);
		return;
	case MMD_PROVE:
		mmd_link_prove(l, 0, some);
		return;
	case MMD_LOCK:
		mmd_link_lock(l, some);
		return;
	case MMD_GET:
		mmd_link_get(l, 0, got, sizeof(got));
		return;
	default:
		break;
	}
	mmd_link_hello(l, 0, 1780000000);
}

static void
check(const struct mmd_link *l, enum mmd_rc rc)
{
	const uint8_t *buf = l->conf->buf;

	if (rc != MMD_OK && rc != MMD_EREFUSED && rc != MMD_ESILENT &&
	    rc != MMD_EINPUT && rc != MMD_EPATH && rc != MMD_EPORT &&
	    (rc != MMD_ESPACE || l->ask.message != MMD_GET))
		abort();
	if (l->value.p == got && (l->value.n > sizeof(got) ||
	    l->cert_n > l->value.n))
		abort();
	if (l->value.n > 0 && l->value.p != got && (l->value.p < buf ||
	    l->value.p + l->value.n > buf + l->conf->cap))
		abort();
	if (l->hello.hw_n > MMD_HARDWARE_MAX ||
	    l->hello.fw[MMD_FIRMWARE_MAX] != '\0')
		abort();
}

/* Chunks of the input: 0 and a length, raw; else an answer of that length. */
static void
feed(struct peer *s, const uint8_t **data, size_t *size)
{
	size_t n;

	if (*size < 3)
		return;
	n = (size_t)((*data)[1] << 8 | (*data)[2]) % 1200;
	if (n > *size - 3)
		n = *size - 3;
	if ((*data)[0] == 0) {
		memcpy(s->line, *data + 3, n);
		s->n = n;
		s->at = 0;
	} else
		answer(s, *data + 3, n);
	*data += 3 + n;
	*size -= 3 + n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[MMD_LINK_BUF];
	static struct mmd_link l;
	static struct peer s;
	const struct mmd_io io = { peer_read, peer_write, &s };
	const struct mmd_clock clock = { .mono_ms = peer_ms, .ctx = &s };
	const struct mmd_link_conf conf = { .io = &io, .clock = &clock,
		.buf = buf, .cap = sizeof(buf) };

	s.l = &l;
	s.n = s.at = 0;
	s.now_ms = 0;
	mmd_link_init(&l, &conf);
	for (int messages = 0; size > 0 && messages < 16; messages++) {
		enum mmd_rc rc = MMD_MORE;
		unsigned which = *data++;

		size--;
		begin(&l, which);
		for (int i = 0; rc == MMD_MORE && i < 200000; i++) {
			if (s.at == s.n && size >= 3)
				feed(&s, &data, &size);
			rc = mmd_link_run(&l);
		}
		check(&l, rc);
	}
	return 0;
}
