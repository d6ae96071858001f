/* PINs that were refused: provider/places.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "provider/places.h"

static struct mm_bytes
pin(const char *text)
{
	return mm_bytes_of(text);
}

/* A token of that number. */
static const uint8_t *
token(unsigned i)
{
	static uint8_t t[8][MM_PROVIDER_TOKEN];

	t[i][0] = (uint8_t)(i + 1);
	return t[i];
}

static void
in_a_process(void **state)
{
	(void)state;
	assert_false(mm_provider_pin_refused(token(0), pin("0000")));
	mm_provider_pin_note(token(0), pin("0000"), true);
	assert_true(mm_provider_pin_refused(token(0), pin("0000")));
	assert_false(mm_provider_pin_refused(token(0), pin("0001")));
	assert_false(mm_provider_pin_refused(token(1), pin("0000")));
	mm_provider_pin_note(token(1), pin("0000"), true);
	mm_provider_pin_note(token(0), pin("0001"), true);
	assert_true(mm_provider_pin_refused(token(0), pin("0001")));
	assert_true(mm_provider_pin_refused(token(1), pin("0000")));
	mm_provider_pin_note(token(0), pin("4471"), false);
	assert_false(mm_provider_pin_refused(token(0), pin("0001")));
	mm_provider_pin_note(token(1), pin("4471"), false);
}

/* The memory is of four tokens, the folder of all. */
static void
in_a_folder(void **state)
{
	char dir[] = "/tmp/test_pins.XXXXXX", path[64];
	const struct mm_bytes damaged = mm_bytes_of("x");

	(void)state;
	assert_non_null(mkdtemp(dir));
	mm_provider_pin_notes(dir);
	for (unsigned i = 0; i < 8; i++)
		mm_provider_pin_note(token(i), pin("0000"), true);
	for (unsigned i = 0; i < 8; i++) {
		assert_true(mm_provider_pin_refused(token(i), pin("0000")));
		assert_false(mm_provider_pin_refused(token(i), pin("1")));
	}
	(void)snprintf(path, sizeof(path), "%s/pin-refused-0100000000000000",
	    dir);
	assert_int_equal(mm_file_replace(path, damaged, 0600, NULL), MM_OK);
	assert_false(mm_provider_pin_refused(token(0), pin("0000")));
	for (unsigned i = 0; i < 8; i++)
		mm_provider_pin_note(token(i), pin("4471"), false);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_a_process),
		cmocka_unit_test(in_a_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
