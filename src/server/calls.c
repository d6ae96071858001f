#include "server/calls.h"

#include <string.h>

enum {
	QUEUE_MAX = 512,
	QUEUE_BYTES = 64 << 20, /* of the calls' bodies */
	DEVICES_MAX = QUEUE_MAX / 2,
	DEVICE_MAX = 8, /* of one that asks the same again, after a cut */
};

/* see calls.h */
void
mm_calls_init(struct mm_calls *q)
{
	*q = (struct mm_calls){ .n = 0 };
	q->last = &q->first;
}

static bool
is_same(const struct mm_authority *a, const struct mm_authority *b)
{
	return a->kind == b->kind && memcmp(a->serial, b->serial,
	    sizeof(a->serial)) == 0 && strcmp(a->token, b->token) == 0;
}

static unsigned
count(const struct mm_calls *q, const struct mm_authority *a)
{
	unsigned n = 0;

	for (const struct mm_call *c = q->first; c != NULL; c = c->next)
		n += c->device && is_same(&c->authority, a);
	return n;
}

static bool
has_room(const struct mm_calls *q, const struct mm_call *c)
{
	if (q->n >= QUEUE_MAX || q->bytes + c->data.cap > QUEUE_BYTES)
		return false;
	return !c->device || (q->devices < DEVICES_MAX &&
	    count(q, &c->authority) < DEVICE_MAX);
}

/* see calls.h */
bool
mm_calls_put(struct mm_calls *q, struct mm_call *c, bool again)
{
	if (!again && !has_room(q, c))
		return false;
	q->n++;
	q->devices += c->device;
	q->bytes += c->data.cap;
	c->next = NULL;
	*q->last = c;
	q->last = &c->next;
	return true;
}

/* see calls.h */
struct mm_call *
mm_calls_take(struct mm_calls *q)
{
	struct mm_call *c = q->first;

	if (c == NULL)
		return NULL;
	q->first = c->next;
	if (q->first == NULL)
		q->last = &q->first;
	q->n--;
	q->devices -= c->device;
	q->bytes -= c->data.cap;
	return c;
}
