#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"
#include "unit.h"
#include "vectors.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct pair pair;
static struct ca ca;
static struct unit unit;

static int
setup(void **state)
{
	(void)state;
	pair_init(&pair);
	return ca_open(&ca, "") ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	ca_close(&ca);
	pair_done(&pair);
	return 0;
}

/* A new line to a blank device, quiet and whole. */
static struct mmd_link *
fresh(void)
{
	static struct mmd_link l;

	pair.noise_ppm = 0;
	pair.chatters = pair.deaf = false;
	pair.conf.baud = 0;
	pair_blank(&pair);
	ca.issued = 0;
	ca.last_n = 0;
	mmd_link_init(&l, &pair.conf);
	return &l;
}

static enum mmd_rc
whole_unit(int64_t most_ms)
{
	int64_t end = pair.now_ms + most_ms;
	enum mmd_rc rc;

	unit = (struct unit){ .ca = &ca, .name = "SN-000001", .lock = true };
	unit_begin(&unit, &pair.conf, 0);
	while ((rc = unit_run(&unit)) == MMD_MORE && pair.now_ms < end)
		pair_step(&pair);
	return rc;
}

static void
quiet_line(void **state)
{
	(void)state;
	(void)fresh();
	assert_int_equal(whole_unit(60000), MMD_OK);
	assert_int_equal(ca.issued, 1);
	assert_int_equal(unit.link.repeats, 0);
	print_message("%llu bytes to the device, %llu from it, %u messages\n",
	    (unsigned long long)pair.down.carried,
	    (unsigned long long)pair.up.carried, unit.link.sent);
	/* Once more: it is done, says so, and nothing is issued. */
	assert_int_equal(whole_unit(60000), MMD_OK);
	assert_int_equal(ca.issued, 1);
}

/* One byte in a thousand is another one, both ways; and log text between. */
static void
noisy_line(void **state)
{
	unsigned repeats = 0;
	int64_t longest = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		int64_t began = pair.now_ms;

		(void)fresh();
		pair.random = seed;
		pair.noise_ppm = 1000;
		pair.chatters = seed % 2 == 0;
		assert_int_equal(whole_unit(3600000), MMD_OK);
		assert_int_equal(ca.issued, 1);
		repeats += unit.link.repeats;
		if (pair.now_ms - began > longest)
			longest = pair.now_ms - began;
	}
	assert_true(repeats > 100);
	print_message("100 units, %u repeats, the longest took %lld ms\n",
	    repeats, (long long)longest);
}

/* Four times as much: it may give up, but what it ends with holds. */
static void
very_noisy_line(void **state)
{
	unsigned good = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++) {
		enum mmd_rc rc;

		(void)fresh();
		pair.random = seed;
		pair.noise_ppm = 4000;
		rc = whole_unit(3600000);
		good += rc == MMD_OK;
		assert_true(rc == MMD_OK || rc == MMD_ESILENT ||
		    rc == MMD_EINPUT);
		assert_true(ca.issued <= 1);
	}
	print_message("%u of 30\n", good);
}

/* line.md's times: three repeats and then an end. */
static void
silence(void **state)
{
	struct mmd_link *l = fresh();
	static const uint8_t stir[MMD_STIR];
	int64_t began;

	(void)state;
	pair.deaf = true;
	began = pair.now_ms;
	mmd_link_hello(l, MMD_IDEVID, 0);
	assert_int_equal(pair_run(&pair, l, 60000), MMD_ESILENT);
	assert_int_equal(l->sent, 4);
	assert_in_range(pair.now_ms - began, 4 * 350, 4 * 350 + 20);
	assert_int_equal(mmd_link_run(l), MMD_ESTATE);
	/* Where it computes: 5 s a try, then one greeting's. */
	began = pair.now_ms;
	mmd_link_key(l, MMD_IDEVID, MMD_KEY_P256, stir);
	assert_int_equal(pair_run(&pair, l, 60000), MMD_ESILENT);
	assert_int_equal(l->sent, 12);
	assert_in_range(pair.now_ms - began, 4 * 5000 + 4 * 350,
	    4 * 5000 + 4 * 350 + 50);
}

