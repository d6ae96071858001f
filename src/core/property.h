#ifndef MM_CORE_PROPERTY_H
#define MM_CORE_PROPERTY_H

#include <jansson.h>

#include "base/own.h"
#include "core/schema.h"

MM_FREE_FN(json_free, json_t, json_decref)

/* A schema as read: schema_read.c reads one, schema.c checks with it. */
enum { T_TEXT = 1, T_INTEGER = 2, T_NUMBER = 4, T_TRUTH = 8 };

struct property {
	const char *name;
	unsigned types;
	const json_t *choices; /* NULL: any value */
	int64_t min_length, max_length;
	double minimum, maximum;
	bool has_minimum, has_maximum, required, indexed;
};
struct mm_schema {
	json_t *root; /* owns the texts */
	struct property property[MM_SCHEMA_PROPERTIES];
	size_t n;
	bool closed; /* no other members */
	char *indexed;
};

/* NULL: it has none of this name. */
const struct property *mm_property_find(const struct mm_schema *s,
    const char *name);

#endif
