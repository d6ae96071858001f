#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "pki/key.h"
#include "server/hook.h"

enum { KEY_N = 32 };

#define MM_HOOK_KEY_NONE                                                  \
	"webhook.key: this node has none, and the others sign with theirs: "  \
	"copy server_dir/webhook.key from one of them"

struct mm_hook_keys {
	char path[MM_PATH_MAX + 16];
	bool shared; /* others work with the same key: none is made unasked */
	pthread_mutex_t lock;
	struct mm_secret *key; /* NULL until the first use */
	bool known;  /* of shared ones: it is the one that was noted */
};

/* see hook.h */
enum mm_err
mm_hook_keys_open(const char *server_dir, bool shared,
    struct mm_hook_keys **out, struct mm_why *why)
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
	k->shared = shared;
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
	return k->shared ? MM_FAIL(why, MM_EPOLICY, MM_HOOK_KEY_NONE)
			 : make_key(k, why);
}

/* ---- whether it is the key that all nodes have ---- */

#define NOTED "webhook.key"

/* What the store may know of the key: it is of 32 random bytes. */
static void
key_hash(const struct mm_hook_keys *k, uint8_t out[32])
{
	mm_hmac_sha256(mm_secret_view(k->key),
	    mm_bytes_of("mintmark webhook.key v1"), out);
}

static enum mm_err
count_doc(void *ctx, const void *row, const char *next, struct mm_why *why)
{
	bool *any = ctx;

	(void)row, (void)next, (void)why;
	*any = true;
	return MM_OK;
}

/* One that was made before it was noted is there, on some node. */
static enum mm_err
check_none_used(struct mm_desk *desk, struct mm_why *why)
{
	static const enum mm_doc_kind kinds[] = { MM_DOC_WEBHOOK,
		MM_DOC_SECRET };
	const struct mm_list l = { .most = 1, .state = -1 };
	bool any = false;

	for (size_t i = 0; i < 2; i++)
		MM_TRY(mm_list_docs(mm_desk_reader(desk), kinds[i], "", &l,
		    count_doc, &any, why));
	return any ? MM_FAIL(why, MM_EPOLICY, MM_HOOK_KEY_NONE) : MM_OK;
}

static enum mm_err
note(struct mm_hook_keys *k, struct mm_desk *desk, struct mm_why *why)
{
	char body[MM_NOTED_TEXT];
	uint8_t hash[32];
	struct mm_op op;

	key_hash(k, hash);
	mm_noted_op(NOTED, hash, body, &op);
	return mm_desk_docs_put(desk, &op, 1, why);
}

/* Two nodes may both make one: the first that is noted is everybody's. */
static enum mm_err
make_and_note(struct mm_hook_keys *k, struct mm_desk *desk,
    struct mm_why *why)
{
	enum mm_err rc;

	MM_TRY(check_none_used(desk, why));
	MM_TRY(make_key(k, why));
	rc = note(k, desk, NULL);
	if (rc == MM_OK)
		return MM_OK;
	/* whether it was noted is not known after MM_ESYS: it stays */
	if (rc != MM_ESYS) {
		mm_secret_free(&k->key);
		(void)unlink(k->path);
	}
	return rc == MM_ECONFLICT ? MM_FAIL(why, MM_EPOLICY, MM_HOOK_KEY_NONE)
	    : MM_FAIL(why, rc, "the store cannot be written");
}

static enum mm_err
same_key(struct mm_hook_keys *k, const uint8_t noted[32], struct mm_why *why)
{
	uint8_t hash[32];

	key_hash(k, hash);
	if (memcmp(hash, noted, 32) == 0)
		return MM_OK;
	mm_secret_free(&k->key); /* another may be in its place now */
	MM_TRY(read_key(k, why));
	key_hash(k, hash);
	return memcmp(hash, noted, 32) == 0 ? MM_OK :
	    MM_FAIL(why, MM_EPOLICY, "webhook.key: not the one that the other "
	    "nodes sign with: copy server_dir/webhook.key from one of them");
}

static enum mm_err
check(struct mm_hook_keys *k, struct mm_desk *desk, struct mm_why *why)
{
	uint8_t noted[32];
	enum mm_err known = mm_noted_get(mm_desk_reader(desk), NOTED, noted,
	    why), have;

	if (known != MM_OK && known != MM_ENOTFOUND)
		return known;
	have = k->key != NULL ? MM_OK : read_key(k, NULL);
	if (have == MM_ENOTFOUND && known == MM_OK)
		return MM_FAIL(why, MM_EPOLICY, MM_HOOK_KEY_NONE);
	if (have == MM_ENOTFOUND)
		return make_and_note(k, desk, why);
	if (have != MM_OK)
		return read_key(k, why);
	if (known == MM_OK)
		return same_key(k, noted, why);
	have = note(k, desk, NULL);
	if (have == MM_OK)
		return MM_OK;
	if (have != MM_ECONFLICT)
		return MM_FAIL(why, have, "the store cannot be written");
	/* just noted by another node */
	MM_TRY(mm_noted_get(mm_desk_reader(desk), NOTED, noted, why));
	return same_key(k, noted, why);
}

/* see hook.h */
enum mm_err
mm_hook_key_check(struct mm_hook_keys *k, struct mm_desk *desk,
    struct mm_why *why)
{
	enum mm_err rc;

	if (!k->shared)
		return MM_OK;
	pthread_mutex_lock(&k->lock);
	rc = check(k, desk, why);
	/* a store that is away has no say in it */
	if (rc == MM_OK || rc == MM_EPOLICY)
		k->known = rc == MM_OK;
	pthread_mutex_unlock(&k->lock);
	return rc;
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
	if (rc == MM_OK && k->shared && !k->known)
		rc = MM_FAIL(why, MM_EPOLICY, "webhook.key: not known yet to "
		    "be the one that the other nodes sign with");
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
