#ifndef MM_LINE_INITIAL_H
#define MM_LINE_INITIAL_H

#include "line/fill.h"
#include "pki/key.h"

/*
 * A device's initial configuration: a template (fill.h) and the columns of a
 * table, one row a device.  Pure; the centre checks every row when a batch is
 * made, the station renders one when its unit is scanned: the same code, so
 * that what passed there cannot fail here.
 *
 * The table names its columns.  Each is a field of the template, but for
 * "device", which names the row's device and may be a field too; "product"
 * and "batch" are fields that need no column.  A column that the template
 * does not use is refused: it is a slip of somebody's pen.
 */
#define MM_INITIAL_COLUMNS 64
struct mm_initial { /* borrows the template */
	const struct mm_fill *fill;
	size_t ncolumns, device;        /* device: its column */
	int column[MM_FILL_FIELDS];     /* of each field; else of these: */
};
enum { MM_INITIAL_PRODUCT = -1, MM_INITIAL_BATCH = -2 };

/* MM_EINPUT: a field without a column, a column without a field, a column
 * twice, none for the device. */
MM_MUST enum mm_err mm_initial_map(const struct mm_fill *fill,
    const char *const *columns, size_t n, struct mm_initial *out,
    struct mm_why *why);

struct mm_initial_row {
	unsigned long long row;   /* for words: 1 is the first of data */
	const char *const *cell;  /* as many as there are columns */
	const char *product, *batch; /* NULL if the template needs none */
};
/*
 * The row's document, appended to out, its SHA-256, and (NULL: not wanted)
 * what may be shown of it.  MM_EINPUT with row and column, never a value.
 */
MM_MUST enum mm_err mm_initial_render(const struct mm_initial *m,
    const struct mm_initial_row *r, struct mm_buf *out, struct mm_buf *shown,
    uint8_t sha256[32], struct mm_why *why);

/* The value of a field in it. */
const char *mm_initial_value(const struct mm_initial *m,
    const struct mm_initial_row *r, size_t field);
/* Whether one of its secrets is short (weak.h). */
bool mm_initial_guessable(const struct mm_initial *m,
    const struct mm_initial_row *r);

/*
 * The same by a batch's papers: the template, and its table of devices' fields
 * as JSON, {"columns":[...],"rows":[[...],...],"salt":"..."}, of texts (n 0:
 * there is none; older ones have no salt).  A station's has "salts" instead,
 * one for each row.  The table is well formed: its hash is what the batch says.
 * Wipe out.  MM_ENOTFOUND: the device has no row.
 */
struct mm_initial_of {
	struct mm_bytes template, fields;
	const char *device, *product, *batch;
	const struct mm_initial_index *index; /* of fields; NULL: none */
	struct mm_buf *shown; /* as mm_initial_render has it */
};
struct mm_initial_made {
	uint8_t sha256[32];      /* of the document */
	uint8_t salt[MM_SALT_N]; /* the device's; zeros: there is none */
	bool by_table;           /* made of the table's: not a station's own */
	bool guessable;          /* a secret in it is short (weak.h) */
};
MM_MUST enum mm_err mm_initial_make(const struct mm_initial_of *of,
    struct mm_buf *out, struct mm_initial_made *made, struct mm_why *why);

/*
 * What is on record of a device's document, where others read: not its hash,
 * by which who knows all of it but a password could try that, but SHA-256 of
 * "mintmark-configuration", of the device's salt and of that hash: its mark.
 * The salt is the device's own, so that to show one shows no other, and a
 * station has those of its own devices: the first MM_SALT_N bytes of
 * HMAC-SHA256, by the table's salt, of "mintmark-initial " and the device's id.
 * Zeros: none; then the mark is the document's hash.
 *
 * Marks of before had no words in front of the salt, and no domain of their
 * own.  Whoever judges takes them, and (of stations from before there were
 * salts) the document's hash: mm_initial_is_mark.
 */
void mm_initial_salt(const uint8_t table[MM_SALT_N], const char *device,
    uint8_t salt[MM_SALT_N]);
void mm_initial_mark(const uint8_t salt[MM_SALT_N], const uint8_t sha256[32],
    uint8_t out[32]);
void mm_initial_mark_before(const uint8_t salt[MM_SALT_N],
    const uint8_t sha256[32], uint8_t out[32]);
bool mm_initial_is_mark(const uint8_t said[32],
    const uint8_t salt[MM_SALT_N], const uint8_t sha256[32]);

/*
 * Where each device's row stands in such a table, which it borrows: for who
 * makes many, so that the last of ten thousand is found as the first.
 */
struct mm_initial_index;
MM_MUST enum mm_err mm_initial_index_new(struct mm_bytes fields,
    struct mm_initial_index **out, struct mm_why *why);
void mm_initial_index_free(struct mm_initial_index **owner);
/* Whether what is on record of its devices is salted. */
bool mm_initial_index_salted(const struct mm_initial_index *x);

/*
 * Whether a device that has one document may get another: versions rise, and
 * a version is one document.  MM_EPOLICY: older, or another of the same
 * version; *same: it has it already.  have NULL: it has none.
 */
struct mm_initial_at {
	int64_t version; /* 1 and up */
	uint8_t sha256[32];
};
MM_MUST enum mm_err mm_initial_check(const struct mm_initial_at *have,
    const struct mm_initial_at *next, bool *same, struct mm_why *why);

#endif
