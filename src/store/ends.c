#include "store/backend.h"

#include "base/time.h"

/*
 * When the certificates in force end.  The index of expiry has them by class
 * (product, issuer, profile) and state: the walk goes through it as it is.
 */
static const enum mm_cert_state in_force[] = { MM_CERT_ISSUED,
	MM_CERT_CONFIRMED, MM_CERT_HELD };
#define NSTATES (sizeof(in_force) / sizeof(in_force[0]))

struct walk {
	struct mm_ending *at;
	unsigned left;
	mm_end_fn *fn;
	void *ctx;
};

static void
step(void *ctx, int64_t not_after_s, int64_t id)
{
	struct walk *w = ctx;

	w->at->not_after_s = not_after_s;
	w->at->id = id;
	w->left--;
	w->fn(w->ctx, w->at);
}

/* The next state of the class, or the next class. */
static enum mm_err
turn(struct mm_store_reader *r, struct mm_ending *at, struct mm_why *why)
{
	enum mm_err rc;

	at->not_after_s = at->id = 0;
	if (at->class != 0 && ++at->state < NSTATES)
		return MM_OK;
	at->state = 0;
	rc = r->backend->next_class(r, at, why);
	at->over = rc == MM_ENOTFOUND;
	return at->over ? MM_OK : rc;
}

/* see store.h */
enum mm_err
mm_walk_ends(struct mm_store_reader *r, struct mm_ending *at, unsigned most,
    int64_t until_ms, mm_end_fn *fn, void *ctx, struct mm_why *why)
{
	struct walk w = { at, most, fn, ctx };
	bool late = false;

	if (at->class == 0)
		MM_TRY(turn(r, at, why));
	while (!at->over && w.left > 0 && !late) {
		unsigned asked = w.left;

		at->in = in_force[at->state];
		MM_TRY(r->backend->list_ends(r, at, at->in, asked,
		    &(struct mm_end_sink){ step, &w }, why));
		if (w.left > 0)
			MM_TRY(turn(r, at, why));
		if (w.left == asked)
			w.left--;
		late = until_ms != 0 && mm_mono_ms() >= until_ms;
	}
	return MM_OK;
}
