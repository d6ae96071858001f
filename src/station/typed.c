#include <string.h>

#include "base/secret.h"
#include "station/shift.h"

/*
 * Lines as they come in, in their order at each door.  Where people badge in,
 * one that may be a badge is compared first, and those behind it wait; all
 * others go on at once.  After too many wrong ones it is refused instead of
 * holding up what comes behind it; but where no serial numbers are known it
 * may well be a label, and some of these wait for their second.
 */
enum { PATIENT_N = MM_FIXTURES_MOST };

static void
say(struct mm_shift *s, enum mm_no no)
{
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_NO, .no = no });
}

/* Whom a batch names is known, and that it names somebody. */
static bool
may_be_badge(struct mm_shift *s, const char *text)
{
	const struct mm_crew *c = s->line.crew;

	return mm_crew_asks(c) && mm_crew_unknown(c) == MM_UR_NONE &&
	    text[0] != '!' && !mm_shift_is_label(s, text);
}

static bool
may_be_label(struct mm_shift *s, const char *text)
{
	return mm_line_label(&s->line, text) == MM_CREW_MAYBE_LABEL;
}

static size_t
lines_of(const struct mm_shift_typed *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += t->text[i] == '\0';
	return n;
}

static bool
is_too_fast(struct mm_shift *s, enum mm_crew_door door, const char *text)
{
	return may_be_badge(s, text) && !mm_crew_may(s->line.crew, door) &&
	    (!may_be_label(s, text) ||
		lines_of(&s->typed[door]) > PATIENT_N);
}

static void
take(struct mm_shift *s, enum mm_crew_door door, const char *text)
{
	const struct mm_crew *c = s->line.crew;
	bool words = mm_crew_asks(c) || mm_crew_unknown(c) != MM_UR_NONE;

	if (text[0] == '!' && words)
		mm_shift_word(s, door, text + 1);
	else if (mm_shift_is_word(text))
		say(s, MM_NO_PEOPLE);
	else
		mm_shift_label(s, text);
}

/* true: it was somebody's. */
static bool
take_badge(struct mm_shift *s, enum mm_crew_door door,
    const struct mm_crew_badge *b)
{
	if (b->id[0] == '\0')
		return false;
	mm_crew_came(s->line.crew, door, b);
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_CREW });
	return true;
}

static void
drop_first(struct mm_shift_typed *t)
{
	size_t n = strlen(t->text) + 1;

	memmove(t->text, t->text + n, t->n - n);
	mm_wipe(t->text + t->n - n, n);
	t->n -= n;
	t->ticket = 0;
}

/* false: it waits. */
static bool
go_on(struct mm_shift *s, enum mm_crew_door door)
{
	struct mm_shift_typed *t = &s->typed[door];
	struct mm_crew_badge b = { .id = "" };

	if (t->ticket == 0 && is_too_fast(s, door, t->text)) {
		say(s, MM_NO_ROOM);
		drop_first(t);
		return true;
	}
	if (t->ticket == 0 && may_be_badge(s, t->text)) {
		t->ticket = mm_crew_ask(s->line.crew, door,
		    mm_bytes_of(t->text));
		return false;
	}
	if (t->ticket != 0 && !mm_crew_look(s->line.crew, t->ticket, &b))
		return false;
	if (!take_badge(s, door, &b))
		take(s, door, t->text);
	drop_first(t);
	return true;
}

/* see shift.h */
void
mm_shift_go_on_typing(struct mm_shift *s)
{
	for (unsigned door = 0; door < MM_DOORS; door++)
		while (s->typed[door].n > 0 && go_on(s, door))
			continue;
}

/* see shift.h */
bool
mm_shift_takes(const struct mm_shift *s, enum mm_crew_door door, size_t n)
{
	return s->typed[door].n + n <= sizeof(s->typed[door].text);
}

/* see shift.h */
bool
mm_shift_typing(const struct mm_shift *s, enum mm_crew_door door)
{
	return s->typed[door].n > 0;
}

/* see shift.h */
bool
mm_shift_type(struct mm_shift *s, enum mm_crew_door door, const char *text)
{
	struct mm_shift_typed *t = &s->typed[door];
	size_t n = strlen(text) + 1;

	if (n == 1)
		return true;
	if (n > MM_SHIFT_LINE) {
		say(s, MM_NO_LABEL);
		return true;
	}
	if (!mm_shift_takes(s, door, n) ||
	    (t->n == 0 && is_too_fast(s, door, text)))
		return false;
	memcpy(t->text + t->n, text, n);
	t->n += n;
	while (t->n > 0 && go_on(s, door))
		continue;
	return true;
}
