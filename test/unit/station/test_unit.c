#include "../base/rows.h"
#include "station/unit.h"

/*
 * The table of edges, over all pairs of state and event.  What stands here was
 * written from the design, not from the table: S scan, D done, K skip, A again,
 * F fail, H hold, T stop, R restart, L release, X scrap, O adopt.
 */
struct want {
	enum mm_unit_state from;
	const char *events;
	enum mm_unit_state to[5];
};

static const char letters[MM_EVENTS + 1] = "SDKAFHTRLXO";

#define ENDS "FHTR"
static const struct want wants[] = {
	{ MM_UNIT_IDLE, "SO", { MM_UNIT_SCANNED, MM_UNIT_CLAIMED } },
	{ MM_UNIT_SCANNED, "D", { MM_UNIT_IDENTIFIED } },
	{ MM_UNIT_IDENTIFIED, "D", { MM_UNIT_ADMITTED } },
	{ MM_UNIT_ADMITTED, "DK", { MM_UNIT_KEYED, MM_UNIT_KEYED } },
	{ MM_UNIT_KEYED, "D", { MM_UNIT_REQUESTED } },
	{ MM_UNIT_REQUESTED, "DK", { MM_UNIT_ISSUED, MM_UNIT_WRITTEN } },
	{ MM_UNIT_ISSUED, "D", { MM_UNIT_STORED } },
	{ MM_UNIT_STORED, "DA", { MM_UNIT_WRITTEN, MM_UNIT_ISSUED } },
	{ MM_UNIT_WRITTEN, "D", { MM_UNIT_READ } },
	{ MM_UNIT_READ, "D", { MM_UNIT_PROVED } },
	{ MM_UNIT_PROVED, "DK", { MM_UNIT_CONFIRMED, MM_UNIT_CONFIRMED } },
	{ MM_UNIT_CONFIRMED, "DK", { MM_UNIT_LOCKED, MM_UNIT_CHECKED } },
	{ MM_UNIT_LOCKED, "D", { MM_UNIT_CHECKED } },
	{ MM_UNIT_CHECKED, "D", { MM_UNIT_RECORDED } },
	{ MM_UNIT_RECORDED, "DK", { MM_UNIT_PASSED, MM_UNIT_PASSED } },
	{ MM_UNIT_PASSED, "SX", { MM_UNIT_SCANNED, MM_UNIT_SCRAPPED } },
	{ MM_UNIT_FAILED, "SXO", { MM_UNIT_SCANNED, MM_UNIT_SCRAPPED,
	    MM_UNIT_CLAIMED } },
	{ MM_UNIT_INTERRUPTED, "SXO", { MM_UNIT_SCANNED, MM_UNIT_SCRAPPED,
	    MM_UNIT_CLAIMED } },
	{ MM_UNIT_QUARANTINED, "LX", { MM_UNIT_FAILED, MM_UNIT_SCRAPPED } },
	{ MM_UNIT_SCRAPPED, "", { MM_UNIT_IDLE } },
	{ MM_UNIT_CLAIMED, "D", { MM_UNIT_ANSWERED } },
	{ MM_UNIT_ANSWERED, "D", { MM_UNIT_FETCHED } },
	{ MM_UNIT_FETCHED, "D", { MM_UNIT_SHOWN } },
	{ MM_UNIT_SHOWN, "D", { MM_UNIT_IDENTIFIED } },
};

static bool
is_over(enum mm_unit_state s)
{
	return s == MM_UNIT_IDLE ||
	    (s >= MM_UNIT_PASSED && s <= MM_UNIT_SCRAPPED);
}

static enum mm_unit_state
wanted(enum mm_unit_state s, enum mm_unit_event e)
{
	static const enum mm_unit_state ends[] = { MM_UNIT_FAILED,
		MM_UNIT_QUARANTINED, MM_UNIT_INTERRUPTED,
		MM_UNIT_INTERRUPTED };
	const struct want *w = &wants[s];
	const char *at = strchr(w->events, letters[e]);
	const char *end = strchr(ENDS, letters[e]);

	assert_int_equal(w->from, s);
	if (at != NULL)
		return w->to[at - w->events];
	return end != NULL && !is_over(s) ? ends[end - ENDS] : MM_UNIT_STATES;
}

