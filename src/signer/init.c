#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/file.h"
#include "base/time.h"
#include "pki/token.h"
#include "signer/setup.h"
#include "work/order.h"

#define YEAR_S   31557600 /* 365.25 days */
#define MASTER_N 32

/* see setup.h */
enum mm_err
mm_setup_folder(struct mm_setup *s, const char *name, mode_t mode,
    enum mm_owner owner, struct mm_why *why)
{
	struct mm_file_own own = { .mode = mode };
	char path[MM_PATH_MAX + 1];

	MM_TRY(mm_whose(s, owner, &own, why));
	MM_TRY(mm_signer_path(&s->conf->set, name, path, why));
	return mm_place_folder(path, &own, why);
}

/* see setup.h; auditors pass through to the journal, nobody else does */
enum mm_err
mm_setup_folders(struct mm_setup *s, struct mm_why *why)
{
	bool audit = s->conf->set.audit_group[0] != '\0';

	MM_TRY(mm_setup_folder(s, "", audit ? 0710 : 0700, MM_OF_AUDIT, why));
	MM_TRY(mm_setup_folder(s, "keys", 0700, MM_OF_SIGNER, why));
	return mm_setup_folder(s, "issuers", 0700, MM_OF_SIGNER, why);
}

/* see setup.h; the text is kept in the clear, for the asking */
enum mm_err
mm_make_note_key(struct mm_setup *s, const char *what, const char *name,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text = MM_BUF_INIT(MM_NOTE_MAX);
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	char file[32], path[MM_PATH_MAX + 1];
	struct mm_note_key note;
	uint8_t raw[32];
	size_t n = sizeof(raw);

	MM_TRY(mm_key_make(MM_KEY_ED25519, &key, why));
	if (EVP_PKEY_get_raw_public_key(key, raw, &n) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "no public key");
	mm_note_key_make(&note, name, raw);
	mm_note_key_text(&note, &text);
	snprintf(file, sizeof(file), "keys/%s.key", what);
	MM_TRY(mm_signer_path(&s->conf->set, file, path, why));
	MM_TRY(mm_place_key(s, path, key, why));
	snprintf(file, sizeof(file), "%s_key", what);
	mm_json_strn(&s->json, file, mm_buf_view(&text));
	mm_buf_u8(&text, '\n');
	MM_TRY(mm_buf_ok(&text, why));
	snprintf(file, sizeof(file), "%s.pub", what);
	MM_TRY(mm_signer_path(&s->conf->set, file, path, why));
	return mm_place(s, path, mm_buf_view(&text), 0600, MM_OF_SIGNER, why);
}

static enum mm_err
make_orders_key(struct mm_setup *s, struct mm_why *why)
{
	char name[MM_ORIGIN_MAX + 1];

	MM_TRY(mm_work_key_name(s->conf->set.ledger_origin, name, why));
	return mm_make_note_key(s, "orders", name, why);
}

/* The first version that is not there, of test or production. */
static enum mm_err
make_token_key(struct mm_setup *s, struct mm_why *why)
{
	unsigned v = s->conf->set.production ? 1 : MM_TOKEN_TEST | 1;
	unsigned end = s->conf->set.production ? MM_TOKEN_TEST : 256;
	char name[32], path[MM_PATH_MAX + 1];
	MM_OWN(mm_secret_free) struct mm_secret *m = NULL;

	for (;; v++) {
		if (v == end)
			return MM_FAIL(why, MM_ELIMIT, "no token key version "
			    "is left");
		snprintf(name, sizeof(name), "keys/token-%02x.key", v);
		MM_TRY(mm_signer_path(&s->conf->set, name, path, why));
		if (access(path, F_OK) != 0)
			break;
	}
	MM_TRY(mm_secret_new(MASTER_N, &m, why));
	if (RAND_priv_bytes(m->p, MASTER_N) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "no random bytes");
	MM_TRY(mm_place_secret(s, path, mm_secret_view(m), why));
	mm_json_int(&s->json, "token_key_version", v);
	return MM_OK;
}

