#include <string.h>

#include "station/shift.h"

/*
 * What is typed or scanned:
 *
 *	LABEL            the first free fixture with a board in it
 *	FIXTURE LABEL    this one
 *	print LABEL      the label of what has passed, once more
 *	MMX1 ...         the work order's extension, signed
 *	LABEL+N          N boards at once: this label and the ones that follow
 */
enum { LABEL_MAX = 256 };
#define EXTENSION "MMX1 "

/* The next label: its last digits count on, as wide as they are. */
static bool
next_label(char *label)
{
	size_t i = strlen(label);

	while (i > 0 && label[i - 1] >= '0' && label[i - 1] <= '9') {
		i--;
		if (label[i] != '9') {
			label[i]++;
			return true;
		}
		label[i] = '0';
	}
	return false;
}

static void
say(struct mm_shift *s, enum mm_no no)
{
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_NO, .no = no });
}

static void
begin(struct mm_shift *s, const char *fixture, const char *label)
{
	enum mm_unit_reason reason;
	struct mm_place *p;

	(void)mm_shift_scan(s, fixture, label, &p, &reason);
}

/* A fixture of that name is the fixture. */
static bool
is_print(struct mm_shift *s, const char *word)
{
	return strcmp(word, "print") == 0 &&
	    mm_shift_place(s, "print") == NULL;
}

static void
gang(struct mm_shift *s, char *label, const char *count)
{
	int64_t n = 0;

	if (mm_int_parse(count, &n, NULL) != MM_OK || n < 1 ||
	    n > MM_FIXTURES_MOST) {
		say(s, MM_NO_GANG);
		return;
	}
	for (int64_t i = 0; i < n; i++) {
		begin(s, "", label);
		if (i + 1 < n && !next_label(label)) {
			say(s, MM_NO_COUNT);
			return;
		}
	}
}

/* see shift.h */
void
mm_shift_type(struct mm_shift *s, const char *text)
{
	char line[LABEL_MAX], *plus, *space;

	if (text[0] == '\0' || mm_shift_word(s, text))
		return;
	if (!mm_text_copy(line, sizeof(line), mm_bytes_of(text))) {
		say(s, MM_NO_LABEL);
		return;
	}
	if (strncmp(line, EXTENSION, strlen(EXTENSION)) == 0) {
		(void)mm_shift_extend(s, line);
		return;
	}
	plus = strchr(line, '+');
	space = strchr(line, ' ');
	if (plus != NULL) {
		*plus = '\0';
		gang(s, line, plus + 1);
	} else if (space != NULL) {
		*space = '\0';
		if (is_print(s, line))
			(void)mm_shift_print(s, space + 1);
		else
			begin(s, line, space + 1);
	} else {
		begin(s, "", line);
	}
}
