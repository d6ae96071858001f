#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/time.h"
#include "core/priv.h"
#include "rig.h"

/* Idempotency-Keys: in flight, begun, answered, forgotten. */

static void
answers_in_flight(void **state)
{
	struct rig *r = *state;
	struct mm_answer_hold a, b, c;

	assert_true(mm_desk_answer_begin(r->desk, "op:1", &a));
	assert_false(mm_desk_answer_begin(r->desk, "op:1", &b));
	assert_true(mm_desk_answer_begin(r->desk, "op:2", &c));
	mm_answer_end(&a);
	assert_true(mm_desk_answer_begin(r->desk, "op:1", &b));
	mm_answer_end(&c);
	mm_answer_end(&b);
}

static enum mm_err
find(struct rig *r, const char *key, const uint8_t *sha, int *status,
    struct mm_buf *body)
{
	struct mm_why why = { 0 };

	mm_buf_reset(body);
	return mm_desk_answer_find(r->desk, key, sha, status, body, &why);
}

/* Begun, and then: answered, forgotten, or neither. */
static void
answers_begun(void **state)
{
	static const uint8_t one[32] = { 1 }, two[32] = { 2 };
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(1024);
	struct rig *r = *state;
	struct mm_why why = { 0 };
	uint64_t v;
	int status = 0;

	assert_int_equal(find(r, "op:a", one, &status, &body), MM_ENOTFOUND);
	assert_int_equal(mm_desk_answer_start(r->desk, "op:a", one, &v,
	    &why),
	    MM_OK);
	assert_int_equal(find(r, "op:a", one, &status, &body), MM_EUNSURE);
	assert_int_equal(find(r, "op:a", two, &status, &body), MM_EUSED);
	assert_int_equal(mm_desk_answer_start(r->desk, "op:b", one, &v,
	    &why),
	    MM_OK);
	assert_int_equal(mm_desk_answer_forget(r->desk, "op:b", v, &why),
	    MM_OK);
	assert_int_equal(mm_desk_answer_forget(r->desk, "op:b", v, &why),
	    MM_OK);
	assert_int_equal(find(r, "op:b", two, &status, &body), MM_ENOTFOUND);
	assert_int_equal(mm_desk_answer_put(r->desk, "op:a", one, 201,
	    mm_bytes_of("{}"), &why), MM_OK);
	assert_int_equal(find(r, "op:a", one, &status, &body), MM_OK);
	assert_int_equal(status, 201);
	assert_string_equal(mm_buf_cstr(&body), "{}");
	assert_int_equal(find(r, "op:a", two, &status, &body), MM_EUSED);
	/* whoever looked before the answer and starts after it */
	assert_int_equal(mm_desk_answer_start(r->desk, "op:a", one, &v,
	    &why),
	    MM_EBUSY);
	assert_int_equal(find(r, "op:a", one, &status, &body), MM_OK);
}

static enum mm_err
count_doc(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	(void)row, (void)next, (void)why;
	++*(unsigned *)ctx;
	return MM_OK;
}

static void
put_begun(struct rig *r, const char *key, const char *node, int64_t at)
{
	char body[256];
	struct mm_why why = { 0 };
	struct mm_op_doc doc = { .kind = MM_DOC_BEGUN,
		.expect = MM_DOC_ANY };

	strcpy(doc.id, key);
	snprintf(body, sizeof(body), "{\"sha256\":\"01%062d\",\"node\":"
	    "\"%s\",\"session\":\"00\",\"at\":%lld}", 0, node, (long long)at);
	doc.body = mm_bytes_of(body);
	assert_int_equal(mm_desk_doc_put(r->desk, &doc, NULL, 0, &why), MM_OK);
}

/* Under a lease that is nobody's: whose clock it was by does not matter. */
static void
answers_begun_elsewhere(void **state)
{
	static const uint8_t sha[32] = { 1 };
	const int64_t now = mm_now_ms(), day = 86400000;
	const struct {
		int64_t ago;
		enum mm_err want;
	} rows[] = {
		{ -day, MM_EUNSURE }, { 0, MM_EUNSURE },
		{ day - 60000, MM_EUNSURE }, { day + 1, MM_ENOTFOUND },
	};
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(1024);
	struct rig *r = *state;
	struct mm_why why = { 0 };
	uint64_t v;
	int status;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_begun(r, "op:c", "b", now - rows[i].ago);
		assert_int_equal(find(r, "op:c", sha, &status, &body),
		    rows[i].want);
	}
	/* what is over is begun anew */
	assert_int_equal(mm_desk_answer_start(r->desk, "op:c", sha, &v, &why),
	    MM_OK);
	assert_int_equal(find(r, "op:c", sha, &status, &body), MM_EUNSURE);
}

static unsigned
begun(struct rig *r, const char *prefix)
{
	const struct mm_list l = { .most = 1000, .state = -1 };
	unsigned n = 0;

	assert_int_equal(mm_list_docs(mm_desk_reader(r->desk), MM_DOC_BEGUN,
	    prefix, &l, count_doc, &n, NULL), MM_OK);
	return n;
}

