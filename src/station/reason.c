#include "station/reason.h"

/* see reason.h */
const struct mm_unit_reason_text mm_unit_reasons[MM_UNIT_REASONS] = {
#define X(reason, code, exit, what, todo) \
	[reason] = { code, exit, what, todo },
	MM_UNIT_REASONS_X(X)
#undef X
};

/* see reason.h */
const char *const mm_unit_reason_codes[MM_UNIT_REASONS] = {
#define X(reason, code, exit, what, todo) [reason] = code,
	MM_UNIT_REASONS_X(X)
#undef X
};
