#ifndef MM_STORE_SHAPE_H
#define MM_STORE_SHAPE_H

#include "base/bytes.h"
#include "base/err.h"

/*
 * What the backends share about rows: values on their way into a statement,
 * and the store's structs as tables of their members, so that a row of any
 * database becomes a struct in one place.
 */

/* ---- values ---- */

enum val_kind { VAL_INT, VAL_REAL, VAL_TEXT, VAL_BLOB, VAL_NULL };
struct val {
	enum val_kind kind;
	int64_t i;
	double d;
	struct mm_bytes b;
};
#define INT(x)     ((struct val){ .kind = VAL_INT, .i = (int64_t)(x) })
#define REAL(x)    ((struct val){ .kind = VAL_REAL, .d = (x) })
#define TEXT(s)    ((struct val){ .kind = VAL_TEXT, .b = mm_bytes_of(s) })
#define BLOB(x, l) ((struct val){ .kind = VAL_BLOB, .b = { (x), (l) } })
#define BYTES(x)   ((struct val){ .kind = VAL_BLOB, .b = (x) })
#define NONE       ((struct val){ .kind = VAL_NULL })
/* NULL where all n bytes are zero: store.h's "none". */
struct val mm_val_hash(const uint8_t *p, size_t n);
#define HASH(a)    mm_val_hash((a), sizeof(a))

/* ---- rows by shape ---- */

enum field_kind { FIELD_TEXT, FIELD_BLOB, FIELD_INT };
struct field {
	uint16_t kind, at, n;
};
struct shape {
	const struct field *field;
	unsigned n;
	const char *noun;
};
extern const struct shape mm_shape_product, mm_shape_device, mm_shape_token,
    mm_shape_token_facts, mm_shape_cert, mm_shape_claim, mm_shape_key_use,
    mm_shape_operator;

/* A column of a row: bytes (text, blob) or i (integer); NULL is "none": no
 * bytes, 0.  It is asked for kind. */
struct cell {
	struct mm_bytes b;
	int64_t i;
};
typedef struct cell mm_cell_fn(void *row, unsigned column,
    enum field_kind kind);
/* A row into the struct the shape describes; MM_ESYS: it does not fit. */
enum mm_err mm_shape_load(const struct shape *s, mm_cell_fn *cell, void *row,
    void *out, struct mm_why *why);

#define MM_VALS_MAX 20
/* The struct's members as values, in the shape's order. */
void mm_shape_vals(const struct shape *s, const void *row,
    struct val v[MM_VALS_MAX]);

#endif
