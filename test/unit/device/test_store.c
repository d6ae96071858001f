#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "port/posix_flash.h"
#include "vectors.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HALF     2048
#define KEY      1024

struct chip {
	struct mmd_posix_flash flash;
	struct mmd_flash port;
	struct mmd_store store;
};

static const struct {
	uint32_t block, unit, step;
} chips[] = {
	{ 512, 1, 16 },
	{ 512, 4, 16 },
	{ 1024, 16, 16 },
	{ 1024, 32, 32 },
	{ 256, 128, 128 },
};

static void
chip_open(struct chip *c, uint32_t block, uint32_t unit)
{
	char path[] = "/tmp/mmd-store-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(mmd_posix_flash_open(&c->flash, path,
	    mmd_posix_flash_size(HALF, KEY), block, unit), MMD_OK);
	(void)unlink(path);
	c->port = mmd_posix_flash_port(&c->flash);
	c->store = mmd_posix_flash_layout(&c->port, HALF, KEY);
}

static void
power_on(struct chip *c)
{
	c->flash.off = false;
	c->flash.power = -1;
}

/* A bundle of n bytes that all depend on seed. */
static void
fill(uint8_t *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 31 + seed * 7 + (i >> 8));
}

static struct mmd_bundle
describe(size_t n, unsigned seed)
{
	struct mmd_bundle b = { .n = { (uint32_t)n, 0, 0 }, .floor_s = seed };

	memset(b.cert, (int)seed, sizeof(b.cert));
	memset(b.all, (int)seed + 1, sizeof(b.all));
	return b;
}

/* As a station does it, once: pieces, then commit. */
static enum mmd_rc
write_bundle(struct chip *c, size_t n, unsigned seed)
{
	uint8_t p[HALF];
	struct mmd_bundle b = describe(n, seed);
	uint32_t next = 0;
	enum mmd_rc rc = MMD_OK;

	fill(p, n, seed);
	for (int i = 0; rc == MMD_OK && next < n && i < 100; i++) {
		size_t k = n - next < 256 ? n - next : 256;

		rc = mmd_store_put(&c->store, 0, (uint32_t)n, next,
		    (struct mmd_bytes){ p + next, k }, &next);
	}
	return rc != MMD_OK ? rc : mmd_store_commit(&c->store, 0, &b);
}

/* And until it holds, as a station does after a power cut. */
static void
write_surely(struct chip *c, size_t n, unsigned seed)
{
	enum mmd_rc rc = MMD_ECHECKSUM;

	for (int i = 0; rc == MMD_ECHECKSUM && i < 3; i++)
		rc = write_bundle(c, n, seed);
	assert_int_equal(rc, MMD_OK);
}

/* Which bundle is in use: its seed, whole; 0: none. */
static unsigned
in_use(struct chip *c, bool *locked)
{
	struct mmd_bundle b;
	uint8_t p[HALF], want[HALF];
	enum mmd_rc rc = mmd_store_bundle(&c->store, 0, &b);

	if (rc == MMD_NONE)
		return 0;
	assert_int_equal(rc, MMD_OK);
	assert_int_equal(mmd_store_read(&c->store, 0, &b, MMD_PART_CERT, 0, p,
	    b.n[0]), MMD_OK);
	fill(want, b.n[0], (unsigned)b.floor_s);
	assert_memory_equal(p, want, b.n[0]);
	if (locked != NULL)
		assert_int_equal(mmd_store_locked(&c->store, 0, locked),
		    MMD_OK);
	return (unsigned)b.floor_s;
}

static void
generations(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(chips); i++) {
		struct chip c;
		struct mmd_bundle b;

		chip_open(&c, chips[i].block, chips[i].unit);
		assert_int_equal(mmd_store_step(&c.store), chips[i].step);
		assert_int_equal(mmd_store_room(&c.store, 0), HALF - 128);
		assert_int_equal(in_use(&c, NULL), 0);
		for (unsigned seed = 1; seed < 9; seed++) {
			write_surely(&c, 300 + 97 * seed, seed);
			assert_int_equal(in_use(&c, NULL), seed);
			assert_int_equal(mmd_store_bundle(&c.store, 0, &b),
			    MMD_OK);
			assert_int_equal(b.generation, seed);
		}
		mmd_posix_flash_close(&c.flash);
	}
}

