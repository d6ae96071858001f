#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/file.h"
#include "base/log.h"
#include "pki/token.h"
#include "signer/far.h"
#include "signer/duty.h"
#include "work/order.h"

#define PEM_MAX 65536

/* see priv.h */
enum mm_err
mm_signer_path(const struct mm_settings *set, const char *name,
    char out[MM_PATH_MAX + 1], struct mm_why *why)
{
	return mm_path_join(out, MM_PATH_MAX + 1, set->signer_dir, name, why);
}

static enum mm_err
root_path(const struct mm_settings *set, const char *folder, const char *name,
    const char *end, char out[MM_PATH_MAX + 1], struct mm_why *why)
{
	char file[MM_NAME_MAX + 16];

	snprintf(file, sizeof(file), "%s%s%s", folder, name, end);
	return mm_signer_path(set, file, out, why);
}

static bool
is_first_root(const char *name)
{
	return name[0] == '\0' || strcmp(name, "root") == 0;
}

/* see priv.h */
enum mm_err
mm_root_cert_path(const struct mm_settings *set, const char *name,
    char out[MM_PATH_MAX + 1], struct mm_why *why)
{
	return root_path(set, "", is_first_root(name) ? "anchor" : name,
	    ".crt", out, why);
}

/* see priv.h */
enum mm_err
mm_root_key_path(const struct mm_settings *set, const char *name,
    char out[MM_PATH_MAX + 1], struct mm_why *why)
{
	return root_path(set, "keys/", is_first_root(name) ? "root" : name,
	    ".key", out, why);
}

/* One that lies there for everybody opens nothing. */
static enum mm_err
check_others(const char *file, struct mm_why *why)
{
	struct stat st;

	if (stat(file, &st) != 0 || (st.st_mode & S_IRWXO) == 0)
		return MM_OK;
	return MM_FAIL(why, MM_EPOLICY, "others may read the passphrase: "
	    "chmod 600 %.100s", file);
}

/* see priv.h */
enum mm_err
mm_passphrase_get(const struct mm_load_opts *o, const char *file,
    struct mm_secret **out, struct mm_why *why)
{
	if (o->passphrase_fd >= 0)
		return mm_secret_from_fd(o->passphrase_fd, out, why);
	if (file[0] != '\0') {
		MM_TRY(check_others(file, why));
		return mm_secret_from_file(file, out, why);
	}
	if (o->ask)
		return mm_secret_from_tty("Passphrase of the signer's keys: ",
		    out, why);
	return MM_FAIL(why, MM_EPOLICY, "no passphrase: give --passphrase-fd "
	    "or passphrase_file");
}

/* Of a node that only checks what the ledger's holder signs. */
static enum mm_err
load_ledger_pub(struct mm_signer *s, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(MM_NOTE_MAX);
	char path[MM_PATH_MAX + 1];
	struct mm_bytes text;

	MM_TRY(mm_signer_path(&s->conf->set, "ledger.pub", path, why));
	MM_TRY(mm_file_read(path, &b, why));
	text = mm_buf_view(&b);
	if (text.n > 0 && text.p[text.n - 1] == '\n')
		text.n--;
	MM_TRY(mm_note_key_parse(text, &s->note_key, why));
	if (strcmp(s->note_key.name, s->conf->set.ledger_origin) != 0)
		return MM_FAIL(why, MM_EPOLICY, "%.90s: not of ledger_origin",
		    path);
	return MM_OK;
}

/* A key that does not open: which file, and what to do. */
static enum mm_err
not_opened(const char *path, enum mm_err rc, const struct mm_why *cause,
    struct mm_why *why)
{
	if (rc != MM_EAUTH)
		return MM_FAIL(why, rc, "%s", cause->text);
	return MM_FAIL(why, rc, "%.100s does not open: wrong passphrase, or a "
	    "damaged file", path);
}

/* What opens the keys' files. */
struct opener {
	struct mm_secret *pass;
	struct mm_stretched *stretched;
};

static void
opener_done(struct opener *o)
{
	mm_stretched_free(&o->stretched);
	mm_secret_free(&o->pass);
}

static enum mm_err
open_key(const struct opener *o, const char *path, EVP_PKEY **key,
    struct mm_why *why)
{
	return mm_key_load(path, mm_secret_view(o->pass), o->stretched, key,
	    why);
}