static void
every_state_with_every_event(void **state)
{
	(void)state;
	assert_int_equal(ROWS(wants), MM_UNIT_STATES);
	for (unsigned s = 0; s < MM_UNIT_STATES; s++)
		for (unsigned e = 0; e < MM_EVENTS; e++) {
			enum mm_unit_state got = mm_unit_next(
			    (enum mm_unit_state)s, (enum mm_unit_event)e);

			if (got != wanted((enum mm_unit_state)s,
			    (enum mm_unit_event)e))
				fail_msg("%s x %s: state %u",
				    mm_unit_state_names[s],
				    mm_unit_event_names[e], got);
		}
}

static void
a_unit_ends_and_each_effect_is_done_once(void **state)
{
	bool done[MM_EFFECTS] = { false };
	enum mm_unit_state s = MM_UNIT_IDLE;
	unsigned n = 0;

	(void)state;
	s = mm_unit_next(s, MM_EV_SCAN);
	for (; mm_unit_active(s); n++) {
		assert_true(n < MM_UNIT_STATES);
		assert_false(done[mm_unit_effect(s)]);
		done[mm_unit_effect(s)] = true;
		s = mm_unit_next(s, MM_EV_DONE);
	}
	assert_int_equal(s, MM_UNIT_PASSED);
	assert_int_equal(n, MM_DO_LABEL);
}

/* Nothing is locked that was not read back, proved and confirmed. */
static void
what_cannot_be_undone_is_written_down_first(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MM_UNIT_STATES; i++) {
		enum mm_unit_state s = (enum mm_unit_state)i;
		enum mm_unit_effect e = mm_unit_effect(s);
		bool must = e == MM_DO_ISSUE || e == MM_DO_COMMIT ||
		    e == MM_DO_LOCK || e == MM_DO_LABEL ||
		    e == MM_DO_ADOPT || e == MM_DO_NOTHING;

		assert_int_equal(mm_unit_syncs(s), must);
		assert_int_equal(mm_unit_active(s), !is_over(s));
	}
	for (unsigned i = 0; i < MM_UNIT_STATES; i++)
		for (unsigned e = 0; e < MM_EVENTS; e++)
			if (mm_unit_next((enum mm_unit_state)i,
			    (enum mm_unit_event)e) == MM_UNIT_LOCKED)
				assert_int_equal(i, MM_UNIT_CONFIRMED);
}

/* What only a label tells does not make a unit that was made one that was
 * not. */
