#include <string.h>

#include "core/desk_devices.h"

/* Devices, as operators put them, one by one (many: desk_import.c). */

enum { TRIES = 3 };

/* ---- the entry ---- */

/* see desk_devices.h */
void
mm_device_entry(struct mm_entry *e, struct mm_device_texts *t,
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
	struct mm_device_texts t;
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
	mm_device_entry(&e, &t, by, &op.u.device.row);
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
