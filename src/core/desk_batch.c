#include <stdio.h>
#include <string.h>

#include "core/production_priv.h"

/* Batches, each change with its entry. */

static void
put_doc(
    const struct mm_production *b, struct mm_bytes plan, struct mm_buf *body)
{
	struct mm_json j = mm_json_over(body);

	mm_json_open(&j, '{');
	mm_json_str(&j, "state", mm_work_state_words[b->state]);
	mm_json_time(&j, "created", b->created_at);
	mm_json_raw(&j, "plan", plan);
	if (!mm_zero(b->profiles_sha256, 32))
		mm_json_hex(&j, "profiles",
		    (struct mm_bytes){ b->profiles_sha256, 32 });
	mm_json_close(&j, '}');
}

static enum mm_err
salted(struct mm_production *b, struct mm_why *why)
{
	char half[17];

	for (unsigned i = 0; i < 2; i++) {
		MM_TRY(mm_desk_random_id(half, why));
		memcpy(b->salt + 16 * i, half, sizeof(half));
	}
	return MM_OK;
}

/* see production.h */
enum mm_err
mm_desk_batch_put(struct mm_desk *d, const struct mm_login *by,
    struct mm_production *b, const char *reason, struct mm_why *why)
{
	MM_OWN(mm_buf_done) struct mm_buf plan = MM_BUF_INIT(MM_DOC_MAX);
	MM_OWN(mm_buf_done) struct mm_buf body = MM_BUF_INIT(MM_DOC_MAX);
	struct mm_op_doc doc = { .kind = MM_DOC_BATCH, .expect = b->version };
	char count[24], until[MM_TIME_TEXT], hex[65];
	const struct mm_entry e = { .type = b->version == 0
						? MM_E_BATCH_CREATED
						: MM_E_BATCH_CHANGED,
		.field = { [MM_F_ACTOR] = by->id,
		    [MM_F_BATCH] = b->id,
		    [MM_F_PRODUCT] = b->order->product,
		    [MM_F_COUNT] = count,
		    [MM_F_NOT_AFTER] = until,
		    [MM_F_REASON] = reason,
		    [MM_F_DETAIL_SHA256] = hex } };
	struct mm_why own = { 0 };
	uint8_t hash[32];
	enum mm_err rc;

	MM_TRY(salted(b, why));
	MM_TRY(mm_production_plan(b, &plan, why));
	mm_sha256(mm_buf_view(&plan), hash);
	mm_hex_text(hash, 32, hex);
	snprintf(count, sizeof(count), "%lld",
	    (long long)mm_production_authorised(b));
	mm_time_text(b->order->until_ms, until);
	put_doc(b, mm_buf_view(&plan), &body);
	if (mm_buf_ok(&body, NULL) == MM_ELIMIT)
		return MM_FAIL(why, MM_ELIMIT,
		    "batch: too many people and "
		    "stations for one");
	MM_TRY(mm_buf_ok(&body, why));
	strcpy(doc.id, b->id);
	doc.body = mm_buf_view(&body);
	if (b->version == 0) {
		doc.counts[0] = MM_PRODUCTION_COUNT;
		doc.counted = &b->others;
	}
	rc = mm_desk_doc_put(d, &doc, &e, 1, &own);
	if (rc == MM_ESTALE && b->version == 0)
		return MM_FAIL(why, MM_ECONFLICT,
		    "another batch was made at "
		    "the same time: try again");
	if (rc != MM_OK)
		return MM_FAIL(why, rc, "%s", own.text);
	b->version = doc.version;
	return MM_OK;
}
