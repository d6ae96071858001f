#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/priv.h"

/*
 * Refusals, counted.  Of a proven authority: one entry per authority, reason
 * and hour; of anybody else: one per reason and hour, so that a storm cannot
 * fill the ledger.  The table is bounded; authorities that no longer fit in
 * an hour are counted together under no name.
 */
#define KEPT 1024

struct row {
	char authority[MM_AUTHORITY_TEXT];
	char device[MM_DEVICE_ID_MAX + 1];
	char product[MM_NAME_MAX + 1];
	enum mm_reason reason;
	uint64_t n;
};
struct mm_counts {
	pthread_mutex_t lock;
	int64_t hour;
	size_t n;
	struct row row[KEPT];
	uint64_t rest[MM_REASON_COUNT];    /* proven, table full */
	uint64_t counted[MM_REASON_COUNT]; /* not proven */
};

/* see priv.h */
enum mm_err
mm_counts_new(struct mm_counts **out, struct mm_why *why)
{
	struct mm_counts *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return MM_FAIL(why, MM_ENOMEM, "counts: no memory");
	pthread_mutex_init(&c->lock, NULL);
	c->hour = mm_now_s() / 3600;
	*out = c;
	return MM_OK;
}

/* see priv.h */
void
mm_counts_free(struct mm_counts **owner)
{
	if (*owner == NULL)
		return;
	pthread_mutex_destroy(&(*owner)->lock);
	free(*owner);
	*owner = NULL;
}

static struct row *
find(struct mm_counts *c, const char *authority, enum mm_reason reason)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->row[i].reason == reason &&
		    strcmp(c->row[i].authority, authority) == 0)
			return &c->row[i];
	return NULL;
}

static bool
add(struct mm_counts *c, const struct mm_verdict *v)
{
	struct row *r = find(c, v->authority, v->reason);
	bool first = r == NULL;

	if (first && c->n == KEPT)
		return c->rest[v->reason]++ == 0;
	if (first) {
		r = &c->row[c->n++];
		strcpy(r->authority, v->authority);
		strcpy(r->device, v->device);
		strcpy(r->product, v->product);
		r->reason = v->reason;
		r->n = 0;
	}
	return r->n++ == 0;
}

/* see priv.h */
bool
mm_counts_refused(struct mm_counts *c, const struct mm_verdict *v)
{
	bool first;

	pthread_mutex_lock(&c->lock);
	first = add(c, v);
	pthread_mutex_unlock(&c->lock);
	return first;
}

/* see priv.h */
void
mm_counts_counted(struct mm_counts *c, enum mm_reason reason)
{
	pthread_mutex_lock(&c->lock);
	c->counted[reason]++;
	pthread_mutex_unlock(&c->lock);
}

/* see core.h */
void
mm_core_count_refusal(struct mm_core *c, enum mm_reason r)
{
	if ((unsigned)r >= MM_REASON_COUNT)
		return;
	c->refusals[r]++;
	mm_counts_counted(c->counts, r);
}

/* A snapshot of the table, which then starts anew. */
static bool
cut(struct mm_counts *c, bool all, struct mm_counts *out)
{
	int64_t hour = mm_now_s() / 3600;
	bool due;

	pthread_mutex_lock(&c->lock);
	due = all || hour != c->hour;
	if (due) {
		out->n = c->n;
		memcpy(out->row, c->row, c->n * sizeof(c->row[0]));
		memcpy(out->rest, c->rest, sizeof(c->rest));
		memcpy(out->counted, c->counted, sizeof(c->counted));
		memset(c->rest, 0, sizeof(c->rest));
		memset(c->counted, 0, sizeof(c->counted));
		c->n = 0;
		c->hour = hour;
	}
	pthread_mutex_unlock(&c->lock);
	return due;
}

static enum mm_err
enter(struct mm_core *c, const struct row *r, enum mm_entry_type type,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf buf = MM_BUF_INIT(4096);
	struct mm_papers p = mm_papers_over(&buf);
	struct mm_entry e = { .type = type };
	struct mm_op op = { .kind = MM_OP_ENTRY };
	char n[24];

	if (r->n == 0)
		return MM_OK;
	snprintf(n, sizeof(n), "%llu", (unsigned long long)r->n);
	e.field[MM_F_AUTHORITY] = r->authority[0] ? r->authority : NULL;
	e.field[MM_F_DEVICE] = r->device[0] ? r->device : NULL;
	e.field[MM_F_PRODUCT] = r->product[0] ? r->product : NULL;
	e.field[MM_F_REASON] = mm_reason_text(r->reason);
	e.field[MM_F_COUNT] = n;
	mm_papers_add(&p, &e);
	MM_TRY(mm_papers_seal(&p, &op, why));
	return mm_core_run1(c, &op, why);
}

static enum mm_err
enter_reasons(struct mm_core *c, const uint64_t n[MM_REASON_COUNT],
    enum mm_entry_type type, struct mm_why *why)
{
	for (unsigned i = 0; i < MM_REASON_COUNT; i++) {
		struct row r = { .reason = (enum mm_reason)i, .n = n[i] };
		MM_TRY(enter(c, &r, type, why));
	}
	return MM_OK;
}

static void
release(struct mm_counts **owner)
{
	free(*owner);
}

/* see priv.h */
enum mm_err
mm_counts_flush(struct mm_core *c, bool all, struct mm_why *why)
{
	MM_OWN(release) struct mm_counts *cutting = calloc(1,
	    sizeof(*cutting));

	if (cutting == NULL)
		return MM_FAIL(why, MM_ENOMEM, "counts: no memory");
	if (!cut(c->counts, all, cutting))
		return MM_OK;
	for (size_t i = 0; i < cutting->n; i++)
		MM_TRY(enter(c, &cutting->row[i], MM_E_REFUSED, why));
	MM_TRY(enter_reasons(c, cutting->rest, MM_E_REFUSED, why));
	return enter_reasons(c, cutting->counted, MM_E_COUNTED, why);
}