/* A certificate and a configuration; version 0: none. */
static enum mmd_rc
write_config(struct chip *c, uint32_t version, const char *document)
{
	uint8_t p[64] = "cert";
	struct mmd_bundle b = { .n = { 4 } };
	uint32_t next = 0, n = 4;
	enum mmd_rc rc = MMD_OK;

	if (version > 0) {
		const uint8_t head[] = { (uint8_t)(version >> 24),
			(uint8_t)(version >> 16), (uint8_t)(version >> 8),
			(uint8_t)version };

		memcpy(p + 4, head, sizeof(head));
		strcpy((char *)p + 8, document);
		b.n[MMD_PART_CONFIG] = (uint32_t)(4 + strlen(document));
	}
	n += b.n[MMD_PART_CONFIG];
	memset(p + n, 0, sizeof(p) - n);
	for (int i = 0; rc == MMD_OK && next < n && i < 100; i++)
		rc = mmd_store_put(&c->store, 0, n, next,
		    (struct mmd_bytes){ p + next, n - next }, &next);
	return rc != MMD_OK ? rc : mmd_store_commit(&c->store, 0, &b);
}

/* A configuration's version never goes down, nor does it vanish. */
static void
versions_rise(void **state)
{
	static const struct {
		uint32_t version;
		enum mmd_rc want;
		uint32_t in_use;
	} rows[] = {
		{ 0, MMD_OK, 0 }, { 7, MMD_OK, 7 }, { 6, MMD_EOLDER, 7 },
		{ 7, MMD_OK, 7 }, { 0, MMD_EOLDER, 7 }, { 8, MMD_OK, 8 },
		{ 7, MMD_EOLDER, 8 }, { UINT32_MAX, MMD_OK, UINT32_MAX },
		{ 8, MMD_EOLDER, UINT32_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(chips); i++) {
		struct chip c;
		struct mmd_bundle b;

		chip_open(&c, chips[i].block, chips[i].unit);
		for (size_t k = 0; k < COUNT(rows); k++) {
			assert_int_equal(write_config(&c, rows[k].version,
			    "{\"a\":1}"), rows[k].want);
			assert_int_equal(mmd_store_bundle(&c.store, 0, &b),
			    MMD_OK);
			assert_int_equal(b.config, rows[k].in_use);
		}
		assert_int_equal(mmd_store_lock(&c.store, 0), MMD_OK);
		assert_int_equal(mmd_store_bundle(&c.store, 0, &b), MMD_OK);
		assert_int_equal(b.config, UINT32_MAX);
		mmd_posix_flash_close(&c.flash);
	}
}

/* What is there is left alone: not a byte is programmed a second time. */
static void
put_again(void **state)
{
	struct chip c;
	uint8_t p[1000];
	uint32_t next = 0;
	uint64_t changed;

	(void)state;
	chip_open(&c, 512, 4);
	fill(p, sizeof(p), 1);
	for (int round = 0; round < 2; round++) {
		changed = c.flash.changed;
		for (uint32_t off = 0; off < 1000; off = next)
			assert_int_equal(mmd_store_put(&c.store, 0, 1000, off,
			    (struct mmd_bytes){ p + off,
			    off == 800 ? 200 : 400 }, &next), MMD_OK);
		assert_int_equal(next, 1000);
		if (round == 1)
			assert_int_equal(c.flash.changed, changed);
	}
	mmd_posix_flash_close(&c.flash);
}

static void
put_rows(void **state)
{
	static const struct {
		const char *what;
		uint32_t all, off;
		size_t n;
		enum mmd_rc rc;
		uint32_t next;
	} rows[] = {
		{ "a first piece", 1000, 0, 256, MMD_OK, 256 },
		{ "a later piece before an earlier", 1000, 512, 256, MMD_OK,
		    768 },
		{ "the last piece, not on a step", 1000, 768, 232, MMD_OK,
		    1000 },
		{ "the same again", 1000, 768, 232, MMD_OK, 1000 },
		{ "off a step", 1000, 8, 16, MMD_EINPUT, 0 },
		{ "a piece in between, not on a step", 1000, 0, 20, MMD_EINPUT,
		    0 },
		{ "beyond the end", 1000, 992, 16, MMD_EINPUT, 0 },
		{ "far beyond the end", 1000, 0xfffffff0, 32, MMD_EINPUT, 0 },
		{ "more than there is room", HALF - 127, 0, 16, MMD_ESPACE,
		    0 },
		{ "all the room there is", HALF - 128, HALF - 144, 16, MMD_OK,
		    HALF - 128 },
	};
	struct chip c;
	uint8_t p[2048];

	(void)state;
	chip_open(&c, 512, 8);
	fill(p, sizeof(p), 1);
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint32_t next = 0;

		print_message("%s\n", rows[i].what);
		assert_int_equal(mmd_store_put(&c.store, 0, rows[i].all,
		    rows[i].off, (struct mmd_bytes){ p +
		    rows[i].off % sizeof(p), rows[i].n }, &next), rows[i].rc);
		assert_int_equal(next, rows[i].next);
	}
	mmd_posix_flash_close(&c.flash);
}

