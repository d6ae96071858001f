#include "core/desk_schema.h"
#include "core/mass.h"
#include "core/where.h"

/* Conditions of a recall: what an attribute's text means under the schemas of
 * the products that are asked for. */

enum { PRODUCTS_MOST = 200 };

/* What the schemas that count say of a member, taken together. */
struct meaning {
	struct mm_desk *d;
	const char *name;
	enum mm_schema_member is;
	bool indexed; /* nowhere not */
	bool marked;  /* somewhere */
	unsigned products;
};

static enum mm_err
ask_schema(struct meaning *m, const char *product, struct mm_why *why)
{
	MM_OWN(mm_desk_schema_done) struct mm_desk_schema s = { .version = 0 };
	enum mm_schema_member is;
	bool indexed;

	MM_TRY(mm_desk_schema_load(m->d, product, &s, why));
	is = mm_schema_member(s.schema, m->name, &indexed);
	m->products++;
	if (is == MM_SCHEMA_FORBIDDEN && !s.forced)
		return MM_OK;
	if (!indexed || !s.whole)
		m->indexed = false;
	else
		m->marked = true;
	if (m->is == MM_SCHEMA_UNKNOWN)
		m->is = is;
	else if (is != MM_SCHEMA_UNKNOWN && is != m->is)
		m->is = MM_SCHEMA_MIXED;
	return MM_OK;
}

static enum mm_err
ask_product(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	(void)next;
	return ask_schema(ctx, ((const struct mm_product *)row)->name, why);
}

static enum mm_err
ask_all(struct meaning *m, const char *product, struct mm_why *why)
{
	struct mm_list l = { .most = PRODUCTS_MOST, .state = -1 };

	m->indexed = true;
	if (product != NULL)
		return ask_schema(m, product, why);
	MM_TRY(mm_list_products(m->d->r, &l, ask_product, m, why));
	if (m->products == PRODUCTS_MOST) /* there may be more */
		m->indexed = false;
	return MM_OK;
}

static enum mm_err
check_marked(const struct meaning *m, struct mm_why *why)
{
	return m->indexed && m->marked ? MM_OK : MM_FAIL(why, MM_EINPUT,
	    "where: %s is no indexed attribute of all devices asked for: mark "
	    "it in the product's schema, and name the product", m->name);
}

static enum mm_err
read_where(struct mm_desk *d, const char *text, bool marked,
    struct mm_recall *q, struct mm_why *why)
{
	char value[MM_WHERE_VALUE];
	struct mm_where w;
	enum mm_err rc;

	while ((rc = mm_where_next(&text, &w, value, why)) == MM_OK) {
		struct meaning m = { .d = d, .name = w.name };

		if (q->nwhere == MM_WHERE_MOST)
			return MM_FAIL(why, MM_EINPUT, "where: at most %d "
			    "conditions", MM_WHERE_MOST);
		MM_TRY(ask_all(&m, q->product, why));
		if (marked)
			MM_TRY(check_marked(&m, why));
		MM_TRY(mm_where_value(&w, m.is, value, why));
		w.indexed = m.indexed;
		q->where[q->nwhere++] = w;
	}
	return rc == MM_ENOTFOUND ? MM_OK : rc;
}

/* see core.h */
enum mm_err
mm_desk_where(struct mm_desk *d, const char *text, struct mm_recall *q,
    struct mm_why *why)
{
	return read_where(d, text, false, q, why);
}

/* see mass.h */
enum mm_err
mm_desk_where_marked(struct mm_desk *d, const char *text, struct mm_recall *q,
    struct mm_why *why)
{
	return read_where(d, text, true, q, why);
}
