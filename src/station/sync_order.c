#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/own.h"
#include "base/text.h"
#include "station/run.h"
#include "station/sync.h"
#include "work/file.h"

/* Down: the station's newest order of what it makes, as from a stick. */

MM_FREE_FN(json_free, json_t, json_decref)

enum { SAID_MAX = 8192, WAIT_MS = 500 };

/* The batch that it is told to make goes first: of that there may be no order
 * here yet. */
static enum mm_err
pick(const struct mm_station_conf *conf, char batch[MM_NAME_MAX + 1],
    struct mm_why *why)
{
	if (conf->batch[0] == '\0')
		return mm_order_pick(conf, batch, why);
	memcpy(batch, conf->batch, MM_NAME_MAX + 1);
	return MM_OK;
}

static enum mm_err
ask(const struct mm_station_conf *conf, struct mm_centre *c, const char *batch,
    struct mm_centre_answer *a, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(256);
	struct mm_json j = mm_json_over(&body);
	char path[MM_NAME_MAX + 32];

	mm_json_open(&j, '{');
	mm_json_str(&j, "station", conf->name);
	mm_json_close(&j, '}');
	snprintf(path, sizeof(path), "/batches/%s/order", batch);
	MM_TRY(mm_buf_ok(&body, why));
	MM_TRY(mm_centre_ask_order(c, path, mm_buf_cstr(&body), why));
	while (!mm_run_stopped && !mm_centre_take(c, MM_CENTRE_SYNC, a))
		mm_centre_wait(c, NULL, 0, WAIT_MS);
	return mm_run_stopped ? MM_FAIL(why, MM_EAGAIN, "stopped") : MM_OK;
}

/* What the order says is in its note; the papers come by its hashes. */
static bool
is_here(
    const struct mm_station_conf *conf, const char *batch, const json_t *answer)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_WORK_FILE_MAX);
	MM_OWN(json_free) json_t *have = NULL;
	char path[PATH_MAX + 64];

	if (mm_order_path(conf, batch, path, sizeof(path), NULL) != MM_OK ||
	    mm_file_read(path, &b, NULL) != MM_OK)
		return false;
	have = json_loadb((const char *)b.p, b.n, 0, NULL);
	return json_is_string(json_object_get(have, "order")) &&
	       json_equal(json_object_get(have, "order"),
		   json_object_get(answer, "order"));
}

static enum mm_err
take(const struct mm_station_conf *conf, const json_t *answer,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf said = MM_BUF_INIT(SAID_MAX);
	char *text = json_dumps(answer, JSON_COMPACT);
	enum mm_err rc =
	    text == NULL ? MM_FAIL(why, MM_ENOMEM, "out of memory")
			 : mm_import_take(conf, mm_bytes_of(text), &said, why);

	free(text);
	return rc;
}

/* see sync.h */
enum mm_err
mm_sync_order(const struct mm_station_conf *conf, struct mm_centre *c,
    struct mm_sync_order *out, struct mm_why *why)
{
	struct mm_sync_order o = { .batch = "" };
	struct mm_centre_answer a;
	enum mm_err rc;

	MM_TRY(pick(conf, o.batch, why));
	MM_TRY(ask(conf, c, o.batch, &a, why));
	rc = a.rc != MM_OK ? MM_FAIL(why, a.rc, "%s", a.why.text) : MM_OK;
	if (rc == MM_OK && !is_here(conf, o.batch, a.body)) {
		o.is_new = true;
		rc = take(conf, a.body, why);
	}
	mm_centre_answer_done(&a);
	if (rc == MM_OK)
		*out = o;
	return rc;
}
