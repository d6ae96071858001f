#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/own.h"
#include "ledger/entry.h"
#include "station/mirror.h"
#include "station/own.h"
#include "station/run.h"

/*
 * "export": the station's ledger as one file, a line of JSON for each entry,
 * with the certificate that it is about and what its device signed.  The last
 * line has the checkpoint: half a file is none.
 */
enum { OUT_MAX = 1 << 30, STEP = 256 * 1024 };

/* The tree before the first entry goes with it, unless there was none. */
static enum mm_err
put_head(const struct mm_own *o, uint64_t from, struct mm_buf *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf peaks = MM_BUF_INIT(4096);
	struct mm_json j = mm_json_over(out);
	struct mm_frontier f;

	mm_json_open(&j, '{');
	mm_json_int(&j, "v", 1);
	mm_json_str(&j, "station", o->order->station);
	mm_json_str(&j, "centre", o->order->centre);
	mm_json_str(&j, "origin", o->origin);
	mm_json_int(&j, "from", (int64_t)from);
	if (from > 0) {
		MM_TRY(mm_frontier_at(mm_entries_read, o->entries, from, &f,
		    why));
		mm_frontier_encode(&f, &peaks);
		MM_TRY(mm_buf_ok(&peaks, why));
		mm_json_b64(&j, "frontier", mm_buf_view(&peaks));
	}
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
	return mm_buf_ok(out, why);
}

/* see own.h */
void
mm_own_put_head(const struct mm_own *o, struct mm_buf *out)
{
	(void)!put_head(o, 0, out, NULL);
}

/* An issuance goes with its certificate. */
static enum mm_err
put_certificate(struct mm_json *j, struct mm_own *o, const struct mm_entry *e,
    struct mm_why *why)
{
	uint8_t spki[32];
	struct mm_bytes der;
	enum mm_err rc;

	if (!mm_entry_brings_cert(e->type) || e->field[MM_F_BATCH] == NULL)
		return MM_OK;
	MM_TRY(mm_hex_parse(e->field[MM_F_SPKI_SHA256], 64, spki, 32, why));
	rc = mm_own_find(
	    o, e->field[MM_F_BATCH], e->field[MM_F_DEVICE], spki, &der, NULL);
	if (rc == MM_OK)
		mm_json_b64(j, "certificate", der);
	/* One that was never signed: the centre will find that. */
	return rc == MM_OK || rc == MM_ENOTFOUND
		   ? MM_OK
		   : MM_FAIL(why, rc, "export: the signer does not answer");
}

/* A confirmation goes with what the device signed, if that was kept. */
static enum mm_err
put_proof(struct mm_json *j, struct mm_own *o, const struct mm_entry *e,
    struct mm_why *why)
{
	const char *hex = e->field[MM_F_DETAIL_SHA256];
	struct mm_bytes proof;
	uint8_t hash[32];

	if (e->type != MM_E_CERT_CONFIRMED || hex == NULL)
		return MM_OK;
	MM_TRY(mm_hex_parse(hex, strlen(hex), hash, sizeof(hash), why));
	if (mm_own_proof(o, e->field[MM_F_SERIAL], hash, &proof))
		mm_json_strn(j, "proof", proof);
	return MM_OK;
}

/* see own.h */
enum mm_err
mm_own_put_entry(
    struct mm_own *o, uint64_t index, struct mm_buf *out, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_ENTRY_MAX);
	MM_OWN(mm_buf_done)
	struct mm_buf arena = MM_BUF_INIT(MM_ENTRY_MAX + 64);
	struct mm_json j = mm_json_over(out);
	struct mm_entry e;
	uint8_t *room;

	MM_TRY(mm_entries_get(o->entries, index, &b, why));
	room = mm_buf_room(&arena, b.n + 64);
	if (room == NULL)
		return mm_buf_ok(&arena, why);
	MM_TRY(mm_entry_parse(
	    mm_buf_view(&b), (char *)room, b.n + 64, &e, why));
	mm_json_open(&j, '{');
	mm_json_strn(&j, "entry", mm_buf_view(&b));
	MM_TRY(put_certificate(&j, o, &e, why));
	MM_TRY(put_proof(&j, o, &e, why));
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
	return mm_buf_ok(out, why);
}

