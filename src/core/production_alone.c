#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/production_priv.h"

/*
 * A new batch beside all others: no serial number, but for case, is in two.
 * Runs are compared by their bounds, and so are lists where that is enough.
 * Else another's list is read once, each line looked up: in the new run by its
 * form, in the new list by a hash.  Whatever the state of the other batch is,
 * its devices may be in the field.
 */
enum {
	PAGE = 100,      /* batches in memory at once */
	FREE_DIGITS = 9, /* see mm_production_next_free */
};

struct names { /* lines of a list, by their hash without case */
	uint32_t *slot;  /* a line's place + 1; 0: none */
	size_t mask;
	uint64_t seed;
};
struct others {
	struct mm_store_reader *r;
	const struct mm_production *b; /* the new one, and its serials; */
	const struct mm_roll *roll;
	struct names names;
	char prefix[MM_NAME_MAX + 2]; /* or: whose highest number is */
	uint64_t last;                /* looked for */
};

/* ---- all others ---- */

typedef enum mm_err look_fn(struct others *o, const struct mm_production *it,
    struct mm_why *why);

struct page {
	struct mm_production *it[PAGE];
	size_t n;
	char next[MM_DOC_ID_MAX + 1];
};

static void
page_done(struct page *p)
{
	while (p->n > 0)
		mm_production_free(&p->it[--p->n]);
}

static enum mm_err
add_other(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct page *p = ctx;

	snprintf(p->next, sizeof(p->next), "%s", next);
	MM_TRY(mm_production_parse(row, &p->it[p->n], why));
	p->n++;
	return MM_OK;
}

static enum mm_err
look_at_page(struct others *o, struct page *p, look_fn *look,
    struct mm_why *why)
{
	for (size_t i = 0; i < p->n; i++)
		MM_TRY(look(o, p->it[i], why));
	return MM_OK;
}

/* A page is read before any of it is looked at, which reads too. */
static enum mm_err
each_other(struct others *o, look_fn *look, struct mm_why *why)
{
	struct mm_list l = { .most = PAGE, .state = -1 };
	struct page p = { .n = 0 };
	enum mm_err rc;
	bool more;

	do {
		strcpy(l.after, p.next);
		rc = mm_list_docs(o->r, MM_DOC_BATCH, "", &l, add_other, &p,
		    why);
		more = p.n == PAGE;
		if (rc == MM_OK)
			rc = look_at_page(o, &p, look, why);
		page_done(&p);
	} while (rc == MM_OK && more);
	return rc;
}

/* ---- lists ---- */

static enum mm_err
get_list(struct others *o, const struct mm_production *it, struct mm_buf *out,
    struct mm_why *why)
{
	mm_buf_init(out, MM_PAPER_MAX);
	return mm_paper_get(o->r, it->order->serials_sha256, out, why);
}

/* The next line, a text where it stands; NULL: that was the last. */
static const char *
next_line(struct mm_buf *text, size_t *at)
{
	char *p = (char *)text->p + *at, *lf;

	lf = *at < text->n ? memchr(p, '\n', text->n - *at) : NULL;
	if (lf == NULL)
		return NULL;
	*lf = '\0';
	*at += (size_t)(lf - p) + 1;
	return p;
}

/* FNV-1a, without case, from a number that nobody knows: lines that were made
 * to collide would take hours of a list of 4 MiB. */
static uint64_t
hash_of(uint64_t seed, const char *s)
{
	uint64_t h = seed;

	for (; *s != '\0'; s++)
		h = (h ^ (uint64_t)tolower((unsigned char)*s)) *
		    UINT64_C(0x100000001b3);
	return h ^ h >> 32;
}

/* Its slot: that of the same name, or the empty one for it. */
static uint32_t *
slot_of(const struct others *o, const char *name)
{
	size_t i = hash_of(o->names.seed, name) & o->names.mask;

	while (o->names.slot[i] != 0 && strcasecmp(name,
	    o->roll->line[o->names.slot[i] - 1]) != 0)
		i = (i + 1) & o->names.mask;
	return &o->names.slot[i];
}

