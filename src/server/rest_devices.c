#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "server/attempts.h"
#include "server/rest.h"

/* Devices, one by one. */

#define M(name, type, must, field)                                  \
	{ name, type, must, offsetof(struct mm_device, field),      \
	    sizeof(((struct mm_device *)0)->field) }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* see rest.h */
const struct mm_member mm_device_members[MM_DEVICE_MEMBERS] = {
	M("id", MM_M_DEVICE, true, id),
	M("product", MM_M_NAME, true, product),
	M("attributes", MM_M_OBJECT, false, attributes),
	M("bound_spki_sha256", MM_M_SHA256, false, bound_spki),
};
#undef M

/* see rest.h */
void
mm_rest_put_device(struct mm_json *j, const void *row)
{
	const struct mm_device *d = row;

	mm_json_str(j, "id", d->id);
	mm_json_str(j, "product", d->product);
	mm_json_str(j, "state",
	    d->state == MM_DEVICE_ACTIVE ? "active" : "retired");
	mm_rest_put_time(j, "created", d->created_at);
	if (d->attributes[0] != '\0')
		mm_json_raw(j, "attributes", mm_bytes_of(d->attributes));
	mm_rest_put_sha256(j, "bound_spki_sha256", d->bound_spki);
}

struct shown {
	struct mm_rest *r;
	unsigned left;
	bool more;
};

static enum mm_err
put_serial(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	struct shown *s = ctx;
	struct mm_json *j = &s->r->j;

	(void)next;
	if (s->left == 0) {
		s->more = true;
		return MM_OK;
	}
	s->left--;
	mm_json_open(j, '{');
	mm_rest_put_serial(j, "serial", c->serial);
	mm_json_str(j, "state", mm_cert_state_name(c->state));
	mm_json_bool(j, "idevid", c->idevid);
	mm_rest_put_time_s(j, "not_after", c->not_after_s);
	mm_json_close(j, '}');
	return mm_buf_ok(j->out, why);
}

/* The newest of its certificates: GET /certificates has all of them. */
static enum mm_err
answer_device(struct mm_rest *r, const char *id, struct mm_why *why)
{
	struct mm_device d;
	struct mm_list l = { .most = MM_DEVICE_ROWS + 1, .state = -1,
		.newest_first = true };
	struct shown s = { .r = r, .left = MM_DEVICE_ROWS };

	MM_TRY(mm_get_device(r->reader, id, &d, why));
	l.device = d.id;
	mm_json_open(&r->j, '{');
	mm_rest_put_device(&r->j, &d);
	mm_json_open_key(&r->j, "certificates", '[');
	MM_TRY(mm_list_certs(r->reader, &l, put_serial, &s, why));
	mm_json_close(&r->j, ']');
	mm_json_bool(&r->j, "more_certificates", s.more);
	mm_json_close(&r->j, '}');
	mm_rest_etag(r, d.version);
	return MM_OK;
}

static enum mm_err
device_id(const struct mm_rest *r, char id[MM_DEVICE_ID_MAX + 1],
    struct mm_why *why)
{
	MM_TRY(mm_rest_segment(r, 0, id, MM_DEVICE_ID_MAX + 1, why));
	if (!mm_device_id_valid(id))
		return MM_FAIL(why, MM_ENOTFOUND, "no such device");
	return MM_OK;
}

enum mm_err
mm_rest_device(struct mm_rest *r, struct mm_why *why)
{
	char id[MM_DEVICE_ID_MAX + 1];

	MM_TRY(device_id(r, id, why));
	return answer_device(r, id, why);
}

enum mm_err
mm_rest_device_create(struct mm_rest *r, struct mm_why *why)
{
	struct mm_device d = { .created_at = mm_now_ms() };

	MM_TRY(mm_rest_members(r->in, mm_device_members,
	    MM_DEVICE_MEMBERS, &d, why));
	MM_TRY(mm_desk_device_put(r->desk, &r->login, &d, false, why));
	r->status = 201;
	return answer_device(r, d.id, why);
}

/* ---- replacing, whole or in part ---- */

/* Scope and four eyes were asked about the device as it was a moment ago: it
 * is what they saw, or it is not replaced. */
static enum mm_err
still_may(struct mm_rest *r, const struct mm_device *old,
    const struct mm_device *d, struct mm_why *why)
{
	MM_TRY(mm_scope_device_row(r, old, why));
	if (strcmp(old->product, d->product) != 0 && !r->approved &&
	    mm_danger_watched(&r->s->config->set, mm_danger_move.action))
		return MM_FAIL(why, MM_ECONFLICT, "device %s: it has just "
		    "moved", old->id);
	return MM_OK;
}

static enum mm_err
replace(struct mm_rest *r, const struct mm_device *old,
    const struct mm_device *d, const uint64_t *if_version,
    struct mm_why *why)
{
	enum mm_err rc;

