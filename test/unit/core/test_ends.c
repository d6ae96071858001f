#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/time.h"
#include "core/ends.h"
#include "rig.h"

/* What ends, and its alerts: core/ends.h. */
#define HOUR 3600
#define DAY  INT64_C(86400)

static const struct {
	const char *what;
	enum mm_end_kind kind;
	const char *name;
	int64_t in_s, span_s;
	unsigned more; /* alerts that it makes */
} rows[] = {
	{ "far away", MM_END_TLS, "t", 31 * DAY, 0, 0 },
	{ "within the first distance", MM_END_TLS, "t", 29 * DAY, 0, 1 },
	{ "the same once more", MM_END_TLS, "t", 29 * DAY, 0, 0 },
	{ "another end of that name", MM_END_TLS, "t", 28 * DAY, 0, 1 },
	{ "the next distance", MM_END_TLS, "t", 6 * DAY, 0, 1 },
	{ "it has ended", MM_END_TLS, "t", -DAY, 0, 1 },
	{ "what an existing CA knows us by", MM_END_EST, "i", 29 * DAY, 0, 1 },
	{ "a credential has two", MM_END_KEY, "k", 15 * DAY, 0, 0 },
	{ "... this is the first", MM_END_KEY, "k", 13 * DAY, 0, 1 },
	{ "a root is told of a year before", MM_END_ANCHOR, "r", 364 * DAY, 0,
	    1 },
	{ "cut short from tomorrow on", MM_END_CUTS_SHORT, "i", DAY, 0, 0 },
	{ "cut short since an hour", MM_END_CUTS_SHORT, "i", -HOUR, 0, 1 },
	{ "a list in its first three fifths", MM_END_CRL, "i", 10 * HOUR,
	    24 * HOUR, 0 },
	{ "a list past them", MM_END_CRL, "i", 9 * HOUR, 24 * HOUR, 1 },
	{ "a list that has ended", MM_END_CRL, "i", -HOUR, 24 * HOUR, 1 },
	{ "what is to end", MM_END_GROUP, "g", -DAY, 0, 0 },
	{ "... as is a batch", MM_END_BATCH, "b", HOUR, 0, 0 },
	{ "what joins two roots ends with the old one", MM_END_LINK, "l",
	    HOUR, 0, 0 },
};

/* The ends are of one moment: else the same would be another one. */
static void
told_once_at_each_distance(void **state)
{
	int64_t now_s = mm_now_s();
	struct rig *r = *state;
	unsigned n = rig_entries(r, "alert");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mm_end e = { .kind = rows[i].kind,
			.end_s = now_s + rows[i].in_s,
			.span_s = rows[i].span_s };
		struct mm_why why = { 0 };
		unsigned now;

		strcpy(e.name, rows[i].name);
		if (mm_desk_end_tell(r->desk, &e, &why) != MM_OK)
			fail_msg("%s: %s", rows[i].what, why.text);
		now = rig_entries(r, "alert");
		if (now != n + rows[i].more)
			fail_msg("%s: %u alerts, want %u", rows[i].what,
			    now - n, rows[i].more);
		n = now;
	}
}

static void
one_of_a_hundred_may_be_late(void **state)
{
	(void)state;
	assert_false(mm_devices_late(0, 0));
	assert_false(mm_devices_late(1, 100));
	assert_true(mm_devices_late(2, 199));
	assert_true(mm_devices_late(1, 99));
}

struct seen {
	unsigned n[MM_END_KINDS], unread;
	char key[17];
};

static enum mm_err
see(void *ctx, const struct mm_end *e, struct mm_why *why)
{
	struct seen *s = ctx;

	(void)why;
	assert_true(e->end_s > 0 && e->end_s < MM_TIME_FOREVER_S);
	s->n[e->kind]++;
	if (e->kind == MM_END_KEY)
		strcpy(s->key, e->name);
	return MM_OK;
}

static struct seen
look(struct rig *r)
{
	struct seen s = { .n = { 0 } };
	struct mm_why why = { 0 };

	if (mm_desk_each_end(r->desk, see, &s, &s.unread, &why) != MM_OK)
		fail_msg("%s", why.text);
	return s;
}

static void
a_damaged_document_hides_nothing(void **state)
{
	struct rig *r = *state;
	struct mm_op_doc doc = { .kind = MM_DOC_GROUP, .id = "bad",
		.body = mm_bytes_of("{}") };
	struct seen before = look(r), after;

	assert_int_equal(mm_desk_doc_put(r->desk, &doc, NULL, 0, NULL),
	    MM_OK);
	after = look(r);
	assert_int_equal(before.unread, 0);
	assert_int_equal(after.unread, 1);
	assert_memory_equal(before.n, after.n, sizeof(after.n));
}

/* Of keys those that have an end and are not revoked. */
static void
all_that_ends_is_listed(void **state)
{
	struct rig *r = *state;
	struct mm_operator_spec spec = { .name = "a",
		.roles = MM_ROLE_SUPPORT };
	struct mm_operator made;
	char text[80];
	struct seen before = look(r), after;

	assert_int_equal(before.n[MM_END_ISSUER], 1);
	assert_int_equal(before.n[MM_END_KEY], 0);
	assert_int_equal(mm_desk_operator_create(r->desk, &r->admin, &spec,
	    text, &made, NULL), MM_OK);
	assert_int_equal(look(r).n[MM_END_KEY], 0);
	spec.expires_at = mm_now_ms() + 1000 * DAY;
	assert_int_equal(mm_desk_operator_create(r->desk, &r->admin, &spec,
	    text, &made, NULL), MM_OK);
	after = look(r);
	assert_int_equal(after.n[MM_END_KEY], 1);
	assert_string_equal(after.key, made.id);
	assert_int_equal(mm_desk_operator_revoke(r->desk, &r->admin, made.id,
	    NULL), MM_OK);
	assert_int_equal(look(r).n[MM_END_KEY], 0);
}

/* Each kind says what it is called, and what there is to do. */
static void
every_kind_has_its_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < MM_END_KINDS; i++) {
		const struct mm_end_rule *rule = &mm_end_rules[i];

		assert_non_null(rule->word);
		assert_non_null(rule->todo);
		assert_true(rule->by != MM_END_BY_HAND ||
		    rule->reason != NULL || i == MM_END_LINK);
		assert_true(rule->by == MM_END_BY_HAND || rule->nday == 0);
		for (size_t k = 1; k < rule->nday; k++)
			assert_true(rule->day[k - 1] < rule->day[k]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_has_its_words),
		cmocka_unit_test(one_of_a_hundred_may_be_late),
		cmocka_unit_test(told_once_at_each_distance),
		cmocka_unit_test(all_that_ends_is_listed),
		cmocka_unit_test(a_damaged_document_hides_nothing),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