static enum mm_err
make_names(struct others *o, struct mm_why *why)
{
	uint8_t salt[MM_SALT_N];
	size_t n = 16;

	if (o->names.slot != NULL)
		return MM_OK;
	MM_TRY(mm_salt_make(salt, why));
	memcpy(&o->names.seed, salt, sizeof(o->names.seed));
	while (n < 2 * o->roll->n)
		n *= 2;
	o->names.slot = calloc(n, sizeof(*o->names.slot));
	if (o->names.slot == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	o->names.mask = n - 1;
	for (size_t i = 0; i < o->roll->n; i++)
		*slot_of(o, o->roll->line[i]) = (uint32_t)i + 1;
	return MM_OK;
}

/* ---- what two have in common: the first of the new one's ---- */

static bool
find_in_new(const struct others *o, const char *name, uint64_t *index)
{
	uint32_t at;

	if (!o->roll->listed)
		return mm_serials_find_caseless(&o->roll->run, name, index);
	at = *slot_of(o, name);
	*index = (uint64_t)at - 1;
	return at != 0;
}

static enum mm_err
meets_list(struct others *o, const struct mm_production *it, bool *meets,
    uint64_t *first, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = { 0 };
	const char *name;
	uint64_t index;
	size_t at = 0;

	if (o->roll->listed)
		MM_TRY(make_names(o, why));
	MM_TRY(get_list(o, it, &text, why));
	while ((name = next_line(&text, &at)) != NULL) {
		if (!find_in_new(o, name, &index))
			continue;
		*first = *meets && *first < index ? *first : index;
		*meets = true;
	}
	return MM_OK;
}

/* The first line that is not before name. */
static size_t
lower_bound(const struct mm_roll *roll, const char *name)
{
	size_t from = 0, to = roll->n;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (strcasecmp(roll->line[mid], name) < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

/* The new list is in order: of each length the run's are between two. */
static void
meets_run(const struct mm_roll *roll, const struct mm_serials *run,
    bool *meets, uint64_t *first)
{
	char low[MM_DEVICE_ID_MAX + 1], high[MM_DEVICE_ID_MAX + 1];
	uint64_t from = 0, unused;

	while (mm_serials_ends(run, &from, low, high)) {
		size_t i = lower_bound(roll, low);

		while (i < roll->n && strcasecmp(roll->line[i], high) <= 0 &&
		    !mm_serials_find_caseless(run, roll->line[i], &unused))
			i++;
		if (i == roll->n || strcasecmp(roll->line[i], high) > 0)
			continue;
		*first = *meets && *first < i ? *first : i;
		*meets = true;
	}
}

static bool
is_between(const char *low, const char *high, const struct mm_production *it)
{
	return it->low[0] == '\0' || (strcasecmp(low, it->high) <= 0 &&
	    strcasecmp(it->low, high) <= 0);
}

/* By the bounds of both. */
static bool
may_meet_list(const struct others *o, const struct mm_production *it)
{
	char low[MM_DEVICE_ID_MAX + 1], high[MM_DEVICE_ID_MAX + 1];
	uint64_t from = 0;

	if (o->roll->listed)
		return is_between(o->b->low, o->b->high, it);
	while (mm_serials_ends(&o->roll->run, &from, low, high))
		if (is_between(low, high, it))
			return true;
	return false;
}

static enum mm_err
meets(struct others *o, const struct mm_production *it, bool *yes,
    uint64_t *first, struct mm_why *why)
{
	struct mm_serials run;

	*yes = false;
	if (it->order->serials_count > 0)
		return may_meet_list(o, it) ?
		    meets_list(o, it, yes, first, why) : MM_OK;
	if (mm_serials_parse(it->order->serials, &run, NULL) != MM_OK)
		return MM_OK; /* it has none */
	if (o->roll->listed)
		meets_run(o->roll, &run, yes, first);
	else
		*yes = mm_serials_overlap(&o->roll->run, &run, first);
	return MM_OK;
}

static enum mm_err
look_for_same(struct others *o, const struct mm_production *it,
    struct mm_why *why)
{
	char room[MM_DEVICE_ID_MAX + 1];
	uint64_t first = 0;
	bool yes;

	if (strcmp(it->id, o->b->id) == 0)
		return MM_OK; /* it will be refused as one that exists */
	MM_TRY(meets(o, it, &yes, &first, why));
	return !yes ? MM_OK : MM_FAIL(why, MM_ECONFLICT,
	    "serials: batch %s has %s", it->id,
	    mm_roll_at(o->roll, first, room));
}

/* see production.h */
enum mm_err
mm_production_alone(struct mm_store_reader *r, const struct mm_production *b,
    const struct mm_roll *roll, struct mm_why *why)
{
	struct others o = { .r = r, .b = b, .roll = roll };
	enum mm_err rc = each_other(&o, look_for_same, why);

	free(o.names.slot);
	return rc;
}

/* ---- the next free ones ---- */

/* One of the prefix and a number that the next could have. */
static void
note_number(struct others *o, const char *serial)
{
	size_t n = strlen(o->prefix), digits;
	uint64_t v = 0;

	if (strncasecmp(serial, o->prefix, n) != 0)
		return;
	digits = strspn(serial + n, "0123456789");
	if (digits == 0 || digits > FREE_DIGITS || serial[n + digits] != '\0')
		return;
	for (serial += n; *serial != '\0'; serial++)
		v = v * 10 + (uint64_t)(*serial - '0');
	o->last = v > o->last ? v : o->last;
}

static enum mm_err
look_for_last(struct others *o, const struct mm_production *it,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = { 0 };
	char at_end[MM_DEVICE_ID_MAX + 1];
	struct mm_serials run;
	const char *name;
	size_t at = 0;

	if (it->order->serials_count == 0) {
		if (mm_serials_parse(it->order->serials, &run, NULL) != MM_OK)
			return MM_OK;
		mm_serials_at(&run, mm_serials_count(&run) - 1, at_end);
		note_number(o, at_end);
		return MM_OK;
	}
	snprintf(at_end, sizeof(at_end), "%.*s9999999999", MM_NAME_MAX + 1,
	    o->prefix);
	if (!is_between(o->prefix, at_end, it))
		return MM_OK;
	MM_TRY(get_list(o, it, &text, why));
	while ((name = next_line(&text, &at)) != NULL)
		note_number(o, name);
	return MM_OK;
}

/* see production.h */
enum mm_err
mm_production_next_free(struct mm_store_reader *r, const char *product,
    int64_t n, char serials[MM_SERIALS_TEXT], struct mm_why *why)
{
	struct others o = { .r = r };
	struct mm_serials run = { .digits = 6 };

	snprintf(o.prefix, sizeof(o.prefix), "%s-", product);
	MM_TRY(each_other(&o, look_for_last, why));
	strcpy(run.prefix, o.prefix);
	run.first = o.last + 1;
	run.last = o.last + (uint64_t)n;
	if (run.last > 999999)
		run.digits = FREE_DIGITS;
	mm_serials_text(&run, serials);
	return MM_OK;
}
