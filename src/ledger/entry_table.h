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
enum mm_entry_form mm_entry_field_form(enum mm_entry_field f);
/* The type of that name, or MM_ENTRY_TYPE_COUNT. */
enum mm_entry_type mm_entry_type_of(struct mm_bytes name);

#endif
