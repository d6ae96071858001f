#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/sync.h"
#include "server/attempts.h"
#include "server/batches.h"

/* What stations made offline, and what of it was put aside. */

MM_FREE_FN(result_free, struct mm_sync_result, free)

enum { COUNT_MOST = 10000 };

static enum mm_err
this_station(struct mm_rest *r, struct mm_station *s, struct mm_why *why)
{
	char id[MM_NAME_MAX + 1];

	if (!mm_text_copy(id, sizeof(id), mm_http_segment(r->req, 0)))
		return MM_FAIL(why, MM_ENOTFOUND, "no such station");
	return mm_batch_station(r, id, s, why);
}

/* ---- whose ledger it is ---- */

struct trust_wish {
	char key[MM_NOTE_KEY_TEXT];
};
static const struct mm_member trust_members[] = {
	{ "key", MM_M_TEXT, true, offsetof(struct trust_wish, key),
	    MM_NOTE_KEY_TEXT },
};

/* Another key is another ledger, which is judged from its beginning, also what
 * was put aside before: that is no operator's to say. */
static enum mm_err
may_pin(const struct mm_rest *r, const struct mm_station *s, struct mm_why *why)
{
	return s->ledger[0] == '\0' || (r->login.roles & MM_ROLE_ADMIN) != 0
		   ? MM_OK
		   : MM_FAIL(why, MM_EPOLICY,
			 "station %s has a ledger's key: an administrator says "
			 "another",
			 s->id);
}

enum mm_err
mm_rest_station_trust(struct mm_rest *r, struct mm_why *why)
{
	struct trust_wish w = { .key = "" };
	struct mm_note_key key;
	struct mm_station s;
	enum mm_err rc;

	MM_TRY(mm_rest_members(r->in, trust_members, 1, &w, why));
	MM_TRY(this_station(r, &s, why));
	if (mm_note_key_parse(mm_bytes_of(w.key), &key, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT,
		    "key: want a ledger's, as \"mintmark-signer "
		    "station-init\" prints it");
	if (strcmp(s.ledger, w.key) != 0) {
		MM_TRY(may_pin(r, &s, why));
		strcpy(s.ledger, w.key);
		rc = mm_desk_station_put(r->desk, &r->login, &s, "ledger", why);
		MM_TRY(rc == MM_ESTALE ? MM_ECONFLICT : rc);
	}
	mm_station_put(r, &s);
	return MM_OK;
}

/* ---- how far it is ---- */

enum mm_err
mm_rest_station_synced(struct mm_rest *r, struct mm_why *why)
{
	struct mm_synced have;
	struct mm_station s;
	char prefix[MM_NAME_MAX + 2];
	unsigned n;

	MM_TRY(this_station(r, &s, why));
	MM_TRY(mm_synced_get(r->reader, s.id, s.ledger, &have, why));
	snprintf(prefix, sizeof(prefix), "%s/", s.id);
	MM_TRY(mm_count_docs(
	    r->reader, MM_DOC_QUARANTINE, prefix, COUNT_MOST, &n, why));
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "station", s.id);
	if (s.ledger[0] != '\0')
		mm_json_str(&r->j, "ledger_key", s.ledger);
	mm_json_int(&r->j, "size", (int64_t)have.size);
	if (have.size > 0) {
		mm_rest_put_sha256(&r->j, "root", have.root.b);
		mm_rest_put_time(&r->j, "at", have.at);
	}
	if (have.signed_size > 0)
		mm_json_int(&r->j, "signed", (int64_t)have.signed_size);
	mm_json_int(&r->j, "quarantined", (int64_t)n);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* ---- a piece ---- */

static void
put_quarantined(struct mm_json *j, const struct mm_quarantined *q)
{
	mm_json_int(j, "entry", (int64_t)q->entry);
	mm_json_str(j, "device", q->device);
	mm_json_str(j, "serial", q->serial);
	mm_json_str(j, "reason", q->reason);
	mm_json_str(j, "fault", mm_sync_faults[q->fault].word);
	mm_json_str(
	    j, "acceptable", mm_sync_may_words[mm_sync_faults[q->fault].may]);
	mm_json_str(j, "state", mm_aside_words[q->state]);
	if (q->note[0] != '\0')
		mm_json_str(j, "decision", q->note);
}

static void
put_result(struct mm_rest *r, const struct mm_station *s,
    const struct mm_sync_result *out, bool dry_run)
{
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "station", s->id);
	mm_json_bool(&r->j, "dry_run", dry_run);
	mm_json_int(&r->j, "size", (int64_t)out->size);
	mm_json_int(&r->j, "of", (int64_t)out->of);
	mm_json_int(&r->j, "entries", (int64_t)out->entries);
	mm_json_int(&r->j, "issued", (int64_t)out->issued);
	mm_json_int(&r->j, "confirmed", (int64_t)out->confirmed);
	mm_json_int(&r->j, "unchanged", (int64_t)out->unchanged);
	mm_json_open_key(&r->j, "quarantined", '[');
	for (size_t i = 0; i < out->nput; i++) {
		mm_json_open(&r->j, '{');
		put_quarantined(&r->j, &out->put[i]);
		mm_json_close(&r->j, '}');
	}
	mm_json_close(&r->j, ']');
	mm_json_close(&r->j, '}');
}

