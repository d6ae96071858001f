#include "agent/keyring.h"

#include <stdio.h>
#include <string.h>

#include <openssl/core.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "agent/priv.h"
#include "base/faults.h"
#include "base/own.h"
#include "base/secret.h"
#include "port/p256.h"

enum { FILE_MAX = 8192 };

/* ---- what a slot has ---- */

/* MM_ENOTFOUND: nothing, or the key itself. */
static enum mm_err
key_of(const struct mm_agent_keyring *k, unsigned slot, struct mm_key *out,
    struct mm_why *why)
{
	uint8_t text[FILE_MAX];
	struct mm_bytes v = { text, 0 };
	enum mmd_rc rc = k->under->get(k->under->ctx, slot, MMD_NV_KEY, text,
	    sizeof(text), &v.n);
	struct mm_why w = { 0 };
	enum mm_err err = mm_agent_fail(rc, "stored key", &w);

	if (err == MM_OK)
		err = mm_key_parse(v, out, &w);
	mm_wipe(text, sizeof(text));
	return err == MM_OK ? MM_OK : MM_FAIL(why, err, "%s", w.text);
}

static enum mmd_rc
put_key(struct mm_agent_keyring *k, unsigned slot, const struct mm_key *key)
{
	MM_OWN(mm_buf_done) struct mm_buf pem = MM_BUF_INIT(MM_KEY_FILE_MAX);

	mm_key_encode(key, &pem);
	if (mm_buf_ok(&pem, NULL) != MM_OK)
		return MMD_ESPACE;
	return k->under->put(k->under->ctx, slot, MMD_NV_KEY,
	    mm_to_mmd(mm_buf_view(&pem)));
}

/* ---- the provider ---- */

/* desk.h: the capability's one parameter. */
static int
take_desk(const OSSL_PARAM params[], void *arg)
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params,
	    MM_KEY_CAPABILITY);
	struct mm_agent_keyring *k = arg;
	const void *desk = NULL;
	size_t n = 0;

	if (p != NULL && OSSL_PARAM_get_octet_ptr(p, &desk, &n) == 1 &&
	    desk != NULL)
		k->desk = desk;
	return 1;
}

/* What this program was told, and not what a key's file says (desk.h). */
static void
trust_own(const struct mm_agent_keyring *k)
{
	enum mm_key_place place;

	if (k->notes != NULL)
		k->desk->notes(k->notes);
	if (k->where != NULL &&
	    mm_key_place_of(k->where, &place, NULL) == MM_OK &&
	    k->desk->ops[place] != NULL)
		k->desk->ops[place]->trust(k->where);
}

/* Named, because a provider that is loaded takes the place of the one that
 * else comes by itself; and first, because the first one is asked first. */
static enum mm_err
load_provider(struct mm_agent_keyring *k, struct mm_why *why)
{
	const char *reason;

	if (k->desk != NULL)
		return MM_OK;
	if (k->standard == NULL)
		k->standard = OSSL_PROVIDER_load(NULL, "default");
	if (k->provider == NULL)
		k->provider = OSSL_PROVIDER_load(NULL, MM_KEY_PROVIDER);
	if (k->standard == NULL || k->provider == NULL) {
		reason = ERR_reason_error_string(ERR_peek_error());
		ERR_clear_error();
		return MM_FAIL(why, MM_ESYS, "OpenSSL's provider "
		    MM_KEY_PROVIDER " is not installed: %.60s",
		    reason != NULL ? reason : "not loaded");
	}
	(void)OSSL_PROVIDER_get_capabilities(k->provider, MM_KEY_CAPABILITY,
	    take_desk, k);
	if (k->desk == NULL || k->desk->layout != MM_KEY_LAYOUT) {
		k->desk = NULL;
		return MM_FAIL(why, MM_ESYS, "OpenSSL's provider "
		    MM_KEY_PROVIDER " is of another version");
	}
	trust_own(k);
	return MM_OK;
}

/* The table of a place. */
static enum mm_err
desk_of(struct mm_agent_keyring *k, enum mm_key_place place,
    const struct mm_key_ops **out, struct mm_why *why)
{
	MM_TRY(load_provider(k, why));
	*out = k->desk->ops[place];
	return *out != NULL ? MM_OK : MM_FAIL(why, MM_EPOLICY,
	    MM_KEY_PROVIDER " was built without %s:",
	    mm_key_place_name(place));
}

/* ---- keys that come and go ---- */

