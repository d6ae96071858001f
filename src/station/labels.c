#include <string.h>

#include "station/shift.h"

/*
 * What is typed or scanned:
 *
 *	LABEL            the first free fixture with a board in it
 *	FIXTURE LABEL    this one
 *	print LABEL      the label of what has passed, once more
 *	adopt LABEL      a board is taken over that no record knows; or
 *	                 adopt FIXTURE LABEL
 *	MMX1 ...         the work order's extension, signed
 *	LABEL+N          N boards at once: this label and the ones that follow
 */
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

static void
adopt(struct mm_shift *s, const char *fixture, const char *label)
{
	enum mm_unit_reason reason;
	struct mm_place *p;

	(void)mm_shift_adopt(s, fixture, label, &p, &reason);
}

/* A fixture of that name is the fixture. */
static bool
is_word(struct mm_shift *s, const char *text, const char *word)
{
	return strcmp(text, word) == 0 && mm_shift_place(s, word) == NULL;
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

/* ---- its parts ---- */

struct parts {
	char line[MM_SHIFT_LINE];
	const char *fixture; /* "" any */
	char *label, *count; /* count: NULL: one */
	bool extends, prints, adopts;
};

static bool
take_apart(struct mm_shift *s, const char *text, struct parts *p)
{
	char *plus, *space;

	*p = (struct parts){ .fixture = "" };
	if (!mm_text_copy(p->line, sizeof(p->line), mm_bytes_of(text)))
		return false;
	p->label = p->line;
	p->extends = strncmp(p->line, EXTENSION, strlen(EXTENSION)) == 0;
	plus = p->extends ? NULL : strchr(p->line, '+');
	space = p->extends ? NULL : strchr(p->line, ' ');
	if (plus != NULL) {
		*plus = '\0';
		p->count = plus + 1;
	} else if (space != NULL) {
		*space = '\0';
		p->prints = is_word(s, p->line, "print");
		p->adopts = is_word(s, p->line, "adopt");
		p->fixture = p->prints || p->adopts ? "" : p->line;
		p->label = space + 1;
	}
	space = p->adopts ? strchr(p->label, ' ') : NULL;
	if (space != NULL) {
		*space = '\0';
		p->fixture = p->label;
		p->label = space + 1;
	}
	return true;
}

/* see shift.h */
void
mm_shift_label(struct mm_shift *s, const char *text)
{
	struct parts p;

	if (!take_apart(s, text, &p))
		say(s, MM_NO_LABEL);
	else if (p.extends)
		(void)mm_shift_extend(s, p.line);
	else if (p.count != NULL)
		gang(s, p.label, p.count);
	else if (p.prints)
		(void)mm_shift_print(s, p.label);
	else if (p.adopts)
		adopt(s, p.fixture, p.label);
	else
		begin(s, p.fixture, p.label);
}

/* see shift.h */
bool
mm_shift_is_label(struct mm_shift *s, const char *text)
{
	struct parts p;

	if (!take_apart(s, text, &p))
		return false;
	if (p.extends)
		return true;
	return (p.fixture[0] == '\0' ||
		   mm_shift_place(s, p.fixture) != NULL) &&
	    mm_line_label(&s->line, p.label) == MM_CREW_A_LABEL;
}
