#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "signer/far.h"
#include "signer/setup.h"

/* An issuer's key as the commands use it, wherever it is. */

/* see setup.h */
enum mm_err
mm_signing_new(const struct mm_signing *by, struct mm_sign **out,
    struct mm_why *why)
{
	return by->hsm == NULL ? mm_sign_new(NULL, by->key, out, why) :
	    mm_sign_new_far(by->key, mm_hsm_sign, by->hsm, out, why);
}

/* A person does this, so that a PIN is tried whatever became of it before;
 * one that is taken is good for the signer, too. */
static enum mm_err
open_token(struct mm_setup *s, const struct mm_issuer_conf *conf,
    struct mm_hsm **hsm, struct mm_why *why)
{
	static const struct mm_bytes none = { NULL, 0 };
	struct mm_hsm_begin b = { .refused = "", .by_hand = true,
		.pin = conf->pin_file[0] == '\0' ? mm_secret_view(s->pass) :
		    none };

	if (*hsm != NULL)
		return MM_OK;
	MM_TRY(mm_hsm_attach(s->o->keys, conf->name, hsm, why));
	MM_TRY(mm_hsm_begin(*hsm, &b, why));
	MM_TRY(mm_hsm_ready(*hsm, why));
	return mm_far_mark(&s->conf->set, conf, *hsm, MM_HSM_READY, why);
}

/* see setup.h */
enum mm_err
mm_setup_key(struct mm_setup *s, const struct mm_issuer_conf *conf,
    EVP_PKEY **key, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);

	if (!mm_issuer_in_token(conf))
		return mm_key_load(conf->key, mm_secret_view(s->pass),
		    s->stretched, key, why);
	MM_TRY(open_token(s, conf, &s->hsm, why));
	MM_TRY(mm_hsm_public(s->hsm, &spki, why));
	return mm_far_key(mm_buf_view(&spki), key, why);
}

/* A key that is there is used, of whatever kind it is: who made it by the
 * token's own means wants that one. */
static enum mm_err
take_or_make(struct mm_setup *s, const struct mm_issuer_conf *conf,
    enum mm_key_type type, EVP_PKEY **key, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);
	struct mm_why none = { 0 };
	enum mm_err rc;

	MM_TRY(open_token(s, conf, &s->hsm, why));
	rc = mm_hsm_public(s->hsm, &spki, &none);
	s->key_made = rc == MM_ENOTFOUND;
	if (s->key_made)
		rc = mm_hsm_make(s->hsm, type, &spki, why);
	else if (rc != MM_OK)
		rc = MM_FAIL(why, rc, "%s", none.text);
	MM_TRY(rc);
	MM_TRY(mm_check_own_key(s, conf, mm_buf_view(&spki), why));
	return mm_far_key(mm_buf_view(&spki), key, why);
}

/* A file that no certificate is of. */
static bool
is_left(const struct mm_setup *s, const struct mm_issuer_conf *conf)
{
	MM_OWN(mm_ca_done) struct mm_ca copy = { 0 };
	char path[MM_PATH_MAX + 1];

	return access(conf->key, F_OK) == 0 &&
	    access(conf->certificate, F_OK) != 0 &&
	    mm_issuer_copy(s, conf, path, &copy, NULL) == MM_ENOTFOUND;
}

static enum mm_err
take_left(struct mm_setup *s, const struct mm_issuer_conf *conf,
    enum mm_key_type type, EVP_PKEY **key, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);
	MM_OWN(mm_pkey_free) EVP_PKEY *left = NULL;
	enum mm_key_type have;

	MM_TRY(mm_key_load(conf->key, mm_secret_view(s->pass), s->stretched,
	    &left, why));
	MM_TRY(mm_key_type_of(left, &have, why));
	if (have != type)
		return MM_FAIL(why, MM_ECONFLICT, "%.90s is there, of type %s: "
		    "--key-type, or remove it", conf->key,
		    mm_key_type_name(have));
	MM_TRY(mm_key_spki(left, &spki, why));
	MM_TRY(mm_check_own_key(s, conf, mm_buf_view(&spki), why));
	*key = MM_MOVE(left);
	return MM_OK;
}

/* see setup.h */
enum mm_err
mm_setup_new_key(struct mm_setup *s, const struct mm_issuer_conf *conf,
    EVP_PKEY **key, struct mm_why *why)
{
	enum mm_key_type type;

	MM_TRY(mm_key_type_parse(s->o->key_type, &type, why));
	if (mm_issuer_in_token(conf))
		return take_or_make(s, conf, type, key, why);
	if (is_left(s, conf))
		return take_left(s, conf, type, key, why);
	MM_TRY(mm_key_make(type, key, why));
	return mm_place_key(s, conf->key, *key, why);
}

