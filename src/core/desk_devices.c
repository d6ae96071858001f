#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/desk_schema.h"

/* Devices, as operators put them: one, or many at once. */

enum { IMPORT_MOST = 1000, TRIES = 3, PAPER_ROOM = 1024 };

/* ---- the entry ---- */

struct device_texts {
	char spki[65], detail[65];
};

static void
device_entry(struct mm_entry *e, struct device_texts *t,
    const struct mm_login *by, const struct mm_device *dev)
{
	uint8_t hash[32];

	e->field[MM_F_ACTOR] = by->id;
	e->field[MM_F_DEVICE] = dev->id;
	e->field[MM_F_PRODUCT] = dev->product;
	if (!mm_zero(dev->bound_spki, 32)) {
		mm_hex_text(dev->bound_spki, 32, t->spki);
		e->field[MM_F_SPKI_SHA256] = t->spki;
	}
	if (dev->attributes[0] == '\0')
		return;
	mm_salted_sha256(dev->salt, mm_bytes_of(dev->attributes), hash);
	mm_hex_text(hash, 32, t->detail);
	e->field[MM_F_DETAIL_SHA256] = t->detail;
}

/* The salt is new each time: of attributes that a device no longer has nobody
 * can tell from the ledger what they were. */
static enum mm_err
fill_op(struct mm_op *op, const struct mm_device *dev,
    const struct mm_desk_schema *s, struct mm_why *why)
{
	struct mm_device *row = &op->u.device.row;

	*op = (struct mm_op){ .kind = MM_OP_DEVICE_PUT };
	*row = *dev;
	if (row->created_at == 0)
		row->created_at = mm_now_ms();
	op->u.device.if_schema = true;
	op->u.device.schema = s->version;
	op->u.device.indexed = mm_schema_indexed(s->schema);
	memset(row->salt, 0, sizeof(row->salt));
	return row->attributes[0] != '\0' ? mm_salt_make(row->salt, why) :
	    MM_OK;
}

/* ---- one ---- */

struct put {
	bool replace;
	const uint64_t *if_version;
	const char *action, *reason; /* words for the entry; NULL */
};

/* The product that it leaves, "" none.  What is said of it must still be so
 * when the entry is written. */
static enum mm_err
read_move(struct mm_desk *d, struct mm_op_device *o,
    char from[MM_NAME_MAX + 1], struct mm_why *why)
{
	struct mm_device now;
	enum mm_err rc = mm_get_device(d->r, o->row.id, &now, NULL);

	from[0] = '\0';
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	if (!o->if_version) {
		o->if_version = true;
		o->row.version = now.version;
	}
	if (strcmp(now.product, o->row.product) != 0)
		strcpy(from, now.product);
	return MM_OK;
}

static enum mm_err
put_once(struct mm_desk *d, const struct mm_login *by,
    const struct mm_device *dev, const struct put *how, struct mm_why *why)
{
	MM_OWN(mm_desk_schema_done) struct mm_desk_schema s = { .version = 0 };
	struct mm_papers p = mm_papers_over(&d->buf);
	struct mm_entry e = { .type = how->replace ? MM_E_DEVICE_CHANGED :
						     MM_E_DEVICE_CREATED };
	char column[MM_SCHEMA_COLUMN], from[MM_NAME_MAX + 1] = "";
	struct device_texts t;
	struct mm_op op;

	MM_TRY(mm_desk_schema_load(d, dev->product, &s, why));
	if (s.schema != NULL)
		MM_TRY(mm_schema_check(s.schema, dev->attributes, column,
		    why));
	MM_TRY(fill_op(&op, dev, &s, why));
	op.u.device.replace = how->replace;
	op.u.device.if_version = how->if_version != NULL;
	if (how->if_version != NULL)
		op.u.device.row.version = *how->if_version;
	if (how->replace)
		MM_TRY(read_move(d, &op.u.device, from, why));
	device_entry(&e, &t, by, &op.u.device.row);
	if (from[0] != '\0')
		e.field[MM_F_FROM] = from;
	e.field[MM_F_ACTION] = how->action;
	e.field[MM_F_REASON] = how->reason;
	mm_papers_add(&p, &e);
	return mm_desk_run(d, &p, &op, why);
}

/* Whether it was the device that changed, and not its product's schema. */
static bool
device_changed(struct mm_desk *d, const char *id, const uint64_t *if_version)
{
	struct mm_device now;

	return if_version != NULL && (mm_get_device(d->r, id, &now, NULL) !=
	    MM_OK || now.version != *if_version);
}

static enum mm_err
put(struct mm_desk *d, const struct mm_login *by, const struct mm_device *dev,
    const struct put *how, struct mm_why *why)
{
	struct mm_product product;
	struct mm_why last = { 0 };
	enum mm_err rc = MM_ESTALE;

	if (!mm_device_id_valid(dev->id))
		return MM_FAIL(why, MM_EINPUT, "not a device id");
	MM_TRY(mm_get_product(d->r, dev->product, &product, why));
	for (unsigned i = 0; i < TRIES && rc == MM_ESTALE; i++) {
		last = (struct mm_why){ 0 };
		rc = put_once(d, by, dev, how, &last);
		if (device_changed(d, dev->id, how->if_version))
			break;
	}
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", last.text);
}

