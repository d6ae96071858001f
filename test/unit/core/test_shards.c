#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/time.h"
#include "core/priv.h"
#include "rig.h"

/* How many lists of shards are signed at one go. */
#define MANY                                                               \
	"public_url = \"http://localhost:1\"\n"                            \
	"issuer \"many\" {\n  certificate = \"many.pem\"\n"                \
	"  key = \"many.key\"\n  crl_shards = 16\n}\n"

static int
setup(void **state)
{
	static struct rig r;

	rig_make(&r, MANY, NULL);
	*state = &r;
	return 0;
}

static int
teardown(void **state)
{
	rig_done(*state);
	return 0;
}

static struct mm_shards *
shards(struct rig *r)
{
	struct mm_list_of of;

	assert_true(mm_list_find(r->core, "many", &of));
	assert_int_equal(of.shards->n, 16);
	return of.shards;
}

static enum mm_err
all_of_them(struct rig *r)
{
	return mm_desk_shards(r->desk, "many", true, NULL);
}

static void
until_signed(struct rig *r)
{
	int64_t end = mm_mono_ms() + 20000;

	while (all_of_them(r) != MM_OK)
		assert_true(mm_mono_ms() < end);
}

/* It says nothing about sizes. */
static void
a_signer_that_is_away(void **state)
{
	struct rig *r = *state;

	until_signed(r);
	rig_kill_signer(r);
	assert_int_equal(all_of_them(r), MM_EAGAIN);
	assert_true(shards(r)->most <= 8);
	rig_restart_signer(r);
	rig_wait_ready(r);
	until_signed(r);
	until_signed(r);
	assert_true(shards(r)->most > 8);
}

static void
a_size_that_took_too_long(void **state)
{
	struct rig *r = *state;

	assert_int_equal(kill(r->signer, SIGSTOP), 0);
	assert_int_equal(all_of_them(r), MM_EAGAIN);
	assert_int_equal(kill(r->signer, SIGCONT), 0);
	assert_int_equal(shards(r)->most, 8);
	until_signed(r);
	until_signed(r);
	assert_true(shards(r)->most <= 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signer_that_is_away),
		cmocka_unit_test(a_size_that_took_too_long),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
