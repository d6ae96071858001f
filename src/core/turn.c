#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/once.h"
#include "core/priv.h"

/*
 * Whose signer signs the checkpoints, and how another one's takes over.  The
 * document's version is the turn: the store takes a checkpoint of the present
 * turn only, so whoever was taken over from cannot store one any more, dead,
 * hung or cut off.  Its signature over a tree is no fork either: every signer
 * makes its tree of the entries that the one store has committed.
 */
#define LOOK_MS 200

/* see priv.h */
bool
mm_node_text(struct mm_bytes b, const char *key, char *out, size_t n)
{
	size_t key_n = strlen(key), left;
	const uint8_t *at = memmem(b.p, b.n, key, key_n), *end;

	if (at == NULL)
		return false;
	at += key_n;
	left = (size_t)(b.p + b.n - at);
	end = memchr(at, '"', left);
	return end != NULL && mm_text_copy(out, n,
				  (struct mm_bytes){ at, (size_t)(end - at) });
}

/* see priv.h */
void
mm_turn_put(const char *node, const uint8_t key[32], struct mm_buf *out)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_str(&j, "node", node);
	mm_json_hex(&j, "key", (struct mm_bytes){ key, 32 });
	mm_json_close(&j, '}');
}

static enum mm_err
parse(struct mm_bytes body, struct mm_turn *t, struct mm_why *why)
{
	char hex[65] = "";

	if (!mm_node_text(body, "\"node\":\"", t->node, sizeof(t->node)) ||
	    !mm_node_text(body, "\"key\":\"", hex, sizeof(hex)))
		return MM_FAIL(why, MM_EINPUT, "document ledger: malformed");
	return mm_hex_parse(hex, strlen(hex), t->key, 32, why);
}

static enum mm_err
read_doc(struct mm_store_reader *r, const char *id, uint64_t *version,
    struct mm_buf *body, struct mm_why *why)
{
	enum mm_err rc = mm_get_doc(r, MM_DOC_NODE, id, version, body, NULL);

	if (rc != MM_ENOTFOUND)
		return rc == MM_OK ? MM_OK
				   : MM_FAIL(why, rc, "store: cannot be read");
	*version = 0;
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_turn_read(struct mm_store_reader *r, struct mm_turn *t, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);

	*t = (struct mm_turn){ 0 };
	MM_TRY(read_doc(r, MM_TURN_DOC, &t->version, &body, why));
	return t->version == 0 ? MM_OK : parse(mm_buf_view(&body), t, why);
}

/* ---- taking over ---- */

struct taking {
	struct mm_store *s;
	struct mm_store_reader *r;
	const char *node;
	const struct mm_note_key *key;
	struct mm_turn turn;
	uint64_t size; /* of the last checkpoint */
};

static enum mm_err
open_both(struct taking *t, const struct mm_config *config, struct mm_why *why)
{
	MM_TRY(mm_store_open(config->set.database, false, &t->s, why));
	if (!mm_store_shared(t->s) || config->set.node[0] == '\0')
		return MM_FAIL(why, MM_EPOLICY,
		    "ledger: of several nodes "
		    "over one PostgreSQL database, each with a name (node)");
	return mm_reader_open(config->set.database, &t->r, why);
}

static enum mm_err
check_turn(const struct taking *t, struct mm_why *why)
{
	if (t->turn.version == 0)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "ledger: no node signs "
		    "the ledger yet");
	if (strcmp(t->turn.node, t->node) == 0)
		return MM_FAIL(why, MM_ECONFLICT,
		    "ledger: node \"%s\" "
		    "signs the ledger already",
		    t->node);
	if (memcmp(t->turn.key, t->key->key, 32) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "ledger: the key is not the "
		    "one that signs the ledger");
	return MM_OK;
}

