#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "pki/der.h"
#include "signer/duty.h"
#include "work/file.h"

enum { SMALL = 65536, ARENA_MAX = MM_QUOTA_RECORD };

/* see duty.h */
enum mm_err
mm_duty_path(const struct mm_settings *set, const char *batch, const char *what,
    char out[MM_PATH_MAX + 1], struct mm_why *why)
{
	char name[2 * MM_NAME_MAX];

	snprintf(name, sizeof(name), "orders/%s%s%s", batch,
	    *what == '\0' ? "" : ".", what);
	return mm_signer_path(set, name, out, why);
}

/* see duty.h */
enum mm_err
mm_duty_tidy(const struct mm_settings *set, struct mm_why *why)
{
	char dir[MM_PATH_MAX + 1];

	MM_TRY(mm_signer_path(set, "orders", dir, why));
	return mm_file_wipe_left(dir, ".order", why);
}

/* see duty.h */
enum mm_err
mm_duty_text(const struct mm_settings *set, const char *name,
    struct mm_buf *out, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];

	MM_TRY(mm_signer_path(set, name, path, why));
	MM_TRY(mm_file_read(path, out, why));
	if (out->n > 0 && out->p[out->n - 1] == '\n')
		out->n--;
	return mm_buf_cstr(out) != NULL
		   ? MM_OK
		   : MM_FAIL(why, MM_EINPUT, "%.90s: not a text", path);
}

/* ---- the order ---- */

/* What this version, or this signer, does not do is refused before the first
 * unit, not at it. */
static enum mm_err
check_can(const struct mm_work_order *o, int level, struct mm_why *why)
{
	if (o->mode != MM_WORK_OFFLINE)
		return MM_FAIL(why, MM_EPOLICY,
		    "order: batch %s is made "
		    "online: the centre signs",
		    o->batch);
	if (o->level > level)
		return MM_FAIL(why, MM_EPOLICY,
		    "order: it wants a %s quota "
		    "counter; this station's is %s",
		    mm_work_level_words[o->level], mm_work_level_words[level]);
	if (o->take != MM_WORK_SCAN)
		return MM_FAIL(why, MM_EPOLICY,
		    "order: this station takes "
		    "serial numbers from labels, it makes none");
	if (o->key_origin != MM_WORK_DEVICE)
		return MM_FAIL(why, MM_EPOLICY,
		    "order: this station makes no "
		    "keys for devices");
	return MM_OK;
}

static enum mm_err
orders_key(const struct mm_settings *set, struct mm_note_key *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pub = MM_BUF_INIT(MM_NOTE_MAX);

	MM_TRY(mm_duty_text(set, "orders.pub", &pub, why));
	return mm_note_key_parse(mm_buf_view(&pub), out, why);
}

/* see duty.h */
enum mm_err
mm_duty_verify(const struct mm_config *conf, struct mm_bytes note,
    struct mm_work_order **out, struct mm_why *why)
{
	MM_OWN(mm_work_order_free) struct mm_work_order *o = NULL;
	MM_OWN(mm_buf_done) struct mm_buf name = MM_BUF_INIT(256);
	bool production = conf->set.production;
	struct mm_note_key key;
	int level;

	MM_TRY(orders_key(&conf->set, &key, why));
	MM_TRY(mm_duty_text(&conf->set, "station", &name, why));
	MM_TRY(mm_work_order_verify(note, &key, &o, why));
	if (strcmp(o->station, mm_buf_cstr(&name)) != 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "order: it is for station "
		    "%s, this one is %.32s",
		    o->station, mm_buf_cstr(&name));
	if ((o->marker == MM_WORK_PRODUCTION) != production)
		return MM_FAIL(why, MM_EPOLICY,
		    "order: a %s station takes no "
		    "%s order",
		    production ? "production" : "test",
		    mm_work_marker_words[o->marker]);
	MM_TRY(mm_counter_level(&conf->set, &level, why));
	MM_TRY(check_can(o, level, why));
	*out = MM_MOVE(o);
	return MM_OK;
}

/* see duty.h */
enum mm_err
mm_duty_serials(const struct mm_work_order *o, struct mm_bytes paper,
    struct mm_duty *l, struct mm_why *why)
{
	struct mm_bytes rest = paper;
	char serial[MM_DEVICE_ID_MAX + 1];
	enum mm_err rc = MM_OK;
	uint8_t hash[32];
	int64_t n = 0;

	if (o->serials[0] != '\0')
		return mm_serials_parse(o->serials, &l->run, why);
	mm_sha256(paper, hash);
	while (mm_work_list_next(&rest, serial, &rc))
		n++;
	if (rc != MM_OK || n != o->serials_count ||
	    memcmp(hash, o->serials_sha256, sizeof(hash)) != 0)
		return MM_FAIL(why, MM_EINPUT,
		    "order: its list of serial "
		    "numbers is not there, or is another");
	mm_buf_init(&l->list, MM_WORK_FILE_MAX + 2);
	mm_buf_u8(&l->list, '\n');
	mm_buf_bytes(&l->list, paper);
	return mm_buf_ok(&l->list, why);
}

/* ---- its CA ---- */

