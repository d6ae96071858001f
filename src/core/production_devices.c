#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/production_priv.h"

/*
 * The devices of a batch's serial numbers.  A run may have millions of which
 * few are there: so the devices between its ends are walked, of each length
 * its own, and looked at whether they are of it.  Between R-1 and R-9 stands
 * R-1000 with all its neighbours: each page begins at the next serial number.
 * A list is no more than a paper has room for, and each of its names is given
 * as it is.
 *
 * A place is "#" index "/" name: of a serial that is wanted or an earlier one
 * of its length, and the device that was looked at last, or none; of a list,
 * of the next name.
 */

struct look {
	const struct mm_roll *roll;
	uint64_t from, behind; /* of one length */
	const char *high;
	unsigned rows;
	bool past;
	char last[MM_DEVICE_ID_MAX + 1];
	mm_roll_device_fn *fn;
	void *ctx;
};

static void
put_place(char place[MM_ROLL_PLACE], uint64_t from, const char *name)
{
	snprintf(place, MM_ROLL_PLACE, "#%llu/%s", (unsigned long long)from,
	    name);
}

static enum mm_err
read_place(const char *place, uint64_t *from, char *name, struct mm_why *why)
{
	const char *slash = strchr(place, '/');
	char digits[24];
	int64_t n = 0;

	*from = 0;
	name[0] = '\0';
	if (place[0] == '\0')
		return MM_OK;
	if (place[0] != '#' || slash == NULL ||
	    !mm_text_copy(digits, sizeof(digits), (struct mm_bytes){
	    (const uint8_t *)place + 1, (size_t)(slash - place - 1) }) ||
	    mm_int_parse(digits, &n, NULL) != MM_OK || n < 0 ||
	    !mm_text_copy(name, MM_DEVICE_ID_MAX + 1,
	    mm_bytes_of(slash + 1)))
		return MM_FAIL(why, MM_EINPUT, "after: not of this call");
	*from = (uint64_t)n;
	return MM_OK;
}

/* ---- a list ---- */

static enum mm_err
walk_list(const struct mm_roll *roll, uint64_t from, unsigned most,
    char place[MM_ROLL_PLACE], struct look *l, struct mm_why *why)
{
	char next[MM_ROLL_PLACE];

	for (; from < roll->n && most > 0; most--) {
		put_place(next, from + 1, "");
		MM_TRY(l->fn(l->ctx, roll->line[from++], next, why));
		l->rows++;
	}
	place[0] = '\0';
	if (from < roll->n)
		put_place(place, from, "");
	return MM_OK;
}

/* ---- a run ---- */

static enum mm_err
see(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_device *d = row;
	struct look *l = ctx;
	char place[MM_ROLL_PLACE];
	uint64_t index;

	(void)next;
	l->rows++;
	strcpy(l->last, d->id);
	l->past = strcasecmp(d->id, l->high) > 0;
	if (l->past ||
	    !mm_serials_find_caseless(&l->roll->run, d->id, &index) ||
	    index < l->from || index >= l->behind)
		return MM_OK;
	put_place(place, l->from, d->id);
	return l->fn(l->ctx, d->id, place, why);
}

/* What is before low, and behind all names that are. */
static void
before(const char *low, char after[MM_AUTHORITY_TEXT])
{
	size_t n = strlen(low);
	char c = low[n - 1];

	memcpy(after, low, n);
	after[n - 1] = (char)((c >= 'A' && c <= 'Z' ? c | 32 : c) - 1);
	after[n] = '~'; /* greater than what a name has */
	after[n + 1] = '\0';
}

/* The first of the run, of that length, that stands behind the device that was
 * looked at last; or what is behind the length. */
static uint64_t
next_of(const struct look *l)
{
	uint64_t low = l->from, high = l->behind;
	char name[MM_DEVICE_ID_MAX + 1];

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		mm_serials_at(&l->roll->run, middle, name);
		if (strcasecmp(name, l->last) > 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static enum mm_err
walk_run(struct mm_store_reader *r, struct look *l, uint64_t from,
    unsigned most, char place[MM_ROLL_PLACE], struct mm_why *why)
{
	char low[MM_DEVICE_ID_MAX + 1], high[MM_DEVICE_ID_MAX + 1];
	struct mm_list page = { .most = most, .state = -1 };

	l->behind = from;
	if (from >= mm_roll_count(l->roll) ||
	    !mm_serials_ends(&l->roll->run, &l->behind, low, high)) {
		place[0] = '\0';
		return MM_OK;
	}
	l->from = from;
	l->high = high;
	before(low, page.after);
	if (l->last[0] != '\0')
		strcpy(page.after, l->last);
	MM_TRY(mm_list_devices(r, &page, see, l, why));
	if (l->rows == most && !l->past)
		l->behind = next_of(l);
	place[0] = '\0';
	if (l->behind < mm_roll_count(l->roll))
		put_place(place, l->behind, "");
	return MM_OK;
}

/* see production.h */
enum mm_err
mm_roll_devices(struct mm_store_reader *r, const struct mm_roll *roll,
    struct mm_roll_page *p, mm_roll_device_fn *fn, void *ctx,
    struct mm_why *why)
{
	struct look l = { .roll = roll, .fn = fn, .ctx = ctx };
	uint64_t from;

	MM_TRY(read_place(p->place, &from, l.last, why));
	MM_TRY(roll->listed ? walk_list(roll, from, p->most, p->place, &l,
	    why) : walk_run(r, &l, from, p->most, p->place, why));
	p->looked = l.rows;
	return MM_OK;
}
