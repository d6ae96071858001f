#include <string.h>

#include "base/own.h"
#include "line/initial.h"
#include "server/batches.h"

/*
 * What only a batch's stations get: a device's initial configuration, and the
 * people's badges, by their hashes.  A configuration may hold secrets: nothing
 * of it but its mark goes into a log, an entry or an error.
 */

/* see batches.h */
void
mm_set_up_done(struct mm_set_up *g)
{
	mm_buf_wipe(&g->document);
}

/* see batches.h */
bool
mm_batch_is_of_share(const struct mm_production *b, const struct mm_share *s,
    uint64_t at)
{
	return s == NULL || b->order->take != MM_WORK_NEXT ||
	    (at >= (uint64_t)s->first &&
	    at < (uint64_t)(s->first + s->n + s->scrap));
}

/* One of the batch; where the station (s, or NULL) takes the next serial
 * number, others' are none of its business. */
static enum mm_err
check_serial(const struct mm_production *b, const struct mm_roll *roll,
    const struct mm_share *s, const char *device, struct mm_why *why)
{
	uint64_t at;

	if (!mm_device_id_valid(device) || !mm_roll_find(roll, device, &at))
		return MM_FAIL(why, MM_ENOTFOUND, "batch %s has no such device",
		    b->id);
	if (mm_batch_is_of_share(b, s, at))
		return MM_OK;
	return MM_FAIL(why, MM_ENOTFOUND, "%.64s is another station's",
	    device);
}

/* Who is only the line's gets what its station makes: its share; NULL: who it
 * is, or the batch, has none. */
static enum mm_err
check_station(struct mm_rest *r, const struct mm_production *b,
    const struct mm_share **share, struct mm_why *why)
{
	struct mm_station s;

	*share = NULL;
	if (!mm_login_is_line(&r->login) || b->nshares == 0)
		return MM_OK;
	if (mm_station_of_key(r->reader, r->login.id, &s, NULL) != MM_OK ||
	    s.removed)
		return MM_FAIL(why, MM_EPOLICY, "batch %s is its stations'",
		    b->id);
	*share = mm_production_share_of(b, s.id);
	return *share != NULL ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    "station %s has no share of batch %s", s.id, b->id);
}

static enum mm_err
render(struct mm_rest *r, const struct mm_production *b, const char *device,
    struct mm_set_up *out, struct mm_why *why)
{
	const struct mm_work_order *o = b->order;
	struct mm_initial_of of = { .device = device,
		.product = o->product, .batch = b->id };
	struct mm_initial_made made;

	MM_TRY(mm_desk_papers(r->desk, o, &of, why));
	out->version = o->config_version;
	MM_TRY(mm_initial_make(&of, &out->document, &made, why));
	memcpy(out->sha256, made.sha256, sizeof(out->sha256));
	memcpy(out->salt, made.salt, sizeof(out->salt));
	mm_initial_mark(made.salt, made.sha256, out->mark);
	out->guessable = made.guessable;
	return MM_OK;
}

/* see batches.h */
enum mm_err
mm_batch_configuration(struct mm_rest *r, const char *batch,
    const char *device, struct mm_set_up *out, struct mm_why *why)
{
	const struct mm_production *b;
	const struct mm_share *share;
	const struct mm_roll *roll;

	/* as an enrolment would be refused: its station tells people why */
	r->reason = MM_R_NO_BATCH;
	MM_TRY(mm_desk_batch(r->desk, batch, &b, &roll, why));
	r->reason = MM_R_BATCH_SHARE;
	MM_TRY(check_station(r, b, &share, why));
	r->reason = MM_R_BATCH_SERIAL;
	MM_TRY(check_serial(b, roll, share, device, why));
	r->reason = MM_R_NONE;
	return b->order->config_version == 0 ? MM_OK
	    : render(r, b, device, out, why);
}

/* A batch that gives each device a configuration has none made without.  Of
 * one that is not there the enrolment says so. */
static enum mm_err
claim_nothing(struct mm_rest *r, const char *batch, struct mm_why *why)
{
	const struct mm_production *b;
	const struct mm_roll *roll;
	struct mm_why own = { 0 };
	enum mm_err rc = batch[0] == '\0' ? MM_ENOTFOUND :
	    mm_desk_batch(r->desk, batch, &b, &roll, &own);

	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", own.text);
	return b->order->config_version == 0 ? MM_OK : MM_FAIL(why,
	    MM_ECONFLICT, "configuration: batch %s gives each device one, and "
	    "this says of none", batch);
}

