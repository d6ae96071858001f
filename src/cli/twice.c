#include "cli/twice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/own.h"

/* 3 MiB of rows in a piece; a merge holds SOME of each piece. */
enum { PIECE = 32768, PIECES = 1024, SOME = 32 };

MM_FREE_FN(memory_free, void, free)

/* see twice.h */
enum mm_err
mm_twice_init(struct mm_twice *t, struct mm_why *why)
{
	*t = (struct mm_twice){ .row = calloc(PIECE, sizeof(*t->row)) };
	return t->row != NULL ? MM_OK
			      : MM_FAIL(why, MM_ENOMEM, "out of memory");
}

/* see twice.h */
void
mm_twice_done(struct mm_twice *t)
{
	if (t->file != NULL)
		fclose(t->file);
	free(t->row);
	*t = (struct mm_twice){ .file = NULL };
}

static int
order(const void *a, const void *b)
{
	const struct mm_twice_row *x = a, *y = b;
	int by_id = strcasecmp(x->id, y->id);

	return by_id != 0 ? by_id
			  : (x->number > y->number) - (x->number < y->number);
}

/* ---- pieces ---- */

static enum mm_err
no_file(struct mm_why *why)
{
	return MM_FAIL(why, MM_ESYS, "a temporary file: %s", strerror(errno));
}

static enum mm_err
put_away(struct mm_twice *t, struct mm_why *why)
{
	if (t->pieces == PIECES)
		return MM_FAIL(why, MM_ELIMIT,
		    "more than %d rows cannot be "
		    "compared",
		    PIECE * PIECES);
	if (t->file == NULL && (t->file = tmpfile()) == NULL)
		return no_file(why);
	qsort(t->row, t->n, sizeof(*t->row), order);
	if (fwrite(t->row, sizeof(*t->row), t->n, t->file) != t->n)
		return no_file(why);
	t->pieces++;
	t->n = 0;
	return MM_OK;
}

/* see twice.h */
enum mm_err
mm_twice_add(
    struct mm_twice *t, const struct mm_twice_row *row, struct mm_why *why)
{
	if (t->n == PIECE)
		MM_TRY(put_away(t, why));
	t->row[t->n++] = *row;
	return MM_OK;
}

/* ---- who differs ---- */

struct group {
	struct mm_twice_row first;
	bool any;
	mm_twice_fn *fn;
	void *ctx;
};

/* Rows come in order. */
static void
look(struct group *g, const struct mm_twice_row *row)
{
	if (!g->any || strcasecmp(g->first.id, row->id) != 0) {
		g->first = *row;
		g->any = true;
	} else if (memcmp(g->first.digest, row->digest, MM_TWICE_DIGEST) != 0)
		g->fn(g->ctx, row, g->first.number);
}

/* ---- merging ---- */

/* A piece that is read; the last one is in memory as a whole. */
struct source {
	struct mm_twice_row *row;
	size_t at, n;
	off_t from, to; /* of the file, in rows: not read yet */
};

static enum mm_err
refill(struct mm_twice *t, struct source *s, struct mm_why *why)
{
	size_t want = (size_t)(s->to - s->from);

	want = want < SOME ? want : SOME;
	s->at = 0;
	s->n = want;
	if (want == 0)
		return MM_OK;
	if (fseeko(t->file, s->from * (off_t)sizeof(*s->row), SEEK_SET) != 0 ||
	    fread(s->row, sizeof(*s->row), want, t->file) != want)
		return no_file(why);
	s->from += (off_t)want;
	return MM_OK;
}

static const struct mm_twice_row *
head(const struct source *s)
{
	return &s->row[s->at];
}

/* Down to its place in a heap whose first is the least. */
static void
sift(struct source **heap, size_t n)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < n) {
		struct source *s = heap[at];

		if (child + 1 < n &&
		    order(head(heap[child + 1]), head(heap[child])) < 0)
			child++;
		if (order(head(s), head(heap[child])) <= 0)
			return;
		heap[at] = heap[child];
		heap[child] = s;
		at = child;
	}
}

static int
by_head(const void *a, const void *b)
{
	return order(
	    head(*(struct source *const *)a), head(*(struct source *const *)b));
}

static enum mm_err
merge(struct mm_twice *t, struct source **heap, size_t n, struct group *g,
    struct mm_why *why)
{
	/* what is in order is a heap */
	qsort(heap, n, sizeof(struct source *), by_head);
	while (n > 0) {
		struct source *s = heap[0];

		look(g, head(s));
		if (++s->at == s->n)
			MM_TRY(refill(t, s, why));
		if (s->n == 0)
			heap[0] = heap[--n];
		sift(heap, n);
	}
	return MM_OK;
}

static enum mm_err
open_sources(struct mm_twice *t, struct source *s, struct mm_twice_row *room,
    struct source **heap, size_t *n, struct mm_why *why)
{
	if (t->file != NULL && fflush(t->file) != 0)
		return no_file(why);
	for (unsigned i = 0; i < t->pieces; i++) {
		s[i] = (struct source){ .row = room + (size_t)i * SOME,
			.from = (off_t)i * PIECE,
			.to = (off_t)(i + 1) * PIECE };
		MM_TRY(refill(t, &s[i], why));
		heap[i] = &s[i];
	}
	*n = t->pieces;
	if (t->n == 0)
		return MM_OK;
	qsort(t->row, t->n, sizeof(*t->row), order);
	s[*n] = (struct source){ .row = t->row, .n = t->n };
	heap[*n] = &s[*n];
	++*n;
	return MM_OK;
}

/* see twice.h */
enum mm_err
mm_twice_each(
    struct mm_twice *t, mm_twice_fn *fn, void *ctx, struct mm_why *why)
{
	size_t n = 0, most = t->pieces + 1;
	MM_OWN(memory_free)
	void *room = calloc(most, SOME * sizeof(struct mm_twice_row));
	MM_OWN(memory_free) void *source = calloc(most, sizeof(struct source));
	MM_OWN(memory_free) void *heap = calloc(most, sizeof(struct source *));
	struct group g = { .fn = fn, .ctx = ctx };

	if (room == NULL || source == NULL || heap == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(open_sources(t, source, room, heap, &n, why));
	return merge(t, heap, n, &g, why);
}