	MM_TRY(still_may(r, old, d, why));
	rc = mm_desk_device_replace(r->desk, &r->login, d,
	    if_version != NULL ? if_version : &old->version, why);
	/* the device is there: so it is the product of the body */
	return rc == MM_ENOTFOUND ? MM_EINPUT : rc;
}

/* Makes the new one of the old one and the body. */
typedef enum mm_err change_fn(const struct mm_rest *r,
    const struct mm_device *old, struct mm_device *out, struct mm_why *why);

static enum mm_err
change_once(struct mm_rest *r, const char *id, change_fn *fn,
    const uint64_t *if_version, struct mm_why *why)
{
	struct mm_device old, d = { .created_at = 0 };

	MM_TRY(mm_get_device(r->reader, id, &old, why));
	MM_TRY(fn(r, &old, &d, why));
	memcpy(d.id, old.id, sizeof(d.id));
	return replace(r, &old, &d, if_version, why);
}

/* Without If-Match it is done to whatever is there. */
static enum mm_err
change(struct mm_rest *r, change_fn *fn, struct mm_why *why)
{
	enum { TRIES = 8 };
	char id[MM_DEVICE_ID_MAX + 1];
	struct mm_why own = { 0 };
	const uint64_t *if_version;
	uint64_t version;
	enum mm_err rc = MM_ESTALE;

	MM_TRY(device_id(r, id, why));
	MM_TRY(mm_rest_if_match(r, &version, &if_version, why));
	for (unsigned i = 0; i < TRIES && rc == MM_ESTALE; i++) {
		own = (struct mm_why){ 0 };
		rc = change_once(r, id, fn, if_version, &own);
		if (if_version != NULL)
			break;
	}
	return rc == MM_OK ? answer_device(r, id, why) :
	    MM_FAIL(why, rc, "%s", own.text);
}

static enum mm_err
replaced(const struct mm_rest *r, const struct mm_device *old,
    struct mm_device *out, struct mm_why *why)
{
	(void)old;
	return mm_rest_members(r->in, mm_device_members + 1,
	    MM_DEVICE_MEMBERS - 1, out, why);
}

enum mm_err
mm_rest_device_replace(struct mm_rest *r, struct mm_why *why)
{
	return change(r, replaced, why);
}

/* RFC 7396 2: objects within objects wait their turn in a list. */
enum { MERGES_MAX = 64 };
struct merge {
	json_t *into, *patch;
};

static enum mm_err
merge_one(struct merge *list, size_t i, size_t *n, struct mm_why *why)
{
	json_t *into = list[i].into, *v;
	const char *key;

	json_object_foreach(list[i].patch, key, v) {
		json_t *old = json_object_get(into, key);

		if (json_is_null(v)) {
			json_object_del(into, key);
			continue;
		}
		if (!json_is_object(v)) {
			json_object_set(into, key, v);
			continue;
		}
		if (*n == MERGES_MAX)
			return MM_FAIL(why, MM_EINPUT, "attributes: at most "
			    "%d objects in a patch", MERGES_MAX);
		if (!json_is_object(old)) {
			old = json_object();
			json_object_set_new(into, key, old);
		}
		list[(*n)++] = (struct merge){ old, v };
	}
	return MM_OK;
}

static enum mm_err
merge(json_t *into, json_t *patch, struct mm_why *why)
{
	struct merge list[MERGES_MAX] = { { into, patch } };
	size_t n = 1;

	for (size_t i = 0; i < n; i++)
		MM_TRY(merge_one(list, i, &n, why));
	return MM_OK;
}

/* The device as PUT would have it, with the patch merged in. */
static enum mm_err
patched(const struct mm_rest *r, const struct mm_device *old,
    struct mm_device *out, struct mm_why *why)
{
	MM_OWN(mm_rest_json_free) json_t *whole = json_object();
	static const uint8_t none[32];
	char spki[65] = "";

	if (memcmp(old->bound_spki, none, sizeof(none)) != 0)
		mm_hex_text(old->bound_spki, 32, spki);
	json_object_set_new(whole, "product", json_string(old->product));
	if (old->attributes[0] != '\0')
		json_object_set_new(whole, "attributes",
		    json_loads(old->attributes, 0, NULL));
	if (spki[0] != '\0')
		json_object_set_new(whole, "bound_spki_sha256",
		    json_string(spki));
	MM_TRY(merge(whole, r->in, why));
	return mm_rest_members(whole, mm_device_members + 1,
	    MM_DEVICE_MEMBERS - 1, out, why);
}

enum mm_err
mm_rest_device_patch(struct mm_rest *r, struct mm_why *why)
{
	return change(r, patched, why);
}

enum mm_err
mm_rest_device_retire(struct mm_rest *r, struct mm_why *why)
{
	char id[MM_DEVICE_ID_MAX + 1];

	MM_TRY(device_id(r, id, why));
	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(mm_desk_device_retire(r->desk, &r->login, id, why));
	return answer_device(r, id, why);
}

