#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../base/rows.h"
#include "base/file.h"
#include "base/text.h"
#include "station/crew_priv.h"
#include "station/shift.h"

/* What comes in at a door where people badge in: in its order, wiped, and
 * nothing is held up by what was guessed. */
static char folder[] = "/tmp/mintmark-typed-XXXXXX";
static struct mm_station_conf conf = { .batch = "b7",
	.offline = MM_OFFLINE_NEVER };
static const char badge[] = "0012345678";
enum { TRIES = 30000 };

struct heard {
	char words[512]; /* "crew", or what it leads to; a blank behind each */
};

static void
hear(void *ctx, const struct mm_shift *s, const struct mm_said *what)
{
	struct heard *h = ctx;
	size_t n = strlen(h->words);

	(void)s;
	snprintf(h->words + n, sizeof(h->words) - n, "%s ",
	    what->kind == MM_SAID_CREW ? "crew" : mm_nos[what->no].code);
}

static void
keep_people_of(const char *serials)
{
	static const uint8_t salt[16] = { 1 };
	char text[512], hex[65], path[sizeof(conf.state) + 16];
	uint8_t hash[32];

	assert_int_equal(
	    mm_work_badge(mm_bytes_of(badge), salt, hash, NULL), MM_OK);
	mm_hex_text(hash, sizeof(hash), hex);
	snprintf(text, sizeof(text),
	    "{\"batch\":\"b7\",\"locks\":true,"
	    "\"replaces\":false,%s\"badge_salt\":"
	    "\"01000000000000000000000000000000\",\"people\":[{\"id\":\"op-1\""
	    ",\"role\":\"operator\",\"badge\":\"%s\"}]}",
	    serials, hex);
	snprintf(path, sizeof(path), "%s/people-b7", conf.state);
	assert_int_equal(
	    mm_file_replace(path, mm_bytes_of(text), 0600, NULL), MM_OK);
}

/* Without a board: a label leads to "no-fixture-free". */
static struct mm_shift *
fresh(const char *serials, struct heard *h)
{
	static struct mm_shift s;

	keep_people_of(serials);
	memset(&s, 0, sizeof(s));
	*h = (struct heard){ "" };
	s.left = s.of = -1;
	s.line.conf = &conf;
	assert_int_equal(mm_book_new(&s.line.book, NULL), MM_OK);
	assert_int_equal(
	    mm_crew_open(&conf, NULL, false, &s.line.crew, NULL), MM_OK);
	mm_shift_listen(&s, hear, h);
	return &s;
}

static void
done(struct mm_shift *s)
{
	mm_crew_close(&s->line.crew);
	mm_book_free(&s->line.book);
}

static void
all_is_taken(struct mm_shift *s)
{
	for (int i = 0; i < TRIES && (mm_shift_typing(s, MM_DOOR_TYPED) ||
					 mm_shift_typing(s, MM_DOOR_SCREEN));
	     i++) {
		mm_shift_go_on_typing(s);
		(void)usleep(1000);
	}
	assert_false(mm_shift_typing(s, MM_DOOR_TYPED));
	assert_false(mm_shift_typing(s, MM_DOOR_SCREEN));
}

static bool
is_wiped(const struct mm_shift_typed *t)
{
	char any = 0;

	for (size_t i = 0; i < sizeof(t->text); i++)
		any |= t->text[i];
	return any == 0;
}

static const char known[] = "\"serials\":\"SN-{01..99}\",";

/* A label behind a badge waits for it; one at another door, and one with
 * nothing before it, do not. */
static void
in_their_order(void **state)
{
	struct heard h;
	struct mm_shift *s = fresh(known, &h);

	(void)state;
	assert_true(mm_shift_type(s, MM_DOOR_TYPED, "SN-01"));
	assert_string_equal(h.words, "no-fixture-free ");
	assert_true(mm_shift_type(s, MM_DOOR_TYPED, badge));
	assert_true(mm_shift_type(s, MM_DOOR_TYPED, "SN-01+0"));
	assert_true(mm_shift_type(s, MM_DOOR_SCREEN, "!none"));
	assert_true(mm_shift_typing(s, MM_DOOR_TYPED));
	assert_string_equal(h.words, "no-fixture-free no-such-word ");
	all_is_taken(s);
	assert_string_equal(
	    h.words, "no-fixture-free no-such-word crew bad-count ");
	assert_string_equal(mm_crew_operator(s->line.crew), "op-1");
	assert_true(is_wiped(&s->typed[MM_DOOR_TYPED]));
	done(s);
}

