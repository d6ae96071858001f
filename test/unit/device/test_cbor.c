#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mmd_cbor.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct mmd_cbor_key keys[] = {
	{ "n", MMD_CBOR_UINT, true, 0, 0 },
	{ "b", MMD_CBOR_BYTES, false, 1, 4 },
	{ "t", MMD_CBOR_TEXT, false, 0, 0 },
	{ "m", MMD_CBOR_MAP, false, 0, 0 },
};

/* "n": 1 is 61 6e 01 */
#define N "\x61n\x01"

static const struct row {
	const char *what, *in;
	size_t n;
	enum mmd_rc rc;
	uint64_t want;  /* of "n" */
	const char *bytes; /* of "b", or NULL */
} rows[] = {
#define ROW(what, in, rc, want, bytes) \
	{ what, in, sizeof(in) - 1, rc, want, bytes }
	ROW("one pair", "\xa1" N, MMD_OK, 1, NULL),
	ROW("of indefinite length", "\xbf" N "\xff", MMD_OK, 1, NULL),
	ROW("of indefinite length, empty", "\xbf\xff", MMD_EINPUT, 0, NULL),
	ROW("of indefinite length, never ended", "\xbf" N, MMD_EINPUT, 0,
	    NULL),
	ROW("of indefinite length, ended after a key", "\xbf" N "\x61z\xff",
	    MMD_EINPUT, 0, NULL),
	ROW("count in a byte", "\xb8\x01" N, MMD_OK, 1, NULL),
	ROW("count in eight bytes", "\xbb\0\0\0\0\0\0\0\x01" N, MMD_OK, 1,
	    NULL),
	ROW("a count of 2^64 - 1", "\xbb\xff\xff\xff\xff\xff\xff\xff\xff" N,
	    MMD_EINPUT, 0, NULL),
	ROW("a pair too few", "\xa2" N, MMD_EINPUT, 0, NULL),
	ROW("a byte too many", "\xa1" N "\0", MMD_EINPUT, 0, NULL),
	ROW("no bytes at all: the key is missing", "", MMD_EINPUT, 0, NULL),
	ROW("an array", "\x81" N, MMD_EINPUT, 0, NULL),
	ROW("reserved length", "\xbc" N, MMD_EINPUT, 0, NULL),
	ROW("a key twice", "\xa2" N N, MMD_EINPUT, 0, NULL),
	ROW("an unknown key twice", "\xa3" N "\x61z\x01\x61z\x02", MMD_OK, 1,
	    NULL),
	ROW("a wider integer than needed", "\xa1\x61n\x1b\0\0\0\0\0\0\0\x05",
	    MMD_OK, 5, NULL),
	ROW("the largest integer",
	    "\xa1\x61n\x1b\xff\xff\xff\xff\xff\xff\xff\xff", MMD_OK,
	    UINT64_MAX, NULL),
	ROW("an integer cut short", "\xa1\x61n\x19\x01", MMD_EINPUT, 0, NULL),
	ROW("a negative integer", "\xa1\x61n\x20", MMD_EINPUT, 0, NULL),
	ROW("bytes", "\xa2" N "\x61" "b\x42hi", MMD_OK, 1, "hi"),
	ROW("other order", "\xa2\x61" "b\x42hi" N, MMD_OK, 1, "hi"),
	ROW("bytes with a length of two bytes",
	    "\xa2" N "\x61" "b\x59\0\x02hi", MMD_OK, 1, "hi"),
	ROW("bytes cut short", "\xa2" N "\x61" "b\x43hi", MMD_EINPUT, 0, NULL),
	ROW("more bytes than allowed", "\xa2" N "\x61" "b\x45hello",
	    MMD_EINPUT, 0, NULL),
	ROW("fewer bytes than allowed", "\xa2" N "\x61" "b\x40", MMD_EINPUT,
	    0, NULL),
	ROW("text for bytes", "\xa2" N "\x61" "b\x62hi", MMD_EINPUT, 0, NULL),
	ROW("bytes in pieces", "\xa2" N "\x61" "b\x5f\x41h\x41i\xff",
	    MMD_EINPUT, 0, NULL),
	ROW("unknown: bytes in pieces", "\xa2" N "\x61z\x5f\x41h\x41i\xff",
	    MMD_OK, 1, NULL),
	ROW("unknown: bytes with a piece of text",
	    "\xa2" N "\x61z\x5f\x61h\xff", MMD_EINPUT, 0, NULL),
	ROW("unknown: pieces within pieces",
	    "\xa2" N "\x61z\x5f\x5f\xff\xff", MMD_EINPUT, 0, NULL),
	ROW("unknown: negative, float, true, simple, tag",
	    "\xa6" N "\x61y\x38\x10\x61x\xfb\0\0\0\0\0\0\0\0\x61w\xf5"
	    "\x61v\xf8\x20\x61u\xc1\x1a\0\0\0\0", MMD_OK, 1, NULL),
	ROW("unknown: a tag of nothing", "\xa2" N "\x61z\xc1", MMD_EINPUT, 0,
	    NULL),
	ROW("unknown: depth 4", "\xa2" N "\x61z\x81\x81\x81\x01", MMD_OK, 1,
	    NULL),
	ROW("unknown: depth 5", "\xa2" N "\x61z\x81\x81\x81\x81\x01",
	    MMD_EINPUT, 0, NULL),
	ROW("unknown: depth 5 of indefinite length",
	    "\xa2" N "\x61z\x9f\x9f\x9f\x9f\xff\xff\xff\xff", MMD_EINPUT, 0,
	    NULL),
	ROW("unknown: a map of indefinite length with half a pair",
	    "\xa2" N "\x61z\xbf\x01\xff", MMD_EINPUT, 0, NULL),
	ROW("unknown: an empty array", "\xa2" N "\x61z\x80", MMD_OK, 1, NULL),
	ROW("unknown: a break", "\xa2" N "\x61z\xff", MMD_EINPUT, 0, NULL),
	ROW("a key that is a number", "\xa2\x05\x61n" N, MMD_OK, 1, NULL),
	ROW("a key that is a map", "\xa2\xa1\x01\x02\x61n" N, MMD_OK, 1,
	    NULL),
	ROW("a map", "\xa2" N "\x61m\xa1\x61n\x07", MMD_OK, 1, NULL),
	ROW("a map of indefinite length", "\xa2" N "\x61m\xbf\x61n\x07\xff",
	    MMD_OK, 1, NULL),
	ROW("a map, cut", "\xa2" N "\x61m\xa1\x61n", MMD_EINPUT, 0, NULL),
};

