#include "station/revoked.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "station/own.h"
#include "station/run.h"

/* PAGE: certificates of an answer, 1 MiB at most; LIST: of a line CA, before
 * which a million and a half are revoked. */
enum { PAGE = 500, LIST = 64 << 20, WAIT_MS = 500 };

/* What is held may be revoked between two pages, and nothing the other way
 * round: in this order none is missed.  Orphaned is what was rejected at the
 * centre: revoked as well. */
static const char *const states[] = { "held", "orphaned", "revoked" };
enum { STATES = sizeof(states) / sizeof(states[0]) };

static enum mm_err
ask(struct mm_revoking *r, struct mm_why *why)
{
	char path[MM_NAME_MAX + MM_REVOKED_CURSOR + 96];

	snprintf(path, sizeof(path),
	    "/certificates?state=%s&limit=%d&issuer=%s%s%s", states[r->turn],
	    PAGE, r->issuer, r->after[0] != '\0' ? "&after=" : "", r->after);
	MM_TRY(mm_centre_ask(r->centre, MM_CENTRE_SYNC, path, NULL, why));
	r->asked = true;
	return MM_OK;
}

/* From the start, the next time. */
static void
forget(struct mm_revoking *r)
{
	mm_buf_done(&r->rows);
	r->after[0] = '\0';
	r->turn = 0;
}

/* see revoked.h */
enum mm_err
mm_revoking_begin(struct mm_revoking *r, const struct mm_station_conf *conf,
    struct mm_centre *centre, const char *issuer, struct mm_why *why)
{
	r->conf = conf;
	r->centre = centre;
	r->rows.max = LIST;
	if (strcmp(r->issuer, issuer) != 0)
		forget(r);
	snprintf(r->issuer, sizeof(r->issuer), "%s", issuer);
	return ask(r, why);
}

/* see revoked.h */
void
mm_revoking_done(struct mm_revoking *r)
{
	mm_buf_done(&r->rows);
}

/* It goes into the next request as it came. */
static enum mm_err
take_cursor(struct mm_revoking *r, const json_t *body, struct mm_why *why)
{
	static const char may[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:";
	const char *next = json_string_value(json_object_get(body, "next"));

	if (next == NULL)
		next = "";
	if (strlen(next) >= sizeof(r->after) ||
	    strspn(next, may) != strlen(next))
		return MM_FAIL(why, MM_EINPUT, "revocations: the next page");
	strcpy(r->after, next);
	return MM_OK;
}

static enum mm_err
answered(struct mm_revoking *r, const struct mm_centre_answer *a,
    struct mm_why *why)
{
	if (a->rc != MM_OK)
		return MM_FAIL(why, a->rc, "%s", a->why.text);
	MM_TRY(mm_revoked_add(&r->rows, json_object_get(a->body, "items"),
	    r->turn == 0, why));
	MM_TRY(take_cursor(r, a->body, why));
	if (r->after[0] == '\0')
		r->turn++;
	if (r->turn < STATES)
		return ask(r, why);
	MM_TRY(mm_revoked_keep(r->conf, r->issuer, &r->rows, &r->n, why));
	forget(r);
	return MM_OK;
}

/* see revoked.h */
enum mm_err
mm_revoking_step(struct mm_revoking *r, struct mm_why *why)
{
	struct mm_centre_answer a;
	enum mm_err rc;

	if (!r->asked || !mm_centre_take(r->centre, MM_CENTRE_SYNC, &a))
		return MM_OK;
	r->asked = false;
	rc = answered(r, &a, why);
	mm_centre_answer_done(&a);
	if (rc != MM_OK && rc != MM_EAGAIN)
		forget(r);
	return rc;
}

/* ---- of every order ---- */

struct each {
	const struct mm_station_conf *conf;
	struct mm_centre *centre;
	struct mm_revoked_n n;
};

static enum mm_err
wait_for(struct mm_revoking *r, const struct each *e, const char *issuer,
    struct mm_why *why)
{
	MM_TRY(mm_revoking_begin(r, e->conf, e->centre, issuer, why));
	while (r->asked && !mm_run_stopped) {
		mm_centre_wait(e->centre, NULL, 0, WAIT_MS);
		MM_TRY(mm_revoking_step(r, why));
	}
	return mm_run_stopped ? MM_FAIL(why, MM_EAGAIN, "stopped") : MM_OK;
}

/* That of a closed batch, too: its boards still come back. */
static enum mm_err
fetch_of(void *ctx, const struct mm_work_order *o, struct mm_why *why)
{
	MM_OWN(mm_revoking_done) struct mm_revoking r = { .conf = NULL };
	struct each *e = ctx;

	if (o->ca_name[0] == '\0')
		return MM_OK;
	MM_TRY(wait_for(&r, e, o->ca_name, why));
	e->n.revoked += r.n.revoked;
	e->n.held += r.n.held;
	return MM_OK;
}

/* see revoked.h */
enum mm_err
mm_revoked_fetch(const struct mm_station_conf *conf, struct mm_centre *c,
    struct mm_revoked_n *n, struct mm_why *why)
{
	struct each e = { .conf = conf, .centre = c };

	MM_TRY(mm_order_each(conf, fetch_of, &e, why));
	mm_revoked_forget_old(conf);
	*n = e.n;
	return MM_OK;
}