static void
what_passed_stays_so_until_its_board_says_otherwise(void **state)
{
	static const struct {
		const char *what;
		enum mm_unit_was was;
		enum mm_unit_state at;
		enum mm_unit_event event;
		enum mm_unit_reason why;
		enum mm_unit_state want;
	} rows[] = {
		{ "new, no board", MM_UNIT_WAS_NOTHING, MM_UNIT_SCANNED,
		    MM_EV_FAIL, MM_UR_NO_PORT, MM_UNIT_FAILED },
		{ "no board", MM_UNIT_WAS_PASSED, MM_UNIT_SCANNED, MM_EV_FAIL,
		    MM_UR_NO_PORT, MM_UNIT_PASSED },
		{ "the neighbour's", MM_UNIT_WAS_PASSED, MM_UNIT_SCANNED,
		    MM_EV_FAIL, MM_UR_KEY_TAKEN, MM_UNIT_PASSED },
		{ "an unknown board", MM_UNIT_WAS_PASSED, MM_UNIT_SCANNED,
		    MM_EV_HOLD, MM_UR_OTHER_BOARD, MM_UNIT_QUARANTINED },
		{ "no centre", MM_UNIT_WAS_PASSED, MM_UNIT_REQUESTED,
		    MM_EV_FAIL, MM_UR_AWAY, MM_UNIT_PASSED },
		{ "switched off", MM_UNIT_WAS_PASSED, MM_UNIT_WRITTEN,
		    MM_EV_RESTART, MM_UR_INTERRUPTED, MM_UNIT_PASSED },
		{ "new, switched off", MM_UNIT_WAS_NOTHING, MM_UNIT_WRITTEN,
		    MM_EV_RESTART, MM_UR_INTERRUPTED, MM_UNIT_INTERRUPTED },
		{ "stopped", MM_UNIT_WAS_PASSED, MM_UNIT_READ, MM_EV_STOP,
		    MM_UR_STOPPED, MM_UNIT_PASSED },
		{ "it cannot prove it", MM_UNIT_WAS_PASSED, MM_UNIT_READ,
		    MM_EV_FAIL, MM_UR_PROOF, MM_UNIT_FAILED },
		{ "it goes on", MM_UNIT_WAS_PASSED, MM_UNIT_SCANNED,
		    MM_EV_DONE, MM_UR_NONE, MM_UNIT_IDENTIFIED },
		{ "thrown away", MM_UNIT_WAS_PASSED, MM_UNIT_PASSED,
		    MM_EV_SCRAP, MM_UR_NONE, MM_UNIT_SCRAPPED },
		{ "not to be", MM_UNIT_WAS_PASSED, MM_UNIT_PASSED, MM_EV_FAIL,
		    MM_UR_NO_PORT, MM_UNIT_STATES },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_unit u = { .state = rows[i].at, .was = rows[i].was };

		ROW(rows[i].what, mm_unit_after(&u, rows[i].event,
		    rows[i].why) == rows[i].want);
	}
}

/* ---- what a device says ---- */

#define HASH(c) { c, c, c, c }
static const struct mm_unit_rules strict = { true, false },
	lenient = { true, true };

static void
a_label_belongs_to_one_key_of_one_board(void **state)
{
	static const struct {
		const char *what, *hw, *said_hw;
		uint8_t spki, cert, said_spki;
		const struct mm_unit_rules *rules;
		enum mm_unit_event want;
		enum mm_unit_reason why;
	} rows[] = {
		{ "new and blank", "", "aa", 0, 0, 0, &strict, MM_EV_DONE,
		    MM_UR_NONE },
		{ "new, with a key", "", "aa", 0, 0, 1, &strict, MM_EV_DONE,
		    MM_UR_NONE },
		{ "failed before its key", "aa", "bb", 0, 0, 2, &strict,
		    MM_EV_DONE, MM_UR_NONE },
		{ "failed before its certificate", "aa", "bb", 1, 0, 2,
		    &strict, MM_EV_DONE, MM_UR_NONE },
		{ "comes back", "aa", "aa", 1, 9, 1, &strict, MM_EV_DONE,
		    MM_UR_NONE },
		{ "another board", "aa", "bb", 1, 9, 2, &strict, MM_EV_HOLD,
		    MM_UR_OTHER_BOARD },
		{ "a cloned key", "aa", "bb", 1, 9, 1, &strict, MM_EV_HOLD,
		    MM_UR_OTHER_BOARD },
		{ "another key", "aa", "aa", 1, 9, 2, &strict, MM_EV_HOLD,
		    MM_UR_OTHER_KEY },
		{ "no key any more", "aa", "aa", 1, 9, 0, &strict, MM_EV_HOLD,
		    MM_UR_KEY_GONE },
		{ "a developer's board", "aa", "aa", 1, 9, 0, &lenient,
		    MM_EV_DONE, MM_UR_NONE },
		{ "a developer's other board", "aa", "bb", 1, 9, 2, &lenient,
		    MM_EV_DONE, MM_UR_NONE },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_unit u = { .state = MM_UNIT_SCANNED };
		struct mm_unit_said said = { .has_key = rows[i].said_spki };
		enum mm_unit_reason why = MM_UR_NONE;
		bool same;

		strcpy(u.hw, rows[i].hw);
		strcpy(said.hw, rows[i].said_hw);
		memset(u.spki, rows[i].spki, 32);
		memset(u.cert, rows[i].cert, 32);
		memset(said.spki, rows[i].said_spki, 32);
		same = strcmp(u.hw, said.hw) == 0 &&
		    memcmp(u.spki, said.spki, 32) == 0;
		ROW(rows[i].what, mm_unit_hear(&u, &said, rows[i].rules,
		    &why) == rows[i].want);
		ROW(rows[i].what, why == rows[i].why);
		if (rows[i].want != MM_EV_DONE)
			continue;
		ROW(rows[i].what, strcmp(u.hw, said.hw) == 0);
		ROW(rows[i].what, memcmp(u.spki, said.spki, 32) == 0);
		/* A certificate is known only beside its own key. */
		ROW(rows[i].what, u.cert[0] == (same ? rows[i].cert : 0));
	}
}