/* Silent for as long as anybody has to be: by our clock alone. */
static enum mm_err
check_gone(struct taking *t, struct mm_why *why)
{
	const struct timespec look = { 0, LOOK_MS * 1000000 };
	int64_t until = mm_mono_ms() + MM_NODE_GONE_MS;
	uint64_t first = 0, version;
	char id[MM_DOC_ID_MAX + 1];

	snprintf(id, sizeof(id), "node:%s", t->turn.node);
	do {
		MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_DOC_MAX);
		char state[8] = "down";

		MM_TRY(read_doc(t->r, id, &version, &b, why));
		(void)mm_node_text(
		    mm_buf_view(&b), "\"state\":\"", state, sizeof(state));
		if (strcmp(state, "down") == 0)
			return MM_OK;
		if (first != 0 && version != first)
			return MM_FAIL(why, MM_ECONFLICT,
			    "ledger: node "
			    "\"%s\" is alive: stop it first",
			    t->turn.node);
		first = version;
		nanosleep(&look, NULL);
	} while (mm_mono_ms() < until);
	return MM_OK;
}

/* The checkpoint is signed by the ledger's key and is the root of what is
 * stored.  With no checkpoint at all there is nothing to be consistent with. */
static enum mm_err
check_checkpoint(struct taking *t, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_NOTE_MAX);
	struct mm_checkpoint c;
	struct mm_hash root;
	enum mm_err rc = mm_get_checkpoint(t->r, &t->size, &note, NULL);

	if (rc == MM_ENOTFOUND) {
		t->size = 0;
		return MM_OK;
	}
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "store: cannot read the checkpoint");
	MM_TRY(mm_checkpoint_verify(mm_buf_view(&note), t->key, &c, why));
	MM_TRY(mm_stored_root(t->r, c.size, &root, why));
	if (c.size != t->size || memcmp(root.b, c.root.b, MM_HASH_N) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "ledger: the last "
		    "checkpoint is not of the entries that are stored");
	return MM_OK;
}

static enum mm_err
take(struct taking *t, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf buf = MM_BUF_INIT(4096);
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(1024);
	struct mm_papers p = mm_papers_over(&buf);
	struct mm_entry e = { .type = MM_E_LEDGER_TAKEN };
	struct mm_op op = { .kind = MM_OP_DOC_PUT }, *ops[] = { &op };
	char number[24], count[24];

	snprintf(number, sizeof(number), "%llu",
	    (unsigned long long)t->turn.version + 1);
	snprintf(count, sizeof(count), "%llu", (unsigned long long)t->size);
	e.field[MM_F_NODE] = t->node;
	e.field[MM_F_NUMBER] = number;
	e.field[MM_F_COUNT] = count;
	mm_papers_add(&p, &e);
	MM_TRY(mm_papers_seal(&p, &op, why));
	mm_turn_put(t->node, t->turn.key, &body);
	MM_TRY(mm_buf_ok(&body, why));
	op.u.doc.kind = MM_DOC_NODE;
	strcpy(op.u.doc.id, MM_TURN_DOC);
	op.u.doc.expect = t->turn.version;
	op.u.doc.body = mm_buf_view(&body);
	MM_TRY(mm_store_run(t->s, ops, 1, why));
	return op.result == MM_OK ? MM_OK
				  : MM_FAIL(why, op.result, "%s", op.why.text);
}

/* see once.h */
enum mm_err
mm_core_takeover(const struct mm_config *config, const struct mm_note_key *key,
    bool yes, struct mm_takeover *out, struct mm_why *why)
{
	MM_OWN(mm_store_close) struct mm_store *s = NULL;
	MM_OWN(mm_reader_close) struct mm_store_reader *r = NULL;
	struct taking t = { .node = config->set.node, .key = key };
	enum mm_err rc = open_both(&t, config, why);

	s = t.s;
	r = t.r;
	MM_TRY(rc);
	MM_TRY(mm_turn_read(r, &t.turn, why));
	MM_TRY(check_turn(&t, why));
	MM_TRY(check_gone(&t, why));
	MM_TRY(check_checkpoint(&t, why));
	if (yes)
		MM_TRY(take(&t, why));
	strcpy(out->from, t.turn.node);
	out->size = t.size;
	out->turn = t.turn.version + 1;
	return MM_OK;
}
