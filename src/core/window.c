#include "core/window.h"

#include <stdbool.h>

#include "base/time.h"

#define MINUTE_S     60
#define DAY_S        86400
#define MISSED_MIN_S 5
#define MISSED_MAX_S (2 * DAY_S)
#define LIFE_MAX_S   INT64_C(0xffffffff)

/* see window.h */
const char *const mm_window_words[MM_WINDOW_WHYS] = {
	[MM_WINDOW_NEVER] = "never",
	[MM_WINDOW_PLACE] = "place",
	[MM_WINDOW_MISSED] = "missed",
	[MM_WINDOW_PULLED] = "pulled",
	[MM_WINDOW_LAST] = "last",
};

static int64_t
clamp(int64_t v, int64_t least, int64_t most)
{
	return v < least ? least : v > most ? most : v;
}

/* A part of n, by a uniform number of 32 bits. */
static int64_t
part(int64_t n, uint32_t place)
{
	return (int64_t)((uint64_t)n * place >> 32);
}

/* The first time from `from` on that is at the place in its period. */
static int64_t
next_place(int64_t from, int64_t period, uint32_t place)
{
	int64_t past = (from - part(period, place)) % period;

	if (past < 0)
		past += period;
	return past == 0 ? from : from + period - past;
}

static uint32_t
number(const uint8_t p[4])
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

/* What the times of one certificate follow from. */
struct plan {
	const struct mm_window_of *of;
	int64_t life, last; /* last: from then on it is renewed at once */
	int64_t period;
	uint32_t place, again; /* in the period; in the short one */
};

/* Lives that differ a little for each certificate (jitter_percent) must not
 * make periods that do. */
static struct plan
make_plan(const struct mm_window_of *of)
{
	struct plan p = { .of = of, .place = number(of->place),
		.again = number(of->place + 4) };
	int64_t even;

	p.life = clamp(of->not_after_s - of->not_before_s, 1, LIFE_MAX_S);
	p.last = of->not_before_s + p.life / 10 * 9;
	even = of->life_s > 0 && of->life_s <= LIFE_MAX_S &&
	    p.life >= of->life_s / 10 * 9 ? of->life_s : p.life;
	p.period = even * of->percent / 100 * 2 / 3;
	p.period = clamp(p.period, 1, p.life / 100 * 48 + 1);
	return p;
}

/* A place in the short period; what is open now counts. */
static void
miss(const struct plan *p, int64_t period, enum mm_window_why why,
    struct mm_window *out)
{
	int64_t width, start;

	period = clamp(period, MISSED_MIN_S, MISSED_MAX_S);
	width = clamp(period / 32, 1, DAY_S);
	start = next_place(p->of->now_s - width, period, p->again);
	*out = (struct mm_window){ .why = why, .start_s = start,
		.end_s = start + width };
}

static void
by_place(const struct plan *p, struct mm_window *out)
{
	int64_t from = p->of->not_before_s + p->period / 8 * 7;
	int64_t start = next_place(from, p->period, p->place);

	*out = (struct mm_window){ .why = MM_WINDOW_PLACE, .start_s = start,
		.end_s = start + p->period / 512 };
	if (p->of->now_s > out->end_s)
		miss(p, p->period / 16, MM_WINDOW_MISSED, out);
}

/* Who hears of it when its own time has passed gets another one, too. */
static bool
by_pull(const struct plan *p, struct mm_window *out)
{
	const struct mm_window_of *of = p->of;
	int64_t all = of->pull_until_s - of->pull_from_s;
	int64_t start = of->pull_from_s + part(clamp(all, 1, LIFE_MAX_S),
	    p->place);

	if (of->pull_until_s == 0)
		return false;
	*out = (struct mm_window){ .why = MM_WINDOW_PULLED, .start_s = start,
		.end_s = start + all / 512 };
	if (of->now_s > out->end_s)
		miss(p, all / 8, MM_WINDOW_PULLED, out);
	return true;
}

/* see window.h */
void
mm_window_find(const struct mm_window_of *of, struct mm_window *out)
{
	const struct plan p = make_plan(of);
	struct mm_window pulled;
	bool ends = of->not_after_s < MM_TIME_FOREVER_S;

	*out = (struct mm_window){ .why = MM_WINDOW_NEVER };
	if (ends)
		by_place(&p, out);
	if (by_pull(&p, &pulled) && (!ends || pulled.start_s < out->start_s))
		*out = pulled;
	if (ends && (of->now_s >= p.last || out->start_s > p.last)) {
		out->why = MM_WINDOW_LAST;
		out->start_s = of->now_s < p.last ? p.last : of->now_s;
		out->end_s = out->start_s;
	}
	out->again_s = ends ? clamp(p.period / 8, MINUTE_S, DAY_S) : DAY_S;
	if (out->start_s > of->now_s)
		out->again_s = clamp(out->start_s - of->now_s, MINUTE_S,
		    out->again_s);
}