/* see batches.h */
enum mm_err
mm_batch_claim(struct mm_rest *r, const char *batch,
    const struct mm_set_up *said, struct mm_job *job, struct mm_why *why)
{
	MM_OWN(mm_set_up_done) struct mm_set_up g = MM_SET_UP_INIT;
	char device[MM_DEVICE_ID_MAX + 1];

	if (said->version == 0)
		return claim_nothing(r, batch, why);
	MM_TRY(mm_rest_segment(r, 0, device, sizeof(device), why));
	MM_TRY(mm_batch_configuration(r, batch, device, &g, why));
	if (g.version != said->version ||
	    !mm_initial_is_mark(said->mark, g.salt, g.sha256))
		return MM_FAIL(why, MM_ECONFLICT, "configuration: batch %s "
		    "gives %s another one", batch, device);
	job->config_version = g.version;
	memcpy(job->config_sha256, g.mark, sizeof(g.mark));
	return MM_OK;
}

/* Batches from before there were salts have none. */
static void
put_salt(struct mm_json *j, const uint8_t salt[MM_SALT_N])
{
	static const uint8_t none[MM_SALT_N];

	if (memcmp(salt, none, sizeof(none)) != 0)
		mm_json_hex(j, "salt", (struct mm_bytes){ salt, MM_SALT_N });
}

enum mm_err
mm_rest_batch_configuration(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_set_up_done) struct mm_set_up g = MM_SET_UP_INIT;
	char batch[MM_NAME_MAX + 1], device[MM_DEVICE_ID_MAX + 1];

	MM_TRY(mm_rest_segment(r, 0, batch, sizeof(batch), why));
	MM_TRY(mm_rest_segment(r, 1, device, sizeof(device), why));
	MM_TRY(mm_batch_configuration(r, batch, device, &g, why));
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "batch", batch);
	mm_json_str(&r->j, "device", device);
	mm_json_int(&r->j, "version", g.version);
	if (g.version > 0) {
		mm_rest_put_sha256(&r->j, "sha256", g.sha256);
		put_salt(&r->j, g.salt);
		mm_rest_put_sha256(&r->j, "mark", g.mark);
		mm_json_bool(&r->j, "guessable", g.guessable);
		mm_json_strn(&r->j, "document", mm_buf_view(&g.document));
	}
	mm_json_close(&r->j, '}');
	return MM_OK;
}

/* ---- people ---- */

static void
put_people(struct mm_json *j, const struct mm_work_order *o)
{
	mm_json_open_key(j, "people", '[');
	for (size_t i = 0; i < o->people_n; i++) {
		const struct mm_work_person *p = &o->people[i];

		mm_json_open(j, '{');
		mm_json_str(j, "id", p->id);
		mm_json_str(j, "role", mm_work_role_words[p->role]);
		mm_rest_put_sha256(j, "badge", p->badge);
		mm_json_close(j, '}');
	}
	mm_json_close(j, ']');
}

enum mm_err
mm_rest_batch_people(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_production_free) struct mm_production *b = NULL;
	const struct mm_share *share;
	char batch[MM_NAME_MAX + 1];

	MM_TRY(mm_rest_segment(r, 0, batch, sizeof(batch), why));
	MM_TRY(mm_production_get(r->reader, batch, &b, why));
	MM_TRY(check_station(r, b, &share, why));
	mm_json_open(&r->j, '{');
	mm_json_str(&r->j, "batch", b->id);
	if (b->order->people_n > 0)
		mm_json_hex(&r->j, "badge_salt",
		    (struct mm_bytes){ b->order->badge_salt, 16 });
	put_people(&r->j, b->order);
	/* what a label of its own looks like; a list is its order's */
	if (b->order->serials[0] != '\0')
		mm_json_str(&r->j, "serials", b->order->serials);
	if (b->order->recipe[0] != '\0')
		mm_json_str(&r->j, "recipe", b->order->recipe);
	mm_json_bool(&r->j, "locks", mm_work_order_locks(b->order));
	mm_json_bool(&r->j, "replaces",
	    b->order->on_conflict == MM_WORK_REPLACE);
	mm_json_close(&r->j, '}');
	return MM_OK;
}