struct turn_wish {
	char product[MM_NAME_MAX + 1], reason[MM_NAME_MAX + 1];
	uint8_t spki[32];
	bool idevid;
};
#define M(name, type, must, field)                              \
	{ name, type, must, offsetof(struct turn_wish, field), \
	    sizeof(((struct turn_wish *)0)->field) }
static const struct mm_member transfer_members[] = {
	M("product", MM_M_NAME, true, product),
	M("reason", MM_M_NAME, true, reason),
	M("idevid", MM_M_BOOL, false, idevid),
};
static const struct mm_member repair_members[] = {
	M("bound_spki_sha256", MM_M_SHA256, false, spki),
	M("reason", MM_M_NAME, true, reason),
};
#undef M

enum mm_err
mm_rest_device_transfer(struct mm_rest *r, struct mm_why *why)
{
	struct turn_wish in = { .product = "" };
	char id[MM_DEVICE_ID_MAX + 1];

	MM_TRY(device_id(r, id, why));
	MM_TRY(mm_rest_members(r->in, transfer_members, 3, &in, why));
	MM_TRY(mm_desk_device_transfer(r->desk, &r->login, id,
	    &(struct mm_transfer){ in.product, in.reason, in.idevid }, why));
	return answer_device(r, id, why);
}

enum mm_err
mm_rest_device_repair(struct mm_rest *r, struct mm_why *why)
{
	struct turn_wish in = { .product = "" };
	char id[MM_DEVICE_ID_MAX + 1];

	MM_TRY(device_id(r, id, why));
	MM_TRY(mm_rest_members(r->in, repair_members, 2, &in, why));
	MM_TRY(mm_desk_device_repair(r->desk, &r->login, id, in.spki,
	    in.reason, why));
	return answer_device(r, id, why);
}

/* ---- enrolment by an operator ---- */

static enum mm_err
enrol_begin(struct mm_rest *r, struct mm_job *job, struct mm_why *why)
{
	MM_OWN(mm_rest_json_free) json_t *rest = json_copy(r->in);
	char id[MM_DEVICE_ID_MAX + 1];

	if (rest == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(device_id(r, id, why));
	MM_TRY(mm_authority_operator(&job->authority, &r->login, id, why));
	MM_TRY(mm_rest_unit(r, rest, job, why));
	MM_TRY(mm_rest_csr(rest, job, why));
	MM_TRY(mm_csr_walk(mm_buf_view(&job->request), &job->csr, why));
	if (r->s->config->set.attempt_peers)
		mm_answer_peer(&r->req->peer, job->peer);
	return MM_OK;
}

/* The operator is told what the maker's own system said, or in a sentence
 * what the reason means. */
static void
enrol_why(const struct mm_job *job, struct mm_why *why)
{
	if (job->said[0] != '\0')
		(void)MM_FAIL(why, job->result, "%s: %s",
		    mm_reason_text(job->reason), job->said);
	else if (strcmp(job->why.text, mm_reason_text(job->reason)) == 0)
		(void)MM_FAIL(why, job->result, "%s",
		    mm_answer_sentence(job->reason));
	else
		*why = job->why;
}

static enum mm_err
enrol_end(struct mm_rest *r, const struct mm_job *job, struct mm_why *why)
{
	if (job->result != MM_OK) {
		r->reason = job->reason;
		enrol_why(job, why);
		mm_attempts_job(r->s->attempts, job, MM_DOOR_REST, job->reason,
		    &r->req->peer, job->said[0] != '\0' ? job->said :
		    why->text);
		return job->result;
	}
	mm_json_open(&r->j, '{');
	mm_rest_put_issued(&r->j, job,
	    mm_est_chain(r->s->est, job->issuer));
	mm_json_close(&r->j, '}');
	return mm_buf_ok(&r->out, why);
}

/* see rest.h */
void
mm_rest_park(struct mm_rest *r, struct mm_job *take_job)
{
	r->call->user.call = r->call;
	take_job->user = &r->call->user;
	take_job->next = NULL;
	r->call->job = r->post = take_job;
	r->parked = true;
}

enum mm_err
mm_rest_device_enrol(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_job_free) struct mm_job *job = NULL;

	if (r->call->job != NULL)
		return enrol_end(r, r->call->job, why);
	job = mm_job_new(MM_JOB_ENROL);
	if (job == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(enrol_begin(r, job, why));
	mm_rest_park(r, MM_MOVE(job));
	return MM_OK;
}

enum mm_err
mm_rest_device_receipt(struct mm_rest *r, struct mm_why *why)
{
	char id[MM_DEVICE_ID_MAX + 1];

	MM_TRY(device_id(r, id, why));
	return mm_desk_receipt(r->desk, id, &r->out, &r->uncovered, why);
}
