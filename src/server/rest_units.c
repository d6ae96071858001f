#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "base/time.h"
#include "ledger/entry.h"
#include "server/batches.h"

/*
 * What became of each unit, as its station reports it.  A report may come
 * again: the same is nothing new.  A serial number that another station has,
 * or that came with another key, is quarantined with both named, and stays
 * so until an operator clears it.  Where it has a certificate, another
 * station's word is no more than noted, with an alert: who has one station's
 * credential spoils nothing that others made.  What is scrapped is revoked,
 * and gives its quota back.
 *
 * The entry goes first, and then what it tells of, as many units at once as a
 * commit has: whatever ends a report in its midst, nothing was changed that
 * the ledger does not know of, and the report may come again.
 */
enum {
	UNITS_MOST = 1000,
	ROUND = MM_DESK_DOCS, /* units of one commit */
	CERTS_MOST = 100,
	REASON_SCRAPPED = 5,
	AHEAD_MS = 300000, /* of a station's clock */
};

struct unit {
	struct mm_made made;
	char result[16];
	bool same;  /* as it was */
	bool other; /* another station's, that has a certificate, ... */
	bool noted; /* ... which is told of just now */
	bool gives; /* scrapped just now, with a certificate */
};
struct certified {
	const char *device;
	bool yes;
};
struct told { /* a request */
	const struct mm_production *b;
	const struct mm_roll *roll;
	char station[MM_NAME_MAX + 1];
	bool clear; /* an operator ends a quarantine */
};
#define M(name, type, must, at)                              \
	{                                                    \
		name, type, must, offsetof(struct unit, at), \
		    sizeof(((struct unit *)0)->at)           \
	}
static const struct mm_member unit_members[] = {
	M("serial", MM_M_DEVICE, true, made.serial),
	M("result", MM_M_TEXT, true, result),
	M("reason", MM_M_TEXT, false, made.reason),
	M("spki_sha256", MM_M_SHA256, false, made.spki),
	M("at", MM_M_TIME, true, made.at),
};

MM_FREE_FN(units_free, struct unit, free)

static bool
is_zero(const uint8_t v[32])
{
	static const uint8_t none[32];

	return memcmp(v, none, 32) == 0;
}

/* Another station's word of what has a certificate: it stays as it is, and has
 * the first of those stations noted. */
static void
note_other(struct unit *u, const struct mm_made *have)
{
	char who[sizeof(u->made.station)];

	strcpy(who, u->made.station);
	u->made = *have;
	u->other = true;
	u->noted = have->other[0] == '\0';
	u->same = !u->noted;
	if (u->noted)
		strcpy(u->made.other, who);
}

/* An operator has looked: what was put aside is that station's. */
static void
clear(struct unit *u, const struct mm_made *have)
{
	struct mm_made *m = &u->made;

	m->version = have->version;
	u->same = have->result != MM_UNIT_QUARANTINED;
	if (!is_zero(have->spki))
		memcpy(m->spki, have->spki, 32);
}

static enum mm_err
see_cert(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	struct certified *c = ctx;

	(void)next;
	(void)why;
	c->yes = c->yes || strcasecmp(((const struct mm_cert_row *)row)->device,
	    c->device) == 0;
	return MM_OK;
}

/* Whether its key was ever certified for it: a report names one that was not,
 * perhaps. */
static enum mm_err
is_certified(struct mm_rest *r, const struct mm_made *m, bool *yes,
    struct mm_why *why)
{
	struct mm_list l = { .most = CERTS_MOST, .state = -1,
		.spki_sha256 = m->spki };
	struct certified c = { m->serial, false };

	if (!is_zero(m->spki))
		MM_TRY(mm_list_certs(r->reader, &l, see_cert, &c, why));
	*yes = c.yes;
	return MM_OK;
}

/* Newer news of the same board replaces older; anything else is for a person
 * to look at. */