/* see setup.h */
bool
mm_root_in_token(const char *key)
{
	return key != NULL &&
	    strncmp(key, MM_TOKEN_URI, sizeof(MM_TOKEN_URI) - 1) == 0;
}

static enum mm_err
root_token(struct mm_setup *s, const struct mm_issuer_conf *conf,
    const enum mm_key_type *make, struct mm_hsm **hsm, struct mm_buf *spki,
    struct mm_why *why)
{
	struct mm_why none = { 0 };
	enum mm_err rc;

	MM_TRY(open_token(s, conf, hsm, why));
	rc = mm_hsm_public(*hsm, spki, &none);
	if (rc == MM_ENOTFOUND && make != NULL)
		return mm_hsm_make(*hsm, *make, spki, why);
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", none.text);
}

/* see setup.h; what goes wrong is told with the URI but for its query, which is
 * about the module */
enum mm_err
mm_root_token(struct mm_setup *s, const char *uri,
    const enum mm_key_type *make, struct mm_hsm **hsm, EVP_PKEY **key,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);
	struct mm_issuer_conf conf = { .name = "" };
	struct mm_why cause = { 0 };
	enum mm_err rc;

	snprintf(conf.name, sizeof(conf.name), "%s",
	    hsm == &s->root_hsm ? MM_HSM_ROOT : MM_HSM_NEW_ROOT);
	snprintf(conf.key, sizeof(conf.key), "%s", uri);
	if (s->o->root_pin_file != NULL)
		snprintf(conf.pin_file, sizeof(conf.pin_file), "%s",
		    s->o->root_pin_file);
	rc = root_token(s, &conf, make, hsm, &spki, &cause);
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "the root's key %.*s: %.120s",
		    (int)strcspn(uri, "?") < 90 ? (int)strcspn(uri, "?") : 90,
		    uri, cause.text);
	return mm_far_key(mm_buf_view(&spki), key, why);
}

/* see setup.h */
void
mm_json_token(struct mm_setup *s, const struct mm_issuer_conf *conf)
{
	if (!mm_issuer_in_token(conf))
		return;
	mm_json_str(&s->json, "key", conf->key);
	mm_json_bool(&s->json, "key_made", s->key_made);
}

/* ---- check-key ---- */

/* A byte that is the beginning of nothing; it leaves nothing behind. */
static enum mm_err
try_key(const struct mm_signing *by, struct mm_why *why)
{
	static const uint8_t nothing[1];
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(1024);
	MM_OWN(mm_sign_free) struct mm_sign *sign = NULL;

	MM_TRY(mm_signing_new(by, &sign, why));
	return mm_sign_bytes(sign,
	    (struct mm_bytes){ nothing, sizeof(nothing) }, &sig, why);
}

static enum mm_err
put_key(struct mm_setup *s, const struct mm_issuer_conf *conf, EVP_PKEY *key,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf spki = MM_BUF_INIT(4096);
	MM_OWN(mm_ca_done) struct mm_ca ca = { .key = NULL };
	struct mm_json *j = &s->json;
	enum mm_key_type type;
	uint8_t hash[32];

	MM_TRY(mm_key_type_of(key, &type, why));
	MM_TRY(mm_key_spki(key, &spki, why));
	mm_sha256(mm_buf_view(&spki), hash);
	if (mm_ca_read(conf->certificate, &ca, NULL) == MM_OK) {
		memcpy(ca.issuer.name, conf->name, sizeof(ca.issuer.name));
		ca.key = key;
		EVP_PKEY_up_ref(key);
		MM_TRY(mm_ca_check_pair(&ca, why));
	}
	mm_json_open(j, '{');
	mm_json_str(j, "issuer", conf->name);
	mm_json_str(j, "key", conf->key);
	mm_json_str(j, "type", mm_key_type_name(type));
	mm_json_hex(j, "spki_sha256", (struct mm_bytes){ hash, 32 });
	mm_json_bool(j, "certified", ca.key != NULL);
	mm_json_close(j, '}');
	return mm_setup_print(s, why);
}

/* see setup.h */
enum mm_err
mm_cmd_check_key(const struct mm_opts *o, struct mm_why *why)
{
	MM_OWN(mm_setup_done) struct mm_setup s = { 0 };
	MM_OWN(mm_pkey_free) EVP_PKEY *key = NULL;
	const struct mm_issuer_conf *conf;
	struct mm_signing by = { .name = "" };

	MM_TRY(mm_setup_begin(&s, o, true, why));
	MM_TRY(mm_setup_issuer(&s, &conf, why));
	MM_TRY(mm_setup_key(&s, conf, &key, why));
	by.key = key;
	by.hsm = s.hsm;
	MM_TRY(try_key(&by, why));
	return put_key(&s, conf, key, why);
}
