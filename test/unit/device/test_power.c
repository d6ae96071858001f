/*
 * Power goes at every byte that a whole unit programs or erases, which is left
 * untouched or half done; then it comes back, and the station goes on.  Each
 * unit ends locked, with one key and one certificate.  (test_store.c does both
 * to each byte of each step of the store.)
 *
 * usage: test_power [STRIDE]   (every so manieth byte; default 1)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"
#include "unit.h"

static unsigned stride = 1;

static const char config[] = "{\"broker\":\"mqtt.example\",\"port\":8883}";

struct line {
	struct pair pair;
	struct ca ca;
	struct unit unit;
};

static enum mmd_rc
whole_unit(struct line *l)
{
	struct unit *u = &l->unit;
	int64_t end = l->pair.now_ms + 120000;
	enum mmd_rc rc;

	u->ca = &l->ca;
	u->name = "SN-000001";
	u->config = (struct mmd_bytes){ (const uint8_t *)config,
		sizeof(config) - 1 };
	u->lock = true;
	unit_begin(u, &l->pair.conf, 0);
	while ((rc = unit_run(u)) == MMD_MORE && l->pair.now_ms < end)
		pair_step(&l->pair);
	return rc;
}

static void
forget(struct line *l)
{
	pair_blank(&l->pair);
	l->ca.issued = 0;
	l->ca.last_n = 0;
}

/* What is in flash, read by the library's own reader, and nothing else. */
static void
check_stored(struct line *l)
{
	const struct mmd_store *s = &l->pair.board.store;
	struct mmd_bundle b;
	uint8_t cert[CA_DER_MAX];
	bool locked;

	assert_int_equal(mmd_store_bundle(s, MMD_IDEVID, &b), MMD_OK);
	assert_int_equal(b.n[MMD_PART_CERT], l->unit.cert_n);
	assert_int_equal(mmd_store_read(s, MMD_IDEVID, &b, MMD_PART_CERT, 0,
	    cert, b.n[0]), MMD_OK);
	assert_memory_equal(cert, l->unit.cert, b.n[0]);
	assert_int_equal(mmd_store_read(s, MMD_IDEVID, &b, MMD_PART_CONFIG, 0,
	    cert, b.n[2]), MMD_OK);
	assert_memory_equal(cert, config, sizeof(config) - 1);
	assert_int_equal(mmd_store_locked(s, MMD_IDEVID, &locked), MMD_OK);
	assert_true(locked);
}

static void
one_cut(struct line *l, int64_t at, bool half)
{
	enum mmd_rc rc;

	forget(l);
	l->pair.board.flash.power = at;
	l->pair.board.flash.half = half;
	rc = whole_unit(l);
	if (rc != MMD_OK || l->ca.issued != 1 || l->pair.cuts != 1)
		fail_msg("cut at %lld, half %d: %d in %s (%s), %u issued, "
		    "%u cuts", (long long)at, half, (int)rc,
		    unit_steps[l->unit.step],
		    unit_refusals[l->unit.link.refusal], l->ca.issued,
		    l->pair.cuts);
	check_stored(l);
}

static void
at_every_byte(void **state)
{
	static struct line l;
	int64_t all;

	(void)state;
	pair_init(&l.pair);
	assert_true(ca_open(&l.ca, ""));
	forget(&l);
	assert_int_equal(whole_unit(&l), MMD_OK);
	check_stored(&l);
	all = (int64_t)l.pair.board.flash.changed;
	assert_true(all > 3000);
	for (int64_t at = 0; at < all - 1; at += stride)
		one_cut(&l, at, at % 2 == 0);
	print_message("%lld bytes, cut at every %u.\n", (long long)all, stride);
	ca_close(&l.ca);
	pair_done(&l.pair);
}

/* Power goes again and again, wherever it is by then. */
static void
again_and_again(void **state)
{
	static struct line l;
	unsigned cuts = 0;

	(void)state;
	pair_init(&l.pair);
	assert_true(ca_open(&l.ca, ""));
	l.pair.random = 4711;
	l.pair.lasts = 3000;
	for (int unit = 0; unit < 40; unit++) {
		unsigned tries = 0;

		forget(&l);
		l.pair.board.flash.power = 500;
		l.pair.board.flash.half = unit % 2 == 0;
		while (whole_unit(&l) != MMD_OK)
			assert_true(tries++ < 50);
		cuts += l.pair.cuts;
		assert_int_equal(l.ca.issued, 1);
		check_stored(&l);
	}
	print_message("40 units, %u cuts\n", cuts);
	assert_true(cuts > 80);
	ca_close(&l.ca);
	pair_done(&l.pair);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_every_byte),
		cmocka_unit_test(again_and_again),
	};

	if (argc > 1)
		stride = (unsigned)strtoul(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