static void
merge(struct unit *u, const struct mm_made *have, bool certified)
{
	struct mm_made *m = &u->made;
	bool other_key = !is_zero(m->spki) && !is_zero(have->spki) &&
			 memcmp(m->spki, have->spki, 32) != 0;

	m->version = have->version;
	if (have->result == MM_UNIT_QUARANTINED && have->other[0] != '\0') {
		u->same = true;
		m->result = MM_UNIT_QUARANTINED;
		memcpy(m->other, have->other, sizeof(m->other));
	} else if (strcmp(m->station, have->station) != 0 && certified) {
		note_other(u, have);
	} else if (strcmp(m->station, have->station) != 0 || other_key) {
		m->result = MM_UNIT_QUARANTINED;
		memcpy(m->other, have->station, sizeof(m->other));
		memcpy(m->spki, have->spki, 32);
	} else {
		if (is_zero(m->spki))
			memcpy(m->spki, have->spki, 32);
		memcpy(m->other, have->other, sizeof(m->other));
		u->same = have->result == MM_UNIT_SCRAPPED ||
			  (m->result != MM_UNIT_SCRAPPED &&
			      have->result != MM_UNIT_ISSUED &&
			      have->at >= m->at);
	}
	u->gives = !u->same && m->result == MM_UNIT_SCRAPPED && certified;
}

static enum mm_err
look_up(
    struct mm_rest *r, const struct told *t, struct unit *u,
    struct mm_why *why)
{
	struct mm_made have;
	bool certified = false;
	enum mm_err rc =
	    mm_made_get(r->reader, t->b->id, u->made.serial, &have, why);

	if (rc == MM_ENOTFOUND) {
		u->same = t->clear;
		return MM_OK;
	}
	MM_TRY(rc);
	if (strcmp(u->made.station, have.station) != 0 ||
	    u->made.result == MM_UNIT_SCRAPPED)
		MM_TRY(is_certified(r, &have, &certified, why));
	if (t->clear)
		clear(u, &have);
	else
		merge(u, &have, certified);
	return MM_OK;
}

/* One of the batch's, and where stations take the next serial number, of the
 * station's share. */
static enum mm_err
check_serial(const struct told *t, const char *serial, struct mm_why *why)
{
	const struct mm_share *s = mm_production_share_of(t->b, t->station);
	uint64_t at;

	if (!mm_roll_find(t->roll, serial, &at))
		return MM_FAIL(why, MM_EINPUT,
		    "serial: %s is none of the batch", serial);
	return mm_batch_is_of_share(t->b, s, at) ? MM_OK : MM_FAIL(why,
	    MM_EPOLICY, "serial: %s is another station's", serial);
}

static enum mm_err
read_unit(json_t *in, const struct told *t, struct unit *u,
    struct mm_why *why)
{
	MM_TRY(mm_rest_members(in, unit_members,
	    sizeof(unit_members) / sizeof(unit_members[0]), u, why));
	strcpy(u->made.station, t->station);
	u->made.result =
	    mm_work_word(mm_unit_result_words, MM_UNIT_COUNT, u->result);
	if (u->made.result <= MM_UNIT_ISSUED)
		return MM_FAIL(why, MM_EINPUT, "result: no such word");
	if (t->clear && u->made.result > MM_UNIT_FAILED)
		return MM_FAIL(why, MM_EINPUT,
		    "result: what is cleared has passed or failed");
	if (u->made.at > mm_now_ms() + AHEAD_MS)
		return MM_FAIL(why, MM_EINPUT,
		    "at: %s is made after now", u->made.serial);
	return check_serial(t, u->made.serial, why);
}

/* ---- what is scrapped ---- */

struct scrap {
	const uint8_t *spki;
	uint8_t serial[CERTS_MOST][16];
	size_t n;
	bool proved;
};

static enum mm_err
note_cert(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	const struct mm_cert_row *c = row;
	struct scrap *s = ctx;

	(void)next;
	(void)why;
	if (memcmp(c->spki_sha256, s->spki, 32) != 0 ||
	    c->state == MM_CERT_REVOKED || c->state == MM_CERT_ORPHANED)
		return MM_OK;
	memcpy(s->serial[s->n++], c->serial, 16);
	s->proved = s->proved || c->confirmed_at != 0;
	return MM_OK;
}

/* The certificates in force of the unit's key. */
static enum mm_err
find_certs(struct mm_rest *r, const struct mm_made *m, struct scrap *s,
    struct mm_why *why)
{
	struct mm_list l = { .most = CERTS_MOST,
		.state = -1,
		.device = m->serial,
		.newest_first = true };

