#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "core/priv.h"

/*
 * Several nodes over one database.  Leases are documents of kind
 * MM_DOC_NODE, renewed every two seconds; whoever wants one that another
 * holds watches its version, by a clock of its own: ten seconds without a
 * change and the holder is gone.  So no two machines' clocks are compared,
 * and a holder that comes back finds another version and stops.
 *
 *   node:<name>  that the name is in use, so that no two have it
 *   webhooks     who delivers
 *   ledger       who signs checkpoints: no lease but a decision, changed by
 *                mm_core_takeover only; its version is the turn that goes
 *                with every checkpoint, so that one of an earlier turn's
 *                holder cannot be stored
 */
#define RENEW_MS 2000
#define LOOK_MS  200
#define LIST_MS  10000 /* another node's revocation has its list by then */
/* Who has not renewed for so long, hung perhaps, does not deliver: another
 * one may a little later. */
#define DELIVERS_MS (MM_NODE_GONE_MS - 2000)
#define NODE     MM_NODE_LEASE

/* ---- the documents' bodies ---- */

static void
put_lease(struct mm_core *c, bool up, struct mm_buf *out)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_str(&j, "node", c->config->set.node);
	mm_json_str(&j, "place", c->nodes.place);
	mm_json_str(&j, "session", c->nodes.session);
	mm_json_str(&j, "state", up ? "up" : "down");
	mm_json_time(&j, "at", mm_now_ms());
	mm_json_close(&j, '}');
}

static enum mm_err
read_doc(struct mm_core *c, const char *id, uint64_t *version,
    struct mm_buf *body, struct mm_why *why)
{
	enum mm_err rc =
	    mm_get_doc(c->feed_reader, MM_DOC_NODE, id, version, body, NULL);

	if (rc != MM_ENOTFOUND)
		return rc == MM_OK ? MM_OK
				   : MM_FAIL(why, rc, "store: cannot be read");
	*version = 0;
	return MM_OK;
}

static enum mm_err
put_doc(struct mm_core *c, const char *id, struct mm_bytes body,
    uint64_t *version, struct mm_why *why)
{
	struct mm_op op = { .kind = MM_OP_DOC_PUT };
	enum mm_err rc;

	op.u.doc.kind = MM_DOC_NODE;
	op.u.doc.expect = *version;
	op.u.doc.body = body;
	snprintf(op.u.doc.id, sizeof(op.u.doc.id), "%s", id);
	rc = mm_core_run1(c, &op, why);
	if (rc == MM_OK)
		*version = op.u.doc.version;
	return rc == MM_ESTALE ? MM_ECONFLICT : rc;
}

/* ---- leases ---- */

/* MM_ECONFLICT: somebody else was faster, or has it by now. */
static enum mm_err
lease_put(struct mm_core *c, struct mm_lease *l, uint64_t expect, bool up,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(1024);

	put_lease(c, up, &body);
	MM_TRY(mm_buf_ok(&body, why));
	MM_TRY(put_doc(c, l->id, mm_buf_view(&body), &expect, why));
	l->version = expect;
	l->ours = up;
	l->renew_at = mm_mono_ms() + RENEW_MS;
	return MM_OK;
}

/* Free at once: never held, given back, or held by a process that ran in
 * this very folder, whose lock we have now. */
static bool
is_free(const struct mm_core *c, struct mm_bytes body)
{
	char place[65] = "", state[8] = "";

	(void)mm_node_text(body, "\"place\":\"", place, sizeof(place));
	(void)mm_node_text(body, "\"state\":\"", state, sizeof(state));
	return strcmp(place, c->nodes.place) == 0 || strcmp(state, "down") == 0;
}

