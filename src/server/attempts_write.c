#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "server/attempts_table.h"

/* What was noted becomes each device's document, in batches. */

enum { BATCH = 64, TRIES = 5 };
struct batch {
	struct mm_attempts *a;
	struct mm_desk *d;
	size_t n;
	const struct row *row[BATCH];
	struct mm_op op[BATCH];
	struct mm_buf body[BATCH];
};

/* The device that a subject speaks of, in lower case. */
static enum mm_err
device_of(struct mm_store_reader *r, const char *subject,
    char device[MM_DEVICE_ID_MAX + 1])
{
	struct mm_device d;
	struct mm_token_row t;
	struct mm_cert_row c;
	uint8_t serial[16];

	switch (subject[0]) {
	case 't':
		MM_TRY(mm_get_token(r, subject + 1, &t, NULL));
		mm_attempts_lower(t.device, device, MM_DEVICE_ID_MAX + 1);
		return MM_OK;
	case 'c':
		MM_TRY(mm_hex_parse(subject + 1, strlen(subject + 1), serial,
		    sizeof(serial), NULL));
		MM_TRY(mm_get_cert(r, serial, &c, NULL));
		mm_attempts_lower(c.device, device, MM_DEVICE_ID_MAX + 1);
		return MM_OK;
	default:
		MM_TRY(mm_get_device(r, subject + 1, &d, NULL));
		mm_attempts_lower(d.id, device, MM_DEVICE_ID_MAX + 1);
		return MM_OK;
	}
}

static json_t *
run_json(const struct run *run)
{
	char peer[INET6_ADDRSTRLEN], at[MM_TIME_TEXT];
	json_t *o = json_object();

	mm_time_text(run->at_ms, at);
	json_object_set_new(o, "time", json_string(at));
	json_object_set_new(o, "door", json_string(mm_door_name(run->door)));
	json_object_set_new(
	    o, "reason", json_string(mm_reason_text(run->reason)));
	json_object_set_new(o, "text", json_string(run->text));
	if (run->has_peer) {
		mm_answer_peer(&run->peer, peer);
		json_object_set_new(o, "peer", json_string(peer));
	}
	if (run->by[0] != '\0')
		json_object_set_new(o, run->by[0] == 't' ? "token" : "serial",
		    json_string(run->by + 1));
	return o;
}

static bool
member_is(const json_t *o, const char *name, const char *want)
{
	const char *v = json_string_value(json_object_get(o, name));

	return strcmp(v != NULL ? v : "", want) == 0;
}

/* Whether a run only goes on with what the newest stored attempt says. */
static bool
goes_on(const json_t *stored, const struct run *run)
{
	char peer[INET6_ADDRSTRLEN] = "";

	if (run->has_peer)
		mm_answer_peer(&run->peer, peer);
	return member_is(stored, "door", mm_door_name(run->door)) &&
	       member_is(stored, run->by[0] == 'c' ? "serial" : "token",
		   run->by[0] != '\0' ? run->by + 1 : "") &&
	       member_is(stored, "reason", mm_reason_text(run->reason)) &&
	       member_is(stored, "text", run->text) &&
	       member_is(stored, "peer", peer);
}

/* Its place among those that are there, newest first. */
static size_t
place_of(const json_t *all, const json_t *o)
{
	const char *at = json_string_value(json_object_get(o, "time")), *v;
	size_t i = 0;

	while ((v = json_string_value(
		    json_object_get(json_array_get(all, i), "time"))) != NULL &&
	       strcmp(v, at) > 0)
		i++;
	return i;
}

static enum mm_err
merge_run(json_t *all, const struct run *run, struct mm_why *why)
{
	json_t *o = run_json(run);
	const json_t *first = json_array_get(all, 0);
	int64_t count = run->count;

	if (json_string_value(json_object_get(o, "time")) == NULL) {
		json_decref(o);
		return MM_FAIL(why, MM_ENOMEM, "attempts: no memory");
	}
	if (first != NULL && goes_on(first, run)) {
		count += json_integer_value(json_object_get(first, "count"));
		json_array_remove(all, 0);
	}
	json_object_set_new(o, "count", json_integer(count));
	json_array_insert_new(all, place_of(all, o), o);
	return MM_OK;
}

static enum mm_err
merge(const struct row *r, json_t *all, struct mm_buf *body, struct mm_why *why)
{
	char *text;

	for (unsigned i = 0; i < r->n; i++)
		MM_TRY(merge_run(all, &r->run[i], why));
	while (json_array_size(all) > MM_ATTEMPTS_KEPT)
		json_array_remove(all, json_array_size(all) - 1);
	text = json_dumps(all, JSON_COMPACT);
	if (text == NULL)
		return MM_FAIL(why, MM_ENOMEM, "attempts: no memory");
	mm_buf_text(body, text);
	free(text);
	return mm_buf_ok(body, why);
}

MM_FREE_FN(json_free, json_t, json_decref)

