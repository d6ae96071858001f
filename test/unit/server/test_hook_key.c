#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/file.h"
#include "server/hook.h"
#include "rig.h"

/* Of several nodes' keys one is everybody's: the first that was noted. */
static const struct mm_hook hook = { .id = "wh_0123456789abcdef",
	.secret = 1 };

struct node {
	char dir[96], path[112];
	struct mm_hook_keys *keys;
};

static void
node_open(struct node *n, const struct rig *r, const char *name,
    const char *key)
{
	snprintf(n->dir, sizeof(n->dir), "%s/%s", r->dir, name);
	snprintf(n->path, sizeof(n->path), "%s/webhook.key", n->dir);
	assert_int_equal(mkdir(n->dir, 0700), 0);
	if (key != NULL)
		assert_int_equal(mm_file_create(n->path, mm_bytes_of(key),
		    0600, NULL), MM_OK);
	assert_int_equal(mm_hook_keys_open(n->dir, true, &n->keys, NULL),
	    MM_OK);
}

static void
node_close(struct node *n)
{
	mm_hook_keys_close(&n->keys);
	(void)unlink(n->path);
	assert_int_equal(rmdir(n->dir), 0);
}

#define KEY_A "0123456789abcdef0123456789abcdef"
#define KEY_B "abcdef0123456789abcdef0123456789"

/* A node makes a key and the store is away: the file of a key that nobody
 * knows would be in the way of the one that is everybody's. */
static void
what_was_not_noted_does_not_stay(void **state)
{
	struct rig *r = *state;
	struct node n;
	struct mm_why why = { 0 };
	sqlite3 *db;

	node_open(&n, r, "away", NULL);
	db = rig_lock_store(r);
	assert_int_equal(mm_hook_key_check(n.keys, r->desk, &why), MM_EAGAIN);
	assert_int_not_equal(access(n.path, F_OK), 0);
	rig_unlock_store(db);
	rig_wait_ready(r);
	node_close(&n);
}

static void
who_has_another_key_signs_nothing(void **state)
{
	struct rig *r = *state;
	struct node a, b;
	uint8_t secret[2][32];
	FILE *f;

	node_open(&a, r, "a", KEY_A);
	node_open(&b, r, "b", KEY_B);
	/* nobody has looked yet */
	assert_int_equal(mm_hook_secret(b.keys, &hook, 1, secret[1], NULL),
	    MM_EPOLICY);
	assert_int_equal(mm_hook_key_check(a.keys, r->desk, NULL), MM_OK);
	assert_int_equal(mm_hook_secret(a.keys, &hook, 1, secret[0], NULL),
	    MM_OK);
	assert_int_equal(mm_hook_key_check(b.keys, r->desk, NULL),
	    MM_EPOLICY);
	assert_int_equal(mm_hook_secret(b.keys, &hook, 1, secret[1], NULL),
	    MM_EPOLICY);
	/* until it has the right one */
	f = fopen(b.path, "w");
	assert_non_null(f);
	fputs(KEY_A, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(mm_hook_key_check(b.keys, r->desk, NULL), MM_OK);
	assert_int_equal(mm_hook_secret(b.keys, &hook, 1, secret[1], NULL),
	    MM_OK);
	assert_memory_equal(secret[0], secret[1], 32);
	node_close(&a);
	node_close(&b);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_not_noted_does_not_stay),
		cmocka_unit_test(who_has_another_key_signs_nothing),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
