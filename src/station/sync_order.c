#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/own.h"
#include "base/text.h"
#include "station/run.h"
#include "station/sync.h"
#include "work/file.h"

/* Down: the station's newest order of what it makes, as from a stick. */

enum { SAID_MAX = 8192, WAIT_MS = 500 };

/* The batch that it is told to make goes first: of that there may be no order
 * here yet.  Else the newest one's; or of a file that is damaged, if that is
 * all. */
static enum mm_err
pick(const struct mm_station_conf *conf, char batch[MM_NAME_MAX + 1],
    struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc;

	if (conf->batch[0] != '\0') {
		memcpy(batch, conf->batch, MM_NAME_MAX + 1);
		return MM_OK;
	}
	rc = mm_order_pick(conf, batch, &own);
	if (rc == MM_OK || (rc == MM_ENOTFOUND &&
	    mm_order_damaged(conf, batch)))
		return MM_OK;
	return MM_FAIL(why, rc, "%s", own.text);
}

/* Of a file that may be long the beginning does. */
static void
read_note(const struct mm_station_conf *conf, const char *batch,
    struct mm_buf *note)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_WORK_FILE_HEAD);
	uint8_t *room = mm_buf_room(&b, MM_WORK_FILE_HEAD);
	char path[PATH_MAX + 64];
	ssize_t n = 0;
	int fd = -1;

	if (room == NULL ||
	    mm_order_path(conf, batch, path, sizeof(path), NULL) != MM_OK)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, room, MM_WORK_FILE_HEAD);
		(void)close(fd);
	}
	if (n > 0 && mm_work_file_order((struct mm_bytes){ room, (size_t)n },
	    note, NULL) != MM_OK)
		mm_buf_reset(note);
}

/* have: the note that is here, if any: its papers need not come again. */
static enum mm_err
ask(const struct mm_station_conf *conf, struct mm_centre *c, const char *batch,
    const struct mm_buf *have, struct mm_centre_answer *a, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(256);
	struct mm_json j = mm_json_over(&body);
	char path[MM_NAME_MAX + 32];
	uint8_t hash[32];

	mm_json_open(&j, '{');
	mm_json_str(&j, "station", conf->name);
	if (have->n > 0 &&
	    mm_work_order_hash(mm_buf_view(have), hash, NULL) == MM_OK)
		mm_json_hex(&j, "have", (struct mm_bytes){ hash, 32 });
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
is_here(const struct mm_buf *note, const json_t *answer)
{
	const json_t *o = json_object_get(answer, "order");

	return note->n > 0 && json_is_string(o) &&
	    mm_bytes_eq(mm_buf_view(note), (struct mm_bytes){
	    (const uint8_t *)json_string_value(o), json_string_length(o) });
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
    bool anew, struct mm_sync_order *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf note = MM_BUF_INIT(MM_WORK_FILE_HEAD);
	struct mm_sync_order o = { .batch = "" };
	struct mm_centre_answer a;
	enum mm_err rc;

	MM_TRY(pick(conf, o.batch, why));
	if (!anew)
		read_note(conf, o.batch, &note);
	MM_TRY(ask(conf, c, o.batch, &note, &a, why));
	/* a centre of before knows no such member */
	if (a.rc == MM_EINPUT && note.n > 0) {
		mm_centre_answer_done(&a);
		MM_TRY(ask(conf, c, o.batch, &(struct mm_buf){ 0 }, &a, why));
	}
	rc = a.rc != MM_OK ? MM_FAIL(why, a.rc, "%s", a.why.text) : MM_OK;
	if (rc == MM_OK && !is_here(&note, a.body)) {
		o.is_new = true;
		rc = take(conf, a.body, why);
	}
	mm_centre_answer_done(&a);
	if (rc == MM_OK)
		*out = o;
	return rc;
}