	s->spki = m->spki;
	return mm_list_certs(r->reader, &l, note_cert, s, why);
}

/* More than the allowance, of the station's share or of the whole, is for an
 * operator to say: a line would have all that it made revoked. */
static enum mm_err
check_allowance(struct mm_rest *r, const struct mm_production *b,
    const char *station, int64_t n, struct mm_why *why)
{
	const struct mm_share *s = mm_production_share_of(b, station);
	struct mm_quota q;

	MM_TRY(mm_quota_get(r->reader, b, "", &q, why));
	if (q.back + n > b->scrap)
		return MM_FAIL(why, MM_EPOLICY, "batch %s allows %lld to be "
		    "scrapped: more, an operator scraps", b->id,
		    (long long)b->scrap);
	if (s == NULL)
		return MM_OK;
	MM_TRY(mm_quota_get(r->reader, b, station, &q, why));
	return q.back + n <= s->scrap ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    "batch %s allows station %s to scrap %lld: more, an operator "
	    "scraps", b->id, station, (long long)s->scrap);
}

/*
 * A station scraps what it is making.  What has proved its identity may have
 * left the line, and so may all of a batch that is closed: that is an
 * operator's to scrap, for a credential that was stolen at the line would
 * revoke it there, and have its name certified for another key.
 */
static enum mm_err
may_scrap(struct mm_rest *r, const struct mm_production *b,
    const struct unit *u, struct mm_why *why)
{
	struct scrap s = { .n = 0 };

	if (!u->gives || !mm_login_is_line(&r->login))
		return MM_OK;
	if (b->state == MM_WORK_CLOSED)
		return MM_FAIL(why, MM_EPOLICY,
		    "batch %s is closed: what is scrapped of it, an operator "
		    "scraps", b->id);
	MM_TRY(find_certs(r, &u->made, &s, why));
	return !s.proved ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    "%s has proved its identity: an operator scraps it",
	    u->made.serial);
}

/* The certificates of that key go first: quota comes back for what is none
 * any more. */
static enum mm_err
revoke(struct mm_rest *r, const struct mm_made *m, struct mm_why *why)
{
	struct scrap s = { .n = 0 };
	bool already;

	MM_TRY(find_certs(r, m, &s, why));
	for (size_t i = 0; i < s.n; i++)
		MM_TRY(mm_desk_cert_revoke(r->desk, &r->login, s.serial[i],
		    REASON_SCRAPPED, &already, why));
	return MM_OK;
}

/* ---- writing ---- */

/* Documents of one commit, with their bodies. */
struct round {
	struct mm_op op[ROUND];
	struct mm_buf body[ROUND];
	char back[ROUND][2][MM_DOC_ID_MAX + 1];
	size_t n;
};

static void
round_free(struct round **owner)
{
	struct round *d = MM_MOVE(*owner);

	for (size_t i = 0; d != NULL && i < ROUND; i++)
		mm_buf_done(&d->body[i]);
	free(d);
}

/* The version is asked for, so that two reports at once do not lose each
 * other's. */
static enum mm_err
add_unit(struct round *d, const char *batch, const struct unit *u,
    struct mm_why *why)
{
	struct mm_op_doc *doc = &d->op[d->n].u.doc;
	struct mm_buf *body = &d->body[d->n];
	char made[MM_DOC_ID_MAX + 1];

	if (body->max == 0)
		mm_buf_init(body, 1024);
	mm_buf_reset(body);
	mm_made_put(&u->made, body);
	MM_TRY(mm_buf_ok(body, why));
	*doc = (struct mm_op_doc){ .kind = MM_DOC_UNIT,
		.expect = u->made.version, .body = mm_buf_view(body) };
	mm_made_id(batch, u->made.serial, doc->id);
	mm_quota_names(batch, "", made, d->back[d->n][0]);
	mm_quota_names(batch, u->made.station, made, d->back[d->n][1]);
	for (size_t i = 0; i < 2 && u->gives; i++)
		doc->counts[i] = d->back[d->n][i];
	d->n++;
	return MM_OK;
}

