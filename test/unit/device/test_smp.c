#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mmd_smp.h"
#include "vectors.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct mmd_bytes
text(const char *s)
{
	return (struct mmd_bytes){ (const uint8_t *)s, strlen(s) };
}

static size_t
on_line(struct mmd_bytes packet, uint8_t *out, size_t cap, size_t step)
{
	struct mmd_smp_tx tx;
	size_t n = 0, k;

	assert_int_equal(mmd_smp_tx_init(&tx, packet), MMD_OK);
	assert_true(tx.n <= cap);
	while ((k = mmd_smp_tx_peek(&tx, out + n, step)) > 0) {
		mmd_smp_tx_sent(&tx, k);
		n += k;
	}
	return n;
}

/* The frames that every implementation checks itself against. */
static void
vectors(void **state)
{
	json_t *all = json_load_file(VECTORS "/link.json", 0, NULL), *row;
	uint8_t packet[600], line[1024], out[1024];
	struct mmd_smp_rx rx;
	size_t i;

	(void)state;
	assert_true(json_array_size(json_object_get(all, "frames")) > 8);
	json_array_foreach(json_object_get(all, "frames"), i, row)
	{
		size_t n = vector_unhex(row, "packet", packet, sizeof(packet));
		size_t m = vector_unhex(row, "line", line, sizeof(line));
		struct mmd_bytes in = { line, m }, got;

		for (size_t step = 1; step < 200; step += 33) {
			assert_int_equal(on_line((struct mmd_bytes){ packet,
			    n }, out, sizeof(out) - step, step), m);
			assert_memory_equal(out, line, m);
		}
		mmd_smp_rx_init(&rx, out, n + MMD_SMP_FRAMING);
		assert_int_equal(mmd_smp_rx_take(&rx, &in, &got), MMD_OK);
		assert_int_equal(in.n, 0);
		assert_int_equal(got.n, n);
		assert_memory_equal(got.p, packet, n);
		/* A byte less room: skipped, counted, and nothing written. */
		in = (struct mmd_bytes){ line, m };
		mmd_smp_rx_init(&rx, out, n + MMD_SMP_FRAMING - 1);
		assert_int_equal(mmd_smp_rx_take(&rx, &in, &got), MMD_MORE);
		assert_int_equal(rx.bad, 1);
	}
	json_decref(all);
}

/* The check value that catalogues of CRCs give for "123456789". */
static void
crc(void **state)
{
	(void)state;
	assert_int_equal(mmd_crc16(0, text("123456789")), 0x31c3);
	assert_int_equal(mmd_crc16(mmd_crc16(0, text("1234")), text("56789")),
	    0x31c3);
	assert_int_equal(mmd_crc16(0, text("")), 0);
}

/* Two packets: "AAAAAAAA" and "BBBBBBBB", as base64 with lengths and CRCs. */
#define A_TEXT "AApBQUFBQUFBQRSq"
#define B_TEXT "AApCQkJCQkJCQoPT"
#define A      "\x06\x09" A_TEXT "\n"
#define B      "\x06\x09" B_TEXT "\n"