/* The chain as PEM; the CA's own certificate into ca->der. */
static enum mm_err
take_chain(struct mm_bytes chain, struct mm_ca *ca, struct mm_why *why)
{
	struct mm_rd r = mm_rd_over(chain);
	struct mm_cert c;

	mm_buf_init(&ca->chain_pem, SMALL);
	mm_buf_init(&ca->der, MM_CERT_MAX);
	while (r.left > 0) {
		struct mm_bytes one = mm_der_take_whole(&r, MM_DER_SEQ);

		MM_TRY(mm_cert_walk(one, &c, why));
		if (ca->der.n == 0)
			mm_buf_bytes(&ca->der, one);
		mm_pem_put(&ca->chain_pem, "CERTIFICATE", one);
	}
	MM_TRY(mm_buf_ok(&ca->der, why));
	return mm_buf_ok(&ca->chain_pem, why);
}

static enum mm_err
unwrap(const struct mm_config *conf, struct mm_bytes wrapped,
    struct mm_bytes pass, EVP_PKEY **out, struct mm_why *why)
{
	MM_OWN(mm_pkey_free) EVP_PKEY *own = NULL;
	struct mm_ca cert = { 0 };
	char path[MM_PATH_MAX + 1];
	enum mm_err rc;

	MM_TRY(mm_signer_path(&conf->set, "keys/station.key", path, why));
	MM_TRY(mm_key_load(path, pass, NULL, &own, why));
	MM_TRY(mm_signer_path(&conf->set, "station.crt", path, why));
	rc = mm_ca_read(path, &cert, why);
	if (rc == MM_OK)
		rc = mm_key_unwrap(
		    wrapped, own, mm_buf_view(&cert.der), out, why);
	mm_buf_done(&cert.chain_pem);
	mm_buf_done(&cert.der);
	return rc;
}

/* see duty.h */
enum mm_err
mm_duty_open_ca(const struct mm_config *conf, const struct mm_work_order *o,
    struct mm_bytes pass, struct mm_ca *ca, struct mm_why *why)
{
	struct mm_issuer_conf named = { .crl_shards = 1, .ocsp = true };

	snprintf(named.name, sizeof(named.name), "%s",
	    o->ca_name[0] != '\0' ? o->ca_name : o->batch);
	MM_TRY(take_chain(o->ca_chain, ca, why));
	MM_TRY(mm_issuer_make(
	    &ca->issuer, &named, o->ca_url, mm_buf_view(&ca->der), why));
	if (o->ca_key.n == 0) /* it is closed */
		return MM_OK;
	MM_TRY(unwrap(conf, o->ca_key, pass, &ca->key, why));
	return mm_ca_check_pair(ca, why);
}

/* ---- the counter, against the journal ---- */

/* One that was taken over is counted as one that was made. */
static bool
is_by(const struct mm_journal_line *l, const char *authority)
{
	const size_t n = strlen(MM_J_ADOPTED);
	size_t at = strncmp(l->authority, MM_J_ADOPTED, n) == 0 ? n : 0;

	return l->kind == MM_J_CERTIFICATE &&
	    strcmp(l->authority + at, authority) == 0;
}

/* The last certificate of this batch, from the journal's end back. */
static bool
find_last(const uint8_t *p, size_t n, const char *authority,
    struct mm_journal_line *out)
{
	while (n > 0) {
		const uint8_t *lf = memrchr(p, '\n', n - 1);
		size_t at = lf == NULL ? 0 : (size_t)(lf - p) + 1;

		if (mm_journal_parse((struct mm_bytes){ p + at, n - 1 - at },
			out, NULL) == MM_OK && is_by(out, authority))
			return true;
		n = at;
	}
	return false;
}

static enum mm_err
last_in_journal(const struct mm_signer *s, const char *authority,
    struct mm_journal_line *out, bool *there, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(SIZE_MAX / 2);
	char path[MM_PATH_MAX + 1];

	MM_TRY(mm_signer_path(&s->conf->set, "journal.jsonl", path, why));
	MM_TRY(mm_file_read(path, &b, why));
	*there = b.n > 0 && find_last(b.p, b.n, authority, out);
	return MM_OK;
}

static bool
is_of(const struct mm_journal_line *l, const struct mm_quota_pair *p)
{
	return strcmp(l->device, p->device) == 0 &&
	       memcmp(l->spki_sha256, p->spki_sha256, 32) == 0 &&
	       memcmp(l->tbs_sha256, p->tbs_sha256, 32) == 0;
}

/*
 * Two records of the same: one that is older than the other was put back, or
 * cut.  Only the counter may be one ahead: then the signer was killed between
 * the two, and the line is written before anything else.
 */
