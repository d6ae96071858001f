/* A station's signer is set up, and gets its orders. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/faults.h"
#include "base/file.h"
#include "base/time.h"
#include "signer/duty.h"
#include "signer/setup.h"
#include "work/file.h"

enum { YEARS = 30, LAST_MAX = 128, CHUNK = 65536, SLACK = 4 * CHUNK };

/* ---- station-init ---- */

/* An envelope's address and no more: nobody trusts this certificate, it says
 * which key a line CA is to be sealed for. */
static enum mm_err
make_station_key(struct mm_setup *s, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	struct mm_conf_list subject = { .n = 1 };
	struct mm_signing by = { .name = "station" };
	struct mm_ca_fields f = { .subject = &subject, .path_len = -1 };
	char path[MM_PATH_MAX + 1];
	struct mm_bytes cert;

	snprintf(subject.item[0], MM_CONF_ITEM_MAX, "CN=%s", s->o->station);
	MM_TRY(mm_key_make(MM_KEY_P256, &key, why));
	by.key = key;
	MM_TRY(mm_ca_dates(&by, YEARS * INT64_C(31557600), &f, why));
	MM_TRY(mm_signer_path(&s->conf->set, "keys/station.key", path, why));
	MM_TRY(mm_place_key(s, path, key, why));
	MM_TRY(mm_ca_sign(s, &by, key, &f, &der, why));
	cert = mm_buf_view(&der);
	MM_TRY(mm_signer_path(&s->conf->set, "station.crt", path, why));
	MM_TRY(mm_place_certs(s, path, &cert, 1, MM_OF_SIGNER, why));
	return mm_json_cert(s, "station_key", s->o->station, path, cert, why);
}

/* With a TPM its counter, which the ledger's key is bound to. */
static enum mm_err
make_counter(struct mm_setup *s, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(1024);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	char path[MM_PATH_MAX + 1];
	bool bound = s->conf->set.tpm[0] != '\0';

	mm_json_str(&s->json, "level",
	    mm_work_level_words[bound ? MM_WORK_ROLLBACK_PROOF
				      : MM_WORK_SOFTWARE]);
	if (!bound)
		return MM_OK;
	MM_TRY(mm_signer_path(&s->conf->set, "keys/ledger.key", path, why));
	MM_TRY(mm_key_load(
	    path, mm_secret_view(s->pass), s->stretched, &key, why));
	MM_TRY(mm_counter_make(&s->conf->set, key, &b, why));
	MM_TRY(mm_signer_path(&s->conf->set, MM_COUNTER_FILE, path, why));
	return mm_place(s, path, mm_buf_view(&b), 0600, MM_OF_SIGNER, why);
}

static enum mm_err
pin(struct mm_setup *s, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_NOTE_MAX);
	char path[MM_PATH_MAX + 1], name[MM_NAME_MAX + 2];
	struct mm_note_key key;
	struct mm_bytes text;

	MM_TRY(mm_file_read(s->o->orders_key, &b, why));
	text = mm_buf_view(&b);
	while (text.n > 0 && text.p[text.n - 1] == '\n')
		text.n--;
	MM_TRY(mm_note_key_parse(text, &key, why));
	MM_TRY(mm_signer_path(&s->conf->set, "orders.pub", path, why));
	MM_TRY(mm_place(s, path, text, 0600, MM_OF_SIGNER, why));
	mm_json_strn(&s->json, "orders_key", text);
	snprintf(name, sizeof(name), "%s\n", s->o->station);
	MM_TRY(mm_signer_path(&s->conf->set, "station", path, why));
	return mm_place(s, path, mm_bytes_of(name), 0600, MM_OF_SIGNER, why);
}

/* see setup.h */
enum mm_err
mm_cmd_station_init(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	char path[MM_PATH_MAX + 1];

	if (o->station == NULL || !mm_name_valid(o->station) ||
	    o->orders_key == NULL)
		return MM_FAIL(why, MM_EINPUT,
		    "station-init: want --station "
		    "NAME and --orders-key FILE, the centre's");
	MM_TRY(mm_setup_begin(&s, o, true, why));
	MM_TRY(mm_signer_path(&s.conf->set, "journal.jsonl", path, why));
	if (access(path, F_OK) == 0)
		return MM_FAIL(why, MM_ECONFLICT,
		    "%.90s is there: this "
		    "signer was set up before",
		    path);
	MM_TRY(mm_setup_folders(&s, why));
	MM_TRY(mm_setup_folder(&s, "orders", 0700, MM_OF_SIGNER, why));
	mm_json_open(&s.json, '{');
	mm_json_str(&s.json, "station", o->station);
	MM_TRY(pin(&s, why));
	MM_TRY(mm_make_note_key(&s, "ledger", s.conf->set.ledger_origin, why));
	MM_TRY(make_counter(&s, why));
	MM_TRY(mm_setup_journal(&s, why));
	MM_TRY(make_station_key(&s, why));
	mm_json_close(&s.json, '}');
	return mm_setup_print(&s, why);
}

