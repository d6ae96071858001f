#include "base/own.h"
#include "base/text.h"
#include "base/time.h"
#include "server/authorise.h"
#include "server/rest.h"

/* The authorise hook as operators see it: settings, numbers, its secret. */

static void
put(struct mm_rest *r, const struct mm_hook *h)
{
	const struct mm_settings *set = &r->s->config->set;
	int64_t both = h->rotated_at + MM_HOOK_BOTH_S * INT64_C(1000);
	struct mm_authorise_stats n;

	mm_rest_etag(r, h->version);
	mm_authorise_stats(mm_deliver_authorise(r->s->deliver), &n);
	mm_rest_put_hook_url(r, set->authorise_url);
	mm_json_int(&r->j, "timeout", set->authorise_timeout_s);
	mm_json_int(&r->j, "secret_version", h->secret);
	if (h->secret > 1 && mm_now_ms() < both)
		mm_rest_put_time(&r->j, "previous_secret_until", both);
	mm_json_int(&r->j, "asked", (int64_t)n.asked);
	mm_json_int(&r->j, "allowed", (int64_t)n.said[MM_SAID_YES]);
	mm_json_int(&r->j, "refused", (int64_t)n.said[MM_SAID_NO]);
	mm_json_int(&r->j, "unavailable", (int64_t)n.said[MM_SAID_NOTHING]);
	mm_json_int(&r->j, "waiting", n.waiting);
	mm_rest_put_time(&r->j, "last_unavailable", n.last_at);
	if (n.last_why[0] != '\0')
		mm_json_str(&r->j, "last_why", n.last_why);
}

enum mm_err
mm_rest_authorise(struct mm_rest *r, struct mm_why *why)
{
	struct mm_hook h;

	MM_TRY(mm_authorise_get(r->reader, &h, why));
	mm_json_open(&r->j, '{');
	put(r, &h);
	mm_json_close(&r->j, '}');
	return MM_OK;
}

static enum mm_err
store(struct mm_rest *r, struct mm_hook *h, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	const struct mm_entry e = { .type = MM_E_WEBHOOK_CHANGED, .field = {
		[MM_F_ACTOR] = r->login.id, [MM_F_WEBHOOK] = h->id,
		[MM_F_REASON] = "rotated" } };
	struct mm_op_doc doc = { .kind = MM_DOC_SECRET,
		.id = MM_AUTHORISE_ID, .expect = h->version };
	const uint64_t *if_version;
	uint64_t version;

	MM_TRY(mm_rest_if_match(r, &version, &if_version, why));
	if (if_version != NULL && *if_version != h->version)
		return MM_FAIL(why, MM_ESTALE, "the secret has changed");
	mm_hook_encode(h, &body);
	MM_TRY(mm_buf_ok(&body, why));
	doc.body = mm_buf_view(&body);
	return mm_rest_store_hook(r, h, &doc, &e, if_version != NULL, why);
}

/* The first rotation makes the first secret; nothing signed before. */
enum mm_err
mm_rest_authorise_rotate(struct mm_rest *r, struct mm_why *why)
{
	struct mm_hook h;

	MM_TRY(mm_rest_members(r->in, NULL, 0, NULL, why));
	MM_TRY(mm_authorise_get(r->reader, &h, why));
	MM_TRY(mm_hook_key_check(mm_deliver_keys(r->s->deliver), r->desk,
	    why));
	h.secret++;
	h.rotated_at = mm_now_ms();
	MM_TRY(store(r, &h, why));
	mm_json_open(&r->j, '{');
	put(r, &h);
	MM_TRY(mm_rest_put_hook_secret(r, &h, why));
	mm_json_close(&r->j, '}');
	return MM_OK;
}