/*
 * Power goes at every byte (of STRIDE one, and the last) while bundle 3 is put
 * for 2: afterwards it is 2 or 3, whole, and writing 3 again succeeds.
 */
static void
cut_in_put(size_t chip, bool half)
{
	struct chip c;
	uint8_t *before, *after;
	uint64_t all;

	chip_open(&c, chips[chip].block, chips[chip].unit);
	write_surely(&c, 700, 1);
	write_surely(&c, 900, 2);
	before = malloc(c.flash.size);
	after = malloc(c.flash.size);
	assert_non_null(before);
	assert_non_null(after);
	memcpy(before, c.flash.map, c.flash.size);
	all = c.flash.changed;
	write_surely(&c, 800, 3);
	memcpy(after, c.flash.map, c.flash.size);
	all = c.flash.changed - all;
	for (uint64_t at = (all - 1) % STRIDE; at < all; at += STRIDE) {
		unsigned seed;

		memcpy(c.flash.map, before, c.flash.size);
		c.flash.power = (int64_t)at;
		c.flash.half = half;
		assert_int_not_equal(write_bundle(&c, 800, 3), MMD_OK);
		power_on(&c);
		seed = in_use(&c, NULL);
		assert_true(seed == 2 || (seed == 3 && at + 1 >= all));
		write_surely(&c, 800, 3);
		assert_int_equal(in_use(&c, NULL), 3);
	}
	free(before);
	free(after);
	mmd_posix_flash_close(&c.flash);
}

static void
cuts_in_put(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(chips); i++) {
		cut_in_put(i, false);
		cut_in_put(i, true);
	}
}

/* And while it is locked: not locked, or locked; never without a bundle. */
static void
cut_in_lock(size_t chip, bool half)
{
	struct chip c;
	uint8_t *before;
	uint64_t all;
	bool locked, ever = false;

	chip_open(&c, chips[chip].block, chips[chip].unit);
	write_surely(&c, 900, 1);
	write_surely(&c, 700, 2);
	before = malloc(c.flash.size);
	assert_non_null(before);
	memcpy(before, c.flash.map, c.flash.size);
	all = c.flash.changed;
	assert_int_equal(mmd_store_lock(&c.store, 0), MMD_OK);
	all = c.flash.changed - all;
	for (uint64_t at = (all - 1) % STRIDE; at < all; at += STRIDE) {
		memcpy(c.flash.map, before, c.flash.size);
		c.flash.power = (int64_t)at;
		c.flash.half = half;
		assert_int_not_equal(mmd_store_lock(&c.store, 0), MMD_OK);
		power_on(&c);
		assert_int_equal(in_use(&c, &locked), 2);
		assert_true(locked || !ever);
		ever |= locked;
		assert_int_equal(mmd_store_lock(&c.store, 0), MMD_OK);
		assert_int_equal(in_use(&c, &locked), 2);
		assert_true(locked);
	}
	assert_true(ever);
	all = c.flash.changed;
	assert_int_equal(mmd_store_lock(&c.store, 0), MMD_OK);
	assert_int_equal(c.flash.changed, all);
	free(before);
	mmd_posix_flash_close(&c.flash);
}