/* ---- take-order ---- */

struct taking {
	struct mm_setup *s;
	struct mm_work_file file;
	struct mm_work_order *order;
	uint8_t hash[32];
	struct mm_work_last last;
	bool again;
};

/* "12 <hash>", of the order that was taken last. */
static enum mm_err
read_last(struct taking *t, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(LAST_MAX);
	enum mm_err rc = mm_duty_text(&t->s->conf->set, "orders/last", &b, why);
	const char *text = rc == MM_OK ? mm_buf_cstr(&b) : NULL, *space;
	char number[24];

	if (rc == MM_ENOTFOUND) {
		if (why != NULL)
			*why = (struct mm_why){ 0 };
		return MM_OK;
	}
	MM_TRY(rc);
	space = strchr(text, ' ');
	if (space == NULL ||
	    !mm_text_copy(number, sizeof(number),
		(struct mm_bytes){
		    (const uint8_t *)text, (size_t)(space - text) }) ||
	    mm_int_parse(number, &t->last.number, NULL) != MM_OK ||
	    mm_hex_parse(
		space + 1, strlen(space + 1), t->last.hash, 32, NULL) != MM_OK)
		return MM_FAIL(why, MM_EPOLICY, "orders/last: damaged");
	return MM_OK;
}

static enum mm_err
check_order(struct taking *t, struct mm_why *why)
{
	struct mm_duty l = { .settled = true };
	struct mm_profile_set profiles = { .n = 0 };
	struct mm_bytes paper = { 0 };
	enum mm_err rc;

	MM_TRY(mm_duty_verify(t->s->conf, t->file.note, &t->order, why));
	MM_TRY(mm_work_order_hash(t->file.note, t->hash, why));
	MM_TRY(read_last(t, why));
	MM_TRY(mm_work_order_follows(
	    t->order, t->hash, &t->last, t->order->station, &t->again, why));
	MM_TRY(mm_work_file_check_list(&t->file, t->order, why));
	MM_TRY(mm_work_file_profiles(&t->file, t->order, &profiles, why));
	mm_profiles_done(&profiles);
	(void)mm_work_file_paper(&t->file, t->order->serials_sha256, &paper);
	rc = mm_duty_serials(t->order, paper, &l, why);
	mm_buf_done(&l.list);
	return rc;
}

/* The passphrase is read when the order is known to be the centre's. */
static enum mm_err
check_ca(struct taking *t, struct mm_why *why)
{
	const struct mm_load_opts lo = { .config = t->s->o->config,
		.passphrase_fd = (int)t->s->o->passphrase_fd,
		.ask = true };
	struct mm_ca ca = { .key = NULL };
	enum mm_err rc;

	MM_TRY(mm_passphrase_get(
	    &lo, t->s->conf->set.passphrase_file, &t->s->pass, why));
	rc = mm_duty_open_ca(
	    t->s->conf, t->order, mm_secret_view(t->s->pass), &ca, why);
	mm_buf_done(&ca.chain_pem);
	mm_buf_done(&ca.der);
	mm_pkey_free(&ca.key);
	return rc;
}

static enum mm_err
keep(struct taking *t, const char *what, struct mm_bytes data,
    struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];

	MM_TRY(
	    mm_duty_path(&t->s->conf->set, t->order->batch, what, path, why));
	return mm_file_replace_locked(path, data, 0600, why);
}

/* Whether the file is an order without a line CA's key: one that is torn, or
 * was half overwritten, is none. */
static bool
is_without_key(struct mm_bytes file)
{
	MM_OWN(mm_work_order_free) struct mm_work_order *o = NULL;
	struct mm_bytes text;

	return mm_note_text(file, &text, NULL) == MM_OK &&
	       mm_work_order_parse(text, &o, NULL) == MM_OK && o->ca_key.n == 0;
}

static enum mm_err
journal_destroyed(struct taking *t, struct mm_why *why)
{
	const struct mm_work_order *o = t->order;
	struct mm_journal_line l = { .kind = MM_J_DESTROYED,
		.number = (uint64_t)o->number };

	snprintf(l.issuer, sizeof(l.issuer), "%s",
	    o->ca_name[0] != '\0' ? o->ca_name : o->batch);
	snprintf(l.authority, sizeof(l.authority), "batch:%s", o->batch);
	MM_TRY(mm_setup_record(t->s, why));
	return mm_record_write(t->s->record, &l, 1, why);
}

/*
 * The batch is closed: its key is overwritten where it lies, not only
 * replaced, and the journal says so when it is gone.  An order that is taken
 * again finds no file where it was killed behind the wiping.
 */
