#include <stdlib.h>
#include <string.h>

#include "core/upstream_priv.h"

/*
 * Step 4 among nodes over one database: who is about to sign on an authority
 * has a row that says so, for a while.  The table of reserve.c saves useless
 * signatures in a process, the row does between processes; that an authority
 * is spent once is the commit's own rule, so nothing depends on anybody's
 * clock or on a holder's end being noticed.
 *
 * A request that has the row is decided anew: what another node has committed
 * before is among the facts then.  One that has not waits and is decided
 * anew, too; mostly it finds the other one's certificate.
 */
#define LEASE_S   30
#define AGAIN_MS  100
#define WAIT_MS   5000

/* see priv.h */
bool
mm_lease_ask(struct mm_core *c, struct mm_flight *f)
{
	struct mm_op_reserve *r = &f->lease.u.reserve;

	if (f->node[0] == '\0' || !mm_store_shared(c->store) ||
	    (f->flags & MM_FLIGHT_LEASED) || f->name[0] == '\0')
		return false;
	memset(&f->lease, 0, sizeof(f->lease));
	f->lease.kind = MM_OP_RESERVE;
	strcpy(r->authority, f->name);
	strcpy(r->node, f->node);
	memcpy(r->spki, f->spki, sizeof(r->spki));
	r->lease_s = LEASE_S;
	f->op[0] = &f->lease;
	f->nops = 1;
	f->flags |= MM_FLIGHT_ASKING;
	if (f->ask_until == 0)
		f->ask_until = mm_mono_ms() + WAIT_MS;
	return true;
}

/* As between requests of one process: another key of a token's holder counts
 * as a conflict, but only once there is a certificate to be in conflict with.
 */
enum mm_leased
mm_lease_asked(struct mm_flight *f)
{
	enum mm_authority_kind kind = f->job->authority.kind;
	int64_t now = mm_mono_ms();

	f->flags &= ~(unsigned)MM_FLIGHT_ASKING;
	if (f->lease.result == MM_OK) {
		f->flags |= MM_FLIGHT_LEASED;
		return MM_LEASE_HAD;
	}
	if (f->lease.result != MM_ECONFLICT || now >= f->ask_until)
		return MM_LEASE_LATE;
	if (!f->lease.u.reserve.same_key && kind != MM_AUTH_TOKEN_PSK &&
	    kind != MM_AUTH_TOKEN_BASIC)
		return MM_LEASE_OTHERS;
	f->ask_at = now + AGAIN_MS;
	return MM_LEASE_WAIT;
}

/* Written without anybody waiting for it: another lease of so long, or its
 * end. */
static void
put(struct mm_core *c, const struct mm_flight *f, uint32_t s)
{
	struct mm_lease_end *e = malloc(sizeof(*e));

	if (e == NULL)
		return;
	e->op = f->lease;
	e->op.u.reserve.lease_s = s;
	e->next = NULL;
	if (!mm_queue_put(&c->ends, e))
		free(e);
}

/* see upstream_priv.h */
void
mm_lease_renew(struct mm_core *c, const struct mm_flight *f)
{
	if ((f->flags & MM_FLIGHT_LEASED) != 0)
		put(c, f, LEASE_S);
}

/* see priv.h */
void
mm_lease_end(struct mm_core *c, struct mm_flight *f)
{
	if ((f->flags & MM_FLIGHT_LEASED) == 0)
		return;
	f->flags &= ~(unsigned)MM_FLIGHT_LEASED;
	put(c, f, 0);
}

/* see priv.h; W is gone */
void
mm_lease_ends_free(struct mm_core *c)
{
	struct mm_lease_end *next, *e = mm_queue_take(&c->ends, false);

	for (; e != NULL; e = next) {
		next = e->next;
		free(e);
	}
}
