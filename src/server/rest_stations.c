#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "core/sync.h"
#include "server/batches.h"

/* Stations, and whose a request is. */

struct wish {
	char id[MM_NAME_MAX + 1], key[17], description[129];
};
static const struct mm_member members[] = {
	{ "id", MM_M_NAME, true, offsetof(struct wish, id), MM_NAME_MAX + 1 },
	{ "key", MM_M_TEXT, true, offsetof(struct wish, key), 17 },
	{ "description", MM_M_TEXT, false, offsetof(struct wish, description),
	    129 },
};

static void
put_station(struct mm_json *j, const struct mm_station *s)
{
	mm_json_str(j, "id", s->id);
	mm_json_str(j, "state", s->removed ? "removed" : "active");
	mm_json_str(j, "key", s->key);
	mm_json_str(j, "description", s->description);
	mm_rest_put_time(j, "created", s->created_at);
	if (s->ledger[0] != '\0')
		mm_json_str(j, "ledger_key", s->ledger);
	mm_json_int(j, "order_number", s->last.number);
	if (s->last.number > 0)
		mm_rest_put_sha256(j, "order_sha256", s->last.hash);
	mm_json_int(j, "version", (int64_t)s->version);
}

/* see batches.h */
void
mm_station_put(struct mm_rest *r, const struct mm_station *s)
{
	mm_rest_etag(r, s->version);
	mm_json_open(&r->j, '{');
	put_station(&r->j, s);
	mm_json_close(&r->j, '}');
}

static void
put_row(struct mm_json *j, const void *row)
{
	struct mm_station s;

	if (mm_station_parse(row, &s, NULL) == MM_OK)
		put_station(j, &s);
}

static enum mm_err
list_stations(struct mm_store_reader *r, const struct mm_list *l, mm_row_fn *fn,
    void *ctx, struct mm_why *why)
{
	return mm_list_docs(r, MM_DOC_STATION, "", l, fn, ctx, why);
}

enum mm_err
mm_rest_stations(struct mm_rest *r, struct mm_why *why)
{
	struct mm_page page;

	MM_TRY(mm_page_read(r, " ", &page, why));
	return mm_page_put(r, &page, list_stations, put_row, why);
}

static enum mm_err
this_station(struct mm_rest *r, struct mm_station *s, struct mm_why *why)
{
	char id[MM_NAME_MAX + 1];

	if (!mm_text_copy(id, sizeof(id), mm_http_segment(r->req, 0)))
		return MM_FAIL(why, MM_ENOTFOUND, "no such station");
	return mm_station_get(r->reader, id, s, why);
}

/* So many are looked at: units that wait for a decision, of one that syncs, and
 * orders. */
enum { WAITING_MOST = 1000, ORDERS_MOST = 200 };

struct orders {
	char batch[ORDERS_MOST][MM_NAME_MAX + 1];
	size_t n;
};

static enum mm_err
add_order(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct orders *o = ctx;
	const char *slash = strchr(((const struct mm_doc *)row)->id, '/');

	(void)next, (void)why;
	o->n += slash != NULL && mm_text_copy(o->batch[o->n], MM_NAME_MAX + 1,
				     mm_bytes_of(slash + 1));
	return MM_OK;
}

/* Batches whose line CA's key it has. */
static enum mm_err
put_keys(struct mm_rest *r, const struct mm_station *s, struct mm_why *why)
{
	struct mm_list l = { .most = ORDERS_MOST, .state = -1 };
	struct orders all = { .n = 0 };
	char prefix[MM_NAME_MAX + 2];
	enum mm_line_key key;

	snprintf(prefix, sizeof(prefix), "%s/", s->id);
	MM_TRY(mm_list_docs(
	    r->reader, MM_DOC_ORDER, prefix, &l, add_order, &all, why));
	mm_json_open_key(&r->j, "line_ca_keys", '[');
	for (size_t i = 0; i < all.n; i++) {
		MM_TRY(mm_line_key_at(r->desk, s->id, all.batch[i], &key, why));
		if (key == MM_LINE_KEY_HELD)
			mm_json_str(&r->j, NULL, all.batch[i]);
	}
	mm_json_close(&r->j, ']');
	return MM_OK;
}

