#include "fleet.h"

#include <stdlib.h>
#include <string.h>

#include "agent/pace.h"
#include "core/window.h"

#define EPOCH_S    INT64_C(1798761600) /* 2027 */
#define RING       (8 * 1440)          /* minutes ahead that are kept */
#define PERCENT    66
#define PER_RENEW  4
#define NOBODY     UINT32_MAX
#define BACKDATE_S 3600

/* As agent.conf has them when nothing is said. */
static const struct mm_pace pace = { 6 * 3600, 30, 3600 };

struct device {
	uint32_t next;     /* of the same minute */
	uint32_t due;      /* its next visit, seconds from EPOCH_S */
	int32_t from;      /* its certificate's notBefore, likewise */
	uint32_t failures;
};

struct fleet {
	struct fleet_of of;
	int64_t now_s;     /* from EPOCH_S */
	bool off;
	int64_t pulled_s, until_s; /* 0: nothing is pulled */
	uint64_t dice;
	uint32_t ring[RING];
	struct device *device;
};

/* splitmix64: the same numbers in every run. */
static uint64_t
mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static void
put(struct fleet *f, uint32_t i, int64_t due_s)
{
	struct device *d = &f->device[i];
	uint32_t *slot;

	if (due_s <= f->now_s)
		due_s = f->now_s + 1;
	d->due = (uint32_t)due_s;
	slot = &f->ring[due_s / 60 % RING];
	d->next = *slot;
	*slot = i;
}

/* see fleet.h */
struct fleet *
fleet_new(const struct fleet_of *of)
{
	struct fleet *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->of = *of;
	f->device = calloc(of->devices, sizeof(*f->device));
	if (f->device == NULL) {
		free(f);
		return NULL;
	}
	memset(f->ring, 0xff, sizeof(f->ring));
	for (uint32_t i = 0; i < of->devices; i++) {
		int64_t made = of->made_s * i / of->devices;

		f->device[i].from = (int32_t)(made - BACKDATE_S);
		put(f, i, made + 1);
	}
	return f;
}

/* see fleet.h */
struct fleet *
fleet_copy(const struct fleet *f)
{
	size_t n = f->of.devices * sizeof(*f->device);
	struct fleet *c = malloc(sizeof(*c));

	if (c == NULL)
		return NULL;
	*c = *f;
	c->device = malloc(n);
	if (c->device == NULL) {
		free(c);
		return NULL;
	}
	memcpy(c->device, f->device, n);
	return c;
}

/* see fleet.h */
void
fleet_free(struct fleet *f)
{
	if (f != NULL)
		free(f->device);
	free(f);
}

/* see fleet.h */
void
fleet_load_done(struct fleet_load *l)
{
	free(l->hour);
	l->hour = NULL;
}

/* The server's answer, and the second of it that this certificate takes. */
static int64_t
ask(const struct fleet *f, uint32_t i, int64_t at_s, struct mm_window *w)
{
	const struct device *d = &f->device[i];
	const struct mm_window_of of = {
		.now_s = EPOCH_S + at_s,
		.not_before_s = EPOCH_S + d->from,
		.not_after_s = EPOCH_S + d->from + f->of.life_s,
		.life_s = f->of.life_s,
		.percent = PERCENT,
		.pull_from_s = EPOCH_S + f->pulled_s,
		.pull_until_s = d->from + BACKDATE_S < f->pulled_s
		    ? EPOCH_S + f->until_s : 0,
	};
	struct mm_window_of mine = of;
	uint64_t place = mix(i);
	uint32_t hash = (uint32_t)mix(i + ((uint64_t)d->from << 32)) >> 16;

	memcpy(mine.place, &place, sizeof(mine.place));
	mm_window_find(&mine, w);
	return w->start_s + (w->end_s - w->start_s) * hash / 65536;
}

static uint16_t
throw_dice(struct fleet *f)
{
	f->dice++;
	return (uint16_t)mix(f->dice);
}

/* One visit; how many requests it made. */
static unsigned
visit(struct fleet *f, uint32_t i, int64_t at_s, struct fleet_load *l)
{
	struct device *d = &f->device[i];
	struct mm_pace_of of = { .retry_s = -1, .now_s = EPOCH_S + at_s };
	struct mm_window w;
	unsigned n = 1;
	int64_t pick;

	if (f->off) {
		d->failures++;
		of.err = MM_EAGAIN;
		of.failures = d->failures;
		l->refused++;
		put(f, i, at_s + mm_pace_next_ms(&pace, &of, throw_dice(f)) /
		    1000);
		return 1;
	}
	d->failures = 0;
	pick = ask(f, i, at_s, &w);
	l->expired += at_s > d->from + f->of.life_s;
	if (pick <= of.now_s) {
		d->from = (int32_t)(at_s - BACKDATE_S);
		n += PER_RENEW;
		l->renewals++;
		pick = 0; /* not asked yet for the new one */
	} else
		of.retry_s = (int32_t)w.again_s;
	of.renew_at_s = pick;
	put(f, i, at_s + mm_pace_next_ms(&pace, &of, throw_dice(f)) / 1000);
	return n;
}

/* All visits of a minute; what one of them puts into it comes in the next
 * round. */
static unsigned
run_minute(struct fleet *f, struct fleet_load *l)
{
	int64_t minute = f->now_s / 60;
	uint32_t *slot = &f->ring[minute % RING];
	unsigned n = 0;

	while (*slot != NOBODY) {
		uint32_t i = *slot;

		*slot = NOBODY;
		while (i != NOBODY) {
			uint32_t next = f->device[i].next;
			int64_t due = f->device[i].due;

			f->now_s = due > f->now_s ? due : f->now_s;
			n += visit(f, i, due, l);
			i = next;
		}
	}
	f->now_s = (minute + 1) * 60;
	return n;
}

/* see fleet.h */
void
fleet_run(struct fleet *f, int64_t for_s, struct fleet_load *load)
{
	struct fleet_load l = { .start_s = f->now_s };
	int64_t end = f->now_s + for_s, minutes = 0;
	double hour = 0;

	l.hours = (size_t)(for_s / 3600);
	l.hour = calloc(l.hours + 1, sizeof(*l.hour));
	for (; f->now_s < end; minutes++) {
		unsigned n = run_minute(f, &l);

		l.requests += n;
		hour += n;
		l.peak_minute = n > l.peak_minute ? n : l.peak_minute;
		if (minutes % 60 != 59)
			continue;
		l.peak_hour = hour / 60 > l.peak_hour ? hour / 60
		    : l.peak_hour;
		if (l.hour != NULL)
			l.hour[minutes / 60] = (float)(hour / 60);
		hour = 0;
	}
	l.mean = minutes > 0 ? (double)l.requests / (double)minutes : 0;
	l.end_s = f->now_s;
	if (load != NULL)
		*load = l;
	else
		fleet_load_done(&l);
}

/* see fleet.h */
void
fleet_off(struct fleet *f, bool off)
{
	f->off = off;
}

/* see fleet.h */
void
fleet_pull(struct fleet *f, int64_t within_s)
{
	f->pulled_s = f->now_s;
	f->until_s = f->now_s + within_s;
}

/* see fleet.h */
uint32_t
fleet_unpulled(const struct fleet *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->of.devices; i++)
		n += f->device[i].from + BACKDATE_S < f->pulled_s;
	return n;
}
