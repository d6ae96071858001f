#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/time.h"
#include "server/attempts.h"
#include "server/rest.h"

/*
 * What a support person asks about one device: why it was refused, what it
 * has now, and whether anything is wrong at all.
 */
enum {
	SAY_MAX = 512,
	/* A refused request by an unconfirmed certificate confirms it: that
	 * is no sign that the refusal is over. */
	SAME_MS = 2000,
};

MM_FREE_FN(json_free, json_t, json_decref)

struct present {
	struct mm_rest *r;
	struct mm_device device;
	int64_t success_at; /* newest of issued and confirmed; 0 never */
	int64_t settled_at; /* a refusal before this is history */
	bool confirmed;     /* what success_at is */
	unsigned left;      /* of the list that is being put */
	bool more;
	json_t *attempts;
};

/* ---- what it has ---- */

/* One row more than is shown tells that there are more. */
static bool
room(struct present *p)
{
	p->more = p->left == 0;
	p->left -= !p->more;
	return !p->more;
}

static enum mm_err
put_token(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_token_row *t = row;
	struct present *p = ctx;
	struct mm_json *j = &p->r->j;
	bool over = t->state == MM_TOKEN_MINTED && t->expires_at <= mm_now_ms();

	(void)next;
	if (!room(p))
		return MM_OK;
	mm_json_open(j, '{');
	mm_json_str(j, "id", t->id);
	mm_json_str(j, "state",
	    mm_token_state_name(over ? MM_TOKEN_EXPIRED : t->state));
	mm_json_str(j, "door", t->bearer ? "bearer" : "handshake");
	mm_rest_put_time(j, "expires", t->expires_at);
	mm_json_close(j, '}');
	return mm_buf_ok(j->out, why);
}

static void
note_success(struct present *p, int64_t at_ms, bool confirmed)
{
	int64_t settled_at = at_ms - (confirmed ? SAME_MS : 0);

	if (settled_at > p->settled_at)
		p->settled_at = settled_at;
	if (at_ms <= p->success_at)
		return;
	p->success_at = at_ms;
	p->confirmed = confirmed;
}

static enum mm_err
put_cert(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	struct present *p = ctx;
	struct mm_json *j = &p->r->j;

	(void)next;
	if (c->state != MM_CERT_ORPHANED)
		note_success(p, c->issued_at, false);
	note_success(p, c->confirmed_at, true);
	if (!room(p))
		return MM_OK;
	mm_json_open(j, '{');
	mm_rest_put_serial(j, "serial", c->serial);
	mm_json_str(j, "state", mm_cert_state_name(c->state));
	mm_json_bool(j, "idevid", c->idevid);
	mm_rest_put_time(j, "issued", c->issued_at);
	mm_rest_put_time(j, "confirmed", c->confirmed_at);
	mm_rest_put_time_s(j, "not_after", c->not_after_s);
	mm_json_close(j, '}');
	return mm_buf_ok(j->out, why);
}

static enum mm_err
put_rows(struct present *p, mm_list_fn *list, mm_row_fn *put,
    const char *key, struct mm_why *why)
{
	struct mm_list l = { .most = MM_DEVICE_ROWS + 1, .state = -1,
		.device = p->device.id, .newest_first = true };
	char more[32];

	p->left = MM_DEVICE_ROWS;
	p->more = false;
	mm_json_open_key(&p->r->j, key, '[');
	MM_TRY(list(p->r->reader, &l, put, p, why));
	mm_json_close(&p->r->j, ']');
	snprintf(more, sizeof(more), "more_%s", key);
	mm_json_bool(&p->r->j, more, p->more);
	return MM_OK;
}

static enum mm_err
put_present(struct present *p, struct mm_why *why)
{
	struct mm_json *j = &p->r->j;

	MM_TRY(put_rows(p, mm_list_tokens, put_token, "tokens", why));
	MM_TRY(put_rows(p, mm_list_certs, put_cert, "certificates", why));
	if (p->success_at == 0)
		return MM_OK;
	mm_json_open_key(j, "last_success", '{');
	mm_json_time(j, "time", p->success_at);
	mm_json_str(j, "what", p->confirmed ? "confirmed" : "issued");
	mm_json_close(j, '}');
	return MM_OK;
}

/* ---- what is in force, however much lies before or behind it ---- */

struct search {
	bool found;
	unsigned rows;
	char after[MM_AUTHORITY_TEXT];
};

static enum mm_err
find_any(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct search *s = ctx;

	(void)row, (void)next, (void)why;
	s->found = true;
	return MM_OK;
}

static enum mm_err
find_open(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_token_row *t = row;
	struct search *s = ctx;

	(void)why;
	s->rows++;
	strcpy(s->after, next);
	s->found = s->found || t->expires_at > mm_now_ms();
	return MM_OK;
}

static enum mm_err
has_cert(struct present *p, bool *yes, struct mm_why *why)
{
	static const enum mm_cert_state states[] = { MM_CERT_CONFIRMED,
		MM_CERT_ISSUED };
	struct search s = { .found = false };

	for (size_t i = 0; i < 2 && !s.found; i++) {
		const struct mm_list l = { .most = 1, .state = (int)states[i],
			.device = p->device.id,
			.expires_from_s = mm_now_s() + 1 };

		MM_TRY(mm_list_certs(p->r->reader, &l, find_any, &s, why));
	}
	*yes = s.found;
	return MM_OK;
}