/* see own.h */
void
mm_own_put_end(const struct mm_own *o, struct mm_buf *out)
{
	struct mm_json j = mm_json_over(out);

	mm_json_open(&j, '{');
	mm_json_int(&j, "size", (int64_t)o->checkpoint_n);
	mm_json_strn(&j, "checkpoint", mm_buf_view(&o->checkpoint));
	mm_json_close(&j, '}');
	mm_buf_text(out, "\n");
}

static enum mm_err
flush(const struct mm_file_new *f, struct mm_buf *out, size_t least,
    struct mm_why *why)
{
	if (out->n < least)
		return MM_OK;
	MM_TRY(mm_buf_ok(out, why));
	MM_TRY(mm_fd_write(f->fd, mm_buf_view(out), why));
	mm_buf_reset(out);
	return MM_OK;
}

static enum mm_err
write_all(struct mm_own *o, uint64_t from, const struct mm_file_new *f,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(16 * STEP);

	MM_TRY(put_head(o, from, &out, why));
	for (uint64_t i = from; i < o->checkpoint_n; i++) {
		MM_TRY(mm_own_put_entry(o, i, &out, why));
		MM_TRY(flush(f, &out, STEP, why));
	}
	mm_own_put_end(o, &out);
	return flush(f, &out, 0, why);
}

static enum mm_err
export(const struct mm_station_conf *conf, const char *path, uint64_t from,
    uint64_t *n, struct mm_why *why)
{
	MM_OWN(mm_own_close) struct mm_own *o = NULL;
	MM_OWN(mm_file_new_drop) struct mm_file_new f = { .fd = -1 };

	if (conf->signer[0] == '\0')
		return MM_FAIL(why, MM_EINPUT, "this station has no signer of "
		    "its own: nothing was made offline");
	MM_TRY(mm_own_open(conf, mm_own_patience(conf), &o, why));
	MM_TRY(mm_own_checkpoint(o, why));
	if (from > o->checkpoint_n)
		return MM_FAIL(why, MM_EINPUT, "--from: there are %" PRIu64
		    " entries", o->checkpoint_n);
	MM_TRY(mm_file_new_begin(path, &f, why));
	MM_TRY(write_all(o, from, &f, why));
	*n = o->checkpoint_n - from;
	return mm_file_new_end(&f, 0640, why);
}

/* The entry that it begins with; 0: all of them. */
static enum mm_err
read_from(const struct mm_station_args *a, uint64_t *from, struct mm_why *why)
{
	int64_t n = 0;

	if (a->from != NULL &&
	    (a->mirror != NULL || mm_int_parse(a->from, &n, NULL) != MM_OK ||
		n < 0))
		return MM_FAIL(why, MM_EINPUT, "--from wants the number of "
		    "entries that the centre has, and no --mirror");
	*from = (uint64_t)n;
	return MM_OK;
}

/* Of a station whose disk was lost: by its mirror alone. */
static enum mm_err
export_mirror(const char *folder, const char *path, uint64_t *n,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf out = MM_BUF_INIT(OUT_MAX);

	MM_TRY(mm_mirror_export(folder, &out, n, why));
	return mm_file_replace(path, mm_buf_view(&out), 0640, why);
}

/* see run.h */
int
mm_run_export(const struct mm_station_conf *conf,
    const struct mm_station_args *a, enum mm_err *err, struct mm_why *why)
{
	struct mm_buf out = MM_BUF_INIT(PATH_MAX + 256);
	struct mm_json j = mm_json_over(&out);
	uint64_t n = 0, from = 0;

	*err = read_from(a, &from, why);
	if (*err == MM_OK)
		*err = a->mirror != NULL
			   ? export_mirror(a->mirror, a->out, &n, why)
			   : export(conf, a->out, from, &n, why);
	if (*err != MM_OK)
		return mm_err_exit(*err);
	if (a->json) {
		mm_json_open(&j, '{');
		mm_json_int(&j, "entries", (int64_t)n);
		mm_json_str(&j, "file", a->out);
		mm_json_close(&j, '}');
		mm_buf_text(&out, "\n");
	} else {
		mm_buf_printf(&out, "%" PRIu64 " entries in %s\n", n, a->out);
	}
	mm_run_put(&out);
	return 0;
}
