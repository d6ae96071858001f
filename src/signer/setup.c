#include "signer/setup.h"

#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/owner.h"
#include "base/time.h"
#include "sandbox/sandbox.h"

#define PEM_MAX (128 * 1024)

/* see setup.h */
enum mm_err
mm_setup_begin(struct mm_setup *s, const struct mm_opts *o, bool with_pass,
    struct mm_why *why)
{
	const struct mm_load_opts lo = { .config = o->config,
		.passphrase_fd = (int)o->passphrase_fd, .ask = true };

	*s = (struct mm_setup){ .o = o };
	mm_buf_init(&s->text, PEM_MAX);
	s->json = mm_json_over(&s->text);
	MM_TRY(mm_config_load(o->config, &s->conf, why));
	if (!with_pass)
		return MM_OK;
	MM_TRY(mm_stretched_new(&s->stretched, why));
	return mm_passphrase_get(&lo, s->conf->set.passphrase_file, &s->pass,
	    why);
}

/* see setup.h */
enum mm_err
mm_setup_record(struct mm_setup *s, struct mm_why *why)
{
	uint64_t cut;

	return mm_record_open(s->conf->set.signer_dir, true, &s->record, &cut,
	    why);
}

/* see setup.h */
void
mm_setup_done(struct mm_setup *s)
{
	mm_record_close(&s->record);
	mm_hsm_free(&s->hsm);
	mm_hsm_free(&s->root_hsm);
	mm_hsm_free(&s->new_root_hsm);
	mm_stretched_free(&s->stretched);
	mm_secret_free(&s->pass);
	mm_config_free(&s->conf);
	mm_buf_done(&s->text);
}

/* Only root can give a file away; for anyone else all is one user's. */
enum mm_err
mm_whose(const struct mm_setup *s, enum mm_owner owner,
    struct mm_file_own *own, struct mm_why *why)
{
	const struct mm_settings *set = &s->conf->set;
	const char *user = owner == MM_OF_ROOT ? "" :
	    owner == MM_OF_SERVER ? set->server_user : set->signer_user;
	const struct group *gr = NULL;

	own->uid = (uid_t)-1;
	own->gid = (gid_t)-1;
	if (geteuid() != 0 || user[0] == '\0')
		return MM_OK;
	MM_TRY(mm_owner_of(user, own, why));
	if (owner == MM_OF_AUDIT && set->audit_group[0] != '\0') {
		gr = getgrnam(set->audit_group);
		if (gr == NULL)
			return MM_FAIL(why, MM_ENOTFOUND, "no such group: %s",
			    set->audit_group);
		own->gid = gr->gr_gid;
	}
	return MM_OK;
}

static enum mm_err
make_folder_of(const char *path, struct mm_why *why)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || slash == path)
		return MM_OK;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	return mm_dir_make(dir, 0755, why);
}

/* see setup.h */
enum mm_err
mm_setup_alone(const struct mm_setup *s, int *lock, struct mm_why *why)
{
	const struct mm_settings *set = &s->conf->set;
	char path[MM_PATH_MAX + 1];

	if (geteuid() == 0)
		MM_TRY(mm_sandbox_drop(set->signer_user, set->audit_group,
		    why));
	MM_TRY(mm_signer_path(set, "lock", path, why));
	return mm_file_lock(path, lock, why);
}

/* see setup.h */
enum mm_err
mm_place_folder(const char *path, const struct mm_file_own *own,
    struct mm_why *why)
{
	MM_TRY(make_folder_of(path, why));
	MM_TRY(mm_dir_make(path, own->mode, why));
	return mm_dir_own(path, own, why);
}

/* see setup.h */
enum mm_err
mm_place(const struct mm_setup *s, const char *path, struct mm_bytes data,
    mode_t mode, enum mm_owner owner, struct mm_why *why)
{
	struct mm_file_own own = { .mode = mode };

	MM_TRY(mm_whose(s, owner, &own, why));
	MM_TRY(make_folder_of(path, why));
	return mm_file_create_as(path, data, &own, why);
}

/* see setup.h */
enum mm_err
mm_place_secret(const struct mm_setup *s, const char *path,
    struct mm_bytes secret, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MAX);

	MM_TRY(mm_seal(secret, mm_secret_view(s->pass), s->stretched, &pem,
	    why));
	return mm_place(s, path, mm_buf_view(&pem), 0600, MM_OF_SIGNER, why);
}

