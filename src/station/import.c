#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/faults.h"
#include "base/file.h"
#include "base/json.h"
#include "base/own.h"
#include "station/own.h"
#include "station/run.h"
#include "work/file.h"

/*
 * "import": an order from a stick, or from wherever a file comes.  The signer
 * takes it or says why not; what is kept here afterwards is what the station
 * shows and asks.
 */
enum { SAID_MAX = 8192, SLACK = 64 };

static enum mm_err
pack(const struct mm_work_file *f, const struct mm_work_order *o,
    struct mm_buf *out, struct mm_why *why)
{
	struct mm_bytes paper = { 0 };

	(void)mm_work_file_paper(f, o->serials_sha256, &paper);
	mm_buf_block32(out, f->note);
	mm_buf_block32(out, f->profiles);
	mm_buf_block32(out, paper);
	return mm_buf_ok(out, why);
}

/* What lies there has the line CA's key, sealed, and devices' secrets in its
 * papers.  A key that ends is gone first, whether the disk is full or not. */
static enum mm_err
replace(const struct mm_station_conf *conf, const struct mm_work_order *o,
    struct mm_bytes json, struct mm_why *why)
{
	char path[PATH_MAX + 64];

	MM_TRY(mm_order_path(conf, o->batch, path, sizeof(path), why));
	if (o->ca_key.n == 0)
		MM_TRY(mm_file_wipe(path, why));
	return mm_file_replace_wiping(path, json, 0600, why);
}

static enum mm_err
keep(const struct mm_station_conf *conf, const struct mm_work_order *o,
    struct mm_bytes json, struct mm_why *why)
{
	char path[PATH_MAX + 64];
	enum mm_err rc;
	int lock = -1;

	MM_TRY(mm_order_path(conf, "", path, sizeof(path), why));
	MM_TRY(mm_dir_make(path, 0750, why));
	MM_TRY(mm_order_lock(conf, &lock, why));
	rc = replace(conf, o, json, why);
	(void)close(lock);
	return rc;
}

/* The station's ledger says that the key is gone. */
static enum mm_err
enter_end(const struct mm_station_conf *conf, const struct mm_work_order *o,
    struct mm_why *why)
{
	MM_OWN(mm_own_close) struct mm_own *own = NULL;

	return o->ca_key.n > 0
	    ? MM_OK
	    : mm_own_open_batch(
		  conf, o->batch, MM_OWN_WAIT_MS, &own, why);
}

/*
 * What was signed and never entered (the station was killed between the two)
 * is entered by the papers of the order before: one that closes the batch has
 * none.  Until it is, that one is refused: behind it are the end of the key
 * and of the papers, and boards that could be told nothing any more.
 */
static enum mm_err
settle(const struct mm_station_conf *conf, const struct mm_work_order *o,
    struct mm_why *why)
{
	struct mm_why own = { 0 };
	enum mm_err rc;

	if (o->state != MM_WORK_CLOSED || o->mode != MM_WORK_OFFLINE ||
	    !mm_order_has(conf, o->batch))
		return MM_OK;
	rc = mm_own_settle(conf, o->batch, &own);
	if (rc == MM_OK)
		return MM_OK;
	if (rc == MM_ECONFLICT)
		return MM_FAIL(why, rc, "another station program has the "
		    "signer: end it, then import this order, which closes "
		    "its batch");
	return MM_FAIL(why, rc, "not taken, it closes its batch, and what was "
	    "signed is not in the ledger yet: mend that, then import it "
	    "again: %.70s", own.text);
}

/* Its words are those of the signer, which has verified it. */
static enum mm_err
take(const struct mm_station_conf *conf, const struct mm_work_file *f,
    struct mm_bytes json, struct mm_buf *said, struct mm_why *why)
{
	MM_OWN(mm_work_order_free) struct mm_work_order *o = NULL;
	MM_OWN(mm_buf_done)
	struct mm_buf stream = MM_BUF_INIT(MM_WORK_FILE_MAX + SLACK);
	struct mm_bytes text;

	MM_TRY(mm_note_text(f->note, &text, why));
	MM_TRY(mm_work_order_parse(text, &o, why));
	MM_TRY(mm_work_file_check(f, o, why));
	MM_TRY(pack(f, o, &stream, why));
	MM_TRY(settle(conf, o, why));
	MM_TRY(mm_order_take(conf, mm_buf_view(&stream), said, why));
	MM_TRY(keep(conf, o, json, why));
	mm_die_at("kept");
	return enter_end(conf, o, why);
}

/* see run.h */
enum mm_err
mm_import_take(const struct mm_station_conf *conf, struct mm_bytes json,
    struct mm_buf *said, struct mm_why *why)
{
	struct mm_work_file f = { .json = NULL };
	enum mm_err rc;

	if (conf->signer[0] == '\0')
		return MM_FAIL(why, MM_EINPUT,
		    "this station has no signer of "
		    "its own: set one up and name it in the configuration");
	MM_TRY(mm_work_file_parse(json, &f, why));
	rc = take(conf, &f, json, said, why);
	mm_work_file_done(&f);
	return rc;
}

static enum mm_err
import(const struct mm_station_conf *conf, const char *path,
    struct mm_buf *said, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_WORK_FILE_MAX);

	MM_TRY(mm_file_read(path, &b, why));
	return mm_import_take(conf, mm_buf_view(&b), said, why);
}

static void
say(struct mm_buf *said, bool json)
{
	struct mm_buf out = MM_BUF_INIT(SAID_MAX);
	json_t *j = json_loadb((const char *)said->p, said->n, 0, NULL);
	const char *batch = json_string_value(json_object_get(j, "batch"));

	if (json || batch == NULL)
		mm_buf_bytes(&out, mm_buf_view(said));
	else
		mm_buf_printf(&out, "batch %s: %lld of %s, until %s\n", batch,
		    (long long)json_integer_value(json_object_get(j, "share")),
		    json_string_value(json_object_get(j, "product")),
		    json_string_value(json_object_get(j, "until")));
	json_decref(j);
	mm_run_put(&out);
}

/* see run.h */
int
mm_run_import(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf said = MM_BUF_INIT(SAID_MAX);

	*err = import(conf, a->order, &said, why);
	if (*err == MM_OK)
		say(&said, a->json);
	return mm_err_exit(*err);
}
