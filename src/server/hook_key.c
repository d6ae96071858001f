#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "pki/key.h"
#include "server/hook.h"

enum { KEY_N = 32 };

struct mm_hook_keys {
	char path[MM_PATH_MAX + 16];
	pthread_mutex_t lock;
	struct mm_secret *key; /* NULL until the first use */
};

/* see hook.h */
enum mm_err
mm_hook_keys_open(const char *server_dir, struct mm_hook_keys **out,
    struct mm_why *why)
{
	struct mm_hook_keys *k = calloc(1, sizeof(*k));
	enum mm_err rc;

	if (k == NULL)
		return MM_FAIL(why, MM_ENOMEM, "out of memory");
	rc = mm_path_join(k->path, sizeof(k->path), server_dir, "webhook.key",
	    why);
	if (rc != MM_OK) {
		free(k);
		return rc;
	}
	pthread_mutex_init(&k->lock, NULL);
	*out = k;
	return MM_OK;
}

/* see hook.h */
void
mm_hook_keys_close(struct mm_hook_keys **owner)
{
	struct mm_hook_keys *k = MM_MOVE(*owner);

	if (k == NULL)
		return;
	mm_secret_free(&k->key);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

static enum mm_err
read_key(struct mm_hook_keys *k, struct mm_why *why)
{
	MM_OWN(mm_buf_wipe) struct mm_buf b = MM_BUF_INIT(KEY_N);

	MM_TRY(mm_file_read(k->path, &b, why));
	if (b.n != KEY_N)
		return MM_FAIL(why, MM_EPOLICY, "%.100s: want %d bytes",
		    k->path, KEY_N);
	MM_TRY(mm_secret_new(KEY_N, &k->key, why));
	memcpy(k->key->p, b.p, KEY_N);
	return MM_OK;
}

/* Whole or not at all; one that appears meanwhile is taken as it is. */
static enum mm_err
make_key(struct mm_hook_keys *k, struct mm_why *why)
{
	MM_OWN(mm_secret_free) struct mm_secret *fresh = NULL;
	enum mm_err rc;

	MM_TRY(mm_secret_new(KEY_N, &fresh, why));
	if (getrandom(fresh->p, KEY_N, 0) != KEY_N)
		return MM_FAIL(why, MM_ESYS, "no random bytes");
	rc = mm_file_create(k->path, mm_secret_view(fresh), 0600, NULL);
	if (rc != MM_OK && rc != MM_ECONFLICT)
		return MM_FAIL(why, rc, "%.100s cannot be made", k->path);
	return read_key(k, why);
}

static enum mm_err
load(struct mm_hook_keys *k, struct mm_why *why)
{
	enum mm_err rc;

	if (k->key != NULL)
		return MM_OK;
	rc = read_key(k, why);
	if (rc != MM_ENOTFOUND)
		return rc;
	if (why != NULL)
		*why = (struct mm_why){ 0 };
	return make_key(k, why);
}

/* see hook.h */
enum mm_err
mm_hook_secret(struct mm_hook_keys *k, const struct mm_hook *h,
    int64_t version, uint8_t out[MM_HOOK_SECRET_N], struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf data = MM_BUF_INIT(64);
	enum mm_err rc;

	mm_buf_text(&data, "mintmark webhook v1");
	mm_buf_text(&data, h->id);
	mm_buf_u64(&data, (uint64_t)version);
	MM_TRY(mm_buf_ok(&data, why));
	pthread_mutex_lock(&k->lock);
	rc = load(k, why);
	if (rc == MM_OK)
		mm_hmac_sha256(mm_secret_view(k->key), mm_buf_view(&data),
		    out);
	pthread_mutex_unlock(&k->lock);
	return rc;
}

static enum mm_err
sign_one(struct mm_hook_keys *k, const struct mm_hook *h, int64_t version,
    struct mm_bytes signed_, struct mm_buf *out, struct mm_why *why)
{
	uint8_t secret[MM_HOOK_SECRET_N], mac[32];

	MM_TRY(mm_hook_secret(k, h, version, secret, why));
	mm_hmac_sha256((struct mm_bytes){ secret, sizeof(secret) }, signed_,
	    mac);
	mm_wipe(secret, sizeof(secret));
	mm_buf_text(out, out->n > 0 ? " v1," : "v1,");
	mm_base64_put(out, (struct mm_bytes){ mac, sizeof(mac) }, 0);
	return MM_OK;
}

/* see hook.h; Standard Webhooks 1.0.0, "Signature scheme" */
enum mm_err
mm_hook_sign(struct mm_hook_keys *k, const struct mm_hook *h, const char *id,
    int64_t at_s, struct mm_bytes body, char out[128], struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf text =
	    MM_BUF_INIT(MM_IPC_FRAME_MAX + 256);
	MM_OWN(mm_buf_done) struct mm_buf sig = MM_BUF_INIT(127);

	mm_buf_printf(&text, "%s.%lld.", id, (long long)at_s);
	mm_buf_bytes(&text, body);
	MM_TRY(mm_buf_ok(&text, why));
	MM_TRY(sign_one(k, h, h->secret, mm_buf_view(&text), &sig, why));
	if (h->secret > 1 && at_s < h->rotated_at / 1000 + MM_HOOK_BOTH_S)
		MM_TRY(sign_one(k, h, h->secret - 1, mm_buf_view(&text), &sig,
		    why));
	MM_TRY(mm_buf_ok(&sig, why));
	memcpy(out, sig.p, sig.n);
	out[sig.n] = '\0';
	return MM_OK;
}
