#include <string.h>

#include "base/time.h"
#include "server/attempts.h"
#include "server/rest.h"

/* Products and devices. */

#define M(struct_, name, type, must, field)                         \
	{ name, type, must, offsetof(struct struct_, field),        \
	    sizeof(((struct struct_ *)0)->field) }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- products ---- */

static const struct mm_member product_members[] = {
	M(mm_product, "name", MM_M_NAME, false, name),
	M(mm_product, "description", MM_M_TEXT, false, description),
	M(mm_product, "ldevid_profile", MM_M_NAME, false, ldevid_profile),
	M(mm_product, "idevid_profile", MM_M_NAME, false, idevid_profile),
	M(mm_product, "hw_type_oid", MM_M_TEXT, false, hw_type_oid),
};

static void
put_product(struct mm_json *j, const void *row)
{
	const struct mm_product *p = row;

	mm_json_str(j, "name", p->name);
	mm_json_str(j, "description", p->description);
	mm_json_str(j, "ldevid_profile", p->ldevid_profile);
	mm_json_str(j, "idevid_profile", p->idevid_profile);
	mm_json_str(j, "hw_type_oid", p->hw_type_oid);
	mm_rest_put_time(j, "created", p->created_at);
}

static enum mm_err
answer_product(struct mm_rest *r, const char *name, struct mm_why *why)
{
	struct mm_product p;

	MM_TRY(mm_get_product(r->reader, name, &p, why));
	mm_json_open(&r->j, '{');
	put_product(&r->j, &p);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_products(struct mm_rest *r, struct mm_why *why)
{
	struct mm_page p;

	MM_TRY(mm_page_read(r, " ", &p, why));
	return mm_page_put(r, &p, mm_list_products, put_product, why);
}

enum mm_err
mm_rest_product(struct mm_rest *r, struct mm_why *why)
{
	char name[MM_NAME_MAX + 1];

	MM_TRY(mm_rest_segment(r, 0, name, sizeof(name), why));
	return answer_product(r, name, why);
}

static enum mm_err
read_product(const struct mm_rest *r, struct mm_product *p,
    struct mm_why *why)
{
	*p = (struct mm_product){ .created_at = mm_now_ms() };
	return mm_rest_members(r->in, product_members,
	    COUNT(product_members), p, why);
}

/* What is not found is then a profile, and the body's fault. */
static enum mm_err
put(struct mm_rest *r, const struct mm_product *p, bool replace,
    struct mm_why *why)
{
	enum mm_err rc =
	    mm_desk_product_put(r->desk, &r->login, p, replace, why);

	return rc == MM_ENOTFOUND ? MM_EINPUT : rc;
}

enum mm_err
mm_rest_product_create(struct mm_rest *r, struct mm_why *why)
{
	struct mm_product p;

	MM_TRY(read_product(r, &p, why));
	if (p.name[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "name: missing");
	MM_TRY(put(r, &p, false, why));
	r->status = 201;
	return answer_product(r, p.name, why);
}

enum mm_err
mm_rest_product_replace(struct mm_rest *r, struct mm_why *why)
{
	char name[MM_NAME_MAX + 1];
	struct mm_product p, old;

	MM_TRY(mm_rest_segment(r, 0, name, sizeof(name), why));
	MM_TRY(read_product(r, &p, why));
	if (p.name[0] != '\0' && strcmp(p.name, name) != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "name: a product is not renamed");
	MM_TRY(mm_get_product(r->reader, name, &old, why));
	memcpy(p.name, name, sizeof(name));
	p.created_at = old.created_at;
	MM_TRY(put(r, &p, true, why));
	return answer_product(r, name, why);
}

/* ---- devices ---- */

static const struct mm_member device_members[] = {
	M(mm_device, "id", MM_M_DEVICE, true, id),
	M(mm_device, "product", MM_M_NAME, true, product),
	M(mm_device, "attributes", MM_M_OBJECT, false, attributes),
	M(mm_device, "bound_spki_sha256", MM_M_SHA256, false, bound_spki),
};

static void
put_device(struct mm_json *j, const void *row)
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

static enum mm_err
put_serial(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct mm_json *j = ctx;
	const struct mm_cert_row *c = row;

	(void)next;
	mm_json_open(j, '{');
	mm_rest_put_serial(j, "serial", c->serial);
	mm_json_str(j, "state", mm_cert_state_name(c->state));
	mm_json_bool(j, "idevid", c->idevid);
	mm_rest_put_time_s(j, "not_after", c->not_after_s);
	mm_json_close(j, '}');
	return mm_buf_ok(j->out, why);
}

static enum mm_err
answer_device(struct mm_rest *r, const char *id, struct mm_why *why)
{
	struct mm_device d;
	struct mm_list l = { .most = 100, .state = -1 };

	MM_TRY(mm_get_device(r->reader, id, &d, why));
	l.device = d.id;
	mm_json_open(&r->j, '{');
	put_device(&r->j, &d);
	mm_json_open_key(&r->j, "certificates", '[');
	MM_TRY(mm_list_certs(r->reader, &l, put_serial, &r->j, why));
	mm_json_close(&r->j, ']');
	mm_json_close(&r->j, '}');
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
mm_rest_devices(struct mm_rest *r, struct mm_why *why)
{
	struct mm_page p;

	MM_TRY(mm_page_read(r, " product ", &p, why));
	return mm_page_put(r, &p, mm_list_devices, put_device, why);
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

	MM_TRY(mm_rest_members(r->in, device_members, COUNT(device_members),
	    &d, why));
	MM_TRY(mm_desk_device_put(r->desk, &r->login, &d, false, why));
	r->status = 201;
	return answer_device(r, d.id, why);
}

enum mm_err
mm_rest_device_retire(struct mm_rest *r, struct mm_why *why)
{
	char id[MM_DEVICE_ID_MAX + 1];

	MM_TRY(device_id(r, id, why));
	MM_TRY(mm_desk_device_retire(r->desk, &r->login, id, why));
	return answer_device(r, id, why);
}

/* ---- enrolment by an operator ---- */

static enum mm_err
enrol(struct mm_rest *r, struct mm_job *job, struct mm_why *why)
{
	char id[MM_DEVICE_ID_MAX + 1];

	MM_TRY(device_id(r, id, why));
	MM_TRY(mm_authority_operator(&job->authority, &r->login, id, why));
	MM_TRY(mm_rest_csr(r->in, job, why));
	MM_TRY(mm_csr_walk(mm_buf_view(&job->request), &job->csr, why));
	if (mm_desk_enrol(r->desk, job) != MM_OK) {
		*why = job->why;
		mm_attempts_job(r->s->attempts, job, MM_DOOR_REST, job->reason,
		    &r->req->peer, why->text);
		return job->result;
	}
	mm_json_open(&r->j, '{');
	mm_rest_put_issued(&r->j, job,
	    mm_est_chain(r->s->est, job->issuer));
	mm_json_close(&r->j, '}');
	return MM_OK;
}

enum mm_err
mm_rest_device_enrol(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(mm_job_free) struct mm_job *job = mm_job_new(MM_JOB_ENROL);

	if (job == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	return enrol(r, job, why);
}

enum mm_err
mm_rest_device_receipt(struct mm_rest *r, struct mm_why *why)
{
	char id[MM_DEVICE_ID_MAX + 1];

	MM_TRY(device_id(r, id, why));
	return mm_desk_receipt(r->desk, id, &r->out, why);
}
