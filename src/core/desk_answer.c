#include <string.h>

#include "base/time.h"
#include "core/priv.h"

/* see core.h */
enum mm_err
mm_desk_answer_put(struct mm_desk *d, const char *key,
    const uint8_t request_sha256[32], int status, struct mm_bytes body,
    struct mm_why *why)
{
	struct mm_op op = { .kind = MM_OP_ANSWER_PUT };
	struct mm_op_answer *a = &op.u.answer;

	if (!mm_text_copy(a->key, sizeof(a->key), mm_bytes_of(key)))
		return MM_FAIL(why, MM_EINPUT, "idempotency key: too long");
	memcpy(a->request_sha256, request_sha256, 32);
	a->status = status;
	a->body = body;
	a->at = mm_now_ms();
	return mm_core_run1(d->c, &op, why);
}