/* What stands on a line, and which packets are found there. */
static const struct {
	const char *what, *in, *want;
	unsigned bad;
} line_rows[] = {
	{ "nothing", "", "", 0 },
	{ "one", A, "A", 0 },
	{ "two", A B, "AB", 0 },
	{ "log text around", "boot\r\n" A "temp\t21\n" B "ok\n", "AB",
	    0 },
	{ "behind text on its line", "temp 21" A, "A", 0 },
	{ "console that sends CR LF", "\x06\x09" A_TEXT "\r\n", "A",
	    0 },
	{ "in lines", "\x06\x09" "AApB\n\x04\x14QUFB\n\x04\x14QUFBQRSq"
	    "\n", "A", 0 },
	{ "log text between its lines",
	    "\x06\x09" "AApB\nlog\n\x04\x14QUFBQUFBQRSq\n", "A", 0 },
	{ "lines padded one by one",
	    "\x06\x09" "AAo=\n\x04\x14QQ==\n\x04\x14QUFBQUFBQRSq\n",
	    "A", 0 },
	{ "split within a group",
	    "\x06\x09" "AApBQ\n\x04\x14UFBQUFBQRSq\n", "A", 0 },
	{ "its end lost, then another", "\x06\x09" A_TEXT B, "B", 1 },
	{ "its end lost, more came", "\x06\x09" "AApBQ" B, "B", 1 },
	{ "continued without a start", "\x04\x14" A_TEXT "\n" B, "B",
	    0 },
	{ "a second start instead of more",
	    "\x06\x09" "AApB\n" B, "B", 1 },
	{ "a letter changed", "\x06\x09" "AApBQUFCQUFBQRSq\n" B, "B",
	    1 },
	{ "a letter missing", "\x06\x09" "AApBQUFQUFBQRSq\n" B, "B",
	    1 },
	{ "a letter too many", "\x06\x09" "AApBQUFBQUFBQRSqA\n" B,
	    "B", 1 },
	{ "no base64", "\x06\x09" "AApB#UFBQUFBQRSq\n" B, "B", 1 },
	{ "half a mark within", "\x06\x09" "AApB\x06UFBQUFBQRSq\n" B,
	    "B", 1 },
	{ "half a mark before", "\x06" A, "A", 0 },
	{ "length says less", "\x06\x09" "AAlBQUFBQUFBQRSq\n" B, "B",
	    1 },
	{ "length says more, B comes instead",
	    "\x06\x09" "AAtBQUFBQUFBQRSq\n" B, "B", 1 },
	{ "length of nothing", "\x06\x09" "AAAA\n" B, "B", 1 },
	{ "length of a CRC alone", "\x06\x09" "AAIAAA==\n" B, "B", 1 },
	{ "longer than there is room",
	    "\x06\x09" "EABBQUFBQUFBQRSq\n" B, "B", 1 },
	{ "an empty line within", "\x06\x09\n\x04\x14" A_TEXT "\n",
	    "A", 0 },
};

static void
found_on_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(line_rows); i++)
		for (size_t step = 1; step < 40; step += 19) {
			struct mmd_bytes left = text(line_rows[i].in), got;
			struct mmd_smp_rx rx;
			uint8_t buf[64];
			char found[8] = "";
			size_t n = 0;

			print_message("%s by %zu\n", line_rows[i].what, step);
			mmd_smp_rx_init(&rx, buf, sizeof(buf));
			while (left.n > 0) {
				struct mmd_bytes in = { left.p,
					left.n < step ? left.n : step };

				left.p += in.n;
				left.n -= in.n;
				while (mmd_smp_rx_take(&rx, &in, &got) ==
				    MMD_OK)
					found[n++] = (char)got.p[0];
			}
			assert_string_equal(found, line_rows[i].want);
			assert_int_equal(rx.bad, line_rows[i].bad);
			assert_false(mmd_smp_rx_inside(&rx));
		}
}

/*
 * Each character of a line set to each other value: never another packet
 * than the one that was sent.  (CRC-16 finds every single burst of 16 bits.)
 */
static void
one_wrong_character(void **state)
{
	uint8_t packet[100], line[200], buf[128];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(packet); i++)
		packet[i] = (uint8_t)(i * 7);
	n = on_line((struct mmd_bytes){ packet, sizeof(packet) }, line,
	    sizeof(line), 200);
	for (size_t i = 0; i < n; i++)
		for (unsigned c = 0; c < 256; c++) {
			struct mmd_bytes in = { line, n }, got;
			struct mmd_smp_rx rx;
			uint8_t was = line[i];

			line[i] = (uint8_t)c;
			mmd_smp_rx_init(&rx, buf, sizeof(buf));
			if (mmd_smp_rx_take(&rx, &in, &got) == MMD_OK) {
				assert_int_equal(got.n, sizeof(packet));
				assert_memory_equal(got.p, packet, got.n);
			} else
				assert_int_not_equal(c, was);
			line[i] = was;
		}
}