/* Nobody else has the key: the other slot may, after a renewal for it. */
static bool
is_alone(const struct mm_agent_keyring *k, unsigned slot,
    const struct mm_key *key)
{
	struct mm_key other;

	for (unsigned i = 0; i < MMD_SLOTS; i++)
		if (i != slot && key_of(k, i, &other, NULL) == MM_OK &&
		    mm_key_same(key, &other))
			return false;
	return true;
}

/* What cannot be read names nothing that could be removed. */
static enum mm_err
remove_key(struct mm_agent_keyring *k, unsigned slot, struct mm_why *why)
{
	const struct mm_key_ops *ops;
	struct mm_key key;

	if (key_of(k, slot, &key, NULL) != MM_OK || !is_alone(k, slot, &key))
		return MM_OK;
	MM_TRY(desk_of(k, key.place, &ops, why));
	mm_die_at("key");
	MM_TRY(ops->remove(&key, why));
	mm_die_at("key");
	return MM_OK;
}

static enum mm_err
make_at(struct mm_agent_keyring *k, unsigned slot, const char *where,
    enum mm_key_place place, struct mm_why *why)
{
	const struct mm_key_ops *ops;
	struct mm_key key;

	MM_TRY(desk_of(k, place, &ops, why));
	/* One that was begun before a power cut, if it came into being. */
	MM_TRY(remove_key(k, slot, why));
	MM_TRY(ops->choose(where, &key, why));
	MM_TRY(mm_agent_fail(put_key(k, slot, &key), "storing a key", why));
	mm_die_at("key");
	MM_TRY(ops->make(&key, why));
	mm_die_at("key");
	MM_TRY(mm_agent_fail(put_key(k, slot, &key), "storing a key", why));
	mm_die_at("key");
	MM_TRY(ops->settle(&key, why));
	mm_die_at("key");
	return MM_OK;
}

static enum mmd_rc
note(struct mm_agent_keyring *k, enum mm_err err, const struct mm_why *why)
{
	if (err == MM_OK)
		return MMD_OK;
	k->why = *why;
	return MMD_EPORT;
}

/* ---- as the ports ---- */

static enum mmd_rc
make(void *ctx, unsigned slot, enum mmd_key_kind kind)
{
	struct mm_agent_keyring *k = ctx;
	enum mm_key_place place = MM_KEY_FILE;
	const char *where = k->where;
	struct mm_why why = { 0 };
	struct mm_key in_use;
	unsigned now;
	enum mm_err err = MM_OK;

	if (where == NULL &&
	    k->under->selected(k->under->ctx, &now) == MMD_OK &&
	    key_of(k, now, &in_use, NULL) == MM_OK)
		where = in_use.uri;
	if (where != NULL)
		err = mm_key_place_of(where, &place, &why);
	if (err == MM_OK && place != MM_KEY_FILE && kind != MMD_KEY_P256)
		err = MM_FAIL(&why, MM_EPOLICY,
		    "keys in %s: are of type p256 only",
		    mm_key_place_name(place));
	if (err == MM_OK && place == MM_KEY_FILE) {
		err = remove_key(k, slot, &why);
		return err == MM_OK ? k->software.make(ctx, slot, kind)
		    : note(k, err, &why);
	}
	if (err == MM_OK)
		err = make_at(k, slot, where, place, &why);
	return note(k, err, &why);
}

/* Without the provider: what a key is for the public, its file says. */
static enum mmd_rc
public(void *ctx, unsigned slot, uint8_t *p, size_t cap, size_t *n)
{
	struct mm_agent_keyring *k = ctx;
	struct mm_key key;

	if (key_of(k, slot, &key, NULL) != MM_OK)
		return k->software.public(ctx, slot, p, cap, n);
	return key.made ? mmd_p256_spki(key.xy, p, cap, n) : MMD_NONE;
}

/* What a power cut left to do of a key that is stored is done by whoever asks
 * for a certificate with it. */
static enum mm_err
settle(struct mm_agent_keyring *k, unsigned slot, struct mm_why *why)
{
	const struct mm_key_ops *ops;
	struct mm_key key;

	if (key_of(k, slot, &key, NULL) != MM_OK)
		return MM_OK;
	MM_TRY(desk_of(k, key.place, &ops, why));
	return ops->settle(&key, why);
}

/* Another key is made for one that is nowhere any more: why that was is nothing
 * that a later failure of something else may be told by. */
static enum mmd_rc
nowhere(struct mm_agent_keyring *k)
{
	struct mm_why told;

	if (k->desk != NULL)
		(void)k->desk->failure(&told);
	k->why = (struct mm_why){ 0 };
	return MMD_NONE;
}