/* A slow line takes its time, and that is no silence. */
static void
slow_line(void **state)
{
	struct mmd_link *l = fresh();
	int64_t began;

	(void)state;
	pair.conf.baud = 9600;
	pair.deaf = true;
	began = pair.now_ms;
	mmd_link_hello(l, MMD_IDEVID, 0);
	assert_int_equal(pair_run(&pair, l, 60000), MMD_ESILENT);
	/* 23 characters at 960 a second. */
	assert_in_range(pair.now_ms - began, 4 * (350 + 23),
	    4 * (350 + 25) + 20);
}

/* What a peer says instead of an answer, for as long as it is asked. */
static void
say_flood(void)
{
	static uint8_t junk[8192];

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (uint8_t)pair_random(&pair);
	pair_say(&pair, junk, sizeof(junk));
}

static void
say_text(void)
{
	pair_say(&pair, "panic! ", 7);
}

/* A packet that begins and never ends. */
static void
say_letters(void)
{
	pair_say(&pair, pair_random(&pair) % 50 == 0 ? "\x06\x09" : "AA", 2);
}

static void
say_answer(unsigned message, uint8_t seq, const char *body, size_t n)
{
	uint8_t p[600], line[900];
	bool reads = message == MMD_HELLO || message == MMD_CSR ||
	    message == MMD_PROVE || message == MMD_GET;
	struct mmd_smp_head h = { reads ? 1 : 3, 1, MMD_FACTORY_GROUP, seq,
		(uint8_t)message };
	struct mmd_smp_tx tx;

	memcpy(p + MMD_SMP_HEAD, body, n);
	mmd_smp_head_put(&h, n, p);
	assert_int_equal(mmd_smp_tx_init(&tx,
	    (struct mmd_bytes){ p, MMD_SMP_HEAD + n }), MMD_OK);
	pair_say(&pair, line, mmd_smp_tx_peek(&tx, line, sizeof(line)));
}

/* Whatever is asked, by its message and number. */
static struct mmd_link *asking;

static void
say_empty(void)
{
	say_answer(asking->ask.message, asking->seq, "\xa0", 1);
}

static void
say_no_cbor(void)
{
	say_answer(asking->ask.message, asking->seq, "\xff\xff", 2);
}

static void
say_wrong_number(void)
{
	say_answer(asking->ask.message, (uint8_t)(asking->seq + 1), "\xa0", 1);
}

static void
say_einval(void)
{
	say_answer(asking->ask.message, asking->seq, "\xa1\x62rc\x03", 5);
}

static void
say_enotsup(void)
{
	say_answer(asking->ask.message, asking->seq, "\xa1\x62rc\x08", 5);
}

static void
say_foreign_error(void)
{
	say_answer(asking->ask.message, asking->seq,
	    "\xa1\x63" "err\xa2\x65group\x01\x62rc\x01", 17);
}

static void
say_unknown_refusal(void)
{
	say_answer(asking->ask.message, asking->seq,
	    "\xa1\x63" "err\xa2\x65group\x19\x4d\x4d\x62rc\x18\xff", 20);
}

/* EMPTY, and yet a key; step 3; text with an escape. */
#define HELLO_REST \
	"\x62hw\x41h\x65kinds\x01\x63max\x19\x02\x00\x64room\x19\x0f\x80" \
	"\x64time\x00"
static void
say_lie_step(void)
{
	static const char h[] = "\xa9\x61v\x01\x62" "fw\x61x\x65state\x00"
	    "\x64step\x03" HELLO_REST;

	say_answer(MMD_HELLO, asking->seq, h, sizeof(h) - 1);
}

static void
say_lie_ready(void)
{
	static const char h[] = "\xa9\x61v\x01\x62" "fw\x61x\x65state\x02"
	    "\x64step\x10" HELLO_REST;

	say_answer(MMD_HELLO, asking->seq, h, sizeof(h) - 1);
}

static void
say_escape(void)
{
	static const char h[] = "\xa9\x61v\x01\x62" "fw\x61\x1b\x65state\x00"
	    "\x64step\x10" HELLO_REST;

	say_answer(MMD_HELLO, asking->seq, h, sizeof(h) - 1);
}

static void
say_right(void)
{
	static const char h[] = "\xa9\x61v\x01\x62" "fw\x61x\x65state\x00"
	    "\x64step\x10" HELLO_REST;

	say_answer(MMD_HELLO, asking->seq, h, sizeof(h) - 1);
}

static void
say_nothing(void)
{
}

