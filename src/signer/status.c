#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "signer/duty.h"
#include "signer/far.h"

static uint64_t
tree_size(struct mm_signer *s)
{
	uint64_t n;

	pthread_mutex_lock(&s->tree.lock);
	n = s->tree.frontier.size;
	pthread_mutex_unlock(&s->tree.lock);
	return n;
}

/* see priv.h */
enum mm_err
mm_on_hello(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	struct mm_hello_rep *p = &i->rep.hello;
	const struct mm_signer *s = w->s;

	if ((i->req.hello.version & UINT16_MAX) != MM_IPC_VERSION)
		return MM_FAIL(why, MM_EPOLICY, "hello: version %u, want %d",
		    (unsigned)i->req.hello.version, MM_IPC_VERSION);
	if (s->duty != NULL &&
	    (i->req.hello.version & MM_IPC_KNOWS_NONCES) != 0)
		atomic_store(&s->duty->asks_nonces, true);
	memcpy(p->origin, s->note_key.name, sizeof(p->origin));
	memcpy(p->ledger_key, s->note_key.key, sizeof(p->ledger_key));
	if (s->orders_key != NULL)
		memcpy(p->orders_key, s->orders_note.key,
		    sizeof(p->orders_key));
	memcpy(p->anchor_sha256, s->anchor, sizeof(p->anchor_sha256));
	p->tree_size = tree_size(w->s);
	p->journal_n = w->sum.n;
	p->production = s->conf->set.production;
	p->signs = s->ledger_key != NULL;
	memcpy(p->place, s->place, sizeof(p->place));
	memcpy(p->node, s->conf->set.node, sizeof(p->node));
	mm_clocks_put(mm_record_clocks(s->record), &i->body);
	p->clocks = mm_buf_view(&i->body);
	return mm_buf_ok(&i->body, why);
}

/* The profile that is nearest to a ceiling of its own. */
static void
put_ceiling(struct mm_signer *s, struct mm_status_rep *p)
{
	for (size_t i = 0; i < s->nuse; i++) {
		const struct mm_profile *f = s->use[i].profile;
		unsigned used = mm_record_used(s->record, f->name,
		    f->per_minute, f->per_day, mm_now_s());

		if (used <= p->ceiling)
			continue;
		p->ceiling = used;
		strcpy(p->ceiling_profile, f->name);
	}
}

/* see priv.h */
enum mm_err
mm_on_status(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	struct mm_status_rep *p = &i->rep.status;
	const char *stopped = mm_signer_stopped(w->s, &w->sum);

	(void)why;
	if (stopped == NULL && w->sum.broken)
		stopped = "the journal could not be written";
	p->signed_n = w->s->signed_n;
	p->refused_n = w->s->refused_n;
	p->journal_n = w->sum.n;
	p->tree_size = tree_size(w->s);
	p->outstanding = w->sum.outstanding;
	p->issuing = stopped == NULL;
	snprintf(p->why, sizeof(p->why), "%s", stopped == NULL ? "" : stopped);
	p->now_ms = (uint64_t)mm_now_ms();
	p->journal_ms = (uint64_t)w->sum.at_ms;
	put_ceiling(w->s, p);
	mm_far_status(w->s, p);
	snprintf(p->version, sizeof(p->version), "%s", MM_VERSION);
	return MM_OK;
}