/* MM_EAGAIN: another one has it, and has renewed it a short while ago. */
static enum mm_err
lease_take(struct mm_core *c, struct mm_lease *l, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	uint64_t version;

	MM_TRY(read_doc(c, l->id, &version, &body, why));
	if (version != 0 && !is_free(c, mm_buf_view(&body))) {
		if (version != l->version || l->seen_at == 0) {
			l->changed = l->seen_at != 0;
			l->version = version;
			l->seen_at = mm_mono_ms();
		}
		if (mm_mono_ms() - l->seen_at < MM_NODE_GONE_MS)
			return MM_FAIL(why, MM_EAGAIN, "%s: held", l->id);
	}
	return lease_put(c, l, version, true, why);
}

/* A commit whose answer was lost may have been made: then it is ours. */
static enum mm_err
lease_renew(struct mm_core *c, struct mm_lease *l, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_why own = { 0 };
	char session[33] = "";
	enum mm_err rc;

	if (mm_mono_ms() < l->renew_at)
		return MM_OK;
	rc = lease_put(c, l, l->version, true, &own);
	if (rc != MM_ECONFLICT && rc != MM_ENOTFOUND)
		return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
	MM_TRY(read_doc(c, l->id, &l->version, &body, why));
	(void)mm_node_text(
	    mm_buf_view(&body), "\"session\":\"", session, sizeof(session));
	if (strcmp(session, c->nodes.session) == 0)
		return lease_put(c, l, l->version, true, why);
	*l = (struct mm_lease){ .id = l->id };
	return MM_FAIL(why, MM_ECONFLICT, "%s: another one has it now", l->id);
}

static void
lease_give_back(struct mm_core *c, struct mm_lease *l)
{
	if (l->ours && lease_put(c, l, l->version, false, NULL) != MM_OK)
		mm_core_note(c, 2, "node", "its lease runs out by itself");
	l->ours = false;
}

/* One that stopped without a word is waited for.  MM_ECONFLICT: it
 * lives. */
static enum mm_err
lease_wait(struct mm_core *c, struct mm_lease *l, struct mm_why *why)
{
	const struct timespec look = { 0, LOOK_MS * 1000000 };
	int64_t until = mm_mono_ms() + 3 * MM_NODE_GONE_MS;
	struct mm_why own = { 0 };
	enum mm_err rc;

	for (;;) {
		own = (struct mm_why){ 0 };
		rc = lease_take(c, l, &own);
		if (rc == MM_OK)
			return MM_OK;
		if (rc == MM_ECONFLICT || l->changed)
			break;
		/* the store may be away, too */
		if (rc != MM_EAGAIN || mm_mono_ms() >= until)
			return MM_FAIL(why, rc, "%s", own.text);
		nanosleep(&look, NULL);
	}
	return MM_FAIL(why, MM_ECONFLICT,
	    "database: another mintmarkd works "
	    "on it as node \"%s\": each needs a name (node) and a signer set "
	    "up of its own",
	    l->id + strlen(NODE));
}

/* ---- who signs checkpoints ---- */

/* The only one, without a name, has no turn: it may not go on beside. */
static enum mm_err
only_one_gone(struct mm_core *c, struct mm_why *why)
{
	struct mm_lease only = { .id = NODE };

	MM_TRY(lease_wait(c, &only, why));
	lease_give_back(c, &only);
	return MM_OK;
}

/* The first one that starts is the one whose signer has the key. */
static enum mm_err
first_turn(struct mm_core *c, struct mm_turn *t, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(1024);
	enum mm_err rc;

	if (!c->nodes.signs)
		return MM_FAIL(why, MM_EPOLICY,
		    "ledger: no node signs it "
		    "yet: start the one whose signer has its key first");
	MM_TRY(only_one_gone(c, why));
	mm_turn_put(c->config->set.node, c->key.key, &body);
	MM_TRY(mm_buf_ok(&body, why));
	rc = put_doc(c, MM_TURN_DOC, mm_buf_view(&body), &t->version, why);
	return rc == MM_OK || rc == MM_ECONFLICT
		   ? mm_turn_read(c->feed_reader, t, why)
		   : rc;
}