static void
heads(void **state)
{
	static const struct {
		const char *what;
		uint8_t in[12];
		size_t n;
		enum mmd_rc rc;
		struct mmd_smp_head want;
	} rows[] = {
		{ "read, version 2", { 8, 0, 0, 1, 0x4d, 0x4d, 7, 5, 0xa0 }, 9,
		    MMD_OK, { 0, 1, 0x4d4d, 7, 5 } },
		{ "write, version 1", { 2, 0, 0, 0, 0, 64, 255, 1 }, 8, MMD_OK,
		    { 2, 0, 64, 255, 1 } },
		{ "flags and reserved bits", { 0xe8, 9, 0, 0, 0, 64, 1, 1 }, 8,
		    MMD_OK, { 0, 1, 64, 1, 1 } },
		{ "version 3", { 0x10, 0, 0, 0, 0, 64, 1, 1 }, 8, MMD_EINPUT,
		    { 0 } },
		{ "too short", { 8, 0, 0, 0, 0, 64, 1 }, 7, MMD_EINPUT,
		    { 0 } },
		{ "longer than it says", { 8, 0, 0, 0, 0, 64, 1, 1, 1 }, 9,
		    MMD_EINPUT, { 0 } },
		{ "shorter than it says", { 8, 0, 0, 2, 0, 64, 1, 1, 1 }, 9,
		    MMD_EINPUT, { 0 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct mmd_smp_head h = { 0 };
		struct mmd_bytes body;
		uint8_t out[MMD_SMP_HEAD];

		print_message("%s\n", rows[i].what);
		assert_int_equal(mmd_smp_open((struct mmd_bytes){ rows[i].in,
		    rows[i].n }, &h, &body), rows[i].rc);
		if (rows[i].rc != MMD_OK)
			continue;
		assert_int_equal(h.op, rows[i].want.op);
		assert_int_equal(h.version, rows[i].want.version);
		assert_int_equal(h.group, rows[i].want.group);
		assert_int_equal(h.seq, rows[i].want.seq);
		assert_int_equal(h.id, rows[i].want.id);
		assert_int_equal(body.n, rows[i].n - MMD_SMP_HEAD);
		mmd_smp_head_put(&h, body.n, out);
		if (rows[i].in[1] == 0)
			assert_memory_equal(out, rows[i].in, sizeof(out));
	}
}

/* A line that takes one character, or none, at a time. */
struct narrow {
	uint8_t out[2048];
	size_t n;
	unsigned calls;
};

static enum mmd_rc
narrow_write(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	struct narrow *l = ctx;

	assert_true(n > 0);
	if (l->calls++ % 2 == 0)
		return MMD_MORE;
	l->out[l->n++] = *p;
	*done = 1;
	return MMD_OK;
}

static void
waits(void **state)
{
	struct narrow l = { .n = 0 };
	const struct mmd_io io = { NULL, narrow_write, &l };
	uint8_t packet[200] = { 1 }, line[512];
	struct mmd_bytes v = { packet, sizeof(packet) };
	struct mmd_smp_tx tx;
	size_t n = on_line(v, line, sizeof(line), 200);
	enum mmd_rc rc;

	(void)state;
	assert_int_equal(mmd_smp_tx_init(&tx, v), MMD_OK);
	for (size_t i = 0; (rc = mmd_smp_tx_run(&tx, &io)) == MMD_MORE; i++)
		assert_true(i < 2 * n);
	assert_int_equal(rc, MMD_OK);
	assert_int_equal(l.n, n);
	assert_memory_equal(l.out, line, n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc),
		cmocka_unit_test(vectors),
		cmocka_unit_test(found_on_lines),
		cmocka_unit_test(one_wrong_character),
		cmocka_unit_test(heads),
		cmocka_unit_test(waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
