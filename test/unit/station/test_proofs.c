#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/rows.h"
#include "pki/key.h"
#include "station/own_priv.h"

/* What devices signed, kept and found again by its hash. */
enum { N = 500 };

static struct mm_station_conf conf;
static char dir[] = "/tmp/mintmark-proofs-XXXXXX";

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ||
	       !mm_text_copy(conf.state, sizeof(conf.state), mm_bytes_of(dir));
}

static int
clean(void **state)
{
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/proofs", dir);
	(void)unlink(path);
	return rmdir(dir);
}

static void
name(char out[16], unsigned n)
{
	snprintf(out, 16, "%04x", n);
}

/* What the unit's device signed at its nth try; its hash. */
static void
text(char out[64], uint8_t sha256[32], unsigned unit, unsigned nth)
{
	char serial[16];

	name(serial, unit);
	snprintf(out, 64, "{\"nonce\":\"%u\",\"serial\":\"%s\",\"v\":1}", nth,
	    serial);
	mm_sha256(mm_bytes_of(out), sha256);
}

static void
keep(struct mm_own *o, unsigned unit, unsigned nth)
{
	char line[64];
	uint8_t sha256[32];

	text(line, sha256, unit, nth);
	assert_int_equal(mm_own_keep_proof(o, mm_bytes_of(line), NULL), MM_OK);
}

static bool
find(struct mm_own *o, unsigned unit, unsigned nth)
{
	char line[64], serial[16];
	struct mm_bytes got;
	uint8_t sha256[32];

	text(line, sha256, unit, nth);
	name(serial, unit);
	if (!mm_own_proof(o, serial, sha256, &got))
		return false;
	assert_int_equal(got.n, strlen(line));
	assert_memory_equal(got.p, line, got.n);
	return true;
}

static void
of_its_lines_the_one_of_the_hash(void **state)
{
	struct mm_own o = { .conf = &conf };
	size_t at = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		keep(&o, i, 1);
		if (i % 10 == 0) /* it was cut off, and came again */
			keep(&o, i, 2);
	}
	/* In the order in which they were kept each is behind the last one. */
	for (unsigned i = 0; i < N; i++) {
		assert_true(find(&o, i, i % 10 == 0 ? 2 : 1));
		assert_true(o.proofs.at > at);
		at = o.proofs.at;
	}
	/* In any other, too. */
	for (unsigned i = N; i-- > 0;)
		assert_true(find(&o, i, 1));
	assert_false(find(&o, 1, 2));
	assert_false(find(&o, N, 1));
	/* What is kept later is found without the file. */
	keep(&o, N, 1);
	assert_true(find(&o, N, 1));
	mm_own_forget_proofs(&o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_its_lines_the_one_of_the_hash),
	};

	return cmocka_run_group_tests(tests, make_dir, clean);
}
