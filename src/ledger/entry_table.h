#ifndef MM_LEDGER_ENTRY_TABLE_H
#define MM_LEDGER_ENTRY_TABLE_H

#include "ledger/entry.h"

/* What entry.c and entry_parse.c share of the tables.  For them only. */
enum mm_entry_form {
	MM_FORM_TEXT,
	MM_FORM_SHA256, /* 64 lower-case hex digits */
	MM_FORM_NUMBER, /* a JSON number, 0 to 2^53 - 1 (RFC 8785 3.2.2.3) */
};

extern const char *const mm_entry_field_names[MM_ENTRY_FIELD_COUNT];
/* The field of that name from one on, or MM_ENTRY_FIELD_COUNT. */
unsigned mm_entry_field_named(struct mm_bytes name, unsigned from);
enum mm_entry_form mm_entry_field_form(enum mm_entry_field f);
bool mm_entry_form_holds(enum mm_entry_form form, const char *v);
/* Whether entries of that type have that field. */
bool mm_entry_field_of(enum mm_entry_type t, enum mm_entry_field f);
/* Each field in its form, and if the type is known none missing that it must
 * have; which others there are is not asked.  MM_EBUG. */
MM_MUST enum mm_err mm_entry_check_known(const struct mm_entry *e,
    struct mm_why *why);
/* The type of that name, or MM_ENTRY_TYPE_COUNT. */
enum mm_entry_type mm_entry_type_of(struct mm_bytes name);

#endif
