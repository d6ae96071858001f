#include <stdlib.h>
#include <string.h>

#include "core/priv.h"
#include "core/round.h"
#include "core/upstream_priv.h"

#define PAPERS_MAX (MM_OP_ENTRIES * 8192)

/* see core.h */
enum mm_err
mm_desk_open(struct mm_core *c, struct mm_desk **out, struct mm_why *why)
{
	MM_OWN(mm_desk_close) struct mm_desk *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return MM_FAIL(why, MM_ENOMEM, "desk: no memory");
	d->c = c;
	mm_buf_init(&d->buf, PAPERS_MAX);
	mm_buf_init(&d->frame, MM_IPC_FRAME_MAX);
	MM_TRY(mm_reader_open(c->config->set.database, &d->r, why));
	*out = MM_MOVE(d);
	return MM_OK;
}

/* see core.h */
void
mm_desk_close(struct mm_desk **owner)
{
	struct mm_desk *d = *owner;

	if (d == NULL)
		return;
	mm_batches_free(&d->batches);
	mm_ocsp_free(&d->ocsp);
	mm_import_room_free(&d->import);
	mm_reader_close(&d->r);
	mm_buf_done(&d->buf);
	mm_buf_wipe(&d->frame);
	free(d);
	*owner = NULL;
}

/* see core.h */
void
mm_desk_idle(struct mm_desk *d)
{
	mm_import_room_free(&d->import);
}

/* see core.h */
struct mm_store_reader *
mm_desk_reader(struct mm_desk *d)
{
	return d->r;
}

/* MM_EAGAIN of one round promises that nothing was done (store.h). */
static bool
may_have_written(enum mm_err rc, struct mm_op *const *ops, size_t n)
{
	bool any = false;

	if (rc == MM_EAGAIN && n <= MM_ROUND_OPS / 2)
		return false;
	for (size_t i = 0; i < n; i++)
		any |= ops[i]->result == MM_OK;
	return rc != MM_OK || any;
}

/* see priv.h */
enum mm_err
mm_desk_write(struct mm_desk *d, struct mm_op **ops, size_t n,
    struct mm_why *why)
{
	enum mm_err rc = mm_core_run(d->c, ops, n, why);

	d->writes += may_have_written(rc, ops, n);
	return rc;
}

static size_t
round_of(const struct mm_desk *d, size_t left)
{
	size_t most = atomic_load(&d->c->round_most);

	if (most > MM_ROUND_OPS / 2)
		most = MM_ROUND_OPS / 2;
	return left < most ? left : most;
}

static void
not_run(struct mm_op **ops, size_t n, const struct mm_why *why)
{
	for (size_t i = 0; i < n; i++) {
		ops[i]->result = MM_EAGAIN;
		ops[i]->why = *why;
	}
}

/* see round.h */
enum mm_err
mm_desk_write_rows(struct mm_desk *d, struct mm_op **ops, size_t n,
    struct mm_why *why)
{
	for (size_t at = 0, some; at < n; at += some) {
		struct mm_why own = { 0 };
		enum mm_err rc;

		some = round_of(d, n - at);
		rc = mm_desk_write(d, ops + at, some, &own);
		if (rc == MM_EAGAIN && at > 0) {
			not_run(ops + at, n - at, &own);
			return MM_OK;
		}
		if (rc != MM_OK)
			return MM_FAIL(why, rc, "%s", own.text);
	}
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_desk_write1(struct mm_desk *d, struct mm_op *op, struct mm_why *why)
{
	MM_TRY(mm_desk_write(d, &op, 1, why));
	return op->result == MM_OK ? MM_OK :
	    MM_FAIL(why, op->result, "%s", op->why.text);
}

/* see core.h */
uint64_t
mm_desk_writes(const struct mm_desk *d)
{
	return d->writes;
}

/* see priv.h */
enum mm_err
mm_desk_run(struct mm_desk *d, struct mm_papers *p, struct mm_op *op,
    struct mm_why *why)
{
	MM_TRY(mm_papers_seal(p, op, why));
	return mm_desk_write1(d, op, why);
}

/* ---- housekeeping ---- */

static void
keep(struct mm_desk *d, enum mm_err rc, const char *event,
    const struct mm_why *why)
{
	if (rc != MM_OK)
		mm_core_note(d->c, 2, event, why->text);
}

/* see core.h */
void
mm_desk_housekeeping(struct mm_desk *d)
{
	const struct mm_config *config = d->c->config;

	for (size_t i = 0; i < config->nissuer; i++) {
		struct mm_why why = { 0 };
		uint64_t number;

		if (!mm_issuer_lists(&config->issuer[i]))
			continue;
		keep(d, mm_desk_crl(d, config->issuer[i].name, false, &number,
		    &why), "crl.failed", &why);
	}
	mm_lines_again(d);
	mm_lines_list(d);
	struct mm_why why = { 0 };
	keep(d, mm_counts_flush(d->c, false, &why), "counts.failed", &why);
	mm_login_used(d);
	mm_login_admins(d);
	why = (struct mm_why){ 0 };
	keep(d, mm_desk_unconfirmed(d, &why), "unconfirmed.failed", &why);
	why = (struct mm_why){ 0 };
	keep(d, mm_desk_upstream(d, &why), "upstream.failed", &why);
	why = (struct mm_why){ 0 };
	keep(d, mm_desk_forecast(d, &why), "forecast.failed", &why);
	why = (struct mm_why){ 0 };
	keep(d, mm_desk_answers_tidy(d, &why), "answers.tidy", &why);
	why = (struct mm_why){ 0 };
	keep(d, mm_store_tidy(d->r, &why), "store.tidy", &why);
}
