#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/time.h"
#include "ledger/entry.h"
#include "signer/priv.h"

/* A restored journal lacks its end, not a factory's year; a person who knows
 * better starts the signer again. */
#define RECOVERED_MOST 10000
#define OUTSTANDING_MOST 200 /* of a kilobyte at most: fits a message */

/*
 * The field of a canonical entry: a quote inside a text is escaped there, so
 * that ,"key":" can only be a key.  An entry that is not canonical fails
 * every auditor's check; here it can settle nothing but its own serial.
 */
static bool
hex_field(struct mm_bytes e, const char *key, uint8_t *out, size_t n)
{
	size_t key_n = strlen(key);
	const uint8_t *at = memmem(e.p, e.n, key, key_n);
	size_t left;

	if (at == NULL)
		return false;
	at += key_n;
	left = (size_t)(e.p + e.n - at);
	return left > 2 * n && at[2 * n] == '"' &&
	    mm_hex_parse((const char *)at, 2 * n, out, n, NULL) == MM_OK;
}

static void
text_field(struct mm_bytes e, const char *key, char *out, size_t outn)
{
	size_t key_n = strlen(key), left;
	const uint8_t *at = memmem(e.p, e.n, key, key_n), *end;

	if (at == NULL)
		return;
	at += key_n;
	left = (size_t)(e.p + e.n - at);
	end = memchr(at, '"', left);
	if (end != NULL)
		(void)!mm_text_copy(out, outn,
		    (struct mm_bytes){ at, (size_t)(end - at) });
}

static bool
starts(struct mm_bytes e, const char *text)
{
	size_t n = strlen(text);

	return e.n >= n && memcmp(e.p, text, n) == 0;
}

#define HEAD "{\"v\":1,\"type\":\""

static bool
is_certificate(struct mm_bytes e)
{
	return starts(e, HEAD "certificate.issued\"") ||
	    starts(e, HEAD "certificate.adopted\"") ||
	    starts(e, HEAD "certificate.renewed\"");
}

static enum mm_err
count_recovered(struct mm_tree_state *t, struct mm_why *why)
{
	if (t->recovered == RECOVERED_MOST)
		MM_LOG(MM_LOG_ERROR, "journal.recovered-too-many",
		    MM_I("most", RECOVERED_MOST));
	if (t->recovered <= RECOVERED_MOST)
		t->recovered++;
	if (t->recovered > RECOVERED_MOST)
		return MM_FAIL(why, MM_EPOLICY, "ledger: more than %d entries "
		    "of certificates that the journal does not have",
		    RECOVERED_MOST);
	return MM_OK;
}

/* How a lost end of the journal is entered again.  A hostile server can
 * cause such lines too: reconcile shows every one. */
static enum mm_err
recover(struct mm_worker *w, uint64_t index,
    const struct mm_journal_line *claim, struct mm_why *why)
{
	struct mm_journal_line l = { .kind = MM_J_RECOVERED,
		.number = index };

	MM_TRY(count_recovered(&w->s->tree, why));
	memcpy(l.serial, claim->serial, sizeof(l.serial));
	memcpy(l.spki_sha256, claim->spki_sha256, sizeof(l.spki_sha256));
	if (mm_device_id_valid(claim->device))
		memcpy(l.device, claim->device, sizeof(l.device));
	MM_LOG(MM_LOG_WARN, "journal.recovered", MM_S("device", l.device),
	    MM_I("index", (int64_t)index));
	return mm_record_write(w->s->record, &l, 1, why);
}

/* What the entry says of its certificate; what it does not is left empty,
 * which no line of a certificate has. */
static bool
claim_of(struct mm_bytes e, struct mm_journal_line *claim)
{
	*claim = (struct mm_journal_line){ 0 };
	if (!hex_field(e, ",\"serial\":\"", claim->serial,
		sizeof(claim->serial)))
		return false;
	(void)hex_field(e, ",\"spki_sha256\":\"", claim->spki_sha256,
	    sizeof(claim->spki_sha256));
	if (starts(e, HEAD "responder.made\"")) {
		claim->kind = MM_J_RESPONDER;
		text_field(e, ",\"issuer\":\"", claim->issuer,
		    sizeof(claim->issuer));
		return true;
	}
	if (starts(e, HEAD "issuer.made\"")) { /* a line CA */
		text_field(e, ",\"issuer\":\"", claim->device,
		    sizeof(claim->device));
		snprintf(claim->profile, sizeof(claim->profile), "%s",
		    MM_LINE_CA_LABEL);
		return true;
	}
	text_field(e, ",\"device\":\"", claim->device,
	    sizeof(claim->device));
	text_field(e, ",\"profile\":\"", claim->profile,
	    sizeof(claim->profile));
	return true;
}

/* Whose signature it is, the entry says; none: of before it had a name. */
static void
node_of(struct mm_bytes e, char out[MM_NAME_MAX + 1])
{
	out[0] = '\0';
	text_field(e, ",\"node\":\"", out, MM_NAME_MAX + 1);
}

