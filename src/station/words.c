#include <string.h>

#include "station/shift.h"

/*
 * What a supervisor types: a word behind "!", which no label begins with.
 *
 *	!release SN reason   a unit that was put aside may be tried again
 *	!scrap SN reason     a unit is thrown away
 *	!scrap-over SN reason   the same, over the scrap allowance
 *	!clock reason        this station's clock is right
 *	!out                 whoever is badged in leaves
 *
 * A decision is of the supervisor whose badge was the last thing scanned at
 * the same door, and is one: the next wants the badge again.
 */
static void
say(struct mm_shift *s, enum mm_no no)
{
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_NO, .no = no });
}

/* Up to the first space; what follows it stays. */
static char *
first(char **rest)
{
	char *word = *rest, *space = strchr(word, ' ');

	*rest = space == NULL ? word + strlen(word) : space + 1;
	if (space != NULL)
		*space = '\0';
	return word;
}

/* see shift.h */
enum mm_err
mm_shift_decide(struct mm_shift *s, const char *serial, enum mm_unit_event e,
    const struct mm_crew_decision *d, struct mm_why *why)
{
	struct mm_line *l = &s->line;

	MM_TRY(mm_line_may_decide(l, serial, e, why));
	MM_TRY(mm_crew_decide(l->crew, d, why));
	MM_TRY(mm_line_decide(l, serial, e,
	    strcmp(d->what, MM_CREW_SCRAP_OVER) == 0, why));
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_DECIDED,
			     .serial = serial });
	return MM_OK;
}

/* What it was that could not be decided. */
static enum mm_no
no_of(enum mm_err rc, const char *reason)
{
	if (rc == MM_EINPUT && reason[0] == '\0')
		return MM_NO_REASON;
	if (rc == MM_ELIMIT)
		return MM_NO_LONG;
	if (rc == MM_EPOLICY)
		return MM_NO_OVER;
	return rc == MM_ESYS || rc == MM_ENOMEM ? MM_NO_KEPT : MM_NO_DECIDE;
}

static void
decide(struct mm_shift *s, const char *by, char *rest, enum mm_unit_event e,
    const char *word)
{
	struct mm_crew_decision d = { word, first(&rest), by, rest };
	struct mm_why why = { 0 };
	enum mm_err rc;

	if (d.by[0] == '\0') {
		say(s, MM_NO_SUPERVISOR);
		return;
	}
	rc = mm_shift_decide(s, d.device, e, &d, &why);
	if (rc != MM_OK)
		say(s, no_of(rc, d.reason));
	else
		mm_crew_decided(s->line.crew);
}

static void
release(struct mm_shift *s, const char *by, char *rest)
{
	decide(s, by, rest, MM_EV_RELEASE, "release");
}

static void
scrap(struct mm_shift *s, const char *by, char *rest)
{
	decide(s, by, rest, MM_EV_SCRAP, "scrap");
}

static void
scrap_over(struct mm_shift *s, const char *by, char *rest)
{
	decide(s, by, rest, MM_EV_SCRAP, MM_CREW_SCRAP_OVER);
}

static void
clock_is_right(struct mm_shift *s, const char *by, char *rest)
{
	const struct mm_crew_decision d = { "clock", "", by, rest };
	enum mm_err rc;

	if (d.by[0] == '\0') {
		say(s, MM_NO_SUPERVISOR);
		return;
	}
	rc = mm_crew_decide(s->line.crew, &d, NULL);
	if (rc != MM_OK) {
		say(s, no_of(rc, d.reason));
		return;
	}
	s->line.accept_clock = true;
	mm_crew_decided(s->line.crew);
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_CREW });
}

static void
leave(struct mm_shift *s, const char *by, char *rest)
{
	(void)by, (void)rest;
	mm_crew_leave(s->line.crew);
	mm_shift_tell(s, &(struct mm_said){ .kind = MM_SAID_CREW });
}

static const struct {
	const char *word;
	void (*does)(struct mm_shift *s, const char *by, char *rest);
} words[] = {
	{ "release", release },
	{ "scrap", scrap },
	{ MM_CREW_SCRAP_OVER, scrap_over },
	{ "clock", clock_is_right },
	{ "out", leave },
};

/* see shift.h */
bool
mm_shift_is_word(const char *text)
{
	size_t n = strcspn(text, " ");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (text[0] == '!' && n == strlen(words[i].word) + 1 &&
		    strncmp(text + 1, words[i].word, n - 1) == 0)
			return true;
	return false;
}

/* see shift.h */
void
mm_shift_word(struct mm_shift *s, enum mm_crew_door door, const char *text)
{
	const char *by = mm_crew_decides(s->line.crew, door);
	char line[MM_SHIFT_LINE], *rest = line, *word;

	if (!mm_text_copy(line, sizeof(line), mm_bytes_of(text))) {
		say(s, MM_NO_WORD);
		return;
	}
	word = first(&rest);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].word, word) == 0) {
			words[i].does(s, by, rest);
			return;
		}
	say(s, MM_NO_WORD);
}
