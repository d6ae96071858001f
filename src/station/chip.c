#include "station/chip.h"

#include <string.h>

#include <openssl/core.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "base/file.h"
#include "base/own.h"
#include "port/p256.h"

enum { SPKI_MAX = 128 };

/* see chip.h */
void
mm_chip_done(struct mm_chip *c)
{
	if (c->provider != NULL)
		(void)OSSL_PROVIDER_unload(c->provider);
	if (c->standard != NULL)
		(void)OSSL_PROVIDER_unload(c->standard);
	*c = (struct mm_chip){ .desk = NULL };
}

/* MM_ENOTFOUND: there is no file, or it is the key itself. */
static enum mm_err
read_words(const struct mm_station_conf *conf, struct mm_key *out,
    struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf pem = MM_BUF_INIT(MM_KEY_FILE_MAX);
	struct mm_why own = { 0 };
	enum mm_err rc = mm_file_read(conf->key, &pem, &own);

	if (rc == MM_OK)
		rc = mm_key_parse(mm_buf_view(&pem), out, &own);
	if (rc == MM_ELIMIT)
		rc = MM_ENOTFOUND; /* a key of RSA and its comments */
	return rc == MM_OK ? MM_OK : MM_FAIL(why, rc, "%s", own.text);
}

static enum mm_err
write_words(const struct mm_station_conf *conf, const struct mm_key *key,
    struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(MM_KEY_FILE_MAX);

	mm_key_encode(key, &pem);
	MM_TRY(mm_buf_ok(&pem, why));
	return mm_file_replace(conf->key, mm_buf_view(&pem), 0600, why);
}

/* ---- the provider ---- */

/* desk.h: the capability's one parameter. */
static int
take_desk(const OSSL_PARAM params[], void *arg)
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params,
	    MM_KEY_CAPABILITY);
	struct mm_chip *c = arg;
	const void *desk = NULL;
	size_t n = 0;

	if (p != NULL && OSSL_PARAM_get_octet_ptr(p, &desk, &n) == 1 &&
	    desk != NULL)
		c->desk = desk;
	return 1;
}

/* As the agent does: named, for a provider that is loaded takes the place of
 * the one that else comes by itself. */
static enum mm_err
load(struct mm_chip *c, const struct mm_station_conf *conf,
    struct mm_why *why)
{
	if (c->desk != NULL)
		return MM_OK;
	if (c->standard == NULL)
		c->standard = OSSL_PROVIDER_load(NULL, "default");
	if (c->provider == NULL)
		c->provider = OSSL_PROVIDER_load(NULL, MM_KEY_PROVIDER);
	ERR_clear_error();
	if (c->standard == NULL || c->provider == NULL)
		return MM_FAIL(why, MM_ESYS, "OpenSSL's provider "
		    MM_KEY_PROVIDER " is not installed");
	(void)OSSL_PROVIDER_get_capabilities(c->provider, MM_KEY_CAPABILITY,
	    take_desk, c);
	if (c->desk == NULL || c->desk->layout != MM_KEY_LAYOUT) {
		c->desk = NULL;
		return MM_FAIL(why, MM_ESYS, "OpenSSL's provider "
		    MM_KEY_PROVIDER " is of another version");
	}
	c->desk->notes(conf->state);
	return MM_OK;
}

/* The table of a place, which what station.conf names is trusted for. */
static enum mm_err
desk_of(struct mm_chip *c, const struct mm_station_conf *conf,
    enum mm_key_place place, const struct mm_key_ops **out,
    struct mm_why *why)
{
	enum mm_key_place own;

	MM_TRY(load(c, conf, why));
	*out = c->desk->ops[place];
	if (*out == NULL)
		return MM_FAIL(why, MM_EPOLICY, MM_KEY_PROVIDER
		    " was built without %s:", mm_key_place_name(place));
	if (conf->key_in[0] != '\0' &&
	    mm_key_place_of(conf->key_in, &own, NULL) == MM_OK && own == place)
		(*out)->trust(conf->key_in);
	return MM_OK;
}

/* ---- the key ---- */

/* see chip.h */
enum mm_err
mm_chip_ready(struct mm_chip *c, const struct mm_station_conf *conf,
    bool *in_it, struct mm_why *why)
{
	const struct mm_key_ops *ops;
	struct mm_why own = { 0 };
	struct mm_key key;
	enum mm_err rc = read_words(conf, &key, &own);

	*in_it = false;
	if (rc == MM_ENOTFOUND || (rc == MM_OK && !key.made))
		return MM_OK;
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", own.text);
	MM_TRY(desk_of(c, conf, key.place, &ops, why));
	MM_TRY(ops->settle(&key, why));
	*in_it = true;
	return MM_OK;
}

/* see chip.h */
enum mm_err
mm_chip_wanted(const struct mm_station_conf *conf, bool *out,
    struct mm_why *why)
{
	enum mm_key_place place = MM_KEY_FILE;

	if (conf->key_in[0] != '\0')
		MM_TRY(mm_key_place_of(conf->key_in, &place, why));
	*out = place != MM_KEY_FILE;
	return MM_OK;
}

/* see chip.h; desk.h has the steps */
enum mm_err
mm_chip_make(struct mm_chip *c, const struct mm_station_conf *conf,
    struct mm_why *why)
{
	const struct mm_key_ops *ops;
	struct mm_key key;
	enum mm_key_place place;
	enum mm_err rc = read_words(conf, &key, NULL);

	MM_TRY(mm_key_place_of(conf->key_in, &place, why));
	if (rc == MM_OK) {
		MM_TRY(desk_of(c, conf, key.place, &ops, why));
		MM_TRY(ops->remove(&key, why));
	}
	MM_TRY(desk_of(c, conf, place, &ops, why));
	MM_TRY(ops->choose(conf->key_in, &key, why));
	MM_TRY(write_words(conf, &key, why));
	MM_TRY(ops->make(&key, why));
	MM_TRY(write_words(conf, &key, why));
	return ops->settle(&key, why);
}

/* see chip.h */
enum mm_err
mm_chip_key(const struct mm_station_conf *conf, EVP_PKEY **key,
    struct mm_buf *spki, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf pem = MM_BUF_INIT(MM_KEY_FILE_MAX);
	OSSL_DECODER_CTX *d;
	uint8_t der[SPKI_MAX];
	EVP_PKEY *got = NULL;
	struct mm_key words;
	const uint8_t *p;
	size_t n;

	MM_TRY(read_words(conf, &words, why));
	MM_TRY(mm_file_read(conf->key, &pem, why));
	p = pem.p;
	n = pem.n;
	d = OSSL_DECODER_CTX_new_for_pkey(&got, "PEM", NULL, "EC",
	    EVP_PKEY_KEYPAIR, NULL, NULL);
	if (d != NULL)
		(void)OSSL_DECODER_from_data(d, &p, &n);
	OSSL_DECODER_CTX_free(d);
	ERR_clear_error();
	if (got == NULL)
		return MM_FAIL(why, MM_ECRYPTO, "%.100s: the key that it "
		    "names cannot be used", conf->key);
	*key = got;
	if (mmd_p256_spki(words.xy, der, sizeof(der), &n) != MMD_OK)
		return MM_FAIL(why, MM_EINPUT, "%.100s: its public key",
		    conf->key);
	mm_buf_put(spki, der, n);
	return mm_buf_ok(spki, why);
}