static enum mm_err
destroy(struct taking *t, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_WORK_FILE_MAX);
	char path[MM_PATH_MAX + 1];
	enum mm_err rc;

	MM_TRY(mm_duty_path(
	    &t->s->conf->set, t->order->batch, "order", path, why));
	rc = mm_file_read(path, &b, why);
	if (rc == MM_ENOTFOUND) {
		*why = (struct mm_why){ 0 };
		return t->again ? journal_destroyed(t, why) : MM_OK;
	}
	MM_TRY(rc);
	if (is_without_key(mm_buf_view(&b)))
		return MM_OK;
	MM_TRY(mm_file_wipe(path, why));
	mm_die_at("wiped");
	return journal_destroyed(t, why);
}

static enum mm_err
keep_last(struct taking *t, struct mm_why *why)
{
	char last[LAST_MAX], hex[65], path[MM_PATH_MAX + 1];

	mm_hex_text(t->hash, sizeof(t->hash), hex);
	snprintf(last, sizeof(last), "%" PRId64 " %s\n", t->order->number, hex);
	MM_TRY(mm_signer_path(&t->s->conf->set, "orders/last", path, why));
	return mm_file_replace_locked(path, mm_bytes_of(last), 0600, why);
}

/* The line CA's key is in it: the one of before is overwritten, too. */
static enum mm_err
keep_order(struct taking *t, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];

	MM_TRY(mm_duty_path(
	    &t->s->conf->set, t->order->batch, "order", path, why));
	return mm_file_replace_wiping(path, t->file.note, 0600, why);
}

/* First the number: what was cut off here is taken again, nothing older.
 * Last the order: where it is, all else was done. */
static enum mm_err
keep_all(struct taking *t, struct mm_why *why)
{
	struct mm_bytes paper = { 0 };

	MM_TRY(mm_duty_tidy(&t->s->conf->set, why));
	MM_TRY(keep_last(t, why));
	mm_die_at("taken");
	if (t->order->state == MM_WORK_CLOSED && t->order->ca_key.n == 0)
		MM_TRY(destroy(t, why));
	mm_die_at("destroyed");
	MM_TRY(keep(t, "profiles", t->file.profiles, why));
	if (mm_work_file_paper(&t->file, t->order->serials_sha256, &paper))
		MM_TRY(keep(t, "serials", paper, why));
	return keep_order(t, why);
}

static enum mm_err
tell_order(struct taking *t, struct mm_why *why)
{
	struct mm_json *j = &t->s->json;

	mm_json_open(j, '{');
	mm_json_str(j, "batch", t->order->batch);
	mm_json_str(j, "product", t->order->product);
	mm_json_int(j, "number", t->order->number);
	mm_json_bool(j, "again", t->again);
	mm_json_str(j, "state", mm_work_state_words[t->order->state]);
	mm_json_str(j, "marker", mm_work_marker_words[t->order->marker]);
	mm_json_int(j, "share", t->order->share);
	mm_json_str(j, "level", mm_work_level_words[t->order->level]);
	mm_json_time(j, "not_before", t->order->not_before_ms);
	mm_json_time(j, "until", t->order->until_ms);
	mm_json_close(j, '}');
	return mm_setup_print(t->s, why);
}

static enum mm_err
read_input(struct mm_buf *b, struct mm_why *why)
{
	ssize_t n;

	do {
		uint8_t *room = mm_buf_room(b, CHUNK);

		if (room == NULL)
			return mm_buf_ok(b, why);
		b->n -= CHUNK;
		n = read(STDIN_FILENO, room, CHUNK);
		if (n > 0)
			b->n += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0 ? MM_OK
		      : MM_FAIL(why, MM_ESYS, "standard input: %s",
			    strerror(errno));
}

/* What mintmark-station makes of a work file: the note, the profiles, the
 * list of serial numbers or nothing, each behind its length. */
static enum mm_err
split(struct mm_bytes in, struct mm_work_file *f, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(in);

	f->note = mm_rd_block32(&r);
	f->profiles = mm_rd_block32(&r);
	f->paper[0] = mm_rd_block32(&r);
	if (!mm_rd_end(&r))
		return MM_FAIL(why, MM_EINPUT,
		    "take-order: want an order on "
		    "standard input, as mintmark-station import sends it");
	mm_sha256(f->paper[0], f->sha256[0]);
	f->papers = f->paper[0].n > 0;
	return MM_OK;
}

static enum mm_err
take_order(struct taking *t, struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf b = MM_BUF_INIT(MM_WORK_FILE_MAX + SLACK);

	MM_TRY(read_input(&b, why));
	MM_TRY(split(mm_buf_view(&b), &t->file, why));
	MM_TRY(check_order(t, why));
	MM_TRY(check_ca(t, why));
	MM_TRY(keep_all(t, why));
	return tell_order(t, why);
}

/* see setup.h */
enum mm_err
mm_cmd_take_order(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	struct taking t = { .s = &s };
	int lock = -1;
	enum mm_err rc;

	MM_TRY(mm_setup_begin(&s, o, false, why));
	MM_TRY(mm_setup_alone(&s, &lock, why));
	rc = take_order(&t, why);
	mm_work_order_free(&t.order);
	close(lock);
	return rc;
}
