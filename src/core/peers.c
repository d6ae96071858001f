#include <stdio.h>
#include <string.h>

#include "core/priv.h"

/*
 * The other nodes' leases, as our own clock sees them: a lease is a document
 * (nodes.c), and one whose version has not changed for a while is a dead
 * node's.  The feeder looks; whoever wants to know asks.
 */
#define EACH_MS 2000

struct looking {
	struct mm_core *c;
	unsigned n;
	struct mm_peer now[MM_PEERS];
};

static const struct mm_peer *
find(const struct mm_core *c, const char *id)
{
	for (unsigned i = 0; i < c->npeers; i++)
		if (strcmp(c->peer[i].id, id) == 0)
			return &c->peer[i];
	return NULL;
}

/* What did not change keeps its time. */
static enum mm_err
look_at(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct looking *l = ctx;
	const struct mm_doc *doc = row;
	const struct mm_peer *old = find(l->c, doc->id);
	struct mm_peer *p;

	(void)next, (void)why;
	if (l->n == MM_PEERS)
		return MM_OK;
	p = &l->now[l->n++];
	strcpy(p->id, doc->id);
	p->version = doc->version;
	p->seen_at = old != NULL && old->version == doc->version ?
	    old->seen_at : mm_mono_ms();
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_peers_look(struct mm_core *c, struct mm_why *why)
{
	const struct mm_list l = { .most = MM_PEERS, .state = -1 };
	struct looking now = { .c = c };

	if (mm_mono_ms() < c->peers_at)
		return MM_OK;
	c->peers_at = mm_mono_ms() + EACH_MS;
	/* this thread alone changes them */
	MM_TRY(mm_list_docs(c->feed_reader, MM_DOC_NODE, MM_NODE_LEASE, &l,
	    look_at, &now, why));
	pthread_mutex_lock(&c->lock);
	memcpy(c->peer, now.now, sizeof(now.now));
	c->npeers = now.n;
	pthread_mutex_unlock(&c->lock);
	return MM_OK;
}

/* That it is dead, not that it lives: what was not seen yet may. */
static bool
is_silent(struct mm_core *c, const char *id, uint64_t version)
{
	const struct mm_peer *p;
	bool silent;

	pthread_mutex_lock(&c->lock);
	p = find(c, id);
	silent = p != NULL && p->version == version &&
	    mm_mono_ms() - p->seen_at >= MM_NODE_GONE_MS;
	pthread_mutex_unlock(&c->lock);
	return silent;
}

/* see priv.h */
enum mm_err
mm_peer_works(struct mm_core *c, struct mm_store_reader *r, const char *node,
    const char *session, bool *works, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	char id[MM_DOC_ID_MAX + 1], has[33] = "", state[8] = "";
	uint64_t version;
	enum mm_err rc;

	*works = false;
	snprintf(id, sizeof(id), MM_NODE_LEASE "%s", node);
	rc = mm_get_doc(r, MM_DOC_NODE, id, &version, &body, NULL);
	if (rc != MM_OK)
		return rc == MM_ENOTFOUND ? MM_OK :
		    MM_FAIL(why, rc, "the store cannot be read");
	(void)mm_node_text(mm_buf_view(&body), "\"session\":\"", has,
	    sizeof(has));
	(void)mm_node_text(mm_buf_view(&body), "\"state\":\"", state,
	    sizeof(state));
	*works = strcmp(has, session) == 0 && strcmp(state, "up") == 0 &&
	    !is_silent(c, id, version);
	return MM_OK;
}
