#ifndef MM_CORE_SCHEMA_H
#define MM_CORE_SCHEMA_H

#include "base/bytes.h"
#include "base/err.h"

/*
 * What a maker says about the attributes of a product's devices: a subset of
 * JSON Schema (2020-12), docs/reference/rest.md has it.  An object with
 * "properties" (each a text, a whole number, a number or a truth, no nesting),
 * "required" and "additionalProperties" (true or false); of a property "type",
 * "enum", "minLength", "maxLength", "minimum", "maximum" and, our own,
 * "x-indexed": recalls by it are fast.  A keyword that is not among these is
 * refused: a constraint that is not checked would be believed.
 */
#define MM_SCHEMA_MAX        16384 /* bytes of its text */
#define MM_SCHEMA_PROPERTIES 64
#define MM_SCHEMA_COLUMN     48 /* "attributes.<name>" */

struct mm_schema;

/* MM_EINPUT: what is wrong with it, and where. */
MM_MUST enum mm_err mm_schema_parse(struct mm_bytes text,
    struct mm_schema **out, struct mm_why *why);
void mm_schema_free(struct mm_schema **owner);

/*
 * attributes: a JSON object, or "".  MM_EINPUT: they do not fit; column names
 * which.
 */
MM_MUST enum mm_err mm_schema_check(const struct mm_schema *s,
    const char *attributes, char column[MM_SCHEMA_COLUMN], struct mm_why *why);
/* Texts, as a table has them, become what the schema says they are, where they
 * read as such; in place.  MM_ELIMIT: they no longer fit. */
MM_MUST enum mm_err mm_schema_convert(const struct mm_schema *s,
    char *attributes, size_t room, struct mm_why *why);
/* Of attributes that are read already (NULL: none), in place: with texts both,
 * one after the other; without a schema (NULL) everything fits. */
struct json_t;
MM_MUST enum mm_err mm_schema_read(const struct mm_schema *s,
    struct json_t *attributes, bool texts, char column[MM_SCHEMA_COLUMN],
    struct mm_why *why);
/* The same of attributes as they stand, and their one form in one go, where
 * they are plain (plain.h), and good.  false: out means nothing, and what
 * there is to say mm_schema_read says. */
bool mm_schema_plain(const struct mm_schema *s, struct mm_bytes attributes,
    bool texts, char *out, size_t room);
/* Their one form, that of a device's attributes; none: "".  MM_ELIMIT. */
MM_MUST enum mm_err mm_attributes_text(const struct json_t *attributes,
    char *out, size_t room, struct mm_why *why);

/* JSON array of the indexed members' names, NULL: none.  The schema's. */
const char *mm_schema_indexed(const struct mm_schema *s);

enum mm_schema_member {
	MM_SCHEMA_UNKNOWN,  /* not said, and there may be one */
	MM_SCHEMA_FORBIDDEN,
	MM_SCHEMA_TEXT, MM_SCHEMA_NUMBER, MM_SCHEMA_TRUTH,
	MM_SCHEMA_MIXED
};
/* What the schema says of a member. */
enum mm_schema_member mm_schema_member(const struct mm_schema *s,
    const char *name, bool *indexed);

#endif
