#include <stdlib.h>
#include <string.h>

#include "core/priv.h"

/*
 * Idempotency-Keys whose call did nothing, and whose document "begun" could
 * not be taken away, because the store was away too: their callers shall not
 * be told for a day that nobody knows what became of it.  Tried again when
 * the key comes again, by housekeeping, and at the end; what does not fit is
 * left as it is.  Only the version that the call itself wrote is taken away,
 * and no other call's has the same (desk_answer.c).
 */
#define MOST 1024

struct mm_forget {
	char key[MM_DOC_ID_MAX + 1];
	uint64_t version;
	bool busy; /* somebody tries it */
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

/* The first of that key, or of any that nobody tries (NULL); it stays in the
 * list, so that whoever asks for its key meanwhile hears of it. */
static enum mm_err
take(struct mm_core *c, const char *key, struct mm_forget **out)
{
	struct mm_forget *f;
	bool busy = false;

	pthread_mutex_lock(&c->lock);
	for (f = c->forgets; f != NULL; f = f->next)
		if (key == NULL ? !f->busy : strcmp(f->key, key) == 0)
			break;
	if (f != NULL) {
		busy = f->busy;
		f->busy = true;
	}
	pthread_mutex_unlock(&c->lock);
	*out = f;
	return busy ? MM_EBUSY : f != NULL ? MM_OK : MM_ENOTFOUND;
}

/* What was taken: it is done, or may be tried again. */
static void
give_back(struct mm_core *c, struct mm_forget *f, bool done)
{
	struct mm_forget **at;

	pthread_mutex_lock(&c->lock);
	f->busy = false;
	if (done) {
		for (at = &c->forgets; *at != f;)
			at = &(*at)->next;
		*at = f->next;
		c->nforgets--;
	}
	pthread_mutex_unlock(&c->lock);
	if (done)
		free(f);
}

static void
make_op(const struct mm_forget *f, struct mm_op *op)
{
	*op = (struct mm_op){ .kind = MM_OP_DOC_PUT };
	op->u.doc.kind = MM_DOC_BEGUN;
	op->u.doc.expect = f->version;
	strcpy(op->u.doc.id, f->key);
}

/* Only a store that is away will say something else another time; whatever
 * else it says is its last word, and must not keep the others waiting. */
static bool
is_over(struct mm_core *c, enum mm_err rc, const struct mm_why *own)
{
	if (rc == MM_EAGAIN || rc == MM_ESYS || rc == MM_ENOMEM)
		return false;
	if (rc != MM_OK && rc != MM_ENOTFOUND && rc != MM_ESTALE)
		mm_core_note(c, 2, "answers.forget", own->text);
	return true;
}

static enum mm_err
try_again(struct mm_core *c, struct mm_forget *f, struct mm_why *why)
{
	struct mm_why own = { 0 };
	struct mm_op op;
	enum mm_err rc;
	bool done;

	make_op(f, &op);
	rc = mm_core_run1(c, &op, &own);
	done = is_over(c, rc, &own);
	give_back(c, f, done);
	return done ? MM_OK : MM_FAIL(why, MM_EAGAIN, "%s", own.text);
}

/* see priv.h */
enum mm_err
mm_forget_pending(struct mm_core *c, const char *key, struct mm_why *why)
{
	struct mm_forget *f;
	enum mm_err rc = MM_OK;

	for (unsigned i = 0; i < MOST && rc == MM_OK; i++) {
		rc = take(c, key, &f);
		if (rc == MM_EBUSY)
			return MM_FAIL(why, MM_EAGAIN, "an earlier call with "
			    "this key is being forgotten");
		if (rc == MM_OK)
			MM_TRY(try_again(c, f, why));
	}
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_forget_all(struct mm_core *c, struct mm_why *why)
{
	struct mm_forget *f;

	for (unsigned i = 0; i < MOST && take(c, NULL, &f) == MM_OK; i++)
		MM_TRY(try_again(c, f, why));
	return MM_OK;
}

/* see priv.h */
void
mm_forget_last(struct mm_core *c)
{
	bool away = false;
	struct mm_forget *f;

	while (take(c, NULL, &f) == MM_OK) {
		struct mm_op op, *one = &op;

		make_op(f, &op);
		away = away || mm_store_run(c->store, &one, 1, NULL) != MM_OK;
		give_back(c, f, true);
	}
}