static enum mm_err
put_round(struct mm_rest *r, struct round *d, struct mm_why *why)
{
	enum mm_err rc = mm_desk_docs_put(r->desk, d->op, d->n, why);

	d->n = 0;
	return rc == MM_ESTALE ? MM_ECONFLICT : rc;
}

static enum mm_err
enter(struct mm_rest *r, const struct told *t, size_t n, struct mm_why *why)
{
	char count[24], hex[65];
	const struct mm_entry e = { .type = MM_E_UNITS_REPORTED,
		.field = { [MM_F_ACTOR] = r->login.id,
		    [MM_F_BATCH] = t->b->id,
		    [MM_F_STATION] = t->station,
		    [MM_F_COUNT] = count,
		    [MM_F_DETAIL_SHA256] = hex } };
	uint8_t hash[32], salted[32];

	/* what became of a unit, and by whom, can be tried */
	mm_sha256(r->req->body, hash);
	mm_sha256_2(mm_bytes_of(t->b->salt), (struct mm_bytes){ hash, 32 },
	    salted);
	mm_hex_text(salted, 32, hex);
	snprintf(count, sizeof(count), "%zu", n);
	return mm_desk_enter(r->desk, &e, why);
}

/* One alert a report, which names the first unit. */
static enum mm_err
alert(struct mm_rest *r, const struct told *t, const struct unit *u, size_t n,
    struct mm_why *why)
{
	const char *first = NULL;
	char text[24];
	size_t noted = 0;

	for (size_t i = 0; i < n; i++) {
		if (u[i].noted && first == NULL)
			first = u[i].made.serial;
		noted += u[i].noted;
	}
	if (first == NULL)
		return MM_OK;
	snprintf(text, sizeof(text), "%zu", noted);
	return mm_desk_enter(r->desk, &(struct mm_entry){
	    .type = MM_E_ALERT,
	    .field = { [MM_F_ACTOR] = r->login.id,
		[MM_F_BATCH] = t->b->id,
		[MM_F_STATION] = t->station,
		[MM_F_DEVICE] = first,
		[MM_F_PRODUCT] = t->b->order->product,
		[MM_F_COUNT] = text,
		[MM_F_REASON] = "unit-of-another-station" } }, why);
}

static enum mm_err
write_all(struct mm_rest *r, const char *batch, const struct unit *u, size_t n,
    struct mm_why *why)
{
	MM_OWN(round_free) struct round *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		if (u[i].same)
			continue;
		if (u[i].gives)
			MM_TRY(revoke(r, &u[i].made, why));
		MM_TRY(add_unit(d, batch, &u[i], why));
		if (d->n == ROUND)
			MM_TRY(put_round(r, d, why));
	}
	return put_round(r, d, why);
}

static enum mm_err
write_news(struct mm_rest *r, const struct told *t, const struct unit *u,
    size_t n, size_t *written, struct mm_why *why)
{
	for (size_t i = 0; i < n; i++)
		*written += !u[i].same;
	if (*written == 0)
		return MM_OK;
	MM_TRY(enter(r, t, *written, why));
	MM_TRY(alert(r, t, u, n, why));
	return write_all(r, t->b->id, u, n, why);
}

static void
put_other(struct mm_json *j, const struct unit *u, const char *other)
{
	mm_json_open(j, '{');
	mm_json_str(j, "serial", u->made.serial);
	mm_json_str(j, "other", other);
	mm_json_close(j, '}');
}

static void
put_answer(struct mm_rest *r, const struct unit *u, size_t n, size_t written)
{
	mm_json_open(&r->j, '{');
	mm_json_int(&r->j, "written", (int64_t)written);
	mm_json_int(&r->j, "unchanged", (int64_t)(n - written));
	mm_json_open_key(&r->j, "quarantined", '[');
	for (size_t i = 0; i < n; i++)
		if (!u[i].other && u[i].made.other[0] != '\0' &&
		    u[i].made.result == MM_UNIT_QUARANTINED)
			put_other(&r->j, &u[i], u[i].made.other);
	mm_json_close(&r->j, ']');
	mm_json_open_key(&r->j, "disputed", '[');
	for (size_t i = 0; i < n; i++)
		if (u[i].other)
			put_other(&r->j, &u[i], u[i].made.station);
	mm_json_close(&r->j, ']');
	mm_json_close(&r->j, '}');
}