/* Another node's is in that one's journal.  Reconcile, which reads all of
 * them, finds those in none. */
static bool
is_ours(const struct mm_signer *s, struct mm_bytes e)
{
	char node[MM_NAME_MAX + 1];

	node_of(e, node);
	return strcmp(node, s->conf->set.node) == 0;
}

/* A number is one signer's: two may choose the same. */
static bool
is_anothers(const struct mm_signer *s, struct mm_bytes e)
{
	char node[MM_NAME_MAX + 1];

	node_of(e, node);
	return node[0] != '\0' && !is_ours(s, e);
}

/* A CRL's line was synced before the CRL left: one that this journal does not
 * have is left to reconcile. */
static void
settle_crl(struct mm_worker *w, struct mm_bytes e)
{
	static const char key[] = ",\"number\":";
	struct mm_journal_line claim = { .kind = MM_J_CRL };
	const uint8_t *at = memmem(e.p, e.n, key, sizeof(key) - 1);
	char number[24];
	int64_t n;
	size_t i;

	text_field(e, ",\"issuer\":\"", claim.issuer, sizeof(claim.issuer));
	if (at == NULL)
		return;
	at += sizeof(key) - 1;
	for (i = 0; i < sizeof(number) - 1 && at + i < e.p + e.n &&
	     at[i] >= '0' && at[i] <= '9'; i++)
		number[i] = (char)at[i];
	number[i] = '\0';
	if (mm_int_parse(number, &n, NULL) != MM_OK)
		return;
	claim.number = (uint64_t)n;
	claim = mm_outset_crl(&claim);
	(void)!mm_record_settle(w->s->record, &claim, NULL);
}

/*
 * A number that no signer makes (pki/foreign.h), under the name of an issuer
 * that is another CA's by this signer's own configuration, or that it does not
 * have (any more): in no journal.  A server that gives such a number to
 * anything of an issuer of ours hides nothing by it.
 */
static bool
is_foreign(const struct mm_signer *s, struct mm_bytes e,
    const struct mm_journal_line *claim)
{
	char name[MM_NAME_MAX + 1] = "";
	const struct mm_issuer_conf *i;

	if ((claim->serial[0] & 0x80) == 0)
		return false;
	text_field(e, ",\"issuer\":\"", name, sizeof(name));
	if (name[0] == '\0')
		return false;
	i = mm_config_issuer(s->conf, name);
	return i == NULL || mm_issuer_upstream(i);
}

static enum mm_err
settle(struct mm_worker *w, const struct mm_ledger_add_req *q,
    struct mm_why *why)
{
	bool certificate = is_certificate(q->entry);
	struct mm_journal_line claim;
	enum mm_err err;

	if (starts(q->entry, HEAD "crl.signed\"") &&
	    !is_anothers(w->s, q->entry))
		settle_crl(w, q->entry);
	if (!certificate && !starts(q->entry, HEAD "signature.orphaned\"") &&
	    !starts(q->entry, HEAD "issuer.made\"") &&
	    !starts(q->entry, HEAD "responder.made\""))
		return MM_OK;
	if (!claim_of(q->entry, &claim) || is_foreign(w->s, q->entry, &claim))
		return MM_OK;
	err = mm_record_settle(w->s->record, &claim, NULL);
	if (err == MM_EPOLICY)
		MM_LOG(MM_LOG_ERROR, "ledger.wrong-certificate",
		    MM_I("index", (int64_t)q->index));
	if (err == MM_ENOTFOUND && certificate && is_ours(w->s, q->entry))
		return recover(w, q->index, &claim, why);
	return MM_OK;
}