static enum mm_err
compare(struct mm_signer *s, struct mm_duty *l, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf arena = MM_BUF_INIT(ARENA_MAX);
	struct mm_journal_line line;
	struct mm_quota_pair last, known;
	enum mm_err rc = mm_quota_last(l->quota, &l->arena, &last, why);
	bool there = false;

	if (rc != MM_OK && rc != MM_ENOTFOUND)
		return rc;
	MM_TRY(last_in_journal(s, l->authority, &line, &there, why));
	l->settled = rc == MM_ENOTFOUND || (there && is_of(&line, &last));
	if (!there)
		return rc == MM_ENOTFOUND || mm_quota_counted(l->quota) == 1
			   ? MM_OK
			   : MM_FAIL(why, MM_EPOLICY,
				 "quota: the journal "
				 "has nothing of what is counted");
	if (mm_quota_find(l->quota, line.device, line.spki_sha256, &arena,
		&known, NULL) != MM_OK)
		return MM_FAIL(why, MM_EPOLICY,
		    "quota: the journal has more "
		    "than the counter: was an older one put back?");
	return MM_OK;
}

static enum mm_err
open_quota(struct mm_signer *s, struct mm_duty *l, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];
	uint64_t cut = 0;

	mm_buf_init(&l->arena, ARENA_MAX);
	snprintf(
	    l->authority, sizeof(l->authority), "batch:%s", l->order->batch);
	MM_TRY(
	    mm_duty_path(&s->conf->set, l->order->batch, "issued", path, why));
	MM_TRY(mm_quota_open(path, true, &l->quota, &cut, why));
	if (cut > 0)
		MM_LOG(MM_LOG_WARN, "quota.cut", MM_I("bytes", (int64_t)cut));
	return compare(s, l, why);
}

/* ---- all of it ---- */

static enum mm_err
read_of(const struct mm_signer *s, const char *batch, const char *what,
    struct mm_buf *out, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];

	MM_TRY(mm_duty_path(&s->conf->set, batch, what, path, why));
	return mm_file_read(path, out, why);
}

static enum mm_err
load_profiles(struct mm_signer *s, struct mm_duty *l, struct mm_bytes text,
    struct mm_why *why)
{
	const struct mm_work_file f = { .profiles = text };

	MM_TRY(mm_work_file_profiles(&f, l->order, &l->profiles, why));
	for (size_t i = 0; i < l->profiles.n; i++)
		MM_TRY(mm_signer_add_use(s, &l->profiles.profile[i], 0, why));
	return MM_OK;
}

static enum mm_err
load(struct mm_signer *s, struct mm_duty *l, const char *batch,
    struct mm_bytes pass, struct mm_why *why)
{
	MM_OWN(mm_buf_done)
	struct mm_buf note = MM_BUF_INIT(MM_WORK_TEXT_MAX + 4096);
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(1 << 20);
	MM_OWN(mm_buf_done) struct mm_buf list = MM_BUF_INIT(MM_WORK_FILE_MAX);
	enum mm_err rc;

	MM_TRY(mm_duty_tidy(&s->conf->set, why));
	rc = read_of(s, batch, "order", &note, why);
	if (rc == MM_ENOTFOUND)
		return MM_FAIL(
		    why, rc, "there is no order of batch %.32s", batch);
	MM_TRY(rc);
	MM_TRY(mm_duty_verify(s->conf, mm_buf_view(&note), &l->order, why));
	if (strcmp(l->order->batch, batch) != 0)
		return MM_FAIL(why, MM_EPOLICY, "order: it is of batch %s",
		    l->order->batch);
	MM_TRY(read_of(s, batch, "profiles", &text, why));
	if (l->order->serials_count > 0)
		MM_TRY(read_of(s, batch, "serials", &list, why));
	MM_TRY(mm_duty_serials(l->order, mm_buf_view(&list), l, why));
	MM_TRY(mm_duty_open_ca(s->conf, l->order, pass, &s->ca[s->nca++], why));
	MM_TRY(load_profiles(s, l, mm_buf_view(&text), why));
	MM_TRY(open_quota(s, l, why));
	MM_TRY(orders_key(&s->conf->set, &l->key, why));
	MM_TRY(mm_duty_clock_load(s, why));
	MM_TRY(mm_duty_extend_load(s, why));
	MM_TRY(mm_duty_counter_load(s, why));
	mm_duty_tick(s);
	return MM_OK;
}

/* see duty.h */
enum mm_err
mm_duty_load(struct mm_signer *s, const char *batch, struct mm_bytes pass,
    struct mm_why *why)
{
	struct mm_duty *l;

	if (!mm_name_valid(batch))
		return MM_FAIL(why, MM_EINPUT, "--batch: not a name");
	if (s->conf->nissuer + s->conf->nprofile > 0)
		return MM_FAIL(why, MM_EPOLICY,
		    "a station's signer has no "
		    "issuers and profiles but its order's");
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	pthread_mutex_init(&l->lock, NULL);
	s->duty = l; /* freed with it */
	return load(s, l, batch, pass, why);
}

/* see duty.h */
void
mm_duty_free(struct mm_duty **owner)
{
	struct mm_duty *l = *owner;

	if (l == NULL)
		return;
	mm_work_order_free(&l->order);
	mm_profiles_done(&l->profiles);
	mm_buf_done(&l->list);
	mm_buf_done(&l->arena);
	mm_quota_close(&l->quota);
	mm_counter_close(&l->counter);
	mm_quota_close(&l->before);
	pthread_mutex_destroy(&l->lock);
	free(l);
	*owner = NULL;
}
