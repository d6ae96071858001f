#include "server/attempts.h"

#include <ctype.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"

enum {
	RUNS = 4, /* of one subject between two flushes */
	TEXT_N = MM_SAID_TEXT, /* the longest there is */
	BY_N = 34,      /* a letter as a subject's, and the id */
	SUBJECT_N = 72, /* a device id and a letter before it */
};

/* The same refusal again only counts. */
struct run {
	int64_t at_ms;
	uint32_t count;
	uint8_t door, reason;
	bool has_peer;
	struct in6_addr peer;
	char text[TEXT_N];
	char by[BY_N]; /* the token or certificate presented; "" none */
};
/* subject: a letter, then the id in lower case: "d" device, "t" token,
 * "c" the certificate's serial. */
struct row {
	uint64_t hash;
	char subject[SUBJECT_N];
	unsigned n;
	struct run run[RUNS]; /* oldest first */
};
struct table {
	size_t n;
	struct row row[MM_ATTEMPTS_ROWS];
};
enum { KNOWN, CLAIMED, TABLES };

struct mm_attempts {
	bool peers;
	pthread_mutex_t lock;     /* now, noted, dropped */
	pthread_mutex_t flushing; /* old */
	struct table *now[TABLES], *old[TABLES];
	uint64_t noted, dropped;
	atomic_uint_fast64_t written;
};

static const char *const doors[MM_DOORS] = {
	[MM_DOOR_HANDSHAKE] = "handshake",
	[MM_DOOR_BASIC] = "basic",
	[MM_DOOR_MTLS] = "mtls",
	[MM_DOOR_REST] = "rest",
};

/* see attempts.h */
const char *
mm_door_name(unsigned door)
{
	return door < MM_DOORS ? doors[door] : "";
}

/* ---- noting ---- */

static enum mm_err
tables_new(struct table *t[TABLES], struct mm_why *why)
{
	for (unsigned i = 0; i < TABLES; i++) {
		t[i] = calloc(1, sizeof(*t[i]));
		if (t[i] == NULL)
			return MM_FAIL(why, MM_ENOMEM, "attempts: no memory");
	}
	return MM_OK;
}

/* see attempts.h */
enum mm_err
mm_attempts_new(bool peers, struct mm_attempts **out, struct mm_why *why)
{
	MM_OWN(mm_attempts_free) struct mm_attempts *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return MM_FAIL(why, MM_ENOMEM, "attempts: no memory");
	a->peers = peers;
	pthread_mutex_init(&a->lock, NULL);
	pthread_mutex_init(&a->flushing, NULL);
	MM_TRY(tables_new(a->now, why));
	MM_TRY(tables_new(a->old, why));
	*out = MM_MOVE(a);
	return MM_OK;
}

/* see attempts.h */
void
mm_attempts_free(struct mm_attempts **owner)
{
	struct mm_attempts *a = MM_MOVE(*owner);

	if (a == NULL)
		return;
	for (unsigned i = 0; i < TABLES; i++) {
		free(a->now[i]);
		free(a->old[i]);
	}
	pthread_mutex_destroy(&a->lock);
	pthread_mutex_destroy(&a->flushing);
	free(a);
}

/* Ids are unique without case. */
static void
lower(const char *s, char *out, size_t outn)
{
	size_t n = 0;

	for (; s[n] != '\0' && n + 1 < outn; n++)
		out[n] = (char)tolower((unsigned char)s[n]);
	out[n] = '\0';
}

static bool
given(const char *s)
{
	return s != NULL && s[0] != '\0';
}

/* What was presented; "" if nothing that has a name. */
static void
name_by(const struct mm_attempt *what, char by[BY_N])
{
	by[0] = '\0';
	if (given(what->token)) {
		snprintf(by, BY_N, "t%s", what->token);
	} else if (what->serial != NULL) {
		by[0] = 'c';
		mm_hex_text(what->serial, 16, by + 1);
	}
}

/* false: it names nobody. */
static bool
subject_of(const struct mm_attempt *what, const char *by,
    char subject[SUBJECT_N], unsigned *table)
{
	*table = given(what->device) ? KNOWN : CLAIMED;
	if (given(what->device)) {
		subject[0] = 'd';
		lower(what->device, subject + 1, SUBJECT_N - 1);
		return true;
	}
	strcpy(subject, by);
	return by[0] != '\0';
}

/* FNV-1a: a look at the names only where it is equal. */
static uint64_t
hash_of(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	return h;
}

static struct row *
row_of(struct table *t, const char *subject, uint64_t hash)
{
	struct row *r;

	for (size_t i = 0; i < t->n; i++)
		if (t->row[i].hash == hash &&
		    strcmp(t->row[i].subject, subject) == 0)
			return &t->row[i];
	if (t->n == MM_ATTEMPTS_ROWS)
		return NULL;
	r = &t->row[t->n++];
	r->hash = hash;
	r->n = 0;
	strcpy(r->subject, subject);
	return r;
}

static struct run
run_of(const struct mm_attempts *a, const struct mm_attempt *what)
{
	struct run run = { .at_ms = mm_now_ms(),
		.count = 1,
		.door = (uint8_t)what->door,
		.reason = (uint8_t)what->reason };

	run.has_peer = a->peers && what->peer != NULL;
	if (run.has_peer)
		run.peer = *what->peer;
	if (what->text != NULL)
		snprintf(run.text, sizeof(run.text), "%s", what->text);
	name_by(what, run.by);
	return run;
}