/* However many stand before them. */
static void
answers_that_are_over_go(void **state)
{
	struct rig *r = *state;
	const int64_t now = mm_now_ms(), day = 86400000;
	char key[32];

	for (unsigned i = 0; i < 250; i++) {
		snprintf(key, sizeof(key), "tidy:%03u", i);
		put_begun(r, key, "b", i < 120 ? now : now - day - 1);
	}
	r->core->tidy_at = 0;
	mm_desk_housekeeping(r->desk);
	assert_int_equal(begun(r, "tidy:"), 120);
}

/* What did nothing while the store was away is as if it had not been, once it
 * is back; a later one under the same key stays. */
static void
forgotten_later(void **state)
{
	static const uint8_t sha[32] = { 5 };
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(1024);
	struct rig *r = *state;
	struct mm_why why = { 0 };
	uint64_t v, w;
	sqlite3 *db;
	int status;

	assert_int_equal(mm_desk_answer_start(r->desk, "f:a", sha, &v, &why),
	    MM_OK);
	assert_int_equal(mm_desk_answer_start(r->desk, "f:b", sha, &w, &why),
	    MM_OK);
	db = rig_lock_store(r);
	assert_int_equal(mm_desk_answer_forget(r->desk, "f:a", v, NULL),
	    MM_EAGAIN);
	assert_int_equal(mm_desk_answer_forget(r->desk, "f:b", w, NULL),
	    MM_EAGAIN);
	assert_int_equal(find(r, "f:a", sha, &status, &body), MM_EAGAIN);
	rig_unlock_store(db);
	rig_wait_ready(r);
	assert_int_equal(find(r, "f:a", sha, &status, &body), MM_ENOTFOUND);
	put_begun(r, "f:b", "b", mm_now_ms());
	mm_desk_housekeeping(r->desk);
	assert_int_equal(begun(r, "f:"), 1);
	assert_int_equal(r->core->nforgets, 0);
}

/* A forget that comes late takes away no other call's, though that one began
 * under the same key and on an empty place too. */
static void
forgets_its_own_only(void **state)
{
	static const uint8_t sha[32] = { 6 };
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(1024);
	struct rig *r = *state;
	struct mm_why why = { 0 };
	uint64_t v, w;
	int status;

	assert_int_equal(mm_desk_answer_start(r->desk, "l:a", sha, &v, &why),
	    MM_OK);
	assert_int_equal(mm_desk_answer_forget(r->desk, "l:a", v, &why),
	    MM_OK);
	assert_int_equal(mm_desk_answer_start(r->desk, "l:a", sha, &w, &why),
	    MM_OK);
	assert_int_equal(mm_desk_answer_forget(r->desk, "l:a", v, &why),
	    MM_OK);
	mm_forget_later(r->core, "l:a", v);
	mm_desk_housekeeping(r->desk);
	assert_int_equal(r->core->nforgets, 0);
	assert_int_equal(begun(r, "l:"), 1);
	assert_int_equal(find(r, "l:a", sha, &status, &body), MM_EUNSURE);
	assert_int_equal(mm_desk_answer_forget(r->desk, "l:a", w, &why),
	    MM_OK);
	assert_int_equal(begun(r, "l:"), 0);
}

struct forgetting {
	struct rig *r;
	atomic_bool end;
};

static void *
forget_and_again(void *arg)
{
	struct forgetting *f = arg;

	while (!atomic_load(&f->end)) {
		(void)!mm_forget_all(f->r->core, NULL);
		usleep(1000);
	}
	return NULL;
}

/* Who comes with a key that housekeeping is forgetting this moment is told to
 * come again, not that it is unknown what became of it. */
static void
being_forgotten(void **state)
{
	static const uint8_t sha[32] = { 7 };
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(1024);
	struct rig *r = *state;
	struct forgetting f = { .r = r };
	pthread_t thread;
	struct mm_why why;
	sqlite3 *db;
	uint64_t v;
	int status;

	assert_int_equal(mm_desk_answer_start(r->desk, "b:a", sha, &v, NULL),
	    MM_OK);
	mm_forget_later(r->core, "b:a", v);
	db = rig_lock_store(r);
	assert_int_equal(pthread_create(&thread, NULL, forget_and_again, &f),
	    0);
	do {
		usleep(10000); /* the other's turn */
		why = (struct mm_why){ 0 };
		assert_int_equal(mm_desk_answer_find(r->desk, "b:a", sha,
		    &status, &body, &why), MM_EAGAIN);
	} while (strstr(why.text, "being forgotten") == NULL);
	rig_unlock_store(db);
	rig_wait_ready(r);
	atomic_store(&f.end, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(find(r, "b:a", sha, &status, &body), MM_ENOTFOUND);
	assert_int_equal(begun(r, "b:"), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_in_flight),
		cmocka_unit_test(answers_begun),
		cmocka_unit_test(answers_begun_elsewhere),
		cmocka_unit_test(answers_that_are_over_go),
		cmocka_unit_test(forgotten_later),
		cmocka_unit_test(forgets_its_own_only),
		cmocka_unit_test(being_forgotten),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
