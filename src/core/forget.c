#include <stdlib.h>
#include <string.h>

#include "core/priv.h"

/*
 * Idempotency-Keys whose call did nothing, and whose document "begun" could
 * not be taken away, because the store was away too: their callers shall not
 * be told for a day that nobody knows what became of it.  Tried again when
 * the key comes again, by housekeeping, and at the end; what does not fit is
 * left as it is.  Only the version that the call itself wrote is taken away.
 */
#define MOST 1024

struct mm_forget {
	char key[MM_DOC_ID_MAX + 1];
	uint64_t version;
	struct mm_forget *next;
};

static void
add(struct mm_core *c, struct mm_forget *f)
{
	f->next = c->forgets;
	c->forgets = f;
	c->nforgets++;
}

/* see priv.h */
void
mm_forget_later(struct mm_core *c, const char *key, uint64_t version)
{
	struct mm_forget *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return;
	if (!mm_text_copy(f->key, sizeof(f->key), mm_bytes_of(key))) {
		free(f);
		return;
	}
	f->version = version;
	pthread_mutex_lock(&c->lock);
	if (c->nforgets < MOST) {
		add(c, f);
		f = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	free(f);
}

/* The first of that key, or of any (NULL), out of the list. */
static struct mm_forget *
take(struct mm_core *c, const char *key)
{
	struct mm_forget **at, *f;

	pthread_mutex_lock(&c->lock);
	at = &c->forgets;
	while ((f = *at) != NULL && key != NULL && strcmp(f->key, key) != 0)
		at = &f->next;
	if (f != NULL) {
		*at = f->next;
		c->nforgets--;
	}
	pthread_mutex_unlock(&c->lock);
	return f;
}

static void
make_op(const struct mm_forget *f, struct mm_op *op)
{
	*op = (struct mm_op){ .kind = MM_OP_DOC_PUT };
	op->u.doc.kind = MM_DOC_BEGUN;
	op->u.doc.expect = f->version;
	strcpy(op->u.doc.id, f->key);
}

/* Takes f: it is done, or in the list again. */
static enum mm_err
try_again(struct mm_core *c, struct mm_forget *f, struct mm_why *why)
{
	struct mm_why own = { 0 };
	struct mm_op op;
	enum mm_err rc;

	make_op(f, &op);
	rc = mm_core_run1(c, &op, &own);
	if (rc == MM_OK || rc == MM_ENOTFOUND || rc == MM_ESTALE) {
		free(f);
		return MM_OK;
	}
	pthread_mutex_lock(&c->lock);
	add(c, f);
	pthread_mutex_unlock(&c->lock);
	return MM_FAIL(why, MM_EAGAIN, "%s", own.text);
}

/* see priv.h */
enum mm_err
mm_forget_pending(struct mm_core *c, const char *key, struct mm_why *why)
{
	struct mm_forget *f = take(c, key);

	return f == NULL ? MM_OK : try_again(c, f, why);
}

/* see priv.h */
enum mm_err
mm_forget_all(struct mm_core *c, struct mm_why *why)
{
	struct mm_forget *f;

	for (unsigned i = 0; i < MOST && (f = take(c, NULL)) != NULL; i++)
		MM_TRY(try_again(c, f, why));
	return MM_OK;
}

/* see priv.h */
void
mm_forget_last(struct mm_core *c)
{
	bool away = false;
	struct mm_forget *f;

	while ((f = take(c, NULL)) != NULL) {
		struct mm_op op, *one = &op;

		make_op(f, &op);
		away = away || mm_store_run(c->store, &one, 1, NULL) != MM_OK;
		free(f);
	}
}