/* see setup.h */
enum mm_err
mm_setup_journal(struct mm_setup *s, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf b = MM_BUF_INIT(1 << 20);
	struct mm_state *state = calloc(1, sizeof(*state));
	char path[MM_PATH_MAX + 1];
	enum mm_err err;

	if (state == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	err = mm_state_encode(state, &b, why);
	free(state);
	MM_TRY(err);
	MM_TRY(mm_signer_path(&s->conf->set, "state", path, why));
	MM_TRY(mm_place(s, path, mm_buf_view(&b), 0600, MM_OF_SIGNER, why));
	MM_TRY(mm_signer_path(&s->conf->set, "journal.jsonl", path, why));
	MM_TRY(mm_place(s, path, (struct mm_bytes){ 0 }, 0640, MM_OF_AUDIT,
	    why));
	return mm_setup_record(s, why);
}

static enum mm_err
make_base(struct mm_setup *s, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];

	MM_TRY(mm_signer_path(&s->conf->set, "journal.jsonl", path, why));
	if (access(path, F_OK) == 0)
		return MM_FAIL(why, MM_ECONFLICT, "%.90s is there: this "
		    "signer was set up before", path);
	MM_TRY(mm_setup_folders(s, why));
	MM_TRY(mm_make_note_key(s, "ledger", s->conf->set.ledger_origin, why));
	MM_TRY(make_orders_key(s, why));
	MM_TRY(make_token_key(s, why));
	return mm_setup_journal(s, why);
}

static enum mm_err
place_root(struct mm_setup *s, struct mm_bytes der, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];

	MM_TRY(mm_root_cert_path(&s->conf->set, s->conf->set.root, path, why));
	MM_TRY(mm_place_certs(s, path, &der, 1, MM_OF_SIGNER, why));
	if (strcmp(path, s->conf->set.trust_anchor) == 0)
		return MM_OK;
	return mm_place_certs(s, s->conf->set.trust_anchor, &der, 1,
	    MM_OF_ROOT, why);
}

/* In a token one that is there is taken: who made it by the token's own means
 * wants that one, and a run that failed leaves its own. */
static enum mm_err
make_root_key(struct mm_setup *s, EVP_PKEY **key, struct mm_why *why)
{
	char path[MM_PATH_MAX + 1];
	enum mm_key_type type;

	MM_TRY(mm_key_type_parse(s->o->key_type, &type, why));
	if (mm_root_in_token(s->o->root_key))
		return mm_root_token(s, s->o->root_key, &type, &s->root_hsm,
		    key, why);
	MM_TRY(mm_root_key_path(&s->conf->set, s->conf->set.root, path, why));
	MM_TRY(mm_key_make(type, key, why));
	return mm_place_key(s, s->o->root_key != NULL ? s->o->root_key : path,
	    *key, why);
}

/* RFC 5280 3.2: self-signed, for whoever pins it. */
static enum mm_err
make_root(struct mm_setup *s, EVP_PKEY **key, struct mm_buf *der,
    struct mm_why *why)
{
	struct mm_conf_list subject = s->o->root_subject;
	struct mm_signing by = { .name = "root" };
	struct mm_ca_fields f = { .subject = &subject, .ca = true,
		.path_len = -1 };
	uint8_t hash[32], spki[32];
	struct mm_cert c;

	mm_default_subject(&s->conf->set, "Root CA", &subject);
	MM_TRY(make_root_key(s, key, why));
	by.key = *key;
	by.hsm = s->root_hsm;
	MM_TRY(mm_ca_dates(&by, s->o->root_years * YEAR_S, &f, why));
	MM_TRY(mm_ca_sign(s, &by, *key, &f, der, why));
	MM_TRY(place_root(s, mm_buf_view(der), why));
	MM_TRY(mm_cert_walk(mm_buf_view(der), &c, why));
	mm_sha256(mm_buf_view(der), hash);
	mm_sha256(c.spki.whole, spki);
	mm_json_hex(&s->json, "root_sha256", (struct mm_bytes){ hash, 32 });
	mm_json_hex(&s->json, "anchor_sha256", (struct mm_bytes){ spki, 32 });
	return MM_OK;
}