/* The door where it came in pays for a wrong one, and no other. */
static void
a_wrong_one_is_charged(void **state)
{
	struct heard h;
	struct mm_shift *s = fresh(known, &h);
	const struct mm_guess *g = s->line.crew->guess;

	(void)state;
	assert_true(mm_shift_type(s, MM_DOOR_SCREEN, badge));
	all_is_taken(s);
	assert_int_equal(g[MM_DOOR_SCREEN].paid_ms, 0);
	assert_true(mm_shift_type(s, MM_DOOR_SCREEN, "guess"));
	all_is_taken(s);
	assert_true(g[MM_DOOR_SCREEN].paid_ms > 0);
	assert_int_equal(g[MM_DOOR_TYPED].paid_ms, 0);
	assert_int_equal(g[MM_DOOR_API].paid_ms, 0);
	assert_string_equal(h.words, "crew no-fixture-free ");
	done(s);
}

static void
spend(struct mm_shift *s)
{
	s->line.crew->guess[MM_DOOR_TYPED].paid_ms = INT64_MAX / 2;
}

/* Then none is compared any more at that door, and none waits: what is
 * certain to be a label goes on. */
static void
after_too_many(void **state)
{
	struct heard h;
	struct mm_shift *s = fresh(known, &h);

	(void)state;
	assert_true(mm_shift_type(s, MM_DOOR_TYPED, "guess"));
	for (int i = 0; i < 100; i++)
		assert_true(mm_shift_type(s, MM_DOOR_TYPED, "x"));
	assert_true(mm_shift_type(s, MM_DOOR_TYPED, "SN-01+0"));
	h.words[0] = '\0';
	for (int i = 0; i < TRIES && h.words[0] == '\0'; i++) {
		spend(s);
		mm_shift_go_on_typing(s);
		(void)usleep(1000);
	}
	/* the first was compared; it takes its hundred with it */
	assert_memory_equal(h.words, "no-fixture-free too-fast too-fast ", 34);
	assert_false(mm_shift_typing(s, MM_DOOR_TYPED));
	spend(s);
	h.words[0] = '\0';
	assert_false(mm_shift_type(s, MM_DOOR_TYPED, badge));
	assert_false(mm_shift_typing(s, MM_DOOR_TYPED));
	assert_true(mm_shift_type(s, MM_DOOR_TYPED, "SN-01"));
	assert_string_equal(h.words, "no-fixture-free ");
	assert_true(mm_shift_type(s, MM_DOOR_SCREEN, badge));
	all_is_taken(s);
	assert_string_equal(h.words, "no-fixture-free crew ");
	assert_true(is_wiped(&s->typed[MM_DOOR_TYPED]));
	done(s);
}

/* Where any text may be a label some wait for their second, and no more. */
static void
where_no_label_is_known(void **state)
{
	struct heard h;
	struct mm_shift *s = fresh("", &h);

	(void)state;
	spend(s);
	for (int i = 0; i < MM_FIXTURES_MOST; i++)
		assert_true(mm_shift_type(s, MM_DOOR_TYPED, "SN-77"));
	assert_string_equal(h.words, "");
	assert_true(mm_shift_type(s, MM_DOOR_TYPED, "SN-78"));
	assert_string_equal(h.words, "too-fast ");
	assert_true(mm_shift_typing(s, MM_DOOR_TYPED));
	s->line.crew->guess[MM_DOOR_TYPED].paid_ms = 0;
	s->typed[MM_DOOR_TYPED].n = sizeof("SN-77");
	all_is_taken(s);
	assert_string_equal(h.words, "too-fast no-fixture-free ");
	done(s);
}

/* Where nobody has a badge a supervisor's word is told so, and is no label;
 * what merely looks like one is. */
static void
where_nobody_has_a_badge(void **state)
{
	struct heard h;
	struct mm_shift *s = fresh(known, &h);

	(void)state;
	mm_crew_close(&s->line.crew);
	assert_true(mm_shift_type(s, MM_DOOR_TYPED, "!release SN-01 why"));
	assert_true(mm_shift_type(s, MM_DOOR_TYPED, "!out"));
	assert_string_equal(h.words, "no-people no-people ");
	assert_false(mm_shift_is_word("!released SN-01"));
	assert_false(mm_shift_is_word("release SN-01"));
	assert_false(mm_shift_is_word("!"));
	done(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_their_order),
		cmocka_unit_test(a_wrong_one_is_charged),
		cmocka_unit_test(after_too_many),
		cmocka_unit_test(where_no_label_is_known),
		cmocka_unit_test(where_nobody_has_a_badge),
	};
	char path[sizeof(conf.state) + 16];
	int failed;

	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(conf.state, sizeof(conf.state), "%s", folder);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(path, sizeof(path), "%s/people-b7", folder);
	(void)unlink(path);
	(void)rmdir(folder);
	return failed;
}
