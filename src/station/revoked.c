#include "station/revoked.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/own.h"
#include "station/own.h"
#include "station/run.h"

/* ISSUERS: orders here; PAGE: certificates of an answer, 1 MiB at most. */
enum { ISSUERS = 256, PAGE = 500, FILE_MAX = 8 << 20, WAIT_MS = 500 };

/* ---- what is kept ---- */

static enum mm_err
path_of(const struct mm_station_conf *conf, char path[PATH_MAX + 16],
    struct mm_why *why)
{
	return mm_path_join(path, PATH_MAX + 16, conf->state, "revoked", why);
}

/* One that is not there yet is empty. */
static enum mm_err
read_list(const struct mm_station_conf *conf, struct mm_buf *list,
    struct mm_why *why)
{
	char path[PATH_MAX + 16];
	struct mm_why own = { 0 };
	enum mm_err rc;

	MM_TRY(path_of(conf, path, why));
	rc = mm_file_read(path, list, &own);
	return rc == MM_OK || rc == MM_ENOTFOUND ? MM_OK
	    : MM_FAIL(why, rc, "%s", own.text);
}

static bool
has(struct mm_bytes list, const char *serial)
{
	char line[MM_REVOKED_SERIAL + 2];
	size_t n = (size_t)snprintf(line, sizeof(line), "%.*s\n",
	    MM_REVOKED_SERIAL, serial);
	const uint8_t *begin = list.p, *at;

	while (list.n > 0 && (at = memmem(list.p, list.n, line, n)) != NULL) {
		if (at == begin || at[-1] == '\n')
			return true;
		list.n -= (size_t)(at - list.p) + n;
		list.p = at + n;
	}
	return false;
}

static enum mm_err
add_all(const json_t *items, struct mm_buf *list, struct mm_why *why)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(items))
		return MM_FAIL(why, MM_EINPUT, "revocations: want a list");
	json_array_foreach(items, i, item)
	{
		const char *serial = json_string_value(json_object_get(item,
		    "serial"));

		if (serial == NULL || strlen(serial) > MM_REVOKED_SERIAL ||
		    strspn(serial, "0123456789abcdef") != strlen(serial))
			return MM_FAIL(why, MM_EINPUT,
			    "revocations: what is no serial number");
		if (!has(mm_buf_view(list), serial))
			mm_buf_printf(list, "%s\n", serial);
	}
	return mm_buf_ok(list, why);
}

static enum mm_err
keep(const struct mm_station_conf *conf, const json_t *items,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf list = MM_BUF_INIT(FILE_MAX);
	char path[PATH_MAX + 16];
	size_t was;

	MM_TRY(read_list(conf, &list, why));
	was = list.n;
	MM_TRY(add_all(items, &list, why));
	if (list.n == was)
		return MM_OK;
	MM_TRY(path_of(conf, path, why));
	return mm_file_replace(path, mm_buf_view(&list), 0640, why);
}

/* see revoked.h */
enum mm_err
mm_revoked_look(const struct mm_station_conf *conf, const char *serial,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf list = MM_BUF_INIT(FILE_MAX);

	MM_TRY(read_list(conf, &list, why));
	return has(mm_buf_view(&list), serial) ? MM_OK : MM_ENOTFOUND;
}

/* ---- asking ---- */

static enum mm_err
ask(struct mm_revoking *r, struct mm_why *why)
{
	char path[MM_NAME_MAX + MM_REVOKED_CURSOR + 96];

	snprintf(path, sizeof(path),
	    "/certificates?state=revoked&limit=%d&issuer=%s%s%s", PAGE,
	    r->issuer, r->after[0] != '\0' ? "&after=" : "", r->after);
	MM_TRY(mm_centre_ask(r->centre, MM_CENTRE_SYNC, path, NULL, why));
	r->asked = true;
	return MM_OK;
}

/* see revoked.h */
enum mm_err
mm_revoking_begin(struct mm_revoking *r, const struct mm_station_conf *conf,
    struct mm_centre *centre, const char *issuer, struct mm_why *why)
{
	*r = (struct mm_revoking){ .conf = conf, .centre = centre };
	snprintf(r->issuer, sizeof(r->issuer), "%s", issuer);
	return ask(r, why);
}

/* It goes into the next request as it came. */
static enum mm_err
take_cursor(struct mm_revoking *r, const json_t *body, struct mm_why *why)
{
	static const char may[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:";
	const char *next = json_string_value(json_object_get(body, "next"));

	if (next == NULL)
		next = "";
	if (strlen(next) >= sizeof(r->after) ||
	    strspn(next, may) != strlen(next))
		return MM_FAIL(why, MM_EINPUT, "revocations: the next page");
	strcpy(r->after, next);
	return MM_OK;
}

static enum mm_err
answered(struct mm_revoking *r, const struct mm_centre_answer *a,
    struct mm_why *why)
{
	if (a->rc != MM_OK)
		return MM_FAIL(why, a->rc, "%s", a->why.text);
	MM_TRY(keep(r->conf, json_object_get(a->body, "items"), why));
	MM_TRY(take_cursor(r, a->body, why));
	return r->after[0] != '\0' ? ask(r, why) : MM_OK;
}

/* see revoked.h */
enum mm_err
mm_revoking_step(struct mm_revoking *r, struct mm_why *why)
{
	struct mm_centre_answer a;
	enum mm_err rc;

	if (!r->asked || !mm_centre_take(r->centre, MM_CENTRE_SYNC, &a))
		return MM_OK;
	r->asked = false;
	rc = answered(r, &a, why);
	mm_centre_answer_done(&a);
	return rc;
}

/* ---- of every order ---- */

struct issuers {
	char name[ISSUERS][MM_NAME_MAX + 1];
	size_t n;
};

static enum mm_err
note_issuer(void *ctx, const struct mm_work_order *o, struct mm_why *why)
{
	struct issuers *s = ctx;

	if (o->ca_name[0] == '\0')
		return MM_OK;
	if (s->n == ISSUERS)
		return MM_FAIL(why, MM_ELIMIT, "revocations: orders of more "
		    "than %d batches", ISSUERS);
	memcpy(s->name[s->n++], o->ca_name, MM_NAME_MAX + 1);
	return MM_OK;
}

static enum mm_err
fetch_of(const struct mm_station_conf *conf, struct mm_centre *c,
    const char *issuer, struct mm_why *why)
{
	struct mm_revoking r;

	MM_TRY(mm_revoking_begin(&r, conf, c, issuer, why));
	while (r.asked && !mm_run_stopped) {
		mm_centre_wait(c, NULL, 0, WAIT_MS);
		MM_TRY(mm_revoking_step(&r, why));
	}
	return mm_run_stopped ? MM_FAIL(why, MM_EAGAIN, "stopped") : MM_OK;
}

/* see revoked.h */
enum mm_err
mm_revoked_fetch(const struct mm_station_conf *conf, struct mm_centre *c,
    uint64_t *n, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf list = MM_BUF_INIT(FILE_MAX);
	struct issuers of = { .n = 0 };
	uint64_t lines = 0;

	MM_TRY(mm_order_each(conf, note_issuer, &of, why));
	for (size_t i = 0; i < of.n; i++)
		MM_TRY(fetch_of(conf, c, of.name[i], why));
	MM_TRY(read_list(conf, &list, why));
	for (size_t i = 0; i < list.n; i++)
		lines += list.p[i] == '\n';
	*n = lines;
	return MM_OK;
}
