#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "core/desk_devices.h"
#include "core/import.h"
#include "core/property.h"
#include "core/round.h"
#include "pki/salt.h"

/*
 * Devices, many at once.  A batch is rows of 5 KB, most of which an attribute's
 * text could fill and hardly ever does: the desk keeps them from one batch to
 * the next, and only what is said is written and copied.
 */

enum { IMPORT_MOST = 1000, PAPER_ROOM = 1024 };

struct mm_import_room {
	struct mm_import_row row[IMPORT_MOST];
	struct mm_op op[IMPORT_MOST];
	struct mm_op *ops[IMPORT_MOST];
	uint8_t salt[IMPORT_MOST][MM_SALT_N];
	size_t at[IMPORT_MOST + 1]; /* where each row's paper begins */
	struct mm_buf papers;
};

/* see priv.h */
void
mm_import_room_free(struct mm_import_room **owner)
{
	if (*owner != NULL)
		mm_buf_done(&(*owner)->papers);
	free(*owner);
	*owner = NULL;
}

/* All of it but the room of a text, which then is empty. */
static void
clear(void *p, size_t n, size_t text, size_t room)
{
	memset(p, 0, text + 1);
	memset((char *)p + text + room, 0, n - text - room);
}
#define CLEAR(p, member)                                                  \
	clear((p), sizeof(*(p)), offsetof(__typeof__(*(p)), member),      \
	    sizeof((p)->member))

/* see core.h */
struct mm_import_row *
mm_desk_import_rows(struct mm_desk *d, size_t n)
{
	if (d->import == NULL && n <= IMPORT_MOST &&
	    (d->import = malloc(sizeof(*d->import))) != NULL)
		mm_buf_init(&d->import->papers, IMPORT_MOST * PAPER_ROOM);
	if (d->import == NULL || n > IMPORT_MOST)
		return NULL;
	for (size_t i = 0; i < n; i++)
		CLEAR(&d->import->row[i], dev.attributes);
	return d->import->row;
}

/* ---- a batch ---- */

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
	struct mm_import_room *room; /* the desk's */
};

static void
import_done(struct import *m)
{
	for (struct seen *next; m->seen != NULL; m->seen = next) {
		next = m->seen->next;
		mm_desk_schema_done(&m->seen->schema);
		free(m->seen);
	}
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
	MM_OWN(json_free) json_t *own = NULL;
	struct mm_why why = { 0 };
	char column[MM_SCHEMA_COLUMN] = "attributes";
	json_t *o = r->attributes;
	enum mm_err rc;

	if (r->plain.n > 0 && mm_schema_plain(schema, r->plain,
	    m->how->texts, r->dev.attributes, sizeof(r->dev.attributes)))
		return MM_OK;
	if (r->plain.n > 0)
		o = own = json_loadb((const char *)r->plain.p, r->plain.n,
		    JSON_REJECT_DUPLICATES, NULL);
	if (r->plain.n > 0 && o == NULL)
		return row_fails(r, column, MM_EAGAIN, "out of memory");
	rc = mm_schema_read(schema, o, m->how->texts, column, &why);
	if (rc == MM_OK)
		rc = mm_attributes_text(o, r->dev.attributes,
		    sizeof(r->dev.attributes), &why);
	return rc == MM_OK ? MM_OK : row_fails(r, column, MM_EINPUT, why.text);
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

/* In a table as a line makes it each id comes after the one before. */
static bool
in_order(const struct import *m)
{
	size_t i = 1;

	while (i < m->n && strcasecmp(m->row[i - 1].dev.id,
	    m->row[i].dev.id) < 0)
		i++;
	return i >= m->n;
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

/* The text of attributes as far as it goes. */
static void
copy(struct mm_device *to, const struct mm_device *from)
{
	const size_t text = offsetof(struct mm_device, attributes),
		     after = text + sizeof(to->attributes);

	memcpy(to, from, text + strlen(from->attributes) + 1);
	memcpy((char *)to + after, (const char *)from + after,
	    sizeof(*to) - after);
}

static void
fill_op(struct mm_op *op, const struct mm_device *dev,
    const struct mm_desk_schema *s, const uint8_t salt[MM_SALT_N])
{
	CLEAR(op, u.device.row.attributes);
	op->kind = MM_OP_DEVICE_PUT;
	op->u.device.if_schema = op->u.device.same_is_fine = true;
	op->u.device.schema = s->version;
	op->u.device.indexed = mm_schema_indexed(s->schema);
	copy(&op->u.device.row, dev);
	if (dev->attributes[0] != '\0')
		memcpy(op->u.device.row.salt, salt, MM_SALT_N);
}

static enum mm_err
plan_row(struct import *m, size_t i, int64_t now, struct mm_why *why)
{
	const struct mm_import_row *r = &m->row[i];
	struct mm_op *op = &m->room->op[i];
	struct mm_entry e = { .type = MM_E_DEVICE_CREATED, .at_ms = now };
	struct mm_device_texts t;

	fill_op(op, &r->dev, &product_of(m, r->dev.product)->schema,
	    m->room->salt[i]);
	op->u.device.row.created_at = now;
	mm_device_entry(&e, &t, m->by, &op->u.device.row);
	return mm_entry_encode(&e, &m->room->papers, why);
}

/* Once all are written: papers move as they grow. */
static size_t
take_papers(struct import *m)
{
	struct mm_import_room *o = m->room;
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (m->row[i].result != MM_OK)
			continue;
		o->op[i].entry[0] = (struct mm_bytes){ o->papers.p +
			o->at[i], o->at[i + 1] - o->at[i] };
		o->op[i].nentries = 1;
		o->ops[n++] = &o->op[i];
	}
	return n;
}

static enum mm_err
write_rows(struct import *m, struct mm_why *why)
{
	int64_t now = mm_now_ms();

	MM_TRY(mm_salts_make(m->room->salt[0], m->n, why));
	mm_buf_reset(&m->room->papers);
	for (size_t i = 0; i < m->n; i++) {
		m->room->at[i] = m->room->papers.n;
		if (m->row[i].result == MM_OK)
			MM_TRY(plan_row(m, i, now, why));
	}
	m->room->at[m->n] = m->room->papers.n;
	return mm_desk_write_rows(m->d, m->room->ops, take_papers(m), why);
}

static void
tell(struct import *m)
{
	for (size_t i = 0; i < m->n; i++) {
		struct mm_import_row *r = &m->row[i];
		const struct mm_op *op = &m->room->op[i];

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
		.row = row, .n = n, .room = d->import };

	*written = false;
	if (n < 1 || n > IMPORT_MOST || d->import == NULL ||
	    row != d->import->row)
		return MM_FAIL(why, MM_EINPUT, "import: 1 to %d devices at "
		    "once, in the desk's rows", IMPORT_MOST);
	for (size_t i = 0; i < n; i++)
		MM_TRY(check_row(&m, &row[i], why));
	if (!in_order(&m))
		MM_TRY(check_twice(&m, why));
	if (how->dry || (how->all_or_nothing && failed(&m) > 0))
		return MM_OK;
	MM_TRY(write_rows(&m, why));
	tell(&m);
	*written = true;
	return MM_OK;
}