/* Exactly as long as the row: a sanitizer sees one byte too far. */
static enum mmd_rc
read_copy(const struct row *r, struct mmd_cbor_value *out, uint8_t **copy)
{
	*copy = malloc(r->n + 1);
	assert_non_null(*copy);
	memcpy(*copy, r->in, r->n);
	return mmd_cbor_read((struct mmd_bytes){ *copy, r->n }, keys,
	    COUNT(keys), out);
}

/* RFC 8949 3 and 5.6 */
static void
maps(void **state)
{
	struct mmd_cbor_value v[COUNT(keys)], inner[COUNT(keys)];
	uint8_t *copy;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *r = &rows[i];

		print_message("%s\n", r->what);
		assert_int_equal(read_copy(r, v, &copy), r->rc);
		if (r->rc == MMD_OK) {
			assert_true(v[0].n == r->want);
			assert_int_equal(v[1].type, r->bytes == NULL ?
			    MMD_CBOR_NONE : MMD_CBOR_BYTES);
		}
		if (r->rc == MMD_OK && r->bytes != NULL) {
			assert_int_equal(v[1].v.n, strlen(r->bytes));
			assert_memory_equal(v[1].v.p, r->bytes, v[1].v.n);
		}
		if (r->rc == MMD_OK && v[3].type == MMD_CBOR_MAP) {
			assert_int_equal(mmd_cbor_read(v[3].v, keys,
			    COUNT(keys), inner), MMD_OK);
			assert_int_equal(inner[0].n, 7);
		}
		free(copy);
	}
}