static enum mm_err
load_note_key(const char *path, const char *name, const struct opener *o,
    EVP_PKEY **key, struct mm_note_key *note, struct mm_why *why)
{
	struct mm_why cause = { 0 };
	uint8_t raw[32];
	size_t n = sizeof(raw);
	enum mm_err rc = open_key(o, path, key, &cause);

	if (rc != MM_OK)
		return not_opened(path, rc, &cause, why);
	if (EVP_PKEY_get_raw_public_key(*key, raw, &n) != 1 ||
	    n != sizeof(raw))
		return MM_FAIL(why, MM_EINPUT, "%.90s: not an Ed25519 key",
		    path);
	mm_note_key_make(note, name, raw);
	return MM_OK;
}

static enum mm_err
load_ledger_key(struct mm_signer *s, const struct opener *o,
    struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];

	MM_TRY(mm_signer_path(&s->conf->set, "keys/ledger.key", path, why));
	if (s->conf->set.node[0] != '\0' && access(path, F_OK) != 0)
		return load_ledger_pub(s, why);
	return load_note_key(path, s->conf->set.ledger_origin, o,
	    &s->ledger_key, &s->note_key, why);
}

/* A signer without one signs everything but orders. */
static enum mm_err
load_orders_key(struct mm_signer *s, const struct opener *o,
    struct mm_why *why)
{
	char path[MM_PATH_MAX + 1], name[MM_ORIGIN_MAX + 1];

	MM_TRY(mm_signer_path(&s->conf->set, "keys/orders.key", path, why));
	if (access(path, F_OK) != 0)
		return MM_OK;
	MM_TRY(mm_work_key_name(s->conf->set.ledger_origin, name, why));
	return load_note_key(path, name, o, &s->orders_key,
	    &s->orders_note, why);
}

static enum mm_err
load_master(struct mm_signer *s, unsigned version,
    const struct opener *o, struct mm_why *why)
{
	struct mm_buf pem = MM_BUF_INIT(PEM_MAX);
	char name[32], path[MM_PATH_MAX + 1];
	struct mm_why cause = { 0 };
	enum mm_err err;

	snprintf(name, sizeof(name), "keys/token-%02x.key", version);
	MM_TRY(mm_signer_path(&s->conf->set, name, path, why));
	if (access(path, F_OK) != 0)
		return MM_OK;
	err = mm_file_read(path, &pem, &cause);
	if (err == MM_OK)
		err = mm_unseal(mm_buf_view(&pem), mm_secret_view(o->pass),
		    o->stretched, &s->master[version], &cause);
	mm_buf_done(&pem);
	return err == MM_OK ? MM_OK : not_opened(path, err, &cause, why);
}

/* New tokens are of the highest version of the kind the settings name. */
static enum mm_err
load_masters(struct mm_signer *s, const struct opener *o,
    struct mm_why *why)
{
	unsigned test = s->conf->set.production ? 0 : MM_TOKEN_TEST;

	for (unsigned v = 0; v < 256; v++) {
		MM_TRY(load_master(s, v, o, why));
		if (s->master[v] != NULL && (v & MM_TOKEN_TEST) == test)
			s->version = (uint8_t)v;
	}
	if (s->master[s->version] == NULL)
		return MM_FAIL(why, MM_ENOTFOUND, "no token key for %s use in "
		    "keys/: run mintmark-signer token-key",
		    test ? "test" : "production");
	MM_TRY(mm_secret_new(32, &s->decoy, why));
	if (RAND_priv_bytes(s->decoy->p, 32) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "no random bytes");
	return MM_OK;
}

/* The signer's own copy, not the file that the server could write. */
static enum mm_err
load_anchor(struct mm_signer *s, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];
	struct mm_ca ca = { 0 };
	struct mm_cert cert;
	enum mm_err err;

	MM_TRY(mm_root_cert_path(&s->conf->set, s->conf->set.root, path, why));
	err = mm_ca_read(path, &ca, why);
	if (err == MM_OK)
		err = mm_cert_walk(mm_buf_view(&ca.der), &cert, why);
	if (err == MM_OK)
		mm_sha256(cert.spki.whole, s->anchor);
	mm_buf_done(&ca.chain_pem);
	mm_buf_done(&ca.der);
	if (err == MM_ENOTFOUND) {
		MM_LOG(MM_LOG_WARN, "anchor.missing", MM_S("path", path));
		*why = (struct mm_why){ 0 };
		return MM_OK;
	}
	return err;
}