static enum mm_err
take_role(struct mm_core *c, const struct mm_turn *t, struct mm_why *why)
{
	bool ours = strcmp(t->node, c->config->set.node) == 0;

	if (memcmp(t->key, c->key.key, 32) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "ledger: this signer's key of "
		    "it is not the one that is in use");
	if (ours && !c->nodes.signs)
		return MM_FAIL(why, MM_EPOLICY,
		    "ledger: node \"%s\" signs "
		    "it, and this signer does not have its key",
		    t->node);
	if (!ours && c->nodes.signs)
		mm_core_note(c, 2, "ledger.other-node", t->node);
	pthread_mutex_lock(&c->lock);
	c->nodes.turn = t->version;
	c->nodes.follows = !ours;
	pthread_mutex_unlock(&c->lock);
	return MM_OK;
}

static enum mm_err
find_role(struct mm_core *c, struct mm_why *why)
{
	struct mm_turn t;

	c->nodes.role_at = mm_mono_ms() + RENEW_MS;
	MM_TRY(mm_turn_read(c->feed_reader, &t, why));
	if (c->config->set.node[0] == '\0')
		return t.version == 0 ? MM_OK
				      : MM_FAIL(why, MM_EPOLICY,
					    "database: several nodes work on "
					    "it: this one needs a "
					    "name (node)");
	if (t.version == 0)
		MM_TRY(first_turn(c, &t, why));
	return t.version == c->nodes.turn ? MM_OK : take_role(c, &t, why);
}

/* ---- starting, going on, stopping ---- */

/* That somebody else has it is no failure. */
static enum mm_err
turn_webhooks(struct mm_core *c, struct mm_why *why)
{
	struct mm_lease *w = &c->nodes.webhooks;
	int64_t now = mm_mono_ms();
	enum mm_err rc = MM_OK;

	if (c->nodes.declines)
		lease_give_back(c, w);
	else if (!w->ours)
		rc = lease_take(c, w, why);
	else if (now >= w->renew_at)
		rc = lease_renew(c, w, why);
	else
		return MM_OK;
	if (rc == MM_OK)
		atomic_store(&c->nodes.delivers_at, now);
	atomic_store(&c->nodes.delivers, w->ours);
	return rc == MM_EAGAIN || rc == MM_ECONFLICT ? MM_OK : rc;
}