static enum mm_err
read_old(struct batch *b, struct mm_op_doc *doc, json_t **out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	enum mm_err rc = mm_get_doc(mm_desk_reader(b->d), MM_DOC_ATTEMPT,
	    doc->id, &doc->expect, &body, NULL);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "attempts: the store cannot be read");
	if (rc == MM_OK)
		*out = json_loadb((const char *)body.p, body.n, 0, NULL);
	else
		doc->expect = 0;
	if (*out == NULL)
		*out = json_array();
	return *out != NULL ? MM_OK
			    : MM_FAIL(why, MM_ENOMEM, "attempts: no memory");
}

/* What is stored, and the row's runs with it. */
static enum mm_err
prepare(struct batch *b, size_t i, struct mm_why *why)
{
	MM_OWN(json_free) json_t *old = NULL;

	MM_TRY(read_old(b, &b->op[i].u.doc, &old, why));
	mm_buf_reset(&b->body[i]);
	return merge(b->row[i], old, &b->body[i], why);
}

/* Somebody else wrote it since it was read: another node. */
static bool
overtaken(enum mm_err rc)
{
	return rc == MM_ECONFLICT || rc == MM_ESTALE || rc == MM_ENOTFOUND;
}

/* What overtook it is read and merged with; who is overtaken again and again
 * leaves it. */
static enum mm_err
write_again(struct batch *b, size_t i, struct mm_why *why)
{
	enum mm_err rc = b->op[i].result;

	for (unsigned n = 0; n < TRIES && overtaken(rc); n++) {
		MM_TRY(prepare(b, i, why));
		b->op[i].u.doc.body = mm_buf_view(&b->body[i]);
		rc = mm_desk_docs_put(b->d, &b->op[i], 1, NULL);
	}
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "attempts: %s",
	    b->op[i].why.text);
}

static enum mm_err
batch_write(struct batch *b, struct mm_why *why)
{
	enum mm_err rc;

	for (size_t i = 0; i < b->n; i++)
		b->op[i].u.doc.body = mm_buf_view(&b->body[i]);
	rc = mm_desk_docs_put(b->d, b->op, b->n, why);
	if (overtaken(rc)) {
		if (why != NULL)
			*why = (struct mm_why){ 0 };
		rc = MM_OK;
		for (size_t i = 0; i < b->n && rc == MM_OK; i++)
			rc = write_again(b, i, why);
	}
	if (rc == MM_OK)
		b->a->written += b->n;
	for (size_t i = 0; i < b->n; i++)
		mm_buf_done(&b->body[i]);
	b->n = 0;
	return rc;
}

static bool
waits(const struct batch *b, const char *device)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->op[i].u.doc.id, device) == 0)
			return true;
	return false;
}

static enum mm_err
put_row(struct batch *b, const struct row *r, struct mm_why *why)
{
	char device[MM_DEVICE_ID_MAX + 1];
	struct mm_op_doc *doc;
	enum mm_err rc = device_of(mm_desk_reader(b->d), r->subject, device);

	if (rc == MM_ENOTFOUND || rc == MM_EINPUT)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "attempts: the store cannot be read");
	if (b->n == BATCH || waits(b, device))
		MM_TRY(batch_write(b, why));
	doc = &b->op[b->n].u.doc;
	*doc = (struct mm_op_doc){ .kind = MM_DOC_ATTEMPT };
	strcpy(doc->id, device);
	b->row[b->n] = r;
	mm_buf_init(&b->body[b->n], MM_DOC_MAX);
	return prepare(b, b->n++, why);
}

static void
swap(struct mm_attempts *a)
{
	pthread_mutex_lock(&a->lock);
	for (unsigned i = 0; i < TABLES; i++) {
		struct table *t = a->now[i];
		a->now[i] = a->old[i];
		a->old[i] = t;
	}
	pthread_mutex_unlock(&a->lock);
}

static enum mm_err
write_old(struct batch *b, struct mm_why *why)
{
	for (unsigned i = 0; i < TABLES; i++)
		for (size_t k = 0; k < b->a->old[i]->n; k++)
			MM_TRY(put_row(b, &b->a->old[i]->row[k], why));
	return batch_write(b, why);
}

static void
batch_free(struct batch **owner)
{
	struct batch *b = *owner;

	for (size_t i = 0; b != NULL && i < b->n; i++)
		mm_buf_done(&b->body[i]);
	free(b);
	*owner = NULL;
}

/* see attempts.h; what cannot be written now is not written later: it is no
 * evidence, and memory is bounded. */
enum mm_err
mm_attempts_flush(struct mm_attempts *a, struct mm_desk *d, struct mm_why *why)
{
	MM_OWN(batch_free) struct batch *b = calloc(1, sizeof(*b));
	enum mm_err rc;

	if (b == NULL)
		return MM_FAIL(why, MM_ENOMEM, "attempts: no memory");
	b->a = a;
	b->d = d;
	pthread_mutex_lock(&a->flushing);
	swap(a);
	rc = write_old(b, why);
	a->old[KNOWN]->n = a->old[CLAIMED]->n = 0;
	pthread_mutex_unlock(&a->flushing);
	return rc;
}
