#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/sync_priv.h"

/*
 * How far a station's ledger was taken, and what its key has signed of it.
 * One document for each key of a station: one that is trusted again goes on
 * where it was.
 */

static void
place_id(const char *station, const char *key, char id[MM_DOC_ID_MAX + 1])
{
	uint8_t hash[32];
	char hex[17];

	mm_sha256(mm_bytes_of(key), hash);
	mm_hex_text(hash, 8, hex);
	snprintf(id, MM_DOC_ID_MAX + 1, "%.32s/%s", station, hex);
}

/* ---- what is stored ---- */

static bool
is_root(const char *hex, struct mm_hash *out)
{
	return mm_hex_parse(hex, strlen(hex), out->b, MM_HASH_N, NULL) == MM_OK;
}

static enum mm_err
parse(struct mm_bytes body, struct mm_synced *s)
{
	MM_OWN(mm_json_free)
	json_t *o = json_loadb((const char *)body.p, body.n, 0, NULL);
	const char *root, *at, *signed_root;
	json_int_t size, seen;

	if (json_unpack(o, "{s:I,s:s,s:s,s:I,s:s}", "size", &size, "root",
		&root, "at", &at, "signed", &seen, "signed_root",
		&signed_root) != 0 ||
	    size < 0 || seen < size || !is_root(root, &s->root) ||
	    !is_root(signed_root, &s->signed_root) ||
	    mm_time_parse(at, &s->at, NULL) != MM_OK)
		return MM_EINPUT;
	s->size = (uint64_t)size;
	s->signed_size = (uint64_t)seen;
	return MM_OK;
}

/* see sync.h */
enum mm_err
mm_synced_get(struct mm_store_reader *r, const char *station, const char *key,
    struct mm_synced *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_synced s = { .size = 0 };
	char id[MM_DOC_ID_MAX + 1];
	enum mm_err rc;

	*out = s;
	place_id(station, key, id);
	rc = mm_get_doc(r, MM_DOC_SYNC, id, &s.version, &body, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	if (parse(mm_buf_view(&body), &s) != MM_OK)
		return MM_FAIL(why, MM_ESYS,
		    "station %.32s: how far its ledger was taken cannot be "
		    "read",
		    station);
	*out = s;
	return MM_OK;
}

static void
put_root(struct mm_json *j, const char *member, const struct mm_hash *root)
{
	mm_json_hex(j, member, (struct mm_bytes){ root->b, MM_HASH_N });
}

static enum mm_err
write(struct mm_sync *s, struct mm_synced *now, const struct mm_entry *e,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_NOTE_MAX * 2);
	struct mm_op_doc doc = { .kind = MM_DOC_SYNC, .expect = now->version };
	struct mm_json j = mm_json_over(&body);
	enum mm_err rc;

	mm_json_open(&j, '{');
	mm_json_str(&j, "key", s->station->ledger);
	mm_json_int(&j, "size", (int64_t)now->size);
	put_root(&j, "root", &now->root);
	mm_json_time(&j, "at", mm_now_ms());
	mm_json_int(&j, "signed", (int64_t)now->signed_size);
	put_root(&j, "signed_root", &now->signed_root);
	mm_json_strn(&j, "checkpoint", s->piece->note);
	mm_json_close(&j, '}');
	MM_TRY(mm_buf_ok(&body, why));
	place_id(s->station->id, s->station->ledger, doc.id);
	doc.body = mm_buf_view(&body);
	rc = mm_desk_doc_put(s->d, &doc, e, e != NULL, NULL);
	if (rc == MM_OK)
		now->version = doc.version;
	if (rc == MM_ESTALE || rc == MM_ENOTFOUND || rc == MM_ECONFLICT)
		return MM_FAIL(why, MM_ECONFLICT,
		    "station %s: somebody else brought some of its ledger "
		    "meanwhile: once more",
		    s->station->id);
	return rc == MM_OK ? MM_OK
			   : MM_FAIL(why, rc,
				 "station %s: how far its ledger was taken "
				 "cannot be stored",
				 s->station->id);
}