static void
a_key_does_not_change_under_way(void **state)
{
	static const uint8_t one[32] = HASH(1), two[32] = HASH(2);
	struct mm_unit u = { .state = MM_UNIT_ADMITTED };
	enum mm_unit_reason why = MM_UR_NONE;

	(void)state;
	assert_int_equal(mm_unit_hear_key(&u, one, &why), MM_EV_DONE);
	assert_int_equal(mm_unit_hear_key(&u, one, &why), MM_EV_DONE);
	assert_int_equal(mm_unit_hear_key(&u, two, &why), MM_EV_FAIL);
	assert_int_equal(why, MM_UR_KEY_CHANGED);
	assert_memory_equal(u.spki, one, 32);
}

static void
a_certificate_is_written_or_there(void **state)
{
	static const uint8_t one[32] = HASH(1), two[32] = HASH(2);
	struct mm_unit u = { .state = MM_UNIT_REQUESTED };
	struct mm_unit_said said = { .has_cert = false };
	enum mm_unit_reason why = MM_UR_NONE;

	(void)state;
	assert_int_equal(mm_unit_take_cert(&u, &said, one, &why), MM_EV_DONE);
	assert_memory_equal(u.cert, one, 32);
	said.has_cert = true;
	memcpy(said.cert, two, 32);
	assert_int_equal(mm_unit_take_cert(&u, &said, one, &why), MM_EV_DONE);
	memcpy(said.cert, one, 32);
	assert_int_equal(mm_unit_take_cert(&u, &said, one, &why), MM_EV_SKIP);
	said.locked = true;
	assert_int_equal(mm_unit_take_cert(&u, &said, one, &why), MM_EV_SKIP);
	assert_int_equal(mm_unit_take_cert(&u, &said, two, &why), MM_EV_HOLD);
	assert_int_equal(why, MM_UR_LOCKED_OTHER);
	assert_memory_equal(u.cert, one, 32);
}

static void
it_is_read_back(void **state)
{
	static const uint8_t one[32] = HASH(1), two[32] = HASH(2);
	struct mm_unit u = { .hw = "aa" };
	struct mm_unit_said said = { .hw = "aa", .has_cert = true };
	enum mm_unit_reason why = MM_UR_NONE;

	(void)state;
	memcpy(u.cert, one, 32);
	memcpy(said.cert, one, 32);
	assert_int_equal(mm_unit_read_back(&u, &said, false, &why),
	    MM_EV_DONE);
	assert_int_equal(mm_unit_read_back(&u, &said, true, &why),
	    MM_EV_FAIL);
	assert_int_equal(why, MM_UR_NOT_LOCKED);
	said.locked = true;
	assert_int_equal(mm_unit_read_back(&u, &said, true, &why),
	    MM_EV_DONE);
	memcpy(said.cert, two, 32);
	assert_int_equal(mm_unit_read_back(&u, &said, true, &why),
	    MM_EV_FAIL);
	assert_int_equal(why, MM_UR_READ_BACK);
	strcpy(said.hw, "bb");
	assert_int_equal(mm_unit_read_back(&u, &said, true, &why),
	    MM_EV_FAIL);
	assert_int_equal(why, MM_UR_SWAPPED);
}