/* For who asks about such a device. */
static void
note_put_aside(struct mm_rest *r, const struct mm_sync_result *out)
{
	for (size_t i = 0; i < out->nput; i++)
		mm_attempts_note(r->s->attempts,
		    &(struct mm_attempt){ .door = MM_DOOR_SYNC,
			.reason = MM_R_BATCH_UNIT,
			.device = out->put[i].device,
			.text = out->put[i].reason });
}

/* What a station that was removed has made before, an operator brings. */
static enum mm_err
may_sync(
    const struct mm_rest *r, const struct mm_station *s, struct mm_why *why)
{
	bool line = mm_login_is_line(&r->login);

	return s->removed && line
		   ? MM_FAIL(why, MM_EPOLICY, "station %s was removed", s->id)
		   : MM_OK;
}

enum mm_err
mm_rest_station_sync(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_sync_free) struct mm_sync_piece *p = NULL;
	MM_OWN(result_free)
	struct mm_sync_result *out = calloc(1, sizeof(*out));
	const json_t *dry = json_object_get(r->in, "dry_run");
	struct mm_station s;

	if (out == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	if (dry != NULL && !json_is_boolean(dry))
		return MM_FAIL(why, MM_EINPUT, "dry_run: want true or false");
	MM_TRY(this_station(r, &s, why));
	MM_TRY(may_sync(r, &s, why));
	MM_TRY(mm_sync_read(r->in, &p, why));
	MM_TRY(mm_desk_sync(
	    r->desk, &r->login, &s, p, json_is_true(dry), out, why));
	put_result(r, &s, out, json_is_true(dry));
	if (!json_is_true(dry))
		note_put_aside(r, out);
	return MM_OK;
}

/* ---- what was put aside ---- */

/* The station is where a list has its device. */
static enum mm_err
list_quarantined(struct mm_store_reader *r, const struct mm_list *l,
    mm_row_fn *fn, void *ctx, struct mm_why *why)
{
	char prefix[MM_NAME_MAX + 2];

	snprintf(prefix, sizeof(prefix), "%.32s/", l->device);
	return mm_list_docs(r, MM_DOC_QUARANTINE, prefix, l, fn, ctx, why);
}

static void
put_row(struct mm_json *j, const void *row)
{
	struct mm_quarantined q;

	if (mm_quarantined_parse(row, &q, NULL) == MM_OK)
		put_quarantined(j, &q);
}

enum mm_err
mm_rest_station_quarantine(struct mm_rest *r, struct mm_why *why)
{
	struct mm_station s;
	struct mm_page page;

	MM_TRY(mm_page_read(r, " ", &page, why));
	MM_TRY(this_station(r, &s, why));
	page.list.device = s.id;
	return mm_page_put(r, &page, list_quarantined, put_row, why);
}

/* ---- what becomes of one ---- */

struct decision_wish {
	char reason[129];
};
static const struct mm_member decision_members[] = {
	{ "reason", MM_M_TEXT, true, offsetof(struct decision_wish, reason),
	    129 },
};

typedef enum mm_err decide_fn(struct mm_desk *d, const struct mm_login *by,
    const struct mm_station *s, const struct mm_decision *w,
    struct mm_decided *out, struct mm_why *why);

static enum mm_err
decide(struct mm_rest *r, decide_fn *fn, struct mm_decided *out,
    struct mm_why *why)
{
	struct decision_wish w = { .reason = "" };
	char entry[2 * 16 + 1];
	struct mm_station s;

	MM_TRY(mm_rest_members(r->in, decision_members, 1, &w, why));
	MM_TRY(this_station(r, &s, why));
	if (!mm_text_copy(entry, sizeof(entry), mm_http_segment(r->req, 1)))
		return MM_FAIL(why, MM_ENOTFOUND, "no such entry");
	MM_TRY(fn(r->desk, &r->login, &s,
	    &(struct mm_decision){ entry, w.reason }, out, why));
	mm_json_open(&r->j, '{');
	put_quarantined(&r->j, &out->unit);
	return MM_OK;
}

enum mm_err
mm_rest_quarantine_accept(struct mm_rest *r, struct mm_why *why)
{
	struct mm_decided out;

	MM_TRY(decide(r, mm_desk_quarantine_accept, &out, why));
	mm_json_bool(&r->j, "confirmed", out.confirmed);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_quarantine_reject(struct mm_rest *r, struct mm_why *why)
{
	struct mm_decided out;

	MM_TRY(decide(r, mm_desk_quarantine_reject, &out, why));
	mm_json_bool(&r->j, "listed", out.listed);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
