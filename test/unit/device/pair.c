#include "pair.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* xorshift64*: the same on every machine. */
uint32_t
pair_random(struct pair *p)
{
	p->random ^= p->random >> 12;
	p->random ^= p->random << 25;
	p->random ^= p->random >> 27;
	return (uint32_t)(p->random * UINT64_C(2685821657736338717) >> 32);
}

static void
carry(struct pair *p, struct pair_wire *w, const uint8_t *v, size_t n)
{
	assert(n <= PAIR_LINE);
	if (w->from == w->to)
		w->from = w->to = 0;
	if (n > PAIR_LINE - w->to) {
		memmove(w->p, w->p + w->from, w->to - w->from);
		w->to -= w->from;
		w->from = 0;
	}
	assert(n <= PAIR_LINE - w->to);
	for (size_t i = 0; i < n; i++, w->carried++)
		w->p[w->to++] = pair_random(p) % 1000000 < p->noise_ppm ?
		    (uint8_t)pair_random(p) : v[i];
}

static enum mmd_rc
take(struct pair_wire *w, uint8_t *v, size_t n, size_t *done)
{
	size_t have = w->to - w->from;

	if (have == 0)
		return MMD_MORE;
	*done = have < n ? have : n;
	memcpy(v, w->p + w->from, *done);
	w->from += *done;
	w->taken += *done;
	return MMD_OK;
}

static enum mmd_rc
host_read(void *ctx, uint8_t *v, size_t n, size_t *done)
{
	struct pair *p = ctx;

	return take(&p->up, v, n, done);
}

static enum mmd_rc
host_write(void *ctx, const uint8_t *v, size_t n, size_t *done)
{
	struct pair *p = ctx;

	carry(p, &p->down, v, n);
	*done = n;
	return MMD_OK;
}

static enum mmd_rc
device_read(void *ctx, uint8_t *v, size_t n, size_t *done)
{
	struct pair *p = ctx;

	return take(&p->down, v, n, done);
}

static enum mmd_rc
device_write(void *ctx, const uint8_t *v, size_t n, size_t *done)
{
	struct pair *p = ctx;

	carry(p, &p->up, v, n);
	*done = n;
	return MMD_OK;
}

static int64_t
mono_ms(void *ctx)
{
	const struct pair *p = ctx;

	return p->now_ms;
}

static void
clear(struct pair_wire *w)
{
	w->from = w->to = 0;
}

void
pair_init(struct pair *p)
{
	int fd;

	memset(p, 0, sizeof(*p));
	(void)strcpy(p->path, "/tmp/mmd-flash-XXXXXX");
	fd = mkstemp(p->path);
	assert(fd >= 0);
	(void)close(fd);
	assert(board_on(&p->board, p->path, "SIM-0001") == MMD_OK);
	/* What is mapped stays until it is closed. */
	(void)unlink(p->path);
	p->host = (struct mmd_io){ host_read, host_write, p };
	p->device = (struct mmd_io){ device_read, device_write, p };
	p->clock = (struct mmd_clock){ .mono_ms = mono_ms, .ctx = p };
	p->conf = (struct mmd_link_conf){ .io = &p->host, .clock = &p->clock,
		.buf = p->buf, .cap = sizeof(p->buf) };
	p->random = 1;
	p->off_ms = 20;
}

void
pair_done(struct pair *p)
{
	board_off(&p->board);
}

void
pair_blank(struct pair *p)
{
	memset(p->board.flash.map, 0xff, p->board.flash.size);
	p->board.flash.changed = 0;
	p->cuts = 0;
	clear(&p->down);
	clear(&p->up);
	p->down.carried = p->up.carried = 0;
	assert(board_reset(&p->board) == MMD_OK);
}

static void
chatter(struct pair *p)
{
	static const char *const said[] = { "[00:00:01.234] temp: 21 C\r\n",
		"*** Booting ***\n", "\x06\x09", "\tok 4\x14 AAAA\n" };
	const char *s = said[pair_random(p) % 4];

	carry(p, &p->up, (const uint8_t *)s, strlen(s));
}

/* The board is off until it is time, and what it was sent is lost. */
static void
be_off(struct pair *p)
{
	if (p->power_on_ms == 0) {
		p->cuts++;
		p->power_on_ms = (uint64_t)(p->now_ms + p->off_ms);
	}
	clear(&p->down);
	if ((uint64_t)p->now_ms < p->power_on_ms)
		return;
	p->power_on_ms = 0;
	assert(board_reset(&p->board) == MMD_OK);
	if (p->lasts > 0)
		p->board.flash.power = 1 + pair_random(p) % p->lasts;
}

/* How much has moved on the line so far. */
static uint64_t
moved(const struct pair *p)
{
	return p->down.carried + p->down.taken + p->up.carried + p->up.taken;
}

void
pair_step(struct pair *p)
{
	if (p->board.flash.off)
		be_off(p);
	else if (p->deaf)
		clear(&p->down);
	else {
		if (p->chatters && pair_random(p) % 3 == 0)
			chatter(p);
		assert(mmd_factory_run(&p->board.factory, &p->device) ==
		    MMD_MORE);
		/* The answer to what a dying board did never left it. */
		if (p->board.flash.off)
			clear(&p->up);
	}
	if (p->moved == moved(p))
		p->now_ms++;
	p->moved = moved(p);
}

void
pair_say(struct pair *p, const void *v, size_t n)
{
	carry(p, &p->up, v, n);
}

enum mmd_rc
pair_run(struct pair *p, struct mmd_link *l, int64_t most_ms)
{
	int64_t end = p->now_ms + most_ms;
	enum mmd_rc rc;

	while ((rc = mmd_link_run(l)) == MMD_MORE && p->now_ms < end)
		pair_step(p);
	return rc;
}