/* see core.h */
enum mm_err
mm_desk_device_put(struct mm_desk *d, const struct mm_login *by,
    const struct mm_device *dev, bool replace, struct mm_why *why)
{
	return put(d, by, dev, &(struct put){ .replace = replace }, why);
}

/* see core.h */
enum mm_err
mm_desk_device_replace(struct mm_desk *d, const struct mm_login *by,
    const struct mm_device *dev, const uint64_t *if_version,
    struct mm_why *why)
{
	return put(d, by, dev, &(struct put){ .replace = true,
	    .if_version = if_version }, why);
}

/* see priv.h */
enum mm_err
mm_desk_device_turn(struct mm_desk *d, const struct mm_login *by,
    const struct mm_device *dev, const char *action, const char *reason,
    struct mm_why *why)
{
	return put(d, by, dev, &(struct put){ .replace = true,
	    .if_version = &dev->version, .action = action,
	    .reason = reason }, why);
}

/* ---- many ---- */

/* A product that a row names; of a batch there are few. */
struct seen {
	struct seen *next;
	char name[MM_NAME_MAX + 1];
	enum mm_err rc; /* MM_ENOTFOUND: there is none */
	struct mm_desk_schema schema;
};
struct import {
	struct mm_desk *d;
	const struct mm_login *by;
	const struct mm_import_how *how;
	struct mm_import_row *row;
	size_t n;
	struct seen *seen;
	struct mm_op *op, **ops;
	struct mm_buf papers;
	size_t *at; /* where each row's paper begins */
};

static void
import_done(struct import *m)
{
	for (struct seen *next; m->seen != NULL; m->seen = next) {
		next = m->seen->next;
		mm_desk_schema_done(&m->seen->schema);
		free(m->seen);
	}
	mm_buf_done(&m->papers);
	free(m->op);
	free(m->ops);
	free(m->at);
}

static enum mm_err
row_fails(struct mm_import_row *r, const char *column, enum mm_err rc,
    const char *text)
{
	snprintf(r->column, sizeof(r->column), "%s", column);
	r->result = rc;
	r->why = (struct mm_why){ .code = rc };
	snprintf(r->why.text, sizeof(r->why.text), "%s", text);
	return rc;
}

/* NULL: no memory. */
static struct seen *
product_of(struct import *m, const char *name)
{
	struct seen *p = m->seen;
	struct mm_product row;

	while (p != NULL && strcmp(p->name, name) != 0)
		p = p->next;
	if (p != NULL || (p = calloc(1, sizeof(*p))) == NULL)
		return p;
	strcpy(p->name, name);
	p->next = m->seen;
	m->seen = p;
	p->rc = mm_get_product(m->d->r, name, &row, NULL);
	if (p->rc == MM_OK)
		p->rc = mm_desk_schema_load(m->d, name, &p->schema, NULL);
	return p;
}

static enum mm_err
check_attributes(struct import *m, const struct mm_schema *schema,
    struct mm_import_row *r)
{
	struct mm_why why = { 0 };
	char column[MM_SCHEMA_COLUMN] = "attributes";
	enum mm_err rc;

	if (schema == NULL)
		return MM_OK;
	rc = m->how->texts ? mm_schema_read(schema, r->dev.attributes,
	    sizeof(r->dev.attributes), column, &why) :
	    mm_schema_check(schema, r->dev.attributes, column, &why);
	return rc == MM_OK ? MM_OK : row_fails(r, column, rc, why.text);
}

static bool
same_content(const struct mm_device *a, const struct mm_device *b)
{
	return strcmp(a->product, b->product) == 0 &&
	       strcmp(a->attributes, b->attributes) == 0 &&
	       memcmp(a->bound_spki, b->bound_spki, 32) == 0;
}

/* What the store would say; it has the last word. */
static enum mm_err
check_old(struct import *m, struct mm_import_row *r)
{
	struct mm_device old;
	enum mm_err rc = mm_get_device(m->d->r, r->dev.id, &old, NULL);

	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return row_fails(r, "id", rc, "the store cannot be read");
	if (old.state != MM_DEVICE_ACTIVE)
		return row_fails(r, "id", MM_ECONFLICT, "retired");
	r->already = same_content(&old, &r->dev);
	return r->already ? MM_OK : row_fails(r, "id", MM_ECONFLICT,
	    "exists, with other content");
}

static enum mm_err
check_row(struct import *m, struct mm_import_row *r, struct mm_why *why)
{
	const struct seen *p;

	if (r->result != MM_OK) /* read wrongly already */
		return MM_OK;
	r->already = false;
	p = product_of(m, r->dev.product);
	if (p == NULL)
		return MM_FAIL(why, MM_ENOMEM, "import: no memory");
	if (!mm_device_id_valid(r->dev.id))
		(void)row_fails(r, "id", MM_EINPUT, "not a device id");
	else if (p->rc != MM_OK)
		(void)row_fails(r, "product", p->rc, p->rc == MM_ENOTFOUND ?
		    "no such product" : "the store cannot be read");
	else if (check_attributes(m, p->schema.schema, r) == MM_OK &&
	    (m->how->dry || m->how->all_or_nothing))
		(void)check_old(m, r);
	return MM_OK;
}