static enum mm_err
make_cas(struct mm_setup *s, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf root = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_buf_done) struct mm_buf der = MM_BUF_INIT(MM_CERT_MAX);
	MM_OWN(mm_pkey_free) EVP_PKEY *root_key = NULL, *key = NULL;
	const struct mm_issuer_conf *conf;
	struct mm_signing by;

	MM_TRY(mm_setup_issuer(s, &conf, why));
	MM_TRY(make_root(s, &root_key, &root, why));
	by = (struct mm_signing){ .key = root_key,
		.cert = mm_buf_view(&root), .name = "root",
		.hsm = s->root_hsm };
	MM_TRY(mm_make_root_crls(s, &by, NULL, why));
	MM_TRY(mm_make_issuer(s, &by, &key, &der, why));
	MM_TRY(mm_json_cert(s, "issuer", conf->name, conf->certificate,
	    mm_buf_view(&der), why));
	mm_json_null(&s->json, "request");
	mm_json_token(s, conf);
	by = (struct mm_signing){ .key = key, .cert = mm_buf_view(&der),
		.name = conf->name, .hsm = s->hsm };
	if (s->o->tls_dns.n + s->o->tls_ip.n > 0)
		return mm_make_tls(s, &by, why);
	mm_json_null(&s->json, "tls");
	return MM_OK;
}

static enum mm_err
make_no_cas(struct mm_setup *s, struct mm_why *why)
{
	bool request = s->o->root == MM_ROOT_EXTERNAL;

	mm_json_null(&s->json, "root_sha256");
	mm_json_null(&s->json, "anchor_sha256");
	mm_json_null(&s->json, "issuer");
	if (request) {
		MM_TRY(mm_make_request(s, s->o->request, why));
		mm_json_str(&s->json, "request", s->o->request);
	} else {
		mm_json_null(&s->json, "request");
	}
	mm_json_null(&s->json, "tls");
	return MM_OK;
}

/* A new passphrase from the terminal is asked for twice. */
static enum mm_err
confirm_passphrase(const struct mm_setup *s, struct mm_why *why)
{
	MM_OWN(mm_secret_free) struct mm_secret *again = NULL;

	if (s->o->passphrase_fd >= 0 ||
	    s->conf->set.passphrase_file[0] != '\0')
		return MM_OK;
	MM_TRY(mm_secret_from_tty("Once more: ", &again, why));
	if (!mm_bytes_eq_ct(mm_secret_view(again), mm_secret_view(s->pass)))
		return MM_FAIL(why, MM_EINPUT, "the two differ");
	return MM_OK;
}

/* see setup.h */
enum mm_err
mm_cmd_init(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };

	if (o->root == MM_ROOT_EXTERNAL && o->request == NULL)
		return MM_FAIL(why, MM_EINPUT, "init: --root external wants "
		    "--request FILE");
	MM_TRY(mm_setup_begin(&s, o, true, why));
	MM_TRY(confirm_passphrase(&s, why));
	mm_json_open(&s.json, '{');
	MM_TRY(make_base(&s, why));
	MM_TRY(o->root == MM_ROOT_NEW ? make_cas(&s, why) :
					make_no_cas(&s, why));
	mm_json_close(&s.json, '}');
	return mm_setup_print(&s, why);
}

/* see setup.h */
enum mm_err
mm_cmd_token_key(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };

	MM_TRY(mm_setup_begin(&s, o, true, why));
	mm_json_open(&s.json, '{');
	MM_TRY(make_token_key(&s, why));
	mm_json_close(&s.json, '}');
	return mm_setup_print(&s, why);
}

static enum mm_err
print_own(const struct mm_opts *o, const char *name, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	char path[MM_PATH_MAX + 1];

	MM_TRY(mm_setup_begin(&s, o, false, why));
	MM_TRY(mm_signer_path(&s.conf->set, name, path, why));
	MM_TRY(mm_file_read(path, &s.text, why));
	return mm_fd_write(STDOUT_FILENO, mm_buf_view(&s.text), why);
}

/* see setup.h */
enum mm_err
mm_cmd_ledger_key(const struct mm_opts *o, struct mm_why *why)
{
	return print_own(o, "ledger.pub", why);
}

/* see setup.h */
enum mm_err
mm_cmd_orders_key(const struct mm_opts *o, struct mm_why *why)
{
	return print_own(o, "orders.pub", why);
}
