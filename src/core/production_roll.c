#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/production_priv.h"

static int
by_line(const void *a, const void *b)
{
	return strcasecmp(*(char *const *)a, *(char *const *)b);
}

/* The lines become texts where they stand. */
static enum mm_err
cut(struct mm_roll *r, size_t want, struct mm_why *why)
{
	char *p = (char *)r->text.p, *end = p + r->text.n;

	r->line = calloc(want, sizeof(*r->line));
	if (r->line == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	while (p < end && r->n < want) {
		char *lf = memchr(p, '\n', (size_t)(end - p));

		if (lf == NULL)
			break;
		*lf = '\0';
		r->line[r->n++] = p;
		p = lf + 1;
	}
	if (p != end || r->n != want)
		return MM_FAIL(why, MM_ESYS,
		    "batch: its serial numbers are not as many as it says");
	qsort(r->line, r->n, sizeof(*r->line), by_line);
	return MM_OK;
}

static enum mm_err
index_lines(
    struct mm_roll *r, int64_t want, struct mm_roll *out, struct mm_why *why)
{
	enum mm_err rc = mm_buf_ok(&r->text, why);

	if (rc == MM_OK)
		rc = cut(r, (size_t)want, why);
	if (rc == MM_OK)
		*out = *r;
	else
		mm_roll_done(r);
	return rc;
}

/* see production.h */
enum mm_err
mm_roll_over(const struct mm_work_order *o, struct mm_bytes text,
    struct mm_roll *out, struct mm_why *why)
{
	struct mm_roll r = { .listed = o->serials_count > 0,
		.text = MM_BUF_INIT(MM_PAPER_MAX) };

	if (!r.listed) {
		MM_TRY(mm_serials_parse(o->serials, &r.run, why));
		*out = r;
		return MM_OK;
	}
	mm_buf_bytes(&r.text, text);
	return index_lines(&r, o->serials_count, out, why);
}

/* see production.h */
enum mm_err
mm_roll_open(struct mm_store_reader *reader, const struct mm_work_order *o,
    struct mm_roll *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_PAPER_MAX);

	if (o->serials_count > 0)
		MM_TRY(mm_paper_get(reader, o->serials_sha256, &text, why));
	return mm_roll_over(o, mm_buf_view(&text), out, why);
}

/* see production.h */
void
mm_roll_done(struct mm_roll *r)
{
	mm_buf_done(&r->text);
	free(r->line);
	*r = (struct mm_roll){ .text = MM_BUF_INIT(0) };
}

/* see production.h */
uint64_t
mm_roll_count(const struct mm_roll *r)
{
	return r->listed ? r->n : mm_serials_count(&r->run);
}

/* see production.h */
bool
mm_roll_find(const struct mm_roll *r, const char *serial, uint64_t *index)
{
	char **at;

	if (!r->listed)
		return mm_serials_find(&r->run, serial, index);
	at = bsearch(&serial, r->line, r->n, sizeof(*r->line), by_line);
	if (at == NULL || strcmp(*at, serial) != 0)
		return false;
	*index = (uint64_t)(at - r->line);
	return true;
}

/* see production.h */
bool
mm_roll_has(const struct mm_roll *r, const char *device)
{
	uint64_t unused;

	return r->listed ? bsearch(&device, r->line, r->n, sizeof(*r->line),
	    by_line) != NULL : mm_serials_find_caseless(&r->run, device,
	    &unused);
}

/* see production.h */
const char *
mm_roll_at(const struct mm_roll *r, uint64_t index, char *room)
{
	if (r->listed)
		return r->line[index];
	mm_serials_at(&r->run, index, room);
	return room;
}

/* see production.h */
void
mm_roll_bounds(const struct mm_roll *r, struct mm_production *b)
{
	if (!r->listed || r->n == 0)
		return;
	snprintf(b->low, sizeof(b->low), "%s", r->line[0]);
	snprintf(b->high, sizeof(b->high), "%s", r->line[r->n - 1]);
}

/* see production.h */
const char *
mm_roll_twice(const struct mm_roll *r)
{
	for (size_t i = 1; r->listed && i < r->n; i++)
		if (strcasecmp(r->line[i - 1], r->line[i]) == 0)
			return r->line[i];
	return NULL;
}