static int
by_id(const void *a, const void *b)
{
	const struct mm_import_row *const *x = a, *const *y = b;
	int order = strcasecmp((*x)->dev.id, (*y)->dev.id);

	/* rows stand in one array: the earlier one first */
	return order != 0 ? order : (*x > *y) - (*x < *y);
}

/* One id twice in a batch, with two contents: the first good row of an id is
 * what the others are held against. */
static enum mm_err
check_twice(struct import *m, struct mm_why *why)
{
	struct mm_import_row **sorted = calloc(m->n, sizeof(*sorted));
	struct mm_import_row *a = NULL;

	if (sorted == NULL)
		return MM_FAIL(why, MM_ENOMEM, "import: no memory");
	for (size_t i = 0; i < m->n; i++)
		sorted[i] = &m->row[i];
	qsort(sorted, m->n, sizeof(struct mm_import_row *), by_id);
	for (size_t i = 0; i < m->n; i++) {
		struct mm_import_row *b = sorted[i];

		if (b->result != MM_OK)
			continue;
		if (a == NULL || strcasecmp(a->dev.id, b->dev.id) != 0)
			a = b;
		else if (!same_content(&a->dev, &b->dev))
			(void)row_fails(b, "id", MM_ECONFLICT,
			    "stands in another row with other content");
	}
	free(sorted);
	return MM_OK;
}

static enum mm_err
plan_row(struct import *m, size_t i, int64_t now, struct mm_why *why)
{
	const struct mm_import_row *r = &m->row[i];
	struct mm_entry e = { .type = MM_E_DEVICE_CREATED, .at_ms = now };
	struct device_texts t;

	MM_TRY(fill_op(&m->op[i], &r->dev,
	    &product_of(m, r->dev.product)->schema, why));
	m->op[i].u.device.row.created_at = now;
	m->op[i].u.device.same_is_fine = true;
	device_entry(&e, &t, m->by, &m->op[i].u.device.row);
	m->at[i] = m->papers.n;
	return mm_entry_encode(&e, &m->papers, why);
}

static enum mm_err
write_rows(struct import *m, struct mm_why *why)
{
	int64_t now = mm_now_ms();
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		if (m->row[i].result == MM_OK)
			MM_TRY(plan_row(m, i, now, why));
		else
			m->at[i] = m->papers.n;
	m->at[m->n] = m->papers.n;
	for (size_t i = 0; i < m->n; i++) {
		if (m->row[i].result != MM_OK)
			continue;
		m->op[i].entry[0] = (struct mm_bytes){ m->papers.p + m->at[i],
			m->at[i + 1] - m->at[i] };
		m->op[i].nentries = 1;
		m->ops[n++] = &m->op[i];
	}
	return mm_desk_write(m->d, m->ops, n, why);
}

static void
tell(struct import *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct mm_import_row *r = &m->row[i];
		const struct mm_op *op = &m->op[i];

		if (r->result != MM_OK)
			continue;
		r->already = op->u.device.already;
		if (op->result == MM_ESTALE)
			(void)row_fails(r, "product", MM_EAGAIN,
			    "its schema has just changed: try again");
		else if (op->result != MM_OK)
			(void)row_fails(r, "id", op->result, op->why.text);
	}
}

static enum mm_err
import_room(struct import *m, struct mm_why *why)
{
	if (m->n < 1 || m->n > IMPORT_MOST)
		return MM_FAIL(why, MM_EINPUT, "import: 1 to %d devices at "
		    "once", IMPORT_MOST);
	m->op = calloc(m->n, sizeof(*m->op));
	m->ops = calloc(m->n, sizeof(struct mm_op *));
	m->at = calloc(m->n + 1, sizeof(*m->at));
	return m->op != NULL && m->ops != NULL && m->at != NULL ? MM_OK :
	    MM_FAIL(why, MM_ENOMEM, "import: no memory");
}

static size_t
failed(const struct import *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += m->row[i].result != MM_OK;
	return n;
}

/* see core.h */
enum mm_err
mm_desk_devices_import(struct mm_desk *d, const struct mm_login *by,
    const struct mm_import_how *how, struct mm_import_row *row, size_t n,
    bool *written, struct mm_why *why)
{
	MM_OWN(import_done) struct import m = { .d = d, .by = by, .how = how,
		.row = row, .n = n,
		.papers = MM_BUF_INIT(IMPORT_MOST * PAPER_ROOM) };

	*written = false;
	MM_TRY(import_room(&m, why));
	for (size_t i = 0; i < n; i++)
		MM_TRY(check_row(&m, &row[i], why));
	MM_TRY(check_twice(&m, why));
	if (how->dry || (how->all_or_nothing && failed(&m) > 0))
		return MM_OK;
	MM_TRY(write_rows(&m, why));
	tell(&m);
	*written = true;
	return MM_OK;
}