/* see sync_priv.h */
enum mm_err
mm_sync_claim(struct mm_sync *s, struct mm_synced *have,
    const struct mm_sync_heads *heads, struct mm_why *why)
{
	if (have->version != 0 && have->signed_size == heads->signed_.size)
		return MM_OK;
	if (have->version == 0)
		have->root = mm_tree_empty();
	have->signed_size = heads->signed_.size;
	have->signed_root = heads->signed_.root;
	return write(s, have, NULL, why);
}

/* see sync_priv.h */
enum mm_err
mm_sync_through(struct mm_sync *s, const struct mm_synced *have,
    const struct mm_sync_heads *heads, struct mm_why *why)
{
	struct mm_synced now = *have;
	char size[24], count[24], hex[65];
	const struct mm_entry e = { .type = MM_E_STATION_SYNCED,
		.field = { [MM_F_ACTOR] = s->by->id,
		    [MM_F_STATION] = s->station->id,
		    [MM_F_ORIGIN] = s->station->ledger,
		    [MM_F_DETAIL_SHA256] = hex,
		    [MM_F_COUNT] = count,
		    [MM_F_SIZE] = size } };

	now.size = heads->after.size;
	now.root = mm_frontier_root(&heads->after);
	snprintf(size, sizeof(size), "%" PRIu64, now.size);
	snprintf(count, sizeof(count), "%zu", s->piece->n);
	mm_hex_text(now.root.b, MM_HASH_N, hex);
	return write(s, &now, &e, why);
}

/* see sync_priv.h */
enum mm_err
mm_sync_state(struct mm_sync *s, struct mm_note_key *key,
    struct mm_synced *have, struct mm_why *why)
{
	if (s->station->ledger[0] == '\0')
		return MM_FAIL(why, MM_EPOLICY,
		    "station %s: no key of its ledger is trusted yet",
		    s->station->id);
	MM_TRY(mm_note_key_parse(mm_bytes_of(s->station->ledger), key, why));
	return mm_synced_get(
	    s->d->r, s->station->id, s->station->ledger, have, why);
}

/* ---- whose history it is ---- */

/* Two that one key signed: entered once for each place where they part. */
static enum mm_err
enter_fork(struct mm_sync *s, uint64_t at, struct mm_why *why)
{
	struct mm_papers p = mm_papers_over(&s->d->buf);
	char place[MM_DOC_ID_MAX + 1], id[MM_DOC_ID_MAX + 1];
	char body[MM_NOTED_TEXT], hex[65], size[24];
	const struct mm_entry e = { .type = MM_E_ALERT,
		.field = { [MM_F_ACTOR] = s->by->id,
		    [MM_F_STATION] = s->station->id,
		    [MM_F_ORIGIN] = s->station->ledger,
		    [MM_F_REASON] = "station-ledger-forked",
		    [MM_F_DETAIL_SHA256] = hex,
		    [MM_F_SIZE] = size } };
	uint8_t hash[32];
	struct mm_op op;
	enum mm_err rc;

	place_id(s->station->id, s->station->ledger, place);
	snprintf(id, sizeof(id), "fork:%.50s:%" PRIu64, place, at);
	snprintf(size, sizeof(size), "%" PRIu64, at);
	mm_sha256(s->piece->note, hash);
	mm_hex_text(hash, sizeof(hash), hex);
	mm_noted_op(id, hash, body, &op);
	mm_papers_add(&p, &e);
	rc = mm_desk_run(s->d, &p, &op, NULL);
	return rc == MM_OK || rc == MM_ECONFLICT
		   ? MM_OK
		   : MM_FAIL(why, rc, "the alert cannot be entered");
}