static enum mm_err
has_token(struct present *p, bool *yes, struct mm_why *why)
{
	struct mm_list l = { .most = MM_DEVICE_ROWS, .state = MM_TOKEN_MINTED,
		.device = p->device.id, .newest_first = true };
	struct search s = { .found = false };

	do {
		s.rows = 0;
		strcpy(l.after, s.after);
		MM_TRY(mm_list_tokens(p->r->reader, &l, find_open, &s, why));
	} while (!s.found && s.rows == MM_DEVICE_ROWS);
	*yes = s.found;
	return MM_OK;
}

/* ---- why it was refused ---- */

static const char *
text_of(const json_t *o, const char *name)
{
	const char *v = json_string_value(json_object_get(o, name));

	return v != NULL ? v : "";
}

/* The stored word, back to what it stands for. */
static enum mm_reason
reason_of(const json_t *attempt)
{
	const char *word = text_of(attempt, "reason");

	for (unsigned i = 1; i < MM_REASON_COUNT; i++)
		if (strcmp(mm_reason_text((enum mm_reason)i), word) == 0)
			return (enum mm_reason)i;
	return MM_R_NONE;
}

static void
put_attempt(struct present *p, const json_t *a)
{
	static const char *const names[] = { "time", "door", "reason", "text",
		"peer", "token", "serial" };
	MM_OWN(mm_buf_done) struct mm_buf what = MM_BUF_INIT(SAY_MAX);
	struct mm_json *j = &p->r->j;

	mm_advice_put(&what, reason_of(a),
	    &(struct mm_advice_names){
		p->device.id, text_of(a, "token"), text_of(a, "serial") });
	mm_json_open(j, '{');
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (text_of(a, names[i])[0] != '\0')
			mm_json_str(j, names[i], text_of(a, names[i]));
	mm_json_int(
	    j, "count", json_integer_value(json_object_get(a, "count")));
	mm_json_strn(j, "do", mm_buf_view(&what));
	mm_json_close(j, '}');
}

static enum mm_err
read_attempts(struct present *p, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	char id[MM_DEVICE_ID_MAX + 1];
	uint64_t version;
	enum mm_err rc;

	strcpy(id, p->device.id);
	for (char *c = id; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	rc =
	    mm_get_doc(p->r->reader, MM_DOC_ATTEMPT, id, &version, &body, NULL);
	if (rc == MM_ENOTFOUND)
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the store cannot be read");
	p->attempts = json_loadb((const char *)body.p, body.n, 0, NULL);
	return MM_OK;
}

/* ---- and so ---- */

static int64_t
refused_at(const struct present *p)
{
	const json_t *newest = json_array_get(p->attempts, 0);
	int64_t at;

	if (newest == NULL ||
	    mm_time_parse(text_of(newest, "time"), &at, NULL) != MM_OK)
		return 0;
	return at;
}

static enum mm_err
verdict_of(struct present *p, const char **verdict, struct mm_why *why)
{
	bool cert, token;

	MM_TRY(has_cert(p, &cert, why));
	MM_TRY(has_token(p, &token, why));
	if (p->device.state == MM_DEVICE_RETIRED)
		*verdict = "retired";
	else if (refused_at(p) > p->settled_at)
		*verdict = "refused";
	else if (cert)
		*verdict = "ok";
	else if (p->success_at > 0)
		*verdict = "no-certificate";
	else
		*verdict = token ? "waiting" : "nothing";
	return MM_OK;
}

static enum mm_err
put_all(struct present *p, struct mm_why *why)
{
	struct mm_json *j = &p->r->j;
	const char *verdict;
	const json_t *a;
	size_t i;

	mm_json_open(j, '{');
	mm_json_str(j, "device", p->device.id);
	mm_json_str(j, "product", p->device.product);
	mm_json_open_key(j, "attempts", '[');
	json_array_foreach(p->attempts, i, a) put_attempt(p, a);
	mm_json_close(j, ']');
	MM_TRY(put_present(p, why));
	MM_TRY(verdict_of(p, &verdict, why));
	mm_json_str(j, "verdict", verdict);
	mm_json_close(j, '}');
	return MM_OK;
}

/* What is noted but not written yet is written first. */
enum mm_err
mm_rest_device_attempts(struct mm_rest *r, struct mm_why *why)
{
	char id[MM_DEVICE_ID_MAX + 1];
	struct present p = { .r = r };
	MM_OWN(json_free) json_t *held = NULL;

	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	if (!mm_device_id_valid(id))
		return MM_FAIL(why, MM_ENOTFOUND, "no such device");
	MM_TRY(mm_get_device(r->reader, id, &p.device, why));
	(void)!mm_attempts_flush(r->s->attempts, r->desk, NULL);
	MM_TRY(read_attempts(&p, why));
	held = p.attempts;
	return put_all(&p, why);
}
