#ifndef MM_CORE_DESK_SCHEMA_H
#define MM_CORE_DESK_SCHEMA_H

#include "core/priv.h"
#include "core/schema.h"

/* A product's schema as the desk works with it: its document, read. */
struct mm_desk_schema {
	struct mm_schema *schema; /* NULL: the product has none */
	uint64_t version;         /* 0: none */
	/* Every device of the product that has an indexed member is found by
	 * it; and none has a member that the schema forbids. */
	bool whole, forced;
	struct mm_buf text;       /* of the schema alone */
};
MM_MUST enum mm_err mm_desk_schema_load(struct mm_desk *d,
    const char *product, struct mm_desk_schema *out, struct mm_why *why);
void mm_desk_schema_done(struct mm_desk_schema *s);

#endif