static const struct {
	const char *what;
	void (*say)(void);
	enum mmd_rc want;
	int64_t most_ms;
} peers[] = {
	{ "says nothing", say_nothing, MMD_ESILENT, 1500 },
	{ "is right", say_right, MMD_OK, 50 },
	{ "floods", say_flood, MMD_ESILENT, 30000 },
	{ "logs without end", say_text, MMD_ESILENT, 1500 },
	{ "begins a packet that never ends", say_letters, MMD_ESILENT,
	    30000 },
	{ "answers with an empty map", say_empty, MMD_EINPUT, 1500 },
	{ "answers with what is no CBOR", say_no_cbor, MMD_EINPUT, 1500 },
	{ "answers another request", say_wrong_number, MMD_ESILENT, 1500 },
	{ "says that what it got was malformed", say_einval, MMD_EINPUT,
	    1500 },
	{ "does not know the message", say_enotsup, MMD_EREFUSED, 50 },
	{ "tells of an error of another group", say_foreign_error, MMD_EINPUT,
	    1500 },
	{ "refuses for a reason we do not know", say_unknown_refusal,
	    MMD_EREFUSED, 50 },
	{ "has a step that is no power of two", say_lie_step, MMD_EINPUT,
	    1500 },
	{ "is ready and has no certificate", say_lie_ready, MMD_EINPUT, 1500 },
	{ "sends an escape sequence", say_escape, MMD_EINPUT, 1500 },
};

static void
strange_peers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(peers); i++) {
		int64_t began;
		enum mmd_rc rc;

		print_message("%s\n", peers[i].what);
		asking = fresh();
		pair.deaf = true;
		began = pair.now_ms;
		mmd_link_hello(asking, MMD_IDEVID, 0);
		while ((rc = mmd_link_run(asking)) == MMD_MORE &&
		    pair.now_ms < began + 60000) {
			pair.down.from = pair.down.to = 0;
			if (pair.up.from == pair.up.to)
				peers[i].say();
			pair_step(&pair);
			/* A flood never lets the line be idle. */
			pair.now_ms++;
		}
		assert_int_equal(rc, peers[i].want);
		assert_true(pair.now_ms - began <= peers[i].most_ms);
	}
}

/* Another device on the line in the middle of a unit. */
static void
board_swapped(void **state)
{
	struct mmd_link *l = fresh();
	static const uint8_t big[1500];
	const struct mmd_bytes parts[MMD_PARTS] = { { big, sizeof(big) } };

	(void)state;
	mmd_link_hello(l, MMD_IDEVID, 0);
	assert_int_equal(pair_run(&pair, l, 1000), MMD_OK);
	assert_memory_equal(l->hello.hw, "SIM-0001", 8);
	assert_int_equal(mmd_link_put(l, MMD_IDEVID, parts), MMD_OK);
	pair.board.hardware[7] = '2';
	pair.deaf = true;
	assert_int_equal(pair_run(&pair, l, 20500), MMD_MORE);
	pair.deaf = false;
	assert_int_equal(pair_run(&pair, l, 5000), MMD_EPATH);
	pair.board.hardware[7] = '1';
}

static struct mmd_flash good_flash;
static uint32_t weak_from;

static enum mmd_rc
weak_program(void *ctx, uint32_t at, const uint8_t *p, size_t n)
{
	enum mmd_rc rc = good_flash.program(ctx, at, p, n);

	if (at >= weak_from)
		pair.board.flash.map[at] = 0;
	return rc;
}

/* Flash that has other bytes is erased once; that will not hold, given up. */
static void
dirty_flash(void **state)
{
	struct mmd_link *l = fresh();
	static uint8_t big[1500], stir[MMD_STIR];
	struct mmd_bytes parts[MMD_PARTS] = { { big, sizeof(big) } };
	struct mmd_area half = pair.board.store.half[0][0];

	(void)state;
	mmd_link_hello(l, MMD_IDEVID, 0);
	assert_int_equal(pair_run(&pair, l, 1000), MMD_OK);
	mmd_link_key(l, MMD_IDEVID, MMD_KEY_P256, stir);
	assert_int_equal(pair_run(&pair, l, 1000), MMD_OK);
	/* A byte of an earlier try, far inside. */
	pair.board.flash.map[half.at + 128 + 1001] = 0x12;
	assert_int_equal(mmd_link_put(l, MMD_IDEVID, parts), MMD_OK);
	assert_int_equal(pair_run(&pair, l, 10000), MMD_OK);
	assert_int_equal(l->restarts, 1);
	assert_memory_equal(pair.board.flash.map + half.at + 128, big,
	    sizeof(big));
	/* Cells that do not hold: the device says so, or it never ends. */
	memset(big, 0xa5, sizeof(big));
	good_flash = pair.board.port;
	pair.board.port.program = weak_program;
	weak_from = half.at + 128;
	assert_int_equal(mmd_link_put(l, MMD_IDEVID, parts), MMD_OK);
	assert_int_equal(pair_run(&pair, l, 10000), MMD_EREFUSED);
	assert_int_equal(l->refusal, MMD_R_BOARD);
	weak_from += 1024;
	assert_int_equal(mmd_link_put(l, MMD_IDEVID, parts), MMD_OK);
	assert_int_equal(pair_run(&pair, l, 10000), MMD_EPORT);
	pair.board.port = good_flash;
}

