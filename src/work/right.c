/* What an order entitles to, beside the fields of others and the clock. */
#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/time.h"
#include "pki/key.h"
#include "work/priv.h"

/* see order.h */
enum mm_err
mm_work_order_follows(const struct mm_work_order *o, const uint8_t hash[32],
    const struct mm_work_last *last, const char *station, bool *again,
    struct mm_why *why)
{
	if (strcmp(o->station, station) != 0)
		return MM_FAIL(why, MM_EPOLICY, "order: it is for station %s, "
		    "this one is %.32s", o->station, station);
	*again = o->number == last->number &&
	    memcmp(hash, last->hash, 32) == 0;
	if (*again)
		return MM_OK;
	if (o->number <= last->number)
		return MM_FAIL(why, MM_EPOLICY, "order: number %" PRId64
		    " is older than %" PRId64 ", which this station has",
		    o->number, last->number);
	if (o->number == last->number + 1 &&
	    memcmp(o->previous, last->hash, 32) != 0)
		return MM_FAIL(why, MM_EPOLICY, "order: number %" PRId64
		    " does not follow the one that this station has",
		    o->number);
	return MM_OK;
}

/* see order.h */
enum mm_err
mm_work_order_check_now(const struct mm_work_order *o, int64_t now_ms,
    struct mm_why *why)
{
	char at[MM_TIME_TEXT];

	if (o->state != MM_WORK_OPEN)
		return MM_FAIL(why, MM_EPOLICY, "order: batch %s is %s",
		    o->batch, mm_work_state_words[o->state]);
	mm_time_text_s((now_ms < o->not_before_ms ? o->not_before_ms :
	    o->until_ms) / 1000, at);
	if (now_ms < o->not_before_ms)
		return MM_FAIL(why, MM_EPOLICY, "order: batch %s begins at %s",
		    o->batch, at);
	if (now_ms >= o->until_ms)
		return MM_FAIL(why, MM_EPOLICY, "order: batch %s ended at %s",
		    o->batch, at);
	return MM_OK;
}

/* RFC 7914; of 16 MiB, for a badge has few digits and a stick gets lost. */
#define COST_N (UINT64_C(1) << 14)
#define COST_R 8
#define COST_P 1
#define MEMORY (UINT64_C(64) << 20)

/* see order.h */
enum mm_err
mm_work_badge(struct mm_bytes text, const uint8_t salt[16], uint8_t out[32],
    struct mm_why *why)
{
	uint8_t md[32];
	char words[120];

	if (text.n < 4 || text.n > 128)
		return MM_FAIL(why, MM_EINPUT,
		    "badge: want 4 to 128 characters");
	if (EVP_PBE_scrypt((const char *)text.p, text.n, salt, 16, COST_N,
	    COST_R, COST_P, MEMORY, md, sizeof(md)) != 1)
		return MM_FAIL(why, MM_ECRYPTO, "badge: scrypt: %s",
		    mm_openssl_why(words));
	memcpy(out, md, sizeof(md));
	return MM_OK;
}