static enum mm_err
add_locked(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const struct mm_ledger_add_req *q = &i->req.ledger_add;
	struct mm_frontier *f = &w->s->tree.frontier;
	struct mm_hash leaf;

	if (q->index != f->size)
		return MM_FAIL(why, MM_ECONFLICT, "ledger: entry %" PRIu64
		    ", the tree has %" PRIu64, q->index, f->size);
	if (q->entry.n == 0 || q->entry.n > MM_ENTRY_MAX)
		return MM_FAIL(why, MM_EINPUT, "ledger: entry of %zu bytes",
		    q->entry.n);
	MM_TRY(settle(w, q, why));
	leaf = mm_tree_leaf(q->entry);
	mm_frontier_append(f, &leaf);
	if (w->s->tree.trail != NULL)
		mm_trail_append(w->s->tree.trail, &leaf);
	i->rep.ledger_add.size = f->size;
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_on_ledger_add(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	enum mm_err err;

	pthread_mutex_lock(&w->s->tree.lock);
	err = add_locked(w, i, why);
	pthread_mutex_unlock(&w->s->tree.lock);
	return err;
}

/* Signs the tree as it is and remembers that it did, in this order: journal,
 * state on the disk, answer.  So no other tree of this size can follow. */
static enum mm_err
sign_tree(struct mm_worker *w, struct mm_why *why)
{
	struct mm_tree_state *t = &w->s->tree;
	struct mm_checkpoint c = { .size = t->frontier.size,
		.root = mm_frontier_root(&t->frontier) };
	struct mm_journal_line l = { .kind = MM_J_CHECKPOINT,
		.number = c.size };

	memcpy(c.origin, w->s->note_key.name, sizeof(c.origin));
	mm_buf_reset(&w->tbs);
	mm_buf_reset(&w->sig);
	mm_checkpoint_text(&c, &w->tbs);
	MM_TRY(mm_sign_bytes(w->sign_ledger, mm_buf_view(&w->tbs), &w->sig,
	    why));
	MM_INVARIANT(w->sig.n == 64);
	mm_sha256(mm_buf_view(&w->tbs), l.tbs_sha256);
	MM_TRY(mm_record_write(w->s->record, &l, 1, why));
	MM_TRY(mm_record_save(w->s->record, &t->frontier, why));
	mm_buf_reset(&t->note);
	mm_note_join(&t->note, mm_buf_view(&w->tbs), &w->s->note_key,
	    w->sig.p);
	MM_TRY(mm_buf_ok(&t->note, why));
	t->signed_once = true;
	t->signed_size = c.size;
	t->signed_root = c.root;
	w->s->signed_n++;
	return MM_OK;
}

static enum mm_err
sign_locked(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	struct mm_tree_state *t = &w->s->tree;
	struct mm_ledger_sign_rep *p = &i->rep.ledger_sign;
	const char *clock = mm_signer_barred(w->s, &w->sum);

	if (clock != NULL)
		return MM_FAIL(why, MM_EAGAIN, "ledger: %s", clock);
	if (w->s->ledger_key == NULL)
		return MM_FAIL(why, MM_EPOLICY, "ledger: another node's "
		    "signer holds its key");
	if (w->s->forked)
		return MM_FAIL(why, MM_EPOLICY, "ledger: a checkpoint was "
		    "of another tree");
	if (i->req.ledger_sign.size != t->frontier.size)
		return MM_FAIL(why, MM_ECONFLICT, "ledger: size %" PRIu64
		    ", the tree has %" PRIu64, i->req.ledger_sign.size,
		    t->frontier.size);
	if (!t->signed_once || t->signed_size != t->frontier.size)
		MM_TRY(sign_tree(w, why));
	mm_buf_bytes(&i->body, mm_buf_view(&t->note));
	MM_TRY(mm_buf_ok(&i->body, why));
	p->size = t->signed_size;
	memcpy(p->root, t->signed_root.b, sizeof(p->root));
	p->note = mm_buf_view(&i->body);
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_on_ledger_sign(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	enum mm_err err;

	pthread_mutex_lock(&w->s->tree.lock);
	err = sign_locked(w, i, why);
	pthread_mutex_unlock(&w->s->tree.lock);
	return err;
}

/* ---- what another node's signer signed ---- */

static enum mm_err
check_locked(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	struct mm_tree_state *t = &w->s->tree;
	struct mm_checkpoint c;

	if (t->trail == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "ledger: this signer is the "
		    "only one");
	MM_TRY(mm_checkpoint_verify(i->req.ledger_check.note,
	    &w->s->note_key, &c, why));
	MM_TRY(mm_trail_check(t->trail, &c, why));
	i->rep.ledger_check.size = c.size;
	return mm_record_save(w->s->record, &t->frontier, why);
}

/* see priv.h */
enum mm_err
mm_on_ledger_check(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	enum mm_err err;

	pthread_mutex_lock(&w->s->tree.lock);
	err = check_locked(w, i, why);
	if (err == MM_EPOLICY || err == MM_EINPUT) {
		atomic_store(&w->s->forked, true);
		MM_LOG(MM_LOG_ERROR, "ledger.forked", MM_S("why", why->text));
	}
	pthread_mutex_unlock(&w->s->tree.lock);
	return err;
}

/* see priv.h */
enum mm_err
mm_on_outstanding(struct mm_worker *w, struct mm_item *i, struct mm_why *why)
{
	const struct mm_outstanding_req *q = &i->req.outstanding;
	unsigned most = q->most < OUTSTANDING_MOST ? q->most :
						     OUTSTANDING_MOST;
	int64_t age = q->age_ms > INT64_MAX / 2 ? INT64_MAX / 2 :
						  (int64_t)q->age_ms;

	/* "older than 0" is everything, this millisecond's too */
	i->rep.outstanding.n = mm_record_outstanding(w->s->record,
	    age == 0 ? INT64_MAX : mm_now_ms() - age, most, &i->body);
	i->rep.outstanding.lines = mm_buf_view(&i->body);
	return mm_buf_ok(&i->body, why);
}