static void
too_much(void **state)
{
	struct mmd_link *l = fresh();
	static uint8_t big[BOARD_HALF];
	struct mmd_bytes parts[MMD_PARTS] = { { big, sizeof(big) - 128 } };

	(void)state;
	assert_int_equal(mmd_link_put(l, MMD_IDEVID, parts), MMD_ESTATE);
	mmd_link_hello(l, MMD_IDEVID, 0);
	assert_int_equal(pair_run(&pair, l, 1000), MMD_OK);
	assert_int_equal(mmd_link_put(l, MMD_IDEVID, parts), MMD_OK);
	parts[1] = (struct mmd_bytes){ big, 1 };
	assert_int_equal(mmd_link_put(l, MMD_IDEVID, parts), MMD_ESPACE);
	parts[0].n = SIZE_MAX;
	assert_int_equal(mmd_link_put(l, MMD_IDEVID, parts), MMD_ESPACE);
}

/* What a device was given is what it gives back, on a noisy line too. */
static void
read_again(void **state)
{
	static uint8_t got[2048];
	struct mmd_link *l = fresh();
	struct mmd_area half = pair.board.store.half[0][0];
	const uint8_t *flash = pair.board.flash.map + half.at + 128;
	uint32_t repeats = 0;

	(void)state;
	assert_int_equal(whole_unit(60000), MMD_OK);
	mmd_link_hello(l, MMD_IDEVID, 0);
	assert_int_equal(pair_run(&pair, l, 1000), MMD_OK);
	pair.noise_ppm = 2000;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		pair.random = seed;
		memset(got, 0, sizeof(got));
		mmd_link_get(l, MMD_IDEVID, got, sizeof(got));
		assert_int_equal(pair_run(&pair, l, 600000), MMD_OK);
		assert_ptr_equal(l->value.p, got);
		assert_in_range(l->value.n, 512, sizeof(got));
		assert_in_range(l->cert_n, 1, l->value.n - 1);
		assert_memory_equal(got, flash, l->value.n);
		repeats += l->repeats;
	}
	assert_true(repeats > 0);
	pair.noise_ppm = 0;
	mmd_link_get(l, MMD_IDEVID, got, l->value.n - 1);
	assert_int_equal(pair_run(&pair, l, 1000), MMD_ESPACE);
	mmd_link_get(l, MMD_LDEVID, got, sizeof(got));
	assert_int_equal(pair_run(&pair, l, 1000), MMD_EREFUSED);
	assert_int_equal(l->refusal, MMD_R_NO_KEY);
}

/* What a device may say of a certificate of two bytes and a chain of one. */
static const struct {
	const char *what;
	const char *first, *then;
	enum mmd_rc want;
} told[] = {
#define CERT(n)  "\xa3\x64" "cert" n
#define CHAIN(n) "\x65" "chain" n "\x64" "data"
	{ "all at once", CERT("\2") CHAIN("\1") "\x43" "abc", NULL, MMD_OK },
	{ "in two", CERT("\2") CHAIN("\1") "\x41" "a",
	    CERT("\2") CHAIN("\1") "\x42" "bc", MMD_OK },
	{ "nothing", CERT("\2") CHAIN("\1") "\x40", NULL, MMD_EINPUT },
	{ "more than it said", CERT("\2") CHAIN("\1") "\x44" "abcd", NULL,
	    MMD_EINPUT },
	{ "another length the second time", CERT("\2") CHAIN("\1") "\x41"
	    "a", CERT("\2") CHAIN("\2") "\x43" "bcd", MMD_EINPUT },
	{ "more than there is room for", CERT("\x19\x0f\xff") CHAIN("\1")
	    "\x41" "a", NULL, MMD_ESPACE },
	{ "lengths whose sum is small again", CERT("\x1a\xff\xff\xff\xff")
	    CHAIN("\2") "\x41" "a", NULL, MMD_ESPACE },
};

