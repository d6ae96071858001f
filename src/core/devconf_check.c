#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/devconf_priv.h"
#include "core/production.h"
#include "core/schema.h"
#include "line/initial.h"

/* Before a set is put: would each device get its document by it? */

enum { LOOK_MOST = 20000, PIECE = 1000 };

struct look {
	struct mm_desk *d;
	const struct mm_devconf_put *p;
	struct mm_devconf_text text;
	struct mm_initial_index *index; /* of its table */
	struct mm_fit *fit;
	mm_unfit_fn *fn;
	void *ctx;
	struct mm_buf out;
	unsigned n; /* rows of this page */
};

static enum mm_err
render(struct look *l, const struct mm_device *dev, struct mm_why *because)
{
	const struct mm_devconf_for f = { dev,
		l->p->scope == MM_DEVCONF_BATCH ? l->p->id : NULL };
	uint8_t sha256[32];

	mm_wipe(l->out.p, l->out.n);
	mm_buf_reset(&l->out);
	return mm_devconf_render(&l->text, &f, &l->out, NULL, sha256,
	    because);
}

/* Which field it is, words say; what stands there, nobody. */
static enum mm_err
look_at(struct look *l, const struct mm_device *dev, struct mm_why *why)
{
	struct mm_why because = { 0 };
	enum mm_err rc;

	l->fit->looked++;
	if (dev->state != MM_DEVICE_ACTIVE)
		return MM_OK;
	rc = render(l, dev, &because);
	if (rc == MM_OK)
		return MM_OK;
	if (rc == MM_ENOMEM)
		return MM_FAIL(why, rc, "out of memory");
	l->fit->unfit++;
	return l->fn(l->ctx, dev->id, "", because.text);
}

static enum mm_err
one_row(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct look *l = ctx;

	l->n++;
	strcpy(l->fit->next, next);
	return look_at(l, row, why);
}

static enum mm_err
of_product(struct look *l, const char *after, struct mm_why *why)
{
	struct mm_list page = { .most = PIECE, .state = -1,
		.product = l->p->id };

	(void)!mm_text_copy(l->fit->next, sizeof(l->fit->next),
	    mm_bytes_of(after));
	do {
		l->n = 0;
		strcpy(page.after, l->fit->next);
		MM_TRY(mm_list_devices(l->d->r, &page, one_row, l, why));
	} while (l->n == PIECE && l->fit->looked < LOOK_MOST);
	if (l->n < PIECE)
		l->fit->next[0] = '\0';
	return MM_OK;
}

/* Those of its serial numbers that are devices by now. */
static enum mm_err
of_batch(struct look *l, const char *after, struct mm_why *why)
{
	char room[MM_DEVICE_ID_MAX + 1];
	const struct mm_production *b;
	const struct mm_roll *roll;
	uint64_t at = 0, n, end;
	struct mm_device dev;
	enum mm_err rc;

	MM_TRY(mm_desk_batch(l->d, l->p->id, &b, &roll, why));
	n = mm_roll_count(roll);
	if (after[0] != '\0' && mm_roll_find(roll, after, &at))
		at++;
	end = n - at > LOOK_MOST ? at + LOOK_MOST : n;
	for (; at < end; at++) {
		const char *id = mm_roll_at(roll, at, room);

		rc = mm_get_device(l->d->r, id, &dev, NULL);
		if (rc != MM_OK && rc != MM_ENOTFOUND)
			return MM_FAIL(why, rc, "the store cannot be read");
		if (rc == MM_OK)
			MM_TRY(look_at(l, &dev, why));
		(void)!mm_text_copy(l->fit->next, sizeof(l->fit->next),
		    mm_bytes_of(id));
	}
	if (at == n)
		l->fit->next[0] = '\0';
	return MM_OK;
}

static enum mm_err
of_device(struct look *l, const char *after, struct mm_why *why)
{
	struct mm_device dev;

	(void)after;
	MM_TRY(mm_get_device(l->d->r, l->p->id, &dev, why));
	return look_at(l, &dev, why);
}

/* A schema that cannot be read is named before any device. */
static enum mm_err
check_schema(struct mm_bytes schema, struct mm_why *why)
{
	MM_OWN(mm_schema_free) struct mm_schema *s = NULL;

	return schema.n == 0 ? MM_OK : mm_schema_parse(schema, &s, why);
}

/* Before any device: the template by itself, table and schema. */
static enum mm_err
check_text(struct look *l, struct mm_why *why)
{
	MM_OWN(mm_fill_free) struct mm_fill *fill = NULL;
	struct mm_devconf_text *t = &l->text;

	MM_TRY(mm_fill_parse(MM_FILL_JSON, t->template, &fill, why));
	if (t->table.n > 0)
		MM_TRY(mm_initial_index_new(t->table, &l->index, why));
	t->index = l->index;
	return check_schema(t->schema, why);
}

/* Batches and devices go by their product's schema. */
static enum mm_err
take_schema(struct look *l, struct mm_devconf_papers *papers,
    struct mm_why *why)
{
	struct mm_devconf product;

	if (l->p->scope == MM_DEVCONF_PRODUCT)
		return MM_OK;
	MM_TRY(mm_devconf_get(l->d->r, MM_DEVCONF_PRODUCT, l->p->product,
	    &product, why));
	papers->schema.n = 0;
	if (mm_devconf_on(&product) && !mm_zero(product.past[0].schema, 32))
		MM_TRY(mm_paper_get(l->d->r, product.past[0].schema,
		    &papers->schema, why));
	l->text.schema = mm_buf_view(&papers->schema);
	return MM_OK;
}

static enum mm_err
take_text(struct look *l, struct mm_devconf_papers *papers,
    struct mm_why *why)
{
	struct mm_devconf own;

	if (l->p->text != NULL) {
		l->text = *l->p->text;
		return MM_OK;
	}
	MM_TRY(mm_devconf_get(l->d->r, l->p->scope, l->p->id, &own, why));
	if (!mm_devconf_on(&own))
		return MM_FAIL(why, MM_ENOTFOUND, "there is no configuration");
	MM_TRY(mm_devconf_papers(l->d->r, &own, papers, why));
	l->text = (struct mm_devconf_text){ mm_buf_view(&papers->template),
		mm_buf_view(&papers->table), mm_buf_view(&papers->schema),
		NULL };
	return MM_OK;
}

/* see devconf.h */
enum mm_err
mm_desk_devconf_check(struct mm_desk *d, const struct mm_devconf_put *p,
    const char *after, struct mm_fit *fit, mm_unfit_fn *fn, void *ctx,
    struct mm_why *why)
{
	static enum mm_err (*const walks[MM_DEVCONF_SCOPES])(struct look *,
	    const char *, struct mm_why *) = { of_product, of_batch,
		of_device };
	MM_OWN(mm_devconf_papers_done) struct mm_devconf_papers papers =
	    MM_DEVCONF_PAPERS_INIT;
	struct look l = { .d = d, .p = p, .fit = fit, .fn = fn, .ctx = ctx,
		.out = MM_BUF_INIT(MM_FILL_MAX) };
	enum mm_err rc;

	*fit = (struct mm_fit){ 0 };
	MM_TRY(take_text(&l, &papers, why));
	MM_TRY(take_schema(&l, &papers, why));
	rc = check_text(&l, why);
	if (rc == MM_OK)
		rc = walks[p->scope](&l, after, why);
	mm_initial_index_free(&l.index);
	mm_buf_wipe(&l.out);
	return rc;
}
