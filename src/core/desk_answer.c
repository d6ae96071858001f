#include <string.h>

#include "base/time.h"
#include "core/priv.h"

/* see core.h */
bool
mm_desk_answer_begin(struct mm_desk *d, const char *key,
    struct mm_answer_hold *hold)
{
	struct mm_core *c = d->c;
	const struct mm_answer_hold *h;

	if (!mm_text_copy(hold->key, sizeof(hold->key), mm_bytes_of(key)))
		return false;
	pthread_mutex_lock(&c->lock);
	for (h = c->answering; h != NULL && strcmp(h->key, key) != 0;)
		h = h->next;
	if (h == NULL) {
		hold->core = c;
		hold->next = c->answering;
		c->answering = hold;
	}
	pthread_mutex_unlock(&c->lock);
	return h == NULL;
}

/* see core.h */
void
mm_answer_end(struct mm_answer_hold *hold)
{
	struct mm_core *c = MM_MOVE(hold->core);
	struct mm_answer_hold **at;

	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	for (at = &c->answering; *at != hold;)
		at = &(*at)->next;
	*at = hold->next;
	pthread_mutex_unlock(&c->lock);
}

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