/* see priv.h */
enum mm_err
mm_ca_read(const char *path, struct mm_ca *ca, struct mm_why *why)
{
	struct mm_bytes rest;

	mm_buf_init(&ca->chain_pem, PEM_MAX);
	mm_buf_init(&ca->der, MM_CERT_MAX);
	MM_TRY(mm_file_read(path, &ca->chain_pem, why));
	rest = mm_buf_view(&ca->chain_pem);
	return mm_pem_next(&rest, "CERTIFICATE", &ca->der, why);
}

/* see priv.h */
enum mm_err
mm_ca_check_pair(const struct mm_ca *ca, struct mm_why *why)
{
	struct mm_buf spki = MM_BUF_INIT(4096);
	struct mm_cert cert;
	enum mm_err err = mm_cert_walk(mm_buf_view(&ca->der), &cert, why);

	if (err == MM_OK)
		err = mm_key_spki(ca->key, &spki, why);
	if (err == MM_OK &&
	    !mm_bytes_eq(cert.spki.whole, mm_buf_view(&spki)))
		err = MM_FAIL(why, MM_EINPUT, "issuer %s: key and certificate "
		    "do not belong together", ca->issuer.name);
	mm_buf_done(&spki);
	return err;
}

static enum mm_err
load_ca(struct mm_signer *s, const struct mm_issuer_conf *conf,
    const struct opener *o, struct mm_why *why)
{
	struct mm_ca *ca = &s->ca[s->nca++];
	char name[64], path[MM_PATH_MAX + 1];
	struct mm_why cause = { 0 };
	enum mm_err err;

	snprintf(ca->issuer.name, sizeof(ca->issuer.name), "%s", conf->name);
	ca->from_s = mm_issuer_from(conf);
	if (!mm_issuer_lists(conf))
		return MM_OK;
	snprintf(name, sizeof(name), "issuers/%s.crt", conf->name);
	MM_TRY(mm_signer_path(&s->conf->set, name, path, why));
	err = mm_ca_read(path, ca, why);
	if (err == MM_ENOTFOUND) {
		MM_LOG(MM_LOG_WARN, "issuer.missing", MM_S("issuer",
		    conf->name), MM_S("path", path));
		*why = (struct mm_why){ 0 };
		return MM_OK;
	}
	MM_TRY(err);
	MM_TRY(mm_issuer_make(&ca->issuer, conf, s->conf->set.public_url,
	    mm_buf_view(&ca->der), why));
	ca->crl_hours = conf->crl_hours;
	ca->line = conf->line;
	if (mm_issuer_in_token(conf))
		return mm_far_open(s, s->nca - 1, why);
	err = open_key(o, conf->key, &ca->key, &cause);
	if (err != MM_OK)
		return not_opened(conf->key, err, &cause, why);
	return mm_ca_check_pair(ca, why);
}

/* see priv.h; ca: MM_CAS_MAX for none */
enum mm_err
mm_signer_add_use(struct mm_signer *s, const struct mm_profile *p, size_t ca,
    struct mm_why *why)
{
	struct mm_use *u = &s->use[s->nuse];

	if (s->nuse == MM_USES_MAX)
		return MM_FAIL(why, MM_ELIMIT, "more than %d profiles",
		    MM_USES_MAX);
	s->nuse++;
	u->profile = p;
	snprintf(u->label, sizeof(u->label), "%s@%" PRId64, p->name,
	    p->version);
	if (ca < s->nca)
		u->ca = &s->ca[ca];
	return mm_profile_hash(p, u->hash, why);
}

static enum mm_err
load_use(struct mm_signer *s, const struct mm_profile *p, struct mm_why *why)
{
	size_t ca = MM_CAS_MAX;

	for (size_t i = 0; i < s->nca; i++)
		if (strcmp(s->ca[i].issuer.name, p->issuer) == 0)
			ca = i;
	return mm_signer_add_use(s, p, ca, why);
}

static enum mm_err
load_keys(struct mm_signer *s, const struct mm_load_opts *o,
    struct mm_why *why)
{
	MM_OWN(opener_done) struct opener w = { .pass = NULL };