static enum mm_err
forked(struct mm_sync *s, uint64_t at, bool dry_run, struct mm_why *why)
{
	if (!dry_run)
		MM_TRY(enter_fork(s, at, why));
	return MM_FAIL(why, MM_EPOLICY,
	    "station %s: another history than the %" PRIu64
	    " entries that the centre has: was it put back, or copied?",
	    s->station->id, at);
}

/* A stick that comes late is no alarm, where the centre can say that it is one:
 * it has all of it.  What a station says of itself is. */
static enum mm_err
came_late(struct mm_sync *s, const struct mm_synced *have,
    const struct mm_checkpoint *now, bool *late, struct mm_why *why)
{
	bool itself = mm_login_is_line(s->by);

	*late = false;
	return itself || now->size > have->size
		   ? MM_OK
		   : mm_sync_begins(s, now, late, why);
}

static enum mm_err
ended_earlier(struct mm_sync *s, const struct mm_synced *have,
    const struct mm_checkpoint *now, bool dry_run, struct mm_why *why)
{
	bool late;

	MM_TRY(came_late(s, have, now, &late, why));
	if (late)
		return MM_FAIL(why, MM_EPOLICY,
		    "station %s: an older export: it ends at entry %" PRIu64
		    ", and the centre has %" PRIu64 " of the same ledger",
		    s->station->id, now->size, have->size);
	if (!dry_run)
		MM_TRY(enter_fork(s, have->signed_size, why));
	return MM_FAIL(why, MM_EPOLICY,
	    "station %s: its ledger ends at entry %" PRIu64
	    ", of which its key has signed %" PRIu64
	    " before: an older export, or it was put back",
	    s->station->id, now->size, have->signed_size);
}

/* Whatever the key signed before is the beginning of what it signs now. */
static enum mm_err
is_signed_on(struct mm_sync *s, const struct mm_synced *have,
    const struct mm_sync_heads *heads, bool dry_run, struct mm_why *why)
{
	const struct mm_checkpoint *now = &heads->signed_;
	const struct mm_sync_piece *p = s->piece;

	if (now->size < have->signed_size)
		return ended_earlier(s, have, now, dry_run, why);
	if (now->size == have->signed_size)
		return memcmp(&now->root, &have->signed_root, MM_HASH_N) == 0
			   ? MM_OK
			   : forked(s, have->signed_size, dry_run, why);
	/* from where it begins the piece has proved it */
	if (have->signed_size <= p->before.size)
		return MM_OK;
	if (p->since_size != have->signed_size)
		return MM_FAIL(why, MM_ECONFLICT,
		    "station %s: the centre has seen %" PRIu64
		    " entries signed, and wants the proof from there",
		    s->station->id, have->signed_size);
	return mm_proof_verify_consistency(&p->since, have->signed_size,
		   &have->signed_root, now->size, &now->root, NULL) == MM_OK
		   ? MM_OK
		   : forked(s, have->signed_size, dry_run, why);
}

/* see sync_priv.h; that what is signed goes on from where the piece begins
 * mm_sync_verify has seen */
enum mm_err
mm_sync_place(struct mm_sync *s, const struct mm_synced *have,
    const struct mm_sync_heads *heads, bool dry_run, struct mm_why *why)
{
	const struct mm_frontier *f = &s->piece->before;
	struct mm_hash root = mm_frontier_root(f);

	if (have->version == 0)
		return f->size == 0 || dry_run
			   ? MM_OK
			   : MM_FAIL(why, MM_ECONFLICT,
				 "station %s: the centre has nothing yet",
				 s->station->id);
	if (f->size == have->size && f->size > 0 &&
	    memcmp(&root, &have->root, sizeof(root)) != 0)
		return forked(s, have->size, dry_run, why);
	MM_TRY(is_signed_on(s, have, heads, dry_run, why));
	if (!dry_run && f->size != have->size)
		return MM_FAIL(why, MM_ECONFLICT,
		    "station %s: the centre has %" PRIu64
		    " entries, not %" PRIu64,
		    s->station->id, have->size, f->size);
	return MM_OK;
}