/* No prefix of a map is a map, and none is read beyond its end. */
static void
prefixes(void **state)
{
	struct mmd_cbor_value v[COUNT(keys)];
	uint8_t *copy;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t n = 0; n < rows[i].n; n++) {
			struct row cut = rows[i];

			cut.n = n;
			if (rows[i].rc == MMD_OK)
				assert_int_equal(read_copy(&cut, v, &copy),
				    MMD_EINPUT);
			else
				(void)read_copy(&cut, v, &copy);
			free(copy);
		}
}

/* RFC 8949 4.2.1: the shortest forms. */
static void
written(void **state)
{
	static const struct {
		uint64_t n;
		const char *want;
		size_t want_n;
	} ints[] = {
		{ 0, "\xa1\x61n\x00", 4 },
		{ 23, "\xa1\x61n\x17", 4 },
		{ 24, "\xa1\x61n\x18\x18", 5 },
		{ 255, "\xa1\x61n\x18\xff", 5 },
		{ 256, "\xa1\x61n\x19\x01\x00", 6 },
		{ 65536, "\xa1\x61n\x1a\x00\x01\x00\x00", 8 },
		{ UINT64_C(1) << 32,
		    "\xa1\x61n\x1b\x00\x00\x00\x01\x00\x00\x00\x00", 12 },
	};
	uint8_t buf[16];

	(void)state;
	for (size_t i = 0; i < COUNT(ints); i++) {
		struct mmd_cborw w;

		mmd_cborw_init(&w, buf, sizeof(buf));
		mmd_cborw_uint(&w, "n", ints[i].n);
		assert_false(w.bad);
		assert_int_equal(w.n, ints[i].want_n);
		assert_memory_equal(buf, ints[i].want, w.n);
	}
}

static void
write_all(struct mmd_cborw *w)
{
	size_t outer;

	mmd_cborw_bytes(w, "b", (const uint8_t *)"hi", 2);
	outer = mmd_cborw_open(w, "m");
	mmd_cborw_uint(w, "n", 7);
	mmd_cborw_close(w, outer);
	mmd_cborw_text(w, "t", "x");
	mmd_cborw_uint(w, "n", 1);
}

/* What is written is read; in less room than it takes, nothing is. */
static void
there_and_back(void **state)
{
	struct mmd_cbor_value v[COUNT(keys)];
	uint8_t buf[64];
	struct mmd_cborw w;
	size_t all;

	mmd_cborw_init(&w, buf, sizeof(buf));
	(void)state;
	write_all(&w);
	assert_false(w.bad);
	all = w.n;
	assert_int_equal(mmd_cbor_read((struct mmd_bytes){ buf, all }, keys,
	    COUNT(keys), v), MMD_OK);
	assert_int_equal(v[0].n, 1);
	assert_int_equal(v[3].v.n, 4);
	assert_memory_equal(v[2].v.p, "x", 1);
	for (size_t cap = 0; cap < all; cap++) {
		uint8_t *tight = malloc(cap + 1);

		assert_non_null(tight);
		mmd_cborw_init(&w, tight, cap);
		write_all(&w);
		assert_true(w.bad);
		assert_true(w.n <= cap);
		free(tight);
	}
}

static void
too_many_pairs(void **state)
{
	uint8_t buf[256];
	struct mmd_cborw w;

	mmd_cborw_init(&w, buf, sizeof(buf));
	(void)state;
	for (int i = 0; i < MMD_CBOR_PAIRS; i++)
		mmd_cborw_uint(&w, "n", 1);
	assert_false(w.bad);
	mmd_cborw_uint(&w, "n", 1);
	assert_true(w.bad);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps),
		cmocka_unit_test(prefixes),
		cmocka_unit_test(written),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(too_many_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
