#ifndef MM_CORE_IMPORT_H
#define MM_CORE_IMPORT_H

#include "core/core.h"

/*
 * Up to 1,000 devices at once, each on its own; one that is there with the
 * same content is fine.  Each row's result says what became of it, column
 * which part of it is wrong; a row that comes with a result is not looked at.
 */
struct mm_import_row {
	struct mm_device dev; /* but for its attributes' text: out */
	struct json_t *attributes; /* borrowed, NULL none; an object, whose
				      texts become numbers with how.texts */
	struct mm_bytes plain;     /* or its text, as it came; n 0: none */
	/* out */
	enum mm_err result;
	struct mm_why why;
	char column[48];
	bool already;
};
struct mm_import_how {
	bool dry;            /* looks, and writes nothing */
	bool all_or_nothing; /* writes nothing if one row is found wrong */
	bool texts;          /* attributes are texts, as a table has them */
};
/* Empty rows for an import, the desk's: valid until it is asked for others or
 * idle.  NULL: no memory, or more than 1,000. */
struct mm_import_row *mm_desk_import_rows(struct mm_desk *d, size_t n);
MM_MUST enum mm_err mm_desk_devices_import(struct mm_desk *d,
    const struct mm_login *by, const struct mm_import_how *how,
    struct mm_import_row *row, size_t n, bool *written, struct mm_why *why);

#endif