static void
cuts_in_lock(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(chips); i++) {
		cut_in_lock(i, false);
		cut_in_lock(i, true);
	}
}

/* A key is whole or not there. */
static void
cuts_in_key(void **state)
{
	struct chip c;
	uint8_t key[241], got[512];
	size_t n;

	(void)state;
	chip_open(&c, 512, 8);
	fill(key, sizeof(key), 5);
	assert_int_equal(mmd_store_key_get(&c.store, 0, got, sizeof(got), &n),
	    MMD_NONE);
	for (int64_t at = 0; at < 1400; at++) {
		enum mmd_rc rc;

		power_on(&c);
		memset(c.flash.map, at % 3 == 0 ? 0x55 : 0xff, KEY);
		c.flash.power = at;
		c.flash.half = at % 2 == 0;
		rc = mmd_store_key_put(&c.store, 0,
		    (struct mmd_bytes){ key, sizeof(key) });
		power_on(&c);
		if (rc == MMD_OK) {
			assert_int_equal(mmd_store_key_get(&c.store, 0, got,
			    sizeof(got), &n), MMD_OK);
			assert_int_equal(n, sizeof(key));
			assert_memory_equal(got, key, n);
			continue;
		}
		rc = mmd_store_key_get(&c.store, 0, got, sizeof(got), &n);
		if (rc == MMD_OK)
			assert_memory_equal(got, key, n);
		else
			assert_int_equal(rc, MMD_NONE);
		assert_int_equal(mmd_store_key_put(&c.store, 0,
		    (struct mmd_bytes){ key, sizeof(key) }), MMD_OK);
	}
	assert_int_equal(mmd_store_key_get(&c.store, 0, got, 240, &n),
	    MMD_ESPACE);
	assert_int_equal(mmd_store_key_put(&c.store, 0,
	    (struct mmd_bytes){ got, KEY - 127 }), MMD_ESPACE);
	/* The other identity's is its own. */
	assert_int_equal(mmd_store_key_get(&c.store, 1, got, sizeof(got), &n),
	    MMD_NONE);
	mmd_posix_flash_close(&c.flash);
}

/*
 * Heads that another implementation wrote: of this version, of one to come
 * that this one may read, and of one that it may not.
 */
static void
heads(void **state)
{
	json_t *all = json_load_file(VECTORS "/link.json", 0, NULL), *row;
	size_t i;

	(void)state;
	assert_true(json_array_size(json_object_get(all, "heads")) >= 5);
	json_array_foreach(json_object_get(all, "heads"), i, row)
	{
		const char *what = json_string_value(json_object_get(row,
		    "what"));
		int rc = (int)json_integer_value(json_object_get(row, "rc"));
		struct mmd_bundle b = { 0 };
		struct chip c;
		uint32_t next;

		print_message("%s\n", what);
		chip_open(&c, 512, 8);
		assert_int_equal(vector_unhex(row, "head", c.flash.map +
		    c.store.half[0][0].at, 128), 128);
		assert_int_equal(mmd_store_bundle(&c.store, 0, &b), rc);
		if (rc == MMD_OK) {
			assert_int_equal(b.generation, 0x01020304);
			assert_int_equal(b.n[0], 500);
			assert_int_equal(b.n[1], 400);
			assert_int_equal(b.n[2], 36);
			assert_int_equal(b.floor_s, 1780000000);
			assert_int_equal(b.locked, json_is_true(
			    json_object_get(row, "locked")));
			assert_int_equal(b.cert[0], 0xc0);
			assert_int_equal(b.all[31], 0xff);
			assert_int_equal(b.key[27], 0x3b);
		}
		/* One that is too new is not written beside. */
		if (rc == MMD_ESTATE)
			assert_int_equal(mmd_store_put(&c.store, 0, 16, 0,
			    (struct mmd_bytes){ (const uint8_t *)
			    "0123456789abcdef", 16 }, &next), MMD_ESTATE);
		mmd_posix_flash_close(&c.flash);
	}
	json_decref(all);
}

