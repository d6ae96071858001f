#include "server/attempts.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "server/attempts_table.h"

static const char *const doors[MM_DOORS] = {
	[MM_DOOR_HANDSHAKE] = "handshake",
	[MM_DOOR_BASIC] = "basic",
	[MM_DOOR_MTLS] = "mtls",
	[MM_DOOR_REST] = "rest",
	[MM_DOOR_SYNC] = "sync",
};

/* see attempts.h */
const char *
mm_door_name(unsigned door)
{
	return door < MM_DOORS ? doors[door] : "";
}

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

/* see attempts_table.h */
void
mm_attempts_lower(const char *s, char *out, size_t outn)
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
		mm_attempts_lower(what->device, subject + 1, SUBJECT_N - 1);
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
	if ((by->kind == MM_AUTH_TOKEN_PSK || by->kind == MM_AUTH_TOKEN_BASIC)
	    && by->token[0] != '\0')
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