/* see setup.h */
enum mm_err
mm_place_key(const struct mm_setup *s, const char *path, EVP_PKEY *key,
    struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf der = MM_BUF_INIT(8192);

	MM_TRY(mm_key_pkcs8(key, &der, why));
	return mm_place_secret(s, path, mm_buf_view(&der), why);
}

/* see setup.h */
enum mm_err
mm_make_plain_key(const struct mm_setup *s, const char *path,
    enum mm_owner owner, EVP_PKEY **key, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf der = MM_BUF_INIT(8192);
	MM_OWN(mm_buf_wipe) struct mm_buf pem = MM_BUF_INIT(3 * 8192);
	MM_OWN(mm_pkey_free) EVP_PKEY *made = NULL;

	MM_TRY(mm_key_make(MM_KEY_P256, &made, why));
	MM_TRY(mm_key_pkcs8(made, &der, why));
	mm_pem_put(&pem, "PRIVATE KEY", mm_buf_view(&der));
	MM_TRY(mm_buf_ok(&pem, why));
	MM_TRY(mm_place(s, path, mm_buf_view(&pem), 0600, owner, why));
	*key = MM_MOVE(made);
	return MM_OK;
}

/* see setup.h */
enum mm_err
mm_place_certs(const struct mm_setup *s, const char *path,
    const struct mm_bytes *der, size_t n, enum mm_owner owner,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(PEM_MAX);

	for (size_t i = 0; i < n; i++)
		mm_pem_put(&pem, "CERTIFICATE", der[i]);
	MM_TRY(mm_buf_ok(&pem, why));
	return mm_place(s, path, mm_buf_view(&pem), 0644, owner, why);
}

static enum mm_err
no_issuer(const struct mm_setup *s, struct mm_why *why)
{
	return MM_FAIL(why, MM_ENOTFOUND, "%.80s: no issuer \"%.32s\" { } "
	    "block", s->o->config, s->o->issuer == NULL ? "" : s->o->issuer);
}

/* see setup.h */
enum mm_err
mm_setup_issuer(const struct mm_setup *s, const struct mm_issuer_conf **out,
    struct mm_why *why)
{
	const struct mm_config *c = s->conf;

	*out = s->o->issuer != NULL ? mm_config_issuer(c, s->o->issuer) :
	    c->nissuer > 0 ? &c->issuer[0] : NULL;
	return *out != NULL ? MM_OK : no_issuer(s, why);
}

/* see setup.h; as issuing.c has it of the running signer */
enum mm_err
mm_setup_issuing(const struct mm_setup *s, const struct mm_issuer_conf **out,
    struct mm_why *why)
{
	const struct mm_issuer_conf *i, *before;

	MM_TRY(mm_setup_issuer(s, &i, why));
	if (s->o->issuer == NULL)
		i = mm_config_issuing(s->conf, i->name, mm_now_s());
	while (s->o->issuer == NULL && access(i->certificate, F_OK) != 0 &&
	    (before = mm_config_issuer(s->conf, i->follows)) != NULL)
		i = before;
	*out = i;
	return MM_OK;
}

/* see setup.h */
enum mm_err
mm_json_cert(struct mm_setup *s, const char *key, const char *name,
    const char *path, struct mm_bytes der, struct mm_why *why)
{
	struct mm_json *j = &s->json;
	struct mm_cert c;
	uint8_t hash[32], spki[32];
	char from[MM_TIME_TEXT], to[MM_TIME_TEXT];

	MM_TRY(mm_cert_walk(der, &c, why));
	mm_sha256(der, hash);
	mm_sha256(c.spki.whole, spki);
	mm_time_text_s(c.not_before_s, from);
	mm_time_text_s(c.not_after_s, to);
	mm_json_open_key(j, key, '{');
	if (name != NULL)
		mm_json_str(j, "name", name);
	mm_json_str(j, "certificate", path);
	mm_json_hex(j, "sha256", (struct mm_bytes){ hash, 32 });
	mm_json_hex(j, "spki_sha256", (struct mm_bytes){ spki, 32 });
	mm_json_hex(j, "serial", c.serial);
	mm_json_str(j, "not_before", from);
	mm_json_str(j, "not_after", to);
	if (strcmp(key, "tls") == 0)
		mm_json_str(j, "key", s->conf->set.tls_key);
	mm_json_close(j, '}');
	return MM_OK;
}

/* see setup.h */
enum mm_err
mm_setup_print(struct mm_setup *s, struct mm_why *why)
{
	mm_buf_u8(&s->text, '\n');
	MM_TRY(mm_buf_ok(&s->text, why));
	return mm_fd_write(STDOUT_FILENO, mm_buf_view(&s->text), why);
}