/* What is written is the vector, byte by byte. */
static void
head_written(void **state)
{
	json_t *all = json_load_file(VECTORS "/link.json", 0, NULL);
	json_t *row = json_array_get(json_object_get(all, "heads"), 0);
	struct mmd_bundle b = { .n = { 500, 400, 36 }, .floor_s = 1780000000 };
	uint8_t want[128];
	struct chip c;

	(void)state;
	chip_open(&c, 512, 8);
	for (unsigned i = 0; i < 32; i++) {
		b.cert[i] = (uint8_t)(0xc0 + i);
		b.all[i] = (uint8_t)(0xe0 + i);
		if (i < MMD_STORE_KEY)
			b.key[i] = (uint8_t)(0x20 + i);
	}
	/* One generation before, in the other half. */
	assert_int_equal(vector_unhex(json_object_get(all, "before"), "head",
	    c.flash.map + c.store.half[0][1].at, 128), 128);
	assert_int_equal(mmd_store_commit(&c.store, 0, &b), MMD_OK);
	assert_int_equal(vector_unhex(row, "head", want, 128), 128);
	assert_memory_equal(c.flash.map + c.store.half[0][0].at, want, 128);
	mmd_posix_flash_close(&c.flash);
	json_decref(all);
}

/* The file: kept over a close, refused in another size. */
static void
file(void **state)
{
	char path[] = "/tmp/mmd-store-XXXXXX";
	struct mmd_posix_flash f;
	struct mmd_flash port;
	uint8_t got[8];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(mmd_posix_flash_open(&f, path, 1024, 512, 8), MMD_OK);
	port = mmd_posix_flash_port(&f);
	assert_int_equal(port.program(port.ctx, 8, (const uint8_t *)"12345678",
	    8), MMD_OK);
	/* Not blank, not a unit, not on one, not in it. */
	assert_int_equal(port.program(port.ctx, 8, got, 8), MMD_EPORT);
	assert_int_equal(port.program(port.ctx, 16, got, 7), MMD_EPORT);
	assert_int_equal(port.program(port.ctx, 17, got, 8), MMD_EPORT);
	assert_int_equal(port.program(port.ctx, 1024, got, 8), MMD_EPORT);
	assert_int_equal(port.read(port.ctx, 1020, got, 8), MMD_EPORT);
	assert_int_equal(port.erase(port.ctx, 8), MMD_EPORT);
	mmd_posix_flash_close(&f);
	assert_int_equal(mmd_posix_flash_open(&f, path, 2048, 512, 8),
	    MMD_ESTATE);
	assert_int_equal(mmd_posix_flash_open(&f, path, 1024, 512, 8), MMD_OK);
	port = mmd_posix_flash_port(&f);
	assert_int_equal(port.read(port.ctx, 8, got, 8), MMD_OK);
	assert_memory_equal(got, "12345678", 8);
	mmd_posix_flash_close(&f);
	(void)unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generations),
		cmocka_unit_test(versions_rise),
		cmocka_unit_test(put_again),
		cmocka_unit_test(put_rows),
		cmocka_unit_test(cuts_in_put),
		cmocka_unit_test(cuts_in_lock),
		cmocka_unit_test(cuts_in_key),
		cmocka_unit_test(heads),
		cmocka_unit_test(head_written),
		cmocka_unit_test(file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
