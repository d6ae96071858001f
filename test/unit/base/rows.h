#ifndef TEST_ROWS_H
#define TEST_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A test's table and its length, for a loop over the rows. */
#define ROWS(t) (sizeof(t) / sizeof((t)[0]))
/* Names the row that fails: cmocka's own message has only the values. */
#define ROW(what, ...)                                   \
	do {                                             \
		if (!(__VA_ARGS__))                      \
			fail_msg("row \"%s\": %s", what, \
			    #__VA_ARGS__);               \
	} while (0)

#endif