static const char *told_now;

static void
say_told(void)
{
	say_answer(MMD_GET, asking->seq, told_now, strlen(told_now));
}

static void
strange_certificates(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(told); i++) {
		uint8_t got[4] = "....";
		enum mmd_rc rc;

		print_message("%s\n", told[i].what);
		asking = fresh();
		pair.deaf = true;
		mmd_link_get(asking, MMD_IDEVID, got, 3);
		while ((rc = mmd_link_run(asking)) == MMD_MORE) {
			told_now = asking->off == 0 || told[i].then == NULL
			    ? told[i].first : told[i].then;
			pair.down.from = pair.down.to = 0;
			if (pair.up.from == pair.up.to && !asking->sending)
				say_told();
			pair_step(&pair);
			pair.now_ms++;
		}
		assert_int_equal(rc, told[i].want);
		assert_int_equal(got[3], '.');
		if (rc == MMD_OK)
			assert_memory_equal(got, "abc", 3);
	}
}

/* A peer that floods the device: it stays a device. */
static void
flooded_device(void **state)
{
	struct mmd_link *l = fresh();

	(void)state;
	pair.random = 99;
	for (int i = 0; i < 2000; i++) {
		uint8_t junk[64];

		for (size_t k = 0; k < sizeof(junk); k++)
			junk[k] = (uint8_t)pair_random(&pair);
		if (i % 3 == 0)
			memcpy(junk, "\x06\x09" "AApBQUFBQUFBQRSq\n", 19);
		assert_int_equal(pair.host.write(&pair, junk, sizeof(junk),
		    &(size_t){ 0 }), MMD_OK);
		pair_step(&pair);
	}
	while (pair.down.from != pair.down.to)
		pair_step(&pair);
	mmd_link_hello(l, MMD_IDEVID, 0);
	assert_int_equal(pair_run(&pair, l, 5000), MMD_OK);
	assert_true(l->hello.lines > 0);
	assert_int_equal(l->hello.state, MMD_STATE_EMPTY);
}

/* A device that is slow to take bytes, and one that hangs up. */
static enum mmd_rc
closed(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	(void)ctx;
	(void)p;
	(void)n;
	(void)done;
	return MMD_ECLOSED;
}

static enum mmd_rc
stuck(void *ctx, const uint8_t *p, size_t n, size_t *done)
{
	(void)ctx;
	(void)p;
	(void)n;
	(void)done;
	return MMD_MORE;
}

static void
unplugged(void **state)
{
	struct mmd_link *l = fresh();
	struct mmd_io was = pair.host;
	int64_t began = pair.now_ms;

	(void)state;
	pair.host.write = closed;
	mmd_link_hello(l, MMD_IDEVID, 0);
	assert_int_equal(pair_run(&pair, l, 1000), MMD_ECLOSED);
	assert_int_equal(mmd_link_run(l), MMD_ESTATE);
	pair.host.write = stuck;
	mmd_link_hello(l, MMD_IDEVID, 0);
	assert_int_equal(pair_run(&pair, l, 60000), MMD_ESILENT);
	assert_true(pair.now_ms - began < 21000);
	pair.host = was;
}

static void
fill(uint8_t *p, unsigned first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(first + i);
}

/* The messages of the vectors, in their order. */
static void
begin_vector(struct mmd_link *l, size_t i)
{
	static uint8_t some[512], room[132];
	struct mmd_bytes put[MMD_PARTS] = { { some, 128 } };
	struct mmd_bytes parts[MMD_PARTS] = { { some, 500 }, { some, 400 },
		{ some, 36 } };
	uint8_t cert[32], all[32], nonce[32];

	fill(some, 0, sizeof(some));
	fill(cert, 0xc0, 32);
	fill(all, 0xe0, 32);
	fill(nonce, 0x40, 32);
	switch (i) {
	case 0:
		mmd_link_hello(l, MMD_IDEVID, 1780000000);
		break;
	case 1:
		mmd_link_key(l, MMD_IDEVID, MMD_KEY_P256, some);
		break;
	case 2:
		mmd_link_csr(l, MMD_IDEVID);
		break;
	case 3:
		assert_int_equal(mmd_link_put(l, MMD_IDEVID, put), MMD_OK);
		break;
	case 4:
	case 9:
	case 11:
		mmd_link_commit(l, MMD_IDEVID, parts, all,
		    i == 11 ? some + 0x10 : NULL);
		break;
	case 5:
		mmd_link_prove(l, MMD_IDEVID, nonce);
		break;
	case 8:
		mmd_link_hello(l, MMD_IDEVID, 0);
		break;
	case 10:
		mmd_link_get(l, MMD_IDEVID, room, sizeof(room));
		break;
	default:
		mmd_link_lock(l, cert);
	}
}