static enum mmd_rc
sign_hash(void *ctx, unsigned slot, const uint8_t digest[MMD_HASH],
    uint8_t *sig, size_t cap, size_t *n)
{
	struct mm_agent_keyring *k = ctx;
	struct mm_why why = { 0 };
	enum mm_err err = settle(k, slot, &why);
	enum mmd_rc rc = note(k, err, &why);

	if (rc != MMD_OK)
		return err == MM_ESTALE || err == MM_ECONFLICT ? nowhere(k)
		    : rc;
	rc = k->software.sign_hash(ctx, slot, digest, sig, cap, n);
	ERR_clear_error();
	if (rc == MMD_OK || k->desk == NULL || !k->desk->failure(&k->why))
		return rc;
	return k->why.code == MM_ESTALE ? nowhere(k) : MMD_EPORT;
}

static enum mmd_rc
get(void *ctx, unsigned slot, enum mmd_nv_item item, uint8_t *p, size_t cap,
    size_t *n)
{
	const struct mmd_nv *nv = ((struct mm_agent_keyring *)ctx)->under;

	return nv->get(nv->ctx, slot, item, p, cap, n);
}

static enum mmd_rc
put(void *ctx, unsigned slot, enum mmd_nv_item item, struct mmd_bytes data)
{
	const struct mmd_nv *nv = ((struct mm_agent_keyring *)ctx)->under;

	return nv->put(nv->ctx, slot, item, data);
}

static enum mmd_rc
erase(void *ctx, unsigned slot, enum mmd_nv_item item)
{
	struct mm_agent_keyring *k = ctx;
	struct mm_why why = { 0 };

	if (item == MMD_NV_KEY &&
	    note(k, remove_key(k, slot, &why), &why) != MMD_OK)
		return MMD_EPORT;
	return k->under->erase(k->under->ctx, slot, item);
}

static enum mmd_rc
choose(void *ctx, unsigned slot)
{
	const struct mmd_nv *nv = ((struct mm_agent_keyring *)ctx)->under;

	return nv->select(nv->ctx, slot);
}

static enum mmd_rc
chosen(void *ctx, unsigned *slot)
{
	const struct mmd_nv *nv = ((struct mm_agent_keyring *)ctx)->under;

	return nv->selected(nv->ctx, slot);
}

/* ---- the keyring ---- */

/* see keyring.h */
void
mm_agent_keyring_init(struct mm_agent_keyring *k, const struct mmd_nv *under,
    const char *where)
{
	*k = (struct mm_agent_keyring){ .under = under, .where = where,
		.keys.nv = &k->nv };
	k->nv = mm_agent_keyring_nv(k);
	k->software = mmd_openssl_crypto(&k->keys);
}

/* see keyring.h */
void
mm_agent_keyring_done(struct mm_agent_keyring *k)
{
	k->desk = NULL;
	if (k->provider != NULL)
		(void)OSSL_PROVIDER_unload(k->provider);
	if (k->standard != NULL)
		(void)OSSL_PROVIDER_unload(k->standard);
	k->provider = NULL;
	k->standard = NULL;
}

/* see keyring.h */
struct mmd_crypto
mm_agent_keyring_crypto(struct mm_agent_keyring *k)
{
	struct mmd_crypto c = k->software;

	c.make = make;
	c.public = public;
	c.sign_hash = sign_hash;
	return c;
}

/* see keyring.h */
struct mmd_nv
mm_agent_keyring_nv(struct mm_agent_keyring *k)
{
	return (struct mmd_nv){ get, put, erase, choose, chosen, k };
}

/* see keyring.h */
enum mm_err
mm_agent_keyring_ready(struct mm_agent_keyring *k, unsigned slot,
    struct mm_why *why)
{
	struct mm_key key;

	if (slot >= MMD_SLOTS || key_of(k, slot, &key, NULL) != MM_OK)
		return MM_OK;
	return load_provider(k, why);
}

/* see keyring.h */
bool
mm_agent_keyring_failure(struct mm_agent_keyring *k, struct mm_why *out)
{
	struct mm_why why = k->why;

	if (why.code == MM_OK && (k->desk == NULL || !k->desk->failure(&why)))
		return false;
	k->why = (struct mm_why){ 0 };
	why.code = why.code == MM_EAGAIN ? MM_EAGAIN : MM_ESYS;
	*out = why;
	return true;
}
