#include "core/ocsp_alarm.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "core/priv.h"

/* more: how many questions it was drawn from; 0: from none. */
static enum mm_err
enter(struct mm_desk *d, const struct mm_ocsp_alarm *a, uint64_t more)
{
	struct mm_entry e = { .type = MM_E_ALERT };
	char serial[33], count[24];

	mm_hex_text(a->serial, sizeof(a->serial), serial);
	snprintf(count, sizeof(count), "%llu", (unsigned long long)more);
	e.field[MM_F_REASON] = "ocsp-unknown-serial";
	e.field[MM_F_ISSUER] = a->issuer;
	e.field[MM_F_SERIAL] = serial;
	e.field[MM_F_COUNT] = more == 0 ? NULL : count;
	MM_TRY(mm_desk_enter(d, &e, NULL));
	mm_core_note(d->c, 2, "ocsp.unknown-serial", serial);
	return MM_OK;
}

/* Whoever has such a certificate shows it more than once. */
static bool
is_first(const struct mm_ocsp_alarms *s, const struct mm_ocsp_alarm *a)
{
	for (unsigned i = 0; i < s->nfirst; i++)
		if (memcmp(s->first[i].serial, a->serial, MM_SERIAL_N) == 0)
			return true;
	return false;
}

/* Each question has the same chance, however many there will be. */
static void
draw(struct mm_ocsp_alarms *s, const struct mm_ocsp_alarm *a)
{
	uint64_t dice = 0;

	s->more++;
	if (s->ndrawn < MM_OCSP_ALARMS) {
		s->drawn[s->ndrawn++] = *a;
		return;
	}
	if (getrandom(&dice, sizeof(dice), 0) == sizeof(dice) &&
	    dice % s->more < MM_OCSP_ALARMS)
		s->drawn[dice % s->more] = *a;
}

/* see ocsp_alarm.h */
void
mm_ocsp_alarm(struct mm_desk *d, struct mm_ocsp_alarms *s,
    const struct mm_ocsp_alarm *a, int64_t now)
{
	mm_ocsp_alarms_turn(d, s, now);
	if (s->since == 0)
		s->since = now;
	if (is_first(s, a))
		return;
	if (s->nfirst == MM_OCSP_ALARMS)
		draw(s, a);
	else if (enter(d, a, 0) == MM_OK)
		s->first[s->nfirst++] = *a;
}

/* see ocsp_alarm.h */
void
mm_ocsp_alarms_turn(struct mm_desk *d, struct mm_ocsp_alarms *s, int64_t now)
{
	if (s->since == 0 || now - s->since < MM_OCSP_ALARM_MS)
		return;
	for (; s->ndrawn > 0; s->ndrawn--)
		if (enter(d, &s->drawn[s->ndrawn - 1], s->more) != MM_OK)
			return;
	*s = (struct mm_ocsp_alarms){ .since = 0 };
}