static void
reasons_have_words(void **state)
{
	(void)state;
	for (unsigned i = 1; i < MM_UNIT_REASONS; i++) {
		const struct mm_unit_reason_text *r = &mm_unit_reasons[i];

		ROW(r->code, r->code[0] != '\0' && r->what[0] != '\0' &&
		    r->todo[0] != '\0' && r->exit != MM_EXIT_PASSED);
		for (unsigned j = 1; j < i; j++)
			ROW(r->code, strcmp(r->code,
			    mm_unit_reasons[j].code) != 0);
	}
}

/* What a row says of the label: one that may be out is never forgotten. */
static void
labels_are_counted_before_they_are_sent(void **state)
{
	static const struct {
		const char *what;
		enum mm_unit_label label;
		uint64_t labels;
		enum mm_unit_was was;
		bool prints;
		enum mm_unit_event event;
		enum mm_unit_reason why;
		enum mm_unit_label begun, then;
		uint64_t n;
	} rows[] = {
#define NONE  MM_UNIT_LABEL_NONE
#define BEGUN MM_UNIT_LABEL_BEGUN
#define DONE  MM_UNIT_LABEL_PRINTED
#define NEW   MM_UNIT_WAS_NOTHING
#define MADE  MM_UNIT_WAS_PASSED
		{ "no printer", NONE, 0, NEW, false, MM_EV_SKIP, MM_UR_NONE,
		    NONE, NONE, 0 },
		{ "printed", NONE, 0, NEW, true, MM_EV_DONE, MM_UR_NONE,
		    BEGUN, DONE, 1 },
		{ "away", NONE, 0, NEW, true, MM_EV_FAIL, MM_UR_PRINTER,
		    BEGUN, NONE, 0 },
		{ "cut off", NONE, 0, NEW, true, MM_EV_FAIL,
		    MM_UR_LABEL_UNSURE, BEGUN, BEGUN, 1 },
		{ "switched off", NONE, 0, NEW, true, MM_EV_RESTART,
		    MM_UR_INTERRUPTED, BEGUN, BEGUN, 1 },
		{ "stopped", NONE, 0, NEW, true, MM_EV_STOP, MM_UR_STOPPED,
		    BEGUN, BEGUN, 1 },
		{ "after a cut", BEGUN, 1, NEW, true, MM_EV_DONE, MM_UR_NONE,
		    BEGUN, DONE, 2 },
		{ "after a cut, away", BEGUN, 1, NEW, true, MM_EV_FAIL,
		    MM_UR_PRINTER, BEGUN, BEGUN, 1 },
		{ "it has one", DONE, 1, MADE, true, MM_EV_SKIP, MM_UR_NONE,
		    DONE, DONE, 1 },
		{ "its record says that it passed", NONE, 0, MADE, true,
		    MM_EV_SKIP, MM_UR_NONE, NONE, NONE, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mm_unit u = { .state = MM_UNIT_RECORDED,
			.label = rows[i].label, .labels = rows[i].labels,
			.was = rows[i].was };

		mm_unit_note_label(&u, rows[i].prints, MM_UNIT_CHECKED,
		    MM_EV_DONE, MM_UR_NONE);
		ROW(rows[i].what, u.label == rows[i].begun);
		u.state = mm_unit_next(u.state, rows[i].event);
		mm_unit_note_label(&u, rows[i].prints, MM_UNIT_RECORDED,
		    rows[i].event, rows[i].why);
		ROW(rows[i].what, u.label == rows[i].then &&
		    u.labels == rows[i].n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_state_with_every_event),
		cmocka_unit_test(a_unit_ends_and_each_effect_is_done_once),
		cmocka_unit_test(what_cannot_be_undone_is_written_down_first),
		cmocka_unit_test(
		    what_passed_stays_so_until_its_board_says_otherwise),
		cmocka_unit_test(a_label_belongs_to_one_key_of_one_board),
		cmocka_unit_test(a_key_does_not_change_under_way),
		cmocka_unit_test(a_certificate_is_written_or_there),
		cmocka_unit_test(it_is_read_back),
		cmocka_unit_test(reasons_have_words),
		cmocka_unit_test(labels_are_counted_before_they_are_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