	MM_TRY(mm_passphrase_get(o, s->conf->set.passphrase_file, &w.pass,
	    why));
	if (o->batch == NULL)
		MM_TRY(mm_far_begin(s, o->keys, mm_secret_view(w.pass), why));
	MM_TRY(mm_stretched_new(&w.stretched, why));
	MM_TRY(load_ledger_key(s, &w, why));
	if (o->batch != NULL)
		return mm_duty_load(s, o->batch, mm_secret_view(w.pass), why);
	MM_TRY(load_orders_key(s, &w, why));
	MM_TRY(load_masters(s, &w, why));
	MM_TRY(mm_masters_load(s, &s->masters, why));
	for (size_t i = 0; i < s->conf->nissuer; i++)
		MM_TRY(load_ca(s, &s->conf->issuer[i], &w, why));
	mm_signer_link(s);
	return MM_OK;
}

/* A copy of the folder is another place, and so is a copy of the machine. */
static enum mm_err
find_place(struct mm_signer *s, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(256);
	struct stat st;

	MM_TRY(mm_file_read("/proc/sys/kernel/random/boot_id", &b, why));
	if (fstat(s->lock_fd, &st) != 0)
		return MM_FAIL(why, MM_ESYS, "lock: %s", strerror(errno));
	mm_buf_u64(&b, (uint64_t)st.st_dev);
	mm_buf_u64(&b, (uint64_t)st.st_ino);
	MM_TRY(mm_buf_ok(&b, why));
	mm_sha256(mm_buf_view(&b), s->place);
	return MM_OK;
}

static enum mm_err
load_record(struct mm_signer *s, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];
	uint64_t cut;

	MM_TRY(mm_signer_path(&s->conf->set, "lock", path, why));
	MM_TRY(mm_file_lock(path, &s->lock_fd, why));
	MM_TRY(find_place(s, why));
	MM_TRY(mm_record_open(s->conf->set.signer_dir,
	    s->conf->set.journal_sync, &s->record, &cut, why));
	s->tree.frontier = *mm_record_frontier(s->record);
	if (s->conf->set.node[0] != '\0')
		MM_TRY(mm_trail_new(&s->tree.frontier, &s->tree.trail, why));
	if (cut > 0)
		MM_LOG(MM_LOG_WARN, "journal.cut", MM_I("bytes",
		    (int64_t)cut));
	return MM_OK;
}

/* see priv.h */
enum mm_err
mm_signer_load(const struct mm_load_opts *o, struct mm_signer **out,
    struct mm_why *why)
{
	MM_OWN(mm_signer_free) struct mm_signer *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	s->lock_fd = -1;
	pthread_mutex_init(&s->use_lock, NULL);
	pthread_mutex_init(&s->tree.lock, NULL);
	pthread_mutex_init(&s->crl.lock, NULL);
	mm_buf_init(&s->tree.note, MM_NOTE_MAX);
	mm_buf_init(&s->crl.der, MM_CERT_MAX);
	MM_TRY(mm_config_load(o->config, &s->conf, why));
	if (s->conf->nissuer > MM_CAS_MAX)
		return MM_FAIL(why, MM_ELIMIT, "too many issuers");
	MM_TRY(load_record(s, why));
	MM_TRY(load_keys(s, o, why));
	if (o->batch == NULL)
		MM_TRY(load_anchor(s, why));
	for (size_t i = 0; i < s->conf->nprofile; i++)
		MM_TRY(load_use(s, &s->conf->profile[i], why));
	MM_TRY(mm_uses_load(s, why));
	mm_far_wait(s);
	*out = MM_MOVE(s);
	return MM_OK;
}

/* see priv.h */
void
mm_signer_free(struct mm_signer **owner)
{
	struct mm_signer *s = *owner;

	if (s == NULL)
		return;
	mm_duty_free(&s->duty);
	mm_record_close(&s->record);
	mm_trail_free(&s->tree.trail);
	for (size_t i = 0; i < s->nca; i++)
		mm_ca_done(&s->ca[i]);
	mm_ca_done(&s->crl.line);
	for (size_t i = 0; i < MM_CAS_MAX; i++)
		mm_hsm_free(&s->hsm[i]);
	mm_pkey_free(&s->ledger_key);
	mm_pkey_free(&s->orders_key);
	for (size_t v = 0; v < 256; v++)
		mm_secret_free(&s->master[v]);
	mm_secret_free(&s->decoy);
	mm_masters_free(&s->masters);
	mm_buf_done(&s->uses_text);
	mm_buf_done(&s->tree.note);
	mm_buf_done(&s->crl.der);
	free(s->crl.entry);
	mm_config_free(&s->conf);
	pthread_mutex_destroy(&s->use_lock);
	pthread_mutex_destroy(&s->tree.lock);
	pthread_mutex_destroy(&s->crl.lock);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s);
	*owner = NULL;
}