static bool
same(const struct run *a, const struct run *b)
{
	return a->door == b->door && a->reason == b->reason &&
	       strcmp(a->by, b->by) == 0 && a->has_peer == b->has_peer &&
	       memcmp(&a->peer, &b->peer, sizeof(a->peer)) == 0 &&
	       strcmp(a->text, b->text) == 0;
}

static void
add_run(struct row *r, const struct run *run)
{
	struct run *last = r->n > 0 ? &r->run[r->n - 1] : NULL;

	if (last != NULL && same(last, run)) {
		last->at_ms = run->at_ms;
		last->count++;
		return;
	}
	if (r->n == RUNS)
		memmove(
		    &r->run[0], &r->run[1], sizeof(r->run[0]) * (size_t)--r->n);
	r->run[r->n++] = *run;
}

/* see attempts.h */
void
mm_attempts_note(struct mm_attempts *a, const struct mm_attempt *what)
{
	char subject[SUBJECT_N];
	struct row *r = NULL;
	struct run run;
	uint64_t hash;
	unsigned table;

	if (a == NULL)
		return;
	run = run_of(a, what);
	if (!subject_of(what, run.by, subject, &table))
		return;
	hash = hash_of(subject);
	pthread_mutex_lock(&a->lock);
	a->noted++;
	r = row_of(a->now[table], subject, hash);
	if (r != NULL)
		add_run(r, &run);
	else
		a->dropped++;
	pthread_mutex_unlock(&a->lock);
}

/* see attempts.h */
void
mm_attempts_job(struct mm_attempts *a, const struct mm_job *job,
    enum mm_door door, enum mm_reason reason, const struct in6_addr *peer,
    const char *text)
{
	const struct mm_authority *by = &job->authority;
	struct mm_attempt what = { .door = door,
		.reason = reason,
		.device = job->device,
		.peer = peer,
		.text = text };

	if (reason == MM_R_NONE)
		return;
	if (by->kind == MM_AUTH_TOKEN_PSK || by->kind == MM_AUTH_TOKEN_BASIC)
		what.token = by->token;
	else if (by->kind == MM_AUTH_DEVICE)
		what.serial = by->serial;
	else if (by->kind == MM_AUTH_OPERATOR && what.device[0] == '\0')
		what.device = by->device;
	mm_attempts_note(a, &what);
}

/* see attempts.h */
void
mm_attempts_stats(struct mm_attempts *a, struct mm_attempts_stats *out)
{
	pthread_mutex_lock(&a->lock);
	*out = (struct mm_attempts_stats){ .noted = a->noted,
		.dropped = a->dropped,
		.held = (unsigned)(a->now[KNOWN]->n + a->now[CLAIMED]->n) };
	pthread_mutex_unlock(&a->lock);
	out->written = atomic_load(&a->written);
}

/* ---- writing ---- */

enum { BATCH = 64 };
struct batch {
	struct mm_attempts *a;
	struct mm_desk *d;
	size_t n;
	struct mm_op op[BATCH];
	struct mm_buf body[BATCH];
};

static enum mm_err
batch_write(struct batch *b, struct mm_why *why)
{
	enum mm_err rc;

	for (size_t i = 0; i < b->n; i++)
		b->op[i].u.doc.body = mm_buf_view(&b->body[i]);
	rc = mm_desk_docs_put(b->d, b->op, b->n, why);
	if (rc == MM_OK)
		b->a->written += b->n;
	for (size_t i = 0; i < b->n; i++)
		mm_buf_done(&b->body[i]);
	b->n = 0;
	return rc;
}

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
		lower(t.device, device, MM_DEVICE_ID_MAX + 1);
		return MM_OK;
	case 'c':
		MM_TRY(mm_hex_parse(subject + 1, strlen(subject + 1), serial,
		    sizeof(serial), NULL));
		MM_TRY(mm_get_cert(r, serial, &c, NULL));
		lower(c.device, device, MM_DEVICE_ID_MAX + 1);
		return MM_OK;
	default:
		MM_TRY(mm_get_device(r, subject + 1, &d, NULL));
		lower(d.id, device, MM_DEVICE_ID_MAX + 1);
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
read_old(struct batch *b, const char *device, json_t **out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	uint64_t version;
	enum mm_err rc = mm_get_doc(mm_desk_reader(b->d), MM_DOC_ATTEMPT,
	    device, &version, &body, NULL);

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return MM_FAIL(why, rc, "attempts: the store cannot be read");
	if (rc == MM_OK)
		*out = json_loadb((const char *)body.p, body.n, 0, NULL);
	if (*out == NULL)
		*out = json_array();
	return *out != NULL ? MM_OK
			    : MM_FAIL(why, MM_ENOMEM, "attempts: no memory");
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
	MM_OWN(json_free) json_t *old = NULL;
	char device[MM_DEVICE_ID_MAX + 1];
	struct mm_op_doc *doc;
	enum mm_err rc = device_of(mm_desk_reader(b->d), r->subject, device);

	if (rc == MM_ENOTFOUND || rc == MM_EINPUT)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "attempts: the store cannot be read");
	if (b->n == BATCH || waits(b, device))
		MM_TRY(batch_write(b, why));
	MM_TRY(read_old(b, device, &old, why));
	doc = &b->op[b->n].u.doc;
	*doc =
	    (struct mm_op_doc){ .kind = MM_DOC_ATTEMPT, .expect = MM_DOC_ANY };
	strcpy(doc->id, device);
	mm_buf_init(&b->body[b->n], MM_DOC_MAX);
	return merge(r, old, &b->body[b->n++], why);
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
