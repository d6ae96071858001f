#include "agent/priv.h"

#include <jansson.h>
#include <string.h>

#include "base/own.h"
#include "base/text.h"
#include "base/time.h"

/* The server's word on when to renew: RFC 9773 4.2's object. */

MM_FREE_FN(json_free, json_t, json_decref)

/* Seconds of a member that is a time. */
static enum mm_err
get_time(const json_t *o, const char *key, int64_t *at_s, struct mm_why *why)
{
	const char *text = json_string_value(json_object_get(o, key));
	int64_t at_ms;

	if (text == NULL || mm_time_parse(text, &at_ms, NULL) != MM_OK)
		return MM_FAIL(why, MM_EINPUT,
		    "renewal: the window's %s is no time", key);
	*at_s = at_ms / 1000;
	return MM_OK;
}

/* As numbers: DER puts a zero before what would be negative. */
static bool
is_ours(const json_t *top, const struct mmd_cert *c)
{
	const char *serial = json_string_value(json_object_get(top, "serial"));
	char own[2 * 32 + 1];

	if (serial == NULL || c->serial.n > 32)
		return false;
	mm_hex_text(c->serial.p, c->serial.n, own);
	return strcmp(serial + strspn(serial, "0"), own + strspn(own, "0")) ==
	    0;
}

/* see priv.h; RFC 9773 4.2: any second of it, uniformly */
enum mm_err
mm_agent_window_parse(struct mm_bytes json, const struct mmd_cert *c,
    const uint8_t hash[MMD_HASH], int64_t *at_s, struct mm_why *why)
{
	MM_OWN(json_free) json_t *top = json_loadb((const char *)json.p,
	    json.n, JSON_REJECT_DUPLICATES, NULL);
	const json_t *window = json_object_get(top, "suggestedWindow");
	int64_t start = 0, end = 0;

	if (top == NULL || window == NULL || !is_ours(top, c))
		return MM_FAIL(why, MM_EINPUT,
		    "renewal: no window for this certificate");
	if (json_is_null(window)) {
		*at_s = 0;
		return MM_OK;
	}
	MM_TRY(get_time(window, "start", &start, why));
	MM_TRY(get_time(window, "end", &end, why));
	if (end < start || start == 0)
		return MM_FAIL(why, MM_EINPUT,
		    "renewal: the window ends before it begins");
	*at_s = start + (end - start) * (hash[2] << 8 | hash[3]) / 65536;
	return MM_OK;
}