/* ---- a report ---- */

static int
by_serial(const void *a, const void *b)
{
	return strcmp(((const struct unit *)a)->made.serial,
	    ((const struct unit *)b)->made.serial);
}

/* What gives its quota back has its certificates revoked: those of a device
 * that is of another product by now are another's. */
static enum mm_err
may_revoke(struct mm_rest *r, const struct unit *u, struct mm_why *why)
{
	struct mm_device d;

	if (!u->gives || !r->login.scope.on)
		return MM_OK;
	MM_TRY(mm_get_device(r->reader, u->made.serial, &d, why));
	return mm_scope_device_row(r, &d, why);
}

static enum mm_err
look_up_all(struct mm_rest *r, const struct told *t, struct unit *u, size_t n,
    struct mm_why *why)
{
	int64_t gives = 0;

	for (size_t i = 0; i < n; i++) {
		MM_TRY(look_up(r, t, &u[i], why));
		MM_TRY(may_revoke(r, &u[i], why));
		MM_TRY(may_scrap(r, t->b, &u[i], why));
		gives += u[i].gives;
	}
	return gives == 0 || !mm_login_is_line(&r->login) ? MM_OK :
	    check_allowance(r, t->b, t->station, gives, why);
}

static enum mm_err
read_units(const json_t *list, const struct told *t, struct unit *u,
    struct mm_why *why)
{
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n; i++)
		MM_TRY(read_unit(json_array_get(list, i), t, &u[i], why));
	qsort(u, n, sizeof(*u), by_serial);
	for (size_t i = 1; i < n; i++)
		if (by_serial(&u[i - 1], &u[i]) == 0)
			return MM_FAIL(why, MM_EINPUT,
			    "serial: %s stands "
			    "twice",
			    u[i].made.serial);
	return MM_OK;
}

static enum mm_err
whose(struct mm_rest *r, struct told *t, struct mm_why *why)
{
	const char *name = json_string_value(json_object_get(r->in, "station"));
	const struct mm_production *b = t->b;
	struct mm_station s;

	MM_TRY(mm_batch_station(r, name, &s, why));
	if (b->nshares > 0 && mm_production_share_of(b, s.id) == NULL)
		return MM_FAIL(why, MM_ENOTFOUND,
		    "batch %s has no share for "
		    "station %s",
		    b->id, s.id);
	strcpy(t->station, s.id);
	return MM_OK;
}

static enum mm_err
read_clear(struct mm_rest *r, struct told *t, struct mm_why *why)
{
	t->clear = json_is_true(json_object_get(r->in, "clear"));
	return !t->clear || !mm_login_is_line(&r->login) ? MM_OK : MM_FAIL(why,
	    MM_EPOLICY, "what was put aside, an operator clears");
}

enum mm_err
mm_rest_batch_units(struct mm_rest *r, struct mm_why *why)
{
	MM_OWN(units_free) struct unit *u = NULL;
	const json_t *list = json_object_get(r->in, "units");
	const json_t *is_cleared = json_object_get(r->in, "clear");
	size_t n = json_array_size(list), written = 0;
	char id[MM_NAME_MAX + 1];
	struct told t;

	if (!json_is_string(json_object_get(r->in, "station")) ||
	    (is_cleared != NULL && !json_is_boolean(is_cleared)) ||
	    json_object_size(r->in) != 2U + (is_cleared != NULL) || n < 1 ||
	    n > UNITS_MOST)
		return MM_FAIL(why, MM_EINPUT,
		    "JSON: want station, and 1 to "
		    "%d units",
		    UNITS_MOST);
	MM_TRY(mm_rest_segment(r, 0, id, sizeof(id), why));
	MM_TRY(mm_desk_batch(r->desk, id, &t.b, &t.roll, why));
	MM_TRY(whose(r, &t, why));
	MM_TRY(read_clear(r, &t, why));
	u = calloc(n, sizeof(*u));
	if (u == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	MM_TRY(read_units(list, &t, u, why));
	MM_TRY(look_up_all(r, &t, u, n, why));
	MM_TRY(write_news(r, &t, u, n, &written, why));
	put_answer(r, u, n, written);
	return MM_OK;
}