static enum mm_err
make_session(struct mm_core *c, struct mm_why *why)
{
	uint8_t random[16];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return MM_FAIL(why, MM_ESYS, "no random bytes");
	mm_hex_text(random, sizeof(random), c->nodes.session);
	c->nodes.patience_ms = LIST_MS + random[0] * 16;
	snprintf(c->nodes.own_id, sizeof(c->nodes.own_id), NODE "%s",
	    c->config->set.node);
	c->nodes.own = (struct mm_lease){ .id = c->nodes.own_id };
	c->nodes.webhooks = (struct mm_lease){ .id = "webhooks" };
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_nodes_start(struct mm_core *c, struct mm_why *why)
{
	if (!mm_store_shared(c->store)) {
		if (c->config->set.node[0] == '\0' && c->nodes.signs)
			return MM_OK;
		return MM_FAIL(why, MM_EPOLICY,
		    "node: several work over a "
		    "PostgreSQL database only");
	}
	MM_TRY(make_session(c, why));
	MM_TRY(lease_wait(c, &c->nodes.own, why));
	MM_TRY(find_role(c, why));
	return turn_webhooks(c, why);
}

static void
fence(struct mm_core *c, const char *text)
{
	atomic_store(&c->nodes.fenced, true);
	atomic_store(&c->issuing, false);
	atomic_store(&c->accepting, false);
	atomic_store(&c->nodes.delivers, false);
	mm_core_not_ready(c, text);
}

/* see priv.h */
enum mm_err
mm_nodes_turn(struct mm_core *c, struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc;

	if (!mm_store_shared(c->store))
		return MM_OK;
	if (c->nodes.fenced)
		return MM_FAIL(why, MM_EPOLICY,
		    "node: another one has its "
		    "name");
	rc = lease_renew(c, &c->nodes.own, &own);
	if (rc == MM_ECONFLICT)
		fence(c, "another mintmarkd works as this node");
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", own.text);
	rc = turn_webhooks(c, &own);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", own.text);
	MM_TRY(mm_peers_look(c, why));
	if (mm_mono_ms() < c->nodes.role_at)
		return MM_OK;
	rc = find_role(c, &own);
	if (rc == MM_EPOLICY)
		fence(c, own.text);
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

/* see priv.h */
void
mm_nodes_stop(struct mm_core *c)
{
	if (!mm_store_shared(c->store) || c->nodes.fenced)
		return;
	lease_give_back(c, &c->nodes.webhooks);
	lease_give_back(c, &c->nodes.own);
}

/* see core.h */
bool
mm_core_delivers(const struct mm_core *c)
{
	return !mm_store_shared(c->store) || (c->nodes.delivers &&
	    mm_mono_ms() - c->nodes.delivers_at < DELIVERS_MS);
}

/* see core.h */
void
mm_core_deliver_may(struct mm_core *c, bool may)
{
	atomic_store(&c->nodes.declines, !may);
}

/* see core.h */
bool
mm_core_shared(const struct mm_core *c)
{
	return mm_store_shared(c->store);
}

/* ---- what others wrote ---- */

static enum mm_err
look_at_ledger(struct mm_core *c, struct mm_why *why)
{
	uint64_t size;
	bool grown;

	MM_TRY(mm_get_ledger_size(c->feed_reader, &size, why));
	pthread_mutex_lock(&c->lock);
	grown = size > c->ledger_size;
	if (grown)
		c->ledger_size = size;
	pthread_mutex_unlock(&c->lock);
	if (grown && c->conf.grown != NULL)
		c->conf.grown(c->conf.ctx, size);
	return MM_OK;
}

/* The other node's checkpoint is believed once our own tree has the same
 * root.  What is older than the trail was believed before. */
static enum mm_err
check_note(struct mm_core *c, struct mm_bytes note, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf frame = MM_BUF_INIT(MM_IPC_FRAME_MAX);
	struct mm_ledger_check_req req = { note };
	struct mm_ledger_check_rep rep;
	struct mm_why own = { 0 };
	enum mm_err rc = mm_wire_call(c->wire, MM_LINE_LEDGER,
	    MM_IPC_LEDGER_CHECK, &req, &rep, &frame, &own);

	if (rc == MM_OK || rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc == MM_EPOLICY || rc == MM_EINPUT)
		atomic_store(&c->issuing, false);
	return MM_FAIL(why, rc, "%s", own.text);
}

static enum mm_err
look_at_note(struct mm_core *c, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
	uint64_t size;
	enum mm_err rc = mm_get_checkpoint(c->feed_reader, &size, &note, NULL);

	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "store: cannot read the checkpoint");
	/* one of entries that came since we looked: the next turn's */
	if (size == c->nodes.checked || size > c->fed)
		return MM_OK;
	MM_TRY(check_note(c, mm_buf_view(&note), why));
	c->nodes.checked = size;
	pthread_mutex_lock(&c->lock);
	if (size > c->checkpoint_size) {
		c->checkpoint_size = size;
		c->checkpoint_at = mm_now_ms();
	}
	if (size >= c->ledger_size)
		c->want_checkpoint = false;
	pthread_mutex_unlock(&c->lock);
	mm_core_noted(c);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_nodes_catch_up(struct mm_core *c, struct mm_why *why)
{
	if (!mm_store_shared(c->store))
		return mm_feed_all(c, why);
	MM_TRY(look_at_ledger(c, why));
	MM_TRY(mm_feed_all(c, why));
	if (c->config->set.node[0] == '\0')
		return MM_OK;
	/* who signs from now on looks once at what was signed before */
	return c->nodes.follows || c->nodes.checked == 0 ?
	    look_at_note(c, why) : MM_OK;
}