/* Whether they are refused. */
static const enum mmd_refusal vector_refusals[] = { [7] = MMD_R_OTHER,
	[9] = MMD_R_OLDER, [11] = MMD_R_NONE };

/* docs/protocol/link.md: what the station sends, and takes of an answer. */
static void
vectors(void **state)
{
	json_t *all = json_load_file(VECTORS "/link.json", 0, NULL), *row;
	struct mmd_link *l = fresh();
	uint8_t line[1024];
	size_t i;

	(void)state;
	pair.deaf = true;
	assert_int_equal(json_array_size(json_object_get(all, "exchanges")),
	    sizeof(vector_refusals) / sizeof(vector_refusals[0]));
	json_array_foreach(json_object_get(all, "exchanges"), i, row)
	{
		size_t n = vector_unhex(row, "request_line", line, sizeof(line));

		begin_vector(l, i);
		pair.down.from = pair.down.to = 0;
		assert_int_equal(mmd_link_run(l), MMD_MORE);
		assert_int_equal(pair.down.to, n);
		assert_memory_equal(pair.down.p, line, n);
		n = vector_unhex(row, "answer_line", line, sizeof(line));
		pair_say(&pair, line, n);
		assert_int_equal(mmd_link_run(l),
		    vector_refusals[i] != MMD_R_NONE ? MMD_EREFUSED : MMD_OK);
		assert_int_equal(l->refusal, vector_refusals[i]);
	}
	assert_int_equal(l->hello.state, MMD_STATE_READY);
	assert_int_equal(l->hello.floor_s, 1780000000);
	assert_int_equal(l->hello.cert[1], 0xc1);
	assert_int_equal(l->hello.config, 7);
	json_decref(all);
}

/* And what a blank device says to the first of them. */
static void
device_vector(void **state)
{
	json_t *all = json_load_file(VECTORS "/link.json", 0, NULL);
	json_t *row = json_array_get(json_object_get(all, "exchanges"), 0);
	uint8_t line[1024];
	size_t n = vector_unhex(row, "request_line", line, sizeof(line)), done;

	(void)state;
	(void)fresh();
	assert_int_equal(pair.host.write(&pair, line, n, &done), MMD_OK);
	pair_step(&pair);
	n = vector_unhex(row, "answer_line", line, sizeof(line));
	assert_int_equal(pair.up.to - pair.up.from, n);
	assert_memory_equal(pair.up.p + pair.up.from, line, n);
	json_decref(all);
}

/* A port without signature says of each key that it is ECDSA's. */
static void
ecdsa_alone(void **state)
{
	struct mmd_factory_conf conf = pair.board.conf;
	struct mmd_crypto ecdsa = *conf.crypto;
	struct mmd_factory f;

	(void)state;
	ecdsa.signature = NULL;
	conf.crypto = &ecdsa;
	for (conf.kinds = 1; conf.kinds >> MMD_KEY_KINDS == 0; conf.kinds *= 2)
		assert_int_equal(mmd_factory_init(&f, &conf),
		    conf.kinds >> MMD_KEY_RSA2048 == 0 ? MMD_OK : MMD_EINPUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(device_vector),
		cmocka_unit_test(quiet_line),
		cmocka_unit_test(noisy_line),
		cmocka_unit_test(very_noisy_line),
		cmocka_unit_test(silence),
		cmocka_unit_test(slow_line),
		cmocka_unit_test(strange_peers),
		cmocka_unit_test(board_swapped),
		cmocka_unit_test(dirty_flash),
		cmocka_unit_test(too_much),
		cmocka_unit_test(read_again),
		cmocka_unit_test(strange_certificates),
		cmocka_unit_test(flooded_device),
		cmocka_unit_test(unplugged),
		cmocka_unit_test(ecdsa_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
