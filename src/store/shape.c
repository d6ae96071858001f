#include "store/shape.h"

#include <stddef.h>
#include <string.h>

#include "store/store.h"

/* A member by its place in the struct; the order is the SELECT's. */
#define F(kind, row, member) \
	{ FIELD_##kind, offsetof(struct row, member), \
	    sizeof(((struct row *)0)->member) }
/* Members of a struct within a struct, in its own order. */
#define DEVICE(row, in)                                               \
	F(TEXT, row, in id), F(TEXT, row, in product),                \
	    F(INT, row, in state), F(INT, row, in created_at),        \
	    F(BLOB, row, in bound_spki), F(TEXT, row, in attributes), \
	    F(BLOB, row, in salt), F(INT, row, in version)
#define TOKEN(row, in)                                                 \
	F(TEXT, row, in id), F(TEXT, row, in device),                  \
	    F(TEXT, row, in product), F(TEXT, row, in profile),        \
	    F(INT, row, in state), F(INT, row, in bearer),             \
	    F(INT, row, in created_at), F(INT, row, in not_before_at), \
	    F(INT, row, in expires_at), F(BLOB, row, in bound_spki)
#define SHAPE(name, noun) \
	const struct shape mm_shape_##name = { \
		name, sizeof(name) / sizeof(name[0]), noun }

static const struct field product[] = {
	F(TEXT, mm_product, name), F(TEXT, mm_product, description),
	F(TEXT, mm_product, idevid_profile),
	F(TEXT, mm_product, ldevid_profile), F(TEXT, mm_product, hw_type_oid),
	F(INT, mm_product, created_at), F(INT, mm_product, version)
};
static const struct field device[] = { DEVICE(mm_device, ) };
static const struct field token[] = { TOKEN(mm_token_row, ) };
static const struct field token_facts[] = { TOKEN(mm_token_facts, token.),
	DEVICE(mm_token_facts, device.), F(INT, mm_token_facts, claimed) };
static const struct field key_use[] = { F(TEXT, mm_key_use, device),
	F(INT, mm_key_use, compromised) };
static const struct field cert[] = {
	F(BLOB, mm_cert_row, serial), F(TEXT, mm_cert_row, device),
	F(TEXT, mm_cert_row, product), F(TEXT, mm_cert_row, issuer),
	F(TEXT, mm_cert_row, profile), F(TEXT, mm_cert_row, authority),
	F(INT, mm_cert_row, state), F(INT, mm_cert_row, idevid),
	F(INT, mm_cert_row, key_origin), F(BLOB, mm_cert_row, spki_sha256),
	F(BLOB, mm_cert_row, cert_sha256), F(BLOB, mm_cert_row, predecessor),
	F(INT, mm_cert_row, issued_at), F(INT, mm_cert_row, not_before_s),
	F(INT, mm_cert_row, not_after_s), F(INT, mm_cert_row, confirmed_at),
	F(INT, mm_cert_row, revoked_at), F(INT, mm_cert_row, reason),
	F(INT, mm_cert_row, shard), F(INT, mm_cert_row, entry),
	F(INT, mm_cert_row, key_type)
};
static const struct field claim[] = {
	F(TEXT, mm_claim, authority), F(BLOB, mm_claim, spki_sha256),
	F(BLOB, mm_claim, serial), F(INT, mm_claim, replaced),
	F(INT, mm_claim, replaced_at)
};
static const struct field operator_[] = {
	F(TEXT, mm_operator, id), F(TEXT, mm_operator, name),
	F(TEXT, mm_operator, roles), F(BLOB, mm_operator, secret_sha256),
	F(INT, mm_operator, created_at), F(INT, mm_operator, expires_at),
	F(INT, mm_operator, revoked_at), F(INT, mm_operator, kind),
	F(TEXT, mm_operator, description), F(TEXT, mm_operator, scope),
	F(TEXT, mm_operator, sources), F(BLOB, mm_operator, spki_sha256),
	F(INT, mm_operator, used_at), F(BLOB, mm_operator, next_spki),
	F(INT, mm_operator, next_expires_at), F(INT, mm_operator, renewed_at),
	F(INT, mm_operator, life_ms)
};

SHAPE(product, "product");
SHAPE(device, "device");
SHAPE(token, "token");
SHAPE(token_facts, "token");
SHAPE(cert, "certificate");
SHAPE(key_use, "key");
SHAPE(claim, "authority");
const struct shape mm_shape_operator = { operator_,
	sizeof(operator_) / sizeof(operator_[0]), "operator" };

/* NULL is "none": empty, or all zero. */
static bool
fits(const struct cell *c, const struct field *f)
{
	if (f->kind == FIELD_TEXT)
		return c->b.n < f->n;
	return f->kind == FIELD_INT || c->b.n == f->n || c->b.n == 0;
}

static void
load_int(int64_t v, const struct field *f, uint8_t *to)
{
	switch (f->n) {
	case 1:
		*to = (uint8_t)v;
		break;
	case 4:
		memcpy(to, &(uint32_t){ (uint32_t)v }, 4);
		break;
	default:
		memcpy(to, &v, 8);
	}
}

static void
load(const struct cell *c, const struct field *f, uint8_t *to)
{
	if (f->kind == FIELD_INT) {
		load_int(c->i, f, to);
		return;
	}
	memset(to, 0, f->n);
	if (c->b.n > 0)
		memcpy(to, c->b.p, c->b.n);
}

static struct cell
cell_of(mm_cell_fn *cell, void *row, const struct shape *s, unsigned i)
{
	return cell(row, i, (enum field_kind)s->field[i].kind);
}

enum mm_err
mm_shape_load(const struct shape *s, mm_cell_fn *cell, void *row, void *out,
    struct mm_why *why)
{
	struct cell c;

	for (unsigned i = 0; i < s->n; i++) {
		c = cell_of(cell, row, s, i);
		if (!fits(&c, &s->field[i]))
			return MM_FAIL(why, MM_ESYS,
			    "database: %s: column %u does not fit", s->noun, i);
	}
	for (unsigned i = 0; i < s->n; i++) {
		c = cell_of(cell, row, s, i);
		load(&c, &s->field[i], (uint8_t *)out + s->field[i].at);
	}
	return MM_OK;
}

struct val
mm_val_hash(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return BLOB(p, n);
	return NONE;
}

static struct val
value(const struct field *f, const uint8_t *at)
{
	uint32_t v32;
	int64_t v64;

	if (f->kind == FIELD_TEXT)
		return TEXT((const char *)at);
	if (f->kind == FIELD_BLOB)
		return mm_val_hash(at, f->n);
	if (f->n == 1)
		return INT(*at);
	if (f->n == 4) {
		memcpy(&v32, at, 4);
		return INT(v32);
	}
	memcpy(&v64, at, 8);
	return INT(v64);
}

void
mm_shape_vals(const struct shape *s, const void *row,
    struct val v[MM_VALS_MAX])
{
	MM_INVARIANT(s->n <= MM_VALS_MAX);
	for (unsigned i = 0; i < s->n; i++)
		v[i] = value(&s->field[i],
		    (const uint8_t *)row + s->field[i].at);
}
