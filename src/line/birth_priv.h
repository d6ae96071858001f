#ifndef MM_LINE_BIRTH_PRIV_H
#define MM_LINE_BIRTH_PRIV_H

#include "line/birth.h"
#include "pki/cert.h"

/* The table of facts, by enum mm_birth_fact. */
struct mm_birth_row {
	const char *name;
	bool derived;
	enum mm_birth_grade best;
	const char *says, *clauses;
};
extern const struct mm_birth_row mm_birth_rows[MM_BIRTH_COUNT];

#endif