enum mm_err
mm_rest_station(struct mm_rest *r, struct mm_why *why)
{
	struct mm_station s;
	unsigned waiting = 0;

	MM_TRY(this_station(r, &s, why));
	if (s.ledger[0] != '\0')
		MM_TRY(mm_quarantined_waiting(
		    r->reader, s.id, WAITING_MOST, &waiting, why));
	mm_rest_etag(r, s.version);
	mm_json_open(&r->j, '{');
	put_station(&r->j, &s);
	if (s.ledger[0] != '\0')
		mm_json_int(&r->j, "quarantined", (int64_t)waiting);
	MM_TRY(put_keys(r, &s, why));
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* Its credential is one that the line has, not a person's of more. */
static enum mm_err
check_key(struct mm_rest *r, const char *id, struct mm_why *why)
{
	struct mm_operator o;
	unsigned roles;
	enum mm_err rc = mm_get_operator(r->reader, id, &o, NULL);

	if (rc != MM_OK)
		return MM_FAIL(why, rc,
		    rc == MM_ENOTFOUND ? "key: no such credential"
				       : "the store cannot be read");
	MM_TRY(mm_roles_parse(o.roles, &roles, why));
	if (!mm_operator_alive(&o) || roles != MM_ROLE_LINE)
		return MM_FAIL(why, MM_EPOLICY,
		    "key: want a credential with "
		    "the role line alone, that has not ended");
	return MM_OK;
}

enum mm_err
mm_rest_station_create(struct mm_rest *r, struct mm_why *why)
{
	struct mm_station s = { .created_at = mm_now_ms() };
	struct wish w = { .id = "" };
	enum mm_err rc;

	MM_TRY(mm_rest_members(r->in, members, 3, &w, why));
	if (!mm_name_valid(w.id))
		return MM_FAIL(why, MM_EINPUT, "id: want a name");
	MM_TRY(check_key(r, w.key, why));
	strcpy(s.id, w.id);
	strcpy(s.key, w.key);
	strcpy(s.description, w.description);
	rc = mm_desk_station_put(r->desk, &r->login, &s, NULL, why);
	MM_TRY(rc == MM_ESTALE ? MM_ECONFLICT : rc);
	r->status = 201;
	mm_station_put(r, &s);
	return MM_OK;
}

enum mm_err
mm_rest_station_remove(struct mm_rest *r, struct mm_why *why)
{
	struct mm_station s;
	enum mm_err rc;

	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(this_station(r, &s, why));
	if (!s.removed) {
		s.removed = true;
		s.removed_at = mm_now_ms();
		rc =
		    mm_desk_station_put(r->desk, &r->login, &s, "removed", why);
		MM_TRY(rc == MM_ESTALE ? MM_ECONFLICT : rc);
	}
	mm_station_put(r, &s);
	return MM_OK;
}

/* ---- whose a request is ---- */

/* see batches.h */
enum mm_err
mm_batch_station(
    struct mm_rest *r, const char *id, struct mm_station *s, struct mm_why *why)
{
	bool line = mm_login_is_line(&r->login);

	MM_TRY(mm_station_get(r->reader, id, s, why));
	if (line && strcmp(s->key, r->login.id) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "station %s has another credential", s->id);
	return MM_OK;
}

/* ---- a unit of a batch ---- */

struct unit_wish {
	char batch[MM_NAME_MAX + 1], station[MM_NAME_MAX + 1];
	char key_origin[MM_NAME_MAX + 1];
	struct mm_set_up config; /* version and mark alone */
};
static const struct mm_member unit_members[] = {
	{ "batch", MM_M_NAME, false, offsetof(struct unit_wish, batch),
	    MM_NAME_MAX + 1 },
	{ "station", MM_M_NAME, false, offsetof(struct unit_wish, station),
	    MM_NAME_MAX + 1 },
	{ "key_origin", MM_M_NAME, false,
	    offsetof(struct unit_wish, key_origin), MM_NAME_MAX + 1 },
	{ "config_version", MM_M_INT, false,
	    offsetof(struct unit_wish, config.version), 0 },
	{ "config_sha256", MM_M_SHA256, false,
	    offsetof(struct unit_wish, config.mark), 32 },
};
enum { UNIT_MEMBERS = sizeof(unit_members) / sizeof(unit_members[0]) };

/* Who made the key: whoever asks says so, and nothing is the device. */
static enum mm_err
key_of(const struct unit_wish *w, struct mm_job *job, struct mm_why *why)
{
	job->station_key = strcmp(w->key_origin, "station") == 0;
	return job->station_key || w->key_origin[0] == '\0' ||
	    strcmp(w->key_origin, "device") == 0 ? MM_OK : MM_FAIL(why,
	    MM_EINPUT, "key_origin: want device or station");
}

/* A station is who has its credential; else only who is more than a line may
 * speak for one. */
static enum mm_err
whose(struct mm_rest *r, const struct unit_wish *w, struct mm_station *s,
    bool *is, struct mm_why *why)
{
	enum mm_err rc = mm_station_of_key(r->reader, r->login.id, s, NULL);

	*is = rc == MM_OK;
	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "the store cannot be read");
	if (*is && w->station[0] != '\0' && strcmp(w->station, s->id) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "station %s has another credential", w->station);
	if (*is || w->station[0] == '\0')
		return MM_OK;
	*is = true;
	return mm_batch_station(r, w->station, s, why);
}

/* see rest.h */
enum mm_err
mm_rest_unit(
    struct mm_rest *r, json_t *rest, struct mm_job *job, struct mm_why *why)
{
	MM_OWN(mm_rest_json_free) json_t *in = json_object();
	struct unit_wish w = { .batch = "" };
	struct mm_station s;
	bool is;

	for (size_t i = 0; i < UNIT_MEMBERS; i++) {
		json_t *v = json_object_get(rest, unit_members[i].name);

		if (v == NULL)
			continue;
		(void)json_object_set(in, unit_members[i].name, v);
		(void)json_object_del(rest, unit_members[i].name);
	}
	MM_TRY(mm_rest_members(in, unit_members, UNIT_MEMBERS, &w, why));
	MM_TRY(key_of(&w, job, why));
	MM_TRY(whose(r, &w, &s, &is, why));
	if (is && s.removed)
		return MM_FAIL(why, MM_EPOLICY, "station %s was removed", s.id);
	strcpy(job->batch, w.batch);
	strcpy(job->station, is ? s.id : "");
	return mm_batch_claim(r, w.batch, &w.config, job, why);
}
